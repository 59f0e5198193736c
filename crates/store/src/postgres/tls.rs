//! TLS to the database, by rustls: what `sslmode` and `sslrootcert` ask for, as libpq means them.
//!
//! Which certificates are good is said in [`super::certificate`].

use std::fmt;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::certificate::{Authorities, Check, Roots, Verifier};

/// The name of the protocol, which PostgreSQL looks at from version 17 on.
const PROTOCOL: &[u8] = b"postgresql";

/// What `sslmode` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server has it.
    Prefer,
    /// TLS, whatever the certificate.
    Require,
    /// TLS, with a certificate of an authority that is trusted.
    VerifyAuthority,
    /// The same, and the certificate has the name that the URL has.
    VerifyName,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyAuthority,
            "verify-full" => Self::VerifyName,
            _ => return None,
        })
    }
}

/// How connections are made secure.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    checks_name: bool,
}

impl Tls {
    /// None if no TLS is wanted.
    ///
    /// # Errors
    /// What is wrong with the parameters, or with the file.
    pub(super) fn new(mode: Mode, roots: Option<Roots>) -> Result<Option<Self>, String> {
        let check = match (mode, roots) {
            (Mode::Disable, _) => return Ok(None),
            (Mode::VerifyName, roots) => Check::Name(Authorities::load(&roots.unwrap_or(Roots::System))?),
            (_, Some(Roots::System)) => {
                return Err(
                    "sslrootcert=system asks for sslmode=verify-full: the system's authorities have \
                            certified anybody, and only the name tells one from another"
                        .into(),
                );
            }
            (Mode::VerifyAuthority, None) => {
                return Err(
                    "sslmode=verify-ca asks for sslrootcert=FILE: the system's authorities have certified \
                            anybody, and only the name tells one from another (sslmode=verify-full)"
                        .into(),
                );
            }
            // A file says that it is to be looked at.
            (_, Some(file)) => Check::Authority(Authorities::load(&file)?),
            (Mode::Prefer | Mode::Require, None) => Check::Nothing,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier::new(check, &provider));
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?;
        let mut config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Some(Self { config: Arc::new(config), checks_name: mode == Mode::VerifyName }))
    }

    /// For one connection.
    pub(super) fn connector(&self) -> Connector {
        Connector { tls: self.clone(), is_encrypted: Arc::default() }
    }
}

/// Makes one connection secure.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Tls,
    is_encrypted: Arc<AtomicBool>,
}

impl Connector {
    /// Tells afterwards whether it did.
    pub(super) fn is_encrypted(&self) -> Arc<AtomicBool> {
        self.is_encrypted.clone()
    }
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type TlsConnect = Handshake;
    type Error = Fault;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Fault> {
        Ok(Handshake { connector: self.clone(), host: host.to_owned() })
    }
}

/// The handshake of one connection with this host.
pub(super) struct Handshake {
    connector: Connector,
    host: String,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Secured<S>, Fault>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = match ServerName::try_from(self.host) {
                Ok(name) => name,
                Err(_) if self.connector.tls.checks_name => return Err(Fault::NoName),
                // Nobody looks at it, and an address is not sent.
                Err(_) => Ipv4Addr::UNSPECIFIED.into(),
            };
            let connected = TlsConnector::from(self.connector.tls.config).connect(name, stream).await;
            let stream = connected.map_err(Fault::of)?;
            self.connector.is_encrypted.store(true, Ordering::Relaxed);
            Ok(Secured(stream))
        })
    }
}

/// Why there is no secure connection.
#[derive(Debug)]
pub(super) enum Fault {
    /// The host of the URL can't be the name of a certificate.
    NoName,
    /// The server's certificate is not good.
    Certificate(CertificateError),
    /// What the two say of TLS does not fit together.
    Protocol(rustls::Error),
    /// The connection broke.
    Broken(io::Error),
}

impl Fault {
    fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(cause)) => Self::Certificate(cause.clone()),
            Some(other) => Self::Protocol(other.clone()),
            None => Self::Broken(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("the host of the URL is no name that a certificate can have"),
            Self::Certificate(cause) => {
                f.write_str("its certificate is refused (")?;
                match cause {
                    CertificateError::UnknownIssuer => f.write_str("nobody who is trusted has signed it")?,
                    other => other.fmt(f)?,
                }
                write!(f, "); {}", advice(cause))
            }
            Self::Protocol(error) => write!(f, "the TLS handshake failed ({error})"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

fn advice(cause: &CertificateError) -> &'static str {
    match cause {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the host in the URL as the certificate does in its subjectAltName, or give the server a certificate \
             for this name"
        }
        CertificateError::UnknownIssuer => {
            "name the authority that signed it with sslrootcert=FILE; if that is the right one, somebody else answers \
             in the server's place"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "give the server a new one",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "check the clocks of both machines"
        }
        _ => "give the server an X.509 certificate of version 3 with its name in subjectAltName",
    }
}

/// A connection that is encrypted.
pub(super) struct Secured<S>(TlsStream<S>);

impl<S> tokio_postgres::tls::TlsStream for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let binding = certificates.and_then(<[_]>::first).and_then(|own| end_point(own));
        binding.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// What binds a log-in to the server's certificate (RFC 5929, section 4.1): its hash, by the function of its signature, or by SHA-256 in
/// place of MD5 and SHA-1. None if the signature has no such function.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let signed_by = Certificate::from_der(certificate).ok()?.signature_algorithm().oid.to_string();
    Some(match &*signed_by {
        // RSA and ECDSA with MD5, SHA-1 and SHA-256; with SHA-384; with SHA-512.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}
