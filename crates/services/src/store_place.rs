//! The place of a server's store: a file in its data folder, or a PostgreSQL database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use buoy_store::postgres::{Postgres, without_password};
use buoy_store::sqlite::Sqlite;
use buoy_store::{Moved, MovedTo, Reader, Rows, Store, first_with_rows, move_all};

use crate::data_folder::{check_database, database, lock, open_private};

/// The place of a server's store.
#[derive(Clone)]
pub enum StorePlace {
    /// The SQLite file in this folder.
    Folder(PathBuf),
    /// The PostgreSQL database of this URL.
    Postgres(Url),
}

/// The URL of a database, which may contain a password.
#[derive(Clone)]
pub struct Url(String);

impl StorePlace {
    /// Parses an operator's text: a URL or a folder.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                Self::Postgres(Url(text.to_owned()))
            }
            folder => Self::Folder(folder.into()),
        }
    }

    /// The place that an operator named, or else the file in the data folder.
    #[must_use]
    pub fn named_or_in(named: Option<&str>, data: &Path) -> Self {
        named.map_or_else(|| Self::Folder(data.to_owned()), Self::parse)
    }

    /// Opens the store, creates it if it doesn't exist, and migrates its schema.
    ///
    /// # Errors
    /// If it can't be opened, or was moved.
    pub fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        let store = self.open_whatever_became_of_it()?;
        self.check_is_not_moved(&*store.reader()?)?;
        Ok(store)
    }

    fn open_whatever_became_of_it(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Folder(folder) => {
                check_database(&database(folder))?;
                Arc::new(open_private(&database(folder))?)
            }
            Self::Postgres(Url(url)) => Arc::new(Postgres::open(url)?),
        })
    }

    /// Opens an existing store for reading; a server may be using it.
    ///
    /// # Errors
    /// If it doesn't exist, has another schema version, or was moved.
    pub fn open_to_read(&self) -> anyhow::Result<Box<dyn Reader>> {
        self.check_is_there()?;
        let reader: Box<dyn Reader> = match self {
            Self::Folder(folder) => Box::new(Sqlite::open_to_read(&database(folder))?),
            Self::Postgres(Url(url)) => Box::new(Postgres::open_to_read(url)?),
        };
        self.check_is_not_moved(&*reader)?;
        Ok(reader)
    }

    /// Whoever goes on with what was left behind goes back in time, without knowing it: a server, and no less a backup that is made each
    /// night.
    fn check_is_not_moved(&self, reader: &dyn Reader) -> anyhow::Result<()> {
        let Some(MovedTo { target, at }) = reader.moved()? else { return Ok(()) };
        let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let at = at.unwrap_or_default().strftime("%F %T UTC");
        bail!(
            "the state of {self} was moved to {target} at {at}; name that with --store. To go on with what was left here, without all that \
             has happened since, run `buoy move-store --undo` on it first"
        )
    }

    /// Migrates the schema. No server may be using the store.
    ///
    /// # Errors
    /// If a server uses it, or it can't be opened.
    pub fn migrate(&self) -> anyhow::Result<()> {
        self.check_is_there()?;
        let _lock = self.lock()?;
        self.open().map(drop)
    }

    /// Checks that a folder has a database. A PostgreSQL database may be empty.
    pub(crate) fn check_is_there(&self) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) if !database(folder).exists() => {
                bail!("there is no database in {}; name the server's folder", folder.display())
            }
            _ => Ok(()),
        }
    }

    /// Ensures that no server uses the store. PostgreSQL's own lock does that.
    fn lock(&self) -> anyhow::Result<Option<std::fs::File>> {
        match self {
            Self::Folder(folder) => lock(folder).map(Some),
            Self::Postgres(_) => Ok(None),
        }
    }

    fn rows(&self) -> anyhow::Result<Box<dyn Rows>> {
        Ok(match self {
            Self::Folder(folder) => Box::new(open_private(&database(folder))?.rows()?),
            Self::Postgres(Url(url)) => Box::new(Postgres::open(url)?.rows()?),
        })
    }

    /// Moves all state to another store, which has to be empty. No server may be using either. The sessions are removed here; everything
    /// else stays, and can't be opened any more: [`StorePlace::undo_move`] allows it again.
    ///
    /// # Errors
    /// If a server uses one of them, if this one was moved before, if the target is not empty, or if the copy differs from the original.
    pub fn move_to(&self, target: &Self) -> anyhow::Result<Vec<Moved>> {
        self.check_is_there()?;
        if let Self::Folder(folder) = target {
            crate::private_file::create_folder(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let _locks = (self.lock()?, target.lock()?);
        self.open()?;
        let note = MovedTo { target: target.absolute()?.to_string(), at: date() };
        Ok(move_all(&mut *self.rows()?, &mut *target.rows()?, &note)?)
    }

    /// Makes sure that nothing has been saved here. No server may run on it.
    ///
    /// # Errors
    /// If something has, or it can't be opened.
    pub fn check_is_empty(&self) -> anyhow::Result<()> {
        self.open()?;
        if let Some(table) = first_with_rows(&*self.rows()?)? {
            bail!("{self} is not empty (its table `{table}` has rows)");
        }
        Ok(())
    }

    /// Lets what was left behind by a move be opened again.
    ///
    /// # Errors
    /// If it was not moved, or can't be opened.
    pub fn undo_move(&self) -> anyhow::Result<MovedTo> {
        self.check_is_there()?;
        let _lock = self.lock()?;
        let Some(note) = self.open_whatever_became_of_it()?.reader()?.moved()? else {
            bail!("the state of {self} was not moved; there is nothing to undo");
        };
        let mut rows = self.rows()?;
        rows.set_moved(None)?;
        rows.finish()?;
        Ok(note)
    }

    /// The same place, wherever it is spoken of.
    fn absolute(&self) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Folder(folder) => Self::Folder(std::path::absolute(folder)?),
            Self::Postgres(url) => Self::Postgres(url.clone()),
        })
    }
}

/// Milliseconds since the epoch.
fn date() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

impl fmt::Display for StorePlace {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => database(folder).display().fmt(f),
            Self::Postgres(Url(url)) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePlace({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://buoy:se?cr/et@db.example.org/fleet", "postgres://buoy@db.example.org:5432/fleet"),
            ("postgresql://db:6432/fleet?user=buoy&password=secret", "postgres://buoy@db:6432/fleet"),
            ("postgres:///fleet?host=/run/postgresql&sslrootcert=secret", "postgres:///run/postgresql/fleet"),
            ("postgres://buoy@[::1],db/fleet", "postgres://buoy@[::1]:5432,db:5432/fleet"),
            // What is not escaped could be anything.
            ("postgres://buoy:se@cret@db/fleet", "a PostgreSQL database"),
            ("postgres://db/fleet?user=buoy&password=se@cret", "a PostgreSQL database"),
            ("postgres://buoy:secret/fleet", "a PostgreSQL database"),
            ("some/folder", "some/folder/buoy.db"),
        ] {
            assert_eq!(StorePlace::parse(url).to_string(), shown);
            assert_eq!(format!("{:?}", StorePlace::parse(url)), format!("StorePlace({shown})"));
        }
    }
}
