//! What a swarm measured.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long exchanges took from the first datagram to the answer, and what failed.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many devices there were.
    pub devices: u32,
    /// Devices that registered at the start.
    pub registered: u64,
    /// Until the last of them.
    pub time_to_register: Duration,
    /// DTLS handshakes.
    pub handshakes: Figures,
    /// Those that went on from an earlier session.
    pub handshakes_resumed: u64,
    /// Those that made none.
    pub handshakes_failed: u64,
    /// By kind: `register`, `update`, `deregister`, `notify`, `send`.
    pub exchanges: Vec<(&'static str, Figures)>,
    /// Requests of the server that devices answered.
    pub requests_served: u64,
    /// Notifications that need no answer.
    pub notifications_unconfirmed: u64,
    /// Firmware updates after which a device has registered.
    pub updates: u64,
    /// How often something failed, by its cause; a server's words may be in that.
    pub failures: BTreeMap<String, u64>,
    /// Exchanges and handshakes that got no answer, by kind; those of which all did stand there with 0.
    pub unanswered: BTreeMap<&'static str, u64>,
}

/// Exchanges of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// How many began.
    pub sent: u64,
    /// How many were answered.
    pub answered: u64,
    /// The median of the times.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest time.
    pub longest: Duration,
}

impl Report {
    /// How many exchanges or registrations failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().chain(self.unanswered.values()).sum()
    }
}
