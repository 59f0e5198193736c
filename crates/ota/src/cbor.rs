//! The part of CBOR that a manifest needs (RFC 8949), in its deterministic form only (section 4.2.1).
//!
//! Definite lengths, shortest heads. The reader refuses every other spelling, so that a manifest has one encoding.

/// Writes items into a fixed buffer; [`Writer::finish`] says whether they fitted.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
    overflowed: bool,
}

/// Reads items off the front of its input.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// The input is not the item that was asked for, or not in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unexpected;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned = 0,
    Negative = 1,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Tag = 6,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0, overflowed: false }
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        self.head(Major::Unsigned, value);
    }

    /// An integer of either sign.
    pub(crate) fn integer(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(Major::Unsigned, value),
            Err(_) => self.head(Major::Negative, !value.cast_unsigned()),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(Major::Bytes, bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.head(Major::Text, text.len() as u64);
        self.raw(text.as_bytes());
    }

    pub(crate) fn array(&mut self, items: u64) {
        self.head(Major::Array, items);
    }

    pub(crate) fn map(&mut self, pairs: u64) {
        self.head(Major::Map, pairs);
    }

    pub(crate) fn tag(&mut self, tag: u64) {
        self.head(Major::Tag, tag);
    }

    /// The bytes written; `None` if they did not fit.
    pub(crate) fn finish(self) -> Option<&'a [u8]> {
        let Self { buffer, len, overflowed } = self;
        let buffer: &'a [u8] = buffer;
        (!overflowed).then(|| buffer.get(..len)).flatten()
    }

    fn head(&mut self, major: Major, value: u64) {
        let major = (major as u8) << 5;
        let bytes = value.to_be_bytes();
        let (info, count): (u8, usize) = match value {
            0..=23 => (bytes[7], 0),
            24..=0xFF => (24, 1),
            0x100..=0xFFFF => (25, 2),
            0x1_0000..=0xFFFF_FFFF => (26, 4),
            _ => (27, 8),
        };
        self.raw(&[major | info]);
        self.raw(bytes.get(8_usize.saturating_sub(count)..).unwrap_or_default());
    }

    fn raw(&mut self, bytes: &[u8]) {
        if crate::bytes::put(self.buffer, self.len, bytes) {
            self.len = self.len.saturating_add(bytes.len());
        } else {
            self.overflowed = true;
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Unexpected> {
        self.head(Major::Unsigned)
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Unexpected> {
        let negative = self.rest.first().is_some_and(|first| first >> 5 == Major::Negative as u8);
        let major = if negative { Major::Negative } else { Major::Unsigned };
        let value = i64::try_from(self.head(major)?).map_err(|_| Unexpected)?;
        Ok(if negative { !value } else { value })
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Unexpected> {
        let len = self.head(Major::Bytes)?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Unexpected> {
        let len = self.head(Major::Text)?;
        core::str::from_utf8(self.take(len)?).map_err(|_| Unexpected)
    }

    pub(crate) fn array(&mut self) -> Result<u64, Unexpected> {
        self.head(Major::Array)
    }

    pub(crate) fn map(&mut self) -> Result<u64, Unexpected> {
        self.head(Major::Map)
    }

    pub(crate) fn tag(&mut self) -> Result<u64, Unexpected> {
        self.head(Major::Tag)
    }

    /// Refuses anything behind the last item.
    pub(crate) fn end(self) -> Result<(), Unexpected> {
        self.rest.is_empty().then_some(()).ok_or(Unexpected)
    }

    fn head(&mut self, major: Major) -> Result<u64, Unexpected> {
        let (first, rest) = self.rest.split_first().ok_or(Unexpected)?;
        if first >> 5 != major as u8 {
            return Err(Unexpected);
        }
        self.rest = rest;
        let (value, least) = match first & 0x1F {
            info @ 0..=23 => (u64::from(info), 0),
            24 => (self.number::<1>()?, 24),
            25 => (self.number::<2>()?, 0x100),
            26 => (self.number::<4>()?, 0x1_0000),
            27 => (self.number::<8>()?, 0x1_0000_0000),
            _ => return Err(Unexpected),
        };
        (value >= least).then_some(value).ok_or(Unexpected)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, Unexpected> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(Unexpected)?;
        self.rest = rest;
        Ok(bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Unexpected> {
        let len = usize::try_from(len).map_err(|_| Unexpected)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Unexpected)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_are_those_of_rfc_8949_appendix_a() {
        for (value, expected) in [
            (0, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 24]),
            (1000, &[0x19, 0x03, 0xE8]),
            (1_000_000, &[0x1A, 0, 0x0F, 0x42, 0x40]),
            (-1, &[0x20]),
            (-257, &[0x39, 0x01, 0x00]),
        ] {
            let mut buffer = [0; 9];
            let mut writer = Writer::new(&mut buffer);
            writer.integer(value);
            assert_eq!(writer.finish().unwrap(), expected);
            assert_eq!(Reader::new(expected).integer(), Ok(value));
        }
    }

    #[test]
    fn a_number_in_a_longer_form_than_needed_is_refused() {
        for spelling in [&[0x18, 23][..], &[0x19, 0, 255], &[0x1A, 0, 0, 255, 255], &[0x5F], &[0x1C]] {
            assert_eq!(Reader::new(spelling).unsigned(), Err(Unexpected), "{spelling:x?}");
        }
    }

    proptest! {
        #[test]
        fn integers_survive_the_way_out_and_in(value: i64) {
            let mut buffer = [0; 9];
            let mut writer = Writer::new(&mut buffer);
            writer.integer(value);
            prop_assert_eq!(Reader::new(writer.finish().unwrap()).integer(), Ok(value));
        }
    }
}
