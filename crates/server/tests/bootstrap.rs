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

    /// Hands in what was to be prepared.
    fn prepared(&mut self, name: &str, made: Result<BootstrapConfig, &'static str>) {
        self.server.prepared(self.now, name, made);
        self.settle();
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
fn a_device_that_can_t_read_the_format_that_it_asked_for_gets_the_rest_in_tlv() {
    for code in [Code::BAD_REQUEST, Code::UNSUPPORTED_CONTENT_FORMAT] {
        let mut world = World::new();
        assert_eq!(world.ask(1, Code::POST, "bs", &["ep=buoy-1", "pct=110"]), Code::CHANGED);
        let expected = [
            ("DELETE /", Code::DELETED),
            ("PUT /0/1 Content-Format=110", Code::CHANGED),
            ("PUT /1/0 Content-Format=110", code),
            ("PUT /1/0 Content-Format=11542", Code::CHANGED),
            ("POST /bs", Code::CHANGED),
        ];
        for (line, code) in expected {
            assert_eq!(world.request(), line);
            world.answer(1, code, "");
        }
        assert_eq!(world.server.finished(), 1);
    }
    // TLV is the last that is tried.
    let mut world = World::new();
    world.ask(1, Code::POST, "bs", &["ep=buoy-1", "pct=110"]);
    for code in [Code::DELETED, Code::BAD_REQUEST, Code::BAD_REQUEST] {
        world.answer(1, code, "no");
    }
    assert!(matches!(world.failure(), Some(("Bootstrap-Write /0/1", _))), "{:?}", world.failure());
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

/// A configuration whose accounts are put where the device has room.
fn auto_ids(delete: &[&str]) -> BootstrapConfig {
    BootstrapConfig {
        auto_security_ids: true,
        delete: delete.iter().map(|path| (*path).to_owned()).collect(),
        ..one_server(101)
    }
}

/// What is asked of a device that answers a Discover of object 0 in this way, up to the end of the session.
fn asked_after_discover(config: BootstrapConfig, code: Code, links: &str) -> (Vec<String>, World) {
    let mut world = World::new();
    world.server.configure("buoy-1", config);
    world.begin(1, "buoy-1");
    assert_eq!(world.request(), "GET /0 Accept=40", "before anything is changed");
    world.answer(1, code, links);
    let mut asked = Vec::new();
    while !world.server.shard.is_empty() {
        let line = world.request();
        let code = if line.starts_with("DELETE") { Code::DELETED } else { Code::CHANGED };
        asked.push(line.split(" Content").next().unwrap().to_owned());
        world.answer(1, code, "");
    }
    (asked, world)
}

#[test]
fn accounts_are_written_beside_the_bootstrap_server_s_own_however_the_device_lists_them() {
    for (links, written) in [
        ("</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101", "PUT /0/1"),
        ("lwm2m=\"1.1\",</0/0>,</0/1>;ssid=0", "PUT /0/1"),
        ("lwm2m=\"1.0\",</0/0>;ssid=101,</0/1>", "PUT /0/0"),
        ("</0/0>,</0/1>", "PUT /0/2"),
    ] {
        let (asked, world) = asked_after_discover(auto_ids(&["/"]), Code::CONTENT, links);
        assert_eq!(asked, ["DELETE /", written, "PUT /1/0", "POST /bs"], "{links}");
        assert_eq!(world.server.finished(), 1);
    }
}

#[test]
fn a_device_that_does_not_say_where_its_account_is_keeps_what_it_has() {
    for (delete, code, links) in [
        (&["/"][..], Code::CONTENT, ""),
        (&["/"], Code::CONTENT, "</0/0>;ssid=101"),
        (&["/"], Code::CONTENT, "</0/0>,<"),
        (&["/"], Code::CONTENT, "\u{1}"),
        (&["/"], Code::UNAUTHORIZED, ""),
        (&["/"], Code::INTERNAL_SERVER_ERROR, ""),
        // Nothing frees the instance at which its account may be.
        (&[], Code::METHOD_NOT_ALLOWED, ""),
        (&["/0/1", "/1"], Code::NOT_FOUND, ""),
    ] {
        let (asked, world) = asked_after_discover(auto_ids(delete), code, links);
        assert_eq!(asked, Vec::<String>::new(), "{code} {links}");
        assert_eq!(world.failure().unwrap().0, "Bootstrap-Discover /0");
    }
}

#[test]
fn a_device_without_discover_gets_ids_from_0_after_all_accounts_were_deleted() {
    for code in [Code::NOT_FOUND, Code::METHOD_NOT_ALLOWED, Code::NOT_IMPLEMENTED] {
        for delete in ["/", "/0"] {
            let (asked, world) = asked_after_discover(auto_ids(&[delete]), code, "");
            assert_eq!(asked, [&format!("DELETE {delete}"), "PUT /0/0", "PUT /1/0", "POST /bs"], "{code}");
            assert_eq!(world.server.finished(), 1);
        }
    }
}

#[test]
fn a_configuration_for_the_bootstrap_server_s_account_needs_to_know_which_one_it_is() {
    let mut config = auto_ids(&["/"]);
    let bootstrap = buoy_server::SecurityConfig {
        bootstrap: true,
        short_server_id: None,
        ..config.security.values().next().unwrap().clone()
    };
    config.security.insert(7, bootstrap);
    let (asked, _) = asked_after_discover(config.clone(), Code::CONTENT, "</0/0>;ssid=1,</0/4>");
    assert_eq!(asked, ["DELETE /", "PUT /0/0", "PUT /0/4", "PUT /1/0", "POST /bs"]);
    let (asked, world) = asked_after_discover(config, Code::CONTENT, "</0/0>,</0/4>");
    assert_eq!(asked, Vec::<String>::new());
    assert_eq!(world.failure().unwrap().1, &BootstrapFailure::NoAccount);
}

#[test]
fn a_write_in_blocks_that_the_device_ends_after_the_first_is_no_success() {
    for code in [Code::CHANGED, Code::CREATED, Code::CONTINUE] {
        let mut world = World::new();
        world.server.longest_message = 136;
        world.begin(1, "buoy-1");
        world.answer(1, Code::DELETED, "");
        assert!(world.request().starts_with("PUT /0/1"));
        world.answer(1, code, "");
        let failure = BootstrapFailure::Exchange(Failure::BadTransfer);
        assert_eq!(world.failure(), Some(("Bootstrap-Write /0/1", &failure)), "{code}");
    }
}

fn is_ping(datagram: &[u8]) -> bool {
    matches!(datagram, [0x40, 0, _, _])
}

/// The shortest Bootstrap-Request.
fn short_request(message_id: u16) -> Vec<u8> {
    let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id, token: b"" };
    let options = [(OptionNumber::URI_PATH, &b"bs"[..]), (OptionNumber::URI_QUERY, b"ep=buoy-1")];
    message(header, &options, b"")
}

#[test]
fn a_claimed_address_gets_no_more_than_three_times_what_came_from_it_and_no_keys() {
    let configs = [
        one_server(101),
        BootstrapConfig { delete: Vec::new(), ..one_server(101) },
        BootstrapConfig { discover: true, read: vec!["/1".into()], ..one_server(101) },
        auto_ids(&["/"]),
    ];
    for config in configs {
        let mut world = World::new();
        world.server.configure("buoy-1", config);
        for id in 1..4 {
            let forged = short_request(id);
            world.sent.clear();
            world.deliver(1, &forged);
            world.wait(400);
            let sent: usize = world.sent.iter().map(|(_, datagram)| datagram.len()).sum();
            assert!(sent <= 3 * forged.len(), "{sent} of {} bytes", 3 * forged.len());
            assert!(world.sent.iter().all(|(_, datagram)| datagram.len() < 40));
        }
        world.assert_nothing_is_left();
    }
}

#[test]
fn a_write_that_is_too_large_for_a_claimed_address_follows_the_answer_to_a_ping() {
    type Answer = fn(u16) -> Vec<u8>;
    let answers: [Answer; 3] = [
        |id| buoy_coap::endpoint::reject(id).to_vec(),
        |id| buoy_coap::endpoint::acknowledge(id).to_vec(),
        |id| {
            let (kind, code) = (Kind::Acknowledgement, Code::METHOD_NOT_ALLOWED);
            message(Header { kind, code, message_id: id, token: b"" }, &[], b"")
        },
    ];
    let config = || BootstrapConfig { delete: Vec::new(), ..one_server(101) };
    for answer in answers {
        let mut world = World::new();
        world.server.configure("buoy-1", config());
        world.deliver(1, &short_request(1));
        let ping = world.sent.last().unwrap().1.clone();
        assert!(is_ping(&ping));
        world.deliver(1, &answer(Message::parse(&ping).unwrap().message_id()));
        assert!(world.request().starts_with("PUT /0/1"));
    }
    let mut world = World::new();
    world.server.configure("buoy-1", config());
    // One who doesn't answer is given up.
    world.deliver(2, &short_request(1));
    world.wait(400);
    assert_eq!(world.server.shard.len(), 0);
}

fn to_prepare(name: &str) -> BootstrapVerdict {
    BootstrapVerdict::Prepare { endpoint: name.into() }
}

#[test]
fn a_configuration_is_made_only_when_a_claimed_address_has_answered_a_ping() {
    let mut world = World::new();
    world.server.verdicts.insert("buoy-1".to_owned(), to_prepare("buoy-1"));
    // Forged addresses answer nothing: nothing is made for them, and they get no more than three times what came.
    for id in 1..4 {
        let forged = short_request(id);
        world.sent.clear();
        world.deliver(1, &forged);
        world.wait(400);
        let sent: usize = world.sent.iter().map(|(_, datagram)| datagram.len()).sum();
        assert!(sent <= 3 * forged.len(), "{sent} of {} bytes", 3 * forged.len());
    }
    assert!(world.server.to_prepare.is_empty());
    world.assert_nothing_is_left();

    world.deliver(1, &short_request(9));
    let ping = world.sent.last().unwrap().1.clone();
    assert!(is_ping(&ping));
    world.sent.clear();
    world.deliver(1, &buoy_coap::endpoint::reject(Message::parse(&ping).unwrap().message_id()));
    assert_eq!(world.server.to_prepare, ["buoy-1".into()], "once");
    assert!(world.sent.is_empty(), "nothing is sent before it is made");
    world.prepared("buoy-1", Ok(one_server(101)));
    assert_eq!(world.request(), "DELETE /");
    // Handed in once more, it changes nothing.
    world.sent.clear();
    world.prepared("buoy-1", Ok(one_server(102)));
    world.prepared("nobody", Ok(one_server(102)));
    assert!(world.sent.is_empty());
}

#[test]
fn a_device_whose_session_or_echo_proves_its_address_waits_for_no_ping() {
    let mut world = World::new();
    world.server.verdicts.insert("buoy-1".to_owned(), to_prepare("buoy-1"));
    let mut secured = peer(1);
    secured.session = buoy_server::SessionId::from_number(5);
    assert!(secured.session.is_some());
    world.server.handle_datagram(world.now, secured, &short_request(1));
    world.settle();
    assert_eq!((world.server.to_prepare.len(), world.sent.len()), (1, 1), "the answer 2.04 alone");
    // It begins anew: who makes the configuration is told again, and the newer session gets it.
    world.server.handle_datagram(world.now, secured, &short_request(2));
    world.settle();
    assert_eq!((world.server.to_prepare.len(), world.server.shard.len()), (2, 1));
    world.prepared("buoy-1", Ok(one_server(101)));
    assert_eq!(world.request(), "DELETE /");
}

#[test]
fn a_configuration_that_can_not_be_made_ends_the_session_with_the_reason() {
    let mut world = World::new();
    world.server.verdicts.insert("buoy-1".to_owned(), to_prepare("buoy-1"));
    world.deliver(1, &short_request(1));
    let ping = world.sent.last().unwrap().1.clone();
    world.deliver(1, &buoy_coap::endpoint::reject(Message::parse(&ping).unwrap().message_id()));
    world.prepared("buoy-1", Err("its credentials are revoked"));
    let reason = BootstrapFailure::NotPrepared("its credentials are revoked".into());
    assert_eq!(world.failure(), Some(("Bootstrap-Request", &reason)));
    world.assert_nothing_is_left();
    // One that is called off meanwhile gets nothing.
    world.deliver(1, &short_request(2));
    let ping = world.sent.last().unwrap().1.clone();
    world.deliver(1, &buoy_coap::endpoint::reject(Message::parse(&ping).unwrap().message_id()));
    world.server.shard.cancel(world.now, "buoy-1", &mut buoy_server::BootstrapOutbox::default());
    world.sent.clear();
    world.prepared("buoy-1", Ok(one_server(101)));
    assert!(world.sent.is_empty());
    world.assert_nothing_is_left();
}

#[test]
fn a_pack_that_has_to_be_made_comes_as_a_separate_response() {
    let ask = |world: &mut World, id: u16, echo: &[u8]| {
        let header = Header { kind: Kind::Confirmable, code: Code::GET, message_id: id, token: b"pack" };
        let mut options =
            vec![(OptionNumber::URI_PATH, &b"bspack"[..]), (OptionNumber::URI_QUERY, b"ep=buoy-1")];
        if !echo.is_empty() {
            options.push((OptionNumber::ECHO, echo));
        }
        world.sent.clear();
        world.deliver(1, &message(header, &options, b""));
    };
    let mut world = World::new();
    world.server.verdicts.insert("buoy-1".to_owned(), to_prepare("buoy-1"));
    ask(&mut world, 1, b"");
    assert!(world.server.to_prepare.is_empty(), "nothing is made before the proof");
    let challenge = world.sent[0].1.clone();
    let echo = Message::parse(&challenge).unwrap().value(OptionNumber::ECHO).unwrap().to_vec();
    ask(&mut world, 2, &echo);
    assert_eq!(world.server.to_prepare.len(), 1);
    assert_eq!(world.sent[0].1, buoy_coap::endpoint::acknowledge(2));
    // The device repeats its request, which is acknowledged again and prepares nothing again.
    ask(&mut world, 2, &echo);
    assert_eq!((world.server.to_prepare.len(), world.sent.len()), (1, 1));

    world.sent.clear();
    world.prepared("buoy-1", Ok(one_server(101)));
    let response = world.sent[0].1.clone();
    let response = Message::parse(&response).unwrap();
    assert_eq!((response.kind(), response.code()), (Kind::Confirmable, Code::CONTENT));
    assert_eq!(response.token(), b"pack");
    assert!(!response.payload().is_empty());
    let told = |world: &World| {
        world.server.events.iter().filter(|it| matches!(it, BootstrapEvent::PackSent { .. })).count()
    };
    assert_eq!(told(&world), 1);
    world.deliver(1, &buoy_coap::endpoint::acknowledge(response.message_id()));

    // Why there is none is told as well; and one whose configuration never comes is forgotten.
    ask(&mut world, 3, &echo);
    world.sent.clear();
    world.prepared("buoy-1", Err("its credentials are revoked"));
    let response = world.sent[0].1.clone();
    let response = Message::parse(&response).unwrap();
    assert_eq!(response.code(), Code::INTERNAL_SERVER_ERROR);
    assert_eq!(response.payload(), b"its credentials are revoked");
    world.deliver(1, &buoy_coap::endpoint::acknowledge(response.message_id()));
    ask(&mut world, 4, &echo);
    world.wait(400);
    world.sent.clear();
    world.prepared("buoy-1", Ok(one_server(101)));
    assert!(world.sent.is_empty());
    world.wait(400);
    world.assert_nothing_is_left();
}

#[test]
fn a_pack_is_made_after_the_proof_and_once_for_all_its_blocks() {
    let mut shard = buoy_server::BootstrapShard::new(BootstrapLimits::default(), [7; 32]);
    let mut outbox = buoy_server::BootstrapOutbox::default();
    let mut made = 0_u8;
    let mut now = Instant::from_millis(1_000_000);
    let mut ask = |made: &mut u8, id: u16, echo: &[u8], block: u8| {
        now = now + Duration::from_secs(1);
        let mut directory = |_: &buoy_server::BootstrapRequest<'_>| {
            *made += 1;
            let mut config = one_server(101);
            // Each is another, as with keys that are made for the device.
            config.security.get_mut(&1).unwrap().uri = format!("coap://192.0.2.{made}");
            BootstrapVerdict::Configure { endpoint: "buoy-1".into(), config: config.into() }
        };
        let header = Header { kind: Kind::Confirmable, code: Code::GET, message_id: id, token: b"t" };
        let block = [block];
        let mut options = vec![
            (OptionNumber::URI_PATH, &b"bspack"[..]),
            (OptionNumber::URI_QUERY, b"ep=buoy-1"),
            (OptionNumber::BLOCK2, &block),
        ];
        if !echo.is_empty() {
            options.push((OptionNumber::ECHO, echo));
        }
        shard.handle_datagram(now, peer(1), &message(header, &options, b""), &mut directory, &mut outbox);
        let answer = outbox.datagrams().next().unwrap().1.to_vec();
        let told = outbox.events.drain(..).filter(|it| matches!(it, BootstrapEvent::PackSent { .. })).count();
        outbox.clear();
        (answer, told)
    };
    let (challenge, _) = ask(&mut made, 1, b"", 1);
    assert_eq!(made, 0, "nothing is made before the proof");
    let echo = Message::parse(&challenge).unwrap().value(OptionNumber::ECHO).unwrap().to_vec();
    let (mut body, mut etags, mut sent) = (Vec::new(), Vec::new(), 0);
    for number in 0.. {
        let (answer, told) = ask(&mut made, 10 + u16::from(number), &echo, number << 4 | 1);
        let answer = Message::parse(&answer).unwrap();
        body.extend_from_slice(answer.payload());
        etags.push(answer.value(OptionNumber::ETAG).unwrap().to_vec());
        sent += told;
        if answer.uint(OptionNumber::BLOCK2).unwrap() & 8 == 0 {
            // The answer was lost.
            sent += ask(&mut made, 100, &echo, number << 4 | 1).1;
            break;
        }
    }
    assert_eq!((made, sent), (1, 1));
    etags.dedup();
    assert_eq!(etags.len(), 1);
    assert!(body.windows(9).any(|text| text == b"192.0.2.1"));
    ask(&mut made, 200, &echo, 1);
    assert_eq!(made, 2, "who begins anew gets what is good now");
}
