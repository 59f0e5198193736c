//! Bootstrap configurations, and the claims of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;

use super::{Answer, Author, JsonBody, Problem, Segments, not_saved};
use buoy_services::app::App;
use buoy_services::bootstrap::{BootstrapError, PutError};

/// All configurations, ordered by pattern. Secrets are left out.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/configs", tag = "bootstrap",
    responses((status = 200, description = "The whole list", body = api::Page<api::BootstrapConfig>))
)]
pub(super) async fn configs(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::BootstrapConfig>> {
    Ok(Json(api::Page { items: app.bootstrap().configs(&principal)?, next: None }))
}

/// Adds a configuration, or replaces the one with the same pattern.
#[utoipa::path(
    put, path = "/api/v1/bootstrap/configs", tag = "bootstrap", request_body = api::BootstrapConfig,
    responses(
        (status = 200, description = "It is stored and takes effect", body = api::BootstrapConfig),
        (status = 400, description = "The configuration is invalid", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn put_config(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(config): JsonBody<api::BootstrapConfig>,
) -> Answer<api::BootstrapConfig> {
    let pattern = config.pattern.clone();
    app.bootstrap().put_config(&principal, config).await.map_err(not_put)?;
    Ok(Json(app.bootstrap().config(&principal, &pattern)?.ok_or_else(|| no_config(&pattern))?))
}

/// The configuration of a pattern. Secrets are left out.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/configs/{pattern}", tag = "bootstrap", params(("pattern" = String, Path)),
    responses(
        (status = 200, description = "The configuration", body = api::BootstrapConfig),
        (status = 404, description = "There is no configuration with this pattern", body = api::Problem),
    )
)]
pub(super) async fn config(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(pattern): Segments<String>,
) -> Answer<api::BootstrapConfig> {
    Ok(Json(app.bootstrap().config(&principal, &pattern)?.ok_or_else(|| no_config(&pattern))?))
}

/// Removes a configuration. Devices that were configured with it don't change.
#[utoipa::path(
    delete, path = "/api/v1/bootstrap/configs/{pattern}", tag = "bootstrap", params(("pattern" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no configuration with this pattern", body = api::Problem),
    )
)]
pub(super) async fn remove_config(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(pattern): Segments<String>,
) -> Result<StatusCode, Problem> {
    match app.bootstrap().remove_config(&principal, &pattern).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(no_config(&pattern)),
    }
}

/// The claims of devices that wait for an operator, or were accepted and are not configured yet.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/claims", tag = "bootstrap",
    responses((status = 200, description = "The whole list", body = api::Page<api::BootstrapClaim>))
)]
pub(super) async fn claims(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::BootstrapClaim>> {
    Ok(Json(api::Page { items: app.bootstrap().claims(&principal)?, next: None }))
}

/// Accepts the claim of a device without credentials: its next request within a day is granted, if a configuration matches its name.
#[utoipa::path(
    post, path = "/api/v1/bootstrap/claims/{endpoint}/accept", tag = "bootstrap", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The claim is accepted", body = api::BootstrapClaim),
        (status = 409, description = "No configuration matches its name", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn accept(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::BootstrapClaim> {
    if !app.bootstrap().has_config_for(&principal, &endpoint)? {
        let detail = format!(
            "no bootstrap configuration fits the name {endpoint}, so there is nothing to give it; add one first"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "No configuration", detail));
    }
    Ok(Json(app.bootstrap().accept(&principal, &endpoint).await?))
}

/// Removes the claim of a device, waiting or accepted.
#[utoipa::path(
    delete, path = "/api/v1/bootstrap/claims/{endpoint}", tag = "bootstrap", params(("endpoint" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no claim of this device", body = api::Problem),
    )
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Result<StatusCode, Problem> {
    match app.bootstrap().forget_claim(&principal, &endpoint).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found(format!("{endpoint} does not wait to be configured"))),
    }
}

impl From<BootstrapError> for Problem {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Forbidden(forbidden) => forbidden.into(),
            BootstrapError::NotSaved(error) => not_saved(error),
        }
    }
}

fn not_put(error: PutError) -> Problem {
    match error {
        PutError::Forbidden(forbidden) => forbidden.into(),
        PutError::Refused(fault) => Problem::bad_request(fault.to_string()),
        PutError::NotSaved(error) => not_saved(error),
        PutError::Failed(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", format!("{error:#}"))
        }
    }
}

fn no_config(pattern: &str) -> Problem {
    Problem::not_found(format!("there is no bootstrap configuration of {pattern:?}"))
}
