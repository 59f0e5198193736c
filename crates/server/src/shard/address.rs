//! Verification of device addresses, and the limit on what is sent to an address before that (RFC 9175 section 2.3).
//!
//! The source address of a plain CoAP datagram can be forged. So that the server can't be used to flood a victim, an address that is not
//! verified gets at most three times the bytes that came from it, retransmissions included. Larger messages wait until the address is verified:
//! by the answer to a request or to a ping, by an Echo value, or by a request for the registration's location, which was sent
//! only to that address. Few devices support Echo, so the server sends a ping first.

use buoy_coap::endpoint::Request;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;

use super::{Directory, Shard};
use crate::operation::{Failure, OperationId};
use crate::outbox::{Event, MTU, Outbox};
use crate::peer::Peer;
use crate::ping;
use crate::registration::Proof;
use crate::registrations::Index;

/// The registration for which a ping was sent.
pub(super) fn ping_of(tag: u64) -> Option<Index> {
    ping::target(tag).map(|index| Index(index as u32))
}

const fn tag_of_ping(index: Index) -> u64 {
    ping::tag(index.0 as u64)
}

/// The most devices without a session for which their shard is remembered.
const MOST_FOREIGN: usize = 1 << 16;

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) peer: Peer,
    /// Bytes of the datagram.
    pub(super) received: usize,
    /// It has an Echo value that was recently sent to this address, or came over a session, whose handshake verified the address.
    pub(super) is_proved: bool,
}

impl<D: Directory> Shard<D> {
    pub(super) fn origin(&self, now: Instant, request: &Request<'_, Peer>) -> Origin {
        let (peer, message) = (request.peer, &request.message);
        let echo = message.value(OptionNumber::ECHO);
        let is_proved = peer.session.is_some() || echo.is_some_and(|echo| self.echo.proves(now, peer, echo));
        Origin { peer, received: message.datagram().len(), is_proved }
    }

    /// Counts the bytes of a request of any kind for the address from which it came.
    pub(super) fn count_received(&mut self, now: Instant, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        if request.peer.session.is_some() {
            return;
        }
        let Some(index) = self.registrations.by_peer(request.peer) else { return };
        let origin = self.origin(now, request);
        if origin.is_proved {
            self.prove_address(now, index, outbox);
        } else if let Some(registration) = self.registrations.get_mut(index) {
            registration.proof.earn(origin.received);
        }
    }

    /// How many bytes an answer may have.
    pub(super) fn budget(&self, now: Instant, request: &Request<'_, Peer>) -> usize {
        let origin = self.origin(now, request);
        let index = self.registrations.by_peer(request.peer);
        let registration = index.and_then(|index| self.registrations.get(index));
        let is_proved = origin.is_proved || registration.is_some_and(|it| it.proof.is_proved());
        if is_proved { MTU } else { 3 * origin.received }
    }

    /// Whether a message of the server may be sent. If so, its bytes are counted.
    pub(super) fn may_send(&mut self, peer: Peer, length: usize) -> bool {
        if peer.session.is_some() {
            return true;
        }
        let index = self.registrations.by_peer(peer);
        let registration = index.and_then(|index| self.registrations.get_mut(index));
        registration.is_none_or(|registration| registration.proof.spend(length))
    }

    /// Whether the next message of an operation is small enough for the device's address.
    pub(super) fn may_transmit(&self, id: OperationId, index: Index) -> bool {
        let Some(registration) = self.registrations.get(index) else { return false };
        let Proof::Claimed(claim) = registration.proof else { return true };
        let Some(operation) = self.operations.get(id) else { return false };
        // A request that doesn't fit into a message is refused when it is sent.
        operation.transfer.next_length().is_none_or(|length| claim.covers(length))
    }

    /// Pings a device whose address is not verified.
    pub(super) fn ping(&mut self, now: Instant, index: Index) {
        let Self { registrations, coap, rng, .. } = self;
        let Some(registration) = registrations.get_mut(index) else { return };
        let Proof::Claimed(claim) = &mut registration.proof else { return };
        if claim.is_pinged || !registration.has_address {
            return;
        }
        // Not the next message id: a device that forges its address can predict that one.
        let message_id = rand_core::Rng::next_u32(rng) as u16;
        let sent = coap.ping(now, rng, registration.peer, message_id, tag_of_ping(index));
        claim.is_pinged = sent.is_ok();
    }

    /// Cancels a ping whose answer would not verify the address any more.
    pub(super) fn forget_ping(&mut self, now: Instant, index: Index) {
        let Some(registration) = self.registrations.get_mut(index) else { return };
        if let Proof::Claimed(claim) = &mut registration.proof
            && std::mem::take(&mut claim.is_pinged)
        {
            self.coap.cancel(now, registration.peer, tag_of_ping(index));
        }
    }

    pub(super) fn ping_answered(&mut self, now: Instant, peer: Peer, index: Index, outbox: &mut Outbox) {
        if self.registrations.by_peer(peer) == Some(index) {
            self.prove_address(now, index, outbox);
            self.contacted(now, index, outbox);
        }
    }

    /// A ping was not answered. Operations with a waiting caller fail, as they would if they had been sent.
    pub(super) fn ping_timed_out(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        self.forget_ping(now, index);
        let Some(registration) = self.registrations.get_mut(index) else { return };
        let endpoint = registration.endpoint.clone();
        if registration.queue_mode && !registration.asleep {
            registration.asleep = true;
            outbox.events.push(Event::Sleeping(endpoint.clone()));
        }
        if !registration.queue_mode
            && let Some(id) = self.operations.first(&endpoint)
            && self.operations.get(id).is_some_and(|operation| operation.is_impatient())
        {
            self.end(now, id, Err(Failure::TimedOut), outbox);
        }
    }

    /// Records that the device's address is verified. This is saved at once only if the expiry of its registration depends on it.
    pub(super) fn prove_address(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        if self.registrations.get(index).is_none_or(|registration| registration.proof.is_proved()) {
            return;
        }
        self.forget_ping(now, index);
        let longest = self.config.unproved_lifetime;
        let Some(registration) = self.registrations.get_mut(index) else { return };
        registration.proof = Proof::Proved;
        registration.is_dirty = true;
        self.unproved = self.unproved.saturating_sub(1);
        if registration.outlives(longest) {
            self.save(index, outbox);
            self.reschedule_expiry(index);
        }
    }

    /// Records that a device without a session, whose datagrams arrive here, belongs to another shard. The address belongs to it now, and no
    /// longer to the device that had it before.
    pub(super) fn passes_to(&mut self, now: Instant, shard: u8, peer: Peer, outbox: &mut Outbox) {
        if peer.session.is_some() {
            return;
        }
        self.release_address(now, peer, outbox);
        if self.foreign.len() >= MOST_FOREIGN && !self.foreign.contains_key(&peer.address) {
            // They are learned again from the devices' next datagrams.
            self.foreign.clear();
        }
        let before = self.foreign.insert(peer.address, shard);
        if let Some(before) = before.filter(|before| *before != shard) {
            outbox.events.push(Event::AddressTaken { shard: before, peer });
        }
    }

    /// Records that a device of this shard has an address. If a device of another shard had it, that shard is notified.
    pub(super) fn took_address(&mut self, peer: Peer, outbox: &mut Outbox) {
        if peer.session.is_none()
            && let Some(shard) = self.foreign.remove(&peer.address)
        {
            outbox.events.push(Event::AddressTaken { shard, peer });
        }
    }

    /// Records that a device of another shard now uses an address.
    pub fn release_address(&mut self, now: Instant, peer: Peer, outbox: &mut Outbox) {
        if let Some(index) = self.registrations.by_peer(peer) {
            self.forget_ping(now, index);
            self.registrations.lose_address(index);
            self.lost_address(now, Some(index), outbox);
        }
    }

    /// Whether a Register needs an Echo value before anything is stored for it, because too many registered devices have addresses that are not
    /// verified.
    pub(super) fn must_prove_first(&self, origin: Origin, known: Option<Index>) -> bool {
        let old = known.and_then(|index| self.registrations.get(index));
        let is_known = old.is_some_and(|old| old.has_address && old.peer == origin.peer);
        !origin.is_proved && !is_known && self.unproved >= self.config.max_unproved
    }

    /// Answers 4.01 with an Echo value, which the device has to repeat (RFC 9175 section 2.2).
    pub(super) fn challenge(&mut self, now: Instant, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        self.counters.challenged += 1;
        let echo = self.echo.value(now, request.peer);
        self.reply(now, request, outbox, |writer| {
            writer.code(Code::UNAUTHORIZED).option(OptionNumber::ECHO, &echo);
        });
    }

    /// Pings a device whose address is not verified, if its lifetime is longer than such a registration may have, or if there are many
    /// such devices.
    pub(super) fn ping_if_it_matters(&mut self, now: Instant, index: Index) {
        let Some(registration) = self.registrations.get(index) else { return };
        if registration.outlives(self.config.unproved_lifetime)
            || self.unproved > self.config.max_unproved / 2
        {
            self.ping(now, index);
        }
    }
}
