//! The decisions of the bootstrap server: which device gets which configuration, its new keys, and the claims that wait for an operator.
//!
//! A device that authenticates with its bootstrap credentials gets the configuration that matches its name. A device that uses plain CoAP
//! gets a configuration only if that names exactly this device, or if an operator has accepted its claim.

mod compile;
mod pattern;
mod port_log;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use buoy_api as api;
use buoy_net::bootstrap::Handover;
use buoy_net::clock::Clock;
use buoy_server::{BootstrapConfig, BootstrapEvent, BootstrapRequest, BootstrapVerdict};
use buoy_store::{
    BootstrapClaimChange, BootstrapClaimRow, BootstrapConfigChange, BootstrapConfigRow, Change, ChangeSet,
    CredentialFilter, CredentialKind, CredentialRow, CredentialState, Page, Purpose, Reader, Store,
};

use zeroize::Zeroizing;

use compile::Minted;
pub use compile::{ConfigFault, Own};
use pattern::Pattern;
use port_log::PortLog;

use crate::access::{Forbidden, NoGroups, Permission, Target};
use crate::credentials::{Credentials, Gate, NewCredential, Proof};
use crate::hex;
use crate::hub::Hub;
use crate::journal::{JournalHandle, NotSaved};
use crate::keyfile::{Sealer, name_of_config};
use crate::listen::Addresses;
use crate::principal::Principal;

/// The most claims. Above this number the claim that was repeated longest ago is removed; its device makes a new one.
const MAX_CLAIMS: usize = 2000;
/// The same for one IP address, which may be a NAT.
const MAX_CLAIMS_OF_SOURCE: usize = 200;
/// How long an accepted claim is valid.
const YES_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a prepared configuration is stored for the device's next request, so that it isn't made twice.
const PREPARED_FOR: Duration = Duration::from_secs(600);

/// Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Bootstrap(Arc<Shared>);

struct Shared {
    configs: RwLock<Vec<Config>>,
    claims: Mutex<BTreeMap<String, BootstrapClaimRow>>,
    prepared: Mutex<HashMap<Arc<str>, Prepared>>,
    /// The endpoints whose configurations are being made.
    preparing: Mutex<HashSet<Arc<str>>>,
    /// Counts the changes of configurations.
    generation: AtomicU64,
    /// One change at a time, so that memory and store never differ.
    changes: Arc<tokio::sync::Mutex<()>>,
    store: Arc<dyn Store>,
    credentials: Credentials,
    gate: Gate,
    sealer: Sealer,
    journal: JournalHandle,
    hub: Hub,
    own: Own,
    addresses: Addresses,
    clock: Clock,
    log: Mutex<PortLog>,
    runtime: tokio::runtime::Handle,
}

/// The parts of the service.
pub struct Parts {
    /// The store, for queries.
    pub store: Arc<dyn Store>,
    /// Encrypts the secrets of configurations.
    pub sealer: Sealer,
    /// Gets the keys that are made.
    pub credentials: Credentials,
    /// What makes changes durable.
    pub journal: JournalHandle,
    /// Gets the events.
    pub hub: Hub,
    /// The LwM2M server's data for the accounts of devices.
    pub own: Own,
    /// Its addresses.
    pub addresses: Addresses,
    /// The time.
    pub clock: Clock,
}

#[derive(Clone)]
struct Config {
    pattern: Pattern,
    config: Arc<api::BootstrapConfig>,
}

/// The configuration that was made for a device, until the device has it.
struct Prepared {
    config: Arc<BootstrapConfig>,
    at: u64,
}

/// Marks that a device's configuration is being made, until this is dropped.
struct Turn {
    of: Bootstrap,
    name: Arc<str>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.preparing_locked().remove(&self.name);
    }
}

/// Why a command on configurations or claims failed.
#[derive(Debug)]
pub enum BootstrapError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// It can't be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BootstrapError {}

impl From<Forbidden> for BootstrapError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for BootstrapError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

/// Why a configuration was not stored.
#[derive(Debug)]
pub enum PutError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// It is invalid.
    Refused(ConfigFault),
    /// It can't be saved.
    NotSaved(NotSaved),
    /// The system failed.
    Failed(anyhow::Error),
}

impl Bootstrap {
    /// Loads the configurations and claims of the store. Must be called within a tokio runtime.
    pub fn load(reader: &dyn Reader, parts: Parts) -> anyhow::Result<Self> {
        let Parts { store, sealer, credentials, journal, hub, own, addresses, clock } = parts;
        let configs = reader.bootstrap_configs()?;
        let configs = configs.into_iter().map(|row| open(&sealer, &row)).collect::<anyhow::Result<_>>()?;
        let claims = reader.bootstrap_claims()?;
        let shared = Shared {
            configs: RwLock::new(configs),
            claims: Mutex::new(claims.into_iter().map(|claim| (claim.endpoint.clone(), claim)).collect()),
            prepared: Mutex::default(),
            preparing: Mutex::default(),
            generation: AtomicU64::new(0),
            changes: Arc::default(),
            store,
            gate: credentials.gate(Purpose::Bootstrap),
            credentials,
            sealer,
            journal,
            hub,
            own,
            addresses,
            clock,
            log: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// All configurations, without their secrets, by their patterns.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn configs(&self, principal: &Principal) -> Result<Vec<api::BootstrapConfig>, Forbidden> {
        principal.may(Permission::ReadCredentials, Target::Server, &NoGroups)?;
        let configs = self.0.configs.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = configs.iter().map(|config| public(&config.config)).collect();
        all.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        Ok(all)
    }

    /// The configuration of a pattern, without its secrets.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn config(
        &self,
        principal: &Principal,
        pattern: &str,
    ) -> Result<Option<api::BootstrapConfig>, Forbidden> {
        principal.may(Permission::ReadCredentials, Target::Server, &NoGroups)?;
        Ok(self.known_config(pattern))
    }

    fn known_config(&self, pattern: &str) -> Option<api::BootstrapConfig> {
        let configs = self.0.configs.read().unwrap_or_else(PoisonError::into_inner);
        configs.iter().find(|config| config.config.pattern == pattern).map(|config| public(&config.config))
    }

    /// Stores a configuration and replaces the one of the same pattern.
    pub async fn put_config(
        &self,
        principal: &Principal,
        mut config: api::BootstrapConfig,
    ) -> Result<(), PutError> {
        principal.may(Permission::ManageBootstrap, Target::Server, &NoGroups).map_err(PutError::Forbidden)?;
        let pattern = Pattern::new(&config.pattern).map_err(PutError::Refused)?;
        config.changed_at = Some(self.now());
        compile::check(&config, &self.0.own).map_err(PutError::Refused)?;
        let text = serde_json::to_vec(&config).context("the configuration").map_err(PutError::Failed)?;
        let text = Zeroizing::new(text);
        let sealed = self.0.sealer.seal(&name_of_config(&config.pattern), &text).map_err(PutError::Failed)?;
        let row = BootstrapConfigRow {
            pattern: config.pattern.clone(),
            sealed,
            changed_at: config.changed_at.unwrap_or_default(),
        };
        let apply = move |this: &Self| {
            let mut configs = this.0.configs.write().unwrap_or_else(PoisonError::into_inner);
            configs.retain(|other| other.config.pattern != config.pattern);
            configs.push(Config { pattern, config: Arc::new(config) });
            drop(configs);
            this.forget_prepared();
        };
        let saved = {
            let audit = principal.audit(self.now(), "bootstrap_config.put", &row.pattern, "");
            self.change(vec![Change::BootstrapConfig(BootstrapConfigChange::Put(row)), audit], apply)
        }
        .await;
        saved.map_err(PutError::NotSaved)
    }

    /// Removes a configuration. Returns whether it existed.
    pub async fn remove_config(&self, principal: &Principal, pattern: &str) -> Result<bool, BootstrapError> {
        principal.may(Permission::ManageBootstrap, Target::Server, &NoGroups)?;
        if self.known_config(pattern).is_none() {
            return Ok(false);
        }
        let name = pattern.to_owned();
        let gone = name.clone();
        let apply = move |this: &Self| {
            let mut configs = this.0.configs.write().unwrap_or_else(PoisonError::into_inner);
            configs.retain(|other| other.config.pattern != gone);
            drop(configs);
            this.forget_prepared();
        };
        let removal = BootstrapConfigChange::Remove { pattern: name };
        let audit = principal.audit(self.now(), "bootstrap_config.remove", pattern, "");
        self.change(vec![Change::BootstrapConfig(removal), audit], apply).await?;
        Ok(true)
    }

    /// Saves a change and then applies it, even if the caller does not wait any longer.
    async fn change(
        &self,
        changes: ChangeSet<'static>,
        apply: impl FnOnce(&Self) + Send + 'static,
    ) -> Result<(), NotSaved> {
        let (this, journal) = (self.clone(), self.0.journal.clone());
        let saving = tokio::spawn(async move {
            let _turn = this.0.changes.clone().lock_owned().await;
            let saved = this.0.journal.commit(changes).await;
            if saved.is_ok() {
                apply(&this);
            }
            saved
        });
        match journal.unless_in_trouble(saving).await? {
            Ok(saved) => saved,
            Err(_) => Err(NotSaved::Stopped),
        }
    }

    /// The claims, waiting and accepted.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn claims(&self, principal: &Principal) -> Result<Vec<api::BootstrapClaim>, Forbidden> {
        principal.may(Permission::ReadCredentials, Target::Server, &NoGroups)?;
        Ok(self.claims_locked().values().map(claim_json).collect())
    }

    /// The claim of a device, for a service that has asked for the permission.
    pub(crate) fn claim_of(&self, endpoint: &str) -> Option<api::BootstrapClaim> {
        self.claims_locked().get(endpoint).map(claim_json)
    }

    /// Whether a configuration matches a name: without one, accepting its claim has no effect.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn has_config_for(&self, principal: &Principal, endpoint: &str) -> Result<bool, Forbidden> {
        principal.may(Permission::ManageBootstrap, Target::Server, &NoGroups)?;
        Ok(self.fits(endpoint))
    }

    /// The same for a service that has asked for the permission.
    pub(crate) fn fits(&self, endpoint: &str) -> bool {
        self.config_for(endpoint).is_some()
    }

    /// Accepts the claim of a device, which may come later. Its next request is granted.
    pub async fn accept(
        &self,
        principal: &Principal,
        endpoint: &str,
    ) -> Result<api::BootstrapClaim, BootstrapError> {
        principal.may(Permission::ManageBootstrap, Target::Server, &NoGroups)?;
        let now = self.now();
        let known = self.claims_locked().get(endpoint).cloned();
        let mut claim = known.unwrap_or_else(|| BootstrapClaimRow {
            endpoint: endpoint.to_owned(),
            address: String::new(),
            first_asked: 0,
            last_asked: 0,
            accepted_at: None,
        });
        claim.accepted_at = Some(now);
        let row = claim.clone();
        let accepted = claim.clone();
        let apply = move |this: &Self| {
            this.claims_locked().insert(accepted.endpoint.clone(), accepted);
        };
        self.change(
            vec![
                Change::BootstrapClaim(BootstrapClaimChange::Put(row)),
                principal.audit(now, "bootstrap_claim.accept", endpoint, ""),
            ],
            apply,
        )
        .await?;
        Ok(claim_json(&claim))
    }

    /// Removes the claim of a device, waiting or accepted. Returns whether there was one.
    pub async fn forget_claim(&self, principal: &Principal, endpoint: &str) -> Result<bool, BootstrapError> {
        principal.may(Permission::ManageBootstrap, Target::Server, &NoGroups)?;
        let Some(claim) = self.claims_locked().get(endpoint).cloned() else { return Ok(false) };
        let (name, gone) = (endpoint.to_owned(), endpoint.to_owned());
        let apply = move |this: &Self| drop(this.claims_locked().remove(&gone));
        match claim.accepted_at {
            Some(_) => {
                let removal = BootstrapClaimChange::Remove { endpoint: name };
                let audit = principal.audit(self.now(), "bootstrap_claim.forget", endpoint, "");
                self.change(vec![Change::BootstrapClaim(removal), audit], apply).await?;
            }
            // Waiting claims are only in memory.
            None => apply(self),
        }
        Ok(true)
    }

    /// Decides about a Bootstrap-Request. Runs in the bootstrap server's thread and doesn't block.
    /// `local` is the address of this machine to which the device sent it.
    pub fn decide(
        &self,
        request: &BootstrapRequest<'_>,
        proved: Option<Arc<str>>,
        local: Option<IpAddr>,
    ) -> BootstrapVerdict {
        let refused = |reason: &'static str| BootstrapVerdict::Refused(reason.into());
        let name: Arc<str> = match (&proved, request.endpoint) {
            (Some(proved), Some(named)) if **proved != *named => {
                return refused("the credentials of this session are those of another endpoint");
            }
            (Some(proved), _) => proved.clone(),
            (None, Some(named)) if named.chars().any(char::is_control) => {
                return refused("the endpoint name has control characters");
            }
            (None, Some(named)) if !named.is_empty() => named.into(),
            (None, _) => return refused("the query ep (endpoint name) is missing or empty"),
        };
        if proved.is_none() && self.0.gate.has(&name) {
            return refused("this endpoint has bootstrap credentials; ask over coaps");
        }
        let found = self.config_for(&name);
        match found {
            Some(found) if proved.is_some() || found.pattern.is_exact() || self.is_accepted(&name) => {
                self.configure(name, &found, local)
            }
            _ => {
                if self.wait_for_a_yes(&name, request) {
                    self.log_locked().tell_waits(Instant::now(), &name, request.peer);
                }
                BootstrapVerdict::Pending
            }
        }
    }

    fn configure(&self, name: Arc<str>, found: &Config, local: Option<IpAddr>) -> BootstrapVerdict {
        if let Some(config) = self.prepared_for(&name) {
            return BootstrapVerdict::Configure { endpoint: name, config };
        }
        if compile::mints(&found.config) {
            return BootstrapVerdict::Prepare { endpoint: name };
        }
        match compile::compile(&name, &found.config, None, &self.own_at(local)) {
            Ok(config) => BootstrapVerdict::Configure { endpoint: name, config: Arc::new(config) },
            Err(error) => BootstrapVerdict::Refused(self.no_config(&name, &error.into())),
        }
    }

    /// This server's data for the account of a device that sent to the address `local`.
    fn own_at(&self, local: Option<IpAddr>) -> Own {
        let seen = self.0.addresses.seen_at(local);
        Own { coaps: seen.coaps_uri(), coap: seen.coap_uri(), ..self.0.own.clone() }
    }

    fn prepared_for(&self, name: &str) -> Option<Arc<BootstrapConfig>> {
        let now = self.now();
        let mut prepared = self.prepared_locked();
        prepared.retain(|_, it| now.saturating_sub(it.at) < PREPARED_FOR.as_millis() as u64);
        prepared.get(name).map(|it| it.config.clone())
    }

    /// Makes the configuration of a device whose address is verified, with its new keys, and delivers it. If there are two requests for the
    /// same device at once, only one makes it.
    pub fn prepare(&self, name: Arc<str>, local: Option<IpAddr>, handover: Handover) {
        if !self.preparing_locked().insert(name.clone()) {
            return;
        }
        let turn = Turn { of: self.clone(), name: name.clone() };
        let this = self.clone();
        self.0.runtime.spawn(async move {
            let made = match this.prepared_for(&name) {
                Some(config) => Ok(config),
                None => this.make_config(&name, local).await.map_err(|error| this.no_config(&name, &error)),
            };
            drop(turn);
            handover.prepared(name, made);
        });
    }

    async fn make_config(
        &self,
        name: &Arc<str>,
        local: Option<IpAddr>,
    ) -> anyhow::Result<Arc<BootstrapConfig>> {
        let generation = self.0.generation.load(Ordering::Acquire);
        // It may have changed since the request.
        let found = self.config_for(name).context("no configuration fits this name any more")?;
        let minted = if compile::mints(&found.config) { Some(self.mint(name).await?) } else { None };
        let config = compile::compile(name, &found.config, minted.as_ref(), &self.own_at(local));
        let config = Arc::new(config?);
        // A change made meanwhile takes effect at the next request.
        if self.0.generation.load(Ordering::Acquire) == generation {
            let prepared = Prepared { config: config.clone(), at: self.now() };
            self.prepared_locked().insert(name.clone(), prepared);
        }
        Ok(config)
    }

    fn preparing_locked(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.0.preparing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a key for the device and adds it to the LwM2M server's credentials. The previous key stays valid until this one is used.
    async fn mint(&self, name: &Arc<str>) -> anyhow::Result<Minted> {
        // A new identity, because an identity belongs to one key.
        let mut suffix = [0; 4];
        getrandom::fill(&mut suffix).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let identity = format!("{name}.{}", hex::encode(&suffix));
        let proof = Proof::random_psk(&identity).map_err(anyhow::Error::msg)?;
        let Proof::Psk { identity, key } = &proof else { unreachable!("a random PSK is a PSK") };
        let minted = Minted { identity: identity.clone(), key: key.clone() };
        let known = self.credentials_of(name.clone()).await?;
        let keys = || known.iter().filter(|row| row.kind == CredentialKind::Psk);
        let good = keys().find(|row| row.state != CredentialState::Revoked);
        if good.is_none() && keys().next().is_some() {
            bail!("its credentials are revoked; remove them to let it in again");
        }
        let (credentials, now) = (&self.0.credentials, self.now());
        let saved = match good {
            Some(good) => credentials.rotate_by_bootstrap(good, proof, now).await.map(drop),
            None => {
                let new = NewCredential::new(Purpose::Lwm2m, name, proof).map_err(anyhow::Error::msg)?;
                credentials.add(&Principal::server(), vec![new], None, now).await.map(drop)
            }
        };
        saved.map_err(|error| anyhow::anyhow!("the new key cannot be kept: {error:?}"))?;
        Ok(minted)
    }

    async fn credentials_of(&self, name: Arc<str>) -> anyhow::Result<Vec<CredentialRow>> {
        let store = self.0.store.clone();
        let read = move || {
            let filter = CredentialFilter { endpoint: Some(&name), purpose: Some(Purpose::Lwm2m) };
            store.reader()?.credentials(&filter, Page { before: u64::MAX, limit: 16 })
        };
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Publishes and logs an event of the bootstrap port.
    pub fn publish(&self, event: BootstrapEvent) {
        self.log_locked().tell(Instant::now(), &event);
        if let BootstrapEvent::Finished { endpoint, .. } | BootstrapEvent::PackSent { endpoint, .. } = &event
        {
            self.done(endpoint);
        }
        self.0.hub.publish_bootstrap(event);
    }

    /// Logs why a device gets no configuration; returns the text for the device.
    fn no_config(&self, name: &str, error: &anyhow::Error) -> Cow<'static, str> {
        self.log_locked().tell_no_config(Instant::now(), name, error);
        "the server could make no configuration; ask its operator".into()
    }

    fn log_locked(&self) -> MutexGuard<'_, PortLog> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the configuration that a device now has, and its accepted claim.
    fn done(&self, endpoint: &Arc<str>) {
        self.prepared_locked().remove(endpoint);
        let bootstrap = self.clone();
        let endpoint = endpoint.clone();
        self.0.runtime.spawn(async move {
            if let Err(error) = bootstrap.forget_claim(&Principal::server(), &endpoint).await {
                tracing::warn!(%endpoint, "that the device was said yes to stays, until the store works: {error}");
            }
        });
    }

    fn forget_prepared(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        self.prepared_locked().clear();
    }

    /// Drops the configuration that was prepared for a device, because its credentials have changed.
    pub fn forget_prepared_for(&self, endpoint: &str) {
        self.prepared_locked().remove(endpoint);
    }

    fn prepared_locked(&self) -> MutexGuard<'_, HashMap<Arc<str>, Prepared>> {
        self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration that matches a name best.
    fn config_for(&self, name: &str) -> Option<Config> {
        let configs = self.0.configs.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = configs.iter().filter(|config| config.pattern.fits(name));
        fitting.max_by_key(|config| config.pattern.weight()).cloned()
    }

    fn is_accepted(&self, name: &str) -> bool {
        let accepted_at = self.claims_locked().get(name).and_then(|claim| claim.accepted_at);
        accepted_at.is_some_and(|at| self.now().saturating_sub(at) < YES_FOR.as_millis() as u64)
    }

    /// Adds the claim of a device. Returns whether it is new.
    fn wait_for_a_yes(&self, name: &str, request: &BootstrapRequest<'_>) -> bool {
        let now = self.now();
        let (source, address) = (request.peer.address.ip(), request.peer.address.to_string());
        let mut claims = self.claims_locked();
        if let Some(claim) = claims.get_mut(name) {
            (claim.last_asked, claim.address) = (now, address);
            if claim.first_asked == 0 {
                claim.first_asked = now;
            }
            return false;
        }
        let is_from_there = |claim: &BootstrapClaimRow| {
            claim.address.parse::<SocketAddr>().is_ok_and(|address| address.ip() == source)
        };
        let waiting = || claims.values().filter(|claim| claim.accepted_at.is_none());
        // A source that floods the list displaces only its own claims.
        let oldest = if waiting().filter(|claim| is_from_there(claim)).count() >= MAX_CLAIMS_OF_SOURCE {
            waiting().filter(|claim| is_from_there(claim)).min_by_key(|claim| claim.last_asked)
        } else if claims.len() >= MAX_CLAIMS {
            waiting().min_by_key(|claim| claim.last_asked)
        } else {
            None
        };
        let oldest = oldest.map(|claim| claim.endpoint.clone());
        let is_flood = oldest.is_some();
        oldest.and_then(|oldest| claims.remove(&oldest));
        let claim = BootstrapClaimRow {
            endpoint: name.to_owned(),
            address,
            first_asked: now,
            last_asked: now,
            accepted_at: None,
        };
        claims.insert(name.to_owned(), claim);
        !is_flood
    }

    fn claims_locked(&self) -> MutexGuard<'_, BTreeMap<String, BootstrapClaimRow>> {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.0.clock.date()
    }
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").finish_non_exhaustive()
    }
}

fn open(sealer: &Sealer, row: &BootstrapConfigRow) -> anyhow::Result<Config> {
    let what = || format!("the bootstrap configuration of {}", row.pattern);
    let text = sealer
        .open(&name_of_config(&row.pattern), &row.sealed)
        .map_err(anyhow::Error::new)
        .with_context(what)?;
    let config: api::BootstrapConfig = serde_json::from_slice(&text).with_context(what)?;
    let pattern = Pattern::new(&config.pattern).with_context(what)?;
    Ok(Config { pattern, config: Arc::new(config) })
}

fn public(config: &api::BootstrapConfig) -> api::BootstrapConfig {
    let mut public = config.clone();
    for server in &mut public.servers {
        server.credentials = server.credentials.public();
    }
    if let Some(account) = &mut public.bootstrap_server {
        account.credentials = account.credentials.public();
    }
    public
}

fn claim_json(claim: &BootstrapClaimRow) -> api::BootstrapClaim {
    api::BootstrapClaim {
        endpoint: claim.endpoint.clone(),
        address: claim.address.clone(),
        first_asked: claim.first_asked,
        last_asked: claim.last_asked,
        accepted_at: claim.accepted_at,
    }
}
