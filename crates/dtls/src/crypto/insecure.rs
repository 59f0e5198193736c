//! A provider without security, for fuzzing: everything that needs a key can be forged, so that a fuzzer gets past the
//! cryptography into the code behind it.

#[cfg(feature = "ecdhe")]
use rand_core::CryptoRng;

use super::{Aead, Forged, KEY_LENGTH, NONCE_LENGTH, Provider, RustCrypto};
#[cfg(feature = "ecdhe")]
use super::{Group, Point, SharedSecret};
#[cfg(feature = "rpk")]
use super::{PublicKey, Signature};

/// Encrypts by doing nothing, accepts every tag and signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Insecure;

impl Provider for Insecure {
    type Sha256 = <RustCrypto as Provider>::Sha256;
    type Hmac = <RustCrypto as Provider>::Hmac;

    fn seal(_: Aead, _: &[u8; KEY_LENGTH], _: &[u8; NONCE_LENGTH], _: &[u8], _: &mut [u8], tag: &mut [u8]) {
        tag.fill(0);
    }

    fn open(
        _: Aead,
        _: &[u8; KEY_LENGTH],
        _: &[u8; NONCE_LENGTH],
        _: &[u8],
        _: &mut [u8],
        _: &[u8],
    ) -> Result<(), Forged> {
        Ok(())
    }

    #[cfg(feature = "ecdhe")]
    type KeyShare = ();

    #[cfg(feature = "ecdhe")]
    fn key_share(group: Group, _: &mut dyn CryptoRng) -> ((), Point) {
        let length = match group {
            Group::Secp256r1 => 65,
            Group::X25519 => 32,
        };
        ((), Point::from([4; 65].get(..length).unwrap_or(&[])))
    }

    #[cfg(feature = "ecdhe")]
    fn agree((): (), _: &[u8]) -> Option<SharedSecret> {
        Some(SharedSecret([1; 32]))
    }

    #[cfg(feature = "rpk")]
    fn public_key(private: &[u8; 32]) -> Option<PublicKey> {
        let mut point = [4; 65];
        point.iter_mut().skip(1).zip(private).for_each(|(to, from)| *to = *from);
        Some(PublicKey::from_point(point))
    }

    #[cfg(feature = "rpk")]
    fn sign(_: &[u8; 32], _: &[u8; 32]) -> Option<Signature> {
        Signature::new(&[0x30, 6, 2, 1, 1, 2, 1, 1])
    }

    #[cfg(feature = "rpk")]
    fn verify(_: &PublicKey, _: &[u8; 32], _: &[u8]) -> Result<(), Forged> {
        Ok(())
    }
}
