//! The tokens of a filter.

use super::{FilterError, LONGEST};

/// A token, with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// A number of characters from the start.
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A word without quotes: a field, a keyword, a number, a version, a text.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `!~`
    Operator(&'static str),
    Open,
    Close,
    Comma,
    End,
}

impl TokenKind {
    /// As it is named in an error.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Word(word) => format!("\"{}\"", buoy_lwm2m::text::harmless(word)),
            Self::Quoted(text) => format!("the text \"{}\"", buoy_lwm2m::text::harmless(text)),
            Self::Operator(operator) => format!("\"{operator}\""),
            Self::Open => "\"(\"".to_owned(),
            Self::Close => "\")\"".to_owned(),
            Self::Comma => "\",\"".to_owned(),
            Self::End => "the end of the filter".to_owned(),
        }
    }
}

const OPERATORS: &[&str] = &["!=", "!~", "<=", ">=", "==", "=", "<", ">", "~"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    if text.len() > LONGEST {
        return Err(FilterError { at: 0, message: format!("a filter has at most {LONGEST} bytes") });
    }
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(char) = chars.get(at).copied() {
        let start = at;
        let kind = match char {
            _ if char.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' | ')' | ',' => {
                at += 1;
                match char {
                    '(' => TokenKind::Open,
                    ')' => TokenKind::Close,
                    _ => TokenKind::Comma,
                }
            }
            '"' | '\'' => TokenKind::Quoted(quoted(&chars, &mut at)?),
            _ if is_of_word(char) => {
                while chars.get(at).copied().is_some_and(is_of_word) {
                    at += 1;
                }
                TokenKind::Word(chars[start..at].iter().collect())
            }
            _ => {
                let rest: String = chars[at..].iter().take(2).collect();
                let found = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
                let Some(operator) = found else {
                    let message = format!("{char:?} has no meaning here; put texts into quotes");
                    return Err(FilterError { at, message });
                };
                at += operator.len();
                TokenKind::Operator(if *operator == "==" { "=" } else { operator })
            }
        };
        tokens.push(Token { at: start, kind });
    }
    tokens.push(Token { at: chars.len(), kind: TokenKind::End });
    Ok(tokens)
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || "_-./:*?@+%".contains(char)
}

/// A text in quotes, in which `\` takes the next character as it is.
fn quoted(chars: &[char], at: &mut usize) -> Result<String, FilterError> {
    let start = *at;
    let quote = chars[start];
    let mut text = String::new();
    *at += 1;
    loop {
        match chars.get(*at).copied() {
            None => {
                let message = format!("the text that begins here has no {quote} at its end");
                return Err(FilterError { at: start, message });
            }
            Some(char) if char == quote => {
                *at += 1;
                return Ok(text);
            }
            Some('\\') => {
                *at += 1;
                text.extend(chars.get(*at));
            }
            Some(char) => text.push(char),
        }
        *at += 1;
    }
}
