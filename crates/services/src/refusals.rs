//! Tells the operator which requests of devices were refused, and why: in the log, but not more than can be read.

use buoy_net::directory::Endpoints;
use buoy_server::{Directory as _, Event, Peer};

use crate::log_limit::LogLimit;

/// What one shard has told lately.
pub(super) struct Refusals {
    endpoints: Endpoints,
    limit: LogLimit,
}

impl Refusals {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, limit: LogLimit::default() }
    }

    /// Looks for refusals among events.
    pub(super) fn tell(&mut self, events: &[Event]) {
        for event in events {
            let Event::Refused { peer, code, reason } = event else { continue };
            let left_out = |count| tracing::warn!(count, "further requests were refused");
            if self.limit.may_log(left_out) {
                let endpoint = name_of(&self.endpoints, *peer);
                tracing::warn!(endpoint, address = %peer.address, %code, "a request was refused: {reason}");
            }
        }
    }
}

/// Who a peer proved to be; nothing if it proved nothing.
pub fn name_of(endpoints: &Endpoints, peer: Peer) -> String {
    let proved = peer.session.and_then(|session| endpoints.proved(session));
    proved.map(|endpoint| endpoint.to_string()).unwrap_or_default()
}
