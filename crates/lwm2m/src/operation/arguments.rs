//! The arguments of Execute: `0,1='value'` (Core 1.1, section 6.3.5).

use core::fmt;

/// The arguments of an Execute, checked.
///
/// ```
/// use buoy_lwm2m::operation::Arguments;
///
/// let arguments = Arguments::parse("0='reboot',5")?;
/// let list: Vec<_> = arguments.iter().map(|argument| (argument.digit, argument.value)).collect();
/// assert_eq!(list, [(0, Some("reboot")), (5, None)]);
/// # Ok::<(), buoy_lwm2m::operation::BadArguments>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arguments<'a>(&'a str);

/// One argument: a digit, and perhaps a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    /// 0 to 9
    pub digit: u8,
    /// What stands between the quotes.
    pub value: Option<&'a str>,
}

/// A text is no list of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadArguments;

impl<'a> Arguments<'a> {
    /// No arguments.
    pub const NONE: Self = Self("");

    /// Checks a list; the empty text is the empty list.
    ///
    /// # Errors
    /// [`BadArguments`]
    pub fn parse(text: &'a str) -> Result<Self, BadArguments> {
        let mut rest = text;
        while !rest.is_empty() {
            (_, rest) = take(rest)?;
        }
        if text.ends_with(',') { Err(BadArguments) } else { Ok(Self(text)) }
    }

    /// The list as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The arguments, in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = Argument<'a>> + Clone + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (argument, behind) = take(rest).ok()?;
            rest = behind;
            Some(argument)
        })
    }
}

/// Takes one argument and the comma behind it.
fn take(text: &str) -> Result<(Argument<'_>, &str), BadArguments> {
    let mut characters = text.chars();
    let digit = characters.next().and_then(|character| character.to_digit(10)).ok_or(BadArguments)? as u8;
    let rest = characters.as_str();
    let (value, rest) = match rest.strip_prefix("='") {
        None => (None, rest),
        Some(value) => {
            let (value, rest) = value.split_once('\'').ok_or(BadArguments)?;
            (Some(value), rest)
        }
    };
    if value.is_some_and(|value| !value.chars().all(is_value_character)) {
        return Err(BadArguments);
    }
    match rest.strip_prefix(',') {
        Some(rest) => Ok((Argument { digit, value }, rest)),
        None if rest.is_empty() => Ok((Argument { digit, value }, rest)),
        None => Err(BadArguments),
    }
}

/// The grammar has printable ASCII without the quotes and the backslash; spaces are forgiven, since devices use them.
fn is_value_character(character: char) -> bool {
    matches!(character, ' '..='~') && !matches!(character, '"' | '\'' | '\\')
}

impl fmt::Display for BadArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments are digits with or without a value, as in 0='x',1")
    }
}

impl core::error::Error for BadArguments {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        for (text, count) in
            [("", 0), ("5", 1), ("2='10.3'", 1), ("7,0='https://www.oma.org'", 2), ("0,1,2,3,4", 5)]
        {
            assert_eq!(Arguments::parse(text).unwrap().iter().count(), count, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_arguments_is_refused() {
        for text in [",", "0,", "x", "10", "0=", "0='", "0=x", "0='a'b", "0='a\\b'", "0 ,1", "0='\"'", "٣"] {
            assert_eq!(Arguments::parse(text), Err(BadArguments), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r"[0-9=',a ]*|.*") {
            let _ = Arguments::parse(&text).map(|arguments| arguments.iter().count());
        }
    }
}
