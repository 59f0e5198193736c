//! Times as people and programs write them.

/// Milliseconds since the epoch, of a time as in "2026-12-01T08:00:00Z" (RFC 3339) or of a number of milliseconds.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(millis) = text.parse::<u64>() {
        return Some(millis).filter(|millis| i64::try_from(*millis).is_ok());
    }
    let at = text.parse::<jiff::Timestamp>().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

/// A time in UTC, as in "2026-11-25T13:00:00Z", with milliseconds if there are any.
#[must_use]
pub fn text(millis: u64) -> String {
    let at = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.map_or_else(|| millis.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_a_number() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse(" 1500 "), Some(1500));
        assert_eq!(text(1500), "1970-01-01T00:00:01.5Z");
        for wrong in ["", "yesterday", "1969-12-31T23:59:59Z", "-1", "18446744073709551615"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
