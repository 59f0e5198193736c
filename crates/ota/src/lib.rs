//! Firmware over the air for ESP32-class devices: from the first byte of a download to the confirmed image.
//!
//! The formats are those of the ESP32 ([`partition`], [`otadata`], [`image`]). State that ESP-IDF can't save safely against a power cut is in a
//! small append-only log ([`ledger`]). The steps of an update:
//!
//! 1. [`installer::Installer`] writes the download to the slot that is not running, and resumes after a restart ([`journal`]). At the end it reads the
//!    flash back, checks the image, the version rules and the signature, and returns a [`installer::VerifiedImage`].
//! 2. [`installer::VerifiedImage::activate`] makes it the next image to start.
//! 3. [`boot::decide`] chooses the image at every reset. It verifies the signature again, counts the trial boots of an unconfirmed image, and goes
//!    back to a confirmed image when they are used up.
//! 4. [`confirm::confirm`] confirms the running image and raises the security counter.
//!
//! ```
//! use buoy_ota::{boot, confirm, device::Device, installer::{InstallError, Installer, Request, VerifiedImage}, slots::Slot};
//! use embedded_storage::nor_flash::NorFlash;
//!
//! /// The boot loader, or the first lines of the application where the chip has another boot loader.
//! fn start(flash: &mut impl NorFlash, device: &Device<'_>) -> Result<Slot, boot::BootError> {
//!     let decision = boot::decide(flash, device, boot::Attempts::DEFAULT)?;
//!     // Arm the watchdog if `decision.reason` is a trial, map `decision.image.region()`, jump to its entry.
//!     Ok(decision.slot())
//! }
//!
//! /// Starts or resumes the download; `fetch` returns the package's bytes from an offset on.
//! fn download(
//!     flash: &mut impl NorFlash,
//!     device: &Device<'_>,
//!     running: Slot,
//!     request: &Request<'_>,
//!     mut fetch: impl FnMut(u32) -> Option<[u8; 64]>,
//! ) -> Result<VerifiedImage, InstallError> {
//!     let mut installer = match Installer::resume(flash, device, running, request)? {
//!         Some(installer) => installer,
//!         None => Installer::begin(flash, device, running, request)?,
//!     };
//!     while let Some(block) = fetch(installer.next_offset()) {
//!         installer.accept(flash, device, installer.next_offset(), &block)?;
//!     }
//!     installer.finish(flash, device)
//! }
//!
//! /// On "Update" (5/0/2): then reset.
//! fn update(flash: &mut impl NorFlash, device: &Device<'_>, verified: VerifiedImage) -> Result<(), InstallError> {
//!     verified.activate(flash, device).map(drop)
//! }
//!
//! /// Once the self-test has passed and the device is registered again.
//! fn keep(flash: &mut impl NorFlash, device: &Device<'_>, running: Slot) -> Result<(), confirm::ConfirmError> {
//!     confirm::confirm(flash, device, running).map(drop)
//! }
//! ```
//!
//! Signatures are by ECDSA P-256, and by RSA-4096 and Ed25519 with the features `rsa4096` and `ed25519`. `fast-p256` verifies P-256 by the crate of that name; a chip does without.
//!
//! The crate depends on no network, clock or chip. The flash is an [`embedded_storage::nor_flash::NorFlash`], and the code for devices doesn't allocate.
//! The feature `host` adds functions for releases on a developer's machine (keys, signing, building and inspecting images). The feature `simflash` adds
//! a NOR flash in memory that can simulate power cuts.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]
#![warn(clippy::std_instead_of_core)]

pub mod boot;
pub mod confirm;
pub mod container;
pub mod delta;
pub mod device;
pub mod flash;
#[cfg(feature = "host")]
pub mod host;
pub mod image;
pub mod in_app;
pub mod installer;
pub mod journal;
pub mod ledger;
pub mod manifest;
pub mod otadata;
pub mod partition;
pub mod signature;
#[cfg(feature = "simflash")]
pub mod simflash;
pub mod slots;
pub mod version;

#[cfg(feature = "mutants")]
pub mod safeguard;
#[cfg(not(feature = "mutants"))]
mod safeguard;

mod bytes;
mod cbor;
#[cfg_attr(
    all(feature = "fast-p256", not(test)),
    expect(dead_code, reason = "another crate verifies, and the tests hold one against the other")
)]
mod ecdsa;
mod numbers;
#[cfg(feature = "rsa4096")]
mod rsa;
#[cfg(test)]
mod vectors;
