//! Connections that read, beside the writer.

use std::ops::Range;
use std::path::Path;

use buoy_files::{Access, Draft};
use buoy_fleet::update::UpdateRecord;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batches;
use crate::document::behind;
use crate::summary::Sums;
use crate::{
    AuditFilter, AuditHash, AuditHead, AuditRow, BootstrapClaimRow, BootstrapConfigRow, CredentialFilter,
    CredentialKind, CredentialRow, CredentialState, DeviceDescription, DeviceRow, DocumentKind, DocumentRow,
    FirmwareRow, KeyRow, MovedTo, OperationFilter, OperationRow, Page, Purpose, Reader, Sample, StoreError,
    Summary, bound,
};

/// A connection that reads.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
}

impl SqliteReader {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Asks several questions about one state of the database.
    fn at_one_instant<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        ask(&transaction)
    }

    /// Hands out the values of a series in a range, the oldest first, until `each` has had enough.
    fn each_sample(
        &self,
        endpoint: &str,
        path: &str,
        range: &Range<u64>,
        mut each: impl FnMut(u64, Sample) -> Wants,
    ) -> Result<(), StoreError> {
        self.at_one_instant(|connection| {
            let find = "SELECT id FROM series WHERE endpoint = ?1 AND path = ?2";
            let mut find = connection.prepare_cached(find)?;
            let series: Option<i64> = find.query_row([endpoint, path], |row| row.get(0)).optional()?;
            let Some(series) = series else { return Ok(()) };
            let mut unsorted = batches::unsorted_samples(connection, series, range)?.into_iter().peekable();
            let sql = "SELECT at, value FROM sample WHERE series = ?1 AND at >= ?2 AND at < ?3 ORDER BY at";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![series, bound(range.start), bound(range.end)])?;
            while let Some(row) = rows.next()? {
                let at = row.get::<_, i64>(0)? as u64;
                while let Some((at, value)) = unsorted.next_if(|(first, _)| *first < at) {
                    if each(at, value) == Wants::NoMore {
                        return Ok(());
                    }
                }
                // What came later of the same instant is what counts.
                let value = match unsorted.next_if(|(first, _)| *first == at) {
                    Some((_, value)) => value,
                    None => sample(row.get_ref(1)?),
                };
                if each(at, value) == Wants::NoMore {
                    return Ok(());
                }
            }
            for (at, value) in unsorted {
                if each(at, value) == Wants::NoMore {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

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
}

/// Whether who goes through a series wants more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    More,
    NoMore,
}

impl Reader for SqliteReader {
    fn registrations(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.at_one_instant(|connection| batches::REGISTRATIONS.each(connection, each))
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
        let mut samples = Vec::new();
        if limit == 0 {
            return Ok(samples);
        }
        self.each_sample(endpoint, path, &range, |at, value| {
            samples.push((at, value));
            if samples.len() < limit { Wants::More } else { Wants::NoMore }
        })?;
        Ok(samples)
    }

    fn last_samples(&self, each: &mut dyn FnMut(&str, &str, u64, Sample)) -> Result<(), StoreError> {
        let sql = "SELECT series.endpoint, series.path, sample.at, sample.value FROM series JOIN sample \
                   ON sample.series = series.id \
                   AND sample.at = (SELECT max(at) FROM sample AS last WHERE last.series = series.id) \
                   ORDER BY series.endpoint, series.path";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let at = row.get::<_, i64>(2)? as u64;
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            each(text(0)?, text(1)?, at, sample(row.get_ref(3)?));
        }
        Ok(())
    }

    fn summary(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        step: u64,
    ) -> Result<Vec<Summary>, StoreError> {
        let mut sums = Sums::new(step);
        self.each_sample(endpoint, path, &range, |at, value| {
            sums.add(at, &value);
            Wants::More
        })?;
        Ok(sums.summaries())
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
        self.at_one_instant(|connection| batches::SESSIONS.each(connection, each))
    }

    fn moved(&self) -> Result<Option<MovedTo>, StoreError> {
        let found = self.list("SELECT target, at FROM moved", [], |row| {
            Ok(MovedTo { target: row.get(0)?, at: row.get::<_, i64>(1)? as u64 })
        });
        Ok(found?.pop())
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

    fn devices(&self, each: &mut dyn FnMut(DeviceRow)) -> Result<(), StoreError> {
        let sql = "SELECT endpoint, first_contact, last_contact, proved, manufacturer, model, serial, firmware, hardware, \
                   software, read_at FROM device ORDER BY endpoint";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(DeviceRow {
                endpoint: row.get(0)?,
                first_contact: row.get::<_, i64>(1)? as u64,
                last_contact: row.get::<_, i64>(2)? as u64,
                proved: row.get(3)?,
                description: DeviceDescription {
                    manufacturer: row.get(4)?,
                    model: row.get(5)?,
                    serial: row.get(6)?,
                    firmware: row.get(7)?,
                    hardware: row.get(8)?,
                    software: row.get(9)?,
                    read_at: row.get::<_, Option<i64>>(10)?.map(|at| at as u64),
                },
            });
        }
        Ok(())
    }

    fn documents(
        &self,
        kind: DocumentKind,
        prefix: &str,
        each: &mut dyn FnMut(DocumentRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT key, body, changed_at FROM document \
                   WHERE kind = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![kind.as_str(), prefix, behind(prefix)])?;
        while let Some(row) = rows.next()? {
            each(document_row(kind, row)?);
        }
        Ok(())
    }

    fn document(&self, kind: DocumentKind, name: &str) -> Result<Option<DocumentRow>, StoreError> {
        let sql = "SELECT key, body, changed_at FROM document WHERE kind = ?1 AND key = ?2";
        Ok(self.list(sql, params![kind.as_str(), name], |row| document_row(kind, row))?.pop())
    }

    fn audit(&self, filter: &AuditFilter<'_>, page: Page) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT id, at, principal, origin, action, target, detail, result FROM audit \
                   WHERE id < ?1 AND (?2 IS NULL OR principal = ?2) \
                   AND (?3 IS NULL OR action = ?3 OR substr(action, 1, length(?3) + 1) = ?3 || '.') \
                   AND (?4 IS NULL OR target = ?4) ORDER BY id DESC LIMIT ?5";
        let AuditFilter { principal, action, target } = filter;
        let parameters = params![bound(page.before), principal, action, target, page.limit as i64];
        self.list(sql, parameters, audit_row)
    }

    fn audit_chain(&self, each: &mut dyn FnMut(AuditRow, Option<AuditHash>)) -> Result<(), StoreError> {
        let sql =
            "SELECT id, at, principal, origin, action, target, detail, result, hash FROM audit ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // A hash of another length is as wrong as any.
            let hash = row.get::<_, Option<Vec<u8>>>(8)?.map(|hash| hash.try_into().unwrap_or_default());
            each(audit_row(row)?, hash);
        }
        Ok(())
    }

    fn audit_head(&self) -> Result<Option<AuditHead>, StoreError> {
        let heads = self.list("SELECT last, hash FROM audit_head", [], |row| {
            let hash = row.get::<_, Vec<u8>>(1)?.try_into().unwrap_or_default();
            Ok(AuditHead { last: row.get::<_, i64>(0)? as u64, hash })
        })?;
        Ok(heads.into_iter().next())
    }

    fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let fails = |cause: String| StoreError::Open { path: target.to_owned(), cause: cause.into() };
        let open = |cause: rusqlite::Error| match StoreError::from(cause) {
            StoreError::Database(cause) => fails(cause),
            other => other,
        };
        // Until its sessions are out it has another name.
        let draft = Draft::new(target, Access::Owner).map_err(|error| fails(error.to_string()))?;
        let name = draft.path().to_str().ok_or_else(|| fails("its name is not UTF-8".into()))?;
        // A copy of the pages would hold those that are free as well, and sessions that have ended are in them.
        self.connection.execute("VACUUM INTO ?1", [name]).map_err(open)?;
        let copy = Connection::open(draft.path()).map_err(open)?;
        copy.execute_batch(
            "PRAGMA secure_delete = ON; DELETE FROM sessions; UPDATE batch SET sessions = x'' WHERE sessions <> x''",
        )?;
        drop(copy);
        draft.commit().map_err(|error| fails(error.to_string()))
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

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get::<_, i64>(0)? as u64,
        at: row.get::<_, i64>(1)? as u64,
        principal: row.get(2)?,
        origin: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        detail: row.get(6)?,
        result: row.get(7)?,
    })
}

fn document_row(kind: DocumentKind, row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    let changed_at = row.get::<_, i64>(2)? as u64;
    Ok(DocumentRow { kind, name: row.get(0)?, body: row.get(1)?, changed_at })
}

/// One of the words that a column may hold.
fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| {
        let reason = format!("{text} is not a word of this column");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
    })
}

/// SQLite has no NaN: it keeps NULL in its place.
fn sample(value: ValueRef<'_>) -> Sample {
    match value {
        ValueRef::Null => Sample::Float(f64::NAN),
        ValueRef::Integer(value) => Sample::Integer(value),
        ValueRef::Real(value) => Sample::Float(value),
        ValueRef::Text(text) => Sample::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Sample::Opaque(bytes.to_vec()),
    }
}
