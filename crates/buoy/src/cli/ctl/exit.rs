//! With which code `buoy ctl` ends.

use std::fmt;
use std::process::ExitCode;

use buoy_api::client::ClientError;

/// The exit codes of all commands.
pub(in crate::cli) const EXIT_CODES: &str = "\
Exit codes:
  0  it was done
  1  it failed: standard error says why; with `buoy ctl`, the device or the server refused, or an update did not end well
  2  the command line is wrong
  3  the device has not answered: its operation is queued, or was given up
  4  no device of this name is known
  5  the server cannot be reached, or is no Buoy server
  6  it needs a sign-in, or the token does not count

3 to 6 are codes of `buoy ctl` and `buoy login`. `buoy doctor` ends with 1 if a check fails.";

/// Why something was not done. The numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::cli) enum Exit {
    /// The device or the server refused, or an update did not end well.
    Refused = 1,
    /// The command line is wrong.
    WrongUse = 2,
    /// The device has not answered; its operation is queued, or was given up.
    NoAnswer = 3,
    /// No device of the name is known.
    UnknownDevice = 4,
    /// The server can't be reached, or is none.
    Unreachable = 5,
    /// It needs a sign-in, or the token does not count.
    NotSignedIn = 6,
}

/// Something was not done.
#[derive(Debug)]
pub(super) struct NotDone {
    exit: Exit,
    reason: String,
}

impl NotDone {
    /// As an error of a verb.
    pub(super) fn error(exit: Exit, reason: impl Into<String>) -> anyhow::Error {
        Self { exit, reason: reason.into() }.into()
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NotDone {}

impl Exit {
    /// That of an error of any verb.
    pub(in crate::cli) fn of(error: &anyhow::Error) -> Self {
        if let Some(NotDone { exit, .. }) = error.downcast_ref() {
            return *exit;
        }
        match error.downcast_ref::<ClientError>() {
            Some(error) if error.is_unknown_device() => Self::UnknownDevice,
            Some(error) if error.needs_sign_in() => Self::NotSignedIn,
            Some(ClientError::Unreachable { .. } | ClientError::Unreadable(_)) => Self::Unreachable,
            _ => Self::Refused,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
