//! What a campaign knows of one device.

use serde::{Deserialize, Serialize};

use crate::update::End;

/// What is saved of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its wave, from 0.
    pub wave: usize,
    /// Where it is.
    pub stage: Stage,
    /// Updates that ended.
    #[serde(default)]
    pub attempts: u8,
    /// The last update that was started; one that is not newer is of an attempt before.
    #[serde(default)]
    pub last_update: u64,
    /// It is not tried before this time; milliseconds since the epoch.
    #[serde(default)]
    pub not_before: u64,
    /// Why it waits, in words, if there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What it ran before its update, as it said itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// It can't be put back on that version; the note says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

impl DeviceRecord {
    pub(super) fn waiting(wave: usize) -> Self {
        Self {
            wave,
            stage: Stage::Waiting,
            attempts: 0,
            last_update: 0,
            not_before: 0,
            note: String::new(),
            before: None,
            stays: false,
        }
    }
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its turn has not come, or it can't be reached.
    Waiting,
    /// Its update is about to start.
    Ordered,
    /// Its update is under way.
    Updating {
        /// The update.
        update: u64,
    },
    /// An update to an earlier release is under way; afterwards it waits for the new one.
    Superseded,
    /// It runs the release, and has confirmed it.
    Confirmed {
        /// When; milliseconds since the epoch.
        at: u64,
    },
    /// It ran the release already.
    HadIt,
    /// The campaign stopped itself, and an update to the version before is about to start, or under way.
    GoingBack {
        /// The update, when it has started.
        update: Option<u64>,
        /// The version before.
        version: String,
        /// When it had confirmed the release; milliseconds since the epoch.
        at: u64,
    },
    /// It runs the version before again.
    PutBack {
        /// That version.
        version: String,
    },
    /// It does not run the release.
    Failed {
        /// The kind of failure.
        failure: Failure,
        /// What happened, in words.
        detail: String,
    },
    /// It is not tried.
    Skipped {
        /// Why, in words.
        reason: String,
    },
}

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It went back to what it ran before.
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
    /// It was updated, and did not stay healthy.
    Unhealthy,
    /// It was to go back to the version before, and did not.
    NotPutBack,
}

impl Failure {
    pub(super) fn of(end: &End) -> Self {
        match end {
            End::RolledBack { .. } => Self::RolledBack,
            End::UnexpectedVersion { .. } => Self::UnexpectedVersion,
            End::Refused { .. } => Self::Refused,
            End::TimedOut { .. } => Self::TimedOut,
            End::Cancelled => Self::Cancelled,
            End::Failed { .. } | End::Updated | End::AlreadyRunning => Self::Failed,
        }
    }

    /// Whether another attempt may do better. A device that went back to its old image, or that refuses the new one, would do so again.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled_back",
            Self::UnexpectedVersion => "unexpected_version",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Unhealthy => "unhealthy",
            Self::NotPutBack => "not_put_back",
        }
    }
}

impl Stage {
    /// As it is written.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ordered | Self::Updating { .. } | Self::Superseded => "updating",
            Self::Confirmed { .. } => "confirmed",
            Self::HadIt => "had_it",
            Self::GoingBack { .. } => "going_back",
            Self::PutBack { .. } => "put_back",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// How many devices are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They wait.
    pub waiting: u64,
    /// Their updates are under way.
    pub updating: u64,
    /// They run the release.
    pub confirmed: u64,
    /// They ran it already.
    pub had_it: u64,
    /// They failed.
    pub failed: u64,
    /// They are not tried.
    pub skipped: u64,
    /// They run the version before again.
    pub put_back: u64,
}

impl Counts {
    /// All devices.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.waiting
            + self.updating
            + self.confirmed
            + self.had_it
            + self.failed
            + self.skipped
            + self.put_back
    }

    fn of(&mut self, stage: &Stage) -> &mut u64 {
        match stage {
            Stage::Waiting => &mut self.waiting,
            Stage::Ordered | Stage::Updating { .. } | Stage::Superseded | Stage::GoingBack { .. } => {
                &mut self.updating
            }
            Stage::PutBack { .. } => &mut self.put_back,
            Stage::Confirmed { .. } => &mut self.confirmed,
            Stage::HadIt => &mut self.had_it,
            Stage::Failed { .. } => &mut self.failed,
            Stage::Skipped { .. } => &mut self.skipped,
        }
    }

    pub(super) fn add(&mut self, stage: &Stage) {
        *self.of(stage) += 1;
    }

    pub(super) fn remove(&mut self, stage: &Stage) {
        let count = self.of(stage);
        *count = count.saturating_sub(1);
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.updating += other.updating;
        self.confirmed += other.confirmed;
        self.had_it += other.had_it;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.put_back += other.put_back;
    }
}
