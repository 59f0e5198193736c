//! Limits the number of log lines, so that the log stays readable if a device repeats an error a million times.

use std::time::{Duration, Instant};

/// The most lines in a second; the rest is counted.
const PER_SECOND: u32 = 10;

/// The recent log lines of one kind.
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
    /// Whether one more line may be logged. When a second is over, `left_out` is called with the number of lines that were not.
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
