//! What a device has around it: here a register, for whatever goes in or out.

use core::ptr::{read_volatile, write_volatile};

/// A register of a device that doesn't exist.
pub(crate) const REGISTER: *mut u8 = 0x6000_0000 as *mut u8;

/// Memory, flash, storage and random numbers that cost nothing here: all are in the register.
pub(crate) struct Outside;

/// Puts bytes out, or takes them in.
#[inline(never)]
pub(crate) fn pass(bytes: &mut [u8]) -> usize {
    for byte in &mut *bytes {
        // SAFETY: never run.
        unsafe {
            write_volatile(REGISTER, *byte);
            *byte = read_volatile(REGISTER);
        }
    }
    bytes.first().copied().unwrap_or(0).into()
}

#[cfg(feature = "client")]
impl buoy_client::Storage for Outside {
    type Error = ();

    fn load(&mut self, _: u16, record: &mut [u8]) -> Result<Option<usize>, ()> {
        Ok(Some(pass(record)))
    }

    fn save(&mut self, _: u16, record: &[u8]) -> Result<(), ()> {
        write(record);
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), ()> {
        Ok(())
    }
}

#[cfg(feature = "client")]
#[inline(never)]
fn write(bytes: &[u8]) {
    bytes.iter().for_each(|byte| {
        pass(&mut [*byte]);
    });
}

impl rand_core::TryRng for Outside {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        pass(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        pass(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        pass(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Outside {}

#[cfg(feature = "update")]
mod flash {
    use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

    use super::{Outside, pass, write};

    impl ErrorType for Outside {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Outside {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            write(&offset.to_le_bytes());
            pass(bytes);
            Ok(())
        }

        fn capacity(&self) -> usize {
            4 << 20
        }
    }

    impl NorFlash for Outside {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 4096;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            write(&from.to_le_bytes());
            write(&to.to_le_bytes());
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            write(&offset.to_le_bytes());
            write(bytes);
            Ok(())
        }
    }
}
