//! The engine driven by hand: a scripted device, a clock that is a number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::endpoint::{acknowledge, reject};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::{Calendar, Instant};
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::path::Path;
use buoy_server::{
    Body, Downlink, Durability, Event, Failure, Intent, OperationId, OperationState, Peer, ShardConfig,
};
use buoy_testkit::{Server, message};

struct World {
    server: Server,
    now: Instant,
    next_id: u16,
    sent: Vec<(Peer, Vec<u8>)>,
    /// Whether devices are at the addresses that they claim, so that they answer pings.
    answers_pings: bool,
}

fn peer(port: u16) -> Peer {
    Peer::plain(SocketAddr::from(([127, 0, 0, 1], port)))
}

impl World {
    fn new() -> Self {
        Self::with(ShardConfig::default())
    }

    fn with(config: ShardConfig) -> Self {
        Self {
            server: Server::new(config),
            now: Instant::from_millis(1_000_000),
            next_id: 1,
            sent: Vec::new(),
            answers_pings: true,
        }
    }

    /// The same world after the server was killed and started again.
    fn restarted(mut self) -> Self {
        self.sent = self.server.restart(self.now);
        self
    }

    fn settle(&mut self) {
        let sent = self.server.settle(self.now);
        let is_answered = |datagram: &[u8]| self.answers_pings && is_ping(datagram);
        let (pings, others): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|(_, datagram)| is_answered(datagram));
        self.sent.extend(others);
        for (peer, ping) in pings {
            let reset = reject(Message::parse(&ping).unwrap().message_id());
            self.deliver(peer.address.port(), &reset);
        }
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.server.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn deliver(&mut self, from: u16, datagram: &[u8]) {
        let Server { shard, outbox, .. } = &mut self.server;
        shard.handle_datagram(self.now, peer(from), datagram, outbox);
        self.settle();
    }

    /// Sends a confirmable request and returns the answer.
    fn ask(&mut self, from: u16, code: Code, options: &[(OptionNumber, &[u8])], payload: &[u8]) -> Vec<u8> {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let request = message(header, options, payload);
        self.sent.clear();
        self.deliver(from, &request);
        self.sent.first().expect("an answer").1.clone()
    }

    fn register(&mut self, from: u16, endpoint: &str, queries: &[&str]) -> String {
        let endpoint = format!("ep={endpoint}");
        let mut options: Vec<(OptionNumber, &[u8])> = vec![
            (OptionNumber::URI_PATH, b"rd"),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, endpoint.as_bytes()),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        ];
        options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())));
        let answer = self.ask(from, Code::POST, &options, b"</1/0>,</3/0>,</3303/0>");
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.code(), Code::CREATED, "{:?}", String::from_utf8_lossy(answer.payload()));
        let location: Vec<_> = answer.values(OptionNumber::LOCATION_PATH).collect();
        assert_eq!(location[0], b"rd");
        String::from_utf8(location[1].to_vec()).unwrap()
    }

    fn update(&mut self, from: u16, location: &str) -> Code {
        let options = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, location.as_bytes())];
        let answer = self.ask(from, Code::POST, &options, b"");
        Message::parse(&answer).unwrap().code()
    }

    fn submit(&mut self, id: u64, endpoint: &str, request: Downlink, intent: Intent, durability: Durability) {
        self.server.submit(self.now, (id, endpoint), request, intent, durability);
        self.settle();
    }

    /// Answers the request that was sent last.
    fn answer(&mut self, from: u16, code: Code, options: &[(OptionNumber, &[u8])], payload: &[u8]) {
        let request = self.sent.last().expect("a request").1.clone();
        let request = Message::parse(&request).unwrap();
        let header = Header {
            kind: Kind::Acknowledgement,
            code,
            message_id: request.message_id(),
            token: request.token(),
        };
        let answer = message(header, options, payload);
        self.deliver(from, &answer);
    }

    fn last_request(&self) -> Message<'_> {
        Message::parse(&self.sent.last().expect("a request").1).unwrap()
    }

    /// The message id of the last ping.
    fn ping(&self) -> u16 {
        let ping = self.sent.iter().rev().find(|(_, datagram)| is_ping(datagram));
        Message::parse(&ping.expect("a ping").1).unwrap().message_id()
    }

    fn outcome(&self, id: u64) -> Option<Result<Code, Failure>> {
        self.server.outcome_code(id)
    }
}

fn is_ping(datagram: &[u8]) -> bool {
    matches!(datagram, [0x40, 0, _, _])
}

fn read() -> Downlink {
    request(Code::GET, &[], b"")
}

fn request(code: Code, extra: &[(OptionNumber, &[u8])], payload: &[u8]) -> Downlink {
    let mut options: Vec<(OptionNumber, Box<[u8]>)> =
        ["3303", "0", "5700"].map(|segment| (OptionNumber::URI_PATH, segment.as_bytes().into())).into();
    options.extend(extra.iter().map(|(number, value)| (*number, (*value).into())));
    options.sort_by_key(|(number, _)| *number);
    Downlink { code, options, payload: Body::new(payload.to_vec()) }
}

fn observe() -> (Downlink, Intent) {
    let paths = Arc::from([Path::resource(3303, 0, 5700)]);
    (request(Code::GET, &[(OptionNumber::OBSERVE, b"")], b""), Intent::Observe { paths, composite: false })
}

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
fn strangers_cannot_take_all_places_for_blocks_and_what_they_left_is_forgotten() {
    let config = ShardConfig { max_uploads: 4, ..ShardConfig::default() };
    let mut world = World::with(config);
    let begin = |world: &mut World, from: u16| {
        let name = format!("ep=buoy-{from}");
        let options = [
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, name.as_bytes()),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
            (OptionNumber::BLOCK1, &[0x08]),
        ];
        let answer = world.ask(from, Code::POST, &options, b"</1/0>,</3/0>,</");
        Message::parse(&answer).unwrap().code()
    };
    let codes = [1, 2, 3].map(|from| begin(&mut world, from));
    assert_eq!(codes, [Code::CONTINUE, Code::CONTINUE, Code::SERVICE_UNAVAILABLE]);
    world.wait(600);
    assert_eq!(begin(&mut world, 3), Code::CONTINUE);
}

#[test]
fn a_register_in_blocks_is_put_together() {
    let mut world = World::new();
    let objects: String = (0..400).map(|n| format!("</{n}/0>")).collect::<Vec<_>>().join(",");
    let mut last = Vec::new();
    for (number, chunk) in objects.as_bytes().chunks(512).enumerate() {
        let more = (number + 1) * 512 < objects.len();
        let block = ((number as u16) << 4 | u16::from(more) << 3 | 5).to_be_bytes();
        let options = [
            (OptionNumber::URI_PATH, &b"rd"[..]),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, b"ep=big"),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
            (OptionNumber::BLOCK1, &block),
        ];
        last = world.ask(1000, Code::POST, &options, chunk);
        let expected = if more { Code::CONTINUE } else { Code::CREATED };
        assert_eq!(Message::parse(&last).unwrap().code(), expected);
    }
    assert!(Message::parse(&last).unwrap().value(OptionNumber::BLOCK1).is_some());
    assert_eq!(world.server.shard.registration("big").unwrap().objects.text(), objects);
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

#[test]
fn a_large_write_goes_in_blocks_and_a_large_answer_comes_in_blocks() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let payload = vec![7u8; 2500];
    let downlink = request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &payload);
    world.submit(1, "buoy-1", downlink, Intent::Once, Durability::Transient);
    let mut received = Vec::new();
    while world.outcome(1).is_none() {
        let request = world.last_request();
        received.extend_from_slice(request.payload());
        let block = request.value(OptionNumber::BLOCK1).unwrap().to_vec();
        let more = block.last().unwrap() & 8 != 0;
        let code = if more { Code::CONTINUE } else { Code::CHANGED };
        world.answer(1000, code, &[(OptionNumber::BLOCK1, &block)], b"");
    }
    assert_eq!(received, payload);
    world.submit(2, "buoy-1", read(), Intent::Once, Durability::Transient);
    world.answer(1000, Code::CONTENT, &[(OptionNumber::BLOCK2, &[0x08])], &[1; 16]);
    assert_eq!(world.last_request().uint(OptionNumber::BLOCK2), Some(0x10));
    world.answer(1000, Code::CONTENT, &[(OptionNumber::BLOCK2, &[0x10])], &[2; 3]);
    assert_eq!(world.outcome(2), Some(Ok(Code::CONTENT)));
}

#[test]
fn a_file_is_served_in_blocks_that_an_unproved_address_gets_small() {
    let mut world = World::new();
    world.server.shard.set_file("fw/x", Some(Body::new(vec![5u8; 3000])));
    let options = [(OptionNumber::URI_PATH, &b"fw"[..]), (OptionNumber::URI_PATH, b"x")];
    let asked = 4 + 1 + 3 + 2;
    let answer = world.ask(1000, Code::GET, &options, b"");
    assert!(answer.len() <= 3 * asked + 48, "{}", answer.len());
    let echo = Message::parse(&answer).unwrap().value(OptionNumber::ECHO).unwrap().to_vec();
    let mut options = options.to_vec();
    options.push((OptionNumber::ECHO, &echo));
    let answer = world.ask(1000, Code::GET, &options, b"");
    let answer = Message::parse(&answer).unwrap();
    assert_eq!((answer.payload().len(), answer.uint(OptionNumber::SIZE2)), (1024, Some(3000)));
    assert_eq!(answer.content_format(), Some(ContentFormat::OCTET_STREAM));
}

#[test]
fn what_is_not_there_or_not_allowed_gets_its_code() {
    let mut world = World::new();
    for (code, path, expected) in [
        (Code::GET, "nothing", Code::NOT_FOUND),
        (Code::PUT, "rd", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "rd", Code::METHOD_NOT_ALLOWED),
        (Code::POST, ".well-known", Code::NOT_FOUND),
    ] {
        let answer = world.ask(1000, code, &[(OptionNumber::URI_PATH, path.as_bytes())], b"");
        assert_eq!(Message::parse(&answer).unwrap().code(), expected, "{code:?} {path}");
    }
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
fn operations_that_ended_leave_no_deadline_behind() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=0"]);
    for id in 1..200 {
        world.submit(id, "buoy-1", read(), Intent::Once, Durability::Patient);
        world.answer(1000, Code::CONTENT, &[], b"1");
    }
    assert_eq!(world.server.shard.next_deadline(), None);
}

#[test]
fn a_large_write_that_the_device_ends_after_its_first_block_is_no_success() {
    for code in [Code::CHANGED, Code::CONTENT, Code::CONTINUE] {
        let mut world = World::new();
        world.register(1000, "buoy-1", &[]);
        let downlink = request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &[7; 2500]);
        world.submit(1, "buoy-1", downlink, Intent::Once, Durability::Durable);
        world.answer(1000, code, &[], b"");
        assert_eq!(world.outcome(1), Some(Err(Failure::BadTransfer)), "{code}");
        assert_eq!(world.server.store.operations[&1].state, OperationState::Failed);
    }
}

#[test]
fn a_device_that_keeps_nothing_of_a_body_takes_it_block_by_block() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &[]);
    let payload: Vec<u8> = (0..2500).map(|n| n as u8).collect();
    let downlink = request(Code::PUT, &[(OptionNumber::CONTENT_FORMAT, &[42])], &payload);
    world.submit(1, "buoy-1", downlink, Intent::Once, Durability::Transient);
    let mut received = Vec::new();
    while world.outcome(1).is_none() {
        received.extend_from_slice(world.last_request().payload());
        // 2.04 with M=0 for each block (RFC 7959 figure 8).
        let block = world.last_request().uint(OptionNumber::BLOCK1).unwrap() & !8;
        let block = (block as u16).to_be_bytes();
        world.answer(1000, Code::CHANGED, &[(OptionNumber::BLOCK1, &block)], b"");
    }
    assert_eq!(received, payload);
    assert_eq!(world.outcome(1), Some(Ok(Code::CHANGED)));
}

#[test]
fn one_device_takes_a_few_places_for_blocks_and_its_oldest_body_gives_way() {
    let config = ShardConfig { max_uploads: 64, ..ShardConfig::default() };
    let mut world = World::with(config);
    let begin = |world: &mut World, from: u16, tag: u8| {
        let options = [
            (OptionNumber::URI_PATH, &b"dp"[..]),
            (OptionNumber::CONTENT_FORMAT, &[110]),
            (OptionNumber::BLOCK1, &[0x08]),
            (OptionNumber::REQUEST_TAG, &[tag]),
        ];
        let answer = world.ask(from, Code::POST, &options, b"[{\"bn\":\"/3/0/9\",");
        Message::parse(&answer).unwrap().code()
    };
    for tag in 0..200 {
        assert_eq!(begin(&mut world, 1000, tag), Code::CONTINUE);
    }
    assert_eq!(world.server.shard.outstanding(), 4);
    assert_eq!(begin(&mut world, 1001, 0), Code::CONTINUE, "another device has places too");
    // One with many ports has no more than an eighth of the places.
    let taken = (2000..2100).filter(|port| begin(&mut world, *port, 0) == Code::CONTINUE).count();
    assert!(taken <= 64 / 8, "{taken}");
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
fn a_datagram_over_the_limit_is_answered_and_told() {
    let mut world = World::new();
    let list = "</3303/0>,".repeat(400);
    let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id: 7, token: b"abcd" };
    let options = [
        (OptionNumber::URI_PATH, &b"rd"[..]),
        (OptionNumber::CONTENT_FORMAT, &[40]),
        (OptionNumber::URI_QUERY, b"ep=large"),
        (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
    ];
    let datagram = message(header, &options, list.as_bytes());
    for cut in [2048, 1000, 40] {
        world.sent.clear();
        world.server.events.clear();
        let Server { shard, outbox, .. } = &mut world.server;
        shard.refuse_oversized(world.now, peer(1000), &datagram[..cut], outbox);
        world.settle();
        let answer = Message::parse(&world.sent[0].1).unwrap();
        assert_eq!((answer.code(), answer.token()), (Code::REQUEST_ENTITY_TOO_LARGE, &b"abcd"[..]));
        assert!(answer.value(OptionNumber::BLOCK1).is_some() && answer.value(OptionNumber::SIZE1).is_some());
        assert!(matches!(world.server.events[..], [Event::Refused { .. }]));
    }
    assert!(world.server.shard.is_empty());
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
fn another_device_does_not_move_the_progress_of_a_download() {
    let mut world = World::new();
    world.register(1000, "buoy-1", &["lt=3600"]);
    world.server.shard.set_file("fw/x", Some(Body::new(vec![5u8; 3000])));
    world.server.shard.follow_download(17, "buoy-1".into());
    let fetch = |world: &mut World, ip: [u8; 4], id: u16, block: u8| {
        let header = Header { kind: Kind::Confirmable, code: Code::GET, message_id: id, token: b"t" };
        let block = [block];
        let options = [
            (OptionNumber::URI_PATH, &b"fw"[..]),
            (OptionNumber::URI_PATH, b"x"),
            (OptionNumber::URI_PATH, b"17"),
            (OptionNumber::BLOCK2, &block),
        ];
        let from = Peer::plain((ip, 7777).into());
        let Server { shard, outbox, .. } = &mut world.server;
        shard.handle_datagram(world.now, from, &message(header, &options, b""), outbox);
        world.settle();
        world.server.shard.downloaded(17)
    };
    // A socket of its own, at the device's address.
    assert_eq!(fetch(&mut world, [127, 0, 0, 1], 1, 0x00), Some(16));
    assert_eq!(fetch(&mut world, [192, 0, 2, 9], 1, 0x50), Some(16), "a stranger's block");
    assert_eq!(fetch(&mut world, [127, 0, 0, 1], 2, 0x10), Some(32));
    world.server.shard.forget_download(17);
    assert_eq!(world.server.shard.downloaded(17), None);
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
