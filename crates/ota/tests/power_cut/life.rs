//! The life of a device from one start to the next, and what must be true in it at every moment.
//!
//! The invariant (DESIGN, section 6): the device always starts an authentic image that is not older than the security
//! counter, never starts an unconfirmed image more than N times, and never loses a confirmed one. And it gets there: when
//! the power stays on, the story comes to its end.

use buoy_ota::boot::{Attempts, BootDecision, BootReason, decide};
use buoy_ota::confirm::{self, UpdateOutcome};
use buoy_ota::container::Proof;
use buoy_ota::device::Device;
use buoy_ota::installer::{InstallError, Installer, Request, VerifiedImage};
use buoy_ota::journal::Source;
use buoy_ota::signature::{KeyId, TrustStore};
use buoy_ota::simflash::SimFlash;
use buoy_ota::slots::Slot;
use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};

use crate::story::{Delivery, End, Release, Step, Story, Temper, Trouble};

/// What was broken of the invariant.
pub(crate) type Violation = String;

const SECTOR: u32 = 4096;
/// Bytes that come at once.
const CHUNK: usize = 1024;
/// A life that takes more starts than this never ends.
const STARTS_MAX: usize = 60;

/// What others know of the device, which no power cut changes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Model {
    pub(crate) step: usize,
    /// Releases that were confirmed, in order.
    confirmed: Vec<usize>,
    /// A release whose confirmation was cut off: it may have happened.
    maybe: Option<usize>,
    /// The highest counter that was confirmed.
    floor: u32,
    /// The release of this step may have been activated.
    activating: bool,
    /// Starts of an unconfirmed image since then.
    starts: u32,
    /// Bytes of the image that are in the slot and in the journal.
    progress: u32,
    /// The trouble of this step has happened.
    troubled: bool,
    damaged: bool,
    revoked: Vec<KeyId>,
    /// The setting that is stored, and one that may be.
    setting: (u8, u8),
    /// How often an unconfirmed image may be started. With many cuts there are more attempts: each start counts, however short, and cuts alone
    /// must not use up those of a good image.
    pub(crate) attempts: Attempts,
    /// What the installer did wrong.
    harm: Option<&'static str>,
}

/// What comes after a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Another start.
    Start,
    /// Nothing: the device is at rest, and the story at its end.
    Rest,
}

impl Model {
    pub(crate) fn new(story: &Story) -> Self {
        let floor = story.confirmed.map_or(0, |release| story.releases[release].counter);
        Self {
            step: 0,
            confirmed: story.confirmed.into_iter().collect(),
            maybe: None,
            floor,
            activating: false,
            starts: 0,
            progress: 0,
            troubled: false,
            damaged: false,
            revoked: Vec::new(),
            setting: (0, 0),
            attempts: Attempts::DEFAULT,
            harm: None,
        }
    }

    fn advance(&mut self) {
        self.step += 1;
        (self.activating, self.starts, self.progress, self.troubled) = (false, 0, 0, false);
    }

    fn confirm(&mut self, story: &Story, release: usize) {
        self.maybe = None;
        self.confirmed.push(release);
        self.floor = self.floor.max(story.releases[release].counter);
    }
}

/// One start after the other, without a cut, until the device is at rest. `session` gets each before it happens.
pub(crate) fn live(
    story: &Story,
    flash: &mut SimFlash,
    model: &mut Model,
    mut session: impl FnMut(&SimFlash, &Model),
) -> Result<(), Violation> {
    for _start in 0..STARTS_MAX {
        session(flash, model);
        if start(story, flash, model)? == Next::Rest {
            return at_rest(story, flash, model);
        }
    }
    Err(format!("the device never comes to rest; it is at step {}", model.step))
}

/// One start of the device: everything until the next reset, or until the power is gone.
pub(crate) fn start(story: &Story, flash: &mut SimFlash, model: &mut Model) -> Result<Next, Violation> {
    let next = Start { story, flash, model }.run()?;
    confirmed_is_intact(story, flash, model)?;
    Ok(next)
}

struct Start<'a> {
    story: &'a Story,
    flash: &'a mut SimFlash,
    model: &'a mut Model,
}

impl Start<'_> {
    fn run(&mut self) -> Result<Next, Violation> {
        let mut trust = self.story.trust.clone();
        self.model.revoked.iter().for_each(|key| trust.revoke(*key));
        let device = self.story.device(&trust);
        let decision = match decide(self.flash, &device, self.model.attempts) {
            _ if self.flash.lost_power() => return Ok(Next::Start),
            Ok(decision) => decision,
            Err(_) if matches!(self.step(), Some(Step::RunsNothing)) => {
                self.model.advance();
                return self.steps_without_image();
            }
            Err(error) => return Err(format!("nothing is started: {error}")),
        };
        let running = self.check_start(&decision)?;
        if self.settings_are_lost()? {
            return Err("a setting is lost".into());
        }
        if let BootReason::Trial { .. } = decision.reason
            && self.try_out(&device, running, decision.slot())? == Next::Start
        {
            return Ok(Next::Start);
        }
        if self.report(&device, running)? == Next::Start {
            return Ok(Next::Start);
        }
        self.follow(&device, &trust, running, decision.slot())
    }

    fn step(&self) -> Option<&Step> {
        self.story.steps.get(self.model.step)
    }

    /// Which release it is, if it may be started now.
    fn check_start(&mut self, decision: &BootDecision) -> Result<usize, Violation> {
        let story = self.story;
        let at = decision.image.region().offset() as usize;
        let bytes = &self.flash.bytes()[at..at + decision.image.info().file_len as usize];
        let found = story.releases.iter().position(|release| release.image == bytes && release.may_start);
        let running = found.ok_or("something is started that is not authentic or not for this device")?;
        let release = &story.releases[running];
        let version = release.version;
        if self.model.revoked.contains(&release.key) {
            return Err(format!("{version} is started, whose key was revoked"));
        }
        if release.counter < self.model.floor {
            return Err(format!("{version} is started, which is below the security counter"));
        }
        let latest = self.model.confirmed.last().copied();
        match decision.reason {
            BootReason::Trial { .. } => {
                self.model.starts += 1;
                let most = u32::from(self.model.attempts.get());
                if !self.model.activating {
                    return Err(format!("{version} is tried, which nobody has activated"));
                }
                if self.model.starts > most {
                    return Err(format!("{version} is started unconfirmed more than {most} times"));
                }
                return Ok(running);
            }
            _ if self.model.maybe == Some(running) => self.model.confirm(story, running),
            _ => self.model.maybe = None,
        }
        let known = decision.slot() == Slot::Factory || self.model.confirmed.contains(&running);
        if !known {
            return Err(format!("{version} is started for good, and was never confirmed"));
        }
        let is_latest = self.model.confirmed.last() == Some(&running) || (latest.is_none() && known);
        if !is_latest && !self.model.damaged {
            return Err(format!("{version} is started, and a later image was confirmed"));
        }
        Ok(running)
    }

    /// What an image does that is on trial.
    fn try_out(&mut self, device: &Device<'_>, running: usize, slot: Slot) -> Result<Next, Violation> {
        let temper = self.story.releases[running].temper;
        match temper {
            Temper::Crashes => return Ok(Next::Start),
            Temper::FailsItsTest => {
                let rejected = confirm::reject(self.flash, device, slot);
                if self.flash.lost_power() {
                    return Ok(Next::Start);
                }
                rejected.map_err(|error| format!("an image can't be given up: {error}"))?;
                // It registers all the same, before it is reset.
                return match confirm::confirm(self.flash, device, slot) {
                    Ok(_) => Err("an image is confirmed that failed its own test".into()),
                    Err(_) => Ok(Next::Start),
                };
            }
            Temper::InstallsTooEarly => {
                if let Ok(_verified) = self.install(device, running, Delivery::Container, Trouble::None, slot)
                    && !self.flash.lost_power()
                {
                    return Err("an image on trial installs another one".into());
                }
                if self.flash.lost_power() {
                    return Ok(Next::Start);
                }
            }
            Temper::Good => {}
        }
        self.model.maybe = Some(running);
        let confirmed = confirm::confirm(self.flash, device, slot);
        match confirmed {
            Ok(_) => self.model.confirm(self.story, running),
            Err(_) if self.flash.lost_power() => {}
            Err(error) => return Err(format!("an image can't be confirmed: {error}")),
        }
        Ok(if self.flash.lost_power() { Next::Start } else { Next::Rest })
    }

    /// Tells the server how the update ended.
    fn report(&mut self, device: &Device<'_>, running: usize) -> Result<Next, Violation> {
        let Ok(outcome) = confirm::outcome(self.flash, device) else { return Ok(Next::Start) };
        let Some(outcome) = outcome else { return Ok(Next::Rest) };
        if let (Some(Step::Install { release, end, trouble, .. }), true) =
            (self.step(), self.model.activating)
        {
            let trouble = *trouble;
            let (release, end) = (self.offered(*release, trouble), *end);
            let is_right = match (outcome, end) {
                (UpdateOutcome::Succeeded { .. }, End::Confirmed) => running == release,
                (UpdateOutcome::RolledBack { cause, .. }, End::RolledBack(expected)) => {
                    cause == expected && running != release
                }
                (UpdateOutcome::OnTrial { .. }, End::NeverTried) => true,
                // A cut came before the activation, and the image was downloaded anew.
                (UpdateOutcome::Succeeded { .. }, End::RolledBack(_)) if running == release => {
                    matches!(trouble, Trouble::RotsAfterwards)
                }
                // Nobody has been told how the update before ended, and this one was not activated after all.
                (UpdateOutcome::Succeeded { .. }, _) => {
                    self.model.confirmed.last() == Some(&running) && running != release
                }
                _ => false,
            };
            if !is_right {
                return Err(format!("the update ends with {outcome:?}, and should with {end:?}"));
            }
            if matches!(outcome, UpdateOutcome::RolledBack { .. }) || running == release {
                self.model.advance();
            }
        } else if let UpdateOutcome::OnTrial { .. } = outcome
            && !self.model.damaged
        {
            return Err("an image is on trial that is neither tried nor given up".into());
        }
        let _told_again = confirm::mark_reported(self.flash, device);
        Ok(if self.flash.lost_power() { Next::Start } else { Next::Rest })
    }

    /// Does what the operator, or fate, has in mind.
    fn follow(
        &mut self,
        device: &Device<'_>,
        trust: &TrustStore,
        running: usize,
        slot: Slot,
    ) -> Result<Next, Violation> {
        while let Some(step) = self.step().cloned() {
            let next = match step {
                Step::Install { release, delivery, trouble, end } => {
                    self.update(device, (release, delivery, trouble, end), slot)?
                }
                Step::Cancel { release, at } => self.cancel(device, release, at, slot)?,
                Step::DownloadOnly { release } => self.download_only(device, release, slot)?,
                Step::Revoke(key) => {
                    self.model.revoked.push(key);
                    debug_assert!(trust.trusted().any(|trusted| trusted == key));
                    self.model.advance();
                    Next::Start
                }
                Step::Store(value) => self.store(value)?,
                Step::Damage(damage) => {
                    damage(self.story, self.flash);
                    self.model.damaged = true;
                    self.model.advance();
                    Next::Start
                }
                Step::Fault(fault) => {
                    self.flash.add_fault(fault(self.story));
                    self.model.damaged = true;
                    self.model.advance();
                    Next::Start
                }
                Step::Mend => {
                    self.flash.clear_faults();
                    self.model.advance();
                    Next::Start
                }
                Step::Runs(expected) if expected == running => {
                    self.model.advance();
                    Next::Rest
                }
                Step::Runs(expected) => {
                    let version = |release: usize| self.story.releases[release].version;
                    return Err(format!("{} runs, and {} should", version(running), version(expected)));
                }
                Step::RunsNothing => return Err("an image runs, and none should".into()),
            };
            if next == Next::Start || self.flash.lost_power() {
                return Ok(Next::Start);
            }
        }
        Ok(Next::Rest)
    }

    /// A device that starts nothing is repaired by its environment alone.
    fn steps_without_image(&mut self) -> Result<Next, Violation> {
        match self.step().cloned() {
            None => Ok(Next::Rest),
            Some(Step::Damage(damage)) => {
                damage(self.story, self.flash);
                self.model.advance();
                Ok(Next::Start)
            }
            Some(Step::Mend) => {
                self.flash.clear_faults();
                self.model.advance();
                Ok(Next::Start)
            }
            Some(_) => Err("the device is dead".into()),
        }
    }

    fn update(
        &mut self,
        device: &Device<'_>,
        (release, delivery, trouble, end): (usize, Delivery, Trouble, End),
        slot: Slot,
    ) -> Result<Next, Violation> {
        if end == End::NeverTried && self.model.troubled {
            self.model.advance();
            return Ok(Next::Rest);
        }
        let before = self.flash.counters().operations;
        let installed = self.install(device, release, delivery, trouble, slot);
        if self.flash.lost_power() {
            return Ok(Next::Start);
        }
        let verified = match (installed, end) {
            (Ok(Some(verified)), End::Confirmed | End::RolledBack(_) | End::NeverTried) => verified,
            (Ok(Some(_)), _) => return Err("a release is accepted that must be refused".into()),
            (Ok(None), _) => return Ok(Next::Start),
            (Err(error), End::Refused(code)) if error.update_result() == code => {
                self.model.advance();
                return Ok(Next::Rest);
            }
            (Err(error), End::RefusedAtOnce(code)) if error.update_result() == code => {
                if self.flash.counters().operations != before {
                    return Err("a release is refused only after something was erased".into());
                }
                self.model.advance();
                return Ok(Next::Rest);
            }
            (Err(error), _)
                if matches!(trouble, Trouble::BitFlips | Trouble::WrongManifest) && !self.model.troubled =>
            {
                if error.update_result() != 5 {
                    return Err(format!("a wrong byte is reported as {error}"));
                }
                self.model.troubled = true;
                self.model.progress = 0;
                return Ok(Next::Start);
            }
            (Err(error), _) => return Err(format!("the update fails although the power stays on: {error}")),
        };
        let at = verified.image().region().offset() as usize;
        let wanted = &self.story.releases[self.offered(release, trouble)].image;
        if !self.flash.bytes()[at..].starts_with(wanted) {
            return Err("an image is called verified, and the flash has another one".into());
        }
        (self.model.activating, self.model.starts) = (true, 0);
        let place = verified.image().slot();
        let activated = verified.activate(self.flash, device);
        // The trouble comes while the device is off, however that came.
        match trouble {
            Trouble::RotsAfterwards if !self.model.troubled => {
                self.rot(place);
                self.model.troubled = true;
            }
            Trouble::FailsAfterwards(fault) => {
                self.flash.add_fault(fault(self.story));
                self.model.troubled = true;
                self.model.damaged = end == End::NeverTried;
            }
            _ => {}
        }
        match activated {
            Err(error) if !self.flash.lost_power() => {
                Err(format!("a verified image can't be activated: {error}"))
            }
            _ => Ok(Next::Start),
        }
    }

    /// What the server has at the address now.
    fn offered(&self, release: usize, trouble: Trouble) -> usize {
        match trouble {
            Trouble::OtherFrom(_, other) if self.model.troubled => other,
            _ => release,
        }
    }

    /// Downloads and checks a release; `None` if the device resets on the way.
    fn install(
        &mut self,
        device: &Device<'_>,
        release: usize,
        delivery: Delivery,
        trouble: Trouble,
        running: Slot,
    ) -> Result<Option<VerifiedImage>, InstallError> {
        let offered = self.offered(release, trouble);
        let release = &self.story.releases[offered];
        let Some(installer) = self.download(device, (release, offered), delivery, trouble, running, None)?
        else {
            return Ok(None);
        };
        installer.finish(self.flash, device).map(Some)
    }

    fn download(
        &mut self,
        device: &Device<'_>,
        (release, number): (&Release, usize),
        delivery: Delivery,
        trouble: Trouble,
        running: Slot,
        stop: Option<u32>,
    ) -> Result<Option<Installer>, InstallError> {
        let mut package = match delivery {
            Delivery::Container | Delivery::TooLong => release.container.clone(),
            Delivery::ImageThenManifest => release.image.clone(),
            Delivery::Delta => release.delta.clone(),
        };
        let announced = u32::try_from(package.len()).unwrap();
        if delivery == Delivery::TooLong {
            package.extend([0; 40]);
        }
        if matches!(trouble, Trouble::BitFlips) && !self.model.troubled {
            let last = package.len() - 100;
            package[last] ^= 4;
        }
        let package_len = matches!(delivery, Delivery::Container | Delivery::Delta).then_some(announced);
        let source = Source::new(b"coap://host/fw", &[u8::try_from(number).unwrap()]);
        let request = Request { source, package_len, proof: None };
        let mut installer = match Installer::resume(self.flash, device, running, &request)? {
            Some(installer) => installer,
            None => Installer::begin(self.flash, device, running, &request)?,
        };
        self.check_resumption(device, &installer);
        if installer.slot() == running {
            self.model.harm = Some("the slot of the running image is written");
        }
        while (installer.next_offset() as usize) < package.len()
            && stop.is_none_or(|at| installer.next_offset() < at)
        {
            let at = installer.next_offset();
            let end = package.len().min(at as usize + CHUNK);
            installer.accept(self.flash, device, at, &package[at as usize..end])?;
            if installer.next_offset() == at {
                self.model.harm = Some("bytes are passed over");
                return Ok(None);
            }
            let image_bytes = installer.image_bytes();
            self.model.progress = self.model.progress.max(image_bytes / SECTOR * SECTOR);
            if self.strikes(trouble, installer.next_offset(), installer.slot()) {
                return Ok(None);
            }
        }
        if installer.needs_proof() && stop.is_none() {
            let is_wrong = matches!(trouble, Trouble::WrongManifest) && !self.model.troubled;
            let release = if is_wrong { &self.story.releases[1] } else { release };
            installer.accept_proof(self.flash, device, Proof::Manifest(&release.manifest))?;
        }
        Ok(Some(installer))
    }

    /// A download goes on at the last whole sector, unless what is there is not what it was.
    fn check_resumption(&mut self, device: &Device<'_>, installer: &Installer) {
        let has = installer.image_bytes() / SECTOR * SECTOR;
        let journal = device.layout.journal().offset();
        if has < self.model.progress && !self.model.troubled && !self.flash.is_unstable(journal) {
            self.model.harm = Some("a download begins anew, and most of it was there");
        } else {
            self.model.progress = has;
        }
    }

    fn strikes(&mut self, trouble: Trouble, offset: u32, slot: Slot) -> bool {
        let at = match trouble {
            Trouble::ResetAt(at) | Trouble::RotsAt(at) | Trouble::OtherFrom(at, _) => at,
            _ => return false,
        };
        if self.model.troubled || offset < at {
            return false;
        }
        if let Trouble::RotsAt(_) = trouble {
            self.rot(slot);
        }
        self.model.troubled = true;
        true
    }

    fn rot(&mut self, slot: Slot) {
        let place = self.story.layout.slot(slot).unwrap().image.offset() + 350;
        let byte = self.flash.bytes()[place as usize];
        self.flash.flash_externally(place, &[byte ^ 8]);
    }

    fn cancel(
        &mut self,
        device: &Device<'_>,
        release: usize,
        at: u32,
        slot: Slot,
    ) -> Result<Next, Violation> {
        let wanted = (&self.story.releases[release], release);
        let downloaded = self.download(device, wanted, Delivery::Container, Trouble::None, slot, Some(at));
        if self.flash.lost_power() {
            return Ok(Next::Start);
        }
        let installer = downloaded.map_err(|error| format!("a download fails: {error}"))?;
        // Whatever the cut leaves of it, nobody wants it any more.
        self.model.progress = 0;
        let aborted = installer.ok_or("a download stops")?.abort(self.flash, device);
        match aborted {
            _ if self.flash.lost_power() => {}
            Ok(()) => self.model.advance(),
            Err(error) => return Err(format!("a download can't be cancelled: {error}")),
        }
        Ok(Next::Rest)
    }

    fn download_only(&mut self, device: &Device<'_>, release: usize, slot: Slot) -> Result<Next, Violation> {
        let installed = self.install(device, release, Delivery::Container, Trouble::None, slot);
        match installed {
            _ if self.flash.lost_power() => {}
            Ok(_) => self.model.advance(),
            Err(error) => return Err(format!("a download fails: {error}")),
        }
        Ok(Next::Rest)
    }

    /// Settings are in a partition of their own, one record after the other.
    fn store(&mut self, value: u8) -> Result<Next, Violation> {
        self.model.setting.1 = value;
        let mut record = [0xFF; 8];
        record[..2].copy_from_slice(&[value, !value]);
        let mut at = self.story.settings;
        while self.flash.bytes()[at as usize..at as usize + 8] != [0xFF; 8] {
            at += 8;
        }
        let written = self.flash.write(at, &record);
        match written {
            _ if self.flash.lost_power() => {}
            Ok(()) => {
                self.model.setting.0 = value;
                self.model.advance();
            }
            Err(error) => return Err(format!("a setting can't be stored: {error}")),
        }
        Ok(Next::Rest)
    }

    fn settings_are_lost(&mut self) -> Result<bool, Violation> {
        let mut bytes = [0; 256];
        self.flash.read(self.story.settings, &mut bytes).map_err(|error| error.to_string())?;
        let records = bytes.chunks(8).filter(|record| record[0] == !record[1]);
        let last = records.map(|record| record[0]).next_back().unwrap_or(0);
        Ok(last != self.model.setting.0 && last != self.model.setting.1)
    }
}

/// No power cut and no download may touch the image that was confirmed last, nor what else is on the flash.
fn confirmed_is_intact(story: &Story, flash: &SimFlash, model: &Model) -> Result<(), Violation> {
    if let Some(harm) = model.harm {
        return Err(harm.into());
    }
    let Some(confirmed) = model.confirmed.last().filter(|_| !model.damaged) else { return Ok(()) };
    let release = &story.releases[*confirmed];
    let is_there = [Slot::Factory, Slot::Ota(0), Slot::Ota(1)].into_iter().any(|slot| {
        let place = story.layout.slot(slot).unwrap();
        let start = place.image.offset() as usize;
        let envelope = place.envelope.offset() as usize;
        flash.bytes()[start..].starts_with(&release.image)
            && flash.bytes()[envelope..]
                .windows(release.manifest.len())
                .take(17)
                .any(|it| it == release.manifest)
    });
    is_there.then_some(()).ok_or_else(|| format!("the confirmed image {} is overwritten", release.version))
}

/// A device at rest does not wear its flash out.
fn at_rest(story: &Story, flash: &mut SimFlash, model: &Model) -> Result<(), Violation> {
    let mut trust = story.trust.clone();
    model.revoked.iter().for_each(|key| trust.revoke(*key));
    let device = story.device(&trust);
    let before = flash.counters().operations;
    for _start in 0..6 {
        let _decision = decide(flash, &device, Attempts::DEFAULT);
    }
    // Each half of otadata may be written once, when it comes to light that its erasure was cut.
    let written = flash.counters().operations - before;
    if written <= 4 || model.damaged { Ok(()) } else { Err("a device at rest keeps writing".into()) }
}
