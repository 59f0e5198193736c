//! All campaigns, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buoy_fleet::campaign::{Campaign, DeviceRecord, Facts};
use buoy_fleet::update::{End, Stage, Update};
use buoy_store::{DocumentKind, Reader, StoreError};
use tokio::sync::{Mutex, Semaphore, mpsc};

/// All campaigns.
#[derive(Debug)]
pub(crate) struct Campaigns {
    pub(super) all: Mutex<BTreeMap<u64, Campaign>>,
    ended: mpsc::UnboundedSender<Ended>,
    /// The highest id that was ever given.
    last_id: AtomicU64,
    /// The turn of a rehearsal: they are work for a processor.
    pub(super) rehearsals: Semaphore,
}

/// An update that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(super) endpoint: Arc<str>,
    pub(super) update: u64,
    pub(super) end: End,
    /// What the device said that it ran before.
    pub(super) before: Option<String>,
}

/// The updates that end.
pub(crate) type Endings = mpsc::UnboundedReceiver<Ended>;

impl Campaigns {
    /// Those of the store.
    pub(crate) fn load(reader: &dyn Reader) -> Result<(Self, Endings), StoreError> {
        let (mut facts, mut last_id): (BTreeMap<u64, Facts>, u64) = (BTreeMap::new(), 0);
        reader.documents(DocumentKind::Campaign, "", &mut |row| {
            if row.name == LAST_ID {
                last_id = serde_json::from_slice(&row.body).unwrap_or(0);
                return;
            }
            match serde_json::from_slice::<Facts>(&row.body) {
                Ok(read) => drop(facts.insert(read.id, read)),
                Err(_) => tracing::error!(campaign = row.name, "a campaign cannot be read"),
            }
        })?;
        let last_id = facts.keys().next_back().copied().unwrap_or(0).max(last_id);
        let mut all = BTreeMap::new();
        for (id, facts) in facts {
            let mut devices: Vec<(Arc<str>, DeviceRecord)> = Vec::new();
            let prefix = device_prefix(id);
            reader.documents(DocumentKind::CampaignDevice, &prefix, &mut |row| {
                let name = row.name.get(prefix.len()..).unwrap_or_default();
                match serde_json::from_slice(&row.body) {
                    Ok(record) => devices.push((name.into(), record)),
                    Err(_) => {
                        tracing::error!(campaign = id, "what a campaign knows of a device cannot be read")
                    }
                }
            })?;
            all.insert(id, Campaign::restore(facts, devices));
        }
        let (ended, endings) = mpsc::unbounded_channel();
        let (all, last_id) = (Mutex::new(all), AtomicU64::new(last_id));
        Ok((Self { all, ended, last_id, rehearsals: Semaphore::new(1) }, endings))
    }

    /// The id of a new campaign. No id is given twice: the audit log speaks of them.
    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tells of an update that may have ended.
    pub(crate) fn tell_update(&self, update: &Update) {
        if let Stage::Ended(end) = update.stage() {
            let (endpoint, end) = (update.endpoint().clone(), end.clone());
            let before = update.old_version().map(str::to_owned);
            // While the server stops there is no receiver.
            let _ = self.ended.send(Ended { endpoint, update: update.id(), end, before });
        }
    }
}

/// The name of the document that has the highest id that was ever given.
pub(super) const LAST_ID: &str = "last id";

/// The name of a campaign's document.
pub(super) fn document_name(id: u64) -> String {
    format!("{id:010}")
}

/// The beginning of the names of the documents of its devices.
pub(super) fn device_prefix(id: u64) -> String {
    format!("{id:010}/")
}
