//! Credentials of devices. Stored secrets are never returned.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use super::idempotency::key_of;
use super::{Answer, Author, CsvBody, JsonBody, Problem, Queries, Segments, check_store, limit, not_saved};
use buoy_services::app::App;
use buoy_services::credentials::commands::{self, CredentialError};
use buoy_services::idempotency::Key;

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        let detail = error.to_string();
        match error {
            CredentialError::Forbidden(_) => Self::forbidden(detail),
            CredentialError::NoSuchCredential(_) | CredentialError::Gone => Self::not_found(detail),
            CredentialError::InTheWay { .. } => Self::new(StatusCode::CONFLICT, "In the way", detail),
            CredentialError::NotSaved(error) => not_saved(error),
            CredentialError::Store(error) => Self::store(&error),
            CredentialError::Failed(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "It failed", detail),
            _ => Self::bad_request(detail),
        }
    }
}

/// Adds a credential of a device. Adding the same one again is no error. Without `key` the server makes one for a psk, and returns it only in this answer.
#[utoipa::path(
    post, path = "/api/v1/credentials", tag = "credentials", request_body = api::AddCredential,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "It existed already, or an earlier request with this Idempotency-Key made it", body = api::NewCredential),
        (status = 201, description = "It is valid from now on", body = api::NewCredential),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 409, description = "The device has a credential of this kind, or the identity belongs to another device", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::AddCredential>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let told = (&request.endpoint, request.purpose, commands::without_secret(&app, &request.proof)?);
    let key = key_of(&app, &headers, "credential", &told).await?;
    if let Key::Known(id) = key {
        let credential = commands::one(&app, &principal, id).await?;
        return Ok(Json(api::NewCredential { credential, key: None }).into_response());
    }
    let (is_new, added) = commands::add(&app, &principal, &request, key.row()).await?;
    Ok(if is_new { created(added) } else { Json(added).into_response() })
}

fn created(added: api::NewCredential) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/credentials/{}", added.credential.id))];
    (StatusCode::CREATED, location, Json(added)).into_response()
}

/// Adds the credentials of a CSV file, all or none. Line 1 names the columns: `endpoint,kind,identity,key,purpose`; the last three may be
/// left out or empty if there is a default. `key` is the key of a psk, the SubjectPublicKeyInfo of an rpk, or the SHA-256 of the only valid
/// certificate of an x509, in hexadecimal digits.
#[utoipa::path(
    post, path = "/api/v1/credentials/import", tag = "credentials",
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "All are valid from now on", body = api::Imported),
        (status = 400, description = "Some lines are invalid, which the answer lists; nothing was added", body = api::Problem),
        (status = 409, description = "A line conflicts with an existing credential; nothing was added", body = api::Problem),
    )
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    CsvBody(body): CsvBody,
) -> Answer<api::Imported> {
    check_store(&app)?;
    Ok(Json(commands::import(&app, &principal, Zeroizing::new(Vec::from(body))).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CredentialQuery {
    /// Only of this device.
    endpoint: Option<String>,
    /// Only for this server.
    purpose: Option<api::CredentialPurpose>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The credentials, the newest first.
#[utoipa::path(
    get, path = "/api/v1/credentials", tag = "credentials", params(CredentialQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Credential>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<CredentialQuery>,
) -> Answer<api::Page<api::Credential>> {
    let CredentialQuery { endpoint, purpose, after, limit: asked } = query;
    Ok(Json(commands::list(&app, &principal, endpoint, purpose, after, limit(asked)?).await?))
}

/// One credential.
#[utoipa::path(
    get, path = "/api/v1/credentials/{id}", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The credential", body = api::Credential),
        (status = 404, description = "Nothing has this id", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Credential> {
    Ok(Json(commands::one(&app, &principal, id).await?))
}

/// Removes a credential and ends the device's sessions.
#[utoipa::path(
    delete, path = "/api/v1/credentials/{id}", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "Nothing has this id", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Problem> {
    commands::remove(&app, &principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds the next credential after this one. Both are valid until the device first uses the new one; then the old one is removed. Unused next
/// credentials stay valid, since the device may have one of them; there are at most eight.
#[utoipa::path(
    post, path = "/api/v1/credentials/{id}/rotate", tag = "credentials", request_body = api::CredentialProof,
    params(("id" = u64, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "An earlier request with this Idempotency-Key made it", body = api::NewCredential),
        (status = 201, description = "The next credential", body = api::NewCredential),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 404, description = "Nothing has this id", body = api::Problem),
        (status = 409, description = "It is revoked, or the new identity belongs to another credential", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::CredentialProof>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let told = (id, commands::without_secret(&app, &request)?);
    let key = key_of(&app, &headers, "rotate", &told).await?;
    if let Key::Known(id) = key {
        let credential = commands::one(&app, &principal, id).await?;
        return Ok(Json(api::NewCredential { credential, key: None }).into_response());
    }
    Ok(created(commands::rotate(&app, &principal, id, &request, key.row()).await?))
}

/// Revokes a credential and ends the device's sessions. It stays, without its secret, so that the device is refused; to remove it, delete
/// it.
#[utoipa::path(
    post, path = "/api/v1/credentials/{id}/revoke", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is revoked", body = api::Credential),
        (status = 404, description = "Nothing has this id", body = api::Problem),
    )
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Credential> {
    Ok(Json(commands::revoke(&app, &principal, id).await?))
}
