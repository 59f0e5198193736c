//! AES-128 in CCM (RFC 3610, NIST SP 800-38C) with nonces of twelve bytes.
//!
//! The chain of the MAC can't be computed in parallel, but the key stream doesn't wait for it: while block `i` is
//! authenticated, block `i + 1` of the key stream is made. Software that encrypts two blocks at once (bit-sliced AES)
//! does both for the price of one; a processor with AES instructions overlaps them in its pipeline.

use aes::cipher::array::Array;
use aes::cipher::common::typenum::{U16, Unsigned};
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, ParBlocks,
};
use aes::{Aes128Enc, Block};
use subtle::ConstantTimeEq;

use super::{Forged, KEY_LENGTH, NONCE_LENGTH};

/// Encrypts in place. The tag's length, 8 or 16, is that of the slice.
pub(super) fn seal(
    key: &[u8; KEY_LENGTH],
    nonce: &[u8; NONCE_LENGTH],
    aad: &[u8],
    text: &mut [u8],
    tag: &mut [u8],
) {
    let cipher = Aes128Enc::new(key.into());
    let mut full = Block::default();
    let first = first_block(nonce, aad, text.len(), tag.len());
    let run = Run { first, nonce, aad, text, full_tag: &mut full, direction: Direction::Seal };
    cipher.encrypt_with_backend(run);
    tag.iter_mut().zip(&full).for_each(|(to, from)| *to = *from);
}

/// Decrypts in place, if the tag is right; else leaves `text` as it was.
pub(super) fn open(
    key: &[u8; KEY_LENGTH],
    nonce: &[u8; NONCE_LENGTH],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8],
) -> Result<(), Forged> {
    let cipher = Aes128Enc::new(key.into());
    let mut full = Block::default();
    let first = first_block(nonce, aad, text.len(), tag.len());
    let run = Run { first, nonce, aad, text: &mut *text, full_tag: &mut full, direction: Direction::Open };
    cipher.encrypt_with_backend(run);
    let computed = full.get(..tag.len()).ok_or(Forged)?;
    if computed.ct_eq(tag).into() {
        return Ok(());
    }
    let undo = Run { first, nonce, aad, text, full_tag: &mut full, direction: Direction::Seal };
    cipher.encrypt_with_backend(undo);
    Err(Forged)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Seal,
    Open,
}

/// One pass over a text with whatever implementation of AES this machine has.
struct Run<'a> {
    first: Block,
    nonce: &'a [u8; NONCE_LENGTH],
    aad: &'a [u8],
    text: &'a mut [u8],
    full_tag: &'a mut Block,
    direction: Direction,
}

impl BlockSizeUser for Run<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Run<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut mac = self.first;
        let mut mask = counter_block(self.nonce, 0);
        encrypt_both(backend, &mut mac, &mut mask);
        let mut stream = counter_block(self.nonce, 1);
        authenticate_aad(backend, &mut mac, &mut stream, self.aad);
        let mut counter = 1_u32;
        let mut chunks = self.text.chunks_mut(16).peekable();
        while let Some(chunk) = chunks.next() {
            match self.direction {
                Direction::Seal => {
                    xor(&mut mac, chunk);
                    xor(chunk, &stream);
                }
                Direction::Open => {
                    xor(chunk, &stream);
                    xor(&mut mac, chunk);
                }
            }
            if chunks.peek().is_none() {
                encrypt_one(backend, &mut mac);
            } else {
                counter = counter.wrapping_add(1);
                stream = counter_block(self.nonce, counter);
                encrypt_both(backend, &mut mac, &mut stream);
            }
        }
        xor(&mut mac, &mask);
        *self.full_tag = mac;
    }
}

/// Runs the additional data through the MAC, and encrypts the first block of the key stream beside it.
#[inline(always)]
fn authenticate_aad<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    mac: &mut Block,
    stream: &mut Block,
    aad: &[u8],
) {
    if aad.is_empty() {
        return encrypt_one(backend, stream);
    }
    // Additional data is a record's or an export's header: far shorter than the 65,279 bytes that two bytes can say.
    let length = u16::try_from(aad.len()).unwrap_or(u16::MAX).to_be_bytes();
    xor(mac, &length);
    let (start, rest) = aad.split_at(aad.len().min(14));
    mac.iter_mut().skip(2).zip(start).for_each(|(to, from)| *to ^= from);
    encrypt_both(backend, mac, stream);
    for chunk in rest.chunks(16) {
        xor(mac, chunk);
        encrypt_one(backend, mac);
    }
}

/// One block. Where two go at once, it goes with an empty one: code for single blocks would take 2 kB more.
#[inline(always)]
fn encrypt_one<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: &mut Block) {
    if is_sliced::<B>() {
        encrypt_both(backend, block, &mut Block::default());
    } else {
        backend.encrypt_block_inplace(block);
    }
}

/// Bit-sliced software takes two blocks (32 bits) or four (64 bits) at once, and as long for one; instructions take more at once, and overlap anyway.
const fn is_sliced<B: BlockCipherEncBackend<BlockSize = U16>>() -> bool {
    matches!(B::ParBlocksSize::USIZE, 2..=4)
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn encrypt_both<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, one: &mut Block, other: &mut Block) {
    if is_sliced::<B>() {
        let mut pair: ParBlocks<B> = Array::from_fn(|at| match at {
            0 => *one,
            1 => *other,
            _ => Block::default(),
        });
        backend.encrypt_par_blocks_inplace(&mut pair);
        let mut blocks = pair.iter();
        *one = blocks.next().copied().unwrap_or_default();
        *other = blocks.next().copied().unwrap_or_default();
    } else {
        backend.encrypt_block_inplace(one);
        backend.encrypt_block_inplace(other);
    }
}

/// `B_0`: the lengths, the nonce, and whether there is additional data.
fn first_block(nonce: &[u8; NONCE_LENGTH], aad: &[u8], text_length: usize, tag_length: usize) -> Block {
    let has_aad = if aad.is_empty() { 0 } else { 0x40 };
    let tag = u8::try_from(tag_length.saturating_sub(2) / 2).unwrap_or(7) << 3;
    // Records and exports are far shorter than three bytes can say.
    let [_, length @ ..] = u32::try_from(text_length).unwrap_or(u32::MAX).to_be_bytes();
    block(has_aad | tag | 2, nonce, length)
}

fn counter_block(nonce: &[u8; NONCE_LENGTH], counter: u32) -> Block {
    // As one number: bytes stored one by one and loaded together would wait for each other.
    Array((u128::from_be_bytes(block(2, nonce, [0; 3]).0) | u128::from(counter)).to_be_bytes())
}

#[inline(always)]
fn block(flags: u8, nonce: &[u8; NONCE_LENGTH], [x, y, z]: [u8; 3]) -> Block {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
    Array([flags, a, b, c, d, e, f, g, h, i, j, k, l, x, y, z])
}

#[inline(always)]
fn xor(to: &mut [u8], from: &[u8]) {
    // Whole blocks, which nearly all are, go without a loop over bytes.
    if let (Ok(to), Ok(from)) = (<&mut [u8; 16]>::try_from(&mut *to), <&[u8; 16]>::try_from(from)) {
        return to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
    }
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use ccm::aead::{AeadInOut, KeyInit};
    use ccm::consts::{U8, U12, U16};
    use proptest::prelude::*;

    /// NIST SP 800-38C, example 3: the one with a nonce of twelve bytes.
    #[test]
    fn nist_example_3() {
        let key: [u8; 16] = core::array::from_fn(|at| 0x40 + at as u8);
        let nonce: [u8; 12] = core::array::from_fn(|at| 0x10 + at as u8);
        let aad: Vec<u8> = (0..20).collect();
        let mut text: Vec<u8> = (0x20..0x38).collect();
        let mut tag = [0; 8];
        seal(&key, &nonce, &aad, &mut text, &mut tag);
        assert_eq!(
            text,
            [
                0xe3, 0xb2, 0x01, 0xa9, 0xf5, 0xb7, 0x1a, 0x7a, 0x9b, 0x1c, 0xea, 0xec, 0xcd, 0x97, 0xe7,
                0x0b, 0x61, 0x76, 0xaa, 0xd9, 0xa4, 0x42, 0x8a, 0xa5
            ]
        );
        assert_eq!(tag, [0x48, 0x43, 0x92, 0xfb, 0xc1, 0xb0, 0x99, 0x51]);
        assert_eq!(open(&key, &nonce, &aad, &mut text, &tag), Ok(()));
        assert_eq!(text, (0x20..0x38).collect::<Vec<u8>>());
    }

    #[test]
    fn a_forged_text_is_left_as_it_was() {
        let (key, nonce) = ([1; 16], [2; 12]);
        let mut text = [3; 37];
        let mut tag = [0; 8];
        seal(&key, &nonce, b"aad", &mut text, &mut tag);
        let sealed = text;
        tag[7] ^= 1;
        assert_eq!(open(&key, &nonce, b"aad", &mut text, &tag), Err(Forged));
        assert_eq!(text, sealed);
    }

    proptest! {
        #[test]
        fn everything_agrees_with_another_implementation(
            key: [u8; 16],
            nonce: [u8; 12],
            aad in proptest::collection::vec(any::<u8>(), 0..70),
            text in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let (mut ours, mut tag) = (text.clone(), [0; 8]);
            seal(&key, &nonce, &aad, &mut ours, &mut tag);
            let mut theirs = text.clone();
            let other = ccm::Ccm::<aes::Aes128, U8, U12>::new(&key.into());
            let their_tag = other.encrypt_inout_detached(&nonce.into(), &aad, theirs.as_mut_slice().into()).unwrap();
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(&tag[..], &their_tag[..]);
            prop_assert_eq!(open(&key, &nonce, &aad, &mut ours, &tag), Ok(()));
            prop_assert_eq!(&ours, &text);

            let mut long = [0; 16];
            seal(&key, &nonce, &aad, &mut ours, &mut long);
            let other = ccm::Ccm::<aes::Aes128, U16, U12>::new(&key.into());
            let mut theirs = text;
            let their_tag = other.encrypt_inout_detached(&nonce.into(), &aad, theirs.as_mut_slice().into()).unwrap();
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(&long[..], &their_tag[..]);
        }
    }
}
