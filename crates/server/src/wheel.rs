//! When to look at which registration again.
//!
//! A lazy wheel: an entry is looked at when its slot comes, and whoever looks puts it back if its time was moved. So an Update, the
//! most frequent message of all, touches no timer. Each index stands in it once at most, whatever its device sends: its owner keeps
//! the [`Slot`] and hands it in with each change.

use std::collections::BTreeSet;

use buoy_coap::time::Instant;

/// The width of a slot: lifetimes are seconds, and expiry is not urgent.
const SLOT_MILLIS: u64 = 1024;

/// Where an index stands in a wheel, if it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Where nothing stands. The wheel's own slots start with 1.
    pub(crate) const NONE: Self = Self(0);
}

/// Indexes, by the slot of their time.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    entries: BTreeSet<(u32, u32)>,
}

impl Wheel {
    /// Asks for `index`, which stands at `slot`, to be looked at soon after `at` instead and not before; at [`Instant::NEVER`] nobody
    /// will look at it.
    pub(crate) fn schedule(&mut self, slot: &mut Slot, at: Instant, index: u32) {
        self.cancel(slot, index);
        if at == Instant::NEVER {
            return;
        }
        // What lies beyond the last slot, which comes in the year 2109, is looked at in that one and put back.
        let number = u32::try_from(at.as_millis() / SLOT_MILLIS + 1).unwrap_or(u32::MAX);
        *slot = Slot(number);
        self.entries.insert((number, index));
    }

    /// Nobody is to look at `index`, which stands at `slot`.
    pub(crate) fn cancel(&mut self, slot: &mut Slot, index: u32) {
        if *slot != Slot::NONE {
            self.entries.remove(&(slot.0, index));
            *slot = Slot::NONE;
        }
    }

    /// When the next index is to be looked at.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.entries.first().map(|(slot, _)| Instant::from_millis(u64::from(*slot) * SLOT_MILLIS))
    }

    /// Takes an index out whose slot has come; its owner forgets the slot.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        let (slot, index) = *self.entries.first()?;
        if u64::from(slot) * SLOT_MILLIS > now.as_millis() {
            return None;
        }
        self.entries.pop_first();
        Some(index)
    }

    /// How many indexes stand in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_due_soon_after_its_time_and_never_before() {
        let (mut wheel, mut slot) = (Wheel::default(), Slot::NONE);
        wheel.schedule(&mut slot, Instant::from_millis(5000), 7);
        assert_eq!(wheel.due(Instant::from_millis(5000)), None);
        let at = wheel.next_deadline().unwrap();
        assert!(at > Instant::from_millis(5000) && at <= Instant::from_millis(6100));
        assert_eq!(wheel.due(at), Some(7));
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn an_index_stands_in_the_wheel_once_however_often_its_time_is_moved() {
        let (mut wheel, mut slot) = (Wheel::default(), Slot::NONE);
        for millis in [u64::MAX - 1, 5000, 900_000, 1 << 60, 6000, 900_000] {
            wheel.schedule(&mut slot, Instant::from_millis(millis), 7);
            assert_eq!(wheel.len(), 1);
        }
        wheel.schedule(&mut slot, Instant::NEVER, 7);
        assert_eq!((wheel.len(), wheel.next_deadline(), slot), (0, None, Slot::NONE));
    }
}
