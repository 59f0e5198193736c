//! Fetching a package by CoAP (GET with Block2, RFC 7959), over a socket of its own.
//!
//! A [`CoapFetch`] brings one file to the [`FirmwareUpdate`] object, which says where to go on. The shell resolves
//! [`CoapFetch::host`], opens a socket, and drives the fetch as it drives the client.

use core::time::Duration;

use buoy_coap::block::{BadBlock, BlockSize, Download as Blocks};
use buoy_coap::buffer::{Inline, Pool};
use buoy_coap::endpoint::{
    Delivery, Due, FixedEndpoint, MessageIds, Outgoing, Parameters, Purpose, Received, Token,
};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Kind, Message, MessageWriter};
use rand_core::Rng;

use super::{Download, DownloadError, FILE_URI_MAX, Fetch, FirmwareTarget, FirmwareUpdate};
use crate::object::Context;
use crate::shape::UpTo;
use crate::text::{Bytes, Text};

/// The longest request: a URI and a few options.
const REQUEST: usize = 384;
/// How often a silent server is asked again, after all repetitions of one request.
const ATTEMPTS: u8 = 5;
/// The pause before that.
const PAUSE: Duration = Duration::from_secs(30);

/// One file on its way in.
pub struct CoapFetch<R> {
    endpoint: FixedEndpoint<(), Pool<REQUEST>, Inline<8>, 1, 2>,
    rng: R,
    ids: MessageIds,
    uri: Text<FILE_URI_MAX>,
    blocks: Blocks,
    size: BlockSize,
    /// The ETag that the firmware object knows, once it has been asked.
    etag: Option<Bytes<UpTo<8>>>,
    /// What the server last wanted to see again (RFC 9175, section 2.3): it proves that this address is the device's.
    echo: Bytes<UpTo<40>>,
    /// The request under way is one that was made again to show it.
    shows_echo: bool,
    /// Token and message id of the last request.
    asked: Option<(Token, u16)>,
    failures: u8,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The next request is to be sent at that time.
    Ask(Instant),
    Wait,
    Done,
}

/// The parts of a `coap` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Uri<'a> {
    host: &'a str,
    port: u16,
    path: &'a str,
    query: &'a str,
}

impl<R: Rng> CoapFetch<R> {
    /// Begins to fetch what the firmware object wants, in blocks of at most `size`.
    ///
    /// # Errors
    /// [`DownloadError`] for a URI that isn't `coap` or `coaps`, which the shell passes on to the firmware object.
    pub fn new(download: &Download, size: BlockSize, mut rng: R) -> Result<Self, DownloadError> {
        Uri::parse(download.uri.as_str())?;
        Ok(Self {
            endpoint: FixedEndpoint::fixed(Parameters::default(), &mut rng),
            ids: MessageIds::random(&mut rng),
            rng,
            uri: download.uri,
            blocks: Blocks::new(size),
            size,
            etag: None,
            echo: Bytes::EMPTY,
            shows_echo: false,
            asked: None,
            failures: 0,
            next: Next::Ask(Instant::ZERO),
        })
    }

    /// The same fetch for a session that the client has with this server: with
    /// [`Client::distant_message_ids`](crate::Client::distant_message_ids), so that neither takes the other's ids.
    #[must_use]
    pub fn with_message_ids(self, ids: MessageIds) -> Self {
        Self { ids, ..self }
    }

    /// Whether a datagram in a session that the client has with this server is for the fetch.
    #[must_use]
    pub fn expects(&self, datagram: &[u8]) -> bool {
        let (Some((token, message_id)), Ok(message)) = (self.asked, Message::parse(datagram)) else {
            return false;
        };
        match message.code() {
            Code::EMPTY => message.message_id() == message_id && message.kind() != Kind::Confirmable,
            code => !code.is_request() && message.token() == token.as_slice(),
        }
    }

    /// The server: a name or an address, and a port.
    #[must_use]
    pub fn host(&self) -> (&str, u16) {
        Uri::parse(self.uri.as_str()).map_or(("", 0), |uri| (uri.host, uri.port))
    }

    /// Whether the file is whole or given up.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next == Next::Done
    }

    /// When [`CoapFetch::poll_transmit`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.next {
            Next::Done => None,
            Next::Ask(at) => Some(at),
            Next::Wait => self.endpoint.next_deadline(),
        }
    }

    /// Takes a datagram from the server; says how many bytes of `out` are to be sent back.
    pub fn handle_datagram<T: FirmwareTarget>(
        &mut self,
        now: Instant,
        datagram: &[u8],
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> usize {
        match self.endpoint.receive(now, (), datagram, out) {
            Received::Answered(length) => length,
            Received::Response { message, answer, .. } => {
                if self.next != Next::Done {
                    self.take(now, &message, firmware, context);
                }
                answer
            }
            Received::Reset(_) => {
                self.stumble(now, firmware, context);
                0
            }
            _ => 0,
        }
    }

    /// Writes the next datagram to send into `out`; to be called until `None`.
    pub fn poll_transmit<T: FirmwareTarget>(
        &mut self,
        now: Instant,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        loop {
            if firmware.download().is_none_or(|wanted| wanted.uri != self.uri) {
                self.next = Next::Done;
            }
            match self.next {
                Next::Done => return None,
                Next::Ask(at) if at <= now => self.ask(now, firmware, context),
                _ => {}
            }
            match self.endpoint.poll(now) {
                Some(Due::Transmit { datagram, .. }) => {
                    out.get_mut(..datagram.len())?.copy_from_slice(datagram);
                    return Some(datagram.len());
                }
                Some(Due::TimedOut { .. }) => self.stumble(now, firmware, context),
                None => return None,
            }
        }
    }

    fn ask<T: FirmwareTarget>(
        &mut self,
        now: Instant,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
    ) {
        let (text, echo) = (self.uri, self.echo);
        let (Ok(uri), Some(block)) = (Uri::parse(text.as_str()), self.blocks.block()) else {
            self.give_up(firmware, context, DownloadError::InvalidUri);
            return;
        };
        let outgoing = Outgoing {
            peer: (),
            purpose: Purpose::Request,
            delivery: Delivery::Confirmable,
            code: Code::GET,
            token: Token::random(&mut self.rng),
            message_id: self.ids.next_id(),
            tag: 0,
        };
        let sent = self.endpoint.send(now, &mut self.rng, outgoing, |writer| {
            uri.write(writer);
            writer.uint(OptionNumber::BLOCK2, block.to_uint());
            if block.offset() == 0 {
                writer.uint(OptionNumber::SIZE2, 0);
            }
            if !echo.is_empty() {
                writer.option(OptionNumber::ECHO, echo.as_slice());
            }
        });
        self.next = Next::Wait;
        self.asked = Some((outgoing.token, outgoing.message_id));
        if sent.is_err() {
            self.give_up(firmware, context, DownloadError::InvalidUri);
        }
    }

    fn take<T: FirmwareTarget>(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
    ) {
        if self.is_to_show_echo(message) {
            self.next = Next::Ask(now);
            return;
        }
        let piece = match self.blocks.received_block(message) {
            Ok(piece) => piece,
            Err(BadBlock::Refused(code)) if code.class() == 4 && code != Code::TOO_MANY_REQUESTS => {
                self.give_up(firmware, context, DownloadError::InvalidUri);
                return;
            }
            Err(BadBlock::BodyChanged) => {
                // Another revision of the file: from its beginning.
                (self.blocks, self.etag) = (Blocks::new(self.size), None);
                self.stumble(now, firmware, context);
                return;
            }
            Err(_) => {
                self.stumble(now, firmware, context);
                return;
            }
        };
        self.failures = 0;
        let etag = Bytes::new(self.blocks.etag().unwrap_or_default()).unwrap_or_default();
        let mut from = piece.offset as u32;
        if self.etag != Some(etag) {
            self.etag = Some(etag);
            match firmware.download_begin(context, etag.as_slice(), piece.total) {
                Fetch::Stop => {
                    self.next = Next::Done;
                    return;
                }
                Fetch::From(offset) => from = offset,
            }
        }
        let end = piece.offset.saturating_add(piece.bytes.len());
        if from as usize > end {
            // The device has more than that already.
            self.blocks = Blocks::resume(from as usize, self.size, etag.as_slice());
            self.next = Next::Ask(now);
            return;
        }
        let wanted = firmware.download_chunk(context, piece.offset as u32, piece.bytes);
        self.next = match (wanted, piece.is_last) {
            (false, _) => Next::Done,
            (true, false) => Next::Ask(now),
            (true, true) => {
                firmware.download_done(context);
                Next::Done
            }
        };
    }

    /// Whether to ask again with what the server wants to see. Until it has seen it, it refuses, or gives small blocks, which
    /// would stay small.
    fn is_to_show_echo(&mut self, message: &Message<'_>) -> bool {
        let asked_again = core::mem::take(&mut self.shows_echo);
        let Some(Ok(echo)) = message.value(OptionNumber::ECHO).map(Bytes::new) else { return false };
        let is_new = echo != self.echo;
        self.echo = echo;
        self.shows_echo = is_new && !asked_again;
        self.shows_echo
    }

    /// Tries again after a pause, unless it has done so too often.
    fn stumble<T: FirmwareTarget>(
        &mut self,
        now: Instant,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
    ) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > ATTEMPTS {
            self.give_up(firmware, context, DownloadError::ConnectionLost);
        } else {
            self.next = Next::Ask(now.after(PAUSE));
        }
    }

    fn give_up<T: FirmwareTarget>(
        &mut self,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        error: DownloadError,
    ) {
        self.next = Next::Done;
        firmware.download_failed(context, error);
    }
}

impl<'a> Uri<'a> {
    fn parse(text: &'a str) -> Result<Self, DownloadError> {
        let (scheme, rest) = text.split_once("://").ok_or(DownloadError::InvalidUri)?;
        // The same in any case (RFC 3986 section 3.1).
        let mut known = [("coap", 5683), ("coaps", 5684)].into_iter();
        let usual = known.find_map(|(name, port)| name.eq_ignore_ascii_case(scheme).then_some(port));
        let usual = usual.ok_or(DownloadError::UnsupportedProtocol)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).ok_or(DownloadError::InvalidUri)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // An IPv6 address stands in brackets, and has colons of its own.
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => {
                let (host, port) = address.split_once(']').ok_or(DownloadError::InvalidUri)?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| DownloadError::InvalidUri))?;
        if host.is_empty() { Err(DownloadError::InvalidUri) } else { Ok(Self { host, port, path, query }) }
    }

    fn write(&self, writer: &mut MessageWriter<'_>) {
        for segment in self.path.split('/').filter(|segment| !segment.is_empty()) {
            write_part(writer, OptionNumber::URI_PATH, segment);
        }
        for query in self.query.split('&').filter(|query| !query.is_empty()) {
            write_part(writer, OptionNumber::URI_QUERY, query);
        }
    }
}

/// Writes a part of a URI with its percent signs resolved (RFC 7252 section 6.4).
fn write_part(writer: &mut MessageWriter<'_>, number: OptionNumber, text: &str) {
    let mut decoded = Bytes::<UpTo<255>>::EMPTY;
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match (first, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let byte = escaped.map_or(*first, |(high, low)| (high << 4) | low);
        rest = if escaped.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
        let _fits = decoded.extend(&[byte]);
    }
    writer.option(number, decoded.as_slice());
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}
