//! Memory for one datagram: an array inside its owner, or on the heap where there is one.

/// A place that keeps the bytes of one message.
pub trait Buffer: Default {
    /// The most bytes that it keeps.
    fn capacity() -> usize;
    /// Room of [`Buffer::capacity`] bytes to write into.
    fn open(&mut self) -> &mut [u8];
    /// Keeps the first `length` bytes of what was written.
    fn close(&mut self, length: usize);
    /// What is kept.
    fn bytes(&self) -> &[u8];

    /// Keeps a copy of `bytes`; says no if they are too many.
    fn store(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= Self::capacity();
        if fits {
            if let Some(room) = self.open().get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
            self.close(bytes.len());
        }
        fits
    }
}

/// Up to `N` bytes in place.
#[derive(Clone, Debug)]
pub struct Inline<const N: usize> {
    bytes: [u8; N],
    length: u16,
}

impl<const N: usize> Default for Inline<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Buffer for Inline<N> {
    fn capacity() -> usize {
        N.min(u16::MAX as usize)
    }

    fn open(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn close(&mut self, length: usize) {
        self.length = length.min(Self::capacity()) as u16;
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Up to `N` bytes on the heap; takes no more than it keeps.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default)]
pub struct OnHeap<const N: usize>(alloc::vec::Vec<u8>);

#[cfg(feature = "alloc")]
impl<const N: usize> Buffer for OnHeap<N> {
    fn capacity() -> usize {
        N
    }

    fn open(&mut self) -> &mut [u8] {
        self.0.resize(N, 0);
        &mut self.0
    }

    fn close(&mut self, length: usize) {
        self.0.truncate(length);
        self.0.shrink_to_fit();
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn store(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= N;
        if fits {
            self.0 = bytes.to_vec();
        }
        fits
    }
}
