//! Alerts that the store can't be written. They can't be saved before they are told, so receivers are told at once, from memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use buoy_fleet::alerts::deliveries::{Attempt, Delivery, Item};
use buoy_fleet::alerts::{Change, Condition, Key, News, Outbox, Rule};
use tokio::task::AbortHandle;

use super::receivers::ReceiverRecord;
use super::{saving, send};
use crate::app::App;

/// How often it is looked at while a commit is waited for.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts to tell a receiver.
const PAUSE: Duration = Duration::from_secs(5);
/// The part of the server that these alerts are about.
pub(super) const STORE: &str = "store";

/// A time in which the store can't be written.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Since when, in milliseconds since the epoch, and why.
    since: Option<(u64, String)>,
    /// The rules that fire, and who is being told.
    told: HashMap<Arc<str>, (u64, Vec<AbortHandle>)>,
}

impl Outage {
    /// Tells receivers if the store can't be written for as long as a rule says.
    pub(super) fn look(&mut self, app: &Arc<App>) {
        let Err(trouble) = app.check_store() else { return };
        let now = app.now();
        let (since, why) = self.since.get_or_insert_with(|| (now, trouble.to_string())).clone();
        let mut core = app.alerts.core();
        core.outage = Some((since, why.clone()));
        let is_due = |rule: &&Rule| {
            let is_store = rule.condition == Condition::Store;
            is_store && since.saturating_add(rule.hold.saturating_mul(1000)) <= now
        };
        for rule in core.alerts.rules().filter(is_due) {
            let key = Key { rule: rule.name.clone(), subject: STORE.into() };
            if self.told.contains_key(&rule.name) || core.alerts.is_silenced(now, &key, &|_, _| false) {
                continue;
            }
            let receivers = core.receivers.values().filter(|receiver| saving::is_for(rule, receiver));
            let telling = receivers
                .map(|receiver| tell(app, receiver.clone(), message(rule, receiver, since, now, &why)));
            self.told.insert(rule.name.clone(), (now, telling.collect()));
        }
    }

    /// After the end: what is told of it, and its place in the history, are saved as all others.
    pub(super) fn end(&mut self, app: &Arc<App>, outbox: &mut Outbox) {
        if app.check_store().is_err() {
            return self.look(app);
        }
        let Some((since, why)) = self.since.take() else { return };
        let now = app.now();
        let mut core = app.alerts.core();
        core.outage = None;
        let detail = format!("the store could not be written for {} s: {why}", (now - since) / 1000);
        for (rule, (fired_at, telling)) in self.told.drain() {
            telling.iter().for_each(AbortHandle::abort);
            let key = Key { rule: rule.clone(), subject: STORE.into() };
            outbox.changes.push(Change {
                key,
                is_device: false,
                news: News::Resolved,
                fired_at,
                at: now,
                detail: detail.clone(),
                rule: None,
            });
            core.alerts.note_past(&rule, STORE, (fired_at, now), &detail, outbox);
        }
    }
}

fn message(rule: &Rule, receiver: &ReceiverRecord, since: u64, now: u64, why: &str) -> Delivery {
    let item = Item {
        news: News::Firing,
        subject: STORE.into(),
        is_device: false,
        fired_at: since,
        at: now,
        detail: why.to_owned(),
    };
    Delivery {
        // It is in no list, and its id in no other message.
        id: now,
        receiver: receiver.name.as_str().into(),
        rule: rule.name.clone(),
        description: rule.description.clone(),
        severity: rule.severity,
        created_at: now,
        ready_at: now,
        firing: 1,
        flapping: 0,
        resolved: 0,
        items: vec![item],
        attempts: 1,
        next_attempt: 0,
        tried_since: now,
        error: String::new(),
        ended_at: None,
    }
}

/// Tells a receiver until it accepts, or the store is there again.
fn tell(app: &Arc<App>, receiver: ReceiverRecord, message: Delivery) -> AbortHandle {
    let app = app.clone();
    let task = tokio::spawn(async move {
        loop {
            match send::send(&app, &receiver, &message).await {
                Attempt::Accepted => return,
                Attempt::Refused(why) => {
                    tracing::warn!(
                        receiver = receiver.name,
                        why,
                        "a receiver refuses an alert about the store"
                    );
                    return;
                }
                Attempt::Failed { .. } => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    task.abort_handle()
}
