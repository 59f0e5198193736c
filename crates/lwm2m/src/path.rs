//! Paths into a device's data model: object, object instance, resource, resource instance (LwM2M Core 1.1, section 7.2).

use core::fmt;
use core::str::FromStr;

/// The reserved identifier: it stands for "none" in object links and never names anything.
pub const MAX_ID: u16 = u16::MAX;

/// Where something lives in a device: from the root (`/`) down to a resource instance (`/3/0/7/1`).
///
/// Paths are ordered as in a document: a parent before its children, and these by number.
///
/// ```
/// use buoy_lwm2m::path::{Level, Path};
///
/// let battery_level: Path = "/3/0/9".parse()?;
/// assert_eq!(battery_level, Path::resource(3, 0, 9));
/// assert_eq!(battery_level.level(), Level::Resource);
/// assert!(battery_level.starts_with(Path::object(3)));
/// # Ok::<(), buoy_lwm2m::path::PathError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    // Ids behind `len` are zero, so that the derived comparisons see only what counts.
    ids: [u16; 4],
    len: u8,
}

/// How deep a path reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `/`
    Root,
    /// `/3`
    Object,
    /// `/3/0`
    ObjectInstance,
    /// `/3/0/9`
    Resource,
    /// `/3/0/7/1`
    ResourceInstance,
}

/// Why a text or a list of numbers is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// An absolute path has to start with `/`.
    NoLeadingSlash,
    /// Between two slashes there is no number in 0..=65534 without leading zeros.
    BadId,
    /// More than four numbers.
    TooLong,
}

impl Path {
    /// The root, `/`.
    pub const ROOT: Self = Self { ids: [0; 4], len: 0 };

    /// `/o`; ids that a peer sent go through [`Path::from_ids`], which refuses [`MAX_ID`].
    #[must_use]
    pub const fn object(object: u16) -> Self {
        Self::known([object, 0, 0, 0], 1)
    }

    /// `/o/i`
    #[must_use]
    pub const fn instance(object: u16, instance: u16) -> Self {
        Self::known([object, instance, 0, 0], 2)
    }

    /// `/o/i/r`
    #[must_use]
    pub const fn resource(object: u16, instance: u16, resource: u16) -> Self {
        Self::known([object, instance, resource, 0], 3)
    }

    /// `/o/i/r/ri`
    #[must_use]
    pub const fn resource_instance(
        object: u16,
        instance: u16,
        resource: u16,
        resource_instance: u16,
    ) -> Self {
        Self::known([object, instance, resource, resource_instance], 4)
    }

    const fn known(ids: [u16; 4], len: u8) -> Self {
        debug_assert!(
            ids[0] != MAX_ID && ids[1] != MAX_ID && ids[2] != MAX_ID && ids[3] != MAX_ID,
            "65535 is reserved and names nothing"
        );
        Self { ids, len }
    }

    /// The path that these ids spell, from the object down.
    ///
    /// # Errors
    /// [`PathError::TooLong`] for more than four ids, [`PathError::BadId`] for [`MAX_ID`].
    pub fn from_ids(ids: &[u16]) -> Result<Self, PathError> {
        ids.iter().try_fold(Self::ROOT, |path, &id| path.try_child(id))
    }

    /// The path of these Uri-Path segments; none is the root.
    ///
    /// # Errors
    /// [`PathError::BadId`] if a segment is no id, [`PathError::TooLong`] for more than four.
    pub fn from_segments<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PathError> {
        segments.into_iter().try_fold(Self::ROOT, |path, segment| {
            let text = core::str::from_utf8(segment).map_err(|_| PathError::BadId)?;
            path.try_child(parse_id(text)?)
        })
    }

    /// Reads `0/9` as a way down from `self`; the empty text is `self`.
    ///
    /// # Errors
    /// [`PathError`], when it is no such way or leads too deep.
    pub fn parse_relative(self, text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Ok(self);
        }
        text.split('/').try_fold(self, |path, segment| path.try_child(parse_id(segment)?))
    }

    /// The ids from the object down, 0 to 4 of them.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        self.ids.get(..self.len()).unwrap_or(&[])
    }

    /// How many ids there are, 0 to 4.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // an empty path is asked for as `Path::ROOT`
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// How deep the path reaches.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self.len {
            0 => Level::Root,
            1 => Level::Object,
            2 => Level::ObjectInstance,
            3 => Level::Resource,
            _ => Level::ResourceInstance,
        }
    }

    /// The first id.
    #[must_use]
    pub fn object_id(&self) -> Option<u16> {
        self.ids().first().copied()
    }

    /// The second id.
    #[must_use]
    pub fn instance_id(&self) -> Option<u16> {
        self.ids().get(1).copied()
    }

    /// The third id.
    #[must_use]
    pub fn resource_id(&self) -> Option<u16> {
        self.ids().get(2).copied()
    }

    /// The fourth id.
    #[must_use]
    pub fn resource_instance_id(&self) -> Option<u16> {
        self.ids().get(3).copied()
    }

    /// The last id.
    #[must_use]
    pub fn last_id(&self) -> Option<u16> {
        self.ids().last().copied()
    }

    /// One level up; the root has no parent.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.len().checked_sub(1).map(|len| self.truncated(len))
    }

    /// The first `len` ids; the whole path if it has no more.
    #[must_use]
    pub fn truncated(&self, len: usize) -> Self {
        let mut ids = [0; 4];
        for (to, from) in ids.iter_mut().zip(self.ids().iter().take(len)) {
            *to = *from;
        }
        Self { ids, len: self.len().min(len) as u8 }
    }

    /// One level down; `None` below a resource instance and for [`MAX_ID`].
    #[must_use]
    pub fn child(&self, id: u16) -> Option<Self> {
        self.try_child(id).ok()
    }

    fn try_child(mut self, id: u16) -> Result<Self, PathError> {
        if id == MAX_ID {
            return Err(PathError::BadId);
        }
        let slot = self.ids.get_mut(usize::from(self.len)).ok_or(PathError::TooLong)?;
        *slot = id;
        self.len = self.len.saturating_add(1);
        Ok(self)
    }

    /// Whether `self` is `ancestor` or lies below it.
    #[must_use]
    pub fn starts_with(&self, ancestor: Self) -> bool {
        self.ids().starts_with(ancestor.ids())
    }

    /// How many leading ids both have in common.
    #[must_use]
    pub fn common_len(&self, other: Self) -> usize {
        self.ids().iter().zip(other.ids()).take_while(|(a, b)| a == b).count()
    }
}

/// Collects an absolute path from its characters, for names that lie in pieces or in escapes. A slash at the end is forgiven, because base
/// names carry one.
#[derive(Default)]
pub(crate) struct NameReader {
    path: Path,
    id: Option<u16>,
    has_begun: bool,
}

impl NameReader {
    pub(crate) fn take(&mut self, character: char) -> Result<(), PathError> {
        if !self.has_begun {
            self.has_begun = true;
            return if character == '/' { Ok(()) } else { Err(PathError::NoLeadingSlash) };
        }
        if character == '/' {
            let id = self.id.take().ok_or(PathError::BadId)?;
            self.path = self.path.try_child(id)?;
            return Ok(());
        }
        let digit = character.to_digit(10).ok_or(PathError::BadId)? as u16;
        self.id = Some(match self.id {
            None => digit,
            Some(0) => return Err(PathError::BadId),
            Some(id) => push_digit(id, digit)?,
        });
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Path, PathError> {
        if !self.has_begun {
            return Err(PathError::NoLeadingSlash);
        }
        self.id.map_or(Ok(self.path), |id| self.path.try_child(id))
    }
}

fn parse_id(text: &str) -> Result<u16, PathError> {
    let has_leading_zero = text.len() > 1 && text.starts_with('0');
    if text.is_empty() || has_leading_zero {
        return Err(PathError::BadId);
    }
    text.chars().try_fold(0, |id, character| {
        let digit = character.to_digit(10).ok_or(PathError::BadId)? as u16;
        push_digit(id, digit)
    })
}

fn push_digit(id: u16, digit: u16) -> Result<u16, PathError> {
    let longer = id.checked_mul(10).and_then(|id| id.checked_add(digit));
    longer.filter(|&id| id != MAX_ID).ok_or(PathError::BadId)
}

/// Strict: a leading slash, and none at the end.
impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::ROOT.parse_relative(text.strip_prefix('/').ok_or(PathError::NoLeadingSlash)?)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT {
            return f.write_str("/");
        }
        self.ids().iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Object => "object",
            Self::ObjectInstance => "object instance",
            Self::Resource => "resource",
            Self::ResourceInstance => "resource instance",
        })
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLeadingSlash => "a path starts with a slash, as in /3/0/9",
            Self::BadId => "each part of a path is a number from 0 to 65534",
            Self::TooLong => "a path has at most four parts: object, instance, resource, resource instance",
        })
    }
}

impl core::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_path() -> impl Strategy<Value = Path> {
        prop::collection::vec(0..MAX_ID, 0..=4).prop_map(|ids| Path::from_ids(&ids).unwrap())
    }

    fn named(text: &str) -> Result<Path, PathError> {
        let mut reader = NameReader::default();
        text.chars().try_for_each(|character| reader.take(character))?;
        reader.finish()
    }

    #[test]
    fn a_path_reads_and_writes_the_same_text() {
        for text in ["/", "/3", "/3/0", "/3/0/9", "/3/0/7/1", "/65534/65534/65534/65534"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!("3/0".parse::<Path>(), Err(PathError::NoLeadingSlash));
        assert_eq!("".parse::<Path>(), Err(PathError::NoLeadingSlash));
        assert_eq!("/1/2/3/4/5".parse::<Path>(), Err(PathError::TooLong));
        for text in ["/65535", "/65536", "/99999999999", "//", "/3/", "/x", "/-1", "/+1", "/03", "/3/٣"] {
            assert_eq!(text.parse::<Path>(), Err(PathError::BadId), "{text}");
        }
        assert_eq!(Path::from_ids(&[MAX_ID]), Err(PathError::BadId));
        assert_eq!(Path::object(3).child(MAX_ID), None);
    }

    #[test]
    fn a_name_may_end_with_a_slash() {
        assert_eq!(named("/3/0/"), Ok(Path::instance(3, 0)));
        assert_eq!(named("/"), Ok(Path::ROOT));
        assert_eq!(named("/3//0"), Err(PathError::BadId));
        assert_eq!(named("/00"), Err(PathError::BadId));
        assert_eq!(named("/1/2/3/4/5"), Err(PathError::TooLong));
        assert_eq!(named("3"), Err(PathError::NoLeadingSlash));
    }

    #[test]
    fn parents_stand_before_their_children() {
        let mut paths =
            [Path::resource(3, 0, 1), Path::object(3), Path::instance(3, 0), Path::object(1), Path::ROOT];
        paths.sort();
        assert_eq!(
            paths,
            [Path::ROOT, Path::object(1), Path::object(3), Path::instance(3, 0), Path::resource(3, 0, 1)]
        );
    }

    #[test]
    fn a_relative_path_leads_down_from_its_base() {
        assert_eq!(Path::object(3).parse_relative("0/9"), Ok(Path::resource(3, 0, 9)));
        assert_eq!(Path::object(3).parse_relative(""), Ok(Path::object(3)));
        assert_eq!(Path::resource(3, 0, 7).parse_relative("0/1"), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn every_path_survives_its_text(path in any_path()) {
            prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
            prop_assert_eq!(named(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn the_order_is_that_of_the_ids(a in any_path(), b in any_path()) {
            prop_assert_eq!(a.cmp(&b), a.ids().cmp(b.ids()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Path>();
            let _ = named(&text);
        }
    }
}
