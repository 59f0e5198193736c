//! Streams of events (server-sent events): Leshan's names and shapes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use buoy_coap::number::{ContentFormat, OptionFormat, OptionNumber};
use buoy_coap::wire::{Kind, Message, parse_uint};
use buoy_lwm2m::path::Path;
use buoy_server::{BootstrapEvent, Event, Outcome, Report, ReportSource};
use futures_util::stream::{Stream, StreamExt};
use serde_json::{Value, json};

use crate::{leshan, nodes};
use buoy_services::app::App;
use buoy_services::event_log::AppEvent;
use buoy_services::event_words;
use buoy_services::hex;
use buoy_services::values::{DeviceModels, present, timed};

/// Leshan's event stream: of one device, with its CoAP messages, or of all.
pub(super) fn leshan_stream(
    app: Arc<App>,
    endpoint: Option<String>,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let trace = endpoint.as_ref().map(|endpoint| Trace::start(app.clone(), endpoint));
    let events = app.events().follow(None).stream;
    let stream = events.filter_map(move |event| {
        // The trace ends with the stream.
        let _trace = &trace;
        // A reader that was too slow misses events, and goes on with the next.
        let told = event.ok().and_then(|it| tell(&app, &it.event, endpoint.as_deref()));
        std::future::ready(
            told.map(|(name, data)| Ok(SseEvent::default().event(name).data(data.to_string()))),
        )
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// The CoAP messages of a device are told as long as this lives.
struct Trace {
    app: Arc<App>,
    endpoint: String,
}

impl Trace {
    fn start(app: Arc<App>, endpoint: &str) -> Self {
        app.trace(endpoint, true);
        Self { app, endpoint: endpoint.to_owned() }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.app.trace(&self.endpoint, false);
    }
}

/// An event in Leshan's words; `None` if it has none for it, or if another device is asked for.
fn tell(app: &App, event: &AppEvent, only: Option<&str>) -> Option<(&'static str, Value)> {
    let wanted = |endpoint: &str| only.is_none_or(|only| only == endpoint);
    let event = match event {
        AppEvent::Device(event) => event,
        AppEvent::Delayed(event) => return late_answer(app, event, wanted),
        AppEvent::Update(_) | AppEvent::Notice(_) => return None,
        AppEvent::Bootstrap(event) => return bootstrap(event, wanted),
    };
    match &**event {
        Event::Registered { registration, .. } if wanted(&registration.endpoint) => {
            Some(("REGISTRATION", leshan::registration_json(&registration.view())))
        }
        Event::Updated { registration, changed } if wanted(&registration.endpoint) => {
            let registration = &registration.view();
            let mut update = json!({
                "registrationId": registration.id(),
                "address": registration.address.to_string(),
                "secure": registration.session.is_some(),
                "additionalAttributes": {},
            });
            if changed.lifetime {
                update["lifetime"] = json!(registration.lifetime);
            }
            if changed.objects {
                update["objectLinks"] = leshan::links_json(registration.objects.text());
            }
            Some((
                "UPDATED",
                json!({"registration": leshan::registration_json(registration), "update": update}),
            ))
        }
        Event::Deregistered(registration) | Event::Expired(registration)
            if wanted(&registration.endpoint) =>
        {
            Some(("DEREGISTRATION", leshan::registration_json(&registration.view())))
        }
        Event::Awake(endpoint) if wanted(endpoint) => Some(("AWAKE", json!({"ep": &**endpoint}))),
        Event::Sleeping(endpoint) if wanted(endpoint) => Some(("SLEEPING", json!({"ep": &**endpoint}))),
        Event::Reported(report) if wanted(&report.endpoint) => reported(app, report),
        // Another reader's stream may be why the device is traced.
        Event::Traced { endpoint, at, incoming, datagram }
            if only.is_some_and(|only| *only == **endpoint) =>
        {
            Some(("COAPLOG", coap_log(endpoint, *at, *incoming, datagram)?))
        }
        _ => None,
    }
}

/// A bootstrap session went on.
fn bootstrap(event: &BootstrapEvent, wanted: impl Fn(&str) -> bool) -> Option<(&'static str, Value)> {
    let (endpoint, phase, detail) = event_words::bootstrap_words(event);
    wanted(endpoint).then(|| ("BSSESSION", json!({"ep": endpoint, "event": phase, "message": detail})))
}

/// The answer of a device that slept when it was asked.
fn late_answer(app: &App, event: &Event, wanted: impl Fn(&str) -> bool) -> Option<(&'static str, Value)> {
    let Event::OperationEnded { id, endpoint, path, outcome } = event else { return None };
    if !wanted(endpoint) {
        return None;
    }
    let response = match outcome {
        Ok(outcome) => json!(leshan::DeviceResponse::new(outcome, late_content(app, path, outcome))),
        Err(failure) => {
            json!({"valid": false, "success": false, "failure": true, "errormessage": failure.to_string()})
        }
    };
    let id = leshan::request_id(id.0);
    let body =
        json!({"ep": &**endpoint, "path": path, "requestId": id, "response": response, "delayed": true});
    Some(("REQUEST_RESPONSE", body))
}

fn late_content(app: &App, path: &str, outcome: &Outcome) -> Option<leshan::Content> {
    let path: Path = path.parse().ok()?;
    let format = outcome.format.filter(|_| outcome.code.is_success())?;
    if format == ContentFormat::LINK {
        let text = String::from_utf8_lossy(&outcome.payload);
        return Some(leshan::Content::Links(leshan::links_json(&text)));
    }
    let entries = DeviceModels::of_any(app.models()).decode(format, path, &outcome.payload).ok()?;
    let entries = present(timed(entries, app.now()));
    nodes::node(path, &entries).map(leshan::Content::Node)
}

fn reported(app: &App, report: &Report) -> Option<(&'static str, Value)> {
    let models = DeviceModels::of_any(app.models());
    let endpoint = &*report.endpoint;
    // What can't be read of it is told elsewhere, and takes nothing from the rest.
    let entries = present(models.read_report(report).values);
    match &report.source {
        ReportSource::Send => {
            let paths: Vec<Path> = entries.iter().map(|entry| resource_of(entry.path)).collect();
            Some(("SEND", json!({"ep": endpoint, "val": nodes::composite(&paths, &entries)})))
        }
        ReportSource::Notification { paths, composite: true, .. } => {
            let names: Vec<String> = paths.iter().map(Path::to_string).collect();
            let values = nodes::composite(paths, &entries);
            Some((
                "NOTIFICATION",
                json!({"ep": endpoint, "kind": "composite", "val": values, "paths": names}),
            ))
        }
        ReportSource::Notification { paths, .. } => {
            let path = *paths.first()?;
            let value = nodes::node(path, &entries)?;
            Some((
                "NOTIFICATION",
                json!({"ep": endpoint, "kind": "single", "res": path.to_string(), "val": value}),
            ))
        }
    }
}

fn resource_of(path: Path) -> Path {
    path.truncated(path.len().min(3))
}

fn coap_log(endpoint: &str, at: u64, incoming: bool, datagram: &[u8]) -> Option<Value> {
    let message = Message::parse(datagram).ok()?;
    let kind = match message.kind() {
        Kind::Confirmable => "CON",
        Kind::NonConfirmable => "NON",
        Kind::Acknowledgement => "ACK",
        Kind::Reset => "RST",
    };
    let options: Vec<String> = message.options().map(|(number, value)| option_text(number, value)).collect();
    let mut body = json!({
        "timestamp": at,
        "incoming": incoming,
        "type": kind,
        "code": message.code().to_string(),
        "mId": message.message_id(),
        "token": hex::encode(message.token()).to_ascii_uppercase(),
        "options": options.join(" - "),
        "ep": endpoint,
    });
    if !message.payload().is_empty() {
        let format = message.content_format();
        let is_text = matches!(
            format,
            None | Some(
                ContentFormat::TEXT
                    | ContentFormat::LINK
                    | ContentFormat::SENML_JSON
                    | ContentFormat::LWM2M_JSON
            )
        );
        body["payload"] = match std::str::from_utf8(message.payload()) {
            Ok(text) if is_text => json!(text),
            _ => json!(format!("0x{}", hex::encode(message.payload()))),
        };
    }
    Some(body)
}

/// As in `Uri-Path/STRING: "3"`.
fn option_text(number: OptionNumber, value: &[u8]) -> String {
    let name = number.name().map_or_else(|| number.0.to_string(), str::to_owned);
    match number.definition().map(|definition| definition.format) {
        Some(OptionFormat::String) => format!("{name}/STRING: \"{}\"", String::from_utf8_lossy(value)),
        Some(OptionFormat::Uint) => format!("{name}/INTEGER: {}", parse_uint(value).unwrap_or_default()),
        Some(OptionFormat::Empty) => format!("{name}/EMPTY"),
        Some(OptionFormat::Opaque) => format!("{name}/OPAQUE: 0x{}", hex::encode(value)),
        None => format!("{name}/UNKNOWN: 0x{}", hex::encode(value)),
    }
}
