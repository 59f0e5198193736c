//! One observation: who is told of what, and what was told last.

use buoy_coap::endpoint::Token;
use buoy_coap::number::ContentFormat;
use buoy_coap::observe::Sequence;
use buoy_coap::time::Instant;
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::Value;

use crate::effects::{Changed, ServerSlot};
use crate::features::COMPOSITE;

/// Paths of one Observe-Composite.
pub(crate) const PATHS: usize = if COMPOSITE { 8 } else { 1 };

#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) number: u32,
    pub(crate) server: ServerSlot,
    pub(crate) token: Token,
    /// The path; the first one of a composite.
    pub(crate) path: Path,
    pub(crate) composite: bool,
    pub(crate) format: ContentFormat,
    pub(crate) sequence: Sequence,
    pub(crate) told: Told,
    /// The value when it was last looked at, told or not: an edge leads from that.
    pub(crate) seen: Single,
    /// A value may have changed since it was last looked at.
    pub(crate) dirty: bool,
    /// There is something to tell as soon as `pmin` allows.
    pub(crate) triggered: bool,
    /// A confirmable notification waits for its acknowledgement.
    pub(crate) in_flight: bool,
    pub(crate) evaluated: Instant,
    pub(crate) last_message_id: u16,
}

/// What the observer knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) confirmed: Instant,
    pub(crate) digest: u32,
    pub(crate) value: Single,
}

/// The value of an observation of a single one, as far as thresholds look at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Single {
    Other,
    Number(f64),
    Flag(bool),
}

impl From<&Value<'_>> for Single {
    fn from(value: &Value<'_>) -> Self {
        match value {
            Value::Boolean(flag) => Self::Flag(*flag),
            value => value.as_number().map_or(Self::Other, Self::Number),
        }
    }
}

/// The paths of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    paths: [Path; PATHS],
    count: usize,
}

impl Paths {
    pub(crate) fn of(path: Path) -> Self {
        let mut paths = Self::default();
        paths.push(path);
        paths
    }

    pub(crate) fn push(&mut self, path: Path) -> bool {
        let Some(place) = self.paths.get_mut(self.count) else { return false };
        *place = path;
        self.count = self.count.saturating_add(1);
        true
    }

    pub(crate) fn as_slice(&self) -> &[Path] {
        self.paths.get(..self.count).unwrap_or_default()
    }

    pub(crate) fn first(&self) -> Path {
        self.as_slice().first().copied().unwrap_or_default()
    }
}

/// The paths of composites behind their first ones. There is room for so many, over all observations.
#[derive(Debug)]
pub(crate) struct OtherPaths {
    /// Each with the number of its observation.
    paths: [Option<(u32, Path)>; OTHER_PATHS],
}

const OTHER_PATHS: usize = if COMPOSITE { 16 } else { 0 };

impl OtherPaths {
    pub(crate) const fn new() -> Self {
        Self { paths: [None; OTHER_PATHS] }
    }

    /// Keeps the paths of an observation behind the first; says no, and keeps nothing, if there is no room.
    pub(crate) fn keep(&mut self, observation: u32, paths: &Paths) -> bool {
        for path in paths.as_slice().iter().skip(1) {
            let Some(place) = self.paths.iter_mut().find(|place| place.is_none()) else {
                self.forget(observation);
                return false;
            };
            *place = Some((observation, *path));
        }
        true
    }

    pub(crate) fn forget(&mut self, observation: u32) {
        for place in &mut self.paths {
            place.take_if(|(known, _)| *known == observation);
        }
    }

    pub(crate) fn of(&self, observation: &Observation) -> Paths {
        let mut paths = Paths::of(observation.path);
        for (_, path) in self.iter().filter(|(known, _)| *known == observation.number) {
            paths.push(*path);
        }
        paths
    }

    /// The numbers of the observations and their paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(u32, Path)> {
        self.paths.iter().flatten()
    }
}

impl Changed {
    /// Whether what is at a path may be another now.
    pub(crate) fn touches(&self, observed: Path) -> bool {
        match self {
            Self::Everything => true,
            Self::Path(path) => path.starts_with(observed) || observed.starts_with(*path),
        }
    }
}

impl Observation {
    /// Looks at what is so now, and says whether it is to be told (Core 1.2, section 7.3.2).
    pub(crate) fn takes_notice(&mut self, attributes: &Attributes, now: &Told) -> bool {
        let seen = core::mem::replace(&mut self.seen, now.value);
        match (attributes.edge, seen, now.value) {
            (Some(rising), Single::Flag(before), Single::Flag(after)) => before != after && after == rising,
            _ => now.digest != self.told.digest && is_notable(attributes, self.told.value, now.value),
        }
    }
}

/// Whether thresholds and step let a change be told.
fn is_notable(attributes: &Attributes, told: Single, now: Single) -> bool {
    let Attributes { gt, lt, st, .. } = *attributes;
    let is_free = gt.is_none() && lt.is_none() && st.is_none();
    let (Single::Number(before), Single::Number(after), false) = (told, now, is_free) else { return true };
    gt.is_some_and(|limit| (before > limit) != (after > limit))
        || lt.is_some_and(|limit| (before < limit) != (after < limit))
        || st.is_some_and(|step| (after - before).abs() >= step)
}
