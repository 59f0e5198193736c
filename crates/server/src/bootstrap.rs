//! The bootstrap server as a sans-IO engine (LwM2M Core 1.1, section 6.1, and 1.2's Bootstrap-Pack).
//!
//! A device sends a Bootstrap-Request (`POST /bs`), a [`BootstrapDirectory`] decides about it, and a session writes the configuration:
//! one request at a time, each with CoAP's retransmissions and in as many blocks as needed, up to Bootstrap-Finish. Sessions are not
//! saved: a device whose session is interrupted sends a new request.

mod config;
mod packs;
mod session;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::block::{BlockSize, block_option};
use buoy_coap::endpoint::{
    Delivery, Due, HeapEndpoint, MessageIds, Outgoing, Parameters, Purpose, Received, Request, Token, reject,
};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Kind, Message, MessageWriter};
use buoy_lwm2m::operation::Uplink;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::echo::EchoKey;
use crate::name;
use crate::operation::{Failure, Reply};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::ping;
use crate::registration::{Claim, Proof};
use crate::shard::blocks_within;
use crate::transfer::{Step as TransferStep, Transfer};

pub use config::{
    AclConfig, BootstrapConfig, ConfigProblem, ConfigValue, ResourceWrite, SecurityConfig, SecurityMode,
    ServerConfig,
};
use packs::{Pack, Packs, Part, WaitingRequest};
use session::{Next, Session};

/// Max-Age of the refusal of a device that waits for an operator, in seconds: it may send a new request after that.
const PENDING_SECONDS: u32 = 60;

/// Bootstrap sessions of one port.
///
/// It is used like [`Shard`](crate::Shard): each input is a call; after a batch of inputs [`BootstrapShard::flush`] writes the
/// datagrams that are due; at the time of [`BootstrapShard::next_deadline`] call [`BootstrapShard::handle_timeout`].
#[derive(Debug)]
pub struct BootstrapShard {
    limits: BootstrapLimits,
    rng: ChaCha12Rng,
    echo: EchoKey,
    coap: HeapEndpoint<Peer>,
    message_ids: MessageIds,
    sessions: HashMap<u64, Session>,
    by_endpoint: HashMap<Arc<str>, u64>,
    by_peer: HashMap<Peer, u64>,
    by_source: HashMap<IpAddr, usize>,
    packs: Packs,
    deadlines: BTreeSet<(Instant, u64)>,
    next_session: u64,
}

/// What a bootstrap port allows.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapLimits {
    /// The transmission parameters.
    pub coap: Parameters,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Sessions at once from one IP address, behind which there may be a NAT.
    pub max_sessions_per_source: usize,
    /// Message ids that are remembered to find duplicates.
    pub remembered_messages: usize,
    /// How long a session may take.
    pub session_time: Duration,
    /// The largest answer of a device.
    pub max_body: usize,
    /// The size of the blocks that are sent.
    pub block_size: BlockSize,
}

impl Default for BootstrapLimits {
    fn default() -> Self {
        Self {
            coap: Parameters::default(),
            max_sessions: 4096,
            max_sessions_per_source: 256,
            remembered_messages: 16_384,
            session_time: Duration::from_secs(600),
            max_body: 1 << 16,
            block_size: BlockSize::MAX,
        }
    }
}

/// A device that wants to be configured.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapRequest<'a> {
    /// The endpoint name in its request. Over DTLS the identity determines the name, and this may be missing.
    pub endpoint: Option<&'a str>,
    /// Its peer.
    pub peer: Peer,
}

/// The decision about a Bootstrap-Request.
#[derive(Clone, Debug)]
pub enum BootstrapVerdict {
    /// It gets this configuration.
    Configure {
        /// Its name.
        endpoint: Arc<str>,
        /// What it is configured with; [`BootstrapConfig::check`] has passed it.
        config: Arc<BootstrapConfig>,
    },
    /// It gets a configuration that has to be made first, because its keys do not exist yet. The endpoint appears in
    /// [`BootstrapOutbox::to_prepare`] as soon as the device's address is verified: for an unverified address no keys are made and saved.
    Prepare {
        /// Its name.
        endpoint: Arc<str>,
    },
    /// An operator has to accept the device first; the device sends a new request later.
    Pending,
    /// It gets nothing, for this reason.
    Refused(Cow<'static, str>),
}

/// Decides which device gets which configuration.
pub trait BootstrapDirectory {
    /// Decides about a device. It may be asked about the same one several times.
    fn look_up(&mut self, request: &BootstrapRequest<'_>) -> BootstrapVerdict;

    /// The longest message that a peer accepts, in bytes: unlimited unless its DTLS session has a limit.
    fn longest_message(&self, _: Peer) -> usize {
        usize::MAX
    }
}

impl<F: FnMut(&BootstrapRequest<'_>) -> BootstrapVerdict> BootstrapDirectory for F {
    fn look_up(&mut self, request: &BootstrapRequest<'_>) -> BootstrapVerdict {
        self(request)
    }
}

/// Something that happened at a bootstrap port.
#[derive(Clone, Debug, PartialEq)]
pub enum BootstrapEvent {
    /// A session began.
    Started {
        /// The device.
        endpoint: Arc<str>,
        /// Its peer.
        peer: Peer,
    },
    /// A device executed a step, or refused one that is optional.
    StepDone {
        /// The device.
        endpoint: Arc<str>,
        /// The step, for example `Bootstrap-Write /0/1`.
        step: Box<str>,
        /// The code of its answer.
        code: Code,
        /// The payload of its answer: links for Discover, values for Read.
        payload: Box<[u8]>,
    },
    /// A device has accepted its configuration.
    Finished {
        /// The device.
        endpoint: Arc<str>,
        /// Its peer.
        peer: Peer,
    },
    /// A session ended before that; the device keeps the configuration that it had.
    Failed {
        /// The device.
        endpoint: Arc<str>,
        /// Its peer.
        peer: Peer,
        /// At which step.
        step: Box<str>,
        /// Why.
        reason: BootstrapFailure,
    },
    /// A device has been sent the last block of its Bootstrap-Pack.
    PackSent {
        /// The device.
        endpoint: Arc<str>,
        /// Its peer.
        peer: Peer,
    },
    /// A device waits for an operator.
    Pending {
        /// The endpoint name in its request.
        endpoint: Option<Box<str>>,
        /// Its peer.
        peer: Peer,
    },
    /// A request was refused.
    Refused {
        /// The endpoint name in its request.
        endpoint: Option<Box<str>>,
        /// Its peer.
        peer: Peer,
        /// With which code.
        code: Code,
        /// Why.
        reason: Cow<'static, str>,
    },
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapFailure {
    /// The device refused the step.
    DeviceRefused {
        /// With which code.
        code: Code,
        /// Its diagnostic payload, which may be empty.
        words: Box<str>,
    },
    /// The exchange failed.
    Exchange(Failure),
    /// The session took too long.
    TooSlow,
    /// The device sent a new Bootstrap-Request.
    DeviceRestarted,
    /// The session was cancelled.
    Cancelled,
    /// The configuration can't be sent.
    Config(ConfigProblem),
    /// The configuration could not be made, for this reason.
    NotPrepared(Cow<'static, str>),
    /// The device's list of its accounts does not show which one is the account of this bootstrap server. Writing another account could
    /// replace it, so nothing was changed.
    NoAccount,
}

/// The effects of a bootstrap port: datagrams to send, events to publish.
#[derive(Debug, Default)]
pub struct BootstrapOutbox {
    datagrams: Outbox,
    /// Events to publish.
    pub events: Vec<BootstrapEvent>,
    /// Endpoints whose configurations have to be made, with their peers; [`BootstrapShard::prepared`] delivers each. If a device sends a new request
    /// meanwhile, it is listed again and needs no second delivery.
    pub to_prepare: Vec<(Arc<str>, Peer)>,
}

impl BootstrapOutbox {
    /// The datagrams to send, in their order.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (Peer, &[u8])> {
        self.datagrams.datagrams()
    }

    /// See [`Outbox::datagrams_mut`].
    pub fn datagrams_mut(&mut self) -> (&mut [(Peer, Range<usize>)], &mut [u8]) {
        self.datagrams.datagrams_mut()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.events.is_empty() && self.to_prepare.is_empty()
    }

    /// Removes everything, but keeps the allocated memory.
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.events.clear();
        self.to_prepare.clear();
    }
}

/// A device that gets a configuration, which may have to be made first.
struct Granted {
    endpoint: Arc<str>,
    config: Option<Arc<BootstrapConfig>>,
}

/// What a request is refused with.
struct Refusal<'a> {
    endpoint: Option<&'a str>,
    code: Code,
    reason: Cow<'static, str>,
    /// Whether it is refused only for now.
    is_pending: bool,
}

impl BootstrapShard {
    /// A bootstrap port without sessions. All its tokens and message ids are derived from `seed`.
    #[must_use]
    pub fn new(limits: BootstrapLimits, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let coap =
            HeapEndpoint::on_heap(limits.coap, limits.max_sessions, limits.remembered_messages, &mut rng);
        Self {
            limits,
            echo: EchoKey::random(&mut rng),
            coap,
            message_ids: MessageIds::random(&mut rng),
            rng,
            sessions: HashMap::new(),
            by_endpoint: HashMap::new(),
            by_peer: HashMap::new(),
            by_source: HashMap::new(),
            packs: Packs::default(),
            deadlines: BTreeSet::new(),
            next_session: 1,
        }
    }

    /// The number of open sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many messages wait for an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.coap.outstanding()
    }

    /// Takes a datagram that `peer` sent.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        peer: Peer,
        datagram: &[u8],
        directory: &mut impl BootstrapDirectory,
        outbox: &mut BootstrapOutbox,
    ) {
        match self.coap.receive(now, peer, datagram, outbox.datagrams.room()) {
            Received::Answered(length) => outbox.datagrams.send(peer, length),
            Received::Request(request) => self.serve(now, &request, directory, outbox),
            Received::Response { tag, message, answer } => {
                outbox.datagrams.send(peer, answer);
                match ping::target(tag) {
                    // Some devices answer a ping as if it were a request, with an error.
                    Some(id) => self.ping_answered(now, id, outbox),
                    None => self.answered(now, tag, &message, outbox),
                }
            }
            Received::Reset(tag) | Received::Delivered(tag) => match ping::target(tag) {
                Some(id) => self.ping_answered(now, id, outbox),
                None => self.fail(now, tag, BootstrapFailure::Exchange(Failure::Reset), outbox),
            },
            Received::Unmatched(message) if message.kind() == Kind::Confirmable => {
                let length = outbox.datagrams.write(&reject(message.message_id()));
                outbox.datagrams.send(peer, length);
            }
            Received::Unmatched(_) | Received::Nothing | Received::ResetOf(_) => {}
        }
    }

    /// Writes the datagrams that are due. To be called after each batch of inputs.
    pub fn flush(&mut self, now: Instant, outbox: &mut BootstrapOutbox) {
        loop {
            let timed_out = match self.coap.poll(now) {
                None => return,
                Some(Due::Transmit { peer, datagram }) => {
                    let length = outbox.datagrams.write(datagram);
                    let id = self.by_peer.get(&peer);
                    let session = id.and_then(|id| self.sessions.get_mut(id));
                    // An unverified address gets at most three times the bytes that came from it, retransmissions included.
                    if session.is_none_or(|session| session.proof.spend(length)) {
                        outbox.datagrams.send(peer, length);
                    }
                    continue;
                }
                Some(Due::TimedOut { tag, .. }) => ping::target(tag).unwrap_or(tag),
            };
            self.fail(now, timed_out, BootstrapFailure::Exchange(Failure::TimedOut), outbox);
        }
    }

    /// Handles expired timers, then does what [`BootstrapShard::flush`] does.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut BootstrapOutbox) {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.fail(now, id, BootstrapFailure::TooSlow, outbox);
        }
        self.packs.expire(now);
        self.flush(now, outbox);
    }

    /// When [`BootstrapShard::handle_timeout`] has to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let session = self.deadlines.first().map(|(at, _)| *at);
        [self.coap.next_deadline(), session, self.packs.next_deadline()].into_iter().flatten().min()
    }

    /// Cancels the session of a device, because its configuration has changed.
    pub fn cancel(&mut self, now: Instant, endpoint: &str, outbox: &mut BootstrapOutbox) {
        self.packs.forget(endpoint);
        if let Some(id) = self.by_endpoint.get(endpoint).copied() {
            self.fail(now, id, BootstrapFailure::Cancelled, outbox);
        }
    }

    /// The configuration of an endpoint that was in [`BootstrapOutbox::to_prepare`], or why there is none.
    pub fn prepared(
        &mut self,
        now: Instant,
        endpoint: &str,
        made: Result<Arc<BootstrapConfig>, Cow<'static, str>>,
        outbox: &mut BootstrapOutbox,
    ) {
        for waiting in self.packs.take_waiting(endpoint) {
            self.answer_waiting(now, waiting, &made, outbox);
        }
        let id = self.by_endpoint.get(endpoint).copied();
        let Some((id, session)) = id.and_then(|id| Some((id, self.sessions.get_mut(&id)?))) else { return };
        if !session.is_unprepared() {
            return;
        }
        let planned = match made {
            Ok(config) => session.plan(config).map_err(BootstrapFailure::Config),
            Err(reason) => Err(BootstrapFailure::NotPrepared(reason)),
        };
        match planned {
            Ok(()) => self.go_on(now, id, outbox),
            Err(reason) => self.fail(now, id, reason, outbox),
        }
    }

    fn serve(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        directory: &mut impl BootstrapDirectory,
        outbox: &mut BootstrapOutbox,
    ) {
        let message = &request.message;
        if [OptionNumber::PROXY_URI, OptionNumber::PROXY_SCHEME].iter().any(|it| message.value(*it).is_some())
        {
            let refusal = refusal(None, Code::PROXYING_NOT_SUPPORTED, "this is no proxy");
            return self.refuse(request, refusal, outbox);
        }
        let served = match Uplink::parse(message.code(), message.options(), message.payload()) {
            Ok(Uplink::BootstrapRequest { endpoint, preferred_format }) => {
                let endpoint = endpoint.map(|name| name.as_str());
                self.begin(now, request, endpoint, preferred_format, directory, outbox)
            }
            Ok(Uplink::BootstrapPackRequest { endpoint, accept }) => {
                let endpoint = endpoint.map(|name| name.as_str());
                self.serve_pack(now, request, endpoint, accept, directory, outbox)
            }
            Ok(_) => {
                Err(refusal(None, Code::NOT_FOUND, "this is a bootstrap server; it takes no registrations"))
            }
            Err(bad) => Err(because(None, bad.code(), bad.to_string())),
        };
        if let Err(refusal) = served {
            self.refuse(request, refusal, outbox);
        }
    }

    fn look_up<'a>(
        request: &Request<'_, Peer>,
        endpoint: Option<&'a str>,
        directory: &mut impl BootstrapDirectory,
    ) -> Result<Granted, Refusal<'a>> {
        let peer = request.peer;
        // A name that a session proves was entered by an operator, and is compared with this one.
        if peer.session.is_none()
            && let Some(flaw) = endpoint.and_then(name::flaw)
        {
            return Err(refusal(None, Code::BAD_REQUEST, flaw));
        }
        match directory.look_up(&BootstrapRequest { endpoint, peer }) {
            BootstrapVerdict::Configure { endpoint, config } => {
                Ok(Granted { endpoint, config: Some(config) })
            }
            BootstrapVerdict::Prepare { endpoint } => Ok(Granted { endpoint, config: None }),
            BootstrapVerdict::Pending => Err(Refusal {
                is_pending: true,
                ..refusal(endpoint, Code::SERVICE_UNAVAILABLE, "this device waits for a person's yes")
            }),
            BootstrapVerdict::Refused(reason) => Err(because(endpoint, Code::BAD_REQUEST, reason)),
        }
    }

    /// Handles a Bootstrap-Request: answers it, and then writes the configuration.
    fn begin<'a>(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        endpoint: Option<&'a str>,
        preferred: Option<ContentFormat>,
        directory: &mut impl BootstrapDirectory,
        outbox: &mut BootstrapOutbox,
    ) -> Result<(), Refusal<'a>> {
        // A device that names no format may be one of LwM2M 1.0, whose only common format is TLV.
        let format = preferred.unwrap_or(ContentFormat::TLV);
        if !is_writable(format) {
            let words = "a configuration can't be written in the format that `pct` asks for";
            return Err(refusal(endpoint, Code::UNSUPPORTED_CONTENT_FORMAT, words));
        }
        let Granted { endpoint: name, config } = Self::look_up(request, endpoint, directory)?;
        let peer = request.peer;
        let before = [self.by_endpoint.get(&name).copied(), self.by_peer.get(&peer).copied()];
        for id in before.into_iter().flatten() {
            self.fail(now, id, BootstrapFailure::DeviceRestarted, outbox);
        }
        let from_source = self.by_source.get(&peer.address.ip()).copied().unwrap_or(0);
        if self.sessions.len() >= self.limits.max_sessions
            || from_source >= self.limits.max_sessions_per_source
        {
            return Err(refusal(
                endpoint,
                Code::SERVICE_UNAVAILABLE,
                "too many devices are being configured; try later",
            ));
        }
        let blocks = self.blocks_for(peer, directory);
        let deadline = now + self.limits.session_time;
        let proof = match self.is_proved(now, request) {
            true => Proof::Proved,
            false => Proof::Claimed(Claim::after(request.message.datagram().len())),
        };
        let mut session = Session::new(name.clone(), (peer, proof), format, blocks, deadline);
        if let Some(config) = config {
            session.plan(config).map_err(|problem| unsendable(endpoint, &problem))?;
        }
        let answered = self.reply(request, outbox, |writer| {
            writer.code(Code::CHANGED);
        });
        session.proof.charge(answered);
        let id = self.insert(session);
        outbox.events.push(BootstrapEvent::Started { endpoint: name, peer });
        self.go_on(now, id, outbox);
        Ok(())
    }

    fn insert(&mut self, session: Session) -> u64 {
        let id = self.next_session;
        self.next_session += 1;
        self.by_endpoint.insert(session.endpoint.clone(), id);
        self.by_peer.insert(session.peer, id);
        *self.by_source.entry(session.peer.address.ip()).or_default() += 1;
        self.deadlines.insert((session.deadline, id));
        self.sessions.insert(id, session);
        id
    }

    fn remove(&mut self, now: Instant, id: u64) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.by_endpoint.remove(&session.endpoint);
        self.by_peer.remove(&session.peer);
        let source = session.peer.address.ip();
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        self.deadlines.remove(&(session.deadline, id));
        self.coap.cancel(now, session.peer, id);
        self.coap.cancel(now, session.peer, ping::tag(id));
        Some(session)
    }

    /// Whether the sender of a request receives what is sent to its address: a handshake proved it, or it shows an Echo value.
    fn is_proved(&self, now: Instant, request: &Request<'_, Peer>) -> bool {
        let echo = request.message.value(OptionNumber::ECHO);
        request.peer.session.is_some() || echo.is_some_and(|echo| self.echo.proves(now, request.peer, echo))
    }

    /// The device's address is verified: sends what was too large for an unverified address.
    fn ping_answered(&mut self, now: Instant, id: u64, outbox: &mut BootstrapOutbox) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.proof = Proof::Proved;
            self.go_on(now, id, outbox);
        }
    }

    fn blocks_for(&self, peer: Peer, directory: &impl BootstrapDirectory) -> BlockSize {
        blocks_within(directory.longest_message(peer)).min(self.limits.block_size)
    }

    /// Sends the next message of a session.
    fn go_on(&mut self, now: Instant, id: u64, outbox: &mut BootstrapOutbox) {
        let tag = id as u32;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (peer, proof) = (session.peer, session.proof);
        if proof.is_proved() && session.begins_preparation() {
            return outbox.to_prepare.push((session.endpoint.clone(), peer));
        }
        let is_unprepared = session.is_unprepared();
        let transfer = session.transfer(tag);
        if let Proof::Claimed(claim) = proof
            && (is_unprepared || transfer.and_then(Transfer::next_length).is_some_and(|it| !claim.covers(it)))
        {
            let message_id = rand_core::Rng::next_u32(&mut self.rng) as u16;
            if self.coap.ping(now, &mut self.rng, peer, message_id, ping::tag(id)).is_err() {
                self.fail(now, id, BootstrapFailure::Exchange(Failure::TooManyOperations), outbox);
            }
            return;
        }
        let Some(transfer) = transfer else { return };
        let outgoing = Outgoing {
            peer,
            purpose: Purpose::Request,
            delivery: Delivery::Confirmable,
            code: transfer.request().code,
            token: Token::random(&mut self.rng),
            message_id: self.message_ids.next_id(),
            tag: id,
        };
        if self.coap.send(now, &mut self.rng, outgoing, |writer| transfer.write(writer)).is_err() {
            self.fail(now, id, BootstrapFailure::Exchange(Failure::RequestTooLarge), outbox);
        }
    }

    fn answered(&mut self, now: Instant, id: u64, message: &Message<'_>, outbox: &mut BootstrapOutbox) {
        let limit = self.limits.max_body;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.proof = Proof::Proved;
        let reply = match session.take_answer(message, limit) {
            Ok(TransferStep::Again) => return self.go_on(now, id, outbox),
            Ok(TransferStep::Done { reply, .. }) => reply,
            Err(failure) => return self.fail(now, id, BootstrapFailure::Exchange(failure), outbox),
        };
        let (endpoint, step) = (session.endpoint.clone(), session.step());
        let Reply { code, ref payload, .. } = reply;
        match session.step_done(&reply) {
            Ok(next) => {
                let payload = payload.as_slice().into();
                outbox.events.push(BootstrapEvent::StepDone { endpoint, step, code, payload });
                match next {
                    Next::Step => self.go_on(now, id, outbox),
                    Next::Finished => self.finish(now, id, outbox),
                }
            }
            Err(reason) => self.fail(now, id, reason, outbox),
        }
    }

    fn finish(&mut self, now: Instant, id: u64, outbox: &mut BootstrapOutbox) {
        if let Some(Session { endpoint, peer, .. }) = self.remove(now, id) {
            outbox.events.push(BootstrapEvent::Finished { endpoint, peer });
        }
    }

    fn fail(&mut self, now: Instant, id: u64, reason: BootstrapFailure, outbox: &mut BootstrapOutbox) {
        let Some(session) = self.remove(now, id) else { return };
        let step = session.step();
        let Session { endpoint, peer, .. } = session;
        outbox.events.push(BootstrapEvent::Failed { endpoint, peer, step, reason });
    }

    /// Answers a Bootstrap-Pack-Request: the whole configuration, in blocks.
    fn serve_pack<'a>(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        endpoint: Option<&'a str>,
        accept: Option<ContentFormat>,
        directory: &mut impl BootstrapDirectory,
        outbox: &mut BootstrapOutbox,
    ) -> Result<(), Refusal<'a>> {
        let format = accept.unwrap_or(ContentFormat::SENML_CBOR);
        let is_whole = [ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON, ContentFormat::LWM2M_CBOR]
            .contains(&format);
        if !is_whole {
            return Err(refusal(
                endpoint,
                Code::NOT_ACCEPTABLE,
                "a Bootstrap-Pack is in SenML or LwM2M CBOR",
            ));
        }
        // For an unverified address no keys are made and no kilobytes sent (RFC 9175 section 2.3).
        if !self.is_proved(now, request) {
            let value = self.echo.value(now, request.peer);
            self.reply(request, outbox, |writer| {
                writer.code(Code::UNAUTHORIZED);
                writer.option(OptionNumber::ECHO, &value);
            });
            return Ok(());
        }
        let bad_block = |bad: buoy_coap::block::BadBlock| because(endpoint, bad.code(), bad.to_string());
        let asked = block_option(&request.message, OptionNumber::BLOCK2).map_err(bad_block)?;
        let is_first = asked.is_none_or(|block| block.offset() == 0);
        let blocks = self.blocks_for(request.peer, directory);
        // All blocks are cut from the same pack, so that keys are made once.
        let begun = self.packs.get(request.peer, format).filter(|_| !is_first);
        let pack = match begun {
            Some(pack) => pack,
            None => {
                let Granted { endpoint: name, config } = Self::look_up(request, endpoint, directory)?;
                let Some(config) = config else {
                    let waiting = WaitingRequest::of(now, request, name, format, (asked, blocks));
                    waiting.into_iter().for_each(|waiting| self.prepare_pack(request, waiting, outbox));
                    return Ok(());
                };
                self.make_pack(now, request.peer, name, format, &config)
                    .map_err(|problem| unsendable(endpoint, &problem))?
            }
        };
        let part = pack.part(asked, blocks).map_err(bad_block)?;
        self.reply(request, outbox, |writer| part.write(writer));
        self.pack_was_sent(request.peer, &pack, &part, outbox);
        Ok(())
    }

    fn make_pack(
        &mut self,
        now: Instant,
        peer: Peer,
        endpoint: Arc<str>,
        format: ContentFormat,
        config: &BootstrapConfig,
    ) -> Result<Pack, ConfigProblem> {
        let pack = Pack { endpoint, format, body: config.pack(format)?.into() };
        self.packs.insert(now, peer, pack.clone(), self.limits.max_sessions);
        Ok(pack)
    }

    fn pack_was_sent(&mut self, peer: Peer, pack: &Pack, part: &Part<'_>, outbox: &mut BootstrapOutbox) {
        if part.is_last() && self.packs.is_sent_first_time(peer) {
            outbox.events.push(BootstrapEvent::PackSent { endpoint: pack.endpoint.clone(), peer });
        }
    }

    /// Requests the configuration for a Bootstrap-Pack-Request, which is answered when it has been made (RFC 7252 section 5.2.2).
    fn prepare_pack(
        &mut self,
        request: &Request<'_, Peer>,
        waiting: WaitingRequest,
        outbox: &mut BootstrapOutbox,
    ) {
        let length = self.coap.accept(request, outbox.datagrams.room());
        outbox.datagrams.send(request.peer, length);
        outbox.to_prepare.push((waiting.endpoint.clone(), waiting.peer));
        self.packs.wait(waiting, self.limits.max_sessions);
    }

    /// Answers a Bootstrap-Pack-Request that waited for its configuration.
    fn answer_waiting(
        &mut self,
        now: Instant,
        waiting: WaitingRequest,
        made: &Result<Arc<BootstrapConfig>, Cow<'static, str>>,
        outbox: &mut BootstrapOutbox,
    ) {
        let WaitingRequest { endpoint, peer, token, format, asked, blocks, .. } = waiting;
        let refused = |code, reason: Cow<'static, str>| BootstrapEvent::Refused {
            endpoint: Some((*endpoint).into()),
            peer,
            code,
            reason,
        };
        let config = match made {
            Ok(config) => config,
            Err(reason) => {
                let code = Code::INTERNAL_SERVER_ERROR;
                self.respond(now, peer, token, code, |writer| {
                    writer.payload(reason.as_bytes());
                });
                return outbox.events.push(refused(code, reason.clone()));
            }
        };
        let made = self.make_pack(now, peer, endpoint.clone(), format, config);
        let made = made.map_err(|problem| (Code::INTERNAL_SERVER_ERROR, problem.to_string()));
        let cut = made.as_ref().map_err(Clone::clone).and_then(|pack| {
            let part = pack.part(asked, blocks).map_err(|bad| (bad.code(), bad.to_string()))?;
            Ok((pack, part))
        });
        match cut {
            Ok((pack, part)) => {
                self.respond(now, peer, token, Code::CONTENT, |writer| part.write(writer));
                self.pack_was_sent(peer, pack, &part, outbox);
            }
            Err((code, reason)) => {
                self.respond(now, peer, token, code, |writer| {
                    writer.payload(reason.as_bytes());
                });
                outbox.events.push(refused(code, reason.into()));
            }
        }
    }

    /// Sends a response that comes later than the acknowledgement of its request.
    fn respond(
        &mut self,
        now: Instant,
        peer: Peer,
        token: Token,
        code: Code,
        write: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        let tag = self.next_session;
        self.next_session += 1;
        let (purpose, delivery) = (Purpose::Response, Delivery::Confirmable);
        let message_id = self.message_ids.next_id();
        let outgoing = Outgoing { peer, purpose, delivery, code, token, message_id, tag };
        // A response that can't be sent is like one that the network loses: the device repeats its request.
        let _ = self.coap.send(now, &mut self.rng, outgoing, write);
    }

    /// Refuses a request and publishes that. The answer contains the reason, unless this makes it much larger than the request.
    fn refuse(&mut self, request: &Request<'_, Peer>, refusal: Refusal<'_>, outbox: &mut BootstrapOutbox) {
        let Refusal { endpoint, code, reason, is_pending } = refusal;
        let budget = 3 * request.message.datagram().len();
        self.reply(request, outbox, |writer| {
            writer.code(code);
            if code == Code::SERVICE_UNAVAILABLE {
                writer.uint(OptionNumber::MAX_AGE, PENDING_SECONDS);
            }
            if reason.len() + 32 < budget {
                writer.payload(reason.as_bytes());
            }
        });
        let (endpoint, peer) = (endpoint.map(Box::from), request.peer);
        outbox.events.push(match is_pending {
            true => BootstrapEvent::Pending { endpoint, peer },
            false => BootstrapEvent::Refused { endpoint, peer, code, reason },
        });
    }

    fn reply(
        &mut self,
        request: &Request<'_, Peer>,
        outbox: &mut BootstrapOutbox,
        write: impl FnOnce(&mut MessageWriter<'_>),
    ) -> usize {
        let length = self.coap.reply(request, &mut self.message_ids, outbox.datagrams.room(), write);
        outbox.datagrams.send(request.peer, length);
        length
    }
}

fn refusal<'a>(endpoint: Option<&'a str>, code: Code, reason: &'static str) -> Refusal<'a> {
    because(endpoint, code, reason)
}

fn because<'a>(endpoint: Option<&'a str>, code: Code, reason: impl Into<Cow<'static, str>>) -> Refusal<'a> {
    Refusal { endpoint, code, reason: reason.into(), is_pending: false }
}

fn unsendable<'a>(endpoint: Option<&'a str>, problem: &ConfigProblem) -> Refusal<'a> {
    because(endpoint, Code::INTERNAL_SERVER_ERROR, problem.to_string())
}

/// Whether instances can be written in a format.
fn is_writable(format: ContentFormat) -> bool {
    [
        ContentFormat::TLV,
        ContentFormat::LWM2M_JSON,
        ContentFormat::SENML_JSON,
        ContentFormat::SENML_CBOR,
        ContentFormat::LWM2M_CBOR,
    ]
    .contains(&format)
}

impl std::fmt::Display for BootstrapFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DeviceRefused { code, words } if words.is_empty() => {
                write!(f, "the device answered {code}")
            }
            Self::DeviceRefused { code, words } => write!(f, "the device answered {code}: {words}"),
            Self::Exchange(failure) => write!(f, "{failure}"),
            Self::TooSlow => f.write_str("the bootstrap took too long"),
            Self::DeviceRestarted => f.write_str("the device began a new bootstrap"),
            Self::Cancelled => f.write_str("the configuration was changed meanwhile"),
            Self::Config(problem) => write!(f, "{problem}"),
            Self::NotPrepared(reason) => f.write_str(reason),
            Self::NoAccount => f.write_str(
                "the device's list of accounts doesn't say which one is this bootstrap server's; nothing was changed, \
                 give the ids of the accounts in the configuration",
            ),
        }
    }
}
