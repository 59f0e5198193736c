//! Documents of the store, as changes: a record in JSON under its kind and name.

use buoy_store::{Change, DocumentChange, DocumentKind, DocumentRow};
use serde::Serialize;

/// Saves a record under a name.
pub(crate) fn put(kind: DocumentKind, name: &str, record: &impl Serialize, at: u64) -> Change<'static> {
    // Plain records always have a JSON form.
    let body = serde_json::to_vec(record).unwrap_or_default();
    Change::Document(DocumentChange::Put(DocumentRow { kind, name: name.to_owned(), body, changed_at: at }))
}

/// Removes the record of a name.
pub(crate) fn remove(kind: DocumentKind, name: &str) -> Change<'static> {
    Change::Document(DocumentChange::Remove { kind, name: name.to_owned() })
}
