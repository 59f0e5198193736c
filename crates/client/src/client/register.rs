//! Registrations (LwM2M Core 1.1, section 6.2): their beginning, their upkeep, their end, and Send.

use buoy_coap::block::{Upload, UploadStep};
use buoy_coap::endpoint::{Delivery, Outgoing, Purpose, Token};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::{Instant, millis_of};
use buoy_coap::wire::{Message, MessageWriter};
use buoy_lwm2m::operation::{
    BadResponse, Content, Location, LwM2mVersion, Operation, Register, Response, ShortText, Update, Uplink,
};
use buoy_lwm2m::path::Path;
use rand_core::Rng;

use super::bootstrap::Reason;
use super::exchange::{Exchange, Tag};
use super::jitter::spread;
use super::location::RegistrationLocation;
use super::session::{Phase, Reported, Sending, Session};
use super::{Client, Link, digest, earlier, tree};
use crate::accounts::{Server, Wish};
use crate::effects::{Event, RegistrationFailure, ServerSlot};
use crate::object::Object;
use crate::shape::{Body, Capacity as _, Shape};
use crate::text::Bytes;
use crate::tree::{Missing, Reading};

/// The seconds to wait when something can't be sent because too much is under way.
pub(super) const BUSY: u32 = 1;

/// Why a Send isn't sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendRefused {
    /// There is no registration at that server.
    NotRegistered,
    /// The server has muted the device (1/x/23).
    Muted,
    /// LwM2M 1.0 has no Send.
    Version,
    /// A path has no value that can be read.
    NothingThere,
    /// The values don't fit one message.
    TooLarge,
    /// Too many messages are under way; try again later.
    Busy,
}

impl<R: Rng, S: Shape> Client<R, S> {
    /// Sends values unasked (Core 1.1, section 6.4.6), in SenML CBOR. Its end comes as an event.
    ///
    /// # Errors
    /// [`SendRefused`]
    #[inline(never)]
    pub fn send(
        &mut self,
        now: Instant,
        server: ServerSlot,
        paths: &[Path],
        objects: &mut [&mut dyn Object],
    ) -> Result<(), SendRefused> {
        self.may_send(server)?;
        let who = self.requester(server);
        let clock = self.clock(now);
        let format = ContentFormat::SENML_CBOR;
        let reading = Reading { format, base: Path::ROOT, missing: Missing::Refuse };
        let mut body = Body::<S>::ZEROES;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let length =
            tree.encode(&clock, who, paths, reading, &mut body).map_err(|_| SendRefused::NothingThere)?;
        let payload = body.get(..length).unwrap_or_default();
        self.send_content(now, server, Content { format, payload })
    }

    /// Sends what the caller wrote, unasked: values that were measured while there was no connection, each with its time. Its end comes as an
    /// event.
    ///
    /// # Errors
    /// [`SendRefused`]
    pub fn send_content(
        &mut self,
        now: Instant,
        server: ServerSlot,
        content: Content<'_>,
    ) -> Result<(), SendRefused> {
        self.may_send(server)?;
        if content.payload.len() > self.config.block_size.bytes() {
            return Err(SendRefused::TooLarge);
        }
        let uplink = Uplink::Send { content };
        let sent = self.transmit(now, Exchange::Send(server), server, &uplink, None);
        if sent { Ok(()) } else { Err(SendRefused::Busy) }
    }

    fn may_send(&self, server: ServerSlot) -> Result<(), SendRefused> {
        let account = self.accounts.server(server).ok_or(SendRefused::NotRegistered)?;
        if account.mute_send {
            return Err(SendRefused::Muted);
        }
        if self.config.version == LwM2mVersion::V1_0 {
            return Err(SendRefused::Version);
        }
        if self.is_registered(server) { Ok(()) } else { Err(SendRefused::NotRegistered) }
    }

    pub(super) fn session_deadline(&self) -> Option<Instant> {
        if self.bootstrap.is_active() {
            return None;
        }
        let online = self.started && self.link == Link::Up;
        self.sessions.iter().fold(None, |first, session| {
            let work = session.deadline().filter(|_| online);
            let sleep = Some(session.awake_until).filter(|at| *at > Instant::ZERO);
            earlier(first, earlier(work, sleep))
        })
    }

    /// Moves every registration on.
    pub(super) fn drive_sessions(&mut self, now: Instant, objects: &mut [&mut dyn Object]) {
        for index in 0..S::Servers::MAX {
            let slot = ServerSlot(index as u8);
            if self.accounts.server(slot).is_some() {
                self.take_wish(now, slot);
                if self.link == Link::Up && !self.bootstrap.is_active() {
                    self.drive_session(now, slot, objects);
                }
            }
        }
    }

    /// Does what a server asked for by Execute; its answer has been written by now.
    fn take_wish(&mut self, now: Instant, slot: ServerSlot) {
        match self.accounts.take_wish(slot) {
            Wish::Nothing => {}
            Wish::Update => {
                if let Some(session) = self.session_mut(slot) {
                    session.pending.update = true;
                }
            }
            Wish::Bootstrap => {
                self.effects.emit(Event::BootstrapNeeded);
                self.want_bootstrap(now, Reason::Asked);
            }
            Wish::Disable(seconds) => {
                let until = now.after_seconds(seconds);
                self.begin_deregister(now, slot, Some(until));
            }
        }
    }

    fn drive_session(&mut self, now: Instant, slot: ServerSlot, objects: &mut [&mut dyn Object]) {
        if let Some(session) = self.session_mut(slot)
            && session.awake_until <= now
        {
            session.awake_until = Instant::ZERO;
        }
        let Some(phase) = self.session(slot).map(|session| session.phase) else { return };
        match phase {
            Phase::Queued if self.is_its_turn(slot) => {
                let delay = self.accounts.server(slot).map_or(0, |server| server.initial_delay);
                let until = now.after_seconds(delay);
                self.set_phase(slot, Phase::Waiting { until });
                self.drive_session(now, slot, objects);
            }
            Phase::Waiting { until } if until <= now => self.begin_register(now, slot, objects),
            Phase::Registered => self.keep_registration(now, slot, objects),
            _ => {}
        }
    }

    /// Core 1.1, section 6.2.1.3: servers register in their order; one without a place in it doesn't wait.
    fn is_its_turn(&self, slot: ServerSlot) -> bool {
        let order = |server: &Server| server.priority;
        let Some(own) = self.accounts.server(slot).and_then(order) else { return true };
        let before = |index: usize| {
            let other = self.accounts.server(ServerSlot(index as u8))?;
            let priority = order(other)?;
            let session = self.sessions.get(index)?;
            let first = priority < own || (priority == own && index < usize::from(slot.0));
            Some(first && !session.lets_others_go(other.failure_blocks))
        };
        !(0..S::Servers::MAX).filter_map(before).any(|waits| waits)
    }

    fn keep_registration(&mut self, now: Instant, slot: ServerSlot, objects: &mut [&mut dyn Object]) {
        let (Some(server), Some(session)) = (self.accounts.server(slot), self.session(slot)) else { return };
        if session.expires <= now {
            // The server has forgotten the device while there was no network.
            self.lose_registration(now, slot);
            self.begin_register(now, slot, objects);
            return;
        }
        let known = session.reported;
        let binding_changed = known.binding != Some(server.binding);
        let wants = session.pending.update
            || session.pending.objects
            || session.update_at <= now
            || known.lifetime != server.lifetime
            || binding_changed;
        if !wants {
            return;
        }
        if binding_changed && self.config.version > LwM2mVersion::V1_0 {
            // Since 1.1 only a Register can say that the device sleeps.
            self.lose_registration(now, slot);
            self.begin_register(now, slot, objects);
        } else {
            self.begin_update(now, slot, objects);
        }
    }

    fn begin_register(&mut self, now: Instant, slot: ServerSlot, objects: &mut [&mut dyn Object]) {
        let mut body = Body::<S>::ZEROES;
        let Some(list) = self.write_links(&mut body, objects) else {
            self.fail(now, slot, RegistrationFailure::ConfigTooManyObjects);
            return;
        };
        let upload = Upload::new(list.len(), self.config.block_size);
        let sending = Sending { upload, objects: digest(list), with_objects: true };
        self.drop_observations_of(slot);
        self.send_register(now, slot, sending, list);
    }

    fn begin_update(&mut self, now: Instant, slot: ServerSlot, objects: &mut [&mut dyn Object]) {
        let mut body = Body::<S>::ZEROES;
        let Some(list) = self.write_links(&mut body, objects) else { return };
        let Some(session) = self.session_mut(slot) else { return };
        let objects = digest(list);
        let with_objects = session.reported.objects != objects;
        let list = if with_objects { list } else { &[] };
        let idle_notice = session.pending.objects && !session.pending.update && !with_objects;
        session.pending = Default::default();
        if idle_notice && session.update_at > now && !self.has_news(slot) {
            return;
        }
        let upload = Upload::new(list.len(), self.config.block_size);
        self.send_update(now, slot, Sending { upload, objects, with_objects }, list);
    }

    /// Whether the server doesn't know the lifetime or the binding yet.
    fn has_news(&self, slot: ServerSlot) -> bool {
        let (Some(server), Some(session)) = (self.accounts.server(slot), self.session(slot)) else {
            return false;
        };
        session.reported.lifetime != server.lifetime || session.reported.binding != Some(server.binding)
    }

    fn write_links<'b>(&mut self, body: &'b mut [u8], objects: &mut [&mut dyn Object]) -> Option<&'b [u8]> {
        let version = self.config.version;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let length = tree.write_links(version, body).ok()?;
        body.get(..length)
    }

    fn send_register(&mut self, now: Instant, slot: ServerSlot, sending: Sending, list: &[u8]) {
        let Some(server) = self.accounts.server(slot).copied() else { return };
        let endpoint = self.config.endpoint;
        let version = self.config.version;
        let sleeps = self.sleeps(&server);
        let Some((block, range)) = sending.upload.block() else { return };
        let register = Register {
            endpoint: ShortText::new(endpoint.as_str()),
            lifetime: Some(server.lifetime),
            version,
            binding: Some(said_binding(version, sleeps)),
            queue: sleeps && version > LwM2mVersion::V1_0,
            sms: None,
            extra: Default::default(),
            objects: list.get(range).unwrap_or_default(),
        };
        let block = (block.more() || block.offset() > 0).then_some(Part {
            block,
            total: list.len(),
            tag: sending.objects,
        });
        let uplink = Uplink::Register(register);
        let phase = if self.transmit(now, Exchange::Register(slot), slot, &uplink, block) {
            Phase::Registering(sending)
        } else {
            Phase::Waiting { until: now.after_seconds(BUSY) }
        };
        self.set_phase(slot, phase);
    }

    fn send_update(&mut self, now: Instant, slot: ServerSlot, sending: Sending, list: &[u8]) {
        let Some(server) = self.accounts.server(slot).copied() else { return };
        let (version, sleeps) = (self.config.version, self.sleeps(&server));
        let Some(session) = self.session(slot) else { return };
        let reported = session.reported;
        let Some((block, range)) = sending.upload.block() else { return };
        let update = Update {
            location: ITS_OWN,
            lifetime: (reported.lifetime != server.lifetime).then_some(server.lifetime),
            binding: (reported.binding != Some(server.binding)).then(|| said_binding(version, sleeps)),
            sms: None,
            extra: Default::default(),
            objects: sending.with_objects.then(|| list.get(range).unwrap_or_default()),
        };
        let block = (block.more() || block.offset() > 0).then_some(Part {
            block,
            total: list.len(),
            tag: sending.objects,
        });
        if self.transmit(now, Exchange::Update(slot), slot, &Uplink::Update(update), block) {
            self.set_phase(slot, Phase::Updating(sending));
        } else if let Some(session) = self.session_mut(slot) {
            session.update_at = now.after_seconds(BUSY);
        }
    }

    pub(super) fn begin_deregister(&mut self, now: Instant, slot: ServerSlot, until: Option<Instant>) {
        let Some(session) = self.session(slot) else { return };
        if !session.is_registered() {
            self.set_phase(slot, until.map_or(Phase::Off, |until| Phase::Waiting { until }));
            return;
        }
        self.endpoint.cancel(now, slot, Tag::from(Exchange::Update(slot)).0);
        let deregister = Uplink::Deregister { location: ITS_OWN };
        let is_sent = self.transmit(now, Exchange::Deregister(slot), slot, &deregister, None);
        self.set_phase(slot, Phase::Deregistering { until });
        if !is_sent {
            // There is no room for it: the server removes the registration when its lifetime ends.
            self.end_deregister(slot);
        }
    }

    fn deregistered(&mut self, slot: ServerSlot, until: Option<Instant>) {
        self.drop_observations_of(slot);
        self.effects.emit(Event::Deregistered(slot));
        let phase = match until {
            Some(until) => {
                self.effects.emit(Event::Disabled(slot, until));
                Phase::Waiting { until }
            }
            None => Phase::Off,
        };
        self.set_phase(slot, phase);
    }

    /// Hands a request to the endpoint.
    fn transmit(
        &mut self,
        now: Instant,
        exchange: Exchange,
        slot: ServerSlot,
        uplink: &Uplink<'_>,
        part: Option<Part>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(usize::from(slot.0)) else { return false };
        let outgoing = Outgoing {
            peer: slot,
            purpose: Purpose::Request,
            delivery: Delivery::Confirmable,
            code: uplink.code(),
            token: Token::random(&mut self.rng),
            message_id: session.ids.next_id(),
            tag: Tag::from(exchange).0,
        };
        let (echo, location) = (session.echo, session.location.get());
        let sent = self.endpoint.send(now, &mut self.rng, outgoing, |writer| {
            write_uplink(writer, uplink, &location, part, echo.as_slice());
        });
        sent.is_ok()
    }

    pub(super) fn take_response(
        &mut self,
        now: Instant,
        tag: Tag,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
    ) {
        match tag.exchange() {
            Some(Exchange::Register(slot)) => self.take_register_answer(now, slot, message, objects),
            Some(Exchange::Update(slot)) => self.take_update_answer(now, slot, message, objects),
            Some(Exchange::Deregister(slot)) => self.end_deregister(slot),
            Some(Exchange::Send(slot)) => self.effects.emit(Event::SendDone(slot, message.code())),
            Some(Exchange::BootstrapRequest | Exchange::BootstrapPack) => {
                self.take_bootstrap_answer(now, message, objects);
            }
            Some(Exchange::Notification(_)) | None => {}
        }
    }

    fn end_deregister(&mut self, slot: ServerSlot) {
        if let Some(Phase::Deregistering { until }) = self.session(slot).map(|session| session.phase) {
            self.deregistered(slot, until);
        }
    }

    fn take_register_answer(
        &mut self,
        now: Instant,
        slot: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
    ) {
        let Some(Phase::Registering(mut sending)) = self.session(slot).map(|session| session.phase) else {
            return;
        };
        if self.is_to_show_echo(slot, message)
            || matches!(sending.upload.answered(message), Ok(UploadStep::Next))
        {
            self.continue_upload(now, slot, sending, objects);
            return;
        }
        let options = message.options();
        let response = Response::parse(Operation::Register, message.code(), options, message.payload());
        match response {
            // Any location will do: whatever it is made of, it is only sent back.
            Ok(Response { code: Code::CREATED, .. }) | Err(BadResponse::PeerSentBadLocation) => {
                self.registered(now, slot, message, sending.objects);
            }
            Ok(response) => self.fail(now, slot, RegistrationFailure::ServerRefused(response.code)),
            Err(_) => self.fail(now, slot, RegistrationFailure::ServerSentNonsense),
        }
    }

    /// Whether a request is refused until it shows what the answer says (RFC 9175, section 2.3).
    fn is_to_show_echo(&mut self, slot: ServerSlot, message: &Message<'_>) -> bool {
        let Some(session) = self.session_mut(slot) else { return false };
        let Some(Ok(echo)) = message.value(OptionNumber::ECHO).map(Bytes::new) else { return false };
        let is_new = echo != session.echo;
        session.echo = echo;
        is_new && message.code() == Code::UNAUTHORIZED
    }

    /// Sends the next block, of a list that is made anew: it isn't kept.
    fn continue_upload(
        &mut self,
        now: Instant,
        slot: ServerSlot,
        sending: Sending,
        objects: &mut [&mut dyn Object],
    ) {
        let mut body = Body::<S>::ZEROES;
        let Some(list) = self.write_links(&mut body, objects) else { return };
        let is_same = digest(list) == sending.objects;
        let fresh = Upload::new(list.len(), self.config.block_size);
        let upload = if is_same { sending.upload } else { fresh };
        let sending = Sending { upload, objects: digest(list), ..sending };
        match self.session(slot).map(|session| session.phase) {
            Some(Phase::Registering(_)) => self.send_register(now, slot, sending, list),
            Some(Phase::Updating(_)) => self.send_update(now, slot, sending, list),
            _ => {}
        }
    }

    fn registered(&mut self, now: Instant, slot: ServerSlot, message: &Message<'_>, objects: u32) {
        let Some(session) = self.session_mut(slot) else { return };
        if message.code() != Code::CREATED || session.location.take(message).is_err() {
            self.fail(now, slot, RegistrationFailure::ServerSentNonsense);
            return;
        }
        session.attempts = 0;
        session.sequences = 0;
        session.exhausted = false;
        session.pending = Default::default();
        session.phase = Phase::Registered;
        self.renew(now, slot, objects);
        self.effects.emit(Event::Registered(slot));
        self.bootstrap_is_superfluous();
    }

    /// The server has taken a Register or Update, so its lifetime runs from now.
    fn renew(&mut self, now: Instant, slot: ServerSlot, objects: u32) {
        let Some(server) = self.accounts.server(slot).copied() else { return };
        let (expires, update_at) = match server.lifetime {
            0 => (Instant::NEVER, Instant::NEVER),
            seconds => {
                let expires = now.after_seconds(seconds);
                let lifetime = expires.millis_since(now);
                let early = self.longest_exchange().min(lifetime / 2);
                (expires, now.after_millis(lifetime.saturating_sub(early)))
            }
        };
        let Some(session) = self.session_mut(slot) else { return };
        session.expires = expires;
        session.update_at = update_at;
        session.reported = Reported { lifetime: server.lifetime, binding: Some(server.binding), objects };
    }

    /// The milliseconds of MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2): a message sent so long before a deadline has all its repetitions.
    fn longest_exchange(&self) -> u64 {
        let parameters = &self.config.parameters;
        let spans = 2u64.saturating_pow(u32::from(parameters.max_retransmit).saturating_add(1));
        let first = millis_of(parameters.ack_timeout).saturating_mul(3) / 2;
        first.saturating_mul(spans.saturating_sub(1))
    }

    fn take_update_answer(
        &mut self,
        now: Instant,
        slot: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
    ) {
        let Some(Phase::Updating(mut sending)) = self.session(slot).map(|session| session.phase) else {
            return;
        };
        if self.is_to_show_echo(slot, message)
            || matches!(sending.upload.answered(message), Ok(UploadStep::Next))
        {
            self.continue_upload(now, slot, sending, objects);
        } else if message.code() == Code::CHANGED {
            self.set_phase(slot, Phase::Registered);
            self.renew(now, slot, sending.objects);
            self.effects.emit(Event::RegistrationUpdated(slot));
        } else {
            // The server doesn't know the registration any more (4.04), or doesn't want it so: register anew.
            self.lose_registration(now, slot);
            self.begin_register(now, slot, objects);
        }
    }

    fn lose_registration(&mut self, now: Instant, slot: ServerSlot) {
        self.drop_observations_of(slot);
        if let Some(session) = self.session_mut(slot) {
            session.phase = Phase::Waiting { until: now };
            session.attempts = 0;
            session.sequences = 0;
        }
    }

    pub(super) fn exchange_timed_out(&mut self, now: Instant, tag: Tag, objects: &mut [&mut dyn Object]) {
        match tag.exchange() {
            Some(Exchange::Register(slot)) => self.fail(now, slot, RegistrationFailure::ServerSilent),
            Some(Exchange::Update(slot)) => {
                self.lose_registration(now, slot);
                self.begin_register(now, slot, objects);
            }
            Some(Exchange::Deregister(slot)) => self.end_deregister(slot),
            Some(Exchange::Send(slot)) => self.effects.emit(Event::SendFailed(slot)),
            Some(Exchange::Notification(number)) => self.notification_lost(now, number, objects),
            Some(Exchange::BootstrapRequest | Exchange::BootstrapPack) => self.bootstrap_timed_out(now),
            None => {}
        }
    }

    /// RFC 7641 section 4.5: who doesn't acknowledge a notification is no observer any more. The server doesn't know that it
    /// is none; so it is told of the device anew, and can observe it again.
    fn notification_lost(&mut self, now: Instant, number: u32, objects: &mut [&mut dyn Object]) {
        let Some(server) = self.observer(number) else { return };
        self.end_observation(number);
        if let Some(Phase::Registered) = self.session(server).map(|session| session.phase) {
            self.lose_registration(now, server);
            self.begin_register(now, server, objects);
        }
    }

    /// A Reset of a request says that the server can't make sense of it.
    pub(super) fn exchange_reset(&mut self, now: Instant, tag: Tag, objects: &mut [&mut dyn Object]) {
        match tag.exchange() {
            Some(Exchange::Register(slot)) => self.fail(now, slot, RegistrationFailure::ServerSentNonsense),
            Some(Exchange::Notification(number)) => self.end_observation(number),
            Some(Exchange::BootstrapRequest | Exchange::BootstrapPack) => self.bootstrap_reset(now),
            _ => self.exchange_timed_out(now, tag, objects),
        }
    }

    /// Core 1.1, section 6.2.1.3, table of the communication retry resources.
    fn fail(&mut self, now: Instant, slot: ServerSlot, reason: RegistrationFailure) {
        self.effects.emit(Event::RegistrationFailed(slot, reason));
        let Some(server) = self.accounts.server(slot).copied() else { return };
        let chance = self.rng.next_u32();
        let Some(session) = self.session_mut(slot) else { return };
        let failed_before = session.attempts;
        session.attempts = failed_before.saturating_add(1);
        if session.attempts < server.retry_count {
            let factor = 2u64.saturating_pow(failed_before);
            let pause = spread(u64::from(server.retry_timer).saturating_mul(factor), chance);
            session.phase = Phase::Waiting { until: now.after_millis(pause) };
            return;
        }
        session.attempts = 0;
        session.sequences = session.sequences.saturating_add(1);
        let pause = spread(u64::from(server.sequence_delay), chance);
        session.phase = Phase::Waiting { until: now.after_millis(pause) };
        if session.sequences >= server.sequence_retry_count {
            session.sequences = 0;
            session.exhausted = true;
            self.give_up(now, slot, &server);
        }
    }

    /// Nobody visits the device: it goes on trying, a sequence each sequence delay, unless a bootstrap will start it again.
    fn give_up(&mut self, now: Instant, slot: ServerSlot, server: &Server) {
        self.effects.emit(Event::GaveUp(slot));
        if server.bootstrap_on_failure {
            self.effects.emit(Event::BootstrapNeeded);
            self.want_bootstrap(now, Reason::Unreachable);
        }
    }

    pub(super) fn back_online(&mut self, _: Instant) {
        for session in self.sessions.iter_mut() {
            if session.is_registered() {
                session.pending.update = true;
            }
        }
    }

    pub(super) fn stay_awake(&mut self, now: Instant, slot: ServerSlot) {
        let until = now.after(self.config.awake);
        let sleeps = self.accounts.server(slot).is_some_and(|server| self.sleeps(server));
        if let Some(session) = self.session_mut(slot).filter(|_| sleeps) {
            session.awake_until = until;
        }
    }

    /// In queue mode the device listens only for a while after each exchange.
    pub(super) fn is_asleep_to(&self, now: Instant, slot: ServerSlot) -> bool {
        let (Some(server), Some(session)) = (self.accounts.server(slot), self.session(slot)) else {
            return false;
        };
        let idle = matches!(session.phase, Phase::Registered | Phase::Waiting { .. } | Phase::Off);
        self.sleeps(server) && idle && session.awake_until <= now && self.endpoint.outstanding() == 0
    }

    fn sleeps(&self, server: &Server) -> bool {
        self.config.queue_mode || server.binding.has_queue_flag()
    }

    fn set_phase(&mut self, slot: ServerSlot, phase: Phase) {
        if let Some(session) = self.session_mut(slot) {
            session.phase = phase;
        }
    }

    /// Whether notifications can go out to this server; an Update goes before them, since it may tell a new address.
    pub(super) fn is_reachable(&self, slot: ServerSlot) -> bool {
        let is_settled =
            |session: &Session<S>| matches!(session.phase, Phase::Registered) && !session.pending.update;
        let rests = self.link == Link::Down || self.bootstrap.is_active();
        !rests && self.session(slot).is_some_and(is_settled)
    }
}

/// A block of a request's body.
#[derive(Clone, Copy)]
struct Part {
    block: buoy_coap::block::Block,
    total: usize,
    /// The body's digest, so that blocks of two bodies are never taken for those of one (RFC 9175 section 3).
    tag: u32,
}

/// LwM2M 1.0 says in the binding that the device sleeps; later versions have the query `Q`.
fn said_binding(version: LwM2mVersion, sleeps: bool) -> buoy_lwm2m::operation::Binding {
    let plain = buoy_lwm2m::operation::Binding::UDP;
    if sleeps && version == LwM2mVersion::V1_0 { plain.with_queue_flag() } else { plain }
}

/// Stands for the location of a request, which [`write_uplink`] writes as the server said it.
const ITS_OWN: Location<'static> = Location::of_path(Path::ROOT);

/// Options have to ascend: the queries of the location come before those of the request, both behind its content format.
fn write_uplink(
    writer: &mut MessageWriter<'_>,
    uplink: &Uplink<'_>,
    location: &RegistrationLocation<'_>,
    part: Option<Part>,
    echo: &[u8],
) {
    let is_at_location = matches!(uplink, Uplink::Update(_) | Uplink::Deregister { .. });
    let location = is_at_location.then_some(location);
    if let Some(location) = location {
        location.write_path(writer);
    }
    let mut query_of = location;
    uplink.each_option(&mut |number, value| {
        if number >= OptionNumber::URI_QUERY
            && let Some(location) = query_of.take()
        {
            location.write_query(writer);
        }
        writer.option(number, value);
    });
    if let Some(location) = query_of {
        location.write_query(writer);
    }
    if let Some(part) = part {
        writer.uint(OptionNumber::BLOCK1, part.block.to_uint());
        if part.block.offset() == 0 {
            writer.uint(OptionNumber::SIZE1, u32::try_from(part.total).unwrap_or(u32::MAX));
        }
    }
    if !echo.is_empty() {
        writer.option(OptionNumber::ECHO, echo);
    }
    if let Some(part) = part {
        writer.uint(OptionNumber::REQUEST_TAG, part.tag);
    }
    writer.payload(uplink.payload());
}

impl core::fmt::Display for SendRefused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotRegistered => "the device is not registered at that server",
            Self::Muted => "the server has muted Send on this device",
            Self::Version => "LwM2M 1.0 has no Send; register with 1.1 or later",
            Self::NothingThere => "a path has no value that can be read",
            Self::TooLarge => "the values don't fit one message; send fewer at once",
            Self::Busy => "too many messages are under way; try again later",
        })
    }
}

impl core::error::Error for SendRefused {}
