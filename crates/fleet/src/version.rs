//! Firmware versions as devices write them.
//!
//! Resource 3/0/3 is a free string, and the tools that make images write the same release in several ways: `1.1.0`, `v1.1.0`,
//! `1.1.0+0` (MCUboot always has a build number), `1.1.0` with the NUL of a C string behind it.

/// A version string, compared by the release that it names.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    release: &'a str,
    build: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// Reads any string: what cannot be split is a release as it stands.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let rest =
            text.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let text = rest.unwrap_or(text);
        match text.split_once('+') {
            Some((release, build)) => {
                Self { release, build: Some(build).filter(|build| !is_no_build(build)) }
            }
            None => Self { release: text, build: None },
        }
    }

    /// Whether both name the same release. Build metadata has no part in precedence (Semantic Versioning 2.0.0, section 10), but two
    /// images that both name a build, and not the same one, are two images.
    #[must_use]
    pub fn is_same_release(self, other: Version<'_>) -> bool {
        let is_same_build = match (self.build, other.build) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        self.release == other.release && is_same_build
    }
}

/// MCUboot's `+0` stands for "no build number".
fn is_no_build(build: &str) -> bool {
    build.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (forth, back) =
            (Version::of(a).is_same_release(Version::of(b)), Version::of(b).is_same_release(Version::of(a)));
        assert_eq!(forth, back, "{a:?} and {b:?} compare differently from the other side");
        forth
    }

    #[test]
    fn a_version_is_the_same_release_however_a_device_writes_it() {
        for written in [
            "1.1.0",
            "v1.1.0",
            "V1.1.0",
            "1.1.0+0",
            "1.1.0+build7",
            "1.1.0\0",
            "1.1.0\0\0",
            " 1.1.0\r\n",
            "v1.1.0+0\0",
        ] {
            assert!(same(written, "1.1.0"), "{written:?}");
        }
        assert!(same("1.0.0", "1.0.0+0"));
        assert!(same("version", "version"));
        assert!(same("", "\0"));
    }

    #[test]
    fn a_version_that_only_looks_alike_is_another_release() {
        for other in ["1.1.01", "1.1", "1.1.0.0", "1.1.0-rc1", "w1.1.0", "vv1.1.0", "1.1.1+0", "", "0"] {
            assert!(!same(other, "1.1.0"), "{other:?}");
        }
        assert!(!same("vista", "ista"));
    }

    #[test]
    fn two_named_builds_of_one_release_are_two_images() {
        assert!(!same("1.1.0+5", "1.1.0+7"));
        assert!(same("1.1.0+5", "v1.1.0+5"));
    }
}
