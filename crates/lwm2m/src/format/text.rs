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
    #[cfg(feature = "json")]
    Json,
}

impl<'a> Text<'a> {
    /// A text that means what it says.
    pub(crate) const fn plain(raw: &'a str) -> Self {
        Self { raw, escaping: Escaping::None }
    }

    /// The inside of a JSON string, whose escapes the tokenizer has checked.
    #[cfg(feature = "json")]
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
            #[cfg(feature = "json")]
            ('\\', Escaping::Json) => Some(super::json::unescape(&mut rest)),
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
    #[cfg(feature = "json")]
    pub(crate) fn ends_with_underscore(&self) -> bool {
        self.chars().last() == Some('_')
    }
}
