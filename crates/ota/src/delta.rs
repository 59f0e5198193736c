//! Deltas: a new image told as a change of the one that runs (ADR 15).
//!
//! A delta package is a header, the envelope of the new image as in a [container](crate::container), and instructions that rebuild the new
//! image from the old one. Numbers of the header are little-endian:
//!
//! | Offset | Bytes | |
//! |---|---|---|
//! | 0 | 8 | `42 55 4F 59 46 44 00 01`: "BUOYFD", 0, format 1 |
//! | 8 | 4 | length of the old image file |
//! | 12 | 4 | length of the instructions |
//! | 16 | 32 | SHA-256 of the old image file |
//! | 48 | 12 | 0 |
//! | 60 | 4 | CRC-32 of everything before |
//! | 64 | | the envelope, then the instructions |
//!
//! An instruction is a number in groups of seven bits, low groups first, with bit 7 on all but the last. Its two low bits say what is done, and
//! the rest how often:
//!
//! | Bits | | |
//! |---|---|---|
//! | 0 | copy | so many bytes of the old image |
//! | 1 | add | so many bytes follow; each is added to one of the old image |
//! | 2 | insert | so many bytes follow, which are new |
//! | 3 | seek | the place in the old image moves by `n/2` forward if `n` is even, by `(n+1)/2` back if it is odd |
//!
//! The header and the instructions are not signed: whatever they make is verified by the signature of the new image, as if it had come whole.

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::{crc32, le_u32, put, take};
use crate::flash::{FlashFault, RECORD, Region};
use crate::image::Digest;

/// The first bytes of a delta package.
pub const MAGIC: [u8; 8] = *b"BUOYFD\x00\x01";

/// Bytes of the header.
pub const HEADER_LEN: usize = 64;

/// Bytes that are made at once, at most.
pub(crate) const STEP: usize = 64;

/// What a delta is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaHeader {
    /// Bytes of the old image file.
    pub base_len: u32,
    /// SHA-256 of the old image file.
    pub base: Digest,
    /// Bytes of the instructions.
    pub stream_len: u32,
}

/// Why a delta can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaError {
    /// The header is damaged, or of a later format.
    BadHeader,
    /// An instruction reaches out of the old or the new image, or is none.
    BadInstruction,
    /// It is made for another image than the one that runs.
    OtherBase,
}

/// Where in the instructions, and in the old image, the work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applier {
    base_len: u32,
    /// Bytes of the instructions that were used up.
    consumed: u32,
    old_at: u32,
    work: Work,
    /// So many bytes of the new image are still to be made by it.
    remaining: u32,
    /// The bits of a number whose end has not come yet.
    number: u32,
    shift: u8,
}

/// What is done at a place between two instructions or in the middle of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) consumed: u32,
    pub(crate) old_at: u32,
    pub(crate) work: Work,
    pub(crate) remaining: u32,
}

impl Place {
    /// Before the first instruction.
    pub(crate) const START: Self = Self { consumed: 0, old_at: 0, work: Work::Insert, remaining: 0 };
}

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Copy = 0,
    Add = 1,
    Insert = 2,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the instructions that it used.
    pub(crate) used: usize,
    /// Bytes of the new image that it made.
    pub(crate) made: usize,
}

impl DeltaHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`DeltaError::BadHeader`].
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, DeltaError> {
        let header = Self::fields(bytes).ok_or(DeltaError::BadHeader)?;
        (header.to_bytes() == *bytes).then_some(header).ok_or(DeltaError::BadHeader)
    }

    fn fields(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        Some(Self {
            base_len: le_u32(bytes, 8)?,
            stream_len: le_u32(bytes, 12)?,
            base: Digest(take(bytes, 16)?),
        })
    }

    /// Writes a header.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let _fits = put(&mut bytes, 0, &MAGIC)
            && put(&mut bytes, 8, &self.base_len.to_le_bytes())
            && put(&mut bytes, 12, &self.stream_len.to_le_bytes())
            && put(&mut bytes, 16, &self.base.0);
        let crc = crc32(bytes.get(..HEADER_LEN - 4).unwrap_or_default());
        let _fits = put(&mut bytes, HEADER_LEN - 4, &crc.to_le_bytes());
        bytes
    }
}

impl Applier {
    pub(crate) const fn new(base_len: u32) -> Self {
        let work = Work::Insert;
        Self { base_len, consumed: 0, old_at: 0, work, remaining: 0, number: 0, shift: 0 }
    }

    /// Goes on at a place that was noted.
    pub(crate) const fn at(base_len: u32, place: Place) -> Self {
        let Place { consumed, old_at, work, remaining } = place;
        Self { base_len, consumed, old_at, work, remaining, number: 0, shift: 0 }
    }

    /// Where the work stands; `None` in the middle of a number.
    pub(crate) const fn place(&self) -> Option<Place> {
        let Self { consumed, old_at, work, remaining, .. } = *self;
        if self.shift == 0 { Some(Place { consumed, old_at, work, remaining }) } else { None }
    }

    /// Bytes of the instructions that were used up.
    pub(crate) const fn consumed(&self) -> u32 {
        self.consumed
    }

    /// Does the next piece of work: uses bytes of `input`, and makes at most `out.len()` bytes of the new image from the old one in `base`.
    ///
    /// # Errors
    /// [`DeltaError::BadInstruction`], or the flash can't be read.
    pub(crate) fn step<F: NorFlash>(
        &mut self,
        flash: &mut F,
        base: Region,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        if self.remaining == 0 {
            let used = self.read_instruction(input)?;
            self.consumed = self.consumed.saturating_add(used as u32);
            return Ok(Step { used, made: 0 });
        }
        let mut made = out.len().min(STEP).min(self.remaining as usize);
        if self.work != Work::Copy {
            made = made.min(input.len());
        }
        let out = out.get_mut(..made).unwrap_or_default();
        if self.work != Work::Insert {
            read_base(flash, base, self.old_at, out)?;
            self.old_at = self.old_at.saturating_add(made as u32);
        }
        for (byte, new) in out.iter_mut().zip(input) {
            match self.work {
                Work::Copy => break,
                Work::Add => *byte = byte.wrapping_add(*new),
                Work::Insert => *byte = *new,
            }
        }
        self.remaining = self.remaining.saturating_sub(made as u32);
        let used = if self.work == Work::Copy { 0 } else { made };
        self.consumed = self.consumed.saturating_add(used as u32);
        Ok(Step { used, made })
    }

    /// Whether the next step needs bytes of the package.
    pub(crate) const fn needs_input(&self) -> bool {
        self.remaining == 0 || !matches!(self.work, Work::Copy)
    }

    fn read_instruction(&mut self, input: &[u8]) -> Result<usize, DeltaError> {
        let mut used = 0_usize;
        for byte in input {
            used = used.saturating_add(1);
            let bits = u32::from(byte & 0x7F);
            let shifted =
                bits.checked_shl(u32::from(self.shift)).filter(|shifted| shifted >> self.shift == bits);
            self.number |= shifted.ok_or(DeltaError::BadInstruction)?;
            if byte & 0x80 != 0 {
                self.shift = self.shift.saturating_add(7);
                continue;
            }
            let number = core::mem::take(&mut self.number);
            self.shift = 0;
            self.begin(number)?;
            break;
        }
        Ok(used)
    }

    fn begin(&mut self, number: u32) -> Result<(), DeltaError> {
        let count = number >> 2;
        self.work = match number & 3 {
            0 => Work::Copy,
            1 => Work::Add,
            2 => Work::Insert,
            _ => {
                let by = count.div_ceil(2);
                let moved =
                    if count & 1 == 0 { self.old_at.checked_add(by) } else { self.old_at.checked_sub(by) };
                self.old_at = moved.filter(|at| *at <= self.base_len).ok_or(DeltaError::BadInstruction)?;
                return Ok(());
            }
        };
        // An instruction that makes nothing would let a delta go on for ever.
        let makes_something = count > 0;
        let end = self.old_at.checked_add(count);
        let inside = self.work == Work::Insert || end.is_some_and(|end| end <= self.base_len);
        (makes_something && inside).then_some(()).ok_or(DeltaError::BadInstruction)?;
        self.remaining = count;
        Ok(())
    }
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Delta(DeltaError),
    Storage(FlashFault),
}

/// Reads any bytes of the old image: drivers read whole units only.
fn read_base<F: NorFlash>(flash: &mut F, base: Region, at: u32, out: &mut [u8]) -> Result<(), FlashFault> {
    let skip = at as usize % RECORD;
    let mut window = [0; STEP + 2 * RECORD];
    let len = skip.saturating_add(out.len()).next_multiple_of(RECORD);
    let window = window.get_mut(..len).unwrap_or_default();
    base.read(flash, at.saturating_sub(skip as u32), window)?;
    let found = window.iter().skip(skip);
    out.iter_mut().zip(found).for_each(|(byte, found)| *byte = *found);
    Ok(())
}

impl Work {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Copy),
            1 => Some(Self::Add),
            2 => Some(Self::Insert),
            _ => None,
        }
    }
}

impl From<DeltaError> for Failure {
    fn from(error: DeltaError) -> Self {
        Self::Delta(error)
    }
}

impl From<FlashFault> for Failure {
    fn from(fault: FlashFault) -> Self {
        Self::Storage(fault)
    }
}

impl core::fmt::Display for DeltaError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::BadHeader => "the delta's header is damaged, or of a format that is not known here",
            Self::BadInstruction => "the delta is damaged: an instruction reaches out of its images",
            Self::OtherBase => {
                "the delta is made for another image than the one that runs; send the whole image"
            }
        })
    }
}

impl core::error::Error for DeltaError {}
