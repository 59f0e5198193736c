//! Desired state: values and observations that the server keeps devices at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A desired state to make, or to replace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDesiredState {
    /// Which devices: a filter. The empty one matches all.
    #[serde(default)]
    pub filter: String,
    /// Of two that name the same path, the higher one counts; of two equal ones, the one whose name comes first.
    #[serde(default)]
    pub priority: i32,
    /// What is wanted.
    pub settings: Vec<DesiredSetting>,
}

/// What is wanted of one path: a value, or to be observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DesiredSetting {
    /// The path, as in "/1/0/1".
    pub path: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// That it is observed. Then there is no value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observe: bool,
    /// The attributes of the observation, as in `{"pmin": "10"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A desired state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DesiredState {
    /// Its name.
    pub name: String,
    /// Which devices.
    pub filter: String,
    /// Its priority.
    pub priority: i32,
    /// What is wanted.
    pub settings: Vec<DesiredSetting>,
    /// How far its devices are.
    pub counts: DesiredCounts,
    /// Why its filter can't be used any more: it keeps the devices that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Changes when operators change it; to be given as `If-Match` with the next change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// How far the devices of a desired state are. A device counts where the worst of the settings is that it has from this state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DesiredCounts {
    /// All settings are as wanted.
    pub in_sync: u64,
    /// Something is to be asked or written, when they can be reached.
    pub pending: u64,
    /// Something was given up.
    pub given_up: u64,
}

/// How far a device of a desired state is: where the worst of the settings is that it has from this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DesiredProgress {
    /// All settings are as wanted.
    InSync,
    /// Something is to be asked or written, when it can be reached.
    Pending,
    /// Something was given up.
    GivenUp,
}

impl std::fmt::Display for DesiredProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InSync => "in sync",
            Self::Pending => "pending",
            Self::GivenUp => "given up",
        })
    }
}

/// One device of a desired state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DesiredDevice {
    /// The device.
    pub endpoint: String,
    /// How far it is.
    pub progress: DesiredProgress,
    /// The path of the setting that is the farthest from it, if something is not as wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why that was given up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Where a setting of a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DesiredCondition {
    /// It is as wanted.
    InSync,
    /// The device is to be asked.
    Unknown,
    /// The device has another value, and is to be written.
    Differs,
    /// Nothing more is tried.
    GivenUp,
}

impl std::fmt::Display for DesiredCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InSync => "in sync",
            Self::Unknown => "unknown",
            Self::Differs => "differs",
            Self::GivenUp => "given up",
        })
    }
}

/// What is wanted of one path of a device, and what is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSetting {
    /// What is wanted.
    #[serde(flatten)]
    pub wanted: DesiredSetting,
    /// The desired state from which that comes.
    pub from: String,
    /// Other desired states that name the path, and don't count for this device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// Where it is.
    pub condition: DesiredCondition,
    /// Since when; milliseconds since the epoch.
    pub since: u64,
    /// What the device reported last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<serde_json::Value>,
    /// When it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<u64>,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
