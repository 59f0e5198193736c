//! Operations on devices: resources with a state, so that an operation can wait for a sleeping device.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::idempotency::Key;
use buoy_services::operations::{self, Kept, OperationError, StartOperation, Started};
use serde::Deserialize;
use utoipa::IntoParams;

use super::idempotency::key_of;
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit, not_saved};

const DEFAULT_WAIT: u64 = 5;
const LONGEST_WAIT: u64 = 600;
const LONGEST_DEADLINE: u64 = 30 * 24 * 60 * 60;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OperationQuery {
    /// Only of this device.
    endpoint: Option<String>,
    /// Only operations that have ended (true), or have not (false).
    ended: Option<bool>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// Starts an operation on a device, and waits a while for its answer.
#[utoipa::path(
    post, path = "/api/v1/operations", tag = "operations", request_body = api::StartOperation,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, description = "It has ended, or an earlier request with this Idempotency-Key made it", body = api::Operation),
        (status = 202, description = "It has not ended; Location has its URL", body = api::Operation),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 404, description = "No device of this name is registered", body = api::Problem),
        (status = 409, description = "A request with this Idempotency-Key is in progress", body = api::Problem),
        (status = 422, description = "The Idempotency-Key was used for another request", body = api::Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::StartOperation>,
) -> Result<Response, Problem> {
    let wait = bounded("wait", request.wait.unwrap_or(DEFAULT_WAIT), LONGEST_WAIT)?;
    let deadline = request.deadline.map(|deadline| bounded("deadline", deadline, LONGEST_DEADLINE));
    let deadline = deadline.transpose()?;
    let key = key_of(&app, &headers, "operation", &request).await?;
    if let Key::Known(id) = key {
        return Ok(Json(operations::one(&app, &principal, id).await?).into_response());
    }
    let api::StartOperation { endpoint, request, .. } = request;
    let command =
        StartOperation { endpoint, request, deadline, wait, kept: Kept::Always, key: key.into_new() };
    let operation = match operations::start(&app, &principal, command).await? {
        Started::Ended(ended) => ended.described(&app),
        Started::GoesOn(id) => operations::one(&app, &principal, id).await?,
    };
    let status = if operation.ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = [(header::LOCATION, format!("/api/v1/operations/{}", operation.id))];
    Ok((status, location, Json(operation)).into_response())
}

fn bounded(name: &str, seconds: u64, most: u64) -> Result<Duration, Problem> {
    if seconds > most || (seconds == 0 && name == "deadline") {
        let least = u64::from(name == "deadline");
        let detail = format!("\"{name}\" is {seconds} seconds, and may be {least} to {most}");
        return Err(Problem::bad_request(detail));
    }
    Ok(Duration::from_secs(seconds))
}

/// The operations, the newest first.
#[utoipa::path(
    get, path = "/api/v1/operations", tag = "operations", params(OperationQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Operation>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<OperationQuery>,
) -> Answer<api::Page<api::Operation>> {
    let OperationQuery { endpoint, ended, after, limit: asked } = query;
    Ok(Json(operations::list(&app, &principal, endpoint, ended, after, limit(asked)?).await?))
}

/// One operation, with the device's answer.
#[utoipa::path(
    get, path = "/api/v1/operations/{id}", tag = "operations", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "The operation", body = api::Operation),
        (status = 404, description = "Nothing has this id", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Operation> {
    Ok(Json(operations::one(&app, &principal, id).await?))
}

/// Cancels an operation. If it was sent already, the device may still execute it.
#[utoipa::path(
    delete, path = "/api/v1/operations/{id}", tag = "operations", params(("id" = u64, Path)),
    responses(
        (status = 200, description = "It is cancelled", body = api::Operation),
        (status = 404, description = "Nothing has this id", body = api::Problem),
        (status = 409, description = "It has ended already", body = api::Problem),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Answer<api::Operation> {
    Ok(Json(operations::cancel(&app, &principal, id).await?))
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let detail = error.to_string();
        match error {
            OperationError::Forbidden(_) => Self::forbidden(detail),
            OperationError::NoSuchDevice(_) => Self::no_device(detail),
            OperationError::NoSuchOperation(_) => Self::not_found(detail),
            OperationError::HasEnded(_) => Self::new(StatusCode::CONFLICT, "Too late", detail),
            OperationError::NotSaved(error) => not_saved(error),
            OperationError::Store(error) => error.into(),
            _ => Self::bad_request(detail),
        }
    }
}
