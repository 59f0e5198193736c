//! In front of the router: finds out who sends a request, and refuses what nobody may send.

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use buoy_services::app::App;
use futures_util::future::Either;
use tower::Service;

use super::arrival::Trust;
use super::slash;

/// A service whose requests have an author. It is in front of the router: as a layer of each route it would cost two boxes for a request.
#[derive(Clone)]
pub struct Guarded<S> {
    pub(super) inner: S,
    pub(super) app: Arc<App>,
    pub(super) trust: Trust,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        slash::remove_last(request.uri_mut());
        let mut extensions = std::mem::take(request.extensions_mut());
        let admitted = self.trust.admit(
            self.app.accounts(),
            request.method(),
            request.uri(),
            request.headers(),
            &mut extensions,
        );
        *request.extensions_mut() = extensions;
        match admitted {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => Either::Left(std::future::ready(Ok(refusal.into_response()))),
        }
    }
}
