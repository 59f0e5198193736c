//! What peers ask of this side: requests, their duplicates, and the replies to them.

use core::hash::{Hash, Hasher};

use super::entries::{Answer, Exchange, Seen};
use super::mixer::Mixer;
use super::{Endpoint, MessageIds, Received, Request, acknowledge, answered, is_processed, put};
use crate::buffer::{Buffer, Messages};
use crate::number::{Code, OptionNumber};
use crate::recent::{Place, Places};
use crate::table::Cells;
use crate::time::Instant;
use crate::wire::{Header, Kind, Message, MessageWriter};

/// Bytes of a message's fixed header and its payload marker.
const HEADER: usize = 5;

impl<P, M, R, X, D> Endpoint<P, M, R, X, D>
where
    P: Copy + Eq + Hash,
    M: Messages,
    R: Buffer,
    X: Cells<Exchange<P, M::Kept>>,
    D: Places<Seen<P, R>>,
{
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
        let mut write = Some(write);
        self.reply_written(request, ids, out, &mut |writer| {
            if let Some(write) = write.take() {
                write(writer);
            }
        })
    }

    /// One function for all that writes: a chip has no room for a copy of it for each answer.
    fn reply_written(
        &mut self,
        request: &Request<'_, P>,
        ids: &mut MessageIds,
        out: &mut [u8],
        write: &mut dyn FnMut(&mut MessageWriter<'_>),
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
            request.place.and_then(|place| self.seen.remove(place));
        }
    }

    pub(super) fn request<'d>(
        &mut self,
        now: Instant,
        peer: P,
        message: Message<'d>,
        out: &mut [u8],
    ) -> Received<'d, P> {
        if let Some(place) = self.find_seen(peer, &message) {
            return self.answer_duplicate(place, message, out);
        }
        let place = self.remember(now, peer, &message, Answer::Pending);
        let request = Request { peer, message, place };
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

    fn answer_duplicate<'d>(&self, place: Place, message: Message<'d>, out: &mut [u8]) -> Received<'d, P> {
        match self.seen.get(place).map(|seen| &seen.answer) {
            Some(Answer::Replied(reply)) => answered(out, reply.bytes()),
            Some(Answer::Acknowledged) => answered(out, &acknowledge(message.message_id())),
            Some(Answer::Pending) | None => Received::Nothing,
        }
    }

    /// The earlier message of which this is a duplicate (RFC 7252 section 4.5). A duplicate has the same code and token as well: a device
    /// that starts anew may use ids again that it used shortly before, and what it asks then is not to be answered by what it was told.
    pub(super) fn find_seen(&self, peer: P, message: &Message<'_>) -> Option<Place> {
        let (message_id, mark) = (message.message_id(), self.mark(message));
        let is_same =
            |seen: &Seen<P, R>| seen.peer == peer && seen.message_id == message_id && seen.mark == mark;
        self.seen.find(self.hash(&peer, message_id), is_same)
    }

    /// Tells messages with the same id apart. Of those that are no duplicates, one in 65,536 is taken for one.
    fn mark(&self, message: &Message<'_>) -> u16 {
        let mut mixer = Mixer(self.hash_key);
        mixer.write_u8(message.code().to_byte());
        mixer.write(message.token());
        (mixer.finish() >> 48) as u16
    }

    fn seen_of(&mut self, request: &Request<'_, P>) -> Option<&mut Seen<P, R>> {
        let is_same = |seen: &&mut Seen<P, R>| {
            seen.peer == request.peer && seen.message_id == request.message.message_id()
        };
        self.seen.get_mut(request.place?).filter(is_same)
    }

    /// Remembers a message id for EXCHANGE_LIFETIME; the oldest gives way when the memory is full.
    pub(super) fn remember(
        &mut self,
        now: Instant,
        peer: P,
        message: &Message<'_>,
        answer: Answer<R>,
    ) -> Option<Place> {
        let (message_id, mark) = (message.message_id(), self.mark(message));
        let hash = self.hash(&peer, message_id);
        let deadline = now.after(self.parameters.exchange_lifetime);
        self.seen.insert(now, hash, deadline, Seen { peer, message_id, mark, answer })
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

/// What a refused option is called in the diagnostic payload.
fn option_name(number: OptionNumber) -> &'static [u8] {
    match number.definition() {
        Some(_) if is_processed(number) => b"an option has a bad value or stands twice",
        _ => b"a critical option is not known here",
    }
}
