//! By what devices prove who they are. Secrets go in, and never come out again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize;

/// A secret, which is not printed by accident, and gone from memory when dropped.
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

/// For which server a credential is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialPurpose {
    /// The LwM2M server.
    #[default]
    Lwm2m,
    /// The bootstrap server.
    Bootstrap,
}

/// How a device proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// By a key that the server has too.
    Psk,
    /// By a raw public key.
    Rpk,
    /// By a certificate of an authority that the server believes.
    X509,
}

/// Whether a credential is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// It is.
    Active,
    /// It is, and takes the place of the active one when the device first uses it.
    Next,
    /// It is not, and the device is refused.
    Revoked,
}

/// A credential of a device, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its id.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// For which server.
    pub purpose: CredentialPurpose,
    /// Of which kind.
    pub kind: CredentialKind,
    /// The identity of a psk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The key of an rpk: a DER SubjectPublicKeyInfo in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The only certificate that is good, if it is not any of the device's name: its SHA-256 in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whether it is believed.
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
    /// The key that the server made, in hexadecimal digits: told this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
}

/// A credential to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredential {
    /// The device.
    pub endpoint: String,
    /// For which server.
    #[serde(default)]
    pub purpose: CredentialPurpose,
    /// What it is.
    pub proof: CredentialProof,
}

/// What a device proves itself by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialProof {
    /// A key that the server has too.
    Psk {
        /// The endpoint's name unless told; with some random digits behind it for a credential that comes next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// Hexadecimal digits. Without a key the server makes 16 random bytes, and tells them in its answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Secret>,
    },
    /// A raw public key.
    Rpk {
        /// A DER SubjectPublicKeyInfo in hexadecimal digits.
        public_key: String,
    },
    /// A certificate of an authority that the server believes.
    X509 {
        /// The SHA-256, in hexadecimal digits, of the only certificate that is good; any of the device's name unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
}

/// What came of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Credentials that are new.
    pub added: usize,
    /// Credentials that were there already, the very same.
    pub unchanged: usize,
}
