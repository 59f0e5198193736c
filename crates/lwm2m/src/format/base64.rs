//! Base64 (RFC 4648): the standard alphabet for plain text and LwM2M JSON, the URL-safe one for SenML.
//!
//! Reading takes both alphabets, with padding and without: devices mix them up.

use super::FormatError;
use crate::output::Output;
use crate::value::ValueType;

/// Which characters to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alphabet {
    /// The characters for 62 and 63.
    last: [u8; 2],
    padding: Option<u8>,
}

impl Alphabet {
    /// With `+`, `/` and padding.
    pub(crate) const STANDARD: Self = Self { last: *b"+/", padding: Some(b'=') };
    /// With `-`, `_` and no padding.
    #[cfg(feature = "json")]
    pub(crate) const URL_SAFE: Self = Self { last: *b"-_", padding: None };
}

const MALFORMED: FormatError = FormatError::PeerSentMalformedValue { expected: ValueType::Opaque };

/// Decodes `characters` into `scratch`.
pub(crate) fn decode(
    characters: impl Iterator<Item = char>,
    scratch: &mut [u8],
) -> Result<&[u8], FormatError> {
    let mut output = Output::new(scratch);
    let mut bits = 0_u32;
    let mut count = 0_u32;
    let mut padding = 0_u32;
    for character in characters {
        if character == '=' {
            padding = padding.saturating_add(1);
            continue;
        }
        if padding > 0 {
            return Err(MALFORMED);
        }
        bits = (bits << 6) | sextet(character)?;
        count = count.wrapping_add(1) & 3;
        if count == 0 {
            let [_, a, b, c] = bits.to_be_bytes();
            output.bytes(&[a, b, c])?;
            bits = 0;
        }
    }
    finish(&mut output, bits, count, padding)?;
    Ok(output.into_written())
}

fn finish(output: &mut Output<'_>, bits: u32, count: u32, padding: u32) -> Result<(), FormatError> {
    match (count, padding) {
        (0, 0) => Ok(()),
        (2, 0 | 2) => Ok(output.byte((bits >> 4) as u8)?),
        (3, 0 | 1) => {
            let [_, _, a, b] = (bits >> 2).to_be_bytes();
            Ok(output.bytes(&[a, b])?)
        }
        _ => Err(MALFORMED),
    }
}

fn sextet(character: char) -> Result<u32, FormatError> {
    let code = u32::from(character);
    let value = match character {
        'A'..='Z' => code.checked_sub(65),
        'a'..='z' => code.checked_sub(71),
        '0'..='9' => code.checked_add(4),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    };
    value.ok_or(MALFORMED)
}

/// Writes `bytes` as Base64.
pub(crate) fn encode(bytes: &[u8], alphabet: Alphabet, output: &mut Output<'_>) -> Result<(), FormatError> {
    for chunk in bytes.chunks(3) {
        let mut whole = [0; 4];
        for (to, from) in whole.iter_mut().skip(1).zip(chunk) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(whole);
        let used = chunk.len().saturating_add(1);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            if index < used {
                output.byte(symbol((bits >> shift) as u8 & 63, alphabet))?;
            } else if let Some(padding) = alphabet.padding {
                output.byte(padding)?;
            }
        }
    }
    Ok(())
}

fn symbol(sextet: u8, alphabet: Alphabet) -> u8 {
    let [for_62, for_63] = alphabet.last;
    match sextet {
        0..=25 => sextet.wrapping_add(b'A'),
        26..=51 => sextet.wrapping_add(71),
        52..=61 => sextet.wrapping_sub(4),
        62 => for_62,
        _ => for_63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8], alphabet: Alphabet) -> String {
        let mut buffer = [0; 64];
        let mut output = Output::new(&mut buffer);
        encode(bytes, alphabet, &mut output).unwrap();
        String::from_utf8(output.into_written().to_vec()).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_4648_are_met() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encoded(bytes.as_bytes(), Alphabet::STANDARD), text);
            assert_eq!(decode(text.chars(), &mut [0; 64]).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encoded(&[0xfb, 0xff], Alphabet::URL_SAFE), "-_8");
        assert_eq!(encoded(&[0xfb, 0xff], Alphabet::STANDARD), "+/8=");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["A", "A===", "Zg=", "Zg=a", "Zm9v=", "Z g", "ü"] {
            assert_eq!(decode(text.chars(), &mut [0; 64]), Err(MALFORMED), "{text}");
        }
        assert_eq!(decode("Zm9v".chars(), &mut [0; 2]), Err(FormatError::BufferTooSmall));
    }

    proptest! {
        #[test]
        fn bytes_survive_both_alphabets(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for alphabet in [Alphabet::STANDARD, Alphabet::URL_SAFE] {
                let text = encoded(&bytes, alphabet);
                let mut scratch = [0; 64];
                prop_assert_eq!(decode(text.chars(), &mut scratch).unwrap(), bytes.as_slice());
            }
        }
    }
}
