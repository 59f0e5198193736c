//! Which connection a record is for: a session by its connection ID or its address, a handshake, or a stranger who gets a cookie.

use alloc::boxed::Box;
use core::hash::BuildHasher;

use super::index::address_of;
use super::{
    ANSWER_LENGTH, Address, EndReason, Endpoint, Entry, Event, Handshaking, MAX_ANSWERS, Received,
    address_hash,
};
use crate::context::Context;
use crate::cookie::{GoodHello, Hello};
use crate::crypto::Provider;
use crate::handshake::server::ServerEnvironment;
use crate::record::Record;

impl<A: Address, P: Provider> Endpoint<A, P> {
    pub(super) fn by_cid<'d>(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Option<Received<'d>> {
        let slot = self.find_by_cid(record.cid)?;
        let entry = self.entry_mut(slot)?;
        // A handshake has proved its address by a cookie, and proves nothing else before it is complete.
        if entry.hello.is_some() && entry.address != from {
            return None;
        }
        self.deliver(slot, environment, context, from, record).ok()?
    }

    pub(super) fn by_address<'d>(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Option<Received<'d>> {
        let mut record = record;
        if let Some(slot) = self.find_by_address(&from) {
            match self.deliver(slot, environment, context, from, record) {
                Ok(received) => return received,
                Err(returned) => record = returned,
            }
        }
        let slot = self.find_pending(&from)?;
        self.deliver(slot, environment, context, from, record).ok()?
    }

    /// A record in the clear: a ClientHello, or some other part of a handshake.
    pub(super) fn plain(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'_>,
    ) {
        let Some(fragment) = crate::cookie::client_hello(&record) else {
            if let Some(slot) = self.find_pending(&from) {
                let _ = self.deliver(slot, environment, context, from, record);
            }
            return;
        };
        if fragment.offset > 0 {
            // Of a hello that was answered already: its first fragment asks for the answer again.
            if let Some(hello) = self.assembly.go_on(from, &fragment, record.sequence) {
                self.good_hello(environment, context, from, hello, record);
            }
            return;
        }
        self.rotate_cookies(context);
        let mut answer = [0; ANSWER_LENGTH];
        let address = address_hash::<A, P>(&from);
        match self.acceptor.judge::<P>(&address, &fragment, record.sequence, &mut answer) {
            Hello::Ignored => {}
            Hello::Answer(_) if self.answers.len() < MAX_ANSWERS => self.answers.push_back((from, answer)),
            Hello::Answer(_) => {}
            Hello::Good(hello) => self.good_hello(environment, context, from, hello, record),
            Hello::Begun { random } => match self.handshake_with(from, &random) {
                Some(slot) => {
                    let _ = self.deliver(slot, environment, context, from, record);
                }
                None => {
                    if let Some(hello) = self.assembly.begin(from, random, &fragment, record.sequence) {
                        self.good_hello(environment, context, from, hello, record);
                    }
                }
            },
        }
    }

    /// The handshake under way at an address, if it began with this random.
    fn handshake_with(&self, from: A, random: &[u8; 32]) -> Option<u32> {
        let slot = self.find_pending(&from)?;
        let hello = self.entry(slot)?.hello.as_ref()?;
        (hello.random == *random).then_some(slot)
    }

    pub(super) fn good_hello(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        hello: GoodHello,
        record: Record<'_>,
    ) {
        if let Some(slot) = self.handshake_with(from, &hello.random) {
            let _ = self.deliver(slot, environment, context, from, record);
            return;
        }
        if let Some(slot) = self.find_pending(&from) {
            // The client began again.
            self.end(slot, EndReason::Superseded);
        }
        if self.has_room(from, context.now) {
            self.start(environment, context, from, hello);
        }
    }

    pub(super) fn start(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        hello: GoodHello,
    ) {
        let cid = self.unused_cid(context.rng);
        let random = hello.random;
        let remembered = self.recall(&hello.session_id);
        let connection = hello.into_connection(environment, context, cid, remembered);
        let hello = Some(Box::new(Handshaking { started: context.now, random, cid }));
        let slot = self.insert(Entry { connection, address: from, hello, heard: context.now, timer: None });
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(address_of(slots, *slot));
        self.pending.insert_unique(keys.hash_one(Some(from)), slot, rehash);
        if !cid.is_empty() {
            self.insert_cid(slot, &cid);
        }
        let count = self.sources.entry(from.source()).or_insert(0);
        *count = count.saturating_add(1);
        self.pending_by_age.insert((context.now, slot));
        self.settle(slot, context.now);
    }

    pub(super) fn deliver<'d>(
        &mut self,
        slot: u32,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Result<Option<Received<'d>>, Record<'d>> {
        let Some(handle) = self.handle(slot) else { return Ok(None) };
        let Some(entry) = self.entry_mut(slot) else { return Ok(None) };
        let incoming = entry.connection.handle_record(environment, context, record)?;
        let Some(incoming) = incoming else {
            self.settle(slot, context.now);
            return Ok(None);
        };
        entry.heard = context.now;
        let had_timer = entry.timer.is_some();
        let old = entry.address;
        if incoming.is_newest && old != from {
            entry.address = from;
            self.events.push_back(Event::Moved { handle, from: old, to: from });
        }
        if had_timer {
            self.settle(slot, context.now);
        }
        Ok(Some(Received { handle, data: incoming.data }))
    }
}
