//! One observation: who is told of what, and what was told last.

use buoy_coap::endpoint::Token;
use buoy_coap::number::ContentFormat;
use buoy_coap::observe::Sequence;
use buoy_coap::time::Instant;
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::Value;

use crate::effects::{Changed, ServerSlot};

/// Paths of one Observe-Composite.
pub(crate) const PATHS: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) number: u32,
    pub(crate) server: ServerSlot,
    pub(crate) token: Token,
    pub(crate) paths: Paths,
    pub(crate) composite: bool,
    pub(crate) format: ContentFormat,
    /// Attributes of this observation alone.
    pub(crate) own: Attributes,
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

impl Observation {
    pub(crate) fn mark(&mut self, changed: &Changed) {
        self.dirty |= match changed {
            Changed::Everything => true,
            Changed::Path(path) => {
                let mut paths = self.paths.as_slice().iter();
                paths.any(|own| path.starts_with(*own) || own.starts_with(*path))
            }
        };
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
