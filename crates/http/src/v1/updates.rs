//! Firmware updates of devices.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_fleet::update::{self, End, Goal, Patience, Stage, Update};
use serde::Deserialize;
use utoipa::IntoParams;

use super::devices::no_device;
use super::firmware::no_firmware;
use super::idempotency::Key;
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, check_store, limit, not_saved};
use buoy_services::app::App;
use buoy_services::firmware;
use buoy_services::journal;
use buoy_services::listen::FileScheme;
use buoy_services::updates::StartError;

/// Starts the update of a device: it is done when the device itself reports the new version after its reboot.
#[utoipa::path(
    post, path = "/api/v1/updates", tag = "updates", request_body = api::StartUpdate,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "The request with this Idempotency-Key was done before, and made this", body = api::Update),
        (status = 202, description = "It has started", body = api::Update),
        (status = 400, description = "The request is wrong", body = api::Problem),
        (status = 404, description = "There is no such image, or no such device", body = api::Problem),
        (status = 409, description = "An update of the device is open", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::StartUpdate>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let key = Key::of(&app, &headers, "update", &request).await?;
    if let Key::Known(id) = key {
        return Ok(Json(update_json(&stored(&app, id).await?)).into_response());
    }
    let image = app.firmware.get(&request.firmware).ok_or_else(|| no_firmware(&request.firmware))?;
    let version = request.version.unwrap_or_else(|| image.row.version.clone());
    if version.is_empty() {
        return Err(Problem::bad_request(
            "the image says no version; name the one that the device will report in \"version\"",
        ));
    }
    if app.registration(&request.endpoint).await.is_none() {
        return Err(no_device(&request.endpoint));
    }
    let digest = image.row.digest.clone();
    let delivery = match request.delivery {
        api::Delivery::PullCoap => {
            let uri = firmware::coap_uri_for(&app, &request.endpoint, &digest).await;
            pull(uri, "the server has no port for CoAP; choose push or pull_http")?
        }
        api::Delivery::PullHttp => pull(
            firmware::file_uri_for(&app, &request.endpoint, FileScheme::Http, &digest).await,
            "the server offers no files by HTTP; start it with --files IP:PORT, or choose pull_coap or push",
        )?,
        api::Delivery::PullHttps => pull(
            firmware::file_uri_for(&app, &request.endpoint, FileScheme::Https, &digest).await,
            "the server offers no files by HTTPS; start it with --files-tls IP:PORT, or choose pull_coap or push",
        )?,
        api::Delivery::Push => update::Delivery::Push,
    };
    let default = Patience::default();
    let patience = Patience {
        install: request.install_timeout.map_or(default.install, Duration::from_secs),
        download: request.download_timeout.map_or(default.download, Duration::from_secs),
        ..default
    };
    let goal = Goal { version, digest, delivery };
    let started = app.updates.start(&principal, &request.endpoint, goal, patience, key.row());
    match app.journal.unless_in_trouble(started).await.map_err(not_saved)? {
        Ok(update) => Ok((StatusCode::ACCEPTED, Json(update_json(&update))).into_response()),
        Err(StartError::AlreadyOpen(id)) => {
            let detail = format!("update {id} of {} is open; cancel it first", request.endpoint);
            Err(Problem::new(StatusCode::CONFLICT, "An update is open", detail))
        }
        Err(StartError::Stopping) => Err(not_saved(journal::NotSaved::Stopped)),
    }
}

fn pull(uri: Option<String>, otherwise: &str) -> Result<update::Delivery, Problem> {
    uri.map(update::Delivery::Pull).ok_or_else(|| Problem::bad_request(otherwise))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UpdateQuery {
    /// Only of this device.
    endpoint: Option<String>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; 100 unless told.
    limit: Option<usize>,
}

/// The updates, the newest first.
#[utoipa::path(
    get, path = "/api/v1/updates", tag = "updates", params(UpdateQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Update>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn list(
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

/// One update.
#[utoipa::path(
    get, path = "/api/v1/updates/{id}", tag = "updates", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The update", body = api::Update),
        (status = 404, description = "There is none of this id", body = api::Problem),
    )
)]
pub(super) async fn one(State(app): State<Arc<App>>, Segments(id): Segments<u64>) -> Answer<api::Update> {
    let mut update = update_json(&stored(&app, id).await?);
    update.downloaded = app.downloaded(id).await.map(|bytes| bytes as u64);
    Ok(Json(update))
}

async fn stored(app: &Arc<App>, id: u64) -> Result<Update, Problem> {
    let page = buoy_store::Page { before: id.saturating_add(1), limit: 1 };
    let rows = app.read(move |store| store.updates(None, page)).await?;
    let update = rows.iter().filter(|row| row.id == id).find_map(Update::restore);
    update.ok_or_else(|| no_update(id))
}

fn no_update(id: u64) -> Problem {
    Problem::not_found(format!("there is no update {id}"))
}

/// Cancels an open update.
#[utoipa::path(
    delete, path = "/api/v1/updates/{id}", tag = "updates", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is cancelled", body = api::Update),
        (status = 404, description = "No update of this id is open", body = api::Problem),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Update> {
    match app.journal.unless_in_trouble(app.updates.cancel(&principal, id)).await.map_err(not_saved)? {
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
        endpoint: update.endpoint().to_string(),
        firmware: update.goal().digest.clone(),
        version: update.goal().version.clone(),
        old_version: update.old_version().map(str::to_owned),
        state: state_name(update.stage()).into(),
        detail: update.stage().to_string(),
        ended: update.has_ended(),
        downloaded: None,
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
        Stage::Deferred => "deferred",
        Stage::Confirming => "confirming",
        Stage::Ended(End::Updated) => "updated",
        Stage::Ended(End::AlreadyRunning) => "already_running",
        Stage::Ended(End::RolledBack { .. }) => "rolled_back",
        Stage::Ended(End::UnexpectedVersion { .. }) => "unexpected_version",
        Stage::Ended(End::Refused { .. }) => "refused",
        Stage::Ended(End::Failed { .. }) => "failed",
        Stage::Ended(End::TimedOut { .. }) => "timed_out",
        Stage::Ended(End::Cancelled) => "cancelled",
    }
}
