//! The types of `/api/v1`, and a client for programs.
//!
//! The server, the command line and the tests use these types, so they always agree. Times are milliseconds since the Unix epoch; digests are
//! SHA-256 in hexadecimal digits.
#![forbid(unsafe_code)]

mod access;
mod alerts;
mod bootstrap;
mod campaigns;
pub mod client;
mod credentials;
mod desired;
mod jobs;
mod records;
mod rehearsals;
mod why;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use access::{
    Account, AddAccount, AddToken, AuditChain, ChangeAccount, ChangePassword, ConfirmSecondFactor, Grant, Me,
    NewToken, RecoveryCodes, RemoveSecondFactor, Role, SecondFactor, Setup, SetupState, SignIn, SignedInBy,
    Token,
};
pub use alerts::{
    AcknowledgeAlerts, AcknowledgedAlerts, AddAlertSilence, Alert, AlertAcknowledgement, AlertCondition,
    AlertDelivery, AlertDeliveryState, AlertFlapping, AlertMessage, AlertNews, AlertReceiver,
    AlertReceiverTest, AlertRule, AlertSeverity, AlertSilence, AlertState, AlertTarget, NewAlertReceiver,
    PutAlertReceiver, PutAlertRule,
};
pub use bootstrap::{
    BootstrapAccount, BootstrapAcl, BootstrapClaim, BootstrapConfig, BootstrapCredentials, BootstrapServer,
    BootstrapValue, BootstrapWrite,
};
pub use campaigns::{
    Campaign, CampaignCounts, CampaignDay, CampaignDeferral, CampaignDevice, CampaignEvent, CampaignFailure,
    CampaignGate, CampaignIncompatible, CampaignOnStop, CampaignPreview, CampaignRequirements, CampaignRetry,
    CampaignRetryKind, CampaignSeverity, CampaignState, CampaignStop, CampaignUnknown, CampaignWave,
    CampaignWaveProgress, CampaignWindow, PutCampaign, ResumeCampaign,
};
pub use credentials::{
    AddCredential, Credential, CredentialKind, CredentialProof, CredentialPurpose, CredentialState, Imported,
    NewCredential, Secret,
};
pub use desired::{
    DesiredCondition, DesiredCounts, DesiredDevice, DesiredProgress, DesiredSetting, DesiredState,
    DeviceSetting, PutDesiredState,
};
pub use jobs::{Job, JobCounts, JobDevice, JobFailure, JobPreview, JobState, RetryJob, StartJob};
pub use records::{
    ChangeDevice, ChangeGroupDevices, FilterMatch, Group, ImportDevices, ImportedDevice, ImportedDevices,
    LastValue, PutFilter, PutGroup, SavedFilter,
};
pub use rehearsals::{
    CampaignRehearsal, RehearsalConditions, RehearsalMilestone, RehearsalVerdict, RehearseCampaign,
    RehearsedWave,
};

pub use why::{Evidence, EvidenceKind, Finding, Severity, Why};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Pass it as `after` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Ids grow.
    pub id: u64,
    /// The time.
    pub at: u64,
    /// The author.
    pub principal: String,
    /// The address of the principal; empty for the server itself.
    pub origin: String,
    /// The action, for example "credential.revoke".
    pub action: String,
    /// The target: an endpoint name, a digest, a pattern.
    pub target: String,
    /// Further details.
    pub detail: String,
    /// "ok", or the reason of the refusal.
    pub result: String,
}

/// A device that is registered, or was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The endpoint name.
    pub endpoint: String,
    /// Its state.
    pub state: DeviceState,
    /// When it first registered; 0 if it never did.
    pub first_contact: u64,
    /// When it last sent something; 0 if it never did.
    pub last_contact: u64,
    /// When it is expected to be heard next, learned from its contacts; absent as long as that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_contact: Option<u64>,
    /// Since when it is overdue: it was not heard for clearly longer than it usually is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<u64>,
    /// The manufacturer: /3/0/0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// The model number: /3/0/1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The serial number: /3/0/2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The firmware version: /3/0/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The hardware version: /3/0/18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// The software version: /3/0/19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// Short words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The groups into which it was put.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Fields of the operators' own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Its registration, while it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// The state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It is registered, and is assumed to listen.
    Online,
    /// It is registered, and sleeps until its next message.
    Asleep,
    /// It is registered, and was not heard for clearly longer than it usually is silent.
    Overdue,
    /// It is not registered.
    Offline,
    /// It is not registered, and all its credentials are revoked.
    Revoked,
    /// It is expected, and has never registered.
    NeverSeen,
}

impl DeviceState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Online, Self::Asleep, Self::Overdue, Self::Offline, Self::Revoked, Self::NeverSeen];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Asleep => "asleep",
            Self::Overdue => "overdue",
            Self::Offline => "offline",
            Self::Revoked => "revoked",
            Self::NeverSeen => "never_seen",
        }
    }

    /// Whether it is registered.
    #[must_use]
    pub const fn is_registered(self) -> bool {
        matches!(self, Self::Online | Self::Asleep | Self::Overdue)
    }
}

/// The registration of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// Its id.
    pub id: String,
    /// `IP:PORT`
    pub address: String,
    /// Whether the device uses DTLS, and so is authenticated.
    pub secure: bool,
    /// "1.0", "1.1" or "1.2".
    pub lwm2m: String,
    /// The binding, for example "U".
    pub binding: String,
    /// Seconds; 0 is for ever.
    pub lifetime: u32,
    /// Whether the device sleeps between its contacts.
    pub queue_mode: bool,
    /// When it registered.
    pub registered_at: u64,
    /// Objects and instances, for example "/3/0".
    pub objects: Vec<String>,
}

/// The number of devices that have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCount {
    /// The value; absent for devices that have not reported one.
    pub value: Option<String>,
    /// The number of devices.
    pub count: u64,
}

/// Starts an operation on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOperation {
    /// The device.
    pub endpoint: String,
    /// The request to the device.
    pub request: Request,
    /// Seconds until it expires. The default is 60, and seven days for a device that sleeps; the maximum is 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Seconds that the call waits for the end. The default is 5, the maximum 600. The operation continues after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// An operation of LwM2M. Paths have the form "/3/0/9". Formats are TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR or LWM2M_CBOR;
/// without a format the server chooses one that the device supports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The values below an object, instance, resource or resource instance.
    Read {
        /// The path.
        path: String,
        /// The format of the device's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// The objects, instances and resources of the device, with their attributes.
    Discover {
        /// The path.
        path: String,
    },
    /// New values of an instance, a resource or a resource instance.
    Write {
        /// The path.
        path: String,
        /// The values; each path lies at or below `path`. With none, an instance is left without resources, and a resource without
        /// instances.
        values: Vec<PathValue>,
        /// What happens to values that are not in `values`.
        #[serde(default)]
        mode: WriteMode,
        /// The format of the payload.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Sets when the device notifies.
    WriteAttributes {
        /// The path.
        path: String,
        /// `pmin`, `pmax`, `gt`, `lt`, `st`, `epmin`, `epmax`, `con`, `edge` or `hqmax` to a value; `null` unsets.
        attributes: BTreeMap<String, Option<String>>,
    },
    /// Runs a resource.
    Execute {
        /// Its path or id.
        path: String,
        /// The arguments, for example "0,1='text'".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<String>,
    },
    /// A new instance of an object.
    Create {
        /// The object.
        path: String,
        /// The instance's id; the device chooses if there is none, which can be said in TLV alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<u16>,
        /// Its values, with paths relative to the instance, for example "5700" or "5750/0".
        values: Vec<PathValue>,
        /// The format of the payload.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Removes an instance or a resource instance.
    Delete {
        /// Its path or id.
        path: String,
    },
    /// The current values, and a notification whenever they change.
    Observe {
        /// The path.
        path: String,
        /// The format of the device's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Ends an observation.
    CancelObserve {
        /// The path of the observation.
        path: String,
    },
    /// The values at several paths.
    ReadComposite {
        /// The path.
        paths: Vec<String>,
        /// In which format the paths are sent: SENML_CBOR, SENML_JSON or LWM2M_CBOR; that of the answer if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_format: Option<String>,
        /// The format of the device's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// New values at several paths: all, or none.
    WriteComposite {
        /// The values.
        values: Vec<PathValue>,
        /// The format of the payload.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// The current values at several paths, and a notification whenever one changes.
    ObserveComposite {
        /// The path.
        paths: Vec<String>,
        /// In which format the paths are sent: SENML_CBOR, SENML_JSON or LWM2M_CBOR; that of the answer if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_format: Option<String>,
        /// The format of the device's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Ends an observation of several paths.
    CancelObserveComposite {
        /// The paths of the observation.
        paths: Vec<String>,
        /// In which format the paths are sent, as they were in the Observe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_format: Option<String>,
    },
}

/// What happens to values that a Write does not contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They stay.
    #[default]
    Update,
    /// They are removed.
    Replace,
}

/// A value and its path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathValue {
    /// The path, for example "/3/0/9".
    pub path: String,
    /// A number, text, `true` or `false`. Times are milliseconds since the epoch, bytes hexadecimal digits, links "3:0". `null` names the
    /// path alone: an instance without resources, a resource without instances.
    pub value: serde_json::Value,
    /// string, integer, unsigned_integer, float, boolean, opaque, time, objlnk or corelnk; that of the object's definition if left
    /// out of a request.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When the device measured it, if it reports that; milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// A link in the answer to a Discover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The path, for example "/3/0/9".
    pub path: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// An operation on a device. It survives a restart of the server and a sleep of the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// Where it is.
    pub state: OperationState,
    /// Whether it has ended.
    pub ended: bool,
    /// Why it has no answer, if it failed for want of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<OperationFailure>,
    /// The CoAP method.
    pub method: String,
    /// The path, for example "/3/0/9"; "/" for several paths.
    pub path: String,
    /// When it was started.
    pub created_at: u64,
    /// When the state last changed.
    pub changed_at: u64,
    /// When it expires.
    pub deadline: u64,
    /// The device's response code, for example "2.05".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The diagnostic text of the device's error, or why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The present values in the device's answer; only if one operation is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<PathValue>>,
    /// Older values in the device's answer, each with its time (RFC 8428 section 4.5.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PathValue>,
    /// The links in the device's answer; only if one operation is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<Link>>,
    /// The location of the new instance, for example "/3303/5".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// It waits for the device.
    Queued,
    /// The device may have it.
    Sent,
    /// The device answered with success.
    Succeeded,
    /// The device refused, or there is no answer: `failure` says why.
    Failed,
    /// The deadline passed.
    Expired,
    /// Somebody cancelled it.
    Cancelled,
}

impl OperationState {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }
}

impl std::fmt::Display for OperationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Why an operation has no answer; `detail` says the same in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperationFailure {
    /// No device of this name is registered.
    NotRegistered,
    /// The device did not answer in time.
    TimedOut,
    /// The device answered with a Reset.
    Reset,
    /// The deadline passed before the device could be reached.
    Expired,
    /// Somebody cancelled it.
    Cancelled,
    /// The device deregistered before it answered.
    Deregistered,
    /// The server was restarted after the request was sent; the device may have carried it out.
    Interrupted,
    /// Too many operations wait for this device, or in all.
    TooManyOperations,
    /// The block-wise transfer failed.
    BadTransfer,
    /// The request's path and query do not fit a message.
    RequestTooLarge,
    /// There is no such observation.
    NoSuchObservation,
    /// Another reason.
    Other,
}

/// What is known of an object of a device: its instances, and its definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceObject {
    /// The object's id.
    pub id: u16,
    /// The instances that the device has registered, or of which values are stored.
    pub instances: Vec<u16>,
    /// Its definition in the version that the device has; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<ObjectDefinition>,
}

/// The definition of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ObjectDefinition {
    /// Its name.
    pub name: String,
    /// Its version, for example "1.1".
    pub version: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it can have several instances.
    pub multiple: bool,
    /// Its resources, ordered by id.
    pub resources: Vec<ResourceDefinition>,
}

/// The definition of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDefinition {
    /// Its id.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// What a server may do with it: "R", "W", "RW", "E" or "".
    pub operations: String,
    /// Whether it has instances.
    pub multiple: bool,
    /// Whether every instance of the object has it.
    pub mandatory: bool,
    /// The type of its values, for example "float"; absent if it has no value.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub value_type: Option<String>,
    /// The values that it can have, as its definition states them, for example "0..100".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The unit of its values, for example "Cel".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// What its numbers mean, if each has a meaning of its own: "0" is "Idle".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// An observation of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Observation {
    /// The observed paths.
    pub paths: Vec<String>,
    /// Whether it is one observation of several paths.
    pub composite: bool,
}

/// A firmware image in the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Firmware {
    /// Its SHA-256, which identifies it in requests.
    pub digest: String,
    /// The operator's name for it.
    pub name: String,
    /// The version in the image.
    pub version: String,
    /// The project in the image.
    pub project: String,
    /// The number of bytes.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: u64,
    /// Whether it has a detached signature.
    pub signed: bool,
    /// The URI for devices, by CoAP over DTLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coaps_uri: Option<String>,
    /// The URI for devices, by plain CoAP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coap_uri: Option<String>,
    /// The URI for devices, by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_uri: Option<String>,
    /// The URI for devices, by HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_uri: Option<String>,
}

/// How an image gets to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The device downloads it by CoAP.
    #[default]
    PullCoap,
    /// The device downloads it by HTTP.
    PullHttp,
    /// The device downloads it by HTTPS.
    PullHttps,
    /// The server sends it in CoAP blocks.
    Push,
}

/// Starts a firmware update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StartUpdate {
    /// The device.
    pub endpoint: String,
    /// The image.
    pub firmware: String,
    /// How the image gets to the device.
    #[serde(default)]
    pub delivery: Delivery,
    /// The version that the device will report; the default is that of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The most seconds from the request to install until the device has confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_timeout: Option<u64>,
    /// The most seconds that the download may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_timeout: Option<u64>,
}

/// A firmware update of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Update {
    /// Its id.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// The image.
    pub firmware: String,
    /// The version that the device has to report.
    pub version: String,
    /// The version that the device ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_version: Option<String>,
    /// inspecting, ordering, downloading, executing, installing, deferred, confirming; or how it ended: updated, already_running,
    /// rolled_back, unexpected_version, refused, failed, timed_out, cancelled.
    pub state: String,
    /// The state as text, with the device's codes.
    pub detail: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Bytes of the image that were sent to the device; only if one open update is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded: Option<u64>,
    /// The stages so far.
    pub history: Vec<UpdateStage>,
}

/// A stage of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateStage {
    /// When it was entered.
    pub at: u64,
    /// As [`Update::detail`].
    pub detail: String,
}

/// One value of a time series; with `step`, a summary of the numeric values of one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// The time of the value, or the start of the interval.
    pub at: u64,
    /// A number, text, or hexadecimal digits; in a summary, the mean. Numbers that JSON doesn't have are text: "inf", "-inf", "NaN".
    pub value: serde_json::Value,
    /// In a summary: the number of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// In a summary: the smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Value>,
    /// In a summary: the largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Value>,
}

/// One value of one device, in an export of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSample {
    /// The device.
    pub endpoint: String,
    /// The path of the resource.
    pub path: String,
    /// The time of the value.
    pub at: u64,
    /// A number, text, or hexadecimal digits. Numbers that JSON doesn't have are text: "inf", "-inf", "NaN".
    pub value: serde_json::Value,
}

/// An error (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of error.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, why, and what to do next.
    #[serde(default)]
    pub detail: String,
    /// Where in a filter the error is: a number of characters from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

impl Problem {
    /// The title of the refusal that no device of the name is registered.
    pub const NO_SUCH_DEVICE: &'static str = "No such device";
    /// The title of the refusal that name and password are right and a code is needed.
    pub const SECOND_FACTOR_NEEDED: &'static str = "Second factor needed";
}

/// A CoAP message of a device that is traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TracedMessage {
    /// When it came or went.
    pub at: u64,
    /// Whether it came from the device.
    pub incoming: bool,
    /// CON, NON, ACK or RST.
    #[serde(rename = "type")]
    pub kind: String,
    /// For example "2.05"; "0.01" is a GET.
    pub code: String,
    /// The message id.
    pub message_id: u16,
    /// The token, in hexadecimal digits.
    pub token: String,
    /// The options, in the order of the message.
    pub options: Vec<TracedOption>,
    /// The payload, if there is one: text, or hexadecimal digits behind "0x".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The whole message, in hexadecimal digits.
    pub bytes: String,
}

/// An option of a CoAP message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TracedOption {
    /// For example "Uri-Path"; the number of one that is not known.
    pub name: String,
    /// Text, a number, or hexadecimal digits behind "0x".
    pub value: String,
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimedEvent {
    /// When the server published it.
    pub at: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// An event of `/api/v1/events`. The name of the server-sent event is `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A device registered.
    Registered {
        /// The device.
        endpoint: String,
        /// The registration as it is now.
        registration: Registration,
    },
    /// A device updated its registration.
    Updated {
        /// The device.
        endpoint: String,
        /// The registration as it is now.
        registration: Registration,
    },
    /// A device deregistered.
    Deregistered {
        /// The device.
        endpoint: String,
    },
    /// A registration expired.
    Expired {
        /// The device.
        endpoint: String,
    },
    /// A device in queue mode can be reached.
    Awake {
        /// The device.
        endpoint: String,
    },
    /// A device in queue mode is assumed to sleep.
    Sleeping {
        /// The device.
        endpoint: String,
    },
    /// An observed device reported values.
    Notification {
        /// The device.
        endpoint: String,
        /// The observed paths.
        paths: Vec<String>,
        /// The present values.
        values: Vec<PathValue>,
        /// Older values, each with its time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<PathValue>,
    },
    /// A device sent values by Send.
    Send {
        /// The device.
        endpoint: String,
        /// The present values.
        values: Vec<PathValue>,
        /// Older values, each with its time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<PathValue>,
    },
    /// A report of a device, or a part of it, can't be decoded or was not saved.
    ReportProblem {
        /// The device.
        endpoint: String,
        /// What was lost, and why.
        detail: String,
    },
    /// A device no longer reports what it was observed for.
    ObservationEnded {
        /// The device.
        endpoint: String,
    },
    /// A request of a device was refused.
    Refused {
        /// The endpoint that the device authenticated as; empty if it did not authenticate.
        endpoint: String,
        /// `IP:PORT`
        address: String,
        /// The response code, for example "4.03".
        code: String,
        /// Why.
        reason: String,
    },
    /// A DTLS session with a device began or ended, or a handshake failed.
    Dtls {
        /// The device, if it is known; of a handshake that failed, whose credentials were shown.
        endpoint: String,
        /// `IP:PORT`
        address: String,
        /// "established", "ended" or "failed".
        state: String,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// An event of the bootstrap server.
    Bootstrap {
        /// The device, if it has a name.
        endpoint: String,
        /// "started", "step", "finished", "pack_sent", "failed", "pending" or "refused".
        phase: String,
        /// The step, or why it failed.
        detail: String,
    },
    /// The state of an operation changed.
    Operation {
        /// Its path or id.
        id: u64,
        /// The device.
        endpoint: String,
        /// Where it is.
        state: OperationState,
    },
    /// The state of a firmware update changed.
    FirmwareUpdate {
        /// The update.
        update: Update,
    },
    /// A campaign changed.
    Campaign {
        /// Its id.
        id: u64,
        /// Its name.
        name: String,
        /// Where it is.
        state: CampaignState,
        /// Why it is there, if there is something to say.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// How many devices are where.
        counts: CampaignCounts,
    },
    /// A job changed.
    Job {
        /// Its id.
        id: u64,
        /// Its name.
        name: String,
        /// Where it is.
        state: JobState,
        /// How many devices are where.
        counts: JobCounts,
    },
    /// An alert fires, flaps, or is over.
    Alert {
        /// Its rule.
        rule: String,
        /// How bad it is.
        severity: AlertSeverity,
        /// Where it is.
        state: AlertState,
        /// The device, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The part of the server, if it is about the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<String>,
        /// How many alerts of this rule changed so at once, if they are too many for an event each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// Events were missed: the event in `Last-Event-ID` is not stored any more, or the reader was too slow.
    Missed {
        /// Why, and what to do.
        detail: String,
    },
}

impl Event {
    /// Its type in the stream, as in the field "type".
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registered",
            Self::Updated { .. } => "updated",
            Self::Deregistered { .. } => "deregistered",
            Self::Expired { .. } => "expired",
            Self::Awake { .. } => "awake",
            Self::Sleeping { .. } => "sleeping",
            Self::Notification { .. } => "notification",
            Self::Send { .. } => "send",
            Self::ReportProblem { .. } => "report_problem",
            Self::ObservationEnded { .. } => "observation_ended",
            Self::Refused { .. } => "refused",
            Self::Dtls { .. } => "dtls",
            Self::Bootstrap { .. } => "bootstrap",
            Self::Operation { .. } => "operation",
            Self::FirmwareUpdate { .. } => "firmware_update",
            Self::Campaign { .. } => "campaign",
            Self::Job { .. } => "job",
            Self::Alert { .. } => "alert",
            Self::Missed { .. } => "missed",
        }
    }
}
