//! The store in one SQLite file, in write-ahead mode: readers and the writer don't wait for each other.

mod batches;
mod checkpoint;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buoy_fleet::update::UpdateRecord;
use buoy_lwm2m::path::Path as ResourcePath;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Transaction, params};

use checkpoint::{Checkpointer, Pace};

use crate::{
    Batch, BootstrapClaimRow, BootstrapConfigRow, CredentialFilter, CredentialKind, CredentialRow,
    CredentialState, FirmwareRow, KeyRow, OperationFilter, OperationRow, Page, Purpose, Reader, Sample,
    StoreError, Summary, Writer,
};

/// Each step brings a database from the schema of its index to the next one. Steps are only ever added.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
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
        match schema(&reader.connection, path)? {
            SCHEMA => Ok(reader),
            found => Err(StoreError::TooOld { path: path.to_owned(), found, known: SCHEMA }),
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
        let mut connection = self.connect(OpenFlags::default())?;
        // A power cut must not lose what a device was told: each commit is flushed to the disk.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        let checkpointer = Checkpointer::start(&mut connection, self.connect(OpenFlags::default())?, pace)?;
        let path = self.path.clone();
        let mut writer = SqliteWriter { path, connection, checkpointer, series: batches::Series::default() };
        // What an earlier run left; nobody is served yet.
        while writer.settle_some(batches::SETTLED_AT_START)? > 0 {}
        Ok(writer)
    }

    /// A reader.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(SqliteReader { connection: self.connect(flags)? })
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
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: SCHEMA });
    }
    Ok(found)
}

/// The one connection that writes.
#[derive(Debug)]
pub struct SqliteWriter {
    path: PathBuf,
    connection: Connection,
    checkpointer: Checkpointer,
    series: batches::Series,
}

impl Writer for SqliteWriter {
    fn commit(
        &mut self,
        apply: &mut dyn FnMut(&mut dyn Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let result = self.try_commit(apply);
        if result.is_err() {
            self.series.forget();
        }
        result
    }

    fn unsettled(&self) -> usize {
        self.series.unsettled
    }

    fn settle(&mut self) -> Result<usize, StoreError> {
        self.settle_some(batches::SETTLED_AT_ONCE)
    }
}

impl SqliteWriter {
    fn settle_some(&mut self, bytes: usize) -> Result<usize, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let settled = batches::settle(&transaction, bytes)?;
        transaction.commit()?;
        self.series.unsettled = if settled == 0 { 0 } else { self.series.unsettled.saturating_sub(settled) };
        if self.series.unsettled == 0 && settled > 0 {
            // All has come, and may be a while in coming again.
            self.checkpointer.copy_soon();
        } else {
            self.checkpointer.after_commit(&self.connection);
        }
        Ok(settled)
    }

    fn try_commit(
        &mut self,
        apply: &mut dyn FnMut(&mut dyn Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Self { path, connection, checkpointer, series } = self;
        // The system goes on to write into a file that has no name any more.
        if !path.exists() {
            return Err(StoreError::Gone(path.clone()));
        }
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut batch =
            SqliteBatch { transaction: &transaction, series, pending: batches::Pending::default() };
        apply(&mut batch)?;
        let SqliteBatch { mut pending, .. } = batch;
        pending.save(&transaction)?;
        transaction.commit()?;
        series.unsettled += pending.count;
        checkpointer.after_commit(connection);
        Ok(())
    }
}

struct SqliteBatch<'a> {
    transaction: &'a Transaction<'a>,
    series: &'a mut batches::Series,
    pending: batches::Pending,
}

impl SqliteBatch<'_> {
    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        self.transaction.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    fn append(
        &mut self,
        append: impl FnOnce(&mut batches::Pending) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        append(&mut self.pending)?;
        if self.pending.is_large() { self.pending.save(self.transaction) } else { Ok(()) }
    }
}

impl Batch for SqliteBatch<'_> {
    fn put_registration(&mut self, key: u64, record: &[u8]) -> Result<(), StoreError> {
        self.append(|pending| pending.registration(key, Some(record)))
    }

    fn remove_registration(&mut self, key: u64) -> Result<(), StoreError> {
        self.append(|pending| pending.registration(key, None))
    }

    fn put_operation(&mut self, operation: &OperationRow) -> Result<(), StoreError> {
        let OperationRow { id, endpoint, ended, changed_at, record } = operation;
        self.run(
            "INSERT OR REPLACE INTO operation (id, endpoint, ended, changed_at, record) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![*id as i64, endpoint, ended, *changed_at as i64, record],
        )
    }

    fn put_sample(
        &mut self,
        endpoint: &str,
        path: ResourcePath,
        at: u64,
        value: Sample,
    ) -> Result<(), StoreError> {
        let series = self.series.id(self.transaction, endpoint, path)?;
        self.append(|pending| pending.sample(series, at, value))
    }

    fn prune(&mut self, before: u64) -> Result<(), StoreError> {
        let before = before as i64;
        // Of this commit as well: a series looks empty as long as its first value is not in its place.
        self.pending.save(self.transaction)?;
        while batches::settle(self.transaction, batches::SETTLED_AT_ONCE)? > 0 {}
        self.series.forget();
        self.run("DELETE FROM sample WHERE series IN (SELECT id FROM series) AND at < ?1", [before])?;
        self.run("DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM sample WHERE series = id)", [])?;
        self.run("DELETE FROM idempotency_key WHERE at < ?1", [before])?;
        self.run("DELETE FROM operation WHERE ended AND changed_at < ?1", [before])
    }

    fn put_firmware(&mut self, firmware: &FirmwareRow) -> Result<(), StoreError> {
        let FirmwareRow { digest, name, version, project, size, uploaded_at, signature } = firmware;
        self.run(
            "INSERT OR REPLACE INTO firmware (digest, name, version, project, size, uploaded_at, signature) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![digest, name, version, project, *size as i64, *uploaded_at as i64, signature],
        )
    }

    fn remove_firmware(&mut self, digest: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM firmware WHERE digest = ?1", [digest])
    }

    fn put_update(&mut self, update: &UpdateRecord) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO firmware_update (id, endpoint, ended, record) VALUES (?1, ?2, ?3, ?4)",
            params![update.id as i64, update.endpoint, update.ended, update.record],
        )
    }

    fn put_idempotency_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let KeyRow { key, digest, made, at } = key;
        self.run(
            "INSERT OR REPLACE INTO idempotency_key (key, digest, made, at) VALUES (?1, ?2, ?3, ?4)",
            params![key, digest, *made as i64, *at as i64],
        )
    }

    fn put_credential(&mut self, credential: &CredentialRow) -> Result<(), StoreError> {
        let CredentialRow { id, purpose, endpoint, kind, identity, sealed, created_at, state } = credential;
        // Only a row of the same id gives way: another one's identity is a fault of the caller.
        self.run(
            "INSERT INTO credential (id, purpose, endpoint, kind, identity, sealed, created_at, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET purpose = ?2, endpoint = ?3, kind = ?4, identity = ?5, sealed = ?6, \
             created_at = ?7, state = ?8",
            params![
                *id as i64,
                purpose.as_str(),
                endpoint,
                kind.as_str(),
                identity,
                sealed,
                *created_at as i64,
                state.as_str()
            ],
        )
    }

    fn set_credential_state(&mut self, id: u64, state: CredentialState) -> Result<(), StoreError> {
        self.run("UPDATE credential SET state = ?2 WHERE id = ?1", params![id as i64, state.as_str()])?;
        match state {
            CredentialState::Revoked => {
                self.run("UPDATE credential SET sealed = x'' WHERE id = ?1", [id as i64])
            }
            CredentialState::Active | CredentialState::Next => Ok(()),
        }
    }

    fn remove_credential(&mut self, id: u64) -> Result<(), StoreError> {
        self.run("DELETE FROM credential WHERE id = ?1", [id as i64])
    }

    fn put_session(&mut self, id: u64, record: &[u8]) -> Result<(), StoreError> {
        self.append(|pending| pending.session(id, Some(record)))
    }

    fn remove_session(&mut self, id: u64) -> Result<(), StoreError> {
        self.append(|pending| pending.session(id, None))
    }

    fn put_bootstrap_config(&mut self, config: &BootstrapConfigRow) -> Result<(), StoreError> {
        let BootstrapConfigRow { pattern, sealed, changed_at } = config;
        self.run(
            "INSERT OR REPLACE INTO bootstrap_config (pattern, sealed, changed_at) VALUES (?1, ?2, ?3)",
            params![pattern, sealed, *changed_at as i64],
        )
    }

    fn remove_bootstrap_config(&mut self, pattern: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM bootstrap_config WHERE pattern = ?1", [pattern])
    }

    fn put_bootstrap_claim(&mut self, claim: &BootstrapClaimRow) -> Result<(), StoreError> {
        let BootstrapClaimRow { endpoint, address, first_asked, last_asked, accepted_at } = claim;
        self.run(
            "INSERT OR REPLACE INTO bootstrap_claim (endpoint, address, first_asked, last_asked, accepted_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                endpoint,
                address,
                *first_asked as i64,
                *last_asked as i64,
                accepted_at.map(|at| at as i64)
            ],
        )
    }

    fn remove_bootstrap_claim(&mut self, endpoint: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM bootstrap_claim WHERE endpoint = ?1", [endpoint])
    }
}

/// A connection that reads.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
}

impl SqliteReader {
    fn list<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn each_record(&self, sql: &str, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            each(key as u64, row.get_ref(1)?.as_blob().unwrap_or_default());
        }
        Ok(())
    }
}

impl Reader for SqliteReader {
    fn registrations(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.each_record("SELECT key, record FROM registration ORDER BY key", each)
    }

    fn open_operations(&self) -> Result<Vec<OperationRow>, StoreError> {
        self.list(&format!("{OPERATION} WHERE NOT ended ORDER BY id"), [], operation_row)
    }

    fn operation(&self, id: u64) -> Result<Option<OperationRow>, StoreError> {
        Ok(self.list(&format!("{OPERATION} WHERE id = ?1"), [id as i64], operation_row)?.pop())
    }

    fn operations(&self, filter: &OperationFilter<'_>, page: Page) -> Result<Vec<OperationRow>, StoreError> {
        self.list(
            &format!(
                "{OPERATION} WHERE id < ?1 AND (?2 IS NULL OR endpoint = ?2) AND (?3 IS NULL OR ended = ?3) \
                 ORDER BY id DESC LIMIT ?4"
            ),
            params![bound(page.before), filter.endpoint, filter.ended, page.limit as i64],
            operation_row,
        )
    }

    fn last_operation(&self) -> Result<u64, StoreError> {
        let sql = "SELECT max(coalesce((SELECT max(id) FROM operation), 0), coalesce((SELECT max(made) FROM idempotency_key), 0))";
        Ok(self.connection.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64)
    }

    fn series(&self, endpoint: &str) -> Result<Vec<String>, StoreError> {
        self.list("SELECT path FROM series WHERE endpoint = ?1 ORDER BY path", [endpoint], |row| row.get(0))
    }

    fn samples(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Sample)>, StoreError> {
        self.list(
            "SELECT at, value FROM sample WHERE series = (SELECT id FROM series WHERE endpoint = ?1 AND path = ?2) \
             AND at >= ?3 AND at < ?4 ORDER BY at LIMIT ?5",
            params![endpoint, path, bound(range.start), bound(range.end), limit as i64],
            |row| Ok((row.get::<_, i64>(0)? as u64, sample(row.get_ref(1)?))),
        )
    }

    fn summary(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        step: u64,
    ) -> Result<Vec<Summary>, StoreError> {
        self.list(
            "SELECT at / ?5 * ?5, count(*), min(value), max(value), avg(value) FROM sample \
             WHERE series = (SELECT id FROM series WHERE endpoint = ?1 AND path = ?2) AND at >= ?3 AND at < ?4 \
             AND typeof(value) IN ('integer', 'real') GROUP BY 1 ORDER BY 1",
            params![endpoint, path, bound(range.start), bound(range.end), bound(step.max(1))],
            |row| {
                Ok(Summary {
                    at: row.get::<_, i64>(0)? as u64,
                    count: row.get::<_, i64>(1)? as u64,
                    min: row.get(2)?,
                    max: row.get(3)?,
                    mean: row.get(4)?,
                })
            },
        )
    }

    fn firmware(&self) -> Result<Vec<FirmwareRow>, StoreError> {
        let sql = "SELECT digest, name, version, project, size, uploaded_at, signature FROM firmware \
                   ORDER BY uploaded_at DESC, digest";
        self.list(sql, [], |row| {
            Ok(FirmwareRow {
                digest: row.get(0)?,
                name: row.get(1)?,
                version: row.get(2)?,
                project: row.get(3)?,
                size: row.get::<_, i64>(4)? as u64,
                uploaded_at: row.get::<_, i64>(5)? as u64,
                signature: row.get(6)?,
            })
        })
    }

    fn open_updates(&self) -> Result<Vec<UpdateRecord>, StoreError> {
        self.list(&format!("{UPDATE} WHERE NOT ended ORDER BY id"), [], update_row)
    }

    fn updates(&self, endpoint: Option<&str>, page: Page) -> Result<Vec<UpdateRecord>, StoreError> {
        self.list(
            &format!("{UPDATE} WHERE id < ?1 AND (?2 IS NULL OR endpoint = ?2) ORDER BY id DESC LIMIT ?3"),
            params![bound(page.before), endpoint, page.limit as i64],
            update_row,
        )
    }

    fn idempotency_key(&self, key: &str) -> Result<Option<KeyRow>, StoreError> {
        let sql = "SELECT key, digest, made, at FROM idempotency_key WHERE key = ?1";
        let read = |row: &Row<'_>| {
            let (made, at) = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
            Ok(KeyRow { key: row.get(0)?, digest: row.get(1)?, made, at })
        };
        Ok(self.list(sql, [key], read)?.pop())
    }

    fn each_credential(&self, each: &mut dyn FnMut(CredentialRow)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(&format!("{CREDENTIAL} ORDER BY id"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(credential_row(row)?);
        }
        Ok(())
    }

    fn credential(&self, id: u64) -> Result<Option<CredentialRow>, StoreError> {
        Ok(self.list(&format!("{CREDENTIAL} WHERE id = ?1"), [bound(id)], credential_row)?.pop())
    }

    fn credentials(
        &self,
        filter: &CredentialFilter<'_>,
        page: Page,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        self.list(
            &format!(
                "{CREDENTIAL} WHERE id < ?1 AND (?2 IS NULL OR endpoint = ?2) AND (?3 IS NULL OR purpose = ?3) \
                 ORDER BY id DESC LIMIT ?4"
            ),
            params![
                bound(page.before),
                filter.endpoint,
                filter.purpose.map(Purpose::as_str),
                page.limit as i64
            ],
            credential_row,
        )
    }

    fn sessions(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.each_record("SELECT id, record FROM sessions ORDER BY id", each)
    }

    fn bootstrap_configs(&self) -> Result<Vec<BootstrapConfigRow>, StoreError> {
        self.list("SELECT pattern, sealed, changed_at FROM bootstrap_config ORDER BY pattern", [], |row| {
            Ok(BootstrapConfigRow {
                pattern: row.get(0)?,
                sealed: row.get(1)?,
                changed_at: row.get::<_, i64>(2)? as u64,
            })
        })
    }

    fn bootstrap_claims(&self) -> Result<Vec<BootstrapClaimRow>, StoreError> {
        let sql = "SELECT endpoint, address, first_asked, last_asked, accepted_at FROM bootstrap_claim \
                   ORDER BY endpoint";
        self.list(sql, [], |row| {
            Ok(BootstrapClaimRow {
                endpoint: row.get(0)?,
                address: row.get(1)?,
                first_asked: row.get::<_, i64>(2)? as u64,
                last_asked: row.get::<_, i64>(3)? as u64,
                accepted_at: row.get::<_, Option<i64>>(4)?.map(|at| at as u64),
            })
        })
    }

    fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let fails = |cause: String| StoreError::Open { path: target.to_owned(), cause: cause.into() };
        let open = |cause: rusqlite::Error| match StoreError::from(cause) {
            StoreError::Database(cause) => fails(cause),
            other => other,
        };
        // Until its sessions are out it has another name.
        let part = target.with_extension("part");
        let name = part.to_str().ok_or_else(|| fails("its name is not UTF-8".into()))?;
        // A copy of the pages would hold those that are free as well, and sessions that have ended are in them.
        self.connection.execute("VACUUM INTO ?1", [name]).map_err(open)?;
        let copy = Connection::open(&part).map_err(open)?;
        copy.execute_batch(
            "PRAGMA secure_delete = ON; DELETE FROM sessions; UPDATE batch SET sessions = x'' WHERE sessions <> x''",
        )?;
        drop(copy);
        std::fs::rename(&part, target).map_err(|error| fails(error.to_string()))
    }
}

const OPERATION: &str = "SELECT id, endpoint, ended, changed_at, record FROM operation";
const CREDENTIAL: &str =
    "SELECT id, purpose, endpoint, kind, identity, sealed, created_at, state FROM credential";
const UPDATE: &str = "SELECT id, endpoint, ended, record FROM firmware_update";

fn operation_row(row: &Row<'_>) -> rusqlite::Result<OperationRow> {
    Ok(OperationRow {
        id: row.get::<_, i64>(0)? as u64,
        endpoint: row.get(1)?,
        ended: row.get(2)?,
        changed_at: row.get::<_, i64>(3)? as u64,
        record: row.get(4)?,
    })
}

fn update_row(row: &Row<'_>) -> rusqlite::Result<UpdateRecord> {
    Ok(UpdateRecord {
        id: row.get::<_, i64>(0)? as u64,
        endpoint: row.get(1)?,
        ended: row.get(2)?,
        record: row.get(3)?,
    })
}

fn credential_row(row: &Row<'_>) -> rusqlite::Result<CredentialRow> {
    Ok(CredentialRow {
        id: row.get::<_, i64>(0)? as u64,
        purpose: word(row, 1, Purpose::parse)?,
        endpoint: row.get(2)?,
        kind: word(row, 3, CredentialKind::parse)?,
        identity: row.get(4)?,
        sealed: row.get(5)?,
        created_at: row.get::<_, i64>(6)? as u64,
        state: word(row, 7, CredentialState::parse)?,
    })
}

/// One of the words that a column may hold.
fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| {
        let reason = format!("{text} is not a word of this column");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
    })
}

fn sample(value: ValueRef<'_>) -> Sample {
    match value {
        ValueRef::Null => Sample::Opaque(Vec::new()),
        ValueRef::Integer(value) => Sample::Integer(value),
        ValueRef::Real(value) => Sample::Float(value),
        ValueRef::Text(text) => Sample::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Sample::Opaque(bytes.to_vec()),
    }
}

/// SQLite's numbers are signed: what is larger is as good as endless.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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
