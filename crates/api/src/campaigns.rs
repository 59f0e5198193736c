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
    /// When devices may be updated; always without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<CampaignWindow>,
    /// What devices have to be for the release, besides what the image says itself.
    #[serde(default)]
    pub requires: CampaignRequirements,
    /// What it does when it stops itself.
    #[serde(default)]
    pub on_stop: CampaignOnStop,
    /// How often kinds of failures are tried again, in place of what `retries` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<CampaignRetry>,
    /// For how long devices may put the installation off. Without it they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferral: Option<CampaignDeferral>,
}

/// For how long devices may put the installation off, if they have the resources 11 and 13 of object 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignDeferral {
    /// How much it matters.
    #[serde(default)]
    pub severity: CampaignSeverity,
    /// Seconds, at most 30 days; 0 forbids it.
    pub at_most: u64,
}

/// How much an update matters (5/0/11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignSeverity {
    /// It must not be put off.
    Critical,
    /// It has to be installed.
    #[default]
    Mandatory,
    /// The device may choose.
    Optional,
}

/// A maintenance window, in the time zone of each device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignWindow {
    /// When it opens: a time of day as in 22:00.
    pub from: String,
    /// When it closes, on that day or on the next.
    pub to: String,
    /// The days on which it opens; every day if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<CampaignDay>,
    /// The time zone of devices that do not tell theirs (3/0/15) and of which no field `timezone` is noted: a name of IANA as in Europe/Berlin.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignDay {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

/// What devices have to be. The chip, the project, the hardware revisions and the security counter that the image says are looked at in any case; the server
/// knows of a device its object 3 and the fields `chip`, `project` and `security_counter` that are noted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignRequirements {
    /// The model is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The hardware version is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<String>,
    /// The device runs at least this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_version: Option<String>,
    /// What becomes of devices of which something is not known that is asked for.
    pub unknown: CampaignUnknown,
}

/// What becomes of devices of which something is not known that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignUnknown {
    /// They are updated: a device checks the image itself.
    #[default]
    Allow,
    /// They are not.
    Refuse,
}

/// What a campaign does when it stops itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignOnStop {
    /// It pauses.
    #[default]
    Pause,
    /// It pauses, and puts the devices of the open wave that it has updated back on the version before.
    RollBack,
}

/// How often a kind of failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignRetry {
    /// The kind of failure.
    pub failure: CampaignRetryKind,
    /// How often; 0 is never.
    pub times: u8,
    /// After so many seconds.
    #[serde(default = "one_minute")]
    pub after: u64,
}

const fn one_minute() -> u64 {
    60
}

/// A kind of failure that may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignRetryKind {
    /// The device went back to what it ran before.
    RolledBack,
    /// It says that it succeeded, and runs something else.
    UnexpectedVersion,
    /// It did not take the image.
    Refused,
    /// An operation failed.
    Failed,
    /// A stage took too long.
    TimedOut,
    /// Somebody cancelled its update.
    Cancelled,
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
    /// Changes when operators change it; to be given as `If-Match` with the next change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
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
    /// They run the version before again: the campaign stopped itself, and put them back.
    #[serde(default)]
    #[schema(required = true)]
    pub put_back: u64,
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
    /// Which: "rolled_back", "unexpected_version", "refused", "failed", "timed_out", "cancelled", "unhealthy" or "not_put_back".
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
    /// "waiting", "updating", "confirmed", "had_it", "failed", "skipped", "going_back" or "put_back".
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
    /// Those that the release is not for: they are not updated.
    #[serde(default)]
    #[schema(required = true)]
    pub incompatible: u64,
    /// Why, the most frequent reason first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incompatible_because: Vec<CampaignIncompatible>,
    /// Those of which something is not known that is asked for, and that are updated all the same.
    #[serde(default)]
    #[schema(required = true)]
    pub unknown: u64,
    /// How many devices each wave would have.
    pub waves: Vec<u64>,
    /// The bytes of the image.
    pub bytes_per_device: u64,
    /// The bytes for all devices that do not have it.
    pub bytes: u64,
    /// Some of the devices.
    pub examples: Vec<String>,
}

/// Devices that a release is not for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignIncompatible {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// One of them.
    pub example: String,
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
