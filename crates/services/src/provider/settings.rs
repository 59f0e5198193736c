//! What the operator of the machine says of the provider.

use std::fmt;
use std::str::FromStr;

use buoy_api::{Grant, Secret};
use hyper::Uri;

use super::{CALLBACK, grants_of};

/// A provider, and what its groups may do here.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Its name on the page.
    pub name: String,
    /// Its issuer identifier: a URL.
    pub issuer: String,
    /// The server's name at the provider.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// The claim with a person's groups.
    pub groups_claim: String,
    /// The claim with the name of the account.
    pub name_claim: String,
    /// What groups may do.
    pub roles: Vec<RoleRule>,
    /// The URL by which browsers reach the interface; without it, what a request says.
    pub interface_url: Option<String>,
    /// `http` or `https`, of the interface.
    pub scheme: &'static str,
}

impl ProviderSettings {
    /// Whether an issuer can be one: a URL of HTTPS, or of HTTP on this machine, without a query.
    #[must_use]
    pub fn is_issuer(text: &str) -> bool {
        is_secure(text) && !text.contains(['?', '#'])
    }

    /// The host that the operator of the machine has named: it is reached wherever it is.
    pub(super) fn issuer_host(&self) -> String {
        let uri = self.issuer.parse::<Uri>().unwrap_or_default();
        uri.host().unwrap_or_default().to_owned()
    }

    /// Where the provider sends browsers back to.
    pub(super) fn redirect_uri(&self, host: &str) -> Option<String> {
        if let Some(url) = &self.interface_url {
            return Some(format!("{}{CALLBACK}", url.trim_end_matches('/')));
        }
        let uri = Uri::builder().scheme(self.scheme).authority(host).path_and_query(CALLBACK).build().ok()?;
        (!host.contains('@')).then(|| uri.to_string())
    }

    pub(super) fn scopes(&self) -> String {
        let others = self.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn grants(&self, groups: &[String]) -> Vec<Grant> {
        grants_of(&self.roles, groups)
    }
}

/// Whether a URL is one of HTTPS, or of HTTP on this machine, where nobody is between.
pub(super) fn is_secure(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here =
        bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    !has_user && (uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && is_here)
}

/// A group of the provider, and what it may do here: `GROUP=GRANT`, as in `staff=viewer` and `north-ops=operator@north`. The group `*` is everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    pub(super) group: String,
    pub(super) grant: Grant,
}

/// Why a text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRule;

impl fmt::Display for NoRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "is no GROUP=ROLE; write it as in staff=viewer, north-ops=operator@north or *=viewer (everybody)",
        )
    }
}

impl std::error::Error for NoRule {}

impl FromStr for RoleRule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        // A group may be a name of LDAP, which has equals signs.
        let (group, grant) = text.rsplit_once('=').ok_or(NoRule)?;
        let (group, grant) = (group.trim(), grant.trim().parse().map_err(|_| NoRule)?);
        if group.is_empty() { Err(NoRule) } else { Ok(Self { group: group.to_owned(), grant }) }
    }
}
