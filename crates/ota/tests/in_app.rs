//! The boot decision of an application that ESP-IDF's boot loader has started.

mod common;

use buoy_ota::boot::{Attempts, BootReason};
use buoy_ota::confirm::{self, UpdateOutcome};
use buoy_ota::device::Device;
use buoy_ota::in_app::{self, Verdict};
use buoy_ota::ledger::Cause;
use buoy_ota::otadata::{Entry, EntryState, OtaData};
use buoy_ota::slots::Slot;
use common::{World, version_of};

/// What ESP-IDF's boot loader does (`bootloader_utility.c`): the highest usable entry, else factory. With roll-back enabled an image that did
/// not confirm itself in its first start is given up.
struct Loader {
    rolls_back: bool,
}

impl Loader {
    fn start(&self, world: &mut World) -> Slot {
        let region = world.layout.otadata();
        let mut otadata = OtaData::read(&mut world.flash, region).unwrap();
        if self.rolls_back {
            while let Some((half, entry)) =
                otadata.selected().filter(|(_, it)| it.state == EntryState::PendingVerify)
            {
                otadata
                    .write(&mut world.flash, region, half, Entry { state: EntryState::Aborted, ..entry })
                    .unwrap();
            }
        }
        let Some((half, entry)) = otadata.selected() else { return Slot::Factory };
        if self.rolls_back && entry.state == EntryState::New {
            let pending = Entry { state: EntryState::PendingVerify, ..entry };
            otadata.write(&mut world.flash, region, half, pending).unwrap();
        }
        Slot::Ota(entry.sequence.slot(world.layout.ota_count()).unwrap())
    }

    /// Starts until an image runs on. Gives its slot, its version, and why it runs.
    fn settle(&self, world: &mut World) -> (Slot, String, BootReason) {
        for _ in 0..4 {
            let running = self.start(world);
            let device = Device { layout: &world.layout, trust: &world.trust, identity: &world.identity };
            if let Verdict::Run(decision) =
                in_app::decide(&mut world.flash, &device, Attempts::DEFAULT, running).unwrap()
            {
                assert_eq!(decision.slot(), running);
                return (running, version_of(&decision).to_owned(), decision.reason);
            }
        }
        panic!("the chip restarts for ever");
    }
}

const LOADERS: [Loader; 2] = [Loader { rolls_back: false }, Loader { rolls_back: true }];

fn activate(world: &mut World, running: Slot, version: &'static str) {
    let release = world.release(version, 1, 3000);
    let verified = world.install(running, &release.container, None).unwrap();
    let device = Device { layout: &world.layout, trust: &world.trust, identity: &world.identity };
    verified.activate(&mut world.flash, &device).unwrap();
}

fn confirm(world: &mut World, running: Slot) {
    let device = Device { layout: &world.layout, trust: &world.trust, identity: &world.identity };
    confirm::confirm(&mut world.flash, &device, running).unwrap();
    confirm::mark_reported(&mut world.flash, &device).unwrap();
}

fn outcome(world: &mut World) -> Option<UpdateOutcome> {
    let device = Device { layout: &world.layout, trust: &world.trust, identity: &world.identity };
    confirm::outcome(&mut world.flash, &device).unwrap()
}

#[test]
fn an_update_is_tried_and_confirmed_under_another_boot_loader() {
    for loader in LOADERS {
        let mut world = World::new();
        assert_eq!(loader.settle(&mut world).0, Slot::Factory);
        activate(&mut world, Slot::Factory, "1.1.0");
        let (running, version, reason) = loader.settle(&mut world);
        assert_eq!((running, version.as_str()), (Slot::Ota(0), "1.1.0"));
        assert!(matches!(reason, BootReason::Trial { attempt: 1, .. }), "{reason:?}");
        confirm(&mut world, running);
        assert_eq!(loader.settle(&mut world), (Slot::Ota(0), "1.1.0".into(), BootReason::Confirmed));
    }
}

#[test]
fn an_image_that_never_confirms_itself_gives_way_to_the_last_good_one() {
    for loader in LOADERS {
        let mut world = World::new();
        activate(&mut world, Slot::Factory, "1.1.0");
        let (good, ..) = loader.settle(&mut world);
        confirm(&mut world, good);
        activate(&mut world, good, "2.0.0");
        let starts: Vec<_> = (0..5).map(|_| loader.settle(&mut world)).collect();
        let tried = starts.iter().filter(|(_, version, _)| version == "2.0.0").count();
        assert_eq!(tried, if loader.rolls_back { 1 } else { 3 });
        assert_eq!(starts.last().unwrap().1, "1.1.0");
        assert!(matches!(outcome(&mut world), Some(UpdateOutcome::RolledBack { .. })));
    }
}

#[test]
fn the_factory_image_comes_back_when_the_only_update_fails() {
    for loader in LOADERS {
        let mut world = World::new();
        activate(&mut world, Slot::Factory, "2.0.0");
        let last = (0..5).map(|_| loader.settle(&mut world)).last().unwrap();
        assert_eq!((last.0, last.1.as_str()), (Slot::Factory, "1.0.0"));
    }
}

#[test]
fn an_image_that_nobody_signed_does_not_run_on() {
    for loader in LOADERS {
        let mut world = World::new();
        activate(&mut world, Slot::Factory, "1.1.0");
        let (good, ..) = loader.settle(&mut world);
        confirm(&mut world, good);
        let place = world.layout.slot(good).unwrap();
        // Somebody has written one byte of the running image.
        world.flash.flash_externally(place.image.offset() + 0x400, &[0xA5]);
        let (running, version, _) = loader.settle(&mut world);
        assert_eq!((running, version.as_str()), (Slot::Factory, "1.0.0"));
        // It stays so.
        assert_eq!(loader.settle(&mut world).0, Slot::Factory);
    }
}

#[test]
fn a_choice_that_was_lost_in_otadata_is_made_again() {
    let loader = Loader { rolls_back: false };
    let mut world = World::new();
    activate(&mut world, Slot::Factory, "1.1.0");
    let (good, ..) = loader.settle(&mut world);
    confirm(&mut world, good);
    world.layout.otadata().erase_all(&mut world.flash).unwrap();
    assert_eq!(loader.start(&mut world), Slot::Factory, "the boot loader alone would go back");
    let (running, version, reason) = loader.settle(&mut world);
    assert_eq!((running, version.as_str(), reason), (good, "1.1.0", BootReason::Confirmed));
}

#[test]
fn what_the_boot_loader_refuses_to_start_is_given_up() {
    let loader = Loader { rolls_back: true };
    let mut world = World::new();
    activate(&mut world, Slot::Factory, "2.0.0");
    // It crashes before its own decision: the boot loader gives it up.
    assert_eq!(loader.start(&mut world), Slot::Ota(0));
    let (running, ..) = loader.settle(&mut world);
    assert_eq!(running, Slot::Factory);
    let Some(UpdateOutcome::RolledBack { cause, .. }) = outcome(&mut world) else { panic!("no outcome") };
    assert!(matches!(cause, Cause::SelfTestFailed | Cause::NeverConfirmed), "{cause:?}");
}
