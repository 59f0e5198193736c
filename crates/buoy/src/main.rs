//! Buoy in one program: see `buoy help`.

mod cli;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
