//! All jobs, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoy_fleet::job::{ConfirmedBy, DeviceRecord, Facts, Job};
use buoy_server::OperationId;
use buoy_store::{DocumentKind, Reader, StoreError};

/// All jobs. Who changes one waits for his turn, and saves what changed before the next turn; who only looks never waits for the store.
#[derive(Debug)]
pub(crate) struct Jobs {
    all: Mutex<All>,
    /// Held by who changes jobs.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// All jobs, and what is looked up in them.
#[derive(Debug, Default)]
pub(super) struct All {
    /// By their ids.
    pub(super) jobs: BTreeMap<u64, Job>,
    /// The job and the device of each operation that has not ended.
    pub(super) operations: HashMap<OperationId, (u64, Arc<str>)>,
    /// The highest id that was ever given.
    pub(super) last_id: u64,
}

impl Jobs {
    /// Those of the store.
    pub(crate) fn load(reader: &dyn Reader) -> Result<Self, StoreError> {
        let mut all = All::default();
        let mut facts: BTreeMap<u64, Facts> = BTreeMap::new();
        reader.documents(DocumentKind::Job, "", &mut |row| {
            if row.name == LAST_ID {
                all.last_id = serde_json::from_slice(&row.body).unwrap_or(0);
                return;
            }
            match serde_json::from_slice::<Facts>(&row.body) {
                Ok(read) => drop(facts.insert(read.id, read)),
                Err(error) => tracing::error!(job = row.name, %error, "a job cannot be read"),
            }
        })?;
        all.last_id = facts.keys().next_back().copied().unwrap_or(0).max(all.last_id);
        for (id, facts) in facts {
            let mut devices: Vec<(Arc<str>, DeviceRecord)> = Vec::new();
            let prefix = device_prefix(id);
            reader.documents(DocumentKind::JobDevice, &prefix, &mut |row| {
                let name = row.name.get(prefix.len()..).unwrap_or_default();
                match serde_json::from_slice(&row.body) {
                    Ok(record) => devices.push((name.into(), record)),
                    Err(error) => {
                        tracing::error!(job = id, %error, "what a job knows of a device cannot be read")
                    }
                }
            })?;
            all.jobs.insert(id, Job::restore(facts, devices));
        }
        Ok(Self { all: Mutex::new(all), turn: tokio::sync::Mutex::default() })
    }

    /// The highest id of an operation that a job knows. It may be higher than that of any saved operation: a read is saved at its end.
    pub(crate) fn last_operation(&self) -> u64 {
        let all = self.all();
        let records = all.jobs.values().flat_map(|job| job.devices()).map(|(_, record)| record.operation);
        records.max().unwrap_or(0)
    }

    /// The id from which on new credentials count for a job that waits for such ones; 0 if none does.
    pub(crate) fn first_new_credential(&self) -> u64 {
        let all = self.all();
        let first = |job: &Job| match job.facts().plan.confirmed_by {
            Some(ConfirmedBy::NewKey { from }) => from,
            _ => 0,
        };
        all.jobs.values().map(first).max().unwrap_or(0)
    }

    /// All jobs; for a moment.
    pub(super) fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the document that has the highest id that was ever given.
pub(super) const LAST_ID: &str = "last id";

/// The name of a job's document.
pub(super) fn document_name(id: u64) -> String {
    format!("{id:010}")
}

/// The beginning of the names of the documents of its devices.
pub(super) fn device_prefix(id: u64) -> String {
    format!("{id:010}/")
}
