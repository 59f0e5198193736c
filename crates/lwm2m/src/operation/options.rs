//! CoAP options of requests and responses: put in order for the sender, sorted into fields for the receiver.

use super::list::List;
use super::location::Location;
use super::refusal::BadRequest;
use super::version::LwM2mVersion;
use super::{Binding, Content};
use crate::attributes::{AttributeName, AttributeValue, Change};
use crate::output::Output;
use crate::path::Path;
use buoy_coap::number::{ContentFormat, OptionNumber};
use core::fmt::{self, Write as _};
use core::ops::Deref;

/// The value of an option; it is the bytes on the wire.
#[derive(Clone)]
pub struct OptionValue<'a>(Value<'a>);

// One value lives at a time, and only until it is written; there may be no allocator to put it elsewhere.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
enum Value<'a> {
    Borrowed(&'a [u8]),
    Inline { bytes: [u8; 255], len: usize },
}

impl<'a> OptionValue<'a> {
    fn text(text: &'a str) -> Self {
        Self(Value::Borrowed(text.as_bytes()))
    }

    /// A number without leading zero bytes; 0 is no bytes at all.
    fn uint(number: u32) -> Self {
        let bytes = number.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self::inline(|output| output.bytes(bytes.get(zeros..).unwrap_or(&[])).map_err(|_| fmt::Error))
    }

    /// Every caller writes texts whose types keep them within 255 bytes.
    fn inline(write: impl FnOnce(&mut Output<'_>) -> fmt::Result) -> Self {
        let mut bytes = [0; 255];
        let mut output = Output::new(&mut bytes);
        let written = write(&mut output);
        debug_assert!(written.is_ok(), "an option's value fits into 255 bytes");
        let len = output.len();
        Self(Value::Inline { bytes, len })
    }
}

impl Deref for OptionValue<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Value::Borrowed(bytes) => bytes,
            Value::Inline { bytes, len } => bytes.get(..*len).unwrap_or(&[]),
        }
    }
}

impl AsRef<[u8]> for OptionValue<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for OptionValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for OptionValue<'_> {}

impl fmt::Debug for OptionValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A query as it will be written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Query<'a> {
    #[default]
    None,
    Text(&'static str, &'a str),
    Whole(&'static str, u32),
    Version(LwM2mVersion),
    Binding(Binding),
    Raw(&'a str),
    Attribute(AttributeName, Change),
}

impl<'a> Query<'a> {
    fn value(self) -> Option<OptionValue<'a>> {
        Some(match self {
            Self::None | Self::Attribute(_, Change::Keep) => return None,
            Self::Raw(text) => OptionValue::text(text),
            Self::Text(name, text) => OptionValue::inline(|output| write!(output, "{name}={text}")),
            Self::Whole(name, number) => OptionValue::inline(|output| write!(output, "{name}={number}")),
            Self::Version(version) => OptionValue::inline(|output| write!(output, "lwm2m={version}")),
            Self::Binding(binding) => OptionValue::inline(|output| write!(output, "b={binding}")),
            Self::Attribute(name, Change::Clear) => OptionValue::text(name.as_str()),
            Self::Attribute(name, Change::Set(value)) => attribute(name, value),
        })
    }
}

/// A threshold so large or so small that its digits would overfill the option becomes zero or the largest that fits:
/// such numbers name no physical quantity.
fn attribute<'a>(name: AttributeName, value: AttributeValue) -> OptionValue<'a> {
    const LARGEST: f64 = 1e200;
    let value = match value {
        AttributeValue::Number(number) if number.abs() < 1.0 / LARGEST => AttributeValue::Number(0.0),
        AttributeValue::Number(number) => AttributeValue::Number(number.clamp(-LARGEST, LARGEST)),
        other => other,
    };
    OptionValue::inline(|output| write!(output, "{name}={value}"))
}

/// Queries that one request can have: the ten attributes, or what Register says of itself and eight things more.
pub(crate) const MAX_QUERIES: usize = 20;

/// What a message has besides its code and payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) observe: Option<u32>,
    /// A path in front of the segments, as text: the root that a device may put its objects under.
    pub(crate) root: &'a str,
    pub(crate) segments: List<&'a str, { Location::MAX_SEGMENTS }>,
    pub(crate) path: Path,
    pub(crate) location: Option<Location<'a>>,
    pub(crate) content_format: Option<ContentFormat>,
    pub(crate) queries: List<Query<'a>, MAX_QUERIES>,
    pub(crate) accept: Option<ContentFormat>,
}

impl<'a> Parts<'a> {
    pub(crate) fn to(segment: &'a str) -> Self {
        Self::default().segment(segment)
    }

    pub(crate) fn at(path: Path) -> Self {
        Self { path, ..Self::default() }
    }

    pub(crate) fn segment(mut self, segment: &'a str) -> Self {
        let pushed = self.segments.push(segment);
        debug_assert!(pushed.is_ok(), "a location has few segments");
        self
    }

    pub(crate) fn content(mut self, content: &Content<'_>) -> Self {
        self.content_format = Some(content.format);
        self
    }

    pub(crate) fn accept(mut self, accept: Option<ContentFormat>) -> Self {
        self.accept = accept;
        self
    }

    pub(crate) fn observe(mut self, observe: u32) -> Self {
        self.observe = Some(observe);
        self
    }

    pub(crate) fn query(mut self, query: Query<'a>) -> Self {
        let pushed = self.queries.push(query);
        debug_assert!(pushed.is_ok(), "a request has few queries");
        self
    }

    pub(crate) fn attributes(self, changes: impl Iterator<Item = (AttributeName, Change)>) -> Self {
        changes.fold(self, |parts, (name, change)| parts.query(Query::Attribute(name, change)))
    }

    /// The options, in ascending order of their numbers.
    pub(crate) fn options(self) -> impl Iterator<Item = (OptionNumber, OptionValue<'a>)> + Clone + use<'a> {
        let observe = self.observe.into_iter();
        let observe = observe.map(|number| (OptionNumber::OBSERVE, OptionValue::uint(number)));
        let location = self.location.into_iter().flat_map(|location| {
            let segments = location.segments().map(OptionValue::text);
            segments.chain(ids(location.ids())).map(|value| (OptionNumber::LOCATION_PATH, value))
        });
        let root = self.root.split('/').filter(|segment| !segment.is_empty());
        let path = root.chain(self.segments.iter()).map(OptionValue::text).chain(ids(self.path));
        let path = path.map(|value| (OptionNumber::URI_PATH, value));
        let content_format = self.content_format.into_iter();
        let content_format = content_format.map(|format| number(OptionNumber::CONTENT_FORMAT, format));
        let queries = self.queries.iter().filter_map(Query::value);
        let queries = queries.map(|value| (OptionNumber::URI_QUERY, value));
        let accept = self.accept.into_iter().map(|format| number(OptionNumber::ACCEPT, format));
        observe.chain(location).chain(path).chain(content_format).chain(queries).chain(accept)
    }
}

fn number<'a>(option: OptionNumber, format: ContentFormat) -> (OptionNumber, OptionValue<'a>) {
    (option, OptionValue::uint(format.0.into()))
}

fn ids<'a>(path: Path) -> impl Iterator<Item = OptionValue<'a>> + Clone + use<'a> {
    (0..path.len()).filter_map(move |index| {
        let id = *path.ids().get(index)?;
        Some(OptionValue::inline(|output| write!(output, "{id}")))
    })
}

/// The options of a message that arrived, sorted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received<'a> {
    pub(crate) observe: Option<u32>,
    pub(crate) segments: List<&'a [u8], 8>,
    pub(crate) location: List<&'a [u8], 8>,
    pub(crate) content_format: Option<ContentFormat>,
    pub(crate) queries: List<&'a str, MAX_QUERIES>,
    pub(crate) accept: Option<ContentFormat>,
}

impl<'a> Received<'a> {
    pub(crate) fn collect(
        options: impl IntoIterator<Item = (OptionNumber, &'a [u8])>,
    ) -> Result<Self, BadRequest> {
        let mut received = Self::default();
        for (number, value) in options {
            received.take(number, value)?;
        }
        Ok(received)
    }

    fn take(&mut self, number: OptionNumber, value: &'a [u8]) -> Result<(), BadRequest> {
        match number {
            OptionNumber::OBSERVE => self.observe = Some(uint(number, value)?),
            OptionNumber::URI_PATH => self.segments.push(value)?,
            OptionNumber::LOCATION_PATH => self.location.push(value)?,
            OptionNumber::CONTENT_FORMAT => self.content_format = Some(content_format(number, value)?),
            OptionNumber::URI_QUERY => self.queries.push(utf8(value)?)?,
            OptionNumber::ACCEPT => self.accept = Some(content_format(number, value)?),
            _ if number.is_critical() && !is_of_coap(number) => {
                return Err(BadRequest::UnsupportedOption(number));
            }
            _ => {}
        }
        Ok(())
    }

    /// The path of the data model that the Uri-Path names.
    pub(crate) fn path(&self) -> Result<Path, BadRequest> {
        Path::from_segments(self.segments.iter()).map_err(|_| BadRequest::NotFound)
    }

    /// Whether the Uri-Path is this one segment.
    pub(crate) fn is_at(&self, segment: &str) -> bool {
        matches!(self.segments.as_slice(), [only] if *only == segment.as_bytes())
    }

    pub(crate) fn content(&self, payload: &'a [u8]) -> Result<Content<'a>, BadRequest> {
        let format = self.content_format.ok_or(BadRequest::PeerSentNoContentFormat)?;
        Ok(Content { format, payload })
    }
}

/// Options that belong to the exchange of messages and have done their work before LwM2M sees the request.
fn is_of_coap(number: OptionNumber) -> bool {
    matches!(
        number,
        OptionNumber::URI_HOST
            | OptionNumber::URI_PORT
            | OptionNumber::BLOCK1
            | OptionNumber::BLOCK2
            | OptionNumber::OSCORE
            | OptionNumber::EDHOC
    )
}

fn uint(number: OptionNumber, value: &[u8]) -> Result<u32, BadRequest> {
    if value.len() > 4 {
        return Err(BadRequest::PeerSentBadOption(number));
    }
    Ok(value.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

fn content_format(number: OptionNumber, value: &[u8]) -> Result<ContentFormat, BadRequest> {
    let value = uint(number, value)?;
    value.try_into().map(ContentFormat).map_err(|_| BadRequest::PeerSentBadOption(number))
}

pub(crate) fn utf8(value: &[u8]) -> Result<&str, BadRequest> {
    core::str::from_utf8(value).map_err(|_| BadRequest::PeerSentNotUtf8)
}
