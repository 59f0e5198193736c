//! Endpoint names that are what they look like.

use buoy_lwm2m::text::is_harmless;

/// Why a name that a device gave itself is not taken; `None` if it is.
///
/// An operator tells devices apart by eye, and scripts compare names byte by byte: a name that looks like another one, or like none,
/// serves those alone who want to be taken for somebody else. Names that credentials prove were typed by an operator.
pub(crate) fn flaw(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("the query ep (endpoint name) is missing or empty")
    } else if !is_harmless(name) {
        Some("the endpoint name has control characters or characters that can't be seen")
    } else if name.trim() != name {
        Some("the endpoint name begins or ends with a blank")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_others_are_not_taken() {
        for name in ["buoy-1", "urn:imei:004999010640000", "Büro 3", "温度計", "a b", "-", "\\u{202e}"] {
            assert_eq!(flaw(name), None, "{name}");
        }
        for name in [
            "",
            " ",
            "a ",
            " a",
            "a\u{a0}",
            "a\u{3000}",
            "a\n",
            "a\u{7f}",
            "a\u{85}",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{feff}a",
            "a\u{200d}b",
            "a\u{2066}b",
            "a\u{61c}b",
            "a\u{2028}b",
            "a\u{ad}b",
        ] {
            assert!(flaw(name).is_some(), "{name:?}");
        }
    }
}
