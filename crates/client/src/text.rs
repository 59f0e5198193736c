//! Texts and bytes of a bounded length that lie where they are declared.

use core::fmt;

use crate::shape::{Array, Capacity, UpTo};

/// At most [`C::MAX`](Capacity::MAX) bytes in place, as in `Bytes<UpTo<8>>`.
#[derive(Clone, Copy)]
pub struct Bytes<C: Capacity> {
    bytes: Array<u8, C>,
    length: u16,
}

/// A text of at most `N` bytes of UTF-8 in place.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Text<const N: usize>(Bytes<UpTo<N>>);

/// More bytes than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl<C: Capacity> Bytes<C> {
    /// No bytes.
    pub const EMPTY: Self = Self { bytes: Array::ZEROES, length: 0 };

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// [`TooLong`] for more than there is room for.
    #[inline(never)]
    pub fn new(bytes: &[u8]) -> Result<Self, TooLong> {
        let mut copy = Self::EMPTY;
        copy.extend(bytes)?;
        Ok(copy)
    }

    /// Takes what is written into a place of [`C::MAX`](Capacity::MAX) bytes, of which `write` says how many there are.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Result<(), TooLong> {
        self.length = 0;
        let length = write(&mut self.bytes).filter(|length| *length <= self.bytes.len());
        self.length = length.and_then(|length| u16::try_from(length).ok()).ok_or(TooLong)?;
        Ok(())
    }

    /// Appends a copy of `bytes`.
    ///
    /// # Errors
    /// [`TooLong`], and nothing is appended.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.length = append(&mut self.bytes, self.length, bytes)?;
        Ok(())
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Forgets all but the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = u16::try_from(length).map_or(self.length, |length| self.length.min(length));
    }

    /// Forgets the first `length` bytes.
    pub fn drop_front(&mut self, length: usize) {
        let length = length.min(usize::from(self.length));
        self.bytes.copy_within(length..usize::from(self.length), 0);
        self.length = self.length.saturating_sub(length as u16);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Puts bytes in behind the first `length`, and says how many there are then.
fn append(place: &mut [u8], length: u16, bytes: &[u8]) -> Result<u16, TooLong> {
    let room = place.get_mut(usize::from(length)..).and_then(|room| room.get_mut(..bytes.len()));
    room.ok_or(TooLong)?.copy_from_slice(bytes);
    u16::try_from(bytes.len()).ok().and_then(|more| length.checked_add(more)).ok_or(TooLong)
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self(Bytes::EMPTY);

    /// A copy of `text`.
    ///
    /// # Errors
    /// [`TooLong`] for more than `N` bytes.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        Bytes::new(text.as_bytes()).map(Self)
    }

    /// As much of the beginning of `text` as there is room for.
    #[must_use]
    pub fn clipped(text: &str) -> Self {
        let mut end = text.len().min(N).min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        Self::new(text.get(..end).unwrap_or_default()).unwrap_or_default()
    }

    /// Appends a copy of `text`.
    ///
    /// # Errors
    /// [`TooLong`], and nothing is appended.
    pub fn push_str(&mut self, text: &str) -> Result<(), TooLong> {
        self.0.extend(text.as_bytes())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.0.as_slice()).unwrap_or_default()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<C: Capacity> Default for Bytes<C> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<C: Capacity> PartialEq for Bytes<C> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<C: Capacity> Eq for Bytes<C> {}

impl<C: Capacity> fmt::Debug for Bytes<C> {
    /// Says how many bytes there are and not which: they may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.length)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|TooLong| fmt::Error)
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too long for its place")
    }
}

impl core::error::Error for TooLong {}
