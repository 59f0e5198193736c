//! How much memory a client takes: some while it shakes hands, its own bytes afterwards, and no allocator then.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Client, Connection, Context, Datagram, ServerEnvironment};

use crate::world::{SERVER, World, psk_config};

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn change(by: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        change(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What a call took: allocations, and the most bytes at once.
fn measured<T>(call: impl FnOnce() -> T) -> (T, usize, usize) {
    let (count, held) = (COUNT.get(), HELD.get());
    MOST.set(held);
    let result = call();
    (result, COUNT.get() - count, (MOST.get() - held) as usize)
}

#[test]
fn a_client_with_a_pre_shared_key_needs_little_memory_and_no_allocator_once_connected() {
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.suites = [CipherSuite::PskAes128Ccm8].into();
    let mut context = Context::new(world.now, &mut world.rng);
    let (mut client, _, started): (Connection<Client>, _, _) =
        measured(|| Connection::client(&config, &mut context, None));
    let mut most = started;
    let mut out = [0; 1500];
    while !client.is_established() {
        while let Some(length) = client.poll_transmit(&mut out) {
            world.server_receives(crate::world::client_address(1), out[..length].to_vec());
        }
        while let Some((_, length)) = world.server.endpoint.poll_transmit(&mut out) {
            let mut context = Context::new(world.now, &mut world.rng);
            let mut datagram = Datagram::new(&mut out[..length]);
            let ((), _, taken) = measured(|| {
                assert!(client.handle_datagram(&config, &mut context, &mut datagram).is_none());
            });
            most = most.max(taken + started);
        }
    }
    drop(client.poll_event());
    println!("at most {most} bytes on the heap in the handshake, {} in line", size_of_val(&client));
    assert!(most < 4096, "{most}");

    let ((), allocations, _) = measured(|| {
        for _ in 0..100 {
            let length = client.seal(b"hello", &mut out).unwrap();
            assert!(client.poll_transmit(&mut out).is_none());
            assert!(client.next_timeout().is_none());
            assert!(length < 100);
        }
    });
    assert_eq!(allocations, 0);

    let handle = {
        while let Some(event) = world.server.endpoint.poll_event() {
            world.server.events.push(event);
        }
        world.newest_session()
    };
    let (_, length) = world.server.endpoint.seal(handle, b"hello", &mut out).unwrap();
    let mut context = Context::new(world.now, &mut world.rng);
    let ((), allocations, _) = measured(|| {
        let mut datagram = Datagram::new(&mut out[..length]);
        let data = client.handle_datagram(&config, &mut context, &mut datagram);
        assert_eq!(data.as_deref(), Some(&b"hello"[..]));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_server_hardly_allocates_for_strangers_and_not_at_all_for_records() {
    let mut world = World::new(1);
    let (client, _) = world.connected(psk_config("buoy-1", b"secret-1"));
    world.say(client, b"so you have my Finished");
    world.run();
    let hello = world.log[0].clone();
    world.say(client, b"hello");
    let record = world.flying.pop().unwrap();
    assert_eq!(record.to, SERVER);
    for (name, mut bytes, from, most) in [
        ("hello", hello.bytes, crate::world::client_address(77), 4),
        ("record", record.bytes, record.from, 0),
    ] {
        let server = &mut world.server;
        let environment =
            ServerEnvironment { config: &server.config, authority: &server.authority, tickets: None };
        let mut context = Context::new(world.now, &mut world.rng);
        let ((), allocations, _) = measured(|| {
            let mut datagram = Datagram::new(&mut bytes);
            while server.endpoint.receive(environment, &mut context, from, &mut datagram).is_some() {}
        });
        assert!(allocations <= most, "{name}: {allocations}");
    }
}

#[test]
fn a_session_of_a_server_takes_less_than_a_kilobyte_with_its_indexes_and_its_identity() {
    const SESSIONS: usize = 1500;
    let mut world = World::new(1);
    let mut config = psk_config("buoy-1", b"secret-1");
    config.suites = [CipherSuite::PskAes128Ccm8].into();
    let before = HELD.get();
    for number in 0..SESSIONS {
        let mut context = Context::new(world.now, &mut world.rng);
        let mut client: Connection<Client> = Connection::client(&config, &mut context, None);
        let mut out = [0; 1500];
        let address = crate::world::client_address(number);
        let mut is_told = false;
        while !is_told {
            if client.is_established() {
                // So that the server need not keep its last flight.
                let length = client.seal(b"hello", &mut out).unwrap();
                world.server_receives(address, out[..length].to_vec());
                is_told = true;
            }
            while let Some(length) = client.poll_transmit(&mut out) {
                world.server_receives(address, out[..length].to_vec());
            }
            while let Some((_, length)) = world.server.endpoint.poll_transmit(&mut out) {
                let mut context = Context::new(world.now, &mut world.rng);
                let mut datagram = Datagram::new(&mut out[..length]);
                assert!(client.handle_datagram(&config, &mut context, &mut datagram).is_none());
            }
        }
        world.server.received.clear();
        while world.server.endpoint.poll_event().is_some() {}
    }
    let each = (HELD.get() - before) as usize / SESSIONS;
    println!("{each} bytes a session");
    assert_eq!(world.server.endpoint.len(), SESSIONS);
    assert!(each < 1000, "{each}");
}
