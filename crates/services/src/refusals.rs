//! Logs refused requests of devices and the reasons, at a limited rate.

use buoy_net::directory::Endpoints;
use buoy_server::{Directory as _, Event, Peer};

use crate::log_limit::LogLimit;

/// The recent log lines of one shard.
pub(super) struct Refusals {
    endpoints: Endpoints,
    limit: LogLimit,
}

impl Refusals {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, limit: LogLimit::default() }
    }

    /// Logs the refusals among events.
    pub(super) fn tell(&mut self, events: &[Event]) {
        for event in events {
            let Event::Refused { peer, code, reason, .. } = event else { continue };
            let left_out = |count| tracing::warn!(count, "further requests were refused");
            if self.limit.may_log(left_out) {
                let endpoint = name_of(&self.endpoints, *peer);
                tracing::warn!(endpoint, address = %peer.address, %code, "a request was refused: {reason}");
            }
        }
    }
}

/// The endpoint that a peer authenticated as; empty if it did not authenticate.
pub fn name_of(endpoints: &Endpoints, peer: Peer) -> String {
    let proved = peer.session.and_then(|session| endpoints.proved(session));
    proved.map(|endpoint| endpoint.to_string()).unwrap_or_default()
}
