//! Values over time, in two steps: a commit appends all its samples as one row, and later many rows are sorted into their series at once.
//!
//! A sample that went to its place at once would cost a page of its own: each commit would write as many pages as there are devices in
//! it. Sorted by the ten thousand, a page takes many.

use std::collections::HashMap;

use buoy_lwm2m::path::Path;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::{Sample, StoreError};

/// So many samples are sorted in one commit.
const SETTLED_AT_ONCE: usize = 32_768;
/// Endpoints whose series are remembered.
const MOST_ENDPOINTS: usize = 1_000_000;

/// What the writer knows of the series.
#[derive(Debug, Default)]
pub(super) struct Series {
    ids: HashMap<Box<str>, Vec<(Path, i64)>>,
    /// Samples that are in batches yet.
    pub(super) unsettled: usize,
}

/// One sample of a batch.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    series: i64,
    at: u64,
    value: Sample,
}

impl Series {
    /// To be called when a commit failed, or series were deleted: what is remembered may not be there.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
    }

    /// Appends a sample to the batch of a commit.
    pub(super) fn append(
        &mut self,
        transaction: &Transaction<'_>,
        batch: Vec<u8>,
        endpoint: &str,
        path: Path,
        at: u64,
        value: Sample,
    ) -> Result<Vec<u8>, StoreError> {
        let series = self.id(transaction, endpoint, path)?;
        let entry = Entry { series, at, value };
        postcard::to_extend(&entry, batch).map_err(|error| StoreError::Database(error.to_string()))
    }

    fn id(&mut self, transaction: &Transaction<'_>, endpoint: &str, path: Path) -> Result<i64, StoreError> {
        let known = self.ids.get(endpoint).and_then(|all| all.iter().find(|(known, _)| *known == path));
        if let Some((_, id)) = known {
            return Ok(*id);
        }
        let text = path.to_string();
        let find = "SELECT id FROM series WHERE endpoint = ?1 AND path = ?2";
        let found =
            transaction.prepare_cached(find)?.query_row([endpoint, &text], |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                let sql = "INSERT INTO series (endpoint, path) VALUES (?1, ?2)";
                transaction.prepare_cached(sql)?.execute([endpoint, &text])?;
                transaction.last_insert_rowid()
            }
        };
        if self.ids.len() >= MOST_ENDPOINTS {
            self.ids.clear();
        }
        self.ids.entry(endpoint.into()).or_default().push((path, id));
        Ok(id)
    }
}

/// Saves the batch of a commit.
pub(super) fn save(transaction: &Transaction<'_>, batch: &[u8]) -> Result<(), StoreError> {
    transaction.prepare_cached("INSERT INTO sample_batch (samples) VALUES (?1)")?.execute([batch])?;
    Ok(())
}

/// Sorts the oldest batches into their series. How many samples these were; none if there is no batch.
pub(super) fn settle(transaction: &Transaction<'_>) -> Result<usize, StoreError> {
    let (mut entries, mut last) = (Vec::new(), None);
    {
        let mut statement = transaction.prepare_cached("SELECT id, samples FROM sample_batch ORDER BY id")?;
        let mut rows = statement.query([])?;
        while entries.len() < SETTLED_AT_ONCE
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, i64>(0)?);
            let mut bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
            // A damaged batch costs its own samples only.
            while let Ok((entry, rest)) = postcard::take_from_bytes::<Entry>(bytes) {
                entries.push(entry);
                bytes = rest;
            }
        }
    }
    // Stable: of two samples of one time the later one comes later, and stays.
    entries.sort_by_key(|entry| (entry.series, entry.at));
    let mut insert = transaction
        .prepare_cached("INSERT OR REPLACE INTO sample (series, at, value) VALUES (?1, ?2, ?3)")?;
    for Entry { series, at, value } in &entries {
        let at = *at as i64;
        match value {
            Sample::Integer(value) => insert.execute(params![series, at, value]),
            Sample::Float(value) => insert.execute(params![series, at, value]),
            Sample::Text(value) => insert.execute(params![series, at, value]),
            Sample::Opaque(value) => insert.execute(params![series, at, value]),
        }?;
    }
    transaction.prepare_cached("DELETE FROM sample_batch WHERE id <= ?1")?.execute([last.unwrap_or(0)])?;
    Ok(entries.len())
}
