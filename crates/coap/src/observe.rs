//! The order of notifications (RFC 7641 section 3.4) and their numbers (section 4.4).

use core::time::Duration;

use crate::time::Instant;

/// A notification is confirmable at least this often, so that an observer that went away is found (section 4.5).
pub const CONFIRM_AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After this long any notification counts as newer.
const REORDERING_WINDOW: Duration = Duration::from_secs(128);
const HALF: u32 = 1 << 23;
const MASK: u32 = (1 << 24) - 1;

/// The Observe option of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObserveRequest {
    /// 0
    Register,
    /// 1
    Deregister,
}

impl ObserveRequest {
    /// Reads the option's number; other values have no meaning in a request.
    #[must_use]
    pub const fn from_uint(value: u32) -> Option<Self> {
        match value {
            0 => Some(Self::Register),
            1 => Some(Self::Deregister),
            _ => None,
        }
    }

    /// The option's number.
    #[must_use]
    pub const fn to_uint(self) -> u32 {
        match self {
            Self::Register => 0,
            Self::Deregister => 1,
        }
    }
}

/// An observer's memory of the newest notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    newest: Option<(u32, Instant)>,
}

impl Freshness {
    /// The memory of an observer whose request was answered with the number `number`.
    #[must_use]
    pub const fn starting_with(now: Instant, number: u32) -> Self {
        Self { newest: Some((number & MASK, now)) }
    }

    /// Whether a notification numbered `number` is newer than all before it; remembers it if so.
    pub fn accept(&mut self, now: Instant, number: u32) -> bool {
        let number = number & MASK;
        let is_newer = self.newest.is_none_or(|(newest, at)| {
            now.since(at) > REORDERING_WINDOW
                || (newest < number && number.wrapping_sub(newest) < HALF)
                || (newest > number && newest.wrapping_sub(number) > HALF)
        });
        if is_newer {
            self.newest = Some((number, now));
        }
        is_newer
    }
}

/// A notifier's numbers: 24 bits, each higher than the last until they wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence(u32);

impl Sequence {
    /// The next number.
    pub fn next_number(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1) & MASK;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn a_notification_that_was_overtaken_is_stale() {
        let mut freshness = Freshness::default();
        assert!(freshness.accept(at(0), 5));
        assert!(!freshness.accept(at(1), 4));
        assert!(!freshness.accept(at(1), 5));
        assert!(freshness.accept(at(1), 6));
    }

    #[test]
    fn the_number_may_wrap() {
        let mut freshness = Freshness::default();
        assert!(freshness.accept(at(0), MASK));
        assert!(freshness.accept(at(1), 0));
        assert!(!freshness.accept(at(2), MASK));
    }

    #[test]
    fn after_128_seconds_any_number_is_newer() {
        let mut freshness = Freshness::default();
        assert!(freshness.accept(at(0), 100));
        assert!(freshness.accept(at(129), 1));
    }
}
