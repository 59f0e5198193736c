//! Stored records: bytes and numbers, one after the other.

/// Writes a stored record: bytes, numbers of variable length, and bytes with their length in front.
pub(crate) struct Record<'a> {
    buffer: &'a mut [u8],
    length: usize,
    overflow: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0, overflow: false }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.raw(&[byte]);
    }

    pub(crate) fn uint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Bytes whose length the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let room = self.buffer.get_mut(self.length..).and_then(|room| room.get_mut(..bytes.len()));
        match room {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length = self.length.saturating_add(bytes.len());
            }
            None => self.overflow = true,
        }
    }

    /// Writes a record within the record, with its length in front.
    pub(crate) fn nested(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.length;
        self.byte(0);
        self.byte(0);
        let start = self.length;
        write(self);
        let length = self.length.saturating_sub(start);
        match (u16::try_from(length), self.buffer.get_mut(at..start)) {
            (Ok(length), Some(room)) if room.len() == 2 => room.copy_from_slice(&length.to_be_bytes()),
            _ => self.overflow = true,
        }
    }

    /// How many bytes there are, if they fit.
    pub(crate) fn fitting(self) -> Option<usize> {
        (!self.overflow).then_some(self.length)
    }
}

/// Reads a stored record.
pub(crate) struct RecordReader<'a>(pub(crate) &'a [u8]);

impl<'a> RecordReader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A record that [`Record::nested`] wrote.
    pub(crate) fn nested(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
        let (bytes, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}
