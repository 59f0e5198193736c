//! Reads all credentials at the start: one thread reads rows, the others decrypt secrets, which takes longer.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use buoy_store::{CredentialRow, DocumentKind, Reader, StoreError};
use zeroize::Zeroizing;

use super::book::{Book, Entry};
use crate::keyfile::{OpenError, Sealer, name_of_credential};

/// Rows that are passed to a thread at once.
const CHUNK: usize = 1024;
/// More threads would only wait for the one that reads.
const MOST_THREADS: usize = 8;

/// All credentials, and the last assigned id.
///
/// # Errors
/// If the store fails, or a secret can't be decrypted.
pub(super) fn load(reader: &dyn Reader, sealer: &Sealer) -> anyhow::Result<(Book, u64)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let loading = Loading { sealer, book: Mutex::default(), trouble: Mutex::default() };
    let (rows, waiting) = sync_channel(threads);
    let waiting = Mutex::new(waiting);
    let last = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loading.work(&waiting));
        }
        let (mut last, mut chunk) = (0, Vec::with_capacity(CHUNK));
        let read = reader.each_credential(&mut |row| {
            last = row.id;
            chunk.push(row);
            if chunk.len() == CHUNK {
                // The workers only end when this sender does.
                let _ = rows.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)));
            }
        });
        let _ = rows.send(chunk);
        drop(rows);
        read.map(|()| last)
    })?;
    if let Some((row, error)) = loading.trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error)
            .with_context(|| format!("the secret of credential {} of {}", row.id, row.endpoint));
    }
    Ok((loading.book.into_inner().unwrap_or_else(PoisonError::into_inner), last))
}

/// The devices that are out of service.
///
/// # Errors
/// If the store fails.
pub(super) fn retired(reader: &dyn Reader, mut each: impl FnMut(&str)) -> Result<(), StoreError> {
    #[derive(serde::Deserialize)]
    struct Noted {
        #[serde(default)]
        retired_at: Option<u64>,
    }
    reader.documents(DocumentKind::Device, "", &mut |row| {
        // Few are: the others are not parsed.
        let is_told = row.body.windows(RETIRED.len()).any(|part| part == RETIRED);
        let noted = is_told.then(|| serde_json::from_slice::<Noted>(&row.body).ok()).flatten();
        if noted.is_some_and(|noted| noted.retired_at.is_some()) {
            each(&row.name);
        }
    })
}

/// The name of the field in a document.
const RETIRED: &[u8] = b"\"retired_at\"";

/// What the threads share.
struct Loading<'a> {
    sealer: &'a Sealer,
    book: Mutex<Book>,
    trouble: Mutex<Option<(CredentialRow, OpenError)>>,
}

impl Loading<'_> {
    fn work(&self, waiting: &Mutex<Receiver<Vec<CredentialRow>>>) {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(rows) = next else { return };
            let entries: Vec<Entry> = rows.into_iter().filter_map(|row| self.open(row)).collect();
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            entries.into_iter().for_each(|entry| book.insert(entry));
        }
    }

    fn open(&self, row: CredentialRow) -> Option<Entry> {
        let secret = match row.sealed.as_slice() {
            [] => Ok(Zeroizing::default()),
            sealed => self.sealer.open(&name_of_credential(&row), sealed),
        };
        match secret {
            Ok(secret) => Some(Entry::new(&row, row.endpoint.as_str().into(), &secret)),
            Err(error) => {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((row, error));
                None
            }
        }
    }
}
