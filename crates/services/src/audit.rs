//! The audit log: each change has an entry that is committed with it.

use std::sync::Arc;

use buoy_api as api;
use buoy_store::{AuditFilter, AuditRow, Page, StoreError};

use crate::app::App;

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

/// Entries with an id less than `after`, the newest first.
///
/// # Errors
/// If the store can't be read.
pub async fn list(
    app: &Arc<App>,
    filter: Filter,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::AuditEntry>, StoreError> {
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

fn entry(row: AuditRow) -> api::AuditEntry {
    let AuditRow { id, at, principal, origin, action, target, detail, result } = row;
    api::AuditEntry { id, at, principal, origin, action, target, detail, result }
}
