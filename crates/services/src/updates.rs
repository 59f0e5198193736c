//! Drives the firmware updates: translates the actions of [`Updates`] into operations on devices, and the devices' answers into its events.
//!
//! One task passes a batch of inputs to the engine, makes all records of the batch durable in one commit, and then submits operations and
//! publishes events. So an update continues where it was after a restart of the server.

pub mod commands;
pub(crate) mod stages;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_fleet::update::{
    self, Action, Answer, End, Goal, Patience, Stage, Step, Update, UpdateRecord, Value,
};
use buoy_fleet::updates::{AlreadyOpen, Event as FleetEvent, Operation, Outbox, Updates};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation::{Content, Downlink as Typed, WriteMode};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::OwnedValue;
use buoy_server::{Downlink, Durability, Event, Failure, Intent, OperationId, Outcome, Report};
use buoy_store::{Change, ChangeSet, DeviceChange, KeyRow};
use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::hub::Progress;
use crate::principal::Principal;
use crate::values::{DeviceModels, Entry, present, timed};

/// How long one operation may wait for a device; the stages have their own limits.
const ACTION_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a device may take to give the reason of a failure.
const REASON_PATIENCE: Duration = Duration::from_secs(60);
/// The wait when nothing is due.
const IDLE_WAIT: Duration = Duration::from_secs(3600);
/// The most inputs in one commit.
const BATCH: usize = 1024;

/// The handle of the updates.
#[derive(Debug)]
pub struct UpdatesHandle {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Start {
        principal: Principal,
        endpoint: Arc<str>,
        goal: Goal,
        patience: Patience,
        key: Option<KeyRow>,
        answer: oneshot::Sender<Result<Update, StartError>>,
    },
    Cancel {
        principal: Principal,
        id: u64,
        answer: oneshot::Sender<Option<Update>>,
    },
    Performed {
        id: u64,
        token: u64,
        path: Path,
        result: Result<Outcome, Failure>,
    },
}

/// Why an update cannot start.
#[derive(Debug)]
pub enum StartError {
    /// Another update of the device is open.
    AlreadyOpen(u64),
    /// The server is stopping.
    Stopping,
}

impl UpdatesHandle {
    /// A handle, and the commands that [`run`] takes.
    pub fn new() -> (Self, Commands) {
        let (commands, queue) = mpsc::unbounded_channel();
        (Self { commands: commands.clone() }, Commands { commands, queue })
    }

    /// Starts an update. The idempotency key of the request is saved with it, with the id of the update.
    pub async fn start(
        &self,
        principal: &Principal,
        endpoint: &str,
        goal: Goal,
        patience: Patience,
        key: Option<KeyRow>,
    ) -> Result<Update, StartError> {
        let (answer, wait) = oneshot::channel();
        let (principal, endpoint) = (principal.clone(), endpoint.into());
        let command = Command::Start { principal, endpoint, goal, patience, key, answer };
        self.commands.send(command).map_err(|_| StartError::Stopping)?;
        wait.await.map_err(|_| StartError::Stopping)?
    }

    /// Cancels an open update.
    pub async fn cancel(&self, principal: &Principal, id: u64) -> Option<Update> {
        let (answer, wait) = oneshot::channel();
        self.commands.send(Command::Cancel { principal: principal.clone(), id, answer }).ok()?;
        wait.await.ok()?
    }
}

/// The events of devices that are updated.
pub type Events = mpsc::Receiver<Arc<Event>>;

/// The other end of an [`UpdatesHandle`].
#[derive(Debug)]
pub struct Commands {
    commands: mpsc::UnboundedSender<Command>,
    queue: mpsc::UnboundedReceiver<Command>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

/// Runs all updates until the server stops. `open` are the open updates of the run before.
pub async fn run(
    app: Arc<App>,
    mut commands: Commands,
    mut events: Events,
    open: Vec<UpdateRecord>,
    last_id: u64,
) {
    let mut driver = Driver {
        app,
        results: commands.commands,
        engine: Updates::new(last_id),
        outbox: Outbox::default(),
        companions: ChangeSet::new(),
        waiting: Vec::new(),
        submitted: HashMap::new(),
    };
    if driver.resume(&open).await.is_err() {
        return;
    }
    let (mut some_commands, mut some_events) = (Vec::new(), Vec::new());
    loop {
        let wait = driver.wait();
        tokio::select! {
            // Results of operations come first: they are older than a registration that may follow them.
            biased;
            count = commands.queue.recv_many(&mut some_commands, BATCH) => if count == 0 { return },
            count = events.recv_many(&mut some_events, BATCH) => if count == 0 { return },
            () = tokio::time::sleep(wait) => {}
        }
        while some_events.len() < BATCH
            && let Ok(event) = events.try_recv()
        {
            some_events.push(event);
        }
        driver.set_calendar();
        some_commands.drain(..).for_each(|command| driver.command(command));
        some_events.drain(..).for_each(|event| driver.event(&event));
        let now = driver.app.steady_now();
        driver.engine.handle_timeout(now, BATCH, &mut driver.outbox);
        if driver.flush().await.is_err() {
            return;
        }
    }
}

struct Driver {
    app: Arc<App>,
    results: mpsc::UnboundedSender<Command>,
    engine: Updates,
    outbox: Outbox,
    /// Changes to save with the records of the batch.
    companions: ChangeSet<'static>,
    /// The callers that get the result of a command when it is durable.
    waiting: Vec<Waiting>,
    /// The operation in progress for each update, with its token.
    submitted: HashMap<u64, (u64, OperationId)>,
}

/// A caller. It may have gone; the update continues.
enum Waiting {
    Started(u64, oneshot::Sender<Result<Update, StartError>>),
    Cancelled(u64, oneshot::Sender<Option<Update>>),
}

/// The server is stopping.
struct Stopped;

impl Driver {
    /// Sets the calendar. Dates follow the system's clock; time limits use the monotonic time.
    fn set_calendar(&mut self) {
        let (now, calendar) = (self.app.steady_now(), self.app.calendar());
        self.engine.set_calendar(now, calendar, &mut self.outbox);
    }

    async fn resume(&mut self, open: &[UpdateRecord]) -> Result<(), Stopped> {
        self.set_calendar();
        let now = self.app.steady_now();
        for records in open.chunks(BATCH) {
            for record in records {
                self.follow(record.id, &record.endpoint);
                self.engine.restore(now, record, &mut self.outbox);
            }
            self.flush().await?;
        }
        Ok(())
    }

    fn command(&mut self, command: Command) {
        let now = self.app.steady_now();
        match command {
            Command::Start { principal, endpoint, goal, patience, key, answer } => {
                let detail = format!("version {}, image {}", goal.version, goal.digest);
                match self.engine.start(now, &endpoint, goal, patience, &mut self.outbox) {
                    Ok(id) => {
                        self.follow(id, &endpoint);
                        self.companions.push(principal.audit(
                            self.app.now(),
                            "update.start",
                            &endpoint,
                            detail,
                        ));
                        let key = key.map(|key| Change::IdempotencyKey(KeyRow { made: id, ..key }));
                        self.companions.extend(key);
                        self.waiting.push(Waiting::Started(id, answer));
                    }
                    Err(AlreadyOpen(id)) => {
                        let _ = answer.send(Err(StartError::AlreadyOpen(id)));
                    }
                }
            }
            Command::Cancel { principal, id, answer } => {
                let endpoint = self.engine.get(id).map(|update| update.endpoint().clone());
                if self.engine.cancel(now, id, &mut self.outbox) {
                    let (target, detail) = (endpoint.unwrap_or_default(), format!("update {id}"));
                    self.companions.push(principal.audit(self.app.now(), "update.cancel", &target, detail));
                    self.waiting.push(Waiting::Cancelled(id, answer));
                }
            }
            Command::Performed { id, token, path, result } => self.performed(id, token, path, result),
        }
    }

    fn event(&mut self, event: &Event) {
        let now = self.app.steady_now();
        match event {
            Event::Registered { registration, .. } => {
                let event = FleetEvent::Registered(&registration.endpoint);
                self.engine.handle_event(now, &event, &mut self.outbox);
            }
            Event::Updated { registration, .. } => {
                let event = FleetEvent::Contact(&registration.endpoint);
                self.engine.handle_event(now, &event, &mut self.outbox);
            }
            Event::Reported(report) if self.engine.cares_for(&report.endpoint).is_some() => {
                self.reported(now, report);
            }
            _ => {}
        }
    }

    fn reported(&mut self, now: u64, report: &Report) {
        let models = DeviceModels::of_any(&self.app.models);
        for value in present(models.read_report(report).values).iter().filter_map(value_of) {
            self.engine.handle_event(now, &FleetEvent::Said(&report.endpoint, value), &mut self.outbox);
        }
    }

    fn performed(&mut self, update: u64, token: u64, path: Path, result: Result<Outcome, Failure>) {
        let (entries, reason);
        let answer = match result {
            Ok(reply) if reply.code.is_success() => {
                let format = reply.format.unwrap_or(ContentFormat::TEXT);
                let models = DeviceModels::of_any(&self.app.models);
                let decoded = models.decode(format, path, &reply.payload).unwrap_or_default();
                entries = present(timed(decoded, self.app.now()));
                let value = entries.iter().filter(|entry| entry.path == path).find_map(value_of);
                value.map_or(Answer::Done, Answer::Value)
            }
            Ok(reply) => {
                reason = told(&reply);
                Answer::Refused { code: reply.code.to_byte(), reason: &reason }
            }
            Err(failure) => {
                reason = failure.to_string();
                Answer::Unanswered { reason: &reason }
            }
        };
        if self.submitted.get(&update).is_some_and(|(submitted, _)| *submitted == token) {
            self.submitted.remove(&update);
        }
        let event = FleetEvent::Answered { update, token, answer };
        self.engine.handle_event(self.app.steady_now(), &event, &mut self.outbox);
    }

    fn wait(&self) -> Duration {
        let now = self.app.steady_now();
        let next = self.engine.poll_timeout();
        next.map_or(IDLE_WAIT, |at| Duration::from_millis(at.saturating_sub(now))).min(IDLE_WAIT)
    }

    /// Makes a batch durable, and then executes its actions.
    async fn flush(&mut self) -> Result<(), Stopped> {
        self.engine.end_batch(&mut self.outbox);
        let Outbox { records, operations, progress, .. } = std::mem::take(&mut self.outbox);
        let mut companions = std::mem::take(&mut self.companions);
        // What the device runs now is known as soon as its update has ended.
        let updated = progress.iter().filter(|update| *update.stage() == Stage::Ended(End::Updated));
        companions.extend(updated.map(|update| {
            let (endpoint, version) = (update.endpoint().to_string(), update.goal().version.clone());
            Change::Device(DeviceChange::Firmware { endpoint, version, at: self.app.now() })
        }));
        if !records.is_empty() || !companions.is_empty() {
            let changed_at = self.app.now();
            let changes = records.into_iter().map(|record| Change::Update { record, changed_at });
            self.app.journal.commit(changes.chain(companions).collect()).await.map_err(|_| Stopped)?;
        }
        for operation in operations {
            self.carry_out(operation).await;
        }
        for update in &progress {
            self.tell(update);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.answer(waiting, &progress);
        }
        Ok(())
    }

    fn tell(&mut self, update: &Update) {
        self.app.hub.tell_update(update);

        if update.has_ended() {
            tracing::info!(device = %update.endpoint(), update = update.id(), end = %update.stage(), "firmware update ended");
            // The device's description is outdated.
            if *update.stage() == Stage::Ended(End::Updated) {
                self.app.inventory.updated(update.endpoint(), &update.goal().version);
            }
            if let Stage::Ended(End::RolledBack { .. }) = update.stage() {
                self.app.inventory.rolled_back(update.endpoint());
            }
            // The inventory knows it before a campaign asks.
            self.app.campaigns.tell_update(update);
            self.app.alerts.tell_update(update);
            self.submitted.remove(&update.id());
            self.app.forget_download(update.id());
            self.app.hub.interest().remove(update.endpoint());
        }
    }

    /// Starts to follow a device before the first operation is sent, so that no event is missed. [`Driver::tell`] ends it.
    fn follow(&self, id: u64, endpoint: &str) {
        self.app.follow_download(id, endpoint);
        self.app.hub.interest().add(endpoint);
    }

    fn answer(&self, waiting: Waiting, progress: &[Update]) {
        let find = |id| progress.iter().find(|update| update.id() == id).cloned();
        match waiting {
            Waiting::Started(id, answer) => {
                let _ = answer.send(find(id).ok_or(StartError::Stopping));
            }
            Waiting::Cancelled(id, answer) => {
                let _ = answer.send(find(id));
            }
        }
    }

    async fn carry_out(&mut self, operation: Operation) {
        let Operation { update, endpoint, step } = operation;
        match step {
            Step::Submit(token, action) => self.submit(update, &endpoint, token, &action),
            Step::Withdraw(token) => {
                let submitted = self.submitted.remove(&update).filter(|(submitted, _)| *submitted == token);
                if let Some((_, operation)) = submitted {
                    // It may have ended already.
                    self.app.cancel(&endpoint, operation).await;
                }
            }
        }
    }

    fn submit(&mut self, id: u64, endpoint: &Arc<str>, token: u64, action: &Action) {
        let (path, results) = (action.path(), self.results.clone());
        let Some((request, intent)) = self.request(action) else {
            let result = Err(Failure::Cancelled);
            let _ = results.send(Command::Performed { id, token, path, result });
            return;
        };
        // The update ends without a reason if the device does not give one now.
        let patience = if path == update::REASON { REASON_PATIENCE } else { ACTION_PATIENCE };
        let (operation, end) = self.app.submit(endpoint, request, intent, Durability::Patient, patience);
        self.submitted.insert(id, (token, operation));
        if matches!(action, Action::Push(_)) {
            self.app.downloads.pushed_by(id, operation);
        }
        tokio::spawn(async move {
            if let Ok(Progress::Ended(result)) = end.await {
                // After the stop there is no receiver.
                let _ = results.send(Command::Performed { id, token, path, result });
            }
        });
    }

    fn request(&self, action: &Action) -> Option<(Downlink, Intent)> {
        let path = action.path();
        let write = |uri| {
            let content = Content { format: ContentFormat::TEXT, payload: uri };
            Typed::Write { path, mode: WriteMode::Replace, content }
        };
        let typed = match action {
            Action::Read(_) => Typed::Read { path, accept: None },
            Action::Observe(_) => Typed::Observe { path, accept: None, attributes: Attributes::default() },
            Action::Reset => write(b""),
            Action::WriteUri(uri) => write(uri.as_bytes()),
            Action::Execute => Typed::Execute { path, arguments: "" },
            Action::Push(digest) => return self.push(digest),
        };
        let intent = match action {
            Action::Observe(_) => Intent::Observe { paths: Arc::from([path]), composite: false },
            _ => Intent::Once,
        };
        Some((Downlink::of(&typed, "/"), intent))
    }

    /// The Write of the whole image; all devices share its bytes.
    fn push(&self, digest: &str) -> Option<(Downlink, Intent)> {
        let image = self.app.firmware.get(digest)?;
        let segments = ["5", "0", "0"].map(|segment| (OptionNumber::URI_PATH, Box::from(segment.as_bytes())));
        let mut options = Vec::from(segments);
        options.push((OptionNumber::CONTENT_FORMAT, Box::from([ContentFormat::OCTET_STREAM.0 as u8])));
        Some((Downlink { code: Code::PUT, options, payload: image.package() }, Intent::Once))
    }
}

fn told(reply: &Outcome) -> String {
    let words = String::from_utf8_lossy(&reply.payload);
    let name = reply.code.name().unwrap_or("unknown code");
    match words.is_empty() {
        true => format!("{} {name}", reply.code),
        false => format!("{} {name}: {words}", reply.code),
    }
}

/// The part of a value that an update needs.
fn value_of(entry: &Entry) -> Option<Value<'_>> {
    match (entry.path, entry.value.as_ref()?) {
        (update::FIRMWARE_VERSION, OwnedValue::String(version)) => Some(Value::Version(version)),
        (update::STATE, OwnedValue::Integer(state)) => Some(Value::State(*state)),
        (update::RESULT, OwnedValue::Integer(result)) => Some(Value::Result(*result)),
        (update::REASON, OwnedValue::String(reason)) => Some(Value::Reason(reason)),
        _ => None,
    }
}
