//! From the order to install to the end.

use std::time::Duration;

use buoy_fleet::update::{Action, Delivery, End, FIRMWARE_VERSION, Patience, REASON, Stage};

use super::world::{
    Device, HEARD, HOUR, MINUTE, Move, NEW, OLD, RESULTS, Reply, SECOND, Why, World, failures, heard_as,
    installs,
};

const STATES: [i64; 6] = [0, 1, 2, 3, 4, -1];

/// What is so of a device that has been told to install, has come to this, and moves no more.
fn after_execute(
    version: &'static str,
    state: i64,
    result: i64,
    reboots: bool,
    before: i64,
    heard: (bool, bool),
) -> World {
    let mut device = Device { result: before, ..heard_as(heard) };
    device.on_order = vec![(SECOND, Move::State(1)), (MINUTE, Move::State(2))];
    device.on_execute = vec![
        (0, Move::State(3)),
        (MINUTE, Move::Version(version)),
        (MINUTE, Move::Result(result)),
        (MINUTE, Move::State(state)),
    ];
    if reboots {
        device.on_execute.push((MINUTE, Move::Register));
    }
    World::new(device)
}

#[test]
fn the_table_of_what_a_device_says_after_the_order_to_install() {
    for (state, result) in STATES.into_iter().flat_map(|state| RESULTS.map(|result| (state, result))) {
        for version in [OLD, NEW, "0.9.0"] {
            for (reboots, before) in [(false, 0), (true, 0), (false, 1), (true, 1), (false, 8), (true, 8)] {
                for heard in HEARD {
                    let mut world = after_execute(version, state, result, reboots, before, heard);
                    let end = world.run().end();
                    let case = format!(
                        "{version}, state {state}, result {result} after {before}, reboots: {reboots}, {heard:?}: {end}"
                    );
                    let is_failure = !matches!(result, 0 | 1);
                    match (&end, state) {
                        (End::Updated, 0) => {
                            assert!(version == NEW && (!is_failure || result == before), "{case}")
                        }
                        (End::RolledBack { running, result: told }, 0) => {
                            assert!(*running == version && version != NEW && *told == Some(result), "{case}");
                            assert!(reboots || version != OLD, "{case}");
                        }
                        (End::UnexpectedVersion { running, expected }, 0) => {
                            assert!(
                                *running == version && expected == NEW && version != NEW && result == 1,
                                "{case}"
                            );
                        }
                        (End::Refused { result: told }, 0 | 2 | 4 | -1) => {
                            assert!(is_failure && *told == result, "{case}");
                        }
                        (End::TimedOut { said, .. }, _) => {
                            assert_eq!((said.state, said.result), (Some(state), Some(result)), "{case}");
                            let says_nothing = match state {
                                0 => version == OLD && result == 0 && !reboots,
                                2 => !is_failure || result == 11,
                                1 | 3 => true,
                                _ => !is_failure,
                            };
                            assert!(says_nothing, "{case}");
                        }
                        _ => panic!("{case}"),
                    }
                    let may_yet_reboot = result == 1 && version == OLD && !reboots;
                    if !matches!(end, End::TimedOut { .. }) && !may_yet_reboot {
                        world.end_soon();
                    }
                    assert_eq!(world.executes(), 1, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_failing_result_without_a_reboot_ends_the_update_with_its_code() {
    for (state, result) in [0, 2].into_iter().flat_map(|state| failures().map(move |result| (state, result)))
    {
        if (state, result) == (2, 11) {
            continue;
        }
        for heard in HEARD {
            // The device is so fast that nobody sees it in state 3.
            let mut device = heard_as(heard);
            device.on_execute = vec![(0, Move::State(state)), (0, Move::Result(result))];
            assert_eq!(
                World::new(device).run().end_soon(),
                End::Refused { result },
                "state {state}, {heard:?}"
            );
        }
    }
}

#[test]
fn a_deferred_installation_is_told_and_waited_for() {
    let mut device = Device::new();
    device.on_execute = vec![(0, Move::Result(11)), (0, Move::State(2))];
    device.on_execute.extend(installs().into_iter().map(|(after, what)| (after + 5 * HOUR, what)));
    let mut world = World::new(device);
    world.run_until(world.now + 4 * HOUR);
    assert_eq!(world.update().stage(), &Stage::Deferred);
    assert_eq!(world.run().end_soon(), End::Updated);
    assert_eq!(world.executes(), 1);
}

#[test]
fn an_order_to_install_that_is_refused_ends_at_once_with_the_code() {
    for code in
        [4 << 5, 4 << 5 | 1, 4 << 5 | 3, 4 << 5 | 4, 4 << 5 | 5, 4 << 5 | 31, 5 << 5, 5 << 5 | 1, 5 << 5 | 3]
    {
        let mut world = World::new(Device { execute: Reply::Refused(code), ..Device::new() });
        let End::Failed { reason } = world.run().end_soon() else { panic!() };
        assert!(
            reason.contains("/5/0/2") && reason.contains(&format!("{}.{:02}", code >> 5, code & 31)),
            "{reason}"
        );
        let ended_at = world.update().history().last().unwrap().at;
        assert!(ended_at - world.moved_at <= SECOND, "it was told late");
    }
}

#[test]
fn a_new_version_without_a_reboot_is_success() {
    for heard in HEARD {
        for result in [0, 1] {
            let mut device = heard_as(heard);
            device.on_execute = vec![
                (0, Move::State(3)),
                (MINUTE, Move::Version(NEW)),
                (MINUTE, Move::Result(result)),
                (MINUTE, Move::State(0)),
            ];
            assert_eq!(World::new(device).run().end_soon(), End::Updated, "{heard:?}, result {result}");
        }
    }
}

#[test]
fn a_device_that_says_success_and_reboots_then_is_not_told_as_rolled_back() {
    for heard in HEARD {
        let mut device = heard_as(heard);
        device.on_execute = vec![
            (0, Move::State(3)),
            (MINUTE, Move::Result(1)),
            (MINUTE, Move::State(0)),
            (40 * MINUTE, Move::Version(NEW)),
            (40 * MINUTE, Move::Register),
        ];
        assert_eq!(World::new(device).run().end_soon(), End::Updated, "{heard:?}");
    }
}

#[test]
fn a_device_on_trial_is_not_called_updated_and_may_yet_go_back() {
    for heard in HEARD {
        let mut device = heard_as(heard);
        device.on_execute = vec![
            (0, Move::State(3)),
            (MINUTE, Move::Version(NEW)),
            (MINUTE, Move::Register),
            (HOUR, Move::Version(OLD)),
            (HOUR, Move::Result(8)),
            (HOUR, Move::State(0)),
            (HOUR, Move::Register),
        ];
        let mut world = World::new(device);
        world.run_until(world.now + HOUR);
        assert_eq!(world.update().stage(), &Stage::Confirming);
        assert_eq!(world.run().end_soon(), End::RolledBack { running: OLD.into(), result: Some(8) });
    }
}

#[test]
fn a_device_whose_update_failed_is_asked_once_for_the_reason_and_need_not_give_one() {
    for heard in HEARD {
        for (reason, given) in [
            (Why::Given("the new image failed its self-test"), Some("the new image failed its self-test")),
            (Why::NoSuchResource, None),
            (Why::NoAnswer, None),
        ] {
            let mut world = after_execute(OLD, 0, 8, true, 0, heard);
            world.device.reason = reason;
            let end = world.run().end_soon();
            let has_failed =
                matches!(end, End::RolledBack { result: Some(8), .. } | End::Refused { result: 8 });
            assert!(has_failed, "{end}");
            assert_eq!(
                (world.update().reason(), world.count(&Action::Read(REASON))),
                (given, 1),
                "{reason:?}"
            );
            let mut world = after_execute(NEW, 0, 1, true, 0, heard);
            world.device.reason = reason;
            assert_eq!(world.run().end_soon(), End::Updated);
            assert_eq!(
                (world.update().reason(), world.count(&Action::Read(REASON))),
                (None, 0),
                "{reason:?}"
            );
        }
    }
}

#[test]
fn an_expected_version_that_contradicts_the_image_is_told_as_that() {
    for heard in HEARD {
        for version in ["1.1.0", "9.9.9"] {
            let mut device = heard_as(heard);
            device.on_execute[1] = (5 * SECOND, Move::Version(version));
            let mut world = World::with_goal(device, "2.0.0", Delivery::Push);
            let end = End::UnexpectedVersion { running: version.into(), expected: "2.0.0".into() };
            assert_eq!(world.run().end_soon(), end);
            assert!(world.update().stage().to_string().contains("and says success"));
            assert_eq!(world.update().old_version(), Some(OLD));
        }
    }
}

#[test]
fn the_new_version_counts_however_the_device_writes_it() {
    for version in ["1.1.0+0", "v1.1.0", "1.1.0\0", "1.1.0 ", "V1.1.0+0\0"] {
        let mut device = Device::new();
        device.on_execute[1] = (5 * SECOND, Move::Version(version));
        assert_eq!(World::new(device).run().end_soon(), End::Updated, "{version:?}");
    }
    let mut device = Device::new();
    device.on_execute[1] = (5 * SECOND, Move::Version("1.1.01"));
    assert!(matches!(World::new(device).run().end_soon(), End::UnexpectedVersion { .. }));
}

#[test]
fn an_order_to_install_whose_answer_was_lost_is_repeated_only_to_a_device_that_still_has_the_package() {
    for heard in HEARD {
        let mut world = World::new(Device { executes_before: vec![Reply::DoneUnheard], ..heard_as(heard) });
        assert_eq!((world.run().end_soon(), world.executes()), (End::Updated, 1), "{heard:?}");

        let mut world = World::new(Device { executes_before: vec![Reply::Lost; 2], ..heard_as(heard) });
        assert_eq!((world.run().end_soon(), world.executes()), (End::Updated, 3), "{heard:?}");

        let mut world = World::new(Device { execute: Reply::Lost, ..heard_as(heard) });
        let End::Failed { reason } = world.run().end_soon() else { panic!() };
        assert!(reason.contains("/5/0/2") && world.executes() == 3, "{reason}");

        // The first was taken, and the device only starts late: the second is refused, which is no refusal of the first.
        let on_execute: Vec<_> =
            installs().into_iter().map(|(after, what)| (after + 30 * SECOND, what)).collect();
        let executes_before = vec![Reply::DoneUnheard, Reply::Refused(4 << 5 | 5)];
        let mut world = World::new(Device { executes_before, on_execute, ..heard_as(heard) });
        assert_eq!(world.run().end_soon(), End::Updated, "{heard:?}");
    }
}

#[test]
fn a_device_that_registers_before_the_order_to_install_has_reached_it_has_not_rebooted_for_it() {
    let mut device = Device::new();
    device.on_order.push((MINUTE - 1, Move::Away));
    let mut world = World::new(device);
    world.run_until(world.now + MINUTE + SECOND);
    world.device.on_execute =
        vec![(HOUR, Move::State(3)), (HOUR, Move::State(0)), (HOUR, Move::Version(NEW))];
    world.make(Move::Register);
    world.make(Move::Back);
    world.run_until(world.now + MINUTE);
    assert_eq!(world.executes(), 1);
    assert_eq!(world.update().stage(), &Stage::Installing);
    assert_eq!(world.run().end_soon(), End::Updated);
}

#[test]
fn every_wait_ends_and_says_what_the_device_said_last() {
    let mut device = Device::new();
    device.on_execute = vec![(0, Move::State(3))];
    let mut world = World::new(device);
    let End::TimedOut { stage, said } = world.run().end() else { panic!() };
    assert_eq!((*stage, said.state, said.version.as_deref()), (Stage::Installing, Some(3), Some(OLD)));
    assert_eq!(world.heard.last().map(|(_, action)| action), Some(&Action::Read(FIRMWARE_VERSION)));

    let mut device = Device::new();
    device.on_execute = vec![(0, Move::State(3)), (SECOND, Move::Away)];
    assert!(matches!(World::new(device).run().end(), End::TimedOut { .. }));
    assert!(matches!(
        World::new(Device { is_away: true, ..Device::new() }).run().end(),
        End::TimedOut { .. }
    ));
}

#[test]
fn a_short_time_ends_shortly_whether_the_device_answers_or_not() {
    for is_away in [false, true] {
        let mut device = Device::new();
        device.on_execute = vec![(0, Move::State(3))];
        if is_away {
            device.on_execute.push((0, Move::Away));
        }
        let patience = Patience { install: Duration::from_secs(3), ..Patience::default() };
        let mut world = World::with_patience(device, NEW, Delivery::Pull("coap://h/fw".into()), patience);
        assert!(matches!(world.run().end(), End::TimedOut { .. }));
        let ended_at = world.update().history().last().unwrap().at;
        assert!(ended_at - world.moved_at <= 10 * SECOND, "away: {is_away}");
    }
}

#[test]
fn a_device_that_registers_without_end_gets_no_more_time_and_no_more_memory() {
    let mut device = Device::new();
    let flap = |n: u64| {
        [
            (n * 2 * MINUTE, Move::Result(11)),
            (n * 2 * MINUTE, Move::State(2)),
            (n * 2 * MINUTE + MINUTE, Move::State(3)),
            (n * 2 * MINUTE + MINUTE, Move::Register),
        ]
    };
    device.on_execute = (0..2000).flat_map(flap).collect();
    let mut world = World::new(device);
    let start = world.now;
    assert!(matches!(world.run().end(), End::TimedOut { .. }));
    let update = world.update();
    assert!(update.history().len() <= 64);
    assert!(update.history().last().unwrap().at - start < 50 * HOUR);
    assert!(world.store[&1].record.len() < 4096);
}
