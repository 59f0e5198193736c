//! The caller's buffer, filled from the front.

use crate::path::Path;
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

    /// Writes a number in decimal digits.
    pub(crate) fn whole(&mut self, number: u64) -> Result<(), Full> {
        self.bytes(digits_of(number, &mut [0; 20]).as_bytes())
    }

    /// Writes a number in decimal digits, perhaps with a sign.
    pub(crate) fn signed(&mut self, number: i64) -> Result<(), Full> {
        if number < 0 {
            self.byte(b'-')?;
        }
        self.whole(number.unsigned_abs())
    }

    /// Writes a path, as in `/3/0/9`.
    pub(crate) fn path(&mut self, path: Path) -> Result<(), Full> {
        if path == Path::ROOT {
            return self.byte(b'/');
        }
        path.ids().iter().try_for_each(|id| {
            self.byte(b'/')?;
            self.whole((*id).into())
        })
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

/// The digits of a whole number. `core` writes numbers by what is four times as large.
pub(crate) fn digits_of(number: u64, buffer: &mut [u8; 20]) -> &str {
    let mut at = buffer.len();
    let mut left = number;
    for place in buffer.iter_mut().rev() {
        *place = b'0'.wrapping_add((left % 10) as u8);
        left /= 10;
        at = at.saturating_sub(1);
        if left == 0 {
            break;
        }
    }
    buffer.get(at..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default()
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
