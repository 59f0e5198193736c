//! Tells the operator what could not be read or kept of a device's reports: in the event stream, and in the log. All who find such a
//! thing tell it here.

use std::fmt;
use std::sync::Arc;

use buoy_coap::number::ContentFormat;
use buoy_server::Event;

use crate::hub::Hub;
use crate::log_limit::LogLimit;

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

/// Where notices go.
#[derive(Debug)]
pub(super) struct Notices {
    hub: Hub,
    limit: LogLimit,
}

impl Notices {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, limit: LogLimit::default() }
    }

    /// Looks among a shard's events for reports that can't be read.
    pub(super) fn publish_unreadable(&mut self, events: &[Event]) {
        for event in events {
            if let Event::Unreadable { endpoint, format, reason, .. } = event {
                let kind = NoticeKind::Unreadable { format: *format, reason: reason.to_string() };
                self.publish(Notice { endpoint: endpoint.clone(), kind });
            }
        }
    }

    pub(super) fn publish(&mut self, notice: Notice) {
        let may =
            self.limit.may_log(|count| tracing::warn!(count, "further reports could not be read or kept"));
        if may {
            tracing::warn!(endpoint = &*notice.endpoint, "{}", notice.kind);
        }
        self.hub.publish_notice(notice);
    }
}
