//! The caller's buffer, filled from the front.

use core::fmt;

/// Bytes written so far into a buffer of the caller.
pub(crate) struct Output<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

/// The buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<'b> Output<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn byte(&mut self, byte: u8) -> Result<(), Full> {
        self.bytes(&[byte])
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        self.buffer.get_mut(self.len..end).ok_or(Full)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Puts `bytes` in at `at` and moves what stands behind: a header whose size only its content decides.
    pub(crate) fn insert(&mut self, at: usize, bytes: &[u8]) -> Result<(), Full> {
        let old_end = self.len;
        self.bytes(bytes)?;
        let gap_end = at.checked_add(bytes.len()).ok_or(Full)?;
        let moved = self.buffer.get_mut(..self.len).ok_or(Full)?;
        if at > old_end {
            return Err(Full);
        }
        moved.copy_within(at..old_end, gap_end);
        moved.get_mut(at..gap_end).ok_or(Full)?.copy_from_slice(bytes);
        Ok(())
    }

    /// What was written, for as long as the buffer lives.
    pub(crate) fn into_written(self) -> &'b [u8] {
        let buffer: &'b [u8] = self.buffer;
        buffer.get(..self.len).unwrap_or(&[])
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes()).map_err(|Full| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserting_moves_what_stands_behind() {
        let mut buffer = [0; 6];
        let mut output = Output::new(&mut buffer);
        output.bytes(b"ad").unwrap();
        output.insert(1, b"bc").unwrap();
        assert_eq!(output.into_written(), b"abcd");
    }

    #[test]
    fn a_full_buffer_is_said_and_not_overrun() {
        let mut buffer = [0; 3];
        let mut output = Output::new(&mut buffer);
        output.bytes(b"ab").unwrap();
        assert_eq!(output.insert(0, b"xy"), Err(Full));
        assert_eq!(output.bytes(b"xy"), Err(Full));
        assert_eq!(output.len(), 2);
    }
}
