//! Restarts of the server, reboots of the device, other addresses and a bad link, while operations are asked for.

use std::time::Duration;

use buoy_client::ClientConfig;
use buoy_coap::number::Code;
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation::Downlink;
use buoy_lwm2m::path::Path;
use buoy_server::{Durability, Intent, OperationState};
use buoy_testkit::{Counter, DEVICE, Faults, World};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{OPAQUE, SEEDS, TEXT, assert_nothing_is_left, body, read, write};

const TEMPERATURE: Path = Path::resource(3303, 0, 5700);

/// A world with a device that is observed by confirmable notifications.
fn observed(seed: u64) -> World {
    observed_with(seed, ClientConfig::new(DEVICE).unwrap())
}

fn observed_with(seed: u64, config: ClientConfig) -> World {
    let mut world = World::with(seed, config);
    let mut container = buoy_testkit::Container::default();
    container.instances.insert(0, Default::default());
    world.device().objects.container = Some(container);
    world.device().objects.counter = Some(Counter::default());
    world.server.commit_time = Duration::from_millis(50);
    world.start();
    world.write_text("/1/0/1", "3600");
    let attributes = Attributes { con: Some(true), ..Attributes::default() };
    let request = Downlink::Observe { path: TEMPERATURE, accept: Some(TEXT), attributes };
    let intent = Intent::Observe { paths: [TEMPERATURE].into(), composite: false };
    let id = world.submit(&request, intent, Durability::Durable);
    assert!(world.run_until(60, |world| world.server.outcome(id).is_some()));
    world
}

#[test]
fn after_restarts_of_the_server_and_new_addresses_server_and_device_agree() {
    play(Reboots::Never);
}

#[test]
fn after_everything_that_can_happen_server_and_device_agree() {
    play(Reboots::Sometimes);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reboots {
    Never,
    Sometimes,
}

fn play(reboots: Reboots) {
    for seed in SEEDS {
        let mut world = observed(seed);
        let mut story = Story::new(seed);
        world.network.faults = Faults::lossy(Duration::from_secs(2));
        for _ in 0..60 {
            story.go_on(&mut world, reboots);
        }
        world.network.faults = Faults::none();
        world.wait(7200);
        assert!(world.is_registered(), "seed {seed}");
        story.assert_every_operation_ended(&world);
        story.assert_no_execute_too_many(&world);
        assert_the_observation_holds(&mut world);
        assert_nothing_is_left(&mut world);
    }
}

/// What was asked for in a life full of accidents.
struct Story {
    dice: ChaCha8Rng,
    celsius: u32,
    executes: Vec<u64>,
    others: Vec<u64>,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self { dice: ChaCha8Rng::seed_from_u64(seed), celsius: 20, executes: Vec::new(), others: Vec::new() }
    }

    fn go_on(&mut self, world: &mut World, reboots: Reboots) {
        let execute = Downlink::Execute { path: Path::resource(32769, 0, 0), arguments: "" };
        let large = body(2500);
        let ask = |world: &mut World, request| world.submit(&request, Intent::Once, Durability::Durable);
        match self.dice.next_u32() % 10 {
            0 => world.restart_server(),
            1 if reboots == Reboots::Sometimes => world.reboot_device(),
            2 => world.move_device(),
            3 => self.executes.push(ask(world, execute)),
            4 => self.others.push(ask(world, read("/3/0/0", TEXT))),
            5 => self.others.push(ask(world, write("/3/0/15", TEXT, b"UTC"))),
            6 => self.others.push(ask(world, write("/19/0/0/0", OPAQUE, &large))),
            _ => {
                self.celsius += 1;
                world.measure(f64::from(self.celsius));
            }
        }
        world.wait(u64::from(self.dice.next_u32() % 60));
    }

    /// One that is not in the store was asked for just before the server was killed; nobody was told that it will be done.
    fn assert_every_operation_ended(&self, world: &World) {
        for id in self.others.iter().chain(&self.executes) {
            let state = state_of(world, *id);
            let is_open = matches!(state, Some(OperationState::Queued | OperationState::Sent));
            assert!(!is_open, "seed {}: operation {id} is {state:?}", world.seed);
        }
    }

    fn assert_no_execute_too_many(&self, world: &World) {
        let is_done = |id: &&u64| state_of(world, **id) == Some(OperationState::Succeeded);
        let succeeded = self.executes.iter().filter(is_done).count();
        let device = world.first_device();
        let executed = device.objects.counter.unwrap().executed as usize;
        // A device that rebooted can't know a datagram that it has seen before.
        let at_most = self.executes.len() + device.reboots as usize;
        assert!(
            (succeeded..=at_most).contains(&executed),
            "seed {}: of {} Executes {succeeded} are said to have succeeded and {executed} were carried out",
            world.seed,
            self.executes.len()
        );
    }
}

fn state_of(world: &World, id: u64) -> Option<OperationState> {
    world.server.store.operations.get(&id).map(|record| record.state)
}

/// What the server takes to be observed is told, and the server knows the last value.
fn assert_the_observation_holds(world: &mut World) {
    let seed = world.seed;
    assert_eq!(world.server.shard.observations("buoy-1").len(), 1, "seed {seed}");
    world.reported();
    world.measure(-5.0);
    assert_eq!(world.reported_text(), ["-5"], "seed {seed}");
}

#[test]
fn a_server_that_was_away_for_long_hears_of_what_it_observed() {
    let mut world = observed(1);
    world.network.faults.loss = 100;
    world.measure(30.0);
    world.wait(1000);
    world.network.faults.loss = 0;
    world.wait(3600);
    assert_eq!(world.reported_text().last().unwrap(), "30");
    assert_the_observation_holds(&mut world);
}

#[test]
fn a_device_that_reboots_is_heard_again_at_once() {
    let mut world = observed(1);
    for celsius in 21..40 {
        world.measure(f64::from(celsius));
    }
    world.reboot_device();
    world.wait(8);
    world.reported();
    world.measure(50.0);
    assert_eq!(world.reported_text(), ["50"], "its numbers start anew, and are not older for that");
}

#[test]
fn a_device_behind_another_address_is_found_by_its_next_message() {
    let mut world = observed(1);
    world.move_device();
    world.measure(25.0);
    assert_eq!(world.reported_text(), ["25"]);
    assert_eq!(world.read("/3/0/0", TEXT).code(), Code::CONTENT);
}

#[test]
fn a_sleeping_device_behind_a_nat_gets_all_that_waited_for_it_in_order() {
    for seed in SEEDS {
        let config = ClientConfig { queue_mode: true, ..ClientConfig::new(DEVICE).unwrap() };
        let mut world = observed_with(seed, config);
        world.write_text("/3311/0/5850", "1");
        world.wait(5);
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        world.network.faults = Faults::lossy(Duration::from_secs(2));
        let mut asked = Vec::new();
        for level in 1..=20u8 {
            let text = level.to_string();
            let write = write("/3311/0/5851", TEXT, text.as_bytes());
            asked.push(world.submit(&write, Intent::Once, Durability::Durable));
            if dice.next_u32().is_multiple_of(4) {
                world.restart_server();
            }
            world.wait(u64::from(dice.next_u32() % 300));
            // The NAT forgets a device that says nothing for so long. When it has something to tell, it wakes.
            world.move_device();
            if dice.next_u32().is_multiple_of(2) {
                world.measure(f64::from(level) + 20.0);
            }
        }
        world.network.faults = Faults::none();
        world.wait(7200);
        let ended = world.server.store.operations.values();
        let succeeded: Vec<u64> = ended
            .filter(|record| record.state == OperationState::Succeeded)
            .map(|record| record.id.0)
            .collect();
        assert!(succeeded.len() >= 10, "seed {seed}: {succeeded:?} of {asked:?}");
        let last = asked.iter().rposition(|id| succeeded.contains(id)).unwrap() + 1;
        let level = world.first_device().objects.light.level(0).unwrap();
        assert!(usize::from(level) >= last, "seed {seed}: {level}, but {last} was done");
        assert_the_observation_holds(&mut world);
        assert_nothing_is_left(&mut world);
    }
}
