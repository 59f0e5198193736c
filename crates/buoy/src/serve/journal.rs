//! The one thread that writes to the store: group commit of all that came while the last commit was made.
//!
//! What a shard wants saved and what the interfaces for people want saved go through one queue, so their order holds. If the store
//! fails, nothing is given back and nothing is lost: the commit is tried again, `/readyz` says why the server is not ready, and the
//! shards stop taking what they could not save.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_lwm2m::model::Registry;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::OwnedValue;
use buoy_net::shard::{Done, Journal};
use buoy_server::{Change, OperationRecord, OperationState, Outbox, Report, ReportSource};
use buoy_store::{Batch, OperationRow, Sample, StoreError, Writer};
use tokio::sync::oneshot;

use super::values::DeviceModels;

/// Jobs of one commit.
const MAX_GROUP: usize = 256;
/// Samples, registrations and sessions are settled when nothing came for so long,
const IDLE: Duration = Duration::from_millis(100);
/// when so many wait, or when somebody asks for them.
const MOST_UNSETTLED: usize = 1 << 20;
/// Before a commit that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A change that an interface for people asks for.
pub(crate) type Edit = Box<dyn FnMut(&mut dyn Batch) -> Result<(), StoreError> + Send>;

enum Job {
    Shard(Outbox, Done),
    Edit(Edit, oneshot::Sender<()>),
    Settle(oneshot::Sender<()>),
    Stop,
}

/// The way to the journal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct JournalHandle {
    jobs: Sender<Job>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl JournalHandle {
    /// Makes a change durable for somebody who waits: comes back when it is, or with the reason if the store cannot be written. Then
    /// the change is made as soon as it can.
    pub(crate) async fn edit_now(
        &self,
        edit: impl FnMut(&mut dyn Batch) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), NotSaved> {
        self.unless_in_trouble(self.edit(edit)).await?.map_err(NotSaved::Stopped)
    }

    /// Waits for what needs the store, but no longer than that can be written.
    pub(crate) async fn unless_in_trouble<T>(&self, what: impl Future<Output = T>) -> Result<T, NotSaved> {
        tokio::pin!(what);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK_AGAIN, &mut what).await {
                return Ok(done);
            }
            self.check()?;
        }
    }

    /// Whether the store can be written at the moment.
    pub(crate) fn check(&self) -> Result<(), NotSaved> {
        self.trouble().map_or(Ok(()), |trouble| Err(NotSaved::Trouble(trouble)))
    }

    /// Makes a change durable; comes back when it is.
    pub(crate) async fn edit(
        &self,
        edit: impl FnMut(&mut dyn Batch) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Stopped> {
        let (done, wait) = oneshot::channel();
        self.jobs.send(Job::Edit(Box::new(edit), done)).map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// Comes back when every sample is where readers look for it, or with the reason if the store cannot be written.
    pub(crate) async fn settle(&self) -> Result<(), NotSaved> {
        let (done, wait) = oneshot::channel();
        self.jobs.send(Job::Settle(done)).map_err(|_| NotSaved::Stopped(Stopped))?;
        self.unless_in_trouble(wait).await?.map_err(|_| NotSaved::Stopped(Stopped))
    }

    /// Why the store cannot be written at the moment.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread once all jobs before are done.
    pub(crate) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
    }
}

/// While somebody waits for a change, the store is asked so often whether it has trouble.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Why a change is not durable yet.
#[derive(Debug)]
pub(crate) enum NotSaved {
    /// The server is stopping.
    Stopped(Stopped),
    /// The store cannot be written.
    Trouble(String),
}

impl std::fmt::Display for NotSaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Trouble(trouble) => f.write_str(trouble),
        }
    }
}

impl std::error::Error for NotSaved {}

/// The server is stopping.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server is stopping")
    }
}

impl std::error::Error for Stopped {}

impl Journal for JournalHandle {
    fn save(&mut self, outbox: Outbox, done: &Done) {
        // After the stop nobody reads the answer, and unsaved things must not be sent.
        let _ = self.jobs.send(Job::Shard(outbox, done.clone()));
    }
}

/// Starts the thread.
pub(crate) fn start(
    writer: impl Writer + 'static,
    models: Arc<Registry>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (jobs, queue) = channel();
    let handle = JournalHandle { jobs, trouble: Arc::default() };
    let thread = Thread { writer, models, queue, trouble: handle.trouble.clone() };
    let join = std::thread::Builder::new().name("journal".into()).spawn(move || thread.run())?;
    Ok((handle, join))
}

struct Thread<W> {
    writer: W,
    models: Arc<Registry>,
    queue: Receiver<Job>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl<W: Writer> Thread<W> {
    fn run(mut self) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        let mut pause = IDLE;
        loop {
            let longest = if self.writer.unsettled() == 0 { Duration::MAX } else { pause };
            match self.queue.recv_timeout(longest) {
                Ok(job) => {
                    pause = IDLE;
                    group.push(job);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let began = Instant::now();
                    let is_more = self.settle_some();
                    // For as long again the processor is left to those who answer devices.
                    pause = if is_more { began.elapsed() } else { IDLE };
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            group.extend(self.queue.try_iter().take(MAX_GROUP - 1));
            let stops = group.iter().any(|job| matches!(job, Job::Stop));
            self.commit_until_it_holds(&mut group);
            let wants_samples = group.iter().any(|job| matches!(job, Job::Settle(_)));
            while (wants_samples || self.writer.unsettled() > MOST_UNSETTLED) && self.settle_some() {}
            group.drain(..).for_each(give_back);
            if stops {
                return;
            }
        }
    }

    /// Whether there may be more. What cannot be done now can be done later: all of it is safe.
    fn settle_some(&mut self) -> bool {
        if self.writer.unsettled() == 0 {
            return false;
        }
        match self.writer.settle() {
            Ok(count) => count > 0,
            Err(error) => {
                tracing::warn!(%error, "what was saved cannot be sorted now");
                false
            }
        }
    }

    fn commit_until_it_holds(&mut self, group: &mut [Job]) {
        loop {
            let models = &self.models;
            let result = self
                .writer
                .commit(&mut |batch| group.iter_mut().try_for_each(|job| apply(batch, job, models)));
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(()) => {
                    *trouble = None;
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot be written; trying again every second");
                    *trouble = Some(error.to_string());
                    drop(trouble);
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

fn give_back(job: Job) {
    match job {
        Job::Shard(outbox, done) => done.saved(outbox),
        Job::Edit(_, done) | Job::Settle(done) => {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
        Job::Stop => {}
    }
}

fn apply(batch: &mut dyn Batch, job: &mut Job, models: &Registry) -> Result<(), StoreError> {
    match job {
        Job::Shard(outbox, _) => {
            outbox.changes.iter().try_for_each(|change| save(batch, outbox, change, models))
        }
        Job::Edit(edit, _) => edit(batch),
        Job::Settle(_) | Job::Stop => Ok(()),
    }
}

fn save(
    batch: &mut dyn Batch,
    outbox: &Outbox,
    change: &Change,
    models: &Registry,
) -> Result<(), StoreError> {
    match change {
        Change::PutRegistration { key, record } => batch.put_registration(key.0, outbox.record(record)),
        Change::RemoveRegistration { key } => batch.remove_registration(key.0),
        Change::PutOperation(record) => batch.put_operation(&operation_row(record)),
        Change::PutReport(report) => save_report(batch, report, models),
        Change::PutSession { session, record } => batch.put_session(session.number(), record),
        Change::RemoveSession { session } => batch.remove_session(session.number()),
    }
}

/// An operation as the store keeps it.
pub(crate) fn operation_row(record: &OperationRecord) -> OperationRow {
    OperationRow {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        ended: !matches!(record.state, OperationState::Queued | OperationState::Sent),
        changed_at: record.changed_at,
        record: postcard::to_stdvec(record).unwrap_or_default(),
    }
}

/// The engine's record of a stored operation; `None` if it is damaged.
pub(crate) fn operation_record(row: &OperationRow) -> Option<OperationRecord> {
    postcard::from_bytes(&row.record).ok()
}

/// Values that cannot be read are no reason to refuse the report or to lose the others: the event that goes with it carries them raw.
fn save_report(batch: &mut dyn Batch, report: &Report, models: &Registry) -> Result<(), StoreError> {
    let base = match &report.source {
        ReportSource::Notification { paths, composite: false, .. } => {
            paths.first().copied().unwrap_or(Path::ROOT)
        }
        _ => Path::ROOT,
    };
    for entry in DeviceModels::of_any(models).decode_readable(report.format, base, &report.payload) {
        let Some(value) = entry.value else { continue };
        let at = entry.time.map_or(report.received_at, |time| {
            (time.resolve(report.received_at as f64 / 1000.0) * 1000.0).max(0.0) as u64
        });
        batch.put_sample(&report.endpoint, entry.path, at, sample(value))?;
    }
    Ok(())
}

fn sample(value: OwnedValue) -> Sample {
    match value {
        OwnedValue::String(text) | OwnedValue::CoreLink(text) => Sample::Text(text),
        OwnedValue::Integer(number) | OwnedValue::Time(number) => Sample::Integer(number),
        OwnedValue::UnsignedInteger(number) => match i64::try_from(number) {
            Ok(number) => Sample::Integer(number),
            Err(_) => Sample::Float(number as f64),
        },
        OwnedValue::Float(number) => Sample::Float(number),
        OwnedValue::Boolean(on) => Sample::Integer(i64::from(on)),
        OwnedValue::Opaque(bytes) => Sample::Opaque(bytes),
        OwnedValue::ObjectLink(link) => Sample::Text(link.to_string()),
    }
}
