//! How patient an endpoint is (RFC 7252 section 4.8).

use core::time::Duration;

/// The transmission parameters of RFC 7252 section 4.8.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// ACK_TIMEOUT; the first wait is this to one and a half times this.
    pub ack_timeout: Duration,
    /// MAX_RETRANSMIT
    pub max_retransmit: u8,
    /// NSTART: confirmable messages to one peer that may wait for their answer at once.
    pub nstart: u8,
    /// How long a request waits for its response once it was acknowledged or sent non-confirmably.
    pub response_timeout: Duration,
    /// EXCHANGE_LIFETIME: how long a message id is remembered.
    pub exchange_lifetime: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            max_retransmit: 4,
            nstart: 1,
            response_timeout: Duration::from_secs(93),
            exchange_lifetime: Duration::from_secs(247),
        }
    }
}
