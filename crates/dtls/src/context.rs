//! What every call into a connection is given from outside.

use rand_core::CryptoRng;

use crate::time::Instant;

/// The present, and chance.
pub struct Context<'a> {
    /// The time now.
    pub now: Instant,
    /// Seconds since 1970, for the validity of certificates. `None` if nobody knows; then no certificate is valid.
    pub unix_time: Option<u64>,
    /// Random numbers that nobody can guess.
    pub rng: &'a mut dyn CryptoRng,
}

impl<'a> Context<'a> {
    /// A context without a calendar.
    pub fn new(now: Instant, rng: &'a mut dyn CryptoRng) -> Self {
        Self { now, unix_time: None, rng }
    }
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("unix_time", &self.unix_time)
            .finish_non_exhaustive()
    }
}
