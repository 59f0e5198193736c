//! The thread that writes to the store. It commits all changes that arrived during the last commit in one transaction.
//!
//! Changes of shards and of operators go through one queue, so their order is kept. Each is a set that is committed completely or not at all,
//! and a refused set doesn't affect the others. Acknowledgements are sent first; maintenance follows in slices. If the store fails, no outbox is
//! returned and no change is lost: the commit is retried, `/readyz` reports why the server is not ready, and the shards refuse requests
//! that they could not save.

use std::mem::Discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_lwm2m::model::Registry;
use buoy_lwm2m::path::Path;
use buoy_net::clock::Clock;
use buoy_net::shard::{Done, Journal};
use buoy_net::supervision::Supervisor;
use buoy_server::Outbox;
use buoy_store::{ChangeSet, Fates, Maintenance, Rejection, Retention, StoreError, Writer};
use tokio::sync::oneshot;

use crate::changes::{of_outbox, tell_saved};
use crate::inventory::LastValue;
use crate::notice::{Notice, NoticeKind};
use crate::quota::SampleQuota;

/// The most entries in one commit.
const MAX_GROUP: usize = 256;
/// Appended rows are sorted when nothing has arrived for this long,
const IDLE: Duration = Duration::from_millis(100);
/// when this many of them wait,
const MOST_UNSORTED: usize = 1 << 19;
/// and in any case this often.
const SLICE_EVERY: Duration = Duration::from_millis(500);
/// How long one slice of maintenance may take.
const SLICE: Duration = Duration::from_millis(5);
/// After maintenance found nothing to do, it looks again after this time.
const LOOK_FOR_OLD: Duration = Duration::from_secs(60);
/// The pause before a failed commit is retried.
const RETRY: Duration = Duration::from_secs(1);
/// How often the store is checked while nothing has to be saved.
const LOOK: Duration = Duration::from_secs(5);
/// A commit that takes longer is reported as trouble, whatever becomes of it.
const SLOW: Duration = Duration::from_secs(5);
/// How often a caller that waits for a change checks whether the store fails.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

enum Work {
    Shard(Outbox, Done),
    Commit(ChangeSet<'static>, oneshot::Sender<Result<(), Rejection>>),
    Stop,
}

/// The handle of the journal. Cheap to clone.
#[derive(Clone)]
pub struct JournalHandle {
    work: Sender<Work>,
    health: Arc<Mutex<Health>>,
    counters: Arc<JournalCounters>,
}

/// How the store is.
#[derive(Debug, Default)]
struct Health {
    /// Why it cannot be written.
    trouble: Option<String>,
    /// Since when a commit has been under way.
    committing: Option<Instant>,
}

/// What was committed since the start.
#[derive(Debug, Default)]
pub struct JournalCounters {
    /// Transactions.
    pub commits: AtomicU64,
    /// Changes in them.
    pub changes: AtomicU64,
    /// Sets that the store refused.
    pub rejected: AtomicU64,
}

impl JournalHandle {
    /// What was committed since the start.
    #[must_use]
    pub fn counters(&self) -> &JournalCounters {
        &self.counters
    }

    /// Makes changes durable, all or none, for a caller that waits. Returns when they are durable, or the reason why not. While the store
    /// can't be written, the error is returned at once, and the changes are still made when it can be written again.
    pub async fn commit_now(&self, set: ChangeSet<'static>) -> Result<(), NotSaved> {
        self.unless_in_trouble(self.commit(set)).await?
    }

    /// Makes changes durable, all or none; returns when they are.
    pub async fn commit(&self, set: ChangeSet<'static>) -> Result<(), NotSaved> {
        let (done, wait) = oneshot::channel();
        self.work.send(Work::Commit(set, done)).map_err(|_| NotSaved::Stopped)?;
        wait.await.map_err(|_| NotSaved::Stopped)?.map_err(NotSaved::Rejected)
    }

    /// Makes changes durable, all or none, for a caller that doesn't wait; it can check the result later.
    pub(crate) fn commit_later(&self, set: ChangeSet<'static>) -> Saving {
        let (done, wait) = oneshot::channel();
        // While the server stops there is no receiver.
        let _ = self.work.send(Work::Commit(set, done));
        Saving(wait)
    }

    /// Returns when all changes that were sent before are durable.
    pub async fn flush(&self) -> Result<(), NotSaved> {
        self.commit_now(ChangeSet::new()).await
    }

    /// Waits for a future that needs the store, but only as long as the store can be written.
    pub async fn unless_in_trouble<T>(&self, what: impl Future<Output = T>) -> Result<T, NotSaved> {
        tokio::pin!(what);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK_AGAIN, &mut what).await {
                return Ok(done);
            }
            self.check()?;
        }
    }

    /// Whether the store can be written at the moment.
    pub fn check(&self) -> Result<(), NotSaved> {
        self.trouble().map_or(Ok(()), |trouble| Err(NotSaved::Trouble(trouble)))
    }

    /// Why the store cannot be written at the moment.
    pub fn trouble(&self) -> Option<String> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let slow = || {
            let waited = health.committing?.elapsed();
            let seconds = waited.as_secs();
            (waited > SLOW).then(|| format!("the store has not answered for {seconds} s; try again later"))
        };
        health.trouble.clone().or_else(slow)
    }

    /// Ends the thread after what was sent before.
    pub fn stop(&self) {
        let _ = self.work.send(Work::Stop);
    }
}

/// A commit for which no caller waits.
#[derive(Debug)]
pub(crate) struct Saving(oneshot::Receiver<Result<(), Rejection>>);

impl Saving {
    /// Whether it is durable, was refused, or will never be made.
    pub(crate) fn has_ended(&mut self) -> bool {
        match self.0.try_recv() {
            Ok(Ok(())) | Err(oneshot::error::TryRecvError::Closed) => true,
            Ok(Err(rejection)) => {
                tracing::error!(%rejection, "the store refuses what is known of a device");
                true
            }
            Err(oneshot::error::TryRecvError::Empty) => false,
        }
    }
}

/// Why a change is not durable.
#[derive(Debug)]
pub enum NotSaved {
    /// The server is stopping.
    Stopped,
    /// The store cannot be written at the moment.
    Trouble(String),
    /// The store will never take the change.
    Rejected(Rejection),
}

impl std::fmt::Display for NotSaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("the server is stopping"),
            Self::Trouble(trouble) => f.write_str(trouble),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl std::error::Error for NotSaved {}

impl Journal for JournalHandle {
    fn save(&mut self, outbox: Outbox, done: &Done) {
        // After the stop there is no receiver, and the outbox must not be sent, since it is not saved.
        let _ = self.work.send(Work::Shard(outbox, done.clone()));
    }
}

/// Called with a device, a resource of its object 3, and its value.
pub type Describe = Box<dyn FnMut(&Arc<str>, u16, &str) + Send>;
/// Called with a device and values that it reported.
pub type Remember = Box<dyn FnMut(&Arc<str>, Vec<(Path, LastValue)>) + Send>;

/// The parts of the thread.
pub struct Parts {
    /// The store.
    pub writer: Box<dyn Writer>,
    /// The object definitions for decoding reports.
    pub models: Arc<Registry>,
    /// The time.
    pub clock: Clock,
    /// The retention time of values and of ended operations and updates.
    pub retention: Duration,
    /// Called with values of reports that could not be saved.
    pub notify: Box<dyn FnMut(Notice) + Send>,
    /// Called with reported descriptions of devices.
    pub describe: Describe,
    /// Called with reported values.
    pub remember: Remember,
}

/// Starts the thread.
pub fn start(parts: Parts, supervisor: &Supervisor) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (work, queue) = channel();
    let handle = JournalHandle { work, health: Arc::default(), counters: Arc::default() };
    let (health, counters) = (handle.health.clone(), handle.counters.clone());
    let quota = SampleQuota::default();
    let thread = Thread {
        parts,
        queue,
        health,
        counters,
        quota,
        outage: None,
        last_look: Instant::now(),
        is_maintained: true,
    };
    let join = supervisor.spawn("journal".into(), move || thread.run().map_err(std::io::Error::other))?;
    Ok((handle, join))
}

struct Thread {
    parts: Parts,
    queue: Receiver<Work>,
    health: Arc<Mutex<Health>>,
    counters: Arc<JournalCounters>,
    quota: SampleQuota,
    /// The trouble that was told, if it goes on.
    outage: Option<Outage>,
    /// When the store was last known to be there, or not.
    last_look: Instant,
    /// Whether the last maintenance was done.
    is_maintained: bool,
}

/// A time in which the store cannot be written.
struct Outage {
    since: Instant,
    /// The kind of the error that was told last.
    kind: Discriminant<StoreError>,
}

impl Thread {
    /// # Errors
    /// If the store reports an error after which the server must not continue.
    fn run(mut self) -> Result<(), StoreError> {
        let mut group = Vec::with_capacity(MAX_GROUP);
        let mut left = Maintenance { is_removing: true, ..Maintenance::default() };
        let mut due = Instant::now() + IDLE;
        let mut last_slice = Instant::now();
        loop {
            let is_busy = match self.queue.recv_timeout(self.pause(due)) {
                Ok(work) => {
                    group.push(work);
                    true
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if is_busy {
                group.extend(self.queue.try_iter().take(MAX_GROUP - 1));
                let stops = group.iter().any(|work| matches!(work, Work::Stop));
                left.unsorted += self.commit_and_give_back(&mut group)?;
                if stops {
                    return Ok(());
                }
                due = Instant::now() + IDLE;
                if left.unsorted < MOST_UNSORTED && last_slice.elapsed() < SLICE_EVERY {
                    continue;
                }
            } else if !self.is_store_there()? || Instant::now() < due {
                continue;
            }
            let began = Instant::now();
            left = self.maintain(left);
            last_slice = Instant::now();
            // A pause of the same length leaves the processor to the threads that answer devices.
            due = last_slice
                + match left {
                    _ if !self.is_maintained => RETRY,
                    Maintenance { unsorted: 0, is_removing: false } => LOOK_FOR_OLD,
                    _ if is_busy => IDLE,
                    _ => began.elapsed(),
                };
        }
    }

    /// How long the thread may sleep if nothing comes.
    fn pause(&self, due: Instant) -> Duration {
        match self.outage {
            Some(_) => RETRY,
            None => due.saturating_duration_since(Instant::now()).min(LOOK),
        }
    }

    /// Whether the store can be used, as far as is known. It is checked now and then, so that an outage is reported before a request meets it.
    fn is_store_there(&mut self) -> Result<bool, StoreError> {
        let pause = if self.outage.is_some() { RETRY } else { LOOK };
        if self.last_look.elapsed() >= pause {
            let checked = self.time(|parts| parts.writer.check());
            self.last_look = Instant::now();
            match checked {
                Ok(()) => self.end_outage(),
                Err(error) => self.tell_trouble(error)?,
            }
        }
        Ok(self.outage.is_none())
    }

    /// Runs a slice of maintenance. If it fails, it can be done later, since everything is durable already.
    fn maintain(&mut self, left: Maintenance) -> Maintenance {
        let retention = u64::try_from(self.parts.retention.as_millis()).unwrap_or(u64::MAX);
        let since = self.parts.clock.date().saturating_sub(retention);
        let was_maintained = std::mem::replace(&mut self.is_maintained, true);
        let maintained = self.time(|parts| parts.writer.maintain(Retention { since }, SLICE));
        maintained.unwrap_or_else(|error| {
            if was_maintained {
                tracing::warn!(%error, "the store can't be maintained now; it is tried again");
            }
            self.is_maintained = false;
            left
        })
    }

    /// Makes a group durable and returns its outboxes. Returns the number of its changes.
    fn commit_and_give_back(&mut self, group: &mut Vec<Work>) -> Result<usize, StoreError> {
        let now = self.parts.clock.date();
        let mut sets: Vec<ChangeSet<'_>> = Vec::with_capacity(group.len());
        let of_shards: Vec<bool> = group.iter().map(|work| matches!(work, Work::Shard(..))).collect();
        for work in group.iter_mut() {
            sets.push(match work {
                Work::Shard(outbox, _) => of_outbox(outbox, now, &mut self.quota, &mut self.parts),
                Work::Commit(set, _) => std::mem::take(set),
                Work::Stop => ChangeSet::new(),
            });
        }
        let count = sets.iter().map(Vec::len).sum();
        let fates = self.commit_until_it_holds(&sets)?;
        for (place, rejection) in &fates.rejected {
            if of_shards.get(*place) == Some(&true)
                && let Some(set) = sets.get_mut(*place)
            {
                let set = std::mem::take(set);
                self.commit_one_by_one(set, rejection)?;
            }
        }
        drop(sets);
        let mut rejected = fates.rejected.into_iter().peekable();
        for (place, work) in group.drain(..).enumerate() {
            let rejection = rejected.next_if(|(rejected, _)| *rejected == place);
            give_back(work, rejection.map_or(Ok(()), |(_, rejection)| Err(rejection)));
        }
        Ok(count)
    }

    /// Commits the changes of a refused engine's set one by one: the engine has applied them, so every change that the store accepts is saved.
    fn commit_one_by_one(&mut self, set: ChangeSet<'_>, rejection: &Rejection) -> Result<(), StoreError> {
        tracing::error!(%rejection, "the store refuses a change of a device's state; what it holds is kept");
        let alone: Vec<ChangeSet<'_>> = set.into_iter().map(|change| vec![change]).collect();
        self.commit_until_it_holds(&alone).map(drop)
    }

    fn commit_until_it_holds(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, StoreError> {
        let changes: usize = sets.iter().map(Vec::len).sum();
        // Work without changes only waits for those before.
        if changes == 0 {
            return Ok(Fates::default());
        }
        loop {
            match self.time(|parts| parts.writer.commit(sets)) {
                Ok(fates) => {
                    self.end_outage();
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                    self.counters.changes.fetch_add(changes as u64, Ordering::Relaxed);
                    self.counters.rejected.fetch_add(fates.rejected.len() as u64, Ordering::Relaxed);
                    for left_out in &fates.left_out {
                        (self.parts.notify)(Notice {
                            endpoint: left_out.endpoint.as_str().into(),
                            kind: NoticeKind::TooManySeries(left_out.values),
                        });
                    }
                    return Ok(fates);
                }
                Err(error) => {
                    self.tell_trouble(error)?;
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// Asks the store for something, which others can see the time of.
    fn time<T>(&mut self, ask: impl FnOnce(&mut Parts) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let began = Instant::now();
        self.health().committing = Some(began);
        let answer = ask(&mut self.parts);
        self.health().committing = None;
        // That it failed, and how long that took, is told as trouble.
        if answer.is_ok() && began.elapsed() > SLOW {
            tracing::warn!(seconds = began.elapsed().as_secs(), "the store was slow to answer");
        }
        answer
    }

    /// Tells each kind of trouble once, however long it lasts.
    ///
    /// # Errors
    /// The trouble itself, if it is of no use to try again.
    fn tell_trouble(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.health().trouble = Some(error.to_string());
        if error.is_final() {
            return Err(error);
        }
        let kind = std::mem::discriminant(&error);
        let since = self.outage.as_ref().map_or_else(Instant::now, |outage| outage.since);
        if self.outage.as_ref().is_none_or(|outage| outage.kind != kind) {
            tracing::error!(%error, "the store cannot be written; what is to be saved waits, and it is tried again every second");
        }
        self.outage = Some(Outage { since, kind });
        Ok(())
    }

    fn end_outage(&mut self) {
        if let Some(outage) = self.outage.take() {
            self.health().trouble = None;
            let seconds = outage.since.elapsed().as_secs();
            tracing::warn!(
                seconds,
                "the store can be written again, after {seconds} s; nothing is lost that was acknowledged"
            );
        }
        self.last_look = Instant::now();
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_back(work: Work, fate: Result<(), Rejection>) {
    match work {
        Work::Shard(mut outbox, done) => {
            tell_saved(&mut outbox);
            done.saved(outbox);
        }
        Work::Commit(_, done) => {
            // The caller may have gone.
            let _ = done.send(fate);
        }
        Work::Stop => {}
    }
}
