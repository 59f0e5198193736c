//! CBOR (RFC 8949), element by element, without building anything; and the format of one value (Core 1.1, section 7.4.6).

use super::number::{HALF, SINGLE, decimal_fraction, narrow, widen};
use super::text::Text;
use super::{FormatError, Integer, RawValue};
use crate::output::Output;
use crate::value::Value;

/// Values that are skipped may be nested so deep, and no deeper.
const MAX_DEPTH: usize = 8;
/// Tags in front of one value.
const MAX_TAGS: usize = 4;

const TAG_EPOCH_TIME: u64 = 1;
const TAG_DECIMAL_FRACTION: u64 = 4;

/// What is left of a CBOR payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cbor<'a> {
    rest: &'a [u8],
}

/// How many members an array or a map has; `None` if a break ends it.
pub(crate) type Count = Option<u64>;

/// An element; arrays and maps are only their heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element<'a> {
    Integer(Integer),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Count),
    Map(Count),
    Tag(u64),
    Boolean(bool),
    Float(f64),
    Null,
    Undefined,
    Break,
}

impl<'a> Cbor<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormatError::PeerSentTrailingBytes) }
    }

    pub(crate) fn element(&mut self) -> Result<Element<'a>, FormatError> {
        let [head] = self.take()?;
        let argument = self.argument(head & 31)?;
        let required = argument.ok_or(FormatError::PeerSentBadCbor);
        Ok(match head >> 5 {
            0 => Element::Integer(Integer::Unsigned(required?)),
            1 => Element::Integer(Integer::Negative(required?)),
            2 => Element::Bytes(self.string(argument)?),
            3 => Element::Text(super::utf8(self.string(argument)?)?),
            4 => Element::Array(argument),
            5 => Element::Map(argument),
            6 => Element::Tag(required?),
            _ => simple(head & 31, argument.unwrap_or(0))?,
        })
    }

    fn argument(&mut self, info: u8) -> Result<Option<u64>, FormatError> {
        Ok(Some(match info {
            0..=23 => info.into(),
            24 => u8::from_be_bytes(self.take()?).into(),
            25 => u16::from_be_bytes(self.take()?).into(),
            26 => u32::from_be_bytes(self.take()?).into(),
            27 => u64::from_be_bytes(self.take()?),
            31 => return Ok(None),
            _ => return Err(FormatError::PeerSentBadCbor),
        }))
    }

    fn string(&mut self, length: Option<u64>) -> Result<&'a [u8], FormatError> {
        let length = length.ok_or(FormatError::PeerSentIndefiniteString)?;
        let length = usize::try_from(length).map_err(|_| FormatError::PeerSentTruncated)?;
        let (string, behind) = self.rest.split_at_checked(length).ok_or(FormatError::PeerSentTruncated)?;
        self.rest = behind;
        Ok(string)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (taken, behind) = self.rest.split_first_chunk::<N>().ok_or(FormatError::PeerSentTruncated)?;
        self.rest = behind;
        Ok(*taken)
    }

    /// Whether an array or map has another member, of which `left` counts those not yet read.
    pub(crate) fn next_member(&mut self, left: &mut Count) -> Result<bool, FormatError> {
        const BREAK: u8 = 0xff;
        match left {
            Some(0) => Ok(false),
            Some(count) => {
                *count = count.saturating_sub(1);
                Ok(true)
            }
            None if self.rest.first() == Some(&BREAK) => {
                self.take::<1>()?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// A value that is neither array nor map; `None` for null.
    pub(crate) fn scalar(&mut self) -> Result<Option<RawValue<'a>>, FormatError> {
        let mut tag = None;
        for _ in 0..=MAX_TAGS {
            match self.element()? {
                Element::Tag(number) => tag = Some(number),
                Element::Null | Element::Undefined => return Ok(None),
                Element::Array(count) if tag == Some(TAG_DECIMAL_FRACTION) => {
                    return self.decimal_fraction(count).map(Some);
                }
                element => return typed(element, tag).map(Some),
            }
        }
        Err(FormatError::PeerSentTooDeep)
    }

    fn decimal_fraction(&mut self, mut count: Count) -> Result<RawValue<'a>, FormatError> {
        let mut numbers = [Integer::Unsigned(0); 2];
        for number in &mut numbers {
            if !self.next_member(&mut count)? {
                return Err(FormatError::PeerSentBadCbor);
            }
            let Element::Integer(value) = self.element()? else {
                return Err(FormatError::PeerSentBadCbor);
            };
            *number = value;
        }
        if self.next_member(&mut count)? {
            return Err(FormatError::PeerSentBadCbor);
        }
        let [exponent, mantissa] = numbers;
        decimal_fraction(mantissa, exponent).map(RawValue::Float)
    }

    /// A text that must come next.
    pub(crate) fn text(&mut self) -> Result<Text<'a>, FormatError> {
        match self.element()? {
            Element::Text(text) => Ok(Text::plain(text)),
            _ => Err(FormatError::PeerSentBadCbor),
        }
    }

    /// A number that must come next.
    pub(crate) fn number(&mut self) -> Result<f64, FormatError> {
        match self.scalar()? {
            Some(RawValue::Integer(value)) => Ok(value.to_f64()),
            Some(RawValue::EpochTime(value)) => Ok(value as f64),
            Some(RawValue::Float(value)) if value.is_finite() => Ok(value),
            _ => Err(FormatError::PeerSentBadCbor),
        }
    }

    /// Steps over any value, however it is made.
    pub(crate) fn skip_value(&mut self) -> Result<(), FormatError> {
        let mut open: [Count; MAX_DEPTH] = [None; MAX_DEPTH];
        let mut depth = 0_usize;
        loop {
            let members = match self.element()? {
                Element::Array(count) => Some(count),
                Element::Map(count) => Some(count.map(|pairs| pairs.saturating_mul(2))),
                Element::Tag(_) => Some(Some(1)),
                Element::Break => return Err(FormatError::PeerSentBadCbor),
                _ => None,
            };
            if let Some(members) = members {
                *open.get_mut(depth).ok_or(FormatError::PeerSentTooDeep)? = members;
                depth = depth.saturating_add(1);
            }
            while let Some(left) = depth.checked_sub(1).and_then(|index| open.get_mut(index)) {
                if self.next_member(left)? {
                    break;
                }
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn simple(info: u8, argument: u64) -> Result<Element<'static>, FormatError> {
    Ok(match info {
        20 => Element::Boolean(false),
        21 => Element::Boolean(true),
        22 => Element::Null,
        23 => Element::Undefined,
        25 => Element::Float(widen(argument as u32, HALF)),
        26 => Element::Float(widen(argument as u32, SINGLE)),
        27 => Element::Float(f64::from_bits(argument)),
        31 => Element::Break,
        _ => return Err(FormatError::PeerSentBadCbor),
    })
}

fn typed(element: Element<'_>, tag: Option<u64>) -> Result<RawValue<'_>, FormatError> {
    Ok(match (element, tag) {
        // A date (tag 0) stays a text: whoever knows that the resource is a time reads it.
        (Element::Text(text), _) => RawValue::String(Text::plain(text)),
        (Element::Integer(value), Some(TAG_EPOCH_TIME)) => {
            RawValue::EpochTime(value.to_i64().ok_or(FormatError::PeerSentBadCbor)?)
        }
        (Element::Float(value), Some(TAG_EPOCH_TIME)) if value.abs() < 9e15 => {
            RawValue::EpochTime(value as i64)
        }
        (Element::Integer(value), _) => RawValue::Integer(value),
        (Element::Float(value), _) => RawValue::Float(value),
        (Element::Bytes(bytes), _) => RawValue::Opaque(bytes),
        (Element::Boolean(flag), _) => RawValue::Boolean(flag),
        _ => return Err(FormatError::PeerSentBadCbor),
    })
}

/// Reads a payload of the format that holds one value.
pub(crate) fn single_value(payload: &[u8]) -> Result<RawValue<'_>, FormatError> {
    let mut cbor = Cbor::new(payload);
    let value = cbor.scalar()?.ok_or(FormatError::PeerSentBadCbor)?;
    cbor.end()?;
    Ok(value)
}

/// The major types of RFC 8949, section 3.1, as far as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Major {
    Unsigned = 0,
    Negative = 1,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Tag = 6,
}

/// Puts the head of an element in at `at`.
pub(crate) fn insert_head(
    major: Major,
    argument: u64,
    at: usize,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    let mut buffer = [0; 9];
    let mut head = Output::new(&mut buffer);
    let major = (major as u8) << 5;
    if let Ok(short) = u8::try_from(argument) {
        match short {
            0..=23 => head.byte(major | short)?,
            _ => head.bytes(&[major | 24, short])?,
        }
    } else if let Ok(short) = u16::try_from(argument) {
        head.byte(major | 25)?;
        head.bytes(&short.to_be_bytes())?;
    } else if let Ok(short) = u32::try_from(argument) {
        head.byte(major | 26)?;
        head.bytes(&short.to_be_bytes())?;
    } else {
        head.byte(major | 27)?;
        head.bytes(&argument.to_be_bytes())?;
    }
    Ok(output.insert(at, head.into_written())?)
}

pub(crate) fn write_head(major: Major, argument: u64, output: &mut Output<'_>) -> Result<(), FormatError> {
    insert_head(major, argument, output.len(), output)
}

pub(crate) fn write_integer(value: i64, output: &mut Output<'_>) -> Result<(), FormatError> {
    match u64::try_from(value) {
        Ok(value) => write_head(Major::Unsigned, value, output),
        Err(_) => write_head(Major::Negative, value.unsigned_abs().saturating_sub(1), output),
    }
}

/// Four bytes if nothing is lost, else eight.
pub(crate) fn write_float(value: f64, output: &mut Output<'_>) -> Result<(), FormatError> {
    match narrow(value) {
        Some(short) => {
            output.byte(0xfa)?;
            output.bytes(&short.to_be_bytes())?;
        }
        None => {
            output.byte(0xfb)?;
            output.bytes(&value.to_be_bytes())?;
        }
    }
    Ok(())
}

pub(crate) fn write_text(text: &str, output: &mut Output<'_>) -> Result<(), FormatError> {
    write_head(Major::Text, text.len() as u64, output)?;
    Ok(output.bytes(text.as_bytes())?)
}

#[cfg(feature = "lwm2m-cbor")]
pub(crate) fn write_null(output: &mut Output<'_>) -> Result<(), FormatError> {
    Ok(output.byte(0xf6)?)
}

/// Whether a time is written with CBOR's tag for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeTag {
    Written,
    LeftOut,
}

pub(crate) fn write_value(
    value: &Value<'_>,
    time_tag: TimeTag,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    match *value {
        Value::String(text) | Value::CoreLink(text) => write_text(text, output),
        Value::Integer(number) => write_integer(number, output),
        Value::UnsignedInteger(number) => write_head(Major::Unsigned, number, output),
        Value::Float(number) => write_float(number, output),
        Value::Boolean(flag) => Ok(output.byte(if flag { 0xf5 } else { 0xf4 })?),
        Value::Opaque(bytes) => {
            write_head(Major::Bytes, bytes.len() as u64, output)?;
            Ok(output.bytes(bytes)?)
        }
        Value::Time(seconds) => {
            if time_tag == TimeTag::Written {
                write_head(Major::Tag, TAG_EPOCH_TIME, output)?;
            }
            write_integer(seconds, output)
        }
        Value::ObjectLink(link) => {
            let start = output.len();
            link.write(output)?;
            let length = output.len().saturating_sub(start);
            insert_head(Major::Text, length as u64, start, output)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scalar(bytes: &[u8]) -> Result<Option<RawValue<'_>>, FormatError> {
        Cbor::new(bytes).scalar()
    }

    #[test]
    fn the_examples_of_rfc_8949_are_read() {
        assert_eq!(scalar(&[0x18, 0x64]), Ok(Some(RawValue::Integer(Integer::Unsigned(100)))));
        assert_eq!(scalar(&[0x38, 0x63]), Ok(Some(RawValue::Integer(Integer::Negative(99)))));
        assert_eq!(
            scalar(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]),
            Ok(Some(RawValue::Integer(Integer::Negative(u64::MAX))))
        );
        assert_eq!(scalar(&[0xf9, 0x3c, 0x00]), Ok(Some(RawValue::Float(1.0))));
        assert_eq!(scalar(&[0xf9, 0x7b, 0xff]), Ok(Some(RawValue::Float(65504.0))));
        assert_eq!(scalar(&[0xf9, 0x00, 0x01]), Ok(Some(RawValue::Float(5.960464477539063e-8))));
        assert_eq!(scalar(&[0xf9, 0xc4, 0x00]), Ok(Some(RawValue::Float(-4.0))));
        assert_eq!(scalar(&[0xfa, 0x47, 0xc3, 0x50, 0x00]), Ok(Some(RawValue::Float(100_000.0))));
        assert_eq!(scalar(&[0xf5]), Ok(Some(RawValue::Boolean(true))));
        assert_eq!(scalar(&[0xf6]), Ok(None));
        assert_eq!(
            scalar(&[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0]),
            Ok(Some(RawValue::EpochTime(1_363_896_240)))
        );
        assert_eq!(scalar(&[0xc4, 0x82, 0x21, 0x19, 0x6a, 0xb3]), Ok(Some(RawValue::Float(273.15))));
    }

    #[test]
    fn strings_in_chunks_are_refused_by_name() {
        assert_eq!(scalar(&[0x7f, 0x61, b'a', 0xff]), Err(FormatError::PeerSentIndefiniteString));
        assert_eq!(scalar(&[0x5f, 0xff]), Err(FormatError::PeerSentIndefiniteString));
    }

    #[test]
    fn what_is_no_single_value_is_refused() {
        for bytes in
            [&[0x80][..], &[0xa0], &[0xff], &[0x1c], &[0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0x00], &[0xf8, 0x18]]
        {
            assert!(scalar(bytes).is_err(), "{bytes:x?}");
        }
        assert_eq!(scalar(&[0x61]), Err(FormatError::PeerSentTruncated));
        assert_eq!(scalar(&[0x61, 0xff]), Err(FormatError::PeerSentNotUtf8));
        assert_eq!(
            scalar(&[0x7b, 255, 255, 255, 255, 255, 255, 255, 255]),
            Err(FormatError::PeerSentTruncated)
        );
        assert_eq!(single_value(&[0x00, 0x00]), Err(FormatError::PeerSentTrailingBytes));
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs_anything() {
        assert_eq!(Cbor::new(&[0x81; 10_000]).skip_value(), Err(FormatError::PeerSentTooDeep));
        assert_eq!(Cbor::new(&[0x9f; 10_000]).skip_value(), Err(FormatError::PeerSentTooDeep));
        let mut nested = Cbor::new(&[0x82, 0xa1, 0x01, 0x9f, 0xff, 0xbf, 0x01, 0x02, 0xff]);
        assert_eq!(nested.skip_value(), Ok(()));
        assert_eq!(nested.end(), Ok(()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = scalar(&bytes);
            let _ = Cbor::new(&bytes).skip_value();
        }
    }
}
