//! The window against replays (RFC 6347 section 4.1.2.6).

/// Which sequence numbers were seen: the highest, and which of the 64 up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number seen; 0 before the first.
    next: u64,
    /// Bit `n` stands for `next - 1 - n`.
    seen: u64,
    horizon: Horizon,
}

/// How far back a number may lie that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Horizon {
    /// As far as the window reaches.
    Window,
    /// What came after the window was saved is unknown: the next number that is accepted settles that everything before
    /// it counts as seen.
    Unknown,
}

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Higher than all before.
    Newest,
    /// Late, but not seen before.
    Late,
    /// Seen before, or too old to tell.
    Replayed,
}

const SIZE: u64 = 64;

impl ReplayWindow {
    pub(crate) const fn new() -> Self {
        Self { next: 0, seen: 0, horizon: Horizon::Window }
    }

    /// The window after an import: nothing below `next` is accepted, and nothing older than the first that is.
    pub(crate) const fn restored(next: u64) -> Self {
        Self { next, seen: u64::MAX, horizon: Horizon::Unknown }
    }

    /// Whether nothing was accepted since an import.
    pub(crate) fn is_untouched(&self) -> bool {
        self.horizon == Horizon::Unknown
    }

    /// One more than the highest number that counts as seen.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// To be asked before the record is decrypted; changes nothing.
    pub(crate) fn check(&self, sequence: u64) -> Freshness {
        let Some(age) = self.next.checked_sub(sequence.saturating_add(1)) else { return Freshness::Newest };
        if age >= SIZE || self.seen & bit(age) != 0 { Freshness::Replayed } else { Freshness::Late }
    }

    /// To be called once the record proved authentic.
    pub(crate) fn accept(&mut self, sequence: u64) {
        let next = sequence.saturating_add(1);
        match next.checked_sub(self.next) {
            None | Some(0) => self.seen |= bit(self.next.saturating_sub(next)),
            Some(ahead) => {
                let shifted = u32::try_from(ahead).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0);
                self.seen = match core::mem::replace(&mut self.horizon, Horizon::Window) {
                    Horizon::Window => shifted | 1,
                    Horizon::Unknown => u64::MAX,
                };
                self.next = next;
            }
        }
    }
}

fn bit(age: u64) -> u64 {
    u32::try_from(age).ok().and_then(|age| 1_u64.checked_shl(age)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn late_records_are_accepted_once_and_old_ones_never() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.check(0), Freshness::Newest);
        window.accept(0);
        assert_eq!(window.check(0), Freshness::Replayed);
        window.accept(100);
        assert_eq!(window.check(99), Freshness::Late);
        window.accept(99);
        assert_eq!(window.check(99), Freshness::Replayed);
        assert_eq!(window.check(37), Freshness::Late);
        assert_eq!(window.check(36), Freshness::Replayed);
    }

    #[test]
    fn after_a_restoration_nothing_older_than_the_first_new_record_is_accepted() {
        let mut window = ReplayWindow::restored(10);
        assert_eq!(window.check(9), Freshness::Replayed);
        assert_eq!(window.check(16), Freshness::Newest);
        window.accept(16);
        for unknown in 0..=16 {
            assert_eq!(window.check(unknown), Freshness::Replayed);
        }
        window.accept(19);
        assert_eq!(window.check(18), Freshness::Late);
        assert_eq!(window.check(16), Freshness::Replayed);
    }

    proptest! {
        #[test]
        fn no_number_is_accepted_twice(numbers in proptest::collection::vec(0_u64..300, 1..400)) {
            let mut window = ReplayWindow::new();
            let mut accepted = BTreeSet::new();
            for number in numbers {
                let highest = accepted.last().copied();
                match window.check(number) {
                    Freshness::Replayed => {
                        let too_old = highest.is_some_and(|highest: u64| number + SIZE <= highest);
                        prop_assert!(too_old || accepted.contains(&number));
                    }
                    freshness => {
                        prop_assert_eq!(freshness == Freshness::Newest, highest.is_none_or(|highest| number > highest));
                        prop_assert!(accepted.insert(number));
                        window.accept(number);
                    }
                }
            }
        }
    }
}
