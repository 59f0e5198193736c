//! Notifications that could not be sent because there was no network (1/x/6): values with their times, in a fixed memory.

use buoy_coap::number::ContentFormat;
use buoy_coap::time::Instant;
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{ObjectLink, Value};

use crate::object::Clock;
use crate::text::Text;

/// Values that are kept, over all observations; the oldest give way.
const VALUES: usize = 32;

#[derive(Debug)]
pub(crate) struct History {
    values: [Option<Stored>; VALUES],
    order: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    observation: u32,
    order: u32,
    at: Instant,
    path: Path,
    value: Kept,
}

/// A value that is small enough to be kept; longer texts and bytes are not.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Boolean(bool),
    Time(i64),
    Link(ObjectLink),
    Text(Text<24>),
}

impl Kept {
    fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Integer(number) => Self::Integer(*number),
            Value::UnsignedInteger(number) => Self::Unsigned(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Boolean(flag) => Self::Boolean(*flag),
            Value::Time(seconds) => Self::Time(*seconds),
            Value::ObjectLink(link) => Self::Link(*link),
            Value::String(text) => Self::Text(Text::new(text).ok()?),
            Value::Opaque(_) | Value::CoreLink(_) => return None,
        })
    }

    fn as_value(&self) -> Value<'_> {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Unsigned(number) => Value::UnsignedInteger(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Boolean(flag) => Value::Boolean(*flag),
            Self::Time(seconds) => Value::Time(*seconds),
            Self::Link(link) => Value::ObjectLink(*link),
            Self::Text(text) => Value::String(text.as_str()),
        }
    }
}

/// Whether a format can say when a value was.
pub(crate) const fn has_times(format: ContentFormat) -> bool {
    matches!(format, ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR | ContentFormat::LWM2M_JSON)
}

impl History {
    pub(crate) const fn new() -> Self {
        Self { values: [None; VALUES], order: 0 }
    }

    pub(crate) fn push(&mut self, observation: u32, at: Instant, path: Path, value: &Value<'_>) {
        let Some(value) = Kept::of(value) else { return };
        self.order = self.order.wrapping_add(1);
        let stored = Stored { observation, order: self.order, at, path, value };
        let free = self.values.iter().position(Option::is_none);
        let index = free.or_else(|| self.oldest(|_| true).map(|(index, _)| index));
        if let Some(place) = index.and_then(|index| self.values.get_mut(index)) {
            *place = Some(stored);
        }
    }

    fn oldest(&self, which: impl Fn(&Stored) -> bool) -> Option<(usize, Stored)> {
        let values = self.values.iter().enumerate();
        let mine = values.filter_map(|(index, stored)| Some((index, (*stored)?)));
        mine.filter(|(_, stored)| which(stored)).min_by_key(|(_, stored)| stored.order)
    }

    pub(crate) fn has(&self, observation: u32) -> bool {
        self.values.iter().flatten().any(|stored| stored.observation == observation)
    }

    pub(crate) fn forget(&mut self, observation: u32) {
        for place in &mut self.values {
            place.take_if(|stored| stored.observation == observation);
        }
    }

    /// Makes room for one more notification of an observation that keeps `most` (`hqmax`), which is not 0.
    pub(crate) fn limit(&mut self, observation: u32, most: u32) {
        while self.notifications(observation) >= most {
            let Some((_, oldest)) = self.oldest(|stored| stored.observation == observation) else { return };
            for place in &mut self.values {
                place.take_if(|stored| stored.observation == observation && stored.at == oldest.at);
            }
        }
    }

    /// Values of one notification have one time.
    fn notifications(&self, observation: u32) -> u32 {
        let mine = || self.values.iter().flatten().filter(|stored| stored.observation == observation);
        let is_first =
            |stored: &&Stored| !mine().any(|other| other.at == stored.at && other.order < stored.order);
        u32::try_from(mine().filter(is_first).count()).unwrap_or(u32::MAX)
    }

    /// Writes what is kept for an observation, the oldest first, and says up to where it fitted.
    pub(crate) fn encode(&self, observation: u32, clock: &Clock, encoder: &mut Encoder<'_>) {
        let mut last = None;
        let after = |last: Option<u32>| {
            let behind = move |stored: &Stored| last.is_none_or(|last| stored.order > last);
            self.oldest(|stored| stored.observation == observation && behind(stored))
        };
        while let Some((_, stored)) = after(last) {
            let age = clock.now.since(stored.at).as_millis() as f64 / 1000.0;
            // Without a clock the time is relative to now (RFC 8428, section 4.5.3).
            let time = clock.unix.map_or(-age, |unix| unix as f64 - age);
            let _kept_by_the_encoder = encoder.push(stored.path, &stored.value.as_value(), Some(time));
            last = Some(stored.order);
        }
    }
}
