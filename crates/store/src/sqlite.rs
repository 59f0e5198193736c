//! The store in one SQLite file, in write-ahead mode: readers and the writer don't wait for each other.

mod batches;
mod checkpoint;
mod reader;
mod removal;
mod rows;
mod series;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use checkpoint::Pace;

use crate::{Reader, Store, StoreError, Writer};

pub use reader::SqliteReader;
pub use writer::SqliteWriter;

/// Each step brings a database from the schema of its index to the next one. Steps are only ever added.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
];

/// The schema of this program.
const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// How long a reader waits where it must.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self { path: path.to_owned() };
        let mut connection = store.connect(OpenFlags::default())?;
        migrate(&mut connection, path)?;
        Ok(store)
    }

    /// A file that is there, and stays as it is: a server may run on it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open_to_read(path: &Path) -> Result<SqliteReader, StoreError> {
        let reader = Self { path: path.to_owned() }.reader()?;
        match schema(reader.connection(), path)? {
            SCHEMA => Ok(reader),
            found => Err(StoreError::TooOld { place: path.display().to_string(), found, known: SCHEMA }),
        }
    }

    /// The writer. There should be one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn writer(&self) -> Result<SqliteWriter, StoreError> {
        self.writer_at(Pace::default())
    }

    fn writer_at(&self, pace: Pace) -> Result<SqliteWriter, StoreError> {
        let connection = self.connect(OpenFlags::default())?;
        SqliteWriter::start(self.path.clone(), connection, self.connect(OpenFlags::default())?, pace)
    }

    /// A reader.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(SqliteReader::new(self.connect(flags)?))
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            if !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
                connection.pragma_update(None, "journal_mode", "WAL")?;
            }
            Ok(connection)
        };
        open().map_err(|cause| match StoreError::from(cause) {
            error @ (StoreError::Corrupt(_) | StoreError::ReadOnly | StoreError::DiskFull) => error,
            other => StoreError::Open { path: self.path.clone(), cause: other.to_string().into() },
        })
    }
}

impl Store for Sqlite {
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(self.writer()?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.reader()?))
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if schema(connection, path)? == SCHEMA {
        return Ok(());
    }
    // Another program may be at it.
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = schema(&transaction, path)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    Ok(transaction.commit()?)
}

/// That of a file: none that is newer than this program's.
fn schema(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA {
        return Err(StoreError::TooNew { place: path.display().to_string(), found, known: SCHEMA });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract() {
        crate::contract::check(|| {
            let folder = tempfile::tempdir().unwrap();
            let store = Sqlite::open(&folder.path().join("buoy.db")).unwrap();
            let (writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
            (Box::new(writer), Box::new(reader), Box::new(folder))
        });
    }

    #[test]
    fn a_database_of_a_later_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("buoy.db");
        Sqlite::open(&path).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Sqlite::open(&path), Err(StoreError::TooNew { found: 99, .. })));
    }

    #[test]
    fn a_file_that_is_no_database_is_named_as_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("buoy.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert!(matches!(Sqlite::open(&path), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = Sqlite::open(Path::new("/nonexistent/folder/buoy.db")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/folder/buoy.db"), "{error}");
    }
}
