//! What a device stores of its accounts: all that it has agreed to, and nothing that leaves it without a server.

mod world;

use buoy_client::access::{AccessControl, Rights};
use buoy_client::{
    Client, ClientConfig, ConfigError, RecordError, Security, Server, ServerSlot, Shape, Storage as _, UpTo,
};
use buoy_testkit::Memory;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use world::{FIRST, World};

type SmallClient = Client<ChaCha8Rng, LongKeys>;

/// Keys that don't leave room in a record for those of three servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LongKeys;

impl Shape for LongKeys {
    type Servers = UpTo<3>;
    type Observations = UpTo<4>;
    type Attributes = UpTo<12>;
    type Outgoing = UpTo<1024>;
    type Body = UpTo<1024>;
    type Kept = UpTo<768>;
    type Key = UpTo<900>;
    type Location = UpTo<544>;
}

fn small() -> SmallClient {
    Client::new(ClientConfig::new("buoy-1").unwrap(), ChaCha8Rng::seed_from_u64(1))
}

fn psk(key: usize) -> Security<LongKeys> {
    Security::psk("coaps://192.0.2.1", b"me", &vec![7; key]).unwrap()
}

fn uris(client: &SmallClient) -> Vec<(u16, usize)> {
    let servers = client.servers();
    servers
        .map(|(_, security, server)| (server.short_server_id, security.secret_key.as_slice().len()))
        .collect()
}

/// The same device after a reboot.
fn rebooted(mut client: SmallClient, storage: &mut Memory) -> SmallClient {
    client.persist(&mut [], storage).unwrap();
    let mut after = small();
    after.restore(&mut [], storage).unwrap();
    after
}

#[test]
fn an_account_that_cannot_be_stored_is_refused_and_the_others_stay() {
    let mut client = small();
    client.add_server(psk(400), Server::new(1, 300)).unwrap();
    client.add_server(psk(400), Server::new(2, 300)).unwrap();
    let added = client.add_server(psk(400), Server::new(3, 300));
    assert_eq!(added, Err(ConfigError::AccountsTooLarge));
    let replaced = client.add_server(psk(800), Server::new(2, 60));
    assert_eq!(replaced, Err(ConfigError::AccountsTooLarge));
    assert_eq!(client.set_bootstrap_server(psk(400)), Err(ConfigError::AccountsTooLarge));
    assert_eq!(uris(&client), [(1, 400), (2, 400)]);
    assert!(client.bootstrap_server().is_none());

    let mut storage = Memory::default();
    let mut after = rebooted(client, &mut storage);
    assert_eq!(uris(&after), [(1, 400), (2, 400)]);
    after.set_bootstrap_server(psk(80)).unwrap();
    assert_eq!(after.set_bootstrap_server(psk(800)), Err(ConfigError::AccountsTooLarge));
    let after = rebooted(after, &mut storage);
    assert_eq!(after.bootstrap_server().unwrap().secret_key.as_slice().len(), 80);
}

#[test]
fn whatever_size_an_account_has_it_is_refused_or_there_after_a_reboot() {
    for (first, second) in (0..=900).step_by(30).flat_map(|a| (0..=900).step_by(30).map(move |b| (a, b))) {
        let mut client = small();
        let mut expected = Vec::new();
        for (id, key) in [(1, first), (2, second)] {
            if client.add_server(psk(key), Server::new(id, u32::MAX)).is_ok() {
                expected.push((id, key));
            }
        }
        assert_eq!(uris(&rebooted(client, &mut Memory::default())), expected);
    }
}

/// A device with two servers, whose records are `storage`, and what restoring it says.
fn restored(storage: &mut Memory) -> (World, Result<(), RecordError<core::convert::Infallible>>) {
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &[Server::new(77, 300)]);
    let client = &mut world.device.client;
    let result = world.device.objects.with(|objects| client.restore(objects, storage));
    (world, result)
}

fn stored() -> Memory {
    let servers = [Server::new(101, 300), Server::new(102, 600)];
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &servers);
    world.device.client.set_access(AccessControl::new(3303, 0, 101).grant(102, Rights::READ)).unwrap();
    world.start();
    world.device.storage
}

fn ids(world: &World) -> Vec<u16> {
    world.device.client.servers().map(|(_, _, server)| server.short_server_id).collect()
}

#[test]
fn an_empty_or_damaged_record_of_accounts_is_an_error_and_the_accounts_of_the_factory_hold() {
    let (world, result) = restored(&mut stored());
    assert_eq!((result, ids(&world)), (Ok(()), vec![101, 102]));
    for object in [0, 1] {
        let whole = stored().load_all(object);
        for length in 0..whole.len() {
            let mut storage = stored();
            storage.save(object, &whole[..length]).unwrap();
            let (mut world, result) = restored(&mut storage);
            assert!(
                matches!(result, Err(RecordError::Damaged(0 | 1))),
                "object {object}, {length} bytes: {result:?}"
            );
            assert_eq!(ids(&world), [77], "object {object}, {length} bytes");
            world.start();
            world.accept_registration(FIRST, "1");
        }
        let mut storage = stored();
        storage.0.remove(&object);
        let (world, result) = restored(&mut storage);
        assert!(matches!(result, Err(RecordError::Damaged(0 | 1))), "object {object} is missing");
        assert_eq!(ids(&world), [77]);
    }
}

#[test]
fn a_damaged_record_of_access_rights_is_an_error() {
    let whole = stored().load_all(2);
    for length in 1..whole.len() {
        let mut storage = stored();
        storage.save(2, &whole[..length]).unwrap();
        let (world, result) = restored(&mut storage);
        assert_eq!(result, Err(RecordError::Damaged(2)), "{length} bytes");
        assert_eq!(ids(&world), [101, 102]);
    }
}

#[test]
fn a_damaged_journal_of_a_bootstrap_is_an_error() {
    let mut storage = stored();
    storage.save(u16::MAX, &[0, 200, 1, 2]).unwrap();
    let (world, result) = restored(&mut storage);
    assert_eq!((result, ids(&world)), (Err(RecordError::Damaged(u16::MAX)), vec![101, 102]));
}

#[test]
fn a_device_that_only_knows_its_bootstrap_server_is_restored() {
    let mut client = small();
    client.set_bootstrap_server(psk(16)).unwrap();
    let after = rebooted(client, &mut Memory::default());
    assert!(after.bootstrap_server().is_some() && after.servers().next().is_none());
}

#[test]
fn the_longest_values_that_a_server_writes_to_its_account_can_be_stored() {
    let servers = [1, 2, 3].map(|id| Server::new(65_530 + id, u32::MAX));
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &servers);
    world.start();
    for slot in 0..3 {
        world.accept_registration(ServerSlot(slot), "1");
    }
    for (slot, instance) in [(0, 0), (1, 1), (2, 2)] {
        for resource in [2, 3, 5, 14, 17, 18, 19, 20] {
            let path = format!("/1/{instance}/{resource}");
            let format = buoy_coap::number::ContentFormat::TEXT.0.to_be_bytes();
            let options = [(buoy_coap::number::OptionNumber::CONTENT_FORMAT, &format[..])];
            let put = buoy_coap::number::Code::PUT;
            let answer = world.ask_from(ServerSlot(slot), put, &path, &options, b"4294967295");
            assert_eq!(answer.code(), buoy_coap::number::Code::CHANGED, "{path}");
        }
    }
    let (world, result) = restored(&mut world.device.storage);
    assert_eq!(result, Ok(()));
    assert!(world.device.client.servers().all(|(_, _, server)| server.retry_timer == u32::MAX));
}

trait LoadAll {
    fn load_all(&self, object: u16) -> Vec<u8>;
}

impl LoadAll for Memory {
    fn load_all(&self, object: u16) -> Vec<u8> {
        self.0.get(&object).cloned().unwrap()
    }
}
