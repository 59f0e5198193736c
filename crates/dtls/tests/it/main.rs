//! Clients and servers over a simulated network, and against OpenSSL.
#![allow(clippy::std_instead_of_core, reason = "tests have std")]
#![allow(unreachable_pub, reason = "one binary")]

mod allocation;
mod certificates;
mod endpoint;
mod openssl;
mod persistence;
mod psk;
mod public_keys;
mod records;
mod resumption;
mod world;
