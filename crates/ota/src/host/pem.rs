//! PEM as other programs write it (RFC 7468).

use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// What a strict parser takes.
const LINE_LENGTH: usize = 64;

/// The same text with the base64 of its blocks in lines of 64 characters.
///
/// A parser should take lines of any length, and white space wherever it stands (RFC 7468 section 2); the crates that read keys and
/// certificates take 64 characters alone. What stands outside of blocks is kept, and so is a block with headers as old OpenSSL writes them,
/// so that whoever reads it says what is wrong.
#[must_use]
pub fn rewrapped(text: &str) -> Zeroizing<String> {
    // Never grown, which would leave copies of a key behind.
    let mut out = Zeroizing::new(String::with_capacity(longest(text)));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        push_line(&mut out, line.trim_end());
        if line.trim_start().starts_with(BEGIN) {
            let end = lines.clone().position(|line| line.trim_start().starts_with(END));
            let body = lines.clone().take(end.unwrap_or(0));
            if body.clone().all(|line| !line.contains(':')) {
                rewrap(body, &mut out);
                lines.by_ref().take(end.unwrap_or(0)).for_each(|_| {});
            }
        }
    }
    out
}

/// The text, with a line break behind each line and each 64 characters.
fn longest(text: &str) -> usize {
    let breaks = (text.len() / LINE_LENGTH).saturating_add(text.lines().count());
    text.len().saturating_add(breaks).saturating_add(2)
}

fn rewrap<'a>(lines: impl Iterator<Item = &'a str>, out: &mut String) {
    let characters = lines.flat_map(str::chars).filter(|character| !character.is_whitespace());
    let mut room = LINE_LENGTH;
    for character in characters {
        if room == 0 {
            out.push('\n');
            room = LINE_LENGTH;
        }
        out.push(character);
        room = room.saturating_sub(1);
    }
    if room < LINE_LENGTH {
        out.push('\n');
    }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_any_line_length_is_wrapped_at_64_characters_and_all_else_stays() {
        let base64: String = (0..200_u8).map(|n| char::from(b'A' + n % 26)).collect();
        let block = |width: usize, line_end: &str| {
            let chunks = base64.as_bytes().chunks(width);
            let lines: Vec<_> = chunks.map(|chunk| str::from_utf8(chunk).unwrap()).collect();
            let lines = lines.join(line_end);
            format!("-----BEGIN X-----{line_end}{lines}{line_end}-----END X-----{line_end}")
        };
        for width in [1, 4, 48, 63, 64, 65, 76, 200] {
            for line_end in ["\n", "\r\n", " \n", "\n\n"] {
                let out = rewrapped(&block(width, line_end));
                assert_eq!(out.trim_end(), block(64, "\n").trim_end(), "{width} {line_end:?}");
            }
        }
        let two = format!("subject=a: b\n{}\nbetween\n{}", block(76, "\n"), block(10, "\n"));
        let expected = format!("subject=a: b\n{}\nbetween\n{}", block(64, "\n"), block(64, "\n"));
        assert_eq!(*rewrapped(&two), expected);
        for as_it_is in [
            "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----\n",
            "-----BEGIN X-----\nAAAA\nBBBB\n",
            "no PEM\n",
            "",
        ] {
            assert_eq!(*rewrapped(as_it_is), as_it_is);
        }
    }

    #[test]
    fn the_text_is_never_moved_while_it_is_written() {
        let block = format!("{BEGIN}X-----\n{}\n{END}X-----", "A".repeat(1000));
        for text in ["A\n".repeat(1000), "A".repeat(1000), block] {
            assert!(rewrapped(&text).len() <= longest(&text));
        }
    }
}
