//! The bootstrap server in a thread: one for all devices, since each comes once in a long while.
//!
//! Nothing here is saved: a device whose bootstrap breaks off asks again.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_server::{
    BootstrapConfig, BootstrapDirectory, BootstrapEvent, BootstrapLimits, BootstrapOutbox, BootstrapRequest,
    BootstrapShard, BootstrapVerdict, Directory as _, Outbox, Peer,
};
use mio::{Events, Interest, Poll, Token};

use crate::clock::Clock;
use crate::directory::Endpoints;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::secure::{Secure, SecureParts, seed};
use crate::supervision::Supervisor;
use crate::udp::{self, Arrival, Part, Receiver, Ways};

const PLAIN: Token = Token(0);
const SECURE: Token = Token(1);
const WAKE: Token = Token(2);
const BATCHES_PER_TURN: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Decides about a device that asks, without waiting for anything. The name is the one that its credentials prove; `None` over plain CoAP.
/// The address is the one of this machine that it asked at, if the port is bound to all of them.
pub type Decide =
    Box<dyn FnMut(&BootstrapRequest<'_>, Option<Arc<str>>, Option<IpAddr>) -> BootstrapVerdict + Send>;

/// Makes the configuration of an endpoint, away from this thread, and hands it in by [`Handover::prepared`]. It may be asked for one that it
/// is making already, and then hands it in once. The address is the one of this machine that the endpoint asked at.
pub type Prepare = Box<dyn FnMut(Arc<str>, Option<IpAddr>, Handover) + Send>;

/// The way back from who makes configurations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handover(Mailbox<Message>);

impl Handover {
    /// The configuration of an endpoint is made, or can't be, for this reason.
    pub fn prepared(&self, endpoint: Arc<str>, made: Result<Arc<BootstrapConfig>, Cow<'static, str>>) {
        self.0.send(Message::Prepared(endpoint, made));
    }
}

/// What the bootstrap server is made of.
pub struct BootstrapParts {
    /// Its socket for plain CoAP, if that is spoken.
    pub plain: Option<mio::net::UdpSocket>,
    /// Its port for CoAP over DTLS, if that is spoken.
    pub secure: Option<SecureParts>,
    /// The sessions of this port.
    pub directory: Endpoints,
    /// What becomes of devices.
    pub decide: Decide,
    /// Makes their configurations.
    pub prepare: Prepare,
    /// Where events go.
    pub publish: Box<dyn FnMut(BootstrapEvent) + Send>,
    /// The clock.
    pub clock: Clock,
    /// Is told if the thread fails.
    pub supervisor: Supervisor,
}

impl std::fmt::Debug for BootstrapParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BootstrapParts")
            .field("plain", &self.plain)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// The way to the bootstrap server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BootstrapHandle(Mailbox<Message>);

impl BootstrapHandle {
    /// Calls off what goes on with an endpoint, whose credentials may have been revoked.
    pub fn cancel(&self, endpoint: &str) {
        self.0.send(Message::Cancel(endpoint.into()));
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.0.send(Message::Stop);
    }
}

#[derive(Debug)]
enum Message {
    Cancel(Arc<str>),
    Prepared(Arc<str>, Result<Arc<BootstrapConfig>, Cow<'static, str>>),
    Stop,
}

/// Starts the thread.
///
/// # Errors
/// What the system says if it refuses threads or pollers.
pub fn start(mut parts: BootstrapParts) -> io::Result<(BootstrapHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    if let Some(socket) = &mut parts.plain {
        poll.registry().register(socket, PLAIN, Interest::READABLE)?;
    }
    if let Some(secure) = &mut parts.secure {
        poll.registry().register(&mut secure.socket, SECURE, Interest::READABLE)?;
    }
    let now = parts.clock.now();
    // No session outlives a restart, so nothing is to be saved or forgotten.
    let mut outbox = Outbox::default();
    let secure = parts.secure.map(|secure| Secure::new(0, secure, parts.directory.clone(), now, &mut outbox));
    let secure = secure.transpose()?;
    let (messages, inbox) = mailbox(poll.registry(), WAKE)?;
    let thread = Thread {
        engine: BootstrapShard::new(BootstrapLimits::default(), seed()?),
        plain: parts.plain,
        ways: Ways::default(),
        secure,
        directory: parts.directory,
        decide: parts.decide,
        prepare: parts.prepare,
        handover: Handover(messages.clone()),
        publish: parts.publish,
        clock: parts.clock,
        poll,
        inbox,
        outbox,
        answers: BootstrapOutbox::default(),
    };
    let join = parts.supervisor.spawn("bootstrap".into(), move || thread.run())?;
    Ok((BootstrapHandle(messages), join))
}

struct Thread {
    engine: BootstrapShard,
    plain: Option<mio::net::UdpSocket>,
    /// To its peers.
    ways: Ways,
    secure: Option<Secure>,
    directory: Endpoints,
    decide: Decide,
    prepare: Prepare,
    handover: Handover,
    publish: Box<dyn FnMut(BootstrapEvent) + Send>,
    clock: Clock,
    poll: Poll,
    inbox: Inbox<Message>,
    /// For the flights of handshakes.
    outbox: Outbox,
    answers: BootstrapOutbox,
}

/// Decides about devices that have proved who they are, and knows what their sessions can carry.
struct ProvedDevices<'a> {
    decide: &'a mut Decide,
    sessions: &'a Endpoints,
    local: Option<IpAddr>,
}

impl BootstrapDirectory for ProvedDevices<'_> {
    fn look_up(&mut self, request: &BootstrapRequest<'_>) -> BootstrapVerdict {
        let proved = request.peer.session.and_then(|session| self.sessions.proved(session));
        match proved {
            Some(proved) => (self.decide)(request, Some(proved), self.local),
            None => BootstrapVerdict::Refused("the credentials of this session are not good any more".into()),
        }
    }

    fn longest_message(&self, peer: Peer) -> usize {
        peer.session.map_or(usize::MAX, |session| self.sessions.longest_message(session))
    }
}

impl Thread {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        let mut receiver = Receiver::default();
        let mut more_to_read = true;
        loop {
            let wait = self.wait(more_to_read);
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            while let Some(message) = self.inbox.next() {
                match message {
                    Message::Cancel(endpoint) => self.cancel(&endpoint),
                    Message::Prepared(endpoint, made) => {
                        self.engine.prepared(self.clock.now(), &endpoint, made, &mut self.answers);
                    }
                    Message::Stop => return Ok(()),
                }
            }
            // Both are asked: a wake-up that finds nothing is cheap here.
            more_to_read = self.receive_plain(&mut receiver) | self.receive_secure(&mut receiver);
            self.handle_timeouts();
            self.engine.flush(self.clock.now(), &mut self.answers);
            self.send();
        }
    }

    fn wait(&self, more_to_read: bool) -> Duration {
        if more_to_read {
            return Duration::ZERO;
        }
        let secure = self.secure.as_ref().and_then(Secure::next_deadline);
        let deadline = [self.engine.next_deadline(), secure].into_iter().flatten().min();
        let now = self.clock.now();
        deadline.map_or(LONGEST_WAIT, |at| (at.since(now) + Duration::from_millis(1)).min(LONGEST_WAIT))
    }

    fn cancel(&mut self, endpoint: &str) {
        let now = self.clock.now();
        self.engine.cancel(now, endpoint, &mut self.answers);
        let Some(secure) = &mut self.secure else { return };
        for session in self.directory.sessions_of(endpoint) {
            secure.end(now, session, &mut self.outbox);
        }
        secure.take_happenings();
    }

    fn receive_plain(&mut self, receiver: &mut Receiver) -> bool {
        let Self { plain: Some(socket), ways, engine, decide, answers, clock, .. } = self else {
            return false;
        };
        receiver.receive_some(socket, BATCHES_PER_TURN, |part| {
            let Part::Datagram(Arrival { from, local }, datagram) = part else { return };
            ways.heard(from, local);
            let mut decide = |request: &BootstrapRequest<'_>| decide(request, None, local);
            engine.handle_datagram(clock.now(), Peer::plain(from), datagram, &mut decide, answers);
        })
    }

    fn receive_secure(&mut self, receiver: &mut Receiver) -> bool {
        let Some(socket) = self.secure.as_ref().map(|secure| secure.socket.clone()) else { return false };
        receiver.receive_some(&socket, BATCHES_PER_TURN, |part| {
            let Part::Datagram(arrival, records) = part else { return };
            self.take_records(self.clock.now(), arrival, records);
        })
    }

    fn take_records(&mut self, now: Instant, arrival: Arrival, records: &mut [u8]) {
        let Self { secure: Some(secure), engine, decide, directory, answers, outbox, .. } = self else {
            return;
        };
        let mut proved = ProvedDevices { decide, sessions: directory, local: arrival.local };
        secure.receive(now, arrival, records, outbox, |peer, datagram, _| {
            engine.handle_datagram(now, peer, datagram, &mut proved, answers);
        });
        secure.take_happenings();
    }

    fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_due(self.engine.next_deadline()) {
            self.engine.handle_timeout(now, &mut self.answers);
        }
        if let Some(secure) = self.secure.as_mut().filter(|secure| is_due(secure.next_deadline())) {
            secure.handle_timeout(now, &mut self.outbox);
            secure.take_happenings();
        }
    }

    fn send(&mut self) {
        if let Some(socket) = &self.plain {
            let plain = self.answers.datagrams().filter(|(peer, _)| peer.session.is_none());
            udp::send_batch(socket, &self.ways, plain.map(|(peer, datagram)| (peer.address, datagram)));
        }
        if let Some(secure) = &mut self.secure {
            secure.send_flights(&self.outbox);
            let (datagrams, bytes) = self.answers.datagrams_mut();
            secure.send(datagrams, bytes);
        }
        for (endpoint, peer) in self.answers.to_prepare.drain(..) {
            let local = match &self.secure {
                Some(secure) if peer.session.is_some() => secure.local_for(peer.address),
                _ => self.ways.local_for(peer.address),
            };
            (self.prepare)(endpoint, local, self.handover.clone());
        }
        self.answers.events.drain(..).for_each(&mut self.publish);
        self.answers.clear();
        self.outbox.clear();
    }
}
