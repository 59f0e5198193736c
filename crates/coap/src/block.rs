//! Block-wise transfer (RFC 7959): large bodies in pieces, in both directions and both roles.
//!
//! Four small machines keep the arithmetic and the negotiation; the bytes stay with their owner, so a body never has to be in
//! memory whole. [`Upload`] sends a request's body (Block1) and [`Assembly`] receives one; [`Download`] receives a response's
//! body (Block2) and [`slice()`] cuts one.

use core::ops::Range;

use crate::number::{Code, OptionNumber};
use crate::wire::Message;

/// The largest block number: 20 bits.
const MAX_NUMBER: u32 = (1 << 20) - 1;

/// The size of a block: 16 to 1024 bytes, a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 16 bytes
    pub const MIN: Self = Self(0);
    /// 1024 bytes
    pub const MAX: Self = Self(6);

    /// The largest size that is no more than `bytes`; never under 16.
    #[must_use]
    pub const fn at_most(bytes: usize) -> Self {
        let mut size = Self::MAX;
        while size.0 > 0 && size.bytes() > bytes {
            size = Self(size.0.wrapping_sub(1));
        }
        size
    }

    /// Bytes a block.
    #[must_use]
    pub const fn bytes(self) -> usize {
        16 << self.0
    }

    const fn shift(self) -> u32 {
        (self.0 as u32).saturating_add(4)
    }
}

/// The value of a Block1 or Block2 option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    number: u32,
    more: bool,
    size: BlockSize,
}

impl Block {
    /// The block at a byte offset; `None` if the offset is no multiple of the size or too large.
    #[must_use]
    pub fn at(offset: usize, more: bool, size: BlockSize) -> Option<Self> {
        let number = u32::try_from(offset >> size.shift()).ok().filter(|number| *number <= MAX_NUMBER)?;
        (offset & size.bytes().wrapping_sub(1) == 0).then_some(Self { number, more, size })
    }

    /// Reads an option's number; `None` for the reserved size 7.
    #[must_use]
    pub fn from_uint(value: u32) -> Option<Self> {
        let size = (value & 7) as u8;
        (size <= BlockSize::MAX.0 && value >> 4 <= MAX_NUMBER).then_some(Self {
            number: value >> 4,
            more: value & 8 != 0,
            size: BlockSize(size),
        })
    }

    /// The option's number.
    #[must_use]
    pub const fn to_uint(self) -> u32 {
        (self.number << 4) | ((self.more as u32) << 3) | self.size.0 as u32
    }

    /// Where the block starts in the body, in bytes.
    #[must_use]
    pub const fn offset(self) -> usize {
        (self.number as usize) << self.size.shift()
    }

    /// Whether more blocks follow.
    #[must_use]
    pub const fn more(self) -> bool {
        self.more
    }

    /// The size of the blocks.
    #[must_use]
    pub const fn size(self) -> BlockSize {
        self.size
    }
}

/// A message's Block1 or Block2 option.
///
/// # Errors
/// [`BadBlock`] if it is there and has the reserved size.
pub fn block_option(message: &Message<'_>, number: OptionNumber) -> Result<Option<Block>, BadBlock> {
    match message.value(number) {
        None => Ok(None),
        Some(bytes) => {
            crate::wire::parse_uint(bytes).and_then(Block::from_uint).map(Some).ok_or(BadBlock::ReservedSize)
        }
    }
}

/// Why a block doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadBlock {
    /// The size exponent is the reserved 7.
    ReservedSize,
    /// It starts behind the body's end.
    BehindTheEnd,
    /// It is not the one that comes next.
    OutOfOrder,
    /// Its payload is not as long as its size says, and it is not the last.
    WrongLength,
    /// The body would be larger than the receiver takes.
    TooLarge,
    /// The body changed between two blocks: another ETag.
    BodyChanged,
    /// The peer refused.
    Refused(Code),
    /// The peer's answer, though none of refusal, doesn't say that it has taken the block.
    NotContinued(Code),
}

impl BadBlock {
    /// The response code that says so to a client.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::OutOfOrder => Code::REQUEST_ENTITY_INCOMPLETE,
            Self::TooLarge => Code::REQUEST_ENTITY_TOO_LARGE,
            Self::Refused(code) => code,
            Self::ReservedSize
            | Self::BehindTheEnd
            | Self::WrongLength
            | Self::BodyChanged
            | Self::NotContinued(_) => Code::BAD_REQUEST,
        }
    }
}

impl core::fmt::Display for BadBlock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ReservedSize => f.write_str("the block size is the reserved 7"),
            Self::BehindTheEnd => f.write_str("the block lies behind the end of the body"),
            Self::OutOfOrder => f.write_str("the block is not the one that comes next"),
            Self::WrongLength => f.write_str("the block is not as long as its size says"),
            Self::TooLarge => f.write_str("the body is too large"),
            Self::BodyChanged => f.write_str("the body changed during the transfer"),
            Self::Refused(code) => write!(f, "the peer answered {code} to a block"),
            Self::NotContinued(code) => write!(f, "the peer answered {code} to a block without taking it"),
        }
    }
}

impl core::error::Error for BadBlock {}

/// Sends a body by Block1.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    total: usize,
    offset: usize,
    size: BlockSize,
}

/// What follows an answer to a block of an [`Upload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStep {
    /// Send the block that [`Upload::block`] now names.
    Next,
    /// The answer is the answer to the whole request.
    Done,
}

impl Upload {
    /// Starts to send a body of `total` bytes.
    #[must_use]
    pub const fn new(total: usize, size: BlockSize) -> Self {
        Self { total, offset: 0, size }
    }

    /// The block to send now, and which bytes of the body are in it.
    #[must_use]
    pub fn block(&self) -> Option<(Block, Range<usize>)> {
        let end = self.offset.saturating_add(self.size.bytes()).min(self.total);
        let block = Block::at(self.offset, end < self.total, self.size)?;
        Some((block, self.offset..end))
    }

    /// Bytes that the peer has taken.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.offset
    }

    /// Takes the answer to the block that was sent. A receiver may ask for smaller blocks, in 2.31 or in 4.13.
    ///
    /// A success that is not 2.31 is the answer to the whole request only if the block was the last one. Before that it goes on if
    /// it names the block: the receiver keeps nothing and has carried this block out alone (RFC 7959 section 2.3 and figure 8).
    /// Without Block1 the receiver took the block for the whole body (section 2.9.1 has no such answer), which must never pass for
    /// success.
    ///
    /// # Errors
    /// [`BadBlock::Refused`] if it refused a block, [`BadBlock::OutOfOrder`] if it acknowledged another one,
    /// [`BadBlock::NotContinued`] if it acknowledged none.
    pub fn answered(&mut self, answer: &Message<'_>) -> Result<UploadStep, BadBlock> {
        let answer_block = block_option(answer, OptionNumber::BLOCK1)?;
        match (answer.code(), answer_block) {
            (Code::REQUEST_ENTITY_TOO_LARGE, Some(block)) if block.size < self.size => {
                self.size = block.size;
                self.offset = 0;
                Ok(UploadStep::Next)
            }
            (code, _) if !code.is_success() => Err(BadBlock::Refused(code)),
            (code, None) if code == Code::CONTINUE || !self.is_last() => Err(BadBlock::NotContinued(code)),
            (Code::CONTINUE, Some(_)) if self.is_last() => Err(BadBlock::OutOfOrder),
            (_, Some(block)) if !self.is_last() && !self.is_ours(block) => Err(BadBlock::OutOfOrder),
            (_, Some(block)) if !self.is_last() => {
                self.offset = self.offset.saturating_add(self.size.bytes());
                self.size = self.size.min(block.size);
                Ok(UploadStep::Next)
            }
            _ => Ok(UploadStep::Done),
        }
    }

    /// Whether an answer speaks of the block that was sent. A smaller size in it is for the blocks to come: the block that was sent is
    /// acknowledged by its own number, though some receivers count it in blocks of the new size.
    fn is_ours(&self, block: Block) -> bool {
        block.number == (self.offset >> self.size.shift()) as u32
            || (block.size <= self.size && block.offset() == self.offset)
    }

    const fn is_last(&self) -> bool {
        self.offset.saturating_add(self.size.bytes()) >= self.total
    }
}

/// Receives a body by Block1. The owner keeps the bytes, and knows by peer, path and Request-Tag (RFC 9175) which body a block
/// belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Assembly {
    offset: usize,
    limit: usize,
    size: BlockSize,
}

/// What a block did for an [`Assembly`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// Append the payload, and answer 2.31 with this Block1 option.
    More(Block),
    /// Append the payload: the body is whole. The answer carries this Block1 option.
    Complete(Block),
    /// The peer sent the block before once more: its acknowledgement was lost. Answer 2.31 with this Block1 option.
    Repeated(Block),
}

impl Assembly {
    /// Expects a body of at most `limit` bytes, in blocks of at most `size`.
    #[must_use]
    pub const fn new(limit: usize, size: BlockSize) -> Self {
        Self { offset: 0, limit, size }
    }

    /// Bytes taken so far.
    #[must_use]
    pub const fn received(&self) -> usize {
        self.offset
    }

    /// Takes a block with a payload of `length` bytes; `announced` is the request's Size1.
    ///
    /// # Errors
    /// [`BadBlock`], whose [`BadBlock::code`] is the answer. A first block starts the body anew.
    pub fn accept(
        &mut self,
        block: Block,
        length: usize,
        announced: Option<u32>,
    ) -> Result<Assembled, BadBlock> {
        if block.number == 0 {
            self.offset = 0;
        }
        let is_whole = length == block.size.bytes();
        if length > block.size.bytes() || (block.more && !is_whole) {
            return Err(BadBlock::WrongLength);
        }
        let end = block.offset().saturating_add(length);
        if announced.is_some_and(|size| size as usize > self.limit) || end > self.limit {
            return Err(BadBlock::TooLarge);
        }
        let answer = Block { size: block.size.min(self.size), ..block };
        if block.number > 0 && end == self.offset && block.more {
            return Ok(Assembled::Repeated(answer));
        }
        if block.offset() != self.offset {
            return Err(BadBlock::OutOfOrder);
        }
        self.offset = end;
        Ok(if block.more { Assembled::More(answer) } else { Assembled::Complete(answer) })
    }
}

/// Receives a body by Block2.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    offset: usize,
    size: BlockSize,
    etag: Option<([u8; 8], u8)>,
}

/// A piece of a body that a [`Download`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where the piece belongs.
    pub offset: usize,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the body ends here.
    pub is_last: bool,
    /// The size of the whole body, if the peer told (Size2).
    pub total: Option<u32>,
}

impl Download {
    /// Starts at the body's first byte.
    #[must_use]
    pub const fn new(size: BlockSize) -> Self {
        Self { offset: 0, size, etag: None }
    }

    /// Goes on at `offset` (rounded down to a block) of the body with this ETag, after an interruption.
    #[must_use]
    pub fn resume(offset: usize, size: BlockSize, etag: &[u8]) -> Self {
        let offset = offset & !size.bytes().wrapping_sub(1);
        Self { offset, size, etag: keep_etag(etag) }
    }

    /// The Block2 option of the next request.
    #[must_use]
    pub fn block(&self) -> Option<Block> {
        Block::at(self.offset, false, self.size)
    }

    /// Bytes received so far.
    #[must_use]
    pub const fn received(&self) -> usize {
        self.offset
    }

    /// The ETag of the body, if the peer told it.
    #[must_use]
    pub fn etag(&self) -> Option<&[u8]> {
        let (bytes, length) = self.etag.as_ref()?;
        bytes.get(..usize::from(*length))
    }

    /// Takes a response. One without Block2 is the whole body.
    ///
    /// # Errors
    /// [`BadBlock`]; the transfer is then to be given up or started anew.
    pub fn received_block<'a>(&mut self, response: &Message<'a>) -> Result<Piece<'a>, BadBlock> {
        if !response.code().is_success() {
            return Err(BadBlock::Refused(response.code()));
        }
        let bytes = response.payload();
        let whole = Block { number: 0, more: false, size: BlockSize::MAX };
        let block = block_option(response, OptionNumber::BLOCK2)?;
        let is_only = block.is_none();
        let block = block.unwrap_or(whole);
        if block.offset() != self.offset {
            return Err(BadBlock::OutOfOrder);
        }
        if !is_only && (bytes.len() > block.size.bytes() || (block.more && bytes.len() != block.size.bytes()))
        {
            return Err(BadBlock::WrongLength);
        }
        self.check_etag(response)?;
        let offset = self.offset;
        self.offset = offset.saturating_add(bytes.len());
        self.size = self.size.min(block.size);
        Ok(Piece { offset, bytes, is_last: !block.more, total: response.uint(OptionNumber::SIZE2) })
    }

    fn check_etag(&mut self, response: &Message<'_>) -> Result<(), BadBlock> {
        let etag = response.value(OptionNumber::ETAG).and_then(keep_etag);
        if self.offset == 0 {
            self.etag = etag;
        }
        if etag == self.etag { Ok(()) } else { Err(BadBlock::BodyChanged) }
    }
}

fn keep_etag(etag: &[u8]) -> Option<([u8; 8], u8)> {
    let mut bytes = [0; 8];
    bytes.get_mut(..etag.len())?.copy_from_slice(etag);
    Some((bytes, etag.len() as u8))
}

/// Cuts the block that a client asks for out of a body of `total` bytes, in blocks of at most `largest`.
///
/// Returns the Block2 option of the response and the bytes that it carries.
///
/// # Errors
/// [`BadBlock::BehindTheEnd`]
pub fn slice(
    requested: Option<Block>,
    largest: BlockSize,
    total: usize,
) -> Result<(Block, Range<usize>), BadBlock> {
    let size = requested.map_or(largest, |block| block.size.min(largest));
    let offset = requested.map_or(0, Block::offset);
    if offset >= total.max(1) {
        return Err(BadBlock::BehindTheEnd);
    }
    let end = offset.saturating_add(size.bytes()).min(total);
    let block = Block::at(offset, end < total, size).ok_or(BadBlock::BehindTheEnd)?;
    Ok((block, offset..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Header, Kind, MessageWriter};
    use proptest::prelude::*;

    fn response(code: Code, options: &[(OptionNumber, u32)], etag: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 2000];
        let header = Header { kind: Kind::Acknowledgement, code, message_id: 1, token: b"t" };
        let mut writer = MessageWriter::new(&mut buffer, header);
        if !etag.is_empty() {
            writer.option(OptionNumber::ETAG, etag);
        }
        for (number, value) in options {
            writer.uint(*number, *value);
        }
        let length = writer.payload(payload).finish().unwrap();
        buffer.truncate(length);
        buffer
    }

    fn block1(code: Code, block: Block) -> Vec<u8> {
        response(code, &[(OptionNumber::BLOCK1, block.to_uint())], &[], &[])
    }

    #[test]
    fn the_reserved_size_is_refused() {
        assert_eq!(Block::from_uint(0x17), None);
    }

    #[test]
    fn an_upload_goes_on_with_smaller_blocks_when_the_receiver_asks_for_them() {
        let mut upload = Upload::new(300, BlockSize::at_most(128));
        let asked = Block::at(0, true, BlockSize::at_most(32)).unwrap();
        let answer = block1(Code::CONTINUE, asked);
        assert_eq!(upload.answered(&Message::parse(&answer).unwrap()), Ok(UploadStep::Next));
        let (block, range) = upload.block().unwrap();
        assert_eq!((block.offset(), block.size().bytes(), range), (128, 32, 128..160));
    }

    #[test]
    fn an_upload_starts_anew_after_4_13_with_a_smaller_size_and_ends_after_4_13_without() {
        let mut upload = Upload::new(300, BlockSize::MAX);
        let smaller = block1(Code::REQUEST_ENTITY_TOO_LARGE, Block::from_uint(2).unwrap());
        assert_eq!(upload.answered(&Message::parse(&smaller).unwrap()), Ok(UploadStep::Next));
        assert_eq!(upload.block().unwrap().1, 0..64);
        assert_eq!(
            upload.answered(&Message::parse(&smaller).unwrap()),
            Err(BadBlock::Refused(Code::REQUEST_ENTITY_TOO_LARGE))
        );
    }

    #[test]
    fn an_upload_goes_on_after_a_block_only_if_the_answer_names_that_block() {
        let size = BlockSize::at_most(128);
        let first = |more| Block::at(0, more, size).unwrap();
        let with = |code, block| block1(code, block);
        let without = |code| response(code, &[], &[], &[]);
        for (answer, expected) in [
            (with(Code::CONTINUE, first(true)), Ok(UploadStep::Next)),
            // A receiver that keeps nothing has carried the block out alone (RFC 7959 figure 8).
            (with(Code::CHANGED, first(false)), Ok(UploadStep::Next)),
            (with(Code::CREATED, first(false)), Ok(UploadStep::Next)),
            (with(Code::CONTINUE, first(false)), Ok(UploadStep::Next)),
            (without(Code::CHANGED), Err(BadBlock::NotContinued(Code::CHANGED))),
            (without(Code::CONTENT), Err(BadBlock::NotContinued(Code::CONTENT))),
            (without(Code::CONTINUE), Err(BadBlock::NotContinued(Code::CONTINUE))),
            (with(Code::CHANGED, Block::at(128, false, size).unwrap()), Err(BadBlock::OutOfOrder)),
            (without(Code::FORBIDDEN), Err(BadBlock::Refused(Code::FORBIDDEN))),
        ] {
            let mut upload = Upload::new(300, size);
            let answer = Message::parse(&answer).unwrap();
            assert_eq!(upload.answered(&answer), expected, "{} {:?}", answer.code(), answer.payload());
            assert_eq!(upload.sent(), if expected.is_ok() { 128 } else { 0 });
        }
    }

    #[test]
    fn the_last_block_s_answer_is_the_answer_to_the_whole_request_unless_it_says_continue() {
        let size = BlockSize::at_most(128);
        let only = Block::at(0, false, size).unwrap();
        for (answer, expected) in [
            (block1(Code::CHANGED, only), Ok(UploadStep::Done)),
            (response(Code::CHANGED, &[], &[], &[]), Ok(UploadStep::Done)),
            (block1(Code::CONTINUE, only), Err(BadBlock::OutOfOrder)),
            (response(Code::CONTINUE, &[], &[], &[]), Err(BadBlock::NotContinued(Code::CONTINUE))),
            // Some receivers count on: by its message and token it is this block's answer nevertheless.
            (block1(Code::CHANGED, Block::at(128, false, size).unwrap()), Ok(UploadStep::Done)),
        ] {
            let answer = Message::parse(&answer).unwrap();
            assert_eq!(Upload::new(100, size).answered(&answer), expected, "{}", answer.code());
        }
    }

    #[test]
    fn a_gap_is_4_08_and_a_body_over_the_limit_4_13() {
        let size = BlockSize::MIN;
        let mut assembly = Assembly::new(48, size);
        assembly.accept(Block::at(0, true, size).unwrap(), 16, None).unwrap();
        let gap = assembly.accept(Block::at(32, true, size).unwrap(), 16, None).unwrap_err();
        assert_eq!(gap.code(), Code::REQUEST_ENTITY_INCOMPLETE);
        assembly.accept(Block::at(16, true, size).unwrap(), 16, None).unwrap();
        assembly.accept(Block::at(32, true, size).unwrap(), 16, None).unwrap();
        let large = assembly.accept(Block::at(48, true, size).unwrap(), 16, None).unwrap_err();
        assert_eq!(large.code(), Code::REQUEST_ENTITY_TOO_LARGE);
        let announced = assembly.accept(Block::at(0, true, size).unwrap(), 16, Some(49)).unwrap_err();
        assert_eq!(announced, BadBlock::TooLarge);
    }

    #[test]
    fn a_repeated_block_is_acknowledged_and_not_appended() {
        let size = BlockSize::MIN;
        let mut assembly = Assembly::new(100, size);
        assembly.accept(Block::at(0, true, size).unwrap(), 16, None).unwrap();
        let second = Block::at(16, true, size).unwrap();
        assert_eq!(assembly.accept(second, 16, None), Ok(Assembled::More(second)));
        assert_eq!(assembly.accept(second, 16, None), Ok(Assembled::Repeated(second)));
        assert_eq!(assembly.received(), 32);
    }

    #[test]
    fn a_body_that_changes_during_a_download_is_noticed() {
        let mut download = Download::new(BlockSize::MIN);
        let first = response(Code::CONTENT, &[(OptionNumber::BLOCK2, 0x08)], b"a", &[1; 16]);
        let second = response(Code::CONTENT, &[(OptionNumber::BLOCK2, 0x10)], b"b", &[2; 3]);
        download.received_block(&Message::parse(&first).unwrap()).unwrap();
        assert_eq!(download.received_block(&Message::parse(&second).unwrap()), Err(BadBlock::BodyChanged));
    }

    #[test]
    fn a_block_behind_the_end_is_refused_and_an_empty_body_has_one_block() {
        let size = BlockSize::MIN;
        assert_eq!(slice(Block::at(32, false, size), size, 32), Err(BadBlock::BehindTheEnd));
        assert_eq!(slice(None, size, 0).unwrap().1, 0..0);
    }

    proptest! {
        #[test]
        fn any_body_arrives_whole_by_upload(
            total in 0usize..5000, sender in 4u32..11, receiver in 4u32..11,
        ) {
            let body: Vec<u8> = (0..total).map(|n| n as u8).collect();
            let mut upload = Upload::new(total, BlockSize::at_most(1 << sender));
            let mut assembly = Assembly::new(5000, BlockSize::at_most(1 << receiver));
            let mut got = Vec::new();
            loop {
                let (block, range) = upload.block().unwrap();
                let assembled = assembly.accept(block, range.len(), None).unwrap();
                got.extend_from_slice(&body[range]);
                let (code, answer) = match assembled {
                    Assembled::More(answer) => (Code::CONTINUE, answer),
                    Assembled::Complete(answer) => (Code::CHANGED, answer),
                    Assembled::Repeated(_) => unreachable!(),
                };
                let answer = block1(code, answer);
                if upload.answered(&Message::parse(&answer).unwrap()).unwrap() == UploadStep::Done {
                    break;
                }
            }
            prop_assert_eq!(got, body);
        }

        #[test]
        fn any_body_arrives_whole_by_download(
            total in 0usize..5000, client in 4u32..11, server in 4u32..11,
        ) {
            let body: Vec<u8> = (0..total).map(|n| n as u8).collect();
            let mut download = Download::new(BlockSize::at_most(1 << client));
            let mut got = Vec::new();
            loop {
                let (block, range) =
                    slice(download.block(), BlockSize::at_most(1 << server), total).unwrap();
                let options = [(OptionNumber::BLOCK2, block.to_uint())];
                let bytes = response(Code::CONTENT, &options, b"e", &body[range]);
                let piece = download.received_block(&Message::parse(&bytes).unwrap()).unwrap();
                prop_assert_eq!(piece.offset, got.len());
                got.extend_from_slice(piece.bytes);
                if piece.is_last {
                    break;
                }
            }
            prop_assert_eq!(got, body);
        }
    }
}
