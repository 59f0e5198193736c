//! What the server itself has to do with it.

use buoy_api::{EvidenceKind, OperationFailure};

use super::super::evidence::Evidence;
use super::super::words::{ago, span};
use super::{Found, fact, linked};

/// A clock may be set by so much without anybody noticing; milliseconds.
const TOLERANCE: u64 = 60_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

pub(super) fn server_restarted(evidence: &Evidence) -> Option<Found> {
    let started_at = evidence.server.started_at;
    let interrupted = evidence.operations.iter().find(|operation| {
        operation.failure == Some(OperationFailure::Interrupted)
            && evidence.now.saturating_sub(operation.changed_at) < DAY
    });
    let last = evidence.last_contact();
    let is_before = last > 0 && last < started_at && evidence.now.saturating_sub(started_at) < DAY;
    if interrupted.is_none() && !is_before {
        return None;
    }
    let not_heard = if is_before { ", and the device was not heard since" } else { "" };
    let unknown = if interrupted.is_some() {
        " What was sent to it then has ended without an answer: it is not known whether the device did it."
    } else {
        ""
    };
    let sentence = format!("The server was restarted {}{not_heard}.{unknown}", ago(evidence.now, started_at));
    let next_step = "Nothing has to be done: registrations, sessions and queued operations go on. Repeat what was interrupted.";
    let started = fact(EvidenceKind::Server, started_at, "start of the server");
    let operation = interrupted.map(|operation| {
        let said = fact(
            EvidenceKind::Operation,
            operation.changed_at,
            format!("{} was interrupted", operation.path),
        );
        linked(said, operation.id, format!("/api/v1/operations/{}", operation.id))
    });
    Some(Found::information(sentence, next_step).by(started).by_all(operation))
}

pub(super) fn server_clock(evidence: &Evidence) -> Option<Found> {
    let set = evidence.server.clock_was_set;
    let ahead = evidence.server.latest_saved.max(evidence.last_contact()).saturating_sub(evidence.now);
    let next_step = "Set the clock of the server by NTP. Times that were saved while it was wrong stay wrong; certificates are checked by it, too.";
    if ahead > TOLERANCE {
        let sentence = format!(
            "The clock of the server is slow now, or was fast before: it has saved times that are {} in the future.",
            span(ahead)
        );
        let said = fact(EvidenceKind::Server, evidence.now + ahead, "the latest time that was saved");
        return Some(Found::problem(sentence, next_step).by(said));
    }
    if set.unsigned_abs() > TOLERANCE {
        let sentence = format!(
            "The clock of the server was set {} by {} while it ran.",
            if set > 0 { "forward" } else { "back" },
            span(set.unsigned_abs())
        );
        return Some(Found::attention(sentence, next_step).by(fact(
            EvidenceKind::Server,
            evidence.now,
            "the system's clock",
        )));
    }
    None
}
