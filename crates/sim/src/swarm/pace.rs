//! The link of a device: how fast it is.

use std::time::Duration;

use buoy_time::Instant;

/// A half-duplex link: what comes and what goes takes its time, one after the other.
#[derive(Debug)]
pub(super) struct Link {
    bits_per_second: Option<u64>,
    free_at: Instant,
    /// Something may wait until it is free.
    is_awaited: bool,
}

impl Link {
    pub(super) const fn new(bits_per_second: Option<u64>) -> Self {
        Self { bits_per_second, free_at: Instant::ZERO, is_awaited: false }
    }

    /// Whether a datagram can leave now; otherwise it waits for [`Link::next_deadline`].
    pub(super) fn is_free(&mut self, now: Instant) -> bool {
        self.is_awaited = now < self.free_at;
        !self.is_awaited
    }

    /// A datagram of so many bytes passes.
    pub(super) fn carry(&mut self, now: Instant, bytes: usize) {
        let Some(rate) = self.bits_per_second else { return };
        let millis = (bytes as u64).saturating_mul(8000).checked_div(rate).unwrap_or(0);
        self.free_at = self.free_at.max(now) + Duration::from_millis(millis);
    }

    pub(super) const fn next_deadline(&self) -> Instant {
        if self.is_awaited { self.free_at } else { Instant::NEVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_waits_for_the_one_before_and_a_link_without_a_limit_holds_nothing_up() {
        let at = Instant::from_millis;
        let mut slow = Link::new(Some(8000));
        assert!(slow.is_free(at(0)));
        slow.carry(at(0), 500);
        slow.carry(at(100), 500);
        assert!(!slow.is_free(at(999)));
        assert_eq!(slow.next_deadline(), at(1000));
        assert!(slow.is_free(at(1000)));
        assert_eq!(slow.next_deadline(), Instant::NEVER);
        let mut quick = Link::new(None);
        quick.carry(at(0), 1_000_000);
        assert!(quick.is_free(at(0)));
    }
}
