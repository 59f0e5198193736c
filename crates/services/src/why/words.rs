//! Sentences about evidence.

use buoy_api as api;
use buoy_api::DeviceState;
use buoy_lwm2m::text::harmless;

use super::evidence::Evidence;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length of time, given in milliseconds, in one or two units: "40 s", "3 h 5 min".
pub(super) fn span(millis: u64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
    let Some(place) = units.iter().position(|(unit, _)| millis >= *unit) else {
        return "less than a second".to_owned();
    };
    let (unit, name) = units[place];
    let count = millis / unit;
    let rest = units.get(place + 1).map(|(smaller, name)| (millis % unit / smaller, name));
    match rest {
        Some((rest, smaller)) if rest > 0 && count < 10 => format!("{count} {name} {rest} {smaller}"),
        _ => format!("{count} {name}"),
    }
}

/// The time since then: "40 s ago".
pub(super) fn ago(now: u64, at: u64) -> String {
    if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) }
}

/// "once", "twice", "5 times".
pub(super) fn times(count: u32) -> String {
    match count {
        0 | 1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// "one operation waits", "3 operations wait".
pub(super) fn waits(count: usize) -> String {
    if count == 1 { "one operation waits".to_owned() } else { format!("{count} operations wait") }
}

/// A text of a device or of a stranger, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", harmless(text))
}

/// A text of a device or of a stranger as one word of a shell command: whoever copies the command runs nothing else.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@%+=".contains(c);
    let text = harmless(text).to_string();
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The device in one sentence.
pub(super) fn summary(evidence: &Evidence, findings: &[api::Finding]) -> String {
    let problems = findings.iter().filter(|finding| finding.severity != api::Severity::Information).count();
    let is_well = problems == 0;
    let verdict = match problems {
        0 => "Nothing is wrong with it as far as the server knows.".to_owned(),
        1 => "One thing needs a look.".to_owned(),
        more => format!("{more} things need a look."),
    };
    match standing(evidence) {
        // What is not there is not well.
        Some(standing) if is_well && evidence.registration().is_none() => standing,
        Some(standing) => format!("{standing} {verdict}"),
        None => format!("No device of this name has ever registered. {verdict}"),
    }
}

fn standing(evidence: &Evidence) -> Option<String> {
    let device = evidence.device.as_ref()?;
    let heard = ago(evidence.now, device.last_contact);
    let next = device.next_contact.filter(|at| *at > evidence.now);
    let next = next.map(|at| format!(", expected {}", ago(evidence.now, at))).unwrap_or_default();
    Some(match device.state {
        DeviceState::Online => format!("Online, last heard {heard}."),
        DeviceState::Asleep => format!("Asleep, last heard {heard}{next}."),
        DeviceState::Overdue => format!("Overdue, last heard {heard}."),
        DeviceState::Offline => format!("Not registered, last heard {heard}{next}."),
        DeviceState::Revoked => format!("Its credentials are revoked; it was last heard {heard}."),
        DeviceState::Retired => format!("Out of service; it was last heard {heard}."),
        DeviceState::NeverSeen => "Expected, and never heard of.".to_owned(),
    })
}

/// What was looked at, and what it has.
pub(super) fn looked_at(evidence: &Evidence) -> Vec<String> {
    let mut looked = vec![
        match evidence.registration() {
            Some(registration) => format!("its registration, from {}", registration.address),
            None => "registrations: it has none".to_owned(),
        },
        counted(
            evidence.incidents.len(),
            "failed attempt or irregularity",
            "failed attempts and irregularities",
        ),
        counted(evidence.operations.len(), "operation", "operations"),
        counted(evidence.updates.len(), "firmware update", "firmware updates"),
        counted(evidence.values.len(), "last value", "last values"),
        counted(evidence.campaigns.len(), "open campaign", "open campaigns"),
        format!(
            "the server, which has run for {}",
            span(evidence.now.saturating_sub(evidence.server.started_at))
        ),
    ];
    looked.push(match &evidence.credentials {
        Some(credentials) => counted(credentials.len(), "credential", "credentials"),
        None => "not its credentials and claims: this needs a role that may see them".to_owned(),
    });
    looked
}

fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        more => format!("{more} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_copied_runs_nothing_that_a_stranger_wrote() {
        assert_eq!(shell("buoy-1"), "buoy-1");
        for hostile in ["x;id", "$(id)", "`id`", "a b", "x' ; id '", "-rf", "a\nb", ""] {
            let word = shell(hostile);
            assert!(word.starts_with('\'') && word.ends_with('\''), "{word}");
        }
        assert_eq!(shell("it's"), "'it'\\''s'");
    }

    #[test]
    fn a_length_of_time_has_at_most_two_units() {
        for (millis, text) in [
            (0, "less than a second"),
            (41_999, "41 s"),
            (3 * HOUR + 5 * MINUTE + 9, "3 h 5 min"),
            (2 * HOUR, "2 h"),
            (40 * DAY + HOUR, "40 d"),
        ] {
            assert_eq!(span(millis), text);
        }
        assert_eq!((ago(5000, 3000), ago(3000, 5000)), ("2 s ago".into(), "in 2 s".into()));
    }
}
