//! By what devices prove who they are. What a secret was is never told again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_dtls::crypto::PublicKey;
use buoy_store::{CredentialFilter, CredentialKind, CredentialRow, CredentialState, Page, Purpose};
use serde::Deserialize;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use super::idempotency::Key;
use super::{Answer, Author, CsvBody, JsonBody, Problem, Queries, Segments, check_store, limit, not_saved};
use buoy_services::app::App;
use buoy_services::credentials::{Added, ChangeError, NewCredential, Proof, parse_csv};
use buoy_services::hex;

/// Random bytes behind the name in the identity of a key that comes next.
const IDENTITY_DIGITS: usize = 4;

/// A refusal to change anything.
pub(crate) fn not_changed(error: ChangeError) -> Problem {
    match error {
        ChangeError::Refused { refusal, .. } => {
            Problem::new(StatusCode::CONFLICT, "In the way", refusal.to_string())
        }
        ChangeError::NoSuchCredential => Problem::not_found("there is no such credential any more"),
        ChangeError::NotSaved(error) => not_saved(error),
        ChangeError::Failed(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "It failed", format!("{error:#}"))
        }
    }
}

/// What a request says of a new credential, and the key if the server made it.
struct Asked {
    proof: Proof,
    made: Option<api::Secret>,
}

impl Asked {
    /// # Errors
    /// What is wrong with it.
    fn new(asked: &api::CredentialProof, default_identity: &str) -> Result<Self, String> {
        let proof = match asked {
            api::CredentialProof::Psk { identity, key } => {
                let identity = identity.as_deref().unwrap_or(default_identity);
                match key {
                    Some(key) => Proof::psk(identity, key.reveal())?,
                    None => return Self::random(identity),
                }
            }
            api::CredentialProof::Rpk { public_key } => Proof::rpk(public_key)?,
            api::CredentialProof::X509 { fingerprint } => Proof::x509(fingerprint.as_deref())?,
        };
        Ok(Self { proof, made: None })
    }

    fn random(identity: &str) -> Result<Self, String> {
        let proof = Proof::random_psk(identity)?;
        let made = match &proof {
            Proof::Psk { key, .. } => Some(api::Secret::new(hex::encode(key))),
            _ => None,
        };
        Ok(Self { proof, made })
    }
}

/// A request as it tells itself from others: without its secret.
fn without_secret(app: &App, asked: &api::CredentialProof) -> Result<api::CredentialProof, Problem> {
    let api::CredentialProof::Psk { identity, key: Some(key) } = asked else { return Ok(asked.clone()) };
    let digest = app.credentials.digest(key.reveal().as_bytes());
    let digest = digest.map_err(|error| not_changed(ChangeError::Failed(error)))?;
    let key = Some(api::Secret::new(hex::encode(&digest)));
    Ok(api::CredentialProof::Psk { identity: identity.clone(), key })
}

/// Adds a credential of a device. The very same again is no error. Without `key` the server makes one for a psk, and tells it this once.
#[utoipa::path(
    post, path = "/api/v1/credentials", tag = "credentials", request_body = api::AddCredential,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "It was there already; or the request with this Idempotency-Key made it before", body = api::NewCredential),
        (status = 201, description = "It is good from now on", body = api::NewCredential),
        (status = 400, description = "The request is wrong", body = api::Problem),
        (status = 409, description = "The device has one of this kind, or the identity belongs to another", body = api::Problem),
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
    let told = (&request.endpoint, request.purpose, without_secret(&app, &request.proof)?);
    let key = Key::of(&app, &headers, "credential", &told).await?;
    if let Key::Known(id) = key {
        return Ok(Json(new_json(&stored(&app, id).await?, None)).into_response());
    }
    let asked = Asked::new(&request.proof, &request.endpoint).map_err(Problem::bad_request)?;
    let new = NewCredential::new(purpose_of(request.purpose), &request.endpoint, asked.proof);
    let new = new.map_err(Problem::bad_request)?;
    match app.credentials.add(&principal, vec![new], key.row(), app.now()).await.map_err(not_changed)?.pop() {
        Some(Added::New(row)) => Ok(created(&row, asked.made)),
        Some(Added::Known(id)) => Ok(Json(new_json(&stored(&app, id).await?, None)).into_response()),
        None => Err(Problem::not_found("nothing was added")),
    }
}

fn created(row: &CredentialRow, key: Option<api::Secret>) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/credentials/{}", row.id))];
    (StatusCode::CREATED, location, Json(new_json(row, key))).into_response()
}

/// Adds the credentials of a CSV file, all or none. Line 1 names the columns: `endpoint,kind,identity,key,purpose`; the last three may be
/// left out or empty where there is a default. `key` is the key of a psk, the SubjectPublicKeyInfo of an rpk, or the SHA-256 of an x509's
/// only good certificate, in hexadecimal digits.
#[utoipa::path(
    post, path = "/api/v1/credentials/import", tag = "credentials",
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "All are good from now on", body = api::Imported),
        (status = 400, description = "Lines are wrong, which are named; nothing was added", body = api::Problem),
        (status = 409, description = "A line contradicts what there is; nothing was added", body = api::Problem),
    )
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    CsvBody(body): CsvBody,
) -> Answer<api::Imported> {
    check_store(&app)?;
    let body = Zeroizing::new(Vec::from(body));
    let parsed = tokio::task::spawn_blocking(move || parse_csv(&body)).await;
    let import = parsed.map_err(|error| not_changed(ChangeError::Failed(error.into())))?;
    let import = import.map_err(Problem::bad_request)?;
    let added =
        app.credentials.add(&principal, import.credentials, None, app.now()).await.map_err(|error| {
            match error {
                ChangeError::Refused { index, refusal } => {
                    let line = import.lines.get(index).copied().unwrap_or_default();
                    Problem::new(StatusCode::CONFLICT, "In the way", format!("line {line}: {refusal}"))
                }
                other => not_changed(other),
            }
        })?;
    let unchanged = added.iter().filter(|added| matches!(added, Added::Known(_))).count();
    Ok(Json(api::Imported { added: added.len() - unchanged, unchanged }))
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
    /// 1 to 1000; 100 unless told.
    limit: Option<usize>,
}

/// The credentials, the newest first.
#[utoipa::path(
    get, path = "/api/v1/credentials", tag = "credentials", params(CredentialQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Credential>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Queries(query): Queries<CredentialQuery>,
) -> Answer<api::Page<api::Credential>> {
    let limit = limit(query.limit)?;
    let page = Page { before: query.after.unwrap_or(u64::MAX), limit };
    let (endpoint, purpose) = (query.endpoint, query.purpose.map(purpose_of));
    let rows = app
        .read(move |store| {
            store.credentials(&CredentialFilter { endpoint: endpoint.as_deref(), purpose }, page)
        })
        .await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    Ok(Json(api::Page { items: rows.iter().map(json).collect(), next }))
}

/// One credential.
#[utoipa::path(
    get, path = "/api/v1/credentials/{id}", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The credential", body = api::Credential),
        (status = 404, description = "There is none of this id", body = api::Problem),
    )
)]
pub(super) async fn one(State(app): State<Arc<App>>, Segments(id): Segments<u64>) -> Answer<api::Credential> {
    Ok(Json(json(&stored(&app, id).await?)))
}

/// Forgets a credential, and ends the device's sessions.
#[utoipa::path(
    delete, path = "/api/v1/credentials/{id}", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none of this id", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Problem> {
    let row = stored(&app, id).await?;
    app.credentials.remove(&principal, &row, app.now()).await.map_err(not_changed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds the credential that comes after this one. Both are good until the device first uses the new one; then the old one is forgotten. Next
/// ones that were never used stay good, for the device may have been given one of them; there are at most eight.
#[utoipa::path(
    post, path = "/api/v1/credentials/{id}/rotate", tag = "credentials", request_body = api::CredentialProof,
    params(("id" = u64, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "The request with this Idempotency-Key made it before", body = api::NewCredential),
        (status = 201, description = "The next credential", body = api::NewCredential),
        (status = 400, description = "The request is wrong", body = api::Problem),
        (status = 404, description = "There is none of this id", body = api::Problem),
        (status = 409, description = "It is revoked, or the new identity belongs to another", body = api::Problem),
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
    let key = Key::of(&app, &headers, "rotate", &(id, without_secret(&app, &request)?)).await?;
    if let Key::Known(id) = key {
        return Ok(Json(new_json(&stored(&app, id).await?, None)).into_response());
    }
    let old = stored(&app, id).await?;
    // The identity tells the server which of the two keys the device uses.
    let identity = next_identity(&old.endpoint).map_err(Problem::bad_request)?;
    let asked = Asked::new(&request, &identity).map_err(Problem::bad_request)?;
    if asked.proof.kind() != old.kind {
        let detail = format!(
            "credential {id} is a {}, and the next one must be too; or add another",
            old.kind.as_str()
        );
        return Err(Problem::bad_request(detail));
    }
    let row = app
        .credentials
        .rotate(&principal, &old, asked.proof, key.row(), app.now())
        .await
        .map_err(not_changed)?;
    Ok(created(&row, asked.made))
}

fn next_identity(endpoint: &str) -> Result<String, String> {
    let mut digits = [0; IDENTITY_DIGITS];
    getrandom::fill(&mut digits).map_err(|error| format!("the system has no random numbers: {error}"))?;
    Ok(format!("{endpoint}.{}", hex::encode(&digits)))
}

/// Believes a credential no more, and ends the device's sessions. It stays, without its secret, so that the device is refused; delete it
/// to forget it.
#[utoipa::path(
    post, path = "/api/v1/credentials/{id}/revoke", tag = "credentials", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is revoked", body = api::Credential),
        (status = 404, description = "There is none of this id", body = api::Problem),
    )
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Credential> {
    let row = stored(&app, id).await?;
    app.credentials.revoke(&principal, &row, app.now()).await.map_err(not_changed)?;
    Ok(Json(json(&CredentialRow { state: CredentialState::Revoked, ..row })))
}

async fn stored(app: &Arc<App>, id: u64) -> Result<CredentialRow, Problem> {
    let row = app.read(move |store| store.credential(id)).await?;
    row.ok_or_else(|| Problem::not_found(format!("there is no credential {id}")))
}

fn new_json(row: &CredentialRow, key: Option<api::Secret>) -> api::NewCredential {
    api::NewCredential { credential: json(row), key }
}

fn json(row: &CredentialRow) -> api::Credential {
    let identity = Some(&row.identity).filter(|identity| !identity.is_empty());
    let of = |kind| identity.filter(|_| row.kind == kind);
    let point = of(CredentialKind::Rpk).and_then(|point| point.as_slice().try_into().ok());
    api::Credential {
        id: row.id,
        endpoint: row.endpoint.clone(),
        purpose: match row.purpose {
            Purpose::Lwm2m => api::CredentialPurpose::Lwm2m,
            Purpose::Bootstrap => api::CredentialPurpose::Bootstrap,
        },
        kind: match row.kind {
            CredentialKind::Psk => api::CredentialKind::Psk,
            CredentialKind::Rpk => api::CredentialKind::Rpk,
            CredentialKind::X509 => api::CredentialKind::X509,
        },
        identity: of(CredentialKind::Psk).map(|identity| String::from_utf8_lossy(identity).into_owned()),
        public_key: point.map(|point| hex::encode(&PublicKey::from_point(point).to_spki())),
        fingerprint: of(CredentialKind::X509).map(|fingerprint| hex::encode(fingerprint)),
        state: match row.state {
            CredentialState::Active => api::CredentialState::Active,
            CredentialState::Next => api::CredentialState::Next,
            CredentialState::Revoked => api::CredentialState::Revoked,
        },
        created_at: row.created_at,
    }
}

const fn purpose_of(purpose: api::CredentialPurpose) -> Purpose {
    match purpose {
        api::CredentialPurpose::Lwm2m => Purpose::Lwm2m,
        api::CredentialPurpose::Bootstrap => Purpose::Bootstrap,
    }
}
