//! Devices, what they are observed for, and their values over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use buoy_api as api;
use buoy_lwm2m::path::Path as Lwm2mPath;
use buoy_server::RegistrationView;
use buoy_store::{DeviceDescription, Sample};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, MAX_LIMIT, Problem, Queries, Segments, limit, not_saved};
use buoy_services::app::App;
use buoy_services::devices::{self, Device, ForgetError};
use buoy_services::hex;
use buoy_services::inventory::{CountBy, DeviceFilter, DeviceState};
use buoy_services::path_values::json_of_float;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// 1 to 1000; 100 unless told.
    limit: Option<usize>,
    /// Only endpoints that start so.
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
}

/// The devices that are registered or were, by name.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", params(DeviceQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::Device>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Queries(query): Queries<DeviceQuery>,
) -> Answer<api::Page<api::Device>> {
    let limit = limit(query.limit)?;
    let DeviceQuery { after, limit: _, prefix, state, manufacturer, model, firmware, object } = query;
    let states = states(state.as_deref())?;
    let filter = DeviceFilter { prefix, states, manufacturer, model, firmware, object };
    let (found, has_more) = devices::page(&app, filter, after, limit).await;
    let items: Vec<_> = found.into_iter().map(device_json).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(Json(api::Page { items, next }))
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
}

/// How many devices there are of each state, manufacturer, model, firmware version or object, the most frequent first.
#[utoipa::path(
    get, path = "/api/v1/device-counts", tag = "devices", params(CountQuery),
    responses(
        (status = 200, description = "The 1000 most frequent", body = api::Page<api::DeviceCount>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn counts(
    State(app): State<Arc<App>>,
    Queries(query): Queries<CountQuery>,
) -> Answer<api::Page<api::DeviceCount>> {
    let CountQuery { by, state, manufacturer, model, firmware, object } = query;
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
    let filter = DeviceFilter { prefix: None, states, manufacturer, model, firmware, object };
    let counts = app.inventory.counts(filter, by).await.into_iter().take(MAX_LIMIT);
    let items = counts.map(|(value, count)| api::DeviceCount { value, count: count as u64 }).collect();
    Ok(Json(api::Page { items, next: None }))
}

fn states(names: Option<&str>) -> Result<Vec<DeviceState>, Problem> {
    let state = |name: &str| {
        let all = [DeviceState::Online, DeviceState::Asleep, DeviceState::Offline];
        all.into_iter().find(|state| state.name() == name).ok_or_else(|| {
            Problem::bad_request(format!("state={name}: a device is online, asleep or offline"))
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
    Segments(endpoint): Segments<String>,
) -> Answer<api::Device> {
    let device = devices::one(&app, &endpoint).await;
    let unknown = || Problem::no_device(format!("no device named {endpoint} is known"));
    device.map(device_json).map(Json).ok_or_else(unknown)
}

/// Forgets a device that is not registered, with what it said of itself. Its values and its credentials stay.
#[utoipa::path(
    delete, path = "/api/v1/devices/{endpoint}", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "No device of this name is known", body = api::Problem),
        (status = 409, description = "It is registered", body = api::Problem),
    )
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Result<StatusCode, Problem> {
    let forgotten = devices::forget(&app, &principal, &endpoint).await;
    forgotten.map(|()| StatusCode::NO_CONTENT).map_err(|error| match error {
        ForgetError::NoSuchDevice(_) => Problem::no_device(error.to_string()),
        ForgetError::IsRegistered(_) => {
            Problem::new(StatusCode::CONFLICT, "The device is registered", error.to_string())
        }
        ForgetError::NotSaved(error) => not_saved(error),
    })
}

pub(super) fn no_device(endpoint: &str) -> Problem {
    Problem::no_device(format!("no device named {endpoint} is registered"))
}

fn device_json(device: Device) -> api::Device {
    let Device { record, registration } = device;
    let DeviceDescription { manufacturer, model, serial, firmware, hardware, software, read_at: _ } =
        record.description;
    api::Device {
        endpoint: record.endpoint.to_string(),
        state: match record.state {
            DeviceState::Online => api::DeviceState::Online,
            DeviceState::Asleep => api::DeviceState::Asleep,
            DeviceState::Offline => api::DeviceState::Offline,
        },
        first_contact: record.first_contact,
        last_contact: record.last_contact,
        manufacturer,
        model,
        serial,
        firmware,
        hardware,
        software,
        registration: registration.as_ref().map(registration_json),
    }
}

pub(super) fn registration_json(registration: &RegistrationView) -> api::Registration {
    api::Registration {
        id: registration.id().to_owned(),
        address: registration.address.to_string(),
        secure: registration.session.is_some(),
        lwm2m: format!("{}.{}", registration.version.0, registration.version.1),
        binding: registration.attributes.binding.to_string(),
        lifetime: registration.lifetime,
        queue_mode: registration.queue_mode,
        registered_at: registration.registered_at,
        objects: registration.objects.paths().map(|path| path.to_string()).collect(),
    }
}

/// What a device is observed for.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/observations", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "All of them", body = api::Page<api::Observation>),
        (status = 404, description = "No device of this name is registered", body = api::Problem),
    )
)]
pub(super) async fn observations(
    State(app): State<Arc<App>>,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<api::Observation>> {
    app.registration(&endpoint).await.ok_or_else(|| no_device(&endpoint))?;
    let all = app.observations(&endpoint).await.into_iter();
    let items = all.map(|observation| api::Observation {
        paths: observation.paths.iter().map(Lwm2mPath::to_string).collect(),
        composite: observation.composite,
    });
    Ok(Json(api::Page { items: items.collect(), next: None }))
}

/// The paths of which there are values of a device.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/series", tag = "devices", params(("endpoint" = String, Path)),
    responses((status = 200, description = "All of them", body = api::Page<String>))
)]
pub(super) async fn series(
    State(app): State<Arc<App>>,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Page<String>> {
    let items = app.read(move |store| store.series(&endpoint)).await?;
    Ok(Json(api::Page { items, next: None }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SampleQuery {
    /// From this time on; milliseconds since the epoch.
    from: Option<u64>,
    /// Up to but without this one.
    to: Option<u64>,
    /// 1 to 1000; 100 unless told.
    limit: Option<usize>,
    /// Milliseconds: one summary for each such stretch, in place of the values.
    step: Option<u64>,
}

/// The values of a resource over time, or, with `step`, their summaries.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/series/{path}", tag = "devices",
    params(("endpoint" = String, Path), ("path" = String, Path, description = "As in 3303/0/5700"), SampleQuery),
    responses(
        (status = 200, description = "A page of values; with `step`, all summaries", body = api::Page<api::Sample>),
        (status = 400, description = "A query is wrong", body = api::Problem),
    )
)]
pub(super) async fn samples(
    State(app): State<Arc<App>>,
    Segments((endpoint, path)): Segments<(String, String)>,
    Queries(query): Queries<SampleQuery>,
) -> Answer<api::Page<api::Sample>> {
    let range = query.from.unwrap_or(0)..query.to.unwrap_or(u64::MAX);
    let path = format!("/{path}");
    path.parse::<Lwm2mPath>().map_err(|error| Problem::bad_request(format!("{path}: {error}")))?;
    if let Some(step) = query.step {
        if step == 0 {
            return Err(Problem::bad_request("step must be more than 0"));
        }
        let rows = app.read(move |store| store.summary(&endpoint, &path, range, step)).await?;
        let items = rows.into_iter().map(|row| api::Sample {
            at: row.at,
            value: json_of_float(row.mean),
            count: Some(row.count),
            min: Some(json_of_float(row.min)),
            max: Some(json_of_float(row.max)),
        });
        return Ok(Json(api::Page { items: items.collect(), next: None }));
    }
    let limit = limit(query.limit)?;
    let mut rows = app.read(move |store| store.samples(&endpoint, &path, range, limit + 1)).await?;
    // The next page starts with the first value that is not on this one.
    let next = (rows.len() > limit).then(|| rows.pop()).flatten().map(|(at, _)| at.to_string());
    let sample =
        |(at, value)| api::Sample { at, value: sample_json(value), count: None, min: None, max: None };
    Ok(Json(api::Page { items: rows.into_iter().map(sample).collect(), next }))
}

fn sample_json(value: Sample) -> serde_json::Value {
    match value {
        Sample::Integer(number) => number.into(),
        Sample::Float(number) => json_of_float(number),
        Sample::Text(text) => text.into(),
        Sample::Opaque(bytes) => hex::encode(&bytes).into(),
    }
}
