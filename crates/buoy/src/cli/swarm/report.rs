//! The report of a swarm, for people and for scripts.

use buoy_lwm2m::text::harmless;
use buoy_sim::swarm::{Figures, Report};
use serde_json::{Value, json};

/// Prints it as tables.
pub(super) fn print(report: &Report) {
    let Report { devices, registered, handshakes, .. } = report;
    let seconds = report.time_to_register.as_secs_f64();
    println!(
        "{registered} of {devices} devices registered in {seconds:.2} s: {:.0}/s",
        *registered as f64 / seconds.max(0.001)
    );
    println!(
        "{:<12}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}",
        "EXCHANGE", "SENT", "ANSWERED", "p50 ms", "p90 ms", "p99 ms", "MAX ms"
    );
    let rows = [("handshake", *handshakes)].into_iter().chain(report.exchanges.iter().copied());
    for (name, figures) in rows.filter(|(_, figures)| figures.sent > 0) {
        let Figures { sent, answered, p50, p90, p99, longest } = figures;
        let [p50, p90, p99, longest] = [p50, p90, p99, longest].map(|time| time.as_millis());
        println!("{name:<12}{sent:>10}{answered:>10}{p50:>9}{p90:>9}{p99:>9}{longest:>9}");
    }
    if handshakes.sent > 0 {
        println!(
            "{} sessions, {} of them resumed, {} handshakes failed",
            handshakes.answered, report.handshakes_resumed, report.handshakes_failed
        );
    }
    println!(
        "{} requests served, {} notifications sent unconfirmed",
        report.requests_served, report.notifications_unconfirmed
    );
    if report.updates > 0 {
        println!("{} firmware updates", report.updates);
    }
    // Why may be in the server's words.
    report.failures.iter().for_each(|(why, count)| println!("failed: {}: {count}", harmless(why)));
    for (kind, count) in report.unanswered.iter().filter(|(_, count)| **count > 0) {
        println!("failed: {kind}: {count} without an answer");
    }
    if report.failed() == 0 {
        println!("no failures");
    }
}

/// The same as one document.
pub(super) fn to_json(report: &Report) -> Value {
    let exchanges: serde_json::Map<_, _> =
        report.exchanges.iter().map(|(name, it)| ((*name).to_owned(), figures(it))).collect();
    let mut handshakes = figures(&report.handshakes);
    handshakes["resumed"] = report.handshakes_resumed.into();
    handshakes["failed"] = report.handshakes_failed.into();
    json!({
        "devices": report.devices,
        "registered": report.registered,
        "seconds_to_register": report.time_to_register.as_secs_f64(),
        "handshakes": handshakes,
        "exchanges": exchanges,
        "requests_served": report.requests_served,
        "notifications_unconfirmed": report.notifications_unconfirmed,
        "updates": report.updates,
        "failures": report.failures,
        "unanswered": report.unanswered,
    })
}

fn figures(figures: &Figures) -> Value {
    let Figures { sent, answered, p50, p90, p99, longest } = figures;
    let [p50, p90, p99, longest] = [p50, p90, p99, longest].map(|time| time.as_millis() as u64);
    json!({
        "sent": sent, "answered": answered, "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "max_ms": longest,
    })
}
