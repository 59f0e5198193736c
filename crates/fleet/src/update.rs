//! The firmware update of one device (LwM2M Core 1.1 appendix E.6, Object 5).
//!
//! 1. The device is asked for its state (5/0/3), its result (5/0/5) and its version (3/0/3). One that runs the version already is done.
//! 2. A package that is in the device already is dropped by an empty Package URI; who refuses that is not updated.
//! 3. State and result are observed, and the Package URI is written to 5/0/1, or the package is pushed to 5/0/0.
//! 4. When the state is Downloaded, 5/0/2 is executed. The device switches and reboots.
//! 5. The version that the device reports when it is Idle again decides. Our own command decides nothing.
//!
//! What a device's answers mean is the table in [`verdict`](crate::verdict); this module asks and acts. One operation is under way at a time, so an
//! update needs a bounded place in memory and in the device's queue. A notification, a contact and the passing of time lead to a new
//! round of questions: a lost notification costs minutes, not the update. Every change is to be saved; after a restart
//! [`Update::resume`] goes on.

mod answers;
mod record;
mod rounds;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buoy_lwm2m::path::Path;
use buoy_time::{Calendar, Instant};
use serde::{Deserialize, Serialize};

use crate::verdict::{Running, Said, Since, result_name, state_name};
use crate::version::Version;

pub use record::UpdateRecord;
use rounds::{MAX_EXECUTES, MAX_ORDERS};

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
/// 5/0/26241: the reason for the result in words. It is a private resource of this project's device; other devices do not have it.
pub const REASON: Path = Path::resource(5, 0, 26241);

/// After a step the device is asked again so soon, then after twice the time, and so on,
const ASK_SOON: Duration = Duration::from_secs(10);
/// up to this.
const ASK_LATE: Duration = Duration::from_secs(300);
/// Stages that are kept, so that a device that flaps does not fill the store.
const MAX_HISTORY: usize = 64;

/// A firmware update of one device.
#[derive(Clone, Debug)]
pub struct Update {
    facts: Facts,
    work: Work,
}

/// What is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Facts {
    id: u64,
    endpoint: Arc<str>,
    goal: Goal,
    patience: Patience,
    stage: Stage,
    history: Vec<Entry>,
    /// When the time for this stage ends.
    limit_at: u64,
    /// What the device ran before.
    old_version: Option<String>,
    since: Since,
    orders: u8,
    executes: u8,
    /// The reason that the device gives for its result, if it does.
    reason: Option<String>,
}

impl Facts {
    fn map_times(&mut self, map: impl Fn(u64) -> u64) {
        self.limit_at = map(self.limit_at);
        self.history.iter_mut().for_each(|entry| entry.at = map(entry.at));
    }
}

/// What is asked again after a restart.
#[derive(Clone, Debug, Default)]
struct Work {
    /// The one operation that is under way.
    outstanding: Option<(u64, Action)>,
    tokens: u64,
    /// What is to be done after it.
    agenda: VecDeque<Action>,
    round: Option<Round>,
    /// What the last round, whole or not, told.
    said: Said,
    /// Something happened while an operation was under way: what a question brings may be of before.
    ask_anew: bool,
    /// The device registered while the order to install was under way.
    registered_meanwhile: bool,
    asked_at: u64,
    ask_at: Option<u64>,
    /// Doubles with each round that brings nothing.
    pause: Duration,
    /// When the device that is asked for the last time must have answered.
    last_words_until: Option<u64>,
    /// When the device was first seen to do nothing of what it was told, or to have stopped.
    at_rest_since: Option<u64>,
    resets: u8,
    is_observed: bool,
    /// Why the device did not take the order, until it has told its state.
    refusal: Option<String>,
    change: Change,
}

/// What is to be saved, and to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Nothing.
    #[default]
    None,
    /// What was noted of the device.
    Facts,
    /// The stage.
    Stage,
}

/// A round of questions.
#[derive(Clone, Debug, Default)]
struct Round {
    said: Said,
    asked_state: bool,
    asked_result: bool,
    asked_version: bool,
    asked_state_again: bool,
    /// Asked of a device whose update failed, before the update ends.
    asked_reason: bool,
    reason: Option<String>,
    /// The device could not be asked, or has rebooted in between.
    is_void: bool,
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
    /// The device fetches it from this URI, with the number of the update behind it.
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
    /// The device has put the installation off (result 11).
    Deferred,
    /// The device has registered again, and tries the new image.
    Confirming,
    /// Nothing more will come.
    Ended(End),
}

/// How an update ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The device reported the new version, and Idle: it has confirmed it.
    Updated,
    /// The device ran that version already.
    AlreadyRunning,
    /// The device went back: this is what it runs.
    RolledBack {
        /// The version that it reports.
        running: String,
        /// The Update Result that it reports, raw.
        result: Option<i64>,
    },
    /// The device says that its update succeeded, and runs something else.
    UnexpectedVersion {
        /// The version that it reports.
        running: String,
        /// That of the order.
        expected: String,
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
        /// What the device said last.
        said: Said,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// A stage that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When: in the time of the engine while it has the update, and milliseconds since 1970 in records and for those who are told.
    pub at: u64,
    /// Which.
    pub stage: Stage,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// The device registered.
    Registered,
    /// The device updated its registration.
    Contact,
    /// The device notified a value.
    Said(Value<'a>),
    /// An operation ended.
    Answered(u64, Answer<'a>),
    /// Somebody cancels the update.
    Cancel,
    /// The time of [`Update::deadline`] has come.
    Timeout,
}

/// A value that the device said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// 3/0/3
    Version(&'a str),
    /// 5/0/3
    State(i64),
    /// 5/0/5
    Result(i64),
    /// 5/0/26241
    Reason(&'a str),
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    /// With success.
    Done,
    /// With success, and a value.
    Value(Value<'a>),
    /// The device answered with an error.
    Refused {
        /// The response code, as its byte (RFC 7252 section 3).
        code: u8,
        /// The code, and what the device says of it.
        reason: &'a str,
    },
    /// Without an answer: whether the device carried it out is not known.
    Unanswered {
        /// Why.
        reason: &'a str,
    },
}

/// What is to be done on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read a resource.
    Read(Path),
    /// Observe a resource.
    Observe(Path),
    /// Write an empty Package URI: the device drops its package.
    Reset,
    /// Write the Package URI.
    WriteUri(String),
    /// Send the image with this digest.
    Push(String),
    /// Execute 5/0/2.
    Execute,
}

impl Action {
    /// The resource that the action is about.
    #[must_use]
    pub fn path(&self) -> Path {
        match self {
            Self::Read(path) | Self::Observe(path) => *path,
            Self::Reset | Self::WriteUri(_) => PACKAGE_URI,
            Self::Push(_) => PACKAGE,
            Self::Execute => UPDATE,
        }
    }
}

/// What an update asks of the one who drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry this out, and bring the answer under the token.
    Submit(u64, Action),
    /// The operation of the token is not wanted any more. No answer is needed.
    Withdraw(u64),
}

impl Update {
    /// Starts an update.
    #[must_use]
    pub fn start(
        now: u64,
        id: u64,
        endpoint: Arc<str>,
        goal: Goal,
        patience: Patience,
        steps: &mut Vec<Step>,
    ) -> Self {
        let mut update = Self {
            facts: Facts {
                id,
                endpoint,
                goal,
                patience,
                stage: Stage::Inspecting,
                history: vec![Entry { at: now, stage: Stage::Inspecting }],
                limit_at: now.saturating_add(millis(patience.contact)),
                old_version: None,
                since: Since::default(),
                orders: 0,
                executes: 0,
                reason: None,
            },
            work: Work { change: Change::Stage, ..Work::default() },
        };
        update.begin_round(now);
        update.go_on(now, steps);
        update
    }

    /// An update of which only its end is known.
    pub(crate) fn ended(now: u64, id: u64, endpoint: Arc<str>, end: End) -> Self {
        let goal = Goal { version: String::new(), digest: String::new(), delivery: Delivery::Push };
        let mut update = Self::start(now, id, endpoint, goal, Patience::default(), &mut Vec::new());
        update.end(now, end);
        update
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.facts.id
    }

    /// The device.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<str> {
        &self.facts.endpoint
    }

    /// What the device shall run.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.facts.goal
    }

    /// Where it is.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.facts.stage
    }

    /// What the device ran before, if it told.
    #[must_use]
    pub fn old_version(&self) -> Option<&str> {
        self.facts.old_version.as_deref()
    }

    /// The reason that the device gave for its failure (5/0/26241), if it gave one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.facts.reason.as_deref()
    }

    /// The stages so far.
    #[must_use]
    pub fn history(&self) -> &[Entry] {
        &self.facts.history
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.facts.stage, Stage::Ended(_))
    }

    /// When [`Input::Timeout`] is due, in the time that is passed in.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        if self.has_ended() {
            return None;
        }
        let limit = self.work.last_words_until.unwrap_or(self.facts.limit_at);
        Some(self.work.ask_at.map_or(limit, |at| at.min(limit)))
    }

    /// The update with dates by the calendar, as it is saved and shown. The calendar may have been set since a stage was entered.
    pub(crate) fn dated(&self, calendar: Calendar) -> Self {
        let mut update = self.clone();
        update.facts.map_times(|at| calendar.date_of(Instant::from_millis(at)));
        update
    }

    /// The update of dates in the engine's time, in which it goes on.
    pub(crate) fn undated(mut self, calendar: Calendar) -> Self {
        self.facts.map_times(|date| calendar.instant_of(date).as_millis());
        self
    }

    /// Its record is to be made anew.
    pub(crate) fn touch(&mut self) {
        self.work.change = self.work.change.max(Change::Facts);
    }

    /// What has changed since this was last asked.
    pub(crate) fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.work.change)
    }

    /// Takes what happened, and says what is to be done.
    pub fn handle(&mut self, now: u64, input: Input<'_>, steps: &mut Vec<Step>) {
        if self.has_ended() {
            return;
        }
        match input {
            Input::Cancel => self.cancelled(now, steps),
            Input::Timeout => self.timed_out(now, steps),
            Input::Registered => self.registered(now),
            Input::Contact => self.contacted(now),
            Input::Said(value) => self.notified(now, value),
            Input::Answered(token, answer) => self.answered(now, token, answer),
        }
        self.go_on(now, steps);
    }

    /// Goes on after a restart of the server: asks again what may have been missed.
    ///
    /// Whether the last order left is not known. So the device says first what it does, and is told again only if it does nothing.
    pub fn resume(&mut self, now: u64, steps: &mut Vec<Step>) {
        match self.facts.stage {
            Stage::Downloading => self.observe(),
            // What the restart cost is not the device's failure.
            Stage::Ordering => self.facts.orders = self.facts.orders.min(MAX_ORDERS - 1),
            Stage::Executing => self.facts.executes = self.facts.executes.min(MAX_EXECUTES - 1),
            _ => {}
        }
        self.begin_round(now);
        self.go_on(now, steps);
    }

    fn running(&self, said: &Said) -> Running {
        let Some(version) = said.version.as_deref().map(Version::of) else { return Running::Unknown };
        let old = self.facts.old_version.as_deref().map(Version::of);
        match old {
            _ if version.is_same_release(Version::of(&self.facts.goal.version)) => Running::New,
            Some(old) if !version.is_same_release(old) => Running::Other,
            _ => Running::Old,
        }
    }

    fn is_after_execute(&self) -> bool {
        use Stage::{Confirming, Deferred, Executing, Installing};
        matches!(self.facts.stage, Executing | Installing | Deferred | Confirming)
    }

    fn is_busy_with(&self, action: &Action) -> bool {
        self.work.outstanding.as_ref().is_some_and(|(_, outstanding)| outstanding == action)
    }

    fn saw_state(&mut self, state: i64) {
        let mut since = self.facts.since;
        match self.facts.stage {
            Stage::Ordering | Stage::Downloading => since.saw_state_of_download(state),
            _ if self.is_after_execute() => since.saw_state_of_install(state),
            _ => {}
        }
        self.set_since(since);
    }

    fn set_since(&mut self, since: Since) {
        if self.facts.since != since {
            self.facts_mut().since = since;
        }
    }

    fn facts_mut(&mut self) -> &mut Facts {
        self.work.change = self.work.change.max(Change::Facts);
        &mut self.facts
    }

    fn observe(&mut self) {
        self.work.is_observed = true;
        self.work.agenda.retain(|action| !matches!(action, Action::Observe(_)));
        self.work.agenda.push_back(Action::Observe(STATE));
        self.work.agenda.push_back(Action::Observe(RESULT));
    }

    fn begin_round(&mut self, now: u64) {
        self.work.round = Some(Round::default());
        self.work.asked_at = now;
        self.work.ask_at = None;
    }

    fn void_round(&mut self) {
        if let Some(round) = &mut self.work.round {
            round.is_void = true;
        }
    }

    fn ask_now_or_after(&mut self, now: u64) {
        self.work.ask_at = None;
        match self.work.outstanding {
            None => self.begin_round(now),
            Some(_) => self.work.ask_anew = true,
        }
    }

    fn ask_later(&mut self, now: u64) {
        self.work.pause = (self.work.pause * 2).clamp(ASK_SOON, ASK_LATE);
        self.work.ask_at = Some(now.saturating_add(millis(self.work.pause)));
    }

    fn next_token(&mut self) -> u64 {
        self.work.tokens += 1;
        self.work.tokens
    }

    fn withdraw(&mut self, steps: &mut Vec<Step>) {
        if let Some((token, _)) = self.work.outstanding.take() {
            steps.push(Step::Withdraw(token));
        }
    }

    fn end(&mut self, now: u64, end: End) {
        self.work.agenda.clear();
        self.work.round = None;
        self.enter(now, Stage::Ended(end));
    }

    fn end_as_timed_out(&mut self, now: u64) {
        let (stage, said) = (Box::new(self.facts.stage.clone()), self.work.said.clone());
        self.end(now, End::TimedOut { stage, said });
    }

    fn enter(&mut self, now: u64, stage: Stage) {
        if self.facts.stage == stage {
            return;
        }
        if let Some(patience) = self.patience_of(&stage) {
            self.facts.limit_at = now.saturating_add(millis(patience));
        }
        self.work.last_words_until = None;
        self.work.at_rest_since = None;
        self.work.pause = Duration::ZERO;
        self.work.ask_at = None;
        self.work.change = Change::Stage;
        let facts = &mut self.facts;
        facts.stage = stage.clone();
        if facts.history.len() >= MAX_HISTORY {
            facts.history.pop();
        }
        facts.history.push(Entry { at: now, stage });
    }

    /// A device that registers again and again gets no more time by that.
    fn patience_of(&self, stage: &Stage) -> Option<Duration> {
        let Patience { contact, download, install } = self.facts.patience;
        let installs_already = matches!(self.facts.stage, Stage::Deferred | Stage::Confirming);
        match stage {
            Stage::Inspecting | Stage::Ordering | Stage::Executing => Some(contact),
            Stage::Downloading => Some(download),
            Stage::Installing | Stage::Confirming if !installs_already => Some(install),
            _ => None,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn told_state(state: Option<i64>) -> String {
    state.map_or_else(|| "no state".into(), |state| format!("state {state}, {}", state_name(state)))
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspecting => f.write_str("inspecting"),
            Self::Ordering => f.write_str("ordering"),
            Self::Downloading => f.write_str("downloading"),
            Self::Executing => f.write_str("executing"),
            Self::Installing => f.write_str("installing"),
            Self::Deferred => f.write_str("deferred by the device"),
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
            Self::RolledBack { running, result: Some(result) } => {
                write!(f, "rolled back to {running} (result {result}, {})", result_name(*result))
            }
            Self::RolledBack { running, result: None } => {
                write!(f, "rolled back to {running} (no result told)")
            }
            Self::UnexpectedVersion { running, expected } => {
                write!(f, "the device runs {running}, not the expected {expected}, and says success")
            }
            Self::Refused { result } => write!(f, "refused (result {result}, {})", result_name(*result)),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::TimedOut { stage, said } => {
                write!(f, "timed out while {stage}")?;
                said.fmt(f)
            }
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        write!(f, "; the device said last: {}", told_state(self.state))?;
        if let Some(result) = self.result {
            write!(f, ", result {result}, {}", result_name(result))?;
        }
        self.version.as_deref().map_or(Ok(()), |version| write!(f, ", version {version}"))
    }
}
