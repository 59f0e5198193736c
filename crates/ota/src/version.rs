//! Versions that people give, and the counter that forbids going back.
//!
//! A version orders as Semantic Versioning 2.0.0 (section 11) says, for any number of dotted parts, with an optional
//! leading `v`: 1.1.1 comes before 1.1.10, and 2.0.0-rc.1 before 2.0.0. It decides only what an operator chose to
//! allow; safety hangs on [`SecurityCounter`], which the author of a release raises when going back must be impossible.

use core::cmp::Ordering;
use core::fmt;

use crate::bytes::text_field;

/// Bytes of the longest text in an app descriptor or a manifest.
pub const NAME_MAX: usize = 32;

/// A short text (a version, a project, a vendor): at most 32 bytes of UTF-8 without control characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; NAME_MAX],
}

/// The version of an image as its author wrote it, ordered by precedence.
///
/// Equality is of the text; [`Version::precedence`] compares.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(Name);

/// A number that only grows: an image with a lower one than the device has confirmed is never started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityCounter(pub u32);

impl Name {
    /// No text.
    pub(crate) const EMPTY: Self = Self { bytes: [0; NAME_MAX] };

    /// Takes a text; `None` if it is longer than 32 bytes or holds a control character.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; NAME_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.chars().any(char::is_control)).then_some(Self { bytes })
    }

    /// Takes a fixed field that ends at its first NUL.
    pub(crate) fn from_field(field: &[u8; NAME_MAX]) -> Option<Self> {
        text_field(field).and_then(Self::new)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        text_field(&self.bytes).unwrap_or_default()
    }
}

impl Version {
    /// Takes a version; `None` if it is longer than 32 bytes or holds a control character.
    pub fn new(text: &str) -> Option<Self> {
        Name::new(text).map(Self)
    }

    pub(crate) const fn from_name(name: Name) -> Self {
        Self(name)
    }

    /// The text as its author wrote it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Which of two versions is the later one. Build metadata (after `+`) does not count.
    pub fn precedence(&self, other: &Self) -> Ordering {
        precedence(self.as_str(), other.as_str())
    }
}

/// Compares two versions by Semantic Versioning's precedence; missing parts count as zero.
pub fn precedence(left: &str, right: &str) -> Ordering {
    let (left_core, left_pre) = split(left);
    let (right_core, right_pre) = split(right);
    dotted(left_core, right_core, "0").then_with(|| match (left_pre, right_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => dotted(left, right, ""),
    })
}

/// The dotted numbers and the pre-release of a version, without `v` and build metadata.
fn split(version: &str) -> (&str, Option<&str>) {
    let bare = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let bare = bare.split('+').next().unwrap_or_default();
    match bare.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (bare, None),
    }
}

fn dotted(left: &str, right: &str, missing: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (l, r) => identifier(l.unwrap_or(missing), r.unwrap_or(missing)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Numbers by value and below words, words by their bytes; an absent identifier below everything.
fn identifier(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        // Without leading zeros the longer number is the larger, whatever its size.
        (Some(l), Some(r)) => l.len().cmp(&r.len()).then_with(|| l.cmp(r)),
        (Some(_), None) if !right.is_empty() => Ordering::Less,
        (None, Some(_)) if !left.is_empty() => Ordering::Greater,
        _ => left.cmp(right),
    }
}

fn number(identifier: &str) -> Option<&str> {
    let digits = !identifier.is_empty() && identifier.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| identifier.trim_start_matches('0'))
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(out)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(out)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Display for SecurityCounter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_value_and_not_by_spelling() {
        let ascending = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.1.1",
            "1.1.2",
            "1.1.10",
            "v1.2",
            "1.2.0.1",
            "18446744073709551616.0",
        ];
        for (index, lower) in ascending.iter().enumerate() {
            for higher in &ascending[index + 1..] {
                assert_eq!(precedence(lower, higher), Ordering::Less, "{lower} < {higher}");
                assert_eq!(precedence(higher, lower), Ordering::Greater, "{higher} > {lower}");
            }
        }
    }

    #[test]
    fn spelling_that_means_the_same_compares_equal() {
        for (left, right) in [("1.0", "1.0.0"), ("v1.0.0", "1.0.0"), ("1.0.0+a", "1.0.0+b"), ("01.2", "1.2")]
        {
            assert_eq!(precedence(left, right), Ordering::Equal, "{left} = {right}");
        }
    }

    #[test]
    fn a_name_is_short_and_clean() {
        assert!(Name::new(&"x".repeat(32)).is_some());
        assert!(Name::new(&"x".repeat(33)).is_none());
        assert!(Name::new("a\nb").is_none());
    }
}
