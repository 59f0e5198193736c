//! Jobs: runs the engine's jobs, makes what they note durable, and gives their command to devices.
//!
//! What a job knows of a device is saved in one commit with the operation that the device gets, so that after a restart each operation is
//! either known to its job or was never sent.

pub mod commands;
pub(crate) mod state;
mod words;

use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::job::{ConfirmedBy, DeviceRecord, Facts, Outbox};
use buoy_server::{OperationId, OperationRecord};
use buoy_store::{Change, ChangeSet, DocumentKind};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use self::state::{LAST_ID, device_prefix, document_name};
use crate::app::App;
use crate::changes::operation_record;
use crate::documents;
use crate::hub::{ForJobs, Progress};
use crate::journal::NotSaved;
use crate::operations::{self, JobOrder, OperationError};
use crate::principal::Principal;

/// How often jobs are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Records of devices in one commit, and ends of operations that are taken at once.
const AT_ONCE: usize = 1000;
/// Devices of a job of which it is looked at a time whether they are confirmed.
const LOOKS: usize = 500;
/// Operations that are started at a time.
const STARTS: usize = 64;
/// How long an operation goes on for a device that is awake.
const PATIENCE: u64 = 60_000;

/// The progress of the jobs' operations.
type News = mpsc::UnboundedReceiver<ForJobs>;

/// Runs all jobs until the server stops.
///
/// # Errors
/// [`NotSaved::Rejected`]: what a job noted will never be saved.
pub(crate) async fn run(app: Arc<App>, mut news: News) -> Result<(), NotSaved> {
    match follow(&app, &mut news).await {
        Err(NotSaved::Rejected(rejection)) => Err(NotSaved::Rejected(rejection)),
        // At the stop of the server.
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn follow(app: &Arc<App>, news: &mut News) -> Result<(), NotSaved> {
    resume_all(app).await?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = news.recv_many(&mut heard, AT_ONCE) => if count == 0 { return Ok(()) },
            _ = tick.tick() => {}
        }
        let _turn = app.jobs.turn.lock().await;
        hear(app, &mut heard).await?;
        for id in open_jobs(app) {
            let mut outbox = Outbox::default();
            if let Some(job) = app.jobs.all().jobs.get_mut(&id) {
                job.advance(app.now(), &|name| app.endpoints.shard_of(name).is_some(), &mut outbox);
            }
            confirm(app, id, &mut outbox).await;
            carry_out(app, id, outbox, ChangeSet::new()).await?;
        }
    }
}

/// Looks whether devices have shown that they did what their job asks for.
async fn confirm(app: &Arc<App>, id: u64, outbox: &mut Outbox) {
    let (by, waiting) = {
        let mut all = app.jobs.all();
        let Some(job) = all.jobs.get_mut(&id) else { return };
        let Some(by) = job.facts().plan.confirmed_by else { return };
        (by, job.to_be_confirmed(LOOKS))
    };
    let looks = waiting.iter().map(|(name, since)| sign_of(app, by, name, *since));
    let signs = join_all(looks).await;
    let mut all = app.jobs.all();
    let Some(job) = all.jobs.get_mut(&id) else { return };
    for ((name, _), sign) in waiting.iter().zip(signs) {
        if let Some(sign) = sign {
            job.confirmed(app.now(), name, sign.to_owned(), outbox);
        }
    }
}

async fn sign_of(app: &Arc<App>, by: ConfirmedBy, name: &str, since: u64) -> Option<&'static str> {
    match by {
        ConfirmedBy::Registration => {
            let registration = app.registration(name).await?;
            (registration.registered_at >= since).then_some("it has restarted and registered anew")
        }
        ConfirmedBy::NewKey { from } => {
            app.credentials.uses_key_from(name, from).then_some("it uses its new key")
        }
    }
}

fn open_jobs(app: &App) -> Vec<u64> {
    let all = app.jobs.all();
    let open = all.jobs.iter().filter(|(_, job)| !job.facts().state.has_ended());
    open.map(|(id, _)| *id).collect()
}

/// Tells the jobs what became of their operations.
async fn hear(app: &Arc<App>, heard: &mut Vec<ForJobs>) -> Result<(), NotSaved> {
    let mut outboxes = std::collections::BTreeMap::<u64, Outbox>::new();
    {
        let (mut all, now) = (app.jobs.all(), app.now());
        for (operation, at, progress) in heard.drain(..) {
            let Some((id, name)) = all.operations.get(&operation).cloned() else { continue };
            let Some(job) = all.jobs.get_mut(&id) else { continue };
            match progress {
                Progress::Delayed => job.asleep(&name, operation.0),
                Progress::Ended(result) => {
                    let end = words::end(result.as_ref());
                    job.ended(now, (&name, operation.0), (at, end), outboxes.entry(id).or_default());
                    all.operations.remove(&operation);
                }
            }
        }
    }
    for (id, outbox) in outboxes {
        carry_out(app, id, outbox, ChangeSet::new()).await?;
    }
    Ok(())
}

/// Finds out what became of the operations of the run before.
async fn resume_all(app: &Arc<App>) -> Result<(), NotSaved> {
    let _turn = app.jobs.turn.lock().await;
    for id in open_jobs(app) {
        let under_way: Vec<(Arc<str>, u64)> = {
            let all = app.jobs.all();
            let job = all.jobs.get(&id);
            job.into_iter().flat_map(|job| job.under_way()).map(|(name, it)| (name.clone(), it)).collect()
        };
        let mut outbox = Outbox::default();
        for (name, operation) in under_way {
            // First, so that an end is not missed between the question and the answer.
            app.hub.expect_for_jobs(OperationId(operation));
            // Ids are not given twice, but a record that is not its own says nothing of it.
            let record = stored(app, operation).await.filter(|record| record.endpoint == name);
            let mut all = app.jobs.all();
            let is_open = record.as_ref().is_some_and(|it| !operations::state_of(it.state).has_ended());
            if is_open {
                all.operations.insert(OperationId(operation), (id, name.clone()));
            } else {
                app.hub.forget(OperationId(operation));
            }
            let Some(job) = all.jobs.get_mut(&id) else { continue };
            match record {
                // It takes no place until it is known to be awake.
                Some(_) if is_open => job.asleep(&name, operation),
                Some(record) => {
                    let ended = (record.changed_at, words::end_of_record(&record));
                    job.ended(app.now(), (&name, operation), ended, &mut outbox);
                }
                None => job.gone(app.now(), &name, operation, &mut outbox),
            }
        }
        if let Some(job) = app.jobs.all().jobs.get(&id) {
            job.cancel_again(&mut outbox);
        }
        carry_out(app, id, outbox, ChangeSet::new()).await?;
    }
    Ok(())
}

/// An operation. A store that can't be read is waited for.
async fn stored(app: &Arc<App>, operation: u64) -> Option<OperationRecord> {
    loop {
        match app.read(move |store| store.operation(operation)).await {
            Ok(row) => return row.as_ref().and_then(operation_record),
            Err(error) => {
                tracing::warn!(%error, "what became of an operation can't be read; trying again");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// Saves what a job noted, with `companions`, and does what it asks for after that. Only in a turn.
async fn carry_out(
    app: &Arc<App>,
    id: u64,
    outbox: Outbox,
    companions: ChangeSet<'static>,
) -> Result<(), NotSaved> {
    let Outbox { facts, devices, starts, cancels } = outbox;
    let is_told = facts.is_some() || !devices.is_empty() || !starts.is_empty();
    let mut set = companions;
    for (name, record) in &devices {
        set.push(device_change(app, id, name, record));
        if set.len() >= AT_ONCE {
            save(app, std::mem::take(&mut set)).await?;
        }
    }
    // The facts come last: a job has ended when all of its devices have.
    set.extend(facts.map(|facts| facts_change(app, &facts)));
    save(app, set).await?;
    for some in cancels.chunks(STARTS) {
        // Their ends are heard like all others.
        join_all(some.iter().map(|(name, operation)| app.cancel(name, OperationId(*operation)))).await;
    }
    start_operations(app, id, &starts).await?;
    if is_told {
        tell(app, id);
    }
    Ok(())
}

async fn start_operations(app: &Arc<App>, id: u64, starts: &[Arc<str>]) -> Result<(), NotSaved> {
    if starts.is_empty() {
        return Ok(());
    }
    let Some((facts, request)) = command_of(app, id) else { return Ok(()) };
    let principal = Principal::job(id, &facts.plan.name);
    let mut outbox = Outbox::default();
    for some in starts.chunks(STARTS) {
        let orders: Vec<JobOrder> = {
            let mut all = app.jobs.all();
            let order = |name: &Arc<str>| {
                let operation = operations::reserve(app);
                let record = all.jobs.get(&id)?.record_when_started(name, operation.0);
                all.operations.insert(operation, (id, name.clone()));
                Some(JobOrder {
                    id: operation,
                    endpoint: name.to_string(),
                    request: request.clone(),
                    deadline: facts.plan.deadline,
                    patience: PATIENCE,
                    principal: principal.clone(),
                    companions: vec![device_change(app, id, name, &record)],
                })
            };
            some.iter().filter_map(order).collect()
        };
        let ids: Vec<OperationId> = orders.iter().map(|order| order.id).collect();
        let results = join_all(orders.into_iter().map(|order| operations::start_for_job(app, order))).await;
        let mut all = app.jobs.all();
        for ((name, operation), result) in some.iter().zip(ids).zip(results) {
            if result.is_err() {
                all.operations.remove(&operation);
            }
            let Some(job) = all.jobs.get_mut(&id) else { continue };
            match result {
                Ok(()) => job.started(name, operation.0),
                Err(OperationError::NotSaved(error @ (NotSaved::Stopped | NotSaved::Rejected(_)))) => {
                    return Err(error);
                }
                // It can't be reached, or the store can't be written at the moment.
                Err(error @ (OperationError::NoSuchDevice(_) | OperationError::NotSaved(_))) => {
                    job.not_started(app.now(), name, error.to_string(), false, &mut outbox);
                }
                Err(error) => job.not_started(app.now(), name, error.to_string(), true, &mut outbox),
            }
        }
    }
    Box::pin(carry_out(app, id, outbox, ChangeSet::new())).await
}

fn command_of(app: &App, id: u64) -> Option<(Facts, api::Request)> {
    let facts = app.jobs.all().jobs.get(&id)?.facts().clone();
    let request = serde_json::from_str(&facts.plan.command).ok()?;
    Some((facts, request))
}

fn tell(app: &App, id: u64) {
    let event = app.jobs.all().jobs.get(&id).map(words::event);
    if let Some(event) = event {
        app.hub.tell_job(event);
    }
}

async fn save(app: &App, set: ChangeSet<'static>) -> Result<(), NotSaved> {
    if set.is_empty() { Ok(()) } else { app.journal.commit(set).await }
}

fn facts_change(app: &App, facts: &Facts) -> Change<'static> {
    documents::put(DocumentKind::Job, &document_name(facts.id), facts, app.now())
}

fn last_id_change(app: &App, id: u64) -> Change<'static> {
    documents::put(DocumentKind::Job, LAST_ID, &id, app.now())
}

fn device_change(app: &App, id: u64, name: &str, record: &DeviceRecord) -> Change<'static> {
    documents::put(DocumentKind::JobDevice, &format!("{}{name}", device_prefix(id)), record, app.now())
}

/// Removes what is saved of the devices of a job.
async fn forget_devices(app: &Arc<App>, id: u64, names: Vec<Arc<str>>) -> Result<(), NotSaved> {
    for some in names.chunks(AT_ONCE) {
        let gone = some
            .iter()
            .map(|name| documents::remove(DocumentKind::JobDevice, &format!("{}{name}", device_prefix(id))));
        save(app, gone.collect()).await?;
    }
    Ok(())
}
