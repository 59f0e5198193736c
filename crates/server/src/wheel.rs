//! A lazy timer wheel for checks of registrations.
//!
//! When the slot of an entry is due, its owner checks the registration and schedules it again if its time has moved. So an Update, the most
//! frequent message, changes no timer. Each index is in the wheel at most once, whatever its device sends: its owner stores the [`Slot`] and
//! passes it to each change.

use std::collections::BTreeSet;

use buoy_coap::time::Instant;

/// The width of a slot: lifetimes are seconds, and expiry is not urgent.
const SLOT_MILLIS: u64 = 1024;

/// The place of an index in a wheel, if it is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// No slot. The wheel's own slots start with 1.
    pub(crate) const NONE: Self = Self(0);

    /// The slot of a time. Times beyond the last slot, which is due in the year 2109, use that slot and are scheduled again.
    fn of(at: Instant) -> Self {
        Self(u32::try_from(at.as_millis() / SLOT_MILLIS + 1).unwrap_or(u32::MAX))
    }
}

/// Indexes, ordered by the slot of their time.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    entries: BTreeSet<(u32, u32)>,
}

impl Wheel {
    /// Moves `index`, which is at `slot`, so that it is due soon after `at` and not before; at [`Instant::NEVER`] it is removed.
    pub(crate) fn schedule(&mut self, slot: &mut Slot, at: Instant, index: u32) {
        self.cancel(slot, index);
        if at == Instant::NEVER {
            return;
        }
        *slot = Slot::of(at);
        self.entries.insert((slot.0, index));
    }

    /// As [`Wheel::schedule`], but leaves `index` where it is if it is due earlier: its owner schedules it again then.
    pub(crate) fn schedule_no_later(&mut self, slot: &mut Slot, at: Instant, index: u32) {
        if *slot == Slot::NONE || at == Instant::NEVER || slot.0 > Slot::of(at).0 {
            self.schedule(slot, at, index);
        }
    }

    /// Removes `index`, which is at `slot`.
    pub(crate) fn cancel(&mut self, slot: &mut Slot, index: u32) {
        if *slot != Slot::NONE {
            self.entries.remove(&(slot.0, index));
            *slot = Slot::NONE;
        }
    }

    /// When the next index is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.entries.first().map(|(slot, _)| Instant::from_millis(u64::from(*slot) * SLOT_MILLIS))
    }

    /// Removes and returns an index that is due; its owner has to reset its slot.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        let (slot, index) = *self.entries.first()?;
        if u64::from(slot) * SLOT_MILLIS > now.as_millis() {
            return None;
        }
        self.entries.pop_first();
        Some(index)
    }

    /// The number of indexes in it.
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
    fn an_index_that_is_due_earlier_stays_where_it_is() {
        let (mut wheel, mut slot) = (Wheel::default(), Slot::NONE);
        for (millis, due) in [(9000, 9216), (900_000, 9216), (5000, 5120), (5000, 5120)] {
            wheel.schedule_no_later(&mut slot, Instant::from_millis(millis), 7);
            assert_eq!((wheel.len(), wheel.next_deadline()), (1, Some(Instant::from_millis(due))));
        }
        wheel.schedule_no_later(&mut slot, Instant::NEVER, 7);
        assert_eq!((wheel.len(), slot), (0, Slot::NONE));
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
