//! Pre-shared keys (RFC 4279), over good and bad networks.

use std::time::Duration;

use buoy_dtls::alert::Alert;
use buoy_dtls::config::ExtendedMasterSecret;
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Event, Failure, Peer};

use crate::world::{Weather, World, psk_config};

#[test]
fn a_client_and_a_server_with_the_same_key_connect_and_talk() {
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128Gcm] {
        let mut world = World::new(1);
        world.server.echoes = true;
        let mut config = psk_config("buoy-1", b"secret-1");
        config.suites = [suite].into();
        let (client, handle) = world.connected(config);

        world.say(client, b"hello");
        world.run();

        assert_eq!(world.server.received, [(handle, b"hello".to_vec())]);
        assert_eq!(world.clients[client].received, [b"hello"]);
        let connected = world.clients[client].connected.as_ref().unwrap();
        assert_eq!((connected.suite, &connected.peer), (suite, &Peer::PskServer));
        let peer = world.server.endpoint.connection(handle).unwrap().peer();
        assert_eq!(peer, Some(&Peer::Psk(b"buoy-1".as_slice().into())));
    }
}

#[test]
fn a_handshake_takes_three_round_trips_and_six_datagrams() {
    let mut world = World::new(1);
    world.connected(psk_config("buoy-1", b"secret-1"));
    assert_eq!(world.log.len(), 6);
}

#[test]
fn a_handshake_survives_every_weather() {
    for seed in 0..200 {
        let weather = Weather { lost: 25, doubled: 20, late: 30, mtu: None };
        let mut world = World::new(seed).with_weather(weather);
        let client = world.client(psk_config("buoy-1", b"secret-1"));
        world.run();
        if world.clients[client].connected.is_none() {
            // The last flight may be lost so often that one side gives up; then it says so.
            assert!(matches!(world.client_failure(client), Some(Failure::PeerSilent { .. })));
            continue;
        }
        world.weather = Weather::default();
        world.server.echoes = true;
        world.say(client, b"after the storm");
        world.run();
        assert_eq!(world.clients[client].received, [b"after the storm"]);
    }
}

#[test]
fn a_bad_key_and_an_unknown_identity_look_the_same_to_the_peer_but_not_to_the_operator() {
    let mut outcomes = Vec::new();
    let mut conversations = Vec::new();
    for (identity, key) in [("buoy-1", b"wrong-one"), ("buoy-9", b"secret-9a")] {
        let mut world = World::new(3);
        let client = world.client(psk_config(identity, key));
        world.run();
        assert_eq!(
            world.client_failure(client),
            Some(&Failure::PeerAlerted(Alert::DECRYPT_ERROR)),
            "{identity}"
        );
        outcomes.push(world.server_failure().cloned());
        let shape = world.log.iter().map(|flying| (flying.from, flying.at, flying.bytes.len()));
        conversations.push(shape.collect::<Vec<_>>());
        assert!(world.server.endpoint.is_empty());
    }
    assert_eq!(outcomes[0], Some(Failure::BadPsk(b"buoy-1".as_slice().into())));
    assert_eq!(outcomes[1], Some(Failure::UnknownPskIdentity(b"buoy-9".as_slice().into())));
    assert_eq!(conversations[0], conversations[1]);
}

#[test]
fn a_silent_server_is_asked_with_growing_patience_and_then_given_up() {
    let mut world = World::new(1).with_weather(Weather { lost: 100, ..Weather::default() });
    let client = world.client(psk_config("buoy-1", b"secret-1"));
    world.run();
    let seconds: Vec<u64> = world.log.iter().map(|sent| sent.at.as_millis() / 1000 - 1).collect();
    assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 63]);
    assert!(matches!(world.client_failure(client), Some(Failure::PeerSilent { .. })));
}

#[test]
fn close_notify_closes_both_ends() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.clients[client].connection.close();
    world.run();
    assert!(world.clients[client].connection.is_closed());
    assert_eq!(world.end_of(handle), Some(&buoy_dtls::endpoint::EndReason::PeerClosed));
    assert!(world.server.endpoint.is_empty());
}

#[test]
fn a_server_that_removes_a_session_tells_the_client() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.server.endpoint.remove(handle);
    world.run();
    assert!(matches!(world.clients[client].ended, Some(Event::PeerClosed)));
    assert!(world.server.endpoint.seal(handle, b"late", &mut [0; 100]).is_err());
    assert!(world.server.endpoint.is_empty());
}

#[test]
fn a_replayed_record_is_dropped() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.say(client, b"once");
    let copy = world.flying[0].clone();
    world.run();
    world.wait(Duration::from_secs(1));
    world.flying.push(copy);
    world.run();
    assert_eq!(world.server.received.len(), 1);
}

/// The network takes extended master secret out of the client's hellos.
fn without_extended_master_secret(required: ExtendedMasterSecret) -> Option<Failure> {
    let mut world = World::new(1);
    world.server.config.extended_master_secret = required;
    world.client(psk_config("buoy-1", b"secret-1"));
    for _ in 0..20 {
        world.drain();
        let to_server = world.flying.iter_mut().filter(|flying| flying.to == crate::world::SERVER);
        for hello in to_server {
            if let Some(at) = hello.bytes.windows(4).position(|window| window == [0, 23, 0, 0]) {
                hello.bytes[at + 1] = 0xfa;
            }
        }
        world.run_for(Duration::from_millis(10));
    }
    world.server_failure().cloned()
}

#[test]
fn a_peer_without_extended_master_secret_is_refused_where_it_is_required() {
    let failure = without_extended_master_secret(ExtendedMasterSecret::Required);
    assert_eq!(failure, Some(Failure::PeerLacksExtendedMasterSecret));
}

#[test]
fn an_extension_that_the_network_takes_away_is_missed_at_the_end() {
    let failure = without_extended_master_secret(ExtendedMasterSecret::Preferred);
    assert_eq!(failure, Some(Failure::BadFinished));
}

#[test]
fn a_client_that_offers_nothing_but_ccm_with_a_tag_of_sixteen_bytes_is_served() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let mut config = psk_config("buoy-1", b"secret-1");
    config.suites = [CipherSuite::PskAes128Ccm].into();
    let (client, _) = world.connected(config);
    assert_eq!(world.clients[client].connected.as_ref().unwrap().suite, CipherSuite::PskAes128Ccm);
    world.say(client, b"hello");
    world.run();
    assert_eq!(world.clients[client].received, [b"hello"]);
}
