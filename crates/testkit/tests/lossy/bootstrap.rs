//! Bootstraps over a bad link, and with power cuts in the middle.

use buoy_client::{ClientConfig, Security, Server as Account};
use buoy_coap::block::BlockSize;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_server::{BootstrapConfig, SecurityConfig, SecurityMode};
use buoy_testkit::{DEVICE, Faults, Simulated, World, one_server, unsecured, wanting};

use crate::{SEEDS, SLOWEST};

/// Two servers with keys that fill several small blocks. The second is one that doesn't answer in these worlds.
fn large() -> BootstrapConfig {
    let keyed = |id: u16| SecurityConfig {
        mode: SecurityMode::Rpk,
        identity: vec![id as u8; 91],
        server_key: vec![0x11; 91],
        secret_key: vec![0x22; 32],
        ..unsecured("coaps://192.0.2.1:5684", id)
    };
    BootstrapConfig {
        discover: true,
        read: vec!["/1".to_owned()],
        auto_security_ids: true,
        security: [(0, keyed(201)), (1, keyed(202))].into(),
        servers: [(0, wanting(201)), (1, wanting(202))].into(),
        ..one_server(201)
    }
}

fn config(version: LwM2mVersion) -> ClientConfig {
    ClientConfig { version, block_size: BlockSize::at_most(64), ..ClientConfig::new(DEVICE).unwrap() }
}

/// The short ids of the accounts with keys of the right length, so that half an account is none.
fn accounts(world: &World) -> Vec<u16> {
    let servers = world.first_device().client.servers();
    let is_whole = |security: &Security<Simulated>| {
        security.identity.is_empty() || security.secret_key.as_slice().len() == 32
    };
    servers
        .filter(|(_, security, _)| is_whole(security))
        .map(|(_, _, server)| server.short_server_id)
        .collect()
}

fn assert_nothing_is_left(world: &mut World) {
    world.network.faults = Faults::none();
    world.wait(900);
    assert_eq!(world.bootstrap.shard.len(), 0, "seed {}: sessions", world.seed);
    assert_eq!(world.bootstrap.shard.outstanding(), 0, "seed {}: messages", world.seed);
    assert_eq!(world.bootstrap.shard.next_deadline(), None, "seed {}", world.seed);
}

#[test]
fn a_blank_device_is_configured_in_the_end() {
    for version in [LwM2mVersion::V1_0, LwM2mVersion::V1_1, LwM2mVersion::V1_2] {
        for seed in SEEDS {
            let mut world = World::blank_with(seed, config(version));
            world.bootstrap.configure(DEVICE, large());
            world.network.faults = Faults::lossy(SLOWEST);
            world.start_all();
            let configured = world.run_until(86_400, |world| accounts(world) == [201, 202]);
            assert!(configured, "seed {seed}, {version:?}: {:?}", world.bootstrap.events);
            assert_nothing_is_left(&mut world);
            assert!(world.is_registered(), "seed {seed}, {version:?}");
        }
    }
}

/// A device with an account of server 101 and one of the bootstrap server, which is about to send it elsewhere.
fn with_accounts(seed: u64) -> World {
    let mut world = World::with(seed, config(LwM2mVersion::V1_1));
    let device = world.device();
    device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.bootstrap.configure(DEVICE, large());
    world.start();
    world
}

fn ask(world: &mut World) {
    let now = world.now;
    let device = world.device();
    device.objects.with(|objects| device.client.request_bootstrap(now, objects));
    world.settle();
}

#[test]
fn a_power_cut_at_any_message_leaves_the_old_accounts_or_the_new_ones_whole() {
    let (mut kept, mut changed) = (0, 0);
    for messages in 1.. {
        let mut world = with_accounts(7);
        world.network.log.clear();
        ask(&mut world);
        let came = world.run_until(3600, |world| world.network.log.len() >= messages);
        let done = world.first_device().client.servers().count() == 2;
        world.reboot_device();
        world.wait(4);
        match accounts(&world).as_slice() {
            [101] => kept += 1,
            [201, 202] => changed += 1,
            other => panic!("after {messages} messages the device has {other:?}"),
        }
        assert!(world.first_device().client.bootstrap_server().is_some());
        // The way on is open in either case.
        ask(&mut world);
        assert!(world.run_until(3600, |world| accounts(world) == [201, 202] && world.is_registered()));
        assert_nothing_is_left(&mut world);
        if done || !came {
            break;
        }
    }
    assert!(kept > 20 && changed > 0, "{kept} {changed}");
}

#[test]
fn power_cuts_on_a_bad_link_leave_the_old_accounts_or_the_new_ones_whole() {
    for seed in SEEDS {
        let mut world = with_accounts(seed);
        world.network.faults = Faults::lossy(SLOWEST);
        ask(&mut world);
        for round in 0..10 {
            world.wait(seed * 7 % 61 + round);
            world.reboot_device();
            world.wait(4);
            let accounts = accounts(&world);
            assert!(accounts == [101] || accounts == [201, 202], "seed {seed}: {accounts:?}");
            if accounts == [101] {
                ask(&mut world);
            }
        }
        world.network.faults = Faults::none();
        ask(&mut world);
        assert!(world.run_until(7200, |world| accounts(world) == [201, 202]), "seed {seed}");
        assert_nothing_is_left(&mut world);
        assert!(world.is_registered(), "seed {seed}");
    }
}

#[test]
fn a_device_whose_servers_are_gone_finds_its_way_by_the_bootstrap_server() {
    for seed in SEEDS {
        let mut world = with_accounts(seed);
        let account = Account { retry_count: 2, retry_timer: 5, ..Account::new(101, 300) };
        world.device().client.add_server(Security::none("coap://192.0.2.1").unwrap(), account).unwrap();
        world.server.unreachable = true;
        world.network.faults = Faults::lossy(SLOWEST);
        assert!(world.run_until(86_400, |world| accounts(world) == [201, 202]), "seed {seed}");
        world.server.unreachable = false;
        world.network.faults = Faults::none();
        assert!(world.run_until(86_400, |world| world.is_registered()), "seed {seed}");
    }
}
