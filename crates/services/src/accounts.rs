//! Accounts of people, API tokens of programs, and sign-ins.
//!
//! All of them are in memory, so that a request is authenticated without the store; each change is durable before it counts. A secret is stored as a
//! digest that proves it: Argon2id of a password, SHA-256 of what the server made at random.

mod attempts;
mod commands;
mod fault;
mod links;
pub mod offline;
mod password;
pub(crate) mod records;
#[cfg(test)]
mod tests;
mod totp;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use buoy_api::{self as api, Role, SignedInBy};
use buoy_net::clock::Clock;
use buoy_store::{ChangeSet, DocumentKind, Reader};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

pub use attempts::TooMany;
pub use commands::SessionSecret;
pub use fault::AccessError;

use crate::access::Powers;
use crate::documents;
use crate::hex;
use crate::journal::{JournalHandle, NotSaved};
use crate::keyfile::Sealer;
use crate::principal::{Principal, Validity};
use attempts::Attempts;
use links::Links;
use password::Passwords;
use records::{AccountRecord, SecretDigest, SignInRecord, TokenRecord};

/// A sign-in ends when it was not used for this long,
const IDLE: u64 = 12 * 60 * 60 * 1000;
/// and in any case after this time.
const LONGEST: u64 = 7 * 24 * 60 * 60 * 1000;
/// One by the identity provider ends earlier, so that what changed there counts here the same day.
const LONGEST_EXTERNAL: u64 = 12 * 60 * 60 * 1000;
/// How often it is saved that a sign-in or a token was used.
const SAVE_USE: u64 = 5 * 60 * 1000;
/// Random bytes of the one-time token of the first run.
const SETUP_TOKEN: usize = 15;
/// The beginning of each API token, by which scanners for leaked secrets know it.
const TOKEN_PREFIX: &str = "buoy_";

/// Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Accounts(Arc<Shared>);

struct Shared {
    state: RwLock<State>,
    /// One change at a time, so that memory and store never differ.
    changes: Arc<tokio::sync::Mutex<()>>,
    journal: JournalHandle,
    sealer: Sealer,
    passwords: Passwords,
    attempts: Mutex<Attempts>,
    links: Mutex<Links>,
    /// Second factors that wait for their first code, by account.
    prepared: Mutex<HashMap<String, totp::Secret>>,
    clock: Clock,
    /// What makes the first account.
    setup_token: Option<api::Secret>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<String, AccountRecord>,
    tokens: HashMap<SecretDigest, Token>,
    sign_ins: HashMap<SecretDigest, SignIn>,
    last_token: u64,
}

struct Token {
    record: TokenRecord,
    used: Use,
    has_ended: Arc<AtomicBool>,
}

struct SignIn {
    record: SignInRecord,
    used: Use,
    has_ended: Arc<AtomicBool>,
}

/// When something was last used, and when that was last saved; milliseconds since the epoch.
#[derive(Default)]
struct Use {
    at: AtomicU64,
    saved_at: AtomicU64,
}

impl Use {
    fn new(at: u64) -> Self {
        Self { at: AtomicU64::new(at), saved_at: AtomicU64::new(at) }
    }

    fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// Notes a use; returns whether it is time to save it.
    fn note(&self, now: u64) -> bool {
        self.at.fetch_max(now, Ordering::Relaxed);
        let saved = self.saved_at.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(saved) >= SAVE_USE;
        // Of several requests at once one saves it.
        is_due && self.saved_at.compare_exchange(saved, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl SignIn {
    fn ends_at(&self) -> u64 {
        self.record.latest_end().min(self.used.at() + IDLE)
    }
}

/// The author of a request that has a valid credential.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The author.
    pub principal: Principal,
    /// What a request that changes something has to repeat, if the credential is a cookie: pages of other sites don't know it.
    pub csrf: Option<String>,
}

impl Accounts {
    /// Loads what the store has.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn load(
        reader: &dyn Reader,
        journal: JournalHandle,
        sealer: Sealer,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        Self::with(reader, journal, sealer, clock, Passwords::new()?)
    }

    fn with(
        reader: &dyn Reader,
        journal: JournalHandle,
        sealer: Sealer,
        clock: Clock,
        passwords: Passwords,
    ) -> anyhow::Result<Self> {
        let state = State::load(reader)?;
        let setup_token = match state.accounts.is_empty() {
            true => Some(api::Secret::new(totp::code_of(SETUP_TOKEN)?)),
            false => None,
        };
        Ok(Self(Arc::new(Shared {
            state: RwLock::new(state),
            changes: Arc::default(),
            journal,
            sealer,
            passwords,
            attempts: Mutex::default(),
            links: Mutex::default(),
            prepared: Mutex::default(),
            clock,
            setup_token,
        })))
    }

    /// Whether there is no account yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().accounts.is_empty()
    }

    /// The one-time token with which the first account is made, while there is none.
    #[must_use]
    pub fn setup_token(&self) -> Option<&api::Secret> {
        self.0.setup_token.as_ref().filter(|_| self.is_empty())
    }

    /// The author of a request with this API token.
    #[must_use]
    pub fn by_token(&self, secret: &str, origin: Option<IpAddr>) -> Option<Arrival> {
        let now = self.now();
        let digest = SecretDigest::of(secret);
        let state = self.state();
        let token = state.tokens.get(&digest)?;
        let account = state.accounts.get(&token.record.account).filter(|account| !account.disabled)?;
        if token.record.expires_at.is_some_and(|end| end <= now) {
            return None;
        }
        if token.used.note(now) {
            let record = TokenRecord { last_used_at: Some(now), ..token.record.clone() };
            self.0.journal.commit_later(vec![documents::put(
                DocumentKind::Token,
                &digest.key(),
                &record,
                now,
            )]);
        }
        let powers = Powers::Both(token.record.grants.as_slice().into(), account.grants.as_slice().into());
        let validity = Validity { has_ended: token.has_ended.clone(), until: token.record.expires_at };
        let name = format!("{}/{}", account.name, token.record.name).into();
        let account = account.name.as_str().into();
        let principal = Principal::signed_in(name, account, origin, powers, SignedInBy::Token, validity);
        Some(Arrival { principal, csrf: None })
    }

    /// The author of a request with this cookie.
    #[must_use]
    pub fn by_cookie(&self, secret: &str, origin: Option<IpAddr>) -> Option<Arrival> {
        let now = self.now();
        let digest = SecretDigest::of(secret);
        let state = self.state();
        let sign_in = state.sign_ins.get(&digest).filter(|sign_in| now < sign_in.ends_at())?;
        let account = state.accounts.get(&sign_in.record.account).filter(|account| !account.disabled)?;
        if sign_in.used.note(now) {
            let record = SignInRecord { seen_at: now, ..sign_in.record.clone() };
            self.0.journal.commit_later(vec![documents::put(
                DocumentKind::SignIn,
                &digest.key(),
                &record,
                now,
            )]);
        }
        let powers = Powers::Granted(account.grants.as_slice().into());
        let until = Some(sign_in.record.latest_end());
        let validity = Validity { has_ended: sign_in.has_ended.clone(), until };
        let name: Arc<str> = account.name.as_str().into();
        let principal =
            Principal::signed_in(name.clone(), name, origin, powers, SignedInBy::Session, validity);
        Some(Arrival { principal, csrf: Some(csrf_of(secret)) })
    }

    /// Whether an account has a second factor.
    #[must_use]
    pub fn has_second_factor(&self, account: &str) -> bool {
        self.state().accounts.get(account).is_some_and(|account| account.second_factor.is_some())
    }

    /// Whether the identity provider signs an account in.
    #[must_use]
    pub fn is_external(&self, account: &str) -> bool {
        self.state().accounts.get(account).is_some_and(|account| account.subject.is_some())
    }

    /// Takes the turn to change something. What is read under it stays so until the change.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        self.0.changes.clone().lock_owned().await
    }

    /// Saves a change and then applies it, even if the caller does not wait any longer.
    async fn change(
        &self,
        turn: OwnedMutexGuard<()>,
        set: ChangeSet<'static>,
        apply: impl FnOnce(&mut State) + Send + 'static,
    ) -> Result<(), NotSaved> {
        let (this, journal) = (self.clone(), self.0.journal.clone());
        let saving = tokio::spawn(async move {
            let _turn = turn;
            let saved = this.0.journal.commit(set).await;
            if saved.is_ok() {
                apply(&mut this.state_mut());
            }
            saved
        });
        match journal.unless_in_trouble(saving).await? {
            Ok(saved) => saved,
            Err(_) => Err(NotSaved::Stopped),
        }
    }

    fn now(&self) -> u64 {
        self.0.clock.date()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<String, totp::Secret>> {
        self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn load(reader: &dyn Reader) -> anyhow::Result<Self> {
        let mut state = Self::default();
        for (name, record) in records::all::<AccountRecord>(reader, DocumentKind::Account)? {
            state.accounts.insert(name, record);
        }
        for (key, record) in records::all::<TokenRecord>(reader, DocumentKind::Token)? {
            let Some(digest) = SecretDigest::parse(&key) else { continue };
            state.last_token = state.last_token.max(record.id);
            let used = Use::new(record.last_used_at.unwrap_or(0));
            state.tokens.insert(digest, Token { record, used, has_ended: Arc::default() });
        }
        for (key, record) in records::all::<SignInRecord>(reader, DocumentKind::SignIn)? {
            let Some(digest) = SecretDigest::parse(&key) else { continue };
            let used = Use::new(record.seen_at);
            state.sign_ins.insert(digest, SignIn { record, used, has_ended: Arc::default() });
        }
        Ok(state)
    }

    /// Whether an account could manage accounts, and signs in here.
    fn is_admin(account: &AccountRecord) -> bool {
        let may = account.grants.iter().any(|grant| grant.role == Role::Admin && grant.group.is_none());
        may && account.password_hash.is_some() && !account.disabled
    }

    /// Whether another account than this one could manage accounts.
    fn has_other_admin(&self, name: &str) -> bool {
        self.accounts.values().any(|account| account.name != name && Self::is_admin(account))
    }

    /// The sign-ins of an account.
    fn sign_ins_of(&self, account: &str) -> Vec<SecretDigest> {
        let of_account = self.sign_ins.iter().filter(|(_, sign_in)| sign_in.record.account == account);
        of_account.map(|(digest, _)| *digest).collect()
    }

    fn end_sign_ins(&mut self, digests: &[SecretDigest]) {
        for digest in digests {
            if let Some(sign_in) = self.sign_ins.remove(digest) {
                sign_in.has_ended.store(true, Ordering::Relaxed);
            }
        }
    }

    fn end_tokens(&mut self, digests: &[SecretDigest]) {
        for digest in digests {
            if let Some(token) = self.tokens.remove(digest) {
                token.has_ended.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Ends what goes on for long by the old grants of an account, such as streams of events; its sign-ins and tokens stay.
    fn end_streams(&mut self, account: &str) {
        let flags = self
            .tokens
            .values_mut()
            .filter(|token| token.record.account == account)
            .map(|token| &mut token.has_ended)
            .chain(
                self.sign_ins
                    .values_mut()
                    .filter(|sign_in| sign_in.record.account == account)
                    .map(|sign_in| &mut sign_in.has_ended),
            );
        for flag in flags {
            std::mem::take(flag).store(true, Ordering::Relaxed);
        }
    }
}

/// What a page has to repeat: derived from its cookie, which pages of other sites can have sent but can't read.
fn csrf_of(cookie: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"buoy csrf\0");
    hasher.update(cookie.as_bytes());
    hex::encode(&hasher.finalize()[..16])
}

/// A new secret: 32 random bytes.
fn random_secret() -> Result<String, getrandom::Error> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(hex::encode(&*bytes))
}
