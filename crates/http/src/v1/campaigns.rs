//! Campaigns: one release for many devices, wave by wave.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::conditional::{Condition, tagged};
use super::idempotency::key_of;
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit, not_saved};
use buoy_services::app::App;
use buoy_services::campaigns::commands::{self, CampaignError};
use buoy_services::campaigns::rehearsal;
use buoy_services::idempotency::Key;

impl From<CampaignError> for Problem {
    fn from(error: CampaignError) -> Self {
        let detail = error.to_string();
        match error {
            CampaignError::Forbidden(_) => Self::forbidden(detail),
            CampaignError::NoSuchCampaign(_) | CampaignError::NoSuchFirmware(_) => Self::not_found(detail),
            CampaignError::Refused(_) | CampaignError::NoDevices | CampaignError::Rehearsing => {
                Self::new(StatusCode::CONFLICT, "Not now", detail)
            }
            CampaignError::Changed(_) => Self::changed(detail),
            CampaignError::Filter(fault) => fault.into(),
            CampaignError::NotSaved(error) => not_saved(error),
            _ => Self::bad_request(detail),
        }
    }
}

/// The campaigns, the newest first.
#[utoipa::path(
    get, path = "/api/v1/campaigns", tag = "campaigns",
    responses((status = 200, description = "The whole list", body = api::Page<api::Campaign>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Campaign>> {
    Ok(Json(api::Page { items: commands::list(&app, &principal).await?, next: None }))
}

/// Makes a campaign: a draft, which does nothing until it is started.
#[utoipa::path(
    post, path = "/api/v1/campaigns", tag = "campaigns", request_body = api::PutCampaign,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "An earlier request with this Idempotency-Key made it", body = api::Campaign),
        (status = 201, description = "The draft", body = api::Campaign),
        (status = 400, description = "The plan can't be followed", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
        (status = 409, description = "A request with this Idempotency-Key is in progress", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<api::PutCampaign>,
) -> Result<Response, Problem> {
    let key = key_of(&app, &headers, "campaign", &wanted).await?;
    if let Key::Known(id) = key {
        return Ok(Json(commands::one(&app, &principal, id).await?).into_response());
    }
    let campaign = commands::add(&app, &principal, wanted, key.into_new()).await?;
    let revision = campaign.revision.clone();
    Ok(tagged(StatusCode::CREATED, &revision, campaign))
}

/// What a campaign would do: how many devices, waves, and bytes.
#[utoipa::path(
    post, path = "/api/v1/campaigns/preview", tag = "campaigns", request_body = api::PutCampaign,
    responses(
        (status = 200, description = "What it would do", body = api::CampaignPreview),
        (status = 400, description = "The plan can't be followed", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(wanted): JsonBody<api::PutCampaign>,
) -> Answer<api::CampaignPreview> {
    Ok(Json(commands::preview(&app, &principal, wanted).await?))
}

/// Plays a campaign on simulated devices: when its waves would open and pass, where it would stop and why, how many bytes it takes, and when it would
/// end. It changes nothing. One rehearsal is under way at a time.
#[utoipa::path(
    post, path = "/api/v1/campaigns/rehearse", tag = "campaigns", request_body = api::RehearseCampaign,
    responses(
        (status = 200, description = "What would happen", body = api::CampaignRehearsal),
        (status = 400, description = "The plan can't be followed, or the devices can't be so", body = api::Problem),
        (status = 404, description = "There is no such image", body = api::Problem),
        (status = 409, description = "Another rehearsal is under way", body = api::Problem),
    )
)]
pub(super) async fn rehearse(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(wanted): JsonBody<api::RehearseCampaign>,
) -> Answer<api::CampaignRehearsal> {
    Ok(Json(rehearsal::rehearse(&app, &principal, wanted).await?))
}

/// One campaign.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The campaign", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<Response, Problem> {
    let campaign = commands::one(&app, &principal, id).await?;
    let revision = campaign.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, campaign))
}

/// Changes a campaign that has not started.
#[utoipa::path(
    put, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path), ("If-Match" = Option<String>, Header)), request_body = api::PutCampaign,
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 400, description = "The plan can't be followed", body = api::Problem),
        (status = 404, description = "There is no such campaign, or no such image", body = api::Problem),
        (status = 409, description = "It has started", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Condition(expected): Condition,
    JsonBody(wanted): JsonBody<api::PutCampaign>,
) -> Result<Response, Problem> {
    let campaign = commands::change(&app, &principal, id, wanted, expected).await?;
    let revision = campaign.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, campaign))
}

/// Removes a campaign that is a draft, or has ended.
#[utoipa::path(
    delete, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = u64, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "It is under way", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Condition(expected): Condition,
) -> Result<StatusCode, Problem> {
    commands::remove(&app, &principal, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CampaignDeviceQuery {
    /// Only devices in this stage: "waiting", "updating", "confirmed", "had_it", "failed" or "skipped".
    stage: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The devices of a campaign, ordered by name.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{id}/devices", tag = "campaigns", params(("id" = u64, Path), CampaignDeviceQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::CampaignDevice>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
        (status = 404, description = "There is no such campaign", body = api::Problem),
    )
)]
pub(super) async fn devices(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Queries(query): Queries<CampaignDeviceQuery>,
) -> Answer<api::Page<api::CampaignDevice>> {
    let CampaignDeviceQuery { stage, after, limit: asked } = query;
    let limit = limit(asked)?;
    Ok(Json(commands::devices(&app, &principal, id, stage.as_deref(), after.as_deref(), limit).await?))
}

/// A report that a person reads, in Markdown.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{id}/report", tag = "campaigns", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "Markdown", body = String, content_type = "text/markdown"),
        (status = 404, description = "There is no such campaign", body = api::Problem),
    )
)]
pub(super) async fn report(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<Response, Problem> {
    let report = commands::report(&app, &principal, id).await?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], report).into_response())
}

/// Starts a campaign, at its time if it has one.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/start", tag = "campaigns", params(("id" = u64, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "It has started, or no device matches", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Condition(expected): Condition,
) -> Answer<api::Campaign> {
    Ok(Json(commands::start(&app, &principal, id, expected).await?))
}

/// Approves the start of a campaign, or the gate of its open wave.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/approve", tag = "campaigns", params(("id" = u64, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "Nothing waits for this approval", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Condition(expected): Condition,
) -> Answer<api::Campaign> {
    Ok(Json(commands::approve(&app, &principal, id, expected).await?))
}

/// Starts no more updates until it is resumed. Those that are under way go on.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "It does not run", body = api::Problem),
    )
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Campaign> {
    Ok(Json(commands::pause(&app, &principal, id).await?))
}

/// Goes on; with another image from the first wave on, for all devices.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = u64, Path)),
    request_body = api::ResumeCampaign,
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign, or no such image", body = api::Problem),
        (status = 409, description = "It is not paused", body = api::Problem),
    )
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    JsonBody(how): JsonBody<api::ResumeCampaign>,
) -> Answer<api::Campaign> {
    Ok(Json(commands::resume(&app, &principal, id, how).await?))
}

/// Tries the devices again that failed or were not tried.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/retry", tag = "campaigns", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "It has not started, or was aborted", body = api::Problem),
    )
)]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Campaign> {
    Ok(Json(commands::retry(&app, &principal, id).await?))
}

/// Ends a campaign. Updates that are under way are cancelled.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{id}/abort", tag = "campaigns", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The campaign as it is now", body = api::Campaign),
        (status = 404, description = "There is no such campaign", body = api::Problem),
        (status = 409, description = "It has ended", body = api::Problem),
    )
)]
pub(super) async fn abort(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Campaign> {
    Ok(Json(commands::abort(&app, &principal, id).await?))
}
