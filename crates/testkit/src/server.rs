//! The shell of a server shard, with its store in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::number::Code;
use buoy_coap::time::Instant;
use buoy_server::{
    Body, Change, Downlink, Durability, Event, Failure, Intent, OperationId, OperationRecord, OperationState,
    Outbox, Outcome, Peer, RegistrationKey, Report, Shard, ShardConfig, Submission, Unclaimed,
};

/// A shard and what it had made durable.
#[derive(Debug)]
pub struct Server {
    /// The engine.
    pub shard: Shard<Unclaimed>,
    /// For calls into the engine; [`Server::settle`] does what it says.
    pub outbox: Outbox,
    /// What survives.
    pub store: Store,
    /// What was told, since the last start.
    pub events: Vec<Event>,
    /// How long a commit takes.
    pub commit_time: Duration,
    /// Whether nothing reaches it.
    pub unreachable: bool,
    config: ShardConfig,
    committing: VecDeque<(Instant, Outbox)>,
    files: Vec<(String, Body)>,
    starts: u8,
}

/// What survives the server.
#[derive(Debug, Default)]
pub struct Store {
    /// Records by key.
    pub registrations: BTreeMap<u64, Vec<u8>>,
    /// By id.
    pub operations: BTreeMap<u64, OperationRecord>,
    /// In the order in which they came.
    pub reports: Vec<Report>,
}

impl Server {
    /// A server with an empty store that commits in no time.
    #[must_use]
    pub fn new(config: ShardConfig) -> Self {
        Self {
            shard: Shard::new(0, config, Unclaimed, [7; 32]),
            outbox: Outbox::default(),
            store: Store::default(),
            events: Vec::new(),
            commit_time: Duration::ZERO,
            unreachable: false,
            config,
            committing: VecDeque::new(),
            files: Vec::new(),
            starts: 7,
        }
    }

    /// Kills the server and starts it again: what was not committed yet is lost, and its datagrams were never sent.
    pub fn restart(&mut self, now: Instant) -> Vec<(Peer, Vec<u8>)> {
        self.starts += 1;
        self.shard = Shard::new(0, self.config, Unclaimed, [self.starts; 32]);
        self.outbox.clear();
        self.committing.clear();
        self.events.clear();
        for (key, record) in &self.store.registrations {
            self.shard
                .restore(now, RegistrationKey(*key), record, &mut self.outbox)
                .expect("a record of our own");
        }
        for operation in self.store.operations.values() {
            if matches!(operation.state, OperationState::Queued | OperationState::Sent) {
                self.shard.restore_operation(now, operation.clone(), &mut self.outbox);
            }
        }
        for (path, body) in &self.files {
            self.shard.set_file(path, Some(body.clone()));
        }
        self.settle(now)
    }

    /// Offers a file, also after a restart.
    pub fn offer(&mut self, path: &str, body: &[u8]) {
        let body = Body::new(body.to_vec());
        self.shard.set_file(path, Some(body.clone()));
        self.files.push((path.to_owned(), body));
    }

    /// Hands an operation to the engine; it may be carried out within the next hour.
    pub fn submit(
        &mut self,
        now: Instant,
        (id, endpoint): (u64, &str),
        request: Downlink,
        intent: Intent,
        durability: Durability,
    ) {
        let deadline = now + Duration::from_secs(3600);
        let endpoint: Arc<str> = endpoint.into();
        let submission = Submission { id: OperationId(id), endpoint, request, intent, deadline, durability };
        self.shard.submit(now, submission, &mut self.outbox);
    }

    /// Commits what is to be saved, then tells what is to be told, and returns what is to be sent: some of it later, by
    /// another call, if a commit takes time.
    pub fn settle(&mut self, now: Instant) -> Vec<(Peer, Vec<u8>)> {
        self.shard.flush(now, &mut self.outbox);
        let outbox = std::mem::take(&mut self.outbox);
        if !outbox.is_empty() {
            let wait = if outbox.changes.is_empty() { Duration::ZERO } else { self.commit_time };
            let last = self.committing.back().map_or(now, |(at, _)| *at);
            self.committing.push_back((last.max(now + wait), outbox));
        }
        let mut sent = Vec::new();
        while self.committing.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, outbox)) = self.committing.pop_front() else { break };
            sent.extend(self.release(outbox));
        }
        sent
    }

    fn release(&mut self, mut outbox: Outbox) -> Vec<(Peer, Vec<u8>)> {
        for change in &outbox.changes {
            match change {
                Change::PutRegistration { key, record } => {
                    self.store.registrations.insert(key.0, outbox.record(record).to_vec());
                }
                Change::RemoveRegistration { key } => {
                    self.store.registrations.remove(&key.0);
                }
                Change::PutOperation(record) => {
                    self.store.operations.insert(record.id.0, (**record).clone());
                }
                Change::PutReport(report) => self.store.reports.push((**report).clone()),
                // Made by a shell with DTLS, and this is none.
                Change::PutSession { .. } | Change::RemoveSession { .. } => {}
            }
        }
        self.events.append(&mut outbox.events);
        outbox.datagrams().map(|(peer, bytes)| (peer, bytes.to_vec())).collect()
    }

    /// When [`Server::handle_timeout`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let committed = self.committing.front().map(|(at, _)| *at);
        self.shard.next_deadline().into_iter().chain(committed).min()
    }

    /// Does what is due; [`Server::settle`] follows.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.shard.next_deadline().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, &mut self.outbox);
        }
    }

    /// How an operation ended, if it has.
    #[must_use]
    pub fn outcome(&self, id: u64) -> Option<&Result<Outcome, Failure>> {
        self.events.iter().find_map(|event| match event {
            Event::OperationEnded { id: ended, outcome, .. } if ended.0 == id => Some(outcome),
            _ => None,
        })
    }

    /// The code that an operation ended with.
    #[must_use]
    pub fn outcome_code(&self, id: u64) -> Option<Result<Code, Failure>> {
        self.outcome(id).map(|outcome| outcome.as_ref().map(|reply| reply.code).map_err(|failure| *failure))
    }
}
