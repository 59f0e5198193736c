//! The store in a PostgreSQL database, for servers whose state is to outlive their machine.
//!
//! One writer at a time: it holds an advisory lock as long as its session lasts, and its name stands in the table `writer`, which each of
//! its transactions checks and counts. Readers have connections of their own. The schema is brought up to date when the store is opened.
//!
//! What is needed of the server: version 13 or later, a database in UTF-8, and sessions of our own (no pooler that shares them between
//! transactions).

mod certificate;
mod failure;
mod link;
mod place;
mod plan;
mod reader;
mod removal;
mod rows;
mod series;
#[cfg(all(unix, any(test, feature = "contract")))]
pub mod test_server;
#[cfg(all(unix, test))]
mod tests;
mod text;
mod tls;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use failure::Failure;
use link::{Driver, Link};
use place::Place;

use crate::{Reader, Store, StoreError, Writer};

pub use reader::PostgresReader;
pub use writer::PostgresWriter;

/// Each step brings a database from the schema of its index to the next one. Steps are only ever added.
const MIGRATIONS: &[&str] = &[
    include_str!("postgres/schema/1.sql"),
    include_str!("postgres/schema/2.sql"),
    include_str!("postgres/schema/3.sql"),
    include_str!("postgres/schema/4.sql"),
    include_str!("postgres/schema/5.sql"),
];

/// The schema of this program.
const SCHEMA: i32 = MIGRATIONS.len() as i32;

/// The earliest version that has all that is used.
const EARLIEST_VERSION: i32 = 130_000;

/// How long a server that has just ended may still seem to hold the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A database.
#[derive(Clone, Debug)]
pub struct Postgres {
    place: Place,
    driver: Arc<Driver>,
}

impl Postgres {
    /// Opens the database of a URL, as in `postgres://user:password@host/database`, and brings its schema up to date. `sslmode` and
    /// `sslrootcert` are understood as libpq does, with two exceptions: there is no `allow`, and `prefer` does not go on in the clear if the
    /// server offers TLS and the handshake fails.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::at(url)?;
        store.with_link(|link| {
            check_server(link)?;
            migrate(link, &store.place)
        })?;
        Ok(store)
    }

    /// A database that is there, and stays as it is: a server may run on it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open_to_read(url: &str) -> Result<PostgresReader, StoreError> {
        let store = Self::at(url)?;
        store.with_link(|link| match schema(link, &store.place)? {
            SCHEMA => Ok(()),
            found => Err(StoreError::TooOld {
                place: store.place.to_string(),
                found: found.unsigned_abs(),
                known: SCHEMA.unsigned_abs(),
            }
            .into()),
        })?;
        store.reader()
    }

    /// The writer, if there is no other.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] if there is one.
    pub fn writer(&self) -> Result<PostgresWriter, StoreError> {
        PostgresWriter::start(self.place.clone())
    }

    /// A reader.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn reader(&self) -> Result<PostgresReader, StoreError> {
        PostgresReader::connect(self.driver.clone(), self.place.clone())
    }

    fn at(url: &str) -> Result<Self, StoreError> {
        Ok(Self { place: Place::parse(url)?, driver: Arc::new(Driver::start("postgres readers")?) })
    }

    fn with_link<T>(&self, ask: impl FnOnce(&mut Link) -> Result<T, Failure>) -> Result<T, StoreError> {
        let asked = Link::connect(&self.driver, &self.place).and_then(|mut link| ask(&mut link));
        asked.map_err(|failure| failure.into_error(&self.place))
    }
}

impl std::fmt::Display for Postgres {
    /// The URL, without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place.fmt(f)
    }
}

/// What can be shown of a URL: without its password.
#[must_use]
pub fn without_password(url: &str) -> String {
    place::without_password(url)
}

impl Store for Postgres {
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(self.writer()?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.reader()?))
    }
}

fn check_server(link: &mut Link) -> Result<(), Failure> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), \
        current_setting('fsync')";
    let rows = link.query(sql, &[])?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (version, encoding, fsync): (i32, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if version < EARLIEST_VERSION {
        let said = format!("PostgreSQL {} is too old; version 13 or later is needed", version / 10_000);
        return Err(StoreError::Database(said).into());
    }
    if encoding != "UTF8" {
        let said = format!(
            "the database is in {encoding}; make one with `createdb --encoding UTF8 --template template0`"
        );
        return Err(StoreError::Database(said).into());
    }
    if fsync == "off" {
        tracing::warn!("PostgreSQL runs with fsync=off: what devices were told is lost if its machine fails");
    }
    Ok(())
}

fn migrate(link: &mut Link, place: &Place) -> Result<(), Failure> {
    if schema(link, place)? == SCHEMA {
        return Ok(());
    }
    // Another program may be at it. The lock comes before the transaction, which else would not see what that one made.
    link.query("SELECT pg_advisory_lock(x'62756f79'::integer, 2)", &[])?;
    link.batch("BEGIN READ WRITE")?;
    let found = schema(link, place)?;
    if found < SCHEMA {
        // A server of an earlier version that runs would stumble.
        let lock = "SELECT pg_try_advisory_xact_lock(x'62756f79'::integer, 1)";
        if !is_true(link, lock)? {
            return Err(StoreError::InUse { place: place.to_string() }.into());
        }
        link.batch("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")?;
        for step in MIGRATIONS.iter().skip(found.unsigned_abs() as usize) {
            link.batch(step)?;
        }
        link.batch("DELETE FROM schema_version")?;
        link.query("INSERT INTO schema_version (version) VALUES ($1) RETURNING version", &[&SCHEMA])?;
    }
    link.batch("COMMIT")
}

/// That of a database, 0 if it is empty: none that is newer than this program's.
fn schema(link: &mut Link, place: &Place) -> Result<i32, Failure> {
    if !is_true(link, "SELECT to_regclass('schema_version') IS NOT NULL")? {
        return Ok(0);
    }
    let rows = link.query_once("SELECT version FROM schema_version", &[])?;
    let found: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    if found > SCHEMA {
        let (found, known) = (found.unsigned_abs(), SCHEMA.unsigned_abs());
        return Err(StoreError::TooNew { place: place.to_string(), found, known }.into());
    }
    Ok(found)
}

fn is_true(link: &mut Link, sql: &'static str) -> Result<bool, Failure> {
    Ok(link.query(sql, &[])?.first().map_or(Ok(false), |row| row.try_get(0))?)
}

/// Takes the lock that a writer holds for as long as its session lasts. The number of the server's process of this session.
fn lock(link: &mut Link, place: &Place) -> Result<i32, Failure> {
    let sql = "SELECT pg_try_advisory_lock(x'62756f79'::integer, 1), pg_backend_pid(), pg_is_in_recovery()";
    let began = Instant::now();
    loop {
        let rows = link.query(sql, &[])?;
        if let Some(row) = rows.first()
            && row.try_get(2)?
        {
            return Err(StoreError::Standby { place: place.to_string() }.into());
        }
        if let Some(row) = rows.first()
            && row.try_get(0)?
        {
            return Ok(row.try_get(1)?);
        }
        if began.elapsed() > LOCK_PATIENCE {
            return Err(StoreError::InUse { place: place.to_string() }.into());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// The same for a writer whose connection broke. The server may not have noticed, and then the process behind that connection holds the lock.
fn release_and_lock(link: &mut Link, place: &Place, former: i32) -> Result<i32, Failure> {
    let release = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
        AND classid = x'62756f79'::integer::oid AND objid = 1 AND pid = $1 \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    link.query(release, &[&former])?;
    lock(link, place)
}
