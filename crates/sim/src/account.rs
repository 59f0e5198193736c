//! Server accounts: from the Security object to a DTLS configuration.
//!
//! Whether a key came with the settings or from a bootstrap server, [`client_config`] reads it from the account.

use std::fmt;
use std::net::IpAddr;

use buoy_client::{Host, Security, SecurityMode};
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, Resume, ServerTrust};
use buoy_dtls::crypto::{PublicKey, RustCrypto};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::x509::{Anchor, CertificateError, CertificateUsage, Pinned, ServerCertificateTrust};
use p256::SecretKey;
use p256::pkcs8::DecodePrivateKey;
use sha2::{Digest, Sha256};

/// A server account (an instance of object 0) on this machine, with room for certificates.
pub type Account = Security<Host>;

/// The accounts that a new device has, and whom it trusts besides.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// The server.
    pub server: Option<Account>,
    /// The bootstrap server, which says what the servers are. With a server too, the device goes there if it can't reach that.
    pub bootstrap: Option<Account>,
    /// The authorities that the device trusts in general.
    pub trust_store: TrustStore,
}

/// The authorities that a device trusts, whatever an account says.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
    digest: [u8; 32],
}

impl TrustStore {
    /// The authorities with these certificates, in DER.
    ///
    /// # Errors
    /// Why one of them is no authority.
    pub fn new(certificates: &[Vec<u8>]) -> Result<Self, CertificateError> {
        let anchors = certificates.iter().map(|der| Anchor::new(der)).collect::<Result<_, _>>()?;
        Ok(Self { anchors, digest: Sha256::digest(certificates.concat()).into() })
    }

    /// Names this trust store and no other.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// How to make a session with the server of an account.
///
/// # Errors
/// [`AccountError`]: what is wrong with the account, before anything is sent.
pub fn client_config(account: &Account, trust_store: &TrustStore) -> Result<ClientConfig, AccountError> {
    let credentials = match account.mode {
        SecurityMode::PreSharedKey => {
            let psk = Psk::new(account.identity.as_slice(), account.secret_key.as_slice());
            ClientCredentials::Psk(psk.ok_or(AccountError::SharedKey)?)
        }
        SecurityMode::RawPublicKey => {
            let own = OwnKey::raw_public_key::<RustCrypto>(&private_key(account)?);
            let own = own.ok_or(AccountError::PrivateKey)?;
            let claimed = PublicKey::from_spki(account.identity.as_slice());
            if claimed.is_some_and(|public| public != *own.public()) {
                return Err(AccountError::KeysOfTwo);
            }
            let server = PublicKey::from_spki(account.server_key.as_slice());
            let server = server.ok_or(AccountError::ServerPublicKey)?;
            ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(server) }
        }
        SecurityMode::Certificate => {
            let chain = split(account.identity.as_slice()).ok_or(AccountError::CertificateNotDer)?;
            let own = OwnKey::certificate::<RustCrypto>(&private_key(account)?, &chain)
                .map_err(AccountError::OwnCertificate)?;
            let server = ServerTrust::Certificate(Box::new(certificate_trust(account, trust_store)?));
            ClientCredentials::Certificate { own, server }
        }
        SecurityMode::NoSecurity => return Err(AccountError::NoKeys),
        SecurityMode::CertificateEnrolment => return Err(AccountError::Enrolment),
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
        return Err(AccountError::NoSuite);
    }
    let name = server_name(account)?;
    config.server_name = name.parse::<IpAddr>().is_err().then(|| name.into());
    Ok(config)
}

fn certificate_trust(
    account: &Account,
    trust_store: &TrustStore,
) -> Result<ServerCertificateTrust, AccountError> {
    let usage = CertificateUsage::from_number(account.tls.certificate_usage);
    let usage = usage.ok_or(AccountError::CertificateUsage)?;
    let narrows = matches!(usage, CertificateUsage::CaConstraint | CertificateUsage::ServiceConstraint);
    if narrows && trust_store.anchors.is_empty() {
        return Err(AccountError::TrustsNobody { certificate_usage: account.tls.certificate_usage });
    }
    let server = account.server_key.as_slice();
    let pinned = if account.tls.matching_type == 1 {
        Pinned::Sha256(server.try_into().map_err(|_| AccountError::ServerDigest)?)
    } else {
        Pinned::Certificate(server.into())
    };
    let mut trust = ServerCertificateTrust::new(usage, pinned);
    trust.anchors = trust_store.anchors.clone().into();
    trust.name = Some(server_name(account)?.into());
    Ok(trust)
}

/// What the server is called: by the account, or else by its URI.
fn server_name(account: &Account) -> Result<String, UriError> {
    match account.tls.server_name.as_str() {
        "" => Ok(authority(account.uri.as_str())?.host.to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// The number of the private key: in PKCS#8 (RFC 5958) as LwM2M says, in SEC1, or bare.
fn private_key(account: &Account) -> Result<[u8; 32], AccountError> {
    let bytes = account.secret_key.as_slice();
    if let Ok(number) = bytes.try_into() {
        return Ok(number);
    }
    let key = SecretKey::from_pkcs8_der(bytes).ok().or_else(|| SecretKey::from_sec1_der(bytes).ok());
    Ok(key.ok_or(AccountError::PrivateKey)?.to_bytes().into())
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
pub struct Authority<'a> {
    /// A name or an address; IPv6 stands without brackets.
    pub host: &'a str,
    /// The UDP port.
    pub port: u16,
}

impl std::fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Whether a URI asks for DTLS.
#[must_use]
pub fn is_secured(uri: &str) -> bool {
    behind_scheme(uri, "coaps").is_some()
}

/// What follows the scheme of a URI, if it is this one, in any case (RFC 3986 section 3.1).
#[must_use]
pub fn behind_scheme<'a>(uri: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = uri.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The host and the port of a `coap` or `coaps` URI.
///
/// # Errors
/// [`UriError`]
pub fn authority(uri: &str) -> Result<Authority<'_>, UriError> {
    let (rest, port) = match (behind_scheme(uri, "coap"), behind_scheme(uri, "coaps")) {
        (Some(rest), _) => (rest, 5683),
        (None, Some(rest)) => (rest, 5684),
        (None, None) => return Err(UriError::Scheme(uri.to_owned())),
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
    Ok(Authority { host, port: port.ok_or_else(|| UriError::Authority(uri.to_owned()))? })
}

/// Why there is no session with the server of an account. What is wrong stands in the account, unless it is said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The URI leads nowhere.
    Uri(UriError),
    /// The identity or the shared key is empty or too long.
    SharedKey,
    /// The private key is none on P-256.
    PrivateKey,
    /// The public key is not that of the private key.
    KeysOfTwo,
    /// The server's public key is none on P-256.
    ServerPublicKey,
    /// The device's certificate is not in DER.
    CertificateNotDer,
    /// The device's certificate can't be used.
    OwnCertificate(CertificateError),
    /// The certificate usage is none that there is.
    CertificateUsage,
    /// The usage narrows what the device trusts, and the device has no trust store.
    TrustsNobody {
        /// The usage.
        certificate_usage: u8,
    },
    /// The server's certificate should be named by its SHA-256, and isn't.
    ServerDigest,
    /// A secured URI, and no keys.
    NoKeys,
    /// The account wants a device that enrols for a certificate.
    Enrolment,
    /// The device has none of the cipher suites that the account allows.
    NoSuite,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri(error) => return error.fmt(f),
            Self::OwnCertificate(error) => return write!(f, "the device's own certificate is refused: {error}"),
            Self::TrustsNobody { certificate_usage } => {
                return write!(
                    f,
                    "certificate usage {certificate_usage} narrows what the device trusts, and it trusts nobody: \
                     give it a trust store (--trust-store)"
                );
            }
            Self::SharedKey => "the identity or the shared key is empty or too long",
            Self::PrivateKey => "the private key is none on P-256, in PKCS#8 or SEC1",
            Self::KeysOfTwo => "the account's public key is not that of its private key",
            Self::ServerPublicKey => "the server's public key is none on P-256",
            Self::CertificateNotDer => "the certificate is not in DER",
            Self::CertificateUsage => "the certificate usage (0/x/15) is not 0 to 3",
            Self::ServerDigest => "the server's certificate is named by a SHA-256 that has not 32 bytes",
            Self::NoKeys => "a coaps URI needs keys, and the account's mode is 3 (no security)",
            Self::Enrolment => "this device can't enrol for a certificate",
            Self::NoSuite => "the device has none of the cipher suites that the account allows (0/x/16)",
        })
    }
}

impl std::error::Error for AccountError {}

impl From<UriError> for AccountError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

/// Why a URI names no server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// It is neither `coap` nor `coaps`.
    Scheme(String),
    /// Its host is missing, or its port is no number.
    Authority(String),
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(uri) => write!(f, "{uri} is no coap:// or coaps:// URI"),
            Self::Authority(uri) => write!(f, "{uri} is not as in coaps://host:port"),
        }
    }
}

impl std::error::Error for UriError {}

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
        assert_eq!(host("coaps://[2001:db8::1]:99").as_deref(), Some("[2001:db8::1]:99"));
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
