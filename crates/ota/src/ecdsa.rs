//! ECDSA on P-256 (FIPS 186-5, section 6.4.2; SP 800-186, section 3.2.1.3), verification alone, in little flash.
//!
//! All that goes in is public, so nothing here takes care that its time tells nothing: this code must never see a private key. Points are added by
//! the complete formulas of Renes, Costello and Batina (2016, algorithm 4), which have no exceptions: doubling, opposite points and the point at
//! infinity go through the same steps. Without the feature `fast-p256` a device has this and nothing else; with it the crate `p256` verifies, and this
//! is compiled for the tests, which hold one against the other.

use crate::numbers::{self, add_to, is_less, subtract_from};

/// A number of 256 bits as eight words, the least first.
type Number = [u32; 8];

const ZERO: Number = [0; 8];

/// What is computed by.
struct Modulus {
    modulus: Number,
    /// -1 divided by the modulus, modulo 2^32.
    inverse: u32,
    /// 2^512 modulo the modulus: multiplied by it a number gets into Montgomery's form.
    square: Number,
}

/// The field's prime.
const FIELD: Modulus = Modulus {
    modulus: [
        0xFFFF_FFFF,
        0xFFFF_FFFF,
        0xFFFF_FFFF,
        0x0000_0000,
        0x0000_0000,
        0x0000_0000,
        0x0000_0001,
        0xFFFF_FFFF,
    ],
    inverse: 1,
    square: [
        0x0000_0003,
        0x0000_0000,
        0xFFFF_FFFF,
        0xFFFF_FFFB,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
        0xFFFF_FFFD,
        0x0000_0004,
    ],
};

/// The order of the group.
const ORDER: Modulus = Modulus {
    modulus: [
        0xFC63_2551,
        0xF3B9_CAC2,
        0xA717_9E84,
        0xBCE6_FAAD,
        0xFFFF_FFFF,
        0xFFFF_FFFF,
        0x0000_0000,
        0xFFFF_FFFF,
    ],
    inverse: 0xEE00_BC4F,
    square: [
        0xBE79_EEA2,
        0x8324_4C95,
        0x49BD_6FA6,
        0x4699_799C,
        0x2B6B_EC59,
        0x2845_B239,
        0xF3D9_5620,
        0x66E1_2D94,
    ],
};

/// 1 in Montgomery's form.
const ONE: Number =
    [0x0000_0001, 0x0000_0000, 0x0000_0000, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFE, 0x0000_0000];
/// The curve's constant `b` in Montgomery's form.
const B: Number =
    [0x29C4_BDDF, 0xD89C_DF62, 0x7884_3090, 0xACF0_05CD, 0xF721_2ED6, 0xE5A2_20AB, 0x0487_4834, 0xDC30_061D];
/// The generator.
const GENERATOR: Point = Point {
    x: [
        0x18A9_143C,
        0x79E7_30D4,
        0x5FED_B601,
        0x75BA_95FC,
        0x7762_2510,
        0x79FB_732B,
        0xA537_55C6,
        0x1890_5F76,
    ],
    y: [
        0xCE95_560A,
        0xDDF2_5357,
        0xBA19_E45C,
        0x8B4A_B8E4,
        0xDD21_F325,
        0xD2E8_8688,
        0x2588_5D85,
        0x8571_FF18,
    ],
    z: ONE,
};
const INFINITY: Point = Point { x: ZERO, y: ONE, z: ZERO };

/// A point in homogeneous coordinates, in Montgomery's form: `x/z` and `y/z`.
#[derive(Clone, Copy)]
struct Point {
    x: Number,
    y: Number,
    z: Number,
}

/// Whether `signature`, r and s of 32 bytes each, is one by the key `point` (uncompressed, SEC 1, section 2.3.3) over what has this digest.
pub(crate) fn verify(point: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let (r, s) = (number(r), number(s));
    let Some(key) = Point::from_bytes(point) else { return false };
    if [&r, &s].into_iter().any(|number| *number == ZERO || !is_less(number, &ORDER.modulus)) {
        return false;
    }
    let mut digest = number(digest);
    if !is_less(&digest, &ORDER.modulus) {
        subtract_from(&mut digest, &ORDER.modulus);
    }
    let inverse = ORDER.invert(&ORDER.multiply(&s, &ORDER.square));
    let sum = key.double_product(&ORDER.multiply(&digest, &inverse), &ORDER.multiply(&r, &inverse));
    sum.z != ZERO && sum.has_x(&r)
}

/// Whether these bytes are an uncompressed point on the curve.
pub(crate) fn is_point(bytes: &[u8; 65]) -> bool {
    Point::from_bytes(bytes).is_some()
}

/// Reads `SEQUENCE { INTEGER r, INTEGER s }` in DER, as `openssl dgst -sign` writes it: r and s of 32 bytes each. One pair of numbers has one encoding.
pub(crate) fn from_der(der: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    let [0x30, len, rest @ ..] = der else { return None };
    (usize::from(*len) == rest.len()).then_some(())?;
    let (r, s) = signature.split_at_mut(32);
    let rest = integer_from_der(rest, r)?;
    integer_from_der(rest, s)?.is_empty().then_some(signature)
}

/// Reads an INTEGER that is not negative, and gives what follows it.
fn integer_from_der<'a>(der: &'a [u8], to: &mut [u8]) -> Option<&'a [u8]> {
    let [0x02, len, rest @ ..] = der else { return None };
    let (bytes, rest) = rest.split_at_checked(usize::from(*len))?;
    let magnitude = match bytes {
        // A zero in front is there to keep the number from being negative, and nowhere else.
        [0, second, ..] if second & 0x80 != 0 => bytes.get(1..)?,
        [0, _, ..] | [] => return None,
        [first, ..] if first & 0x80 != 0 => return None,
        _ => bytes,
    };
    let start = to.len().checked_sub(magnitude.len())?;
    to.get_mut(start..)?.copy_from_slice(magnitude);
    Some(rest)
}

/// A number from bytes, the greatest first.
fn number(bytes: &[u8]) -> Number {
    let mut number = ZERO;
    numbers::read(&mut number, bytes);
    number
}

/// The bit of this weight.
fn bit(number: &Number, weight: u8) -> bool {
    number.get(usize::from(weight >> 5)).is_some_and(|word| word >> (weight & 31) & 1 != 0)
}

impl Modulus {
    /// The product of two numbers below the modulus, divided by 2^256 (Montgomery).
    fn multiply(&self, a: &Number, b: &Number) -> Number {
        let mut product = ZERO;
        numbers::multiply(&mut product, a, b, &self.modulus, self.inverse);
        product
    }

    fn add(&self, a: &Number, b: &Number) -> Number {
        let mut sum = *a;
        if add_to(&mut sum, b) || !is_less(&sum, &self.modulus) {
            subtract_from(&mut sum, &self.modulus);
        }
        sum
    }

    fn subtract(&self, a: &Number, b: &Number) -> Number {
        let mut difference = *a;
        if is_less(a, b) {
            add_to(&mut difference, &self.modulus);
        }
        subtract_from(&mut difference, b);
        difference
    }

    /// 1 divided by a number, both in Montgomery's form, by Fermat's little theorem.
    fn invert(&self, number: &Number) -> Number {
        let mut exponent = self.modulus;
        subtract_from(&mut exponent, &[2, 0, 0, 0, 0, 0, 0, 0]);
        let mut power = self.multiply(&self.square, &[1, 0, 0, 0, 0, 0, 0, 0]);
        for weight in (0..=255).rev() {
            power = self.multiply(&power, &power);
            if bit(&exponent, weight) {
                power = self.multiply(&power, number);
            }
        }
        power
    }
}

impl Point {
    /// Reads an uncompressed point; `None` if it is not on the curve.
    fn from_bytes(bytes: &[u8; 65]) -> Option<Self> {
        let [4, coordinates @ ..] = bytes else { return None };
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (number(x), number(y));
        (is_less(&x, &FIELD.modulus) && is_less(&y, &FIELD.modulus)).then_some(())?;
        let (x, y) = (FIELD.multiply(&x, &FIELD.square), FIELD.multiply(&y, &FIELD.square));
        // y² = x³ - 3x + b, as x(x² - 3) + b.
        let three = FIELD.add(&FIELD.add(&ONE, &ONE), &ONE);
        let right = FIELD.multiply(&x, &FIELD.subtract(&FIELD.multiply(&x, &x), &three));
        (FIELD.multiply(&y, &y) == FIELD.add(&right, &B)).then_some(Self { x, y, z: ONE })
    }

    /// `generator` times the generator, and `own` times this point, together (Shamir's way).
    fn double_product(&self, generator: &Number, own: &Number) -> Self {
        let both = self.add(&GENERATOR);
        let mut sum = INFINITY;
        for weight in (0..=255).rev() {
            sum = sum.add(&sum);
            let addend = match (bit(generator, weight), bit(own, weight)) {
                (false, false) => continue,
                (true, false) => &GENERATOR,
                (false, true) => self,
                (true, true) => &both,
            };
            sum = sum.add(addend);
        }
        sum
    }

    /// Whether the coordinate x, modulo the group's order, is `r`. x is below the field's prime, and so it may be `r` or `r` and the order.
    fn has_x(&self, r: &Number) -> bool {
        let is_x = |number: &Number| {
            let product = FIELD.multiply(&FIELD.multiply(number, &FIELD.square), &self.z);
            product == self.x
        };
        let mut other = *r;
        is_x(r) || (!add_to(&mut other, &ORDER.modulus) && is_less(&other, &FIELD.modulus) && is_x(&other))
    }

    /// The sum, by the steps of the formulas; a table of them is smaller than the code that they would be.
    #[inline(never)]
    fn add(&self, other: &Self) -> Self {
        let mut values = [ZERO; VALUES];
        let given = [self.x, self.y, self.z, other.x, other.y, other.z, B];
        for (place, number) in values.iter_mut().zip(given) {
            *place = number;
        }
        for (operation, to, a, b) in STEPS {
            let value = |name: Value| values.get(name as usize).unwrap_or(&ZERO);
            let (a, b) = (value(a), value(b));
            let result = match operation {
                Times => FIELD.multiply(a, b),
                Plus => FIELD.add(a, b),
                Minus => FIELD.subtract(a, b),
            };
            if let Some(place) = values.get_mut(to as usize) {
                *place = result;
            }
        }
        let [.., x, y, z] = values;
        Self { x, y, z }
    }
}

use Operation::{Minus, Plus, Times};
use Value::{Bc, T0, T1, T2, T3, T4, X1, X2, X3, Y1, Y2, Y3, Z1, Z2, Z3};

#[derive(Clone, Copy)]
#[repr(u8)]
enum Operation {
    Times,
    Plus,
    Minus,
}

/// The names of the formulas; `Bc` is the curve's constant. The result comes last.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Value {
    X1,
    Y1,
    Z1,
    X2,
    Y2,
    Z2,
    Bc,
    T0,
    T1,
    T2,
    T3,
    T4,
    X3,
    Y3,
    Z3,
}

const VALUES: usize = Z3 as usize + 1;

#[rustfmt::skip]
static STEPS: [(Operation, Value, Value, Value); 43] = [
    (Times, T0, X1, X2), (Times, T1, Y1, Y2), (Times, T2, Z1, Z2),
    (Plus, T3, X1, Y1), (Plus, T4, X2, Y2), (Times, T3, T3, T4),
    (Plus, T4, T0, T1), (Minus, T3, T3, T4), (Plus, T4, Y1, Z1),
    (Plus, X3, Y2, Z2), (Times, T4, T4, X3), (Plus, X3, T1, T2),
    (Minus, T4, T4, X3), (Plus, X3, X1, Z1), (Plus, Y3, X2, Z2),
    (Times, X3, X3, Y3), (Plus, Y3, T0, T2), (Minus, Y3, X3, Y3),
    (Times, Z3, Bc, T2), (Minus, X3, Y3, Z3), (Plus, Z3, X3, X3),
    (Plus, X3, X3, Z3), (Minus, Z3, T1, X3), (Plus, X3, T1, X3),
    (Times, Y3, Bc, Y3), (Plus, T1, T2, T2), (Plus, T2, T1, T2),
    (Minus, Y3, Y3, T2), (Minus, Y3, Y3, T0), (Plus, T1, Y3, Y3),
    (Plus, Y3, T1, Y3), (Plus, T1, T0, T0), (Plus, T0, T1, T0),
    (Minus, T0, T0, T2), (Times, T1, T4, Y3), (Times, T2, T0, Y3),
    (Times, Y3, X3, Z3), (Plus, Y3, Y3, T2), (Times, X3, T3, X3),
    (Minus, X3, X3, T1), (Times, Z3, T4, Z3), (Times, T1, T3, T0),
    (Plus, Z3, Z3, T1),
];

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
    use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
    use proptest::prelude::*;

    use super::*;

    fn key(seed: [u8; 32]) -> Option<(SigningKey, [u8; 65])> {
        let key = SigningKey::from_slice(&seed).ok()?;
        let point = key.verifying_key().to_sec1_point(false).as_bytes().try_into().ok()?;
        Some((key, point))
    }

    /// What the crate `p256` says.
    fn other(point: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let key = VerifyingKey::from_sec1_bytes(point);
        let signature = Signature::from_slice(signature);
        matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
    }

    fn bytes(number: &Number) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(4).zip(number.iter().rev()) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    fn pair(r: &Number, s: &Number) -> [u8; 64] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes(r));
        signature[32..].copy_from_slice(&bytes(s));
        signature
    }

    /// RFC 6979, appendix A.2.5: SHA-256 of "sample".
    #[test]
    fn the_signature_of_rfc_6979_holds_and_with_another_bit_it_does_not() {
        let seed = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        let seed: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&seed[2 * at..2 * at + 2], 16).unwrap()).collect();
        let (key, point) = key(seed.try_into().unwrap()).unwrap();
        let digest = crate::image::Digest::of(b"sample").0;
        let signature: Signature = key.sign_prehash(&digest).unwrap();
        let signature: [u8; 64] = signature.to_bytes().into();
        assert_eq!(signature[..4], [0xEF, 0xD4, 0x8B, 0x2A]);

        assert!(verify(&point, &digest, &signature));
        for at in 0..512 {
            let mut changed = signature;
            changed[at / 8] ^= 1 << (at % 8);
            assert!(!verify(&point, &digest, &changed), "bit {at}");
        }
    }

    #[test]
    fn r_and_s_are_from_1_to_the_order_without_the_order() {
        let (_, point) = key([7; 32]).unwrap();
        let order = ORDER.modulus;
        let mut above = order;
        add_to(&mut above, &[1, 0, 0, 0, 0, 0, 0, 0]);
        let mut below = order;
        subtract_from(&mut below, &[1, 0, 0, 0, 0, 0, 0, 0]);
        let one = [1, 0, 0, 0, 0, 0, 0, 0];
        let numbers = [ZERO, one, below, order, above, FIELD.modulus, [u32::MAX; 8]];
        for r in &numbers {
            for s in &numbers {
                for digest in &numbers {
                    let (digest, signature) = (bytes(digest), pair(r, s));
                    assert_eq!(verify(&point, &digest, &signature), other(&point, &digest, &signature));
                }
            }
        }
    }

    /// With s = r and a digest of zero the sum is the key itself: a signature that anybody can make, and a valid one.
    #[test]
    fn a_point_whose_x_is_above_the_order_is_taken_modulo_the_order() {
        // Points with such an x are rare: looked for from the order upwards.
        let mut x = ORDER.modulus;
        let (point, r) = loop {
            add_to(&mut x, &[1, 0, 0, 0, 0, 0, 0, 0]);
            let mut compressed = [2; 33];
            compressed[1..].copy_from_slice(&bytes(&x));
            if let Ok(key) = VerifyingKey::from_sec1_bytes(&compressed) {
                let mut r = x;
                subtract_from(&mut r, &ORDER.modulus);
                break (key.to_sec1_point(false).as_bytes().try_into().unwrap(), r);
            }
        };
        let signature = pair(&r, &r);

        assert!(other(&point, &[0; 32], &signature));
        assert!(verify(&point, &[0; 32], &signature));
    }

    /// u1 G + u2 Q where both are the same point, where they are opposite, and where one is infinity.
    #[test]
    fn sums_without_a_slope_are_right() {
        let (_, generator) = key([&[0; 31][..], &[1]].concat().try_into().unwrap()).unwrap();
        let opposite = {
            let mut opposite = generator;
            let mut y = FIELD.modulus;
            subtract_from(&mut y, &number(&generator[33..]));
            opposite[33..].copy_from_slice(&bytes(&y));
            opposite
        };
        let r = number(&generator[1..33]);
        for point in [generator, opposite] {
            for digest in [r, ZERO, [1, 0, 0, 0, 0, 0, 0, 0]] {
                for s in [r, [1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]] {
                    let (digest, signature) = (bytes(&digest), pair(&r, &s));
                    assert_eq!(verify(&point, &digest, &signature), other(&point, &digest, &signature));
                }
            }
        }
    }

    /// The field's prime is so close to 2^256 that random numbers don't get between the two.
    #[test]
    fn sums_and_differences_are_below_the_modulus() {
        for modulus in [&FIELD, &ORDER] {
            let number = |word: u32| [word, 0, 0, 0, 0, 0, 0, 0];
            let from_top = |word: u32| {
                let mut number = modulus.modulus;
                subtract_from(&mut number, &[word, 0, 0, 0, 0, 0, 0, 0]);
                number
            };
            for word in 1..=3 {
                assert_eq!(modulus.add(&from_top(word), &number(word)), ZERO);
                assert_eq!(modulus.add(&number(word), &from_top(word)), ZERO);
                assert_eq!(modulus.add(&from_top(word), &number(word + 1)), number(1));
                assert_eq!(modulus.add(&from_top(word), &from_top(1)), from_top(word + 1));
                assert_eq!(modulus.subtract(&ZERO, &number(word)), from_top(word));
                assert_eq!(modulus.subtract(&number(word), &from_top(1)), number(word + 1));
                assert_eq!(modulus.subtract(&from_top(word), &from_top(word)), ZERO);
                assert_eq!(modulus.subtract(&from_top(1), &from_top(word)), number(word - 1));
            }
        }
    }

    #[test]
    fn what_is_not_on_the_curve_is_no_point() {
        let (_, point) = key([9; 32]).unwrap();
        assert!(is_point(&point));
        for at in 0..65 {
            let mut changed = point;
            changed[at] ^= 1;
            assert!(!is_point(&changed), "byte {at}");
        }
        let mut zero = [0; 65];
        zero[0] = 4;
        assert!(!is_point(&zero));
        // y above the prime: the same point in another spelling.
        let mut other = [0; 65];
        other[0] = 4;
        other[1..33].copy_from_slice(&bytes(&FIELD.modulus));
        assert!(!is_point(&other));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn both_verifiers_agree_on_signatures_and_on_changed_ones(
            seed: [u8; 32],
            digest: [u8; 32],
            at in 0_usize..512,
        ) {
            let Some((key, point)) = key(seed) else { return Ok(()) };
            let signature: Signature = key.sign_prehash(&digest).unwrap();
            let mut signature: [u8; 64] = signature.to_bytes().into();
            prop_assert!(verify(&point, &digest, &signature));
            signature[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(verify(&point, &digest, &signature), other(&point, &digest, &signature));
        }

        #[test]
        fn numbers_are_multiplied_as_the_crate_does(a: [u8; 32], b: [u8; 32]) {
            use p256::elliptic_curve::PrimeField as _;

            let read = |bytes: [u8; 32]| Option::<p256::Scalar>::from(p256::Scalar::from_repr(bytes.into()));
            let (Some(first), Some(second)) = (read(a), read(b)) else { return Ok(()) };
            let product = ORDER.multiply(&ORDER.multiply(&number(&a), &number(&b)), &ORDER.square);
            prop_assert_eq!(bytes(&product).to_vec(), (first * second).to_repr().to_vec());
        }
    }

    proptest! {
        #[test]
        fn der_is_read_as_the_crate_reads_it(
            r in proptest::collection::vec(any::<u8>(), 0..36),
            s in proptest::collection::vec(any::<u8>(), 0..36),
            change in any::<Option<(u8, u8)>>(),
        ) {
            let mut der = vec![0x30, (r.len() + s.len() + 4) as u8, 0x02, r.len() as u8];
            der.extend(&r);
            der.extend([0x02, s.len() as u8]);
            der.extend(&s);
            if let Some((at, byte)) = change {
                let at = usize::from(at) % der.len();
                der[at] = byte;
            }
            // The crate has also looked at whether r and s can be those of a signature.
            if let Ok(signature) = Signature::from_der(&der) {
                prop_assert_eq!(from_der(&der).map(|bytes| bytes.to_vec()), Some(signature.to_bytes().to_vec()));
            } else if let Some(bytes) = from_der(&der) {
                prop_assert!(Signature::from_slice(&bytes).is_err());
            }
        }
    }
}
