//! The flash, by the routines in the chip's ROM.

use core::cell::RefCell;

use critical_section::Mutex;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use esp_hal::peripherals::FLASH;
use esp_storage::{FlashStorage, FlashStorageError};

use crate::FLASH_LEN;

static DRIVER: Mutex<RefCell<Option<FlashStorage<'static>>>> = Mutex::new(RefCell::new(None));

/// The flash. There is one; values of this type share it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flash;

/// Makes the flash ready. Once, before anything else here.
pub fn start(peripheral: FLASH<'static>) {
    let driver = FlashStorage::new(peripheral);
    critical_section::with(|section| DRIVER.borrow_ref_mut(section).replace(driver));
}

/// The routines have interrupts off anyway, since they can't be interrupted by code that lies in the flash.
fn with<T>(
    work: impl FnOnce(&mut FlashStorage<'static>) -> Result<T, FlashStorageError>,
) -> Result<T, FlashStorageError> {
    critical_section::with(|section| match DRIVER.borrow_ref_mut(section).as_mut() {
        Some(driver) => work(driver),
        None => Err(FlashStorageError::IoError),
    })
}

impl ErrorType for Flash {
    type Error = FlashStorageError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashStorageError> {
        with(|driver| driver.read_nor(offset, bytes))
    }

    fn capacity(&self) -> usize {
        FLASH_LEN as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashStorageError> {
        // Sector by sector: what waits, waits for one of them.
        (from..to)
            .step_by(Self::ERASE_SIZE)
            .try_for_each(|at| with(|driver| driver.erase(at, at + Self::ERASE_SIZE as u32)))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashStorageError> {
        with(|driver| driver.write_nor(offset, bytes))
    }
}

/// Where in the flash the running image lies: the first entry of the flash cache's table, which maps pages of 64 KiB.
#[must_use]
pub fn running_offset() -> u32 {
    const TABLE: usize = if cfg!(feature = "esp32") { 0x3FF1_0000 } else { 0x600C_5000 };
    // SAFETY: a register that can be read at any time.
    let entry = unsafe { (TABLE as *const u32).read_volatile() };
    (entry & 0xFF) << 16
}
