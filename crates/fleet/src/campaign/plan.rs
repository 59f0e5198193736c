//! What a campaign is to do.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::device::Failure;
use crate::compatibility::Requirements;
use crate::filter::{Filter, FilterError};

/// The most waves.
const MOST_WAVES: usize = 32;
/// The most updates at a time.
const MOST_CONCURRENT: u32 = 10_000;

/// The longest time for which devices may put the installation off; seconds.
const LONGEST_DEFERRAL: u64 = 30 * 24 * 3600;

/// What a campaign is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Which devices: a filter.
    pub filter: String,
    /// Whether devices that match later take part, too.
    pub is_growing: bool,
    /// What they shall run.
    pub release: Release,
    /// How the image gets to them: a word of the interface.
    pub delivery: String,
    /// The waves; the last takes all that the others leave.
    pub waves: Vec<Wave>,
    /// When it pauses itself.
    pub stop: StopRule,
    /// The most updates at a time.
    pub concurrent: u32,
    /// The most updates that start in a minute.
    pub per_minute: Option<u32>,
    /// How often a device whose update failed in a way that may pass is tried again.
    pub retries: u8,
    /// When it starts; milliseconds since the epoch.
    pub start_at: Option<u64>,
    /// When devices that still wait are given up; milliseconds since the epoch.
    pub deadline: Option<u64>,
    /// Whether a second person has to agree.
    pub needs_approval: bool,
    /// When devices may be updated; always without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What devices have to be for the release.
    #[serde(default)]
    pub requires: Requirements,
    /// What it does when it stops itself.
    #[serde(default)]
    pub on_stop: OnStop,
    /// How often kinds of failures are tried again, in place of what `retries` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<RetryRule>,
    /// For how long devices may put the installation off; they are not told without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferral: Option<Deferral>,
}

/// For how long devices may put the installation off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// 5/0/11: 0 is critical, 1 mandatory, 2 optional.
    pub severity: u8,
    /// 5/0/13, in seconds; 0 forbids it.
    pub at_most: u64,
}

/// A maintenance window: it opens on some days at a time, and closes at a time of that day or of the next. The engine reckons with no time zones: who drives
/// it says when the window of a device opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minutes after midnight.
    pub from: u16,
    /// Minutes after midnight; not after `from` if that is on the next day.
    pub to: u16,
    /// The days on which it opens: 0 is Monday. Every day if there are none.
    pub days: Vec<u8>,
    /// The time zone of devices that do not tell theirs: a name of IANA.
    pub zone: String,
}

/// What a campaign does when it stops itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStop {
    /// It pauses.
    #[default]
    Pause,
    /// It pauses, and puts the devices of the open wave that it has updated back on the version before.
    RollBack,
}

/// How often a kind of failure is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRule {
    /// The kind.
    pub failure: Failure,
    /// How often; 0 is never.
    pub times: u8,
    /// After how long; seconds.
    pub after: u64,
}

/// What devices shall run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The image: SHA-256 in hexadecimal digits.
    pub digest: String,
    /// The version that devices will report.
    pub version: String,
}

/// A part of the devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wave {
    /// Those that this filter matches.
    pub filter: Option<String>,
    /// So many.
    pub count: Option<u64>,
    /// This part of all devices, in percent.
    pub percent: Option<f64>,
    /// What has to be so before the next wave opens.
    pub gate: Gate,
}

/// What has to be so before the next wave opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// So many of its devices have to run the release, in percent.
    pub success: f64,
    /// For so long; seconds.
    pub soak: u64,
    /// And have to match this filter then.
    pub healthy: Option<String>,
    /// And a person has to say yes.
    pub is_manual: bool,
}

/// When a campaign pauses itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    /// So many devices have failed.
    pub failures: Option<u64>,
    /// This part of the devices that have ended has failed, in percent,
    pub rate: Option<f64>,
    /// if at least so many have ended.
    pub minimum: u64,
}

impl StopRule {
    /// Why it applies, if it does.
    pub(super) fn reason(&self, failed: u64, confirmed: u64) -> Option<String> {
        if let Some(most) = self.failures.filter(|most| failed >= *most) {
            return Some(format!("stopped itself: {failed} devices failed, and the limit is {most}"));
        }
        let ended = failed + confirmed;
        let rate = self.rate.filter(|_| ended >= self.minimum.max(1) && failed > 0)?;
        let has = failed as f64 * 100.0 / ended as f64;
        (has >= rate).then(|| {
            format!(
                "stopped itself: {failed} of {ended} devices failed ({has:.1} %), and the limit is {rate} %"
            )
        })
    }
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// Its name has not 1 to 128 bytes without control characters.
    Name,
    /// A filter is wrong: that of the target, of a wave (from 1) or of a wave's gate.
    Filter {
        /// Which.
        place: String,
        /// What is wrong.
        error: FilterError,
    },
    /// It has no wave, or too many.
    Waves,
    /// A wave (from 1) is given by more than one of filter, count and percent.
    Size(usize),
    /// A percentage of a wave (from 1) is not 0 to 100.
    Percent(usize),
    /// A wave (from 1) is to have no device.
    Empty(usize),
    /// The rate of the stop rule is not above 0 and at most 100.
    Rate,
    /// The campaign would pause before any device has failed.
    Failures,
    /// No update may be under way, or too many.
    Concurrent,
    /// A time or a day of the window is none, or it has no length.
    Window,
    /// Devices may put the installation off for longer than is allowed.
    Deferral,
    /// There are two rules to retry the same kind of failure, or one of a kind that is no end of an update.
    Retry(Failure),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name has to have 1 to 128 bytes without control characters"),
            Self::Filter { place, error } => write!(f, "{place}: the filter is wrong {error}"),
            Self::Waves => write!(f, "a campaign has 1 to {MOST_WAVES} waves"),
            Self::Size(wave) => {
                write!(f, "wave {wave}: give one of filter, count and percent; the last wave may have none")
            }
            Self::Percent(wave) => write!(f, "wave {wave}: a percentage is 0 to 100"),
            Self::Empty(wave) => write!(f, "wave {wave}: it has to have at least one device"),
            Self::Failures => f.write_str("stop.failures has to be at least 1"),
            Self::Rate => f.write_str("stop.rate is above 0 and at most 100 (percent)"),
            Self::Concurrent => write!(f, "concurrent is 1 to {MOST_CONCURRENT}"),
            Self::Window => f.write_str(
                "a window has a begin and another end, from 00:00 to 23:59, and days from mon to sun",
            ),
            Self::Deferral => write!(f, "a deferral is at most {LONGEST_DEFERRAL} seconds"),
            Self::Retry(failure) => write!(
                f,
                "retry: {} has to be a kind of failure of an update, and to be named once",
                failure.name()
            ),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn check(&self) -> Result<(), PlanError> {
        if !(1..=128).contains(&self.name.len()) || !buoy_lwm2m::text::is_harmless(&self.name) {
            return Err(PlanError::Name);
        }
        check_filter("the target", &self.filter)?;
        if self.waves.is_empty() || self.waves.len() > MOST_WAVES {
            return Err(PlanError::Waves);
        }
        for (place, wave) in self.waves.iter().enumerate() {
            let number = place + 1;
            let given = [wave.filter.is_some(), wave.count.is_some(), wave.percent.is_some()];
            let sizes = given.into_iter().filter(|is_given| *is_given).count();
            if wave.count == Some(0) {
                return Err(PlanError::Empty(number));
            }
            if sizes > 1 || (sizes == 0 && number < self.waves.len()) {
                return Err(PlanError::Size(number));
            }
            let is_percent = |percent: f64| (0.0..=100.0).contains(&percent);
            if !is_percent(wave.percent.unwrap_or(0.0)) || !is_percent(wave.gate.success) {
                return Err(PlanError::Percent(number));
            }
            if let Some(filter) = &wave.filter {
                check_filter(&format!("wave {number}"), filter)?;
            }
            if let Some(filter) = &wave.gate.healthy {
                check_filter(&format!("the gate of wave {number}"), filter)?;
            }
        }
        if self.stop.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 100.0)) {
            return Err(PlanError::Rate);
        }
        if self.stop.failures == Some(0) {
            return Err(PlanError::Failures);
        }
        if self.window.as_ref().is_some_and(|window| !window.is_sound()) {
            return Err(PlanError::Window);
        }
        if self.deferral.is_some_and(|it| it.severity > 2 || it.at_most > LONGEST_DEFERRAL) {
            return Err(PlanError::Deferral);
        }
        for (place, rule) in self.retry.iter().enumerate() {
            let is_named = self.retry.iter().take(place).any(|other| other.failure == rule.failure);
            if is_named || matches!(rule.failure, Failure::Unhealthy | Failure::NotPutBack) {
                return Err(PlanError::Retry(rule.failure));
            }
        }
        if (1..=MOST_CONCURRENT).contains(&self.concurrent) { Ok(()) } else { Err(PlanError::Concurrent) }
    }
}

impl Plan {
    /// How often a failure is tried again, and after how many milliseconds after the attempt of this number.
    pub(super) fn retry_of(&self, failure: Failure, attempts: u8) -> Option<u64> {
        let rule = self.retry.iter().find(|rule| rule.failure == failure);
        let (times, after) = match rule {
            Some(rule) => (rule.times, rule.after.saturating_mul(1000)),
            None if failure.may_pass() => (self.retries, super::RETRY_AFTER * u64::from(attempts)),
            None => (0, 0),
        };
        (attempts <= times).then_some(after)
    }
}

impl Window {
    fn is_sound(&self) -> bool {
        const DAY: u16 = 24 * 60;
        self.from < DAY && self.to < DAY && self.from != self.to && self.days.iter().all(|day| *day < 7)
    }
}

fn check_filter(place: &str, filter: &str) -> Result<(), PlanError> {
    let parsed = Filter::parse(filter).map(drop);
    parsed.map_err(|error| PlanError::Filter { place: place.to_owned(), error })
}

/// Deals devices into waves. Those of filters come first; the others in an order that has nothing to do with their names, and is the
/// same for the same campaign. What the waves leave belongs to the last.
pub(super) fn deal(
    plan: &Plan,
    id: u64,
    names: Vec<Arc<str>>,
    firsts: &[Vec<Arc<str>>],
) -> Vec<Vec<Arc<str>>> {
    let all = names.len();
    let mut waves: Vec<Vec<Arc<str>>> = vec![Vec::new(); plan.waves.len()];
    let targets: HashSet<&Arc<str>> = names.iter().collect();
    let mut dealt: HashSet<Arc<str>> = HashSet::new();
    for (place, wave) in waves.iter_mut().enumerate() {
        let of_filter = firsts.get(place).into_iter().flatten();
        wave.extend(
            of_filter.filter(|name| targets.contains(name) && dealt.insert((*name).clone())).cloned(),
        );
    }
    drop(targets);
    let mut others: Vec<_> = names.into_iter().filter(|name| !dealt.contains(name)).collect();
    others.sort_by_cached_key(|name| {
        let mut hasher = DefaultHasher::new();
        (id, &**name).hash(&mut hasher);
        (hasher.finish(), name.clone())
    });
    let mut others = others.into_iter();
    for (place, wave) in plan.waves.iter().enumerate() {
        let count = match (wave.count, wave.percent) {
            (Some(count), _) => usize::try_from(count).unwrap_or(usize::MAX),
            // At least one: a wave without a device shows nothing.
            (None, Some(percent)) => ((all as f64 * percent / 100.0).round() as usize).max(1),
            (None, None) => 0,
        };
        waves[place].extend(others.by_ref().take(count));
    }
    if let Some(last) = waves.last_mut() {
        last.extend(others);
    }
    waves
}
