//! The place of a server's store: a file in its data folder, or a PostgreSQL database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use buoy_store::postgres::Postgres;
use buoy_store::sqlite::Sqlite;
use buoy_store::{Moved, Reader, Rows, Store, move_all};

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
    /// If it can't be opened.
    pub fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
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
    /// If it doesn't exist, or has another schema version.
    pub fn open_to_read(&self) -> anyhow::Result<Box<dyn Reader>> {
        self.check_is_there()?;
        Ok(match self {
            Self::Folder(folder) => Box::new(Sqlite::open_to_read(&database(folder))?),
            Self::Postgres(Url(url)) => Box::new(Postgres::open_to_read(url)?),
        })
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

    /// Copies all state to another store, which has to be empty. No server may be using either. The sessions are removed here; everything
    /// else stays.
    ///
    /// # Errors
    /// If a server uses one of them, if the target is not empty, or if the copy differs from the original.
    pub fn move_to(&self, target: &Self) -> anyhow::Result<Vec<Moved>> {
        self.check_is_there()?;
        if let Self::Folder(folder) = target {
            crate::private_file::create_folder(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let _locks = (self.lock()?, target.lock()?);
        Ok(move_all(&mut *self.rows()?, &mut *target.rows()?)?)
    }
}

impl fmt::Display for StorePlace {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => database(folder).display().fmt(f),
            Self::Postgres(url) => f.write_str(&url.without_password()),
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePlace({self})")
    }
}

impl Url {
    /// The URL for messages: without the password before the host, and without parameters, which may contain a password.
    fn without_password(&self) -> String {
        let (start, _) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let Some((scheme, rest)) = start.split_once("://") else { return String::new() };
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let (user, _) = user.split_once(':').unwrap_or((user, ""));
                format!("{scheme}://{user}@{host}")
            }
            None => format!("{scheme}://{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://buoy:se@cret@db.example.org/fleet", "postgres://buoy@db.example.org/fleet"),
            ("postgresql://db/fleet?user=buoy&password=secret", "postgresql://db/fleet"),
            ("postgres://buoy@db/fleet", "postgres://buoy@db/fleet"),
            ("some/folder", "some/folder/buoy.db"),
        ] {
            assert_eq!(StorePlace::parse(url).to_string(), shown);
            assert_eq!(format!("{:?}", StorePlace::parse(url)), format!("StorePlace({shown})"));
        }
    }
}
