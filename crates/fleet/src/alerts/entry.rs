//! One alert: what is known of it, and what is next.

use serde::{Deserialize, Serialize};

use super::News;
use super::rule::{Rule, millis};

/// A pending alert of a rule that waits for so many seconds is saved, so that a restart does not begin its time anew.
pub(super) const LONG: u64 = 600;

/// An alert of one rule and one subject. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whether the condition holds.
    pub holds: bool,
    /// Since when it holds, or does not.
    pub changed_at: u64,
    /// Since when the alert fires, if it does.
    #[serde(default)]
    pub fired_at: Option<u64>,
    /// When it last began to fire, the oldest first.
    #[serde(default)]
    pub(super) starts: Vec<u64>,
    /// Whether it fires again and again.
    #[serde(default)]
    pub flapping: bool,
    /// What receivers were told.
    #[serde(default)]
    pub told: Option<News>,
    /// When that was.
    #[serde(default)]
    pub told_at: u64,
    /// Who took note of it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
    /// What is known besides that the condition holds.
    #[serde(default)]
    pub detail: String,
    /// When it is looked at.
    #[serde(skip)]
    pub(super) due: Option<u64>,
}

/// A person took note of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When; milliseconds since the epoch.
    pub at: u64,
    /// What that person wrote.
    pub comment: String,
}

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It is over. It is remembered for a while, to find out whether it flaps.
    Over,
}

/// What is to be done now.
pub(super) enum Next {
    Fire,
    /// It does not flap any more, and goes on.
    Steady,
    Repeat,
    Resolve,
    Forget,
    Nothing,
}

impl Record {
    pub(super) fn new(now: u64, detail: &str) -> Self {
        Self {
            holds: true,
            changed_at: now,
            fired_at: None,
            starts: Vec::new(),
            flapping: false,
            told: None,
            told_at: 0,
            acknowledged: None,
            detail: detail.to_owned(),
            due: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match (self.fired_at, self.holds) {
            (Some(_), _) => Phase::Firing,
            (None, true) => Phase::Pending,
            (None, false) => Phase::Over,
        }
    }

    /// Whether it is saved when its condition changes. A pending alert is not, unless it waits for long.
    pub(super) fn is_to_be_saved(&self, is_long: bool) -> bool {
        is_long || self.fired_at.is_some() || !self.starts.is_empty()
    }

    pub(super) fn fire(&mut self, rule: &Rule, now: u64) {
        self.fired_at = Some(now);
        let since = now.saturating_sub(millis(rule.flapping.within));
        self.starts.retain(|start| *start > since);
        self.starts.push(now);
        self.flapping = self.starts.len() >= rule.flapping.times as usize;
    }

    /// What is to be done, if anything is.
    pub(super) fn next(&self, rule: &Rule, now: u64) -> Next {
        let is_due = |at: u64| at <= now;
        match self.phase() {
            Phase::Pending if is_due(self.fires_at(rule)) => Next::Fire,
            Phase::Firing if !self.holds && is_due(self.resolves_at(rule)) => Next::Resolve,
            Phase::Firing if self.holds && self.flapping && is_due(self.is_steady_at(rule)) => Next::Steady,
            Phase::Firing if self.repeats_at(rule).is_some_and(is_due) => Next::Repeat,
            Phase::Over if is_due(self.forgotten_at(rule)) => Next::Forget,
            _ => Next::Nothing,
        }
    }

    /// When something is to be done.
    pub(super) fn due_at(&self, rule: &Rule) -> Option<u64> {
        match self.phase() {
            Phase::Pending => Some(self.fires_at(rule)),
            Phase::Over => Some(self.forgotten_at(rule)),
            Phase::Firing => {
                let resolves = (!self.holds).then(|| self.resolves_at(rule));
                let steady = (self.holds && self.flapping).then(|| self.is_steady_at(rule));
                let clears = rule.clears_after().filter(|_| self.holds).map(|time| self.changed_at + time);
                resolves.into_iter().chain(steady).chain(clears).chain(self.repeats_at(rule)).min()
            }
        }
    }

    fn fires_at(&self, rule: &Rule) -> u64 {
        self.changed_at.saturating_add(millis(rule.hold))
    }

    fn resolves_at(&self, rule: &Rule) -> u64 {
        let settles = if self.flapping { rule.flapping.within } else { 0 };
        self.changed_at.saturating_add(millis(rule.resolve_after.max(settles)))
    }

    fn is_steady_at(&self, rule: &Rule) -> u64 {
        self.changed_at.saturating_add(millis(rule.flapping.within))
    }

    fn repeats_at(&self, rule: &Rule) -> Option<u64> {
        let repeat = rule.repeat.filter(|_| self.told.is_some() && self.acknowledged.is_none())?;
        Some(self.told_at.saturating_add(millis(repeat)))
    }

    /// After that, an alert that begins to fire is no sign of flapping.
    fn forgotten_at(&self, rule: &Rule) -> u64 {
        let last = self.starts.last();
        last.map_or(0, |last| last.saturating_add(millis(rule.flapping.within)))
    }
}
