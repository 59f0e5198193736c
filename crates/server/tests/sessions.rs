//! Who may register and touch what: devices that prove themselves by a session, and those that don't.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::operation;
use buoy_server::{
    Change, Directory, Downlink, Durability, Event, Intent, OperationId, Outbox, Peer, RegistrationKey,
    SessionId, Shard, ShardConfig, Submission,
};
use buoy_testkit::message;

/// Sessions by their names. Who has one has credentials.
#[derive(Clone, Default)]
struct Sessions {
    proved: Arc<Mutex<HashMap<SessionId, Arc<str>>>>,
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
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let mut options: Vec<(OptionNumber, &[u8])> =
            path.iter().map(|segment| (OptionNumber::URI_PATH, segment.as_bytes())).collect();
        options.extend(
            query.split('&').filter(|it| !it.is_empty()).map(|it| (OptionNumber::URI_QUERY, it.as_bytes())),
        );
        let request = message(header, &options, payload);
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
        let submission = Submission {
            id: OperationId(id),
            endpoint: endpoint.into(),
            request: Downlink::of(&read, ""),
            intent: Intent::Once,
            durability: Durability::Transient,
            deadline: self.now + Duration::from_secs(60),
        };
        self.shard.submit(self.now, submission, &mut self.outbox);
        self.shard.flush(self.now, &mut self.outbox);
        self.outbox.datagrams().next().map(|(to, _)| to)
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
