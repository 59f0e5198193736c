//! Settings that were made where the device stands: lines that take the place of the factory's, in a partition of their own.
//!
//! They outlive a factory reset that a server orders, since nobody may be there to make them again. Who holds the button of the device clears
//! them too.

use buoy_ota::partition::{PartitionTable, TABLE_LEN, TABLE_OFFSET};
use embedded_storage::nor_flash::NorFlash;

use crate::store::{Key, Store};
use buoy_client::Storage as _;

/// The most bytes of lines.
pub const LEN: usize = 1024;
/// The name of the partition.
const PARTITION: &str = "storage";

/// The flash failed, or has no partition `storage` of two sectors or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetupError;

/// Reads the lines; `None` if none were made.
///
/// # Errors
/// [`SetupError`].
pub fn load<F: NorFlash>(
    flash: F,
    flash_len: u32,
    into: &mut [u8; LEN],
) -> Result<Option<usize>, SetupError> {
    open(flash, flash_len)?.get(Key::Setup, into).map_err(|_| SetupError)
}

/// Saves lines in place of those that are there.
///
/// # Errors
/// [`SetupError`]; those of before hold.
pub fn save<F: NorFlash>(flash: F, flash_len: u32, lines: &[u8]) -> Result<(), SetupError> {
    open(flash, flash_len)?.put(Key::Setup, lines).map_err(|_| SetupError)
}

/// Forgets the lines.
///
/// # Errors
/// [`SetupError`].
pub fn clear<F: NorFlash>(flash: F, flash_len: u32) -> Result<(), SetupError> {
    // A password is not only forgotten, but erased.
    open(flash, flash_len)?.wipe().map_err(|_| SetupError)
}

fn open<F: NorFlash>(mut flash: F, flash_len: u32) -> Result<Store<F>, SetupError> {
    let mut bytes = [0; TABLE_LEN];
    flash.read(TABLE_OFFSET, &mut bytes).map_err(|_| SetupError)?;
    let table = PartitionTable::parse(&bytes, flash_len).map_err(|_| SetupError)?;
    let region = table.labelled(PARTITION).ok_or(SetupError)?.region;
    Store::new(flash, region).ok_or(SetupError)
}
