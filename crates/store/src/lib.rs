//! The durable state of a server: registrations, operations, time series, firmware and its updates, credentials, sessions, the audit log.
//!
//! A [`Writer`] commits [`ChangeSet`]s, which describe changes as values. When [`Writer::commit`] returns, all sets are durable except those that it
//! reports as refused. [`Reader`]s read what is committed, concurrently with the writer and with each other. [`sqlite`] stores the state in a local file,
//! [`postgres`] in a PostgreSQL database; both must pass the same `contract` suite.
//!
//! The table of registrations is written most. Its key is a growing number and it has no other index, since a first insert under a random
//! key costs ten times as much (see `docs/performance.md`).
#![forbid(unsafe_code)]

mod audit;
mod bootstrap;
mod change;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod credential;
mod device;
mod document;
mod error;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
pub mod sqlite;
mod summary;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use buoy_fleet::update::UpdateRecord;
use serde::{Deserialize, Serialize};

pub use audit::{AuditFault, AuditFilter, AuditHash, AuditHead, AuditReport, AuditRow, verify_audit};
pub use bootstrap::{BootstrapClaimRow, BootstrapConfigRow};
pub use change::{
    BootstrapClaimChange, BootstrapConfigChange, Change, ChangeSet, CredentialChange, DeviceChange,
    DocumentChange, Fates, FirmwareChange, LeftOut, NewSample, RecordChange, Rejection,
};
pub use credential::{CredentialFilter, CredentialKind, CredentialRow, CredentialState, Purpose};
pub use device::{DeviceDescription, DeviceRow};
pub use document::{DocumentKind, DocumentRow};
pub use error::StoreError;
pub use rows::{Cell, Kind, MoveError, Moved, MovedTo, Rows, Table, first_with_rows, move_all};

/// Series that one device may have: what invents new paths for ever fills no disk.
pub const MOST_SERIES: usize = 4096;

/// A database, whatever holds it.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// The writer. There should be one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;
    /// A reader: as many as are wanted.
    ///
    /// # Errors
    /// [`StoreError`]
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// Commits changes. There is one writer.
pub trait Writer: Send {
    /// Makes the sets durable in one transaction. A set that is refused for its own reasons is left out whole, and named; the others
    /// hold.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept, or ([`StoreError::Unreachable`]) that is not known yet. The same sets are to be tried again
    /// before any others: if they were kept, that says so.
    fn commit(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, StoreError>;
    /// Looks whether the store is there, when nobody has asked for anything for a while; makes a connection anew that has broken.
    ///
    /// # Errors
    /// [`StoreError`]
    fn check(&mut self) -> Result<(), StoreError>;
    /// Does some of the work that has to be done now and then, for about `budget`: brings what was appended into order, and removes
    /// what is too old. What [`Reader`]s see does not depend on it, but for what is removed.
    ///
    /// # Errors
    /// [`StoreError`]; it can be tried again later.
    fn maintain(&mut self, keep: Retention, budget: Duration) -> Result<Maintenance, StoreError>;
}

/// What is kept, and what is too old.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Values, idempotency keys, and operations and updates that ended, of before this are removed; milliseconds since the epoch.
    pub since: u64,
}

/// How much maintenance is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Entries that were appended and are not in order yet. The more there are, the longer reads of series take.
    pub unsorted: usize,
    /// Whether the removal of what is too old has more to do.
    pub is_removing: bool,
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
    /// Hands the last value of each series, with its device, path and time, to `each`, those of one device together. Values that were
    /// appended and are not in order yet don't count.
    fn last_samples(&self, each: &mut dyn FnMut(&str, &str, u64, Sample)) -> Result<(), StoreError>;
    /// The numbers of a time range, one row for each `step` milliseconds in which there are any. What is no number, or not finite, does
    /// not count.
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
    /// Hands each device that is known to `each`, by its name.
    fn devices(&self, each: &mut dyn FnMut(DeviceRow)) -> Result<(), StoreError>;
    /// Hands each document of a kind whose name begins with `prefix` to `each`, by its name.
    fn documents(
        &self,
        kind: DocumentKind,
        prefix: &str,
        each: &mut dyn FnMut(DocumentRow),
    ) -> Result<(), StoreError>;
    /// One document.
    fn document(&self, kind: DocumentKind, name: &str) -> Result<Option<DocumentRow>, StoreError>;
    /// Entries of the audit log, the newest first, of ids below `before`.
    fn audit(&self, filter: &AuditFilter<'_>, page: Page) -> Result<Vec<AuditRow>, StoreError>;
    /// Hands each entry of the audit log, with its hash if it has one, to `each`, by ascending id.
    fn audit_chain(&self, each: &mut dyn FnMut(AuditRow, Option<AuditHash>)) -> Result<(), StoreError>;
    /// The last entry that has a hash.
    fn audit_head(&self) -> Result<Option<AuditHead>, StoreError>;
    /// Where all of it was moved, if it was: what is here is old.
    fn moved(&self) -> Result<Option<MovedTo>, StoreError>;
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

/// The numbers of databases are signed: what is larger is as good as endless.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
