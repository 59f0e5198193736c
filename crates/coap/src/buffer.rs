//! Memory for one datagram: an array inside its owner, or on the heap where there is one.

/// A place that keeps the bytes of one message.
pub trait Buffer: Default {
    /// The most bytes that it keeps.
    fn capacity() -> usize;
    /// Keeps what is written into a room of [`Buffer::capacity`] bytes: so many as `write` says.
    ///
    /// # Errors
    /// What `write` says; then nothing is kept.
    fn write<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E>;
    /// What is kept.
    fn bytes(&self) -> &[u8];

    /// Keeps a copy of `bytes`; says no if they are too many.
    fn store(&mut self, bytes: &[u8]) -> bool {
        let written = self.write(|room| {
            let room = room.get_mut(..bytes.len()).ok_or(())?;
            room.copy_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        written.is_ok()
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

    fn write<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.length = 0;
        let length = write(&mut self.bytes)?;
        self.length = length.min(Self::capacity()) as u16;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Up to `N` bytes on the heap; takes no more than it keeps.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default)]
pub struct OnHeap<const N: usize>(alloc::boxed::Box<[u8]>);

#[cfg(feature = "alloc")]
impl<const N: usize> Buffer for OnHeap<N> {
    fn capacity() -> usize {
        N
    }

    fn write<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let mut room = [0; N];
        let length = write(&mut room)?;
        self.0 = room.get(..length).unwrap_or(&room).into();
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn store(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= N;
        if fits {
            self.0 = bytes.into();
        }
        fits
    }
}
