//! The server's own key and certificate, and the authorities that it trusts.
//!
//! If the operator has no files, the server makes a key and a self-signed certificate once, in the data folder. Devices get the key or the
//! certificate together with their credentials.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use buoy_dtls::config::OwnKey;
use buoy_dtls::crypto::RustCrypto;
use buoy_dtls::x509::Anchor;
use sha2::{Digest, Sha256};
use x509_cert::der::Encode;

use crate::certificates::{self, Subject, Use};
use crate::credentials::Unlisted;
use crate::private_file;

/// In the data folder: the private key.
pub const KEY_FILE: &str = "server.key";
/// In the data folder: the certificate.
pub const CERTIFICATE_FILE: &str = "server.crt";
/// In the data folder: the private key of the interface, if the operator has none.
pub const HTTPS_KEY_FILE: &str = "https.key";
/// In the data folder: its certificate.
pub const HTTPS_CERTIFICATE_FILE: &str = "https.crt";
/// Programs that pin it need it anew after this time.
const HTTPS_DAYS: u32 = 5 * 365;
/// The validity of a self-signed certificate: devices that pin it can't replace it.
const SELF_SIGNED_DAYS: u32 = 20 * 365;

/// The operator's own files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The server's private key; requires `certificate`.
    pub key: Option<PathBuf>,
    /// Its certificate and the intermediate certificates.
    pub certificate: Option<PathBuf>,
    /// The authorities whose certificates devices may use.
    pub client_authorities: Option<PathBuf>,
}

/// The server's identity and its trust anchors.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The server's key, with its certificate.
    pub own: OwnKey,
    /// The certificate of the key.
    pub certificate: Box<[u8]>,
    /// The trust anchors for certificates of devices.
    pub client_anchors: Box<[Anchor]>,
}

impl Identity {
    /// Reads the operator's files, or those in the data folder, and makes what is missing there.
    ///
    /// # Errors
    /// If a file is missing, damaged, or doesn't match the others.
    pub fn load(data: &Path, files: &Files) -> anyhow::Result<Self> {
        let (key, certificate) = match (&files.key, &files.certificate) {
            (Some(key), Some(certificate)) => (key.clone(), certificate.clone()),
            (None, None) => own_files(data)?,
            _ => bail!("--server-key and --server-cert go together; give both, or none"),
        };
        let number = zeroize::Zeroizing::new(<[u8; 32]>::from(certificates::read_key(&key)?.to_bytes()));
        let chain = ders(&certificate)?;
        let slices: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let own = OwnKey::certificate::<RustCrypto>(&number, &slices).with_context(|| {
            format!(
                "the certificate {} cannot be shown with the key {}",
                certificate.display(),
                key.display()
            )
        })?;
        let client_anchors = match &files.client_authorities {
            Some(path) => anchors(path)?,
            None => Box::default(),
        };
        let certificate = chain.into_iter().next().unwrap_or_default().into();
        Ok(Self { own, certificate, client_anchors })
    }

    /// Whether devices without a credential are admitted by their certificate.
    pub fn unlisted(&self) -> Unlisted {
        if self.client_anchors.is_empty() { Unlisted::Refused } else { Unlisted::Admitted }
    }
}

/// The certificate and the key with which the interface speaks HTTPS if the operator has none: self-signed, made once in the data folder.
///
/// # Errors
/// If a file is damaged or can't be written.
pub fn https_files(data: &Path, names: &[String]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (key, certificate) = (data.join(HTTPS_KEY_FILE), data.join(HTTPS_CERTIFICATE_FILE));
    if !key.exists() {
        private_file::create(&key, certificates::key_pem(&certificates::new_key()?)?.as_bytes())?;
    }
    if !certificate.exists() {
        let subject = Subject { name: "buoy", usage: Use::Server, alternatives: names, days: HTTPS_DAYS };
        let made = certificates::self_signed(&subject, &certificates::read_key(&key)?)?;
        private_file::replace(&certificate, certificates::certificate_pem(&made)?.as_bytes())?;
    }
    Ok((certificate, key))
}

/// The SHA-256 of a certificate, as browsers and `openssl x509 -fingerprint -sha256` show it.
///
/// # Errors
/// If the file is no certificate.
pub fn fingerprint(certificate: &Path) -> anyhow::Result<String> {
    let der = ders(certificate)?.into_iter().next().unwrap_or_default();
    let pairs: Vec<String> = Sha256::digest(&der).iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(pairs.join(":"))
}

/// The files in the data folder.
fn own_files(data: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (key, certificate) = (data.join(KEY_FILE), data.join(CERTIFICATE_FILE));
    if !key.exists() {
        if certificate.exists() {
            bail!(
                "{} is missing, and {} is its certificate; bring it back, or move that away",
                key.display(),
                certificate.display()
            );
        }
        private_file::create(&key, certificates::key_pem(&certificates::new_key()?)?.as_bytes())?;
    }
    if !certificate.exists() {
        let subject = Subject { name: "buoy", usage: Use::Server, alternatives: &[], days: SELF_SIGNED_DAYS };
        let made = certificates::self_signed(&subject, &certificates::read_key(&key)?)?;
        private_file::replace(&certificate, certificates::certificate_pem(&made)?.as_bytes())?;
    }
    Ok((key, certificate))
}

fn ders(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let all = certificates::read_certificates(path)?;
    all.iter().map(|certificate| Ok(certificate.to_der()?)).collect()
}

fn anchors(path: &Path) -> anyhow::Result<Box<[Anchor]>> {
    let anchor = |der: Vec<u8>| {
        Anchor::new(&der).with_context(|| format!("{} has an authority that cannot be used", path.display()))
    };
    let anchors: Box<[Anchor]> = ders(path)?.into_iter().map(anchor).collect::<anyhow::Result<_>>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    anchors
        .iter()
        .filter_map(|anchor| limit_of(anchor, now))
        .for_each(|limit| tracing::warn!("{}: {limit}", path.display()));
    Ok(anchors)
}

/// A limit of an authority of which the operator may be unaware.
fn limit_of(anchor: &Anchor, now: u64) -> Option<String> {
    let name = anchor.common_name();
    let name = name.as_deref().unwrap_or("without a common name").escape_debug();
    if anchor.not_after() < now {
        return Some(format!(
            "the authority {name} has expired; devices with its certificates are refused until it is renewed"
        ));
    }
    let is_leaf = !anchor.is_authority();
    is_leaf.then(|| {
        format!("the certificate {name} is no authority's (CA:FALSE); it lets in its own device alone")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_makes_its_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Identity::load(folder.path(), &Files::default()).unwrap();
        let again = Identity::load(folder.path(), &Files::default()).unwrap();
        assert_eq!(first.own.public(), again.own.public());
        assert_eq!(first.certificate, again.certificate);
        assert_eq!(first.unlisted(), Unlisted::Refused);
        // A first start that was cut between the two files.
        std::fs::remove_file(folder.path().join("server.crt")).unwrap();
        assert_eq!(
            Identity::load(folder.path(), &Files::default()).unwrap().own.public(),
            first.own.public()
        );
        std::fs::remove_file(folder.path().join("server.key")).unwrap();
        assert!(
            Identity::load(folder.path(), &Files::default()).is_err(),
            "a new key would lock devices out"
        );
    }

    #[test]
    fn an_authority_that_has_expired_or_is_none_is_told_at_the_start() {
        let made = |usage, days| {
            let subject = Subject { name: "fleet", usage, alternatives: &[], days };
            let certificate = certificates::self_signed(&subject, &certificates::new_key().unwrap()).unwrap();
            Anchor::new(&certificate.to_der().unwrap()).unwrap()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let authority = made(Use::Authority, 1);
        assert_eq!(limit_of(&authority, now), None);
        assert!(limit_of(&authority, now + 2 * 86_400).unwrap().contains("fleet has expired"));
        assert!(limit_of(&made(Use::Device, 1), now).unwrap().contains("its own device alone"));
    }

    #[test]
    fn files_of_the_operator_must_belong_together() {
        let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&mine, &other] {
            Identity::load(folder.path(), &Files::default()).unwrap();
        }
        let file = |folder: &tempfile::TempDir, name: &str| Some(folder.path().join(name));
        let good = Files {
            key: file(&mine, "server.key"),
            certificate: file(&mine, "server.crt"),
            client_authorities: file(&other, "server.crt"),
        };
        let identity = Identity::load(other.path(), &good).unwrap();
        assert_eq!((identity.client_anchors.len(), identity.unlisted()), (1, Unlisted::Admitted));
        let mixed = Files { key: file(&other, "server.key"), ..good.clone() };
        assert!(format!("{:#}", Identity::load(mine.path(), &mixed).unwrap_err()).contains("server.crt"));
        let half = Files { key: None, ..good.clone() };
        assert!(Identity::load(mine.path(), &half).unwrap_err().to_string().contains("go together"));
        let none = Files { client_authorities: file(&other, "server.key"), ..good };
        assert!(Identity::load(mine.path(), &none).unwrap_err().to_string().contains("no certificate"));
    }
}
