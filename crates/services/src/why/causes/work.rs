//! What was asked of a device, and what it reports.

use buoy_api::{self as api, DeviceState, EvidenceKind, OperationState, Severity};

use super::super::evidence::Evidence;
use super::super::words::{ago, quoted, waits};
use super::{Found, fact, linked, of_incident};
use crate::incidents::{Incident, NotKept};

const DAY: u64 = 24 * 60 * 60 * 1000;
/// Codes by which access control refuses: Unauthorized and Forbidden.
const NO_ACCESS: [&str; 2] = ["4.01", "4.03"];
/// Operations that are listed as evidence.
const LISTED: usize = 5;

pub(super) fn operations_wait(evidence: &Evidence) -> Option<Found> {
    let oldest = evidence.waiting().map(|operation| operation.created_at).min()?;
    let device = evidence.device.as_ref()?;
    let expected = device.next_contact.filter(|at| *at > evidence.now);
    let (severity, because) = match device.state {
        DeviceState::Online => return None,
        DeviceState::Asleep if device.last_contact > oldest => return None,
        DeviceState::Asleep if expected.is_some() || evidence.now.saturating_sub(oldest) < DAY => {
            (Severity::Information, "the device sleeps and has not woken since")
        }
        DeviceState::Asleep => (Severity::Attention, "the device sleeps and has not woken since"),
        _ => (Severity::Problem, "the device has not been heard since"),
    };
    let count = evidence.waiting().count();
    let next = expected.map(|at| format!(" It is expected {}.", ago(evidence.now, at))).unwrap_or_default();
    let mut sentence =
        format!("{} since {}: {because}.{next}", waits(count), ago(evidence.now, oldest).replace(" ago", ""));
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let next_step = "They are sent at its next message. Wake it, wait for it, or cancel what is not needed any more (buoy ctl cancel).";
    Some(Found::new(severity, sentence, next_step).by_all(evidence.waiting().take(LISTED).map(of_operation)))
}

pub(super) fn access_refused(evidence: &Evidence) -> Option<Found> {
    let is_refusal =
        |operation: &api::Operation| operation.code.as_deref().is_some_and(|code| NO_ACCESS.contains(&code));
    let refused = evidence.operations.iter().find(|operation| is_refusal(operation))?;
    let worked_since =
        evidence.operations.iter().take_while(|operation| operation.id > refused.id).any(|operation| {
            operation.state == OperationState::Succeeded
                && (&operation.path, &operation.method) == (&refused.path, &refused.method)
        });
    if worked_since {
        return None;
    }
    let code = refused.code.as_deref().unwrap_or_default();
    let said =
        refused.detail.as_deref().map(|detail| format!(", and says {}", quoted(detail))).unwrap_or_default();
    let sentence = format!(
        "It refused {} {} {} with {code}{said}: its access control does not allow this server to do so.",
        refused.method,
        quoted(&refused.path),
        ago(evidence.now, refused.changed_at)
    );
    let next_step = "Look at its Access Control objects (buoy ctl read NAME /2): the owner of the instance, or a bootstrap, has to grant this server \
                     the right.";
    let all = evidence.operations.iter().filter(|operation| is_refusal(operation)).take(LISTED);
    Some(Found::problem(sentence, next_step).by_all(all.map(of_operation)))
}

pub(super) fn reports_not_kept(evidence: &Evidence) -> Option<Found> {
    let entry = evidence.incident(|incident| matches!(incident, Incident::NotKept(_)))?;
    let Incident::NotKept(reason) = entry.incident else { return None };
    if evidence.now.saturating_sub(entry.last) > DAY {
        return None;
    }
    let sentence = format!(
        "Values of it were not kept, the last time {}: {}.",
        ago(evidence.now, entry.last),
        reason.words()
    );
    let next_step = match reason {
        NotKept::TooManyValues => "Let it report less often: set pmin, or gt, lt and st by Write-Attributes.",
        NotKept::TooManySeries => "Let it report fewer paths: end observations of whole objects.",
        NotKept::Unreadable => {
            "Follow `buoy ctl events --types report_problem` for the reason. If its object has no definition here, add one (--models)."
        }
    };
    Some(Found::attention(sentence, next_step).by(of_incident(entry)))
}

pub(super) fn approval_waits(evidence: &Evidence) -> Option<Found> {
    let campaign = evidence.campaigns.iter().find(|campaign| campaign.awaits_approval)?;
    let sentence = format!(
        "The campaign {} brings it {} when a person approves: {}.",
        quoted(&campaign.name),
        quoted(&campaign.version),
        campaign.reason
    );
    let next_step = format!("Approve it: buoy ctl campaign approve {}.", campaign.id);
    let said = fact(EvidenceKind::Campaign, campaign.changed_at, campaign.reason.clone());
    let said = linked(said, campaign.id, format!("/api/v1/campaigns/{}", campaign.id));
    Some(Found::attention(sentence, next_step).by(said))
}

fn of_operation(operation: &api::Operation) -> api::Evidence {
    let how = operation.code.as_deref().map(|code| format!(", answered with {code}")).unwrap_or_default();
    let detail = format!("{} {} is {}{how}", operation.method, operation.path, operation.state.name());
    let said = fact(EvidenceKind::Operation, operation.changed_at, detail);
    linked(said, operation.id, format!("/api/v1/operations/{}", operation.id))
}
