//! Several values of one resource in one payload: which is the present one, and when each held (RFC 8428 section 4.5.3).

use alloc::vec::Vec;

use super::Timestamp;
use crate::path::Path;

/// A device's clock may go ahead by so much, in milliseconds; a value of later than that is taken for one of now.
const MOST_AHEAD: u64 = 24 * 60 * 60 * 1000;

/// When a value held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In milliseconds since 1970-01-01T00:00:00Z. No two values of one path in a payload have the same, and the order of these is that
    /// of their times.
    pub at: u64,
    /// Whether no value of its path is later. The others are history.
    pub is_present: bool,
}

/// When each item of a payload held that was received at `received_at` (milliseconds since 1970). One without a time holds now.
///
/// The latest time is the present value, wherever it stands in the payload; of equal times the one that stands last. Times are
/// foreign, so they are bounded: what lies more than a day ahead of the receiver's clock (a device whose clock was never set, or that
/// counts from its start) can't have been measured, and is taken for now. A value of the year 2100 would never be old enough
/// to be dropped.
///
/// ```
/// use buoy_coap::number::ContentFormat;
/// use buoy_lwm2m::format::{decode, moments};
/// use buoy_lwm2m::path::Path;
///
/// let payload = br#"[{"bn":"/3303/0/5700","v":21.5},{"t":-60,"v":20.1}]"#;
/// let items = decode(ContentFormat::SENML_JSON, Path::ROOT, payload)?.collect::<Result<Vec<_>, _>>()?;
/// let moments = moments(items.iter().map(|item| (item.path, item.time)), 1_800_000_000_000);
/// assert!(moments[0].is_present && !moments[1].is_present);
/// assert_eq!((moments[0].at, moments[1].at), (1_800_000_000_000, 1_799_999_940_000));
/// # Ok::<(), buoy_lwm2m::format::FormatError>(())
/// ```
#[must_use]
pub fn moments(items: impl IntoIterator<Item = (Path, Option<Timestamp>)>, received_at: u64) -> Vec<Moment> {
    let now = received_at as f64 / 1000.0;
    let mut order: Vec<(Path, f64, usize)> = Vec::new();
    for (place, (path, time)) in items.into_iter().enumerate() {
        order.push((path, time.map_or(now, |time| bounded(time.resolve(now), now)), place));
    }
    order.sort_by(|(path, time, place), (other_path, other_time, other_place)| {
        path.cmp(other_path).then(time.total_cmp(other_time)).then(place.cmp(other_place))
    });
    let mut moments = Vec::new();
    moments.resize(order.len(), Moment { at: received_at, is_present: false });
    let mut before: Option<(Path, u64)> = None;
    for (rank, (path, time, place)) in order.iter().enumerate() {
        let earliest = match before {
            Some((other, at)) if other == *path => at.saturating_add(1),
            _ => 0,
        };
        // Seconds since 1970 in whole milliseconds: a time before that is none.
        let at = ((time * 1000.0) as u64).max(earliest);
        let next = order.get(rank.saturating_add(1));
        let is_present = next.is_none_or(|(other, ..)| other != path);
        if let Some(moment) = moments.get_mut(*place) {
            *moment = Moment { at, is_present };
        }
        before = Some((*path, at));
    }
    moments
}

fn bounded(time: f64, now: f64) -> f64 {
    if time.is_finite() && time <= now + MOST_AHEAD as f64 / 1000.0 { time } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::decode;
    use buoy_coap::number::ContentFormat;
    use std::string::String;
    use std::vec;

    const NOW: u64 = 1_800_000_000_000;

    fn of(payload: &str) -> Vec<(u64, bool)> {
        let items = decode(ContentFormat::SENML_JSON, Path::ROOT, payload.as_bytes()).unwrap();
        let items: Vec<_> = items.map(Result::unwrap).map(|item| (item.path, item.time)).collect();
        moments(items, NOW).iter().map(|moment| (moment.at, moment.is_present)).collect()
    }

    #[test]
    fn the_latest_time_is_the_present_value_wherever_it_stands() {
        let minute = 60_000;
        for (times, expected) in [
            ([0, -60, -120], [(NOW, true), (NOW - minute, false), (NOW - 2 * minute, false)]),
            ([-120, -60, 0], [(NOW - 2 * minute, false), (NOW - minute, false), (NOW, true)]),
            ([-60, 0, -120], [(NOW - minute, false), (NOW, true), (NOW - 2 * minute, false)]),
        ] {
            let records: Vec<String> =
                times.iter().map(|t| std::format!(r#"{{"n":"/3303/0/5700","t":{t},"v":1}}"#)).collect();
            assert_eq!(of(&std::format!("[{}]", records.join(","))), expected);
        }
        assert_eq!(
            of(r#"[{"n":"/3/0/9","t":1700000000,"v":1},{"n":"/3303/0/5700","v":2},{"n":"/3/0/9","v":3}]"#),
            [(1_700_000_000_000, false), (NOW, true), (NOW, true)]
        );
    }

    #[test]
    fn two_values_of_one_millisecond_are_two() {
        let same =
            r#"[{"bn":"/3/0/9","t":-1,"v":1},{"t":-1,"v":2},{"t":-0.9996,"v":3},{"n":"","t":-5,"v":4}]"#;
        let found = of(same);
        assert_eq!(found, [(NOW - 1000, false), (NOW - 999, false), (NOW - 998, true), (NOW - 5000, false)]);
    }

    #[test]
    fn times_that_cannot_be_are_taken_for_now() {
        for time in ["4102444800", "1e300", "100000", "268435455", "1e308"] {
            let payload = std::format!(r#"[{{"n":"/3/0/9","t":{time},"v":1}}]"#);
            assert_eq!(of(&payload), vec![(NOW, true)], "{time}");
        }
        assert_eq!(
            of(r#"[{"n":"/3/0/9","t":3600,"v":1}]"#),
            [(NOW + 3_600_000, true)],
            "a clock that goes ahead"
        );
        assert_eq!(of(r#"[{"n":"/3/0/9","t":-1e300,"v":1}]"#), [(0, true)]);
    }
}
