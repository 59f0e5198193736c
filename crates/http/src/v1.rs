//! Buoy's own REST interface, `/api/v1`: lists in pages, errors as problem documents, long work as resources with a state.

mod accounts;
mod alerts;
mod audit;
mod bootstrap;
mod campaigns;
mod conditional;
mod credentials;
mod desired;
mod devices;
mod events;
mod firmware;
mod groups;
mod idempotency;
mod jobs;
mod json_words;
mod lifecycle;
mod openapi;
mod operations;
mod provider;
mod receivers;
mod series;
mod sign_in;
mod tokens;
mod trace;
mod updates;
mod why;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{delete, get, post, put};
use axum::{Json, RequestExt, Router, middleware};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::MAX_BODY;
use super::arrival::Refusal;
use super::error::Problem;
use buoy_services::app::App;
use buoy_services::journal;
use buoy_services::principal::Principal;

pub(super) use conditional::matches as is_tagged;
pub use openapi::document;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .route("/api/v1/devices", get(devices::list).post(devices::import))
        .route("/api/v1/devices/import", post(devices::import_csv))
        .route("/api/v1/devices/{endpoint}", get(devices::one).patch(devices::change).delete(devices::forget))
        .route("/api/v1/devices/{endpoint}/values", get(devices::values))
        .route("/api/v1/devices/{endpoint}/retire", post(lifecycle::retire))
        .route("/api/v1/devices/{endpoint}/bring-back", post(lifecycle::bring_back))
        .route("/api/v1/devices/{endpoint}/merge", post(lifecycle::merge))
        .route("/api/v1/devices/{endpoint}/why", get(why::why))
        .route("/api/v1/device-counts", get(devices::counts))
        .route("/api/v1/devices/{endpoint}/objects", get(devices::objects))
        .route("/api/v1/devices/{endpoint}/observations", get(devices::observations))
        .route("/api/v1/devices/{endpoint}/series", get(devices::series))
        .route("/api/v1/devices/{endpoint}/series/{*path}", get(devices::samples))
        .route("/api/v1/operations", get(operations::list).post(operations::start))
        .route("/api/v1/operations/{id}", get(operations::one).delete(operations::cancel))
        .route("/api/v1/firmware", get(firmware::list).post(firmware::upload))
        .route("/api/v1/firmware/{digest}", get(firmware::one).delete(firmware::remove))
        .route("/api/v1/firmware/{digest}/signature", put(firmware::upload_signature))
        .route("/api/v1/credentials", get(credentials::list).post(credentials::add))
        .route("/api/v1/credentials/import", post(credentials::import))
        .route("/api/v1/credentials/{id}", get(credentials::one).delete(credentials::remove))
        .route("/api/v1/credentials/{id}/rotate", post(credentials::rotate))
        .route("/api/v1/credentials/{id}/revoke", post(credentials::revoke))
        .route("/api/v1/updates", get(updates::list).post(updates::start))
        .route("/api/v1/updates/{id}", get(updates::one))
        .route("/api/v1/updates/{id}", delete(updates::cancel))
        .route("/api/v1/campaigns", get(campaigns::list).post(campaigns::add))
        .route("/api/v1/campaigns/preview", post(campaigns::preview))
        .route("/api/v1/campaigns/rehearse", post(campaigns::rehearse))
        .route("/api/v1/campaigns/{id}", get(campaigns::one).put(campaigns::change).delete(campaigns::remove))
        .route("/api/v1/campaigns/{id}/devices", get(campaigns::devices))
        .route("/api/v1/campaigns/{id}/report", get(campaigns::report))
        .route("/api/v1/campaigns/{id}/start", post(campaigns::start))
        .route("/api/v1/campaigns/{id}/approve", post(campaigns::approve))
        .route("/api/v1/campaigns/{id}/pause", post(campaigns::pause))
        .route("/api/v1/campaigns/{id}/resume", post(campaigns::resume))
        .route("/api/v1/campaigns/{id}/retry", post(campaigns::retry))
        .route("/api/v1/campaigns/{id}/abort", post(campaigns::abort))
        .route("/api/v1/desired-states", get(desired::list))
        .route("/api/v1/desired-states/{name}", get(desired::one).put(desired::put).delete(desired::remove))
        .route("/api/v1/desired-states/{name}/devices", get(desired::devices))
        .route("/api/v1/devices/{endpoint}/desired-state", get(desired::of_device))
        .route("/api/v1/devices/{endpoint}/desired-state/retry", post(desired::retry))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::start))
        .route("/api/v1/jobs/preview", post(jobs::preview))
        .route("/api/v1/jobs/{id}", get(jobs::one).delete(jobs::remove))
        .route("/api/v1/jobs/{id}/devices", get(jobs::devices))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/acknowledge", post(alerts::acknowledge))
        .route("/api/v1/alert-rules", get(alerts::rules))
        .route("/api/v1/alert-rules/defaults", post(alerts::put_defaults))
        .route(
            "/api/v1/alert-rules/{name}",
            get(alerts::rule).put(alerts::put_rule).delete(alerts::remove_rule),
        )
        .route("/api/v1/alert-silences", get(alerts::silences).post(alerts::add_silence))
        .route("/api/v1/alert-silences/{id}", delete(alerts::remove_silence))
        .route("/api/v1/alert-receivers", get(receivers::list))
        .route(
            "/api/v1/alert-receivers/{name}",
            get(receivers::one).put(receivers::put).delete(receivers::remove),
        )
        .route("/api/v1/alert-receivers/{name}/test", post(receivers::test))
        .route("/api/v1/alert-deliveries", get(receivers::deliveries))
        .route("/api/v1/alert-deliveries/{id}/replay", post(receivers::replay))
        .route("/api/v1/groups", get(groups::list))
        .route("/api/v1/groups/{name}", get(groups::one).put(groups::put).delete(groups::remove))
        .route("/api/v1/groups/{name}/devices", post(groups::change_devices))
        .route("/api/v1/filters", get(groups::filters))
        .route("/api/v1/filters/{name}", put(groups::put_filter).delete(groups::remove_filter))
        .route("/api/v1/device-matches", get(groups::explain))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/chain", get(audit::chain))
        .route("/api/v1/setup", get(sign_in::setup_state).post(sign_in::set_up))
        .route("/api/v1/sign-in", post(sign_in::sign_in))
        .route("/api/v1/sign-in/link", post(sign_in::sign_in_by_link))
        .route("/api/v1/sign-out", post(sign_in::sign_out))
        .route("/api/v1/me", get(sign_in::me))
        .route("/api/v1/me/password", put(sign_in::change_password))
        .route("/api/v1/me/second-factor", post(sign_in::prepare_second_factor))
        .route("/api/v1/me/second-factor/confirm", post(sign_in::confirm_second_factor))
        .route("/api/v1/me/second-factor/remove", post(sign_in::remove_second_factor))
        .route("/api/v1/accounts", get(accounts::list).post(accounts::add))
        .route("/api/v1/accounts/{name}", get(accounts::one).put(accounts::edit).delete(accounts::remove))
        .route("/api/v1/accounts/{name}/sign-in-link", post(accounts::make_sign_in_link))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::add))
        .route("/api/v1/tokens/{id}", delete(tokens::remove))
        .route("/api/v1/bootstrap/configs", get(bootstrap::configs).put(bootstrap::put_config))
        .route("/api/v1/bootstrap/configs/{pattern}", get(bootstrap::config).delete(bootstrap::remove_config))
        .route("/api/v1/bootstrap/claims", get(bootstrap::claims))
        .route("/api/v1/bootstrap/claims/{endpoint}", delete(bootstrap::forget))
        .route("/api/v1/bootstrap/claims/{endpoint}/accept", post(bootstrap::accept))
        .layer(middleware::from_fn(conditional::answer))
        // For browsers, which are sent away by them: they have no entity tag, and are not in the document.
        .route("/api/v1/sign-in/provider", get(provider::begin))
        .route(buoy_services::provider::CALLBACK, get(provider::callback))
        // Outside of the layer: it would hold the whole answer for its entity tag.
        .route("/api/v1/series", get(series::export))
        // An event stream doesn't end, so it can't have an entity tag.
        .route("/api/v1/events", get(events::stream))
        .route("/api/v1/devices/{endpoint}/trace", get(trace::stream))
}

type Answer<T> = Result<Json<T>, Problem>;

/// The author of a request, whom `arrival` has found out.
pub(crate) struct Author(pub(crate) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Author {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let principal = parts.extensions.get::<Principal>().cloned();
        principal.map(Self).ok_or(Refusal::NotSignedIn("this needs a sign-in"))
    }
}

/// A query whose errors are problem documents.
struct Queries<T>(T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequestParts<S> for Queries<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) =
            Query::<T>::from_request_parts(parts, state).await.map_err(|error: QueryRejection| {
                Problem::bad_request(json_words::of_query(&error.body_text()))
            })?;
        Ok(Self(value))
    }
}

/// Parts of the path whose errors are problem documents.
struct Segments<T>(T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error: PathRejection| Problem::bad_request(error.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON body whose errors are problem documents with the names of the interface.
struct JsonBody<T>(T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> axum::extract::FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers(), "application/json")?;
        let bytes = request.extract::<Bytes, _>().await;
        let bytes = bytes.map_err(|error| not_taken(error.status(), error.body_text()))?;
        // It may contain a key.
        let bytes = Zeroizing::new(Vec::from(bytes));
        json_words::parse(&bytes).map(Self).map_err(|fault| Problem::bad_request(fault.to_string()))
    }
}

/// A body of bytes.
struct BytesBody(Bytes);

impl<S: Send + Sync> axum::extract::FromRequest<S> for BytesBody {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers(), "application/octet-stream")?;
        raw(request).await.map(Self)
    }
}

/// A table as text.
struct CsvBody(Bytes);

impl<S: Send + Sync> axum::extract::FromRequest<S> for CsvBody {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers(), "text/csv")?;
        raw(request).await.map(Self)
    }
}

async fn raw(request: axum::extract::Request) -> Result<Bytes, Problem> {
    let bytes = request.extract::<Bytes, _>().await;
    bytes.map_err(|error| not_taken(error.status(), error.body_text()))
}

/// Refuses a body of another type. It is a mistake, or a form of another site's page: pages may send some types without a preflight
/// request (CORS-safelisted types in the Fetch standard).
fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = told.split(';').next().unwrap_or_default().trim();
    let is_json = |kind: &str| {
        wanted == "application/json" && kind.starts_with("application/") && kind.ends_with("+json")
    };
    if kind.eq_ignore_ascii_case(wanted) || is_json(kind) {
        return Ok(());
    }
    let told = if kind.is_empty() { "none".to_owned() } else { format!("{kind:?}") };
    let detail = format!("the header Content-Type has to be {wanted} here, and is {told}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", detail))
}

fn not_taken(status: StatusCode, reason: String) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body of a request may have {MAX_BODY} bytes");
        return Problem::new(status, "The body is too large", detail);
    }
    Problem::bad_request(reason)
}

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        other => Err(Problem::bad_request(format!("limit is {other}, and must be 1 to {MAX_LIMIT}"))),
    }
}

fn not_saved(error: journal::NotSaved) -> Problem {
    match error {
        journal::NotSaved::Stopped => {
            let detail = "the server is stopping; try again later";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Stopping", detail)
        }
        journal::NotSaved::Rejected(rejection) => {
            Problem::new(StatusCode::CONFLICT, "The store refused the change", rejection.to_string())
        }
        journal::NotSaved::Trouble(trouble) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The store failed", trouble)
        }
    }
}

/// Refuses a request that needs the store while the store fails.
fn check_store(app: &App) -> Result<(), Problem> {
    app.check_store().map_err(not_saved)
}
