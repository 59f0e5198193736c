//! One association: a handshake, then a session, then a farewell.

use core::fmt;
use core::time::Duration;

use alloc::boxed::Box;

use crate::alert::{Alert, AlertMessage, Level};
use crate::cid::ConnectionId;
use crate::config::{ClientConfig, ServerConfig};
use crate::context::Context;
use crate::crypto::{Provider, RustCrypto, Side};
use crate::failure::{Failure, Message};
use crate::handshake::client::{self, Client};
use crate::handshake::flight::{Expired, Flight, put_plain};
use crate::handshake::inbox::{Arrived, Fragment, Kept};
use crate::handshake::server::{self, Server, ServerEnvironment};
use crate::handshake::{BeforeInbox, Completed, Core, LastFlight, Role, Step};
use crate::peer::Peer;
use crate::record::{ContentType, Datagram, OuterType, Record};
use crate::resumption::{Remembered, Resumption};
use crate::session::replay::Freshness;
use crate::session::{EPOCH, SealError, Session};
use crate::suite::CipherSuite;
use crate::time::Instant;
use crate::wire::Reader;

/// An association with one peer.
///
/// [`Connection::client`] starts one; a server's begins with [`Acceptor`](crate::cookie::Acceptor), or in
/// [`Endpoint`](crate::endpoint::Endpoint) with many others. The crate's documentation says in what order to call.
pub struct Connection<R: Role, P: Provider = RustCrypto> {
    state: State<R, P>,
    connected: Option<Box<Connected>>,
    ended: Option<Box<Event>>,
}

/// What a connection tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is complete. Send what [`Connection::poll_transmit`] has before anything is sealed.
    Connected(Box<Connected>),
    /// The peer closed the session in an orderly way.
    PeerClosed,
    /// It is over, and this is why.
    Failed(Failure),
}

/// What a complete handshake brought.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    /// Who the peer proved to be.
    pub peer: Peer,
    /// Whether an older session goes on.
    pub resumed: bool,
    /// What encrypts the records.
    pub suite: CipherSuite,
    /// In records to us; empty if they go without.
    pub local_cid: ConnectionId,
    /// In records to the peer; empty if they go without.
    pub remote_cid: ConnectionId,
    /// For a client that wants to resume the session later.
    pub resumption: Option<Resumption>,
    /// For a server that remembers sessions by id.
    pub remembered: Option<Remembered>,
}

enum State<R: Role, P: Provider> {
    Handshaking(Box<Handshake<R, P>>),
    Established(Established<P>),
    /// One alert is left to be sent.
    Leaving(Farewell<P>),
    Closed,
}

struct Handshake<R: Role, P: Provider> {
    core: Core<P>,
    /// `None` only while a message is taken.
    state: Option<R::State<P>>,
    doubt: Doubt,
}

/// Whether what looked like the peer's Finished could not be decrypted.
///
/// Anybody can send such a record, so it is dropped (RFC 6347 section 4.1.2.7). But if the peer had the time to repeat its flight, and the
/// true Finished never came, the peer has another key, and is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Raised,
    /// And our flight was repeated since.
    Confirmed,
}

struct Established<P> {
    session: Session<P>,
    /// Our last flight, as long as the peer may not have got it.
    repeat: Option<Box<Repeat>>,
    alert: Option<AlertMessage>,
}

struct Repeat {
    flight: Flight,
    plain_sequence: u64,
    left: u8,
    until: Instant,
    /// The peer sends data though it can't have our Finished: its data doesn't show that it has it.
    peer_is_early: bool,
}

enum Farewell<P> {
    Plain(AlertMessage, u64),
    Protected(AlertMessage, Session<P>),
    /// The peer has left already.
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only an endpoint asks"))]
    Silent(Session<P>),
}

/// Twice the time that a datagram may wander about (RFC 6347 section 4.2.4).
const REPEAT_FOR: Duration = Duration::from_secs(240);
const MAX_REPETITIONS: u8 = 10;

/// Application data, and whether it came in the newest record so far.
pub(crate) struct Incoming<'d> {
    pub(crate) data: &'d mut [u8],
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only an endpoint asks"))]
    pub(crate) is_newest: bool,
}

impl<P: Provider> Connection<Client, P> {
    /// Starts a handshake as the client: the first flight waits in [`Connection::poll_transmit`].
    ///
    /// With `resumption` the session that it is from goes on, if the server still knows it.
    pub fn client(config: &ClientConfig, context: &mut Context<'_>, resumption: Option<Resumption>) -> Self {
        let mut core = Core::new(config.timing, config.inbox_limit);
        let state = client::start(&mut core, config, context, resumption);
        Self::handshaking(core, state)
    }
}

impl<P: Provider> Connection<Server, P> {
    /// Answers a ClientHello whose cookie was good.
    pub(crate) fn server(
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        accepted: server::Accepted<'_>,
    ) -> Self {
        let ServerConfig { timing, inbox_limit, .. } = environment.config;
        let mut core = Core::new(*timing, *inbox_limit);
        match server::start(&mut core, environment, context, accepted) {
            Ok(state) => Self::handshaking(core, state),
            Err(failure) => {
                let mut failed = Self { state: State::Closed, connected: None, ended: None };
                failed.fail(core, failure);
                failed
            }
        }
    }
}

impl<P: Provider> Connection<Server, P> {
    /// Whether there is a session, and what its client proved itself by is still good: the very key of its identity, an authority that is
    /// still among the anchors, a peer whom the authority of the environment admits. To be asked when any of these has changed, and of
    /// each session that was saved.
    pub fn still_holds(&mut self, environment: ServerEnvironment<'_>) -> bool {
        self.session_mut().is_some_and(|session| server::holds(session, environment))
    }
}

impl<R: Role, P: Provider> Connection<R, P> {
    fn handshaking(core: Core<P>, state: R::State<P>) -> Self {
        let handshake = Handshake { core, state: Some(state), doubt: Doubt::None };
        Self { state: State::Handshaking(Box::new(handshake)), connected: None, ended: None }
    }

    /// A connection that goes on with an imported session.
    pub(crate) fn established(session: Session<P>) -> Self {
        let established = Established { session, repeat: None, alert: None };
        Self { state: State::Established(established), connected: None, ended: None }
    }

    /// Takes the next records of a datagram, up to application data, which is decrypted in place.
    ///
    /// Call it until it returns `None`; then [`Connection::poll_event`] and [`Connection::poll_transmit`]. What is no record
    /// of this connection is dropped without a word: anybody can send it.
    pub fn handle_datagram<'d>(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        datagram: &mut Datagram<'d>,
    ) -> Option<&'d mut [u8]> {
        self.receive(environment, context, datagram).map(|incoming| incoming.data)
    }

    pub(crate) fn receive<'d>(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        datagram: &mut Datagram<'d>,
    ) -> Option<Incoming<'d>> {
        while let Some(record) = datagram.next_record(self.local_cid_length()) {
            if let Ok(Some(incoming)) = self.handle_record(environment, context, record) {
                return Some(incoming);
            }
        }
        None
    }

    /// Takes one record. A session gives it back, unchanged, if it is not by its peer.
    pub(crate) fn handle_record<'d>(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        record: Record<'d>,
    ) -> Result<Option<Incoming<'d>>, Record<'d>> {
        match &mut self.state {
            State::Handshaking(_) => {
                self.handshake_record(environment, context, record);
                Ok(None)
            }
            State::Established(_) => self.session_record(record),
            State::Leaving(_) | State::Closed => Ok(None),
        }
    }

    /// The time of [`Connection::next_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Handshaking(handshake) => match handshake.expire(now) {
                Ok(()) => {}
                Err(failure) => self.fail_handshake(failure),
            },
            State::Established(established) => {
                if established.repeat.as_ref().is_some_and(|repeat| repeat.until <= now) {
                    established.repeat = None;
                }
            }
            State::Leaving(_) | State::Closed => {}
        }
    }

    /// When to call [`Connection::handle_timeout`] next; `None` if never.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking(handshake) => handshake.core.timer.expires(),
            State::Established(established) => established.repeat.as_ref().map(|repeat| repeat.until),
            State::Leaving(_) | State::Closed => None,
        }
    }

    /// Writes the next datagram of a flight or an alert; how long it is, or `None` if there is nothing to send.
    ///
    /// `out` should have room for the `datagram` of the [`Timing`](crate::config::Timing).
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        match &mut self.state {
            State::Handshaking(handshake) => {
                let Core { flight, session, plain_sequence, .. } = &mut handshake.core;
                flight.poll(session.as_mut(), plain_sequence, out)
            }
            State::Established(established) => established.poll_transmit(out),
            State::Leaving(farewell) => {
                let written = farewell.write(out);
                self.state = State::Closed;
                written
            }
            State::Closed => None,
        }
    }

    /// Whether [`Connection::poll_transmit`] has something.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        match &self.state {
            State::Handshaking(handshake) => handshake.core.flight.has_more(),
            State::Established(Established { repeat, alert, .. }) => {
                alert.is_some() || repeat.as_ref().is_some_and(|repeat| repeat.flight.has_more())
            }
            State::Leaving(Farewell::Plain(..) | Farewell::Protected(..)) => true,
            State::Leaving(Farewell::Silent(_)) | State::Closed => false,
        }
    }

    /// What happened since the last call; call it until it returns `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        let connected = self.connected.take().map(Event::Connected);
        connected.or_else(|| self.ended.take().map(|ended| *ended))
    }

    /// Encrypts a payload into a record at the start of `out`; how long the record is.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&mut self, payload: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        let session = self.session_mut().ok_or(SealError::NotConnected)?;
        if payload.len() > session.max_payload() {
            return Err(SealError::PayloadTooLong);
        }
        session.seal(ContentType::ApplicationData, payload, out)
    }

    /// Encrypts the `length` bytes at [`Connection::payload_offset`] of `buffer` where they stand; how long the record is,
    /// which starts at the start of the buffer. Behind the payload there must be room:
    /// [`Connection::overhead`] bytes more than the payload in all.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal_in_place(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SealError> {
        let session = self.session_mut().ok_or(SealError::NotConnected)?;
        if length > session.max_payload() {
            return Err(SealError::PayloadTooLong);
        }
        session.seal_in_place(ContentType::ApplicationData, buffer, length)
    }

    /// Where [`Connection::seal_in_place`] wants the payload; zero while there is no session.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        self.session().map_or(0, Session::payload_offset)
    }

    /// By how many bytes a record is longer than its payload; zero while there is no session.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.session().map_or(0, Session::overhead)
    }

    /// The longest payload of a record; zero while there is no session.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.session().map_or(0, Session::max_payload)
    }

    /// Says goodbye: [`Connection::poll_transmit`] has the alert.
    pub fn close(&mut self) {
        self.leave(AlertMessage::CLOSE_NOTIFY);
    }

    /// Whether there is a session.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established(_))
    }

    /// Whether nothing will come of it any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed | State::Leaving(Farewell::Silent(_)))
    }

    /// Who the peer proved to be; `None` while there is no session.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.session().map(Session::peer)
    }

    /// What encrypts the records; `None` while there is no session.
    #[must_use]
    pub fn suite(&self) -> Option<CipherSuite> {
        self.session().map(Session::suite)
    }

    /// The connection IDs in records to us and in records to the peer, empty where they go without; `None` while there is no
    /// session.
    #[must_use]
    pub fn connection_ids(&self) -> Option<(ConnectionId, ConnectionId)> {
        self.session().map(|session| (*session.local_cid(), *session.remote_cid()))
    }

    pub(crate) fn session(&self) -> Option<&Session<P>> {
        match &self.state {
            State::Established(established) => Some(&established.session),
            _ => None,
        }
    }

    /// The keys of a handshake that is not complete.
    #[cfg(test)]
    fn session_in_handshake(&mut self) -> Option<&mut Session<P>> {
        match &mut self.state {
            State::Handshaking(handshake) => handshake.core.session.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session<P>> {
        match &mut self.state {
            State::Established(established) => Some(&mut established.session),
            _ => None,
        }
    }

    /// In the peer's records, as far as that is agreed on.
    #[cfg(feature = "server")]
    pub(crate) fn local_cid(&self) -> ConnectionId {
        match &self.state {
            State::Established(Established { session, .. })
            | State::Leaving(Farewell::Protected(_, session) | Farewell::Silent(session)) => {
                *session.local_cid()
            }
            _ => ConnectionId::EMPTY,
        }
    }

    fn local_cid_length(&self) -> usize {
        match &self.state {
            State::Handshaking(handshake) => handshake.local_cid_length(),
            State::Established(established) => established.session.local_cid().len(),
            State::Leaving(_) | State::Closed => 0,
        }
    }

    fn handshake_record(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        record: Record<'_>,
    ) {
        let State::Handshaking(handshake) = &mut self.state else { return };
        match handshake.record(environment, context, record) {
            Ok(Progress::More) => {}
            Ok(Progress::Complete(completed)) => self.complete(completed, context.now),
            Ok(Progress::PeerGaveUp(alert)) => self.fail_handshake(Failure::PeerAlerted(alert)),
            Err(failure) => self.fail_handshake(failure),
        }
    }

    fn complete(&mut self, completed: Box<Completed>, now: Instant) {
        let State::Handshaking(handshake) = core::mem::replace(&mut self.state, State::Closed) else {
            return;
        };
        let Core { flight, session, plain_sequence, .. } = handshake.core;
        let Some(session) = session else { return };
        let Completed { last_flight, resumed, resumption, remembered } = *completed;
        self.connected = Some(Box::new(Connected {
            peer: session.peer().clone(),
            resumed,
            suite: session.suite(),
            local_cid: *session.local_cid(),
            remote_cid: *session.remote_cid(),
            resumption,
            remembered,
        }));
        let repeat = match last_flight {
            LastFlight::Peers => None,
            LastFlight::Ours => {
                let until = now.after(REPEAT_FOR);
                let (left, peer_is_early) = (MAX_REPETITIONS, false);
                Some(Box::new(Repeat { flight, plain_sequence, left, until, peer_is_early }))
            }
        };
        self.state = State::Established(Established { session, repeat, alert: None });
    }

    fn fail_handshake(&mut self, failure: Failure) {
        if let State::Handshaking(handshake) = core::mem::replace(&mut self.state, State::Closed) {
            self.fail(handshake.core, failure);
        }
    }

    fn fail(&mut self, core: Core<P>, failure: Failure) {
        self.state = match failure.alert().map(AlertMessage::fatal) {
            Some(alert) => State::Leaving(Farewell::new(alert, core)),
            None => State::Closed,
        };
        self.ended = Some(Box::new(Event::Failed(failure)));
    }

    fn leave(&mut self, alert: AlertMessage) {
        self.state = match core::mem::replace(&mut self.state, State::Closed) {
            State::Handshaking(handshake) => State::Leaving(Farewell::new(alert, handshake.core)),
            State::Established(Established { session, .. }) => {
                State::Leaving(Farewell::Protected(alert, session))
            }
            State::Leaving(farewell) => State::Leaving(farewell),
            State::Closed => State::Closed,
        };
    }

    fn session_record<'d>(&mut self, record: Record<'d>) -> Result<Option<Incoming<'d>>, Record<'d>> {
        let State::Established(established) = &mut self.state else { return Ok(None) };
        // A session listens to nothing that it can't authenticate, alerts included.
        let opened = established.session.open(record)?;
        match opened.content {
            Some(ContentType::ApplicationData) => {
                established.heard_data();
                let is_newest = opened.freshness == Freshness::Newest;
                return Ok(Some(Incoming { data: opened.plaintext, is_newest }));
            }
            Some(ContentType::Handshake) => established.handshake_again::<R>(opened.plaintext),
            Some(ContentType::Alert) => self.alerted(opened.plaintext),
            Some(ContentType::ChangeCipherSpec) | None => {}
        }
        Ok(None)
    }

    fn alerted(&mut self, body: &[u8]) {
        let Ok(AlertMessage { level, alert }) = AlertMessage::parse(body) else { return };
        if alert == Alert::CLOSE_NOTIFY {
            // RFC 5246 section 7.2.1: answered in kind.
            self.leave(AlertMessage::CLOSE_NOTIFY);
            self.ended = Some(Box::new(Event::PeerClosed));
        } else if level == Level::Fatal {
            self.state = match core::mem::replace(&mut self.state, State::Closed) {
                State::Established(Established { session, .. }) => State::Leaving(Farewell::Silent(session)),
                state => state,
            };
            self.ended = Some(Box::new(Event::Failed(Failure::PeerAlerted(alert))));
        }
    }
}

impl<R: Role, P: Provider> fmt::Debug for Connection<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Handshaking(handshake) => {
                let awaited = handshake.state.as_ref().map(R::awaited::<P>);
                f.debug_struct("Handshaking").field("awaited", &awaited).finish_non_exhaustive()
            }
            State::Established(established) => established.session.fmt(f),
            State::Leaving(_) => f.write_str("Leaving"),
            State::Closed => f.write_str("Closed"),
        }
    }
}

/// What a record did to a handshake.
enum Progress {
    More,
    Complete(Box<Completed>),
    PeerGaveUp(Alert),
}

impl<R: Role, P: Provider> Handshake<R, P> {
    fn local_cid_length(&self) -> usize {
        match (&self.core.session, &self.state) {
            (Some(session), _) => session.local_cid().len(),
            (None, Some(state)) => R::local_cid_length(state),
            (None, None) => 0,
        }
    }

    fn record(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        record: Record<'_>,
    ) -> Result<Progress, Failure> {
        match (record.outer_type, record.epoch) {
            (OuterType::Plain(ContentType::Handshake), 0) => {
                self.fragments(environment, context, 0, record.body)
            }
            (OuterType::Plain(ContentType::Alert), 0) => Ok(alert_in_handshake(record.body)),
            (_, EPOCH) => self.protected(environment, context, record),
            _ => Ok(Progress::More),
        }
    }

    fn protected(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        record: Record<'_>,
    ) -> Result<Progress, Failure> {
        // Without keys it came too early, and will be sent again.
        let Some(session) = &mut self.core.session else { return Ok(Progress::More) };
        match session.open(record) {
            Ok(opened) => match opened.content {
                Some(ContentType::Handshake) => self.fragments(environment, context, EPOCH, opened.plaintext),
                Some(ContentType::Alert) => Ok(alert_in_handshake(opened.plaintext)),
                // Data before the peer's Finished is not to be trusted yet.
                _ => Ok(Progress::More),
            },
            // A Finished under another key, or a forgery; but not what the network doubled, or what is left of an older session.
            Err(record) if session.may_be_finished(&record) && self.doubt == Doubt::None => {
                self.doubt = Doubt::Raised;
                Ok(Progress::More)
            }
            Err(_) => Ok(Progress::More),
        }
    }

    /// The time of the timer has come, perhaps: repeats our flight, or says why it is of no use.
    fn expire(&mut self, now: Instant) -> Result<(), Failure> {
        let expired = self.core.timer.expire(now);
        let suspicion = self.state.as_ref().and_then(R::suspicion).filter(|_| self.doubt != Doubt::None);
        match (expired, suspicion) {
            (Expired::NotYet, _) => return Ok(()),
            (Expired::GiveUp, None) => {
                let awaited = self.state.as_ref().map_or(Message::Finished, R::awaited);
                return Err(Failure::PeerSilent { awaited });
            }
            (_, Some(failure)) if expired == Expired::GiveUp || self.doubt == Doubt::Confirmed => {
                return Err(failure);
            }
            (_, Some(_)) => self.doubt = Doubt::Confirmed,
            (_, None) => {}
        }
        if expired == Expired::AgainSmaller {
            self.core.flight.back_off();
        }
        self.core.flight.rewind();
        Ok(())
    }

    /// Takes all fragments in a record, and all messages that they complete.
    fn fragments(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        epoch: u16,
        body: &[u8],
    ) -> Result<Progress, Failure> {
        let mut reader = Reader::new(body);
        while !reader.is_empty() {
            // What is no fragment is no message of the peer's either: anybody could have sent it in the clear.
            let Ok(fragment) = Fragment::parse(&mut reader) else { break };
            // Finished is the first message under the new keys, and the only one. Another, or one in the clear, is not by the
            // peer; nor does a peer ask for a handshake that is under way.
            let is_out_of_place = (epoch == EPOCH) != (fragment.message == Message::Finished);
            if is_out_of_place || fragment.message == Message::HelloRequest {
                continue;
            }
            if let Some(state) = &mut self.state
                && epoch == 0
                && R::before_inbox(state, &mut self.core, environment, context, &fragment)?
                    == BeforeInbox::Taken
            {
                continue;
            }
            if let Kept::Repeated(message) = self.core.inbox.push(epoch, &fragment)? {
                self.core.repeat(message);
            }
            // At once, for what is next in the record may be understood only after this one.
            while let Some(arrived) = self.core.inbox.pop() {
                if let Some(completed) = self.message(environment, context, &arrived)? {
                    return Ok(Progress::Complete(completed));
                }
            }
        }
        Ok(Progress::More)
    }

    fn message(
        &mut self,
        environment: R::Environment<'_>,
        context: &mut Context<'_>,
        arrived: &Arrived,
    ) -> Result<Option<Box<Completed>>, Failure> {
        let Some(state) = self.state.take() else { return Ok(None) };
        Ok(match R::receive(state, &mut self.core, environment, context, arrived)? {
            Step::Continue(next) => {
                self.state = Some(next);
                None
            }
            Step::Complete(completed) => Some(completed),
        })
    }
}

fn alert_in_handshake(body: &[u8]) -> Progress {
    match AlertMessage::parse(body) {
        Ok(AlertMessage { level, alert }) if level == Level::Fatal || alert == Alert::CLOSE_NOTIFY => {
            Progress::PeerGaveUp(alert)
        }
        _ => Progress::More,
    }
}

impl<P: Provider> Established<P> {
    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        if let Some(repeat) = &mut self.repeat
            && repeat.flight.has_more()
        {
            return repeat.flight.poll(Some(&mut self.session), &mut repeat.plain_sequence, out);
        }
        let alert = self.alert.take()?;
        self.session.seal(ContentType::Alert, &alert.to_bytes(), out).ok()
    }

    /// The peer sent data. Who has keys for this has our last flight, unless it sends before it can have it: then that must leave first, and
    /// can be asked for as long as datagrams wander about (RFC 6347 section 4.2.4).
    fn heard_data(&mut self) {
        match &mut self.repeat {
            Some(repeat) if repeat.flight.has_more() => repeat.peer_is_early = true,
            Some(repeat) if repeat.peer_is_early => {}
            _ => self.repeat = None,
        }
    }

    /// A handshake message inside the session: the peer's last flight once more, or the wish for a new handshake.
    fn handshake_again<R: Role>(&mut self, body: &[u8]) {
        let Ok(fragment) = Fragment::parse(&mut Reader::new(body)) else { return };
        match (fragment.message, &mut self.repeat) {
            (Message::Finished, Some(repeat)) if repeat.left > 0 && !repeat.flight.has_more() => {
                repeat.left = repeat.left.saturating_sub(1);
                repeat.flight.rewind();
            }
            // RFC 5746 allows to refuse, and a refusal is the whole defence.
            (Message::HelloRequest, _) if R::SIDE == Side::Client => {
                self.alert = Some(AlertMessage::NO_RENEGOTIATION);
            }
            (Message::ClientHello, _) if R::SIDE == Side::Server => {
                self.alert = Some(AlertMessage::NO_RENEGOTIATION);
            }
            _ => {}
        }
    }
}

impl<P: Provider> Farewell<P> {
    fn new(alert: AlertMessage, core: Core<P>) -> Self {
        match core.session {
            Some(session) if core.flight.is_protected() => Self::Protected(alert, session),
            _ => Self::Plain(alert, core.plain_sequence),
        }
    }

    fn write(&mut self, out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Plain(alert, sequence) => {
                put_plain(ContentType::Alert, sequence, out, &[&alert.to_bytes()])
            }
            Self::Protected(alert, session) => session.seal(ContentType::Alert, &alert.to_bytes(), out).ok(),
            Self::Silent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
