//! Operations on devices: one at a time for each, in the order in which they were asked for, and none while the device sleeps
//! (queue mode, LwM2M Core 1.1 section 6.5).

use std::sync::Arc;
use std::time::Duration;

use buoy_coap::endpoint::{Delivery, Outgoing, Purpose, SendError, Token};
use buoy_coap::observe::Freshness;
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;

use super::operations::{Aim, Operation, Progress};
use super::report::save_history;
use super::{Directory, Shard};
use crate::observation::{Observation, ObservationId, ObservationView, Standing};
use crate::operation::{
    AnswerRecord, Downlink, Durability, Failure, Intent, OperationId, OperationRecord, OperationState,
    Outcome, Reply, Submission,
};
use crate::outbox::{Change, Event, Outbox};
use crate::peer::Peer;
use crate::registrations::Index;
use crate::transfer::{Step, Transfer};

/// Ids from here on are for operations of the engine itself, such as fetching the rest of a notification.
const OWN: u64 = 1 << 63;

impl<D: Directory> Shard<D> {
    /// Accepts an operation for a device. Events report its end and, for a sleeping device, that it waits. An operation that may wait for a device of
    /// another shard is returned with the number of that shard.
    pub fn submit(
        &mut self,
        now: Instant,
        submission: Submission,
        outbox: &mut Outbox,
    ) -> Option<(u8, Submission)> {
        if submission.durability != Durability::Transient {
            // So that the device finds it here when it comes back.
            let home = self.directory.claim(&submission.endpoint, self.number);
            if home != self.number && self.registrations.by_endpoint(&submission.endpoint).is_none() {
                return Some((home, submission));
            }
        }
        let Submission { id, endpoint, request, intent, deadline, durability } = submission;
        let operation = Operation {
            endpoint,
            transfer: Transfer::new(request, self.config.block_size, tag_of(id)),
            aim: Aim::Asked(intent),
            token: Token::random(&mut self.rng),
            progress: Progress::Waiting,
            durability,
            created_at: now,
            deadline,
        };
        if let Some(failure) = self.reason_to_refuse(&operation) {
            // An operation that was to be durable gets a record of its end, too.
            self.operations.insert(id, operation);
            self.end(now, id, Err(failure), outbox);
            return None;
        }
        let endpoint = operation.endpoint.clone();
        self.operations.insert(id, operation);
        self.save_operation(now, id, OperationState::Queued, None, outbox);
        self.advance(now, &endpoint, outbox);
        if self.operations.by_id.get(&id).is_some_and(|operation| operation.progress == Progress::Waiting) {
            let asleep = !self.is_awake(&endpoint);
            outbox.events.push(Event::OperationQueued { id, endpoint, asleep });
        }
        None
    }

    /// Makes an operation durable that was to be recorded only at its end. Returns whether it is still open.
    pub fn make_durable(&mut self, now: Instant, id: OperationId, outbox: &mut Outbox) -> bool {
        let Some(operation) = self.operations.by_id.get_mut(&id) else { return false };
        operation.durability = Durability::Durable;
        let state = match operation.progress {
            Progress::Waiting => OperationState::Queued,
            _ => OperationState::Sent,
        };
        self.save_operation(now, id, state, None, outbox);
        true
    }

    /// Restores a durable operation from the store. If it was in progress, it is sent again if that is safe.
    pub fn restore_operation(&mut self, now: Instant, record: OperationRecord, outbox: &mut Outbox) {
        let OperationRecord { id, endpoint, intent, code, options, payload, .. } = record;
        let request = Downlink::from_records(code, options, payload);
        let is_safe = record.state == OperationState::Queued || request.is_idempotent();
        let operation = Operation {
            endpoint,
            transfer: Transfer::new(request, self.config.block_size, tag_of(id)),
            aim: Aim::Asked(intent),
            token: Token::random(&mut self.rng),
            progress: Progress::Waiting,
            durability: Durability::Durable,
            created_at: self.calendar.instant_of(record.created_at),
            deadline: self.calendar.instant_of(record.deadline),
        };
        self.operations.insert(id, operation);
        if !is_safe {
            self.end(now, id, Err(Failure::Interrupted), outbox);
        }
    }

    /// Cancels an operation. If it was sent already, the device may still execute it. Returns whether it existed.
    pub fn cancel(&mut self, now: Instant, id: OperationId, outbox: &mut Outbox) -> bool {
        self.end(now, id, Err(Failure::Cancelled), outbox)
    }

    /// The bytes of an operation's payload that the device has received, and their total.
    #[must_use]
    pub fn progress(&self, id: OperationId) -> Option<(usize, usize)> {
        Some(self.operations.by_id.get(&id)?.transfer.progress())
    }

    /// The observations of a device.
    #[must_use]
    pub fn observations(&self, endpoint: &str) -> Vec<ObservationView> {
        let index = self.registrations.by_endpoint(endpoint);
        let registration = index.and_then(|index| self.registrations.get(index));
        registration.map_or_else(Vec::new, |it| it.observations.iter().map(Observation::view).collect())
    }

    /// Removes an observation. The device is notified by the Reset of its next notification (RFC 7641 section 3.6).
    pub fn forget_observation(&mut self, id: ObservationId, outbox: &mut Outbox) -> Option<ObservationView> {
        let index = self.observations.remove(&id)?;
        let registration = self.registrations.get_mut(index)?;
        let observation = registration.observations.iter().find(|observation| observation.id == id)?.view();
        registration.observations.retain(|observation| observation.id != id);
        self.save(index, outbox);
        Some(observation)
    }

    fn is_awake(&self, endpoint: &str) -> bool {
        let index = self.registrations.by_endpoint(endpoint);
        let registration = index.and_then(|index| self.registrations.get(index));
        registration.is_some_and(|it| it.has_address && !(it.queue_mode && it.asleep))
    }

    fn reason_to_refuse(&self, operation: &Operation) -> Option<Failure> {
        let is_known = self.registrations.by_endpoint(&operation.endpoint).is_some();
        let waiting = self.operations.waiting_for(&operation.endpoint);
        if !is_known && operation.durability == Durability::Transient {
            Some(Failure::NotRegistered)
        } else if waiting >= self.config.max_operations_per_device
            || self.operations.by_id.len() >= self.config.max_operations
        {
            Some(Failure::TooManyOperations)
        } else {
            None
        }
    }

    /// Sends a device the first of its operations, if it listens and none is in progress.
    pub(super) fn advance(&mut self, now: Instant, endpoint: &str, outbox: &mut Outbox) {
        while let Some(id) = self.operations.first(endpoint) {
            let Some(index) = self.registrations.by_endpoint(endpoint) else { return };
            let Some(registration) = self.registrations.get(index) else { return };
            let Some(operation) = self.operations.by_id.get(&id) else { return };
            let is_asleep = registration.queue_mode && registration.asleep;
            if is_asleep || !registration.has_address || operation.progress != Progress::Waiting {
                return;
            }
            if self.is_void(operation) {
                self.operations.remove(id);
                continue;
            }
            let owner = operation.endpoint.clone();
            let blocks = self.blocks_for(registration.peer);
            if let Some(operation) = self.operations.by_id.get_mut(&id) {
                operation.transfer.limit_blocks(blocks);
            }
            if !self.may_transmit(id, index) {
                return self.ping(now, index);
            }
            match self.transmit(now, id, index) {
                Ok(()) => {
                    self.counters.operations_sent += 1;
                    self.save_operation(now, id, OperationState::Sent, None, outbox);
                    if id.0 & OWN == 0 {
                        outbox.events.push(Event::OperationSent { id, endpoint: owner });
                    }
                    return;
                }
                // It stays first and is sent when an exchange is free, at the latest at the device's next contact.
                Err(SendError::TooManyExchanges) => return,
                Err(_) => self.end(now, id, Err(Failure::RequestTooLarge), outbox),
            };
        }
    }

    /// Whether an operation is to resume an observation that was removed meanwhile.
    fn is_void(&self, operation: &Operation) -> bool {
        matches!(&operation.aim, Aim::Resume(observation) if !self.observations.contains_key(&observation.id))
    }

    /// Sends the next message of an operation.
    fn transmit(&mut self, now: Instant, id: OperationId, index: Index) -> Result<(), SendError> {
        let Self { operations, registrations, coap, rng, .. } = self;
        let (Some(operation), Some(registration)) =
            (operations.by_id.get_mut(&id), registrations.get_mut(index))
        else {
            return Ok(());
        };
        let outgoing = Outgoing {
            peer: registration.peer,
            purpose: Purpose::Request,
            delivery: Delivery::Confirmable,
            code: operation.transfer.request().code,
            token: match operation.transfer.is_first_message() {
                true => operation.token,
                // A notification that arrives meanwhile must not be mistaken for the next block.
                false => Token::random(rng),
            },
            message_id: registration.message_ids.next_id(),
            tag: id.0,
        };
        coap.send(now, rng, outgoing, |writer| operation.transfer.write(writer))?;
        operation.progress = Progress::Sent { peer: registration.peer, proves: true };
        Ok(())
    }

    pub(super) fn operation_answered(
        &mut self,
        now: Instant,
        tag: u64,
        message: &Message<'_>,
        outbox: &mut Outbox,
    ) {
        let id = OperationId(tag);
        let limit = self.config.max_body;
        let Some(operation) = self.operations.by_id.get_mut(&id) else { return };
        let endpoint = operation.endpoint.clone();
        let proves = matches!(operation.progress, Progress::Sent { proves: true, .. });
        let step = operation.transfer.answered(message, limit);
        let Some(index) = self.registrations.by_endpoint(&endpoint) else { return };
        if proves {
            self.prove_address(now, index, outbox);
        }
        self.contacted(now, index, outbox);
        match step {
            Ok(Step::Again) => {
                if self.transmit(now, id, index).is_err() {
                    self.end(now, id, Err(Failure::TooManyOperations), outbox);
                }
            }
            Ok(Step::Done { reply, observed }) => self.conclude(now, id, reply, observed, outbox),
            Err(failure) => {
                self.end(now, id, Err(failure), outbox);
            }
        }
    }

    /// Applies a complete answer and ends the operation.
    fn conclude(
        &mut self,
        now: Instant,
        id: OperationId,
        mut reply: Reply,
        observed: Option<u32>,
        outbox: &mut Outbox,
    ) {
        let Some(operation) = self.operations.by_id.get(&id) else { return };
        let endpoint = operation.endpoint.clone();
        let observed = observed.filter(|_| reply.code.is_success());
        match operation.aim.clone() {
            Aim::Asked(Intent::Once) => {}
            Aim::Asked(Intent::Observe { paths, composite }) => {
                if let (Some(observation), Some(number)) =
                    (ObservationId::from_token(operation.token.as_slice()), observed)
                {
                    let request = operation.transfer.request().clone();
                    let freshness = Freshness::starting_with(now, number);
                    let observed = (observation, paths.clone(), composite);
                    save_history(self.calendar.date_of(now), &endpoint, observed, &reply, outbox);
                    let observation = Observation {
                        id: observation,
                        paths,
                        composite,
                        request,
                        freshness,
                        standing: Standing::TakenUp,
                    };
                    reply.observing = Some(observation.id);
                    self.observe(&endpoint, observation, outbox);
                }
            }
            Aim::Asked(Intent::Cancel(observation)) => {
                self.forget_observation(observation, outbox);
            }
            // It was removed meanwhile; its next notification is reset.
            Aim::Resume(_) if self.is_void(operation) => {}
            Aim::Resume(observation) => match observed {
                Some(number) => {
                    let report = (observation.id, observation.paths.clone(), observation.composite);
                    // The device starts a new sequence.
                    let freshness = Freshness::starting_with(now, number);
                    let standing = Standing::TakenUp;
                    self.observe(&endpoint, Observation { freshness, standing, ..observation }, outbox);
                    self.report(now, &endpoint, report, reply.format, reply.payload.as_slice(), outbox);
                }
                None => self.observation_ended(endpoint, observation.id, outbox),
            },
            Aim::Complete(observation) => {
                self.completed_report(now, observation, &reply, outbox);
            }
        }
        self.end(now, id, Ok(reply), outbox);
    }

    /// Stores an observation and replaces one of the same paths.
    fn observe(&mut self, endpoint: &str, observation: Observation, outbox: &mut Outbox) {
        let Some(index) = self.registrations.by_endpoint(endpoint) else { return };
        let Some(registration) = self.registrations.get_mut(index) else { return };
        let observations = &mut registration.observations;
        observations.retain(|old| {
            let gives_way = old.id == observation.id
                || (old.paths == observation.paths && old.composite == observation.composite);
            if gives_way {
                self.observations.remove(&old.id);
            }
            !gives_way
        });
        self.observations.insert(observation.id, index);
        observations.push(observation);
        self.save(index, outbox);
    }

    /// Schedules the observations of a device that registered again (section 6.4: a new registration ends all observations). The requests are
    /// sent at the device's next contact, which its Register is.
    pub(super) fn observe_again(&mut self, now: Instant, index: Index) {
        let Some(registration) = self.registrations.get(index) else { return };
        let endpoint = registration.endpoint.clone();
        let to_resume: Vec<_> = registration.observations_to_resume().cloned().collect();
        for observation in to_resume {
            self.plan_to_resume(now, &endpoint, observation);
        }
    }

    /// The same for one observation, if it isn't scheduled already.
    pub(super) fn plan_to_resume(&mut self, now: Instant, endpoint: &Arc<str>, observation: Observation) {
        if self.operations.resumes(endpoint, observation.id) {
            return;
        }
        let token = Token::from_bytes(observation.id.0.to_be_bytes());
        let request = observation.request.clone();
        let transfer = Transfer::new(request, self.config.block_size, observation.id.0 as u32);
        let aim = Aim::Resume(observation);
        self.plan_own(now, endpoint, (transfer, aim, token), Durability::Patient);
    }

    /// Fetches the rest of a notification whose first block arrived. A device may notify faster than the rest can be fetched, or sleep meanwhile.
    /// So for each observation at most one fetch waits, that of the newest notification.
    pub(super) fn fetch_rest(
        &mut self,
        now: Instant,
        endpoint: &Arc<str>,
        id: ObservationId,
        transfer: Transfer,
        outbox: &mut Outbox,
    ) {
        if let Some(older) = self.operations.waiting_fetch(endpoint, id) {
            older.transfer = transfer;
            self.counters.notifications_dropped += 1;
        } else if self.operations.len() >= self.config.max_operations {
            self.counters.notifications_dropped += 1;
        } else {
            let token = Token::random(&mut self.rng);
            self.plan_own(now, endpoint, (transfer, Aim::Complete(id), token), Durability::Transient);
        }
        self.advance(now, endpoint, outbox);
    }

    fn plan_own(
        &mut self,
        now: Instant,
        endpoint: &Arc<str>,
        (transfer, aim, token): (Transfer, Aim, Token),
        durability: Durability,
    ) {
        let id = OperationId(OWN | self.operations.next_own);
        self.operations.next_own += 1;
        let operation = Operation {
            endpoint: endpoint.clone(),
            transfer,
            aim,
            token,
            progress: Progress::Waiting,
            durability,
            created_at: now,
            deadline: now + OWN_PATIENCE,
        };
        self.operations.insert(id, operation);
    }

    /// Handles a missing answer. An operation that may wait is sent again at the device's next message. One that must not be executed twice
    /// fails: the device may have executed it although it didn't answer.
    pub(super) fn operation_timed_out(&mut self, now: Instant, tag: u64, outbox: &mut Outbox) {
        let id = OperationId(tag);
        let Some(operation) = self.operations.by_id.get_mut(&id) else { return };
        let index = self.registrations.by_endpoint(&operation.endpoint);
        let registration = index.and_then(|index| self.registrations.get_mut(index));
        let sleeps = registration.as_ref().is_some_and(|registration| registration.queue_mode);
        let may_wait = operation.durability != Durability::Transient || sleeps;
        if !may_wait || !operation.transfer.request().is_idempotent() {
            self.end(now, id, Err(Failure::TimedOut), outbox);
            return;
        }
        operation.progress = Progress::Waiting;
        operation.transfer.restart();
        if let Some(registration) = registration.filter(|it| it.queue_mode && !it.asleep) {
            registration.asleep = true;
            outbox.events.push(Event::Sleeping(registration.endpoint.clone()));
        }
        let endpoint = operation.endpoint.clone();
        self.save_operation(now, id, OperationState::Queued, None, outbox);
        if id.0 & OWN == 0 {
            outbox.events.push(Event::OperationQueued { id, endpoint, asleep: true });
        }
    }

    /// Handles a device's new address or session: messages in progress are sent there from now on. `received` bytes came from
    /// there.
    pub(super) fn moved(
        &mut self,
        now: Instant,
        index: Index,
        peer: Peer,
        received: usize,
        outbox: &mut Outbox,
    ) {
        let Some(registration) = self.registrations.get_mut(index) else { return };
        let from = registration.peer.address;
        if from != peer.address {
            let endpoint = registration.endpoint.clone();
            outbox.events.push(Event::Moved { endpoint, from, to: peer.address });
        }
        if registration.peer == peer && registration.has_address {
            registration.peer.address = peer.address;
            return;
        }
        let endpoint = registration.endpoint.clone();
        let (was_proved, old_session) = (registration.proof.is_proved(), registration.peer.session);
        self.forget_ping(now, index);
        let displaced = self.registrations.set_peer(index, peer, received);
        self.came_to_session(old_session, index, outbox);
        self.unproved -= usize::from(!was_proved);
        self.unproved += usize::from(peer.session.is_none());
        self.lost_address(now, displaced, outbox);
        self.took_address(peer, outbox);
        self.reschedule_expiry(index);
        let Some(id) = self.operations.first(&endpoint) else { return };
        let Some(operation) = self.operations.by_id.get_mut(&id) else { return };
        if let Progress::Sent { peer: old, .. } = operation.progress {
            // The message was sent to the old address, so an answer from the new one doesn't verify the new one.
            operation.progress = Progress::Sent { peer, proves: false };
            self.coap.redirect(now, old, id.0, peer);
            if !self.may_transmit(id, index) {
                self.ping(now, index);
            }
        }
    }

    pub(super) fn operation_reset(&mut self, now: Instant, tag: u64, outbox: &mut Outbox) {
        self.end(now, OperationId(tag), Err(Failure::Reset), outbox);
    }

    pub(super) fn expire_operations(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some((deadline, id)) = self.operations.deadlines.first().copied() {
            if deadline > now {
                return;
            }
            self.operations.deadlines.pop_first();
            let Some(operation) = self.operations.by_id.get(&id) else { continue };
            let failure = match operation.progress {
                Progress::Waiting => Failure::Expired,
                Progress::Sent { .. } => Failure::TimedOut,
            };
            self.end(now, id, Err(failure), outbox);
        }
    }

    /// Handles a device that registered again, or whose address belongs to another device: the operation in progress is lost. It is sent again if
    /// that is safe. An Execute may have been executed, and may have caused the restart of the device, so it is not repeated.
    pub(super) fn take_back_sent_operation(
        &mut self,
        now: Instant,
        endpoint: &str,
        failure: Failure,
        outbox: &mut Outbox,
    ) {
        let Some(id) = self.operations.first(endpoint) else { return };
        let Some(operation) = self.operations.by_id.get_mut(&id) else { return };
        let Progress::Sent { peer, .. } = operation.progress else { return };
        if operation.transfer.request().is_idempotent() {
            operation.progress = Progress::Waiting;
            operation.transfer.restart();
            self.coap.cancel(now, peer, id.0);
        } else {
            self.end(now, id, Err(failure), outbox);
        }
    }

    /// Handles the end of a registration: transient operations and the engine's own end, and those that the device may have carried out and that are not
    /// repeated. The others wait until the device registers again.
    pub(super) fn end_operations_of(&mut self, now: Instant, endpoint: &str, outbox: &mut Outbox) {
        let ids: Vec<_> = self.operations.queues.get(endpoint).into_iter().flatten().copied().collect();
        for id in ids {
            let Some(operation) = self.operations.by_id.get_mut(&id) else { continue };
            if operation.durability == Durability::Transient || id.0 & OWN != 0 {
                self.end(now, id, Err(Failure::Deregistered), outbox);
            } else if let Progress::Sent { peer, .. } = operation.progress {
                if !operation.transfer.request().is_idempotent() {
                    self.end(now, id, Err(Failure::Deregistered), outbox);
                    continue;
                }
                operation.progress = Progress::Waiting;
                operation.transfer.restart();
                self.coap.cancel(now, peer, id.0);
                self.save_operation(now, id, OperationState::Queued, None, outbox);
            }
        }
    }

    /// Ends an operation, publishes its end, and sends the device's next one.
    pub(super) fn end(
        &mut self,
        now: Instant,
        id: OperationId,
        result: Result<Outcome, Failure>,
        outbox: &mut Outbox,
    ) -> bool {
        self.save_operation(now, id, OperationState::of_end(&result), Some(&result), outbox);
        let Some(operation) = self.operations.remove(id) else { return false };
        if let Progress::Sent { peer, .. } = operation.progress {
            self.coap.cancel(now, peer, id.0);
        }
        if result.is_err() {
            self.counters.operations_failed += 1;
        }
        if id.0 & OWN == 0 {
            end_event(id, &operation, result, outbox);
        } else if let (Aim::Resume(observation), Err(_)) = (operation.aim, &result) {
            self.observation_ended(operation.endpoint.clone(), observation.id, outbox);
        }
        self.advance(now, &operation.endpoint, outbox);
        self.release_if_unused(&operation.endpoint);
        true
    }

    fn save_operation(
        &self,
        now: Instant,
        id: OperationId,
        state: OperationState,
        result: Option<&Result<Outcome, Failure>>,
        outbox: &mut Outbox,
    ) {
        let Some(operation) = self.operations.by_id.get(&id) else { return };
        let Aim::Asked(intent) = &operation.aim else { return };
        let has_ended = !matches!(state, OperationState::Queued | OperationState::Sent);
        match operation.durability {
            Durability::Durable => {}
            Durability::Recorded if has_ended => {}
            Durability::Recorded | Durability::Patient | Durability::Transient => return,
        }
        let request = operation.transfer.request();
        let (answer, failure) = match result {
            None => (None, None),
            Some(Ok(reply)) => (Some(AnswerRecord::of(reply)), None),
            Some(Err(failure)) => (None, Some(*failure)),
        };
        let record = OperationRecord {
            id,
            endpoint: operation.endpoint.clone(),
            state,
            created_at: self.calendar.date_of(operation.created_at),
            deadline: self.calendar.date_of(operation.deadline),
            changed_at: self.calendar.date_of(now),
            intent: intent.clone(),
            code: request.code.to_byte(),
            options: request.option_records(),
            payload: request.payload.bytes().to_vec(),
            answer,
            failure,
        };
        outbox.changes.push(Change::PutOperation(Box::new(record)));
    }
}

/// How long the engine's own operations wait.
const OWN_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The Request-Tag of an operation's body, which is unique among the last four billion operations.
const fn tag_of(id: OperationId) -> u32 {
    id.0 as u32
}

fn end_event(id: OperationId, operation: &Operation, outcome: Result<Outcome, Failure>, outbox: &mut Outbox) {
    let endpoint = operation.endpoint.clone();
    let path = operation.transfer.request().path().into();
    outbox.events.push(Event::OperationEnded { id, endpoint, path, outcome });
}
