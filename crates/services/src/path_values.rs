//! Values in the shapes of `/api/v1`: a flat list of path, value and type.

use buoy_api::{Link, PathValue};
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::link::Links;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{ObjectLink, OwnedValue, ValueType};
use serde_json::{Value as Json, json};

use crate::hex;
use crate::values::{DeviceModels, Entry};

/// Values to write, by their paths; without a value a path only is named.
pub type Values = Vec<(Path, Option<OwnedValue>)>;

/// What a payload says. `received_at` is when it came, in milliseconds since the epoch.
///
/// # Errors
/// Why the payload cannot be read, in words.
pub fn decode(
    models: &DeviceModels<'_>,
    format: ContentFormat,
    base: Path,
    payload: &[u8],
    received_at: u64,
) -> Result<Vec<PathValue>, String> {
    let entries = models.decode(format, base, payload).map_err(|error| error.to_string())?;
    Ok(listed(entries, received_at))
}

/// Values that were read of a payload which came at `received_at`, in milliseconds since the epoch.
pub fn listed(entries: Vec<Entry>, received_at: u64) -> Vec<PathValue> {
    entries.into_iter().filter_map(|entry| path_value(entry, received_at)).collect()
}

fn path_value(entry: Entry, received_at: u64) -> Option<PathValue> {
    let value = entry.value?;
    let at = entry.time.map(|time| time.resolve(received_at as f64 / 1000.0) * 1000.0);
    Some(PathValue {
        path: entry.path.to_string(),
        kind: Some(type_name(value.value_type()).into()),
        value: json_of(value),
        at: at.map(|at| at.max(0.0) as u64),
    })
}

/// A value as JSON has it.
fn json_of(value: OwnedValue) -> Json {
    match value {
        OwnedValue::String(text) | OwnedValue::CoreLink(text) => json!(text),
        OwnedValue::Integer(number) => json!(number),
        OwnedValue::UnsignedInteger(number) => json!(number),
        // JSON has no word for what is not a number.
        OwnedValue::Float(number) if number.is_finite() => json!(number),
        OwnedValue::Float(number) => json!(number.to_string()),
        OwnedValue::Boolean(on) => json!(on),
        OwnedValue::Opaque(bytes) => json!(hex::encode(&bytes)),
        OwnedValue::Time(seconds) => json!(seconds.saturating_mul(1000)),
        OwnedValue::ObjectLink(link) => json!(link.to_string()),
    }
}

fn type_name(value_type: ValueType) -> &'static str {
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

/// The values of a request, whose paths lie at or below `base`.
///
/// # Errors
/// What is wrong with which value, in words.
pub fn parse(base: Path, values: &[PathValue], models: &DeviceModels<'_>) -> Result<Values, String> {
    if values.is_empty() {
        return Err("\"values\" is empty".into());
    }
    let mut parsed = Values::new();
    for PathValue { path: text, value, kind, .. } in values {
        let path: Path = text.parse().map_err(|error| format!("{text}: {error}"))?;
        if !path.starts_with(base) || path.len() < 3 {
            return Err(format!("{text} is no resource at or below {base}"));
        }
        parsed.push((path, Some(read_value(path, value, kind.as_deref(), models)?)));
    }
    parsed.sort_by_key(|(path, _)| *path);
    match parsed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("{} is named twice", pair[0].0)),
        None => Ok(parsed),
    }
}

/// The links of a Discover's answer.
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

/// A value in a request: of the type that the model knows, or that the caller names, or that it looks like.
///
/// # Errors
/// What is wrong, in words.
pub fn read_value(
    path: Path,
    value: &Json,
    kind: Option<&str>,
    models: &DeviceModels<'_>,
) -> Result<OwnedValue, String> {
    let named = match kind {
        Some(name) => Some(name.parse().map_err(|_| format!("\"{name}\" is no type of a value"))?),
        None => None,
    };
    // What the object's definition says counts: the device takes the bytes for that, whatever the caller calls them.
    let value_type = models.value_type(path).or(named).unwrap_or_else(|| look(value));
    typed_value(value, value_type)
        .ok_or_else(|| format!("{path}: {value} is no {}, which {}", value_type.name(), form_of(value_type)))
}

/// How a request writes a value of a type.
const fn form_of(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "is a JSON string, in quotes",
        ValueType::CoreLink => "is a JSON string of links as in </3/0>",
        ValueType::Integer => "is a whole number",
        ValueType::UnsignedInteger => "is a whole number from 0",
        ValueType::Float => "is a number",
        ValueType::Boolean => "is true or false",
        ValueType::Opaque => "is a JSON string of hexadecimal digits",
        ValueType::Time => "is in milliseconds since 1970",
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
        ValueType::Time => OwnedValue::Time(number(value, Json::as_i64)?.div_euclid(1000)),
        ValueType::ObjectLink => OwnedValue::ObjectLink(object_link(value)?),
    })
}

/// Numbers come as JSON numbers or as text.
fn number<T: std::str::FromStr>(value: &Json, read: fn(&Json) -> Option<T>) -> Option<T> {
    value.as_str().map_or_else(|| read(value), |text| text.parse().ok())
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
