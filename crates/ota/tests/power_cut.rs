//! Cuts the power before, inside and after every flash operation of a whole update, and again during the recovery.
//!
//! The invariant (DESIGN, section 6): the device always starts an authentic image that is not older than the security
//! counter, never starts an unconfirmed image more than N times, and never loses a confirmed one. And it gets there: when
//! the power stays on, the update arrives.

mod common;

use buoy_ota::boot::{Attempts, BootReason, decide};
use buoy_ota::confirm::{self, UpdateOutcome};
use buoy_ota::container::Proof;
use buoy_ota::device::Device;
use buoy_ota::installer::{Installer, Request};
use buoy_ota::journal::Source;
use buoy_ota::simflash::{Cut, Moment, SimFlash};
use buoy_ota::slots::Slot;
use common::{CHUNK, Release, World, version_of};

/// How the new version behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Temper {
    Good,
    CrashesOnStart,
}

/// How the new version comes to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    Container,
    /// Of unknown length, and the manifest fetched afterwards.
    ImageThenManifest,
}

struct Story {
    world: World,
    old: Release,
    new: Release,
    temper: Temper,
    delivery: Delivery,
    /// The flash before the update.
    before: SimFlash,
}

/// What is known of a device after it has come to rest.
struct Life {
    starts_unconfirmed: u32,
    operations: u64,
    flash: SimFlash,
}

impl Story {
    /// A device that has been updated once before.
    fn new(temper: Temper, delivery: Delivery) -> Self {
        let mut world = World::new();
        let old = world.release("1.9.0", 2, 6000);
        let new = world.release("1.10.0", 3, 7100);
        world.update_to(Slot::Factory, &old);
        let before = world.flash.clone();
        Self { world, old, new, temper, delivery, before }
    }

    /// Devices whose ledger is so full that it changes sectors in the middle of the update, at different records.
    fn with_full_ledger(temper: Temper) -> Vec<Self> {
        let mut story = Self::new(temper, Delivery::Container);
        let mut found = Vec::new();
        let mut running = Slot::Ota(0);
        while found.len() < 2 {
            running = story.world.update_to(running, &story.old);
            story.before = story.world.flash.clone();
            if story.ledger_headers(&story.before)
                != story.ledger_headers(&story.play(&[], "without a cut").flash)
            {
                let world = story.world.clone();
                found.push(Self {
                    world,
                    old: story.old.clone(),
                    new: story.new.clone(),
                    before: story.before.clone(),
                    ..story
                });
            }
        }
        found
    }

    fn ledger_headers(&self, flash: &SimFlash) -> [Vec<u8>; 2] {
        let start = self.world.layout.ledger().offset() as usize;
        [start, start + 4096].map(|at| flash.bytes()[at..at + 32].to_vec())
    }

    /// Plays the update with these power cuts, checks the invariant at every start, and that it ends well.
    fn play(&self, cuts: &[Cut], label: &str) -> Life {
        let world = &self.world;
        let device = Device { layout: &world.layout, trust: &world.trust, identity: &world.identity };
        let mut cuts = cuts.iter();
        let mut life = Life { starts_unconfirmed: 0, operations: 0, flash: self.before.clone() };
        let mut confirmed_new = false;
        for _start in 0..20 {
            if life.flash.lost_power() || life.operations == 0 {
                life.flash.restore_power();
                if let Some(cut) = cuts.next() {
                    life.flash.plan_cut(*cut);
                }
            }
            life.operations = life.flash.counters().operations;
            let decision = match decide(&mut life.flash, &device, Attempts::DEFAULT) {
                Ok(decision) => decision,
                Err(error) => {
                    assert!(life.flash.lost_power(), "{label}: nothing was started: {error}");
                    continue;
                }
            };
            if life.flash.lost_power() {
                continue;
            }
            let version = version_of(&decision).to_owned();
            self.check_start(&life.flash, &decision.image, confirmed_new, label);
            if let BootReason::Trial { .. } = decision.reason {
                life.starts_unconfirmed += 1;
                let most = u32::from(Attempts::DEFAULT.get());
                assert!(life.starts_unconfirmed <= most, "{label}: started unconfirmed too often");
            }
            let running = decision.slot();
            let done = if version == self.new.version {
                if self.temper == Temper::CrashesOnStart {
                    continue;
                }
                let confirmed = confirm::confirm(&mut life.flash, &device, running);
                confirmed_new |= confirmed.is_ok();
                confirmed.is_ok() && confirm::mark_reported(&mut life.flash, &device).is_ok()
            } else {
                let tried = life.starts_unconfirmed > 0;
                if tried {
                    report(&mut life.flash, &device)
                } else {
                    self.run_old(&mut life.flash, &device, running)
                }
            };
            if done {
                life.operations = life.flash.counters().operations;
                self.check_end(&mut life.flash, &device, label);
                return life;
            }
            let known = life.flash.lost_power() || self.new_is_active(&mut life.flash, &device);
            assert!(known, "{label}: the update failed although the power stayed on");
        }
        panic!("{label}: the device never came to rest");
    }

    /// What the old version does first: fetch the update.
    fn run_old(&self, flash: &mut SimFlash, device: &Device<'_>, running: Slot) -> bool {
        let (package, package_len) = match self.delivery {
            Delivery::Container => (&self.new.container, Some(self.new.container.len() as u32)),
            Delivery::ImageThenManifest => (&self.new.image, None),
        };
        let source = Source::new(b"coap://host/fw", b"etag");
        let request = Request { source, package_len, proof: None };
        let update = || {
            let resumed = Installer::resume(flash, device, running, &request)?;
            let mut installer = match resumed {
                Some(installer) => installer,
                None => Installer::begin(flash, device, running, &request)?,
            };
            while (installer.next_offset() as usize) < package.len() {
                let at = installer.next_offset() as usize;
                let chunk = &package[at..package.len().min(at + CHUNK)];
                installer.accept(flash, device, at as u32, chunk)?;
            }
            if installer.needs_proof() {
                installer.accept_proof(flash, device, Proof::Manifest(&self.new.manifest))?;
            }
            installer.finish(flash, device)?.activate(flash, device)
        };
        let _outcome = { update }();
        false
    }

    fn new_is_active(&self, flash: &mut SimFlash, device: &Device<'_>) -> bool {
        matches!(confirm::outcome(flash, device), Ok(Some(UpdateOutcome::OnTrial { .. })))
    }

    fn check_start(
        &self,
        flash: &SimFlash,
        image: &buoy_ota::slots::AuthenticImage,
        confirmed_new: bool,
        label: &str,
    ) {
        let start = image.region().offset() as usize;
        let bytes = &flash.bytes()[start..start + image.info().file_len as usize];
        assert!(bytes == self.old.image || bytes == self.new.image, "{label}: started something unknown");
        if confirmed_new {
            assert!(bytes == self.new.image, "{label}: lost the confirmed image");
            assert!(image.counter().0 >= 3, "{label}: started below the security counter");
        }
    }

    fn check_end(&self, flash: &mut SimFlash, device: &Device<'_>, label: &str) {
        let operations = flash.counters().operations;
        let decision = decide(flash, device, Attempts::DEFAULT).unwrap();
        let expected = match self.temper {
            Temper::Good => self.new.version,
            Temper::CrashesOnStart => self.old.version,
        };
        assert_eq!(version_of(&decision), expected, "{label}");
        if self.temper == Temper::Good {
            assert_eq!(decision.reason, BootReason::Confirmed, "{label}");
        }
        decide(flash, device, Attempts::DEFAULT).unwrap();
        let later = flash.counters().operations;
        assert!(later <= operations + 2, "{label}: a device at rest keeps writing");
    }

    /// First and last operation of the update when nothing goes wrong.
    fn operations(&self) -> core::ops::Range<u64> {
        self.before.counters().operations..self.play(&[], "without a cut").operations
    }
}

/// What the old version does after the new one was given up; true once the server knows.
fn report(flash: &mut SimFlash, device: &Device<'_>) -> bool {
    match confirm::outcome(flash, device) {
        Ok(Some(UpdateOutcome::RolledBack { .. })) => confirm::mark_reported(flash, device).is_ok(),
        Ok(None) => true,
        _ => false,
    }
}

/// Every write unit of a record, some of a page, parts of an erasure, and chance.
fn moments(operation: u64) -> impl Iterator<Item = Moment> {
    let prefixes = [1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 17, 24, 33, 40, 48, 57, 63].map(Moment::Prefix);
    let chances = (1..=10).map(move |seed| Moment::RandomBits { seed: operation * 16 + seed });
    [Moment::Before, Moment::After].into_iter().chain(prefixes).chain(chances)
}

fn sweep(story: &Story) {
    let mut lives = 0;
    for operation in story.operations() {
        for moment in moments(operation) {
            let cut = Cut { operation, moment };
            story.play(&[cut], &format!("{:?} {:?} {cut:?}", story.temper, story.delivery));
            lives += 1;
        }
    }
    println!("{lives} lives of a device with one power cut");
}

#[test]
fn one_cut_anywhere_in_an_update_that_works_leaves_it_working() {
    sweep(&Story::new(Temper::Good, Delivery::Container));
}

#[test]
fn one_cut_anywhere_in_an_update_that_crashes_leaves_the_old_version_working() {
    sweep(&Story::new(Temper::CrashesOnStart, Delivery::Container));
}

#[test]
fn one_cut_anywhere_with_the_manifest_fetched_last_leaves_it_working() {
    sweep(&Story::new(Temper::Good, Delivery::ImageThenManifest));
}

#[test]
fn one_cut_anywhere_while_the_ledger_changes_sectors_loses_nothing() {
    for temper in [Temper::Good, Temper::CrashesOnStart] {
        Story::with_full_ledger(temper).iter().for_each(sweep);
    }
}

#[test]
fn a_second_cut_during_the_recovery_changes_nothing() {
    let mut stories = Story::with_full_ledger(Temper::Good);
    stories.extend(Story::with_full_ledger(Temper::CrashesOnStart));
    stories.push(Story::new(Temper::Good, Delivery::Container));
    stories.push(Story::new(Temper::Good, Delivery::ImageThenManifest));
    for story in stories {
        let mut lives = 0;
        for first in story.operations() {
            for distance in [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 21, 27, 34, 43] {
                let seed = first * 64 + distance;
                let moment = |seed: u64| match seed % 4 {
                    0 => Moment::Before,
                    1 => Moment::After,
                    2 => Moment::Prefix((seed / 4 % 9) as u32),
                    _ => Moment::RandomBits { seed },
                };
                let cuts = [
                    Cut { operation: first, moment: moment(seed) },
                    Cut { operation: first + distance, moment: moment(seed / 4 + seed) },
                ];
                story.play(&cuts, &format!("{:?} {:?} {cuts:?}", story.temper, story.delivery));
                lives += 1;
            }
        }
        println!("{lives} lives of a device with two power cuts");
    }
}
