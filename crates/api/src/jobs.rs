//! Jobs: one command for many devices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Request;

/// A command for all devices that a filter matches now and that the principal may command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartJob {
    /// Its name; by default the command in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which devices: a filter. The empty one matches all.
    #[serde(default)]
    pub filter: String,
    /// The command.
    pub request: Request,
    /// When a device has done it.
    #[serde(default, skip_serializing_if = "JobUntil::is_answered")]
    pub until: JobUntil,
    /// The number of devices that the caller expects: if it is another one, nothing is done. Needed for a factory reset, a wipe, a Delete and new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<u64>,
    /// The most devices that are waited for at a time; those that sleep don't count.
    #[serde(default = "default_concurrent")]
    pub concurrent: u32,
    /// The most devices that get the command in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// How often a device that did not answer is tried again. An Execute, a Create and a Delete are never repeated by themselves.
    #[serde(default = "default_retries")]
    pub retries: u8,
    /// When devices are given up that were not reached; milliseconds since the epoch. By default in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
}

/// When a device has done what a job asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobUntil {
    /// When it has answered.
    #[default]
    Answered,
    /// When it has registered anew, as after a factory reset. Until the deadline it is "confirming"; then it has failed as "not confirmed".
    Registered,
    /// When it uses a key that the bootstrap server made for it after the job began. The key before it counts until then.
    KeyUsed,
}

impl JobUntil {
    /// Whether the answer is the end.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        *self == Self::Answered
    }
}

const fn default_concurrent() -> u32 {
    500
}

const fn default_retries() -> u8 {
    1
}

/// Tries devices again on which a job failed, or which it did not reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryJob {
    /// The new deadline; milliseconds since the epoch. By default in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It gives its command to devices.
    Running,
    /// It was cancelled; some operations have not ended.
    Stopping,
    /// It has ended for each device.
    Done,
    /// It was cancelled.
    Cancelled,
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        })
    }
}

/// One command for many devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: u64,
    /// Where it is.
    pub state: JobState,
    /// Its name.
    pub name: String,
    /// The filter for which it was made.
    pub filter: String,
    /// The command.
    pub request: Request,
    /// How many devices are where.
    pub counts: JobCounts,
    /// Why it failed, the most frequent reason first. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<JobFailure>,
    /// The most devices that are waited for at a time.
    pub concurrent: u32,
    /// The most devices that get the command in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// How often a device that did not answer is tried again.
    pub retries: u8,
    /// When devices are given up that were not reached; milliseconds since the epoch.
    pub deadline: u64,
    /// Who made it.
    pub author: String,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

/// How many devices of a job are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCounts {
    /// Have not got the command.
    pub waiting: u64,
    /// Have not answered yet.
    pub sent: u64,
    /// Get it when they wake.
    pub asleep: u64,
    /// Answered, and have not yet shown that they did it, by `until`.
    pub confirming: u64,
    /// Did what they were asked for.
    pub succeeded: u64,
    /// Refused, or gave no answer.
    pub failed: u64,
    /// Never got it.
    pub not_reached: u64,
    /// Were left out when the job was cancelled.
    pub cancelled: u64,
}

impl JobCounts {
    /// All devices of the job.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.waiting
            + self.sent
            + self.asleep
            + self.confirming
            + self.succeeded
            + self.failed
            + self.not_reached
            + self.cancelled
    }
}

/// A reason for which a job failed on devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobFailure {
    /// The reason.
    pub reason: String,
    /// On how many devices.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// One device of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobDevice {
    /// The device.
    pub endpoint: String,
    /// "waiting", "sent", "asleep", "confirming", "succeeded", "failed", "not_reached" or "cancelled".
    pub stage: String,
    /// What it answered, or why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The operation by which it was given the command last: it has what the device answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u64>,
    /// How often it was given the command.
    pub attempts: u8,
}

/// What a job would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPreview {
    /// The command in words.
    pub command: String,
    /// The devices that it would have.
    pub devices: u64,
    /// Of these, how many are not registered: they get the command if they register before the deadline.
    pub offline: u64,
    /// Whether "devices" has to repeat the number of devices.
    pub needs_count: bool,
    /// Some of them.
    pub examples: Vec<String>,
}
