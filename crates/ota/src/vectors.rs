//! Signatures that somebody else made: each says which check or which carry it is about.
//!
//! They were computed in Python from the definitions. Nothing here goes through the crate `p256`, so that the verifier of this crate is what is tested
//! whatever the features are.

use crate::ecdsa;

fn bytes<const N: usize>(digits: &str) -> [u8; N] {
    assert_eq!(digits.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
}

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(" | ").collect())
}

#[test]
fn ecdsa_signatures_hold_and_fail_as_they_should() {
    for line in lines(include_str!("../tests/vectors/ecdsa_p256.txt")) {
        let [verdict, point, digest, signature, what] = line[..] else { panic!("{line:?}") };
        let (point, digest, signature) = (bytes(point), bytes(digest), bytes(signature));
        assert_eq!(ecdsa::verify(&point, &digest, &signature), verdict == "holds", "{what}");
        if ["key with x", "key with y+", "key prefix"].iter().any(|start| what.starts_with(start)) {
            assert!(!ecdsa::is_point(&point), "{what}");
        }
    }
}

#[cfg(feature = "rsa4096")]
#[test]
fn rsa_signatures_hold_and_fail_as_they_should() {
    let mut lines = lines(include_str!("../tests/vectors/rsa4096.txt"));
    let key = lines.next().unwrap();
    let (modulus, digest) = (bytes(key[0]), crate::image::Digest(bytes(key[1])));
    for line in lines {
        let [verdict, signature, what] = line[..] else { panic!("{line:?}") };
        let outcome = crate::rsa::verify(&modulus, &digest, &bytes(signature));
        assert_eq!(outcome.is_ok(), verdict == "holds", "{what}");
    }
}

#[test]
fn der_has_one_spelling() {
    let holds = |der: &[u8]| ecdsa::from_der(der).is_some();
    let greatest = [&[0x02, 33, 0][..], &[0xFF; 32]].concat();
    let with_greatest = [&[0x30, 70][..], &greatest, &greatest].concat();
    assert_eq!(with_greatest.len(), crate::signature::ECDSA_DER_MAX);
    for der in [&[0x30, 6, 2, 1, 1, 2, 1, 1][..], &[0x30, 7, 2, 2, 0, 0x80, 2, 1, 0x7F], &with_greatest] {
        assert!(holds(der), "{der:x?}");
        for len in 0..der.len() {
            assert!(!holds(&der[..len]), "cut to {len}: {der:x?}");
        }
        assert!(!holds(&[der, &[0]].concat()), "a byte more: {der:x?}");
    }
    let long = [&[0x30, 71, 2, 34, 1][..], &[0; 33], &greatest].concat();
    let above = [&[0x30, 39, 2, 33, 1][..], &[0; 32], &[2, 2, 0, 0x80]].concat();
    for der in [
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1][..],
        &[0x30, 7, 2, 0x81, 1, 1, 2, 1, 1],
        &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0],
        &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
        &[0x30, 7, 2, 1, 1, 2, 2, 0, 1],
        &[0x30, 7, 2, 2, 0, 0x7F, 2, 1, 1],
        &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 2, 1, 0xFF],
        &[0x30, 5, 2, 0, 2, 1, 1],
        &[0x30, 5, 2, 1, 1, 2, 0],
        &[0x30, 3, 2, 1, 1],
        &[0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1],
        &[0x30, 8, 2, 1, 1, 2, 1, 1, 5, 0],
        &[0x30, 6, 2, 1, 1, 2, 1, 1, 5, 0],
        &[0x30, 5, 2, 1, 1, 2, 1, 1],
        &[0x30, 7, 2, 1, 1, 2, 1, 1],
        &[0x30, 0x86, 2, 1, 1, 2, 1, 1],
        &[0x31, 6, 2, 1, 1, 2, 1, 1],
        &[0x30, 6, 3, 1, 1, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 4, 1, 1],
        &[0x30, 6, 2, 255, 1, 2, 1, 1],
        &[0x30, 0],
        &long,
        &above,
    ] {
        assert!(!holds(der), "{der:x?}");
    }
}
