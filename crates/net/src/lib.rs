//! The sockets, threads and clocks that run the engines. No protocol logic.
//!
//! [`shard`] runs a server shard in a thread, [`bootstrap`] the bootstrap server. [`secure`] puts DTLS between a socket and its engine.
//! [`supervision`] reports a thread that fails. [`udp`] sends and receives datagrams in batches. [`clock`] converts the system's time to the
//! time of the engines.

pub mod bootstrap;
pub mod directory;
pub mod handshake_failures;
mod homes;
mod mailbox;
pub mod secure;
mod sessions;
pub mod shard;
pub mod supervision;
pub mod udp;

pub use buoy_time::clock;
