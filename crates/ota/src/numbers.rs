//! Whole numbers of any length, for what is public: nothing here takes care that its time tells nothing.
//!
//! A number is a list of words, the least first. One body of code serves all lengths, since flash is scarce where it runs.

/// Reads bytes, the greatest first, four for each word.
pub(crate) fn read(number: &mut [u32], bytes: &[u8]) {
    for (word, bytes) in number.iter_mut().rev().zip(bytes.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
}

pub(crate) fn is_less(a: &[u32], b: &[u32]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Adds `b` to `a`, as far as there are words, and says whether that overflowed.
pub(crate) fn add_to(a: &mut [u32], b: &[u32]) -> bool {
    let mut carry = 0_u64;
    for (a, b) in a.iter_mut().zip(b) {
        let sum = carry.wrapping_add(u64::from(*a)).wrapping_add(u64::from(*b));
        *a = sum as u32;
        carry = sum >> 32;
    }
    carry != 0
}

/// Takes `b` from `a`, as far as there are words.
pub(crate) fn subtract_from(a: &mut [u32], b: &[u32]) {
    let mut carry = 1_u64;
    for (a, b) in a.iter_mut().zip(b) {
        let sum = carry.wrapping_add(u64::from(*a)).wrapping_add(u64::from(!b));
        *a = sum as u32;
        carry = sum >> 32;
    }
}

/// The product of two numbers below an odd modulus, divided by 2 to the power of their bits, modulo the modulus (Montgomery). `inverse` is -1 divided by
/// the modulus, modulo 2^32. All have as many words.
#[inline(never)]
pub(crate) fn multiply(product: &mut [u32], a: &[u32], b: &[u32], modulus: &[u32], inverse: u32) {
    product.fill(0);
    // What does not fit into the product: 0 or 1.
    let mut top = 0_u64;
    for word in a {
        let mut carry = 0_u64;
        for (place, other) in product.iter_mut().zip(b) {
            carry = step(place, *word, *other, carry);
        }
        top = top.wrapping_add(carry);
        let factor = product.first().copied().unwrap_or_default().wrapping_mul(inverse);
        let mut carry = 0;
        // The least word becomes 0, and all others move by one place.
        let mut before: Option<&mut u32> = None;
        for (place, other) in product.iter_mut().zip(modulus) {
            carry = step(place, factor, *other, carry);
            if let Some(before) = before {
                *before = *place;
            }
            before = Some(place);
        }
        top = top.wrapping_add(carry);
        if let Some(greatest) = before {
            *greatest = top as u32;
        }
        top >>= 32;
    }
    if top != 0 || !is_less(product, modulus) {
        subtract_from(product, modulus);
    }
}

/// Adds `a * b + carry` to a word, and gives the carry.
fn step(place: &mut u32, a: u32, b: u32, carry: u64) -> u64 {
    // At most 2^64 - 1, since a carry is below 2^32.
    let product = u64::from(a).wrapping_mul(u64::from(b));
    let sum = product.wrapping_add(u64::from(*place)).wrapping_add(carry);
    *place = sum as u32;
    sum >> 32
}

/// -1 divided by an odd number, modulo 2^32 (Newton's way: each step doubles the bits that are right).
#[cfg(any(feature = "rsa4096", test))]
pub(crate) fn negative_inverse(number: u32) -> u32 {
    let step = |inverse: u32, _| inverse.wrapping_mul(2_u32.wrapping_sub(number.wrapping_mul(inverse)));
    (0..5).fold(number, step).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_each_odd_number_is_found() {
        for number in (1..100_000).step_by(2).chain([0xFC63_2551, u32::MAX]) {
            assert_eq!(number.wrapping_mul(negative_inverse(number)), u32::MAX, "{number}");
        }
    }

    const EDGES: [u32; 7] = [0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF];

    fn edges() -> impl Iterator<Item = u64> {
        EDGES.iter().flat_map(|high| EDGES.map(|low| u64::from(*high) << 32 | u64::from(low)))
    }

    fn words(number: u64) -> [u32; 2] {
        [number as u32, (number >> 32) as u32]
    }

    fn value(words: [u32; 2]) -> u64 {
        u64::from(words[1]) << 32 | u64::from(words[0])
    }

    #[test]
    fn carries_go_through_sums_and_differences() {
        for a in edges() {
            for b in edges() {
                let (mut sum, mut difference) = (words(a), words(a));
                assert_eq!(add_to(&mut sum, &words(b)), a.checked_add(b).is_none(), "{a:x} + {b:x}");
                assert_eq!(value(sum), a.wrapping_add(b), "{a:x} + {b:x}");
                subtract_from(&mut difference, &words(b));
                assert_eq!(value(difference), a.wrapping_sub(b), "{a:x} - {b:x}");
                assert_eq!(is_less(&words(a), &words(b)), a < b, "{a:x} < {b:x}");
            }
        }
    }

    /// The code is the same for 2, 8 and 128 words; for 2 the compiler's own numbers tell what is right.
    #[test]
    fn carries_go_through_products() {
        for modulus in edges().filter(|modulus| modulus & 1 != 0) {
            let inverse = negative_inverse(modulus as u32);
            let below = || edges().chain([modulus >> 1, modulus - 1]).filter(|number| *number < modulus);
            for a in below() {
                for b in below() {
                    let mut product = [0; 2];
                    multiply(&mut product, &words(a), &words(b), &words(modulus), inverse);
                    let product = u128::from(value(product));
                    let modulus = u128::from(modulus);
                    assert!(product < modulus, "{a:x} * {b:x} modulo {modulus:x}");
                    let wanted = u128::from(a) * u128::from(b) % modulus;
                    assert_eq!((product << 64) % modulus, wanted, "{a:x} * {b:x} modulo {modulus:x}");
                }
            }
        }
    }
}
