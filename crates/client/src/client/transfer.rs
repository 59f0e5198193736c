//! Bodies that servers send in blocks (RFC 7959, Block1): collected, or passed on piece by piece.

use buoy_coap::block::Assembly;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::path::Path;

use crate::effects::ServerSlot;
use crate::object::{Refusal, refusal};
use crate::shape::UpTo;
use crate::text::Bytes;

/// One body on its way in. There is one at a time: a chip has no memory for more.
pub(crate) struct Transfer {
    pub(crate) key: Key,
    pub(crate) assembly: Assembly,
    pub(crate) sink: Sink,
    pub(crate) touched: Instant,
}

/// Which request the blocks belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) server: ServerSlot,
    pub(crate) code: Code,
    pub(crate) path: Path,
    /// Request-Tag (RFC 9175).
    pub(crate) tag: Bytes<UpTo<8>>,
}

impl Key {
    pub(crate) fn of(server: ServerSlot, path: Path, message: &Message<'_>) -> Self {
        let tag = message.value(OptionNumber::REQUEST_TAG).unwrap_or_default();
        Self { server, code: message.code(), path, tag: Bytes::new(tag).unwrap_or_default() }
    }
}

/// Where the blocks go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sink {
    /// The client's memory for bodies.
    Collect,
    /// The object. The value starts so many bytes behind the body's start, and ends where the body ends unless its length is known.
    Stream { head: usize, length: Option<usize> },
}

/// What has become of a body that came whole.
pub(crate) enum Body1 {
    /// It is in the memory for bodies.
    Collected,
    /// The object has it.
    Streamed,
}

/// The bytes in front of an opaque value in its content format, and the value's length if they say it.
pub(crate) fn value_head(
    format: ContentFormat,
    path: Path,
    bytes: &[u8],
) -> Result<(usize, Option<usize>), Refusal> {
    const MALFORMED: Refusal =
        refusal!(Code::BAD_REQUEST, "the payload's first bytes are no value of this resource");
    match format {
        ContentFormat::OCTET_STREAM => Ok((0, None)),
        ContentFormat::TLV => tlv_head(path, bytes).ok_or(MALFORMED),
        ContentFormat::CBOR => cbor_head(bytes).ok_or(MALFORMED),
        _ => Err(refusal!(Code::UNSUPPORTED_CONTENT_FORMAT, "a package comes as opaque bytes, TLV or CBOR")),
    }
}

/// A resource with a value: type, one or two bytes of id, none to three of length.
fn tlv_head(path: Path, bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let (kind, rest) = bytes.split_first()?;
    if kind >> 6 != 3 {
        return None;
    }
    let (id, rest) = rest.split_at_checked(if kind & 0x20 == 0 { 1 } else { 2 })?;
    let length_size = usize::from((kind >> 3) & 3);
    let (length, rest) = rest.split_at_checked(length_size)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    let length = if length_size == 0 { usize::from(kind & 7) } else { number(length) };
    let is_named = path.resource_id().map(usize::from) == Some(number(id));
    is_named.then(|| (bytes.len().saturating_sub(rest.len()), Some(length)))
}

fn cbor_head(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let (first, rest) = bytes.split_first()?;
    let size = match (first >> 5, first & 31) {
        (2, short @ 0..=23) => return Some((1, Some(usize::from(short)))),
        (2, 24) => 1,
        (2, 25) => 2,
        (2, 26) => 4,
        _ => return None,
    };
    let length = rest.get(..size)?.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    Some((usize::from(size as u8).saturating_add(1), Some(length)))
}
