//! TLS to receivers, with the authorities of the system.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long the authorities that were read from the system are used.
const AUTHORITIES_AGE: Duration = Duration::from_secs(3600);

/// The authorities of the system, read when they are needed first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorities(Arc<Mutex<Option<Read>>>);

/// When they were read, and with them.
type Read = (Instant, Arc<ClientConfig>);

impl Authorities {
    /// Makes a connection secure, with the host that has this name.
    pub(crate) async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let config = self.config().await?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| format!("{host} is no name for TLS"))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        stream.map_err(|error| format!("TLS: {error}"))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some((read_at, config)) = &*self.lock()
            && read_at.elapsed() < AUTHORITIES_AGE
        {
            return Ok(config.clone());
        }
        let read = tokio::task::spawn_blocking(client_config).await;
        let config = Arc::new(read.map_err(|error| error.to_string())??);
        *self.lock() = Some((Instant::now(), config.clone()));
        Ok(config)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client_config() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "TLS: this machine has no authorities; install ca-certificates, or name a file in SSL_CERT_FILE"
                .into(),
        );
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}
