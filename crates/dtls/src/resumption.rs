//! Sessions that begin where an older one was: by id (RFC 5246 section 7.3) or by ticket (RFC 5077).
//!
//! Only sessions with extended master secret are resumed (RFC 7627 section 5.3).

use core::fmt;

use alloc::boxed::Box;
use alloc::vec::Vec;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cid::ConnectionId;
use crate::crypto::{Aead, MasterSecret, Provider, hmac_sha256};
use crate::peer::Peer;
use crate::suite::CipherSuite;
use crate::wire::{Malformed, Put, Reader};

/// The id of a session in a hello: at most 32 bytes.
pub(crate) type SessionId = ConnectionId;

/// What a client needs to resume a session, as it got it when it connected.
///
/// Good for one configuration: with other credentials, or another pinned server, start anew.
#[derive(Clone)]
pub struct Resumption {
    pub(crate) suite: CipherSuite,
    pub(crate) master: MasterSecret,
    pub(crate) server: Peer,
    /// The server's id, or one that we made up to recognise that our ticket was taken (RFC 5077 section 3.4).
    pub(crate) session_id: SessionId,
    /// Empty if the server remembers the session itself.
    pub(crate) ticket: Box<[u8]>,
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumption")
            .field("suite", &self.suite)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What a server must know to resume a session.
#[derive(Clone)]
pub struct Remembered {
    pub(crate) session_id: SessionId,
    pub(crate) suite: CipherSuite,
    pub(crate) master: MasterSecret,
    pub(crate) peer: Peer,
    /// Which pre-shared key proved the peer, so that a session ends with its key.
    pub(crate) key_tag: KeyTag,
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered")
            .field("suite", &self.suite)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A fingerprint of a pre-shared key that tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyTag(pub(crate) [u8; 16]);

impl KeyTag {
    pub(crate) const NONE: Self = Self([0; 16]);

    pub(crate) fn of<P: Provider>(key: &[u8], master: &MasterSecret) -> Self {
        // With the master secret in it, the tag can't be used to try keys by whoever doesn't know that secret.
        Self::under::<P>(&master.0, &[key])
    }

    /// The tag of what is said under a secret of the session.
    pub(crate) fn under<P: Provider>(secret: &[u8], words: &[&[u8]]) -> Self {
        let [first, second] = match words {
            [first, second, ..] => [*first, *second],
            [only] => [*only, &[]],
            [] => [&[][..], &[]],
        };
        let hash = hmac_sha256::<P>(secret, &[b"which key", first, second]);
        let mut tag = [0; 16];
        tag.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(tag)
    }
}

impl Remembered {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        bytes.put_u16(self.suite.number());
        bytes.put(&self.master.0);
        bytes.put(&self.key_tag.0);
        self.peer.put(&mut bytes);
        bytes
    }

    fn parse(bytes: &[u8], session_id: SessionId) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let suite = CipherSuite::from_number(reader.u16()?).ok_or(Malformed)?;
        let master = MasterSecret(reader.array()?);
        let key_tag = KeyTag(reader.array()?);
        let peer = Peer::parse(&mut reader)?;
        reader.end()?;
        Ok(Self { session_id, suite, master, peer, key_tag })
    }
}

const TICKET_NAME_LENGTH: usize = 4;
const TICKET_SALT_LENGTH: usize = 16;

/// The key that seals tickets, and the one before it, so that tickets outlive one change of keys.
///
/// How long tickets are good is how often [`TicketKeys::rotate`] is called. A key that leaks opens all sessions that were
/// ever ticketed with it, so rotate daily.
#[derive(Debug)]
pub struct TicketKeys {
    current: TicketKey,
    previous: Option<TicketKey>,
    lifetime_hint: u32,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct TicketKey {
    name: [u8; TICKET_NAME_LENGTH],
    secret: [u8; 32],
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({:02x?}, redacted)", self.name)
    }
}

impl TicketKey {
    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self { name: [0; TICKET_NAME_LENGTH], secret: [0; 32] };
        rng.fill_bytes(&mut key.name);
        rng.fill_bytes(&mut key.secret);
        key
    }
}

impl TicketKeys {
    /// Fresh keys. `lifetime` in seconds is what clients are told: how often [`TicketKeys::rotate`] will be called.
    pub fn new(rng: &mut dyn CryptoRng, lifetime: u32) -> Self {
        Self { current: TicketKey::random(rng), previous: None, lifetime_hint: lifetime }
    }

    /// Makes a new key. Tickets of the last one are still taken, older ones no more.
    pub fn rotate(&mut self, rng: &mut dyn CryptoRng) {
        let old = core::mem::replace(&mut self.current, TicketKey::random(rng));
        self.previous = Some(old);
    }

    pub(crate) const fn lifetime_hint(&self) -> u32 {
        self.lifetime_hint
    }

    /// Seals a session into a ticket.
    pub(crate) fn seal<P: Provider>(&self, rng: &mut dyn CryptoRng, session: &Remembered) -> Vec<u8> {
        let mut salt = [0; TICKET_SALT_LENGTH];
        rng.fill_bytes(&mut salt);
        let mut text = session.to_bytes();
        let mut ticket = Vec::new();
        ticket.put(&self.current.name);
        ticket.put(&salt);
        let tag = seal_once::<P>(&self.current.secret, b"ticket", &salt, &self.current.name, &mut text);
        ticket.put(&text);
        ticket.put(&tag);
        text.zeroize();
        ticket
    }

    /// The session in a ticket; `None` if the ticket is not by these keys, or was changed.
    pub(crate) fn open<P: Provider>(&self, ticket: &[u8], session_id: SessionId) -> Option<Remembered> {
        let mut reader = Reader::new(ticket);
        let name: [u8; TICKET_NAME_LENGTH] = reader.array().ok()?;
        let salt: [u8; TICKET_SALT_LENGTH] = reader.array().ok()?;
        let keys = core::iter::once(&self.current).chain(&self.previous);
        let key = keys.into_iter().find(|key| key.name == name)?;
        let mut text = reader.rest().to_vec();
        open_once::<P>(&key.secret, b"ticket", &salt, &name, &mut text)?;
        let session = Remembered::parse(&text, session_id).ok();
        text.zeroize();
        session
    }
}

/// Seals with a key of its own for each salt, so that random salts of 16 bytes make nonces that never repeat.
pub(crate) fn seal_once<P: Provider>(
    secret: &[u8; 32],
    purpose: &[u8],
    salt: &[u8; 16],
    aad: &[u8],
    text: &mut [u8],
) -> [u8; 16] {
    let (mut key, nonce) = derive_once::<P>(secret, purpose, salt);
    let mut tag = [0; 16];
    P::seal(Aead::Aes128Ccm, &key, &nonce, aad, text, &mut tag);
    key.zeroize();
    tag
}

/// Opens what [`seal_once`] sealed: text and tag, of which the text is left.
pub(crate) fn open_once<P: Provider>(
    secret: &[u8; 32],
    purpose: &[u8],
    salt: &[u8; 16],
    aad: &[u8],
    text: &mut Vec<u8>,
) -> Option<()> {
    let (mut key, nonce) = derive_once::<P>(secret, purpose, salt);
    let length = text.len().checked_sub(16)?;
    let (body, tag) = text.split_at_mut_checked(length)?;
    let opened = P::open(Aead::Aes128Ccm, &key, &nonce, aad, body, tag);
    key.zeroize();
    text.truncate(length);
    opened.ok()
}

fn derive_once<P: Provider>(secret: &[u8; 32], purpose: &[u8], salt: &[u8; 16]) -> ([u8; 16], [u8; 12]) {
    let mut derived = hmac_sha256::<P>(secret, &[b"buoy dtls ", purpose, salt]);
    let mut reader = Reader::new(&derived);
    let (key, nonce) = (reader.array().unwrap_or_default(), reader.array().unwrap_or_default());
    derived.zeroize();
    (key, nonce)
}
