//! Operations on devices: resources with a state, whether the device is awake or sleeps for a week.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::path::Path;
use buoy_server::{Body, Downlink, Durability, OperationId, OperationRecord, OperationState};
use buoy_store::OperationFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::devices::no_device;
use super::idempotency::Key;
use super::request::Target;
use super::{Answer, JsonBody, Problem, Queries, Segments, check_store, limit, not_saved, values};
use buoy_services::app::{App, SLEEPER_PATIENCE};
use buoy_services::changes;
use buoy_services::values::DeviceModels;

const DEFAULT_WAIT: u64 = 5;
const LONGEST_WAIT: u64 = 600;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
const LONGEST_DEADLINE: u64 = 30 * 24 * 60 * 60;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OperationQuery {
    /// Only of this device.
    endpoint: Option<String>,
    /// Only those that have ended, or have not.
    ended: Option<bool>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; 100 unless told.
    limit: Option<usize>,
}

/// Asks a device for something, and waits a while for its answer.
#[utoipa::path(
    post, path = "/api/v1/operations", tag = "operations", request_body = api::StartOperation,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "It has ended; or the request with this Idempotency-Key made it before", body = api::Operation),
        (status = 202, description = "It goes on; Location tells where to ask", body = api::Operation),
        (status = 400, description = "The request is wrong", body = api::Problem),
        (status = 404, description = "No device of this name is registered", body = api::Problem),
        (status = 409, description = "A request with this Idempotency-Key is under way", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::StartOperation>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let wait = bounded("wait", request.wait.unwrap_or(DEFAULT_WAIT), LONGEST_WAIT)?;
    let deadline = request.deadline.map(|deadline| bounded("deadline", deadline, LONGEST_DEADLINE));
    let deadline = deadline.transpose()?;
    let key = Key::of(&app, &headers, "operation", &request).await?;
    if let Key::Known(id) = key {
        return Ok(Json(operation_json(&app, &stored(&app, id).await?).await).into_response());
    }
    let registration = app.registration(&request.endpoint).await;
    let registration = registration.ok_or_else(|| no_device(&request.endpoint))?;
    let target = Target {
        models: DeviceModels::of(&app.models, &registration.objects),
        observations: app.observations(&request.endpoint).await,
    };
    let (downlink, intent) = target.request(&request.request).map_err(Problem::bad_request)?;
    let patience = deadline.unwrap_or(match registration.queue_mode {
        true => SLEEPER_PATIENCE,
        false => DEFAULT_DEADLINE,
    });
    let id = OperationId(app.next_operation.fetch_add(1, Ordering::Relaxed));
    // Before it can be carried out: who repeats the request after a crash must not have it done twice.
    key.save(id.0).await?;
    let end = app.submit_as(id, &registration.endpoint, downlink, intent, Durability::Durable, patience);
    // Whatever it is by then is in the store.
    let _ = tokio::time::timeout(wait, end).await;
    app.journal.flush().await.map_err(not_saved)?;
    let operation = operation_json(&app, &stored(&app, id.0).await?).await;
    let status = if operation.ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = [(header::LOCATION, format!("/api/v1/operations/{}", id.0))];
    Ok((status, location, Json(operation)).into_response())
}

fn bounded(name: &str, seconds: u64, most: u64) -> Result<Duration, Problem> {
    if seconds > most || (seconds == 0 && name == "deadline") {
        let detail = format!("\"{name}\" is {seconds} seconds, and may be {most} at most");
        return Err(Problem::bad_request(detail));
    }
    Ok(Duration::from_secs(seconds))
}

/// The operations, the newest first.
#[utoipa::path(
    get, path = "/api/v1/operations", tag = "operations", params(OperationQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Operation>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Queries(query): Queries<OperationQuery>,
) -> Answer<api::Page<api::Operation>> {
    let limit = limit(query.limit)?;
    let page = buoy_store::Page { before: query.after.unwrap_or(u64::MAX), limit };
    let (endpoint, ended) = (query.endpoint, query.ended);
    let rows = app
        .read(move |store| store.operations(&OperationFilter { endpoint: endpoint.as_deref(), ended }, page))
        .await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    let items = rows.iter().filter_map(changes::operation_record).map(|record| summary(&record)).collect();
    Ok(Json(api::Page { items, next }))
}

/// One operation, with what the device answered.
#[utoipa::path(
    get, path = "/api/v1/operations/{id}", tag = "operations", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The operation", body = api::Operation),
        (status = 404, description = "There is none of this id", body = api::Problem),
    )
)]
pub(super) async fn one(State(app): State<Arc<App>>, Segments(id): Segments<u64>) -> Answer<api::Operation> {
    Ok(Json(operation_json(&app, &stored(&app, id).await?).await))
}

/// Cancels an operation. What the device has been sent already it may still carry out.
#[utoipa::path(
    delete, path = "/api/v1/operations/{id}", tag = "operations", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is cancelled", body = api::Operation),
        (status = 404, description = "There is none of this id", body = api::Problem),
        (status = 409, description = "It has ended already", body = api::Problem),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Segments(id): Segments<u64>,
) -> Answer<api::Operation> {
    let record = stored(&app, id).await?;
    if !app.cancel(&record.endpoint, OperationId(id)).await {
        let detail = format!("operation {id} has ended already");
        return Err(Problem::new(StatusCode::CONFLICT, "Too late", detail));
    }
    // The end is saved by the same journal, after what was asked before; so it is waited for.
    app.journal.flush().await.map_err(not_saved)?;
    Ok(Json(operation_json(&app, &stored(&app, id).await?).await))
}

async fn stored(app: &Arc<App>, id: u64) -> Result<OperationRecord, Problem> {
    let row = app.read(move |store| store.operation(id)).await?;
    let record = row.as_ref().and_then(changes::operation_record);
    record.ok_or_else(|| Problem::not_found(format!("there is no operation {id}")))
}

/// An operation with all that the device answered.
async fn operation_json(app: &App, record: &OperationRecord) -> api::Operation {
    let mut operation = summary(record);
    let Some(answer) = record.answer.as_ref() else { return operation };
    let code = Code::from_byte(answer.code);
    if !code.is_success() {
        return operation;
    }
    operation.location = Some(answer.location.clone()).filter(|it| !it.is_empty()).map(|it| format!("/{it}"));
    let format = answer.format.map(ContentFormat);
    if format == Some(ContentFormat::LINK) {
        operation.links = Some(values::links(&answer.payload));
    } else if code == Code::CONTENT {
        let registration = app.registration(&record.endpoint).await;
        let models = match &registration {
            Some(registration) => DeviceModels::of(&app.models, &registration.objects),
            None => DeviceModels::of_any(&app.models),
        };
        let base = lwm2m_path(&operation.path).unwrap_or(Path::ROOT);
        let format = format.unwrap_or(ContentFormat::TEXT);
        match values::decode(&models, format, base, &answer.payload, record.changed_at) {
            Ok(values) => operation.values = Some(values),
            Err(error) => operation.detail = Some(format!("the device's answer cannot be read: {error}")),
        }
    }
    operation
}

/// The path without the root below which the device has its objects.
fn lwm2m_path(path: &str) -> Option<Path> {
    let is_number = |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let ids = segments.iter().rev().take_while(|segment| is_number(segment)).count();
    format!("/{}", segments[segments.len() - ids..].join("/")).parse().ok()
}

fn summary(record: &OperationRecord) -> api::Operation {
    let options = record
        .options
        .iter()
        .map(|(number, value)| (buoy_coap::number::OptionNumber(*number), value.clone()));
    let request = Downlink {
        code: Code::from_byte(record.code),
        options: options.collect(),
        payload: Body::new([0u8; 0]),
    };
    let path = request.path();
    let refusal = record.answer.as_ref().filter(|answer| !Code::from_byte(answer.code).is_success());
    let words = refusal.map(|answer| String::from_utf8_lossy(&answer.payload).into_owned());
    api::Operation {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        state: state_name(record.state).into(),
        ended: !matches!(record.state, OperationState::Queued | OperationState::Sent),
        method: request.code.name().unwrap_or("?").into(),
        path: if path.is_empty() { "/".into() } else { path },
        created_at: record.created_at,
        changed_at: record.changed_at,
        deadline: record.deadline,
        code: record.answer.as_ref().map(|answer| Code::from_byte(answer.code).to_string()),
        detail: record.failure.map(|failure| failure.to_string()).or(words).filter(|text| !text.is_empty()),
        values: None,
        links: None,
        location: None,
    }
}

fn state_name(state: OperationState) -> &'static str {
    match state {
        OperationState::Queued => "queued",
        OperationState::Sent => "sent",
        OperationState::Succeeded => "succeeded",
        OperationState::Failed => "failed",
        OperationState::Expired => "expired",
        OperationState::Cancelled => "cancelled",
    }
}
