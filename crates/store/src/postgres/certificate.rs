//! Which certificates of a database server are good.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// What is asked of a certificate. In any case the server proves that it has the key of it.
#[derive(Debug)]
pub(super) enum Check {
    /// Nothing more.
    Nothing,
    /// That one of these has signed it.
    Authority(Authorities),
    /// The same, and that it has the name of the host.
    Name(Authorities),
}

/// Whom `sslrootcert` trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities of a PEM file.
    File(PathBuf),
    /// Those of the system.
    System,
}

/// Who is trusted.
#[derive(Debug)]
pub(super) struct Authorities {
    roots: RootCertStore,
    /// The certificates themselves.
    listed: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// # Errors
    /// If there are none, in words.
    pub(super) fn load(roots: &Roots) -> Result<Self, String> {
        match roots {
            Roots::File(path) => Self::of_file(path),
            Roots::System => Self::of_system(),
        }
    }

    fn of_file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let cannot = |cause: String| format!("the file {shown} of sslrootcert cannot be used: {cause}");
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let listed = read.map_err(|error| cannot(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            roots.add(certificate.clone()).map_err(|error| cannot(error.to_string()))?;
        }
        if listed.is_empty() {
            return Err(cannot("it holds no certificate in PEM".into()));
        }
        Ok(Self { roots, listed })
    }

    fn of_system() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            return Err(
                "this system has no authorities that are trusted (as in /etc/ssl/certs); install them \
                        (`apt-get install ca-certificates`), or name one with sslrootcert=FILE"
                    .into(),
            );
        }
        Ok(Self { roots, listed: Vec::new() })
    }
}

/// Looks at certificates as it was asked to.
#[derive(Debug)]
pub(super) struct Verifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(check: Check, provider: &Arc<CryptoProvider>) -> Self {
        Self { check, algorithms: provider.signature_verification_algorithms }
    }

    fn check_authority(
        &self,
        authorities: &Authorities,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        // One that is trusted itself, as `openssl req -x509` makes it, says that it is an authority: as a server's it would be refused.
        if authorities.listed.iter().any(|listed| listed == own) {
            return check_dates(own, now);
        }
        let parsed = ParsedCertificate::try_from(own)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &authorities.roots, between, now, algorithms)
    }
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Authority(authorities) => self.check_authority(authorities, own, between, now)?,
            Check::Name(authorities) => {
                self.check_authority(authorities, own, between, now)?;
                verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
