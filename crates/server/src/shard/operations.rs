//! The operations that wait for devices or are in progress, and their order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use buoy_coap::endpoint::Token;
use buoy_coap::time::Instant;
use hashbrown::HashMap;

use crate::observation::{Observation, ObservationId};
use crate::operation::{Durability, Intent, OperationId};
use crate::peer::Peer;
use crate::transfer::Transfer;

/// The operations that wait or are in progress.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pub(super) by_id: HashMap<OperationId, Operation>,
    /// For each device, its operations in order; the first may be in progress.
    pub(super) queues: HashMap<Arc<str>, VecDeque<OperationId>>,
    /// The deadlines of the operations that exist; an operation that ended has none.
    pub(super) deadlines: BTreeSet<(Instant, OperationId)>,
    pub(super) next_own: u64,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) endpoint: Arc<str>,
    pub(super) transfer: Transfer,
    pub(super) aim: Aim,
    /// The token of its first message, which is also the id of an observation that it starts.
    pub(super) token: Token,
    pub(super) progress: Progress,
    pub(super) durability: Durability,
    pub(super) created_at: Instant,
    pub(super) deadline: Instant,
}

/// What the answer is for.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// For the caller who submitted it.
    Asked(Intent),
    /// To resume an observation after the device registered again.
    Resume(Observation),
    /// It is the rest of a notification.
    Complete(ObservationId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    /// A message of it was sent and is not answered yet.
    Sent {
        peer: Peer,
        /// Whether it was first sent to this peer's address, so that an answer verifies that address.
        proves: bool,
    },
}

impl Operation {
    /// Whether a caller waits for its end.
    pub(super) fn is_impatient(&self) -> bool {
        self.durability == Durability::Transient
    }
}

impl Operations {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn insert(&mut self, id: OperationId, operation: Operation) {
        self.queues.entry(operation.endpoint.clone()).or_default().push_back(id);
        self.deadlines.insert((operation.deadline, id));
        self.by_id.insert(id, operation);
    }

    pub(super) fn remove(&mut self, id: OperationId) -> Option<Operation> {
        let operation = self.by_id.remove(&id)?;
        self.deadlines.remove(&(operation.deadline, id));
        if let Some(queue) = self.queues.get_mut(&operation.endpoint) {
            queue.retain(|other| *other != id);
            if queue.is_empty() {
                self.queues.remove(&operation.endpoint);
            }
        }
        Some(operation)
    }

    pub(super) fn get(&self, id: OperationId) -> Option<&Operation> {
        self.by_id.get(&id)
    }

    pub(super) fn first(&self, endpoint: &str) -> Option<OperationId> {
        self.queues.get(endpoint)?.front().copied()
    }

    /// Whether an operation that resumes this observation is already scheduled.
    pub(super) fn resumes(&self, endpoint: &str, observation: ObservationId) -> bool {
        let mut ids = self.queues.get(endpoint).into_iter().flatten();
        ids.any(|id| {
            let aim = self.by_id.get(id).map(|operation| &operation.aim);
            matches!(aim, Some(Aim::Resume(resumed)) if resumed.id == observation)
        })
    }

    /// The fetch of the rest of a notification that waits for its turn.
    pub(super) fn waiting_fetch(
        &mut self,
        endpoint: &str,
        observation: ObservationId,
    ) -> Option<&mut Operation> {
        let is_it = |operation: &Operation| {
            operation.progress == Progress::Waiting
                && matches!(operation.aim, Aim::Complete(completed) if completed == observation)
        };
        let mut ids = self.queues.get(endpoint).into_iter().flatten();
        let id = ids.find(|id| self.by_id.get(*id).is_some_and(is_it))?;
        self.by_id.get_mut(id)
    }

    /// Whether the operation in progress with a device began with that token.
    pub(super) fn has_under_way(&self, endpoint: &str, token: &[u8]) -> bool {
        let operation = self.first(endpoint).and_then(|id| self.by_id.get(&id));
        operation.is_some_and(|it| it.progress != Progress::Waiting && it.token.as_slice() == token)
    }

    pub(super) fn waiting_for(&self, endpoint: &str) -> usize {
        self.queues.get(endpoint).map_or(0, VecDeque::len)
    }
}
