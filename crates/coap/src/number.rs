//! The numbers of the CoAP registries: method and response codes, option numbers, Content-Formats.
//!
//! RFC 7252 section 12, with the additions of RFC 7641, 7959, 7967, 8132, 8323, 8516, 8613, 8768, 9175 and 9668, and the Content-Formats
//! that LwM2M registered.

use core::fmt;

/// A request method, a response code or the empty code: three bits of class and five of detail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// 0.00: an empty message.
    pub const EMPTY: Self = Self::new(0, 0);
    /// 0.01
    pub const GET: Self = Self::new(0, 1);
    /// 0.02
    pub const POST: Self = Self::new(0, 2);
    /// 0.03
    pub const PUT: Self = Self::new(0, 3);
    /// 0.04
    pub const DELETE: Self = Self::new(0, 4);
    /// 0.05 (RFC 8132)
    pub const FETCH: Self = Self::new(0, 5);
    /// 0.06 (RFC 8132)
    pub const PATCH: Self = Self::new(0, 6);
    /// 0.07 (RFC 8132)
    pub const IPATCH: Self = Self::new(0, 7);

    /// 2.01
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.03
    pub const VALID: Self = Self::new(2, 3);
    /// 2.04
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31 (RFC 7959)
    pub const CONTINUE: Self = Self::new(2, 31);

    /// 4.00
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08 (RFC 7959)
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.09 (RFC 8132)
    pub const CONFLICT: Self = Self::new(4, 9);
    /// 4.12
    pub const PRECONDITION_FAILED: Self = Self::new(4, 12);
    /// 4.13
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 4.22 (RFC 8132)
    pub const UNPROCESSABLE_ENTITY: Self = Self::new(4, 22);
    /// 4.29 (RFC 8516)
    pub const TOO_MANY_REQUESTS: Self = Self::new(4, 29);

    /// 5.00
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.01
    pub const NOT_IMPLEMENTED: Self = Self::new(5, 1);
    /// 5.02
    pub const BAD_GATEWAY: Self = Self::new(5, 2);
    /// 5.03
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.04
    pub const GATEWAY_TIMEOUT: Self = Self::new(5, 4);
    /// 5.05
    pub const PROXYING_NOT_SUPPORTED: Self = Self::new(5, 5);
    /// 5.08 (RFC 8768)
    pub const HOP_LIMIT_REACHED: Self = Self::new(5, 8);

    /// The code `class.detail`; bits beyond three and five are dropped.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self(((class & 7) << 5) | (detail & 31))
    }

    /// The code as the byte on the wire.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// 0 request, 2 success, 4 client error, 5 server error, 7 signalling (RFC 8323).
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The two digits behind the dot.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 31
    }

    /// A method, known or not.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// A response, known or not: classes 2, 4 and 5.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// A success: class 2.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// The registered name, as in "Not Found".
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::EMPTY => "Empty",
            Self::GET => "GET",
            Self::POST => "POST",
            Self::PUT => "PUT",
            Self::DELETE => "DELETE",
            Self::FETCH => "FETCH",
            Self::PATCH => "PATCH",
            Self::IPATCH => "iPATCH",
            Self::CREATED => "Created",
            Self::DELETED => "Deleted",
            Self::VALID => "Valid",
            Self::CHANGED => "Changed",
            Self::CONTENT => "Content",
            Self::CONTINUE => "Continue",
            Self::BAD_REQUEST => "Bad Request",
            Self::UNAUTHORIZED => "Unauthorized",
            Self::BAD_OPTION => "Bad Option",
            Self::FORBIDDEN => "Forbidden",
            Self::NOT_FOUND => "Not Found",
            Self::METHOD_NOT_ALLOWED => "Method Not Allowed",
            Self::NOT_ACCEPTABLE => "Not Acceptable",
            Self::REQUEST_ENTITY_INCOMPLETE => "Request Entity Incomplete",
            Self::CONFLICT => "Conflict",
            Self::PRECONDITION_FAILED => "Precondition Failed",
            Self::REQUEST_ENTITY_TOO_LARGE => "Request Entity Too Large",
            Self::UNSUPPORTED_CONTENT_FORMAT => "Unsupported Content-Format",
            Self::UNPROCESSABLE_ENTITY => "Unprocessable Entity",
            Self::TOO_MANY_REQUESTS => "Too Many Requests",
            Self::INTERNAL_SERVER_ERROR => "Internal Server Error",
            Self::NOT_IMPLEMENTED => "Not Implemented",
            Self::BAD_GATEWAY => "Bad Gateway",
            Self::SERVICE_UNAVAILABLE => "Service Unavailable",
            Self::GATEWAY_TIMEOUT => "Gateway Timeout",
            Self::PROXYING_NOT_SUPPORTED => "Proxying Not Supported",
            Self::HOP_LIMIT_REACHED => "Hop Limit Reached",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

/// What an option's value is made of (RFC 7252 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionFormat {
    /// No bytes.
    Empty,
    /// Any bytes.
    Opaque,
    /// A big-endian number without leading zero bytes.
    Uint,
    /// UTF-8 text.
    String,
}

/// An option's row in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionDefinition {
    /// What the value is made of.
    pub format: OptionFormat,
    /// The fewest bytes of a value.
    pub min_length: u16,
    /// The most bytes of a value.
    pub max_length: u16,
    /// Whether the option may stand more than once in a message.
    pub repeatable: bool,
}

impl OptionNumber {
    /// RFC 7252
    pub const IF_MATCH: Self = Self(1);
    /// RFC 7252
    pub const URI_HOST: Self = Self(3);
    /// RFC 7252
    pub const ETAG: Self = Self(4);
    /// RFC 7252
    pub const IF_NONE_MATCH: Self = Self(5);
    /// RFC 7641
    pub const OBSERVE: Self = Self(6);
    /// RFC 7252
    pub const URI_PORT: Self = Self(7);
    /// RFC 7252
    pub const LOCATION_PATH: Self = Self(8);
    /// RFC 8613
    pub const OSCORE: Self = Self(9);
    /// RFC 7252
    pub const URI_PATH: Self = Self(11);
    /// RFC 7252
    pub const CONTENT_FORMAT: Self = Self(12);
    /// RFC 7252
    pub const MAX_AGE: Self = Self(14);
    /// RFC 7252
    pub const URI_QUERY: Self = Self(15);
    /// RFC 8768
    pub const HOP_LIMIT: Self = Self(16);
    /// RFC 7252
    pub const ACCEPT: Self = Self(17);
    /// RFC 7252
    pub const LOCATION_QUERY: Self = Self(20);
    /// RFC 9668
    pub const EDHOC: Self = Self(21);
    /// RFC 7959
    pub const BLOCK2: Self = Self(23);
    /// RFC 7959
    pub const BLOCK1: Self = Self(27);
    /// RFC 7959
    pub const SIZE2: Self = Self(28);
    /// RFC 7252
    pub const PROXY_URI: Self = Self(35);
    /// RFC 7252
    pub const PROXY_SCHEME: Self = Self(39);
    /// RFC 7252
    pub const SIZE1: Self = Self(60);
    /// RFC 9175
    pub const ECHO: Self = Self(252);
    /// RFC 7967
    pub const NO_RESPONSE: Self = Self(258);
    /// RFC 9175
    pub const REQUEST_TAG: Self = Self(292);

    /// A message with such an option that the receiver doesn't know must be refused.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        self.0 & 1 == 1
    }

    /// A proxy that doesn't know such an option must not forward the message.
    #[must_use]
    pub const fn is_unsafe(self) -> bool {
        self.0 & 2 == 2
    }

    /// The option is no part of a cache's key.
    #[must_use]
    pub const fn is_no_cache_key(self) -> bool {
        self.0 & 0x1e == 0x1c
    }

    /// The registered name, as in "Uri-Path".
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::IF_MATCH => "If-Match",
            Self::URI_HOST => "Uri-Host",
            Self::ETAG => "ETag",
            Self::IF_NONE_MATCH => "If-None-Match",
            Self::OBSERVE => "Observe",
            Self::URI_PORT => "Uri-Port",
            Self::LOCATION_PATH => "Location-Path",
            Self::OSCORE => "OSCORE",
            Self::URI_PATH => "Uri-Path",
            Self::CONTENT_FORMAT => "Content-Format",
            Self::MAX_AGE => "Max-Age",
            Self::URI_QUERY => "Uri-Query",
            Self::HOP_LIMIT => "Hop-Limit",
            Self::ACCEPT => "Accept",
            Self::LOCATION_QUERY => "Location-Query",
            Self::EDHOC => "EDHOC",
            Self::BLOCK2 => "Block2",
            Self::BLOCK1 => "Block1",
            Self::SIZE2 => "Size2",
            Self::PROXY_URI => "Proxy-Uri",
            Self::PROXY_SCHEME => "Proxy-Scheme",
            Self::SIZE1 => "Size1",
            Self::ECHO => "Echo",
            Self::NO_RESPONSE => "No-Response",
            Self::REQUEST_TAG => "Request-Tag",
            _ => return None,
        })
    }

    /// The option's row in the registry, if it is there.
    #[must_use]
    pub const fn definition(self) -> Option<OptionDefinition> {
        use OptionFormat::{Empty, Opaque, String, Uint};
        const fn row(format: OptionFormat, min: u16, max: u16, repeatable: bool) -> Option<OptionDefinition> {
            Some(OptionDefinition { format, min_length: min, max_length: max, repeatable })
        }
        match self {
            Self::IF_MATCH => row(Opaque, 0, 8, true),
            Self::URI_HOST => row(String, 1, 255, false),
            Self::ETAG => row(Opaque, 1, 8, true),
            Self::IF_NONE_MATCH => row(Empty, 0, 0, false),
            Self::OBSERVE => row(Uint, 0, 3, false),
            Self::URI_PORT => row(Uint, 0, 2, false),
            Self::LOCATION_PATH => row(String, 0, 255, true),
            Self::OSCORE => row(Opaque, 0, 255, false),
            Self::URI_PATH => row(String, 0, 255, true),
            Self::CONTENT_FORMAT => row(Uint, 0, 2, false),
            Self::MAX_AGE => row(Uint, 0, 4, false),
            Self::URI_QUERY => row(String, 0, 255, true),
            Self::HOP_LIMIT => row(Uint, 1, 1, false),
            Self::ACCEPT => row(Uint, 0, 2, false),
            Self::LOCATION_QUERY => row(String, 0, 255, true),
            Self::EDHOC => row(Empty, 0, 0, false),
            Self::BLOCK2 | Self::BLOCK1 => row(Uint, 0, 3, false),
            Self::SIZE2 | Self::SIZE1 => row(Uint, 0, 4, false),
            Self::PROXY_URI => row(String, 1, 1034, false),
            Self::PROXY_SCHEME => row(String, 1, 255, false),
            Self::ECHO => row(Opaque, 1, 40, false),
            Self::NO_RESPONSE => row(Uint, 0, 1, false),
            Self::REQUEST_TAG => row(Opaque, 0, 8, true),
            _ => None,
        }
    }
}

/// The number of a Content-Format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain;charset=utf-8`
    pub const TEXT: Self = Self(0);
    /// `application/link-format` (RFC 6690)
    pub const LINK: Self = Self(40);
    /// `application/octet-stream`
    pub const OCTET_STREAM: Self = Self(42);
    /// `application/json`
    pub const APPLICATION_JSON: Self = Self(50);
    /// `application/cbor` (RFC 8949)
    pub const CBOR: Self = Self(60);
    /// `application/senml+json` (RFC 8428)
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor` (RFC 8428)
    pub const SENML_CBOR: Self = Self(112);
    /// `application/senml-etch+json` (RFC 8790)
    pub const SENML_ETCH_JSON: Self = Self(320);
    /// `application/senml-etch+cbor` (RFC 8790)
    pub const SENML_ETCH_CBOR: Self = Self(322);
    /// `application/vnd.oma.lwm2m+tlv`
    pub const TLV: Self = Self(11542);
    /// `application/vnd.oma.lwm2m+json`
    pub const LWM2M_JSON: Self = Self(11543);
    /// `application/vnd.oma.lwm2m+cbor`
    pub const LWM2M_CBOR: Self = Self(11544);
}
