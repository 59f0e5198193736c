//! The types of `/api/v1`, and a client for programs.
//!
//! The server, the command line and the tests use these types, so they always agree. Times are milliseconds since the Unix epoch; digests are
//! SHA-256 in hexadecimal digits.
#![forbid(unsafe_code)]

mod bootstrap;
pub mod client;
mod credentials;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use bootstrap::{
    BootstrapAccount, BootstrapAcl, BootstrapClaim, BootstrapConfig, BootstrapCredentials, BootstrapServer,
    BootstrapValue, BootstrapWrite,
};
pub use credentials::{
    AddCredential, Credential, CredentialKind, CredentialProof, CredentialPurpose, CredentialState, Imported,
    NewCredential, Secret,
};

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
    /// When.
    pub at: u64,
    /// Who.
    pub principal: String,
    /// From which address; empty for the server itself.
    pub origin: String,
    /// What was done, as in "credential.revoke".
    pub action: String,
    /// On what: an endpoint name, a digest, a pattern.
    pub target: String,
    /// More about it.
    pub detail: String,
    /// "ok", or why it was refused.
    pub result: String,
}

/// A device that is registered, or was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The endpoint name.
    pub endpoint: String,
    /// Whether it can be spoken to.
    pub state: DeviceState,
    /// When it first registered.
    pub first_contact: u64,
    /// When it was last heard.
    pub last_contact: u64,
    /// What it says of itself: /3/0/0.
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
    /// Its registration, while it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// Whether a device can be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It is registered, and is taken to listen.
    Online,
    /// It is registered, and sleeps until it reports again.
    Asleep,
    /// It is not registered.
    Offline,
}

impl DeviceState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Online, Self::Asleep, Self::Offline];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Asleep => "asleep",
            Self::Offline => "offline",
        }
    }
}

/// The registration of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// Its id.
    pub id: String,
    /// `IP:PORT`
    pub address: String,
    /// Whether the device speaks over DTLS, and so has proved its name.
    pub secure: bool,
    /// "1.0", "1.1" or "1.2".
    pub lwm2m: String,
    /// The binding, as in "U".
    pub binding: String,
    /// Seconds; 0 is for ever.
    pub lifetime: u32,
    /// Whether the device sleeps between its contacts.
    pub queue_mode: bool,
    /// When it registered.
    pub registered_at: u64,
    /// Objects and instances, as in "/3/0".
    pub objects: Vec<String>,
}

/// How many devices have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCount {
    /// The value; none of devices that have not said any.
    pub value: Option<String>,
    /// How many devices.
    pub count: u64,
}

/// Asks for an operation on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOperation {
    /// The device.
    pub endpoint: String,
    /// What it shall do.
    pub request: Request,
    /// Seconds until it is too late: 60 unless told, and seven days for a device that sleeps; at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Seconds that the call waits for the end: 5 unless told, at most 600. The operation goes on after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// An operation of LwM2M. Paths are as in "/3/0/9"; formats are TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR or LWM2M_CBOR,
/// and where none is named one is chosen that the device understands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The values below an object, instance, resource or resource instance.
    Read {
        /// Where.
        path: String,
        /// In which format the device shall answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// What is there, and with which attributes.
    Discover {
        /// Where.
        path: String,
    },
    /// New values of an instance, a resource or a resource instance.
    Write {
        /// Where.
        path: String,
        /// The values; each path lies at or below `path`.
        values: Vec<PathValue>,
        /// Whether values that are not named stay.
        #[serde(default)]
        mode: WriteMode,
        /// In which format they are sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// When the device shall notify.
    WriteAttributes {
        /// Where.
        path: String,
        /// `pmin`, `pmax`, `gt`, `lt`, `st`, `epmin`, `epmax`, `con`, `edge` or `hqmax` to a value; `null` unsets.
        attributes: BTreeMap<String, Option<String>>,
    },
    /// Runs a resource.
    Execute {
        /// Which.
        path: String,
        /// As in "0,1='text'".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<String>,
    },
    /// A new instance of an object.
    Create {
        /// The object.
        path: String,
        /// The instance's id; the device chooses if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<u16>,
        /// Its values: paths relative to the instance, as in "5700" or "5750/0".
        values: Vec<PathValue>,
        /// In which format they are sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Takes an instance, or a resource instance, away.
    Delete {
        /// Which.
        path: String,
    },
    /// The values now, and from now on whenever they change.
    Observe {
        /// Where.
        path: String,
        /// In which format the device shall answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Ends an observation.
    CancelObserve {
        /// Of which path.
        path: String,
    },
    /// The values at several paths.
    ReadComposite {
        /// Where.
        paths: Vec<String>,
        /// In which format the device shall answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// New values at several paths: all, or none.
    WriteComposite {
        /// The values.
        values: Vec<PathValue>,
        /// In which format they are sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// The values at several paths now, and from now on whenever one changes.
    ObserveComposite {
        /// Where.
        paths: Vec<String>,
        /// In which format the device shall answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Ends an observation of several paths.
    CancelObserveComposite {
        /// Of which paths.
        paths: Vec<String>,
    },
}

/// What becomes of values that a Write does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They stay.
    #[default]
    Update,
    /// They go.
    Replace,
}

/// A value and where it lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathValue {
    /// As in "/3/0/9".
    pub path: String,
    /// A number, text, `true` or `false`. Times are milliseconds since the epoch, bytes hexadecimal digits, links "3:0".
    pub value: serde_json::Value,
    /// string, integer, unsigned_integer, float, boolean, opaque, time, objlnk or corelnk; that of the object's definition if left
    /// out of a request.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When the device measured it, if it says so; milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// A link that a device told in Discover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// As in "/3/0/9".
    pub path: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// An operation on a device, which outlives a restart of the server and a sleep of the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its name.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// queued, sent, succeeded, failed, expired or cancelled.
    pub state: String,
    /// Whether nothing more will come.
    pub ended: bool,
    /// The CoAP method.
    pub method: String,
    /// As in "/3/0/9"; "/" for several paths.
    pub path: String,
    /// When it was asked for.
    pub created_at: u64,
    /// When the state last changed.
    pub changed_at: u64,
    /// When it is too late.
    pub deadline: u64,
    /// The device's response code, as in "2.05".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The device's words with an error, or why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The values that the device answered, as they are now; only where one operation is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<PathValue>>,
    /// What the values were before, as far as the device answered that, each with its time (RFC 8428 section 4.5.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PathValue>,
    /// The links that the device answered; only where one operation is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<Link>>,
    /// Where the device put what it created, as in "/3303/5".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// An observation of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Observation {
    /// What is observed.
    pub paths: Vec<String>,
    /// Whether it is one observation of several paths.
    pub composite: bool,
}

/// A firmware image in the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Firmware {
    /// Its SHA-256, and its name in requests.
    pub digest: String,
    /// What the operator calls it.
    pub name: String,
    /// The version that the image says.
    pub version: String,
    /// The project that the image says.
    pub project: String,
    /// Bytes.
    pub size: u64,
    /// When it came.
    pub uploaded_at: u64,
    /// Whether a detached signature lies beside it.
    pub signed: bool,
    /// Where devices fetch it by CoAP over DTLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coaps_uri: Option<String>,
    /// Where devices fetch it by plain CoAP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coap_uri: Option<String>,
    /// Where devices fetch it by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_uri: Option<String>,
    /// Where devices fetch it by HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_uri: Option<String>,
}

/// How an image gets to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The device fetches it by CoAP.
    #[default]
    PullCoap,
    /// The device fetches it by HTTP.
    PullHttp,
    /// The device fetches it by HTTPS.
    PullHttps,
    /// The server sends it in CoAP blocks.
    Push,
}

/// Asks for a firmware update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StartUpdate {
    /// The device.
    pub endpoint: String,
    /// The image.
    pub firmware: String,
    /// How it gets there.
    #[serde(default)]
    pub delivery: Delivery,
    /// The version that the device will report; that of the image if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The most seconds from the order to reboot until the device has confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_timeout: Option<u64>,
    /// The most seconds that the download may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_timeout: Option<u64>,
}

/// A firmware update of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Update {
    /// Its name.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// The image.
    pub firmware: String,
    /// The version that the device shall report.
    pub version: String,
    /// What the device ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_version: Option<String>,
    /// inspecting, ordering, downloading, executing, installing, deferred, confirming; or how it ended: updated, already_running,
    /// rolled_back, unexpected_version, refused, failed, timed_out, cancelled.
    pub state: String,
    /// The state in words, with the device's codes.
    pub detail: String,
    /// Whether nothing more will come.
    pub ended: bool,
    /// Bytes of the image that were sent to the device; only of an open update that is asked for by its id.
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

/// One value of a time series; or, where stretches of time are asked for, the numeric values of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When; or when the stretch starts.
    pub at: u64,
    /// A number, text, or hexadecimal digits; of a stretch, the mean. What JSON has no number for is text: "inf", "-inf", "NaN".
    pub value: serde_json::Value,
    /// Of a stretch: how many values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of a stretch: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Value>,
    /// Of a stretch: the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Value>,
}

/// An error (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of error.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, why, and what to do next.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    /// The title of the refusal that no device of the name is registered.
    pub const NO_SUCH_DEVICE: &'static str = "No such device";
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimedEvent {
    /// When the server told of it.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened, as `/api/v1/events` tells it. The name of the server-sent event is `type`.
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
    /// A registration ran out.
    Expired {
        /// The device.
        endpoint: String,
    },
    /// A device in queue mode can be reached.
    Awake {
        /// The device.
        endpoint: String,
    },
    /// A device in queue mode is taken to sleep.
    Sleeping {
        /// The device.
        endpoint: String,
    },
    /// An observed device reported values.
    Notification {
        /// The device.
        endpoint: String,
        /// What was observed.
        paths: Vec<String>,
        /// The values that hold now.
        values: Vec<PathValue>,
        /// Those that held before, each with its time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<PathValue>,
    },
    /// A device sent values unasked.
    Send {
        /// The device.
        endpoint: String,
        /// The values that hold now.
        values: Vec<PathValue>,
        /// Those that held before, each with its time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<PathValue>,
    },
    /// A report of a device, or a part of it, can't be read or is not kept.
    ReportProblem {
        /// The device.
        endpoint: String,
        /// What, and why.
        detail: String,
    },
    /// A device no longer reports what it was observed for.
    ObservationEnded {
        /// The device.
        endpoint: String,
    },
    /// A request of a device was refused.
    Refused {
        /// Who the device proved to be; nothing if it proved nothing.
        endpoint: String,
        /// `IP:PORT`
        address: String,
        /// As in "4.03".
        code: String,
        /// Why.
        reason: String,
    },
    /// A device was, or wants to be, configured by the bootstrap server.
    Bootstrap {
        /// The device, as far as it has a name.
        endpoint: String,
        /// "started", "step", "finished", "pack_sent", "failed", "pending" or "refused".
        phase: String,
        /// What was done, or why it failed.
        detail: String,
    },
    /// An operation went on.
    Operation {
        /// Which.
        id: u64,
        /// The device.
        endpoint: String,
        /// As [`Operation::state`].
        state: String,
    },
    /// A firmware update went on.
    FirmwareUpdate {
        /// The update.
        update: Update,
    },
    /// Events were missed: the stream was asked to go on from one that is no longer kept, or its reader was too slow.
    Missed {
        /// Why, and what to do.
        detail: String,
    },
}
