//! Delivers events to those who wait for them: the caller of an operation, the event streams, the updates.
//!
//! `publish` runs in the threads of the shards. There an event without a receiver is dropped before it costs anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoy_fleet::interest::Interest;
use buoy_fleet::update::Update;
use buoy_net::clock::Clock;
use buoy_server::{BootstrapEvent, Event, Failure, OperationId, Outcome};
use tokio::sync::{mpsc, oneshot};

use crate::event_log::{AppEvent, EventLog};
use crate::notice::Notice;

/// The number of locks for callers that wait for operations.
const STRIPES: usize = 16;
/// Events that may wait for the updates.
const UPDATES_BEHIND: usize = 1 << 16;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Striped by id, so that callers of different operations don't wait for each other.
    waiters: Arc<[Mutex<HashMap<OperationId, Waiter>>; STRIPES]>,
    events: EventLog,
    updates: mpsc::Sender<Arc<Event>>,
    interest: Arc<Interest>,
}

/// A caller that waits for an operation.
#[derive(Debug)]
struct Waiter {
    /// Taken when it has been used.
    answer: Option<oneshot::Sender<Progress>>,
    until: Until,
    /// Whether the caller was referred to the event with the answer.
    delayed: bool,
}

/// How long a caller waits for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until its end.
    End,
    /// Until its end, unless the device sleeps.
    EndOrSleep,
}

/// The progress of an operation.
#[derive(Debug)]
pub enum Progress {
    /// It waits for the device to wake; an event will report its end.
    Delayed,
    /// It ended.
    Ended(Result<Outcome, Failure>),
}

impl Hub {
    /// A hub, and the events for the updates.
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Arc<Event>>) {
        let (updates, for_updates) = mpsc::channel(UPDATES_BEHIND);
        let hub =
            Self { waiters: Arc::default(), events: EventLog::new(clock), updates, interest: Arc::default() };
        (hub, for_updates)
    }

    /// Waits for an operation that is about to be submitted.
    pub fn expect(&self, id: OperationId, until: Until) -> oneshot::Receiver<Progress> {
        let (answer, receiver) = oneshot::channel();
        self.waiters(id).insert(id, Waiter { answer: Some(answer), until, delayed: false });
        receiver
    }

    fn waiters(&self, id: OperationId) -> MutexGuard<'_, HashMap<OperationId, Waiter>> {
        // Ids are consecutive.
        lock(&self.waiters[(id.0 % STRIPES as u64) as usize])
    }

    /// Drops the waiter of an operation that will have no result; the closed channel notifies it.
    pub fn forget(&self, id: OperationId) {
        self.waiters(id).remove(&id);
    }

    /// The events, for those who follow them.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// Publishes a change of a firmware update.
    pub fn tell_update(&self, update: &Update) {
        self.events.append(|| AppEvent::Update(Arc::new(update.clone())));
    }

    /// Publishes a change of a campaign.
    pub fn tell_campaign(&self, event: buoy_api::Event) {
        self.events.append(|| AppEvent::Campaign(Arc::new(event)));
    }

    /// Publishes a change of an alert.
    pub fn tell_alert(&self, event: buoy_api::Event) {
        self.events.append(|| AppEvent::Alert(Arc::new(event)));
    }

    /// Publishes an event of the bootstrap port.
    pub fn publish_bootstrap(&self, event: BootstrapEvent) {
        self.events.append(|| AppEvent::Bootstrap(Arc::new(event)));
    }

    /// Publishes a notice about a device's reports.
    pub fn publish_notice(&self, notice: Notice) {
        self.events.append(|| AppEvent::Notice(Arc::new(notice)));
    }

    /// The devices whose events the updates need.
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// Delivers events.
    pub fn publish(&self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            let delayed = match &event {
                Event::OperationEnded { id, outcome, .. } => self.ended(*id, outcome),
                Event::OperationQueued { id, asleep: true, .. } => {
                    self.device_sleeps(*id);
                    false
                }
                _ => false,
            };
            let for_updates = of_updates(&event).is_some_and(|endpoint| self.interest.may_want(endpoint));
            let for_streams = self.events.has_readers();
            if for_updates || for_streams {
                let event = Arc::new(event);
                if for_updates {
                    // If the updates are that far behind, they read the state of their devices later; while the server stops there is no receiver.
                    let _ = self.updates.try_send(event.clone());
                }
                self.events
                    .append(|| if delayed { AppEvent::Delayed(event) } else { AppEvent::Device(event) });
            }
        }
    }

    /// Returns whether the caller was referred to the event with the end.
    fn ended(&self, id: OperationId, outcome: &Result<Outcome, Failure>) -> bool {
        let Some(waiter) = self.waiters(id).remove(&id) else { return false };
        if let Some(answer) = waiter.answer {
            // The caller may have gone.
            let _ = answer.send(Progress::Ended(outcome.clone()));
        }
        waiter.delayed
    }

    fn device_sleeps(&self, id: OperationId) {
        let mut waiters = self.waiters(id);
        let Some(waiter) = waiters.get_mut(&id).filter(|waiter| waiter.until == Until::EndOrSleep) else {
            return;
        };
        waiter.delayed = true;
        if let Some(answer) = waiter.answer.take() {
            let _ = answer.send(Progress::Delayed);
        }
    }

    /// Refers the caller to the event with the end. `false` if the operation has ended.
    pub fn delay(&self, id: OperationId) -> bool {
        let mut waiters = self.waiters(id);
        let waiter = waiters.get_mut(&id);
        waiter.map(|waiter| waiter.delayed = true).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device of an event that an update may need.
fn of_updates(event: &Event) -> Option<&str> {
    match event {
        Event::Registered { registration, .. } | Event::Updated { registration, .. } => {
            Some(&registration.endpoint)
        }
        Event::Reported(report) => Some(&report.endpoint),
        _ => None,
    }
}
