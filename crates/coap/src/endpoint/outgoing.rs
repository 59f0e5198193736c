//! What this side sends and what comes back for it: requests and notifications, their repetition, and NSTART.

use core::hash::Hash;

use rand_core::Rng;

use super::entries::{Answer, Exchange, Purpose, Seen, State};
use super::{Endpoint, Received, Token, acknowledge, answered, put};
use crate::buffer::{Buffer, Messages};
use crate::number::Code;
use crate::recent::Places;
use crate::table::{Cells, Slot};
use crate::time::{Instant, millis_of};
use crate::wire::{self, Header, Kind, Message, MessageWriter, WriteError};

/// How often a message is repeated out of turn because its peer was heard.
const MAX_PROMPTED: u8 = 3;

/// Whether a message is to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// CON
    Confirmable,
    /// NON
    NonConfirmable,
}

/// A message to send with [`Endpoint::send`].
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<P> {
    /// To whom.
    pub peer: P,
    /// What it waits for.
    pub purpose: Purpose,
    /// Whether it is to be acknowledged.
    pub delivery: Delivery,
    /// The method or the response code.
    pub code: Code,
    /// The token.
    pub token: Token,
    /// From the peer's [`MessageIds`](super::MessageIds).
    pub message_id: u16,
    /// The owner's name for this exchange; comes back with its end.
    pub tag: u64,
}

/// Why a message could not be taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// As many exchanges as there is memory for are under way.
    TooManyExchanges,
    /// It could not be written.
    Write(WriteError),
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyExchanges => f.write_str("too many exchanges are under way; try again later"),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

impl<P, M, R, X, D> Endpoint<P, M, R, X, D>
where
    P: Copy + Eq + Hash,
    M: Messages,
    R: Buffer,
    X: Cells<Exchange<P, M::Kept>>,
    D: Places<Seen<P, R>>,
{
    /// Takes a message for sending; it comes out of [`Endpoint::poll`] as soon as NSTART allows.
    ///
    /// # Errors
    /// [`SendError`], and nothing is sent.
    pub fn send(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        outgoing: Outgoing<P>,
        write: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(), SendError> {
        let mut write = Some(write);
        self.send_written(now, rng, outgoing, &mut |writer| {
            if let Some(write) = write.take() {
                write(writer);
            }
        })
    }

    /// One function for all that writes: a chip has no room for a copy of it for each message.
    fn send_written(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        outgoing: Outgoing<P>,
        write: &mut dyn FnMut(&mut MessageWriter<'_>),
    ) -> Result<(), SendError> {
        if self.exchanges.len() >= self.exchanges.capacity() {
            return Err(SendError::TooManyExchanges);
        }
        let kept = self.messages.keep(|room| {
            let mut writer = MessageWriter::new(room, outgoing.header());
            write(&mut writer);
            writer.finish()
        });
        let kept = kept.map_err(SendError::Write)?;
        let state = self.first_state(&outgoing, rng);
        let deadline = if state == State::Queued { Instant::NEVER } else { now };
        self.order = self.order.wrapping_add(1);
        let Outgoing { peer, purpose, token, message_id, tag, .. } = outgoing;
        let exchange = Exchange { peer, tag, token, message_id, purpose, order: self.order, state, kept };
        self.enter(deadline, exchange)
    }

    fn enter(&mut self, deadline: Instant, exchange: Exchange<P, M::Kept>) -> Result<(), SendError> {
        let hash = self.hash(&exchange.peer, 0);
        self.exchanges.insert(hash, deadline, exchange).map(|_| ()).map_err(|exchange| {
            self.messages.release(exchange.kept);
            SendError::TooManyExchanges
        })
    }

    /// Asks a peer for a sign of life: an empty confirmable message, which is answered by a Reset (RFC 7252 section 4.3). It doesn't wait
    /// for its turn (NSTART), because what is under way may wait for it. An answer comes as [`Received::Reset`] or
    /// [`Received::Delivered`].
    ///
    /// # Errors
    /// [`SendError`], and nothing is sent.
    pub fn ping(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        peer: P,
        message_id: u16,
        tag: u64,
    ) -> Result<(), SendError> {
        let message = wire::empty_message(Kind::Confirmable, message_id);
        let kept = self.messages.keep(|room| {
            room.get_mut(..message.len()).ok_or(WriteError::BufferTooSmall)?.copy_from_slice(&message);
            Ok(message.len())
        });
        let kept = kept.map_err(SendError::Write)?;
        let state = self.first_transmission(rng);
        self.order = self.order.wrapping_add(1);
        let (token, purpose) = (Token::default(), Purpose::Response);
        let exchange = Exchange { peer, tag, token, message_id, purpose, order: self.order, state, kept };
        self.enter(now, exchange)
    }

    /// Forgets an exchange; a response that still comes is unmatched.
    pub fn cancel(&mut self, now: Instant, peer: P, tag: u64) -> bool {
        let hash = self.hash(&peer, 0);
        let slot = self.exchanges.find(hash, |exchange| exchange.peer == peer && exchange.tag == tag);
        slot.is_some_and(|slot| self.finish(now, slot).is_some())
    }

    /// Goes on with an exchange at another peer: the same one, which has another address now. What it hasn't acknowledged is sent
    /// again at once, under the same message id, so that the peer can tell that it is a repetition.
    pub fn redirect(&mut self, now: Instant, from: P, tag: u64, to: P) -> bool {
        let hash = self.hash(&from, 0);
        let slot = self.exchanges.find(hash, |exchange| exchange.peer == from && exchange.tag == tag);
        let Some(exchange) = slot.and_then(|slot| self.exchanges.remove(slot)) else { return false };
        let (state, deadline) = match exchange.state {
            State::Queued => (State::Queued, Instant::NEVER),
            State::AwaitingResponse { acknowledged: true } => {
                (exchange.state, now.after(self.parameters.response_timeout))
            }
            State::Unsent | State::AwaitingResponse { acknowledged: false } => (State::Unsent, now),
            State::Unacknowledged { .. } => (self.transmission_with(exchange.message_id as u8), now),
        };
        self.enter(deadline, Exchange { peer: to, state, ..exchange }).is_ok()
    }

    /// How many messages wait for an answer or for their turn.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.exchanges.len()
    }

    /// What an exchange becomes by being sent now, and for how many milliseconds; `None` if it has waited long enough.
    pub(super) fn next_state(&self, exchange: &Exchange<P, M::Kept>) -> Option<(State, u64)> {
        match exchange.state {
            State::Queued | State::AwaitingResponse { .. } => None,
            State::Unsent => {
                let wait = millis_of(self.parameters.response_timeout);
                Some((State::AwaitingResponse { acknowledged: false }, wait))
            }
            State::Unacknowledged { transmissions, timeout, prompted } => {
                (transmissions <= self.parameters.max_retransmit).then(|| {
                    let doubled = timeout.saturating_mul(2);
                    let transmissions = transmissions.saturating_add(1);
                    (State::Unacknowledged { transmissions, timeout: doubled, prompted }, timeout.into())
                })
            }
        }
    }

    fn first_state(&self, outgoing: &Outgoing<P>, rng: &mut impl Rng) -> State {
        match outgoing.delivery {
            Delivery::NonConfirmable => State::Unsent,
            Delivery::Confirmable if self.is_busy(outgoing.peer) => State::Queued,
            Delivery::Confirmable => self.first_transmission(rng),
        }
    }

    /// RFC 7252 section 4.2: the first timeout lies between ACK_TIMEOUT and one and a half times that.
    fn first_transmission(&self, rng: &mut impl Rng) -> State {
        self.transmission_with(rng.next_u32() as u8)
    }

    fn transmission_with(&self, jitter: u8) -> State {
        let base = self.ack_timeout();
        let jitter = (base / 512)
            .saturating_mul(jitter.into())
            .saturating_add((base % 512).saturating_mul(jitter.into()) / 512);
        State::Unacknowledged { transmissions: 0, timeout: base.saturating_add(jitter), prompted: 0 }
    }

    fn ack_timeout(&self) -> u32 {
        u32::try_from(millis_of(self.parameters.ack_timeout)).unwrap_or(u32::MAX)
    }

    /// Repeats at once what the peer, who was heard just now, has not acknowledged: it listens, and may be asleep again before the next
    /// repetition is due.
    ///
    /// The schedule goes on where it was, one wait later. So that a talkative peer isn't flooded, and that no repetition comes when the
    /// peer may have forgotten the message id (EXCHANGE_LIFETIME, RFC 7252 section 4.8.2), there are at most [`MAX_PROMPTED`] of
    /// these, and none sooner after the last transmission than half of ACK_TIMEOUT: the acknowledgement may be under way.
    pub(super) fn repeat_unacknowledged(&mut self, now: Instant, peer: P) {
        if self.exchanges.is_empty() {
            return;
        }
        let patience = u64::from(self.ack_timeout() / 2);
        let is_overdue = |(slot, exchange): (Slot, &Exchange<P, M::Kept>)| {
            let State::Unacknowledged { transmissions: 1.., timeout, prompted } = exchange.state else {
                return None;
            };
            let wait = u64::from(timeout / 2);
            let since_sent = wait.saturating_sub(self.exchanges.deadline(slot)?.millis_since(now));
            let is_due = exchange.peer == peer && prompted < MAX_PROMPTED && since_sent >= patience;
            is_due.then_some(slot)
        };
        let Some(slot) = self.exchanges.chain(self.hash(&peer, 0)).find_map(is_overdue) else { return };
        if let Some(exchange) = self.exchanges.get_mut(slot)
            && let State::Unacknowledged { transmissions, timeout, prompted } = &mut exchange.state
        {
            *transmissions = transmissions.saturating_sub(1);
            *timeout /= 2;
            *prompted = prompted.saturating_add(1);
        }
        self.exchanges.set_deadline(slot, now);
    }

    fn is_busy(&self, peer: P) -> bool {
        let active = |(_, exchange): &(Slot, &Exchange<P, M::Kept>)| {
            exchange.peer == peer
                && !matches!(exchange.state, State::Queued | State::AwaitingResponse { acknowledged: true })
        };
        self.exchanges.chain(self.hash(&peer, 0)).filter(active).count()
            >= usize::from(self.parameters.nstart)
    }

    pub(super) fn acknowledged(&mut self, now: Instant, peer: P, message_id: u16) -> Received<'static, P> {
        let Some(slot) = self.find_by_id(peer, message_id) else {
            return Received::Nothing;
        };
        match self.exchanges.get_mut(slot) {
            Some(exchange) if exchange.purpose == Purpose::Request => {
                exchange.state = State::AwaitingResponse { acknowledged: true };
                self.exchanges.set_deadline(slot, now.after(self.parameters.response_timeout));
                self.promote(now, peer);
                Received::Nothing
            }
            _ => self.finish(now, slot).map_or(Received::Nothing, Received::Delivered),
        }
    }

    pub(super) fn reset(&mut self, now: Instant, peer: P, message_id: u16) -> Received<'static, P> {
        match self.find_by_id(peer, message_id).and_then(|slot| self.finish(now, slot)) {
            Some(tag) => Received::Reset(tag),
            None => Received::ResetOf(message_id),
        }
    }

    pub(super) fn piggybacked<'d>(&mut self, now: Instant, peer: P, message: Message<'d>) -> Received<'d, P> {
        let slot = self.find_by_id(peer, message.message_id());
        let matching = slot.filter(|slot| {
            self.exchanges.get(*slot).is_some_and(|exchange| exchange.token.as_slice() == message.token())
        });
        match matching.and_then(|slot| self.finish(now, slot)) {
            Some(tag) => Received::Response { tag, message, answer: 0 },
            None => Received::Nothing,
        }
    }

    pub(super) fn separate<'d>(
        &mut self,
        now: Instant,
        peer: P,
        message: Message<'d>,
        out: &mut [u8],
    ) -> Received<'d, P> {
        let confirmable = message.kind() == Kind::Confirmable;
        if confirmable && self.find_seen(peer, &message).is_some() {
            return answered(out, &acknowledge(message.message_id()));
        }
        let slot = self.exchanges.find(self.hash(&peer, 0), |exchange| {
            exchange.peer == peer
                && exchange.purpose == Purpose::Request
                && exchange.state != State::Queued
                && exchange.token.as_slice() == message.token()
        });
        let Some(tag) = slot.and_then(|slot| self.finish(now, slot)) else {
            return Received::Unmatched(message);
        };
        let answer = if confirmable {
            self.remember(now, peer, &message, Answer::Acknowledged);
            put(out, &acknowledge(message.message_id()))
        } else {
            0
        };
        Received::Response { tag, message, answer }
    }

    fn find_by_id(&self, peer: P, message_id: u16) -> Option<Slot> {
        self.exchanges.find(self.hash(&peer, 0), |exchange| {
            exchange.peer == peer
                && exchange.message_id == message_id
                && !matches!(exchange.state, State::Queued | State::Unsent)
        })
    }

    /// Ends an exchange and lets the next one to that peer go.
    pub(super) fn finish(&mut self, now: Instant, slot: Slot) -> Option<u64> {
        let exchange = self.exchanges.remove(slot)?;
        self.messages.release(exchange.kept);
        self.promote(now, exchange.peer);
        Some(exchange.tag)
    }

    fn promote(&mut self, now: Instant, peer: P) {
        let queued = |(_, exchange): &(Slot, &Exchange<P, M::Kept>)| {
            exchange.peer == peer && exchange.state == State::Queued
        };
        let waiting = self.exchanges.chain(self.hash(&peer, 0)).filter(queued);
        let Some((slot, exchange)) = waiting.min_by_key(|(_, exchange)| exchange.order) else {
            return;
        };
        if self.is_busy(peer) {
            return;
        }
        // The jitter of a message that waited comes from its own id: no generator is at hand here, and what the jitter is
        // for, to spread peers that start together, the wait has done.
        let state = self.transmission_with(exchange.message_id as u8);
        if let Some(exchange) = self.exchanges.get_mut(slot) {
            exchange.state = state;
        }
        self.exchanges.set_deadline(slot, now);
    }
}

impl<P> Outgoing<P> {
    fn header(&self) -> Header<'_> {
        let kind = match self.delivery {
            Delivery::Confirmable => Kind::Confirmable,
            Delivery::NonConfirmable => Kind::NonConfirmable,
        };
        Header { kind, code: self.code, message_id: self.message_id, token: self.token.as_slice() }
    }
}
