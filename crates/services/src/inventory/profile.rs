//! What operators note of a device, and the last values of its resources.

use std::collections::BTreeMap;

use buoy_store::Sample;
use serde::{Deserialize, Serialize};

/// The most bytes of a text whose last value is kept in memory.
const LONGEST_VALUE: usize = 128;

/// What operators note of a device. It is saved as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Short words to find it by, in ascending order.
    pub tags: Vec<Box<str>>,
    /// The groups into which it was put, in ascending order.
    pub groups: Vec<Box<str>>,
    /// Fields of the operators' own.
    pub fields: BTreeMap<String, String>,
    /// Free text.
    pub notes: String,
    /// Since when it is out of service; milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<u64>,
    /// The device that took its place, and its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Box<str>>,
    /// The devices whose place it took, the latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Box<str>>,
}

/// The last value of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastValue {
    /// Milliseconds since the epoch.
    pub at: u64,
    /// The value.
    pub value: Last,
}

/// A value that filters can compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Last {
    /// A number; booleans are 0 and 1.
    Number(f64),
    /// A text.
    Text(Box<str>),
}

impl LastValue {
    /// Of a value of a series; `None` for bytes and long texts.
    #[must_use]
    pub fn of(at: u64, value: &Sample) -> Option<Self> {
        let value = match value {
            Sample::Integer(number) => Last::Number(*number as f64),
            Sample::Float(number) => Last::Number(*number),
            Sample::Text(text) if text.len() <= LONGEST_VALUE => Last::Text(text.as_str().into()),
            Sample::Text(_) | Sample::Opaque(_) => return None,
        };
        Some(Self { at, value })
    }
}
