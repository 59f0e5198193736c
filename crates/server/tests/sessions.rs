//! Who may register and touch what: devices that prove themselves by a session, and those that don't.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation;
use buoy_lwm2m::path::Path;
use buoy_server::{
    Body, Change, Directory, Downlink, Durability, Event, Intent, OperationId, Outbox, Peer, RegistrationKey,
    SessionId, Shard, ShardConfig, Submission,
};
use buoy_testkit::message;

/// Sessions by their names. Who has one has credentials.
#[derive(Clone, Default)]
struct Sessions {
    proved: Arc<Mutex<HashMap<SessionId, Arc<str>>>>,
    /// The session that each registration is at.
    carried: Arc<Mutex<HashMap<Arc<str>, Option<SessionId>>>>,
    /// Devices prove themselves by their certificates alone, and no name is listed.
    is_unlisted: bool,
}

impl Directory for Sessions {
    fn claim(&self, _: &Arc<str>, shard: u8) -> u8 {
        shard
    }

    fn release(&self, _: &str, _: u8) {}

    fn home(&self, _: &str) -> Option<u8> {
        None
    }

    fn proved(&self, session: SessionId) -> Option<Arc<str>> {
        self.proved.lock().unwrap().get(&session).cloned()
    }

    fn longest_message(&self, session: SessionId) -> usize {
        // Every seventh session is a small device's.
        if session.counter().is_multiple_of(7) { 256 } else { usize::MAX }
    }

    fn may_go_unproved(&self, endpoint: &str) -> bool {
        self.is_unlisted || !self.proved.lock().unwrap().values().any(|proved| **proved == *endpoint)
    }

    fn carry(&self, endpoint: &Arc<str>, session: Option<SessionId>) {
        self.carried.lock().unwrap().insert(endpoint.clone(), session);
    }
}

struct World {
    shard: Shard<Sessions>,
    sessions: Sessions,
    outbox: Outbox,
    next_id: u16,
    now: Instant,
    /// What is saved.
    registrations: HashMap<RegistrationKey, Vec<u8>>,
}

impl World {
    fn new() -> Self {
        Self::with(Sessions::default())
    }

    fn with(sessions: Sessions) -> Self {
        Self {
            shard: Shard::new(0, ShardConfig::default(), sessions.clone(), [7; 32]),
            sessions,
            outbox: Outbox::default(),
            next_id: 1,
            now: Instant::from_millis(1_000_000),
            registrations: HashMap::new(),
        }
    }

    /// A device connects; its endpoint name is the one of its credentials.
    fn connect(&self, counter: u64, endpoint: &str) -> Peer {
        let session = SessionId::new(counter, 0).unwrap();
        self.sessions.proved.lock().unwrap().insert(session, endpoint.into());
        at(10_000 + counter as u16, Some(session))
    }

    /// Sends a confirmable request; the code of the answer, and where the registration is.
    fn ask(&mut self, from: Peer, code: Code, path: &[&str], query: &str, payload: &[u8]) -> (Code, String) {
        let mut options: Vec<(OptionNumber, &[u8])> =
            path.iter().map(|segment| (OptionNumber::URI_PATH, segment.as_bytes())).collect();
        options.extend(
            query.split('&').filter(|it| !it.is_empty()).map(|it| (OptionNumber::URI_QUERY, it.as_bytes())),
        );
        self.send(from, code, &options, payload)
    }

    fn send(
        &mut self,
        from: Peer,
        code: Code,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) -> (Code, String) {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let request = message(header, options, payload);
        self.shard.handle_datagram(self.now, from, &request, &mut self.outbox);
        self.shard.flush(self.now, &mut self.outbox);
        let (to, answer) = self.outbox.datagrams().next().expect("an answer");
        assert_eq!(to, from);
        let answer = Message::parse(answer).unwrap();
        let location = answer.values(OptionNumber::LOCATION_PATH).nth(1).unwrap_or_default();
        let result = (answer.code(), String::from_utf8(location.to_vec()).unwrap());
        for change in &self.outbox.changes {
            if let Change::PutRegistration { key, record } = change {
                self.registrations.insert(*key, self.outbox.record(record).to_vec());
            }
        }
        result
    }

    fn register(&mut self, from: Peer, query: &str) -> (Code, String) {
        self.outbox.clear();
        self.ask(from, Code::POST, &["rd"], &format!("lwm2m=1.1&{query}"), b"</1/0>,</3/0>")
    }

    fn update(&mut self, from: Peer, location: &str) -> Code {
        self.outbox.clear();
        self.ask(from, Code::POST, &["rd", location], "", b"").0
    }

    fn deregister(&mut self, from: Peer, location: &str) -> Code {
        self.outbox.clear();
        self.ask(from, Code::DELETE, &["rd", location], "", b"").0
    }

    /// Where a read of `endpoint` is sent to.
    fn read(&mut self, id: u64, endpoint: &str) -> Option<Peer> {
        self.outbox.clear();
        let read = operation::Downlink::Read { path: "/3/0".parse().unwrap(), accept: None };
        self.submit(id, endpoint, &read, Intent::Once);
        self.outbox.datagrams().next().map(|(to, _)| to)
    }

    fn submit(&mut self, id: u64, endpoint: &str, request: &operation::Downlink<'_>, intent: Intent) {
        let submission = Submission {
            id: OperationId(id),
            endpoint: endpoint.into(),
            request: Downlink::of(request, ""),
            intent,
            durability: Durability::Transient,
            deadline: self.now + Duration::from_secs(60),
        };
        self.shard.submit(self.now, submission, &mut self.outbox);
        self.shard.flush(self.now, &mut self.outbox);
    }

    fn refusals(&self) -> Vec<String> {
        let reason = |event: &Event| match event {
            Event::Refused { reason, .. } => Some(reason.to_string()),
            _ => None,
        };
        self.outbox.events.iter().filter_map(reason).collect()
    }
}

fn at(port: u16, session: Option<SessionId>) -> Peer {
    Peer { address: ([127, 0, 0, 1], port).into(), session }
}

#[test]
fn the_credentials_name_the_device_and_another_name_is_refused() {
    let mut world = World::new();
    let buoy = world.connect(1, "buoy-1");
    assert_eq!(world.register(buoy, "ep=buoy-2").0, Code::BAD_REQUEST);
    assert_eq!(world.refusals(), ["the credentials of this session are those of another endpoint"]);
    assert_eq!(world.register(buoy, "ep=buoy-1").0, Code::CREATED);
    // The name may be left out (LwM2M Core 1.1 section 6.2.1).
    assert_eq!(world.register(buoy, "lt=60").0, Code::CREATED);
    assert_eq!(world.shard.registration("buoy-1").unwrap().session, buoy.session);
}

#[test]
fn who_has_credentials_is_not_registered_over_plain_coap() {
    let mut world = World::new();
    world.connect(1, "buoy-1");
    assert_eq!(world.register(at(5, None), "ep=buoy-1").0, Code::FORBIDDEN);
    assert_eq!(world.register(at(5, None), "ep=buoy-2").0, Code::CREATED);
}

#[test]
fn a_registration_is_touched_by_its_own_device_alone() {
    let mut world = World::new();
    let (one, two) = (world.connect(1, "buoy-1"), world.connect(2, "buoy-2"));
    let (_, location) = world.register(one, "ep=buoy-1");
    for stranger in [two, at(5, None), at(one.address.port(), None)] {
        assert_eq!(world.update(stranger, &location), Code::FORBIDDEN);
        assert_eq!(world.deregister(stranger, &location), Code::FORBIDDEN);
    }
    assert_eq!(world.update(one, &location), Code::CHANGED);
    assert_eq!(world.deregister(one, &location), Code::DELETED);
}

#[test]
fn a_session_goes_on_at_another_address_and_its_device_over_a_new_session() {
    let mut world = World::new();
    let old = world.connect(1, "buoy-1");
    let (_, location) = world.register(old, "ep=buoy-1");
    let moved = Peer { address: ([127, 0, 0, 1], 999).into(), ..old };
    assert_eq!(world.update(moved, &location), Code::CHANGED);
    assert_eq!(world.shard.registration("buoy-1").unwrap().address, moved.address);
    assert_eq!(world.read(1, "buoy-1"), Some(old));

    let new = world.connect(2, "buoy-1");
    assert_eq!(world.update(new, &location), Code::CHANGED);
    assert_eq!(world.shard.registration("buoy-1").unwrap().session, new.session);
    // The read that waits for its answer goes to the new session too.
    assert_eq!(world.outbox.datagrams().last().map(|(to, _)| to), Some(new));
}

/// The sessions that registrations have left.
fn left(world: &World) -> Vec<SessionId> {
    let left = |event: &Event| match event {
        Event::SessionLeft { session } => Some(*session),
        _ => None,
    };
    world.outbox.events.iter().filter_map(left).collect()
}

#[test]
fn a_second_session_that_only_fetches_leaves_the_registration_at_the_first() {
    let mut world = World::new();
    let first = world.connect(1, "buoy-1");
    let (_, location) = world.register(first, "ep=buoy-1");
    world.shard.set_file("fw/1", Some(Body::new([7; 3000])));
    world.shard.follow_download(17, "buoy-1".into());

    let second = world.connect(2, "buoy-1");
    for block in 0..3_u8 {
        world.outbox.clear();
        let options = [
            (OptionNumber::URI_PATH, &b"fw"[..]),
            (OptionNumber::URI_PATH, b"1"),
            (OptionNumber::URI_PATH, b"17"),
            (OptionNumber::BLOCK2, &[block << 4 | 6]),
        ];
        assert_eq!(world.send(second, Code::GET, &options, b"").0, Code::CONTENT);
        assert!(left(&world).is_empty());
    }

    assert_eq!(world.shard.downloaded(17), Some(3000), "blocks count over whichever session they go");
    assert_eq!(world.shard.registration("buoy-1").unwrap().session, first.session);
    assert_eq!(world.read(1, "buoy-1"), Some(first));
    assert_eq!(world.update(first, &location), Code::CHANGED);
    assert!(left(&world).is_empty());
}

#[test]
fn a_register_or_an_update_over_another_session_moves_the_registration_and_ends_the_session_that_it_left() {
    let mut world = World::new();
    let [first, second, third] = [1, 2, 3].map(|counter| world.connect(counter, "buoy-1"));
    let (_, location) = world.register(first, "ep=buoy-1");
    assert!(left(&world).is_empty());
    assert_eq!(world.update(second, &location), Code::CHANGED);
    assert_eq!(left(&world), [first.session.unwrap()]);
    assert_eq!(world.sessions.carried.lock().unwrap()["buoy-1"], second.session);
    let (_, location) = world.register(third, "ep=buoy-1");
    assert_eq!(left(&world), [second.session.unwrap()]);
    assert_eq!(world.read(1, "buoy-1"), Some(third));
    assert_eq!(world.deregister(third, &location), Code::DELETED);
    assert!(left(&world).is_empty(), "the device may register again over it");
    assert_eq!(world.sessions.carried.lock().unwrap()["buoy-1"], None);
}

#[test]
fn a_notification_over_another_session_of_the_device_counts_and_moves_nothing() {
    let mut world = World::new();
    let [first, second] = [1, 2].map(|counter| world.connect(counter, "buoy-1"));
    world.register(first, "ep=buoy-1");
    world.outbox.clear();
    let path: Path = "/3303/0/5700".parse().unwrap();
    let observe = operation::Downlink::Observe { path, accept: None, attributes: Attributes::default() };
    let intent = Intent::Observe { paths: vec![path].into(), composite: false };
    world.submit(1, "buoy-1", &observe, intent);
    let (_, request) = world.outbox.datagrams().next().unwrap();
    let (token, message_id) = {
        let request = Message::parse(request).unwrap();
        (request.token().to_vec(), request.message_id())
    };
    let content = |kind, message_id, number| {
        let header = Header { kind, code: Code::CONTENT, message_id, token: &token };
        message(header, &[(OptionNumber::OBSERVE, &[number])], b"21.5")
    };
    let answer = content(Kind::Acknowledgement, message_id, 1);
    world.shard.handle_datagram(world.now, first, &answer, &mut world.outbox);
    world.outbox.clear();
    let notification = content(Kind::Confirmable, 999, 2);
    world.shard.handle_datagram(world.now, second, &notification, &mut world.outbox);
    let is_reported = |event: &Event| matches!(event, Event::Reported(_));
    assert!(world.outbox.events.iter().any(is_reported), "{:?}", world.outbox.events);
    assert!(left(&world).is_empty());
    assert_eq!(world.shard.registration("buoy-1").unwrap().session, first.session);
}

#[test]
fn a_restarted_server_knows_over_which_session_a_device_speaks() {
    let mut world = World::new();
    let buoy = world.connect(3, "buoy-1");
    let (_, location) = world.register(buoy, "ep=buoy-1");
    let saved = std::mem::take(&mut world.registrations);
    world.shard = Shard::new(0, ShardConfig::default(), world.sessions.clone(), [8; 32]);
    for (key, record) in saved {
        assert_eq!(
            world.shard.restore(world.now, key, &record, &mut world.outbox).as_deref(),
            Some("buoy-1")
        );
    }
    assert_eq!(world.read(1, "buoy-1"), Some(buoy));
    assert_eq!(world.update(at(5, None), &location), Code::FORBIDDEN);
    assert_eq!(world.update(buoy, &location), Code::CHANGED);
}

#[test]
fn a_session_whose_credentials_were_revoked_is_good_for_nothing() {
    let mut world = World::new();
    let buoy = world.connect(1, "buoy-1");
    let (_, location) = world.register(buoy, "ep=buoy-1");
    let new = at(6, SessionId::new(9, 0));
    assert_eq!(world.update(new, &location), Code::FORBIDDEN);
    assert_eq!(world.register(new, "ep=buoy-1").0, Code::FORBIDDEN);
}

#[test]
fn a_device_that_is_known_by_its_certificate_alone_is_not_replaced_over_plain_coap() {
    let mut world = World::with(Sessions { is_unlisted: true, ..Sessions::default() });
    let buoy = world.connect(1, "buoy-1");
    assert_eq!(world.register(buoy, "ep=buoy-1").0, Code::CREATED);
    assert_eq!(world.register(at(5, None), "ep=buoy-1").0, Code::FORBIDDEN);
    assert_eq!(world.shard.registration("buoy-1").unwrap().session, buoy.session);
}

#[test]
fn a_device_that_takes_short_records_gets_short_blocks() {
    let mut world = World::new();
    let small = world.connect(7, "buoy-1");
    assert_eq!(world.register(small, "ep=buoy-1").0, Code::CREATED);
    world.outbox.clear();
    let content = operation::Content { format: ContentFormat::OCTET_STREAM, payload: &[1; 600] };
    let path = "/5/0/0".parse().unwrap();
    let write = operation::Downlink::Write { path, content, mode: operation::WriteMode::Replace };
    let submission = Submission {
        id: OperationId(1),
        endpoint: "buoy-1".into(),
        request: Downlink::of(&write, ""),
        intent: Intent::Once,
        deadline: world.now + Duration::from_secs(60),
        durability: Durability::Transient,
    };
    world.shard.submit(world.now, submission, &mut world.outbox);
    world.shard.flush(world.now, &mut world.outbox);
    let (_, request) = world.outbox.datagrams().next().unwrap();
    assert!(request.len() <= 256, "{}", request.len());
    assert_eq!(Message::parse(request).unwrap().payload().len(), 128);
}

#[test]
fn what_waits_in_its_back_off_is_repeated_when_the_device_is_heard_over_its_session_from_elsewhere() {
    let mut world = World::new();
    let buoy = world.connect(1, "buoy-1");
    let (_, location) = world.register(buoy, "ep=buoy-1");
    assert_eq!(world.read(1, "buoy-1"), Some(buoy));
    let request = world.outbox.datagrams().last().unwrap().1.to_vec();
    for _ in 0..3 {
        world.now = world.shard.next_deadline().unwrap();
        world.shard.handle_timeout(world.now, &mut world.outbox);
    }
    // The next repetition is sixteen seconds away; the device is heard after five, by its connection ID.
    world.now = world.now + Duration::from_secs(5);
    let moved = Peer { address: ([127, 0, 0, 1], 999).into(), ..buoy };
    assert_eq!(world.update(moved, &location), Code::CHANGED);
    let repeated = world.outbox.datagrams().last().unwrap();
    assert_eq!((repeated.0, repeated.1), (moved, &request[..]));
}
