//! What must survive: registrations, operations, values over time, firmware and its updates, credentials and sessions.
//!
//! A [`Writer`] commits batches: either all of a batch is durable when [`Writer::commit`] returns, or nothing is. [`Reader`]s look
//! at what was committed, beside the writer and beside each other. [`sqlite`] is the store of one machine; another engine must
//! pass the same `contract` suite.
//!
//! The hot table is that of registrations: keyed by a number that grows, with no other index, since a first insert under a random
//! key costs ten times as much (see `docs/performance.md`).
#![forbid(unsafe_code)]

mod bootstrap;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod credential;
mod error;
pub mod sqlite;

use std::ops::Range;
use std::path::Path;

use buoy_fleet::update::UpdateRecord;
use buoy_lwm2m::path::Path as ResourcePath;
use serde::{Deserialize, Serialize};

pub use bootstrap::{BootstrapClaimRow, BootstrapConfigRow};
pub use credential::{CredentialFilter, CredentialKind, CredentialRow, CredentialState, Purpose};
pub use error::StoreError;

/// Commits batches of changes. There is one writer.
pub trait Writer: Send {
    /// Makes durable, all or nothing, what `apply` does to the batch.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the batch was kept.
    fn commit(
        &mut self,
        apply: &mut dyn FnMut(&mut dyn Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
    /// How many samples, registrations and sessions are durable, but not yet where readers look for them.
    fn unsettled(&self) -> usize;
    /// Puts some of what is unsettled where readers look for it; how much. Nothing is left when it says 0.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed.
    fn settle(&mut self) -> Result<usize, StoreError>;
}

/// The changes of one commit.
pub trait Batch {
    /// Saves a registration under its key. Readers see it once it is settled ([`Writer::settle`]), as all is when a writer is made.
    ///
    /// # Errors
    /// [`StoreError`], here and below.
    fn put_registration(&mut self, key: u64, record: &[u8]) -> Result<(), StoreError>;
    /// Forgets a registration.
    fn remove_registration(&mut self, key: u64) -> Result<(), StoreError>;
    /// Saves an operation.
    fn put_operation(&mut self, operation: &OperationRow) -> Result<(), StoreError>;
    /// Saves one value of a time series. One of the same time gives way. Readers see it once it is settled ([`Writer::settle`]).
    fn put_sample(
        &mut self,
        endpoint: &str,
        path: ResourcePath,
        at: u64,
        value: Sample,
    ) -> Result<(), StoreError>;
    /// Forgets values and idempotency keys older than `before` (milliseconds since the epoch), and operations that ended before it.
    fn prune(&mut self, before: u64) -> Result<(), StoreError>;
    /// Saves the description of a firmware image.
    fn put_firmware(&mut self, firmware: &FirmwareRow) -> Result<(), StoreError>;
    /// Forgets the description of a firmware image.
    fn remove_firmware(&mut self, digest: &str) -> Result<(), StoreError>;
    /// Saves a firmware update of a device.
    fn put_update(&mut self, update: &UpdateRecord) -> Result<(), StoreError>;
    /// Saves what a request with an idempotency key made.
    fn put_idempotency_key(&mut self, key: &KeyRow) -> Result<(), StoreError>;
    /// Saves a credential under its id.
    fn put_credential(&mut self, credential: &CredentialRow) -> Result<(), StoreError>;
    /// Changes whether a credential is believed. The secret of one that is revoked is forgotten.
    fn set_credential_state(&mut self, id: u64, state: CredentialState) -> Result<(), StoreError>;
    /// Forgets a credential.
    fn remove_credential(&mut self, id: u64) -> Result<(), StoreError>;
    /// Saves a session under its id. Readers see it once it is settled ([`Writer::settle`]).
    fn put_session(&mut self, id: u64, record: &[u8]) -> Result<(), StoreError>;
    /// Forgets a session.
    fn remove_session(&mut self, id: u64) -> Result<(), StoreError>;
    /// Saves a bootstrap configuration under its pattern.
    fn put_bootstrap_config(&mut self, config: &BootstrapConfigRow) -> Result<(), StoreError>;
    /// Forgets a bootstrap configuration.
    fn remove_bootstrap_config(&mut self, pattern: &str) -> Result<(), StoreError>;
    /// Saves that a device waits for a person's yes, or has it.
    fn put_bootstrap_claim(&mut self, claim: &BootstrapClaimRow) -> Result<(), StoreError>;
    /// Forgets that.
    fn remove_bootstrap_claim(&mut self, endpoint: &str) -> Result<(), StoreError>;
}

/// Looks at what was committed.
pub trait Reader: Send {
    /// Hands each registration's key and record to `each`, by ascending key.
    ///
    /// # Errors
    /// [`StoreError`], here and below.
    fn registrations(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError>;
    /// The operations that have not ended, by ascending id.
    fn open_operations(&self) -> Result<Vec<OperationRow>, StoreError>;
    /// One operation.
    fn operation(&self, id: u64) -> Result<Option<OperationRow>, StoreError>;
    /// Operations, the newest first, of ids below `before`.
    fn operations(&self, filter: &OperationFilter<'_>, page: Page) -> Result<Vec<OperationRow>, StoreError>;
    /// The highest id of an operation, or of what an idempotency key speaks of: a crash may have come between the key and the operation.
    fn last_operation(&self) -> Result<u64, StoreError>;
    /// The paths of which there are values of a device.
    fn series(&self, endpoint: &str) -> Result<Vec<String>, StoreError>;
    /// The values of a time range (milliseconds since the epoch), the oldest first, at most `limit`.
    fn samples(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Sample)>, StoreError>;
    /// The numeric values of a time range, one row for each `step` milliseconds in which there are any.
    fn summary(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        step: u64,
    ) -> Result<Vec<Summary>, StoreError>;
    /// The firmware images, the newest first.
    fn firmware(&self) -> Result<Vec<FirmwareRow>, StoreError>;
    /// The updates that have not ended, by ascending id.
    fn open_updates(&self) -> Result<Vec<UpdateRecord>, StoreError>;
    /// Updates, of one device or all, the newest first, of ids below `before`.
    fn updates(&self, endpoint: Option<&str>, page: Page) -> Result<Vec<UpdateRecord>, StoreError>;
    /// What is known of an idempotency key.
    fn idempotency_key(&self, key: &str) -> Result<Option<KeyRow>, StoreError>;
    /// Hands each credential to `each`, by ascending id.
    fn each_credential(&self, each: &mut dyn FnMut(CredentialRow)) -> Result<(), StoreError>;
    /// One credential.
    fn credential(&self, id: u64) -> Result<Option<CredentialRow>, StoreError>;
    /// Credentials, the newest first, of ids below `before`.
    fn credentials(
        &self,
        filter: &CredentialFilter<'_>,
        page: Page,
    ) -> Result<Vec<CredentialRow>, StoreError>;
    /// Hands each session's id and record to `each`, by ascending id.
    fn sessions(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError>;
    /// The bootstrap configurations, by their patterns.
    fn bootstrap_configs(&self) -> Result<Vec<BootstrapConfigRow>, StoreError>;
    /// The devices that wait for a person's yes, or have it, by their names.
    fn bootstrap_claims(&self) -> Result<Vec<BootstrapClaimRow>, StoreError>;
    /// Copies everything, as it is at one instant, into a new file, while the writer goes on. Sessions are left out: those go on
    /// here, and a record's number must not be used a second time by who restores the copy.
    fn backup(&self, target: &Path) -> Result<(), StoreError>;
}

/// A piece of a list whose newest entries come first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only ids below this.
    pub before: u64,
    /// At most so many.
    pub limit: usize,
}

/// Which operations to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperationFilter<'a> {
    /// Only of this device.
    pub endpoint: Option<&'a str>,
    /// Only those that have ended, or have not.
    pub ended: Option<bool>,
}

/// An operation in the store: what is searched for, and the record of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRow {
    /// Ids grow.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// Whether nothing more will come of it.
    pub ended: bool,
    /// When it last changed; milliseconds since the epoch.
    pub changed_at: u64,
    /// The engine's record.
    pub record: Vec<u8>,
}

/// One value of a time series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sample {
    /// A whole number; booleans are 0 and 1.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text, and links in their text form.
    Text(String),
    /// Bytes.
    Opaque(Vec<u8>),
}

/// The numeric values of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// When the stretch starts; milliseconds since the epoch.
    pub at: u64,
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

/// A firmware image in the library. The image itself is a file named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareRow {
    /// SHA-256 of the image, in hexadecimal digits.
    pub digest: String,
    /// What the operator calls it.
    pub name: String,
    /// The version that the image says.
    pub version: String,
    /// The project that the image says.
    pub project: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since the epoch.
    pub uploaded_at: u64,
    /// The signature that goes with it, if it is a detached one.
    pub signature: Option<Vec<u8>>,
}

/// An idempotency key, and what the request that it came with made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The key.
    pub key: String,
    /// Tells the request from others.
    pub digest: Vec<u8>,
    /// The id of what it made.
    pub made: u64,
    /// When; milliseconds since the epoch.
    pub at: u64,
}
