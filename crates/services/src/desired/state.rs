//! All desired states, and how far each device is, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoy_fleet::desired::{self, DesiredState, DeviceRecord, Wanted};
use buoy_store::{DocumentKind, Reader, StoreError};
use tokio::sync::Notify;

/// All desired states, and how far each device is.
#[derive(Debug)]
pub(crate) struct Desired {
    all: Mutex<All>,
    /// One edit at a time.
    pub(super) edits: Arc<tokio::sync::Mutex<()>>,
    /// The desired states have changed, or a device is to be tried again.
    pub(super) changed: Notify,
    /// Many devices have been asked, and others may wait.
    pub(super) has_room: Notify,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(super) struct All {
    /// By name.
    pub(super) states: BTreeMap<String, DesiredState>,
    /// The devices for which there is any, by endpoint name.
    pub(super) devices: HashMap<Arc<str>, Tracked>,
    /// Counts the changes of the states.
    pub(super) generation: u64,
    /// The devices that are being asked.
    pub(super) busy: usize,
}

/// A device for which there is a desired state.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    /// How far it is.
    pub(super) record: DeviceRecord,
    /// The desired states that are for it.
    pub(super) sources: Vec<Arc<str>>,
    /// The generation of the states by which that was found.
    pub(super) generation: u64,
    /// Whether it is being asked now.
    pub(super) is_busy: bool,
    /// Whether it is to be asked again after that.
    pub(super) is_met_again: bool,
}

impl Desired {
    /// Those of the store.
    pub(crate) fn load(reader: &dyn Reader) -> Result<Self, StoreError> {
        let mut all = All { generation: 1, ..All::default() };
        reader.documents(DocumentKind::Desired, "", &mut |row| match serde_json::from_slice(&row.body) {
            Ok(state) => drop(all.states.insert(row.name, state)),
            Err(error) => tracing::error!(desired_state = row.name, %error, "a desired state cannot be read"),
        })?;
        reader.documents(
            DocumentKind::DesiredDevice,
            "",
            &mut |row| match serde_json::from_slice(&row.body) {
                Ok(record) => {
                    drop(all.devices.insert(row.name.into(), Tracked { record, ..Tracked::default() }));
                }
                // It is asked again.
                Err(error) => {
                    tracing::error!(device = row.name, %error, "how far a device is cannot be read")
                }
            },
        )?;
        Ok(Self {
            all: Mutex::new(all),
            edits: Arc::default(),
            changed: Notify::new(),
            has_room: Notify::new(),
        })
    }

    /// The desired states with their filters.
    pub(crate) fn filters(&self) -> Vec<(String, String)> {
        let all = self.all();
        all.states.values().map(|state| (state.name.clone(), state.filter.clone())).collect()
    }

    /// All of it; for a moment.
    pub(super) fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// The devices for which a desired state was found to be.
    pub(super) fn devices_of(&self, name: &str) -> Vec<Arc<str>> {
        let has = |tracked: &Tracked| tracked.sources.iter().any(|source| **source == *name);
        self.devices.iter().filter(|(_, tracked)| has(tracked)).map(|(device, _)| device.clone()).collect()
    }

    /// Whether it was found out what is wanted of a device since the states changed last.
    pub(super) fn is_current(&self, tracked: &Tracked) -> bool {
        tracked.generation == self.generation
    }

    /// What is wanted of a device by some of the states.
    pub(super) fn wanted<'a>(&'a self, sources: &[Arc<str>]) -> BTreeMap<&'a str, Wanted<'a>> {
        desired::effective(sources.iter().filter_map(|name| self.states.get(&**name)))
    }
}
