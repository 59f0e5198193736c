//! Principals: the first argument of each command, and a column of the audit log.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use buoy_api::{Grant, SignedInBy};
use buoy_store::{AuditRow, Change};

use crate::access::{Forbidden, Membership, Permission, Powers, Reach, Target};

/// The author of a command, its address, and what it may do.
#[derive(Clone, Debug)]
pub struct Principal {
    name: Arc<str>,
    account: Option<Arc<str>>,
    origin: Option<IpAddr>,
    powers: Powers,
    by: SignedInBy,
    /// The sign-in or the token by which it came.
    validity: Option<Validity>,
}

/// Until when a sign-in or a token counts. Shared by all requests that came by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validity {
    pub(crate) has_ended: Arc<AtomicBool>,
    /// Milliseconds since the epoch.
    pub(crate) until: Option<u64>,
}

impl Principal {
    /// A user of this machine: while there is no account, everybody who reaches the interface from it.
    #[must_use]
    pub fn local(origin: Option<IpAddr>) -> Self {
        Self {
            name: "local".into(),
            account: None,
            origin,
            powers: Powers::All,
            by: SignedInBy::Loopback,
            validity: None,
        }
    }

    /// The server itself, for example when a device's first use of a new key removes the old one.
    #[must_use]
    pub fn server() -> Self {
        Self {
            name: "server".into(),
            account: None,
            origin: None,
            powers: Powers::All,
            by: SignedInBy::Loopback,
            validity: None,
        }
    }

    /// A campaign, which orders updates by itself.
    #[must_use]
    pub(crate) fn campaign(id: u64, name: &str) -> Self {
        Self { name: format!("campaign {id} ({name})").into(), ..Self::server() }
    }

    /// A job, which gives commands to devices by itself.
    #[must_use]
    pub(crate) fn job(id: u64, name: &str) -> Self {
        Self { name: format!("job {id} ({name})").into(), ..Self::server() }
    }

    /// What keeps devices in their desired state.
    #[must_use]
    pub(crate) fn desired_state() -> Self {
        Self { name: "desired state".into(), ..Self::server() }
    }

    /// Somebody with access to the data folder: `buoy admin`.
    #[must_use]
    pub fn console() -> Self {
        Self {
            name: "console".into(),
            account: None,
            origin: None,
            powers: Powers::All,
            by: SignedInBy::Loopback,
            validity: None,
        }
    }

    /// Somebody with these grants: for tests of services.
    #[must_use]
    pub fn granted(name: &str, grants: &[Grant]) -> Self {
        let powers = Powers::Granted(grants.into());
        let (account, by) = (Some(name.into()), SignedInBy::Session);
        Self { name: name.into(), account, origin: None, powers, by, validity: None }
    }

    /// The same from an address.
    pub(crate) fn at(self, origin: Option<IpAddr>) -> Self {
        Self { origin, ..self }
    }

    /// Whoever signed in to an account, or has a token of it.
    pub(crate) fn signed_in(
        name: Arc<str>,
        account: Arc<str>,
        origin: Option<IpAddr>,
        powers: Powers,
        by: SignedInBy,
        validity: Validity,
    ) -> Self {
        Self { name, account: Some(account), origin, powers, by, validity: Some(validity) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The person or program that it is, whatever it signed in with.
    pub(crate) fn person(&self) -> String {
        self.account().unwrap_or(self.name()).to_owned()
    }

    /// The account, if it has one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// How it came.
    #[must_use]
    pub fn by(&self) -> SignedInBy {
        self.by
    }

    /// When its sign-in or its token ends; milliseconds since the epoch.
    #[must_use]
    pub fn ends_at(&self) -> Option<u64> {
        self.validity.as_ref().and_then(|validity| validity.until)
    }

    /// Its address, if it is known.
    #[must_use]
    pub fn origin(&self) -> Option<IpAddr> {
        self.origin
    }

    /// What it may do.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        self.powers.grants()
    }

    /// Whether it may do this.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn may(
        &self,
        permission: Permission,
        target: Target<'_>,
        members: &dyn Membership,
    ) -> Result<(), Forbidden> {
        if self.powers.cover(permission, target, members) {
            return Ok(());
        }
        Err(Forbidden::new(&self.name, permission, target))
    }

    /// How far it reaches for a permission.
    #[must_use]
    pub fn reach(&self, permission: Permission) -> Reach {
        self.powers.reach(permission)
    }

    /// The groups to which it is limited for a permission.
    pub(crate) fn groups(&self, permission: Permission) -> Vec<String> {
        self.powers.groups(permission)
    }

    /// Whether it has all that these grants have.
    pub(crate) fn includes(&self, grants: &[Grant]) -> bool {
        self.powers.include(grants)
    }

    /// Whether its sign-in or its token still counts: what goes on for long asks again.
    #[must_use]
    pub fn is_valid(&self, now: u64) -> bool {
        self.validity.as_ref().is_none_or(|validity| {
            !validity.has_ended.load(Ordering::Relaxed) && validity.until.is_none_or(|until| now < until)
        })
    }

    /// The audit entry for a change by this principal. It belongs into the same change set.
    pub(crate) fn audit(
        &self,
        at: u64,
        action: &str,
        target: &str,
        detail: impl Into<String>,
    ) -> Change<'static> {
        self.audit_of(at, action, target, detail, "ok")
    }

    /// The audit entry for what was refused, with the reason.
    pub(crate) fn audit_of(
        &self,
        at: u64,
        action: &str,
        target: &str,
        detail: impl Into<String>,
        result: &str,
    ) -> Change<'static> {
        Change::Audit(AuditRow {
            id: 0,
            at,
            principal: self.name.to_string(),
            origin: self.origin.map(|address| address.to_string()).unwrap_or_default(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: detail.into(),
            result: result.to_owned(),
        })
    }
}
