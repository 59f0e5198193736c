//! Deltas: made, applied in pieces of any size, resumed, refused, and never trusted.

mod common;

use buoy_ota::container::{Proof, ProofError};
use buoy_ota::delta::DeltaError;
use buoy_ota::device::Device;
use buoy_ota::host::{ImageBuilder, ReleaseFacts, apply_delta, delta, delta_header, sign_manifest, verify};
use buoy_ota::image::ImageError;
use buoy_ota::installer::{InstallError, Installer, Request};
use buoy_ota::journal::Source;
use buoy_ota::manifest::ManifestError;
use buoy_ota::signature::SignatureError;
use buoy_ota::slots::Slot;
use common::{World, version_of};
use proptest::prelude::*;

macro_rules! device {
    ($world:expr) => {
        &Device { layout: &$world.layout, trust: &$world.trust, identity: &$world.identity }
    };
}

/// A program of which a build changes some bytes, and puts a new function into the middle.
fn payload(build: u8, inserted: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..9000_usize).map(|at| (at * at / 11 % 253) as u8).collect();
    for at in (usize::from(build)..bytes.len()).step_by(701) {
        bytes[at] ^= build;
    }
    let function: Vec<u8> = (0..inserted).map(|at| (at * 7) as u8 ^ build).collect();
    bytes.splice(4000..4000, function);
    bytes
}

struct Fixture {
    world: World,
    old: Vec<u8>,
    new: Vec<u8>,
    manifest: Vec<u8>,
    delta: Vec<u8>,
}

/// A device that runs 1.1.0, and the way to 1.2.0.
fn fixture() -> Fixture {
    let mut world = World::new();
    let image =
        |version, payload: &[u8]| ImageBuilder::new("demo", version).counter(1).payload(payload).build();
    let old = image("1.1.0", &payload(1, 0));
    let new = image("1.2.0", &payload(2, 500));
    let sign = |image: &[u8]| sign_manifest(image, &world.key, &ReleaseFacts::default()).unwrap();
    let (old_manifest, manifest) = (sign(&old), sign(&new));
    let delta = delta(&old, &new, &manifest).unwrap();
    let release = common::Release {
        version: "1.1.0",
        container: buoy_ota::host::container(&old, &old_manifest).unwrap(),
        image: old.clone(),
        manifest: old_manifest,
    };
    assert_eq!(world.update_to(Slot::Factory, &release), RUNNING);
    Fixture { world, old, new, manifest, delta }
}

const RUNNING: Slot = Slot::Ota(0);

#[test]
fn a_delta_is_small_and_makes_the_new_image_on_the_host() {
    let Fixture { old, new, manifest, delta, .. } = fixture();

    assert!(delta.len() < new.len() / 4, "{} bytes for {}", delta.len(), new.len());
    assert_eq!(apply_delta(&old, &delta).unwrap(), new);
    assert_eq!(apply_delta(&new, &delta), Err(DeltaError::OtherBase));
    assert_eq!(delta_header(&delta).unwrap().base_len as usize, old.len());
    assert_eq!(delta_header(&new), None);
    let back = buoy_ota::host::delta(&new, &old, &manifest).unwrap();
    assert_eq!(apply_delta(&new, &back).unwrap(), old);
}

#[test]
fn a_device_builds_the_new_image_and_tries_it() {
    let Fixture { mut world, new, delta, .. } = fixture();

    let verified = world.install(RUNNING, &delta, None).unwrap();

    let at = verified.image().region().offset() as usize;
    assert_eq!(&world.flash.bytes()[at..at + new.len()], new);
    verified.activate(&mut world.flash, device!(world)).unwrap();
    assert_eq!(version_of(&world.boot().unwrap()), "1.2.0");
}

#[test]
fn the_pieces_in_which_a_delta_comes_do_not_matter() {
    for size in [1, 2, 7, 63, 64, 65, 1024, 100_000] {
        let Fixture { mut world, delta, .. } = fixture();
        let request = Request { source: Source::new(b"x", b""), package_len: None, proof: None };
        let mut installer = Installer::begin(&mut world.flash, device!(world), RUNNING, &request).unwrap();
        for (index, piece) in delta.chunks(size).enumerate() {
            assert_eq!(installer.next_offset() as usize, index * size);
            installer.accept(&mut world.flash, device!(world), installer.next_offset(), piece).unwrap();
        }
        assert!(installer.is_complete());
        installer.finish(&mut world.flash, device!(world)).unwrap();
    }
}

#[test]
fn a_delta_goes_on_where_the_last_whole_sector_ended() {
    let Fixture { mut world, delta, .. } = fixture();
    let len = delta.len() as u32;
    let request = Request { source: Source::new(b"x", b"1"), package_len: Some(len), proof: None };
    // From where the envelope is there.
    let envelope_end = delta.len() - delta_header(&delta).unwrap().stream_len as usize;
    for stop in (envelope_end..delta.len()).step_by(97) {
        let mut installer = Installer::begin(&mut world.flash, device!(world), RUNNING, &request).unwrap();
        installer.accept(&mut world.flash, device!(world), 0, &delta[..stop]).unwrap();
        let made = installer.image_bytes();
        drop(installer);

        let resumed = Installer::resume(&mut world.flash, device!(world), RUNNING, &request).unwrap();
        let mut resumed = resumed.expect("the journal knows it");
        assert_eq!(resumed.image_bytes(), made / 4096 * 4096, "stopped after {stop} bytes");
        let at = resumed.next_offset() as usize;
        assert!(at <= stop);
        resumed.accept(&mut world.flash, device!(world), at as u32, &delta[at..]).unwrap();
        resumed.finish(&mut world.flash, device!(world)).unwrap();
    }
}

#[test]
fn a_delta_for_another_image_is_refused_before_anything_is_erased() {
    let Fixture { mut world, new, old, manifest, .. } = fixture();
    let other = delta(&new, &new, &manifest).unwrap();
    let before = world.flash.counters().operations;

    let refused = world.install(RUNNING, &other, None).map(drop).unwrap_err();

    assert_eq!((refused, refused.update_result()), (InstallError::Delta(DeltaError::OtherBase), 6));
    assert_eq!(world.flash.counters().operations, before);
    // The whole image is the way out.
    let whole = buoy_ota::host::container(&new, &manifest).unwrap();
    world.install(RUNNING, &whole, None).unwrap();
    assert_ne!(old, new);
}

#[test]
fn one_flipped_bit_anywhere_in_a_delta_never_makes_another_image() {
    let Fixture { mut world, new, delta, .. } = fixture();
    for index in (0..delta.len()).step_by(3) {
        let mut package = delta.clone();
        package[index] ^= 1 << (index % 8);

        match world.install(RUNNING, &package, None) {
            Err(refused) => {
                assert!([2, 4, 5, 6].contains(&refused.update_result()), "byte {index}: {refused}");
            }
            // Another way to the same image.
            Ok(verified) => {
                let at = verified.image().region().offset() as usize;
                assert_eq!(&world.flash.bytes()[at..at + new.len()], new, "byte {index}");
            }
        }
    }
    assert_eq!(version_of(&world.boot().unwrap()), "1.1.0");
}

#[test]
fn what_a_delta_makes_is_verified_by_the_signature_of_the_new_image() {
    let Fixture { mut world, old, new, manifest, .. } = fixture();
    // Sound, and of the same length: only the signature tells.
    let forged = ImageBuilder::new("demo", "1.2.0").counter(1).payload(&payload(3, 500)).build();
    assert_eq!(forged.len(), new.len());
    let package = delta(&old, &forged, &manifest).unwrap();

    let refused = world.install(RUNNING, &package, None).map(drop);

    assert_eq!(refused, Err(InstallError::Proof(ProofError::Manifest(ManifestError::OtherImage))));
}

#[test]
fn a_server_can_verify_the_manifest_of_a_delta_without_its_image() {
    let Fixture { world, delta, .. } = fixture();
    verify(&delta, None, &world.key.public_pem().unwrap()).unwrap();
    let stranger = World::new();
    let refused = verify(&delta, None, &stranger.key.public_pem().unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), ProofError::Signature(SignatureError::UnknownKey).to_string());
}

#[test]
fn no_delta_is_made_of_what_is_no_image() {
    let Fixture { old, manifest, .. } = fixture();
    let refused = delta(&old, b"no image", &manifest).unwrap_err();
    assert_eq!(refused, buoy_ota::host::SignError::Image(ImageError::NotAnImage));
}

thread_local! {
    static FIXTURE: std::cell::RefCell<Fixture> = std::cell::RefCell::new(fixture());
}

proptest! {
    #[test]
    fn no_instructions_lead_out_of_the_images(stream in proptest::collection::vec(any::<u8>(), 1..400), cut in 0_usize..64) {
        FIXTURE.with_borrow_mut(|Fixture { world, old, delta, .. }| {
            let mut header = delta_header(delta).unwrap();
            header.stream_len = stream.len() as u32;
            let envelope_len = delta.len() - 64 - delta_header(delta).unwrap().stream_len as usize;
            let package = [&header.to_bytes()[..], &delta[64..64 + envelope_len], &stream].concat();
            prop_assert!(apply_delta(old, &package).is_err());
            let request = Request { source: Source::new(b"x", b""), package_len: None, proof: None };
            let mut installer = Installer::begin(&mut world.flash, device!(world), RUNNING, &request).unwrap();
            let (front, _) = package.split_at(package.len() - cut.min(stream.len()));
            let taken = installer.accept(&mut world.flash, device!(world), 0, front);
            prop_assert!(taken.is_err() || installer.finish(&mut world.flash, device!(world)).is_err());
            Ok(())
        })?;
    }
}

#[test]
fn a_signature_beside_a_delta_is_no_proof() {
    let Fixture { mut world, delta, manifest, .. } = fixture();
    let proof = Some(Proof::Manifest(&manifest));
    let request = Request { source: Source::new(b"x", b""), package_len: None, proof };
    let mut installer = Installer::begin(&mut world.flash, device!(world), RUNNING, &request).unwrap();
    installer.accept(&mut world.flash, device!(world), 0, &delta).unwrap();
    assert!(!installer.needs_proof(), "a delta brings its own");
    installer.finish(&mut world.flash, device!(world)).unwrap();
}

#[test]
fn images_that_repeat_themselves_take_no_longer() {
    // As `buoy fw build` makes them.
    let image = |version: &str| {
        let filler = format!("buoy-sim {version}\n");
        let payload: Vec<u8> = filler.bytes().cycle().take(65_536).collect();
        ImageBuilder::new("buoy-sim", version).payload(&payload).build()
    };
    let world = World::new();
    let (old, new) = (image("1.2.0"), image("1.5.0"));
    let manifest = sign_manifest(&new, &world.key, &ReleaseFacts::default()).unwrap();

    let delta = delta(&old, &new, &manifest).unwrap();

    assert!(delta.len() < new.len() / 2, "{} bytes", delta.len());
    assert_eq!(apply_delta(&old, &delta).unwrap(), new);
}
