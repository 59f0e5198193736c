//! The one thread that writes to the store: group commit of all that came while the last commit was made.
//!
//! What a shard wants saved and what operators want saved go through one queue, so their order holds. Each is a set of changes that is
//! durable whole or not at all, and one that is refused takes no other with it. Acknowledgements leave first; maintenance comes after
//! them, in slices. If the store fails, nothing is given back and nothing is lost: the commit is tried again, `/readyz` says why the
//! server is not ready, and the shards stop taking what they could not save.

use std::mem::Discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_lwm2m::model::Registry;
use buoy_net::clock::Clock;
use buoy_net::shard::{Done, Journal};
use buoy_net::supervision::Supervisor;
use buoy_server::Outbox;
use buoy_store::{ChangeSet, Fates, Maintenance, Rejection, Retention, StoreError, Writer};
use tokio::sync::oneshot;

use crate::changes::{of_outbox, tell_saved};
use crate::notice::{Notice, NoticeKind};
use crate::quota::SampleQuota;

/// Jobs of one commit.
const MAX_GROUP: usize = 256;
/// What was appended is brought into order when nothing came for so long,
const IDLE: Duration = Duration::from_millis(100);
/// when so much of it waits,
const MOST_UNSORTED: usize = 1 << 19;
/// and in any case this often.
const SLICE_EVERY: Duration = Duration::from_millis(500);
/// How long one slice of maintenance may take.
const SLICE: Duration = Duration::from_millis(5);
/// When there was nothing to do, it is looked again after this.
const LOOK_FOR_OLD: Duration = Duration::from_secs(60);
/// Before a commit that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether the store is there when nothing is to be saved.
const LOOK: Duration = Duration::from_secs(5);
/// A commit that takes longer is trouble, whatever will become of it.
const SLOW: Duration = Duration::from_secs(5);
/// While somebody waits for a change, the store is asked so often whether it has trouble.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

enum Job {
    Shard(Outbox, Done),
    Commit(ChangeSet<'static>, oneshot::Sender<Result<(), Rejection>>),
    Stop,
}

/// The way to the journal. Cheap to clone.
#[derive(Clone)]
pub struct JournalHandle {
    jobs: Sender<Job>,
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

    /// Makes changes durable, all or none, for somebody who waits: comes back when they are, or with the reason why not. While the store
    /// cannot be written that comes at once, and the changes are made as soon as it can be.
    pub async fn commit_now(&self, set: ChangeSet<'static>) -> Result<(), NotSaved> {
        self.unless_in_trouble(self.commit(set)).await?
    }

    /// Makes changes durable, all or none; comes back when they are.
    pub async fn commit(&self, set: ChangeSet<'static>) -> Result<(), NotSaved> {
        let (done, wait) = oneshot::channel();
        self.jobs.send(Job::Commit(set, done)).map_err(|_| NotSaved::Stopped)?;
        wait.await.map_err(|_| NotSaved::Stopped)?.map_err(NotSaved::Rejected)
    }

    /// Makes changes durable, all or none, for somebody who does not wait; what comes of it can be looked at later.
    pub(crate) fn commit_later(&self, set: ChangeSet<'static>) -> Saving {
        let (done, wait) = oneshot::channel();
        // At the stop nobody takes it.
        let _ = self.jobs.send(Job::Commit(set, done));
        Saving(wait)
    }

    /// Comes back when all that was asked before is durable.
    pub async fn flush(&self) -> Result<(), NotSaved> {
        self.commit_now(ChangeSet::new()).await
    }

    /// Waits for what needs the store, but no longer than that can be written.
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

    /// Ends the thread once all jobs before are done.
    pub fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
    }
}

/// Changes that nobody waits for.
#[derive(Debug)]
pub(crate) struct Saving(oneshot::Receiver<Result<(), Rejection>>);

impl Saving {
    /// Whether they are durable, were refused, or will never be taken any more.
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
        // After the stop nobody reads the answer, and unsaved things must not be sent.
        let _ = self.jobs.send(Job::Shard(outbox, done.clone()));
    }
}

/// Told of a device, a resource of its object 3, and what the device says there.
pub type Describe = Box<dyn FnMut(&Arc<str>, u16, &str) + Send>;

/// What the thread is made of.
pub struct Parts {
    /// The store.
    pub writer: Box<dyn Writer>,
    /// The object definitions, by which reports are read.
    pub models: Arc<Registry>,
    /// The time.
    pub clock: Clock,
    /// How long what has ended, and what was measured, is kept.
    pub retention: Duration,
    /// Where it tells what it could not save of what devices reported.
    pub notify: Box<dyn FnMut(Notice) + Send>,
    /// Where it tells what devices say of themselves.
    pub describe: Describe,
}

/// Starts the thread.
pub fn start(parts: Parts, supervisor: &Supervisor) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (jobs, queue) = channel();
    let handle = JournalHandle { jobs, health: Arc::default(), counters: Arc::default() };
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
    queue: Receiver<Job>,
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
    /// If the store has said that this server must not go on.
    fn run(mut self) -> Result<(), StoreError> {
        let mut group = Vec::with_capacity(MAX_GROUP);
        let mut left = Maintenance { is_removing: true, ..Maintenance::default() };
        let mut due = Instant::now() + IDLE;
        let mut last_slice = Instant::now();
        loop {
            let is_busy = match self.queue.recv_timeout(self.pause(due)) {
                Ok(job) => {
                    group.push(job);
                    true
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if is_busy {
                group.extend(self.queue.try_iter().take(MAX_GROUP - 1));
                let stops = group.iter().any(|job| matches!(job, Job::Stop));
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
            // For as long again the processor is left to those who answer devices.
            due = last_slice
                + match left {
                    _ if !self.is_maintained => RETRY,
                    Maintenance { unsorted: 0, is_removing: false } => LOOK_FOR_OLD,
                    _ if is_busy => IDLE,
                    _ => began.elapsed(),
                };
        }
    }

    /// How long nobody need do anything if nothing comes.
    fn pause(&self, due: Instant) -> Duration {
        match self.outage {
            Some(_) => RETRY,
            None => due.saturating_duration_since(Instant::now()).min(LOOK),
        }
    }

    /// Whether the store can be used, as far as is known: it is looked at now and then, so that trouble is told before somebody has it.
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

    /// What cannot be done now can be done later: all of it is safe.
    fn maintain(&mut self, left: Maintenance) -> Maintenance {
        let retention = u64::try_from(self.parts.retention.as_millis()).unwrap_or(u64::MAX);
        let since = self.parts.clock.date().saturating_sub(retention);
        let was_maintained = std::mem::replace(&mut self.is_maintained, true);
        self.parts.writer.maintain(Retention { since }, SLICE).unwrap_or_else(|error| {
            if was_maintained {
                tracing::warn!(%error, "the store can't be maintained now; it is tried again");
            }
            self.is_maintained = false;
            left
        })
    }

    /// Makes a group durable, and gives it back. How many changes it had.
    fn commit_and_give_back(&mut self, group: &mut Vec<Job>) -> Result<usize, StoreError> {
        let now = self.parts.clock.date();
        let mut sets: Vec<ChangeSet<'_>> = Vec::with_capacity(group.len());
        let of_shards: Vec<bool> = group.iter().map(|job| matches!(job, Job::Shard(..))).collect();
        for job in group.iter_mut() {
            sets.push(match job {
                Job::Shard(outbox, _) => of_outbox(outbox, now, &mut self.quota, &mut self.parts),
                Job::Commit(set, _) => std::mem::take(set),
                Job::Stop => ChangeSet::new(),
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
        for (place, job) in group.drain(..).enumerate() {
            let rejection = rejected.next_if(|(rejected, _)| *rejected == place);
            give_back(job, rejection.map_or(Ok(()), |(_, rejection)| Err(rejection)));
        }
        Ok(count)
    }

    /// What an engine did has happened: of its changes all hold that the store can hold.
    fn commit_one_by_one(&mut self, set: ChangeSet<'_>, rejection: &Rejection) -> Result<(), StoreError> {
        tracing::error!(%rejection, "the store refuses a change of a device's state; what it holds is kept");
        let alone: Vec<ChangeSet<'_>> = set.into_iter().map(|change| vec![change]).collect();
        self.commit_until_it_holds(&alone).map(drop)
    }

    fn commit_until_it_holds(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, StoreError> {
        let changes: usize = sets.iter().map(Vec::len).sum();
        // Whoever only waits for those before.
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
    fn time<T>(&mut self, ask: impl FnOnce(&mut Parts) -> T) -> T {
        let began = Instant::now();
        self.health().committing = Some(began);
        let answer = ask(&mut self.parts);
        self.health().committing = None;
        if began.elapsed() > SLOW {
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

fn give_back(job: Job, fate: Result<(), Rejection>) {
    match job {
        Job::Shard(mut outbox, done) => {
            tell_saved(&mut outbox);
            done.saved(outbox);
        }
        Job::Commit(_, done) => {
            // Whoever asked may have gone.
            let _ = done.send(fate);
        }
        Job::Stop => {}
    }
}
