//! Hexadecimal digits, two for each byte.

/// Digits of bytes.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of digits; `None` if they are none.
pub fn decode(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| digits.chunks(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(decode("00fF").as_deref(), Some(&[0, 255][..]));
        assert_eq!([decode("0"), decode("+1"), decode("0g")], [None, None, None]);
        assert_eq!(encode(&[0, 255]), "00ff");
    }
}
