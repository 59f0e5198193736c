//! The ESP32 app image (ESP-IDF, "App Image Format"; `esp_app_format.h`, `esp_app_desc.h`).
//!
//! 24 bytes of header: `E9` @0, segments @1, SPI mode @2, speed and size @3, entry u32 @4, … chip id u16 @12, … "hash
//! appended" @23. Then segments (load address u32, length u32, data), zeros so that the checksum is the last byte of a
//! 16-byte block, the checksum (`EF` XOR all segment data), and, if flagged, SHA-256 of everything before. The app
//! descriptor (256 bytes, `32 54 CD AB`) is the first thing in the first segment, at byte 32.
//!
//! Checksum and appended hash find rot, not forgery: that is the business of [`crate::signature`].

use sha2::{Digest as _, Sha256};

use crate::bytes::{le_u16, le_u32, take};
use crate::version::{Name, SecurityCounter, Version};

/// Segments that an image may have.
pub const SEGMENTS_MAX: usize = 16;

pub(crate) const MAGIC: u8 = 0xE9;
const HEADER: usize = 24;
const SEGMENT_HEADER: usize = 8;
const DESCRIPTOR: usize = 256;
const DESCRIPTOR_MAGIC: u32 = 0xABCD_5432;
const CHECKSUM_SEED: u8 = 0xEF;
const BLOCK: u32 = 16;

/// What a sound image says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The chip that it was built for.
    pub chip: ChipId,
    /// Where the CPU starts.
    pub entry: u32,
    /// Name, version and counter.
    pub descriptor: AppDescriptor,
    /// The segments, in order.
    pub segments: Segments,
    /// Bytes of the image: header to checksum, or to the appended hash.
    pub image_len: u32,
    /// Whether a hash is appended (a wrong one is an error).
    pub hash_appended: bool,
    /// Bytes of the whole file, with whatever follows the image.
    pub file_len: u32,
    /// SHA-256 of the whole file: what a signature binds.
    pub digest: Digest,
}

/// The app descriptor's fields that decide something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppDescriptor {
    /// `secure_version`: the counter that forbids going back.
    pub counter: SecurityCounter,
    /// `version`.
    pub version: Version,
    /// `project_name`.
    pub project: Name,
    /// `idf_ver`: what it was built with.
    pub toolchain: Name,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// The chip that an image is for (`esp_chip_id_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChipId(pub u16);

/// One segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segment {
    /// Where it is loaded or mapped.
    pub load_address: u32,
    /// Bytes of data.
    pub len: u32,
}

/// The segments of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments {
    list: [Segment; SEGMENTS_MAX],
    count: usize,
}

/// Why bytes are no sound image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// The first byte is not `E9`.
    NotAnImage,
    /// The header names no segments, or more than 16.
    SegmentCount(u8),
    /// A segment's length is no multiple of four, or overflows.
    SegmentLength(u32),
    /// The first segment does not start with an app descriptor.
    NoDescriptor,
    /// A text of the descriptor is not UTF-8 or holds control characters.
    BadDescriptorText,
    /// The bytes end before the image does.
    Truncated,
    /// The checksum byte differs from the data's.
    ChecksumMismatch,
    /// The appended SHA-256 differs from the data's.
    HashMismatch,
}

/// Checks an image that lies in memory.
///
/// # Errors
/// [`ImageError`], the first that is met from the start.
pub fn check(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let mut scanner = Scanner::new();
    scanner.push(bytes)?;
    scanner.finish()
}

/// Checks an image that arrives in pieces of any size, with a fixed 288 bytes of buffer.
#[derive(Clone)]
pub struct Scanner {
    hasher: Sha256,
    position: u32,
    checksum: u8,
    head: Head,
    part: Part,
    segments: Segments,
    segments_expected: usize,
    image_len: u32,
}

/// The first bytes of the file: header, first segment's header, descriptor.
#[derive(Clone)]
struct Head {
    bytes: [u8; HEAD],
    len: usize,
}

const HEAD: usize = HEADER + SEGMENT_HEADER + DESCRIPTOR;

/// What the next byte belongs to.
#[derive(Clone)]
enum Part {
    Header,
    SegmentHeader { field: [u8; SEGMENT_HEADER], filled: usize },
    Data { remaining: u32 },
    Padding,
    Hash { expected: [u8; 32], matched: usize },
    Trailer,
}

impl Scanner {
    /// At the first byte of an image.
    pub fn new() -> Self {
        Self {
            hasher: Sha256::new(),
            position: 0,
            checksum: CHECKSUM_SEED,
            head: Head { bytes: [0; HEAD], len: 0 },
            part: Part::Header,
            segments: Segments::default(),
            segments_expected: 0,
            image_len: 0,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a sound image any more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let had_descriptor = self.head.is_full();
        self.head.fill(bytes);
        if !had_descriptor && self.head.is_full() {
            self.head.descriptor()?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.length_of_step(rest.len()));
            self.step(now)?;
            rest = later;
        }
        Ok(())
    }

    /// What the image says about itself, once its first 288 bytes are there.
    pub fn early(&self) -> Option<(ChipId, AppDescriptor)> {
        Some((self.head.chip()?, self.head.descriptor().ok()?))
    }

    /// SHA-256 of what came so far.
    pub(crate) fn digest_so_far(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`ImageError::Truncated`] if the image is not complete.
    #[inline(never)]
    pub fn finish(self) -> Result<ImageInfo, ImageError> {
        let Part::Trailer = self.part else {
            return Err(ImageError::Truncated);
        };
        Ok(ImageInfo {
            chip: self.head.chip().ok_or(ImageError::Truncated)?,
            entry: le_u32(&self.head.bytes, 4).ok_or(ImageError::Truncated)?,
            descriptor: self.head.descriptor()?,
            segments: self.segments,
            image_len: self.image_len,
            hash_appended: self.head.hash_appended(),
            file_len: self.position,
            digest: Digest(self.hasher.finalize().into()),
        })
    }

    /// How many of the next `available` bytes belong to the part that is being read.
    fn length_of_step(&self, available: usize) -> usize {
        let position = self.position as usize;
        let wanted = match &self.part {
            Part::Header => HEADER.saturating_sub(position),
            Part::SegmentHeader { filled, .. } => SEGMENT_HEADER.saturating_sub(*filled),
            Part::Data { remaining } => *remaining as usize,
            Part::Padding => 1,
            Part::Hash { matched, .. } => 32_usize.saturating_sub(*matched),
            Part::Trailer => available,
        };
        wanted.clamp(1, available.max(1))
    }

    fn step(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let len = u32::try_from(bytes.len()).map_err(|_| ImageError::Truncated)?;
        self.position = self.position.checked_add(len).ok_or(ImageError::SegmentLength(len))?;
        self.hasher.update(bytes);
        match &mut self.part {
            Part::Header => self.header_grew(),
            Part::SegmentHeader { field, filled } => {
                let mut field = *field;
                let start = *filled;
                let filled = start.saturating_add(bytes.len());
                if let Some(place) = field.get_mut(start..filled) {
                    place.copy_from_slice(bytes);
                }
                self.segment_header_grew(field, filled)
            }
            Part::Data { remaining } => {
                self.checksum = bytes.iter().fold(self.checksum, |sum, byte| sum ^ byte);
                let remaining = remaining.saturating_sub(len);
                self.part = Part::Data { remaining };
                self.after_data(remaining);
                Ok(())
            }
            Part::Padding => self.padding(bytes.first().copied().unwrap_or_default()),
            Part::Hash { expected, matched } => {
                let end = matched.saturating_add(bytes.len());
                if expected.get(*matched..end) != Some(bytes) {
                    return Err(ImageError::HashMismatch);
                }
                *matched = end;
                if end == 32 {
                    self.end_image();
                }
                Ok(())
            }
            Part::Trailer => Ok(()),
        }
    }

    fn header_grew(&mut self) -> Result<(), ImageError> {
        let [magic, segments] = take(&self.head.bytes, 0).unwrap_or_default();
        if magic != MAGIC {
            return Err(ImageError::NotAnImage);
        }
        if (self.position as usize) < HEADER {
            return Ok(());
        }
        self.segments_expected = usize::from(segments);
        if !(1..=SEGMENTS_MAX).contains(&self.segments_expected) {
            return Err(ImageError::SegmentCount(segments));
        }
        self.part = Part::SegmentHeader { field: [0; SEGMENT_HEADER], filled: 0 };
        Ok(())
    }

    fn segment_header_grew(&mut self, field: [u8; SEGMENT_HEADER], filled: usize) -> Result<(), ImageError> {
        if filled < SEGMENT_HEADER {
            self.part = Part::SegmentHeader { field, filled };
            return Ok(());
        }
        let load_address = le_u32(&field, 0).unwrap_or_default();
        let len = le_u32(&field, 4).unwrap_or_default();
        if !len.is_multiple_of(4) || self.position.checked_add(len).is_none() {
            return Err(ImageError::SegmentLength(len));
        }
        if self.segments.count == 0 && (len as usize) < DESCRIPTOR {
            return Err(ImageError::NoDescriptor);
        }
        self.segments.push(Segment { load_address, len });
        self.part = Part::Data { remaining: len };
        self.after_data(len);
        Ok(())
    }

    fn after_data(&mut self, remaining: u32) {
        if remaining > 0 {
            return;
        }
        self.part = if self.segments.count < self.segments_expected {
            Part::SegmentHeader { field: [0; SEGMENT_HEADER], filled: 0 }
        } else {
            Part::Padding
        };
    }

    fn padding(&mut self, byte: u8) -> Result<(), ImageError> {
        if !self.position.is_multiple_of(BLOCK) {
            return Ok(());
        }
        if byte != self.checksum {
            return Err(ImageError::ChecksumMismatch);
        }
        if self.head.hash_appended() {
            let expected = self.hasher.clone().finalize().into();
            self.part = Part::Hash { expected, matched: 0 };
        } else {
            self.end_image();
        }
        Ok(())
    }

    fn end_image(&mut self) {
        self.image_len = self.position;
        self.part = Part::Trailer;
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Head {
    fn fill(&mut self, bytes: &[u8]) {
        let free = self.bytes.get_mut(self.len..).unwrap_or_default();
        let count = free.len().min(bytes.len());
        for (place, byte) in free.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.len = self.len.saturating_add(count);
    }

    fn is_full(&self) -> bool {
        self.len == HEAD
    }

    fn chip(&self) -> Option<ChipId> {
        (self.len >= HEADER).then_some(())?;
        le_u16(&self.bytes, 12).map(ChipId)
    }

    fn hash_appended(&self) -> bool {
        self.bytes.get(23) == Some(&1)
    }

    fn descriptor(&self) -> Result<AppDescriptor, ImageError> {
        if !self.is_full() {
            return Err(ImageError::Truncated);
        }
        let bytes = self.bytes.get(HEADER.saturating_add(SEGMENT_HEADER)..).unwrap_or_default();
        AppDescriptor::parse(bytes)
    }
}

impl AppDescriptor {
    /// Reads a descriptor of 256 bytes.
    ///
    /// # Errors
    /// No magic number, or a text that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        if le_u32(bytes, 0) != Some(DESCRIPTOR_MAGIC) || bytes.len() < DESCRIPTOR {
            return Err(ImageError::NoDescriptor);
        }
        let name = |at| {
            take(bytes, at).and_then(|field| Name::from_field(&field)).ok_or(ImageError::BadDescriptorText)
        };
        Ok(Self {
            counter: SecurityCounter(le_u32(bytes, 4).ok_or(ImageError::NoDescriptor)?),
            version: Version::from_name(name(16)?),
            project: name(48)?,
            toolchain: name(112)?,
        })
    }
}

impl Digest {
    /// The digest of bytes that lie in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl ChipId {
    /// ESP32.
    pub const ESP32: Self = Self(0);
    /// ESP32-S2.
    pub const ESP32_S2: Self = Self(2);
    /// ESP32-C3.
    pub const ESP32_C3: Self = Self(5);
    /// ESP32-S3.
    pub const ESP32_S3: Self = Self(9);
    /// ESP32-C6.
    pub const ESP32_C6: Self = Self(13);

    /// The chip's name, if it is known here.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::ESP32 => Some("esp32"),
            Self::ESP32_S2 => Some("esp32s2"),
            Self::ESP32_C3 => Some("esp32c3"),
            Self::ESP32_S3 => Some("esp32s3"),
            Self::ESP32_C6 => Some("esp32c6"),
            _ => None,
        }
    }
}

impl Segments {
    /// The segments, in order.
    pub fn as_slice(&self) -> &[Segment] {
        self.list.get(..self.count).unwrap_or_default()
    }

    fn push(&mut self, segment: Segment) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = segment;
            self.count = self.count.saturating_add(1);
        }
    }
}

impl core::fmt::Debug for Digest {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, out)
    }
}

impl core::fmt::Display for Digest {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAnImage => write!(out, "this is no ESP32 app image: it does not start with E9"),
            Self::SegmentCount(count) => write!(out, "the image names {count} segments; 1 to 16 are allowed"),
            Self::SegmentLength(len) => write!(out, "a segment has the impossible length {len}"),
            Self::NoDescriptor => write!(out, "the image has no app descriptor"),
            Self::BadDescriptorText => write!(out, "the app descriptor holds text that cannot be read"),
            Self::Truncated => write!(out, "the image ends too early"),
            Self::ChecksumMismatch => write!(out, "the image's checksum is wrong: it is damaged"),
            Self::HashMismatch => write!(out, "the image's appended SHA-256 is wrong: it is damaged"),
        }
    }
}

impl core::error::Error for ImageError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ImageBuilder;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        ImageBuilder::new("demo", "1.2.3").counter(4).chip(ChipId::ESP32_C3).payload_len(1500).build()
    }

    #[test]
    fn a_built_image_says_what_it_was_built_with() {
        let info = check(&sample()).unwrap();

        assert_eq!(info.chip, ChipId::ESP32_C3);
        assert_eq!(info.descriptor.version.as_str(), "1.2.3");
        assert_eq!(info.descriptor.project.as_str(), "demo");
        assert_eq!(info.descriptor.counter, SecurityCounter(4));
        assert_eq!(info.image_len, info.file_len);
        assert_eq!(info.digest, Digest::of(&sample()));
        assert!(info.hash_appended);
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter() {
        let image = sample();
        for size in [1, 3, 16, 257, 4096] {
            let mut scanner = Scanner::new();
            image.chunks(size).try_for_each(|piece| scanner.push(piece)).unwrap();
            assert_eq!(scanner.finish(), check(&image), "pieces of {size}");
        }
    }

    #[test]
    fn one_flipped_bit_behind_the_header_is_noticed() {
        let image = sample();
        for index in HEADER..image.len() {
            let mut damaged = image.clone();
            damaged[index] ^= 0x10;
            assert!(check(&damaged).is_err(), "byte {index}");
        }
    }

    #[test]
    fn an_image_that_is_cut_short_is_no_image() {
        let image = sample();
        for len in 0..image.len() {
            assert!(check(&image[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn what_follows_an_image_is_part_of_the_file_and_not_of_the_image() {
        let mut image = sample();
        let len = image.len() as u32;
        image.extend([7; 100]);

        let info = check(&image).unwrap();

        assert_eq!((info.image_len, info.file_len), (len, len + 100));
        assert_eq!(info.digest, Digest::of(&image));
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_a_crash(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = check(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = MAGIC;
            }
            let _ = check(&bytes);
        }

        #[test]
        fn a_damaged_header_never_crashes_the_check(at in 0_usize..320, value: u8) {
            let mut image = sample();
            image[at] = value;
            let _ = check(&image);
        }
    }
}
