//! How a request is answered, and how a refusal is.

use buoy_coap::block::{BadBlock, Block, BlockSize, block_option, slice};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Message, MessageWriter};
use buoy_lwm2m::operation::{BadRequest, Location, Response};
use buoy_lwm2m::path::Path;

use crate::client::digest;
use crate::object::{Refusal, refusal};

/// An answer; its payload is the beginning of a buffer.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Answer {
    pub(super) code: Code,
    pub(super) observe: Option<u32>,
    pub(super) created: Option<Path>,
    pub(super) format: Option<ContentFormat>,
    pub(super) length: usize,
}

impl Answer {
    pub(in super::super) const fn of(code: Code) -> Self {
        Self { code, observe: None, created: None, format: None, length: 0 }
    }

    pub(in super::super) const fn content(format: ContentFormat, length: usize) -> Self {
        Self { format: Some(format), length, ..Self::of(Code::CONTENT) }
    }
}

/// What an answer or a refusal says besides.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Besides {
    pub(in super::super) block1: Option<Block>,
    /// The most bytes that there is room for.
    pub(in super::super) size1: Option<u32>,
    /// The code of any refusal.
    pub(in super::super) refused_with: Option<Code>,
}

pub(in super::super) fn refusal_of(bad: BadRequest) -> Refusal {
    match bad {
        BadRequest::NotFound => refusal!(Code::NOT_FOUND, "nothing lives at this path"),
        BadRequest::MethodNotAllowed => {
            refusal!(Code::METHOD_NOT_ALLOWED, "the method does nothing at this path")
        }
        BadRequest::UnsupportedOption(_) | BadRequest::PeerSentBadOption(_) => {
            refusal!(Code::BAD_OPTION, "an option is not understood")
        }
        BadRequest::PeerSentNoContentFormat => {
            refusal!(Code::BAD_REQUEST, "the payload doesn't say its content format")
        }
        BadRequest::UnsupportedContentFormat(_) => {
            refusal!(Code::UNSUPPORTED_CONTENT_FORMAT, "that content format can't be used for this")
        }
        BadRequest::Attribute(_) => refusal!(Code::BAD_REQUEST, "the attributes can't be set so"),
        _ => refusal!(Code::BAD_REQUEST, "the request is malformed"),
    }
}

pub(in super::super) fn bad_block(bad: BadBlock) -> Refusal {
    match bad {
        BadBlock::OutOfOrder => refusal!(
            Code::REQUEST_ENTITY_INCOMPLETE,
            "the block is not the one that comes next; begin again with block 0"
        ),
        BadBlock::TooLarge => {
            refusal!(Code::REQUEST_ENTITY_TOO_LARGE, "the body is larger than this device's memory")
        }
        _ => refusal!(Code::BAD_REQUEST, "the block doesn't fit its number and size"),
    }
}

/// Writes the answer to a request, or why there is none.
pub(in super::super) fn write_outcome(
    writer: &mut MessageWriter<'_>,
    request: &Message<'_>,
    outcome: Result<Answer, Refusal>,
    besides: &Besides,
    body: &[u8],
    largest: BlockSize,
) {
    let written = outcome.and_then(|answer| write_answer(writer, request, &answer, besides, body, largest));
    if let Err(refusal) = written {
        writer.code(besides.refused_with.unwrap_or(refusal.code()));
        write_besides(writer, besides);
        writer.payload(refusal.words().as_bytes());
    }
}

fn write_answer(
    writer: &mut MessageWriter<'_>,
    request: &Message<'_>,
    answer: &Answer,
    besides: &Besides,
    body: &[u8],
    largest: BlockSize,
) -> Result<(), Refusal> {
    let asked = block_option(request, OptionNumber::BLOCK2).map_err(bad_block)?;
    let whole = body.get(..answer.length).unwrap_or_default();
    let (block, range) = slice(asked, largest, whole.len()).map_err(bad_block)?;
    let in_blocks = block.more() || block.offset() > 0 || (asked.is_some() && !whole.is_empty());
    writer.code(answer.code);
    if in_blocks {
        writer.option(OptionNumber::ETAG, &digest(whole).to_be_bytes());
    }
    let response = Response {
        code: answer.code,
        observe: answer.observe,
        location: answer.created.map(Location::of_path),
        content_format: answer.format,
        payload: whole.get(range).unwrap_or_default(),
    };
    response.each_option(&mut |number, value| {
        writer.option(number, value);
    });
    if in_blocks {
        writer.uint(OptionNumber::BLOCK2, block.to_uint());
    }
    if let Some(block) = besides.block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    // RFC 7959 section 4: who asks for the size is told it.
    let asks_size = request.value(OptionNumber::SIZE2).is_some() && answer.format.is_some();
    if (in_blocks && block.offset() == 0) || asks_size {
        writer.uint(OptionNumber::SIZE2, whole.len() as u32);
    }
    writer.payload(response.payload);
    Ok(())
}

fn write_besides(writer: &mut MessageWriter<'_>, besides: &Besides) {
    if let Some(block) = besides.block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    if let Some(size) = besides.size1 {
        writer.uint(OptionNumber::SIZE1, size);
    }
}
