//! How many DTLS handshakes failed, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use buoy_dtls::Failure;

/// The reasons, as few as an operator acts on in different ways.
const REASONS: [&str; 9] = [
    "silent",
    "alert",
    "unknown_identity",
    "wrong_key",
    "raw_public_key",
    "certificate",
    "no_agreement",
    "malformed",
    "other",
];

/// The counters of all ports of a server.
#[derive(Debug, Default)]
pub struct HandshakeFailures([AtomicU64; REASONS.len()]);

impl HandshakeFailures {
    /// The number for each reason.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REASONS.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    pub(crate) fn count(&self, failure: &Failure) {
        let reason = reason(failure);
        let place = REASONS.iter().position(|known| *known == reason);
        if let Some(count) = place.and_then(|place| self.0.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn reason(failure: &Failure) -> &'static str {
    match failure {
        Failure::PeerSilent { .. } => "silent",
        Failure::PeerAlerted(_) => "alert",
        Failure::UnknownPskIdentity(_) => "unknown_identity",
        Failure::BadPsk(_) => "wrong_key",
        Failure::RawPublicKeyRefused(_) => "raw_public_key",
        Failure::CertificateRefused { .. }
        | Failure::CertificateWithoutName
        | Failure::PeerSentNoCredentials => "certificate",
        Failure::NoCommonVersion
        | Failure::NoCommonCipherSuite
        | Failure::NoCommonGroup
        | Failure::NoCommonSignatureAlgorithm
        | Failure::NoCommonCertificateType
        | Failure::PeerLacksExtendedMasterSecret => "no_agreement",
        Failure::PeerSentMalformed(_)
        | Failure::PeerSentUnexpected { .. }
        | Failure::PeerSentTooMuch
        | Failure::PeerChoseWrongly(_)
        | Failure::BadKeyShare
        | Failure::BadFinished
        | Failure::BadSignature => "malformed",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_counts_under_its_reason() {
        let failures = HandshakeFailures::default();
        failures.count(&Failure::BadPsk(Box::from(&b"a"[..])));
        failures.count(&Failure::BadPsk(Box::from(&b"b"[..])));
        failures.count(&Failure::NoCommonVersion);
        let counts: Vec<_> = failures.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("wrong_key", 2), ("no_agreement", 1)]);
    }
}
