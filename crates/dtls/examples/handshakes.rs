//! How fast handshakes and records are, and how large a connection is:
//! `cargo run --release -p buoy-dtls --features aws-lc --example handshakes`.
//!
//! Both ends run in one thread, so a pair's handshakes a second are about half of what a server alone reaches. The
//! comparison for records is `openssl speed -seconds 1 -bytes 200 -evp aes-128-ccm`, which seals the same 200 bytes.
#![allow(clippy::std_instead_of_core, reason = "an example has std")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use buoy_dtls::config::{
    Authority, ClientConfig, ClientCredentials, OwnKey, Psk, PskKey, ServerConfig, ServerTrust,
};
use buoy_dtls::crypto::{Aead, Provider, RustCrypto};
use buoy_dtls::endpoint::{self, CidFormat, Endpoint, Limits};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::time::Instant;
use buoy_dtls::{
    Client, Connection, Context, Datagram, Event, ExportKey, Peer, Reserve, Server, ServerEnvironment,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const RECORD: usize = 200;

struct Everybody;

impl Authority for Everybody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"0123456789abcdef")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

struct Bench<P: Provider> {
    rng: ChaCha8Rng,
    endpoint: Endpoint<SocketAddr, P>,
    server: ServerConfig,
    client: ClientConfig,
    in_server: Duration,
    newest: Option<endpoint::Handle>,
}

impl<P: Provider> Bench<P> {
    fn new(suite: CipherSuite) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let limits = Limits { handshakes_per_source: u32::MAX, ..Limits::default() };
        let endpoint = Endpoint::new(limits, CidFormat::new(&[1], 7).expect("short enough"), &mut rng);
        let key = |number: u8| OwnKey::raw_public_key::<P>(&[number; 32]).expect("a key");
        let mut server = ServerConfig::default();
        server.own_key = Some(key(1));
        let credentials = match suite {
            CipherSuite::EcdheEcdsaAes128Ccm8 => ClientCredentials::Certificate {
                own: key(2),
                server: ServerTrust::RawPublicKey(*key(1).public()),
            },
            _ => ClientCredentials::Psk(Psk::new(b"buoy-1", b"0123456789abcdef").expect("a key")),
        };
        let mut client = ClientConfig::new(credentials);
        client.suites = [suite].into();
        Self { rng, endpoint, server, client, in_server: Duration::ZERO, newest: None }
    }

    /// One handshake between a new client and the endpoint.
    fn connect(&mut self, from: SocketAddr) -> Connection<Client, P> {
        let now = Instant::from_millis(1);
        let mut context = Context::new(now, &mut self.rng);
        let mut client = Connection::client(&self.client, &mut context, None);
        let environment = ServerEnvironment { config: &self.server, authority: &Everybody, tickets: None };
        let mut out = [0; 1500];
        while !client.is_established() {
            while let Some(length) = client.poll_transmit(&mut out) {
                let started = Clock::now();
                let mut datagram = Datagram::new(out.get_mut(..length).expect("it fits"));
                let mut context = Context::new(now, &mut self.rng);
                assert!(self.endpoint.receive(environment, &mut context, from, &mut datagram).is_none());
                self.in_server += started.elapsed();
            }
            loop {
                let started = Clock::now();
                let Some((_, length)) = self.endpoint.poll_transmit(&mut out) else { break };
                self.in_server += started.elapsed();
                let mut datagram = Datagram::new(out.get_mut(..length).expect("it fits"));
                let mut context = Context::new(now, &mut self.rng);
                assert!(client.handle_datagram(&self.client, &mut context, &mut datagram).is_none());
            }
        }
        assert!(matches!(client.poll_event(), Some(Event::Connected(_))));
        while let Some(event) = self.endpoint.poll_event() {
            if let endpoint::Event::Connected { handle, .. } = event {
                self.newest = Some(handle);
            }
        }
        client
    }
}

fn address(number: u32) -> SocketAddr {
    let [a, b, c, d] = number.to_be_bytes();
    SocketAddr::new([10, b, c, d].into(), 1000 + u16::from(a))
}

fn handshakes<P: Provider>(name: &str, suite: CipherSuite) {
    let mut bench = Bench::<P>::new(suite);
    let started = Clock::now();
    let mut count = 0_u32;
    while started.elapsed() < Duration::from_secs(2) {
        bench.connect(address(count));
        count += 1;
    }
    let pair = f64::from(count) / started.elapsed().as_secs_f64();
    let server = f64::from(count) / bench.in_server.as_secs_f64();
    println!(
        "{name}: {pair:.0} handshakes/s with both ends, {server:.0}/s by the server's share of the time"
    );
}

fn records() {
    let mut bench = Bench::<RustCrypto>::new(CipherSuite::PskAes128Ccm8);
    let mut client = bench.connect(address(1));
    let environment = ServerEnvironment { config: &bench.server, authority: &Everybody, tickets: None };
    let offset = client.payload_offset();
    let mut buffer = [7; 300];
    let (mut seal, mut open) = (Duration::ZERO, Duration::ZERO);
    let mut count = 0_u32;
    let started = Clock::now();
    while started.elapsed() < Duration::from_secs(2) {
        let mut batch = [[7; 300]; 64];
        let before = Clock::now();
        for buffer in &mut batch {
            client.seal_in_place(buffer, RECORD).expect("it fits");
        }
        seal += before.elapsed();
        let length = RECORD + client.overhead();
        let before = Clock::now();
        for buffer in &mut batch {
            let mut context = Context::new(Instant::from_millis(1), &mut bench.rng);
            let mut datagram = Datagram::new(buffer.get_mut(..length).expect("it fits"));
            let received = bench.endpoint.receive(environment, &mut context, address(1), &mut datagram);
            assert_eq!(received.map(|received| received.data.len()), Some(RECORD));
        }
        open += before.elapsed();
        count += 64;
    }
    let per_second = |time: Duration| f64::from(count) / time.as_secs_f64();
    println!("records of {RECORD} bytes, AES-128-CCM-8, with headers, nonces and windows:");
    println!(
        "  sealed {:.0}/s, found by connection ID and opened {:.0}/s",
        per_second(seal),
        per_second(open)
    );

    let (key, nonce, aad) = ([1; 16], [2; 12], [3; 13]);
    let text = buffer.get_mut(offset..offset + RECORD).expect("it fits");
    for (name, aead) in [("CCM-8", Aead::Aes128Ccm8), ("GCM", Aead::Aes128Gcm)] {
        let mut tag = [0; 16];
        let tag = tag.get_mut(..aead.tag_length()).expect("it fits");
        let started = Clock::now();
        let mut count = 0_u32;
        while started.elapsed() < Duration::from_secs(1) {
            for _ in 0..1000 {
                RustCrypto::seal(aead, black_box(&key), black_box(&nonce), &aad, text, tag);
            }
            count += 1000;
        }
        let rate = f64::from(count) / started.elapsed().as_secs_f64();
        println!("  the cipher alone, {name}, its key expanded for each record: {rate:.0}/s");
    }
}

/// Hellos of strangers, who get cookies.
fn strangers() {
    let mut bench = Bench::<RustCrypto>::new(CipherSuite::PskAes128Ccm8);
    let now = Instant::from_millis(1);
    let mut client: Connection<Client> =
        Connection::client(&bench.client, &mut Context::new(now, &mut bench.rng), None);
    let mut hello = [0; 1500];
    let length = client.poll_transmit(&mut hello).expect("a hello");
    let environment = ServerEnvironment { config: &bench.server, authority: &Everybody, tickets: None };
    let mut out = [0; 100];
    let (started, mut count) = (Clock::now(), 0_u32);
    while started.elapsed() < Duration::from_secs(1) {
        let mut context = Context::new(now, &mut bench.rng);
        let mut datagram = Datagram::new(hello.get_mut(..length).expect("it fits"));
        bench.endpoint.receive(environment, &mut context, address(count), &mut datagram);
        assert!(bench.endpoint.poll_transmit(&mut out).is_some());
        count += 1;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    println!("strangers answered with a cookie: {rate:.0}/s");
}

/// What a restart costs.
fn imports() {
    const SESSIONS: u32 = 100_000;
    let mut bench = Bench::<RustCrypto>::new(CipherSuite::PskAes128Ccm8);
    let key = ExportKey::new([1; 32]);
    let mut saved = Vec::new();
    for number in 0..SESSIONS {
        bench.connect(address(number));
        let handle = bench.newest.expect("a session");
        let reserve = Reserve::default();
        saved.extend(bench.endpoint.export(handle, &key, b"name", reserve, &mut bench.rng));
    }
    let bytes: usize = saved.iter().map(|export| export.bytes.len()).sum();
    let mut fresh = Bench::<RustCrypto>::new(CipherSuite::PskAes128Ccm8);
    let started = Clock::now();
    for (number, export) in (0..).zip(&saved) {
        let now = Instant::from_millis(1);
        fresh.endpoint.import(now, address(number), &key, b"name", &export.bytes).expect("it was exported");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{SESSIONS} sessions of {} bytes each imported in {seconds:.2} s", bytes / saved.len());
}

fn sizes() {
    println!(
        "a connection: client {} bytes, server {} bytes, all in line but the identity;",
        size_of::<Connection<Client>>(),
        size_of::<Connection<Server>>()
    );
    println!(
        "a session in the endpoint, with its indexes: {} bytes",
        Endpoint::<SocketAddr>::bytes_per_session()
    );
}

fn with_curves<P: Provider>(provider: &str) {
    let suite = CipherSuite::EcdhePskAes128Ccm8;
    handshakes::<P>(&format!("ECDHE-PSK (x25519), AES-128-CCM-8, {provider}"), suite);
    let suite = CipherSuite::EcdheEcdsaAes128Ccm8;
    let name = "ECDHE-ECDSA (x25519, raw public keys on both sides), AES-128-CCM-8";
    handshakes::<P>(&format!("{name}, {provider}"), suite);
}

fn main() {
    sizes();
    handshakes::<RustCrypto>("PSK, AES-128-CCM-8", CipherSuite::PskAes128Ccm8);
    with_curves::<RustCrypto>("RustCrypto");
    #[cfg(feature = "aws-lc")]
    with_curves::<buoy_dtls::crypto::AwsLc>("AWS-LC");
    records();
    strangers();
    imports();
}
