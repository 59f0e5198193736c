//! Programs for chips: from the linker's file to what an image carries.

use std::fmt;

use buoy_ota::host::Program;
use object::{Object, ObjectSegment};

/// The app descriptor stands in the first bytes of the memory, as in ESP-IDF's images.
const DESCRIPTOR: usize = 256;

/// Why a file is no program for a chip.
#[derive(Debug)]
pub(super) enum ElfError {
    /// It is no ELF file.
    NotElf(object::Error),
    /// It is for processors with addresses of 64 bits.
    Not32Bits,
    /// Nothing in it is loaded.
    Empty,
    /// It has no room for the app descriptor in front.
    NoDescriptor(u64),
    /// An address is no address of 32 bits.
    Address(u64),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(error) => write!(f, "it is no ELF file ({error}); name what the linker wrote"),
            Self::Not32Bits => f.write_str("it is a program for 64 bits; an image holds one for 32"),
            Self::Empty => {
                f.write_str("nothing in it is loaded into memory; is its linker script the board's?")
            }
            Self::NoDescriptor(address) => write!(
                f,
                "its memory begins at {address:#x} without the {DESCRIPTOR} bytes for the app descriptor, which must be zero; have the \
                 linker script put a section of that length first"
            ),
            Self::Address(address) => write!(f, "{address:#x} is no address of 32 bits"),
        }
    }
}

impl std::error::Error for ElfError {}

/// Reads a program out of an ELF file.
pub(super) fn program(elf: &[u8]) -> Result<Program, ElfError> {
    let file = object::File::parse(elf).map_err(ElfError::NotElf)?;
    if file.is_64() {
        return Err(ElfError::Not32Bits);
    }
    let address = |address: u64| u32::try_from(address).map_err(|_| ElfError::Address(address));
    let mut segments = Vec::new();
    for segment in file.segments() {
        let bytes = segment.data().map_err(ElfError::NotElf)?;
        if !bytes.is_empty() {
            segments.push((address(segment.address())?, bytes.to_vec()));
        }
    }
    segments.sort_unstable_by_key(|(address, _)| *address);
    let (first, bytes) = segments.first_mut().ok_or(ElfError::Empty)?;
    let descriptor_at = *first;
    let room = bytes.get(..DESCRIPTOR).filter(|room| room.iter().all(|byte| *byte == 0));
    room.ok_or(ElfError::NoDescriptor(descriptor_at.into()))?;
    bytes.drain(..DESCRIPTOR);
    *first += DESCRIPTOR as u32;
    segments.retain(|(_, bytes)| !bytes.is_empty());
    Ok(Program { entry: address(file.entry())?, descriptor_at, segments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_program_for_a_chip_is_refused_with_the_reason() {
        let refused = |bytes: &[u8]| program(bytes).unwrap_err().to_string();
        assert!(refused(b"\xe9\x02 an image").starts_with("it is no ELF file"));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(refused(&own).contains("64 bits"));
    }
}
