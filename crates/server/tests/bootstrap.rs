//! The bootstrap engine driven by hand: a scripted device, a clock that is a number.

use std::net::SocketAddr;
use std::time::Duration;

use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message};
use buoy_server::{
    BootstrapConfig, BootstrapEvent, BootstrapFailure, BootstrapLimits, BootstrapVerdict, Failure, Peer,
};
use buoy_testkit::{BootstrapServer, message, one_server};

struct World {
    server: BootstrapServer,
    now: Instant,
    next_id: u16,
    sent: Vec<(Peer, Vec<u8>)>,
}

fn peer(port: u16) -> Peer {
    Peer::plain(SocketAddr::from(([127, 0, 0, 1], port)))
}

impl World {
    fn new() -> Self {
        Self::with(BootstrapLimits::default())
    }

    fn with(limits: BootstrapLimits) -> Self {
        let mut server = BootstrapServer::new(limits);
        for number in 1..10 {
            server.configure(&format!("buoy-{number}"), one_server(101));
        }
        Self { server, now: Instant::from_millis(1_000_000), next_id: 1, sent: Vec::new() }
    }

    fn settle(&mut self) {
        self.sent.extend(self.server.settle(self.now));
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.server.shard.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn deliver(&mut self, from: u16, datagram: &[u8]) {
        self.server.handle_datagram(self.now, peer(from), datagram);
        self.settle();
    }

    /// Sends a request and gives the code of the answer.
    fn ask(&mut self, from: u16, code: Code, path: &str, queries: &[&str]) -> Code {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let mut options = vec![(OptionNumber::URI_PATH, path.as_bytes())];
        options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())));
        self.sent.clear();
        self.deliver(from, &message(header, &options, b""));
        Message::parse(&self.sent.first().expect("an answer").1).unwrap().code()
    }

    fn begin(&mut self, from: u16, name: &str) -> Code {
        self.ask(from, Code::POST, "bs", &[&format!("ep={name}")])
    }

    /// The last request to a device, as in `DELETE /`.
    fn request(&self) -> String {
        buoy_testkit::Datagram::new(&self.sent.last().expect("a request").1).line()
    }

    /// Answers it.
    fn answer(&mut self, from: u16, code: Code, words: &str) {
        let request = self.sent.last().expect("a request").1.clone();
        let request = Message::parse(&request).unwrap();
        let kind = Kind::Acknowledgement;
        let header = Header { kind, code, message_id: request.message_id(), token: request.token() };
        self.deliver(from, &message(header, &[], words.as_bytes()));
    }

    fn failure(&self) -> Option<(&str, &BootstrapFailure)> {
        self.server.events.iter().rev().find_map(|event| match event {
            BootstrapEvent::Failed { step, reason, .. } => Some((&**step, reason)),
            _ => None,
        })
    }

    fn assert_nothing_is_left(&self) {
        let shard = &self.server.shard;
        assert_eq!((shard.len(), shard.outstanding(), shard.next_deadline()), (0, 0, None));
    }
}

#[test]
fn int_6_the_requests_come_one_at_a_time_and_in_their_order() {
    let mut world = World::new();
    assert_eq!(world.begin(1, "buoy-1"), Code::CHANGED);
    let expected = [
        ("DELETE /", Code::DELETED),
        ("PUT /0/1 Content-Format=11542", Code::CHANGED),
        ("PUT /1/0 Content-Format=11542", Code::CHANGED),
        ("POST /bs", Code::CHANGED),
    ];
    for (line, code) in expected {
        assert_eq!((world.request().as_str(), world.server.shard.outstanding()), (line, 1));
        world.answer(1, code, "");
    }
    assert_eq!(world.server.finished(), 1);
    world.assert_nothing_is_left();
}

#[test]
fn what_a_session_can_carry_bounds_the_blocks() {
    const LONGEST: usize = 136;
    let mut world = World::new();
    world.server.longest_message = LONGEST;
    world.begin(1, "buoy-1");
    world.answer(1, Code::DELETED, "");
    let mut blocks = 0;
    while world.request().starts_with("PUT /0/1") {
        let request = world.sent.last().unwrap().1.clone();
        assert!(request.len() <= LONGEST, "{} bytes", request.len());
        blocks += 1;
        let request = Message::parse(&request).unwrap();
        let block = request.value(OptionNumber::BLOCK1).expect("a block").to_vec();
        let more = block.last().is_some_and(|last| last & 8 != 0);
        let code = if more { Code::CONTINUE } else { Code::CHANGED };
        let kind = Kind::Acknowledgement;
        let header = Header { kind, code, message_id: request.message_id(), token: request.token() };
        world.deliver(1, &message(header, &[(OptionNumber::BLOCK1, &block)], b""));
    }
    assert!(blocks > 1, "the account of a server goes in one block of 32 bytes");
    assert_eq!(world.failure(), None);
}

#[test]
fn a_device_s_refusal_ends_the_session_and_is_told_in_its_words() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    world.answer(1, Code::DELETED, "");
    world.answer(1, Code::BAD_REQUEST, "the key is too long");
    let (step, reason) = world.failure().unwrap();
    assert_eq!(step, "Bootstrap-Write /0/1");
    assert_eq!(reason.to_string(), "the device answered 4.00: the key is too long");
    world.assert_nothing_is_left();
}

#[test]
fn what_is_not_there_need_not_be_deleted() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    world.answer(1, Code::NOT_FOUND, "");
    assert!(world.request().starts_with("PUT /0/1"));
}

#[test]
fn a_device_that_falls_silent_loses_its_session() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    world.wait(200);
    assert_eq!(world.failure(), Some(("Bootstrap-Delete /", &BootstrapFailure::Exchange(Failure::TimedOut))));
    world.assert_nothing_is_left();
}

#[test]
fn a_session_ends_in_time() {
    let limits = BootstrapLimits { session_time: Duration::from_secs(20), ..BootstrapLimits::default() };
    let mut world = World::with(limits);
    world.begin(1, "buoy-1");
    world.wait(19);
    world.answer(1, Code::DELETED, "");
    world.wait(2);
    assert_eq!(world.failure(), Some(("Bootstrap-Write /0/1", &BootstrapFailure::TooSlow)));
    world.assert_nothing_is_left();
}

#[test]
fn a_device_that_asks_again_begins_anew() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    world.answer(1, Code::DELETED, "");
    assert_eq!(world.begin(2, "buoy-1"), Code::CHANGED);
    assert_eq!(world.failure(), Some(("Bootstrap-Write /0/1", &BootstrapFailure::DeviceRestarted)));
    assert_eq!((world.request().as_str(), world.server.shard.len()), ("DELETE /", 1));
    assert_eq!(world.begin(2, "buoy-2"), Code::CHANGED, "another device at the same address");
    assert_eq!(world.server.shard.len(), 1);
}

#[test]
fn a_repeated_request_begins_nothing() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    world.next_id -= 1;
    world.begin(1, "buoy-1");
    assert_eq!((world.server.shard.len(), world.failure()), (1, None));
    let started = |event: &&BootstrapEvent| matches!(event, BootstrapEvent::Started { .. });
    assert_eq!(world.server.events.iter().filter(started).count(), 1);
}

#[test]
fn sessions_are_bounded_by_source_and_in_all() {
    let limits = BootstrapLimits { max_sessions_per_source: 2, ..BootstrapLimits::default() };
    let mut world = World::with(limits);
    assert_eq!([world.begin(1, "buoy-1"), world.begin(2, "buoy-2")], [Code::CHANGED; 2]);
    assert_eq!(world.begin(3, "buoy-3"), Code::SERVICE_UNAVAILABLE);
    world.wait(700);
    world.assert_nothing_is_left();
    assert_eq!(world.begin(3, "buoy-3"), Code::CHANGED);
    let mut world = World::with(BootstrapLimits { max_sessions: 1, ..BootstrapLimits::default() });
    assert_eq!(world.begin(1, "buoy-1"), Code::CHANGED);
    assert_eq!(world.begin(2, "buoy-2"), Code::SERVICE_UNAVAILABLE);
}

#[test]
fn who_is_not_known_waits_or_asks_amiss_is_refused() {
    let mut world = World::new();
    world.server.verdicts.insert("later".to_owned(), BootstrapVerdict::Pending);
    assert_eq!(world.begin(1, "stranger"), Code::BAD_REQUEST);
    assert_eq!(world.begin(1, "later"), Code::SERVICE_UNAVAILABLE);
    assert!(matches!(
        world.server.events[..],
        [BootstrapEvent::Refused { .. }, BootstrapEvent::Pending { .. }]
    ));
    assert_eq!(world.ask(1, Code::POST, "bs", &[]), Code::BAD_REQUEST);
    assert_eq!(world.ask(1, Code::POST, "bs", &["ep=buoy-1", "pct=0"]), Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(world.ask(1, Code::POST, "bs", &["ep=buoy-1", "pct=x"]), Code::BAD_REQUEST);
    assert_eq!(world.ask(1, Code::GET, "bs", &["ep=buoy-1"]), Code::METHOD_NOT_ALLOWED);
    assert_eq!(world.ask(1, Code::POST, "rd", &["ep=buoy-1", "lwm2m=1.1"]), Code::NOT_FOUND);
    assert_eq!(world.ask(1, Code::GET, "nothing", &[]), Code::NOT_FOUND);
    world.assert_nothing_is_left();
}

#[test]
fn a_pack_goes_to_nobody_who_only_claims_an_address() {
    let mut world = World::new();
    assert_eq!(world.ask(1, Code::GET, "bspack", &["ep=buoy-1"]), Code::UNAUTHORIZED);
    let answer = world.sent[0].1.clone();
    let echo = Message::parse(&answer).unwrap().value(OptionNumber::ECHO).unwrap().to_vec();
    assert!(answer.len() < 60);
    let header = Header { kind: Kind::Confirmable, code: Code::GET, message_id: 900, token: b"t" };
    let options = [
        (OptionNumber::URI_PATH, &b"bspack"[..]),
        (OptionNumber::URI_QUERY, b"ep=buoy-1"),
        (OptionNumber::ECHO, &echo),
    ];
    let again = message(header, &options, b"");
    world.sent.clear();
    world.deliver(2, &again);
    assert_eq!(Message::parse(&world.sent[0].1).unwrap().code(), Code::UNAUTHORIZED, "another address");
    world.sent.clear();
    world.deliver(1, &again);
    assert_eq!(Message::parse(&world.sent[0].1).unwrap().code(), Code::CONTENT);
}

#[test]
fn a_configuration_that_was_changed_meanwhile_ends_the_session() {
    let mut world = World::new();
    world.begin(1, "buoy-1");
    let mut outbox = buoy_server::BootstrapOutbox::default();
    world.server.shard.cancel(world.now, "buoy-1", &mut outbox);
    let failed = |event: &BootstrapEvent| {
        matches!(event, BootstrapEvent::Failed { reason: BootstrapFailure::Cancelled, .. })
    };
    assert!(outbox.events.iter().any(failed));
    world.assert_nothing_is_left();
}

#[test]
fn a_configuration_that_can_t_be_written_is_an_error_of_the_server_s() {
    let mut world = World::new();
    world.server.configure("buoy-1", BootstrapConfig { delete: vec!["nonsense".into()], ..one_server(101) });
    assert_eq!(world.begin(1, "buoy-1"), Code::INTERNAL_SERVER_ERROR);
    world.assert_nothing_is_left();
}
