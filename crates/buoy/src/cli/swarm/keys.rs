//! The keys of a swarm: derived from one secret, so that a hundred thousand devices need no file, or read from a list.
//!
//! From a secret, a device's shared key is the first 16 bytes of HMAC-SHA256(secret, endpoint), and its identity the endpoint;
//! its private key is the first of HMAC-SHA256(secret, "rpk" number endpoint) that is one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, Resume, ServerTrust};
use buoy_dtls::crypto::{Provider, PublicKey, RustCrypto};

use crate::cli::keys::{bytes_of_hex, hex, read, read_public_key};

/// Which keys the devices have.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// The secret from which every device's key is derived, in hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "credentials")]
    psk_secret: Option<String>,
    /// What is derived from the secret.
    #[arg(long, value_enum, default_value_t = Mode::Psk)]
    mode: Mode,
    /// The server's public key, or a certificate with it, for raw public keys: of `buoy serve`, server.crt in its data folder.
    #[arg(long, value_name = "FILE.pem")]
    server_public_key: Option<PathBuf>,
    /// A list of shared keys with the columns endpoint, kind, identity, key, as `buoy swarm credentials` prints it.
    #[arg(long, value_name = "FILE.csv")]
    credentials: Option<PathBuf>,
}

/// How devices prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Shared keys.
    Psk,
    /// Raw public keys.
    Rpk,
}

/// The keys of all devices.
pub(super) enum Keys {
    Derived { secret: Vec<u8>, server: Option<PublicKey> },
    Listed(HashMap<String, (String, Vec<u8>)>),
}

impl KeyArgs {
    /// The keys to reach a server with.
    pub(super) fn keys(&self) -> anyhow::Result<Keys> {
        if let Some(path) = &self.credentials {
            return listed(path).map(Keys::Listed);
        }
        let secret = self.secret()?;
        let server = match self.mode {
            Mode::Psk => None,
            Mode::Rpk => {
                let path = self.server_public_key.as_ref();
                Some(read_public_key(path.context("--mode rpk needs --server-public-key")?)?)
            }
        };
        Ok(Keys::Derived { secret, server })
    }

    fn secret(&self) -> anyhow::Result<Vec<u8>> {
        let secret =
            self.psk_secret.as_deref().context("devices need keys: add --psk-secret or --credentials")?;
        let secret = bytes_of_hex(secret).filter(|secret| !secret.is_empty());
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
                    writeln!(out, "{endpoint},psk,{endpoint},{}", hex(&shared_key(&secret, &endpoint)))?;
                }
                Mode::Rpk => {
                    let own = own_key(&secret, &endpoint).context("no private key")?;
                    writeln!(out, "{endpoint},rpk,,{}", hex(&own.public().to_spki()))?;
                }
            }
        }
        Ok(out.flush()?)
    }
}

impl Keys {
    /// How a device makes its session.
    pub(super) fn config(&self, endpoint: &str) -> anyhow::Result<ClientConfig> {
        let credentials = match self {
            Self::Derived { secret, server: None } => {
                ClientCredentials::Psk(psk(endpoint, &shared_key(secret, endpoint))?)
            }
            Self::Derived { secret, server: Some(server) } => {
                let own = own_key(secret, endpoint).context("no private key")?;
                ClientCredentials::Certificate { own, server: ServerTrust::RawPublicKey(*server) }
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
    let hash = RustCrypto::hmac_sha256(secret, &[endpoint.as_bytes()]);
    std::array::from_fn(|index| hash[index])
}

/// Hardly any number is no private key; then the next one is taken.
fn own_key(secret: &[u8], endpoint: &str) -> Option<OwnKey> {
    let number = |number: u8| RustCrypto::hmac_sha256(secret, &[b"rpk", &[number], endpoint.as_bytes()]);
    (0..=u8::MAX).find_map(|at| OwnKey::raw_public_key::<RustCrypto>(&number(at)))
}

fn listed(path: &Path) -> anyhow::Result<HashMap<String, (String, Vec<u8>)>> {
    let text = read(path)?;
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
    let key = bytes_of_hex(key).filter(|key| !key.is_empty())?;
    Some((endpoint.to_owned(), (identity.to_owned(), key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_key_is_derived_as_the_documentation_says() {
        // printf swarm-000001 | openssl dgst -sha256 -hmac secret
        assert_eq!(hex(&shared_key(b"secret", "swarm-000001")), EXPECTED);
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
