//! Alerts: conditions that hold for long enough, each of one rule and one subject, with what receivers are told of them.
//!
//! A subject is a device, or a part of the server. While its condition holds for less than the rule's time, an alert is pending; after that it
//! fires, until the condition has not held for the rule's other time. A subject whose alert fires again and again is told once as flapping.
//! A silence holds back what would be told; what is told late is the state at that time.
//!
//! The engine has no clock and does no I/O. The shell finds out which conditions hold, and calls [`Alerts::observe`] when that changes;
//! [`Alerts::advance`] does what is due, a limited number at a time. [`Outbox`] says what to save and what to tell after that: the shell puts
//! what is told into [`deliveries`] and commits both together.

pub mod deliveries;
mod entry;
mod rule;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use entry::{Acknowledgement, Phase, Record};
pub use rule::{Condition, Flapping, Rule, RuleError, Severity, Silence, check_name};

use rule::{MOST_BOOTS, millis};

/// The most rules.
pub const MOST_RULES: usize = 100;
/// The most subjects of one rule that are followed at a time.
pub const MOST_OF_RULE: usize = 100_000;
/// The most silences.
pub const MOST_SILENCES: usize = 1000;
/// Alerts that ended and are remembered.
pub const MOST_HISTORY: usize = 5000;
/// Alerts that one call handles.
pub const AT_ONCE: usize = 1000;
/// How often alerts that are silenced are looked at; milliseconds.
const LOOK_AT_SILENCED: u64 = 5000;
/// How long a silence that is over stays in the list; milliseconds.
const SILENCE_SHOWN: u64 = 24 * 60 * 60 * 1000;
/// Devices whose registrations are counted; those that registered last.
const MOST_COUNTED: usize = 400_000;

/// All alerts of a server.
#[derive(Debug)]
pub struct Alerts {
    /// Of [`MOST_OF_RULE`], but in tests.
    most_of_rule: usize,
    rules: BTreeMap<Arc<str>, Rule>,
    silences: BTreeMap<u64, Silence>,
    entries: HashMap<Key, Record>,
    /// When to look at which entry.
    due: BTreeSet<(u64, Key)>,
    /// Those that are held back by a silence, and when they are looked at again.
    silenced: HashSet<Key>,
    look_at_silenced: u64,
    counts: HashMap<Arc<str>, Counts>,
    /// The last registrations of devices.
    boots: HashMap<Arc<str>, VecDeque<u64>>,
    history: VecDeque<Ended>,
    last_ended: u64,
}

/// Names an alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The rule.
    pub rule: Arc<str>,
    /// The endpoint name of a device, or a part of the server.
    pub subject: Arc<str>,
}

/// How many alerts of a rule there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Subjects that are followed, also those whose alert has ended lately.
    pub followed: usize,
    /// Alerts that fire.
    pub firing: usize,
    /// Whether there were subjects that could not be followed, since there are too many.
    pub is_full: bool,
}

/// An alert that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Ids grow.
    pub id: u64,
    /// The rule.
    pub rule: Arc<str>,
    /// How bad it was.
    pub severity: Severity,
    /// The subject.
    pub subject: Arc<str>,
    /// Whether that is a device.
    pub is_device: bool,
    /// When it fired; milliseconds since the epoch.
    pub fired_at: u64,
    /// When it ended.
    pub ended_at: u64,
    /// Who took note of it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
    /// What was known.
    #[serde(default)]
    pub detail: String,
}

/// What receivers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It fires.
    Firing,
    /// It fires again and again.
    Flapping,
    /// It is over.
    Resolved,
}

/// A change of an alert that receivers are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which alert.
    pub key: Key,
    /// Whether its subject is a device.
    pub is_device: bool,
    /// What is told.
    pub news: News,
    /// Since when the alert fires; milliseconds since the epoch.
    pub fired_at: u64,
    /// When it changed.
    pub at: u64,
    /// What is known.
    pub detail: String,
    /// The rule, if it was removed: nobody else knows it any more.
    pub rule: Option<Box<Rule>>,
}

/// What a call changed.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What to save: the alert's record, or that there is none any more.
    pub saves: BTreeMap<Key, Option<Record>>,
    /// Alerts that ended.
    pub ended: Vec<Ended>,
    /// Ids of alerts that ended and are forgotten: all up to this one.
    pub forgotten: Option<u64>,
    /// What to tell.
    pub changes: Vec<Change>,
    /// Silences that have been over for long and are gone.
    pub gone_silences: Vec<u64>,
    /// All conditions have to be looked at anew: there is room for subjects that could not be followed.
    pub look_again: bool,
}

/// Whether a silence's filter matches a device.
pub type Matches<'a> = &'a dyn Fn(u64, &str) -> bool;

impl Default for Alerts {
    fn default() -> Self {
        Self {
            most_of_rule: MOST_OF_RULE,
            rules: BTreeMap::new(),
            silences: BTreeMap::new(),
            entries: HashMap::new(),
            due: BTreeSet::new(),
            silenced: HashSet::new(),
            look_at_silenced: 0,
            counts: HashMap::new(),
            boots: HashMap::new(),
            history: VecDeque::new(),
            last_ended: 0,
        }
    }
}

impl Alerts {
    /// Those that were saved.
    #[must_use]
    pub fn restore(
        rules: Vec<Rule>,
        silences: Vec<Silence>,
        records: Vec<(Key, Record)>,
        mut history: Vec<Ended>,
    ) -> Self {
        history.sort_by_key(|ended| ended.id);
        let mut alerts = Self {
            rules: rules.into_iter().map(|rule| (rule.name.clone(), rule)).collect(),
            silences: silences.into_iter().map(|silence| (silence.id, silence)).collect(),
            last_ended: history.last().map_or(0, |ended| ended.id),
            history: history.into(),
            ..Self::default()
        };
        for (key, record) in records {
            // Of a rule that was removed while its alerts were.
            if let Some((name, _)) = alerts.rules.get_key_value(&key.rule) {
                let key = Key { rule: name.clone(), subject: key.subject };
                let counts = alerts.counts.entry(name.clone()).or_default();
                counts.followed += 1;
                counts.firing += usize::from(record.fired_at.is_some());
                alerts.entries.insert(key.clone(), record);
                alerts.schedule(&key);
                if alerts.entries.get(&key).is_some_and(|it| it.fired_at.is_some() && it.told.is_none()) {
                    alerts.silenced.insert(key);
                }
            }
        }
        alerts
    }

    /// The rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// One rule.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.get(name)
    }

    /// How many alerts a rule has.
    #[must_use]
    pub fn counts(&self, rule: &str) -> Counts {
        self.counts.get(rule).copied().unwrap_or_default()
    }

    /// The silences, by id.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// Alerts that are pending or firing, in no order.
    pub fn open(&self) -> impl Iterator<Item = (&Key, &Record, &Rule)> {
        let rule = |key: &Key| self.rules.get(&key.rule);
        let all = self.entries.iter().filter(|(_, record)| record.phase() != Phase::Over);
        all.filter_map(move |(key, record)| Some((key, record, rule(key)?)))
    }

    /// One alert that is pending or firing.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<&Record> {
        self.entries.get(key).filter(|record| record.phase() != Phase::Over)
    }

    /// Whether receivers are not told of it, since it is silenced.
    #[must_use]
    pub fn is_held_back(&self, key: &Key) -> bool {
        self.silenced.contains(key)
    }

    /// Alerts that ended, the newest first.
    pub fn history(&self) -> impl Iterator<Item = &Ended> {
        self.history.iter().rev()
    }

    /// Adds a rule, or replaces one. Alerts of another condition than before end unless their condition is observed anew.
    pub fn put_rule(&mut self, now: u64, rule: Rule, outbox: &mut Outbox) {
        let before = self.rules.insert(rule.name.clone(), rule.clone());
        let is_other = before.is_some_and(|before| before.condition != rule.condition);
        for key in self.keys_of(&rule.name) {
            if is_other && !matches!(rule.condition, Condition::Filter { .. }) {
                self.observe(now, &key, false, "", outbox);
            }
            self.schedule(&key);
        }
    }

    /// Removes a rule; its alerts end.
    pub fn remove_rule(&mut self, now: u64, name: &str, outbox: &mut Outbox) {
        let first = outbox.changes.len();
        for key in self.keys_of(name) {
            self.resolve(now, &key, "the rule was removed", outbox);
            self.forget(&key, outbox);
        }
        self.counts.remove(name);
        let Some(rule) = self.rules.remove(name) else { return };
        for change in outbox.changes.iter_mut().skip(first) {
            change.rule = Some(Box::new(rule.clone()));
        }
    }

    fn keys_of(&self, rule: &str) -> Vec<Key> {
        self.entries.keys().filter(|key| *key.rule == *rule).cloned().collect()
    }

    /// Adds a silence, or replaces one.
    pub fn put_silence(&mut self, silence: Silence) {
        self.silences.insert(silence.id, silence);
        self.look_at_silenced = 0;
    }

    /// Removes a silence.
    pub fn remove_silence(&mut self, id: u64) -> Option<Silence> {
        self.look_at_silenced = 0;
        self.silences.remove(&id)
    }

    /// Records whether a rule's condition holds for a subject. What follows comes with [`Alerts::advance`].
    pub fn observe(&mut self, now: u64, key: &Key, holds: bool, detail: &str, outbox: &mut Outbox) {
        let Some((name, rule)) = self.rules.get_key_value(&key.rule) else { return };
        let key = Key { rule: name.clone(), subject: key.subject.clone() };
        let is_long = rule.hold >= entry::LONG;
        let is_event = rule.clears_after().is_some();
        match self.entries.get_mut(&key) {
            None if !holds => return,
            None => {
                let counts = self.counts.entry(key.rule.clone()).or_default();
                if counts.followed >= self.most_of_rule {
                    counts.is_full = true;
                    return;
                }
                counts.followed += 1;
                self.entries.insert(key.clone(), Record::new(now, detail));
            }
            Some(record) if record.holds == holds => {
                if holds {
                    detail.clone_into(&mut record.detail);
                }
                if !(holds && is_event) {
                    return;
                }
                record.changed_at = now;
            }
            Some(record) => {
                record.holds = holds;
                record.changed_at = now;
                if holds {
                    detail.clone_into(&mut record.detail);
                }
            }
        }
        if let Some(record) = self.entries.get(&key).filter(|record| record.is_to_be_saved(is_long)) {
            outbox.saves.insert(key.clone(), Some(record.clone()));
        }
        self.schedule(&key);
    }

    /// Records registrations of a device, the oldest first, for rules of reboot loops. `is_meant` says whether a rule is about the device.
    pub fn booted(
        &mut self,
        now: u64,
        device: &Arc<str>,
        times: impl IntoIterator<Item = u64>,
        is_meant: impl Fn(&str) -> bool,
        outbox: &mut Outbox,
    ) {
        let is_loop = |rule: &&Rule| matches!(rule.condition, Condition::RebootLoop { .. });
        if !self.rules.values().any(|rule| is_loop(&rule)) {
            self.boots.clear();
            return;
        }
        if self.boots.len() >= MOST_COUNTED && !self.boots.contains_key(device) {
            self.forget_boots(now);
        }
        let boots = self.boots.entry(device.clone()).or_default();
        boots.extend(times);
        while boots.len() > MOST_BOOTS as usize {
            boots.pop_front();
        }
        let boots = boots.clone();
        let loops: Vec<Rule> = self.rules.values().filter(is_loop).cloned().collect();
        for rule in loops {
            let Condition::RebootLoop { times, within, .. } = rule.condition else { continue };
            let since = now.saturating_sub(millis(within));
            let count = boots.iter().filter(|at| **at > since).count();
            if count >= times as usize && is_meant(&rule.name) {
                let key = Key { rule: rule.name.clone(), subject: device.clone() };
                self.observe(now, &key, true, &format!("{count} registrations within {within} s"), outbox);
            }
        }
    }

    /// Forgets registrations that no rule counts any more; if there are none, all.
    fn forget_boots(&mut self, now: u64) {
        let longest = self.rules.values().filter_map(|rule| match rule.condition {
            Condition::RebootLoop { within, .. } => Some(millis(within)),
            _ => None,
        });
        let since = now.saturating_sub(longest.max().unwrap_or(0));
        self.boots.retain(|_, boots| boots.back().is_some_and(|last| *last > since));
        if self.boots.len() >= MOST_COUNTED {
            self.boots.clear();
        }
    }

    /// Ends what was observed of devices of which nothing is known any more: `is_so` says whether a rule's filter matches a device.
    pub fn compare(&mut self, now: u64, is_so: impl Fn(&Key) -> bool, outbox: &mut Outbox) {
        let is_filter = |key: &Key| {
            self.rules.get(&key.rule).is_some_and(|rule| matches!(rule.condition, Condition::Filter { .. }))
        };
        let gone: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, record)| record.holds && is_filter(key) && !is_so(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.observe(now, &key, false, "", outbox);
        }
    }

    /// Adds an alert to the history that nobody could follow: the store could not be written.
    pub fn note_past(
        &mut self,
        rule: &str,
        subject: &str,
        times: (u64, u64),
        detail: &str,
        outbox: &mut Outbox,
    ) {
        let Some((name, rule)) = self.rules.get_key_value(rule) else { return };
        let (name, severity, is_device) = (name.clone(), rule.severity, rule.is_of_devices());
        self.end(
            Ended {
                id: 0,
                rule: name,
                severity,
                subject: subject.into(),
                is_device,
                fired_at: times.0,
                ended_at: times.1,
                acknowledged: None,
                detail: detail.to_owned(),
            },
            outbox,
        );
    }

    /// A person takes note of an alert that fires: it is not repeated.
    pub fn acknowledge(&mut self, key: &Key, note: Acknowledgement, outbox: &mut Outbox) -> bool {
        let Some(record) = self.entries.get_mut(key).filter(|record| record.fired_at.is_some()) else {
            return false;
        };
        record.acknowledged = Some(note);
        outbox.saves.insert(key.clone(), Some(record.clone()));
        self.schedule(key);
        true
    }

    /// Subjects that [`Alerts::advance`] would tell of now, if filters of silences have to be asked for them.
    #[must_use]
    pub fn asks(&self, now: u64) -> Vec<Arc<str>> {
        if !self.silences.values().any(|silence| silence.is_active(now) && silence.filter.is_some()) {
            return Vec::new();
        }
        let due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key).take(AT_ONCE);
        let silenced = self.silenced.iter().filter(|_| self.look_at_silenced <= now);
        due.chain(silenced).map(|key| key.subject.clone()).collect()
    }

    /// Does what is due, of at most [`AT_ONCE`] alerts. Returns whether there is more.
    pub fn advance(&mut self, now: u64, matches: Matches<'_>, outbox: &mut Outbox) -> bool {
        for _ in 0..AT_ONCE {
            let Some((at, _)) = self.due.first() else { break };
            if *at > now {
                break;
            }
            let Some((_, key)) = self.due.pop_first() else { break };
            self.step(now, &key, matches, outbox);
        }
        if self.look_at_silenced <= now {
            self.look_at_silenced = now + LOOK_AT_SILENCED;
            for key in std::mem::take(&mut self.silenced) {
                self.tell(now, &key, matches, outbox);
            }
            let is_gone = |it: &&Silence| it.until.saturating_add(SILENCE_SHOWN) <= now;
            let gone: Vec<u64> = self.silences.values().filter(is_gone).map(|it| it.id).collect();
            for id in gone {
                self.silences.remove(&id);
                outbox.gone_silences.push(id);
            }
        }
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// When [`Alerts::advance`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let silenced = (!self.silenced.is_empty()).then_some(self.look_at_silenced);
        self.due.first().map(|(at, _)| *at).into_iter().chain(silenced).min()
    }

    /// Handles one alert whose time has come.
    fn step(&mut self, now: u64, key: &Key, matches: Matches<'_>, outbox: &mut Outbox) {
        let Some(rule) = self.rules.get(&key.rule) else { return };
        let Some(record) = self.entries.get_mut(key) else { return };
        record.due = None;
        // What happened counts for a while.
        if record.holds && rule.clears_after().is_some_and(|time| record.changed_at + time <= now) {
            record.holds = false;
            record.changed_at = now;
        }
        match record.next(rule, now) {
            entry::Next::Fire => {
                record.fire(rule, now);
                self.counts.entry(key.rule.clone()).or_default().firing += 1;
                outbox.saves.insert(key.clone(), Some(record.clone()));
                self.tell(now, key, matches, outbox);
            }
            entry::Next::Steady => {
                record.flapping = false;
                record.starts.clear();
                outbox.saves.insert(key.clone(), Some(record.clone()));
                self.tell(now, key, matches, outbox);
            }
            entry::Next::Repeat => {
                record.told = None;
                self.tell(now, key, matches, outbox);
            }
            entry::Next::Resolve => self.resolve(now, key, "", outbox),
            entry::Next::Forget => return self.forget(key, outbox),
            entry::Next::Nothing => {}
        }
        self.schedule(key);
    }

    /// Tells that an alert fires or flaps, unless that is told already or silenced.
    fn tell(&mut self, now: u64, key: &Key, matches: Matches<'_>, outbox: &mut Outbox) {
        let is_silenced = self.is_silenced(now, key, matches);
        let Some(rule) = self.rules.get(&key.rule) else { return };
        let Some(record) = self.entries.get_mut(key) else { return };
        let Some(fired_at) = record.fired_at else { return };
        let news = if record.flapping { News::Flapping } else { News::Firing };
        if record.told == Some(news) {
            return;
        }
        if is_silenced {
            self.silenced.insert(key.clone());
            return;
        }
        record.told = Some(news);
        record.told_at = now;
        outbox.changes.push(Change {
            key: key.clone(),
            is_device: rule.is_of_devices(),
            news,
            fired_at,
            at: now,
            detail: record.detail.clone(),
            rule: None,
        });
        outbox.saves.insert(key.clone(), Some(record.clone()));
        self.schedule(key);
    }

    /// Whether an alert is silenced now.
    #[must_use]
    pub fn is_silenced(&self, now: u64, key: &Key, matches: Matches<'_>) -> bool {
        let is_device = self.rules.get(&key.rule).is_some_and(Rule::is_of_devices);
        self.silences.values().any(|silence| {
            silence.is_active(now)
                && silence.rule.as_ref().is_none_or(|rule| *rule == key.rule)
                && (silence.filter.is_none() || (is_device && matches(silence.id, &key.subject)))
        })
    }

    /// Ends an alert that fires. Who was told that it fires is told that it is over, silenced or not.
    fn resolve(&mut self, now: u64, key: &Key, why: &str, outbox: &mut Outbox) {
        let Some(rule) = self.rules.get(&key.rule) else { return };
        let Some(record) = self.entries.get_mut(key) else { return };
        let Some(fired_at) = record.fired_at.take() else { return };
        if let Some(counts) = self.counts.get_mut(&key.rule) {
            counts.firing = counts.firing.saturating_sub(1);
        }
        self.silenced.remove(key);
        if record.flapping {
            record.starts.clear();
            record.flapping = false;
        }
        let detail = if why.is_empty() { record.detail.clone() } else { why.to_owned() };
        if record.told.take().is_some() {
            outbox.changes.push(Change {
                key: key.clone(),
                is_device: rule.is_of_devices(),
                news: News::Resolved,
                fired_at,
                at: now,
                detail: detail.clone(),
                rule: None,
            });
        }
        let ended = Ended {
            id: 0,
            rule: key.rule.clone(),
            severity: rule.severity,
            subject: key.subject.clone(),
            is_device: rule.is_of_devices(),
            fired_at,
            ended_at: now,
            acknowledged: record.acknowledged.take(),
            detail,
        };
        outbox.saves.insert(key.clone(), Some(record.clone()));
        self.end(ended, outbox);
    }

    fn end(&mut self, ended: Ended, outbox: &mut Outbox) {
        self.last_ended += 1;
        let ended = Ended { id: self.last_ended, ..ended };
        self.history.push_back(ended.clone());
        outbox.ended.push(ended);
        while self.history.len() > MOST_HISTORY {
            outbox.forgotten = self.history.pop_front().map(|ended| ended.id);
        }
    }

    fn forget(&mut self, key: &Key, outbox: &mut Outbox) {
        let Some(record) = self.entries.remove(key) else { return };
        if let Some(due) = record.due {
            self.due.remove(&(due, key.clone()));
        }
        self.silenced.remove(key);
        outbox.saves.insert(key.clone(), None);
        if let Some(counts) = self.counts.get_mut(&key.rule) {
            counts.followed = counts.followed.saturating_sub(1);
            // Not for each one that goes.
            if counts.is_full && counts.followed <= self.most_of_rule / 10 * 9 {
                counts.is_full = false;
                outbox.look_again = true;
            }
        }
    }

    fn schedule(&mut self, key: &Key) {
        let Some(rule) = self.rules.get(&key.rule) else { return };
        let Some(record) = self.entries.get_mut(key) else { return };
        let due = record.due_at(rule);
        if due == record.due {
            return;
        }
        if let Some(before) = record.due.take() {
            self.due.remove(&(before, key.clone()));
        }
        record.due = due;
        self.due.extend(due.map(|due| (due, key.clone())));
    }
}

#[cfg(test)]
mod tests;
