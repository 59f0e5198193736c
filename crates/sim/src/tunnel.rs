//! The way to one server through DTLS.

pub use buoy_dtls::tunnel::{News, Tunnel};

/// Whether a CoAP message waits for an acknowledgement.
pub(crate) fn is_confirmable(message: &[u8]) -> bool {
    message.first().is_some_and(|first| first & 0x30 == 0)
}

#[cfg(test)]
mod tests;
