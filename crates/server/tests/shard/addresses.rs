//! Addresses that are only claimed, and addresses that several devices have (ADR 5).

use std::sync::Arc;

use buoy_coap::endpoint::{acknowledge, reject};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::path::Path;
use buoy_server::{Body, Downlink, Durability, Intent};
use buoy_testkit::message;

use crate::world::{World, peer, read, request};

/// Something that is done to a world, and what it is called.
type Case<T> = (&'static str, fn(&mut World, T));

/// Bytes that the server sent to an address.
fn bytes_to(world: &World, port: u16) -> usize {
    world.sent.iter().filter(|(to, _)| *to == peer(port)).map(|(_, datagram)| datagram.len()).sum()
}

/// The shortest Register of an endpoint.
fn short_register(message_id: u16, endpoint: &str) -> Vec<u8> {
    let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id, token: b"" };
    let endpoint = format!("ep={endpoint}");
    let options = [
        (OptionNumber::URI_PATH, &b"rd"[..]),
        (OptionNumber::URI_QUERY, endpoint.as_bytes()),
        (OptionNumber::URI_QUERY, b"lwm2m=1.0"),
    ];
    message(header, &options, b"")
}

#[test]
fn an_address_that_is_only_claimed_gets_at_most_three_times_what_came_from_it_whatever_waits() {
    let large = || request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &[7; 900]);
    let waiting: [Case<Downlink>; 4] = [
        ("a large write", |world, large| {
            world.submit(1, "sleeper", large, Intent::Once, Durability::Durable);
        }),
        ("reads", |world, _| {
            (1..40).for_each(|id| world.submit(id, "sleeper", read(), Intent::Once, Durability::Durable));
        }),
        ("observations", |world, _| {
            for id in 1..10 {
                let paths = Arc::from([Path::resource(3303, id, 5700)]);
                let intent = Intent::Observe { paths, composite: false };
                let observe = request(Code::GET, &[(OptionNumber::OBSERVE, b"")], b"");
                world.submit(u64::from(id), "sleeper", observe, intent, Durability::Patient);
                world.answer(1000, Code::CONTENT, &[(OptionNumber::OBSERVE, b"\x01")], b"20");
            }
        }),
        ("nothing", |_, _| {}),
    ];
    for (name, wait_for_it) in waiting {
        let mut world = World::new();
        world.register(1000, "sleeper", &["lt=0", "Q"]);
        if name != "observations" {
            world.wait(120);
        }
        wait_for_it(&mut world, large());
        let mut world = world.restarted();
        world.answers_pings = false;
        for register in 1..4 {
            let forged = short_register(register, "sleeper");
            world.sent.clear();
            world.deliver(4000, &forged);
            // Its duplicates, and all repetitions of ours.
            world.deliver(4000, &forged);
            world.wait(600);
            let limit = 2 * 3 * forged.len();
            assert!(bytes_to(&world, 4000) <= limit, "{name}: {} of {limit} bytes", bytes_to(&world, 4000));
        }
    }
}

#[test]
fn what_is_too_large_for_a_claimed_address_goes_out_when_the_address_is_proved_by_whatever_means() {
    let large = || request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &[7; 900]);
    let is_sent = |world: &World| world.sent.iter().any(|(_, datagram)| datagram.len() > 900);
    let proofs: [Case<String>; 5] = [
        ("the Reset of a ping", |world, _| {
            let reset = reject(world.ping());
            world.deliver(1000, &reset);
        }),
        ("its acknowledgement, as Wakaama sends", |world, _| {
            let acknowledgement = acknowledge(world.ping());
            world.deliver(1000, &acknowledgement);
        }),
        ("its refusal", |world, _| {
            let (kind, code) = (Kind::Acknowledgement, Code::METHOD_NOT_ALLOWED);
            let header = Header { kind, code, message_id: world.ping(), token: b"" };
            world.deliver(1000, &message(header, &[], b""));
        }),
        ("a request for the location that was told to the address", |world, location| {
            world.update(1000, &location);
        }),
        ("an Echo value", |world, _| {
            let path = [(OptionNumber::URI_PATH, &b"fw"[..])];
            let answer = world.ask(1000, Code::GET, &path, b"");
            let echo = Message::parse(&answer).unwrap().value(OptionNumber::ECHO).unwrap().to_vec();
            let options = [path[0], (OptionNumber::ECHO, &echo)];
            world.ask(1000, Code::GET, &options, b"");
            world.wait(3);
        }),
    ];
    for (name, prove) in proofs {
        let mut world = World::new();
        world.answers_pings = false;
        world.server.shard.set_file("fw", Some(Body::new(vec![5u8; 3000])));
        let location = world.register(1000, "buoy-1", &["lt=300"]);
        world.submit(1, "buoy-1", large(), Intent::Once, Durability::Patient);
        assert!(!is_sent(&world), "{name}");
        prove(&mut world, location);
        assert!(is_sent(&world), "{name}");
    }
}

#[test]
fn a_device_that_forges_its_address_cannot_prove_it_by_what_it_knows_from_its_own() {
    let large = || request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &[7; 900]);
    let mut world = World::new();
    let location = world.register(1000, "insider", &["lt=300"]);
    // It knows the request that is under way, with its token, and its location.
    world.submit(1, "insider", read(), Intent::Once, Durability::Patient);
    let under_way = world.last_request().token().to_vec();
    let message_id = world.last_request().message_id();
    world.submit(2, "insider", large(), Intent::Once, Durability::Patient);
    world.answers_pings = false;
    world.sent.clear();
    let mut received = 0;
    for id in 1..4 {
        let header = Header { kind: Kind::NonConfirmable, code: Code::POST, message_id: id, token: b"" };
        let options = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, location.as_bytes())];
        let update = message(header, &options, b"");
        world.deliver(4000, &update);
        received += update.len();
    }
    let header = Header { kind: Kind::Acknowledgement, code: Code::CONTENT, message_id, token: &under_way };
    let answer = message(header, &[], b"1");
    world.deliver(4000, &answer);
    received += answer.len();
    world.wait(200);
    assert!(bytes_to(&world, 4000) <= 3 * received, "{} of {received}", bytes_to(&world, 4000));
}

#[test]
fn the_newest_registration_has_an_address_and_the_older_one_waits_until_it_is_heard_again() {
    let mut world = World::new();
    let older = world.register(1000, "older", &["lt=3600"]);
    world.submit(1, "older", read(), Intent::Once, Durability::Patient);
    world.submit(2, "older", read(), Intent::Once, Durability::Patient);
    let stale = world.last_request().token().to_vec();
    world.register(1000, "newer", &["lt=3600"]);
    world.sent.clear();
    world.submit(3, "older", read(), Intent::Once, Durability::Patient);
    world.wait(200);
    assert!(world.sent.is_empty(), "nothing for the older one goes to the newer one's address");
    // What the newer one says is its own, and its answer to a request of the older one's counts for nobody.
    let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    world.ask(1000, Code::POST, &options, br#"[{"bn":"/3303/0/5700","v":21.5}]"#);
    let reporters: Vec<_> = world.server.store.reports.iter().map(|report| &*report.endpoint).collect();
    assert_eq!(reporters, ["newer"]);
    let header = Header { kind: Kind::NonConfirmable, code: Code::CONTENT, message_id: 1, token: &stale };
    world.deliver(1000, &message(header, &[], b"66"));
    assert_eq!(world.outcome(1), None);
    // After a restart it is the same.
    let mut world = world.restarted();
    world.sent.clear();
    world.submit(4, "older", read(), Intent::Once, Durability::Patient);
    world.submit(5, "newer", read(), Intent::Once, Durability::Patient);
    assert_eq!(world.sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [peer(1000)]);
    world.answer(1000, Code::CONTENT, &[], b"5");
    assert_eq!((world.outcome(4), world.outcome(5)), (None, Some(Ok(Code::CONTENT))));
    // It speaks from another address, and gets what waited.
    assert_eq!(world.update(2000, &older), Code::CHANGED);
    assert_eq!(world.sent.last().unwrap().0, peer(2000));
    world.answer(2000, Code::CONTENT, &[], b"4");
    assert_eq!(world.outcome(4), Some(Ok(Code::CONTENT)));
}

#[test]
fn whoever_was_heard_last_with_its_own_location_has_a_shared_address() {
    let mut world = World::new();
    let first = world.register(1000, "first", &["lt=3600"]);
    world.register(1000, "second", &["lt=3600"]);
    assert_eq!(world.update(1000, &first), Code::CHANGED);
    let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    world.ask(1000, Code::POST, &options, br#"[{"bn":"/3303/0/5700","v":21.5}]"#);
    assert_eq!(&*world.server.store.reports[0].endpoint, "first");
}
