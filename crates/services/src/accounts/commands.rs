//! The commands on accounts, tokens and sign-ins, with the types of `/api/v1`.

use std::net::IpAddr;

use buoy_api::{self as api, Grant, Role, Secret, SignedInBy};
use buoy_store::{ChangeSet, DocumentKind};
use subtle::ConstantTimeEq;

use super::records::{
    AccountRecord, SecondFactorRecord, SecretDigest, SignInRecord, TokenRecord, name_of_second_factor,
};
use super::{AccessError, Accounts, SignIn, State, TOKEN_PREFIX, Token, Use, csrf_of, password, totp};
use crate::access::{NoGroups, Permission, Target};
use crate::documents;
use crate::hex;
use crate::principal::Principal;

/// Accounts of a server,
const MOST_ACCOUNTS: usize = 10_000;
/// grants of an account,
const MOST_GRANTS: usize = 100;
/// tokens of an account,
const MOST_TOKENS: usize = 100;
/// and its sign-ins: the one that was used longest ago gives way.
const MOST_SIGN_INS: usize = 20;
/// Bytes of the name of an account, a token, or a group.
const MOST_NAME: usize = 64;
/// Names that the audit log has for others.
const RESERVED: [&str; 3] = ["local", "server", "console"];
/// Ten years in seconds.
const LONGEST_TOKEN: u64 = 10 * 365 * 24 * 60 * 60;

/// A sign-in that was made.
#[derive(Debug)]
pub struct SessionSecret {
    /// The value of its cookie.
    pub cookie: Secret,
    /// What each request that changes something has to repeat.
    pub csrf: Secret,
    /// When it ends at the latest; milliseconds since the epoch.
    pub expires_at: u64,
    /// Its account.
    pub account: String,
}

impl Accounts {
    /// Makes the first account, by the one-time token that the server printed.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn set_up(
        &self,
        origin: Option<IpAddr>,
        request: api::Setup,
    ) -> Result<SessionSecret, AccessError> {
        let api::Setup { token, name, password } = request;
        let attempt = self.attempts().begin(origin, None, self.now())?;
        let Some(expected) = self.setup_token() else {
            return Err(AccessError::NoSetup(
                "the server has an account already; sign in, or ask an admin for an account",
            ));
        };
        let given = token.reveal().trim().to_lowercase();
        if !bool::from(given.as_bytes().ct_eq(expected.reveal().as_bytes())) {
            return Err(AccessError::NoSetup(
                "this is not the one-time token that the server printed at this start; look at its output, or start it anew",
            ));
        }
        self.attempts().succeeded(attempt);
        let grants = vec![Grant::everywhere(Role::Admin)];
        let record = self.new_account(&name, password, grants).await?;
        let turn = self.turn().await;
        // Another request may have been faster.
        if !self.is_empty() {
            return Err(AccessError::NoSetup(
                "the server has an account already; sign in, or ask an admin for an account",
            ));
        }
        let now = self.now();
        let author = Principal::granted(&name, &record.grants).at(origin);
        let set = vec![
            documents::put(DocumentKind::Account, &name, &record, now),
            author.audit(now, "account.set_up", &name, "the first account, by the one-time token"),
        ];
        let inserted = record.clone();
        self.change(turn, set, move |state| drop(state.accounts.insert(inserted.name.clone(), inserted)))
            .await?;
        self.start_session(record, origin, None, "").await
    }

    /// Signs in by name, password, and the code of the second factor if the account has one.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn sign_in(
        &self,
        origin: Option<IpAddr>,
        request: api::SignIn,
    ) -> Result<SessionSecret, AccessError> {
        let api::SignIn { name, password, code } = request;
        let known = self.state().accounts.get(&name).cloned();
        // From where its owner last came, an account is counted by address alone: others can't lock him out.
        let is_familiar =
            known.as_ref().is_some_and(|known| origin.is_some() && known.last_address == origin);
        let counted = known.as_ref().filter(|_| !is_familiar).map(|known| known.name.clone());
        let attempt = self.attempts().begin(origin, counted.as_deref(), self.now())?;
        let hash = known.as_ref().and_then(|known| known.password_hash.clone());
        let is_right = self.0.passwords.verify(hash, password).await?;
        let Some(record) = known.filter(|known| is_right && !known.disabled) else {
            self.note_refusal(&name, origin, "wrong name or password");
            return Err(AccessError::WrongSignIn);
        };
        if record.second_factor.is_some() && code.is_none() {
            // The attempt goes on counting until the code comes: a password is tried here like anywhere.
            return Err(AccessError::SecondFactorNeeded);
        }
        let signed_in = self.start_session(record, origin, code.as_ref(), "").await;
        match &signed_in {
            Ok(_) => self.attempts().succeeded(attempt),
            Err(AccessError::WrongSignIn) => self.note_refusal(&name, origin, "wrong code"),
            Err(_) => {}
        }
        signed_in
    }

    /// Signs in who was authenticated by the identity provider, with the grants that its groups stand for.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn sign_in_external(
        &self,
        origin: Option<IpAddr>,
        subject: &str,
        name: &str,
        grants: Vec<Grant>,
    ) -> Result<SessionSecret, AccessError> {
        check_grants(&grants)?;
        let turn = self.turn().await;
        let now = self.now();
        let record = self.external_record(subject, name, grants, now)?;
        let name = record.name.as_str();
        let words = record.grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(", ");
        let author = Principal::granted(name, &record.grants).at(origin);
        let set = vec![
            documents::put(DocumentKind::Account, name, &record, now),
            author.audit(now, "account.external", name, format!("by the identity provider, as {words}")),
        ];
        let saved = record.clone();
        self.change(turn, set, move |state| {
            state.end_streams(&saved.name);
            state.accounts.insert(saved.name.clone(), saved);
        })
        .await?;
        self.start_session(record, origin, None, "").await
    }

    /// Takes all grants from who has none at the identity provider any more, and ends its sign-ins; its tokens are good for nothing then.
    ///
    /// # Errors
    /// [`AccessError`]
    pub(crate) async fn lose_grants(&self, origin: Option<IpAddr>, subject: &str) -> Result<(), AccessError> {
        let turn = self.turn().await;
        let is_it = |account: &&AccountRecord| account.subject.as_deref() == Some(subject);
        let Some(known) = self.state().accounts.values().find(is_it).cloned() else { return Ok(()) };
        let record = AccountRecord { grants: Vec::new(), ..known };
        let (now, name) = (self.now(), record.name.clone());
        let ended = self.state().sign_ins_of(&name);
        let mut set: ChangeSet<'static> =
            ended.iter().map(|digest| documents::remove(DocumentKind::SignIn, &digest.key())).collect();
        set.push(documents::put(DocumentKind::Account, &name, &record, now));
        let author = Principal::granted(&name, &[]).at(origin);
        set.push(author.audit(
            now,
            "account.external",
            &name,
            "no group at the identity provider has a role any more",
        ));
        self.change(turn, set, move |state| {
            state.end_sign_ins(&ended);
            state.end_streams(&record.name);
            state.accounts.insert(record.name.clone(), record);
        })
        .await?;
        Ok(())
    }

    /// Does what anybody may ask for. Each attempt counts for its address, as a wrong password does, until it has succeeded.
    pub(crate) async fn counted<T, E: From<AccessError>>(
        &self,
        origin: Option<IpAddr>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let attempt = self.attempts().begin(origin, None, self.now()).map_err(AccessError::from)?;
        let done = work.await?;
        self.attempts().succeeded(attempt);
        Ok(done)
    }

    /// The account of who comes from the identity provider. Its name there may change; the account keeps the name of its first sign-in.
    fn external_record(
        &self,
        subject: &str,
        name: &str,
        grants: Vec<Grant>,
        now: u64,
    ) -> Result<AccountRecord, AccessError> {
        let state = self.state();
        let is_it = |account: &&AccountRecord| account.subject.as_deref() == Some(subject);
        if let Some(known) = state.accounts.values().find(is_it) {
            if known.disabled {
                return Err(AccessError::WrongSignIn);
            }
            return Ok(AccountRecord { grants, ..known.clone() });
        }
        check_name(name)?;
        // A name at the provider must not open an account that was made here, or that another person has.
        if state.accounts.contains_key(name) {
            return Err(AccessError::NotOfProvider(name.to_owned()));
        }
        if state.accounts.len() >= MOST_ACCOUNTS {
            return Err(AccessError::Full("the server has as many accounts as it may have; remove some"));
        }
        Ok(AccountRecord {
            name: name.to_owned(),
            grants,
            password_hash: None,
            second_factor: None,
            disabled: false,
            subject: Some(subject.to_owned()),
            created_at: now,
            last_sign_in: None,
            last_address: None,
        })
    }

    /// Ends the sign-in of a cookie.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn sign_out(&self, principal: &Principal, cookie: &str) -> Result<(), AccessError> {
        let digest = SecretDigest::of(cookie);
        let turn = self.turn().await;
        let set = vec![
            documents::remove(DocumentKind::SignIn, &digest.key()),
            principal.audit(self.now(), "account.sign_out", principal.name(), ""),
        ];
        Ok(self.change(turn, set, move |state| state.end_sign_ins(&[digest])).await?)
    }

    /// Checks the code and makes a session. The audit log gets `how`.
    pub(super) async fn start_session(
        &self,
        record: AccountRecord,
        origin: Option<IpAddr>,
        code: Option<&Secret>,
        how: &str,
    ) -> Result<SessionSecret, AccessError> {
        let turn = self.turn().await;
        let now = self.now();
        let name = record.name.clone();
        // It may have changed while the password was checked.
        let mut record = match self.state().accounts.get(&name) {
            Some(current) if current.password_hash == record.password_hash && !current.disabled => {
                current.clone()
            }
            _ => return Err(AccessError::WrongSignIn),
        };
        if record.password_hash.is_some() && record.second_factor.is_some() {
            self.use_code(&mut record, code.ok_or(AccessError::SecondFactorNeeded)?, now)?;
        }
        record.last_sign_in = Some(now);
        record.last_address = origin;
        let secret = super::random_secret()?;
        let digest = SecretDigest::of(&secret);
        let external = record.password_hash.is_none();
        let session = SignInRecord { account: name.clone(), created_at: now, seen_at: now, external };
        let expires_at = session.latest_end();
        let ended = self.sign_ins_to_end(&name, now);
        let author = Principal::granted(&name, &record.grants).at(origin);
        let mut set = vec![
            documents::put(DocumentKind::SignIn, &digest.key(), &session, now),
            documents::put(DocumentKind::Account, &name, &record, now),
            author.audit(now, "account.sign_in", &name, how),
        ];
        set.extend(ended.iter().map(|digest| documents::remove(DocumentKind::SignIn, &digest.key())));
        self.change(turn, set, move |state| {
            state.end_sign_ins(&ended);
            state.accounts.insert(record.name.clone(), record);
            let used = Use::new(now);
            state.sign_ins.insert(digest, SignIn { record: session, used, has_ended: Default::default() });
        })
        .await?;
        let csrf = Secret::new(csrf_of(&secret));
        Ok(SessionSecret { cookie: Secret::new(secret), csrf, expires_at, account: name })
    }

    /// Checks a one-time code or a recovery code, and notes that it is used.
    fn use_code(&self, record: &mut AccountRecord, code: &Secret, now: u64) -> Result<(), AccessError> {
        let name = record.name.clone();
        let Some(factor) = &mut record.second_factor else { return Ok(()) };
        let secret = self.open_second_factor(&name, factor)?;
        if let Some(step) = secret.step_of(code.reveal(), now, Some(factor.last_step)) {
            factor.last_step = step;
            return Ok(());
        }
        let digest = totp::recovery_digest(&name, code.reveal());
        let before = factor.recovery.len();
        factor.recovery.retain(|known| *known != digest);
        if factor.recovery.len() < before { Ok(()) } else { Err(AccessError::WrongSignIn) }
    }

    fn open_second_factor(
        &self,
        account: &str,
        factor: &SecondFactorRecord,
    ) -> Result<totp::Secret, AccessError> {
        let sealed = hex::decode(&factor.sealed).unwrap_or_default();
        let opened = self.0.sealer.open(&name_of_second_factor(account), &sealed);
        opened.map(totp::Secret::from_bytes).map_err(|error| {
            AccessError::Failed(format!("the second factor of {account} cannot be opened: {error}"))
        })
    }

    /// Sign-ins that have run out, and of this account those that are too many with one more.
    fn sign_ins_to_end(&self, account: &str, now: u64) -> Vec<SecretDigest> {
        let state = self.state();
        let ended = state.sign_ins.iter().filter(|(_, sign_in)| sign_in.ends_at() <= now);
        let mut ended: Vec<_> = ended.map(|(digest, _)| *digest).take(1000).collect();
        let mut of_account: Vec<_> = state
            .sign_ins
            .iter()
            .filter(|(_, sign_in)| sign_in.record.account == account && now < sign_in.ends_at())
            .map(|(digest, sign_in)| (sign_in.used.at(), *digest))
            .collect();
        of_account.sort_unstable_by_key(|(used, _)| *used);
        let surplus = (of_account.len() + 1).saturating_sub(MOST_SIGN_INS);
        ended.extend(of_account.into_iter().take(surplus).map(|(_, digest)| digest));
        ended
    }

    /// A refused sign-in is in the audit log if the account exists: invented names would fill it.
    pub(crate) fn note_refusal(&self, name: &str, origin: Option<IpAddr>, reason: &str) {
        let now = self.now();
        if !self.state().accounts.contains_key(name) {
            tracing::info!("a sign-in to an account that is not there was refused");
            return;
        }
        let nobody = Principal::granted("nobody", &[]).at(origin);
        let entry = nobody.audit_of(now, "account.sign_in", name, "", &format!("refused: {reason}"));
        self.0.journal.commit_later(vec![entry]);
    }

    /// All accounts, by their names.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`]
    pub fn list(&self, principal: &Principal) -> Result<Vec<api::Account>, AccessError> {
        principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        Ok(self.state().accounts.values().map(described).collect())
    }

    /// One account. Each may see its own.
    ///
    /// # Errors
    /// [`AccessError`]
    pub fn one(&self, principal: &Principal, name: &str) -> Result<api::Account, AccessError> {
        if principal.account() != Some(name) {
            principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        }
        let state = self.state();
        let account = state.accounts.get(name);
        account.map(described).ok_or_else(|| AccessError::NoSuchAccount(name.to_owned()))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn add(
        &self,
        principal: &Principal,
        request: api::AddAccount,
    ) -> Result<api::Account, AccessError> {
        principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        let api::AddAccount { name, password, grants } = request;
        if !principal.includes(&grants) {
            return Err(AccessError::MoreThanOwn);
        }
        if self.state().accounts.contains_key(&name) {
            return Err(AccessError::Exists(name));
        }
        let record = self.new_account(&name, password, grants).await?;
        let turn = self.turn().await;
        {
            let state = self.state();
            if state.accounts.contains_key(&name) {
                return Err(AccessError::Exists(name));
            }
            if state.accounts.is_empty() && !State::is_admin(&record) {
                return Err(AccessError::Grants(
                    "the first account needs the role admin everywhere: from then on each request needs a sign-in, and nobody else could make accounts",
                ));
            }
            if state.accounts.len() >= MOST_ACCOUNTS {
                return Err(AccessError::Full("the server has as many accounts as it may have; remove some"));
            }
        }
        let now = self.now();
        let set = vec![
            documents::put(DocumentKind::Account, &name, &record, now),
            principal.audit(now, "account.add", &name, grants_words(&record.grants)),
        ];
        let added = described(&record);
        self.change(turn, set, move |state| drop(state.accounts.insert(name, record))).await?;
        Ok(added)
    }

    /// Changes an account.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn edit(
        &self,
        principal: &Principal,
        name: &str,
        request: api::ChangeAccount,
    ) -> Result<api::Account, AccessError> {
        principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        let api::ChangeAccount { grants, password, disabled, second_factor } = request;
        if let Some(grants) = &grants {
            check_grants(grants)?;
            if !principal.includes(grants) {
                return Err(AccessError::MoreThanOwn);
            }
        }
        if second_factor == Some(true) {
            return Err(AccessError::SecondFactor(
                "only its owner can set a second factor up; it can be removed here",
            ));
        }
        let no_such = || AccessError::NoSuchAccount(name.to_owned());
        if self.state().accounts.get(name).ok_or_else(no_such)?.subject.is_some()
            && (password.is_some() || grants.is_some())
        {
            return Err(AccessError::Grants(
                "the identity provider says the password and the grants of this account; change them there",
            ));
        }
        let hash = match password {
            Some(password) => Some(self.hash(name, password).await?),
            None => None,
        };
        let turn = self.turn().await;
        let mut record = self.state().accounts.get(name).ok_or_else(no_such)?.clone();
        let mut words = Vec::new();
        if let Some(grants) = grants {
            words.push(grants_words(&grants));
            record.grants = grants;
        }
        // Sign-ins end with the password by which they were made.
        let ends = hash.is_some() || disabled == Some(true);
        if let Some(hash) = hash {
            words.push("a new password".to_owned());
            record.password_hash = Some(hash);
        }
        if let Some(disabled) = disabled {
            words.push(if disabled { "disabled" } else { "enabled" }.to_owned());
            record.disabled = disabled;
        }
        if second_factor == Some(false) {
            words.push("without its second factor".to_owned());
            record.second_factor = None;
        }
        if !State::is_admin(&record) && !self.state().has_other_admin(name) {
            return Err(AccessError::LastAdmin(name.to_owned()));
        }
        let now = self.now();
        let ended = if ends { self.state().sign_ins_of(name) } else { Vec::new() };
        let mut set: ChangeSet<'static> =
            ended.iter().map(|digest| documents::remove(DocumentKind::SignIn, &digest.key())).collect();
        set.push(documents::put(DocumentKind::Account, name, &record, now));
        set.push(principal.audit(now, "account.change", name, words.join("; ")));
        self.attempts().forget(name);
        self.links().forget(name);
        let changed = described(&record);
        self.change(turn, set, move |state| {
            state.end_sign_ins(&ended);
            state.end_streams(&record.name);
            state.accounts.insert(record.name.clone(), record);
        })
        .await?;
        Ok(changed)
    }

    /// Removes an account with its tokens and its sign-ins.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn remove(&self, principal: &Principal, name: &str) -> Result<(), AccessError> {
        principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        let turn = self.turn().await;
        let (sign_ins, tokens) = {
            let state = self.state();
            if !state.accounts.contains_key(name) {
                return Err(AccessError::NoSuchAccount(name.to_owned()));
            }
            if !state.has_other_admin(name) {
                return Err(AccessError::LastAdmin(name.to_owned()));
            }
            let tokens = state.tokens.iter().filter(|(_, token)| token.record.account == name);
            (state.sign_ins_of(name), tokens.map(|(digest, _)| *digest).collect::<Vec<_>>())
        };
        let mut set: ChangeSet<'static> = vec![
            documents::remove(DocumentKind::Account, name),
            principal.audit(self.now(), "account.remove", name, ""),
        ];
        set.extend(sign_ins.iter().map(|digest| documents::remove(DocumentKind::SignIn, &digest.key())));
        set.extend(tokens.iter().map(|digest| documents::remove(DocumentKind::Token, &digest.key())));
        self.attempts().forget(name);
        self.links().forget(name);
        self.prepared().remove(name);
        let name = name.to_owned();
        self.change(turn, set, move |state| {
            state.end_sign_ins(&sign_ins);
            state.end_tokens(&tokens);
            state.accounts.remove(&name);
        })
        .await?;
        Ok(())
    }

    /// Changes the password of one's own account. Its other sign-ins end.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn change_password(
        &self,
        principal: &Principal,
        cookie: Option<&str>,
        request: api::ChangePassword,
    ) -> Result<(), AccessError> {
        let api::ChangePassword { current, new } = request;
        let record = self.check_password(principal, current).await?;
        let hash = self.hash(&record.name, new).await?;
        let turn = self.turn().await;
        let mut record = self.current(&record)?;
        record.password_hash = Some(hash);
        let now = self.now();
        let own = cookie.map(SecretDigest::of);
        let mut ended = self.state().sign_ins_of(&record.name);
        ended.retain(|digest| Some(*digest) != own);
        let mut set: ChangeSet<'static> =
            ended.iter().map(|digest| documents::remove(DocumentKind::SignIn, &digest.key())).collect();
        set.push(documents::put(DocumentKind::Account, &record.name, &record, now));
        set.push(principal.audit(now, "account.password", &record.name, "by its owner"));
        self.links().forget(&record.name);
        self.change(turn, set, move |state| {
            state.end_sign_ins(&ended);
            state.accounts.insert(record.name.clone(), record);
        })
        .await?;
        Ok(())
    }

    /// Prepares a second factor for one's own account. It counts when a code of it was confirmed.
    ///
    /// # Errors
    /// [`AccessError`]
    pub fn prepare_second_factor(&self, principal: &Principal) -> Result<api::SecondFactor, AccessError> {
        let record = self.own(principal)?;
        if record.password_hash.is_none() {
            return Err(AccessError::SecondFactor(
                "the identity provider signs this account in; set a second factor up there",
            ));
        }
        if record.second_factor.is_some() {
            return Err(AccessError::SecondFactor("the account has a second factor; remove that first"));
        }
        let secret = totp::Secret::new()?;
        let shown = api::SecondFactor {
            secret: Secret::new(secret.text()),
            uri: Secret::new(secret.uri(&record.name)),
        };
        self.prepared().insert(record.name, secret);
        Ok(shown)
    }

    /// Confirms the second factor that was prepared, by a code of it.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn confirm_second_factor(
        &self,
        principal: &Principal,
        request: api::ConfirmSecondFactor,
    ) -> Result<api::RecoveryCodes, AccessError> {
        let record = self.own(principal)?;
        let attempt = self.attempts().begin(principal.origin(), None, self.now())?;
        let secret = self.prepared().get(&record.name).cloned();
        let secret = secret.ok_or(AccessError::SecondFactor(
            "no second factor is prepared, or the server was started anew since; prepare one",
        ))?;
        let now = self.now();
        let step = secret.step_of(request.code.reveal(), now, None).ok_or(AccessError::SecondFactor(
            "this is not the code that the authenticator shows now; check the clock of the device that it runs on",
        ))?;
        self.attempts().succeeded(attempt);
        let codes = totp::recovery_codes()?;
        let name = record.name.clone();
        let sealed = self.0.sealer.seal(&name_of_second_factor(&name), secret.bytes());
        let sealed = sealed.map_err(|error| AccessError::Failed(format!("{error:#}")))?;
        let turn = self.turn().await;
        let mut record = self.current(&record)?;
        record.second_factor = Some(SecondFactorRecord {
            sealed: hex::encode(&sealed),
            last_step: step,
            recovery: codes.iter().map(|code| totp::recovery_digest(&name, code)).collect(),
        });
        let set = vec![
            documents::put(DocumentKind::Account, &name, &record, now),
            principal.audit(now, "account.second_factor", &name, "set up by its owner"),
        ];
        self.prepared().remove(&name);
        self.change(turn, set, move |state| drop(state.accounts.insert(name, record))).await?;
        Ok(api::RecoveryCodes { codes: codes.into_iter().map(Secret::new).collect() })
    }

    /// Removes the second factor of one's own account.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn remove_second_factor(
        &self,
        principal: &Principal,
        request: api::RemoveSecondFactor,
    ) -> Result<(), AccessError> {
        let record = self.check_password(principal, request.password).await?;
        let turn = self.turn().await;
        let mut record = self.current(&record)?;
        if record.second_factor.take().is_none() {
            return Err(AccessError::SecondFactor("the account has no second factor"));
        }
        let (now, name) = (self.now(), record.name.clone());
        let set = vec![
            documents::put(DocumentKind::Account, &name, &record, now),
            principal.audit(now, "account.second_factor", &name, "removed by its owner"),
        ];
        self.change(turn, set, move |state| drop(state.accounts.insert(name, record))).await?;
        Ok(())
    }

    /// The tokens of one's own account; for who manages accounts, of all accounts.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`]
    pub fn tokens(&self, principal: &Principal) -> Result<Vec<api::Token>, AccessError> {
        let may_all = principal.may(Permission::ManageAccounts, Target::Server, &NoGroups);
        if principal.account().is_none() {
            may_all.clone()?;
        }
        let state = self.state();
        let seen = state
            .tokens
            .values()
            .filter(|token| may_all.is_ok() || principal.account() == Some(&token.record.account));
        let mut tokens: Vec<_> = seen.map(Token::described).collect();
        tokens.sort_unstable_by_key(|token| token.id);
        Ok(tokens)
    }

    /// Makes a token of one's own account. Its secret is in this answer alone.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn add_token(
        &self,
        principal: &Principal,
        request: api::AddToken,
    ) -> Result<api::NewToken, AccessError> {
        let api::AddToken { name, grants, expires_in } = request;
        if name.is_empty() || name.len() > MOST_NAME || name.chars().any(char::is_control) {
            return Err(AccessError::Name(
                "the name of a token has 1 to 64 bytes, without control characters",
            ));
        }
        if expires_in.is_some_and(|seconds| !(60..=LONGEST_TOKEN).contains(&seconds)) {
            return Err(AccessError::Lifetime(
                "expires_in is 60 to 315360000 seconds; without it the token doesn't expire",
            ));
        }
        let account = self.own(principal)?;
        let grants = grants.unwrap_or_else(|| account.grants.clone());
        check_grants(&grants)?;
        if !principal.includes(&grants) {
            return Err(AccessError::MoreThanOwn);
        }
        let secret = format!("{TOKEN_PREFIX}{}", super::random_secret()?);
        let digest = SecretDigest::of(&secret);
        let turn = self.turn().await;
        let now = self.now();
        let id = {
            let state = self.state();
            let of_account = state.tokens.values().filter(|token| token.record.account == account.name);
            if of_account.count() >= MOST_TOKENS {
                return Err(AccessError::Full(
                    "an account may have 100 tokens; remove those that nobody uses",
                ));
            }
            state.last_token + 1
        };
        let expires_at = expires_in.map(|seconds| now + seconds * 1000);
        let record = TokenRecord {
            id,
            name,
            account: account.name,
            grants,
            created_at: now,
            expires_at,
            last_used_at: None,
        };
        let detail = format!("token {id}, {:?}, {}", record.name, grants_words(&record.grants));
        let set = vec![
            documents::put(DocumentKind::Token, &digest.key(), &record, now),
            principal.audit(now, "token.add", &record.account, detail),
        ];
        let token = Token { record, used: Use::default(), has_ended: Default::default() };
        let described = token.described();
        self.change(turn, set, move |state| {
            state.last_token = state.last_token.max(id);
            state.tokens.insert(digest, token);
        })
        .await?;
        Ok(api::NewToken { token: described, secret: Secret::new(secret) })
    }

    /// Removes a token: one's own, or for who manages accounts, any.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn remove_token(&self, principal: &Principal, id: u64) -> Result<(), AccessError> {
        let may_all = principal.may(Permission::ManageAccounts, Target::Server, &NoGroups).is_ok();
        let turn = self.turn().await;
        let found = {
            let state = self.state();
            let mut seen = state
                .tokens
                .iter()
                .filter(|(_, token)| may_all || principal.account() == Some(&token.record.account));
            let found = seen.find(|(_, token)| token.record.id == id);
            found.map(|(digest, token)| (*digest, token.record.account.clone()))
        };
        let (digest, account) = found.ok_or(AccessError::NoSuchToken(id))?;
        let set = vec![
            documents::remove(DocumentKind::Token, &digest.key()),
            principal.audit(self.now(), "token.remove", &account, format!("token {id}")),
        ];
        Ok(self.change(turn, set, move |state| state.end_tokens(&[digest])).await?)
    }

    /// The own account of somebody who signed in: what a token could do to it, whoever finds the token could do.
    fn own(&self, principal: &Principal) -> Result<AccountRecord, AccessError> {
        if principal.by() != SignedInBy::Session {
            return Err(AccessError::NeedsSession(
                "this concerns the account of who signed in by name and password; a token, or a request without a sign-in, doesn't do",
            ));
        }
        let name = principal.account().unwrap_or_default();
        let state = self.state();
        state.accounts.get(name).cloned().ok_or_else(|| AccessError::NoSuchAccount(name.to_owned()))
    }

    /// The same under a turn, if the password has not changed meanwhile.
    fn current(&self, record: &AccountRecord) -> Result<AccountRecord, AccessError> {
        let state = self.state();
        let current = state.accounts.get(&record.name);
        let current = current.filter(|current| current.password_hash == record.password_hash);
        current.cloned().ok_or(AccessError::WrongSignIn)
    }

    /// The own account, whose password has to be right.
    async fn check_password(
        &self,
        principal: &Principal,
        password: Secret,
    ) -> Result<AccountRecord, AccessError> {
        let record = self.own(principal)?;
        let attempt = self.attempts().begin(principal.origin(), Some(&record.name), self.now())?;
        if !self.0.passwords.verify(record.password_hash.clone(), password).await? {
            return Err(AccessError::WrongSignIn);
        }
        self.attempts().succeeded(attempt);
        Ok(record)
    }

    async fn new_account(
        &self,
        name: &str,
        password: Secret,
        grants: Vec<Grant>,
    ) -> Result<AccountRecord, AccessError> {
        check_name(name)?;
        check_grants(&grants)?;
        let password_hash = Some(self.hash(name, password).await?);
        Ok(AccountRecord {
            name: name.to_owned(),
            grants,
            password_hash,
            second_factor: None,
            disabled: false,
            subject: None,
            created_at: self.now(),
            last_sign_in: None,
            last_address: None,
        })
    }

    async fn hash(&self, name: &str, password: Secret) -> Result<Secret, AccessError> {
        if !password::LENGTHS.contains(&password.reveal().len()) {
            return Err(AccessError::Password("a password has 12 to 1024 bytes"));
        }
        let lower = password.reveal().to_lowercase();
        let mut characters = lower.chars();
        let first = characters.next();
        if lower.contains(&name.to_lowercase()) && lower.len() < name.len() + 8 {
            return Err(AccessError::Password(
                "the password is the name of the account with little more; choose another one",
            ));
        }
        if characters.all(|character| Some(character) == first) {
            return Err(AccessError::Password(
                "the password is one character many times; choose another one",
            ));
        }
        Ok(Secret::new(self.0.passwords.hash(password).await?))
    }
}

impl Token {
    fn described(&self) -> api::Token {
        let TokenRecord { id, name, account, grants, created_at, expires_at, last_used_at: _ } = &self.record;
        api::Token {
            id: *id,
            name: name.clone(),
            account: account.clone(),
            grants: grants.clone(),
            created_at: *created_at,
            expires_at: *expires_at,
            last_used_at: Some(self.used.at()).filter(|at| *at > 0),
        }
    }
}

fn described(record: &AccountRecord) -> api::Account {
    api::Account {
        name: record.name.clone(),
        grants: record.grants.clone(),
        second_factor: record.second_factor.is_some(),
        disabled: record.disabled,
        external: record.subject.is_some(),
        created_at: record.created_at,
        last_sign_in: record.last_sign_in,
    }
}

fn grants_words(grants: &[Grant]) -> String {
    grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(", ")
}

fn check_name(name: &str) -> Result<(), AccessError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
    if name.is_empty() || name.len() > MOST_NAME || !name.bytes().all(is_plain) {
        return Err(AccessError::Name("the name of an account has 1 to 64 letters, digits, and . - _ @"));
    }
    if RESERVED.contains(&name) || name == "nobody" {
        return Err(AccessError::Name(
            "local, server, console and nobody are names of the audit log; choose another one",
        ));
    }
    Ok(())
}

fn check_grants(grants: &[Grant]) -> Result<(), AccessError> {
    if grants.is_empty() || grants.len() > MOST_GRANTS {
        return Err(AccessError::Grants("1 to 100 grants are needed, as in {\"role\": \"viewer\"}"));
    }
    let is_group =
        |name: &String| !name.is_empty() && name.len() <= MOST_NAME && !name.chars().any(char::is_control);
    if !grants.iter().filter_map(|grant| grant.group.as_ref()).all(is_group) {
        return Err(AccessError::Grants("the name of a group has 1 to 64 bytes, without control characters"));
    }
    Ok(())
}
