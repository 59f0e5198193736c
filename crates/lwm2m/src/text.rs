//! Foreign text made harmless to show: in a terminal, a log line, a header or a table.
//!
//! A device chooses its name, its values and its words of error, and a person reads them beside other text. A control
//! character can move the cursor, colour the screen or begin a forged log line (CWE-117, CWE-150). A bidirectional control can
//! make a name read as another one (CVE-2021-42574), and a character of no width can make two names look the same. All of these
//! are written as `\u{..}`; everything else stays as it is. This is for eyes, not for machines: the text can't be read back.

use core::fmt::{self, Write as _};

/// A text, to be shown: `{}` writes it with all that could do harm escaped. Width, fill and alignment are honoured.
///
/// ```
/// use buoy_lwm2m::text::harmless;
///
/// assert_eq!(harmless("pump 7, Zürich").to_string(), "pump 7, Zürich");
/// assert_eq!(harmless("ok\r\n\u{1b}[2J").to_string(), r"ok\u{d}\u{a}\u{1b}[2J");
/// assert_eq!(harmless("abc\u{202e}gpj.exe").to_string(), r"abc\u{202e}gpj.exe");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harmless<'a>(&'a str);

/// Bytes that should be a text but need not be one; each byte that is not UTF-8 is written as `\xff`.
///
/// ```
/// use buoy_lwm2m::text::harmless_bytes;
///
/// assert_eq!(harmless_bytes(b"caf\xc3\xa9 \xff\x07").to_string(), r"café \xff\u{7}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HarmlessBytes<'a>(&'a [u8]);

/// `text`, harmless to show.
#[must_use]
pub const fn harmless(text: &str) -> Harmless<'_> {
    Harmless(text)
}

/// `bytes` as text, harmless to show.
#[must_use]
pub const fn harmless_bytes(bytes: &[u8]) -> HarmlessBytes<'_> {
    HarmlessBytes(bytes)
}

/// Whether a text holds nothing that [`harmless`] would escape.
#[must_use]
pub fn is_harmless(text: &str) -> bool {
    // Most texts are ASCII, and need no look at the table.
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) || !text.chars().any(is_harmful)
}

/// Whether a character acts instead of being seen: a control (Cc), a separator of lines or paragraphs, an interlinear
/// annotation, or one of Unicode's Default_Ignorable_Code_Point, which are the bidirectional controls, the joiners and
/// all others without a width.
#[must_use]
pub const fn is_harmful(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_harmless(self.0) { f.pad(self.0) } else { padded(f, |out| write_escaped(out, self.0)) }
    }
}

impl fmt::Display for HarmlessBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) => Harmless(text).fmt(f),
            Err(_) => padded(f, |out| write_chunks(out, self.0)),
        }
    }
}

#[cfg(feature = "alloc")]
impl<'a> From<Harmless<'a>> for alloc::borrow::Cow<'a, str> {
    /// The text itself where it is clean.
    fn from(text: Harmless<'a>) -> Self {
        if is_harmless(text.0) {
            Self::Borrowed(text.0)
        } else {
            Self::Owned(alloc::string::ToString::to_string(&text))
        }
    }
}

fn write_escaped(out: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_harmful(*character)) {
        let (clean, tail) = rest.split_at(at);
        out.write_str(clean)?;
        write!(out, "{}", character.escape_unicode())?;
        rest = tail.get(character.len_utf8()..).unwrap_or_default();
    }
    out.write_str(rest)
}

fn write_chunks(out: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        write_escaped(out, chunk.valid())?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Writes what `write` writes, with the padding that the formatter asks for. Nothing is cut off: half an escape would mislead.
fn padded(f: &mut fmt::Formatter<'_>, write: impl Fn(&mut dyn fmt::Write) -> fmt::Result) -> fmt::Result {
    let Some(width) = f.width() else { return write(f) };
    let mut counter = Counter(0);
    write(&mut counter)?;
    let missing = width.saturating_sub(counter.0);
    let before = match f.align() {
        Some(fmt::Alignment::Right) => missing,
        Some(fmt::Alignment::Center) => missing / 2,
        Some(fmt::Alignment::Left) | None => 0,
    };
    let fill = f.fill();
    (0..before).try_for_each(|_| f.write_char(fill))?;
    write(f)?;
    (before..missing).try_for_each(|_| f.write_char(fill))
}

/// Counts characters.
struct Counter(usize);

impl fmt::Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.chars().count());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::Cow;
    use proptest::prelude::*;

    /// What the description of the findings names one by one.
    const NAMED: &str = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\
        \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}";

    #[test]
    fn each_control_and_each_invisible_character_is_escaped() {
        for character in NAMED.chars() {
            let text = format!("a{character}b");
            assert_eq!(harmless(&text).to_string(), format!("a\\u{{{:x}}}b", u32::from(character)));
        }
    }

    #[test]
    fn clean_text_is_not_copied() {
        let clean: Cow<'_, str> = harmless("Žluťoučký 温度 \\u{1b} 25 °C").into();
        assert!(matches!(clean, Cow::Borrowed("Žluťoučký 温度 \\u{1b} 25 °C")), "{clean}");
        let escaped: Cow<'_, str> = harmless("\u{1b}[31m").into();
        assert_eq!(escaped, "\\u{1b}[31m");
    }

    #[test]
    fn a_column_keeps_its_width() {
        assert_eq!(format!("{:<8}|", harmless("abc")), "abc     |");
        assert_eq!(format!("{:<8}|", harmless("a\n")), "a\\u{a}  |");
        assert_eq!(format!("{:*>8}|", harmless("a\n")), "**a\\u{a}|");
        assert_eq!(format!("{:^9}|", harmless_bytes(b"\xffab")), " \\xffab  |");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left_and_nothing_clean_is_lost(text in "\\PC*|.*|[\\x00-\\x9f\u{200b}-\u{2069}\u{feff}a-z]*") {
            let shown = harmless(&text).to_string();
            prop_assert!(is_harmless(&shown), "{shown:?}");
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(shown == text, is_harmless(&text));
            let kept = text.chars().filter(|character| !is_harmful(*character));
            let escaped = text.chars().filter(|character| is_harmful(*character));
            let expected = kept.count() + escaped.map(|it| it.escape_unicode().count()).sum::<usize>();
            prop_assert_eq!(shown.chars().count(), expected);
        }

        #[test]
        fn any_bytes_can_be_shown(bytes in proptest::collection::vec(any::<u8>(), 0..64), width in 0usize..80) {
            let shown = harmless_bytes(&bytes).to_string();
            prop_assert!(is_harmless(&shown), "{shown:?}");
            if let Ok(text) = core::str::from_utf8(&bytes) {
                prop_assert_eq!(&shown, &harmless(text).to_string());
            }
            let padded = format!("{:width$}", harmless_bytes(&bytes));
            prop_assert_eq!(padded.chars().count(), width.max(shown.chars().count()));
        }
    }
}
