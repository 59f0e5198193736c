//! Devices that go out of service, come back, or give their place to another board.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::devices;
use buoy_services::lifecycle::{self, LifecycleError};

use super::{Answer, Author, JsonBody, Problem, Segments};

impl From<LifecycleError> for Problem {
    fn from(error: LifecycleError) -> Self {
        let detail = error.to_string();
        match error {
            LifecycleError::Record(error) => error.into(),
            LifecycleError::Failed(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "It failed", detail),
            LifecycleError::Same | LifecycleError::NotConfirmed { .. } => Self::bad_request(detail),
            _ => Self::new(StatusCode::CONFLICT, "In the way", detail),
        }
    }
}

/// Takes a device out of service. Its record is kept, its credentials are refused until it is brought back, and filters match it only if they ask
/// for its state.
#[utoipa::path(
    post, path = "/api/v1/devices/{endpoint}/retire", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The device as it is now", body = api::Device),
        (status = 404, description = "No device of this name is known", body = api::Problem),
        (status = 409, description = "It is out of service", body = api::Problem),
    )
)]
pub(super) async fn retire(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Device> {
    lifecycle::retire(&app, &principal, &endpoint).await?;
    Ok(Json(devices::described(&app, &principal, &endpoint).await?))
}

/// Brings a device back that was taken out of service.
#[utoipa::path(
    post, path = "/api/v1/devices/{endpoint}/bring-back", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The device as it is now", body = api::Device),
        (status = 404, description = "No device of this name is known", body = api::Problem),
        (status = 409, description = "It is in service, or another device took its place", body = api::Problem),
    )
)]
pub(super) async fn bring_back(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Device> {
    lifecycle::bring_back(&app, &principal, &endpoint).await?;
    Ok(Json(devices::described(&app, &principal, &endpoint).await?))
}

/// Gives the record of a device whose board was replaced to the device that took its place: tags, groups, fields, notes and history. The credentials
/// of the old board are revoked, and it is out of service. This can't be undone.
#[utoipa::path(
    post, path = "/api/v1/devices/{endpoint}/merge", tag = "devices", params(("endpoint" = String, Path)),
    request_body = api::MergeDevice,
    responses(
        (status = 200, description = "The device that has the record now", body = api::Device),
        (status = 400, description = "The name is not repeated, or both are the same device", body = api::Problem),
        (status = 404, description = "No device of this name is known", body = api::Problem),
        (status = 409, description = "It was merged before, or the other device is out of service", body = api::Problem),
    )
)]
pub(super) async fn merge(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
    JsonBody(wanted): JsonBody<api::MergeDevice>,
) -> Answer<api::Device> {
    let into = wanted.into.clone();
    lifecycle::merge(&app, &principal, &endpoint, wanted).await?;
    Ok(Json(devices::described(&app, &principal, &into).await?))
}
