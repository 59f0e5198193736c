//! A log that is still read when a device does something wrong a million times.

use std::time::{Duration, Instant};

/// Lines in a second; the rest is counted.
const PER_SECOND: u32 = 10;

/// What was logged lately of one kind.
#[derive(Debug)]
pub(super) struct LogLimit {
    since: Instant,
    logged: u32,
    left_out: u32,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { since: Instant::now(), logged: 0, left_out: 0 }
    }
}

impl LogLimit {
    /// Whether one more line may be logged. `left_out` is told how many were not, when that second is over.
    pub(super) fn may_log(&mut self, left_out: impl FnOnce(u32)) -> bool {
        self.may_log_at(Instant::now(), left_out)
    }

    /// The same at a given time.
    pub(super) fn may_log_at(&mut self, now: Instant, left_out: impl FnOnce(u32)) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            if self.left_out > 0 {
                left_out(self.left_out);
            }
            *self = Self { since: now, logged: 0, left_out: 0 };
        }
        let may = self.logged < PER_SECOND;
        if may {
            self.logged += 1;
        } else {
            self.left_out += 1;
        }
        may
    }
}
