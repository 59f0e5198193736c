//! Where a registration or a created instance lives (Location-Path).

use super::list::List;
use super::refusal::BadRequest;
use crate::path::Path;
use core::fmt;

/// The path that a Location-Path names: of a registration (`/rd/5a3f`), or of a created object instance (`/3303/2`).
///
/// A device sends the segments of its registration back as Uri-Path with every Update and De-register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a>(Kind<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Segments(List<&'a str, { Location::MAX_SEGMENTS }>),
    Path(Path),
}

impl<'a> Location<'a> {
    /// So many segments at most.
    pub const MAX_SEGMENTS: usize = 4;

    /// The location of these segments; `None` for none, too many, or one longer than the 255 bytes of an option.
    #[must_use]
    pub fn from_segments(segments: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut list = List::default();
        for segment in segments {
            if segment.len() > 255 {
                return None;
            }
            list.push(segment).ok()?;
        }
        if list.as_slice().is_empty() { None } else { Some(Self(Kind::Segments(list))) }
    }

    /// The location of an object instance.
    #[must_use]
    pub const fn of_path(path: Path) -> Self {
        Self(Kind::Path(path))
    }

    /// Reads `/rd/5a3f`; the slash in front may be missing.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::from_segments(text.strip_prefix('/').unwrap_or(text).split('/'))
    }

    /// The segments; none for a location that was made of a path in the data model.
    pub fn segments(&self) -> impl Iterator<Item = &'a str> + Clone {
        match &self.0 {
            Kind::Segments(list) => list.as_slice(),
            Kind::Path(_) => &[],
        }
        .iter()
        .copied()
    }

    /// The path in the data model, if it is one: what Create answers.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        match self.0 {
            Kind::Path(path) => Some(path),
            Kind::Segments(list) => Path::from_segments(list.iter().map(str::as_bytes)).ok(),
        }
    }

    /// The ids to write behind the segments.
    pub(crate) fn ids(&self) -> Path {
        match self.0 {
            Kind::Path(path) => path,
            Kind::Segments(_) => Path::ROOT,
        }
    }

    pub(crate) fn from_options(segments: &[&'a [u8]]) -> Result<Self, BadRequest> {
        let mut list = List::default();
        for segment in segments {
            let text = core::str::from_utf8(segment).map_err(|_| BadRequest::PeerSentNotUtf8)?;
            list.push(text).map_err(|_| BadRequest::NotFound)?;
        }
        Ok(Self(Kind::Segments(list)))
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Path(path) => write!(f, "{path}"),
            Kind::Segments(list) => list.iter().try_for_each(|segment| write!(f, "/{segment}")),
        }
    }
}
