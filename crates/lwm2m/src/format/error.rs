//! What can be wrong with a payload, or with what is to become one.

use crate::output::Full;
use crate::path::Level;
use crate::value::ValueType;
use buoy_coap::number::ContentFormat;
use core::fmt;

/// Why a payload can't be read or written. `PeerSent…` blames the payload, the rest the caller.
///
/// Two words at most, which a chip returns in registers: it names no paths, which the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The payload ends in the middle of an element.
    PeerSentTruncated,
    /// Bytes stand behind the end of the payload's last element.
    PeerSentTrailingBytes,
    /// Elements are nested deeper than the format has use for.
    PeerSentTooDeep,
    /// The text is not JSON; `offset` counts bytes.
    PeerSentBadJson {
        /// Where the first wrong byte stands.
        offset: usize,
    },
    /// A CBOR head, key or tag that has no place here.
    PeerSentBadCbor,
    /// A byte or text string in CBOR chunks, which no LwM2M format needs.
    PeerSentIndefiniteString,
    /// A TLV element where its kind can't stand, as a resource inside a resource.
    PeerSentMisplacedTlv,
    /// A name, or a name behind its base name, that is no path.
    PeerSentBadPath,
    /// An id that is no number in 0..=65534.
    PeerSentBadId,
    /// An item lies outside of what the request is about.
    PeerSentPathOutsideBase,
    /// The value of a record is null, which only a patch may say (RFC 8790).
    PeerSentNull,
    /// A record has several values, or the same field twice.
    PeerSentSeveralValues,
    /// A record demands an extension that is unknown here (RFC 8428, section 4.4), or a later SenML version.
    PeerSentUnknownExtension,
    /// A text is not UTF-8.
    PeerSentNotUtf8,
    /// A value can't be of the type that its resource has.
    PeerSentWrongType {
        /// The resource's type.
        expected: ValueType,
    },
    /// A number is too large, too small or not whole.
    PeerSentOutOfRange {
        /// The resource's type.
        expected: ValueType,
    },
    /// A text isn't written as its type demands.
    PeerSentMalformedValue {
        /// The resource's type.
        expected: ValueType,
    },
    /// The content format is not known, or not one that holds values.
    UnsupportedFormat(ContentFormat),
    /// The content format can't speak of this path.
    UnsupportedPath {
        /// How deep the path reaches.
        level: Level,
        /// The format.
        format: ContentFormat,
    },
    /// The content format can't hold values of this type.
    UnsupportedValue {
        /// The format.
        format: ContentFormat,
        /// The value's type.
        value_type: ValueType,
    },
    /// The content format has no place for a time.
    UnsupportedTime,
    /// The text formats have no way to write infinities and NaN.
    NotFinite,
    /// Items have to come in document order, each once, and none below a path that has a value.
    OutOfOrder,
    /// A format of one value got none, or a second one.
    NotOneValue,
    /// The buffer, or the scratch, of the caller is too small.
    BufferTooSmall,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerSentTruncated => f.write_str("the payload ends in the middle of an element"),
            Self::PeerSentTrailingBytes => f.write_str("bytes stand behind the end of the payload"),
            Self::PeerSentTooDeep => f.write_str("the payload is nested too deeply"),
            Self::PeerSentBadJson { offset } => write!(f, "the payload is not JSON (byte {offset})"),
            Self::PeerSentBadCbor => f.write_str("the payload is not the CBOR that its format asks for"),
            Self::PeerSentIndefiniteString => f.write_str("strings in CBOR chunks are not accepted"),
            Self::PeerSentMisplacedTlv => f.write_str("a TLV element stands where its kind has no place"),
            Self::PeerSentBadPath => f.write_str("a record's name is no path such as /3/0/9"),
            Self::PeerSentBadId => f.write_str("an id is not a number from 0 to 65534"),
            Self::PeerSentPathOutsideBase => {
                f.write_str("an item lies outside of the path that was asked for")
            }
            Self::PeerSentNull => f.write_str("a record's value is null, which only a patch may say"),
            Self::PeerSentSeveralValues => f.write_str("a record has more than one value, or a field twice"),
            Self::PeerSentUnknownExtension => {
                f.write_str("a record demands an extension that is not known here")
            }
            Self::PeerSentNotUtf8 => f.write_str("a text is not UTF-8"),
            Self::PeerSentWrongType { expected } => write!(f, "a value can't be of type {expected}"),
            Self::PeerSentOutOfRange { expected } => {
                write!(f, "a number is out of the range of type {expected}")
            }
            Self::PeerSentMalformedValue { expected } => {
                write!(f, "a text is not written as type {expected} asks")
            }
            Self::UnsupportedFormat(format) => write!(f, "content format {} is not supported", format.0),
            Self::UnsupportedPath { level, format } => {
                write!(f, "content format {} can't be used at this path ({level})", format.0)
            }
            Self::UnsupportedValue { format, value_type } => {
                write!(f, "content format {} can't hold a value of type {value_type}", format.0)
            }
            Self::UnsupportedTime => f.write_str("the content format has no place for a time"),
            Self::NotFinite => f.write_str("the content format can't hold an infinity or NaN"),
            Self::OutOfOrder => f.write_str("items have to be written in document order, each once"),
            Self::NotOneValue => f.write_str("the content format holds exactly one value"),
            Self::BufferTooSmall => f.write_str("the buffer is too small"),
        }
    }
}

impl core::error::Error for FormatError {}

impl From<Full> for FormatError {
    fn from(_: Full) -> Self {
        Self::BufferTooSmall
    }
}

/// Only a full buffer makes formatting fail here.
impl From<fmt::Error> for FormatError {
    fn from(_: fmt::Error) -> Self {
        Self::BufferTooSmall
    }
}
