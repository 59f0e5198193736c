//! Cuts the power before, inside and after every flash operation of a whole update, and again during the recovery.
//!
//! The invariant (DESIGN, section 6): the device always starts an authentic image that is not older than the security
//! counter, never starts an unconfirmed image more than N times, and never loses a confirmed one. And it gets there: when
//! the power stays on, the update arrives.

mod common;

use buoy_ota::boot::{Attempts, BootReason, decide};
use buoy_ota::confirm::{self, UpdateOutcome};
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

struct Story {
    world: World,
    old: Release,
    new: Release,
    temper: Temper,
    /// How many confirmed updates came before: fills the ledger, so that the update makes it change sectors.
    before: SimFlash,
}

/// What is known of a device after it has come to rest.
struct Life {
    starts_unconfirmed: u32,
    operations: u64,
}

impl Story {
    fn new(temper: Temper, ledger_records: usize) -> Self {
        let mut world = World::new();
        let old = world.release("1.9.0", 2, 6000);
        let new = world.release("1.10.0", 3, 7100);
        let mut slot = Slot::Factory;
        // Each update appends four records; the ledger's sector holds 127.
        for _ in 0..=(ledger_records / 4) {
            slot = world.update_to(slot, &old);
        }
        let before = world.flash.clone();
        Self {
            world,
            old,
            new,
            temper,
            before,
        }
    }

    /// Plays the update with these power cuts, checks the invariant at every start, and that it ends well.
    fn play(&self, cuts: &[Cut], label: &str) -> Life {
        let world = &self.world;
        let device = Device {
            layout: &world.layout,
            trust: &world.trust,
            identity: &world.identity,
        };
        let mut flash = self.before.clone();
        let mut cuts = cuts.iter();
        let mut life = Life {
            starts_unconfirmed: 0,
            operations: 0,
        };
        let mut confirmed_new = false;
        for _start in 0..20 {
            if flash.lost_power() || life.operations == 0 {
                flash.restore_power();
                if let Some(cut) = cuts.next() {
                    flash.plan_cut(*cut);
                }
            }
            life.operations = flash.counters().operations;
            let decision = match decide(&mut flash, &device, Attempts::DEFAULT) {
                Ok(decision) => decision,
                Err(error) => {
                    assert!(flash.lost_power(), "{label}: nothing was started: {error}");
                    continue;
                }
            };
            if flash.lost_power() {
                continue;
            }
            let version = version_of(&decision).to_owned();
            self.check_start(&flash, &decision.image, confirmed_new, label);
            if let BootReason::Trial { .. } = decision.reason {
                life.starts_unconfirmed += 1;
                let most = u32::from(Attempts::DEFAULT.get());
                assert!(
                    life.starts_unconfirmed <= most,
                    "{label}: started unconfirmed too often"
                );
            }
            let running = decision.slot();
            let done = if version == self.new.version {
                if self.temper == Temper::CrashesOnStart {
                    continue;
                }
                let confirmed = confirm::confirm(&mut flash, &device, running);
                confirmed_new |= confirmed.is_ok();
                confirmed.is_ok() && confirm::mark_reported(&mut flash, &device).is_ok()
            } else {
                let tried = life.starts_unconfirmed > 0;
                if tried {
                    report(&mut flash, &device)
                } else {
                    self.run_old(&mut flash, &device, running)
                }
            };
            if done {
                life.operations = flash.counters().operations;
                self.check_end(&mut flash, &device, label);
                return life;
            }
            let known = flash.lost_power() || self.new_is_active(&mut flash, &device);
            assert!(known, "{label}: the update failed although the power stayed on");
        }
        panic!("{label}: the device never came to rest");
    }

    /// What the old version does first: fetch the update.
    fn run_old(&self, flash: &mut SimFlash, device: &Device<'_>, running: Slot) -> bool {
        let package = &self.new.container;
        let request = Request {
            source: Source::new(b"coap://host/fw", b"etag"),
            package_len: Some(package.len() as u32),
            proof: None,
        };
        let update = || {
            let resumed = Installer::resume(flash, device, running, &request)?;
            let mut installer = match resumed {
                Some(installer) => installer,
                None => Installer::begin(flash, device, running, &request)?,
            };
            while !installer.is_complete() {
                let at = installer.next_offset() as usize;
                let chunk = &package[at..package.len().min(at + CHUNK)];
                installer.accept(flash, device, at as u32, chunk)?;
            }
            installer.finish(flash, device)?.activate(flash, device)
        };
        let _outcome = { update }();
        false
    }

    fn new_is_active(&self, flash: &mut SimFlash, device: &Device<'_>) -> bool {
        matches!(
            confirm::outcome(flash, device),
            Ok(Some(UpdateOutcome::OnTrial { .. }))
        )
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
        assert!(
            bytes == self.old.image || bytes == self.new.image,
            "{label}: started something unknown"
        );
        if confirmed_new {
            assert!(bytes == self.new.image, "{label}: lost the confirmed image");
            assert!(
                image.counter().0 >= 3,
                "{label}: started below the security counter"
            );
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
    let prefixes = [1, 2, 3, 4, 5, 6, 7, 8, 17, 40, 63].map(Moment::Prefix);
    let chances = [1, 2, 3, 4].map(|seed| Moment::RandomBits {
        seed: operation * 4 + seed,
    });
    [Moment::Before, Moment::After]
        .into_iter()
        .chain(prefixes)
        .chain(chances)
}

fn sweep(temper: Temper, ledger_records: usize) {
    let story = Story::new(temper, ledger_records);
    let mut lives = 0;
    for operation in story.operations() {
        for moment in moments(operation) {
            let cut = Cut { operation, moment };
            story.play(&[cut], &format!("{temper:?} {cut:?}"));
            lives += 1;
        }
    }
    println!("{lives} lives of a device with one power cut");
}

#[test]
fn one_cut_anywhere_in_an_update_that_works_leaves_it_working() {
    sweep(Temper::Good, 4);
}

#[test]
fn one_cut_anywhere_in_an_update_that_crashes_leaves_the_old_version_working() {
    sweep(Temper::CrashesOnStart, 4);
}

#[test]
fn one_cut_anywhere_while_the_ledger_changes_sectors_loses_nothing() {
    sweep(Temper::Good, 122);
    sweep(Temper::CrashesOnStart, 118);
}

#[test]
fn a_second_cut_during_the_recovery_changes_nothing() {
    for (temper, records) in [(Temper::Good, 4), (Temper::CrashesOnStart, 122)] {
        let story = Story::new(temper, records);
        let mut lives = 0;
        for first in story.operations() {
            for distance in [1, 2, 3, 5, 8, 13, 21, 34] {
                let seed = first * 64 + distance;
                let moment = |seed: u64| match seed % 4 {
                    0 => Moment::Before,
                    1 => Moment::After,
                    2 => Moment::Prefix((seed / 4 % 9) as u32),
                    _ => Moment::RandomBits { seed },
                };
                let cuts = [
                    Cut {
                        operation: first,
                        moment: moment(seed),
                    },
                    Cut {
                        operation: first + distance,
                        moment: moment(seed / 4 + seed),
                    },
                ];
                story.play(&cuts, &format!("{temper:?} {cuts:?}"));
                lives += 1;
            }
        }
        println!("{lives} lives of a device with two power cuts");
    }
}
