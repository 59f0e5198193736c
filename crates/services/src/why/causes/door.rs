//! Why a device does not come in: its key, its certificate, its name.

use buoy_api::{self as api, EvidenceKind, Severity};
use buoy_dtls::x509::CertificateError;
use buoy_store::{CredentialRow, CredentialState};

use super::super::evidence::Evidence;
use super::super::words::{ago, quoted, shell, times};
use super::{Found, fact, linked, of_incident};
use crate::incidents::{Entry, Incident};

/// The part of a refusal by which it is known; see `buoy_server`.
pub(in crate::why) const OTHER_ENDPOINT: &str = "those of another endpoint";
const OVER_COAPS: &str = "over coaps";

pub(super) fn wrong_psk(evidence: &Evidence) -> Option<Found> {
    let entry = evidence.open_incident(|incident| matches!(incident, Incident::BadPsk(_)))?;
    let Incident::BadPsk(identity) = &entry.incident else { return None };
    let sentence = format!(
        "The last handshake failed {}: the device has another key than the server for the identity {}. It failed so {}.",
        ago(evidence.now, entry.last),
        quoted(identity),
        times(entry.count),
    );
    let next_step = "Compare the bytes of both keys: 32 hexadecimal digits that are used as text are another key. Then correct the device, \
                     or remove the credential and add one with the device's key (buoy ctl credentials).";
    Some(Found::problem(sentence, next_step).by(of_incident(entry)).by_all(credentials(evidence)))
}

pub(super) fn unknown_identity(evidence: &Evidence) -> Option<Found> {
    // A revoked key is unknown, too.
    if is_revoked(evidence) {
        return None;
    }
    let is_it = |incident: &Incident| matches!(incident, Incident::UnknownIdentity(_));
    let entry = evidence.open_incident(is_it).or_else(|| neighbour(evidence, is_it))?;
    let Incident::UnknownIdentity(identity) = &entry.incident else { return None };
    let sentence = format!(
        "The last handshake failed {}: the server has no key for the identity {}, which was shown {}.",
        ago(evidence.now, entry.last),
        quoted(identity),
        times(entry.count),
    );
    let next_step = format!(
        "Add a credential with this identity (buoy ctl credentials add {} --identity {}), or correct the identity in the device. Identities are \
         compared byte by byte.",
        shell(&evidence.endpoint),
        shell(identity),
    );
    Some(Found::problem(sentence, next_step).by(of_incident(entry)).by_all(credentials(evidence)))
}

pub(super) fn certificate_expired(evidence: &Evidence) -> Option<Found> {
    let is_it = |error: &CertificateError| {
        matches!(
            error,
            CertificateError::Expired(_)
                | CertificateError::NotYetValid(_)
                | CertificateError::AnchorExpired(_)
        )
    };
    let next_step =
        "Issue a new certificate for the device. If its dates are right, check the clock of the server.";
    certificate(evidence, is_it, next_step)
}

pub(super) fn certificate_unknown_authority(evidence: &Evidence) -> Option<Found> {
    let is_it = |error: &CertificateError| {
        matches!(
            error,
            CertificateError::UnknownAuthority
                | CertificateError::BadSignature
                | CertificateError::NotAnAuthority
        )
    };
    let next_step = "Start the server with the authority that issued the certificate (--client-ca), or issue one by an authority that it trusts.";
    certificate(evidence, is_it, next_step)
}

pub(super) fn certificate_wrong_purpose(evidence: &Evidence) -> Option<Found> {
    let is_it = |error: &CertificateError| *error == CertificateError::WrongPurpose;
    let next_step = "Issue a certificate with the purpose of client authentication (extendedKeyUsage = clientAuth), or without any purpose.";
    certificate(evidence, is_it, next_step)
}

/// A certificate that was refused for one of some reasons.
fn certificate(
    evidence: &Evidence,
    is_it: impl Fn(&CertificateError) -> bool,
    next_step: &str,
) -> Option<Found> {
    let is_it = |incident: &Incident| matches!(incident, Incident::Certificate { error, .. } if is_it(error));
    let entry = evidence.open_incident(is_it).or_else(|| neighbour(evidence, is_it))?;
    let Incident::Certificate { name, error } = &entry.incident else { return None };
    let whose = name.as_deref().map(|name| format!(" of {}", quoted(name))).unwrap_or_default();
    let sentence = format!(
        "The last handshake failed {}: the certificate{whose} was refused, because {error}.",
        ago(evidence.now, entry.last)
    );
    Some(Found::problem(sentence, next_step).by(of_incident(entry)).by_all(credentials(evidence)))
}

pub(super) fn certificate_wrong_name(evidence: &Evidence) -> Option<Found> {
    let is_it = |incident: &Incident| matches!(incident, Incident::CertificateName(_));
    let entry = evidence.open_incident(is_it).or_else(|| neighbour(evidence, is_it))?;
    let (sentence, next_step) = match &entry.incident {
        Incident::CertificateName(Some(name)) => (
            format!(
                "A handshake failed {}: the certificate is valid, and its name {} is admitted by no credential.",
                ago(evidence.now, entry.last),
                quoted(name)
            ),
            format!(
                "If this is the right name, add a credential for it (buoy ctl credentials add {} --x509). Else issue a certificate whose common \
                 name is the endpoint name.",
                shell(name)
            ),
        ),
        _ => (
            format!(
                "A handshake failed {}: the certificate is valid, and has no common name, so it names no device.",
                ago(evidence.now, entry.last)
            ),
            "Issue a certificate with CN=<endpoint name>.".to_owned(),
        ),
    };
    Some(Found::problem(sentence, next_step).by(of_incident(entry)).by_all(credentials(evidence)))
}

pub(super) fn name_of_another(evidence: &Evidence) -> Option<Found> {
    let is_it = |incident: &Incident| matches!(incident, Incident::Refused { reason, proved: Some(_), .. } if reason.contains(OTHER_ENDPOINT));
    // Its own device may be there all the while.
    let entry = evidence.incident(is_it)?;
    let Incident::Refused { named: Some(named), proved: Some(proved), .. } = &entry.incident else {
        return None;
    };
    let sentence = format!(
        "A device with the credentials of {} tried {} to register as {}, the last time {}. Nobody registers under the name of another.",
        quoted(proved),
        times(entry.count),
        quoted(named),
        ago(evidence.now, entry.last)
    );
    let next_step = format!(
        "Set the endpoint name of that device to {}, or give it credentials for {} (buoy ctl credentials add). If neither is meant, somebody \
         has its key: rotate it.",
        quoted(proved),
        quoted(named)
    );
    Some(Found::problem(sentence, next_step).by(of_incident(entry)))
}

pub(super) fn needs_dtls(evidence: &Evidence) -> Option<Found> {
    let is_it = |incident: &Incident| matches!(incident, Incident::Refused { reason, proved: None, .. } if reason.contains(OVER_COAPS));
    let entry = evidence.open_incident(is_it)?;
    let sentence = format!(
        "Somebody registered under this name without DTLS and was refused, the last time {}: the device has credentials, so its name \
         counts with them alone.",
        ago(evidence.now, entry.last)
    );
    let next_step = "Let the device register over coaps with its credentials. If it is to speak plain CoAP, remove its credentials.";
    Some(Found::problem(sentence, next_step).by(of_incident(entry)).by_all(credentials(evidence)))
}

pub(super) fn credentials_revoked(evidence: &Evidence) -> Option<Found> {
    if !is_revoked(evidence) {
        return None;
    }
    let is_it = |incident: &Incident| matches!(incident, Incident::UnknownIdentity(_) | Incident::BadPsk(_));
    let attempt = evidence.open_incident(is_it);
    let (severity, tried) = match attempt {
        Some(entry) => {
            (Severity::Problem, format!(" It tried to come in {}.", ago(evidence.now, entry.last)))
        }
        None => (Severity::Attention, String::new()),
    };
    let audit = evidence.audit.iter().flatten().find(|entry| entry.action == "credential.revoke");
    let by = audit.map(|entry| format!(" by {}", quoted(&entry.principal))).unwrap_or_default();
    let sentence = format!("All its credentials are revoked{by}, so it can't come in.{tried}");
    let next_step = format!(
        "If it is to come back, add a new credential (buoy ctl credentials add {}).",
        shell(&evidence.endpoint)
    );
    let entry = audit.map(|entry| {
        let said = fact(EvidenceKind::Audit, entry.at, format!("{} by {}", entry.action, entry.principal));
        linked(said, entry.id, format!("/api/v1/audit?target={}", evidence.endpoint))
    });
    let found = Found::new(severity, sentence, next_step);
    Some(found.by_all(attempt.map(of_incident)).by_all(entry).by_all(credentials(evidence)))
}

pub(super) fn key_never_used(evidence: &Evidence) -> Option<Found> {
    let next = of_state(evidence, CredentialState::Next).min_by_key(|row| row.id)?;
    // A device that was not heard since then had no chance.
    if evidence.last_contact() <= next.created_at {
        return None;
    }
    let sentence = format!(
        "Its key was rotated {}, and the new one was never used: the device still comes in by the old one.",
        ago(evidence.now, next.created_at)
    );
    let next_step = format!(
        "Give the device its new key: by a bootstrap, or by hand. If that was never meant, remove credential {}.",
        next.id
    );
    Some(Found::attention(sentence, next_step).by_all(credentials(evidence)))
}

pub(super) fn claim_waits(evidence: &Evidence) -> Option<Found> {
    let claim = evidence.claim.as_ref().filter(|claim| claim.accepted_at.is_none())?;
    let sentence = format!(
        "The device asked to be bootstrapped without credentials from {}, the last time {}, and waits for a person.",
        claim.address,
        ago(evidence.now, claim.last_asked)
    );
    let next_step = match evidence.has_config {
        true => {
            format!("If it is yours, accept it: buoy ctl bootstrap accept {}.", shell(&evidence.endpoint))
        }
        false => format!(
            "No bootstrap configuration is for this name: add one (buoy ctl bootstrap add), then accept it (buoy ctl bootstrap accept {}).",
            shell(&evidence.endpoint)
        ),
    };
    let asked = fact(EvidenceKind::Claim, claim.last_asked, format!("claim from {}", claim.address));
    Some(Found::problem(sentence, next_step).by(linked(
        asked,
        &claim.endpoint,
        "/api/v1/bootstrap/claims".into(),
    )))
}

/// Whether the device has credentials, and all are revoked.
fn is_revoked(evidence: &Evidence) -> bool {
    match &evidence.credentials {
        Some(rows) => !rows.is_empty() && rows.iter().all(|row| row.state == CredentialState::Revoked),
        None => evidence.state() == Some(api::DeviceState::Revoked),
    }
}

fn of_state(evidence: &Evidence, state: CredentialState) -> impl Iterator<Item = &CredentialRow> {
    evidence.credentials.iter().flatten().filter(move |row| row.state == state)
}

/// The credentials as facts.
fn credentials(evidence: &Evidence) -> Vec<api::Evidence> {
    let described = evidence.credentials.iter().flatten().map(|row| {
        let detail = format!("{} credential, {}", row.kind.as_str(), row.state.as_str());
        linked(
            fact(EvidenceKind::Credential, row.created_at, detail),
            row.id,
            format!("/api/v1/credentials/{}", row.id),
        )
    });
    described.collect()
}

/// What somebody at the address of the device did since the device was last heard: it may be the device, or another one behind its NAT.
fn neighbour(evidence: &Evidence, is_it: impl Fn(&Incident) -> bool) -> Option<&Entry> {
    // A device that is there is not the one that fails.
    let is_there = matches!(evidence.state(), Some(api::DeviceState::Online | api::DeviceState::Asleep));
    let since = evidence.neighbours.iter().filter(|entry| entry.last > evidence.last_contact());
    since.filter(|entry| !is_there && is_it(&entry.incident)).max_by_key(|entry| entry.last)
}
