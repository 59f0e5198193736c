//! What comes around an image: containers, manifests, detached signatures, keys.
//!
//! A fuzzer finds no signed manifest and no key by itself, so inputs may begin with good ones, of each kind of signature, in which bytes are changed.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use buoy_ota::container::{Envelope, EnvelopeError, Proof};
use buoy_ota::host::{
    ImageBuilder, PrivateKey, ReleaseFacts, container, inspect, public_key_from_pem, sign_detached,
    sign_manifest,
};
use buoy_ota::image::Digest;
use buoy_ota::manifest::{Manifest, SignedManifest};
use buoy_ota::signature::{Algorithm, DetachedSignature, PublicKey, TrustStore};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

#[derive(Arbitrary, Debug)]
struct Input {
    /// What the bytes begin with.
    start: u8,
    keep: u16,
    changes: Vec<(u16, u8)>,
    tail: Vec<u8>,
}

/// What a release consists of, by one kind of key.
struct Good {
    key: PublicKey,
    trust: TrustStore,
    image: Digest,
    pem: String,
    manifest: Vec<u8>,
    container: Vec<u8>,
    /// Ed25519 has none.
    detached: Vec<u8>,
}

impl Good {
    fn new(algorithm: Algorithm) -> Self {
        let key = PrivateKey::generate_from(algorithm, &mut ChaCha20Rng::from_seed([7; 32])).expect("a key");
        let image = ImageBuilder::new("fuzz", "1.1.0").payload_len(64).build();
        let manifest = sign_manifest(&image, &key, &ReleaseFacts::default()).expect("a manifest");
        let public = key.public_key().expect("a public key");
        let mut trust = TrustStore::new();
        trust.trust(public.clone()).expect("room for one key");
        let good = Self {
            container: container(&image, &manifest).expect("a container"),
            detached: sign_detached(&image, &key).unwrap_or_default(),
            pem: key.public_pem().expect("a public key in PEM"),
            key: public,
            image: Digest::of(&image),
            manifest,
            trust,
        };
        // A target that never gets to the verifier would find nothing.
        let signed = SignedManifest::decode(&good.manifest).expect("a signed manifest");
        assert!(signed.verify(&good.trust).is_ok(), "the manifest is verified");
        if let Ok(signature) = DetachedSignature::recognise(&good.detached) {
            assert!(good.key.verify_detached(&good.image, signature).is_ok(), "the signature is verified");
        }
        good
    }
}

fn good() -> &'static [Good; 2] {
    static GOOD: OnceLock<[Good; 2]> = OnceLock::new();
    GOOD.get_or_init(|| [Good::new(Algorithm::EcdsaP256), Good::new(Algorithm::Ed25519)])
}

fuzz_target!(|input: Input| {
    let [ecdsa, ed25519] = good();
    let good = if input.start & 1 == 0 { ecdsa } else { ed25519 };
    let start: &[u8] = match input.start >> 1 & 7 {
        0 => &good.manifest,
        1 => &good.container,
        2 => &good.detached,
        3 => good.pem.as_bytes(),
        _ => &[],
    };
    let mut bytes = start[..start.len().min(usize::from(input.keep))].to_vec();
    for (at, byte) in &input.changes {
        if let Some(place) = bytes.get_mut(usize::from(*at)) {
            *place = *byte;
        }
    }
    bytes.extend_from_slice(&input.tail);
    read(good, &bytes);
});

fn read(good: &Good, bytes: &[u8]) {
    match Envelope::parse(bytes) {
        Ok((_, length)) => assert!(length <= bytes.len()),
        Err(EnvelopeError::Incomplete { needed }) => assert!(needed > bytes.len() && needed <= 1056),
        Err(_) => {}
    }
    let _ = Proof::recognise(bytes);
    if let Ok(signed) = SignedManifest::decode(bytes) {
        assert!(signed.verify(&TrustStore::new()).is_err(), "nobody is trusted");
        if let Ok(authentic) = signed.verify(&good.trust) {
            assert_eq!(
                authentic.manifest().digest,
                good.image,
                "what a trusted key signed speaks of the image"
            );
        }
    }
    if let Ok(manifest) = Manifest::decode(bytes) {
        let mut buffer = [0; 512];
        assert_eq!(manifest.encode(&mut buffer), Ok(bytes), "one meaning, one spelling");
    }
    if let Ok(signature) = DetachedSignature::recognise(bytes) {
        assert!(good.key.verify_detached(&Digest([0; 32]), signature).is_err(), "it is of another image");
        let _ = good.key.verify_detached(&good.image, signature);
    }
    if let Ok(key) = PublicKey::from_spki(bytes)
        && let Ok(signature) = DetachedSignature::recognise(&good.detached)
        && key != good.key
    {
        assert!(key.verify_detached(&good.image, signature).is_err(), "another key has signed it");
    }
    let _ = inspect(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = public_key_from_pem(text);
    }
}
