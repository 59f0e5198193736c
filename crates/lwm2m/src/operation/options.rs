//! CoAP options of requests and responses: put in order for the sender, sorted into fields for the receiver.

use super::list::List;
use super::location::Location;
use super::refusal::BadRequest;
use super::version::LwM2mVersion;
use super::{Binding, Content, ShortText};
use crate::attributes::{AttributeUpdate, AttributeValue, Change};
use crate::output::{Full, Output};
use crate::path::Path;
use buoy_coap::number::{ContentFormat, OptionNumber};

/// Takes the options of a message one by one, in ascending order of their numbers.
pub(crate) struct Options<'w> {
    each: &'w mut dyn FnMut(OptionNumber, &[u8]),
}

/// The most bytes of an option that is made of a number or a name with a value: their types keep them within that.
const MADE: usize = 255;

impl<'w> Options<'w> {
    pub(crate) fn new(each: &'w mut dyn FnMut(OptionNumber, &[u8])) -> Self {
        Self { each }
    }

    pub(crate) fn text(&mut self, option: OptionNumber, text: &str) {
        (self.each)(option, text.as_bytes());
    }

    /// A number without leading zero bytes; 0 is no bytes at all.
    pub(crate) fn uint(&mut self, option: OptionNumber, number: Option<u32>) {
        let Some(number) = number else { return };
        let bytes = number.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        (self.each)(option, bytes.get(zeros..).unwrap_or_default());
    }

    pub(crate) fn format(&mut self, option: OptionNumber, format: Option<ContentFormat>) {
        self.uint(option, format.map(|format| format.0.into()));
    }

    /// The segments of a path as text, which leaves out those that are empty.
    pub(crate) fn segments(&mut self, path: &str) {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        segments.for_each(|segment| self.text(OptionNumber::URI_PATH, segment));
    }

    pub(crate) fn path(&mut self, option: OptionNumber, path: Path) {
        for id in path.ids() {
            let mut buffer = [0; 5];
            let mut output = Output::new(&mut buffer);
            let _fits = output.whole((*id).into());
            (self.each)(option, output.into_written());
        }
    }

    pub(crate) fn location(&mut self, option: OptionNumber, location: &Location<'_>) {
        location.segments().for_each(|segment| self.text(option, segment));
        self.path(option, location.ids());
    }

    pub(crate) fn query_raw(&mut self, query: &str) {
        self.text(OptionNumber::URI_QUERY, query);
    }

    pub(crate) fn query_text(&mut self, name: &str, text: Option<ShortText<'_>>) {
        let Some(text) = text else { return };
        self.query(name, |output| output.bytes(text.as_str().as_bytes()));
    }

    pub(crate) fn query_whole(&mut self, name: &str, number: Option<u32>) {
        let Some(number) = number else { return };
        self.query(name, |output| output.whole(number.into()));
    }

    pub(crate) fn query_version(&mut self, version: LwM2mVersion) {
        self.query("lwm2m", |output| output.bytes(version.as_str().as_bytes()));
    }

    pub(crate) fn query_binding(&mut self, binding: Option<Binding>) {
        let Some(binding) = binding else { return };
        self.query("b", |output| output.bytes(binding.written(&mut [0; 7]).as_bytes()));
    }

    /// A threshold so large or so small that its digits would overfill the option becomes zero or the largest that fits:
    /// such numbers name no physical quantity.
    pub(crate) fn attributes(&mut self, update: &AttributeUpdate) {
        const LARGEST: f64 = 1e200;
        for (name, change) in update.changes() {
            let value = match change {
                Change::Keep => continue,
                Change::Clear => {
                    self.query_raw(name.as_str());
                    continue;
                }
                Change::Set(AttributeValue::Number(number)) if number.abs() < 1.0 / LARGEST => {
                    AttributeValue::Number(0.0)
                }
                Change::Set(AttributeValue::Number(number)) => {
                    AttributeValue::Number(number.clamp(-LARGEST, LARGEST))
                }
                Change::Set(value) => value,
            };
            self.query(name.as_str(), |output| value.write(output));
        }
    }

    fn query(&mut self, name: &str, write: impl Fn(&mut Output<'_>) -> Result<(), Full>) {
        self.write_query(name, &write);
    }

    fn write_query(&mut self, name: &str, write: &dyn Fn(&mut Output<'_>) -> Result<(), Full>) {
        let mut buffer = [0; MADE];
        let mut output = Output::new(&mut buffer);
        let named = output.bytes(name.as_bytes()).and_then(|()| output.byte(b'='));
        let written = named.and_then(|()| write(&mut output));
        debug_assert!(written.is_ok(), "an option's value fits into 255 bytes");
        (self.each)(OptionNumber::URI_QUERY, output.into_written());
    }
}

/// Queries that one request can have: the ten attributes, or what Register says of itself and eight things more.
pub(crate) const MAX_QUERIES: usize = 20;

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
    /// Sorts in the options of a message.
    pub(crate) fn collect(
        &mut self,
        options: impl IntoIterator<Item = (OptionNumber, &'a [u8])>,
    ) -> Result<(), BadRequest> {
        options.into_iter().try_for_each(|(number, value)| self.take(number, value))
    }

    #[inline(never)]
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
