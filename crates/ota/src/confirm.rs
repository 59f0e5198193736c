//! Keeping or giving up the running image, and what became of the last update.
//!
//! Confirm only after the image has proved itself: its own test passed, and it has registered with the server. Confirming
//! is one record in the [ledger](crate::ledger), which makes the image permanent and raises the security counter at once;
//! otadata's VALID follows.

use embedded_storage::nor_flash::NorFlash;

use crate::device::Device;
use crate::flash::FlashFault;
use crate::ledger::{Cause, Fact, Ledger, Reported, Standing};
use crate::otadata::{Entry, EntryState, OtaData};
use crate::safeguard::{Safeguard, on};
use crate::slots::Slot;
use crate::version::SecurityCounter;

/// What confirming did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// The image was on trial and is permanent now.
    Confirmed {
        /// The device's security counter from now on.
        counter: SecurityCounter,
    },
    /// There was nothing to do: the image is the factory's, or was confirmed before.
    AlreadyConfirmed,
}

/// What became of the last update, until [`mark_reported`] says that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The image is being tried.
    OnTrial {
        /// Where it is.
        slot: Slot,
    },
    /// The image is running for good: Update Result 1.
    Succeeded {
        /// Where it is.
        slot: Slot,
    },
    /// The image was given up: Update Result 8.
    RolledBack {
        /// Where it was.
        slot: Slot,
        /// Why.
        cause: Cause,
    },
}

/// Why the running image is neither confirmed nor given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The image was not started as a trial by [`crate::boot::decide`].
    NotOnTrial,
    /// The image has been given up already.
    Rejected(Cause),
    /// The flash failed; the image may or may not be confirmed. Ask again.
    Storage(FlashFault),
}

/// Makes the running image permanent and raises the device's security counter to the image's.
///
/// # Errors
/// [`ConfirmError`].
pub fn confirm<F: NorFlash>(
    flash: &mut F,
    device: &Device<'_>,
    running: Slot,
) -> Result<Confirmation, ConfirmError> {
    let Slot::Ota(slot) = running else {
        return Ok(Confirmation::AlreadyConfirmed);
    };
    let mut ledger = Ledger::load(flash, device.layout.ledger())?;
    let facts = *ledger.slot(running).ok_or(ConfirmError::NotOnTrial)?;
    match facts.standing {
        Standing::Confirmed { .. } => return Ok(Confirmation::AlreadyConfirmed),
        Standing::Rejected(cause) if on(Safeguard::RejectedStaysRejected) => {
            return Err(ConfirmError::Rejected(cause));
        }
        Standing::Rejected(_) => {
            let counter = ledger.floor();
            ledger.append(flash, Fact::Confirmed { slot, fingerprint: facts.fingerprint, counter })?;
        }
        Standing::Trial { attempts: 0, .. } => return Err(ConfirmError::NotOnTrial),
        Standing::Trial { counter, .. } => {
            ledger.append(flash, Fact::Confirmed { slot, fingerprint: facts.fingerprint, counter })?;
        }
    }
    // The ledger decides; otadata is a copy for ESP-IDF's tools, which the next start brings up to date if this fails.
    let _unwritten = mark_valid(flash, device, facts.sequence);
    Ok(Confirmation::Confirmed { counter: ledger.floor() })
}

/// Gives the running image up, because it failed its own test; the next reset starts the last confirmed one.
///
/// # Errors
/// [`ConfirmError::NotOnTrial`] if the image is confirmed or the factory's.
pub fn reject<F: NorFlash>(flash: &mut F, device: &Device<'_>, running: Slot) -> Result<(), ConfirmError> {
    let Slot::Ota(slot) = running else {
        return Err(ConfirmError::NotOnTrial);
    };
    let mut ledger = Ledger::load(flash, device.layout.ledger())?;
    let facts = *ledger.slot(running).ok_or(ConfirmError::NotOnTrial)?;
    match facts.standing {
        Standing::Confirmed { .. } => Err(ConfirmError::NotOnTrial),
        Standing::Rejected(_) => Ok(()),
        Standing::Trial { .. } => {
            let cause = Cause::SelfTestFailed;
            Ok(ledger.append(flash, Fact::Rejected { slot, fingerprint: facts.fingerprint, cause })?)
        }
    }
}

/// What became of the last update, if the server has not been told yet.
///
/// # Errors
/// The flash cannot be read.
pub fn outcome<F: NorFlash>(flash: &mut F, device: &Device<'_>) -> Result<Option<UpdateOutcome>, FlashFault> {
    let ledger = Ledger::load(flash, device.layout.ledger())?;
    let unreported = ledger.latest().filter(|(_, facts)| facts.reported == Reported::No);
    Ok(unreported.map(|(slot, facts)| match facts.standing {
        Standing::Trial { .. } => UpdateOutcome::OnTrial { slot },
        Standing::Confirmed { .. } => UpdateOutcome::Succeeded { slot },
        Standing::Rejected(cause) => UpdateOutcome::RolledBack { slot, cause },
    }))
}

/// Notes that the server has acknowledged the outcome of the last update.
///
/// # Errors
/// The flash failed; the outcome may be reported once more.
pub fn mark_reported<F: NorFlash>(flash: &mut F, device: &Device<'_>) -> Result<(), FlashFault> {
    let mut ledger = Ledger::load(flash, device.layout.ledger())?;
    let latest = ledger.latest().map(|(slot, facts)| (slot, *facts));
    match latest {
        Some((Slot::Ota(slot), facts)) if facts.reported == Reported::No => {
            ledger.append(flash, Fact::Reported { slot, fingerprint: facts.fingerprint })
        }
        _ => Ok(()),
    }
}

fn mark_valid<F: NorFlash>(
    flash: &mut F,
    device: &Device<'_>,
    sequence: crate::otadata::Sequence,
) -> Result<(), FlashFault> {
    let region = device.layout.otadata();
    let mut otadata = OtaData::read(flash, region)?;
    match otadata.with_sequence(sequence) {
        Some((half, entry)) => {
            otadata.write(flash, region, half, Entry { state: EntryState::Valid, ..entry })
        }
        None => Ok(()),
    }
}

impl UpdateOutcome {
    /// The Update Result of LwM2M's Firmware Update object (Object 5, resource 5); `None` while it is open.
    pub fn update_result(&self) -> Option<u8> {
        match self {
            Self::OnTrial { .. } => None,
            Self::Succeeded { .. } => Some(1),
            Self::RolledBack { .. } => Some(8),
        }
    }
}

impl From<FlashFault> for ConfirmError {
    fn from(fault: FlashFault) -> Self {
        Self::Storage(fault)
    }
}

impl core::fmt::Display for ConfirmError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotOnTrial => write!(out, "the running image is not on trial"),
            Self::Rejected(cause) => write!(out, "the running image was given up: {cause}"),
            Self::Storage(fault) => fault.fmt(out),
        }
    }
}

impl core::error::Error for ConfirmError {}
