//! Block-wise transfer (RFC 7959) and what keeps two of them apart (RFC 9175).

use buoy_client::ClientConfig;
use buoy_client::firmware::{FirmwareUpdate, Protocol, State};
use buoy_coap::block::BlockSize;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::Kind;
use buoy_lwm2m::operation::{Downlink, WriteMode};
use buoy_server::ShardConfig;
use buoy_testkit::{Container, DEVICE, Datagram, Server, Shelf, World};

use crate::{Asked, Role, ask};

const OPAQUE: ContentFormat = ContentFormat::OCTET_STREAM;
const LARGE: &str = "/19/0/0/0";

/// A device with room for a large value, each side with blocks of its own size.
fn world(device: usize, server: usize) -> World {
    let block_size = BlockSize::at_most(device);
    let mut world = World::with(7, ClientConfig { block_size, ..ClientConfig::new(DEVICE).unwrap() });
    let mut container = Container::default();
    container.instances.insert(0, Default::default());
    world.device().objects.container = Some(container);
    world.server = Server::new(ShardConfig {
        block_size: BlockSize::at_most(server),
        max_upload: 2000,
        ..ShardConfig::default()
    });
    world.start();
    world
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8)) as u8).collect()
}

fn stored(world: &mut World) -> Vec<u8> {
    world.device().objects.container.as_ref().unwrap().instances[&0].0[&0].clone()
}

fn store(world: &mut World, value: &[u8]) {
    let container = world.device().objects.container.as_mut().unwrap();
    container.instances.get_mut(&0).unwrap().0.insert(0, value.to_vec());
}

/// The Block1 or Block2 options of what went by, as `0/1/64`.
fn blocks<'a>(sent: impl Iterator<Item = &'a Datagram>, name: &str) -> Vec<String> {
    let lines: Vec<String> = sent.map(Datagram::line).collect();
    let option = |line: &String| Some(line.split_once(&format!("{name}="))?.1.split(' ').next()?.to_owned());
    lines.iter().filter_map(option).collect()
}

#[test]
fn a_large_write_goes_in_blocks_with_its_size_in_the_first() {
    let mut world = world(1024, 1024);
    let body = body(2500);
    let write = world.write(LARGE, WriteMode::Replace, OPAQUE, &body);
    assert_eq!(write.code(), Code::CHANGED);
    assert_eq!(stored(&mut world), body);
    assert_eq!(write.request.line(), "PUT /19/0/0/0 Content-Format=42 Block1=0/1/1024 Size1=2500");
    assert_eq!(blocks(world.from_server(), "Block1"), ["0/1/1024", "1/1/1024", "2/0/1024"]);
    assert_eq!(blocks(world.from_device(), "Block1"), ["0/1/1024", "1/1/1024", "2/0/1024"]);
}

#[test]
fn rfc_9175_a_large_write_waits_until_the_device_has_answered_from_its_address() {
    fn is_ping(datagram: &Datagram) -> bool {
        datagram.kind() == Kind::Confirmable && datagram.code() == Code::EMPTY
    }
    let mut world = world(1024, 1024);
    assert_eq!(world.write(LARGE, WriteMode::Replace, OPAQUE, &body(700)).code(), Code::CHANGED);
    let sent: Vec<_> = world.from_server().map(is_ping).collect();
    assert_eq!(sent, [true, false]);
    // Once proved, it stays so.
    assert_eq!(world.write(LARGE, WriteMode::Replace, OPAQUE, &body(600)).code(), Code::CHANGED);
    assert!(!world.from_server().any(is_ping));
}

#[test]
fn late_negotiation_a_device_with_small_blocks_gets_small_ones_from_the_second_on() {
    let mut world = world(128, 1024);
    let body = body(1500);
    assert_eq!(world.write(LARGE, WriteMode::Replace, OPAQUE, &body).code(), Code::CHANGED);
    assert_eq!(stored(&mut world), body);
    let sent = blocks(world.from_server(), "Block1");
    assert_eq!(
        (sent[0].as_str(), sent[1].as_str(), sent.last().unwrap().as_str()),
        ("0/1/1024", "8/1/128", "11/0/128")
    );
}

#[test]
fn late_negotiation_the_server_takes_the_size_of_the_device_s_answer() {
    let mut world = world(64, 1024);
    let body = body(500);
    store(&mut world, &body);
    let read = world.read(LARGE, OPAQUE);
    assert_eq!(read.payload(), body);
    assert!(!read.request.line().contains("Block2"), "{}", read.request.line());
    assert_eq!(blocks(world.from_device(), "Block2")[..2], ["0/1/64", "1/1/64"]);
    assert_eq!(blocks(world.from_server(), "Block2")[0], "1/0/64");
}

#[test]
fn early_negotiation_a_server_with_small_blocks_asks_for_them_at_once() {
    let mut world = world(1024, 128);
    let body = body(500);
    store(&mut world, &body);
    let read = world.read(LARGE, OPAQUE);
    assert_eq!(read.payload(), body);
    assert_eq!(read.request.line(), "GET /19/0/0/0 Accept=42 Block2=0/0/128");
    assert_eq!(blocks(world.from_device(), "Block2"), ["0/1/128", "1/1/128", "2/1/128", "3/0/128"]);
}

#[test]
fn early_negotiation_both_engines_give_blocks_as_small_as_they_are_asked_for() {
    let mut world = world(1024, 1024);
    store(&mut world, &body(500));
    world.server.offer("file", &body(500));
    // An answer proves the device's address to the server, which gives others the smallest blocks.
    world.read("/3/0/0", ContentFormat::TEXT);
    for (role, path) in [(Role::Device, "19/0/0/0"), (Role::Server, "file")] {
        let options = [(OptionNumber::ACCEPT, &[42][..]), (OptionNumber::BLOCK2, &[2])];
        let answer =
            ask(&mut world, role, 1, &Asked { path, options: &options, ..Asked::default() }).unwrap();
        assert!(
            answer.line().starts_with("2.05 Content-Format=42 Block2=0/1/64 Size2=500"),
            "{}",
            answer.line()
        );
        assert_eq!(answer.payload().len(), 64);
    }
}

#[test]
fn late_negotiation_a_register_in_blocks_goes_on_with_the_server_s_size() {
    let mut world = world(64, 32);
    let registers = blocks(world.from_device().filter(|sent| sent.path() == "rd"), "Block1");
    assert_eq!(registers[..2], ["0/1/64", "2/1/32"], "{registers:?}");
    world.wait(1);
    assert!(world.is_registered());
}

#[test]
fn the_size_is_told_to_who_asks_for_it() {
    let mut world = world(1024, 1024);
    world.server.offer("file", &body(10));
    for (role, path, size) in [(Role::Device, "3/0/0", 16), (Role::Server, "file", 10)] {
        let options = [(OptionNumber::SIZE2, &b""[..])];
        let answer =
            ask(&mut world, role, 1, &Asked { path, options: &options, ..Asked::default() }).unwrap();
        assert_eq!(answer.uint(OptionNumber::SIZE2), Some(size), "{role:?}");
    }
}

/// A block of a body that both engines collect: a Send to the server, a Write to the device.
fn block(
    world: &mut World,
    role: Role,
    id: u16,
    tag: &[u8],
    block: u8,
    options: &[(OptionNumber, &[u8])],
) -> Datagram {
    let (path, code, format) = match role {
        Role::Server => ("dp", Code::POST, &[110][..]),
        Role::Device => ("19/0/0/0", Code::PUT, &[42][..]),
    };
    let block = [block];
    let mut all = vec![
        (OptionNumber::CONTENT_FORMAT, format),
        (OptionNumber::BLOCK1, &block[..]),
        (OptionNumber::REQUEST_TAG, tag),
    ];
    all.extend_from_slice(options);
    let payload = br#"[{"n":"/3/0/0","vs":"0123456789abcdef"}]        "#;
    let payload = &payload[usize::from(block[0] >> 4) % 3 * 16..][..16];
    ask(world, role, id, &Asked { code, path, options: &all, payload, ..Asked::default() }).unwrap()
}

#[test]
fn a_body_with_a_gap_is_4_08() {
    for role in crate::BOTH {
        let mut world = world(1024, 1024);
        assert_eq!(block(&mut world, role, 1, b"a", 0x08, &[]).code(), Code::CONTINUE);
        assert_eq!(
            block(&mut world, role, 2, b"a", 0x28, &[]).code(),
            Code::REQUEST_ENTITY_INCOMPLETE,
            "{role:?}"
        );
        let mut world = crate::blocks::world(1024, 1024);
        assert_eq!(
            block(&mut world, role, 1, b"a", 0x18, &[]).code(),
            Code::REQUEST_ENTITY_INCOMPLETE,
            "{role:?}"
        );
    }
}

#[test]
fn a_body_that_is_too_large_is_4_13_with_the_size_that_is_not() {
    for (role, limit) in [(Role::Server, 2000), (Role::Device, 4096)] {
        let mut world = world(1024, 1024);
        let size = [(OptionNumber::SIZE1, &[0xff, 0xff][..])];
        let answer = block(&mut world, role, 1, b"a", 0x08, &size);
        let told = (answer.code(), answer.uint(OptionNumber::SIZE1));
        assert_eq!(told, (Code::REQUEST_ENTITY_TOO_LARGE, Some(limit)), "{role:?}");
    }
}

#[test]
fn rfc_9175_bodies_with_other_request_tags_are_other_bodies() {
    let mut world = world(1024, 1024);
    for (id, tag, number, code) in [
        (1, &b"a"[..], 0x08, Code::CONTINUE),
        (2, b"b", 0x08, Code::CONTINUE),
        (3, b"a", 0x18, Code::CONTINUE),
        (4, b"b", 0x18, Code::CONTINUE),
        (5, b"a", 0x20, Code::CHANGED),
        (6, b"b", 0x20, Code::CHANGED),
    ] {
        assert_eq!(block(&mut world, Role::Server, id, tag, number, &[]).code(), code, "{id}");
    }
    assert_eq!(world.reported().len(), 2);
    // A device has room for one body: the second takes the place of the first, whose blocks are not taken for its own.
    assert_eq!(block(&mut world, Role::Device, 1, b"a", 0x08, &[]).code(), Code::CONTINUE);
    assert_eq!(block(&mut world, Role::Device, 2, b"b", 0x08, &[]).code(), Code::CONTINUE);
    let lost = block(&mut world, Role::Device, 3, b"a", 0x18, &[]);
    assert_eq!(lost.code(), Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(block(&mut world, Role::Device, 4, b"b", 0x18, &[]).code(), Code::CONTINUE);
}

#[test]
fn rfc_9175_all_blocks_of_a_body_have_its_request_tag() {
    let tags = |sent: &mut dyn Iterator<Item = &Datagram>| -> Vec<Vec<u8>> {
        let in_blocks = sent.filter(|it| it.code().is_request() && it.uint(OptionNumber::BLOCK1).is_some());
        in_blocks.map(|it| it.message().value(OptionNumber::REQUEST_TAG).unwrap().to_vec()).collect()
    };
    let mut world = world(64, 64);
    let register = tags(&mut world.from_device());
    assert!(register.len() > 1 && register.iter().all(|tag| *tag == register[0]), "{register:02x?}");
    world.write(LARGE, WriteMode::Replace, OPAQUE, &body(200));
    let first = tags(&mut world.from_server());
    world.write(LARGE, WriteMode::Replace, OPAQUE, &body(200));
    let second = tags(&mut world.from_server());
    assert_eq!((first.len(), second.len()), (4, 4));
    assert!(first.iter().all(|tag| *tag == first[0]) && second.iter().all(|tag| *tag == second[0]));
    assert_ne!(first[0], second[0]);
}

#[test]
fn rfc_9175_a_download_shows_the_server_what_it_wants_to_see_and_gets_large_blocks() {
    let mut world = World::new(7);
    let image = body(10_000);
    world.device().objects.firmware = Some(FirmwareUpdate::new(Shelf::default(), &[Protocol::Coap]));
    world.server.offer("fw/image", &image);
    world.start();
    world.write_text("/5/0/1", "coap://192.0.2.1/fw/image");
    world.wait(5);
    let firmware = world.device().objects.firmware.as_ref().unwrap();
    assert_eq!((firmware.state(), firmware.target().package == image), (State::Downloaded, true));
    let fetches = world.network.log.iter().filter(|packet| packet.datagram.path() == "fw/image");
    let echoes: Vec<_> =
        fetches.map(|fetch| fetch.datagram.message().value(OptionNumber::ECHO).is_some()).collect();
    assert_eq!(echoes.len(), 11, "one that proves nothing yet, and ten blocks");
    assert!(!echoes[0] && echoes[1..].iter().all(|shown| *shown));
}

#[test]
fn a_composite_of_many_values_comes_in_blocks() {
    let mut world = world(64, 1024);
    let read = world.read_composite(&["/3303", "/3/0"], ContentFormat::SENML_CBOR);
    assert_eq!(read.code(), Code::CONTENT);
    assert!(read.payload().len() > 128 && blocks(world.from_server(), "Block2").len() > 1);
    let discover = world.perform(&Downlink::Discover { path: "/3303".parse().unwrap(), depth: None });
    assert!(discover.text().ends_with("</3303/1/5750>"), "{}", discover.text());
}
