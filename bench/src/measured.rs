//! What one measurement gave.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Exchanges: how many in which time, and how long each took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Microseconds.
    pub(crate) times: Histogram<u64>,
    /// Requests that had to be sent again, because no answer came in time.
    pub(crate) repeated: u64,
    /// The processor's time that the server took meanwhile, in all its threads.
    pub(crate) server: Option<Duration>,
}

impl Measured {
    pub(crate) fn new() -> Self {
        let times = Histogram::new_with_max(60_000_000, 3).expect("these bounds are valid");
        Self { elapsed: Duration::ZERO, times, repeated: 0, server: None }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What two measurements gave together.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.elapsed += other.elapsed;
        self.times.add(&other.times).expect("both have the same bounds");
        self.repeated += other.repeated;
        self
    }

    /// The processor's time that an exchange took of the server, in microseconds.
    pub(crate) fn server_micros(&self) -> Option<f64> {
        Some(self.server?.as_secs_f64() * 1e6 / self.times.len() as f64)
    }

    /// Exchanges a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.times.value_at_quantile(percent / 100.0) as f64 / 1000.0
    }
}
