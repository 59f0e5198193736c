//! The engines' time: milliseconds since 1970, that never go back while the process lives.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Calendar, Instant};

/// Milliseconds by which the calendar may differ without being followed.
const LEAST_DIFFERENCE: i64 = 50;

/// Seconds since 1970 by the system's calendar, which may be set while the process lives: for what has a date, as certificates.
#[must_use]
pub fn calendar() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A clock that was set once, by the system's clock, and then runs steadily whatever happens to that.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: std::time::Instant,
    offset: u64,
}

impl Clock {
    /// A clock set by the system's.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: std::time::Instant::now(), offset: since_epoch.as_millis() as u64 }
    }

    /// How the system's calendar stands to this clock now: it may have been set since this was started.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let ahead = since_epoch.saturating_sub(self.now().as_millis() as i64);
        // Both run on while they are read.
        if ahead.abs() < LEAST_DIFFERENCE { Calendar::default() } else { Calendar::ahead_by(ahead) }
    }

    /// The date: milliseconds since 1970 by the system's calendar.
    #[must_use]
    pub fn date(&self) -> u64 {
        self.calendar().date_of(self.now())
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_millis(self.offset).after(self.started.elapsed())
    }
}
