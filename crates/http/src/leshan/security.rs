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
use buoy_dtls::crypto::PublicKey;
use buoy_store::{CredentialFilter, CredentialKind, CredentialRow, CredentialState, Page, Purpose};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::v1::Author;

use super::{Answer, Plain, bad_request};
use buoy_services::app::App;
use buoy_services::credentials::{ChangeError, NewCredential, Proof};
use buoy_services::hex;

/// Leshan's list has no pages.
const MOST: usize = 10_000;

/// For the credentials of one of the two servers.
pub(super) fn routes(purpose: Purpose) -> Router<Arc<App>> {
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
    fn credential(self, purpose: Purpose) -> Result<NewCredential, String> {
        if self.oscore.is_some() {
            return Err("OSCORE is not spoken here".into());
        }
        let proof = match self.tls.ok_or("\"tls\" is missing")? {
            Tls::Psk { identity, key } => Proof::psk(&identity, key.reveal())?,
            Tls::Rpk { key } => Proof::rpk(&key)?,
            Tls::X509 => Proof::x509(None)?,
        };
        NewCredential::new(purpose, &self.endpoint, proof)
    }
}

fn not_changed(error: ChangeError) -> Plain {
    match error {
        ChangeError::Refused { refusal, .. } => bad_request(refusal),
        ChangeError::NoSuchCredential => bad_request("there is no such credential any more"),
        ChangeError::NotSaved(error) => Plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        ChangeError::Failed(error) => Plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

/// Those of one device, or of all.
async fn rows(
    app: &Arc<App>,
    purpose: Purpose,
    endpoint: Option<String>,
) -> Result<Vec<CredentialRow>, Plain> {
    let read = move |store: &dyn buoy_store::Reader| {
        let filter = CredentialFilter { endpoint: endpoint.as_deref(), purpose: Some(purpose) };
        store.credentials(&filter, Page { before: u64::MAX, limit: MOST })
    };
    let rows =
        app.read(read).await.map_err(|error| Plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(rows.into_iter().filter(|row| row.state != CredentialState::Revoked).collect())
}

/// A device has one security in Leshan: the active one, or else the newest.
fn by_endpoint(rows: Vec<CredentialRow>) -> BTreeMap<String, CredentialRow> {
    let mut all = BTreeMap::new();
    for row in rows {
        let is_better = row.state == CredentialState::Active;
        if is_better || !all.contains_key(&row.endpoint) {
            all.insert(row.endpoint.clone(), row);
        }
    }
    all
}

fn security_json(row: &CredentialRow) -> Value {
    let tls = match row.kind {
        CredentialKind::Psk => {
            json!({"mode": "psk", "details": {"identity": String::from_utf8_lossy(&row.identity)}})
        }
        CredentialKind::Rpk => {
            let point = <[u8; 65]>::try_from(row.identity.as_slice());
            let key = point.map(|point| hex::encode(&PublicKey::from_point(point).to_spki()));
            json!({"mode": "rpk", "details": {"key": key.unwrap_or_default()}})
        }
        CredentialKind::X509 => json!({"mode": "x509"}),
    };
    json!({"endpoint": row.endpoint, "tls": tls})
}

/// `GET /api/security/clients`
async fn clients(State(app): State<Arc<App>>, Extension(purpose): Extension<Purpose>) -> Answer {
    let all = by_endpoint(rows(&app, purpose, None).await?);
    Ok(Json(all.values().map(security_json).collect::<Value>()).into_response())
}

/// `GET /api/security/clients/{endpoint}`
async fn client(
    State(app): State<Arc<App>>,
    Extension(purpose): Extension<Purpose>,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    let all = by_endpoint(rows(&app, purpose, Some(endpoint)).await?);
    match all.values().next() {
        Some(row) => Ok(Json(security_json(row)).into_response()),
        None => Ok(not_found()),
    }
}

/// `PUT /api/security/clients`: in place of all that the device had.
async fn put(
    State(app): State<Arc<App>>,
    Extension(purpose): Extension<Purpose>,
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
    let new = info.credential(purpose).map_err(bad_request)?;
    app.credentials.replace(&principal, new, app.now()).await.map_err(not_changed)?;
    Ok(StatusCode::OK.into_response())
}

/// `DELETE /api/security/clients/{endpoint}`
async fn delete(
    State(app): State<Arc<App>>,
    Extension(purpose): Extension<Purpose>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    if !app.credentials.remove_all(&principal, purpose, &endpoint, app.now()).await.map_err(not_changed)? {
        return Ok(not_found());
    }
    Ok(StatusCode::OK.into_response())
}

fn not_found() -> Response {
    Json(json!({"message": "not_found"})).into_response()
}

/// `GET /api/security/server`, and `/api/server/security`: what clients are to be told of the server.
pub(super) async fn server(State(app): State<Arc<App>>) -> Json<Value> {
    let key = app.identity.own.public();
    let (x, y) = key.point()[1..].split_at(32);
    let public = json!({
        "x": hex::encode(x),
        "y": hex::encode(y),
        "params": "secp256r1",
        "b64Der": Base64::encode_string(&key.to_spki()),
    });
    let certificate = json!({"pubkey": public, "b64Der": Base64::encode_string(&app.identity.certificate)});
    Json(json!({"pubkey": public, "certificate": certificate}))
}
