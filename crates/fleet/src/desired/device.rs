//! How far a device is from what is wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use buoy_lwm2m::path::Path;
use serde::{Deserialize, Serialize};

use super::{Goal, Wanted};

/// How often a value is written that the device does not keep, before it is given up.
const MOST_TRIES: u8 = 3;
/// How often a device may go back within a day, before it is given up.
const MOST_RETURNS: u8 = 20;
const DAY: u64 = 24 * 60 * 60 * 1000;
/// The pause after a device that did not answer, or did not keep a value; milliseconds. It doubles with each try.
const PAUSE: u64 = 60_000;
/// The most characters of what a device reported, or why it refused, that are kept.
const MOST_TEXT: usize = 200;

/// How far a device is from what is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// When it registered last, as far as its settings have been checked since; milliseconds since the epoch.
    pub registered_at: u64,
    /// By path.
    pub entries: BTreeMap<String, Entry>,
}

/// How far one resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is wanted.
    pub goal: Goal,
    /// Where it is.
    pub condition: Condition,
    /// Since when; milliseconds since the epoch.
    pub since: u64,
    /// What the device reported last, in JSON, and when.
    pub reported: Option<(String, u64)>,
    /// How often it was written since it was in sync.
    pub tries: u8,
    /// How often it went back, in the day that began then.
    pub returns: (u64, u8),
    /// It is not asked before this time.
    pub not_before: u64,
}

/// Where a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The device is to be asked.
    Unknown,
    /// The device has another value: it is to be written.
    Differs,
    /// The device has what is wanted.
    InSync,
    /// Nothing more is tried.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// What a device is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To tell its value.
    Read,
    /// To take this value, in JSON.
    Write(String),
    /// To be observed, with these attributes.
    Observe(BTreeMap<String, String>),
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its value, in JSON.
    Value(String),
    /// It did it.
    Done,
    /// Its resource can't be read.
    Unreadable,
    /// It refused, with this reason.
    Refused(String),
    /// It did not answer.
    Silent,
}

impl DeviceRecord {
    /// Takes what is wanted now. What has another goal than before begins anew. Returns whether something changed.
    pub fn want(&mut self, wanted: &BTreeMap<&str, Wanted<'_>>, now: u64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|path, _| wanted.contains_key(path.as_str()));
        let mut is_changed = self.entries.len() != before;
        for (path, wanted) in wanted {
            let is_same = self.entries.get(*path).is_some_and(|entry| entry.goal == *wanted.goal);
            if !is_same {
                let reported = self.entries.get(*path).and_then(|entry| entry.reported.clone());
                let entry = Entry { reported, ..Entry::new(wanted.goal.clone(), now) };
                self.entries.insert((*path).to_owned(), entry);
                is_changed = true;
            }
        }
        is_changed
    }

    /// The device is registered since then: if that is new, all that is not given up is checked again.
    pub fn registered(&mut self, registered_at: u64, now: u64) {
        if std::mem::replace(&mut self.registered_at, registered_at) == registered_at {
            return;
        }
        for entry in self.entries.values_mut() {
            if matches!(entry.condition, Condition::InSync | Condition::Differs) {
                entry.set(Condition::Unknown, now);
            }
            entry.not_before = 0;
        }
    }

    /// The observations that the device has: what is missing is asked for again.
    pub fn observed(&mut self, paths: &BTreeSet<String>, now: u64) {
        for (path, entry) in &mut self.entries {
            let is_lost = matches!(entry.goal, Goal::Observed(_)) && !paths.contains(path);
            if is_lost && entry.condition == Condition::InSync {
                entry.set(Condition::Unknown, now);
            }
        }
    }

    /// The device has reported a value without being asked. If it is another one than wanted, the device is asked.
    pub fn reported(&mut self, path: &str, value: &str, at: u64, now: u64) {
        let Some(entry) = self.entries.get_mut(path) else { return };
        let Goal::Value(wanted) = entry.goal.clone() else { return };
        let is_older = entry.reported.as_ref().is_some_and(|(_, before)| *before >= at);
        if is_older {
            return;
        }
        entry.reported = Some((short(value), at));
        if entry.condition == Condition::InSync && !is_equal(&wanted, value) {
            entry.set(Condition::Unknown, now);
        }
    }

    /// Whether a value is wanted of the resource at a path, or of one below it.
    #[must_use]
    pub fn wants_value_below(&self, base: Path) -> bool {
        let values = self.entries.iter().filter(|(_, entry)| matches!(entry.goal, Goal::Value(_)));
        values.filter_map(|(path, _)| path.parse::<Path>().ok()).any(|path| path.starts_with(base))
    }

    /// What to ask next, if the device can be reached now.
    #[must_use]
    pub fn next(&self, now: u64) -> Option<(String, Step)> {
        let due = self.entries.iter().filter(|(_, entry)| entry.not_before <= now);
        due.filter_map(|(path, entry)| Some((path.clone(), entry.step()?))).next()
    }

    /// When there is something to ask next, at the earliest; `None` if there is nothing.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.entries.values().filter(|entry| entry.step().is_some()).map(|entry| entry.not_before).min()
    }

    /// Takes the answer to a step.
    pub fn answered(&mut self, path: &str, step: &Step, answer: Answer, now: u64) {
        let Some(entry) = self.entries.get_mut(path) else { return };
        // The goal may have changed meanwhile: what was asked for the old one counts no more.
        match (&entry.goal, step) {
            (Goal::Value(_), Step::Read) => entry.was_read(answer, now),
            (Goal::Value(wanted), Step::Write(written)) if wanted == written => {
                entry.was_written(answer, now)
            }
            (Goal::Observed(wanted), Step::Observe(asked)) if wanted == asked => match answer {
                Answer::Refused(reason) => entry.give_up(format!("it can't be observed: {reason}"), now),
                Answer::Silent => entry.pause(now),
                Answer::Done | Answer::Value(_) | Answer::Unreadable => entry.set(Condition::InSync, now),
            },
            _ => {}
        }
    }

    /// Tries again what was given up. Returns how many that is.
    pub fn retry(&mut self, now: u64) -> usize {
        let mut count = 0;
        for entry in self.entries.values_mut() {
            if let Condition::GivenUp { .. } = entry.condition {
                let reported = entry.reported.take();
                *entry = Entry { reported, ..Entry::new(entry.goal.clone(), now) };
                count += 1;
            }
        }
        count
    }
}

impl Entry {
    fn new(goal: Goal, now: u64) -> Self {
        Self {
            goal,
            condition: Condition::Unknown,
            since: now,
            reported: None,
            tries: 0,
            returns: (now, 0),
            not_before: 0,
        }
    }

    fn step(&self) -> Option<Step> {
        match (&self.condition, &self.goal) {
            (Condition::InSync | Condition::GivenUp { .. }, _) => None,
            (_, Goal::Observed(attributes)) => Some(Step::Observe(attributes.clone())),
            (Condition::Unknown, Goal::Value(_)) => Some(Step::Read),
            (Condition::Differs, Goal::Value(value)) => Some(Step::Write(value.clone())),
        }
    }

    fn set(&mut self, condition: Condition, now: u64) {
        if self.condition != condition {
            (self.condition, self.since) = (condition, now);
        }
    }

    fn was_read(&mut self, answer: Answer, now: u64) {
        let Goal::Value(wanted) = &self.goal else { return };
        match answer {
            Answer::Value(value) => {
                let is_equal = is_equal(wanted, &value);
                self.reported = Some((short(&value), now));
                if is_equal {
                    self.tries = 0;
                    self.set(Condition::InSync, now);
                } else if self.tries >= MOST_TRIES {
                    let reason =
                        format!("it was written {} times, and the device does not keep it", self.tries);
                    self.give_up(reason, now);
                } else if self.tries == 0 && self.goes_back_too_often(now) {
                    let reason =
                        format!("the device went back {MOST_RETURNS} times in a day; who else writes it?");
                    self.give_up(reason, now);
                } else {
                    if self.tries > 0 {
                        self.pause(now);
                    }
                    self.set(Condition::Differs, now);
                }
            }
            // It was written, and nobody can know more.
            Answer::Unreadable if self.tries > 0 => {
                self.tries = 0;
                self.set(Condition::InSync, now);
            }
            Answer::Unreadable => self.set(Condition::Differs, now),
            Answer::Refused(reason) => self.give_up(format!("it can't be read: {reason}"), now),
            Answer::Silent | Answer::Done => self.pause(now),
        }
    }

    fn was_written(&mut self, answer: Answer, now: u64) {
        match answer {
            Answer::Refused(reason) => self.give_up(format!("the device refuses the value: {reason}"), now),
            Answer::Silent => {
                // It may have taken it.
                self.pause(now);
                self.set(Condition::Unknown, now);
            }
            Answer::Done | Answer::Value(_) | Answer::Unreadable => {
                self.tries = self.tries.saturating_add(1);
                self.set(Condition::Unknown, now);
            }
        }
    }

    fn goes_back_too_often(&mut self, now: u64) -> bool {
        if self.returns.0.saturating_add(DAY) <= now {
            self.returns = (now, 0);
        }
        self.returns.1 = self.returns.1.saturating_add(1);
        self.returns.1 > MOST_RETURNS
    }

    fn pause(&mut self, now: u64) {
        self.not_before = now.saturating_add(PAUSE << self.tries.min(6));
    }

    fn give_up(&mut self, reason: String, now: u64) {
        self.set(Condition::GivenUp { reason: short(&reason) }, now);
    }
}

/// Whether two values in JSON are the same: 300 and 300.0 are, and true and 1, since some formats have no other word for it.
fn is_equal(a: &str, b: &str) -> bool {
    let number = |text: &str| match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        text => text.parse::<f64>().ok(),
    };
    a == b || matches!((number(a), number(b)), (Some(a), Some(b)) if a == b || a as f32 == b as f32)
}

fn short(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}
