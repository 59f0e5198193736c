//! Where events meet those who wait for them: the caller of one operation, the event streams, the updates.
//!
//! `publish` runs in the threads of the shards. An event that nobody waits for is dropped there, before it costs anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use buoy_server::{Event, Failure, OperationId, Outcome};
use tokio::sync::{broadcast, mpsc};

/// Events that a slow reader of a stream may be behind.
const BACKLOG: usize = 8192;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    waiters: Arc<Mutex<HashMap<OperationId, Waiter>>>,
    stream: broadcast::Sender<AppEvent>,
    updates: mpsc::UnboundedSender<Arc<Event>>,
    open_updates: Arc<AtomicUsize>,
}

/// Who waits for an operation, and how far it has come.
#[derive(Debug)]
struct Waiter {
    progress: mpsc::UnboundedSender<Progress>,
    /// The caller was told that the answer will come as an event.
    delayed: bool,
}

/// Something that a stream of events may tell.
#[derive(Clone, Debug)]
pub(crate) enum AppEvent {
    /// Of a device.
    Device(Arc<Event>),
    /// An operation ended whose caller was told to wait for this.
    Delayed(Arc<Event>),
}

/// How an operation goes on.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It waits for the device to wake.
    Queued,
    /// It ended.
    Ended(Result<Outcome, Failure>),
}

impl Hub {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Arc<Event>>) {
        let (updates, for_updates) = mpsc::unbounded_channel();
        let hub = Self {
            waiters: Arc::default(),
            stream: broadcast::channel(BACKLOG).0,
            updates,
            open_updates: Arc::default(),
        };
        (hub, for_updates)
    }

    /// Waits for an operation that is about to be submitted.
    pub(crate) fn expect(&self, id: OperationId) -> mpsc::UnboundedReceiver<Progress> {
        let (progress, receiver) = mpsc::unbounded_channel();
        self.lock().insert(id, Waiter { progress, delayed: false });
        receiver
    }

    /// All events from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<AppEvent> {
        self.stream.subscribe()
    }

    /// Tells how many updates want to know of their devices.
    pub(crate) fn set_open_updates(&self, count: usize) {
        self.open_updates.store(count, Ordering::Relaxed);
    }

    /// Hands events on.
    pub(crate) fn publish(&self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            let delayed = match &event {
                Event::OperationEnded { id, outcome, .. } => self.ended(*id, outcome),
                Event::OperationQueued(id) => self.queued(*id),
                _ => false,
            };
            let for_updates = self.open_updates.load(Ordering::Relaxed) > 0 && concerns_updates(&event);
            let for_streams = self.stream.receiver_count() > 0;
            if for_updates || for_streams {
                let event = Arc::new(event);
                // Nobody may be left to listen.
                if for_updates {
                    let _ = self.updates.send(event.clone());
                }
                if for_streams {
                    let _ = self.stream.send(if delayed {
                        AppEvent::Delayed(event)
                    } else {
                        AppEvent::Device(event)
                    });
                }
            }
        }
    }

    /// Says whether the caller was told that the end would come as an event.
    fn ended(&self, id: OperationId, outcome: &Result<Outcome, Failure>) -> bool {
        let Some(waiter) = self.lock().remove(&id) else { return false };
        // The caller may have gone.
        let _ = waiter.progress.send(Progress::Ended(outcome.clone()));
        waiter.delayed
    }

    fn queued(&self, id: OperationId) -> bool {
        if let Some(waiter) = self.lock().get_mut(&id) {
            waiter.delayed = true;
            let _ = waiter.progress.send(Progress::Queued);
        }
        false
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn concerns_updates(event: &Event) -> bool {
    matches!(event, Event::Registered { .. } | Event::Updated { .. } | Event::Reported(_))
}
