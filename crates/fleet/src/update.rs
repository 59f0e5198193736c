//! The firmware update of one device (LwM2M Core 1.1 appendix E.6, Object 5).
//!
//! 1. The device is asked for its version (3/0/3) and its update state (5/0/3). One that runs the version already is done.
//! 2. An update that was left half done is cancelled by an empty Package URI; state and result (5/0/5) are observed.
//! 3. The Package URI is written to 5/0/1, or the image is pushed to 5/0/0. The device downloads and verifies.
//! 4. When its state is Downloaded, 5/0/2 is executed. The device switches and reboots.
//! 5. When it has *registered again*, it is asked anew, until it reports Idle: then it has confirmed the new image or gone back to
//!    the old one, and the version that it names decides. No earlier sign counts, least of all our own command.
//!
//! Each stage has a time limit. Every change of stage is to be saved; after a restart [`Update::resume`] goes on.

use std::fmt;
use std::time::Duration;

use buoy_lwm2m::path::Path;
use serde::{Deserialize, Serialize};

/// 3/0/3: Firmware Version
pub const FIRMWARE_VERSION: Path = Path::resource(3, 0, 3);
/// 5/0/0: Package
pub const PACKAGE: Path = Path::resource(5, 0, 0);
/// 5/0/1: Package URI
pub const PACKAGE_URI: Path = Path::resource(5, 0, 1);
/// 5/0/2: Update
pub const UPDATE: Path = Path::resource(5, 0, 2);
/// 5/0/3: State
pub const STATE: Path = Path::resource(5, 0, 3);
/// 5/0/5: Update Result
pub const RESULT: Path = Path::resource(5, 0, 5);

const IDLE: i64 = 0;
const DOWNLOADING: i64 = 1;
const DOWNLOADED: i64 = 2;
const UPDATING: i64 = 3;
const RESULT_INITIAL: i64 = 0;
const RESULT_SUCCESS: i64 = 1;

/// How often a device that is still trying its new image is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// An update in the store: what is searched for, and the record of [`Update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRecord {
    /// Ids grow.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// Whether nothing more will come of it.
    pub ended: bool,
    /// The update itself.
    pub record: Vec<u8>,
}

/// A firmware update of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    id: u64,
    endpoint: String,
    goal: Goal,
    patience: Patience,
    stage: Stage,
    history: Vec<Entry>,
    /// What the device ran before.
    old_version: Option<String>,
    /// What the device has said since it was last asked.
    said: Said,
    /// When the device is to be asked again.
    ask_again_at: Option<u64>,
    /// Why the device did not take the order, until it has told its state.
    refusal: Option<String>,
}

/// What the device shall run, and how it gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// The version that the device will report.
    pub version: String,
    /// The image: SHA-256 in hexadecimal digits.
    pub digest: String,
    /// How the image gets to the device.
    pub delivery: Delivery,
}

/// How an image gets to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// The device fetches it from this URI.
    Pull(String),
    /// The server sends it in blocks.
    Push,
}

/// How long each stage may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Until the device has said what it runs, and taken the order: it may have to wake up first.
    pub contact: Duration,
    /// Until the image is with the device.
    pub download: Duration,
    /// Until the device has rebooted and confirmed.
    pub install: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let hour = 3600;
        Self {
            contact: Duration::from_secs(7 * 24 * hour),
            download: Duration::from_secs(24 * hour),
            install: Duration::from_secs(24 * hour),
        }
    }
}

/// Where an update is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The device is asked what it runs and what it does.
    Inspecting,
    /// The device is told where the image is, or is sent it.
    Ordering,
    /// The device downloads.
    Downloading,
    /// The device is told to switch.
    Executing,
    /// The device switches and reboots.
    Installing,
    /// The device has registered again, and tries the new image.
    Confirming,
    /// Nothing more will come.
    Ended(End),
}

/// How an update ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The device reported the new version after its reboot and its confirmation.
    Updated,
    /// The device ran that version already.
    AlreadyRunning,
    /// The device went back: this is what it runs.
    RolledBack {
        /// The version that it reports.
        running: String,
        /// The Update Result that it reports.
        result: i64,
    },
    /// The device didn't take the image: the Update Result of Object 5.
    Refused {
        /// The code, raw.
        result: i64,
    },
    /// An operation failed.
    Failed {
        /// Which, and how.
        reason: String,
    },
    /// A stage took too long.
    TimedOut {
        /// Which.
        stage: Box<Stage>,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// A stage that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since the epoch.
    pub at: u64,
    /// Which.
    pub stage: Stage,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Said {
    version: Option<String>,
    state: Option<i64>,
    result: Option<i64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// The device registered.
    Registered,
    /// The device said its version (3/0/3).
    Version(&'a str),
    /// The device said its update state (5/0/3).
    State(i64),
    /// The device said its update result (5/0/5).
    Result(i64),
    /// The device took an action.
    Done(Action),
    /// An action failed.
    Failed(Action, &'a str),
    /// Somebody cancels the update.
    Cancel,
    /// The time of [`Update::deadline`] has come.
    Timeout,
}

/// What is to be done on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Read a resource.
    Read([u16; 3]),
    /// Observe a resource.
    Observe([u16; 3]),
    /// Write the Package URI.
    WriteUri(String),
    /// Send the image.
    Push,
    /// Execute 5/0/2.
    Execute,
}

impl Action {
    fn read(path: Path) -> Self {
        Self::Read(ids(path))
    }

    fn observe(path: Path) -> Self {
        Self::Observe(ids(path))
    }

    /// The resource that the action is about.
    #[must_use]
    pub fn path(&self) -> Path {
        match self {
            Self::Read([object, instance, resource]) | Self::Observe([object, instance, resource]) => {
                Path::resource(*object, *instance, *resource)
            }
            Self::WriteUri(_) => PACKAGE_URI,
            Self::Push => PACKAGE,
            Self::Execute => UPDATE,
        }
    }
}

fn ids(path: Path) -> [u16; 3] {
    path.ids().try_into().unwrap_or_default()
}

impl Update {
    /// Starts an update.
    #[must_use]
    pub fn start(now: u64, id: u64, endpoint: &str, goal: Goal, patience: Patience) -> (Self, Vec<Action>) {
        let update = Self {
            id,
            endpoint: endpoint.into(),
            goal,
            patience,
            stage: Stage::Inspecting,
            history: vec![Entry { at: now, stage: Stage::Inspecting }],
            old_version: None,
            said: Said::default(),
            ask_again_at: None,
            refusal: None,
        };
        (update, vec![Action::read(FIRMWARE_VERSION), Action::read(STATE)])
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The device.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the device shall run.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Where it is.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// What the device ran before, if it told.
    #[must_use]
    pub fn old_version(&self) -> Option<&str> {
        self.old_version.as_deref()
    }

    /// The stages so far.
    #[must_use]
    pub fn history(&self) -> &[Entry] {
        &self.history
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// When [`Input::Timeout`] is due (milliseconds since the epoch).
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let limit = self.time_limit()?;
        Some(self.ask_again_at.map_or(limit, |at| at.min(limit)))
    }

    /// Takes what happened, and returns what is to be done on the device. The update is then to be saved.
    pub fn handle(&mut self, now: u64, input: Input<'_>) -> Vec<Action> {
        if self.has_ended() {
            return Vec::new();
        }
        match input {
            Input::Cancel => self.cancelled(now),
            Input::Timeout => self.timed_out(now),
            Input::Registered => self.registered(now),
            Input::Version(version) => {
                self.said.version = Some(version.into());
                self.listen(now)
            }
            Input::State(state) => {
                self.said.state = Some(state);
                self.listen(now)
            }
            Input::Result(result) => {
                self.said.result = Some(result);
                self.listen(now)
            }
            Input::Done(action) => self.done(now, &action),
            Input::Failed(action, reason) => self.failed(now, &action, reason),
        }
    }

    /// Goes on after a restart of the server: asks again what may have been missed.
    pub fn resume(&mut self, now: u64) -> Vec<Action> {
        self.said = Said::default();
        match self.stage {
            Stage::Inspecting => vec![Action::read(FIRMWARE_VERSION), Action::read(STATE)],
            Stage::Ordering => self.order(now),
            Stage::Downloading => vec![Action::read(STATE), Action::read(RESULT)],
            Stage::Executing | Stage::Installing | Stage::Confirming => self.ask(),
            Stage::Ended(_) => Vec::new(),
        }
    }

    /// The record to save.
    #[must_use]
    pub fn record(&self) -> UpdateRecord {
        UpdateRecord {
            id: self.id,
            endpoint: self.endpoint.clone(),
            ended: self.has_ended(),
            record: postcard::to_stdvec(self).unwrap_or_default(),
        }
    }

    /// Reads a record; `None` if it is damaged.
    #[must_use]
    pub fn restore(record: &UpdateRecord) -> Option<Self> {
        postcard::from_bytes(&record.record).ok()
    }

    fn listen(&mut self, now: u64) -> Vec<Action> {
        match self.stage {
            Stage::Inspecting => self.inspected(now),
            Stage::Ordering => self.order_was_refused(now),
            Stage::Downloading => self.download_report(now),
            Stage::Confirming => self.verdict(now),
            _ => Vec::new(),
        }
    }

    fn inspected(&mut self, now: u64) -> Vec<Action> {
        let (Some(version), Some(state)) = (self.said.version.clone(), self.said.state) else {
            return Vec::new();
        };
        if version == self.goal.version && state == IDLE {
            return self.end(now, End::AlreadyRunning);
        }
        self.old_version = Some(version);
        let mut actions = vec![Action::observe(STATE), Action::observe(RESULT)];
        if matches!(state, DOWNLOADING | DOWNLOADED) {
            actions.push(Action::WriteUri(String::new()));
        }
        actions.extend(self.order(now));
        actions
    }

    fn order(&mut self, now: u64) -> Vec<Action> {
        self.enter(now, Stage::Ordering);
        vec![match &self.goal.delivery {
            Delivery::Pull(uri) => Action::WriteUri(uri.clone()),
            Delivery::Push => Action::Push,
        }]
    }

    fn done(&mut self, now: u64, action: &Action) -> Vec<Action> {
        match (&self.stage, action) {
            (Stage::Ordering, Action::WriteUri(uri)) if !uri.is_empty() => self.ordered(now),
            (Stage::Ordering, Action::Push) => self.ordered(now),
            (Stage::Executing, Action::Execute) => {
                self.enter(now, Stage::Installing);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The device may have downloaded, or refused, before it answered; so it is asked, beside being observed.
    fn ordered(&mut self, now: u64) -> Vec<Action> {
        self.said = Said::default();
        self.enter(now, Stage::Downloading);
        vec![Action::read(STATE), Action::read(RESULT)]
    }

    fn download_report(&mut self, now: u64) -> Vec<Action> {
        match (self.said.state, self.said.result) {
            (Some(DOWNLOADED), _) => {
                self.enter(now, Stage::Executing);
                vec![Action::Execute]
            }
            (Some(IDLE), Some(result)) if result != RESULT_INITIAL => self.end(now, End::Refused { result }),
            _ => Vec::new(),
        }
    }

    /// Only a registration after the order to switch tells of the reboot. The answer to that order may have been lost.
    fn registered(&mut self, now: u64) -> Vec<Action> {
        match self.stage {
            Stage::Executing | Stage::Installing | Stage::Confirming => {
                self.enter(now, Stage::Confirming);
                self.ask()
            }
            // The device may have lost its observations, or rebooted, in between.
            Stage::Downloading => {
                vec![
                    Action::observe(STATE),
                    Action::observe(RESULT),
                    Action::read(STATE),
                    Action::read(RESULT),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn ask(&mut self) -> Vec<Action> {
        self.said = Said::default();
        self.ask_again_at = None;
        vec![Action::read(FIRMWARE_VERSION), Action::read(RESULT), Action::read(STATE)]
    }

    fn verdict(&mut self, now: u64) -> Vec<Action> {
        let (Some(version), Some(state), Some(result)) =
            (self.said.version.clone(), self.said.state, self.said.result)
        else {
            return Vec::new();
        };
        let is_new = version == self.goal.version;
        match (state, result) {
            (IDLE, RESULT_INITIAL | RESULT_SUCCESS) if is_new => self.end(now, End::Updated),
            (IDLE, result) if !is_new => self.end(now, End::RolledBack { running: version, result }),
            // The device took the order to switch, and then declined.
            (DOWNLOADED, result) if result > RESULT_SUCCESS => self.end(now, End::Refused { result }),
            (IDLE, result) => self.end(now, End::Refused { result }),
            (UPDATING, _) | (DOWNLOADING, _) | (DOWNLOADED, _) => self.wait_and_ask(now),
            (state, _) => {
                let reason = format!("the device reports the unknown update state {state}");
                self.end(now, End::Failed { reason })
            }
        }
    }

    fn wait_and_ask(&mut self, now: u64) -> Vec<Action> {
        self.ask_again_at = Some(now + ASK_AGAIN.as_millis() as u64);
        Vec::new()
    }

    fn failed(&mut self, now: u64, action: &Action, reason: &str) -> Vec<Action> {
        match (&self.stage, action) {
            // A device need not let its state be observed; it is asked too.
            (_, Action::Observe(_)) => Vec::new(),
            // The device may have rebooted before its answer got through, or be busy booting.
            (Stage::Executing | Stage::Installing | Stage::Confirming, _) => self.wait_and_ask(now),
            // The answer that says so may be the second, to an order that the device took the first time.
            (Stage::Ordering, Action::Push | Action::WriteUri(_)) if self.refusal.is_none() => {
                self.refusal = Some(format!("{}: {reason}", action.path()));
                self.said = Said::default();
                vec![Action::read(STATE), Action::read(RESULT)]
            }
            (_, action) => {
                let reason = self.refusal.take().unwrap_or_else(|| format!("{}: {reason}", action.path()));
                self.end(now, End::Failed { reason })
            }
        }
    }

    /// The device refused the order, and then told its state: what counts is that.
    fn order_was_refused(&mut self, now: u64) -> Vec<Action> {
        let (Some(reason), Some(state), Some(result)) =
            (self.refusal.clone(), self.said.state, self.said.result)
        else {
            return Vec::new();
        };
        match (state, result) {
            (DOWNLOADING | DOWNLOADED, _) => {
                self.refusal = None;
                self.enter(now, Stage::Downloading);
                self.download_report(now)
            }
            (IDLE, result) if result > RESULT_SUCCESS => self.end(now, End::Refused { result }),
            _ => self.end(now, End::Failed { reason }),
        }
    }

    /// A device that has the order is told to forget it: an empty URI takes it back in every version of the object.
    fn cancelled(&mut self, now: u64) -> Vec<Action> {
        let has_order = matches!(self.stage, Stage::Ordering | Stage::Downloading);
        self.end(now, End::Cancelled);
        if has_order { vec![Action::WriteUri(String::new())] } else { Vec::new() }
    }

    fn timed_out(&mut self, now: u64) -> Vec<Action> {
        if self.time_limit().is_some_and(|limit| limit <= now) {
            let stage = Box::new(self.stage.clone());
            return self.end(now, End::TimedOut { stage });
        }
        if self.ask_again_at.is_some_and(|at| at <= now) { self.ask() } else { Vec::new() }
    }

    fn time_limit(&self) -> Option<u64> {
        let patience = match self.stage {
            Stage::Inspecting | Stage::Ordering | Stage::Executing => self.patience.contact,
            Stage::Downloading => self.patience.download,
            Stage::Installing | Stage::Confirming => self.patience.install,
            Stage::Ended(_) => return None,
        };
        let since = self.history.last().map_or(0, |entry| entry.at);
        Some(since.saturating_add(patience.as_millis() as u64))
    }

    fn end(&mut self, now: u64, end: End) -> Vec<Action> {
        self.enter(now, Stage::Ended(end));
        Vec::new()
    }

    fn enter(&mut self, now: u64, stage: Stage) {
        if self.stage != stage {
            self.ask_again_at = None;
            self.history.push(Entry { at: now, stage: stage.clone() });
            self.stage = stage;
        }
    }
}

/// The name of an Update Result code; codes that nobody knows are shown as they are.
#[must_use]
pub fn result_name(result: i64) -> &'static str {
    match result {
        0 => "initial value",
        1 => "updated successfully",
        2 => "not enough flash memory",
        3 => "out of RAM",
        4 => "connection lost during the download",
        5 => "integrity check failed",
        6 => "unsupported package type",
        7 => "invalid URI",
        8 => "update failed",
        9 => "unsupported protocol",
        10 => "cancelled",
        11 => "deferred",
        12 => "conflicting state",
        13 => "dependency error",
        _ => "unknown code",
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspecting => f.write_str("inspecting"),
            Self::Ordering => f.write_str("ordering"),
            Self::Downloading => f.write_str("downloading"),
            Self::Executing => f.write_str("executing"),
            Self::Installing => f.write_str("installing"),
            Self::Confirming => f.write_str("confirming"),
            Self::Ended(end) => end.fmt(f),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Updated => f.write_str("updated"),
            Self::AlreadyRunning => f.write_str("already running this version"),
            Self::RolledBack { running, result } => {
                write!(f, "rolled back to {running} (result {result}, {})", result_name(*result))
            }
            Self::Refused { result } => write!(f, "refused (result {result}, {})", result_name(*result)),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::TimedOut { stage } => write!(f, "timed out while {stage}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1.0.0";
    const NEW: &str = "1.1.0";

    fn goal() -> Goal {
        Goal { version: NEW.into(), digest: "ab".into(), delivery: Delivery::Pull("coap://h/fw".into()) }
    }

    fn start() -> Update {
        Update::start(0, 1, "buoy-1", goal(), Patience::default()).0
    }

    /// An update whose device has just been told to switch.
    fn installing() -> Update {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(IDLE));
        assert_eq!(actions.last(), Some(&Action::WriteUri("coap://h/fw".into())));
        update.handle(3, Input::Done(actions.last().unwrap().clone()));
        update.handle(4, Input::State(DOWNLOADING));
        assert_eq!(update.handle(5, Input::State(DOWNLOADED)), [Action::Execute]);
        update.handle(6, Input::Done(Action::Execute));
        assert_eq!(update.stage(), &Stage::Installing);
        update
    }

    fn ended(update: &Update) -> &End {
        match update.stage() {
            Stage::Ended(end) => end,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_device_is_updated_when_it_reports_the_new_version_idle_after_its_reboot() {
        let mut update = installing();
        update.handle(7, Input::Registered);
        update.handle(8, Input::Version(NEW));
        update.handle(8, Input::Result(RESULT_SUCCESS));
        update.handle(8, Input::State(IDLE));
        assert_eq!(ended(&update), &End::Updated);
    }

    #[test]
    fn success_reported_before_the_reboot_is_no_update() {
        let mut update = installing();
        update.handle(7, Input::Version(NEW));
        update.handle(8, Input::Result(RESULT_SUCCESS));
        update.handle(8, Input::State(IDLE));
        assert_eq!(update.stage(), &Stage::Installing);
    }

    #[test]
    fn a_device_that_still_tries_its_image_is_asked_again_and_may_yet_go_back() {
        let mut update = installing();
        update.handle(7, Input::Registered);
        update.handle(8, Input::Version(NEW));
        update.handle(8, Input::Result(RESULT_INITIAL));
        update.handle(8, Input::State(UPDATING));
        assert_eq!(update.stage(), &Stage::Confirming);
        let again = update.deadline().unwrap();
        assert_eq!(update.handle(again, Input::Timeout).len(), 3);
        update.handle(again, Input::Registered);
        update.handle(again, Input::Version(OLD));
        update.handle(again, Input::Result(8));
        update.handle(again, Input::State(IDLE));
        assert_eq!(ended(&update), &End::RolledBack { running: OLD.into(), result: 8 });
    }

    #[test]
    fn an_image_that_the_device_refuses_is_told_with_its_code() {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(IDLE));
        update.handle(3, Input::Done(actions.last().unwrap().clone()));
        update.handle(4, Input::Result(5));
        update.handle(4, Input::State(IDLE));
        assert_eq!(ended(&update), &End::Refused { result: 5 });
        assert!(update.stage().to_string().contains("integrity"));
    }

    #[test]
    fn a_device_that_runs_the_version_already_is_left_alone() {
        let mut update = start();
        update.handle(1, Input::State(IDLE));
        assert_eq!(update.handle(2, Input::Version(NEW)), []);
        assert_eq!(ended(&update), &End::AlreadyRunning);
    }

    #[test]
    fn a_version_that_only_starts_alike_is_another_version() {
        let mut update = start();
        update.handle(1, Input::State(IDLE));
        update.handle(2, Input::Version("1.1.01"));
        assert!(!update.has_ended());
    }

    #[test]
    fn an_update_left_half_done_is_cancelled_first() {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(DOWNLOADED));
        assert!(actions.contains(&Action::WriteUri(String::new())));
        update.handle(3, Input::Done(Action::WriteUri(String::new())));
        assert_eq!(update.stage(), &Stage::Ordering);
    }

    #[test]
    fn every_stage_has_a_time_limit() {
        let mut update = start();
        update.handle(update.deadline().unwrap(), Input::Timeout);
        assert_eq!(ended(&update), &End::TimedOut { stage: Box::new(Stage::Inspecting) });
        let mut update = installing();
        update.handle(update.deadline().unwrap(), Input::Timeout);
        assert_eq!(ended(&update), &End::TimedOut { stage: Box::new(Stage::Installing) });
        assert_eq!(update.deadline(), None);
    }

    #[test]
    fn an_update_goes_on_after_a_restart_of_the_server() {
        let update = installing();
        let mut update = Update::restore(&update.record()).unwrap();
        assert_eq!(update.resume(9).len(), 3);
        update.handle(10, Input::Registered);
        update.handle(11, Input::Version(NEW));
        update.handle(11, Input::Result(RESULT_SUCCESS));
        update.handle(11, Input::State(IDLE));
        assert_eq!(ended(&update), &End::Updated);
    }

    #[test]
    fn a_lost_answer_to_the_order_to_switch_does_not_end_the_update() {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(IDLE));
        update.handle(3, Input::Done(actions.last().unwrap().clone()));
        update.handle(5, Input::State(DOWNLOADED));
        update.handle(6, Input::Failed(Action::Execute, "no answer"));
        assert!(!update.has_ended());
        update.handle(7, Input::Registered);
        assert_eq!(update.stage(), &Stage::Confirming);
    }

    #[test]
    fn an_order_whose_first_answer_was_lost_is_taken_all_the_same() {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(IDLE));
        update.handle(3, Input::Failed(actions.last().unwrap().clone(), "4.05 Method Not Allowed"));
        update.handle(4, Input::Result(0));
        let actions = update.handle(5, Input::State(DOWNLOADED));
        assert_eq!(actions, [Action::Execute]);
        assert_eq!(update.stage(), &Stage::Executing);
    }

    #[test]
    fn a_write_that_the_device_denies_ends_the_update_with_its_words() {
        let mut update = start();
        update.handle(1, Input::Version(OLD));
        let actions = update.handle(2, Input::State(IDLE));
        let asked =
            update.handle(3, Input::Failed(actions.last().unwrap().clone(), "4.05 Method Not Allowed"));
        assert_eq!(asked, [Action::read(STATE), Action::read(RESULT)]);
        update.handle(4, Input::State(IDLE));
        update.handle(5, Input::Result(0));
        assert_eq!(ended(&update), &End::Failed { reason: "/5/0/1: 4.05 Method Not Allowed".into() });
    }
}
