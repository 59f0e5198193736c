//! Versions of the enabler and of objects.

use core::fmt;
use core::str::FromStr;

/// A version of LwM2M itself, as `lwm2m=1.1` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LwM2mVersion {
    /// 1.0
    V1_0,
    /// 1.1
    V1_1,
    /// 1.2
    V1_2,
}

/// A version of an object, as `ver=1.1` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion {
    /// In front of the dot.
    pub major: u16,
    /// Behind it.
    pub minor: u16,
}

/// A text is no version, or none that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAVersion;

impl LwM2mVersion {
    /// The version as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

impl ObjectVersion {
    /// What holds for an object whose version isn't said.
    pub const V1_0: Self = Self { major: 1, minor: 0 };

    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

/// Also takes `1.1.1`: a third number only counts corrections of the text.
impl FromStr for LwM2mVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.splitn(3, '.');
        let (major, minor) = (parts.next(), parts.next());
        if parts.next().is_some_and(|patch| number(patch).is_err()) {
            return Err(NotAVersion);
        }
        match (major, minor) {
            (Some("1"), Some("0")) => Ok(Self::V1_0),
            (Some("1"), Some("1")) => Ok(Self::V1_1),
            (Some("1"), Some("2")) => Ok(Self::V1_2),
            _ => Err(NotAVersion),
        }
    }
}

impl FromStr for ObjectVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

fn number(text: &str) -> Result<u16, NotAVersion> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAVersion);
    }
    text.parse().map_err(|_| NotAVersion)
}

impl fmt::Display for LwM2mVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a version that is known here")
    }
}

impl core::error::Error for NotAVersion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_written() {
        for text in ["1.0", "1.1", "1.2"] {
            assert_eq!(text.parse::<LwM2mVersion>().unwrap().to_string(), text);
            assert_eq!(text.parse::<ObjectVersion>().unwrap().to_string(), text);
        }
        assert_eq!("1.2.1".parse(), Ok(LwM2mVersion::V1_2));
        for text in ["", "1", "1.3", "2.0", "01.1", "1.1.x", "1.1.1.1", "1.+1"] {
            assert_eq!(text.parse::<LwM2mVersion>(), Err(NotAVersion), "{text}");
        }
        for text in ["", "1", "1.x", "+1.0", "1.", "1.70000"] {
            assert_eq!(text.parse::<ObjectVersion>(), Err(NotAVersion), "{text}");
        }
    }
}
