//! Connections that read, beside the writer.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use buoy_fleet::update::UpdateRecord;
use tokio_postgres::Row;

use super::failure::Failure;
use super::link::{Driver, Link, Wants};
use super::place::Place;
use super::plan::Parameters;
use super::rows::PostgresRows;
use super::text::{original, stored};
use crate::document::behind;
use crate::rows::{SESSIONS, copy_to_file};
use crate::summary::Sums;
use crate::{
    AuditFilter, AuditHash, AuditHead, AuditRow, BootstrapClaimRow, BootstrapConfigRow, CredentialFilter,
    CredentialKind, CredentialRow, CredentialState, DeviceDescription, DeviceRow, DocumentKind, DocumentRow,
    FirmwareRow, KeyRow, MovedTo, OperationFilter, OperationRow, Page, Purpose, Reader, Sample, StoreError,
    Summary, bound,
};

/// A connection that reads. If it breaks, the next question makes a new one.
#[derive(Debug)]
pub struct PostgresReader {
    place: Place,
    driver: Arc<Driver>,
    link: RefCell<Option<Link>>,
}

impl PostgresReader {
    pub(super) fn connect(driver: Arc<Driver>, place: Place) -> Result<Self, StoreError> {
        let reader = Self { place, driver, link: RefCell::new(None) };
        reader.ask(|_| Ok(()))?;
        Ok(reader)
    }

    /// Asks a question.
    fn ask<T>(&self, question: impl FnOnce(&mut Link) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut place = self.link.borrow_mut();
        let ask = || {
            let mut link = match place.take().filter(|link| !link.is_closed()) {
                Some(link) => link,
                None => Link::connect(&self.driver, &self.place)?,
            };
            let answer = question(&mut link);
            match &answer {
                Err(Failure::Lost(_)) => link.abandon(),
                _ => *place = Some(link),
            }
            answer
        };
        ask().map_err(|failure: Failure| failure.into_error(&self.place))
    }

    fn list<T>(
        &self,
        sql: &'static str,
        parameters: &Parameters<'_>,
        read: impl Fn(&Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, StoreError> {
        let once = || self.ask(|link| link.query(sql, parameters)?.iter().map(&read).collect());
        match once() {
            // A connection that idled may have ended unseen: the server was started again.
            Err(StoreError::Unreachable { .. }) => once(),
            other => other,
        }
    }

    /// Hands out the values of a series in a range, the oldest first, until `each` has had enough.
    fn each_sample(
        &self,
        endpoint: &str,
        path: &str,
        range: &Range<u64>,
        limit: i64,
        mut each: impl FnMut(u64, Sample),
    ) -> Result<(), StoreError> {
        let sql = "SELECT at, integer, number, text, opaque FROM sample \
            WHERE series = (SELECT id FROM series WHERE endpoint = $1 AND path = $2) \
            AND at >= $3 AND at < $4 ORDER BY at LIMIT $5";
        let parameters: &Parameters<'_> =
            &[&stored(endpoint), &path, &bound(range.start), &bound(range.end), &limit];
        self.ask(|link| {
            link.each_row(sql, parameters, |row| {
                each(unsigned(row, 0)?, sample(row)?);
                Ok::<_, Failure>(Wants::More)
            })
        })
    }

    fn records(&self, sql: &str, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.ask(|link| {
            link.each_row(sql, &[], |row| {
                each(unsigned(row, 0)?, row.try_get(1)?);
                Ok::<_, Failure>(Wants::More)
            })
        })
    }
}

/// At most so many rows.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

const OPERATIONS: &str = "SELECT id, endpoint, ended, changed_at, record FROM operation \
    WHERE id < $1 AND ($2::text IS NULL OR endpoint = $2) AND ($3::boolean IS NULL OR ended = $3) \
    ORDER BY id DESC LIMIT $4";
const CREDENTIALS: &str = "SELECT id, purpose, endpoint, kind, identity, sealed, created_at, state FROM credential \
    WHERE id < $1 AND ($2::text IS NULL OR endpoint = $2) AND ($3::text IS NULL OR purpose = $3) \
    ORDER BY id DESC LIMIT $4";
/// Entries of the audit log that are read together.
const AUDIT_AT_ONCE: usize = 5000;

const AUDIT: &str = "SELECT id, at, principal, origin, action, target, detail, result FROM audit \
    WHERE id < $1 AND ($2::text IS NULL OR principal = $2) \
    AND ($3::text IS NULL OR action = $3 OR starts_with(action, $3 || '.')) \
    AND ($4::text IS NULL OR target = $4) ORDER BY id DESC LIMIT $5";

impl Reader for PostgresReader {
    fn registrations(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.records("SELECT key, record FROM registration ORDER BY key", each)
    }

    fn open_operations(&self) -> Result<Vec<OperationRow>, StoreError> {
        let sql = "SELECT id, endpoint, ended, changed_at, record FROM operation WHERE NOT ended ORDER BY id";
        self.list(sql, &[], operation_row)
    }

    fn operation(&self, id: u64) -> Result<Option<OperationRow>, StoreError> {
        let sql = "SELECT id, endpoint, ended, changed_at, record FROM operation WHERE id = $1";
        Ok(self.list(sql, &[&(id as i64)], operation_row)?.pop())
    }

    fn operations(&self, filter: &OperationFilter<'_>, page: Page) -> Result<Vec<OperationRow>, StoreError> {
        let endpoint = filter.endpoint.map(stored);
        self.list(
            OPERATIONS,
            &[&bound(page.before), &endpoint, &filter.ended, &limit(page.limit)],
            operation_row,
        )
    }

    fn last_operation(&self) -> Result<u64, StoreError> {
        let sql =
            "SELECT greatest((SELECT max(id) FROM operation), (SELECT max(made) FROM idempotency_key), 0)";
        Ok(self.list(sql, &[], |row| unsigned(row, 0))?.pop().unwrap_or(0))
    }

    fn series(&self, endpoint: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT path FROM series WHERE endpoint = $1 ORDER BY path";
        self.list(sql, &[&stored(endpoint)], |row| text(row, 0))
    }

    fn samples(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        most: usize,
    ) -> Result<Vec<(u64, Sample)>, StoreError> {
        let mut samples = Vec::new();
        self.each_sample(endpoint, path, &range, limit(most), |at, value| samples.push((at, value)))?;
        Ok(samples)
    }

    fn last_samples(&self, each: &mut dyn FnMut(&str, &str, u64, Sample)) -> Result<(), StoreError> {
        let sql = "SELECT last.at, last.integer, last.number, last.text, last.opaque, series.endpoint, series.path \
            FROM series CROSS JOIN LATERAL (SELECT * FROM sample WHERE sample.series = series.id \
            ORDER BY at DESC LIMIT 1) AS last ORDER BY series.endpoint, series.path";
        self.ask(|link| {
            link.each_row(sql, &[], |row| {
                each(&text(row, 5)?, row.try_get(6)?, unsigned(row, 0)?, sample(row)?);
                Ok::<_, Failure>(Wants::More)
            })
        })
    }

    fn summary(
        &self,
        endpoint: &str,
        path: &str,
        range: Range<u64>,
        step: u64,
    ) -> Result<Vec<Summary>, StoreError> {
        let mut sums = Sums::new(step);
        self.each_sample(endpoint, path, &range, i64::MAX, |at, value| sums.add(at, &value))?;
        Ok(sums.summaries())
    }

    fn firmware(&self) -> Result<Vec<FirmwareRow>, StoreError> {
        let sql = "SELECT digest, name, version, project, size, uploaded_at, signature FROM firmware \
                   ORDER BY uploaded_at DESC, digest";
        self.list(sql, &[], |row| {
            Ok(FirmwareRow {
                digest: text(row, 0)?,
                name: text(row, 1)?,
                version: text(row, 2)?,
                project: text(row, 3)?,
                size: unsigned(row, 4)?,
                uploaded_at: unsigned(row, 5)?,
                signature: row.try_get(6)?,
            })
        })
    }

    fn open_updates(&self) -> Result<Vec<UpdateRecord>, StoreError> {
        let sql = "SELECT id, endpoint, ended, record FROM firmware_update WHERE NOT ended ORDER BY id";
        self.list(sql, &[], update_row)
    }

    fn updates(&self, endpoint: Option<&str>, page: Page) -> Result<Vec<UpdateRecord>, StoreError> {
        let sql = "SELECT id, endpoint, ended, record FROM firmware_update \
            WHERE id < $1 AND ($2::text IS NULL OR endpoint = $2) ORDER BY id DESC LIMIT $3";
        self.list(sql, &[&bound(page.before), &endpoint.map(stored), &limit(page.limit)], update_row)
    }

    fn idempotency_key(&self, key: &str) -> Result<Option<KeyRow>, StoreError> {
        let sql = "SELECT key, digest, made, at FROM idempotency_key WHERE key = $1";
        let read = |row: &Row| {
            let (made, at) = (unsigned(row, 2)?, unsigned(row, 3)?);
            Ok(KeyRow { key: text(row, 0)?, digest: row.try_get(1)?, made, at })
        };
        Ok(self.list(sql, &[&stored(key)], read)?.pop())
    }

    fn each_credential(&self, each: &mut dyn FnMut(CredentialRow)) -> Result<(), StoreError> {
        let sql = "SELECT id, purpose, endpoint, kind, identity, sealed, created_at, state FROM credential ORDER BY id";
        self.ask(|link| {
            link.each_row(sql, &[], |row| {
                each(credential_row(row)?);
                Ok::<_, Failure>(Wants::More)
            })
        })
    }

    fn credential(&self, id: u64) -> Result<Option<CredentialRow>, StoreError> {
        let sql = "SELECT id, purpose, endpoint, kind, identity, sealed, created_at, state FROM credential WHERE id = $1";
        Ok(self.list(sql, &[&bound(id)], credential_row)?.pop())
    }

    fn credentials(
        &self,
        filter: &CredentialFilter<'_>,
        page: Page,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        let (endpoint, purpose) = (filter.endpoint.map(stored), filter.purpose.map(Purpose::as_str));
        self.list(
            CREDENTIALS,
            &[&bound(page.before), &endpoint, &purpose, &limit(page.limit)],
            credential_row,
        )
    }

    fn sessions(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.records("SELECT id, record FROM sessions ORDER BY id", each)
    }

    fn bootstrap_configs(&self) -> Result<Vec<BootstrapConfigRow>, StoreError> {
        let sql = "SELECT pattern, sealed, changed_at FROM bootstrap_config ORDER BY pattern";
        self.list(sql, &[], |row| {
            let (pattern, sealed, changed_at) = (text(row, 0)?, row.try_get(1)?, unsigned(row, 2)?);
            Ok(BootstrapConfigRow { pattern, sealed, changed_at })
        })
    }

    fn bootstrap_claims(&self) -> Result<Vec<BootstrapClaimRow>, StoreError> {
        let sql = "SELECT endpoint, address, first_asked, last_asked, accepted_at FROM bootstrap_claim \
                   ORDER BY endpoint";
        self.list(sql, &[], |row| {
            Ok(BootstrapClaimRow {
                endpoint: text(row, 0)?,
                address: text(row, 1)?,
                first_asked: unsigned(row, 2)?,
                last_asked: unsigned(row, 3)?,
                accepted_at: row.try_get::<_, Option<i64>>(4)?.map(|at| at as u64),
            })
        })
    }

    fn devices(&self, each: &mut dyn FnMut(DeviceRow)) -> Result<(), StoreError> {
        let optional =
            |row: &Row, column| Ok::<_, Failure>(row.try_get::<_, Option<String>>(column)?.map(original));
        let sql = "SELECT endpoint, first_contact, last_contact, proved, manufacturer, model, serial, firmware, hardware, \
                   software, read_at FROM device ORDER BY endpoint";
        let devices = self.list(sql, &[], |row| {
            Ok(DeviceRow {
                endpoint: text(row, 0)?,
                first_contact: unsigned(row, 1)?,
                last_contact: unsigned(row, 2)?,
                proved: row.try_get(3)?,
                description: DeviceDescription {
                    manufacturer: optional(row, 4)?,
                    model: optional(row, 5)?,
                    serial: optional(row, 6)?,
                    firmware: optional(row, 7)?,
                    hardware: optional(row, 8)?,
                    software: optional(row, 9)?,
                    read_at: row.try_get::<_, Option<i64>>(10)?.map(|at| at as u64),
                },
            })
        })?;
        devices.into_iter().for_each(each);
        Ok(())
    }

    fn documents(
        &self,
        kind: DocumentKind,
        prefix: &str,
        each: &mut dyn FnMut(DocumentRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT key, body, changed_at FROM document \
                   WHERE kind = $1 AND key >= $2 AND ($3::text IS NULL OR key < $3) ORDER BY key";
        let behind = behind(prefix);
        let parameters: &Parameters<'_> = &[&kind.as_str(), &stored(prefix), &behind.as_deref().map(stored)];
        let found = self.list(sql, parameters, |row| document_row(kind, row))?;
        found.into_iter().for_each(each);
        Ok(())
    }

    fn document(&self, kind: DocumentKind, name: &str) -> Result<Option<DocumentRow>, StoreError> {
        let sql = "SELECT key, body, changed_at FROM document WHERE kind = $1 AND key = $2";
        Ok(self.list(sql, &[&kind.as_str(), &stored(name)], |row| document_row(kind, row))?.pop())
    }

    fn audit(&self, filter: &AuditFilter<'_>, page: Page) -> Result<Vec<AuditRow>, StoreError> {
        let AuditFilter { principal, action, target } = filter;
        let (principal, action, target) = (principal.map(stored), action.map(stored), target.map(stored));
        let parameters: &Parameters<'_> =
            &[&bound(page.before), &principal, &action, &target, &limit(page.limit)];
        self.list(AUDIT, parameters, audit_row)
    }

    fn audit_chain(&self, each: &mut dyn FnMut(AuditRow, Option<AuditHash>)) -> Result<(), StoreError> {
        let sql = "SELECT id, at, principal, origin, action, target, detail, result, hash FROM audit \
                   WHERE id > $1 ORDER BY id LIMIT $2";
        let mut after = -1;
        loop {
            let rows = self.list(sql, &[&after, &limit(AUDIT_AT_ONCE)], |row| {
                // A hash of another length is as wrong as any.
                let hash = row.try_get::<_, Option<Vec<u8>>>(8)?;
                Ok((audit_row(row)?, hash.map(|hash| hash.try_into().unwrap_or_default())))
            })?;
            let is_last = rows.len() < AUDIT_AT_ONCE;
            if let Some((row, _)) = rows.last() {
                after = row.id as i64;
            }
            rows.into_iter().for_each(|(row, hash)| each(row, hash));
            if is_last {
                return Ok(());
            }
        }
    }

    fn audit_head(&self) -> Result<Option<AuditHead>, StoreError> {
        let heads = self.list("SELECT last, hash FROM audit_head", &[], |row| {
            let hash = row.try_get::<_, Vec<u8>>(1)?.try_into().unwrap_or_default();
            Ok(AuditHead { last: unsigned(row, 0)?, hash })
        })?;
        Ok(heads.into_iter().next())
    }

    fn moved(&self) -> Result<Option<MovedTo>, StoreError> {
        let found = self.list("SELECT target, at FROM moved", &[], |row| {
            Ok(MovedTo { target: text(row, 0)?, at: unsigned(row, 1)? })
        });
        Ok(found?.pop())
    }

    /// The copy is an SQLite file.
    fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let link =
            Link::connect(&self.driver, &self.place).map_err(|failure| failure.into_error(&self.place))?;
        let rows = PostgresRows::at_one_instant(link, self.place.clone())?;
        copy_to_file(&rows, target, |table| table != SESSIONS)
    }
}

/// A number that was saved as a signed one.
fn unsigned(row: &Row, column: usize) -> Result<u64, Failure> {
    Ok(row.try_get::<_, i64>(column)? as u64)
}

fn text(row: &Row, column: usize) -> Result<String, Failure> {
    Ok(original(row.try_get(column)?))
}

fn operation_row(row: &Row) -> Result<OperationRow, Failure> {
    Ok(OperationRow {
        id: unsigned(row, 0)?,
        endpoint: text(row, 1)?,
        ended: row.try_get(2)?,
        changed_at: unsigned(row, 3)?,
        record: row.try_get(4)?,
    })
}

fn update_row(row: &Row) -> Result<UpdateRecord, Failure> {
    let (id, endpoint) = (unsigned(row, 0)?, text(row, 1)?);
    Ok(UpdateRecord { id, endpoint, ended: row.try_get(2)?, record: row.try_get(3)? })
}

fn credential_row(row: &Row) -> Result<CredentialRow, Failure> {
    Ok(CredentialRow {
        id: unsigned(row, 0)?,
        purpose: word(row, 1, Purpose::parse)?,
        endpoint: text(row, 2)?,
        kind: word(row, 3, CredentialKind::parse)?,
        identity: row.try_get(4)?,
        sealed: row.try_get(5)?,
        created_at: unsigned(row, 6)?,
        state: word(row, 7, CredentialState::parse)?,
    })
}

fn audit_row(row: &Row) -> Result<AuditRow, Failure> {
    Ok(AuditRow {
        id: unsigned(row, 0)?,
        at: unsigned(row, 1)?,
        principal: text(row, 2)?,
        origin: text(row, 3)?,
        action: text(row, 4)?,
        target: text(row, 5)?,
        detail: text(row, 6)?,
        result: text(row, 7)?,
    })
}

fn document_row(kind: DocumentKind, row: &Row) -> Result<DocumentRow, Failure> {
    Ok(DocumentRow { kind, name: text(row, 0)?, body: row.try_get(1)?, changed_at: unsigned(row, 2)? })
}

/// One of the words that a column may hold.
fn word<T>(row: &Row, column: usize, parse: fn(&str) -> Option<T>) -> Result<T, Failure> {
    let text: &str = row.try_get(column)?;
    let unknown = || StoreError::Database(format!("{text} is not a word of its column"));
    Ok(parse(text).ok_or_else(unknown)?)
}

fn sample(row: &Row) -> Result<Sample, Failure> {
    Ok(if let Some(value) = row.try_get(1)? {
        Sample::Integer(value)
    } else if let Some(value) = row.try_get(2)? {
        Sample::Float(value)
    } else if let Some(value) = row.try_get::<_, Option<String>>(3)? {
        Sample::Text(original(value))
    } else {
        Sample::Opaque(row.try_get(4)?)
    })
}
