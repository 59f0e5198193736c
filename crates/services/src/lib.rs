//! The commands of an operator of a Buoy server, and the engines, journal and event log that run behind them.
//!
//! The faces (HTTP, page, command line) reach the engines only through this crate. It contains no HTTP, command line or SQL. [`server`] starts the
//! server in stages; [`app`] is the handle that a face uses.

#![forbid(unsafe_code)]

pub use buoy_server::{Body, Counters};
pub use buoy_store::StoreError;

pub mod access;
pub mod accounts;
pub mod alerts;
pub mod app;
pub mod audit;
pub mod bootstrap;
pub mod campaigns;
pub mod certificates;
pub mod changes;
pub mod coap_words;
pub mod credentials;
pub mod data_folder;
pub mod desired;
pub mod devices;
mod documents;
pub mod downloads;
mod edits;
pub mod event_log;
pub mod event_words;
pub mod export;
pub mod failures;
pub mod firmware;
pub mod groups;
pub mod happenings;
pub mod hex;
pub mod hub;
pub mod idempotency;
pub mod identity;
mod incidents;
pub mod inventory;
pub mod jobs;
pub mod journal;
pub mod keyfile;
mod keys_in_use;
pub mod listen;
mod log_limit;
pub mod moments;
pub mod notice;
mod notices;
pub mod object_definitions;
pub mod operations;
pub mod path_values;
mod permits;
pub mod principal;
pub mod private_file;
mod quota;
pub mod records;
pub mod refusals;
pub mod registration_details;
pub mod request;
pub mod revision;
mod security;
pub mod server;
pub mod store_place;
pub mod traces;
pub mod updates;
pub mod values;
pub mod why;
