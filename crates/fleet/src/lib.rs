//! What is done with many devices over a long time.
//!
//! [`updates`] has all open firmware updates of a server, and [`interest`] says whose events they may want; [`update`] is that of one device, from the first question to the confirmation
//! after its reboot; [`verdict`] is the table of what a device's words mean. Sans-IO: events and the time go in, records and operations
//! come out.
#![forbid(unsafe_code)]

pub mod interest;
pub mod update;
pub mod updates;
pub mod verdict;
pub mod version;
