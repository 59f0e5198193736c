//! An operator's commands on firmware updates, with the types of `/api/v1`.

use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::update::{self, Goal, Patience, Update};
use buoy_store::{KeyRow, Page, StoreError};

use super::StartError;
use super::stages::state_name;
use crate::access::{Covered, Forbidden, Permission, Reach, Target};
use crate::app::App;
use crate::firmware;
use crate::journal::NotSaved;
use crate::listen::FileScheme;
use crate::principal::Principal;

/// Why a command on updates failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpdateError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no such image.
    NoSuchFirmware(String),
    /// No device of this name is registered.
    NoSuchDevice(String),
    /// The image contains no version, and the request has none.
    NoVersion,
    /// The server can't deliver images in this way.
    NoDelivery(api::Delivery),
    /// Another update of the device is open.
    IsOpen {
        /// The device.
        endpoint: String,
        /// The other update.
        id: u64,
    },
    /// There is no update with this id.
    NoSuchUpdate(u64),
    /// No update with this id is open.
    NotOpen(u64),
    /// It could not be saved.
    NotSaved(NotSaved),
    /// The store could not be read.
    Store(StoreError),
}

impl std::fmt::Display for UpdateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchFirmware(digest) => write!(f, "there is no firmware {digest} in the library"),
            Self::NoSuchDevice(endpoint) => write!(f, "no device named {endpoint} is registered"),
            Self::NoVersion => f.write_str(
                "the image says no version; name the one that the device will report in \"version\"",
            ),
            Self::NoDelivery(delivery) => f.write_str(match delivery {
                api::Delivery::PullHttp => {
                    "the server offers no files by HTTP; start it with --files IP:PORT, or choose pull_coap or push"
                }
                api::Delivery::PullHttps => {
                    "the server offers no files by HTTPS; start it with --files-tls IP:PORT, or choose pull_coap or push"
                }
                _ => "the server has no port for CoAP; choose push or pull_http",
            }),
            Self::IsOpen { endpoint, id } => write!(f, "update {id} of {endpoint} is open; cancel it first"),
            Self::NoSuchUpdate(id) => write!(f, "there is no update {id}"),
            Self::NotOpen(id) => write!(f, "there is no open update {id}"),
            Self::NotSaved(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UpdateError {}

impl From<Forbidden> for UpdateError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for UpdateError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<StoreError> for UpdateError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Starts the update of a device. It has succeeded when the device reports the new version after its reboot.
///
/// # Errors
/// [`UpdateError`]
pub async fn start(
    app: &Arc<App>,
    principal: &Principal,
    request: api::StartUpdate,
    key: Option<KeyRow>,
) -> Result<api::Update, UpdateError> {
    let api::StartUpdate { endpoint, firmware, version, delivery, install_timeout, download_timeout } =
        request;
    app.permit(principal, Permission::Update, Target::Device(&endpoint)).await?;
    let image = app.firmware.get(&firmware).ok_or(UpdateError::NoSuchFirmware(firmware))?;
    let version = version.unwrap_or_else(|| image.row.version.clone());
    if version.is_empty() {
        return Err(UpdateError::NoVersion);
    }
    if app.registration(&endpoint).await.is_none() {
        return Err(UpdateError::NoSuchDevice(endpoint));
    }
    let digest = image.row.digest.clone();
    let uri = match delivery {
        api::Delivery::PullCoap => firmware::coap_uri_for(app, &endpoint, &digest).await,
        api::Delivery::PullHttp => firmware::file_uri_for(app, &endpoint, FileScheme::Http, &digest).await,
        api::Delivery::PullHttps => firmware::file_uri_for(app, &endpoint, FileScheme::Https, &digest).await,
        api::Delivery::Push => None,
    };
    let delivery = match (delivery, uri) {
        (api::Delivery::Push, _) => update::Delivery::Push,
        (_, Some(uri)) => update::Delivery::Pull(uri),
        (pull, None) => return Err(UpdateError::NoDelivery(pull)),
    };
    let default = Patience::default();
    let patience = Patience {
        install: install_timeout.map_or(default.install, Duration::from_secs),
        download: download_timeout.map_or(default.download, Duration::from_secs),
        ..default
    };
    let goal = Goal { version, digest, delivery };
    let started = app.updates.start(principal, &endpoint, goal, patience, key);
    match app.journal.unless_in_trouble(started).await? {
        Ok(update) => Ok(described(&update)),
        Err(StartError::AlreadyOpen(id)) => Err(UpdateError::IsOpen { endpoint, id }),
        Err(StartError::Stopping) => Err(NotSaved::Stopped.into()),
    }
}

/// The updates of one device or all, with an id less than `after`, the newest first.
///
/// # Errors
/// [`UpdateError::Store`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: Option<String>,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::Update>, UpdateError> {
    let covered = match &endpoint {
        Some(endpoint) => {
            app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
            Covered::All
        }
        None => app.covered(principal, Permission::Read).await?,
    };
    let page = Page { before: after.unwrap_or(u64::MAX), limit };
    let rows = app.read(move |store| store.updates(endpoint.as_deref(), page)).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    let updates = rows.iter().filter_map(Update::restore);
    let seen = updates.filter(|update| covered.has(update.endpoint()));
    let items = seen.map(|update| described(&update)).collect();
    Ok(api::Page { items, next })
}

/// One update, with the progress of its download.
///
/// # Errors
/// [`UpdateError`]
pub async fn one(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Update, UpdateError> {
    app.permit_some(principal, Permission::Read)?;
    let mut update = described(&stored(app, id).await?);
    app.permit(principal, Permission::Read, Target::Device(&update.endpoint)).await?;
    update.downloaded = app.downloaded(id).await.map(|bytes| bytes as u64);
    Ok(update)
}

async fn stored(app: &Arc<App>, id: u64) -> Result<Update, UpdateError> {
    let page = Page { before: id.saturating_add(1), limit: 1 };
    let rows = app.read(move |store| store.updates(None, page)).await?;
    let update = rows.iter().filter(|row| row.id == id).find_map(Update::restore);
    update.ok_or(UpdateError::NoSuchUpdate(id))
}

/// Cancels an open update.
///
/// # Errors
/// [`UpdateError`]
pub async fn cancel(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Update, UpdateError> {
    if app.permit_some(principal, Permission::Update)? == Reach::Groups {
        let update = stored(app, id).await?;
        app.permit(principal, Permission::Update, Target::Device(update.endpoint())).await?;
    }
    let cancelled = app.journal.unless_in_trouble(app.updates.cancel(principal, id)).await?;
    cancelled.as_ref().map(described).ok_or(UpdateError::NotOpen(id))
}

/// An update in the form of the interface.
#[must_use]
pub fn described(update: &Update) -> api::Update {
    let history = update.history().iter();
    let history = history.map(|entry| api::UpdateStage { at: entry.at, detail: entry.stage.to_string() });
    api::Update {
        id: update.id(),
        endpoint: update.endpoint().to_string(),
        firmware: update.goal().digest.clone(),
        version: update.goal().version.clone(),
        old_version: update.old_version().map(str::to_owned),
        state: state_name(update.stage()).into(),
        detail: detail(update),
        ended: update.has_ended(),
        downloaded: None,
        history: history.collect(),
    }
}

fn detail(update: &Update) -> String {
    match update.reason() {
        Some(reason) => format!("{}; the device gives the reason: {reason}", update.stage()),
        None => update.stage().to_string(),
    }
}
