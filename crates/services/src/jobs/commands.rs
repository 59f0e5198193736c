//! An operator's commands on jobs, with the types of `/api/v1`.

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::job::{ConfirmedBy, Job, Outbox, Plan, PlanError, Refused};
use buoy_store::{Change, DocumentKind};

use super::state::{All, document_name};
use super::{carry_out, device_change, facts_change, forget_devices, last_id_change, save, tell, words};
use crate::access::{Covered, Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::groups::{self, FilterFault};
use crate::idempotency::NewKey;
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::request::{self, RequestError};
use crate::values::DeviceModels;

/// The most jobs that are kept,
const MOST: usize = 1000;
/// and devices in all of them.
const MOST_DEVICES: usize = 2_000_000;
/// Devices in one commit.
const AT_ONCE: usize = 1000;
/// The time until the deadline, if none is given; milliseconds.
const DEFAULT_DEADLINE: u64 = 24 * 60 * 60 * 1000;
/// Devices that a preview names.
const EXAMPLES: usize = 5;

/// Why a command on jobs failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no job with this id.
    NoSuchJob(u64),
    /// The command makes no sense for any device.
    Request(RequestError),
    /// The plan can't be followed.
    Plan(PlanError),
    /// The filter can't be used.
    Filter(FilterFault),
    /// No device matches.
    NoDevices,
    /// Devices get new keys from the bootstrap server, and none runs.
    NoBootstrap,
    /// The caller expects another number of devices, or has named none for a command that needs it.
    Count {
        /// What he said.
        said: Option<u64>,
        /// How many they are.
        devices: u64,
        /// The command in words.
        command: String,
    },
    /// The job does not take the command now.
    Refused(Refused),
    /// There are too many jobs, or devices in them.
    TooMany,
    /// It could not be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchJob(id) => write!(f, "there is no job {id}"),
            Self::Request(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Filter(fault) => fault.fmt(f),
            Self::NoBootstrap => f.write_str(
                "devices get new keys from the bootstrap server, and none runs: start the server with --bootstraps, and add a configuration with `buoy ctl bootstrap add`",
            ),
            Self::NoDevices => f.write_str(
                "no device that you may command matches the filter; look with `buoy ctl filter explain`",
            ),
            Self::Count { said: None, devices, command } => write!(
                f,
                "{command} can't be undone, and {devices} devices would get it: repeat the number in \"devices\""
            ),
            Self::Count { said: Some(said), devices, .. } => {
                write!(f, "\"devices\" is {said}, but {devices} devices match now; nothing was done")
            }
            Self::Refused(refused) => refused.fmt(f),
            Self::TooMany => {
                write!(
                    f,
                    "there are too many jobs ({MOST}, or {MOST_DEVICES} devices in all of them); remove some that have ended"
                )
            }
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JobError {}

impl From<Forbidden> for JobError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for JobError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<Refused> for JobError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<PlanError> for JobError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<FilterFault> for JobError {
    fn from(fault: FilterFault) -> Self {
        Self::Filter(fault)
    }
}

/// The jobs that the principal may see, the newest first: all, or with roles for groups those that he made and whose devices he may read.
///
/// # Errors
/// [`JobError::Forbidden`]
pub async fn list(app: &App, principal: &Principal) -> Result<Vec<api::Job>, JobError> {
    let covered = app.covered(principal, Permission::Read).await?;
    let all = app.jobs.all();
    let seen = all.jobs.values().rev().filter(|job| is_seen(&covered, principal, job));
    Ok(seen.map(words::summary).collect())
}

/// One job.
///
/// # Errors
/// [`JobError`]
pub async fn one(app: &App, principal: &Principal, id: u64) -> Result<api::Job, JobError> {
    let covered = app.covered(principal, Permission::Read).await?;
    seen(&app.jobs.all(), &covered, principal, id).map(words::described)
}

/// The devices of a job in one stage, or all, ordered by name, after a given name.
///
/// # Errors
/// [`JobError`]
pub async fn devices(
    app: &App,
    principal: &Principal,
    id: u64,
    stage: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<api::Page<api::JobDevice>, JobError> {
    let covered = app.covered(principal, Permission::Read).await?;
    let all = app.jobs.all();
    let job = seen(&all, &covered, principal, id)?;
    let mut found: Vec<_> = job
        .devices()
        .iter()
        .filter(|(_, record)| stage.is_none_or(|stage| record.stage.name() == stage))
        .filter(|(name, _)| after.is_none_or(|after| **name > *after))
        .collect();
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let has_more = found.len() > limit;
    found.truncate(limit);
    let items: Vec<_> = found.into_iter().map(|(name, record)| words::device(name, record)).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(api::Page { items, next })
}

/// Who has a role for the whole server sees all jobs; others see those that they made, as long as they may read all devices of them.
fn is_seen(covered: &Covered, principal: &Principal, job: &Job) -> bool {
    match covered {
        Covered::All => true,
        Covered::Some(_) => {
            job.facts().author == principal.person()
                && job.devices().iter().all(|(name, _)| covered.has(name))
        }
    }
}

fn seen<'a>(all: &'a All, covered: &Covered, principal: &Principal, id: u64) -> Result<&'a Job, JobError> {
    let job = all.jobs.get(&id).ok_or(JobError::NoSuchJob(id))?;
    if is_seen(covered, principal, job) {
        return Ok(job);
    }
    Err(Forbidden::new(principal.name(), Permission::Read, Target::Server).into())
}

/// What a job would do.
///
/// # Errors
/// [`JobError`]
pub async fn preview(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::StartJob,
) -> Result<api::JobPreview, JobError> {
    let plan = plan(app, &wanted)?;
    let names = targets(app, principal, &plan.filter).await?;
    let offline = names.iter().filter(|name| app.endpoints.shard_of(name).is_none()).count();
    Ok(api::JobPreview {
        command: words::command(&wanted.request),
        devices: names.len() as u64,
        offline: offline as u64,
        needs_count: words::needs_count(&wanted),
        examples: names.iter().take(EXAMPLES).map(ToString::to_string).collect(),
    })
}

/// Makes a job, which begins at once.
///
/// # Errors
/// [`JobError`]
pub async fn start(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::StartJob,
    key: Option<NewKey>,
) -> Result<api::Job, JobError> {
    app.permit_some(principal, Permission::Command)?;
    let plan = plan(app, &wanted)?;
    let names = targets(app, principal, &plan.filter).await?;
    let devices = names.len() as u64;
    if names.is_empty() {
        return Err(JobError::NoDevices);
    }
    let is_wrong = wanted.devices.is_some_and(|said| said != devices);
    if is_wrong || (wanted.devices.is_none() && words::needs_count(&wanted)) {
        return Err(JobError::Count {
            said: wanted.devices,
            devices,
            command: words::command(&wanted.request),
        });
    }
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    host.to_the_end("the jobs", async move {
        let _turn = app.jobs.turn.lock().await;
        let id = {
            let all = app.jobs.all();
            let kept: usize = all.jobs.values().map(|job| job.devices().len()).sum();
            if all.jobs.len() >= MOST || kept + names.len() > MOST_DEVICES {
                return Err(JobError::TooMany);
            }
            all.last_id + 1
        };
        // First, so that no other job ever has this id: what is saved of the devices would be taken for that one's.
        save(&app, vec![last_id_change(&app, id)]).await?;
        app.jobs.all().last_id = id;
        let job = Job::new(id, plan, &principal.person(), app.now(), names);
        // The devices before the facts: without these, what is saved of them belongs to nothing.
        for some in job.devices().chunks(AT_ONCE) {
            save(&app, some.iter().map(|(name, record)| device_change(&app, id, name, record)).collect())
                .await?;
        }
        let detail =
            format!("{}: {devices} devices that match {:?}", job.facts().plan.name, job.facts().plan.filter);
        let audit = principal.audit(app.now(), "job.start", &id.to_string(), detail);
        let mut set = vec![facts_change(&app, job.facts()), audit];
        set.extend(key.as_ref().map(|key| Change::IdempotencyKey(key.row(id))));
        save(&app, set).await?;
        let told = words::described(&job);
        {
            app.jobs.all().jobs.insert(id, job);
        }
        tell(&app, id);
        Ok(told)
    })
    .await
}

/// Ends a job. What devices have been sent already they may still carry out.
///
/// # Errors
/// [`JobError`]
pub async fn cancel(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Job, JobError> {
    command(app, principal, id, "job.cancel", |job, now, outbox| job.cancel(now, outbox)).await
}

/// Gives the command again to devices on which the job failed, or which it did not reach.
///
/// # Errors
/// [`JobError`]
pub async fn retry(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    how: api::RetryJob,
) -> Result<api::Job, JobError> {
    let retry = move |job: &mut Job, now: u64, outbox: &mut Outbox| {
        let deadline = how.deadline.unwrap_or(now.saturating_add(DEFAULT_DEADLINE));
        job.retry(now, deadline, outbox).map(drop)
    };
    command(app, principal, id, "job.retry", retry).await
}

/// Removes a job that has ended.
///
/// # Errors
/// [`JobError`]
pub async fn remove(app: &Arc<App>, principal: &Principal, id: u64) -> Result<(), JobError> {
    permit(app, principal, id).await?;
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    host.to_the_end("the jobs", async move {
        let _turn = app.jobs.turn.lock().await;
        let (name, devices) = {
            let all = app.jobs.all();
            let job = all.jobs.get(&id).ok_or(JobError::NoSuchJob(id))?;
            let facts = job.facts();
            if !facts.state.has_ended() {
                return Err(Refused::State(facts.state).into());
            }
            (facts.plan.name.clone(), job.devices().iter().map(|(name, _)| name.clone()).collect())
        };
        // The devices first: what is left of them would belong to nothing.
        forget_devices(&app, id, devices).await?;
        let audit = principal.audit(app.now(), "job.remove", &id.to_string(), name);
        save(&app, vec![documents::remove(DocumentKind::Job, &document_name(id)), audit]).await?;
        app.jobs.all().jobs.remove(&id);
        Ok(())
    })
    .await
}

/// Gives a command to a job: what it changes and the audit entry are one change.
async fn command(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    action: &'static str,
    command: impl FnOnce(&mut Job, u64, &mut Outbox) -> Result<(), Refused> + Send + 'static,
) -> Result<api::Job, JobError> {
    permit(app, principal, id).await?;
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    host.to_the_end("the jobs", async move {
        let _turn = app.jobs.turn.lock().await;
        let mut outbox = Outbox::default();
        let name = {
            let mut all = app.jobs.all();
            let job = all.jobs.get_mut(&id).ok_or(JobError::NoSuchJob(id))?;
            command(job, app.now(), &mut outbox)?;
            job.facts().plan.name.clone()
        };
        let audit = principal.audit(app.now(), action, &id.to_string(), name);
        carry_out(&app, id, outbox, vec![audit]).await?;
        let all = app.jobs.all();
        all.jobs.get(&id).map(words::described).ok_or(JobError::NoSuchJob(id))
    })
    .await
}

/// Whether a principal may command all devices of a job.
async fn permit(app: &Arc<App>, principal: &Principal, id: u64) -> Result<(), JobError> {
    let covered = app.covered(principal, Permission::Command).await?;
    seen(&app.jobs.all(), &covered, principal, id).map(drop)
}

/// The devices that a filter matches and that the principal may command.
async fn targets(app: &Arc<App>, principal: &Principal, filter: &str) -> Result<Vec<Arc<str>>, JobError> {
    let covered = app.covered(principal, Permission::Command).await?;
    let mut names = app.inventory.matching(groups::selection(app, filter)?).await;
    names.retain(|name| covered.has(name));
    Ok(names)
}

/// The plan of a request, if it can be followed.
fn plan(app: &App, wanted: &api::StartJob) -> Result<Plan, JobError> {
    check_request(app, &wanted.request)?;
    let now = app.now();
    let plan = Plan {
        name: wanted.name.clone().unwrap_or_else(|| words::command(&wanted.request)),
        filter: wanted.filter.clone(),
        // Requests always have a JSON form.
        command: serde_json::to_string(&wanted.request).unwrap_or_default(),
        is_repeatable: words::is_repeatable(&wanted.request),
        concurrent: wanted.concurrent,
        per_minute: wanted.per_minute,
        retries: wanted.retries,
        deadline: wanted.deadline.unwrap_or(now.saturating_add(DEFAULT_DEADLINE)),
        confirmed_by: match wanted.until {
            api::JobUntil::Answered => None,
            api::JobUntil::Registered => Some(ConfirmedBy::Registration),
            api::JobUntil::KeyUsed if app.bootstrap_server.is_none() => return Err(JobError::NoBootstrap),
            api::JobUntil::KeyUsed => Some(ConfirmedBy::NewKey { from: app.credentials.next_id() }),
        },
    };
    plan.check(now)?;
    Ok(plan)
}

/// Refuses what no device can be asked for.
fn check_request(app: &App, wanted: &api::Request) -> Result<(), JobError> {
    let target = request::Target { models: DeviceModels::of_any(&app.models), observations: Vec::new() };
    match target.request(wanted) {
        // These depend on the device.
        Ok(_) | Err(RequestError::NotObserved | RequestError::NewInstanceWithoutId { is_named: false }) => {
            Ok(())
        }
        Err(error) => Err(JobError::Request(error)),
    }
}
