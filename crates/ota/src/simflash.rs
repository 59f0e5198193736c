//! A NOR flash in memory that behaves like a real one when its power is cut.
//!
//! Programming only clears bits, and each write unit may be programmed once between erasures. Misuse is an error, and
//! [`SimFlash::strict`] makes it a panic, so that a test which passes does nothing that a chip could take amiss. Every write and every erased
//! sector is one *operation*; a [`Cut`] stops the device before, inside or after one of them. From then on nothing works until
//! [`SimFlash::restore_power`].
//!
//! An erasure that was cut leaves a sector *unstable*: each read gives some of its records as they were, some as erased and some as a mixture
//! of both, and the next read may give others. That lasts until the sector is erased again. What is programmed into it meanwhile is as unstable.
//!
//! A worn flash is made with [`SimFlash::add_fault`].
//!
//! [`FileFlash`] keeps the same flash in a file, for simulated devices that must survive `kill -9`.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "for tests and simulated devices, with addresses that were checked"
)]

use core::hash::{Hash as _, Hasher};
use core::ops::Range;
use core::slice;
use std::fs::File;
use std::hash::DefaultHasher;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::flash::{RECORD, SECTOR};

/// Bytes that are programmed at once.
pub const WRITE_UNIT: usize = 4;

/// A NOR flash in memory.
#[derive(Debug, Clone)]
pub struct SimFlash {
    bytes: Vec<u8>,
    counters: Counters,
    cut: Option<Cut>,
    power: Power,
    misuse: Misuse,
    unstable: Vec<Unstable>,
    /// What the next read of an unstable sector depends on.
    noise: Random,
    faults: Vec<Fault>,
    log: Vec<Logged>,
    /// Of each sector, as far as it is known.
    digests: Vec<Option<u64>>,
}

/// One operation that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Where.
    pub offset: u32,
    /// Write units that were programmed; `None` for an erasure.
    pub units: Option<u32>,
}

/// A part of the flash that does not work any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Writing there fails, and changes nothing.
    FailsToWrite(Range<u32>),
    /// Writing there says that it worked, and changes nothing.
    LosesWrites(Range<u32>),
    /// The next so many reads there have a wrong first bit.
    MisreadsOnce {
        /// Where.
        place: Range<u32>,
        /// So often.
        times: u32,
    },
}

/// What the caller's mistakes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misuse {
    IsAnError,
    Panics,
}

/// A sector whose erasure was cut, and what it had before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Unstable {
    sector: u32,
    before: Vec<u8>,
}

/// What was done to a flash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Write calls and erased sectors together: what [`Cut::operation`] counts.
    pub operations: u64,
    /// Write calls.
    pub writes: u64,
    /// Erased sectors.
    pub erased_sectors: u64,
}

/// A power cut to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The operation that it hits, counted from 0 since the flash was made.
    pub operation: u64,
    /// How far that operation gets.
    pub moment: Moment,
}

/// How far an operation gets before the power is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It does not begin.
    Before,
    /// Its first so many write units (of an erasure: sixty-fourths of the sector) are complete, the rest untouched.
    Prefix(u32),
    /// Each bit that was to change has changed or not, by chance.
    RandomBits {
        /// Same seed, same bits.
        seed: u64,
    },
    /// Its first so many write units are complete, and of the next one each bit by chance.
    TornUnit {
        /// Complete units.
        units: u32,
        /// Same seed, same bits.
        seed: u64,
    },
    /// It is complete, but its caller never hears of it.
    After,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimError {
    /// The address or length is no multiple of the unit.
    NotAligned,
    /// The range is not inside the flash.
    OutOfBounds,
    /// A write unit was programmed that had not been erased.
    ProgrammedTwice {
        /// Where.
        at: u32,
    },
    /// The power is gone.
    PowerLost,
    /// The place can't be written any more.
    WornOut,
    /// The file behind the flash failed.
    File(std::io::ErrorKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    Lost,
}

impl SimFlash {
    /// An erased flash of so many bytes, a multiple of 4096.
    pub fn new(len: u32) -> Self {
        Self::from_bytes(vec![0xFF; len as usize])
    }

    /// A flash with these contents.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let digests = vec![None; bytes.len().div_ceil(SECTOR as usize)];
        Self {
            bytes,
            counters: Counters::default(),
            cut: None,
            power: Power::On,
            misuse: Misuse::IsAnError,
            unstable: Vec::new(),
            noise: Random(1),
            faults: Vec::new(),
            log: Vec::new(),
            digests,
        }
    }

    /// The same flash, in which misuse panics.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { misuse: Misuse::Panics, ..self }
    }

    /// Makes a part of the flash fail.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Mends everything.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Whether an erasure of the sector at this offset was cut, so that nothing in it can be relied on.
    pub fn is_unstable(&self, offset: u32) -> bool {
        self.unstable.iter().any(|unstable| unstable.sector == offset / SECTOR)
    }

    /// Feeds all that decides what the flash does from now on to a hasher.
    pub fn hash_state(&mut self, hasher: &mut impl Hasher) {
        for (digest, sector) in self.digests.iter_mut().zip(self.bytes.chunks(SECTOR as usize)) {
            let digest = digest.get_or_insert_with(|| {
                let mut of_sector = DefaultHasher::new();
                of_sector.write(sector);
                of_sector.finish()
            });
            hasher.write_u64(*digest);
        }
        self.unstable.hash(hasher);
        self.faults.hash(hasher);
        if !self.unstable.is_empty() {
            self.noise.0.hash(hasher);
        }
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets bytes past all rules, as a programmer in the factory does.
    pub fn flash_externally(&mut self, offset: u32, bytes: &[u8]) {
        self.digests.fill(None);
        let place = self.bytes.iter_mut().skip(offset as usize);
        place.zip(bytes).for_each(|(place, byte)| *place = *byte);
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Plans a power cut; replaces an earlier plan.
    pub fn plan_cut(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// The operations that were begun since this was asked last.
    pub fn take_log(&mut self) -> Vec<Logged> {
        core::mem::take(&mut self.log)
    }

    /// Whether the power is gone.
    pub fn lost_power(&self) -> bool {
        self.power == Power::Lost
    }

    /// Gives the power back.
    pub fn restore_power(&mut self) {
        self.power = Power::On;
    }

    fn erase_sector(&mut self, offset: u32) -> Result<(), SimError> {
        let sector = offset / SECTOR;
        let start = offset as usize;
        let before = self.bytes.get(start..start.saturating_add(SECTOR as usize));
        // Only what comes out half erased is unstable; what was there before a second try was unstable already.
        let before = before.unwrap_or_default().to_vec();
        let erased = self.change(start, &[0xFF; SECTOR as usize], SECTOR as usize / 64);
        let now = self.bytes.get(start..start.saturating_add(SECTOR as usize)).unwrap_or_default();
        if now.iter().all(|byte| *byte == 0xFF) {
            self.unstable.retain(|unstable| unstable.sector != sector);
        } else if now != before && !self.is_unstable(offset) {
            self.unstable.push(Unstable { sector, before });
        }
        erased
    }

    /// What a read of unstable cells, or with a fault, gives in place of what should be there.
    fn misread(&mut self, offset: u32, into: &mut [u8]) {
        for unstable in &self.unstable {
            let first = unstable.sector.saturating_mul(SECTOR);
            for (byte, at) in into.iter_mut().zip(offset..) {
                let Some(before) = at.checked_sub(first).and_then(|at| unstable.before.get(at as usize))
                else {
                    continue;
                };
                // All bytes of a record go one way, so that whole records come and go.
                let mut random =
                    Random(self.noise.0 ^ u64::from(at / RECORD as u32).wrapping_mul(0x9E37_79B9));
                *byte = match random.next_byte() % 3 {
                    0 => *before,
                    1 => 0xFF,
                    _ => *before | Random(self.noise.0 ^ (u64::from(at) << 32)).next_byte(),
                };
            }
        }
        self.noise.next_byte();
        let range = offset..offset.saturating_add(into.len() as u32);
        for fault in &mut self.faults {
            if let Fault::MisreadsOnce { place, times } = fault
                && *times > 0
                && overlap(place, &range)
                && let Some(first) = into.first_mut()
            {
                *times = times.saturating_sub(1);
                *first ^= 1;
            }
        }
    }

    /// Passes an outcome on; a mistake of the caller panics if it is to.
    fn blame<T>(&self, outcome: Result<T, SimError>) -> Result<T, SimError> {
        match outcome {
            Err(error) if self.misuse == Misuse::Panics => panic!("the flash is misused: {error}"),
            outcome => outcome,
        }
    }

    /// Whether the operation that begins now is hit, and how. Counts it.
    fn begin_operation(&mut self) -> Result<Option<Moment>, SimError> {
        if self.power == Power::Lost {
            return Err(SimError::PowerLost);
        }
        let number = self.counters.operations;
        self.counters.operations = number.saturating_add(1);
        let moment = self.cut.filter(|cut| cut.operation == number).map(|cut| cut.moment);
        if moment.is_some() {
            self.power = Power::Lost;
            self.cut = None;
        }
        Ok(moment)
    }

    /// Changes `place` to `target`, as far as the power lasts.
    fn change(&mut self, at: usize, target: &[u8], unit: usize) -> Result<(), SimError> {
        let moment = self.begin_operation()?;
        let units = (unit == WRITE_UNIT).then_some((target.len() / unit) as u32);
        self.log.push(Logged { offset: at as u32, units });
        let end = at.saturating_add(target.len());
        let range = at as u32..end as u32;
        let sectors = at / SECTOR as usize..end.div_ceil(SECTOR as usize);
        self.digests.get_mut(sectors).unwrap_or_default().fill(None);
        let place = self.bytes.get_mut(at..end).ok_or(SimError::OutOfBounds)?;
        for fault in &self.faults {
            match fault {
                Fault::FailsToWrite(place) if overlap(place, &range) => return Err(SimError::WornOut),
                Fault::LosesWrites(place) if overlap(place, &range) => return Ok(()),
                _ => {}
            }
        }
        match moment {
            None | Some(Moment::After) => place.copy_from_slice(target),
            Some(Moment::Before) => {}
            Some(Moment::Prefix(units)) => {
                let done = (units as usize).saturating_mul(unit).min(target.len());
                place.iter_mut().zip(target).take(done).for_each(|(place, byte)| *place = *byte);
            }
            Some(Moment::RandomBits { seed }) => {
                Random(seed).mix(place, target);
            }
            Some(Moment::TornUnit { units, seed }) => {
                let done = (units as usize).saturating_mul(unit).min(target.len());
                let (whole, rest) = place.split_at_mut(done);
                let (target_whole, target_rest) = target.split_at(done);
                whole.copy_from_slice(target_whole);
                let torn = rest.len().min(unit);
                let torn = rest.iter_mut().zip(target_rest).take(torn);
                let mut random = Random(seed);
                torn.for_each(|(place, byte)| random.mix(slice::from_mut(place), slice::from_ref(byte)));
            }
        }
        moment.map_or(Ok(()), |_| Err(SimError::PowerLost))
    }
}

impl ErrorType for SimFlash {
    type Error = SimError;
}

impl ReadNorFlash for SimFlash {
    const READ_SIZE: usize = WRITE_UNIT;

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), SimError> {
        if self.power == Power::Lost {
            return Err(SimError::PowerLost);
        }
        self.blame(check(offset, into.len(), WRITE_UNIT))?;
        let start = offset as usize;
        let place = self.bytes.get(start..start.saturating_add(into.len())).ok_or(SimError::OutOfBounds);
        into.copy_from_slice(self.blame(place)?);
        self.misread(offset, into);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for SimFlash {
    const WRITE_SIZE: usize = WRITE_UNIT;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let len = to.checked_sub(from).ok_or(SimError::OutOfBounds)? as usize;
        self.blame(check(from, len, SECTOR as usize))?;
        for sector in (from..to).step_by(SECTOR as usize) {
            self.erase_sector(sector)?;
            self.counters.erased_sectors = self.counters.erased_sectors.saturating_add(1);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        self.blame(check(offset, bytes.len(), WRITE_UNIT))?;
        let start = offset as usize;
        let place = self.bytes.get(start..start.saturating_add(bytes.len())).ok_or(SimError::OutOfBounds);
        let place = self.blame(place)?;
        let is_unstable = self.is_unstable(offset);
        let units = place.chunks(WRITE_UNIT).zip(bytes.chunks(WRITE_UNIT));
        for ((before, after), at) in units.zip((offset..).step_by(WRITE_UNIT)) {
            // Writing FF over anything programs nothing.
            let programs = after.iter().any(|byte| *byte != 0xFF);
            if programs && !is_unstable && before.iter().any(|byte| *byte != 0xFF) {
                return self.blame(Err(SimError::ProgrammedTwice { at }));
            }
        }
        let target: Vec<u8> = place.iter().zip(bytes).map(|(before, after)| before & after).collect();
        self.change(start, &target, WRITE_UNIT)?;
        for unstable in self.unstable.iter_mut().filter(|unstable| unstable.sector == offset / SECTOR) {
            let place = unstable.before.iter_mut().skip(start % SECTOR as usize);
            place.zip(bytes).for_each(|(place, byte)| *place &= byte);
        }
        self.counters.writes = self.counters.writes.saturating_add(1);
        Ok(())
    }
}

/// A [`SimFlash`] whose contents are in a file.
///
/// Each operation is written through before it returns; the page cache of the operating system survives `kill -9` of the
/// process. Several processes must not share a file.
#[derive(Debug)]
pub struct FileFlash {
    flash: SimFlash,
    file: File,
}

impl FileFlash {
    /// Opens a flash file, or makes an erased one of `len` bytes.
    ///
    /// # Errors
    /// The file cannot be opened, or has another length.
    pub fn open(path: &Path, len: u32) -> std::io::Result<Self> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            bytes = vec![0xFF; len as usize];
            file.write_all(&bytes)?;
        }
        if bytes.len() != len as usize {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("it has {} bytes, and a flash {len}", bytes.len()),
            ));
        }
        Ok(Self { flash: SimFlash::from_bytes(bytes), file })
    }

    /// The flash: its counters, and cuts to come.
    pub fn sim(&mut self) -> &mut SimFlash {
        &mut self.flash
    }

    /// Sets bytes past all rules, as a programmer in the factory does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flash_externally(&mut self, offset: u32, bytes: &[u8]) -> std::io::Result<()> {
        self.flash.flash_externally(offset, bytes);
        self.save(offset, offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX)))
    }

    /// Writes what the operation changed, even if it failed halfway: a torn state must be the same after a restart.
    fn keep(&mut self, from: u32, to: u32, outcome: Result<(), SimError>) -> Result<(), SimError> {
        self.save(from, to).map_err(|error| SimError::File(error.kind()))?;
        outcome
    }

    fn save(&mut self, from: u32, to: u32) -> std::io::Result<()> {
        let changed = self.flash.bytes.get(from as usize..to as usize).unwrap_or_default();
        self.file.seek(SeekFrom::Start(u64::from(from)))?;
        self.file.write_all(changed)
    }
}

impl ErrorType for FileFlash {
    type Error = SimError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = WRITE_UNIT;

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), SimError> {
        self.flash.read(offset, into)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WRITE_UNIT;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let outcome = self.flash.erase(from, to);
        self.keep(from, to, outcome)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        let outcome = self.flash.write(offset, bytes);
        let end = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.keep(offset, end, outcome)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): enough chance for torn bits, and the same everywhere.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    /// Sets each bit of `place` to that of `target` or not.
    fn mix(&mut self, place: &mut [u8], target: &[u8]) {
        for (place, byte) in place.iter_mut().zip(target) {
            let changed = self.next_byte();
            *place = (*place & !changed) | (byte & changed);
        }
    }

    fn next_byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed >> 56).to_le_bytes()[0]
    }
}

fn overlap(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start < other.end && other.start < one.end
}

fn check(offset: u32, len: usize, unit: usize) -> Result<(), SimError> {
    let aligned = (offset as usize).is_multiple_of(unit) && len.is_multiple_of(unit);
    aligned.then_some(()).ok_or(SimError::NotAligned)
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl core::fmt::Display for SimError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAligned => write!(out, "the access is not aligned"),
            Self::OutOfBounds => write!(out, "the access is out of bounds"),
            Self::ProgrammedTwice { at } => {
                write!(out, "the write unit at {at:#x} was programmed without erasing it")
            }
            Self::PowerLost => write!(out, "the power is gone"),
            Self::WornOut => write!(out, "the flash is worn out"),
            Self::File(kind) => write!(out, "the flash file failed: {kind}"),
        }
    }
}

impl core::error::Error for SimError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programming_only_clears_bits_and_only_once() {
        let mut flash = SimFlash::new(SECTOR);

        flash.write(8, &[0xF0; 4]).unwrap();

        assert_eq!(flash.write(8, &[0x70; 4]), Err(SimError::ProgrammedTwice { at: 8 }));
        assert_eq!(flash.write(6, &[0; 4]), Err(SimError::NotAligned));
        assert_eq!(flash.write(SECTOR, &[0; 4]), Err(SimError::OutOfBounds));
        flash.erase(0, SECTOR).unwrap();
        assert_eq!(flash.write(8, &[0x70; 4]), Ok(()));
        assert_eq!(flash.counters(), Counters { operations: 3, writes: 2, erased_sectors: 1 });
    }

    #[test]
    fn a_cut_stops_the_operation_where_it_was_told_to() {
        let contents = |moment| {
            let mut flash = SimFlash::new(SECTOR);
            flash.plan_cut(Cut { operation: 0, moment });
            assert_eq!(flash.write(0, &[0; 16]), Err(SimError::PowerLost));
            assert_eq!(flash.read(0, &mut [0; 4]), Err(SimError::PowerLost));
            flash.restore_power();
            flash.bytes()[..16].to_vec()
        };

        assert_eq!(contents(Moment::Before), [0xFF; 16]);
        assert_eq!(contents(Moment::After), [0; 16]);
        assert_eq!(contents(Moment::Prefix(1)), [&[0; 4][..], &[0xFF; 12]].concat());
        let torn = contents(Moment::RandomBits { seed: 7 });
        assert!(torn != [0; 16] && torn != [0xFF; 16]);
        assert_eq!(torn, contents(Moment::RandomBits { seed: 7 }));
    }

    #[test]
    fn a_flash_file_keeps_even_what_a_cut_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.bin");
        let mut flash = FileFlash::open(&path, 2 * SECTOR).unwrap();
        flash.write(0, b"kept").unwrap();
        flash.sim().plan_cut(Cut { operation: 1, moment: Moment::Prefix(1) });
        assert!(flash.write(4, b"tornoff!").is_err());
        drop(flash);

        let mut flash = FileFlash::open(&path, 2 * SECTOR).unwrap();

        let mut bytes = [0; 12];
        flash.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"kepttorn\xFF\xFF\xFF\xFF");
        assert!(FileFlash::open(&path, SECTOR).is_err());
    }
}
