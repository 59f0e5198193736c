//! Alerts: rules, silences, receivers, and messages to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// How bad it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody has to act now.
    Critical,
}

impl AlertSeverity {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a rule looks for. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertCondition {
    /// Devices that a filter matches.
    Filter {
        /// In the filter language.
        filter: String,
    },
    /// A firmware update of a device has failed. It is over when an update of the device ends well.
    UpdateFailed {
        /// Of which devices; of all if it is empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        filter: String,
        /// It is over after this time, too.
        #[serde(default = "a_week")]
        clears_after: u64,
    },
    /// A device registers anew again and again.
    RebootLoop {
        /// Of which devices; of all if it is empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        filter: String,
        /// So many registrations, 2 to 32,
        #[serde(default = "five")]
        times: u32,
        /// within so many seconds.
        #[serde(default = "ten_minutes")]
        within: u64,
    },
    /// The disk of the data folder has less than this part of its space left.
    Disk {
        /// In percent.
        #[serde(default = "ten")]
        free_percent: u32,
    },
    /// The store can't be written, or does not answer.
    Store,
    /// A certificate of the server, or of an authority for devices, ends soon.
    Certificate {
        /// So many days before.
        #[serde(default = "thirty")]
        days: u32,
    },
}

fn a_week() -> u64 {
    7 * 24 * 60 * 60
}

fn five() -> u32 {
    5
}

fn ten_minutes() -> u64 {
    600
}

fn ten() -> u32 {
    10
}

fn thirty() -> u32 {
    30
}

/// A subject whose alert fires so often flaps: receivers are told that once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertFlapping {
    /// So many times, 2 to 32,
    pub times: u32,
    /// within so many seconds. It flaps until nothing changes for as long.
    pub within: u64,
}

impl Default for AlertFlapping {
    fn default() -> Self {
        Self { times: 4, within: 3600 }
    }
}

/// A rule, as it is set up. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutAlertRule {
    /// What it looks for.
    pub condition: AlertCondition,
    /// How bad it is.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// What it means, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For how long the condition has to hold before the alert fires.
    #[serde(default, rename = "for")]
    pub hold: u64,
    /// For how long the condition must not hold before the alert is over.
    #[serde(default)]
    pub resolve_after: u64,
    /// When a subject is said to flap.
    #[serde(default)]
    pub flapping: AlertFlapping,
    /// After how long receivers are told again of an alert that nobody took note of; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// Who is told; all receivers if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
}

/// A rule, and how many alerts it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// What was set up.
    #[serde(flatten)]
    pub rule: PutAlertRule,
    /// Alerts that fire.
    pub firing: u64,
    /// Whether there are more subjects than can be followed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_full: bool,
    /// Why its filter can't be used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Its condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It fires again and again.
    Flapping,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Flapping => "flapping",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its rule.
    pub rule: String,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// Where it is.
    pub state: AlertState,
    /// The device, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The part of the server, if it is about the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Since when its condition holds, or for one that fires, since when it fires.
    pub since: u64,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Whether receivers are not told of it, since it is silenced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silenced: bool,
    /// Who took note of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<AlertAcknowledgement>,
    /// What is known besides.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A person took note of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertAcknowledgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: u64,
    /// What that person wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// Of which alerts somebody takes note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeAlerts {
    /// Their rule.
    pub rule: String,
    /// The device or the part of the server; all alerts of the rule that fire without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// How many alerts somebody took note of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgedAlerts {
    /// So many.
    pub acknowledged: u64,
}

/// A new silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAlertSilence {
    /// Only alerts of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Only alerts of devices that this filter matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// From when; from now on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Until when.
    pub until: u64,
    /// Why.
    pub comment: String,
}

/// A silence: receivers are not told of some alerts for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertSilence {
    /// Its id.
    pub id: u64,
    /// Only alerts of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Only alerts of devices that this filter matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// From when.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// Whether it counts now.
    pub active: bool,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// Where a receiver is, and what it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertTarget {
    /// An address to which an `AlertMessage` is posted, signed.
    Webhook {
        /// `https://` or `http://`. It may hold secrets, and is shown without its path.
        #[schema(value_type = String)]
        url: Secret,
        /// With which messages are signed (HMAC-SHA256), at least 16 characters. Without it a receiver keeps the one that it has at this URL, or gets
        /// a random one, which is shown once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        secret: Option<Secret>,
    },
    /// An incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat).
    Slack {
        /// `https://` or `http://`. It is a secret, and is shown without its path.
        #[schema(value_type = String)]
        url: Secret,
    },
    /// Mail.
    Email {
        /// `smtps://HOST[:PORT]` is TLS from the start, `smtp://HOST[:PORT]` is STARTTLS, which is required; `smtp+plain://HOST[:PORT]` is without TLS.
        server: String,
        /// With which to sign in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Its password. Without it a receiver keeps the one that it has for this server and this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        password: Option<Secret>,
        /// From whom it comes.
        from: String,
        /// To whom it goes.
        to: Vec<String>,
    },
    /// A topic of MQTT 5, to which an `AlertMessage` is published with quality of service 1.
    Mqtt {
        /// `mqtts://HOST[:PORT]` is TLS, `mqtt://HOST[:PORT]` is without.
        server: String,
        /// The topic.
        topic: String,
        /// With which to sign in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Its password. Without it a receiver keeps the one that it has for this server and this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        password: Option<Secret>,
    },
    /// A subject of NATS, to which an `AlertMessage` is published.
    Nats {
        /// `tls://HOST[:PORT]` is TLS, `nats://HOST[:PORT]` is without.
        server: String,
        /// The subject.
        subject: String,
        /// With which to sign in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Its password. Without it a receiver keeps the one that it has for this server and this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        password: Option<Secret>,
    },
}

/// A receiver, as it is set up. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutAlertReceiver {
    /// Where it is. Without it a receiver keeps the place and the secrets that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AlertTarget>,
    /// It is told of alerts that are at least so bad.
    #[serde(default = "least")]
    pub severity: AlertSeverity,
    /// For how long a message waits for more alerts of its rule; 0 to 3600.
    #[serde(default = "ten_seconds")]
    pub group_wait: u64,
    /// After how long a message that is not accepted is given up; 10 to 604800.
    #[serde(default = "a_day")]
    pub give_up_after: u64,
}

fn least() -> AlertSeverity {
    AlertSeverity::Info
}

fn ten_seconds() -> u64 {
    10
}

fn a_day() -> u64 {
    24 * 60 * 60
}

/// A receiver. Secrets are not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertReceiver {
    /// Its name.
    pub name: String,
    /// "webhook", "slack", "email", "mqtt" or "nats".
    pub kind: String,
    /// Where it is, without what is secret.
    pub target: String,
    /// Its target without passwords, as it is set up again; absent if the whole address is a secret, as that of a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<AlertTarget>,
    /// It is told of alerts that are at least so bad.
    pub severity: AlertSeverity,
    /// For how long a message waits for more alerts of its rule; seconds.
    pub group_wait: u64,
    /// After how long a message that is not accepted is given up; seconds.
    pub give_up_after: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Why the last attempt failed, if it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// When a message was last accepted, since the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<u64>,
}

/// A receiver that was set up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewAlertReceiver {
    /// The receiver.
    #[serde(flatten)]
    pub receiver: AlertReceiver,
    /// The secret of a webhook, if the server made it. It is not shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Secret>,
}

/// How the test of a receiver ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertReceiverTest {
    /// Whether it accepted the message.
    pub accepted: bool,
    /// What it answered, or why it could not be reached.
    pub detail: String,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertDeliveryState {
    /// It waits for more alerts of its rule, for its turn, or for the next attempt.
    Waiting,
    /// It was accepted. The last 50 of a receiver are known, until the server ends.
    Delivered,
    /// It was given up. It can be sent again.
    Dead,
}

impl AlertDeliveryState {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// A message to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertDelivery {
    /// Its id.
    pub id: u64,
    /// To whom.
    pub receiver: String,
    /// Of which rule.
    pub rule: String,
    /// Where it is.
    pub state: AlertDeliveryState,
    /// Alerts that fire,
    pub firing: u64,
    /// that flap,
    pub flapping: u64,
    /// and that are over.
    pub resolved: u64,
    /// When it was made.
    pub created_at: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<u64>,
    /// When it was accepted, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// What a webhook gets. The header `Buoy-Signature` has the time and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertMessage {
    /// The id of the message: the same if it is sent again.
    pub id: u64,
    /// "alert", or "test".
    #[serde(rename = "type")]
    pub kind: String,
    /// The rule.
    pub rule: String,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// What the rule means.
    pub description: String,
    /// Alerts that fire,
    pub firing: u64,
    /// that flap,
    pub flapping: u64,
    /// and that are over.
    pub resolved: u64,
    /// The alerts, at most 100.
    pub alerts: Vec<AlertNews>,
    /// Alerts that are not in the list.
    pub more: u64,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertNews {
    /// Where it is: "firing", "flapping" or "resolved".
    pub state: AlertState,
    /// The device, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The part of the server, if it is about the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Since when it fires.
    pub since: u64,
    /// When it changed.
    pub at: u64,
    /// What is known besides.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
