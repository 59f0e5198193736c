//! All alerts, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoy_fleet::alerts::deliveries::{Deliveries, Delivery};
use buoy_fleet::alerts::{self as fleet, Ended, Key, Outbox, Record, Rule, Silence};
use buoy_fleet::update::{End, Stage, Update};
use buoy_store::{DocumentKind, Reader, StoreError};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};

use super::address::Network;
use super::checks::Parts;
use super::receivers::ReceiverRecord;
use super::tls::Authorities;
use crate::inventory::Sightings;
use crate::keyfile::Sealer;

/// All alerts, and what they need.
#[derive(Debug)]
pub(crate) struct Alerts {
    core: Mutex<Core>,
    /// One edit at a time. Whoever changes what is saved has it until that is committed, so that the store sees the changes in their order.
    pub(super) edits: Arc<tokio::sync::Mutex<()>>,
    /// Which devices match which rules.
    pub(super) sightings: Arc<Sightings>,
    /// There may be something to send.
    pub(super) wake: Notify,
    pub(super) means: Means,
    ended: mpsc::UnboundedSender<UpdateEnded>,
}

/// What receivers are reached with, and what the server is made of.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) sealer: Sealer,
    /// Networks that receivers may be in, although they are not public.
    pub(crate) allowed: Arc<[Network]>,
    pub(crate) parts: Parts,
    pub(super) authorities: Authorities,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Means {
    pub(crate) fn new(sealer: Sealer, allowed: Vec<Network>, parts: Parts) -> Self {
        Self { sealer, allowed: allowed.into(), parts, authorities: Authorities::default() }
    }
}

/// The engines.
#[derive(Debug, Default)]
pub(super) struct Core {
    pub(super) alerts: fleet::Alerts,
    pub(super) deliveries: Deliveries,
    pub(super) receivers: BTreeMap<String, ReceiverRecord>,
    /// What commands have changed, and is not saved yet.
    pub(super) outbox: Outbox,
    /// Why filters of rules can't be used.
    pub(super) faults: BTreeMap<Arc<str>, String>,
    /// The filters of rules have to be looked at anew.
    pub(super) has_other_rules: bool,
    /// The highest id that a silence ever had.
    pub(super) last_silence: u64,
    /// The lowest id of an alert that is over and may be in the store.
    pub(super) first_ended: u64,
    /// Alerts whose rule is gone.
    pub(super) orphans: Vec<String>,
    /// The store can't be written: since when, and why.
    pub(super) outage: Option<(u64, String)>,
}

/// An update that ended.
#[derive(Debug)]
pub(crate) struct UpdateEnded {
    pub(super) id: u64,
    pub(super) endpoint: Arc<str>,
    pub(super) end: End,
}

/// The updates that end.
pub(crate) type Endings = mpsc::UnboundedReceiver<UpdateEnded>;

impl Alerts {
    /// Those of the store.
    pub(crate) fn load(reader: &dyn Reader, means: Means, now: u64) -> Result<(Self, Endings), StoreError> {
        let rules: Vec<Rule> = all(reader, DocumentKind::AlertRule)?.into_iter().map(|(_, it)| it).collect();
        let silences: Vec<(String, Silence)> = all(reader, DocumentKind::AlertSilence)?;
        let receivers: BTreeMap<String, ReceiverRecord> =
            all(reader, DocumentKind::AlertReceiver)?.into_iter().collect();
        let history: Vec<(String, Ended)> = all(reader, DocumentKind::AlertEnded)?;
        let saved: Vec<(String, Delivery)> = all(reader, DocumentKind::AlertDelivery)?;
        let (mut records, mut orphans) = (Vec::new(), Vec::new());
        for (name, record) in all::<Record>(reader, DocumentKind::Alert)? {
            match name.split_once('/') {
                Some((rule, subject)) if rules.iter().any(|known| *known.name == *rule) => {
                    records.push((Key { rule: rule.into(), subject: subject.into() }, record));
                }
                _ => orphans.push(name),
            }
        }
        let queues = receivers.values().map(|it| (Arc::from(it.name.as_str()), it.queue())).collect();
        let core = Core {
            last_silence: silences.iter().map(|(_, it)| it.id).max().unwrap_or(0),
            first_ended: history.iter().map(|(_, it)| it.id).min().unwrap_or(1),
            alerts: fleet::Alerts::restore(
                rules,
                silences.into_iter().map(|(_, it)| it).collect(),
                records,
                history.into_iter().map(|(_, it)| it).collect(),
            ),
            deliveries: Deliveries::restore(now, queues, saved.into_iter().map(|(_, it)| it).collect()),
            receivers,
            has_other_rules: true,
            orphans,
            ..Core::default()
        };
        let (ended, endings) = mpsc::unbounded_channel();
        let alerts = Self {
            core: Mutex::new(core),
            edits: Arc::default(),
            sightings: Arc::default(),
            wake: Notify::new(),
            means,
            ended,
        };
        Ok((alerts, endings))
    }

    /// Tells of an update that may have ended.
    pub(crate) fn tell_update(&self, update: &Update) {
        if let Stage::Ended(end) = update.stage() {
            let (endpoint, end) = (update.endpoint().clone(), end.clone());
            // While the server stops there is no receiver.
            let _ = self.ended.send(UpdateEnded { id: update.id(), endpoint, end });
        }
    }

    /// The engines, for a moment: never across a wait.
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many alerts of each rule fire.
    pub(crate) fn firing(&self) -> Vec<(Arc<str>, &'static str, usize)> {
        let core = self.core();
        let count = |rule: &Rule| {
            let severity = super::message::severity(rule.severity).name();
            (rule.name.clone(), severity, core.alerts.counts(&rule.name).firing)
        };
        core.alerts.rules().map(count).collect()
    }
}

fn all<T: DeserializeOwned>(reader: &dyn Reader, kind: DocumentKind) -> Result<Vec<(String, T)>, StoreError> {
    let mut all = Vec::new();
    reader.documents(kind, "", &mut |row| match serde_json::from_slice(&row.body) {
        Ok(record) => all.push((row.name, record)),
        Err(_) => {
            tracing::error!(kind = kind.as_str(), name = row.name, "what is saved of alerts can't be read")
        }
    })?;
    Ok(all)
}

/// The name of the document of an alert.
pub(super) fn document_of(key: &Key) -> String {
    format!("{}/{}", key.rule, key.subject)
}

/// The name of a document that has a number.
pub(super) fn document_name(id: u64) -> String {
    format!("{id:010}")
}
