//! Raw public keys (RFC 7250) and ephemeral keys.

use buoy_dtls::alert::Alert;
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, ServerConfig, ServerTrust};
use buoy_dtls::crypto::{PublicKey, RustCrypto};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Failure, Peer};

use crate::world::{World, psk_config};

fn key(number: u8) -> OwnKey {
    OwnKey::raw_public_key::<RustCrypto>(&[number; 32]).unwrap()
}

fn server_config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.own_key = Some(key(1));
    config
}

fn client_config(own: u8, server: u8) -> ClientConfig {
    let server = ServerTrust::RawPublicKey(*key(server).public());
    ClientConfig::new(ClientCredentials::Certificate { own: key(own), server })
}

fn world() -> World {
    let mut world = World::new(1);
    world.server.config = server_config();
    world.server.echoes = true;
    world
}

#[test]
fn raw_public_keys_on_both_sides_connect() {
    let mut world = world();
    let (client, handle) = world.connected(client_config(2, 1));
    world.say(client, b"hello");
    world.run();
    assert_eq!(world.clients[client].received, [b"hello"]);
    let expected = Peer::RawPublicKey(Box::new(*key(2).public()));
    assert_eq!(world.server.endpoint.connection(handle).unwrap().peer(), Some(&expected));
}

#[test]
fn a_server_with_another_key_is_refused_by_the_client() {
    let mut world = world();
    let client = world.client(client_config(2, 3));
    world.run();
    let expected = Failure::RawPublicKeyRefused(*key(1).public());
    assert_eq!(world.client_failure(client), Some(&expected));
    assert_eq!(world.server_failure(), Some(&Failure::PeerAlerted(Alert::BAD_CERTIFICATE)));
}

#[test]
fn a_client_with_an_unknown_key_is_refused_by_the_server() {
    let mut world = world();
    let stranger = *key(2).public();
    world.server.authority.banned = vec![Peer::RawPublicKey(Box::new(stranger))];
    let client = world.client(client_config(2, 1));
    world.run();
    assert_eq!(world.server_failure(), Some(&Failure::RawPublicKeyRefused(stranger)));
    assert_eq!(world.client_failure(client), Some(&Failure::PeerAlerted(Alert::BAD_CERTIFICATE)));
}

#[test]
fn ecdhe_with_a_pre_shared_key_connects_and_a_bad_key_is_named() {
    let mut config = psk_config("buoy-1", b"secret-1");
    config.suites = [CipherSuite::EcdhePskAes128Ccm8].into();
    let mut world = World::new(1);
    world.server.echoes = true;
    let (client, _) = world.connected(config);
    world.say(client, b"hello");
    world.run();
    assert_eq!(world.clients[client].received, [b"hello"]);
    assert_eq!(world.clients[client].connected.as_ref().unwrap().suite, CipherSuite::EcdhePskAes128Ccm8);

    let mut config = psk_config("buoy-1", b"wrong");
    config.suites = [CipherSuite::EcdhePskAes128Ccm8].into();
    let mut world = World::new(1);
    world.client(config);
    world.run();
    assert_eq!(world.server_failure(), Some(&Failure::BadPsk(b"buoy-1".as_slice().into())));
}

#[test]
fn a_public_key_is_read_from_its_subject_public_key_info_and_written_back() {
    let public = *key(2).public();
    assert_eq!(PublicKey::from_spki(&public.to_spki()), Some(public));
    assert_eq!(PublicKey::from_spki(&public.to_spki()[..90]), None);
}

#[test]
fn ends_without_a_suite_in_common_part_at_once() {
    let mut world = World::new(1);
    let client = world.client(client_config(2, 1));
    world.run();
    assert_eq!(world.server_failure(), Some(&Failure::NoCommonCipherSuite));
    assert_eq!(world.client_failure(client), Some(&Failure::PeerAlerted(Alert::HANDSHAKE_FAILURE)));
}
