//! `buoy serve` over DTLS, as devices see it: who may come in, and what a restart costs them.

#[path = "common/fleet.rs"]
mod fleet;

mod common;

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use buoy_api::{Page, Sample};
use buoy_coap::number::Code;
use buoy_coap::wire::Message;
use common::{Server, buoy};
use fleet::{Fleet, post, request};

const KEY: [u8; 16] = [7; 16];
const KEY_HEX: &str = "07070707070707070707070707070707";
const SENML_JSON: u8 = 110;
const LINKS: u8 = 40;
const OBJECTS: &[u8] = b"</1/0>,</3/0>,</3303/0>";

/// A server that speaks DTLS alone, where devices look for it.
fn start(data: &Path, coaps: &str) -> Server {
    let mut command = buoy();
    command.args(["serve", "--shards", "2", "--coaps", coaps, "--http", "127.0.0.1:0", "--data"]).arg(data);
    // The devices report values of years ago.
    command.args(["--retention-days", "36500"]);
    Server::spawn(&mut command)
}

/// An address that is free.
fn free_address() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn add(server: &Server, endpoint: &str) {
    server.says(&["credentials", "add", endpoint, "--key", KEY_HEX]);
}

fn register(message_id: u16, endpoint: &str) -> Vec<u8> {
    post(message_id, &["rd"], &[&format!("ep={endpoint}"), "lt=86400", "lwm2m=1.1"], LINKS, OBJECTS)
}

#[test]
fn a_device_comes_in_by_its_key_and_under_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    add(&server, "buoy-2");
    let mut fleet = Fleet::new(&address);
    for (identity, key) in [("buoy-1", [8; 16]), ("buoy-3", KEY)] {
        // A wrong key and an unknown identity look the same.
        let refused = fleet.connect(Fleet::psk(identity, &key)).unwrap_err();
        assert!(refused.contains("decrypt_error") || refused.contains("PeerAlerted(Alert(51))"), "{refused}");
    }
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    let two = fleet.connect(Fleet::psk("buoy-2", &KEY)).unwrap();
    assert_eq!(fleet.ask(one, &register(1, "buoy-2")).unwrap().0, Code::BAD_REQUEST);
    let (code, location) = fleet.ask(one, &register(2, "buoy-1")).unwrap();
    assert_eq!(code, Code::CREATED);
    let path: Vec<&str> = location.iter().map(String::as_str).collect();
    assert_eq!(fleet.ask(two, &post(3, &path, &[], 0, b"")).unwrap().0, Code::FORBIDDEN);
    assert_eq!(fleet.ask(two, &request(Code::DELETE, 4, &path, &[], 0, b"")).unwrap().0, Code::FORBIDDEN);
    assert_eq!(fleet.ask(one, &post(5, &path, &[], 0, b"")).unwrap().0, Code::CHANGED);
    let device = server.client().device("buoy-1").unwrap();
    assert!(device.registration.unwrap().secure);
}

#[test]
fn an_operator_is_told_who_was_refused_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    let mut fleet = Fleet::new(&address);
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    let client = server.client();
    let told = std::thread::spawn(move || {
        let mut told = None;
        let seen = client.events(None, Some("refused"), |event| {
            told = Some(event.event);
            false
        });
        seen.unwrap();
        told.unwrap()
    });
    // Again, until somebody listens.
    let mut number = 0;
    while !told.is_finished() {
        number += 1;
        assert_eq!(fleet.ask(one, &register(number, "buoy-2")).unwrap().0, Code::BAD_REQUEST);
    }
    let buoy_api::Event::Refused { endpoint, code, reason, .. } = told.join().unwrap() else { panic!() };
    assert_eq!((&*endpoint, &*code), ("buoy-1", "4.00"));
    assert!(reason.contains("another endpoint"), "{reason}");
}

#[test]
fn sessions_and_handshakes_that_fail_are_events() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    let client = server.client();
    let told = std::thread::spawn(move || {
        let mut states = Vec::new();
        let seen = client.events(Some("buoy-1"), Some("dtls"), |event| {
            if let buoy_api::Event::Dtls { state, detail, .. } = event.event
                && !states.contains(&(state.clone(), detail.clone()))
            {
                states.push((state, detail));
            }
            states.len() < 2
        });
        seen.unwrap();
        states
    });
    let mut fleet = Fleet::new(&address);
    // Again, until somebody listens.
    while !told.is_finished() {
        assert!(fleet.connect(Fleet::psk("buoy-1", &KEY)).is_ok());
        assert!(fleet.connect(Fleet::psk("buoy-1", &[9; 16])).is_err());
    }
    let mut states = told.join().unwrap();
    states.sort();
    assert_eq!(states[0].0, "established");
    assert_eq!(states[1].0, "failed");
    assert!(!states[1].1.is_empty());
    let page = server.client().text("/metrics").unwrap();
    assert!(!page.contains("reason=\"wrong_key\"} 0"), "{page}");
}

#[test]
fn a_revoked_device_is_out_at_once_and_a_rotated_key_takes_over_at_its_first_use() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    add(&server, "buoy-2");
    let mut fleet = Fleet::new(&address);
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    assert_eq!(fleet.ask(one, &register(1, "buoy-1")).unwrap().0, Code::CREATED);
    server.says(&["credentials", "revoke", "buoy-1"]);
    assert!(fleet.is_closed(one), "the session ends");
    assert!(fleet.connect(Fleet::psk("buoy-1", &KEY)).is_err());
    common::wait_until("the registration ends as well", || server.devices().is_empty());

    let made = server.says(&["credentials", "rotate", "buoy-2", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let text = made.to_string();
    let key = made["secret"]["key"].as_str().or(made["key"].as_str()).unwrap_or_else(|| panic!("{text}"));
    let key: Vec<u8> =
        (0..key.len()).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap()).collect();
    let identity = made["credential"]["identity"].as_str().or(made["identity"].as_str()).unwrap();
    // Until the device has the new key, the old one is good.
    fleet.connect(Fleet::psk("buoy-2", &KEY)).unwrap();
    fleet.connect(Fleet::psk(identity, &key)).unwrap();
    common::wait_until("the old key is forgotten", || {
        let listed = server.says(&["credentials", "list", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let of_two = listed.as_array().unwrap().iter().filter(|it| it["endpoint"] == "buoy-2").count();
        of_two == 1
    });
    assert!(fleet.connect(Fleet::psk("buoy-2", &KEY)).is_err());
}

/// Reads a resource of a device, which answers over this session.
fn read(server: &Server, fleet: &mut Fleet, session: usize, text: &str) {
    let client = server.client();
    let asked = std::thread::spawn(move || {
        client.get::<serde_json::Value>("/api/clients/buoy-1/3/0/0?timeout=20&format=TEXT").unwrap()
    });
    fleet.answer(session, text);
    let answer = asked.join().unwrap();
    assert_eq!(answer["content"]["value"], text, "{answer}");
}

#[test]
fn a_second_session_of_the_same_identity_takes_nothing_from_the_one_that_carries_the_registration() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    let mut fleet = Fleet::new(&address);
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    let (code, location) = fleet.ask(one, &register(1, "buoy-1")).unwrap();
    assert_eq!(code, Code::CREATED);
    let path: Vec<&str> = location.iter().map(String::as_str).collect();

    // A download over a socket of its own: handshake, request, farewell. Each may be at another shard.
    let mut sockets: Vec<Fleet> = (0..3).map(|_| Fleet::new(&address)).collect();
    for (socket, number) in sockets.iter_mut().zip(10..) {
        let download = socket.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
        let get = request(Code::GET, number, &[".well-known", "core"], &[], 0, b"");
        assert_eq!(socket.ask(download, &get).unwrap().0, Code::CONTENT);
        read(&server, &mut fleet, one, "Buoy");
    }
    sockets[0].close(0);
    read(&server, &mut fleet, one, "still Buoy");
    assert_eq!(fleet.ask(one, &post(2, &path, &[], 0, b"")).unwrap().0, Code::CHANGED);

    // An Update over another session moves the registration there, and the one that it left ends.
    assert_eq!(sockets[1].ask(0, &post(3, &path, &[], 0, b"")).unwrap().0, Code::CHANGED);
    read(&server, &mut sockets[1], 0, "elsewhere");
    assert!(fleet.is_closed(one));
    assert!(!sockets[2].is_closed(0));
}

/// Puts a key in place of all that a device has, as Leshan's page does.
fn put_key(server: &Server, endpoint: &str, key: &str) {
    let details = serde_json::json!({"identity": endpoint, "key": key});
    let body =
        serde_json::json!({"endpoint": endpoint, "tls": {"mode": "psk", "details": details}}).to_string();
    let client = server.client();
    let put = "PUT".parse().unwrap();
    client
        .call::<serde_json::Value>(put, "/api/security/clients", "application/json", body.as_bytes())
        .unwrap();
}

#[test]
fn a_key_that_was_replaced_just_before_a_kill_is_answered_no_more_and_its_registration_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut server = start(folder.path(), &address);
    for round in 0..4_u8 {
        let (old, new) = (format!("{round:02x}").repeat(16), format!("{:02x}", round + 100).repeat(16));
        let names: Vec<String> = (0..3).map(|device| format!("buoy-{round}-{device}")).collect();
        let mut fleet = Fleet::new(&address);
        let mut paths = Vec::new();
        for (device, name) in names.iter().enumerate() {
            put_key(&server, name, &old);
            fleet.connect(Fleet::psk(name, &[round; 16])).unwrap();
            paths.push(fleet.ask(device, &register(1, name)).unwrap().1);
        }
        names.iter().for_each(|name| put_key(&server, name, &new));
        server.kill();

        server = start(folder.path(), &address);
        for (device, path) in paths.iter().enumerate() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            fleet.send(device, &post(2, &path, &[], 0, b""));
        }
        assert_eq!(fleet.receive(Duration::from_millis(500)), None, "round {round}");
        let listed = server.devices();
        assert!(listed.is_empty(), "round {round}: {listed:?}");
        let again = fleet.connect(Fleet::psk(&names[0], &[round + 100; 16])).unwrap();
        assert_eq!(fleet.ask(again, &register(3, &names[0])).unwrap().0, Code::CREATED);
        server.says(&["credentials", "revoke", &names[0]]);
        server.kill();
        server = start(folder.path(), &address);
        common::wait_until("a revoked one is not listed either", || server.devices().is_empty());
    }
}

#[test]
fn sessions_of_one_identity_are_bounded_and_the_registered_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    let mut fleet = Fleet::new(&address);
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    assert_eq!(fleet.ask(one, &register(1, "buoy-1")).unwrap().0, Code::CREATED);
    let mut others: Vec<Fleet> = (0..6).map(|_| Fleet::new(&address)).collect();
    for other in &mut others {
        other.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    }
    read(&server, &mut fleet, one, "Buoy");
    let open = others.iter_mut().map(|other| other.is_closed(0)).filter(|is_closed| !is_closed).count();
    assert_eq!(open, 4);
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_sent_to_a_device_whose_session_is_over_costs_the_server_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    let mut fleet = Fleet::new(&address);
    let one = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    assert_eq!(fleet.ask(one, &register(1, "buoy-1")).unwrap().0, Code::CREATED);
    fleet.close(one);
    // The registration is still there, and so is what the server wants of the device.
    let read = |number: u32| {
        let path = format!("/api/clients/buoy-1/3/0/{number}?timeout=1");
        server.client().get::<serde_json::Value>(&path)
    };
    (0..3).for_each(|number| drop(read(number)));
    let before = server.processor_time();
    let started = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    let used = server.processor_time() - before;
    assert!(used < started.elapsed() / 4, "{used:?} of a processor for nothing");
}

#[test]
fn a_device_behind_a_nat_that_forgot_it_goes_on_by_its_connection_id() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    let names: Vec<String> = (0..8).map(|number| format!("buoy-{number}")).collect();
    names.iter().for_each(|name| add(&server, name));
    let mut fleet = Fleet::new(&address);
    let mut paths = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let device = fleet.connect(Fleet::psk(name, &KEY)).unwrap();
        paths.push(fleet.ask(device, &register(number as u16, name)).unwrap().1);
    }
    // Each new address may be another shard's.
    for round in 1..6 {
        fleet.move_away();
        for (device, path) in paths.iter().enumerate() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let update = post(round * 100 + device as u16, &path, &[], 0, b"");
            assert_eq!(fleet.ask(device, &update).unwrap().0, Code::CHANGED, "round {round}");
        }
    }
}

/// What each device was told has been saved.
type Acknowledged = HashMap<usize, BTreeSet<u64>>;

const DEVICES: usize = 1000;

fn value(device: usize, number: u64) -> Vec<u8> {
    let time = 1_700_000_000 + number;
    let payload = format!(r#"[{{"n":"/3303/0/5700","t":{time},"v":{number}}}]"#);
    post((number as u16).wrapping_mul(7) ^ device as u16, &["dp"], &[], SENML_JSON, payload.as_bytes())
}

/// Devices send values, each its next when the last was acknowledged, until there were so many acknowledgements.
fn send_values(
    fleet: &mut Fleet,
    next: &mut [u64],
    acknowledged: &mut Acknowledged,
    count: usize,
    mut on_last: impl FnMut(),
) {
    let mut done = 0;
    for (device, number) in next.iter().enumerate() {
        fleet.send(device, &value(device, *number));
    }
    let mut sent = Instant::now();
    while done < count {
        let Some((device, answer)) = fleet.receive(Duration::from_millis(200)) else {
            // What was lost is sent again.
            assert!(sent.elapsed() < Duration::from_secs(30), "{done} of {count}");
            for (device, number) in next.iter().enumerate() {
                fleet.send(device, &value(device, *number));
            }
            continue;
        };
        sent = Instant::now();
        if take_acknowledgement(device, &answer, next, acknowledged) {
            done += 1;
            fleet.send(device, &value(device, next[device]));
        }
    }
    on_last();
    // What the server had sent before it died counts too.
    while let Some((device, answer)) = fleet.receive(Duration::from_millis(100)) {
        take_acknowledgement(device, &answer, next, acknowledged);
    }
}

fn take_acknowledgement(
    device: usize,
    answer: &[u8],
    next: &mut [u64],
    acknowledged: &mut Acknowledged,
) -> bool {
    let answer = Message::parse(answer).unwrap();
    let expected = value(device, next[device]);
    let is_it =
        answer.code() == Code::CHANGED && answer.token() == Message::parse(&expected).unwrap().token();
    if is_it {
        acknowledged.entry(device).or_default().insert(next[device]);
        next[device] += 1;
    }
    is_it
}

#[test]
fn a_thousand_sessions_outlive_a_killed_server_and_no_acknowledged_value_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut server = start(folder.path(), &address);
    let name = |device: usize| format!("buoy-{device:04}");
    let list = folder.path().join("devices.csv");
    let rows = (0..DEVICES).map(|device| format!("{},psk,{0},{KEY_HEX}\n", name(device)));
    std::fs::write(&list, format!("endpoint,kind,identity,key\n{}", rows.collect::<String>())).unwrap();
    server.says(&["credentials", "import", list.to_str().unwrap()]);

    let mut fleet = Fleet::new(&address);
    for device in 0..DEVICES {
        fleet.connect(Fleet::psk(&name(device), &KEY)).unwrap();
        assert_eq!(fleet.ask(device, &register(device as u16, &name(device))).unwrap().0, Code::CREATED);
    }
    // From here on the devices never begin a handshake: what is answered is answered within their first sessions.
    let (mut next, mut acknowledged) = (vec![1; DEVICES], Acknowledged::new());
    for acknowledgements in [700, 1900, 1200] {
        send_values(&mut fleet, &mut next, &mut acknowledged, acknowledgements, || server.kill());
        server = start(folder.path(), &address);
    }
    send_values(&mut fleet, &mut next, &mut acknowledged, DEVICES, || {});
    assert_eq!(server.devices().len(), DEVICES);
    let mut checked = 0;
    for (device, numbers) in &acknowledged {
        let path = format!("/api/v1/devices/{}/series/3303/0/5700?limit=1000", name(*device));
        let samples: Page<Sample> = server.client().get(&path).unwrap();
        let kept: BTreeSet<u64> =
            samples.items.iter().map(|sample| sample.value.as_f64().unwrap() as u64).collect();
        assert!(kept.is_superset(numbers), "{}: {numbers:?} and {kept:?}", name(*device));
        checked += numbers.len();
    }
    assert!(checked >= 4800, "{checked}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_flood_of_hellos_in_others_names_leaves_devices_served_and_takes_no_memory() {
    const HELLOS: usize = 40_000;
    const SOURCES: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let server = start(folder.path(), &address);
    add(&server, "buoy-1");
    add(&server, "buoy-2");
    let mut fleet = Fleet::new(&address);
    let device = fleet.connect(Fleet::psk("buoy-1", &KEY)).unwrap();
    let (code, location) = fleet.ask(device, &register(1, "buoy-1")).unwrap();
    assert_eq!(code, Code::CREATED);
    let path: Vec<&str> = location.iter().map(String::as_str).collect();
    let before = server.resident_bytes();

    let hello = fleet::client_hello();
    let target = address.clone();
    let flood = std::thread::spawn(move || {
        // Whoever sends in another's name never sees the cookie.
        let sources: Vec<UdpSocket> = (0..SOURCES)
            .map(|source| {
                UdpSocket::bind(SocketAddr::from(([127, 1, (source >> 8) as u8, source as u8], 0))).unwrap()
            })
            .collect();
        for number in 0..HELLOS {
            // What the socket cannot take is lost, as in any flood.
            let _ = sources[number % SOURCES].send_to(&hello, &target);
        }
    });
    let mut served = 0_u16;
    while !flood.is_finished() || served < 20 {
        served += 1;
        let update = post(100 + served, &path, &[], 0, b"");
        assert_eq!(fleet.ask(device, &update).unwrap().0, Code::CHANGED, "update {served}");
    }
    flood.join().unwrap();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more after {HELLOS} hellos");
    // Who means it comes in meanwhile and afterwards.
    fleet.connect(Fleet::psk("buoy-2", &KEY)).unwrap();
}
