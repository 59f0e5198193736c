//! The sessions of one port, with clients that speak to it without a network.

use std::cell::RefCell;

use buoy_dtls::config::{ClientConfig, ClientCredentials, Psk};
use buoy_dtls::{Client, Connection};
use buoy_server::Directory as _;

use super::*;

/// Devices by their PSK identities, which are their names.
#[derive(Default)]
struct Devices(std::sync::Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Authority for Devices {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        PskKey::new(self.0.lock().unwrap().get(identity)?)
    }

    fn admits(&self, peer: &buoy_dtls::Peer) -> bool {
        self.endpoint_of(peer).is_some()
    }
}

impl Identities for Devices {
    fn endpoint_of(&self, peer: &buoy_dtls::Peer) -> Option<Arc<str>> {
        let buoy_dtls::Peer::Psk(identity) = peer else { return None };
        let is_known = self.0.lock().unwrap().contains_key(&**identity);
        is_known.then(|| String::from_utf8_lossy(identity).into())
    }

    fn has(&self, endpoint: &str) -> bool {
        self.0.lock().unwrap().contains_key(endpoint.as_bytes())
    }

    fn used(&self, _: &buoy_dtls::Peer) {}
}

struct World {
    secure: Secure,
    directory: Endpoints,
    devices: Arc<Devices>,
    outbox: Outbox,
    now: Instant,
    rng: ChaCha20Rng,
    port: u16,
    /// What was delivered.
    delivered: RefCell<Vec<(SessionId, Vec<u8>)>>,
}

/// A client, where it is, and its session.
struct Device {
    connection: Connection<Client>,
    config: ClientConfig,
    address: SocketAddr,
    session: SessionId,
}

impl World {
    fn new() -> Self {
        let devices = Arc::new(Devices::default());
        for name in ["buoy-1", "buoy-2"] {
            devices.0.lock().unwrap().insert(name.into(), b"key".to_vec());
        }
        Self::with(devices, Vec::new())
    }

    /// A server that starts with these sessions.
    fn with(devices: Arc<Devices>, sessions: Vec<(SessionId, Vec<u8>)>) -> Self {
        let directory = Endpoints::new(devices.clone());
        let now = Instant::from_millis(1_000_000);
        let parts = SecureParts {
            socket: mio::net::UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap(),
            config: Arc::default(),
            identities: devices.clone(),
            export_keys: vec![ExportKey::new([1; 32])],
            ticket_seed: [2; 32],
            sessions,
            failures: Arc::default(),
        };
        let mut outbox = Outbox::default();
        let secure = Secure::new(0, parts, directory.clone(), now, &mut outbox).unwrap();
        let (rng, delivered) = (ChaCha20Rng::from_seed([3; 32]), RefCell::default());
        Self { secure, directory, devices, outbox, now, rng, port: 1000, delivered }
    }

    fn connect(&mut self, identity: &str) -> Device {
        let psk = Psk::new(identity.as_bytes(), b"key").unwrap();
        let config = ClientConfig::new(ClientCredentials::Psk(psk));
        let mut context = Context::new(self.now, &mut self.rng);
        let mut connection = Connection::client(&config, &mut context, None);
        self.port += 1;
        let address = ([127, 0, 0, 1], self.port).into();
        let known = self.directory.sessions_of(identity);
        let mut buffer = [0; 2048];
        while !connection.is_established() {
            while let Some(length) = connection.poll_transmit(&mut buffer) {
                self.give(address, &mut buffer[..length]);
            }
            for (_, flight) in std::mem::take(&mut self.outbox.flights) {
                let mut context = Context::new(self.now, &mut self.rng);
                let mut flight = flight.to_vec();
                connection.handle_datagram(&config, &mut context, &mut Datagram::new(&mut flight));
            }
        }
        let new = self.directory.sessions_of(identity).into_iter().find(|session| !known.contains(session));
        Device { connection, config, address, session: new.expect("a session") }
    }

    fn give(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let delivered = &self.delivered;
        let arrival = Arrival { from, local: None };
        self.secure.receive(self.now, arrival, datagram, &mut self.outbox, |peer, data, _| {
            delivered.borrow_mut().push((peer.session.unwrap(), data.to_vec()));
        });
    }

    fn say(&mut self, device: &mut Device) {
        let mut buffer = [0; 100];
        let length = device.connection.seal(b"hello", &mut buffer).unwrap();
        self.give(device.address, &mut buffer[..length]);
    }

    fn is_open(&self, device: &Device) -> bool {
        self.secure.has(device.session)
    }

    /// Lets time pass, in steps of a minute.
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = self.now + Duration::from_secs(60);
            self.secure.handle_timeout(self.now, &mut self.outbox);
        }
    }
}

#[test]
fn a_newer_handshake_ends_no_older_session_of_the_endpoint() {
    let mut world = World::new();
    let mut first = world.connect("buoy-1");
    let mut second = world.connect("buoy-1");
    world.say(&mut first);
    world.say(&mut second);
    let heard: Vec<SessionId> = world.delivered.borrow().iter().map(|(session, _)| *session).collect();
    assert_eq!(heard, [first.session, second.session]);
}

#[test]
fn of_too_many_sessions_the_one_without_a_registration_that_was_used_longest_ago_is_told_and_ends() {
    let mut world = World::new();
    let registered = world.connect("buoy-1");
    world.directory.carry(&"buoy-1".into(), Some(registered.session));
    let mut others: Vec<Device> = (0..4).map(|_| world.connect("buoy-1")).collect();
    let neighbour = world.connect("buoy-2");
    world.now = world.now + Duration::from_secs(5);
    world.say(&mut others[0]);
    world.outbox.flights.clear();

    let sixth = world.connect("buoy-1");

    assert!(world.is_open(&registered) && world.is_open(&neighbour) && world.is_open(&sixth));
    let open: Vec<bool> = others.iter().map(|device| world.is_open(device)).collect();
    assert_eq!(open, [true, false, true, true]);
}

#[test]
fn a_session_without_a_registration_ends_after_a_day_of_silence_and_one_with_it_does_not() {
    let mut world = World::new();
    let (registered, idle) = (world.connect("buoy-1"), world.connect("buoy-1"));
    let mut busy = world.connect("buoy-1");
    world.directory.carry(&"buoy-1".into(), Some(registered.session));
    for _ in 0..3 {
        world.wait(Duration::from_secs(12 * 60 * 60));
        world.say(&mut busy);
    }
    assert!(world.is_open(&registered) && world.is_open(&busy) && !world.is_open(&idle));
}

#[test]
fn a_farewell_ends_its_own_session_alone() {
    let mut world = World::new();
    let (mut first, second) = (world.connect("buoy-1"), world.connect("buoy-1"));
    first.connection.close();
    let mut buffer = [0; 100];
    let length = first.connection.poll_transmit(&mut buffer).unwrap();
    world.give(first.address, &mut buffer[..length]);
    assert!(!world.is_open(&first) && world.is_open(&second));
    assert!(!first.connection.is_established() && format!("{:?}", first.config).contains("redacted"));
}

#[test]
fn several_sessions_of_an_endpoint_go_on_after_a_restart() {
    let mut world = World::new();
    let mut devices = [world.connect("buoy-1"), world.connect("buoy-1")];
    devices.iter().for_each(|device| world.secure.save(device.session, &mut world.outbox));
    let saved = world.outbox.changes.iter().filter_map(|change| match change {
        Change::PutSession { session, record } => Some((*session, record.to_vec())),
        _ => None,
    });
    let mut world = World::with(world.devices.clone(), saved.collect());
    devices.iter_mut().for_each(|device| world.say(device));
    assert_eq!(world.delivered.borrow().len(), 2);
}

#[test]
fn what_sessions_received_is_saved_a_slice_at_a_time_and_within_five_minutes_of_each() {
    const SESSIONS: usize = 150;
    const SECOND: Duration = Duration::from_secs(1);
    let mut world = World::new();
    let names: Vec<String> = (0..SESSIONS).map(|n| format!("device-{n}")).collect();
    names
        .iter()
        .for_each(|name| drop(world.devices.0.lock().unwrap().insert(name.clone().into(), b"key".into())));
    let mut devices: Vec<Device> = names.iter().map(|name| world.connect(name)).collect();
    devices.iter().for_each(|device| world.secure.save(device.session, &mut world.outbox));
    save(&mut world);

    let mut heard: HashMap<SessionId, Instant> = HashMap::new();
    let mut saved_at: HashMap<SessionId, Vec<Instant>> = HashMap::new();
    for second in 0..1500 {
        world.now = world.now + SECOND;
        // Each is heard at times of its own, so that not all are dirty when the round comes by.
        let speaking = devices.iter_mut().enumerate().filter(|(index, _)| second % (index % 90 + 7) == 0);
        for (_, device) in speaking {
            world.say(device);
            heard.entry(device.session).or_insert(world.now);
        }
        world.secure.save_slice_of_received(world.now, &mut world.outbox);
        let saved = save(&mut world);
        assert!(saved.len() <= SMALLEST_SLICE, "{} sessions in one turn", saved.len());
        for session in saved {
            assert!(heard.remove(&session).is_some(), "a session that heard nothing is not saved");
            saved_at.entry(session).or_default().push(world.now);
        }
        let oldest = heard.values().map(|since| world.now.since(*since)).max().unwrap_or_default();
        assert!(oldest <= SAVE_ROUND, "a session waits since {oldest:?}");
    }
    assert_eq!(saved_at.len(), SESSIONS);
    // The first round begins with the server, a second before it is called for the first time.
    let is_too_soon = |pair: &[Instant]| pair[1].since(pair[0]) < SAVE_ROUND - SECOND;
    let is_too_often = |times: &Vec<Instant>| times.windows(2).any(is_too_soon);
    assert!(!saved_at.values().any(is_too_often));

    // At the stop nothing waits for its turn.
    devices.iter_mut().for_each(|device| world.say(device));
    world.secure.save_received(&mut world.outbox);
    assert_eq!(save(&mut world).len(), SESSIONS);
}

/// Has the changes of the outbox saved: of which sessions there were some.
fn save(world: &mut World) -> Vec<SessionId> {
    let outbox = std::mem::take(&mut world.outbox);
    world.secure.saved(&outbox);
    let session = |change: &Change| match change {
        Change::PutSession { session, .. } => Some(*session),
        _ => None,
    };
    outbox.changes.iter().filter_map(session).collect()
}

/// The sessions that are void, with their endpoints.
fn voided(world: &mut World) -> Vec<(SessionId, String)> {
    let void = |happening| match happening {
        Happening::Void(session, endpoint) => Some((session, endpoint.to_string())),
        _ => None,
    };
    world.secure.take_happenings().into_iter().filter_map(void).collect()
}

#[test]
fn a_saved_session_goes_on_with_the_very_key_that_it_was_made_by_and_with_no_other_of_the_same_identity() {
    for (key, goes_on) in [(Some(&b"key"[..]), true), (Some(b"other"), false), (None, false)] {
        let mut world = World::new();
        let mut device = world.connect("buoy-1");
        world.secure.save(device.session, &mut world.outbox);
        let saved = world.outbox.changes.iter().filter_map(|change| match change {
            Change::PutSession { session, record } => Some((*session, record.to_vec())),
            _ => None,
        });
        let saved = saved.collect();
        // The server is killed after the change of the key was saved, and before anything else was.
        match key {
            Some(key) => drop(world.devices.0.lock().unwrap().insert("buoy-1".into(), key.to_vec())),
            None => drop(world.devices.0.lock().unwrap().remove(&b"buoy-1"[..])),
        }
        let mut world = World::with(world.devices.clone(), saved);
        world.say(&mut device);
        assert_eq!(world.delivered.borrow().len(), usize::from(goes_on));
        let expected = if goes_on { vec![] } else { vec![(device.session, "buoy-1".to_owned())] };
        assert_eq!(voided(&mut world), expected);
    }
}

#[test]
fn when_a_key_is_replaced_the_sessions_made_by_the_old_one_end_and_those_made_by_the_new_one_go_on() {
    let mut world = World::new();
    let old = world.connect("buoy-1");
    let check = |world: &mut World, device: &Device| {
        world.secure.check(world.now, device.session, "buoy-1".into(), &mut world.outbox);
    };
    check(&mut world, &old);
    assert!(world.is_open(&old) && voided(&mut world).is_empty());
    world.devices.0.lock().unwrap().insert("buoy-1".into(), b"other".to_vec());
    check(&mut world, &old);
    assert!(!world.is_open(&old));
    assert_eq!(voided(&mut world), [(old.session, "buoy-1".to_owned())]);
    // One that ended in this moment takes its registration along too.
    check(&mut world, &old);
    assert_eq!(voided(&mut world), [(old.session, "buoy-1".to_owned())]);
}
