//! What a job knows of one device.

use serde::{Deserialize, Serialize};

/// What a job knows of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Where it is.
    #[serde(flatten)]
    pub stage: Stage,
    /// The operation by which it was given the command last; 0 before that.
    #[serde(default)]
    pub operation: u64,
    /// How often it was given the command.
    #[serde(default)]
    pub attempts: u8,
    /// It is not tried before this time; milliseconds since the epoch.
    #[serde(default)]
    pub not_before: u64,
    /// When it was given the command last; milliseconds since the epoch.
    #[serde(default)]
    pub sent_at: u64,
}

impl DeviceRecord {
    /// It was given the command by this operation.
    pub(super) fn sent(operation: u64, attempts: u8, sent_at: u64) -> Self {
        Self { stage: Stage::Sent, operation, attempts, not_before: 0, sent_at }
    }

    /// Its operation, if that has not ended.
    #[must_use]
    pub const fn open_operation(&self) -> Option<u64> {
        match self.stage {
            Stage::Sent | Stage::Asleep => Some(self.operation),
            _ => None,
        }
    }
}

/// Where a device is in a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// It has not got the command.
    #[default]
    Waiting,
    /// The command is on its way to its shard. What is saved is that it waits, until its operation is saved with it.
    Starting,
    /// It has an operation that has not ended.
    Sent,
    /// It sleeps, and gets the operation when it wakes.
    Asleep,
    /// It answered, and has not yet shown that it did it.
    Confirming {
        /// A sign counts from then on; milliseconds since the epoch.
        since: u64,
    },
    /// It did what it was asked for.
    Succeeded {
        /// What it answered, in short.
        answer: String,
    },
    /// It refused, or gave no answer.
    Failed {
        /// Why.
        reason: String,
    },
    /// It never got the command.
    NotReached {
        /// Why.
        reason: String,
    },
    /// The job was cancelled before.
    Cancelled,
}

impl Stage {
    /// Its name in the interface.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting | Self::Starting => "waiting",
            Self::Sent => "sent",
            Self::Asleep => "asleep",
            Self::Confirming { .. } => "confirming",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::NotReached { .. } => "not_reached",
            Self::Cancelled => "cancelled",
        }
    }
}

/// By what else than its answer a device shows that it did what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConfirmedBy {
    /// It registers anew: it has restarted.
    Registration,
    /// It uses a key that was made for it meanwhile.
    NewKey {
        /// The number of the first key that was made after the job.
        from: u64,
    },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The device did it, and answered this in short.
    Succeeded(String),
    /// The device refused.
    Refused(String),
    /// The device was sent it, and did not answer.
    NoAnswer(String),
    /// The device was sent it, and registered anew or left before it answered.
    Left(String),
    /// The device was not sent it.
    NotReached(String),
    /// It was cancelled.
    Cancelled,
}

/// How many devices are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Have not got the command.
    pub waiting: u64,
    /// Are given it now, or have not answered yet.
    pub sent: u64,
    /// Get it when they wake.
    pub asleep: u64,
    /// Answered, and have not yet shown that they did it.
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

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.open() + self.succeeded + self.failed + self.not_reached + self.cancelled
    }

    /// Those for which the job has not ended.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.waiting + self.sent + self.asleep + self.confirming
    }

    pub(super) fn add(&mut self, stage: &Stage) {
        *self.of(stage) += 1;
    }

    pub(super) fn remove(&mut self, stage: &Stage) {
        let count = self.of(stage);
        *count = count.saturating_sub(1);
    }

    fn of(&mut self, stage: &Stage) -> &mut u64 {
        match stage {
            Stage::Waiting => &mut self.waiting,
            Stage::Starting | Stage::Sent => &mut self.sent,
            Stage::Asleep => &mut self.asleep,
            Stage::Confirming { .. } => &mut self.confirming,
            Stage::Succeeded { .. } => &mut self.succeeded,
            Stage::Failed { .. } => &mut self.failed,
            Stage::NotReached { .. } => &mut self.not_reached,
            Stage::Cancelled => &mut self.cancelled,
        }
    }
}
