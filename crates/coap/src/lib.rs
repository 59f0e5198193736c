//! CoAP as sans-IO building blocks: the wire format, message exchange, block-wise transfer and observation.
//!
//! Nothing here knows a socket, a clock or a thread. A shell passes datagrams and the time in, and sends what comes
//! out. Nothing needs an allocator; the `alloc` feature adds growable buffers for servers.
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
pub mod table;
pub mod wire;

pub use buoy_time as time;
