//! Keys as people have them: in files and in hexadecimal digits.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use buoy_dtls::crypto::PublicKey;
use buoy_ota::host::rewrapped;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use x509_cert::der::Encode;

use buoy_services::certificates;

/// A text file.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            bail!("{} is no text file, as a key in PEM or in hexadecimal digits is", path.display())
        }
        other => other.with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// The public key of a file, or of the first certificate in it.
pub(crate) fn read_public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let spki = match p256::PublicKey::from_public_key_pem(&rewrapped(&read(path)?)) {
        Ok(key) => key.to_public_key_der()?.into_vec(),
        Err(_) => {
            let certificates = certificates::read_certificates(path).unwrap_or_default();
            let first = certificates.first().with_context(|| {
                format!("{} has neither a public key on P-256 nor a certificate in PEM", path.display())
            })?;
            first.tbs_certificate().subject_public_key_info().to_der()?
        }
    };
    let key = PublicKey::from_spki(&spki);
    key.with_context(|| format!("{} has no public key on P-256 in PEM", path.display()))
}
