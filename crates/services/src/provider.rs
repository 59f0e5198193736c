//! Sign-in by an identity provider: OpenID Connect Core 1.0, authorization code flow (section 3.1) with PKCE (RFC 7636).
//!
//! A sign-in that was begun is kept by the browser alone, in a cookie that this run of the server can check. State, nonce and code verifier are
//! derived from the cookie, so an answer counts only in the browser that asked for it, and nobody fills the memory of the server.

mod answers;
mod attempt;
mod fetch;
mod id_token;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use buoy_api::{Grant, Secret};
use buoy_net::clock::Clock;
use jsonwebtoken::jwk::JwkSet;

use crate::accounts::{AccessError, Accounts, SessionSecret};
use crate::alerts::Network;
use answers::{Metadata, TokenAnswer};
use attempt::{Attempt, Keys};
use fetch::Fetcher;
use id_token::{Claims, Expected};

pub use settings::{NoRule, ProviderSettings, RoleRule};

/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/api/v1/sign-in/callback";
/// How long what the provider says of itself is used.
const METADATA_AGE: Duration = Duration::from_secs(3600);
/// How long a provider that failed is not asked again: who opens the sign-in many times does not make the server ask many times.
const PAUSE: Duration = Duration::from_secs(3);
/// Groups of a person that a refusal names.
const MOST_NAMED: usize = 5;

/// The provider. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Provider(Arc<Shared>);

struct Shared {
    settings: ProviderSettings,
    accounts: Accounts,
    fetcher: Fetcher,
    keys: Keys,
    clock: Clock,
    known: Mutex<Known>,
    /// Held by who asks the provider for its metadata.
    asking: tokio::sync::Mutex<()>,
}

/// What the provider said of itself.
#[derive(Default)]
struct Known {
    metadata: Option<(Instant, Arc<Metadata>)>,
    failed: Option<(Instant, Fault)>,
    signing_keys: Option<Arc<JwkSet>>,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// What it keeps until it comes back.
    pub cookie: Secret,
}

/// With what a browser comes back.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    /// The authorization code.
    pub code: Option<Secret>,
    /// The state that was sent.
    pub state: Option<String>,
    /// Why the provider refused, as a word of RFC 6749, section 4.1.2.1.
    pub error: Option<String>,
    /// The same for people.
    pub error_description: Option<String>,
    /// The provider (RFC 9207).
    pub issuer: Option<String>,
}

/// What is wrong with a provider.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It can't be reached, or does not answer in time.
    Away(String),
    /// Its answer can't be believed, or is none.
    Wrong(String),
}

/// Why nobody was signed in.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProviderError {
    /// No provider is set up.
    NotSetUp,
    /// The server has no account yet.
    NoAccount,
    /// The address of the interface can't be told to the provider.
    Interface,
    /// The browser did not begin this sign-in, or too long ago.
    NotBegun(&'static str),
    /// The provider refused.
    Refused(String),
    /// The provider failed.
    Provider(Fault),
    /// The person has no role here.
    NoRole {
        /// Who it is.
        name: String,
        /// The groups that the provider told.
        groups: Vec<String>,
    },
    /// The account can't be used.
    Access(AccessError),
}

impl Provider {
    /// A provider. Nothing is asked of it before somebody signs in.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new(
        settings: ProviderSettings,
        accounts: Accounts,
        allowed: Vec<Network>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let fetcher = Fetcher::new(settings.issuer_host(), allowed);
        let keys = Keys::random()?;
        Ok(Self(Arc::new(Shared {
            settings,
            accounts,
            fetcher,
            keys,
            clock,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })))
    }

    /// Its name, as a page shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// Begins a sign-in. `host` is the header of the request.
    ///
    /// # Errors
    /// [`ProviderError`]
    pub async fn begin(&self, host: &str) -> Result<Begun, ProviderError> {
        self.check_accounts()?;
        let settings = &self.0.settings;
        let redirect = settings.redirect_uri(host).ok_or(ProviderError::Interface)?;
        let metadata = self.metadata().await?;
        let attempt = Attempt::begin(&self.0.keys, self.0.clock.date()).map_err(AccessError::from)?;
        let scope = settings.scopes();
        let query = fetch::form(&[
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &redirect),
            ("scope", &scope),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = &metadata.authorization_endpoint;
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Begun { location: format!("{endpoint}{separator}{query}"), cookie: attempt.cookie })
    }

    /// Ends a sign-in: exchanges the code, checks what the provider says, and signs in who it is.
    ///
    /// # Errors
    /// [`ProviderError`]
    pub async fn finish(
        &self,
        origin: Option<IpAddr>,
        host: &str,
        cookie: Option<&str>,
        callback: Callback,
    ) -> Result<SessionSecret, ProviderError> {
        self.check_accounts()?;
        let attempt = self.resume(cookie, &callback)?;
        let code = self.code_of(callback)?;
        // One sign-in that was begun can be ended with any number of wrong codes, and the provider is asked about each.
        self.0.accounts.counted(origin, self.exchange_and_check(origin, host, &attempt, code)).await
    }

    async fn exchange_and_check(
        &self,
        origin: Option<IpAddr>,
        host: &str,
        attempt: &Attempt,
        code: Secret,
    ) -> Result<SessionSecret, ProviderError> {
        let metadata = self.metadata().await?;
        let redirect = self.0.settings.redirect_uri(host).ok_or(ProviderError::Interface)?;
        let answer = self.exchange(&metadata, &code, attempt, &redirect).await?;
        let claims = self.check(&metadata, answer.id_token.reveal(), attempt).await?;
        let person = self.person(&metadata, claims, answer.access_token.as_ref()).await?;
        let accounts = &self.0.accounts;
        let settings = &self.0.settings;
        let grants = settings.grants(&person.groups);
        let subject = format!("{} {}", settings.issuer, person.subject);
        if grants.is_empty() {
            // Who had a role may have lost it.
            accounts.lose_grants(origin, &subject).await?;
            accounts.note_refusal(&person.name, origin, "no group of it has a role");
            let groups = person.groups.into_iter().take(MOST_NAMED).collect();
            return Err(ProviderError::NoRole { name: person.name, groups });
        }
        Ok(accounts.sign_in_external(origin, &subject, &person.name, grants).await?)
    }

    /// Where a browser ends its sign-in at the provider, if that is known and offered (OpenID Connect RP-Initiated Logout 1.0).
    #[must_use]
    pub fn sign_out_uri(&self) -> Option<String> {
        let (_, metadata) = self.known().metadata.clone()?;
        let endpoint = metadata.end_session_endpoint.as_ref()?;
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Some(format!("{endpoint}{separator}{}", fetch::form(&[("client_id", &self.0.settings.client_id)])))
    }

    /// The first account is made by the one-time token: else whoever comes first by the provider would take the server.
    fn check_accounts(&self) -> Result<(), ProviderError> {
        if self.0.accounts.is_empty() { Err(ProviderError::NoAccount) } else { Ok(()) }
    }

    /// The sign-in that this browser began.
    fn resume(&self, cookie: Option<&str>, callback: &Callback) -> Result<Attempt, ProviderError> {
        let cookie = cookie.ok_or(ProviderError::NotBegun("this browser has not begun a sign-in"))?;
        let attempt = Attempt::resume(&self.0.keys, cookie, self.0.clock.date())?;
        let state = callback.state.as_deref().unwrap_or_default();
        if !attempt::is_same(&attempt.state, state) {
            return Err(ProviderError::NotBegun(
                "the state is not that of the sign-in that this browser began",
            ));
        }
        match &callback.issuer {
            Some(issuer) if *issuer != self.0.settings.issuer => {
                Err(wrong("the answer is of another issuer than the one that was asked").into())
            }
            _ => Ok(attempt),
        }
    }

    fn code_of(&self, callback: Callback) -> Result<Secret, ProviderError> {
        if let Some(error) = callback.error {
            let words = [Some(error), callback.error_description].into_iter().flatten();
            return Err(ProviderError::Refused(
                words.map(|text| harmless(&text)).collect::<Vec<_>>().join(": "),
            ));
        }
        callback.code.ok_or_else(|| wrong("its answer has neither a code nor an error").into())
    }

    /// What the provider says of itself (OpenID Connect Discovery 1.0, section 4).
    async fn metadata(&self) -> Result<Arc<Metadata>, Fault> {
        let _turn = self.0.asking.lock().await;
        {
            let known = self.known();
            match (&known.metadata, &known.failed) {
                (Some((at, metadata)), _) if at.elapsed() < METADATA_AGE => return Ok(metadata.clone()),
                (_, Some((at, fault))) if at.elapsed() < PAUSE => return Err(fault.clone()),
                _ => {}
            }
        }
        let read = self.read_metadata().await;
        let mut known = self.known();
        match read {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                known.metadata = Some((Instant::now(), metadata.clone()));
                Ok(metadata)
            }
            Err(fault) => {
                tracing::warn!(%fault, "the identity provider does not say how to sign in");
                known.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    async fn read_metadata(&self) -> Result<Metadata, Fault> {
        let issuer = &self.0.settings.issuer;
        let uri = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let body = self.0.fetcher.get(&uri, None).await?;
        Metadata::parse(&body, issuer)
    }

    /// Exchanges the code (section 3.1.3).
    async fn exchange(
        &self,
        metadata: &Metadata,
        code: &Secret,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<TokenAnswer, ProviderError> {
        let settings = &self.0.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.reveal()),
            ("redirect_uri", redirect),
            ("code_verifier", attempt.verifier.reveal()),
        ];
        let mut basic = None;
        match &settings.client_secret {
            Some(secret) if metadata.takes_basic() => basic = Some((settings.client_id.as_str(), secret)),
            Some(secret) => {
                form.extend([("client_id", &*settings.client_id), ("client_secret", secret.reveal())])
            }
            None => form.push(("client_id", &settings.client_id)),
        }
        let body = fetch::form(&form);
        let (status, answer) = self.0.fetcher.post(&metadata.token_endpoint, body, basic).await?;
        answers::token(status, &answer)
    }

    /// Checks the ID token. A key that is not known may be new: then the keys are read once more.
    async fn check(
        &self,
        metadata: &Metadata,
        token: &str,
        attempt: &Attempt,
    ) -> Result<Claims, ProviderError> {
        let settings = &self.0.settings;
        let expected = Expected {
            issuer: &settings.issuer,
            client: &settings.client_id,
            nonce: &attempt.nonce,
            now: self.0.clock.date() / 1000,
        };
        let known = self.known().signing_keys.clone();
        if let Some(keys) = known {
            match id_token::check(token, &keys, &expected) {
                Err(id_token::Refusal::Key(_)) => {}
                other => return other.map_err(|refusal| wrong(refusal.to_string()).into()),
            }
        }
        let body = self.0.fetcher.get(&metadata.jwks_uri, None).await?;
        let keys = Arc::new(answers::keys(&body)?);
        self.known().signing_keys = Some(keys.clone());
        id_token::check(token, &keys, &expected).map_err(|refusal| wrong(refusal.to_string()).into())
    }

    /// Who it is. What the ID token does not tell, the UserInfo endpoint may (section 5.3).
    async fn person(
        &self,
        metadata: &Metadata,
        claims: Claims,
        access: Option<&Secret>,
    ) -> Result<Person, ProviderError> {
        let settings = &self.0.settings;
        let subject = claims.subject;
        let mut name = answers::text_at(&claims.all, &settings.name_claim);
        let mut groups = answers::texts_at(&claims.all, &settings.groups_claim);
        if let (true, Some(uri), Some(access)) =
            (name.is_none() || groups.is_none(), &metadata.userinfo_endpoint, access)
        {
            let body = self.0.fetcher.get(uri, Some(access)).await?;
            let told = answers::userinfo(&body, &subject)?;
            name = name.or_else(|| answers::text_at(&told, &settings.name_claim));
            groups = groups.or_else(|| answers::texts_at(&told, &settings.groups_claim));
        }
        let name = name.ok_or_else(|| {
            let claim = &settings.name_claim;
            wrong(format!("it tells no {claim} of this person; choose another claim with --oidc-name-claim"))
        })?;
        Ok(Person { subject, name, groups: groups.unwrap_or_default() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who signs in.
struct Person {
    subject: String,
    name: String,
    groups: Vec<String>,
}

fn wrong(reason: impl Into<String>) -> Fault {
    Fault::Wrong(reason.into())
}

/// A foreign text, short enough and without control characters.
fn harmless(text: &str) -> String {
    let short: String = text.chars().take(200).collect();
    buoy_lwm2m::text::harmless(&short).to_string()
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(reason) => {
                write!(f, "the identity provider can't be reached: {reason}; try again later")
            }
            Self::Wrong(reason) => {
                write!(f, "what the identity provider says can't be believed: {reason}")
            }
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSetUp => f.write_str(
                "no identity provider is set up; sign in by name and password, or start the server with --oidc-issuer",
            ),
            Self::NoAccount => f.write_str(
                "the server has no account yet; make the first one with the one-time token that it printed at its start",
            ),
            Self::Interface => f.write_str(
                "the address of this interface is not known: the header Host is no host; give it with --oidc-interface-url",
            ),
            Self::NotBegun(reason) => write!(f, "{reason}; begin again at the sign-in"),
            Self::Refused(reason) => write!(f, "the identity provider refused the sign-in ({reason})"),
            Self::Provider(fault) => fault.fmt(f),
            Self::NoRole { name, groups } if groups.is_empty() => write!(
                f,
                "{}: the identity provider tells no groups of this person, so there is no role; see --oidc-role and --oidc-groups-claim",
                harmless(name)
            ),
            Self::NoRole { name, groups } => write!(
                f,
                "{}: none of the groups ({}) has a role on this server; ask an admin",
                harmless(name),
                harmless(&groups.join(", "))
            ),
            Self::Access(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for ProviderError {}

impl From<Fault> for ProviderError {
    fn from(fault: Fault) -> Self {
        Self::Provider(fault)
    }
}

impl From<AccessError> for ProviderError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

/// The grants of the rules that a person's groups match.
fn grants_of(rules: &[RoleRule], groups: &[String]) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.group == "*" || groups.contains(&rule.group)) {
        if !grants.contains(&rule.grant) {
            grants.push(rule.grant.clone());
        }
    }
    grants
}
