//! What is answered to a request of either direction.

use super::options::{Options, Received};
use super::{BadRequest, Content, Location, Operation};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use core::fmt;

/// A response, or a notification.
///
/// ```
/// use buoy_coap::number::{Code, OptionNumber};
/// use buoy_lwm2m::operation::{Location, Operation, Response};
///
/// // A server's answer to Register …
/// let response = Response::created(Location::parse("/rd/5a3f").unwrap());
/// let mut options = Vec::new();
/// response.each_option(&mut |number, value| options.push((number, value.to_vec())));
/// // … is where the device is registered.
/// let received = options.iter().map(|(number, value)| (*number, value.as_slice()));
/// let response = Response::parse(Operation::Register, response.code, received, response.payload)?;
/// assert_eq!(response.location.unwrap().to_string(), "/rd/5a3f");
/// # Ok::<(), buoy_lwm2m::operation::BadResponse>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The response code.
    pub code: Code,
    /// The Observe option: this is the first answer to an Observe, or a notification with that number.
    pub observe: Option<u32>,
    /// Where the registration or the instance lives that was created.
    pub location: Option<Location<'a>>,
    /// The format of the payload.
    pub content_format: Option<ContentFormat>,
    /// Values, links, or with an error code a text for people.
    pub payload: &'a [u8],
}

/// Why a response makes no sense for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadResponse {
    /// A code that is neither an error nor the operation's success.
    PeerSentUnexpectedCode {
        /// The operation.
        operation: Operation,
        /// The code.
        code: Code,
    },
    /// The answer to Register doesn't say where the registration lives.
    PeerSentNoLocation,
    /// The location has no segments that can be sent back, or too many.
    PeerSentBadLocation,
    /// Values without their format.
    PeerSentNoContentFormat,
    /// An option of the response is malformed or not understood.
    PeerSentBadOption,
}

impl<'a> Response<'a> {
    /// A response of a code alone.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        Self { code, observe: None, location: None, content_format: None, payload: &[] }
    }

    /// 2.05 with values or links.
    #[must_use]
    pub const fn content(content: Content<'a>) -> Self {
        Self { content_format: Some(content.format), payload: content.payload, ..Self::of(Code::CONTENT) }
    }

    /// 2.05 with values, as the first answer to an Observe or as a notification.
    #[must_use]
    pub const fn notification(sequence: u32, content: Content<'a>) -> Self {
        Self { observe: Some(sequence), ..Self::content(content) }
    }

    /// 2.01 with the place of what was created.
    #[must_use]
    pub const fn created(location: Location<'a>) -> Self {
        Self { location: Some(location), ..Self::of(Code::CREATED) }
    }

    /// An error with a text for people.
    #[must_use]
    pub const fn error(code: Code, diagnostic: &'a str) -> Self {
        Self { payload: diagnostic.as_bytes(), ..Self::of(code) }
    }

    /// Hands out the options, in ascending order of their numbers.
    pub fn each_option(&self, each: &mut dyn FnMut(OptionNumber, &[u8])) {
        let options = &mut Options::new(each);
        options.uint(OptionNumber::OBSERVE, self.observe);
        if let Some(location) = &self.location {
            options.location(OptionNumber::LOCATION_PATH, location);
        }
        options.format(OptionNumber::CONTENT_FORMAT, self.content_format);
    }

    /// Reads the response to an operation.
    ///
    /// # Errors
    /// [`BadResponse`] if a success is another than the operation's, or lacks what it has to say. Error codes are never
    /// an error here: they are passed on as they came, known or not.
    pub fn parse(
        operation: Operation,
        code: Code,
        options: impl IntoIterator<Item = (OptionNumber, &'a [u8])>,
        payload: &'a [u8],
    ) -> Result<Self, BadResponse> {
        let mut received = Received::default();
        received.collect(options).map_err(|_: BadRequest| BadResponse::PeerSentBadOption)?;
        let response = Self {
            code,
            observe: received.observe,
            location: location(&received)?,
            content_format: received.content_format,
            payload,
        };
        response.check(operation)?;
        Ok(response)
    }

    fn check(&self, operation: Operation) -> Result<(), BadResponse> {
        let code = self.code;
        if matches!(code.class(), 4 | 5) {
            return Ok(());
        }
        if code != operation.success() {
            return Err(BadResponse::PeerSentUnexpectedCode { operation, code });
        }
        if operation == Operation::Register && self.location.is_none() {
            return Err(BadResponse::PeerSentNoLocation);
        }
        if code == Code::CONTENT && !self.payload.is_empty() && self.content_format.is_none() {
            return Err(BadResponse::PeerSentNoContentFormat);
        }
        Ok(())
    }

    /// The payload with its format, if it says one.
    #[must_use]
    pub fn as_content(&self) -> Option<Content<'a>> {
        Some(Content { format: self.content_format?, payload: self.payload })
    }

    /// The text for people that an error may carry.
    #[must_use]
    pub fn diagnostic(&self) -> Option<&'a str> {
        let is_error = matches!(self.code.class(), 4 | 5) && !self.payload.is_empty();
        if is_error { core::str::from_utf8(self.payload).ok() } else { None }
    }
}

impl From<BadRequest> for Response<'_> {
    fn from(reason: BadRequest) -> Self {
        Self::of(reason.code())
    }
}

fn location<'a>(received: &Received<'a>) -> Result<Option<Location<'a>>, BadResponse> {
    match received.location.as_slice() {
        [] => Ok(None),
        segments => Location::from_options(segments).map(Some).map_err(|_| BadResponse::PeerSentBadLocation),
    }
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerSentUnexpectedCode { operation, code } => {
                write!(f, "{code} is no answer to {operation}")
            }
            Self::PeerSentNoLocation => f.write_str("the answer to Register has no Location-Path"),
            Self::PeerSentBadLocation => f.write_str("the Location-Path can't be used"),
            Self::PeerSentNoContentFormat => f.write_str("the payload doesn't say its content format"),
            Self::PeerSentBadOption => {
                f.write_str("an option of the response is malformed or not understood")
            }
        }
    }
}

impl core::error::Error for BadResponse {}
