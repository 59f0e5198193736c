//! A client and a server whose flights are changed, dropped, reordered, repeated and made up on the way.
//!
//! With the real cryptography: what arrives was sent, once, and by who it seems to be from. With the provider that believes
//! everything: nothing panics, and everything ends.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use buoy_dtls::config::{
    Authority, ClientConfig, ClientCredentials, ConnectionIdUse, OwnKey, Psk, PskKey, Resume, ServerConfig,
    ServerTrust,
};
use buoy_dtls::crypto::insecure::Insecure;
use buoy_dtls::crypto::{Provider, RustCrypto};
use buoy_dtls::endpoint::{Address, CidFormat, Endpoint, Event as EndpointEvent, Handle, Limits};
use buoy_dtls::resumption::{Resumption, TicketKeys};
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connection, Context, Datagram, Event, Peer, ServerEnvironment};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[derive(Arbitrary, Debug)]
enum Step {
    Deliver {
        index: u8,
    },
    Repeat {
        index: u8,
    },
    Drop {
        index: u8,
    },
    /// A datagram arrives changed.
    Change {
        index: u8,
        at: u16,
        to: u8,
    },
    /// A datagram arrives cut.
    Cut {
        index: u8,
        length: u16,
    },
    /// A datagram arrives from elsewhere, or what went to one end arrives at the other.
    Divert {
        index: u8,
        from: u8,
        other_way: bool,
    },
    Forge {
        to_server: bool,
        bytes: Vec<u8>,
    },
    Wait {
        seconds: u8,
    },
    Say {
        server: bool,
        length: u8,
    },
    /// The client begins again, as after a reboot.
    Restart {
        resume: bool,
    },
    Close {
        server: bool,
    },
    Move {
        to: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Input {
    real: bool,
    by_key: bool,
    suite: u8,
    cid: u8,
    datagram: u16,
    with_tickets: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At(u8);

impl Address for At {
    type Source = u8;

    fn source(&self) -> u8 {
        self.0
    }
}

struct Everybody;

impl Authority for Everybody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"key")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

struct Flying {
    to_server: bool,
    /// The client's end of the way.
    client: At,
    bytes: Vec<u8>,
}

struct Play<P: Provider> {
    now: Instant,
    rng: ChaCha8Rng,
    config: ClientConfig,
    server_config: ServerConfig,
    tickets: Option<TicketKeys>,
    client: Connection<Client, P>,
    home: At,
    endpoint: Endpoint<At, P>,
    session: Option<Handle>,
    resumption: Option<Resumption>,
    way: Vec<Flying>,
    /// What was said and has not arrived.
    said: [Vec<Vec<u8>>; 2],
    number: u32,
    is_real: bool,
}

impl<P: Provider> Play<P> {
    fn new(input: &Input) -> Option<Self> {
        let mut rng = ChaCha8Rng::from_seed([input.suite; 32]);
        let now = Instant::from_millis(1000);
        let key = |number: u8| OwnKey::raw_public_key::<P>(&[number; 32]);
        let credentials = if input.by_key {
            let server = ServerTrust::RawPublicKey(*key(1)?.public());
            ClientCredentials::Certificate { own: key(2)?, server }
        } else {
            ClientCredentials::Psk(Psk::new(b"identity", b"key")?)
        };
        let mut config = ClientConfig::new(credentials);
        // Elliptic curves are too slow for many inputs a second, so they are left to the other provider.
        if input.real {
            config.suites = config.suites.iter().copied().filter(|suite| !slow(suite.number())).collect();
        }
        let first = usize::from(input.suite) % config.suites.len().max(1);
        config.suites = config.suites.iter().copied().cycle().skip(first).take(config.suites.len()).collect();
        config.connection_id = match input.cid {
            0 => ConnectionIdUse::Off,
            length => ConnectionIdUse::Both(length % 33),
        };
        config.timing.datagram = input.datagram.clamp(128, 1400);
        config.resume = Resume::Keep;
        let mut server_config = ServerConfig::default();
        server_config.suites = config.suites.clone();
        server_config.own_key = key(1);
        server_config.resume = Resume::Keep;
        server_config.timing.datagram = config.timing.datagram;
        let tickets = input.with_tickets.then(|| TicketKeys::new(&mut rng, 1000));
        let client = Connection::client(&config, &mut Context::new(now, &mut rng), None);
        let endpoint = Endpoint::new(Limits::default(), CidFormat::new(&[9], input.cid % 20)?, &mut rng);
        let (home, session, resumption) = (At(1), None, None);
        let (way, said, number, is_real) = (Vec::new(), [Vec::new(), Vec::new()], 0, input.real);
        Some(Self {
            now,
            rng,
            config,
            server_config,
            tickets,
            client,
            home,
            endpoint,
            session,
            resumption,
            way,
            said,
            number,
            is_real,
        })
    }

    fn deliver(&mut self, flying: Flying) {
        let Flying { to_server, client, mut bytes } = flying;
        let mut arrived = Vec::new();
        let mut context = Context { now: self.now, unix_time: Some(1_800_000_000), rng: &mut self.rng };
        let mut datagram = Datagram::new(&mut bytes);
        if to_server {
            let environment = ServerEnvironment {
                config: &self.server_config,
                authority: &Everybody,
                tickets: self.tickets.as_ref(),
            };
            while let Some(data) = self.endpoint.receive(environment, &mut context, client, &mut datagram) {
                arrived.push(data.data.to_vec());
            }
        } else if client == self.home {
            while let Some(data) = self.client.handle_datagram(&self.config, &mut context, &mut datagram) {
                arrived.push(data.to_vec());
            }
        }
        for data in arrived.into_iter().filter(|_| self.is_real) {
            let said = &mut self.said[usize::from(to_server)];
            let at =
                said.iter().position(|said| *said == data).expect("what arrives was said, and arrives once");
            said.swap_remove(at);
        }
    }

    fn drain(&mut self) {
        let mut out = [0; 2048];
        while let Some(event) = self.client.poll_event() {
            if let Event::Connected(connected) = event {
                self.resumption = connected.resumption;
            }
        }
        while let Some(length) = self.client.poll_transmit(&mut out) {
            self.way.push(Flying { to_server: true, client: self.home, bytes: out[..length].to_vec() });
        }
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                EndpointEvent::Connected { handle, .. } => self.session = Some(handle),
                EndpointEvent::Ended { handle, .. } if self.session == Some(handle) => self.session = None,
                _ => {}
            }
        }
        while let Some((client, length)) = self.endpoint.poll_transmit(&mut out) {
            self.way.push(Flying { to_server: false, client, bytes: out[..length].to_vec() });
        }
        if self.way.len() > 100 {
            self.way.drain(..50);
        }
    }

    fn say(&mut self, server: bool, length: u8) {
        self.number += 1;
        let mut data = self.number.to_be_bytes().to_vec();
        data.resize(4 + usize::from(length), 7);
        let mut out = [0; 1024];
        let sealed = if server {
            self.session.and_then(|handle| self.endpoint.seal(handle, &data, &mut out).ok())
        } else {
            self.client.seal(&data, &mut out).ok().map(|length| (self.home, length))
        };
        if let Some((client, length)) = sealed {
            self.said[usize::from(!server)].push(data);
            self.way.push(Flying { to_server: !server, client, bytes: out[..length].to_vec() });
        }
    }

    fn take(&mut self, index: u8) -> Option<Flying> {
        let count = self.way.len();
        (count > 0).then(|| self.way.swap_remove(usize::from(index) % count))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver { index } => {
                if let Some(flying) = self.take(index) {
                    self.deliver(flying);
                }
            }
            Step::Repeat { index } => {
                if let Some(flying) = self.take(index) {
                    let Flying { to_server, client, ref bytes } = flying;
                    let copy = Flying { to_server, client, bytes: bytes.clone() };
                    self.way.push(copy);
                    self.deliver(flying);
                }
            }
            Step::Drop { index } => drop(self.take(index)),
            Step::Change { index, at, to } => {
                if let Some(mut flying) = self.take(index) {
                    let at = usize::from(at) % flying.bytes.len().max(1);
                    if let Some(byte) = flying.bytes.get_mut(at) {
                        *byte = to;
                    }
                    self.deliver(flying);
                }
            }
            Step::Cut { index, length } => {
                if let Some(mut flying) = self.take(index) {
                    flying.bytes.truncate(length.into());
                    self.deliver(flying);
                }
            }
            Step::Divert { index, from, other_way } => {
                if let Some(mut flying) = self.take(index) {
                    flying.client = At(from);
                    flying.to_server ^= other_way;
                    self.deliver(flying);
                }
            }
            Step::Forge { to_server, bytes } => {
                self.deliver(Flying { to_server, client: self.home, bytes });
            }
            Step::Wait { seconds } => self.wait(Duration::from_secs(seconds.into())),
            Step::Say { server, length } => self.say(server, length),
            Step::Restart { resume } => {
                let resumption = self.resumption.clone().filter(|_| resume);
                let mut context = Context::new(self.now, &mut self.rng);
                self.client = Connection::client(&self.config, &mut context, resumption);
            }
            Step::Close { server: false } => self.client.close(),
            Step::Close { server: true } => {
                if let Some(handle) = self.session.take() {
                    self.endpoint.remove(handle);
                }
            }
            Step::Move { to } => self.home = At(to),
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        if self.client.next_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(self.now);
        }
        if self.endpoint.next_timeout().is_some_and(|at| at <= self.now) {
            self.endpoint.handle_timeout(self.now);
        }
    }

    fn run(mut self, steps: Vec<Step>) {
        self.drain();
        for step in steps.into_iter().take(200) {
            self.step(step);
            self.drain();
            assert!(self.endpoint.len() < 300);
        }
        // With nobody answering any more, everything ends.
        for _ in 0..1000 {
            let client = self.client.next_timeout();
            let Some(next) = client.into_iter().chain(self.endpoint.next_timeout()).min() else { break };
            self.wait(next.since(self.now));
            self.drain();
        }
        assert_eq!(self.endpoint.handshakes(), 0);
        assert!(self.client.is_established() || self.client.is_closed());
    }
}

/// The suites with elliptic curves.
fn slow(number: u16) -> bool {
    !matches!(number, 0xc0a8 | 0x00a8)
}

fuzz_target!(|input: Input| {
    let mut input = input;
    let steps = std::mem::take(&mut input.steps);
    if input.real {
        input.by_key = false;
        if let Some(play) = Play::<RustCrypto>::new(&input) {
            play.run(steps);
        }
    } else if let Some(play) = Play::<Insecure>::new(&input) {
        play.run(steps);
    }
});
