//! What an endpoint remembers: of each exchange that it began, and of each message that it received.

use super::ids::Token;

/// What an outgoing message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A request: for its response.
    Request,
    /// A separate response or a notification: for its acknowledgement alone.
    Response,
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Exchange<P, K> {
    pub(super) peer: P,
    pub(super) tag: u64,
    pub(super) token: Token,
    pub(super) message_id: u16,
    pub(super) purpose: Purpose,
    /// Exchanges with one peer leave in this order.
    pub(super) order: u32,
    pub(super) state: State,
    pub(super) kept: K,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// NSTART exchanges with the peer are before it.
    Queued,
    /// To be sent now, without an acknowledgement.
    Unsent,
    /// Confirmable and not acknowledged; sent so many times by the schedule, the next time after `timeout` (milliseconds), and besides so
    /// many times because the peer was heard.
    Unacknowledged { transmissions: u8, timeout: u32, prompted: u8 },
    /// The peer has it; only the response is missing.
    AwaitingResponse { acknowledged: bool },
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Seen<P, R> {
    pub(super) peer: P,
    pub(super) message_id: u16,
    /// Of the message's code and token.
    pub(super) mark: u16,
    pub(super) answer: Answer<R>,
}

#[derive(Debug)]
pub(super) enum Answer<R> {
    /// The owner is still at it.
    Pending,
    /// An empty acknowledgement was sent.
    Acknowledged,
    /// This was sent.
    Replied(R),
}
