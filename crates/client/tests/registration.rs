//! Registration, driven by hand (int-101 to int-109).

mod world;

use buoy_client::{ClientConfig, Event, RegistrationFailure, Server};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_testkit::Device;
use world::{FIRST, SECOND, Sent, World};

#[test]
fn int_101_a_device_registers_with_its_name_lifetime_version_binding_and_objects() {
    let mut world = World::new();
    world.start();
    let register = world.request().clone();
    assert_eq!((register.code(), register.path().as_str()), (Code::POST, "rd"));
    assert_eq!(register.queries(), "ep=buoy-1&lt=300&lwm2m=1.1&b=U");
    assert_eq!(register.format(), Some(ContentFormat::LINK));
    assert_eq!(
        register.text(),
        "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542\",</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>,</3311/0>"
    );
    world.accept_registration(FIRST, "5a3f");
    assert!(world.saw(Event::Registered(FIRST)));
    assert_eq!(world.device.client.location(FIRST).unwrap().to_string(), "/rd/5a3f");
}

#[test]
fn int_102_an_update_comes_in_time_to_survive_its_repetitions() {
    let mut world = World::registered();
    world.wait(206);
    assert!(world.sent.is_empty());
    world.wait(2);
    let update = world.request().clone();
    assert_eq!(
        (update.code(), update.path().as_str(), update.queries().as_str()),
        (Code::POST, "rd/5a3f", "")
    );
    world.accept_update();
    assert!(world.saw(Event::RegistrationUpdated(FIRST)));
}

#[test]
fn int_103_a_device_deregisters() {
    let mut world = World::registered();
    let (client, now) = (&mut world.device.client, world.now);
    world.device.objects.with(|objects| client.deregister(now, FIRST, objects));
    world.settle();
    let request = world.request().clone();
    assert_eq!((request.code(), request.path().as_str()), (Code::DELETE, "rd/5a3f"));
    world.answer(&request, Code::DELETED, &[]);
    assert!(world.saw(Event::Deregistered(FIRST)) && !world.device.client.is_registered(FIRST));
    world.sent.clear();
    world.wait(100_000);
    assert!(world.sent.is_empty());
}

#[test]
fn int_104_the_update_trigger_makes_the_device_update_at_once() {
    let mut world = World::registered();
    assert_eq!(world.execute("/1/0/8"), Code::CHANGED);
    assert_eq!(world.request().path(), "rd/5a3f");
    world.accept_update();
}

#[test]
fn int_105_a_device_whose_update_is_refused_registers_anew() {
    let mut world = World::registered();
    world.execute("/1/0/8");
    let update = world.request().clone();
    world.answer(&update, Code::NOT_FOUND, &[]);
    assert_eq!(world.request().path(), "rd");
    world.accept_registration(FIRST, "7777");
    assert_eq!(world.device.client.location(FIRST).unwrap().to_string(), "/rd/7777");
}

#[test]
fn int_107_a_lifetime_that_a_server_writes_is_told_and_kept() {
    let mut world = World::registered();
    assert_eq!(world.write_text("/1/0/1", "60"), Code::CHANGED);
    assert_eq!(world.request().queries(), "lt=60");
    world.accept_update();
    world.wait(31);
    assert_eq!(world.request().path(), "rd/5a3f");
    assert!(world.device.storage.0.contains_key(&1), "the lifetime survives a reboot");
}

#[test]
fn int_108_queue_mode_is_turned_on_by_the_binding() {
    let mut world = World::registered();
    assert_eq!(world.write_text("/1/0/7", "X"), Code::BAD_REQUEST);
    assert_eq!(world.write_text("/1/0/7", "UQ"), Code::CHANGED);
    let register = world.request().clone();
    assert_eq!(register.queries(), "ep=buoy-1&lt=300&lwm2m=1.1&b=U&Q");
}

#[test]
fn int_108_in_lwm2m_1_0_the_binding_itself_says_queue_mode() {
    let config = ClientConfig { version: LwM2mVersion::V1_0, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[Server::new(101, 300)]);
    world.start();
    world.accept_registration(FIRST, "1");
    world.write_text("/1/0/7", "UQ");
    assert_eq!((world.request().path().as_str(), world.request().queries().as_str()), ("rd/1", "b=UQ"));
}

#[test]
fn int_109_in_queue_mode_the_device_listens_for_a_while_and_then_no_more() {
    let config = ClientConfig { queue_mode: true, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[Server::new(101, 3600)]);
    world.start();
    assert!(world.request().queries().ends_with("&b=U&Q"));
    world.accept_registration(FIRST, "1");
    assert_eq!(world.device.client.sleep_until(world.now), None);
    world.wait(92);
    assert_eq!(world.read_text("/3/0/0"), "Buoy");
    world.wait(92);
    assert_eq!(world.device.client.sleep_until(world.now), None, "the read kept it awake");
    world.wait(2);
    let until = world.device.client.sleep_until(world.now).expect("it sleeps now");
    let request = [0x40, 1, 0, 9, 0xb1, b'3'];
    assert!(world.deliver(FIRST, &request).is_none());
    world.wait((until - world.now).as_secs() + 1);
    assert_eq!(world.request().path(), "rd/1");
    assert_eq!(world.device.client.sleep_until(world.now), None);
}

#[test]
fn a_silent_server_is_tried_again_with_growing_pauses_and_then_after_the_sequence_delay() {
    let mut server = Server::new(101, 300);
    (server.retry_count, server.retry_timer, server.sequence_delay) = (3, 60, 1000);
    (server.sequence_retry_count, server.bootstrap_on_failure) = (1, true);
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &[server]);
    world.start();
    // Each attempt lasts 62 to 93 seconds; between them are 60 and 120, and up to a quarter more.
    world.wait(93 * 3 + 75 + 150 + 5);
    let failed = Event::RegistrationFailed(FIRST, RegistrationFailure::ServerSilent);
    assert_eq!(world.device.events.iter().filter(|event| **event == failed).count(), 3);
    assert!(world.saw(Event::GaveUp(FIRST)) && world.saw(Event::BootstrapNeeded));
    world.sent.clear();
    world.wait(1250);
    assert_eq!(world.request().path(), "rd");
    world.accept_registration(FIRST, "1");
}

#[test]
fn servers_register_in_their_order_and_a_failure_blocks_those_behind() {
    let order = |id, priority| Server { priority: Some(priority), ..Server::new(id, 300) };
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &[order(101, 2), order(102, 1)]);
    world.start();
    assert!(world.sent.iter().all(|sent| sent.server == SECOND));
    world.wait(40);
    assert!(world.sent.iter().all(|sent| sent.server == SECOND), "the failure blocks");
    world.accept_registration(SECOND, "2");
    world.wait(1);
    assert_eq!((world.request().server, world.request().path().as_str()), (FIRST, "rd"));
}

#[test]
fn disable_deregisters_and_comes_back_after_its_time() {
    let mut world = World::registered();
    world.write_text("/1/0/5", "500");
    assert_eq!(world.execute("/1/0/4"), Code::CHANGED);
    let request = world.request().clone();
    assert_eq!((request.code(), request.path().as_str()), (Code::DELETE, "rd/5a3f"));
    world.answer(&request, Code::DELETED, &[]);
    world.sent.clear();
    world.wait(499);
    assert!(world.sent.is_empty());
    world.wait(2);
    assert_eq!(world.request().path(), "rd");
}

#[test]
fn a_server_whose_handshake_fails_counts_as_silent_at_once() {
    let mut world = World::new();
    world.start();
    let now = world.now;
    let client = &mut world.device.client;
    world.device.objects.with(|objects| client.set_unreachable(now, FIRST, objects));
    world.settle();
    assert!(world.saw(Event::RegistrationFailed(FIRST, RegistrationFailure::ServerSilent)));
    world.sent.clear();
    world.wait(59);
    assert!(world.sent.is_empty(), "the Register is not repeated");
    world.wait(17);
    assert_eq!(world.request().path(), "rd");
}

/// Fails the Register of a device that is under way, and says after how many milliseconds it comes again.
fn pause_after_failure(world: &mut World) -> u64 {
    let now = world.now;
    let client = &mut world.device.client;
    world.device.objects.with(|objects| client.set_unreachable(now, FIRST, objects));
    world.settle();
    world.sent.clear();
    while world.sent.is_empty() {
        world.wait_millis(100);
    }
    assert_eq!(world.request().path(), "rd");
    (world.now - now).as_millis() as u64
}

#[test]
fn devices_that_lost_their_server_together_do_not_come_back_together() {
    let mut server = Server::new(101, 300);
    (server.retry_count, server.retry_timer, server.sequence_delay) = (3, 60, 1000);
    server.bootstrap_on_failure = false;
    let mut pauses = vec![Vec::new(); 3];
    for seed in 0..100 {
        let mut world = World::new();
        world.device = Device::new(ClientConfig::new("buoy-1").unwrap(), &[server], seed);
        world.start();
        for (pauses, usual) in pauses.iter_mut().zip([60_000, 120_000, 1_000_000]) {
            let pause = pause_after_failure(&mut world);
            assert!((usual..=usual * 5 / 4 + 100).contains(&pause), "{pause} ms instead of {usual}");
            pauses.push(pause);
        }
    }
    for mut pauses in pauses {
        pauses.sort_unstable();
        let (first, last) = (pauses[0], pauses[99]);
        assert!(last - first > first / 5, "all between {first} and {last} ms");
        pauses.dedup();
        assert!(pauses.len() > 50, "only {} different pauses of 100", pauses.len());
    }
}

#[test]
fn the_versions_of_objects_are_those_of_the_lwm2m_version_of_the_registration() {
    for (version, server, device) in [
        (LwM2mVersion::V1_0, "", ""),
        (LwM2mVersion::V1_1, "</1>;ver=1.1,", "</3>;ver=1.1,"),
        (LwM2mVersion::V1_2, "</1>;ver=1.2,", "</3>;ver=1.1,"),
    ] {
        let config = ClientConfig { version, ..ClientConfig::new("buoy-1").unwrap() };
        let mut world = World::with(config, &[Server::new(101, 300)]);
        world.start();
        // Objects of others have versions of their own.
        let list = format!(",{server}</1/0>,{device}</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>,</3311/0>");
        let said = world.request().text();
        assert!(said.ends_with(&list), "{said}");
        world.accept_registration(FIRST, "1");
        let accept = ContentFormat::LINK.0.to_be_bytes();
        for (path, said) in [("/1", server), ("/3", device)] {
            let listed = world.ask(Code::GET, path, &[(OptionNumber::ACCEPT, &accept)], b"").text();
            let said = if said.is_empty() { format!("<{path}>,") } else { said.to_owned() };
            assert!(listed.starts_with(&said), "{listed}");
        }
    }
}

#[test]
fn a_lifetime_of_0_is_refused_where_the_version_does_not_know_it_and_infinite_where_it_does() {
    for version in [LwM2mVersion::V1_0, LwM2mVersion::V1_1] {
        let config = ClientConfig { version, ..ClientConfig::new("buoy-1").unwrap() };
        let mut world = World::with(config, &[Server::new(101, 300)]);
        world.start();
        world.accept_registration(FIRST, "1");
        assert_eq!(world.write_text("/1/0/1", "0"), Code::BAD_REQUEST, "{version}");
        assert!(world.sent.is_empty(), "nothing is told to the server");
        assert_eq!(world.read_text("/1/0/1"), "300");
    }
    let config = ClientConfig { version: LwM2mVersion::V1_2, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[Server::new(101, 300)]);
    world.start();
    world.accept_registration(FIRST, "1");
    assert_eq!(world.write_text("/1/0/1", "0"), Code::CHANGED);
    assert_eq!(world.request().queries(), "lt=0");
    world.accept_update();
    world.sent.clear();
    world.wait(100 * 86_400);
    assert!(world.sent.is_empty() && world.device.client.is_registered(FIRST), "it never ends");
    world.write_text("/1/0/1", "60");
    assert_eq!(world.request().queries(), "lt=60", "and may become finite again");
}

/// Lets a device register at a location, and looks at where its Update and its De-register go.
fn requests_at(path: &[&[u8]], query: &[&[u8]]) -> Vec<Sent> {
    let mut world = World::new();
    world.start();
    let register = world.request().clone();
    let segments = path.iter().map(|segment| (OptionNumber::LOCATION_PATH, *segment));
    let queries = query.iter().map(|query| (OptionNumber::LOCATION_QUERY, *query));
    let options: Vec<_> = segments.chain(queries).collect();
    world.sent.clear();
    world.answer(&register, Code::CREATED, &options);
    if !world.device.client.is_registered(FIRST) {
        return Vec::new();
    }
    world.write_text("/1/0/1", "600");
    let update = world.request().clone();
    world.accept_update_at_any_path();
    let (client, now) = (&mut world.device.client, world.now);
    world.device.objects.with(|objects| client.deregister(now, FIRST, objects));
    world.settle();
    vec![update, world.request().clone()]
}

#[test]
fn a_registration_is_updated_at_the_location_that_the_server_said_whatever_it_is_made_of() {
    let long = [b'x'; 255];
    let paths: [&[&[u8]]; 9] = [
        &[b"rd", b"5a3f"],
        &[b"rd", &[b'y'; 64]],
        &[b"rd", &long],
        &[&long, &long],
        &[b"a", b"b", b"c", b"d", b"e"],
        &[b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"],
        &[b"rd", b"a/b", b"c%2Fd", b".."],
        &[b"rd", b"", b"x", b""],
        &[b"rd", &[0xff, 0x00, 0x80]],
    ];
    let queries: [&[&[u8]]; 3] = [&[], &[b"site=north"], &[b"a=1&b", b"", &[0xfe]]];
    for (path, query) in paths.into_iter().flat_map(|path| queries.map(|query| (path, query))) {
        let requests = requests_at(path, query);
        let [update, deregister] = requests.as_slice() else { panic!("{path:?} is not taken") };
        assert_eq!((update.code(), deregister.code()), (Code::POST, Code::DELETE));
        for (request, own) in [(update, &[&b"lt=600"[..]][..]), (deregister, &[])] {
            let message = request.message();
            let segments: Vec<_> = message.values(OptionNumber::URI_PATH).collect();
            assert_eq!(segments, path);
            let said: Vec<_> = message.values(OptionNumber::URI_QUERY).collect();
            assert_eq!(said, [query, own].concat());
        }
    }
}

#[test]
fn a_location_that_cannot_be_kept_is_no_registration() {
    let long = [b'x'; 255];
    assert!(requests_at(&[], &[]).is_empty());
    assert!(requests_at(&[&long, &long, &long], &[]).is_empty());
    assert!(requests_at(&[&b"x"[..]; 9], &[]).is_empty());
    assert!(requests_at(&[b"rd", b"1"], &[&long, &long, &long]).is_empty());
}
