//! DTLS between a socket and an engine: sessions by their names, saved so that a restart costs no handshake.
//!
//! A session belongs to one endpoint, the one whose credentials it was made with; an endpoint may have several, and a new one ends none
//! of the others (`sessions` says how many there may be). What a session needs to go on after a crash is saved by the same journal as all else, before the first record
//! that depends on it is sent.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_dtls::config::{Authority, PskKey, ServerConfig};
use buoy_dtls::crypto::AwsLc;
use buoy_dtls::endpoint::{CidFormat, EndReason, Endpoint, Event, Handle, Limits};
use buoy_dtls::resumption::TicketKeys;
use buoy_dtls::{
    Connected, Context, Datagram, ExportKey, Failure, Reservation, Reserve, SealError, ServerEnvironment,
};
use buoy_server::{Change, DtlsEvent, Outbox, Peer, SessionId};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::clock::calendar;
use crate::directory::Endpoints;
use crate::handshake_failures::HandshakeFailures;
use crate::sessions::LastHeard;
use crate::udp::{self, Arrival, Ways};

/// Bytes of a connection ID behind the one that names the shard: nobody guesses them.
const CID_RANDOM: u8 = 7;
/// The largest flight's datagram: what every path carries.
const MAX_FLIGHT: usize = 1500;
/// Records that may be sent before a session is saved again,
const RESERVE: Reserve = Reserve { send: 4096, receive_margin: 0 };
/// and how many of them are left when that is done.
const SAVE_AT: u64 = 1024;
/// Sessions that were silent for so long are given up,
const IDLE: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// and after this those that carry no registration: their devices make new ones when they come back.
const IDLE_WITHOUT_REGISTRATION: Duration = Duration::from_secs(24 * 60 * 60);
/// Every so often a part of the sessions is asked how long they were silent: all of them once an hour.
const LOOK_FOR_IDLE: Duration = Duration::from_secs(60);
const PARTS: usize = 60;
/// What was received since a session was saved can be replayed after a crash: so old it may be.
const SAVE_ROUND: Duration = Duration::from_secs(300);
/// A round looks at the sessions in so many slices at the most, one each time it is called,
const SLICES_A_ROUND: usize = 200;
/// unless they would be smaller than this.
const SMALLEST_SLICE: usize = 64;
const TICKET_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Failed handshakes that are logged in a second; the rest is counted.
const LOGGED_PER_SECOND: u32 = 10;

/// Who may speak, and as whom.
pub trait Identities: Authority + Send + Sync {
    /// The endpoint whose credentials these are.
    fn endpoint_of(&self, peer: &buoy_dtls::Peer) -> Option<Arc<str>>;
    /// Whether there are credentials for this endpoint, so that its name is worth nothing without them.
    fn has(&self, endpoint: &str) -> bool;
    /// These credentials were shown in a handshake that is complete.
    fn used(&self, peer: &buoy_dtls::Peer);
    /// A handshake has failed.
    fn failed(&self, _address: SocketAddr, _failure: &Failure) {}
}

/// No credentials at all: nobody comes in, and each name is free.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Authority for Nobody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        None
    }

    fn admits(&self, _: &buoy_dtls::Peer) -> bool {
        false
    }
}

impl Identities for Nobody {
    fn endpoint_of(&self, _: &buoy_dtls::Peer) -> Option<Arc<str>> {
        None
    }

    fn has(&self, _: &str) -> bool {
        false
    }

    fn used(&self, _: &buoy_dtls::Peer) {}
}

/// What a secure port is made of.
pub struct SecureParts {
    /// Its socket.
    pub socket: mio::net::UdpSocket,
    /// The server's key, and what it agrees to.
    pub config: Arc<ServerConfig>,
    /// The devices' credentials.
    pub identities: Arc<dyn Identities>,
    /// Seals saved sessions; those after the first opened older ones.
    pub export_keys: Vec<ExportKey>,
    /// Makes the keys of tickets: the same for all shards, so that each takes the others'.
    pub ticket_seed: [u8; 32],
    /// The sessions that were saved.
    pub sessions: Vec<(SessionId, Vec<u8>)>,
    /// Counts the handshakes that fail.
    pub failures: Arc<HandshakeFailures>,
}

impl std::fmt::Debug for SecureParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureParts").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What happened to sessions.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A session is there; it wants to be saved.
    Connected(SessionId),
    /// It goes on at another address.
    Moved(SessionId),
    /// It is over.
    Ended(SessionId),
    /// It is over, or could not go on after a restart, because what it was made by is not good any more: nor is the registration at it.
    Void(SessionId, Arc<str>),
    /// A session of another shard is to end: its endpoint has too many.
    GivesWay(SessionId),
    /// What an operator may want to see.
    Told(Arc<str>, SocketAddr, DtlsEvent),
}

/// The sessions of one port.
pub(crate) struct Secure {
    number: u8,
    pub(crate) socket: Arc<mio::net::UdpSocket>,
    /// To the peers.
    ways: Ways,
    config: Arc<ServerConfig>,
    identities: Arc<dyn Identities>,
    directory: Endpoints,
    dtls: Endpoint<SocketAddr, AwsLc>,
    cids: CidFormat,
    tickets: Tickets,
    rng: ChaCha20Rng,
    export_keys: Vec<ExportKey>,
    /// By the index of their handles.
    open: Vec<Option<Open>>,
    by_id: HashMap<SessionId, Handle>,
    /// Of exports that are on their way to the store, in their order.
    reservations: VecDeque<(SessionId, Reservation)>,
    happenings: Vec<Happening>,
    failures: FailureLog,
    failure_counts: Arc<HandshakeFailures>,
    idle_search: IdleSearch,
    save_round: SaveRound,
}

/// The saving of sessions over which something came.
struct SaveRound {
    began: Instant,
    /// Of the sessions by index.
    next: usize,
}

/// The search for silent sessions that carry no registration.
struct IdleSearch {
    due: Instant,
    /// Of the sessions by index.
    next: usize,
}

/// What became of a saved session.
enum Imported {
    GoesOn,
    /// What this endpoint proved itself by is not good any more.
    Void(Arc<str>),
}

struct Open {
    handle: Handle,
    session: SessionId,
    endpoint: Arc<str>,
    heard: LastHeard,
    /// What it was made by is not good any more.
    is_void: bool,
    /// An export of it is on its way to the store.
    is_being_saved: bool,
}

/// What a session's record has besides its export and its endpoint: an address and lengths.
const RECORD_MARGIN: usize = 32;

/// A saved session.
#[derive(Serialize, Deserialize)]
struct SessionRecord<'a> {
    address: SocketAddr,
    endpoint: &'a str,
    export: &'a Bytes,
}

impl Secure {
    /// Goes on with the sessions that were saved; those that can't go on are in the outbox, to be forgotten.
    pub(crate) fn new(
        number: u8,
        parts: SecureParts,
        directory: Endpoints,
        now: Instant,
        outbox: &mut Outbox,
    ) -> std::io::Result<Self> {
        let mut rng = ChaCha20Rng::from_seed(seed()?);
        let cids = CidFormat::new(&[number], CID_RANDOM).unwrap_or(CidFormat::NONE);
        let limits = Limits { idle: Some(IDLE), ..Limits::default() };
        let mut secure = Self {
            number,
            socket: Arc::new(parts.socket),
            ways: Ways::default(),
            config: parts.config,
            identities: parts.identities,
            directory,
            dtls: Endpoint::new(limits, cids, &mut rng),
            cids,
            tickets: Tickets::new(parts.ticket_seed, now),
            rng,
            export_keys: parts.export_keys,
            open: Vec::new(),
            by_id: HashMap::new(),
            reservations: VecDeque::new(),
            happenings: Vec::new(),
            failures: FailureLog::default(),
            failure_counts: parts.failures,
            idle_search: IdleSearch { due: now + LOOK_FOR_IDLE, next: 0 },
            save_round: SaveRound { began: now, next: 0 },
        };
        secure.import(now, parts.sessions, outbox);
        secure.take_events(now);
        Ok(secure)
    }

    fn import(&mut self, now: Instant, sessions: Vec<(SessionId, Vec<u8>)>, outbox: &mut Outbox) {
        let count = sessions.len();
        for (session, record) in sessions {
            match self.import_one(now, session, &record) {
                Some(Imported::GoesOn) => {}
                Some(Imported::Void(endpoint)) => self.happenings.push(Happening::Void(session, endpoint)),
                None => outbox.changes.push(Change::RemoveSession { session }),
            }
        }
        let lost = count - self.by_id.len();
        if count > 0 {
            tracing::info!(sessions = count - lost, lost, "DTLS sessions go on");
        }
    }

    fn import_one(&mut self, now: Instant, session: SessionId, record: &[u8]) -> Option<Imported> {
        let record: SessionRecord<'_> = postcard::from_bytes(record).ok()?;
        let name = export_name(session, record.endpoint);
        let Self { dtls, export_keys, .. } = self;
        let mut imports =
            export_keys.iter().map(|key| dtls.import(now, record.address, key, &name, record.export));
        let handle = imports.find_map(Result::ok)?;
        // The credentials may have been revoked or replaced, or given to another endpoint, and the authority may be gone.
        let holds = self.still_holds(handle);
        let peer = self.dtls.connection(handle)?.peer()?;
        let endpoint = self.identities.endpoint_of(peer).filter(|endpoint| **endpoint == *record.endpoint);
        let Some(endpoint) = endpoint.filter(|_| holds) else {
            self.dtls.remove(handle);
            return Some(Imported::Void(record.endpoint.into()));
        };
        let gives_way = self.enter(now, handle, session, endpoint, record.address);
        self.end_or_pass_on(gives_way);
        Some(Imported::GoesOn)
    }

    fn still_holds(&mut self, handle: Handle) -> bool {
        let environment =
            ServerEnvironment { config: &self.config, authority: &*self.identities, tickets: None };
        self.dtls.still_holds(handle, environment)
    }

    /// Ends a session whose credentials have changed, if it was made by what is not good any more.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        session: SessionId,
        endpoint: Arc<str>,
        outbox: &mut Outbox,
    ) {
        let Some(handle) = self.by_id.get(&session).copied() else {
            return self.happenings.push(Happening::Void(session, endpoint));
        };
        let peer = self.dtls.connection(handle).and_then(|connection| connection.peer());
        let is_its_own = peer.and_then(|peer| self.identities.endpoint_of(peer)).as_ref() == Some(&endpoint);
        if is_its_own && self.still_holds(handle) {
            return;
        }
        if let Some(open) = slot(&mut self.open, handle) {
            open.is_void = true;
        }
        self.end(now, session, outbox);
    }

    /// Which other shard a datagram is for.
    pub(crate) fn home_of(&self, from: SocketAddr, datagram: &[u8]) -> Option<u8> {
        if let Some(prefix) = self.cids.prefix_of(datagram) {
            return prefix.first().copied();
        }
        // A record of a session without connection ID, whose address the kernel gave to another shard before a restart.
        let is_protected = datagram.get(3..5).is_some_and(|epoch| epoch != [0, 0]);
        let is_known = || self.dtls.session_at(from).is_some() || self.dtls.handshake_at(from).is_some();
        if !is_protected || is_known() {
            return None;
        }
        self.directory.session_at(from).map(SessionId::shard)
    }

    /// Takes a datagram, and hands out what is in it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        Arrival { from, local }: Arrival,
        datagram: &mut [u8],
        outbox: &mut Outbox,
        mut deliver: impl FnMut(Peer, &[u8], &mut Outbox),
    ) {
        self.tickets.rotate_if_due(now);
        self.ways.heard(from, local);
        let mut datagram = Datagram::new(datagram);
        loop {
            let environment = ServerEnvironment {
                config: &self.config,
                authority: &*self.identities,
                tickets: Some(&self.tickets.keys),
            };
            let mut context = Context { now, unix_time: Some(calendar()), rng: &mut self.rng };
            let received = self.dtls.receive(environment, &mut context, from, &mut datagram);
            self.take_events(now);
            let Some(received) = received else { break };
            if let Some(open) = self.open_at(received.handle) {
                open.heard.set(now);
                let peer = Peer { address: from, session: Some(open.session) };
                deliver(peer, received.data, outbox);
            }
        }
        self.take_flights(outbox);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let dtls = self.dtls.next_timeout();
        let idle = (!self.by_id.is_empty()).then_some(self.idle_search.due);
        [dtls, idle, self.failures.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.failures.tell_rest(now);
        self.dtls.handle_timeout(now);
        if self.idle_search.due <= now {
            self.give_up_idle(now);
        }
        self.take_events(now);
        self.take_flights(outbox);
    }

    /// Looks at the next part of the sessions, and ends those that carry no registration and were silent for too long.
    fn give_up_idle(&mut self, now: Instant) {
        let Self { open, idle_search, directory, dtls, .. } = self;
        let part = open.len().div_ceil(PARTS);
        let start = idle_search.next.min(open.len());
        let end = (start + part).min(open.len());
        let is_idle = |open: &&Open| now.since(open.heard.get()) >= IDLE_WITHOUT_REGISTRATION;
        let idle = open[start..end].iter().flatten().filter(is_idle);
        for open in idle.filter(|open| !directory.carries_registration(&open.endpoint, open.session)) {
            dtls.remove(open.handle);
        }
        *idle_search = IdleSearch { due: now + LOOK_FOR_IDLE, next: if end == open.len() { 0 } else { end } };
    }

    /// What happened since it was asked last.
    pub(crate) fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// At which address of this machine a peer is spoken with.
    pub(crate) fn local_for(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.ways.local_for(peer)
    }

    /// Whether a session is one of this port.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.by_id.contains_key(&session)
    }

    /// Ends a session.
    pub(crate) fn end(&mut self, now: Instant, session: SessionId, outbox: &mut Outbox) {
        if let Some(handle) = self.by_id.get(&session) {
            self.dtls.remove(*handle);
            self.take_events(now);
            self.take_flights(outbox);
        }
    }

    /// Whether the session must be saved before many more records are sent over it.
    pub(crate) fn save_is_due(&self, session: SessionId) -> bool {
        let connection = self.by_id.get(&session).and_then(|handle| self.dtls.connection(*handle));
        let left = connection.map(|connection| connection.records_until_save());
        left.is_some_and(|left| left.is_none_or(|left| left < SAVE_AT))
    }

    /// Saves all sessions over which something came since they were saved: what was received then can't be replayed later. For the end of
    /// a server, where nobody waits for an answer.
    pub(crate) fn save_received(&mut self, outbox: &mut Outbox) {
        self.save_received_of(0..self.open.len(), outbox);
    }

    /// Does so with the next slice of the sessions, so that no answer waits for the exports of all. To be called each second: then each
    /// session is looked at every [`SAVE_ROUND`], since a slice is cut by place and not by what there is to save.
    pub(crate) fn save_slice_of_received(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.save_round.next >= self.open.len() {
            if now.since(self.save_round.began) < SAVE_ROUND {
                return;
            }
            self.save_round = SaveRound { began: now, next: 0 };
        }
        let start = self.save_round.next;
        let slice = self.open.len().div_ceil(SLICES_A_ROUND).max(SMALLEST_SLICE);
        let end = (start + slice).min(self.open.len());
        self.save_round.next = end;
        self.save_received_of(start..end, outbox);
    }

    fn save_received_of(&mut self, indexes: Range<usize>, outbox: &mut Outbox) {
        for index in indexes {
            let Some(open) = self.open.get(index).and_then(Option::as_ref) else { continue };
            let session = open.session;
            let connection = self.dtls.connection(open.handle);
            if connection.is_some_and(|connection| connection.save_is_due(0)) {
                self.save(session, outbox);
            }
        }
    }

    /// Saves a session unless that is under way already.
    pub(crate) fn save(&mut self, session: SessionId, outbox: &mut Outbox) {
        let Some(handle) = self.by_id.get(&session).copied() else { return };
        let Some(address) = self.dtls.address(handle) else { return };
        let Some(open) = slot(&mut self.open, handle).filter(|open| !open.is_being_saved) else { return };
        let name = export_name(session, &open.endpoint);
        let Some(key) = self.export_keys.first() else { return };
        let Some(export) = self.dtls.export(handle, key, &name, RESERVE, &mut self.rng) else { return };
        open.is_being_saved = true;
        let room = Vec::with_capacity(export.bytes.len() + open.endpoint.len() + RECORD_MARGIN);
        let record = SessionRecord { address, endpoint: &open.endpoint, export: Bytes::new(&export.bytes) };
        // Writing to a vector fails only where a length cannot be told beforehand, and here all can.
        let record =
            postcard::to_extend(&record, room).expect("a record of known lengths can be written").into();
        self.reservations.push_back((session, export.reservation));
        outbox.changes.push(Change::PutSession { session, record });
    }

    /// The changes of an outbox are durable.
    pub(crate) fn saved(&mut self, outbox: &Outbox) {
        for change in &outbox.changes {
            let Change::PutSession { session, .. } = change else { continue };
            let Some((saved, reservation)) = self.reservations.pop_front() else { return };
            debug_assert_eq!(saved, *session, "the journal keeps the order");
            let Some(handle) = self.by_id.get(&saved).copied() else { continue };
            self.dtls.saved(handle, reservation);
            if let Some(open) = slot(&mut self.open, handle) {
                open.is_being_saved = false;
            }
        }
    }

    /// Sends the records of handshakes.
    pub(crate) fn send_flights(&self, outbox: &Outbox) {
        udp::send_batch(&self.socket, &self.ways, outbox.flights.iter().map(|(to, flight)| (*to, &**flight)));
    }

    /// Puts records around the datagrams of sessions, where they stand, and sends them.
    pub(crate) fn send(&mut self, datagrams: &mut [(Peer, Range<usize>)], bytes: &mut [u8]) {
        self.seal(datagrams, bytes);
        let sealed = datagrams.iter().filter(|(peer, record)| peer.session.is_some() && !record.is_empty());
        udp::send_batch(
            &self.socket,
            &self.ways,
            sealed.map(|(peer, record)| (peer.address, &bytes[record.clone()])),
        );
    }

    /// Those that can't be sent get no bytes.
    fn seal(&mut self, datagrams: &mut [(Peer, Range<usize>)], bytes: &mut [u8]) {
        for (peer, range) in datagrams {
            let Some(session) = peer.session else { continue };
            match self.seal_one(session, bytes, range.clone()) {
                Some((address, record)) => (peer.address, *range) = (address, record),
                None => *range = 0..0,
            }
        }
    }

    fn seal_one(
        &mut self,
        session: SessionId,
        bytes: &mut [u8],
        payload: Range<usize>,
    ) -> Option<(SocketAddr, Range<usize>)> {
        let handle = *self.by_id.get(&session)?;
        let (before, behind) = Outbox::margins();
        let offset = self.dtls.connection(handle)?.payload_offset();
        debug_assert!(offset <= before, "a record's head fits before a datagram");
        let start = payload.start.checked_sub(offset)?;
        let room = bytes.get_mut(start..payload.end + behind)?;
        match self.dtls.seal_in_place(handle, room, payload.len()) {
            Ok((address, length)) => Some((address, start..start + length)),
            Err(SealError::PayloadTooLong) => {
                let most = self.dtls.connection(handle).map_or(0, |connection| connection.max_payload());
                let endpoint = self.open_at(handle).map_or("?", |open| &open.endpoint);
                tracing::warn!(
                    endpoint,
                    "a message is longer than the {most} bytes that the device takes in a record"
                );
                None
            }
            Err(error) => {
                tracing::debug!(session = session.number(), ?error, "a datagram could not be sent");
                None
            }
        }
    }

    fn take_flights(&mut self, outbox: &mut Outbox) {
        let mut buffer = [0; MAX_FLIGHT];
        while let Some((to, length)) = self.dtls.poll_transmit(&mut buffer) {
            outbox.flights.push((to, buffer[..length].into()));
        }
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                Event::Connected { handle, address, connected } => {
                    self.connected(now, handle, address, &connected)
                }
                Event::Moved { handle, .. } => {
                    if let Some(open) = self.open_at(handle) {
                        let moved = Happening::Moved(open.session);
                        self.happenings.push(moved);
                    }
                }
                Event::Ended { handle, address, reason } => self.ended(now, handle, address, reason),
                _ => {}
            }
        }
    }

    fn connected(&mut self, now: Instant, handle: Handle, address: SocketAddr, connected: &Connected) {
        // The credentials may have been revoked during the handshake.
        let Some(endpoint) = self.identities.endpoint_of(&connected.peer) else {
            return self.dtls.remove(handle);
        };
        let Some(session) = self.directory.name_session(self.number) else {
            return self.dtls.remove(handle);
        };
        self.identities.used(&connected.peer);
        tracing::debug!(%endpoint, %address, suite = ?connected.suite, resumed = connected.resumed, "DTLS session");
        let gives_way = self.enter(now, handle, session, endpoint.clone(), address);
        self.end_or_pass_on(gives_way);
        // Asked again now that whoever revokes them finds the session: it is ended by him or here.
        if self.identities.endpoint_of(&connected.peer).as_ref() == Some(&endpoint) {
            self.happenings.push(Happening::Connected(session));
            self.happenings.push(Happening::Told(endpoint, address, DtlsEvent::Established));
        } else {
            self.dtls.remove(handle);
        }
    }

    /// Ends a session that has to give way, here or on its own shard.
    fn end_or_pass_on(&mut self, session: Option<SessionId>) {
        let Some(session) = session else { return };
        match self.by_id.get(&session) {
            Some(handle) => self.dtls.remove(*handle),
            None => self.happenings.push(Happening::GivesWay(session)),
        }
    }

    /// Makes a session known. Returns another one of its endpoint that has to give way.
    fn enter(
        &mut self,
        now: Instant,
        handle: Handle,
        session: SessionId,
        endpoint: Arc<str>,
        address: SocketAddr,
    ) -> Option<SessionId> {
        let connection = self.dtls.connection(handle)?;
        let has_cid = connection.connection_ids().is_some_and(|(local, _)| !local.is_empty());
        if connection.max_payload() < Outbox::LONGEST {
            self.directory.limit_session(session, connection.max_payload());
        }
        let address = (!has_cid).then_some(address);
        let (heard, gives_way) = self.directory.open_session(now, session, &endpoint, address);
        let index = handle.index() as usize;
        if self.open.len() <= index {
            self.open.resize_with(index + 1, || None);
        }
        self.by_id.insert(session, handle);
        self.open[index] =
            Some(Open { handle, session, endpoint, heard, is_void: false, is_being_saved: false });
        gives_way
    }

    fn ended(&mut self, now: Instant, handle: Handle, address: SocketAddr, reason: EndReason) {
        if self.open_at(handle).is_none() {
            if let EndReason::Failed(failure) = reason {
                self.failure_counts.count(&failure);
                self.identities.failed(address, &failure);
                if self.failures.tell(now, address, &failure, &*self.identities) {
                    let endpoint = endpoint_of(&failure, &*self.identities).unwrap_or_default();
                    let what = DtlsEvent::Failed(failure.to_string().into());
                    self.happenings.push(Happening::Told(endpoint, address, what));
                }
            }
            return;
        }
        let Some(open) = self.open.get_mut(handle.index() as usize).and_then(Option::take) else { return };
        tracing::debug!(endpoint = %open.endpoint, ?reason, "DTLS session over");
        self.by_id.remove(&open.session);
        self.directory.close_session(open.session, &open.endpoint, address);
        self.happenings.push(Happening::Told(open.endpoint.clone(), address, DtlsEvent::Ended));
        self.happenings.push(match open.is_void {
            true => Happening::Void(open.session, open.endpoint),
            false => Happening::Ended(open.session),
        });
    }

    fn open_at(&self, handle: Handle) -> Option<&Open> {
        self.open.get(handle.index() as usize)?.as_ref().filter(|open| open.handle == handle)
    }
}

fn slot(open: &mut [Option<Open>], handle: Handle) -> Option<&mut Open> {
    open.get_mut(handle.index() as usize)?.as_mut().filter(|open| open.handle == handle)
}

/// What an export is bound to: neither can be said to be another's.
fn export_name(session: SessionId, endpoint: &str) -> Vec<u8> {
    [&session.number().to_be_bytes()[..], endpoint.as_bytes()].concat()
}

pub(crate) fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    Ok(seed)
}

/// The keys of tickets: one for each day, and that of the day before. Shards with the same seed have the same.
struct Tickets {
    keys: TicketKeys,
    seed: [u8; 32],
    day: u64,
}

impl Tickets {
    fn new(seed: [u8; 32], now: Instant) -> Self {
        let day = day_of(now);
        let mut keys =
            TicketKeys::new(&mut of_day(seed, day.saturating_sub(1)), TICKET_LIFETIME.as_secs() as u32);
        keys.rotate(&mut of_day(seed, day));
        Self { keys, seed, day }
    }

    fn rotate_if_due(&mut self, now: Instant) {
        if day_of(now) > self.day {
            *self = Self::new(self.seed, now);
        }
    }
}

fn day_of(now: Instant) -> u64 {
    now.as_millis() / TICKET_LIFETIME.as_millis() as u64
}

fn of_day(mut seed: [u8; 32], day: u64) -> ChaCha20Rng {
    seed.iter_mut().zip(day.to_le_bytes()).for_each(|(byte, of_day)| *byte ^= of_day);
    ChaCha20Rng::from_seed(seed)
}

/// Tells the operator why handshakes fail, but not more than can be read.
#[derive(Default)]
struct FailureLog {
    second: u64,
    told: u32,
    untold: u32,
}

impl FailureLog {
    /// Returns whether it was told.
    fn tell(
        &mut self,
        now: Instant,
        address: SocketAddr,
        failure: &Failure,
        identities: &dyn Identities,
    ) -> bool {
        self.tell_rest(now);
        if self.told >= LOGGED_PER_SECOND {
            self.untold += 1;
            return false;
        }
        self.told += 1;
        match endpoint_of(failure, identities) {
            Some(endpoint) => tracing::warn!(%address, "device {endpoint}: {failure}"),
            None if is_name_with_credentials(failure, identities) => tracing::warn!(
                %address,
                "a DTLS handshake failed: {failure}; a device of that name has credentials, which are revoked or others"
            ),
            None => tracing::warn!(%address, "a DTLS handshake failed: {failure}"),
        }
        true
    }

    fn tell_rest(&mut self, now: Instant) {
        let second = now.as_millis() / 1000;
        if second == self.second {
            return;
        }
        if self.untold > 0 {
            tracing::warn!(count = self.untold, "further DTLS handshakes failed");
        }
        *self = Self { second, ..Self::default() };
    }

    fn next_deadline(&self) -> Option<Instant> {
        (self.untold > 0).then(|| Instant::from_millis((self.second + 1) * 1000))
    }
}

/// Whether an identity that nobody has is the name of a device: its credentials may be revoked, or have another identity.
fn is_name_with_credentials(failure: &Failure, identities: &dyn Identities) -> bool {
    let Failure::UnknownPskIdentity(identity) = failure else { return false };
    std::str::from_utf8(identity).is_ok_and(|name| identities.has(name))
}

/// Whose credentials were shown in a handshake that failed.
fn endpoint_of(failure: &Failure, identities: &dyn Identities) -> Option<Arc<str>> {
    match failure {
        Failure::BadPsk(identity) => identities.endpoint_of(&buoy_dtls::Peer::Psk(identity.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
