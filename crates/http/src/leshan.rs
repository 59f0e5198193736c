//! The REST interface of Leshan's demo server, so that the scripts that people have go on working: `/api/clients`, `/api/event`,
//! `/api/objectspecs`, `/api/security`, `/api/server`, `/api/bootstrap`.
//!
//! A slash at the end of a path is passed over before it gets here (`slash`). Leshan's bootstrap server has the same interface on a port of
//! its own, with its own credentials: [`bootstrap_routes`].
//!
//! Where Leshan is poor this is better rather than the same: a value of the wrong type is 400 and not 500, an unknown format or
//! time-out is 400 and not ignored.

mod bootstrap;
mod clients;
mod events;
mod object_specs;
mod requests;
mod security;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use buoy_api::CredentialPurpose;
use buoy_lwm2m::text::harmless;
use buoy_services::access::Forbidden;
use buoy_services::app::App;
use buoy_services::devices::DeviceError;
use buoy_services::event_words::permit_events;
use serde_json::{Value, json};

use crate::v1::Author;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/clients", get(clients::all))
        .route("/api/clients/{endpoint}", get(clients::one))
        .merge(requests::routes())
        .route("/api/objectspecs/{endpoint}", get(object_specs::of_device))
        .route("/api/server/endpoint", get(server_endpoint))
        .merge(common_routes(CredentialPurpose::Lwm2m))
        .merge(bootstrap::routes())
}

/// What Leshan's bootstrap server has on its port.
pub(super) fn bootstrap_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/server/endpoint", get(bootstrap_endpoint))
        .merge(common_routes(CredentialPurpose::Bootstrap))
        .merge(bootstrap::routes())
}

/// What both servers have, each with its own credentials.
fn common_routes(purpose: CredentialPurpose) -> Router<Arc<App>> {
    Router::new()
        .route("/api/event", get(event))
        .route("/api/server/security", get(security::server))
        .merge(security::routes(purpose))
}

/// A refusal in Leshan's manner: a status and a line of text.
struct Plain(StatusCode, String);

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        // It may quote a device, and is read on a terminal.
        let text = harmless(&self.1).to_string();
        (self.0, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}

fn bad_request(reason: impl std::fmt::Display) -> Plain {
    Plain(StatusCode::BAD_REQUEST, format!("Invalid request: {reason}"))
}

type Answer = Result<Response, Plain>;
type Parameters = HashMap<String, String>;

fn unknown(endpoint: &str) -> Plain {
    Plain(StatusCode::BAD_REQUEST, format!("No registered client with id '{endpoint}'"))
}

fn forbidden(error: Forbidden) -> Plain {
    Plain(StatusCode::FORBIDDEN, error.to_string())
}

/// Why nothing is shown of a client.
fn no_client(endpoint: &str, error: DeviceError) -> Plain {
    match error {
        DeviceError::Forbidden(error) => forbidden(error),
        _ => unknown(endpoint),
    }
}

async fn event(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Answer {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !accepts.contains("text/event-stream") {
        let reason = "This is an event stream: ask with the header Accept: text/event-stream";
        return Err(Plain(StatusCode::METHOD_NOT_ALLOWED, reason.into()));
    }
    let endpoint = parameters.get("ep").cloned();
    permit_events(&app, &principal, endpoint.as_deref()).await.map_err(forbidden)?;
    Ok(events::leshan_stream(app, principal, endpoint).into_response())
}

async fn server_endpoint(State(app): State<Arc<App>>) -> Json<Value> {
    endpoints(app.addresses().coap_uri(), app.addresses().coaps_uri())
}

async fn bootstrap_endpoint(State(app): State<Arc<App>>) -> Json<Value> {
    endpoints(app.addresses().bootstrap_uri(), app.addresses().bootstraps_uri())
}

fn endpoints(plain: Option<String>, secure: Option<String>) -> Json<Value> {
    let mut endpoints = Vec::new();
    if let Some(uri) = plain {
        endpoints.push(json!({
            "uri": uri, "protocol": "coap", "description": "CoAP over UDP, without security"
        }));
    }
    if let Some(uri) = secure {
        endpoints.push(json!({ "uri": uri, "protocol": "coaps", "description": "CoAP over DTLS" }));
    }
    Json(Value::Array(endpoints))
}
