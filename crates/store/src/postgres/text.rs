//! Text as PostgreSQL can hold it.
//!
//! Its text has no U+0000, which a device may well put into a name or a value. It stands as U+001A and `0`, and U+001A itself as U+001A
//! and `1`; all other text stands as it is.

use std::borrow::Cow;

const MARK: char = '\u{1a}';

/// As it is stored.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([MARK, '0']),
            MARK => stored.extend([MARK, '1']),
            other => stored.push(other),
        }
    }
    Cow::Owned(stored)
}

/// As it was.
pub(super) fn original(stored: String) -> String {
    if !stored.contains(MARK) {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            MARK if characters.next() == Some('0') => '\0',
            other => other,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_the_character_that_postgresql_lacks_comes_back_as_it_was() {
        for text in ["", "plain", "\0", "a\0b", "\u{1a}", "\u{1a}0\0\u{1a}1", "ü\0"] {
            let stored = stored(text);
            assert!(!stored.contains('\0'));
            assert_eq!(original(stored.into_owned()), text);
        }
    }
}
