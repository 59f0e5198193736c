//! Operations on devices: resources with a state, whether the device is awake or sleeps for a week.
//!
//! Starting one takes one trip to the device's shard. What has to be saved is saved there in one commit: the operation, the idempotency
//! key of its request, and its audit entry. A read of a device that is awake is saved once, when it has ended: to ask again does no harm.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buoy_api as api;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::parse_uint;
use buoy_lwm2m::format::FormatError;
use buoy_lwm2m::model::Registry;
use buoy_lwm2m::path::Path;
use buoy_net::shard::ServerShard;
use buoy_server::{
    AnswerRecord, Body, Downlink, Durability, Failure, Intent, OperationId, OperationRecord, OperationState,
    Outbox, Outcome, RegistrationView, Submission,
};
use buoy_store::{Change, ChangeSet, OperationFilter, OperationRow, Page, StoreError};
use tokio::sync::oneshot;

use crate::access::{Covered, Forbidden, Permission, Target as Of};
use crate::app::{App, SLEEPER_PATIENCE};
use crate::changes::{Companion, operation_record};
use crate::hub::{Progress, Until};
use crate::idempotency::NewKey;
use crate::journal::NotSaved;
use crate::path_values;
use crate::principal::Principal;
use crate::request::{RequestError, Target};
use crate::values::{self, DeviceModels, Entry};

/// How long an operation for a device that is awake is kept, if the caller says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
/// How long the engine's word that the wait is over may take to get here.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);
/// Shards that are asked before a device counts as not registered: it may come back on another one meanwhile.
const MOST_SHARDS_ASKED: usize = 3;

/// Asks a device for something.
#[derive(Debug)]
pub struct StartOperation {
    /// The device.
    pub endpoint: String,
    /// What.
    pub request: api::Request,
    /// When it is too late.
    pub deadline: Option<Duration>,
    /// How long the caller waits for its end.
    pub wait: Duration,
    /// What remains of it when the caller has been answered.
    pub kept: Kept,
    /// The idempotency key of the request. It is taken until the operation is durable, even if the caller goes away before.
    pub key: Option<NewKey>,
}

/// What remains of an operation when its caller has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is found under its id, whether it has ended or goes on.
    Always,
    /// A device in queue mode gets it when it wakes, and the caller is answered as soon as it is known that the device sleeps. For any other
    /// device the operation ends with the wait, and no record of it is kept.
    ForQueueMode,
}

/// What became of an operation by the time its caller is answered.
#[derive(Debug)]
pub enum Started {
    /// It has ended.
    Ended(Box<Ended>),
    /// It goes on under this id, and is durable.
    GoesOn(u64),
}

/// An operation that has ended.
#[derive(Debug)]
pub struct Ended {
    record: OperationRecord,
    registration: RegistrationView,
    result: Result<Outcome, Failure>,
}

impl Ended {
    /// As `/api/v1` shows it.
    pub fn described(self: Box<Self>, app: &App) -> api::Operation {
        let Self { mut record, registration, result } = *self;
        record.state = OperationState::of_end(&result);
        match &result {
            Ok(outcome) => record.answer = Some(AnswerRecord::of(outcome)),
            Err(failure) => record.failure = Some(*failure),
        }
        described(&record, &DeviceModels::of(&app.models, &registration.objects))
    }

    /// What the device answered.
    ///
    /// # Errors
    /// Why there is no answer, also in words.
    pub fn answer<'a>(&'a self, app: &'a App) -> Result<Answer<'a>, (api::OperationFailure, String)> {
        let failed = |failure: &Failure| (failure_word(*failure), failure.to_string());
        let outcome = self.result.as_ref().map_err(failed)?;
        let models = DeviceModels::of(&app.models, &self.registration.objects);
        // An answer to a Discover is of links, whatever some devices call it.
        let format = if asks_for_links(&self.record) { Some(ContentFormat::LINK) } else { outcome.format };
        Ok(Answer { outcome, format, models, received_at: self.record.changed_at })
    }
}

/// What a device answered.
#[derive(Debug)]
pub struct Answer<'a> {
    outcome: &'a Outcome,
    format: Option<ContentFormat>,
    models: DeviceModels<'a>,
    received_at: u64,
}

impl<'a> Answer<'a> {
    /// The answer of an operation that ended long ago, of a device of which only its standard objects are known.
    pub fn late(app: &'a App, outcome: &'a Outcome) -> Self {
        let models = DeviceModels::of_any(&app.models);
        Self { outcome, format: outcome.format, models, received_at: app.now() }
    }

    /// Its class and detail, as in (2, 5).
    pub fn code(&self) -> (u8, u8) {
        (self.outcome.code.class(), self.outcome.code.detail())
    }

    /// Whether the device did what it was asked for.
    pub fn is_success(&self) -> bool {
        self.outcome.code.is_success()
    }

    /// The words in which it refused, if it said any.
    pub fn diagnostic(&self) -> Option<Cow<'a, str>> {
        let is_explained = !self.is_success() && !self.outcome.payload.is_empty();
        is_explained.then(|| String::from_utf8_lossy(&self.outcome.payload))
    }

    /// The values that hold now; none if the device refused or answered with links. `base` is the path that was asked for.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub fn values(&self, base: Path) -> Result<Option<Vec<Entry>>, FormatError> {
        if self.outcome.code != Code::CONTENT || self.is_of_links() {
            return Ok(None);
        }
        let format = self.format.unwrap_or(match base {
            Path::ROOT => ContentFormat::SENML_CBOR,
            _ => ContentFormat::TEXT,
        });
        let entries = self.models.decode(format, base, &self.outcome.payload)?;
        Ok(Some(values::present(values::timed(entries, self.received_at))))
    }

    /// The links that it answered to a Discover, as it wrote them.
    pub fn links(&self) -> Option<Cow<'a, str>> {
        let is_there = self.is_success() && self.is_of_links();
        is_there.then(|| String::from_utf8_lossy(&self.outcome.payload))
    }

    /// Where it put what it created, as in "3303/5".
    pub fn location(&self) -> Option<&'a str> {
        Some(&*self.outcome.location).filter(|location| self.is_success() && !location.is_empty())
    }

    fn is_of_links(&self) -> bool {
        self.format == Some(ContentFormat::LINK)
    }
}

/// Why a command on an operation was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum OperationError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// No device of this name is registered.
    NoSuchDevice(String),
    /// The request makes no sense for the device.
    Request(RequestError),
    /// There is no operation of this id.
    NoSuchOperation(u64),
    /// The operation has ended already.
    HasEnded(u64),
    /// It could not be saved.
    NotSaved(NotSaved),
    /// The store could not be read.
    Store(StoreError),
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchDevice(endpoint) => write!(f, "no device named {endpoint} is registered"),
            Self::Request(error) => error.fmt(f),
            Self::NoSuchOperation(id) => write!(f, "there is no operation {id}"),
            Self::HasEnded(id) => write!(f, "operation {id} has ended already"),
            Self::NotSaved(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OperationError {}

impl From<Forbidden> for OperationError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for OperationError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Starts an operation, and waits a while for its end.
///
/// All that its shard has to say comes with the end: a caller who waits is woken once.
///
/// # Errors
/// [`OperationError`]
pub async fn start(
    app: &Arc<App>,
    principal: &Principal,
    command: StartOperation,
) -> Result<Started, OperationError> {
    app.permit(principal, Permission::Command, Of::Device(&command.endpoint)).await?;
    app.journal.check()?;
    let id = reserve(app);
    let StartOperation { endpoint, request, deadline, wait, kept, key } = command;
    let (until, patience) = match kept {
        Kept::Always => (Until::End, wait),
        Kept::ForQueueMode => (Until::EndOrSleep, wait + FOR_THE_ANSWER),
    };
    let (principal, models) = (principal.clone(), app.models.clone());
    let (key, companions) = (Mutex::new(key), Mutex::default());
    let order = Order { id, endpoint, request, deadline, wait, kept, key, companions, principal, models };
    let order = Arc::new(order);
    for _ in 0..MOST_SHARDS_ASKED {
        let mut end = app.hub.expect(id, until);
        let home = app.endpoints.shard_of(&order.endpoint);
        let (answer, accepted) = oneshot::channel();
        let (sent, hub) = (order.clone(), app.hub.clone());
        app.home(&order.endpoint).run(move |shard, now, outbox| {
            let accepted = sent.submit(shard, now, outbox);
            if accepted.is_err() {
                hub.forget(id);
            }
            // The caller may have gone; the operation goes on.
            let _ = answer.send(accepted);
        });
        let progress = tokio::time::timeout(patience, &mut end).await;
        let progress = progress.ok().and_then(Result::ok);
        // A shard that is slow to take it is no reason to say that there is no such device.
        match accepted.await {
            Err(_) => {
                app.hub.forget(id);
                return Err(NotSaved::Stopped.into());
            }
            Ok(Err(OperationError::NoSuchDevice(_))) if app.endpoints.shard_of(&order.endpoint) != home => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(accepted)) => return accepted.started(app, id, kept, progress, end).await,
        }
    }
    Err(OperationError::NoSuchDevice(order.endpoint.clone()))
}

/// The id of an operation that is about to be started.
pub(crate) fn reserve(app: &App) -> OperationId {
    OperationId(app.next_operation.fetch_add(1, Ordering::Relaxed))
}

/// What a job asks a device for.
pub(crate) struct JobOrder {
    /// The id that was reserved for it.
    pub(crate) id: OperationId,
    /// The device.
    pub(crate) endpoint: String,
    /// What.
    pub(crate) request: api::Request,
    /// When it is too late; milliseconds since the epoch.
    pub(crate) deadline: u64,
    /// How long a device that is awake is waited for; milliseconds.
    pub(crate) patience: u64,
    /// The job.
    pub(crate) principal: Principal,
    /// What is saved together with the operation.
    pub(crate) companions: ChangeSet<'static>,
}

/// Starts an operation for a job, which hears of its end. It is durable when this returns, unless the store can't be written: then it is sent, and
/// its end is heard, when it is durable.
///
/// # Errors
/// [`OperationError`]
pub(crate) async fn start_for_job(app: &Arc<App>, order: JobOrder) -> Result<(), OperationError> {
    app.journal.check()?;
    let JobOrder { id, endpoint, request, deadline, patience, principal, companions } = order;
    let left = deadline.saturating_sub(app.now());
    let is_asleep = app.registration(&endpoint).await.is_some_and(|it| it.queue_mode);
    let deadline = Some(Duration::from_millis(if is_asleep { left } else { left.min(patience) }));
    let (models, key, companions) = (app.models.clone(), Mutex::new(None), Mutex::new(companions));
    let (wait, kept) = (Duration::ZERO, Kept::Always);
    let order = Order { id, endpoint, request, deadline, wait, kept, key, companions, principal, models };
    let order = Arc::new(order);
    app.hub.expect_for_jobs(id);
    let accepted = hand_over(app, &order).await;
    if accepted.is_err() {
        app.hub.forget(id);
    }
    match accepted?.is_saved(app).await {
        // The device gets it as soon as the store can be written again.
        Ok(()) | Err(NotSaved::Trouble(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives an order to the shard of its device, and to another one if the device has moved meanwhile.
async fn hand_over(app: &Arc<App>, order: &Arc<Order>) -> Result<Accepted, OperationError> {
    for _ in 0..MOST_SHARDS_ASKED {
        let home = app.endpoints.shard_of(&order.endpoint);
        let sent = order.clone();
        let accepted = app.change(&order.endpoint, move |shard, now, outbox| sent.submit(shard, now, outbox));
        match accepted.await {
            None => return Err(NotSaved::Stopped.into()),
            Some(Err(OperationError::NoSuchDevice(_))) if app.endpoints.shard_of(&order.endpoint) != home => {
            }
            Some(accepted) => return accepted,
        }
    }
    Err(OperationError::NoSuchDevice(order.endpoint.clone()))
}

/// An operation that its shard has taken.
struct Accepted {
    record: OperationRecord,
    registration: RegistrationView,
    durability: Durability,
    /// Tells when it is durable, if it is before its end.
    saved: Option<oneshot::Receiver<()>>,
}

impl Accepted {
    /// What the caller is answered, after its wait.
    async fn started(
        mut self,
        app: &Arc<App>,
        id: OperationId,
        kept: Kept,
        progress: Option<Progress>,
        mut end: oneshot::Receiver<Progress>,
    ) -> Result<Started, OperationError> {
        match progress {
            Some(Progress::Ended(result)) => return Ok(self.ended(app, result)),
            // It is durable: what is published was saved.
            Some(Progress::Delayed) => return Ok(Started::GoesOn(id.0)),
            None => {}
        }
        match (kept, self.durability) {
            (Kept::Always, Durability::Durable) => {
                self.is_saved(app).await?;
                Ok(Started::GoesOn(id.0))
            }
            (Kept::Always, _) => {
                let keep = move |shard: &mut ServerShard, now, outbox: &mut Outbox| {
                    shard.make_durable(now, id, outbox)
                };
                let goes_on = app.change_durably(&self.record.endpoint.clone(), keep).await?;
                match goes_on {
                    false => match end.await {
                        Ok(Progress::Ended(result)) => Ok(self.ended(app, result)),
                        _ => Ok(Started::GoesOn(id.0)),
                    },
                    true => Ok(Started::GoesOn(id.0)),
                }
            }
            (Kept::ForQueueMode, Durability::Durable) if app.hub.delay(id) => {
                self.is_saved(app).await?;
                Ok(Started::GoesOn(id.0))
            }
            // The device was given the wait, or it has ended in this very moment.
            (Kept::ForQueueMode, _) => match end.try_recv() {
                Ok(Progress::Ended(result)) => Ok(self.ended(app, result)),
                _ => Ok(self.ended(app, Err(Failure::TimedOut))),
            },
        }
    }

    /// Comes back when it is durable.
    async fn is_saved(&mut self, app: &Arc<App>) -> Result<(), NotSaved> {
        let Some(saved) = self.saved.take() else { return Ok(()) };
        app.journal.unless_in_trouble(saved).await?.map_err(|_| NotSaved::Stopped)
    }

    fn ended(self, app: &App, result: Result<Outcome, Failure>) -> Started {
        let Self { mut record, registration, .. } = self;
        record.changed_at = app.now();
        Started::Ended(Box::new(Ended { record, registration, result }))
    }
}

/// An operation on its way to a shard.
struct Order {
    id: OperationId,
    endpoint: String,
    request: api::Request,
    deadline: Option<Duration>,
    wait: Duration,
    kept: Kept,
    key: Mutex<Option<NewKey>>,
    /// What else is saved together with it.
    companions: Mutex<ChangeSet<'static>>,
    principal: Principal,
    models: Arc<Registry>,
}

impl Order {
    /// Runs in the device's shard.
    fn submit(
        &self,
        shard: &mut ServerShard,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<Accepted, OperationError> {
        let registration = shard.registration(&self.endpoint);
        let registration = registration.ok_or_else(|| OperationError::NoSuchDevice(self.endpoint.clone()))?;
        let observations = match self.request {
            api::Request::CancelObserve { .. } | api::Request::CancelObserveComposite { .. } => {
                shard.observations(&self.endpoint)
            }
            _ => Vec::new(),
        };
        let target = Target { models: DeviceModels::of(&self.models, &registration.objects), observations };
        let (request, intent) = target.request(&self.request).map_err(OperationError::Request)?;
        let is_read = matches!(request.code, Code::GET | Code::FETCH) && intent == Intent::Once;
        let key = lock(&self.key).take();
        let (durability, patience) = match (self.kept, registration.queue_mode) {
            (Kept::ForQueueMode, false) => (Durability::Transient, self.wait),
            (_, queue_mode) => {
                let default = if queue_mode { SLEEPER_PATIENCE } else { DEFAULT_DEADLINE };
                let is_recorded =
                    self.kept == Kept::Always && is_read && !registration.asleep && key.is_none();
                let durability = if is_recorded { Durability::Recorded } else { Durability::Durable };
                (durability, self.deadline.unwrap_or(default))
            }
        };
        let deadline = now + patience;
        let record = OperationRecord {
            id: self.id,
            endpoint: registration.endpoint.clone(),
            state: OperationState::Queued,
            created_at: shard.calendar().date_of(now),
            deadline: shard.calendar().date_of(deadline),
            changed_at: shard.calendar().date_of(now),
            intent: intent.clone(),
            code: request.code.to_byte(),
            options: request.option_records(),
            payload: Vec::new(),
            answer: None,
            failure: None,
        };
        let mut companions = std::mem::take(&mut *lock(&self.companions));
        if let Some(key) = &key {
            companions.push(Change::IdempotencyKey(key.row(self.id.0)));
        }
        if !is_read {
            let detail = format!("{} {}, operation {}", method_of(&record), path_of(&record), self.id.0);
            companions.push(self.principal.audit(
                record.created_at,
                "operation.start",
                &self.endpoint,
                detail,
            ));
        }
        if !companions.is_empty() {
            Companion::Changes(companions).accompany(outbox);
        }
        if let Some(key) = key {
            Companion::Held(Box::new(key)).accompany(outbox);
        }
        let endpoint = registration.endpoint.clone();
        let submission = Submission { id: self.id, endpoint, request, intent, deadline, durability };
        shard.submit(now, submission, outbox);
        let saved = (durability == Durability::Durable).then(|| {
            let (told, saved) = oneshot::channel();
            Companion::WhenSaved(told).accompany(outbox);
            saved
        });
        Ok(Accepted { record, registration, durability, saved })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Operations, the newest first, below the id `after`. Answers are not in it. Of operations on devices that the principal may not read, nothing is
/// in it: such a page may have fewer than `limit`.
///
/// # Errors
/// [`OperationError::Store`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: Option<String>,
    ended: Option<bool>,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::Operation>, OperationError> {
    let covered = match &endpoint {
        Some(endpoint) => {
            app.permit(principal, Permission::Read, Of::Device(endpoint)).await?;
            Covered::All
        }
        None => app.covered(principal, Permission::Read).await?,
    };
    let page = Page { before: after.unwrap_or(u64::MAX), limit };
    let rows = app
        .read(move |store| store.operations(&OperationFilter { endpoint: endpoint.as_deref(), ended }, page))
        .await?;
    let next = rows.last().filter(|_| rows.len() == page.limit).map(|row| row.id.to_string());
    let records = rows.iter().filter_map(operation_record);
    let seen = records.filter(|record| covered.has(&record.endpoint));
    let items = seen.map(|record| summary(&record)).collect();
    Ok(api::Page { items, next })
}

/// One operation, with what the device answered.
///
/// # Errors
/// [`OperationError`]
pub async fn one(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Operation, OperationError> {
    app.permit_some(principal, Permission::Read)?;
    let record = stored(app, id).await?;
    app.permit(principal, Permission::Read, Of::Device(&record.endpoint)).await?;
    let registration = app.registration(&record.endpoint).await;
    let models = match &registration {
        Some(registration) => DeviceModels::of(&app.models, &registration.objects),
        None => DeviceModels::of_any(&app.models),
    };
    Ok(described(&record, &models))
}

/// Cancels an operation. What the device has been sent already it may still carry out.
///
/// # Errors
/// [`OperationError`]
pub async fn cancel(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
) -> Result<api::Operation, OperationError> {
    app.permit_some(principal, Permission::Command)?;
    let record = stored(app, id).await?;
    app.permit(principal, Permission::Command, Of::Device(&record.endpoint)).await?;
    let target: Arc<str> = record.endpoint;
    let (name, author) = (target.clone(), principal.clone());
    let cancelled = app.change_durably(&target, move |shard, now, outbox| {
        let was_open = shard.cancel(now, OperationId(id), outbox);
        if was_open {
            let detail = format!("operation {id}");
            let audit = author.audit(shard.calendar().date_of(now), "operation.cancel", &name, detail);
            Companion::Changes(vec![audit]).accompany(outbox);
        }
        was_open
    });
    if !cancelled.await? {
        return Err(OperationError::HasEnded(id));
    }
    one(app, principal, id).await
}

async fn stored(app: &Arc<App>, id: u64) -> Result<OperationRecord, OperationError> {
    let row = app.read(move |store| store.operation(id)).await?;
    row.as_ref().and_then(operation_record).ok_or(OperationError::NoSuchOperation(id))
}

/// An operation with all that the device answered.
fn described(record: &OperationRecord, models: &DeviceModels<'_>) -> api::Operation {
    let mut operation = summary(record);
    let Some(answer) = record.answer.as_ref() else { return operation };
    let code = Code::from_byte(answer.code);
    if !code.is_success() {
        return operation;
    }
    operation.location = Some(answer.location.clone()).filter(|it| !it.is_empty()).map(|it| format!("/{it}"));
    let format = match asks_for_links(record) {
        true => Some(ContentFormat::LINK),
        false => answer.format.map(ContentFormat),
    };
    if format == Some(ContentFormat::LINK) {
        operation.links = Some(path_values::links(&answer.payload));
    } else if code == Code::CONTENT {
        let base = lwm2m_path(&operation.path).unwrap_or(Path::ROOT);
        let format = format.unwrap_or(ContentFormat::TEXT);
        match path_values::decode(models, format, base, &answer.payload, record.changed_at) {
            Ok(listed) => (operation.values, operation.history) = (Some(listed.values), listed.history),
            Err(error) => operation.detail = Some(format!("the device's answer cannot be read: {error}")),
        }
    }
    operation
}

/// The path without the root below which the device has its objects.
fn lwm2m_path(path: &str) -> Option<Path> {
    let is_number = |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let ids = segments.iter().rev().take_while(|segment| is_number(segment)).count();
    format!("/{}", segments[segments.len() - ids..].join("/")).parse().ok()
}

/// An operation of the store without what the device answered.
pub(crate) fn summary_of(row: &OperationRow) -> Option<api::Operation> {
    operation_record(row).map(|record| summary(&record))
}

fn summary(record: &OperationRecord) -> api::Operation {
    let refusal = record.answer.as_ref().filter(|answer| !Code::from_byte(answer.code).is_success());
    let words = refusal.map(|answer| String::from_utf8_lossy(&answer.payload).into_owned());
    api::Operation {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        state: state_of(record.state),
        ended: state_of(record.state).has_ended(),
        failure: record.failure.map(failure_word),
        method: method_of(record).into(),
        path: path_of(record),
        created_at: record.created_at,
        changed_at: record.changed_at,
        deadline: record.deadline,
        code: record.answer.as_ref().map(|answer| Code::from_byte(answer.code).to_string()),
        detail: record.failure.map(|failure| failure.to_string()).or(words).filter(|text| !text.is_empty()),
        values: None,
        history: Vec::new(),
        links: None,
        location: None,
    }
}

/// Whether it is a Discover. Some devices leave out the format of their answer, or name another one.
fn asks_for_links(record: &OperationRecord) -> bool {
    let accept = record.options.iter().find(|(number, _)| *number == OptionNumber::ACCEPT.0);
    accept.is_some_and(|(_, value)| parse_uint(value) == Some(u32::from(ContentFormat::LINK.0)))
}

fn method_of(record: &OperationRecord) -> &'static str {
    Code::from_byte(record.code).name().unwrap_or("?")
}

fn path_of(record: &OperationRecord) -> String {
    let options = record.options.iter().map(|(number, value)| (OptionNumber(*number), value.clone()));
    let request = Downlink {
        code: Code::from_byte(record.code),
        options: options.collect(),
        payload: Body::new([0u8; 0]),
    };
    let path = request.path();
    if path.is_empty() { "/".into() } else { path }
}

pub(crate) const fn state_of(state: OperationState) -> api::OperationState {
    match state {
        OperationState::Queued => api::OperationState::Queued,
        OperationState::Sent => api::OperationState::Sent,
        OperationState::Succeeded => api::OperationState::Succeeded,
        OperationState::Failed => api::OperationState::Failed,
        OperationState::Expired => api::OperationState::Expired,
        OperationState::Cancelled => api::OperationState::Cancelled,
    }
}

pub(crate) const fn failure_word(failure: Failure) -> api::OperationFailure {
    match failure {
        Failure::NotRegistered => api::OperationFailure::NotRegistered,
        Failure::TimedOut => api::OperationFailure::TimedOut,
        Failure::Reset => api::OperationFailure::Reset,
        Failure::Expired => api::OperationFailure::Expired,
        Failure::Cancelled => api::OperationFailure::Cancelled,
        Failure::Deregistered => api::OperationFailure::Deregistered,
        Failure::Interrupted => api::OperationFailure::Interrupted,
        Failure::TooManyOperations => api::OperationFailure::TooManyOperations,
        Failure::BadTransfer => api::OperationFailure::BadTransfer,
        Failure::RequestTooLarge => api::OperationFailure::RequestTooLarge,
        Failure::NoSuchObservation => api::OperationFailure::NoSuchObservation,
        _ => api::OperationFailure::Other,
    }
}
