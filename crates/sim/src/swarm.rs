//! A swarm: thousands of device engines in one process, each with a loopback address of its own.
//!
//! They are the engines that run on chips, so what they do to a server is what devices do: they register, renew, sleep, answer, and notify
//! what they are observed for, in the clear or by DTLS. At the end stand rates, percentiles and failures ([`Report`]).

mod firmware;
mod keys;
mod life;
mod machine;
mod measure;
mod pace;
mod report;
mod settings;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::time::Duration;

use buoy_time::Instant;
use buoy_time::clock::Clock;

use crate::crowd::Crowd;
use crate::random::{Rng, rng};
use life::Life;
use machine::{Machine, State};
use measure::Measure;

pub use keys::{Certify, Credential, KeyError, Keys, Proof, SharedKey};
pub use life::{Character, Trouble};
pub use report::{Figures, Report};
pub use settings::{End, Flaw, MOST_DEVICES, Names, Progress, SwarmError, SwarmSettings};

/// Batches of datagrams that are taken before the timers get their turn.
const BATCHES_PER_TURN: usize = 8;
/// What is open at the end gets so long for its answer.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// While devices register, it is told so often how far they are.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Runs a swarm to its end. `progress` is told every five seconds how far it is while devices register.
///
/// # Errors
/// [`SwarmError`]. What devices and servers do wrong is in the report.
pub fn run(settings: &SwarmSettings, progress: &dyn Fn(Progress)) -> Result<Report, SwarmError> {
    let mut swarm = Swarm::new(settings, progress)?;
    swarm.register_all()?;
    if settings.resume {
        swarm.each(Machine::resume)?;
    }
    swarm.run_for(settings.run)?;
    if settings.end == End::Deregister {
        swarm.each(Machine::deregister)?;
        swarm.hang_up();
    }
    Ok(swarm.measure.report())
}

struct Swarm<'a> {
    settings: &'a SwarmSettings,
    progress: &'a dyn Fn(Progress),
    rng: Rng,
    crowd: Crowd,
    clock: Clock,
    machines: Vec<Machine>,
    /// When which machine wants to be called; the machine knows which entry counts.
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    measure: Measure,
    /// Registrations or deregistrations that are under way.
    open: usize,
}

impl<'a> Swarm<'a> {
    fn new(settings: &'a SwarmSettings, progress: &'a dyn Fn(Progress)) -> Result<Self, SwarmError> {
        let devices = settings.devices();
        if !(1..=MOST_DEVICES).contains(&devices) {
            return Err(SwarmError::Devices(devices));
        }
        if settings.window == 0 {
            return Err(SwarmError::Window);
        }
        if !settings.server.ip().is_loopback() {
            return Err(SwarmError::NotLoopback(settings.server));
        }
        let mut rng = rng()?;
        let machines = match settings.characters.as_slice() {
            [] => settings
                .names
                .all()
                .map(|endpoint| Machine::new(settings, &endpoint, None, &mut rng))
                .collect::<Result<_, _>>()?,
            characters => (0..)
                .zip(characters)
                .map(|(number, it)| {
                    let life = Life::new(it, &Crowd::address(number).to_string());
                    Machine::new(settings, &it.endpoint, Some(life), &mut rng)
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            settings,
            progress,
            crowd: Crowd::bind()?,
            clock: Clock::start(),
            machines,
            rng,
            timers: BinaryHeap::new(),
            measure: Measure::new(devices),
            open: 0,
        })
    }

    fn register_all(&mut self) -> Result<(), SwarmError> {
        let started = self.clock.now();
        let mut told = started;
        let mut next = 0;
        while next < self.machines.len() {
            while self.open < self.settings.window && next < self.machines.len() {
                self.open += 1;
                let now = self.clock.now();
                self.machines[next].start(now);
                self.settle(next as u32, now);
                next += 1;
            }
            self.turn(None)?;
            self.tell_progress(&mut told);
        }
        let deadline = self.clock.now() + LAST_WAIT;
        while self.open > 0 && self.clock.now() < deadline {
            self.turn(Some(deadline))?;
            self.tell_progress(&mut told);
        }
        self.measure.registered_in(self.clock.now() - started);
        Ok(())
    }

    /// Nobody should wait for a server that isn't there and not know it.
    fn tell_progress(&self, told: &mut Instant) {
        let now = self.clock.now();
        if now - *told < TELL_EVERY {
            return;
        }
        *told = now;
        (self.progress)(Progress {
            registered: self.measure.registrations(),
            devices: self.settings.devices(),
        });
    }

    fn run_for(&mut self, duration: Duration) -> Result<(), SwarmError> {
        let end = self.clock.now() + duration;
        while self.clock.now() < end {
            self.turn(Some(end))?;
        }
        Ok(())
    }

    /// Lets each device begin an exchange, if it can, and waits for the ends.
    fn each(&mut self, begin: impl Fn(&mut Machine, Instant) -> bool) -> Result<(), SwarmError> {
        let mut deadline = self.clock.now() + LAST_WAIT;
        let mut next = 0;
        self.open = 0;
        while (next < self.machines.len() || self.open > 0) && self.clock.now() < deadline {
            while self.open < self.settings.window && next < self.machines.len() {
                let now = self.clock.now();
                if begin(&mut self.machines[next], now) {
                    self.open += 1;
                    self.settle(next as u32, now);
                }
                next += 1;
                deadline = now + LAST_WAIT;
            }
            self.turn(Some(deadline))?;
        }
        Ok(())
    }

    /// Ends all sessions.
    fn hang_up(&mut self) {
        for number in 0..self.machines.len() {
            self.machines[number].hang_up();
            self.settle(number as u32, self.clock.now());
        }
        self.crowd.flush();
    }

    /// Takes what came and does what is due; waits at most until `end`.
    fn turn(&mut self, end: Option<Instant>) -> Result<(), SwarmError> {
        self.crowd.flush();
        let now = self.clock.now();
        let due = self.timers.peek().map_or(Instant::NEVER, |Reverse((at, _))| *at);
        let until = due.min(end.unwrap_or(now + Duration::from_millis(100)));
        if self.crowd.wait(until.since(now).min(Duration::from_secs(1)))? {
            for _ in 0..BATCHES_PER_TURN {
                if self.crowd.receive()? == 0 {
                    break;
                }
                self.take_batch();
            }
        }
        self.run_timers();
        Ok(())
    }

    fn take_batch(&mut self) {
        let now = self.clock.now();
        let mut touched = Vec::new();
        for (to, _, datagram) in self.crowd.datagrams() {
            let number = Crowd::number(to);
            if let Some(machine) = self.machines.get_mut(number as usize)
                && !machine.loses(&mut self.rng)
            {
                machine.take(now, &mut self.rng, datagram, &mut self.measure);
                touched.push(number);
            }
        }
        for number in touched {
            self.settle(number, now);
        }
    }

    fn run_timers(&mut self) {
        let now = self.clock.now();
        while let Some(Reverse((at, number))) =
            self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            if self.machines[number as usize].scheduled == at {
                self.machines[number as usize].scheduled = Instant::NEVER;
                let Self { machines, settings, rng, .. } = self;
                machines[number as usize].handle_timeout(now, settings, rng);
                self.settle(number, now);
            }
        }
    }

    /// Sends what a machine has to send, counts what happened to it, and notes when it wants to be called next.
    fn settle(&mut self, number: u32, now: Instant) {
        let Self { crowd, machines, measure, settings, rng, .. } = self;
        let machine = &mut machines[number as usize];
        let from: Ipv4Addr = Crowd::address(number);
        machine.tell_past(now);
        machine.prepare(now, rng, measure);
        let mut sent = usize::MAX;
        while sent > 0 {
            crowd.send(from, settings.server, |buffer| {
                sent = machine.poll_transmit(now, buffer);
                if machine.loses(rng) { 0 } else { sent }
            });
        }
        let before = machine.state;
        measure.events(machine, now, settings.server, rng);
        if before == State::Busy && machine.state != State::Busy {
            self.open = self.open.saturating_sub(1);
        }
        let next = machine.next_deadline();
        if next < machine.scheduled {
            machine.scheduled = next;
            self.timers.push(Reverse((next, number)));
        }
    }
}
