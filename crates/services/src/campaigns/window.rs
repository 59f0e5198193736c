//! Maintenance windows in the time zones of devices. The engine reckons in instants; here they are made from the times of day.
//!
//! On a day on which the clocks change, a time of day may not exist, or exist twice. A window has then the instants whose time of day is in it: a part that does
//! not exist is left out, and a part that exists twice counts twice.

use buoy_fleet::campaign::Window;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// Days after today on which a window is looked for: one that opens once a week may be left out once.
const DAYS: i64 = 15;
/// The longest name of a time zone, in bytes.
const LONGEST_NAME: usize = 64;

/// Whether a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Open,
    /// It opens then; milliseconds since the epoch.
    At(u64),
}

/// A time zone by its name of IANA.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return None;
    }
    TimeZone::get(name).ok()
}

/// Whether a window is open at a time, in a time zone.
pub(super) fn opening(window: &Window, zone: &TimeZone, now: u64) -> Opening {
    let now_at =
        Timestamp::from_millisecond(i64::try_from(now).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    let today = zone.to_datetime(now_at).date();
    for days in -1..DAYS {
        let Ok(date) = today.checked_add(days.days()) else { continue };
        let Some((from, to)) = of_day(window, zone, date) else { continue };
        if now_at < from {
            return Opening::At(u64::try_from(from.as_millisecond()).unwrap_or(0));
        }
        if now_at < to {
            return Opening::Open;
        }
    }
    // Only dates at the end of time have no window.
    Opening::Open
}

/// The window that opens on a day, if there is one.
fn of_day(window: &Window, zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
    let day = u8::try_from(date.weekday().to_monday_zero_offset()).ok()?;
    if !window.days.is_empty() && !window.days.contains(&day) {
        return None;
    }
    let last = if window.to <= window.from { date.tomorrow().ok()? } else { date };
    let from = instant(zone, date.to_datetime(time(window.from)?), Side::First)?;
    let to = instant(zone, last.to_datetime(time(window.to)?), Side::Last)?;
    (from < to).then_some((from, to))
}

fn time(minutes: u16) -> Option<Time> {
    Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()
}

/// Which of two instants, if a time of day exists twice.
#[derive(Clone, Copy)]
enum Side {
    First,
    Last,
}

/// The instant of a time of day; the change of the clocks, if it does not exist on that day.
fn instant(zone: &TimeZone, at: DateTime, side: Side) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    match (ambiguous.offset(), side) {
        (AmbiguousOffset::Gap { .. }, _) => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next().map(|change| change.timestamp())
        }
        (_, Side::First) => ambiguous.earlier().ok(),
        (_, Side::Last) => ambiguous.later().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: u16, to: u16, days: &[u8]) -> Window {
        Window { from, to, days: days.to_vec(), zone: String::new() }
    }

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn opens(window: &Window, name: &str, now: &str) -> String {
        match opening(window, &zone(name).unwrap(), at(now)) {
            Opening::Open => "open".to_owned(),
            Opening::At(at) => Timestamp::from_millisecond(at as i64).unwrap().to_string(),
        }
    }

    const TWO: u16 = 2 * 60;
    const THREE: u16 = 3 * 60;

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it_in_the_zone_of_the_device() {
        let night = window(22 * 60, 5 * 60, &[]);
        assert_eq!(opens(&night, "Europe/Berlin", "2026-01-10T20:59:59Z"), "2026-01-10T21:00:00Z");
        assert_eq!(opens(&night, "Europe/Berlin", "2026-01-10T21:00:00Z"), "open");
        assert_eq!(opens(&night, "Europe/Berlin", "2026-01-11T03:59:59Z"), "open");
        assert_eq!(opens(&night, "Europe/Berlin", "2026-01-11T04:00:00Z"), "2026-01-11T21:00:00Z");
        assert_eq!(opens(&night, "Asia/Tokyo", "2026-01-10T20:59:59Z"), "2026-01-11T13:00:00Z");
        assert_eq!(opens(&night, "Asia/Kolkata", "2026-01-10T16:30:00Z"), "open");
    }

    #[test]
    fn a_window_of_some_days_opens_on_those_and_closes_on_the_next() {
        let saturday = window(22 * 60, TWO, &[5]);
        assert_eq!(opens(&saturday, "UTC", "2026-01-10T23:00:00Z"), "open");
        assert_eq!(opens(&saturday, "UTC", "2026-01-11T01:00:00Z"), "open");
        assert_eq!(opens(&saturday, "UTC", "2026-01-11T23:00:00Z"), "2026-01-17T22:00:00Z");
    }

    #[test]
    fn a_window_that_does_not_exist_on_the_day_of_the_change_is_left_out_and_a_part_of_one_is_kept() {
        let hour = window(TWO, THREE, &[]);
        assert_eq!(opens(&hour, "Europe/Berlin", "2026-03-29T00:30:00Z"), "2026-03-30T00:00:00Z");
        assert_eq!(opens(&hour, "Europe/Berlin", "2026-03-29T01:00:00Z"), "2026-03-30T00:00:00Z");
        let half = window(TWO + 30, THREE + 30, &[]);
        assert_eq!(opens(&half, "Europe/Berlin", "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(opens(&half, "Europe/Berlin", "2026-03-29T01:29:59Z"), "open");
        assert_eq!(opens(&half, "Europe/Berlin", "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
        // Once a week, and not in this one.
        let sunday = window(TWO, THREE, &[6]);
        assert_eq!(opens(&sunday, "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-04-05T00:00:00Z");
    }

    #[test]
    fn a_window_that_exists_twice_on_the_day_of_the_change_is_open_both_times() {
        let hour = window(TWO, THREE, &[]);
        assert_eq!(opens(&hour, "Europe/Berlin", "2026-10-24T23:59:59Z"), "2026-10-25T00:00:00Z");
        for now in
            ["2026-10-25T00:00:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", "2026-10-25T01:59:59Z"]
        {
            assert_eq!(opens(&hour, "Europe/Berlin", now), "open", "{now}");
        }
        assert_eq!(opens(&hour, "Europe/Berlin", "2026-10-25T02:00:00Z"), "2026-10-26T01:00:00Z");
    }

    #[test]
    fn changes_by_half_an_hour_and_days_that_do_not_exist_are_reckoned_with() {
        // Lord Howe goes from +10:30 to +11 at 02:00.
        let half = window(TWO, TWO + 30, &[]);
        assert_eq!(opens(&half, "Australia/Lord_Howe", "2026-10-03T15:00:00Z"), "2026-10-04T15:00:00Z");
        // Samoa had no 30 December 2011.
        let noon = window(12 * 60, 13 * 60, &[]);
        assert_eq!(opens(&noon, "Pacific/Apia", "2011-12-30T00:00:00Z"), "2011-12-30T22:00:00Z");
    }

    #[test]
    fn a_name_that_is_no_zone_is_none() {
        for name in ["", "Mars/Olympus", "../../etc/passwd", &"x".repeat(65)] {
            assert!(zone(name).is_none(), "{name}");
        }
    }
}
