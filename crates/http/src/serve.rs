//! Accepts connections and serves HTTP/1.1 (RFC 9112) on them, within limits.
//!
//! A connection whose headers don't arrive within a time limit is closed, and the number of connections is limited. So no peer can keep
//! others from connecting for long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Sleep;
use tower::{Service, ServiceExt as _};

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The time from the start of a connection, or from its last answer, to the end of a request's headers.
    pub(crate) headers: Duration,
    /// The time within which the peer has to receive some bytes of an answer.
    pub(crate) writes: Duration,
    /// The most connections at once; further ones wait in the system's queue.
    pub(crate) connections: usize,
    /// The most connections of one address, unless it is an address of this machine; further ones are closed.
    pub(crate) of_one_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let patience = Duration::from_secs(30);
        Self { headers: patience, writes: patience, connections: 4096, of_one_address: 512 }
    }
}

/// Serves until it is stopped; requests in progress are still answered.
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
    let peers = Peers::default();
    loop {
        // A dropped sender means stop, too.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.map_err(io::Error::other)?,
            _ = &mut stopped => break,
        };
        let (stream, address) = tokio::select! {
            connection = listener.accept() => connection,
            _ = &mut stopped => break,
        };
        let Some(peer) = peers.take(address.ip(), limits.of_one_address) else {
            tracing::debug!(%address, "an address has too many connections");
            continue;
        };
        let stream = Patient { stream, patience: limits.writes, deadline: None };
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
            drop((place, peer));
        });
    }
    drop(listener);
    under_way.shutdown().await;
    Ok(())
}

/// The number of connections of each address.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Peers {
    /// Counts one more connection; `None` if the address has too many.
    fn take(&self, address: IpAddr, most: usize) -> Option<Peer> {
        let address = address.to_canonical();
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        // Programs of this machine, for example a reverse proxy, have no limit.
        if *count >= most && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Peer { peers: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection of an address until this is dropped.
struct Peer {
    peers: Peers,
    address: IpAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A stream that fails when the peer receives nothing for too long while data waits to be written.
struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Set while data waits to be written.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Returns the result of an attempt to write, and starts or stops the deadline.
    fn watch<T>(&mut self, context: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.deadline = None;
            return attempt;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, attempt)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, attempt)
    }
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
        let limits = Limits { headers: Duration::from_millis(100), connections: 1, ..Limits::default() };
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

    #[tokio::test]
    async fn a_connection_whose_other_end_reads_nothing_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = oneshot::channel();
        let routes = Router::new().route("/", get(|| async { vec![b'x'; 64 << 20] }));
        let limits = Limits { writes: Duration::from_millis(200), connections: 1, ..Limits::default() };
        tokio::spawn(serve(listener, routes, limits, stopped));
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(request).await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(request).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(30), all_of(next)).await.unwrap();
        assert!(answer.len() > 64 << 20);
        drop(silent);
    }

    #[test]
    fn one_address_has_some_places_and_programs_of_this_machine_as_many_as_there_are() {
        let peers = Peers::default();
        let (one, own) = ("192.0.2.1".parse().unwrap(), "::ffff:127.0.0.1".parse().unwrap());
        let held: Vec<_> = (0..3).filter_map(|_| peers.take(one, 2)).collect();
        assert_eq!(held.len(), 2);
        assert!(peers.take("192.0.2.2".parse().unwrap(), 2).is_some());
        assert_eq!((0..3).filter_map(|_| peers.take(own, 2)).collect::<Vec<_>>().len(), 3);
        drop(held);
        assert!(peers.take(one, 2).is_some());
        assert!(peers.lock().is_empty());
    }
}
