//! The engine of one shard.
//!
//! `register` has the registration interface, `manage` the operations on devices, `report` notifications and Send, `host` the files that
//! devices download, and `address` the verification of addresses.

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

/// The engine for a part of the devices.
///
/// Each input is a call. After a batch of inputs, [`Shard::flush`] writes the datagrams that are due. At the time of
/// [`Shard::next_deadline`] call [`Shard::handle_timeout`].
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
    /// When they were loaded from the store.
    restored_at: Instant,
    /// How many of them have an address that is not verified.
    unproved: usize,
    /// Where [`Shard::save_last_contacts`] continues.
    swept: Index,
    next_counter: u64,
    objects: Interner<ObjectList>,
    attributes: Interner<Attributes>,
    expiries: Wheel,
    naps: Wheel,
    observations: HashMap<ObservationId, Index>,
    operations: Operations,
    uploads: HashMap<UploadKey, PartialUpload>,
    /// When the oldest of them times out.
    uploads_due: Option<Instant>,
    /// The shards of devices without a session whose datagrams arrive at this shard.
    foreign: HashMap<SocketAddr, u8>,
    files: BTreeMap<Box<str>, Body>,
    /// Downloads that are followed.
    downloads: HashMap<u64, FollowedDownload>,
    traced: HashMap<Arc<str>, u32>,
    counters: Counters,
    calendar: Calendar,
}

/// The settings and limits of a shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardConfig {
    /// The transmission parameters.
    pub coap: Parameters,
    /// Messages that may wait for an answer at once.
    pub max_exchanges: usize,
    /// Message ids that are remembered to find duplicates.
    pub remembered_messages: usize,
    /// The lifetime of a registration without `lt` (LwM2M Core section 6.2.1: 86400 seconds).
    pub default_lifetime: u32,
    /// How long a device in queue mode is assumed to be awake after each of its messages.
    pub awake_time: Duration,
    /// How long after its lifetime a registration is removed.
    pub grace: Duration,
    /// The largest answer of a device.
    pub max_body: usize,
    /// The largest body of a request by a device: its object list, or a Send.
    pub max_upload: usize,
    /// Bodies that may be incomplete at the same time.
    pub max_uploads: usize,
    /// The same for one device; its oldest one is dropped for the next.
    pub max_uploads_per_peer: usize,
    /// Operations that may wait for one device.
    pub max_operations_per_device: usize,
    /// Operations that may wait in total.
    pub max_operations: usize,
    /// The most devices.
    pub max_registrations: usize,
    /// The most devices whose addresses are not verified. Above this number a Register needs an Echo value (RFC 9175); above half of it
    /// the server pings each new device, which verifies its address without Echo.
    pub max_unproved: usize,
    /// The maximum lifetime of their registrations.
    pub unproved_lifetime: Duration,
    /// The size of the blocks that are sent.
    pub block_size: BlockSize,
    /// The number of shards. Locations may contain numbers of shards of an earlier run that had more.
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

/// Knows the shard of each endpoint.
pub trait Directory {
    /// Claims an endpoint for a shard. Returns the shard that has it now: the first that claimed it.
    fn claim(&self, endpoint: &Arc<str>, shard: u8) -> u8;
    /// Releases an endpoint.
    fn release(&self, endpoint: &str, shard: u8);
    /// The shard of an endpoint, if one has claimed it.
    fn home(&self, endpoint: &str) -> Option<u8>;
    /// The endpoint that a session authenticated; `None` if the session has ended.
    fn proved(&self, session: SessionId) -> Option<Arc<str>>;
    /// The longest message that the peer of a session accepts.
    fn longest_message(&self, session: SessionId) -> usize;
    /// Whether an endpoint may register without authentication over plain CoAP: there are no credentials for it.
    fn may_go_unproved(&self, endpoint: &str) -> bool;
    /// Records the session that carries the registration of an endpoint; `None` if there is no session, or if the registration has ended.
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

/// Counters of a shard since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Register requests accepted.
    pub registered: u64,
    /// Updates accepted.
    pub updated: u64,
    /// Deregistrations.
    pub deregistered: u64,
    /// Registrations that expired.
    pub expired: u64,
    /// Notifications accepted.
    pub notifications: u64,
    /// Notifications of unknown observations, and notifications that arrived after newer ones.
    pub notifications_dropped: u64,
    /// Send operations accepted.
    pub sends: u64,
    /// Requests refused with 4.xx or 5.xx.
    pub refused: u64,
    /// Register requests that were answered with 4.01 and an Echo value.
    pub challenged: u64,
    /// Datagrams that were not CoAP messages, or had no effect.
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

/// A refusal: the response code, and the reason as text for the log and the diagnostic payload.
type Refusal = (Code, Cow<'static, str>);

fn refusal(code: Code, reason: &'static str) -> Refusal {
    (code, Cow::Borrowed(reason))
}

/// The most bytes of a message besides its payload: header, token, and options such as a path.
const MESSAGE_HEAD: usize = 96;

/// The largest blocks that fit into messages of this length.
pub(crate) fn blocks_within(longest_message: usize) -> BlockSize {
    BlockSize::at_most(longest_message.saturating_sub(MESSAGE_HEAD))
}

/// The answer to a request that needs no body.
struct Answer {
    code: Code,
    location: Option<crate::registration::Location>,
    /// The registration of the sender: what waits for this device is sent after the answer.
    heard: Option<Index>,
}

impl Answer {
    const fn of(index: Index, code: Code) -> Self {
        Self { code, location: None, heard: Some(index) }
    }
}

impl<D: Directory> Shard<D> {
    /// An empty shard. All its tokens, message ids and locations are derived from `seed`.
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
            restored_at: Instant::ZERO,
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

    /// The names of all registered devices, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<str>> {
        self.registrations.iter().map(|registration| &registration.endpoint)
    }

    /// All registrations, in no order.
    pub fn registrations(&self) -> impl Iterator<Item = RegistrationView> {
        self.registrations.iter().map(|registration| registration.view(self.calendar))
    }

    /// All registrations, in no order, with their places ([`RegistrationNotice::place`](crate::RegistrationNotice::place)).
    pub fn registrations_with_places(&self) -> impl Iterator<Item = (u32, RegistrationView)> {
        let places = self.registrations.places();
        places.map(|(index, registration)| (index.0, registration.view(self.calendar)))
    }

    /// Its number among the shards.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// Sets the relation between the calendar and the time of this engine.
    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// The relation between the calendar and the time of this engine.
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

    /// How many operations wait for devices or are in progress.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.operations.len()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The number of scheduled checks of registrations: at most one for the expiry of each, and one for its sleep.
    #[must_use]
    pub fn appointments(&self) -> usize {
        self.expiries.len() + self.naps.len()
    }

    /// The amount of unfinished work: messages, operations, and incomplete bodies.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.coap.outstanding() + self.operations.len() + self.uploads.len()
    }

    /// Starts or stops to publish each CoAP message of a device as an event.
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

    /// Handles a datagram that `peer` sent.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8], outbox: &mut Outbox) {
        self.counters.datagrams_received += 1;
        self.trace_message(now, peer, Direction::Incoming, datagram, outbox);
        match self.coap.receive(now, peer, datagram, outbox.room()) {
            Received::Answered(length) => self.send_reply(now, peer, length, outbox),
            Received::Request(request) => self.serve(now, &request, outbox),
            Received::Response { tag, message, answer } => {
                self.send_reply(now, peer, answer, outbox);
                match ping_of(tag) {
                    // Some devices answer a ping as if it were a request, with an error.
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

    /// Refuses a datagram that is longer than the shell accepts; `beginning` is its first part. The sender has to send its body in
    /// blocks (RFC 7959 section 2.9.3).
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
        outbox.events.push(Event::Refused { peer, code, reason, named: None });
    }

    /// Writes the datagrams that are due. To be called after each batch of inputs.
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

    /// Handles expired timers, then does what [`Shard::flush`] does.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.expire_registrations(now, outbox);
        self.put_to_sleep(now, outbox);
        self.expire_operations(now, outbox);
        self.expire_uploads(now);
        self.flush(now, outbox);
    }

    /// When [`Shard::handle_timeout`] has to be called next.
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

    /// Answers a request with a code, a location for a new registration, and the last block of its body. Then sends the device what waits for
    /// it.
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

    /// Refuses a request, counts it and publishes it. The reason is the diagnostic payload, unless this makes the answer much larger than
    /// the request.
    fn refuse(&mut self, now: Instant, request: &Request<'_, Peer>, refusal: Refusal, outbox: &mut Outbox) {
        self.refuse_body(now, request, refusal, None, outbox);
    }

    /// The same for a request's body; `size1` is the largest size that is accepted (RFC 7959 section 2.9.3).
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
        let named = named_in(&request.message).map(Into::into);
        outbox.events.push(Event::Refused { peer, code, reason, named });
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

    /// The largest blocks for a peer: a session may be limited to short records (RFC 6066 section 4, RFC 8449).
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

    /// Forwards a datagram that matches nothing in this shard: it may answer a message of another shard if its sender's address has changed.
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

/// The endpoint name in a refused Register, for whoever looks for the reason. A name that no device may have is left out.
fn named_in<'a>(message: &Message<'a>) -> Option<&'a str> {
    let mut queries = message.values(OptionNumber::URI_QUERY);
    let name = queries.find_map(|query| query.strip_prefix(b"ep="))?;
    std::str::from_utf8(name).ok().filter(|name| crate::name::flaw(name).is_none())
}

/// The key of a new registration.
fn fresh_key(next_counter: &mut u64, shard: u8) -> RegistrationKey {
    let key = RegistrationKey::new(*next_counter, shard);
    *next_counter += 1;
    key
}
