//! `buoy backup`: a copy of all state, while the server runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_store::Reader;

use buoy_services::data_folder::database;
use buoy_services::server::KEY_FILES;
use buoy_services::store_place::StorePlace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data folder of the server, which may be running.
    #[arg(long, env = "BUOY_DATA", value_name = "DIR", default_value = "buoy-data")]
    data: PathBuf,
    /// Where its state is, if not in the data folder: as in postgres://user:password@host/database. The copy is a file all the same.
    #[arg(long, env = "BUOY_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// A new folder for the copy, which has all keys in it: guard it like the first; `buoy serve --data` runs on it.
    #[arg(value_name = "FOLDER")]
    target: PathBuf,
}

/// Copies the database as it is at one instant, the firmware that it speaks of, and the keys: without them its secrets are lost.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let reader = StorePlace::named_or_in(args.store.as_deref(), &args.data).open_to_read()?;
    if args.target.exists() {
        bail!(
            "{} is there already, and a backup is not overwritten; name a new folder",
            args.target.display()
        );
    }
    copy_all(args, &*reader).inspect_err(|_| {
        // Half a backup is none, and would be in the way of the next.
        let _ = fs::remove_dir_all(&args.target);
    })?;
    println!("{}", args.target.display());
    Ok(())
}

fn copy_all(args: &Args, reader: &dyn Reader) -> anyhow::Result<()> {
    let firmware = args.target.join("firmware");
    buoy_services::private_file::create_folder(&firmware)
        .with_context(|| format!("{} cannot be made", firmware.display()))?;
    reader.backup(&database(&args.target))?;
    for image in reader.firmware()? {
        let source = args.data.join("firmware").join(&image.digest);
        if source.exists() {
            copy(&source, &firmware.join(&image.digest))?;
        } else {
            eprintln!(
                "the file of the image {} ({}) is missing, and so it is in the copy; upload it again",
                image.name,
                source.display()
            );
        }
    }
    for file in KEY_FILES {
        let source = args.data.join(file);
        if source.exists() {
            // With its permissions.
            copy(&source, &args.target.join(file))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}
