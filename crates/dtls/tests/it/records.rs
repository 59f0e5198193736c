//! Records: their size, their limits, and what is done about bad ones.

use buoy_dtls::config::MaxFragmentLength;
use buoy_dtls::{Event, SealError};

use crate::world::{SERVER, World, psk_config};

#[test]
fn a_record_size_limit_binds_both_ends() {
    let mut world = World::new(1);
    world.server.config.record_size_limit = 200;
    let mut config = psk_config("buoy-1", b"secret-1");
    config.record_size_limit = Some(100);
    let (client, handle) = world.connected(config);
    let mut out = [0; 1000];
    let connection = &mut world.clients[client].connection;
    // One less, for the true type that goes with a connection ID may count.
    assert_eq!(connection.max_payload(), 199);
    assert_eq!(connection.seal(&[0; 200], &mut out), Err(SealError::PayloadTooLong));
    assert!(connection.seal(&[0; 199], &mut out).is_ok());
    let server = &mut world.server.endpoint;
    assert_eq!(server.seal(handle, &[0; 101], &mut out), Err(SealError::PayloadTooLong));
    assert!(server.seal(handle, &[0; 100], &mut out).is_ok());
}

#[test]
fn a_maximum_fragment_length_binds_both_ends() {
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.max_fragment_length = Some(MaxFragmentLength::Bytes512);
    let (client, handle) = world.connected(config);
    assert_eq!(world.clients[client].connection.max_payload(), 511);
    assert_eq!(world.server.endpoint.connection(handle).unwrap().max_payload(), 512);
}

#[test]
fn the_newer_limit_puts_the_older_one_out_of_force() {
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.max_fragment_length = Some(MaxFragmentLength::Bytes512);
    config.record_size_limit = Some(1000);
    let (_, handle) = world.connected(config);
    assert_eq!(world.server.endpoint.connection(handle).unwrap().max_payload(), 1000);
}

#[test]
fn a_payload_is_sealed_where_it_stands() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let connection = &mut world.clients[client].connection;
    let offset = connection.payload_offset();
    let mut buffer = vec![0; 4 + connection.overhead()];
    buffer[offset..offset + 4].copy_from_slice(b"CoAP");
    let length = connection.seal_in_place(&mut buffer, 4).unwrap();
    assert_eq!(length, buffer.len());
    let from = world.clients[client].address;
    world.fly(from, SERVER, &buffer);
    world.run();
    assert_eq!(world.server.received, [(handle, b"CoAP".to_vec())]);
    assert_eq!(
        world.clients[client].connection.seal_in_place(&mut buffer, 5),
        Err(SealError::BufferTooShort)
    );
}

#[test]
fn several_records_in_a_datagram_are_all_handed_out() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let mut datagram = Vec::new();
    for text in [&b"one"[..], b"", b"three"] {
        let mut out = [0; 100];
        let length = world.clients[client].connection.seal(text, &mut out).unwrap();
        datagram.extend_from_slice(&out[..length]);
    }
    let from = world.clients[client].address;
    world.fly(from, SERVER, &datagram);
    world.run();
    let expected = [(handle, b"one".to_vec()), (handle, Vec::new()), (handle, b"three".to_vec())];
    assert_eq!(world.server.received, expected);
}

#[test]
fn a_record_with_any_bit_changed_is_dropped_and_the_session_lives() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.say(client, b"hello");
    let record = world.flying.pop().unwrap();
    for bit in 0..record.bytes.len() * 8 {
        let mut changed = record.bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        world.server_receives(record.from, changed);
    }
    // The version in the header is not what is authenticated, but the one that must stand there.
    let before = world.server.received.len();
    assert!(before <= 1, "{before}");
    world.say(client, b"hello again");
    world.run();
    assert_eq!(world.server.received.last().unwrap().1, b"hello again");
}

#[test]
fn an_alert_that_is_not_authenticated_ends_no_session() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
    let address = world.clients[client].address;
    world.fly(SERVER, address, &alert);
    world.fly(address, SERVER, &alert);
    world.run();
    assert!(world.clients[client].ended.is_none());
    assert_eq!(world.end_of(handle), None);
}

#[test]
fn a_stray_alert_in_a_handshake_ends_it_with_a_reason() {
    let mut world = World::new(1);
    let client = world.client(psk_config("buoy-1", b"secret-1"));
    let address = world.clients[client].address;
    world.fly(SERVER, address, &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]);
    world.run();
    assert!(matches!(world.clients[client].ended, Some(Event::Failed(_))));
}
