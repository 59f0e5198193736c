//! `Idempotency-Key`: a POST that is sent again, because its answer was lost, is not done again.
//!
//! A key is kept in the store with a digest of its request and the name of what the request made, for as long as values are kept.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use buoy_store::KeyRow;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Problem;
use buoy_services::app::App;

const HEADER: &str = "idempotency-key";
const MAX_KEY: usize = 128;

/// What is known of a request's key.
pub(super) enum Key {
    /// The request has none.
    None,
    /// The request is new.
    New(NewKey),
    /// The request was done before, and made this.
    Known(u64),
}

/// A key that is taken until this is dropped.
pub(super) struct NewKey {
    app: Arc<App>,
    row: KeyRow,
}

impl Drop for NewKey {
    fn drop(&mut self) {
        self.app.keys_in_use.release(&self.row.key);
    }
}

impl Key {
    /// Looks at the key of a request of this `kind`.
    pub(super) async fn of(
        app: &Arc<App>,
        headers: &HeaderMap,
        kind: &str,
        request: &impl Serialize,
    ) -> Result<Self, Problem> {
        let Some(value) = headers.get(HEADER) else { return Ok(Self::None) };
        let text = value.to_str().unwrap_or_default();
        if text.is_empty() || text.len() > MAX_KEY {
            let detail = format!("Idempotency-Key must have 1 to {MAX_KEY} visible ASCII characters");
            return Err(Problem::bad_request(detail));
        }
        let key = format!("{kind} {text}");
        if !app.keys_in_use.take(&key) {
            let detail = "a request with this Idempotency-Key is under way; try again in a moment";
            return Err(Problem::new(StatusCode::CONFLICT, "Under way", detail));
        }
        let digest = Sha256::digest(serde_json::to_vec(request).unwrap_or_default()).to_vec();
        let new =
            NewKey { app: app.clone(), row: KeyRow { key: key.clone(), digest, made: 0, at: app.now() } };
        match app.read(move |store| store.idempotency_key(&key)).await? {
            None => Ok(Self::New(new)),
            Some(known) if known.digest == new.row.digest => Ok(Self::Known(known.made)),
            Some(_) => {
                let detail = "this Idempotency-Key was used for another request; choose a new one";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Key used", detail))
            }
        }
    }

    /// What is to be saved with what the request makes.
    pub(super) fn row(&self) -> Option<KeyRow> {
        match self {
            Self::New(new) => Some(new.row.clone()),
            Self::None | Self::Known(_) => None,
        }
    }
}
