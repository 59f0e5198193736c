//! Key files: PEM as `openssl` writes it.
//!
//! Private keys in PKCS#8 (`openssl genpkey`, `openssl req -nodes`), PKCS#1 (`openssl genrsa -traditional`) and SEC 1
//! (`openssl ecparam -genkey`), in lines of any length. Public keys as SubjectPublicKeyInfo or inside an X.509 certificate, whose own signature,
//! dates and names do not matter here: it is trusted because somebody put it on the device.

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::rand_core::TryCryptoRng;
use rsa::traits::PublicKeyParts as _;
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::der::{Decode as _, Encode as _};

use super::pem::rewrapped;
use crate::signature::{Algorithm, KeyError, PublicKey, RSA_LEN};

/// A private key that signs releases. Its parts are wiped from memory when it is dropped.
pub enum PrivateKey {
    /// RSA with 4096 bits.
    Rsa4096(rsa::PrivateKey),
    /// ECDSA on P-256.
    P256(p256::SecretKey),
    /// Ed25519.
    Ed25519(ed25519_dalek::SigningKey),
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The text is not PEM.
    NotPem,
    /// The PEM holds something else; its label says what.
    UnexpectedLabel(String),
    /// The private key is encrypted: decrypt it first (`openssl pkey -in key.pem -out plain.pem`).
    Encrypted,
    /// The structure inside the PEM cannot be read.
    Damaged,
    /// The key is of a kind or size that is not supported, or its value is impossible.
    Key(KeyError),
    /// The system gave no random numbers.
    NoRandomNumbers,
}

impl PrivateKey {
    /// Makes a new key from the system's random numbers. RSA takes some seconds.
    ///
    /// # Errors
    /// [`KeyFileError::NoRandomNumbers`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyFileError> {
        Self::generate_from(algorithm, &mut getrandom::SysRng)
    }

    /// Makes a new key from a given generator.
    ///
    /// # Errors
    /// [`KeyFileError::NoRandomNumbers`] if the generator fails.
    pub fn generate_from<R: TryCryptoRng>(
        algorithm: Algorithm,
        random: &mut R,
    ) -> Result<Self, KeyFileError> {
        let no_random = KeyFileError::NoRandomNumbers;
        match algorithm {
            Algorithm::Rsa4096 => {
                rsa::PrivateKey::new(random, RSA_LEN * 8).map(Self::Rsa4096).map_err(|_| no_random)
            }
            // One try fails with a probability of 2^-32: the range of scalars is a little smaller than 2^256.
            Algorithm::EcdsaP256 => loop {
                let bytes = random_bytes(random)?;
                if let Ok(key) = p256::SecretKey::from_slice(&bytes) {
                    break Ok(Self::P256(key));
                }
            },
            Algorithm::Ed25519 => {
                random_bytes(random).map(|bytes| Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&bytes)))
            }
        }
    }

    /// Reads a private key from PEM; other blocks before it (EC PARAMETERS) are skipped.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyFileError> {
        let text = rewrapped(text);
        let block = block_ending_with(&text, "PRIVATE KEY")?;
        let (label, der) = pem::decode_vec(block.as_bytes()).map_err(|_| KeyFileError::NotPem)?;
        let encrypted = label == "ENCRYPTED PRIVATE KEY";
        match label {
            _ if encrypted => Err(KeyFileError::Encrypted),
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" => {
                rsa::PrivateKey::from_pkcs1_der(&der).map(Self::Rsa4096).map_err(|_| KeyFileError::Damaged)
            }
            "EC PRIVATE KEY" => {
                p256::SecretKey::from_sec1_der(&der).map(Self::P256).map_err(|_| KeyFileError::Damaged)
            }
            other => Err(KeyFileError::UnexpectedLabel(other.into())),
        }?
        .checked()
    }

    /// Writes the private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyFileError::Damaged`] if the key cannot be encoded.
    pub fn to_pem(&self) -> Result<String, KeyFileError> {
        let pem = match self {
            Self::Rsa4096(key) => key.to_pkcs8_pem(LineEnding::LF).ok().map(|text| text.to_string()),
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF).ok().map(|text| text.to_string()),
            // Without the public half (RFC 5958, version 2), which OpenSSL 3.0 does not read.
            Self::Ed25519(key) => {
                let der = [&ED25519_PKCS8_PREFIX[..], key.as_bytes()].concat();
                pem::encode_string("PRIVATE KEY", LineEnding::LF, &der).ok()
            }
        };
        pem.ok_or(KeyFileError::Damaged)
    }

    /// Writes the public key as SubjectPublicKeyInfo PEM.
    ///
    /// # Errors
    /// [`KeyFileError`] if the key is none that a device could trust.
    pub fn public_pem(&self) -> Result<String, KeyFileError> {
        let der = self.public_key()?.spki().concat();
        pem::encode_string("PUBLIC KEY", LineEnding::LF, &der).map_err(|_| KeyFileError::Damaged)
    }

    /// The public half, as a device trusts it.
    ///
    /// # Errors
    /// [`KeyFileError::Key`] for an RSA key of another size or exponent.
    pub fn public_key(&self) -> Result<PublicKey, KeyFileError> {
        match self {
            Self::Rsa4096(key) => {
                let unsupported = KeyFileError::Key(KeyError::Unsupported);
                let modulus: [u8; RSA_LEN] =
                    key.n_bytes().as_ref().try_into().map_err(|_| unsupported.clone())?;
                let exponent = key.e_bytes();
                let standard = exponent.iter().skip_while(|byte| **byte == 0).eq(&[1, 0, 1]);
                standard.then_some(PublicKey::Rsa4096(modulus)).ok_or(unsupported)
            }
            Self::P256(key) => {
                let point = key.public_key().to_sec1_point(false);
                point.as_bytes().try_into().map(PublicKey::P256).map_err(|_| KeyFileError::Damaged)
            }
            Self::Ed25519(key) => Ok(PublicKey::Ed25519(key.verifying_key().to_bytes())),
        }
    }

    /// Which kind of key this is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa4096(_) => Algorithm::Rsa4096,
            Self::P256(_) => Algorithm::EcdsaP256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFileError> {
        let rsa = || rsa::PrivateKey::from_pkcs8_der(der).map(Self::Rsa4096);
        let p256 = || p256::SecretKey::from_pkcs8_der(der).map(Self::P256);
        let ed25519 = || ed25519_dalek::SigningKey::from_pkcs8_der(der).map(Self::Ed25519);
        rsa().or_else(|_| p256()).or_else(|_| ed25519()).map_err(|_| KeyFileError::Key(KeyError::Unsupported))
    }

    fn checked(self) -> Result<Self, KeyFileError> {
        self.public_key()?;
        Ok(self)
    }
}

/// PKCS#8 version 1 of Ed25519 (RFC 8410, section 7), up to the 32 bytes of the key.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Reads a public key from PEM: SubjectPublicKeyInfo, X.509 certificate, or the private key itself.
///
/// # Errors
/// [`KeyFileError`].
pub fn public_key_from_pem(text: &str) -> Result<PublicKey, KeyFileError> {
    if block_ending_with(text, "PRIVATE KEY").is_ok() {
        return PrivateKey::from_pem(text)?.public_key();
    }
    let text = rewrapped(text);
    let (label, der) = pem::decode_vec(text.as_bytes()).map_err(|_| KeyFileError::NotPem)?;
    let spki = match label {
        "PUBLIC KEY" => der,
        "CERTIFICATE" => {
            let certificate = x509_cert::Certificate::from_der(&der).map_err(|_| KeyFileError::Damaged)?;
            let info = certificate.tbs_certificate().subject_public_key_info();
            info.to_der().map_err(|_| KeyFileError::Damaged)?
        }
        other => return Err(KeyFileError::UnexpectedLabel(other.into())),
    };
    PublicKey::from_spki(&spki).map_err(KeyFileError::Key)
}

/// The first PEM block whose label ends like this.
fn block_ending_with<'a>(text: &'a str, label: &str) -> Result<&'a str, KeyFileError> {
    let begin = text.match_indices("-----BEGIN ").map(|(at, _)| at);
    let blocks = begin.filter_map(|at| text.get(at..));
    let marked = |block: &&str| {
        block.lines().next().is_some_and(|line| line.trim_end().ends_with(&format!("{label}-----")))
    };
    let block = blocks.clone().find(marked);
    match (block, blocks.clone().next()) {
        (Some(block), _) => Ok(block),
        (None, Some(other)) => {
            let line = other.lines().next().unwrap_or_default();
            let found = line.trim_start_matches("-----BEGIN ").trim_end_matches('-');
            Err(KeyFileError::UnexpectedLabel(found.into()))
        }
        (None, None) => Err(KeyFileError::NotPem),
    }
}

fn random_bytes<R: TryCryptoRng>(random: &mut R) -> Result<[u8; 32], KeyFileError> {
    let mut bytes = [0; 32];
    random.try_fill_bytes(&mut bytes).map_err(|_| KeyFileError::NoRandomNumbers)?;
    Ok(bytes)
}

impl core::fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "PrivateKey({}, …)", self.algorithm())
    }
}

impl core::fmt::Display for KeyFileError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotPem => write!(out, "the key file is not PEM, which begins with -----BEGIN"),
            Self::UnexpectedLabel(label) => {
                write!(out, "the key file holds a {label}, which is of no use here")
            }
            Self::Encrypted => {
                write!(
                    out,
                    "the private key is encrypted; decrypt it first: openssl pkey -in key.pem -out plain.pem"
                )
            }
            Self::Damaged => write!(out, "the key file is damaged"),
            Self::Key(error) => error.fmt(out),
            Self::NoRandomNumbers => write!(out, "the system gave no random numbers"),
        }
    }
}

impl core::error::Error for KeyFileError {}
