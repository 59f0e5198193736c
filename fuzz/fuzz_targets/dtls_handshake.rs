//! Handshakes that a stranger makes up, with cookies that are right and signatures that are all believed: a server endpoint
//! gets any ClientHello and then any messages, a client any messages of a server.
#![no_main]

use arbitrary::Arbitrary;
use buoy_dtls::config::{
    Authority, ClientConfig, ClientCredentials, OwnKey, Psk, PskKey, Resume, ServerConfig, ServerTrust,
};
use buoy_dtls::crypto::Provider;
use buoy_dtls::crypto::insecure::Insecure;
use buoy_dtls::endpoint::{Address, CidFormat, Endpoint, Limits};
use buoy_dtls::resumption::TicketKeys;
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connection, Context, Datagram, Peer, ServerEnvironment};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[derive(Arbitrary, Debug)]
struct Hello {
    random: [u8; 32],
    session_id: Vec<u8>,
    suites: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    raw_extensions: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Piece {
    message: u8,
    protected: bool,
    sequence: u8,
    total: u8,
    offset: u8,
    body: Vec<u8>,
    whole: bool,
}

#[derive(Arbitrary, Debug)]
struct Input {
    hello: Hello,
    to_server: Vec<Piece>,
    to_client: Vec<Piece>,
    by_certificate: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct From(u8);

impl Address for From {
    type Source = u8;

    fn source(&self) -> u8 {
        self.0
    }
}

struct Everybody;

impl Authority for Everybody {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        (identity.first() != Some(&0)).then(|| PskKey::new(b"key"))?
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

/// The extensions that are looked at.
const EXTENSIONS: [u16; 12] = [0, 1, 10, 11, 13, 19, 20, 23, 28, 35, 54, 0xff01];
const SUITES: [u16; 5] = [0xc0a8, 0x00a8, 0xc0ae, 0xc02b, 0xd003];

impl Hello {
    fn body(&self, cookie: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend(self.random);
        vector8(&mut body, &self.session_id);
        vector8(&mut body, cookie);
        let suites: Vec<u8> = self
            .suites
            .iter()
            .take(20)
            .flat_map(|suite| SUITES[usize::from(*suite) % SUITES.len()].to_be_bytes())
            .collect();
        vector16(&mut body, &suites);
        vector8(&mut body, &[0]);
        let mut list = Vec::new();
        for (number, extension) in self.extensions.iter().take(12) {
            list.extend(EXTENSIONS[usize::from(*number) % EXTENSIONS.len()].to_be_bytes());
            vector16(&mut list, extension);
        }
        list.extend(&self.raw_extensions);
        vector16(&mut body, &list);
        body
    }
}

fn vector8(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(32)];
    out.push(bytes.len() as u8);
    out.extend(bytes);
}

fn vector16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

fn fragment(message: u8, sequence: u8, total: usize, offset: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![message];
    bytes.extend(&(total as u32).to_be_bytes()[1..]);
    bytes.extend([0, sequence]);
    bytes.extend(&(offset as u32).to_be_bytes()[1..]);
    bytes.extend(&(body.len() as u32).to_be_bytes()[1..]);
    bytes.extend(body);
    bytes
}

fn record(protected: bool, sequence: u8, body: &[u8]) -> Vec<u8> {
    let (nonce, tag): (&[u8], &[u8]) = if protected { (&[0; 8], &[0; 8]) } else { (&[], &[]) };
    let body = [nonce, body, tag].concat();
    let mut bytes = vec![22, 0xfe, 0xfd, 0, u8::from(protected), 0, 0, 0, 0, 0, sequence];
    vector16(&mut bytes, &body);
    bytes
}

impl Piece {
    fn record(&self, number: usize) -> Vec<u8> {
        let (total, offset) =
            if self.whole { (self.body.len(), 0) } else { (self.total.into(), self.offset.into()) };
        let body = fragment(self.message % 24, self.sequence % 8, total, offset, &self.body);
        record(self.protected, number as u8, &body)
    }
}

fn own() -> Option<OwnKey> {
    OwnKey::raw_public_key::<Insecure>(&[1; 32])
}

fn server(input: &Input) {
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let now = Instant::ZERO;
    let mut config = ServerConfig::default();
    config.own_key = own();
    config.resume = Resume::Keep;
    let tickets = TicketKeys::new(&mut rng, 100);
    let environment = ServerEnvironment { config: &config, authority: &Everybody, tickets: Some(&tickets) };
    let mut endpoint = Endpoint::<From, Insecure>::new(Limits::default(), CidFormat::NONE, &mut rng);
    let mut out = [0; 4096];
    let mut give = |endpoint: &mut Endpoint<From, Insecure>, mut bytes: Vec<u8>| {
        let mut context = Context { now, unix_time: Some(1_800_000_000), rng: &mut rng };
        let mut datagram = Datagram::new(&mut bytes);
        while endpoint.receive(environment, &mut context, From(0), &mut datagram).is_some() {}
    };
    let first = input.hello.body(&[]);
    give(&mut endpoint, record(false, 0, &fragment(1, 0, first.len(), 0, &first)));
    let Some((_, length)) = endpoint.poll_transmit(&mut out) else { return };
    assert_eq!(endpoint.len(), 0);
    let cookie = out[..length][length - 16..].to_vec();
    let second = input.hello.body(&cookie);
    give(&mut endpoint, record(false, 1, &fragment(1, 1, second.len(), 0, &second)));
    for (number, piece) in input.to_server.iter().take(30).enumerate() {
        while endpoint.poll_transmit(&mut out).is_some() {}
        while endpoint.poll_event().is_some() {}
        give(&mut endpoint, piece.record(number + 2));
        assert!(endpoint.len() <= 1);
    }
    // With nobody answering any more, handshakes end, and only a session may be left.
    while let Some(at) = endpoint.next_timeout() {
        endpoint.handle_timeout(at);
        while endpoint.poll_transmit(&mut out).is_some() {}
        while endpoint.poll_event().is_some() {}
    }
    assert_eq!(endpoint.handshakes(), 0);
}

fn client(input: &Input) {
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let now = Instant::ZERO;
    let Some(key) = Insecure::public_key(&[1; 32]) else { return };
    let credentials = match (input.by_certificate, own(), Psk::new(b"identity", b"key")) {
        (true, Some(own), _) => {
            ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(key) }
        }
        (_, _, Some(psk)) => ClientCredentials::Psk(psk),
        _ => return,
    };
    let mut config = ClientConfig::new(credentials);
    config.resume = Resume::Keep;
    let mut client = Connection::<Client, Insecure>::client(&config, &mut Context::new(now, &mut rng), None);
    let mut out = [0; 4096];
    for (number, piece) in input.to_client.iter().take(30).enumerate() {
        while client.poll_transmit(&mut out).is_some() {}
        let mut bytes = piece.record(number);
        let mut context = Context { now, unix_time: Some(1_800_000_000), rng: &mut rng };
        let mut datagram = Datagram::new(&mut bytes);
        while client.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
        while client.poll_event().is_some() {}
    }
    while let Some(at) = client.next_timeout() {
        client.handle_timeout(at);
        while client.poll_transmit(&mut out).is_some() {}
    }
    while client.poll_transmit(&mut out).is_some() {}
    assert!(client.is_established() || client.is_closed());
}

fuzz_target!(|input: Input| {
    server(&input);
    client(&input);
});
