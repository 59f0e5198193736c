//! The registrations of one shard, found by endpoint name, by location and by peer.
//!
//! The indexes hold four bytes an entry and compare against the registrations themselves: a million devices must fit one small
//! machine.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::peer::Peer;
use crate::registration::{Claim, Location, Proof, Registration, RegistrationKey};
use crate::slab::Slab;

/// The place of a registration; valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Index(pub(crate) u32);

#[derive(Debug, Default)]
pub(crate) struct Registrations {
    slots: Slab<Option<Registration>>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
    by_endpoint: HashTable<u32>,
    by_key: HashTable<u32>,
    by_peer: HashTable<u32>,
}

impl Registrations {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Registration> {
        self.slots.get(index.0 as usize)?.as_ref()
    }

    /// The registration in a slot, or the first behind it.
    pub(crate) fn next_from(&self, index: Index) -> Option<Index> {
        let distance = self.slots.iter_from(index.0 as usize).position(Option::is_some)?;
        Some(Index(index.0 + distance as u32))
    }

    /// The registration. Its endpoint, key, peer and address must not be changed by this reference.
    pub(crate) fn get_mut(&mut self, index: Index) -> Option<&mut Registration> {
        self.slots.get_mut(index.0 as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.slots.iter().flatten()
    }

    /// The registrations with their places.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Index, &Registration)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((Index(index as u32), slot.as_ref()?)))
    }

    pub(crate) fn by_endpoint(&self, endpoint: &str) -> Option<Index> {
        let hash = self.hasher.hash_one(endpoint);
        self.by_endpoint.find(hash, |index| &*self.at(*index).endpoint == endpoint).copied().map(Index)
    }

    pub(crate) fn by_location(&self, location: Location) -> Option<Index> {
        let index = self.by_key(location.key)?;
        (self.at(index.0).nonce == location.nonce).then_some(index)
    }

    pub(crate) fn by_key(&self, key: RegistrationKey) -> Option<Index> {
        self.by_key.find(self.hasher.hash_one(key), |index| self.at(*index).key == key).copied().map(Index)
    }

    pub(crate) fn by_peer(&self, peer: Peer) -> Option<Index> {
        let hash = self.hasher.hash_one(peer);
        self.by_peer.find(hash, |index| self.at(*index).peer == peer).copied().map(Index)
    }

    /// Adds a registration of an endpoint that has none here. Also returns the registration that had its address, which has no address any more.
    pub(crate) fn insert(&mut self, registration: Registration) -> (Index, Option<Index>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(registration);
        }
        let Self { slots, hasher, by_endpoint, by_key, .. } = self;
        let registration = at(slots, index);
        insert(by_endpoint, hasher, index, &*registration.endpoint, |i| &*at(slots, i).endpoint);
        insert(by_key, hasher, index, registration.key, |i| at(slots, i).key);
        let displaced = self.index_peer(index);
        (Index(index), displaced)
    }

    /// Puts a new registration of the same endpoint in the place of one that is there, which comes back, with what had the new one's address.
    pub(crate) fn replace(
        &mut self,
        index: Index,
        registration: Registration,
    ) -> (Option<Registration>, Option<Index>) {
        let Some(old) = self.get(index) else {
            let (_, displaced) = self.insert(registration);
            return (None, displaced);
        };
        let is_same_peer = old.has_address && registration.has_address && old.peer == registration.peer;
        let old_key = self.hasher.hash_one(old.key);
        if !is_same_peer {
            self.unindex_peer(index.0);
        }
        remove(&mut self.by_key, old_key, index.0);
        let old = self.slots.get_mut(index.0 as usize).and_then(|slot| slot.replace(registration));
        let Self { slots, hasher, by_key, .. } = self;
        insert(by_key, hasher, index.0, at(slots, index.0).key, |i| at(slots, i).key);
        let displaced = if is_same_peer { None } else { self.index_peer(index.0) };
        (old, displaced)
    }

    pub(crate) fn remove(&mut self, index: Index) -> Option<Registration> {
        let registration = self.get(index)?;
        let endpoint = self.hasher.hash_one(&*registration.endpoint);
        let key = self.hasher.hash_one(registration.key);
        remove(&mut self.by_endpoint, endpoint, index.0);
        remove(&mut self.by_key, key, index.0);
        self.unindex_peer(index.0);
        self.free.push(index.0);
        self.slots.get_mut(index.0 as usize)?.take()
    }

    /// Records that the device is now at `peer`, from where `received` bytes came. Returns the registration that had that address, which has no
    /// address any more.
    pub(crate) fn set_peer(&mut self, index: Index, peer: Peer, received: usize) -> Option<Index> {
        self.unindex_peer(index.0);
        if let Some(registration) = self.get_mut(index) {
            registration.peer = peer;
            registration.has_address = true;
            registration.proof = match peer.session {
                Some(_) => Proof::Proved,
                None => Proof::Claimed(Claim::after(received)),
            };
        }
        self.index_peer(index.0)
    }

    /// Records that the device's address is unknown.
    pub(crate) fn lose_address(&mut self, index: Index) {
        self.unindex_peer(index.0);
        if let Some(registration) = self.get_mut(index) {
            registration.has_address = false;
        }
    }

    /// Enters a registration under its peer, unless it has no address.
    fn index_peer(&mut self, index: u32) -> Option<Index> {
        if !self.at(index).has_address {
            return None;
        }
        let displaced = self.by_peer(self.at(index).peer);
        if let Some(old) = displaced {
            self.unindex_peer(old.0);
            if let Some(old) = self.get_mut(old) {
                old.has_address = false;
            }
        }
        let Self { slots, hasher, by_peer, .. } = self;
        let peer = at(slots, index).peer;
        insert(by_peer, hasher, index, peer, |i| at(slots, i).peer);
        displaced
    }

    fn unindex_peer(&mut self, index: u32) {
        let hash = self.hasher.hash_one(self.at(index).peer);
        remove(&mut self.by_peer, hash, index);
    }

    fn at(&self, index: u32) -> &Registration {
        at(&self.slots, index)
    }
}

/// The registration at an index of a table; the tables contain only valid indexes.
fn at(slots: &Slab<Option<Registration>>, index: u32) -> &Registration {
    slots.get(index as usize).and_then(Option::as_ref).expect("an indexed registration is there")
}

fn insert<'a, K: Hash + 'a>(
    table: &mut HashTable<u32>,
    hasher: &DefaultHashBuilder,
    index: u32,
    key: K,
    key_of: impl Fn(u32) -> K,
) {
    table.insert_unique(hasher.hash_one(&key), index, |other| hasher.hash_one(key_of(*other)));
}

fn remove(table: &mut HashTable<u32>, hash: u64, index: u32) {
    if let Ok(entry) = table.find_entry(hash, |other| *other == index) {
        entry.remove();
    }
}

/// Texts and attribute sets that many devices share.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    hasher: DefaultHashBuilder,
    known: HashTable<Arc<T>>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { hasher: DefaultHashBuilder::default(), known: HashTable::new() }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// The shared copy, if there is one.
    pub(crate) fn get<Q>(&self, value: &Q) -> Option<Arc<T>>
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let is_it = |known: &Arc<T>| Borrow::<Q>::borrow(&**known) == value;
        self.known.find(self.hasher.hash_one(value), is_it).cloned()
    }

    /// Called when an owner releases a shared copy: if it has no other owner, it is removed here, too.
    pub(crate) fn release(&mut self, value: &Arc<T>) {
        // One reference is here, the other is the caller's.
        if Arc::strong_count(value) <= 2
            && let Ok(entry) =
                self.known.find_entry(self.hasher.hash_one(&**value), |known| Arc::ptr_eq(known, value))
        {
            entry.remove();
        }
    }

    /// The shared copy; if there is none, `value` becomes it.
    pub(crate) fn intern(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(known) = self.get(&*value) {
            return known;
        }
        if self.known.len() == self.known.capacity() {
            // Before growing, remove what no registration uses any more.
            self.known.retain(|known| Arc::strong_count(known) > 1);
        }
        let hash = self.hasher.hash_one(&*value);
        self.known.insert_unique(hash, value.clone(), |known| self.hasher.hash_one(&**known));
        value
    }
}
