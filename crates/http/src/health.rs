//! `/healthz`, `/readyz` and `/metrics`: for supervisors and for Prometheus.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use buoy_services::app::App;

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

/// The alerts that fire, by rule.
fn write_alerts(page: &mut String, app: &App) {
    let _ = writeln!(page, "# HELP buoy_alerts_firing Alerts that fire.\n# TYPE buoy_alerts_firing gauge");
    for (rule, severity, count) in app.firing_alerts() {
        let rule = rule.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(page, "buoy_alerts_firing{{rule=\"{rule}\",severity=\"{severity}\"}} {count}");
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let shards = app.counters().await;
    let mut page = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: &dyn Fn(usize) -> u64| {
        let _ = writeln!(page, "# HELP buoy_{name} {help}\n# TYPE buoy_{name} {kind}");
        for shard in 0..shards.len() {
            let _ = writeln!(page, "buoy_{name}{{shard=\"{shard}\"}} {}", value(shard));
        }
    };
    metric("registered_devices", "gauge", "Devices registered now.", &|n| shards[n].0 as u64);
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
    write_alerts(&mut page, &app);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}
