//! Accounts, tokens and sign-ins as the store has them: documents in JSON. Passwords and secrets are in none of them, only what proves them;
//! the secret of a second factor is sealed with the key file.

use std::net::IpAddr;

use anyhow::Context;
use buoy_api::{Grant, Secret};
use buoy_store::{DocumentKind, Reader};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{LONGEST, LONGEST_EXTERNAL};
use crate::hex;

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) name: String,
    pub(crate) grants: Vec<Grant>,
    /// The hash of its password (PHC string); absent if an identity provider signs it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_hash: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) second_factor: Option<SecondFactorRecord>,
    #[serde(default)]
    pub(crate) disabled: bool,
    /// Who it is at the identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) created_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_sign_in: Option<u64>,
    /// From where that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_address: Option<IpAddr>,
}

/// A second factor.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecondFactorRecord {
    /// Its secret, sealed, in hexadecimal digits.
    pub(crate) sealed: String,
    /// The step of the last code that was used: none before it counts.
    pub(crate) last_step: u64,
    /// Digests of the recovery codes that are left.
    pub(crate) recovery: Vec<String>,
}

/// A token. Its key is the digest of its secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) created_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<u64>,
}

/// A sign-in. Its key is the digest of its cookie.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SignInRecord {
    pub(crate) account: String,
    pub(crate) created_at: u64,
    pub(crate) seen_at: u64,
    /// Whether the identity provider signed it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) external: bool,
}

impl SignInRecord {
    /// When it ends, however much it is used.
    pub(crate) fn latest_end(&self) -> u64 {
        self.created_at + if self.external { LONGEST_EXTERNAL } else { LONGEST }
    }
}

/// What names a secret in memory and in the store. The secrets are 32 random bytes, so a fast hash protects them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub(crate) fn parse(key: &str) -> Option<Self> {
        Some(Self(hex::decode(key)?.try_into().ok()?))
    }

    pub(crate) fn key(&self) -> String {
        hex::encode(&self.0)
    }
}

/// All records of a kind, with their keys.
pub(crate) fn all<T: DeserializeOwned>(
    reader: &dyn Reader,
    kind: DocumentKind,
) -> anyhow::Result<Vec<(String, T)>> {
    let mut all = Vec::new();
    let mut trouble = None;
    reader.documents(kind, "", &mut |row| match serde_json::from_slice(&row.body) {
        Ok(record) => all.push((row.name, record)),
        Err(error) => trouble = Some((row.name, error)),
    })?;
    match trouble {
        None => Ok(all),
        Some((key, error)) => Err(error).with_context(|| {
            format!("the record {key:?} of accounts and sign-ins cannot be read; it may be of a newer version of Buoy")
        }),
    }
}

/// The name under which the secret of a second factor is sealed.
pub(crate) fn name_of_second_factor(account: &str) -> Vec<u8> {
    [b"second factor ", account.as_bytes()].concat()
}
