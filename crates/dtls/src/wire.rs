//! Reading and writing of the presentation language of TLS (RFC 5246 section 4): big-endian numbers and vectors with
//! their length in front.

use alloc::vec::Vec;

/// What was read isn't what the standard says it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes values from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, Malformed> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u48(&mut self) -> Result<u64, Malformed> {
        self.array().map(|[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A vector whose length takes one byte.
    pub(crate) fn vector8(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector whose length takes two bytes.
    pub(crate) fn vector16(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A vector whose length takes three bytes.
    #[cfg(feature = "rpk")]
    pub(crate) fn vector24(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u24()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends values.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn put_u24(&mut self, value: u32) {
        let [_, bytes @ ..] = value.to_be_bytes();
        self.put(&bytes);
    }

    fn put_u48(&mut self, value: u64) {
        let [_, _, bytes @ ..] = value.to_be_bytes();
        self.put(&bytes);
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// At most 255 bytes, which the callers' types see to.
    fn put_vector8(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= 255);
        self.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        self.put(bytes);
    }

    /// At most 65,535 bytes, which the callers' types see to.
    fn put_vector16(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= 65_535);
        self.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.put(bytes);
    }

    #[cfg(feature = "rpk")]
    fn put_vector24(&mut self, bytes: &[u8]) {
        self.put_u24(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Appends to a slice, and notes if it was too short.
#[derive(Debug)]
pub(crate) struct SliceWriter<'a> {
    out: &'a mut [u8],
    written: usize,
    overflowed: bool,
}

impl<'a> SliceWriter<'a> {
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, written: 0, overflowed: false }
    }

    /// What was written; `None` if it didn't fit.
    pub(crate) fn finish(self) -> Option<usize> {
        (!self.overflowed).then_some(self.written)
    }
}

impl Put for SliceWriter<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.written.saturating_add(bytes.len());
        match self.out.get_mut(self.written..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.written = end;
            }
            None => self.overflowed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        bytes.put_u8(1);
        bytes.put_u16(2);
        bytes.put_u24(3);
        bytes.put_u48(4);
        bytes.put_u64(5);
        bytes.put_vector8(b"six");
        bytes.put_vector16(b"seven");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u24(), Ok(3));
        assert_eq!(reader.u48(), Ok(4));
        assert_eq!(reader.u64(), Ok(5));
        assert_eq!(reader.vector8(), Ok(&b"six"[..]));
        assert_eq!(reader.vector16(), Ok(&b"seven"[..]));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(Malformed));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_vector_longer_than_what_is_there_is_malformed() {
        assert_eq!(Reader::new(&[3, 1, 2]).vector8(), Err(Malformed));
        assert_eq!(Reader::new(&[0, 3, 1, 2]).vector16(), Err(Malformed));
    }

    #[test]
    fn a_slice_that_is_too_short_is_noticed() {
        let mut out = [0; 3];
        let mut writer = SliceWriter::new(&mut out);
        writer.put_u16(1);
        writer.put_u16(2);
        assert_eq!(writer.finish(), None);
    }
}
