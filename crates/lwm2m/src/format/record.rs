//! Records of SenML (RFC 8428) and LwM2M JSON, whichever way they are written.

#[cfg(feature = "json")]
use super::number::parse_float;
use super::raw::RawValue;
use super::text::Text;
use super::{FormatError, Item, Timestamp};
use crate::path::{NameReader, Path};

/// Whether the value of a record may be null: in a patch it removes the record (RFC 8790 section 3.2), elsewhere a value is a number, a
/// text, a flag or bytes (RFC 8428 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Null {
    Removes,
    Refused,
}

/// The version of SenML that RFC 8428 defines; a later one can't be understood.
const VERSION: f64 = 10.0;

/// The fields of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record<'a> {
    pub(crate) base_name: Option<Text<'a>>,
    pub(crate) base_time: Option<f64>,
    pub(crate) base_value: Option<f64>,
    pub(crate) name: Option<Text<'a>>,
    pub(crate) time: Option<f64>,
    pub(crate) value: Option<RawValue<'a>>,
}

impl<'a> Record<'a> {
    /// Takes the record's value; a second one is an error, and so is null where it has no meaning.
    pub(crate) fn set_value(&mut self, value: Option<RawValue<'a>>, null: Null) -> Result<(), FormatError> {
        if self.value.is_some() {
            return Err(FormatError::PeerSentSeveralValues);
        }
        if value.is_none() && null == Null::Refused {
            return Err(FormatError::PeerSentNull);
        }
        self.value = value;
        Ok(())
    }
}

pub(crate) fn check_version(version: f64) -> Result<(), FormatError> {
    if version <= VERSION { Ok(()) } else { Err(FormatError::PeerSentUnknownExtension) }
}

/// Fills a field that may stand only once.
pub(crate) fn set_once<T>(field: &mut Option<T>, value: T) -> Result<(), FormatError> {
    if field.replace(value).is_some() {
        return Err(FormatError::PeerSentSeveralValues);
    }
    Ok(())
}

/// The base fields, which hold from the record that sets them on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Base<'a> {
    name: Option<Text<'a>>,
    time: f64,
    value: Option<f64>,
    /// Whether a record before had a base time: then all records have a time.
    timed: bool,
}

impl<'a> Base<'a> {
    /// The item that a record means.
    pub(crate) fn apply(&mut self, record: Record<'a>) -> Result<Item<'a>, FormatError> {
        self.name = record.base_name.or(self.name);
        self.value = record.base_value.or(self.value);
        if let Some(time) = record.base_time {
            self.time = time;
            self.timed = true;
        }
        Ok(Item {
            path: join(self.name, record.name)?,
            value: record.value.map(|value| self.add_value(value)).transpose()?,
            time: self.time(record.time),
        })
    }

    fn time(&self, time: Option<f64>) -> Option<Timestamp> {
        match time {
            Some(time) => Some(Timestamp(self.time + time)),
            None => self.timed.then_some(Timestamp(self.time)),
        }
    }

    fn add_value(&self, value: RawValue<'a>) -> Result<RawValue<'a>, FormatError> {
        let Some(base) = self.value else { return Ok(value) };
        Ok(match value {
            #[cfg(feature = "json")]
            RawValue::Number(text) => RawValue::Float(base + parse_float(text)?),
            RawValue::Integer(value) => RawValue::Float(base + value.to_f64()),
            RawValue::Float(value) => RawValue::Float(base + value),
            other => other,
        })
    }
}

fn join(base: Option<Text<'_>>, name: Option<Text<'_>>) -> Result<Path, FormatError> {
    let mut reader = NameReader::default();
    for part in [base, name].into_iter().flatten() {
        part.chars()
            .try_for_each(|character| reader.take(character))
            .map_err(|_| FormatError::PeerSentBadPath)?;
    }
    reader.finish().map_err(|_| FormatError::PeerSentBadPath)
}
