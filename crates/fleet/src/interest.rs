//! Which devices' events an update may want, asked by the threads that serve all devices: without a lock and without memory for each.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Places: with ten thousand updates seven devices of eight without one are passed over.
const PLACES: usize = 1 << 16;

/// Counts the open updates by the hash of their device. It may say yes for a device that has none, and never says no for one that has.
#[derive(Debug)]
pub struct Interest {
    counts: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl Interest {
    /// In nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: (0..PLACES).map(|_| AtomicU32::new(0)).collect(), hasher: RandomState::new() }
    }

    /// Events of this device are wanted from now on, until as many [`Interest::remove`].
    pub fn add(&self, endpoint: &str) {
        self.count(endpoint).fetch_add(1, Ordering::Relaxed);
    }

    /// An [`Interest::add`] is over.
    pub fn remove(&self, endpoint: &str) {
        self.count(endpoint).fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether events of this device may be wanted.
    #[must_use]
    pub fn may_want(&self, endpoint: &str) -> bool {
        self.count(endpoint).load(Ordering::Relaxed) > 0
    }

    fn count(&self, endpoint: &str) -> &AtomicU32 {
        &self.counts[self.hasher.hash_one(endpoint) as usize % PLACES]
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_an_update_is_never_passed_over_and_most_others_are() {
        let interest = Interest::new();
        let name = |id: u32| format!("buoy-{id}");
        (0..10_000).for_each(|id| interest.add(&name(id)));
        assert!((0..10_000).all(|id| interest.may_want(&name(id))));
        let others = (10_000..110_000).filter(|id| interest.may_want(&name(*id))).count();
        assert!(others < 20_000, "{others} of 100,000 others");
        (0..10_000).for_each(|id| interest.remove(&name(id)));
        assert!((0..110_000).all(|id| !interest.may_want(&name(id))));
    }
}
