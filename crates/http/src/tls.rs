//! A listener whose connections are TLS (RFC 8446, RFC 5246), by rustls.
//!
//! Handshakes run concurrently and have a time limit, so that a silent peer delays no other. The certificate and its key are read anew when their
//! files change, so that they can be renewed while the server runs.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

/// The time limit of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most handshakes at once; further connections wait in the system's queue.
const MOST_HANDSHAKES: usize = 256;
/// The pause after a failed `accept`.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the files of the certificate are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Accepts TLS connections.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    /// Uses the certificate in this file for all connections, also when the file changes. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the files can't be used.
    pub fn new(listener: TcpListener, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let shown = Arc::new(Shown::new(certificate, key)?);
        let acceptor = TlsAcceptor::from(Arc::new(config(shown.clone())?));
        let (accepted, connections) = mpsc::channel(1);
        tokio::spawn(follow(shown, accepted.clone()));
        tokio::spawn(accept(listener, acceptor, accepted));
        Ok(Self { address, connections })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The task that sends connections ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The certificate that is shown, and its files.
#[derive(Debug)]
struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

/// By what a changed file is known.
type Stamp = Vec<Option<(SystemTime, u64)>>;

impl Shown {
    fn new(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let current = RwLock::new(Arc::new(read(certificate, key)?));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        vec![of(&self.certificate), of(&self.key)]
    }

    /// Reads the files anew. As long as they can't be used, the certificate of before is shown.
    fn read_again(&self) -> anyhow::Result<()> {
        let next = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Reads the certificate anew when its files change, as long as there is a listener.
async fn follow(shown: Arc<Shown>, listener: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let mut known = shown.stamp();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = listener.closed() => return,
        }
        let stamp = shown.stamp();
        if stamp == known {
            continue;
        }
        // The one file may be new and the other not yet: the next change is looked at again.
        known = stamp;
        match shown.read_again() {
            Ok(()) => tracing::info!("the certificate {} was read anew", shown.certificate.display()),
            Err(error) => tracing::warn!(
                "{error:#}; the certificate of before goes on being shown until both files can be used"
            ),
        }
    }
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let cannot = |path: &Path| format!("{} cannot be used for HTTPS", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| cannot(certificate))?;
    let key_der = PrivateKeyDer::from_pem_file(key).with_context(|| cannot(key))?;
    CertifiedKey::from_der(chain, key_der, &aws_lc_rs::default_provider())
        .with_context(|| cannot(certificate))
}

fn config(shown: Arc<Shown>) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    while !accepted.is_closed() {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = accepted.closed() => return,
        };
        let Ok((stream, address)) = connection else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            // The place is held until the connection is passed on, so that waiting connections are limited, too.
            let _place = place;
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => {
                    // While the server stops, or serves too many connections, there is no receiver.
                    let _ = accepted.send_timeout((stream, address), HANDSHAKE).await;
                }
                Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
            }
        });
    }
}
