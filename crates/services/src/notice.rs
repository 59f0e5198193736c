//! Something about a device's reports that its operator should know.

use std::fmt;
use std::sync::Arc;

use buoy_coap::number::ContentFormat;

/// Something about a device's reports that its operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The device.
    pub endpoint: Arc<str>,
    /// What it is.
    pub kind: NoticeKind,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The device has as many series as it may have; so many values of further paths are not kept.
    TooManySeries(usize),
    /// It reports more values than it may in so short a time; so many are not kept.
    TooManyValues(usize),
    /// A report, or a part of it, cannot be read.
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
