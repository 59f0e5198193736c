//! An operator's commands on the firmware library, with the types of `/api/v1`.

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::update::Update;
use buoy_store::{FirmwareRow, StoreError};

use super::{AddError, MAX_SIGNATURE};
use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::firmware;
use crate::listen::FileScheme;
use crate::principal::Principal;

/// Why a command on the library failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FirmwareError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no such image.
    NoSuchFirmware(String),
    /// A signature with this wrong number of bytes.
    SignatureLength(usize),
    /// The image was not added.
    NotAdded(AddError),
    /// An open update needs the image.
    InUse {
        /// The update.
        id: u64,
        /// Its device.
        endpoint: String,
    },
    /// The store could not be read.
    Store(StoreError),
    /// The image could not be removed.
    NotRemoved(anyhow::Error),
}

impl std::fmt::Display for FirmwareError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchFirmware(digest) => write!(f, "there is no firmware {digest} in the library"),
            Self::SignatureLength(length) => {
                write!(f, "a signature has 1 to {MAX_SIGNATURE} bytes, and this one has {length}")
            }
            Self::NotAdded(AddError::Image(reason)) => f.write_str(reason),
            Self::NotAdded(AddError::Storage(error)) | Self::NotRemoved(error) => write!(f, "{error:#}"),
            Self::InUse { id, endpoint } => {
                write!(f, "update {id} of {endpoint} needs this image; cancel it first")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FirmwareError {}

impl From<Forbidden> for FirmwareError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<AddError> for FirmwareError {
    fn from(error: AddError) -> Self {
        Self::NotAdded(error)
    }
}

/// All images, the newest first.
///
/// # Errors
/// [`FirmwareError::Forbidden`]
pub fn list(app: &App, principal: &Principal) -> Result<Vec<api::Firmware>, FirmwareError> {
    app.permit_at_once(principal, Permission::Read, Target::Shared)?;
    Ok(app.firmware.list().iter().map(|row| described(app, row)).collect())
}

/// One image.
///
/// # Errors
/// [`FirmwareError::NoSuchFirmware`]
pub fn one(app: &App, principal: &Principal, digest: &str) -> Result<api::Firmware, FirmwareError> {
    app.permit_at_once(principal, Permission::Read, Target::Shared)?;
    Ok(described(app, &image(app, digest)?.row))
}

/// Adds an image to the library. If the same bytes are added again, the image keeps its name and its signature.
///
/// # Errors
/// [`FirmwareError`]
pub async fn add(
    app: &Arc<App>,
    principal: &Principal,
    name: Option<String>,
    bytes: Vec<u8>,
) -> Result<api::Firmware, FirmwareError> {
    app.permit(principal, Permission::ManageFirmware, Target::Server).await?;
    let known = app.firmware.get(&firmware::digest_of(&bytes));
    let signature = known.and_then(|image| image.row.signature.clone());
    let row = firmware::add(app, principal, name, bytes, signature).await?;
    Ok(described(app, &row))
}

/// Adds a detached signature to an image.
///
/// # Errors
/// [`FirmwareError`]
pub async fn put_signature(
    app: &Arc<App>,
    principal: &Principal,
    digest: &str,
    signature: Vec<u8>,
) -> Result<api::Firmware, FirmwareError> {
    app.permit(principal, Permission::ManageFirmware, Target::Server).await?;
    let image = image(app, digest)?;
    if signature.is_empty() || signature.len() > MAX_SIGNATURE {
        return Err(FirmwareError::SignatureLength(signature.len()));
    }
    let row = firmware::sign(app, principal, &image, signature).await?;
    Ok(described(app, &row))
}

/// Removes an image that no open update needs.
///
/// # Errors
/// [`FirmwareError`]
pub async fn remove(app: &Arc<App>, principal: &Principal, digest: &str) -> Result<(), FirmwareError> {
    app.permit(principal, Permission::ManageFirmware, Target::Server).await?;
    let open = app.read(|store| store.open_updates()).await.map_err(FirmwareError::Store)?;
    let user = open.iter().filter_map(Update::restore).find(|update| update.goal().digest == digest);
    if let Some(update) = user {
        return Err(FirmwareError::InUse { id: update.id(), endpoint: update.endpoint().to_string() });
    }
    match firmware::remove(app, principal, digest).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(FirmwareError::NoSuchFirmware(digest.to_owned())),
        Err(error) => Err(FirmwareError::NotRemoved(error)),
    }
}

fn image(app: &App, digest: &str) -> Result<firmware::Image, FirmwareError> {
    app.firmware.get(digest).ok_or_else(|| FirmwareError::NoSuchFirmware(digest.to_owned()))
}

fn described(app: &App, row: &FirmwareRow) -> api::Firmware {
    api::Firmware {
        digest: row.digest.clone(),
        name: row.name.clone(),
        version: row.version.clone(),
        project: row.project.clone(),
        size: row.size,
        uploaded_at: row.uploaded_at,
        signed: app.firmware.get(&row.digest).is_some_and(|image| image.is_signed()),
        coaps_uri: firmware::coap_uri(app.addresses.coaps_uri(), &row.digest),
        coap_uri: firmware::coap_uri(app.addresses.coap_uri(), &row.digest),
        http_uri: firmware::file_uri(app, FileScheme::Http, &row.digest),
        https_uri: firmware::file_uri(app, FileScheme::Https, &row.digest),
    }
}
