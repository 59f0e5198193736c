//! The cryptography that DTLS needs, behind one small trait.
//!
//! [`RustCrypto`] is for chips and the default; a server may bring a [`Provider`] of its own. Every function is pure: keys
//! and random numbers are passed in, and nothing is kept, so that an association holds raw keys of 16 bytes and no
//! schedules of several hundred. The key is expanded for each record, and `examples/handshakes.rs` measures records with
//! that in them.

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod ccm;
mod prf;
mod rustcrypto;

#[cfg(any(test, feature = "insecure-test-provider"))]
pub mod insecure;

use core::fmt;

#[cfg(feature = "ecdhe")]
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
pub(crate) use prf::{KeyBlock, MasterSecret, PreMasterSecret, Side};
pub use rustcrypto::RustCrypto;

/// The length of an AES-128 key.
pub const KEY_LENGTH: usize = 16;
/// The length of every AEAD's nonce here.
pub const NONCE_LENGTH: usize = 12;

/// What a connection asks of a cryptographic library.
pub trait Provider: Sized + 'static {
    /// A running SHA-256.
    type Sha256: Sha256;

    /// HMAC with SHA-256 under one key.
    type Hmac: Hmac;

    /// Encrypts `text` in place and writes the tag; `tag` has [`Aead::tag_length`] bytes.
    fn seal(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    );

    /// Checks the tag and decrypts `text` in place.
    ///
    /// # Errors
    /// [`Forged`] if the tag is wrong. Then `text` is as it was, so that another key may be tried, and nobody sees what
    /// was not authenticated.
    fn open(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged>;

    /// An ephemeral private key, gone when dropped.
    #[cfg(feature = "ecdhe")]
    type KeyShare;

    /// Makes an ephemeral key and its public half.
    #[cfg(feature = "ecdhe")]
    fn key_share(group: Group, rng: &mut dyn CryptoRng) -> (Self::KeyShare, Point);

    /// The shared secret with `peer`'s public half; `None` if that is no point of the group, or one that makes the secret
    /// known to everybody.
    #[cfg(feature = "ecdhe")]
    fn agree(share: Self::KeyShare, peer: &[u8]) -> Option<SharedSecret>;

    /// The public key of a secp256r1 private key; `None` if that is no such key.
    #[cfg(feature = "rpk")]
    fn public_key(private: &[u8; 32]) -> Option<PublicKey>;

    /// ECDSA on secp256r1 over a SHA-256 digest; `None` if the private key is none.
    #[cfg(feature = "rpk")]
    fn sign(private: &[u8; 32], digest: &[u8; 32]) -> Option<Signature>;

    /// Checks an ECDSA signature, a DER `ECDSA-Sig-Value`, over a SHA-256 digest.
    ///
    /// # Errors
    /// [`Forged`] if the signature is not by this key, or the key is no point of the curve.
    #[cfg(feature = "rpk")]
    fn verify(key: &PublicKey, digest: &[u8; 32], signature: &[u8]) -> Result<(), Forged>;

    /// Checks an ECDSA signature in a certificate whose authority has a key on secp384r1, or signs with SHA-384. `None` if the provider
    /// can't, as on chips, where each curve more takes tens of kilobytes.
    #[cfg(feature = "x509")]
    fn verify_wide(
        _key: &crate::x509::AuthorityKey<'_>,
        _hash: crate::x509::SignatureHash,
        _signed: &[u8],
        _signature: &[u8],
    ) -> Option<Result<(), Forged>> {
        None
    }
}

/// A running hash. A clone goes its own way.
pub trait Sha256: Clone + Default {
    /// Takes more input.
    fn update(&mut self, bytes: &[u8]);
    /// The hash of all input.
    fn finish(self) -> [u8; 32];
}

/// HMAC with SHA-256 (RFC 2104) under one key, which is hashed once for all that follows. Gone when dropped.
pub trait Hmac {
    /// Keys have any length.
    fn new(key: &[u8]) -> Self;
    /// Of the parts one after the other.
    fn sign(&self, parts: &[&[u8]]) -> [u8; 32];
}

/// A tag or a signature is not by who it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// An authenticated cipher with an AES-128 key and a nonce of twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aead {
    /// CCM with a tag of eight bytes (RFC 6655).
    Aes128Ccm8,
    /// CCM with a tag of sixteen bytes; seals exports and tickets.
    Aes128Ccm,
    /// GCM (RFC 5288).
    #[cfg(feature = "gcm")]
    Aes128Gcm,
}

impl Aead {
    /// Bytes of the tag.
    #[must_use]
    pub const fn tag_length(self) -> usize {
        match self {
            Self::Aes128Ccm8 => 8,
            Self::Aes128Ccm => 16,
            #[cfg(feature = "gcm")]
            Self::Aes128Gcm => 16,
        }
    }
}

/// A group for key exchange (RFC 8422).
#[cfg(feature = "ecdhe")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// secp256r1
    Secp256r1,
    /// x25519
    X25519,
}

/// The public half of a key share as it stands in a message: 65 bytes (uncompressed) for secp256r1, 32 for x25519.
#[cfg(feature = "ecdhe")]
#[derive(Clone, Copy, Debug)]
pub struct Point {
    bytes: [u8; 65],
    length: u8,
}

#[cfg(feature = "ecdhe")]
impl Point {
    /// The first 65 of these bytes; no group has more.
    #[must_use]
    pub fn from(from: &[u8]) -> Self {
        let mut bytes = [0; 65];
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Self { bytes, length: u8::try_from(from.len().min(65)).unwrap_or(65) }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or(&[])
    }
}

/// The result of a Diffie-Hellman exchange.
#[cfg(feature = "ecdhe")]
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret(pub [u8; 32]);

#[cfg(feature = "ecdhe")]
impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// A public key on secp256r1: the uncompressed point of 65 bytes. Not checked to be on the curve until it is used.
#[cfg(feature = "rpk")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 65]);

/// `SubjectPublicKeyInfo` of an uncompressed point on secp256r1, up to the point (RFC 5480).
#[cfg(feature = "rpk")]
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(feature = "rpk")]
impl PublicKey {
    /// The key of an uncompressed point.
    #[must_use]
    pub const fn from_point(point: [u8; 65]) -> Self {
        Self(point)
    }

    /// The key in a DER `SubjectPublicKeyInfo`, as raw public keys are sent (RFC 7250) and stored in LwM2M; `None` if it is
    /// of another kind.
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        let point = spki.strip_prefix(&SPKI_PREFIX)?;
        (point.first() == Some(&4)).then(|| point.try_into().ok().map(Self))?
    }

    /// The uncompressed point.
    #[must_use]
    pub const fn point(&self) -> &[u8; 65] {
        &self.0
    }

    /// The DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn to_spki(&self) -> [u8; 91] {
        let mut spki = [0; 91];
        for (to, from) in spki.iter_mut().zip(SPKI_PREFIX.iter().chain(&self.0)) {
            *to = *from;
        }
        spki
    }
}

#[cfg(feature = "rpk")]
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A DER `ECDSA-Sig-Value`: at most 72 bytes.
#[cfg(feature = "rpk")]
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    bytes: [u8; 72],
    length: u8,
}

#[cfg(feature = "rpk")]
impl Signature {
    /// `None` if there are more than 72 bytes.
    #[must_use]
    pub fn new(der: &[u8]) -> Option<Self> {
        let mut bytes = [0; 72];
        bytes.get_mut(..der.len())?.copy_from_slice(der);
        Some(Self { bytes, length: u8::try_from(der.len()).ok()? })
    }

    /// The DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or(&[])
    }
}

/// SHA-256 of the parts one after the other.
pub(crate) fn sha256<P: Provider>(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = P::Sha256::default();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// HMAC with SHA-256 of the parts one after the other.
pub fn hmac_sha256<P: Provider>(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    P::Hmac::new(key).sign(parts)
}

/// A key of one direction, with the fixed part of its nonces.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct DirectionKey {
    pub(crate) key: [u8; KEY_LENGTH],
    pub(crate) salt: [u8; 4],
}

impl fmt::Debug for DirectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectionKey(redacted)")
    }
}
