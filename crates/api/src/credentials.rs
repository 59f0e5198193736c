//! Credentials of devices. Stored secrets are never returned.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize;

/// A secret. It is not printed by accident, and is erased from memory when dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// From its hexadecimal digits.
    #[must_use]
    pub fn new(digits: String) -> Self {
        Self(digits)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its hexadecimal digits.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(digits: String) -> Self {
        Self::new(digits)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The server for which a credential is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialPurpose {
    /// The LwM2M server.
    #[default]
    Lwm2m,
    /// The bootstrap server.
    Bootstrap,
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A pre-shared key.
    Psk,
    /// A raw public key.
    Rpk,
    /// A certificate of an authority that the server trusts.
    X509,
}

/// The state of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// It is valid.
    Active,
    /// It is valid, and replaces the active one when the device first uses it.
    Next,
    /// It is not valid, and the device is refused.
    Revoked,
}

/// A credential of a device, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its id.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// The server for which it is valid.
    pub purpose: CredentialPurpose,
    /// The kind.
    pub kind: CredentialKind,
    /// The identity of a psk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The key of an rpk: a DER SubjectPublicKeyInfo in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The SHA-256 of the only valid certificate, in hexadecimal digits; absent if any certificate with the device's name is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The state.
    pub state: CredentialState,
    /// When it was made.
    pub created_at: u64,
}

/// A credential that was made, and the secret if the server made that too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewCredential {
    /// The credential.
    #[serde(flatten)]
    pub credential: Credential,
    /// The key that the server made, in hexadecimal digits; only in this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
}

/// A credential to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredential {
    /// The device.
    pub endpoint: String,
    /// The server for which it is valid.
    #[serde(default)]
    pub purpose: CredentialPurpose,
    /// The credential itself.
    pub proof: CredentialProof,
}

/// The identity and the key of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialProof {
    /// A pre-shared key.
    Psk {
        /// The identity. The default is the endpoint name, with random digits behind it for a next credential.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// Hexadecimal digits. Without a key the server makes 16 random bytes, and returns them in its answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Secret>,
    },
    /// A raw public key.
    Rpk {
        /// A DER SubjectPublicKeyInfo in hexadecimal digits.
        public_key: String,
    },
    /// A certificate of an authority that the server trusts.
    X509 {
        /// The SHA-256 of the only valid certificate, in hexadecimal digits. By default any certificate with the device's name is valid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// The number of new credentials.
    pub added: usize,
    /// The number of credentials that existed already.
    pub unchanged: usize,
}
