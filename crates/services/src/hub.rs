//! Where events meet those who wait for them: the caller of one operation, the event streams, the updates.
//!
//! `publish` runs in the threads of the shards. An event that nobody waits for is dropped there, before it costs anything. While
//! somebody follows the stream, and for a while after, the last events are kept, so that a reader whose connection broke goes on where
//! it was.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use buoy_fleet::interest::Interest;
use buoy_fleet::update::Update;
use buoy_net::clock::Clock;
use buoy_server::{BootstrapEvent, Event, Failure, OperationId, Outcome};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::notices::Notice;

/// Events that a slow reader of a stream may be behind, and that are kept for one who comes back.
const BACKLOG: usize = 8192;
/// Events that the updates may be behind.
const UPDATES_BEHIND: usize = 1 << 16;
/// How long events are kept after the last reader has gone.
const MEMORY: Duration = Duration::from_secs(300);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    waiters: Arc<Mutex<HashMap<OperationId, Waiter>>>,
    stream: broadcast::Sender<Numbered>,
    log: Arc<Mutex<Log>>,
    updates: mpsc::Sender<Arc<Event>>,
    interest: Arc<Interest>,
    clock: Clock,
    /// Whether events are kept for a reader who left.
    remembers: Arc<AtomicBool>,
}

/// Who waits for an operation.
#[derive(Debug)]
struct Waiter {
    /// Used up once the caller knows enough.
    answer: Option<oneshot::Sender<Progress>>,
    until: Until,
    /// The caller was told that the answer will come as an event.
    delayed: bool,
}

/// How long somebody waits for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until its end.
    End,
    /// Until its end, unless the device sleeps.
    EndOrSleep,
}

/// An event of the stream.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Numbers count from one, without a gap.
    pub number: u64,
    /// When it was told, in milliseconds since the epoch.
    pub at: u64,
    /// What.
    pub event: AppEvent,
}

/// The last events.
#[derive(Debug, Default)]
struct Log {
    last: u64,
    kept: VecDeque<Numbered>,
    /// When the last reader was seen.
    read_at: Option<Instant>,
}

/// Something that a stream of events may tell.
#[derive(Clone, Debug)]
pub enum AppEvent {
    /// Of a device.
    Device(Arc<Event>),
    /// An operation ended whose caller was told to wait for this.
    Delayed(Arc<Event>),
    /// A firmware update went on.
    Update(Arc<Update>),
    /// A device was, or wants to be, configured.
    Bootstrap(Arc<BootstrapEvent>),
    /// Something of a device's reports could not be kept.
    Notice(Arc<Notice>),
}

/// A reader's place in the stream.
#[derive(Debug)]
pub struct Subscription {
    /// What was missed meanwhile and is still kept.
    pub kept: Vec<Numbered>,
    /// Whether more was missed than is kept.
    pub has_gap: bool,
    /// The number of the last event before those that come from now on.
    pub before: u64,
    /// What comes from now on.
    pub live: broadcast::Receiver<Numbered>,
}

/// What became of an operation.
#[derive(Debug)]
pub enum Progress {
    /// It waits for the device to wake, and its end will come as an event.
    Delayed,
    /// It ended.
    Ended(Result<Outcome, Failure>),
}

impl Hub {
    /// A hub, and the events that updates want to know.
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Arc<Event>>) {
        let (updates, for_updates) = mpsc::channel(UPDATES_BEHIND);
        let hub = Self {
            waiters: Arc::default(),
            stream: broadcast::channel(BACKLOG).0,
            log: Arc::default(),
            updates,
            interest: Arc::default(),
            clock,
            remembers: Arc::default(),
        };
        (hub, for_updates)
    }

    /// Waits for an operation that is about to be submitted.
    pub fn expect(&self, id: OperationId, until: Until) -> oneshot::Receiver<Progress> {
        let (answer, receiver) = oneshot::channel();
        lock(&self.waiters).insert(id, Waiter { answer: Some(answer), until, delayed: false });
        receiver
    }

    /// Nothing will come of an operation; who waits for it is told so by the end of the channel.
    pub fn forget(&self, id: OperationId) {
        lock(&self.waiters).remove(&id);
    }

    /// All events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Numbered> {
        self.stream.subscribe()
    }

    /// All events after number `last`, as far as they are kept, and from now on.
    pub fn subscribe_after(&self, last: Option<u64>) -> Subscription {
        let mut log = lock(&self.log);
        log.read_at = Some(Instant::now());
        let live = self.stream.subscribe();
        let before = log.last;
        let Some(last) = last else {
            return Subscription { kept: Vec::new(), has_gap: false, before, live };
        };
        let kept: Vec<_> = log.kept.iter().filter(|it| it.number > last).cloned().collect();
        let first = kept.first().map_or(log.last + 1, |it| it.number);
        Subscription { has_gap: last > log.last || first > last + 1, kept, before, live }
    }

    /// Tells that a firmware update went on.
    pub fn tell_update(&self, update: &Update) {
        self.tell(|| AppEvent::Update(Arc::new(update.clone())));
    }

    /// Tells what happened at the bootstrap port.
    pub fn publish_bootstrap(&self, event: BootstrapEvent) {
        self.tell(|| AppEvent::Bootstrap(Arc::new(event)));
    }

    /// Tells what could not be kept of a device's reports.
    pub fn publish_notice(&self, notice: Notice) {
        self.tell(|| AppEvent::Notice(Arc::new(notice)));
    }

    /// Whose events the updates want.
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// Hands events on.
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
            let for_streams = self.has_readers();
            if for_updates || for_streams {
                let event = Arc::new(event);
                if for_updates {
                    // Updates that are so far behind read what they have missed; at the stop nobody is left to listen.
                    let _ = self.updates.try_send(event.clone());
                }
                self.tell(|| if delayed { AppEvent::Delayed(event) } else { AppEvent::Device(event) });
            }
        }
    }

    /// Numbers an event, keeps it, and sends it to all readers; nothing if there are none.
    fn tell(&self, event: impl FnOnce() -> AppEvent) {
        if !self.has_readers() {
            return;
        }
        let mut log = lock(&self.log);
        log.last += 1;
        let numbered = Numbered { number: log.last, at: self.clock.now().as_millis(), event: event() };
        if log.kept.len() == BACKLOG {
            log.kept.pop_front();
        }
        log.kept.push_back(numbered.clone());
        // The last reader may just have gone. Sent under the lock, so that all readers see one order.
        let _ = self.stream.send(numbered);
    }

    /// Whether somebody reads the stream, or did so a moment ago and may come back.
    fn has_readers(&self) -> bool {
        if self.stream.receiver_count() > 0 {
            return true;
        }
        if !self.remembers.load(Ordering::Relaxed) {
            return false;
        }
        let mut log = lock(&self.log);
        let is_recent = log.read_at.is_some_and(|at| at.elapsed() < MEMORY);
        if !is_recent {
            log.kept.clear();
            // A number that nobody gets: who comes back later sees the gap.
            log.last += 1;
            self.remembers.store(false, Ordering::Relaxed);
        }
        is_recent
    }

    /// A reader has gone, and may come back.
    pub fn left(&self) {
        lock(&self.log).read_at = Some(Instant::now());
        self.remembers.store(true, Ordering::Relaxed);
    }

    /// Says whether the caller was told that the end would come as an event.
    fn ended(&self, id: OperationId, outcome: &Result<Outcome, Failure>) -> bool {
        let Some(waiter) = lock(&self.waiters).remove(&id) else { return false };
        if let Some(answer) = waiter.answer {
            // The caller may have gone.
            let _ = answer.send(Progress::Ended(outcome.clone()));
        }
        waiter.delayed
    }

    fn device_sleeps(&self, id: OperationId) {
        let mut waiters = lock(&self.waiters);
        let Some(waiter) = waiters.get_mut(&id).filter(|waiter| waiter.until == Until::EndOrSleep) else {
            return;
        };
        waiter.delayed = true;
        if let Some(answer) = waiter.answer.take() {
            let _ = answer.send(Progress::Delayed);
        }
    }

    /// The caller is told that the end will come as an event. False if the operation has ended.
    pub fn delay(&self, id: OperationId) -> bool {
        let mut waiters = lock(&self.waiters);
        let waiter = waiters.get_mut(&id);
        waiter.map(|waiter| waiter.delayed = true).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device of an event that an update may want.
fn of_updates(event: &Event) -> Option<&str> {
    match event {
        Event::Registered { registration, .. } | Event::Updated { registration, .. } => {
            Some(&registration.endpoint)
        }
        Event::Reported(report) => Some(&report.endpoint),
        _ => None,
    }
}
