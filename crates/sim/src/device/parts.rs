//! What boot loader and image share.

use std::io;
use std::sync::Arc;

use buoy_ota::device::{Device, Identity};
use buoy_ota::image::ChipId;
use buoy_ota::partition::PartitionTable;
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::Layout;

use super::error::DeviceError;
use super::output::Output;
use super::settings::DeviceSettings;

/// The flash of the common modules.
pub(super) const FLASH_LEN: u32 = 4 << 20;

/// What boot loader and image both need to know.
pub(super) struct Parts {
    pub(super) settings: DeviceSettings,
    pub(super) layout: Layout,
    identity: Identity,
    pub(super) output: Arc<dyn Output>,
}

impl Parts {
    pub(super) fn new(settings: DeviceSettings, output: Arc<dyn Output>) -> Result<Self, DeviceError> {
        let layout = Layout::from_table(&PartitionTable::standard_4mb())?;
        Ok(Self { settings, layout, identity: Identity::any(ChipId::ESP32_C3), output })
    }

    pub(super) fn device(&self) -> Device<'_> {
        Device { layout: &self.layout, trust: &self.settings.trust, identity: &self.identity }
    }

    pub(super) fn open_flash(&self) -> io::Result<FileFlash> {
        FileFlash::open(&self.settings.flash, FLASH_LEN)
    }

    pub(super) fn flash_error(&self, error: io::Error) -> DeviceError {
        DeviceError::Flash { path: self.settings.flash.clone(), error }
    }
}
