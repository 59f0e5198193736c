//! `buoy swarm`: thousands of device engines in one process, each with a loopback address of its own.
//!
//! They are the engines that run on chips, so what they do to a server is what devices do: they register, renew, sleep, answer, and notify
//! what they are observed for, in the clear or by DTLS. At the end stand rates, percentiles and failures; the exit code is 1 if there were any.

mod args;
mod keys;
mod machine;
mod report;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_coap::time::Instant;
use buoy_net::clock::Clock;
use buoy_net::udp::crowd::Crowd;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::uri::behind_scheme;
pub(crate) use args::Args;
use args::Command;
use machine::{Machine, State};
use report::Report;

/// Batches of datagrams that are taken before the timers get their turn.
const BATCHES_PER_TURN: usize = 8;
/// What is open at the end gets so long for its answer.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// While devices register, standard error tells so often how far they are.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// The most devices: as many loopback addresses as there are.
const MOST_DEVICES: u32 = 1_000_000;

/// Runs the swarm to its end.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(Command::Credentials { names, keys }) = &args.command {
        return keys.print(names.all());
    }
    if !(1..=MOST_DEVICES).contains(&args.names.devices) || args.window == 0 {
        bail!("--devices must be 1 to {MOST_DEVICES}, and --window at least 1");
    }
    let mut swarm = Swarm::new(args)?;
    swarm.register_all()?;
    if args.resume {
        swarm.each(Machine::resume)?;
    }
    swarm.run_for(Duration::from_secs(args.seconds))?;
    if !args.keep {
        swarm.each(Machine::deregister)?;
        swarm.hang_up();
    }
    let report = swarm.report;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.to_json())?);
    } else {
        report.print();
    }
    match report.failures() {
        0 => Ok(()),
        failures => bail!("{failures} exchanges or registrations failed"),
    }
}

struct Swarm<'a> {
    args: &'a Args,
    server: SocketAddrV4,
    rng: ChaCha12Rng,
    crowd: Crowd,
    clock: Clock,
    machines: Vec<Machine>,
    /// When which machine wants to be called; the machine knows which entry counts.
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    report: Report,
    /// Registrations or deregistrations that are under way.
    open: usize,
}

impl<'a> Swarm<'a> {
    fn new(args: &'a Args) -> anyhow::Result<Self> {
        let (secured, plain) = (behind_scheme(&args.server, "coaps"), behind_scheme(&args.server, "coap"));
        let is_secured = secured.is_some();
        let server = secured.or(plain).unwrap_or(&args.server);
        let server: SocketAddrV4 = server.trim_end_matches('/').parse().with_context(|| {
            format!("--server {} is no coap[s]://IP:PORT of IPv4, which the swarm speaks", args.server)
        })?;
        if !is_secured && args.keys.are_given() {
            bail!("--server {} is plain CoAP, for which there are no keys; name it as coaps://", args.server);
        }
        let keys = is_secured.then(|| args.keys.keys()).transpose()?;
        if !server.ip().is_loopback() {
            bail!("--server {server} is not on this machine, and the swarm burdens no other");
        }
        let clock = Clock::start();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
        let mut rng = ChaCha12Rng::from_seed(seed);
        let machine = |endpoint: String| Machine::new(args, &endpoint, keys.as_ref(), &mut rng);
        let machines = args.names.all().map(machine).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            args,
            server,
            crowd: Crowd::bind()?,
            clock,
            machines,
            rng,
            timers: BinaryHeap::new(),
            report: Report::new(args.names.devices),
            open: 0,
        })
    }

    fn register_all(&mut self) -> anyhow::Result<()> {
        let started = self.clock.now();
        let mut told = started;
        let mut next = 0;
        while next < self.machines.len() {
            while self.open < self.args.window && next < self.machines.len() {
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
        self.report.registered_in(self.clock.now() - started);
        Ok(())
    }

    /// Nobody should wait for a server that isn't there and not know it.
    fn tell_progress(&self, told: &mut Instant) {
        let now = self.clock.now();
        if now - *told < TELL_EVERY {
            return;
        }
        *told = now;
        match self.report.registrations() {
            0 => eprintln!("no answer from {} so far; is a server there?", self.args.server),
            count => eprintln!("{count} of {} are registered", self.machines.len()),
        }
    }

    fn run_for(&mut self, duration: Duration) -> anyhow::Result<()> {
        let end = self.clock.now() + duration;
        while self.clock.now() < end {
            self.turn(Some(end))?;
        }
        Ok(())
    }

    /// Lets each device begin an exchange, if it can, and waits for the ends.
    fn each(&mut self, begin: impl Fn(&mut Machine, Instant) -> bool) -> anyhow::Result<()> {
        let mut deadline = self.clock.now() + LAST_WAIT;
        let mut next = 0;
        self.open = 0;
        while (next < self.machines.len() || self.open > 0) && self.clock.now() < deadline {
            while self.open < self.args.window && next < self.machines.len() {
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
    fn turn(&mut self, end: Option<Instant>) -> anyhow::Result<()> {
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
            if let Some(machine) = self.machines.get_mut(number as usize) {
                machine.take(now, &mut self.rng, datagram, &mut self.report);
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
                self.machines[number as usize].handle_timeout(now);
                self.settle(number, now);
            }
        }
    }

    /// Sends what a machine has to send, counts what happened to it, and notes when it wants to be called next.
    fn settle(&mut self, number: u32, now: Instant) {
        let Self { crowd, machines, report, server, rng, .. } = self;
        let machine = &mut machines[number as usize];
        let from: Ipv4Addr = Crowd::address(number);
        machine.prepare(now, rng, report);
        let mut sent = usize::MAX;
        while sent > 0 {
            crowd.send(from, *server, |buffer| {
                sent = machine.poll_transmit(buffer);
                sent
            });
        }
        let before = machine.state;
        report.events(machine);
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
