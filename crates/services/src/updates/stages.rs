//! The words of `/api/v1` for the stages of an update.

use buoy_fleet::update::{End, Stage};

/// The words for how an update can have ended.
pub(crate) const ENDS: [&str; 8] = [
    "updated",
    "already_running",
    "rolled_back",
    "unexpected_version",
    "refused",
    "failed",
    "timed_out",
    "cancelled",
];

/// The word for a stage.
pub(crate) fn state_name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Inspecting => "inspecting",
        Stage::Ordering => "ordering",
        Stage::Downloading => "downloading",
        Stage::Executing => "executing",
        Stage::Installing => "installing",
        Stage::Deferred => "deferred",
        Stage::Confirming => "confirming",
        Stage::Ended(End::Updated) => "updated",
        Stage::Ended(End::AlreadyRunning) => "already_running",
        Stage::Ended(End::RolledBack { .. }) => "rolled_back",
        Stage::Ended(End::UnexpectedVersion { .. }) => "unexpected_version",
        Stage::Ended(End::Refused { .. }) => "refused",
        Stage::Ended(End::Failed { .. }) => "failed",
        Stage::Ended(End::TimedOut { .. }) => "timed_out",
        Stage::Ended(End::Cancelled) => "cancelled",
    }
}
