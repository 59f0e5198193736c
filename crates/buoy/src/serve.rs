//! The running server: store, journal, shards, bootstrap, updates and HTTP, put together.

mod app;
mod bootstrap;
mod credentials;
mod firmware;
mod http;
mod hub;
mod identity;
mod journal;
mod keyfile;
mod listen;
mod refusals;
mod security;
mod updates;
mod values;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::ServiceExt as _;
use buoy_lwm2m::model::{Registry, xml};
use buoy_net::bootstrap::{BootstrapHandle, BootstrapParts};
use buoy_net::clock::Clock;
use buoy_net::directory::Endpoints;
use buoy_net::secure::SecureParts;
use buoy_net::shard::{Parts, ShardHandle};
use buoy_net::udp::UdpSocket;
use buoy_server::{Outbox, RegistrationKey, SessionId, Shard, ShardConfig};
use buoy_store::sqlite::Sqlite;
use buoy_store::{Page, Purpose, Reader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use app::App;
use hub::Hub;
use listen::{Addresses, ShardSockets};
use refusals::Refusals;
use security::Security;

pub(crate) use http::openapi_document;
pub(crate) use identity::Files as IdentityFiles;
pub(crate) use keyfile::{path as key_file, rotate as rotate_key};
pub(crate) use listen::Listen;

/// Of a data folder: what seals its secrets, and what the server shows to devices.
pub(crate) const KEY_FILES: [&str; 3] = [keyfile::FILE, identity::KEY_FILE, identity::CERTIFICATE_FILE];
/// How often old values are pruned and the times of last contact are saved.
const HOUSEKEEPING: Duration = Duration::from_secs(300);
/// Times of last contact that each shard saves in a second: half a million devices take no more than five minutes.
const CONTACTS_A_SLICE: usize = 2000;

/// What `buoy serve` is told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) listen: Listen,
    pub(crate) shards: usize,
    pub(crate) models: Option<PathBuf>,
    pub(crate) retention_days: u32,
    pub(crate) awake_time: Duration,
    pub(crate) identity: IdentityFiles,
}

/// A server that runs.
pub(crate) struct Server {
    app: Arc<App>,
    shards: Vec<(ShardHandle, JoinHandle<()>)>,
    bootstrap: Option<(BootstrapHandle, JoinHandle<()>)>,
    journal: JoinHandle<()>,
    stop_http: oneshot::Sender<()>,
    http: tokio::task::JoinHandle<()>,
    /// Held as long as the server runs.
    _lock: File,
}

impl Server {
    /// Starts everything; devices can register when this returns.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Self> {
        crate::private_file::create_folder(&settings.data).with_context(|| {
            format!("the data folder {} cannot be made; choose another --data", settings.data.display())
        })?;
        let lock = lock(&settings.data)?;
        let store = Sqlite::open(&database(&settings.data))?;
        let models = Arc::new(load_models(settings.models.as_deref())?);
        let (sockets, addresses) = listen::bind(&settings.listen, settings.shards).await?;

        let (journal, journal_thread) = journal::start(store.writer()?, models.clone())?;
        let (hub, events) = Hub::new();
        let reader = store.reader()?;
        let clock = Clock::start();
        let keys = keyfile::Keys::open(&settings.data, &reader)?;
        let identity = identity::Identity::load(&settings.data, &settings.identity)?;
        let credentials =
            credentials::Credentials::load(&reader, keys.clone(), journal.clone(), identity.unlisted())?;
        let security = security::Security::new(&identity, &keys, &credentials)?;
        let bootstrap = bootstrap::Bootstrap::load(
            &reader,
            bootstrap::Parts {
                store: store.clone(),
                sealer: keys.sealer(),
                credentials: credentials.clone(),
                journal: journal.clone(),
                hub: hub.clone(),
                own: security.own(&addresses),
                clock,
            },
        )?;
        let endpoints = Endpoints::new(security.identities(Purpose::Lwm2m));
        let engines = restore(&reader, &endpoints, clock, &settings)?;
        let shards = start_shards(
            &reader,
            sockets.shards,
            engines,
            &security,
            &endpoints,
            |(engine, outbox), plain, secure| Parts {
                engine,
                outbox,
                plain,
                secure,
                directory: endpoints.clone(),
                journal: Box::new(journal.clone()),
                publish: Box::new({
                    let (hub, mut refusals) = (hub.clone(), Refusals::new(endpoints.clone()));
                    move |events| {
                        refusals.tell(events);
                        hub.publish(events);
                    }
                }),
                clock,
            },
        )?;
        let bootstrap_server = start_bootstrap(sockets.bootstrap, &security, &bootstrap, clock)?;

        let (updates, commands) = updates::UpdatesHandle::new();
        let app = Arc::new(App {
            shards: shards.iter().map(|(handle, _)| handle.clone()).collect(),
            endpoints,
            hub,
            journal,
            models,
            clock,
            firmware: firmware::Library::open(settings.data.join("firmware"))?,
            next_operation: AtomicU64::new(reader.last_operation()? + 1),
            store,
            readers: Mutex::default(),
            credentials,
            identity,
            bootstrap,
            bootstrap_server: bootstrap_server.as_ref().map(|(handle, _)| handle.clone()),
            addresses,
            updates,
            downloads: http::Downloads::default(),
            keys_in_use: http::KeysInUse::default(),
            started_at: clock.now().as_millis(),
        });
        let told = Arc::downgrade(&app);
        app.credentials.on_change(move |endpoint, change| {
            if let Some(app) = told.upgrade() {
                app.credentials_changed(endpoint, change);
            }
        });
        offer_firmware(&app, &reader)?;
        let last_update =
            reader.updates(None, Page { before: u64::MAX, limit: 1 })?.first().map_or(0, |row| row.id);
        tokio::spawn(updates::run(app.clone(), commands, events, reader.open_updates()?, last_update));
        tokio::spawn(keep_house(app.clone(), settings.retention_days));
        tokio::spawn(save_contacts_in_slices(app.clone()));

        let (stop_http, stopped) = oneshot::channel();
        let http = tokio::spawn(serve_http(sockets.http, app.clone(), stopped));
        for (name, uri) in app.addresses.listed() {
            tracing::info!("{name} at {uri}");
        }
        Ok(Self {
            app,
            shards,
            bootstrap: bootstrap_server,
            journal: journal_thread,
            stop_http,
            http,
            _lock: lock,
        })
    }

    /// Where it can be reached.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.app.addresses
    }

    /// Saves what is to be saved, answers what is to be answered, and ends.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        save_last_contacts(&self.app, usize::MAX);
        let _ = self.stop_http.send(());
        // Event streams never end by themselves.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.http).await;
        if let Some((handle, thread)) = self.bootstrap {
            handle.stop();
            if tokio::task::spawn_blocking(move || thread.join()).await?.is_err() {
                bail!("the bootstrap server's thread had failed");
            }
        }
        for (handle, thread) in self.shards {
            handle.stop();
            let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
            if joined.is_err() {
                bail!("a shard's thread had failed");
            }
        }
        self.app.journal.stop();
        let journal = self.journal;
        if tokio::task::spawn_blocking(move || journal.join()).await?.is_err() {
            bail!("the journal's thread had failed");
        }
        Ok(())
    }
}

/// The database in a data folder.
pub(crate) fn database(data: &Path) -> PathBuf {
    data.join("buoy.db")
}

/// A data folder has one server: two would give out the same names twice.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    let file =
        file.with_context(|| format!("{} cannot be written; choose another --data", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another `buoy serve` runs on the data folder {}; stop it, or choose another --data",
            data.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

async fn serve_http(listener: TcpListener, app: Arc<App>, stopped: oneshot::Receiver<()>) {
    let stop = async {
        // The sender's end is a stop too.
        let _ = stopped.await;
    };
    let interface = http::interface(app).into_make_service();
    if let Err(error) = axum::serve(listener, interface).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

fn load_models(folder: Option<&Path>) -> anyhow::Result<Registry> {
    let mut registry = Registry::standard();
    if let Some(folder) = folder {
        let report = xml::load_folder(&mut registry, folder).with_context(|| {
            format!("the folder of object definitions {} cannot be read", folder.display())
        })?;
        for bad in report.skipped {
            tracing::warn!(file = %bad.file.display(), error = %bad.error, "an object definition was skipped");
        }
        tracing::info!(count = report.loaded.len(), "object definitions loaded");
    }
    Ok(registry)
}

/// A shard, and what it has to save and to tell from the start.
type Engine = (Shard<Endpoints>, Outbox);

/// Makes the shards, with all that the store knows.
fn restore(
    reader: &impl Reader,
    endpoints: &Endpoints,
    clock: Clock,
    settings: &Settings,
) -> anyhow::Result<Vec<Engine>> {
    let count = settings.shards;
    let config =
        ShardConfig { awake_time: settings.awake_time, shards: count as u8, ..ShardConfig::default() };
    let mut engines = Vec::with_capacity(count);
    for number in 0..count {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
        engines.push((Shard::new(number as u8, config, endpoints.clone(), seed), Outbox::default()));
    }
    let now = clock.now();
    let mut damaged = 0;
    reader.registrations(&mut |key, record| {
        let key = RegistrationKey(key);
        // Keys may name shards of a time when there were more.
        let (engine, outbox) = &mut engines[usize::from(key.shard()) % count];
        if engine.restore(now, key, record, outbox).is_none() {
            damaged += 1;
        }
    })?;
    if damaged > 0 {
        tracing::error!(
            damaged,
            "records of registrations cannot be read; those devices will register again"
        );
    }
    for row in reader.open_operations()? {
        let Some(record) = journal::operation_record(&row) else {
            tracing::error!(id = row.id, "the record of an operation cannot be read; it is dropped");
            continue;
        };
        use buoy_server::Directory as _;
        let home = endpoints.claim(&record.endpoint, 0);
        let (engine, outbox) = &mut engines[usize::from(home) % count];
        engine.restore_operation(now, record, outbox);
    }
    Ok(engines)
}

/// Starts the shards, each with its sockets and with the sessions that it had.
fn start_shards(
    reader: &impl Reader,
    sockets: Vec<ShardSockets>,
    engines: Vec<Engine>,
    security: &Security,
    endpoints: &Endpoints,
    parts: impl Fn(Engine, Option<UdpSocket>, Option<SecureParts>) -> Parts,
) -> anyhow::Result<Vec<(ShardHandle, JoinHandle<()>)>> {
    let count = sockets.len();
    let mut sessions: Vec<Vec<(SessionId, Vec<u8>)>> = vec![Vec::new(); count];
    let mut last = engines
        .iter()
        .flat_map(|(engine, _)| engine.registrations())
        .filter_map(|registration| registration.session)
        .map(SessionId::counter)
        .max()
        .unwrap_or(0);
    reader.sessions(&mut |id, record| {
        let Some(session) = SessionId::from_number(id) else { return };
        last = last.max(session.counter());
        // Names may carry numbers of a time when there were more shards.
        sessions[usize::from(session.shard()) % count].push((session, record.to_vec()));
    })?;
    endpoints.named_up_to(last);
    let parts = sockets.into_iter().zip(engines).zip(sessions).map(|((sockets, engine), sessions)| {
        let secure = sockets.secure.map(|socket| security.parts(Purpose::Lwm2m, socket, sessions));
        parts(engine, sockets.plain, secure)
    });
    Ok(buoy_net::shard::start(parts.collect())?)
}

fn start_bootstrap(
    sockets: ShardSockets,
    security: &Security,
    bootstrap: &bootstrap::Bootstrap,
    clock: Clock,
) -> anyhow::Result<Option<(BootstrapHandle, JoinHandle<()>)>> {
    if sockets.plain.is_none() && sockets.secure.is_none() {
        return Ok(None);
    }
    let (decide, publish) = (bootstrap.clone(), bootstrap.clone());
    let secure = sockets.secure.map(|socket| security.parts(Purpose::Bootstrap, socket, Vec::new()));
    let parts = BootstrapParts {
        plain: sockets.plain,
        secure,
        directory: Endpoints::new(security.identities(Purpose::Bootstrap)),
        decide: Box::new(move |request, proved| decide.decide(request, proved)),
        publish: Box::new(move |event| publish.publish(event)),
        clock,
    };
    Ok(Some(buoy_net::bootstrap::start(parts)?))
}

fn offer_firmware(app: &App, reader: &impl Reader) -> anyhow::Result<()> {
    for row in reader.firmware()? {
        match app.firmware.load(row) {
            Ok(image) => firmware::offer(app, &image),
            Err(error) => tracing::error!("{error:#}"),
        }
    }
    Ok(())
}

async fn keep_house(app: Arc<App>, retention_days: u32) {
    let retention = u64::from(retention_days) * 24 * 60 * 60 * 1000;
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    // What was missed while the store could not be written is not done over and over after that.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tick.tick().await;
        app.shards.iter().for_each(ShardHandle::save_sessions);
        let before = app.now().saturating_sub(retention);
        if app.journal.edit(move |batch| batch.prune(before)).await.is_err() {
            return;
        }
    }
}

/// Saves when devices were heard, in slices so small that no answer waits for one.
async fn save_contacts_in_slices(app: Arc<App>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        save_last_contacts(&app, CONTACTS_A_SLICE);
    }
}

fn save_last_contacts(app: &App, most: usize) {
    for shard in &app.shards {
        shard.run(move |shard, _, outbox| {
            shard.save_last_contacts(most, outbox);
        });
    }
}
