//! The engine: who is told what, and when.

mod bootstrap;
mod exchange;
mod history;
mod jitter;
mod location;
mod manage;
mod observation;
#[expect(unsafe_code, reason = "parts are written where they stay")]
mod place;
mod register;
mod report;
mod session;
mod transfer;

use core::time::Duration;

use buoy_coap::block::BlockSize;
use buoy_coap::buffer::Inline;
use buoy_coap::endpoint::{Due, FixedEndpoint, MessageIds, Parameters, Received, reject};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Kind, Message};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::path::Path;
use rand_core::Rng;

#[cfg(feature = "access-control")]
use crate::access::AccessControl;
use crate::access::AccessObject;
use crate::accounts::{Accounts, Security, Server};
use crate::effects::{Changed, Effects, Event, ServerSlot};
use crate::features::{ACCESS_CONTROL, BOOTSTRAP};
use crate::object::{Clock, Context, Object};
use crate::shape::{Array, Body, Capacity as _, Chip, Outgoing, Shape};
use crate::storage::Storage;
use crate::text::{Bytes, Text, TooLong};
use crate::tree::Tree;

pub use location::RegistrationLocation;
pub use register::SendRefused;

use bootstrap::{Bootstrap, Journal};
use exchange::{Exchange, Tag};
use history::History;
use observation::{Observation, OtherPaths};
use session::Session;
use transfer::Transfer;

/// Messages of ours that may wait for an answer at once.
const EXCHANGES: usize = 4;
/// Message ids of servers that are remembered against duplicates.
const SEEN: usize = 12;
/// Bytes of an answer that are remembered for duplicates.
const REPLY: usize = 48;
/// The most bytes of an endpoint name.
pub const ENDPOINT_MAX: usize = 64;

/// A device, with as much memory as its shape says and random numbers from `R`.
// Processors reach the first two kilobytes of a value by shorter instructions: what is small stands first.
#[repr(C)]
pub struct Client<R, S: Shape = Chip> {
    link: Link,
    started: bool,
    observations_begun: u32,
    /// When the first of the objects wants to be called.
    objects_deadline: Option<Instant>,
    transfer: Option<Transfer>,
    bootstrap: Bootstrap,
    rng: R,
    config: ClientConfig,
    effects: Effects,
    sessions: Array<Session<S>, S::Servers>,
    accounts: Accounts<S>,
    access: AccessObject,
    attributes: Array<Option<AttributeEntry>, S::Attributes>,
    other_paths: OtherPaths,
    observations: Array<Option<Observation>, S::Observations>,
    endpoint: FixedEndpoint<ServerSlot, Outgoing<S>, Inline<REPLY>, EXCHANGES, SEEN>,
    history: History<S>,
    /// A configuration in the making, and behind it what comes in blocks.
    body: Bytes<S::Body>,
}

/// What a device is, beyond its objects.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// The endpoint name; [`ClientConfig::new`] checks it.
    pub endpoint: Text<ENDPOINT_MAX>,
    /// The version of LwM2M to register with; 1.1 in place of 1.2 without the feature `lwm2m-1-2`.
    pub version: LwM2mVersion,
    /// Whether the device sleeps between exchanges.
    pub queue_mode: bool,
    /// How long the device listens after each exchange in queue mode.
    pub awake: Duration,
    /// The largest blocks; no larger than the datagrams of the client less about 100 bytes.
    pub block_size: BlockSize,
    /// How messages are repeated.
    pub parameters: Parameters,
}

/// Why a client can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint name is empty or longer than 64 bytes.
    EndpointName,
    /// There are as many server accounts as there is memory for.
    TooManyServers,
    /// There are as many access rights as there is memory for.
    TooManyAccessRights,
    /// The accounts together are longer than the longest record that can be stored.
    AccountsTooLarge,
}

/// Why the records of a device could not be read or saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError<E> {
    /// The storage failed.
    Storage(E),
    /// The record of this object is empty or damaged where it must not be. The accounts are those that the client was made with.
    Damaged(u16),
    /// What this object wants saved is longer than the longest record; the record before is still there.
    TooLarge(u16),
}

/// A datagram to send: the first `length` bytes of the buffer that was passed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To which server.
    pub server: ServerSlot,
    /// How many bytes.
    pub length: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AttributeEntry {
    pub(crate) owner: Owner,
    pub(crate) path: Path,
    pub(crate) attributes: Attributes,
}

/// Whose notification attributes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Those that a server has set at a path.
    Server(ServerSlot),
    /// Those of the observation of that number alone.
    Observation(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

impl ClientConfig {
    /// The settings of a device that speaks LwM2M 1.1 and never sleeps.
    ///
    /// # Errors
    /// [`ConfigError::EndpointName`]
    pub fn new(endpoint: &str) -> Result<Self, ConfigError> {
        let endpoint = Text::new(endpoint).map_err(|TooLong| ConfigError::EndpointName)?;
        if endpoint.is_empty() {
            return Err(ConfigError::EndpointName);
        }
        Ok(Self {
            endpoint,
            version: LwM2mVersion::V1_1,
            queue_mode: false,
            awake: Duration::from_secs(93),
            block_size: BlockSize::MAX,
            parameters: Parameters::default(),
        })
    }
}

impl<R: Rng, S: Shape> Client<R, S> {
    /// Adds a server account, or replaces that of the same short server id, and says where it is.
    ///
    /// # Errors
    /// [`ConfigError::TooManyServers`], or [`ConfigError::AccountsTooLarge`]; nothing is changed then.
    #[inline(never)]
    pub fn add_server(&mut self, security: Security<S>, server: Server) -> Result<ServerSlot, ConfigError> {
        let before = self.accounts.with_id(server.short_server_id);
        let slot = self.accounts.add(security, server).ok_or(ConfigError::TooManyServers)?;
        if !self.accounts.fit() {
            self.accounts.put_back(slot, before);
            return Err(ConfigError::AccountsTooLarge);
        }
        self.effects.persist(0);
        self.effects.persist(1);
        Ok(slot)
    }

    /// Sets the account of the bootstrap server. A device without server accounts goes there by itself, and one that can't
    /// reach its servers does so if their accounts say that it should. Its socket is that of [`ServerSlot::BOOTSTRAP`].
    ///
    /// # Errors
    /// [`ConfigError::AccountsTooLarge`]; the account before stays.
    #[cfg(feature = "bootstrap")]
    #[inline(never)]
    pub fn set_bootstrap_server(&mut self, security: Security<S>) -> Result<(), ConfigError> {
        let before = self.accounts.security.bootstrap().copied();
        self.accounts.set_bootstrap(security);
        if !self.accounts.fit() {
            self.accounts.security.set_bootstrap(before);
            return Err(ConfigError::AccountsTooLarge);
        }
        self.effects.persist(0);
        Ok(())
    }

    /// The account of the bootstrap server.
    #[must_use]
    pub fn bootstrap_server(&self) -> Option<&Security<S>> {
        self.accounts.security.bootstrap()
    }

    /// Sets who may do what to an object instance. It only counts with several servers.
    ///
    /// # Errors
    /// [`ConfigError::TooManyAccessRights`]
    #[cfg(feature = "access-control")]
    pub fn set_access(&mut self, access: AccessControl) -> Result<(), ConfigError> {
        self.effects.persist(2);
        if self.access.add(access) { Ok(()) } else { Err(ConfigError::TooManyAccessRights) }
    }

    /// The server accounts: for each there is a socket.
    pub fn servers(&self) -> impl Iterator<Item = (ServerSlot, &Security<S>, &Server)> {
        (0..S::Servers::MAX).filter_map(|index| {
            let slot = ServerSlot(u8::try_from(index).ok()?);
            Some((slot, self.accounts.security(slot)?, self.accounts.server(slot)?))
        })
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Takes what survived the reboot: server accounts, access rights, and what the objects saved. Where there are no records of
    /// accounts, those that the client was made with hold.
    ///
    /// # Errors
    /// The storage failed; or, with [`RecordError::Damaged`], the records of the accounts or of their access rights can't be used, and all
    /// others are restored.
    #[inline(never)]
    pub fn restore<T: Storage>(
        &mut self,
        objects: &mut [&mut dyn Object],
        storage: &mut T,
    ) -> Result<(), RecordError<T::Error>> {
        restore_objects::<S, T>(objects, storage)?;
        let accounts = self.restore_accounts(storage).and_then(|()| self.restore_access(storage));
        match self.restore_journal(objects, storage)? {
            // A whole configuration takes the place of what is damaged.
            Journal::Restored => Ok(()),
            Journal::Empty => accounts,
        }
    }

    #[inline(never)]
    fn restore_accounts<T: Storage>(&mut self, storage: &mut T) -> Result<(), RecordError<T::Error>> {
        let mut security = Body::<S>::ZEROES;
        let security_length = storage.load(0, &mut security).map_err(RecordError::Storage)?;
        // The memory for bodies is free before the device has started.
        let mut loaded = Ok(None);
        let fits = self.body.write(|room| {
            loaded = storage.load(1, room);
            loaded.as_ref().map_or(None, |length| Some(length.unwrap_or(0)))
        });
        let servers_length = loaded.map_err(RecordError::Storage)?;
        let read = match (security_length, servers_length) {
            // A device that was made to be bootstrapped has no object 1 yet.
            (None, None) => Ok(()),
            (None, Some(_)) => Err(0),
            _ if fits.is_err() => Err(1),
            (Some(length), _) => {
                self.accounts.read_records(security.get(..length).unwrap_or_default(), self.body.as_slice())
            }
        };
        self.body.truncate(0);
        read.map_err(RecordError::Damaged)
    }

    #[inline(never)]
    fn restore_access<T: Storage>(&mut self, storage: &mut T) -> Result<(), RecordError<T::Error>> {
        if !ACCESS_CONTROL {
            return Ok(());
        }
        let mut record = Body::<S>::ZEROES;
        let Some(length) = storage.load(2, &mut record).map_err(RecordError::Storage)? else { return Ok(()) };
        let record = record.get(..length).unwrap_or_default();
        self.access.read_record(record).ok_or(RecordError::Damaged(2))
    }

    /// Whether [`Client::persist`] has something to save.
    #[must_use]
    pub fn wants_persist(&self) -> bool {
        self.effects.wants_persist()
    }

    /// Saves what has changed; to be called before an answer is sent, so that nothing is acknowledged that isn't safe.
    ///
    /// # Errors
    /// The storage failed, or a record is too large for it; the records are still to be saved.
    #[inline(never)]
    pub fn persist<T: Storage>(
        &mut self,
        objects: &mut [&mut dyn Object],
        storage: &mut T,
    ) -> Result<(), RecordError<T::Error>> {
        if !self.effects.wants_persist() {
            return Ok(());
        }
        self.open_journal(storage)?;
        let mut record = Body::<S>::ZEROES;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let mut next = tree.object_after(None);
        while let Some(id) = next {
            if let (true, Some(object)) = (self.effects.is_to_persist(id), tree.get(id)) {
                let length = object.save(&mut record).ok_or(RecordError::TooLarge(id))?;
                let record = record.get(..length).unwrap_or_default();
                storage.save(id, record).map_err(RecordError::Storage)?;
            }
            next = tree.object_after(Some(id));
        }
        self.close_journal(storage)?;
        self.effects.persisted();
        Ok(())
    }

    /// Begins to register, or to ask for a bootstrap where there is no server to register at; also after
    /// [`Client::deregister`].
    pub fn start(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        self.started = true;
        self.limit_account(now);
        self.sessions.iter_mut().for_each(Session::restart);
        self.drive(now, objects);
    }

    /// Sends an Update to a server now.
    pub fn update_registration(&mut self, now: Instant, server: ServerSlot, objects: &mut [&mut dyn Object]) {
        if let Some(session) = self.session_mut(server) {
            session.pending.update = true;
        }
        self.drive(now, objects);
    }

    /// Takes the registration at a server back, until [`Client::start`].
    pub fn deregister(&mut self, now: Instant, server: ServerSlot, objects: &mut [&mut dyn Object]) {
        self.begin_deregister(now, server, None);
        self.drive(now, objects);
    }

    /// Takes a datagram from a server and writes the answer into `out`; says how many bytes of it are to be sent to that
    /// server, after [`Client::persist`]. `out` holds a whole datagram.
    #[inline(never)]
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        server: ServerSlot,
        datagram: &[u8],
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> usize {
        let is_bootstrap = BOOTSTRAP && server == ServerSlot::BOOTSTRAP;
        if !is_bootstrap && (self.accounts.server(server).is_none() || self.is_asleep_to(now, server)) {
            return 0;
        }
        let length = match self.endpoint.receive(now, server, datagram, out) {
            Received::Nothing => 0,
            Received::Answered(length) => length,
            Received::Request(request) if is_bootstrap && self.bootstrap.is_open() => {
                self.answer_bootstrap(now, &request, objects, out)
            }
            Received::Request(request) if self.is_registered(server) => {
                if self.bootstrap.is_active() {
                    self.refuse_while_bootstrapping(&request, out)
                } else {
                    self.answer(now, &request, objects, out)
                }
            }
            // A server that the device isn't registered at may be repeating what it sent before a reboot, such as the
            // command to reboot.
            Received::Request(request) => {
                self.endpoint.disown(&request);
                0
            }
            Received::Response { tag, message, answer } => {
                self.take_response(now, Tag(tag), &message, objects);
                answer
            }
            Received::Unmatched(message) => refuse_unmatched(&message, out),
            Received::Delivered(tag) => {
                self.notification_delivered(Tag(tag));
                0
            }
            Received::Reset(tag) => {
                self.exchange_reset(now, Tag(tag), objects);
                0
            }
            Received::ResetOf(message_id) => {
                self.notification_reset(server, message_id);
                0
            }
        };
        self.stay_awake(now, server);
        self.drive(now, objects);
        length
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        self.drive(now, objects);
    }

    /// When [`Client::handle_timeout`] is to be called; `None` if nothing is planned.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.effects.has_changes() {
            return Some(Instant::ZERO);
        }
        let own = earlier(self.endpoint.next_deadline(), self.objects_deadline);
        let of_servers = earlier(self.session_deadline(), self.bootstrap_deadline());
        let first = earlier(earlier(own, of_servers), self.observation_deadline());
        first.filter(|at| *at != Instant::NEVER)
    }

    /// Writes the next datagram to send into `out`, which holds a whole one; to be called until `None`.
    #[inline(never)]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> Option<Transmit> {
        self.drive(now, objects);
        loop {
            match self.endpoint.poll(now) {
                Some(Due::Transmit { peer, datagram }) => {
                    let length = datagram.len();
                    out.get_mut(..length)?.copy_from_slice(datagram);
                    self.stay_awake(now, peer);
                    return Some(Transmit { server: peer, length });
                }
                Some(Due::TimedOut { tag, .. }) => self.exchange_timed_out(now, Tag(tag), objects),
                None => match self.next_notification(now, objects, out) {
                    report::Next::Nothing => return None,
                    report::Next::Queued => {}
                    report::Next::WakeFirst => self.drive(now, objects),
                    report::Next::Written(transmit) => {
                        self.stay_awake(now, transmit.server);
                        return Some(transmit);
                    }
                },
            }
        }
    }

    /// What the shell should know or do next; to be called until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.effects.next_event()
    }

    /// Says that a value of an object of the shell's has changed.
    pub fn notify_changed(&mut self, path: Path) {
        self.effects.changed(path);
    }

    /// Says that an object of the shell's has other instances than before.
    pub fn instances_changed(&mut self, object: u16) {
        self.effects.instances_changed(object);
    }

    /// Says what time it is, in seconds since 1970.
    pub fn set_utc(&mut self, now: Instant, unix: i64) {
        self.effects.set_clock(now, unix);
    }

    /// The time as the objects see it.
    #[must_use]
    pub fn clock(&self, now: Instant) -> Clock {
        Clock { now, unix: self.effects.unix_at(now) }
    }

    /// What an object's own methods need to tell of changes, when the shell calls them.
    pub fn context(&mut self, now: Instant) -> Context<'_> {
        Context::new(self.clock(now), &mut self.effects)
    }

    /// Says whether there is a network. Without one nothing is sent, and notifications are kept as the servers wish.
    pub fn set_online(&mut self, now: Instant, online: bool, objects: &mut [&mut dyn Object]) {
        self.link = if online { Link::Up } else { Link::Down };
        if online {
            self.back_online(now);
        }
        self.drive(now, objects);
    }

    /// Says that there is no way to a server: its keys were refused, or nobody answers its handshake. What was asked of it counts
    /// as unanswered at once, and is tried again when its account says.
    pub fn set_unreachable(&mut self, now: Instant, server: ServerSlot, objects: &mut [&mut dyn Object]) {
        let of_server = [
            Exchange::Register(server),
            Exchange::Update(server),
            Exchange::Deregister(server),
            Exchange::Send(server),
            Exchange::BootstrapRequest,
            Exchange::BootstrapPack,
        ];
        for exchange in of_server {
            let tag = Tag::from(exchange);
            if self.endpoint.cancel(now, server, tag.0) {
                self.exchange_timed_out(now, tag, objects);
            }
        }
        self.drive(now, objects);
    }

    /// Whether a server has the registration.
    #[must_use]
    pub fn is_registered(&self, server: ServerSlot) -> bool {
        self.session(server).is_some_and(Session::is_registered)
    }

    /// Where a registration is, as in `/rd/5a3f`.
    #[must_use]
    pub fn location(&self, server: ServerSlot) -> Option<RegistrationLocation<'_>> {
        self.session(server).filter(|session| session.is_registered()).map(|session| session.location.get())
    }

    /// Message ids that the client itself does not use at this server for as long as any is remembered: for others in the same
    /// session, such as a [`CoapFetch`](crate::firmware::fetch::CoapFetch).
    #[must_use]
    pub fn distant_message_ids(&self, server: ServerSlot) -> MessageIds {
        let next = self.session(server).map_or(0, |session| {
            let mut ids = session.ids;
            ids.next_id()
        });
        MessageIds::starting_at(next.wrapping_add(0x8000))
    }

    /// How many messages of the device's wait for an answer or for their turn.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.endpoint.outstanding()
    }

    /// Until when the device may switch its radio off: `None` while it has to listen.
    #[must_use]
    pub fn sleep_until(&self, now: Instant) -> Option<Instant> {
        let mut slots = (0..S::Servers::MAX).filter_map(|index| u8::try_from(index).ok().map(ServerSlot));
        let all_asleep =
            slots.all(|slot| self.accounts.server(slot).is_none() || self.is_asleep_to(now, slot));
        (all_asleep && !self.bootstrap.is_active()).then(|| self.poll_timeout().unwrap_or(Instant::NEVER))
    }

    /// Brings everything up to `now`: objects' timers, registrations, what has changed.
    fn drive(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        self.run_object_timers(now, objects);
        while let Some(changed) = self.effects.next_change() {
            self.mark_changed(&changed);
        }
        if self.effects.take_instances_changed() {
            self.sessions.iter_mut().for_each(|session| session.pending.objects = true);
        }
        if self.started {
            self.drive_sessions(now, objects);
            self.drive_bootstrap(now);
        }
    }

    fn run_object_timers(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        let clock = self.clock(now);
        for object in objects.iter_mut() {
            if object.next_deadline().is_some_and(|at| at <= now) {
                object.handle_timeout(&mut Context::new(clock, &mut self.effects));
            }
        }
        self.objects_deadline = objects.iter().filter_map(|object| object.next_deadline()).min();
    }

    fn mark_changed(&mut self, changed: &Changed) {
        for observation in self.observations.iter_mut().flatten() {
            let mut others = self.other_paths.iter().filter(|(number, _)| *number == observation.number);
            observation.dirty |=
                changed.touches(observation.path) || others.any(|(_, path)| changed.touches(*path));
        }
    }

    fn session(&self, server: ServerSlot) -> Option<&Session<S>> {
        self.sessions.get(usize::from(server.0))
    }

    fn session_mut(&mut self, server: ServerSlot) -> Option<&mut Session<S>> {
        self.sessions.get_mut(usize::from(server.0))
    }

    /// Whether requests of this server are honoured without a look into object 2.
    fn requester(&self, server: ServerSlot) -> crate::tree::Requester {
        let id = self.accounts.server(server).map_or(0, |server| server.short_server_id);
        if ACCESS_CONTROL && self.accounts.count() > 1 {
            crate::tree::Requester::OneOfSeveral(id)
        } else {
            crate::tree::Requester::OnlyServer
        }
    }
}

#[inline(never)]
fn restore_objects<S: Shape, T: Storage>(
    objects: &mut [&mut dyn Object],
    storage: &mut T,
) -> Result<(), RecordError<T::Error>> {
    let mut record = Body::<S>::ZEROES;
    for object in objects.iter_mut() {
        let length = storage.load(object.definition().id, &mut record).map_err(RecordError::Storage)?;
        if let Some(length) = length {
            object.load(record.get(..length).unwrap_or_default());
        }
    }
    Ok(())
}

fn tree<'a, 'o, S: Shape>(
    accounts: &'a mut Accounts<S>,
    access: &'a mut AccessObject,
    objects: &'a mut [&'o mut dyn Object],
) -> Tree<'a, 'o, S> {
    Tree { accounts, access, objects }
}

/// A notification or response that nobody waits for: a device observes nothing.
fn refuse_unmatched(message: &Message<'_>, out: &mut [u8]) -> usize {
    let reset = reject(message.message_id());
    match out.get_mut(..reset.len()) {
        Some(room) if message.kind() == Kind::Confirmable => {
            room.copy_from_slice(&reset);
            reset.len()
        }
        _ => 0,
    }
}

/// The earlier of two times.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A short digest to tell whether something has changed.
pub(crate) fn digest(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::EndpointName => "an endpoint name has 1 to 64 bytes",
            Self::TooManyServers => "there are as many server accounts as there is memory for",
            Self::TooManyAccessRights => "there are as many access rights as there is memory for",
            Self::AccountsTooLarge => {
                "the server accounts together are longer than the longest record of the device"
            }
        })
    }
}

impl<E: core::fmt::Display> core::fmt::Display for RecordError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Damaged(object) => write!(f, "the record of object {object} is empty or damaged"),
            Self::TooLarge(object) => {
                write!(f, "what object {object} wants saved is longer than the longest record of the device")
            }
        }
    }
}

impl<E: core::fmt::Debug + core::fmt::Display> core::error::Error for RecordError<E> {}

impl core::error::Error for ConfigError {}
