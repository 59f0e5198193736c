//! Hashes passwords with Argon2id (RFC 9106), a few at a time and outside of the threads that serve requests.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use buoy_api::Secret;
use tokio::sync::Semaphore;

/// Hashes at once: each takes a processor and 19 MiB.
const AT_ONCE: usize = 2;
/// How long one waits for its turn. The attempts of one address are limited, so only a flood from many makes others wait for long.
const PATIENCE: Duration = Duration::from_secs(10);
const SALT: usize = 16;
/// Of passwords in bytes: what is shorter is guessed, and a longer one says nothing more.
pub(super) const LENGTHS: std::ops::RangeInclusive<usize> = 12..=1024;

/// Hashes passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    params: Params,
    /// The hash of a password that nobody has: a sign-in to an account that is not there takes as long as any other.
    nobody: Arc<str>,
}

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too many wait already.
    Busy,
    /// The system failed.
    Failed,
}

impl Passwords {
    pub(super) fn new() -> anyhow::Result<Self> {
        // The least memory and passes that OWASP recommends for Argon2id.
        Self::with(Params::new(19 * 1024, 2, 1, None).map_err(|error| anyhow::anyhow!("{error}"))?)
    }

    fn with(params: Params) -> anyhow::Result<Self> {
        let nobody = hash(&params, "a password that nobody has");
        let nobody = nobody.ok_or_else(|| anyhow::anyhow!("a password cannot be hashed"))?;
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), params, nobody: nobody.into() })
    }

    /// For tests: so cheap that it protects nothing.
    #[cfg(test)]
    pub(super) fn cheap() -> Self {
        Self::with(Params::new(8, 1, 1, None).unwrap()).unwrap()
    }

    /// The hash of a password, with its salt and its parameters (PHC string).
    pub(super) async fn hash(&self, password: Secret) -> Result<String, Trouble> {
        let params = self.params.clone();
        self.run(move || hash(&params, password.reveal())).await?.ok_or(Trouble::Failed)
    }

    /// Whether this is the password of a hash; without a hash it is not, and that takes as long.
    pub(super) async fn verify(&self, hash: Option<Secret>, password: Secret) -> Result<bool, Trouble> {
        let nobody = self.nobody.clone();
        self.run(move || {
            let text = hash.as_ref().map_or(&*nobody, Secret::reveal);
            let is_it = PasswordHash::new(text).is_ok_and(|parsed| {
                Argon2::default().verify_password(password.reveal().as_bytes(), &parsed).is_ok()
            });
            is_it && hash.is_some()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Trouble::Busy)?.map_err(|_| Trouble::Failed)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| Trouble::Failed)
    }
}

fn hash(params: &Params, password: &str) -> Option<String> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    Some(argon2.hash_password_with_salt(password.as_bytes(), &salt).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_no_other_is() {
        let passwords = Passwords::cheap();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert!(passwords.verify(Some(secret(&hash)), secret("correct horse")).await.unwrap());
        assert!(!passwords.verify(Some(secret(&hash)), secret("correct horsf")).await.unwrap());
        assert!(!passwords.verify(Some(secret("damaged")), secret("correct horse")).await.unwrap());
        assert!(!passwords.verify(None, secret("a password that nobody has")).await.unwrap());
        assert_ne!(hash, passwords.hash(secret("correct horse")).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_for_a_turn_is_told_so() {
        let passwords = Passwords::cheap();
        let _all = passwords.turns.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        assert_eq!(passwords.hash(secret("a")).await.unwrap_err(), Trouble::Busy);
    }
}
