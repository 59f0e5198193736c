//! Limits how many values of one device are saved.
//!
//! Without it, a device that reports as fast as it can would fill the disk and slow the journal for all others.

use std::hash::{BuildHasher, RandomState};

/// Values that a device may report within one window: enough for values that it collected in weeks without a connection.
const MOST_VALUES: u32 = 20_000;
/// The length of a window in milliseconds.
const WINDOW: u64 = 10_000;
/// Devices are counted by a hash of their names, so the memory doesn't grow with their number. Two devices with the same counter share
/// the limit, which is far above what they need.
const COUNTERS: usize = 1 << 16;

/// Counts the values of each device in the current window.
#[derive(Debug)]
pub(super) struct SampleQuota {
    window: u64,
    counters: Box<[u32]>,
    /// Its keys are secret, so that nobody can choose a name that uses another device's limit.
    hasher: RandomState,
}

impl Default for SampleQuota {
    fn default() -> Self {
        Self { window: 0, counters: vec![0; COUNTERS].into(), hasher: RandomState::new() }
    }
}

impl SampleQuota {
    /// How many of these values of the device may be saved.
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
