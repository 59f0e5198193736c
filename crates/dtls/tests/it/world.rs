//! A server endpoint, clients, a clock, and a network between them that loses, repeats and reorders by a seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use buoy_dtls::config::{Authority, ClientConfig, ClientCredentials, Psk, PskKey, ServerConfig};
use buoy_dtls::endpoint::{self, CidFormat, EndReason, Endpoint, Handle, Limits};
use buoy_dtls::resumption::{Resumption, TicketKeys};
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connected, Connection, Context, Datagram, Event, Failure, Peer, ServerEnvironment};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5684);
/// A day on which the certificates of these tests are valid.
pub const TODAY: u64 = 1_800_000_000;

/// What the network does to datagrams, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub lost: u32,
    pub doubled: u32,
    pub late: u32,
    /// Longer datagrams vanish.
    pub mtu: Option<usize>,
}

#[derive(Clone)]
pub struct Flying {
    pub at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub now: Instant,
    pub unix_time: Option<u64>,
    pub rng: ChaCha8Rng,
    pub weather: Weather,
    pub flying: Vec<Flying>,
    /// Everything that was ever sent.
    pub log: Vec<Flying>,
    pub server: ServerSide,
    pub clients: Vec<ClientSide>,
}

pub struct ServerSide {
    pub endpoint: Endpoint<SocketAddr>,
    pub config: ServerConfig,
    pub authority: People,
    pub tickets: Option<TicketKeys>,
    pub events: Vec<endpoint::Event<SocketAddr>>,
    pub received: Vec<(Handle, Vec<u8>)>,
    /// Whether data is answered by the same data.
    pub echoes: bool,
}

/// Who may come in.
#[derive(Default)]
pub struct People {
    pub keys: BTreeMap<Vec<u8>, Vec<u8>>,
    pub banned: Vec<Peer>,
}

impl Authority for People {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        self.keys.get(identity).and_then(|key| PskKey::new(key))
    }

    fn admits(&self, peer: &Peer) -> bool {
        !self.banned.contains(peer)
    }
}

pub struct ClientSide {
    pub address: SocketAddr,
    pub connection: Connection<Client>,
    pub config: ClientConfig,
    pub connected: Option<Box<Connected>>,
    pub ended: Option<Event>,
    pub received: Vec<Vec<u8>>,
}

pub fn client_address(number: usize) -> SocketAddr {
    SocketAddr::new([10, 0, (number >> 8) as u8, number as u8].into(), 40_000)
}

pub fn psk_config(identity: &str, key: &[u8]) -> ClientConfig {
    ClientConfig::new(ClientCredentials::Psk(Psk::new(identity.as_bytes(), key).unwrap()))
}

impl World {
    pub fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cids = CidFormat::new(&[7], 5).unwrap();
        let limits = Limits { idle: Some(Duration::from_secs(86_400)), ..Limits::default() };
        let endpoint = Endpoint::new(limits, cids, &mut rng);
        let mut authority = People::default();
        authority.keys.insert(b"buoy-1".to_vec(), b"secret-1".to_vec());
        authority.keys.insert(b"buoy-2".to_vec(), b"secret-2".to_vec());
        Self {
            now: Instant::from_millis(1000),
            unix_time: Some(TODAY),
            rng,
            weather: Weather::default(),
            flying: Vec::new(),
            log: Vec::new(),
            server: ServerSide {
                endpoint,
                config: ServerConfig::default(),
                authority,
                tickets: None,
                events: Vec::new(),
                received: Vec::new(),
                echoes: false,
            },
            clients: Vec::new(),
        }
    }

    pub fn with_endpoint(mut self, limits: Limits, cids: CidFormat) -> Self {
        self.server.endpoint = Endpoint::new(limits, cids, &mut self.rng);
        self
    }

    pub fn with_weather(mut self, weather: Weather) -> Self {
        self.weather = weather;
        self
    }

    /// A client that starts its handshake now.
    pub fn client(&mut self, config: ClientConfig) -> usize {
        self.client_resuming(config, None)
    }

    pub fn client_resuming(&mut self, config: ClientConfig, resumption: Option<Resumption>) -> usize {
        let mut context = Context::new(self.now, &mut self.rng);
        let connection = Connection::client(&config, &mut context, resumption);
        let address = client_address(self.clients.len() + 1);
        let (connected, ended, received) = (None, None, Vec::new());
        self.clients.push(ClientSide { address, connection, config, connected, ended, received });
        self.clients.len() - 1
    }

    /// A client, connected.
    pub fn connected(&mut self, config: ClientConfig) -> (usize, Handle) {
        let client = self.client(config);
        self.run();
        assert!(self.clients[client].connected.is_some(), "{:?}", self.clients[client].ended);
        (client, self.newest_session())
    }

    pub fn newest_session(&self) -> Handle {
        let connected = self.server.events.iter().rev().find_map(|event| match event {
            endpoint::Event::Connected { handle, .. } => Some(*handle),
            _ => None,
        });
        connected.expect("no session")
    }

    pub fn server_failure(&self) -> Option<&Failure> {
        self.server.events.iter().rev().find_map(|event| match event {
            endpoint::Event::Ended { reason: EndReason::Failed(failure), .. } => Some(failure),
            _ => None,
        })
    }

    pub fn end_of(&self, handle: Handle) -> Option<&EndReason> {
        self.server.events.iter().find_map(|event| match event {
            endpoint::Event::Ended { handle: ended, reason, .. } if *ended == handle => Some(reason),
            _ => None,
        })
    }

    pub fn client_failure(&self, client: usize) -> Option<&Failure> {
        match &self.clients[client].ended {
            Some(Event::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    pub fn say(&mut self, client: usize, data: &[u8]) {
        let mut out = [0; 1500];
        let side = &mut self.clients[client];
        let length = side.connection.seal(data, &mut out).unwrap();
        let (from, to) = (side.address, SERVER);
        self.fly(from, to, &out[..length]);
    }

    pub fn tell(&mut self, handle: Handle, data: &[u8]) {
        let mut out = [0; 1500];
        let (to, length) = self.server.endpoint.seal(handle, data, &mut out).unwrap();
        self.fly(SERVER, to, &out[..length]);
    }

    pub fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let mut percent = || self.rng.next_u32() % 100;
        let lost = percent() < self.weather.lost || self.weather.mtu.is_some_and(|mtu| bytes.len() > mtu);
        let copies = if lost { 0 } else { 1 + u32::from(percent() < self.weather.doubled) };
        let delays: Vec<u64> =
            (0..copies).map(|_| if percent() < self.weather.late { 60 } else { 10 }).collect();
        let flying = |delay| {
            let at = self.now + Duration::from_millis(delay);
            Flying { at, from, to, bytes: bytes.to_vec() }
        };
        self.flying.extend(delays.into_iter().map(flying));
        self.log.push(Flying { at: self.now, from, to, bytes: bytes.to_vec() });
    }

    /// Until nothing flies and nobody waits for less than the far future.
    pub fn run(&mut self) {
        self.run_for(Duration::from_secs(600));
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..1_000_000 {
            self.drain();
            let Some(next) = self.next_event().filter(|next| *next <= end) else {
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
        panic!("it never ends");
    }

    /// Lets time pass though nothing happens.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_for(duration);
        self.now = end;
    }

    fn next_event(&self) -> Option<Instant> {
        let flying = self.flying.iter().map(|flying| flying.at);
        let clients = self.clients.iter().filter_map(|client| client.connection.next_timeout());
        let busy = self.server.endpoint.handshakes() > 0;
        let server = self.server.endpoint.next_timeout().filter(|_| busy);
        flying.chain(clients.filter(|_| true)).chain(server).min()
    }

    fn step(&mut self) {
        for client in &mut self.clients {
            if client.connection.next_timeout().is_some_and(|at| at <= self.now) {
                client.connection.handle_timeout(self.now);
            }
        }
        if self.server.endpoint.next_timeout().is_some_and(|at| at <= self.now) {
            self.server.endpoint.handle_timeout(self.now);
        }
        let (due, later) =
            std::mem::take(&mut self.flying).into_iter().partition(|flying| flying.at <= self.now);
        self.flying = later;
        let due: Vec<Flying> = due;
        for flying in due {
            self.deliver(flying);
            self.drain();
        }
    }

    fn deliver(&mut self, flying: Flying) {
        if flying.to == SERVER {
            self.server_receives(flying.from, flying.bytes);
            return;
        }
        for at in 0..self.clients.len() {
            if self.clients[at].address == flying.to {
                self.client_receives(at, flying.bytes.clone());
            }
        }
    }

    pub fn server_receives(&mut self, from: SocketAddr, mut bytes: Vec<u8>) {
        let ServerSide { endpoint, config, authority, tickets, received, .. } = &mut self.server;
        let environment = ServerEnvironment { config, authority, tickets: tickets.as_ref() };
        let mut context = Context { now: self.now, unix_time: self.unix_time, rng: &mut self.rng };
        let mut datagram = Datagram::new(&mut bytes);
        let mut answers = Vec::new();
        while let Some(data) = endpoint.receive(environment, &mut context, from, &mut datagram) {
            received.push((data.handle, data.data.to_vec()));
            answers.push((data.handle, data.data.to_vec()));
        }
        if self.server.echoes {
            answers.into_iter().for_each(|(handle, data)| self.tell(handle, &data));
        }
    }

    fn client_receives(&mut self, at: usize, mut bytes: Vec<u8>) {
        let ClientSide { connection, config, received, .. } = &mut self.clients[at];
        let mut context = Context { now: self.now, unix_time: self.unix_time, rng: &mut self.rng };
        let mut datagram = Datagram::new(&mut bytes);
        while let Some(data) = connection.handle_datagram(config, &mut context, &mut datagram) {
            received.push(data.to_vec());
        }
    }

    pub fn drain(&mut self) {
        let mut out = [0; 2048];
        for at in 0..self.clients.len() {
            while let Some(event) = self.clients[at].connection.poll_event() {
                match event {
                    Event::Connected(connected) => self.clients[at].connected = Some(connected),
                    ended => self.clients[at].ended = Some(ended),
                }
            }
            let from = self.clients[at].address;
            while let Some(length) = self.clients[at].connection.poll_transmit(&mut out) {
                self.fly(from, SERVER, &out[..length]);
            }
        }
        while let Some(event) = self.server.endpoint.poll_event() {
            self.server.events.push(event);
        }
        while let Some((to, length)) = self.server.endpoint.poll_transmit(&mut out) {
            self.fly(SERVER, to, &out[..length]);
        }
    }
}
