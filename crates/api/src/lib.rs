//! The types of `/api/v1`, and a client for programs.
//!
//! The server, the command line and the tests use the same types, so the three cannot drift apart. Times are milliseconds since the
//! epoch; digests are SHA-256 in hexadecimal digits.
#![forbid(unsafe_code)]

pub mod client;

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Pass it as `after` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A registered device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// The endpoint name.
    pub endpoint: String,
    /// The registration's id.
    pub registration: String,
    /// `IP:PORT`
    pub address: String,
    /// "1.0", "1.1" or "1.2".
    pub lwm2m: String,
    /// The binding, as in "U".
    pub binding: String,
    /// Seconds.
    pub lifetime: u32,
    /// Whether the device sleeps between its contacts.
    pub queue_mode: bool,
    /// Whether it is taken to sleep now.
    pub asleep: bool,
    /// When it registered.
    pub registered_at: u64,
    /// When it was last heard.
    pub last_contact: u64,
    /// Objects and instances, as in "/3/0".
    pub objects: Vec<String>,
}

/// A durable operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// queued, sent, succeeded, failed, expired or cancelled.
    pub state: String,
    /// The CoAP method.
    pub method: String,
    /// As in "/3/0/9".
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
    /// What the device answered, where it is text, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A firmware image in the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Where devices fetch it by CoAP.
    pub coap_uri: String,
    /// Where devices fetch it by HTTP.
    pub http_uri: String,
}

/// How an image gets to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The device fetches it by CoAP.
    #[default]
    PullCoap,
    /// The device fetches it by HTTP.
    PullHttp,
    /// The server sends it in CoAP blocks.
    Push,
}

/// Asks for a firmware update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// inspecting, ordering, downloading, executing, installing, confirming; or how it ended: updated, already_running, rolled_back,
    /// refused, failed, timed_out, cancelled.
    pub state: String,
    /// The state in words, with the device's codes.
    pub detail: String,
    /// Whether nothing more will come.
    pub ended: bool,
    /// The stages so far.
    pub history: Vec<UpdateStage>,
}

/// A stage of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateStage {
    /// When it was entered.
    pub at: u64,
    /// As [`Update::detail`].
    pub detail: String,
}

/// One value of a time series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: u64,
    /// A number, text, or hexadecimal digits.
    pub value: serde_json::Value,
}

/// The numeric values of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// When the stretch starts.
    pub at: u64,
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

/// An error (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of error.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, why, and what to do next.
    #[serde(default)]
    pub detail: String,
}
