//! The shell around the engines: sockets, threads and clocks. No protocol logic.
//!
//! [`shard`] runs one server shard in a thread of its own; [`udp`] moves datagrams in batches; [`clock`] turns the system's time
//! into the engines'.

pub mod clock;
pub mod directory;
pub mod shard;
pub mod udp;
