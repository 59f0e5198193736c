//! Buoy in one program: see `buoy help`.

mod certificates;
mod cli;
mod hex;
mod private_file;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
