//! The device's server accounts as flags, and what is in the files that they name.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use buoy_api::Secret;
use buoy_dtls::x509::CertificateUsage;
use buoy_services::{certificates, hex};
use buoy_sim::account::{Account, Accounts, TrustStore, authority, client_config, is_secured};
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey};
use x509_cert::der::Encode;
use zeroize::Zeroizing;

use crate::cli::keys::{read, read_public_key};

/// Where the server is, and what proves who is who.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct AccountArgs {
    /// The server [default, without --bootstrap: coaps://127.0.0.1:5684, or coap://127.0.0.1:5683 if there is no key]
    #[arg(long, value_name = "coap[s]://HOST:PORT")]
    server: Option<String>,
    /// The bootstrap server, which says what the servers are. With --server too, the device goes there if it can't reach the server.
    #[arg(long, value_name = "coap[s]://HOST:PORT")]
    bootstrap: Option<String>,
    /// Who the device is to a server that shares a key with it [default: the endpoint name]
    #[arg(long, value_name = "TEXT")]
    psk_identity: Option<String>,
    /// The shared key in hexadecimal digits, which other users of this machine may see; --psk-key-file hides it.
    #[arg(long, value_name = "HEX")]
    psk_key: Option<Secret>,
    /// A file with the shared key in hexadecimal digits.
    #[arg(long, value_name = "FILE", conflicts_with = "psk_key")]
    psk_key_file: Option<PathBuf>,
    /// The device's own private key on P-256 (PKCS#8 or SEC1).
    #[arg(long, value_name = "KEY.pem", conflicts_with_all = ["psk_key", "psk_key_file", "psk_identity"])]
    key: Option<PathBuf>,
    /// The server's public key, or a certificate with it; the device shows its own.
    #[arg(long, value_name = "FILE.pem", requires = "key")]
    server_public_key: Option<PathBuf>,
    /// The certificate of --key, and those above it.
    #[arg(long, value_name = "CERT.pem", requires = "key", conflicts_with = "server_public_key")]
    certificate: Option<PathBuf>,
    /// The authorities that the device trusts in general, one certificate after the other. With it --server-ca and --server-certificate
    /// narrow that trust (certificate usages 0 and 1), and without it they replace it.
    #[arg(long, value_name = "CERTS.pem")]
    trust_store: Option<PathBuf>,
    /// The authority that the server's certificate must come from (certificate usage 2).
    #[arg(long, value_name = "CERT.pem", requires = "certificate")]
    server_ca: Option<PathBuf>,
    /// The server's certificate, and no other (certificate usage 3).
    #[arg(long, value_name = "CERT.pem", requires = "certificate", conflicts_with = "server_ca")]
    server_certificate: Option<PathBuf>,
    /// The name that the server's certificate must have, and that is asked for by SNI [default: the host of the URI]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

impl AccountArgs {
    /// The accounts, with their keys.
    pub(super) fn accounts(&self, endpoint: &str) -> anyhow::Result<Accounts> {
        let server = match (&self.server, &self.bootstrap) {
            (None, None) if self.has_keys() => Some("coaps://127.0.0.1:5684"),
            (None, None) => Some("coap://127.0.0.1:5683"),
            (server, _) => server.as_deref(),
        };
        let uris = [server, self.bootstrap.as_deref()];
        if self.has_keys() && !uris.into_iter().flatten().any(is_secured) {
            bail!("keys are given, but no server with a coaps:// URI to use them at");
        }
        if !self.has_keys() && (self.psk_identity.is_some() || self.server_name.is_some()) {
            bail!(
                "--psk-identity and --server-name are of use only with keys: add --psk-key-file, or --key with the server's key"
            );
        }
        let trust_store = self.trust_store.as_deref().map(read_trust_store).transpose()?.unwrap_or_default();
        let account = |uri: &str| self.account(uri, endpoint, &trust_store);
        Ok(Accounts {
            server: server.map(account).transpose()?,
            bootstrap: self.bootstrap.as_deref().map(account).transpose()?,
            trust_store,
        })
    }

    fn has_keys(&self) -> bool {
        self.psk_key.is_some() || self.psk_key_file.is_some() || self.key.is_some()
    }

    fn account(&self, uri: &str, endpoint: &str, trust_store: &TrustStore) -> anyhow::Result<Account> {
        let authority = authority(uri)?;
        if !is_secured(uri) {
            return Account::none(uri).with_context(|| format!("{uri} is too long"));
        }
        let mut account = if let Some(key) = self.shared_key()? {
            let identity = self.psk_identity.as_deref().unwrap_or(endpoint);
            Account::psk(uri, identity.as_bytes(), &key)
        } else if let Some(path) = &self.key {
            self.asymmetric(uri, &certificates::read_key(path)?)?
        } else {
            bail!(
                "{authority} is to be reached by coaps: add --psk-key-file, or --key with the server's key"
            );
        }
        .context("a URI, identity or key is too long")?;
        account.tls.server_name =
            buoy_client::text::Text::new(self.server_name.as_deref().unwrap_or_default())
                .context("--server-name")?;
        if self.certificate.is_some() {
            account.tls.certificate_usage = self.certificate_usage() as u8;
        }
        client_config(&account, trust_store)?;
        Ok(account)
    }

    fn certificate_usage(&self) -> CertificateUsage {
        match (self.trust_store.is_some(), self.server_ca.is_some()) {
            (true, true) => CertificateUsage::CaConstraint,
            (true, false) => CertificateUsage::ServiceConstraint,
            (false, true) => CertificateUsage::TrustAnchorAssertion,
            (false, false) => CertificateUsage::DomainIssued,
        }
    }

    fn shared_key(&self) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        let text = match (&self.psk_key, &self.psk_key_file) {
            (Some(digits), _) => digits.clone(),
            (None, Some(path)) => Secret::new(read(path)?),
            (None, None) => return Ok(None),
        };
        let key = hex::decode(text.reveal().trim()).map(Zeroizing::new);
        let key = key.filter(|key| !key.is_empty());
        key.context("the shared key (--psk-key, --psk-key-file) must be hexadecimal digits, two for a byte")
            .map(Some)
    }

    fn asymmetric(
        &self,
        uri: &str,
        key: &SecretKey,
    ) -> anyhow::Result<Result<Account, buoy_client::text::TooLong>> {
        let secret = key.to_pkcs8_der()?;
        let secret = secret.as_bytes();
        if let Some(path) = &self.server_public_key {
            let own = key.public_key().to_public_key_der()?;
            let server = read_public_key(path)?.to_spki();
            return Ok(Account::raw_public_key(uri, own.as_bytes(), secret, &server));
        }
        let Some(chain) = &self.certificate else {
            bail!(
                "--key needs --server-public-key, or --certificate with --server-ca or --server-certificate"
            );
        };
        let server = self.server_ca.as_ref().or(self.server_certificate.as_ref());
        let server = server.context("--certificate needs --server-ca or --server-certificate")?;
        let first = ders(server)?.into_iter().next().unwrap_or_default();
        Ok(Account::certificate(uri, &ders(chain)?.concat(), secret, &first))
    }
}

fn read_trust_store(path: &Path) -> anyhow::Result<TrustStore> {
    TrustStore::new(&ders(path)?)
        .map_err(|error| anyhow!("a certificate in {} is refused: {error}", path.display()))
}

/// The certificates of a file, in DER.
fn ders(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(certificates::read_certificates(path)?.iter().map(Encode::to_der).collect::<Result<_, _>>()?)
}
