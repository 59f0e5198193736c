//! Who changed what.

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
