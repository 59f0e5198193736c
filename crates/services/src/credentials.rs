//! The credentials of devices: which exist, whom they admit, and how they change.
//!
//! A change takes effect when it is durable. A device may have several credentials of a kind: the active one and the next ones. All are valid.
//! The first session with a next credential makes it the active one, so the device is never locked out while its key changes.

mod book;
pub mod commands;
mod import;
mod loader;
mod proof;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use buoy_dtls::Peer;
use buoy_dtls::config::{Authority, PskKey};
use buoy_net::clock::Clock;
use buoy_store::{
    Change, ChangeSet, CredentialChange as Stored, CredentialKind, CredentialRow, CredentialState, KeyRow,
    Purpose, Reader,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use zeroize::Zeroizing;

pub use book::Unlisted;
use book::{Admitted, Book, Entry};
pub use import::{ImportFault, parse as parse_csv};
pub use proof::{CredentialFault, NewCredential, Proof};

use crate::journal::{JournalHandle, NotSaved};
use crate::keyfile::{Keys, Sealer};
use crate::principal::Principal;

/// The most next credentials of a kind for a device: each interrupted bootstrap adds one.
const MOST_NEXT: usize = 8;
/// How many new credentials are inserted while handshakes wait for the lock.
const INSERTED_AT_ONCE: usize = 500;

/// All credentials. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    book: RwLock<Book>,
    unlisted: Unlisted,
    keys: Keys,
    sealer: Sealer,
    journal: JournalHandle,
    /// Allows one change at a time: each is checked against the result of the one before.
    changes: Arc<Mutex<()>>,
    next_id: AtomicU64,
    /// Next credentials that were used for the first time.
    used: mpsc::UnboundedSender<Used>,
    changed: mpsc::UnboundedSender<(Arc<str>, CredentialChange)>,
}

/// The devices whose credentials have changed, in order.
pub type ChangedCredentials = mpsc::UnboundedReceiver<(Arc<str>, CredentialChange)>;

/// A credential and its device.
type Used = (Arc<str>, u64);

/// The result of adding a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New(CredentialRow),
    /// The same credential existed already.
    Known(u64),
}

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// It conflicts with an existing credential.
    Refused {
        /// Its index among the credentials that were to be added.
        index: usize,
        /// The conflict.
        refusal: Refusal,
    },
    /// There is no credential of this id.
    NoSuchCredential,
    /// It cannot be saved.
    NotSaved(NotSaved),
    /// The system failed.
    Failed(anyhow::Error),
}

/// Why a change conflicts with existing credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The device has a credential of this kind.
    Has {
        /// The device.
        endpoint: Arc<str>,
        /// The kind of credential.
        kind: CredentialKind,
        /// The credential.
        id: u64,
    },
    /// Its identity belongs to another credential.
    Taken {
        /// The device.
        endpoint: Arc<str>,
        /// The kind of credential.
        kind: CredentialKind,
        /// The credential.
        id: u64,
        /// Its state.
        state: CredentialState,
    },
    /// The request contains it twice.
    Twice {
        /// The device.
        endpoint: String,
        /// The kind of credential.
        kind: CredentialKind,
    },
    /// The device has too many next credentials, none of which it has used.
    TooManyNext {
        /// The device.
        endpoint: Arc<str>,
        /// The kind of credential.
        kind: CredentialKind,
    },
    /// The credential is revoked.
    Revoked {
        /// The device.
        endpoint: Arc<str>,
        /// The credential.
        id: u64,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Has { endpoint, kind, id } => write!(
                f,
                "{endpoint} has {} already (credential {id}); rotate it, or remove it first",
                proof::kind_name(*kind)
            ),
            Self::Taken { endpoint, kind, id, state } => {
                let state = if *state == CredentialState::Revoked { ", which is revoked" } else { "" };
                let what = match kind {
                    CredentialKind::Psk => "PSK identity",
                    CredentialKind::Rpk => "public key",
                    CredentialKind::X509 => "certificate",
                };
                write!(
                    f,
                    "this {what} belongs to credential {id} of {endpoint}{state}; use another one, or remove that first"
                )
            }
            Self::Twice { endpoint, kind } => {
                write!(
                    f,
                    "{} of {endpoint} is there a second time, or its identity is",
                    proof::kind_name(*kind)
                )
            }
            Self::TooManyNext { endpoint, kind } => write!(
                f,
                "{endpoint} has {MOST_NEXT} unused ones that come after {}; let it use one, or remove those that it was never given",
                proof::kind_name(*kind)
            ),
            Self::Revoked { endpoint, id } => {
                write!(f, "credential {id} of {endpoint} is revoked; add a new one instead")
            }
        }
    }
}

/// The effects of one change, all or nothing.
#[derive(Default)]
struct Plan {
    remove: Vec<(Arc<str>, u64)>,
    states: Vec<(Arc<str>, u64, CredentialState)>,
    put: Vec<Prepared>,
    /// The action in the audit log.
    action: Option<&'static str>,
    /// The idempotency key of the request.
    key: Option<KeyRow>,
    /// Whether the devices' sessions were made with credentials that are no longer valid.
    ends_sessions: bool,
}

/// How a device's credentials changed.
#[derive(Clone, Copy, Debug)]
pub enum CredentialChange {
    /// One was added.
    New,
    /// Existing ones changed or were removed.
    Old {
        /// Whether its sessions were made with credentials that are no longer valid.
        ends_sessions: bool,
    },
}

/// A credential to be saved.
struct Prepared {
    row: CredentialRow,
    secret: Zeroizing<Vec<u8>>,
}

impl Plan {
    fn of(action: &'static str) -> Self {
        Self { action: Some(action), ..Self::default() }
    }

    /// Removals come first: an added credential may have the identity of a removed one.
    fn changes(&self, principal: &Principal, now: u64) -> ChangeSet<'static> {
        let gone = self.remove.iter().map(|(_, id)| Stored::Remove { id: *id });
        let changed = self.states.iter().map(|(_, id, state)| Stored::SetState { id: *id, state: *state });
        let put = self.put.iter().map(|prepared| Stored::Put(prepared.row.clone()));
        let mut set: ChangeSet<'_> = gone.chain(changed).chain(put).map(Change::Credential).collect();
        if let Some(action) = self.action.filter(|_| !set.is_empty()) {
            set.push(self.audit(principal, now, action));
        }
        set.extend(self.key.clone().map(Change::IdempotencyKey));
        set
    }

    /// One entry for a change, however many credentials it concerns.
    fn audit(&self, principal: &Principal, now: u64, action: &str) -> Change<'static> {
        let old = self.remove.iter().map(|(endpoint, id)| (&**endpoint, *id));
        let changed = self.states.iter().map(|(endpoint, id, _)| (&**endpoint, *id));
        let new = self.put.iter().map(|new| (&*new.row.endpoint, new.row.id));
        let mut concerned = changed.chain(new).chain(old);
        let (endpoint, id) = concerned.next().unwrap_or_default();
        match concerned.count() {
            0 => principal.audit(now, action, endpoint, format!("credential {id}")),
            more => {
                let detail = format!("credential {id} of {endpoint}, and {more} more");
                principal.audit(now, action, endpoint, detail)
            }
        }
    }

    /// Announces the devices whose credentials changed.
    fn tell(&self, shared: &Shared) {
        let gone = self.remove.iter().map(|(endpoint, _)| endpoint);
        let changed = self.states.iter().map(|(endpoint, ..)| endpoint);
        let endpoints: BTreeSet<&Arc<str>> = gone.chain(changed).collect();
        let ends_sessions = self.ends_sessions;
        let old = endpoints.into_iter().map(|it| (it.clone(), CredentialChange::Old { ends_sessions }));
        let new = self.put.iter().map(|new| (new.row.endpoint.as_str().into(), CredentialChange::New));
        for changed in old.chain(new) {
            // While the server stops nobody receives this; at the next start the saved sessions are checked.
            let _ = shared.changed.send(changed);
        }
    }

    /// Applies the change in memory, many credentials in pieces, because handshakes wait meanwhile.
    fn apply(&self, book: &RwLock<Book>) {
        let write = || book.write().unwrap_or_else(PoisonError::into_inner);
        let insert = |book: &mut Book, put: &[Prepared]| {
            for Prepared { row, secret } in put {
                book.insert(Entry::new(row, row.endpoint.as_str().into(), secret));
            }
        };
        let (first, rest) = self.put.split_at(self.put.len().min(INSERTED_AT_ONCE));
        let mut locked = write();
        self.remove.iter().for_each(|(endpoint, id)| locked.remove(endpoint, *id));
        self.states.iter().for_each(|(endpoint, id, state)| locked.set_state(endpoint, *id, *state));
        insert(&mut locked, first);
        drop(locked);
        rest.chunks(INSERTED_AT_ONCE).for_each(|chunk| insert(&mut write(), chunk));
    }
}

impl Credentials {
    /// Loads all credentials of the store. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the store fails, or a secret can't be decrypted.
    pub fn load(
        reader: &dyn Reader,
        keys: Keys,
        journal: JournalHandle,
        unlisted: Unlisted,
        clock: Clock,
    ) -> anyhow::Result<(Self, ChangedCredentials)> {
        let sealer = keys.sealer();
        let (mut book, last) = loader::load(reader, &sealer)?;
        loader::retired(reader, |endpoint| book.set_retired(&endpoint.into(), true))?;
        let (used, first_uses) = mpsc::unbounded_channel();
        let (changed, changes) = mpsc::unbounded_channel();
        let credentials = Self(Arc::new(Shared {
            book: RwLock::new(book),
            unlisted,
            keys,
            sealer,
            journal,
            changes: Arc::default(),
            next_id: AtomicU64::new(last + 1),
            used,
            changed,
        }));
        tokio::spawn(roll_over(Arc::downgrade(&credentials.0), clock, first_uses));
        Ok((credentials, changes))
    }

    /// The gate for the sessions of a server.
    pub fn gate(&self, purpose: Purpose) -> Gate {
        Gate { credentials: self.clone(), purpose }
    }

    /// The number of credentials.
    pub fn count(&self) -> usize {
        self.0.look(Book::len)
    }

    /// Whether a device has credentials for the LwM2M server, and all are revoked.
    pub(crate) fn is_revoked(&self, endpoint: &str) -> bool {
        self.0.look(|book| book.is_revoked(Purpose::Lwm2m, endpoint))
    }

    /// The devices of which that is so.
    pub(crate) fn revoked(&self) -> Vec<Arc<str>> {
        self.0.look(|book| {
            let some = book.with_revoked(Purpose::Lwm2m);
            some.filter(|endpoint| book.is_revoked(Purpose::Lwm2m, endpoint)).cloned().collect()
        })
    }

    /// The number that the next credential gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.0.next_id.load(Ordering::Relaxed)
    }

    /// New credentials have no lower id from now on: somebody waits for keys from this one on, and not each id that was given was saved.
    pub(crate) fn go_on_from(&self, id: u64) {
        self.0.next_id.fetch_max(id, Ordering::Relaxed);
    }

    /// Whether a device uses a key for the LwM2M server that was made since this number was the next one.
    pub(crate) fn uses_key_from(&self, endpoint: &str, from: u64) -> bool {
        self.0.look(|book| {
            let mut all = book.of(Purpose::Lwm2m, endpoint);
            all.any(|entry| entry.id >= from && entry.state == CredentialState::Active)
        })
    }

    /// Records whether a device is out of service. Its credentials stay, and are refused meanwhile; its sessions end.
    pub(crate) fn set_retired(&self, endpoint: &str, is_retired: bool) {
        // Nearly all records that are saved are as they were in this.
        if self.0.book.read().unwrap_or_else(PoisonError::into_inner).is_retired(endpoint) == is_retired {
            return;
        }
        let endpoint: Arc<str> = endpoint.into();
        self.0.book.write().unwrap_or_else(PoisonError::into_inner).set_retired(&endpoint, is_retired);
        // While the server stops nobody receives this; at the next start the saved sessions are checked.
        let _ = self.0.changed.send((endpoint, CredentialChange::Old { ends_sessions: is_retired }));
    }

    /// A keyed digest that distinguishes secrets of requests without revealing them.
    pub fn digest(&self, secret: &[u8]) -> anyhow::Result<[u8; 32]> {
        self.0.keys.digest(secret)
    }

    /// Adds credentials, all or none. The idempotency key of the request is saved with them and refers to the first.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn add(
        &self,
        principal: &Principal,
        all: Vec<NewCredential>,
        key: Option<KeyRow>,
        now: u64,
    ) -> Result<Vec<Added>, ChangeError> {
        let prepared = self.prepare(all, CredentialState::Active, now).await?;
        self.change(principal, now, move |book| {
            let (mut plan, mut added, mut seen) =
                (Plan::of("credential.add"), Vec::with_capacity(prepared.len()), Seen::default());
            for (index, prepared) in prepared.into_iter().enumerate() {
                let row = &prepared.row;
                let refused = |refusal| ChangeError::Refused { index, refusal };
                if let Some(id) = same(book, &prepared) {
                    added.push(Added::Known(id));
                    continue;
                }
                if let Some(has) = book
                    .of(row.purpose, &row.endpoint)
                    .find(|entry| entry.kind == row.kind && entry.is_good())
                {
                    let (endpoint, kind, id) = (has.endpoint.clone(), row.kind, has.id);
                    return Err(refused(Refusal::Has { endpoint, kind, id }));
                }
                check_identity(book, row, &[]).map_err(refused)?;
                seen.take(row).map_err(refused)?;
                added.push(Added::New(row.clone()));
                plan.put.push(prepared);
            }
            let first = added.first().map(|added| match added {
                Added::New(row) => row.id,
                Added::Known(id) => *id,
            });
            plan.key = key.zip(first).map(|(key, made)| KeyRow { made, ..key });
            Ok((plan, added))
        })
        .await
    }

    /// Replaces all credentials of a device for a server by one.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn replace(
        &self,
        principal: &Principal,
        new: NewCredential,
        now: u64,
    ) -> Result<(), ChangeError> {
        let mut prepared = self.prepare(vec![new], CredentialState::Active, now).await?;
        self.change(principal, now, move |book| {
            let Some(prepared) = prepared.pop() else { return Ok((Plan::default(), ())) };
            let row = &prepared.row;
            let old = book.of(row.purpose, &row.endpoint);
            let remove: Vec<_> = old.map(|entry| (entry.endpoint.clone(), entry.id)).collect();
            check_identity(book, row, &remove)
                .map_err(|refusal| ChangeError::Refused { index: 0, refusal })?;
            Ok((
                Plan { remove, put: vec![prepared], ends_sessions: true, ..Plan::of("credential.replace") },
                (),
            ))
        })
        .await
    }

    /// Adds a next credential. Unused next credentials stay, because the device may have one of them and would be locked out. The first use
    /// of one removes the active credential and the next ones before it.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn rotate(
        &self,
        principal: &Principal,
        old: &CredentialRow,
        proof: Proof,
        key: Option<KeyRow>,
        now: u64,
    ) -> Result<CredentialRow, ChangeError> {
        self.add_next(principal, old, proof, key, now, WhenCrowded::Refuse).await
    }

    /// The same for a device that is being bootstrapped. If there are too many, the oldest is removed: a device that requests another key has
    /// replaced that one, or will.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub(crate) async fn rotate_by_bootstrap(
        &self,
        old: &CredentialRow,
        proof: Proof,
        now: u64,
    ) -> Result<CredentialRow, ChangeError> {
        self.add_next(&Principal::server(), old, proof, None, now, WhenCrowded::OldestGivesWay).await
    }

    async fn add_next(
        &self,
        principal: &Principal,
        old: &CredentialRow,
        proof: Proof,
        key: Option<KeyRow>,
        now: u64,
        when_crowded: WhenCrowded,
    ) -> Result<CredentialRow, ChangeError> {
        let new = NewCredential { purpose: old.purpose, endpoint: old.endpoint.clone(), proof };
        let mut prepared = self.prepare(vec![new], CredentialState::Next, now).await?;
        let id = old.id;
        self.change(principal, now, move |book| {
            let prepared = prepared.pop().ok_or(ChangeError::NoSuchCredential)?;
            let row = prepared.row.clone();
            let refused = |refusal| ChangeError::Refused { index: 0, refusal };
            let entry = find(book, &row.endpoint, row.purpose, id)?;
            if !entry.is_good() {
                return Err(refused(Refusal::Revoked { endpoint: entry.endpoint.clone(), id }));
            }
            let remove = room_for_next(book, &row, when_crowded).map_err(refused)?;
            check_identity(book, &row, &remove).map_err(refused)?;
            let key = key.map(|key| KeyRow { made: row.id, ..key });
            Ok((Plan { remove, put: vec![prepared], key, ..Plan::of("credential.rotate") }, row))
        })
        .await
    }

    /// Revokes a credential. It stays, without its secret, so that its device is refused.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn revoke(
        &self,
        principal: &Principal,
        row: &CredentialRow,
        now: u64,
    ) -> Result<(), ChangeError> {
        let (endpoint, purpose, id) = (Arc::<str>::from(row.endpoint.as_str()), row.purpose, row.id);
        self.change(principal, now, move |book| {
            find(book, &endpoint, purpose, id)?;
            Ok((
                Plan {
                    states: vec![(endpoint, id, CredentialState::Revoked)],
                    ends_sessions: true,
                    ..Plan::of("credential.revoke")
                },
                (),
            ))
        })
        .await
    }

    /// Removes a credential.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn remove(
        &self,
        principal: &Principal,
        row: &CredentialRow,
        now: u64,
    ) -> Result<(), ChangeError> {
        let (endpoint, purpose, id) = (Arc::<str>::from(row.endpoint.as_str()), row.purpose, row.id);
        self.change(principal, now, move |book| {
            find(book, &endpoint, purpose, id)?;
            Ok((
                Plan { remove: vec![(endpoint, id)], ends_sessions: true, ..Plan::of("credential.remove") },
                (),
            ))
        })
        .await
    }

    /// Removes all credentials of a device for a server. Returns whether it had any.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn remove_all(
        &self,
        principal: &Principal,
        purpose: Purpose,
        endpoint: &str,
        now: u64,
    ) -> Result<bool, ChangeError> {
        let endpoint = Arc::<str>::from(endpoint);
        self.change(principal, now, move |book| {
            let remove: Vec<_> =
                book.of(purpose, &endpoint).map(|entry| (entry.endpoint.clone(), entry.id)).collect();
            let had_any = !remove.is_empty();
            Ok((Plan { remove, ends_sessions: true, ..Plan::of("credential.remove") }, had_any))
        })
        .await
    }

    /// Revokes all credentials of a device, for all servers. They stay, without their secrets.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub(crate) async fn revoke_all(
        &self,
        principal: &Principal,
        endpoint: &str,
        now: u64,
    ) -> Result<(), ChangeError> {
        let endpoint = Arc::<str>::from(endpoint);
        self.change(principal, now, move |book| {
            let all = [Purpose::Lwm2m, Purpose::Bootstrap].into_iter();
            let good = all.flat_map(|purpose| book.of(purpose, &endpoint)).filter(|entry| entry.is_good());
            let states: Vec<_> =
                good.map(|entry| (entry.endpoint.clone(), entry.id, CredentialState::Revoked)).collect();
            Ok((Plan { states, ends_sessions: true, ..Plan::of("credential.revoke") }, ()))
        })
        .await
    }

    /// Encrypts secrets and assigns ids, outside of the threads that serve requests.
    async fn prepare(
        &self,
        all: Vec<NewCredential>,
        state: CredentialState,
        now: u64,
    ) -> Result<Vec<Prepared>, ChangeError> {
        let shared = self.0.clone();
        let first = shared.next_id.fetch_add(all.len() as u64, Ordering::Relaxed);
        let seal = move || -> anyhow::Result<Vec<Prepared>> {
            let ids = first..;
            ids.zip(all).map(|(id, new)| new.prepare(id, state, now, &shared.sealer)).collect()
        };
        let prepared = tokio::task::spawn_blocking(seal).await;
        prepared.map_err(anyhow::Error::from).and_then(|prepared| prepared).map_err(ChangeError::Failed)
    }

    /// Plans a change from the existing credentials, saves it, and then applies it.
    async fn change<T: Send + 'static>(
        &self,
        principal: &Principal,
        now: u64,
        plan: impl FnOnce(&Book) -> Result<(Plan, T), ChangeError> + Send,
    ) -> Result<T, ChangeError> {
        let shared = self.0.clone();
        shared.journal.check().map_err(ChangeError::NotSaved)?;
        let turn = shared.journal.unless_in_trouble(shared.changes.clone().lock_owned()).await;
        let turn = turn.map_err(ChangeError::NotSaved)?;
        let (plan, answer) = shared.look(plan)?;
        let changes = plan.changes(principal, now);
        let (done, saved) = oneshot::channel();
        // Continues when the caller has gone or got an error: if the change is saved later, it must be applied too.
        tokio::spawn(async move {
            let result = shared.journal.commit(changes).await;
            if result.is_ok() {
                plan.apply(&shared.book);
                plan.tell(&shared);
            }
            drop(turn);
            let _ = done.send(result);
        });
        match self.0.journal.unless_in_trouble(saved).await.map_err(ChangeError::NotSaved)? {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(error)) => Err(ChangeError::NotSaved(error)),
            Err(_) => Err(ChangeError::NotSaved(NotSaved::Stopped)),
        }
    }

    /// Handles the first use of a next credential: removes those before it.
    async fn has_been_used(&self, endpoint: Arc<str>, id: u64, now: u64) -> Result<(), ChangeError> {
        let name = endpoint.clone();
        let server = Principal::server();
        let rolled = self.change(&server, now, move |book| {
            let both = [Purpose::Lwm2m, Purpose::Bootstrap];
            let next = both.iter().find_map(|purpose| find(book, &endpoint, *purpose, id).ok());
            // Two sessions used it at once, or it was removed.
            let Some(next) = next.filter(|entry| entry.state == CredentialState::Next) else {
                return Ok((Plan::default(), false));
            };
            let old = book.of(next.purpose, &endpoint);
            // The device may be about to receive those that were made later.
            let is_before = |entry: &&Entry| match entry.state {
                CredentialState::Active => true,
                CredentialState::Next => entry.id < id,
                CredentialState::Revoked => false,
            };
            let old = old.filter(|entry| entry.kind == next.kind).filter(is_before);
            let remove = old.map(|entry| (entry.endpoint.clone(), entry.id)).collect();
            let states = vec![(endpoint, id, CredentialState::Active)];
            Ok((Plan { remove, states, ..Plan::of("credential.first_use") }, true))
        });
        if rolled.await? {
            tracing::info!(
                endpoint = &*name,
                credential = id,
                "the device uses its new credential; the old one is forgotten"
            );
        }
        Ok(())
    }
}

impl Shared {
    fn look<T>(&self, question: impl FnOnce(&Book) -> T) -> T {
        question(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} redacted)", self.count())
    }
}

async fn roll_over(shared: Weak<Shared>, clock: Clock, mut first_uses: mpsc::UnboundedReceiver<Used>) {
    while let Some((endpoint, id)) = first_uses.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = Credentials(shared).has_been_used(endpoint, id, clock.date()).await {
            tracing::warn!(
                credential = id,
                ?error,
                "a new credential was used, and could not take the place of the old one; it will at its next use"
            );
        }
    }
}

/// Identifies and admits the peers of one server.
#[derive(Clone, Debug)]
pub struct Gate {
    credentials: Credentials,
    purpose: Purpose,
}

impl Gate {
    /// The device that a peer authenticated as; `None` if it is not, or no longer, admitted.
    pub fn endpoint_of(&self, peer: &Peer) -> Option<Arc<str>> {
        let unlisted = self.credentials.0.unlisted;
        self.credentials
            .0
            .look(|book| book.admitting(self.purpose, peer, unlisted).map(|admitted| admitted.endpoint()))
    }

    /// Whether a device has credentials, including revoked ones, or is out of service: then it is not admitted without.
    pub fn has(&self, endpoint: &str) -> bool {
        let has = |book: &Book| book.is_retired(endpoint) || book.of(self.purpose, endpoint).next().is_some();
        self.credentials.0.look(has)
    }

    /// To be called when a session connects. Doesn't block.
    pub fn used(&self, peer: &Peer) {
        let Shared { unlisted, used, .. } = &*self.credentials.0;
        self.credentials.0.look(|book| {
            if let Some(Admitted::By(entry)) = book.admitting(self.purpose, peer, *unlisted)
                && entry.state == CredentialState::Next
            {
                // Nobody receives this while the server stops; the credential will be used again.
                let _ = used.send((entry.endpoint.clone(), entry.id));
            }
        });
    }
}

impl Authority for Gate {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        self.credentials.0.look(|book| book.psk(self.purpose, identity))
    }

    fn admits(&self, peer: &Peer) -> bool {
        self.endpoint_of(peer).is_some()
    }
}

/// The credentials of one request, to find conflicts among them.
#[derive(Default)]
struct Seen {
    identities: HashMap<(CredentialKind, Vec<u8>), String>,
    devices: HashMap<String, Vec<(Purpose, CredentialKind)>>,
}

impl Seen {
    fn take(&mut self, row: &CredentialRow) -> Result<(), Refusal> {
        let twice = || Refusal::Twice { endpoint: row.endpoint.clone(), kind: row.kind };
        let kinds = self.devices.entry(row.endpoint.clone()).or_default();
        if kinds.contains(&(row.purpose, row.kind)) {
            return Err(twice());
        }
        kinds.push((row.purpose, row.kind));
        if !row.identity.is_empty() {
            let owner = self
                .identities
                .entry((row.kind, row.identity.clone()))
                .or_insert_with(|| row.endpoint.clone());
            if *owner != row.endpoint {
                return Err(twice());
            }
        }
        Ok(())
    }
}

fn find<'a>(book: &'a Book, endpoint: &str, purpose: Purpose, id: u64) -> Result<&'a Entry, ChangeError> {
    book.of(purpose, endpoint).find(|entry| entry.id == id).ok_or(ChangeError::NoSuchCredential)
}

/// What to do when a device has too many next credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenCrowded {
    Refuse,
    OldestGivesWay,
}

/// The credentials to remove so that one more next credential can be added.
fn room_for_next(book: &Book, row: &CredentialRow, when_crowded: WhenCrowded) -> Result<Vec<Used>, Refusal> {
    let all = book.of(row.purpose, &row.endpoint);
    let next: Vec<&Entry> =
        all.filter(|entry| entry.kind == row.kind && entry.state == CredentialState::Next).collect();
    if next.len() < MOST_NEXT {
        return Ok(Vec::new());
    }
    let oldest = next.into_iter().min_by_key(|entry| entry.id);
    let oldest = oldest.filter(|_| when_crowded == WhenCrowded::OldestGivesWay);
    match oldest {
        Some(oldest) => Ok(vec![(oldest.endpoint.clone(), oldest.id)]),
        None => Err(Refusal::TooManyNext { endpoint: row.endpoint.as_str().into(), kind: row.kind }),
    }
}

/// The id of an equal credential.
fn same(book: &Book, new: &Prepared) -> Option<u64> {
    let row = &new.row;
    let is_same = |entry: &&Entry| {
        entry.kind == row.kind
            && entry.state == CredentialState::Active
            && entry.identity() == row.identity
            && entry.has_secret(&new.secret)
    };
    book.of(row.purpose, &row.endpoint).find(is_same).map(|entry| entry.id)
}

/// Checks that an identity belongs to one device, and to one credential of each server. Credentials in `going` are ignored.
fn check_identity(book: &Book, row: &CredentialRow, going: &[Used]) -> Result<(), Refusal> {
    let is_in_the_way = |entry: &&Entry| {
        let is_own = *entry.endpoint == *row.endpoint;
        let is_going = going.iter().any(|(_, id)| *id == entry.id);
        !is_going && (!is_own || entry.purpose == row.purpose)
    };
    if row.identity.is_empty() {
        return Ok(());
    }
    match book.with_identity(row.kind, &row.identity).find(is_in_the_way) {
        Some(entry) => Err(Refusal::Taken {
            endpoint: entry.endpoint.clone(),
            kind: entry.kind,
            id: entry.id,
            state: entry.state,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
