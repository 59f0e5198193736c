//! Server accounts: from the command line to the Security object, and from there to a DTLS configuration.
//!
//! Whether a key came by a flag or from a bootstrap server, [`client_config`] reads it from the account.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail};
use buoy_api::Secret;
use buoy_client::{HOST_KEY_MAX, Security, SecurityMode};
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, Resume, ServerTrust};
use buoy_dtls::crypto::{PublicKey, RustCrypto};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::x509::{Anchor, CertificateUsage, Pinned, ServerCertificateTrust};
use p256::SecretKey;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use sha2::{Digest, Sha256};
use x509_cert::der::Encode;
use zeroize::Zeroizing;

use crate::cli::keys::{read, read_public_key};
use crate::cli::uri::behind_scheme;
use buoy_services::certificates;
use buoy_services::hex;

/// An account on this machine, with room for certificates.
pub(super) type Account = Security<HOST_KEY_MAX>;

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

/// The accounts that the command line names.
pub(super) struct Accounts {
    pub(super) server: Option<Account>,
    pub(super) bootstrap: Option<Account>,
    pub(super) trust_store: TrustStore,
}

/// The authorities that the device trusts, whatever an account says.
#[derive(Default)]
pub(super) struct TrustStore {
    anchors: Vec<Anchor>,
    digest: [u8; 32],
}

impl TrustStore {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let anchor = |der: &Vec<u8>| {
            Anchor::new(der)
                .map_err(|error| anyhow!("a certificate in {} is refused: {error}", path.display()))
        };
        let ders = ders(path)?;
        let anchors = ders.iter().map(anchor).collect::<Result<_, _>>()?;
        Ok(Self { anchors, digest: Sha256::digest(ders.concat()).into() })
    }

    /// Names this trust store and no other.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }
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
        let trust_store = self.trust_store.as_deref().map(TrustStore::read).transpose()?.unwrap_or_default();
        let account = |uri: &str| self.account(uri, endpoint, &trust_store);
        Ok(Accounts {
            server: server.map(account).transpose()?,
            bootstrap: self.bootstrap.as_deref().map(account).transpose()?,
            trust_store,
        })
    }

    /// Says the same to another process.
    pub(super) fn pass_on(&self, command: &mut Command) {
        let texts = [
            ("--server", &self.server),
            ("--bootstrap", &self.bootstrap),
            ("--psk-identity", &self.psk_identity),
            ("--server-name", &self.server_name),
        ];
        let files = [
            ("--psk-key-file", &self.psk_key_file),
            ("--key", &self.key),
            ("--server-public-key", &self.server_public_key),
            ("--certificate", &self.certificate),
            ("--trust-store", &self.trust_store),
            ("--server-ca", &self.server_ca),
            ("--server-certificate", &self.server_certificate),
        ];
        command.args(self.psk_key.iter().flat_map(|key| ["--psk-key", key.reveal()]));
        for (flag, text) in texts {
            command.args(text.iter().flat_map(|text| [flag, text]));
        }
        for (flag, file) in files {
            command.args(file.iter().flat_map(|file| [flag.as_ref(), file.as_os_str()]));
        }
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
        key.context("the shared key must be hexadecimal digits, two for a byte").map(Some)
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

/// How to make a session with the server of an account.
pub(super) fn client_config(account: &Account, trust_store: &TrustStore) -> anyhow::Result<ClientConfig> {
    let credentials = match account.mode {
        SecurityMode::PreSharedKey => {
            let psk = Psk::new(account.identity.as_slice(), account.secret_key.as_slice());
            ClientCredentials::Psk(psk.context("the identity or the shared key is empty or too long")?)
        }
        SecurityMode::RawPublicKey => {
            let own = OwnKey::raw_public_key::<RustCrypto>(&private_key(account)?);
            let own = own.context("the private key is none")?;
            if PublicKey::from_spki(account.identity.as_slice()).is_some_and(|public| public != *own.public())
            {
                bail!("the account's public key is not that of its private key");
            }
            let server = PublicKey::from_spki(account.server_key.as_slice());
            let server = server.context("the server's public key is none on P-256")?;
            ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(server) }
        }
        SecurityMode::Certificate => {
            let chain = split(account.identity.as_slice()).context("the certificate is not in DER")?;
            let own = OwnKey::certificate::<RustCrypto>(&private_key(account)?, &chain)
                .map_err(|error| anyhow!("the device's own certificate is refused: {error}"))?;
            let server = ServerTrust::Certificate(Box::new(certificate_trust(account, trust_store)?));
            ClientCredentials::Certificate { own, server }
        }
        SecurityMode::NoSecurity => bail!("a coaps URI needs keys, and the account's mode is 3"),
        SecurityMode::CertificateEnrolment => bail!("this device can't enrol for a certificate"),
    };
    let mut config = ClientConfig::new(credentials);
    config.resume = Resume::Keep;
    // A minute of silence; the engine waits for an answer half as long again.
    config.timing.retransmissions = 5;
    let allowed: Vec<u16> = account.tls.suites.iter().flatten().copied().collect();
    if !allowed.is_empty() {
        config.suites = allowed.into_iter().filter_map(CipherSuite::from_number).collect();
    }
    if config.suites.is_empty() {
        bail!("the device has none of the cipher suites that the account allows (0/x/16)");
    }
    let name = server_name(account)?;
    config.server_name = name.parse::<IpAddr>().is_err().then(|| name.into());
    Ok(config)
}

fn certificate_trust(account: &Account, trust_store: &TrustStore) -> anyhow::Result<ServerCertificateTrust> {
    let usage = CertificateUsage::from_number(account.tls.certificate_usage);
    let usage = usage.context("the certificate usage (0/x/15) is 0 to 3")?;
    let narrows = matches!(usage, CertificateUsage::CaConstraint | CertificateUsage::ServiceConstraint);
    if narrows && trust_store.anchors.is_empty() {
        bail!(
            "certificate usage {} narrows what the device trusts, and it trusts nobody: give it --trust-store",
            account.tls.certificate_usage
        );
    }
    let server = account.server_key.as_slice();
    let pinned = if account.tls.matching_type == 1 {
        Pinned::Sha256(server.try_into().context("a SHA-256 has 32 bytes")?)
    } else {
        Pinned::Certificate(server.into())
    };
    let mut trust = ServerCertificateTrust::new(usage, pinned);
    trust.anchors = trust_store.anchors.clone().into();
    trust.name = Some(server_name(account)?.into());
    Ok(trust)
}

/// What the server is called: by the account, or else by its URI.
fn server_name(account: &Account) -> anyhow::Result<String> {
    match account.tls.server_name.as_str() {
        "" => Ok(authority(account.uri.as_str())?.host.to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// The number of the private key: in PKCS#8 (RFC 5958) as LwM2M says, in SEC1, or bare.
fn private_key(account: &Account) -> anyhow::Result<[u8; 32]> {
    let bytes = account.secret_key.as_slice();
    if let Ok(number) = bytes.try_into() {
        return Ok(number);
    }
    let key = SecretKey::from_pkcs8_der(bytes).ok().or_else(|| SecretKey::from_sec1_der(bytes).ok());
    Ok(key.context("the private key is none on P-256, in PKCS#8 or SEC1")?.to_bytes().into())
}

/// The certificates of a file, in DER.
fn ders(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(certificates::read_certificates(path)?.iter().map(Encode::to_der).collect::<Result<_, _>>()?)
}

/// The values of DER that stand one after the other.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (head, length) = match *bytes.get(1)? {
            short @ ..=0x7f => (2, usize::from(short)),
            0x81 => (3, usize::from(*bytes.get(2)?)),
            0x82 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
            _ => return None,
        };
        let (value, rest) = bytes.split_at_checked(head + length)?;
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl std::fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

pub(super) fn is_secured(uri: &str) -> bool {
    behind_scheme(uri, "coaps").is_some()
}

/// The host and the port of a `coap` or `coaps` URI.
pub(super) fn authority(uri: &str) -> anyhow::Result<Authority<'_>> {
    let (rest, port) = match (behind_scheme(uri, "coap"), behind_scheme(uri, "coaps")) {
        (Some(rest), _) => (rest, 5683),
        (None, Some(rest)) => (rest, 5684),
        (None, None) => bail!("{uri} is no coap:// or coaps:// URI"),
    };
    let rest = rest.trim_end_matches('/');
    let (host, digits) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, digits)) => (host, digits),
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    let port = match digits.strip_prefix(':') {
        None if digits.is_empty() => Some(port),
        digits => digits.and_then(|digits| digits.parse().ok()),
    };
    let port = port.filter(|_| !host.is_empty());
    Ok(Authority { host, port: port.with_context(|| format!("{uri} is not as in coaps://host:port"))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_host_and_a_port() {
        let host = |uri| authority(uri).map(|it| it.to_string()).ok();
        assert_eq!(host("coap://buoy.example").as_deref(), Some("buoy.example:5683"));
        assert_eq!(host("coaps://192.0.2.1/").as_deref(), Some("192.0.2.1:5684"));
        assert_eq!(host("CoAPS://buoy.example").as_deref(), Some("buoy.example:5684"));
        assert!(is_secured("CoAPS://buoy.example") && !is_secured("CoAP://buoy.example"));
        assert_eq!(host("coaps://[2001:db8::1]:99").as_deref(), Some("2001:db8::1:99"));
        assert_eq!([host("http://a"), host("coap://"), host("coap://a:b")], [None, None, None]);
    }

    #[test]
    fn an_account_that_a_bootstrap_server_wrote_says_which_suites_are_offered() {
        let mut account = Account::psk("coaps://192.0.2.1", b"buoy-1", &[7; 16]).unwrap();
        assert_eq!(*client_config(&account, &TrustStore::default()).unwrap().suites, *CipherSuite::ALL);
        account.tls.suites[0] = Some(CipherSuite::PskAes128Ccm8.number());
        assert_eq!(
            *client_config(&account, &TrustStore::default()).unwrap().suites,
            [CipherSuite::PskAes128Ccm8]
        );
        account.tls.suites[0] = Some(0x1301);
        assert!(client_config(&account, &TrustStore::default()).is_err());
    }

    #[test]
    fn a_key_that_is_none_is_told_before_anything_is_sent() {
        let account = Account::raw_public_key("coaps://192.0.2.1", b"", &[0; 32], b"").unwrap();
        assert!(client_config(&account, &TrustStore::default()).is_err());
    }

    #[test]
    fn certificates_stand_one_after_the_other() {
        let chain = [[0x30, 2, 1, 2].as_slice(), &[0x30, 0x81, 1, 9]].concat();
        assert_eq!(split(&chain).unwrap(), [&[0x30, 2, 1, 2][..], &[0x30, 0x81, 1, 9]]);
        assert_eq!(split(&[0x30, 5, 1]), None);
    }
}
