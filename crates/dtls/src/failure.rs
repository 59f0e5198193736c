//! Why an association failed: everything for the operator, and for the peer the one alert that the standard allows.

use core::fmt;

use alloc::boxed::Box;

use crate::alert::Alert;
use crate::wire::Malformed;

/// Why a handshake or an association ended.
///
/// The peer learns only [`Failure::alert`]. In particular a wrong key and an unknown identity look the same to it
/// (RFC 4279 section 2), and so do all the ways in which an encrypted message can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing came, however often we asked.
    PeerSilent {
        /// What was waited for.
        awaited: Message,
    },
    /// The peer gave up and said why.
    PeerAlerted(Alert),
    /// A message isn't what the standard says.
    PeerSentMalformed(Message),
    /// A message came where another was due.
    PeerSentUnexpected {
        /// What came.
        message: Message,
        /// What was due.
        awaited: Message,
    },
    /// A message is longer than the handshake allows.
    PeerSentTooMuch,
    /// An answer chose what was not offered, or contradicts itself.
    PeerChoseWrongly(Message),
    /// The peer speaks no DTLS 1.2.
    NoCommonVersion,
    /// The peer offers no cipher suite that is enabled and that there are credentials for.
    NoCommonCipherSuite,
    /// The peer can neither secp256r1 nor x25519.
    NoCommonGroup,
    /// The peer can't do ECDSA on secp256r1 with SHA-256.
    NoCommonSignatureAlgorithm,
    /// One end has only raw public keys, the other only certificates.
    NoCommonCertificateType,
    /// The peer knows no extended master secret (RFC 7627), which the configuration asks for.
    PeerLacksExtendedMasterSecret,
    /// Nobody has a key for this identity.
    UnknownPskIdentity(Box<[u8]>),
    /// The peer has another key than we for this identity.
    BadPsk(Box<[u8]>),
    /// The peer's Finished does not fit what was said, so somebody changed it under way.
    BadFinished,
    /// The peer's signature is not by the key that it showed.
    BadSignature,
    /// The peer's key share is no point of the group.
    BadKeyShare,
    /// The peer showed no credentials, but must.
    PeerSentNoCredentials,
    /// Not the raw public key that it must be, or one that nobody knows.
    #[cfg(feature = "rpk")]
    RawPublicKeyRefused(crate::crypto::PublicKey),
    /// The certificates don't convince.
    #[cfg(feature = "x509")]
    CertificateRefused {
        /// The common name in the peer's own certificate, if it has one that can be read. Nobody vouches for it.
        name: Option<Box<str>>,
        /// Why.
        error: crate::x509::CertificateError,
    },
    /// The certificate is believed, and has no common name that can be read: it names no endpoint (LwM2M Transport 1.1 section 5.2.9.2).
    #[cfg(feature = "x509")]
    CertificateWithoutName,
    /// The certificate is believed, and nobody of this name may come in by it.
    #[cfg(feature = "x509")]
    CertificateNotAdmitted {
        /// The common name of the certificate.
        name: Box<str>,
    },
    /// The peer is who it says, but may not come in.
    PeerRefused,
    /// Our own configuration can't do what it promises: a key that is none, or no key at all.
    OwnCredentialsUnusable,
}

/// A handshake message, to say where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the standard's names")]
pub enum Message {
    HelloRequest,
    ClientHello,
    ServerHello,
    HelloVerifyRequest,
    NewSessionTicket,
    Certificate,
    ServerKeyExchange,
    CertificateRequest,
    ServerHelloDone,
    CertificateVerify,
    ClientKeyExchange,
    Finished,
    Unknown(u8),
}

impl Failure {
    /// What the peer is told. `None` if it is told nothing, because it is silent or has left.
    #[must_use]
    pub const fn alert(&self) -> Option<Alert> {
        Some(match self {
            Self::PeerSilent { .. } | Self::PeerAlerted(_) => return None,
            Self::PeerSentMalformed(_) => Alert::DECODE_ERROR,
            Self::PeerSentUnexpected { .. } => Alert::UNEXPECTED_MESSAGE,
            Self::PeerSentTooMuch | Self::PeerChoseWrongly(_) | Self::BadKeyShare => Alert::ILLEGAL_PARAMETER,
            Self::NoCommonVersion => Alert::PROTOCOL_VERSION,
            Self::NoCommonCipherSuite
            | Self::NoCommonGroup
            | Self::NoCommonSignatureAlgorithm
            | Self::PeerLacksExtendedMasterSecret
            | Self::PeerSentNoCredentials => Alert::HANDSHAKE_FAILURE,
            Self::NoCommonCertificateType => Alert::UNSUPPORTED_CERTIFICATE,
            // One alert for all: whoever tries keys or identities learns nothing.
            Self::UnknownPskIdentity(_) | Self::BadPsk(_) | Self::BadFinished | Self::BadSignature => {
                Alert::DECRYPT_ERROR
            }
            #[cfg(feature = "rpk")]
            Self::RawPublicKeyRefused(_) => Alert::BAD_CERTIFICATE,
            #[cfg(feature = "x509")]
            Self::CertificateRefused { error, .. } => error.alert(),
            #[cfg(feature = "x509")]
            Self::CertificateWithoutName => Alert::BAD_CERTIFICATE,
            #[cfg(feature = "x509")]
            Self::CertificateNotAdmitted { .. } => Alert::ACCESS_DENIED,
            Self::PeerRefused => Alert::ACCESS_DENIED,
            Self::OwnCredentialsUnusable => Alert::INTERNAL_ERROR,
        })
    }
}

/// An identity as a person reads it: text if it is text, else hexadecimal.
struct Identity<'a>(&'a [u8]);

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            // Identities come from strangers: nothing of them may steer a terminal.
            Ok(text) => write!(f, "{}", text.escape_debug()),
            Err(_) => self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerSilent { awaited } => write!(f, "the peer is silent; {awaited:?} was due"),
            Self::PeerAlerted(alert @ (Alert::DECRYPT_ERROR | Alert::BAD_RECORD_MAC)) => {
                write!(f, "the peer gave up: {alert}; the keys of both ends may differ")
            }
            Self::PeerAlerted(alert) => write!(f, "the peer gave up: {alert}"),
            Self::PeerSentMalformed(message) => write!(f, "the peer sent a malformed {message:?}"),
            Self::PeerSentUnexpected { message, awaited } => {
                write!(f, "the peer sent {message:?} where {awaited:?} was due")
            }
            Self::PeerSentTooMuch => f.write_str("the peer sent a message that is too long"),
            Self::PeerChoseWrongly(message) => {
                write!(f, "the peer's {message:?} contradicts what was offered")
            }
            Self::NoCommonVersion => f.write_str("the peer has no DTLS 1.2"),
            Self::NoCommonCipherSuite => {
                f.write_str("no cipher suite in common that there are credentials for")
            }
            Self::NoCommonGroup => f.write_str("no group in common (secp256r1, x25519)"),
            Self::NoCommonSignatureAlgorithm => f.write_str("the peer can't do ECDSA with P-256 and SHA-256"),
            Self::NoCommonCertificateType => {
                f.write_str("one end has raw public keys, the other certificates")
            }
            Self::PeerLacksExtendedMasterSecret => f.write_str("the peer has no extended master secret"),
            Self::UnknownPskIdentity(identity) => write!(f, "unknown PSK identity {}", Identity(identity)),
            Self::BadPsk(identity) => write!(f, "bad PSK for identity {}", Identity(identity)),
            Self::BadFinished => f.write_str("the handshake was changed under way"),
            Self::BadSignature => f.write_str("the peer's signature is not by the key that it showed"),
            Self::BadKeyShare => f.write_str("the peer's key share is no point of the group"),
            Self::PeerSentNoCredentials => f.write_str("the peer showed no credentials"),
            #[cfg(feature = "rpk")]
            Self::RawPublicKeyRefused(key) => write!(f, "raw public key refused: {key:?}"),
            #[cfg(feature = "x509")]
            Self::CertificateRefused { name: Some(name), error } => {
                write!(f, "certificate of {} refused: {error}", Identity(name.as_bytes()))
            }
            #[cfg(feature = "x509")]
            Self::CertificateRefused { name: None, error } => write!(f, "certificate refused: {error}"),
            #[cfg(feature = "x509")]
            Self::CertificateWithoutName => {
                f.write_str("the certificate has no common name that can be read, so it names no endpoint; issue one with CN=<endpoint name>")
            }
            #[cfg(feature = "x509")]
            Self::CertificateNotAdmitted { name } => {
                write!(f, "the certificate is valid, and no credential admits its name {}", Identity(name.as_bytes()))
            }
            Self::PeerRefused => f.write_str("the peer may not come in"),
            Self::OwnCredentialsUnusable => f.write_str("our own credentials can't be used"),
        }
    }
}

impl core::error::Error for Failure {}

/// Says which message was malformed.
pub(crate) trait Blame<T> {
    fn blame(self, message: Message) -> Result<T, Failure>;
}

impl<T> Blame<T> for Result<T, Malformed> {
    fn blame(self, message: Message) -> Result<T, Failure> {
        self.map_err(|Malformed| Failure::PeerSentMalformed(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_tell_a_wrong_key_from_an_unknown_identity() {
        let unknown = Failure::UnknownPskIdentity(b"a".as_slice().into());
        let bad = Failure::BadPsk(b"a".as_slice().into());
        assert_eq!(unknown.alert(), bad.alert());
        assert_eq!(std::format!("{bad}"), "bad PSK for identity a");
    }

    #[test]
    fn an_alert_has_its_name() {
        let failure = Failure::PeerAlerted(Alert::UNKNOWN_CA);
        assert_eq!(std::format!("{failure}"), "the peer gave up: unknown_ca");
        assert_eq!(std::format!("{}", Alert(200)), "alert 200");
    }

    #[test]
    fn an_identity_cannot_steer_a_terminal() {
        let failure = Failure::BadPsk(b"\x1b[2J".as_slice().into());
        assert!(!std::format!("{failure}").contains('\x1b'));
    }
}
