//! What all shards know together: which shard an endpoint lives on, and which DTLS sessions it has.
//!
//! Asked when a device appears that its shard doesn't know, when sessions begin and end, and by the interfaces for people; never
//! for a message of a device that is known.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use buoy_coap::time::Instant;
use buoy_server::{Directory, SessionId};

use crate::homes::Homes;
use crate::secure::Identities;
use crate::sessions::{EndpointSessions, LastHeard};

const STRIPES: usize = 64;

/// Endpoints, their shards and their sessions. Cheap to clone; the clones are one.
#[derive(Clone)]
pub struct Endpoints {
    homes: Homes,
    sessions: Striped<Arc<str>, EndpointSessions>,
    proved: Striped<SessionId, Arc<str>>,
    /// Sessions without connection ID.
    by_address: Striped<SocketAddr, SessionId>,
    /// Of sessions that take short records alone, which are few.
    limits: Striped<SessionId, usize>,
    limited: Arc<AtomicUsize>,
    /// How many sessions were named: of two, the one with the higher counter is the younger, whatever their shards.
    named: Arc<AtomicU64>,
    identities: Arc<dyn Identities>,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

impl Endpoints {
    /// Nobody yet. `identities` says whose names are worth nothing without credentials.
    #[must_use]
    pub fn new(identities: Arc<dyn Identities>) -> Self {
        Self {
            homes: Homes::default(),
            sessions: Striped::default(),
            proved: Striped::default(),
            by_address: Striped::default(),
            limits: Striped::default(),
            limited: Arc::default(),
            named: Arc::default(),
            identities,
        }
    }

    /// The shard of an endpoint.
    #[must_use]
    pub fn shard_of(&self, endpoint: &str) -> Option<u8> {
        self.homes.get(endpoint)
    }

    /// The open sessions of an endpoint.
    #[must_use]
    pub fn sessions_of(&self, endpoint: &str) -> Vec<SessionId> {
        let all = |sessions: &EndpointSessions| sessions.all().collect();
        self.sessions.with(endpoint, |stripe| stripe.get(endpoint).map(all)).unwrap_or_default()
    }

    /// Whether an endpoint's registration is at this session.
    pub(crate) fn carries_registration(&self, endpoint: &str, session: SessionId) -> bool {
        let carries = |sessions: &EndpointSessions| sessions.carries(session);
        self.sessions.with(endpoint, |stripe| stripe.get(endpoint).is_some_and(carries))
    }

    /// The session without connection ID at an address.
    pub(crate) fn session_at(&self, address: SocketAddr) -> Option<SessionId> {
        self.by_address.with(&address, |stripe| stripe.get(&address).copied())
    }

    /// Sessions were named up to this counter.
    pub fn named_up_to(&self, counter: u64) {
        self.named.fetch_max(counter, Ordering::Relaxed);
    }

    /// A name that no session had.
    pub(crate) fn name_session(&self, shard: u8) -> Option<SessionId> {
        SessionId::new(self.named.fetch_add(1, Ordering::Relaxed) + 1, shard)
    }

    /// An endpoint has proved itself. `address` is that of a session that has no connection ID. Returns where the session's shard notes
    /// its use, and another session of the endpoint that has to give way if it has too many.
    pub(crate) fn open_session(
        &self,
        now: Instant,
        session: SessionId,
        endpoint: &Arc<str>,
        address: Option<SocketAddr>,
    ) -> (LastHeard, Option<SessionId>) {
        self.proved.with(&session, |stripe| stripe.insert(session, endpoint.clone()));
        if let Some(address) = address {
            self.by_address.with(&address, |stripe| stripe.insert(address, session));
        }
        let heard = LastHeard::at(now);
        let gives_way = self.sessions.with(&**endpoint, |stripe| {
            stripe.entry(endpoint.clone()).or_default().open(session, heard.clone())
        });
        (heard, gives_way)
    }

    /// A session takes no longer messages than this.
    pub(crate) fn limit_session(&self, session: SessionId, longest_message: usize) {
        self.limits.with(&session, |stripe| stripe.insert(session, longest_message));
        self.limited.fetch_add(1, Ordering::Release);
    }

    /// A session is over.
    pub(crate) fn close_session(&self, session: SessionId, endpoint: &str, address: SocketAddr) {
        if self.limits.with(&session, |stripe| stripe.remove(&session)).is_some() {
            self.limited.fetch_sub(1, Ordering::Release);
        }
        self.proved.with(&session, |stripe| stripe.remove(&session));
        self.by_address.with(&address, |stripe| remove_if(stripe, &address, &session));
        self.change_sessions(endpoint, |sessions| sessions.close(session));
    }

    /// Changes what is known of an endpoint, and forgets it if nothing is left.
    fn change_sessions(&self, endpoint: &str, change: impl FnOnce(&mut EndpointSessions)) {
        self.sessions.with(endpoint, |stripe| {
            let Some(sessions) = stripe.get_mut(endpoint) else { return };
            change(sessions);
            if sessions.is_empty() {
                stripe.remove(endpoint);
            }
        });
    }
}

impl Directory for Endpoints {
    fn claim(&self, endpoint: &Arc<str>, shard: u8) -> u8 {
        self.homes.claim(endpoint, shard)
    }

    fn release(&self, endpoint: &str, shard: u8) {
        self.homes.release(endpoint, shard);
    }

    fn home(&self, endpoint: &str) -> Option<u8> {
        self.shard_of(endpoint)
    }

    fn proved(&self, session: SessionId) -> Option<Arc<str>> {
        self.proved.with(&session, |stripe| stripe.get(&session).cloned())
    }

    fn longest_message(&self, session: SessionId) -> usize {
        if self.limited.load(Ordering::Acquire) == 0 {
            return usize::MAX;
        }
        self.limits.with(&session, |stripe| stripe.get(&session).copied()).unwrap_or(usize::MAX)
    }

    fn may_go_unproved(&self, endpoint: &str) -> bool {
        // One that is admitted by its certificate alone is known by its session.
        let has_open = || {
            let has_open =
                |stripe: &mut HashMap<_, EndpointSessions>| stripe.get(endpoint)?.has_open().then_some(());
            self.sessions.with(endpoint, has_open).is_some()
        };
        !self.identities.has(endpoint) && !has_open()
    }

    fn carry(&self, endpoint: &Arc<str>, session: Option<SessionId>) {
        if session.is_none() {
            return self.change_sessions(endpoint, |sessions| sessions.carry(None));
        }
        self.sessions.with(&**endpoint, |stripe| {
            stripe.entry(endpoint.clone()).or_default().carry(session);
        });
    }
}

/// A map in parts, each with a lock of its own.
struct Striped<K, V> {
    stripes: Arc<[Mutex<HashMap<K, V>>]>,
    hasher: RandomState,
}

impl<K, V> Clone for Striped<K, V> {
    fn clone(&self) -> Self {
        Self { stripes: self.stripes.clone(), hasher: self.hasher.clone() }
    }
}

impl<K, V> Default for Striped<K, V> {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl<K, V> Striped<K, V> {
    /// Lets `act` have the part in which `key` is.
    fn with<T>(&self, key: &(impl Hash + ?Sized), act: impl FnOnce(&mut HashMap<K, V>) -> T) -> T {
        let stripe = &self.stripes[self.hasher.hash_one(key) as usize % STRIPES];
        act(&mut stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn remove_if<K, Q, V: PartialEq>(stripe: &mut HashMap<K, V>, key: &Q, value: &V)
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    if stripe.get(key) == Some(value) {
        stripe.remove(key);
    }
}
