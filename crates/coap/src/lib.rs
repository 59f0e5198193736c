//! CoAP as sans-IO building blocks: the wire format, message exchange, block-wise transfer and observation.
//!
//! The crate uses no sockets, clocks or threads. The caller passes in datagrams and the time, and sends the datagrams that it gets back.
//! No allocator is needed; the feature `alloc` adds growable buffers for servers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]
#![warn(clippy::std_instead_of_core)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod block;
pub mod buffer;
pub mod endpoint;
pub mod number;
pub mod observe;
pub mod recent;
pub mod table;
pub mod wire;

pub use buoy_time as time;
