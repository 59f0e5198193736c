//! Which shard an endpoint lives on.
//!
//! A million names would fill more memory than what is said of them, so an endpoint is known by a keyed hash (SipHash, 56 bits) alone. Two of a
//! million share a hash with a probability of one in 140,000, and nobody can choose names that do. If they do, they live on the same shard; and
//! when one of them leaves, the other one is taken for a device that isn't registered until it sends its next Register.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

const STRIPES: usize = 64;
const SHARD_BITS: u32 = 8;

/// Cheap to clone; the clones are one.
#[derive(Clone)]
pub(crate) struct Homes {
    stripes: Arc<[Mutex<HashTable<Home>>]>,
    hasher: RandomState,
}

/// The hash of an endpoint; below it, the shard.
#[derive(Clone, Copy)]
struct Home(u64);

impl Home {
    fn of(hash: u64, shard: u8) -> Self {
        Self(hash << SHARD_BITS | u64::from(shard))
    }

    const fn shard(self) -> u8 {
        self.0 as u8
    }

    const fn is_of(self, hash: u64) -> bool {
        self.0 >> SHARD_BITS == hash << SHARD_BITS >> SHARD_BITS
    }

    /// Its place in a table, which needs the upper bits, too.
    const fn place(self) -> u64 {
        place(self.0 >> SHARD_BITS)
    }
}

const fn place(hash: u64) -> u64 {
    hash ^ hash << SHARD_BITS
}

impl Default for Homes {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Homes {
    /// The shard of an endpoint.
    pub(crate) fn get(&self, endpoint: &str) -> Option<u8> {
        let (hash, stripe) = self.stripe(endpoint);
        stripe.find(place(hash), |home| home.is_of(hash)).map(|home| home.shard())
    }

    /// The shard of an endpoint; `shard`, if it had none.
    pub(crate) fn claim(&self, endpoint: &str, shard: u8) -> u8 {
        let (hash, mut stripe) = self.stripe(endpoint);
        let entry = stripe.entry(place(hash), |home| home.is_of(hash), |home| home.place());
        entry.or_insert(Home::of(hash, shard)).get().shard()
    }

    /// The endpoint leaves its shard, if that is `shard`.
    pub(crate) fn release(&self, endpoint: &str, shard: u8) {
        let (hash, mut stripe) = self.stripe(endpoint);
        let is_it = |home: &Home| home.is_of(hash) && home.shard() == shard;
        if let Ok(entry) = stripe.find_entry(place(hash), is_it) {
            entry.remove();
        }
    }

    fn stripe(&self, endpoint: &str) -> (u64, MutexGuard<'_, HashTable<Home>>) {
        let hash = self.hasher.hash_one(endpoint);
        // The bits that are not kept.
        let stripe = &self.stripes[(hash >> (u64::BITS - SHARD_BITS)) as usize % STRIPES];
        (hash << SHARD_BITS >> SHARD_BITS, stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn an_endpoint_lives_where_it_was_claimed_first_until_it_is_released_there() {
        let (homes, mut right) = (Homes::default(), HashMap::new());
        for turn in 0..20_000_u32 {
            let (name, shard) = (format!("device-{}", turn.wrapping_mul(7919) % 6000), (turn % 3) as u8);
            if turn % 5 == 4 {
                homes.release(&name, shard);
                if right.get(&name) == Some(&shard) {
                    right.remove(&name);
                }
            } else {
                assert_eq!(homes.claim(&name, shard), *right.entry(name).or_insert(shard));
            }
        }
        for number in 0..6001 {
            let name = format!("device-{number}");
            assert_eq!(homes.get(&name), right.get(&name).copied(), "{name}");
        }
    }
}
