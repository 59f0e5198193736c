//! How far devices have come in fetching their images.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use buoy_server::OperationId;

/// How far the download of an update has come.
pub type Reached = Arc<AtomicUsize>;

/// The downloads that are followed, by update.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<u64, Followed>>);

/// How a device gets its image, and how far it has come.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Bytes fetched by HTTP.
    pub reached: Reached,
    /// The operation that pushes it.
    pub push: Option<OperationId>,
}

impl Downloads {
    /// Starts or stops to follow the download of an update.
    pub fn follow(&self, update: u64, on: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            all.entry(update).or_default();
        } else {
            all.remove(&update);
        }
    }

    /// The update's image is pushed.
    pub fn pushed_by(&self, update: u64, operation: OperationId) {
        if let Some(followed) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&update) {
            followed.push = Some(operation);
        }
    }

    /// How the device of an update gets its image, if it is followed.
    pub fn get(&self, update: u64) -> Option<Followed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&update).cloned()
    }
}
