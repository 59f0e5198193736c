//! Floating-point numbers as decimal digits: exact both ways, in little code.
//!
//! `core` does the same by three algorithms and tables of 12 kB, which is a fifth of what a device has flash for. Here short numbers take
//! one multiplication or division (Clinger 1990), and all others whole numbers of any length.

use crate::output::{Full, Output, digits_of};

/// `digits` times ten to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u64,
    exponent: i32,
}

/// So many significant digits decide how a number is rounded; of those behind it matters only whether all are 0.
const DIGITS: usize = 770;
/// Powers of ten up to this one are exact.
const LARGEST_EXACT: i32 = 22;
/// Where floating-point numbers are multiplied by the processor. Elsewhere the code for that is larger than the whole numbers here are slow.
const MULTIPLIES: bool = cfg!(target_pointer_width = "64");
/// Whole numbers below are exact.
const EXACT: u64 = 1 << 53;
/// All decimal numbers of so many digits can be told apart.
const DISTINCT: f64 = 1e15;
/// The exponent of the lowest bit of all.
const LOWEST: i32 = -1074;
/// Beyond is infinity, and below the negative of it zero.
const ENDLESS: i32 = 340;

/// Reads digits, perhaps with a sign, a point, and an exponent; `None` for anything else. What is too large is infinite.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if mantissa.len() <= 1 && !mantissa.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if !digits.clone().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut number = Natural::default();
    let mut exponent = exponent.saturating_sub(i32::try_from(fraction.len()).unwrap_or(i32::MAX));
    let mut count = 0_usize;
    let mut dropped = Dropped::Nothing;
    for digit in &mut digits {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        if count >= DIGITS {
            dropped = dropped.and(digit);
            exponent = exponent.saturating_add(1);
        } else if count > 0 || digit > 0 {
            number.multiply_add(10, digit);
            count = count.saturating_add(1);
        }
    }
    // Where nothing is won by it, a second whole number would only take memory of the stack.
    let short = if MULTIPLIES { number.small() } else { None };
    let magnitude = match (short, dropped) {
        (Some(digits), Dropped::Nothing) => Decimal { digits, exponent }.to_f64(),
        _ => float(&mut number, exponent, dropped),
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_exponent(text: &str) -> Option<i32> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = 1_000_000;
    let exponent = digits.bytes().fold(0_i32, |sum, byte| {
        sum.saturating_mul(10).saturating_add(i32::from(byte.wrapping_sub(b'0'))).min(most)
    });
    Some(if negative { exponent.wrapping_neg() } else { exponent })
}

impl Decimal {
    pub(crate) const fn new(digits: u64, exponent: i32) -> Self {
        Self { digits, exponent }
    }

    /// The nearest floating-point number; an even one of two.
    pub(crate) fn to_f64(self) -> f64 {
        let Self { digits, exponent } = self;
        if MULTIPLIES && digits < EXACT && exponent.unsigned_abs() <= LARGEST_EXACT.unsigned_abs() {
            let power = power_of_ten(exponent.unsigned_abs());
            return if exponent < 0 { digits as f64 / power } else { digits as f64 * power };
        }
        let mut number = Natural::default();
        number.set(digits);
        float(&mut number, exponent, Dropped::Nothing)
    }

    /// The shortest number that is read as `value`, which is finite and not negative; of several the nearest.
    fn shortest(value: f64) -> Self {
        let short = if MULTIPLIES { Self::short(value) } else { None };
        short.unwrap_or_else(|| Self::long(value)).stripped()
    }

    /// A number of up to 15 digits, 22 of them behind the point.
    fn short(value: f64) -> Option<Self> {
        (0..=LARGEST_EXACT).find_map(|exponent| {
            let power = power_of_ten(exponent.unsigned_abs());
            let scaled = value * power;
            let digits = (scaled + 0.5) as u64;
            let is_short = scaled < DISTINCT && digits as f64 / power == value;
            is_short.then_some(Self { digits, exponent: exponent.wrapping_neg() })
        })
    }

    fn long(value: f64) -> Self {
        if value == 0.0 {
            return Self { digits: 0, exponent: 0 };
        }
        let bits = value.to_bits();
        let (biased, fraction) = ((bits >> 52) as i32, bits & EXACT.wrapping_shr(1).wrapping_sub(1));
        let mantissa = if biased == 0 { fraction } else { fraction | EXACT.wrapping_shr(1) };
        let twos = biased.max(1).saturating_add(LOWEST).saturating_sub(1);
        // 18 digits; an estimate of where they begin may be off by one.
        let highest = mantissa.checked_ilog2().unwrap_or(0) as i32;
        let mut exponent =
            highest.saturating_add(twos).saturating_mul(1233).wrapping_shr(12).saturating_sub(17);
        let digits = loop {
            match scaled(mantissa, twos, exponent) {
                Some(digits) if digits < 100_000_000_000_000_000 => exponent = exponent.saturating_sub(1),
                Some(digits) if digits < 1_000_000_000_000_000_000 => break digits,
                _ => exponent = exponent.saturating_add(1),
            }
        };
        let mut found = Self { digits, exponent };
        // Fewer and fewer digits, as long as they name the same number.
        let mut unit = 1_u64;
        for place in 1..18 {
            unit = unit.saturating_mul(10);
            let below = digits.checked_div(unit).unwrap_or(0);
            let rest = digits.checked_rem(unit).unwrap_or(0);
            let above = below.saturating_add(1);
            // Of two that are as near, the one above.
            let is_above = rest >= unit.wrapping_shr(1);
            let nearest_first = if is_above { [above, below] } else { [below, above] };
            let candidates =
                nearest_first.map(|digits| Self { digits, exponent: exponent.saturating_add(place) });
            match candidates.into_iter().find(|candidate| candidate.to_f64() == value) {
                Some(shorter) => found = shorter,
                None => break,
            }
        }
        found
    }

    fn stripped(mut self) -> Self {
        while self.digits > 0 && self.digits.is_multiple_of(10) {
            self.digits = self.digits.checked_div(10).unwrap_or(0);
            self.exponent = self.exponent.saturating_add(1);
        }
        self
    }
}

/// `mantissa` times two to the power of `twos`, divided by ten to the power of `exponent`, if it is small.
// Its whole number is off the stack when another one is made.
#[inline(never)]
fn scaled(mantissa: u64, twos: i32, exponent: i32) -> Option<u64> {
    let mut number = Natural::default();
    number.set(mantissa);
    let fives = exponent.saturating_neg();
    let _behind = number.scale(fives, twos.saturating_add(fives));
    number.small()
}

/// About how many tens so many twos are.
fn in_tens(twos: i32) -> i32 {
    twos.saturating_mul(1233).wrapping_shr(12)
}

/// `number` times ten to the power of `exponent`, rounded.
fn float(number: &mut Natural, exponent: i32, mut dropped: Dropped) -> f64 {
    let magnitude = in_tens(number.bits()).saturating_add(exponent);
    if number.is_zero() || magnitude < ENDLESS.saturating_neg() {
        return 0.0;
    }
    if magnitude > ENDLESS {
        return f64::INFINITY;
    }
    // A quotient has 64 bits at least: a power of five has less than 7/3 bits for each of its exponent.
    let wanted = 64_i32.saturating_add(exponent.saturating_neg().max(0).saturating_mul(7) / 3);
    let shift = if exponent < 0 { wanted.saturating_sub(number.bits()).max(0) } else { 0 };
    if number.scale(exponent, shift) == Dropped::Something {
        dropped = Dropped::Something;
    }
    number.to_f64(exponent.saturating_sub(shift), dropped)
}

fn power_of_ten(exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |power, _| power * 10.0)
}

/// Whether what was cut off a number was anything but 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dropped {
    Nothing,
    Something,
}

impl Dropped {
    fn and(self, part: u32) -> Self {
        if part == 0 { self } else { Self::Something }
    }
}

/// A whole number of up to 2,800 bits: more than [`DIGITS`] digits, and than they take to be divided by any power of ten that matters.
struct Natural {
    /// The lowest first.
    limbs: [u32; Self::LIMBS],
    used: usize,
}

impl Default for Natural {
    fn default() -> Self {
        Self { limbs: [0; Self::LIMBS], used: 0 }
    }
}

impl Natural {
    const LIMBS: usize = 88;

    /// Sets a number that is 0.
    fn set(&mut self, number: u64) {
        for part in [(number >> 48) as u32, (number >> 24) as u32 & 0xff_ffff, number as u32 & 0xff_ffff] {
            self.multiply_add(1 << 24, part);
        }
    }

    fn used(&self) -> &[u32] {
        self.limbs.get(..self.used).unwrap_or_default()
    }

    fn is_zero(&self) -> bool {
        self.used == 0
    }

    fn small(&self) -> Option<u64> {
        match *self.used() {
            [] => Some(0),
            [low] => Some(low.into()),
            [low, high] => Some(u64::from(high) << 32 | u64::from(low)),
            _ => None,
        }
    }

    /// How many bits there are up to the highest one that is set.
    fn bits(&self) -> i32 {
        let highest = self.used().last().map_or(32, |limb| limb.leading_zeros());
        (self.used.saturating_mul(32) as i32).saturating_sub(highest as i32).max(0)
    }

    fn bit(&self, place: i32) -> bool {
        let place = place as usize;
        self.limbs.get(place / 32).is_some_and(|limb| limb.wrapping_shr(place as u32) & 1 == 1)
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in self.limbs.iter_mut().take(self.used) {
            carry = u64::from(*limb).wrapping_mul(u64::from(factor)).wrapping_add(carry);
            *limb = carry as u32;
            carry >>= 32;
        }
        if let (1.., Some(limb)) = (carry, self.limbs.get_mut(self.used)) {
            *limb = carry as u32;
            self.used = self.used.saturating_add(1);
        }
    }

    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0_u64;
        for limb in self.limbs.iter_mut().take(self.used).rev() {
            rest = rest << 32 | u64::from(*limb);
            *limb = rest.checked_div(divisor.into()).unwrap_or(0) as u32;
            rest = rest.checked_rem(divisor.into()).unwrap_or(0);
        }
        while self.used().last() == Some(&0) {
            self.used = self.used.saturating_sub(1);
        }
        rest as u32
    }

    /// Multiplies by powers of five and two, and divides by those with a negative exponent.
    fn scale(&mut self, fives: i32, twos: i32) -> Dropped {
        self.raise(5, fives);
        self.raise(2, twos);
        let dropped = self.lower(2, twos.saturating_neg());
        if self.lower(5, fives.saturating_neg()) == Dropped::Something { Dropped::Something } else { dropped }
    }

    fn raise(&mut self, base: u32, exponent: i32) {
        powers(base, exponent).for_each(|power| self.multiply_add(power, 0));
    }

    fn lower(&mut self, base: u32, exponent: i32) -> Dropped {
        powers(base, exponent).fold(Dropped::Nothing, |dropped, power| dropped.and(self.divide(power)))
    }

    /// The number times two to the power of `twos`, rounded.
    fn to_f64(&self, twos: i32, dropped: Dropped) -> f64 {
        let bits = self.bits();
        let highest = bits.saturating_sub(1).saturating_add(twos);
        if highest > 1023 {
            return f64::INFINITY;
        }
        let lowest = highest.saturating_sub(52).max(LOWEST);
        let cut = lowest.saturating_sub(twos);
        let mantissa = (cut..bits.max(cut))
            .rev()
            .fold(0_u64, |mantissa, place| mantissa << 1 | u64::from(place >= 0 && self.bit(place)));
        let is_half = cut > 0 && self.bit(cut.saturating_sub(1));
        let is_more =
            dropped == Dropped::Something || (0..cut.saturating_sub(1)).any(|place| self.bit(place));
        let rounded = mantissa.saturating_add(u64::from(is_half && (is_more || mantissa & 1 == 1)));
        // The highest bit of the mantissa adds one to the exponent, and so does one that rounding carried there.
        f64::from_bits((lowest.saturating_sub(LOWEST) as u64).wrapping_shl(52).saturating_add(rounded))
    }
}

/// Factors of 32 bits whose product is a power; none if the exponent is negative.
fn powers(base: u32, exponent: i32) -> impl Iterator<Item = u32> {
    const STEP: i32 = 13;
    let mut left = exponent.max(0);
    core::iter::from_fn(move || {
        let step = left.min(STEP);
        left = left.saturating_sub(step);
        (step > 0).then(|| base.wrapping_pow(step.unsigned_abs()))
    })
}

/// Writes a number as digits and a point, however many zeros that takes.
pub(crate) fn write_plain(value: f64, output: &mut Output<'_>) -> Result<(), Full> {
    let Some(Decimal { digits, exponent }) = begin(value, output)? else { return Ok(()) };
    let mut buffer = [0; 20];
    let text = digits_of(digits, &mut buffer);
    if exponent >= 0 {
        output.bytes(text.as_bytes())?;
        return zeros(if digits == 0 { 0 } else { exponent }, output);
    }
    let behind = exponent.unsigned_abs() as usize;
    let before = text.len().checked_sub(behind).filter(|before| *before > 0);
    match before.and_then(|at| text.split_at_checked(at)) {
        Some((whole, fraction)) => {
            output.bytes(whole.as_bytes())?;
            output.byte(b'.')?;
            output.bytes(fraction.as_bytes())
        }
        None => {
            output.bytes(b"0.")?;
            zeros(behind.saturating_sub(text.len()) as i32, output)?;
            output.bytes(text.as_bytes())
        }
    }
}

/// Writes a number as one digit, a point, the others, and an exponent: `1.5e300`.
pub(crate) fn write_scientific(value: f64, output: &mut Output<'_>) -> Result<(), Full> {
    let Some(Decimal { digits, exponent }) = begin(value, output)? else { return Ok(()) };
    let mut buffer = [0; 20];
    let text = digits_of(digits, &mut buffer);
    let (first, others) = text.split_at_checked(1).unwrap_or((text, ""));
    output.bytes(first.as_bytes())?;
    if !others.is_empty() {
        output.byte(b'.')?;
        output.bytes(others.as_bytes())?;
    }
    output.byte(b'e')?;
    output.signed(exponent.saturating_add(others.len() as i32).into())
}

/// Writes what isn't finite, and the sign of what is, whose digits follow.
fn begin(value: f64, output: &mut Output<'_>) -> Result<Option<Decimal>, Full> {
    if value.is_nan() {
        return output.bytes(b"NaN").map(|()| None);
    }
    if value.is_sign_negative() {
        output.byte(b'-')?;
    }
    if value.is_infinite() {
        return output.bytes(b"inf").map(|()| None);
    }
    Ok(Some(Decimal::shortest(value.abs())))
}

fn zeros(count: i32, output: &mut Output<'_>) -> Result<(), Full> {
    (0..count).try_for_each(|_| output.byte(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    fn written(value: f64, write: fn(f64, &mut Output<'_>) -> Result<(), Full>) -> String {
        let mut buffer = [0; 400];
        let mut output = Output::new(&mut buffer);
        write(value, &mut output).unwrap();
        String::from_utf8(output.into_written().to_vec()).unwrap()
    }

    fn check(value: f64) -> Result<(), TestCaseError> {
        prop_assert_eq!(written(value, write_plain), format!("{value}"));
        let text = format!("{value:e}");
        prop_assert_eq!(&written(value, write_scientific), &text);
        prop_assert_eq!(parse(&text).map(f64::to_bits), Some(value.to_bits()), "{}", text);
        // As where nothing multiplies.
        let decimal = Decimal::long(value.abs()).stripped();
        prop_assert_eq!(decimal, Decimal::shortest(value.abs()));
        let Decimal { digits, exponent } = decimal;
        let mut number = Natural::default();
        number.set(digits);
        prop_assert_eq!(float(&mut number, exponent, Dropped::Nothing), value.abs());
        Ok(())
    }

    #[test]
    fn the_ends_of_the_range_are_exact() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            20.1_f32.into(),
            123_456_789.125,
            1e15,
            1e16,
            1e17,
            1e22,
            1e23,
            9_007_199_254_740_993.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::from_bits(0x000f_ffff_ffff_ffff),
            // One of its neighbours is half as far away as the other.
            5.684_341_886_080_802e-14,
            2f64.powi(-1022),
            2f64.powi(1023),
        ] {
            check(value).unwrap();
        }
        assert_eq!(parse("1e309"), Some(f64::INFINITY));
        assert_eq!(parse("-1e999999999999"), Some(f64::NEG_INFINITY));
        assert_eq!(parse("1e-400"), Some(0.0));
        assert_eq!(parse("0e999"), Some(0.0));
        assert_eq!(written(f64::NAN, write_plain), "NaN");
        assert_eq!(written(f64::NEG_INFINITY, write_scientific), "-inf");
    }

    #[test]
    fn many_digits_are_rounded_by_all_of_them() {
        let half = String::from("9007199254740993");
        for text in [
            half.clone(),
            format!("{half}.{}1", "0".repeat(900)),
            format!("{half}.{}", "0".repeat(900)),
            format!("0.{}1{}", "0".repeat(300), "7".repeat(900)),
            format!("{}e-900", "123456789".repeat(100)),
            format!("0.{}9", "0".repeat(1200)),
        ] {
            assert_eq!(parse(&text), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "+.", "e5", "1e", "1e+", "1.2.3", "1-2", "--1", "1e1.5", "é", "1e5e5"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["1.", ".5", "+1", "-.5e-3", "007", "1E+05"] {
            assert_eq!(parse(text), text.parse().ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_is_written_and_read_as_core_does_it(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            check(value)?;
        }

        #[test]
        fn short_numbers_are_written_and_read_as_core_does_it(digits in -1_000_000_000_i64..1_000_000_000, scale in 0..12) {
            check(digits as f64 / 10f64.powi(scale))?;
            check(f64::from(digits as f32 / 10f32.powi(scale)))?;
        }

        #[test]
        fn texts_are_read_as_core_reads_them(text in r"[+-]?[0-9]{0,40}\.?[0-9]{0,40}([eE][+-]?[0-9]{1,3})?") {
            prop_assert_eq!(parse(&text).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{}", text);
        }
    }
}
