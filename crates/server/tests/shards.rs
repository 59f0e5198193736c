//! Two shards: a device belongs to one, wherever its datagrams come in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::operation;
use buoy_server::{
    Directory, Downlink, Durability, Event, Intent, OperationId, Outbox, Peer, SessionId, Shard, ShardConfig,
    Submission,
};
use buoy_testkit::message;

/// Where endpoints live.
#[derive(Clone, Default)]
struct Homes(Arc<Mutex<HashMap<Arc<str>, u8>>>);

impl Directory for Homes {
    fn claim(&self, endpoint: &Arc<str>, shard: u8) -> u8 {
        *self.0.lock().unwrap().entry(endpoint.clone()).or_insert(shard)
    }

    fn release(&self, endpoint: &str, shard: u8) {
        self.0.lock().unwrap().retain(|name, home| **name != *endpoint || *home != shard);
    }

    fn home(&self, endpoint: &str) -> Option<u8> {
        self.0.lock().unwrap().get(endpoint).copied()
    }

    fn proved(&self, _: SessionId) -> Option<Arc<str>> {
        None
    }

    fn longest_message(&self, _: SessionId) -> usize {
        usize::MAX
    }

    fn may_go_unproved(&self, _: &str) -> bool {
        true
    }

    fn carry(&self, _: &Arc<str>, _: Option<SessionId>) {}
}

struct World {
    shards: [Shard<Homes>; 2],
    homes: Homes,
    now: Instant,
    next_id: u16,
}

impl World {
    fn new() -> Self {
        let homes = Homes::default();
        let config = ShardConfig { shards: 2, ..ShardConfig::default() };
        let shard = |number| Shard::new(number, config, homes.clone(), [number; 32]);
        let shards = [shard(0), shard(1)];
        Self { shards, homes, now: Instant::from_millis(1_000_000), next_id: 1 }
    }

    /// What is sent when a datagram comes in at a shard, which may pass it on once.
    fn deliver(&mut self, shard: usize, peer: Peer, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut outbox = Outbox::default();
        self.shards[shard].handle_datagram(self.now, peer, datagram, &mut outbox);
        self.shards[shard].flush(self.now, &mut outbox);
        let mut sent: Vec<Vec<u8>> = outbox.datagrams().map(|(_, datagram)| datagram.to_vec()).collect();
        for event in std::mem::take(&mut outbox.events) {
            if let Event::AddressTaken { shard, peer } = event {
                self.shards[usize::from(shard)].release_address(self.now, peer, &mut Outbox::default());
                continue;
            }
            if let Event::Misdirected { shard: Some(home), peer, datagram } = event {
                let mut outbox = Outbox::default();
                let home = &mut self.shards[usize::from(home) % 2];
                home.handle_datagram(self.now, peer, &datagram, &mut outbox);
                home.flush(self.now, &mut outbox);
                sent.extend(outbox.datagrams().map(|(_, datagram)| datagram.to_vec()));
            }
        }
        sent
    }

    fn ask(
        &mut self,
        shard: usize,
        port: u16,
        code: Code,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) -> Vec<Vec<u8>> {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let request = message(header, options, payload);
        self.deliver(shard, Peer::plain(([127, 0, 0, 1], port).into()), &request)
    }

    fn register(&mut self, shard: usize, port: u16) -> Vec<Vec<u8>> {
        self.register_as("ep=buoy-1", shard, port)
    }

    fn register_as(&mut self, endpoint: &str, shard: usize, port: u16) -> Vec<Vec<u8>> {
        let options: [(OptionNumber, &[u8]); 4] = [
            (OptionNumber::URI_PATH, b"rd"),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, endpoint.as_bytes()),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        ];
        self.ask(shard, port, Code::POST, &options, b"</1/0>,</3/0>")
    }
}

fn code_of(datagram: &[u8]) -> Code {
    Message::parse(datagram).unwrap().code()
}

fn location_of(datagram: &[u8]) -> Vec<u8> {
    Message::parse(datagram).unwrap().values(OptionNumber::LOCATION_PATH).nth(1).unwrap().to_vec()
}

#[test]
fn a_register_in_blocks_that_comes_in_elsewhere_is_put_together_at_home() {
    let mut world = World::new();
    assert_eq!(code_of(&world.register(0, 1)[0]), Code::CREATED);
    let list = format!("</1/0>,</3/0>,{}</3303/0>", "</3311/1>,".repeat(3));
    let (first, second) = list.as_bytes().split_at(16);
    let mut answers = Vec::new();
    let mut blocks = vec![(first, 0x08_u8)];
    let rest: Vec<&[u8]> = second.chunks(16).collect();
    for (number, block) in (1_u8..).zip(&rest) {
        let more = if usize::from(number) < rest.len() { 0x08 } else { 0 };
        blocks.push((block, number << 4 | more));
    }
    for (payload, block) in blocks {
        let block = [block];
        let options: [(OptionNumber, &[u8]); 5] = [
            (OptionNumber::URI_PATH, b"rd"),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, b"ep=buoy-1"),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
            (OptionNumber::BLOCK1, &block),
        ];
        // The device rebooted, and its new port belongs to the other shard.
        answers.push(code_of(&world.ask(1, 2, Code::POST, &options, payload)[0]));
    }
    let last = answers.pop().unwrap();
    assert_eq!(last, Code::CREATED);
    assert!(answers.iter().all(|answer| *answer == Code::CONTINUE), "{answers:?}");
    assert_eq!(world.shards[0].registration("buoy-1").unwrap().objects.text(), list);
}

#[test]
fn what_is_handed_to_the_wrong_shard_is_given_back_with_the_right_one() {
    let mut world = World::new();
    assert_eq!(code_of(&world.register(1, 1)[0]), Code::CREATED);
    let read = operation::Downlink::Read { path: "/3/0".parse().unwrap(), accept: None };
    let submission = Submission {
        id: OperationId(1),
        endpoint: "buoy-1".into(),
        request: Downlink::of(&read, ""),
        intent: Intent::Once,
        durability: Durability::Durable,
        deadline: world.now + Duration::from_secs(60),
    };
    let mut outbox = Outbox::default();
    let (home, submission) = world.shards[0].submit(world.now, submission, &mut outbox).unwrap();
    assert!(outbox.is_empty() && home == 1);
    assert!(world.shards[1].submit(world.now, submission, &mut outbox).is_none());
    world.shards[1].flush(world.now, &mut outbox);
    assert_eq!(outbox.datagrams().count(), 1);
}

#[test]
fn what_waits_for_a_device_that_left_finds_it_wherever_it_comes_back() {
    let mut world = World::new();
    let location = location_of(&world.register(0, 1)[0]);
    let read = operation::Downlink::Read { path: "/3/0".parse().unwrap(), accept: None };
    let mut outbox = Outbox::default();
    let deregister = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, &location)];
    assert_eq!(code_of(&world.ask(0, 1, Code::DELETE, &deregister, b"")[0]), Code::DELETED);
    assert_eq!(world.homes.home("buoy-1"), None, "nothing waits for it");
    let submission = Submission {
        id: OperationId(1),
        endpoint: "buoy-1".into(),
        request: Downlink::of(&read, "/"),
        intent: Intent::Once,
        deadline: world.now + Duration::from_secs(60),
        durability: Durability::Durable,
    };
    world.shards[0].submit(world.now, submission, &mut outbox);
    let sent = world.register(1, 2);
    let codes: Vec<Code> = sent.iter().map(|datagram| code_of(datagram)).collect();
    assert_eq!(codes, [Code::CREATED, Code::GET]);
}

#[test]
fn a_name_is_free_again_when_its_register_was_refused() {
    let mut world = World::new();
    let options: [(OptionNumber, &[u8]); 4] = [
        (OptionNumber::URI_PATH, b"rd"),
        (OptionNumber::URI_QUERY, b"ep=buoy-1"),
        (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        (OptionNumber::URI_QUERY, b"lt=x"),
    ];
    assert_eq!(code_of(&world.ask(0, 1, Code::POST, &options, b"")[0]), Code::BAD_REQUEST);
    assert_eq!(world.homes.home("buoy-1"), None);
}

#[test]
fn a_location_of_a_shard_that_is_no_more_is_answered() {
    let mut world = World::new();
    // Shard 7 of a time when there were eight.
    let update =
        [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, &b"00000000010700000001"[..])];
    for shard in 0..2 {
        let sent = world.ask(shard, 1, Code::POST, &update, b"");
        assert_eq!(sent.iter().map(|datagram| code_of(datagram)).collect::<Vec<_>>(), [Code::NOT_FOUND]);
    }
}

#[test]
fn what_a_device_sends_unasked_finds_its_shard_wherever_it_comes_in() {
    let mut world = World::new();
    world.register(0, 1);
    // Its new port belongs to the other shard.
    assert_eq!(code_of(&world.register(1, 2)[0]), Code::CREATED);
    let options = [(OptionNumber::URI_PATH, &b"dp"[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    let sent = world.ask(1, 2, Code::POST, &options, br#"[{"n":"/3/0/9","v":1}]"#);
    assert_eq!(code_of(&sent[0]), Code::CHANGED);
    assert_eq!(world.shards[0].counters().sends, 1);
}

#[test]
fn the_newest_registration_has_an_address_whichever_shards_the_devices_live_on() {
    let can_be_read = |world: &mut World, shard: usize, endpoint: &str| {
        let read = operation::Downlink::Read { path: "/3/0".parse().unwrap(), accept: None };
        let submission = Submission {
            id: OperationId(world.next_id.into()),
            endpoint: endpoint.into(),
            request: Downlink::of(&read, "/"),
            intent: Intent::Once,
            durability: Durability::Transient,
            deadline: world.now + Duration::from_secs(60),
        };
        world.next_id += 1;
        let mut outbox = Outbox::default();
        world.shards[shard].submit(world.now, submission, &mut outbox);
        world.shards[shard].flush(world.now, &mut outbox);
        outbox.datagrams().count() > 0
    };
    // buoy-1 lives on shard 0, and speaks from a port of shard 1.
    let mut world = World::new();
    world.register(0, 1);
    world.register(1, 2);
    assert!(can_be_read(&mut world, 0, "buoy-1"));
    // A device of shard 1 registers from there.
    world.register_as("ep=buoy-2", 1, 2);
    assert!(!can_be_read(&mut world, 0, "buoy-1") && can_be_read(&mut world, 1, "buoy-2"));
    // And one that belongs to shard 0 again.
    world.register_as("ep=buoy-3", 0, 3);
    world.register_as("ep=buoy-3", 1, 2);
    assert!(!can_be_read(&mut world, 1, "buoy-2") && can_be_read(&mut world, 0, "buoy-3"));
    let codes: Vec<_> = world.register(1, 4).iter().map(|sent| code_of(sent)).collect();
    assert_eq!(codes, [Code::CREATED, Code::GET], "the first one gets what waited for it");
}
