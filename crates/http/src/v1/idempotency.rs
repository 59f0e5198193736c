//! The header `Idempotency-Key`.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use buoy_services::app::App;
use buoy_services::idempotency::{Key, KeyError};
use serde::Serialize;

use super::Problem;

const HEADER: &str = "idempotency-key";

/// Looks up the key of a request of this `kind`.
pub(super) async fn key_of(
    app: &Arc<App>,
    headers: &HeaderMap,
    kind: &str,
    request: &impl Serialize,
) -> Result<Key, Problem> {
    // A header that is not text counts as empty.
    let text = headers.get(HEADER).map(|value| value.to_str().unwrap_or_default());
    Key::of(app, text, kind, request).await.map_err(|error| {
        let detail = error.to_string();
        match error {
            KeyError::Form => Problem::bad_request(detail),
            KeyError::UnderWay => Problem::new(StatusCode::CONFLICT, "Under way", detail),
            KeyError::Used => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Key used", detail),
            KeyError::Store(error) => Problem::store(&error),
        }
    })
}
