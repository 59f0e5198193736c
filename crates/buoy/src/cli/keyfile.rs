//! `buoy keyfile`: the key that seals the secrets of a data folder.

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;

use buoy_services::keyfile;
use buoy_services::store_place::StorePlace;

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
        /// Where the state is, if not in the data folder: as in postgres://user:password@host/database
        #[arg(long, env = "BUOY_STORE", value_name = "URL", hide_env_values = true)]
        store: Option<String>,
    },
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Command::Rotate { data, store } = &args.command;
    if !data.is_dir() {
        bail!("there is no data folder {}; name that of the server with --data", data.display());
    }
    let count = keyfile::rotate(data, &StorePlace::named_or_in(store.as_deref(), data))?;
    println!("a new key is in {}; secrets sealed by it: {count}", keyfile::path(data).display());
    Ok(())
}
