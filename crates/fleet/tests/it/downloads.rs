//! From the order of the package to the order to install it.

use buoy_fleet::update::{Action, End, RESULT, STATE, Stage};

use super::world::{
    Device, HEARD, HOUR, MINUTE, Move, NEW, RESULTS, SECOND, World, downloads, failures, heard_as,
};

#[test]
fn a_download_that_fails_ends_with_the_devices_code_whatever_result_was_there_before() {
    for before in RESULTS {
        for result in failures() {
            for heard in HEARD {
                for result_first in [false, true] {
                    let mut device = Device { result: before, ..heard_as(heard) };
                    let mut end = [(6 * MINUTE, Move::State(0)), (6 * MINUTE, Move::Result(result))];
                    if result_first {
                        end.reverse();
                    }
                    device.on_order = [[(SECOND, Move::State(1)), (SECOND, Move::Result(0))], end].concat();
                    let mut world = World::new(device);
                    let case = format!("{before} before {result}, {heard:?}, result first: {result_first}");
                    assert_eq!(world.run().end_soon(), End::Refused { result }, "{case}");
                    assert_eq!(world.executes(), 0);
                }
            }
        }
    }
}

#[test]
fn a_download_that_fails_as_the_one_before_is_told_by_its_state() {
    for result in failures() {
        for heard in HEARD {
            let mut device = Device { result, ..heard_as(heard) };
            device.on_order = vec![(SECOND, Move::State(1)), (10 * MINUTE, Move::State(0))];
            assert_eq!(World::new(device).run().end_soon(), End::Refused { result }, "{heard:?}");
        }
    }
}

#[test]
fn a_refusal_that_comes_at_once_is_told_by_its_new_code() {
    for before in RESULTS {
        for result in failures().filter(|result| *result != before) {
            for heard in HEARD {
                let mut device = Device { result: before, ..heard_as(heard) };
                device.on_order = vec![(0, Move::Result(result))];
                assert_eq!(
                    World::new(device).run().end_soon(),
                    End::Refused { result },
                    "{before}, {heard:?}"
                );
            }
        }
    }
}

#[test]
fn a_device_that_cannot_be_observed_is_read_now_and_then() {
    let mut device = heard_as((false, false));
    device.on_order = vec![(SECOND, Move::State(1)), (10 * HOUR, Move::State(2))];
    let mut world = World::new(device);
    world.run_until(world.now + 9 * HOUR);
    let reads = world.count(&Action::Read(STATE)) as u64;
    assert!(
        (9 * HOUR / (6 * MINUTE)..9 * HOUR / (2 * MINUTE)).contains(&reads),
        "{reads} reads in nine hours"
    );
    assert!(world.count(&Action::Read(RESULT)) < 5, "a device that downloads is asked for its state only");
    assert_eq!(world.run().end_soon(), End::Updated);
}

#[test]
fn a_device_that_does_not_answer_is_asked_one_question_and_no_more() {
    let mut device = Device::new();
    device.on_order = vec![
        (SECOND, Move::State(1)),
        (MINUTE, Move::Away),
        (20 * HOUR, Move::State(2)),
        (21 * HOUR, Move::Back),
    ];
    let mut world = World::new(device);
    world.run_until(world.now + 20 * HOUR);
    let asked = world.heard.len();
    assert_eq!(world.run().end_soon(), End::Updated);
    assert!(world.heard.len() < asked + 20);
}

#[test]
fn a_device_that_reports_itself_is_asked_at_that_moment() {
    for contact in [Move::Contact, Move::Register] {
        let mut device = heard_as((false, false));
        device.on_order =
            vec![(SECOND, Move::State(1)), (HOUR + 2 * MINUTE, Move::State(2)), (HOUR + 2 * MINUTE, contact)];
        let mut world = World::new(device);
        let start = world.now;
        world.run_until(start + HOUR + 2 * MINUTE + SECOND);
        assert_eq!(world.executes(), 1, "{contact:?}");
    }
}

#[test]
fn a_chatty_device_is_not_asked_at_each_word() {
    let mut device = Device::new();
    device.on_order = vec![(SECOND, Move::State(1))];
    device.on_order.extend((10..3600).map(|second| (second * SECOND, Move::Contact)));
    let mut world = World::new(device);
    world.run_until(world.now + HOUR);
    assert!(world.count(&Action::Read(STATE)) < 400, "{}", world.count(&Action::Read(STATE)));
}

#[test]
fn an_order_that_is_lost_in_a_reboot_is_given_again_and_not_for_ever() {
    for heard in HEARD {
        let mut device = heard_as(heard);
        device.on_order = vec![(SECOND, Move::State(1)), (MINUTE, Move::State(0)), (MINUTE, Move::Register)];
        let mut world = World::new(device);
        world.run_until(world.now + MINUTE);
        world.device.on_order = downloads();
        assert_eq!(world.run().end_soon(), End::Updated, "{heard:?}");
        assert_eq!(world.orders(), 2);
    }
    let mut device = Device::new();
    device.on_order = vec![(SECOND, Move::State(1)), (MINUTE, Move::State(0))];
    let mut world = World::new(device);
    let End::Failed { reason } = world.run().end_soon() else { panic!() };
    assert!(reason.contains("without a result"), "{reason}");
    assert_eq!(world.orders(), 4);
}

#[test]
fn a_result_that_comes_a_moment_after_its_state_is_waited_for() {
    let mut device = Device::new();
    device.on_order =
        vec![(SECOND, Move::State(1)), (MINUTE, Move::State(0)), (MINUTE + 5 * SECOND, Move::Result(5))];
    let mut world = World::new(device);
    assert_eq!(world.run().end_soon(), End::Refused { result: 5 });
    assert_eq!(world.orders(), 1);
}

#[test]
fn a_device_that_installs_by_itself_is_believed() {
    for heard in HEARD {
        let mut device = heard_as(heard);
        device.on_order = downloads()[..2].to_vec();
        device.on_order.extend([
            (MINUTE, Move::State(3)),
            (2 * MINUTE, Move::Version(NEW)),
            (2 * MINUTE, Move::Register),
            (3 * MINUTE, Move::State(0)),
            (3 * MINUTE, Move::Result(1)),
        ]);
        let mut world = World::new(device);
        assert_eq!(world.run().end_soon(), End::Updated, "{heard:?}");
        assert_eq!(world.executes(), 0);
    }
}

#[test]
fn at_the_end_of_its_time_a_device_has_the_last_word() {
    // It has the package in the very last minutes, and nothing told so.
    let mut device = heard_as((false, false));
    device.on_order = vec![(SECOND, Move::State(1)), (24 * HOUR - SECOND, Move::State(2))];
    assert_eq!(World::new(device).run().end_soon(), End::Updated);

    // It never begins: what it said is told, and so is that its result is not of this update.
    let mut world = World::new(Device { result: 8, on_order: vec![], ..Device::new() });
    let End::TimedOut { stage, said } = world.run().end() else { panic!() };
    assert_eq!((*stage, said.state, said.result), (Stage::Downloading, Some(0), Some(8)));
    let told = world.update().stage().to_string();
    assert!(told.contains("state 0, idle") && told.contains("result 8"), "{told}");
}
