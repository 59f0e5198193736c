//! The HTTP interfaces of a Buoy server. They translate between HTTP and `buoy-services` and contain no other logic.
//!
//! [`interface`] is for operators and their programs: `/api/v1`, Leshan's dialect, health and metrics. [`bootstrap_interface`] is Leshan's dialect for
//! the bootstrap server. [`device_files`] is for devices, at a separate address, and serves only firmware and its signatures.
//! [`serve_interface`] and [`serve_files`] run them on a socket.

#![forbid(unsafe_code)]

mod arrival;
mod error;
mod files;
mod guard;
mod health;
mod leshan;
mod nodes;
mod page;
mod serve;
mod slash;
mod tls;
mod v1;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::Listener;
use buoy_services::app::App;
use buoy_services::firmware::{MAX_IMAGE, MAX_SIGNATURE};
use tokio::sync::oneshot;
use tower::Layer;

pub use arrival::{Leshan, Proxy, Trust};
use serve::Limits;
pub use tls::TlsListener;
pub use v1::document as openapi_document;

/// The largest body: an image, a signature, and 1 MB for the other parts of an upload.
const MAX_BODY: usize = (MAX_IMAGE + MAX_SIGNATURE) + (1 << 20);

/// The service for operators and their programs.
pub type Interface = guard::Guarded<<DefaultBodyLimit as Layer<Router>>::Service>;

/// The interface for operators and their programs.
pub fn interface(app: Arc<App>, trust: Trust) -> Interface {
    let routes = Router::new()
        .merge(health::routes())
        .merge(leshan::routes())
        .merge(v1::routes())
        .fallback(page::fallback)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app.clone());
    guard::Guarded { inner: DefaultBodyLimit::max(MAX_BODY).layer(routes), app, trust }
}

/// Leshan's dialect for the bootstrap server, which has its own port in Leshan.
pub fn bootstrap_interface(app: Arc<App>, trust: Trust) -> Interface {
    let routes = Router::new()
        .merge(leshan::bootstrap_routes())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app.clone());
    guard::Guarded { inner: DefaultBodyLimit::max(MAX_BODY).layer(routes), app, trust }
}

/// The files for devices.
pub fn device_files(app: Arc<App>) -> Router {
    files::routes()
        .fallback(error::no_file)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(0))
        .with_state(app)
}

/// Serves an interface over TCP or TLS until it is stopped.
///
/// # Errors
/// If the system fails.
pub async fn serve_interface<L>(
    listener: L,
    interface: Interface,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    serve::serve(listener, interface, Limits::default(), stopped).await
}

/// Serves files to devices, over TCP or TLS, until it is stopped.
///
/// # Errors
/// If the system fails.
pub async fn serve_files<L>(listener: L, app: Arc<App>, stopped: oneshot::Receiver<()>) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    serve::serve(listener, device_files(app), Limits::default(), stopped).await
}
