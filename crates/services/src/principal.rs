//! Principals: the first argument of each command, and a column of the audit log.

use std::net::IpAddr;
use std::sync::Arc;

use buoy_store::{AuditRow, Change};

/// The author of a command, and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: Arc<str>,
    origin: Option<IpAddr>,
}

impl Principal {
    /// A user of this machine: while there is no sign-in, everybody who reaches the interface.
    #[must_use]
    pub fn local(origin: Option<IpAddr>) -> Self {
        Self { name: "local".into(), origin }
    }

    /// The server itself, for example when a device's first use of a new key removes the old one.
    #[must_use]
    pub fn server() -> Self {
        Self { name: "server".into(), origin: None }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The audit entry for a change by this principal. It belongs into the same change set.
    pub(crate) fn audit(
        &self,
        at: u64,
        action: &str,
        target: &str,
        detail: impl Into<String>,
    ) -> Change<'static> {
        Change::Audit(AuditRow {
            id: 0,
            at,
            principal: self.name.to_string(),
            origin: self.origin.map(|address| address.to_string()).unwrap_or_default(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: detail.into(),
            result: "ok".to_owned(),
        })
    }
}
