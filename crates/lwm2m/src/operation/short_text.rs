//! Texts that fit into one CoAP option.

use core::fmt;

/// A text that, with the name of its query in front, fits into a CoAP option: an endpoint name, a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText<'a>(&'a str);

impl<'a> ShortText<'a> {
    /// So many bytes at most: the 255 of a CoAP option less the longest name, `sms=`.
    pub const MAX_LEN: usize = 251;

    /// The text, unless it is empty or longer than [`ShortText::MAX_LEN`].
    #[must_use]
    pub const fn new(text: &'a str) -> Option<Self> {
        if text.is_empty() || text.len() > Self::MAX_LEN { None } else { Some(Self(text)) }
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for ShortText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
