//! Campaigns: one release for many devices, wave by wave.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Delivery;

/// A campaign to make, or to change while it is a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutCampaign {
    /// Its name.
    pub name: String,
    /// Which devices: a filter. The empty one matches all.
    #[serde(default)]
    pub filter: String,
    /// Whether devices that match later take part, too.
    #[serde(default)]
    pub growing: bool,
    /// The image: SHA-256 in hexadecimal digits.
    pub firmware: String,
    /// The version that devices will report; by default the one that the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How the image gets to the devices.
    #[serde(default)]
    pub delivery: Delivery,
    /// The waves. The last takes all devices that the others leave. Without any there is one.
    #[serde(default)]
    pub waves: Vec<CampaignWave>,
    /// When it pauses itself.
    #[serde(default)]
    pub stop: CampaignStop,
    /// The most updates at a time.
    #[serde(default = "default_concurrent")]
    pub concurrent: u32,
    /// The most updates that start in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// How often a device whose update failed in a way that may pass is tried again.
    #[serde(default = "default_retries")]
    pub retries: u8,
    /// When it starts, at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<u64>,
    /// When devices that still wait are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Whether somebody else than its author has to agree to its start.
    #[serde(default)]
    pub needs_approval: bool,
}

const fn default_concurrent() -> u32 {
    500
}

const fn default_retries() -> u8 {
    1
}

/// A part of the devices: by a filter, a number, or a part of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignWave {
    /// Those that this filter matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// This part of all devices, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What has to be so before the next wave opens.
    #[serde(default)]
    pub gate: CampaignGate,
}

/// What has to be so before the next wave opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignGate {
    /// So many of its devices run the release, in percent.
    pub success: f64,
    /// For so long; seconds.
    pub soak: u64,
    /// And match this filter then. They have to be registered in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<String>,
    /// And a person says yes.
    pub manual: bool,
}

impl Default for CampaignGate {
    fn default() -> Self {
        Self { success: 90.0, soak: 0, healthy: None, manual: false }
    }
}

/// When a campaign pauses itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignStop {
    /// When so many devices have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
    /// When this part of the devices that have ended has failed, in percent,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// and at least so many have ended.
    pub minimum: u64,
}

impl Default for CampaignStop {
    fn default() -> Self {
        Self { failures: None, rate: Some(5.0), minimum: 20 }
    }
}

/// Where a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// It can be changed, and does nothing.
    Draft,
    /// It waits for its time, or for the approval of a second person.
    Scheduled,
    /// Its devices are being dealt into waves.
    Preparing,
    /// It updates devices.
    Running,
    /// It starts no updates.
    Paused,
    /// It was aborted, and some updates are still under way.
    Stopping,
    /// It has ended.
    Done,
    /// It was aborted.
    Aborted,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Campaign {
    /// Its id.
    pub id: u64,
    /// Where it is.
    pub state: CampaignState,
    /// Why it is there, if there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether it goes on when a person approves: its start, or the gate of its open wave.
    pub awaits_approval: bool,
    /// What was planned.
    pub plan: PutCampaign,
    /// How many devices are where.
    pub counts: CampaignCounts,
    /// The waves.
    pub waves: Vec<CampaignWaveProgress>,
    /// The kinds of failures, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<CampaignFailure>,
    /// Who made it.
    pub author: String,
    /// Who agreed to its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
    /// When it was made.
    pub created_at: u64,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// What happened, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<CampaignEvent>,
}

/// How many devices are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignCounts {
    /// They wait.
    pub waiting: u64,
    /// Their updates are under way.
    pub updating: u64,
    /// They run the release, and have confirmed it.
    pub confirmed: u64,
    /// They ran it already.
    pub had_it: u64,
    /// They failed.
    pub failed: u64,
    /// They are not tried.
    pub skipped: u64,
}

/// A wave, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignWaveProgress {
    /// Whether its devices are updated.
    pub open: bool,
    /// Whether its gate is passed.
    pub passed: bool,
    /// How many devices are where.
    pub counts: CampaignCounts,
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignFailure {
    /// Which: "rolled_back", "unexpected_version", "refused", "failed", "timed_out", "cancelled" or "unhealthy".
    pub kind: String,
    /// How many devices.
    pub count: u64,
    /// What happened to one of them, in words.
    pub example: String,
}

/// Something that happened in a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignEvent {
    /// When.
    pub at: u64,
    /// What, in words.
    pub text: String,
}

/// What a campaign knows of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignDevice {
    /// The device.
    pub endpoint: String,
    /// Its wave, from 1.
    pub wave: u64,
    /// "waiting", "updating", "confirmed", "had_it", "failed" or "skipped".
    pub stage: String,
    /// Its update, while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<u64>,
    /// The kind of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it waits, failed or is not tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Updates that ended.
    pub attempts: u8,
}

/// What a campaign would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignPreview {
    /// How many devices match.
    pub devices: u64,
    /// Those that run the version already.
    pub have_it: u64,
    /// Those that are not registered now.
    pub offline: u64,
    /// Those that another update is under way of.
    pub in_conflict: u64,
    /// How many devices each wave would have.
    pub waves: Vec<u64>,
    /// The bytes of the image.
    pub bytes_per_device: u64,
    /// The bytes for all devices that do not have it.
    pub bytes: u64,
    /// Some of the devices.
    pub examples: Vec<String>,
}

/// How a campaign goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeCampaign {
    /// Another image for all devices, from the first wave on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Its version; by default the one that the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
