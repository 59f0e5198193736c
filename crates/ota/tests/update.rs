//! The way of an update, with the power on: what is accepted, what is refused and why.

mod common;

use buoy_ota::boot::{BootError, BootReason};
use buoy_ota::confirm::{self, ConfirmError, Confirmation, UpdateOutcome};
use buoy_ota::container::{Proof, ProofError};
use buoy_ota::device::{Device, RuleError, VersionRule};
use buoy_ota::flash::SECTOR;
use buoy_ota::host::{ImageBuilder, PrivateKey, ReleaseFacts, container, sign_detached, sign_manifest};
use buoy_ota::image::{ChipId, ImageError};
use buoy_ota::installer::{InstallError, Installer, Request};
use buoy_ota::journal::{Journal, Source};
use buoy_ota::ledger::{Cause, Ledger};
use buoy_ota::otadata::{Entry, EntryState, Half, OtaData, Sequence};
use buoy_ota::partition::{PartitionTable, Role};
use buoy_ota::signature::{Algorithm, SignatureError};
use buoy_ota::slots::{Layout, LayoutError, Slot};
use buoy_ota::version::{Name, SecurityCounter};
use common::{World, release_by, version_of};

/// The device as the crate's functions want it; borrows the world's parts one by one, so that the flash stays free.
macro_rules! device {
    ($world:expr) => {
        &Device { layout: &$world.layout, trust: &$world.trust, identity: &$world.identity }
    };
}

#[test]
fn a_new_device_starts_its_factory_image_and_writes_nothing() {
    let mut world = World::new();

    let decision = world.boot().unwrap();

    assert_eq!((decision.slot(), decision.reason), (Slot::Factory, BootReason::Factory));
    assert_eq!(world.flash.counters().operations, 0);
}

#[test]
fn an_update_is_tried_confirmed_and_then_started_without_writing() {
    let mut world = World::new();
    let release = world.release("1.1.0", 2, 5000);

    let verified = world.install(Slot::Factory, &release.container, None).unwrap();
    assert_eq!(verified.image().info().descriptor.version.as_str(), "1.1.0");
    verified.activate(&mut world.flash, device!(world)).unwrap();

    let trial = world.boot().unwrap();
    assert!(matches!(trial.reason, BootReason::Trial { attempt: 1, .. }));
    let confirmation = confirm::confirm(&mut world.flash, device!(world), trial.slot()).unwrap();
    assert_eq!(confirmation, Confirmation::Confirmed { counter: SecurityCounter(2) });
    let outcome = confirm::outcome(&mut world.flash, device!(world)).unwrap();
    assert_eq!(outcome, Some(UpdateOutcome::Succeeded { slot: Slot::Ota(0) }));
    confirm::mark_reported(&mut world.flash, device!(world)).unwrap();
    assert_eq!(confirm::outcome(&mut world.flash, device!(world)).unwrap(), None);

    let operations = world.flash.counters().operations;
    assert_eq!(world.boot().unwrap().reason, BootReason::Confirmed);
    assert_eq!(world.flash.counters().operations, operations);
    let otadata = OtaData::read(&mut world.flash, world.layout.otadata()).unwrap();
    assert_eq!(otadata.selected().unwrap().1.state, EntryState::Valid);
}

#[test]
fn an_update_that_is_never_confirmed_is_started_three_times_and_then_rolled_back() {
    let mut world = World::new();
    let good = world.release("1.1.0", 2, 5000);
    let bad = world.release("2.0.0", 2, 5000);
    let running = world.update_to(Slot::Factory, &good);
    let verified = world.install(running, &bad.container, None).unwrap();
    verified.activate(&mut world.flash, device!(world)).unwrap();

    let starts: Vec<_> = (0..4).map(|_| world.boot().unwrap()).collect();

    assert!(starts[..3].iter().all(|start| version_of(start) == "2.0.0"));
    assert_eq!(version_of(&starts[3]), "1.1.0");
    let BootReason::RolledBack(given_up) = starts[3].reason else { panic!("{:?}", starts[3].reason) };
    assert_eq!(given_up.version.unwrap().as_str(), "2.0.0");
    assert_eq!(given_up.cause, Cause::NeverConfirmed);
    let outcome = confirm::outcome(&mut world.flash, device!(world)).unwrap().unwrap();
    assert_eq!(outcome.update_result(), Some(8));
    let otadata = OtaData::read(&mut world.flash, world.layout.otadata()).unwrap();
    assert_eq!(otadata.highest().unwrap(), Sequence::new(2).unwrap());
    assert_eq!(otadata.with_sequence(Sequence::new(2).unwrap()).unwrap().1.state, EntryState::Aborted);
    assert_eq!(otadata.selected().unwrap().1.sequence.get(), 1);
}

#[test]
fn an_image_that_fails_its_own_test_is_given_up_at_once() {
    let mut world = World::new();
    let release = world.release("1.1.0", 2, 3000);
    let verified = world.install(Slot::Factory, &release.container, None).unwrap();
    verified.activate(&mut world.flash, device!(world)).unwrap();
    let trial = world.boot().unwrap();

    confirm::reject(&mut world.flash, device!(world), trial.slot()).unwrap();

    let decision = world.boot().unwrap();
    assert_eq!((decision.slot(), decision.reason), (Slot::Factory, BootReason::FellBackToFactory(None)));
    let refused = confirm::confirm(&mut world.flash, device!(world), trial.slot());
    assert_eq!(refused, Err(ConfirmError::Rejected(Cause::SelfTestFailed)));
}

#[test]
fn a_detached_signature_may_come_before_or_after_the_image() {
    for algorithm in [Algorithm::Rsa4096, Algorithm::EcdsaP256] {
        let mut world = World::with_key(PrivateKey::generate(algorithm).unwrap());
        let image = ImageBuilder::new("demo", "1.1.0").counter(1).build();
        let signature = sign_detached(&image, &world.key).unwrap();

        world.install(Slot::Factory, &image, Some(&signature)).unwrap();

        let request = Request { source: Source::new(b"x", b""), package_len: None, proof: None };
        let mut installer =
            Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();
        installer.accept(&mut world.flash, device!(world), 0, &image).unwrap();
        assert!(installer.needs_proof());
        let proof = Proof::recognise(&signature).unwrap();
        installer.accept_proof(&mut world.flash, device!(world), proof).unwrap();
        let verified = installer.finish(&mut world.flash, device!(world)).unwrap();
        assert_eq!(verified.image().provenance().key_id(), world.key.public_key().unwrap().id());
        verified.activate(&mut world.flash, device!(world)).unwrap();
        assert_eq!(version_of(&world.boot().unwrap()), "1.1.0");
    }
}

#[test]
fn without_a_signature_nothing_is_installed_but_the_download_is_kept() {
    let mut world = World::new();
    let release = world.release("1.1.0", 2, 5000);

    let refused = world.install(Slot::Factory, &release.image, None).unwrap_err();
    assert_eq!((refused, refused.update_result()), (InstallError::ProofMissing, 5));

    let request = Request {
        source: Source::new(&release.image, b""),
        package_len: Some(release.image.len() as u32),
        proof: Some(Proof::Manifest(&release.manifest)),
    };
    let resumed =
        Installer::resume(&mut world.flash, device!(world), Slot::Factory, &request).unwrap().unwrap();
    assert!(resumed.is_complete());
    resumed.finish(&mut world.flash, device!(world)).unwrap();
}

#[test]
fn one_flipped_bit_anywhere_in_a_package_is_refused() {
    let mut world = World::new();
    let release = world.release("1.1.0", 2, 1000);
    for index in 0..release.container.len() {
        let mut package = release.container.clone();
        package[index] ^= 1 << (index % 8);

        let refused = world.install(Slot::Factory, &package, None).map(drop).unwrap_err();

        assert!([2, 4, 5, 6].contains(&refused.update_result()), "byte {index}: {refused}");
    }
    assert_eq!(world.boot().unwrap().reason, BootReason::Factory);
}

#[test]
fn a_bit_that_rots_after_the_check_is_found_at_the_next_start() {
    let mut world = World::new();
    let release = world.release("1.1.0", 2, 5000);
    let slot = world.update_to(Slot::Factory, &release);
    let image = world.layout.slot(slot).unwrap().image;
    let at = image.offset() + 3000;
    let before = world.flash.bytes()[at as usize];

    world.flash.flash_externally(at, &[before ^ 4]);
    // The factory image is below the confirmed counter: better nothing than an old hole.
    assert_eq!(world.boot(), Err(BootError::NothingToStart));

    world.flash.flash_externally(at, &[before]);
    assert_eq!(world.boot().unwrap().reason, BootReason::Confirmed);
}

#[test]
fn a_confirmed_image_that_rots_gives_way_to_the_one_before() {
    let mut world = World::new();
    let first = world.release("1.1.0", 1, 5000);
    let second = world.release("1.2.0", 1, 5000);
    let slot = world.update_to(Slot::Factory, &first);
    let slot = world.update_to(slot, &second);
    let at = world.layout.slot(slot).unwrap().image.offset() + 700;
    let before = world.flash.bytes()[at as usize];

    world.flash.flash_externally(at, &[before ^ 1]);

    let decision = world.boot().unwrap();
    assert_eq!((version_of(&decision), decision.reason), ("1.1.0", BootReason::Fallback));
}

#[test]
fn a_lower_security_counter_is_neither_installed_nor_started() {
    let mut world = World::new();
    let fixed = world.release("1.1.0", 5, 2000);
    let hole = world.release("9.9.9", 4, 2000);
    let running = world.update_to(Slot::Factory, &fixed);

    let refused = world.install(running, &hole.container, None).map(drop).unwrap_err();

    let too_low = RuleError::CounterTooLow { image: SecurityCounter(4), device: SecurityCounter(5) };
    assert_eq!((refused, refused.update_result()), (InstallError::Refused(too_low), 6));
    assert_eq!(Journal::open(&mut world.flash, world.layout.journal()).unwrap(), None);
}

#[test]
fn an_old_image_that_somebody_else_selects_is_not_started_below_the_counter() {
    let mut world = World::new();
    let old = world.release("1.1.0", 1, 2000);
    let new = world.release("1.2.0", 5, 2000);
    let slot = world.update_to(Slot::Factory, &old);
    world.update_to(slot, &new);
    let region = world.layout.otadata();
    let mut otadata = OtaData::read(&mut world.flash, region).unwrap();

    let entry = Entry::new(Sequence::new(3).unwrap(), EntryState::Valid);
    otadata.write(&mut world.flash, region, Half::First, entry).unwrap();

    let decision = world.boot().unwrap();
    assert_eq!(version_of(&decision), "1.2.0");
}

#[test]
fn a_choice_that_other_tools_wrote_to_otadata_is_put_on_trial() {
    let mut world = World::new();
    let first = world.release("1.1.0", 1, 2000);
    let second = world.release("1.2.0", 1, 2000);
    let slot = world.update_to(Slot::Factory, &first);
    world.install(slot, &second.container, None).unwrap();
    let region = world.layout.otadata();
    let mut otadata = OtaData::read(&mut world.flash, region).unwrap();

    let entry = Entry::new(Sequence::new(2).unwrap(), EntryState::Undefined);
    otadata.write(&mut world.flash, region, otadata.spare(), entry).unwrap();

    let decision = world.boot().unwrap();
    assert_eq!(version_of(&decision), "1.2.0");
    assert!(matches!(decision.reason, BootReason::Trial { attempt: 1, .. }));
}

#[test]
fn an_image_for_another_chip_project_or_class_is_refused_early() {
    let mut world = World::new();
    world.identity.project = Name::new("demo");
    world.identity.class = Name::new("lamp");
    let key = &world.key;
    let other_chip = ImageBuilder::new("demo", "1.1.0").chip(ChipId::ESP32).build();
    let other_project = ImageBuilder::new("else", "1.1.0").build();
    let own = ImageBuilder::new("demo", "1.1.0").build();
    let pack = |image: &[u8], facts: &ReleaseFacts| {
        container(image, &sign_manifest(image, key, facts).unwrap()).unwrap()
    };
    let plain = ReleaseFacts::default();
    let for_pumps = ReleaseFacts { class: Name::new("pump"), ..plain };
    let packages = [
        (pack(&other_chip, &plain), RuleError::OtherChip(ChipId::ESP32)),
        (pack(&other_project, &plain), RuleError::OtherProject(Name::new("else").unwrap())),
        (pack(&own, &for_pumps), RuleError::OtherClass(Name::new("pump").unwrap())),
    ];
    for (package, rule) in packages {
        let refused = world.install(Slot::Factory, &package, None).map(drop).unwrap_err();
        assert_eq!((refused, refused.update_result()), (InstallError::Refused(rule), 6));
    }
    // The manifest said it all: nothing was erased.
    assert_eq!(world.flash.counters().operations, 0);
}

#[test]
fn the_version_rule_of_the_device_is_kept() {
    let mut world = World::new();
    let offers = ["1.0.0", "0.9.0", "1.0.1"].map(|version| world.release(version, 1, 1000));
    let mut admitted = |rule| {
        world.identity.versions = rule;
        offers.each_ref().map(|offer| world.install(Slot::Factory, &offer.container, None).is_ok())
    };

    assert_eq!(admitted(VersionRule::Any), [true, true, true]);
    assert_eq!(admitted(VersionRule::NotOlder), [true, false, true]);
    assert_eq!(admitted(VersionRule::OnlyNewer), [false, false, true]);
}

#[test]
fn a_package_that_does_not_fit_is_refused_before_anything_is_erased() {
    let mut world = World::new();
    let large = world.release("1.1.0", 1, 5 * SECTOR as usize);

    let refused = world.install(Slot::Factory, &large.container, None).map(drop).unwrap_err();
    assert_eq!(refused.update_result(), 2);
    let refused = world.install(Slot::Factory, &large.image, None).map(drop).unwrap_err();
    assert_eq!(
        (refused, refused.update_result()),
        (InstallError::PackageTooLarge { capacity: 5 * SECTOR }, 2)
    );
    let request = Request { source: Source::new(b"x", b""), package_len: None, proof: None };
    let mut installer = Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();
    let refused = installer.accept(&mut world.flash, device!(world), 0, &large.image);
    assert_eq!(refused, Err(InstallError::PackageTooLarge { capacity: 5 * SECTOR }));
}

#[test]
fn bytes_that_come_twice_are_skipped_and_a_gap_is_named() {
    let mut world = World::new();
    let release = world.release("1.1.0", 1, 5000);
    let package = &release.container;
    let request = Request { source: Source::new(b"x", b""), package_len: None, proof: None };
    let mut installer = Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();

    installer.accept(&mut world.flash, device!(world), 0, &package[..700]).unwrap();
    installer.accept(&mut world.flash, device!(world), 0, &package[..600]).unwrap();
    let gap = installer.accept(&mut world.flash, device!(world), 800, &package[800..]);
    assert_eq!(gap, Err(InstallError::Gap { expected: 700 }));
    installer.accept(&mut world.flash, device!(world), 400, &package[400..]).unwrap();

    assert_eq!(installer.expected_len(), Some(package.len() as u32));
    assert!(installer.is_complete());
    let more = installer.accept(&mut world.flash, device!(world), package.len() as u32, &[0]);
    assert_eq!(more, Err(InstallError::PeerSentTooMuch));
    installer.finish(&mut world.flash, device!(world)).unwrap();
}

#[test]
fn a_download_goes_on_where_it_stopped_and_only_for_the_same_source() {
    let mut world = World::new();
    let release = world.release("1.1.0", 1, 12_000);
    let package = &release.container;
    let request = |tag: &'static [u8]| Request {
        source: Source::new(b"coap://host/fw", tag),
        package_len: Some(package.len() as u32),
        proof: None,
    };
    let mut installer =
        Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request(b"1")).unwrap();
    installer.accept(&mut world.flash, device!(world), 0, &package[..9000]).unwrap();
    drop(installer);

    let other = Installer::resume(&mut world.flash, device!(world), Slot::Factory, &request(b"2")).unwrap();
    assert!(other.is_none());
    let resumed = Installer::resume(&mut world.flash, device!(world), Slot::Factory, &request(b"1")).unwrap();
    let mut resumed = resumed.unwrap();
    let at = resumed.next_offset() as usize;
    assert!((8192..9000).contains(&at), "{at}");
    resumed.accept(&mut world.flash, device!(world), at as u32, &package[at..]).unwrap();
    resumed.finish(&mut world.flash, device!(world)).unwrap();
}

#[test]
fn a_prefix_that_rotted_is_fetched_again() {
    let mut world = World::new();
    let release = world.release("1.1.0", 1, 12_000);
    let package = &release.container;
    let request =
        Request { source: Source::new(b"x", b"1"), package_len: Some(package.len() as u32), proof: None };
    let mut installer = Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();
    installer.accept(&mut world.flash, device!(world), 0, &package[..9000]).unwrap();
    drop(installer);

    let at = world.layout.slot(Slot::Ota(0)).unwrap().image.offset() + 5000;
    world.flash.flash_externally(at, &[0x55]);

    let resumed = Installer::resume(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();
    let mut resumed = resumed.unwrap();
    assert_eq!(resumed.next_offset(), 0);
    resumed.accept(&mut world.flash, device!(world), 0, package).unwrap();
    resumed.finish(&mut world.flash, device!(world)).unwrap();
}

#[test]
fn an_abandoned_download_is_not_offered_again() {
    let mut world = World::new();
    let release = world.release("1.1.0", 1, 12_000);
    let request = Request { source: Source::new(b"x", b"1"), package_len: None, proof: None };
    let mut installer = Installer::begin(&mut world.flash, device!(world), Slot::Factory, &request).unwrap();
    installer.accept(&mut world.flash, device!(world), 0, &release.container[..9000]).unwrap();

    installer.abort(&mut world.flash, device!(world)).unwrap();

    assert!(Installer::resume(&mut world.flash, device!(world), Slot::Factory, &request).unwrap().is_none());
    assert_eq!(world.boot().unwrap().reason, BootReason::Factory);
}

#[test]
fn an_image_on_trial_may_not_overwrite_its_fallback() {
    let mut world = World::new();
    let first = world.release("1.1.0", 1, 2000);
    let second = world.release("1.2.0", 1, 2000);
    let slot = world.update_to(Slot::Factory, &first);
    let verified = world.install(slot, &second.container, None).unwrap();
    verified.activate(&mut world.flash, device!(world)).unwrap();
    let trial = world.boot().unwrap().slot();

    let refused = world.install(trial, &first.container, None).map(drop);

    assert_eq!(refused, Err(InstallError::RunningImageUnconfirmed));
}

#[test]
fn updates_alternate_between_the_slots_and_never_touch_the_running_one() {
    let mut world = World::new();
    let mut slot = Slot::Factory;
    for (version, expected) in [("1.1.0", 0), ("1.2.0", 1), ("1.3.0", 0), ("1.4.0", 1)] {
        let release = world.release(version, 1, 2000);
        slot = world.update_to(slot, &release);
        assert_eq!(slot, Slot::Ota(expected));
    }
    let ledger = Ledger::load(&mut world.flash, world.layout.ledger()).unwrap();
    // From factory, the latest confirmed image is the one to keep.
    assert_eq!(world.layout.next(Slot::Factory, &ledger), Some(Slot::Ota(0)));
}

#[test]
fn a_key_that_is_revoked_signs_nothing_any_more() {
    let mut world = World::new();
    let release = world.release("1.1.0", 1, 2000);
    let stranger = release_by(&PrivateKey::generate(Algorithm::Ed25519).unwrap(), "1.1.0", 1, 2000);
    let unknown = world.install(Slot::Factory, &stranger.container, None).map(drop);
    assert_eq!(unknown, Err(InstallError::Proof(ProofError::Signature(SignatureError::UnknownKey))));

    world.trust.revoke(world.key.public_key().unwrap().id());

    let revoked = world.install(Slot::Factory, &release.container, None).map(drop);
    assert_eq!(revoked, Err(InstallError::Proof(ProofError::Signature(SignatureError::RevokedKey))));
    assert_eq!(world.boot(), Err(BootError::NothingToStart));
    world.trust.trust(world.key.public_key().unwrap()).unwrap();
    assert_eq!(world.trust.trusted().count(), 0);
}

#[test]
fn what_is_no_firmware_is_an_unsupported_package() {
    let mut world = World::new();
    let refused = world.install(Slot::Factory, b"#!/bin/sh", None).map(drop).unwrap_err();
    assert_eq!((refused, refused.update_result()), (InstallError::UnknownPackage, 6));
    let damaged = [&[0xE9][..], &[0; 500]].concat();
    let refused = world.install(Slot::Factory, &damaged, None).map(drop).unwrap_err();
    assert_eq!((refused, refused.update_result()), (InstallError::Image(ImageError::SegmentCount(0)), 5));
}

#[test]
fn an_installer_fits_a_small_device() {
    assert!(size_of::<Installer>() <= 2560, "{} bytes", size_of::<Installer>());
}

#[test]
fn the_standard_table_carries_updates_and_a_table_with_gaps_does_not() {
    let table = PartitionTable::standard_4mb();
    let layout = Layout::from_table(&table).unwrap();
    assert_eq!(layout.ota_slots().collect::<Vec<_>>(), [Slot::Ota(0), Slot::Ota(1)]);
    assert_eq!(layout.slot(Slot::Ota(1)).unwrap().image.len(), 0x13_F000);

    let without = |role| {
        let rest: Vec<_> = table.iter().filter(|partition| partition.role != role).copied().collect();
        Layout::from_table(&PartitionTable::build(&rest, 0x40_0000).unwrap())
    };
    assert_eq!(without(Role::Ota(0)), Err(LayoutError::BadSlots));
    assert_eq!(without(Role::OtaData), Err(LayoutError::NoOtaData));
    assert_eq!(without(Role::BuoyState), Err(LayoutError::NoState));
    assert!(without(Role::Factory).is_ok());
}
