//! Copies SQLite's log back into the database beside the writer, so that no commit waits while megabytes are copied.
//!
//! SQLite begins its log anew only when all of it is copied, and behind a writer who never rests a copier never gets there. So a thread
//! copies in small steps, which keep the disk's queue short; and once the log is long, and the thread just behind, the writer
//! copies the few pages that are left. The next commit then begins at the start of the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, Row};

use crate::StoreError;

/// In pages of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So many are copied at once.
    pub(super) step: usize,
    /// A log as long as this is to begin anew.
    pub(super) limit: usize,
    /// So many the writer copies itself.
    pub(super) rest: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { step: 500, limit: 1_000, rest: 100 }
    }
}

/// The thread, and what the writer knows of it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    pace: Pace,
    /// Pages of the log, of which the writer's connection tells.
    log: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    /// Gone when the writer is dropped.
    orders: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_copying: AtomicBool,
    /// Pages that are copied, of a log that may have begun anew since.
    copied: AtomicUsize,
}

impl Checkpointer {
    /// `writer` tells how long the log is from now on, and copies no more by itself.
    pub(super) fn start(writer: &mut Connection, own: Connection, pace: Pace) -> Result<Self, StoreError> {
        let log = Arc::new(AtomicUsize::new(0));
        let told = log.clone();
        writer.wal_hook(Some(move |_: &mut _, pages| {
            told.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let shared = Arc::<Shared>::default();
        let (orders, queue) = channel();
        let thread = std::thread::Builder::new().name("checkpoint".into());
        let of_thread = shared.clone();
        let thread = thread
            .spawn(move || copy_when_told(&own, &queue, &of_thread))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Ok(Self { pace, log, shared, orders: Some(orders), thread: Some(thread) })
    }

    /// To be called after each commit.
    pub(super) fn after_commit(&self, writer: &Connection) {
        let log = self.log.load(Ordering::Relaxed);
        if self.shared.is_copying.load(Ordering::Acquire) {
            return;
        }
        let left = self.left(log);
        let is_long = log >= self.pace.limit;
        // Where a reader needs the log nothing more is copied, so more is left with each commit, and this ends by itself.
        if is_long && left <= self.pace.rest {
            copy(writer, &self.shared);
        } else if is_long || left >= self.pace.step {
            self.copy_soon();
        }
    }

    /// Has all copied that can be copied now.
    pub(super) fn copy_soon(&self) {
        self.shared.is_copying.store(true, Ordering::Release);
        if let Some(orders) = &self.orders {
            // The thread lives as long as this does.
            let _ = orders.send(());
        }
    }

    /// Pages of a log of this length that are not copied.
    fn left(&self, log: usize) -> usize {
        let copied = self.shared.copied.load(Ordering::Relaxed);
        // More than there are: those were of the log before.
        log.checked_sub(copied).unwrap_or(log)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn copy_when_told(connection: &Connection, orders: &Receiver<()>, shared: &Shared) {
    while orders.recv().is_ok() {
        copy(connection, shared);
        shared.is_copying.store(false, Ordering::Release);
    }
}

/// If this fails all of it is still in the log, and the next attempt may do better; that the disk is full is said by the next commit.
fn copy(connection: &Connection, shared: &Shared) {
    let copied = |row: &Row<'_>| row.get::<_, i64>(2);
    if let Ok(copied) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], copied) {
        shared.copied.store(usize::try_from(copied).unwrap_or(0), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Sqlite;
    use crate::{Change, Reader as _, RecordChange, Writer as _};

    const PACE: Pace = Pace { step: 20, limit: 100, rest: 10 };
    const PAGE: u64 = 4096;

    /// Commits registrations, each of which takes a page and more, and says how long the log's file has become.
    fn commit(store: &Sqlite, keys: std::ops::Range<u64>) -> u64 {
        let mut writer = store.writer_at(PACE).unwrap();
        for key in keys {
            let record = vec![7; PAGE as usize].into();
            writer.commit(&[vec![Change::Registration(RecordChange::Put { key, record })]]).unwrap();
        }
        std::fs::metadata(store.path.with_file_name("buoy.db-wal")).unwrap().len()
    }

    fn count(store: &Sqlite) -> usize {
        let mut count = 0;
        store.reader().unwrap().registrations(&mut |_, _| count += 1).unwrap();
        count
    }

    #[test]
    fn a_log_under_a_writer_who_never_rests_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("buoy.db")).unwrap();
        // Some three pages each: six thousand in all. How soon the thread gets a processor is the system's affair.
        let length = commit(&store, 0..2000);
        assert!(length < 4000 * PAGE, "the log has {} pages", length / PAGE);
        drop(store.writer().unwrap());
        assert_eq!(count(&store), 2000);
    }

    #[test]
    fn a_log_that_a_reader_needs_grows_until_the_reader_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("buoy.db")).unwrap();
        commit(&store, 0..10);
        let reader = store.reader().unwrap();
        reader.connection().execute_batch("BEGIN; SELECT count(*) FROM registration").unwrap();
        let grown = commit(&store, 10..400);
        assert!(grown > 400 * PAGE, "the log has {} pages", grown / PAGE);
        reader.connection().execute_batch("COMMIT").unwrap();
        let length = commit(&store, 400..2000);
        assert!(length < grown + 3500 * PAGE, "the log has {} pages", length / PAGE);
        drop(store.writer().unwrap());
        assert_eq!(count(&store), 2000);
    }
}
