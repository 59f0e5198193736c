//! Buoy's own REST interface, `/api/v1`: lists in pages, errors as problem documents, long work as resources with a state.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use axum::{Json, RequestExt};
use buoy_api as api;
use buoy_coap::number::Code;
use buoy_fleet::update::{self, End, Goal, Patience, Stage, Update};
use buoy_lwm2m::link::ObjectLinks;
use buoy_server::{Downlink, OperationId, OperationRecord, OperationState, RegistrationView};
use buoy_store::{FirmwareRow, OperationFilter, Sample};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::nodes;
use crate::serve::app::App;
use crate::serve::firmware::{self, MAX_SIGNATURE};
use crate::serve::journal;
use crate::serve::updates::StartError;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/devices/{endpoint}", get(device))
        .route("/api/v1/devices/{endpoint}/series", get(series))
        .route("/api/v1/devices/{endpoint}/series/{*path}", get(samples))
        .route("/api/v1/operations", get(operations))
        .route("/api/v1/operations/{id}", get(operation).delete(cancel_operation))
        .route("/api/v1/firmware", get(firmware_list).post(upload))
        .route("/api/v1/firmware/{digest}", delete(delete_firmware))
        .route("/api/v1/firmware/{digest}/signature", put(upload_signature))
        .route("/api/v1/updates", get(updates).post(start_update))
        .route("/api/v1/updates/{id}", get(one_update).delete(cancel_update))
}

type Answer<T> = Result<Json<T>, Problem>;

/// A query whose errors are problem documents.
struct Queries<T>(T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequestParts<S> for Queries<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error: QueryRejection| Problem::bad_request(error.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON body whose errors are problem documents.
struct JsonBody<T>(T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> axum::extract::FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        let Json(value) = request
            .extract::<Json<T>, _>()
            .await
            .map_err(|error: JsonRejection| Problem::bad_request(error.body_text()))?;
        Ok(Self(value))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceQuery {
    after: Option<String>,
    limit: Option<usize>,
    /// Only endpoints that start so.
    prefix: Option<String>,
    asleep: Option<bool>,
    /// Only devices that have this object, as in "3303".
    object: Option<u16>,
}

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        other => Err(Problem::bad_request(format!("limit is {other}, and must be 1 to {MAX_LIMIT}"))),
    }
}

async fn devices(
    State(app): State<Arc<App>>,
    Queries(query): Queries<DeviceQuery>,
) -> Answer<api::Page<api::Device>> {
    let limit = limit(query.limit)?;
    let matches = |device: &&RegistrationView| {
        let starts = query.prefix.as_deref().is_none_or(|prefix| device.endpoint.starts_with(prefix));
        let sleeps = query.asleep.is_none_or(|asleep| device.asleep == asleep);
        let after = query.after.as_deref().is_none_or(|after| &*device.endpoint > after);
        starts && sleeps && after && query.object.is_none_or(|object| has_object(device, object))
    };
    let all = app.registrations().await;
    let mut items: Vec<_> = all.iter().filter(matches).take(limit + 1).map(device_json).collect();
    let next = (items.len() > limit).then(|| items.pop()).flatten().and_then(|_| items.last());
    let next = next.map(|last| last.endpoint.clone());
    Ok(Json(api::Page { items, next }))
}

fn has_object(device: &RegistrationView, object: u16) -> bool {
    ObjectLinks::parse(device.objects.as_bytes())
        .is_ok_and(|links| links.iter().any(|entry| entry.path.object_id() == Some(object)))
}

async fn device(State(app): State<Arc<App>>, Path(endpoint): Path<String>) -> Answer<api::Device> {
    let device = app.registration(&endpoint).await;
    device.as_ref().map(device_json).map(Json).ok_or_else(|| no_device(&endpoint))
}

fn no_device(endpoint: &str) -> Problem {
    Problem::not_found(format!("no device named {endpoint} is registered"))
}

fn device_json(device: &RegistrationView) -> api::Device {
    let objects = match ObjectLinks::parse(device.objects.as_bytes()) {
        Ok(links) => links.iter().map(|entry| entry.path.to_string()).collect(),
        Err(_) => Vec::new(),
    };
    api::Device {
        endpoint: device.endpoint.to_string(),
        registration: device.id().to_owned(),
        address: device.address.to_string(),
        lwm2m: format!("{}.{}", device.version.0, device.version.1),
        binding: device.attributes.binding.to_string(),
        lifetime: device.lifetime,
        queue_mode: device.queue_mode,
        asleep: device.asleep,
        registered_at: device.registered_at,
        last_contact: device.last_contact,
        objects,
    }
}

async fn series(State(app): State<Arc<App>>, Path(endpoint): Path<String>) -> Answer<api::Page<String>> {
    let items = app.read(move |store| store.series(&endpoint)).await?;
    Ok(Json(api::Page { items, next: None }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleQuery {
    /// Milliseconds since the epoch.
    from: Option<u64>,
    to: Option<u64>,
    limit: Option<usize>,
    /// Milliseconds: one summary for each such stretch, in place of the values.
    step: Option<u64>,
}

async fn samples(
    State(app): State<Arc<App>>,
    Path((endpoint, path)): Path<(String, String)>,
    Queries(query): Queries<SampleQuery>,
) -> Result<Response, Problem> {
    let range = query.from.unwrap_or(0)..query.to.unwrap_or(u64::MAX);
    let path = format!("/{path}");
    if let Some(step) = query.step {
        if step == 0 {
            return Err(Problem::bad_request("step must be at least one millisecond"));
        }
        let rows = app.read(move |store| store.summary(&endpoint, &path, range, step)).await?;
        let items: Vec<_> = rows
            .into_iter()
            .map(|row| api::Summary {
                at: row.at,
                count: row.count,
                min: row.min,
                max: row.max,
                mean: row.mean,
            })
            .collect();
        return Ok(Json(api::Page { items, next: None }).into_response());
    }
    let limit = limit(query.limit)?;
    let mut rows = app.read(move |store| store.samples(&endpoint, &path, range, limit + 1)).await?;
    // The next page starts with the first value that is not on this one.
    let next = (rows.len() > limit).then(|| rows.pop()).flatten().map(|(at, _)| at.to_string());
    let items: Vec<_> =
        rows.into_iter().map(|(at, value)| api::Sample { at, value: sample_json(value) }).collect();
    Ok(Json(api::Page { items, next }).into_response())
}

fn sample_json(value: Sample) -> serde_json::Value {
    match value {
        Sample::Integer(number) => number.into(),
        Sample::Float(number) => number.into(),
        Sample::Text(text) => text.into(),
        Sample::Opaque(bytes) => nodes::hex(&bytes).into(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationQuery {
    endpoint: Option<String>,
    /// Only those that have ended, or have not.
    ended: Option<bool>,
    after: Option<u64>,
    limit: Option<usize>,
}

async fn operations(
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
    let items =
        rows.iter().filter_map(journal::operation_record).map(|record| operation_json(&record)).collect();
    Ok(Json(api::Page { items, next }))
}

async fn operation(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Answer<api::Operation> {
    let record = stored_operation(&app, id).await?;
    Ok(Json(operation_json(&record)))
}

async fn stored_operation(app: &Arc<App>, id: u64) -> Result<OperationRecord, Problem> {
    let row = app.read(move |store| store.operation(id)).await?;
    let record = row.as_ref().and_then(journal::operation_record);
    record.ok_or_else(|| Problem::not_found(format!("there is no operation {id}")))
}

async fn cancel_operation(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Answer<api::Operation> {
    let record = stored_operation(&app, id).await?;
    if !app.cancel(&record.endpoint, OperationId(id)).await {
        let detail = format!("operation {id} has ended already");
        return Err(Problem::new(StatusCode::CONFLICT, "Too late", detail));
    }
    // The end is saved by the same journal, after what was asked before; so an empty edit waits for it.
    app.journal.edit(|_| Ok(())).await.map_err(stopping)?;
    let record = stored_operation(&app, id).await?;
    Ok(Json(operation_json(&record)))
}

fn stopping(_: journal::Stopped) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the server is stopping; try again later")
}

fn operation_json(record: &OperationRecord) -> api::Operation {
    let options = record
        .options
        .iter()
        .map(|(number, value)| (buoy_coap::number::OptionNumber(*number), value.clone()));
    let request = Downlink {
        code: Code::from_byte(record.code),
        options: options.collect(),
        payload: buoy_server::Body::new([0u8; 0]),
    };
    let state = match record.state {
        OperationState::Queued => "queued",
        OperationState::Sent => "sent",
        OperationState::Succeeded => "succeeded",
        OperationState::Failed => "failed",
        OperationState::Expired => "expired",
        OperationState::Cancelled => "cancelled",
    };
    let answered = record.answer.as_ref().and_then(|answer| String::from_utf8(answer.payload.clone()).ok());
    api::Operation {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        state: state.into(),
        method: request.code.name().unwrap_or("?").into(),
        path: request.path(),
        created_at: record.created_at,
        changed_at: record.changed_at,
        deadline: record.deadline,
        code: record.answer.as_ref().map(|answer| Code::from_byte(answer.code).to_string()),
        detail: record
            .failure
            .map(|failure| failure.to_string())
            .or(answered)
            .filter(|text| !text.is_empty()),
    }
}

async fn firmware_list(State(app): State<Arc<App>>) -> Json<api::Page<api::Firmware>> {
    let items = app.firmware.list().iter().map(|row| firmware_json(&app, row)).collect();
    Json(api::Page { items, next: None })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    name: Option<String>,
}

async fn upload(
    State(app): State<Arc<App>>,
    Queries(query): Queries<UploadQuery>,
    body: Bytes,
) -> Result<Response, Problem> {
    // The same image again keeps the signature that it has.
    let known = app.firmware.get(&firmware::digest_of(&body));
    let signature = known.and_then(|image| image.row.signature.clone());
    let row = firmware::add(&app, query.name, body.into(), signature)
        .await
        .map_err(|error| Problem::bad_request(format!("{error:#}")))?;
    Ok((StatusCode::CREATED, Json(firmware_json(&app, &row))).into_response())
}

async fn upload_signature(
    State(app): State<Arc<App>>,
    Path(digest): Path<String>,
    body: Bytes,
) -> Answer<api::Firmware> {
    let image = app.firmware.get(&digest).ok_or_else(|| no_firmware(&digest))?;
    if body.is_empty() || body.len() > MAX_SIGNATURE {
        let detail = format!("a signature has 1 to {MAX_SIGNATURE} bytes, and this one has {}", body.len());
        return Err(Problem::bad_request(detail));
    }
    let bytes = image.body.bytes().to_vec();
    let row = firmware::add(&app, Some(image.row.name.clone()), bytes, Some(body.into()))
        .await
        .map_err(|error| Problem::bad_request(format!("{error:#}")))?;
    Ok(Json(firmware_json(&app, &row)))
}

async fn delete_firmware(
    State(app): State<Arc<App>>,
    Path(digest): Path<String>,
) -> Result<StatusCode, Problem> {
    match firmware::remove(&app, &digest).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(no_firmware(&digest)),
        Err(error) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The store failed", format!("{error:#}")))
        }
    }
}

fn no_firmware(digest: &str) -> Problem {
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
        signed: row.signature.is_some(),
        coap_uri: coap_uri(app, &row.digest),
        http_uri: http_uri(app, &row.digest),
    }
}

fn coap_uri(app: &App, digest: &str) -> String {
    format!("coap://{}/{}", app.coap_address, firmware::coap_path(digest))
}

fn http_uri(app: &App, digest: &str) -> String {
    format!("http://{}/fw/{digest}", app.http_address)
}

async fn start_update(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<api::StartUpdate>,
) -> Result<Response, Problem> {
    let image = app.firmware.get(&request.firmware).ok_or_else(|| no_firmware(&request.firmware))?;
    let version = request.version.unwrap_or_else(|| image.row.version.clone());
    if version.is_empty() {
        return Err(Problem::bad_request(
            "the image says no version; name the one that the device will report in \"version\"",
        ));
    }
    let digest = image.row.digest.clone();
    let delivery = match request.delivery {
        api::Delivery::PullCoap => update::Delivery::Pull(coap_uri(&app, &digest)),
        api::Delivery::PullHttp => update::Delivery::Pull(http_uri(&app, &digest)),
        api::Delivery::Push => update::Delivery::Push,
    };
    let default = Patience::default();
    let patience = Patience {
        install: request.install_timeout.map_or(default.install, Duration::from_secs),
        download: request.download_timeout.map_or(default.download, Duration::from_secs),
        ..default
    };
    match app.updates.start(&request.endpoint, Goal { version, digest, delivery }, patience).await {
        Ok(update) => Ok((StatusCode::ACCEPTED, Json(update_json(&update))).into_response()),
        Err(StartError::AlreadyOpen(id)) => {
            let detail = format!("update {id} of {} is open; cancel it first", request.endpoint);
            Err(Problem::new(StatusCode::CONFLICT, "An update is open", detail))
        }
        Err(StartError::Stopping) => Err(stopping(journal::Stopped)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateQuery {
    endpoint: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

async fn updates(
    State(app): State<Arc<App>>,
    Queries(query): Queries<UpdateQuery>,
) -> Answer<api::Page<api::Update>> {
    let limit = limit(query.limit)?;
    let page = buoy_store::Page { before: query.after.unwrap_or(u64::MAX), limit };
    let rows = app.read(move |store| store.updates(query.endpoint.as_deref(), page)).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    let items = rows.iter().filter_map(Update::restore).map(|update| update_json(&update)).collect();
    Ok(Json(api::Page { items, next }))
}

async fn one_update(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Answer<api::Update> {
    let page = buoy_store::Page { before: id.saturating_add(1), limit: 1 };
    let rows = app.read(move |store| store.updates(None, page)).await?;
    let update = rows.iter().filter(|row| row.id == id).find_map(Update::restore);
    update.map(|update| Json(update_json(&update))).ok_or_else(|| no_update(id))
}

fn no_update(id: u64) -> Problem {
    Problem::not_found(format!("there is no update {id}"))
}

async fn cancel_update(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Answer<api::Update> {
    match app.updates.cancel(id).await {
        Some(update) => Ok(Json(update_json(&update))),
        None => Err(Problem::not_found(format!("there is no open update {id}"))),
    }
}

/// An update as the interface shows it.
pub(crate) fn update_json(update: &Update) -> api::Update {
    let history = update.history().iter();
    let history = history.map(|entry| api::UpdateStage { at: entry.at, detail: entry.stage.to_string() });
    api::Update {
        id: update.id(),
        endpoint: update.endpoint().to_owned(),
        firmware: update.goal().digest.clone(),
        version: update.goal().version.clone(),
        old_version: update.old_version().map(str::to_owned),
        state: state_name(update.stage()).into(),
        detail: update.stage().to_string(),
        ended: update.has_ended(),
        history: history.collect(),
    }
}

fn state_name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Inspecting => "inspecting",
        Stage::Ordering => "ordering",
        Stage::Downloading => "downloading",
        Stage::Executing => "executing",
        Stage::Installing => "installing",
        Stage::Confirming => "confirming",
        Stage::Ended(End::Updated) => "updated",
        Stage::Ended(End::AlreadyRunning) => "already_running",
        Stage::Ended(End::RolledBack { .. }) => "rolled_back",
        Stage::Ended(End::Refused { .. }) => "refused",
        Stage::Ended(End::Failed { .. }) => "failed",
        Stage::Ended(End::TimedOut { .. }) => "timed_out",
        Stage::Ended(End::Cancelled) => "cancelled",
    }
}
