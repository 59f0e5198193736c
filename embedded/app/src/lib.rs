//! The application of a device over a [`Board`]: network, LwM2M client, DTLS, firmware updates, settings in flash.
//!
//! One loop, without threads and without an executor (ADR 16): each turn takes what came in, has the engines do what is due, saves, sends,
//! and waits. What depends on the chip is behind [`Board`]; `docs/guide/src/port-a-board.md` lists what a new board brings.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod behaviour;
mod board;
mod check;
mod device;
mod download;
mod firmware;
mod http;
mod link;
mod network;
mod objects;
pub mod retained;
mod settings;
pub mod setup;
mod sntp;
mod store;
mod vault;

pub use board::{Board, Image};
pub use buoy_ota::image::ChipId;
pub use buoy_ota::slots::Slot;
pub use check::{Started, check};
pub use device::run;
pub use settings::setting;
