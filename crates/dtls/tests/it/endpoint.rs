//! Many clients behind one socket: addresses that change, floods, half-open sessions, limits.

use std::net::SocketAddr;
use std::time::Duration;

use buoy_dtls::cid::ConnectionId;
use buoy_dtls::config::ConnectionIdUse;
use buoy_dtls::endpoint::{CidFormat, EndReason, Endpoint, Event, Limits};
use buoy_dtls::time::Instant;

use crate::world::{Flying, SERVER, World, client_address, psk_config};

fn moves(world: &World) -> Vec<(SocketAddr, SocketAddr)> {
    let events = world.server.events.iter();
    events
        .filter_map(|event| match event {
            Event::Moved { from, to, .. } => Some((*from, *to)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_session_with_a_connection_id_survives_a_nat_rebinding() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let old = world.clients[client].address;
    let new = client_address(900);
    world.clients[client].address = new;

    world.say(client, b"still me");
    world.run();

    assert_eq!(world.clients[client].received, [b"still me"]);
    assert_eq!(world.server.endpoint.address(handle), Some(new));
    assert_eq!(moves(&world), [(old, new)]);
}

#[test]
fn both_directions_can_have_a_connection_id_of_their_own_length() {
    for length in [0, 1, 8, 32] {
        let mut world = World::new(1).with_endpoint(Limits::default(), CidFormat::new(&[1, 2], 14).unwrap());
        world.server.echoes = true;
        let mut config = psk_config("buoy-1", b"secret-1");
        config.connection_id = ConnectionIdUse::Both(length);
        let (client, _) = world.connected(config);
        world.say(client, b"hello");
        world.run();
        assert_eq!(world.clients[client].received, [b"hello"]);
        let connected = world.clients[client].connected.as_ref().unwrap();
        assert_eq!((connected.local_cid.len(), connected.remote_cid.len()), (length.into(), 16));
        assert!(connected.remote_cid.as_bytes().starts_with(&[1, 2]));
    }
}

#[test]
fn a_client_that_wants_no_connection_id_gets_none() {
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.connection_id = ConnectionIdUse::Off;
    let (client, handle) = world.connected(config);
    assert_eq!(world.clients[client].connected.as_ref().unwrap().remote_cid, ConnectionId::EMPTY);
    world.say(client, b"hello");
    world.run();
    assert_eq!(world.server.received, [(handle, b"hello".to_vec())]);

    // And so it is lost with its address.
    world.clients[client].address = client_address(900);
    world.say(client, b"hello?");
    world.run();
    assert_eq!(world.server.received.len(), 1);
}

#[test]
fn a_replayed_or_late_record_from_elsewhere_moves_nobody() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let home = world.clients[client].address;
    let elsewhere = client_address(666);
    world.say(client, b"one");
    let first = world.flying.pop().unwrap();
    world.say(client, b"two");
    let second = world.flying[0].clone();
    world.run();

    // A replay of the newest, and an older one that never arrived.
    world.server_receives(elsewhere, second.bytes);
    world.server_receives(elsewhere, first.bytes);

    assert_eq!(world.server.endpoint.address(handle), Some(home));
    assert_eq!(world.server.received.len(), 2);
    assert!(moves(&world).is_empty());
}

#[test]
fn two_devices_that_swap_their_addresses_keep_their_sessions() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let (one, first) = world.connected(psk_config("buoy-1", b"secret-1"));
    let (two, second) = world.connected(psk_config("buoy-2", b"secret-2"));
    let (a, b) = (world.clients[one].address, world.clients[two].address);
    world.clients[one].address = b;
    world.clients[two].address = a;

    world.say(one, b"I am one");
    world.say(two, b"I am two");
    world.run();

    assert_eq!(world.server.received, [(first, b"I am one".to_vec()), (second, b"I am two".to_vec())]);
    assert_eq!(world.clients[one].received, [b"I am one"]);
    assert_eq!(world.clients[two].received, [b"I am two"]);
}

#[test]
fn two_devices_without_connection_ids_that_swap_addresses_are_not_mixed_up() {
    let mut world = World::new(1);
    let off = |identity, key: &[u8]| {
        let mut config = psk_config(identity, key);
        config.connection_id = ConnectionIdUse::Off;
        config
    };
    let (one, _) = world.connected(off("buoy-1", b"secret-1"));
    let (two, _) = world.connected(off("buoy-2", b"secret-2"));
    let (a, b) = (world.clients[one].address, world.clients[two].address);
    world.clients[one].address = b;
    world.clients[two].address = a;
    world.say(one, b"I am one");
    world.run();
    assert!(world.server.received.is_empty());
}

#[test]
fn an_old_session_is_served_until_the_new_handshake_is_complete() {
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.connection_id = ConnectionIdUse::Off;
    let (old, old_handle) = world.connected(config.clone());

    // The device lost its session (its close got lost) and begins again from the same port, but the handshake hangs.
    let new = world.client(config);
    world.clients[new].address = world.clients[old].address;
    world.run_for(Duration::from_millis(35));
    assert_eq!(world.server.endpoint.handshakes(), 1);
    world.say(old, b"still served");
    let record = world.flying.pop().unwrap();
    world.server_receives(record.from, record.bytes);
    assert_eq!(world.server.received, [(old_handle, b"still served".to_vec())]);
    assert_eq!(world.end_of(old_handle), None);

    // Clients of one address share what arrives there in this world, so let the old one go.
    world.clients[old].address = client_address(999);
    world.run();
    assert_eq!(world.end_of(old_handle), Some(&EndReason::Superseded));
    assert_ne!(world.newest_session(), old_handle);
    assert_eq!(world.server.endpoint.len(), 1);
}

#[test]
fn a_client_that_reboots_in_the_middle_of_its_handshake_begins_again_at_once() {
    let mut world = World::new(1);
    let first = world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(35));
    assert_eq!(world.server.endpoint.handshakes(), 1);
    let address = world.clients[first].address;
    world.clients[first].address = client_address(999);
    let second = world.client(psk_config("buoy-1", b"secret-1"));
    world.clients[second].address = address;
    world.run_for(Duration::from_millis(500));
    assert!(world.clients[second].connected.is_some());
}

#[test]
fn strangers_leave_no_state_and_get_less_than_they_sent() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    let hello = world.log[0].bytes.clone();
    let before = world.server.endpoint.len();
    for number in 0..20_000 {
        world.server_receives(client_address(number % 60_000), hello.clone());
        if number % 100 == 0 {
            let mut out = [0; 2048];
            while let Some((_, length)) = world.server.endpoint.poll_transmit(&mut out) {
                assert!(length < hello.len());
            }
        }
    }
    assert_eq!((world.server.endpoint.len(), world.server.endpoint.handshakes()), (before, 0));
    world.say(client, b"still served");
    world.run();
    assert_eq!(world.server.received.len(), 1);
}

/// A handshake message in a record of its own, cut into records whose fragments have at most so many bytes.
fn in_fragments(datagram: &[u8], most: usize) -> Vec<Vec<u8>> {
    let (record, message) = datagram.split_at(13);
    let (header, body) = message.split_at(12);
    let number =
        u64::from_be_bytes([0, 0, record[5], record[6], record[7], record[8], record[9], record[10]]);
    let pieces = body.chunks(most).enumerate();
    let piece = |(index, piece): (usize, &[u8])| {
        let length = (piece.len() as u32).to_be_bytes();
        let offset = ((index * most) as u32).to_be_bytes();
        let mut out = record[..3].to_vec();
        out.extend_from_slice(&(number * 100 + index as u64).to_be_bytes());
        out.extend_from_slice(&((piece.len() + 12) as u16).to_be_bytes());
        out.extend_from_slice(&header[..6]);
        out.extend_from_slice(&offset[1..]);
        out.extend_from_slice(&length[1..]);
        out.extend_from_slice(piece);
        out
    };
    pieces.map(piece).collect()
}

/// Has all hellos that fly to the server cut, and says how many of them there were.
fn cut_hellos(world: &mut World, most: usize, order: impl Fn(&mut Vec<Vec<u8>>)) -> usize {
    let is_hello = |sent: &mut Flying| sent.to == SERVER && sent.bytes[0] == 22 && sent.bytes[13] == 1;
    let is_to_be_cut =
        |sent: &Flying| sent.bytes[14..17] == sent.bytes[22..25] && sent.bytes.len() > 25 + most;
    let hellos: Vec<Flying> =
        world.flying.extract_if(.., |sent| is_hello(sent) && is_to_be_cut(sent)).collect();
    for hello in &hellos {
        let mut pieces = in_fragments(&hello.bytes, most);
        order(&mut pieces);
        world.flying.extend(pieces.into_iter().map(|bytes| Flying { bytes, ..hello.clone() }));
    }
    hellos.len()
}

/// Runs while all hellos are cut.
fn run_cutting(world: &mut World, most: usize, order: impl Fn(&mut Vec<Vec<u8>>)) -> usize {
    let mut hellos = 0;
    for _ in 0..20_000 {
        world.run_for(Duration::from_millis(1));
        hellos += cut_hellos(world, most, &order);
        if world.clients.iter().all(|client| client.connected.is_some()) {
            break;
        }
        world.wait(Duration::from_millis(1));
    }
    hellos
}

#[test]
fn a_client_hello_in_fragments_is_answered_and_put_together() {
    // With 84 the first hello is whole, and the one with the cookie is not.
    for (most, cut) in [(60, 2), (75, 2), (84, 1)] {
        let mut world = World::new(1);
        let client = world.client(psk_config("buoy-1", b"secret-1"));
        let hellos = run_cutting(&mut world, most, |_| {});
        assert!(world.clients[client].connected.is_some(), "{most}: {:?}", world.server_failure());
        assert_eq!(hellos, cut, "no hello is asked for again");
        world.say(client, b"hello");
        world.run();
        assert_eq!(world.server.received.len(), 1);
    }
}

#[test]
fn fragments_of_a_client_hello_that_come_in_another_order_are_put_together_when_they_are_repeated() {
    let mut world = World::new(1);
    let client = world.client(psk_config("buoy-1", b"secret-1"));
    run_cutting(&mut world, 75, |pieces| pieces.reverse());
    assert!(world.clients[client].connected.is_some());
}

#[test]
fn fragments_of_strangers_leave_no_state_and_draw_less_than_they_have() {
    let mut world = World::new(1);
    world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(5));
    let hello = world.log[0].bytes.clone();
    for most in [1, 30, 36, 60, 100] {
        for (number, fragment) in in_fragments(&hello, most).iter().enumerate() {
            world.server_receives(client_address(500 + number), fragment.clone());
            let mut out = [0; 2048];
            while let Some((_, length)) = world.server.endpoint.poll_transmit(&mut out) {
                assert!(number == 0 && length < fragment.len(), "{length} bytes for {}", fragment.len());
            }
        }
    }
    assert_eq!((world.server.endpoint.len(), world.server.endpoint.handshakes()), (0, 0));
}

#[test]
fn a_cookie_in_a_fragment_is_good_for_its_address_and_its_hello_alone() {
    let mut world = World::new(1);
    world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(25));
    let hellos: Vec<Flying> = world.log.iter().filter(|sent| sent.to == SERVER).cloned().collect();
    let with_cookie = hellos[1].bytes.clone();
    let from = world.clients[0].address;
    let begins = |from, change: &dyn Fn(&mut Vec<u8>)| {
        let mut world = World::new(1);
        world.client(psk_config("buoy-1", b"secret-1"));
        world.run_for(Duration::from_millis(15));
        world.flying.clear();
        let mut datagram = with_cookie.clone();
        change(&mut datagram);
        in_fragments(&datagram, 90).into_iter().for_each(|piece| world.server_receives(from, piece));
        world.server.endpoint.handshakes()
    };
    assert_eq!(begins(from, &|_| {}), 1);
    assert_eq!(begins(client_address(500), &|_| {}), 0, "of another address");
    assert_eq!(begins(from, &|datagram| datagram[30] ^= 1), 0, "another random number");
    let longer = |datagram: &mut Vec<u8>| {
        datagram.push(0);
        datagram[16] += 1;
        datagram[24] += 1;
        datagram[12] += 1;
    };
    assert_eq!(begins(from, &longer), 0, "of another length");
}

#[test]
fn a_cookie_is_good_for_its_address_and_its_hello_alone() {
    let mut world = World::new(1);
    world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(25));
    let mut with_cookie =
        world.log.iter().filter(|sent| sent.to == SERVER).nth(1).expect("a second hello").bytes.clone();
    let handshakes = world.server.endpoint.handshakes();
    world.server_receives(client_address(500), with_cookie.clone());
    assert_eq!(world.server.endpoint.handshakes(), handshakes);
    // Another random number in the hello.
    with_cookie[30] ^= 1;
    world.server_receives(client_address(1), with_cookie);
    assert_eq!(world.server.endpoint.handshakes(), handshakes);
}

#[test]
fn handshakes_of_one_source_are_bounded() {
    let limits = Limits { handshakes_per_source: 3, ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::NONE);
    for port in 0..10 {
        let client = world.client(psk_config("buoy-1", b"secret-1"));
        world.clients[client].address = SocketAddr::new([10, 9, 9, 9].into(), 5000 + port);
    }
    let other = world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(35));
    assert_eq!(world.server.endpoint.handshakes(), 4);
    world.run();
    // Those that were turned away came again, and the last one was never in danger.
    assert!(world.clients.iter().all(|client| client.connected.is_some()));
    assert!(world.clients[other].connected.is_some());
    assert_eq!(world.server.endpoint.handshakes(), 0);
}

#[test]
fn when_there_are_too_many_handshakes_the_oldest_makes_room() {
    let limits = Limits { handshakes: 2, ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::NONE);
    // Two that get their cookies, and then never answer again.
    for _ in 0..2 {
        let client = world.client(psk_config("buoy-1", b"secret-1"));
        world.run_for(Duration::from_millis(35));
        world.flying.clear();
        world.clients[client].address = client_address(800 + client);
    }
    assert_eq!(world.server.endpoint.handshakes(), 2);
    let late = world.client(psk_config("buoy-2", b"secret-2"));
    world.run_for(Duration::from_secs(10));
    assert!(world.clients[late].connected.is_some());
}

#[test]
fn a_full_endpoint_gives_up_a_long_silent_session_for_a_new_one() {
    let limits = Limits { sessions: 2, ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::new(&[], 4).unwrap());
    let (_, first) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.wait(Duration::from_secs(4000));
    let (_, second) = world.connected(psk_config("buoy-2", b"secret-2"));
    let (_, third) = world.connected(psk_config("buoy-1", b"secret-1"));
    assert_eq!(world.end_of(first), Some(&EndReason::Replaced));
    assert!(world.server.endpoint.connection(second).is_some());
    assert!(world.server.endpoint.connection(third).is_some());
}

#[test]
fn a_session_that_is_silent_for_too_long_is_given_up() {
    let limits = Limits { idle: Some(Duration::from_secs(3600)), ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::new(&[], 4).unwrap());
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    for _ in 0..3 {
        world.wait(Duration::from_secs(3000));
        world.say(client, b"alive");
        world.run();
    }
    world.server.endpoint.handle_timeout(world.now);
    assert_eq!(world.end_of(handle), None);
    world.wait(Duration::from_secs(3601));
    world.server.endpoint.handle_timeout(world.now);
    world.drain();
    assert_eq!(world.end_of(handle), Some(&EndReason::Idle));
}

#[test]
fn an_established_session_takes_no_timer() {
    let mut world = World::new(1).with_endpoint(Limits::default(), CidFormat::new(&[], 4).unwrap());
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    assert!(world.server.endpoint.next_timeout().is_some(), "its last flight may have to be repeated");
    world.say(client, b"so I have your Finished");
    world.run();
    assert_eq!(world.server.endpoint.next_timeout(), None);
    assert_eq!(world.clients[client].connection.next_timeout(), None);
}

#[test]
fn a_session_takes_few_bytes() {
    let bytes = Endpoint::<SocketAddr>::bytes_per_session();
    println!("{bytes} bytes");
    assert!(bytes <= 400, "{bytes}");
}

#[test]
fn a_datagram_of_another_shard_is_known_by_its_prefix() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.say(client, b"hello");
    let format = CidFormat::new(&[7], 5).unwrap();
    assert_eq!(format.prefix_of(&world.flying[0].bytes), Some(&[7][..]));
    assert_eq!(format.prefix_of(&world.log[0].bytes), None);
}

#[test]
fn a_handshake_that_is_changed_under_way_fails() {
    let mut world = World::new(5);
    let client = world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(35));
    // The server's hello arrives with another random number.
    let hello = world.flying.iter_mut().find(|flying| flying.from == SERVER).expect("a ServerHello");
    hello.bytes[13 + 12 + 10] ^= 1;
    world.run();
    assert!(world.clients[client].connected.is_none());
    assert!(world.server.endpoint.is_empty());
}

#[test]
fn when_the_clock_jumps_handshakes_end_and_sessions_live() {
    let mut world = World::new(1).with_endpoint(Limits::default(), CidFormat::new(&[7], 5).unwrap());
    world.server.echoes = true;
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    let waiting = world.client(psk_config("buoy-2", b"secret-2"));
    world.run_for(Duration::from_millis(35));
    assert_eq!(world.server.endpoint.handshakes(), 1);
    world.flying.clear();
    world.clients[waiting].address = client_address(999);

    world.now = world.now + Duration::from_secs(365 * 86_400);
    for _ in 0..10 {
        world.server.endpoint.handle_timeout(world.now);
        world.drain();
        world.now = world.now + Duration::from_secs(365 * 86_400);
    }

    assert_eq!(world.server.endpoint.handshakes(), 0);
    assert_eq!(world.end_of(handle), None);
    world.flying.clear();
    world.say(client, b"a long time");
    world.run();
    assert_eq!(world.clients[client].received, [b"a long time"]);
}

#[test]
fn a_handshake_from_an_address_that_moves_away_in_the_middle_goes_on_where_it_began() {
    let mut world = World::new(1);
    let client = world.client(psk_config("buoy-1", b"secret-1"));
    world.run_for(Duration::from_millis(45));
    // The client's last flight comes from elsewhere, where nobody showed a cookie.
    for flying in world.flying.iter_mut().filter(|flying| flying.to == SERVER) {
        flying.from = client_address(500);
    }
    world.run_for(Duration::from_millis(100));
    assert!(world.clients[client].connected.is_none());
    world.run();
    assert!(world.clients[client].connected.is_some());
}

#[test]
fn when_every_session_is_in_use_a_new_one_has_no_room() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::new(&[], 4).unwrap());
    let (_, first) = world.connected(psk_config("buoy-1", b"secret-1"));
    let second = world.client(psk_config("buoy-2", b"secret-2"));
    world.run();
    assert!(world.clients[second].connected.is_none());
    assert!(world.clients[second].ended.is_some(), "and it is told");
    assert_eq!(world.end_of(first), None);
    assert_eq!(world.server.endpoint.len(), 1);
}

#[test]
fn a_session_that_is_over_is_over_once() {
    let mut world = World::new(1);
    let (client, handle) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.clients[client].connection.close();
    world.drain();
    let goodbye = world.flying.pop().unwrap();
    world.server_receives(goodbye.from, goodbye.bytes);
    world.server.endpoint.remove(handle);
    world.run();
    let ends = world.server.events.iter().filter(|event| matches!(event, Event::Ended { .. })).count();
    assert_eq!(ends, 1);
    assert_eq!(world.end_of(handle), Some(&EndReason::PeerClosed));
}

#[test]
fn a_clock_that_jumps_ends_no_session_and_the_calendar_matters_to_handshakes_alone() {
    let mut world = World::new(1);
    world.server.echoes = true;
    let (client, session) = world.connected(psk_config("buoy-1", b"secret-1"));
    // The idle time of this endpoint is a day; a jump below that, and back to the beginning.
    let before = world.now;
    for now in [before.after(Duration::from_secs(80_000)), before, Instant::ZERO] {
        world.now = now;
        world.server.endpoint.handle_timeout(now);
        world.say(client, b"still here");
        world.run();
    }
    assert_eq!(world.server.received, [(); 3].map(|()| (session, b"still here".to_vec())));
    assert_eq!(world.clients[client].received.len(), 3);
    // A calendar that goes back to 1970, or is unknown, is nothing to a session.
    for unix_time in [Some(0), None] {
        world.unix_time = unix_time;
        world.say(client, b"still here");
        world.run();
    }
    assert_eq!(world.server.received.len(), 5);
}

#[test]
fn a_neighbour_that_ends_none_of_its_handshakes_locks_nobody_out() {
    let limits = Limits { handshakes_per_source: 3, ..Limits::default() };
    let mut world = World::new(1).with_endpoint(limits, CidFormat::NONE);
    let behind_one_address = |port| SocketAddr::new([10, 9, 9, 9].into(), port);
    // They show their cookies, and are silent from then on.
    for port in 0..3 {
        let client = world.client(psk_config("buoy-1", b"secret-1"));
        world.clients[client].address = behind_one_address(5000 + port);
        world.run_for(Duration::from_millis(35));
        world.flying.clear();
        world.clients[client].address = client_address(800 + client);
    }
    let elsewhere = world.client(psk_config("buoy-2", b"secret-2"));
    world.run_for(Duration::from_millis(35));
    world.flying.clear();
    world.clients[elsewhere].address = client_address(810);
    assert_eq!(world.server.endpoint.handshakes(), 4);

    let neighbour = world.client(psk_config("buoy-2", b"secret-2"));
    world.clients[neighbour].address = behind_one_address(6000);
    world.run_for(Duration::from_secs(10));

    assert!(world.clients[neighbour].connected.is_some());
    let replaced =
        |event: &&Event<SocketAddr>| matches!(event, Event::Ended { reason: EndReason::Replaced, .. });
    assert_eq!(world.server.events.iter().filter(replaced).count(), 1, "the oldest of this source alone");
}
