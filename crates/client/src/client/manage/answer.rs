//! How a request is answered, and how a refusal is.

use buoy_coap::block::{BadBlock, Block, BlockSize, block_option, slice};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Message, MessageWriter};
use buoy_lwm2m::operation::{BadRequest, Location, Response};
use buoy_lwm2m::path::Path;

use crate::client::digest;
use crate::object::Refusal;

/// An answer; its payload is the beginning of a buffer.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Answer {
    pub(super) code: Code,
    pub(super) observe: Option<u32>,
    pub(super) created: Option<Path>,
    pub(super) format: Option<ContentFormat>,
    pub(super) length: usize,
    pub(super) block1: Option<Block>,
    pub(super) size1: Option<u32>,
}

impl Answer {
    pub(in super::super) const fn of(code: Code) -> Self {
        Self { code, observe: None, created: None, format: None, length: 0, block1: None, size1: None }
    }

    pub(in super::super) const fn content(format: ContentFormat, length: usize) -> Self {
        Self { format: Some(format), length, ..Self::of(Code::CONTENT) }
    }

    pub(in super::super) const fn with_block1(self, block1: Option<Block>) -> Self {
        Self { block1, ..self }
    }
}

/// A refusal, with the Block1 and the Size1 of its answer.
pub(in super::super) type Failure = (Refusal, Option<Block>, Option<u32>);

pub(in super::super) fn plain(refusal: Refusal) -> Failure {
    (refusal, None, None)
}

pub(in super::super) fn refusal_of(bad: BadRequest) -> Refusal {
    let words = match bad {
        BadRequest::NotFound => "nothing lives at this path",
        BadRequest::MethodNotAllowed => "the method does nothing at this path",
        BadRequest::UnsupportedOption(_) => "an option is not understood",
        BadRequest::PeerSentNoContentFormat => "the payload doesn't say its content format",
        BadRequest::UnsupportedContentFormat(_) => "that content format can't be used for this",
        BadRequest::Attribute(_) => "the attributes can't be set so",
        _ => "the request is malformed",
    };
    Refusal::new(bad.code(), words)
}

pub(in super::super) fn bad_block(bad: BadBlock) -> Refusal {
    let words = match bad {
        BadBlock::OutOfOrder => "the block is not the one that comes next; begin again with block 0",
        BadBlock::TooLarge => "the body is larger than this device's memory",
        _ => "the block doesn't fit its number and size",
    };
    Refusal::new(bad.code(), words)
}

pub(in super::super) fn write_answer(
    writer: &mut MessageWriter<'_>,
    request: &Message<'_>,
    answer: &Answer,
    body: &[u8],
    largest: BlockSize,
) -> Result<(), Failure> {
    let asked = block_option(request, OptionNumber::BLOCK2).map_err(|bad| plain(bad_block(bad)))?;
    let whole = body.get(..answer.length).unwrap_or_default();
    let (block, range) = slice(asked, largest, whole.len()).map_err(|bad| plain(bad_block(bad)))?;
    let in_blocks = block.more() || block.offset() > 0 || (asked.is_some() && !whole.is_empty());
    let response = Response {
        code: answer.code,
        observe: answer.observe,
        location: answer.created.map(Location::of_path),
        content_format: answer.format,
        payload: whole.get(range).unwrap_or_default(),
    };
    writer.code(response.code);
    if in_blocks {
        writer.option(OptionNumber::ETAG, &digest(whole).to_be_bytes());
    }
    for (number, value) in response.options() {
        writer.option(number, &value);
    }
    if in_blocks {
        writer.uint(OptionNumber::BLOCK2, block.to_uint());
    }
    if let Some(block) = answer.block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    // RFC 7959 section 4: who asks for the size is told it.
    let asks_size = request.value(OptionNumber::SIZE2).is_some() && answer.format.is_some();
    if (in_blocks && block.offset() == 0) || asks_size {
        writer.uint(OptionNumber::SIZE2, whole.len() as u32);
    }
    if let Some(size) = answer.size1 {
        writer.uint(OptionNumber::SIZE1, size);
    }
    writer.payload(response.payload);
    Ok(())
}

pub(in super::super) fn write_refusal(
    writer: &mut MessageWriter<'_>,
    refusal: Refusal,
    block1: Option<Block>,
    size1: Option<u32>,
) {
    writer.code(refusal.code);
    if let Some(block) = block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    if let Some(size) = size1 {
        writer.uint(OptionNumber::SIZE1, size);
    }
    writer.payload(refusal.words.as_bytes());
}
