//! The accounts of a server that does not run, for who has its data folder: `buoy admin`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use buoy_api::{self as api, Grant, Role};
use buoy_lwm2m::model::Registry;
use buoy_net::clock::Clock;
use buoy_net::supervision::Supervisor;

use super::{AccessError, Accounts};
use crate::data_folder;
use crate::journal::{self, JournalHandle};
use crate::keyfile::Keys;
use crate::principal::Principal;
use crate::store_place::StorePlace;

/// The accounts, as long as no server uses the data folder.
pub struct Offline {
    accounts: Accounts,
    journal: JournalHandle,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

impl Offline {
    /// Opens a store, whose data folder is locked meanwhile. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If a server uses it, or it can't be used.
    pub fn open(data: &Path, place: &StorePlace) -> anyhow::Result<Self> {
        place.check_is_there().map_err(|_| {
            anyhow::anyhow!("there is no state of a server in {place}; name its folder with --data, and its database with --store")
        })?;
        let lock = data_folder::lock(data).context(
            "accounts are changed here while the server does not run; with a sign-in, use `buoy ctl account`",
        )?;
        let store = place.open()?;
        let reader = store.reader()?;
        let clock = Clock::start();
        let parts = journal::Parts {
            writer: store.writer()?,
            models: Arc::new(Registry::standard()),
            clock,
            // Nothing is too old for a short command.
            retention: Duration::from_secs(u64::from(u32::MAX)),
            notify: Box::new(|_| ()),
            describe: Box::new(|_, _, _| {}),
            remember: Box::new(|_, _| {}),
        };
        let supervisor = Supervisor::new(|failure| tracing::error!("{failure}"));
        let (journal, thread) = journal::start(parts, &supervisor)?;
        let keys = Keys::open(data, &*reader)?;
        let accounts = Accounts::load(&*reader, journal.clone(), keys.sealer(), clock)?;
        Ok(Self { accounts, journal, thread: Some(thread), _lock: lock })
    }

    /// All accounts.
    ///
    /// # Errors
    /// [`AccessError`]
    pub fn list(&self) -> Result<Vec<api::Account>, AccessError> {
        self.accounts.list(&Principal::console())
    }

    /// Makes an account that may do everything.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn create(&self, name: &str, password: api::Secret) -> Result<api::Account, AccessError> {
        let grants = vec![Grant::everywhere(Role::Admin)];
        let request = api::AddAccount { name: name.to_owned(), password, grants };
        self.accounts.add(&Principal::console(), request).await
    }

    /// Changes an account.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn edit(&self, name: &str, change: api::ChangeAccount) -> Result<api::Account, AccessError> {
        self.accounts.edit(&Principal::console(), name, change).await
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        self.journal.stop();
        if let Some(thread) = self.thread.take() {
            // It has logged why it failed, if it did.
            let _ = thread.join();
        }
    }
}
