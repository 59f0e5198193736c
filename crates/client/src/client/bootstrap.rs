//! Bootstrap (LwM2M Core 1.1, section 6.1, and 1.2's Bootstrap-Pack): when the device asks for it, and how it ends.
//!
//! 1. A reason comes up: there is no server account, none of the servers can be reached, or one of them asks for it (1/x/9).
//! 2. After the hold-off time (0/x/11) goes `POST /bs`; since 1.2 first `GET /bspack`, whose answer is all there is to it.
//! 3. The bootstrap server's requests change a copy of the configuration (`commands`, [`crate::staging`]).
//! 4. An accepted Bootstrap-Finish puts the copy in place of the configuration. If it doesn't come in time, or the power goes,
//!    everything is as it was, and the device asks again later.

mod commands;

use buoy_coap::block::{Block, Download};
use buoy_coap::endpoint::{Delivery, MessageIds, Outgoing, Purpose, Request, Token};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::operation::{Content, LwM2mVersion, Operation, Response, ShortText, Uplink};
use buoy_lwm2m::path::Path;
use rand_core::Rng;

use super::exchange::{Exchange, Tag};
use super::jitter::spread;
use super::session::Session;
use super::transfer::Sink;
use super::{Client, Link, RecordError, earlier, tree};
use crate::access::AccessObject;
use crate::accounts::{Accounts, write_servers};
use crate::effects::{BootstrapFailure, Event, ServerSlot};
use crate::features::{BOOTSTRAP, VERSION_1_2};
use crate::object::{Clock, Context, Object, Refusal, refusal};
use crate::record::{Record, RecordReader};
use crate::shape::{Array, Body, Capacity as _, Shape, UpTo};
use crate::staging::{FULL, LogEntry, StagedAccounts};
use crate::storage::Storage;
use crate::text::Bytes;

/// How many seconds the bootstrap server may take for its next request: EXCHANGE_LIFETIME (RFC 7252 section 4.8.2).
const PATIENCE: u32 = 247;
/// The wait after a first failure; doubled from failure to failure.
const FIRST_PAUSE: u64 = 30;
const LONGEST_PAUSE: u64 = 86_400;
/// The record of a configuration that is being put in place. No object has this id.
const JOURNAL: u16 = u16::MAX;
/// The most bytes of Echo.
const ECHO: usize = if BOOTSTRAP { 40 } else { 0 };
/// The formats that every client of this library reads; SenML CBOR is the shortest.
const PREFERRED: ContentFormat = ContentFormat::SENML_CBOR;

pub(crate) struct Bootstrap {
    phase: Phase,
    reason: Reason,
    ids: MessageIds,
    /// What the bootstrap server wants to see again (RFC 9175, section 2.3).
    echo: Bytes<UpTo<ECHO>>,
    failures: u32,
    staging: Staging,
    /// How many bytes of the client's memory for bodies are a configuration in the making.
    kept: usize,
    /// When the bootstrap server's account goes.
    expires: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Phase {
    Idle,
    Waiting {
        until: Instant,
    },
    /// A Bootstrap-Request is under way.
    Requesting,
    /// A Bootstrap-Pack-Request is under way.
    Fetching(Download),
    /// The bootstrap server is at work.
    Open {
        touched: Instant,
    },
}

/// What was found in the place of a configuration that is not stored whole yet.
pub(super) enum Journal {
    Empty,
    Restored,
}

/// Why the device wants to be configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    NoServer,
    /// It has servers, and can't reach one.
    Unreachable,
    /// A server or the shell asked for it.
    Asked,
}

/// What the memory for bodies begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Staging {
    /// Nothing.
    Nothing,
    /// The beginning of a Bootstrap-Pack.
    Pack,
    /// [`StagedAccounts`] and behind them a log of what was asked of other objects.
    Open,
    /// The log alone: the configuration holds and is not stored whole yet.
    Committing,
}

impl Bootstrap {
    pub(super) fn new(ids: MessageIds) -> Self {
        Self {
            phase: Phase::Idle,
            reason: Reason::NoServer,
            ids,
            echo: Bytes::EMPTY,
            failures: 0,
            staging: Staging::Nothing,
            kept: 0,
            expires: None,
        }
    }

    pub(super) const fn kept(&self) -> usize {
        if BOOTSTRAP { self.kept } else { 0 }
    }

    /// Whether a bootstrap goes on. Registrations rest meanwhile, and servers are refused.
    pub(super) const fn is_active(&self) -> bool {
        BOOTSTRAP && matches!(self.phase, Phase::Requesting | Phase::Fetching(_) | Phase::Open { .. })
    }

    /// Whether requests of the bootstrap server make sense. The first may overtake the answer to the Bootstrap-Request.
    pub(super) const fn is_open(&self) -> bool {
        BOOTSTRAP && matches!(self.phase, Phase::Requesting | Phase::Open { .. })
    }
}

impl<R: Rng, S: Shape> Client<R, S> {
    /// Asks the bootstrap server for a configuration now. Its end comes as an event.
    #[cfg(feature = "bootstrap")]
    pub fn request_bootstrap(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        self.want_bootstrap(now, Reason::Asked);
        self.drive(now, objects);
    }

    /// Whether a bootstrap goes on; meanwhile the device listens.
    #[must_use]
    pub const fn is_bootstrapping(&self) -> bool {
        self.bootstrap.is_active()
    }

    pub(super) fn want_bootstrap(&mut self, now: Instant, reason: Reason) {
        let Some(account) = self.accounts.security.bootstrap() else { return };
        let is_planned = matches!(self.bootstrap.phase, Phase::Waiting { .. });
        if self.bootstrap.is_active() || (is_planned && reason != Reason::Asked) {
            return;
        }
        // The hold-off time is for a bootstrap server that may come by itself.
        let hold_off = if reason == Reason::Asked { 0 } else { account.hold_off };
        let until = now.after_seconds(hold_off);
        self.bootstrap.reason = reason;
        self.bootstrap.failures = 0;
        self.bootstrap.phase = Phase::Waiting { until };
    }

    /// A server that could not be reached is reached now.
    pub(super) fn bootstrap_is_superfluous(&mut self) {
        let waits = BOOTSTRAP && matches!(self.bootstrap.phase, Phase::Waiting { .. });
        if waits && self.bootstrap.reason == Reason::Unreachable {
            self.bootstrap.phase = Phase::Idle;
        }
    }

    pub(super) fn bootstrap_deadline(&self) -> Option<Instant> {
        if !BOOTSTRAP {
            return None;
        }
        let at = match self.bootstrap.phase {
            Phase::Waiting { until } if self.link == Link::Up => Some(until),
            Phase::Open { touched } => Some(touched.after_seconds(PATIENCE)),
            _ => None,
        };
        earlier(at, self.bootstrap.expires).filter(|_| self.started)
    }

    pub(super) fn drive_bootstrap(&mut self, now: Instant) {
        if !BOOTSTRAP {
            return;
        }
        if self.bootstrap.expires.is_some_and(|at| at <= now) && !self.bootstrap.is_active() {
            self.expire_account();
        }
        match self.bootstrap.phase {
            Phase::Idle if self.accounts.count() == 0 => self.want_bootstrap(now, Reason::NoServer),
            Phase::Open { touched } if touched.after_seconds(PATIENCE) <= now => {
                self.fail_bootstrap(now, BootstrapFailure::ServerBrokeOff);
            }
            _ => {}
        }
        if let Phase::Waiting { until } = self.bootstrap.phase
            && until <= now
            && self.link == Link::Up
            && self.bootstrap.staging != Staging::Committing
        {
            self.begin_bootstrap(now);
        }
    }

    /// Counts the time of the bootstrap server's account, once there is another to rely on (0/x/12).
    pub(super) fn limit_account(&mut self, now: Instant) {
        let timeout = self.accounts.security.bootstrap().map_or(0, |account| account.account_timeout);
        let ends = timeout > 0 && self.accounts.count() > 0;
        self.bootstrap.expires = ends.then(|| now.after_seconds(timeout));
    }

    fn expire_account(&mut self) {
        self.bootstrap.expires = None;
        self.bootstrap.phase = Phase::Idle;
        self.accounts.security.set_bootstrap(None);
        self.effects.persist(0);
        self.effects.emit(Event::BootstrapAccountExpired);
    }

    fn begin_bootstrap(&mut self, now: Instant) {
        if VERSION_1_2 && self.config.version >= LwM2mVersion::V1_2 {
            self.clear_staging(Staging::Pack);
            self.fetch_pack(now, Download::new(self.config.block_size));
        } else {
            self.send_bootstrap_request(now);
        }
    }

    fn send_bootstrap_request(&mut self, now: Instant) {
        let endpoint = self.config.endpoint;
        // LwM2M 1.0 doesn't know the parameter, and its servers refuse what they don't know.
        let preferred_format = (self.config.version > LwM2mVersion::V1_0).then_some(PREFERRED);
        let request =
            Uplink::BootstrapRequest { endpoint: ShortText::new(endpoint.as_str()), preferred_format };
        let sent = self.transmit_bootstrap(now, Exchange::BootstrapRequest, &request, None);
        self.bootstrap.phase = if sent { Phase::Requesting } else { busy(now) };
    }

    fn fetch_pack(&mut self, now: Instant, download: Download) {
        let endpoint = self.config.endpoint;
        let accept = Some(PREFERRED);
        let request = Uplink::BootstrapPackRequest { endpoint: ShortText::new(endpoint.as_str()), accept };
        let sent = self.transmit_bootstrap(now, Exchange::BootstrapPack, &request, download.block());
        self.bootstrap.phase = if sent { Phase::Fetching(download) } else { busy(now) };
    }

    fn transmit_bootstrap(
        &mut self,
        now: Instant,
        exchange: Exchange,
        uplink: &Uplink<'_>,
        block2: Option<Block>,
    ) -> bool {
        let outgoing = Outgoing {
            peer: ServerSlot::BOOTSTRAP,
            purpose: Purpose::Request,
            delivery: Delivery::Confirmable,
            code: uplink.code(),
            token: Token::random(&mut self.rng),
            message_id: self.bootstrap.ids.next_id(),
            tag: Tag::from(exchange).0,
        };
        let echo = self.bootstrap.echo;
        let sent = self.endpoint.send(now, &mut self.rng, outgoing, |writer| {
            uplink.each_option(&mut |number, value| {
                writer.option(number, value);
            });
            if let Some(block) = block2 {
                writer.uint(OptionNumber::BLOCK2, block.to_uint());
            }
            if !echo.is_empty() {
                writer.option(OptionNumber::ECHO, echo.as_slice());
            }
        });
        sent.is_ok()
    }

    pub(super) fn take_bootstrap_answer(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
    ) {
        if !BOOTSTRAP {
            return;
        }
        let show_echo = self.is_to_show_bootstrap_echo(message);
        match self.bootstrap.phase {
            Phase::Requesting if show_echo => self.send_bootstrap_request(now),
            Phase::Requesting => self.take_request_answer(now, message),
            Phase::Fetching(download) if VERSION_1_2 && show_echo => self.fetch_pack(now, download),
            Phase::Fetching(download) if VERSION_1_2 => self.take_pack(now, download, message, objects),
            _ => {}
        }
    }

    fn is_to_show_bootstrap_echo(&mut self, message: &Message<'_>) -> bool {
        let Some(Ok(echo)) = message.value(OptionNumber::ECHO).map(Bytes::new) else { return false };
        let is_new = echo != self.bootstrap.echo;
        self.bootstrap.echo = echo;
        is_new && message.code() == Code::UNAUTHORIZED
    }

    fn take_request_answer(&mut self, now: Instant, message: &Message<'_>) {
        let options = message.options();
        match Response::parse(Operation::BootstrapRequest, message.code(), options, message.payload()) {
            Ok(Response { code: Code::CHANGED, .. }) => self.open_bootstrap(now),
            Ok(response) => self.fail_bootstrap(now, BootstrapFailure::ServerRefused(response.code)),
            Err(_) => self.fail_bootstrap(now, BootstrapFailure::ServerSentNonsense),
        }
    }

    /// The bootstrap server has begun, or says that it will.
    fn open_bootstrap(&mut self, now: Instant) {
        if let Phase::Requesting = self.bootstrap.phase {
            self.endpoint.cancel(now, ServerSlot::BOOTSTRAP, Tag::from(Exchange::BootstrapRequest).0);
            self.open_staging();
            self.effects.emit(Event::BootstrapStarted);
        }
        self.bootstrap.phase = Phase::Open { touched: now };
    }

    /// A bootstrap server without packs is asked the other way.
    #[inline(never)]
    fn take_pack(
        &mut self,
        now: Instant,
        mut download: Download,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
    ) {
        if !message.code().is_success() {
            self.clear_staging(Staging::Nothing);
            self.send_bootstrap_request(now);
            return;
        }
        let Ok(piece) = download.received_block(message) else {
            self.fail_bootstrap(now, BootstrapFailure::ServerSentNonsense);
            return;
        };
        if self.body.extend(piece.bytes).is_err() {
            self.fail_bootstrap(now, BootstrapFailure::ServerSentInconsistent(FULL.words()));
            return;
        }
        self.bootstrap.kept = self.body.len();
        if !piece.is_last {
            self.fetch_pack(now, download);
            return;
        }
        let format = message.content_format().unwrap_or(PREFERRED);
        self.effects.emit(Event::BootstrapStarted);
        let mut scratch = Body::<S>::ZEROES;
        let applied = self.open_pack(format, objects, &mut scratch);
        if let Err(refusal) = applied.and_then(|()| self.finish_bootstrap(now, objects, &mut scratch)) {
            self.fail_bootstrap(now, BootstrapFailure::ServerSentInconsistent(refusal.words()));
        }
    }

    /// A pack is the whole configuration: nothing of the one before stays but the way to the bootstrap server.
    fn open_pack(
        &mut self,
        format: ContentFormat,
        objects: &mut [&mut dyn Object],
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let content = Content { format, payload: self.body.as_slice() };
        let mut staged = StagedAccounts::of(&self.accounts, &self.access);
        staged.delete(Path::ROOT)?;
        staged.write(Path::ROOT, content, scratch)?;
        tree(&mut self.accounts, &mut self.access, objects).check_others(Path::ROOT, content, scratch)?;
        let mut writer = Record::new(scratch);
        staged.save(&mut writer);
        LogEntry::Write { base: Path::ROOT, content }.save(&mut writer);
        let length = writer.fitting().ok_or(FULL)?;
        self.keep_staged(scratch.get(..length).unwrap_or_default())?;
        self.bootstrap.staging = Staging::Open;
        Ok(())
    }

    /// Begins a configuration with the one that holds. One that is too large to be changed in parts is begun anew.
    fn open_staging(&mut self) {
        self.clear_staging(Staging::Open);
        let mut staged = StagedAccounts::of(&self.accounts, &self.access);
        let save = |staged: &StagedAccounts<S>, room: &mut [u8]| {
            let mut writer = Record::new(room);
            staged.save(&mut writer);
            writer.fitting()
        };
        if self.body.write(|room| save(&staged, room)).is_err() {
            let _the_root_can_be_deleted = staged.delete(Path::ROOT);
            let _the_account_fits = self.body.write(|room| save(&staged, room));
        }
        self.bootstrap.kept = self.body.len();
    }

    /// The memory for bodies holds nothing any more, so what a server was sending begins anew.
    fn clear_staging(&mut self, staging: Staging) {
        self.transfer.take_if(|transfer| matches!(transfer.sink, Sink::Collect));
        self.body.truncate(0);
        self.bootstrap.kept = 0;
        self.bootstrap.staging = staging;
    }

    /// Fills empty accounts with those in the making, and gives the log of what was asked of other objects.
    fn read_staged(&self, staged: &mut StagedAccounts<S>) -> Result<&[u8], Refusal> {
        let kept = self.body.as_slice().get(..self.bootstrap.kept).unwrap_or_default();
        let mut reader = RecordReader(kept);
        let is_open = self.bootstrap.staging == Staging::Open;
        is_open.then(|| staged.load(&mut reader)).flatten().ok_or(Refusal::METHOD_NOT_ALLOWED)?;
        Ok(reader.0)
    }

    fn keep_staged(&mut self, staged: &[u8]) -> Result<(), Refusal> {
        self.body.truncate(0);
        self.body.extend(staged).map_err(|_| FULL)?;
        self.bootstrap.kept = self.body.len();
        Ok(())
    }

    /// Puts the new configuration in place of the old one.
    #[inline(never)]
    fn finish_bootstrap(
        &mut self,
        now: Instant,
        objects: &mut [&mut dyn Object],
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let clock = self.clock(now);
        let (mut accounts, mut access) = (Accounts::new(self.config.version), AccessObject::new());
        let log_length = self.settle(&mut accounts, &mut access)?;
        self.body.truncate(self.bootstrap.kept);
        let accounts_length = self.bootstrap.kept.saturating_sub(log_length);
        let log = self.body.as_slice().get(accounts_length..).unwrap_or_default();
        write_journal(&accounts, &access, log, scratch).ok_or(refusal!(
            Code::NOT_ACCEPTABLE,
            "the configuration is larger than this device's memory for it"
        ))?;
        let mut context = Context::new(clock, &mut self.effects);
        tree(&mut self.accounts, &mut self.access, objects).replay(&mut context, log, scratch)?;
        self.body.drop_front(accounts_length);
        self.bootstrap.kept = self.body.len();
        self.bootstrap.staging = Staging::Committing;
        self.adopt(now, &accounts, &access);
        Ok(())
    }

    /// Fills in the new accounts and access rights, and says how many bytes of the record are about other objects. What is needed to get there is off
    /// the stack when those are written.
    #[inline(never)]
    fn settle(&self, accounts: &mut Accounts<S>, access: &mut AccessObject) -> Result<usize, Refusal> {
        let mut staged = StagedAccounts::empty(self.config.version);
        let log_length = self.read_staged(&mut staged)?.len();
        staged.check()?;
        staged.settle(&self.accounts, accounts, access);
        Ok(log_length)
    }

    #[inline(never)]
    fn adopt(&mut self, now: Instant, accounts: &Accounts<S>, access: &AccessObject) {
        for index in 0..S::Servers::MAX {
            let slot = ServerSlot(index as u8);
            self.drop_observations_of(slot);
            let exchanges = [
                Exchange::Register(slot),
                Exchange::Update(slot),
                Exchange::Deregister(slot),
                Exchange::Send(slot),
            ];
            for exchange in exchanges {
                self.endpoint.cancel(now, slot, Tag::from(exchange).0);
            }
            if let Some(session) = self.sessions.get_mut(index) {
                *session = Session::new(session.ids);
            }
        }
        self.attributes = Array::repeat(None);
        self.transfer = None;
        self.accounts = *accounts;
        self.access = *access;
        [0, 1, 2].into_iter().for_each(|object| self.effects.persist(object));
        self.bootstrap.phase = Phase::Idle;
        self.bootstrap.failures = 0;
        self.limit_account(now);
        self.effects.emit(Event::BootstrapFinished);
    }

    pub(super) fn fail_bootstrap(&mut self, now: Instant, reason: BootstrapFailure) {
        self.transfer.take_if(|transfer| transfer.key.server == ServerSlot::BOOTSTRAP);
        self.clear_staging(Staging::Nothing);
        self.bootstrap.echo = Bytes::EMPTY;
        let pause =
            FIRST_PAUSE.saturating_mul(2u64.saturating_pow(self.bootstrap.failures)).min(LONGEST_PAUSE);
        let pause = spread(pause, self.rng.next_u32());
        self.bootstrap.failures = self.bootstrap.failures.saturating_add(1);
        self.bootstrap.phase = Phase::Waiting { until: now.after_millis(pause) };
        self.effects.emit(Event::BootstrapFailed(reason));
    }

    pub(super) fn bootstrap_timed_out(&mut self, now: Instant) {
        if BOOTSTRAP && matches!(self.bootstrap.phase, Phase::Requesting | Phase::Fetching(_)) {
            self.fail_bootstrap(now, BootstrapFailure::ServerSilent);
        }
    }

    pub(super) fn bootstrap_reset(&mut self, now: Instant) {
        if BOOTSTRAP && matches!(self.bootstrap.phase, Phase::Requesting | Phase::Fetching(_)) {
            self.fail_bootstrap(now, BootstrapFailure::ServerSentNonsense);
        }
    }

    /// What a server is told that asks for something meanwhile.
    pub(super) fn refuse_while_bootstrapping(
        &mut self,
        request: &Request<'_, ServerSlot>,
        out: &mut [u8],
    ) -> usize {
        let Some(session) = self.sessions.get_mut(usize::from(request.peer.0)) else { return 0 };
        self.endpoint.reply(request, &mut session.ids, out, |writer| {
            writer.code(Code::SERVICE_UNAVAILABLE);
            writer.payload(b"the device is being configured; try later");
        })
    }

    /// Saves a new configuration as one record, so that after a power cut there is all of it or nothing.
    #[inline(never)]
    pub(super) fn open_journal<T: Storage>(&mut self, storage: &mut T) -> Result<(), RecordError<T::Error>> {
        if !BOOTSTRAP || self.bootstrap.staging != Staging::Committing {
            return Ok(());
        }
        let mut record = Body::<S>::ZEROES;
        let log = self.body.as_slice().get(..self.bootstrap.kept).unwrap_or_default();
        let length = write_journal(&self.accounts, &self.access, log, &mut record);
        let length = length.ok_or(RecordError::TooLarge(JOURNAL))?;
        storage.save(JOURNAL, record.get(..length).unwrap_or_default()).map_err(RecordError::Storage)
    }

    /// Says that every record of the new configuration is in its place.
    pub(super) fn close_journal<T: Storage>(&mut self, storage: &mut T) -> Result<(), RecordError<T::Error>> {
        if BOOTSTRAP && self.bootstrap.staging == Staging::Committing {
            storage.save(JOURNAL, &[]).map_err(RecordError::Storage)?;
            self.clear_staging(Staging::Nothing);
        }
        Ok(())
    }

    /// Goes on with a configuration that a power cut kept from its place.
    #[inline(never)]
    pub(super) fn restore_journal<T: Storage>(
        &mut self,
        objects: &mut [&mut dyn Object],
        storage: &mut T,
    ) -> Result<Journal, RecordError<T::Error>> {
        if !BOOTSTRAP {
            return Ok(Journal::Empty);
        }
        let mut record = Body::<S>::ZEROES;
        let length = storage.load(JOURNAL, &mut record).map_err(RecordError::Storage)?.unwrap_or(0);
        if length == 0 {
            return Ok(Journal::Empty);
        }
        self.read_journal(record.get(..length).unwrap_or_default()).ok_or(RecordError::Damaged(JOURNAL))?;
        let mut context = Context::new(Clock::default(), &mut self.effects);
        let log = self.body.as_slice();
        // What an object refuses now it refused before the configuration was accepted.
        let _carried_out =
            tree(&mut self.accounts, &mut self.access, objects).replay(&mut context, log, &mut record);
        Ok(Journal::Restored)
    }

    fn read_journal(&mut self, record: &[u8]) -> Option<()> {
        let mut reader = RecordReader(record);
        let (security, servers) = (reader.nested()?, reader.nested()?);
        let (access, log) = (reader.nested()?, reader.nested()?);
        self.accounts.read_records(security, servers).ok()?;
        self.access.read_record(access)?;
        self.clear_staging(Staging::Committing);
        self.body.extend(log).ok()?;
        self.bootstrap.kept = self.body.len();
        [0, 1, 2].into_iter().for_each(|object| self.effects.persist(object));
        Some(())
    }
}

/// Too much is under way.
fn busy(now: Instant) -> Phase {
    Phase::Waiting { until: now.after_seconds(1) }
}

/// The whole configuration in one record, if it fits.
fn write_journal<S: Shape>(
    accounts: &Accounts<S>,
    access: &AccessObject,
    log: &[u8],
    record: &mut [u8],
) -> Option<usize> {
    let mut writer = Record::new(record);
    writer.nested(|writer| accounts.security.write(writer));
    writer.nested(|writer| write_servers(&accounts.servers.instances, writer));
    writer.nested(|writer| access.write_record(writer));
    writer.nested(|writer| writer.raw(log));
    writer.fitting()
}
