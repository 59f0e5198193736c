//! As much of DER (ITU-T X.690) as certificates need: definite lengths in their shortest form, one-byte tags. Nothing recurses;
//! how deep anything is read is how deep the calls are written.

use core::fmt;

use crate::wire::{Malformed, Reader};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const TELETEX_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const UNIVERSAL_STRING: u8 = 0x1c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// A value with its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Tag and length too.
    pub(super) whole: &'a [u8],
}

/// Reads one value after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<Value<'a>, Malformed> {
        let mut reader = Reader::new(self.0);
        let tag = reader.u8()?;
        // Tags of several bytes appear in no certificate.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let length = match reader.u8()? {
            short @ 0..=0x7f => usize::from(short),
            0x81 => usize::from(reader.u8().and_then(|length| at_least(length, 0x80))?),
            0x82 => usize::from(reader.u16().and_then(|length| at_least(length, 0x100))?),
            _ => return Err(Malformed),
        };
        let content = reader.take(length)?;
        let rest = reader.rest();
        let (whole, rest) =
            self.0.split_at_checked(self.0.len().saturating_sub(rest.len())).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Value { tag, content, whole })
    }

    /// The next value, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Value<'a>, Malformed> {
        let value = self.next()?;
        if value.tag == tag { Ok(value) } else { Err(Malformed) }
    }

    /// The next value, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Malformed> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// The inside of the next value, which must have this tag.
    pub(super) fn inside(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.expect(tag).map(|value| Self(value.content))
    }

    pub(super) const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

fn at_least<T: PartialOrd>(length: T, least: T) -> Result<T, Malformed> {
    if length >= least { Ok(length) } else { Err(Malformed) }
}

/// A bit string of whole bytes.
pub(super) fn octets_of_bits<'a>(value: Value<'a>) -> Result<&'a [u8], Malformed> {
    match value.content.split_first() {
        Some((0, bytes)) => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// Seconds since 1970. Both forms end in "Z" and have seconds (RFC 5280 section 4.1.2.5).
pub(super) fn unix_time(value: Value<'_>) -> Result<u64, Malformed> {
    let (year, rest) = match value.tag {
        UTC_TIME => {
            let (year, rest) = digits(value.content, 2)?;
            (if year < 50 { year.saturating_add(2000) } else { year.saturating_add(1900) }, rest)
        }
        GENERALIZED_TIME => digits(value.content, 4)?,
        _ => return Err(Malformed),
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    if rest != b"Z" || !is_date || hour > 23 || minute > 59 || second > 59 {
        return Err(Malformed);
    }
    let days = days_since_1970(year, month, day);
    let seconds = hour.saturating_mul(3600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
    Ok(days.saturating_mul(86_400).saturating_add(seconds))
}

fn digits(from: &[u8], count: usize) -> Result<(u64, &[u8]), Malformed> {
    let (digits, rest) = from.split_at_checked(count).ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let value = digits.iter().fold(0_u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    });
    Ok((value, rest))
}

/// Days in the Gregorian calendar, zero before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March, so that the leap day is a year's last.
    let (year, month) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.saturating_sub(1), month.saturating_add(9))
    };
    let leap_days = (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
    let days_of_months = month.saturating_mul(153).saturating_add(2) / 5;
    let days =
        year.saturating_mul(365).saturating_add(leap_days).saturating_add(days_of_months).saturating_add(day);
    days.saturating_sub(719_469)
}

/// Seconds since 1970, as RFC 3339 writes them.
pub(super) struct Date(pub(super) u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The way back from [`days_since_1970`]. After 400 years the calendar repeats.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (eras, day) = (days / 146_097, days % 146_097);
    let leap_days = (day / 1460).saturating_sub(day / 36_524).saturating_add(day / 146_096);
    let year = day.saturating_sub(leap_days) / 365;
    let days_of_years = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(days_of_years);
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let day = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let year = year.saturating_add(eras.saturating_mul(400));
    if month < 10 {
        (year, month.saturating_add(3), day)
    } else {
        (year.saturating_add(1), month.saturating_sub(9), day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_it_was_read() {
        for text in
            ["19700101000000Z", "20000229235959Z", "20261126031415Z", "21000301000000Z", "99991231235959Z"]
        {
            let seconds = time(GENERALIZED_TIME, text).unwrap();
            let written = std::format!("{}", Date(seconds));
            let digits: std::string::String = written.chars().filter(|c| c.is_ascii_digit()).collect();
            assert_eq!(std::format!("{digits}Z"), text, "{written}");
        }
    }

    fn time(tag: u8, text: &str) -> Result<u64, Malformed> {
        unix_time(Value { tag, content: text.as_bytes(), whole: &[] })
    }

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(time(UTC_TIME, "700101000000Z"), Ok(0));
        assert_eq!(time(UTC_TIME, "000229000000Z"), Ok(951_782_400));
        assert_eq!(time(UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(time(GENERALIZED_TIME, "20500101000000Z"), Ok(2_524_608_000));
        assert_eq!(time(GENERALIZED_TIME, "99991231235959Z"), Ok(253_402_300_799));
        assert_eq!(time(GENERALIZED_TIME, "19690101000000Z"), Ok(0));
        for wrong in ["", "7001010000Z", "700101000000+0100", "701301000000Z", "70010100000aZ"] {
            assert_eq!(time(UTC_TIME, wrong), Err(Malformed), "{wrong}");
        }
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        assert!(Der::new(&[4, 1, 9]).next().is_ok());
        assert!(Der::new(&[4, 0x81, 1, 9]).next().is_err());
        assert!(Der::new(&[4, 0x80, 9, 0, 0]).next().is_err());
        assert!(Der::new(&[4, 0x82, 0, 1, 9]).next().is_err());
        assert!(Der::new(&[0x1f, 1, 9]).next().is_err());
        assert!(Der::new(&[4, 2, 9]).next().is_err());
    }
}
