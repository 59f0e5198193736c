//! The places for images: factory, and two or more for updates; and the check that what is in one is authentic.
//!
//! A slot is an app partition. Its last sector holds the image's envelope (see [`crate::container`]); the image has the
//! rest. The slot for an update is never the running one, and never the only confirmed one.

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::write_number;
use crate::container::{ENVELOPE_MAX, Envelope, EnvelopeError, ProofError, Provenance};
use crate::flash::{FlashFault, RECORD, Region, SECTOR};
use crate::image::{AppDescriptor, ImageError, ImageInfo, Scanner};
use crate::ledger::Ledger;
use crate::partition::{PartitionTable, Role};
use crate::safeguard::{Safeguard, off, on};
use crate::signature::TrustStore;
use crate::version::SecurityCounter;

/// Slots for updates that are supported.
pub const OTA_SLOTS_MAX: usize = 4;

const LEDGER_SECTORS: u32 = 2;

/// Where an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The image that came with the device; never written by an update.
    Factory,
    /// Slot `n` for updates.
    Ota(u8),
}

/// The parts of the flash that an update touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    otadata: Region,
    ledger: Region,
    journal: Region,
    factory: Option<SlotRegion>,
    ota: [Option<SlotRegion>; OTA_SLOTS_MAX],
}

/// The two parts of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRegion {
    /// Everything but the last sector.
    pub image: Region,
    /// The last sector.
    pub envelope: Region,
}

/// An image in a slot that is sound and that a trusted key signed. Made only by [`authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticImage {
    slot: Slot,
    region: Region,
    info: ImageInfo,
    provenance: Provenance,
}

/// Why a partition table cannot carry updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// There is no otadata partition.
    NoOtaData,
    /// There is no state partition (type 0x40, subtype 0x4F), or it has fewer than three sectors.
    NoState,
    /// There is no slot `ota_0`, the slots have gaps, or there are more than [`OTA_SLOTS_MAX`].
    BadSlots,
    /// A slot is too small for an image and its envelope.
    SlotTooSmall(Slot),
}

/// Why the contents of a slot are not to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError {
    /// The layout has no such slot.
    NoSuchSlot,
    /// The flash cannot be read.
    Storage(FlashFault),
    /// There is no readable envelope.
    Envelope(EnvelopeError),
    /// The envelope names a length that the slot cannot hold.
    LengthOutOfSlot(u32),
    /// The image is damaged.
    Image(ImageError),
    /// Nobody trusted says that the image is good.
    Proof(ProofError),
}

impl Layout {
    /// Finds everything in a partition table.
    ///
    /// # Errors
    /// [`LayoutError`].
    #[inline(never)]
    pub fn from_table(table: &PartitionTable) -> Result<Self, LayoutError> {
        let region = |role| table.find(role).map(|partition| partition.region);
        let state = region(Role::BuoyState).ok_or(LayoutError::NoState)?;
        let journal_sectors = state.sectors().saturating_sub(LEDGER_SECTORS);
        let mut layout = Self {
            otadata: region(Role::OtaData).ok_or(LayoutError::NoOtaData)?,
            ledger: state.part(0, LEDGER_SECTORS).ok_or(LayoutError::NoState)?,
            journal: state.part(LEDGER_SECTORS, journal_sectors).ok_or(LayoutError::NoState)?,
            factory: None,
            ota: [None; OTA_SLOTS_MAX],
        };
        layout.factory =
            region(Role::Factory).map(|region| SlotRegion::new(Slot::Factory, region)).transpose()?;
        for (number, place) in (0_u8..).zip(layout.ota.iter_mut()) {
            let region = region(Role::Ota(number));
            *place = region.map(|region| SlotRegion::new(Slot::Ota(number), region)).transpose()?;
        }
        let in_table = table.iter().filter(|partition| matches!(partition.role, Role::Ota(_))).count();
        let without_gap = layout.ota.iter().take_while(|place| place.is_some()).count();
        (in_table > 0 && in_table == without_gap).then_some(layout).ok_or(LayoutError::BadSlots)
    }

    /// The otadata partition.
    pub fn otadata(&self) -> Region {
        self.otadata
    }

    /// The two sectors of the ledger.
    pub fn ledger(&self) -> Region {
        self.ledger
    }

    /// The sectors of the download journal.
    pub fn journal(&self) -> Region {
        self.journal
    }

    /// A slot's place; `None` if there is no such slot.
    pub fn slot(&self, slot: Slot) -> Option<SlotRegion> {
        match slot {
            Slot::Factory => self.factory,
            Slot::Ota(number) => self.ota.get(usize::from(number)).copied().flatten(),
        }
    }

    /// The slots for updates, in order.
    pub fn ota_slots(&self) -> impl Iterator<Item = Slot> {
        (0_u8..self.ota_count()).map(Slot::Ota)
    }

    /// How many slots for updates there are: 1 to [`OTA_SLOTS_MAX`].
    pub fn ota_count(&self) -> u8 {
        (0_u8..)
            .zip(self.ota.iter().flatten())
            .map(|(number, _)| number.saturating_add(1))
            .last()
            .unwrap_or(0)
    }

    /// The slot that the next update goes to: not the running one, and of the others the one whose loss costs least.
    pub fn next(&self, running: Slot, ledger: &Ledger) -> Option<Slot> {
        self.ota_slots()
            .filter(|slot| *slot != running || off(Safeguard::RunningSlotIsSpared))
            // A device that runs from factory keeps its latest confirmed image, whatever kept it from starting.
            .min_by_key(|slot| {
                ledger.confirmed_sequence(*slot).filter(|_| on(Safeguard::ConfirmedSlotIsSpared))
            })
    }
}

impl SlotRegion {
    fn new(slot: Slot, region: Region) -> Result<Self, LayoutError> {
        let sectors = region.sectors().saturating_sub(1);
        let halves = region.part(0, sectors).zip(region.part(sectors, 1));
        let (image, envelope) = halves.ok_or(LayoutError::SlotTooSmall(slot))?;
        Ok(Self { image, envelope })
    }
}

/// Reads a slot's envelope and image, and checks everything that makes the image trustworthy.
///
/// Whether it is *wanted* (counter, chip, version) is for the caller to say.
///
/// # Errors
/// [`SlotError`].
#[inline(never)]
pub fn authenticate<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    trust: &TrustStore,
    slot: Slot,
) -> Result<AuthenticImage, SlotError> {
    let place = layout.slot(slot).ok_or(SlotError::NoSuchSlot)?;
    let mut buffer = [0; ENVELOPE_MAX];
    place.envelope.read(flash, 0, &mut buffer)?;
    let (envelope, _) = Envelope::parse(&buffer)?;
    let info = examine(flash, place.image, envelope.image_len)?;
    prove(&envelope, place, trust, slot, info)
}

/// Reads an image. The scanner is off the stack when the proof is verified.
#[inline(never)]
fn examine<F: NorFlash>(flash: &mut F, region: Region, len: u32) -> Result<ImageInfo, SlotError> {
    let mut scanner = Scanner::new();
    scan(flash, region, len, &mut scanner)?;
    Ok(scanner.finish()?)
}

/// Checks who says that an image is good that was read before.
#[inline(never)]
fn prove(
    envelope: &Envelope<'_>,
    place: SlotRegion,
    trust: &TrustStore,
    slot: Slot,
    info: ImageInfo,
) -> Result<AuthenticImage, SlotError> {
    let provenance = match envelope.proof.verify(trust, &info) {
        Err(_) if off(Safeguard::OriginIsVerified) => Provenance::unproved(&info),
        other => other?,
    };
    Ok(AuthenticImage { slot, region: place.image, info, provenance })
}

/// As [`authenticate`], but by what was written and not by what is in the flash: what an installer must not do.
#[cfg(feature = "mutants")]
pub(crate) fn authenticate_as_written<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    trust: &TrustStore,
    slot: Slot,
    written: Scanner,
) -> Result<AuthenticImage, SlotError> {
    let place = layout.slot(slot).ok_or(SlotError::NoSuchSlot)?;
    let mut buffer = [0; ENVELOPE_MAX];
    place.envelope.read(flash, 0, &mut buffer)?;
    let (envelope, _) = Envelope::parse(&buffer)?;
    prove(&envelope, place, trust, slot, written.finish()?)
}

/// What the image in a slot calls itself, unchecked; `None` if there is none.
#[inline(never)]
pub fn claimed_descriptor<F: NorFlash>(flash: &mut F, layout: &Layout, slot: Slot) -> Option<AppDescriptor> {
    let place = layout.slot(slot)?;
    let mut scanner = Scanner::new();
    let mut buffer = [0; 288];
    place.image.read(flash, 0, &mut buffer).ok()?;
    scanner.push(&buffer).ok()?;
    scanner.early().map(|(_, descriptor)| descriptor)
}

/// Feeds `len` bytes from the start of a region to a scanner.
pub(crate) fn scan<F: NorFlash>(
    flash: &mut F,
    region: Region,
    len: u32,
    scanner: &mut Scanner,
) -> Result<(), SlotError> {
    if len > region.len() {
        return Err(SlotError::LengthOutOfSlot(len));
    }
    let mut buffer = [0; SCAN_STEP];
    let mut at = 0_u32;
    while at < len {
        let wanted = usize::try_from(len.saturating_sub(at)).unwrap_or(SCAN_STEP).min(SCAN_STEP);
        // Drivers read whole units only; the region's end is a whole sector, so rounding up stays inside.
        let rounded = buffer.get_mut(..wanted.next_multiple_of(RECORD)).unwrap_or_default();
        region.read(flash, at, rounded)?;
        scanner.push(rounded.get(..wanted).unwrap_or_default())?;
        at = at.saturating_add(SCAN_STEP as u32);
    }
    Ok(())
}

const SCAN_STEP: usize = 512;
const _: () = assert!((SECTOR as usize).is_multiple_of(SCAN_STEP) && SCAN_STEP.is_multiple_of(RECORD));

impl AuthenticImage {
    /// Where it is.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The flash that it may span; the image starts at its first byte.
    pub fn region(&self) -> Region {
        self.region
    }

    /// What it says about itself.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// Who signed it.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Its security counter.
    pub fn counter(&self) -> SecurityCounter {
        self.provenance.counter()
    }
}

impl From<FlashFault> for SlotError {
    fn from(fault: FlashFault) -> Self {
        Self::Storage(fault)
    }
}

impl From<EnvelopeError> for SlotError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl From<ImageError> for SlotError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<ProofError> for SlotError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

impl Slot {
    /// Writes its name as [`Display`](core::fmt::Display) does, without the machinery of `core::fmt`.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write_to(&self, out: &mut impl core::fmt::Write) -> core::fmt::Result {
        match self {
            Self::Factory => out.write_str("factory"),
            Self::Ota(number) => {
                out.write_str("ota_")?;
                write_number(out, *number)
            }
        }
    }
}

impl core::fmt::Display for Slot {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.write_to(out)
    }
}

impl core::fmt::Display for SlotError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchSlot => write!(out, "the partition table has no such slot"),
            Self::Storage(fault) => fault.fmt(out),
            Self::Envelope(_) => write!(out, "the slot has no readable proof of its image's origin"),
            Self::LengthOutOfSlot(len) => write!(out, "an image of {len} bytes does not fit the slot"),
            Self::Image(error) => error.fmt(out),
            Self::Proof(error) => error.fmt(out),
        }
    }
}

impl core::fmt::Display for LayoutError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoOtaData => write!(out, "the partition table has no otadata partition"),
            Self::NoState => {
                write!(out, "the partition table has no state partition of three sectors or more")
            }
            Self::BadSlots => {
                write!(out, "the partition table needs ota_0 to ota_n without gaps, at most {OTA_SLOTS_MAX}")
            }
            Self::SlotTooSmall(slot) => write!(out, "slot {slot} is too small for an image and its envelope"),
        }
    }
}

impl core::error::Error for SlotError {}
impl core::error::Error for LayoutError {}
