//! Idempotency keys whose requests are under way.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The keys. One that is taken is free again when its request has ended.
#[derive(Debug, Default)]
pub(crate) struct KeysInUse(Mutex<HashSet<String>>);

impl KeysInUse {
    /// Takes a key; whether it was free.
    pub(crate) fn take(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned())
    }

    /// Gives a key back.
    pub(crate) fn release(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
