//! What a payload says of a value before its type is known.

#[cfg(feature = "json")]
use super::number::parse_json_whole;
use super::number::{Whole, narrow, parse_date_time, parse_float, parse_whole, whole_from_float};
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
            ValueType::Integer => Value::Integer(self.whole()?),
            ValueType::UnsignedInteger => Value::UnsignedInteger(self.whole()?),
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
            Self::Number(text) if parse_json_whole::<i64>(text).is_ok() => ValueType::Integer,
            #[cfg(feature = "json")]
            Self::Number(text) if parse_whole::<u64>(text).is_ok() => ValueType::UnsignedInteger,
            #[cfg(feature = "json")]
            Self::Number(_) => ValueType::Float,
            Self::Integer(value) if value.to_i64().is_some() => ValueType::Integer,
            Self::Integer(value) if value.to_u64().is_some() => ValueType::UnsignedInteger,
            Self::Float(_) | Self::Integer(_) => ValueType::Float,
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

    fn whole<W: Whole + FromTlv>(self) -> Result<W, FormatError> {
        match self {
            Self::PlainText(text) => parse_whole(text),
            Self::Tlv(bytes) => W::from_tlv(bytes),
            #[cfg(feature = "json")]
            Self::Number(text) => parse_json_whole(text),
            Self::Integer(value) => narrow(value),
            Self::Float(value) => whole_from_float(value),
            _ => Err(FormatError::PeerSentWrongType { expected: W::TYPE }),
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
            Self::Number(text) => seconds(parse_float(text)?).or_else(|_| parse_json_whole(text)),
            Self::Float(value) => seconds(value),
            _ => self.whole(),
        }
        .map_err(|error| error.expecting(ValueType::Time))
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

impl FormatError {
    /// The same complaint about another type: times are read as integers.
    fn expecting(self, expected: ValueType) -> Self {
        match self {
            Self::PeerSentWrongType { .. } => Self::PeerSentWrongType { expected },
            Self::PeerSentOutOfRange { .. } => Self::PeerSentOutOfRange { expected },
            Self::PeerSentMalformedValue { .. } => Self::PeerSentMalformedValue { expected },
            other => other,
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

/// Numbers of 1, 2, 4 or 8 bytes, big-endian.
pub(crate) trait FromTlv: Sized {
    fn from_tlv(bytes: &[u8]) -> Result<Self, FormatError>;
}

impl FromTlv for i64 {
    fn from_tlv(bytes: &[u8]) -> Result<Self, FormatError> {
        match *bytes {
            [a] => Ok(i8::from_be_bytes([a]).into()),
            [a, b] => Ok(i16::from_be_bytes([a, b]).into()),
            [a, b, c, d] => Ok(i32::from_be_bytes([a, b, c, d]).into()),
            _ => match <[u8; 8]>::try_from(bytes) {
                Ok(bytes) => Ok(i64::from_be_bytes(bytes)),
                Err(_) => Err(FormatError::PeerSentMalformedValue { expected: ValueType::Integer }),
            },
        }
    }
}

impl FromTlv for u64 {
    fn from_tlv(bytes: &[u8]) -> Result<Self, FormatError> {
        match *bytes {
            [a] => Ok(a.into()),
            [a, b] => Ok(u16::from_be_bytes([a, b]).into()),
            [a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d]).into()),
            _ => match <[u8; 8]>::try_from(bytes) {
                Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
                Err(_) => Err(FormatError::PeerSentMalformedValue { expected: ValueType::UnsignedInteger }),
            },
        }
    }
}

fn float_from_tlv(bytes: &[u8]) -> Result<f64, FormatError> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(f32::from_be_bytes(bytes).into());
    }
    let bytes = <[u8; 8]>::try_from(bytes);
    bytes
        .map(f64::from_be_bytes)
        .map_err(|_| FormatError::PeerSentMalformedValue { expected: ValueType::Float })
}
