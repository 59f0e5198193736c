//! `buoy restore`: a new data folder from a backup.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_services::data_folder::database;
use buoy_services::hex;
use buoy_services::server::KEY_FILES;
use buoy_services::store_place::StorePlace;
use sha2::{Digest, Sha256};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder that `buoy backup` made.
    #[arg(value_name = "BACKUP")]
    source: PathBuf,
    /// The data folder, which must not be there yet, or be empty.
    #[arg(long, env = "BUOY_DATA", value_name = "DIR", default_value = "buoy-data")]
    data: PathBuf,
    /// Looks whether the backup is whole, and restores nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Checks a backup, and copies it to where a server finds it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let images = check(&args.source)?;
    if args.dry_run {
        println!("{} is whole: a database and {images} images", args.source.display());
        return Ok(());
    }
    let is_free = fs::read_dir(&args.data).map_or(true, |mut entries| entries.next().is_none());
    if !is_free {
        bail!(
            "{} is not empty, and nothing is restored over what is there; move it away, or name another --data",
            args.data.display()
        );
    }
    copy_all(&args.source, &args.data).inspect_err(|_| {
        // Half a data folder is none. It was empty before.
        let _ = fs::remove_dir_all(&args.data);
    })?;
    println!("{} is restored; start it by `buoy serve --data {0}`", args.data.display());
    Ok(())
}

/// The number of images of a backup that can be read in all its parts.
fn check(source: &Path) -> anyhow::Result<usize> {
    let place = StorePlace::Folder(source.to_owned());
    let reader = place.open_to_read().with_context(|| format!("{} is no backup", source.display()))?;
    // Reads each entry, so that a page that is damaged is found now.
    let mut entries = 0_u64;
    reader.audit_chain(&mut |_, _| entries += 1)?;
    reader.devices(&mut |_| entries += 1)?;
    reader.each_credential(&mut |_| entries += 1)?;
    let images = reader.firmware()?;
    for image in &images {
        let path = source.join("firmware").join(&image.digest);
        // `buoy backup` has told of a file that was missing then.
        let Ok(bytes) = fs::read(&path) else {
            eprintln!("the image {} is not in the backup; upload it again", image.name);
            continue;
        };
        if hex::encode(&Sha256::digest(&bytes)) != image.digest {
            bail!("{} is damaged: it is not what its name says; take another backup", path.display());
        }
    }
    Ok(images.len())
}

fn copy_all(source: &Path, data: &Path) -> anyhow::Result<()> {
    let firmware = data.join("firmware");
    buoy_services::private_file::create_folder(&firmware)
        .with_context(|| format!("{} cannot be made", firmware.display()))?;
    // The database is copied by its own means: a backup that was looked into may have a journal beside it.
    let reader = StorePlace::Folder(source.to_owned()).open_to_read()?;
    reader.backup(&database(data))?;
    for image in reader.firmware()? {
        let file = source.join("firmware").join(&image.digest);
        if file.exists() {
            copy(&file, &firmware.join(&image.digest))?;
        }
    }
    for file in KEY_FILES {
        let key = source.join(file);
        if key.exists() {
            // With its permissions.
            copy(&key, &data.join(file))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}
