//! `GET /api/v1/devices/{endpoint}/trace`: the CoAP messages of a device as they come and go.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::devices;
use buoy_services::event_words::{SignedOut, may_read, permit_events};
use buoy_services::traces::Trace;
use futures_util::stream::{Stream, StreamExt};

use super::{Author, Problem, Segments};

/// The CoAP messages of a registered device from now on: what it sends, and what is sent to it, after decryption. They can have secrets in them,
/// as in a write.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/trace", tag = "events", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "Server-sent events named `message`; the data of each is a TracedMessage", content_type = "text/event-stream", body = api::TracedMessage),
        (status = 404, description = "No device of this name is known", body = api::Problem),
    )
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    permit_events(&app, &principal, Some(&endpoint)).await?;
    devices::described(&app, &principal, &endpoint).await?;
    let trace = Trace::start(&app, &endpoint);
    let events = app.events().follow(None).stream;
    let shared = Arc::new((app, principal, trace));
    let messages = events.then(move |event| {
        let shared = shared.clone();
        async move {
            // The trace ends with the stream.
            let (app, principal, trace) = &*shared;
            // A reader that was too slow misses messages, and goes on with the next.
            let Ok(event) = event else { return Some(None) };
            let Some(message) = trace.message(&event.event) else { return Some(None) };
            match may_read(app, principal, &event.event).await {
                Ok(true) => {}
                Ok(false) => return Some(None),
                Err(SignedOut) => return None,
            }
            let data = serde_json::to_string(&message).unwrap_or_default();
            Some(Some(Ok(SseEvent::default().event("message").data(data))))
        }
    });
    // Whoever signed out, or lost a role, gets nothing more.
    let messages = messages.take_while(|told| std::future::ready(told.is_some()));
    let messages = messages.filter_map(|told| std::future::ready(told.flatten()));
    Ok(Sse::new(messages).keep_alive(KeepAlive::default()))
}
