//! The firmware library.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_fleet::update::Update;
use buoy_store::FirmwareRow;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, BytesBody, Problem, Queries, Segments};
use buoy_services::app::App;
use buoy_services::firmware::{self, AddError, MAX_SIGNATURE};
use buoy_services::listen::FileScheme;

/// All images, the newest first.
#[utoipa::path(
    get, path = "/api/v1/firmware", tag = "firmware",
    responses((status = 200, description = "All of them", body = api::Page<api::Firmware>))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<api::Page<api::Firmware>> {
    let items = app.firmware.list().iter().map(|row| firmware_json(&app, row)).collect();
    Json(api::Page { items, next: None })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// What the operator calls it.
    name: Option<String>,
}

/// One image.
#[utoipa::path(
    get, path = "/api/v1/firmware/{digest}", tag = "firmware", params(("digest" = String, Path)),
    responses(
        (status = 200, description = "The image", body = api::Firmware),
        (status = 404, description = "There is none of this digest", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Segments(digest): Segments<String>,
) -> Answer<api::Firmware> {
    let image = app.firmware.get(&digest).ok_or_else(|| no_firmware(&digest))?;
    Ok(Json(firmware_json(&app, &image.row)))
}

/// Uploads an image. The same bytes are one image, however often they come, and keep their first name.
#[utoipa::path(
    post, path = "/api/v1/firmware", tag = "firmware", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It is in the library", body = api::Firmware),
        (status = 400, description = "It is empty, too large or damaged", body = api::Problem),
        (status = 415, description = "Its Content-Type is not application/octet-stream", body = api::Problem),
        (status = 507, description = "It cannot be kept", body = api::Problem),
    )
)]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<UploadQuery>,
    BytesBody(body): BytesBody,
) -> Result<Response, Problem> {
    // The same image again keeps the signature that it has.
    let known = app.firmware.get(&firmware::digest_of(&body));
    let signature = known.and_then(|image| image.row.signature.clone());
    let row = firmware::add(&app, &principal, query.name, body.into(), signature).await.map_err(not_added)?;
    Ok((StatusCode::CREATED, Json(firmware_json(&app, &row))).into_response())
}

fn not_added(error: AddError) -> Problem {
    match error {
        AddError::Image(reason) => Problem::bad_request(reason),
        AddError::Storage(error) => {
            let detail = format!("{error:#}");
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, "The image cannot be kept", detail)
        }
    }
}

/// Puts a detached signature beside an image.
#[utoipa::path(
    put, path = "/api/v1/firmware/{digest}/signature", tag = "firmware", params(("digest" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "It lies beside the image", body = api::Firmware),
        (status = 400, description = "It is no signature, or none of the server's release keys verifies it", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
    )
)]
pub(super) async fn upload_signature(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(digest): Segments<String>,
    BytesBody(body): BytesBody,
) -> Answer<api::Firmware> {
    let image = app.firmware.get(&digest).ok_or_else(|| no_firmware(&digest))?;
    if body.is_empty() || body.len() > MAX_SIGNATURE {
        let detail = format!("a signature has 1 to {MAX_SIGNATURE} bytes, and this one has {}", body.len());
        return Err(Problem::bad_request(detail));
    }
    let bytes = image.body.bytes().to_vec();
    let row = firmware::add(&app, &principal, Some(image.row.name.clone()), bytes, Some(body.into()))
        .await
        .map_err(not_added)?;
    Ok(Json(firmware_json(&app, &row)))
}

/// Deletes an image.
#[utoipa::path(
    delete, path = "/api/v1/firmware/{digest}", tag = "firmware", params(("digest" = String, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "An open update needs it", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(digest): Segments<String>,
) -> Result<StatusCode, Problem> {
    let open = app.read(|store| store.open_updates()).await?;
    let user = open.iter().filter_map(Update::restore).find(|update| update.goal().digest == digest);
    if let Some(update) = user {
        let detail =
            format!("update {} of {} needs this image; cancel it first", update.id(), update.endpoint());
        return Err(Problem::new(StatusCode::CONFLICT, "In use", detail));
    }
    match firmware::remove(&app, &principal, &digest).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(no_firmware(&digest)),
        Err(error) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The store failed", format!("{error:#}")))
        }
    }
}

pub(super) fn no_firmware(digest: &str) -> Problem {
    Problem::not_found(format!("there is no firmware {digest} in the library"))
}

fn firmware_json(app: &App, row: &FirmwareRow) -> api::Firmware {
    api::Firmware {
        digest: row.digest.clone(),
        name: row.name.clone(),
        version: row.version.clone(),
        project: row.project.clone(),
        size: row.size,
        uploaded_at: row.uploaded_at,
        signed: app.firmware.get(&row.digest).is_some_and(|image| image.is_signed()),
        coaps_uri: firmware::coap_uri(app.addresses.coaps_uri(), &row.digest),
        coap_uri: firmware::coap_uri(app.addresses.coap_uri(), &row.digest),
        http_uri: firmware::file_uri(app, FileScheme::Http, &row.digest),
        https_uri: firmware::file_uri(app, FileScheme::Https, &row.digest),
    }
}
