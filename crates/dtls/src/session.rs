//! An established session: two keys, two sequence numbers, two connection IDs (RFC 6347 section 4.1, RFC 9146).
//!
//! Nothing here allocates, and everything lies in line. Knows neither handshakes nor alerts.

pub(crate) mod export;
pub(crate) mod replay;

use core::fmt;
use core::marker::PhantomData;

use crate::cid::{ConnectionId, MAX_CID_LENGTH};
use crate::config::PskKey;
use crate::crypto::{DirectionKey, KeyBlock, NONCE_LENGTH, Provider, Side};
use crate::peer::Peer;
use crate::record::{
    ContentType, HEADER_LENGTH, MAX_PLAINTEXT, MAX_SEQUENCE, OuterType, Record, TLS12_CID, VERSION,
    put_header,
};
use crate::resumption::KeyTag;
use crate::suite::CipherSuite;
use crate::wire::{Put, SliceWriter};
use replay::{Freshness, ReplayWindow};

/// The epoch of everything encrypted: there is no renegotiation, so there is no other.
pub(crate) const EPOCH: u16 = 1;
/// Bytes of a nonce that stand in front of the encrypted text.
const EXPLICIT_NONCE_LENGTH: usize = 8;
/// The longest additional data: a record's header with a connection ID, and a few bytes (RFC 9146 section 5.3).
const MAX_AAD_LENGTH: usize = 23 + MAX_CID_LENGTH;

/// A session with its keys.
pub(crate) struct Session<P> {
    suite: CipherSuite,
    side: Side,
    write_key: DirectionKey,
    read_key: DirectionKey,
    next_write: u64,
    /// Sequence numbers from here on are not ours to use: a saved session may start with them.
    write_limit: u64,
    /// The highest number from which an export of this session goes on.
    promised: u64,
    window: ReplayWindow,
    /// Records above this are accepted, but say that the session should be saved.
    read_save_at: u64,
    /// In records to us.
    local_cid: ConnectionId,
    /// In records to the peer.
    remote_cid: ConnectionId,
    max_send: u16,
    max_receive: u16,
    peer: Peer,
    /// Which pre-shared key proved the peer; known to servers, and not of sessions that older versions saved.
    key_tag: Option<KeyTag>,
    provider: PhantomData<P>,
}

/// What a handshake agreed on beside the keys.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) suite: CipherSuite,
    pub(crate) local_cid: ConnectionId,
    pub(crate) remote_cid: ConnectionId,
    /// The longest plaintext that the peer takes.
    pub(crate) max_send: u16,
    /// The longest plaintext that we said we take.
    pub(crate) max_receive: u16,
}

/// A record that proved authentic.
pub(crate) struct Opened<'d> {
    /// `None` if the peer encrypted nonsense.
    pub(crate) content: Option<ContentType>,
    pub(crate) plaintext: &'d mut [u8],
    pub(crate) freshness: Freshness,
}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The buffer is too short for the record.
    BufferTooShort,
    /// The payload is longer than [`Connection::max_payload`](crate::Connection::max_payload).
    PayloadTooLong,
    /// Export the session and have it saved first: the sequence numbers that the last export reserved are used up.
    SaveFirst,
    /// All 2^48 sequence numbers are used up: only a new handshake helps.
    Exhausted,
    /// There is no established session.
    NotConnected,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooShort => "the buffer is too short for the record",
            Self::PayloadTooLong => "the payload is too long for one record",
            Self::SaveFirst => "the session must be saved before more is sent",
            Self::Exhausted => "the session has no sequence numbers left",
            Self::NotConnected => "there is no established session",
        })
    }
}

impl core::error::Error for SealError {}

impl<P: Provider> Session<P> {
    pub(crate) fn new(side: Side, keys: KeyBlock, terms: Terms, peer: Peer) -> Self {
        let (write_key, read_key) = match side {
            Side::Client => (keys.client, keys.server),
            Side::Server => (keys.server, keys.client),
        };
        let Terms { suite, local_cid, remote_cid, max_send, max_receive } = terms;
        Self {
            suite,
            side,
            write_key,
            read_key,
            next_write: 0,
            write_limit: MAX_SEQUENCE,
            promised: 0,
            window: ReplayWindow::new(),
            read_save_at: MAX_SEQUENCE,
            local_cid,
            remote_cid,
            max_send,
            max_receive,
            peer,
            key_tag: None,
            provider: PhantomData,
        }
    }

    /// Notes by which pre-shared key the peer proved itself.
    pub(crate) fn bind_to(&mut self, key: &PskKey) {
        self.key_tag = Some(self.tag_of(key));
    }

    /// Whether the peer proved itself by this key. A session that an older version saved is bound to it now.
    pub(crate) fn is_bound_to(&mut self, key: &PskKey) -> bool {
        let tag = self.tag_of(key);
        *self.key_tag.get_or_insert(tag) == tag
    }

    /// With the session's own keys in it, the tag says nothing of the pre-shared key.
    fn tag_of(&self, key: &PskKey) -> KeyTag {
        let (client, server) = match self.side {
            Side::Client => (&self.write_key, &self.read_key),
            Side::Server => (&self.read_key, &self.write_key),
        };
        KeyTag::under::<P>(&client.key, &[&server.key, key.as_bytes()])
    }

    pub(crate) const fn suite(&self) -> CipherSuite {
        self.suite
    }

    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) const fn local_cid(&self) -> &ConnectionId {
        &self.local_cid
    }

    pub(crate) const fn remote_cid(&self) -> &ConnectionId {
        &self.remote_cid
    }

    /// The longest payload of one record.
    pub(crate) const fn max_payload(&self) -> usize {
        // With a connection ID the true type is a part of the plaintext, and a careful peer may count it.
        (self.max_send as usize).saturating_sub(if self.remote_cid.is_empty() { 0 } else { 1 })
    }

    /// Where in the buffer of [`Session::seal_in_place`] the payload starts.
    pub(crate) const fn payload_offset(&self) -> usize {
        HEADER_LENGTH.saturating_add(self.remote_cid.len()).saturating_add(EXPLICIT_NONCE_LENGTH)
    }

    /// Bytes of a record that are not payload.
    pub(crate) const fn overhead(&self) -> usize {
        let true_type = if self.remote_cid.is_empty() { 0 } else { 1 };
        self.payload_offset().saturating_add(true_type).saturating_add(self.suite.aead().tag_length())
    }

    /// Writes a record around the `length` bytes that stand at [`Session::payload_offset`] of `buffer`; how long it is.
    pub(crate) fn seal_in_place(
        &mut self,
        content: ContentType,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SealError> {
        if length > MAX_PLAINTEXT {
            return Err(SealError::PayloadTooLong);
        }
        let aead = self.suite.aead();
        let (head, rest) =
            buffer.split_at_mut_checked(self.payload_offset()).ok_or(SealError::BufferTooShort)?;
        let with_cid = !self.remote_cid.is_empty();
        let text_length = length.saturating_add(usize::from(with_cid));
        let (text, rest) = rest.split_at_mut_checked(text_length).ok_or(SealError::BufferTooShort)?;
        let tag = rest.get_mut(..aead.tag_length()).ok_or(SealError::BufferTooShort)?;
        let sequence = self.take_sequence()?;
        let outer_type = if with_cid { OuterType::WithConnectionId } else { OuterType::Plain(content) };
        if let Some(true_type) = text.get_mut(length..).and_then(<[u8]>::first_mut) {
            *true_type = content.number();
        }
        let body_length = EXPLICIT_NONCE_LENGTH.saturating_add(text_length).saturating_add(aead.tag_length());
        let mut writer = SliceWriter::new(head);
        put_header(&mut writer, outer_type, EPOCH, sequence, self.remote_cid.as_bytes(), body_length);
        let explicit = explicit_nonce(sequence);
        writer.put(&explicit);
        let aad = Aad::new(outer_type, sequence, self.remote_cid.as_bytes(), text_length);
        let nonce = nonce(&self.write_key, &explicit);
        P::seal(aead, &self.write_key.key, &nonce, aad.as_bytes(), text, tag);
        Ok(self.payload_offset().saturating_add(text_length).saturating_add(aead.tag_length()))
    }

    /// Writes a record with this payload to the start of `out`; how long it is.
    pub(crate) fn seal(
        &mut self,
        content: ContentType,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let start = self.payload_offset();
        let end = start.saturating_add(payload.len());
        out.get_mut(start..end).ok_or(SealError::BufferTooShort)?.copy_from_slice(payload);
        self.seal_in_place(content, out, payload.len())
    }

    /// Decrypts a record in place. It comes back unchanged if it is none of this session, or was seen before.
    pub(crate) fn open<'d>(&mut self, record: Record<'d>) -> Result<Opened<'d>, Record<'d>> {
        let freshness = self.window.check(record.sequence);
        let with_cid = !self.local_cid.is_empty();
        let is_with_cid = record.outer_type == OuterType::WithConnectionId;
        if record.epoch != EPOCH
            || freshness == Freshness::Replayed
            || is_with_cid != with_cid
            || record.cid != self.local_cid.as_bytes()
        {
            return Err(record);
        }
        let aead = self.suite.aead();
        let tag_length = aead.tag_length();
        let Some(text_length) =
            record.body.len().checked_sub(EXPLICIT_NONCE_LENGTH.saturating_add(tag_length))
        else {
            return Err(record);
        };
        if text_length > usize::from(self.max_receive).saturating_add(usize::from(with_cid)) {
            return Err(record);
        }
        let aad = Aad::new(record.outer_type, record.sequence, record.cid, text_length);
        if self.open_body(&aad, record.body).is_none() {
            return Err(record);
        }
        self.window.accept(record.sequence);
        let Record { outer_type, body, .. } = record;
        let text = body
            .get_mut(EXPLICIT_NONCE_LENGTH..EXPLICIT_NONCE_LENGTH.saturating_add(text_length))
            .unwrap_or_default();
        let (content, plaintext) = match outer_type {
            OuterType::Plain(content) => (Some(content), text),
            OuterType::WithConnectionId => match true_type(text) {
                Some((content, plaintext)) => (Some(content), plaintext),
                None => (None, &mut [][..]),
            },
        };
        Ok(Opened { content, plaintext, freshness })
    }

    /// Whether a record that can't be opened has the outside of a handshake message that should be.
    pub(crate) fn may_be_finished(&self, record: &Record<'_>) -> bool {
        let is_handshake = match record.outer_type {
            OuterType::Plain(content) => content == ContentType::Handshake && self.local_cid.is_empty(),
            OuterType::WithConnectionId => record.cid == self.local_cid.as_bytes(),
        };
        is_handshake && record.epoch == EPOCH && self.window.check(record.sequence) != Freshness::Replayed
    }

    fn open_body(&self, aad: &Aad, body: &mut [u8]) -> Option<()> {
        let aead = self.suite.aead();
        let (explicit, rest) = body.split_first_chunk_mut::<EXPLICIT_NONCE_LENGTH>()?;
        let (text, tag) = rest.split_at_mut_checked(rest.len().checked_sub(aead.tag_length())?)?;
        let nonce = nonce(&self.read_key, explicit);
        P::open(aead, &self.read_key.key, &nonce, aad.as_bytes(), text, tag).ok()
    }

    fn take_sequence(&mut self) -> Result<u64, SealError> {
        if self.next_write >= MAX_SEQUENCE {
            return Err(SealError::Exhausted);
        }
        if self.next_write >= self.write_limit {
            return Err(SealError::SaveFirst);
        }
        let sequence = self.next_write;
        self.next_write = sequence.saturating_add(1);
        Ok(sequence)
    }
}

impl<P> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("suite", &self.suite)
            .field("side", &self.side)
            .field("peer", &self.peer)
            .field("local_cid", &self.local_cid)
            .field("remote_cid", &self.remote_cid)
            .finish_non_exhaustive()
    }
}

/// RFC 6655 section 3 recommends the sequence number with its epoch; no number is used twice, so no nonce is.
fn explicit_nonce(sequence: u64) -> [u8; EXPLICIT_NONCE_LENGTH] {
    (sequence | u64::from(EPOCH) << 48).to_be_bytes()
}

fn nonce(key: &DirectionKey, explicit: &[u8; EXPLICIT_NONCE_LENGTH]) -> [u8; NONCE_LENGTH] {
    let mut nonce = [0; NONCE_LENGTH];
    nonce.iter_mut().zip(key.salt.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
    nonce
}

/// Cuts the true type and the padding behind the content (RFC 9146 section 4).
fn true_type(text: &mut [u8]) -> Option<(ContentType, &mut [u8])> {
    let end = text.iter().rposition(|byte| *byte != 0)?;
    let content = ContentType::from_number(*text.get(end)?)?;
    Some((content, text.get_mut(..end)?))
}

/// The additional data of a record.
struct Aad {
    bytes: [u8; MAX_AAD_LENGTH],
    length: usize,
}

impl Aad {
    fn new(outer_type: OuterType, sequence: u64, cid: &[u8], text_length: usize) -> Self {
        let mut bytes = [0; MAX_AAD_LENGTH];
        let mut writer = SliceWriter::new(&mut bytes);
        let text_length = u16::try_from(text_length).unwrap_or(u16::MAX);
        match outer_type {
            // RFC 5246 section 6.2.3.3
            OuterType::Plain(content) => {
                writer.put(&explicit_nonce(sequence));
                writer.put_u8(content.number());
                writer.put_u16(VERSION);
            }
            // RFC 9146 section 5.3
            OuterType::WithConnectionId => {
                writer.put(&[0xff; 8]);
                writer.put_u8(TLS12_CID);
                writer.put_u8(u8::try_from(cid.len()).unwrap_or(u8::MAX));
                writer.put_u8(TLS12_CID);
                writer.put_u16(VERSION);
                writer.put(&explicit_nonce(sequence));
                writer.put(cid);
            }
        }
        writer.put_u16(text_length);
        let length = writer.finish().unwrap_or(0);
        Self { bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::crypto::RustCrypto;
    use crate::record::Datagram;

    fn session(side: Side, local_cid: ConnectionId, remote_cid: ConnectionId) -> Session<RustCrypto> {
        let key = |number| DirectionKey { key: [number; 16], salt: [number; 4] };
        let keys = KeyBlock { client: key(1), server: key(2) };
        let suite = CipherSuite::PskAes128Ccm8;
        let terms = Terms { suite, local_cid, remote_cid, max_send: 1000, max_receive: 1000 };
        Session::new(side, keys, terms, Peer::PskServer)
    }

    #[test]
    fn the_example_of_a_record_with_a_connection_id_has_the_standard_s_form() {
        let cid = ConnectionId::new(&[0xc1, 0xd2]).unwrap();
        let mut client = session(Side::Client, ConnectionId::EMPTY, cid);
        client.next_write = 0x0102;
        let mut out = [0; 100];
        let length = client.seal(ContentType::ApplicationData, b"hello", &mut out).unwrap();
        // Type tls12_cid, version 1.2, epoch 1, sequence number, connection ID, length of nonce, text, true type and tag.
        let header = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 2, 0xc1, 0xd2, 0, 8 + 5 + 1 + 8];
        assert_eq!(out[..15], header);
        assert_eq!(length, 15 + 22);

        // Opened by hand, as RFC 9146 sections 4 and 5.3 have it.
        let mut nonce = [1; 12];
        nonce[4..].copy_from_slice(&[0, 1, 0, 0, 0, 0, 1, 2]);
        assert_eq!(out[15..23], nonce[4..]);
        let mut aad = std::vec![0xff; 8];
        aad.extend([25, 2, 25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 2, 0xc1, 0xd2, 0, 6]);
        let (text, tag) = out[23..37].split_at_mut(6);
        let opened = RustCrypto::open(crate::crypto::Aead::Aes128Ccm8, &[1; 16], &nonce, &aad, text, tag);
        assert_eq!(opened, Ok(()));
        assert_eq!(text, b"hello\x17");
    }

    #[test]
    fn padding_behind_the_true_type_is_cut() {
        let mut text = *b"hello\x17\0\0\0";
        let (content, plaintext) = true_type(&mut text).unwrap();
        assert_eq!((content, &*plaintext), (ContentType::ApplicationData, &b"hello"[..]));
        assert!(true_type(&mut [0; 4]).is_none());
        assert!(true_type(&mut []).is_none());
    }

    #[test]
    fn a_record_that_is_longer_than_we_said_we_take_is_dropped() {
        let none = ConnectionId::EMPTY;
        let mut client = session(Side::Client, none, none);
        let mut server = session(Side::Server, none, none);
        for (length, is_taken) in [(1000, true), (1001, false)] {
            let mut out = std::vec![0; 1100];
            let sealed = client.seal(ContentType::ApplicationData, &std::vec![7; length], &mut out).unwrap();
            let record = Datagram::new(&mut out[..sealed]).next_record(0).unwrap();
            assert_eq!(server.open(record).is_ok(), is_taken);
        }
    }

    #[test]
    fn where_a_connection_id_was_agreed_on_a_record_without_is_dropped() {
        let (cid, none) = (ConnectionId::new(&[1]).unwrap(), ConnectionId::EMPTY);
        let mut without = session(Side::Client, none, none);
        let mut server = session(Side::Server, cid, none);
        let mut out = [0; 100];
        let length = without.seal(ContentType::ApplicationData, b"hello", &mut out).unwrap();
        let record = Datagram::new(&mut out[..length]).next_record(1).unwrap();
        assert!(server.open(record).is_err());
    }

    #[test]
    fn no_sequence_number_comes_after_the_last() {
        let none = ConnectionId::EMPTY;
        let mut client = session(Side::Client, none, none);
        client.next_write = MAX_SEQUENCE - 1;
        let mut out = [0; 100];
        assert!(client.seal(ContentType::ApplicationData, b"last", &mut out).is_ok());
        assert_eq!(client.seal(ContentType::ApplicationData, b"more", &mut out), Err(SealError::Exhausted));
    }

    #[test]
    fn both_directions_have_their_own_keys() {
        let none = ConnectionId::EMPTY;
        let (mut client, mut server) = (session(Side::Client, none, none), session(Side::Server, none, none));
        let seal = |session: &mut Session<RustCrypto>| -> Vec<u8> {
            let mut out = [0; 100];
            let length = session.seal(ContentType::ApplicationData, b"hello", &mut out).unwrap();
            out[..length].to_vec()
        };
        assert_ne!(seal(&mut client), seal(&mut server));
        let mut own = seal(&mut client);
        let record = Datagram::new(&mut own).next_record(0).unwrap();
        assert!(client.open(record).is_err(), "a record that comes back to its sender");
    }
}
