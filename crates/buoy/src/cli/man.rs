//! `buoy man`: the manual pages, made from the definitions of the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder, which is made if it is not there: as in /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes `buoy.1`, `buoy-ctl.1`, `buoy-ctl-read.1` and so on.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let written = clap_mangen::generate_to(super::Cli::command(), folder);
    written.with_context(|| format!("the pages cannot be written to {}", folder.display()))
}
