//! Puts the peer's handshake messages together from fragments, and hands them out in order (RFC 6347 sections 4.2.2, 4.2.3).
//!
//! Bounded whatever comes: a few messages ahead of the next one, and so many bytes in all.

use alloc::vec::Vec;

use crate::failure::{Failure, Message};
use crate::wire::{Malformed, Put, Reader};

/// Bytes of a handshake message's header.
pub(super) const MESSAGE_HEADER_LENGTH: usize = 12;

/// Messages that may have begun to arrive. A server's longest flight has five.
const AHEAD: u16 = 6;
/// Pieces of one message with gaps between them.
const MAX_PIECES: usize = 16;

/// Messages under way.
#[derive(Debug)]
pub(crate) struct Inbox {
    next_sequence: u16,
    /// Bytes of all messages together.
    limit: usize,
    partial: Vec<Partial>,
}

/// A whole message.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) message: Message,
    /// The header as for a message that was never cut, and the body: what the transcript takes.
    bytes: Vec<u8>,
}

impl Arrived {
    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(MESSAGE_HEADER_LENGTH..).unwrap_or(&[])
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A message that came whole.
    pub(crate) fn whole(fragment: &Fragment<'_>) -> Self {
        let mut bytes = Vec::with_capacity(MESSAGE_HEADER_LENGTH.saturating_add(fragment.body.len()));
        put_message_header(
            &mut bytes,
            fragment.message,
            fragment.sequence,
            fragment.total,
            0,
            fragment.body.len(),
        );
        bytes.put(fragment.body);
        Self { message: fragment.message, bytes }
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It waits, or completes a message.
    Yes,
    /// It belongs to a message that was handed out before: the peer repeats its flight.
    Repeated(Message),
    /// There is no room, or it is too far ahead; it will be sent again.
    No,
}

/// A piece of a handshake message as it stands in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) message: Message,
    pub(crate) sequence: u16,
    pub(crate) total: u32,
    pub(crate) offset: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Fragment<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let message = Message::from_number(reader.u8()?);
        let total = reader.u24()?;
        let sequence = reader.u16()?;
        let offset = reader.u24()?;
        let length = reader.u24()?;
        if offset.checked_add(length).is_none_or(|end| end > total) {
            return Err(Malformed);
        }
        let body = reader.take(usize::try_from(length).map_err(|_| Malformed)?)?;
        Ok(Self { message, sequence, total, offset, body })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.offset == 0 && usize::try_from(self.total) == Ok(self.body.len())
    }
}

pub(crate) fn put_message_header(
    out: &mut impl Put,
    message: Message,
    sequence: u16,
    total: u32,
    offset: u32,
    length: usize,
) {
    out.put_u8(message.number());
    out.put_u24(total);
    out.put_u16(sequence);
    out.put_u24(offset);
    out.put_u24(u32::try_from(length).unwrap_or(u32::MAX));
}

impl Inbox {
    pub(crate) const fn new(next_sequence: u16, limit: usize) -> Self {
        Self { next_sequence, limit, partial: Vec::new() }
    }

    pub(crate) fn skip_to(&mut self, sequence: u16) {
        self.next_sequence = sequence;
        self.partial.retain(|partial| partial.sequence >= sequence);
    }

    /// Keeps a fragment.
    pub(crate) fn push(&mut self, epoch: u16, fragment: &Fragment<'_>) -> Result<Kept, Failure> {
        let Some(ahead) = fragment.sequence.checked_sub(self.next_sequence) else {
            return Ok(Kept::Repeated(fragment.message));
        };
        let total = usize::try_from(fragment.total).unwrap_or(usize::MAX);
        if total > self.limit {
            return Err(Failure::PeerSentTooMuch);
        }
        if ahead >= AHEAD {
            return Ok(Kept::No);
        }
        self.forget_contradicted(epoch, fragment);
        let position = self.partial.iter().position(|partial| partial.sequence == fragment.sequence);
        let partial = match position {
            Some(position) => self.partial.get_mut(position),
            None if !self.make_room(total, fragment.sequence) => None,
            None => {
                self.partial.push(Partial::new(epoch, fragment, total));
                self.partial.last_mut()
            }
        };
        let Some(partial) = partial else { return Ok(Kept::No) };
        Ok(if partial.fill(epoch, fragment) { Kept::Yes } else { Kept::No })
    }

    /// The next message, once it is whole.
    pub(crate) fn pop(&mut self) -> Option<Arrived> {
        let position = self
            .partial
            .iter()
            .position(|partial| partial.sequence == self.next_sequence && partial.is_whole())?;
        let Partial { message, bytes, .. } = self.partial.swap_remove(position);
        self.next_sequence = self.next_sequence.saturating_add(1);
        Some(Arrived { message, bytes })
    }

    /// Of two that contradict each other, the newer counts: what the peer said it will say again, and what somebody else said
    /// is gone then. But nothing in the clear counts against what was encrypted.
    fn forget_contradicted(&mut self, epoch: u16, fragment: &Fragment<'_>) {
        self.partial.retain(|partial| {
            partial.sequence != fragment.sequence || partial.agrees(epoch, fragment) || partial.epoch > epoch
        });
    }

    /// Whether there is room for a message. What is due later makes room for what is due sooner, so that the next message always
    /// has some, whatever was put in its way.
    fn make_room(&mut self, total: usize, sequence: u16) -> bool {
        while self.held().saturating_add(total) > self.limit {
            let later =
                self.partial.iter().map(|partial| partial.sequence).filter(|later| *later > sequence).max();
            let Some(later) = later else { return false };
            self.partial.retain(|partial| partial.sequence != later);
        }
        true
    }

    /// Bytes of the messages that wait.
    fn held(&self) -> usize {
        self.partial.iter().fold(0, |sum, partial| sum.saturating_add(partial.total()))
    }
}

#[derive(Debug)]
struct Partial {
    sequence: u16,
    message: Message,
    epoch: u16,
    /// Header and body; the body's gaps are zero.
    bytes: Vec<u8>,
    /// What of the body is there: pieces in order that don't touch.
    pieces: Vec<(usize, usize)>,
}

impl Partial {
    fn new(epoch: u16, fragment: &Fragment<'_>, total: usize) -> Self {
        let mut bytes = Vec::with_capacity(MESSAGE_HEADER_LENGTH.saturating_add(total));
        put_message_header(&mut bytes, fragment.message, fragment.sequence, fragment.total, 0, total);
        bytes.resize(MESSAGE_HEADER_LENGTH.saturating_add(total), 0);
        Self { sequence: fragment.sequence, message: fragment.message, epoch, bytes, pieces: Vec::new() }
    }

    /// `false` if the fragment contradicts the others, or makes too many pieces.
    fn fill(&mut self, epoch: u16, fragment: &Fragment<'_>) -> bool {
        let start = usize::try_from(fragment.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(fragment.body.len());
        if !self.agrees(epoch, fragment) || self.pieces.len() >= MAX_PIECES {
            return false;
        }
        let body = self.bytes.get_mut(MESSAGE_HEADER_LENGTH..).and_then(|body| body.get_mut(start..end));
        let Some(room) = body else { return false };
        room.copy_from_slice(fragment.body);
        self.add_piece(start, end);
        true
    }

    fn agrees(&self, epoch: u16, fragment: &Fragment<'_>) -> bool {
        let is_as_long = usize::try_from(fragment.total) == Ok(self.total());
        self.epoch == epoch && self.message == fragment.message && is_as_long
    }

    fn add_piece(&mut self, start: usize, end: usize) {
        let (mut start, mut end) = (start, end);
        self.pieces.retain(|&(from, to)| {
            let apart = to < start || end < from;
            if !apart {
                start = start.min(from);
                end = end.max(to);
            }
            apart
        });
        let at = self.pieces.partition_point(|&(from, _)| from < start);
        self.pieces.insert(at, (start, end));
    }

    fn total(&self) -> usize {
        self.bytes.len().saturating_sub(MESSAGE_HEADER_LENGTH)
    }

    fn is_whole(&self) -> bool {
        matches!(self.pieces.as_slice(), [(0, end)] if *end == self.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fragment(sequence: u16, total: u32, offset: u32, body: &[u8]) -> Fragment<'_> {
        Fragment { message: Message::Certificate, sequence, total, offset, body }
    }

    #[test]
    fn messages_come_out_in_order_however_they_arrive() {
        let mut inbox = Inbox::new(0, 1000);
        assert_eq!(inbox.push(0, &fragment(1, 3, 0, b"def")), Ok(Kept::Yes));
        assert!(inbox.pop().is_none());
        assert_eq!(inbox.push(0, &fragment(0, 3, 1, b"bc")), Ok(Kept::Yes));
        assert!(inbox.pop().is_none());
        assert_eq!(inbox.push(0, &fragment(0, 3, 0, b"ab")), Ok(Kept::Yes));
        assert_eq!(inbox.pop().unwrap().body(), b"abc");
        assert_eq!(inbox.pop().unwrap().body(), b"def");
        assert_eq!(inbox.push(0, &fragment(0, 3, 0, b"ab")), Ok(Kept::Repeated(Message::Certificate)));
    }

    #[test]
    fn memory_stays_within_its_bound() {
        let mut inbox = Inbox::new(0, 100);
        assert_eq!(inbox.push(0, &fragment(0, 101, 0, b"a")), Err(Failure::PeerSentTooMuch));
        assert_eq!(inbox.push(0, &fragment(0, 80, 0, b"a")), Ok(Kept::Yes));
        assert_eq!(inbox.push(0, &fragment(1, 80, 0, b"a")), Ok(Kept::No));
        assert_eq!(inbox.push(0, &fragment(6, 1, 0, b"a")), Ok(Kept::No));
    }

    #[test]
    fn what_is_due_later_makes_room_for_what_is_due_sooner() {
        let mut inbox = Inbox::new(0, 100);
        assert_eq!(inbox.push(0, &fragment(3, 100, 0, b"forged")), Ok(Kept::Yes));
        assert_eq!(inbox.push(0, &fragment(0, 3, 0, b"abc")), Ok(Kept::Yes));
        assert_eq!(inbox.pop().unwrap().body(), b"abc");
    }

    #[test]
    fn of_fragments_that_contradict_each_other_the_newer_counts() {
        let mut inbox = Inbox::new(0, 100);
        assert_eq!(inbox.push(0, &fragment(0, 9, 0, b"forged")), Ok(Kept::Yes));
        assert_eq!(inbox.push(0, &fragment(0, 3, 0, b"a")), Ok(Kept::Yes));
        assert_eq!(inbox.push(0, &fragment(0, 3, 1, b"bc")), Ok(Kept::Yes));
        assert_eq!(inbox.pop().unwrap().body(), b"abc");
    }

    #[test]
    fn nothing_in_the_clear_counts_against_what_was_encrypted() {
        let mut inbox = Inbox::new(0, 100);
        assert_eq!(inbox.push(0, &fragment(0, 9, 0, b"forged")), Ok(Kept::Yes));
        assert_eq!(inbox.push(1, &fragment(0, 3, 0, b"a")), Ok(Kept::Yes));
        assert_eq!(inbox.push(0, &fragment(0, 9, 0, b"forged")), Ok(Kept::No));
        assert_eq!(inbox.push(1, &fragment(0, 3, 1, b"bc")), Ok(Kept::Yes));
        assert_eq!(inbox.pop().unwrap().body(), b"abc");
    }

    #[test]
    fn an_empty_message_is_whole_at_once() {
        let mut inbox = Inbox::new(0, 100);
        assert_eq!(inbox.push(0, &fragment(0, 0, 0, b"")), Ok(Kept::Yes));
        assert_eq!(inbox.pop().unwrap().body(), b"");
    }

    proptest! {
        #[test]
        fn a_message_cut_anyhow_is_put_together(
            body in proptest::collection::vec(any::<u8>(), 1..120),
            cuts in proptest::collection::vec((0_usize..120, 1_usize..40), 0..30),
        ) {
            let mut inbox = Inbox::new(3, 200);
            let total = body.len() as u32;
            for (start, length) in cuts {
                let start = start % body.len();
                let end = (start + length).min(body.len());
                inbox.push(0, &fragment(3, total, start as u32, &body[start..end])).unwrap();
            }
            for (at, piece) in body.chunks(7).enumerate() {
                inbox.push(0, &fragment(3, total, at as u32 * 7, piece)).unwrap();
            }
            // Too many scattered pieces are dropped, and a repetition brings them.
            for (at, piece) in body.chunks(7).enumerate() {
                inbox.push(0, &fragment(3, total, at as u32 * 7, piece)).unwrap();
            }
            let arrived = inbox.pop().unwrap();
            prop_assert_eq!(arrived.body(), &body[..]);
        }
    }
}
