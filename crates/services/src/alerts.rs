//! Alerts: finds out which conditions of rules hold, makes what follows durable, and sends it to receivers.
//!
//! The thread of the inventory says which devices match the filters of rules; this task passes that to the engine twice a second, and commits what
//! the engine changes together with the messages for receivers. `post` sends those. A change of an alert is in memory before it is saved, but no
//! receiver is told before. A receiver may be told twice, and is never not told, also after `kill -9`.

pub(crate) mod address;
mod broker;
mod checks;
pub mod commands;
mod mail;
mod message;
mod mqtt;
mod nats;
mod outage;
pub(crate) mod post;
pub(crate) mod receivers;
mod saving;
mod send;
pub(crate) mod state;
pub(crate) mod tls;
mod webhook;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use buoy_fleet::alerts::{Condition, Key, Outbox, Rule};
use buoy_fleet::filter::Filter;
use buoy_fleet::update::{End, Update};
use buoy_store::{Change, DocumentKind, Page};

pub use address::{Network, NoNetwork};
pub(crate) use checks::Parts;

use outage::Outage;
use state::{Endings, UpdateEnded};
use tokio::sync::OwnedMutexGuard;

use crate::app::App;
use crate::documents;
use crate::groups;
use crate::inventory::Sightings;
use crate::journal::NotSaved;

/// How often alerts are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Between two looks at the groups that filters name, in milliseconds,
const GROUPS: u64 = 10_000;
/// and at the server itself.
const CHECKS: u64 = 15_000;
/// Observations that are taken in at a time.
const AT_ONCE: usize = 1000;
/// How long ago an update may have ended that is looked at again after a start; milliseconds.
const RECALLED: u64 = 600_000;
/// Updates that ended, of one look.
const MOST_ENDINGS: usize = 1000;

/// Looks after alerts until the server stops.
///
/// # Errors
/// [`NotSaved::Rejected`]: what an alert changed will never be saved.
pub(crate) async fn run(app: Arc<App>, mut endings: Endings) -> Result<(), NotSaved> {
    match follow(&app, &mut endings).await {
        Err(NotSaved::Rejected(rejection)) => Err(NotSaved::Rejected(rejection)),
        // At the stop of the server.
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn follow(app: &Arc<App>, endings: &mut Endings) -> Result<(), NotSaved> {
    remove_orphans(app).await?;
    recall_updates(app).await;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut watcher, mut outage, mut checked_at) = (Watcher::default(), Outage::default(), 0);
    loop {
        tick.tick().await;
        let now = app.now();
        watcher.refresh(app, now);
        let sighted = watcher.sighted(app).await;
        let happened = happened(app, endings).await;
        let findings = if checked_at + CHECKS <= now {
            checked_at = now;
            look_at_server(app, now).await
        } else {
            Vec::new()
        };
        let _turn = turn(app, &mut outage).await;
        let mut outbox = std::mem::take(&mut app.alerts.core().outbox);
        outage.end(app, &mut outbox);
        let observed: Vec<Observation> = sighted.into_iter().chain(happened).chain(findings).collect();
        for some in observed.chunks(AT_ONCE) {
            for (key, holds, detail) in some {
                app.alerts.core().alerts.observe(now, key, *holds, detail, &mut outbox);
            }
            // A whole fleet may have changed.
            tokio::task::yield_now().await;
        }
        watcher.count_boots(app, now, &mut outbox).await;
        watcher.compare(app, now, &mut outbox).await;
        saving::save(app, outbox, Some(&mut outage)).await?;
        advance(app, &mut outage).await?;
    }
}

/// The turn of this loop. Whoever has it may wait for the store: if that can't be written, receivers hear of it all the same.
async fn turn(app: &Arc<App>, outage: &mut Outage) -> OwnedMutexGuard<()> {
    loop {
        match tokio::time::timeout(outage::LOOK, app.alerts.edits.clone().lock_owned()).await {
            Ok(turn) => return turn,
            Err(_) => outage.look(app),
        }
    }
}

/// An alert, whether its condition holds, and what is known besides.
type Observation = (Key, bool, String);

/// Does what is due, and saves it.
async fn advance(app: &Arc<App>, outage: &mut Outage) -> Result<(), NotSaved> {
    loop {
        let now = app.now();
        let silenced = silenced(app, now).await;
        let matches =
            |silence: u64, name: &str| silenced.get(&silence).is_some_and(|names| names.contains(name));
        let mut outbox = Outbox::default();
        let has_more = app.alerts.core().alerts.advance(now, &matches, &mut outbox);
        saving::save(app, outbox, Some(outage)).await?;
        if !has_more {
            return Ok(());
        }
    }
}

/// Which of the devices that receivers would be told of are matched by the filters of silences.
async fn silenced(app: &Arc<App>, now: u64) -> HashMap<u64, HashSet<Arc<str>>> {
    let (names, filters) = {
        let core = app.alerts.core();
        let names = core.alerts.asks(now);
        let active = core.alerts.silences().filter(|silence| !names.is_empty() && silence.is_active(now));
        let filters: Vec<_> = active.filter_map(|it| Some((it.id, it.filter.clone()?))).collect();
        (names, filters)
    };
    let mut all = HashMap::new();
    for (id, filter) in filters {
        // A filter whose group is gone silences nothing: it is better to tell.
        let Ok(filter) = groups::selection(app, &filter) else { continue };
        let are = app.inventory.are_matches(filter, names.clone()).await;
        let matching = names.iter().zip(are).filter(|(_, is)| *is).map(|(name, _)| name.clone());
        all.insert(id, matching.collect());
    }
    all
}

/// Updates that ended, for the rules about failed ones.
async fn happened(app: &Arc<App>, endings: &mut Endings) -> Vec<Observation> {
    let is_failed = |rule: &&Rule| matches!(rule.condition, Condition::UpdateFailed { .. });
    let rules: Vec<Rule> = app.alerts.core().alerts.rules().filter(is_failed).cloned().collect();
    let (mut devices, mut ends) = (Vec::new(), Vec::new());
    while ends.len() < MOST_ENDINGS {
        let Ok(UpdateEnded { id, endpoint, end }) = endings.try_recv() else { break };
        let (holds, detail) = match &end {
            End::Updated | End::AlreadyRunning => (false, String::new()),
            // It says nothing about the device.
            End::Cancelled => continue,
            end => (true, format!("update {id}: {end}")),
        };
        devices.push(endpoint);
        ends.push((holds, detail));
    }
    let mut all = Vec::new();
    for rule in &rules {
        let are_about = are_about(app, rule, &devices).await;
        for ((device, (holds, detail)), is_about) in devices.iter().zip(&ends).zip(are_about) {
            if !holds || is_about {
                let key = Key { rule: rule.name.clone(), subject: device.clone() };
                all.push((key, *holds, detail.clone()));
            }
        }
    }
    all
}

/// Whether a rule is about each of some devices.
async fn are_about(app: &Arc<App>, rule: &Rule, devices: &[Arc<str>]) -> Vec<bool> {
    let filter = rule.filter().unwrap_or_default();
    if devices.is_empty() || filter.trim().is_empty() {
        return vec![true; devices.len()];
    }
    match groups::selection(app, filter) {
        Ok(filter) => app.inventory.are_matches(filter, devices.to_vec()).await,
        Err(_) => vec![false; devices.len()],
    }
}

/// The disk, and the certificates.
async fn look_at_server(app: &Arc<App>, now: u64) -> Vec<Observation> {
    let (rules, held): (Vec<Rule>, Vec<Key>) = {
        let core = app.alerts.core();
        let of_files = core.alerts.open().filter(|(_, record, rule)| {
            record.holds && matches!(rule.condition, Condition::Certificate { .. })
        });
        let held = of_files.map(|(key, ..)| key.clone()).collect();
        (core.alerts.rules().filter(|rule| !rule.is_of_devices()).cloned().collect(), held)
    };
    let parts = app.alerts.means.parts.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let mut findings = checks::findings(&parts, &rules, now);
        findings.extend(held.into_iter().filter_map(|key| checks::gone(&parts, key)));
        findings
    });
    let findings = looked.await.unwrap_or_default();
    findings.into_iter().map(|found| (found.key, found.holds, found.detail)).collect()
}

/// Updates that ended just before the server was ended: the alert about one may not have been saved. What is known already changes nothing.
async fn recall_updates(app: &Arc<App>) {
    let since = app.now().saturating_sub(RECALLED);
    let page = Page { before: u64::MAX, limit: MOST_ENDINGS };
    let Ok(rows) = app.read(move |store| store.updates(None, page)).await else { return };
    let ended_at = |update: &Update| update.history().last().map_or(0, |entry| entry.at);
    let recent = rows.iter().filter_map(Update::restore).filter(|update| ended_at(update) >= since);
    let recent: Vec<Update> = recent.collect();
    // The oldest first.
    recent.iter().rev().for_each(|update| app.alerts.tell_update(update));
}

/// Removes alerts whose rule was removed just before the server ended.
async fn remove_orphans(app: &Arc<App>) -> Result<(), NotSaved> {
    let orphans = std::mem::take(&mut app.alerts.core().orphans);
    for some in orphans.chunks(MOST_ENDINGS) {
        let gone: Vec<Change<'static>> =
            some.iter().map(|name| documents::remove(DocumentKind::Alert, name)).collect();
        app.journal.commit(gone).await?;
    }
    Ok(())
}

/// What the inventory is asked to look for.
#[derive(Default)]
struct Watcher {
    generation: u64,
    /// The rules, in the order of their filters.
    rules: Vec<Arc<str>>,
    filters: Vec<Filter>,
    counts_boots: bool,
    refreshed_at: u64,
    /// Whether all devices have been looked at,
    is_complete: bool,
    /// and those that match no longer have been found.
    is_compared: bool,
    boots: HashMap<Arc<str>, Vec<u64>>,
}

impl Watcher {
    /// Resolves the groups of filters anew, and tells the inventory if something is other than before.
    fn refresh(&mut self, app: &App, now: u64) {
        let (rules, is_other): (Vec<Rule>, bool) = {
            let mut core = app.alerts.core();
            let is_other = std::mem::take(&mut core.has_other_rules);
            if !is_other && self.refreshed_at + GROUPS > now {
                return;
            }
            core.faults.clear();
            (core.alerts.rules().cloned().collect(), is_other)
        };
        self.refreshed_at = now;
        let (mut names, mut filters, mut counts_boots) = (Vec::new(), Vec::new(), false);
        for rule in rules {
            counts_boots |= matches!(rule.condition, Condition::RebootLoop { .. });
            let Some(text) = rule.filter() else { continue };
            match groups::selection(app, text) {
                Ok(selection) => {
                    let is_watched = matches!(rule.condition, Condition::Filter { .. });
                    if let Some(matching) = selection.matching.filter(|_| is_watched) {
                        filters.push(matching.filter);
                        names.push(rule.name.clone());
                    }
                }
                Err(fault) => drop(app.alerts.core().faults.insert(rule.name.clone(), fault.to_string())),
            }
        }
        let is_same = names == self.rules && filters == self.filters && counts_boots == self.counts_boots;
        if is_same && !is_other {
            return;
        }
        self.generation += 1;
        app.inventory.watch(self.generation, filters.clone(), counts_boots, &app.alerts.sightings);
        (self.rules, self.filters, self.counts_boots) = (names, filters, counts_boots);
        (self.is_complete, self.is_compared) = (false, false);
    }

    /// The devices that match other rules than before.
    async fn sighted(&mut self, app: &App) -> Vec<Observation> {
        let sightings: &Sightings = &app.alerts.sightings;
        let seen = sightings.take();
        self.boots = seen.boots;
        if seen.generation != self.generation {
            return Vec::new();
        }
        self.is_complete |= seen.is_complete;
        let mut all = Vec::new();
        for (name, (bits, changed)) in seen.devices {
            for (place, rule) in self.rules.iter().enumerate() {
                if changed >> place & 1 == 1 {
                    let key = Key { rule: rule.clone(), subject: name.clone() };
                    all.push((key, bits >> place & 1 == 1, String::new()));
                }
            }
        }
        all
    }

    async fn count_boots(&mut self, app: &Arc<App>, now: u64, outbox: &mut Outbox) {
        let is_loop = |rule: &&Rule| matches!(rule.condition, Condition::RebootLoop { .. });
        let rules: Vec<Rule> = app.alerts.core().alerts.rules().filter(is_loop).cloned().collect();
        let (names, times): (Vec<_>, Vec<_>) = std::mem::take(&mut self.boots).into_iter().unzip();
        let mut meant: Vec<Vec<Arc<str>>> = vec![Vec::new(); names.len()];
        for rule in &rules {
            for (meant, is_about) in meant.iter_mut().zip(are_about(app, rule, &names).await) {
                meant.extend(is_about.then(|| rule.name.clone()));
            }
        }
        for ((device, times), meant) in names.iter().zip(times).zip(meant) {
            let is_meant = |name: &str| meant.iter().any(|rule| **rule == *name);
            app.alerts.core().alerts.booted(now, device, times, is_meant, outbox);
        }
    }

    /// After all devices were looked at: alerts of devices that match no longer, or are gone, are found by asking for them.
    async fn compare(&mut self, app: &App, now: u64, outbox: &mut Outbox) {
        if !self.is_complete || std::mem::replace(&mut self.is_compared, true) {
            return;
        }
        let names: Vec<Arc<str>> = {
            let core = app.alerts.core();
            let held = core.alerts.open().filter(|(_, record, rule)| record.holds && rule.is_of_devices());
            held.map(|(key, ..)| key.subject.clone()).collect()
        };
        if names.is_empty() {
            return;
        }
        let bits = app.inventory.watched(names.clone(), now).await;
        let bits: HashMap<Arc<str>, u128> = names.into_iter().zip(bits).collect();
        let is_so = |key: &Key| {
            let place = self.rules.iter().position(|rule| *rule == key.rule);
            // Of a rule whose filter can't be used nothing is known.
            place.is_none_or(|place| bits.get(&key.subject).is_some_and(|bits| bits >> place & 1 == 1))
        };
        app.alerts.core().alerts.compare(now, is_so, outbox);
    }
}
