//! What receivers get: JSON for programs, and text for people.

use std::fmt::Write;
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::alerts::deliveries::{Delivery, Item};
use buoy_fleet::alerts::{News, Severity};
use buoy_lwm2m::text::harmless;

/// Alerts of which a text has the names.
const MOST_LINES: usize = 20;

/// The rule of a test.
pub(super) const TEST: &str = "";

/// A message that tells of no alert: it shows that a receiver works.
pub(super) fn test(receiver: &str, now: u64) -> Delivery {
    Delivery {
        // It is in no list, and its id in no other message.
        id: now,
        receiver: receiver.into(),
        rule: TEST.into(),
        description: format!("This is a test of the receiver {receiver}. No alert fires."),
        severity: Severity::Info,
        created_at: now,
        ready_at: now,
        firing: 0,
        flapping: 0,
        resolved: 0,
        items: Vec::new(),
        attempts: 1,
        next_attempt: 0,
        tried_since: now,
        error: String::new(),
        ended_at: None,
    }
}

/// The body for a webhook.
pub(super) fn json(delivery: &Delivery) -> Vec<u8> {
    let kind = if *delivery.rule == *TEST { "test" } else { "alert" };
    let message = api::AlertMessage {
        id: delivery.id,
        kind: kind.to_owned(),
        rule: delivery.rule.to_string(),
        severity: severity(delivery.severity),
        description: delivery.description.clone(),
        firing: delivery.firing,
        flapping: delivery.flapping,
        resolved: delivery.resolved,
        alerts: delivery.items.iter().map(news).collect(),
        more: delivery.count() - delivery.items.len() as u64,
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// The body for Slack. What devices say is escaped, so that it is text and no link (`&`, `<`, `>`).
pub(super) fn slack(delivery: &Delivery) -> Vec<u8> {
    let text = format!("{}\n{}", subject(delivery), text(delivery));
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap_or_default()
}

/// One line that says what happened.
pub(super) fn subject(delivery: &Delivery) -> String {
    if *delivery.rule == *TEST {
        return "[buoy] test".to_owned();
    }
    let mut counts = Vec::new();
    for (count, word) in
        [(delivery.firing, "firing"), (delivery.flapping, "flapping"), (delivery.resolved, "resolved")]
    {
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    let of = match delivery.items.as_slice() {
        [one] if delivery.count() == 1 => format!(" ({})", harmless(&one.subject)),
        _ => String::new(),
    };
    let severity = severity(delivery.severity).name();
    format!("[buoy] {severity}: {} {}{of}", delivery.rule, counts.join(", "))
}

/// What happened, for people.
pub(super) fn text(delivery: &Delivery) -> String {
    let mut text = String::new();
    if !delivery.description.is_empty() {
        for line in delivery.description.lines() {
            let _ = writeln!(text, "{}", harmless(line));
        }
        text.push('\n');
    }
    for item in delivery.items.iter().take(MOST_LINES) {
        let _ = write!(text, "{} {}", state(item.news).name(), harmless(&item.subject));
        let _ = write!(text, ", since {}", time(item.fired_at));
        if !item.detail.is_empty() {
            let _ = write!(text, ": {}", harmless(&item.detail));
        }
        text.push('\n');
    }
    let more = delivery.count() - delivery.items.len().min(MOST_LINES) as u64;
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

fn time(at: u64) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX));
    at.map_or_else(|_| "?".to_owned(), |at| format!("{at:.0}"))
}

fn news(item: &Item) -> api::AlertNews {
    let (endpoint, part) = of_subject(&item.subject, item.is_device);
    api::AlertNews {
        state: state(item.news),
        endpoint,
        part,
        since: item.fired_at,
        at: item.at,
        detail: item.detail.clone(),
    }
}

/// The device, or the part of the server.
pub(super) fn of_subject(subject: &Arc<str>, is_device: bool) -> (Option<String>, Option<String>) {
    let name = Some(subject.to_string());
    if is_device { (name, None) } else { (None, name) }
}

pub(super) fn state(news: News) -> api::AlertState {
    match news {
        News::Firing => api::AlertState::Firing,
        News::Flapping => api::AlertState::Flapping,
        News::Resolved => api::AlertState::Resolved,
    }
}

pub(super) fn severity(severity: Severity) -> api::AlertSeverity {
    match severity {
        Severity::Info => api::AlertSeverity::Info,
        Severity::Warning => api::AlertSeverity::Warning,
        Severity::Critical => api::AlertSeverity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(count: u64, subject: &str) -> Delivery {
        let item = Item {
            news: News::Firing,
            subject: subject.into(),
            is_device: true,
            fired_at: 1_795_466_474_000,
            at: 1_795_466_474_000,
            detail: "<http://evil.example|click>\u{1b}[2J".into(),
        };
        let items = vec![item; count.min(100) as usize];
        Delivery { rule: "offline".into(), firing: count, items, ..test("a", 0) }
    }

    #[test]
    fn people_read_what_happened_and_what_devices_say_does_nothing() {
        assert_eq!(subject(&delivery(1, "d-1")), "[buoy] info: offline 1 firing (d-1)");
        let many = delivery(5000, "d-1");
        assert_eq!(subject(&many), "[buoy] info: offline 5000 firing");
        assert!(text(&many).ends_with("and 4980 more\n"), "{}", text(&many));
        let shown = text(&delivery(1, "a\nb"));
        assert!(shown.contains("firing a\\u{a}b, since 2026-11-23T20:41:14Z: <http"), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        let body = String::from_utf8(slack(&delivery(1, "d"))).unwrap();
        assert!(body.contains("&lt;http://evil.example|click&gt;"), "{body}");
    }

    #[test]
    fn programs_get_the_alerts_and_the_number_of_the_others() {
        let message: api::AlertMessage = serde_json::from_slice(&json(&delivery(150, "d"))).unwrap();
        assert_eq!((message.firing, message.alerts.len(), message.more), (150, 100, 50));
        assert_eq!(message.alerts[0].endpoint.as_deref(), Some("d"));
        let message: api::AlertMessage = serde_json::from_slice(&json(&test("a", 0))).unwrap();
        assert_eq!((message.kind.as_str(), message.more), ("test", 0));
    }
}
