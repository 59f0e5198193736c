//! The keys of a swarm: derived from one secret, so that a hundred thousand devices need no file, or listed.
//!
//! From a secret, a device's shared key is the first 16 bytes of HMAC-SHA256(secret, endpoint), and its identity the endpoint;
//! its private key is the first of HMAC-SHA256(secret, "rpk" number endpoint) that is one. With certificates an authority
//! signs for that key when the swarm starts.

use std::collections::HashMap;
use std::fmt;

use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, Resume, ServerTrust};
use buoy_dtls::crypto::{PublicKey, RustCrypto, hmac_sha256};
use buoy_dtls::x509::{CertificateError, CertificateUsage, Pinned, ServerCertificateTrust};
use p256::SecretKey;

/// The keys of all devices.
pub enum Keys {
    /// All from one secret.
    Derived {
        /// The secret.
        secret: Vec<u8>,
        /// What is made of a derived key.
        proof: Proof,
    },
    /// One for each endpoint.
    Listed(HashMap<String, SharedKey>),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// A key that a device shares with the server.
pub struct SharedKey {
    /// Who the device is by it.
    pub identity: String,
    /// The key.
    pub key: Vec<u8>,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What is made of a derived key, and what proves the server.
pub enum Proof {
    /// A shared key.
    Psk,
    /// A raw public key.
    Rpk {
        /// The server's.
        server: PublicKey,
    },
    /// A certificate.
    X509 {
        /// Who signs it.
        authority: Box<dyn Certify + Send>,
        /// The server's certificate, and no other, in DER.
        server: Vec<u8>,
    },
}

/// An authority that signs for the devices of a swarm.
pub trait Certify {
    /// A certificate in DER for the device of this name, whose private key is given.
    ///
    /// # Errors
    /// Why none is made.
    fn certificate(
        &self,
        endpoint: &str,
        private_key: &[u8; 32],
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// What a server has to know of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// It shares this key, and calls itself by its endpoint name.
    Psk([u8; 16]),
    /// It has this public key (SubjectPublicKeyInfo in DER).
    Rpk(Vec<u8>),
}

/// Why a device has no keys that can be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// The list doesn't have the device.
    NotListed,
    /// The identity or the shared key is empty or too long.
    SharedKey,
    /// No private key comes from the secret.
    NoPrivateKey,
    /// The authority makes no certificate.
    NotCertified(Box<dyn std::error::Error + Send + Sync>),
    /// The certificate can't be used.
    Certificate(CertificateError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed => f.write_str("no key for this device is in the list (--credentials)"),
            Self::SharedKey => f.write_str("the identity or the shared key is empty or too long"),
            Self::NoPrivateKey => f.write_str("no private key comes from the secret; take another"),
            Self::NotCertified(error) => write!(f, "the authority signs nothing: {error}"),
            Self::Certificate(error) => write!(f, "the certificate cannot be used: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

impl Keys {
    /// How a device makes its session.
    pub(super) fn config(&self, endpoint: &str) -> Result<ClientConfig, KeyError> {
        let credentials = match self {
            Self::Derived { secret, proof: Proof::Psk } => {
                ClientCredentials::Psk(psk(endpoint, &shared_key(secret, endpoint))?)
            }
            Self::Derived { secret, proof: Proof::Rpk { server } } => {
                let own = raw_key(&own_number(secret, endpoint)?)?;
                ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(*server) }
            }
            Self::Derived { secret, proof: Proof::X509 { authority, server } } => {
                let number = own_number(secret, endpoint)?;
                let certificate = authority.certificate(endpoint, &number).map_err(KeyError::NotCertified)?;
                let own = OwnKey::certificate::<RustCrypto>(&number, &[&certificate])
                    .map_err(KeyError::Certificate)?;
                let usage = CertificateUsage::DomainIssued;
                let trust = ServerCertificateTrust::new(usage, Pinned::Certificate(server.as_slice().into()));
                ClientCredentials::Certificate { own, server: ServerTrust::Certificate(Box::new(trust)) }
            }
            Self::Listed(keys) => {
                let SharedKey { identity, key } = keys.get(endpoint).ok_or(KeyError::NotListed)?;
                ClientCredentials::Psk(psk(identity, key)?)
            }
        };
        let mut config = ClientConfig::new(credentials);
        config.resume = Resume::Keep;
        Ok(config)
    }
}

impl Credential {
    /// The shared key of a device that has it from a secret.
    #[must_use]
    pub fn psk(secret: &[u8], endpoint: &str) -> Self {
        Self::Psk(shared_key(secret, endpoint))
    }

    /// The public key of a device that has its private one from a secret.
    ///
    /// # Errors
    /// [`KeyError::NoPrivateKey`]
    pub fn rpk(secret: &[u8], endpoint: &str) -> Result<Self, KeyError> {
        Ok(Self::Rpk(raw_key(&own_number(secret, endpoint)?)?.public().to_spki().to_vec()))
    }
}

fn psk(identity: &str, key: &[u8]) -> Result<Psk, KeyError> {
    Psk::new(identity.as_bytes(), key).ok_or(KeyError::SharedKey)
}

fn shared_key(secret: &[u8], endpoint: &str) -> [u8; 16] {
    let hash = hmac_sha256::<RustCrypto>(secret, &[endpoint.as_bytes()]);
    std::array::from_fn(|index| hash[index])
}

/// Hardly any number is no private key; then the next one is taken.
fn own_number(secret: &[u8], endpoint: &str) -> Result<[u8; 32], KeyError> {
    let number = |number: u8| hmac_sha256::<RustCrypto>(secret, &[b"rpk", &[number], endpoint.as_bytes()]);
    let key = (0..=u8::MAX).map(number).find(|number| SecretKey::from_slice(number).is_ok());
    key.ok_or(KeyError::NoPrivateKey)
}

fn raw_key(number: &[u8; 32]) -> Result<OwnKey, KeyError> {
    OwnKey::raw_public_key::<RustCrypto>(number).ok_or(KeyError::NoPrivateKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_key_is_derived_as_the_documentation_says() {
        // printf swarm-000001 | openssl dgst -sha256 -hmac secret
        let expected = 0x7120_e68f_a357_a0e6_4578_40f6_30f1_08ee_u128.to_be_bytes();
        assert_eq!(shared_key(b"secret", "swarm-000001"), expected);
        assert_ne!(shared_key(b"secret", "a"), shared_key(b"secret", "b"));
    }
}
