//! A sign-in that a browser has begun, and that it alone can end.

use buoy_api::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::ProviderError;
use crate::hex;

/// How long a person has for the sign-in at the provider.
const PATIENCE: u64 = 10 * 60 * 1000;

/// The key of this run of the server. A sign-in that a restart interrupts is begun again.
pub(super) struct Keys(zeroize::Zeroizing<[u8; 32]>);

impl Keys {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Self(key))
    }

    fn derive(&self, purpose: &str, seed: &str) -> [u8; 32] {
        // A key of 32 bytes is always taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.0) else { return [0; 32] };
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(seed.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// A sign-in that was begun.
pub(super) struct Attempt {
    pub(super) cookie: Secret,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: Secret,
}

impl Attempt {
    pub(super) fn begin(keys: &Keys, now: u64) -> Result<Self, getrandom::Error> {
        let mut random = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random)?;
        let seed = format!("{}.{now:x}", hex::encode(&*random));
        let tag = hex::encode(&keys.derive("cookie", &seed));
        Ok(Self::of(keys, &seed, format!("{seed}.{tag}")))
    }

    /// The attempt of a cookie that came back.
    pub(super) fn resume(keys: &Keys, cookie: &str, now: u64) -> Result<Self, ProviderError> {
        let foreign = || ProviderError::NotBegun("this sign-in was begun before the server was started anew");
        let (seed, tag) = cookie.rsplit_once('.').ok_or_else(foreign)?;
        if !is_same(&hex::encode(&keys.derive("cookie", seed)), tag) {
            return Err(foreign());
        }
        let began = seed.rsplit_once('.').and_then(|(_, at)| u64::from_str_radix(at, 16).ok());
        match began {
            Some(began) if now < began.saturating_add(PATIENCE) => {
                Ok(Self::of(keys, seed, cookie.to_owned()))
            }
            _ => Err(ProviderError::NotBegun("this sign-in took longer than 10 minutes")),
        }
    }

    fn of(keys: &Keys, seed: &str, cookie: String) -> Self {
        Self {
            cookie: Secret::new(cookie),
            state: hex::encode(&keys.derive("state", seed)),
            nonce: hex::encode(&keys.derive("nonce", seed)),
            // 64 characters (RFC 7636, section 4.1: 43 to 128).
            verifier: Secret::new(hex::encode(&keys.derive("verifier", seed))),
        }
    }

    /// What the provider gets first (RFC 7636, section 4.2, S256).
    pub(super) fn challenge(&self) -> String {
        let digest = Sha256::digest(self.verifier.reveal().as_bytes());
        data_encoding::BASE64URL_NOPAD.encode(&digest)
    }
}

/// Compares in a time that tells nothing.
pub(super) fn is_same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}
