//! Values in the form of `/api/v1`: a flat list of path, value and type.

use buoy_api::{Link, PathValue};
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::FormatError;
use buoy_lwm2m::link::Links;
use buoy_lwm2m::path::{Level, Path, PathError};
use buoy_lwm2m::value::{ObjectLink, OwnedValue, ValueType};
use serde_json::{Value as Json, json};

use crate::hex;
use crate::values::{DeviceModels, TimedEntry, timed};

/// Values to write, with their paths; a path may have no value.
pub type Values = Vec<(Path, Option<OwnedValue>)>;

/// The values of one payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The present values.
    pub values: Vec<PathValue>,
    /// Older values, each with its time.
    pub history: Vec<PathValue>,
}

/// Decodes a payload. `received_at` is when it arrived, in milliseconds since the epoch.
///
/// # Errors
/// If the payload can't be decoded.
pub fn decode(
    models: &DeviceModels<'_>,
    format: ContentFormat,
    base: Path,
    payload: &[u8],
    received_at: u64,
) -> Result<Listed, FormatError> {
    let entries = models.decode(format, base, payload)?;
    Ok(listed(timed(entries, received_at)))
}

/// Values in the form of `/api/v1`; the history has the oldest first.
pub fn listed(mut entries: Vec<TimedEntry>) -> Listed {
    let mut listed = Listed::default();
    let values = entries.extract_if(.., |timed| timed.is_present);
    listed.values = values.map(path_value).collect();
    entries.sort_by_key(|timed| timed.at);
    listed.history = entries.into_iter().map(path_value).collect();
    listed
}

fn path_value(timed: TimedEntry) -> PathValue {
    let TimedEntry { entry, at, is_present } = timed;
    PathValue {
        path: entry.path.to_string(),
        kind: entry.value.as_ref().map(|value| type_name(value.value_type()).into()),
        value: entry.value.map_or(Json::Null, json_of),
        at: (entry.time.is_some() || !is_present).then_some(at),
    }
}

/// A number in JSON. Infinity and NaN, which JSON doesn't have, are text.
pub fn json_of_float(number: f64) -> Json {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}

/// A value in JSON.
fn json_of(value: OwnedValue) -> Json {
    match value {
        OwnedValue::String(text) | OwnedValue::CoreLink(text) => json!(text),
        OwnedValue::Integer(number) => json!(number),
        OwnedValue::UnsignedInteger(number) => json!(number),
        OwnedValue::Float(number) => json_of_float(number),
        OwnedValue::Boolean(on) => json!(on),
        OwnedValue::Opaque(bytes) => json!(hex::encode(&bytes)),
        OwnedValue::Time(seconds) => json!(seconds.saturating_mul(1000)),
        OwnedValue::ObjectLink(link) => json!(link.to_string()),
    }
}

pub(crate) fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "string",
        ValueType::Integer => "integer",
        ValueType::UnsignedInteger => "unsigned_integer",
        ValueType::Float => "float",
        ValueType::Boolean => "boolean",
        ValueType::Opaque => "opaque",
        ValueType::Time => "time",
        ValueType::ObjectLink => "objlnk",
        ValueType::CoreLink => "corelnk",
    }
}

/// An error in a value of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// The request has no values.
    NoValues,
    /// A path is invalid.
    Path {
        /// The text.
        text: String,
        /// Why it is invalid.
        error: PathError,
    },
    /// A path is not a resource at or below the path of the request.
    Elsewhere {
        /// The path.
        text: String,
        /// The path of the request.
        base: Path,
    },
    /// A path occurs twice.
    Twice(Path),
    /// There is no such type.
    NoType(String),
    /// A value is not of its resource's type.
    Value {
        /// The resource.
        path: Path,
        /// The value.
        value: String,
        /// The type.
        value_type: ValueType,
    },
}

impl std::fmt::Display for ValueFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoValues => f.write_str("\"values\" is empty"),
            Self::Path { text, error } => write!(f, "{text}: {error}"),
            Self::Elsewhere { text, base } => write!(f, "{text} is no resource at or below {base}"),
            Self::Twice(path) => write!(f, "{path} is named twice"),
            Self::NoType(name) => write!(f, "\"{name}\" is no type of a value"),
            Self::Value { path, value, value_type } => {
                write!(f, "{path}: {value} is no {}, which {}", value_type.name(), form_of(*value_type))
            }
        }
    }
}

impl std::error::Error for ValueFault {}

/// The values of a request, whose paths lie at or below `base`.
///
/// # Errors
/// If a value is invalid.
pub fn parse(base: Path, values: &[PathValue], models: &DeviceModels<'_>) -> Result<Values, ValueFault> {
    if values.is_empty() {
        return Err(ValueFault::NoValues);
    }
    let mut parsed = Values::new();
    for PathValue { path: text, value, kind, .. } in values {
        let path: Path = text.parse().map_err(|error| ValueFault::Path { text: text.clone(), error })?;
        let may_be_empty = match path.level() {
            Level::ObjectInstance => true,
            Level::Resource => models.resource(path).is_none_or(|resource| resource.multiple),
            _ => false,
        };
        let is_empty = value.is_null() && may_be_empty;
        if !path.starts_with(base) || (path.level() < Level::Resource && !is_empty) {
            return Err(ValueFault::Elsewhere { text: text.clone(), base });
        }
        let value = if is_empty { None } else { Some(read_value(path, value, kind.as_deref(), models)?) };
        parsed.push((path, value));
    }
    parsed.sort_by_key(|(path, _)| *path);
    match parsed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(ValueFault::Twice(pair[0].0)),
        None => Ok(parsed),
    }
}

/// The links in the answer to a Discover.
pub fn links(payload: &[u8]) -> Vec<Link> {
    let text = String::from_utf8_lossy(payload);
    let links = Links::of_text(&text).filter_map(Result::ok).map(|link| Link {
        path: link.target.to_owned(),
        attributes: link
            .attributes()
            .map(|attribute| (attribute.name.to_owned(), attribute.raw().unwrap_or_default().to_owned()))
            .collect(),
    });
    links.collect()
}

/// Parses a value of a request. Its type is that of the model, or else that of the request, or else it is guessed from the value.
///
/// # Errors
/// If it is invalid.
pub fn read_value(
    path: Path,
    value: &Json,
    kind: Option<&str>,
    models: &DeviceModels<'_>,
) -> Result<OwnedValue, ValueFault> {
    let named = match kind {
        Some(name) => Some(name.parse().map_err(|_| ValueFault::NoType(name.to_owned()))?),
        None => None,
    };
    // The type in the object's definition has precedence, since the device decodes the bytes as this type.
    let value_type = models.value_type(path).or(named).unwrap_or_else(|| look(value));
    let of_type = typed_value(value, value_type);
    of_type.ok_or_else(|| ValueFault::Value { path, value: value.to_string(), value_type })
}

/// The form of a value of this type in a request.
const fn form_of(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "is a JSON string, in quotes",
        ValueType::CoreLink => "is a JSON string of links as in </3/0>",
        ValueType::Integer => "is a whole number",
        ValueType::UnsignedInteger => "is a whole number from 0",
        ValueType::Float => "is a number",
        ValueType::Boolean => "is true or false",
        ValueType::Opaque => "is a JSON string of hexadecimal digits",
        ValueType::Time => "is a number of milliseconds since 1970, or text as in 2026-11-30T12:00:00Z",
        ValueType::ObjectLink => "is a JSON string as in 3:0",
    }
}

fn look(value: &Json) -> ValueType {
    match value {
        Json::Bool(_) => ValueType::Boolean,
        Json::Number(number) if number.is_i64() => ValueType::Integer,
        Json::Number(_) => ValueType::Float,
        _ => ValueType::String,
    }
}

fn typed_value(value: &Json, value_type: ValueType) -> Option<OwnedValue> {
    Some(match value_type {
        ValueType::String => OwnedValue::String(value.as_str()?.to_owned()),
        ValueType::CoreLink => OwnedValue::CoreLink(value.as_str()?.to_owned()),
        ValueType::Integer => OwnedValue::Integer(number(value, Json::as_i64)?),
        ValueType::UnsignedInteger => OwnedValue::UnsignedInteger(number(value, Json::as_u64)?),
        ValueType::Float => {
            OwnedValue::Float(number(value, Json::as_f64).filter(|number| number.is_finite())?)
        }
        ValueType::Boolean => OwnedValue::Boolean(boolean(value)?),
        ValueType::Opaque => OwnedValue::Opaque(hex::decode(value.as_str()?)?),
        ValueType::Time => OwnedValue::Time(time(value)?),
        ValueType::ObjectLink => OwnedValue::ObjectLink(object_link(value)?),
    })
}

/// Parses a JSON number, or a number as text.
fn number<T: std::str::FromStr>(value: &Json, read: fn(&Json) -> Option<T>) -> Option<T> {
    value.as_str().map_or_else(|| read(value), |text| text.parse().ok())
}

/// Parses a time into seconds since 1970. It may be given in milliseconds, or in RFC 3339 as `buoy ctl` shows it.
fn time(value: &Json) -> Option<i64> {
    let written = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let millis = || number(value, Json::as_i64);
    written.map(jiff::Timestamp::as_second).or_else(|| Some(millis()?.div_euclid(1000)))
}

fn boolean(value: &Json) -> Option<bool> {
    match value {
        Json::String(text) => text.parse().ok(),
        other => other.as_bool(),
    }
}

fn object_link(value: &Json) -> Option<ObjectLink> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let id = |name| u16::try_from(value.get(name)?.as_u64()?).ok();
    Some(ObjectLink { object: id("objectId")?, instance: id("objectInstanceId")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use buoy_lwm2m::model::Registry;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn the_latest_value_is_the_present_one_and_the_others_are_history() {
        let registry = Registry::standard();
        let models = DeviceModels::of_any(&registry);
        let payload = br#"[{"bn":"/3303/0/5700","t":-60,"v":20.5},{"v":21.5},{"t":-120,"v":19.5}]"#;
        let Listed { values, history } =
            decode(&models, ContentFormat::SENML_JSON, Path::ROOT, payload, NOW).unwrap();
        let numbers =
            |all: &[PathValue]| all.iter().map(|one| (one.value.clone(), one.at)).collect::<Vec<_>>();
        assert_eq!(numbers(&values), [(json!(21.5), None)]);
        assert_eq!(
            numbers(&history),
            [(json!(19.5), Some(NOW - 120_000)), (json!(20.5), Some(NOW - 60_000))]
        );
    }

    #[test]
    fn a_time_is_written_as_milliseconds_or_as_it_is_shown() {
        let registry = Registry::standard();
        let models = DeviceModels::of_any(&registry);
        let read = |value: Json| read_value(Path::resource(3, 0, 13), &value, None, &models);
        let time = Ok(OwnedValue::Time(1_795_466_474));
        assert_eq!(read(json!(1_795_466_474_000_i64)), time);
        assert_eq!(read(json!("2026-11-23T20:41:14Z")), time);
        assert_eq!(read(json!("2026-11-23T21:41:14+01:00")), time);
        assert!(read(json!("tomorrow")).unwrap_err().to_string().contains("2026-11-30T12:00:00Z"));
    }

    #[test]
    fn what_is_not_finite_is_text() {
        assert_eq!(json_of_float(f64::INFINITY), json!("inf"));
        assert_eq!(json_of_float(f64::NEG_INFINITY), json!("-inf"));
        assert_eq!(json_of_float(1.5), json!(1.5));
    }
}
