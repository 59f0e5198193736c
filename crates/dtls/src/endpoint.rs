//! Many associations behind one socket: the server's side of a shard.
//!
//! A datagram belongs to a session by the connection ID in it, or by the address that it is from. Sessions without a
//! connection ID live and die with their address; those with one move, but only for a record that is newer than all before
//! (RFC 9146 section 6), so that a replay from elsewhere moves nobody.
//!
//! Strangers get cookies and nothing else. Handshakes are bounded per source and in all, and an old session keeps its
//! address until the handshake of its successor is complete, so that nobody is thrown out by a handshake that never ends.
//!
//! The contract: each datagram goes to [`Endpoint::receive`] until that returns `None`; after every call into the endpoint
//! [`Endpoint::poll_event`] and [`Endpoint::poll_transmit`] are drained, and [`Endpoint::handle_timeout`] is called at the
//! time of [`Endpoint::next_timeout`].

mod admission;
mod assembly;
mod index;
mod lifecycle;
mod routing;

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use assembly::Assembly;
use hashbrown::{HashMap, HashTable};
use rand_core::CryptoRng;
use siphasher::sip::SipHasher13;

use crate::cid::ConnectionId;
use crate::connection::{Connected, Connection};
use crate::context::Context;
use crate::cookie::{ANSWER_LENGTH, Acceptor};
use crate::crypto::{Provider, RustCrypto, Sha256};
use crate::failure::Failure;
use crate::handshake::server::{Server, ServerEnvironment};
use crate::record::{Datagram, OuterType};
use crate::resumption::{Remembered, SessionId};
use crate::session::SealError;
use crate::session::export::{Export, ExportKey, ImportError, Reservation, Reserve};
use crate::time::Instant;

/// An address that datagrams come from.
pub trait Address: Copy + Eq + Hash {
    /// What all addresses of one owner have in common: handshakes are counted by it.
    type Source: Copy + Eq + Hash;

    /// Whose address this is.
    fn source(&self) -> Self::Source;
}

impl Address for SocketAddr {
    type Source = [u8; 8];

    /// The IPv4 address, or the first half of the IPv6 address, which is the least that a site has.
    fn source(&self) -> [u8; 8] {
        match self.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [0, 0, 0, 0, a, b, c, d]
            }
            IpAddr::V6(ip) => ip.octets().first_chunk().copied().unwrap_or_default(),
        }
    }
}

/// What an endpoint allows itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions, without the handshakes under way.
    pub sessions: u32,
    /// Handshakes under way.
    pub handshakes: u32,
    /// Handshakes under way from one [`Address::Source`].
    pub handshakes_per_source: u32,
    /// A handshake that has not come to an end by then may be given up for a newer one when there are too many.
    pub handshake_grace: Duration,
    /// Sessions that were silent for so long are given up.
    pub idle: Option<Duration>,
    /// When there are too many sessions, those that were silent for so long may be given up for new ones.
    pub replaceable_after: Duration,
    /// Sessions without tickets that are remembered by id.
    pub remembered: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1_000_000,
            handshakes: 4096,
            handshakes_per_source: 256,
            handshake_grace: Duration::from_secs(4),
            idle: None,
            replaceable_after: Duration::from_secs(3600),
            remembered: 1024,
        }
    }
}

/// How the connection IDs look that clients are given.
#[derive(Clone, Copy, Debug)]
pub struct CidFormat {
    prefix: ConnectionId,
    length: u8,
}

impl CidFormat {
    /// Clients' records go without.
    pub const NONE: Self = Self { prefix: ConnectionId::EMPTY, length: 0 };

    /// `prefix`, by which a datagram finds its shard, and `random` bytes that nobody can guess. `None` if that is longer than
    /// a connection ID can be.
    #[must_use]
    pub fn new(prefix: &[u8], random: u8) -> Option<Self> {
        let length = u8::try_from(prefix.len()).ok()?.checked_add(random)?;
        let fits = usize::from(length) <= crate::cid::MAX_CID_LENGTH;
        fits.then(|| ConnectionId::new(prefix).map(|prefix| Self { prefix, length }))?
    }

    /// The prefix in a datagram, if it begins with a record that has a connection ID: which shard it is for.
    #[must_use]
    pub fn prefix_of<'a>(&self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let is_with_cid = datagram.first() == Some(&crate::record::TLS12_CID);
        is_with_cid.then(|| datagram.get(11..)?.get(..self.prefix.len()))?
    }
}

/// The name of a connection in its endpoint. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    slot: u32,
    generation: u32,
}

impl Handle {
    /// A small number that no other live connection of the endpoint has: where a caller may keep what belongs to it.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.slot
    }
}

/// Application data.
#[derive(Debug)]
pub struct Received<'d> {
    /// Whose.
    pub handle: Handle,
    /// Where in the datagram.
    pub data: &'d mut [u8],
}

/// What an endpoint tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<A> {
    /// A handshake is complete. A layer above that knows the same peer by an older handle should [`Endpoint::remove`] that.
    Connected {
        /// The new session.
        handle: Handle,
        /// Where it is.
        address: A,
        /// Who it is.
        connected: Box<Connected>,
    },
    /// A session goes on at another address.
    Moved {
        /// Which one.
        handle: Handle,
        /// Where it was.
        from: A,
        /// Where it is.
        to: A,
    },
    /// A session or a handshake is over.
    Ended {
        /// Which one; it is good for nothing any more.
        handle: Handle,
        /// Where it was.
        address: A,
        /// Why.
        reason: EndReason,
    },
}

/// Why a session or a handshake is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The peer closed it.
    PeerClosed,
    /// It failed.
    Failed(Failure),
    /// The same address has a new session.
    Superseded,
    /// It was silent for too long.
    Idle,
    /// It had to make room.
    Replaced,
    /// [`Endpoint::remove`]
    Removed,
}

/// Many connections behind one socket.
#[expect(missing_debug_implementations, reason = "too much to read, and secrets")]
pub struct Endpoint<A: Address, P: Provider = RustCrypto> {
    limits: Limits,
    cids: CidFormat,
    acceptor: Acceptor,
    acceptor_rotates: Option<Instant>,
    slots: Vec<Slot<A, P>>,
    free: Vec<u32>,
    by_cid: HashTable<u32>,
    /// Sessions without a connection ID.
    by_address: HashTable<u32>,
    /// Handshakes.
    pending: HashTable<u32>,
    pending_by_age: BTreeSet<(Instant, u32)>,
    sources: HashMap<A::Source, u32, SipKeys>,
    keys: SipKeys,
    timers: BTreeSet<(Instant, u32)>,
    sweep: Sweep,
    outbox: VecDeque<u32>,
    answers: VecDeque<(A, [u8; ANSWER_LENGTH])>,
    assembly: Assembly<A>,
    events: VecDeque<Event<A>>,
    remembered: VecDeque<Remembered>,
}

struct Slot<A, P: Provider> {
    generation: u32,
    entry: Option<Entry<A, P>>,
}

struct Entry<A, P: Provider> {
    connection: Connection<Server, P>,
    address: A,
    /// What its client hello had, to know it again. Only in handshakes.
    hello: Option<Box<Handshaking>>,
    heard: Instant,
    timer: Option<Instant>,
}

struct Handshaking {
    started: Instant,
    random: [u8; 32],
    cid: ConnectionId,
}

/// The search for silent sessions: a part of them at a time.
struct Sweep {
    next_slot: u32,
    due: Option<Instant>,
}

/// Sessions per step of the search, at least.
const SWEEP: u32 = 64;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Old cookies are good for once to twice this.
const COOKIES_FOR: Duration = Duration::from_secs(60);
/// Answers to strangers that wait to be sent. More are dropped, and the strangers ask again.
const MAX_ANSWERS: usize = 256;

/// Keys of the hash tables: addresses are chosen by strangers.
#[derive(Clone, Copy)]
struct SipKeys(u64, u64);

impl BuildHasher for SipKeys {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

impl<A: Address, P: Provider> Endpoint<A, P> {
    /// An endpoint without connections.
    pub fn new(limits: Limits, cids: CidFormat, rng: &mut dyn CryptoRng) -> Self {
        let keys = SipKeys(rng.next_u64(), rng.next_u64());
        Self {
            limits,
            cids,
            acceptor: Acceptor::new(rng),
            acceptor_rotates: None,
            slots: Vec::new(),
            free: Vec::new(),
            by_cid: HashTable::new(),
            by_address: HashTable::new(),
            pending: HashTable::new(),
            pending_by_age: BTreeSet::new(),
            sources: HashMap::with_hasher(keys),
            keys,
            timers: BTreeSet::new(),
            sweep: Sweep { next_slot: 0, due: None },
            outbox: VecDeque::new(),
            answers: VecDeque::new(),
            assembly: Assembly::new(),
            events: VecDeque::new(),
            remembered: VecDeque::new(),
        }
    }

    /// Takes the next records of a datagram, up to application data, which is decrypted in place.
    pub fn receive<'d>(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        datagram: &mut Datagram<'d>,
    ) -> Option<Received<'d>> {
        while let Some(record) = datagram.next_record(self.cids.length.into()) {
            let received = match (record.outer_type, record.epoch) {
                (OuterType::WithConnectionId, _) => self.by_cid(environment, context, from, record),
                (OuterType::Plain(_), 0) => {
                    self.plain(environment, context, from, record);
                    None
                }
                (OuterType::Plain(_), _) => self.by_address(environment, context, from, record),
            };
            if received.is_some() {
                return received;
            }
        }
        None
    }

    /// Writes the next datagram, and says for whom; `None` if there is nothing to send.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<(A, usize)> {
        if let Some((to, answer)) = self.answers.pop_front() {
            out.get_mut(..ANSWER_LENGTH)?.copy_from_slice(&answer);
            return Some((to, ANSWER_LENGTH));
        }
        while let Some(slot) = self.outbox.front().copied() {
            if let Some(entry) = self.entry_mut(slot)
                && let Some(length) = entry.connection.poll_transmit(out)
            {
                return Some((entry.address, length));
            }
            self.outbox.pop_front();
            self.free_if_closed(slot);
        }
        None
    }

    /// What happened; call it until it returns `None`.
    pub fn poll_event(&mut self) -> Option<Event<A>> {
        self.events.pop_front()
    }

    /// The time of [`Endpoint::next_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, slot)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(entry) = self.entry_mut(slot) {
                entry.timer = None;
                entry.connection.handle_timeout(now);
            }
            self.settle(slot, now);
        }
        if self.sweep.due.is_some_and(|due| due <= now) {
            self.sweep(now);
        }
    }

    /// When to call [`Endpoint::handle_timeout`] next; `None` if never.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.sweep.due].into_iter().flatten().min()
    }

    /// Encrypts a payload into a record at the start of `out`; where to send it, and how long it is.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&mut self, handle: Handle, payload: &[u8], out: &mut [u8]) -> Result<(A, usize), SealError> {
        let entry = self.get_mut(handle).ok_or(SealError::NotConnected)?;
        Ok((entry.address, entry.connection.seal(payload, out)?))
    }

    /// Encrypts a payload where it stands; see [`Connection::seal_in_place`].
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal_in_place(
        &mut self,
        handle: Handle,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<(A, usize), SealError> {
        let entry = self.get_mut(handle).ok_or(SealError::NotConnected)?;
        Ok((entry.address, entry.connection.seal_in_place(buffer, length)?))
    }

    /// The connection, to ask how it is.
    #[must_use]
    pub fn connection(&self, handle: Handle) -> Option<&Connection<Server, P>> {
        self.get(handle).map(|entry| &entry.connection)
    }

    /// See [`Connection::still_holds`].
    pub fn still_holds(&mut self, handle: Handle, environment: ServerEnvironment<'_>) -> bool {
        self.get_mut(handle).is_some_and(|entry| entry.connection.still_holds(environment))
    }

    /// Where the connection's peer is.
    #[must_use]
    pub fn address(&self, handle: Handle) -> Option<A> {
        self.get(handle).map(|entry| entry.address)
    }

    /// The handle of the session without connection ID at this address.
    #[must_use]
    pub fn session_at(&self, address: A) -> Option<Handle> {
        self.find_by_address(&address).and_then(|slot| self.handle(slot))
    }

    /// The handle of the handshake that goes on at this address.
    #[must_use]
    pub fn handshake_at(&self, address: A) -> Option<Handle> {
        self.find_pending(&address).and_then(|slot| self.handle(slot))
    }

    /// Ends a connection: its peer is told, and its keys are gone.
    pub fn remove(&mut self, handle: Handle) {
        let is_live = |entry: &Entry<A, P>| entry.hello.is_some() || entry.connection.is_established();
        if self.get(handle).is_some_and(is_live) {
            self.end(handle.slot, EndReason::Removed);
        }
    }

    /// All established sessions, as to export them before an orderly stop.
    pub fn sessions(&self) -> impl Iterator<Item = Handle> {
        let is_session =
            |slot: &Slot<A, P>| slot.entry.as_ref().is_some_and(|entry| entry.connection.is_established());
        let slots = (0_u32..).zip(&self.slots).filter(move |(_, slot)| is_session(slot));
        slots.map(|(slot, found)| Handle { slot, generation: found.generation })
    }

    /// How many sessions and handshakes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.pending.len()
    }

    /// See [`Connection::export`].
    pub fn export(
        &mut self,
        handle: Handle,
        key: &ExportKey,
        name: &[u8],
        reserve: Reserve,
        rng: &mut dyn CryptoRng,
    ) -> Option<Export> {
        self.get_mut(handle)?.connection.export(key, name, reserve, rng)
    }

    /// See [`Connection::saved`].
    pub fn saved(&mut self, handle: Handle, reservation: Reservation) {
        if let Some(entry) = self.get_mut(handle) {
            entry.connection.saved(reservation);
        }
    }

    /// Goes on with an exported session, whose peer was last at `address`.
    ///
    /// # Errors
    /// See [`ImportError`]; [`ImportError::Unusable`] too if the session has a connection ID of another format than this
    /// endpoint's, or one that is in use.
    pub fn import(
        &mut self,
        now: Instant,
        address: A,
        key: &ExportKey,
        name: &[u8],
        bytes: &[u8],
    ) -> Result<Handle, ImportError> {
        let connection = Connection::<Server, P>::import(key, name, bytes)?;
        let cid = connection.session().map(|session| *session.local_cid()).unwrap_or_default();
        let has_format = cid.is_empty() || cid.len() == usize::from(self.cids.length);
        if !has_format || (!cid.is_empty() && self.find_by_cid(cid.as_bytes()).is_some()) {
            return Err(ImportError::Unusable);
        }
        let slot = self.insert(Entry { connection, address, hello: None, heard: now, timer: None });
        self.index(slot, address, cid);
        self.start_sweep(now);
        self.handle(slot).ok_or(ImportError::Unusable)
    }

    fn rotate_cookies(&mut self, context: &mut Context<'_>) {
        match self.acceptor_rotates {
            Some(at) if context.now < at => return,
            Some(_) => self.acceptor.rotate(context.rng),
            None => {}
        }
        self.acceptor_rotates = Some(context.now.after(COOKIES_FOR));
    }

    fn remember(&mut self, session: Remembered) {
        let limit = usize::try_from(self.limits.remembered).unwrap_or(usize::MAX);
        while self.remembered.len() >= limit {
            if self.remembered.pop_front().is_none() {
                return;
            }
        }
        self.remembered.push_back(session);
    }

    fn recall(&self, id: &SessionId) -> Option<Remembered> {
        self.remembered.iter().find(|session| session.session_id == *id).cloned()
    }

    fn unused_cid(&self, rng: &mut dyn CryptoRng) -> ConnectionId {
        let CidFormat { prefix, length } = self.cids;
        (0..8)
            .map(|_| ConnectionId::random_behind(prefix.as_bytes(), length, rng))
            .find(|cid| self.find_by_cid(cid.as_bytes()).is_none())
            .unwrap_or_default()
    }
}

/// An address as a cookie knows it.
fn address_hash<A: Hash, P: Provider>(address: &A) -> [u8; 32] {
    struct Bytes<H>(H);
    impl<H: Sha256> Hasher for Bytes<H> {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        // Lengths and the numbers of variants: the same on all machines, so that a run can be repeated on another.
        fn write_usize(&mut self, number: usize) {
            self.write_u64(number as u64);
        }
        fn write_isize(&mut self, number: isize) {
            self.write_i64(number as i64);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut bytes = Bytes(P::Sha256::default());
    address.hash(&mut bytes);
    bytes.0.finish()
}

impl<A: Address, P: Provider> Endpoint<A, P> {
    /// Bytes that a session takes in the endpoint's own tables, without what its identity takes on the heap.
    #[must_use]
    pub const fn bytes_per_session() -> usize {
        // Each index holds four bytes and one of control in a table that is at least seven eighths of half full.
        size_of::<Slot<A, P>>().saturating_add(2 * 5 * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_owner_are_one_source() {
        let source = |text: &str| text.parse::<SocketAddr>().unwrap().source();
        assert_eq!(source("192.0.2.1:1"), source("192.0.2.1:2"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
        assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::ffff:2]:1"));
        assert_ne!(source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn a_connection_id_is_no_longer_than_it_can_be() {
        assert!(CidFormat::new(&[1; 4], 28).is_some());
        assert!(CidFormat::new(&[1; 4], 29).is_none());
        assert!(CidFormat::new(&[1; 33], 0).is_none());
    }
}
