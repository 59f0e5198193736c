//! Bootstrap configurations, and the claims of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;

use super::{Answer, Author, JsonBody, Problem, Segments, not_saved};
use buoy_services::app::App;
use buoy_services::bootstrap::PutError;

/// All configurations, by their patterns. Secrets are left out.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/configs", tag = "bootstrap",
    responses((status = 200, description = "All of them", body = api::Page<api::BootstrapConfig>))
)]
pub(super) async fn configs(State(app): State<Arc<App>>) -> Json<api::Page<api::BootstrapConfig>> {
    Json(api::Page { items: app.bootstrap().configs(), next: None })
}

/// Makes a configuration, or puts it in place of the one of its pattern.
#[utoipa::path(
    put, path = "/api/v1/bootstrap/configs", tag = "bootstrap", request_body = api::BootstrapConfig,
    responses(
        (status = 200, description = "It holds from now on", body = api::BootstrapConfig),
        (status = 400, description = "No device could be configured so", body = api::Problem),
        (status = 503, description = "It cannot be saved now", body = api::Problem),
    )
)]
pub(super) async fn put_config(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(config): JsonBody<api::BootstrapConfig>,
) -> Answer<api::BootstrapConfig> {
    let pattern = config.pattern.clone();
    app.bootstrap().put_config(&principal, config).await.map_err(not_put)?;
    Ok(Json(app.bootstrap().config(&pattern).ok_or_else(|| no_config(&pattern))?))
}

/// The configuration of a pattern. Secrets are left out.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/configs/{pattern}", tag = "bootstrap", params(("pattern" = String, Path)),
    responses(
        (status = 200, description = "The configuration", body = api::BootstrapConfig),
        (status = 404, description = "There is none of this pattern", body = api::Problem),
    )
)]
pub(super) async fn config(
    State(app): State<Arc<App>>,
    Segments(pattern): Segments<String>,
) -> Answer<api::BootstrapConfig> {
    Ok(Json(app.bootstrap().config(&pattern).ok_or_else(|| no_config(&pattern))?))
}

/// Forgets a configuration. Devices that have it keep it.
#[utoipa::path(
    delete, path = "/api/v1/bootstrap/configs/{pattern}", tag = "bootstrap", params(("pattern" = String, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none of this pattern", body = api::Problem),
    )
)]
pub(super) async fn remove_config(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(pattern): Segments<String>,
) -> Result<StatusCode, Problem> {
    match app.bootstrap().remove_config(&principal, &pattern).await.map_err(not_saved)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(no_config(&pattern)),
    }
}

/// The devices that wait for a person's yes, or have it and were not configured yet.
#[utoipa::path(
    get, path = "/api/v1/bootstrap/claims", tag = "bootstrap",
    responses((status = 200, description = "All of them", body = api::Page<api::BootstrapClaim>))
)]
pub(super) async fn claims(State(app): State<Arc<App>>) -> Json<api::Page<api::BootstrapClaim>> {
    Json(api::Page { items: app.bootstrap().claims(), next: None })
}

/// Says yes to a device that can prove nothing: its next request within a day is granted, if a configuration fits its name.
#[utoipa::path(
    post, path = "/api/v1/bootstrap/claims/{endpoint}/accept", tag = "bootstrap", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "It may come", body = api::BootstrapClaim),
        (status = 409, description = "No configuration fits its name", body = api::Problem),
        (status = 503, description = "It cannot be saved now", body = api::Problem),
    )
)]
pub(super) async fn accept(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::BootstrapClaim> {
    if !app.bootstrap().has_config_for(&endpoint) {
        let detail = format!(
            "no bootstrap configuration fits the name {endpoint}, so there is nothing to give it; add one first"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "No configuration", detail));
    }
    Ok(Json(app.bootstrap().accept(&principal, &endpoint).await.map_err(not_saved)?))
}

/// Forgets that a device waits, or that it was said yes to.
#[utoipa::path(
    delete, path = "/api/v1/bootstrap/claims/{endpoint}", tag = "bootstrap", params(("endpoint" = String, Path)),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "It does not wait", body = api::Problem),
    )
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Result<StatusCode, Problem> {
    match app.bootstrap().forget_claim(&principal, &endpoint).await.map_err(not_saved)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found(format!("{endpoint} does not wait to be configured"))),
    }
}

fn not_put(error: PutError) -> Problem {
    match error {
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
