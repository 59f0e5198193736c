//! Devices, what they are observed for, and their values over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use buoy_api as api;
use buoy_lwm2m::path::Path as Lwm2mPath;
use buoy_server::RegistrationView;
use buoy_store::Sample;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Problem, Queries, Segments, limit};
use buoy_services::app::App;
use buoy_services::devices;
use buoy_services::hex;
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
    /// Only devices that are taken to sleep, or to be awake.
    asleep: Option<bool>,
    /// Only devices that have this object, as in "3303".
    object: Option<u16>,
}

/// The registered devices, by name.
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
    let DeviceQuery { prefix, object, asleep, after, .. } = query;
    let query = devices::DeviceQuery { after, prefix, object, asleep, limit };
    let (found, has_more) = devices::page(&app, &query).await;
    let items: Vec<_> = found.iter().map(device_json).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(Json(api::Page { items, next }))
}

/// One device.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "The device", body = api::Device),
        (status = 404, description = "No device of this name is registered", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Device> {
    let device = app.registration(&endpoint).await;
    device.as_ref().map(device_json).map(Json).ok_or_else(|| no_device(&endpoint))
}

pub(super) fn no_device(endpoint: &str) -> Problem {
    Problem::no_device(format!("no device named {endpoint} is registered"))
}

pub(super) fn device_json(device: &RegistrationView) -> api::Device {
    api::Device {
        endpoint: device.endpoint.to_string(),
        registration: device.id().to_owned(),
        address: device.address.to_string(),
        secure: device.session.is_some(),
        lwm2m: format!("{}.{}", device.version.0, device.version.1),
        binding: device.attributes.binding.to_string(),
        lifetime: device.lifetime,
        queue_mode: device.queue_mode,
        asleep: device.asleep,
        registered_at: device.registered_at,
        last_contact: device.last_contact,
        objects: device.objects.paths().map(|path| path.to_string()).collect(),
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
