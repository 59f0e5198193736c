//! What an authority signs with, and why one certificate has two signatures.
//!
//! To every ECDSA signature (r, s) belongs a second one, (r, n - s), which whoever has the first can compute without any key. So a certificate
//! can be shown in two forms, with two fingerprints. The strict reading of DER here leaves no third one.

use alloc::vec::Vec;

use super::der::{self, Der};
use crate::wire::Malformed;

/// The order of secp256r1 (SEC 2, section 2.4.2).
const ORDER_256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of secp384r1 (SEC 2, section 2.5.1).
const ORDER_384: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a,
    0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The curve of an authority's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1
    Secp256r1,
    /// secp384r1
    Secp384r1,
}

impl Curve {
    const fn order(self) -> &'static [u8] {
        match self {
            Self::Secp256r1 => &ORDER_256,
            Self::Secp384r1 => &ORDER_384,
        }
    }
}

/// The hash of what an authority signs (RFC 5758 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureHash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
}

/// The numbers of an `ECDSA-Sig-Value` (RFC 3279 section 2.2.3), big-endian as DER has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct EcdsaSignature<'a> {
    r: &'a [u8],
    s: &'a [u8],
}

impl<'a> EcdsaSignature<'a> {
    /// Reads DER and nothing else: positive numbers in their shortest form, and nothing behind them.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Der::new(der);
        let mut numbers = outer.inside(der::SEQUENCE)?;
        outer.end()?;
        let r = positive(numbers.expect(der::INTEGER)?.content)?;
        let s = positive(numbers.expect(der::INTEGER)?.content)?;
        numbers.end()?;
        Ok(Self { r, s })
    }

    /// The other signature that the same key made of the same words, in DER; `None` if `s` is no number below the order.
    pub(super) fn twin(&self, curve: Curve) -> Option<Vec<u8>> {
        let difference = subtract(curve.order(), self.s)?;
        let mut content = Vec::with_capacity(difference.len().saturating_add(self.r.len()).saturating_add(5));
        put_value(&mut content, der::INTEGER, self.r);
        put_value(&mut content, der::INTEGER, &shortest(&difference));
        let mut twin = Vec::with_capacity(content.len().saturating_add(3));
        put_value(&mut twin, der::SEQUENCE, &content);
        Some(twin)
    }
}

/// Writes tag, length and content of at most 65,535 bytes.
fn put_value(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    put_head(out, tag, content.len());
    out.extend_from_slice(content);
}

/// Writes a tag and a length of at most 65,535.
pub(super) fn put_head(out: &mut Vec<u8>, tag: u8, length: usize) {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    out.push(tag);
    match (high, low) {
        (0, 0..=0x7f) => out.push(low),
        (0, _) => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
}

/// A positive number in its shortest form: a zero in front only where the first bit would be a sign.
fn positive(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [] | [0] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(Malformed),
        number => Ok(number),
    }
}

/// `from - number`, if that is positive.
fn subtract(from: &[u8], number: &[u8]) -> Option<Vec<u8>> {
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    if number.len() > from.len() {
        return None;
    }
    let mut difference = Vec::with_capacity(from.len());
    let mut borrowed = false;
    let digits = number.iter().rev().copied().chain(core::iter::repeat(0));
    for (minuend, digit) in from.iter().rev().zip(digits) {
        let (once, under) = minuend.overflowing_sub(digit);
        let (digit, under_again) = once.overflowing_sub(u8::from(borrowed));
        borrowed = under || under_again;
        difference.push(digit);
    }
    difference.reverse();
    (!borrowed && difference.iter().any(|digit| *digit != 0)).then_some(difference)
}

/// A number as DER writes it.
fn shortest(number: &[u8]) -> Vec<u8> {
    let digits = number.iter().skip_while(|digit| **digit == 0);
    let mut shortest: Vec<u8> = Vec::with_capacity(number.len().saturating_add(1));
    shortest.extend(digits);
    if shortest.first().is_none_or(|first| *first >= 0x80) {
        shortest.insert(0, 0);
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Provider, RustCrypto};

    #[test]
    fn the_twin_of_a_signature_is_by_the_same_key_and_its_twin_is_the_first() {
        let public = RustCrypto::public_key(&[7; 32]).unwrap();
        for number in 0..40 {
            let digest = [number; 32];
            let signature = RustCrypto::sign(&[7; 32], &digest).unwrap();
            let twin = EcdsaSignature::parse(signature.as_der()).unwrap().twin(Curve::Secp256r1).unwrap();
            assert_ne!(twin, signature.as_der());
            assert_eq!(RustCrypto::verify(&public, &digest, &twin), Ok(()));
            let back = EcdsaSignature::parse(&twin).unwrap().twin(Curve::Secp256r1).unwrap();
            assert_eq!(back, signature.as_der());
        }
    }

    #[test]
    fn numbers_that_are_not_in_their_shortest_form_are_no_signature() {
        let parse = |der: &[u8]| EcdsaSignature::parse(der).is_ok();
        assert!(parse(&[0x30, 6, 2, 1, 1, 2, 1, 2]));
        assert!(parse(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 2]));
        for odd in [
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 2][..],
            &[0x30, 6, 2, 1, 0, 2, 1, 2],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 2],
            &[0x30, 5, 2, 0, 2, 1, 2],
            &[0x30, 7, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2],
            &[0x31, 6, 2, 1, 1, 2, 1, 2],
        ] {
            assert!(!parse(odd), "{odd:02x?}");
        }
    }

    #[test]
    fn a_number_that_is_not_below_the_order_has_no_twin() {
        let twin = |s: &[u8]| EcdsaSignature { r: &[1], s }.twin(Curve::Secp256r1).is_some();
        let mut order = ORDER_256.to_vec();
        order.insert(0, 0);
        assert!(!twin(&order) && !twin(&[1; 33]));
        assert!(twin(&ORDER_384[..1]) && twin(&[0, 0xff]));
    }
}
