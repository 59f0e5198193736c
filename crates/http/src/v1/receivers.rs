//! Receivers of alerts, and messages to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit};
use buoy_services::alerts::commands as alerts;
use buoy_services::app::App;

/// The receivers, by name.
#[utoipa::path(
    get, path = "/api/v1/alert-receivers", tag = "alerts",
    responses((status = 200, description = "The whole list", body = api::Page<api::AlertReceiver>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::AlertReceiver>> {
    Ok(Json(api::Page { items: alerts::receivers(&app, &principal).await?, next: None }))
}

/// One receiver.
#[utoipa::path(
    get, path = "/api/v1/alert-receivers/{name}", tag = "alerts", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The receiver", body = api::AlertReceiver),
        (status = 404, description = "There is no such receiver", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Answer<api::AlertReceiver> {
    Ok(Json(alerts::receiver(&app, &principal, &name).await?))
}

/// Makes a receiver, or changes one.
#[utoipa::path(
    put, path = "/api/v1/alert-receivers/{name}", tag = "alerts", params(("name" = String, Path)), request_body = api::PutAlertReceiver,
    responses(
        (status = 200, description = "The receiver as it is now", body = api::NewAlertReceiver),
        (status = 400, description = "The name, the target or a number is wrong", body = api::Problem),
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<api::PutAlertReceiver>,
) -> Answer<api::NewAlertReceiver> {
    Ok(Json(alerts::put_receiver(&app, &principal, &name, wanted).await?))
}

/// Removes a receiver, with the messages that wait for it.
#[utoipa::path(
    delete, path = "/api/v1/alert-receivers/{name}", tag = "alerts", params(("name" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such receiver", body = api::Problem),
        (status = 409, description = "A rule names it", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    alerts::remove_receiver(&app, &principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test to a receiver at once, and says how that ended.
#[utoipa::path(
    post, path = "/api/v1/alert-receivers/{name}/test", tag = "alerts", params(("name" = String, Path)),
    responses(
        (status = 200, description = "How it ended", body = api::AlertReceiverTest),
        (status = 404, description = "There is no such receiver", body = api::Problem),
    )
)]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Answer<api::AlertReceiverTest> {
    Ok(Json(alerts::test_receiver(&app, &principal, &name).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Only those to this receiver.
    receiver: Option<String>,
    /// Only those in this state: "waiting", "delivered" or "dead".
    #[param(inline)]
    state: Option<api::AlertDeliveryState>,
    /// Only ids below this: `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; 100 without it.
    limit: Option<usize>,
}

/// Messages to receivers, the newest first.
#[utoipa::path(
    get, path = "/api/v1/alert-deliveries", tag = "alerts", params(DeliveryQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::AlertDelivery>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<DeliveryQuery>,
) -> Answer<api::Page<api::AlertDelivery>> {
    let DeliveryQuery { receiver, state, after, limit: most } = query;
    let most = limit(most)?;
    Ok(Json(alerts::deliveries(&app, &principal, receiver.as_deref(), state, after, most).await?))
}

/// Sends a message again that was given up, under a new id.
#[utoipa::path(
    post, path = "/api/v1/alert-deliveries/{id}/replay", tag = "alerts", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It waits to be sent"),
        (status = 404, description = "No such message was given up", body = api::Problem),
    )
)]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Problem> {
    alerts::replay(&app, &principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
