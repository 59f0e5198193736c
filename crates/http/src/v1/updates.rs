//! Firmware updates of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::idempotency::key_of;
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, check_store, limit, not_saved};
use buoy_services::app::App;
use buoy_services::idempotency::Key;
use buoy_services::updates::commands::{self, UpdateError};

/// Starts the update of a device. It has succeeded when the device reports the new version after its reboot.
#[utoipa::path(
    post, path = "/api/v1/updates", tag = "updates", request_body = api::StartUpdate,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "An earlier request with this Idempotency-Key made this update", body = api::Update),
        (status = 202, description = "It has started", body = api::Update),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 404, description = "There is no such image, or no such device", body = api::Problem),
        (status = 409, description = "An update of the device is open", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::StartUpdate>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let key = key_of(&app, &headers, "update", &request).await?;
    if let Key::Known(id) = key {
        return Ok(Json(commands::one(&app, &principal, id).await?).into_response());
    }
    let update = commands::start(&app, &principal, request, key.row()).await?;
    Ok((StatusCode::ACCEPTED, Json(update)).into_response())
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Self {
        let detail = error.to_string();
        match error {
            UpdateError::Forbidden(_) => Self::forbidden(detail),
            UpdateError::NoSuchDevice(_) => Self::no_device(detail),
            UpdateError::NoSuchFirmware(_) | UpdateError::NoSuchUpdate(_) | UpdateError::NotOpen(_) => {
                Self::not_found(detail)
            }
            UpdateError::IsOpen { .. } => Self::new(StatusCode::CONFLICT, "An update is open", detail),
            UpdateError::NotSaved(error) => not_saved(error),
            UpdateError::Store(error) => Self::store(&error),
            _ => Self::bad_request(detail),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UpdateQuery {
    /// Only of this device.
    endpoint: Option<String>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The updates, the newest first.
#[utoipa::path(
    get, path = "/api/v1/updates", tag = "updates", params(UpdateQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Update>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<UpdateQuery>,
) -> Answer<api::Page<api::Update>> {
    let UpdateQuery { endpoint, after, limit: asked } = query;
    Ok(Json(commands::list(&app, &principal, endpoint, after, limit(asked)?).await?))
}

/// One update.
#[utoipa::path(
    get, path = "/api/v1/updates/{id}", tag = "updates", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The update", body = api::Update),
        (status = 404, description = "Nothing has this id", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Update> {
    Ok(Json(commands::one(&app, &principal, id).await?))
}

/// Cancels an open update.
#[utoipa::path(
    delete, path = "/api/v1/updates/{id}", tag = "updates", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is cancelled", body = api::Update),
        (status = 404, description = "No update with this id is open", body = api::Problem),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Update> {
    Ok(Json(commands::cancel(&app, &principal, id).await?))
}
