//! A device with little memory, whose datagrams are as long as its bodies.

use core::mem::MaybeUninit;

use buoy_client::objects::Device;
use buoy_client::time::Instant;
use buoy_client::{Client, ClientConfig, Object, Security, Sensor, Server, ServerSlot};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message};
use buoy_testkit::message;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SERVER: ServerSlot = ServerSlot(0);
const NOW: Instant = Instant::ZERO;

#[test]
fn a_device_that_was_made_in_place_reads_several_paths_that_were_asked_for_in_blocks() {
    let mut place = MaybeUninit::<Client<ChaCha8Rng, Sensor>>::uninit();
    let config = ClientConfig::new("buoy-1").unwrap();
    let client = Client::new_in(&mut place, config, ChaCha8Rng::seed_from_u64(7));
    client.add_server(Security::none("coap://192.0.2.1").unwrap(), Server::new(1, 300)).unwrap();
    let mut device = Device::new("Buoy", "Chip", "1", "1.0.0");
    let objects: &mut [&mut dyn Object] = &mut [&mut device];
    let mut out = [0; 1280];
    client.start(NOW, objects);
    let register = client.poll_transmit(NOW, objects, &mut out).unwrap();
    let register = Message::parse(&out[..register.length]).unwrap();
    let created = Header {
        kind: Kind::Acknowledgement,
        code: Code::CREATED,
        message_id: register.message_id(),
        token: register.token(),
    };
    let created = message(created, &[(OptionNumber::LOCATION_PATH, b"rd")], b"");
    client.handle_datagram(NOW, SERVER, &created, objects, &mut out);
    assert!(client.is_registered(SERVER));

    // [{"n": "/3/0/0"}, {"n": "/3/0/1"}], in CBOR and in two blocks.
    let asked = *b"\x82\xa1\x00\x66/3/0/0\xa1\x00\x66/3/0/1";
    let mut answer = Vec::new();
    for (number, block) in asked.chunks(16).enumerate() {
        let option = if number == 0 { [0x08] } else { [0x10] };
        let header =
            Header { kind: Kind::Confirmable, code: Code::FETCH, message_id: number as u16, token: b"t" };
        let options = [(OptionNumber::CONTENT_FORMAT, &[112][..]), (OptionNumber::BLOCK1, &option)];
        let request = message(header, &options, block);
        let length = client.handle_datagram(NOW, SERVER, &request, objects, &mut out);
        answer = out[..length].to_vec();
    }
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.code(), Code::CONTENT);
    let has = |text: &[u8]| answer.payload().windows(text.len()).any(|part| part == text);
    assert!(has(b"/3/0/0") && has(b"Buoy") && has(b"/3/0/1") && has(b"Chip"), "{:?}", answer.payload());
}
