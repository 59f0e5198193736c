//! Sessions that begin where an older one was.

use buoy_dtls::config::{ClientConfig, Resume};
use buoy_dtls::resumption::{Resumption, TicketKeys};
use buoy_dtls::{Peer, endpoint};

use crate::world::{Weather, World, psk_config};

fn config() -> ClientConfig {
    let mut config = psk_config("buoy-1", b"secret-1");
    config.resume = Resume::Keep;
    config
}

fn with_tickets() -> World {
    let mut world = World::new(1);
    world.server.tickets = Some(TicketKeys::new(&mut world.rng, 86_400));
    world.server.echoes = true;
    world
}

fn by_id() -> World {
    let mut world = World::new(1);
    world.server.config.resume = Resume::Keep;
    world.server.echoes = true;
    world
}

/// A first session, and what is left of it.
fn first(world: &mut World) -> Resumption {
    let (client, _) = world.connected(config());
    world.clients[client].connected.as_mut().unwrap().resumption.take().expect("something to resume")
}

/// A second one; whether it was resumed.
fn second(world: &mut World, resumption: Resumption) -> bool {
    let client = world.client_resuming(config(), Some(resumption));
    world.run();
    world.say(client, b"hello");
    world.run();
    assert_eq!(world.clients[client].received, [b"hello"]);
    let on_server = world.server.events.iter().rev().find_map(|event| match event {
        endpoint::Event::Connected { connected, .. } => Some((connected.resumed, connected.peer.clone())),
        _ => None,
    });
    let resumed = world.clients[client].connected.as_ref().unwrap().resumed;
    assert_eq!(on_server, Some((resumed, Peer::Psk(b"buoy-1".as_slice().into()))));
    resumed
}

#[test]
fn a_session_is_resumed_by_its_ticket() {
    let mut world = with_tickets();
    let resumption = first(&mut world);
    let before = world.log.len();
    assert!(second(&mut world, resumption.clone()));
    // Two for the cookie, three flights, and the data with its echo.
    assert_eq!(world.log.len() - before, 7);
    // And the new ticket works too.
    let client = world.clients.len() - 1;
    let next = world.clients[client].connected.as_mut().unwrap().resumption.take().unwrap();
    assert!(second(&mut world, next));
}

#[test]
fn a_session_is_resumed_by_its_id() {
    let mut world = by_id();
    let resumption = first(&mut world);
    assert!(second(&mut world, resumption.clone()));
    assert!(second(&mut world, resumption));
}

#[test]
fn a_ticket_outlives_one_change_of_keys_and_not_two() {
    let mut world = with_tickets();
    let resumption = first(&mut world);
    world.server.tickets.as_mut().unwrap().rotate(&mut world.rng);
    assert!(second(&mut world, resumption.clone()));
    world.server.tickets.as_mut().unwrap().rotate(&mut world.rng);
    assert!(!second(&mut world, resumption));
}

#[test]
fn a_session_ends_with_the_key_that_proved_it() {
    for mut world in [with_tickets(), by_id()] {
        let resumption = first(&mut world);
        world.server.authority.keys.insert(b"buoy-1".to_vec(), b"secret-2".to_vec());
        let mut newer = psk_config("buoy-1", b"secret-2");
        newer.resume = Resume::Keep;
        let client = world.client_resuming(newer, Some(resumption));
        world.run();
        assert!(!world.clients[client].connected.as_ref().unwrap().resumed);
    }
}

#[test]
fn a_revoked_peer_cannot_resume() {
    for mut world in [with_tickets(), by_id()] {
        let resumption = first(&mut world);
        world.server.authority.banned = vec![Peer::Psk(b"buoy-1".as_slice().into())];
        let client = world.client_resuming(config(), Some(resumption));
        world.run();
        assert!(world.clients[client].connected.is_none());
    }
}

#[test]
fn a_server_that_forgot_the_session_makes_a_new_one() {
    let mut world = by_id();
    let resumption = first(&mut world);
    // Another server, with another seed: else it would give out the same ids again.
    let mut other = World::new(2);
    other.server.config.resume = Resume::Keep;
    other.server.echoes = true;
    assert!(!second(&mut other, resumption));
}

#[test]
fn a_client_that_does_not_ask_gets_nothing_to_resume() {
    for mut world in [with_tickets(), by_id()] {
        let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
        assert!(world.clients[client].connected.as_ref().unwrap().resumption.is_none());
    }
}

#[test]
fn resumption_survives_every_weather() {
    let mut resumed = 0;
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.server.tickets = Some(TicketKeys::new(&mut world.rng, 86_400));
        world.server.echoes = true;
        let resumption = first(&mut world);
        world.weather = Weather { lost: 20, doubled: 20, late: 30, mtu: None };
        let client = world.client_resuming(config(), Some(resumption));
        world.run();
        world.weather = Weather::default();
        if let Some(connected) = &world.clients[client].connected {
            resumed += u32::from(connected.resumed);
            world.say(client, b"hello");
            world.run();
            assert_eq!(world.clients[client].received, [b"hello"]);
        }
    }
    assert!(resumed >= 90, "{resumed} of 100");
}
