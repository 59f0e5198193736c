//! Signatures go both ways between this crate and the `openssl` program.

mod common;

use std::path::Path;
use std::process::Command;

use buoy_ota::container::{Proof, ProofError};
use buoy_ota::host::{
    ImageBuilder, KeyFileError, PackageKind, PrivateKey, ReleaseFacts, SignError, VerifyError, container,
    inspect, public_key_from_pem, sign_detached, sign_manifest, verify,
};
use buoy_ota::manifest::SignedManifest;
use buoy_ota::signature::{Algorithm, KeyError, SignatureError};

/// Runs openssl in a folder; the arguments are split at spaces.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    let output = output.expect("these tests need the openssl program");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

struct Bench {
    folder: tempfile::TempDir,
    image: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let bench =
            Self { folder: tempfile::tempdir().unwrap(), image: ImageBuilder::new("demo", "1.2.3").build() };
        bench.write("firmware.bin", &bench.image);
        bench
    }

    fn run(&self, arguments: &str) {
        openssl(self.folder.path(), arguments);
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }
}

#[test]
fn the_release_commands_of_the_handbook_make_a_signature_that_the_device_accepts() {
    let bench = Bench::new();
    bench.run("req -x509 -newkey rsa:4096 -keyout key.pem -out cert.pem -nodes -days 30 -subj /CN=release");
    bench.run("dgst -sha256 -sign key.pem -out firmware.signature firmware.bin");
    let signature = bench.read("firmware.signature");

    assert_eq!(signature.len(), 512);
    verify(&bench.image, Some(&signature), &bench.text("cert.pem")).unwrap();
    // The padding is deterministic: both programs write the same bytes.
    let key = PrivateKey::from_pem(&bench.text("key.pem")).unwrap();
    assert_eq!(sign_detached(&bench.image, &key).unwrap(), signature);
    one_flipped_bit_anywhere_is_refused(&bench.image, &signature, &bench.text("cert.pem"));
}

#[test]
fn openssl_accepts_an_rsa_signature_of_ours_under_the_public_key_that_we_write() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out key.pem");
    let key = PrivateKey::from_pem(&bench.text("key.pem")).unwrap();

    bench.write("ours.pem", key.public_pem().unwrap().as_bytes());
    bench.write("private.pem", key.to_pem().unwrap().as_bytes());
    bench.write("signature", &sign_detached(&bench.image, &key).unwrap());

    bench.run("dgst -sha256 -verify ours.pem -signature signature firmware.bin");
    bench.run("pkey -in private.pem -check -noout");
    bench.run("pkey -in key.pem -pubout -out theirs.pem");
    assert_eq!(bench.text("theirs.pem"), bench.text("ours.pem"));
    bench.run("rsa -in key.pem -traditional -out pkcs1.pem");
    let again = PrivateKey::from_pem(&bench.text("pkcs1.pem")).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    let manifest = sign_manifest(&bench.image, &key, &ReleaseFacts::default()).unwrap();
    verify(&bench.image, Some(&manifest), &bench.text("ours.pem")).unwrap();
}

#[test]
fn ecdsa_signatures_go_both_ways() {
    let bench = Bench::new();
    bench.run("ecparam -name prime256v1 -genkey -out key.pem");
    bench.run("pkey -in key.pem -pubout -out public.pem");
    bench.run("dgst -sha256 -sign key.pem -out theirs firmware.bin");
    let key = PrivateKey::from_pem(&bench.text("key.pem")).unwrap();

    verify(&bench.image, Some(&bench.read("theirs")), &bench.text("public.pem")).unwrap();
    one_flipped_bit_anywhere_is_refused(&bench.image, &bench.read("theirs"), &bench.text("public.pem"));
    bench.write("ours", &sign_detached(&bench.image, &key).unwrap());
    bench.run("dgst -sha256 -verify public.pem -signature ours firmware.bin");
}

#[test]
fn ed25519_manifests_go_both_ways() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm ed25519 -out key.pem");
    bench.run("pkey -in key.pem -pubout -out public.pem");
    let key = PrivateKey::from_pem(&bench.text("key.pem")).unwrap();
    let ours = sign_manifest(&bench.image, &key, &ReleaseFacts::default()).unwrap();
    let (message, signature) = parts_of(&ours, &bench.image);

    bench.write("message", &message);
    bench.write("ours", &signature);
    bench.run("pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile ours");
    bench.run("pkeyutl -sign -inkey key.pem -rawin -in message -out theirs");
    // Ed25519 is deterministic.
    assert_eq!(bench.read("theirs"), signature);
    verify(&bench.image, Some(&ours), &bench.text("public.pem")).unwrap();
    one_flipped_bit_anywhere_is_refused(&bench.image, &ours, &bench.text("public.pem"));
    let refused = sign_detached(&bench.image, &key);
    assert_eq!(refused, Err(SignError::NotDetached(Algorithm::Ed25519)));
}

#[test]
fn new_keys_are_read_by_openssl_and_by_us() {
    let bench = Bench::new();
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = PrivateKey::generate(algorithm).unwrap();
        bench.write("key.pem", key.to_pem().unwrap().as_bytes());
        bench.run("pkey -in key.pem -pubout -out public.pem");

        assert_eq!(bench.text("public.pem"), key.public_pem().unwrap());
        let again = PrivateKey::from_pem(&bench.text("key.pem")).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_eq!(public_key_from_pem(&bench.text("public.pem")), key.public_key());
    }
}

#[test]
fn a_key_file_that_is_of_no_use_says_why() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out small.pem");
    bench.run("pkey -in small.pem -aes256 -passout pass:x -out locked.pem");
    bench.run("ecparam -name secp384r1 -genkey -noout -out p384.pem");
    let refusal = |name: &str| PrivateKey::from_pem(&bench.text(name)).unwrap_err();

    assert_eq!(refusal("small.pem"), KeyFileError::Key(KeyError::Unsupported));
    assert_eq!(refusal("locked.pem"), KeyFileError::Encrypted);
    assert_eq!(refusal("p384.pem"), KeyFileError::Damaged);
    assert_eq!(PrivateKey::from_pem("hello").unwrap_err(), KeyFileError::NotPem);
    let public = PrivateKey::generate(Algorithm::Ed25519).unwrap().public_pem().unwrap();
    assert_eq!(
        PrivateKey::from_pem(&public).unwrap_err(),
        KeyFileError::UnexpectedLabel("PUBLIC KEY".into())
    );
}

#[test]
fn a_container_carries_image_and_proof_and_says_so() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let image = ImageBuilder::new("demo", "1.2.3").counter(9).build();
    let manifest =
        sign_manifest(&image, &key, &ReleaseFacts { sequence: 4, ..ReleaseFacts::default() }).unwrap();
    let detached = sign_detached(&image, &key).unwrap();

    for proof in [&manifest, &detached] {
        let package = container(&image, proof).unwrap();
        verify(&package, None, &key.public_pem().unwrap()).unwrap();
        let seen = inspect(&package);
        assert_eq!(seen.kind, PackageKind::Container);
        assert_eq!(seen.version.as_deref(), Some("1.2.3"));
        assert_eq!((seen.counter, seen.chip.as_deref()), (Some(9), Some("esp32c3")));
        assert_eq!(seen.image_sound, Some(Ok(())));
        assert_eq!(seen.proof.unwrap().algorithm, Algorithm::EcdsaP256);
        assert_eq!(inspect(&package[..package.len() - 1]).kind, PackageKind::Container);
    }
    assert_eq!(inspect(&manifest).kind, PackageKind::Manifest);
    assert_eq!(inspect(&manifest).version.as_deref(), Some("1.2.3"));
    assert_eq!(inspect(&detached).kind, PackageKind::Signature);
    assert_eq!(inspect(&image).kind, PackageKind::Image);
    assert_eq!(inspect(&image).segments.len(), 2);
    assert_eq!(inspect(b"hello").kind, PackageKind::Unknown);
}

#[test]
fn another_key_than_the_trusted_one_counts_for_nothing() {
    let image = ImageBuilder::new("demo", "1.2.3").build();
    let [ours, theirs] =
        [Algorithm::Ed25519, Algorithm::Ed25519].map(|kind| PrivateKey::generate(kind).unwrap());
    let manifest = sign_manifest(&image, &theirs, &ReleaseFacts::default()).unwrap();

    let refused = verify(&image, Some(&manifest), &ours.public_pem().unwrap());

    assert_eq!(refused, Err(VerifyError::Proof(ProofError::Signature(SignatureError::UnknownKey))));
    assert_eq!(verify(&image, None, &ours.public_pem().unwrap()), Err(VerifyError::NoSignature));
}

fn one_flipped_bit_anywhere_is_refused(image: &[u8], signature: &[u8], key: &str) {
    for index in 0..signature.len() {
        let mut changed = signature.to_vec();
        changed[index] ^= 1 << (index % 8);
        assert!(verify(image, Some(&changed), key).is_err(), "bit of byte {index} of the signature");
    }
    for index in (0..image.len()).step_by(image.len() / 40) {
        let mut changed = image.to_vec();
        changed[index] ^= 1 << (index % 8);
        assert!(verify(&changed, Some(signature), key).is_err(), "bit of byte {index} of the image");
    }
    for len in [0, 1, signature.len() - 1] {
        assert!(verify(image, Some(&signature[..len]), key).is_err());
    }
    assert!(verify(image, Some(&[signature, &[0]].concat()), key).is_err());
}

/// What a manifest's signature covers, and the signature.
fn parts_of(manifest: &[u8], image: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let decoded = SignedManifest::decode(manifest).unwrap();
    assert!(matches!(Proof::recognise(manifest), Ok(Proof::Manifest(_))));
    let mut buffer = [0; 320];
    let payload = decoded.claimed().encode(&mut buffer).unwrap();
    let mut protected = [0; 64];
    let protected =
        buoy_ota::manifest::encode_protected(decoded.algorithm(), decoded.key_id(), &mut protected).unwrap();
    let mut message = [0; 512];
    let message = buoy_ota::manifest::encode_to_be_signed(protected, payload, &mut message).unwrap();
    assert_eq!(decoded.claimed().size as usize, image.len());
    (message.to_vec(), manifest[manifest.len() - 64..].to_vec())
}
