//! The table behind an update: what was ordered and what the device says -> what is so.
//!
//! Object 5 tells its state (5/0/3) and its result (5/0/5) apart from each other, and a device may keep a result of long ago. So a result
//! counts only if it, or the state, has changed since the order; [`Since`] remembers that. Nothing here acts or waits.

use serde::{Deserialize, Serialize};

/// Values of 5/0/3; others are unknown, and say neither that it goes on nor that it is over.
pub mod state {
    /// Idle
    pub const IDLE: i64 = 0;
    /// Downloading
    pub const DOWNLOADING: i64 = 1;
    /// Downloaded
    pub const DOWNLOADED: i64 = 2;
    /// Updating
    pub const UPDATING: i64 = 3;
}

const RESULT_INITIAL: i64 = 0;
const RESULT_SUCCESS: i64 = 1;
/// "Firmware update deferred" (object 5, version 1.1): the image stays, and is installed when the device finds the time.
const RESULT_DEFERRED: i64 = 11;

/// What the device said in one round of questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// 3/0/3
    pub version: Option<String>,
    /// 5/0/3
    pub state: Option<i64>,
    /// 5/0/5
    pub result: Option<i64>,
}

/// What has changed since the order: that of the package, and later that to install it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The result that was there before.
    pub result_before: Option<i64>,
    /// Another result was read since.
    pub result_changed: bool,
    /// The state has left what it was.
    pub state_changed: bool,
    /// A package in the device is ours: Idle or Downloading was seen before it was Downloaded.
    pub is_ours: bool,
    /// The device has registered, so it may have rebooted.
    pub registered: bool,
}

impl Since {
    /// A new order: `result` was read before it, and a package that comes will be ours if none was there.
    #[must_use]
    pub fn order(result: Option<i64>, is_ours: bool) -> Self {
        Self { result_before: result, is_ours, ..Self::default() }
    }

    /// Takes a state that was seen after the order of the package.
    pub fn saw_state_of_download(&mut self, state: i64) {
        match state {
            state::IDLE => self.is_ours = true,
            state::DOWNLOADING => {
                self.is_ours = true;
                self.state_changed = true;
            }
            state::DOWNLOADED => self.state_changed |= self.is_ours,
            state::UPDATING => self.state_changed = true,
            _ => {}
        }
    }

    /// Takes a state that was seen after the order to install. A notification of the download may come late, so Downloading says nothing.
    pub fn saw_state_of_install(&mut self, state: i64) {
        self.state_changed |= matches!(state, state::IDLE | state::UPDATING);
    }

    /// Takes a result that was read after the order.
    pub fn saw_result(&mut self, result: i64) {
        match self.result_before {
            None => self.result_before = Some(result),
            Some(before) => self.result_changed |= before != result,
        }
    }

    /// Whether a failing result is of this order.
    fn has_failed(&self, result: Option<i64>) -> Option<i64> {
        result.filter(|result| is_failure(*result) && (self.result_changed || self.state_changed))
    }
}

/// Whether a result says that something went wrong; codes that nobody knows do.
pub(crate) fn is_failure(result: i64) -> bool {
    !matches!(result, RESULT_INITIAL | RESULT_SUCCESS)
}

/// Which release the device says that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// That of the order.
    New,
    /// That of before.
    Old,
    /// A third one.
    Other,
    /// It does not say.
    Unknown,
}

/// What is so after the order of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadVerdict {
    /// It goes on, or has not begun.
    Wait,
    /// The device is Idle again, and has no result: the order was lost in it.
    Lost,
    /// The package is there and checked.
    Downloaded,
    /// The device installs by itself.
    Installing,
    /// The device has installed it by itself.
    Updated,
    /// The device's code says why it did not take it.
    Refused(i64),
}

/// The table of the download.
#[must_use]
pub fn download(running: Running, state: i64, result: Option<i64>, since: Since) -> DownloadVerdict {
    use DownloadVerdict as Is;
    // A package that is whole was taken in spite of a result that the device still keeps of an update before.
    let failed = match state {
        state::DOWNLOADED => {
            since.has_failed(result).filter(|code| since.result_changed && *code != RESULT_DEFERRED)
        }
        _ => since.has_failed(result),
    };
    match (state, failed) {
        (state::DOWNLOADING, _) => Is::Wait,
        (state::UPDATING, _) => Is::Installing,
        (state::IDLE, _) if running == Running::New => Is::Updated,
        (state::DOWNLOADED, _) if !since.is_ours => Is::Wait,
        (_, Some(result)) => Is::Refused(result),
        (state::DOWNLOADED, None) => Is::Downloaded,
        (state::IDLE, None) if since.state_changed || since.registered => Is::Lost,
        _ => Is::Wait,
    }
}

/// What is so after the order to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallVerdict {
    /// It goes on, or has not begun.
    Wait,
    /// The device has put it off.
    Deferred,
    /// The new version runs, and is confirmed.
    Updated,
    /// The old version runs again.
    RolledBack,
    /// Success, says the device, of a version that nobody expected.
    Unexpected,
    /// The device's code says why it did not install it.
    Refused(i64),
}

/// The table of the installation.
#[must_use]
pub fn install(running: Running, state: i64, result: Option<i64>, since: Since) -> InstallVerdict {
    use InstallVerdict as Is;
    match (state, running) {
        (state::DOWNLOADING | state::UPDATING, _) => Is::Wait,
        (state::IDLE, Running::New) => {
            match result.filter(|code| is_failure(*code) && since.result_changed) {
                Some(result) => Is::Refused(result),
                None => Is::Updated,
            }
        }
        (state::IDLE, Running::Old | Running::Other) => back_at_idle(running, result, since),
        (state::DOWNLOADED, _) if result == Some(RESULT_DEFERRED) => Is::Deferred,
        _ => match since.has_failed(result) {
            Some(result) => Is::Refused(result),
            None => Is::Wait,
        },
    }
}

/// Idle, and not the version that was ordered. Before the reboot only a failure is a verdict: some devices say Idle and success, and
/// reboot then.
fn back_at_idle(running: Running, result: Option<i64>, since: Since) -> InstallVerdict {
    use InstallVerdict as Is;
    let has_rebooted = since.registered || running == Running::Other;
    match (has_rebooted, result) {
        (true, Some(RESULT_SUCCESS)) => Is::Unexpected,
        (true, _) => Is::RolledBack,
        (false, result) => since.has_failed(result).map_or(Is::Wait, Is::Refused),
    }
}

/// What is to be said at the end of the time of an installation, of what was [`InstallVerdict::Wait`] until then.
#[must_use]
pub fn install_at_last(running: Running, state: i64, result: Option<i64>) -> InstallVerdict {
    match (running, state, result) {
        (Running::Old | Running::Other, state::IDLE, Some(RESULT_SUCCESS)) => InstallVerdict::Unexpected,
        _ => InstallVerdict::Wait,
    }
}

/// The name of an Update Result code; codes that nobody knows are shown as they are.
#[must_use]
pub fn result_name(result: i64) -> &'static str {
    match result {
        0 => "initial value",
        1 => "updated successfully",
        2 => "not enough flash memory",
        3 => "out of RAM",
        4 => "connection lost during the download",
        5 => "integrity check failed",
        6 => "unsupported package type",
        7 => "invalid URI",
        8 => "update failed",
        9 => "unsupported protocol",
        10 => "cancelled",
        11 => "deferred",
        12 => "conflicting state",
        13 => "dependency error",
        _ => "unknown code",
    }
}

/// The name of a state; others are shown as they are.
#[must_use]
pub fn state_name(state: i64) -> &'static str {
    match state {
        state::IDLE => "idle",
        state::DOWNLOADING => "downloading",
        state::DOWNLOADED => "downloaded",
        state::UPDATING => "updating",
        _ => "unknown state",
    }
}
