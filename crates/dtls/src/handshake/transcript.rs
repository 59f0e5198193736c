//! The hash of everything that was said (RFC 5246 section 7.4.9, RFC 6347 section 4.2.6).

use crate::crypto::{Provider, Sha256};

/// A running hash of whole messages, each with a header as if it had never been cut.
pub(crate) struct Transcript<P: Provider>(P::Sha256);

impl<P: Provider> Transcript<P> {
    pub(crate) fn new() -> Self {
        Self(P::Sha256::default())
    }

    pub(crate) fn add(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.0.clone().finish()
    }
}
