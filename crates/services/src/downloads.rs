//! The progress of devices that download their images.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use buoy_server::OperationId;

/// The progress of an update's download, in bytes.
pub type Reached = Arc<AtomicUsize>;

/// The downloads that are followed, by update.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<u64, Followed>>);

/// How a device gets its image, and its progress.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Bytes fetched by HTTP.
    pub reached: Reached,
    /// The operation that pushes the image.
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

    /// Records the operation that pushes an update's image.
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
