//! The audit log: each change has an entry that was committed with it.

use std::sync::Arc;

use buoy_api as api;
use buoy_store::{AuditFilter, AuditRow, Page, StoreError};

use crate::app::App;

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this principal.
    pub principal: Option<String>,
    /// Only of this action, or of all that begin with it and a dot.
    pub action: Option<String>,
    /// Only on this.
    pub target: Option<String>,
}

/// Entries, the newest first, below the id `after`.
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
