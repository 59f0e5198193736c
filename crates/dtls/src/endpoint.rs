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

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use hashbrown::{HashMap, HashTable};
use rand_core::CryptoRng;
use siphasher::sip::SipHasher13;

use crate::cid::ConnectionId;
use crate::connection::{Connected, Connection, Event as ConnectionEvent};
use crate::context::Context;
use crate::cookie::{ANSWER_LENGTH, Acceptor, GoodHello, Hello};
use crate::crypto::{Provider, RustCrypto, Sha256};
use crate::failure::Failure;
use crate::handshake::server::{Server, ServerEnvironment};
use crate::record::{Datagram, OuterType, Record};
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

    fn by_cid<'d>(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Option<Received<'d>> {
        let slot = self.find_by_cid(record.cid)?;
        let entry = self.entry_mut(slot)?;
        // A handshake has proved its address by a cookie, and proves nothing else before it is complete.
        if entry.hello.is_some() && entry.address != from {
            return None;
        }
        self.deliver(slot, environment, context, from, record).ok()?
    }

    fn by_address<'d>(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Option<Received<'d>> {
        let mut record = record;
        if let Some(slot) = self.find_by_address(&from) {
            match self.deliver(slot, environment, context, from, record) {
                Ok(received) => return received,
                Err(returned) => record = returned,
            }
        }
        let slot = self.find_pending(&from)?;
        self.deliver(slot, environment, context, from, record).ok()?
    }

    /// A record in the clear: a ClientHello, or some other part of a handshake.
    fn plain(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'_>,
    ) {
        if crate::cookie::client_hello(&record).is_none() {
            if let Some(slot) = self.find_pending(&from) {
                let _ = self.deliver(slot, environment, context, from, record);
            }
            return;
        }
        self.rotate_cookies(context);
        let mut answer = [0; ANSWER_LENGTH];
        match self.acceptor.judge::<P>(&address_hash::<A, P>(&from), &record, &mut answer) {
            Hello::Ignored => {}
            Hello::Answer(_) if self.answers.len() < MAX_ANSWERS => self.answers.push_back((from, answer)),
            Hello::Answer(_) => {}
            Hello::Good(hello) => self.good_hello(environment, context, from, hello, record),
        }
    }

    fn good_hello(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        hello: GoodHello,
        record: Record<'_>,
    ) {
        if let Some(slot) = self.find_pending(&from) {
            let handshaking = self.entry_mut(slot).and_then(|entry| entry.hello.as_ref());
            if handshaking.is_some_and(|known| known.random == hello.random) {
                let _ = self.deliver(slot, environment, context, from, record);
                return;
            }
            // The client began again.
            self.end(slot, EndReason::Superseded);
        }
        if self.has_room(from, context.now) {
            self.start(environment, context, from, hello);
        }
    }

    fn start(
        &mut self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        hello: GoodHello,
    ) {
        let cid = self.unused_cid(context.rng);
        let random = hello.random;
        let remembered = self.recall(&hello.session_id);
        let connection = hello.into_connection(environment, context, cid, remembered);
        let hello = Some(Box::new(Handshaking { started: context.now, random, cid }));
        let slot = self.insert(Entry { connection, address: from, hello, heard: context.now, timer: None });
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(address_of(slots, *slot));
        self.pending.insert_unique(keys.hash_one(Some(from)), slot, rehash);
        if !cid.is_empty() {
            self.insert_cid(slot, &cid);
        }
        let count = self.sources.entry(from.source()).or_insert(0);
        *count = count.saturating_add(1);
        self.pending_by_age.insert((context.now, slot));
        self.settle(slot, context.now);
    }

    /// Whether a handshake may begin; makes room if it can.
    fn has_room(&mut self, from: A, now: Instant) -> bool {
        let of_source = self.sources.get(&from.source()).copied().unwrap_or(0);
        if of_source >= self.limits.handshakes_per_source && !self.give_up_oldest_of_source(from, now) {
            return false;
        }
        let too_many = u32::try_from(self.pending.len()).is_ok_and(|count| count >= self.limits.handshakes);
        !too_many || self.give_up_oldest_handshake(now)
    }

    /// Behind one address may stand a fleet, and one that begins handshakes and ends none must not lock out the others: the oldest handshake
    /// of the source gives way once it had its time.
    fn give_up_oldest_of_source(&mut self, from: A, now: Instant) -> bool {
        let of_source =
            |slot: u32| self.entry(slot).is_some_and(|entry| entry.address.source() == from.source());
        let oldest = self.pending_by_age.iter().find(|(_, slot)| of_source(*slot)).copied();
        match oldest {
            Some((started, slot)) if now.since(started) >= self.limits.handshake_grace => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    fn give_up_oldest_handshake(&mut self, now: Instant) -> bool {
        match self.pending_by_age.first().copied() {
            Some((started, slot)) if now.since(started) >= self.limits.handshake_grace => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    /// Whether there is room for one more session; makes it if it can. Asked only once its handshake is complete: who can't
    /// prove who it is throws nobody out.
    fn has_room_for_session(&mut self, slot: u32, now: Instant) -> bool {
        let sessions = self.len().saturating_sub(self.pending.len());
        let too_many = u32::try_from(sessions).is_ok_and(|count| count > self.limits.sessions);
        !too_many || self.replace_a_session(slot, now)
    }

    /// Gives up the session that was silent the longest among some.
    fn replace_a_session(&mut self, newest: u32, now: Instant) -> bool {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let silent = (0..SWEEP.min(count))
            .filter_map(|step| {
                let slot = self.sweep.next_slot.saturating_add(step).checked_rem(count)?;
                let entry = self.entry(slot).filter(|entry| entry.connection.is_established())?;
                if slot == newest {
                    return None;
                }
                Some((now.since(entry.heard), slot))
            })
            .max();
        self.sweep.next_slot = self.sweep.next_slot.saturating_add(SWEEP).checked_rem(count).unwrap_or(0);
        match silent {
            Some((silence, slot)) if silence >= self.limits.replaceable_after => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    fn deliver<'d>(
        &mut self,
        slot: u32,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        from: A,
        record: Record<'d>,
    ) -> Result<Option<Received<'d>>, Record<'d>> {
        let Some(handle) = self.handle(slot) else { return Ok(None) };
        let Some(entry) = self.entry_mut(slot) else { return Ok(None) };
        let incoming = entry.connection.handle_record(environment, context, record)?;
        let Some(incoming) = incoming else {
            self.settle(slot, context.now);
            return Ok(None);
        };
        entry.heard = context.now;
        let had_timer = entry.timer.is_some();
        let old = entry.address;
        if incoming.is_newest && old != from {
            entry.address = from;
            self.events.push_back(Event::Moved { handle, from: old, to: from });
        }
        if had_timer {
            self.settle(slot, context.now);
        }
        Ok(Some(Received { handle, data: incoming.data }))
    }

    /// After a connection did something: takes its events, and notes what it waits for.
    fn settle(&mut self, slot: u32, now: Instant) {
        while let Some(event) = self.entry_mut(slot).and_then(|entry| entry.connection.poll_event()) {
            match event {
                ConnectionEvent::Connected(connected) => self.connected(slot, connected, now),
                ConnectionEvent::PeerClosed => self.ended(slot, EndReason::PeerClosed),
                ConnectionEvent::Failed(failure) => self.ended(slot, EndReason::Failed(failure)),
            }
        }
        let Some(entry) = self.entry_mut(slot) else { return };
        let next = entry.connection.next_timeout();
        let old = core::mem::replace(&mut entry.timer, next);
        let wants_transmit = entry.connection.wants_transmit();
        if old != next {
            old.map(|old| self.timers.remove(&(old, slot)));
            next.map(|next| self.timers.insert((next, slot)));
        }
        if wants_transmit {
            self.outbox.push_back(slot);
        } else {
            self.free_if_closed(slot);
        }
    }

    fn connected(&mut self, slot: u32, mut connected: Box<Connected>, now: Instant) {
        let Some(handle) = self.handle(slot) else { return };
        let Some(address) = self.entry(slot).map(|entry| entry.address) else { return };
        let given = self.entry(slot).and_then(|entry| entry.hello.as_ref()).map(|hello| hello.cid);
        if let Some(unused) = given.filter(|_| connected.local_cid.is_empty()) {
            self.remove_cid(slot, &unused);
        }
        self.leave_pending(slot);
        if let Some(old) = self.find_by_address(&address) {
            self.end(old, EndReason::Superseded);
        }
        if !self.has_room_for_session(slot, now) {
            return self.end(slot, EndReason::Replaced);
        }
        if connected.local_cid.is_empty() {
            self.index(slot, address, ConnectionId::EMPTY);
        }
        if let Some(entry) = self.entry_mut(slot) {
            entry.heard = now;
        }
        if let Some(remembered) = connected.remembered.take() {
            self.remember(remembered);
        }
        self.start_sweep(now);
        self.events.push_back(Event::Connected { handle, address, connected });
    }

    /// Ends a connection from our side.
    fn end(&mut self, slot: u32, reason: EndReason) {
        // The address may have a new owner, who has no use for a farewell.
        let is_silent = reason == EndReason::Superseded;
        self.ended(slot, reason);
        if is_silent {
            return self.free(slot);
        }
        if let Some(entry) = self.entry_mut(slot) {
            entry.connection.close();
            self.outbox.push_back(slot);
        }
    }

    /// Tells that a connection is over, and takes it out of all indexes, so that nothing reaches it any more.
    fn ended(&mut self, slot: u32, reason: EndReason) {
        let Some(handle) = self.handle(slot) else { return };
        let Some(entry) = self.entry_mut(slot) else { return };
        let address = entry.address;
        let given = entry.hello.as_ref().map(|hello| hello.cid);
        let cid = given.unwrap_or_else(|| entry.connection.local_cid());
        let timer = entry.timer.take();
        timer.map(|at| self.timers.remove(&(at, slot)));
        self.leave_pending(slot);
        self.remove_cid(slot, &cid);
        let hash = self.keys.hash_one(Some(address));
        if let Ok(found) = self.by_address.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        self.events.push_back(Event::Ended { handle, address, reason });
    }

    fn leave_pending(&mut self, slot: u32) {
        let Some(entry) = self.entry_mut(slot) else { return };
        let address = entry.address;
        let Some(hello) = entry.hello.take() else { return };
        self.pending_by_age.remove(&(hello.started, slot));
        let hash = self.keys.hash_one(Some(address));
        if let Ok(found) = self.pending.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
        if let Some(count) = self.sources.get_mut(&address.source()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sources.remove(&address.source());
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        let Some(idle) = self.limits.idle else { return };
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        // Everybody is looked at once a minute or so.
        for _ in 0..SWEEP.max(count / 64).min(count) {
            let slot = self.sweep.next_slot;
            self.sweep.next_slot = slot.saturating_add(1).checked_rem(count).unwrap_or(0);
            let is_idle = self
                .entry(slot)
                .is_some_and(|entry| entry.connection.is_established() && now.since(entry.heard) >= idle);
            if is_idle {
                self.end(slot, EndReason::Idle);
            }
        }
        self.sweep.due = (!self.is_empty()).then(|| now.after(SWEEP_EVERY));
    }

    fn start_sweep(&mut self, now: Instant) {
        if self.limits.idle.is_some() && self.sweep.due.is_none() {
            self.sweep.due = Some(now.after(SWEEP_EVERY));
        }
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

    fn insert(&mut self, entry: Entry<A, P>) -> u32 {
        if let Some(slot) = self.free.pop() {
            if let Some(free) = self.slot_mut(slot) {
                free.entry = Some(entry);
            }
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, entry: Some(entry) });
        slot
    }

    fn free_if_closed(&mut self, slot: u32) {
        if self.entry(slot).is_some_and(|entry| entry.connection.is_closed()) {
            self.free(slot);
        }
    }

    fn free(&mut self, slot: u32) {
        let Some(freed) = self.slot_mut(slot) else { return };
        if freed.entry.take().is_some() {
            freed.generation = freed.generation.wrapping_add(1);
            self.free.push(slot);
        }
    }

    /// Makes a session findable by what its records will carry.
    fn index(&mut self, slot: u32, address: A, cid: ConnectionId) {
        if !cid.is_empty() {
            return self.insert_cid(slot, &cid);
        }
        if let Some(old) = self.find_by_address(&address) {
            self.end(old, EndReason::Superseded);
        }
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(address_of(slots, *slot));
        self.by_address.insert_unique(keys.hash_one(Some(address)), slot, rehash);
    }

    fn insert_cid(&mut self, slot: u32, cid: &ConnectionId) {
        let (keys, slots) = (self.keys, &self.slots);
        let rehash = |slot: &u32| keys.hash_one(cid_of(slots, *slot).as_bytes());
        self.by_cid.insert_unique(keys.hash_one(cid.as_bytes()), slot, rehash);
    }

    fn remove_cid(&mut self, slot: u32, cid: &ConnectionId) {
        let hash = self.keys.hash_one(cid.as_bytes());
        if let Ok(found) = self.by_cid.find_entry(hash, |at| *at == slot) {
            found.remove();
        }
    }

    fn find_by_cid(&self, cid: &[u8]) -> Option<u32> {
        let is_it = |slot: &u32| cid_of(&self.slots, *slot).as_bytes() == cid;
        self.by_cid.find(self.keys.hash_one(cid), is_it).copied()
    }

    fn find_by_address(&self, address: &A) -> Option<u32> {
        let is_it = |slot: &u32| address_of(&self.slots, *slot) == Some(*address);
        self.by_address.find(self.keys.hash_one(Some(*address)), is_it).copied()
    }

    fn find_pending(&self, address: &A) -> Option<u32> {
        let is_it = |slot: &u32| address_of(&self.slots, *slot) == Some(*address);
        self.pending.find(self.keys.hash_one(Some(*address)), is_it).copied()
    }

    fn handle(&self, slot: u32) -> Option<Handle> {
        let found = self.slots.get(usize::try_from(slot).ok()?)?;
        Some(Handle { slot, generation: found.generation })
    }

    fn get(&self, handle: Handle) -> Option<&Entry<A, P>> {
        let slot = self.slots.get(usize::try_from(handle.slot).ok()?)?;
        slot.entry.as_ref().filter(|_| slot.generation == handle.generation)
    }

    fn get_mut(&mut self, handle: Handle) -> Option<&mut Entry<A, P>> {
        let slot = self.slot_mut(handle.slot)?;
        let is_current = slot.generation == handle.generation;
        slot.entry.as_mut().filter(|_| is_current)
    }

    fn entry(&self, slot: u32) -> Option<&Entry<A, P>> {
        self.slots.get(usize::try_from(slot).ok()?)?.entry.as_ref()
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry<A, P>> {
        self.slot_mut(slot)?.entry.as_mut()
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot<A, P>> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }
}

fn address_of<A: Copy, P: Provider>(slots: &[Slot<A, P>], slot: u32) -> Option<A> {
    let entry = slots.get(usize::try_from(slot).ok()?)?.entry.as_ref()?;
    Some(entry.address)
}

fn cid_of<A, P: Provider>(slots: &[Slot<A, P>], slot: u32) -> ConnectionId {
    let find = || slots.get(usize::try_from(slot).ok()?)?.entry.as_ref();
    find().map_or(ConnectionId::EMPTY, |entry| match &entry.hello {
        Some(hello) => hello.cid,
        None => entry.connection.local_cid(),
    })
}

/// An address as a cookie knows it.
fn address_hash<A: Hash, P: Provider>(address: &A) -> [u8; 32] {
    struct Bytes<H>(H);
    impl<H: Sha256> Hasher for Bytes<H> {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
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
