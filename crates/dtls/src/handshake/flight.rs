//! The messages that go out together (RFC 6347 section 4.2.4): kept until they are answered, cut and packed anew
//! whenever they are sent.

use core::time::Duration;

use alloc::vec::Vec;

use super::SMALLEST_RECORD_LIMIT;
use super::inbox::{MESSAGE_HEADER_LENGTH, put_message_header};
use crate::crypto::Provider;
use crate::failure::Message;
use crate::record::{ContentType, HEADER_LENGTH, MAX_PLAINTEXT, OuterType, put_header};
use crate::session::Session;
use crate::time::Instant;
use crate::wire::{Put, SliceWriter};

/// No datagram is made smaller than this by back-off: IPv6 promises 1,280, IPv4 576, and some radios cut below.
const SMALLEST_DATAGRAM: usize = 256;

/// When messages are sent again, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The first wait for an answer; each further one is twice as long. One second in RFC 6347, nine in RFC 7925.
    pub first_timeout: Duration,
    /// No wait is longer.
    pub longest_timeout: Duration,
    /// So often a flight is sent again before the peer counts as silent.
    pub retransmissions: u8,
    /// The longest datagram to begin with. When answers fail to come, datagrams get smaller (RFC 6347 section 4.1.1.1).
    pub datagram: u16,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_timeout: Duration::from_secs(1),
            longest_timeout: Duration::from_secs(60),
            retransmissions: 6,
            datagram: 1232,
        }
    }
}

/// A flight, ready to be sent as often as it takes.
#[derive(Debug)]
pub(crate) struct Flight {
    items: Vec<Item>,
    /// The bodies of all messages.
    bytes: Vec<u8>,
    cursor: Cursor,
    /// Datagrams are no longer than this.
    datagram: usize,
    /// Nor is what a record holds longer than this.
    fragment: usize,
}

#[derive(Debug)]
enum Item {
    Message { message: Message, sequence: u16, epoch: Epoch, start: usize, end: usize },
    ChangeCipherSpec,
}

/// Whether a message is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epoch {
    Plain,
    Protected,
}

/// What is sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    item: usize,
    offset: usize,
}

impl Flight {
    pub(crate) const fn new(datagram: usize) -> Self {
        Self {
            items: Vec::new(),
            bytes: Vec::new(),
            cursor: Cursor { item: 0, offset: 0 },
            datagram,
            fragment: MAX_PLAINTEXT,
        }
    }

    /// The next flight: nothing to send, the same size of datagrams.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.cursor = Cursor { item: 0, offset: 0 };
    }

    /// Appends a message, and gives it back as the transcript wants it.
    pub(crate) fn push(&mut self, message: Message, sequence: u16, epoch: Epoch, body: &[u8]) -> Vec<u8> {
        let start = self.bytes.len();
        self.bytes.put(body);
        self.items.push(Item::Message { message, sequence, epoch, start, end: self.bytes.len() });
        let mut whole = Vec::with_capacity(MESSAGE_HEADER_LENGTH.saturating_add(body.len()));
        let total = u32::try_from(body.len()).unwrap_or(u32::MAX);
        put_message_header(&mut whole, message, sequence, total, 0, body.len());
        whole.put(body);
        whole
    }

    pub(crate) fn push_change_cipher_spec(&mut self) {
        self.items.push(Item::ChangeCipherSpec);
    }

    /// The peer takes no longer records than this (RFC 6066 section 4).
    pub(crate) fn limit_fragments(&mut self, limit: u16) {
        self.fragment = limit.max(SMALLEST_RECORD_LIMIT).into();
    }

    /// Whether our side has changed to the new keys.
    pub(crate) fn is_protected(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::ChangeCipherSpec))
    }

    /// Starts again from the first message.
    pub(crate) const fn rewind(&mut self) {
        self.cursor = Cursor { item: 0, offset: 0 };
    }

    /// Makes datagrams smaller: too large ones may be lost without a word.
    pub(crate) fn back_off(&mut self) {
        self.datagram = (self.datagram / 2).max(SMALLEST_DATAGRAM).min(self.datagram);
    }

    pub(crate) const fn has_more(&self) -> bool {
        self.cursor.item < self.items.len()
    }

    /// Writes the next datagram; how long it is, or `None` once all is written.
    ///
    /// `session` must be there if the flight has protected messages; `plain_sequence` numbers the plain records.
    pub(crate) fn poll<P: Provider>(
        &mut self,
        session: Option<&mut Session<P>>,
        plain_sequence: &mut u64,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut session = session;
        let room = out.len().min(self.datagram);
        let mut written = 0_usize;
        while self.has_more() {
            let rest = out.get_mut(written..room)?;
            match self.put_record(session.as_deref_mut(), plain_sequence, rest) {
                Some(length) => written = written.saturating_add(length),
                None => break,
            }
        }
        (written > 0).then_some(written)
    }

    /// Writes one record as long as there is room; `None` if not even a piece of a message fits.
    fn put_record<P: Provider>(
        &mut self,
        session: Option<&mut Session<P>>,
        plain_sequence: &mut u64,
        out: &mut [u8],
    ) -> Option<usize> {
        let (message, sequence, epoch, start, end) = match self.items.get(self.cursor.item)? {
            Item::ChangeCipherSpec => {
                let length = put_plain(ContentType::ChangeCipherSpec, plain_sequence, out, &[&[1]])?;
                self.next_item();
                return Some(length);
            }
            Item::Message { message, sequence, epoch, start, end } => {
                (*message, *sequence, *epoch, *start, *end)
            }
        };
        let body = self.bytes.get(start..end)?;
        let overhead = match (epoch, &session) {
            (Epoch::Plain, _) => HEADER_LENGTH,
            (Epoch::Protected, Some(session)) => session.overhead(),
            (Epoch::Protected, None) => return None,
        };
        let room = out.len().checked_sub(overhead.saturating_add(MESSAGE_HEADER_LENGTH))?;
        let room = room.min(self.fragment.saturating_sub(MESSAGE_HEADER_LENGTH));
        let rest = body.get(self.cursor.offset..)?;
        if room == 0 && !rest.is_empty() {
            return None;
        }
        let piece = rest.get(..rest.len().min(room))?;
        let mut header = [0; MESSAGE_HEADER_LENGTH];
        let total = u32::try_from(body.len()).ok()?;
        let offset = u32::try_from(self.cursor.offset).ok()?;
        put_message_header(&mut SliceWriter::new(&mut header), message, sequence, total, offset, piece.len());
        let length = match (epoch, session) {
            (Epoch::Protected, Some(session)) => put_protected(session, out, &header, piece)?,
            _ => put_plain(ContentType::Handshake, plain_sequence, out, &[&header, piece])?,
        };
        if piece.len() == rest.len() {
            self.next_item();
        } else {
            self.cursor.offset = self.cursor.offset.saturating_add(piece.len());
        }
        Some(length)
    }

    const fn next_item(&mut self) {
        self.cursor = Cursor { item: self.cursor.item.saturating_add(1), offset: 0 };
    }
}

/// Writes a record of epoch 0.
pub(crate) fn put_plain(
    content: ContentType,
    sequence: &mut u64,
    out: &mut [u8],
    body: &[&[u8]],
) -> Option<usize> {
    let length = body.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut writer = SliceWriter::new(out);
    put_header(&mut writer, OuterType::Plain(content), 0, *sequence, &[], length);
    body.iter().for_each(|part| writer.put(part));
    let written = writer.finish()?;
    *sequence = sequence.saturating_add(1);
    Some(written)
}

fn put_protected<P: Provider>(
    session: &mut Session<P>,
    out: &mut [u8],
    header: &[u8],
    piece: &[u8],
) -> Option<usize> {
    let mut writer = SliceWriter::new(out.get_mut(session.payload_offset()..)?);
    writer.put(header);
    writer.put(piece);
    let length = writer.finish()?;
    session.seal_in_place(ContentType::Handshake, out, length).ok()
}

/// The retransmission timer (RFC 6347 section 4.2.4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    timing: Timing,
    timeout: Duration,
    expires: Option<Instant>,
    tries: u8,
}

/// What a timer's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    NotYet,
    /// Send the flight again.
    Again,
    /// Send it again in smaller datagrams.
    AgainSmaller,
    GiveUp,
}

impl Timer {
    pub(crate) const fn new(timing: Timing) -> Self {
        Self { timing, timeout: timing.first_timeout, expires: None, tries: 0 }
    }

    /// A new flight goes out.
    pub(crate) fn start(&mut self, now: Instant) {
        self.timeout = self.timing.first_timeout;
        self.tries = 0;
        self.expires = Some(now.after(self.timeout));
    }

    pub(crate) const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Expired {
        if self.expires.is_none_or(|at| now < at) {
            return Expired::NotYet;
        }
        if self.tries >= self.timing.retransmissions {
            self.expires = None;
            return Expired::GiveUp;
        }
        self.tries = self.tries.saturating_add(1);
        self.timeout = self.timeout.saturating_mul(2).min(self.timing.longest_timeout);
        self.expires = Some(now.after(self.timeout));
        // A single loss says nothing about the path; two in a row may.
        if self.tries.is_multiple_of(2) { Expired::AgainSmaller } else { Expired::Again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RustCrypto;
    use crate::record::Datagram;

    #[test]
    fn a_flight_is_packed_into_few_datagrams_and_cut_where_it_must() {
        let mut flight = Flight::new(100);
        flight.push(Message::ServerHello, 1, Epoch::Plain, &[1; 20]);
        flight.push(Message::Certificate, 2, Epoch::Plain, &[2; 120]);
        flight.push(Message::ServerHelloDone, 3, Epoch::Plain, &[]);
        let mut sequence = 5;
        let mut out = [0; 1000];
        let mut lengths = Vec::new();
        let mut records = 0;
        while let Some(length) = flight.poll::<RustCrypto>(None, &mut sequence, &mut out) {
            lengths.push(length);
            let mut datagram = Datagram::new(&mut out[..length]);
            while datagram.next_record(0).is_some() {
                records += 1;
            }
        }
        assert_eq!(lengths, [100, 100, 65]);
        assert_eq!(records, 5);
        assert_eq!(sequence, 10);
    }

    #[test]
    fn the_timer_doubles_and_gives_up() {
        let timing = Timing { retransmissions: 3, ..Timing::default() };
        let mut timer = Timer::new(timing);
        timer.start(Instant::ZERO);
        let mut waits = Vec::new();
        let mut now = Instant::ZERO;
        while let Some(at) = timer.expires() {
            waits.push(at.since(now).as_secs());
            now = at;
            timer.expire(now);
        }
        assert_eq!(waits, [1, 2, 4, 8]);
    }
}
