//! Carries firmware updates out: turns what [`Update`] wants into operations on its device, and what the device says into its input.
//!
//! One task has all open updates. Each new stage is in the store before the next action leaves, so a restart of the server finds every
//! update where it was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_fleet::update::{self, Action, Goal, Input, Patience, Update, UpdateRecord};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation::{Content, Downlink as Typed, WriteMode};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::OwnedValue;
use buoy_server::{Downlink, Durability, Event, Failure, Intent, Outcome, Report, ReportSource};
use buoy_store::Change;
use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::hub::Progress;
use crate::values::DeviceModels;

/// How long one question to a device may wait for it; the stages have limits of their own.
const ACTION_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// When nothing is due.
const IDLE_WAIT: Duration = Duration::from_secs(3600);

/// The way to the updates.
#[derive(Debug)]
pub struct UpdatesHandle {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Start {
        endpoint: Arc<str>,
        goal: Goal,
        patience: Patience,
        answer: oneshot::Sender<Result<Update, StartError>>,
    },
    Cancel {
        id: u64,
        answer: oneshot::Sender<Option<Update>>,
    },
    Performed {
        id: u64,
        action: Action,
        result: Result<Outcome, Failure>,
    },
}

/// Why an update cannot start.
#[derive(Debug)]
pub enum StartError {
    /// Another one of the device is open.
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

    /// Starts an update.
    pub async fn start(&self, endpoint: &str, goal: Goal, patience: Patience) -> Result<Update, StartError> {
        let (answer, wait) = oneshot::channel();
        let command = Command::Start { endpoint: endpoint.into(), goal, patience, answer };
        self.commands.send(command).map_err(|_| StartError::Stopping)?;
        wait.await.map_err(|_| StartError::Stopping)?
    }

    /// Cancels an open update.
    pub async fn cancel(&self, id: u64) -> Option<Update> {
        let (answer, wait) = oneshot::channel();
        self.commands.send(Command::Cancel { id, answer }).ok()?;
        wait.await.ok()?
    }
}

/// What happens to devices that are updated.
pub type Events = mpsc::UnboundedReceiver<Arc<Event>>;

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

/// Runs all updates until the server stops. `open` are those of before a restart.
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
        open: HashMap::new(),
        by_endpoint: HashMap::new(),
        next_id: last_id + 1,
    };
    driver.resume(open).await;
    loop {
        let wait = driver.wait();
        tokio::select! {
            command = commands.queue.recv() => match command {
                Some(command) => driver.command(command).await,
                None => return,
            },
            event = events.recv() => match event {
                Some(event) => driver.event(&event).await,
                None => return,
            },
            () = tokio::time::sleep(wait) => driver.time_out().await,
        }
    }
}

struct Driver {
    app: Arc<App>,
    results: mpsc::UnboundedSender<Command>,
    open: HashMap<u64, Update>,
    by_endpoint: HashMap<Arc<str>, u64>,
    next_id: u64,
}

impl Driver {
    async fn resume(&mut self, open: Vec<UpdateRecord>) {
        for record in open {
            let Some(mut update) = Update::restore(&record) else {
                tracing::error!(id = record.id, "the record of an update is damaged; the update is dropped");
                continue;
            };
            let actions = update.resume(self.app.now());
            self.app.follow_download(update.id(), update.endpoint());
            self.keep(update, actions).await;
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Start { endpoint, goal, patience, answer } => {
                // Whoever asked may have gone; the update goes on.
                let _ = answer.send(self.start(endpoint, goal, patience).await);
            }
            Command::Cancel { id, answer } => {
                let _ = answer.send(self.input(id, Input::Cancel).await);
            }
            Command::Performed { id, action, result } => self.performed(id, action, result).await,
        }
    }

    async fn start(
        &mut self,
        endpoint: Arc<str>,
        goal: Goal,
        patience: Patience,
    ) -> Result<Update, StartError> {
        if let Some(id) = self.by_endpoint.get(&endpoint) {
            return Err(StartError::AlreadyOpen(*id));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.app.follow_download(id, &endpoint);
        let (update, actions) = Update::start(self.app.now(), id, &endpoint, goal, patience);
        self.keep(update.clone(), actions).await;
        Ok(update)
    }

    async fn event(&mut self, event: &Event) {
        match event {
            Event::Registered { registration, .. } => {
                if let Some(id) = self.by_endpoint.get(&registration.endpoint) {
                    self.input(*id, Input::Registered).await;
                }
            }
            Event::Reported(report) => {
                if let Some(id) = self.by_endpoint.get(&report.endpoint).copied() {
                    self.reported(id, report).await;
                }
            }
            _ => {}
        }
    }

    async fn reported(&mut self, id: u64, report: &Report) {
        let base = match &report.source {
            ReportSource::Notification { paths, composite: false, .. } => {
                paths.first().copied().unwrap_or(Path::ROOT)
            }
            _ => Path::ROOT,
        };
        self.said(id, report.format, base, &report.payload).await;
    }

    async fn performed(&mut self, id: u64, action: Action, result: Result<Outcome, Failure>) {
        match result {
            Ok(reply) if reply.code.is_success() => {
                let format = reply.format.unwrap_or(ContentFormat::TEXT);
                if matches!(action, Action::Read(_) | Action::Observe(_)) {
                    self.said(id, format, action.path(), &reply.payload).await;
                }
                self.input(id, Input::Done(action)).await;
            }
            Ok(reply) => {
                let words = String::from_utf8_lossy(&reply.payload);
                let name = reply.code.name().unwrap_or("unknown code");
                let reason = match words.is_empty() {
                    true => format!("{} {name}", reply.code),
                    false => format!("{} {name}: {words}", reply.code),
                };
                self.input(id, Input::Failed(action, &reason)).await;
            }
            Err(failure) => {
                self.input(id, Input::Failed(action, &failure.to_string())).await;
            }
        }
    }

    /// Takes values that the device said, in an answer or by itself.
    async fn said(&mut self, id: u64, format: ContentFormat, base: Path, payload: &[u8]) {
        let app = self.app.clone();
        let Ok(entries) = DeviceModels::of_any(&app.models).decode(format, base, payload) else { return };
        for entry in entries {
            let input = match (entry.path, &entry.value) {
                (update::FIRMWARE_VERSION, Some(OwnedValue::String(version))) => Input::Version(version),
                (update::STATE, Some(OwnedValue::Integer(state))) => Input::State(*state),
                (update::RESULT, Some(OwnedValue::Integer(result))) => Input::Result(*result),
                _ => continue,
            };
            self.input(id, input).await;
        }
    }

    async fn time_out(&mut self) {
        let now = self.app.now();
        let due = |update: &&Update| update.deadline().is_some_and(|at| at <= now);
        let ids: Vec<_> = self.open.values().filter(due).map(Update::id).collect();
        for id in ids {
            self.input(id, Input::Timeout).await;
        }
    }

    fn wait(&self) -> Duration {
        let now = self.app.now();
        let next = self.open.values().filter_map(Update::deadline).min();
        next.map_or(IDLE_WAIT, |at| Duration::from_millis(at.saturating_sub(now) + 1)).min(IDLE_WAIT)
    }

    async fn input(&mut self, id: u64, input: Input<'_>) -> Option<Update> {
        let mut update = self.open.remove(&id)?;
        let stage = update.stage().clone();
        let actions = update.handle(self.app.now(), input);
        if *update.stage() == stage && actions.is_empty() {
            self.open.insert(id, update.clone());
        } else {
            self.keep(update.clone(), actions).await;
        }
        Some(update)
    }

    /// Saves an update, and then does what it wants done.
    async fn keep(&mut self, update: Update, actions: Vec<Action>) {
        let change = Change::Update { record: update.record(), changed_at: self.app.now() };
        if self.app.journal.commit(vec![change]).await.is_err() {
            return;
        }
        self.app.hub.tell_update(&update);
        let endpoint: Arc<str> = update.endpoint().into();
        if update.has_ended() {
            tracing::info!(device = %endpoint, update = update.id(), end = %update.stage(), "firmware update ended");
            self.by_endpoint.remove(&endpoint);
            if let Some(push) = self.app.downloads.get(update.id()).and_then(|followed| followed.push) {
                // One that is done is not there any more.
                self.app.cancel(&endpoint, push).await;
            }
            for action in actions {
                self.perform(&update, &endpoint, action);
            }
            self.app.forget_download(update.id());
        } else {
            for action in actions {
                self.perform(&update, &endpoint, action);
            }
            self.by_endpoint.insert(endpoint, update.id());
            self.open.insert(update.id(), update);
        }
        self.app.hub.set_open_updates(self.open.len());
    }

    fn perform(&self, update: &Update, endpoint: &Arc<str>, action: Action) {
        let (id, results) = (update.id(), self.results.clone());
        let Some((request, intent)) = self.request(update, &action) else {
            let result = Err(Failure::Cancelled);
            let _ = results.send(Command::Performed { id, action, result });
            return;
        };
        let (operation, end) =
            self.app.submit(endpoint, request, intent, Durability::Patient, ACTION_PATIENCE);
        if action == Action::Push {
            self.app.downloads.pushed_by(id, operation);
        }
        tokio::spawn(async move {
            if let Ok(Progress::Ended(result)) = end.await {
                // After the stop nobody listens.
                let _ = results.send(Command::Performed { id, action, result });
            }
        });
    }

    fn request(&self, update: &Update, action: &Action) -> Option<(Downlink, Intent)> {
        let path = action.path();
        let uri;
        let typed = match action {
            Action::Read(_) => Typed::Read { path, accept: None },
            Action::Observe(_) => Typed::Observe { path, accept: None, attributes: Attributes::default() },
            Action::WriteUri(base) => {
                // A path of its own tells how far this device has come. An empty one takes the order back.
                uri = if base.is_empty() { String::new() } else { format!("{base}/{}", update.id()) };
                let content = Content { format: ContentFormat::TEXT, payload: uri.as_bytes() };
                Typed::Write { path, mode: WriteMode::Replace, content }
            }
            Action::Execute => Typed::Execute { path, arguments: "" },
            Action::Push => return self.push(update.goal()),
        };
        let intent = match action {
            Action::Observe(_) => Intent::Observe { paths: Arc::from([path]), composite: false },
            _ => Intent::Once,
        };
        Some((Downlink::of(&typed, "/"), intent))
    }

    /// The write of the whole image: its bytes are shared by all devices that are sent it.
    fn push(&self, goal: &Goal) -> Option<(Downlink, Intent)> {
        let image = self.app.firmware.get(&goal.digest)?;
        let segments = ["5", "0", "0"].map(|segment| (OptionNumber::URI_PATH, Box::from(segment.as_bytes())));
        let mut options = Vec::from(segments);
        options.push((OptionNumber::CONTENT_FORMAT, Box::from([ContentFormat::OCTET_STREAM.0 as u8])));
        Some((Downlink { code: Code::PUT, options, payload: image.package() }, Intent::Once))
    }
}
