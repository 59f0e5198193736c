//! The handle of the running server for its interfaces: devices, operations on them, events, history.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buoy_coap::number::OptionNumber;
use buoy_coap::time::{Calendar, Instant};
use buoy_lwm2m::model::Registry;
use buoy_net::bootstrap::BootstrapHandle;
use buoy_net::clock::Clock;
use buoy_net::directory::Endpoints;
use buoy_net::shard::{ServerShard, ShardHandle};
use buoy_net::supervision::Failure as PartFailure;
use buoy_server::{
    Body, Counters, Downlink, Durability, Intent, ObservationView, OperationId, Outbox, Peer,
    RegistrationView, Submission,
};
use buoy_store::{Reader, Store, StoreError};
use tokio::sync::{Semaphore, oneshot};

use crate::accounts::Accounts;
use crate::alerts::state::Alerts;
use crate::bootstrap::Bootstrap;
use crate::campaigns::state::Campaigns;
use crate::changes::Companion;
use crate::credentials::{ChangedCredentials, CredentialChange, Credentials};
use crate::desired::state::Desired;
use crate::downloads::Followed;
use crate::event_log::EventLog;
use crate::failures::Failures;
use crate::firmware::{Image, Library};
use crate::groups::state::Groups;
use crate::hub::{Hub, Progress, Until};
use crate::identity::Identity;
use crate::inventory::Inventory;
use crate::jobs::state::Jobs;
use crate::journal::{JournalCounters, JournalHandle, NotSaved};
use crate::listen::Addresses;
use crate::provider::Provider;

/// How long an operation for a sleeping device waits.
pub const SLEEPER_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A shard that does not answer for so long is not ready.
const SHARD_PATIENCE: Duration = Duration::from_secs(2);
/// Readers of the store that are queried at once, each of which is a connection of a PostgreSQL server,
pub(crate) const MOST_READERS: usize = 12;
/// and those for histories, which may take long: other queries don't wait for them.
pub(crate) const MOST_READERS_OF_HISTORY: usize = 4;
/// How long a query may take.
const READER_PATIENCE: Duration = Duration::from_secs(8);
/// Readers of the store that are kept open for the next query.
const SPARE_READERS: usize = 4;

/// Shared by all interfaces.
pub struct App {
    /// The handles of the shards, by number.
    pub(crate) shards: Vec<ShardHandle>,
    /// Which shard, and which session, an endpoint has.
    pub(crate) endpoints: Endpoints,
    /// The inventory of all devices.
    pub(crate) inventory: Inventory,
    /// Delivers events to those who wait for them.
    pub(crate) hub: Hub,
    /// What makes changes durable.
    pub(crate) journal: JournalHandle,
    /// The part of the server that has failed.
    pub(crate) failures: Failures,
    /// The object definitions.
    pub(crate) models: Arc<Registry>,
    /// The time.
    pub(crate) clock: Clock,
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// Open readers of the store for the next queries.
    pub(crate) readers: Mutex<Vec<Box<dyn Reader>>>,
    /// One permit for each reader that may be queried.
    pub(crate) reading: Arc<Semaphore>,
    /// The same for histories.
    pub(crate) reading_history: Arc<Semaphore>,
    /// The accounts of people, and what programs sign in with.
    pub(crate) accounts: Accounts,
    /// The identity provider that signs people in.
    pub(crate) provider: Option<Provider>,
    /// The credentials of devices.
    pub(crate) credentials: Credentials,
    /// The server's key and certificates.
    pub(crate) identity: Identity,
    /// The firmware library.
    pub(crate) firmware: Library,
    /// The id of the next operation.
    pub(crate) next_operation: AtomicU64,
    /// The bootstrap configurations.
    pub(crate) bootstrap: Bootstrap,
    /// The handle of the bootstrap server, if it runs.
    pub(crate) bootstrap_server: Option<BootstrapHandle>,
    /// The addresses at which devices reach the server.
    pub(crate) addresses: Addresses,
    /// The handle of the firmware updates.
    pub(crate) updates: crate::updates::UpdatesHandle,
    /// The progress of the devices' downloads.
    pub(crate) downloads: crate::downloads::Downloads,
    /// Idempotency keys whose requests are in progress.
    pub(crate) keys_in_use: crate::keys_in_use::KeysInUse,
    /// The campaigns.
    pub(crate) campaigns: Campaigns,
    /// The jobs.
    pub(crate) jobs: Jobs,
    /// The desired states.
    pub(crate) desired: Desired,
    /// The alerts, and who is told of them.
    pub(crate) alerts: Alerts,
    /// The groups of devices, and the saved filters.
    pub(crate) groups: Groups,
    /// One edit of what is noted of devices at a time.
    pub(crate) record_edits: Arc<tokio::sync::Mutex<()>>,
    /// How many DTLS handshakes failed, by reason.
    pub(crate) handshake_failures: Arc<buoy_net::handshake_failures::HandshakeFailures>,
    /// When this run of the server started, which identifies it; milliseconds since the epoch.
    pub(crate) started_at: u64,
}

/// Why a server is not ready.
#[derive(Debug)]
pub enum NotReady {
    /// A part of it has failed.
    Failed(PartFailure),
    /// The store cannot be written.
    Store(NotSaved),
    /// A shard does not answer.
    Silent,
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Silent => f.write_str("a shard does not answer"),
        }
    }
}

impl std::error::Error for NotReady {}

impl App {
    /// The events, for those who follow them.
    #[must_use]
    pub fn events(&self) -> &EventLog {
        self.hub.events()
    }

    /// The accounts of people, and what programs sign in with.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The identity provider that signs people in, if one is set up.
    #[must_use]
    pub fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// The part of the server that has failed.
    #[must_use]
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The handles of the shards, by number.
    #[must_use]
    pub fn shards(&self) -> &[ShardHandle] {
        &self.shards
    }

    /// When this run of the server started, which identifies it; milliseconds since the epoch.
    #[must_use]
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// The object definitions.
    #[must_use]
    pub fn models(&self) -> &Registry {
        &self.models
    }

    /// The bootstrap configurations.
    #[must_use]
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    /// The addresses at which devices reach the server.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The server's key and certificates.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// An image of the library, by its digest.
    #[must_use]
    pub fn image(&self, digest: &str) -> Option<Image> {
        self.firmware.get(digest)
    }

    /// The progress of an open update's download, if it is followed.
    #[must_use]
    pub fn download(&self, update: u64) -> Option<Followed> {
        self.downloads.get(update)
    }

    /// Whether the store can be written at the moment.
    ///
    /// # Errors
    /// Why not.
    pub fn check_store(&self) -> Result<(), NotSaved> {
        self.journal.check()
    }

    /// How many alerts of each rule fire.
    #[must_use]
    pub fn firing_alerts(&self) -> Vec<(Arc<str>, &'static str, usize)> {
        self.alerts.firing()
    }

    /// What was committed since the start.
    #[must_use]
    pub fn journal_counters(&self) -> &JournalCounters {
        self.journal.counters()
    }

    /// How many DTLS handshakes failed since the start, by reason.
    #[must_use]
    pub fn handshake_failures(&self) -> Vec<(&'static str, u64)> {
        self.handshake_failures.counts().collect()
    }

    /// How many firmware updates ended since the start, by how they ended.
    #[must_use]
    pub fn update_outcomes(&self) -> Vec<(&'static str, u64)> {
        self.hub.update_outcomes()
    }

    /// The operations that wait for devices or are in progress, in each shard.
    pub async fn open_operations(&self) -> Vec<usize> {
        self.ask_all(ServerShard::open_operations).await
    }

    /// Checks that the server is ready.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn check_ready(&self) -> Result<(), NotReady> {
        if let Some(failure) = self.failures.first() {
            return Err(NotReady::Failed(failure));
        }
        self.journal.check().map_err(NotReady::Store)?;
        let answer = tokio::time::timeout(SHARD_PATIENCE, self.counters()).await;
        let all_answer = answer.is_ok_and(|counters| counters.len() == self.shards.len());
        if all_answer { Ok(()) } else { Err(NotReady::Silent) }
    }

    /// The registration of an endpoint.
    pub async fn registration(&self, endpoint: &str) -> Option<RegistrationView> {
        let name = endpoint.to_owned();
        self.ask(endpoint, move |shard| shard.registration(&name)).await?
    }

    /// The server's ports with the address of this machine that the device uses.
    pub async fn addresses_for(&self, registration: Option<&RegistrationView>) -> Addresses {
        let Some(registration) = registration else { return self.addresses.clone() };
        let peer = Peer { address: registration.address, session: registration.session };
        // The shard of the session knows the local address; without a session it is the device's own shard.
        let of_session = registration.session.map(|session| usize::from(session.shard()) % self.shards.len());
        let shard =
            of_session.map_or_else(|| self.home(&registration.endpoint), |number| &self.shards[number]);
        let (told, local) = oneshot::channel();
        shard.local_address(peer, move |local| {
            // The caller may have gone.
            let _ = told.send(local);
        });
        self.addresses.seen_at(local.await.ok().flatten())
    }

    /// The observations of a device.
    pub async fn observations(&self, endpoint: &str) -> Vec<ObservationView> {
        let name = endpoint.to_owned();
        self.ask(endpoint, move |shard| shard.observations(&name)).await.unwrap_or_default()
    }

    /// The number of devices and the counters of each shard.
    pub async fn counters(&self) -> Vec<(usize, Counters)> {
        self.ask_all(|shard| (shard.len(), shard.counters())).await
    }

    /// Submits an operation. Its paths don't include the device's root path. The receiver gets its end.
    pub fn submit(
        &self,
        endpoint: &Arc<str>,
        request: Downlink,
        intent: Intent,
        durability: Durability,
        patience: Duration,
    ) -> (OperationId, oneshot::Receiver<Progress>) {
        let id = OperationId(self.next_operation.fetch_add(1, Ordering::Relaxed));
        let deadline = self.clock.now() + patience;
        let submission = Submission { id, endpoint: endpoint.clone(), request, intent, deadline, durability };
        let answer = self.hub.expect(id, Until::End);
        let home = self.endpoints.shard_of(endpoint).unwrap_or(0);
        hand_in(self.shards.clone(), home, submission);
        (id, answer)
    }

    /// Cancels an operation. Returns whether it was still open.
    pub async fn cancel(&self, endpoint: &str, id: OperationId) -> bool {
        self.change(endpoint, move |shard, now, outbox| shard.cancel(now, id, outbox)).await.unwrap_or(false)
    }

    /// Serves a body over CoAP on all shards, or with `None` no longer.
    pub fn offer(&self, path: &str, body: Option<&Body>) {
        for shard in &self.shards {
            let (path, body) = (path.to_owned(), body.cloned());
            shard.run(move |shard, _, _| shard.set_file(&path, body));
        }
    }

    /// Starts to follow the download of a device's update.
    pub fn follow_download(&self, update: u64, endpoint: &str) {
        self.downloads.follow(update, true);
        for shard in &self.shards {
            let endpoint: Arc<str> = endpoint.into();
            shard.run(move |shard, _, _| shard.follow_download(update, endpoint));
        }
    }

    /// Stops to follow the download of an update.
    pub fn forget_download(&self, update: u64) {
        self.downloads.follow(update, false);
        for shard in &self.shards {
            shard.run(move |shard, _, _| shard.forget_download(update));
        }
    }

    /// The bytes of its image that were sent to the device of an open update.
    pub async fn downloaded(&self, update: u64) -> Option<usize> {
        let followed = self.downloads.get(update)?;
        let by_http = followed.reached.load(Ordering::Relaxed);
        let by_coap = self.ask_all(move |shard| {
            let pushed = followed.push.and_then(|push| shard.progress(push)).map(|(sent, _)| sent);
            pushed.or(shard.downloaded(update))
        });
        by_coap.await.into_iter().flatten().chain([by_http]).max()
    }

    /// Applies changes of credentials to sessions and registrations, until the server stops.
    pub(crate) async fn follow_credentials(
        self: Arc<Self>,
        mut changed: ChangedCredentials,
    ) -> Result<(), std::convert::Infallible> {
        while let Some((endpoint, change)) = changed.recv().await {
            self.inventory.set_revoked(&endpoint, self.credentials.is_revoked(&endpoint));
            self.credentials_changed(&endpoint, change);
        }
        Ok(())
    }

    /// Applies a change of a device's credentials. A registration without credentials ends. If old credentials changed, the configuration prepared
    /// for the device is dropped, and sessions made with credentials that are no longer valid end with the registrations that they carry.
    fn credentials_changed(&self, endpoint: &str, change: CredentialChange) {
        let CredentialChange::Old { ends_sessions } = change else { return self.end_unproved(endpoint) };
        self.bootstrap.forget_prepared_for(endpoint);
        for session in self.endpoints.sessions_of(endpoint) {
            let shard = usize::from(session.shard()) % self.shards.len();
            self.shards[shard].check_session(session, endpoint.into());
        }
        if !ends_sessions {
            return self.end_unproved(endpoint);
        }
        // The credentials of a session that has ended are unknown.
        let endpoints = self.endpoints.clone();
        self.end_registration(endpoint, move |registration| {
            use buoy_server::Directory as _;
            registration.session.is_none_or(|session| endpoints.proved(session).is_none())
        });
        if let Some(server) = &self.bootstrap_server {
            server.cancel(endpoint);
        }
    }

    /// Ends a registration over plain CoAP whose name now has credentials, since it was not authenticated.
    fn end_unproved(&self, endpoint: &str) {
        use buoy_server::Directory as _;
        if self.endpoints.may_go_unproved(endpoint) {
            return;
        }
        self.end_registration(endpoint, |registration| registration.session.is_none());
    }

    fn end_registration(
        &self,
        endpoint: &str,
        is_void: impl FnOnce(&RegistrationView) -> bool + Send + 'static,
    ) {
        let name: Arc<str> = endpoint.into();
        self.home(endpoint).run(move |shard, now, outbox| {
            if shard.registration(&name).as_ref().is_some_and(is_void) {
                shard.evict(now, &name, outbox);
            }
        });
    }

    /// Queries the store, outside of the threads that serve requests.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_with(self.reading.clone(), question).await
    }

    /// The same for the values of a series, over any time.
    pub async fn read_history<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_with(self.reading_history.clone(), question).await
    }

    async fn read_with<T: Send + 'static>(
        self: &Arc<Self>,
        permits: Arc<Semaphore>,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let app = self.clone();
        let answer = async {
            let permit = permits.acquire_owned().await;
            let asked = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                app.ask_reader(question)
            });
            asked.await.unwrap_or_else(|error| Err(StoreError::Database(error.to_string())))
        };
        let silent = |_| Err(StoreError::Silent { seconds: READER_PATIENCE.as_secs() });
        tokio::time::timeout(READER_PATIENCE, answer).await.unwrap_or_else(silent)
    }

    fn ask_reader<T>(
        &self,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let spare = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match spare {
            Some(reader) => reader,
            None => self.store.reader()?,
        };
        let answer = question(&*reader);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < SPARE_READERS {
            readers.push(reader);
        }
        answer
    }

    /// The date: milliseconds since the epoch.
    pub fn now(&self) -> u64 {
        self.clock.date()
    }

    /// By how many milliseconds the system's calendar was set since the start; negative if backwards.
    pub(crate) fn clock_was_set(&self) -> i64 {
        self.now() as i64 - self.steady_now() as i64
    }

    /// The monotonic time, for time limits; milliseconds.
    pub(crate) fn steady_now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    /// The relation between the calendar and the monotonic time.
    pub(crate) fn calendar(&self) -> Calendar {
        self.clock.calendar()
    }

    /// The shard of an endpoint; the first shard if it is not registered.
    pub(crate) fn home(&self, endpoint: &str) -> &ShardHandle {
        let number = self.endpoints.shard_of(endpoint).map_or(0, usize::from);
        &self.shards[number % self.shards.len()]
    }

    async fn ask<T: Send + 'static>(
        &self,
        endpoint: &str,
        question: impl FnOnce(&ServerShard) -> T + Send + 'static,
    ) -> Option<T> {
        self.change(endpoint, move |shard, _, _| question(shard)).await
    }

    /// Changes something in the shard of an endpoint, and returns when that is durable.
    pub(crate) async fn change_durably<T: Send + 'static>(
        &self,
        endpoint: &str,
        change: impl FnOnce(&mut ServerShard, Instant, &mut Outbox) -> T + Send + 'static,
    ) -> Result<T, NotSaved> {
        let (told, saved) = oneshot::channel();
        let changed = self.change(endpoint, move |shard, now, outbox| {
            let answer = change(shard, now, outbox);
            Companion::WhenSaved(told).accompany(outbox);
            answer
        });
        let answer = changed.await.ok_or(NotSaved::Stopped)?;
        self.journal.unless_in_trouble(saved).await?.map_err(|_| NotSaved::Stopped)?;
        Ok(answer)
    }

    pub(crate) async fn change<T: Send + 'static>(
        &self,
        endpoint: &str,
        change: impl FnOnce(&mut ServerShard, Instant, &mut Outbox) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, wait) = oneshot::channel();
        self.home(endpoint).run(move |shard, now, outbox| {
            // The caller may have gone.
            let _ = answer.send(change(shard, now, outbox));
        });
        wait.await.ok()
    }

    async fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&ServerShard) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut answers = Vec::new();
        for shard in &self.shards {
            let (answer, wait) = oneshot::channel();
            let question = question.clone();
            shard.run(move |shard, _, _| {
                let _ = answer.send(question(shard));
            });
            answers.push(wait);
        }
        let mut all = Vec::new();
        for answer in answers {
            all.extend(answer.await.ok());
        }
        all
    }
}

/// Submits an operation to the shard of its device, and to another shard if the device has registered there meanwhile.
fn hand_in(shards: Vec<ShardHandle>, home: u8, mut submission: Submission) {
    let handle = shards[usize::from(home) % shards.len()].clone();
    handle.run(move |shard, now, outbox| {
        if let Some(registration) = shard.registration(&submission.endpoint) {
            put_under(registration.objects.root(), &mut submission.request);
        }
        if let Some((home, submission)) = shard.submit(now, submission, outbox) {
            hand_in(shards, home, submission);
        }
    });
}

/// Prepends the device's root path to the path of a request.
fn put_under(root: &str, request: &mut Downlink) {
    let segments = root.split('/').filter(|segment| !segment.is_empty());
    let segments = segments.map(|segment| (OptionNumber::URI_PATH, Box::from(segment.as_bytes())));
    let place = request.options.partition_point(|(number, _)| *number < OptionNumber::URI_PATH);
    request.options.splice(place..place, segments);
}

#[cfg(test)]
mod tests {
    use super::*;
    use buoy_lwm2m::path::Path;

    #[test]
    fn a_request_goes_to_where_the_device_has_its_objects() {
        let read = buoy_lwm2m::operation::Downlink::Observe {
            path: Path::resource(3, 0, 9),
            accept: None,
            attributes: buoy_lwm2m::attributes::Attributes::default(),
        };
        for root in ["/", "/lwm2m", "/a/b"] {
            let mut request = Downlink::of(&read, "/");
            put_under(root, &mut request);
            assert_eq!(request.options, Downlink::of(&read, root).options, "{root}");
        }
    }
}
