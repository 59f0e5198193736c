//! The registration interface (LwM2M Core 1.1 section 6.2): Register, Update, Deregister, and expiry.

use std::sync::Arc;
use std::time::Duration;

use buoy_coap::block::{Assembled, Assembly, BadBlock, Block, block_option};
use buoy_coap::endpoint::{MessageIds, Request};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::operation::{self, Binding, LwM2mVersion, Uplink};

use super::address::Origin;
use super::{Answer, Directory, PartialUpload, Refusal, Shard, UploadKey, fresh_key, refusal};
use crate::name;
use crate::objects::ObjectList;
use crate::observation::Observation;
use crate::operation::Failure;
use crate::outbox::{Change, Event, Outbox, UpdatedFields};
use crate::peer::{Peer, SessionId};
use crate::registration::{
    Attributes, Claim, Location, Proof, Reach, Registration, RegistrationKey, RegistrationRecord,
    RegistrationView,
};
use crate::registrations::Index;
use crate::wheel::Slot;

/// A call looks at this many registrations for each one that it may save, then the rest waits for the next call.
const LOOKS_FOR_EACH_SAVED: usize = 16;
/// How long an incomplete body is stored.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(247);

impl<D: Directory> Shard<D> {
    /// Restores a registration from the store. Returns its view, or `None` if the record can't be parsed.
    ///
    /// Registrations are restored before the first datagram. The lifetime of each starts again, so that a restart expires no registration.
    pub fn restore(
        &mut self,
        now: Instant,
        key: RegistrationKey,
        record: &[u8],
        outbox: &mut Outbox,
    ) -> Option<Arc<str>> {
        let (reach, record) = RegistrationRecord::parse(record)?;
        self.restored_at = now;
        let mut registration = self.revive(now, key, reach, record)?;
        self.next_counter = self.next_counter.max(key.counter() + 1);
        let endpoint = registration.endpoint.clone();
        if self.directory.claim(&endpoint, self.number) != self.number {
            outbox.changes.push(Change::RemoveRegistration { key });
            return Some(endpoint);
        }
        // A crash can leave two records of one endpoint. The newer one is valid; the older one must not return when that ends.
        match self.registrations.by_endpoint(&endpoint) {
            Some(old) if self.registrations.get(old).is_some_and(|old| old.key > key) => {
                outbox.changes.push(Change::RemoveRegistration { key });
                return Some(endpoint);
            }
            Some(old) => drop(self.unregister(now, old, outbox)),
            None => {}
        }
        let tokens: Vec<_> = registration.observations.iter().map(|observation| observation.id).collect();
        let to_resume: Vec<_> = registration.observations_to_resume().cloned().collect();
        // If two have the same address, it belongs to the one with the latest contact.
        let other = self.registrations.by_peer(registration.peer);
        let other = other.and_then(|other| self.registrations.get(other));
        registration.has_address &= other.is_none_or(|it| it.last_contact <= registration.last_contact);
        self.unproved += usize::from(!registration.proof.is_proved());
        let (index, _) = self.registrations.insert(registration);
        self.observations.extend(tokens.into_iter().map(|token| (token, index)));
        self.reschedule_expiry(index);
        self.came_to_session(None, index, outbox);
        for observation in to_resume {
            self.plan_to_resume(now, &endpoint, observation);
        }
        Some(endpoint)
    }

    /// Saves the times of last contact, for which an Update writes no record: of at most `most` registrations, from where the last call
    /// ended. Returns whether there may be more to save in this round.
    pub fn save_last_contacts(&mut self, most: usize, outbox: &mut Outbox) -> bool {
        let (mut saved, mut looked_at) = (0, 0);
        while let Some(index) = self.registrations.next_from(self.swept) {
            if saved >= most || looked_at >= most.saturating_mul(LOOKS_FOR_EACH_SAVED) {
                return true;
            }
            self.swept = Index(index.0 + 1);
            looked_at += 1;
            if let Some(registration) = self.registrations.get(index)
                && registration.is_dirty
            {
                let at = self.calendar.date_of(registration.last_contact);
                outbox.events.push(Event::Heard { endpoint: registration.endpoint.clone(), at });
                self.save(index, outbox);
                saved += 1;
            }
        }
        self.swept = Index(0);
        false
    }

    fn revive(
        &mut self,
        now: Instant,
        key: RegistrationKey,
        reach: Reach,
        record: RegistrationRecord<'_>,
    ) -> Option<Registration> {
        let objects = self.take_objects(record.objects.as_bytes()).ok()?;
        let others = record.others.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let attributes = Attributes {
            binding: record.binding.into(),
            sms: record.sms.map(Into::into),
            others: others.collect(),
        };
        Some(Registration {
            endpoint: record.endpoint.into(),
            key,
            nonce: record.nonce,
            peer: Peer { address: record.address, session: reach.session },
            registered_at: self.calendar.instant_of(record.registered_at).min(now),
            // If the clock was wrong when it was saved, the registration must not stay for years.
            last_contact: self.calendar.instant_of(record.last_contact).min(now),
            lifetime: record.lifetime,
            message_ids: MessageIds::random(&mut self.rng),
            version: record.version,
            queue_mode: record.queue_mode,
            proof: reach.proof,
            has_address: reach.has_address,
            is_dirty: false,
            asleep: record.queue_mode,
            expiry_slot: Slot::NONE,
            nap_slot: Slot::NONE,
            objects,
            attributes: self.attributes.intern(Arc::new(attributes)),
            observations: record.observations.into_iter().map(Observation::restore).collect(),
        })
    }

    /// Serves `/rd` and `/dp`, whose requests may come in blocks.
    pub(super) fn serve_device(&mut self, now: Instant, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        let message = &request.message;
        if let Some(shard) = self.home_of(message) {
            return self.forward(now, shard, request, outbox);
        }
        if let Some(shard) = self.home_of_sender(request) {
            return self.forward(now, shard, request, outbox);
        }
        match block_option(message, OptionNumber::BLOCK1) {
            Err(bad) => self.refuse(now, request, (bad.code(), bad.to_string().into()), outbox),
            Ok(None) => self.serve_whole(now, request, message.payload(), None, outbox),
            Ok(Some(block)) => match self.home_of_register(request) {
                Some(shard) => self.forward(now, shard, request, outbox),
                None => self.take_block(now, request, block, outbox),
            },
        }
    }

    /// The shard in a location, if it is another one.
    fn home_of(&self, message: &Message<'_>) -> Option<u8> {
        let segment = message.values(OptionNumber::URI_PATH).nth(1)?;
        let shard = Location::parse(segment)?.key.shard() % self.config.shards.max(1);
        let is_here =
            shard == self.number || self.registrations.by_location(Location::parse(segment)?).is_some();
        (!is_here).then_some(shard)
    }

    /// The shard of the sender of a Send, which contains neither a name nor a location, if it is another one.
    fn home_of_sender(&self, request: &Request<'_, Peer>) -> Option<u8> {
        let is_send = request.message.values(OptionNumber::URI_PATH).next() == Some(b"dp");
        if !is_send || self.config.shards < 2 || self.registrations.by_peer(request.peer).is_some() {
            return None;
        }
        let home = match request.peer.session {
            Some(session) => self.directory.home(&self.directory.proved(session)?)?,
            None => *self.foreign.get(&request.peer.address)?,
        };
        (home != self.number).then_some(home)
    }

    /// The shard that handles all blocks of a Register, if it is another one.
    fn home_of_register(&self, request: &Request<'_, Peer>) -> Option<u8> {
        let message = &request.message;
        let Ok(Uplink::Register(register)) =
            Uplink::parse(message.code(), options_of(message), message.payload())
        else {
            return None;
        };
        let name = self.name_of(request.peer, &register).ok()?;
        let is_here = self.registrations.by_endpoint(&name).is_some();
        self.directory.home(&name).filter(|home| !is_here && *home != self.number)
    }

    fn take_block(&mut self, now: Instant, request: &Request<'_, Peer>, block: Block, outbox: &mut Outbox) {
        let message = &request.message;
        let key = upload_key(request);
        let is_known = self.uploads.contains_key(&key);
        if !is_known {
            self.make_room_for_upload(request.peer);
        }
        if !is_known && !self.has_room_for_upload(request.peer) {
            let busy = refusal(Code::SERVICE_UNAVAILABLE, "too many block-wise transfers are under way");
            return self.refuse(now, request, busy, outbox);
        }
        let (limit, size) = (self.config.max_upload, self.config.block_size);
        let upload = self.uploads.entry(key.clone()).or_insert_with(|| PartialUpload {
            assembly: Assembly::new(limit, size),
            body: Vec::new(),
            touched: now,
        });
        upload.touched = now;
        self.uploads_due.get_or_insert(now + UPLOAD_PATIENCE);
        let size1 = message.uint(OptionNumber::SIZE1);
        let assembled = upload.assembly.accept(block, message.payload().len(), size1);
        if block.offset() == 0 {
            upload.body.clear();
        }
        match assembled {
            Err(bad) => {
                self.uploads.remove(&key);
                let size1 = (bad == BadBlock::TooLarge).then_some(limit as u32);
                self.refuse_body(now, request, (bad.code(), bad.to_string().into()), size1, outbox);
            }
            Ok(Assembled::Repeated(answer)) => self.go_on(now, request, answer, outbox),
            Ok(Assembled::More(answer)) => {
                upload.body.extend_from_slice(message.payload());
                self.go_on(now, request, answer, outbox);
            }
            Ok(Assembled::Complete(answer)) => {
                let mut body = self.uploads.remove(&key).map(|upload| upload.body).unwrap_or_default();
                body.extend_from_slice(message.payload());
                self.serve_whole(now, request, &body, Some(answer), outbox);
            }
        }
    }

    fn go_on(&mut self, now: Instant, request: &Request<'_, Peer>, block: Block, outbox: &mut Outbox) {
        self.reply(now, request, outbox, |writer| {
            writer.code(Code::CONTINUE).uint(OptionNumber::BLOCK1, block.to_uint());
        });
    }

    /// A device may have only a few incomplete bodies; its oldest one is dropped for the next.
    fn make_room_for_upload(&mut self, peer: Peer) {
        let of_peer = || self.uploads.iter().filter(|(key, _)| key.peer == peer);
        if of_peer().count() < self.config.max_uploads_per_peer {
            return;
        }
        let oldest = of_peer().min_by_key(|(_, upload)| upload.touched).map(|(key, _)| key.clone());
        oldest.and_then(|oldest| self.uploads.remove(&oldest));
    }

    /// Peers without a session can use half of the places, and those of one IP address an eighth.
    fn has_room_for_upload(&self, peer: Peer) -> bool {
        let most = self.config.max_uploads;
        if peer.session.is_some() {
            return self.uploads.len() < most;
        }
        let strangers = || self.uploads.keys().filter(|key| key.peer.session.is_none());
        let neighbours = strangers().filter(|key| key.peer.address.ip() == peer.address.ip()).count();
        self.uploads.len() < most
            && strangers().count() < most.div_ceil(2)
            && neighbours < most.div_ceil(8).max(self.config.max_uploads_per_peer)
    }

    pub(super) fn expire_uploads(&mut self, now: Instant) {
        if self.uploads_due.is_none_or(|due| due > now) {
            return;
        }
        self.uploads.retain(|_, upload| now.since(upload.touched) < UPLOAD_PATIENCE);
        let oldest = self.uploads.values().map(|upload| upload.touched).min();
        self.uploads_due = oldest.map(|touched| touched + UPLOAD_PATIENCE);
    }

    fn serve_whole(
        &mut self,
        now: Instant,
        request: &Request<'_, Peer>,
        payload: &[u8],
        block: Option<Block>,
        outbox: &mut Outbox,
    ) {
        let message = &request.message;
        let origin = self.origin(now, request);
        let result = match Uplink::parse(message.code(), options_of(message), payload) {
            Err(bad) => Err((bad.code(), bad.to_string().into())),
            Ok(Uplink::Register(register)) => match self.name_of(request.peer, &register) {
                Err(refusal) => Err(refusal),
                Ok(name) => {
                    let known = self.registrations.by_endpoint(&name);
                    match self.claimed_elsewhere(&name, known) {
                        Some(shard) => return self.forward(now, shard, request, outbox),
                        None if self.must_prove_first(origin, known) => {
                            self.release_if_unused(&name);
                            return self.challenge(now, request, outbox);
                        }
                        None => {
                            let result = self.register(now, origin, &name, known, &register, outbox);
                            if result.is_err() {
                                self.release_if_unused(&name);
                            }
                            result
                        }
                    }
                }
            },
            Ok(Uplink::Update(update)) => self.update(now, origin, &update, outbox),
            Ok(Uplink::Deregister { location }) => self.deregister(now, request.peer, &location, outbox),
            Ok(Uplink::Send { content }) => self.take_send(now, request.peer, &content, outbox),
            Ok(_) => Err(refusal(Code::METHOD_NOT_ALLOWED, "this is no bootstrap server")),
        };
        match result {
            Ok(answer) => self.answer(now, request, &answer, block, outbox),
            Err(refusal) => self.refuse(now, request, refusal, outbox),
        }
    }

    /// The name under which a device registers. The credentials of its session determine it. Over plain CoAP only the request names it, and a name
    /// that has credentials is refused (section 6.2.1, LwM2M Transport section 5.1.1).
    fn name_of(&self, peer: Peer, register: &operation::Register<'_>) -> Result<Arc<str>, Refusal> {
        let named = register.endpoint.map(|name| name.as_str());
        let Some(session) = peer.session else {
            let name = named.unwrap_or_default();
            return match name::flaw(name) {
                Some(flaw) => Err(refusal(Code::BAD_REQUEST, flaw)),
                None if !self.directory.may_go_unproved(name) => {
                    Err(refusal(Code::FORBIDDEN, "this endpoint has credentials; register over coaps"))
                }
                None => Ok(name.into()),
            };
        };
        let proved = self.directory.proved(session).ok_or_else(|| {
            refusal(Code::FORBIDDEN, "the credentials of this session are not good any more")
        })?;
        match named {
            Some(name) if *name != *proved => Err(refusal(
                Code::BAD_REQUEST,
                "the credentials of this session are those of another endpoint",
            )),
            _ => Ok(proved),
        }
    }

    /// Whether a message from `peer` can be from the registered device: it has the device's session or address, or another session of the same
    /// endpoint. A registration that was made over a session can't be changed without one.
    pub(super) fn may_speak_for(&self, index: Index, peer: Peer) -> bool {
        let Some(registration) = self.registrations.get(index) else { return false };
        match peer.session {
            _ if registration.peer == peer => true,
            Some(session) => self.directory.proved(session).as_ref() == Some(&registration.endpoint),
            None => registration.peer.session.is_none(),
        }
    }

    /// The registration of this location, if the peer may change it.
    fn owned(&self, peer: Peer, location: &operation::Location<'_>) -> Result<Index, Refusal> {
        let unknown = || refusal(Code::NOT_FOUND, "no registration has this location; register again");
        let index = self.by_location(location).ok_or_else(unknown)?;
        if self.may_speak_for(index, peer) {
            Ok(index)
        } else {
            Err(refusal(Code::FORBIDDEN, "this registration is another endpoint's"))
        }
    }

    /// The shard of an endpoint, if it is not here and another shard has claimed it.
    fn claimed_elsewhere(&self, endpoint: &Arc<str>, known: Option<Index>) -> Option<u8> {
        if known.is_some() {
            return None;
        }
        let shard = self.directory.claim(endpoint, self.number);
        (shard != self.number).then_some(shard)
    }

    /// Register: the registration of a device that is already registered, at `place`, is replaced (section 6.2.1).
    fn register(
        &mut self,
        now: Instant,
        origin: Origin,
        endpoint: &Arc<str>,
        place: Option<Index>,
        register: &operation::Register<'_>,
        outbox: &mut Outbox,
    ) -> Result<Answer, Refusal> {
        let peer = origin.peer;
        let objects = self.take_objects(register.objects)?;
        let attributes = self.take_attributes(register);
        let is_proved = |index| self.registrations.get(index).is_some_and(|old| old.peer.session.is_some());
        if peer.session.is_none() && place.is_some_and(is_proved) {
            return Err(refusal(Code::FORBIDDEN, "this endpoint is registered over coaps"));
        }
        if place.is_none() && self.registrations.len() >= self.config.max_registrations {
            return Err(refusal(Code::SERVICE_UNAVAILABLE, "no further device is taken"));
        }
        if let Some(index) = place {
            self.detach(now, index);
        }
        let old = place.and_then(|index| self.registrations.get(index));
        if let Some(old) = old {
            outbox.changes.push(Change::RemoveRegistration { key: old.key });
        }
        let proof = proof_of_register(origin, old);
        self.unproved += usize::from(!proof.is_proved());
        let key = fresh_key(&mut self.next_counter, self.number);
        let registration = Registration {
            endpoint: old.map_or_else(|| endpoint.clone(), |old| old.endpoint.clone()),
            key,
            nonce: rand_core::Rng::next_u32(&mut self.rng),
            peer,
            registered_at: now,
            last_contact: now,
            lifetime: register.lifetime.unwrap_or(self.config.default_lifetime),
            message_ids: match old {
                Some(old) => old.message_ids,
                None => MessageIds::random(&mut self.rng),
            },
            version: version_of(register.version),
            queue_mode: register.is_queue_mode(),
            proof,
            has_address: true,
            is_dirty: false,
            // So that the first contact wakes it.
            asleep: register.is_queue_mode(),
            expiry_slot: old.map_or(Slot::NONE, |old| old.expiry_slot),
            nap_slot: Slot::NONE,
            objects,
            attributes,
            observations: old.map(Registration::observations_of_next_life).unwrap_or_default(),
        };
        let location = registration.location();
        let tokens: Vec<_> = registration.observations.iter().map(|observation| observation.id).collect();
        let (index, old, displaced) = match place {
            Some(index) => {
                let (old, displaced) = self.registrations.replace(index, registration);
                (index, old, displaced)
            }
            None => {
                let (index, displaced) = self.registrations.insert(registration);
                (index, None, displaced)
            }
        };
        if let Some(old) = &old {
            self.objects.release(&old.objects);
            self.attributes.release(&old.attributes);
        }
        self.observations.extend(tokens.into_iter().map(|token| (token, index)));
        self.lost_address(now, displaced, outbox);
        self.took_address(peer, outbox);
        self.came_to_session(old.as_ref().and_then(|old| old.peer.session), index, outbox);
        self.counters.registered += 1;
        self.reschedule_expiry(index);
        self.save(index, outbox);
        self.announce(index, old.as_ref().map(|old| old.key), outbox);
        if let Some(old) = old {
            self.take_back_sent_operation(now, &old.endpoint, Failure::Deregistered, outbox);
            self.observe_again(now, index);
        }
        self.awake(now, index, outbox);
        self.ping_if_it_matters(now, index);
        Ok(Answer { code: Code::CREATED, location: Some(location), heard: Some(index) })
    }

    /// Records that its peer's session carries a registration from now on. The session that carried it before ends. Only a Register or an Update
    /// over another session has this effect. A handshake has not, since its session may be only for a download.
    pub(super) fn came_to_session(&mut self, old: Option<SessionId>, index: Index, outbox: &mut Outbox) {
        let Some(registration) = self.registrations.get(index) else { return };
        let new = registration.peer.session;
        if old.or(new).is_some() {
            self.directory.carry(&registration.endpoint, new);
        }
        if let Some(session) = old.filter(|_| old != new) {
            outbox.events.push(Event::SessionLeft { session });
        }
    }

    fn announce(&mut self, index: Index, replaced: Option<RegistrationKey>, outbox: &mut Outbox) {
        if let Some(registration) = self.registrations.get(index) {
            outbox.events.push(Event::Registered {
                registration: registration.notice(index.0, self.calendar),
                replaced,
            });
        }
    }

    /// The shared copy of an object list. A known list is not parsed again.
    fn take_objects(&mut self, payload: &[u8]) -> Result<Arc<ObjectList>, Refusal> {
        let text = std::str::from_utf8(payload)
            .map_err(|_| refusal(Code::BAD_REQUEST, "the object list is not UTF-8 text"))?;
        if let Some(known) = self.objects.get(text) {
            return Ok(known);
        }
        let list = ObjectList::parse(text).map_err(|error| {
            (Code::BAD_REQUEST, format!("the object list is no CoRE link format: {error}").into())
        })?;
        Ok(self.objects.intern(Arc::new(list)))
    }

    fn take_attributes(&mut self, register: &operation::Register<'_>) -> Arc<Attributes> {
        let attributes = Attributes {
            binding: register.binding.unwrap_or(Binding::UDP).to_string().into(),
            sms: register.sms.map(|number| number.as_str().into()),
            others: register.extra.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        };
        match self.attributes.get(&attributes) {
            Some(known) => known,
            None => self.attributes.intern(Arc::new(attributes)),
        }
    }

    /// Update (section 6.2.2). Fields that it doesn't contain keep their values.
    fn update(
        &mut self,
        now: Instant,
        origin: Origin,
        update: &operation::Update<'_>,
        outbox: &mut Outbox,
    ) -> Result<Answer, Refusal> {
        let unknown = || refusal(Code::NOT_FOUND, "no registration has this location; register again");
        let index = self.owned(origin.peer, &update.location)?;
        let objects = update.objects.map(|payload| self.take_objects(payload)).transpose()?;
        self.moved(now, index, origin.peer, origin.received, outbox);
        self.knows_location(now, index, outbox);
        let registration = self.registrations.get_mut(index).ok_or_else(unknown)?;
        let mut changed = UpdatedFields::default();
        if let Some(lifetime) = update.lifetime {
            changed.lifetime = registration.lifetime != lifetime;
            registration.lifetime = lifetime;
        }
        if let Some(objects) = objects {
            changed.objects = true;
            let old = std::mem::replace(&mut registration.objects, objects);
            self.objects.release(&old);
        }
        if update.binding.is_some() || update.sms.is_some() {
            let mut attributes = (*registration.attributes).clone();
            if let Some(binding) = update.binding {
                // Since 1.1 the binding doesn't contain queue mode, which only Register can set.
                if registration.version == (1, 0) {
                    registration.queue_mode = binding.has_queue_flag();
                } else {
                    registration.queue_mode |= binding.has_queue_flag();
                }
                attributes.binding = binding.to_string().into();
            }
            attributes.sms = update.sms.map(|number| number.as_str().into()).or(attributes.sms);
            changed.binding = attributes != *registration.attributes;
            registration.attributes = self.attributes.intern(Arc::new(attributes));
        }
        self.counters.updated += 1;
        if changed.lifetime {
            self.reschedule_expiry(index);
        }
        self.awake(now, index, outbox);
        if changed != UpdatedFields::default() {
            self.save(index, outbox);
        }
        if let Some(registration) = self.registrations.get(index) {
            outbox
                .events
                .push(Event::Updated { registration: registration.notice(index.0, self.calendar), changed });
        }
        Ok(Answer::of(index, Code::CHANGED))
    }

    /// Handles a request that contains the registration's location: if that was sent to this address, the address is verified.
    fn knows_location(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        let proof = self.registrations.get(index).map(|registration| registration.proof);
        if matches!(proof, Some(Proof::Claimed(Claim { knows_location: true, .. }))) {
            self.prove_address(now, index, outbox);
        }
    }

    /// Handles another device at this one's address (section 6.2.1: it belongs to the newest registration). That device must not answer the operation in
    /// progress, so it waits until the right device sends again, unless it must not be executed twice.
    pub(super) fn lost_address(&mut self, now: Instant, index: Option<Index>, outbox: &mut Outbox) {
        let Some(index) = index else { return };
        self.forget_ping(now, index);
        let Some(registration) = self.registrations.get_mut(index) else { return };
        registration.is_dirty = true;
        let endpoint = registration.endpoint.clone();
        self.take_back_sent_operation(now, &endpoint, Failure::TimedOut, outbox);
    }

    /// Deregister (section 6.2.3).
    fn deregister(
        &mut self,
        now: Instant,
        peer: Peer,
        location: &operation::Location<'_>,
        outbox: &mut Outbox,
    ) -> Result<Answer, Refusal> {
        let index = self.owned(peer, location)?;
        if let Some(registration) = self.unregister(now, index, outbox) {
            self.counters.deregistered += 1;
            self.gone(now, &registration, outbox);
            outbox.events.push(Event::Deregistered(registration.notice(index.0, self.calendar)));
        }
        Ok(Answer { code: Code::DELETED, location: None, heard: None })
    }

    fn by_location(&self, location: &operation::Location<'_>) -> Option<Index> {
        let segment = location.segments().nth(1)?;
        self.registrations.by_location(Location::parse(segment.as_bytes())?)
    }

    /// Removes a registration from memory and store; its operations stay.
    fn unregister(&mut self, now: Instant, index: Index, outbox: &mut Outbox) -> Option<Registration> {
        let registration = self.take_out(now, index)?;
        outbox.changes.push(Change::RemoveRegistration { key: registration.key });
        Some(registration)
    }

    /// Removes a registration from memory, with its scheduled checks and the tokens of its observations.
    fn take_out(&mut self, now: Instant, index: Index) -> Option<Registration> {
        self.detach(now, index);
        let mut registration = self.registrations.remove(index)?;
        self.expiries.cancel(&mut registration.expiry_slot, index.0);
        self.objects.release(&registration.objects);
        self.attributes.release(&registration.attributes);
        Some(registration)
    }

    /// Ends all that waits for a registration, but for the check of its expiry.
    fn detach(&mut self, now: Instant, index: Index) {
        self.forget_ping(now, index);
        let Some(registration) = self.registrations.get_mut(index) else { return };
        self.unproved -= usize::from(!registration.proof.is_proved());
        self.naps.cancel(&mut registration.nap_slot, index.0);
        for observation in &*registration.observations {
            self.observations.remove(&observation.id);
        }
    }

    /// Handles a registration that ended: ends operations that can't wait any longer, and releases its name.
    fn gone(&mut self, now: Instant, registration: &Registration, outbox: &mut Outbox) {
        if registration.peer.session.is_some() {
            self.directory.carry(&registration.endpoint, None);
        }
        self.end_operations_of(now, &registration.endpoint, outbox);
        self.release_if_unused(&registration.endpoint);
    }

    /// Releases an endpoint that is not registered and has no waiting operations.
    pub(super) fn release_if_unused(&self, endpoint: &str) {
        if self.registrations.by_endpoint(endpoint).is_none() && self.operations.first(endpoint).is_none() {
            self.directory.release(endpoint, self.number);
        }
    }

    /// Records that the device sent something: its lifetime starts again, and it listens for a while.
    pub(super) fn contacted(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        self.awake(now, index, outbox);
        self.send_what_waits(now, index, outbox);
    }

    pub(super) fn awake(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        let Some(registration) = self.registrations.get_mut(index) else { return };
        registration.is_dirty |= registration.last_contact != now;
        registration.last_contact = now;
        if registration.queue_mode && registration.nap_slot == Slot::NONE {
            self.naps.schedule(&mut registration.nap_slot, now + self.config.awake_time, index.0);
        }
        if registration.queue_mode && registration.asleep {
            outbox.events.push(Event::Awake(registration.endpoint.clone()));
        }
        registration.asleep = false;
    }

    pub(super) fn send_what_waits(&mut self, now: Instant, index: Index, outbox: &mut Outbox) {
        if self.operations.is_empty() {
            return;
        }
        if let Some(registration) = self.registrations.get(index) {
            let endpoint = registration.endpoint.clone();
            self.advance(now, &endpoint, outbox);
        }
    }

    pub(super) fn put_to_sleep(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(index) = self.naps.due(now) {
            let Some(registration) = self.registrations.get_mut(Index(index)) else { continue };
            registration.nap_slot = Slot::NONE;
            let sleeps_at = registration.last_contact + self.config.awake_time;
            if registration.asleep || !registration.queue_mode {
                continue;
            }
            if sleeps_at > now {
                self.naps.schedule(&mut registration.nap_slot, sleeps_at, index);
            } else {
                registration.asleep = true;
                outbox.events.push(Event::Sleeping(registration.endpoint.clone()));
            }
        }
    }

    pub(super) fn save(&mut self, index: Index, outbox: &mut Outbox) {
        if let Some(registration) = self.registrations.get_mut(index) {
            registration.is_dirty = false;
            let calendar = self.calendar;
            outbox.put_registration(registration.key, |out| registration.write_record(calendar, out));
        }
    }

    /// Schedules the next check of a registration's expiry; none if it never expires.
    pub(super) fn reschedule_expiry(&mut self, index: Index) {
        if let Some(registration) = self.registrations.get_mut(index) {
            let at =
                registration.expires_at(self.config.unproved_lifetime, self.restored_at) + self.config.grace;
            self.expiries.schedule_no_later(&mut registration.expiry_slot, at, index.0);
        }
    }

    pub(super) fn expire_registrations(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(index) = self.expiries.due(now).map(Index) {
            let Some(registration) = self.registrations.get_mut(index) else { continue };
            registration.expiry_slot = Slot::NONE;
            if registration.expires_at(self.config.unproved_lifetime, self.restored_at) + self.config.grace
                > now
            {
                self.reschedule_expiry(index);
            } else if let Some(registration) = self.unregister(now, index, outbox) {
                self.counters.expired += 1;
                self.gone(now, &registration, outbox);
                outbox.events.push(Event::Expired(registration.notice(index.0, self.calendar)));
            }
        }
    }

    /// Ends a registration as if the device had deregistered. Returns it, if it existed.
    pub fn evict(&mut self, now: Instant, endpoint: &str, outbox: &mut Outbox) -> Option<RegistrationView> {
        let index = self.registrations.by_endpoint(endpoint)?;
        let registration = self.unregister(now, index, outbox)?;
        self.gone(now, &registration, outbox);
        outbox.events.push(Event::Deregistered(registration.notice(index.0, self.calendar)));
        Some(registration.view(self.calendar))
    }
}

/// Whether a Register's source address is verified. An address that was verified before stays verified as long as the device uses it.
fn proof_of_register(origin: Origin, old: Option<&Registration>) -> Proof {
    let was_proved = |old: &Registration| old.has_address && old.proof.is_proved() && old.peer == origin.peer;
    if origin.is_proved || old.is_some_and(was_proved) {
        return Proof::Proved;
    }
    // The answer contains the location.
    Proof::Claimed(Claim { knows_location: true, ..Claim::after(origin.received) })
}

/// Blocks belong together if they come from one peer and differ only in Block1 and Size1.
fn upload_key(request: &Request<'_, Peer>) -> UploadKey {
    let mut target = vec![request.message.code().to_byte()];
    for (number, value) in request.message.options() {
        if !matches!(number, OptionNumber::BLOCK1 | OptionNumber::SIZE1 | OptionNumber::BLOCK2) {
            target.extend_from_slice(&number.0.to_be_bytes());
            target.push(value.len() as u8);
            target.extend_from_slice(value);
        }
    }
    UploadKey { peer: request.peer, target: target.into() }
}

/// The options that define the request; CoAP has handled the others.
fn options_of<'a>(message: &Message<'a>) -> impl Iterator<Item = (OptionNumber, &'a [u8])> + use<'a> {
    message.options().filter(|(number, _)| {
        matches!(
            *number,
            OptionNumber::URI_PATH
                | OptionNumber::URI_QUERY
                | OptionNumber::CONTENT_FORMAT
                | OptionNumber::ACCEPT
                | OptionNumber::IF_MATCH
                | OptionNumber::IF_NONE_MATCH
        )
    })
}

fn version_of(version: LwM2mVersion) -> (u8, u8) {
    match version {
        LwM2mVersion::V1_0 => (1, 0),
        LwM2mVersion::V1_1 => (1, 1),
        LwM2mVersion::V1_2 => (1, 2),
    }
}
