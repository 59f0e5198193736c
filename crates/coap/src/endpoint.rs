//! Messages and reliability (RFC 7252 sections 4 and 5): who said what to whom, how often, and who still waits.
//!
//! An [`Endpoint`] serves any number of peers from a bounded memory. It matches responses to requests, acknowledges, resets,
//! retransmits with back-off, keeps NSTART, and answers duplicates as it answered the first time. What a request means,
//! blocks and observations are for the layers above.
//!
//! The contract: every datagram goes to [`Endpoint::receive`]; after each call into the endpoint, and when the time of
//! [`Endpoint::next_deadline`] has come, [`Endpoint::poll`] is drained until it returns `None`.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use rand_core::Rng;

#[cfg(feature = "alloc")]
use crate::buffer::OnHeap;
use crate::buffer::{Buffer, Inline};
use crate::number::{Code, OptionNumber};
use crate::table::{Cell, Cells, Slot, Table};
use crate::time::Instant;
use crate::wire::{self, Header, Kind, Message, MessageWriter, ParseError, WriteError};

/// The messages that an endpoint exchanges with its peers.
///
/// `P` names a peer; `B` keeps an outgoing message until it is acknowledged, `R` a reply until no duplicate can come;
/// `X` and `D` are the memory for outgoing exchanges and for deduplication.
#[derive(Debug)]
pub struct Endpoint<P, B, R, X, D> {
    parameters: Parameters,
    exchanges: Table<Exchange<P, B>, X>,
    seen: Table<Seen<P, R>, D>,
    hash_key: u64,
    order: u32,
}

/// The transmission parameters of RFC 7252 section 4.8.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// ACK_TIMEOUT; the first wait is this to one and a half times this.
    pub ack_timeout: Duration,
    /// MAX_RETRANSMIT
    pub max_retransmit: u8,
    /// NSTART: confirmable messages to one peer that may wait for their answer at once.
    pub nstart: u8,
    /// How long a request waits for its response once it was acknowledged or sent non-confirmably.
    pub response_timeout: Duration,
    /// EXCHANGE_LIFETIME: how long a message id is remembered.
    pub exchange_lifetime: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            max_retransmit: 4,
            nstart: 1,
            response_timeout: Duration::from_secs(93),
            exchange_lifetime: Duration::from_secs(247),
        }
    }
}

/// A token of our own choice, or a peer's that we keep: at most eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    bytes: [u8; 8],
    length: u8,
}

impl Token {
    /// Eight bytes that cannot be guessed, as RFC 7252 section 5.3.1 asks for.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self { bytes: rng.next_u64().to_be_bytes(), length: 8 }
    }

    /// A token of these eight bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self { bytes, length: 8 }
    }

    /// Keeps a peer's token; `None` if it is longer than eight bytes.
    #[must_use]
    pub fn from_slice(slice: &[u8]) -> Option<Self> {
        let mut token = Self { length: u8::try_from(slice.len()).ok()?, ..Self::default() };
        token.bytes.get_mut(..slice.len())?.copy_from_slice(slice);
        Some(token)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The message ids for one peer; kept by whoever keeps the peer, since ids must not return within EXCHANGE_LIFETIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageIds(u16);

impl MessageIds {
    /// Starts anywhere, as RFC 7252 section 4.4 recommends.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(rng.next_u32() as u16)
    }

    /// Starts with `first`.
    #[must_use]
    pub const fn starting_at(first: u16) -> Self {
        Self(first)
    }

    /// The next id.
    pub fn next_id(&mut self) -> u16 {
        let id = self.0;
        self.0 = id.wrapping_add(1);
        id
    }
}

/// Whether a message is to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// CON
    Confirmable,
    /// NON
    NonConfirmable,
}

/// What an outgoing message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A request: for its response.
    Request,
    /// A separate response or a notification: for its acknowledgement alone.
    Response,
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
    /// From the peer's [`MessageIds`].
    pub message_id: u16,
    /// The owner's name for this exchange; comes back with its end.
    pub tag: u64,
}

/// What a received datagram was.
#[derive(Debug)]
pub enum Received<'d, P> {
    /// Nothing for the owner: noise, an acknowledgement, or a duplicate that needs no answer.
    Nothing,
    /// Nothing for the owner, but so many bytes of `out` are to be sent to the peer.
    Answered(usize),
    /// A new request, to be answered by [`Endpoint::reply`], or by [`Endpoint::accept`] now and a separate response later.
    Request(Request<'d, P>),
    /// The response to our request `tag`. So many bytes of `out` are to be sent to the peer.
    Response {
        /// The owner's name for the exchange.
        tag: u64,
        /// The response.
        message: Message<'d>,
        /// How many bytes of `out` to send to the peer (an acknowledgement, or none).
        answer: usize,
    },
    /// A response to none of our requests: a notification, if its token is that of an observation. The owner sends what
    /// [`acknowledge`] or [`reject`] returns.
    Unmatched(Message<'d>),
    /// The peer acknowledged our separate response or notification `tag`.
    Delivered(u64),
    /// The peer answered our message `tag` with a Reset.
    Reset(u64),
    /// A Reset of a message that the endpoint doesn't keep, such as a non-confirmable notification.
    ResetOf(u16),
}

/// A request that was received, and what is needed to answer it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'d, P> {
    /// Who asks.
    pub peer: P,
    /// What is asked.
    pub message: Message<'d>,
    slot: Option<Slot>,
}

/// What [`Endpoint::poll`] found to do.
#[derive(Debug)]
pub enum Due<'e, P> {
    /// Send this datagram.
    Transmit {
        /// To whom.
        peer: P,
        /// The message.
        datagram: &'e [u8],
    },
    /// No answer came to our message.
    TimedOut {
        /// The owner's name for the exchange.
        tag: u64,
        /// Who stayed silent.
        peer: P,
        /// Whether the peer at least acknowledged the request.
        acknowledged: bool,
    },
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

#[derive(Debug)]
#[doc(hidden)]
pub struct Exchange<P, B> {
    peer: P,
    tag: u64,
    token: Token,
    message_id: u16,
    purpose: Purpose,
    /// Exchanges with one peer leave in this order.
    order: u32,
    state: State,
    datagram: B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// NSTART exchanges with the peer are before it.
    Queued,
    /// To be sent now, without an acknowledgement.
    Unsent,
    /// Confirmable and not acknowledged; sent so many times by the schedule, the next time after `timeout`, and besides so many times
    /// because the peer was heard.
    Unacknowledged { transmissions: u8, timeout: Duration, prompted: u8 },
    /// The peer has it; only the response is missing.
    AwaitingResponse { acknowledged: bool },
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Seen<P, R> {
    peer: P,
    message_id: u16,
    answer: Answer<R>,
}

#[derive(Debug)]
enum Answer<R> {
    /// The owner is still at it.
    Pending,
    /// An empty acknowledgement was sent.
    Acknowledged,
    /// This was sent.
    Replied(R),
}

impl<P, B, R, X, D> Endpoint<P, B, R, X, D>
where
    P: Copy + Eq + Hash,
    B: Buffer,
    R: Buffer,
    X: Cells<Exchange<P, B>>,
    D: Cells<Seen<P, R>>,
{
    /// An endpoint that remembers as much as the two memories hold.
    pub fn new(parameters: Parameters, exchanges: X, seen: D, rng: &mut impl Rng) -> Self {
        Self {
            parameters,
            exchanges: Table::new(exchanges),
            seen: Table::new(seen),
            hash_key: rng.next_u64(),
            order: 0,
        }
    }

    /// Takes a datagram from `peer`. `out` takes an answer of the endpoint's own, if one is due; it should hold a whole
    /// datagram.
    pub fn receive<'d>(
        &mut self,
        now: Instant,
        peer: P,
        datagram: &'d [u8],
        out: &mut [u8],
    ) -> Received<'d, P> {
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            // RFC 7252 section 4.2: a confirmable message with a format error is rejected, any other ignored.
            Err(ParseError::Malformed { kind: Kind::Confirmable, message_id, .. }) => {
                return answered(out, &reject(message_id));
            }
            Err(_) => return Received::Nothing,
        };
        let received = self.classify(now, peer, message, out);
        self.repeat_unacknowledged(now, peer);
        received
    }

    fn classify<'d>(
        &mut self,
        now: Instant,
        peer: P,
        message: Message<'d>,
        out: &mut [u8],
    ) -> Received<'d, P> {
        match (message.kind(), message.code()) {
            (Kind::Confirmable, Code::EMPTY) => answered(out, &reject(message.message_id())),
            (Kind::NonConfirmable, Code::EMPTY) => Received::Nothing,
            (Kind::Acknowledgement, Code::EMPTY) => self.acknowledged(now, peer, message.message_id()),
            (Kind::Reset, Code::EMPTY) => self.reset(now, peer, message.message_id()),
            (Kind::Confirmable | Kind::NonConfirmable, code) if code.is_request() => {
                self.request(now, peer, message, out)
            }
            // RFC 7252 section 5.4.1: a response with a critical option that isn't processed here is rejected.
            (Kind::Confirmable, code) if code.is_response() && asks_too_much(&message) => {
                answered(out, &reject(message.message_id()))
            }
            (_, code) if code.is_response() && asks_too_much(&message) => Received::Nothing,
            (Kind::Acknowledgement, code) if code.is_response() => self.piggybacked(now, peer, message),
            (Kind::Confirmable | Kind::NonConfirmable, code) if code.is_response() => {
                self.separate(now, peer, message, out)
            }
            (Kind::Confirmable, _) => answered(out, &reject(message.message_id())),
            _ => Received::Nothing,
        }
    }

    /// Writes the reply to a request into `out` and says how many bytes are to be sent to the peer (none, where the request's
    /// No-Response option asks for silence). `ids` are the peer's; `write` sets code, options and payload.
    ///
    /// A reply that doesn't fit `out` becomes 5.00.
    pub fn reply(
        &mut self,
        request: &Request<'_, P>,
        ids: &mut MessageIds,
        out: &mut [u8],
        write: impl FnOnce(&mut MessageWriter<'_>),
    ) -> usize {
        let confirmable = request.message.kind() == Kind::Confirmable;
        let header = Header {
            kind: if confirmable { Kind::Acknowledgement } else { Kind::NonConfirmable },
            code: Code::INTERNAL_SERVER_ERROR,
            message_id: if confirmable { request.message.message_id() } else { ids.next_id() },
            token: request.message.token(),
        };
        let mut writer = MessageWriter::new(out, header);
        write(&mut writer);
        let length = writer.finish().or_else(|_| {
            writer.restart(header);
            writer.finish()
        });
        let mut length = length.unwrap_or(0);
        if is_unwanted(&request.message, reply_code(out)) {
            length = if confirmable { put(out, &acknowledge(request.message.message_id())) } else { 0 };
        }
        self.record_reply(request, out.get(..length).unwrap_or_default());
        length
    }

    /// Acknowledges a request whose response will come later, by [`Endpoint::send`]; writes into `out` what is to be sent.
    pub fn accept(&mut self, request: &Request<'_, P>, out: &mut [u8]) -> usize {
        if request.message.kind() != Kind::Confirmable {
            return 0;
        }
        if let Some(seen) = self.seen_of(request) {
            seen.answer = Answer::Acknowledged;
        }
        put(out, &acknowledge(request.message.message_id()))
    }

    /// Forgets a request that somebody else will answer, so that its duplicates are handed out again too.
    pub fn disown(&mut self, request: &Request<'_, P>) {
        if self.seen_of(request).is_some() {
            request.slot.and_then(|slot| self.seen.remove(slot));
        }
    }

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
        if self.exchanges.len() >= self.exchanges.capacity() {
            return Err(SendError::TooManyExchanges);
        }
        let mut datagram = B::default();
        let written = datagram.write(|room| {
            let mut writer = MessageWriter::new(room, outgoing.header());
            write(&mut writer);
            writer.finish()
        });
        written.map_err(SendError::Write)?;

        let state = self.first_state(&outgoing, rng);
        let deadline = if state == State::Queued { Instant::NEVER } else { now };
        self.order = self.order.wrapping_add(1);
        let Outgoing { peer, purpose, token, message_id, tag, .. } = outgoing;
        let exchange = Exchange { peer, tag, token, message_id, purpose, order: self.order, state, datagram };
        let hash = self.hash(&peer, 0);
        self.exchanges.insert(hash, deadline, exchange).map_err(|_| SendError::TooManyExchanges)?;
        Ok(())
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
        let mut datagram = B::default();
        if !datagram.store(&wire::empty_message(Kind::Confirmable, message_id)) {
            return Err(SendError::Write(WriteError::BufferTooSmall));
        }
        let state = self.first_transmission(rng);
        self.order = self.order.wrapping_add(1);
        let (token, purpose) = (Token::default(), Purpose::Response);
        let exchange = Exchange { peer, tag, token, message_id, purpose, order: self.order, state, datagram };
        let hash = self.hash(&peer, 0);
        self.exchanges.insert(hash, now, exchange).map_err(|_| SendError::TooManyExchanges)?;
        Ok(())
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
        let hash = self.hash(&to, 0);
        self.exchanges.insert(hash, deadline, Exchange { peer: to, state, ..exchange }).is_ok()
    }

    /// What is due now; to be called until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Due<'_, P>> {
        let (slot, deadline) = self.exchanges.earliest()?;
        if deadline > now {
            return None;
        }
        let exchange = self.exchanges.get(slot)?;
        let (peer, tag) = (exchange.peer, exchange.tag);
        match self.next_state(exchange) {
            Some((state, wait)) => {
                self.exchanges.set_deadline(slot, now.after(wait));
                let exchange = self.exchanges.get_mut(slot)?;
                exchange.state = state;
                Some(Due::Transmit { peer, datagram: exchange.datagram.bytes() })
            }
            None => {
                let acknowledged = exchange.state == State::AwaitingResponse { acknowledged: true };
                self.finish(now, slot);
                Some(Due::TimedOut { tag, peer, acknowledged })
            }
        }
    }

    /// When [`Endpoint::poll`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.exchanges.earliest().map(|(_, at)| at).filter(|at| *at != Instant::NEVER)
    }

    /// How many messages wait for an answer or for their turn.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.exchanges.len()
    }

    /// What an exchange becomes by being sent now, and for how long; `None` if it has waited long enough.
    fn next_state(&self, exchange: &Exchange<P, B>) -> Option<(State, Duration)> {
        match exchange.state {
            State::Queued | State::AwaitingResponse { .. } => None,
            State::Unsent => {
                Some((State::AwaitingResponse { acknowledged: false }, self.parameters.response_timeout))
            }
            State::Unacknowledged { transmissions, timeout, prompted } => {
                (transmissions <= self.parameters.max_retransmit).then(|| {
                    let doubled = timeout.saturating_mul(2);
                    let transmissions = transmissions.saturating_add(1);
                    (State::Unacknowledged { transmissions, timeout: doubled, prompted }, timeout)
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
        let base = self.parameters.ack_timeout.as_millis() as u64;
        let jitter = base.saturating_mul(u64::from(jitter)) / 512;
        State::Unacknowledged {
            transmissions: 0,
            timeout: Duration::from_millis(base.saturating_add(jitter)),
            prompted: 0,
        }
    }

    /// Repeats at once what the peer, who was heard just now, has not acknowledged: it listens, and may be asleep again before the next
    /// repetition is due.
    ///
    /// The schedule goes on where it was, one wait later. So that a talkative peer isn't flooded, and that no repetition comes when the
    /// peer may have forgotten the message id (EXCHANGE_LIFETIME, RFC 7252 section 4.8.2), there are at most [`MAX_PROMPTED`] of
    /// these, and none sooner after the last transmission than half of ACK_TIMEOUT: the acknowledgement may be under way.
    fn repeat_unacknowledged(&mut self, now: Instant, peer: P) {
        if self.exchanges.is_empty() {
            return;
        }
        let patience = half(self.parameters.ack_timeout);
        let is_overdue = |(slot, exchange): (Slot, &Exchange<P, B>)| {
            let State::Unacknowledged { transmissions: 1.., timeout, prompted } = exchange.state else {
                return None;
            };
            let wait = half(timeout);
            let since_sent = wait.saturating_sub(self.exchanges.deadline(slot)?.since(now));
            let is_due = exchange.peer == peer && prompted < MAX_PROMPTED && since_sent >= patience;
            is_due.then_some(slot)
        };
        let Some(slot) = self.exchanges.chain(self.hash(&peer, 0)).find_map(is_overdue) else { return };
        if let Some(exchange) = self.exchanges.get_mut(slot)
            && let State::Unacknowledged { transmissions, timeout, prompted } = &mut exchange.state
        {
            *transmissions = transmissions.saturating_sub(1);
            *timeout = half(*timeout);
            *prompted = prompted.saturating_add(1);
        }
        self.exchanges.set_deadline(slot, now);
    }

    fn is_busy(&self, peer: P) -> bool {
        let active = |(_, exchange): &(Slot, &Exchange<P, B>)| {
            exchange.peer == peer
                && !matches!(exchange.state, State::Queued | State::AwaitingResponse { acknowledged: true })
        };
        self.exchanges.chain(self.hash(&peer, 0)).filter(active).count()
            >= usize::from(self.parameters.nstart)
    }

    fn acknowledged(&mut self, now: Instant, peer: P, message_id: u16) -> Received<'static, P> {
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

    fn reset(&mut self, now: Instant, peer: P, message_id: u16) -> Received<'static, P> {
        match self.find_by_id(peer, message_id).and_then(|slot| self.finish(now, slot)) {
            Some(tag) => Received::Reset(tag),
            None => Received::ResetOf(message_id),
        }
    }

    fn request<'d>(
        &mut self,
        now: Instant,
        peer: P,
        message: Message<'d>,
        out: &mut [u8],
    ) -> Received<'d, P> {
        let message_id = message.message_id();
        if let Some(slot) = self.find_seen(peer, message_id) {
            return self.answer_duplicate(slot, message, out);
        }
        let slot = self.remember(now, peer, message_id, Answer::Pending);
        let request = Request { peer, message, slot };
        match message.check_critical(is_processed) {
            Ok(()) => Received::Request(request),
            Err(number) => self.refuse_option(&request, number, out),
        }
    }

    /// RFC 7252 section 5.4.1: 4.02 to a confirmable request; a non-confirmable one is rejected in silence.
    fn refuse_option<'d>(
        &mut self,
        request: &Request<'d, P>,
        number: OptionNumber,
        out: &mut [u8],
    ) -> Received<'d, P> {
        if request.message.kind() == Kind::NonConfirmable {
            return Received::Nothing;
        }
        let mut ids = MessageIds(0);
        let (reason, message) = (option_name(number), &request.message);
        let size = HEADER.saturating_add(message.token().len()).saturating_add(reason.len());
        let length = self.reply(request, &mut ids, out, |writer| {
            writer.code(Code::BAD_OPTION);
            // The sender's address may be another's: an answer has at most three times the bytes of its request.
            if size <= message.datagram().len().saturating_mul(3) {
                writer.payload(reason);
            }
        });
        Received::Answered(length)
    }

    fn answer_duplicate<'d>(&self, slot: Slot, message: Message<'d>, out: &mut [u8]) -> Received<'d, P> {
        match self.seen.get(slot).map(|seen| &seen.answer) {
            Some(Answer::Replied(reply)) => answered(out, reply.bytes()),
            Some(Answer::Acknowledged) => answered(out, &acknowledge(message.message_id())),
            Some(Answer::Pending) | None => Received::Nothing,
        }
    }

    fn piggybacked<'d>(&mut self, now: Instant, peer: P, message: Message<'d>) -> Received<'d, P> {
        let slot = self.find_by_id(peer, message.message_id());
        let matching = slot.filter(|slot| {
            self.exchanges.get(*slot).is_some_and(|exchange| exchange.token.as_slice() == message.token())
        });
        match matching.and_then(|slot| self.finish(now, slot)) {
            Some(tag) => Received::Response { tag, message, answer: 0 },
            None => Received::Nothing,
        }
    }

    fn separate<'d>(
        &mut self,
        now: Instant,
        peer: P,
        message: Message<'d>,
        out: &mut [u8],
    ) -> Received<'d, P> {
        let confirmable = message.kind() == Kind::Confirmable;
        if confirmable && self.find_seen(peer, message.message_id()).is_some() {
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
            self.remember(now, peer, message.message_id(), Answer::Acknowledged);
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
    fn finish(&mut self, now: Instant, slot: Slot) -> Option<u64> {
        let exchange = self.exchanges.remove(slot)?;
        self.promote(now, exchange.peer);
        Some(exchange.tag)
    }

    fn promote(&mut self, now: Instant, peer: P) {
        let queued = |(_, exchange): &(Slot, &Exchange<P, B>)| {
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

    fn find_seen(&self, peer: P, message_id: u16) -> Option<Slot> {
        let hash = self.hash(&peer, message_id);
        self.seen.find(hash, |seen| seen.peer == peer && seen.message_id == message_id)
    }

    fn seen_of(&mut self, request: &Request<'_, P>) -> Option<&mut Seen<P, R>> {
        let is_same = |seen: &&mut Seen<P, R>| {
            seen.peer == request.peer && seen.message_id == request.message.message_id()
        };
        self.seen.get_mut(request.slot?).filter(is_same)
    }

    /// Remembers a message id for EXCHANGE_LIFETIME; the oldest gives way when the memory is full.
    fn remember(&mut self, now: Instant, peer: P, message_id: u16, answer: Answer<R>) -> Option<Slot> {
        while let Some((oldest, deadline)) = self.seen.earliest() {
            if deadline > now && self.seen.len() < self.seen.capacity() {
                break;
            }
            self.seen.remove(oldest);
        }
        let hash = self.hash(&peer, message_id);
        let deadline = now.after(self.parameters.exchange_lifetime);
        self.seen.insert(hash, deadline, Seen { peer, message_id, answer }).ok()
    }

    /// Keeps a reply for duplicates of its request. One that is too large is kept without its payload, or, where the
    /// request may safely be carried out again, not at all (RFC 7252 section 4.5).
    fn record_reply(&mut self, request: &Request<'_, P>, reply: &[u8]) {
        let mut kept = R::default();
        if kept.store(reply) {
            if let Some(seen) = self.seen_of(request) {
                seen.answer = Answer::Replied(kept);
            }
        } else if is_idempotent(request.message.code()) {
            self.disown(request);
        } else if let (Ok(message), Some(seen)) = (Message::parse(reply), self.seen_of(request)) {
            let header = Header {
                kind: message.kind(),
                code: message.code(),
                message_id: message.message_id(),
                token: message.token(),
            };
            // There is room for a header wherever there is any.
            let _ = kept.write(|room| MessageWriter::new(room, header).finish());
            seen.answer = Answer::Replied(kept);
        }
    }

    fn hash(&self, peer: &P, message_id: u16) -> u32 {
        let mut mixer = Mixer(self.hash_key);
        peer.hash(&mut mixer);
        mixer.write_u16(message_id);
        (mixer.finish() >> 32) as u32
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

/// The acknowledgement of a confirmable message.
#[must_use]
pub const fn acknowledge(message_id: u16) -> [u8; 4] {
    wire::empty_message(Kind::Acknowledgement, message_id)
}

/// The Reset of a message; also the answer to a ping.
#[must_use]
pub const fn reject(message_id: u16) -> [u8; 4] {
    wire::empty_message(Kind::Reset, message_id)
}

fn answered<'d, P>(out: &mut [u8], bytes: &[u8]) -> Received<'d, P> {
    Received::Answered(put(out, bytes))
}

fn put(out: &mut [u8], bytes: &[u8]) -> usize {
    out.get_mut(..bytes.len()).map_or(0, |room| {
        room.copy_from_slice(bytes);
        bytes.len()
    })
}

fn reply_code(reply: &[u8]) -> Code {
    reply.get(1).map_or(Code::EMPTY, |byte| Code::from_byte(*byte))
}

/// Whether the request's No-Response option (RFC 7967) asks not to be sent a response of this class.
fn is_unwanted(request: &Message<'_>, code: Code) -> bool {
    let class_bit = 1u32.checked_shl(u32::from(code.class()).saturating_sub(1)).unwrap_or(0);
    request.uint(OptionNumber::NO_RESPONSE).is_some_and(|unwanted| unwanted & class_bit != 0)
}

fn is_idempotent(method: Code) -> bool {
    matches!(method, Code::GET | Code::PUT | Code::DELETE | Code::FETCH | Code::IPATCH)
}

fn half(duration: Duration) -> Duration {
    duration.checked_div(2).unwrap_or_default()
}

/// How often a message is repeated out of turn because its peer was heard.
const MAX_PROMPTED: u8 = 3;

/// Whether the layers above do what an option asks for. OSCORE (RFC 8613) and EDHOC (RFC 9668) are known by name only: whoever sets
/// them relies on a protection that isn't there.
fn is_processed(number: OptionNumber) -> bool {
    number.definition().is_some() && !matches!(number, OptionNumber::OSCORE | OptionNumber::EDHOC)
}

fn asks_too_much(message: &Message<'_>) -> bool {
    message.check_critical(is_processed).is_err()
}

/// Bytes of a message's fixed header and its payload marker.
const HEADER: usize = 5;

/// What a refused option is called in the diagnostic payload.
fn option_name(number: OptionNumber) -> &'static [u8] {
    match number.definition() {
        Some(_) if is_processed(number) => b"an option has a bad value or stands twice",
        _ => b"a critical option is not known here",
    }
}

/// A quick keyed hash; the key keeps peers from choosing collisions.
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.mix(chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.mix(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.mix(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.mix(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }
}

/// An endpoint in arrays: `N` exchanges with messages of up to `MTU` bytes, and a memory of `S` message ids with replies of up to
/// `REPLY` bytes.
pub type FixedEndpoint<P, const N: usize, const MTU: usize, const S: usize, const REPLY: usize> = Endpoint<
    P,
    Inline<MTU>,
    Inline<REPLY>,
    [Cell<Exchange<P, Inline<MTU>>>; N],
    [Cell<Seen<P, Inline<REPLY>>>; S],
>;

impl<P: Copy + Eq + Hash, const N: usize, const MTU: usize, const S: usize, const REPLY: usize>
    FixedEndpoint<P, N, MTU, S, REPLY>
{
    /// An endpoint that lies wholly in its owner.
    pub fn fixed(parameters: Parameters, rng: &mut impl Rng) -> Self {
        Self::new(parameters, [const { Cell::EMPTY }; N], [const { Cell::EMPTY }; S], rng)
    }
}

/// The most bytes of a message that a [`HeapEndpoint`] sends.
#[cfg(feature = "alloc")]
pub const HEAP_MTU: usize = 1280;
/// The most bytes of a reply that a [`HeapEndpoint`] keeps for duplicates.
#[cfg(feature = "alloc")]
pub const HEAP_REPLY: usize = 40;

/// An endpoint on the heap, for servers.
#[cfg(feature = "alloc")]
pub type HeapEndpoint<P> = Endpoint<
    P,
    OnHeap<HEAP_MTU>,
    Inline<HEAP_REPLY>,
    alloc::boxed::Box<[Cell<Exchange<P, OnHeap<HEAP_MTU>>>]>,
    alloc::boxed::Box<[Cell<Seen<P, Inline<HEAP_REPLY>>>]>,
>;

#[cfg(feature = "alloc")]
impl<P: Copy + Eq + Hash> HeapEndpoint<P> {
    /// An endpoint for so many exchanges under way, that remembers so many message ids.
    pub fn on_heap(parameters: Parameters, exchanges: usize, seen: usize, rng: &mut impl Rng) -> Self {
        let exchanges = (0..exchanges).map(|_| Cell::EMPTY).collect();
        let seen = (0..seen).map(|_| Cell::EMPTY).collect();
        Self::new(parameters, exchanges, seen, rng)
    }
}

#[cfg(test)]
mod tests;
