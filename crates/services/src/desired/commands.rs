//! An operator's commands on desired states, with the types of `/api/v1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::desired::{Condition, DesiredError, DesiredState, Entry, Goal, Wanted};
use buoy_store::DocumentKind;

use super::state::{All, Tracked};
use super::{device_change, save};
use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::groups::{self, FilterFault};
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::request::{self, RequestError};
use crate::revision::{self, Changed, Expected};
use crate::values::DeviceModels;

/// The most desired states.
const MOST: usize = 256;

/// Why a command on desired states failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DesiredStateError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no desired state with this name.
    NoSuchState(String),
    /// No desired state is for this device.
    NoSuchDevice(String),
    /// It can't be followed.
    State(DesiredError),
    /// A setting has neither a value nor an observation, or both, or attributes without an observation.
    Setting(String),
    /// Two settings have the same path.
    Twice(String),
    /// A setting makes no sense for any device.
    Request(RequestError),
    /// The filter can't be used.
    Filter(FilterFault),
    /// Nothing of the device was given up.
    NothingGivenUp(String),
    /// There are too many.
    TooMany,
    /// Somebody else has changed the desired state.
    Changed(Changed),
    /// It could not be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for DesiredStateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchState(name) => write!(f, "there is no desired state {name}"),
            Self::NoSuchDevice(endpoint) => write!(f, "no desired state is for a device named {endpoint}"),
            Self::State(error) => error.fmt(f),
            Self::Setting(path) => {
                write!(f, "{path}: a setting has a \"value\", or \"observe\": true and \"attributes\" then")
            }
            Self::Twice(path) => write!(f, "{path} is there twice"),
            Self::Request(error) => error.fmt(f),
            Self::Filter(fault) => fault.fmt(f),
            Self::NothingGivenUp(endpoint) => write!(f, "nothing of {endpoint} was given up"),
            Self::TooMany => write!(f, "there are {MOST} desired states already"),
            Self::Changed(changed) => changed.fmt(f),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DesiredStateError {}

impl From<Changed> for DesiredStateError {
    fn from(changed: Changed) -> Self {
        Self::Changed(changed)
    }
}

impl From<Forbidden> for DesiredStateError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for DesiredStateError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<DesiredError> for DesiredStateError {
    fn from(error: DesiredError) -> Self {
        Self::State(error)
    }
}

impl From<FilterFault> for DesiredStateError {
    fn from(fault: FilterFault) -> Self {
        Self::Filter(fault)
    }
}

/// All desired states, by name.
///
/// # Errors
/// [`DesiredStateError::Forbidden`]
pub async fn list(app: &App, principal: &Principal) -> Result<Vec<api::DesiredState>, DesiredStateError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = app.desired.all();
    let mut counts = counts(&all);
    Ok(all.states.values().map(|state| described(app, state, counts.remove(&*state.name))).collect())
}

/// One desired state.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn one(
    app: &App,
    principal: &Principal,
    name: &str,
) -> Result<api::DesiredState, DesiredStateError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = app.desired.all();
    let state = all.states.get(name).ok_or_else(|| DesiredStateError::NoSuchState(name.to_owned()))?;
    Ok(described(app, state, counts(&all).remove(name)))
}

/// Makes a desired state, or replaces it. It counts at once.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn put(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    wanted: api::PutDesiredState,
    expected: &Expected,
) -> Result<api::DesiredState, DesiredStateError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let state = checked(app, name, wanted)?;
    let turn = app.turn(&app.desired.edits).await?;
    let current = app.desired.all().states.get(name).map(revision::of);
    expected.check(current.as_deref())?;
    let is_new = !app.desired.all().states.contains_key(name);
    if is_new && app.desired.all().states.len() >= MOST {
        return Err(DesiredStateError::TooMany);
    }
    let change = documents::put(DocumentKind::Desired, name, &state, app.now());
    let detail = format!("{} settings for {:?}", state.settings.len(), state.filter);
    let audit = principal.audit(app.now(), "desired_state.put", name, detail);
    let told = described(app, &state, None);
    let then = move |app: &App| {
        let mut all = app.desired.all();
        all.states.insert(state.name.clone(), state);
        all.generation += 1;
        app.desired.changed.notify_one();
    };
    app.commit_then(turn, vec![change, audit], then).await?;
    Ok(told)
}

/// Removes a desired state. Devices keep what they have.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn remove(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    expected: &Expected,
) -> Result<(), DesiredStateError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.desired.edits).await?;
    let Some(current) = app.desired.all().states.get(name).map(revision::of) else {
        return Err(DesiredStateError::NoSuchState(name.to_owned()));
    };
    expected.check(Some(&current))?;
    let change = documents::remove(DocumentKind::Desired, name);
    let audit = principal.audit(app.now(), "desired_state.remove", name, String::new());
    let name = name.to_owned();
    let then = move |app: &App| {
        let mut all = app.desired.all();
        all.states.remove(&name);
        all.generation += 1;
        app.desired.changed.notify_one();
    };
    Ok(app.commit_then(turn, vec![change, audit], then).await?)
}

/// The devices of a desired state that are so far, or all, ordered by name, after a given name.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn devices(
    app: &App,
    principal: &Principal,
    name: &str,
    progress: Option<api::DesiredProgress>,
    after: Option<&str>,
    limit: usize,
) -> Result<api::Page<api::DesiredDevice>, DesiredStateError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = app.desired.all();
    if !all.states.contains_key(name) {
        return Err(DesiredStateError::NoSuchState(name.to_owned()));
    }
    let mut items: Vec<_> = all
        .devices
        .iter()
        .filter(|(_, tracked)| tracked.sources.iter().any(|source| **source == *name))
        .filter(|(endpoint, _)| after.is_none_or(|after| ***endpoint > *after))
        .map(|(endpoint, tracked)| device(endpoint, worst(tracked, &all.wanted(&tracked.sources), name)))
        .filter(|device| progress.is_none_or(|wanted| wanted == device.progress))
        .collect();
    items.sort_unstable_by(|a, b| a.endpoint.cmp(&b.endpoint));
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(api::Page { items, next })
}

/// What is wanted of a device, from where that comes, and what is so.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn of_device(
    app: &App,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<api::DeviceSetting>, DesiredStateError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    let all = app.desired.all();
    let Some(tracked) = all.devices.get(endpoint) else { return Ok(Vec::new()) };
    Ok(settings_of(&all, tracked))
}

/// Tries again what was given up on a device.
///
/// # Errors
/// [`DesiredStateError`]
pub async fn retry(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<api::DeviceSetting>, DesiredStateError> {
    app.permit(principal, Permission::Command, Target::Device(endpoint)).await?;
    app.journal.check()?;
    let (told, set) = {
        let (mut all, now) = (app.desired.all(), app.now());
        let no_device = || DesiredStateError::NoSuchDevice(endpoint.to_owned());
        let tracked = all.devices.get_mut(endpoint).ok_or_else(no_device)?;
        let count = tracked.record.retry(now);
        if count == 0 {
            return Err(DesiredStateError::NothingGivenUp(endpoint.to_owned()));
        }
        let change = device_change(endpoint, &tracked.record, now);
        let audit = principal.audit(now, "desired_state.retry", endpoint, format!("{count} settings"));
        let tracked = all.devices.get(endpoint).ok_or_else(no_device)?;
        (settings_of(&all, tracked), vec![change, audit])
    };
    save(app, set).await?;
    app.desired.changed.notify_one();
    Ok(told)
}

fn settings_of(all: &All, tracked: &Tracked) -> Vec<api::DeviceSetting> {
    let wanted = all.wanted(&tracked.sources);
    let setting = |(path, entry): (&String, &Entry)| {
        let from = wanted.get(path.as_str());
        api::DeviceSetting {
            wanted: setting(path, &entry.goal),
            from: from.map(|wanted| wanted.from.to_owned()).unwrap_or_default(),
            overrides: from
                .map(|wanted| wanted.overridden.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            condition: condition(&entry.condition),
            since: entry.since,
            reported: entry.reported.as_ref().map(|(json, _)| json_of(json)),
            reported_at: entry.reported.as_ref().map(|(_, at)| *at),
            reason: reason(&entry.condition),
        }
    };
    tracked.record.entries.iter().map(setting).collect()
}

/// A value that was cut is a text.
fn json_of(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

const fn condition(condition: &Condition) -> api::DesiredCondition {
    match condition {
        Condition::InSync => api::DesiredCondition::InSync,
        Condition::Unknown => api::DesiredCondition::Unknown,
        Condition::Differs => api::DesiredCondition::Differs,
        Condition::GivenUp { .. } => api::DesiredCondition::GivenUp,
    }
}

fn counts(all: &All) -> BTreeMap<&str, api::DesiredCounts> {
    let mut counts = BTreeMap::<&str, api::DesiredCounts>::new();
    for tracked in all.devices.values() {
        let wanted = all.wanted(&tracked.sources);
        for source in &tracked.sources {
            let Some((name, _)) = all.states.get_key_value(&**source) else { continue };
            let counts = counts.entry(name).or_default();
            match progress_of(worst(tracked, &wanted, name)) {
                api::DesiredProgress::InSync => counts.in_sync += 1,
                api::DesiredProgress::Pending => counts.pending += 1,
                api::DesiredProgress::GivenUp => counts.given_up += 1,
            }
        }
    }
    counts
}

/// Of the settings that a device has from a desired state, the one that is the farthest from what is wanted.
fn worst<'a>(
    tracked: &'a Tracked,
    wanted: &BTreeMap<&str, Wanted<'_>>,
    state: &str,
) -> Option<(&'a String, &'a Entry)> {
    let is_from = |path: &str| wanted.get(path).is_some_and(|wanted| wanted.from == state);
    let own = tracked.record.entries.iter().filter(|(path, _)| is_from(path));
    own.max_by_key(|(_, entry)| condition(&entry.condition))
}

fn progress_of(worst: Option<(&String, &Entry)>) -> api::DesiredProgress {
    match worst.map(|(_, entry)| condition(&entry.condition)) {
        None | Some(api::DesiredCondition::InSync) => api::DesiredProgress::InSync,
        Some(api::DesiredCondition::GivenUp) => api::DesiredProgress::GivenUp,
        Some(_) => api::DesiredProgress::Pending,
    }
}

fn device(endpoint: &str, worst: Option<(&String, &Entry)>) -> api::DesiredDevice {
    let progress = progress_of(worst);
    let (path, reason) = match worst {
        Some((path, entry)) if progress != api::DesiredProgress::InSync => {
            (Some(path.clone()), reason(&entry.condition))
        }
        _ => (None, String::new()),
    };
    api::DesiredDevice { endpoint: endpoint.to_owned(), progress, path, reason }
}

/// Why a setting was given up.
fn reason(condition: &Condition) -> String {
    match condition {
        Condition::GivenUp { reason } => reason.clone(),
        _ => String::new(),
    }
}

fn described(app: &App, state: &DesiredState, counts: Option<api::DesiredCounts>) -> api::DesiredState {
    api::DesiredState {
        name: state.name.clone(),
        filter: state.filter.clone(),
        priority: state.priority,
        settings: state.settings.iter().map(|(path, goal)| setting(path, goal)).collect(),
        counts: counts.unwrap_or_default(),
        fault: groups::selection(app, &state.filter).err().map(|fault| fault.to_string()),
        revision: revision::of(state),
    }
}

fn setting(path: &str, goal: &Goal) -> api::DesiredSetting {
    let path = path.to_owned();
    match goal {
        Goal::Value(json) => api::DesiredSetting {
            path,
            value: Some(json_of(json)),
            observe: false,
            attributes: BTreeMap::new(),
        },
        Goal::Observed(attributes) => {
            api::DesiredSetting { path, value: None, observe: true, attributes: attributes.clone() }
        }
    }
}

/// The desired state of a request, if it can be followed.
fn checked(app: &App, name: &str, wanted: api::PutDesiredState) -> Result<DesiredState, DesiredStateError> {
    let api::PutDesiredState { filter, priority, settings } = wanted;
    let mut goals = BTreeMap::new();
    for api::DesiredSetting { path, value, observe, attributes } in settings {
        let goal = match value {
            Some(value) if !observe && attributes.is_empty() => Goal::Value(value.to_string()),
            None if observe => Goal::Observed(attributes),
            _ => return Err(DesiredStateError::Setting(path)),
        };
        if goals.insert(path.clone(), goal).is_some() {
            return Err(DesiredStateError::Twice(path));
        }
    }
    let state = DesiredState { name: name.to_owned(), filter, priority, settings: goals };
    state.check()?;
    groups::selection(app, &state.filter)?;
    for (path, goal) in &state.settings {
        check_goal(app, path, goal)?;
    }
    Ok(state)
}

/// Refuses what no device can be asked for.
fn check_goal(app: &App, path: &str, goal: &Goal) -> Result<(), DesiredStateError> {
    let target = request::Target { models: DeviceModels::of_any(&app.models), observations: Vec::new() };
    let path = path.to_owned();
    let request = match goal {
        Goal::Value(json) => {
            let values =
                vec![api::PathValue { path: path.clone(), value: json_of(json), kind: None, at: None }];
            api::Request::Write { path, values, mode: api::WriteMode::Update, format: None }
        }
        Goal::Observed(attributes) if attributes.is_empty() => api::Request::Observe { path, format: None },
        Goal::Observed(attributes) => {
            let attributes = attributes.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
            api::Request::WriteAttributes { path, attributes: attributes.collect() }
        }
    };
    target.request(&request).map(drop).map_err(DesiredStateError::Request)
}
