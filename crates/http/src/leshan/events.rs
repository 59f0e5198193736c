//! Streams of events (server-sent events): Leshan's names and shapes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use buoy_lwm2m::path::Path;
use futures_util::stream::{Stream, StreamExt};
use serde_json::{Value, json};

use super::clients::{links_json, registration_json};
use super::requests::{DeviceResponse, late_content, request_id};
use crate::nodes;
use buoy_services::app::App;
use buoy_services::coap_words::{CoapWords, OptionValue, OptionWords};
use buoy_services::event_words::{SignedOut, may_read};
use buoy_services::happenings::{Happening, happening};
use buoy_services::principal::Principal;
use buoy_services::traces::Trace;
use buoy_services::values::Entry;

/// Leshan's event stream: of one device, with its CoAP messages, or of all.
pub(super) fn leshan_stream(
    app: Arc<App>,
    principal: Principal,
    endpoint: Option<String>,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let trace = endpoint.as_ref().map(|endpoint| Trace::start(&app, endpoint));
    let events = app.events().follow(None).stream;
    let shared = Arc::new((app, principal, endpoint, trace));
    let stream = events.then(move |event| {
        let shared = shared.clone();
        async move {
            // The trace ends with the stream.
            let (app, principal, endpoint, _trace) = &*shared;
            // A reader that was too slow misses events, and goes on with the next.
            let Ok(event) = event else { return Some(None) };
            match may_read(app, principal, &event.event).await {
                Ok(true) => {}
                Ok(false) => return Some(None),
                Err(SignedOut) => return None,
            }
            let happening = happening(app, &event.event, endpoint.as_deref());
            let words = happening.and_then(words);
            Some(words.map(|(name, data)| Ok(SseEvent::default().event(name).data(data.to_string()))))
        }
    });
    // Whoever signed out, or lost a role, gets nothing more.
    let stream = stream.take_while(|told| std::future::ready(told.is_some()));
    let stream = stream.filter_map(|told| std::future::ready(told.flatten()));
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// An event in Leshan's words; `None` if nothing of it can be shown.
fn words(happening: Happening<'_>) -> Option<(&'static str, Value)> {
    Some(match happening {
        Happening::Registered(registration) => ("REGISTRATION", registration_json(&registration)),
        Happening::Updated { registration, changes_lifetime, changes_objects } => {
            let mut update = json!({
                "registrationId": registration.id(),
                "address": registration.address(),
                "secure": registration.is_secure(),
                "additionalAttributes": {},
            });
            if changes_lifetime {
                update["lifetime"] = json!(registration.lifetime());
            }
            if changes_objects {
                update["objectLinks"] = links_json(registration.links());
            }
            ("UPDATED", json!({"registration": registration_json(&registration), "update": update}))
        }
        Happening::Ended(registration) => ("DEREGISTRATION", registration_json(&registration)),
        Happening::Awake(endpoint) => ("AWAKE", json!({"ep": &*endpoint})),
        Happening::Sleeping(endpoint) => ("SLEEPING", json!({"ep": &*endpoint})),
        Happening::Send { endpoint, values } => {
            let paths: Vec<Path> = values.iter().map(|entry| resource_of(entry.path)).collect();
            ("SEND", json!({"ep": &*endpoint, "val": nodes::composite(&paths, &values)}))
        }
        Happening::Notification { endpoint, paths, is_composite, values } => {
            ("NOTIFICATION", notification(&endpoint, &paths, is_composite, &values)?)
        }
        Happening::Traced { endpoint, at, is_incoming, message } => {
            ("COAPLOG", coap_log(&endpoint, at, is_incoming, message))
        }
        Happening::LateAnswer { id, endpoint, path, answer } => {
            let response = match &answer {
                Ok(answer) => json!(DeviceResponse::new(answer, late_content(path, answer))),
                Err((_, words)) => {
                    json!({"valid": false, "success": false, "failure": true, "errormessage": words})
                }
            };
            let body = json!({
                "ep": &*endpoint, "path": path, "requestId": request_id(id), "response": response, "delayed": true,
            });
            ("REQUEST_RESPONSE", body)
        }
        Happening::Bootstrap { endpoint, phase, detail } => {
            ("BSSESSION", json!({"ep": endpoint, "event": phase, "message": detail}))
        }
    })
}

fn notification(endpoint: &str, paths: &[Path], is_composite: bool, values: &[Entry]) -> Option<Value> {
    if is_composite {
        let names: Vec<String> = paths.iter().map(Path::to_string).collect();
        let values = nodes::composite(paths, values);
        return Some(json!({"ep": endpoint, "kind": "composite", "val": values, "paths": names}));
    }
    let path = *paths.first()?;
    let value = nodes::node(path, values)?;
    Some(json!({"ep": endpoint, "kind": "single", "res": path.to_string(), "val": value}))
}

fn resource_of(path: Path) -> Path {
    path.truncated(path.len().min(3))
}

fn coap_log(endpoint: &str, at: u64, is_incoming: bool, message: CoapWords) -> Value {
    let options: Vec<String> = message.options.iter().map(option_text).collect();
    let mut body = json!({
        "timestamp": at,
        "incoming": is_incoming,
        "type": message.kind,
        "code": message.code,
        "mId": message.message_id,
        "token": message.token.to_ascii_uppercase(),
        "options": options.join(" - "),
        "ep": endpoint,
    });
    if let Some(payload) = message.payload {
        body["payload"] = json!(payload);
    }
    body
}

/// As in `Uri-Path/STRING: "3"`.
fn option_text(option: &OptionWords) -> String {
    let name = &option.name;
    match &option.value {
        OptionValue::String(text) => format!("{name}/STRING: \"{text}\""),
        OptionValue::Uint(number) => format!("{name}/INTEGER: {number}"),
        OptionValue::Empty => format!("{name}/EMPTY"),
        OptionValue::Opaque(digits) => format!("{name}/OPAQUE: 0x{digits}"),
        OptionValue::Unknown(digits) => format!("{name}/UNKNOWN: 0x{digits}"),
    }
}
