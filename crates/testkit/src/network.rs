//! A network that loses, repeats, delays and reorders.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use buoy_coap::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::message::Datagram;

/// What a network does to datagrams.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The share that is lost, in percent.
    pub loss: u32,
    /// The share that arrives twice, in percent.
    pub duplication: u32,
    /// How long a datagram is under way. Those that are sent close to each other overtake each other.
    pub delay: Range<Duration>,
}

/// A datagram on its way, or long gone.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it was sent.
    pub sent_at: Instant,
    /// By whom.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub datagram: Datagram,
}

/// Datagrams under way.
#[derive(Debug)]
pub struct Network {
    /// What happens to datagrams from now on.
    pub faults: Faults,
    /// Everything that was sent, whatever became of it.
    pub log: Vec<Packet>,
    in_flight: BTreeMap<(Instant, u64), Packet>,
    count: u64,
}

impl Faults {
    /// Every datagram arrives once, after ten milliseconds.
    #[must_use]
    pub const fn none() -> Self {
        Self { loss: 0, duplication: 0, delay: Duration::from_millis(10)..Duration::from_millis(10) }
    }

    /// Three of ten datagrams are lost, two of ten come twice, and each takes up to `slowest`.
    #[must_use]
    pub const fn lossy(slowest: Duration) -> Self {
        Self { loss: 30, duplication: 20, delay: Duration::ZERO..slowest }
    }
}

impl Network {
    /// An empty network.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, log: Vec::new(), in_flight: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn send(&mut self, rng: &mut ChaCha8Rng, packet: Packet) {
        let Faults { loss, duplication, delay } = self.faults.clone();
        self.log.push(packet.clone());
        if chance(rng, loss) {
            return;
        }
        let copies = if chance(rng, duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let spread = delay.end.saturating_sub(delay.start).as_millis() as u64;
            let extra = if spread == 0 { 0 } else { rng.next_u64() % spread };
            let at = packet.sent_at + delay.start + Duration::from_millis(extra);
            self.count += 1;
            self.in_flight.insert((at, self.count), packet.clone());
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn arrive(&mut self, now: Instant) -> Option<Packet> {
        let entry = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Datagrams that have not arrived yet.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.in_flight.len()
    }
}

fn chance(rng: &mut ChaCha8Rng, percent: u32) -> bool {
    rng.next_u32() % 100 < percent
}
