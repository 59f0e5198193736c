//! Firmware versions as devices write them.
//!
//! Resource 3/0/3 is a free string, and the tools that make images write the same release in several ways: `1.1.0`, `v1.1.0`,
//! `1.1.0+0` (MCUboot always has a build number), `1.1.0` with the NUL of a C string behind it.

use std::cmp::Ordering;

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

impl Version<'_> {
    /// Which release comes first. By the precedence of Semantic Versioning 2.0.0 (section 11) as far as a version is written so, with any
    /// count of numbers; a missing number is 0, and what is no number is compared as text, behind numbers.
    #[must_use]
    pub fn cmp_release(self, other: Version<'_>) -> Ordering {
        let (own, its) = (split(self.release), split(other.release));
        let numbers = compare_parts(own.0, its.0, Some("0"));
        numbers.then_with(|| match (own.1, its.1) {
            (None, None) => Ordering::Equal,
            // A pre-release comes before the release.
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_parts(a, b, None),
        })
    }
}

/// The release and what is behind the first hyphen.
fn split(release: &str) -> (&str, Option<&str>) {
    match release.split_once('-') {
        Some((release, before)) => (release, Some(before)),
        None => (release, None),
    }
}

/// Compares identifiers between dots. In the place of those that the shorter one lacks stands `missing`; with none it comes first.
fn compare_parts(a: &str, b: &str, missing: Option<&str>) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (one, two) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (one, two) => (one.or(missing), two.or(missing)),
        };
        let ordering = match (one, two) {
            (Some(one), Some(two)) => compare_identifiers(one, two),
            (one, two) => one.is_some().cmp(&two.is_some()),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number(a), is_number(b)) {
        (true, true) => {
            // Numbers of any length.
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
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
    fn releases_are_ordered_as_versions_and_not_as_texts() {
        let ascending = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "1.0.0",
            "1.0.1",
            "1.4",
            "1.10.0",
            "1.10.0.1",
            "2.0.0",
            "18446744073709551616.0",
            "b7",
        ];
        for (place, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                let ordering = Version::of(a).cmp_release(Version::of(b));
                assert_eq!(ordering, place.cmp(&other), "{a} and {b}");
            }
        }
        assert!(Version::of("v1.2").cmp_release(Version::of("1.2.0+7")).is_eq());
    }

    #[test]
    fn two_named_builds_of_one_release_are_two_images() {
        assert!(!same("1.1.0+5", "1.1.0+7"));
        assert!(same("1.1.0+5", "v1.1.0+5"));
    }
}
