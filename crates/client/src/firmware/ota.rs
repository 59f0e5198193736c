//! Firmware in the slots of a NOR flash, by [`buoy_ota`]: the image is checked against the device's keys before it is
//! started, and the device goes back to the old one if the new one doesn't prove itself.

use buoy_ota::confirm::{self, UpdateOutcome};
use buoy_ota::container::Proof;
use buoy_ota::device::Device;
use buoy_ota::installer::{InstallError, Installer, Request, VerifiedImage};
use buoy_ota::journal::Source;
use buoy_ota::ledger::Cause;
use buoy_ota::slots::Slot;
use buoy_ota::version::{Name, Version};
use embedded_storage::nor_flash::NorFlash;

use super::{FirmwareTarget, Outcome, Package, UpdateResult};

/// A flash with a slot that runs and one that takes the next image. About 3 kB while a package comes in.
pub struct OtaTarget<'d, F> {
    flash: F,
    device: Device<'d>,
    running: Slot,
    stage: Stage,
    info: Option<(Name, Version)>,
    error: Option<InstallError>,
}

#[expect(clippy::large_enum_variant, reason = "the memory is needed once, and there is no heap to put it on")]
enum Stage {
    Empty,
    Installing(Installer),
    Verified(VerifiedImage),
}

impl<'d, F: NorFlash> OtaTarget<'d, F> {
    /// The flash of a device that runs the image in `running`, as the boot decision said.
    pub const fn new(flash: F, device: Device<'d>, running: Slot) -> Self {
        Self { flash, device, running, stage: Stage::Empty, info: None, error: None }
    }

    /// The flash.
    pub const fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// The slot that takes a package now, how many bytes of the image are in it, and how many it will have, if that is known.
    pub fn filling(&self) -> Option<(Slot, u32, Option<u32>)> {
        match &self.stage {
            Stage::Empty => None,
            Stage::Installing(installer) => {
                Some((installer.slot(), installer.next_offset(), installer.expected_len()))
            }
            Stage::Verified(image) => {
                let image = image.image();
                let length = image.info().image_len;
                Some((image.slot(), length, Some(length)))
            }
        }
    }

    /// Why the last package was refused, in full.
    pub const fn last_error(&self) -> Option<&InstallError> {
        self.error.as_ref()
    }

    /// Gives the running image up: it has failed its own test. The next reset starts the one before.
    ///
    /// # Errors
    /// The image isn't on trial, or the flash failed.
    pub fn reject(&mut self) -> Result<(), confirm::ConfirmError> {
        confirm::reject(&mut self.flash, &self.device, self.running)
    }

    fn failed(&mut self, error: InstallError) -> UpdateResult {
        self.error = Some(error);
        UpdateResult::from_number(error.update_result())
    }
}

/// A pushed package has no address, so this stands for it.
const PUSHED: &[u8] = b"5/0/0";

fn request<'a>(package: &Package<'_>) -> Request<'a> {
    let address = package.uri.map_or(PUSHED, str::as_bytes);
    Request { source: Source::new(address, package.etag), package_len: package.length, proof: None }
}

impl<F: NorFlash> FirmwareTarget for OtaTarget<'_, F> {
    fn begin(&mut self, package: &Package<'_>) -> Result<(), UpdateResult> {
        self.error = None;
        let begun = Installer::begin_unproved(&mut self.flash, &self.device, self.running, &request(package));
        match begun {
            Ok(installer) => {
                self.stage = Stage::Installing(installer);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn resume(&mut self, package: &Package<'_>) -> Option<u32> {
        let resumed =
            Installer::resume_unproved(&mut self.flash, &self.device, self.running, &request(package));
        let installer = resumed.ok()??;
        let offset = installer.next_offset();
        self.stage = Stage::Installing(installer);
        Some(offset)
    }

    fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UpdateResult> {
        let Stage::Installing(installer) = &mut self.stage else { return Err(UpdateResult::UpdateFailed) };
        installer.accept(&mut self.flash, &self.device, offset, bytes).map_err(|error| self.failed(error))
    }

    fn needs_signature(&self) -> bool {
        matches!(&self.stage, Stage::Installing(installer) if installer.needs_proof())
    }

    fn signature(&mut self, signature: &[u8]) -> Result<(), UpdateResult> {
        let Stage::Installing(installer) = &mut self.stage else { return Err(UpdateResult::UpdateFailed) };
        let proof = Proof::recognise(signature).map_err(|_| UpdateResult::IntegrityCheckFailed)?;
        installer.accept_proof(&mut self.flash, &self.device, proof).map_err(|error| self.failed(error))
    }

    fn finish(&mut self) -> Result<(), UpdateResult> {
        let Stage::Installing(installer) = &mut self.stage else {
            self.stage = Stage::Empty;
            return Err(UpdateResult::UpdateFailed);
        };
        let finished = installer.finish_here(&mut self.flash, &self.device);
        self.stage = Stage::Empty;
        match finished {
            Ok(image) => {
                let descriptor = image.image().info().descriptor;
                self.info = Some((descriptor.project, descriptor.version));
                self.stage = Stage::Verified(image);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn activate(&mut self) -> Result<(), UpdateResult> {
        let Stage::Verified(image) = core::mem::replace(&mut self.stage, Stage::Empty) else {
            return Err(UpdateResult::UpdateFailed);
        };
        match image.activate(&mut self.flash, &self.device) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn abort(&mut self) {
        self.info = None;
        if let Stage::Installing(installer) = core::mem::replace(&mut self.stage, Stage::Empty) {
            // If the flash fails now the journal may offer the package again, and the next attempt begins it anew.
            let _still_there = installer.abort(&mut self.flash, &self.device);
        }
    }

    fn outcome(&mut self) -> Option<Outcome> {
        match confirm::outcome(&mut self.flash, &self.device).ok()?? {
            UpdateOutcome::OnTrial { slot } => (slot == self.running).then_some(Outcome::OnTrial),
            UpdateOutcome::Succeeded { .. } => Some(Outcome::Succeeded),
            other @ UpdateOutcome::RolledBack { .. } => {
                Some(Outcome::Failed(UpdateResult::from_number(other.update_result()?)))
            }
        }
    }

    fn failure_reason(&mut self) -> Option<&'static str> {
        match confirm::outcome(&mut self.flash, &self.device).ok()?? {
            UpdateOutcome::RolledBack { cause, .. } => Some(words(cause)),
            _ => None,
        }
    }

    fn confirm(&mut self) -> Result<(), UpdateResult> {
        match confirm::confirm(&mut self.flash, &self.device, self.running) {
            Ok(_) | Err(confirm::ConfirmError::NotOnTrial) => Ok(()),
            Err(_) => Err(UpdateResult::UpdateFailed),
        }
    }

    fn mark_reported(&mut self) {
        // If the flash fails now the outcome is reported once more after the next reboot.
        let _told_again = confirm::mark_reported(&mut self.flash, &self.device);
    }

    fn package_info(&self) -> Option<(&str, &str)> {
        self.info.as_ref().map(|(name, version)| (name.as_str(), version.as_str()))
    }
}

/// What a server shows of the reason for a roll-back.
const fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::NeverConfirmed => "the new image crashed, hung or could not register, in all of its trials",
        Cause::SelfTestFailed => "the new image failed its self-test",
        Cause::NotAuthentic => "the new image was damaged, or not authentic, when it was to start",
        Cause::CounterTooLow => "the new image's security counter is below the device's",
        Cause::NotForThisDevice => "the new image is not for this device",
    }
}
