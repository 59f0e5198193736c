//! Bootstrap: the configurations of devices, and the claims that wait for an operator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credentials::Secret;

/// The configuration of devices whose names match a pattern. If several patterns match, the one with the most characters other than `*`
/// is used. `{endpoint}` in a text is replaced by the device's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapConfig {
    /// A name, in which `*` stands for any text.
    pub pattern: String,
    /// Paths that the device deletes first: "/", objects or instances.
    #[serde(default = "accounts")]
    pub delete: Vec<String>,
    /// The LwM2M servers at which the device is to register.
    pub servers: Vec<BootstrapServer>,
    /// A new account of the bootstrap server itself, if the device is to get one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_server: Option<BootstrapAccount>,
    /// Instances of the access control object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<BootstrapAcl>,
    /// Resources of other objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<BootstrapWrite>,
    /// When it was last changed. Ignored in requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<u64>,
}

fn accounts() -> Vec<String> {
    ["/0", "/1", "/2"].map(str::to_owned).to_vec()
}

/// A server at which the device is to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapServer {
    /// Its short server id, 1 to 65534.
    #[serde(default = "one")]
    pub short_server_id: u16,
    /// The URI, for example `coaps://lwm2m.example.org:5684`; the default is this server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The device's credentials for this server.
    #[serde(default)]
    pub credentials: BootstrapCredentials,
    /// Lifetime of the registration in seconds.
    #[serde(default = "a_day")]
    pub lifetime: u32,
    /// The binding, for example "U" or "UQ".
    #[serde(default = "udp")]
    pub binding: String,
    /// The default `pmin`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_pmin: Option<u32>,
    /// The default `pmax`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_pmax: Option<u32>,
    /// How long the server stays disabled after Disable, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_timeout: Option<u32>,
    /// Whether the device stores notifications while it is offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_notifications: Option<bool>,
    /// Whether the device requests a new bootstrap when it can't register there.
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
    /// The URI, for example `coaps://bootstrap.example.org:5784`.
    pub uri: String,
    /// The device's credentials for this server.
    pub credentials: BootstrapCredentials,
    /// Seconds that the device waits before it sends a Bootstrap-Request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_off: Option<u32>,
    /// Seconds after which the device removes this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_timeout: Option<u32>,
}

/// A device's credentials for a server. Keys are in hexadecimal digits. Secrets are only in requests, never in answers.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BootstrapCredentials {
    /// A shared key that the server makes for each device and adds to its own credentials. The previous key of the device is valid until the
    /// new one is used.
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
        /// The server's SubjectPublicKeyInfo; the default is this server's own.
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
        /// The server's certificate (DER); the default is this server's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server_certificate: Option<String>,
    },
    /// No credentials, over plain CoAP.
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
    /// Without the keys.
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

/// The access rights to an object instance.
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

/// A resource of an object other than 0, 1 and 2.
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

/// The request of a device without credentials, for which no configuration names exactly this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootstrapClaim {
    /// The endpoint name in its request.
    pub endpoint: String,
    /// The address of its last request.
    pub address: String,
    /// The time of its first request.
    pub first_asked: u64,
    /// The time of its last request.
    pub last_asked: u64,
    /// When an operator accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<u64>,
}
