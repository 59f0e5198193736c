//! DTLS 1.2 (RFC 6347) with connection IDs (RFC 9146), as a sans-IO building block for chips and servers.
//!
//! It supports pre-shared keys, raw public keys and certificates; AES-128 in CCM-8 and GCM; extended master secret and resumption. Sessions
//! can be saved and continue after a restart. The crate uses no sockets, clocks or threads. The caller passes in datagrams and the time, and
//! sends the datagrams that it gets back. No input from the network causes a panic or unbounded use of memory.
//!
//! # One association: [`Connection`]
//! 1. A client starts with [`Connection::client`]. A server gets its connection from [`cookie::Acceptor::accept`], which stores nothing for a
//!    client before its address is verified.
//! 2. Wrap each datagram in a [`Datagram`] and pass it to [`Connection::handle_datagram`] until that returns `None`. The call decrypts
//!    in place and returns application data as slices of the datagram's buffer.
//! 3. After each call, drain [`Connection::poll_event`] and [`Connection::poll_transmit`]. Send flights before application data that is
//!    sent because of the event "connected".
//! 4. At the time that [`Connection::next_timeout`] returns, call [`Connection::handle_timeout`].
//! 5. Once the connection is established, [`Connection::seal`] and [`Connection::seal_in_place`] write one record each into the
//!    caller's buffer.
//!
//! The caller passes the configuration to each call; the connection doesn't store it. An established client connection has a few hundred
//! bytes and uses no allocator. The state of the handshake is boxed, and freed when the handshake is complete.
//!
//! # Many associations: [`endpoint::Endpoint`]
//! The server's side of one socket. It finds sessions by connection ID or address, answers unknown addresses with cookies, limits the number of
//! handshakes, and moves sessions to new addresses. The order of calls is the same.
//!
//! # Sessions that outlive a restart: [`Connection::export`]
//! An export is encrypted, and reserves sequence numbers in advance, so that no nonce is used twice. When the export is stored durably, pass
//! its [`Reservation`] to the connection.
//!
//! # A client that stays connected: [`tunnel::Tunnel`]
//! Starts handshakes when something is to be sent, looks for a new session when the old one stays silent, and goes on with the old one if that
//! answers after all.
//!
//! # Both together, without a network
//! ```
//! use buoy_dtls::config::{Authority, ClientConfig, ClientCredentials, Psk, PskKey, ServerConfig};
//! use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
//! use buoy_dtls::time::Instant;
//! use buoy_dtls::{Client, Connection, Context, Datagram, Peer, ServerEnvironment};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//!
//! struct Fleet;
//!
//! impl Authority for Fleet {
//!     fn psk(&self, identity: &[u8]) -> Option<PskKey> {
//!         (identity == b"buoy-1").then(|| PskKey::new(b"its secret"))?
//!     }
//!
//!     fn admits(&self, _: &Peer) -> bool {
//!         true
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rng = ChaCha8Rng::seed_from_u64(1);
//! let now = Instant::ZERO;
//! let address: std::net::SocketAddr = "192.0.2.1:40000".parse()?;
//!
//! let config = ServerConfig::default();
//! let server = ServerEnvironment { config: &config, authority: &Fleet, tickets: None };
//! let cids = CidFormat::new(&[0], 7).ok_or("too long")?;
//! let mut endpoint = Endpoint::<std::net::SocketAddr>::new(Limits::default(), cids, &mut rng);
//!
//! let psk = Psk::new(b"buoy-1", b"its secret").ok_or("too long")?;
//! let config = ClientConfig::new(ClientCredentials::Psk(psk));
//! let mut client: Connection<Client> = Connection::client(&config, &mut Context::new(now, &mut rng), None);
//!
//! let mut buffer = [0; 1500];
//! while !client.is_established() {
//!     while let Some(length) = client.poll_transmit(&mut buffer) {
//!         let mut context = Context::new(now, &mut rng);
//!         let mut datagram = Datagram::new(&mut buffer[..length]);
//!         while endpoint.receive(server, &mut context, address, &mut datagram).is_some() {}
//!     }
//!     while let Some((_to, length)) = endpoint.poll_transmit(&mut buffer) {
//!         let mut context = Context::new(now, &mut rng);
//!         let mut datagram = Datagram::new(&mut buffer[..length]);
//!         while client.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
//!     }
//! }
//!
//! let length = client.seal(b"hello", &mut buffer)?;
//! let mut context = Context::new(now, &mut rng);
//! let mut datagram = Datagram::new(&mut buffer[..length]);
//! let received = endpoint.receive(server, &mut context, address, &mut datagram).ok_or("nothing came")?;
//! assert_eq!(received.data, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! `gcm`, `ecdhe`, `rpk` (raw public keys), `x509` (certificates), `server` (the endpoint), `std` (faster elliptic curves) and
//! `aws-lc` (still faster, for servers). Without features the crate has a client and a server with pre-shared keys and CCM-8.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]
#![warn(clippy::std_instead_of_core)]
#![cfg_attr(
    not(feature = "server"),
    allow(rustdoc::broken_intra_doc_links, reason = "the endpoint is left out")
)]

extern crate alloc;

pub mod alert;
pub mod cid;
pub mod config;
pub mod connection;
pub mod context;
pub mod cookie;
pub mod crypto;
#[cfg(feature = "server")]
pub mod endpoint;
pub mod failure;
mod handshake;
pub mod peer;
mod record;
pub mod resumption;
mod session;
pub mod suite;
pub mod tunnel;
mod wire;
#[cfg(feature = "x509")]
pub mod x509;

pub use buoy_time as time;

pub use connection::{Connected, Connection, Event};
pub use context::Context;
pub use failure::Failure;
pub use handshake::Role;
pub use handshake::client::Client;
pub use handshake::server::{Server, ServerEnvironment};
pub use peer::Peer;
pub use record::Datagram;
pub use session::SealError;
pub use session::export::{Export, ExportKey, ImportError, Reservation, Reserve};
