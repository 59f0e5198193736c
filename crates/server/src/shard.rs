//! The engine of one shard: what comes in finds its device, what is due goes out.
//!
//! `register` has the registration interface, `manage` the operations on devices, `report` what devices tell by themselves,
//! `host` what they may fetch from the server, and `address` what may be sent to whom before he proved his address.

mod address;
mod host;
mod manage;
mod operations;
mod register;
mod report;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::block::{Assembly, Block, BlockSize};
use buoy_coap::endpoint::{Due, HeapEndpoint, MessageIds, Parameters, Received, Request};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::{Calendar, Instant};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use hashbrown::HashMap;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::echo::EchoKey;
use crate::files::Body;
use crate::objects::ObjectList;
use crate::observation::ObservationId;
use crate::outbox::{Event, Outbox};
use crate::peer::{Peer, SessionId};
use crate::registration::{Attributes, RegistrationKey, RegistrationView};
use crate::registrations::{Index, Interner, Registrations};
use crate::wheel::Wheel;
use address::ping_of;
use host::FollowedDownload;
use operations::Operations;

/// A part of the fleet.
///
/// The contract: every input is one call, and after a batch of them [`Shard::flush`] puts out what is due. When the time of
/// [`Shard::next_deadline`] has come, [`Shard::handle_timeout`] is called.
#[derive(Debug)]
pub struct Shard<D> {
    number: u8,
    config: ShardConfig,
    directory: D,
    rng: ChaCha12Rng,
    echo: EchoKey,
    coap: HeapEndpoint<Peer>,
    /// For peers that are not registered.
    message_ids: MessageIds,
    registrations: Registrations,
    /// How many of them only claim their address.
    unproved: usize,
    /// Up to where [`Shard::save_last_contacts`] has come.
    swept: Index,
    next_counter: u64,
    objects: Interner<ObjectList>,
    attributes: Interner<Attributes>,
    expiries: Wheel,
    naps: Wheel,
    observations: HashMap<ObservationId, Index>,
    operations: Operations,
    uploads: HashMap<UploadKey, PartialUpload>,
    /// When the oldest of them may have waited too long.
    uploads_due: Option<Instant>,
    /// The shards to which devices without a session belong whose datagrams come in here.
    foreign: HashMap<SocketAddr, u8>,
    files: BTreeMap<Box<str>, Body>,
    /// Downloads that are followed.
    downloads: HashMap<u64, FollowedDownload>,
    traced: HashMap<Arc<str>, u32>,
    counters: Counters,
    calendar: Calendar,
}

/// What a shard allows.
#[derive(Clone, Copy, Debug)]
pub struct ShardConfig {
    /// The transmission parameters.
    pub coap: Parameters,
    /// Messages that may wait for an answer at once.
    pub max_exchanges: usize,
    /// Message ids that are remembered to find duplicates.
    pub remembered_messages: usize,
    /// The lifetime of a registration that names none (LwM2M Core section 6.2.1: 86400 seconds).
    pub default_lifetime: u32,
    /// How long a device in queue mode is taken to be awake after it was heard.
    pub awake_time: Duration,
    /// How long past its lifetime a registration is kept.
    pub grace: Duration,
    /// The largest answer of a device.
    pub max_body: usize,
    /// The largest body that a device may send unasked: its object list, or a Send.
    pub max_upload: usize,
    /// Bodies that may be half received at once.
    pub max_uploads: usize,
    /// The same for one device, whose oldest one gives way to the next.
    pub max_uploads_per_peer: usize,
    /// Operations that may wait for one device.
    pub max_operations_per_device: usize,
    /// Operations that may wait in all.
    pub max_operations: usize,
    /// The most devices.
    pub max_registrations: usize,
    /// The most devices whose addresses are only claimed, as plain CoAP allows. Beyond that a Register has to show an Echo value (RFC
    /// 9175); from half of it on each new device is pinged, which proves its address without Echo.
    pub max_unproved: usize,
    /// The longest lifetime of their registrations, whatever they ask for.
    pub unproved_lifetime: Duration,
    /// The size of the blocks that are sent.
    pub block_size: BlockSize,
    /// How many shards there are. Locations may name shards of a time when there were more.
    pub shards: u8,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            coap: Parameters::default(),
            max_exchanges: 65_536,
            remembered_messages: 65_536,
            default_lifetime: 86_400,
            awake_time: Duration::from_secs(93),
            grace: Duration::from_secs(5),
            max_body: 1 << 20,
            max_upload: 1 << 16,
            max_uploads: 1024,
            max_uploads_per_peer: 4,
            max_operations_per_device: 256,
            max_operations: 1_000_000,
            max_registrations: 10_000_000,
            max_unproved: 100_000,
            unproved_lifetime: Duration::from_secs(86_400),
            block_size: BlockSize::MAX,
            shards: 1,
        }
    }
}

/// Which shard an endpoint lives on.
pub trait Directory {
    /// Claims an endpoint for a shard, and says which shard has it now: the first that claimed it.
    fn claim(&self, endpoint: &Arc<str>, shard: u8) -> u8;
    /// Gives an endpoint up.
    fn release(&self, endpoint: &str, shard: u8);
    /// The shard that an endpoint lives on, if it lives.
    fn home(&self, endpoint: &str) -> Option<u8>;
    /// The endpoint that the other end of a session proved to be; `None` if the session is over.
    fn proved(&self, session: SessionId) -> Option<Arc<str>>;
    /// The longest message that the other end of a session takes.
    fn longest_message(&self, session: SessionId) -> usize;
    /// Whether an endpoint may be registered by whoever says its name, as plain CoAP allows: nobody has credentials for it.
    fn may_go_unproved(&self, endpoint: &str) -> bool;
    /// The registration of an endpoint is at this session from now on; `None` if it is at none, or has ended.
    fn carry(&self, endpoint: &Arc<str>, session: Option<SessionId>);
}

/// The directory of a server with one shard and no sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unclaimed;

impl Directory for Unclaimed {
    fn claim(&self, _: &Arc<str>, shard: u8) -> u8 {
        shard
    }

    fn release(&self, _: &str, _: u8) {}

    fn home(&self, _: &str) -> Option<u8> {
        None
    }

    fn proved(&self, _: SessionId) -> Option<Arc<str>> {
        None
    }

    fn longest_message(&self, _: SessionId) -> usize {
        usize::MAX
    }

    fn may_go_unproved(&self, _: &str) -> bool {
        true
    }

    fn carry(&self, _: &Arc<str>, _: Option<SessionId>) {}
}

/// What a shard has counted since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Datagrams that came.
    pub datagrams_received: u64,
    /// Register requests accepted.
    pub registered: u64,
    /// Updates accepted.
    pub updated: u64,
    /// Deregistrations.
    pub deregistered: u64,
    /// Registrations that ran out.
    pub expired: u64,
    /// Notifications taken.
    pub notifications: u64,
    /// Notifications of observations that nobody holds, or that were overtaken by others.
    pub notifications_dropped: u64,
    /// Send operations taken.
    pub sends: u64,
    /// Requests refused with 4.xx or 5.xx.
    pub refused: u64,
    /// Register requests that were asked to prove their address first (4.01 with Echo).
    pub challenged: u64,
    /// Datagrams that were no CoAP messages or made no sense.
    pub ignored: u64,
    /// Operations sent to devices.
    pub operations_sent: u64,
    /// Operations that ended without an answer.
    pub operations_failed: u64,
}

/// Which body a block belongs to (RFC 7959 section 2.5, RFC 9175 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct UploadKey {
    peer: Peer,
    target: Box<[u8]>,
}

#[derive(Debug)]
struct PartialUpload {
    assembly: Assembly,
    body: Vec<u8>,
    touched: Instant,
}

/// A refusal: the response code, and why in words for the log and the diagnostic payload.
type Refusal = (Code, Cow<'static, str>);

fn refusal(code: Code, reason: &'static str) -> Refusal {
    (code, Cow::Borrowed(reason))
}

/// Bytes of a message that are not its payload, at most: header, token, and options such as a path.
const MESSAGE_HEAD: usize = 96;

/// The largest blocks that fit into messages of so many bytes.
pub(crate) fn blocks_within(longest_message: usize) -> BlockSize {
    BlockSize::at_most(longest_message.saturating_sub(MESSAGE_HEAD))
}

/// What a request for which no body is needed is answered with.
struct Answer {
    code: Code,
    location: Option<crate::registration::Location>,
    /// Whose device was heard: what waits for it goes behind the answer.
    heard: Option<Index>,
}

impl Answer {
    const fn of(index: Index, code: Code) -> Self {
        Self { code, location: None, heard: Some(index) }
    }
}

impl<D: Directory> Shard<D> {
    /// An empty shard. `seed` feeds every token, message id and location that it makes.
    pub fn new(number: u8, config: ShardConfig, directory: D, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let coap =
            HeapEndpoint::on_heap(config.coap, config.max_exchanges, config.remembered_messages, &mut rng);
        Self {
            number,
            config,
            directory,
            echo: EchoKey::random(&mut rng),
            coap,
            message_ids: MessageIds::random(&mut rng),
            rng,
            registrations: Registrations::default(),
            unproved: 0,
            swept: Index(0),
            next_counter: 1,
            objects: Interner::default(),
            attributes: Interner::default(),
            expiries: Wheel::default(),
            naps: Wheel::default(),
            observations: HashMap::new(),
            operations: Operations::default(),
            uploads: HashMap::new(),
            uploads_due: None,
            foreign: HashMap::new(),
            files: BTreeMap::new(),
            downloads: HashMap::new(),
            traced: HashMap::new(),
            counters: Counters::default(),
            calendar: Calendar::default(),
        }
    }

    /// The registration of an endpoint.
    #[must_use]
    pub fn registration(&self, endpoint: &str) -> Option<RegistrationView> {
        Some(self.registrations.get(self.registrations.by_endpoint(endpoint)?)?.view(self.calendar))
    }

    /// The names of all that are registered, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<str>> {
        self.registrations.iter().map(|registration| &registration.endpoint)
    }

    /// All registrations, in no order.
    pub fn registrations(&self) -> impl Iterator<Item = RegistrationView> {
        self.registrations.iter().map(|registration| registration.view(self.calendar))
    }

    /// How the calendar stands to the time of this engine from now on.
    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// How the calendar stands to the time of this engine.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// How many devices are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registrations.len()
    }

    /// Whether no device is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many looks at registrations are planned: one at most for the expiry of each, and one for its sleep.
    #[must_use]
    pub fn appointments(&self) -> usize {
        self.expiries.len() + self.naps.len()
    }

    /// How much is under way or waits: messages, operations, and bodies that are half received.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.coap.outstanding() + self.operations.len() + self.uploads.len()
    }

    /// Starts or stops telling each CoAP message of a device as an event.
    pub fn trace(&mut self, endpoint: &Arc<str>, on: bool) {
        if on {
            *self.traced.entry(endpoint.clone()).or_default() += 1;
        } else if let Some(count) = self.traced.get_mut(endpoint) {
            *count -= 1;
            if *count == 0 {
                self.traced.remove(endpoint);
            }
        }
    }

    /// Takes a datagram that `peer` sent.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8], outbox: &mut Outbox) {
        self.counters.datagrams_received += 1;
        self.trace_message(now, peer, Direction::Incoming, datagram, outbox);
        match self.coap.receive(now, peer, datagram, outbox.room()) {
            Received::Answered(length) => self.send_reply(now, peer, length, outbox),
            Received::Request(request) => self.serve(now, &request, outbox),
            Received::Response { tag, message, answer } => {
                self.send_reply(now, peer, answer, outbox);
                match ping_of(tag) {
                    // Some devices take a ping for a request, and refuse it.
                    Some(index) => self.ping_answered(now, peer, index, outbox),
                    None => self.operation_answered(now, tag, &message, outbox),
                }
            }
            Received::Unmatched(message) => self.reported(now, peer, &message, outbox),
            Received::Reset(tag) | Received::Delivered(tag) => match ping_of(tag) {
                Some(index) => self.ping_answered(now, peer, index, outbox),
                None => self.operation_reset(now, tag, outbox),
            },
            Received::Nothing => self.not_for_us(peer, datagram, outbox),
            Received::ResetOf(_) => {}
        }
    }

    /// Refuses a datagram that is longer than the shell takes, of which this is the beginning: the sender has to send its body in blocks
    /// (RFC 7959 section 2.9.3).
    pub fn refuse_oversized(&mut self, now: Instant, peer: Peer, beginning: &[u8], outbox: &mut Outbox) {
        self.counters.datagrams_received += 1;
        self.counters.refused += 1;
        let (code, reason) = refusal(
            Code::REQUEST_ENTITY_TOO_LARGE,
            "the datagram is too long; send the body in blocks (Block1)",
        );
        if let Ok(message) = Message::parse(beginning)
            && message.code().is_request()
            && message.kind() == Kind::Confirmable
        {
            let header = Header {
                kind: Kind::Acknowledgement,
                code,
                message_id: message.message_id(),
                token: message.token(),
            };
            let hint = Block::at(0, false, self.blocks_for(peer)).map_or(0, Block::to_uint);
            let mut writer = MessageWriter::new(outbox.room(), header);
            writer.uint(OptionNumber::BLOCK1, hint);
            writer.uint(OptionNumber::SIZE1, self.config.max_upload as u32);
            let length = writer.finish().unwrap_or(0);
            self.send_reply(now, peer, length, outbox);
        }
        outbox.events.push(Event::Refused { peer, code, reason });
    }

    /// Sends what is due. To be called after each batch of inputs.
    pub fn flush(&mut self, now: Instant, outbox: &mut Outbox) {
        loop {
            let timed_out = match self.coap.poll(now) {
                None => return,
                Some(Due::Transmit { peer, datagram }) => {
                    let length = outbox.write(datagram);
                    if self.may_send(peer, length) {
                        self.send_reply(now, peer, length, outbox);
                    }
                    continue;
                }
                Some(Due::TimedOut { tag, .. }) => tag,
            };
            match ping_of(timed_out) {
                Some(index) => self.ping_timed_out(now, index, outbox),
                None => self.operation_timed_out(now, timed_out, outbox),
            }
        }
    }

    /// Does what the time has made due, and what [`Shard::flush`] does.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.expire_registrations(now, outbox);
        self.put_to_sleep(now, outbox);
        self.expire_operations(now, outbox);
        self.expire_uploads(now);
        self.flush(now, outbox);
    }

    /// When [`Shard::handle_timeout`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.coap.next_deadline(),
            self.expiries.next_deadline(),
            self.naps.next_deadline(),
            self.operations.next_deadline(),
            self.uploads_due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn serve(&mut self, now: Instant, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        let message = &request.message;
        self.count_received(now, request, outbox);
        if message.value(OptionNumber::PROXY_URI).is_some()
            || message.value(OptionNumber::PROXY_SCHEME).is_some()
        {
            return self.refuse(
                now,
                request,
                refusal(Code::PROXYING_NOT_SUPPORTED, "this is no proxy"),
                outbox,
            );
        }
        let mut path = message.values(OptionNumber::URI_PATH);
        match path.next() {
            Some(b"rd" | b"dp") => self.serve_device(now, request, outbox),
            _ => self.serve_file(now, request, outbox),
        }
    }

    /// Answers a request by a code, a location for a new registration, and the last block of its body; then sends the device what waits
    /// for it, which comes second because the answer is owed.
    fn answer(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        answer: &Answer,
        block: Option<Block>,
        outbox: &mut Outbox,
    ) {
        self.reply(now, request, outbox, |writer| {
            writer.code(answer.code);
            if let Some(location) = answer.location {
                writer.option(OptionNumber::LOCATION_PATH, b"rd");
                writer.option(OptionNumber::LOCATION_PATH, &location.to_text());
            }
            if let Some(block) = block {
                writer.uint(OptionNumber::BLOCK1, block.to_uint());
            }
        });
        if let Some(index) = answer.heard {
            self.send_what_waits(now, index, outbox);
        }
    }

    /// Refuses a request, and counts and tells it. The reason goes along as the diagnostic payload, unless it would make the
    /// answer much larger than the request.
    fn refuse(&mut self, now: Instant, request: &Request<'_, Peer>, refusal: Refusal, outbox: &mut Outbox) {
        self.refuse_body(now, request, refusal, None, outbox);
    }

    /// The same for a request's body; `size1` says how large it may be (RFC 7959 section 2.9.3).
    fn refuse_body(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        (code, reason): Refusal,
        size1: Option<u32>,
        outbox: &mut Outbox,
    ) {
        self.counters.refused += 1;
        let peer = request.peer;
        let budget = self.budget(now, request);
        self.reply(now, request, outbox, |writer| {
            writer.code(code);
            if let Some(size1) = size1 {
                writer.uint(OptionNumber::SIZE1, size1);
            }
            if reason.len() + 32 < budget {
                writer.payload(reason.as_bytes());
            }
        });
        outbox.events.push(Event::Refused { peer, code, reason });
    }

    fn reply(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        outbox: &mut Outbox,
        write: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        let index = self.registrations.by_peer(request.peer);
        let registration = index.and_then(|index| self.registrations.get_mut(index));
        let length = match registration {
            Some(registration) => {
                let length = self.coap.reply(request, &mut registration.message_ids, outbox.room(), write);
                registration.proof.charge(length);
                length
            }
            None => self.coap.reply(request, &mut self.message_ids, outbox.room(), write),
        };
        self.send_reply(now, request.peer, length, outbox);
    }

    /// The largest blocks for a peer: a session may take short records alone (RFC 6066 section 4, RFC 8449).
    fn blocks_for(&self, peer: Peer) -> BlockSize {
        let longest = peer.session.map_or(usize::MAX, |session| self.directory.longest_message(session));
        blocks_within(longest).min(self.config.block_size)
    }

    fn send_reply(&mut self, now: Instant, peer: Peer, length: usize, outbox: &mut Outbox) {
        if length > 0 && !self.traced.is_empty() {
            let copy = outbox.written(length).to_vec();
            self.trace_message(now, peer, Direction::Outgoing, &copy, outbox);
        }
        outbox.send(peer, length);
    }

    fn trace_message(
        &self,
        now: Instant,
        peer: Peer,
        direction: Direction,
        datagram: &[u8],
        outbox: &mut Outbox,
    ) {
        if self.traced.is_empty() {
            return;
        }
        let index = self.registrations.by_peer(peer);
        let Some(registration) = index.and_then(|index| self.registrations.get(index)) else { return };
        if self.traced.contains_key(&registration.endpoint) {
            outbox.events.push(Event::Traced {
                endpoint: registration.endpoint.clone(),
                at: self.calendar.date_of(now),
                incoming: direction == Direction::Incoming,
                datagram: datagram.into(),
            });
        }
    }

    /// A datagram that meant nothing here may answer another shard's message: its sender's address changed.
    fn not_for_us(&mut self, peer: Peer, datagram: &[u8], outbox: &mut Outbox) {
        self.counters.ignored += 1;
        let is_answer = datagram.first().is_some_and(|first| first & 0x20 != 0);
        if is_answer && self.registrations.by_peer(peer).is_none() {
            outbox.events.push(Event::Misdirected { shard: None, peer, datagram: datagram.into() });
        }
    }

    fn forward(&mut self, now: Instant, shard: u8, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        self.coap.disown(request);
        self.passes_to(now, shard, request.peer, outbox);
        let datagram = request.message.datagram().into();
        outbox.events.push(Event::Misdirected { shard: Some(shard), peer: request.peer, datagram });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Incoming,
    Outgoing,
}

/// The key of a fresh registration.
fn fresh_key(next_counter: &mut u64, shard: u8) -> RegistrationKey {
    let key = RegistrationKey::new(*next_counter, shard);
    *next_counter += 1;
    key
}
