//! `buoy keyfile`: the key that seals the secrets of a data folder.

use std::path::PathBuf;

use clap::Subcommand;

use buoy_services::keyfile;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new key and seals every secret by it. The server must not run; a rotation that was interrupted is done again.
    Rotate {
        /// The data folder.
        #[arg(long, env = "BUOY_DATA", value_name = "DIR", default_value = "buoy-data")]
        data: PathBuf,
    },
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Command::Rotate { data } = &args.command;
    let count = keyfile::rotate(data)?;
    println!("a new key is in {}; secrets sealed by it: {count}", keyfile::path(data).display());
    Ok(())
}
