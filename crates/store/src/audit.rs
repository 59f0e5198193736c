//! Who changed what, as a chain: each entry's hash covers the entry before it, so that whoever changes, removes or inserts one behind the server's
//! back has to compute all hashes behind it anew. A hash that was noted elsewhere then shows that, too.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Reader, StoreError, bound};

/// One entry of the audit log, which only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRow {
    /// Ids grow. Given by the store: what a change says here is not looked at.
    pub id: u64,
    /// When; milliseconds since the epoch.
    pub at: u64,
    /// Who: the name of a principal.
    pub principal: String,
    /// From where: an address, or empty if it came from within the server.
    pub origin: String,
    /// What was done, as in `credential.revoke`.
    pub action: String,
    /// On what, as in an endpoint name or an id.
    pub target: String,
    /// More about it, in words. Never a secret.
    pub detail: String,
    /// `ok`, or why it was refused.
    pub result: String,
}

/// The hash of an entry, which covers the hash of the entry before it (SHA-256).
pub type AuditHash = [u8; 32];

impl AuditRow {
    /// The hash of this entry under its id, with the hash of the entry before it; zeros before the first.
    #[must_use]
    pub fn hash(&self, id: u64, before: &AuditHash) -> AuditHash {
        let Self { id: _, at, principal, origin, action, target, detail, result } = self;
        let mut hasher = Sha256::new();
        hasher.update(before);
        hasher.update(id.to_be_bytes());
        hasher.update(bound(*at).to_be_bytes());
        for text in [principal, origin, action, target, detail, result] {
            // As PostgreSQL stores it, which computes the same hash.
            let text = text.replace('\u{1a}', "\u{1a}1").replace('\0', "\u{1a}0");
            hasher.update((text.len() as u32).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().into()
    }
}

/// The last entry that has a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// Its id.
    pub last: u64,
    /// Its hash.
    pub hash: AuditHash,
}

/// What a check of the audit log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries whose hashes were checked.
    pub checked: u64,
    /// Entries of before there were hashes.
    pub without_hash: u64,
    /// The last entry.
    pub head: AuditHead,
    /// What is wrong.
    pub faults: Vec<AuditFault>,
    /// Whether the hash that was asked for is one of an entry.
    pub has_expected: bool,
}

/// A sign that the audit log was changed behind the server's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditFault {
    /// The hash of this entry is not that of its content behind the entry before it: one of the two was changed, or one between them was
    /// removed or inserted.
    Broken {
        /// The entry.
        id: u64,
        /// The entry before it; 0 if it is the first.
        before: u64,
    },
    /// This entry has no hash, and entries before it have: it was inserted.
    Inserted {
        /// The entry.
        id: u64,
    },
    /// Entries up to this one were there: those at the end were removed.
    CutOff {
        /// The last one that there was.
        last: u64,
    },
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { id, before: 0 } => {
                write!(f, "entry {id} is not the first one that there was, or was changed")
            }
            Self::Broken { id, before } => write!(
                f,
                "entry {id} does not follow entry {before}: one of them was changed, or one between them was removed or inserted"
            ),
            Self::Inserted { id } => write!(f, "entry {id} was not written by the server"),
            Self::CutOff { last } => write!(f, "the entries at the end, up to entry {last}, were removed"),
        }
    }
}

/// Checks the hashes of the whole log. A server may append to it meanwhile. Faults behind the hundredth are not listed. `expected` is a hash that
/// was noted earlier, elsewhere.
///
/// # Errors
/// If the store can't be read.
pub fn verify_audit(reader: &dyn Reader, expected: Option<&AuditHash>) -> Result<AuditReport, StoreError> {
    const MOST_FAULTS: usize = 100;
    let at_first = reader.audit_head()?;
    let mut report = AuditReport::default();
    let mut before = AuditHead::default();
    reader.audit_chain(&mut |row, hash| {
        let id = row.id;
        let fault = match hash {
            None if report.checked == 0 => {
                report.without_hash += 1;
                return;
            }
            None => Some(AuditFault::Inserted { id }),
            Some(hash) => {
                report.checked += 1;
                report.has_expected |= expected == Some(&hash);
                let is_right = row.hash(id, &before.hash) == hash;
                let fault = AuditFault::Broken { id, before: before.last };
                before = AuditHead { last: id, hash };
                (!is_right).then_some(fault)
            }
        };
        report.faults.extend(fault.filter(|_| report.faults.len() < MOST_FAULTS));
    })?;
    report.head = before;
    // An entry that was appended meanwhile may have been seen or not.
    let at_last = reader.audit_head()?;
    let known = at_last.filter(|head| head.last <= before.last).or(at_first);
    match known {
        Some(head) if head.last > before.last => report.faults.push(AuditFault::CutOff { last: head.last }),
        Some(head) if head.last == before.last && head.hash != before.hash => {
            report.faults.push(AuditFault::Broken { id: head.last, before: head.last });
        }
        Some(head) if head.last < before.last && at_last == Some(head) => {
            report.faults.push(AuditFault::Inserted { id: before.last });
        }
        None if report.checked > 0 => report.faults.push(AuditFault::Inserted { id: before.last }),
        _ => {}
    }
    Ok(report)
}

/// Which entries of the audit log to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter<'a> {
    /// Only of this principal.
    pub principal: Option<&'a str>,
    /// Only of this action, or of all that begin with it and a dot.
    pub action: Option<&'a str>,
    /// Only on this.
    pub target: Option<&'a str>,
}
