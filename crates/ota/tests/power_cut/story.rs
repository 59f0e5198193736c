//! What happens to a device: its releases, and what its operator and its environment do, step by step.

use buoy_ota::container::Proof;
use buoy_ota::device::{Device, Identity};
use buoy_ota::host::slot_contents;
use buoy_ota::ledger::Cause;
use buoy_ota::signature::{KeyId, TrustStore};
use buoy_ota::simflash::{Fault, SimFlash};
use buoy_ota::slots::{Layout, Slot};

/// How a release behaves when it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Temper {
    /// As it should.
    Good,
    /// It crashes, hangs or can't register.
    Crashes,
    /// It fails its own test.
    FailsItsTest,
    /// It is good, and tries to install another release before it is confirmed.
    InstallsTooEarly,
}

/// A signed image, and what the test knows of it.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) version: &'static str,
    pub(crate) counter: u32,
    pub(crate) image: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) container: Vec<u8>,
    /// From the release that runs at first.
    pub(crate) delta: Vec<u8>,
    pub(crate) temper: Temper,
    pub(crate) key: KeyId,
    /// Whether the device may ever start it.
    pub(crate) may_start: bool,
}

/// How a release comes to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivery {
    /// In one file with its manifest.
    Container,
    /// Of unknown length, and the manifest fetched afterwards.
    ImageThenManifest,
    /// As a delta from the image that runs at first.
    Delta,
    /// As a container, with more bytes than were announced.
    TooLong,
}

/// What goes wrong on the way, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// The device resets after so many bytes.
    ResetAt(u32),
    /// The manifest is that of the release that runs at first, the first time.
    WrongManifest,
    /// A bit of the image is wrong the first time.
    BitFlips,
    /// After so many bytes a bit of what is in the slot rots while the device is off.
    RotsAt(u32),
    /// After so many bytes the server has this other release at the same address, with another entity tag.
    OtherFrom(u32, usize),
    /// After the activation a bit of the image rots.
    RotsAfterwards,
    /// After the activation a part of the flash fails.
    FailsAfterwards(fn(&Story) -> Fault),
}

/// How the update ends that the operator ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Confirmed,
    RolledBack(Cause),
    /// Refused with that result of object 5, before anything was erased.
    RefusedAtOnce(u8),
    /// Refused with that result after it was downloaded.
    Refused(u8),
    /// Activated, and not started: its attempt can't be written down.
    NeverTried,
}

#[derive(Clone)]
pub(crate) enum Step {
    Install {
        release: usize,
        delivery: Delivery,
        trouble: Trouble,
        end: End,
    },
    /// The operator cancels the download after so many bytes.
    Cancel {
        release: usize,
        at: u32,
    },
    /// The whole release is downloaded and checked, and never activated.
    DownloadOnly {
        release: usize,
    },
    Revoke(KeyId),
    /// The device stores a setting.
    Store(u8),
    /// Something happens to the flash while the device is off.
    Damage(fn(&Story, &mut SimFlash)),
    Fault(fn(&Story) -> Fault),
    Mend,
    /// This release runs now.
    Runs(usize),
    /// The device knows no image that it may start.
    RunsNothing,
}

/// A device before, and what happens to it.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    pub(crate) trust: TrustStore,
    pub(crate) identity: Identity,
    pub(crate) settings: u32,
    pub(crate) releases: Vec<Release>,
    pub(crate) steps: Vec<Step>,
    pub(crate) flash: SimFlash,
    pub(crate) confirmed: Option<usize>,
}

impl Story {
    pub(crate) fn device<'a>(&'a self, trust: &'a TrustStore) -> Device<'a> {
        Device { layout: &self.layout, trust, identity: &self.identity }
    }

    /// What is in a slot when this release is in it.
    pub(crate) fn contents(&self, slot: Slot, release: &Release) -> Vec<u8> {
        let place = self.layout.slot(slot).unwrap();
        slot_contents(&place, &release.image, Proof::Manifest(&release.manifest)).unwrap()
    }

    /// The slot with the header and descriptor of this release, if there is one.
    pub(crate) fn slot_of(&self, flash: &SimFlash, release: usize) -> Option<Slot> {
        let image = &self.releases[release].image[..320];
        [Slot::Factory, Slot::Ota(0), Slot::Ota(1)].into_iter().find(|slot| {
            let start = self.layout.slot(*slot).unwrap().image.offset() as usize;
            flash.bytes()[start..].starts_with(image)
        })
    }
}
