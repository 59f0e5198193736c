//! `/api/clients`: the registrations.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header;
use axum::response::IntoResponse;
use buoy_api::DeviceState;
use buoy_lwm2m::link::Links;
use buoy_services::access::Permission;
use buoy_services::app::App;
use buoy_services::devices;
use buoy_services::inventory::DeviceFilter;
use buoy_services::registration_details::RegistrationDetails;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::{Answer, forbidden, no_client};
use crate::v1::Author;

/// Clients that are read and written at once.
const CLIENTS_AT_ONCE: usize = 200;

/// All clients, written as they are read: of a large fleet only a page is ever in memory.
pub(super) async fn all(State(app): State<Arc<App>>, Author(principal): Author) -> Answer {
    app.permit_some(&principal, Permission::Read).map_err(forbidden)?;
    let pages = stream::unfold((app, principal, Some((None, false))), |(app, principal, place)| async move {
        let (after, mut has_begun) = place?;
        let mut text = String::from(if after.is_none() { "[" } else { "" });
        let registered = DeviceFilter {
            states: vec![DeviceState::Online, DeviceState::Asleep, DeviceState::Overdue],
            ..DeviceFilter::default()
        };
        let (devices, has_more) =
            devices::list(&app, &principal, registered, after, CLIENTS_AT_ONCE).await.unwrap_or_default();
        for registration in devices.iter().filter_map(devices::Device::registration) {
            text += if has_begun { "," } else { "" };
            text += &registration_json(&registration).to_string();
            has_begun = true;
        }
        let last = devices.last().filter(|_| has_more);
        let next = last.map(|last| (Some(last.record.endpoint.to_string()), has_begun));
        if next.is_none() {
            text.push(']');
        }
        Some((Ok::<_, std::convert::Infallible>(text), (app, principal, next)))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pages)).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    let registration = devices::registration(&app, &principal, &endpoint).await;
    let registration = registration.map_err(|error| no_client(&endpoint, error))?;
    Ok(Json(registration_json(&registration)).into_response())
}

/// A registration in Leshan's shape.
pub(super) fn registration_json(registration: &RegistrationDetails) -> Value {
    let mut instances: HashMap<String, Vec<u16>> = HashMap::new();
    for path in registration.paths() {
        let Some(object) = path.object_id() else { continue };
        let known = instances.entry(object.to_string()).or_default();
        known.extend(path.instance_id());
    }
    let others = registration.other_attributes();
    let others: Map<_, _> = others.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut body = json!({
        "endpoint": &**registration.endpoint(),
        "registrationId": registration.id(),
        "registrationDate": registration.registered_at(),
        "lastUpdate": registration.last_contact(),
        "address": registration.address(),
        "lwM2mVersion": registration.lwm2m(),
        "lifetime": registration.lifetime(),
        "bindingMode": binding(registration),
        "rootPath": registration.root(),
        "objectLinks": links_json(registration.links()),
        "secure": registration.is_secure(),
        "additionalRegistrationAttributes": others,
        "queuemode": registration.queue_mode(),
        "availableInstances": instances,
    });
    if let Some(sms) = registration.sms() {
        body["smsNumber"] = json!(sms);
    }
    if registration.queue_mode() {
        body["sleeping"] = json!(registration.is_asleep());
    }
    body
}

fn binding(registration: &RegistrationDetails) -> String {
    let binding = registration.binding();
    let needs_flag = registration.queue_mode() && !binding.contains('Q');
    if needs_flag { format!("{binding}Q") } else { binding.to_owned() }
}

/// Links as Leshan shows them: attribute values as they were written, quotes and all.
pub(super) fn links_json(text: &str) -> Value {
    let links = Links::of_text(text).filter_map(Result::ok).map(|link| {
        let attributes: Map<_, _> = link
            .attributes()
            .map(|attribute| {
                let value = attribute.raw().unwrap_or_default();
                let value = if attribute.is_quoted() { format!("\"{value}\"") } else { value.to_owned() };
                (attribute.name.to_owned(), json!(value))
            })
            .collect();
        json!({"url": link.target, "attributes": attributes})
    });
    links.collect()
}
