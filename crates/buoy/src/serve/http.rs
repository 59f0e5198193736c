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
use tower::Layer;

pub(crate) use files::Downloads;
pub(crate) use v1::{KeysInUse, document as openapi_document};

use super::app::App;
use super::firmware::{MAX_IMAGE, MAX_SIGNATURE};

/// Room for the other parts of an upload, in text.
const MAX_BODY: usize = (MAX_IMAGE + MAX_SIGNATURE) + (1 << 20);

/// What answers on each connection.
pub(crate) type Interface = guard::Guarded<<DefaultBodyLimit as Layer<Router>>::Service>;

/// All that is served.
pub(crate) fn interface(app: Arc<App>) -> Interface {
    let routes = Router::new()
        .merge(health::routes())
        .merge(files::routes())
        .merge(leshan::routes())
        .merge(v1::routes())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app);
    guard::Guarded(DefaultBodyLimit::max(MAX_BODY).layer(routes))
}
