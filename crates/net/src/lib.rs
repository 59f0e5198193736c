//! The shell around the engines: sockets, threads and clocks. No protocol logic.
//!
//! [`shard`] runs one server shard in a thread of its own, [`bootstrap`] the bootstrap server; [`secure`] puts DTLS between a socket
//! and its engine; [`supervision`] sees to it that no thread ends in silence; [`udp`] moves datagrams in batches; [`clock`] turns the system's time into the engines'.

pub mod bootstrap;
pub mod directory;
mod mailbox;
pub mod secure;
mod sessions;
pub mod shard;
pub mod supervision;
pub mod udp;

pub use buoy_time::clock;
