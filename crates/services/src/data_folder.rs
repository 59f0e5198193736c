//! The data folder of a server.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_store::sqlite::Sqlite;

/// The database in a data folder.
pub fn database(data: &Path) -> PathBuf {
    data.join("buoy.db")
}

/// Refuses an empty database file: it results from a full disk or a failed copy, and a new database in its place would hide the loss.
pub(crate) fn check_database(path: &Path) -> anyhow::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        bail!(
            "the database {} is empty, so its devices and keys are lost; put a backup in its place, or remove it to start anew",
            path.display()
        );
    }
    Ok(())
}

/// Opens the database, which only its owner may read, whatever the mode of its folder. SQLite gives the files beside it the same mode.
pub(crate) fn open_private(database: &Path) -> anyhow::Result<Sqlite> {
    let files = ["", "-wal", "-shm"].map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let [main, rest @ ..] = &files;
    let made = crate::private_file::create_empty(main)
        .and_then(|()| rest.iter().try_for_each(|file| crate::private_file::make_private(file)));
    made.with_context(|| format!("{} cannot be kept from others", database.display()))?;
    Ok(Sqlite::open(database)?)
}

/// Locks the data folder for one server: two servers would assign the same ids.
pub(crate) fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    let file =
        file.with_context(|| format!("{} cannot be written; choose another --data", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another `buoy serve` runs on the data folder {}; stop it, or choose another --data",
            data.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}
