//! Keys as people have them: in files and in hexadecimal digits.

use std::fs;
use std::path::Path;

use anyhow::Context;
use buoy_dtls::crypto::PublicKey;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use x509_cert::der::Encode;

use crate::certificates;

/// A text file.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The public key of a file, or of the first certificate in it.
pub(crate) fn read_public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let spki = match p256::PublicKey::from_public_key_pem(&read(path)?) {
        Ok(key) => key.to_public_key_der()?.into_vec(),
        Err(_) => {
            let certificates = certificates::read_certificates(path)?;
            let first =
                certificates.first().with_context(|| format!("{} has no certificate", path.display()))?;
            first.tbs_certificate().subject_public_key_info().to_der()?
        }
    };
    let key = PublicKey::from_spki(&spki);
    key.with_context(|| format!("{} has no public key on P-256 in PEM", path.display()))
}

/// The bytes of hexadecimal digits.
pub(crate) fn bytes_of_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| digits.chunks(2).map(byte).collect())?
}

/// Hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(bytes_of_hex("00fF").as_deref(), Some(&[0, 255][..]));
        assert_eq!([bytes_of_hex("0"), bytes_of_hex("+1"), bytes_of_hex("0g")], [None, None, None]);
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
