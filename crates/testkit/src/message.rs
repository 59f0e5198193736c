//! CoAP messages as tests look at them.

use std::fmt::Write as _;

use buoy_coap::block::Block;
use buoy_coap::number::{Code, ContentFormat, OptionFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};

/// A well-formed message.
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The whole message.
    pub bytes: Vec<u8>,
}

/// Writes a message; the options stand in ascending order.
#[must_use]
pub fn message(header: Header<'_>, options: &[(OptionNumber, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer = MessageWriter::new(&mut buffer, header);
    for (number, value) in options {
        writer.option(*number, value);
    }
    let length = writer.payload(payload).finish().expect("a message that fits 4 kB");
    buffer.truncate(length);
    buffer
}

impl Datagram {
    /// A message that an engine wrote.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec() }
    }

    /// The message in its parts.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("engines write well-formed messages")
    }

    /// Method or response code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.message().code()
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.message().kind()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message().payload()
    }

    /// The payload, which is text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.payload().to_vec()).expect("text")
    }

    /// As in `3303/0/5700`.
    #[must_use]
    pub fn path(&self) -> String {
        self.strings(OptionNumber::URI_PATH, "/")
    }

    /// As in `rd/5a3f`.
    #[must_use]
    pub fn location(&self) -> String {
        self.strings(OptionNumber::LOCATION_PATH, "/")
    }

    /// As in `ep=buoy-1&lt=300`.
    #[must_use]
    pub fn queries(&self) -> String {
        self.strings(OptionNumber::URI_QUERY, "&")
    }

    /// The number of an option.
    #[must_use]
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        self.message().uint(number)
    }

    /// The Content-Format.
    #[must_use]
    pub fn format(&self) -> Option<ContentFormat> {
        self.message().content_format()
    }

    /// The message without its payload on one line, as in `GET /3303/0/5700 Accept=0` or `2.05 Content-Format=0`.
    ///
    /// Path and queries stand behind the method, the other options by their registered names. Left out is what differs from
    /// run to run: ETags, Request-Tags and the number of a notification.
    #[must_use]
    pub fn line(&self) -> String {
        let code = self.code();
        let mut line = match code.name().filter(|_| code.is_request()) {
            Some(name) => format!("{name} /{}", self.path()),
            None => code.to_string(),
        };
        let queries = self.queries();
        if !queries.is_empty() {
            let _ = write!(line, "?{queries}");
        }
        for (number, value) in self.message().options() {
            if let Some(option) = self.option(number, value) {
                let _ = write!(line, " {option}");
            }
        }
        line
    }

    fn option(&self, number: OptionNumber, value: &[u8]) -> Option<String> {
        let name = number.name().map_or_else(|| number.0.to_string(), str::to_owned);
        let uint = || self.uint(number).unwrap_or_default();
        match number {
            OptionNumber::URI_PATH
            | OptionNumber::URI_QUERY
            | OptionNumber::ETAG
            | OptionNumber::REQUEST_TAG => None,
            OptionNumber::OBSERVE if !self.code().is_request() => Some(name),
            OptionNumber::BLOCK1 | OptionNumber::BLOCK2 => {
                let block = Block::from_uint(uint())?;
                let number = block.offset() / block.size().bytes();
                Some(format!("{name}={number}/{}/{}", u8::from(block.more()), block.size().bytes()))
            }
            _ => match number.definition()?.format {
                OptionFormat::Empty => Some(name),
                OptionFormat::Uint => Some(format!("{name}={}", uint())),
                OptionFormat::String => Some(format!("{name}={}", String::from_utf8_lossy(value))),
                OptionFormat::Opaque => Some(format!("{name}={value:02x?}")),
            },
        }
    }

    fn strings(&self, number: OptionNumber, between: &str) -> String {
        let values = self.message().values(number);
        let parts: Vec<_> = values.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        parts.join(between)
    }
}

impl std::fmt::Debug for Datagram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message();
        let id = message.message_id();
        write!(f, "{:?} {id} {} {} B", message.kind(), self.line(), message.payload().len())
    }
}
