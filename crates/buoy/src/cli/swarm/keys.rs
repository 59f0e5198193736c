//! The keys of a swarm as flags, and what is in the files that they name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use buoy_api::Secret;
use buoy_services::certificates::{self, Issuer, Subject, Use};
use buoy_services::hex;
use buoy_sim::swarm::{Certify, Credential, Keys, Proof, SharedKey};
use p256::SecretKey;
use x509_cert::der::Encode;
use zeroize::Zeroizing;

use crate::cli::keys::{read, read_public_key};

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
                Proof::X509 { authority: Box::new(Authority(Issuer::read(folder)?)), server }
            }
        };
        Ok(Keys::Derived { secret, proof })
    }

    fn secret(&self) -> anyhow::Result<Vec<u8>> {
        let secret =
            self.psk_secret.as_ref().context("devices need keys: add --psk-secret HEX (any hexadecimal digits, the same for the server and the swarm) or, to run, --credentials FILE")?;
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
            let credential = match self.mode {
                Mode::Psk => Some(Credential::psk(&secret, &endpoint)),
                Mode::Rpk => Some(Credential::rpk(&secret, &endpoint)?),
                Mode::X509 => None,
            };
            match credential {
                Some(Credential::Psk(key)) => {
                    writeln!(out, "{endpoint},psk,{endpoint},{}", hex::encode(&key))?
                }
                Some(Credential::Rpk(key)) => writeln!(out, "{endpoint},rpk,,{}", hex::encode(&key))?,
                None => writeln!(out, "{endpoint},x509,,")?,
            }
        }
        Ok(out.flush()?)
    }
}

/// An authority of `buoy ca`.
struct Authority(Issuer);

impl Certify for Authority {
    fn certificate(
        &self,
        endpoint: &str,
        private_key: &[u8; 32],
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let public = certificates::public_half(&SecretKey::from_slice(private_key)?)?;
        let subject =
            Subject { name: endpoint, usage: Use::Device, alternatives: &[], days: CERTIFICATE_DAYS };
        Ok(certificates::issue(&self.0, &subject, public)?.to_der()?)
    }
}

fn listed(path: &Path) -> anyhow::Result<HashMap<String, SharedKey>> {
    let text = Zeroizing::new(read(path)?);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let entries = lines.filter(|(_, line)| !line.starts_with("endpoint,"));
    let entry = |(number, line): (u32, &str)| {
        let key = listed_key(line);
        key.with_context(|| format!("{}, line {number}: not as in endpoint,psk,identity,HEX", path.display()))
    };
    entries.map(entry).collect()
}

fn listed_key(line: &str) -> Option<(String, SharedKey)> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let [endpoint, "psk", identity, key] = columns[..] else { return None };
    let key = hex::decode(key).filter(|key| !key.is_empty())?;
    Some((endpoint.to_owned(), SharedKey { identity: identity.to_owned(), key }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_its_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.csv");
        std::fs::write(&file, "endpoint,kind,identity,key\nbuoy-1,psk,me,0102\n").unwrap();
        let keys = listed(&file).unwrap();
        assert_eq!((keys["buoy-1"].identity.as_str(), keys["buoy-1"].key.as_slice()), ("me", &[1, 2][..]));
        std::fs::write(&file, "buoy-1,psk,me,xyz\n").unwrap();
        assert!(listed(&file).unwrap_err().to_string().contains("line 1"));
    }
}
