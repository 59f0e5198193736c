//! Register, Update, Deregister, and what stays of a registration over restarts (Core, section 6.2).

use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Calendar;
use buoy_coap::wire::Message;
use buoy_server::{Durability, Event, Intent, ShardConfig};

use crate::world::{World, peer, read};

#[test]
fn int_101_a_registration_is_saved_before_its_answer_and_found_after_a_restart() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=300", "b=U"]);
    assert_eq!(world.server.store.registrations.len(), 1);
    let mut world = world.restarted();
    let registration = world.server.shard.registration("buoy-1").unwrap();
    assert_eq!(
        (registration.lifetime, registration.version, registration.id()),
        (300, (1, 1), location.as_str())
    );
    assert_eq!(registration.objects.text(), "</1/0>,</3/0>,</3303/0>");
    assert_eq!(world.update(1000, &location), Code::CHANGED);
}

#[test]
fn int_102_an_update_from_a_new_address_moves_the_device() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=300"]);
    assert_eq!(world.update(2000, &location), Code::CHANGED);
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Transient);
    assert_eq!(world.sent.last().unwrap().0, peer(2000));
}

#[test]
fn int_103_a_deregistered_device_is_gone() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &[]);
    let options = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, location.as_bytes())];
    let answer = world.ask(1000, Code::DELETE, &options, b"");
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::DELETED);
    assert!(world.server.shard.is_empty() && world.server.store.registrations.is_empty());
    assert_eq!(world.update(1000, &location), Code::NOT_FOUND);
}

#[test]
fn int_105_an_update_of_an_unknown_location_is_4_04() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &[]);
    let other = if location.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{other}", &location[..19]);
    assert_eq!(world.update(1000, &forged), Code::NOT_FOUND);
    assert_eq!(world.update(1000, "nonsense"), Code::NOT_FOUND);
}

#[test]
fn int_107_a_registration_ends_after_its_lifetime_unless_it_is_updated() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=60"]);
    world.wait(50);
    world.update(1000, &location);
    world.wait(50);
    assert_eq!(world.server.shard.len(), 1);
    world.wait(30);
    assert!(world.server.shard.is_empty() && world.server.store.registrations.is_empty());
    assert!(world.server.events.iter().any(|event| matches!(event, Event::Expired(_))));
}

#[test]
fn a_restart_expires_nobody_although_the_times_of_last_contact_in_the_store_are_old() {
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=300"]);
    for _ in 0..10 {
        world.wait(200);
        world.update(1000, &location);
    }
    let mut world = world.restarted();
    world.wait(200);
    assert_eq!(world.update(1000, &location), Code::CHANGED);
    world.wait(310);
    assert!(world.server.shard.is_empty());
}

#[test]
fn a_device_that_registers_again_replaces_its_old_registration() {
    let mut world = World::new();
    let old = world.register(1000, "buoy-1", &[]);
    let new = world.register(1001, "buoy-1", &[]);
    assert_eq!((world.server.shard.len(), world.server.store.registrations.len()), (1, 1));
    assert_ne!(old, new);
    assert_eq!(world.update(1000, &old), Code::NOT_FOUND);
}

#[test]
fn a_repeated_register_gets_the_same_answer_and_registers_once() {
    let mut world = World::new();
    let options = [
        (OptionNumber::URI_PATH, &b"rd"[..]),
        (OptionNumber::CONTENT_FORMAT, &[40]),
        (OptionNumber::URI_QUERY, b"ep=a"),
        (OptionNumber::URI_QUERY, b"lwm2m=1.0"),
    ];
    let first = world.ask(1000, Code::POST, &options, b"</1/0>");
    world.next_id -= 1;
    assert_eq!(world.ask(1000, Code::POST, &options, b"</1/0>"), first);
    assert_eq!(world.server.shard.counters().registered, 1);
}

#[test]
fn a_bad_registration_is_refused_with_a_reason() {
    let mut world = World::new();
    let path = (OptionNumber::URI_PATH, &b"rd"[..]);
    for (queries, payload, code) in [
        (vec![], &b"</1/0>"[..], Code::BAD_REQUEST),
        (vec!["ep="], b"</1/0>", Code::BAD_REQUEST),
        (vec!["ep=a", "lt=x"], b"</1/0>", Code::BAD_REQUEST),
        (vec!["ep=a", "lwm2m=9.9"], b"</1/0>", Code::PRECONDITION_FAILED),
        (vec!["ep=a"], b"</1/0", Code::BAD_REQUEST),
        (vec!["ep=a"], b"\xff", Code::BAD_REQUEST),
    ] {
        let mut options = vec![path, (OptionNumber::CONTENT_FORMAT, &[40])];
        if !queries.iter().any(|query| query.starts_with("lwm2m")) {
            options.push((OptionNumber::URI_QUERY, b"lwm2m=1.1"));
        }
        options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())));
        let answer = world.ask(1000, Code::POST, &options, payload);
        assert_eq!(Message::parse(&answer).unwrap().code(), code, "{queries:?}");
    }
    assert!(world.server.shard.is_empty() && world.server.store.registrations.is_empty());
}

#[test]
fn a_lifetime_of_zero_never_ends_neither_by_register_nor_by_update_nor_after_a_restart() {
    const TEN_YEARS: u64 = 10 * 365 * 86_400;
    let mut world = World::new();
    let endless = world.register(1000, "endless", &["lt=0"]);
    let location = world.register(1001, "later-endless", &["lt=300"]);
    let options = |location: &str, query: &str| {
        let request = [
            (OptionNumber::URI_PATH, b"rd".to_vec()),
            (OptionNumber::URI_PATH, location.as_bytes().to_vec()),
            (OptionNumber::URI_QUERY, query.as_bytes().to_vec()),
        ];
        request.map(|(number, value)| (number, &*value.leak()))
    };
    let answer = world.ask(1001, Code::POST, &options(&location, "lt=0"), b"");
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::CHANGED);
    assert_eq!(world.update(1000, &endless), Code::CHANGED);
    assert_eq!(world.server.shard.next_deadline(), None, "no timer runs for what never ends");
    world.wait(TEN_YEARS);
    assert_eq!(world.server.shard.len(), 2);

    let mut world = world.restarted();
    assert_eq!(world.server.shard.next_deadline(), None);
    world.wait(TEN_YEARS);
    for endpoint in ["endless", "later-endless"] {
        assert_eq!(world.server.shard.registration(endpoint).unwrap().lifetime, 0);
    }
    // And back: an end that is said counts again.
    let answer = world.ask(1000, Code::POST, &options(&endless, "lt=60"), b"");
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::CHANGED);
    world.wait(70);
    assert_eq!(world.server.shard.len(), 1);
}

#[test]
fn a_clock_that_is_set_moves_dates_and_no_lifetimes() {
    const FIFTY_YEARS: i64 = 50 * 365 * 86_400 * 1000;
    let mut world = World::new();
    let location = world.register(1000, "buoy-1", &["lt=300"]);
    let before = world.server.shard.registration("buoy-1").unwrap();
    // The machine learns what time it is.
    world.server.shard.set_calendar(Calendar::ahead_by(FIFTY_YEARS));
    world.wait(250);
    let after = world.server.shard.registration("buoy-1").unwrap();
    assert_eq!(after.registered_at, before.registered_at + FIFTY_YEARS as u64);
    assert_eq!(world.update(1000, &location), Code::CHANGED);
    world.wait(310 + 60);
    assert_eq!(world.server.shard.len(), 0, "and its lifetime ends when it would have");

    // What was saved in the time to come is of now at the latest, so that nobody stays for years.
    world.register(1000, "buoy-1", &["lt=300"]);
    let mut world = world.restarted();
    assert_eq!(world.server.shard.len(), 1);
    world.wait(1000);
    assert_eq!(world.server.shard.len(), 0);
}

#[test]
fn a_registration_has_one_appointment_however_often_its_device_registers_or_changes_its_lifetime() {
    let mut world = World::new();
    let mut location = String::new();
    for _ in 0..50 {
        location = world.register(1000, "restless", &["lt=4294967295", "Q"]);
    }
    for lifetime in (0..50).map(|n| if n % 2 == 0 { "lt=4294967294" } else { "lt=60" }) {
        let options = [
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::URI_PATH, location.as_bytes()),
            (OptionNumber::URI_QUERY, lifetime.as_bytes()),
        ];
        world.ask(1000, Code::POST, &options, b"");
    }
    assert_eq!(world.server.shard.appointments(), 2, "its expiry and its nap");
}

#[test]
fn unproved_registrations_have_a_quota_and_a_longest_lifetime_and_proved_ones_have_not() {
    let config = ShardConfig { max_unproved: 3, ..ShardConfig::default() };
    let mut world = World::with(config);
    world.register(1000, "proved", &["lt=4294967295"]);
    world.answers_pings = false;
    for port in 1..4 {
        world.register(port, &format!("forged-{port}"), &["lt=4294967295"]);
    }
    let before = world.server.store.registrations.len();
    let register = |world: &mut World, echo: Option<&[u8]>| {
        let mut options = vec![
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, b"ep=late"),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        ];
        options.extend(echo.map(|echo| (OptionNumber::ECHO, echo)));
        world.ask(4, Code::POST, &options, b"</1/0>")
    };
    let answer = register(&mut world, None);
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.code(), Code::UNAUTHORIZED);
    assert_eq!(world.server.store.registrations.len(), before, "nothing is kept for it");
    let echo = answer.value(OptionNumber::ECHO).unwrap().to_vec();
    let answer = register(&mut world, Some(&echo));
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::CREATED);
    let mut world = world.restarted();
    world.wait(2 * 86_400);
    let left: Vec<_> = world.server.shard.registrations().map(|it| it.endpoint.to_string()).collect();
    assert_eq!(left, ["proved"], "after two days without a word");
}

#[test]
fn last_contacts_are_saved_a_slice_at_a_time_and_only_where_they_changed() {
    let mut world = World::new();
    let locations: Vec<_> =
        (0..100).map(|n| world.register(1000 + n, &format!("buoy-{n}"), &["lt=86400"])).collect();
    let save = |world: &mut World, most: usize| {
        let shard = &mut world.server.shard;
        let more = shard.save_last_contacts(most, &mut world.server.outbox);
        let saved = world.server.outbox.changes.len();
        world.settle();
        (saved, more)
    };
    while save(&mut world, 1000).1 {}
    assert_eq!(save(&mut world, 1000), (0, false), "nothing has changed");
    world.wait(600);
    for (port, location) in (1000..).zip(&locations).take(50) {
        world.update(port, location);
    }
    let (mut saved, mut slices) = (0, 0);
    loop {
        let (slice, more) = save(&mut world, 7);
        assert!(slice <= 7);
        (saved, slices) = (saved + slice, slices + 1);
        if !more {
            break;
        }
    }
    assert_eq!((saved, save(&mut world, 1000)), (50, (0, false)));
    assert!(slices > 7);
    let now = world.now.as_millis();
    let world = world.restarted();
    let heard = world.server.shard.registrations().filter(|it| it.last_contact == now).count();
    assert_eq!(heard, 50);
}

#[test]
fn int_108_in_lwm2m_1_0_the_binding_of_an_update_replaces_the_one_before() {
    let mut world = World::new();
    let register = |world: &mut World, version: &[u8], queries: &[&[u8]]| {
        let mut options: Vec<(OptionNumber, &[u8])> = vec![
            (OptionNumber::URI_PATH, b"rd"),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, b"ep=buoy-1"),
            (OptionNumber::URI_QUERY, version),
        ];
        options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, *query)));
        let answer = world.ask(1000, Code::POST, &options, b"</1/0>,</3/0>");
        let answer = Message::parse(&answer).unwrap();
        answer.values(OptionNumber::LOCATION_PATH).nth(1).unwrap().to_vec()
    };
    let update = |world: &mut World, location: &[u8], binding: &[u8]| {
        let options = [
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::URI_PATH, location),
            (OptionNumber::URI_QUERY, binding),
        ];
        world.ask(1000, Code::POST, &options, b"");
        world.server.shard.registration("buoy-1").unwrap().queue_mode
    };
    let location = register(&mut world, b"lwm2m=1.0", &[b"b=UQ"]);
    assert!(world.server.shard.registration("buoy-1").unwrap().queue_mode);
    assert!(!update(&mut world, &location, b"b=U"), "queue mode has ended");
    world.wait(200);
    assert!(!world.server.shard.registration("buoy-1").unwrap().asleep);
    world.submit(1, "buoy-1", read(), Intent::Once, Durability::Transient);
    world.answer(1000, Code::CONTENT, &[], b"1");
    assert_eq!(world.outcome(1), Some(Ok(Code::CONTENT)));
    assert!(update(&mut world, &location, b"b=UQ"));
    world.wait(200);
    assert!(world.server.shard.registration("buoy-1").unwrap().asleep, "it sleeps again");
    // Since 1.1 Register alone says so, by Q, and a binding says nothing of it.
    let location = register(&mut world, b"lwm2m=1.1", &[b"Q"]);
    assert!(update(&mut world, &location, b"b=U"));
}

#[test]
fn names_that_look_like_others_are_refused() {
    let mut world = World::new();
    for (name, code) in [
        ("buoy-1", Code::CREATED),
        ("Büro", Code::CREATED),
        ("buoy-1 ", Code::BAD_REQUEST),
        (" buoy-1", Code::BAD_REQUEST),
        ("buoy-1\u{200b}", Code::BAD_REQUEST),
        ("\u{202e}1-youb", Code::BAD_REQUEST),
        ("buoy\u{1b}[31m", Code::BAD_REQUEST),
    ] {
        let endpoint = format!("ep={name}");
        let options = [
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, endpoint.as_bytes()),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        ];
        let answer = world.ask(1000, Code::POST, &options, b"</1/0>");
        assert_eq!(Message::parse(&answer).unwrap().code(), code, "{name:?}");
    }
}

#[test]
fn a_log_of_events_keeps_no_object_lists_alive() {
    let mut world = World::new();
    for round in 0..50 {
        let list = format!("</3303/{round}>,{}", "</3304/0>,".repeat(1000));
        let queries = ["ep=large", "lwm2m=1.1", "lt=300"];
        for (number, chunk) in list.trim_end_matches(',').as_bytes().chunks(1024).enumerate() {
            let more = (number + 1) * 1024 < list.len() - 1;
            let block = ((number as u16) << 4 | u16::from(more) << 3 | 6).to_be_bytes();
            let mut options =
                vec![(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::CONTENT_FORMAT, &[40])];
            options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())));
            options.push((OptionNumber::BLOCK1, &block));
            world.ask(1000, Code::POST, &options, chunk);
        }
    }
    let alive = world.server.events.iter().filter(|event| match event {
        Event::Registered { registration, .. } => registration.objects.upgrade().is_some(),
        _ => false,
    });
    assert_eq!((alive.count(), world.server.shard.counters().registered), (1, 50));
    // What is told is whole while the registration is.
    let last = world.server.events.iter().rev().find_map(|event| match event {
        Event::Registered { registration, .. } => Some(registration.view()),
        _ => None,
    });
    assert_eq!(last.unwrap().objects, world.server.shard.registration("large").unwrap().objects);
}

#[test]
fn of_two_records_of_one_endpoint_the_older_is_removed_for_good() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=3600"]);
    let (key, record) = world.server.store.registrations.pop_first().unwrap();
    world.register(1000, "buoy-1", &["lt=3600"]);
    // The removal of the first was lost in a crash.
    world.server.store.registrations.insert(key, record);
    let world = world.restarted();
    let younger = world.server.shard.registration("buoy-1").unwrap().key;
    assert_eq!(world.server.store.registrations.keys().collect::<Vec<_>>(), [&younger.0]);
}
