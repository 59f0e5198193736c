//! Checks of credentials before they are stored.

use buoy_dtls::config::{MAX_PSK_IDENTITY_LENGTH, MAX_PSK_LENGTH};
use buoy_dtls::crypto::PublicKey;
use buoy_store::{CredentialKind, CredentialRow, CredentialState, Purpose};
use zeroize::Zeroizing;

use super::Prepared;
use crate::hex;
use crate::keyfile::{Sealer, name_of_credential};

/// The longest endpoint name, as in a Register.
const MAX_ENDPOINT: usize = 255;
/// Bytes of a key that the server makes.
const NEW_KEY_LENGTH: usize = 16;

/// A credential to add.
#[derive(Debug)]
pub struct NewCredential {
    /// For which server.
    pub purpose: Purpose,
    /// The device.
    pub endpoint: String,
    /// The proof of its identity.
    pub proof: Proof,
}

/// The error in a credential, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// The name of the device.
    Endpoint,
    /// The identity of a pre-shared key.
    Identity,
    /// An identity for a kind that has none.
    NeedlessIdentity,
    /// A pre-shared key that does not consist of hexadecimal digits.
    KeyDigits,
    /// A pre-shared key with this wrong number of bytes.
    KeyLength(usize),
    /// A public key that is not a SubjectPublicKeyInfo.
    PublicKeyForm,
    /// A public key that is not a point of its curve.
    PublicKeyPoint,
    /// The hash of a certificate.
    Fingerprint,
    /// The name of a purpose.
    Purpose,
    /// The name of a kind.
    Kind,
    /// The columns of a line.
    Columns,
    /// The system has no random numbers, for this reason.
    NoRandomNumbers(String),
}

impl std::fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint => {
                write!(f, "an endpoint name has 1 to {MAX_ENDPOINT} bytes, without control characters")
            }
            Self::Identity => write!(f, "a PSK identity has 1 to {MAX_PSK_IDENTITY_LENGTH} bytes"),
            Self::NeedlessIdentity => f.write_str("only a psk has an identity"),
            Self::KeyDigits => f.write_str("the key of a psk is hexadecimal digits, two for each byte"),
            Self::KeyLength(length) => {
                write!(f, "the key of a psk has 1 to {MAX_PSK_LENGTH} bytes, and this one has {length}")
            }
            Self::PublicKeyForm => f.write_str(
                "a public key is the DER SubjectPublicKeyInfo of a P-256 key in hexadecimal digits, as from \
                 `openssl pkey -pubout -outform DER | xxd -p -c0`",
            ),
            Self::PublicKeyPoint => f.write_str("this public key is no point of P-256"),
            Self::Fingerprint => {
                f.write_str("a fingerprint is the SHA-256 of the certificate: 64 hexadecimal digits")
            }
            Self::Purpose => f.write_str("the purpose is lwm2m or bootstrap"),
            Self::Kind => f.write_str("the kind is psk, rpk or x509"),
            Self::Columns => {
                f.write_str("the columns are endpoint, kind, identity, key and purpose, and no others")
            }
            Self::NoRandomNumbers(reason) => write!(f, "the system has no random numbers: {reason}"),
        }
    }
}

impl std::error::Error for CredentialFault {}

/// How a device proves its identity.
pub enum Proof {
    /// A pre-shared key.
    Psk {
        /// The PSK identity.
        identity: Vec<u8>,
        /// The key.
        key: Zeroizing<Vec<u8>>,
    },
    /// A raw public key.
    Rpk(PublicKey),
    /// A certificate: a specific one, or any with its name.
    X509 {
        /// The SHA-256 of the certificate; `None` for any with the name.
        fingerprint: Option<[u8; 32]>,
    },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proof({} redacted)", self.kind().as_str())
    }
}

impl NewCredential {
    /// # Errors
    /// If the name is invalid.
    pub fn new(purpose: Purpose, endpoint: &str, proof: Proof) -> Result<Self, CredentialFault> {
        check_endpoint(endpoint)?;
        Ok(Self { purpose, endpoint: endpoint.to_owned(), proof })
    }

    pub(super) fn prepare(
        self,
        id: u64,
        state: CredentialState,
        created_at: u64,
        sealer: &Sealer,
    ) -> anyhow::Result<Prepared> {
        let Self { purpose, endpoint, proof } = self;
        let (kind, sealed) = (proof.kind(), Vec::new());
        let (identity, secret) = match proof {
            Proof::Psk { identity, key } => (identity, key),
            Proof::Rpk(key) => (key.point().to_vec(), Zeroizing::default()),
            Proof::X509 { fingerprint } => {
                (fingerprint.map(Vec::from).unwrap_or_default(), Zeroizing::default())
            }
        };
        let mut row = CredentialRow { id, purpose, endpoint, kind, identity, sealed, created_at, state };
        if !secret.is_empty() {
            row.sealed = sealer.seal(&name_of_credential(&row), &secret)?;
        }
        Ok(Prepared { row, secret })
    }
}

impl Proof {
    /// Its kind.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Psk { .. } => CredentialKind::Psk,
            Self::Rpk(_) => CredentialKind::Rpk,
            Self::X509 { .. } => CredentialKind::X509,
        }
    }

    /// A pre-shared key in hexadecimal digits.
    ///
    /// # Errors
    /// The error, without the key.
    pub fn psk(identity: &str, key: &str) -> Result<Self, CredentialFault> {
        let key = hex::decode(key.trim()).map(Zeroizing::new);
        let key = key.ok_or(CredentialFault::KeyDigits)?;
        if !(1..=MAX_PSK_LENGTH).contains(&key.len()) {
            return Err(CredentialFault::KeyLength(key.len()));
        }
        check_psk_identity(identity)?;
        Ok(Self::Psk { identity: identity.as_bytes().to_vec(), key })
    }

    /// A pre-shared key of random bytes.
    ///
    /// # Errors
    /// If the identity is invalid, or the system has no random numbers.
    pub fn random_psk(identity: &str) -> Result<Self, CredentialFault> {
        check_psk_identity(identity)?;
        let mut key = Zeroizing::new(vec![0; NEW_KEY_LENGTH]);
        loop {
            getrandom::fill(&mut key).map_err(|error| CredentialFault::NoRandomNumbers(error.to_string()))?;
            if is_same_in_both_alphabets(&key) {
                break;
            }
        }
        Ok(Self::Psk { identity: identity.as_bytes().to_vec(), key })
    }

    /// A raw public key: a DER `SubjectPublicKeyInfo` in hexadecimal digits.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn rpk(spki: &str) -> Result<Self, CredentialFault> {
        let key = hex::decode(spki.trim())
            .and_then(|spki| PublicKey::from_spki(&spki))
            .ok_or(CredentialFault::PublicKeyForm)?;
        if p256::PublicKey::from_sec1_bytes(key.point()).is_err() {
            return Err(CredentialFault::PublicKeyPoint);
        }
        Ok(Self::Rpk(key))
    }

    /// Any certificate with the device's name, or the one with this SHA-256 in hexadecimal digits, with or without colons.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn x509(fingerprint: Option<&str>) -> Result<Self, CredentialFault> {
        let fingerprint = fingerprint.map(str::trim).filter(|text| !text.is_empty()).map(|text| {
            let bytes = hex::decode(&text.replace(':', "")).and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or(CredentialFault::Fingerprint)
        });
        Ok(Self::X509 { fingerprint: fingerprint.transpose()? })
    }
}

pub(super) fn check_endpoint(endpoint: &str) -> Result<(), CredentialFault> {
    if endpoint.is_empty() || endpoint.len() > MAX_ENDPOINT || endpoint.chars().any(char::is_control) {
        return Err(CredentialFault::Endpoint);
    }
    Ok(())
}

fn check_psk_identity(identity: &str) -> Result<(), CredentialFault> {
    if identity.is_empty() || identity.len() > MAX_PSK_IDENTITY_LENGTH {
        return Err(CredentialFault::Identity);
    }
    Ok(())
}

/// The name of the kind, with its article.
pub(super) const fn kind_name(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Psk => "a pre-shared key",
        CredentialKind::Rpk => "a raw public key",
        CredentialKind::X509 => "a certificate",
    }
}

/// Whether the bytes have the same text in base64 and base64url (RFC 4648): SenML JSON uses base64url, but some devices decode base64. This
/// condition costs one bit of a random key of 16 bytes.
fn is_same_in_both_alphabets(bytes: &[u8]) -> bool {
    let bit = |place: usize| bytes.get(place / 8).is_some_and(|byte| byte & (0x80 >> (place % 8)) != 0);
    // The digits 62 and 63 differ, whose first five bits are set.
    (0..bytes.len() * 8).step_by(6).all(|digit| !(digit..digit + 5).all(bit))
}

#[cfg(test)]
mod alphabet_tests {
    use super::*;

    #[test]
    fn keys_that_some_devices_would_read_wrongly_are_not_made() {
        for (bytes, is_same) in [
            (&[0xf8, 0, 0][..], false),
            (&[0xfc, 0, 0], false),
            (&[0xf7, 0, 0], true),
            (&[0, 0, 0x3e], false),
        ] {
            assert_eq!(is_same_in_both_alphabets(bytes), is_same, "{bytes:02x?}");
        }
        for _ in 0..50 {
            let Ok(Proof::Psk { key, .. }) = Proof::random_psk("a") else { panic!("no key") };
            assert!(is_same_in_both_alphabets(&key));
        }
    }
}
