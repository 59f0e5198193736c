//! Revisions of what operators set up, so that two who edit the same thing notice it.
//!
//! A revision is a hash of what operators set of a campaign, a group or a desired state. What devices do, as the counts of a group, is no part of it.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::hex;

/// Bytes of the hash.
const LENGTH: usize = 6;

/// The revision of what operators set.
pub(crate) fn of(set: &impl Serialize) -> String {
    // Writing to memory fails for no type that is saved.
    let text = serde_json::to_vec(set).unwrap_or_default();
    Sha256::digest(text).get(..LENGTH).map(hex::encode).unwrap_or_default()
}

/// Which revision an edit is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any: the edit is made on whatever is there.
    #[default]
    Any,
    /// None: the edit makes a new thing.
    Absent,
    /// Something that exists.
    Existing,
    /// One of these.
    OneOf(Vec<String>),
}

/// What was to be edited has been changed since it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "it is not as you expect, since somebody else has changed it; read it again, and then change it",
        )
    }
}

impl std::error::Error for Changed {}

impl Expected {
    /// Compares with the revision that is there; `None` if nothing is.
    pub(crate) fn check(&self, current: Option<&str>) -> Result<(), Changed> {
        let is_so = match (self, current) {
            (Self::Any, _) | (Self::Absent, None) | (Self::Existing, Some(_)) => true,
            (Self::OneOf(revisions), Some(current)) => revisions.iter().any(|one| one == current),
            (Self::Absent, Some(_)) | (Self::Existing | Self::OneOf(_), None) => false,
        };
        if is_so { Ok(()) } else { Err(Changed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_made_on_what_it_expects_only() {
        let revision = of(&("north", 1));
        assert_eq!(revision.len(), 2 * LENGTH);
        assert_ne!(revision, of(&("north", 2)));
        let one = Expected::OneOf(vec!["other".into(), revision.clone()]);
        assert_eq!(one.check(Some(&revision)), Ok(()));
        assert_eq!(one.check(Some("else")), Err(Changed));
        assert_eq!(one.check(None), Err(Changed));
        assert_eq!(Expected::Any.check(None), Ok(()));
        assert_eq!(Expected::Absent.check(Some("x")), Err(Changed));
        assert_eq!(Expected::Absent.check(None), Ok(()));
        assert_eq!(Expected::Existing.check(Some("x")), Ok(()));
        assert_eq!(Expected::Existing.check(None), Err(Changed));
    }
}
