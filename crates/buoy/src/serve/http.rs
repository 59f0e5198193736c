//! The HTTP side: who answers which path.

mod error;
mod events;
mod files;
mod guard;
mod health;
mod leshan;
mod nodes;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;

pub(crate) use files::Downloads;
pub(crate) use v1::{KeysInUse, document as openapi_document};

use super::app::App;
use super::firmware::{MAX_IMAGE, MAX_SIGNATURE};

/// Room for the other parts of an upload, in text.
const MAX_BODY: usize = (MAX_IMAGE + MAX_SIGNATURE) + (1 << 20);

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(health::routes())
        .merge(files::routes())
        .merge(leshan::routes())
        .merge(v1::routes())
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn(guard::this_machine))
        .with_state(app)
}
