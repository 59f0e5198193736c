//! The credentials in memory, for lookups during handshakes.
//!
//! One table of entries with two indexes of four bytes each, so that a million devices take under 200 MB.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use buoy_dtls::Peer;
use buoy_dtls::config::PskKey;
use buoy_dtls::x509::CertificateFacts;
use buoy_store::{CredentialKind, CredentialRow, CredentialState, Purpose};
use hashbrown::HashTable;
use zeroize::Zeroize;

/// Whether certificates of the operator's authority are accepted without a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// They are, for devices that have no credential.
    Admitted,
    /// Only listed credentials are accepted.
    Refused,
}

/// All data that handshakes look up.
#[derive(Default)]
pub(super) struct Book {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_identity: HashTable<u32>,
    by_endpoint: HashTable<u32>,
    hasher: RandomState,
    /// Devices that are out of service.
    retired: HashSet<Arc<str>>,
}

/// One credential.
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) endpoint: Arc<str>,
    /// Identity and secret in one piece.
    bytes: Box<[u8]>,
    identity_length: u16,
    pub(super) purpose: Purpose,
    pub(super) kind: CredentialKind,
    pub(super) state: CredentialState,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Entry {
    pub(super) fn new(row: &CredentialRow, endpoint: Arc<str>, secret: &[u8]) -> Self {
        Self {
            id: row.id,
            endpoint,
            bytes: [&row.identity, secret].concat().into(),
            identity_length: row.identity.len() as u16,
            purpose: row.purpose,
            kind: row.kind,
            state: row.state,
        }
    }

    pub(super) fn identity(&self) -> &[u8] {
        &self.bytes[..usize::from(self.identity_length)]
    }

    fn secret(&self) -> &[u8] {
        &self.bytes[usize::from(self.identity_length)..]
    }

    pub(super) fn has_secret(&self, secret: &[u8]) -> bool {
        self.secret() == secret
    }

    pub(super) fn is_good(&self) -> bool {
        self.state != CredentialState::Revoked
    }

    fn is_of(&self, purpose: Purpose, endpoint: &str) -> bool {
        self.purpose == purpose && *self.endpoint == *endpoint
    }
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, mut entry: Entry) {
        // The credentials of a device share its name.
        let (by_identity, by_endpoint) = (self.hash_of_identity(&entry), self.hash_of_endpoint(&entry));
        let known = self.with_endpoint_hash(by_endpoint).find(|known| known.endpoint == entry.endpoint);
        if let Some(known) = known.map(|known| known.endpoint.clone()) {
            entry.endpoint = known;
        }
        let has_identity = entry.identity_length > 0;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.entries.push(None);
                self.entries.len() as u32 - 1
            }
        };
        self.entries[place as usize] = Some(entry);
        let Self { entries, by_identity: identities, by_endpoint: endpoints, hasher, .. } = self;
        let entry = |place: &u32| entries[*place as usize].as_ref();
        if has_identity {
            let hash = |place: &u32| {
                entry(place).map_or(0, |entry| identity_hash(hasher, entry.kind, entry.identity()))
            };
            identities.insert_unique(by_identity, place, hash);
        }
        let hash = |place: &u32| entry(place).map_or(0, |entry| endpoint_hash(hasher, &entry.endpoint));
        endpoints.insert_unique(by_endpoint, place, hash);
    }

    pub(super) fn remove(&mut self, endpoint: &str, id: u64) {
        let Some(place) = self.place(endpoint, id) else { return };
        let Some(entry) = self.entries[place as usize].take() else { return };
        let (by_identity, by_endpoint) = (self.hash_of_identity(&entry), self.hash_of_endpoint(&entry));
        for (index, hash) in [(&mut self.by_identity, by_identity), (&mut self.by_endpoint, by_endpoint)] {
            if let Ok(found) = index.find_entry(hash, |known| *known == place) {
                found.remove();
            }
        }
        self.free.push(place);
    }

    pub(super) fn set_state(&mut self, endpoint: &str, id: u64, state: CredentialState) {
        let Some(place) = self.place(endpoint, id) else { return };
        if let Some(entry) = &mut self.entries[place as usize] {
            entry.state = state;
            if state == CredentialState::Revoked {
                let identity = entry.identity().into();
                entry.bytes.zeroize();
                entry.bytes = identity;
            }
        }
    }

    /// The credentials of a device for a server.
    pub(super) fn of(&self, purpose: Purpose, endpoint: &str) -> impl Iterator<Item = &Entry> {
        self.with_endpoint_hash(endpoint_hash(&self.hasher, endpoint))
            .filter(move |entry| entry.is_of(purpose, endpoint))
    }

    /// The credentials with this identity, for all servers.
    pub(super) fn with_identity(
        &self,
        kind: CredentialKind,
        identity: &[u8],
    ) -> impl Iterator<Item = &Entry> {
        let hash = identity_hash(&self.hasher, kind, identity);
        let entries =
            self.by_identity.iter_hash(hash).filter_map(|place| self.entries[*place as usize].as_ref());
        entries.filter(move |entry| entry.kind == kind && entry.identity() == identity)
    }

    /// Whether a device has credentials for a server, and all are revoked.
    pub(super) fn is_revoked(&self, purpose: Purpose, endpoint: &str) -> bool {
        let mut all = self.of(purpose, endpoint).peekable();
        all.peek().is_some() && all.all(|entry| !entry.is_good())
    }

    /// The devices that have a revoked credential for a server.
    pub(super) fn with_revoked(&self, purpose: Purpose) -> impl Iterator<Item = &Arc<str>> {
        let all = self.entries.iter().flatten();
        all.filter(move |entry| entry.purpose == purpose && !entry.is_good()).map(|entry| &entry.endpoint)
    }

    /// The key of a PSK identity.
    pub(super) fn psk(&self, purpose: Purpose, identity: &[u8]) -> Option<PskKey> {
        let entry = self.good(purpose, CredentialKind::Psk, identity)?;
        if self.is_retired(&entry.endpoint) { None } else { PskKey::new(entry.secret()) }
    }

    /// Records whether a device is out of service: then none of its credentials counts.
    pub(super) fn set_retired(&mut self, endpoint: &Arc<str>, is_retired: bool) {
        if is_retired {
            self.retired.insert(endpoint.clone());
        } else {
            self.retired.remove(endpoint);
        }
    }

    pub(super) fn is_retired(&self, endpoint: &str) -> bool {
        !self.retired.is_empty() && self.retired.contains(endpoint)
    }

    /// The credential that admits a peer, or the name of a device that needs none.
    pub(super) fn admitting(
        &self,
        purpose: Purpose,
        peer: &Peer,
        unlisted: Unlisted,
    ) -> Option<Admitted<'_>> {
        let admitted = self.listed(purpose, peer, unlisted)?;
        (self.retired.is_empty() || !self.is_retired(&admitted.endpoint())).then_some(admitted)
    }

    fn listed(&self, purpose: Purpose, peer: &Peer, unlisted: Unlisted) -> Option<Admitted<'_>> {
        match peer {
            Peer::Psk(identity) => self.good(purpose, CredentialKind::Psk, identity).map(Admitted::By),
            Peer::RawPublicKey(key) => self.good(purpose, CredentialKind::Rpk, key.point()).map(Admitted::By),
            Peer::Certificate(facts) => self.certificate(purpose, facts.common_name()?, facts, unlisted),
            _ => None,
        }
    }

    /// Whether a certificate is accepted: a credential of its device must allow it, and no revoked one may name it. If its device has no
    /// credential, the operator must trust the authority.
    fn certificate(
        &self,
        purpose: Purpose,
        name: &str,
        facts: &CertificateFacts,
        unlisted: Unlisted,
    ) -> Option<Admitted<'_>> {
        let is_named =
            |entry: &&Entry| entry.identity().try_into().is_ok_and(|named| facts.has_fingerprint(named));
        let is_x509 = |entry: &&Entry| entry.kind == CredentialKind::X509;
        let mut listed = false;
        let (mut any, mut named) = (None, None);
        for entry in self.of(purpose, name).inspect(|_| listed = true).filter(is_x509) {
            if is_named(&entry) && !entry.is_good() {
                return None;
            }
            if is_named(&entry) {
                named = Some(Admitted::By(entry));
            } else if entry.identity_length == 0 && entry.is_good() {
                any = Some(Admitted::By(entry));
            }
        }
        let any = named.or(any);
        if !listed && unlisted == Unlisted::Admitted { Some(Admitted::Unlisted(name.into())) } else { any }
    }

    fn good(&self, purpose: Purpose, kind: CredentialKind, identity: &[u8]) -> Option<&Entry> {
        self.with_identity(kind, identity).find(|entry| entry.purpose == purpose && entry.is_good())
    }

    /// The entries of a device, and possibly of others with the same hash.
    fn with_endpoint_hash(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        self.by_endpoint.iter_hash(hash).filter_map(|place| self.entries[*place as usize].as_ref())
    }

    fn place(&self, endpoint: &str, id: u64) -> Option<u32> {
        let hash = endpoint_hash(&self.hasher, endpoint);
        let is_it = |place: &u32| self.entries[*place as usize].as_ref().is_some_and(|entry| entry.id == id);
        self.by_endpoint.find(hash, is_it).copied()
    }

    fn hash_of_identity(&self, entry: &Entry) -> u64 {
        identity_hash(&self.hasher, entry.kind, entry.identity())
    }

    fn hash_of_endpoint(&self, entry: &Entry) -> u64 {
        endpoint_hash(&self.hasher, &entry.endpoint)
    }
}

/// Why a peer is admitted.
pub(super) enum Admitted<'a> {
    /// By its credential.
    By(&'a Entry),
    /// A device of this name has no credential, and its authority is trusted.
    Unlisted(Arc<str>),
}

impl Admitted<'_> {
    pub(super) fn endpoint(&self) -> Arc<str> {
        match self {
            Self::By(entry) => entry.endpoint.clone(),
            Self::Unlisted(name) => name.clone(),
        }
    }
}

fn identity_hash(hasher: &RandomState, kind: CredentialKind, identity: &[u8]) -> u64 {
    hasher.hash_one((kind, identity))
}

fn endpoint_hash(hasher: &RandomState, endpoint: &str) -> u64 {
    hasher.hash_one(endpoint)
}
