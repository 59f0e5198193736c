//! Rehearsals of campaigns: what a campaign does with simulated devices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CampaignCounts, CampaignEvent, CampaignFailure, PutCampaign};

/// A campaign to play on simulated devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearseCampaign {
    /// The campaign.
    pub plan: PutCampaign,
    /// The simulated devices.
    #[serde(default)]
    pub conditions: RehearsalConditions,
}

/// The devices of a rehearsal, and what is wrong with them. Percentages are 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RehearsalConditions {
    /// How many: 1 to 100,000.
    pub devices: u32,
    /// So many percent crash on a version and go back to their old image.
    pub crash: f64,
    /// The version on which they crash; by default that of the campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_on: Option<String>,
    /// So many percent can't be reached at all.
    pub offline: f64,
    /// Bits in a second that the link of each device carries; 0 if the link is no limit.
    pub link: u64,
    /// Seconds between two wakes of a device; 0 if devices never sleep.
    pub sleep: u64,
    /// By so many percent of that a device may be late.
    pub jitter: f64,
    /// Another number has other devices crash, be offline, and wake at other times.
    pub seed: u64,
}

impl Default for RehearsalConditions {
    fn default() -> Self {
        Self {
            devices: 10_000,
            crash: 0.0,
            crash_on: None,
            offline: 0.0,
            link: 0,
            sleep: 0,
            jitter: 10.0,
            seed: 1,
        }
    }
}

/// How a rehearsal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalVerdict {
    /// The campaign ended.
    Done,
    /// It stopped itself.
    Stopped,
    /// Devices that can't be reached would be waited for, and there is no deadline; or it would take more than a year.
    WithoutEnd,
    /// It does not start.
    NotStarted,
    /// The server broke the rehearsal off, since it took too long.
    Unfinished,
}

/// What came out of a rehearsal. Times are those that the campaign would have if it started now, or at its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CampaignRehearsal {
    /// How it ended.
    pub verdict: RehearsalVerdict,
    /// Why, if there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it would start.
    pub began: u64,
    /// When it would end, or stop itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Its waves.
    pub waves: Vec<RehearsedWave>,
    /// How many devices would be where.
    pub counts: CampaignCounts,
    /// The kinds of failures, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<CampaignFailure>,
    /// Bytes of images that devices would take.
    pub bytes: u64,
    /// How often a person has to say yes. In the rehearsal that costs no time.
    pub asked_persons: u64,
    /// When these parts of all devices would have confirmed the release.
    pub milestones: Vec<RehearsalMilestone>,
    /// What would happen, the oldest first.
    pub events: Vec<CampaignEvent>,
    /// What the rehearsal can't show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The report of the campaign, in Markdown, as it would be at the end.
    pub report: String,
}

/// A wave of a rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RehearsedWave {
    /// When its first devices could be updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<u64>,
    /// When it passed its gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<u64>,
    /// How many devices would be where.
    pub counts: CampaignCounts,
}

/// A time at which a part of the devices had confirmed the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RehearsalMilestone {
    /// The part, in percent of all devices.
    pub percent: u8,
    /// When.
    pub at: u64,
}
