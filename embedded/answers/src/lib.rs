//! What the engines answer to fixed questions, as lines of text.
//!
//! Cryptography is held against published vectors. Whole conversations that follow from a seed are told by their digests: they are the same on
//! a PC of 64 bits and on a chip of 32.
#![no_std]
#![forbid(unsafe_code)]

use core::convert::Infallible;
use core::fmt::{self, Write};
use core::net::SocketAddr;

use buoy_client::objects::{Device, LightControl, Temperature, Time};
use buoy_client::time::Instant;
use buoy_client::{Client, ClientConfig, Object, Security, Sensor, Server, ServerSlot, Storage};
use buoy_dtls::config::{Authority, ClientConfig as Dtls, ClientCredentials, Psk, PskKey, ServerConfig};
use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
use buoy_dtls::{Client as DtlsClient, Connection, Context, Datagram, Peer, ServerEnvironment};
use buoy_ota::image::Digest as ImageDigest;
use buoy_ota::signature::PublicKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// Writes all answers. The last line is `end`.
///
/// # Errors
/// `out` fails.
pub fn write(out: &mut impl Write) -> fmt::Result {
    writeln!(out, "sha-256: {}", ImageDigest::of(b"abc"))?;
    writeln!(out, "p-256: {}", verdict(p256()))?;
    writeln!(out, "p-256, another message: {}", verdict(p256_of_another_message()))?;
    writeln!(out, "ed25519: {}", verdict(ed25519()))?;
    writeln!(out, "dtls: {}", Told(dtls()))?;
    writeln!(out, "client: {}", Told(client()))?;
    writeln!(out, "end")
}

/// A conversation's digest, or that it failed.
struct Told(Option<[u8; 32]>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            None => f.write_str("failed"),
        }
    }
}

const fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

/// RFC 6979, appendix A.2.5: curve P-256 with SHA-256.
const P256_KEY: &str = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const P256_SIGNATURE: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
    f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
/// RFC 8032, section 7.1, test 2.
const ED25519_KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const ED25519_SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

fn bytes<const N: usize>(digits: &str) -> [u8; N] {
    let mut digits = digits.chars().filter_map(|digit| digit.to_digit(16));
    core::array::from_fn(|_| {
        (digits.next().unwrap_or_default() << 4 | digits.next().unwrap_or_default()) as u8
    })
}

fn p256_key() -> PublicKey {
    let mut point = [4; 65];
    point[1..].copy_from_slice(&bytes::<64>(P256_KEY));
    PublicKey::P256(point)
}

fn p256() -> bool {
    p256_key().verify_message(b"sample", &bytes::<64>(P256_SIGNATURE)).is_ok()
}

fn p256_of_another_message() -> bool {
    p256_key().verify_message(b"simple", &bytes::<64>(P256_SIGNATURE)).is_ok()
}

fn ed25519() -> bool {
    PublicKey::Ed25519(bytes(ED25519_KEY)).verify_message(&[0x72], &bytes::<64>(ED25519_SIGNATURE)).is_ok()
}

struct Fleet;

impl Authority for Fleet {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        (identity == b"buoy-1").then(|| PskKey::new(b"its secret"))?
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

/// A handshake and one record, from a seed: all datagrams.
fn dtls() -> Option<[u8; 32]> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let now = Instant::ZERO;
    let address = SocketAddr::from(([192, 0, 2, 1], 5684));
    let config = ServerConfig::default();
    let server = ServerEnvironment { config: &config, authority: &Fleet, tickets: None };
    let mut endpoint = Endpoint::<SocketAddr>::new(Limits::default(), CidFormat::new(&[0], 7)?, &mut rng);
    let config = Dtls::new(ClientCredentials::Psk(Psk::new(b"buoy-1", b"its secret")?));
    let mut client: Connection<DtlsClient> =
        Connection::client(&config, &mut Context::new(now, &mut rng), None);
    let mut transcript = Sha256::new();
    let mut buffer = [0; 1500];
    for _ in 0..10 {
        while let Some(length) = client.poll_transmit(&mut buffer) {
            transcript.update(&buffer[..length]);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while endpoint.receive(server, &mut Context::new(now, &mut rng), address, &mut datagram).is_some()
            {
            }
        }
        while let Some((_, length)) = endpoint.poll_transmit(&mut buffer) {
            transcript.update(&buffer[..length]);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while client.handle_datagram(&config, &mut Context::new(now, &mut rng), &mut datagram).is_some() {
            }
        }
    }
    let length = client.seal(b"hello", &mut buffer).ok()?;
    transcript.update(&buffer[..length]);
    Some(transcript.finalize().into())
}

/// A Register, and the answers to some requests: their bytes.
fn client() -> Option<[u8; 32]> {
    let mut client =
        Client::<ChaCha8Rng, Sensor>::new(ClientConfig::new("buoy-1").ok()?, ChaCha8Rng::seed_from_u64(2));
    client.add_server(Security::none("coap://192.0.2.1").ok()?, Server::new(1, 300)).ok()?;
    let mut device = Device::new("Buoy", "Chip", "1", "1.0.0");
    let (mut light, mut time) = (LightControl::<1>::new(), Time::new());
    let mut temperature = Temperature::<1>::new(-17.25, Some((-40.0, 85.0)));
    let objects: &mut [&mut dyn Object] = &mut [&mut device, &mut light, &mut temperature, &mut time];
    let now = Instant::from_millis(1000);
    client.set_utc(now, 1_700_000_000);
    client.start(now, objects);
    let mut transcript = Sha256::new();
    let mut buffer = [0; 1280];
    let length = client.poll_transmit(now, objects, &mut buffer)?.length;
    transcript.update(&buffer[..length]);
    // 2.01 Created with Location-Path rd/1, to the Register's message id and token.
    let register = buffer.get(..length)?;
    let token = register.get(4..4 + usize::from(register.first()? & 0xF))?;
    let mut created = [0; 32];
    created[..4].copy_from_slice(&[0x60 | token.len() as u8, 0x41, register[2], register[3]]);
    let end = 4 + token.len();
    created[4..end].copy_from_slice(token);
    created[end..end + 5].copy_from_slice(&[0x82, b'r', b'd', 0x01, b'1']);
    let mut out = [0; 1280];
    client.handle_datagram(now, ServerSlot(0), &created[..end + 5], objects, &mut out);
    client.persist(objects, &mut Nowhere).ok()?;
    // GET of objects 3 and 3303 in TLV and SenML CBOR, of a value as text, and a Write of a light.
    for (id, request) in (1..).zip([
        &[0xB1, b'3', 0x62, 0x2D, 0x16][..],
        &[0xB4, b'3', b'3', b'0', b'3', 0x61, 0x70],
        &[0xB4, b'3', b'3', b'0', b'3', 0x01, b'0', 0x04, b'5', b'7', b'0', b'0', 0x60],
    ]) {
        let mut message = [0; 32];
        message[..5].copy_from_slice(&[0x41, 0x01, 0, id, id]);
        message[5..5 + request.len()].copy_from_slice(request);
        let length =
            client.handle_datagram(now, ServerSlot(0), &message[..5 + request.len()], objects, &mut out);
        transcript.update(&out[..length]);
    }
    Some(transcript.finalize().into())
}

/// Nothing has to survive here.
struct Nowhere;

impl Storage for Nowhere {
    type Error = Infallible;

    fn load(&mut self, _: u16, _: &mut [u8]) -> Result<Option<usize>, Infallible> {
        Ok(None)
    }

    fn save(&mut self, _: u16, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
