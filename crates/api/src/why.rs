//! What is wrong with a device, and what would mend it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::DeviceState;

/// What is wrong with a device, derived from what the server has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The endpoint name.
    pub endpoint: String,
    /// When this was derived.
    pub at: u64,
    /// The state of the device; absent if only failed attempts of it are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// The device in one sentence; without findings, that nothing is wrong.
    pub summary: String,
    /// What is wrong, the most severe first.
    pub findings: Vec<Finding>,
    /// What was looked at: what is not listed here is not known.
    pub looked_at: Vec<String>,
}

/// Something that is wrong with a device, or worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The cause, as a word that does not change, for example "wrong_psk".
    pub cause: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, and why.
    pub sentence: String,
    /// What to do next.
    pub next_step: String,
    /// What it is derived from, the latest first.
    pub evidence: Vec<Evidence>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The device can't do what it is for, or what was ordered has failed.
    Problem,
    /// It works, and will not for long, or costs more than it has to.
    Attention,
    /// It explains something, and nothing has to be done.
    Information,
}

impl Severity {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Attention => "attention",
            Self::Information => "information",
        }
    }
}

/// A fact that a finding is derived from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// Its id, if it has one: that of an operation, an update, a campaign, a credential; the path of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was so, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The fact.
    pub detail: String,
    /// Where it is found in this interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A failed handshake.
    Handshake,
    /// A request of the device that was refused.
    Refusal,
    /// When the device is heard.
    Contact,
    /// The registration of the device.
    Registration,
    /// The last value of a resource.
    Value,
    /// An operation.
    Operation,
    /// A firmware update.
    Update,
    /// A campaign.
    Campaign,
    /// A credential.
    Credential,
    /// A claim at the bootstrap server.
    Claim,
    /// A part of the reports of the device that was not kept.
    Report,
    /// The server itself.
    Server,
    /// An entry of the audit log.
    Audit,
}
