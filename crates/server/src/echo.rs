//! Echo values (RFC 9175), which prove that a peer receives what is sent to its address: the value was sent only to that address.
//!
//! No state is stored for the peer: the value is a keyed hash of the address and of the current period.

use std::hash::{Hash, Hasher};

use buoy_coap::time::Instant;
use rand_core::Rng;
use siphasher::sip::SipHasher24;

use crate::peer::Peer;

/// A value is valid for one to two of these.
const PERIOD_MILLIS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct EchoKey([u8; 16]);

impl EchoKey {
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    /// The value to send to `peer`.
    pub(crate) fn value(&self, now: Instant, peer: Peer) -> [u8; 8] {
        self.value_of(now.as_millis() / PERIOD_MILLIS, peer)
    }

    /// Whether `value` was recently sent to `peer`.
    pub(crate) fn proves(&self, now: Instant, peer: Peer, value: &[u8]) -> bool {
        let period = now.as_millis() / PERIOD_MILLIS;
        value == self.value_of(period, peer) || value == self.value_of(period.saturating_sub(1), peer)
    }

    fn value_of(&self, period: u64, peer: Peer) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        (period, peer).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}
