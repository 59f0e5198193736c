//! A campaign brings one release to many devices, wave by wave.
//!
//! 1. The devices are dealt into waves: by a filter, a number, or a part of all. Who is early is decided by a hash, not by name.
//! 2. A wave is open when all waves before it have passed their gates. Its devices are updated as they can be reached, within the limits.
//! 3. A gate is passed when enough devices of the wave have confirmed the release and have stayed healthy for a while, and, if it is wanted, when
//!    a person says so.
//! 4. When too many devices fail, the campaign pauses itself and says why. Updates that are under way go on.
//!
//! The campaign decides nothing about a device: an update that ended says what the device runs ([`update::End`](crate::update::End)). A device that went back to its old image
//! is not tried again unless a person says so. The engine has no clock and does no I/O: [`Campaign::advance`] is called now and then with
//! the time, and [`Outbox`] says what to save and what to do after that.

mod back;
mod device;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use device::{Counts, DeviceRecord, Failure, Stage};
pub use plan::{Deferral, Gate, OnStop, Plan, PlanError, Release, RetryRule, StopRule, Wave, Window};

use crate::update::End;

/// Entries of its log that a campaign keeps.
const MOST_EVENTS: usize = 200;
/// Devices that are looked at in one call.
const LOOKS: usize = 5_000;

/// A campaign.
#[derive(Debug)]
pub struct Campaign {
    facts: Facts,
    devices: Vec<Device>,
    by_name: HashMap<Arc<str>, u32>,
    /// Of each wave.
    counts: Vec<Counts>,
    /// Where the search for the next device goes on.
    cursor: usize,
    /// Starts of the minute that began then.
    minute: (u64, u32),
    /// Whether the answer to a question about the health of devices is to come.
    asked_health: bool,
    /// Whether the facts have to be saved.
    is_changed: bool,
}

#[derive(Debug)]
struct Device {
    name: Arc<str>,
    record: DeviceRecord,
}

/// What is saved of the campaign itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its id.
    pub id: u64,
    /// What was planned.
    pub plan: Plan,
    /// Where it is.
    pub state: State,
    /// Why it is there, in words.
    pub reason: String,
    /// The wave that is open, from 0; all before it have passed.
    pub wave: usize,
    /// Since when enough devices of the open wave have confirmed the release.
    pub enough_since: Option<u64>,
    /// Whether the open wave's devices were found healthy.
    pub is_healthy: bool,
    /// Whether a person has approved the open wave.
    pub is_approved: bool,
    /// Failures that a person has seen and gone on from: the stop rule counts those beyond them.
    #[serde(default)]
    pub forgiven: u64,
    /// It has stopped itself, and puts the updated devices of the open wave back on the version before.
    #[serde(default)]
    pub puts_back: bool,
    /// Who made it, or changed it last.
    pub author: String,
    /// Who said yes to its start.
    pub approvals: Vec<String>,
    /// Times in milliseconds since the epoch.
    pub created_at: u64,
    /// When it started.
    pub started_at: Option<u64>,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// What happened, the oldest first.
    pub events: Vec<Event>,
}

/// Something that happened in a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub at: u64,
    /// What, in words.
    pub text: String,
}

/// Where a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can be changed, and does nothing.
    Draft,
    /// It starts at a time.
    Scheduled,
    /// Its devices are being dealt into waves.
    Preparing,
    /// It updates devices.
    Running,
    /// It starts no updates.
    Paused,
    /// It was aborted; some updates are still under way.
    Stopping,
    /// Nothing more comes of it.
    Done,
    /// It was aborted.
    Aborted,
}

impl State {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Aborted)
    }
}

/// Whether the update of a device may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It may.
    Now,
    /// The device can't be reached.
    Unreachable,
    /// Not before a time, in milliseconds since the epoch, and why.
    At(u64, String),
    /// The device is not to be updated, and why.
    Never(String),
}

/// What is to be saved, and to be done when it is.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The campaign's facts.
    pub facts: Option<Facts>,
    /// Records of devices.
    pub devices: Vec<(Arc<str>, DeviceRecord)>,
    /// Devices to update; each is answered by [`Campaign::update_started`] or [`Campaign::update_refused`].
    pub starts: Vec<Arc<str>>,
    /// Devices to put back on a version; each is answered by [`Campaign::back_started`], [`Campaign::back_refused`] or [`Campaign::stays`].
    pub backs: Vec<(Arc<str>, String)>,
    /// Updates to cancel.
    pub cancels: Vec<u64>,
    /// Devices whose health is asked for; answered by [`Campaign::health`].
    pub health: Option<Vec<Arc<str>>>,
}

impl Outbox {
    /// Whether there is nothing to save and nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { facts, devices, starts, backs, cancels, health } = self;
        let orders_nothing = starts.is_empty() && backs.is_empty() && cancels.is_empty() && health.is_none();
        facts.is_none() && devices.is_empty() && orders_nothing
    }
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The campaign is in a state in which this has no meaning.
    State(State),
    /// The author of a campaign can't approve it where two persons have to agree.
    SamePerson,
    /// Nothing waits for an approval.
    NothingToApprove,
    /// Two persons have to agree to a release, and another one was not agreed to.
    NeedsApproval,
    /// Its deadline has passed.
    Deadline,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::State(state) => write!(f, "the campaign is {}; that can't be done now", state.name()),
            Self::SamePerson => {
                f.write_str("two persons have to agree; somebody else than the author has to approve it")
            }
            Self::NothingToApprove => f.write_str("nothing waits for an approval"),
            Self::NeedsApproval => f.write_str(
                "two persons have to agree to each release of this campaign; make a new one for the other release",
            ),
            Self::Deadline => f.write_str("the deadline of the campaign has passed; make a new one"),
        }
    }
}

impl std::error::Error for Refused {}

impl Campaign {
    /// A new one.
    #[must_use]
    pub fn new(id: u64, plan: Plan, author: &str, now: u64) -> Self {
        let facts = Facts {
            id,
            plan,
            state: State::Draft,
            reason: String::new(),
            wave: 0,
            enough_since: None,
            is_healthy: false,
            is_approved: false,
            forgiven: 0,
            puts_back: false,
            author: author.to_owned(),
            approvals: Vec::new(),
            created_at: now,
            started_at: None,
            ended_at: None,
            events: Vec::new(),
        };
        let mut campaign = Self::of(facts);
        campaign.note(now, format!("made by {author}"));
        campaign
    }

    fn of(facts: Facts) -> Self {
        Self {
            counts: vec![Counts::default(); facts.plan.waves.len()],
            facts,
            devices: Vec::new(),
            by_name: HashMap::new(),
            cursor: 0,
            minute: (0, 0),
            asked_health: false,
            is_changed: false,
        }
    }

    /// As it was saved. What a device of an update that was ordered says is looked up by the caller: [`Campaign::under_way`].
    #[must_use]
    pub fn restore(facts: Facts, devices: impl IntoIterator<Item = (Arc<str>, DeviceRecord)>) -> Self {
        let mut campaign = Self::of(facts);
        devices.into_iter().for_each(|(name, record)| campaign.insert(name, record));
        campaign
    }

    /// What is saved of it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many devices are where, wave by wave.
    #[must_use]
    pub fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = (&Arc<str>, &DeviceRecord)> {
        self.devices.iter().map(|device| (&device.name, &device.record))
    }

    /// One device.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceRecord> {
        let place = *self.by_name.get(name)?;
        self.devices.get(place as usize).map(|device| &device.record)
    }

    /// The devices of which an update is under way, or was ordered.
    pub fn under_way(&self) -> impl Iterator<Item = (&Arc<str>, &DeviceRecord)> {
        let all = self.devices.iter().filter(|device| {
            matches!(
                device.record.stage,
                Stage::Ordered | Stage::Updating { .. } | Stage::Superseded | Stage::GoingBack { .. }
            )
        });
        all.map(|device| (&device.name, &device.record))
    }

    /// The updates that are under way, as far as their ids are known.
    fn open_updates(&self) -> impl Iterator<Item = u64> {
        self.devices.iter().filter_map(|device| match device.record.stage {
            Stage::Updating { update } | Stage::GoingBack { update: Some(update), .. } => Some(update),
            _ => None,
        })
    }

    /// Replaces the plan of a draft. Who does is its author from now on.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn replace_plan(&mut self, now: u64, who: &str, plan: Plan) -> Result<(), Refused> {
        self.require(&[State::Draft, State::Scheduled])?;
        self.counts = vec![Counts::default(); plan.waves.len()];
        self.facts.plan = plan;
        who.clone_into(&mut self.facts.author);
        self.facts.approvals.clear();
        self.facts.state = State::Draft;
        self.note(now, format!("changed by {who}"));
        Ok(())
    }

    /// Starts it, at its time if it has one. Where two persons have to agree, it waits for the other one. Whether its devices are to be
    /// dealt now: [`Campaign::deal`].
    ///
    /// # Errors
    /// [`Refused`]
    pub fn start(&mut self, now: u64, who: &str) -> Result<bool, Refused> {
        self.require(&[State::Draft, State::Scheduled])?;
        self.require_time(now)?;
        let facts = &mut self.facts;
        if !facts.approvals.iter().any(|name| name == who) {
            facts.approvals.push(who.to_owned());
        }
        if facts.plan.needs_approval && !facts.approvals.iter().any(|name| *name != facts.author) {
            facts.state = State::Scheduled;
            facts.reason = "waits for the approval of a second person".to_owned();
            self.note(now, format!("started by {who}; waits for the approval of a second person"));
            return Ok(false);
        }
        if facts.plan.start_at.is_some_and(|at| at > now) {
            facts.state = State::Scheduled;
            facts.reason = "waits for its time".to_owned();
            self.note(now, format!("scheduled by {who}"));
            return Ok(false);
        }
        self.prepare(now, &format!("started by {who}"));
        Ok(true)
    }

    fn prepare(&mut self, now: u64, how: &str) {
        self.facts.state = State::Preparing;
        self.facts.reason.clear();
        self.note(now, how.to_owned());
    }

    /// Whether its time to start has come.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        let facts = &self.facts;
        let is_agreed =
            !facts.plan.needs_approval || facts.approvals.iter().any(|name| *name != facts.author);
        let is_asked_for = !facts.approvals.is_empty();
        facts.state == State::Scheduled
            && is_agreed
            && is_asked_for
            && facts.plan.start_at.is_none_or(|at| at <= now)
    }

    /// Its devices could not be found: it is a draft again.
    pub fn can_not_prepare(&mut self, now: u64, reason: &str) {
        if self.facts.state == State::Preparing {
            self.facts.state = State::Draft;
            self.facts.approvals.clear();
            self.facts.reason = format!("it could not start: {reason}");
            self.note(now, format!("could not start: {reason}"));
        }
    }

    /// Begins to deal the devices of one whose time has come.
    pub fn begin(&mut self, now: u64) {
        self.prepare(now, "its time has come");
    }

    /// Deals devices into waves: `firsts` are the devices of the waves that have a filter, by wave. Their records are to be saved before
    /// [`Campaign::run`].
    pub fn deal(&mut self, names: Vec<Arc<str>>, firsts: &[Vec<Arc<str>>]) -> Vec<(Arc<str>, DeviceRecord)> {
        self.devices.clear();
        self.by_name.clear();
        self.counts.iter_mut().for_each(|counts| *counts = Counts::default());
        let waves = plan::deal(&self.facts.plan, self.facts.id, names, firsts);
        for (wave, names) in waves.into_iter().enumerate() {
            for name in names {
                self.insert(name, DeviceRecord::waiting(wave));
            }
        }
        self.devices.iter().map(|device| (device.name.clone(), device.record.clone())).collect()
    }

    /// Runs, now that all devices are saved.
    pub fn run(&mut self, now: u64) {
        if self.facts.state == State::Preparing {
            self.facts.state = State::Running;
            self.facts.started_at.get_or_insert(now);
            let count = self.devices.len();
            self.note(now, format!("runs, with {count} devices in {} waves", self.counts.len()));
        }
    }

    /// Devices that match the target now; those that are new are put into the last wave.
    pub fn grow(&mut self, now: u64, names: Vec<Arc<str>>, outbox: &mut Outbox) {
        if !self.facts.plan.is_growing || self.facts.state != State::Running {
            return;
        }
        let wave = self.counts.len().saturating_sub(1);
        let new: Vec<_> = names.into_iter().filter(|name| !self.by_name.contains_key(name)).collect();
        if !new.is_empty() {
            self.note(now, format!("{} devices joined", new.len()));
        }
        for name in new {
            let record = DeviceRecord::waiting(wave);
            outbox.devices.push((name.clone(), record.clone()));
            self.insert(name, record);
        }
    }

    fn insert(&mut self, name: Arc<str>, record: DeviceRecord) {
        if let Some(counts) = self.counts.get_mut(record.wave) {
            counts.add(&record.stage);
        }
        self.by_name.insert(name.clone(), self.devices.len() as u32);
        self.devices.push(Device { name, record });
    }

    /// A person approves: the start where two have to agree, or the gate of the open wave. Whether its devices are to be dealt now.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn approve(&mut self, now: u64, who: &str) -> Result<bool, Refused> {
        match self.facts.state {
            State::Scheduled if self.facts.plan.needs_approval => {
                if who == self.facts.author {
                    return Err(Refused::SamePerson);
                }
                self.start(now, who)
            }
            State::Running | State::Paused => {
                let wave = self.facts.wave;
                // There is something to approve when the devices of the wave are as they have to be.
                if !self.awaits_approval() {
                    return Err(Refused::NothingToApprove);
                }
                self.facts.is_approved = true;
                self.note(now, format!("wave {} approved by {who}", wave + 1));
                Ok(false)
            }
            state => Err(Refused::State(state)),
        }
    }

    /// Whether it goes on when a person approves: its start, or the gate of its open wave.
    #[must_use]
    pub fn awaits_approval(&self) -> bool {
        let facts = &self.facts;
        match facts.state {
            State::Scheduled => {
                facts.plan.needs_approval && !facts.approvals.iter().any(|name| *name != facts.author)
            }
            State::Running | State::Paused => {
                let gate = facts.plan.waves.get(facts.wave).map(|wave| &wave.gate);
                let is_last = facts.wave + 1 >= facts.plan.waves.len();
                gate.is_some_and(|gate| gate.is_manual) && !is_last && facts.is_healthy && !facts.is_approved
            }
            _ => false,
        }
    }

    /// Starts no more updates.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn pause(&mut self, now: u64, who: &str) -> Result<(), Refused> {
        self.require(&[State::Running])?;
        self.pause_because(now, format!("paused by {who}"));
        Ok(())
    }

    /// The same for a reason that is no person's.
    pub fn pause_because(&mut self, now: u64, reason: String) {
        self.asked_health = false;
        self.facts.state = State::Paused;
        self.facts.reason.clone_from(&reason);
        self.note(now, reason);
    }

    /// Goes on; with another release from the first wave on, for all devices.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn resume(
        &mut self,
        now: u64,
        who: &str,
        release: Option<Release>,
        outbox: &mut Outbox,
    ) -> Result<(), Refused> {
        self.require(&[State::Paused])?;
        if release.is_some() && self.facts.plan.needs_approval {
            return Err(Refused::NeedsApproval);
        }
        let version = release.as_ref().map(|release| release.version.clone());
        if let Some(release) = release {
            self.facts.plan.release = release;
            self.facts.wave = 0;
            (self.facts.is_approved, self.facts.is_healthy) = (false, false);
            for place in 0..self.devices.len() {
                // The update that is under way is to another release.
                let stage = match self.devices[place].record.stage {
                    Stage::Updating { update } | Stage::GoingBack { update: Some(update), .. } => {
                        outbox.cancels.push(update);
                        Stage::Superseded
                    }
                    Stage::Ordered | Stage::Superseded | Stage::GoingBack { update: None, .. } => {
                        Stage::Superseded
                    }
                    _ => Stage::Waiting,
                };
                let record = &mut self.devices[place].record;
                (record.attempts, record.stays) = (0, false);
                self.set(place, stage, outbox);
            }
        }
        self.go_back_no_more(outbox);
        // What was a reason to pause is none any more: only what fails from now on counts.
        self.facts.enough_since = None;
        self.facts.state = State::Running;
        self.facts.reason.clear();
        self.facts.forgiven = self.total().failed;
        self.note(
            now,
            match version {
                Some(version) => format!("resumed by {who} with {version}"),
                None => format!("resumed by {who}"),
            },
        );
        Ok(())
    }

    /// Tries the devices again that failed, those that went back included. How many there are.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn retry(&mut self, now: u64, who: &str, outbox: &mut Outbox) -> Result<usize, Refused> {
        self.require(&[State::Running, State::Paused, State::Done])?;
        self.require_time(now)?;
        let mut count = 0;
        for place in 0..self.devices.len() {
            if matches!(self.devices[place].record.stage, Stage::Failed { .. } | Stage::Skipped { .. }) {
                self.devices[place].record.attempts = 0;
                self.set(place, Stage::Waiting, outbox);
                count += 1;
            }
        }
        self.facts.forgiven = self.facts.forgiven.min(self.total().failed);
        if count > 0 && self.facts.state == State::Done {
            self.facts.state = State::Running;
            self.facts.ended_at = None;
        }
        self.note(now, format!("{count} devices tried again by {who}"));
        Ok(count)
    }

    /// Ends it. Updates that are under way are cancelled; a device that has the image already may still start it.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn abort(&mut self, now: u64, who: &str, outbox: &mut Outbox) -> Result<(), Refused> {
        if self.facts.state.has_ended() || self.facts.state == State::Stopping {
            return Err(Refused::State(self.facts.state));
        }
        outbox.cancels.extend(self.open_updates());
        self.facts.state = State::Stopping;
        self.facts.reason = format!("aborted by {who}");
        self.note(now, format!("aborted by {who}"));
        self.end_if_nothing_is_left(now, outbox);
        Ok(())
    }

    /// The update of a device was started.
    pub fn update_started(&mut self, name: &str, update: u64, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        match self.devices[place].record.stage {
            Stage::Ordered => {
                self.devices[place].record.last_update = update;
                self.set(place, Stage::Updating { update }, outbox);
            }
            // The release has changed meanwhile.
            Stage::Superseded => outbox.cancels.push(update),
            _ => {}
        }
    }

    /// The update of a device could not be started, since it can't be reached, or another update is open: it is tried again later.
    pub fn update_refused(&mut self, now: u64, name: &str, reason: &str, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        if matches!(self.devices[place].record.stage, Stage::Ordered | Stage::Superseded) {
            self.devices[place].record.not_before = now + RETRY_AFTER;
            reason.clone_into(&mut self.devices[place].record.note);
            self.set(place, Stage::Waiting, outbox);
        }
    }

    /// Nothing is known of the update of a device any more: it waits again.
    pub fn update_gone(&mut self, name: &str, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        match self.devices[place].record.stage {
            Stage::Ordered | Stage::Updating { .. } | Stage::Superseded => {
                self.set(place, Stage::Waiting, outbox);
            }
            Stage::GoingBack { at, .. } => self.set(place, Stage::Confirmed { at }, outbox),
            _ => {}
        }
    }

    /// The server has started again: what was to be cancelled is cancelled now.
    pub fn cancel_again(&self, outbox: &mut Outbox) {
        if self.facts.state == State::Stopping {
            outbox.cancels.extend(self.open_updates());
        }
    }

    /// The update of a device ended: the device's own word.
    pub fn update_ended(&mut self, now: u64, name: &str, update: u64, end: &End, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        if matches!(self.devices[place].record.stage, Stage::GoingBack { .. }) {
            return self.back_ended(place, update, end, outbox);
        }
        let record = &mut self.devices[place].record;
        match record.stage {
            Stage::Updating { update: known } if known == update => {}
            // Its start was saved, and not that it had a number.
            Stage::Ordered if update > record.last_update => record.last_update = update,
            Stage::Superseded => {
                record.note.clear();
                return self.set(place, Stage::Waiting, outbox);
            }
            _ => return,
        }
        record.attempts = record.attempts.saturating_add(1);
        record.note.clear();
        let attempts = record.attempts;
        let stage = match end {
            End::Updated => Stage::Confirmed { at: now },
            End::AlreadyRunning => Stage::HadIt,
            End::Cancelled if self.facts.state == State::Stopping => {
                Stage::Skipped { reason: "the campaign was aborted".to_owned() }
            }
            other => {
                let failure = Failure::of(other);
                let detail = crate::update::Stage::Ended(other.clone()).to_string();
                match self.facts.plan.retry_of(failure, attempts) {
                    Some(after) => {
                        let record = &mut self.devices[place].record;
                        record.not_before = now.saturating_add(after);
                        record.note = detail;
                        Stage::Waiting
                    }
                    None => Stage::Failed { failure, detail },
                }
            }
        };
        self.set(place, stage, outbox);
    }

    /// Which of the devices whose health was asked for are not healthy, and why.
    pub fn health(&mut self, now: u64, unhealthy: Vec<(Arc<str>, String)>, outbox: &mut Outbox) {
        if !std::mem::take(&mut self.asked_health) {
            return;
        }
        for (name, reason) in unhealthy {
            if let Some(place) = self.place(&name)
                && matches!(self.devices[place].record.stage, Stage::Confirmed { .. } | Stage::HadIt)
            {
                let stage = Stage::Failed { failure: Failure::Unhealthy, detail: reason };
                self.set(place, stage, outbox);
            }
        }
        self.facts.is_healthy = self.has_enough();
        if self.facts.is_healthy {
            self.is_changed = true;
        } else {
            // It has to be enough again, and for as long.
            self.facts.enough_since = None;
        }
        self.advance(now, &|_| Ready::Unreachable, outbox);
    }

    /// Goes on: starts updates of devices that can be reached, passes gates, ends.
    pub fn advance(&mut self, now: u64, ready: &dyn Fn(&str) -> Ready, outbox: &mut Outbox) {
        if self.facts.state == State::Running {
            self.stop_if_too_many_failed(now);
        }
        if self.facts.state == State::Running {
            self.give_up_at_deadline(now, outbox);
            self.pass_gates(now, outbox);
            self.start_some(now, ready, outbox);
            self.stop_if_wave_can_not_pass(now);
        }
        if self.facts.state == State::Paused && self.facts.puts_back {
            self.put_some_back(now, ready, outbox);
        }
        self.end_if_nothing_is_left(now, outbox);
        if std::mem::take(&mut self.is_changed) {
            outbox.facts = Some(self.facts.clone());
        }
    }

    /// When [`Campaign::advance`] has something to do if nothing happens to its devices until then.
    #[must_use]
    pub fn next_timeout(&self, now: u64) -> Option<u64> {
        if self.facts.state != State::Running {
            return None;
        }
        let soak = self.facts.plan.waves.get(self.facts.wave).map_or(0, |wave| wave.gate.soak);
        let soaked = self.facts.enough_since.map(|since| since.saturating_add(soak.saturating_mul(1000)));
        let waiting = self
            .devices
            .iter()
            .filter(|device| device.record.stage == Stage::Waiting && device.record.wave <= self.facts.wave);
        let again = waiting.map(|device| device.record.not_before).filter(|at| *at > now).min();
        let limit = self.facts.plan.per_minute.filter(|most| self.minute.1 >= *most);
        let minute = limit.map(|_| self.minute.0.saturating_add(60_000));
        let times = [soaked, again, minute, self.facts.plan.deadline];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    fn stop_if_too_many_failed(&mut self, now: u64) {
        let total = self.total();
        let rule = &self.facts.plan.stop;
        let failed = total.failed.saturating_sub(self.facts.forgiven);
        if let Some(reason) = rule.reason(failed, total.confirmed) {
            self.stop_itself(now, reason);
        }
    }

    /// A wave whose devices have all ended, too few of them well, would be waited for in vain.
    fn stop_if_wave_can_not_pass(&mut self, now: u64) {
        let wave = self.facts.wave;
        let Some(counts) = self.counts.get(wave).copied().filter(|_| wave + 1 < self.counts.len()) else {
            return;
        };
        if counts.waiting > 0 || counts.updating > 0 || self.has_enough() {
            return;
        }
        let (run_it, of) = (counts.confirmed + counts.had_it, counts.all() - counts.skipped);
        let success = self.facts.plan.waves[wave].gate.success;
        let reason = format!(
            "stopped itself: wave {} can't pass, since {run_it} of its {of} devices run the release and {success} % have to",
            wave + 1
        );
        self.stop_itself(now, reason);
    }

    fn stop_itself(&mut self, now: u64, reason: String) {
        self.pause_because(now, reason);
        if self.facts.plan.on_stop == OnStop::RollBack {
            self.facts.puts_back = true;
            let wave = self.facts.wave + 1;
            self.note(now, format!("puts the updated devices of wave {wave} back on the version before"));
        }
    }

    /// How many devices are where, in all waves.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.counts.iter().for_each(|counts| total.add_all(counts));
        total
    }

    /// Whether enough devices of the open wave run the release.
    fn has_enough(&self) -> bool {
        let (Some(counts), Some(wave)) =
            (self.counts.get(self.facts.wave), self.facts.plan.waves.get(self.facts.wave))
        else {
            return false;
        };
        let of = counts.all() - counts.skipped;
        let mut needed = (of as f64 * wave.gate.success / 100.0).ceil() as u64;
        if wave.gate.success > 0.0 && counts.skipped > 0 {
            // A wave whose devices were all left out shows nothing.
            needed = needed.max(1);
        }
        counts.confirmed + counts.had_it >= needed
    }

    fn pass_gates(&mut self, now: u64, outbox: &mut Outbox) {
        // The last wave has nothing behind it.
        while self.facts.wave + 1 < self.counts.len() {
            if !self.has_enough() {
                if self.facts.enough_since.take().is_some() {
                    self.is_changed = true;
                }
                return;
            }
            if self.may_still_stop() {
                self.wait_because(format!(
                    "wave {} waits for devices that are still updating: if they failed, the campaign would stop",
                    self.facts.wave + 1
                ));
                return;
            }
            let gate = self.facts.plan.waves[self.facts.wave].gate.clone();
            if self.facts.enough_since.is_none() {
                (self.facts.enough_since, self.facts.is_healthy) = (Some(now), false);
                self.facts.reason.clear();
                self.is_changed = true;
            }
            let since = self.facts.enough_since.unwrap_or(now);
            if now < since.saturating_add(gate.soak.saturating_mul(1000)) {
                return;
            }
            if !self.facts.is_healthy {
                if !self.asked_health {
                    self.asked_health = true;
                    outbox.health = Some(self.confirmed_of_wave(self.facts.wave));
                }
                return;
            }
            if gate.is_manual && !self.facts.is_approved {
                let reason = format!("wave {} waits for a person's approval", self.facts.wave + 1);
                if self.wait_because(reason.clone()) {
                    self.note(now, reason);
                }
                return;
            }
            self.facts.reason.clear();
            self.note(now, format!("wave {} has passed", self.facts.wave + 1));
            self.facts.wave += 1;
            self.cursor = 0;
            (self.facts.enough_since, self.facts.is_healthy, self.facts.is_approved) = (None, false, false);
        }
    }

    /// Whether the stop rule would apply if all that are still updating failed. A wave of which many were quick to succeed does not open the next one
    /// while those that crash have not come back yet.
    fn may_still_stop(&self) -> bool {
        let total = self.total();
        let failed = total.failed.saturating_sub(self.facts.forgiven) + total.updating;
        self.facts.plan.stop.reason(failed, total.confirmed).is_some()
    }

    /// Says what the open wave waits for; tells whether that is new.
    fn wait_because(&mut self, reason: String) -> bool {
        let is_new = self.facts.reason != reason;
        if is_new {
            self.facts.reason = reason;
            self.is_changed = true;
        }
        is_new
    }

    fn confirmed_of_wave(&self, wave: usize) -> Vec<Arc<str>> {
        let is_wanted = |device: &&Device| {
            device.record.wave == wave
                && matches!(device.record.stage, Stage::Confirmed { .. } | Stage::HadIt)
        };
        self.devices.iter().filter(is_wanted).map(|device| device.name.clone()).collect()
    }

    /// Devices that [`Campaign::advance`] would ask for next, at most `most`: for who has to look something up before it knows whether they are [`Ready`].
    #[must_use]
    pub fn candidates(&self, now: u64, is_reachable: &dyn Fn(&str) -> bool, most: usize) -> Vec<Arc<str>> {
        if self.facts.state != State::Running || self.devices.is_empty() {
            return Vec::new();
        }
        let (behind, ahead) = self.devices.split_at(self.cursor % self.devices.len());
        let is_next = |Device { name, record }: &&Device| {
            record.wave <= self.facts.wave
                && record.stage == Stage::Waiting
                && record.not_before <= now
                && is_reachable(name)
        };
        let looked_at = ahead.iter().chain(behind).take(LOOKS);
        looked_at.filter(is_next).take(most).map(|device| device.name.clone()).collect()
    }

    fn start_some(&mut self, now: u64, ready: &dyn Fn(&str) -> Ready, outbox: &mut Outbox) {
        if self.minute.0 + 60_000 <= now {
            self.minute = (now, 0);
        }
        let total = self.total();
        let mut room = u64::from(self.facts.plan.concurrent).saturating_sub(total.updating);
        let per_minute = self.facts.plan.per_minute.map_or(u32::MAX, |most| most);
        room = room.min(u64::from(per_minute.saturating_sub(self.minute.1)));
        if self.devices.is_empty() || total.waiting == 0 {
            return;
        }
        for _ in 0..LOOKS.min(self.devices.len()) {
            if room == 0 {
                return;
            }
            let place = self.cursor % self.devices.len();
            self.cursor = place + 1;
            let Device { name, record } = &mut self.devices[place];
            if record.wave > self.facts.wave || record.stage != Stage::Waiting || record.not_before > now {
                continue;
            }
            match ready(name) {
                Ready::Unreachable => {}
                // It is asked for again after a restart, so it need not be saved.
                Ready::At(at, reason) => (record.not_before, record.note) = (at, reason),
                Ready::Never(reason) => self.set(place, Stage::Skipped { reason }, outbox),
                Ready::Now => {
                    outbox.starts.push(name.clone());
                    self.set(place, Stage::Ordered, outbox);
                    self.minute.1 += 1;
                    room -= 1;
                }
            }
        }
    }

    fn give_up_at_deadline(&mut self, now: u64, outbox: &mut Outbox) {
        if self.facts.plan.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        for place in 0..self.devices.len() {
            if self.devices[place].record.stage == Stage::Waiting {
                let reason = match self.devices[place].record.note.as_str() {
                    "" => "it could not be reached before the deadline".to_owned(),
                    note => format!("the deadline has passed; last: {note}"),
                };
                self.set(place, Stage::Skipped { reason }, outbox);
            }
        }
        // The waves that were not open have nothing to wait for.
        self.facts.wave = self.counts.len().saturating_sub(1);
    }

    fn end_if_nothing_is_left(&mut self, now: u64, outbox: &mut Outbox) {
        let total = self.total();
        let is_left = match self.facts.state {
            State::Running => {
                let is_in_last_wave = self.facts.wave + 1 >= self.counts.len();
                let is_open = self.facts.plan.is_growing
                    && self.facts.plan.deadline.is_none_or(|deadline| now < deadline);
                total.waiting > 0 || total.updating > 0 || !is_in_last_wave || is_open
            }
            State::Stopping => total.updating > 0,
            _ => true,
        };
        if is_left {
            return;
        }
        let is_aborted = self.facts.state == State::Stopping;
        self.facts.state = if is_aborted { State::Aborted } else { State::Done };
        self.facts.ended_at = Some(now);
        let Counts { confirmed, had_it, failed, skipped, .. } = total;
        self.note(
            now,
            format!("ended: {confirmed} updated, {had_it} had it, {failed} failed, {skipped} not tried"),
        );
        outbox.facts = Some(self.facts.clone());
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|place| *place as usize)
    }

    fn set(&mut self, place: usize, stage: Stage, outbox: &mut Outbox) {
        let Device { name, record } = &mut self.devices[place];
        if let Some(counts) = self.counts.get_mut(record.wave) {
            counts.remove(&record.stage);
            counts.add(&stage);
        }
        record.stage = stage;
        outbox.devices.push((name.clone(), record.clone()));
    }

    fn require_time(&self, now: u64) -> Result<(), Refused> {
        match self.facts.plan.deadline {
            Some(deadline) if deadline <= now => Err(Refused::Deadline),
            _ => Ok(()),
        }
    }

    fn require(&self, states: &[State]) -> Result<(), Refused> {
        if states.contains(&self.facts.state) { Ok(()) } else { Err(Refused::State(self.facts.state)) }
    }

    fn note(&mut self, at: u64, text: String) {
        if self.facts.events.len() == MOST_EVENTS {
            // The beginning and the end tell most.
            self.facts.events.remove(MOST_EVENTS / 4);
        }
        self.facts.events.push(Event { at, text });
        self.is_changed = true;
    }
}

/// A device that could not be updated is tried again after this time; milliseconds.
const RETRY_AFTER: u64 = 60_000;

#[cfg(test)]
mod tests;
