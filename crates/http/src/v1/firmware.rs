//! The firmware library.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, BytesBody, Problem, Queries, Segments};
use buoy_services::app::App;
use buoy_services::firmware::AddError;
use buoy_services::firmware::commands::{self, FirmwareError};

/// All images, the newest first.
#[utoipa::path(
    get, path = "/api/v1/firmware", tag = "firmware",
    responses((status = 200, description = "The whole list", body = api::Page<api::Firmware>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Firmware>> {
    Ok(Json(api::Page { items: commands::list(&app, &principal)?, next: None }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// The operator's name for it.
    name: Option<String>,
}

/// One image.
#[utoipa::path(
    get, path = "/api/v1/firmware/{digest}", tag = "firmware", params(("digest" = String, Path)),
    responses(
        (status = 200, description = "The image", body = api::Firmware),
        (status = 404, description = "No image has this digest", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(digest): Segments<String>,
) -> Answer<api::Firmware> {
    Ok(Json(commands::one(&app, &principal, &digest)?))
}

/// Uploads an image. If the same bytes are uploaded again, the image keeps its first name.
#[utoipa::path(
    post, path = "/api/v1/firmware", tag = "firmware", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It is in the library", body = api::Firmware),
        (status = 400, description = "It is empty, too large or damaged", body = api::Problem),
        (status = 415, description = "Its Content-Type is not application/octet-stream", body = api::Problem),
        (status = 507, description = "It can't be stored", body = api::Problem),
    )
)]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<UploadQuery>,
    BytesBody(body): BytesBody,
) -> Result<Response, Problem> {
    let image = commands::add(&app, &principal, query.name, body.into()).await?;
    Ok((StatusCode::CREATED, Json(image)).into_response())
}

impl From<FirmwareError> for Problem {
    fn from(error: FirmwareError) -> Self {
        let detail = error.to_string();
        match error {
            FirmwareError::Forbidden(_) => Self::forbidden(detail),
            FirmwareError::NoSuchFirmware(_) => Self::not_found(detail),
            FirmwareError::InUse { .. } => Self::new(StatusCode::CONFLICT, "In use", detail),
            FirmwareError::NotAdded(AddError::Storage(_)) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "The image cannot be kept", detail)
            }
            FirmwareError::NotRemoved(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The store failed", detail)
            }
            FirmwareError::Store(error) => Self::store(&error),
            _ => Self::bad_request(detail),
        }
    }
}

/// Adds a detached signature to an image.
#[utoipa::path(
    put, path = "/api/v1/firmware/{digest}/signature", tag = "firmware", params(("digest" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The signature is added", body = api::Firmware),
        (status = 400, description = "It is not a signature, or none of the server's release keys verifies it", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
    )
)]
pub(super) async fn upload_signature(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(digest): Segments<String>,
    BytesBody(body): BytesBody,
) -> Answer<api::Firmware> {
    Ok(Json(commands::put_signature(&app, &principal, &digest, body.into()).await?))
}

/// Deletes an image.
#[utoipa::path(
    delete, path = "/api/v1/firmware/{digest}", tag = "firmware", params(("digest" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 409, description = "An open update needs it", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(digest): Segments<String>,
) -> Result<StatusCode, Problem> {
    commands::remove(&app, &principal, &digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
