//! Keys as people have them: in files and in hexadecimal digits.

use std::fs;
use std::path::Path;

use anyhow::Context;
use buoy_dtls::crypto::PublicKey;
use p256::SecretKey;
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey};

/// A text file.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A private key on P-256.
pub(crate) fn private_key_from_pem(path: &Path) -> anyhow::Result<SecretKey> {
    let pem = read(path)?;
    let key = SecretKey::from_pkcs8_pem(&pem).ok().or_else(|| SecretKey::from_sec1_pem(&pem).ok());
    key.with_context(|| format!("{} is no private key on P-256 in PEM (PKCS#8 or SEC1)", path.display()))
}

/// A public key on P-256.
pub(crate) fn public_key_from_pem(path: &Path) -> anyhow::Result<PublicKey> {
    let key = p256::PublicKey::from_public_key_pem(&read(path)?).ok();
    let der = key.and_then(|key| key.to_public_key_der().ok());
    let key = der.and_then(|der| PublicKey::from_spki(der.as_bytes()));
    key.with_context(|| format!("{} is no public key on P-256 in PEM", path.display()))
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
