//! Memory for messages: arrays inside their owner, or the heap where there is one.

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

/// The memory for the messages that an endpoint may have to repeat.
pub trait Messages {
    /// Names a message that is kept, or is it.
    type Kept;
    /// Keeps what is written into a room: so many bytes as `write` says.
    ///
    /// # Errors
    /// What `write` says; then nothing is kept.
    fn keep<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Self::Kept, E>;
    /// A message that is kept.
    fn bytes<'a>(&'a self, kept: &'a Self::Kept) -> &'a [u8];
    /// Forgets a message.
    fn release(&mut self, kept: Self::Kept);
}

/// Up to `N` bytes of all messages together, in place: a long one has room if no other waits. An endpoint keeps one for each of its exchanges,
/// and has less than 256 of those.
#[derive(Debug)]
pub struct Pool<const N: usize> {
    /// One message behind the other, each behind its number and its length.
    bytes: [u8; N],
    used: usize,
    last: u8,
}

/// The number and the length of a message in a [`Pool`].
const HEAD: usize = 3;

impl<const N: usize> Default for Pool<N> {
    fn default() -> Self {
        Self { bytes: [0; N], used: 0, last: 0 }
    }
}

impl<const N: usize> Pool<N> {
    /// Where a message with its head is.
    fn find(&self, number: u8) -> Option<core::ops::Range<usize>> {
        let mut start = 0_usize;
        loop {
            let [found, high, low] = *self.bytes.get(start..self.used)?.first_chunk::<HEAD>()?;
            let end = start.saturating_add(HEAD).saturating_add(usize::from(u16::from_be_bytes([high, low])));
            if found == number {
                return Some(start..end);
            }
            start = end;
        }
    }
}

impl<const N: usize> Messages for Pool<N> {
    type Kept = u8;

    fn keep<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<u8, E> {
        let mut number = self.last.wrapping_add(1);
        while self.find(number).is_some() {
            number = number.wrapping_add(1);
        }
        let (head, room) =
            match self.bytes.get_mut(self.used..).and_then(|room| room.split_at_mut_checked(HEAD)) {
                Some((head, room)) => (head, room),
                None => (&mut [][..], &mut [][..]),
            };
        let length = write(room)?.min(room.len()).min(usize::from(u16::MAX));
        let [high, low] = (length as u16).to_be_bytes();
        if head.len() == HEAD {
            head.copy_from_slice(&[number, high, low]);
            self.used = self.used.saturating_add(HEAD).saturating_add(length);
        }
        self.last = number;
        Ok(number)
    }

    fn bytes<'a>(&'a self, kept: &'a u8) -> &'a [u8] {
        let message = self.find(*kept).and_then(|range| self.bytes.get(range));
        message.and_then(|message| message.get(HEAD..)).unwrap_or_default()
    }

    fn release(&mut self, kept: u8) {
        let Some(range) = self.find(kept) else { return };
        let length = range.len();
        if let Some(used) = self.bytes.get_mut(..self.used) {
            used.copy_within(range.end.., range.start);
        }
        self.used = self.used.saturating_sub(length);
    }
}

/// Messages of up to `N` bytes on the heap, each as large as it is.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, Default)]
pub struct OnHeap<const N: usize>;

#[cfg(feature = "alloc")]
impl<const N: usize> Messages for OnHeap<N> {
    type Kept = alloc::boxed::Box<[u8]>;

    fn keep<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Self::Kept, E> {
        let mut room = [0; N];
        let length = write(&mut room)?;
        Ok(room.get(..length).unwrap_or(&room).into())
    }

    fn bytes<'a>(&'a self, kept: &'a Self::Kept) -> &'a [u8] {
        kept
    }

    fn release(&mut self, _: Self::Kept) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn keep(pool: &mut Pool<40>, bytes: &[u8]) -> Option<u8> {
        let written = pool.keep(|room| {
            room.get_mut(..bytes.len()).ok_or(())?.copy_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        written.ok()
    }

    proptest! {
        #[test]
        fn a_pool_gives_back_what_it_keeps_and_takes_what_fits(steps in prop::collection::vec((any::<bool>(), 1..40usize), 0..100)) {
            let mut pool = Pool::<40>::default();
            let mut model: Vec<(u8, Vec<u8>)> = Vec::new();
            for (index, (keeps, size)) in steps.into_iter().enumerate() {
                if keeps {
                    let message = std::vec![index as u8; size];
                    let used: usize = model.iter().map(|(_, message)| message.len() + HEAD).sum();
                    let kept = keep(&mut pool, &message);
                    prop_assert_eq!(kept.is_some(), used + HEAD + size <= 40);
                    model.extend(kept.map(|number| (number, message)));
                } else if !model.is_empty() {
                    let (number, _) = model.remove(size % model.len());
                    pool.release(number);
                }
                for (number, message) in &model {
                    prop_assert_eq!(pool.bytes(number), message.as_slice());
                }
            }
        }
    }
}
