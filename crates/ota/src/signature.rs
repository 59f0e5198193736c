//! Signatures over firmware, and the keys that a device trusts.
//!
//! RSA-4096 PKCS#1 v1.5 with SHA-256 (RFC 8017, section 8.2.2) exactly as `openssl dgst -sha256 -sign key.pem` writes it:
//! 512 bytes. ECDSA P-256 with SHA-256 (FIPS 186-5) as the same command writes it: DER. Ed25519 (RFC 8032) over the signed
//! manifest only, because it reads its message twice and a device cannot hold an image. A key is known by the SHA-256 of
//! its SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use sha2::{Digest as _, Sha256};

use crate::ecdsa;
use crate::image::Digest;
use crate::safeguard::{Safeguard, off};

/// Bytes of an RSA-4096 signature and modulus.
pub const RSA_LEN: usize = 512;

/// Bytes of the longest ECDSA P-256 signature in DER.
pub const ECDSA_DER_MAX: usize = 72;

/// Keys that a [`TrustStore`] holds.
pub const KEYS_MAX: usize = 4;

/// The release keys of a device, revoked ones included.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    slots: [Option<TrustedKey>; KEYS_MAX],
}

/// One slot of a [`TrustStore`].
#[derive(Debug, Clone)]
struct TrustedKey {
    id: KeyId,
    key: PublicKey,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Trusted,
    Revoked,
}

/// A public key of one of the three kinds.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "rsa4096",
    expect(clippy::large_enum_variant, reason = "a store holds four; a box would need an allocator")
)]
pub enum PublicKey {
    /// Modulus, big-endian; the exponent is 65537. Without the feature `rsa4096` there is no such key.
    Rsa4096(RsaModulus),
    /// Point, uncompressed (SEC 1, section 2.3.3).
    P256([u8; 65]),
    /// Point (RFC 8032, section 5.1.2).
    Ed25519([u8; 32]),
}

/// The modulus of an RSA key.
#[cfg(feature = "rsa4096")]
pub type RsaModulus = [u8; RSA_LEN];

/// The modulus of an RSA key, of which there is none without the feature `rsa4096`: neither its bytes nor code for it take memory.
#[cfg(not(feature = "rsa4096"))]
pub type RsaModulus = core::convert::Infallible;

/// Which kind of key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 4096 bits.
    Rsa4096,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// Ed25519.
    Ed25519,
}

/// SHA-256 of a key's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 32]);

/// A signature over the bytes of an image, beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetachedSignature<'a> {
    /// The 512 bytes of PKCS#1 v1.5.
    Rsa4096(&'a [u8; RSA_LEN]),
    /// DER, at most 72 bytes.
    EcdsaP256(&'a [u8]),
}

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a SubjectPublicKeyInfo of RSA-4096 with exponent 65537, P-256 or Ed25519, or of a kind that this build is without.
    Unsupported,
    /// The kind is right, the value is none (even modulus, point off the curve).
    Malformed,
    /// All [`KEYS_MAX`] slots are taken.
    StoreFull,
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes are no signature of a known kind.
    Malformed,
    /// No trusted key has the named id, or none is of this kind.
    UnknownKey,
    /// The key was revoked.
    RevokedKey,
    /// The signature does not fit data and key.
    Mismatch,
}

impl TrustStore {
    /// A store without keys: trusts nothing.
    pub const fn new() -> Self {
        Self { slots: [const { None }; KEYS_MAX] }
    }

    /// Adds a key to a free slot; a key that is there already stays as it is.
    ///
    /// # Errors
    /// [`KeyError::StoreFull`], or [`KeyError::Malformed`] for a key that could never verify.
    #[inline(never)]
    pub fn trust(&mut self, key: PublicKey) -> Result<KeyId, KeyError> {
        key.check()?;
        let id = key.id();
        if self.slots.iter().flatten().any(|slot| slot.id == id) {
            return Ok(id);
        }
        let free = self.slots.iter_mut().find(|slot| slot.is_none()).ok_or(KeyError::StoreFull)?;
        *free = Some(TrustedKey { id, key, standing: Standing::Trusted });
        Ok(id)
    }

    /// Takes the trust from a key for good; its slot stays taken, so that adding it again does not bring it back.
    pub fn revoke(&mut self, id: KeyId) {
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.id == id) {
            slot.standing = Standing::Revoked;
        }
    }

    /// The ids of the keys that are trusted now.
    pub fn trusted(&self) -> impl Iterator<Item = KeyId> {
        let trusted = self.slots.iter().flatten().filter(|slot| slot.standing == Standing::Trusted);
        trusted.map(|slot| slot.id)
    }

    /// Checks a detached signature against every trusted key of its kind.
    ///
    /// # Errors
    /// [`SignatureError`]; [`SignatureError::RevokedKey`] only if a revoked key made it.
    pub fn verify_detached(
        &self,
        digest: &Digest,
        signature: DetachedSignature<'_>,
    ) -> Result<KeyId, SignatureError> {
        let mut failure = SignatureError::UnknownKey;
        for slot in self.slots.iter().flatten().filter(|slot| slot.key.algorithm() == signature.algorithm()) {
            match (slot.key.verify_detached(digest, signature), slot.standing) {
                (Ok(()), Standing::Trusted) => return Ok(slot.id),
                (Ok(()), Standing::Revoked) if off(Safeguard::RevokedKeysAreRefused) => return Ok(slot.id),
                (Ok(()), Standing::Revoked) => return Err(SignatureError::RevokedKey),
                (Err(error), _) => failure = error,
            }
        }
        Err(failure)
    }

    /// The key with this id.
    ///
    /// # Errors
    /// [`SignatureError::UnknownKey`] or [`SignatureError::RevokedKey`].
    pub fn key(&self, id: &KeyId) -> Result<&PublicKey, SignatureError> {
        let slot =
            self.slots.iter().flatten().find(|slot| slot.id == *id).ok_or(SignatureError::UnknownKey)?;
        match slot.standing {
            Standing::Trusted => Ok(&slot.key),
            Standing::Revoked if off(Safeguard::RevokedKeysAreRefused) => Ok(&slot.key),
            Standing::Revoked => Err(SignatureError::RevokedKey),
        }
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER, as `openssl pkey -pubout -outform DER` writes it.
    ///
    /// The three kinds have one encoding each, so this compares the fixed part and needs no ASN.1.
    ///
    /// # Errors
    /// [`KeyError`].
    #[inline(never)]
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let rsa = der.strip_prefix(&RSA_PREFIX).and_then(|rest| rest.strip_suffix(&RSA_SUFFIX));
        let key = if let Some(modulus) = rsa {
            Self::Rsa4096(rsa4096::modulus(modulus).ok_or(KeyError::Unsupported)?)
        } else if let Some(point) = der.strip_prefix(&P256_PREFIX) {
            Self::P256(point.try_into().map_err(|_| KeyError::Unsupported)?)
        } else if let Some(point) = der.strip_prefix(&ED25519_PREFIX) {
            Self::Ed25519(point.try_into().map_err(|_| KeyError::Unsupported)?)
        } else {
            return Err(KeyError::Unsupported);
        };
        key.check()?;
        Ok(key)
    }

    /// Writes the SubjectPublicKeyInfo piece by piece: prefix, key, suffix.
    pub fn spki(&self) -> [&[u8]; 3] {
        match self {
            Self::Rsa4096(modulus) => [&RSA_PREFIX, rsa4096::bytes(modulus), &RSA_SUFFIX],
            Self::P256(point) => [&P256_PREFIX, point, &[]],
            Self::Ed25519(point) => [&ED25519_PREFIX, point, &[]],
        }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        let mut hasher = Sha256::new();
        self.spki().iter().for_each(|piece| hasher.update(piece));
        KeyId(hasher.finalize().into())
    }

    /// The key's kind.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa4096(_) => Algorithm::Rsa4096,
            Self::P256(_) => Algorithm::EcdsaP256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Checks a detached signature over data with this digest.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`], [`SignatureError::Malformed`], or [`SignatureError::UnknownKey`] for another kind.
    pub fn verify_detached(
        &self,
        digest: &Digest,
        signature: DetachedSignature<'_>,
    ) -> Result<(), SignatureError> {
        match (self, signature) {
            (Self::Rsa4096(modulus), DetachedSignature::Rsa4096(bytes)) => {
                rsa4096::verify(modulus, digest, bytes)
            }
            (Self::P256(point), DetachedSignature::EcdsaP256(der)) => {
                verify_p256(point, digest, &ecdsa::from_der(der).ok_or(SignatureError::Malformed)?)
            }
            _ => Err(SignatureError::UnknownKey),
        }
    }

    /// Checks the signature of a COSE message (RFC 9053, section 2; RFC 8812 for RSA): fixed-length, never DER.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`] or [`SignatureError::Malformed`].
    pub fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match self {
            Self::Rsa4096(modulus) => {
                let bytes = signature.try_into().map_err(|_| SignatureError::Malformed)?;
                rsa4096::verify(modulus, &Digest::of(message), bytes)
            }
            Self::P256(point) => {
                let signature = signature.try_into().map_err(|_| SignatureError::Malformed)?;
                verify_p256(point, &Digest::of(message), signature)
            }
            Self::Ed25519(point) => verify_ed25519(point, message, signature),
        }
    }

    fn check(&self) -> Result<(), KeyError> {
        let sound = match self {
            Self::Rsa4096(modulus) => rsa4096::is_sound(modulus),
            Self::P256(point) => Some(ecdsa::is_point(point)),
            Self::Ed25519(point) => ed25519::is_sound(point),
        };
        sound.ok_or(KeyError::Unsupported)?.then_some(()).ok_or(KeyError::Malformed)
    }
}

impl<'a> DetachedSignature<'a> {
    /// Tells by the shape what kind a signature file is: 512 bytes, or a DER sequence of at most 72.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`].
    pub fn recognise(bytes: &'a [u8]) -> Result<Self, SignatureError> {
        if let Ok(rsa) = bytes.try_into() {
            return Ok(Self::Rsa4096(rsa));
        }
        let der = bytes.first() == Some(&0x30) && bytes.len() <= ECDSA_DER_MAX;
        der.then_some(Self::EcdsaP256(bytes)).ok_or(SignatureError::Malformed)
    }

    /// The bytes as in the file.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Rsa4096(bytes) => bytes.as_slice(),
            Self::EcdsaP256(bytes) => bytes,
        }
    }

    /// Which kind of key made it.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa4096(_) => Algorithm::Rsa4096,
            Self::EcdsaP256(_) => Algorithm::EcdsaP256,
        }
    }
}

/// SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { INTEGER n of 513 bytes, INTEGER e } } }.
const RSA_PREFIX: [u8; 33] = [
    0x30, 0x82, 0x02, 0x22, 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x02, 0x0F, 0x00, 0x30, 0x82, 0x02, 0x0A, 0x02, 0x82, 0x02, 0x01, 0x00,
];
const RSA_SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

fn verify_p256(point: &[u8; 65], digest: &Digest, signature: &[u8; 64]) -> Result<(), SignatureError> {
    is_by_p256(point, &digest.0, signature).then_some(()).ok_or(SignatureError::Mismatch)
}

#[cfg(feature = "fast-p256")]
fn is_by_p256(point: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
    use p256::ecdsa::{Signature, VerifyingKey};

    let (Ok(key), Ok(signature)) = (VerifyingKey::from_sec1_bytes(point), Signature::from_slice(signature))
    else {
        return false;
    };
    key.verify_prehash(digest, &signature).is_ok()
}

#[cfg(not(feature = "fast-p256"))]
use crate::ecdsa::verify as is_by_p256;

fn verify_ed25519(point: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    #[cfg(feature = "mutants")]
    {
        crate::safeguard::remembered(&[point, message, signature], || {
            ed25519::verify(point, message, signature)
        })
    }
    #[cfg(not(feature = "mutants"))]
    {
        ed25519::verify(point, message, signature)
    }
}

#[cfg(feature = "rsa4096")]
use crate::rsa as rsa4096;

/// There are no keys of this kind: the feature is off.
#[cfg(not(feature = "rsa4096"))]
mod rsa4096 {
    use super::{RSA_LEN, RsaModulus, SignatureError};
    use crate::image::Digest;

    pub(super) fn modulus(_: &[u8]) -> Option<RsaModulus> {
        None
    }

    pub(super) fn bytes(modulus: &RsaModulus) -> &[u8] {
        match *modulus {}
    }

    pub(super) fn verify(modulus: &RsaModulus, _: &Digest, _: &[u8; RSA_LEN]) -> Result<(), SignatureError> {
        match *modulus {}
    }

    pub(super) fn is_sound(modulus: &RsaModulus) -> Option<bool> {
        match *modulus {}
    }
}

#[cfg(feature = "ed25519")]
mod ed25519 {
    use super::SignatureError;

    /// Strict verification (RFC 8032 with the small-order checks): every verifier must agree on what is valid.
    #[inline(never)]
    pub(super) fn verify(point: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature =
            ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| SignatureError::Mismatch)?;
        key.verify_strict(message, &signature).map_err(|_| SignatureError::Mismatch)
    }

    /// Whether a point can verify anything.
    pub(super) fn is_sound(point: &[u8; 32]) -> Option<bool> {
        Some(ed25519_dalek::VerifyingKey::from_bytes(point).is_ok_and(|key| !key.is_weak()))
    }
}

/// Keys of this kind can't be trusted: the feature is off.
#[cfg(not(feature = "ed25519"))]
mod ed25519 {
    use super::SignatureError;

    pub(super) fn verify(_: &[u8; 32], _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        Err(SignatureError::UnknownKey)
    }

    pub(super) fn is_sound(_: &[u8; 32]) -> Option<bool> {
        None
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{:?} {}", self.algorithm(), self.id())
    }
}

impl core::fmt::Debug for KeyId {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, out)
    }
}

impl core::fmt::Display for KeyId {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl core::fmt::Display for Algorithm {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(match self {
            Self::Rsa4096 => "rsa4096",
            Self::EcdsaP256 => "p256",
            Self::Ed25519 => "ed25519",
        })
    }
}

impl core::fmt::Display for KeyError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::Unsupported => "the key is not RSA-4096 with exponent 65537, P-256 or Ed25519",
            Self::Malformed => "the key's value can verify nothing",
            Self::StoreFull => "the trust store is full",
        })
    }
}

impl core::fmt::Display for SignatureError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::Malformed => {
                "the signature is neither 512 bytes of RSA-4096 nor ECDSA P-256 in DER, nor a signed manifest"
            }
            Self::UnknownKey => "no trusted key could have made the signature",
            Self::RevokedKey => "the key that made the signature was revoked",
            Self::Mismatch => "the signature does not match the data: changed data, or another key",
        })
    }
}

impl core::error::Error for KeyError {}
impl core::error::Error for SignatureError {}
