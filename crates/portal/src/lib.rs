//! A captive portal without I/O: what a device that knows no network yet says to the phone of the person who sets it up.
//!
//! The device is an access point. A phone that joins gets its address from [`dhcp`], asks for names and hears one answer from [`dns`], and is
//! led to [`page`] by redirections, which phones follow by themselves when they look for a way to the Internet. The page is a form without
//! scripts. [`setup`] reads what was sent, and gives the lines of settings that a device has (`docs/guide/src/esp32.md`).
//!
//! Everything here takes bytes from strangers: it is bounded, allocates nothing, and can't panic. A request that is too long is refused before
//! the rest of it is read.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

pub mod dhcp;
pub mod dns;
pub mod form;
pub mod http;
pub mod page;
pub mod setup;
pub mod text;
