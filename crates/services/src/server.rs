//! The running server, started in stages: the data folder is opened, the ports are bound, the engines run.
//!
//! Each stage owns what the stage before it made, so nothing can be used before it exists, and nothing is connected afterwards.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use buoy_lwm2m::model::{Registry, xml};
use buoy_net::bootstrap::{BootstrapHandle, BootstrapParts};
use buoy_net::clock::Clock;
use buoy_net::directory::Endpoints;
use buoy_net::secure::SecureParts;
use buoy_net::shard::{Parts, ShardHandle};
use buoy_net::supervision::{Failure, Supervisor};
use buoy_net::udp::UdpSocket;
use buoy_server::{ObjectList, Outbox, RegistrationKey, RegistrationView, SessionId, Shard, ShardConfig};
use buoy_store::{Page, Purpose, Reader, Store, StoreError, Writer};
use tokio::sync::Semaphore;

use crate::accounts::Accounts;
use crate::alerts;
use crate::alerts::state::{Alerts, Means};
use crate::app::{App, MOST_READERS, MOST_READERS_OF_HISTORY};
use crate::campaigns::state::Campaigns;
use crate::changes;
use crate::credentials::{ChangedCredentials, Credentials};
use crate::data_folder::lock;
use crate::desired::state::Desired;
use crate::downloads::Downloads;
use crate::failures::Failures;
use crate::firmware::{self, Library};
use crate::groups::state::Groups;
use crate::hub::Hub;
use crate::identity::{self, Identity};
use crate::incidents::Witness;
use crate::inventory::{self, Inventory, Place, Seed};
use crate::jobs::state::Jobs;
use crate::journal::{self, JournalHandle};
use crate::keyfile::{self, Keys};
use crate::keys_in_use::KeysInUse;
use crate::listen::{self, Addresses, Listen, ShardSockets, Sockets};
use crate::notices::Notices;
use crate::provider::{Provider, ProviderSettings};
use crate::refusals::Refusals;
use crate::security::Security;
use crate::store_place::StorePlace;
use crate::{bootstrap, campaigns, desired, incidents, jobs, updates};

/// The key files of a data folder: the key that encrypts its secrets, the server's own key and certificate, and those of its interface.
pub const KEY_FILES: [&str; 5] = [
    keyfile::FILE,
    identity::KEY_FILE,
    identity::CERTIFICATE_FILE,
    identity::HTTPS_KEY_FILE,
    identity::HTTPS_CERTIFICATE_FILE,
];
/// The pause between two attempts to open the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often the times of last contact and the state of sessions are saved.
const HOUSEKEEPING: Duration = Duration::from_secs(300);
/// Times of last contact that each shard saves in a second: half a million devices need at most five minutes.
const CONTACTS_A_SLICE: usize = 2000;

/// Registrations over plain CoAP whose address is not verified, in all shards: some hundred megabytes.
const MOST_UNPROVED: usize = 1 << 20;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// The store.
    pub store: StorePlace,
    /// How long its database is waited for at the start.
    pub store_patience: Duration,
    /// The ports.
    pub listen: Listen,
    /// Threads that serve devices.
    pub shards: usize,
    /// A folder of object definitions in OMA's XML.
    pub models: Option<PathBuf>,
    /// Public release keys (PEM): signatures that none of them verifies are refused. Without keys, signatures are not verified.
    pub release_keys: Vec<PathBuf>,
    /// The retention time of values and of ended operations and updates, in days.
    pub retention_days: u32,
    /// How long a device in queue mode is assumed to listen after a contact.
    pub awake_time: Duration,
    /// Whether the descriptions of devices (object 3) are read when they first register, and after an update.
    pub survey: bool,
    /// Whether values that came by reads are kept in series, as those that devices report.
    pub keep_reads: bool,
    /// The operator's own keys and certificates.
    pub identity: identity::Files,
    /// How long events are kept for who reads them later; with zero, as long as somebody reads them, and for some minutes after.
    pub keep_events: Duration,
    /// Networks in which receivers of alerts may be, although they are not public.
    pub allow_receivers_in: Vec<alerts::Network>,
    /// The identity provider that signs people in.
    pub provider: Option<ProviderSettings>,
    /// Files with certificates of which alerts say that they end, besides those of `identity` and the data folder.
    pub watched_certificates: Vec<PathBuf>,
}

/// The first stage: the data folder is locked, and its store is open.
pub struct Opened {
    settings: Settings,
    store: Arc<dyn Store>,
    writer: Box<dyn Writer>,
    models: Arc<Registry>,
    /// Locked as long as the server runs.
    lock: File,
}

/// The second stage: the ports are bound.
pub struct Bound {
    opened: Opened,
    sockets: Sockets,
    addresses: Addresses,
}

/// The last stage: devices are served.
pub struct Running {
    app: Arc<App>,
    shards: Vec<(ShardHandle, JoinHandle<()>)>,
    bootstrap: Option<(BootstrapHandle, JoinHandle<()>)>,
    inventory: JoinHandle<()>,
    journal: JoinHandle<()>,
    _lock: File,
}

impl Opened {
    /// Opens a data folder, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// If it can't be used, or another server uses it.
    pub fn open(settings: Settings) -> anyhow::Result<Self> {
        crate::private_file::create_folder(&settings.data).with_context(|| {
            format!("the data folder {} cannot be made; choose another --data", settings.data.display())
        })?;
        let lock = lock(&settings.data)?;
        let (store, writer) = open_store(&settings)?;
        let models = Arc::new(load_models(settings.models.as_deref())?);
        Ok(Self { settings, store, writer, models, lock })
    }

    /// Binds all ports for devices.
    ///
    /// # Errors
    /// If one can't be bound.
    pub fn bind(self) -> anyhow::Result<Bound> {
        let (sockets, addresses) = listen::bind(&self.settings.listen, self.settings.shards)?;
        Ok(Bound { opened: self, sockets, addresses })
    }
}

impl Bound {
    /// Starts all threads and tasks; devices can register when this returns. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the store fails, or the system refuses threads.
    pub fn start(self) -> anyhow::Result<Running> {
        let Self { opened, sockets, addresses } = self;
        let Opened { settings, store, writer, models, lock } = opened;
        let failures = Failures::none();
        let supervisor = failures.supervisor();
        let clock = Clock::start();
        let (hub, receivers) = Hub::new(clock, settings.keep_events);
        let (inventory, inbox) = Inventory::new();
        let (journal, journal_thread) =
            start_journal(&settings, writer, &models, clock, (&hub, &inventory), &supervisor)?;
        let reader = store.reader()?;
        let reader = &*reader;
        let keys = Keys::open(&settings.data, reader)?;
        let identity = Identity::load(&settings.data, &settings.identity)?;
        let (credentials, changed_credentials) =
            Credentials::load(reader, keys.clone(), journal.clone(), identity.unlisted(), clock)?;
        let accounts = Accounts::load(reader, journal.clone(), keys.sealer(), clock)?;
        let security = Security::new(&identity, &keys, &credentials, &inventory)?;
        let bootstrap = bootstrap::Bootstrap::load(
            reader,
            bootstrap::Parts {
                store: store.clone(),
                sealer: keys.sealer(),
                credentials: credentials.clone(),
                journal: journal.clone(),
                hub: hub.clone(),
                own: security.own(&addresses),
                addresses: addresses.clone(),
                clock,
            },
        )?;
        let endpoints = Endpoints::new(security.identities(Purpose::Lwm2m));
        let engines = restore(reader, &endpoints, clock, &settings)?;
        let mut objects_of = ObjectIds::default();
        let seeds = engines.iter().flat_map(|(engine, _)| objects_of.seeds(engine)).collect();
        let shards = start_shards(
            reader,
            sockets.shards,
            engines,
            &security,
            &endpoints,
            |(engine, outbox), plain, secure| {
                let shard = engine.number();
                Parts {
                    engine,
                    outbox,
                    plain,
                    secure,
                    directory: endpoints.clone(),
                    journal: Box::new(journal.clone()),
                    publish: Box::new({
                        let (hub, mut refusals) = (hub.clone(), Refusals::new(endpoints.clone()));
                        let mut notices = Notices::new(hub.clone());
                        let inventory = inventory.clone();
                        let mut witness = Witness::new(endpoints.clone(), inventory.clone());
                        move |events| {
                            refusals.tell(events);
                            notices.publish_unreadable(events);
                            witness.look(events);
                            inventory.follow(shard, events);
                            hub.publish(events);
                        }
                    }),
                    clock,
                    supervisor: supervisor.clone(),
                }
            },
        )?;
        let bootstrap_server = start_bootstrap(sockets.bootstrap, &security, &bootstrap, clock, &supervisor)?;
        let (updates, commands) = updates::UpdatesHandle::new();
        let (campaigns, endings) = Campaigns::load(reader)?;
        let means = Means::new(keys.sealer(), settings.allow_receivers_in.clone(), watched_parts(&settings));
        let (alerts, alert_endings) = Alerts::load(reader, means, clock.date())?;
        let jobs = Jobs::load(reader)?;
        credentials.go_on_from(jobs.first_new_credential());
        let provider = settings.provider.clone().map(|provider| {
            Provider::new(provider, accounts.clone(), settings.allow_receivers_in.clone(), clock)
        });
        let app = Arc::new(App {
            shards: shards.iter().map(|(handle, _)| handle.clone()).collect(),
            endpoints,
            inventory,
            hub,
            journal,
            failures,
            models,
            clock,
            firmware: Library::open(settings.data.join("firmware"), &settings.release_keys)?,
            next_operation: AtomicU64::new(reader.last_operation()?.max(jobs.last_operation()) + 1),
            store,
            readers: Mutex::default(),
            reading: Arc::new(Semaphore::new(MOST_READERS)),
            reading_history: Arc::new(Semaphore::new(MOST_READERS_OF_HISTORY)),
            accounts,
            provider: provider.transpose()?,
            credentials,
            identity,
            bootstrap,
            bootstrap_server: bootstrap_server.as_ref().map(|(handle, _)| handle.clone()),
            addresses,
            updates,
            downloads: Downloads::default(),
            keys_in_use: KeysInUse::default(),
            campaigns,
            jobs,
            desired: Desired::load(reader)?,
            alerts,
            groups: Groups::load(reader)?,
            record_edits: Arc::default(),
            handshake_failures: security.failures(),
            started_at: clock.now().as_millis(),
        });
        offer_firmware(&app, reader)?;
        start_tasks(&app, reader, changed_credentials, commands, receivers.updates)?;
        let habits = inventory::thread::Habits { asks: settings.survey, keeps_reads: settings.keep_reads };
        let inventory = inventory::thread::start(&app, inbox, seeds, habits)?;
        // After the inventory, which tells it which devices there are.
        app.failures.spawn("the campaigns", campaigns::run(app.clone(), endings));
        app.failures.spawn("the jobs", jobs::run(app.clone(), receivers.jobs));
        app.failures.spawn("the desired states", desired::run(app.clone(), receivers.desired));
        app.failures.spawn("the alerts", alerts::run(app.clone(), alert_endings));
        app.failures.spawn("the receivers of alerts", alerts::post::run(app.clone()));
        Ok(Running {
            app,
            shards,
            bootstrap: bootstrap_server,
            inventory,
            journal: journal_thread,
            _lock: lock,
        })
    }
}

impl Running {
    /// The handle for the server's interfaces.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Returns when a part of the server has failed. Then the process has to end at once, because an orderly stop needs all parts.
    pub async fn failed(&self) -> Failure {
        self.app.failures.wait().await
    }

    /// Saves all state, sends the remaining answers, and ends.
    ///
    /// # Errors
    /// If a thread has failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        save_last_contacts(&self.app, usize::MAX);
        if let Some((handle, thread)) = self.bootstrap {
            handle.stop();
            join("the bootstrap server", thread).await?;
        }
        for (handle, thread) in self.shards {
            handle.stop();
            join("a shard", thread).await?;
        }
        self.app.inventory.stop();
        join("the inventory", self.inventory).await?;
        self.app.journal.stop();
        join("the journal", self.journal).await
    }
}

/// Opens the store, and waits for a database whose machine starts too, or whose place another takes.
fn open_store(settings: &Settings) -> anyhow::Result<(Arc<dyn Store>, Box<dyn Writer>)> {
    let began = Instant::now();
    let patience = settings.store_patience;
    let mut is_told = false;
    loop {
        // Only that which writes finds out that it may not.
        let error = match settings.store.open().and_then(|store| Ok((store.writer()?, store))) {
            Ok((writer, store)) => return Ok((store, writer)),
            Err(error) => error,
        };
        let may_pass = error.downcast_ref().is_some_and(StoreError::may_pass);
        if !may_pass || began.elapsed() >= patience {
            return Err(error);
        }
        if !is_told {
            tracing::warn!("{error}; trying again for {} s", patience.as_secs());
            is_told = true;
        }
        std::thread::sleep(STORE_PAUSE);
    }
}

/// The parts of the server that alerts look at.
fn watched_parts(settings: &Settings) -> alerts::Parts {
    let identity::Files { certificate, client_authorities, .. } = &settings.identity;
    let own = certificate.iter().chain(client_authorities).cloned();
    let certificates = own.chain(settings.watched_certificates.iter().cloned()).collect();
    alerts::Parts { data: settings.data.clone(), certificates }
}

async fn join(part: &str, thread: JoinHandle<()>) -> anyhow::Result<()> {
    if tokio::task::spawn_blocking(move || thread.join()).await?.is_err() {
        bail!("the thread of {part} had failed");
    }
    Ok(())
}

/// The object ids of lists that were parsed before: a fleet has many devices and few lists.
#[derive(Default)]
struct ObjectIds(HashMap<*const ObjectList, (Arc<ObjectList>, Arc<[u16]>)>);

impl ObjectIds {
    /// What the inventory needs of the registrations of a shard.
    fn seeds(&mut self, engine: &Shard<Endpoints>) -> Vec<Seed> {
        let seed = |(index, registration)| Seed {
            place: Some(Place { shard: engine.number(), index }),
            ..self.seed(registration)
        };
        engine.registrations_with_places().map(seed).collect()
    }

    /// The part of a registration that the inventory needs.
    fn seed(&mut self, registration: RegistrationView) -> Seed {
        let list = registration.objects;
        let (_, objects) = self.0.entry(Arc::as_ptr(&list)).or_insert_with(|| {
            let ids = inventory::object_ids(&list);
            (list, ids)
        });
        Seed {
            name: registration.endpoint,
            registration: registration.key,
            place: None,
            registered_at: registration.registered_at,
            last_contact: registration.last_contact,
            proved: registration.session.is_some(),
            asleep: registration.asleep,
            objects: objects.clone(),
        }
    }
}

fn start_journal(
    settings: &Settings,
    writer: Box<dyn Writer>,
    models: &Arc<Registry>,
    clock: Clock,
    (hub, inventory): (&Hub, &Inventory),
    supervisor: &Supervisor,
) -> anyhow::Result<(JournalHandle, JoinHandle<()>)> {
    let (mut notices, inventory) = (Notices::new(hub.clone()), inventory.clone());
    let parts = journal::Parts {
        writer,
        models: models.clone(),
        clock,
        retention: Duration::from_secs(u64::from(settings.retention_days) * 24 * 60 * 60),
        notify: Box::new({
            let inventory = inventory.clone();
            move |notice| {
                inventory.incidents(vec![incidents::Notice::of_report(&notice)]);
                notices.publish(notice);
            }
        }),
        describe: Box::new({
            let inventory = inventory.clone();
            move |name, resource, text| inventory.described(name, resource, text)
        }),
        remember: Box::new(move |name, values| inventory.reported(name, values)),
    };
    Ok(journal::start(parts, supervisor)?)
}

fn start_tasks(
    app: &Arc<App>,
    reader: &dyn Reader,
    changed_credentials: ChangedCredentials,
    commands: updates::Commands,
    events: updates::Events,
) -> anyhow::Result<()> {
    let last_update =
        reader.updates(None, Page { before: u64::MAX, limit: 1 })?.first().map_or(0, |row| row.id);
    let updates = updates::run(app.clone(), commands, events, reader.open_updates()?, last_update);
    app.failures.spawn("the updates", async move {
        updates.await;
        Ok::<_, Infallible>(())
    });
    app.failures.spawn("the credentials", app.clone().follow_credentials(changed_credentials));
    app.failures.spawn("the housekeeping", keep_house(app.clone()));
    app.failures.spawn("the times of last contact", save_contacts_in_slices(app.clone()));
    Ok(())
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

/// A shard, and its changes and events from the start.
type Engine = (Shard<Endpoints>, Outbox);

/// Makes the shards and restores their state from the store.
fn restore(
    reader: &dyn Reader,
    endpoints: &Endpoints,
    clock: Clock,
    settings: &Settings,
) -> anyhow::Result<Vec<Engine>> {
    let count = settings.shards;
    let config = ShardConfig {
        awake_time: settings.awake_time,
        shards: count as u8,
        max_unproved: MOST_UNPROVED / count,
        ..ShardConfig::default()
    };
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
        // Keys may contain numbers of shards of an earlier run that had more.
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
        let Some(record) = changes::operation_record(&row) else {
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

/// Starts the shards, each with its sockets and its saved sessions.
fn start_shards(
    reader: &dyn Reader,
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
        // Session ids may contain numbers of shards of an earlier run that had more.
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
    supervisor: &Supervisor,
) -> anyhow::Result<Option<(BootstrapHandle, JoinHandle<()>)>> {
    if sockets.plain.is_none() && sockets.secure.is_none() {
        return Ok(None);
    }
    let (decide, prepare, publish) = (bootstrap.clone(), bootstrap.clone(), bootstrap.clone());
    let secure = sockets.secure.map(|socket| security.parts(Purpose::Bootstrap, socket, Vec::new()));
    let parts = BootstrapParts {
        plain: sockets.plain,
        secure,
        directory: Endpoints::new(security.identities(Purpose::Bootstrap)),
        decide: Box::new(move |request, proved, local| decide.decide(request, proved, local)),
        prepare: Box::new(move |endpoint, local, handover| prepare.prepare(endpoint, local, handover)),
        publish: Box::new(move |event| publish.publish(event)),
        clock,
        supervisor: supervisor.clone(),
    };
    Ok(Some(buoy_net::bootstrap::start(parts)?))
}

fn offer_firmware(app: &App, reader: &dyn Reader) -> anyhow::Result<()> {
    for row in reader.firmware()? {
        match app.firmware.load(row) {
            Ok(image) => firmware::offer(app, &image),
            Err(error) => tracing::error!("{error:#}"),
        }
    }
    Ok(())
}

async fn keep_house(app: Arc<App>) -> Result<(), Infallible> {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    // Ticks that were missed while the store could not be written are not repeated afterwards.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tick.tick().await;
        if app.journal.flush().await.is_err_and(|error| matches!(error, journal::NotSaved::Stopped)) {
            return Ok(());
        }
    }
}

/// Saves the times of last contact and the state of sessions, in slices so small that no answer waits for one.
async fn save_contacts_in_slices(app: Arc<App>) -> Result<(), Infallible> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        save_last_contacts(&app, CONTACTS_A_SLICE);
        app.shards.iter().for_each(ShardHandle::save_some_sessions);
    }
}

fn save_last_contacts(app: &App, most: usize) {
    for shard in &app.shards {
        shard.run(move |shard, _, outbox| {
            shard.save_last_contacts(most, outbox);
        });
    }
}
