//! The message format (RFC 7252 section 3, with the longer tokens of RFC 8974).
//!
//! [`Message`] is a view of a received datagram: it is checked once, by [`Message::parse`], and read without copies.
//! [`MessageWriter`] writes a message into a caller's buffer. What a message means is for the layers above.

use crate::number::{Code, ContentFormat, OptionFormat, OptionNumber};

const VERSION: u8 = 1;
const PAYLOAD_MARKER: u8 = 0xff;
/// The bytes before the token.
const HEADER_LENGTH: usize = 4;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// CON: the receiver acknowledges it or resets it.
    Confirmable,
    /// NON
    NonConfirmable,
    /// ACK
    Acknowledgement,
    /// RST
    Reset,
}

impl Kind {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    const fn to_bits(self) -> u8 {
        match self {
            Self::Confirmable => 0,
            Self::NonConfirmable => 1,
            Self::Acknowledgement => 2,
            Self::Reset => 3,
        }
    }
}

/// Why a datagram is no CoAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer than four bytes, or a version other than 1: to be ignored in silence.
    NotCoap,
    /// A well-formed header, and then something that breaks the format. Carries what a Reset needs.
    Malformed {
        /// The type that the header says.
        kind: Kind,
        /// The message id that the header says.
        message_id: u16,
        /// What is wrong.
        flaw: Flaw,
    },
}

/// A breach of the message format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The token length is the reserved 15.
    ReservedTokenLength,
    /// The token runs past the end.
    TruncatedToken,
    /// An option's delta or length is the reserved 15.
    ReservedOptionNibble,
    /// An option runs past the end.
    TruncatedOption,
    /// An option's number is over 65535.
    OptionNumberTooLarge,
    /// A payload marker with nothing behind it.
    EmptyPayload,
    /// The code is 0.00, and more than a header follows.
    EmptyMessageWithContent,
}

/// A message in a received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    kind: Kind,
    code: Code,
    message_id: u16,
    token: &'a [u8],
    options: &'a [u8],
    payload: &'a [u8],
    datagram: &'a [u8],
}

impl<'a> Message<'a> {
    /// Checks a datagram from end to end; every getter is then infallible.
    ///
    /// # Errors
    /// [`ParseError::NotCoap`] for what must be ignored, [`ParseError::Malformed`] for what may be answered by a Reset.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let [first, code, id_high, id_low, rest @ ..] = datagram else {
            return Err(ParseError::NotCoap);
        };
        if first >> 6 != VERSION {
            return Err(ParseError::NotCoap);
        }
        let kind = Kind::from_bits(first >> 4);
        let code = Code::from_byte(*code);
        let message_id = u16::from_be_bytes([*id_high, *id_low]);
        let (token, options, payload) = parse_body(first & 15, code, rest)
            .map_err(|flaw| ParseError::Malformed { kind, message_id, flaw })?;
        Ok(Self { kind, code, message_id, token, options, payload, datagram })
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The message id.
    #[must_use]
    pub const fn message_id(&self) -> u16 {
        self.message_id
    }

    /// The token, of 0 to 65804 bytes.
    #[must_use]
    pub const fn token(&self) -> &'a [u8] {
        self.token
    }

    /// What follows the payload marker; empty if there is none.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The whole message as it came.
    #[must_use]
    pub const fn datagram(&self) -> &'a [u8] {
        self.datagram
    }

    /// The options in the order of their numbers.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options { rest: self.options, number: 0 }
    }

    /// The values of one option, in their order.
    pub fn values(&self, number: OptionNumber) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.options()
            .skip_while(move |(n, _)| *n < number)
            .take_while(move |(n, _)| *n == number)
            .map(|(_, value)| value)
    }

    /// The first value of an option.
    #[must_use]
    pub fn value(&self, number: OptionNumber) -> Option<&'a [u8]> {
        self.values(number).next()
    }

    /// The first value of a numeric option; `None` too if it is longer than four bytes.
    #[must_use]
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        self.value(number).and_then(parse_uint)
    }

    /// The Content-Format.
    #[must_use]
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.format_option(OptionNumber::CONTENT_FORMAT)
    }

    /// The Accept option.
    #[must_use]
    pub fn accept(&self) -> Option<ContentFormat> {
        self.format_option(OptionNumber::ACCEPT)
    }

    fn format_option(&self, number: OptionNumber) -> Option<ContentFormat> {
        self.uint(number).and_then(|n| u16::try_from(n).ok()).map(ContentFormat)
    }

    /// Finds the first critical option that must be refused (RFC 7252 section 5.4): one that is not `recognised`, one whose value breaks
    /// the registry's format, or a second one of a kind that may stand only once.
    ///
    /// # Errors
    /// The number of that option.
    pub fn check_critical(&self, recognised: impl Fn(OptionNumber) -> bool) -> Result<(), OptionNumber> {
        let mut previous = None;
        for (number, value) in self.options() {
            let repeated = previous == Some(number);
            if number.is_critical() && !(recognised(number) && is_well_formed(number, value, repeated)) {
                return Err(number);
            }
            previous = Some(number);
        }
        Ok(())
    }
}

type Body<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn parse_body(token_nibble: u8, code: Code, rest: &[u8]) -> Result<Body<'_>, Flaw> {
    if code == Code::EMPTY && (token_nibble != 0 || !rest.is_empty()) {
        return Err(Flaw::EmptyMessageWithContent);
    }
    let (token_length, rest) = parse_token_length(token_nibble, rest)?;
    let (token, rest) = rest.split_at_checked(token_length).ok_or(Flaw::TruncatedToken)?;
    let options_length = measure_options(rest)?;
    let (options, rest) = rest.split_at_checked(options_length).ok_or(Flaw::TruncatedOption)?;
    match rest {
        [] => Ok((token, options, &[])),
        [_marker] => Err(Flaw::EmptyPayload),
        [_marker, payload @ ..] => Ok((token, options, payload)),
    }
}

/// RFC 8974 section 2.1.
fn parse_token_length(nibble: u8, rest: &[u8]) -> Result<(usize, &[u8]), Flaw> {
    match (nibble, rest) {
        (0..=12, _) => Ok((usize::from(nibble), rest)),
        (13, [extra, rest @ ..]) => Ok((usize::from(*extra).saturating_add(13), rest)),
        (14, [high, low, rest @ ..]) => {
            Ok((usize::from(u16::from_be_bytes([*high, *low])).saturating_add(269), rest))
        }
        (13 | 14, _) => Err(Flaw::TruncatedToken),
        _ => Err(Flaw::ReservedTokenLength),
    }
}

/// Walks the options and says how many bytes they take.
fn measure_options(bytes: &[u8]) -> Result<usize, Flaw> {
    let mut rest = bytes;
    let mut number = 0u16;
    loop {
        match rest {
            [] | [PAYLOAD_MARKER, ..] => return Ok(bytes.len().saturating_sub(rest.len())),
            _ => {
                let (delta, _, after) = split_option(rest)?;
                number = number.checked_add(delta).ok_or(Flaw::OptionNumberTooLarge)?;
                rest = after;
            }
        }
    }
}

/// Splits the first option off: its delta, its value and what follows.
fn split_option(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), Flaw> {
    let [first, rest @ ..] = bytes else {
        return Err(Flaw::TruncatedOption);
    };
    let (delta, rest) = parse_extended(first >> 4, rest)?;
    let (length, rest) = parse_extended(first & 15, rest)?;
    let (value, rest) = rest.split_at_checked(usize::from(length)).ok_or(Flaw::TruncatedOption)?;
    Ok((delta, value, rest))
}

fn parse_extended(nibble: u8, rest: &[u8]) -> Result<(u16, &[u8]), Flaw> {
    match (nibble, rest) {
        (0..=12, _) => Ok((u16::from(nibble), rest)),
        (13, [extra, rest @ ..]) => Ok((u16::from(*extra).saturating_add(13), rest)),
        (14, [high, low, rest @ ..]) => {
            let value = u16::from_be_bytes([*high, *low]);
            Ok((value.checked_add(269).ok_or(Flaw::OptionNumberTooLarge)?, rest))
        }
        (13 | 14, _) => Err(Flaw::TruncatedOption),
        _ => Err(Flaw::ReservedOptionNibble),
    }
}

fn is_well_formed(number: OptionNumber, value: &[u8], repeated: bool) -> bool {
    let Some(definition) = number.definition() else {
        return true;
    };
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    (definition.repeatable || !repeated)
        && (definition.min_length..=definition.max_length).contains(&length)
        && (definition.format != OptionFormat::String || core::str::from_utf8(value).is_ok())
}

/// A big-endian number of at most four bytes; leading zeros are tolerated (RFC 7252 section 3.2).
#[must_use]
pub fn parse_uint(bytes: &[u8]) -> Option<u32> {
    (bytes.len() <= 4).then(|| bytes.iter().fold(0u32, |n, byte| (n << 8) | u32::from(*byte)))
}

/// The options of a message: an iterator over borrowed values.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> Iterator for Options<'a> {
    type Item = (OptionNumber, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // `Message::parse` has walked these bytes already, so an error cannot come up again.
        let (delta, value, rest) = split_option(self.rest).ok()?;
        self.number = self.number.saturating_add(delta);
        self.rest = rest;
        Some((OptionNumber(self.number), value))
    }
}

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The buffer is too small.
    BufferTooSmall,
    /// An option came after one of a higher number.
    OptionOutOfOrder(OptionNumber),
    /// A token over 65804 bytes, or an option's value over 65804.
    TooLong,
}

impl core::fmt::Display for WriteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BufferTooSmall => f.write_str("the message does not fit the buffer"),
            Self::OptionOutOfOrder(number) => {
                write!(f, "option {} was written after one of a higher number", number.0)
            }
            Self::TooLong => f.write_str("a token or an option's value is too long for CoAP"),
        }
    }
}

impl core::error::Error for WriteError {}

/// The first four bytes and the token of a message.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The type.
    pub kind: Kind,
    /// The code.
    pub code: Code,
    /// The message id.
    pub message_id: u16,
    /// The token.
    pub token: &'a [u8],
}

/// Writes a message into a buffer: header, options in ascending order, payload.
///
/// Errors stick: the calls can be chained, and [`MessageWriter::finish`] tells.
///
/// ```
/// use buoy_coap::number::{Code, OptionNumber};
/// use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
///
/// let mut buffer = [0; 64];
/// let header = Header { kind: Kind::Confirmable, code: Code::GET, message_id: 7, token: b"t" };
/// let mut writer = MessageWriter::new(&mut buffer, header);
/// writer.option(OptionNumber::URI_PATH, b"3").option(OptionNumber::URI_PATH, b"0");
/// let length = writer.finish()?;
///
/// let message = Message::parse(&buffer[..length]).unwrap();
/// assert_eq!(message.values(OptionNumber::URI_PATH).collect::<Vec<_>>(), [b"3", b"0"]);
/// # Ok::<(), buoy_coap::wire::WriteError>(())
/// ```
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut [u8],
    length: usize,
    last_option: u16,
    error: Option<WriteError>,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message.
    #[must_use]
    pub fn new(buffer: &'b mut [u8], header: Header<'_>) -> Self {
        let mut writer = Self { buffer, length: 0, last_option: 0, error: None };
        writer.put_header(header);
        writer
    }

    fn put_header(&mut self, header: Header<'_>) {
        let Some((nibble, extended)) = encode_extended(header.token.len()) else {
            self.error = Some(WriteError::TooLong);
            return;
        };
        let [id_high, id_low] = header.message_id.to_be_bytes();
        let first = (VERSION << 6) | (header.kind.to_bits() << 4) | nibble;
        self.put(&[first, header.code.to_byte(), id_high, id_low]);
        self.put(extended.as_slice());
        self.put(header.token);
    }

    /// Changes the code that the header has.
    pub fn code(&mut self, code: Code) -> &mut Self {
        if let Some(byte) = self.buffer.get_mut(1) {
            *byte = code.to_byte();
        }
        self
    }

    /// Appends an option. Options come in ascending order of their numbers.
    pub fn option(&mut self, number: OptionNumber, value: &[u8]) -> &mut Self {
        let Some(delta) = number.0.checked_sub(self.last_option) else {
            self.error.get_or_insert(WriteError::OptionOutOfOrder(number));
            return self;
        };
        let (Some((delta_nibble, delta_bytes)), Some((length_nibble, length_bytes))) =
            (encode_extended(usize::from(delta)), encode_extended(value.len()))
        else {
            self.error.get_or_insert(WriteError::TooLong);
            return self;
        };
        self.last_option = number.0;
        self.put(&[(delta_nibble << 4) | length_nibble]);
        self.put(delta_bytes.as_slice());
        self.put(length_bytes.as_slice());
        self.put(value);
        self
    }

    /// Appends a numeric option in its shortest form.
    pub fn uint(&mut self, number: OptionNumber, value: u32) -> &mut Self {
        let bytes = value.to_be_bytes();
        let skip = (value.leading_zeros() / 8) as usize;
        self.option(number, bytes.get(skip..).unwrap_or_default())
    }

    /// Appends the Content-Format.
    pub fn content_format(&mut self, format: ContentFormat) -> &mut Self {
        self.uint(OptionNumber::CONTENT_FORMAT, u32::from(format.0))
    }

    /// Appends the payload, which ends the message. An empty one writes nothing.
    pub fn payload(&mut self, payload: &[u8]) -> &mut Self {
        if !payload.is_empty() {
            self.put(&[PAYLOAD_MARKER]);
            self.put(payload);
        }
        self
    }

    /// Lets `fill` write the payload in place; it returns how many bytes it wrote.
    ///
    /// # Errors
    /// What `fill` returns; the message then has no payload and may be written on.
    pub fn payload_with<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let start = self.length.saturating_add(1);
        let room = self.buffer.get_mut(start..).unwrap_or_default();
        let written = fill(room)?.min(room.len());
        if written > 0 {
            self.put(&[PAYLOAD_MARKER]);
            self.length = start.saturating_add(written);
        }
        Ok(())
    }

    /// How many bytes a payload could still take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.length).saturating_sub(1)
    }

    /// Drops everything behind the header and the token, so that another answer can be written.
    pub fn restart(&mut self, header: Header<'_>) {
        self.length = 0;
        self.last_option = 0;
        self.error = None;
        self.put_header(header);
    }

    /// Ends the message and says how many bytes of the buffer it takes.
    ///
    /// # Errors
    /// The first thing that went wrong since [`MessageWriter::new`].
    pub fn finish(&self) -> Result<usize, WriteError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.length),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.buffer.get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            None => {
                self.error.get_or_insert(WriteError::BufferTooSmall);
            }
        }
    }
}

/// Up to two bytes that extend a nibble.
#[derive(Clone, Copy)]
struct Extension {
    bytes: [u8; 2],
    length: usize,
}

impl Extension {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A nibble and its extension for a delta or a length (RFC 7252 section 3.1); `None` over 65804.
fn encode_extended(value: usize) -> Option<(u8, Extension)> {
    let value = u32::try_from(value).ok()?;
    if value < 13 {
        return Some((value as u8, Extension { bytes: [0; 2], length: 0 }));
    }
    if value < 269 {
        return Some((13, Extension { bytes: [value.wrapping_sub(13) as u8, 0], length: 1 }));
    }
    let rest = u16::try_from(value.wrapping_sub(269)).ok()?;
    Some((14, Extension { bytes: rest.to_be_bytes(), length: 2 }))
}

/// The four bytes of an empty message: an acknowledgement, a Reset or a ping.
#[must_use]
pub const fn empty_message(kind: Kind, message_id: u16) -> [u8; HEADER_LENGTH] {
    let [high, low] = message_id.to_be_bytes();
    [(VERSION << 6) | (kind.to_bits() << 4), 0, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flaw(datagram: &[u8]) -> Flaw {
        match Message::parse(datagram) {
            Err(ParseError::Malformed { flaw, .. }) => flaw,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_of_another_version_or_of_three_bytes_is_not_coap() {
        assert_eq!(Message::parse(&[0x80, 1, 0, 0]).unwrap_err(), ParseError::NotCoap);
        assert_eq!(Message::parse(&[0x40, 1, 0]).unwrap_err(), ParseError::NotCoap);
    }

    #[test]
    fn each_breach_of_the_format_has_its_name() {
        assert_eq!(flaw(&[0x4f, 1, 0, 0]), Flaw::ReservedTokenLength);
        assert_eq!(flaw(&[0x42, 1, 0, 0, 9]), Flaw::TruncatedToken);
        assert_eq!(flaw(&[0x4d, 1, 0, 0]), Flaw::TruncatedToken);
        assert_eq!(flaw(&[0x40, 1, 0, 0, 0xf0]), Flaw::ReservedOptionNibble);
        assert_eq!(flaw(&[0x40, 1, 0, 0, 0xb2, b'a']), Flaw::TruncatedOption);
        assert_eq!(flaw(&[0x40, 1, 0, 0, 0xe0, 0xff, 0xff]), Flaw::OptionNumberTooLarge);
        assert_eq!(flaw(&[0x40, 1, 0, 0, 0xff]), Flaw::EmptyPayload);
        assert_eq!(flaw(&[0x40, 0, 0, 0, 1]), Flaw::EmptyMessageWithContent);
    }

    #[test]
    fn long_tokens_of_rfc_8974_round_trip() {
        for length in [0, 8, 12, 13, 268, 269, 1000] {
            let token = vec![7; length];
            let mut buffer = [0; 1100];
            let header =
                Header { kind: Kind::NonConfirmable, code: Code::CONTENT, message_id: 1, token: &token };
            let length = MessageWriter::new(&mut buffer, header).payload(b"x").finish().unwrap();
            let message = Message::parse(&buffer[..length]).unwrap();
            assert_eq!((message.token(), message.payload()), (&token[..], &b"x"[..]));
        }
    }

    #[test]
    fn an_unknown_critical_option_is_found_and_an_elective_one_is_passed_over() {
        let critical = [0x40, 1, 0, 0, 0xd0, 12];
        let elective = [0x40, 1, 0, 0, 0xd0, 11];
        let check =
            |bytes: &[u8]| Message::parse(bytes).unwrap().check_critical(|n| n.definition().is_some());
        assert_eq!(check(&critical), Err(OptionNumber(25)));
        assert_eq!(check(&elective), Ok(()));
    }

    #[test]
    fn a_second_uri_host_and_a_bad_utf8_path_are_refused() {
        let twice = [0x40, 1, 0, 0, 0x31, b'a', 0x01, b'b'];
        let not_text = [0x40, 1, 0, 0, 0xb1, 0xff];
        let check = |bytes: &[u8]| Message::parse(bytes).unwrap().check_critical(|_| true);
        assert_eq!(check(&twice), Err(OptionNumber::URI_HOST));
        assert_eq!(check(&not_text), Err(OptionNumber::URI_PATH));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id: u16,
            token in proptest::collection::vec(any::<u8>(), 0..20),
            mut options in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..6),
            payload in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            options.sort_by_key(|(number, _)| *number);
            let mut buffer = vec![0; 4096];
            let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id: id, token: &token };
            let mut writer = MessageWriter::new(&mut buffer, header);
            for (number, value) in &options {
                writer.option(OptionNumber(*number), value);
            }
            let length = writer.payload(&payload).finish().unwrap();
            let message = Message::parse(&buffer[..length]).unwrap();
            let read: Vec<_> = message.options().map(|(n, v)| (n.0, v.to_vec())).collect();
            prop_assert_eq!(read, options);
            prop_assert_eq!(message.token(), &token[..]);
            prop_assert_eq!(message.payload(), &payload[..]);
        }

        #[test]
        fn no_datagram_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(message) = Message::parse(&bytes) {
                let _ = message.options().count();
                let _ = message.check_critical(|_| true);
            }
        }
    }
}
