//! Observations, notifications and Send (Core, section 6.4).

use buoy_coap::endpoint::acknowledge;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message};
use buoy_server::{Durability, Event};
use buoy_testkit::message;

use crate::world::{World, observe};

#[test]
fn int_301_an_observation_reports_until_it_is_forgotten_and_then_is_reset() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let (downlink, intent) = observe();
    world.submit(1, "buoy-1", downlink, intent, Durability::Transient);
    let token = world.last_request().token().to_vec();
    world.answer(1000, Code::CONTENT, &[(OptionNumber::OBSERVE, b"\x01")], b"20");
    let id = world.server.shard.observations("buoy-1")[0].id;
    let notify = |world: &mut World, number: u8, message_id, kind| {
        let header = Header { kind, code: Code::CONTENT, message_id, token: &token };
        let datagram = message(header, &[(OptionNumber::OBSERVE, &[number])], b"21");
        world.server.events.clear();
        world.sent.clear();
        world.deliver(1000, &datagram);
        world.server.events.iter().filter(|event| matches!(event, Event::Reported(_))).count()
    };
    assert_eq!(notify(&mut world, 2, 900, Kind::NonConfirmable), 1);
    assert_eq!(notify(&mut world, 2, 901, Kind::NonConfirmable), 0, "it was overtaken");
    assert_eq!(notify(&mut world, 3, 902, Kind::Confirmable), 1);
    assert_eq!(world.sent[0].1, acknowledge(902));
    let mut world = world.restarted();
    assert_eq!(notify(&mut world, 4, 903, Kind::Confirmable), 1, "it outlives a restart");
    world.server.shard.forget_observation(id, &mut world.server.outbox).unwrap();
    world.settle();
    assert_eq!(notify(&mut world, 5, 904, Kind::Confirmable), 0);
    assert_eq!(Message::parse(&world.sent[0].1).unwrap().kind(), Kind::Reset);
}

#[test]
fn an_observation_is_taken_up_again_when_the_device_registers_anew() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let (downlink, intent) = observe();
    world.submit(1, "buoy-1", downlink, intent, Durability::Transient);
    let token = world.last_request().token().to_vec();
    world.answer(1000, Code::CONTENT, &[(OptionNumber::OBSERVE, b"\x01")], b"20");
    world.register(1001, "buoy-1", &[]);
    assert_eq!(world.last_request().token(), token);
    assert!(world.last_request().value(OptionNumber::OBSERVE).is_some());
    world.answer(1001, Code::CONTENT, &[(OptionNumber::OBSERVE, b"\x01")], b"20");
    assert_eq!(world.server.shard.observations("buoy-1").len(), 1);
}

#[test]
fn int_306_send_is_taken_from_a_registered_device_only() {
    let mut world = World::new();
    let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    let payload = br#"[{"bn":"/3303/0/5700","v":21.5}]"#;
    let answer = world.ask(1000, Code::POST, &options, payload);
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::NOT_FOUND);
    world.register(1000, "buoy-1", &[]);
    let answer = world.ask(1000, Code::POST, &options, payload);
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::CHANGED);
    let answer = world.ask(1000, Code::POST, &options, b"[{");
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::BAD_REQUEST);
    assert_eq!(world.server.shard.counters().sends, 1);
}

/// The token of an observation that the device has taken up.
fn observed(world: &mut World) -> Vec<u8> {
    let (downlink, intent) = observe();
    world.submit(900, "buoy-1", downlink, intent, Durability::Transient);
    let token = world.last_request().token().to_vec();
    world.answer(1000, Code::CONTENT, &[(OptionNumber::OBSERVE, b"\x01")], b"20");
    token
}

fn notify(world: &mut World, token: &[u8], number: u16, options: &[(OptionNumber, &[u8])], payload: &[u8]) {
    let number = number.to_be_bytes();
    let mut all = vec![(OptionNumber::OBSERVE, &number[..])];
    all.extend_from_slice(options);
    let message_id = 2000 + u16::from_be_bytes(number);
    let header = Header { kind: Kind::NonConfirmable, code: Code::CONTENT, message_id, token };
    world.deliver(1000, &message(header, &all, payload));
}

#[test]
fn of_an_observation_one_fetch_of_the_rest_waits_however_many_notifications_come() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=3600"]);
    let token = observed(&mut world);
    let letter = |number: u16| b'a' + (number % 26) as u8;
    for number in 2..1000 {
        notify(&mut world, &token, number, &[(OptionNumber::BLOCK2, &[0x08])], &[letter(number); 16]);
    }
    // The fetch under way with its message, and the one that waits.
    assert_eq!(world.server.shard.outstanding(), 3);
    assert_eq!(world.server.shard.counters().notifications_dropped, 996);
    // What was under way fails, for the value has changed; the one that waits is the newest.
    let rest = &[(OptionNumber::BLOCK2, &[0x10][..])];
    world.answer(1000, Code::CONTENT, rest, b"old");
    world.answer(1000, Code::CONTENT, rest, b"new");
    let last = world.server.store.reports.last().unwrap();
    assert_eq!(&last.payload[..16], &[letter(999); 16]);
    assert_eq!(&last.payload[16..], b"new");
    assert_eq!(world.server.shard.outstanding(), 0);
}

#[test]
fn int_306_a_send_is_of_objects_that_were_registered_and_has_values() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    for (format, payload, code) in [
        (110, &br#"[{"bn":"/3303/0/5700","v":21.5}]"#[..], Code::CHANGED),
        (110, br#"[{"n":"/3303/9/5700","v":1}]"#, Code::CHANGED),
        (110, br#"[{"n":"/3304/0/5700","v":1}]"#, Code::NOT_FOUND),
        (110, br#"[{"n":"/3303/0/5700","v":1},{"n":"/5/0/3","v":1}]"#, Code::NOT_FOUND),
        (110, b"[]", Code::BAD_REQUEST),
        (112, &[0x80], Code::BAD_REQUEST),
        (110, br#"[{"n":"/3303/0/5700"}]"#, Code::BAD_REQUEST),
        (110, br#"[{"n":"/3303/0/5700","v":1},{"n":"#, Code::BAD_REQUEST),
        (110, b"", Code::BAD_REQUEST),
        (99, b"1", Code::UNSUPPORTED_CONTENT_FORMAT),
    ] {
        let before = world.server.store.reports.len();
        let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[format])];
        let answer = world.ask(1000, Code::POST, &options, payload);
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.code(), code, "{}", String::from_utf8_lossy(payload));
        assert_eq!(world.server.store.reports.len() > before, code == Code::CHANGED);
    }
}

#[test]
fn a_notification_that_cannot_be_read_is_told_and_its_good_values_are_kept() {
    let unreadable = |world: &World| {
        world.server.events.iter().filter(|it| matches!(it, Event::Unreadable { .. })).count()
    };
    for (format, payload, kept) in [
        (&[110][..], &br#"[{"n":"/3303/0/5700","v":1},{"n":"#[..], 1),
        (&[110], br#"[{"n":"#, 0),
        (&[0x27, 0x0f], b"1", 0),
        (&[112], &[0xff], 0),
    ] {
        let mut world = World::new();
        world.register(1000, "buoy-1", &[]);
        let token = observed(&mut world);
        world.server.store.reports.clear();
        notify(&mut world, &token, 2, &[(OptionNumber::CONTENT_FORMAT, format)], payload);
        assert_eq!((unreadable(&world), world.server.store.reports.len()), (1, kept));
        notify(&mut world, &token, 3, &[(OptionNumber::CONTENT_FORMAT, &[])], b"21.5");
        assert_eq!((unreadable(&world), world.server.store.reports.len()), (1, kept + 1));
    }
}

#[test]
fn of_several_times_in_one_report_the_latest_is_the_present_value() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let payload = br#"[{"bn":"/3303/0/5700","t":-60,"v":1},{"v":2},{"t":-120,"v":3}]"#;
    let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    world.ask(1000, Code::POST, &options, payload);
    let items = world.server.store.reports[0].items();
    let now = world.now.as_millis();
    let found: Vec<_> = items.iter().map(|(_, moment)| (moment.at, moment.is_present)).collect();
    assert_eq!(found, [(now - 60_000, false), (now, true), (now - 120_000, false)]);
}

#[test]
fn the_history_in_the_answer_to_an_observe_is_kept() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let (downlink, intent) = observe();
    world.submit(1, "buoy-1", downlink, intent, Durability::Transient);
    let options = [(OptionNumber::OBSERVE, &b"\x01"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    let payload = br#"[{"bn":"/3303/0/5700","t":-60,"v":1},{"v":2}]"#;
    world.answer(1000, Code::CONTENT, &options, payload);
    assert_eq!(world.outcome(1), Some(Ok(Code::CONTENT)));
    let [report] = &world.server.store.reports[..] else { panic!("one report") };
    assert_eq!(report.items().len(), 2);
    assert!(!world.server.events.iter().any(|event| matches!(event, Event::Reported(_))), "no notification");
}
