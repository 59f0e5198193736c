//! `/healthz`, `/readyz` and `/metrics`: for supervisors and for Prometheus.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use buoy_services::app::App;
use buoy_services::campaigns::commands;
use buoy_services::principal::Principal;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// 200 when devices can register: the store can be written, and the shards answer.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.check_ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn metrics(State(app): State<Arc<App>>, author: Option<Extension<Principal>>) -> Response {
    let shards = app.counters().await;
    let queued = app.open_operations().await;
    let mut page = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: &dyn Fn(usize) -> u64| {
        let _ = writeln!(page, "# HELP buoy_{name} {help}\n# TYPE buoy_{name} {kind}");
        for shard in 0..shards.len() {
            let _ = writeln!(page, "buoy_{name}{{shard=\"{shard}\"}} {}", value(shard));
        }
    };
    metric("registered_devices", "gauge", "Devices registered now.", &|n| shards[n].0 as u64);
    metric("operations_open", "gauge", "Operations that wait for devices or are in progress.", &|n| {
        queued.get(n).copied().unwrap_or_default() as u64
    });
    let mut counter = |name: &str, help: &str, value: fn(&buoy_services::Counters) -> u64| {
        metric(name, "counter", help, &|n| value(&shards[n].1));
    };
    counter("datagrams_received_total", "Datagrams received.", |c| c.datagrams_received);
    counter("registrations_total", "Register requests accepted.", |c| c.registered);
    counter("registration_updates_total", "Updates accepted.", |c| c.updated);
    counter("deregistrations_total", "Deregistrations.", |c| c.deregistered);
    counter("registrations_expired_total", "Registrations that ran out.", |c| c.expired);
    counter("notifications_total", "Notifications taken.", |c| c.notifications);
    counter("notifications_dropped_total", "Notifications nobody wanted or that came too late.", |c| {
        c.notifications_dropped
    });
    counter("sends_total", "Send operations taken.", |c| c.sends);
    counter("requests_refused_total", "Requests refused with 4.xx or 5.xx.", |c| c.refused);
    counter("datagrams_ignored_total", "Datagrams that meant nothing.", |c| c.ignored);
    counter("operations_sent_total", "Operations sent to devices.", |c| c.operations_sent);
    counter("operations_failed_total", "Operations that ended without an answer.", |c| c.operations_failed);
    let journal = app.journal_counters();
    for (name, help, counter) in [
        ("commits_total", "Transactions of the store.", &journal.commits),
        ("changes_total", "Changes that were committed.", &journal.changes),
        ("rejected_total", "Sets of changes that the store refused.", &journal.rejected),
    ] {
        let value = counter.load(Ordering::Relaxed);
        let _ = writeln!(page, "# HELP buoy_store_{name} {help}\n# TYPE buoy_store_{name} counter");
        let _ = writeln!(page, "buoy_store_{name} {value}");
    }
    let _ = writeln!(
        page,
        "# HELP buoy_store_failing Whether the store cannot be written.\n# TYPE buoy_store_failing gauge"
    );
    let _ = writeln!(page, "buoy_store_failing {}", u8::from(app.check_store().is_err()));
    labelled(
        &mut page,
        "dtls_handshake_failures_total",
        "counter",
        "DTLS handshakes that failed, by reason.",
        app.handshake_failures().into_iter().map(|(reason, count)| (format!("reason=\"{reason}\""), count)),
    );
    labelled(
        &mut page,
        "firmware_updates_ended_total",
        "counter",
        "Firmware updates that ended, by outcome.",
        app.update_outcomes().into_iter().map(|(outcome, count)| (format!("outcome=\"{outcome}\""), count)),
    );
    let (readers, stored) = (app.events().readers(), app.events().stored());
    labelled(
        &mut page,
        "event_readers",
        "gauge",
        "Readers that follow events.",
        [(String::new(), readers as u64)],
    );
    labelled(
        &mut page,
        "events_stored",
        "gauge",
        "Events that are stored for readers.",
        [(String::new(), stored as u64)],
    );
    if let Some(Extension(principal)) = author {
        campaigns(&app, &principal, &mut page).await;
    }
    let about = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    labelled(&mut page, "build_info", "gauge", "The program.", [(about, 1)]);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}

/// The devices of each campaign by stage, for who may read campaigns.
async fn campaigns(app: &Arc<App>, principal: &Principal, page: &mut String) {
    let Ok(all) = commands::list(app, principal).await else { return };
    let devices = all.iter().flat_map(|campaign| {
        let counts = &campaign.counts;
        let stages = [
            ("waiting", counts.waiting),
            ("updating", counts.updating),
            ("confirmed", counts.confirmed),
            ("had_it", counts.had_it),
            ("failed", counts.failed),
            ("skipped", counts.skipped),
        ];
        let (id, name) = (campaign.id, escaped(&campaign.plan.name));
        stages.map(|(stage, count)| (format!("campaign=\"{id}\",name=\"{name}\",stage=\"{stage}\""), count))
    });
    labelled(page, "campaign_devices", "gauge", "Devices of a campaign, by stage.", devices);
}

/// A metric with a value for each set of labels.
fn labelled(
    page: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, u64)>,
) {
    let _ = writeln!(page, "# HELP buoy_{name} {help}\n# TYPE buoy_{name} {kind}");
    for (labels, value) in values {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(page, "buoy_{name}{labels} {value}");
    }
}

/// The value of a label: what would end it, or a line, is escaped (Prometheus exposition format 0.0.4).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_label() {
        let mut page = String::new();
        let label = format!("name=\"{}\"", escaped("a\"b\\c\nd"));
        labelled(&mut page, "x", "gauge", "X.", [(label, 1)]);
        assert_eq!(page.lines().last(), Some(r#"buoy_x{name="a\"b\\c\nd"} 1"#));
    }
}
