//! Tells the operator what could not be read or kept of a device's reports: in the event stream, and in the log. All who find such a
//! thing tell it here.

use buoy_server::Event;

use crate::hub::Hub;
use crate::log_limit::LogLimit;
use crate::notice::{Notice, NoticeKind};

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
