//! Alerts (RFC 5246 section 7.2): the little that a peer is told.

use core::fmt;

use crate::wire::{Malformed, Reader};

/// What an alert says. Numbers that nobody here knows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert(pub u8);

#[expect(missing_docs, reason = "the standard's names")]
impl Alert {
    pub const CLOSE_NOTIFY: Self = Self(0);
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    pub const BAD_RECORD_MAC: Self = Self(20);
    pub const RECORD_OVERFLOW: Self = Self(22);
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    pub const BAD_CERTIFICATE: Self = Self(42);
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    pub const CERTIFICATE_REVOKED: Self = Self(44);
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    pub const CERTIFICATE_UNKNOWN: Self = Self(46);
    pub const ILLEGAL_PARAMETER: Self = Self(47);
    pub const UNKNOWN_CA: Self = Self(48);
    pub const ACCESS_DENIED: Self = Self(49);
    pub const DECODE_ERROR: Self = Self(50);
    pub const DECRYPT_ERROR: Self = Self(51);
    pub const PROTOCOL_VERSION: Self = Self(70);
    pub const INTERNAL_ERROR: Self = Self(80);
    pub const USER_CANCELED: Self = Self(90);
    pub const NO_RENEGOTIATION: Self = Self(100);
    pub const UNSUPPORTED_EXTENSION: Self = Self(110);
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    pub const UNKNOWN_PSK_IDENTITY: Self = Self(115);
}

impl Alert {
    const NAMES: [(Self, &str); 22] = [
        (Self::CLOSE_NOTIFY, "close_notify"),
        (Self::UNEXPECTED_MESSAGE, "unexpected_message"),
        (Self::BAD_RECORD_MAC, "bad_record_mac"),
        (Self::RECORD_OVERFLOW, "record_overflow"),
        (Self::HANDSHAKE_FAILURE, "handshake_failure"),
        (Self::BAD_CERTIFICATE, "bad_certificate"),
        (Self::UNSUPPORTED_CERTIFICATE, "unsupported_certificate"),
        (Self::CERTIFICATE_REVOKED, "certificate_revoked"),
        (Self::CERTIFICATE_EXPIRED, "certificate_expired"),
        (Self::CERTIFICATE_UNKNOWN, "certificate_unknown"),
        (Self::ILLEGAL_PARAMETER, "illegal_parameter"),
        (Self::UNKNOWN_CA, "unknown_ca"),
        (Self::ACCESS_DENIED, "access_denied"),
        (Self::DECODE_ERROR, "decode_error"),
        (Self::DECRYPT_ERROR, "decrypt_error"),
        (Self::PROTOCOL_VERSION, "protocol_version"),
        (Self::INTERNAL_ERROR, "internal_error"),
        (Self::USER_CANCELED, "user_canceled"),
        (Self::NO_RENEGOTIATION, "no_renegotiation"),
        (Self::UNSUPPORTED_EXTENSION, "unsupported_extension"),
        (Self::UNRECOGNIZED_NAME, "unrecognized_name"),
        (Self::UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"),
    ];
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(alert, _)| alert == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

/// Whether the sender goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Warning,
    Fatal,
}

/// An alert as it stands in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlertMessage {
    pub(crate) level: Level,
    pub(crate) alert: Alert,
}

impl AlertMessage {
    pub(crate) const CLOSE_NOTIFY: Self = Self { level: Level::Warning, alert: Alert::CLOSE_NOTIFY };
    pub(crate) const NO_RENEGOTIATION: Self = Self { level: Level::Warning, alert: Alert::NO_RENEGOTIATION };

    pub(crate) const fn fatal(alert: Alert) -> Self {
        Self { level: Level::Fatal, alert }
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let level = match reader.u8()? {
            1 => Level::Warning,
            2 => Level::Fatal,
            _ => return Err(Malformed),
        };
        let alert = Alert(reader.u8()?);
        reader.end()?;
        Ok(Self { level, alert })
    }

    pub(crate) const fn to_bytes(self) -> [u8; 2] {
        let level = match self.level {
            Level::Warning => 1,
            Level::Fatal => 2,
        };
        [level, self.alert.0]
    }
}
