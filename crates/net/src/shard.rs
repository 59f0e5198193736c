//! One server shard in a thread: its sockets, its timers, its inbox, and the journal that everything waits for.
//!
//! What the engine wants saved goes to the [`Journal`] together with what it wants sent. The journal saves, and gives it back; only then
//! it is sent and told. So nothing is acknowledged before it is safe, and the thread never waits for the disk: it takes the next
//! batch meanwhile.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_server::{Change, Event, Outbox, Peer, SessionId, Shard};
use mio::{Events, Interest, Poll, Token};

use crate::clock::Clock;
use crate::directory::Endpoints;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::secure::{Happening, Secure, SecureParts};
use crate::supervision::Supervisor;
use crate::udp::{self, Arrival, Part, Receiver, Ways};

const PLAIN: Token = Token(0);
const SECURE: Token = Token(1);
const WAKE: Token = Token(2);
/// Batches of datagrams that are taken from a socket before timers and the inbox get their turn.
const BATCHES_PER_TURN: usize = 16;
/// Outboxes that may wait for the journal. With more the thread stops reading its socket: the kernel then drops datagrams, and
/// the peers try again.
const MAX_IN_FLIGHT: usize = 64;
/// Messages that are taken before sockets and timers get their turn.
const MESSAGES_PER_TURN: usize = 1024;
/// Datagrams that other shards read for this one and that may wait for it, so many at most: some megabytes.
const MOST_FORWARDED: usize = 8192;
/// The thread looks around at least so often.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The engine as it runs in a thread.
pub type ServerShard = Shard<Endpoints>;

/// Something to be done in a shard's thread.
pub type Task = Box<dyn FnOnce(&mut ServerShard, Instant, &mut Outbox) + Send>;

/// Makes changes durable.
pub trait Journal: Send {
    /// Saves the changes of an outbox, some time later, in the order of the calls, and then gives the outbox to `done`.
    fn save(&mut self, outbox: Outbox, done: &Done);
}

/// Where events go. They are taken out of the vector.
pub type Publish = Box<dyn FnMut(&mut Vec<Event>) + Send>;

/// The way back from the journal.
#[derive(Clone, Debug)]
pub struct Done(Mailbox<Message>);

impl Done {
    /// The changes of this outbox are durable.
    pub fn saved(&self, outbox: Outbox) {
        self.0.send(Message::Saved(outbox));
    }
}

/// The way to a shard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShardHandle {
    mailbox: Mailbox<Message>,
    /// Datagrams from strangers that wait in the mailbox: who reads them for another shard may be faster than that one.
    forwarded: Arc<AtomicUsize>,
}

impl ShardHandle {
    /// Has something done in the shard's thread.
    pub fn run(&self, task: impl FnOnce(&mut ServerShard, Instant, &mut Outbox) + Send + 'static) {
        self.mailbox.send(Message::Run(Box::new(task)));
    }

    /// Ends the thread once everything that it has to save is saved and sent.
    pub fn stop(&self) {
        self.mailbox.send(Message::Stop);
    }

    /// Ends a DTLS session.
    pub fn end_session(&self, session: SessionId) {
        self.mailbox.send(Message::EndSession(session));
    }

    /// Ends a DTLS session, and the registration at it, unless what its endpoint proved itself by is still good.
    pub fn check_session(&self, session: SessionId, endpoint: Arc<str>) {
        self.mailbox.send(Message::CheckSession(session, endpoint));
    }

    /// Saves how far some of the sessions have come, so that less can be replayed to a server that crashed. To be called each second: a
    /// round through all of them takes five minutes.
    pub fn save_some_sessions(&self) {
        self.mailbox.send(Message::SaveSomeSessions);
    }

    /// Tells at which address of this machine a peer is spoken with, if its port is bound to all of them and the peer was heard.
    pub fn local_address(&self, peer: Peer, tell: impl FnOnce(Option<IpAddr>) + Send + 'static) {
        self.mailbox.send(Message::LocalAddress(peer, Box::new(tell)));
    }

    fn forward(&self, from: Peer, local: Option<IpAddr>, datagram: Box<[u8]>) {
        self.pass(|| Message::Forwarded(from, local, datagram));
    }

    fn forward_records(&self, arrival: Arrival, records: &[u8]) {
        self.pass(|| Message::Records(arrival, records.into()));
    }

    /// Passes on what came by UDP, which may lose it, as UDP does, when too much waits already.
    fn pass(&self, message: impl FnOnce() -> Message) {
        if self.forwarded.load(Ordering::Relaxed) < MOST_FORWARDED {
            self.forwarded.fetch_add(1, Ordering::Relaxed);
            self.mailbox.send(message());
        }
    }
}

enum Message {
    Run(Task),
    Saved(Outbox),
    /// A message that another shard read, to which address of this machine it went, and that is for an endpoint of this one.
    Forwarded(Peer, Option<IpAddr>, Box<[u8]>),
    /// Records that another shard's socket got, of a session of this one.
    Records(Arrival, Box<[u8]>),
    /// A message that another shard wrote, for a session of this one.
    Transmit(Peer, Box<[u8]>),
    EndSession(SessionId),
    CheckSession(SessionId, Arc<str>),
    SaveSomeSessions,
    LocalAddress(Peer, Box<dyn FnOnce(Option<IpAddr>) + Send>),
    Meet(Vec<ShardHandle>),
    Stop,
}

/// What a shard's thread is made of.
pub struct Parts {
    /// The engine.
    pub engine: ServerShard,
    /// What it has to save and to tell from the start.
    pub outbox: Outbox,
    /// Its socket for plain CoAP, if that is spoken.
    pub plain: Option<mio::net::UdpSocket>,
    /// Its port for CoAP over DTLS, if that is spoken.
    pub secure: Option<SecureParts>,
    /// What all shards know.
    pub directory: Endpoints,
    /// The journal.
    pub journal: Box<dyn Journal>,
    /// Where its events go.
    pub publish: Publish,
    /// The clock, the same for all shards.
    pub clock: Clock,
    /// Is told if the thread fails.
    pub supervisor: Supervisor,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("plain", &self.plain)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// Starts the threads of all shards, and introduces them to each other.
///
/// # Errors
/// What the system says if it refuses threads or pollers.
pub fn start(parts: Vec<Parts>) -> io::Result<Vec<(ShardHandle, JoinHandle<()>)>> {
    // All at once: each reads its saved sessions, which may be hundreds of thousands.
    let threads: Vec<_> = std::thread::scope(|scope| {
        let starting = parts.into_iter().enumerate();
        let starting: Vec<_> =
            starting.map(|(number, parts)| scope.spawn(move || start_one(number, parts))).collect();
        let started = starting.into_iter().map(|starting| {
            starting.join().unwrap_or_else(|_| Err(io::Error::other("a shard cannot be started")))
        });
        started.collect::<io::Result<_>>()
    })?;
    let handles: Vec<ShardHandle> = threads.iter().map(|(handle, _)| handle.clone()).collect();
    for handle in &handles {
        handle.mailbox.send(Message::Meet(handles.clone()));
    }
    Ok(threads)
}

fn start_one(number: usize, mut parts: Parts) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    if let Some(socket) = &mut parts.plain {
        poll.registry().register(socket, PLAIN, Interest::READABLE)?;
    }
    let mut outbox = parts.outbox;
    let now = parts.clock.now();
    let secure = parts.secure.map(|mut secure| {
        poll.registry().register(&mut secure.socket, SECURE, Interest::READABLE)?;
        Secure::new(number as u8, secure, parts.directory.clone(), now, &mut outbox)
    });
    let secure = secure.transpose()?;
    let (messages, inbox) = mailbox(poll.registry(), WAKE)?;
    let forwarded = Arc::<AtomicUsize>::default();
    let thread = Thread {
        number,
        engine: parts.engine,
        directory: parts.directory,
        plain: parts.plain,
        ways: Ways::default(),
        secure,
        journal: parts.journal,
        publish: parts.publish,
        clock: parts.clock,
        poll,
        inbox,
        done: Done(messages.clone()),
        forwarded: forwarded.clone(),
        shards: Vec::new(),
        // What is to be saved from the start goes with the first turn.
        spare: vec![outbox],
        in_flight: 0,
        stopping: false,
    };
    let join = parts.supervisor.spawn(format!("shard-{number}"), move || thread.run())?;
    Ok((ShardHandle { mailbox: messages, forwarded }, join))
}

struct Thread {
    number: usize,
    engine: ServerShard,
    directory: Endpoints,
    plain: Option<mio::net::UdpSocket>,
    /// To its peers.
    ways: Ways,
    secure: Option<Secure>,
    journal: Box<dyn Journal>,
    publish: Publish,
    clock: Clock,
    poll: Poll,
    inbox: Inbox<Message>,
    /// Of its own handle.
    forwarded: Arc<AtomicUsize>,
    done: Done,
    shards: Vec<ShardHandle>,
    spare: Vec<Outbox>,
    /// Outboxes at the journal.
    in_flight: usize,
    stopping: bool,
}

/// What may have more to read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Unread {
    plain: bool,
    secure: bool,
    messages: bool,
}

impl Thread {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        let mut receiver = Receiver::default();
        let mut unread = Unread { plain: true, secure: true, messages: true };
        while !self.is_done() {
            let wait = self.wait(unread);
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            unread.plain |= events.iter().any(|event| event.token() == PLAIN);
            unread.secure |= events.iter().any(|event| event.token() == SECURE);
            self.engine.set_calendar(self.clock.calendar());
            let mut outbox = self.spare.pop().unwrap_or_default();
            unread.messages = self.take_messages(&mut outbox);
            if self.may_read() {
                unread.plain = unread.plain && self.receive_plain(&mut receiver, &mut outbox);
                unread.secure = unread.secure && self.receive_secure(&mut receiver, &mut outbox);
            }
            self.handle_timeouts(&mut outbox);
            self.engine.flush(self.clock.now(), &mut outbox);
            self.dispatch(outbox);
        }
        Ok(())
    }

    /// Whether a thread that is to stop has nothing left to save or to send. What sessions took last is saved last, so that nothing can
    /// be replayed to the next life.
    fn is_done(&mut self) -> bool {
        if !self.stopping || self.in_flight > 0 {
            return false;
        }
        let mut outbox = self.spare.pop().unwrap_or_default();
        if let Some(secure) = &mut self.secure {
            secure.save_received(&mut outbox);
        }
        let is_done = outbox.is_empty();
        self.dispatch(outbox);
        is_done
    }

    fn may_read(&self) -> bool {
        self.in_flight < MAX_IN_FLIGHT && !self.stopping
    }

    fn wait(&self, unread: Unread) -> Duration {
        if unread.messages || (self.may_read() && (unread.plain || unread.secure)) {
            return Duration::ZERO;
        }
        let secure = self.secure.as_ref().and_then(Secure::next_deadline);
        let deadline = [self.engine.next_deadline(), secure].into_iter().flatten().min();
        let now = self.clock.now();
        // Rounded up: to wake before the deadline would be to spin.
        deadline.map_or(LONGEST_WAIT, |at| (at.since(now) + Duration::from_millis(1)).min(LONGEST_WAIT))
    }

    fn handle_timeouts(&mut self, outbox: &mut Outbox) {
        let now = self.clock.now();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_due(self.engine.next_deadline()) {
            self.engine.handle_timeout(now, outbox);
        }
        if let Some(secure) = self.secure.as_mut().filter(|secure| is_due(secure.next_deadline())) {
            secure.handle_timeout(now, outbox);
            self.attend_to_sessions(outbox);
        }
    }

    /// Takes messages; says whether there may be more. Sockets and timers get their turn however many come.
    fn take_messages(&mut self, outbox: &mut Outbox) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(message) = self.inbox.next() else { return false };
            let now = self.clock.now();
            match message {
                Message::Run(task) => task(&mut self.engine, now, outbox),
                Message::Saved(saved) => {
                    self.in_flight -= 1;
                    self.release(saved);
                }
                Message::Forwarded(from, local, datagram) => {
                    self.forwarded.fetch_sub(1, Ordering::Relaxed);
                    if from.session.is_none() {
                        self.ways.heard(from.address, local);
                    }
                    let before = outbox.events.len();
                    self.engine.handle_datagram(now, from, &datagram, outbox);
                    // What this shard doesn't know either belongs to nobody: it must not go round.
                    let lost = |event: &mut Event| matches!(event, Event::Misdirected { .. });
                    outbox.events.extract_if(before.., lost).for_each(drop);
                }
                Message::Records(arrival, mut records) => {
                    self.forwarded.fetch_sub(1, Ordering::Relaxed);
                    self.take_records(now, arrival, &mut records, outbox);
                }
                // The session may be over by now: then nobody is to be told, least of all this shard again.
                Message::Transmit(to, datagram) if self.has_session(to) => outbox.pass_on(to, &datagram),
                Message::Transmit(..) => {}
                Message::EndSession(session) => {
                    if let Some(secure) = &mut self.secure {
                        secure.end(now, session, outbox);
                        self.attend_to_sessions(outbox);
                    }
                }
                Message::CheckSession(session, endpoint) => {
                    if let Some(secure) = &mut self.secure {
                        secure.check(now, session, endpoint, outbox);
                        self.attend_to_sessions(outbox);
                    }
                }
                Message::SaveSomeSessions => {
                    if let Some(secure) = &mut self.secure {
                        secure.save_slice_of_received(now, outbox);
                    }
                }
                Message::LocalAddress(peer, tell) => tell(match peer.session {
                    Some(_) => self.secure.as_ref().and_then(|secure| secure.local_for(peer.address)),
                    None => self.ways.local_for(peer.address),
                }),
                Message::Meet(shards) => {
                    self.shards = shards;
                    self.attend_to_sessions(outbox);
                }
                Message::Stop => self.stopping = true,
            }
        }
        true
    }

    /// Takes datagrams of plain CoAP; says whether there may be more.
    fn receive_plain(&mut self, receiver: &mut Receiver, outbox: &mut Outbox) -> bool {
        let Self { plain: Some(socket), ways, engine, clock, .. } = self else { return false };
        let mut now = clock.now();
        receiver.receive_some(socket, BATCHES_PER_TURN, |part| match part {
            Part::Batch => now = clock.now(),
            Part::Datagram(Arrival { from, local }, datagram) => {
                ways.heard(from, local);
                engine.handle_datagram(now, Peer::plain(from), datagram, outbox);
            }
            Part::TooLong(Arrival { from, local }, beginning) => {
                ways.heard(from, local);
                engine.refuse_oversized(now, Peer::plain(from), beginning, outbox);
            }
        })
    }

    /// Takes DTLS records; says whether there may be more.
    fn receive_secure(&mut self, receiver: &mut Receiver, outbox: &mut Outbox) -> bool {
        let Some(socket) = self.secure.as_ref().map(|secure| secure.socket.clone()) else { return false };
        let mut now = self.clock.now();
        receiver.receive_some(&socket, BATCHES_PER_TURN, |part| match part {
            Part::Batch => now = self.clock.now(),
            Part::Datagram(arrival, records) => self.take_or_forward_records(now, arrival, records, outbox),
            // What is cut can't be decrypted, so nobody can be answered.
            Part::TooLong(Arrival { from, .. }, _) => {
                tracing::debug!(address = %from, "a DTLS datagram over {} bytes is dropped", udp::MAX_DATAGRAM);
            }
        })
    }

    fn take_or_forward_records(
        &mut self,
        now: Instant,
        arrival: Arrival,
        records: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let home = self.secure.as_ref().and_then(|secure| secure.home_of(arrival.from, records));
        match home.and_then(|shard| other_shard(&self.shards, self.number, shard)) {
            Some(shard) => shard.forward_records(arrival, records),
            None => self.take_records(now, arrival, records, outbox),
        }
    }

    fn take_records(&mut self, now: Instant, arrival: Arrival, records: &mut [u8], outbox: &mut Outbox) {
        let Some(secure) = &mut self.secure else { return };
        let engine = &mut self.engine;
        secure.receive(now, arrival, records, outbox, |peer, datagram, outbox| {
            engine.handle_datagram(now, peer, datagram, outbox);
        });
        self.attend_to_sessions(outbox);
    }

    /// Saves and forgets sessions as they come and go.
    fn attend_to_sessions(&mut self, outbox: &mut Outbox) {
        let happenings = self.secure.as_mut().map(Secure::take_happenings).unwrap_or_default();
        for happening in happenings {
            match happening {
                Happening::Connected(session) | Happening::Moved(session) => {
                    if let Some(secure) = &mut self.secure {
                        secure.save(session, outbox);
                    }
                }
                Happening::Ended(session) => outbox.changes.push(Change::RemoveSession { session }),
                Happening::Void(session, endpoint) => {
                    self.end_registration_at(session, endpoint, outbox);
                }
                Happening::Told(endpoint, address, what) => {
                    outbox.events.push(Event::Dtls { endpoint, address, what });
                }
                Happening::GivesWay(session) => {
                    if let Some(shard) = shard_of(&self.shards, session.shard()) {
                        shard.end_session(session);
                    }
                }
            }
        }
    }

    /// Forgets a session that was made by what is not good any more, in one commit with the registration at it: a crash between the two
    /// would leave a registration that nothing speaks against.
    fn end_registration_at(&mut self, session: SessionId, endpoint: Arc<str>, outbox: &mut Outbox) {
        let name = endpoint.clone();
        let end = move |engine: &mut ServerShard, now: Instant, outbox: &mut Outbox| {
            outbox.changes.push(Change::RemoveSession { session });
            if engine.registration(&endpoint).is_some_and(|it| it.session == Some(session)) {
                engine.evict(now, &endpoint, outbox);
            }
        };
        let home = self.directory.shard_of(&name);
        match home.and_then(|home| other_shard(&self.shards, self.number, home)) {
            Some(home) => home.run(end),
            None => end(&mut self.engine, self.clock.now(), outbox),
        }
    }

    /// Ends the sessions that registrations have left, here or on their own shards.
    fn end_left_sessions(&mut self, outbox: &mut Outbox) {
        let left = outbox.events.extract_if(.., |event| matches!(event, Event::SessionLeft { .. }));
        let left: Vec<SessionId> = left.filter_map(session_left).collect();
        for session in left {
            let secure = self.secure.as_mut().filter(|secure| secure.has(session));
            match (secure, other_shard(&self.shards, self.number, session.shard())) {
                (Some(secure), _) => {
                    secure.end(self.clock.now(), session, outbox);
                    self.attend_to_sessions(outbox);
                }
                (None, Some(shard)) => shard.end_session(session),
                // It is over already.
                (None, None) => {}
            }
        }
    }

    /// Sends what needs no saving at once, and the rest by way of the journal; never one before the other.
    fn dispatch(&mut self, mut outbox: Outbox) {
        self.forward_misdirected(&mut outbox);
        self.end_left_sessions(&mut outbox);
        self.prepare_sessions(&mut outbox);
        if outbox.is_empty() {
            self.spare.push(outbox);
        } else if !outbox.has_changes() && self.in_flight == 0 {
            self.release(outbox);
        } else {
            self.in_flight += 1;
            self.journal.save(outbox, &self.done);
        }
    }

    /// Saves the sessions that must be before these datagrams are sent.
    fn prepare_sessions(&mut self, outbox: &mut Outbox) {
        let Some(secure) = &mut self.secure else { return };
        let sessions = outbox.datagrams().filter_map(|(peer, _)| peer.session);
        let due: Vec<SessionId> = sessions.filter(|session| secure.save_is_due(*session)).collect();
        due.into_iter().for_each(|session| secure.save(session, outbox));
    }

    /// Sends and tells what is safe to send and to tell. It is told first: whoever asks about a device that has its answer is answered by
    /// what the device was told.
    fn release(&mut self, mut outbox: Outbox) {
        if !outbox.events.is_empty() {
            (self.publish)(&mut outbox.events);
        }
        if let Some(socket) = &self.plain {
            let plain = outbox.datagrams().filter(|(peer, _)| peer.session.is_none());
            udp::send_batch(socket, &self.ways, plain.map(|(peer, datagram)| (peer.address, datagram)));
        }
        self.release_secure(&mut outbox);
        outbox.clear();
        self.spare.push(outbox);
    }

    fn release_secure(&mut self, outbox: &mut Outbox) {
        let Some(secure) = &mut self.secure else { return };
        secure.saved(outbox);
        secure.send_flights(outbox);
        for (peer, datagram) in outbox.datagrams() {
            let Some(session) = peer.session.filter(|session| !secure.has(*session)) else { continue };
            let other = other_shard(&self.shards, self.number, session.shard());
            if let Some(shard) = other.filter(|_| !self.stopping) {
                shard.mailbox.send(Message::Transmit(peer, datagram.into()));
            }
        }
        let (datagrams, bytes) = outbox.datagrams_mut();
        secure.send(datagrams, bytes);
    }

    fn forward_misdirected(&mut self, outbox: &mut Outbox) {
        if self.shards.len() < 2 {
            let is_for_others =
                |event: &Event| matches!(event, Event::Misdirected { .. } | Event::AddressTaken { .. });
            outbox.events.retain(|event| !is_for_others(event));
            return;
        }
        let taken = outbox.events.extract_if(.., |event| matches!(event, Event::AddressTaken { .. }));
        for event in taken {
            let Event::AddressTaken { shard, peer } = event else { continue };
            if let Some(other) = other_shard(&self.shards, self.number, shard) {
                other.run(move |engine, now, outbox| engine.release_address(now, peer, outbox));
            }
        }
        let misdirected: VecDeque<_> =
            outbox.events.extract_if(.., |event| matches!(event, Event::Misdirected { .. })).collect();
        for event in misdirected {
            let Event::Misdirected { shard, peer, datagram } = event else { continue };
            let local = self.ways.local_for(peer.address).filter(|_| peer.session.is_none());
            match shard.and_then(|shard| shard_of(&self.shards, shard)) {
                Some(home) => home.forward(peer, local, datagram),
                None => {
                    let others = self.shards.iter().enumerate().filter(|(number, _)| *number != self.number);
                    others.for_each(|(_, shard)| shard.forward(peer, local, datagram.clone()));
                }
            }
        }
    }

    fn has_session(&self, peer: Peer) -> bool {
        let secure = self.secure.as_ref();
        secure.zip(peer.session).is_some_and(|(secure, session)| secure.has(session))
    }
}

fn session_left(event: Event) -> Option<SessionId> {
    match event {
        Event::SessionLeft { session } => Some(session),
        _ => None,
    }
}

/// The shard of a number, unless it is this one.
fn other_shard(shards: &[ShardHandle], this: usize, number: u8) -> Option<&ShardHandle> {
    let is_this = usize::from(number).checked_rem(shards.len()) == Some(this);
    shard_of(shards, number).filter(|_| !is_this)
}

/// The shard of a number. Names may carry numbers of a time when there were more shards.
fn shard_of(shards: &[ShardHandle], number: u8) -> Option<&ShardHandle> {
    shards.get(usize::from(number).checked_rem(shards.len())?)
}
