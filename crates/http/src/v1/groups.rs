//! Groups of devices, and filters that operators saved.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use buoy_api as api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::conditional::{Condition, tagged};
use super::{Answer, Author, JsonBody, Problem, Queries, Segments, not_saved};
use buoy_services::app::App;
use buoy_services::groups::{self, FilterFault, GroupsError};
use buoy_services::records::RecordError;

impl From<FilterFault> for Problem {
    fn from(fault: FilterFault) -> Self {
        Self::bad_request(fault.to_string()).at(fault.position())
    }
}

impl From<GroupsError> for Problem {
    fn from(error: GroupsError) -> Self {
        let detail = error.to_string();
        match error {
            GroupsError::Forbidden(_) => Self::forbidden(detail),
            GroupsError::NoSuchGroup(_) | GroupsError::NoSuchFilter(_) => Self::not_found(detail),
            GroupsError::InUse { .. } => Self::new(StatusCode::CONFLICT, "The group is in use", detail),
            GroupsError::Changed(_) => Self::changed(detail),
            GroupsError::Filter(fault) => fault.into(),
            GroupsError::Devices(error) => error.into(),
            GroupsError::NotSaved(error) => not_saved(error),
            GroupsError::Name | GroupsError::Description | GroupsError::TooMany => Self::bad_request(detail),
        }
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        let detail = error.to_string();
        match error {
            RecordError::Forbidden(_) => Self::forbidden(detail),
            RecordError::NoSuchDevice(_) => Self::no_device(detail),
            RecordError::NotSaved(error) => not_saved(error),
            _ => Self::bad_request(detail),
        }
    }
}

/// The groups, by name.
#[utoipa::path(
    get, path = "/api/v1/groups", tag = "groups",
    responses((status = 200, description = "The whole list", body = api::Page<api::Group>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Group>> {
    Ok(Json(api::Page { items: groups::list(&app, &principal).await?, next: None }))
}

/// One group.
#[utoipa::path(
    get, path = "/api/v1/groups/{name}", tag = "groups", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The group", body = api::Group),
        (status = 404, description = "There is no such group", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let group = groups::one(&app, &principal, &name).await?;
    let revision = group.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, group))
}

/// Makes a group, or changes what it is.
#[utoipa::path(
    put, path = "/api/v1/groups/{name}", tag = "groups", params(("name" = String, Path), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)), request_body = api::PutGroup,
    responses(
        (status = 200, description = "The group as it is now", body = api::Group),
        (status = 400, description = "The name or the filter is wrong, or groups refer to each other in a circle", body = api::Problem),
        (status = 404, description = "There is no such parent", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    Condition(expected): Condition,
    JsonBody(wanted): JsonBody<api::PutGroup>,
) -> Result<Response, Problem> {
    let group = groups::put(&app, &principal, &name, wanted, &expected).await?;
    let revision = group.revision.clone();
    Ok(tagged(StatusCode::OK, &revision, group))
}

/// Removes a group. Its devices stay.
#[utoipa::path(
    delete, path = "/api/v1/groups/{name}", tag = "groups", params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such group", body = api::Problem),
        (status = 409, description = "Another group refers to it", body = api::Problem),
        (status = 412, description = "If-Match is not its revision", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    Condition(expected): Condition,
) -> Result<StatusCode, Problem> {
    groups::remove(&app, &principal, &name, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts devices into a group, and takes others out of it: all or none.
#[utoipa::path(
    post, path = "/api/v1/groups/{name}/devices", tag = "groups", params(("name" = String, Path)),
    request_body = api::ChangeGroupDevices,
    responses(
        (status = 200, description = "The group as it is now", body = api::Group),
        (status = 404, description = "There is no such group, or no such device", body = api::Problem),
    )
)]
pub(super) async fn change_devices(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    JsonBody(change): JsonBody<api::ChangeGroupDevices>,
) -> Answer<api::Group> {
    Ok(Json(groups::change_devices(&app, &principal, &name, change).await?))
}

/// The saved filters, by name.
#[utoipa::path(
    get, path = "/api/v1/filters", tag = "groups",
    responses((status = 200, description = "The whole list", body = api::Page<api::SavedFilter>))
)]
pub(super) async fn filters(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::SavedFilter>> {
    Ok(Json(api::Page { items: groups::filters(&app, &principal)?, next: None }))
}

/// Saves a filter under a name.
#[utoipa::path(
    put, path = "/api/v1/filters/{name}", tag = "groups", params(("name" = String, Path)), request_body = api::PutFilter,
    responses(
        (status = 200, description = "The filter", body = api::SavedFilter),
        (status = 400, description = "The name or the filter is wrong", body = api::Problem),
    )
)]
pub(super) async fn put_filter(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<api::PutFilter>,
) -> Answer<api::SavedFilter> {
    Ok(Json(groups::put_filter(&app, &principal, &name, wanted).await?))
}

/// Removes a saved filter.
#[utoipa::path(
    delete, path = "/api/v1/filters/{name}", tag = "groups", params(("name" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such filter", body = api::Problem),
    )
)]
pub(super) async fn remove_filter(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    groups::remove_filter(&app, &principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MatchQuery {
    /// The filter.
    filter: String,
}

/// What a filter matches: how many devices, and the first of them.
#[utoipa::path(
    get, path = "/api/v1/device-matches", tag = "groups", params(MatchQuery),
    responses(
        (status = 200, description = "What it matches", body = api::FilterMatch),
        (status = 400, description = "The filter is wrong; `position` says where", body = api::Problem),
    )
)]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<MatchQuery>,
) -> Answer<api::FilterMatch> {
    Ok(Json(groups::explain(&app, &principal, &query.filter).await?))
}
