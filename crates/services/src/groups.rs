//! Groups of devices, and filters that operators saved.
//!
//! All of them are in memory, and each change is committed before it counts there. A filter is parsed and its groups are resolved when it is
//! used, so a group that changes changes what it means everywhere.

pub(crate) mod state;

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::filter::Filter;
use buoy_store::DocumentKind;

use self::state::{FilterRecord, GroupRecord, State, group_filter};
use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::inventory::{DeviceFilter, Matching, Profile};
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::records::{self, RecordError};
use crate::revision::{self, Changed, Expected};

pub use self::state::FilterFault;

/// The most groups, and the most saved filters.
const MOST: usize = 10_000;
/// The longest name of one, in bytes.
const LONGEST_NAME: usize = 64;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;
/// The most devices of one request.
const MOST_AT_ONCE: usize = 10_000;
/// Names that an audit entry has.
const MOST_NAMED: usize = 20;
/// Devices whose profiles change in one commit.
const AT_ONCE: usize = 1000;
/// Examples of devices that match.
const EXAMPLES: usize = 5;

/// Why a command on groups or filters failed.
#[derive(Debug)]
pub enum GroupsError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no group of this name.
    NoSuchGroup(String),
    /// There is no saved filter of this name.
    NoSuchFilter(String),
    /// No group and no filter may have this name.
    Name,
    /// A description is too long.
    Description,
    /// There are too many.
    TooMany,
    /// The filter can't be used.
    Filter(FilterFault),
    /// Others refer to it.
    InUse {
        /// The group.
        group: String,
        /// The group or the saved filter that refers to it.
        by: String,
    },
    /// What devices are in it could not be changed.
    Devices(RecordError),
    /// Somebody else has changed the group.
    Changed(Changed),
    /// It could not be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for GroupsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchGroup(name) => write!(f, "there is no group {name}"),
            Self::NoSuchFilter(name) => write!(f, "there is no saved filter {name}"),
            Self::Name => write!(
                f,
                "a name has 1 to {LONGEST_NAME} bytes without spaces, slashes and control characters"
            ),
            Self::Description => write!(f, "a description has at most {LONGEST_DESCRIPTION} bytes"),
            Self::TooMany => write!(f, "there are {MOST} already; remove one that is not used"),
            Self::Filter(fault) => fault.fmt(f),
            Self::InUse { group, by } => {
                write!(f, "{by} refers to the group {group}; change or remove {by} first")
            }
            Self::Devices(error) => error.fmt(f),
            Self::Changed(changed) => changed.fmt(f),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GroupsError {}

impl From<Changed> for GroupsError {
    fn from(changed: Changed) -> Self {
        Self::Changed(changed)
    }
}

impl From<Forbidden> for GroupsError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for GroupsError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<FilterFault> for GroupsError {
    fn from(fault: FilterFault) -> Self {
        Self::Filter(fault)
    }
}

impl From<RecordError> for GroupsError {
    fn from(error: RecordError) -> Self {
        Self::Devices(error)
    }
}

/// The devices that a filter matches now.
///
/// # Errors
/// [`FilterFault`]
pub fn selection(app: &App, text: &str) -> Result<DeviceFilter, FilterFault> {
    let filter = app.groups.resolve(text)?;
    let matching = (!filter.is_for_all()).then(|| Matching { filter, now: app.now() });
    Ok(DeviceFilter { matching, ..DeviceFilter::default() })
}

/// Whether a device belongs to a group, directly, by the group's filter, or by a group within it.
pub async fn contains(app: &App, group: &str, endpoint: &str) -> bool {
    match selection(app, &group_filter(group)) {
        Ok(filter) => app.inventory.is_match(DeviceFilter { with_retired: true, ..filter }, endpoint).await,
        Err(_) => false,
    }
}

/// The names of the devices that belong to a group.
pub(crate) async fn members(app: &App, group: &str) -> Vec<Arc<str>> {
    match selection(app, &group_filter(group)) {
        Ok(filter) => app.inventory.matching(DeviceFilter { with_retired: true, ..filter }).await,
        Err(_) => Vec::new(),
    }
}

/// What a filter matches. It tells of devices of all groups, so a role for one group does not cover it.
///
/// # Errors
/// [`GroupsError`]
pub async fn explain(
    app: &Arc<App>,
    principal: &Principal,
    text: &str,
) -> Result<api::FilterMatch, GroupsError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let filter = selection(app, text)?;
    let matches = app.inventory.count(filter.clone()).await;
    let of = app.inventory.count(DeviceFilter::default()).await;
    let (examples, _) = app.inventory.page(filter, None, EXAMPLES).await;
    let examples = examples.into_iter().map(|record| record.endpoint.to_string()).collect();
    Ok(api::FilterMatch { matches: matches as u64, of: of as u64, examples })
}

/// All groups, by name; for a role for some groups, those.
///
/// # Errors
/// [`Forbidden`]
pub async fn list(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::Group>, Forbidden> {
    app.permit_some(principal, Permission::Read)?;
    let records = app.groups.read(|state| state.groups.clone());
    let mut groups = Vec::with_capacity(records.len());
    for (name, record) in records {
        if app.permit(principal, Permission::Read, Target::Group(&name)).await.is_ok() {
            groups.push(described(app, name, record).await);
        }
    }
    Ok(groups)
}

/// One group.
///
/// # Errors
/// [`GroupsError`]
pub async fn one(app: &Arc<App>, principal: &Principal, name: &str) -> Result<api::Group, GroupsError> {
    app.permit(principal, Permission::Read, Target::Group(name)).await?;
    let record = app.groups.read(|state| state.groups.get(name).cloned());
    let record = record.ok_or_else(|| GroupsError::NoSuchGroup(name.to_owned()))?;
    Ok(described(app, name.to_owned(), record).await)
}

async fn described(app: &Arc<App>, name: String, record: GroupRecord) -> api::Group {
    let devices = match selection(app, &group_filter(&name)) {
        Ok(filter) => app.inventory.count(filter).await as u64,
        Err(_) => 0,
    };
    let revision = revision::of(&record);
    let GroupRecord { description, filter, parent } = record;
    api::Group { name, description, filter, parent, devices, revision }
}

/// Makes a group, or changes what it is.
///
/// # Errors
/// [`GroupsError`]
pub async fn put(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    wanted: api::PutGroup,
    expected: &Expected,
) -> Result<api::Group, GroupsError> {
    // Whoever may change what is in a group may do with any device what roles for the group allow.
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    check_name(name)?;
    let api::PutGroup { description, filter, parent } = wanted;
    check_description(&description)?;
    let filter = filter.filter(|filter| !filter.trim().is_empty());
    if let Some(filter) = &filter {
        Filter::parse(filter).map_err(FilterFault::Text)?;
    }
    let record = GroupRecord { description, filter, parent };
    let turn = app.turn(&app.groups.edits).await?;
    let mut planned = app.groups.read(State::clone);
    expected.check(planned.groups.get(name).map(revision::of).as_deref())?;
    if let Some(parent) = record.parent.as_deref().filter(|parent| !planned.groups.contains_key(*parent)) {
        return Err(GroupsError::NoSuchGroup(parent.to_owned()));
    }
    planned.groups.insert(name.to_owned(), record.clone());
    if planned.groups.len() > MOST {
        return Err(GroupsError::TooMany);
    }
    // Whoever refers to it may be in a circle now.
    planned.groups.keys().try_for_each(|group| planned.check_group(group))?;
    let change = documents::put(DocumentKind::Group, name, &record, app.now());
    let audit = principal.audit(app.now(), "group.put", name, record.filter.clone().unwrap_or_default());
    let (key, saved) = (name.to_owned(), record.clone());
    let then = move |app: &App| app.groups.change(|state| drop(state.groups.insert(key, saved)));
    app.commit_then(turn, vec![change, audit], then).await?;
    Ok(described(app, name.to_owned(), record).await)
}

/// Removes a group. Its devices stay.
///
/// # Errors
/// [`GroupsError`]
pub async fn remove(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    expected: &Expected,
) -> Result<(), GroupsError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.groups.edits).await?;
    let mut planned = app.groups.read(State::clone);
    let Some(record) = planned.groups.remove(name) else {
        return Err(GroupsError::NoSuchGroup(name.to_owned()));
    };
    expected.check(Some(&revision::of(&record)))?;
    let in_use = |by: &String| GroupsError::InUse { group: name.to_owned(), by: by.clone() };
    for (other, record) in &planned.groups {
        if record.parent.as_deref() == Some(name) || planned.check_group(other).is_err() {
            return Err(in_use(other));
        }
    }
    for (saved, record) in &planned.filters {
        if planned.resolve(&record.filter).is_err() {
            return Err(in_use(saved));
        }
    }
    for (state, filter) in app.desired.filters() {
        if planned.resolve(&filter).is_err() {
            return Err(in_use(&state));
        }
    }
    let direct = Filter::parse(&group_filter(name)).map_err(FilterFault::Text)?;
    let direct = Matching { filter: direct, now: app.now() };
    let members =
        app.inventory.matching(DeviceFilter { matching: Some(direct), ..DeviceFilter::default() }).await;
    for some in members.chunks(AT_ONCE) {
        let names = some.iter().map(ToString::to_string).collect();
        records::edit(app, names, vec![], |_, profile| leave(profile, name)).await?;
    }
    let change = documents::remove(DocumentKind::Group, name);
    let audit = principal.audit(app.now(), "group.remove", name, "");
    let key = name.to_owned();
    let then = move |app: &App| app.groups.change(|state| drop(state.groups.remove(&key)));
    Ok(app.commit_then(turn, vec![change, audit], then).await?)
}

/// Puts devices into a group, and takes others out of it: all or none.
///
/// # Errors
/// [`GroupsError`]
pub async fn change_devices(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    change: api::ChangeGroupDevices,
) -> Result<api::Group, GroupsError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let api::ChangeGroupDevices { add, remove } = change;
    if add.len() + remove.len() > MOST_AT_ONCE {
        return Err(GroupsError::Devices(RecordError::TooMany));
    }
    let _turn = app.turn(&app.groups.edits).await?;
    if !app.groups.has(name) {
        return Err(GroupsError::NoSuchGroup(name.to_owned()));
    }
    let detail = format!("in: {}; out: {}", some_of(&add), some_of(&remove));
    let audit = principal.audit(app.now(), "group.devices", name, detail);
    let added = add.len();
    let names = add.into_iter().chain(remove).collect();
    let change = |place: usize, profile: &mut Profile| match place < added {
        true => join(profile, name),
        false => leave(profile, name),
    };
    records::edit(app, names, vec![audit], change).await?;
    one(app, principal, name).await
}

/// The first of some names, for the audit log.
fn some_of(names: &[String]) -> String {
    let first = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(" ");
    match names.len() {
        0 => "none".to_owned(),
        count if count > MOST_NAMED => format!("{first} and {} more", count - MOST_NAMED),
        _ => first,
    }
}

pub(crate) fn join(profile: &mut Profile, group: &str) {
    if let Err(place) = profile.groups.binary_search_by(|has| (**has).cmp(group)) {
        profile.groups.insert(place, group.into());
    }
}

pub(crate) fn leave(profile: &mut Profile, group: &str) {
    profile.groups.retain(|has| **has != *group);
}

/// All saved filters, by name.
///
/// # Errors
/// [`Forbidden`]
pub fn filters(app: &App, principal: &Principal) -> Result<Vec<api::SavedFilter>, Forbidden> {
    app.permit_at_once(principal, Permission::Read, Target::Shared)?;
    let saved = |(name, record): (&String, &FilterRecord)| api::SavedFilter {
        name: name.clone(),
        filter: record.filter.clone(),
        description: record.description.clone(),
    };
    Ok(app.groups.read(|state| state.filters.iter().map(saved).collect()))
}

/// Saves a filter under a name.
///
/// # Errors
/// [`GroupsError`]
pub async fn put_filter(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    wanted: api::PutFilter,
) -> Result<api::SavedFilter, GroupsError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    check_name(name)?;
    check_description(&wanted.description)?;
    let api::PutFilter { filter, description } = wanted;
    let turn = app.turn(&app.groups.edits).await?;
    app.groups.resolve(&filter)?;
    if app.groups.read(|state| state.filters.len() >= MOST && !state.filters.contains_key(name)) {
        return Err(GroupsError::TooMany);
    }
    let record = FilterRecord { filter: filter.clone(), description: description.clone() };
    let change = documents::put(DocumentKind::Filter, name, &record, app.now());
    let audit = principal.audit(app.now(), "filter.put", name, filter.clone());
    let key = name.to_owned();
    let then = move |app: &App| app.groups.change(|state| drop(state.filters.insert(key, record)));
    app.commit_then(turn, vec![change, audit], then).await?;
    Ok(api::SavedFilter { name: name.to_owned(), filter, description })
}

/// Removes a saved filter.
///
/// # Errors
/// [`GroupsError`]
pub async fn remove_filter(app: &Arc<App>, principal: &Principal, name: &str) -> Result<(), GroupsError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.groups.edits).await?;
    if !app.groups.read(|state| state.filters.contains_key(name)) {
        return Err(GroupsError::NoSuchFilter(name.to_owned()));
    }
    let change = documents::remove(DocumentKind::Filter, name);
    let audit = principal.audit(app.now(), "filter.remove", name, "");
    let key = name.to_owned();
    let then = move |app: &App| app.groups.change(|state| drop(state.filters.remove(&key)));
    Ok(app.commit_then(turn, vec![change, audit], then).await?)
}

fn check_name(name: &str) -> Result<(), GroupsError> {
    let is_fine = (1..=LONGEST_NAME).contains(&name.len())
        && !name.contains(char::is_whitespace)
        && !name.contains('/')
        && buoy_lwm2m::text::is_harmless(name);
    if is_fine { Ok(()) } else { Err(GroupsError::Name) }
}

fn check_description(description: &str) -> Result<(), GroupsError> {
    if description.len() <= LONGEST_DESCRIPTION { Ok(()) } else { Err(GroupsError::Description) }
}
