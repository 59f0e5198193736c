//! Idempotency keys: a request that is repeated, because its answer was lost, is not executed again.
//!
//! A key is in the store with a digest of its request and the id of the result, for the retention time of values.

use std::sync::Arc;

use buoy_store::{KeyRow, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;

const MAX_KEY: usize = 128;

/// The state of a request's key.
pub enum Key {
    /// The request has none.
    None,
    /// The request is new.
    New(NewKey),
    /// The request was executed before, with the result of this id.
    Known(u64),
}

/// A key that is reserved until this is dropped, which is when the result of its request is durable.
pub struct NewKey {
    app: Arc<App>,
    row: KeyRow,
}

impl Drop for NewKey {
    fn drop(&mut self) {
        self.app.keys_in_use.release(&self.row.key);
    }
}

/// Why a request is not executed.
#[derive(Debug)]
pub enum KeyError {
    /// The key is empty, too long or not text.
    Form,
    /// A request with this key is in progress.
    UnderWay,
    /// The key was used for another request.
    Used,
    /// The store could not be read.
    Store(StoreError),
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form => write!(f, "Idempotency-Key must have 1 to {MAX_KEY} visible ASCII characters"),
            Self::UnderWay => {
                f.write_str("a request with this Idempotency-Key is under way; try again in a moment")
            }
            Self::Used => f.write_str("this Idempotency-Key was used for another request; choose a new one"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

impl Key {
    /// Looks up the key of a request of this `kind`.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn of(
        app: &Arc<App>,
        key: Option<&str>,
        kind: &str,
        request: &impl Serialize,
    ) -> Result<Self, KeyError> {
        let Some(text) = key else { return Ok(Self::None) };
        if text.is_empty() || text.len() > MAX_KEY {
            return Err(KeyError::Form);
        }
        let key = format!("{kind} {text}");
        if !app.keys_in_use.take(&key) {
            return Err(KeyError::UnderWay);
        }
        let digest = Sha256::digest(serde_json::to_vec(request).unwrap_or_default()).to_vec();
        let new =
            NewKey { app: app.clone(), row: KeyRow { key: key.clone(), digest, made: 0, at: app.now() } };
        match app.read(move |store| store.idempotency_key(&key)).await.map_err(KeyError::Store)? {
            None => Ok(Self::New(new)),
            Some(known) if known.digest == new.row.digest => Ok(Self::Known(known.made)),
            Some(_) => Err(KeyError::Used),
        }
    }

    /// The row to save with the result of the request.
    #[must_use]
    pub fn row(&self) -> Option<KeyRow> {
        match self {
            Self::New(new) => Some(new.row.clone()),
            Self::None | Self::Known(_) => None,
        }
    }

    /// The key of a new request.
    #[must_use]
    pub fn into_new(self) -> Option<NewKey> {
        match self {
            Self::New(new) => Some(new),
            Self::None | Self::Known(_) => None,
        }
    }
}

impl NewKey {
    /// The row to save with the result of the request, whose id is `made`.
    pub(crate) fn row(&self, made: u64) -> KeyRow {
        KeyRow { made, ..self.row.clone() }
    }
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key", &self.row.key).finish_non_exhaustive()
    }
}
