//! Idempotency keys whose requests are in progress.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The keys. Each is released when its request has ended.
#[derive(Debug, Default)]
pub(crate) struct KeysInUse(Mutex<HashSet<String>>);

impl KeysInUse {
    /// Reserves a key. Returns whether it was free.
    pub(crate) fn take(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned())
    }

    /// Releases a key.
    pub(crate) fn release(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
