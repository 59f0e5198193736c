//! The program `buoy`; see `buoy help`.

mod cli;
mod server;

use std::process::ExitCode;

/// What one thread allocates another frees here, all the time: shards, journal and interfaces hand work on. jemalloc keeps what was freed with
/// the thread that freed it, and takes a lock once for many.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
