//! DTLS 1.2 (RFC 6347) with connection IDs (RFC 9146), as a sans-IO building block for chips and servers.
//!
//! Pre-shared keys, raw public keys and certificates; AES-128 in CCM-8 and GCM; extended master secret, resumption, and
//! sessions that can be saved and go on after a restart. Nothing here knows a socket, a clock or a thread. A shell passes
//! datagrams and the time in, and sends what comes out. Whatever the network brings, nothing panics and memory is bounded.
//!
//! # One association: [`Connection`]
//! 1. A client starts with [`Connection::client`]; a server's comes from [`cookie::Acceptor::accept`], which keeps nothing
//!    for strangers.
//! 2. Each datagram is wrapped in a [`Datagram`] and given to [`Connection::handle_datagram`] until that returns `None`. It
//!    decrypts in place and hands out application data as slices of the datagram's own buffer.
//! 3. After each call, [`Connection::poll_event`] and [`Connection::poll_transmit`] are drained. Flights go out before any
//!    data that the event "connected" leads to.
//! 4. When the time of [`Connection::next_timeout`] has come, [`Connection::handle_timeout`].
//! 5. Once connected, [`Connection::seal`] or [`Connection::seal_in_place`] write one record each, straight into the
//!    caller's buffer.
//!
//! The configuration is passed with each call, not kept: an established client connection is a few hundred bytes in line,
//! and touches no allocator. The handshake's state is boxed and freed when it is complete.
//!
//! # Many associations: [`endpoint::Endpoint`]
//! The server's side of one socket: finds sessions by connection ID or address, answers strangers by cookies, bounds
//! handshakes, moves sessions to new addresses. The order of calls is the same.
//!
//! # Sessions that outlive a restart: [`Connection::export`]
//! Sealed bytes, with sequence numbers reserved ahead so that no nonce is ever used twice. [`Reservation`] tells the
//! connection that they are safe.
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
//! `gcm`, `ecdhe`, `rpk` (raw public keys), `x509` (certificates), `server` (the endpoint), `std` (faster curves),
//! `aws-lc` (faster still, for servers). Without
//! any: a client or server with pre-shared keys and CCM-8.
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
