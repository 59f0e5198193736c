//! Links that sign a browser in: made by who manages accounts, for one use within minutes. They are in memory alone, as digests.

use std::collections::HashMap;
use std::net::IpAddr;

use buoy_api::{self as api, Secret};

use super::records::SecretDigest;
use super::{AccessError, Accounts, SessionSecret};
use crate::access::{NoGroups, Permission, Target};
use crate::principal::Principal;

/// How long a link counts; milliseconds.
const LASTS: u64 = 10 * 60 * 1000;
/// Links that count at a time.
const MOST: usize = 1000;

/// The links that were made and not used.
#[derive(Default)]
pub(super) struct Links(HashMap<SecretDigest, Link>);

struct Link {
    account: String,
    ends_at: u64,
}

impl Links {
    /// Whether there was room for it.
    fn add(&mut self, digest: SecretDigest, link: Link, now: u64) -> bool {
        self.0.retain(|_, link| now < link.ends_at);
        let has_room = self.0.len() < MOST;
        if has_room {
            self.0.insert(digest, link);
        }
        has_room
    }

    /// The account of a link, which counts no more from now on.
    fn use_up(&mut self, digest: &SecretDigest, now: u64) -> Option<String> {
        self.0.remove(digest).filter(|link| now < link.ends_at).map(|link| link.account)
    }

    /// Ends the links of an account.
    pub(super) fn forget(&mut self, account: &str) {
        self.0.retain(|_, link| link.account != account);
    }
}

impl Accounts {
    /// Makes a link that signs a browser in to an account once, within ten minutes. Who may give an account a new password could sign in to it
    /// in any case; a second factor and an identity provider are not passed by.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn make_sign_in_link(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<api::SignInLink, AccessError> {
        principal.may(Permission::ManageAccounts, Target::Server, &NoGroups)?;
        let record = self.state().accounts.get(name).cloned();
        let record = record.ok_or_else(|| AccessError::NoSuchAccount(name.to_owned()))?;
        if !principal.includes(&record.grants) {
            return Err(AccessError::MoreThanOwn);
        }
        if record.second_factor.is_some() {
            return Err(AccessError::SecondFactor(
                "the account has a second factor, which a link would pass by; sign in with name, password and code",
            ));
        }
        if record.subject.is_some() {
            return Err(AccessError::SecondFactor(
                "the identity provider signs this account in; a link would pass it by",
            ));
        }
        let secret = super::random_secret()?;
        let now = self.now();
        let expires_at = now + LASTS;
        let turn = self.turn().await;
        let set =
            vec![principal.audit(now, "account.sign_in_link", name, "for one sign-in within ten minutes")];
        self.change(turn, set, |_| ()).await?;
        let link = Link { account: name.to_owned(), ends_at: expires_at };
        if !self.links().add(SecretDigest::of(&secret), link, now) {
            return Err(AccessError::Full("there are too many links that count; try again in ten minutes"));
        }
        Ok(api::SignInLink { account: name.to_owned(), token: Secret::new(secret), expires_at })
    }

    /// Signs in by the token of a link.
    ///
    /// # Errors
    /// [`AccessError`]
    pub async fn sign_in_by_link(
        &self,
        origin: Option<IpAddr>,
        request: &api::SignInByLink,
    ) -> Result<SessionSecret, AccessError> {
        const NONE: AccessError = AccessError::Link(
            "this link counts no more: it was used, is older than ten minutes, or the server was started anew since. Ask an admin for another one (`buoy ctl account link NAME`), or sign in by name and password",
        );
        let attempt = self.attempts().begin(origin, None, self.now())?;
        let digest = SecretDigest::of(request.token.reveal().trim());
        let account = self.links().use_up(&digest, self.now()).ok_or(NONE)?;
        self.attempts().succeeded(attempt);
        let record = self.state().accounts.get(&account).filter(|account| !account.disabled).cloned();
        self.start_session(record.ok_or(NONE)?, origin, None, "by a link").await
    }
}
