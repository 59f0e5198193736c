//! Notifications that could not be sent because there was no network (1/x/6): values with their times, in a fixed memory.

use buoy_coap::number::ContentFormat;
use buoy_coap::time::Instant;
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{ObjectLink, Value, seconds_of};

use crate::object::Clock;
use crate::record::{Record, RecordReader};
use crate::shape::{Capacity as _, Shape};
use crate::text::Bytes;

/// The most bytes of a text that is kept.
const TEXT: usize = 24;
/// The most bytes of a value that is kept, with all that belongs to it.
const VALUE: usize = 64;

/// Values of all observations in the order of their times, each with its length in front; the oldest give way.
pub(crate) struct History<S: Shape> {
    values: Bytes<S::Kept>,
}

/// A value that is kept.
struct Stored<'a> {
    observation: u32,
    at: Instant,
    path: Path,
    value: Value<'a>,
}

/// Whether a format can say when a value was.
pub(crate) const fn has_times(format: ContentFormat) -> bool {
    matches!(format, ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR | ContentFormat::LWM2M_JSON)
}

impl<S: Shape> History<S> {
    /// Whether the device has memory for it at all; where it has none the code goes too.
    pub(crate) const EXISTS: bool = S::Kept::MAX > 0;

    pub(crate) const fn new() -> Self {
        Self { values: Bytes::EMPTY }
    }

    /// Keeps a value, unless it is a long text or bytes.
    pub(crate) fn push(&mut self, observation: u32, at: Instant, path: Path, value: &Value<'_>) {
        let mut buffer = [0; VALUE];
        let Some(stored) = write(&mut buffer, observation, at, path, value) else { return };
        while self.values.extend(stored).is_err() {
            let Some(oldest) = self.values.as_slice().first() else { return };
            self.values.drop_front(usize::from(*oldest));
        }
    }

    pub(crate) fn has(&self, observation: u32) -> bool {
        Self::EXISTS && self.of(observation).next().is_some()
    }

    pub(crate) fn forget(&mut self, observation: u32) {
        if Self::EXISTS {
            self.forget_those(&|stored| stored.observation == observation);
        }
    }

    /// Makes room for one more notification of an observation that keeps `most` (`hqmax`), which is not 0. Values of one notification have
    /// one time.
    pub(crate) fn limit(&mut self, observation: u32, most: u32) {
        loop {
            let (mut notifications, mut last, mut oldest) = (0_u32, None, None);
            for stored in self.of(observation) {
                notifications = notifications.saturating_add(u32::from(last != Some(stored.at)));
                last = Some(stored.at);
                oldest = oldest.or(last);
            }
            let Some(oldest) = oldest.filter(|_| notifications >= most) else { return };
            self.forget_those(&|stored| stored.observation == observation && stored.at == oldest);
        }
    }

    /// Writes what is kept for an observation, the oldest first.
    pub(crate) fn encode(&self, observation: u32, clock: &Clock, encoder: &mut Encoder<'_>) {
        for stored in self.of(observation) {
            let age = clock.now.millis_since(stored.at);
            let age = seconds_of(age);
            // Without a clock the time is relative to now (RFC 8428, section 4.5.3).
            let time = clock.unix.map_or(-age, |unix| unix as f64 - age);
            let _kept_by_the_encoder = encoder.push(stored.path, &stored.value, Some(time));
        }
    }

    fn of(&self, observation: u32) -> impl Iterator<Item = Stored<'_>> {
        let mut rest = self.values.as_slice();
        let all = core::iter::from_fn(move || {
            let (first, behind) = rest.split_at_checked(usize::from(*rest.first()?))?;
            rest = behind;
            read(first)
        });
        all.filter(move |stored| stored.observation == observation)
    }

    fn forget_those(&mut self, which: &dyn Fn(&Stored<'_>) -> bool) {
        // Each value goes from the front, and back in behind the others if it stays.
        let mut left = self.values.len();
        while left > 0 {
            let mut buffer = [0; VALUE];
            let length = usize::from(self.values.as_slice().first().copied().unwrap_or(0)).max(1);
            let first = self.values.as_slice().get(..length).unwrap_or_default();
            let stays = read(first).is_some_and(|stored| !which(&stored));
            let room = buffer.get_mut(..first.len()).unwrap_or_default();
            room.copy_from_slice(first);
            self.values.drop_front(length);
            if stays {
                let _fits = self.values.extend(room);
            }
            left = left.saturating_sub(length);
        }
    }
}

fn write<'b>(
    buffer: &'b mut [u8; VALUE],
    observation: u32,
    at: Instant,
    path: Path,
    value: &Value<'_>,
) -> Option<&'b [u8]> {
    let mut writer = Record::new(buffer);
    writer.byte(0);
    writer.uint(observation.into());
    writer.uint(at.as_millis());
    writer.byte(path.len() as u8);
    path.ids().iter().for_each(|id| writer.uint((*id).into()));
    let (kind, number) = match value {
        Value::Integer(number) => (0, *number as u64),
        Value::UnsignedInteger(number) => (1, *number),
        Value::Float(number) => (2, number.to_bits()),
        Value::Boolean(flag) => (3, (*flag).into()),
        Value::Time(seconds) => (4, *seconds as u64),
        Value::ObjectLink(link) => (5, u32::from_be_bytes(link.to_bytes()).into()),
        Value::String(text) if text.len() <= TEXT => (6, 0),
        Value::String(_) | Value::Opaque(_) | Value::CoreLink(_) => return None,
    };
    writer.byte(kind);
    match value {
        Value::String(text) => writer.bytes(text.as_bytes()),
        _ => writer.uint(number),
    }
    let length = writer.fitting()?;
    *buffer.first_mut()? = length as u8;
    buffer.get(..length)
}

fn read(stored: &[u8]) -> Option<Stored<'_>> {
    let mut reader = RecordReader(stored.get(1..)?);
    let observation = reader.uint()? as u32;
    let at = Instant::from_millis(reader.uint()?);
    let mut path = Path::ROOT;
    for _ in 0..reader.byte()? {
        path = path.child(reader.uint()? as u16)?;
    }
    let kind = reader.byte()?;
    let value = match kind {
        6 => Value::String(core::str::from_utf8(reader.bytes()?).ok()?),
        _ => {
            let number = reader.uint()?;
            match kind {
                0 => Value::Integer(number as i64),
                1 => Value::UnsignedInteger(number),
                2 => Value::Float(f64::from_bits(number)),
                3 => Value::Boolean(number != 0),
                4 => Value::Time(number as i64),
                _ => Value::ObjectLink(ObjectLink::from_bytes((number as u32).to_be_bytes())),
            }
        }
    };
    Some(Stored { observation, at, path, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Sensor;

    #[test]
    fn every_kind_of_value_is_given_back_and_the_oldest_give_way() {
        let values = [
            Value::Integer(i64::MIN),
            Value::UnsignedInteger(u64::MAX),
            Value::Float(-1.5),
            Value::Boolean(true),
            Value::Time(-5),
            Value::ObjectLink(ObjectLink::NULL),
            Value::String("as long as is kept: 24 b"),
        ];
        let mut history = History::<Sensor>::new();
        for (index, value) in values.iter().enumerate() {
            history.push(7, Instant::from_millis(index as u64), Path::resource(3, 0, index as u16), value);
        }
        history.push(
            7,
            Instant::ZERO,
            Path::resource(3, 0, 9),
            &Value::String("longer than what is kept is"),
        );
        assert!(history.of(7).map(|stored| stored.value).eq(values));
        for index in 0..100 {
            history.push(8, Instant::from_millis(index), Path::resource(3, 0, 9), &Value::Integer(1));
        }
        assert!(!history.has(7));
        assert_eq!(history.of(8).last().map(|stored| stored.at), Some(Instant::from_millis(99)));
        history.push(9, Instant::ZERO, Path::resource(3, 0, 9), &Value::Integer(1));
        history.limit(8, 3);
        assert_eq!((history.of(8).count(), history.of(9).count()), (2, 1));
        history.forget(8);
        assert!(!history.has(8) && history.has(9));
    }
}
