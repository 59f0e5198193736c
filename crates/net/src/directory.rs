//! Which shard an endpoint lives on: asked when a device appears that its shard doesn't know, and by the interfaces for people.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use buoy_server::Directory;

const STRIPES: usize = 64;

type Stripe = HashMap<Arc<str>, u8>;

/// Endpoints and their shards. Cheap to clone; the clones are one.
#[derive(Clone, Debug)]
pub struct Endpoints {
    stripes: Arc<[Mutex<Stripe>]>,
    hasher: RandomState,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Endpoints {
    /// The shard of an endpoint.
    #[must_use]
    pub fn shard_of(&self, endpoint: &str) -> Option<u8> {
        self.with_stripe(endpoint, |stripe| stripe.get(endpoint).copied())
    }

    fn with_stripe<T>(&self, endpoint: &str, act: impl FnOnce(&mut Stripe) -> T) -> T {
        let stripe = &self.stripes[self.hasher.hash_one(endpoint) as usize % STRIPES];
        act(&mut stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Directory for Endpoints {
    fn claim(&self, endpoint: &Arc<str>, shard: u8) -> u8 {
        self.with_stripe(endpoint, |stripe| *stripe.entry(endpoint.clone()).or_insert(shard))
    }

    fn release(&self, endpoint: &str, shard: u8) {
        self.with_stripe(endpoint, |stripe| {
            if stripe.get(endpoint) == Some(&shard) {
                stripe.remove(endpoint);
            }
        });
    }
}
