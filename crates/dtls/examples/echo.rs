//! A server that says everything back, and a client that says one thing, over UDP:
//!
//! ```text
//! cargo run -p buoy-dtls --example echo -- server 127.0.0.1:5684
//! cargo run -p buoy-dtls --example echo -- client 127.0.0.1:5684 psk buoy-1 secret-1 hello
//! cargo run -p buoy-dtls --example echo -- client 127.0.0.1:5684 rpk hello
//! ```
//!
//! The server knows every identity by the key `secret-1`, and takes every raw public key. Its own private key is 32 times
//! 0x01, and the client's 32 times 0x02. How a shell drives the crate is what this shows; a real one has random numbers
//! from the operating system, and waits in `poll` instead of by turns.
#![allow(clippy::std_instead_of_core, reason = "an example has std")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant as Clock};

use buoy_dtls::config::{
    Authority, ClientConfig, ClientCredentials, ConnectionIdUse, OwnKey, Psk, PskKey, ServerConfig,
    ServerTrust,
};
use buoy_dtls::crypto::RustCrypto;
use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
use buoy_dtls::resumption::TicketKeys;
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connection, Context, Datagram, Event, Peer, ServerEnvironment};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

type Failure = Box<dyn std::error::Error>;

struct Everybody;

impl Authority for Everybody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"secret-1")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

fn key(number: u8) -> Result<OwnKey, Failure> {
    OwnKey::raw_public_key::<RustCrypto>(&[number; 32]).ok_or_else(|| "no private key".into())
}

fn socket(address: &str) -> Result<UdpSocket, Failure> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}

/// Not for anything but examples: real ones come from the operating system.
fn random_numbers() -> ChaCha8Rng {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    ChaCha8Rng::seed_from_u64(elapsed.map_or(0, |elapsed| elapsed.as_nanos() as u64))
}

fn now(since: Clock) -> Instant {
    Instant::from_millis(since.elapsed().as_millis() as u64)
}

fn serve(address: &str) -> Result<(), Failure> {
    let socket = socket(address)?;
    let (started, mut rng) = (Clock::now(), random_numbers());
    let mut config = ServerConfig::default();
    config.own_key = Some(key(1)?);
    let tickets = TicketKeys::new(&mut rng, 86_400);
    let environment = ServerEnvironment { config: &config, authority: &Everybody, tickets: Some(&tickets) };
    let cids = CidFormat::new(&[0], 7).ok_or("too long")?;
    let mut endpoint = Endpoint::<SocketAddr>::new(Limits::default(), cids, &mut rng);
    println!("listening on {}", socket.local_addr()?);
    let mut buffer = [0; 2048];
    let mut out = [0; 2048];
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut datagram = Datagram::new(buffer.get_mut(..length).ok_or("too long")?);
            let mut context = Context::new(now(started), &mut rng);
            while let Some(received) = endpoint.receive(environment, &mut context, from, &mut datagram) {
                let (to, length) = endpoint.seal(received.handle, received.data, &mut out)?;
                socket.send_to(out.get(..length).ok_or("too long")?, to)?;
            }
        }
        endpoint.handle_timeout(now(started));
        while let Some(event) = endpoint.poll_event() {
            println!("{event:?}");
        }
        while let Some((to, length)) = endpoint.poll_transmit(&mut out) {
            socket.send_to(out.get(..length).ok_or("too long")?, to)?;
        }
    }
}

fn talk(server: &str, credentials: ClientCredentials, text: &str) -> Result<(), Failure> {
    let socket = socket("0.0.0.0:0")?;
    socket.connect(server)?;
    let (started, mut rng) = (Clock::now(), random_numbers());
    let mut config = ClientConfig::new(credentials);
    config.connection_id = ConnectionIdUse::Both(4);
    let mut connection: Connection<Client> =
        Connection::client(&config, &mut Context::new(now(started), &mut rng), None);
    let mut buffer = [0; 2048];
    let mut is_connected = false;
    loop {
        while let Some(length) = connection.poll_transmit(&mut buffer) {
            socket.send(buffer.get(..length).ok_or("too long")?)?;
        }
        if std::mem::take(&mut is_connected) {
            let length = connection.seal(text.as_bytes(), &mut buffer)?;
            socket.send(buffer.get(..length).ok_or("too long")?)?;
        }
        if let Ok(length) = socket.recv(&mut buffer) {
            let mut datagram = Datagram::new(buffer.get_mut(..length).ok_or("too long")?);
            let mut context = Context::new(now(started), &mut rng);
            if let Some(data) = connection.handle_datagram(&config, &mut context, &mut datagram) {
                println!("echo: {}", String::from_utf8_lossy(data));
                connection.close();
            }
        }
        connection.handle_timeout(now(started));
        while let Some(event) = connection.poll_event() {
            println!("{event:?}");
            is_connected |= matches!(event, Event::Connected(_));
        }
        if connection.is_closed() {
            return Ok(());
        }
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server", address] => serve(address),
        ["client", server, "psk", identity, secret, text] => {
            let psk = Psk::new(identity.as_bytes(), secret.as_bytes()).ok_or("no such key")?;
            talk(server, ClientCredentials::Psk(psk), text)
        }
        ["client", server, "rpk", text] => {
            let trust = ServerTrust::RawPublicKey(*key(1)?.public());
            talk(server, ClientCredentials::Certificate { own: key(2)?, server: trust }, text)
        }
        _ => Err("server ADDRESS | client ADDRESS psk IDENTITY SECRET TEXT | client ADDRESS rpk TEXT".into()),
    }
}
