//! Alerts, their rules, and silences.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, JsonBody, Problem, Queries, Segments, limit, not_saved};
use buoy_services::alerts::commands::{self as alerts, AlertError, AlertQuery};
use buoy_services::app::App;

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        let detail = error.to_string();
        match error {
            AlertError::Forbidden(_) => Self::forbidden(detail),
            AlertError::NoSuchRule(_)
            | AlertError::NoSuchSilence(_)
            | AlertError::NoSuchReceiver(_)
            | AlertError::NoSuchDelivery(_)
            | AlertError::NotFiring => Self::not_found(detail),
            AlertError::InUse { .. } => Self::new(StatusCode::CONFLICT, "The receiver is in use", detail),
            AlertError::Filter(fault) => fault.into(),
            AlertError::NotSaved(error) => not_saved(error),
            AlertError::NotSealed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The receiver can't be sealed", detail)
            }
            _ => Self::bad_request(detail),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those in this state: "pending", "firing", "flapping", or "resolved", which are those that are over. Without it, those that are not over.
    #[param(inline)]
    state: Option<api::AlertState>,
    /// Only those of this rule.
    rule: Option<String>,
    /// Only those that are at least so bad.
    #[param(inline)]
    severity: Option<api::AlertSeverity>,
    /// Only those of this device.
    endpoint: Option<String>,
    /// `next` of the page before.
    after: Option<usize>,
    /// 1 to 1000; 100 without it.
    limit: Option<usize>,
}

/// Alerts, the worst first, then the newest; those that are over with the newest first.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "alerts", params(ListQuery),
    responses(
        (status = 200, description = "A page. Alerts that begin or end meanwhile may be missing or twice", body = api::Page<api::Alert>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<ListQuery>,
) -> Answer<api::Page<api::Alert>> {
    let ListQuery { state, rule, severity, endpoint, after, limit: most } = query;
    let query = AlertQuery { state, rule, severity, endpoint };
    Ok(Json(alerts::list(&app, &principal, query, after.unwrap_or(0), limit(most)?).await?))
}

/// Takes note of alerts that fire: receivers are not told of them again.
#[utoipa::path(
    post, path = "/api/v1/alerts/acknowledge", tag = "alerts", request_body = api::AcknowledgeAlerts,
    responses(
        (status = 200, description = "How many", body = api::AcknowledgedAlerts),
        (status = 400, description = "The comment is too long", body = api::Problem),
        (status = 404, description = "There is no such rule, or no such alert fires", body = api::Problem),
    )
)]
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(wanted): JsonBody<api::AcknowledgeAlerts>,
) -> Answer<api::AcknowledgedAlerts> {
    Ok(Json(alerts::acknowledge(&app, &principal, wanted).await?))
}

/// The rules, by name.
#[utoipa::path(
    get, path = "/api/v1/alert-rules", tag = "alerts",
    responses((status = 200, description = "The whole list", body = api::Page<api::AlertRule>))
)]
pub(super) async fn rules(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::AlertRule>> {
    Ok(Json(api::Page { items: alerts::rules(&app, &principal).await?, next: None }))
}

/// Makes the rules that most fleets want, except those whose names are taken.
#[utoipa::path(
    post, path = "/api/v1/alert-rules/defaults", tag = "alerts",
    responses((status = 200, description = "The rules that were made", body = api::Page<api::AlertRule>))
)]
pub(super) async fn put_defaults(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::AlertRule>> {
    Ok(Json(api::Page { items: alerts::put_defaults(&app, &principal).await?, next: None }))
}

/// One rule.
#[utoipa::path(
    get, path = "/api/v1/alert-rules/{name}", tag = "alerts", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The rule", body = api::AlertRule),
        (status = 404, description = "There is no such rule", body = api::Problem),
    )
)]
pub(super) async fn rule(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Answer<api::AlertRule> {
    Ok(Json(alerts::rule(&app, &principal, &name).await?))
}

/// Makes a rule, or changes one.
#[utoipa::path(
    put, path = "/api/v1/alert-rules/{name}", tag = "alerts", params(("name" = String, Path)), request_body = api::PutAlertRule,
    responses(
        (status = 200, description = "The rule as it is now", body = api::AlertRule),
        (status = 400, description = "The name, the filter or a number is wrong", body = api::Problem),
        (status = 404, description = "There is no such receiver", body = api::Problem),
    )
)]
pub(super) async fn put_rule(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<api::PutAlertRule>,
) -> Answer<api::AlertRule> {
    Ok(Json(alerts::put_rule(&app, &principal, &name, wanted).await?))
}

/// Removes a rule. Its alerts end.
#[utoipa::path(
    delete, path = "/api/v1/alert-rules/{name}", tag = "alerts", params(("name" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such rule", body = api::Problem),
    )
)]
pub(super) async fn remove_rule(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    alerts::remove_rule(&app, &principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The silences, by id. One that is over stays in the list for a day.
#[utoipa::path(
    get, path = "/api/v1/alert-silences", tag = "alerts",
    responses((status = 200, description = "The whole list", body = api::Page<api::AlertSilence>))
)]
pub(super) async fn silences(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::AlertSilence>> {
    Ok(Json(api::Page { items: alerts::silences(&app, &principal).await?, next: None }))
}

/// Silences alerts for a time: receivers are not told of them.
#[utoipa::path(
    post, path = "/api/v1/alert-silences", tag = "alerts", request_body = api::AddAlertSilence,
    responses(
        (status = 201, description = "The silence", body = api::AlertSilence),
        (status = 400, description = "The filter or a time is wrong", body = api::Problem),
        (status = 404, description = "There is no such rule", body = api::Problem),
    )
)]
pub(super) async fn add_silence(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(wanted): JsonBody<api::AddAlertSilence>,
) -> Result<(StatusCode, Json<api::AlertSilence>), Problem> {
    Ok((StatusCode::CREATED, Json(alerts::add_silence(&app, &principal, wanted).await?)))
}

/// Ends a silence. Receivers are told of what fires still.
#[utoipa::path(
    delete, path = "/api/v1/alert-silences/{id}", tag = "alerts", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such silence", body = api::Problem),
    )
)]
pub(super) async fn remove_silence(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Problem> {
    alerts::remove_silence(&app, &principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
