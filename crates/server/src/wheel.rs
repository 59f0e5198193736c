//! When to look at which registration again.
//!
//! A lazy wheel: an entry is looked at when its slot comes, and whoever looks puts it back if its time was moved. So an Update, the
//! most frequent message of all, touches no timer.

use std::collections::BTreeMap;

use buoy_coap::time::Instant;

/// The width of a slot: lifetimes are seconds, and expiry is not urgent.
const SLOT_MILLIS: u64 = 1024;

/// Indexes, by the slot of their time.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    slots: BTreeMap<u64, Vec<u32>>,
}

impl Wheel {
    /// Asks for `index` to be looked at not before `at`; returns the slot in which that will be.
    pub(crate) fn schedule(&mut self, at: Instant, index: u32) -> u64 {
        let slot = at.as_millis() / SLOT_MILLIS + 1;
        self.slots.entry(slot).or_default().push(index);
        slot
    }

    /// When the next index is to be looked at.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.slots.keys().next().map(|slot| Instant::from_millis(slot * SLOT_MILLIS))
    }

    /// A slot that has come, and the indexes to be looked at in it.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, Vec<u32>)> {
        let entry = self.slots.first_entry()?;
        (entry.key() * SLOT_MILLIS <= now.as_millis()).then(|| entry.remove_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_due_soon_after_its_time_and_never_before() {
        let mut wheel = Wheel::default();
        wheel.schedule(Instant::from_millis(5000), 7);
        assert_eq!(wheel.due(Instant::from_millis(5000)), None);
        let at = wheel.next_deadline().unwrap();
        assert!(at > Instant::from_millis(5000) && at <= Instant::from_millis(6100));
        assert_eq!(wheel.due(at).unwrap().1, [7]);
        assert_eq!(wheel.next_deadline(), None);
    }
}
