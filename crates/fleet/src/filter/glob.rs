//! Patterns with `*` (any characters) and `?` (one character).

/// Whether a text matches a pattern. The time is at most the product of both lengths.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on if what follows the last star does not match here.
    let mut again: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (wanted, has) = (pattern.clone().next(), text.clone().next());
        match (wanted, has) {
            (Some('*'), _) => {
                pattern.next();
                again = Some((pattern.clone(), text.clone()));
            }
            (None, None) => return true,
            (Some(wanted), Some(has)) if wanted == '?' || wanted == has => {
                pattern.next();
                text.next();
            }
            _ => {
                let Some((after_star, mut from)) = again.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = from.clone();
                again = Some((after_star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_match_any_text_and_question_marks_one_character() {
        for (pattern, text) in [
            ("b-*", "b-17"),
            ("*", ""),
            ("*-17", "b-17"),
            ("b?17", "bü17"),
            ("*a*b*", "xxaxxbxx"),
            ("*aab", "aaaaab"),
            ("", ""),
            ("a**", "a"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("b-*", "c-1"), ("?", ""), ("a", "aa"), ("*a", "ab"), ("", "a"), ("B", "b")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
