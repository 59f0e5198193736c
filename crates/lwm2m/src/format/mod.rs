//! Payloads: values and their paths, from and to every content format of LwM2M (Core 1.2, section 7.4).
//!
//! [`decode`] iterates over a payload without copying it, [`Encoder`] writes one into a buffer of the caller. A format
//! says little about types (TLV and plain text nothing at all), so decoding gives a [`RawValue`], which becomes a
//! [`Value`](crate::value::Value) once the object's definition names the type. [`decode_paths`] and [`encode_paths`] are
//! the same for payloads that only name paths. CoRE link lists are in [`crate::link`].
//!
//! ```
//! use buoy_coap::number::ContentFormat;
//! use buoy_lwm2m::format::decode;
//! use buoy_lwm2m::path::Path;
//! use buoy_lwm2m::value::{Value, ValueType};
//!
//! // A device answers a read of /3/0 with two resources in TLV.
//! let payload = [0xc3, 0, b'A', b'c', b'e', 0xc1, 9, 95];
//! let mut items = decode(ContentFormat::TLV, Path::instance(3, 0), &payload)?;
//!
//! let manufacturer = items.next().unwrap()?;
//! assert_eq!(manufacturer.path, Path::resource(3, 0, 0));
//! assert_eq!(manufacturer.value.unwrap().resolve(ValueType::String, &mut [])?, Value::String("Ace"));
//!
//! let battery_level = items.next().unwrap()?;
//! assert_eq!(battery_level.value.unwrap().resolve(ValueType::Integer, &mut [])?, Value::Integer(95));
//! # Ok::<(), buoy_lwm2m::format::FormatError>(())
//! ```

mod base64;
mod cbor;
mod encoder;
mod error;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "lwm2m-cbor")]
mod lwm2m_cbor;
#[cfg(feature = "json")]
mod lwm2m_json;
#[cfg(feature = "alloc")]
mod moments;
mod number;
mod paths;
mod raw;
mod record;
mod senml_cbor;
#[cfg(feature = "json")]
mod senml_json;
mod text;
#[cfg(feature = "tlv")]
mod tlv;

#[cfg(test)]
mod tests;

pub use encoder::Encoder;
pub use error::FormatError;
#[cfg(feature = "alloc")]
pub use moments::{Moment, moments};
pub use paths::{Paths, decode_paths, encode_paths};
pub use raw::{Integer, RawValue};
pub use text::Text;
#[cfg(feature = "tlv")]
pub use tlv::created_instance;

use record::Null;

use crate::path::{Level, Path};
use buoy_coap::number::ContentFormat;

/// What a payload says about one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item<'a> {
    /// Where.
    pub path: Path,
    /// What; `None` if only the path is named: an empty instance, a record or map entry without a value.
    pub value: Option<RawValue<'a>>,
    /// When, if the payload says so.
    pub time: Option<Timestamp>,
}

/// The time of a SenML or LwM2M JSON record, in seconds (RFC 8428, section 4.5.3).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Timestamp(f64);

impl Timestamp {
    /// Below this many seconds a time is relative to now.
    const RELATIVE_BELOW: f64 = 268_435_456.0;

    /// The time as the payload says it, base time included.
    #[must_use]
    pub const fn raw(self) -> f64 {
        self.0
    }

    /// Whether the time counts from now rather than from 1970.
    #[must_use]
    pub const fn is_relative(self) -> bool {
        self.0 < Self::RELATIVE_BELOW
    }

    /// Seconds since 1970-01-01T00:00:00Z, if it is now `now` such seconds.
    #[must_use]
    pub fn resolve(self, now: f64) -> f64 {
        if self.is_relative() { now + self.0 } else { self.0 }
    }
}

/// Whether a payload may be encoded and decoded in `format`; TLV, those in JSON and the CBOR of LwM2M 1.2 are features of the crate.
#[must_use]
pub const fn is_supported(format: ContentFormat) -> bool {
    Kind::of(format).is_some()
}

/// Reads a payload; `base` is the path that the request named, [`Path::ROOT`] for composite operations and Send.
///
/// Plain text, opaque and CBOR hold one value of a resource or resource instance, so `base` must name one.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`], [`FormatError::UnsupportedPath`] if the format can't speak of `base`, and what is
/// seen to be wrong with the payload before its first item; the rest comes from the iterator.
pub fn decode(format: ContentFormat, base: Path, payload: &[u8]) -> Result<Items<'_>, FormatError> {
    let kind = Kind::of(format).ok_or(FormatError::UnsupportedFormat(format))?;
    kind.check(format, base)?;
    // An empty instance has no elements; a resource has its own, even if it has no instances.
    #[cfg(feature = "tlv")]
    if kind == Kind::Tlv && payload.is_empty() && base.level() >= Level::Resource {
        return Err(FormatError::PeerSentTruncated);
    }
    Ok(Items { base, source: Source::open(kind, base, payload)? })
}

/// The items of a payload; nothing follows an error.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    base: Path,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Ended,
    Single(RawValue<'a>),
    #[cfg(feature = "tlv")]
    Tlv(tlv::Reader<'a>),
    #[cfg(feature = "json")]
    Lwm2mJson(lwm2m_json::Reader<'a>),
    #[cfg(feature = "json")]
    SenmlJson(senml_json::Reader<'a>),
    SenmlCbor(senml_cbor::Reader<'a>),
    #[cfg(feature = "lwm2m-cbor")]
    Lwm2mCbor(lwm2m_cbor::Reader<'a>),
}

impl<'a> Source<'a> {
    #[cfg_attr(
        not(any(feature = "tlv", feature = "json")),
        expect(unused_variables, reason = "for formats whose paths are relative")
    )]
    fn open(kind: Kind, base: Path, payload: &'a [u8]) -> Result<Self, FormatError> {
        Ok(match kind {
            Kind::Text => Self::Single(RawValue::PlainText(utf8(payload)?)),
            Kind::Opaque => Self::Single(RawValue::Opaque(payload)),
            Kind::Cbor => Self::Single(cbor::single_value(payload)?),
            #[cfg(feature = "tlv")]
            Kind::Tlv => Self::Tlv(tlv::Reader::new(base, payload)),
            #[cfg(feature = "json")]
            Kind::Lwm2mJson => Self::Lwm2mJson(lwm2m_json::Reader::new(base, utf8(payload)?)?),
            #[cfg(feature = "json")]
            Kind::SenmlJson(null) => Self::SenmlJson(senml_json::Reader::new(utf8(payload)?, null)?),
            Kind::SenmlCbor(null) => Self::SenmlCbor(senml_cbor::Reader::new(payload, null)?),
            #[cfg(feature = "lwm2m-cbor")]
            Kind::Lwm2mCbor => Self::Lwm2mCbor(lwm2m_cbor::Reader::new(payload)?),
        })
    }

    fn next(&mut self, base: Path) -> Result<Option<Item<'a>>, FormatError> {
        match self {
            Self::Ended => Ok(None),
            Self::Single(value) => {
                let item = Item { path: base, value: Some(*value), time: None };
                *self = Self::Ended;
                Ok(Some(item))
            }
            #[cfg(feature = "tlv")]
            Self::Tlv(reader) => reader.next_item(),
            #[cfg(feature = "json")]
            Self::Lwm2mJson(reader) => reader.next_item(),
            #[cfg(feature = "json")]
            Self::SenmlJson(reader) => reader.next_item(),
            Self::SenmlCbor(reader) => reader.next_item(),
            #[cfg(feature = "lwm2m-cbor")]
            Self::Lwm2mCbor(reader) => reader.next_item(),
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.source.next(self.base).and_then(|item| inside(self.base, item)).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.source = Source::Ended;
        }
        next
    }
}

impl core::iter::FusedIterator for Items<'_> {}

fn inside(base: Path, item: Option<Item<'_>>) -> Result<Option<Item<'_>>, FormatError> {
    match item {
        Some(item) if !item.path.starts_with(base) => Err(FormatError::PeerSentPathOutsideBase),
        item => Ok(item),
    }
}

fn utf8(payload: &[u8]) -> Result<&str, FormatError> {
    core::str::from_utf8(payload).map_err(|_| FormatError::PeerSentNotUtf8)
}

/// The formats by how they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Opaque,
    Cbor,
    #[cfg(feature = "tlv")]
    Tlv,
    #[cfg(feature = "json")]
    Lwm2mJson,
    #[cfg(feature = "json")]
    SenmlJson(Null),
    SenmlCbor(Null),
    #[cfg(feature = "lwm2m-cbor")]
    Lwm2mCbor,
}

impl Kind {
    const fn of(format: ContentFormat) -> Option<Self> {
        Some(match format {
            ContentFormat::TEXT => Self::Text,
            ContentFormat::OCTET_STREAM => Self::Opaque,
            ContentFormat::CBOR => Self::Cbor,
            #[cfg(feature = "tlv")]
            ContentFormat::TLV => Self::Tlv,
            #[cfg(feature = "json")]
            ContentFormat::LWM2M_JSON => Self::Lwm2mJson,
            #[cfg(feature = "json")]
            ContentFormat::SENML_JSON => Self::SenmlJson(Null::Refused),
            #[cfg(feature = "json")]
            ContentFormat::SENML_ETCH_JSON => Self::SenmlJson(Null::Removes),
            ContentFormat::SENML_CBOR => Self::SenmlCbor(Null::Refused),
            ContentFormat::SENML_ETCH_CBOR => Self::SenmlCbor(Null::Removes),
            #[cfg(feature = "lwm2m-cbor")]
            ContentFormat::LWM2M_CBOR => Self::Lwm2mCbor,
            _ => return None,
        })
    }

    /// Whether the format can speak of `base`.
    fn check(self, format: ContentFormat, base: Path) -> Result<(), FormatError> {
        let reaches = match self {
            Self::Text | Self::Opaque | Self::Cbor => base.level() >= Level::Resource,
            #[cfg(feature = "tlv")]
            Self::Tlv => base.level() >= Level::Object,
            _ => true,
        };
        if reaches { Ok(()) } else { Err(FormatError::UnsupportedPath { level: base.level(), format }) }
    }
}
