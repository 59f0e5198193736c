//! Requests to devices: their order, their deadlines, sleeping and silent devices, restarts.

use buoy_coap::number::{Code, OptionNumber};
use buoy_server::{Durability, Failure, Intent, OperationId, OperationState, ShardConfig};

use crate::world::{World, peer, read, request};

#[test]
fn an_operation_under_way_follows_the_device_to_its_new_address() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=300"]);
    world.submit(1, "buoy-1", request(Code::POST, &[], b""), Intent::Once, Durability::Transient);
    let first = world.sent.last().unwrap().1.clone();
    assert_eq!(world.update(2000, &location), Code::CHANGED);
    assert_eq!(
        world.sent.last().unwrap(),
        &(peer(2000), first),
        "the same message, lest it be carried out twice"
    );
    world.answer(2000, Code::CHANGED, &[], b"");
    assert_eq!(world.outcome(1), Some(Ok(Code::CHANGED)));
}

#[test]
fn an_operation_brings_the_device_s_answer_back() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Transient);
    let path: Vec<_> = world.last_request().values(OptionNumber::URI_PATH).collect();
    assert_eq!(path, [&b"3303"[..], b"0", b"5700"]);
    world.answer(1000, Code::CONTENT, &[], b"21.5");
    assert_eq!(world.outcome(1), Some(Ok(Code::CONTENT)));
}

#[test]
fn operations_of_a_device_go_one_after_the_other() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    world.sent.clear();
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Transient);
    world.submit(2, "buoy-1", read(), Intent::Once, Durability::Transient);
    assert_eq!(world.sent.len(), 1);
    world.answer(1000, Code::CONTENT, &[], b"1");
    assert_eq!(world.sent.len(), 2);
    world.answer(1000, Code::NOT_FOUND, &[], b"");
    assert_eq!(world.outcome(2), Some(Ok(Code::NOT_FOUND)));
}

#[test]
fn an_operation_on_a_silent_device_fails_after_the_retransmissions() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=3600"]);
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Transient);
    world.wait(100);
    assert_eq!(world.outcome(1), Some(Err(Failure::TimedOut)));
    world.submit(2, "nobody", read(), Intent::Once, Durability::Transient);
    assert_eq!(world.outcome(2), Some(Err(Failure::NotRegistered)));
}

#[test]
fn int_109_operations_wait_for_a_sleeping_device_and_survive_a_restart_of_the_server() {
    let mut world = World::new();
    let location = world.register(1000, "sleeper", &["lt=86400", "Q"]);
    world.wait(120);
    assert!(world.server.shard.registration("sleeper").unwrap().asleep);
    world.sent.clear();
    world.submit(1, "sleeper", read(), Intent::Once, Durability::Durable);
    world.submit(2, "sleeper", read(), Intent::Once, Durability::Durable);
    assert!(world.sent.is_empty());
    let mut world = world.restarted();
    assert_eq!(world.update(1000, &location), Code::CHANGED);
    assert_eq!(world.sent.len(), 2, "the answer, and the first operation");
    world.answer(1000, Code::CONTENT, &[], b"1");
    world.answer(1000, Code::CONTENT, &[], b"2");
    assert_eq!((world.outcome(1), world.outcome(2)), (Some(Ok(Code::CONTENT)), Some(Ok(Code::CONTENT))));
    assert!(world.server.store.operations.values().all(|record| record.state == OperationState::Succeeded));
}

#[test]
fn a_durable_operation_past_its_deadline_expires_and_one_can_be_cancelled() {
    let mut world = World::new();
    world.register(1000, "sleeper", &["lt=86400", "Q"]);
    world.wait(120);
    world.submit(1, "sleeper", read(), Intent::Once, Durability::Durable);
    world.submit(2, "sleeper", read(), Intent::Once, Durability::Durable);
    assert!(world.server.shard.cancel(world.now, OperationId(2), &mut world.server.outbox));
    world.settle();
    world.wait(4000);
    assert_eq!(world.outcome(1), Some(Err(Failure::Expired)));
    assert_eq!(world.outcome(2), Some(Err(Failure::Cancelled)));
    assert_eq!(world.server.store.operations[&1].state, OperationState::Expired);
    assert_eq!(world.server.store.operations[&2].state, OperationState::Cancelled);
}

#[test]
fn a_durable_operation_that_is_one_too_many_has_a_record_of_its_end() {
    let mut world = World::new();
    world.register(1000, "sleeper", &["lt=86400", "Q"]);
    world.wait(120);
    let most = ShardConfig::default().max_operations_per_device as u64;
    for id in 1..=most + 1 {
        world.submit(id, "sleeper", read(), Intent::Once, Durability::Durable);
    }
    assert_eq!(world.server.store.operations[&most].state, OperationState::Queued);
    let refused = &world.server.store.operations[&(most + 1)];
    assert_eq!(
        (refused.state, &refused.failure),
        (OperationState::Failed, &Some(Failure::TooManyOperations))
    );
}

#[test]
fn an_execute_that_was_under_way_at_a_crash_is_not_repeated_unasked() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=86400"]);
    world.submit(1, "buoy-1", request(Code::POST, &[], b""), Intent::Once, Durability::Durable);
    assert_eq!(world.server.store.operations[&1].state, OperationState::Sent);
    let mut world = world.restarted();
    world.sent.clear();
    world.update(1000, &location);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.server.store.operations[&1].failure, Some(Failure::Interrupted));
}

#[test]
fn what_a_device_was_sent_before_it_restarted_is_sent_again_unless_it_was_an_execute() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Patient);
    world.register(1001, "buoy-1", &[]);
    assert_eq!(world.sent.last().unwrap().0, peer(1001));
    world.answer(1001, Code::CONTENT, &[], b"1");
    assert_eq!(world.outcome(1), Some(Ok(Code::CONTENT)));
    world.submit(2, "buoy-1", request(Code::POST, &[], b""), Intent::Once, Durability::Patient);
    world.register(1002, "buoy-1", &[]);
    assert_eq!(world.outcome(2), Some(Err(Failure::Deregistered)));
    // The same when the device leaves in between, and whatever waits longer.
    for (id, is_again) in [(3, true), (4, false)] {
        let location = world.register(1002, "buoy-1", &[]);
        let asked = if is_again { read() } else { request(Code::POST, &[], b"") };
        world.submit(id, "buoy-1", asked, Intent::Once, Durability::Durable);
        world.deregister(1002, &location);
        world.sent.clear();
        world.register(1002, "buoy-1", &[]);
        assert_eq!(world.sent.len(), 1 + usize::from(is_again), "the answer to the Register, and the read");
        assert_eq!(world.outcome(id), (!is_again).then_some(Err(Failure::Deregistered)));
        world.answer(1002, Code::CONTENT, &[], b"1");
    }
}

#[test]
fn what_a_silent_device_may_have_done_is_done_again_only_if_that_is_safe() {
    let tlv = (OptionNumber::CONTENT_FORMAT, &[0x2d, 0x16][..]);
    let text = (OptionNumber::CONTENT_FORMAT, &[][..]);
    for (downlink, is_safe) in [
        (read(), true),
        (request(Code::PUT, &[text], b"1"), true),
        (request(Code::POST, &[tlv], &[0xc1, 1, 1]), true),
        (request(Code::POST, &[text], b"0='x'"), false),
        (request(Code::POST, &[], b""), false),
    ] {
        let mut world = World::new();
        let location = world.register(1000, "buoy-1", &["lt=86400"]);
        let line = format!("{:?} {:?}", downlink.code, downlink.options);
        world.submit(1, "buoy-1", downlink, Intent::Once, Durability::Durable);
        world.wait(100);
        let failure = (!is_safe).then_some(Failure::TimedOut);
        assert_eq!(world.server.store.operations[&1].failure, failure, "{line}");
        world.sent.clear();
        world.update(1000, &location);
        assert_eq!(world.sent.len(), if is_safe { 2 } else { 1 }, "{line}");
    }
}

#[test]
fn a_sleeping_device_gets_what_is_in_its_back_off_at_the_moment_it_wakes() {
    // A device that listens for three seconds, at each of the waits between the repetitions.
    for asleep_for in [5, 12, 25, 40, 60] {
        let mut world = World::new();
        let location = world.register(1000, "sleeper", &["lt=86400", "Q"]);
        world.submit(1, "sleeper", read(), Intent::Once, Durability::Durable);
        world.wait(asleep_for);
        world.sent.clear();
        assert_eq!(world.update(1000, &location), Code::CHANGED);
        assert_eq!(world.sent.len(), 2, "after {asleep_for} s: the answer, and the request once more");
        world.answer(1000, Code::CONTENT, &[], b"1");
        assert_eq!(world.outcome(1), Some(Ok(Code::CONTENT)));
    }
}

#[test]
fn operations_that_ended_leave_no_deadline_behind() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=0"]);
    for id in 1..200 {
        world.submit(id, "buoy-1", read(), Intent::Once, Durability::Patient);
        world.answer(1000, Code::CONTENT, &[], b"1");
    }
    assert_eq!(world.server.shard.next_deadline(), None);
}
