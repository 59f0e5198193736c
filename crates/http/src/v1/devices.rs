//! Devices, their observations, and their values over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api::{self as api, DeviceState};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, CsvBody, JsonBody, MAX_LIMIT, Problem, Queries, Segments, limit, not_saved};
use buoy_services::app::App;
use buoy_services::devices::{self, DeviceError};
use buoy_services::groups;
use buoy_services::inventory::{CountBy, DeviceFilter, Matching};
use buoy_services::object_definitions;
use buoy_services::records;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
    /// Only endpoint names with this beginning.
    prefix: Option<String>,
    /// Only devices in one of these states, as in "online,asleep".
    state: Option<String>,
    /// Only devices of this manufacturer.
    manufacturer: Option<String>,
    /// Only devices of this model.
    model: Option<String>,
    /// Only devices that run this firmware version.
    firmware: Option<String>,
    /// Only devices that are registered with this object, as in "3303".
    object: Option<u16>,
    /// Only devices that this filter matches, as in `model = "buoy-3" and not seen for 2d`.
    filter: Option<String>,
}

/// The devices that are registered or were, ordered by name.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", params(DeviceQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Device>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<DeviceQuery>,
) -> Answer<api::Page<api::Device>> {
    let limit = limit(query.limit)?;
    let DeviceQuery { after, limit: _, prefix, state, manufacturer, model, firmware, object, filter } = query;
    let states = states(state.as_deref())?;
    let matching = matching(&app, filter.as_deref())?;
    let filter = DeviceFilter {
        prefix,
        states,
        manufacturer,
        model,
        firmware,
        object,
        matching,
        ..DeviceFilter::default()
    };
    Ok(Json(devices::page(&app, &principal, filter, after, limit).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CountQuery {
    /// "state", "manufacturer", "model", "firmware" or "object".
    by: String,
    /// Only devices in one of these states, as in "online,asleep".
    state: Option<String>,
    /// Only devices of this manufacturer.
    manufacturer: Option<String>,
    /// Only devices of this model.
    model: Option<String>,
    /// Only devices that run this firmware version.
    firmware: Option<String>,
    /// Only devices that are registered with this object, as in "3303".
    object: Option<u16>,
    /// Only devices that this filter matches.
    filter: Option<String>,
}

/// How many devices there are of each state, manufacturer, model, firmware version or object, the most frequent first.
#[utoipa::path(
    get, path = "/api/v1/device-counts", tag = "devices", params(CountQuery),
    responses(
        (status = 200, description = "The 1000 most frequent", body = api::Page<api::DeviceCount>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn counts(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<CountQuery>,
) -> Answer<api::Page<api::DeviceCount>> {
    let CountQuery { by, state, manufacturer, model, firmware, object, filter } = query;
    let by = match by.as_str() {
        "state" => CountBy::State,
        "manufacturer" => CountBy::Manufacturer,
        "model" => CountBy::Model,
        "firmware" => CountBy::Firmware,
        "object" => CountBy::Object,
        other => {
            let detail =
                format!("by={other}: devices are counted by state, manufacturer, model, firmware or object");
            return Err(Problem::bad_request(detail));
        }
    };
    let states = states(state.as_deref())?;
    let matching = matching(&app, filter.as_deref())?;
    let filter =
        DeviceFilter { states, manufacturer, model, firmware, object, matching, ..DeviceFilter::default() };
    let items = devices::counts(&app, &principal, filter, by, MAX_LIMIT).await?;
    Ok(Json(api::Page { items, next: None }))
}

pub(super) fn matching(app: &App, filter: Option<&str>) -> Result<Option<Matching>, Problem> {
    filter.map_or(Ok(None), |filter| Ok(groups::selection(app, filter)?.matching))
}

fn states(names: Option<&str>) -> Result<Vec<DeviceState>, Problem> {
    let state = |name: &str| {
        DeviceState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
            Problem::bad_request(format!(
                "state={name}: a device is online, asleep, overdue, offline, revoked, never_seen or retired"
            ))
        })
    };
    names.into_iter().flat_map(|names| names.split(',')).map(|name| state(name.trim())).collect()
}

/// One device.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The device", body = api::Device),
        (status = 404, description = "No device of this name is known", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Device> {
    Ok(Json(devices::described(&app, &principal, &endpoint).await?))
}

/// Removes a device that is not registered, with its description. Its values and its credentials stay.
#[utoipa::path(
    delete, path = "/api/v1/devices/{endpoint}", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "No device of this name is known", body = api::Problem),
        (status = 409, description = "It is registered", body = api::Problem),
    )
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Result<StatusCode, Problem> {
    devices::forget(&app, &principal, &endpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        let detail = error.to_string();
        match error {
            DeviceError::Forbidden(_) => Self::forbidden(detail),
            DeviceError::NoSuchDevice(_) | DeviceError::NotRegistered(_) => Self::no_device(detail),
            DeviceError::IsRegistered(_) => {
                Self::new(StatusCode::CONFLICT, "The device is registered", detail)
            }
            DeviceError::NotSaved(error) => not_saved(error),
            DeviceError::Store(error) => Self::store(&error),
            DeviceError::Path { .. } | DeviceError::NoStep => Self::bad_request(detail),
        }
    }
}

/// Changes what is noted of a device: tags, groups, fields of the operators' own, notes.
#[utoipa::path(
    patch, path = "/api/v1/devices/{endpoint}", tag = "devices", params(("endpoint" = String, Path)),
    request_body = api::ChangeDevice,
    responses(
        (status = 200, description = "The device as it is now", body = api::Device),
        (status = 400, description = "A tag, a group, a field or the notes are wrong", body = api::Problem),
        (status = 404, description = "No device of this name is known", body = api::Problem),
    )
)]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
    JsonBody(wanted): JsonBody<api::ChangeDevice>,
) -> Answer<api::Device> {
    records::change(&app, &principal, &endpoint, wanted).await?;
    Ok(Json(devices::described(&app, &principal, &endpoint).await?))
}

/// Notes what is known of many devices; those that are not known are expected from now on. All or none.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", request_body = api::ImportDevices,
    responses(
        (status = 200, description = "What became of them", body = api::ImportedDevices),
        (status = 400, description = "A device is wrong; nothing was noted", body = api::Problem),
    )
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(import): JsonBody<api::ImportDevices>,
) -> Answer<api::ImportedDevices> {
    Ok(Json(records::import(&app, &principal, import.devices).await?))
}

/// The same with a CSV file (RFC 4180). Line 1 names the columns: `endpoint`, and any of `tags`, `groups`, `notes` and `field.NAME`.
#[utoipa::path(
    post, path = "/api/v1/devices/import", tag = "devices", request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "What became of them", body = api::ImportedDevices),
        (status = 400, description = "A line is wrong; nothing was noted", body = api::Problem),
    )
)]
pub(super) async fn import_csv(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    CsvBody(body): CsvBody,
) -> Answer<api::ImportedDevices> {
    let devices = records::read_csv(&body)?;
    Ok(Json(records::import(&app, &principal, devices).await?))
}

/// The last values of a device's resources.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/values", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The whole list, by path", body = api::Page<api::LastValue>),
        (status = 404, description = "No device of this name is known", body = api::Problem),
    )
)]
pub(super) async fn values(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::LastValue>> {
    let items = devices::last_values(&app, &principal, &endpoint).await?;
    Ok(Json(api::Page { items, next: None }))
}

/// The objects of a device, with the definitions of their resources.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/objects", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The whole list", body = api::Page<api::DeviceObject>),
        (status = 404, description = "No device of this name is known", body = api::Problem),
    )
)]
pub(super) async fn objects(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::DeviceObject>> {
    let items = object_definitions::of_device(&app, &principal, &endpoint).await?;
    Ok(Json(api::Page { items, next: None }))
}

/// The observations of a device.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/observations", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The whole list", body = api::Page<api::Observation>),
        (status = 404, description = "No device of this name is registered", body = api::Problem),
    )
)]
pub(super) async fn observations(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::Observation>> {
    let items = devices::observations(&app, &principal, &endpoint).await?;
    Ok(Json(api::Page { items, next: None }))
}

/// The paths of a device that have stored values.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/series", tag = "devices", params(("endpoint" = String, Path)),
    responses((status = 200, description = "The whole list", body = api::Page<String>))
)]
pub(super) async fn series(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<String>> {
    let items = devices::series(&app, &principal, endpoint).await?;
    Ok(Json(api::Page { items, next: None }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SampleQuery {
    /// From this time on; milliseconds since the epoch.
    from: Option<u64>,
    /// Before this time; milliseconds since the epoch.
    to: Option<u64>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
    /// Returns one summary for each interval of this many milliseconds, instead of the values.
    step: Option<u64>,
}

/// The values of a resource over time, or, with `step`, their summaries.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/series/{path}", tag = "devices",
    params(("endpoint" = String, Path), ("path" = String, Path, description = "A path, for example 3303/0/5700"), SampleQuery),
    responses(
        (status = 200, description = "A page of values; with `step`, all summaries", body = api::Page<api::Sample>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn samples(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments((endpoint, path)): Segments<(String, String)>,
    Queries(query): Queries<SampleQuery>,
) -> Answer<api::Page<api::Sample>> {
    let range = query.from.unwrap_or(0)..query.to.unwrap_or(u64::MAX);
    let path = format!("/{path}");
    Ok(Json(match query.step {
        Some(step) => devices::summaries(&app, &principal, endpoint, path, range, step).await?,
        None => devices::samples(&app, &principal, endpoint, path, range, limit(query.limit)?).await?,
    }))
}
