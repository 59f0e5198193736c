//! What devices change most, registrations, sessions and values over time, in two steps: a commit appends all of it as one row, a batch,
//! and later many batches are sorted into their tables at once. Readers look into both.
//!
//! A value that went to its place at once would cost a page of its own: each commit would write as many pages as there are devices in
//! it. Sorted by the ten thousand, a page takes many. A registration or a session would cost a statement, and so costs some bytes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::{Sample, StoreError};

/// Bytes that are sorted in one commit: some thousand registrations, or some ten thousand samples.
pub(super) const SORTED_AT_ONCE: usize = 1 << 18;
/// The same while nobody is served yet.
pub(super) const SORTED_AT_START: usize = 64 << 20;
/// What one commit appends: a row, or some if it is much.
#[derive(Debug, Default)]
pub(super) struct Pending {
    registrations: Vec<u8>,
    sessions: Vec<u8>,
    samples: Vec<u8>,
    pub(super) count: usize,
}

/// A table of records by number, and the column of batches that has what is said of them.
pub(super) struct Records {
    column: &'static str,
    table: &'static str,
    key: &'static str,
}

pub(super) const REGISTRATIONS: Records =
    Records { column: "registrations", table: "registration", key: "key" };
pub(super) const SESSIONS: Records = Records { column: "sessions", table: "sessions", key: "id" };

/// What a batch says of one record; without bytes it is forgotten.
#[derive(Debug, Serialize, Deserialize)]
struct Word<'a> {
    key: u64,
    #[serde(borrow)]
    record: Option<&'a Bytes>,
}

/// One sample of a batch.
#[derive(Debug, Deserialize)]
struct Entry {
    series: i64,
    at: u64,
    value: Sample,
}

impl Pending {
    pub(super) fn registration(&mut self, key: u64, record: Option<&[u8]>) -> Result<(), StoreError> {
        self.count += 1;
        append(&mut self.registrations, &Word { key, record: record.map(Bytes::new) })
    }

    pub(super) fn session(&mut self, id: u64, record: Option<&[u8]>) -> Result<(), StoreError> {
        self.count += 1;
        append(&mut self.sessions, &Word { key: id, record: record.map(Bytes::new) })
    }

    pub(super) fn sample(&mut self, series: i64, at: u64, value: &Sample) -> Result<(), StoreError> {
        self.count += 1;
        // The fields of an [`Entry`], in their order.
        append(&mut self.samples, &(series, at, value))
    }

    /// Whether a row would be longer than what is sorted at once.
    pub(super) fn is_large(&self) -> bool {
        self.registrations.len() + self.sessions.len() + self.samples.len() >= SORTED_AT_ONCE
    }

    /// Forgets what came since the last row was saved, when there were so many entries.
    pub(super) fn forget_back_to(&mut self, count: usize) {
        *self = Self { count, ..Self::default() };
    }

    /// Saves what has come so far as one row.
    pub(super) fn save(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let Self { registrations, sessions, samples, .. } = self;
        if registrations.is_empty() && sessions.is_empty() && samples.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO batch (registrations, sessions, samples) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(sql)?.execute(params![*registrations, *sessions, *samples])?;
        [registrations, sessions, samples].into_iter().for_each(Vec::clear);
        Ok(())
    }
}

fn append(bytes: &mut Vec<u8>, entry: &impl Serialize) -> Result<(), StoreError> {
    let extended = postcard::to_extend(entry, std::mem::take(bytes));
    *bytes = extended.map_err(|error| StoreError::Database(error.to_string()))?;
    Ok(())
}

/// Sorts the oldest batches into their tables, so many bytes of them. How many entries these had; none if there is no batch.
pub(super) fn sort(transaction: &Transaction<'_>, bytes: usize) -> Result<usize, StoreError> {
    let Some(last) = last_within(transaction, bytes)? else { return Ok(0) };
    let registrations = REGISTRATIONS.sort(transaction, last)?;
    let sessions = SESSIONS.sort(transaction, last)?;
    if sessions.are_damaged {
        // What is older than the words that were lost must not come back: a record's number would be used a second time. A device
        // without its session makes a new one.
        transaction.execute("DELETE FROM sessions", [])?;
    }
    if registrations.are_damaged || sessions.are_damaged {
        tracing::error!(
            "registrations or sessions that were saved last cannot be read; the disk may be failing. Sessions are made anew, and devices \
             that are missing come back with their next Register"
        );
    }
    let mut samples = Vec::new();
    each_sample(transaction, last, |entry| samples.push(entry))?;
    sort_samples(transaction, &mut samples)?;
    transaction.prepare_cached("DELETE FROM batch WHERE id <= ?1")?.execute([last])?;
    Ok(samples.len() + registrations.count + sessions.count)
}

/// Hands out the samples of the batches up to one, in the order in which they came. A damaged batch costs its own samples only.
fn each_sample(connection: &Connection, last: i64, mut each: impl FnMut(Entry)) -> Result<(), StoreError> {
    let sql = "SELECT samples FROM batch WHERE id <= ?1 AND length(samples) > 0 ORDER BY id";
    let mut batches = connection.prepare_cached(sql)?;
    let mut rows = batches.query([last])?;
    while let Some(row) = rows.next()? {
        let mut bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
        while let Ok((entry, rest)) = postcard::take_from_bytes::<Entry>(bytes) {
            each(entry);
            bytes = rest;
        }
    }
    Ok(())
}

/// What batches have of one series in a range of time: the last value of each instant.
pub(super) fn unsorted_samples(
    connection: &Connection,
    series: i64,
    range: &Range<u64>,
) -> Result<BTreeMap<u64, Sample>, StoreError> {
    let mut samples = BTreeMap::new();
    each_sample(connection, i64::MAX, |entry| {
        if entry.series == series && range.contains(&entry.at) {
            samples.insert(entry.at, entry.value);
        }
    })?;
    Ok(samples)
}

/// The last of the oldest batches that have so many bytes together; one at least, if there is one.
fn last_within(transaction: &Transaction<'_>, bytes: usize) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id, length(registrations) + length(sessions) + length(samples) FROM batch ORDER BY id";
    let mut batches = transaction.prepare_cached(sql)?;
    let mut rows = batches.query([])?;
    let (mut last, mut sum) = (None, 0);
    while usize::try_from(sum).is_ok_and(|sum| sum < bytes)
        && let Some(row) = rows.next()?
    {
        last = Some(row.get(0)?);
        sum += row.get::<_, i64>(1)?;
    }
    Ok(last)
}

/// What was said of records.
#[derive(Default)]
struct Words {
    count: usize,
    /// Some could not be read.
    are_damaged: bool,
}

impl Records {
    /// The last word on a key counts, and only that is written: a device that registered again and again leaves one row.
    fn sort(&self, transaction: &Transaction<'_>, last: i64) -> Result<Words, StoreError> {
        let Self { table, key, .. } = self;
        let mut last_words = HashMap::new();
        let words = self.each_word(transaction, last, |number, Word { key, .. }| {
            last_words.insert(key, number);
            Ok(())
        })?;
        let highest: Option<i64> =
            transaction.query_row(&format!("SELECT max({key}) FROM {table}"), [], |row| row.get(0))?;
        let put = format!("INSERT OR REPLACE INTO {table} ({key}, record) VALUES (?1, ?2)");
        let mut put = transaction.prepare_cached(&put)?;
        let mut remove = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE {key} = ?1"))?;
        self.each_word(transaction, last, |number, Word { key, record }| {
            if last_words.get(&key) != Some(&number) {
                return Ok(());
            }
            match record {
                Some(record) => put.execute(params![key as i64, &**record])?,
                // One that came and went within these batches was never in the table.
                None if Some(key as i64) > highest => 0,
                None => remove.execute([key as i64])?,
            };
            Ok(())
        })?;
        Ok(words)
    }

    /// Hands out each record, by ascending key: those of the table, and in their place what batches say.
    pub(super) fn each(
        &self,
        connection: &Connection,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), StoreError> {
        let mut unsorted = BTreeMap::new();
        self.each_word(connection, i64::MAX, |_, Word { key, record }| {
            unsorted.insert(key, record.map(|record| record.to_vec()));
            Ok(())
        })?;
        let mut unsorted = unsorted.into_iter().peekable();
        let Self { table, key, .. } = self;
        let mut statement =
            connection.prepare(&format!("SELECT {key}, record FROM {table} ORDER BY {key}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get::<_, i64>(0)? as u64;
            while let Some((key, record)) = unsorted.next_if(|(first, _)| *first < key) {
                record.iter().for_each(|record| each(key, record));
            }
            match unsorted.next_if(|(first, _)| *first == key) {
                Some((_, record)) => record.iter().for_each(|record| each(key, record)),
                None => each(key, row.get_ref(1)?.as_blob().unwrap_or_default()),
            }
        }
        for (key, record) in unsorted {
            record.iter().for_each(|record| each(key, record));
        }
        Ok(())
    }

    /// Hands out what the batches up to one say, in the order in which it came, and each with its number.
    fn each_word(
        &self,
        connection: &Connection,
        last: i64,
        mut each: impl FnMut(usize, Word<'_>) -> Result<(), StoreError>,
    ) -> Result<Words, StoreError> {
        let sql = format!("SELECT {} FROM batch WHERE id <= ?1 ORDER BY id", self.column);
        let mut batches = connection.prepare_cached(&sql)?;
        let mut rows = batches.query([last])?;
        let mut words = Words::default();
        while let Some(row) = rows.next()? {
            let mut bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
            while let Ok((word, rest)) = postcard::take_from_bytes(bytes) {
                each(words.count, word)?;
                words.count += 1;
                bytes = rest;
            }
            words.are_damaged |= !bytes.is_empty();
        }
        Ok(words)
    }
}

fn sort_samples(transaction: &Transaction<'_>, samples: &mut [Entry]) -> Result<(), StoreError> {
    // Stable: of two samples of one time the later one comes later, and stays.
    samples.sort_by_key(|entry| (entry.series, entry.at));
    let mut insert = transaction
        .prepare_cached("INSERT OR REPLACE INTO sample (series, at, value) VALUES (?1, ?2, ?3)")?;
    for Entry { series, at, value } in samples.iter() {
        let at = *at as i64;
        match value {
            Sample::Integer(value) => insert.execute(params![series, at, value]),
            Sample::Float(value) => insert.execute(params![series, at, value]),
            Sample::Text(value) => insert.execute(params![series, at, value]),
            Sample::Opaque(value) => insert.execute(params![series, at, value]),
        }?;
    }
    Ok(())
}
