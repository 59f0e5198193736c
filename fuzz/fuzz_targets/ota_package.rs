//! What comes around an image: containers, manifests, detached signatures, keys.
#![no_main]

use buoy_ota::container::{Envelope, EnvelopeError, Proof};
use buoy_ota::host::{inspect, public_key_from_pem};
use buoy_ota::manifest::{Manifest, SignedManifest};
use buoy_ota::signature::{DetachedSignature, PublicKey, TrustStore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Envelope::parse(bytes) {
        Ok((_, length)) => assert!(length <= bytes.len()),
        Err(EnvelopeError::Incomplete { needed }) => assert!(needed > bytes.len() && needed <= 1056),
        Err(_) => {}
    }
    let _ = Proof::recognise(bytes);
    if let Ok(signed) = SignedManifest::decode(bytes) {
        assert!(signed.verify(&TrustStore::new()).is_err(), "nobody is trusted");
    }
    if let Ok(manifest) = Manifest::decode(bytes) {
        let mut buffer = [0; 512];
        assert_eq!(manifest.encode(&mut buffer), Ok(bytes), "one meaning, one spelling");
    }
    if let (Ok(key), Ok(signature)) = (PublicKey::from_spki(bytes), DetachedSignature::recognise(bytes)) {
        assert!(key.verify_detached(&buoy_ota::image::Digest([0; 32]), signature).is_err());
    }
    let _ = inspect(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = public_key_from_pem(text);
    }
});
