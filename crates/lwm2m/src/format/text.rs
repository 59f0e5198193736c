//! Text as a payload holds it: perhaps still with JSON's escapes.

use super::FormatError;
use crate::output::Output;

/// A text inside a payload. Borrowed, so escapes of JSON are still in it; they go when the text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a str,
    escaping: Escaping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaping {
    None,
    Json,
}

impl<'a> Text<'a> {
    /// A text that means what it says.
    pub(crate) const fn plain(raw: &'a str) -> Self {
        Self { raw, escaping: Escaping::None }
    }

    /// The inside of a JSON string, whose escapes the tokenizer has checked.
    pub(crate) fn json(raw: &'a str) -> Self {
        let escaping = if raw.contains('\\') { Escaping::Json } else { Escaping::None };
        Self { raw, escaping }
    }

    /// The text, if it has no escapes.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        (self.escaping == Escaping::None).then_some(self.raw)
    }

    /// The characters, escapes resolved.
    pub fn chars(&self) -> impl Iterator<Item = char> + Clone + use<'a> {
        let escaping = self.escaping;
        let mut rest = self.raw.chars();
        core::iter::from_fn(move || match (rest.next()?, escaping) {
            ('\\', Escaping::Json) => Some(unescape(&mut rest)),
            (character, _) => Some(character),
        })
    }

    /// The text, borrowed if possible, else written into `scratch`, which [`Text::max_len`] bytes always suffice for.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`]
    pub fn read<'s>(&self, scratch: &'s mut [u8]) -> Result<&'s str, FormatError>
    where
        'a: 's,
    {
        if let Some(text) = self.as_str() {
            return Ok(text);
        }
        let mut output = Output::new(scratch);
        for character in self.chars() {
            output.bytes(character.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        core::str::from_utf8(output.into_written()).map_err(|_| FormatError::PeerSentNotUtf8)
    }

    /// No reading of the text takes more bytes.
    #[must_use]
    pub const fn max_len(&self) -> usize {
        self.raw.len()
    }

    /// Whether the last character is `_`, by which SenML marks fields that must be understood.
    pub(crate) fn ends_with_underscore(&self) -> bool {
        self.chars().last() == Some('_')
    }
}

/// Reads what follows a backslash. The tokenizer let only whole escapes pass, so the fallback is never seen.
fn unescape(rest: &mut core::str::Chars<'_>) -> char {
    match rest.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => unescape_unicode(rest),
        Some(character) => character,
        None => char::REPLACEMENT_CHARACTER,
    }
}

fn unescape_unicode(rest: &mut core::str::Chars<'_>) -> char {
    let first = hex4(rest);
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    rest.next(); // the backslash and the u of the second half
    rest.next();
    let second = hex4(rest);
    char::from_u32(surrogate_pair(first, second)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn surrogate_pair(high: u32, low: u32) -> u32 {
    ((high & 0x3ff) << 10 | (low & 0x3ff)).saturating_add(0x1_0000)
}

fn hex4(rest: &mut core::str::Chars<'_>) -> u32 {
    rest.take(4).fold(0, |value, digit| value << 4 | digit.to_digit(16).unwrap_or(0))
}
