//! What is done with many devices over a long time.
//!
//! [`update`] is the firmware update of one device, from the first question to the confirmation after its reboot. Sans-IO: events
//! and the time go in, actions and records come out.
#![forbid(unsafe_code)]

pub mod update;
