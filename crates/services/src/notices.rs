//! Publishes notices about devices' reports in the event stream and in the log, for all parts of the server that find such problems.

use buoy_server::Event;

use crate::hub::Hub;
use crate::log_limit::LogLimit;
use crate::notice::{Notice, NoticeKind};

/// Publishes notices.
#[derive(Debug)]
pub(super) struct Notices {
    hub: Hub,
    limit: LogLimit,
}

impl Notices {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, limit: LogLimit::default() }
    }

    /// Publishes the reports in a shard's events that can't be decoded.
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
