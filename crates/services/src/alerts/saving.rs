//! Commits what alerts have changed, together with the messages that tell of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::alerts::{Change, Ended, Key, Outbox, Record, Rule};
use buoy_store::{ChangeSet, DocumentKind};

use super::message::{of_subject, severity, state};
use super::outage::Outage;
use super::state::{Core, document_name, document_of};
use crate::app::App;
use crate::documents;
use crate::journal::NotSaved;

/// Alerts in one commit: no other commit waits for more.
const AT_ONCE: usize = 1000;
/// Changes of one rule that have an event each.
const MOST_EVENTS: usize = 100;

/// Saves what was changed, and then tells of it. The caller has the turn to edit.
///
/// `outage` is that of the loop, which looks after the alerts about the store; commands have none.
pub(super) async fn save(
    app: &Arc<App>,
    outbox: Outbox,
    mut outage: Option<&mut Outage>,
) -> Result<(), NotSaved> {
    let Outbox { mut saves, ended, forgotten, changes, gone_silences, look_again } = outbox;
    app.alerts.core().has_other_rules |= look_again;
    let mut ended = by_key(ended, forgotten);
    for some in changes.chunks(AT_ONCE) {
        let set = {
            let mut core = app.alerts.core();
            deliver(&mut core, app.now(), some);
            let mut set = messages(&mut core, app.now());
            for change in some {
                set.extend(alert(app, &change.key, &mut saves));
                set.extend(ended.remove(&change.key).into_iter().flatten().map(|it| over(app, &it)));
            }
            set
        };
        commit(app, set, outage.as_deref_mut()).await?;
        publish(app, some);
        app.alerts.wake.notify_one();
    }
    let mut rest: ChangeSet<'static> = Vec::new();
    let left: Vec<Key> = saves.keys().cloned().collect();
    for key in left {
        rest.extend(alert(app, &key, &mut saves));
    }
    rest.extend(ended.into_values().flatten().map(|it| over(app, &it)));
    let silence = |id: u64| documents::remove(DocumentKind::AlertSilence, &document_name(id));
    rest.extend(gone_silences.into_iter().map(silence));
    rest.extend(forget(&mut app.alerts.core(), forgotten));
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(AT_ONCE));
        commit(app, std::mem::replace(&mut rest, after), outage.as_deref_mut()).await?;
    }
    Ok(())
}

/// Saves messages that were changed.
pub(super) async fn save_messages(app: &Arc<App>, mut set: ChangeSet<'static>) -> Result<(), NotSaved> {
    set.append(&mut messages(&mut app.alerts.core(), app.now()));
    if set.is_empty() { Ok(()) } else { app.journal.commit(set).await }
}

/// Commits, and looks after the alerts about the store while it can't be written.
async fn commit(
    app: &Arc<App>,
    set: ChangeSet<'static>,
    mut outage: Option<&mut Outage>,
) -> Result<(), NotSaved> {
    if set.is_empty() {
        return Ok(());
    }
    let committed = app.journal.commit(set);
    tokio::pin!(committed);
    loop {
        tokio::select! {
            done = &mut committed => return done,
            () = tokio::time::sleep(super::outage::LOOK) => {
                if let Some(outage) = &mut outage {
                    outage.look(app);
                }
            }
        }
    }
}

/// Those that are not forgotten at once, by the alert.
fn by_key(ended: Vec<Ended>, forgotten: Option<u64>) -> HashMap<Key, Vec<Ended>> {
    let mut all: HashMap<Key, Vec<Ended>> = HashMap::new();
    for one in ended.into_iter().filter(|one| forgotten.is_none_or(|forgotten| one.id > forgotten)) {
        all.entry(Key { rule: one.rule.clone(), subject: one.subject.clone() }).or_default().push(one);
    }
    all
}

fn alert(
    app: &App,
    key: &Key,
    saves: &mut BTreeMap<Key, Option<Record>>,
) -> Option<buoy_store::Change<'static>> {
    Some(match saves.remove(key)? {
        Some(record) => documents::put(DocumentKind::Alert, &document_of(key), &record, app.now()),
        None => documents::remove(DocumentKind::Alert, &document_of(key)),
    })
}

fn over(app: &App, ended: &Ended) -> buoy_store::Change<'static> {
    documents::put(DocumentKind::AlertEnded, &document_name(ended.id), ended, app.now())
}

/// Removes alerts from the history.
fn forget(core: &mut Core, forgotten: Option<u64>) -> ChangeSet<'static> {
    let Some(forgotten) = forgotten else { return Vec::new() };
    let first = std::mem::replace(&mut core.first_ended, forgotten + 1);
    // Of those in between, the store has at most so many.
    let most = buoy_fleet::alerts::MOST_HISTORY as u64;
    let last = forgotten.min(first.saturating_add(most));
    (first..=last).map(|id| documents::remove(DocumentKind::AlertEnded, &document_name(id))).collect()
}

/// Hands changes to the receivers.
fn deliver(core: &mut Core, now: u64, changes: &[Change]) {
    let Core { alerts, deliveries, receivers, .. } = core;
    let mut routes: HashMap<Arc<str>, (Rule, Vec<String>)> = HashMap::new();
    for change in changes {
        let (rule, to) = match routes.entry(change.key.rule.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let Some(rule) = alerts.rule(&change.key.rule).or(change.rule.as_deref()) else { continue };
                let to = receivers.values().filter(|receiver| is_for(rule, receiver));
                let to = to.map(|receiver| receiver.name.clone()).collect();
                new.insert((rule.clone(), to))
            }
        };
        for receiver in to.iter() {
            deliveries.add(now, receiver, rule, change);
        }
    }
}

/// Whether a receiver is told of the alerts of a rule.
pub(super) fn is_for(rule: &Rule, receiver: &super::receivers::ReceiverRecord) -> bool {
    let is_named = rule.receivers.is_empty() || rule.receivers.contains(&receiver.name);
    is_named && severity(rule.severity) >= receiver.severity
}

fn messages(core: &mut Core, now: u64) -> ChangeSet<'static> {
    let changed = core.deliveries.take_changed().into_iter();
    let document = |(id, delivery): (u64, Option<buoy_fleet::alerts::deliveries::Delivery>)| {
        let name = document_name(id);
        match delivery {
            Some(delivery) => documents::put(DocumentKind::AlertDelivery, &name, &delivery, now),
            None => documents::remove(DocumentKind::AlertDelivery, &name),
        }
    };
    changed.map(document).collect()
}

/// Publishes changes as events: of many at once, one with their number.
fn publish(app: &App, changes: &[Change]) {
    let mut counts: HashMap<(Arc<str>, buoy_fleet::alerts::News), Vec<&Change>> = HashMap::new();
    for change in changes {
        counts.entry((change.key.rule.clone(), change.news)).or_default().push(change);
    }
    for ((rule, news), changes) in counts {
        let known = app.alerts.core().alerts.rule(&rule).map(|rule| rule.severity);
        let removed = || changes.first()?.rule.as_ref().map(|rule| rule.severity);
        let severity = severity(known.or_else(removed).unwrap_or_default());
        let event = |endpoint, part, count| api::Event::Alert {
            rule: rule.to_string(),
            severity,
            state: state(news),
            endpoint,
            part,
            count,
        };
        if changes.len() > MOST_EVENTS {
            app.hub.tell_alert(event(None, None, Some(changes.len() as u64)));
            continue;
        }
        for change in changes {
            let (endpoint, part) = of_subject(&change.key.subject, change.is_device);
            app.hub.tell_alert(event(endpoint, part, None));
        }
    }
}
