//! A provider for servers: elliptic curves by AWS-LC, everything else as in [`RustCrypto`].
//!
//! Ephemeral keys come from the generator that is passed in, as everywhere. The nonces of ECDSA come from AWS-LC's own.

use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
#[cfg(feature = "x509")]
use aws_lc_rs::signature::{ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::{
    Aead, Forged, Group, KEY_LENGTH, NONCE_LENGTH, Point, Provider, PublicKey, RustCrypto, SharedSecret,
    Signature,
};
#[cfg(feature = "x509")]
use crate::x509::{AuthorityKey, SignatureHash};

/// AWS-LC where it is faster, RustCrypto elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Provider for AwsLc {
    type Sha256 = <RustCrypto as Provider>::Sha256;
    type Hmac = <RustCrypto as Provider>::Hmac;

    fn seal(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) {
        RustCrypto::seal(aead, key, nonce, aad, text, tag);
    }

    fn open(
        aead: Aead,
        key: &[u8; KEY_LENGTH],
        nonce: &[u8; NONCE_LENGTH],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged> {
        RustCrypto::open(aead, key, nonce, aad, text, tag)
    }

    type KeyShare = Option<PrivateKey>;

    fn key_share(group: Group, rng: &mut dyn CryptoRng) -> (Option<PrivateKey>, Point) {
        let secret = generate(group, rng);
        let public = secret.as_ref().and_then(|secret| secret.compute_public_key().ok());
        let point = Point::from(public.as_ref().map_or(&[], AsRef::as_ref));
        (secret, point)
    }

    fn agree(share: Option<PrivateKey>, peer: &[u8]) -> Option<SharedSecret> {
        let share = share?;
        // RFC 8422 section 5.1.1: uncompressed only.
        let length = if share.algorithm() == &X25519 { 32 } else { 65 };
        if peer.len() != length {
            return None;
        }
        let peer = UnparsedPublicKey::new(share.algorithm(), peer);
        let shared = agreement::agree(&share, peer, (), |secret| secret.try_into().map_err(|_| ())).ok()?;
        (shared != [0; 32]).then_some(SharedSecret(shared))
    }

    fn public_key(private: &[u8; 32]) -> Option<PublicKey> {
        let key = PrivateKey::from_private_key(&ECDH_P256, private).ok()?;
        let public = key.compute_public_key().ok()?;
        public.as_ref().try_into().ok().map(PublicKey::from_point)
    }

    fn sign(private: &[u8; 32], digest: &[u8; 32]) -> Option<Signature> {
        let mut der = ec_private_key(private);
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der);
        der.zeroize();
        let digest = Digest::import_less_safe(digest, &SHA256).ok()?;
        Signature::new(key.ok()?.sign_digest(&digest).ok()?.as_ref())
    }

    fn verify(key: &PublicKey, digest: &[u8; 32], signature: &[u8]) -> Result<(), Forged> {
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(|_| Forged)?;
        let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point());
        key.verify_digest(&digest, signature).map_err(|_| Forged)
    }

    #[cfg(feature = "x509")]
    fn verify_wide(
        key: &AuthorityKey<'_>,
        hash: SignatureHash,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<Result<(), Forged>> {
        let (algorithm, point): (_, &[u8]) = match (key, hash) {
            (AuthorityKey::Secp256r1(key), SignatureHash::Sha256) => (&ECDSA_P256_SHA256_ASN1, key.point()),
            (AuthorityKey::Secp256r1(key), SignatureHash::Sha384) => (&ECDSA_P256_SHA384_ASN1, key.point()),
            (AuthorityKey::Secp384r1(point), SignatureHash::Sha256) => (&ECDSA_P384_SHA256_ASN1, *point),
            (AuthorityKey::Secp384r1(point), SignatureHash::Sha384) => (&ECDSA_P384_SHA384_ASN1, *point),
        };
        let key = signature::UnparsedPublicKey::new(algorithm, point);
        Some(key.verify(signed, signature).map_err(|_| Forged))
    }
}

fn generate(group: Group, rng: &mut dyn CryptoRng) -> Option<PrivateKey> {
    let algorithm = match group {
        Group::Secp256r1 => &ECDH_P256,
        Group::X25519 => &X25519,
    };
    let mut bytes = [0; 32];
    // One in four thousand million numbers is no private key on secp256r1.
    let key = (0..4).find_map(|_| {
        rng.fill_bytes(&mut bytes);
        PrivateKey::from_private_key(algorithm, &bytes).ok()
    });
    bytes.zeroize();
    key
}

/// `ECPrivateKey` (RFC 5915) without the public half, which would have to be computed elsewhere.
fn ec_private_key(private: &[u8; 32]) -> [u8; 51] {
    const BEFORE: [u8; 7] = [0x30, 49, 2, 1, 1, 4, 32];
    const BEHIND: [u8; 12] = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let mut der = [0; 51];
    let parts = BEFORE.iter().chain(private).chain(&BEHIND);
    der.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    der
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_one_provider_signs_the_other_believes() {
        let (private, digest) = ([7; 32], [3; 32]);
        let public = AwsLc::public_key(&private).unwrap();
        assert_eq!(Some(public), RustCrypto::public_key(&private));
        let by_aws_lc = AwsLc::sign(&private, &digest).unwrap();
        let by_rustcrypto = RustCrypto::sign(&private, &digest).unwrap();
        for signature in [by_aws_lc, by_rustcrypto] {
            assert_eq!(AwsLc::verify(&public, &digest, signature.as_der()), Ok(()));
            assert_eq!(RustCrypto::verify(&public, &digest, signature.as_der()), Ok(()));
            assert_eq!(AwsLc::verify(&public, &[4; 32], signature.as_der()), Err(Forged));
        }
        assert!(AwsLc::public_key(&[0; 32]).is_none() && AwsLc::public_key(&[0xff; 32]).is_none());
    }

    #[test]
    fn both_providers_come_to_the_same_secret() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for group in [Group::X25519, Group::Secp256r1] {
            let (ours, our_point) = AwsLc::key_share(group, &mut rng);
            let (theirs, their_point) = RustCrypto::key_share(group, &mut rng);
            let our_secret = AwsLc::agree(ours, their_point.as_bytes()).unwrap();
            let their_secret = RustCrypto::agree(theirs, our_point.as_bytes()).unwrap();
            assert_eq!(our_secret.0, their_secret.0);
        }
    }

    #[test]
    fn neither_provider_takes_a_point_that_is_none() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut off_curve = *RustCrypto::public_key(&[7; 32]).unwrap().point();
        off_curve[64] ^= 1;
        for (group, bad) in [
            (Group::X25519, &[0; 32][..]),
            (Group::X25519, &[9; 31]),
            (Group::Secp256r1, &off_curve),
            (Group::Secp256r1, &[]),
        ] {
            assert!(AwsLc::agree(AwsLc::key_share(group, &mut rng).0, bad).is_none());
            assert!(RustCrypto::agree(RustCrypto::key_share(group, &mut rng).0, bad).is_none());
        }
    }
}
