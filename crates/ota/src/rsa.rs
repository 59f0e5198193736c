//! RSASSA-PKCS1-v1_5 with 4096 bits, SHA-256 and the exponent 65537 (RFC 8017, section 8.2.2), verification alone, in little flash and 2 kB of stack.
//!
//! All that goes in is public. This code must never see a private key.

use crate::image::Digest;
use crate::numbers::{add_to, is_less, multiply, negative_inverse, read, subtract_from};
use crate::signature::{RSA_LEN, RsaModulus, SignatureError};

/// Words of a number.
const WORDS: usize = RSA_LEN / 4;

/// DigestInfo of SHA-256 (RFC 8017, section 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// Bytes `FF` of the padding.
const PADDING: usize = RSA_LEN - 3 - SHA256_INFO.len() - 32;

/// Rebuilds the whole encoded message and compares it: parsing the padding is how Bleichenbacher's forgeries got through.
#[inline(never)]
pub(crate) fn verify(
    modulus: &RsaModulus,
    digest: &Digest,
    signature: &[u8; RSA_LEN],
) -> Result<(), SignatureError> {
    let mut number = [0; WORDS];
    read(&mut number, signature);
    let mut words = [0; WORDS];
    read(&mut words, modulus);
    if is_sound(modulus) != Some(true) || !is_less(&number, &words) {
        return Err(SignatureError::Mismatch);
    }
    let message = power_65537(&number, &words);
    let bytes = message.iter().rev().flat_map(|word| word.to_be_bytes());
    bytes.eq(encoded_message(digest)).then_some(()).ok_or(SignatureError::Mismatch)
}

/// The key's modulus out of its bytes.
pub(crate) fn modulus(bytes: &[u8]) -> Option<RsaModulus> {
    bytes.try_into().ok()
}

pub(crate) fn bytes(modulus: &RsaModulus) -> &[u8] {
    modulus
}

/// Whether a modulus can verify anything.
pub(crate) fn is_sound(modulus: &RsaModulus) -> Option<bool> {
    let [greatest, .., least] = modulus;
    Some(greatest & 0x80 != 0 && least & 1 != 0)
}

/// A number to the power of 65537, modulo an odd number whose greatest bit is 1.
fn power_65537(number: &[u32; WORDS], modulus: &[u32; WORDS]) -> [u32; WORDS] {
    let [least, ..] = modulus;
    let inverse = negative_inverse(*least);
    // With R = 2^4096: R modulo the modulus, which is below twice the modulus; then 2R.
    let mut power = [0; WORDS];
    subtract_from(&mut power, modulus);
    let mut other = power;
    if add_to(&mut power, &other) || !is_less(&power, modulus) {
        subtract_from(&mut power, modulus);
    }
    // Montgomery's square of 2^n R is 2^(2n) R. So twelve squares make 2^4096 R, which is R².
    for _ in 0..6 {
        multiply(&mut other, &power, &power, modulus, inverse);
        multiply(&mut power, &other, &other, modulus, inverse);
    }
    // The number in Montgomery's form; to the power of 2^16; and, by the number itself, out of that form.
    multiply(&mut other, &power, number, modulus, inverse);
    for _ in 0..8 {
        multiply(&mut power, &other, &other, modulus, inverse);
        multiply(&mut other, &power, &power, modulus, inverse);
    }
    multiply(&mut power, &other, number, modulus, inverse);
    power
}

/// `00 01 FF … FF 00 DigestInfo digest` (RFC 8017, section 9.2).
fn encoded_message(digest: &Digest) -> impl Iterator<Item = u8> {
    let tail = [0].into_iter().chain(SHA256_INFO).chain(digest.0);
    [0, 1].into_iter().chain(core::iter::repeat_n(0xFF, PADDING)).chain(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{ImageBuilder, PrivateKey};
    use crate::signature::{Algorithm, DetachedSignature, PublicKey};

    #[test]
    fn a_signature_by_another_implementation_holds_and_a_changed_one_does_not() {
        let key = PrivateKey::generate(Algorithm::Rsa4096).unwrap();
        let PublicKey::Rsa4096(modulus) = key.public_key().unwrap() else { panic!("it is another key") };
        let image = ImageBuilder::new("demo", "1.0.0").build();
        let signature = crate::host::sign_detached(&image, &key).unwrap();
        let Ok(DetachedSignature::Rsa4096(signature)) = DetachedSignature::recognise(&signature) else {
            panic!("it is no signature by RSA")
        };
        let digest = Digest::of(&image);

        assert_eq!(verify(&modulus, &digest, signature), Ok(()));
        assert!(verify(&modulus, &Digest::of(b"another"), signature).is_err());
        for at in (0..512 * 8).step_by(37) {
            let mut changed = *signature;
            changed[at / 8] ^= 1 << (at % 8);
            assert!(verify(&modulus, &digest, &changed).is_err(), "bit {at} of the signature");
            let mut other = modulus;
            other[at / 8] ^= 1 << (at % 8);
            assert!(verify(&other, &digest, signature).is_err(), "bit {at} of the modulus");
        }
    }

    /// The number and the number plus the modulus have the same power: only the lesser one is a signature.
    #[test]
    fn a_signature_that_is_not_below_the_modulus_is_refused() {
        let mut modulus = [0; RSA_LEN];
        (modulus[0], modulus[RSA_LEN - 1]) = (0x80, 1);
        assert!(verify(&modulus, &Digest([0; 32]), &modulus).is_err());
        assert!(verify(&modulus, &Digest([0; 32]), &[0xFF; RSA_LEN]).is_err());
    }

    fn power_of_two(weight: usize) -> [u32; WORDS] {
        core::array::from_fn(|at| if at == weight / 32 { 1 << (weight % 32) } else { 0 })
    }

    /// Modulo 2^4096 - 1 a power of two has the order 4096, and 65537 is 1 modulo that; modulo 2^4095 + 1 the order is 8190, and 65537 is 17.
    #[test]
    fn powers_are_right_for_the_least_and_the_greatest_modulus() {
        let greatest = [u32::MAX; WORDS];
        let mut least = power_of_two(4095);
        least[0] = 1;
        for weight in [0, 1, 31, 32, 63, 2048, 4063, 4064, 4094, 4095] {
            let number = power_of_two(weight);
            assert_eq!(power_65537(&number, &greatest), number, "2^{weight}");
            if weight == 4095 {
                continue;
            }
            let exponent = 17 * weight % 8190;
            let mut wanted = power_of_two(exponent % 4095);
            if exponent >= 4095 {
                wanted = least;
                subtract_from(&mut wanted, &power_of_two(exponent % 4095));
            }
            assert_eq!(power_65537(&number, &least), wanted, "2^{weight}");
        }
        for modulus in [greatest, least] {
            let mut last = modulus;
            subtract_from(&mut last, &power_of_two(0));
            assert_eq!(power_65537(&last, &modulus), last);
            assert_eq!(power_65537(&[0; WORDS], &modulus), [0; WORDS]);
        }
    }

    #[test]
    fn an_even_or_a_short_modulus_is_refused() {
        let mut modulus = [0xFF; RSA_LEN];
        assert_eq!(is_sound(&modulus), Some(true));
        modulus[RSA_LEN - 1] = 0xFE;
        assert_eq!(is_sound(&modulus), Some(false));
        (modulus[0], modulus[RSA_LEN - 1]) = (0x7F, 0xFF);
        assert_eq!(is_sound(&modulus), Some(false));
        assert!(verify(&modulus, &Digest([0; 32]), &[0; RSA_LEN]).is_err());
    }
}
