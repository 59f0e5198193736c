//! How many values one device may have kept.
//!
//! A device that reports as fast as it can would otherwise fill the disk and the journal for all others.

use std::hash::{BuildHasher, RandomState};

/// Values that a device may report within one window: enough for what a device has gathered in weeks without a connection.
const MOST_VALUES: u32 = 20_000;
/// Milliseconds.
const WINDOW: u64 = 10_000;
/// Devices are counted by a hash of their names, so the memory does not depend on how many there are. Two that share a counter share
/// the limit, which is far above what either needs.
const COUNTERS: usize = 1 << 16;

/// Counts the values of each device in the present window.
#[derive(Debug)]
pub(super) struct SampleQuota {
    window: u64,
    counters: Box<[u32]>,
    /// Secret, so that nobody can choose a name that takes another device's share.
    hasher: RandomState,
}

impl Default for SampleQuota {
    fn default() -> Self {
        Self { window: 0, counters: vec![0; COUNTERS].into(), hasher: RandomState::new() }
    }
}

impl SampleQuota {
    /// How many of these values the device may have kept.
    pub(super) fn grant(&mut self, now: u64, endpoint: &str, values: usize) -> usize {
        if now / WINDOW != self.window {
            self.window = now / WINDOW;
            self.counters.fill(0);
        }
        let place = self.hasher.hash_one(endpoint) as usize % COUNTERS;
        let Some(counter) = self.counters.get_mut(place) else { return values };
        let left = MOST_VALUES.saturating_sub(*counter);
        let granted = u32::try_from(values).unwrap_or(u32::MAX).min(left);
        *counter += granted;
        granted as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_reports_too_much_is_cut_short_until_the_next_window() {
        let mut quota = SampleQuota::default();
        let most = MOST_VALUES as usize;
        assert_eq!(quota.grant(WINDOW, "a", most - 1), most - 1);
        assert_eq!(quota.grant(WINDOW + 1, "a", 5), 1);
        assert_eq!(quota.grant(WINDOW + 2, "a", 5), 0);
        assert_eq!(quota.grant(2 * WINDOW, "a", 5), 5);
    }
}
