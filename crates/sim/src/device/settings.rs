//! What a device is made of.

use std::path::PathBuf;

use buoy_client::{ClientConfig, ConfigError};
use buoy_ota::signature::TrustStore;

use crate::account::Accounts;

/// The lifetime of a registration, in seconds, unless something else is said.
const LIFETIME: u32 = 300;

/// What a device is made of. What it learns later is in its flash, and in a folder beside that.
#[derive(Clone, Debug)]
pub struct DeviceSettings {
    /// Its name, the LwM2M that it speaks, and whether it sleeps.
    pub client: ClientConfig,
    /// Its flash, a file.
    pub flash: PathBuf,
    /// The image that a new flash leaves the factory with; none is needed if the flash is there.
    pub factory: Option<FactoryImage>,
    /// Whose firmware it runs.
    pub trust: TrustStore,
    /// Its servers.
    pub accounts: Accounts,
    /// Seconds for which a registration at the server of `accounts` holds, 300 unless something is said. A device that has been
    /// registered keeps what its server wrote.
    pub lifetime: Option<u32>,
}

/// An image and its signature.
#[derive(Clone, Debug)]
pub struct FactoryImage {
    /// The image.
    pub image: Vec<u8>,
    /// A detached signature or a manifest.
    pub signature: Vec<u8>,
}

impl DeviceSettings {
    /// A device that never sleeps and has no server.
    ///
    /// # Errors
    /// [`ConfigError::EndpointName`]
    pub fn new(endpoint: &str, flash: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        Ok(Self {
            client: ClientConfig::new(endpoint)?,
            flash: flash.into(),
            factory: None,
            trust: TrustStore::default(),
            accounts: Accounts::default(),
            lifetime: None,
        })
    }

    pub(super) fn lifetime(&self) -> u32 {
        self.lifetime.unwrap_or(LIFETIME)
    }
}
