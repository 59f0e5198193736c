//! Names of devices, and patterns of them.

use super::compile::ConfigFault;

/// The longest pattern.
pub(super) const MAX_LENGTH: usize = 255;

/// A name in which `*` stands for any text, including none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    /// # Errors
    /// [`ConfigFault::Pattern`]
    pub(super) fn new(text: &str) -> Result<Self, ConfigFault> {
        if text.is_empty() || text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(ConfigFault::Pattern);
        }
        Ok(Self(text.into()))
    }

    /// Whether it matches only one name.
    pub(super) fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// The weight of a pattern: the more specific it is, the greater.
    pub(super) fn weight(&self) -> (bool, usize) {
        (self.is_exact(), self.0.chars().filter(|char| *char != '*').count())
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Match each part at its first occurrence, which leaves the most text for the following parts.
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().fits(name)
    }

    #[test]
    fn a_star_stands_for_any_part() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("buoy-*", "buoy-1"),
            ("*-1", "buoy-1"),
            ("b*-*1", "buoy-1"),
            ("a*a", "aa"),
            ("x", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("buoy-*", "boat-1"), ("a*a", "a"), ("x", "xx"), ("x", "y"), ("*a*b", "ba"), ("a*b*c", "acb")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_name_weighs_more_than_a_pattern_and_a_long_pattern_more_than_a_short_one() {
        let weight = |text| Pattern::new(text).unwrap().weight();
        assert!(weight("x") > weight("buoy-*"));
        assert!(weight("buoy-*") > weight("buoy*") && weight("buoy*") > weight("*"));
    }
}
