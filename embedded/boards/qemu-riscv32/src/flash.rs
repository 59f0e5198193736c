//! The NOR flash: two chips of 16 bits with Intel's commands (CFI), side by side.
//!
//! QEMU erases it by blocks of 256 KiB, and lets a program command set bits that are 0. The layout of ESP32-class devices has sectors of 4 KiB, so
//! an erasure here programs FF, sector by sector. All else is as on a real chip: a program command that would have to set a bit is
//! refused by this driver. While a command is under way nothing can be read, so no code that runs while the flash is written may lie in
//! it: boot loader and application run from RAM.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::FLASH_LEN;
use crate::register::Register;

const BASE: usize = 0x2000_0000;
/// The chips take so many bytes at a time, aligned.
const BUFFER: usize = 1024;
const SECTOR: usize = 4096;

const WRITE_TO_BUFFER: u32 = 0x00E8_00E8;
const CONFIRM: u32 = 0x00D0_00D0;
const READ_ARRAY: u32 = 0x00FF_00FF;
const CLEAR_STATUS: u32 = 0x0050_0050;
const READY: u32 = 0x0080_0080;
const FAILED: u32 = 0x0030_0030;

/// The flash. There is one; who has this value shares it with others that have one, in the same thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flash;

/// Why the flash refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The range is outside or not aligned.
    Range(NorFlashErrorKind),
    /// A bit that is 0 would have to become 1.
    NotErased,
    /// The chips report a failure.
    Failed,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Range(kind) => *kind,
            Self::NotErased | Self::Failed => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len()).map_err(FlashError::Range)?;
        for (at, byte) in (BASE + offset as usize..).zip(bytes) {
            // SAFETY: in bounds, and the flash is in the mode in which it can be read.
            *byte = unsafe { Register::<u8>::at(at) }.read();
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_LEN as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Range)?;
        (from..to).step_by(BUFFER).try_for_each(|at| program(at, &[0xFF; BUFFER]))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Range)?;
        for (at, byte) in (BASE + offset as usize..).zip(bytes) {
            // SAFETY: in bounds, and the flash is in the mode in which it can be read.
            if unsafe { Register::<u8>::at(at) }.read() & byte != *byte {
                return Err(FlashError::NotErased);
            }
        }
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let room = BUFFER - at as usize % BUFFER;
            let (now, later) = rest.split_at(room.min(rest.len()));
            program(at, now)?;
            at += now.len() as u32;
            rest = later;
        }
        Ok(())
    }
}

/// One command, within one buffer of the chips.
fn program(offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
    let at = BASE + offset as usize;
    // SAFETY: in bounds; the first word of what is programmed.
    let command = unsafe { Register::<u32>::at(at) };
    let words = bytes.len() / 4;
    command.write(WRITE_TO_BUFFER);
    let last = words as u32 - 1;
    command.write(last << 16 | last);
    for (word, at) in bytes.chunks_exact(4).zip((at..).step_by(4)) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        // SAFETY: in bounds.
        unsafe { Register::<u32>::at(at) }.write(word);
    }
    command.write(CONFIRM);
    let mut status = command.read();
    while status & READY != READY {
        status = command.read();
    }
    if status & FAILED != 0 {
        command.write(CLEAR_STATUS);
    }
    command.write(READ_ARRAY);
    if status & FAILED == 0 { Ok(()) } else { Err(FlashError::Failed) }
}

/// The bytes of the flash where the processor sees them; valid until the next command.
#[must_use]
pub fn mapped(offset: u32, len: u32) -> Option<&'static [u8]> {
    if offset.checked_add(len)? > FLASH_LEN {
        return None;
    }
    // SAFETY: in bounds. The flash is in the mode in which it can be read, but during a command, and there is one thread.
    Some(unsafe { core::slice::from_raw_parts((BASE + offset as usize) as *const u8, len as usize) })
}
