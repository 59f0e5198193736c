//! What operators note of devices: tags, fields of their own, notes, groups. A device that was imported is expected before it registers.

use std::collections::BTreeMap;
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::filter::is_own_name;
use buoy_store::{ChangeSet, DocumentKind};

use tokio::sync::OwnedMutexGuard;

use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::groups::{join, leave};
use crate::inventory::Profile;
use crate::journal::NotSaved;
use crate::principal::Principal;

/// The longest endpoint name, in bytes.
const MAX_ENDPOINT: usize = 255;
/// The most tags, groups and fields of a device, each.
const MOST: usize = 64;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 64;
/// The longest value of a field, in bytes.
const LONGEST_VALUE: usize = 1024;
/// The longest notes, in bytes.
const LONGEST_NOTES: usize = 8192;
/// The most devices of one import.
const MOST_IMPORTED: usize = 10_000;
/// Characters of a change that its audit entry has.
const MOST_AUDITED: usize = 500;
/// The most wrong lines that are named.
const MOST_COMPLAINTS: usize = 10;

/// Why what is noted of devices can't be changed.
#[derive(Debug)]
pub enum RecordError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no device of this name.
    NoSuchDevice(String),
    /// There is no group of this name.
    NoSuchGroup(String),
    /// A change is wrong.
    Wrong {
        /// The device.
        endpoint: String,
        /// What is wrong.
        fault: RecordFault,
    },
    /// There are too many devices in an import.
    TooMany,
    /// A file of devices is wrong in some lines.
    Lines(Vec<(u64, String)>),
    /// It could not be saved.
    NotSaved(NotSaved),
}

/// What is wrong with what is to be noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// The endpoint name.
    Endpoint,
    /// A tag.
    Tag(String),
    /// The name of a field.
    Field(String),
    /// The value of a field.
    Value(String),
    /// The notes are too long.
    Notes,
    /// There are too many tags, groups, fields or devices whose place it took.
    TooMany,
}

impl std::fmt::Display for RecordFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint => {
                write!(f, "an endpoint name has 1 to {MAX_ENDPOINT} bytes without control characters")
            }
            Self::Tag(tag) => write!(
                f,
                "the tag {tag:?} is not 1 to {LONGEST_TAG} bytes without spaces, commas and control characters"
            ),
            Self::Field(name) => {
                write!(f, "the name of the field {name:?} is not 1 to 64 letters, digits, _ and -")
            }
            Self::Value(name) => {
                write!(f, "the value of the field {name} has more than {LONGEST_VALUE} bytes")
            }
            Self::Notes => write!(f, "the notes have more than {LONGEST_NOTES} bytes"),
            Self::TooMany => write!(
                f,
                "a device has at most {MOST} tags, {MOST} groups, {MOST} fields and {MOST} devices whose place it took"
            ),
        }
    }
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchDevice(endpoint) => write!(f, "no device named {endpoint} is known"),
            Self::NoSuchGroup(group) => write!(f, "there is no group {group}; make it first"),
            Self::Wrong { endpoint, fault } => write!(f, "{endpoint}: {fault}"),
            Self::TooMany => write!(f, "an import has at most {MOST_IMPORTED} devices; cut it into several"),
            Self::Lines(lines) => {
                for (place, (line, fault)) in lines.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "\n" };
                    write!(f, "{separator}line {line}: {fault}")?;
                }
                Ok(())
            }
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<Forbidden> for RecordError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for RecordError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

/// Changes the profiles of devices that are known: all or none, with `companions`. `change` gets the place of the name in the list.
pub(crate) async fn edit(
    app: &Arc<App>,
    names: Vec<String>,
    companions: ChangeSet<'static>,
    change: impl Fn(usize, &mut Profile),
) -> Result<(), RecordError> {
    let turn = app.turn(&app.record_edits).await?;
    let changed = changed(app, names, change).await?;
    save(app, turn, changed, companions).await
}

/// What is noted of some devices, after a change. The caller has the turn to edit.
pub(crate) async fn changed(
    app: &Arc<App>,
    names: Vec<String>,
    change: impl Fn(usize, &mut Profile),
) -> Result<BTreeMap<String, Profile>, RecordError> {
    let profiles = app.inventory.profiles(names.clone()).await;
    let mut changed: BTreeMap<String, Profile> = BTreeMap::new();
    for (place, (name, known)) in names.into_iter().zip(profiles).enumerate() {
        let Some(known) = known else { return Err(RecordError::NoSuchDevice(name)) };
        let profile = changed.entry(name.clone()).or_insert_with(|| (*known).clone());
        change(place, profile);
        check(profile).map_err(|fault| RecordError::Wrong { endpoint: name, fault })?;
    }
    Ok(changed)
}

/// Saves what is noted of devices. Whether they are out of service counts for their credentials from that moment on.
pub(crate) async fn save(
    app: &Arc<App>,
    turn: OwnedMutexGuard<()>,
    profiles: BTreeMap<String, Profile>,
    companions: ChangeSet<'static>,
) -> Result<(), RecordError> {
    let mut set = companions;
    for (name, profile) in &profiles {
        set.push(documents::put(DocumentKind::Device, name, profile, app.now()));
    }
    let told: Vec<_> = profiles.into_iter().map(|(name, profile)| (name, Some(Arc::new(profile)))).collect();
    let then = move |app: &App| {
        for (name, profile) in &told {
            let is_retired = profile.as_ref().is_some_and(|profile| profile.retired_at.is_some());
            app.credentials.set_retired(name, is_retired);
        }
        app.inventory.set_profiles(told);
    };
    Ok(app.commit_then(turn, set, then).await?)
}

/// Changes what is noted of one device.
///
/// # Errors
/// [`RecordError`]
pub async fn change(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
    wanted: api::ChangeDevice,
) -> Result<(), RecordError> {
    app.permit(principal, Permission::ManageFleet, Target::Device(endpoint)).await?;
    // The notes may be long.
    let detail: String =
        serde_json::to_string(&wanted).unwrap_or_default().chars().take(MOST_AUDITED).collect();
    let api::ChangeDevice { tags, add_tags, remove_tags, add_groups, remove_groups, fields, notes } = wanted;
    if !(add_groups.is_empty() && remove_groups.is_empty()) {
        // It changes what others may do with the device.
        app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    }
    if let Some(group) = add_groups.iter().find(|group| !app.groups.has(group)) {
        return Err(RecordError::NoSuchGroup(group.clone()));
    }
    let audit = principal.audit(app.now(), "device.note", endpoint, detail);
    let change = |_: usize, profile: &mut Profile| {
        if let Some(tags) = &tags {
            profile.tags = tags.iter().map(|tag| tag.as_str().into()).collect();
        }
        profile.tags.extend(add_tags.iter().map(|tag| Box::from(tag.as_str())));
        profile.tags.retain(|tag| !remove_tags.iter().any(|gone| **tag == **gone));
        profile.tags.sort();
        profile.tags.dedup();
        add_groups.iter().for_each(|group| join(profile, group));
        remove_groups.iter().for_each(|group| leave(profile, group));
        for (name, value) in &fields {
            match value {
                Some(value) => drop(profile.fields.insert(name.clone(), value.clone())),
                None => drop(profile.fields.remove(name)),
            }
        }
        if let Some(notes) = &notes {
            profile.notes.clone_from(notes);
        }
    };
    edit(app, vec![endpoint.to_owned()], vec![audit], change).await
}

/// Notes what is known of many devices; those that are not known are expected from now on. All or none.
///
/// # Errors
/// [`RecordError`]
pub async fn import(
    app: &Arc<App>,
    principal: &Principal,
    devices: Vec<api::ImportedDevice>,
) -> Result<api::ImportedDevices, RecordError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    if devices.len() > MOST_IMPORTED {
        return Err(RecordError::TooMany);
    }
    for device in &devices {
        if !is_endpoint(&device.endpoint) {
            let endpoint = device.endpoint.clone();
            return Err(RecordError::Wrong { endpoint, fault: RecordFault::Endpoint });
        }
        if let Some(group) = device.groups.iter().find(|group| !app.groups.has(group)) {
            return Err(RecordError::NoSuchGroup(group.clone()));
        }
    }
    let turn = app.turn(&app.record_edits).await?;
    let names: Vec<String> = devices.iter().map(|device| device.endpoint.clone()).collect();
    let known = app.inventory.profiles(names).await;
    let mut result = api::ImportedDevices { added: 0, changed: 0, unchanged: 0 };
    let mut changed: BTreeMap<String, Profile> = BTreeMap::new();
    for (device, known) in devices.into_iter().zip(known) {
        let endpoint = device.endpoint.clone();
        let before = changed.get(&endpoint).cloned().or_else(|| known.as_deref().cloned());
        let mut profile = before.clone().unwrap_or_default();
        note(&mut profile, device);
        check(&profile).map_err(|fault| RecordError::Wrong { endpoint: endpoint.clone(), fault })?;
        match &before {
            None => result.added += 1,
            Some(before) if *before == profile => result.unchanged += 1,
            Some(_) => result.changed += 1,
        }
        if before.as_ref() != Some(&profile) {
            changed.insert(endpoint, profile);
        }
    }
    let detail = format!("{} new, {} changed", result.added, result.changed);
    let audit = principal.audit(app.now(), "device.import", "", detail);
    save(app, turn, changed, vec![audit]).await?;
    Ok(result)
}

fn is_endpoint(name: &str) -> bool {
    (1..=MAX_ENDPOINT).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn note(profile: &mut Profile, device: api::ImportedDevice) {
    let api::ImportedDevice { endpoint: _, tags, groups, fields, notes } = device;
    profile.tags.extend(tags.into_iter().map(String::into_boxed_str));
    profile.tags.sort();
    profile.tags.dedup();
    groups.iter().for_each(|group| join(profile, group));
    profile.fields.extend(fields);
    if let Some(notes) = notes {
        profile.notes = notes;
    }
}

fn check(profile: &Profile) -> Result<(), RecordFault> {
    let Profile { tags, groups, fields, notes, replaces, .. } = profile;
    if [tags.len(), groups.len(), fields.len(), replaces.len()].iter().any(|count| *count > MOST) {
        return Err(RecordFault::TooMany);
    }
    let is_tag = |tag: &str| {
        (1..=LONGEST_TAG).contains(&tag.len())
            && !tag.contains(|c: char| c.is_whitespace() || c == ',')
            && buoy_lwm2m::text::is_harmless(tag)
    };
    if let Some(tag) = tags.iter().find(|tag| !is_tag(tag)) {
        return Err(RecordFault::Tag(tag.to_string()));
    }
    for (name, value) in fields {
        if !is_own_name(name) {
            return Err(RecordFault::Field(name.clone()));
        }
        if value.len() > LONGEST_VALUE {
            return Err(RecordFault::Value(name.clone()));
        }
    }
    if notes.len() > LONGEST_NOTES { Err(RecordFault::Notes) } else { Ok(()) }
}

/// Reads devices from CSV (RFC 4180). The first line names the columns: `endpoint`, and any of `tags` and `groups` (with spaces between them),
/// `notes`, and `field.NAME`. Others, as an export has them, are ignored.
///
/// # Errors
/// [`RecordError::Lines`], [`RecordError::TooMany`]
pub fn read_csv(bytes: &[u8]) -> Result<Vec<api::ImportedDevice>, RecordError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let one = |line, fault: &str| RecordError::Lines(vec![(line, fault.to_owned())]);
    let headings = reader.headers().map_err(|_| one(1, "it is no CSV in UTF-8"))?.clone();
    if !headings.iter().any(|heading| heading == "endpoint") {
        return Err(one(1, "it names the columns, and has no endpoint"));
    }
    let (mut devices, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                faults.push((line, "it is no CSV in UTF-8 with as many columns as line 1".to_owned()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let mut device = api::ImportedDevice::default();
        for (heading, cell) in headings.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty()) {
            // What keeps a spreadsheet from taking it for a formula.
            let unguarded = cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@']));
            let cell = unguarded.unwrap_or(cell);
            let words = || cell.split_whitespace().map(str::to_owned).collect();
            match heading {
                "endpoint" => cell.clone_into(&mut device.endpoint),
                "tags" => device.tags = words(),
                "groups" => device.groups = words(),
                "notes" => device.notes = Some(cell.to_owned()),
                other => {
                    if let Some(name) = other.strip_prefix("field.") {
                        device.fields.insert(name.to_owned(), cell.to_owned());
                    }
                }
            }
        }
        if !is_endpoint(&device.endpoint) {
            faults.push((line, RecordFault::Endpoint.to_string()));
        }
        devices.push(device);
        if devices.len() > MOST_IMPORTED {
            return Err(RecordError::TooMany);
        }
        if faults.len() >= MOST_COMPLAINTS {
            break;
        }
    }
    if faults.is_empty() { Ok(devices) } else { Err(RecordError::Lines(faults)) }
}
