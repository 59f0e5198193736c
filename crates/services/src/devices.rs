//! The devices that are known, with the registrations of those that are registered.

use std::sync::Arc;

use buoy_server::RegistrationView;
use buoy_store::{Change, DeviceChange};
use tokio::sync::oneshot;

use crate::app::App;
use crate::inventory::{DeviceFilter, DeviceRecord, DeviceState};
use crate::journal::NotSaved;
use crate::principal::Principal;

/// A device, and its registration if it is registered.
#[derive(Clone, Debug)]
pub struct Device {
    /// What is known of it.
    pub record: DeviceRecord,
    /// Its registration.
    pub registration: Option<RegistrationView>,
}

/// Devices that fit, in the order of their names, behind one of them; and whether there are more.
pub async fn page(
    app: &Arc<App>,
    filter: DeviceFilter,
    after: Option<String>,
    limit: usize,
) -> (Vec<Device>, bool) {
    let (records, has_more) = app.inventory.page(filter, after, limit).await;
    (with_registrations(app, records).await, has_more)
}

/// One device.
pub async fn one(app: &Arc<App>, endpoint: &str) -> Option<Device> {
    let record = app.inventory.device(endpoint).await?;
    let registration = app.registration(endpoint).await;
    Some(device(record, registration))
}

/// Why a device was not forgotten.
#[derive(Debug)]
pub enum ForgetError {
    /// There is none of this name.
    NoSuchDevice(String),
    /// It is registered: it would be known again at once.
    IsRegistered(String),
    /// That it is forgotten could not be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for ForgetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchDevice(endpoint) => write!(f, "no device named {endpoint} is known"),
            Self::IsRegistered(endpoint) => write!(
                f,
                "{endpoint} is registered, and would be known again with its next message; revoke its credentials first"
            ),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ForgetError {}

/// Forgets a device that is not registered.
///
/// # Errors
/// [`ForgetError`]
pub async fn forget(app: &Arc<App>, principal: &Principal, endpoint: &str) -> Result<(), ForgetError> {
    match app.inventory.forget(endpoint).await {
        None => Err(ForgetError::NoSuchDevice(endpoint.to_owned())),
        Some(DeviceState::Offline) => {
            let remove = Change::Device(DeviceChange::Remove { endpoint: endpoint.to_owned() });
            let audit = principal.audit(app.now(), "device.forget", endpoint, "");
            app.journal.commit_now(vec![remove, audit]).await.map_err(ForgetError::NotSaved)
        }
        Some(_) => Err(ForgetError::IsRegistered(endpoint.to_owned())),
    }
}

/// What the shards know of a registration is newer than what the inventory has heard.
fn device(mut record: DeviceRecord, registration: Option<RegistrationView>) -> Device {
    match &registration {
        Some(registration) => {
            record.last_contact = registration.last_contact;
            record.state = match registration.asleep {
                true => DeviceState::Asleep,
                false => DeviceState::Online,
            };
        }
        None => record.state = DeviceState::Offline,
    }
    Device { record, registration }
}

/// Asks each shard once for the registrations of a page.
async fn with_registrations(app: &Arc<App>, records: Vec<DeviceRecord>) -> Vec<Device> {
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
    records.into_iter().zip(registrations).map(|(record, found)| device(record, found)).collect()
}
