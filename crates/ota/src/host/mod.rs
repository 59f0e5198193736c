//! What a release needs on a developer's machine: keys, signatures, containers, inspection, and images for tests.
//!
//! The same formats as the device's side reads, so that `buoy fw` and `openssl` can stand in for each other. Allocates
//! and uses the system's random numbers; never part of a device's image.

mod arrange;
mod build;
mod delta;
mod inspect;
mod keys;
mod pem;
mod secure_boot;
mod sign;

pub use build::{ImageBuilder, Program, slot_contents};
pub use delta::{apply_delta, delta, delta_header};
pub use inspect::{Inspection, PackageKind, ProofSummary, SegmentSummary, inspect};
pub use keys::{KeyFileError, PrivateKey, public_key_from_pem};
pub use pem::rewrapped;
pub use secure_boot::{SecureBootError, sign_secure_boot_v2};
pub use sign::{
    ReleaseFacts, SignError, VerifyError, container, sign_detached, sign_manifest, unpacked, verify,
};
