//! The keys of a swarm: derived from one secret, so that a hundred thousand devices need no file, or read from a list.
//!
//! From a secret, a device's shared key is the first 16 bytes of HMAC-SHA256(secret, endpoint), and its identity the endpoint;
//! its private key is the first of HMAC-SHA256(secret, "rpk" number endpoint) that is one. With certificates an authority of `buoy ca`
//! signs for that key when the swarm starts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use buoy_api::Secret;
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, Resume, ServerTrust};
use buoy_dtls::crypto::{PublicKey, RustCrypto, hmac_sha256};
use buoy_dtls::x509::{CertificateUsage, Pinned, ServerCertificateTrust};
use p256::SecretKey;
use x509_cert::der::Encode;
use zeroize::Zeroizing;

use crate::cli::keys::{read, read_public_key};
use buoy_services::certificates::{self, Issuer, Subject, Use};
use buoy_services::hex;

/// A swarm's certificates are made anew whenever it starts.
const CERTIFICATE_DAYS: u32 = 2;

/// Which keys the devices have.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// The secret from which every device's key is derived, in hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "credentials")]
    psk_secret: Option<Secret>,
    /// What is derived from the secret.
    #[arg(long, value_enum, default_value_t = Mode::Psk)]
    mode: Mode,
    /// The server's public key, or a certificate with it, for raw public keys: of `buoy serve`, server.crt in its data folder.
    #[arg(long, value_name = "FILE.pem")]
    server_public_key: Option<PathBuf>,
    /// The server's certificate, for devices with certificates: of `buoy serve`, server.crt in its data folder.
    #[arg(long, value_name = "CERT.pem")]
    server_certificate: Option<PathBuf>,
    /// The folder of an authority of `buoy ca`, which signs for the devices. The server believes it by --client-ca.
    #[arg(long, value_name = "DIR")]
    ca: Option<PathBuf>,
    /// A list of shared keys with the columns endpoint, kind, identity, key, as `buoy swarm credentials` prints it.
    #[arg(long, value_name = "FILE.csv")]
    credentials: Option<PathBuf>,
}

impl KeyArgs {
    /// Whether anything was said of keys.
    pub(super) const fn are_given(&self) -> bool {
        let Self { psk_secret, mode: _, server_public_key, server_certificate, ca, credentials } = self;
        psk_secret.is_some()
            || server_public_key.is_some()
            || server_certificate.is_some()
            || ca.is_some()
            || credentials.is_some()
    }
}

/// How devices prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Shared keys.
    Psk,
    /// Raw public keys.
    Rpk,
    /// Certificates.
    X509,
}

/// The keys of all devices.
pub(super) enum Keys {
    Derived { secret: Vec<u8>, proof: Proof },
    Listed(HashMap<String, (String, Vec<u8>)>),
}

/// What is made of a derived key, and what proves the server.
pub(super) enum Proof {
    Psk,
    Rpk { server: PublicKey },
    X509 { issuer: Box<Issuer>, server: Vec<u8> },
}

impl KeyArgs {
    /// The keys to reach a server with.
    pub(super) fn keys(&self) -> anyhow::Result<Keys> {
        if let Some(path) = &self.credentials {
            return listed(path).map(Keys::Listed);
        }
        let secret = self.secret()?;
        let proof = match self.mode {
            Mode::Psk => Proof::Psk,
            Mode::Rpk => {
                let path = self.server_public_key.as_ref();
                Proof::Rpk { server: read_public_key(path.context("--mode rpk needs --server-public-key")?)? }
            }
            Mode::X509 => {
                let folder = self.ca.as_ref().context("--mode x509 needs --ca")?;
                let path = self.server_certificate.as_ref();
                let server = path.context("--mode x509 needs --server-certificate")?;
                let server = certificates::read_certificates(server)?.swap_remove(0).to_der()?;
                Proof::X509 { issuer: Box::new(Issuer::read(folder)?), server }
            }
        };
        Ok(Keys::Derived { secret, proof })
    }

    fn secret(&self) -> anyhow::Result<Vec<u8>> {
        let secret =
            self.psk_secret.as_ref().context("devices need keys: add --psk-secret or --credentials")?;
        let secret = hex::decode(secret.reveal()).filter(|secret| !secret.is_empty());
        secret.context("--psk-secret must be hexadecimal digits, two for a byte")
    }

    /// What the server has to know of these devices, as lines for `buoy ctl credentials import`.
    pub(super) fn print(&self, endpoints: impl Iterator<Item = String>) -> anyhow::Result<()> {
        use std::io::Write;
        let secret = self.secret()?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        writeln!(out, "endpoint,kind,identity,key")?;
        for endpoint in endpoints {
            match self.mode {
                Mode::Psk => {
                    writeln!(
                        out,
                        "{endpoint},psk,{endpoint},{}",
                        hex::encode(&shared_key(&secret, &endpoint))
                    )?;
                }
                Mode::Rpk => {
                    let own = raw_key(&own_number(&secret, &endpoint)?)?;
                    writeln!(out, "{endpoint},rpk,,{}", hex::encode(&own.public().to_spki()))?;
                }
                Mode::X509 => writeln!(out, "{endpoint},x509,,")?,
            }
        }
        Ok(out.flush()?)
    }
}

impl Keys {
    /// How a device makes its session.
    pub(super) fn config(&self, endpoint: &str) -> anyhow::Result<ClientConfig> {
        let credentials = match self {
            Self::Derived { secret, proof: Proof::Psk } => {
                ClientCredentials::Psk(psk(endpoint, &shared_key(secret, endpoint))?)
            }
            Self::Derived { secret, proof: Proof::Rpk { server } } => {
                let own = raw_key(&own_number(secret, endpoint)?)?;
                ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(*server) }
            }
            Self::Derived { secret, proof: Proof::X509 { issuer, server } } => {
                let own = certified_key(&own_number(secret, endpoint)?, endpoint, issuer)?;
                let usage = CertificateUsage::DomainIssued;
                let trust = ServerCertificateTrust::new(usage, Pinned::Certificate(server.as_slice().into()));
                ClientCredentials::Certificate { own, server: ServerTrust::Certificate(Box::new(trust)) }
            }
            Self::Listed(keys) => {
                let known = keys.get(endpoint);
                let (identity, key) =
                    known.with_context(|| format!("no key for {endpoint} is in the list"))?;
                ClientCredentials::Psk(psk(identity, key)?)
            }
        };
        let mut config = ClientConfig::new(credentials);
        config.resume = Resume::Keep;
        Ok(config)
    }
}

fn psk(identity: &str, key: &[u8]) -> anyhow::Result<Psk> {
    Psk::new(identity.as_bytes(), key)
        .with_context(|| format!("the key or the identity {identity} is too long"))
}

fn shared_key(secret: &[u8], endpoint: &str) -> [u8; 16] {
    let hash = hmac_sha256::<RustCrypto>(secret, &[endpoint.as_bytes()]);
    std::array::from_fn(|index| hash[index])
}

/// Hardly any number is no private key; then the next one is taken.
fn own_number(secret: &[u8], endpoint: &str) -> anyhow::Result<[u8; 32]> {
    let number = |number: u8| hmac_sha256::<RustCrypto>(secret, &[b"rpk", &[number], endpoint.as_bytes()]);
    let key = (0..=u8::MAX).map(number).find(|number| SecretKey::from_slice(number).is_ok());
    key.context("no private key")
}

fn raw_key(number: &[u8; 32]) -> anyhow::Result<OwnKey> {
    OwnKey::raw_public_key::<RustCrypto>(number).context("no private key")
}

fn certified_key(number: &[u8; 32], endpoint: &str, issuer: &Issuer) -> anyhow::Result<OwnKey> {
    let public = certificates::public_half(&SecretKey::from_slice(number).context("no private key")?)?;
    let subject = Subject { name: endpoint, usage: Use::Device, alternatives: &[], days: CERTIFICATE_DAYS };
    let certificate = certificates::issue(issuer, &subject, public)?.to_der()?;
    Ok(OwnKey::certificate::<RustCrypto>(number, &[&certificate])?)
}

fn listed(path: &Path) -> anyhow::Result<HashMap<String, (String, Vec<u8>)>> {
    let text = Zeroizing::new(read(path)?);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let entries = lines.filter(|(_, line)| !line.starts_with("endpoint,"));
    let entry = |(number, line): (u32, &str)| {
        let key = listed_key(line);
        key.with_context(|| format!("{}, line {number}: not as in endpoint,psk,identity,HEX", path.display()))
    };
    entries.map(entry).collect()
}

fn listed_key(line: &str) -> Option<(String, (String, Vec<u8>))> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let [endpoint, "psk", identity, key] = columns[..] else { return None };
    let key = hex::decode(key).filter(|key| !key.is_empty())?;
    Some((endpoint.to_owned(), (identity.to_owned(), key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_key_is_derived_as_the_documentation_says() {
        // printf swarm-000001 | openssl dgst -sha256 -hmac secret
        assert_eq!(hex::encode(&shared_key(b"secret", "swarm-000001")), EXPECTED);
        assert_ne!(shared_key(b"secret", "a"), shared_key(b"secret", "b"));
    }

    const EXPECTED: &str = "7120e68fa357a0e6457840f630f108ee";

    #[test]
    fn a_list_is_read_and_its_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.csv");
        std::fs::write(&file, "endpoint,kind,identity,key\nbuoy-1,psk,me,0102\n").unwrap();
        assert_eq!(listed(&file).unwrap()["buoy-1"], ("me".to_owned(), vec![1, 2]));
        std::fs::write(&file, "buoy-1,psk,me,xyz\n").unwrap();
        assert!(listed(&file).unwrap_err().to_string().contains("line 1"));
    }
}
