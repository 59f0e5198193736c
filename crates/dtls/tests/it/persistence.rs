//! Sessions that outlive crashes, restarts and reboots.

use std::collections::BTreeSet;
use std::time::Duration;

use buoy_dtls::endpoint::{CidFormat, Handle, Limits};
use buoy_dtls::{Client, Connection, ExportKey, ImportError, Reservation, Reserve, SealError, Server};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::world::{World, psk_config};

fn key() -> ExportKey {
    ExportKey::new([9; 32])
}

const NAME: &[u8] = b"buoy-1";

fn format() -> CidFormat {
    CidFormat::new(&[7], 5).unwrap()
}

/// The sequence number in a record with a connection ID or without.
fn sequence(record: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&record[5..11]);
    u64::from_be_bytes(bytes)
}

fn exported(world: &mut World, handle: Handle, reserve: Reserve) -> (Vec<u8>, Reservation) {
    let export = world.server.endpoint.export(handle, &key(), NAME, reserve, &mut world.rng).unwrap();
    (export.bytes, export.reservation)
}

#[test]
fn a_server_that_crashes_goes_on_without_a_handshake() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let (bytes, reservation) = exported(&mut world, handle, Reserve::default());
    world.server.endpoint.saved(handle, reservation);
    world.say(client, b"before the crash");
    world.run();
    let peer = world.server.endpoint.connection(handle).unwrap().peer().unwrap().clone();
    let address = world.server.endpoint.address(handle).unwrap();

    let mut world = world.with_endpoint(Limits::default(), format());
    let handle = world.server.endpoint.import(world.now, address, &key(), NAME, &bytes).unwrap();
    assert_eq!(world.server.endpoint.connection(handle).unwrap().peer(), Some(&peer));
    let (_, reservation) = exported(&mut world, handle, Reserve::default());
    world.server.endpoint.saved(handle, reservation);
    world.say(client, b"after the crash");
    world.run();
    assert_eq!(world.clients[client].received, [&b"before the crash"[..], b"after the crash"]);
}

#[test]
fn an_orderly_stop_saves_every_session_and_a_start_finds_them() {
    let mut world = World::new(1);
    world.server.echoes = true;
    for (identity, secret) in [("buoy-1", b"secret-1"), ("buoy-2", b"secret-2")] {
        world.connected(psk_config(identity, secret));
    }
    let reserve = Reserve { send: 0, receive_margin: 0 };
    let handles: Vec<Handle> = world.server.endpoint.sessions().collect();
    assert_eq!(handles.len(), 2);
    let mut saved = Vec::new();
    for handle in handles {
        let address = world.server.endpoint.address(handle).unwrap();
        saved.push((address, exported(&mut world, handle, reserve).0));
    }
    let mut world = world.with_endpoint(Limits::default(), format());
    for (address, bytes) in &saved {
        let handle = world.server.endpoint.import(world.now, *address, &key(), NAME, bytes).unwrap();
        let (_, reservation) = exported(&mut world, handle, Reserve::default());
        world.server.endpoint.saved(handle, reservation);
        assert!(world.server.endpoint.connection(handle).unwrap().suite().is_some());
    }
    for client in 0..2 {
        world.say(client, b"still here");
        world.run();
        assert_eq!(world.clients[client].received, [b"still here"]);
    }
}

#[test]
fn a_client_that_slept_goes_on_without_a_handshake() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.say(client, b"good night");
    world.run();
    let connection = &mut world.clients[client].connection;
    let export =
        connection.export(&key(), NAME, Reserve { send: 0, receive_margin: 0 }, &mut world.rng).unwrap();

    let mut awake = Connection::<Client>::import(&key(), NAME, &export.bytes).unwrap();
    assert_eq!(awake.seal(b"too early", &mut [0; 100]), Err(SealError::SaveFirst));
    let export = awake.export(&key(), NAME, Reserve::default(), &mut world.rng).unwrap();
    awake.saved(export.reservation);
    world.clients[client].connection = awake;
    world.say(client, b"good morning");
    world.run();
    assert_eq!(world.clients[client].received, [&b"good night"[..], b"good morning"]);
}

#[test]
fn nothing_is_sent_beyond_what_is_safe() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    let connection = &mut world.clients[client].connection;
    let mut out = [0; 100];
    assert_eq!(connection.records_until_save(), None);
    let export =
        connection.export(&key(), NAME, Reserve { send: 3, receive_margin: 0 }, &mut world.rng).unwrap();
    for left in (0..3).rev() {
        connection.seal(b"x", &mut out).unwrap();
        assert_eq!(connection.records_until_save(), Some(left));
        assert_eq!(connection.save_is_due(2), left < 2);
    }
    assert_eq!(connection.seal(b"x", &mut out), Err(SealError::SaveFirst));
    // The old export was safe, but that gives nothing new.
    connection.saved(export.reservation);
    assert_eq!(connection.seal(b"x", &mut out), Err(SealError::SaveFirst));
    let export =
        connection.export(&key(), NAME, Reserve { send: 3, receive_margin: 0 }, &mut world.rng).unwrap();
    assert_eq!(connection.seal(b"x", &mut out), Err(SealError::SaveFirst));
    connection.saved(export.reservation);
    assert!(connection.seal(b"x", &mut out).is_ok());
}

#[test]
fn an_export_opens_only_with_its_key_its_name_and_its_role() {
    let mut world = World::new(1);
    let (_, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let (bytes, _) = exported(&mut world, handle, Reserve::default());
    let import =
        |key: &ExportKey, name: &[u8], bytes: &[u8]| Connection::<Server>::import(key, name, bytes).err();
    assert_eq!(import(&key(), NAME, &bytes), None);
    assert_eq!(import(&ExportKey::new([8; 32]), NAME, &bytes), Some(ImportError::Forged));
    assert_eq!(import(&key(), b"buoy-2", &bytes), Some(ImportError::Forged));
    assert_eq!(import(&key(), NAME, &bytes[..bytes.len() - 1]), Some(ImportError::Forged));
    assert_eq!(import(&key(), NAME, &[]), Some(ImportError::Forged));
    for at in 1..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(import(&key(), NAME, &changed), Some(ImportError::Forged));
    }
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert_eq!(import(&key(), NAME, &newer), Some(ImportError::UnknownVersion));
    let client = Connection::<Client>::import(&key(), NAME, &bytes).err();
    assert_eq!(client, Some(ImportError::Unusable));
}

#[test]
fn a_session_is_imported_once() {
    let mut world = World::new(1);
    let (_, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let address = world.server.endpoint.address(handle).unwrap();
    let (bytes, _) = exported(&mut world, handle, Reserve::default());
    let again = world.server.endpoint.import(world.now, address, &key(), NAME, &bytes);
    assert_eq!(again, Err(ImportError::Unusable));
    let mut world = world.with_endpoint(Limits::default(), CidFormat::new(&[7], 9).unwrap());
    let other_format = world.server.endpoint.import(world.now, address, &key(), NAME, &bytes);
    assert_eq!(other_format, Err(ImportError::Unusable));
}

/// Records 1 to 5 from the client: 1 before the export, 2 and 3 between export and crash, 4 and 5 after it.
fn replays_after_a_crash(margin: u16) -> Vec<usize> {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let address = world.clients[client].address;
    let mut records = Vec::new();
    for number in 0..6 {
        world.say(client, &[number]);
        records.push(world.flying.pop().unwrap().bytes);
    }
    let receive = |world: &mut World, number: usize| {
        let before = world.server.received.len();
        world.server_receives(address, records[number].clone());
        world.server.received.len() - before
    };
    receive(&mut world, 0);
    receive(&mut world, 1);
    let (bytes, _) = exported(&mut world, handle, Reserve { send: 10, receive_margin: margin });
    receive(&mut world, 2);
    receive(&mut world, 3);
    let mut world = world.with_endpoint(Limits::default(), format());
    world.server.endpoint.import(world.now, address, &key(), NAME, &bytes).unwrap();
    // 5 is new; then everything again.
    [5, 0, 1, 2, 3, 4, 5].map(|number| receive(&mut world, number)).to_vec()
}

#[test]
fn after_a_crash_nothing_older_than_the_first_new_record_is_accepted() {
    assert_eq!(replays_after_a_crash(0), [1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn with_a_margin_not_even_the_records_right_before_the_crash_can_be_replayed() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let address = world.clients[client].address;
    let (bytes, reservation) = exported(&mut world, handle, Reserve { send: 10, receive_margin: 2 });
    world.server.endpoint.saved(handle, reservation);
    let mut records = Vec::new();
    for number in 0..4 {
        world.say(client, &[number]);
        records.push(world.flying.pop().unwrap().bytes);
    }
    let is_due = |world: &World| world.server.endpoint.connection(handle).unwrap().save_is_due(0);
    for record in &records[..2] {
        world.server_receives(address, record.clone());
        assert!(!is_due(&world));
    }
    world.server_receives(address, records[2].clone());
    assert!(is_due(&world), "the margin is used up");

    let mut world = world.with_endpoint(Limits::default(), format());
    world.server.received.clear();
    world.server.endpoint.import(world.now, address, &key(), NAME, &bytes).unwrap();
    for record in &records[..2] {
        world.server_receives(address, record.clone());
    }
    assert!(world.server.received.is_empty());
    world.server_receives(address, records[3].clone());
    assert_eq!(world.server.received.len(), 1);
}

#[test]
fn many_sessions_are_imported_quickly() {
    let mut world = World::new(1);
    world.connected(psk_config("buoy-1", b"secret-1"));
    world.wait(Duration::from_secs(1));
    let handle = world.newest_session();
    let (bytes, _) = exported(&mut world, handle, Reserve::default());
    println!("an export has {} bytes", bytes.len());
    assert!(bytes.len() < 200);
}

#[derive(Clone, Debug)]
enum Act {
    Send(u8),
    Export(u8),
    /// The newest export, or an older one that is not yet out of date, is safe.
    Saved(u8),
    /// The machine stops; what it finds after is any export that is not older than the last that was called safe.
    Crash(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<u8>().prop_map(|count| Act::Send(count % 9)),
        3 => any::<u8>().prop_map(|send| Act::Export(send % 6)),
        3 => any::<u8>().prop_map(Act::Saved),
        2 => any::<u8>().prop_map(Act::Crash),
    ]
}

proptest! {
    #[test]
    fn no_nonce_is_used_twice_however_often_and_whenever_it_crashes(acts in proptest::collection::vec(act(), 1..80)) {
        let mut world = World::new(1);
        let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
        let mut live = std::mem::replace(
            &mut world.clients[client].connection,
            Connection::import(&key(), NAME, &[]).unwrap_or_else(|_| {
                let config = psk_config("buoy-1", b"secret-1");
                Connection::client(&config, &mut buoy_dtls::Context::new(world.now, &mut world.rng), None)
            }),
        );
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut used = BTreeSet::new();
        // The exports that may be what a crash leaves: the last safe one, and those after it.
        let mut exports: Vec<(Vec<u8>, Reservation)> = Vec::new();
        let mut is_first_safe = false;
        for act in acts {
            match act {
                Act::Send(count) => {
                    for _ in 0..count {
                        let mut out = [0; 100];
                        match live.seal(b"x", &mut out) {
                            Ok(_) => prop_assert!(used.insert(sequence(&out))),
                            Err(error) => prop_assert_eq!(error, SealError::SaveFirst),
                        }
                    }
                }
                Act::Export(send) => {
                    let reserve = Reserve { send: send.into(), receive_margin: 0 };
                    let export = live.export(&key(), NAME, reserve, &mut rng).unwrap();
                    exports.push((export.bytes, export.reservation));
                }
                Act::Saved(which) if !exports.is_empty() => {
                    let which = usize::from(which) % exports.len();
                    live.saved(exports[which].1);
                    exports.drain(..which);
                    is_first_safe = true;
                }
                Act::Crash(which) if is_first_safe => {
                    let which = usize::from(which) % exports.len();
                    live = Connection::<Client>::import(&key(), NAME, &exports[which].0).unwrap();
                    exports = vec![exports.swap_remove(which)];
                }
                Act::Saved(_) | Act::Crash(_) => {}
            }
        }
    }
}
