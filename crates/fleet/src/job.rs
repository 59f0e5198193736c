//! A job gives one command to many devices, and knows what became of it on each.
//!
//! 1. Its devices are fixed when it is made. A device gets the command when it can be reached, within the limits of the job.
//! 2. The operation on a device decides how it ended there. A command that may have been carried out is not repeated unless a person says so.
//! 3. A device that sleeps gets its operation when it wakes, and takes no place of another device meanwhile.
//! 4. Where an answer is not the end, as of a device that deletes its settings and restarts, the job waits for a further sign of the device.
//! 5. At its deadline the job gives up the devices that it has not reached, and calls those that gave no such sign not confirmed.
//!
//! The engine has no clock and does no I/O: [`Job::advance`] is called now and then with the time, and [`Outbox`] says what to save and what
//! to do after that. It does not know what the command is: that is text to it.

mod device;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use device::{ConfirmedBy, Counts, DeviceRecord, End, Stage};

/// The most operations that a job has under way.
pub const MOST_CONCURRENT: u32 = 10_000;
/// The most characters of a job's name.
const MOST_NAME: usize = 128;
/// The longest time for which a job goes on, in milliseconds: 90 days.
pub const LONGEST: u64 = 90 * 24 * 60 * 60 * 1000;
/// Devices that are looked at in one call.
const LOOKS: usize = 5_000;
/// How old an answer may be when it is told; milliseconds.
const ANSWER_AGE: u64 = 2_000;
/// A device that has not answered is tried again after this time; milliseconds.
const RETRY_AFTER: u64 = 60_000;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Which devices it was made for: a filter. The devices are those that it matched then.
    pub filter: String,
    /// The command, in the words of the interface.
    pub command: String,
    /// Whether a device may get the command twice without harm, as a Read.
    pub is_repeatable: bool,
    /// The most devices that are waited for at a time; those that sleep don't count.
    pub concurrent: u32,
    /// The most devices that get the command in a minute.
    pub per_minute: Option<u32>,
    /// How often a device that did not answer is tried again.
    pub retries: u8,
    /// When it gives up; milliseconds since the epoch.
    pub deadline: u64,
    /// By what else than its answer a device shows that it did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<ConfirmedBy>,
}

/// What is wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// Its name has not 1 to 128 characters without control characters.
    Name,
    /// A limit is 0, or too high.
    Limit,
    /// Its deadline has passed, or is too far away.
    Deadline,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(f, "\"name\" has 1 to {MOST_NAME} characters, and no control characters"),
            Self::Limit => {
                write!(f, "\"concurrent\" is 1 to {MOST_CONCURRENT}, and \"per_minute\" at least 1")
            }
            Self::Deadline => f.write_str("\"deadline\" is a time from now on, within 90 days"),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// Checks that it can be followed.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn check(&self, now: u64) -> Result<(), PlanError> {
        let characters = self.name.chars().count();
        if characters == 0 || characters > MOST_NAME || self.name.chars().any(char::is_control) {
            return Err(PlanError::Name);
        }
        if self.concurrent == 0 || self.concurrent > MOST_CONCURRENT || self.per_minute == Some(0) {
            return Err(PlanError::Limit);
        }
        if self.deadline <= now || self.deadline > now.saturating_add(LONGEST) {
            return Err(PlanError::Deadline);
        }
        Ok(())
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It gives its command to devices.
    Running,
    /// It was cancelled; some operations have not ended.
    Stopping,
    /// It has ended for each device.
    Done,
    /// It was cancelled.
    Cancelled,
}

impl State {
    /// Whether nothing more comes of it, unless a person says so.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A job does not take a command in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is in this state.
    State(State),
    /// No device of it has failed.
    NothingFailed,
    /// Its deadline has passed.
    Deadline,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "the job is {state}: that can't be done now"),
            Self::NothingFailed => f.write_str("no device of the job has failed"),
            Self::Deadline => f.write_str("the new deadline has passed, or is too far away"),
        }
    }
}

impl std::error::Error for Refused {}

/// What is saved of the job itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its id.
    pub id: u64,
    /// What is wanted.
    pub plan: Plan,
    /// Where it is.
    pub state: State,
    /// Who made it.
    pub author: String,
    /// Times in milliseconds since the epoch.
    pub created_at: u64,
    /// When it ended.
    pub ended_at: Option<u64>,
}

/// What a job asks for: first to save, then to do.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To save.
    pub facts: Option<Facts>,
    /// To save, of devices.
    pub devices: Vec<(Arc<str>, DeviceRecord)>,
    /// To give the command to: [`Job::started`] or [`Job::not_started`] tells what came of it.
    pub starts: Vec<Arc<str>>,
    /// Operations to cancel, with their devices.
    pub cancels: Vec<(Arc<str>, u64)>,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    facts: Facts,
    devices: Vec<(Arc<str>, DeviceRecord)>,
    by_name: HashMap<Arc<str>, u32>,
    counts: Counts,
    /// Where the search for the next device goes on.
    cursor: usize,
    /// Starts of the minute that began then.
    minute: (u64, u32),
    /// Where the search for devices to be confirmed goes on.
    confirming: usize,
}

impl Job {
    /// A new one. What is to be saved of its devices is in [`Job::devices`].
    #[must_use]
    pub fn new(id: u64, plan: Plan, author: &str, now: u64, devices: Vec<Arc<str>>) -> Self {
        let author = author.to_owned();
        let facts = Facts { id, plan, state: State::Running, author, created_at: now, ended_at: None };
        Self::restore(facts, devices.into_iter().map(|name| (name, DeviceRecord::default())))
    }

    /// As it was saved. What became of the operations of [`Job::under_way`] is told by [`Job::ended`] and [`Job::gone`].
    #[must_use]
    pub fn restore(facts: Facts, devices: impl IntoIterator<Item = (Arc<str>, DeviceRecord)>) -> Self {
        let (cursor, minute) = (0, (0, 0));
        let counts = Counts::default();
        let (devices_of, by_name) = (Vec::new(), HashMap::new());
        let mut job = Self { facts, devices: devices_of, by_name, counts, cursor, minute, confirming: 0 };
        for (name, record) in devices {
            job.counts.add(&record.stage);
            // There are never as many devices.
            let place = u32::try_from(job.devices.len()).unwrap_or(u32::MAX);
            job.by_name.insert(name.clone(), place);
            job.devices.push((name, record));
        }
        job
    }

    /// What is saved of it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many devices are where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Its devices, in the order in which they get the command.
    #[must_use]
    pub fn devices(&self) -> &[(Arc<str>, DeviceRecord)] {
        &self.devices
    }

    /// One device.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceRecord> {
        self.place(name).and_then(|place| self.devices.get(place)).map(|(_, record)| record)
    }

    /// The devices with an operation that has not ended, as far as it is known.
    pub fn under_way(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.devices.iter().filter_map(|(name, record)| Some((name, record.open_operation()?)))
    }

    /// Ends it: devices that have not got the command don't get it, and what is queued for others is cancelled.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn cancel(&mut self, now: u64, outbox: &mut Outbox) -> Result<(), Refused> {
        if self.facts.state != State::Running {
            return Err(Refused::State(self.facts.state));
        }
        self.facts.state = State::Stopping;
        for place in 0..self.devices.len() {
            let (name, record) = &self.devices[place];
            match record.stage {
                Stage::Waiting => self.set(place, Stage::Cancelled, outbox),
                Stage::Sent | Stage::Asleep => outbox.cancels.push((name.clone(), record.operation)),
                Stage::Confirming { .. } => {
                    self.set(place, not_confirmed("the job was cancelled"), outbox);
                }
                _ => {}
            }
        }
        outbox.facts = Some(self.facts.clone());
        self.end_if_nothing_is_left(now, outbox);
        Ok(())
    }

    /// Cancels what is still open of a job that was cancelled before a restart.
    pub fn cancel_again(&self, outbox: &mut Outbox) {
        if self.facts.state == State::Stopping {
            outbox.cancels.extend(self.under_way().map(|(name, operation)| (name.clone(), operation)));
        }
    }

    /// Gives the command again to the devices on which it failed, or which were not reached, until a new deadline. Returns how many they are.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn retry(&mut self, now: u64, deadline: u64, outbox: &mut Outbox) -> Result<u64, Refused> {
        if self.facts.state == State::Stopping {
            return Err(Refused::State(self.facts.state));
        }
        if deadline <= now || deadline > now.saturating_add(LONGEST) {
            return Err(Refused::Deadline);
        }
        let mut count = 0;
        for place in 0..self.devices.len() {
            if let Stage::Failed { .. } | Stage::NotReached { .. } | Stage::Cancelled =
                self.devices[place].1.stage
            {
                self.devices[place].1.attempts = 0;
                self.devices[place].1.not_before = now;
                self.set(place, Stage::Waiting, outbox);
                count += 1;
            }
        }
        if count == 0 {
            return Err(Refused::NothingFailed);
        }
        self.facts.plan.deadline = deadline;
        (self.facts.state, self.facts.ended_at) = (State::Running, None);
        outbox.facts = Some(self.facts.clone());
        Ok(count)
    }

    /// An operation of [`Outbox::starts`] was accepted. What is saved of that was saved with the operation.
    pub fn started(&mut self, name: &str, operation: u64) {
        let Some(place) = self.place(name).filter(|place| self.devices[*place].1.stage == Stage::Starting)
        else {
            return;
        };
        self.set(place, Stage::Sent, &mut Outbox::default());
        let record = &mut self.devices[place].1;
        *record = DeviceRecord::sent(operation, record.attempts, record.sent_at);
    }

    /// How a device whose operation is about to start is to be saved with it.
    #[must_use]
    pub fn record_when_started(&self, name: &str, operation: u64) -> DeviceRecord {
        let (attempts, at) = self.device(name).map_or((0, 0), |record| (record.attempts, record.sent_at));
        DeviceRecord::sent(operation, attempts, at)
    }

    /// A device of [`Outbox::starts`] could not be given the command: for good, or it can't be reached at the moment.
    pub fn not_started(&mut self, now: u64, name: &str, reason: String, is_final: bool, outbox: &mut Outbox) {
        let Some(place) = self.place(name).filter(|place| self.devices[*place].1.stage == Stage::Starting)
        else {
            return;
        };
        if is_final {
            self.set(place, Stage::Failed { reason }, outbox);
        } else {
            self.devices[place].1.not_before = now.saturating_add(RETRY_AFTER);
            self.set(place, Stage::Waiting, outbox);
        }
    }

    /// The device of an operation sleeps: it gets it when it wakes.
    pub fn asleep(&mut self, name: &str, operation: u64) {
        if let Some(place) = self.place_of(name, operation) {
            // After a restart it is told again.
            self.set(place, Stage::Asleep, &mut Outbox::default());
        }
    }

    /// An operation has ended, at a time that may be a while ago.
    pub fn ended(
        &mut self,
        now: u64,
        (name, operation): (&str, u64),
        (at, end): (u64, End),
        outbox: &mut Outbox,
    ) {
        let Some(place) = self.place_of(name, operation) else { return };
        let is_stopping = self.facts.state == State::Stopping;
        let is_to_be_confirmed = self.facts.plan.confirmed_by.is_some() && !is_stopping;
        let is_unsent = matches!(end, End::NotReached(_));
        let record = &mut self.devices[place].1;
        let stage = match end {
            // What comes after the answer counts; an answer may be a moment old.
            End::Succeeded(_) if is_to_be_confirmed => {
                Stage::Confirming { since: at.saturating_sub(ANSWER_AGE).max(record.sent_at) }
            }
            // It may have restarted at once, without an answer: that it has registered ended the operation.
            End::Left(_) if is_to_be_confirmed && !self.facts.plan.is_repeatable => {
                Stage::Confirming { since: record.sent_at }
            }
            // Had it registered since the command was sent, the operation had ended by that.
            End::NoAnswer(_) if is_to_be_confirmed && !self.facts.plan.is_repeatable => {
                Stage::Confirming { since: at.saturating_sub(ANSWER_AGE).max(record.sent_at) }
            }
            End::Succeeded(answer) => Stage::Succeeded { answer },
            End::Refused(reason) => Stage::Failed { reason },
            End::Cancelled => Stage::Cancelled,
            _ if is_stopping => Stage::Cancelled,
            End::NotReached(_) | End::Left(_)
                if now < self.facts.plan.deadline && (is_unsent || self.facts.plan.is_repeatable) =>
            {
                record.attempts = record.attempts.saturating_sub(1);
                record.not_before = now.saturating_add(RETRY_AFTER);
                Stage::Waiting
            }
            End::NotReached(reason) => Stage::NotReached { reason },
            End::Left(reason) if self.facts.plan.is_repeatable => Stage::NotReached { reason },
            End::NoAnswer(_)
                if self.facts.plan.is_repeatable && record.attempts <= self.facts.plan.retries =>
            {
                record.not_before = now.saturating_add(RETRY_AFTER);
                Stage::Waiting
            }
            End::NoAnswer(reason) if self.facts.plan.is_repeatable => Stage::Failed { reason },
            End::NoAnswer(reason) | End::Left(reason) => {
                Stage::Failed { reason: format!("not confirmed, it may have been carried out: {reason}") }
            }
        };
        self.set(place, stage, outbox);
        self.end_if_nothing_is_left(now, outbox);
    }

    /// Devices that are to be confirmed, with the time after which a sign counts: a part of them, and others at the next call.
    pub fn to_be_confirmed(&mut self, most: usize) -> Vec<(Arc<str>, u64)> {
        let mut found = Vec::new();
        if self.counts.confirming == 0 {
            return found;
        }
        for _ in 0..LOOKS.min(self.devices.len()) {
            if found.len() == most {
                break;
            }
            let place = self.confirming % self.devices.len();
            self.confirming = place + 1;
            let (name, record) = &self.devices[place];
            if let Stage::Confirming { since } = record.stage {
                found.push((name.clone(), since));
            }
        }
        found
    }

    /// A device has given the sign.
    pub fn confirmed(&mut self, now: u64, name: &str, sign: String, outbox: &mut Outbox) {
        let is_open =
            |job: &Self, place: &usize| matches!(job.devices[*place].1.stage, Stage::Confirming { .. });
        let Some(place) = self.place(name).filter(|place| is_open(self, place)) else { return };
        self.set(place, Stage::Succeeded { answer: sign }, outbox);
        self.end_if_nothing_is_left(now, outbox);
    }

    /// Nobody knows the operation: the server stopped before it was saved. So the device never got it.
    pub fn gone(&mut self, now: u64, name: &str, operation: u64, outbox: &mut Outbox) {
        let Some(place) = self.place_of(name, operation) else { return };
        let is_stopping = self.facts.state == State::Stopping;
        self.set(place, if is_stopping { Stage::Cancelled } else { Stage::Waiting }, outbox);
        self.end_if_nothing_is_left(now, outbox);
    }

    /// Goes on: gives the command to devices that can be reached, gives up at the deadline, ends.
    pub fn advance(&mut self, now: u64, can_be_reached: &dyn Fn(&str) -> bool, outbox: &mut Outbox) {
        if self.facts.state == State::Running {
            if now >= self.facts.plan.deadline {
                self.give_up(outbox);
            } else {
                self.start_some(now, can_be_reached, outbox);
            }
        }
        self.end_if_nothing_is_left(now, outbox);
    }

    fn give_up(&mut self, outbox: &mut Outbox) {
        for place in 0..self.devices.len() {
            if self.devices[place].1.stage == Stage::Waiting {
                let reason = "it could not be reached before the deadline".to_owned();
                self.set(place, Stage::NotReached { reason }, outbox);
            } else if matches!(self.devices[place].1.stage, Stage::Confirming { .. }) {
                self.set(place, not_confirmed("there was no further sign before the deadline"), outbox);
            }
        }
    }

    fn start_some(&mut self, now: u64, can_be_reached: &dyn Fn(&str) -> bool, outbox: &mut Outbox) {
        if self.minute.0.saturating_add(60_000) <= now {
            self.minute = (now, 0);
        }
        let of_minute =
            self.facts.plan.per_minute.map_or(u32::MAX, |most| most.saturating_sub(self.minute.1));
        let places = u64::from(self.facts.plan.concurrent).saturating_sub(self.counts.sent);
        let mut room = places.min(u64::from(of_minute));
        if self.counts.waiting == 0 {
            return;
        }
        for _ in 0..LOOKS.min(self.devices.len()) {
            if room == 0 {
                return;
            }
            let place = self.cursor % self.devices.len();
            self.cursor = place + 1;
            let (name, record) = &mut self.devices[place];
            if record.stage == Stage::Waiting && record.not_before <= now && can_be_reached(name) {
                outbox.starts.push(name.clone());
                record.attempts = record.attempts.saturating_add(1);
                record.sent_at = now;
                // It is saved with its operation.
                self.set(place, Stage::Starting, &mut Outbox::default());
                self.minute.1 += 1;
                room -= 1;
            }
        }
    }

    fn end_if_nothing_is_left(&mut self, now: u64, outbox: &mut Outbox) {
        if self.facts.state.has_ended() || self.counts.open() > 0 {
            return;
        }
        self.facts.state = if self.facts.state == State::Stopping { State::Cancelled } else { State::Done };
        self.facts.ended_at = Some(now);
        outbox.facts = Some(self.facts.clone());
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|place| *place as usize)
    }

    fn place_of(&self, name: &str, operation: u64) -> Option<usize> {
        self.place(name).filter(|place| self.devices[*place].1.open_operation() == Some(operation))
    }

    fn set(&mut self, place: usize, stage: Stage, outbox: &mut Outbox) {
        let (name, record) = &mut self.devices[place];
        self.counts.remove(&record.stage);
        self.counts.add(&stage);
        record.stage = stage;
        outbox.devices.push((name.clone(), record.clone()));
    }
}

/// The device may have done it.
fn not_confirmed(why: &str) -> Stage {
    Stage::Failed { reason: format!("not confirmed, it may have been carried out: {why}") }
}

#[cfg(test)]
mod tests;
