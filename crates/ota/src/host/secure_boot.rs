//! The signature block of Espressif's Secure Boot v2, with RSA-3072 (ESP-IDF, "Secure Boot v2").
//!
//! The image is padded to a whole sector, and a sector with up to three blocks follows. All numbers are little-endian:
//!
//! | Offset | Bytes | |
//! |---|---|---|
//! | 0 | 4 | `E7 02 00 00` |
//! | 4 | 32 | SHA-256 of the padded image |
//! | 36 | 384 | modulus n |
//! | 420 | 4 | exponent e |
//! | 424 | 384 | R = 2^6144 mod n, for Montgomery's multiplication |
//! | 808 | 4 | M' = -n^-1 mod 2^32 |
//! | 812 | 384 | signature: RSA-PSS with SHA-256 and a salt of 32 bytes |
//! | 1196 | 4 | CRC-32 of what is before |
//! | 1200 | 16 | zeros |

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};
use x509_cert::der::pem;

use super::keys::KeyFileError;
use super::pem::rewrapped;
use crate::flash::SECTOR;

const BITS: usize = 3072;
const LEN: usize = BITS / 8;
const BLOCK: usize = 1216;
const WITH_CRC: usize = 1196;
const EXPONENT: u32 = 65_537;

/// Why an image can't be signed for Secure Boot v2.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecureBootError {
    /// The key file can't be read.
    Key(KeyFileError),
    /// The key is no RSA key of 3072 bits with exponent 65537: the chip's ROM verifies these.
    NotRsa3072,
    /// The image is no ESP32 image, or has signature blocks already.
    NotAnImage,
    /// The signature could not be made.
    Failed,
}

/// The image with its signature sector, as the chip's ROM and ESP-IDF's boot loader verify it.
///
/// # Errors
/// [`SecureBootError`].
pub fn sign_secure_boot_v2(image: &[u8], key_pem: &str) -> Result<Vec<u8>, SecureBootError> {
    if super::inspect(image).kind != super::PackageKind::Image {
        return Err(SecureBootError::NotAnImage);
    }
    let key = private_key(key_pem)?;
    let modulus = key.n_bytes();
    let modulus: &[u8; LEN] = modulus.as_ref().try_into().map_err(|_| SecureBootError::NotRsa3072)?;
    let exponent = EXPONENT.to_be_bytes();
    let has_exponent = key.e_bytes().iter().skip_while(|byte| **byte == 0).eq(exponent.iter().skip(1));
    if !has_exponent || modulus.first().is_none_or(|byte| byte & 0x80 == 0) {
        return Err(SecureBootError::NotRsa3072);
    }
    let mut signed = image.to_vec();
    signed.resize(image.len().next_multiple_of(SECTOR as usize), 0xFF);
    let digest = Sha256::digest(&signed);
    let signature = key.pss_sign_prehash_with_rng::<Sha256, _>(&mut getrandom::SysRng, &digest);
    let signature =
        signature.ok().filter(|signature| signature.len() == LEN).ok_or(SecureBootError::Failed)?;
    let mut block = vec![0xE7, 2, 0, 0];
    block.extend(digest);
    block.extend(modulus.iter().rev());
    block.extend(EXPONENT.to_le_bytes());
    block.extend(square_of_radix(modulus));
    block.extend(negative_inverse(modulus).to_le_bytes());
    block.extend(signature.iter().rev());
    let crc = crc32_of(block.get(..WITH_CRC).ok_or(SecureBootError::Failed)?);
    block.extend(crc.to_le_bytes());
    block.resize(BLOCK, 0);
    block.resize(SECTOR as usize, 0xFF);
    signed.extend(block);
    Ok(signed)
}

fn private_key(text: &str) -> Result<rsa::PrivateKey, SecureBootError> {
    let damaged = |_| SecureBootError::Key(KeyFileError::Damaged);
    let text = rewrapped(text);
    let (label, der) =
        pem::decode_vec(text.as_bytes()).map_err(|_| SecureBootError::Key(KeyFileError::NotPem))?;
    match label {
        "RSA PRIVATE KEY" => rsa::PrivateKey::from_pkcs1_der(&der).map_err(damaged),
        "PRIVATE KEY" => rsa::PrivateKey::from_pkcs8_der(&der).map_err(|_| SecureBootError::NotRsa3072),
        "ENCRYPTED PRIVATE KEY" => Err(SecureBootError::Key(KeyFileError::Encrypted)),
        other => Err(SecureBootError::Key(KeyFileError::UnexpectedLabel(other.into()))),
    }
}

/// 2^6144 mod n, by doubling: little-endian. The modulus has its highest bit set.
fn square_of_radix(modulus: &[u8; LEN]) -> Vec<u8> {
    let modulus: Vec<u8> = modulus.iter().rev().copied().collect();
    let mut value = vec![0; LEN];
    if let Some(lowest) = value.first_mut() {
        *lowest = 1;
    }
    for _ in 0..2 * BITS {
        let mut carry = 0;
        for byte in &mut value {
            let doubled = u16::from(*byte) << 1 | carry;
            (*byte, carry) = (doubled as u8, doubled >> 8);
        }
        if carry > 0 || value.iter().rev().ge(modulus.iter().rev()) {
            let mut borrow = false;
            for (byte, less) in value.iter_mut().zip(&modulus) {
                let (once, first) = byte.overflowing_sub(*less);
                let (twice, second) = once.overflowing_sub(borrow.into());
                (*byte, borrow) = (twice, first || second);
            }
        }
    }
    value
}

/// -n^-1 mod 2^32, by Newton's iteration: each step doubles the bits that are right.
fn negative_inverse(modulus: &[u8; LEN]) -> u32 {
    let lowest = modulus.iter().rev().take(4).rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let inverse = (0..5)
        .fold(lowest, |inverse, _| inverse.wrapping_mul(2_u32.wrapping_sub(lowest.wrapping_mul(inverse))));
    inverse.wrapping_neg()
}

/// The standard CRC-32; that of otadata begins otherwise.
fn crc32_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

impl core::fmt::Display for SecureBootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the key can't be used: {error}"),
            Self::NotRsa3072 => f.write_str(
                "Secure Boot v2 takes an RSA key of 3072 bits, which `openssl genrsa -out key.pem 3072` makes",
            ),
            Self::NotAnImage => f.write_str("it is no image for the ESP32, or is signed for Secure Boot v2 already"),
            Self::Failed => f.write_str("the signature could not be made"),
        }
    }
}

impl core::error::Error for SecureBootError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_the_chip_are_right() {
        let mut modulus = [0xFF; LEN];
        modulus[0] = 0x80;
        modulus[LEN - 1] = 0xC5;
        let word = u32::from_be_bytes(modulus[LEN - 4..].try_into().unwrap());
        assert_eq!(negative_inverse(&modulus).wrapping_mul(word), u32::MAX);
        assert_eq!(crc32_of(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn what_is_no_image_or_no_key_is_refused() {
        assert_eq!(sign_secure_boot_v2(b"text", ""), Err(SecureBootError::NotAnImage));
        let image = crate::host::ImageBuilder::new("demo", "1.0.0").build();
        assert_eq!(sign_secure_boot_v2(&image, "text"), Err(SecureBootError::Key(KeyFileError::NotPem)));
    }
}
