//! A simulation of server and devices for tests, without sockets, threads or real time.
//!
//! A [`World`] has a server shard and device engines on a [`Network`] that loses, repeats, delays and reorders datagrams as configured by its
//! [`Faults`]. All random numbers come from one seed, which a failing test prints. [`Server`] and [`Device`] are the shells: they store in memory
//! what the engines save, and send nothing before. A test that plays the other side itself uses only one of them.

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
