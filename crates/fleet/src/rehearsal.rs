//! A rehearsal: plays a campaign on simulated devices before it is run on real ones.
//!
//! The campaign and the updates are the engines that a server runs: [`Campaign`] and [`Updates`]. Only the devices are simulated (`device`): they sleep,
//! some are offline, their links are slow, and some crash on the release. Time is virtual: what happens next happens at once, so that weeks take seconds.
//!
//! Nothing here has a clock or waits. [`Rehearsal::advance`] does a bounded piece of work; the caller decides how often it is called.

mod device;
mod outcome;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use buoy_time::Calendar;

use crate::campaign::{self, Campaign, Plan, Ready, State};
use crate::update::{Action, Answer, Delivery, End, Goal, Patience, Stage, Step, Value};
use crate::updates::{Event, Outbox, Updates};
pub use device::Conditions;
use device::{Device, Running};
pub use outcome::{Outcome, Verdict, WaveTimes};

/// Between two looks of the campaign at its devices, as long as something happens; milliseconds.
const TICK: u64 = 1000;
/// Devices that sleep for long are looked at so often in their period.
const LOOKS_IN_A_PERIOD: u64 = 720;
/// After so much virtual time a rehearsal ends; milliseconds.
const HORIZON: u64 = 366 * 24 * 3600 * 1000;
/// Updates whose time has come in one step.
const BATCH: usize = 1024;
/// After so many looks in which nothing changed, nothing will until the next event: a campaign looks at a part of its devices at a time.
const QUIET_LOOKS: u32 = 64;
/// The persons who say yes in a rehearsal.
const AUTHOR: &str = "the author";
const SECOND: &str = "a second person";

/// An update that ended: of which device, its number, how, and what the device ran before.
type Ended = (Arc<str>, u64, End, Option<String>);

/// When devices may be updated: `None` if they may at this time, else when they may.
pub type Opening = Box<dyn Fn(u64) -> Option<u64> + Send>;

/// A campaign that is played.
#[derive(Debug)]
pub struct Rehearsal {
    conditions: Conditions,
    window: Window,
    campaign: Campaign,
    updates: Updates,
    devices: Vec<Device>,
    by_name: HashMap<Arc<str>, u32>,
    /// What is to come, by time, and of the same time in the order in which it was planned.
    coming: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    planned: u64,
    now: u64,
    began: u64,
    tick_at: u64,
    quiet: u32,
    ended: Vec<Ended>,
    outbox: Outbox,
    waves: Vec<WaveTimes>,
    stopped: Option<(u64, String)>,
    bytes: u64,
    asked_persons: u64,
    verdict: Option<Verdict>,
}

/// The maintenance window of all devices, if there is one.
struct Window(Option<Opening>);

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Window").field(&self.0.is_some()).finish()
    }
}

/// What happens to a simulated device, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// It wakes up.
    Wakes(u32),
    /// The operation of the token comes to it.
    Delivered(u32, u64),
    /// Its download is complete, if it is still that of this number.
    Downloaded(u32, u32),
    /// The push of the token is complete.
    Pushed(u32, u32, u64),
    /// It has started anew.
    Rebooted(u32),
}

impl Rehearsal {
    /// Plays `plan` from `now` on; milliseconds since the epoch. `shares` says for each wave that has a filter which part of the target it matches,
    /// `window` when devices may be updated.
    #[must_use]
    pub fn new(
        plan: Plan,
        conditions: Conditions,
        shares: &[Option<f64>],
        window: Option<Opening>,
        now: u64,
    ) -> Self {
        let now = plan.start_at.unwrap_or(0).max(now);
        let devices: Vec<Device> =
            (0..conditions.devices).map(|number| Device::new(number, &conditions, &plan)).collect();
        let names: Vec<Arc<str>> = devices.iter().map(|device| device.name.clone()).collect();
        let mut taken = 0;
        let mut firsts = Vec::with_capacity(shares.len());
        for share in shares {
            let count = share.map_or(0, |share| (share * names.len() as f64).round() as usize);
            let until = (taken + count).min(names.len());
            firsts.push(names.get(taken..until).unwrap_or_default().to_vec());
            taken = until;
        }
        let by_name = (0..).zip(&names).map(|(number, name)| (name.clone(), number)).collect();
        let mut campaign = Campaign::new(conditions.seed, plan, AUTHOR, now);
        let mut is_to_deal = campaign.start(now, AUTHOR).unwrap_or(false);
        let asked_persons = u64::from(campaign.awaits_approval());
        if asked_persons > 0 {
            is_to_deal = campaign.approve(now, SECOND).unwrap_or(false);
        }
        if is_to_deal {
            campaign.deal(names, &firsts);
            campaign.run(now);
        }
        let waves = vec![WaveTimes::default(); campaign.counts().len()];
        let mut outbox = Outbox::default();
        let mut updates = Updates::new(0);
        updates.set_calendar(now, Calendar::default(), &mut outbox);
        let verdict = (campaign.facts().state != State::Running)
            .then(|| Verdict::NotStarted { reason: campaign.facts().reason.clone() });
        Self {
            conditions,
            window: Window(window),
            campaign,
            updates,
            devices,
            by_name,
            coming: BinaryHeap::new(),
            planned: 0,
            now,
            began: now,
            tick_at: now,
            quiet: 0,
            ended: Vec::new(),
            outbox,
            waves,
            stopped: None,
            bytes: 0,
            asked_persons,
            verdict,
        }
    }

    /// The campaign as it is now.
    #[must_use]
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Goes on for at most `steps` happenings. Whether it has ended.
    pub fn advance(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            if self.verdict.is_some() {
                return true;
            }
            self.step();
        }
        self.verdict.is_some()
    }

    /// What came out of it, also before its end.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let confirmed = self.campaign.devices().filter_map(|(_, record)| match record.stage {
            campaign::Stage::Confirmed { at } => Some(at),
            _ => None,
        });
        Outcome {
            verdict: self.verdict.clone().unwrap_or(Verdict::Unfinished),
            began: self.began,
            ended: self.now,
            waves: self.waves.clone(),
            bytes: self.bytes,
            stopped: self.stopped.clone(),
            asked_persons: self.asked_persons,
            milestones: outcome::milestones(confirmed, self.devices.len()),
        }
    }

    fn step(&mut self) {
        let event_at = self.coming.peek().map(|Reverse((at, ..))| *at);
        let timer_at = self.updates.poll_timeout();
        let next = [event_at, timer_at, Some(self.tick_at)].into_iter().flatten().min().unwrap_or(u64::MAX);
        if next > self.began.saturating_add(HORIZON) {
            self.verdict = Some(self.without_end());
            return;
        }
        self.now = self.now.max(next);
        if timer_at == Some(next) {
            self.updates.handle_timeout(self.now, BATCH, &mut self.outbox);
            self.carry_out_updates();
        } else if event_at == Some(next) {
            if let Some(Reverse((_, _, happening))) = self.coming.pop() {
                self.happen(happening);
            }
        } else {
            self.tick();
        }
    }

    fn plan(&mut self, at: u64, happening: Happening) {
        self.planned += 1;
        self.coming.push(Reverse((at, self.planned, happening)));
    }

    /// What the server does once a second.
    fn tick(&mut self) {
        let mut outbox = campaign::Outbox::default();
        for (name, update, end, before) in std::mem::take(&mut self.ended) {
            if let Some(before) = before {
                self.campaign.ran_before(&name, &before);
            }
            self.campaign.update_ended(self.now, &name, update, &end, &mut outbox);
        }
        let (devices, by_name) = (&self.devices, &self.by_name);
        let opens = self.window.0.as_ref().and_then(|window| window(self.now));
        let ready = |name: &str| match by_name.get(name).and_then(|place| devices.get(*place as usize)) {
            Some(device) if !device.is_offline => match opens {
                Some(at) => Ready::At(at, "its maintenance window is closed".to_owned()),
                None => Ready::Now,
            },
            _ => Ready::Unreachable,
        };
        self.campaign.advance(self.now, &ready, &mut outbox);
        if self.campaign.facts().state == State::Running && self.campaign.awaits_approval() {
            // A person says yes at once; how long real ones take is not known.
            self.asked_persons += 1;
            let _ = self.campaign.approve(self.now, SECOND);
        }
        let was_quiet = outbox.is_empty();
        self.carry_out_campaign(outbox);
        self.note_waves();
        self.look_for_end(was_quiet);
    }

    fn carry_out_campaign(&mut self, mut outbox: campaign::Outbox) {
        while !outbox.is_empty() {
            let mut next = campaign::Outbox::default();
            for update in outbox.cancels {
                self.updates.cancel(self.now, update, &mut self.outbox);
            }
            let facts = self.campaign.facts();
            let delivery = match facts.plan.delivery.as_str() {
                "push" => Delivery::Push,
                _ => Delivery::Pull("coap://rehearsal/fw".to_owned()),
            };
            let goal = Goal {
                version: facts.plan.release.version.clone(),
                digest: facts.plan.release.digest.clone(),
                delivery,
            };
            for name in outbox.starts {
                match self.start_update(&name, goal.clone()) {
                    Ok(id) => self.campaign.update_started(&name, id, &mut next),
                    Err(reason) => self.campaign.update_refused(self.now, &name, &reason, &mut next),
                }
            }
            for (name, version) in outbox.backs {
                match self.start_update(&name, Goal { version, ..goal.clone() }) {
                    Ok(id) => self.campaign.back_started(&name, id, &mut next),
                    Err(reason) => self.campaign.back_refused(self.now, &name, &reason, &mut next),
                }
            }
            if outbox.health.is_some() {
                // Devices that confirmed the release stay registered here.
                self.campaign.health(self.now, Vec::new(), &mut next);
            }
            self.carry_out_updates();
            outbox = next;
        }
    }

    fn start_update(&mut self, name: &Arc<str>, goal: Goal) -> Result<u64, String> {
        let started = self.updates.start(self.now, name, goal, Patience::default(), &mut self.outbox);
        started.map_err(|open| format!("update {} of it is open", open.0))
    }

    fn carry_out_updates(&mut self) {
        while !self.outbox.is_empty() {
            self.updates.end_batch(&mut self.outbox);
            let Outbox { operations, progress, .. } = std::mem::take(&mut self.outbox);
            for operation in operations {
                let Some(place) = self.by_name.get(&operation.endpoint).copied() else { continue };
                match operation.step {
                    Step::Submit(token, action) => self.submit(place, operation.update, token, action),
                    Step::Withdraw(token) => {
                        let device = &mut self.devices[place as usize];
                        device.pending.take_if(|(_, pending, _)| *pending == token);
                    }
                }
            }
            for update in progress {
                if let Stage::Ended(end) = update.stage() {
                    let before = update.old_version().map(str::to_owned);
                    self.ended.push((update.endpoint().clone(), update.id(), end.clone(), before));
                }
            }
        }
    }

    /// The server has something for a device: it comes to it now, or when it wakes.
    fn submit(&mut self, place: u32, update: u64, token: u64, action: Action) {
        let device = &mut self.devices[place as usize];
        device.pending = Some((update, token, action));
        if device.is_awake(self.now) {
            let at = self.now + self.conditions.round_trip();
            self.plan(at, Happening::Delivered(place, token));
        } else if !device.is_offline && !std::mem::replace(&mut device.will_wake, true) {
            let at = device.next_wake(self.now, &self.conditions);
            self.plan(at, Happening::Wakes(place));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wakes(place) => self.wakes(place),
            Happening::Delivered(place, token) => self.delivered(place, token),
            Happening::Downloaded(place, number) => {
                if self.devices[place as usize].download_is(number) {
                    self.downloaded(place);
                    self.says_state(place);
                }
            }
            Happening::Pushed(place, number, token) => {
                if self.devices[place as usize].download_is(number) {
                    self.downloaded(place);
                    self.answers(place, token, Answer::Done);
                }
            }
            Happening::Rebooted(place) => {
                let device = &mut self.devices[place as usize];
                device.start_anew(self.now);
                let name = device.name.clone();
                self.tell(&Event::Registered(&name));
            }
        }
    }

    fn wakes(&mut self, place: u32) {
        let device = &mut self.devices[place as usize];
        device.will_wake = false;
        device.stay_awake(self.now);
        let name = device.name.clone();
        let pending = device.pending.as_ref().map(|(_, token, _)| *token);
        self.tell(&Event::Contact(&name));
        if let Some(token) = pending {
            let at = self.now + self.conditions.round_trip();
            self.plan(at, Happening::Delivered(place, token));
        }
    }

    fn delivered(&mut self, place: u32, token: u64) {
        let takes = self.conditions.transfer();
        let now = self.now;
        let device = &mut self.devices[place as usize];
        let Some((update, _, action)) = device.pending.take_if(|(_, pending, _)| *pending == token) else {
            return;
        };
        device.stay_awake(now);
        match action {
            Action::Read(path) | Action::Observe(path) => self.answers_value(place, token, path),
            Action::Reset => {
                device.drop_package();
                self.answers(place, token, Answer::Done);
            }
            Action::WriteUri(_) => {
                let number = device.begin_download(now + takes);
                self.plan(now + takes, Happening::Downloaded(place, number));
                self.answers(place, token, Answer::Done);
                self.says_state(place);
            }
            Action::Push(_) => {
                let number = device.begin_download(now + takes);
                self.plan(now + takes, Happening::Pushed(place, number, token));
            }
            Action::Execute => {
                let release = &self.campaign.facts().plan.release.version;
                let is_release =
                    self.updates.get(update).is_none_or(|update| update.goal().version == *release);
                let what = if is_release { Running::Release } else { Running::Before };
                let at = now + device.install(now, what, &self.conditions);
                self.plan(at, Happening::Rebooted(place));
                self.answers(place, token, Answer::Done);
            }
        }
    }

    fn downloaded(&mut self, place: u32) {
        self.bytes += self.conditions.image_bytes;
        self.devices[place as usize].has_downloaded(self.now);
    }

    fn says_state(&mut self, place: u32) {
        let device = &self.devices[place as usize];
        let (name, state) = (device.name.clone(), device.state);
        self.tell(&Event::Said(&name, Value::State(state)));
    }

    fn answers_value(&mut self, place: u32, token: u64, path: buoy_lwm2m::path::Path) {
        use crate::update::{FIRMWARE_VERSION, RESULT, STATE};
        let device = &self.devices[place as usize];
        let version = match device.running {
            Running::Before => self.conditions.version_before.clone(),
            Running::Release => self.campaign.facts().plan.release.version.clone(),
        };
        let answer = match path {
            STATE => Answer::Value(Value::State(device.state)),
            RESULT => Answer::Value(Value::Result(device.result)),
            FIRMWARE_VERSION => Answer::Value(Value::Version(&version)),
            _ => Answer::Refused { code: NOT_FOUND, reason: "4.04 Not Found" },
        };
        self.answers(place, token, answer);
    }

    fn answers(&mut self, place: u32, token: u64, answer: Answer<'_>) {
        let name = self.devices[place as usize].name.clone();
        if let Some(update) = self.updates.cares_for(&name) {
            self.tell(&Event::Answered { update, token, answer });
        }
    }

    fn tell(&mut self, event: &Event<'_>) {
        self.updates.handle_event(self.now, event, &mut self.outbox);
        self.carry_out_updates();
    }

    fn note_waves(&mut self) {
        let facts = self.campaign.facts();
        for (place, wave) in self.waves.iter_mut().enumerate() {
            if place <= facts.wave {
                wave.opened.get_or_insert(self.now);
            }
            if place < facts.wave || facts.state == State::Done {
                wave.passed.get_or_insert(self.now);
            }
        }
        if facts.state == State::Paused && self.stopped.is_none() {
            self.stopped = Some((self.now, facts.reason.clone()));
        }
    }

    fn look_for_end(&mut self, was_quiet: bool) {
        let facts = self.campaign.facts();
        if facts.state == State::Done {
            self.verdict = Some(Verdict::Done);
            return;
        }
        if facts.state == State::Paused && self.updates.is_empty() && self.ended.is_empty() && was_quiet {
            self.verdict = Some(Verdict::Stopped { reason: facts.reason.clone() });
            return;
        }
        self.quiet = if was_quiet { self.quiet + 1 } else { 0 };
        let tick = (self.conditions.sleep * 1000 / LOOKS_IN_A_PERIOD).max(TICK);
        self.tick_at = self.now + tick;
        if self.quiet < QUIET_LOOKS {
            return;
        }
        // Until then nothing changes for the campaign.
        let event_at = self.coming.peek().map(|Reverse((at, ..))| *at);
        let own = self.campaign.next_timeout(self.now);
        match [event_at, self.updates.poll_timeout(), own].into_iter().flatten().min() {
            Some(at) => self.tick_at = self.tick_at.max(at),
            None => self.verdict = Some(self.without_end()),
        }
    }

    fn without_end(&self) -> Verdict {
        Verdict::WithoutEnd { waiting: self.campaign.total().waiting }
    }
}

/// 4.04 Not Found
const NOT_FOUND: u8 = 4 << 5 | 4;

#[cfg(test)]
mod tests;
