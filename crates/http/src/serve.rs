//! Accepts connections, and serves each as HTTP/1.1 (RFC 9112) within limits.
//!
//! Whoever connects and says nothing, or says a header a byte a minute, is cut off, and connections are bounded in number: no peer takes
//! the places of all others for long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{Semaphore, oneshot};
use tower::{Service, ServiceExt as _};

/// What one listener bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the start of a connection, or from the last answer on it, to the end of a request's headers.
    pub(crate) headers: Duration,
    /// Connections at once; further ones wait in the system's queue.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { headers: Duration::from_secs(30), connections: 4096 }
    }
}

/// Serves until it is told to stop; requests that are under way then are answered.
pub(crate) async fn serve<L, S>(
    mut listener: L,
    service: S,
    limits: Limits,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers);
    let under_way = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        // The sender's end is a stop too.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.map_err(io::Error::other)?,
            _ = &mut stopped => break,
        };
        let (stream, address) = tokio::select! {
            connection = listener.accept() => connection,
            _ = &mut stopped => break,
        };
        let service = service.clone();
        let answer = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            service.clone().oneshot(request.map(Body::new))
        });
        let connection = under_way.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    under_way.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn start(
        limits: Limits,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let routes = Router::new()
            .route("/", get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.to_string() }));
        (address, stop, tokio::spawn(serve(listener, routes, limits, stopped)))
    }

    async fn all_of(mut stream: TcpStream) -> String {
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        all
    }

    #[tokio::test]
    async fn a_connection_without_a_whole_header_is_cut_off_and_gives_its_place_up() {
        let limits = Limits { headers: Duration::from_millis(100), connections: 1 };
        let (address, stop, served) = start(limits).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let from = next.local_addr().unwrap().to_string();
        let answer = tokio::time::timeout(Duration::from_secs(20), all_of(next)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&from), "{answer}");
        assert!(!all_of(slow).await.contains("200"));
        drop(stop);
        served.await.unwrap().unwrap();
    }
}
