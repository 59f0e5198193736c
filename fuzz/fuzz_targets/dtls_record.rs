//! Datagrams to an established session whose seals can be forged: every record is opened, and what is in it comes from a stranger.
#![no_main]

use arbitrary::Arbitrary;
use buoy_dtls::config::{
    Authority, ClientConfig, ClientCredentials, ConnectionIdUse, Psk, PskKey, ServerConfig,
};
use buoy_dtls::crypto::insecure::Insecure;
use buoy_dtls::endpoint::{Address, CidFormat, Endpoint, Limits};
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connection, Context, Datagram, Peer, ServerEnvironment};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[derive(Arbitrary, Debug)]
enum Step {
    /// Bytes as they come.
    Raw { to_server: bool, from: u8, bytes: Vec<u8> },
    /// A record that is whole but for what it says.
    Record { to_server: bool, from: u8, content: u8, epoch: bool, sequence: u16, body: Vec<u8> },
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
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"key")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

const CID: [u8; 4] = [7; 4];

fn record(content: u8, epoch: bool, sequence: u16, cid: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![content, 0xfe, 0xfd, 0, u8::from(epoch), 0, 0, 0, 0];
    bytes.extend(sequence.to_be_bytes());
    if content == 25 {
        bytes.extend(cid);
    }
    // A nonce in front, a tag behind.
    let length = u16::try_from(body.len() + 16).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes.extend([0; 8]);
    bytes
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (cid_length, steps) = input;
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let now = Instant::ZERO;
    let Some(psk) = Psk::new(b"identity", b"key") else { return };
    let mut config = ClientConfig::new(ClientCredentials::Psk(psk));
    config.connection_id = ConnectionIdUse::Both(cid_length % 33);
    let server_config = ServerConfig::default();
    let environment = ServerEnvironment { config: &server_config, authority: &Everybody, tickets: None };
    let Some(format) = CidFormat::new(&CID, 0) else { return };
    let mut endpoint = Endpoint::<From, Insecure>::new(Limits::default(), format, &mut rng);
    let mut client = Connection::<Client, Insecure>::client(&config, &mut Context::new(now, &mut rng), None);
    let mut out = [0; 2048];
    while !client.is_established() {
        while let Some(length) = client.poll_transmit(&mut out) {
            let mut context = Context::new(now, &mut rng);
            endpoint.receive(environment, &mut context, From(0), &mut Datagram::new(&mut out[..length]));
        }
        while let Some((_, length)) = endpoint.poll_transmit(&mut out) {
            let mut context = Context::new(now, &mut rng);
            client.handle_datagram(&config, &mut context, &mut Datagram::new(&mut out[..length]));
        }
    }
    for step in steps.into_iter().take(100) {
        let (to_server, from, mut bytes) = match step {
            Step::Raw { to_server, from, bytes } => (to_server, from, bytes),
            Step::Record { to_server, from, content, epoch, sequence, body } => {
                (to_server, from, record(content, epoch, sequence, &CID, &body))
            }
        };
        let mut context = Context::new(now, &mut rng);
        let mut datagram = Datagram::new(&mut bytes);
        if to_server {
            while endpoint.receive(environment, &mut context, From(from), &mut datagram).is_some() {}
        } else {
            while client.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
        }
        while endpoint.poll_event().is_some() {}
        while client.poll_event().is_some() {}
        while endpoint.poll_transmit(&mut out).is_some() {}
        while client.poll_transmit(&mut out).is_some() {}
        // Strangers get answers, not memory: there is the one session, or none any more.
        assert!(endpoint.len() <= 1);
    }
});
