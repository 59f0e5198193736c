//! Where firmware goes: the slots of the flash, and what the last run knows of how a trial ended.

use buoy_client::firmware::ota::OtaTarget;
use buoy_client::firmware::{FirmwareTarget, FirmwareUpdate, Outcome, Package, UpdateResult};
use buoy_ota::confirm::ConfirmError;
use buoy_ota::device::Device;
use buoy_ota::installer::InstallError;
use buoy_ota::slots::Slot;
use embedded_storage::nor_flash::NorFlash;

use crate::retained::{End, LastRun};

/// Object 5 over the flash.
pub(crate) type Firmware<F> = FirmwareUpdate<Target<F>>;

/// The slots.
pub(crate) struct Target<F> {
    slots: OtaTarget<'static, F>,
    /// Of another version than this one: of the image that was tried.
    trial: Option<&'static str>,
}

impl<F: NorFlash> Target<F> {
    pub(crate) fn new(
        flash: F,
        device: Device<'static>,
        running: Slot,
        version: &str,
        last: &LastRun,
    ) -> Self {
        let is_other = last.version() != version;
        let trial = match last.end {
            Some(End::Panic | End::Fault) => Some("the new image crashed in its trials"),
            Some(End::NotRegistered) => Some("the new image could not register in its trials"),
            Some(End::Running) if last.by_watchdog => {
                Some("the new image hung in its trials, and the watchdog ended it")
            }
            _ => None,
        };
        Self { slots: OtaTarget::new(flash, device, running), trial: trial.filter(|_| is_other) }
    }

    /// The slot that fills, its bytes, and how many there will be.
    pub(crate) fn filling(&self) -> Option<(Slot, u32, Option<u32>)> {
        self.slots.filling()
    }

    /// Why the last package was refused.
    pub(crate) fn last_error(&self) -> Option<&InstallError> {
        self.slots.last_error()
    }

    pub(crate) fn reject(&mut self) -> Result<(), ConfirmError> {
        self.slots.reject()
    }
}

impl<F: NorFlash> FirmwareTarget for Target<F> {
    fn begin(&mut self, package: &Package<'_>) -> Result<(), UpdateResult> {
        self.trial = None;
        self.slots.begin(package)
    }

    fn resume(&mut self, package: &Package<'_>) -> Option<u32> {
        self.slots.resume(package)
    }

    fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UpdateResult> {
        self.slots.chunk(offset, bytes)
    }

    fn needs_signature(&self) -> bool {
        self.slots.needs_signature()
    }

    fn signature(&mut self, signature: &[u8]) -> Result<(), UpdateResult> {
        self.slots.signature(signature)
    }

    fn finish(&mut self) -> Result<(), UpdateResult> {
        self.slots.finish()
    }

    fn activate(&mut self) -> Result<(), UpdateResult> {
        self.slots.activate()
    }

    fn abort(&mut self) {
        self.slots.abort();
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.slots.outcome()
    }

    fn failure_reason(&mut self) -> Option<&'static str> {
        let reason = self.slots.failure_reason()?;
        Some(self.trial.unwrap_or(reason))
    }

    fn confirm(&mut self) -> Result<(), UpdateResult> {
        self.slots.confirm()
    }

    fn mark_reported(&mut self) {
        self.slots.mark_reported();
    }

    fn package_info(&self) -> Option<(&str, &str)> {
        self.slots.package_info()
    }
}
