//! What can be wrong with a request.

use super::list::ListFull;
use crate::attributes::AttributeError;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use core::fmt;

/// Why a request is refused before anyone looks at the data model; [`BadRequest::code`] is what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRequest {
    /// Nothing lives at such a path.
    NotFound,
    /// The method does nothing at this path, or at this level of it.
    MethodNotAllowed,
    /// A critical option that is not understood.
    UnsupportedOption(OptionNumber),
    /// An option's value is longer than its number allows.
    PeerSentBadOption(OptionNumber),
    /// More path segments or queries than any request has.
    PeerSentTooManyOptions,
    /// A path segment, a query or the arguments of Execute are not UTF-8.
    PeerSentNotUtf8,
    /// A query without which the operation can't be done.
    PeerSentNoParameter(&'static str),
    /// A query whose value makes no sense.
    PeerSentBadParameter(&'static str),
    /// The same query twice.
    PeerSentTwice(&'static str),
    /// A version of LwM2M that is not spoken here.
    UnsupportedVersion,
    /// A payload that doesn't say its format.
    PeerSentNoContentFormat,
    /// A payload in a format that the operation can't take.
    UnsupportedContentFormat(ContentFormat),
    /// An attribute that can't be written so.
    Attribute(AttributeError),
}

impl BadRequest {
    /// The response code that the specification asks for.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::NotFound => Code::NOT_FOUND,
            Self::MethodNotAllowed => Code::METHOD_NOT_ALLOWED,
            Self::UnsupportedOption(_) | Self::PeerSentBadOption(_) => Code::BAD_OPTION,
            Self::UnsupportedVersion => Code::PRECONDITION_FAILED,
            Self::UnsupportedContentFormat(_) => Code::UNSUPPORTED_CONTENT_FORMAT,
            Self::PeerSentTooManyOptions
            | Self::PeerSentNotUtf8
            | Self::PeerSentNoParameter(_)
            | Self::PeerSentBadParameter(_)
            | Self::PeerSentTwice(_)
            | Self::PeerSentNoContentFormat
            | Self::Attribute(_) => Code::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("nothing lives at this path"),
            Self::MethodNotAllowed => f.write_str("the method does nothing at this path"),
            Self::UnsupportedOption(number) => write!(f, "option {} is not understood", number.0),
            Self::PeerSentBadOption(number) => write!(f, "option {} has a bad value", number.0),
            Self::PeerSentTooManyOptions => f.write_str("too many path segments or queries"),
            Self::PeerSentNotUtf8 => f.write_str("a text is not UTF-8"),
            Self::PeerSentNoParameter(name) => write!(f, "the query {name} is missing"),
            Self::PeerSentBadParameter(name) => write!(f, "the query {name} has a bad value"),
            Self::PeerSentTwice(name) => write!(f, "the query {name} is there twice"),
            Self::UnsupportedVersion => f.write_str("this version of LwM2M is not spoken here"),
            Self::PeerSentNoContentFormat => f.write_str("the payload doesn't say its content format"),
            Self::UnsupportedContentFormat(format) => {
                write!(f, "content format {} can't be used for this", format.0)
            }
            Self::Attribute(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BadRequest {}

impl From<AttributeError> for BadRequest {
    fn from(error: AttributeError) -> Self {
        Self::Attribute(error)
    }
}

impl From<ListFull> for BadRequest {
    fn from(_: ListFull) -> Self {
        Self::PeerSentTooManyOptions
    }
}
