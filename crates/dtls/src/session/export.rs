//! Sessions that outlive a restart, a reboot or a deep sleep: sealed bytes, and sequence numbers reserved ahead.
//!
//! # Why no nonce repeats
//! A record's nonce is its sequence number, and a number must never be used twice under one key. A saved session can't know
//! how many records were sent after it was saved. So an export says "go on from `B`", where `B` lies some way ahead, and
//! from that moment the live session refuses to send the record `B` or any later one, until a newer export, with a higher
//! bound, is *safe*: on the disk, in the flash. The caller says so by [`Reservation`]. Whichever export a crash leaves
//! behind, every record sent before the crash is below its bound, and every one after it is not.
//!
//! It takes the caller to never bring back an older export once a newer one was called safe: a database restored from an
//! older backup must not be used for sessions.
//!
//! Nor may two connections live from the same export at once: each would believe that the numbers are its own. One after the
//! other is what exports are for, because the second can't send before it was saved itself.
//!
//! # What of replays
//! Which records came after the export was made is not known after a crash. An import accepts none below the highest that
//! the export knew, plus the margin that was asked for; and once one record was accepted, none older than that, though the
//! window might have room: those numbers may have been used before the crash. What is left to an attacker who recorded
//! those datagrams is to replay them, in order and once, until the peer's next true record arrives. Who can't accept that
//! exports with a `receive_margin`: the peer's records within it are lost after a crash, in exchange. The default is none,
//! because a device that is not heard for several records gives its session up, which is a worse exchange on a battery.
//! After an orderly stop the last export is exact and neither happens.

use core::fmt;

use alloc::vec::Vec;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Session;
use super::replay::ReplayWindow;
use crate::cid::ConnectionId;
use crate::connection::Connection;
use crate::crypto::{DirectionKey, Provider, Side, sha256};
use crate::handshake::Role;
use crate::peer::Peer;
use crate::record::MAX_SEQUENCE;
use crate::resumption::{KeyTag, open_once, seal_once};
use crate::suite::CipherSuite;
use crate::wire::{Malformed, Put, Reader};

const VERSION: u8 = 1;
const SALT_LENGTH: usize = 16;

/// The key that seals exports. Every export is sealed with a key of its own, derived from this one and a random salt.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ExportKey([u8; 32]);

impl ExportKey {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportKey(redacted)")
    }
}

/// How far ahead an export reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Records that may be sent before the session must be saved again. Zero for the last export before an orderly stop.
    pub send: u32,
    /// Records from the peer that an import passes over, see the module's documentation.
    pub receive_margin: u16,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { send: 256, receive_margin: 0 }
    }
}

/// An exported session.
#[derive(Clone, Debug)]
pub struct Export {
    /// What to save. Sealed, but not small enough to be public: whoever has the key has the session.
    pub bytes: Vec<u8>,
    /// What to give back once the bytes are safe.
    pub reservation: Reservation,
}

/// A promise of sequence numbers, good once its export is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    write_limit: u64,
    read_save_at: u64,
}

/// Why bytes are no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// Made by a version of this crate that is not known here.
    UnknownVersion,
    /// Sealed with another key, for another name, or changed.
    Forged,
    /// Of the other role, or of a suite that was not compiled in.
    Unusable,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVersion => "the session was saved by another version of the program",
            Self::Forged => "the session was sealed with another key or under another name, or was changed",
            Self::Unusable => "the session is of the other role, or of a suite that is not compiled in",
        })
    }
}

impl core::error::Error for ImportError {}

impl<R: Role, P: Provider> Connection<R, P> {
    /// The session as bytes to save; `None` if there is none.
    ///
    /// `name` is bound to the bytes and must be said again by the import: the endpoint's name, or the key of a database's row,
    /// so that nobody can swap rows. Nothing is sent from the reserved numbers until [`Connection::saved`] says that the
    /// bytes are safe.
    pub fn export(
        &mut self,
        key: &ExportKey,
        name: &[u8],
        reserve: Reserve,
        rng: &mut dyn CryptoRng,
    ) -> Option<Export> {
        self.session_mut().map(|session| session.export(key, name, reserve, rng))
    }

    /// The export that this reservation came with is safe.
    pub fn saved(&mut self, reservation: Reservation) {
        if let Some(session) = self.session_mut() {
            session.saved(reservation);
        }
    }

    /// How many records may be sent before the session must be saved; `None` if it was never exported, and so can't come back.
    #[must_use]
    pub fn records_until_save(&self) -> Option<u64> {
        let session = self.session()?;
        let left = session.write_limit.saturating_sub(session.next_write);
        (session.write_limit < MAX_SEQUENCE).then_some(left)
    }

    /// Whether the session should be saved now: fewer than `records` may still be sent, or the peer has sent what the last
    /// export's margin doesn't cover.
    #[must_use]
    pub fn save_is_due(&self, records: u64) -> bool {
        let receives = self.session().is_some_and(|session| session.window.next() > session.read_save_at);
        receives || self.records_until_save().is_some_and(|left| left < records)
    }

    /// Goes on with a session that [`Connection::export`] made.
    ///
    /// Only one connection may live from these bytes. It can receive at once. Before it sends it must be exported and saved again: a second crash must find numbers that this
    /// life has not used.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn import(key: &ExportKey, name: &[u8], bytes: &[u8]) -> Result<Self, ImportError> {
        Session::import(R::SIDE, key, name, bytes).map(Self::established)
    }
}

impl<P: Provider> Session<P> {
    fn export(&mut self, key: &ExportKey, name: &[u8], reserve: Reserve, rng: &mut dyn CryptoRng) -> Export {
        let bound = self.next_write.saturating_add(reserve.send.into()).min(MAX_SEQUENCE);
        let margin = if self.window.is_untouched() { 0 } else { reserve.receive_margin };
        let floor = self.window.next().saturating_add(margin.into());
        // Never below an earlier export's bound: that one may be called safe after this one, and used up to its bound.
        let bound = bound.max(self.promised);
        self.promised = bound;
        let mut text = self.to_bytes(bound, floor);
        let mut salt = [0; SALT_LENGTH];
        rng.fill_bytes(&mut salt);
        let tag = seal_once::<P>(&key.0, b"session", &salt, &aad::<P>(name), &mut text);
        let mut bytes = Vec::with_capacity(text.len().saturating_add(33));
        bytes.put_u8(VERSION);
        bytes.put(&salt);
        bytes.put(&text);
        bytes.put(&tag);
        text.zeroize();
        // From here on these bytes may be somewhere, so what they promise is no longer ours.
        self.write_limit = self.write_limit.min(bound);
        Export { bytes, reservation: Reservation { write_limit: bound, read_save_at: floor } }
    }

    fn saved(&mut self, reservation: Reservation) {
        self.write_limit = self.write_limit.max(reservation.write_limit);
        self.read_save_at = reservation.read_save_at;
    }

    pub(crate) fn import(
        side: Side,
        key: &ExportKey,
        name: &[u8],
        bytes: &[u8],
    ) -> Result<Self, ImportError> {
        let mut reader = Reader::new(bytes);
        if reader.u8().map_err(|_| ImportError::Forged)? != VERSION {
            return Err(ImportError::UnknownVersion);
        }
        let salt = reader.array().map_err(|_| ImportError::Forged)?;
        let mut text = reader.rest().to_vec();
        open_once::<P>(&key.0, b"session", &salt, &aad::<P>(name), &mut text).ok_or(ImportError::Forged)?;
        let session = Self::parse(&text).map_err(|_| ImportError::Unusable);
        text.zeroize();
        session
            .and_then(|session| if session.side == side { Ok(session) } else { Err(ImportError::Unusable) })
    }

    fn to_bytes(&self, bound: u64, floor: u64) -> Vec<u8> {
        // One allocation, so that growing leaves no keys behind.
        let mut text = Vec::with_capacity(1024);
        text.put_u8(match self.side {
            Side::Client => 0,
            Side::Server => 1,
        });
        text.put_u16(self.suite.number());
        for key in [&self.write_key, &self.read_key] {
            text.put(&key.key);
            text.put(&key.salt);
        }
        text.put_u64(bound);
        text.put_u64(floor);
        text.put_vector8(self.local_cid.as_bytes());
        text.put_vector8(self.remote_cid.as_bytes());
        text.put_u16(self.max_send);
        text.put_u16(self.max_receive);
        self.peer.put(&mut text);
        text.put_vector8(self.key_tag.as_ref().map_or(&[], |tag| &tag.0));
        text
    }

    fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let side = match reader.u8()? {
            0 => Side::Client,
            1 => Side::Server,
            _ => return Err(Malformed),
        };
        let suite = CipherSuite::from_number(reader.u16()?).ok_or(Malformed)?;
        let write_key = DirectionKey { key: reader.array()?, salt: reader.array()? };
        let read_key = DirectionKey { key: reader.array()?, salt: reader.array()? };
        let next_write = reader.u64()?;
        let floor = reader.u64()?;
        let local_cid = ConnectionId::new(reader.vector8()?).ok_or(Malformed)?;
        let remote_cid = ConnectionId::new(reader.vector8()?).ok_or(Malformed)?;
        let (max_send, max_receive) = (reader.u16()?, reader.u16()?);
        let peer = Peer::parse(&mut reader)?;
        // Older versions ended here.
        let tag = if reader.is_empty() { &[] } else { reader.vector8()? };
        let key_tag =
            if tag.is_empty() { None } else { Some(KeyTag(tag.try_into().map_err(|_| Malformed)?)) };
        reader.end()?;
        Ok(Self {
            suite,
            side,
            write_key,
            read_key,
            next_write,
            // Not a single record until this life is saved too.
            write_limit: next_write,
            promised: next_write,
            window: ReplayWindow::restored(floor),
            read_save_at: floor,
            local_cid,
            remote_cid,
            max_send,
            max_receive,
            peer,
            key_tag,
            provider: core::marker::PhantomData,
        })
    }
}

/// The version and the name, whose length is nobody's business here.
fn aad<P: Provider>(name: &[u8]) -> [u8; 33] {
    let hash = sha256::<P>(&[name]);
    let mut aad = [VERSION; 33];
    aad.iter_mut().skip(1).zip(hash).for_each(|(to, from)| *to = from);
    aad
}
