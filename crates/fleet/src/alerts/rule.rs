//! What operators set up: rules and silences.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::filter::{Filter, FilterError};

/// The longest name of a rule, in bytes.
const LONGEST_NAME: usize = 64;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;
/// The longest time of a rule: a year, in seconds.
const LONGEST_TIME: u64 = 365 * 24 * 60 * 60;
/// The most registrations that a rule counts.
pub(super) const MOST_BOOTS: u32 = 32;
/// The most receivers that a rule names.
const MOST_RECEIVERS: usize = 20;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody has to act now.
    Critical,
}

/// When an alert fires. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// What it means, and what to do.
    #[serde(default)]
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it looks for.
    pub condition: Condition,
    /// For how long the condition has to hold before the alert fires.
    pub hold: u64,
    /// For how long the condition must not hold before the alert is resolved.
    pub resolve_after: u64,
    /// When a subject is said to flap.
    pub flapping: Flapping,
    /// After how long receivers are told again that it fires; never without it.
    #[serde(default)]
    pub repeat: Option<u64>,
    /// Who is told; all receivers if empty.
    #[serde(default)]
    pub receivers: Vec<String>,
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// Devices that a filter matches.
    Filter {
        /// In the filter language.
        filter: String,
    },
    /// A firmware update of a device has failed.
    UpdateFailed {
        /// Of which devices; of all if empty.
        filter: String,
        /// It is resolved after this time, if no update of the device ends well before.
        clears_after: u64,
    },
    /// A device registers anew again and again.
    RebootLoop {
        /// Of which devices; of all if empty.
        filter: String,
        /// So many registrations
        times: u32,
        /// within so many seconds.
        within: u64,
    },
    /// The disk of the data folder has less than this part of its space left.
    Disk {
        /// In percent.
        free_percent: u32,
    },
    /// The store can't be written, or does not answer.
    Store,
    /// A certificate of the server, or of an authority for devices, ends soon.
    Certificate {
        /// So many days before.
        days: u32,
    },
}

/// A subject whose alert fires so often flaps: receivers are told that once, and not each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// So many times
    pub times: u32,
    /// within so many seconds. It flaps until nothing changes for as long.
    pub within: u64,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { times: 4, within: 3600 }
    }
}

/// Why a rule can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// No rule may have this name.
    Name,
    /// The description is too long.
    Description,
    /// The filter is wrong.
    Filter(FilterError),
    /// A rule for devices by a filter needs one.
    NoFilter,
    /// A number is out of its range.
    Range {
        /// Which.
        field: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// It names too many receivers.
    Receivers,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                write!(f, "a name has 1 to {LONGEST_NAME} bytes, and no blank, slash or control character")
            }
            Self::Description => write!(f, "a description may have {LONGEST_DESCRIPTION} bytes"),
            Self::Filter(error) => write!(f, "the filter is wrong {error}"),
            Self::NoFilter => {
                f.write_str("the filter is empty and matches every device; say which are meant")
            }
            Self::Range { field, least, most } => write!(f, "{field} has to be {least} to {most}"),
            Self::Receivers => write!(f, "a rule may name {MOST_RECEIVERS} receivers; name none to tell all"),
        }
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// Checks that it can be used.
    ///
    /// # Errors
    /// [`RuleError`]
    pub fn check(&self) -> Result<(), RuleError> {
        check_name(&self.name)?;
        if self.description.len() > LONGEST_DESCRIPTION {
            return Err(RuleError::Description);
        }
        if self.receivers.len() > MOST_RECEIVERS {
            return Err(RuleError::Receivers);
        }
        range("for", self.hold, 0, LONGEST_TIME)?;
        range("resolve_after", self.resolve_after, 0, LONGEST_TIME)?;
        range("flapping.times", self.flapping.times.into(), 2, MOST_BOOTS.into())?;
        range("flapping.within", self.flapping.within, 1, LONGEST_TIME)?;
        if let Some(repeat) = self.repeat {
            range("repeat", repeat, 60, LONGEST_TIME)?;
        }
        match &self.condition {
            Condition::Filter { filter } if filter.trim().is_empty() => return Err(RuleError::NoFilter),
            Condition::UpdateFailed { clears_after, .. } => {
                range("clears_after", *clears_after, 1, LONGEST_TIME)?;
            }
            Condition::RebootLoop { times, within, .. } => {
                range("times", (*times).into(), 2, MOST_BOOTS.into())?;
                range("within", *within, 1, LONGEST_TIME)?;
            }
            Condition::Disk { free_percent } => range("free_percent", (*free_percent).into(), 1, 99)?,
            Condition::Certificate { days } => range("days", (*days).into(), 1, 3650)?,
            Condition::Filter { .. } | Condition::Store => {}
        }
        match self.filter() {
            Some(filter) => Filter::parse(filter).map(drop).map_err(RuleError::Filter),
            None => Ok(()),
        }
    }

    /// The filter of the devices that it is about, if it is about devices.
    #[must_use]
    pub fn filter(&self) -> Option<&str> {
        match &self.condition {
            Condition::Filter { filter }
            | Condition::UpdateFailed { filter, .. }
            | Condition::RebootLoop { filter, .. } => Some(filter),
            Condition::Disk { .. } | Condition::Store | Condition::Certificate { .. } => None,
        }
    }

    /// Whether its subjects are devices.
    #[must_use]
    pub fn is_of_devices(&self) -> bool {
        self.filter().is_some()
    }

    /// The time after which what happened counts no more, in milliseconds; `None` if it is a state that lasts.
    pub(super) fn clears_after(&self) -> Option<u64> {
        match self.condition {
            Condition::UpdateFailed { clears_after, .. } => Some(millis(clears_after)),
            Condition::RebootLoop { within, .. } => Some(millis(within)),
            _ => None,
        }
    }
}

/// Checks the name of a rule, or of a receiver.
///
/// # Errors
/// [`RuleError::Name`]
pub fn check_name(name: &str) -> Result<(), RuleError> {
    let is_fine = (1..=LONGEST_NAME).contains(&name.len())
        && !name.contains(char::is_whitespace)
        && !name.contains('/')
        && buoy_lwm2m::text::is_harmless(name);
    if is_fine { Ok(()) } else { Err(RuleError::Name) }
}

fn range(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), RuleError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(RuleError::Range { field, least, most }) }
}

pub(super) fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

/// Receivers are not told of some alerts for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its id.
    pub id: u64,
    /// Only alerts of this rule.
    #[serde(default)]
    pub rule: Option<Arc<str>>,
    /// Only alerts of devices that this filter matches.
    #[serde(default)]
    pub filter: Option<String>,
    /// From when; milliseconds since the epoch.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// Whether it counts now.
    #[must_use]
    pub fn is_active(&self, now: u64) -> bool {
        (self.from..self.until).contains(&now)
    }
}
