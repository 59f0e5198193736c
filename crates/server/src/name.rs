//! Checks of endpoint names that are not authenticated.

use buoy_lwm2m::text::is_harmless;

/// Why a name in a device's request is refused; `None` if it is accepted.
///
/// Operators distinguish devices by how their names look, and scripts by their bytes. So a name that looks like another name, or like
/// no name, is only useful for impersonation. Names that credentials prove were entered by an operator and are not checked here.
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
