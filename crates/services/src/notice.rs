//! Notices: problems with a device's reports that an operator should know.

use std::fmt;
use std::sync::Arc;

use buoy_coap::number::ContentFormat;

/// A problem with a device's reports that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The device.
    pub endpoint: Arc<str>,
    /// The problem.
    pub kind: NoticeKind,
}

/// The problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The device has the maximum number of series; this many values of further paths are not saved.
    TooManySeries(usize),
    /// The device reports more values than it may in this time; this many are not saved.
    TooManyValues(usize),
    /// A report, or a part of it, can't be decoded.
    Unreadable {
        /// The content format.
        format: ContentFormat,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManySeries(values) => write!(
                f,
                "{values} values are not kept: the device reports on more than {} paths",
                buoy_store::MOST_SERIES
            ),
            Self::TooManyValues(values) => {
                write!(f, "{values} values are not kept: the device reports too many in a short time")
            }
            Self::Unreadable { format, reason } => {
                write!(f, "a report of content format {} can't be read: {reason}", format.0)
            }
        }
    }
}
