//! A bounded piece of NOR flash, addressed from its own start.
//!
//! Everything that this crate reads or writes goes through a [`Region`], so that no offset out of a corrupted table can
//! reach a neighbour. Sectors and write units follow the ESP32: erase 4096 bytes, program 4 bytes (up to 32 when flash
//! encryption is on), program each unit once.

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

/// Bytes that one erase clears at least.
pub const SECTOR: u32 = 4096;

/// Bytes that every record is a multiple of: the coarsest write unit that an ESP32 asks for (flash encryption).
pub const RECORD: usize = 32;

/// A range of the flash: `offset` and `len` in bytes, both multiples of [`SECTOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    offset: u32,
    len: u32,
}

/// What the flash was asked to do when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading bytes.
    Read,
    /// Programming bytes.
    Write,
    /// Erasing sectors.
    Erase,
}

/// The flash driver refused or failed an operation, or the operation left its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashFault {
    /// What was asked.
    pub operation: Operation,
    /// Where, in bytes from the start of the flash.
    pub at: u32,
    /// What the driver said.
    pub kind: NorFlashErrorKind,
}

impl Region {
    /// A region of whole sectors; `None` if it is empty, not aligned, or reaches past 4 GiB.
    pub const fn new(offset: u32, len: u32) -> Option<Self> {
        let aligned = offset.is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR) && len > 0;
        if aligned && offset.checked_add(len).is_some() { Some(Self { offset, len }) } else { None }
    }

    /// First byte, from the start of the flash.
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Number of sectors.
    pub const fn sectors(&self) -> u32 {
        self.len / SECTOR
    }

    /// First byte after the region.
    pub const fn end(&self) -> u32 {
        self.offset.saturating_add(self.len)
    }

    /// `count` sectors of this region from its sector `first`; `None` if they are not all inside.
    pub fn part(&self, first: u32, count: u32) -> Option<Self> {
        let offset = first.checked_mul(SECTOR)?;
        let len = count.checked_mul(SECTOR)?;
        (offset.checked_add(len)? <= self.len).then_some(())?;
        Self::new(self.offset.checked_add(offset)?, len)
    }

    /// Reads `into.len()` bytes from `at`. Both must be multiples of the driver's read unit.
    ///
    /// # Errors
    /// The driver's fault, or out of bounds.
    pub fn read<F: NorFlash>(&self, flash: &mut F, at: u32, into: &mut [u8]) -> Result<(), FlashFault> {
        let address = self.address(Operation::Read, at, into.len())?;
        flash.read(address, into).map_err(|error| FlashFault {
            operation: Operation::Read,
            at: address,
            kind: error.kind(),
        })
    }

    /// Programs `bytes` at `at`. Both must be multiples of the driver's write unit, and the place erased.
    ///
    /// # Errors
    /// The driver's fault, or out of bounds.
    pub fn write<F: NorFlash>(&self, flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        let address = self.address(Operation::Write, at, bytes.len())?;
        flash.write(address, bytes).map_err(|error| FlashFault {
            operation: Operation::Write,
            at: address,
            kind: error.kind(),
        })
    }

    /// Erases the sector `sector` of this region.
    ///
    /// # Errors
    /// The driver's fault, or out of bounds.
    pub fn erase_sector<F: NorFlash>(&self, flash: &mut F, sector: u32) -> Result<(), FlashFault> {
        let at = sector.saturating_mul(SECTOR);
        let from = self.address(Operation::Erase, at, SECTOR as usize)?;
        flash.erase(from, from.saturating_add(SECTOR)).map_err(|error| FlashFault {
            operation: Operation::Erase,
            at: from,
            kind: error.kind(),
        })
    }

    /// Erases every sector of this region, from the first to the last.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn erase_all<F: NorFlash>(&self, flash: &mut F) -> Result<(), FlashFault> {
        (0..self.sectors()).try_for_each(|sector| self.erase_sector(flash, sector))
    }

    fn address(&self, operation: Operation, at: u32, len: usize) -> Result<u32, FlashFault> {
        let inside =
            u32::try_from(len).ok().and_then(|len| at.checked_add(len)).is_some_and(|end| end <= self.len);
        let address = self.offset.saturating_add(at);
        inside.then_some(address).ok_or(FlashFault {
            operation,
            at: address,
            kind: NorFlashErrorKind::OutOfBounds,
        })
    }
}

impl core::fmt::Display for FlashFault {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let verb = match self.operation {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Erase => "erase",
        };
        write!(out, "the flash failed to {verb} at {:#x}: {}", self.at, self.kind)
    }
}

impl core::error::Error for FlashFault {}
