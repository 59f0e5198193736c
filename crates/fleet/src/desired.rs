//! The desired state of devices: which resources are to have which values, and which are to be observed.
//!
//! 1. Operators set up desired states, each for the devices of a filter. Where two of them name the same path, the one with the higher priority
//!    counts for a device; [`effective`] says which one that is.
//! 2. What a device reports is the truth. A resource is read first, written only if it has another value, and read again: then it is in sync.
//! 3. A device that refuses, or that goes back again and again, is given up until its settings change or a person says so. There is no loop.
//! 4. A device that registers anew may have been reset: all of its settings are checked again.
//!
//! The engine has no clock and does no I/O. [`DeviceRecord::next`] says what to ask a device that can be reached, and
//! [`DeviceRecord::answered`] takes what it answered.

mod device;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use buoy_lwm2m::path::{Level, Path};
use serde::{Deserialize, Serialize};

pub use device::{Answer, Condition, DeviceRecord, Entry, Step};

/// The most settings of a desired state.
pub const MOST_SETTINGS: usize = 64;
/// The most bytes of a value, as JSON.
pub const LONGEST_VALUE: usize = 1024;
/// The most attributes of an observation.
const MOST_ATTRIBUTES: usize = 16;
/// The most bytes of an attribute's name, and of its value.
const LONGEST_ATTRIBUTE: usize = 32;
/// The most bytes of a desired state's name.
const MOST_NAME: usize = 64;

/// What operators want of some devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredState {
    /// Its name.
    pub name: String,
    /// Which devices: a filter.
    pub filter: String,
    /// Of two that name the same path, the higher one counts; of two equal ones, the one whose name comes first.
    pub priority: i32,
    /// What is wanted, by path.
    pub settings: BTreeMap<String, Goal>,
}

/// What is wanted of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// It has this value, in JSON.
    Value(String),
    /// It is observed, with these attributes.
    Observed(BTreeMap<String, String>),
}

/// What is wrong with a desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredError {
    /// Its name has not 1 to 64 bytes without control characters and slashes.
    Name,
    /// It has no settings, or too many.
    Count(usize),
    /// A path is invalid, or not of a level that can be wanted.
    Path(String),
    /// A value is too long.
    Value(String),
    /// Attributes are too many, or too long.
    Attributes(String),
}

impl fmt::Display for DesiredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                write!(f, "a name has 1 to {MOST_NAME} bytes, without control characters and slashes")
            }
            Self::Count(count) => {
                write!(f, "\"settings\" has {count} entries, and must have 1 to {MOST_SETTINGS}")
            }
            Self::Path(path) => write!(
                f,
                "{path}: a value is wanted of a resource or a resource instance, as in /1/0/1; observed can be an instance or an object, too"
            ),
            Self::Value(path) => write!(f, "{path}: a value has at most {LONGEST_VALUE} bytes"),
            Self::Attributes(path) => write!(
                f,
                "{path}: an observation has at most {MOST_ATTRIBUTES} attributes of at most {LONGEST_ATTRIBUTE} bytes"
            ),
        }
    }
}

impl std::error::Error for DesiredError {}

impl DesiredState {
    /// Checks that it can be followed.
    ///
    /// # Errors
    /// [`DesiredError`]
    pub fn check(&self) -> Result<(), DesiredError> {
        let is_bad = |c: char| c.is_control() || c == '/';
        if self.name.is_empty() || self.name.len() > MOST_NAME || self.name.chars().any(is_bad) {
            return Err(DesiredError::Name);
        }
        if self.settings.is_empty() || self.settings.len() > MOST_SETTINGS {
            return Err(DesiredError::Count(self.settings.len()));
        }
        for (text, goal) in &self.settings {
            let level = text.parse::<Path>().map(|path| path.level());
            let level = level.map_err(|_| DesiredError::Path(text.clone()))?;
            match goal {
                Goal::Value(value) if value.len() > LONGEST_VALUE => {
                    return Err(DesiredError::Value(text.clone()));
                }
                Goal::Value(_) if !matches!(level, Level::Resource | Level::ResourceInstance) => {
                    return Err(DesiredError::Path(text.clone()));
                }
                Goal::Observed(_) if level == Level::Root => return Err(DesiredError::Path(text.clone())),
                Goal::Observed(attributes) => {
                    let is_long =
                        |(name, value): (&String, &String)| name.len().max(value.len()) > LONGEST_ATTRIBUTE;
                    if attributes.len() > MOST_ATTRIBUTES || attributes.iter().any(is_long) {
                        return Err(DesiredError::Attributes(text.clone()));
                    }
                }
                Goal::Value(_) => {}
            }
        }
        Ok(())
    }
}

/// What is wanted of one resource of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// What.
    pub goal: &'a Goal,
    /// The desired state that counts.
    pub from: &'a str,
    /// Others that name the path, too.
    pub overridden: BTreeSet<&'a str>,
}

/// What is wanted of a device by all desired states that are for it.
#[must_use]
pub fn effective<'a>(states: impl IntoIterator<Item = &'a DesiredState>) -> BTreeMap<&'a str, Wanted<'a>> {
    let mut states: Vec<_> = states.into_iter().collect();
    states.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
    let mut wanted = BTreeMap::<&str, Wanted<'_>>::new();
    for state in states {
        for (path, goal) in &state.settings {
            wanted
                .entry(path)
                .and_modify(|counts| {
                    counts.overridden.insert(&state.name);
                })
                .or_insert_with(|| Wanted { goal, from: &state.name, overridden: BTreeSet::new() });
        }
    }
    wanted
}

#[cfg(test)]
mod tests;
