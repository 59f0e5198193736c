//! Bootstrap: with what devices are configured, and which of them wait for a person's yes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credentials::Secret;

/// The configuration of the devices whose names fit a pattern. Of several that fit, the one with the most characters that are no
/// `*` holds. `{endpoint}` in a text stands for the device's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapConfig {
    /// A name, or one with `*` for any part of it.
    pub pattern: String,
    /// What the device is asked to delete first: "/", objects or instances.
    #[serde(default = "accounts")]
    pub delete: Vec<String>,
    /// The LwM2M servers that it is to register at.
    pub servers: Vec<BootstrapServer>,
    /// The bootstrap server's own account, if the device is to have a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_server: Option<BootstrapAccount>,
    /// Instances of the access control object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<BootstrapAcl>,
    /// Resources of other objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<BootstrapWrite>,
    /// When it was changed last. Ignored when it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<u64>,
}

fn accounts() -> Vec<String> {
    ["/0", "/1", "/2"].map(str::to_owned).to_vec()
}

/// A server that the device is to register at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapServer {
    /// Its number on the device, 1 to 65534.
    #[serde(default = "one")]
    pub short_server_id: u16,
    /// As in `coaps://lwm2m.example.org:5684`; this server's own if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// By what the device proves itself there.
    #[serde(default)]
    pub credentials: BootstrapCredentials,
    /// Lifetime of the registration in seconds.
    #[serde(default = "a_day")]
    pub lifetime: u32,
    /// As in "U" or "UQ".
    #[serde(default = "udp")]
    pub binding: String,
    /// `pmin` where none is set, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_pmin: Option<u32>,
    /// `pmax` where none is set, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_pmax: Option<u32>,
    /// How long the device stays away after Disable, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_timeout: Option<u32>,
    /// Whether notifications are kept while the device is offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_notifications: Option<bool>,
    /// Whether the device asks to be configured again when it can't register there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_on_failure: Option<bool>,
}

const fn one() -> u16 {
    1
}

const fn a_day() -> u32 {
    86_400
}

fn udp() -> String {
    "U".to_owned()
}

/// The account of a bootstrap server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapAccount {
    /// As in `coaps://bootstrap.example.org:5784`.
    pub uri: String,
    /// By what the device proves itself there.
    pub credentials: BootstrapCredentials,
    /// Seconds that the device waits before it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_off: Option<u32>,
    /// Seconds after which the device forgets this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_timeout: Option<u32>,
}

/// By what a device proves itself at a server. Keys are in hexadecimal digits. Secrets are written, and never shown again.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BootstrapCredentials {
    /// A shared key that is made for each device, and known to this server when the device gets it. The key that the device had
    /// before is good until the new one is used.
    #[default]
    MintPsk,
    /// This shared key.
    Psk {
        /// The identity, as text.
        identity: String,
        /// The key.
        #[serde(default, skip_serializing_if = "Secret::is_empty")]
        #[schema(value_type = String)]
        key: Secret,
    },
    /// These raw public keys.
    Rpk {
        /// The device's SubjectPublicKeyInfo.
        public_key: String,
        /// The device's private key (PKCS#8).
        #[serde(default, skip_serializing_if = "Secret::is_empty")]
        #[schema(value_type = String)]
        private_key: Secret,
        /// The server's SubjectPublicKeyInfo; this server's own if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server_public_key: Option<String>,
    },
    /// These certificates.
    X509 {
        /// The device's certificate (DER).
        certificate: String,
        /// The device's private key (PKCS#8).
        #[serde(default, skip_serializing_if = "Secret::is_empty")]
        #[schema(value_type = String)]
        private_key: Secret,
        /// The server's certificate (DER); this server's own if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server_certificate: Option<String>,
    },
    /// By nothing, over plain CoAP.
    None,
}

impl BootstrapCredentials {
    /// The same without its secrets.
    #[must_use]
    pub fn public(&self) -> Self {
        let mut public = self.clone();
        match &mut public {
            Self::Psk { key: secret, .. }
            | Self::Rpk { private_key: secret, .. }
            | Self::X509 { private_key: secret, .. } => *secret = Secret::default(),
            Self::MintPsk | Self::None => {}
        }
        public
    }
}

impl std::fmt::Debug for BootstrapCredentials {
    /// Says nothing of the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MintPsk => "MintPsk",
            Self::Psk { .. } => "Psk",
            Self::Rpk { .. } => "Rpk",
            Self::X509 { .. } => "X509",
            Self::None => "None",
        })
    }
}

/// Who may do what to an object instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapAcl {
    /// The object.
    pub object: u16,
    /// Its instance; 65535 for the right to create one.
    pub instance: u16,
    /// The rights by short server id: the sum of 1 read, 2 write, 4 execute, 8 delete, 16 create. 0 stands for all others.
    #[serde(default)]
    pub rights: BTreeMap<u16, u16>,
    /// The short id of the server that may change this; 65535 for none.
    pub owner: u16,
}

/// A resource of an object that is no account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapWrite {
    /// A resource or a resource instance, as in "/3/0/14".
    pub path: String,
    /// Its value.
    pub value: BootstrapValue,
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapValue {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes, in hexadecimal digits.
    Opaque(String),
    /// Seconds since 1970.
    Time(i64),
}

/// A device that asked to be configured, and that nothing proves and no configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootstrapClaim {
    /// What it calls itself.
    pub endpoint: String,
    /// Where it was when it last asked.
    pub address: String,
    /// When it first asked.
    pub first_asked: u64,
    /// When it last asked.
    pub last_asked: u64,
    /// When a person said yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<u64>,
}
