//! Where connections are, and how they are found: by handle, by the connection ID in a record, by address.

use core::hash::BuildHasher;

use super::{Address, EndReason, Endpoint, Entry, Handle, Slot};
use crate::cid::ConnectionId;
use crate::crypto::Provider;

impl<A: Address, P: Provider> Endpoint<A, P> {
    pub(super) fn insert(&mut self, entry: Entry<A, P>) -> u32 {
        if let Some(slot) = self.free.pop() {
            if let Some(free) = self.slot_mut(slot) {
                free.entry = Some(entry);
            }
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, entry: Some(entry) });
        slot
    }

    pub(super) fn free_if_closed(&mut self, slot: u32) {
        if self.entry(slot).is_some_and(|entry| entry.connection.is_closed()) {
            self.free(slot);
        }
    }

    pub(super) fn free(&mut self, slot: u32) {
        let Some(freed) = self.slot_mut(slot) else { return };
        if freed.entry.take().is_some() {
            freed.generation = freed.generation.wrapping_add(1);
            self.free.push(slot);
        }
    }

    /// Makes a session findable by what its records will carry.
    pub(super) fn index(&mut self, slot: u32, address: A, cid: ConnectionId) {
        if !cid.is_empty() {
            return self.insert_cid(slot, &cid);
        }
        if let Some(old) = self.find_by_address(&address) {
            self.end(old, EndReason::Superseded);
        }
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(address_of(slots, *slot));
        self.by_address.insert_unique(keys.hash_one(Some(address)), slot, rehash);
    }

    pub(super) fn insert_cid(&mut self, slot: u32, cid: &ConnectionId) {
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(cid_of(slots, *slot).as_bytes());
        self.by_cid.insert_unique(keys.hash_one(cid.as_bytes()), slot, rehash);
    }

    pub(super) fn remove_cid(&mut self, slot: u32, cid: &ConnectionId) {
        let hash = self.keys.hash_one(cid.as_bytes());
        if let Ok(found) = self.by_cid.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
    }

    pub(super) fn find_by_cid(&self, cid: &[u8]) -> Option<u32> {
        let is_it = |slot: &u32| cid_of(&self.slots, *slot).as_bytes() == cid;
        self.by_cid.find(self.keys.hash_one(cid), is_it).copied()
    }

    pub(super) fn find_by_address(&self, address: &A) -> Option<u32> {
        let is_it = |slot: &u32| address_of(&self.slots, *slot) == Some(*address);
        self.by_address.find(self.keys.hash_one(Some(*address)), is_it).copied()
    }

    pub(super) fn find_pending(&self, address: &A) -> Option<u32> {
        let is_it = |slot: &u32| address_of(&self.slots, *slot) == Some(*address);
        self.pending.find(self.keys.hash_one(Some(*address)), is_it).copied()
    }

    pub(super) fn handle(&self, slot: u32) -> Option<Handle> {
        let found = self.slots.get(usize::try_from(slot).ok()?)?;
        Some(Handle { slot, generation: found.generation })
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Entry<A, P>> {
        let slot = self.slots.get(usize::try_from(handle.slot).ok()?)?;
        slot.entry.as_ref().filter(|_| slot.generation == handle.generation)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Entry<A, P>> {
        let slot = self.slot_mut(handle.slot)?;
        let is_current = slot.generation == handle.generation;
        slot.entry.as_mut().filter(|_| is_current)
    }

    pub(super) fn entry(&self, slot: u32) -> Option<&Entry<A, P>> {
        self.slots.get(usize::try_from(slot).ok()?)?.entry.as_ref()
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry<A, P>> {
        self.slot_mut(slot)?.entry.as_mut()
    }

    pub(super) fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot<A, P>> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }
}

pub(super) fn address_of<A: Copy, P: Provider>(slots: &[Slot<A, P>], slot: u32) -> Option<A> {
    let entry = slots.get(usize::try_from(slot).ok()?)?.entry.as_ref()?;
    Some(entry.address)
}

fn cid_of<A, P: Provider>(slots: &[Slot<A, P>], slot: u32) -> ConnectionId {
    let find = || slots.get(usize::try_from(slot).ok()?)?.entry.as_ref();
    find().map_or(ConnectionId::EMPTY, |entry| match &entry.hello {
        Some(hello) => hello.cid,
        None => entry.connection.local_cid(),
    })
}
