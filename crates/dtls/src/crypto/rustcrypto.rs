//! The provider made of RustCrypto's crates: constant-time software everywhere, AES instructions where there are some.

use hmac::{KeyInit, Mac};
use sha2::Digest;

use super::{Aead, Forged, Hmac, KEY_LENGTH, NONCE_LENGTH, Provider, Sha256, ccm};
#[cfg(feature = "ecdhe")]
use super::{Group, Point, SharedSecret};
#[cfg(feature = "rpk")]
use super::{PublicKey, Signature};
#[cfg(feature = "ecdhe")]
use rand_core::CryptoRng;

/// AES, SHA-2, P-256 and X25519 by RustCrypto and dalek.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

/// HMAC with SHA-256 by RustCrypto.
pub struct HmacSha256(hmac::Hmac<sha2::Sha256>);

impl core::fmt::Debug for HmacSha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HmacSha256(redacted)")
    }
}

impl Hmac for HmacSha256 {
    fn new(key: &[u8]) -> Self {
        // HMAC takes keys of every length.
        Self(hmac::Hmac::new_from_slice(key).unwrap_or_else(|_| hmac::Hmac::new(&Default::default())))
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

impl Provider for RustCrypto {
    type Sha256 = sha2::Sha256;
    type Hmac = HmacSha256;

    fn seal(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) {
        match aead {
            Aead::Aes128Ccm8 | Aead::Aes128Ccm => ccm::seal(key, nonce, aad, text, tag),
            #[cfg(feature = "gcm")]
            Aead::Aes128Gcm => gcm::seal(key, nonce, aad, text, tag),
        }
    }

    fn open(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged> {
        match aead {
            Aead::Aes128Ccm8 | Aead::Aes128Ccm => ccm::open(key, nonce, aad, text, tag),
            #[cfg(feature = "gcm")]
            Aead::Aes128Gcm => gcm::open(key, nonce, aad, text, tag),
        }
    }

    #[cfg(feature = "ecdhe")]
    type KeyShare = KeyShare;

    #[cfg(feature = "ecdhe")]
    fn key_share(group: Group, rng: &mut dyn CryptoRng) -> (KeyShare, Point) {
        KeyShare::new(group, rng)
    }

    #[cfg(feature = "ecdhe")]
    fn agree(share: KeyShare, peer: &[u8]) -> Option<SharedSecret> {
        share.agree(peer)
    }

    #[cfg(feature = "rpk")]
    fn public_key(private: &[u8; 32]) -> Option<PublicKey> {
        let key = p256::ecdsa::SigningKey::from_slice(private).ok()?;
        let point = key.verifying_key().to_sec1_point(false);
        point.as_bytes().try_into().ok().map(PublicKey::from_point)
    }

    #[cfg(feature = "rpk")]
    fn sign(private: &[u8; 32], digest: &[u8; 32]) -> Option<Signature> {
        // Without p256's `SigningKey`, which computes the public half each time it is made.
        let key = p256::NonZeroScalar::try_from(&private[..]).ok()?;
        let (signature, _) =
            ecdsa::hazmat::sign_prehashed_rfc6979::<p256::NistP256, sha2::Sha256>(&key, digest, &[]);
        Signature::new(signature.to_der().as_bytes())
    }

    #[cfg(feature = "rpk")]
    fn verify(key: &PublicKey, digest: &[u8; 32], signature: &[u8]) -> Result<(), Forged> {
        use p256::ecdsa::signature::hazmat::PrehashVerifier;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.point()).map_err(|_| Forged)?;
        let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| Forged)?;
        key.verify_prehash(digest, &signature).map_err(|_| Forged)
    }
}

impl Sha256 for sha2::Sha256 {
    fn update(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }

    fn finish(self) -> [u8; 32] {
        self.finalize().into()
    }
}

/// An ephemeral private key.
#[cfg(feature = "ecdhe")]
#[expect(missing_debug_implementations, reason = "a secret")]
pub enum KeyShare {
    /// On secp256r1.
    Secp256r1(p256::ecdh::EphemeralSecret),
    /// On x25519.
    X25519(x25519_dalek::EphemeralSecret),
}

#[cfg(feature = "ecdhe")]
impl KeyShare {
    fn new(group: Group, rng: &mut dyn CryptoRng) -> (Self, Point) {
        match group {
            Group::Secp256r1 => {
                use p256::elliptic_curve::Generate;
                use p256::elliptic_curve::sec1::ToSec1Point;
                let secret = p256::ecdh::EphemeralSecret::generate_from_rng(rng);
                let public = Point::from(secret.public_key().to_sec1_point(false).as_bytes());
                (Self::Secp256r1(secret), public)
            }
            Group::X25519 => {
                let secret = x25519_dalek::EphemeralSecret::random_from_rng(rng);
                let public = Point::from(x25519_dalek::PublicKey::from(&secret).as_bytes());
                (Self::X25519(secret), public)
            }
        }
    }

    fn agree(self, peer: &[u8]) -> Option<SharedSecret> {
        match self {
            Self::Secp256r1(secret) => {
                // RFC 8422 section 5.1.1: uncompressed only.
                let peer = p256::PublicKey::from_sec1_bytes(peer).ok().filter(|_| peer.len() == 65)?;
                let shared = secret.diffie_hellman(&peer);
                Some(SharedSecret((*shared.raw_secret_bytes()).into()))
            }
            Self::X25519(secret) => {
                let peer: [u8; 32] = peer.try_into().ok()?;
                let shared = secret.diffie_hellman(&peer.into());
                shared.was_contributory().then(|| SharedSecret(*shared.as_bytes()))
            }
        }
    }
}

#[cfg(feature = "gcm")]
mod gcm {
    use aes_gcm::aead::AeadInOut;
    use aes_gcm::{Aes128Gcm, KeyInit};

    use super::{Forged, KEY_LENGTH, NONCE_LENGTH};

    pub(super) fn seal(
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) {
        let cipher = Aes128Gcm::new(key.into());
        // The only error is a text of 64 GiB.
        if let Ok(full) = cipher.encrypt_inout_detached(nonce.into(), aad, text.into()) {
            tag.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        }
    }

    pub(super) fn open(
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged> {
        let tag: &[u8; 16] = tag.try_into().map_err(|_| Forged)?;
        let cipher = Aes128Gcm::new(key.into());
        // Checks before it decrypts, so that a forged text is left as it was.
        cipher.decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into()).map_err(|_| Forged)
    }
}
