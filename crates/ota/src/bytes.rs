//! Little-endian fields out of byte strings whose length nobody promised, and the CRC that ESP-IDF uses.

/// The `N` bytes at `at`, or `None` where the input ends first.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The little-endian `u16` at `at`.
pub(crate) fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian `u32` at `at`.
pub(crate) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    take(bytes, at).map(u32::from_le_bytes)
}

/// Copies `from` into `to` at `at`; false where it does not fit.
#[must_use]
pub(crate) fn put(to: &mut [u8], at: usize, from: &[u8]) -> bool {
    let place = at.checked_add(from.len()).and_then(|end| to.get_mut(at..end));
    place.is_some_and(|place| {
        place.copy_from_slice(from);
        true
    })
}

/// CRC-32 (reflected 0xEDB88320, initial value 0, final XOR 0xFFFFFFFF), as the boot ROM's `crc32_le(UINT32_MAX, …)`.
///
/// Bit by bit: the inputs are at most a few hundred bytes, and a table would cost the bootloader a kilobyte.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let register = bytes.iter().fold(0_u32, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| {
            (register >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(register & 1))
        })
    });
    !register
}

/// The text of a fixed field that ends at its first NUL; `None` unless it is printable ASCII or other clean UTF-8.
pub(crate) fn text_field(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = core::str::from_utf8(field.get(..end)?).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// Writes a number in decimal. The formatting of `core` takes a kilobyte, which a boot loader does without.
pub(crate) fn write_number(out: &mut impl core::fmt::Write, number: u8) -> core::fmt::Result {
    let digits = [number / 100, number / 10 % 10, number % 10];
    let zeros = digits.iter().take(2).take_while(|digit| **digit == 0).count();
    digits.iter().skip(zeros).try_for_each(|digit| out.write_char(char::from(b'0'.wrapping_add(*digit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_core_writes_them() {
        for number in 0..=u8::MAX {
            let mut text = String::new();
            write_number(&mut text, number).unwrap();
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn the_crc_of_sequence_numbers_is_the_one_that_esp_idf_writes() {
        let crc = |sequence: u32| crc32(&sequence.to_le_bytes());

        assert_eq!([crc(1), crc(2), crc(3)], [0x4743_989A, 0x55F6_3774, 0xED4A_5011]);
    }
}
