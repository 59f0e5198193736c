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
}
