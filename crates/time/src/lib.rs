//! The time of the engines: a number of milliseconds that the caller passes in.

#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

#[cfg(feature = "std")]
pub mod clock;

use core::ops::{Add, Sub};
use core::time::Duration;

/// Milliseconds since an origin that the shell chose; never read from a clock here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// A time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The instant `duration` later; [`Instant::NEVER`] if that is too far away to count.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        self.after_millis(millis_of(duration))
    }

    /// The instant so many milliseconds later.
    #[must_use]
    pub const fn after_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The instant so many seconds later.
    #[must_use]
    pub const fn after_seconds(self, seconds: u32) -> Self {
        self.after_millis((seconds as u64).wrapping_mul(1000))
    }

    /// How many milliseconds after `earlier` this is; 0 if it is not after it.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }
}

/// The milliseconds of a duration, as far as they can be counted.
// A chip has no room for a copy of it in each of the many places that it is called from.
#[inline(never)]
#[must_use]
pub const fn millis_of(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis() as u64)
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The same as [`Instant::after`].
    fn add(self, duration: Duration) -> Self {
        self.after(duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The same as [`Instant::since`].
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// How the engines' time stands to the calendar.
///
/// The engines' time runs steadily. The calendar may be set meanwhile, as when a machine learns the time only after its start: what has a
/// date, as a value or a record, is told by it, and what lasts, as a lifetime, is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Milliseconds.
    ahead: i64,
}

impl Calendar {
    /// A calendar that is so many milliseconds ahead of the engines' time.
    #[must_use]
    pub const fn ahead_by(millis: i64) -> Self {
        Self { ahead: millis }
    }

    /// An instant by the calendar: milliseconds since 1970.
    #[must_use]
    pub const fn date_of(self, instant: Instant) -> u64 {
        instant.as_millis().saturating_add_signed(self.ahead)
    }

    /// The instant of a date: milliseconds since 1970.
    #[must_use]
    pub const fn instant_of(self, date: u64) -> Instant {
        Instant::from_millis(date.saturating_add_signed(self.ahead.saturating_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_that_is_set_moves_dates_and_no_instants() {
        let now = Instant::from_millis(5_000);
        let set = Calendar::ahead_by(1_000_000);
        assert_eq!((Calendar::default().date_of(now), set.date_of(now)), (5_000, 1_005_000));
        assert_eq!(set.instant_of(set.date_of(now)), now);
        assert_eq!(Calendar::ahead_by(-9_000).date_of(now), 0);
        assert_eq!(Calendar::ahead_by(i64::MIN).date_of(now), 0);
    }
}
