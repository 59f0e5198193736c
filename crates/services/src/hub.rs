//! Delivers events to those who wait for them: the caller of an operation, the event streams, the updates.
//!
//! `publish` runs in the threads of the shards. There an event without a receiver is dropped before it costs anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buoy_fleet::interest::Interest;
use buoy_fleet::update::Update;
use buoy_net::clock::Clock;
use buoy_server::{BootstrapEvent, Event, Failure, OperationId, Outcome};
use tokio::sync::{mpsc, oneshot};

use crate::event_log::{AppEvent, EventLog};
use crate::notice::Notice;
use crate::updates::stages::{ENDS, state_name};

/// The number of locks for callers that wait for operations.
const STRIPES: usize = 16;
/// Events that may wait for the updates.
const UPDATES_BEHIND: usize = 1 << 16;
/// Events that may wait for the desired states.
const DESIRED_BEHIND: usize = 1 << 14;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Striped by id, so that callers of different operations don't wait for each other.
    waiters: Arc<[Mutex<HashMap<OperationId, Waiter>>; STRIPES]>,
    events: EventLog,
    clock: Clock,
    updates: mpsc::Sender<Arc<Event>>,
    jobs: mpsc::UnboundedSender<ForJobs>,
    desired: mpsc::Sender<Arc<Event>>,
    /// Whether there is any desired state.
    is_desired: Arc<AtomicBool>,
    interest: Arc<Interest>,
    /// How many updates ended in each way.
    outcomes: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// Who waits for an operation.
#[derive(Debug)]
enum Waiter {
    /// A caller.
    Caller {
        /// Taken when it has been used.
        answer: Option<oneshot::Sender<Progress>>,
        until: Until,
        /// Whether the caller was referred to the event with the answer.
        delayed: bool,
    },
    /// The jobs.
    Jobs,
}

/// The progress of an operation of a job, and when that was; milliseconds since the epoch.
pub(crate) type ForJobs = (OperationId, u64, Progress);

/// What the shards tell the updates and the jobs.
#[derive(Debug)]
pub(crate) struct Receivers {
    /// The events for the updates.
    pub(crate) updates: mpsc::Receiver<Arc<Event>>,
    /// The progress of the jobs' operations: there are never more of them than the jobs have under way.
    pub(crate) jobs: mpsc::UnboundedReceiver<ForJobs>,
    /// The contacts of devices, for their desired states.
    pub(crate) desired: mpsc::Receiver<Arc<Event>>,
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
    /// A hub, and what it tells the updates and the jobs.
    pub(crate) fn new(clock: Clock, keep_events: Duration) -> (Self, Receivers) {
        let (updates, for_updates) = mpsc::channel(UPDATES_BEHIND);
        let (jobs, for_jobs) = mpsc::unbounded_channel();
        let (desired, for_desired) = mpsc::channel(DESIRED_BEHIND);
        let hub = Self {
            waiters: Arc::default(),
            events: EventLog::new(clock, keep_events),
            clock,
            updates,
            jobs,
            desired,
            is_desired: Arc::default(),
            interest: Arc::default(),
            outcomes: Arc::default(),
        };
        (hub, Receivers { updates: for_updates, jobs: for_jobs, desired: for_desired })
    }

    /// Waits for an operation that is about to be submitted.
    pub fn expect(&self, id: OperationId, until: Until) -> oneshot::Receiver<Progress> {
        let (answer, receiver) = oneshot::channel();
        self.waiters(id).insert(id, Waiter::Caller { answer: Some(answer), until, delayed: false });
        receiver
    }

    /// Has the jobs told of an operation that is about to be submitted.
    pub(crate) fn expect_for_jobs(&self, id: OperationId) {
        self.waiters(id).insert(id, Waiter::Jobs);
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
        if update.has_ended() {
            *lock(&self.outcomes).entry(state_name(update.stage())).or_default() += 1;
        }
        self.events.append(|| AppEvent::Update(Arc::new(update.clone())));
    }

    /// How many updates ended since the start, by how they ended.
    #[must_use]
    pub fn update_outcomes(&self) -> Vec<(&'static str, u64)> {
        let outcomes = lock(&self.outcomes);
        ENDS.into_iter().map(|end| (end, outcomes.get(end).copied().unwrap_or_default())).collect()
    }

    /// Publishes a change of a campaign.
    pub fn tell_campaign(&self, event: buoy_api::Event) {
        self.events.append(|| AppEvent::Campaign(Arc::new(event)));
    }

    /// Publishes a change of a job.
    pub fn tell_job(&self, event: buoy_api::Event) {
        self.events.append(|| AppEvent::Job(Arc::new(event)));
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

    /// Whether the contacts of devices are wanted for their desired states.
    pub(crate) fn want_contacts(&self, is_wanted: bool) {
        self.is_desired.store(is_wanted, Ordering::Relaxed);
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
            let for_desired = self.is_desired.load(Ordering::Relaxed) && of_updates(&event).is_some();
            let for_streams = self.events.has_readers();
            if for_updates || for_desired || for_streams {
                let event = Arc::new(event);
                if for_desired {
                    // What is missed is found by the sweep.
                    let _ = self.desired.try_send(event.clone());
                }
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
        match self.waiters(id).remove(&id) {
            Some(Waiter::Caller { answer, delayed, .. }) => {
                if let Some(answer) = answer {
                    // The caller may have gone.
                    let _ = answer.send(Progress::Ended(outcome.clone()));
                }
                delayed
            }
            Some(Waiter::Jobs) => {
                // While the server stops there is no receiver.
                let _ = self.jobs.send((id, self.clock.date(), Progress::Ended(outcome.clone())));
                false
            }
            None => false,
        }
    }

    fn device_sleeps(&self, id: OperationId) {
        match self.waiters(id).get_mut(&id) {
            Some(Waiter::Caller { answer, until: Until::EndOrSleep, delayed }) => {
                *delayed = true;
                if let Some(answer) = answer.take() {
                    let _ = answer.send(Progress::Delayed);
                }
            }
            Some(Waiter::Jobs) => {
                let _ = self.jobs.send((id, self.clock.date(), Progress::Delayed));
            }
            _ => {}
        }
    }

    /// Refers the caller to the event with the end. `false` if the operation has ended.
    pub fn delay(&self, id: OperationId) -> bool {
        match self.waiters(id).get_mut(&id) {
            Some(Waiter::Caller { delayed, .. }) => {
                *delayed = true;
                true
            }
            Some(Waiter::Jobs) | None => false,
        }
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
