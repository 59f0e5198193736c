//! The audit log: each change has an entry that is committed with it.

use std::sync::Arc;

use buoy_api as api;
use buoy_store::{AuditFilter, AuditReport, AuditRow, Page, StoreError, verify_audit};

use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::hex;
use crate::principal::Principal;

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only entries of this principal.
    pub principal: Option<String>,
    /// Only entries of this action, or of all actions that begin with it and a dot.
    pub action: Option<String>,
    /// Only entries about this target.
    pub target: Option<String>,
}

/// Checks the hashes of the whole audit log.
///
/// # Errors
/// [`AuditError`]
pub async fn chain(app: &Arc<App>, principal: &Principal) -> Result<api::AuditChain, AuditError> {
    app.permit(principal, Permission::ReadAudit, Target::Server).await?;
    let report = app.read_history(|store| verify_audit(store, None)).await?;
    Ok(described(&report))
}

/// What a check of the log found.
#[must_use]
pub fn described(report: &AuditReport) -> api::AuditChain {
    api::AuditChain {
        intact: report.faults.is_empty(),
        entries: report.checked,
        without_hash: report.without_hash,
        last: report.head.last,
        head: hex::encode(&report.head.hash),
        faults: report.faults.iter().map(ToString::to_string).collect(),
    }
}

/// Why the audit log was not read.
#[derive(Debug)]
pub enum AuditError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// The store could not be read.
    Store(StoreError),
}

impl std::fmt::Display for AuditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AuditError {}

impl From<Forbidden> for AuditError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Entries with an id less than `after`, the newest first.
///
/// # Errors
/// [`AuditError`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    filter: Filter,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::AuditEntry>, AuditError> {
    app.permit(principal, Permission::ReadAudit, Target::Server).await?;
    let page = Page { before: after.unwrap_or(u64::MAX), limit };
    let rows = app
        .read(move |store| {
            let Filter { principal, action, target } = &filter;
            let filter = AuditFilter {
                principal: principal.as_deref(),
                action: action.as_deref(),
                target: target.as_deref(),
            };
            store.audit(&filter, page)
        })
        .await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    Ok(api::Page { items: rows.into_iter().map(entry).collect(), next })
}

/// An entry as `/api/v1` shows it.
#[must_use]
pub fn entry(row: AuditRow) -> api::AuditEntry {
    let AuditRow { id, at, principal, origin, action, target, detail, result } = row;
    api::AuditEntry { id, at, principal, origin, action, target, detail, result }
}
