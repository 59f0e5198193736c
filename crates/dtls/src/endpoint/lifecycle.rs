//! From a handshake to a session to its end, and what the caller is told of it.

use alloc::boxed::Box;
use core::hash::BuildHasher;

use super::{Address, EndReason, Endpoint, Event};
use crate::cid::ConnectionId;
use crate::connection::{Connected, Event as ConnectionEvent};
use crate::crypto::Provider;
use crate::time::Instant;

impl<A: Address, P: Provider> Endpoint<A, P> {
    /// After a connection did something: takes its events, and notes what it waits for.
    pub(super) fn settle(&mut self, slot: u32, now: Instant) {
        while let Some(event) = self.entry_mut(slot).and_then(|entry| entry.connection.poll_event()) {
            match event {
                ConnectionEvent::Connected(connected) => self.connected(slot, connected, now),
                ConnectionEvent::PeerClosed => self.ended(slot, EndReason::PeerClosed),
                ConnectionEvent::Failed(failure) => self.ended(slot, EndReason::Failed(failure)),
            }
        }
        let Some(entry) = self.entry_mut(slot) else { return };
        let next = entry.connection.next_timeout();
        let old = core::mem::replace(&mut entry.timer, next);
        let wants_transmit = entry.connection.wants_transmit();
        if old != next {
            old.map(|old| self.timers.remove(&(old, slot)));
            next.map(|next| self.timers.insert((next, slot)));
        }
        if wants_transmit {
            self.outbox.push_back(slot);
        } else {
            self.free_if_closed(slot);
        }
    }

    pub(super) fn connected(&mut self, slot: u32, mut connected: Box<Connected>, now: Instant) {
        let Some(handle) = self.handle(slot) else { return };
        let Some(address) = self.entry(slot).map(|entry| entry.address) else { return };
        let given = self.entry(slot).and_then(|entry| entry.hello.as_ref()).map(|hello| hello.cid);
        if let Some(unused) = given.filter(|_| connected.local_cid.is_empty()) {
            self.remove_cid(slot, &unused);
        }
        self.leave_pending(slot);
        if let Some(old) = self.find_by_address(&address) {
            self.end(old, EndReason::Superseded);
        }
        if !self.has_room_for_session(slot, now) {
            return self.end(slot, EndReason::Replaced);
        }
        if connected.local_cid.is_empty() {
            self.index(slot, address, ConnectionId::EMPTY);
        }
        if let Some(entry) = self.entry_mut(slot) {
            entry.heard = now;
        }
        if let Some(remembered) = connected.remembered.take() {
            self.remember(remembered);
        }
        self.start_sweep(now);
        self.events.push_back(Event::Connected { handle, address, connected });
    }

    /// Ends a connection from our side.
    pub(super) fn end(&mut self, slot: u32, reason: EndReason) {
        // The address may have a new owner, who has no use for a farewell.
        let is_silent = reason == EndReason::Superseded;
        self.ended(slot, reason);
        if is_silent {
            return self.free(slot);
        }
        if let Some(entry) = self.entry_mut(slot) {
            entry.connection.close();
            self.outbox.push_back(slot);
        }
    }

    /// Tells that a connection is over, and takes it out of all indexes, so that nothing reaches it any more.
    pub(super) fn ended(&mut self, slot: u32, reason: EndReason) {
        let Some(handle) = self.handle(slot) else { return };
        let Some(entry) = self.entry_mut(slot) else { return };
        let address = entry.address;
        let given = entry.hello.as_ref().map(|hello| hello.cid);
        let cid = given.unwrap_or_else(|| entry.connection.local_cid());
        let timer = entry.timer.take();
        timer.map(|at| self.timers.remove(&(at, slot)));
        self.leave_pending(slot);
        self.remove_cid(slot, &cid);
        let hash = self.keys.hash_one(Some(address));
        if let Ok(found) = self.by_address.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        self.events.push_back(Event::Ended { handle, address, reason });
    }

    pub(super) fn leave_pending(&mut self, slot: u32) {
        let Some(entry) = self.entry_mut(slot) else { return };
        let address = entry.address;
        let Some(hello) = entry.hello.take() else { return };
        self.pending_by_age.remove(&(hello.started, slot));
        let hash = self.keys.hash_one(Some(address));
        if let Ok(found) = self.pending.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        if let Some(count) = self.sources.get_mut(&address.source()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sources.remove(&address.source());
            }
        }
    }
}
