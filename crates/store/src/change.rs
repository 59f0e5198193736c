//! What can be made durable, as values.
//!
//! A [`ChangeSet`] is what belongs together: a change, the idempotency key of its request, its audit row. It is made durable whole or
//! not at all. A commit takes many sets, and one that is refused for its own reasons takes no other with it.

use std::borrow::Cow;
use std::fmt;

use buoy_fleet::update::UpdateRecord;
use buoy_lwm2m::path::Path as ResourcePath;

use crate::{
    AuditRow, BootstrapClaimRow, BootstrapConfigRow, CredentialRow, CredentialState, DeviceRow, DocumentKind,
    DocumentRow, FirmwareRow, KeyRow, OperationRow, Sample,
};

/// Changes that belong together.
pub type ChangeSet<'a> = Vec<Change<'a>>;

/// A change of durable state, by what it changes.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// Of a registration.
    Registration(RecordChange<'a>),
    /// Of a DTLS session.
    Session(RecordChange<'a>),
    /// Saves an operation in place of what was saved under its id.
    Operation(OperationRow),
    /// Saves one value of a time series.
    Sample(NewSample<'a>),
    /// Of the firmware library.
    Firmware(FirmwareChange),
    /// Saves a firmware update in place of what was saved under its id.
    Update {
        /// The update.
        record: UpdateRecord,
        /// When it changed; milliseconds since the epoch.
        changed_at: u64,
    },
    /// Of a credential.
    Credential(CredentialChange),
    /// Of a bootstrap configuration.
    BootstrapConfig(BootstrapConfigChange),
    /// Of a device that asked to be configured.
    BootstrapClaim(BootstrapClaimChange),
    /// Of what is known of a device.
    Device(DeviceChange),
    /// Of a document.
    Document(DocumentChange),
    /// Saves an idempotency key. Refused as [`Rejection::Conflict`] if there is one of that name.
    IdempotencyKey(KeyRow),
    /// Appends to the audit log. The row's id is given by the store.
    Audit(AuditRow),
}

/// A change of a record that only its engine can read.
#[derive(Clone, Debug)]
pub enum RecordChange<'a> {
    /// Saves it under its key.
    Put {
        /// The key.
        key: u64,
        /// The bytes.
        record: Cow<'a, [u8]>,
    },
    /// Removes it.
    Remove {
        /// The key.
        key: u64,
    },
}

/// One value of a time series. One of the same time gives way.
#[derive(Clone, Debug)]
pub struct NewSample<'a> {
    /// The device.
    pub endpoint: Cow<'a, str>,
    /// The resource or resource instance.
    pub path: ResourcePath,
    /// Milliseconds since the epoch.
    pub at: u64,
    /// The value.
    pub value: Sample,
}

/// A change of the firmware library.
#[derive(Clone, Debug)]
pub enum FirmwareChange {
    /// Saves the description of an image under its digest.
    Put(FirmwareRow),
    /// Removes the description of an image.
    Remove {
        /// The image's digest.
        digest: String,
    },
}

/// A change of a credential.
#[derive(Clone, Debug)]
pub enum CredentialChange {
    /// Saves it under its id. Refused as [`Rejection::Conflict`] if another one has the same identity.
    Put(CredentialRow),
    /// Changes whether it is believed. The secret of one that is revoked is erased.
    SetState {
        /// Which.
        id: u64,
        /// Its new state.
        state: CredentialState,
    },
    /// Removes it.
    Remove {
        /// Which.
        id: u64,
    },
}

/// A change of a bootstrap configuration.
#[derive(Clone, Debug)]
pub enum BootstrapConfigChange {
    /// Saves it under its pattern.
    Put(BootstrapConfigRow),
    /// Removes it.
    Remove {
        /// Its pattern.
        pattern: String,
    },
}

/// A change of a device's wish to be configured.
#[derive(Clone, Debug)]
pub enum BootstrapClaimChange {
    /// Saves it under its endpoint name.
    Put(BootstrapClaimRow),
    /// Removes it.
    Remove {
        /// The endpoint name.
        endpoint: String,
    },
}

/// A change of what is known of a device.
#[derive(Clone, Debug)]
pub enum DeviceChange {
    /// Saves it under its endpoint name.
    Put(DeviceRow),
    /// Removes it.
    Remove {
        /// The endpoint name.
        endpoint: String,
    },
}

/// A change of a document.
#[derive(Clone, Debug)]
pub enum DocumentChange {
    /// Saves it under its kind and name. Refused as [`Rejection::Conflict`] if there is one.
    Add(DocumentRow),
    /// Saves it under its kind and name, in place of the one that is there.
    Put(DocumentRow),
    /// Removes it.
    Remove {
        /// What it is about.
        kind: DocumentKind,
        /// Its name.
        name: String,
    },
}

/// What became of the sets of one commit.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    /// The sets that were refused, by their place in the commit, in ascending order. All others are durable.
    pub rejected: Vec<(usize, Rejection)>,
    /// Values that were left out since their device has as many series as it may have.
    pub left_out: Vec<LeftOut>,
}

impl Fates {
    /// Whether one set is durable.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn of(&self, set: usize) -> Result<(), &Rejection> {
        match self.rejected.binary_search_by_key(&set, |(place, _)| *place) {
            Ok(found) => self.rejected.get(found).map_or(Ok(()), |(_, rejection)| Err(rejection)),
            Err(_) => Ok(()),
        }
    }
}

/// Values of one device that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The device.
    pub endpoint: String,
    /// How many values.
    pub values: usize,
}

/// Why a set was refused: a fault of the set, not of the store. Tried again it would be refused again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Something else has a name that has to be unique.
    Conflict(String),
    /// A value is larger than the store takes, or is none that it can hold.
    Invalid(String),
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(what) => write!(f, "the store has another entry of this name ({what})"),
            Self::Invalid(what) => write!(f, "the store can't hold this ({what})"),
        }
    }
}

impl std::error::Error for Rejection {}
