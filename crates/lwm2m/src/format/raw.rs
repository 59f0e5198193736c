//! What a payload says of a value before its type is known.

#[cfg(feature = "json")]
use super::number::parse_json_whole;
use super::number::{SINGLE, parse_date_time, parse_float, parse_whole, whole_from_float, widen};
use super::text::Text;
use super::{FormatError, base64};
use crate::value::{ObjectLink, Value, ValueType};

/// A value as the wire said it: typed as far as its format types values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RawValue<'a> {
    /// A payload in plain text, which may stand for any type.
    PlainText(&'a str),
    /// The value of a TLV, which may stand for any type.
    Tlv(&'a [u8]),
    /// Bytes and nothing else.
    Opaque(&'a [u8]),
    /// Bytes in Base64.
    Base64(Text<'a>),
    /// A text; LwM2M JSON puts Base64 into one, CBOR a date.
    String(Text<'a>),
    /// A number of JSON.
    #[cfg(feature = "json")]
    Number(&'a str),
    /// A whole number of CBOR.
    Integer(Integer),
    /// A floating-point number of CBOR.
    Float(f64),
    /// Seconds since 1970 with CBOR's tag for it.
    EpochTime(i64),
    /// True or false.
    Boolean(bool),
    /// An object link such as `3:0`.
    ObjectLink(Text<'a>),
}

/// A whole number as CBOR has them (RFC 8949, section 3.1): a little more of them than an `i64` or a `u64` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// The number.
    Unsigned(u64),
    /// How far the number is below -1.
    Negative(u64),
}

impl Integer {
    /// The number with this sign in front of so much.
    pub(crate) const fn signed(negative: bool, magnitude: u64) -> Self {
        match magnitude.checked_sub(1) {
            Some(below) if negative => Self::Negative(below),
            _ => Self::Unsigned(magnitude),
        }
    }

    /// The number, if it is one of these.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Negative(below) => i64::try_from(below).ok().map(|below| !below),
        }
    }

    /// The number, if it is one of these.
    #[must_use]
    pub const fn to_u64(self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(number),
            Self::Negative(_) => None,
        }
    }

    /// The likeliest type.
    fn guess(self) -> ValueType {
        match (self.to_i64(), self.to_u64()) {
            (Some(_), _) => ValueType::Integer,
            (None, Some(_)) => ValueType::UnsignedInteger,
            (None, None) => ValueType::Float,
        }
    }

    /// The floating-point number that is nearest.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Unsigned(number) => number as f64,
            Self::Negative(below) => {
                below.checked_add(1).map_or(-18_446_744_073_709_551_616.0, |number| -(number as f64))
            }
        }
    }
}

impl<'a> RawValue<'a> {
    /// The value as `value_type`. `scratch` takes what can't be borrowed: texts with escapes, and Base64.
    ///
    /// # Errors
    /// `PeerSent…` if the value can't be of that type; [`FormatError::BufferTooSmall`] if `scratch` holds less than
    /// [`RawValue::scratch_len`].
    pub fn resolve<'s>(self, value_type: ValueType, scratch: &'s mut [u8]) -> Result<Value<'s>, FormatError>
    where
        'a: 's,
    {
        Ok(match value_type {
            ValueType::String => Value::String(self.text(value_type, scratch)?),
            ValueType::CoreLink => Value::CoreLink(self.text(value_type, scratch)?),
            ValueType::Integer => Value::Integer(self.signed(value_type)?),
            ValueType::UnsignedInteger => {
                let number = self.whole(value_type)?.to_u64();
                Value::UnsignedInteger(
                    number.ok_or(FormatError::PeerSentOutOfRange { expected: value_type })?,
                )
            }
            ValueType::Float => Value::Float(self.float()?),
            ValueType::Boolean => Value::Boolean(self.boolean()?),
            ValueType::Opaque => Value::Opaque(self.opaque(scratch)?),
            ValueType::Time => Value::Time(self.time()?),
            ValueType::ObjectLink => Value::ObjectLink(self.object_link()?),
        })
    }

    /// The value as [`RawValue::guess`] would type it.
    ///
    /// # Errors
    /// As [`RawValue::resolve`].
    pub fn resolve_guessing<'s>(self, scratch: &'s mut [u8]) -> Result<Value<'s>, FormatError>
    where
        'a: 's,
    {
        self.resolve(self.guess(), scratch)
    }

    /// The likeliest type, for a resource that no definition describes.
    ///
    /// TLV says nothing of types, so its values stay bytes.
    #[must_use]
    pub fn guess(&self) -> ValueType {
        match self {
            Self::PlainText(_) | Self::String(_) => ValueType::String,
            Self::Tlv(_) | Self::Opaque(_) | Self::Base64(_) => ValueType::Opaque,
            #[cfg(feature = "json")]
            Self::Number(text) => match parse_json_whole(text, ValueType::Integer) {
                Ok(number) if number.to_i64().is_none() && text.contains(['.', 'e', 'E']) => ValueType::Float,
                Ok(number) => number.guess(),
                Err(_) => ValueType::Float,
            },
            Self::Integer(number) => number.guess(),
            Self::Float(_) => ValueType::Float,
            Self::EpochTime(_) => ValueType::Time,
            Self::Boolean(_) => ValueType::Boolean,
            Self::ObjectLink(_) => ValueType::ObjectLink,
        }
    }

    /// A scratch of so many bytes always suffices.
    #[must_use]
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::PlainText(text) => text.len(),
            Self::Base64(text) | Self::String(text) => text.max_len(),
            _ => 0,
        }
    }

    fn text<'s>(self, expected: ValueType, scratch: &'s mut [u8]) -> Result<&'s str, FormatError>
    where
        'a: 's,
    {
        match self {
            Self::PlainText(text) => Ok(text),
            Self::Tlv(bytes) => super::utf8(bytes),
            Self::String(text) => text.read(scratch),
            _ => Err(FormatError::PeerSentWrongType { expected }),
        }
    }

    fn opaque<'s>(self, scratch: &'s mut [u8]) -> Result<&'s [u8], FormatError>
    where
        'a: 's,
    {
        match self {
            Self::Opaque(bytes) | Self::Tlv(bytes) => Ok(bytes),
            Self::PlainText(text) => base64::decode(text.chars(), scratch),
            Self::Base64(text) | Self::String(text) => base64::decode(text.chars(), scratch),
            _ => Err(FormatError::PeerSentWrongType { expected: ValueType::Opaque }),
        }
    }

    fn signed(self, expected: ValueType) -> Result<i64, FormatError> {
        self.whole(expected)?.to_i64().ok_or(FormatError::PeerSentOutOfRange { expected })
    }

    fn whole(self, expected: ValueType) -> Result<Integer, FormatError> {
        match self {
            Self::PlainText(text) => parse_whole(text, expected),
            Self::Tlv(bytes) => {
                integer_from_tlv(bytes, expected).ok_or(FormatError::PeerSentMalformedValue { expected })
            }
            #[cfg(feature = "json")]
            Self::Number(text) => parse_json_whole(text, expected),
            Self::Integer(value) => Ok(value),
            Self::Float(value) => whole_from_float(value, expected),
            _ => Err(FormatError::PeerSentWrongType { expected }),
        }
    }

    fn float(self) -> Result<f64, FormatError> {
        match self {
            Self::PlainText(text) => parse_float(text),
            #[cfg(feature = "json")]
            Self::Number(text) => parse_float(text),
            Self::Tlv(bytes) => float_from_tlv(bytes),
            Self::Integer(value) => Ok(value.to_f64()),
            Self::Float(value) => Ok(value),
            _ => Err(FormatError::PeerSentWrongType { expected: ValueType::Float }),
        }
    }

    fn boolean(self) -> Result<bool, FormatError> {
        const EXPECTED: ValueType = ValueType::Boolean;
        match self {
            Self::Boolean(value) => Ok(value),
            Self::PlainText("0") | Self::Tlv([0]) => Ok(false),
            Self::PlainText("1") | Self::Tlv([1]) => Ok(true),
            Self::PlainText(_) | Self::Tlv(_) => {
                Err(FormatError::PeerSentMalformedValue { expected: EXPECTED })
            }
            _ => Err(FormatError::PeerSentWrongType { expected: EXPECTED }),
        }
    }

    fn time(self) -> Result<i64, FormatError> {
        const MALFORMED: FormatError = FormatError::PeerSentMalformedValue { expected: ValueType::Time };
        match self {
            Self::EpochTime(seconds) => Ok(seconds),
            Self::String(text) => {
                parse_date_time(text.read(&mut [0; 64]).map_err(|_| MALFORMED)?).ok_or(MALFORMED)
            }
            #[cfg(feature = "json")]
            Self::Number(text) => match parse_float(text).map(seconds) {
                Ok(Ok(seconds)) => Ok(seconds),
                Ok(Err(_)) => self.signed(ValueType::Time),
                Err(_) => Err(FormatError::PeerSentOutOfRange { expected: ValueType::Time }),
            },
            Self::Float(value) => seconds(value),
            _ => self.signed(ValueType::Time),
        }
    }

    fn object_link(self) -> Result<ObjectLink, FormatError> {
        const EXPECTED: ValueType = ValueType::ObjectLink;
        const MALFORMED: FormatError = FormatError::PeerSentMalformedValue { expected: EXPECTED };
        match self {
            Self::PlainText(text) => text.parse().map_err(|_| MALFORMED),
            Self::ObjectLink(text) | Self::String(text) => {
                text.read(&mut [0; 16]).map_err(|_| MALFORMED)?.parse().map_err(|_| MALFORMED)
            }
            Self::Tlv(bytes) => bytes.try_into().map(ObjectLink::from_bytes).map_err(|_| MALFORMED),
            _ => Err(FormatError::PeerSentWrongType { expected: EXPECTED }),
        }
    }
}

/// Whole seconds; fractions are dropped, because LwM2M's times have none.
fn seconds(value: f64) -> Result<i64, FormatError> {
    if value.abs() < 9e15 {
        Ok(value as i64)
    } else {
        Err(FormatError::PeerSentOutOfRange { expected: ValueType::Time })
    }
}

/// A number of 1, 2, 4 or 8 bytes, big-endian; all but unsigned ones have a sign.
fn integer_from_tlv(bytes: &[u8], expected: ValueType) -> Option<Integer> {
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let is_negative = expected != ValueType::UnsignedInteger && bytes.first()? & 0x80 != 0;
    let start = if is_negative { u64::MAX } else { 0 };
    let number = bytes.iter().fold(start, |number, byte| number << 8 | u64::from(*byte));
    Some(if is_negative { Integer::Negative(!number) } else { Integer::Unsigned(number) })
}

fn float_from_tlv(bytes: &[u8]) -> Result<f64, FormatError> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(widen(u32::from_be_bytes(bytes), SINGLE));
    }
    let bytes = <[u8; 8]>::try_from(bytes);
    bytes
        .map(f64::from_be_bytes)
        .map_err(|_| FormatError::PeerSentMalformedValue { expected: ValueType::Float })
}
