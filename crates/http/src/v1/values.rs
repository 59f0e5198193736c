//! Values in the shapes of `/api/v1`: a flat list of path, value and type.

use buoy_api::{Link, PathValue};
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::link::Links;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{OwnedValue, ValueType};
use serde_json::{Value as Json, json};

use crate::nodes;
use buoy_services::hex;
use buoy_services::values::{DeviceModels, Entry};

/// What a payload says. `received_at` is when it came, in milliseconds since the epoch.
///
/// # Errors
/// Why the payload cannot be read, in words.
pub(super) fn decode(
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
pub(super) fn listed(entries: Vec<Entry>, received_at: u64) -> Vec<PathValue> {
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
pub(super) fn parse(
    base: Path,
    values: &[PathValue],
    models: &DeviceModels<'_>,
) -> Result<nodes::Values, String> {
    if values.is_empty() {
        return Err("\"values\" is empty".into());
    }
    let mut parsed = nodes::Values::new();
    for PathValue { path: text, value, kind, .. } in values {
        let path: Path = text.parse().map_err(|error| format!("{text}: {error}"))?;
        if !path.starts_with(base) || path.len() < 3 {
            return Err(format!("{text} is no resource at or below {base}"));
        }
        parsed.push((path, Some(nodes::read_value(path, value, kind.as_deref(), models)?)));
    }
    parsed.sort_by_key(|(path, _)| *path);
    match parsed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("{} is named twice", pair[0].0)),
        None => Ok(parsed),
    }
}

/// The links of a Discover's answer.
pub(super) fn links(payload: &[u8]) -> Vec<Link> {
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
