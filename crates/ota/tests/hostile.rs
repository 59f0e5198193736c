//! Bytes from strangers: every parser gives an answer, and what it accepts has one spelling.

mod common;

use buoy_ota::container::{Envelope, EnvelopeError, Proof};
use buoy_ota::host::{PackageKind, inspect};
use buoy_ota::image::{ChipId, Digest};
use buoy_ota::journal::{Progress, Start};
use buoy_ota::ledger::Fact;
use buoy_ota::manifest::{HardwareRange, Manifest, SignedManifest};
use buoy_ota::otadata::Entry;
use buoy_ota::signature::PublicKey;
use buoy_ota::slots::Slot;
use buoy_ota::version::{Name, SecurityCounter, Version, precedence};
use common::World;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9.é-]{0,16}".prop_map(|text| Name::new(&text).unwrap())
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let names = (proptest::option::of(name()), proptest::option::of(name()), name(), name());
    let rare = (proptest::option::of(name()), any::<[Option<u16>; 2]>(), any::<Option<u8>>());
    let numbers = (any::<u64>(), any::<u32>(), any::<u16>(), any::<u32>(), any::<[u8; 32]>());
    (names, numbers, rare).prop_map(
        |(
            (vendor, class, project, version),
            (sequence, counter, chip, size, digest),
            (component, [lowest, highest], slot),
        )| Manifest {
            sequence,
            vendor,
            class,
            project,
            version: Version::new(version.as_str()).unwrap(),
            counter: SecurityCounter(counter),
            chip: ChipId(chip),
            size,
            digest: Digest(digest),
            component,
            hardware: HardwareRange { lowest, highest },
            slot,
        },
    )
}

proptest! {
    #[test]
    fn a_manifest_survives_the_way_out_and_in(manifest in manifest()) {
        let mut buffer = [0; 320];
        let bytes = manifest.encode(&mut buffer).unwrap();
        prop_assert_eq!(Manifest::decode(bytes), Ok(manifest));
    }

    #[test]
    fn a_changed_manifest_is_refused_or_has_another_meaning(manifest in manifest(), at: prop::sample::Index, bit in 0_u8..8) {
        let mut buffer = [0; 320];
        let mut bytes = manifest.encode(&mut buffer).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Manifest::decode(&bytes) {
            prop_assert_ne!(other, manifest);
            let mut again = [0; 320];
            prop_assert_eq!(other.encode(&mut again).unwrap(), &bytes[..], "one meaning, one spelling");
        }
    }

    #[test]
    fn any_bytes_pass_through_every_parser(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let _ = SignedManifest::decode(&bytes);
        let _ = Manifest::decode(&bytes);
        let _ = Envelope::parse(&bytes);
        let _ = Proof::recognise(&bytes);
        let _ = PublicKey::from_spki(&bytes);
        let _ = Entry::parse(&bytes);
        let _ = inspect(&bytes);
    }

    #[test]
    fn any_record_is_a_fact_or_nothing(record: [u8; 32]) {
        let _ = (Fact::parse(&record), Start::parse(&record), Progress::parse(&record));
    }

    #[test]
    fn a_container_header_with_a_good_start_never_crashes(tail in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [b"BUOYFW\x00\x01", &tail[..]].concat();
        match Envelope::parse(&bytes) {
            Err(EnvelopeError::Incomplete { needed }) => prop_assert!(needed > bytes.len() && needed <= 1056),
            Err(_) => {}
            Ok((_, len)) => prop_assert!(len <= bytes.len()),
        }
    }

    #[test]
    fn a_device_installs_nothing_from_a_stranger(bytes in proptest::collection::vec(any::<u8>(), 1..600), kind in 0_usize..3) {
        let start: &[u8] = [&b""[..], b"\xE9\x01\x02\x20", b"BUOYFW\x00\x01\x03\x00\x10\x00"][kind];
        let package = [start, &bytes].concat();
        STRANGE.with_borrow_mut(|world| {
            prop_assert!(world.install(Slot::Factory, &package, None).is_err());
            Ok(())
        })?;
    }

    #[test]
    fn precedence_is_an_order(versions in proptest::collection::vec("[v]?[0-9a-c.+-]{0,8}", 3)) {
        let [a, b, c] = [&versions[0], &versions[1], &versions[2]];
        prop_assert_eq!(precedence(a, b), precedence(b, a).reverse());
        if precedence(a, b).is_le() && precedence(b, c).is_le() {
            prop_assert!(precedence(a, c).is_le(), "{a} <= {b} <= {c}");
        }
    }

    #[test]
    fn a_flash_full_of_noise_in_state_and_otadata_still_starts_the_factory_image(seed in proptest::collection::vec(any::<u8>(), 64)) {
        let mut world = World::new();
        let noise: Vec<u8> = seed.iter().copied().cycle().take(0x7000).collect();
        world.flash.flash_externally(0x9000, &noise);
        prop_assert_eq!(world.boot().unwrap().slot(), Slot::Factory);
    }
}

thread_local! {
    static STRANGE: std::cell::RefCell<World> = std::cell::RefCell::new(World::new());
}

#[test]
fn a_signature_cut_short_is_of_no_known_kind() {
    assert_eq!(inspect(&[0x55; 511]).kind, PackageKind::Unknown);
    assert_eq!(inspect(&[0x55; 512]).kind, PackageKind::Signature);
}
