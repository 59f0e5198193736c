//! The table of causes. Each is a small function from the evidence to what it says about it, if it applies.

mod contact;
mod door;
mod firmware;
mod server;
mod work;

use buoy_api::{self as api, EvidenceKind, Severity};

use super::evidence::Evidence;
use crate::incidents::{Entry, Incident};

/// A cause of trouble.
#[derive(Clone, Copy)]
pub struct Cause {
    /// The word by which it is known; it does not change.
    pub id: &'static str,
    /// What it is, for a list of all causes.
    pub title: &'static str,
    find: fn(&Evidence) -> Option<Found>,
}

impl std::fmt::Debug for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

const fn cause(id: &'static str, title: &'static str, find: fn(&Evidence) -> Option<Found>) -> Cause {
    Cause { id, title, find }
}

/// All causes, in the order in which they are looked for.
pub const CAUSES: &[Cause] = &[
    cause("wrong_psk", "The device and the server have different keys for its identity", door::wrong_psk),
    cause(
        "unknown_identity",
        "The server has no key for the identity that the device shows",
        door::unknown_identity,
    ),
    cause(
        "certificate_expired",
        "The certificate of the device is not valid any more",
        door::certificate_expired,
    ),
    cause(
        "certificate_unknown_authority",
        "The certificate was issued by an authority that the server does not trust",
        door::certificate_unknown_authority,
    ),
    cause("certificate_wrong_purpose", "The certificate is not for clients", door::certificate_wrong_purpose),
    cause(
        "certificate_wrong_name",
        "The certificate is valid, and its name is not that of a device that may come in",
        door::certificate_wrong_name,
    ),
    cause(
        "name_of_another",
        "A device registers under a name for which it has no credentials",
        door::name_of_another,
    ),
    cause("needs_dtls", "The device registers without DTLS, and has credentials", door::needs_dtls),
    cause("credentials_revoked", "All credentials of the device are revoked", door::credentials_revoked),
    cause(
        "key_never_used",
        "A new key was made for the device, and the device still uses the old one",
        door::key_never_used,
    ),
    cause("claim_waits", "The device asks to be bootstrapped, and waits for a person", door::claim_waits),
    cause("never_seen", "The device is expected, and was never heard of", contact::never_seen),
    cause("silent", "The device was not heard for longer than usual, or than its lifetime", contact::silent),
    cause("nat_forgets", "The address of the device changes: a NAT forgets it", contact::nat_forgets),
    cause(
        "lifetime_too_short",
        "The lifetime of the registration is shorter than the time between two contacts",
        contact::lifetime_too_short,
    ),
    cause("reboots", "The device restarts by itself", contact::reboots),
    cause(
        "registers_again",
        "The device registers again and again in place of updating its registration",
        contact::registers_again,
    ),
    cause("clock_wrong", "The clock of the device is wrong", contact::clock_wrong),
    cause("battery_low", "The battery of the device is nearly empty", contact::battery_low),
    cause("old_protocol", "The device speaks LwM2M 1.0", contact::old_protocol),
    cause("operations_wait", "Operations wait for the device, which has not come", work::operations_wait),
    cause(
        "access_refused",
        "The device refuses what it is asked for by its access control",
        work::access_refused,
    ),
    cause(
        "reports_not_kept",
        "The device reports more than it may, or what can't be read",
        work::reports_not_kept,
    ),
    cause("approval_waits", "A campaign waits for the approval of a person", work::approval_waits),
    cause(
        "no_firmware_object",
        "The device has no object 5, so its firmware can't be updated",
        firmware::no_firmware_object,
    ),
    cause("no_room", "The device has no room for the image", firmware::no_room),
    cause(
        "package_unreachable",
        "The device can't get the package from the URI that it was given",
        firmware::package_unreachable,
    ),
    cause("download_stalled", "The download did not get on", firmware::download_stalled),
    cause(
        "signature_not_trusted",
        "The device does not trust the signature of the image",
        firmware::signature_not_trusted,
    ),
    cause("wrong_chip", "The image is for another chip or another kind of device", firmware::wrong_chip),
    cause(
        "rolled_back_self_test",
        "The new firmware failed its self-test, and the device went back",
        firmware::rolled_back_self_test,
    ),
    cause(
        "rolled_back_watchdog",
        "The new firmware hung, and the device went back",
        firmware::rolled_back_watchdog,
    ),
    cause(
        "rolled_back_crash",
        "The new firmware crashed, and the device went back",
        firmware::rolled_back_crash,
    ),
    cause(
        "rolled_back",
        "The device went back to its old firmware, and does not say why",
        firmware::rolled_back_unexplained,
    ),
    cause("server_restarted", "The server was restarted", server::server_restarted),
    cause("server_clock", "The clock of the server is or was wrong", server::server_clock),
];

/// What a cause says about the evidence.
#[derive(Debug)]
pub(crate) struct Found {
    severity: Severity,
    sentence: String,
    next_step: String,
    evidence: Vec<api::Evidence>,
}

impl Found {
    fn new(severity: Severity, sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { severity, sentence: sentence.into(), next_step: next_step.into(), evidence: Vec::new() }
    }

    fn problem(sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(Severity::Problem, sentence, next_step)
    }

    fn attention(sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(Severity::Attention, sentence, next_step)
    }

    fn information(sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(Severity::Information, sentence, next_step)
    }

    fn by(mut self, evidence: api::Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    fn by_all(mut self, evidence: impl IntoIterator<Item = api::Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

/// What is wrong, the most severe first.
pub(super) fn findings(evidence: &Evidence) -> Vec<api::Finding> {
    let found = CAUSES.iter().filter_map(|cause| Some((cause, (cause.find)(evidence)?)));
    let mut findings: Vec<_> = found
        .map(|(cause, Found { severity, sentence, next_step, mut evidence })| {
            evidence.sort_by_key(|fact| std::cmp::Reverse(fact.at));
            api::Finding { cause: cause.id.to_owned(), severity, sentence, next_step, evidence }
        })
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn fact(kind: EvidenceKind, at: u64, detail: impl Into<String>) -> api::Evidence {
    let at = Some(at).filter(|at| *at > 0);
    api::Evidence { kind, id: None, at, detail: detail.into(), link: None }
}

/// A fact that is found under an id.
fn linked(fact: api::Evidence, id: impl ToString, link: String) -> api::Evidence {
    api::Evidence { id: Some(id.to_string()), link: Some(link), ..fact }
}

/// A fact about an incident, with how often and from where.
fn of_incident(entry: &Entry) -> api::Evidence {
    let kind = match &entry.incident {
        Incident::BadPsk(_)
        | Incident::UnknownIdentity(_)
        | Incident::Certificate { .. }
        | Incident::CertificateName(_)
        | Incident::Handshake(_) => EvidenceKind::Handshake,
        Incident::Refused { .. } => EvidenceKind::Refusal,
        Incident::RegisteredAgain | Incident::Expired { .. } | Incident::Moved => EvidenceKind::Contact,
        Incident::NotKept(_) => EvidenceKind::Report,
    };
    let from = entry.address.map(|address| format!(" from {address}")).unwrap_or_default();
    let often =
        if entry.count > 1 { format!(", {}", super::words::times(entry.count)) } else { String::new() };
    fact(kind, entry.last, format!("{}{from}{often}", incident_words(&entry.incident)))
}

fn incident_words(incident: &Incident) -> String {
    use super::words::quoted;
    match incident {
        Incident::BadPsk(identity) => {
            format!("handshake with a wrong key for the identity {}", quoted(identity))
        }
        Incident::UnknownIdentity(identity) => {
            format!("handshake with the unknown identity {}", quoted(identity))
        }
        Incident::Certificate { name: Some(name), error } => {
            format!("certificate of {} refused: {error}", quoted(name))
        }
        Incident::Certificate { name: None, error } => format!("certificate refused: {error}"),
        Incident::CertificateName(Some(name)) => {
            format!("valid certificate of {}, which no credential admits", quoted(name))
        }
        Incident::CertificateName(None) => "valid certificate without a common name".to_owned(),
        Incident::Handshake(reason) => format!("handshake failed: {reason}"),
        Incident::Refused { code, reason, named: Some(named), .. } => {
            format!("Register as {} refused with {code}: {reason}", quoted(named))
        }
        Incident::Refused { code, reason, .. } => format!("request refused with {code}: {reason}"),
        Incident::RegisteredAgain => "Register while it was registered".to_owned(),
        Incident::Expired { lifetime } => format!("registration ended after its lifetime of {lifetime} s"),
        Incident::Moved => "address changed without a Register".to_owned(),
        Incident::NotKept(reason) => format!("values were not kept: {}", reason.words()),
    }
}
