//! What devices are configured with, and which of them wait for a person's yes.

/// The configuration of the devices whose names fit a pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapConfigRow {
    /// A name, or one with `*` for any part of it.
    pub pattern: String,
    /// The configuration, sealed: there may be keys in it.
    pub sealed: Vec<u8>,
    /// Milliseconds since the epoch.
    pub changed_at: u64,
}

impl std::fmt::Debug for BootstrapConfigRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BootstrapConfigRow").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// A device that asked to be configured and could not prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapClaimRow {
    /// What it calls itself.
    pub endpoint: String,
    /// Where it was when it last asked.
    pub address: String,
    /// Milliseconds since the epoch.
    pub first_asked: u64,
    /// Milliseconds since the epoch.
    pub last_asked: u64,
    /// When a person said yes; milliseconds since the epoch.
    pub accepted_at: Option<u64>,
}
