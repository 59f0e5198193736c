//! The devices of the inventory, with the registrations of those that are registered.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use buoy_api as api;
use buoy_lwm2m::model::{ObjectModel, ResourceModel};
use buoy_lwm2m::path::{Path, PathError};
use buoy_lwm2m::value::ValueType;
use buoy_server::RegistrationView;
use buoy_store::{Change, DeviceChange, DeviceDescription, DocumentKind, Sample, StoreError};
use tokio::sync::oneshot;

use crate::access::{Covered, Forbidden, Permission, Target};
use crate::app::App;
use crate::boards;
use crate::changes::Companion;
use crate::documents;
use crate::hex;
use crate::inventory::{CountBy, DeviceFilter, DeviceRecord, Last, awake_or};
use crate::journal::NotSaved;
use crate::path_values::{json_of_float, type_name};
use crate::principal::Principal;
use crate::registration_details::RegistrationDetails;
use crate::values::DeviceModels;

/// Devices for which the shards are queried at once.
const ASKED_AT_ONCE: usize = 128;
/// Devices that are looked at in one go for those of a group.
const LOOKED_AT_ONCE: usize = 1000;

/// A device, and its registration if it is registered.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its record in the inventory.
    pub record: DeviceRecord,
    registration: Option<RegistrationView>,
}

impl Device {
    /// Its registration, with all that it said.
    #[must_use]
    pub fn registration(&self) -> Option<RegistrationDetails> {
        self.registration.clone().map(Into::into)
    }
}

/// A page of the devices that match and that the principal may read, ordered by name, after a given name.
///
/// # Errors
/// [`DeviceError::Forbidden`]
pub async fn page(
    app: &Arc<App>,
    principal: &Principal,
    filter: DeviceFilter,
    after: Option<String>,
    limit: usize,
) -> Result<api::Page<api::Device>, DeviceError> {
    let (found, has_more) = list(app, principal, filter, after, limit).await?;
    let items: Vec<_> = found.into_iter().map(device_json).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(api::Page { items, next })
}

/// The number of matching devices for each value, the most frequent first, at most `most` values. It tells of devices of all groups, so a role for
/// one group does not cover it.
///
/// # Errors
/// [`DeviceError::Forbidden`]
pub async fn counts(
    app: &Arc<App>,
    principal: &Principal,
    filter: DeviceFilter,
    by: CountBy,
    most: usize,
) -> Result<Vec<api::DeviceCount>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let counts = app.inventory.counts(filter, by).await.into_iter().take(most);
    Ok(counts.map(|(value, count)| api::DeviceCount { value, count: count as u64 }).collect())
}

/// Devices that match and that the principal may read, ordered by name, after a given name; and whether there are more.
///
/// # Errors
/// [`DeviceError::Forbidden`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    filter: DeviceFilter,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Device>, bool), DeviceError> {
    let (records, has_more) = match app.covered(principal, Permission::Read).await? {
        Covered::All => app.inventory.page(filter, after, limit).await,
        covered => covered_page(app, &covered, filter, after, limit).await,
    };
    Ok((with_registrations(app, records).await, has_more))
}

/// A page of the devices of some groups.
async fn covered_page(
    app: &Arc<App>,
    covered: &Covered,
    filter: DeviceFilter,
    mut after: Option<String>,
    limit: usize,
) -> (Vec<DeviceRecord>, bool) {
    let mut found: Vec<DeviceRecord> = Vec::new();
    loop {
        let (records, has_more) = app.inventory.page(filter.clone(), after, LOOKED_AT_ONCE).await;
        after = records.last().map(|last| last.endpoint.to_string());
        found.extend(records.into_iter().filter(|record| covered.has(&record.endpoint)));
        if found.len() > limit || !has_more {
            let is_cut = found.len() > limit;
            found.truncate(limit);
            return (found, is_cut);
        }
    }
}

/// One device.
///
/// # Errors
/// [`DeviceError::NoSuchDevice`]
pub async fn described(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<api::Device, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    let record = app.inventory.device(endpoint).await;
    let record = record.ok_or_else(|| DeviceError::NoSuchDevice(endpoint.to_owned()))?;
    let registration = app.registration(endpoint).await;
    Ok(device_json(device(record, registration)))
}

/// One device, for a service that has asked for the permission.
pub(crate) async fn known(app: &Arc<App>, endpoint: &str) -> Option<api::Device> {
    let record = app.inventory.device(endpoint).await?;
    Some(device_json(device(record, app.registration(endpoint).await)))
}

/// The observations of a device.
///
/// # Errors
/// [`DeviceError::NotRegistered`]
pub async fn observations(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<api::Observation>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    if app.registration(endpoint).await.is_none() {
        return Err(DeviceError::NotRegistered(endpoint.to_owned()));
    }
    let all = app.observations(endpoint).await.into_iter();
    let described = all.map(|observation| api::Observation {
        paths: observation.paths.iter().map(Path::to_string).collect(),
        composite: observation.composite,
    });
    Ok(described.collect())
}

/// The registration of a device, with all that it said.
///
/// # Errors
/// [`DeviceError::NotRegistered`]
pub async fn registration(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<RegistrationDetails, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    let registration = app.registration(endpoint).await;
    registration.map(Into::into).ok_or_else(|| DeviceError::NotRegistered(endpoint.to_owned()))
}

/// The definitions of a device's objects, in the versions that it has, in the order of their ids.
///
/// # Errors
/// [`DeviceError::NotRegistered`]
pub async fn object_models<'a>(
    app: &'a Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<&'a ObjectModel>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    let registration = app.registration(endpoint).await;
    let registration = registration.ok_or_else(|| DeviceError::NotRegistered(endpoint.to_owned()))?;
    let models = DeviceModels::of(&app.models, &registration.objects);
    let objects: BTreeSet<u16> = registration.objects.paths().filter_map(|path| path.object_id()).collect();
    Ok(objects.into_iter().filter_map(|id| app.models.select(id, models.version(id))).collect())
}

/// Ends an observation without telling the device: it is told with its next notification (RFC 7641 section 3.6). False if there is none.
///
/// # Errors
/// [`DeviceError`]
pub async fn forget_observation(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
    paths: &[Path],
    is_composite: bool,
) -> Result<bool, DeviceError> {
    app.permit(principal, Permission::Command, Target::Device(endpoint)).await?;
    if app.registration(endpoint).await.is_none() {
        return Err(DeviceError::NotRegistered(endpoint.to_owned()));
    }
    let (name, paths, author) = (endpoint.to_owned(), paths.to_vec(), principal.clone());
    let forgotten = app.change_durably(endpoint, move |shard, now, outbox| {
        let all = shard.observations(&name).into_iter();
        let known = all.into_iter().find(|known| known.composite == is_composite && *known.paths == *paths);
        let Some(known) = known else { return false };
        let paths = known.paths.iter().map(Path::to_string).collect::<Vec<_>>().join(", ");
        let audit = author.audit(shard.calendar().date_of(now), "observation.forget", &name, paths);
        Companion::Changes(vec![audit]).accompany(outbox);
        shard.forget_observation(known.id, outbox);
        true
    });
    forgotten.await.map_err(DeviceError::NotSaved)
}

/// The last values of a device's resources, by path, with their names and units.
///
/// # Errors
/// [`DeviceError::NoSuchDevice`]
pub async fn last_values(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<api::LastValue>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    if app.inventory.device(endpoint).await.is_none() {
        return Err(DeviceError::NoSuchDevice(endpoint.to_owned()));
    }
    let registration = app.registration(endpoint).await;
    let models = match &registration {
        Some(registration) => DeviceModels::of(&app.models, &registration.objects),
        None => DeviceModels::of_any(&app.models),
    };
    let values = app.inventory.values(endpoint).await.into_iter();
    let described = values.map(|(path, last)| {
        let resource = models.resource(path);
        api::LastValue {
            path: path.to_string(),
            name: resource.map(|resource| resource.name.to_string()),
            label: resource.and_then(|resource| label(resource, &last.value)),
            value: json_of_last(resource.and_then(|resource| resource.value_type), &last.value),
            value_type: resource
                .and_then(|resource| resource.value_type)
                .map(|value_type| type_name(value_type).to_owned()),
            units: resource.and_then(|resource| resource.units.clone()).filter(|units| !units.is_empty()),
            at: last.at,
        }
    });
    Ok(described.collect())
}

/// The value as a read answers it: what is stored is a number for a time, in seconds, and for a boolean, too.
fn json_of_last(value_type: Option<ValueType>, value: &Last) -> serde_json::Value {
    match (value_type, value) {
        (Some(ValueType::Time), Last::Number(seconds)) => ((*seconds * 1000.0) as i64).into(),
        (Some(ValueType::Boolean), Last::Number(number)) => (*number != 0.0).into(),
        (_, Last::Number(number)) => json_of_float(*number),
        (_, Last::Text(text)) => text.to_string().into(),
    }
}

/// What a whole number means by the definition of its resource.
fn label(resource: &ResourceModel, value: &Last) -> Option<String> {
    let Last::Number(number) = value else { return None };
    let is_whole = number.fract() == 0.0;
    is_whole.then(|| resource.labels.get(&(*number as i64)).cloned()).flatten()
}

/// The paths of a device that have values in the store.
///
/// # Errors
/// [`DeviceError::Store`]
pub async fn series(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: String,
) -> Result<Vec<String>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(&endpoint)).await?;
    let names = boards::of(app, endpoint).await;
    let paths = app.read(move |store| {
        let mut paths = Vec::new();
        for name in &names {
            paths.extend(store.series(name)?);
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    });
    Ok(paths.await?)
}

/// The values of a resource over a range of time (milliseconds since the epoch), the oldest first.
///
/// # Errors
/// [`DeviceError`]
pub async fn samples(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: String,
    path: String,
    range: Range<u64>,
    limit: usize,
) -> Result<api::Page<api::Sample>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(&endpoint)).await?;
    check_path(&path)?;
    let names = boards::of(app, endpoint).await;
    let mut rows = app
        .read_history(move |store| {
            let mut rows = Vec::new();
            for name in &names {
                rows.extend(store.samples(name, &path, range.clone(), limit + 1)?);
            }
            if names.len() > 1 {
                rows.sort_by_key(|(at, _)| *at);
                rows.truncate(limit + 1);
            }
            Ok(rows)
        })
        .await?;
    // The next page starts with the first value that is not on this one.
    let next = (rows.len() > limit).then(|| rows.pop()).flatten().map(|(at, _)| at.to_string());
    let sample =
        |(at, value)| api::Sample { at, value: sample_json(value), count: None, min: None, max: None };
    Ok(api::Page { items: rows.into_iter().map(sample).collect(), next })
}

/// Summaries of the same values: one for each interval of `step` milliseconds that has values.
///
/// # Errors
/// [`DeviceError`]
pub async fn summaries(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: String,
    path: String,
    range: Range<u64>,
    step: u64,
) -> Result<api::Page<api::Sample>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(&endpoint)).await?;
    check_path(&path)?;
    if step == 0 {
        return Err(DeviceError::NoStep);
    }
    let names = boards::of(app, endpoint).await;
    let rows = app
        .read_history(move |store| {
            let mut all = BTreeMap::new();
            for name in &names {
                store
                    .summary(name, &path, range.clone(), step)?
                    .into_iter()
                    .for_each(|row| boards::join(&mut all, row));
            }
            Ok(all.into_values().collect::<Vec<_>>())
        })
        .await?;
    let items = rows.into_iter().map(|row| api::Sample {
        at: row.at,
        value: json_of_float(row.mean),
        count: Some(row.count),
        min: Some(json_of_float(row.min)),
        max: Some(json_of_float(row.max)),
    });
    Ok(api::Page { items: items.collect(), next: None })
}

pub(crate) fn check_path(path: &str) -> Result<(), DeviceError> {
    let parsed = path.parse::<Path>().map(drop);
    parsed.map_err(|error| DeviceError::Path { path: path.to_owned(), error })
}

fn sample_json(value: Sample) -> serde_json::Value {
    match value {
        Sample::Integer(number) => number.into(),
        Sample::Float(number) => json_of_float(number),
        Sample::Text(text) => text.into(),
        Sample::Opaque(bytes) => hex::encode(&bytes).into(),
    }
}

/// Why a query about devices, or the removal of a device, failed.
#[derive(Debug)]
pub enum DeviceError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no device of this name.
    NoSuchDevice(String),
    /// No device of this name is registered.
    NotRegistered(String),
    /// It is registered, so it would reappear at once.
    IsRegistered(String),
    /// A path is invalid.
    Path {
        /// The text.
        path: String,
        /// Why it is invalid.
        error: PathError,
    },
    /// The interval for summaries is 0.
    NoStep,
    /// The removal could not be saved.
    NotSaved(NotSaved),
    /// The store could not be read.
    Store(StoreError),
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchDevice(endpoint) => write!(f, "no device named {endpoint} is known"),
            Self::NotRegistered(endpoint) => write!(f, "no device named {endpoint} is registered"),
            Self::IsRegistered(endpoint) => write!(
                f,
                "{endpoint} is registered, and would be known again with its next message; wait until its registration has ended, or revoke its credentials"
            ),
            Self::Path { path, error } => write!(f, "{path}: {error}"),
            Self::NoStep => f.write_str("step must be more than 0"),
            Self::NotSaved(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeviceError {}

impl From<Forbidden> for DeviceError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<StoreError> for DeviceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Removes a device that is not registered from the inventory.
///
/// # Errors
/// [`DeviceError`]
pub async fn forget(app: &Arc<App>, principal: &Principal, endpoint: &str) -> Result<(), DeviceError> {
    app.permit(principal, Permission::Command, Target::Device(endpoint)).await?;
    match app.inventory.forget(endpoint).await {
        None => Err(DeviceError::NoSuchDevice(endpoint.to_owned())),
        Some(state) if !state.is_registered() => {
            app.credentials.set_retired(endpoint, false);
            let remove_profile = documents::remove(DocumentKind::Device, endpoint);
            let remove_habit = documents::remove(DocumentKind::Habit, endpoint);
            let remove = Change::Device(DeviceChange::Remove { endpoint: endpoint.to_owned() });
            let remove_values = documents::remove(DocumentKind::Values, endpoint);
            let audit = principal.audit(app.now(), "device.forget", endpoint, "");
            app.journal
                .commit_now(vec![remove, remove_profile, remove_habit, remove_values, audit])
                .await
                .map_err(DeviceError::NotSaved)
        }
        Some(_) => Err(DeviceError::IsRegistered(endpoint.to_owned())),
    }
}

/// Combines both records; the registration from the shard is newer than the inventory's.
fn device(mut record: DeviceRecord, registration: Option<RegistrationView>) -> Device {
    match &registration {
        Some(registration) => {
            // The registration knows better than the inventory when the device was last heard.
            let is_overdue = record.state == api::DeviceState::Overdue
                && registration.last_contact / 1000 <= record.last_contact / 1000;
            record.last_contact = registration.last_contact;
            if !is_overdue {
                record.state = awake_or(registration.asleep);
            }
        }
        None if record.state.is_registered() => record.state = api::DeviceState::Offline,
        None => {}
    }
    Device { record, registration }
}

/// Queries the shards for the registrations of a page, some at a time, so that no device waits while a thousand others are described.
async fn with_registrations(app: &Arc<App>, records: Vec<DeviceRecord>) -> Vec<Device> {
    let mut devices = Vec::with_capacity(records.len());
    let mut records = records.into_iter();
    loop {
        let some: Vec<_> = records.by_ref().take(ASKED_AT_ONCE).collect();
        if some.is_empty() {
            return devices;
        }
        let registrations = registrations(app, &some).await;
        devices.extend(some.into_iter().zip(registrations).map(|(record, found)| device(record, found)));
    }
}

/// The registrations of these devices, with one query to each shard.
async fn registrations(app: &Arc<App>, records: &[DeviceRecord]) -> Vec<Option<RegistrationView>> {
    let mut by_shard: Vec<Vec<(usize, Arc<str>)>> = vec![Vec::new(); app.shards.len()];
    for (place, record) in records.iter().enumerate() {
        if let Some(shard) = app.endpoints.shard_of(&record.endpoint) {
            by_shard[usize::from(shard) % app.shards.len()].push((place, record.endpoint.clone()));
        }
    }
    let mut answers = Vec::new();
    for (shard, names) in app.shards.iter().zip(by_shard).filter(|(_, names)| !names.is_empty()) {
        let (answer, wait) = oneshot::channel();
        shard.run(move |shard, _, _| {
            let views = names.into_iter().map(|(place, name)| (place, shard.registration(&name)));
            // The caller may have gone.
            let _ = answer.send(views.collect::<Vec<_>>());
        });
        answers.push(wait);
    }
    let mut registrations: Vec<Option<RegistrationView>> = vec![None; records.len()];
    for answer in answers {
        for (place, registration) in answer.await.unwrap_or_default() {
            registrations[place] = registration;
        }
    }
    registrations
}

fn device_json(device: Device) -> api::Device {
    let Device { record, registration } = device;
    let is_overdue = record.state == api::DeviceState::Overdue;
    let overdue_since = record.overdue_after.map(|after| record.last_contact + after).filter(|_| is_overdue);
    let DeviceDescription { manufacturer, model, serial, firmware, hardware, software, read_at: _ } =
        record.description;
    let profile = record.profile.unwrap_or_default();
    let texts = |texts: &[Box<str>]| texts.iter().map(|text| text.to_string()).collect();
    api::Device {
        endpoint: record.endpoint.to_string(),
        state: record.state,
        first_contact: record.first_contact,
        last_contact: record.last_contact,
        next_contact: record.next_contact,
        overdue_since,
        manufacturer,
        model,
        serial,
        firmware,
        hardware,
        software,
        tags: texts(&profile.tags),
        groups: texts(&profile.groups),
        fields: profile.fields.clone(),
        notes: profile.notes.clone(),
        retired_at: profile.retired_at,
        replaced_by: profile.replaced_by.as_deref().map(str::to_owned),
        replaces: texts(&profile.replaces),
        registration: registration.as_ref().map(registration_json),
    }
}

/// A registration as `/api/v1` shows it.
pub(crate) fn registration_json(registration: &RegistrationView) -> api::Registration {
    api::Registration {
        id: registration.id().to_owned(),
        address: registration.address.to_string(),
        secure: registration.session.is_some(),
        lwm2m: format!("{}.{}", registration.version.0, registration.version.1),
        binding: registration.attributes.binding.to_string(),
        lifetime: registration.lifetime,
        queue_mode: registration.queue_mode,
        registered_at: registration.registered_at,
        objects: registration.objects.paths().map(|path| path.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_value_is_told_as_a_read_answers_it() {
        let told = |value_type, number| json_of_last(value_type, &Last::Number(number));
        assert_eq!(told(Some(ValueType::Time), 1_795_466_474.0), 1_795_466_474_000_i64);
        assert_eq!(told(Some(ValueType::Boolean), 1.0), true);
        assert_eq!(told(Some(ValueType::Float), 17.5), 17.5);
        assert_eq!(told(None, 1.0), 1.0);
    }
}
