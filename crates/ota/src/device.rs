//! What a device knows of itself when it judges an image: its flash layout, its keys, and what it is.

use crate::image::{AppDescriptor, ChipId};
use crate::manifest::Manifest;
use crate::safeguard::{Safeguard, off};
use crate::signature::TrustStore;
use crate::slots::Layout;
use crate::version::{Name, SecurityCounter, Version};

/// The fixed facts of one device, shared by installer, boot decision and confirmation.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// Where slots and state are.
    pub layout: &'a Layout,
    /// Whose signatures count.
    pub trust: &'a TrustStore,
    /// What the device is.
    pub identity: &'a Identity,
}

/// What an image must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The chip.
    pub chip: ChipId,
    /// The only project to accept; `None` accepts any that is signed.
    pub project: Option<Name>,
    /// The vendor that a manifest must name, if it names one.
    pub vendor: Option<Name>,
    /// The class that a manifest must name, if it names one.
    pub class: Option<Name>,
    /// The component that a manifest must name, if it names one.
    pub component: Option<Name>,
    /// The revision of the hardware; `None` accepts images for any.
    pub hardware: Option<u16>,
    /// Which versions may replace the running one.
    pub versions: VersionRule,
}

/// Which versions may replace the running one. Security counters bind whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRule {
    /// Any version, older ones too: the operator may go back.
    Any,
    /// The same or a later one.
    NotOlder,
    /// Only a later one.
    OnlyNewer,
}

/// Why a sound, authentic image is not for this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleError {
    /// It was built for another chip.
    OtherChip(ChipId),
    /// It is another project.
    OtherProject(Name),
    /// Its manifest names another vendor.
    OtherVendor(Name),
    /// Its manifest names another class of devices.
    OtherClass(Name),
    /// Its manifest names another component of the device.
    OtherComponent(Name),
    /// Its manifest names other hardware than this revision.
    OtherHardware(u16),
    /// It is linked for another slot than the one that is free.
    OtherSlot(u8),
    /// Its version may not replace the running one.
    VersionRefused(Version),
    /// Its security counter is below what the device has confirmed.
    CounterTooLow {
        /// The image's counter.
        image: SecurityCounter,
        /// The device's.
        device: SecurityCounter,
    },
}

impl Identity {
    /// Accepts any signed image for `chip`.
    pub const fn any(chip: ChipId) -> Self {
        Self {
            chip,
            project: None,
            vendor: None,
            class: None,
            component: None,
            hardware: None,
            versions: VersionRule::Any,
        }
    }

    /// Judges chip and project.
    ///
    /// # Errors
    /// [`RuleError`].
    pub(crate) fn admit_image(&self, chip: ChipId, project: Name) -> Result<(), RuleError> {
        if off(Safeguard::InstallChecksImage) {
            return Ok(());
        }
        if chip != self.chip {
            return Err(RuleError::OtherChip(chip));
        }
        match self.project {
            Some(own) if own != project => Err(RuleError::OtherProject(project)),
            _ => Ok(()),
        }
    }

    /// Judges what only a manifest says of an image that goes into slot `into`.
    ///
    /// # Errors
    /// [`RuleError`].
    pub(crate) fn admit_manifest(&self, manifest: &Manifest, into: u8) -> Result<(), RuleError> {
        if off(Safeguard::InstallChecksManifest) {
            return Ok(());
        }
        match (manifest.vendor, self.vendor) {
            (Some(named), Some(own)) if named != own => return Err(RuleError::OtherVendor(named)),
            _ => {}
        }
        match (manifest.class, self.class) {
            (Some(named), Some(own)) if named != own => return Err(RuleError::OtherClass(named)),
            _ => {}
        }
        match (manifest.component, self.component) {
            (Some(named), Some(own)) if named != own => return Err(RuleError::OtherComponent(named)),
            _ => {}
        }
        if let Some(revision) = self.hardware
            && !manifest.hardware.contains(revision)
        {
            return Err(RuleError::OtherHardware(revision));
        }
        if let Some(slot) = manifest.slot
            && slot != into
        {
            return Err(RuleError::OtherSlot(slot));
        }
        self.admit_image(manifest.chip, manifest.project)
    }

    /// Judges a version against the running one.
    ///
    /// # Errors
    /// [`RuleError::VersionRefused`].
    pub(crate) fn admit_version(
        &self,
        offered: Version,
        running: Option<AppDescriptor>,
    ) -> Result<(), RuleError> {
        let Some(running) = running else { return Ok(()) };
        let order = offered.precedence(&running.version);
        let admitted = match self.versions {
            _ if off(Safeguard::InstallChecksVersion) => true,
            VersionRule::Any => true,
            VersionRule::NotOlder => order.is_ge(),
            VersionRule::OnlyNewer => order.is_gt(),
        };
        admitted.then_some(()).ok_or(RuleError::VersionRefused(offered))
    }
}

/// Judges a counter against the device's.
///
/// # Errors
/// [`RuleError::CounterTooLow`].
pub(crate) fn admit_counter(image: SecurityCounter, device: SecurityCounter) -> Result<(), RuleError> {
    (image >= device || off(Safeguard::InstallChecksCounter))
        .then_some(())
        .ok_or(RuleError::CounterTooLow { image, device })
}

impl core::fmt::Display for RuleError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OtherChip(chip) => match chip.name() {
                Some(name) => write!(out, "the image is for another chip: {name}"),
                None => write!(out, "the image is for another chip: number {}", chip.0),
            },
            Self::OtherProject(name) => write!(out, "the image is of another project: {name}"),
            Self::OtherVendor(name) => write!(out, "the image is for devices of another vendor: {name}"),
            Self::OtherClass(name) => write!(out, "the image is for another class of devices: {name}"),
            Self::OtherComponent(name) => {
                write!(out, "the image is for another component of the device: {name}")
            }
            Self::OtherHardware(revision) => {
                write!(out, "the image is not for this hardware, which is of revision {revision}")
            }
            Self::OtherSlot(slot) => {
                write!(out, "the image runs from slot ota_{slot} only, and another one is free")
            }
            Self::VersionRefused(version) => write!(out, "version {version} may not replace the running one"),
            Self::CounterTooLow { image, device } => {
                write!(out, "the image's security counter {image} is below the device's {device}")
            }
        }
    }
}

impl core::error::Error for RuleError {}
