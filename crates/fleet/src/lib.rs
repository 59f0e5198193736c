//! Firmware updates of many devices, as a sans-IO engine: events and the time go in, records and operations come out.
//!
//! [`filter`] says which devices are meant. [`alerts`] says when what holds of devices is told to whom. [`campaign`] brings a release to many devices, wave by wave, and [`rehearsal`] plays it before on simulated ones; [`compatibility`] says whether an image is for a device; [`job`] gives one command to many; [`desired`] keeps resources as operators want them. [`updates`] runs all open firmware updates of a server; [`interest`] says for which devices they may need events. [`update`] is the
//! update of one device, from the first request to the confirmation after its reboot. [`verdict`] is the table that derives the end of an
//! update from the device's answers. [`habit`] learns when a device comes.
#![forbid(unsafe_code)]

pub mod alerts;
pub mod campaign;
pub mod compatibility;
pub mod desired;
pub mod filter;
pub mod habit;
pub mod interest;
pub mod job;
pub mod rehearsal;
pub mod update;
pub mod updates;
pub mod verdict;
pub mod version;
