//! Tells the operator which requests of devices were refused, and why: in the log, but not more than can be read.

use std::time::{Duration, Instant};

use buoy_net::directory::Endpoints;
use buoy_server::{Directory as _, Event, Peer};

/// Lines in a second; the rest is counted.
const PER_SECOND: u32 = 10;

/// What one shard has told lately.
pub(super) struct Refusals {
    endpoints: Endpoints,
    since: Instant,
    told: u32,
    untold: u32,
}

impl Refusals {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, since: Instant::now(), told: 0, untold: 0 }
    }

    /// Looks for refusals among events.
    pub(super) fn tell(&mut self, events: &[Event]) {
        for event in events {
            let Event::Refused { peer, code, reason } = event else { continue };
            if self.may_tell() {
                let endpoint = name_of(&self.endpoints, *peer);
                tracing::warn!(endpoint, address = %peer.address, %code, "a request was refused: {reason}");
            }
        }
    }

    fn may_tell(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            if self.untold > 0 {
                tracing::warn!(count = self.untold, "further requests were refused");
            }
            (self.since, self.told, self.untold) = (Instant::now(), 0, 0);
        }
        let may = self.told < PER_SECOND;
        if may {
            self.told += 1;
        } else {
            self.untold += 1;
        }
        may
    }
}

/// Who a peer proved to be; nothing if it proved nothing.
pub(super) fn name_of(endpoints: &Endpoints, peer: Peer) -> String {
    let proved = peer.session.and_then(|session| endpoints.proved(session));
    proved.map(|endpoint| endpoint.to_string()).unwrap_or_default()
}
