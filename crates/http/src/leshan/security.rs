//! Leshan's `/api/security`: credentials for the LwM2M server or for the bootstrap server, each at its own address; and what the server
//! itself shows.
//!
//! Leshan gives pre-shared keys back to whoever asks; here a key that was written is never read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use base64ct::{Base64, Encoding};
use buoy_api::{Credential, CredentialKind, CredentialProof, CredentialPurpose, CredentialState};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::v1::Author;

use super::{Answer, Plain, bad_request};
use buoy_services::app::App;
use buoy_services::credentials::commands::{self, CredentialError};
use buoy_services::hex;
use buoy_services::principal::Principal;

/// Leshan's list has no pages.
const MOST: usize = 10_000;

/// For the credentials of one of the two servers.
pub(super) fn routes(purpose: CredentialPurpose) -> Router<Arc<App>> {
    Router::new()
        .route("/api/security/clients", get(clients).put(put))
        .route("/api/security/clients/{endpoint}", get(client).delete(delete))
        .route("/api/security/server", get(server))
        .layer(Extension(purpose))
}

/// A client's security as Leshan writes it.
#[derive(Deserialize)]
pub(super) struct SecurityInfo {
    endpoint: String,
    tls: Option<Tls>,
    oscore: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "mode", content = "details", rename_all = "lowercase")]
enum Tls {
    Psk { identity: String, key: buoy_api::Secret },
    Rpk { key: String },
    X509,
}

impl SecurityInfo {
    /// The device, and by what it proves itself.
    fn proof(self) -> Result<(String, CredentialProof), Plain> {
        if self.oscore.is_some() {
            return Err(bad_request("OSCORE is not spoken here"));
        }
        let proof = match self.tls.ok_or_else(|| bad_request("\"tls\" is missing"))? {
            Tls::Psk { identity, key } => CredentialProof::Psk { identity: Some(identity), key: Some(key) },
            Tls::Rpk { key } => CredentialProof::Rpk { public_key: key },
            Tls::X509 => CredentialProof::X509 { fingerprint: None },
        };
        Ok((self.endpoint, proof))
    }
}

fn failed(error: CredentialError) -> Plain {
    let status = match error {
        CredentialError::Forbidden(error) => return super::forbidden(error),
        CredentialError::NotSaved(_) | CredentialError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        CredentialError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => return bad_request(error),
    };
    Plain(status, error.to_string())
}

/// Those of one device, or of all. A device has one security in Leshan: the active one, or else the newest.
async fn by_endpoint(
    app: &Arc<App>,
    principal: &Principal,
    purpose: CredentialPurpose,
    endpoint: Option<String>,
) -> Result<BTreeMap<String, Credential>, Plain> {
    let mut all = BTreeMap::new();
    let listed = commands::list(app, principal, endpoint, Some(purpose), None, MOST).await.map_err(failed)?;
    for one in listed.items.into_iter().filter(|one| one.state != CredentialState::Revoked) {
        if one.state == CredentialState::Active || !all.contains_key(&one.endpoint) {
            all.insert(one.endpoint.clone(), one);
        }
    }
    Ok(all)
}

fn security_json(one: &Credential) -> Value {
    let tls = match one.kind {
        CredentialKind::Psk => json!({"mode": "psk", "details": {"identity": one.identity}}),
        CredentialKind::Rpk => json!({"mode": "rpk", "details": {"key": one.public_key}}),
        CredentialKind::X509 => json!({"mode": "x509"}),
    };
    json!({"endpoint": one.endpoint, "tls": tls})
}

/// `GET /api/security/clients`
async fn clients(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Extension(purpose): Extension<CredentialPurpose>,
) -> Answer {
    let all = by_endpoint(&app, &principal, purpose, None).await?;
    Ok(Json(all.values().map(security_json).collect::<Value>()).into_response())
}

/// `GET /api/security/clients/{endpoint}`
async fn client(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Extension(purpose): Extension<CredentialPurpose>,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    let all = by_endpoint(&app, &principal, purpose, Some(endpoint)).await?;
    match all.values().next() {
        Some(one) => Ok(Json(security_json(one)).into_response()),
        None => Ok(not_found()),
    }
}

/// `PUT /api/security/clients`: in place of all that the device had.
async fn put(
    State(app): State<Arc<App>>,
    Extension(purpose): Extension<CredentialPurpose>,
    Author(principal): Author,
    body: Bytes,
) -> Answer {
    let body = Zeroizing::new(Vec::from(body));
    // Its own words might quote a key.
    let info: SecurityInfo = serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad_request(format!(
            "line {line}, column {column}: this is no security information, as in \
             {{\"endpoint\":\"…\",\"tls\":{{\"mode\":\"psk\",\"details\":{{\"identity\":\"…\",\"key\":\"hex\"}}}}}}"
        ))
    })?;
    let (endpoint, proof) = info.proof()?;
    commands::replace(&app, &principal, purpose, &endpoint, &proof).await.map_err(failed)?;
    Ok(StatusCode::OK.into_response())
}

/// `DELETE /api/security/clients/{endpoint}`
async fn delete(
    State(app): State<Arc<App>>,
    Extension(purpose): Extension<CredentialPurpose>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    if !commands::remove_all(&app, &principal, purpose, &endpoint).await.map_err(failed)? {
        return Ok(not_found());
    }
    Ok(StatusCode::OK.into_response())
}

fn not_found() -> Response {
    Json(json!({"message": "not_found"})).into_response()
}

/// `GET /api/security/server`, and `/api/server/security`: what clients are to be told of the server.
pub(super) async fn server(State(app): State<Arc<App>>) -> Json<Value> {
    let key = app.identity().own.public();
    let (x, y) = key.point()[1..].split_at(32);
    let public = json!({
        "x": hex::encode(x),
        "y": hex::encode(y),
        "params": "secp256r1",
        "b64Der": Base64::encode_string(&key.to_spki()),
    });
    let certificate = json!({"pubkey": public, "b64Der": Base64::encode_string(&app.identity().certificate)});
    Json(json!({"pubkey": public, "certificate": certificate}))
}
