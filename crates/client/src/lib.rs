//! The device's side of LwM2M 1.0 to 1.2 as a sans-IO engine: the same code on a PC, in a simulator and on a chip.
//!
//! A [`Client`] registers at its servers and keeps the registrations alive, answers every operation, and notifies. It knows
//! no sockets, no clock, no threads and no allocator; how much memory it has is its [`Shape`]. Objects plug in by the
//! [`Object`] trait; those that fleets use are in [`objects`] and [`firmware`]. The shell has one socket for each server, and
//!
//! 1. gives each datagram to [`Client::handle_datagram`], stores what [`Client::persist`] saves, and then sends what was
//!    answered;
//! 2. calls [`Client::handle_timeout`] when the time of [`Client::poll_timeout`] has come;
//! 3. after each of these, sends what [`Client::poll_transmit`] gives and does what [`Client::poll_event`] says, until
//!    neither has more.
//!
//! Features, all on by default; what is off takes neither flash nor memory:
//!
//! - `engine`, all of these: `bootstrap`, `access-control` (object 2, for devices with several servers; without it each may do everything),
//!   `composite` (operations on several paths), `lwm2m-1-2` (without it a device registers with 1.1 at the most), `tls-settings` (resources 13 to 16 of
//!   object 0), `tlv` (without which there is no LwM2M 1.0);
//! - `json` (SenML JSON and the JSON of LwM2M 1.0) and `lwm2m-cbor` (the CBOR of LwM2M 1.2). SenML CBOR, CBOR, text and opaque are always there;
//! - `words` (what a refusal says besides its code);
//! - `ed25519` and `rsa4096` (these signatures of firmware) and `fast-p256` (ECDSA by the crate `p256`, faster and larger). Signatures by ECDSA
//!   P-256 are always there.
//!
//! How long the memory for each thing is says the [`Shape`]: a device with `Kept = UpTo<0>` has no code for notifications that are kept while there is
//! no network. What a device takes of flash also depends on flags that a library can't set: `embedded/.cargo/config.toml` of the repository has them. On a chip
//! a client is made where it stays, by [`Client::new_in`].
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]
#![warn(clippy::std_instead_of_core)]

pub mod access;
pub mod accounts;
mod client;
mod effects;
mod features;
pub mod firmware;
pub mod object;
pub mod objects;
mod record;
pub mod shape;
mod staging;
pub mod storage;
pub mod text;
mod tree;

pub use buoy_coap::time;
pub use buoy_lwm2m::path::Path;

pub use accounts::{Security, SecurityMode, Server, TlsSettings};
pub use client::{
    Client, ClientConfig, ConfigError, ENDPOINT_MAX, RecordError, RegistrationLocation, SendRefused, Transmit,
};
pub use effects::{BootstrapFailure, Event, RebootReason, RegistrationFailure, ServerSlot};
pub use object::{Context, Object};
pub use shape::{Chip, Host, Sensor, Shape, UpTo};
pub use storage::Storage;
