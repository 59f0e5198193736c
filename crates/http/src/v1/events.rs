//! `GET /api/v1/events`: server-sent events that a client can resume by `Last-Event-ID`.
//!
//! An event's id is the start time of this server and the event's number. While there is a reader, and for five minutes after, the last 8192
//! events are stored; with `buoy serve --keep-events` all of some time, which `since` reads. A client that reconnects later, or after a restart of the server, gets the event `missed`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use buoy_api as api;
use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Author, Problem, Queries};
use buoy_services::app::App;
use buoy_services::event_log::{Following, Missed, Numbered};
use buoy_services::event_words::{EventWords, SignedOut, may_read, permit_events};
use buoy_services::principal::Principal;

const TYPES: [&str; 19] = [
    "registered",
    "updated",
    "deregistered",
    "expired",
    "awake",
    "sleeping",
    "notification",
    "send",
    "report_problem",
    "observation_ended",
    "refused",
    "dtls",
    "bootstrap",
    "operation",
    "firmware_update",
    "campaign",
    "job",
    "alert",
    "missed",
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events of this device.
    endpoint: Option<String>,
    /// Only events of these types, separated by commas.
    types: Option<String>,
    /// Begins with the events since this time, as far as they are stored: RFC 3339, or milliseconds since the epoch. `missed` comes first if some
    /// are not.
    since: Option<String>,
    /// With `false` the stream ends with the last event that there is.
    follow: Option<bool>,
}

/// Events from now on, or all events after the one in `Last-Event-ID`.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last received event")),
    responses(
        (status = 200, description = "Server-sent events; the data of each is a TimedEvent", content_type = "text/event-stream", body = api::TimedEvent),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<EventQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let wanted = query.types.iter().flat_map(|types| types.split(','));
    if let Some(unknown) = wanted.map(str::trim).find(|name| !TYPES.contains(name)) {
        let detail = format!("there is no type {unknown:?}; the types are {}", TYPES.join(", "));
        return Err(Problem::bad_request(detail));
    }
    let last = match headers.get("last-event-id") {
        None => None,
        Some(id) => Some(place(&app, id.to_str().unwrap_or_default())?),
    };
    let since = super::series::moment("since", query.since.as_deref())?;
    let EventQuery { endpoint, types, since: _, follow } = query;
    permit_events(&app, &principal, endpoint.as_deref()).await?;
    let (before, until, following) = match (last, since) {
        (None, Some(since)) => {
            let Following { before, until, stream } = app.events().follow_since(since);
            (before, until, stream.boxed())
        }
        _ => {
            let Following { before, until, stream } = app.events().follow(last);
            (before, until, stream.boxed())
        }
    };
    let following =
        if follow == Some(false) { until_number(following, before, until).boxed() } else { following };
    // A reader without any event yet needs an id, too, so that it can resume from there.
    let start = last.is_none().then(|| SseEvent::default().id(id_of(&app, before)));
    let reader = Arc::new(Reader { words: EventWords::new(app.clone(), endpoint), app, principal, types });
    let events = following.then(move |event| {
        let reader = reader.clone();
        async move {
            match event {
                Ok(event) => match may_read(&reader.app, &reader.principal, &event.event).await {
                    Ok(true) => Some(reader.tell(&event)),
                    Ok(false) => Some(None),
                    Err(SignedOut) => None,
                },
                Err(Missed) => Some(Some(missed(reader.app.now()))),
            }
        }
    });
    // Whoever signed out, or lost a role, gets nothing more.
    let events = events.take_while(|told| std::future::ready(told.is_some()));
    let events = events.filter_map(|told| std::future::ready(told.flatten().map(Ok)));
    Ok(Sse::new(stream::iter(start.map(Ok)).chain(events)).keep_alive(KeepAlive::default()))
}

/// The events up to a number that there is. What was missed before is told, too.
fn until_number(
    events: impl Stream<Item = Result<Numbered, Missed>> + Send,
    before: u64,
    until: u64,
) -> impl Stream<Item = Result<Numbered, Missed>> + Send {
    let start = (Box::pin(events), before);
    stream::unfold(start, move |(mut events, last)| async move {
        let next = match last < until {
            true => events.next().await?,
            // Only that something was missed can come without waiting.
            false => events.next().now_or_never().flatten().filter(Result::is_err)?,
        };
        let last = next.as_ref().map_or(last, |event| event.number);
        Some((next, (events, last)))
    })
}

/// The number in an event's id; for another run of the server, a number that is not stored any more.
fn place(app: &App, id: &str) -> Result<u64, Problem> {
    let parts = id.split_once('-').and_then(|(start, number)| {
        Some((u64::from_str_radix(start, 16).ok()?, number.parse::<u64>().ok()?))
    });
    match parts {
        Some((start, number)) if start == app.started_at() => Ok(number),
        Some(_) => Ok(u64::MAX - 1),
        None => Err(Problem::bad_request(format!("Last-Event-ID {id:?} is none of this server's"))),
    }
}

/// The id of an event of this run of the server.
fn id_of(app: &App, number: u64) -> String {
    format!("{:x}-{number}", app.started_at())
}

fn missed(at: u64) -> SseEvent {
    let why = "events were missed, since the stream was broken for long, is read too slowly, or begins at a time from which on they are not \
        kept; read the lists anew";
    sse(&api::TimedEvent { at, event: api::Event::Missed { detail: why.to_owned() } })
}

fn sse(told: &api::TimedEvent) -> SseEvent {
    let data = serde_json::to_string(told).unwrap_or_default();
    SseEvent::default().event(told.event.type_name()).data(data)
}

/// A reader of the stream.
struct Reader {
    app: Arc<App>,
    principal: Principal,
    words: EventWords,
    types: Option<String>,
}

impl Reader {
    fn tell(&self, numbered: &Numbered) -> Option<SseEvent> {
        let event = self.words.event(&numbered.event)?;
        let name = event.type_name();
        let is_wanted = |types: &str| types.split(',').any(|wanted| wanted.trim() == name);
        if !self.types.as_deref().is_none_or(is_wanted) {
            return None;
        }
        let told = api::TimedEvent { at: numbered.at, event };
        Some(sse(&told).id(id_of(&self.app, numbered.number)))
    }
}
