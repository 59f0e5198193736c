//! What to start at a reset.
//!
//! The first choice is the last activation; then the confirmed images, latest first; then factory. Each is authenticated
//! again and must not be below the device's security counter. An unconfirmed image is started at most
//! [`Attempts`] times, and each start is written to the [ledger](crate::ledger) *before* it happens: whatever the image
//! does, hang and power cut included, uses the attempt up.
//!
//! Otadata follows the ledger (PENDING_VERIFY, VALID, ABORTED), so that ESP-IDF's tools and boot loader see what they
//! know; a choice that they wrote with a later sequence is taken over and put on trial.
//!
//! A device without a factory image tries its slots on the first start. Such a device should be confirmed in production:
//! an image that stays unconfirmed is not started again when its attempts are used up, even if there is no other.

use core::fmt::{self, Write};

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::write_number;
use crate::device::{Device, admit_counter};
use crate::flash::FlashFault;
use crate::image::AppDescriptor;
use crate::ledger::{Cause, Fact, Fingerprint, Ledger, Standing};
use crate::otadata::{Entry, EntryState, OtaData, Sequence};
use crate::safeguard::{Safeguard, off, on};
use crate::slots::{AuthenticImage, Slot, SlotError, authenticate, claimed_descriptor};
use crate::version::{SecurityCounter, Version};

/// How often an unconfirmed image may be started: 1 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempts(u8);

/// The image to start, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootDecision {
    /// The image.
    pub image: AuthenticImage,
    /// Why.
    pub reason: BootReason,
}

/// Why an image is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootReason {
    /// It is the latest choice and confirmed.
    Confirmed,
    /// It is on trial.
    Trial {
        /// Which start this is; 1 for the first.
        attempt: u8,
        /// How many there are.
        of: Attempts,
    },
    /// A newer image has just been given up, and this confirmed one takes its place.
    RolledBack(GivenUp),
    /// No update was ever activated.
    Factory,
    /// No slot holds a confirmed image that may be started.
    FellBackToFactory(Option<GivenUp>),
    /// The latest choice cannot be started (any more); this confirmed image takes its place.
    Fallback,
}

/// An image that has just been given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// Where it was.
    pub slot: Slot,
    /// What it called itself, if that could be read.
    pub version: Option<Version>,
    /// Why.
    pub cause: Cause,
}

/// Why nothing is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootError {
    /// No slot holds an image that may be started: the device needs a service technician.
    NothingToStart,
    /// The flash cannot be read.
    Storage(FlashFault),
}

/// Chooses the image to start, counts its attempt, and brings otadata up to date.
///
/// # Errors
/// [`BootError`]. Reset and try again: a flash that failed once may work the next time.
pub fn decide<F: NorFlash>(
    flash: &mut F,
    device: &Device<'_>,
    attempts: Attempts,
) -> Result<BootDecision, BootError> {
    let mut boot = Boot {
        ledger: Ledger::load(flash, device.layout.ledger())?,
        otadata: OtaData::read(flash, device.layout.otadata())?,
        flash,
        device,
        attempts,
        given_up: None,
    };
    let decision = boot.choose()?;
    boot.bring_otadata_up_to_date(&decision);
    Ok(decision)
}

/// One run of the decision.
struct Boot<'a, 'd, F> {
    flash: &'a mut F,
    device: &'a Device<'d>,
    attempts: Attempts,
    ledger: Ledger,
    otadata: OtaData,
    given_up: Option<GivenUp>,
}

/// What the last activation asks for.
struct Wanted {
    slot: Slot,
    number: u8,
    sequence: Sequence,
    by: By,
}

/// Who made a choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The installer: the ledger knows which image was activated.
    Activation,
    /// Somebody who wrote otadata, or nobody: whatever image is in the slot.
    Others,
}

impl<F: NorFlash> Boot<'_, '_, F> {
    #[inline(never)]
    fn choose(&mut self) -> Result<BootDecision, BootError> {
        let wanted = self.wanted();
        let first = match &wanted {
            Some(wanted) => self.try_wanted(wanted)?,
            None => None,
        };
        if let Some(decision) = first {
            return Ok(decision);
        }
        if let Some(image) = self.latest_confirmed()? {
            let reason = self.given_up.map_or(BootReason::Fallback, BootReason::RolledBack);
            return Ok(BootDecision { image, reason });
        }
        if let Some(image) = self.startable(Slot::Factory)? {
            let untouched = wanted.is_none() && self.ledger.latest().is_none();
            let reason =
                if untouched { BootReason::Factory } else { BootReason::FellBackToFactory(self.given_up) };
            return Ok(BootDecision { image, reason });
        }
        self.first_start_without_factory()?.ok_or(BootError::NothingToStart)
    }

    /// The last activation: the ledger's, unless otadata was written by somebody else since.
    fn wanted(&self) -> Option<Wanted> {
        let known = self.ledger.latest();
        let selected = self.otadata.selected().map(|(_, entry)| entry.sequence);
        let foreign = selected.filter(|sequence| {
            known.is_none_or(|(_, facts)| *sequence > facts.sequence || off(Safeguard::LedgerOutranksOtadata))
        });
        match (foreign, known) {
            (Some(sequence), _) => {
                let number = sequence.slot(self.device.layout.ota_count())?;
                Some(Wanted { slot: Slot::Ota(number), number, sequence, by: By::Others })
            }
            (None, Some((Slot::Ota(number), facts))) => {
                let sequence = facts.sequence;
                Some(Wanted { slot: Slot::Ota(number), number, sequence, by: By::Activation })
            }
            _ => None,
        }
    }

    fn try_wanted(&mut self, wanted: &Wanted) -> Result<Option<BootDecision>, BootError> {
        let image = match self.authentic(wanted.slot)? {
            Some(image) => image,
            None => {
                self.give_up_unreadable(wanted);
                return Ok(None);
            }
        };
        let fingerprint = Fingerprint::of(&image.info().digest);
        let known = self.ledger.image(wanted.slot, fingerprint).copied();
        if known.is_none() && wanted.by == By::Activation && on(Safeguard::OnlyTheActivatedIsTried) {
            // A download has taken the place of what was activated there, and nobody has activated it yet.
            self.give_up_unreadable(wanted);
            return Ok(None);
        }
        if known.is_none_or(|facts| facts.sequence < wanted.sequence) {
            let activated = Fact::Activated { slot: wanted.number, sequence: wanted.sequence, fingerprint };
            if self.ledger.append(self.flash, activated).is_err() {
                return Ok(None);
            }
        }
        let Some(facts) = self.ledger.image(wanted.slot, fingerprint).copied() else {
            return Ok(None);
        };
        if let Some(cause) = self.unfit(&image) {
            self.give_up_trial(wanted, fingerprint, facts.standing, cause);
            return Ok(None);
        }
        match facts.standing {
            Standing::Confirmed { .. } => Ok(Some(BootDecision { image, reason: BootReason::Confirmed })),
            Standing::Rejected(_) => Ok(None),
            Standing::Trial { attempts, .. }
                if attempts >= self.attempts.0 && on(Safeguard::AttemptsAreLimited) =>
            {
                self.give_up_trial(wanted, fingerprint, facts.standing, Cause::NeverConfirmed);
                Ok(None)
            }
            Standing::Trial { attempts, .. } => Ok(self.start_trial(wanted.number, image, attempts)),
        }
    }

    /// Counts the attempt first; an attempt that cannot be written down does not happen.
    fn start_trial(&mut self, slot: u8, image: AuthenticImage, before: u8) -> Option<BootDecision> {
        let number = before.saturating_add(1);
        let fingerprint = Fingerprint::of(&image.info().digest);
        let attempt = Fact::Attempt { slot, number, fingerprint, counter: image.counter() };
        if on(Safeguard::AttemptIsCounted) {
            let written = self.ledger.append(self.flash, attempt);
            if on(Safeguard::AttemptMustBeWritten) {
                written.ok()?;
            }
        }
        Some(BootDecision { image, reason: BootReason::Trial { attempt: number, of: self.attempts } })
    }

    /// What was activated but cannot be authenticated is given up if it was on trial. A confirmed image is kept for the
    /// next start: a weak read must not cost it.
    fn give_up_unreadable(&mut self, wanted: &Wanted) {
        let Some(facts) = self.ledger.slot(wanted.slot).copied() else {
            return;
        };
        if facts.sequence == wanted.sequence && on(Safeguard::UnreadableTrialIsGivenUp) {
            self.give_up_trial(wanted, facts.fingerprint, facts.standing, Cause::NotAuthentic);
        }
    }

    fn give_up_trial(&mut self, wanted: &Wanted, fingerprint: Fingerprint, standing: Standing, cause: Cause) {
        if !matches!(standing, Standing::Trial { .. }) && on(Safeguard::ConfirmedIsNeverGivenUp) {
            return;
        }
        let version = self.version_in(wanted.slot);
        self.given_up = Some(GivenUp { slot: wanted.slot, version, cause });
        // Should this write fail, the next start comes to the same conclusion again.
        let _unwritten =
            self.ledger.append(self.flash, Fact::Rejected { slot: wanted.number, fingerprint, cause });
        self.mark_otadata(wanted.sequence, cause);
    }

    #[inline(never)]
    fn latest_confirmed(&mut self) -> Result<Option<AuthenticImage>, BootError> {
        let mut below = None;
        while let Some((slot, sequence, fingerprint)) = self.confirmed_below(below) {
            below = Some(sequence);
            if let Some(image) = self.startable(slot)?
                && (Fingerprint::of(&image.info().digest) == fingerprint
                    || off(Safeguard::FallbackIsTheConfirmedImage))
            {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// The confirmed slot with the highest sequence below a bound.
    fn confirmed_below(&self, bound: Option<Sequence>) -> Option<(Slot, Sequence, Fingerprint)> {
        self.ledger
            .slots()
            .filter(|(_, facts)| matches!(facts.standing, Standing::Confirmed { .. }))
            .map(|(slot, facts)| (slot, facts.sequence, facts.fingerprint))
            .filter(|(_, sequence, _)| bound.is_none_or(|bound| *sequence < bound))
            .max_by_key(|(_, sequence, _)| *sequence)
    }

    #[inline(never)]
    fn first_start_without_factory(&mut self) -> Result<Option<BootDecision>, BootError> {
        let layout = self.device.layout;
        if layout.slot(Slot::Factory).is_some() {
            return Ok(None);
        }
        for slot in layout.ota_slots() {
            let Slot::Ota(number) = slot else { continue };
            if self.ledger.slot(slot).is_some() {
                continue;
            }
            let floor = self.ledger.latest().map(|(_, facts)| facts.sequence).max(self.otadata.highest());
            let Some(sequence) = Sequence::next(floor, number, layout.ota_count()) else {
                continue;
            };
            if let Some(decision) = self.try_wanted(&Wanted { slot, number, sequence, by: By::Others })? {
                return Ok(Some(decision));
            }
        }
        Ok(None)
    }

    fn startable(&mut self, slot: Slot) -> Result<Option<AuthenticImage>, BootError> {
        let image = self.authentic(slot)?;
        Ok(image.filter(|image| self.unfit(image).is_none()))
    }

    fn unfit(&self, image: &AuthenticImage) -> Option<Cause> {
        if admit_counter(image.counter(), self.ledger.floor()).is_err() && on(Safeguard::BootChecksCounter) {
            return Some(Cause::CounterTooLow);
        }
        let other = image.info().chip != self.device.identity.chip && on(Safeguard::BootChecksChip);
        other.then_some(Cause::NotForThisDevice)
    }

    /// Reads a slot, a second time if the first fails: one bad read must not start a rollback.
    fn authentic(&mut self, slot: Slot) -> Result<Option<AuthenticImage>, BootError> {
        let Device { layout, trust, .. } = *self.device;
        let mut read = || authenticate(self.flash, layout, trust, slot);
        match read().or_else(|error| if on(Safeguard::BootReadsTwice) { read() } else { Err(error) }) {
            Ok(image) => Ok(Some(image)),
            Err(SlotError::Storage(fault)) if slot == Slot::Factory => Err(fault.into()),
            Err(_) => Ok(None),
        }
    }

    fn version_in(&mut self, slot: Slot) -> Option<Version> {
        let descriptor: Option<AppDescriptor> = claimed_descriptor(self.flash, self.device.layout, slot);
        descriptor.map(|descriptor| descriptor.version)
    }

    /// Otadata is a copy for others; failing to write it changes nothing here.
    fn mark_otadata(&mut self, sequence: Sequence, cause: Cause) {
        let state = match cause {
            Cause::NeverConfirmed | Cause::SelfTestFailed => EntryState::Aborted,
            _ => EntryState::Invalid,
        };
        if let Some((half, entry)) = self.otadata.with_sequence(sequence)
            && entry.state != state
        {
            let region = self.device.layout.otadata();
            let _unwritten = self.otadata.write(self.flash, region, half, Entry { state, ..entry });
        }
    }

    #[inline(never)]
    fn bring_otadata_up_to_date(&mut self, decision: &BootDecision) {
        let Some(facts) = self.ledger.slot(decision.image.slot()).copied() else {
            return;
        };
        if let Some((_, latest)) = self.ledger.latest().map(|(slot, facts)| (slot, *facts))
            && let Standing::Rejected(cause) = latest.standing
        {
            self.mark_otadata(latest.sequence, cause);
        }
        let state = match decision.reason {
            BootReason::Trial { .. } => EntryState::PendingVerify,
            _ => EntryState::Valid,
        };
        let present = self.otadata.with_sequence(facts.sequence);
        let (half, entry) = match present {
            Some((_, entry)) if entry.state == state => return,
            Some((half, entry)) => (half, Entry { state, ..entry }),
            None => (self.otadata.spare(), Entry::new(facts.sequence, state)),
        };
        let _unwritten = self.otadata.write(self.flash, self.device.layout.otadata(), half, entry);
    }
}

impl Attempts {
    /// Three starts: one may be lost to a power cut and one to a bad moment.
    pub const DEFAULT: Self = Self(3);

    /// So many starts; `None` for zero.
    pub const fn new(count: u8) -> Option<Self> {
        if count == 0 { None } else { Some(Self(count)) }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl BootDecision {
    /// The slot to start.
    pub fn slot(&self) -> Slot {
        self.image.slot()
    }

    /// The image's security counter.
    pub fn counter(&self) -> SecurityCounter {
        self.image.counter()
    }
}

impl From<FlashFault> for BootError {
    fn from(fault: FlashFault) -> Self {
        Self::Storage(fault)
    }
}

impl BootReason {
    /// Says it as [`Display`](core::fmt::Display) does, without the machinery of `core::fmt`, which a boot loader has no room for.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write_to(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Confirmed => out.write_str("confirmed"),
            Self::Trial { attempt, of } => {
                out.write_str("trial ")?;
                write_number(out, *attempt)?;
                out.write_str(" of ")?;
                write_number(out, of.0)
            }
            Self::RolledBack(given_up) => {
                out.write_str("rolled back: ")?;
                given_up.write_to(out)
            }
            Self::Factory => out.write_str("factory"),
            Self::FellBackToFactory(given_up) => {
                out.write_str("fell back to factory")?;
                let Some(given_up) = given_up else { return Ok(()) };
                out.write_str(": ")?;
                given_up.write_to(out)
            }
            Self::Fallback => out.write_str("fell back to an earlier confirmed image"),
        }
    }
}

impl GivenUp {
    fn write_to(&self, out: &mut impl Write) -> fmt::Result {
        match &self.version {
            Some(version) => {
                out.write_str("version ")?;
                out.write_str(version.as_str())?;
            }
            None => out.write_str("the image")?,
        }
        out.write_str(" in ")?;
        self.slot.write_to(out)?;
        out.write_str(" was given up, ")?;
        out.write_str(self.cause.text())
    }
}

impl fmt::Display for BootReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(out)
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(out)
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToStart => write!(out, "no slot holds an image that may be started"),
            Self::Storage(fault) => fault.fmt(out),
        }
    }
}

impl core::error::Error for BootError {}
