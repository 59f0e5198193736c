//! Messages and reliability (RFC 7252 sections 4 and 5): who said what to whom, how often, and who still waits.
//!
//! An [`Endpoint`] serves any number of peers from a bounded memory. It matches responses to requests, acknowledges, resets,
//! retransmits with back-off, keeps NSTART, and answers duplicates as it answered the first time. What a request means,
//! blocks and observations are for the layers above.
//!
//! The contract: every datagram goes to [`Endpoint::receive`]; after each call into the endpoint, and when the time of
//! [`Endpoint::next_deadline`] has come, [`Endpoint::poll`] is drained until it returns `None`.

mod entries;
mod ids;
mod incoming;
mod memory;
mod mixer;
mod outgoing;
mod parameters;

use core::hash::{Hash, Hasher};

use rand_core::Rng;

use crate::buffer::{Buffer, Messages};
use crate::number::{Code, OptionNumber};
use crate::recent::{Place, Places, Recent};
use crate::table::{Cells, Table};
use crate::time::Instant;
use crate::wire::{self, Kind, Message, ParseError};
use entries::State;
use mixer::Mixer;

pub use entries::Purpose;
#[doc(hidden)]
pub use entries::{Exchange, Seen};
pub use ids::{MessageIds, Token};
pub use memory::FixedEndpoint;
#[cfg(feature = "alloc")]
pub use memory::{HEAP_MTU, HEAP_REPLY, HeapEndpoint};
pub use outgoing::{Delivery, Outgoing, SendError};
pub use parameters::Parameters;

/// The messages that an endpoint exchanges with its peers.
///
/// `P` names a peer; `M` keeps outgoing messages until they are acknowledged, `R` a reply until no duplicate can come;
/// `X` and `D` are the memory for outgoing exchanges and for deduplication.
#[derive(Debug)]
pub struct Endpoint<P, M: Messages, R, X, D> {
    parameters: Parameters,
    messages: M,
    exchanges: Table<Exchange<P, M::Kept>, X>,
    seen: Recent<Seen<P, R>, D>,
    hash_key: u64,
    order: u32,
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
    place: Option<Place>,
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

impl<P, M, R, X, D> Endpoint<P, M, R, X, D>
where
    P: Copy + Eq + Hash,
    M: Messages,
    R: Buffer,
    X: Cells<Exchange<P, M::Kept>>,
    D: Places<Seen<P, R>>,
{
    /// An endpoint that remembers as much as the three memories hold.
    pub fn new(parameters: Parameters, messages: M, exchanges: X, seen: D, rng: &mut impl Rng) -> Self {
        Self {
            parameters,
            messages,
            exchanges: Table::new(exchanges),
            seen: Recent::new(seen),
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
                self.exchanges.set_deadline(slot, now.after_millis(wait));
                let exchange = self.exchanges.get_mut(slot)?;
                exchange.state = state;
                Some(Due::Transmit { peer, datagram: self.messages.bytes(&exchange.kept) })
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

    fn hash(&self, peer: &P, message_id: u16) -> u32 {
        let mut mixer = Mixer(self.hash_key);
        peer.hash(&mut mixer);
        mixer.write_u16(message_id);
        (mixer.finish() >> 32) as u32
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

/// Whether the layers above do what an option asks for. OSCORE (RFC 8613) and EDHOC (RFC 9668) are known by name only: whoever sets
/// them relies on a protection that isn't there.
fn is_processed(number: OptionNumber) -> bool {
    number.definition().is_some() && !matches!(number, OptionNumber::OSCORE | OptionNumber::EDHOC)
}

fn asks_too_much(message: &Message<'_>) -> bool {
    message.check_critical(is_processed).is_err()
}

#[cfg(test)]
mod tests;
