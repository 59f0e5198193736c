//! JSON (RFC 8259), token by token, without building anything.

use super::FormatError;
use super::raw::RawValue;
use super::text::Text;

/// Values that are skipped may be nested so deep, and no deeper.
const MAX_DEPTH: usize = 16;

/// A place in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
}

/// What comes between the brackets of an array or object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Right behind the opening bracket.
    First,
    /// Behind a member.
    Later,
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.advance(1);
        }
        self.byte()
    }

    /// Steps over `byte`, which must come next.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), FormatError> {
        if self.peek() != Some(byte) {
            return Err(self.error());
        }
        self.advance(1);
        Ok(())
    }

    /// Steps to the next member of an array or object, or over the `close` that ends it: then the answer is false.
    pub(crate) fn next_member(&mut self, place: &mut Place, close: u8) -> Result<bool, FormatError> {
        if self.peek() == Some(close) {
            self.advance(1);
            return Ok(false);
        }
        if *place == Place::Later {
            self.expect(b',')?;
        }
        *place = Place::Later;
        Ok(true)
    }

    /// Steps over a key and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, FormatError> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), FormatError> {
        if self.peek().is_some() { Err(FormatError::PeerSentTrailingBytes) } else { Ok(()) }
    }

    pub(crate) fn string(&mut self) -> Result<Text<'a>, FormatError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) | None => return Err(self.error()),
                Some(_) => self.advance(1),
            }
        }
        let inside = self.text.get(start..self.at).ok_or(self.error())?;
        self.advance(1);
        Ok(Text::json(inside))
    }

    fn escape(&mut self) -> Result<(), FormatError> {
        self.advance(1);
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.advance(1);
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            _ => Err(self.error()),
        }
    }

    /// Half of a character outside of the basic plane must be followed by the other half.
    fn unicode_escape(&mut self) -> Result<(), FormatError> {
        match self.hex4()? {
            0xd800..0xdc00 => {
                if !self.rest().starts_with("\\u") {
                    return Err(self.error());
                }
                self.advance(1);
                let low = self.hex4()?;
                if (0xdc00..0xe000).contains(&low) { Ok(()) } else { Err(self.error()) }
            }
            0xdc00..0xe000 => Err(self.error()),
            _ => Ok(()),
        }
    }

    /// Steps over `u` and four digits.
    fn hex4(&mut self) -> Result<u32, FormatError> {
        self.advance(1);
        let digits = self.rest().get(..4).ok_or(self.error())?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.error());
        }
        self.advance(4);
        u32::from_str_radix(digits, 16).map_err(|_| self.error())
    }

    pub(crate) fn number(&mut self) -> Result<&'a str, FormatError> {
        self.peek();
        let start = self.at;
        self.skip_byte(b'-');
        match self.byte() {
            Some(b'0') => self.advance(1),
            _ => self.digits()?,
        }
        if self.skip_byte(b'.') {
            self.digits()?;
        }
        if self.skip_byte(b'e') || self.skip_byte(b'E') {
            let _ = self.skip_byte(b'+') || self.skip_byte(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(self.error())
    }

    fn digits(&mut self) -> Result<(), FormatError> {
        let count = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.advance(count);
        if count == 0 { Err(self.error()) } else { Ok(()) }
    }

    /// A value that is neither array nor object; `None` for null.
    pub(crate) fn scalar(&mut self) -> Result<Option<RawValue<'a>>, FormatError> {
        match self.peek() {
            Some(b'"') => Ok(Some(RawValue::String(self.string()?))),
            Some(b't') => self.word("true").map(|()| Some(RawValue::Boolean(true))),
            Some(b'f') => self.word("false").map(|()| Some(RawValue::Boolean(false))),
            Some(b'n') => self.word("null").map(|()| None),
            _ => Ok(Some(RawValue::Number(self.number()?))),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), FormatError> {
        if !self.rest().starts_with(word) {
            return Err(self.error());
        }
        self.advance(word.len());
        Ok(())
    }

    /// Steps over any value, however it is made.
    pub(crate) fn skip_value(&mut self) -> Result<(), FormatError> {
        let mut open = Nesting::default();
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.advance(1);
                    open.push(bracket)?;
                }
                _ => {
                    self.scalar()?;
                }
            }
            if !self.step_to_next(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Steps to where the next skipped value starts; false if all brackets are closed.
    fn step_to_next(&mut self, open: &mut Nesting) -> Result<bool, FormatError> {
        while let Some((bracket, place)) = open.innermost() {
            let close = if *bracket == b'{' { b'}' } else { b']' };
            if self.next_member(place, close)? {
                if *bracket == b'{' {
                    self.key()?;
                }
                return Ok(true);
            }
            open.pop();
        }
        Ok(false)
    }

    pub(crate) fn error(&self) -> FormatError {
        FormatError::PeerSentBadJson { offset: self.at }
    }

    fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }
}

/// The brackets that are open while a value is skipped.
#[derive(Default)]
struct Nesting {
    brackets: [Option<(u8, Place)>; MAX_DEPTH],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, bracket: u8) -> Result<(), FormatError> {
        let slot = self.brackets.get_mut(self.depth).ok_or(FormatError::PeerSentTooDeep)?;
        *slot = Some((bracket, Place::First));
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn innermost(&mut self) -> Option<&mut (u8, Place)> {
        self.brackets.get_mut(self.depth.checked_sub(1)?)?.as_mut()
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// Reads what follows a backslash. The tokenizer let only whole escapes pass, so the fallback is never seen.
pub(super) fn unescape(rest: &mut core::str::Chars<'_>) -> char {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skips(text: &str) -> Result<(), FormatError> {
        let mut json = Json::new(text);
        json.skip_value()?;
        json.end()
    }

    #[test]
    fn every_kind_of_value_can_be_stepped_over() {
        for text in [
            "1",
            "-0.5e+3",
            "\"\"",
            r#""a\"\\\/\b\f\n\r\té""#,
            r#""\ud83d\ude00""#,
            "true",
            "false",
            "null",
            "[]",
            "{}",
            r#" { "a" : [ 1 , { "b" : [ ] } , "x" ] , "c" : null } "#,
        ] {
            assert_eq!(skips(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "[",
            "]",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "+1",
            "nul",
            "tru",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            r#""\ud83d""#,
            r#""\ud83dA""#,
            r#""\ude00""#,
            "\"\n\"",
            "1 2",
            "[1 2]",
        ] {
            assert!(skips(text).is_err(), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs_anything() {
        assert_eq!(skips(&"[".repeat(100_000)), Err(FormatError::PeerSentTooDeep));
        let just_fits = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(skips(&just_fits), Ok(()));
    }

    #[test]
    fn escapes_are_resolved() {
        let mut json = Json::new(r#""\ud83d\ude00 \u00e9\n\/""#);
        let text = json.string().unwrap();
        assert_eq!(text.read(&mut [0; 32]).unwrap(), "😀 é\n/");
        assert_eq!(text.read(&mut [0; 2]), Err(FormatError::BufferTooSmall));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_tokenizer_panic(text in ".*") {
            let _ = skips(&text);
        }

        #[test]
        fn no_heap_of_tokens_makes_the_tokenizer_panic(text in r#"[\[\]{}",:0-9\\ute.-]*"#) {
            let _ = skips(&text);
        }
    }
}
