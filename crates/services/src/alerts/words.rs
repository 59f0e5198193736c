//! Alerts in the types of `/api/v1`.

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::alerts::deliveries::{Delivery, Place};
use buoy_fleet::alerts::{
    Acknowledgement, Condition, Ended, Flapping, Key, Phase, Record, Rule, Severity, Silence,
};

use super::message::{of_subject, severity};
use super::receivers::ReceiverRecord;
use super::state::Core;

pub(super) fn rule(name: &str, wanted: api::PutAlertRule) -> Rule {
    let api::PutAlertRule {
        condition,
        severity,
        description,
        hold,
        resolve_after,
        flapping,
        repeat,
        receivers,
    } = wanted;
    Rule {
        name: name.into(),
        description,
        severity: match severity {
            api::AlertSeverity::Info => Severity::Info,
            api::AlertSeverity::Warning => Severity::Warning,
            api::AlertSeverity::Critical => Severity::Critical,
        },
        condition: match condition {
            api::AlertCondition::Filter { filter } => Condition::Filter { filter },
            api::AlertCondition::UpdateFailed { filter, clears_after } => {
                Condition::UpdateFailed { filter, clears_after }
            }
            api::AlertCondition::RebootLoop { filter, times, within } => {
                Condition::RebootLoop { filter, times, within }
            }
            api::AlertCondition::Disk { free_percent } => Condition::Disk { free_percent },
            api::AlertCondition::Certificate { days } => Condition::Certificate { days },
            _ => Condition::Store,
        },
        hold,
        resolve_after,
        flapping: Flapping { times: flapping.times, within: flapping.within },
        repeat,
        receivers,
    }
}

pub(super) fn described(core: &Core, rule: &Rule) -> api::AlertRule {
    let counts = core.alerts.counts(&rule.name);
    api::AlertRule {
        name: rule.name.to_string(),
        rule: api::PutAlertRule {
            condition: condition(&rule.condition),
            severity: severity(rule.severity),
            description: rule.description.clone(),
            hold: rule.hold,
            resolve_after: rule.resolve_after,
            flapping: api::AlertFlapping { times: rule.flapping.times, within: rule.flapping.within },
            repeat: rule.repeat,
            receivers: rule.receivers.clone(),
        },
        firing: counts.firing as u64,
        is_full: counts.is_full,
        fault: core.faults.get(&rule.name).cloned(),
    }
}

fn condition(condition: &Condition) -> api::AlertCondition {
    match condition.clone() {
        Condition::Filter { filter } => api::AlertCondition::Filter { filter },
        Condition::UpdateFailed { filter, clears_after } => {
            api::AlertCondition::UpdateFailed { filter, clears_after }
        }
        Condition::RebootLoop { filter, times, within } => {
            api::AlertCondition::RebootLoop { filter, times, within }
        }
        Condition::Disk { free_percent } => api::AlertCondition::Disk { free_percent },
        Condition::Certificate { days } => api::AlertCondition::Certificate { days },
        _ => api::AlertCondition::Store,
    }
}

pub(super) fn alert(core: &Core, key: &Key, record: &Record, rule: &Rule) -> api::Alert {
    let (endpoint, part) = of_subject(&key.subject, rule.is_of_devices());
    api::Alert {
        rule: key.rule.to_string(),
        severity: severity(rule.severity),
        state: match record.phase() {
            Phase::Pending => api::AlertState::Pending,
            Phase::Firing if record.flapping => api::AlertState::Flapping,
            Phase::Firing => api::AlertState::Firing,
            Phase::Over => api::AlertState::Resolved,
        },
        endpoint,
        part,
        since: record.fired_at.unwrap_or(record.changed_at),
        ended_at: None,
        silenced: core.alerts.is_held_back(key),
        acknowledged: record.acknowledged.as_ref().map(acknowledged),
        detail: record.detail.clone(),
    }
}

pub(super) fn ended(ended: &Ended) -> api::Alert {
    let (endpoint, part) = of_subject(&ended.subject, ended.is_device);
    api::Alert {
        rule: ended.rule.to_string(),
        severity: severity(ended.severity),
        state: api::AlertState::Resolved,
        endpoint,
        part,
        since: ended.fired_at,
        ended_at: Some(ended.ended_at),
        silenced: false,
        acknowledged: ended.acknowledged.as_ref().map(acknowledged),
        detail: ended.detail.clone(),
    }
}

fn acknowledged(note: &Acknowledgement) -> api::AlertAcknowledgement {
    api::AlertAcknowledgement { by: note.by.clone(), at: note.at, comment: note.comment.clone() }
}

/// An alert about the store, which is not saved: the store can't be written.
pub(super) fn of_outage(core: &Core, now: u64) -> Vec<api::Alert> {
    let Some((since, why)) = &core.outage else { return Vec::new() };
    let rules = core.alerts.rules().filter(|rule| rule.condition == Condition::Store);
    let alert = |rule: &Rule| api::Alert {
        rule: rule.name.to_string(),
        severity: severity(rule.severity),
        state: match since.saturating_add(rule.hold.saturating_mul(1000)) <= now {
            true => api::AlertState::Firing,
            false => api::AlertState::Pending,
        },
        endpoint: None,
        part: Some(super::outage::STORE.to_owned()),
        since: *since,
        ended_at: None,
        silenced: false,
        acknowledged: None,
        detail: why.clone(),
    };
    rules.map(alert).collect()
}

pub(super) fn silence(silence: &Silence, now: u64) -> api::AlertSilence {
    api::AlertSilence {
        id: silence.id,
        rule: silence.rule.as_ref().map(ToString::to_string),
        filter: silence.filter.clone(),
        from: silence.from,
        until: silence.until,
        active: silence.is_active(now),
        author: silence.author.clone(),
        comment: silence.comment.clone(),
    }
}

pub(super) fn receiver(core: &Core, record: &ReceiverRecord) -> api::AlertReceiver {
    let (mut waiting, mut dead, mut error, mut accepted_at) = (0, 0, String::new(), None);
    for (place, delivery) in core.deliveries.of_receiver(&record.name) {
        match place {
            Place::Waiting => {
                waiting += 1;
                if error.is_empty() {
                    error.clone_from(&delivery.error);
                }
            }
            Place::Dead => dead += 1,
            Place::Delivered => accepted_at = delivery.ended_at,
        }
    }
    api::AlertReceiver {
        name: record.name.clone(),
        kind: record.kind.clone(),
        target: record.target.clone(),
        settings: record.settings.clone(),
        severity: record.severity,
        group_wait: record.group_wait,
        give_up_after: record.give_up_after,
        waiting,
        dead,
        error,
        accepted_at,
    }
}

pub(super) fn delivery(place: Place, delivery: &Delivery) -> api::AlertDelivery {
    let next = delivery.ready_at.max(delivery.next_attempt);
    api::AlertDelivery {
        id: delivery.id,
        receiver: delivery.receiver.to_string(),
        rule: delivery.rule.to_string(),
        state: match place {
            Place::Waiting => api::AlertDeliveryState::Waiting,
            Place::Dead => api::AlertDeliveryState::Dead,
            Place::Delivered => api::AlertDeliveryState::Delivered,
        },
        firing: delivery.firing,
        flapping: delivery.flapping,
        resolved: delivery.resolved,
        created_at: delivery.created_at,
        attempts: delivery.attempts,
        next_attempt: (place == Place::Waiting).then_some(next),
        ended_at: delivery.ended_at,
        error: delivery.error.clone(),
    }
}

/// Rules that most fleets want.
pub(super) fn defaults() -> Vec<(Arc<str>, api::PutAlertRule)> {
    use api::{AlertCondition as On, AlertSeverity as Level};
    let rule = |name: &str, severity, hold, resolve_after, condition, description: &str| {
        let rule = api::PutAlertRule {
            condition,
            severity,
            description: description.to_owned(),
            hold,
            resolve_after,
            flapping: api::AlertFlapping::default(),
            repeat: None,
            receivers: Vec::new(),
        };
        (Arc::from(name), rule)
    };
    let filter = |text: &str| On::Filter { filter: text.to_owned() };
    let all = String::new;
    vec![
        rule(
            "offline",
            Level::Warning,
            300,
            60,
            filter("state = offline"),
            "The device was not heard for its lifetime, or it deregistered.",
        ),
        rule(
            "battery-low",
            Level::Warning,
            60,
            300,
            filter("battery < 15"),
            "The battery level that the device reported last (3/0/9) is below 15 %.",
        ),
        rule(
            "update-failed",
            Level::Warning,
            0,
            0,
            On::UpdateFailed { filter: all(), clears_after: 604_800 },
            "A firmware update of the device did not end well. `buoy ctl updates` says how.",
        ),
        rule(
            "reboot-loop",
            Level::Warning,
            0,
            0,
            On::RebootLoop { filter: all(), times: 5, within: 600 },
            "The device registers anew again and again: it restarts, or its network breaks.",
        ),
        rule(
            "disk-full",
            Level::Critical,
            60,
            60,
            On::Disk { free_percent: 10 },
            "The disk of the data folder is nearly full. Without space the server acknowledges nothing.",
        ),
        rule(
            "store-away",
            Level::Critical,
            10,
            0,
            On::Store,
            "The store can't be written. The server acknowledges nothing until it can.",
        ),
        rule(
            "certificate-ends",
            Level::Warning,
            0,
            0,
            On::Certificate { days: 30 },
            "A certificate ends within 30 days. Devices or people can't connect after that.",
        ),
    ]
}
