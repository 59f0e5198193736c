//! Operations on devices: resources with a state, whether the device is awake or sleeps for a week.
//!
//! Starting one takes one trip to the device's shard. What has to be saved is saved there in one commit: the operation, the idempotency
//! key of its request, and its audit entry. A read of a device that is awake is saved once, when it has ended: to ask again does no harm.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buoy_api as api;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_lwm2m::model::Registry;
use buoy_lwm2m::path::Path;
use buoy_net::shard::ServerShard;
use buoy_server::{
    AnswerRecord, Body, Downlink, Durability, Failure, Intent, OperationId, OperationRecord, OperationState,
    Outbox, Outcome, RegistrationView, Submission,
};
use buoy_store::{Change, ChangeSet, OperationFilter, Page, StoreError};
use tokio::sync::oneshot;

use crate::app::{App, SLEEPER_PATIENCE};
use crate::changes::{Companion, operation_record};
use crate::hub::{Progress, Until};
use crate::idempotency::NewKey;
use crate::journal::NotSaved;
use crate::path_values;
use crate::principal::Principal;
use crate::request::{RequestError, Target};
use crate::values::DeviceModels;

/// How long an operation for a device that is awake is kept, if the caller says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
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
    /// The idempotency key of the request. It is taken until the operation is durable, even if the caller goes away before.
    pub key: Option<NewKey>,
}

/// Why a command on an operation was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum OperationError {
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

/// Starts an operation, and waits a while for its end. What comes back is durable.
///
/// # Errors
/// [`OperationError`]
pub async fn start(
    app: &Arc<App>,
    principal: &Principal,
    command: StartOperation,
) -> Result<api::Operation, OperationError> {
    app.journal.check()?;
    let id = OperationId(app.next_operation.fetch_add(1, Ordering::Relaxed));
    let end = app.hub.expect(id, Until::End);
    let wait = command.wait;
    let StartOperation { endpoint, request, deadline, wait: _, key } = command;
    let (principal, models) = (principal.clone(), app.models.clone());
    let order = Order { id, endpoint, request, deadline, key: Mutex::new(key), principal, models };
    let mut accepted = match submit(app, order).await {
        Ok(accepted) => accepted,
        Err(error) => {
            app.hub.forget(id);
            return Err(error);
        }
    };
    tokio::pin!(end);
    if let Ok(Ok(Progress::Ended(result))) = tokio::time::timeout(wait, &mut end).await {
        return Ok(ended(app, accepted, &result));
    }
    // The caller waits no longer: from here on the operation is found under its id.
    match accepted.saved.take() {
        Some(saved) => app.journal.unless_in_trouble(saved).await?.map_err(|_| NotSaved::Stopped)?,
        None => {
            let endpoint = accepted.record.endpoint.clone();
            let keep =
                move |shard: &mut ServerShard, now, outbox: &mut Outbox| shard.make_durable(now, id, outbox);
            let goes_on = app.change_durably(&endpoint, keep).await?;
            if !goes_on && let Ok(Progress::Ended(result)) = end.await {
                return Ok(ended(app, accepted, &result));
            }
        }
    }
    one(app, id.0).await
}

/// An operation that its shard has taken.
struct Accepted {
    record: OperationRecord,
    registration: RegistrationView,
    /// Tells when it is durable, if it is before its end.
    saved: Option<oneshot::Receiver<()>>,
}

/// An operation on its way to a shard.
struct Order {
    id: OperationId,
    endpoint: String,
    request: api::Request,
    deadline: Option<Duration>,
    key: Mutex<Option<NewKey>>,
    principal: Principal,
    models: Arc<Registry>,
}

async fn submit(app: &Arc<App>, order: Order) -> Result<Accepted, OperationError> {
    let order = Arc::new(order);
    let endpoint = &*order.endpoint;
    for _ in 0..MOST_SHARDS_ASKED {
        let (answer, wait) = oneshot::channel();
        let home = app.endpoints.shard_of(endpoint);
        let sent = order.clone();
        app.home(endpoint).run(move |shard, now, outbox| {
            // The caller may have gone; the operation goes on.
            let _ = answer.send(sent.submit(shard, now, outbox));
        });
        match wait.await.map_err(|_| NotSaved::Stopped)? {
            Err(OperationError::NoSuchDevice(_)) if app.endpoints.shard_of(endpoint) != home => {}
            other => return other,
        }
    }
    Err(OperationError::NoSuchDevice(endpoint.to_owned()))
}

impl Order {
    /// Runs in the device's shard.
    fn submit(
        &self,
        shard: &mut ServerShard,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<Accepted, OperationError> {
        let Self { id, endpoint: _, request: _, deadline: _, key, principal, models } = self;
        let order = self;
        let registration = shard.registration(&order.endpoint);
        let registration =
            registration.ok_or_else(|| OperationError::NoSuchDevice(order.endpoint.clone()))?;
        let target = Target {
            models: DeviceModels::of(models, &registration.objects),
            observations: shard.observations(&order.endpoint),
        };
        let (request, intent) = target.request(&order.request).map_err(OperationError::Request)?;
        let patience = order.deadline.unwrap_or(match registration.queue_mode {
            true => SLEEPER_PATIENCE,
            false => DEFAULT_DEADLINE,
        });
        let deadline = now + patience;
        let is_read = matches!(request.code, Code::GET | Code::FETCH) && intent == Intent::Once;
        let key = key.lock().unwrap_or_else(PoisonError::into_inner).take();
        let durability = match is_read && !registration.asleep && key.is_none() {
            true => Durability::Recorded,
            false => Durability::Durable,
        };
        let record = OperationRecord {
            id: *id,
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
        let mut companions = ChangeSet::new();
        if let Some(key) = &key {
            companions.push(Change::IdempotencyKey(key.row(id.0)));
        }
        if !is_read {
            let detail = format!("{} {}, operation {}", method_of(&record), path_of(&record), id.0);
            companions.push(principal.audit(record.created_at, "operation.start", &order.endpoint, detail));
        }
        if !companions.is_empty() {
            Companion::Changes(companions).accompany(outbox);
        }
        if let Some(key) = key {
            Companion::Held(Box::new(key)).accompany(outbox);
        }
        let endpoint = registration.endpoint.clone();
        let submission = Submission { id: *id, endpoint, request, intent, deadline, durability };
        shard.submit(now, submission, outbox);
        let saved = (durability == Durability::Durable).then(|| {
            let (told, saved) = oneshot::channel();
            Companion::WhenSaved(told).accompany(outbox);
            saved
        });
        Ok(Accepted { record, registration, saved })
    }
}

/// An operation that has ended, as it is in the store.
fn ended(app: &App, accepted: Accepted, result: &Result<Outcome, Failure>) -> api::Operation {
    let Accepted { mut record, registration, .. } = accepted;
    record.changed_at = app.now();
    match result {
        Ok(outcome) => {
            record.state = match outcome.code.is_success() {
                true => OperationState::Succeeded,
                false => OperationState::Failed,
            };
            record.answer = Some(AnswerRecord::of(outcome));
        }
        Err(failure) => {
            record.state = match failure {
                Failure::Expired => OperationState::Expired,
                Failure::Cancelled => OperationState::Cancelled,
                _ => OperationState::Failed,
            };
            record.failure = Some(*failure);
        }
    }
    described(&record, &DeviceModels::of(&app.models, &registration.objects))
}

/// Operations, the newest first, below the id `after`. Answers are not in it.
///
/// # Errors
/// [`OperationError::Store`]
pub async fn list(
    app: &Arc<App>,
    endpoint: Option<String>,
    ended: Option<bool>,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::Operation>, OperationError> {
    let page = Page { before: after.unwrap_or(u64::MAX), limit };
    let rows = app
        .read(move |store| store.operations(&OperationFilter { endpoint: endpoint.as_deref(), ended }, page))
        .await?;
    let next = rows.last().filter(|_| rows.len() == page.limit).map(|row| row.id.to_string());
    let items = rows.iter().filter_map(operation_record).map(|record| summary(&record)).collect();
    Ok(api::Page { items, next })
}

/// One operation, with what the device answered.
///
/// # Errors
/// [`OperationError`]
pub async fn one(app: &Arc<App>, id: u64) -> Result<api::Operation, OperationError> {
    let record = stored(app, id).await?;
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
    let record = stored(app, id).await?;
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
    one(app, id).await
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
    let format = answer.format.map(ContentFormat);
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

fn summary(record: &OperationRecord) -> api::Operation {
    let refusal = record.answer.as_ref().filter(|answer| !Code::from_byte(answer.code).is_success());
    let words = refusal.map(|answer| String::from_utf8_lossy(&answer.payload).into_owned());
    api::Operation {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        state: state_name(record.state).into(),
        ended: !matches!(record.state, OperationState::Queued | OperationState::Sent),
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

fn state_name(state: OperationState) -> &'static str {
    match state {
        OperationState::Queued => "queued",
        OperationState::Sent => "sent",
        OperationState::Succeeded => "succeeded",
        OperationState::Failed => "failed",
        OperationState::Expired => "expired",
        OperationState::Cancelled => "cancelled",
    }
}
