//! All open firmware updates, in the shape of a shard: events and the time go in, an [`Outbox`] comes out.
//!
//! The driver makes the records durable, all of a batch in one commit, and only then submits the operations and tells the progress. So
//! after a kill no device was told to do what the store doesn't know of. An event of a device that has no update costs one look into an
//! index and no memory; a timer costs O(log n).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use buoy_time::{Calendar, Instant};

use crate::update::{Answer, Change, End, Goal, Input, Patience, Step, Update, UpdateRecord, Value};

/// The open updates of a server.
#[derive(Debug)]
pub struct Updates {
    open: HashMap<u64, Open>,
    by_endpoint: HashMap<Arc<str>, u64>,
    timers: BTreeSet<(u64, u64)>,
    next_id: u64,
    steps: Vec<Step>,
    /// What is saved and told is dated by it.
    calendar: Calendar,
    /// The calendar by which all records of open updates are dated.
    saved_by: Calendar,
}

/// By so many milliseconds the dates of open updates may be wrong in their records: a clock that is corrected bit by bit must not have all
/// of them written over and over.
const DATES_MAY_DIFFER: u64 = 1000;

#[derive(Debug)]
struct Open {
    update: Update,
    /// Its place among the timers.
    due: Option<u64>,
    /// What the outbox is to say of it.
    change: Change,
}

/// What the driver is to do: first the records, then the rest.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be made durable before anything else.
    pub records: Vec<UpdateRecord>,
    /// To be submitted, and withdrawn, in this order.
    pub operations: Vec<Operation>,
    /// Updates that have come to another stage, each as it is now.
    pub progress: Vec<Update>,
    /// Open updates whose records are to be made.
    changed: Vec<u64>,
}

impl Outbox {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.operations.is_empty()
            && self.progress.is_empty()
            && self.changed.is_empty()
    }
}

/// An operation on a device, for an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The update.
    pub update: u64,
    /// The device.
    pub endpoint: Arc<str>,
    /// What is to be done. The answer comes back as [`Event::Answered`].
    pub step: Step,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A device registered.
    Registered(&'a str),
    /// A device updated its registration.
    Contact(&'a str),
    /// A device notified a value.
    Said(&'a str, Value<'a>),
    /// An operation ended.
    Answered {
        /// Of this update.
        update: u64,
        /// The token of [`Step::Submit`].
        token: u64,
        /// How.
        answer: Answer<'a>,
    },
}

/// Another update of the device is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyOpen(pub u64);

impl Updates {
    /// No updates; the next one gets the id after `last_id`.
    #[must_use]
    pub fn new(last_id: u64) -> Self {
        Self {
            open: HashMap::new(),
            by_endpoint: HashMap::new(),
            timers: BTreeSet::new(),
            next_id: last_id.saturating_add(1),
            steps: Vec::new(),
            calendar: Calendar::default(),
            saved_by: Calendar::default(),
        }
    }

    /// How the calendar stands to the time that is passed in. When it was set, the records of all open updates are made anew.
    pub fn set_calendar(&mut self, now: u64, calendar: Calendar, outbox: &mut Outbox) {
        self.calendar = calendar;
        let date = |calendar: Calendar| calendar.date_of(Instant::from_millis(now));
        if date(calendar).abs_diff(date(self.saved_by)) <= DATES_MAY_DIFFER {
            return;
        }
        self.saved_by = calendar;
        let mut open: Vec<u64> = self.open.keys().copied().collect();
        open.sort_unstable();
        for id in open {
            if let Some(open) = self.open.get_mut(&id) {
                open.update.touch();
                self.after(id, outbox);
            }
        }
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The open update of a device.
    #[must_use]
    pub fn cares_for(&self, endpoint: &str) -> Option<u64> {
        self.by_endpoint.get(endpoint).copied()
    }

    /// An open update.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Update> {
        self.open.get(&id).map(|open| &open.update)
    }

    /// Starts the update of a device, and says its id.
    ///
    /// # Errors
    /// [`AlreadyOpen`] with the id of the one that is open.
    pub fn start(
        &mut self,
        now: u64,
        endpoint: &Arc<str>,
        goal: Goal,
        patience: Patience,
        outbox: &mut Outbox,
    ) -> Result<u64, AlreadyOpen> {
        if let Some(id) = self.cares_for(endpoint) {
            return Err(AlreadyOpen(id));
        }
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        let update = Update::start(now, id, endpoint.clone(), goal, patience, &mut self.steps);
        self.insert(update, outbox);
        Ok(id)
    }

    /// Cancels an open update. Says whether it was open.
    pub fn cancel(&mut self, now: u64, id: u64, outbox: &mut Outbox) -> bool {
        let was_open = self.open.contains_key(&id);
        self.input(now, id, Input::Cancel, outbox);
        was_open
    }

    /// Takes an open update up again after a restart; the calendar is to be set before. One whose record cannot be read ends with that reason.
    pub fn restore(&mut self, now: u64, record: &UpdateRecord, outbox: &mut Outbox) {
        self.next_id = self.next_id.max(record.id.saturating_add(1));
        match Update::restore(record) {
            // It was saved as open by mistake.
            Some(update) if update.has_ended() => {
                outbox.records.push(update.record());
                outbox.progress.push(update);
            }
            Some(update) => {
                let mut update = update.undated(self.calendar);
                update.resume(now, &mut self.steps);
                self.insert(update, outbox);
            }
            None => {
                let update = Update::of_damaged_record(now, record).dated(self.calendar);
                outbox.records.push(update.record());
                outbox.progress.push(update);
            }
        }
    }

    /// Takes an event. Those of devices that have no update are passed over.
    pub fn handle_event(&mut self, now: u64, event: &Event<'_>, outbox: &mut Outbox) {
        let (id, input) = match *event {
            Event::Registered(endpoint) => (self.cares_for(endpoint), Input::Registered),
            Event::Contact(endpoint) => (self.cares_for(endpoint), Input::Contact),
            Event::Said(endpoint, value) => (self.cares_for(endpoint), Input::Said(value)),
            Event::Answered { update, token, answer } => (Some(update), Input::Answered(token, answer)),
        };
        if let Some(id) = id {
            self.input(now, id, input, outbox);
        }
    }

    /// When [`Updates::handle_timeout`] is due, in the time that is passed in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The time has come: does what is due, at most `limit` updates, so that a batch stays a batch.
    pub fn handle_timeout(&mut self, now: u64, limit: usize, outbox: &mut Outbox) {
        for _ in 0..limit {
            let Some((_, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) else { return };
            self.input(now, id, Input::Timeout, outbox);
        }
    }

    /// Ends a batch: makes the records of what has changed, each update's once.
    pub fn end_batch(&mut self, outbox: &mut Outbox) {
        for id in std::mem::take(&mut outbox.changed) {
            let Some(open) = self.open.get_mut(&id) else { continue };
            let update = open.update.dated(self.calendar);
            outbox.records.push(update.record());
            if std::mem::take(&mut open.change) == Change::Stage {
                outbox.progress.push(update);
            }
        }
    }

    fn input(&mut self, now: u64, id: u64, input: Input<'_>, outbox: &mut Outbox) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.update.handle(now, input, &mut self.steps);
        self.after(id, outbox);
    }

    fn insert(&mut self, update: Update, outbox: &mut Outbox) {
        let id = update.id();
        self.by_endpoint.insert(update.endpoint().clone(), id);
        self.open.insert(id, Open { update, due: None, change: Change::None });
        self.after(id, outbox);
    }

    /// Hands out what an update wants, and sets its timer.
    fn after(&mut self, id: u64, outbox: &mut Outbox) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let endpoint = open.update.endpoint();
        let operations = self.steps.drain(..);
        outbox.operations.extend(operations.map(|step| Operation {
            update: id,
            endpoint: endpoint.clone(),
            step,
        }));
        let due = open.update.deadline();
        if open.due != due {
            if let Some(at) = open.due.take() {
                self.timers.remove(&(at, id));
            }
            self.timers.extend(due.map(|at| (at, id)));
            open.due = due;
        }
        let before = open.change;
        open.change = before.max(open.update.take_change());
        if open.update.has_ended() {
            self.remove(id, outbox);
        } else if before == Change::None && open.change != Change::None {
            outbox.changed.push(id);
        }
    }

    fn remove(&mut self, id: u64, outbox: &mut Outbox) {
        let Some(Open { update, .. }) = self.open.remove(&id) else { return };
        self.by_endpoint.remove(update.endpoint());
        let update = update.dated(self.calendar);
        outbox.records.push(update.record());
        outbox.progress.push(update);
    }
}

impl Update {
    /// What is left of an update whose record cannot be read.
    fn of_damaged_record(now: u64, record: &UpdateRecord) -> Self {
        let reason = "its record in the store cannot be read; start it again".into();
        Self::ended(now, record.id, record.endpoint.as_str().into(), End::Failed { reason })
    }
}
