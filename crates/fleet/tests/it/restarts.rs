//! The server is killed at every point, and goes on from its records.

use buoy_fleet::update::{Delivery, End, UpdateRecord};
use buoy_fleet::updates::{Outbox, Updates};

use super::world::{Device, HEARD, Kill, MINUTE, Move, NAME, NEW, Reply, World, heard_as};

fn worlds() -> Vec<(&'static str, World)> {
    let mut all = Vec::new();
    for heard in HEARD {
        all.push(("pull", World::new(heard_as(heard))));
        let on_order = vec![(0, Move::State(2))];
        all.push(("push", World::push(Device { on_order, ..heard_as(heard) })));
        all.push(("another package", World::new(Device { state: 2, ..heard_as(heard) })));
        all.push(("an old result", World::new(Device { result: 8, ..heard_as(heard) })));
    }
    all
}

#[test]
fn a_kill_at_any_point_neither_loses_nor_repeats_an_order_to_install() {
    for kill in [Kill::BeforeSubmission, Kill::BeforeAnswers] {
        for (index, (name, _)) in worlds().into_iter().enumerate() {
            let mut at = 0;
            loop {
                at += 1;
                let (_, mut world) = worlds().remove(index);
                world.kill = Some((at, kill));
                let end = world.run().end_soon();
                assert_eq!(end, End::Updated, "{name}, {kill:?} at commit {at}");
                assert_eq!(world.executes(), 1, "{name}, {kill:?} at commit {at}");
                if world.commits < at {
                    break;
                }
            }
            assert!(at > 5, "{name}: only {at} commits");
        }
    }
}

#[test]
fn a_kill_at_any_point_does_not_turn_a_refusal_into_anything_else() {
    for kill in [Kill::BeforeSubmission, Kill::BeforeAnswers] {
        for at in 1..12 {
            let on_execute = vec![(0, Move::State(3)), (MINUTE, Move::Result(5)), (MINUTE, Move::State(2))];
            let mut world = World::new(Device { result: 8, on_execute, ..Device::new() });
            world.kill = Some((at, kill));
            assert_eq!(world.run().end_soon(), End::Refused { result: 5 }, "{kill:?} at commit {at}");
            assert_eq!(world.executes(), 1);
        }
    }
}

#[test]
fn many_restarts_are_not_the_devices_failure() {
    let mut world =
        World::push(Device { order: Reply::Lost, on_order: vec![(0, Move::State(2))], ..Device::new() });
    for _ in 0..20 {
        world.run_until(world.now + 1);
        world.restart();
    }
    world.device.order = Reply::Done;
    assert_eq!(world.run().end_soon(), End::Updated);
}

#[test]
fn the_time_of_a_stage_is_not_begun_anew_by_a_restart() {
    let mut world = World::new(Device { on_order: vec![], ..Device::new() });
    let start = world.now;
    for _ in 0..100 {
        world.run_until(world.now + 20 * MINUTE);
        world.restart();
    }
    assert!(matches!(world.run().end(), End::TimedOut { .. }));
    assert!(
        world.update().history().last().unwrap().at
            <= start + 24 * 60 * MINUTE + 10 * MINUTE + 100 * 20 * MINUTE
    );
    assert_eq!(world.orders(), 1);
}

#[test]
fn an_open_update_whose_record_is_damaged_ends_with_that_reason() {
    let record = UpdateRecord { id: 7, endpoint: NAME.into(), ended: false, record: vec![0, 200, 3] };
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    engine.restore(5, &record, &mut outbox);
    engine.end_batch(&mut outbox);
    let [ended] = outbox.records.as_slice() else { panic!() };
    assert!(ended.ended && ended.id == 7 && ended.endpoint == NAME);
    let [update] = outbox.progress.as_slice() else { panic!() };
    assert!(update.stage().to_string().contains("cannot be read"), "{}", update.stage());
    assert!(outbox.operations.is_empty() && engine.is_empty());
    let goal =
        buoy_fleet::update::Goal { version: NEW.into(), digest: "ab".into(), delivery: Delivery::Push };
    let next = engine.start(6, &NAME.into(), goal, Default::default(), &mut outbox);
    assert_eq!(next, Ok(8), "an id is used once");
}
