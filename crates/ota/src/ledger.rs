//! The facts that decide what is started: an append-only log that no power cut can tear.
//!
//! Two sectors. The one in use starts with a header (generation) and holds 32-byte records, each with a CRC-32, appended
//! one by one; a torn record fails its CRC and is skipped. When the sector is full, the state is written to the other
//! sector, and its header last: until that last write is complete the old sector stays in use. So every append either
//! happened or did not, and nothing confirmed is ever erased before its copy is complete.
//!
//! | Offset | Bytes | |
//! |---|---|---|
//! | 0 | 1 | kind: 1 header, 2 activated, 3 attempt, 4 confirmed, 5 rejected, 6 floor, 7 reported |
//! | 1 | 1 | slot `n` of `ota_n` |
//! | 2 | 1 | number of the attempt, or cause of the rejection |
//! | 3 | 1 | 0 |
//! | 4 | 4 | otadata sequence of the activation; generation in a header |
//! | 8 | 4 | security counter |
//! | 12 | 16 | first 16 bytes of the image file's SHA-256 |
//! | 28 | 4 | CRC-32 of bytes 0 to 27 |
//!
//! The security counter is as safe as the flash that holds it: whoever can erase the state partition can lower it, so a
//! product that fears that needs flash encryption or a counter in eFuses besides.
//!
//! Otadata can't hold these facts: it has no place for attempts, and each change erases what it replaces.

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};

use crate::bytes::{crc32, le_u32, put, take};
use crate::flash::{FlashFault, Operation, RECORD, Region, SECTOR};
use crate::image::Digest;
use crate::otadata::Sequence;
use crate::safeguard::{Safeguard, off, on};
use crate::slots::{OTA_SLOTS_MAX, Slot};
use crate::version::SecurityCounter;

const RECORDS: u32 = SECTOR / RECORD as u32;

/// What the device knows about its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    region: Region,
    sector: u32,
    generation: u32,
    next_record: u32,
    facts: Facts,
}

/// The state that the records add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    floor: SecurityCounter,
    slots: [Option<SlotFacts>; OTA_SLOTS_MAX],
}

/// What is known about the image that was last activated in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotFacts {
    /// Which activation it was.
    pub sequence: Sequence,
    /// Which image; another image in the slot has nothing to do with these facts.
    pub fingerprint: Fingerprint,
    /// How far it got.
    pub standing: Standing,
    /// Whether the outcome has been reported to the server.
    pub reported: Reported,
}

/// How far an activated image got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Chosen, and started so many times without being confirmed.
    Trial {
        /// Starts so far.
        attempts: u8,
        /// The image's security counter, known since the first start.
        counter: SecurityCounter,
    },
    /// The image proved itself.
    Confirmed {
        /// The image's security counter.
        counter: SecurityCounter,
    },
    /// The image is not to be started again.
    Rejected(Cause),
}

/// Why an image was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was started as often as allowed and never confirmed: it crashed, hung or could not register.
    NeverConfirmed,
    /// It failed its own test.
    SelfTestFailed,
    /// It is damaged or not authentic.
    NotAuthentic,
    /// Its security counter is below the device's.
    CounterTooLow,
    /// It is not for this device's chip or project.
    NotForThisDevice,
}

/// Whether somebody has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Not yet.
    No,
    /// The server has acknowledged it.
    Yes,
}

/// The first 16 bytes of an image file's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// An image is to be tried.
    Activated {
        /// Slot number.
        slot: u8,
        /// Number of the choice.
        sequence: Sequence,
        /// Which image.
        fingerprint: Fingerprint,
    },
    /// An unconfirmed image is about to be started.
    Attempt {
        /// Slot number.
        slot: u8,
        /// 1 for the first start.
        number: u8,
        /// Which image.
        fingerprint: Fingerprint,
        /// Its security counter.
        counter: SecurityCounter,
    },
    /// An image proved itself; raises the device's counter.
    Confirmed {
        /// Slot number.
        slot: u8,
        /// Which image.
        fingerprint: Fingerprint,
        /// Its security counter.
        counter: SecurityCounter,
    },
    /// An image was given up.
    Rejected {
        /// Slot number.
        slot: u8,
        /// Which image.
        fingerprint: Fingerprint,
        /// Why.
        cause: Cause,
    },
    /// The device's counter is at least this.
    Floor(SecurityCounter),
    /// The outcome in this slot has been reported.
    Reported {
        /// Slot number.
        slot: u8,
        /// Which image.
        fingerprint: Fingerprint,
    },
}

impl Ledger {
    /// Reads the ledger; an empty or unreadable area is an empty ledger.
    ///
    /// # Errors
    /// Only if the flash cannot be read.
    #[inline(never)]
    pub fn load<F: NorFlash>(flash: &mut F, region: Region) -> Result<Self, FlashFault> {
        let first = read_generation(flash, region, 0)?;
        let second = read_generation(flash, region, 1)?;
        let (sector, generation) = match (first, second) {
            (None, None) => return Ok(Self::empty(region)),
            (Some(first), second) if second.is_none_or(|second| second < first) => (0, first),
            (first, second) => (1, second.or(first).unwrap_or_default()),
        };
        let mut ledger = Self { region, sector, generation, next_record: 1, facts: Facts::default() };
        for index in 1..RECORDS {
            let record = read_record(flash, region, sector, index)?;
            let is_used = record.iter().any(|byte| *byte != 0xFF)
                && (on(Safeguard::LedgerSkipsTornRecords) || Fact::parse(&record).is_some());
            if is_used {
                ledger.next_record = index.saturating_add(1);
            }
            if let Some(fact) = Fact::parse(&record) {
                ledger.facts.apply(fact);
            }
        }
        Ok(ledger)
    }

    /// Writes a fact; when this returns, no power cut can undo it.
    ///
    /// # Errors
    /// The flash failed; the fact may or may not be there.
    pub fn append<F: NorFlash>(&mut self, flash: &mut F, fact: Fact) -> Result<(), FlashFault> {
        let mut facts = self.facts.clone();
        facts.apply(fact);
        if self.next_record < RECORDS {
            let index = self.next_record;
            // Even a failed write may have programmed bits, so the place is used up either way.
            self.next_record = index.saturating_add(1);
            write_record(flash, self.region, self.sector, index, &fact.to_bytes())?;
            self.facts = facts;
            return Ok(());
        }
        self.move_to_other_sector(flash, facts)
    }

    /// What is known about a slot's image.
    pub fn slot(&self, slot: Slot) -> Option<&SlotFacts> {
        self.facts.slot(slot)
    }

    /// What is known about this image in this slot; `None` if the slot's facts are about another one.
    pub fn image(&self, slot: Slot, fingerprint: Fingerprint) -> Option<&SlotFacts> {
        self.slot(slot).filter(|facts| facts.fingerprint == fingerprint)
    }

    /// The last activation: the slot that is meant to run.
    pub fn latest(&self) -> Option<(Slot, &SlotFacts)> {
        self.slots().max_by_key(|(_, facts)| facts.sequence)
    }

    /// The activation whose image is confirmed in this slot; `None` sorts lowest.
    pub fn confirmed_sequence(&self, slot: Slot) -> Option<Sequence> {
        let facts = self.slot(slot)?;
        matches!(facts.standing, Standing::Confirmed { .. }).then_some(facts.sequence)
    }

    /// The lowest security counter that may be started.
    pub fn floor(&self) -> SecurityCounter {
        self.facts.floor
    }

    /// All slots with facts.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, &SlotFacts)> {
        let numbered = (0_u8..).zip(&self.facts.slots);
        numbered.filter_map(|(number, facts)| Some((Slot::Ota(number), facts.as_ref()?)))
    }

    /// Nothing known; the first append erases a sector and writes the first header.
    fn empty(region: Region) -> Self {
        Self { region, sector: 1, generation: 0, next_record: RECORDS, facts: Facts::default() }
    }

    fn move_to_other_sector<F: NorFlash>(&mut self, flash: &mut F, facts: Facts) -> Result<(), FlashFault> {
        let sector = self.sector ^ 1;
        let generation = self.generation.saturating_add(1);
        self.region.erase_sector(flash, sector)?;
        if off(Safeguard::LedgerHeaderComesLast) {
            write_record(flash, self.region, sector, 0, &header_record(generation))?;
        }
        let mut index = 1_u32;
        facts.snapshot(&mut |fact| {
            write_record(flash, self.region, sector, index, &fact.to_bytes())?;
            index = index.saturating_add(1);
            Ok(())
        })?;
        if on(Safeguard::LedgerHeaderComesLast) {
            write_record(flash, self.region, sector, 0, &header_record(generation))?;
        }
        *self = Self { region: self.region, sector, generation, next_record: index, facts };
        Ok(())
    }
}

impl Facts {
    fn slot(&self, slot: Slot) -> Option<&SlotFacts> {
        match slot {
            Slot::Factory => None,
            Slot::Ota(number) => self.slots.get(usize::from(number))?.as_ref(),
        }
    }

    fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Activated { slot, sequence, fingerprint } => self.activate(slot, sequence, fingerprint),
            Fact::Attempt { slot, number, fingerprint, counter } => {
                self.settle(slot, fingerprint, Standing::Trial { attempts: number, counter });
                if off(Safeguard::CounterWaitsForConfirmation) {
                    self.floor = self.floor.max(counter);
                }
            }
            Fact::Confirmed { slot, fingerprint, counter } => {
                self.settle(slot, fingerprint, Standing::Confirmed { counter });
                self.floor = self.floor.max(counter);
            }
            Fact::Rejected { slot, fingerprint, cause } => {
                self.settle(slot, fingerprint, Standing::Rejected(cause))
            }
            Fact::Floor(counter) => self.floor = self.floor.max(counter),
            Fact::Reported { slot, fingerprint } => {
                if let Some(facts) = self.image_mut(slot, fingerprint) {
                    facts.reported = Reported::Yes;
                }
            }
        }
    }

    /// Choosing a confirmed image again does not put it on trial; anything else starts from nothing.
    fn activate(&mut self, slot: u8, sequence: Sequence, fingerprint: Fingerprint) {
        let known = self.image_mut(slot, fingerprint).map(|facts| facts.standing);
        let standing = match known {
            Some(Standing::Confirmed { counter }) => Standing::Confirmed { counter },
            _ => Standing::Trial { attempts: 0, counter: SecurityCounter(0) },
        };
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = Some(SlotFacts { sequence, fingerprint, standing, reported: Reported::No });
        }
    }

    fn settle(&mut self, slot: u8, fingerprint: Fingerprint, standing: Standing) {
        if let Some(facts) = self.image_mut(slot, fingerprint) {
            facts.standing = standing;
        }
    }

    fn image_mut(&mut self, slot: u8, fingerprint: Fingerprint) -> Option<&mut SlotFacts> {
        let facts = self.slots.get_mut(usize::from(slot))?.as_mut()?;
        (facts.fingerprint == fingerprint).then_some(facts)
    }

    /// Hands out records that add up to these facts.
    fn snapshot(&self, each: &mut dyn FnMut(Fact) -> Result<(), FlashFault>) -> Result<(), FlashFault> {
        each(Fact::Floor(self.floor))?;
        let kept = if on(Safeguard::LedgerKeepsSlots) { OTA_SLOTS_MAX } else { 1 };
        for (slot, facts) in (0_u8..).zip(&self.slots).take(kept) {
            let Some(facts) = facts else { continue };
            let fingerprint = facts.fingerprint;
            each(Fact::Activated { slot, sequence: facts.sequence, fingerprint })?;
            match facts.standing {
                Standing::Trial { attempts: 0, .. } => {}
                Standing::Trial { attempts: number, counter } => {
                    each(Fact::Attempt { slot, number, fingerprint, counter })?;
                }
                Standing::Confirmed { counter } => each(Fact::Confirmed { slot, fingerprint, counter })?,
                Standing::Rejected(cause) => each(Fact::Rejected { slot, fingerprint, cause })?,
            }
            if matches!(facts.reported, Reported::Yes) {
                each(Fact::Reported { slot, fingerprint })?;
            }
        }
        Ok(())
    }
}

impl Fact {
    /// Reads a record; `None` if its CRC is wrong or its kind unknown.
    pub fn parse(record: &[u8; RECORD]) -> Option<Self> {
        let record = if on(Safeguard::LedgerChecksCrc) { intact(record)? } else { record };
        let [kind, slot, number, _] = take(record, 0)?;
        let sequence = le_u32(record, 4)?;
        let counter = SecurityCounter(le_u32(record, 8)?);
        let fingerprint = Fingerprint(take(record, 12)?);
        Some(match kind {
            2 => Self::Activated { slot, sequence: Sequence::new(sequence)?, fingerprint },
            3 => Self::Attempt { slot, number, fingerprint, counter },
            4 => Self::Confirmed { slot, fingerprint, counter },
            5 => Self::Rejected { slot, fingerprint, cause: Cause::from_number(number)? },
            6 => Self::Floor(counter),
            7 => Self::Reported { slot, fingerprint },
            _ => return None,
        })
    }

    /// Writes a record.
    pub fn to_bytes(self) -> [u8; RECORD] {
        const NONE: Fingerprint = Fingerprint([0; 16]);
        const ZERO: SecurityCounter = SecurityCounter(0);
        let none = (0, ZERO);
        let (kind, slot, number, (sequence, counter), fingerprint) = match &self {
            Self::Activated { slot, sequence, fingerprint } => {
                (2, *slot, 0, (sequence.get(), ZERO), fingerprint)
            }
            Self::Attempt { slot, number, fingerprint, counter } => {
                (3, *slot, *number, (0, *counter), fingerprint)
            }
            Self::Confirmed { slot, fingerprint, counter } => (4, *slot, 0, (0, *counter), fingerprint),
            Self::Rejected { slot, fingerprint, cause } => (5, *slot, cause.number(), none, fingerprint),
            Self::Floor(counter) => (6, 0, 0, (0, *counter), &NONE),
            Self::Reported { slot, fingerprint } => (7, *slot, 0, none, fingerprint),
        };
        let mut record = [0; RECORD];
        let _fits = put(&mut record, 0, &[kind, slot, number])
            && put(&mut record, 4, &sequence.to_le_bytes())
            && put(&mut record, 8, &counter.0.to_le_bytes())
            && put(&mut record, 12, &fingerprint.0);
        sealed(record)
    }
}

impl Cause {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::NeverConfirmed,
            2 => Self::SelfTestFailed,
            3 => Self::NotAuthentic,
            4 => Self::CounterTooLow,
            5 => Self::NotForThisDevice,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::NeverConfirmed => 1,
            Self::SelfTestFailed => 2,
            Self::NotAuthentic => 3,
            Self::CounterTooLow => 4,
            Self::NotForThisDevice => 5,
        }
    }
}

impl Fingerprint {
    /// Shortens a digest.
    pub fn of(digest: &Digest) -> Self {
        Self(take(&digest.0, 0).unwrap_or_default())
    }
}

/// The record if its CRC is right.
pub(crate) fn intact(record: &[u8; RECORD]) -> Option<&[u8; RECORD]> {
    // An erased place is no record; it isn't worth a CRC.
    if record.first() == Some(&0xFF) {
        return None;
    }
    let (body, _) = record.split_at_checked(RECORD - 4)?;
    (le_u32(record, RECORD - 4)? == crc32(body)).then_some(record)
}

/// The record with its CRC put in.
pub(crate) fn sealed(mut record: [u8; RECORD]) -> [u8; RECORD] {
    let crc = crc32(record.get(..RECORD - 4).unwrap_or_default());
    let _fits = put(&mut record, RECORD - 4, &crc.to_le_bytes());
    record
}

fn header_record(generation: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let _fits = put(&mut record, 0, &[1]) && put(&mut record, 4, &generation.to_le_bytes());
    sealed(record)
}

fn read_generation<F: NorFlash>(
    flash: &mut F,
    region: Region,
    sector: u32,
) -> Result<Option<u32>, FlashFault> {
    let record = read_record(flash, region, sector, 0)?;
    let header = intact(&record).filter(|record| record.first() == Some(&1));
    Ok(header.and_then(|record| le_u32(record, 4)))
}

fn read_record<F: NorFlash>(
    flash: &mut F,
    region: Region,
    sector: u32,
    index: u32,
) -> Result<[u8; RECORD], FlashFault> {
    let mut record = [0; RECORD];
    region.read(flash, record_at(sector, index), &mut record)?;
    Ok(record)
}

/// Writes a record and reads it back: a fact counts only once the flash gives it back.
fn write_record<F: NorFlash>(
    flash: &mut F,
    region: Region,
    sector: u32,
    index: u32,
    record: &[u8; RECORD],
) -> Result<(), FlashFault> {
    let at = record_at(sector, index);
    region.write(flash, at, record)?;
    let kept = read_record(flash, region, sector, index)?;
    (kept == *record || off(Safeguard::LedgerReadsBack)).then_some(()).ok_or(FlashFault {
        operation: Operation::Write,
        at: region.offset().saturating_add(at),
        kind: NorFlashErrorKind::Other,
    })
}

fn record_at(sector: u32, index: u32) -> u32 {
    sector.saturating_mul(SECTOR).saturating_add(index.saturating_mul(RECORD as u32))
}

impl core::fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Cause {
    /// What it says of an image.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NeverConfirmed => "it was never confirmed",
            Self::SelfTestFailed => "it failed its own test",
            Self::NotAuthentic => "it is damaged or not authentic",
            Self::CounterTooLow => "its security counter is below the device's",
            Self::NotForThisDevice => "it is not for this device",
        }
    }
}

impl core::fmt::Display for Cause {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.text())
    }
}
