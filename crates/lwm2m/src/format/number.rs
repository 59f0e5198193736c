//! Numbers as text, and between their types.

use super::{FormatError, Integer};
use crate::decimal::{self, Decimal, write_plain, write_scientific};
use crate::output::Output;
use crate::value::ValueType;

/// Reads `-12`; nothing but a sign and digits is accepted. An error blames the type that was expected.
pub(crate) fn parse_whole(text: &str, expected: ValueType) -> Result<Integer, FormatError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FormatError::PeerSentMalformedValue { expected });
    }
    let magnitude = digits.parse().map_err(|_| FormatError::PeerSentOutOfRange { expected })?;
    Ok(Integer::signed(text.starts_with('-'), magnitude))
}

/// Reads a JSON number as a whole one: `12`, but also `12.0` and `1.2e1`.
#[cfg(feature = "json")]
pub(crate) fn parse_json_whole(text: &str, expected: ValueType) -> Result<Integer, FormatError> {
    if text.contains(['.', 'e', 'E']) {
        whole_from_float(parse_float(text)?, expected)
    } else {
        parse_whole(text, expected)
    }
}

/// A float that is whole, as an integer.
pub(crate) fn whole_from_float(value: f64, expected: ValueType) -> Result<Integer, FormatError> {
    // The cast of anything below 2^64 is exact or drops a fraction, which is then seen; that of anything else is 2^64 - 1, which is 2^64
    // as a float and seen too, but for 2^64 itself.
    let magnitude = value.abs() as u64;
    if magnitude as f64 != value.abs() || magnitude == u64::MAX {
        return Err(FormatError::PeerSentOutOfRange { expected });
    }
    Ok(Integer::signed(value < 0.0, magnitude))
}

/// Reads a finite number. The words that Rust knows (`inf`, `NaN`) are refused.
pub(crate) fn parse_float(text: &str) -> Result<f64, FormatError> {
    const EXPECTED: ValueType = ValueType::Float;
    let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !is_number {
        return Err(FormatError::PeerSentMalformedValue { expected: EXPECTED });
    }
    let value: f64 =
        decimal::parse(text).ok_or(FormatError::PeerSentMalformedValue { expected: EXPECTED })?;
    if value.is_finite() { Ok(value) } else { Err(FormatError::PeerSentOutOfRange { expected: EXPECTED }) }
}

/// How many bits of a short floating-point number are its exponent and its mantissa.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    exponent: u32,
    mantissa: u32,
}

pub(crate) const HALF: Layout = Layout { exponent: 5, mantissa: 10 };
pub(crate) const SINGLE: Layout = Layout { exponent: 8, mantissa: 23 };

/// The number that short bits stand for. They are moved, since a chip converts floating-point numbers by more code than that.
pub(crate) fn widen(bits: u32, layout: Layout) -> f64 {
    let Layout { exponent: exponent_bits, mantissa: mantissa_bits } = layout;
    let ones = |count: u32| 1_u64.wrapping_shl(count).wrapping_sub(1);
    let sign = u64::from(bits) >> exponent_bits.wrapping_add(mantissa_bits) & 1;
    let mut exponent = u64::from(bits) >> mantissa_bits & ones(exponent_bits);
    let mut mantissa = u64::from(bits) & ones(mantissa_bits);
    let bias = 1023_u64.wrapping_sub(ones(exponent_bits.wrapping_sub(1)));
    let biased = if exponent == ones(exponent_bits) {
        2047
    } else if exponent == 0 && mantissa == 0 {
        0
    } else {
        // The highest bit of a mantissa without exponent goes there.
        let needs_shift = exponent == 0;
        exponent = exponent.max(1);
        while needs_shift && mantissa >> mantissa_bits == 0 {
            mantissa <<= 1;
            exponent = exponent.wrapping_sub(1);
        }
        exponent.wrapping_add(bias)
    };
    let fraction = (mantissa & ones(mantissa_bits)).wrapping_shl(52_u32.wrapping_sub(mantissa_bits));
    f64::from_bits(sign << 63 | (biased & 2047) << 52 | fraction)
}

/// The same number in four bytes, if nothing is lost; one that is nearly 0 takes eight.
pub(crate) fn narrow(value: f64) -> Option<f32> {
    let bits = value.to_bits();
    let (sign, exponent) = ((bits >> 63) as u32, (bits >> 52) as u32 & 2047);
    let fraction = (bits >> 29) as u32 & 0x7f_ffff;
    let biased = match exponent {
        0 if fraction == 0 => 0,
        897..=1150 => exponent.wrapping_sub(896),
        2047 if fraction == 0 => 255,
        _ => return None,
    };
    (bits & 0x1fff_ffff == 0).then(|| f32::from_bits(sign << 31 | biased << 23 | fraction))
}

/// `mantissa` times ten to the power of `exponent`.
pub(crate) fn decimal_fraction(mantissa: Integer, exponent: Integer) -> Result<f64, FormatError> {
    const OUT_OF_RANGE: FormatError = FormatError::PeerSentOutOfRange { expected: ValueType::Float };
    let (is_negative, magnitude) = match mantissa {
        Integer::Unsigned(magnitude) => (false, magnitude),
        Integer::Negative(below) => (true, below.checked_add(1).ok_or(OUT_OF_RANGE)?),
    };
    let exponent = exponent.to_i64().ok_or(OUT_OF_RANGE)?.clamp(i32::MIN.into(), i32::MAX.into());
    let value = Decimal::new(magnitude, exponent as i32).to_f64();
    if value.is_finite() { Ok(if is_negative { -value } else { value }) } else { Err(OUT_OF_RANGE) }
}

/// Writes a finite number the way that plain text and JSON both know.
pub(crate) fn write_float(value: f64, output: &mut Output<'_>) -> Result<(), FormatError> {
    if !value.is_finite() {
        return Err(FormatError::NotFinite);
    }
    // Very large and small numbers would otherwise be written with up to 300 zeros.
    let plain = value == 0.0 || (1e-7..1e17).contains(&value.abs());
    if plain {
        write_plain(value, output)?;
    } else {
        write_scientific(value, output)?;
    }
    Ok(())
}

/// Reads a date and time of RFC 3339 as seconds since 1970; fractions of seconds are dropped.
pub(crate) fn parse_date_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = fields(date, '-')?;
    let (clock, offset) = split_offset(rest)?;
    let clock = clock.split_once('.').map_or(clock, |(clock, _)| clock);
    let [hour, minute, second] = fields(clock, ':')?;
    let valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !valid {
        return None;
    }
    let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    let days = i64::from(days_since_1970(year, month, day)?);
    days.checked_mul(86_400)?.checked_add(seconds.checked_sub(offset)?.into())
}

fn split_offset(text: &str) -> Option<(&str, i32)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, offset) = text.split_at_checked(at)?;
    let negative = offset.starts_with('-');
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = digits(hours)?.checked_mul(3600)?.checked_add(digits(minutes)?.checked_mul(60)?)?;
    Some((clock, if negative { seconds.checked_neg()? } else { seconds }))
}

fn fields(text: &str, separator: char) -> Option<[i32; 3]> {
    let mut parts = text.split(separator).map(digits);
    let fields = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(fields)
}

fn digits(text: &str) -> Option<i32> {
    let sane = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if sane { text.parse().ok() } else { None }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counting years from March so that leap days come last.
fn days_since_1970(year: i32, month: i32, day: i32) -> Option<i32> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = month.checked_add(9)?.checked_rem(12)?;
    let day_of_year = month_from_march.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    let leap_days =
        (year.div_euclid(4)).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let days = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(day_of_year)?;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_rfc_3339_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2013-03-21T20:04:00Z", 1_363_896_240),
            ("2000-02-29T23:59:59.5Z", 951_868_799),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("1969-12-31T23:59:59Z", -1),
            ("2013-03-21T21:34:00+01:30", 1_363_896_240),
            ("2013-03-21T19:04:00-01:00", 1_363_896_240),
        ] {
            assert_eq!(parse_date_time(text), Some(seconds), "{text}");
        }
        for text in
            ["", "T", "2013-03-21", "2013-13-01T00:00:00Z", "2013-03-21T25:00:00Z", "x-03-21T00:00:00Z"]
        {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }

    const TYPE: ValueType = ValueType::Integer;

    #[test]
    fn every_half_is_the_number_that_it_stands_for() {
        for half in 0..=u32::from(u16::MAX) {
            let (sign, exponent) = (if half & 0x8000 == 0 { 1.0 } else { -1.0 }, (half >> 10 & 31) as i32);
            let mantissa = f64::from(half & 0x3ff);
            let expected = match exponent {
                0 => mantissa * 2f64.powi(-24),
                31 if mantissa == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
            };
            let value = widen(half, HALF);
            assert!(
                value.to_bits() == (sign * expected).to_bits() || (value.is_nan() && expected.is_nan()),
                "{half:x}"
            );
        }
    }

    proptest! {
        #[test]
        fn four_bytes_are_the_number_that_they_stand_for(bits: u32) {
            let (short, wide) = (f32::from_bits(bits), widen(bits, SINGLE));
            prop_assert!(wide.to_bits() == f64::from(short).to_bits() || (short.is_nan() && wide.is_nan()));
            let fits = short == 0.0 || short.is_infinite() || short.is_normal();
            prop_assert_eq!(narrow(wide).map(f32::to_bits), fits.then_some(bits));
        }

        #[test]
        fn what_needs_eight_bytes_has_none_of_four(value: f64) {
            if let Some(short) = narrow(value) {
                prop_assert_eq!(f64::from(short).to_bits(), value.to_bits());
            } else {
                prop_assert!(f64::from(value as f32) != value || !(value as f32).is_normal());
            }
        }
    }

    #[test]
    fn whole_numbers_are_a_sign_and_digits() {
        assert_eq!(parse_whole("-9223372036854775808", TYPE).unwrap().to_i64(), Some(i64::MIN));
        assert_eq!(parse_whole("+18446744073709551615", TYPE).unwrap().to_u64(), Some(u64::MAX));
        assert_eq!(parse_whole("9223372036854775808", TYPE).unwrap().to_i64(), None);
        assert_eq!(parse_whole("-1", TYPE).unwrap().to_u64(), None);
        assert_eq!(parse_whole("-0", TYPE).unwrap().to_u64(), Some(0));
        assert!(parse_whole("18446744073709551616", TYPE).is_err());
        for text in ["", "-", "+", "1.0", "1e3", "0x1", " 1", "--1", "+-1"] {
            assert_eq!(
                parse_whole(text, TYPE),
                Err(FormatError::PeerSentMalformedValue { expected: TYPE }),
                "{text}"
            );
        }
    }

    #[test]
    fn a_float_that_is_whole_is_an_integer() {
        assert_eq!(whole_from_float(-3.0, TYPE).unwrap().to_i64(), Some(-3));
        assert_eq!(parse_json_whole("1.2e1", TYPE).unwrap().to_i64(), Some(12));
        assert_eq!(whole_from_float(-9_223_372_036_854_775_808.0, TYPE).unwrap().to_i64(), Some(i64::MIN));
        for value in [0.5, 1e300, f64::NAN, f64::INFINITY, 18_446_744_073_709_551_616.0] {
            assert!(whole_from_float(value, TYPE).is_err(), "{value}");
        }
    }

    #[test]
    fn floats_survive_their_text() {
        for value in [0.0, -0.5, 1e-300, 1.5e300, 123_456_789.125, f64::MAX, f64::MIN_POSITIVE] {
            let mut buffer = [0; 64];
            let mut output = Output::new(&mut buffer);
            write_float(value, &mut output).unwrap();
            let text = core::str::from_utf8(output.into_written()).unwrap();
            assert_eq!(parse_float(text), Ok(value), "{text}");
        }
        for text in ["inf", "NaN", "infinity", "1e999", ""] {
            assert!(parse_float(text).is_err(), "{text}");
        }
    }
}
