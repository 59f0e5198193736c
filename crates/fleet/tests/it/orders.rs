//! From the first question to the order of the package.

use buoy_fleet::update::{Action, Delivery, End};
use buoy_fleet::updates::Event;

use super::world::{
    Device, HEARD, HOUR, MINUTE, Move, NAME, NEW, RESULTS, Reply, SECOND, World, downloads, failures,
    heard_as,
};

#[test]
fn a_device_that_runs_the_version_already_is_left_alone_however_it_writes_it() {
    for version in ["1.1.0", "v1.1.0", "1.1.0+0", "1.1.0\0", " 1.1.0 "] {
        let mut world = World::new(Device { version, result: 8, ..Device::new() });
        assert_eq!(world.run().end_soon(), End::AlreadyRunning, "{version:?}");
        assert_eq!((world.orders(), world.executes()), (0, 0));
    }
}

#[test]
fn a_package_of_somebody_else_is_dropped_before_the_order() {
    for (state, result_of_reset) in [(1, 0), (1, 10), (2, 0), (2, 10)] {
        for heard in HEARD {
            let mut world = World::new(Device { state, result_of_reset, ..heard_as(heard) });
            assert_eq!(world.run().end_soon(), End::Updated, "state {state}, {heard:?}");
            assert_eq!((world.count(&Action::Reset), world.orders(), world.executes()), (1, 1, 1));
        }
    }
}

#[test]
fn a_device_that_refuses_to_drop_a_package_of_somebody_else_is_not_updated() {
    for state in [1, 2] {
        for code in [4 << 5, 4 << 5 | 1, 4 << 5 | 4, 4 << 5 | 5, 4 << 5 | 15, 5 << 5] {
            let mut world = World::new(Device { state, reset: Reply::Refused(code), ..Device::new() });
            let End::Failed { reason } = world.run().end_soon() else { panic!() };
            let named = format!("{}.{:02}", code >> 5, code & 31);
            assert!(reason.contains(&named) && reason.contains("another package"), "{reason}");
            assert_eq!((world.orders(), world.executes()), (0, 0));
        }
    }
}

#[test]
fn a_package_that_a_device_keeps_although_it_agreed_to_drop_it_is_never_installed() {
    // The new order is answered 2.04 too, and nothing comes of it.
    let mut world =
        World::new(Device { state: 2, reset: Reply::DoneInVain, order: Reply::DoneInVain, ..Device::new() });
    let End::TimedOut { said, .. } = world.run().end() else { panic!() };
    assert_eq!((said.state, world.executes()), (Some(2), 0));

    // It takes the new order, and says so by downloading; its own words come late, or only when it is asked.
    for heard in HEARD {
        let mut device = Device { state: 2, reset: Reply::DoneInVain, ..heard_as(heard) };
        device.on_order = vec![(20 * MINUTE, Move::State(1)), (40 * MINUTE, Move::State(2))];
        let mut world = World::new(device);
        assert_eq!(world.run().end_soon(), End::Updated, "{heard:?}");
    }

    // It goes on with the download of somebody else.
    let mut world = World::new(Device { state: 1, reset: Reply::DoneInVain, ..Device::new() });
    world.follow(vec![(5 * MINUTE, Move::State(2))]);
    let End::Failed { reason } = world.run().end() else { panic!() };
    assert!(reason.contains("another package"), "{reason}");
    assert_eq!((world.orders(), world.executes()), (0, 0));
}

#[test]
fn a_device_that_is_busy_with_another_update_is_waited_for() {
    let mut world = World::new(Device { state: 3, ..Device::new() });
    world.follow(vec![(HOUR, Move::State(0))]);
    assert_eq!(world.run().end_soon(), End::Updated);
    let mut world = World::new(Device { state: 3, ..Device::new() });
    world.follow(vec![(HOUR, Move::Version(NEW)), (HOUR, Move::State(0)), (HOUR, Move::Result(1))]);
    assert_eq!(world.run().end_soon(), End::AlreadyRunning);
}

#[test]
fn a_state_that_nobody_knows_is_told_and_not_guessed() {
    for state in [-1, 4, 7, 255] {
        let mut world = World::new(Device { state, ..Device::new() });
        let End::Failed { reason } = world.run().end_soon() else { panic!() };
        assert!(reason.contains(&state.to_string()), "{reason}");
    }
}

#[test]
fn an_order_that_is_refused_ends_with_the_devices_words_and_not_with_a_result_of_long_ago() {
    for result in RESULTS {
        for code in [4 << 5, 4 << 5 | 5, 4 << 5 | 6, 4 << 5 | 13, 5 << 5] {
            let mut world = World::new(Device { result, order: Reply::Refused(code), ..Device::new() });
            let End::Failed { reason } = world.run().end_soon() else { panic!("result {result}") };
            assert!(reason.contains(&format!("{}.{:02}", code >> 5, code & 31)), "{reason}");
        }
    }
}

#[test]
fn an_order_whose_answer_was_lost_is_followed_and_one_that_was_lost_is_given_again() {
    for heard in HEARD {
        let order = Reply::DoneUnheard;
        let mut world = World::new(Device { orders_before: vec![order], ..heard_as(heard) });
        assert_eq!(world.run().end_soon(), End::Updated);
        assert_eq!(world.orders(), 1, "{heard:?}");

        let mut world = World::new(Device { orders_before: vec![Reply::Lost; 2], ..heard_as(heard) });
        assert_eq!(world.run().end_soon(), End::Updated);
        assert_eq!(world.orders(), 3, "{heard:?}");

        let mut world = World::new(Device { order: Reply::Lost, ..heard_as(heard) });
        let End::Failed { reason } = world.run().end_soon() else { panic!() };
        assert!(reason.contains("did not answer"), "{reason}");
    }
}

#[test]
fn a_push_that_broke_is_repeated_and_not_for_ever() {
    let incomplete = Reply::Refused(4 << 5 | 8);
    let on_order = vec![(0, Move::State(2))];
    for breaks in 0..=3 {
        let orders_before = vec![incomplete; breaks];
        let mut world = World::push(Device { orders_before, on_order: on_order.clone(), ..Device::new() });
        assert_eq!(world.run().end_soon(), End::Updated);
        assert_eq!(world.orders(), breaks + 1);
    }
    let mut world = World::push(Device { order: incomplete, on_order, ..Device::new() });
    let End::Failed { reason } = world.run().end_soon() else { panic!() };
    assert!(reason.contains("4.08"), "{reason}");
    assert_eq!(world.orders(), 4);
}

#[test]
fn a_push_whose_end_was_lost_is_repeated_unless_the_package_is_whole() {
    let part = vec![(0, Move::State(1))];
    let mut world =
        World::push(Device { orders_before: vec![Reply::DoneUnheard], on_order: part, ..Device::new() });
    world.run_until(world.now + SECOND);
    world.device.on_order = downloads();
    assert_eq!(world.run().end_soon(), End::Updated);
    assert_eq!(world.orders(), 2);

    let whole = vec![(0, Move::State(2))];
    let mut world =
        World::push(Device { orders_before: vec![Reply::DoneUnheard], on_order: whole, ..Device::new() });
    assert_eq!(world.run().end_soon(), End::Updated);
    assert_eq!(world.orders(), 1);
}

#[test]
fn a_device_that_has_no_time_for_an_order_is_asked_later() {
    for code in [5 << 5 | 3, 4 << 5 | 29] {
        let mut world = World::new(Device { orders_before: vec![Reply::Refused(code); 2], ..Device::new() });
        assert_eq!(world.run().end_soon(), End::Updated);
        assert_eq!(world.orders(), 3);
    }
}

#[test]
fn a_result_of_before_never_refuses_an_update_however_late_the_download_starts() {
    for result in RESULTS {
        for delay in [0, 10, SECOND, MINUTE, 3 * HOUR] {
            for heard in HEARD {
                // The device keeps its old result until it has another one.
                let mut device = Device { result, ..heard_as(heard) };
                device.on_order = vec![(delay, Move::State(1)), (delay + MINUTE, Move::State(2))];
                let mut world = World::new(device);
                assert_eq!(world.run().end_soon(), End::Updated, "result {result}, {delay} ms, {heard:?}");
                assert_eq!(
                    (world.orders(), world.executes()),
                    (1, 1),
                    "result {result}, {delay} ms, {heard:?}"
                );
            }
        }
    }
}

#[test]
fn a_result_of_before_that_is_notified_late_is_no_verdict() {
    for result in failures() {
        let mut world = World::new(Device { result, on_order: vec![], ..Device::new() });
        world.run_until(world.now + MINUTE);
        for value in [0, 1, result] {
            world.event(&Event::Said(NAME, buoy_fleet::update::Value::Result(value)));
        }
        world.event(&Event::Said(NAME, buoy_fleet::update::Value::State(0)));
        assert!(!world.update().has_ended(), "result {result}");
        world.follow(downloads());
        assert_eq!(world.run().end_soon(), End::Updated);
    }
}

#[test]
fn a_cancelled_update_takes_the_order_back() {
    let mut world = World::with_goal(Device::new(), NEW, Delivery::Pull("coap://h/fw".into()));
    world.run_until(world.now + 10 * SECOND);
    assert!(world.engine.cancel(world.now, 1, &mut world.outbox));
    world.run();
    assert_eq!((world.end(), world.count(&Action::Reset), world.device.state), (End::Cancelled, 1, 0));
    assert!(world.engine.cares_for(NAME).is_none());
}
