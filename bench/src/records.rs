//! Protecting one record after another, in one thread: Buoy's providers, and OpenSSL's library by its own benchmark.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use buoy_dtls::config::{Authority, ClientConfig, ClientCredentials, Psk, PskKey, ServerConfig};
use buoy_dtls::crypto::{AwsLc, Provider, RustCrypto};
use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Client, Connection, Context, Datagram, Peer, ServerEnvironment};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// Bytes of a payload.
const PAYLOAD: usize = 200;
/// An address, since an endpoint wants one.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const RECORDS: u32 = 4_000_000;

/// Records a second.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) aws_lc: f64,
    pub(crate) rust_crypto: f64,
    /// The cipher alone, without records around it.
    pub(crate) openssl: f64,
}

pub(crate) fn measure() -> Result<Rates> {
    Ok(Rates { aws_lc: seal::<AwsLc>()?, rust_crypto: seal::<RustCrypto>()?, openssl: openssl()? })
}

struct Shared;

impl Authority for Shared {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(&[7; 16])
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

/// A session's records a second, with everything that a record takes: sequence number, header, nonce, tag.
fn seal<P: Provider>() -> Result<f64> {
    let mut connection = established::<P>()?;
    let mut buffer = [0; 512];
    let payload = [0x42; PAYLOAD];
    let started = Instant::now();
    for _ in 0..RECORDS {
        let length = connection.seal(&payload, &mut buffer);
        ensure!(length.is_ok_and(|length| length > PAYLOAD), "a record could not be made");
    }
    Ok(f64::from(RECORDS) / started.elapsed().as_secs_f64())
}

fn established<P: Provider>() -> Result<Connection<Client, P>> {
    let mut rng = ChaCha12Rng::from_seed([4; 32]);
    let psk = Psk::new(b"bench", &[7; 16]).context("no PSK")?;
    let mut config = ClientConfig::new(ClientCredentials::Psk(psk));
    config.suites = [CipherSuite::PskAes128Ccm8].into();
    let server_config = ServerConfig::default();
    let environment = ServerEnvironment { config: &server_config, authority: &Shared, tickets: None };
    let now = buoy_dtls::time::Instant::ZERO;
    let mut server = Endpoint::<SocketAddr, P>::new(Limits::default(), CidFormat::NONE, &mut rng);
    let mut client = Connection::client(&config, &mut Context::new(now, &mut rng), None);
    let mut buffer = [0; 1500];
    let deadline = Instant::now() + Duration::from_secs(5);
    while !client.is_established() {
        ensure!(Instant::now() < deadline, "there was no handshake");
        while let Some(length) = client.poll_transmit(&mut buffer) {
            let mut context = Context::new(now, &mut rng);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while server.receive(environment, &mut context, SERVER, &mut datagram).is_some() {}
        }
        while let Some((_, length)) = server.poll_transmit(&mut buffer) {
            let mut context = Context::new(now, &mut rng);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while client.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
        }
    }
    Ok(client)
}

/// `openssl speed` tells kilobytes a second.
fn openssl() -> Result<f64> {
    let output = Command::new("openssl")
        .args(["speed", "-elapsed", "-evp", "aes-128-ccm", "-aead", "-seconds", "3", "-bytes"])
        .arg(PAYLOAD.to_string())
        .output()
        .context("openssl does not start")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().find(|line| line.starts_with("AES-128-CCM")).context("openssl speed says nothing")?;
    let number =
        line.split_whitespace().last().and_then(|word| word.strip_suffix('k')).context("no number")?;
    Ok(number.parse::<f64>()? * 1000.0 / PAYLOAD as f64)
}
