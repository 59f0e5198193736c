//! The boot decision of an application that another boot loader has started, such as ESP-IDF's.
//!
//! Such a boot loader follows otadata, and knows neither our signatures nor our attempts. So the application decides once more in its first
//! lines, by [`boot::decide`], which counts this start and authenticates the image. If another image is to run, otadata is made to say so, and
//! the chip is reset. What the boot loader itself gives up, as ESP-IDF's does with roll-back enabled, is given up here too.
//!
//! An image that crashes before these lines is not counted. That is left to the boot loader.

use embedded_storage::nor_flash::NorFlash;

use crate::boot::{self, Attempts, BootDecision, BootError, BootReason};
use crate::confirm;
use crate::device::Device;
use crate::flash::FlashFault;
use crate::otadata::{Entry, EntryState, OtaData, Sequence};
use crate::slots::Slot;

/// What the application does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one, and a device has no allocator to box it with")]
pub enum Verdict {
    /// It runs on: it is the image to run.
    Run(BootDecision),
    /// It resets the chip: the image in this slot is to run in its place.
    Restart {
        /// Where that image is.
        into: Slot,
    },
}

/// Decides whether the application in `running` is the one to run.
///
/// # Errors
/// [`BootError`], as of [`boot::decide`]. Reset and try again.
pub fn decide<F: NorFlash>(
    flash: &mut F,
    device: &Device<'_>,
    attempts: Attempts,
    running: Slot,
) -> Result<Verdict, BootError> {
    let mut decision = boot::decide(flash, device, attempts)?;
    if decision.slot() != running
        && let BootReason::Trial { attempt, .. } = decision.reason
        && attempt > 1
    {
        // Otadata has named it before, and the boot loader has started another: it has given the image up.
        let _unwritten = confirm::reject(flash, device, decision.slot());
        decision = boot::decide(flash, device, attempts)?;
    }
    if decision.slot() == running {
        return Ok(Verdict::Run(decision));
    }
    steer(flash, device, decision.slot())?;
    Ok(Verdict::Restart { into: decision.slot() })
}

/// Makes otadata name a slot.
fn steer<F: NorFlash>(flash: &mut F, device: &Device<'_>, into: Slot) -> Result<(), FlashFault> {
    let region = device.layout.otadata();
    let mut otadata = OtaData::read(flash, region)?;
    let slots = device.layout.ota_count();
    let named = otadata.selected().and_then(|(_, entry)| entry.sequence.slot(slots)).map(Slot::Ota);
    match into {
        Slot::Ota(_) if named == Some(into) => Ok(()),
        Slot::Ota(number) => {
            let Some(sequence) = Sequence::next(otadata.highest(), number, slots) else { return Ok(()) };
            otadata.write(flash, region, otadata.spare(), Entry::new(sequence, EntryState::Valid))
        }
        // Without a choice the boot loader starts the factory's image.
        Slot::Factory if named.is_none() => Ok(()),
        Slot::Factory => region.erase_all(flash),
    }
}
