//! Engines in a world of their own, for tests: no sockets, no threads, no real time.
//!
//! A [`World`] is a server shard and device engines on a [`Network`] that loses, repeats, delays and reorders as its
//! [`Faults`] say. Everything random comes from one seed, which a failing test shows. [`Server`] and [`Device`] are the
//! shells: they keep what the engines want kept, in memory, and send nothing before. A test that scripts the other side by
//! hand uses one of them alone.

mod bootstrap;
mod device;
mod message;
mod network;
mod objects;
mod server;
mod world;

pub use bootstrap::{BootstrapServer, one_server, unsecured, wanting};
pub use device::{Device, Memory, Sent, SimClient, Simulated};
pub use message::{Datagram, message};
pub use network::{Faults, Network, Packet};
pub use objects::{Container, Counter, Objects, Shelf};
pub use server::{Server, Store};
pub use world::{BOOTSTRAP_ADDRESS, DEVICE, Exchange, ONLY_SERVER, SERVER_ADDRESS, World};
