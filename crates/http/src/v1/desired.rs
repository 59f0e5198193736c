//! Desired state: values and observations that the server keeps devices at.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::desired::commands::{self, DesiredStateError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::conditional::{Condition, tagged};
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit, not_saved};

impl From<DesiredStateError> for Problem {
    fn from(error: DesiredStateError) -> Self {
        let detail = error.to_string();
        match error {
            DesiredStateError::Forbidden(_) => Self::forbidden(detail),
            DesiredStateError::NoSuchState(_) | DesiredStateError::NoSuchDevice(_) => Self::not_found(detail),
            DesiredStateError::TooMany | DesiredStateError::NothingGivenUp(_) => {
                Self::new(StatusCode::CONFLICT, "Not now", detail)
            }
            DesiredStateError::Changed(_) => Self::changed(detail),
            DesiredStateError::Filter(fault) => fault.into(),
            DesiredStateError::NotSaved(error) => not_saved(error),
            _ => Self::bad_request(detail),
        }
    }
}

/// The desired states, by name.
#[utoipa::path(
    get, path = "/api/v1/desired-states", tag = "desired state",
    responses((status = 200, description = "The whole list", body = api::Page<api::DesiredState>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::DesiredState>> {
    Ok(Json(api::Page { items: commands::list(&app, &principal).await?, next: None }))
}

/// One desired state.
#[utoipa::path(
    get, path = "/api/v1/desired-states/{name}", tag = "desired state", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The desired state", body = api::DesiredState),
        (status = 404, description = "There is none with this name", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let state = commands::one(&app, &principal, &name).await?;
    let revision = state.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, state))
}

/// Makes a desired state, or replaces it. Its devices are asked at once, or when they can be reached.
#[utoipa::path(
    put, path = "/api/v1/desired-states/{name}", tag = "desired state",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = api::PutDesiredState,
    responses(
        (status = 200, description = "The desired state as it is now; its counts come later", body = api::DesiredState),
        (status = 400, description = "The name, the filter or a setting is wrong", body = api::Problem),
        (status = 409, description = "There are too many", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    Condition(expected): Condition,
    JsonBody(wanted): JsonBody<api::PutDesiredState>,
) -> Result<Response, Problem> {
    let state = commands::put(&app, &principal, &name, wanted, &expected).await?;
    let revision = state.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, state))
}

/// Removes a desired state. Devices keep what they have.
#[utoipa::path(
    delete, path = "/api/v1/desired-states/{name}", tag = "desired state", params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is none with this name", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    Condition(expected): Condition,
) -> Result<StatusCode, Problem> {
    commands::remove(&app, &principal, &name, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DesiredDeviceQuery {
    /// Only devices that are so far.
    progress: Option<api::DesiredProgress>,
    /// The `next` of the page before.
    after: Option<String>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The devices of a desired state, ordered by name.
#[utoipa::path(
    get, path = "/api/v1/desired-states/{name}/devices", tag = "desired state",
    params(("name" = String, Path), DesiredDeviceQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::DesiredDevice>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
        (status = 404, description = "There is none with this name", body = api::Problem),
    )
)]
pub(super) async fn devices(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    Queries(query): Queries<DesiredDeviceQuery>,
) -> Answer<api::Page<api::DesiredDevice>> {
    let DesiredDeviceQuery { progress, after, limit: asked } = query;
    let limit = limit(asked)?;
    Ok(Json(commands::devices(&app, &principal, &name, progress, after.as_deref(), limit).await?))
}

/// What is wanted of a device, from where that comes, and what is so.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/desired-state", tag = "desired state", params(("endpoint" = String, Path)),
    responses((status = 200, description = "The whole list; empty if nothing is wanted of it", body = api::Page<api::DeviceSetting>))
)]
pub(super) async fn of_device(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::DeviceSetting>> {
    Ok(Json(api::Page { items: commands::of_device(&app, &principal, &endpoint).await?, next: None }))
}

/// Tries again what was given up on a device.
#[utoipa::path(
    post, path = "/api/v1/devices/{endpoint}/desired-state/retry", tag = "desired state", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The settings as they are now", body = api::Page<api::DeviceSetting>),
        (status = 404, description = "No desired state is for this device", body = api::Problem),
        (status = 409, description = "Nothing was given up", body = api::Problem),
    )
)]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::DeviceSetting>> {
    Ok(Json(api::Page { items: commands::retry(&app, &principal, &endpoint).await?, next: None }))
}
