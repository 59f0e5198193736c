//! Jobs: one command for many devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::idempotency::Key;
use buoy_services::jobs::commands::{self, JobError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::idempotency::key_of;
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit, not_saved};

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let detail = error.to_string();
        match error {
            JobError::Forbidden(_) => Self::forbidden(detail),
            JobError::NoSuchJob(_) => Self::not_found(detail),
            JobError::Refused(_) | JobError::NoDevices | JobError::TooMany => {
                Self::new(StatusCode::CONFLICT, "Not now", detail)
            }
            JobError::Count { .. } => {
                Self::new(StatusCode::CONFLICT, "The number of devices is to be confirmed", detail)
            }
            JobError::Filter(fault) => fault.into(),
            JobError::NotSaved(error) => not_saved(error),
            _ => Self::bad_request(detail),
        }
    }
}

/// The jobs, the newest first. With roles for groups, those that one made.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs",
    responses((status = 200, description = "The whole list", body = api::Page<api::Job>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Job>> {
    Ok(Json(api::Page { items: commands::list(&app, &principal).await?, next: None }))
}

/// Gives a command to all devices that a filter matches now and that one may command.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "jobs", request_body = api::StartJob,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "An earlier request with this Idempotency-Key made it", body = api::Job),
        (status = 201, description = "It has begun; Location has its URL", body = api::Job),
        (status = 400, description = "The filter, the command or a limit is invalid", body = api::Problem),
        (status = 409, description = "No device matches, another number of devices matches, there are too many jobs, or a request with this Idempotency-Key is in progress", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<api::StartJob>,
) -> Result<Response, Problem> {
    let key = key_of(&app, &headers, "job", &wanted).await?;
    if let Key::Known(id) = key {
        return Ok(Json(commands::one(&app, &principal, id).await?).into_response());
    }
    let job = commands::start(&app, &principal, wanted, key.into_new()).await?;
    let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    Ok((StatusCode::CREATED, location, Json(job)).into_response())
}

/// What a job would do.
#[utoipa::path(
    post, path = "/api/v1/jobs/preview", tag = "jobs", request_body = api::StartJob,
    responses(
        (status = 200, description = "What it would do", body = api::JobPreview),
        (status = 400, description = "The filter, the command or a limit is invalid", body = api::Problem),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(wanted): JsonBody<api::StartJob>,
) -> Answer<api::JobPreview> {
    Ok(Json(commands::preview(&app, &principal, wanted).await?))
}

/// One job, with the reasons of its failures.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The job", body = api::Job),
        (status = 404, description = "There is no such job", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Job> {
    Ok(Json(commands::one(&app, &principal, id).await?))
}

/// Removes a job that has ended.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such job", body = api::Problem),
        (status = 409, description = "It has not ended", body = api::Problem),
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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobDeviceQuery {
    /// Only devices in this stage: "waiting", "sent", "asleep", "confirming", "succeeded", "failed", "not_reached" or "cancelled".
    stage: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The devices of a job, ordered by name.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/devices", tag = "jobs", params(("id" = u64, Path), JobDeviceQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::JobDevice>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
        (status = 404, description = "There is no such job", body = api::Problem),
    )
)]
pub(super) async fn devices(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    Queries(query): Queries<JobDeviceQuery>,
) -> Answer<api::Page<api::JobDevice>> {
    let JobDeviceQuery { stage, after, limit: asked } = query;
    let limit = limit(asked)?;
    Ok(Json(commands::devices(&app, &principal, id, stage.as_deref(), after.as_deref(), limit).await?))
}

/// Ends a job: no more devices get its command. What was sent already they may still carry out.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The job as it is now", body = api::Job),
        (status = 404, description = "There is no such job", body = api::Problem),
        (status = 409, description = "It has ended", body = api::Problem),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Job> {
    Ok(Json(commands::cancel(&app, &principal, id).await?))
}

/// Gives the command again to devices on which the job failed, or which it did not reach.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = u64, Path)), request_body = api::RetryJob,
    responses(
        (status = 200, description = "The job as it is now", body = api::Job),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 404, description = "There is no such job", body = api::Problem),
        (status = 409, description = "No device failed, it is being cancelled, or the deadline has passed", body = api::Problem),
    )
)]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
    JsonBody(how): JsonBody<api::RetryJob>,
) -> Answer<api::Job> {
    Ok(Json(commands::retry(&app, &principal, id, how).await?))
}
