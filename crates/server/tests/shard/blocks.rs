//! Bodies in blocks, files, and datagrams that are too large (RFC 7959).

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message};
use buoy_server::{Body, Durability, Event, Failure, Intent, OperationState, Peer, ShardConfig};
use buoy_testkit::{Server, message};

use crate::world::{World, peer, read, request};

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
