//! Values between the wire and people: payloads to typed values by the object model, and back.

use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::{self, Encoder, FormatError};
use buoy_lwm2m::model::Registry;
use buoy_lwm2m::operation::ObjectVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{OwnedValue, ValueType};
use buoy_server::ObjectList;

/// The largest payload that is written to a device in one operation, firmware aside.
const MAX_PAYLOAD: usize = 1 << 20;

/// A value that a payload says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is of.
    pub path: Path,
    /// `None` where the payload names a path only.
    pub value: Option<OwnedValue>,
    /// Seconds since the epoch, or, if small, since now.
    pub time: Option<format::Timestamp>,
}

/// What could be read of a payload.
#[derive(Clone, Debug, Default)]
pub struct Readable {
    /// The values.
    pub entries: Vec<Entry>,
    /// What could not be read, and why.
    pub problem: Option<String>,
}

/// The object models as one device's versions select them.
#[derive(Clone, Copy, Debug)]
pub struct DeviceModels<'a> {
    registry: &'a Registry,
    objects: Option<&'a ObjectList>,
}

impl<'a> DeviceModels<'a> {
    /// As a device's object list selects them.
    pub fn of(registry: &'a Registry, objects: &'a ObjectList) -> Self {
        Self { registry, objects: Some(objects) }
    }

    /// For a device of which nothing is known.
    pub fn of_any(registry: &'a Registry) -> Self {
        Self { registry, objects: None }
    }

    /// The version of an object that the device said.
    pub fn version(&self, object: u16) -> Option<ObjectVersion> {
        self.objects?.version(object)
    }

    /// Where the device's objects lie.
    pub fn root(&self) -> &'a str {
        self.objects.map_or("/", ObjectList::root)
    }

    /// The format of payloads to the device, if the caller names none: TLV, which every version of LwM2M has, unless the device says that
    /// it speaks others only.
    pub fn preferred_format(&self) -> ContentFormat {
        let formats = self.objects.map_or(&[][..], ObjectList::content_formats);
        let others = [ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON, ContentFormat::LWM2M_CBOR];
        match others.into_iter().find(|format| formats.contains(format)) {
            Some(other) if !formats.contains(&ContentFormat::TLV) => other,
            _ => ContentFormat::TLV,
        }
    }

    /// The type of a resource, if a model describes it.
    pub fn value_type(&self, path: Path) -> Option<ValueType> {
        self.resource(path)?.value_type
    }

    /// The model of a resource.
    pub fn resource(&self, path: Path) -> Option<&'a buoy_lwm2m::model::ResourceModel> {
        self.registry.resource(path, self.version(path.object_id()?))
    }

    /// Reads what can be read of a payload: a value that is not of its resource's type is taken for what it looks like, and one that cannot
    /// be read at all is left out, and said.
    pub fn decode_readable(&self, format: ContentFormat, base: Path, payload: &[u8]) -> Readable {
        let mut readable = Readable::default();
        let items = match format::decode(format, base, payload) {
            Ok(items) => items,
            Err(error) => {
                readable.problem = Some(error.to_string());
                return readable;
            }
        };
        for item in items {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    // Where the next value would begin is not known.
                    readable.problem = Some(error.to_string());
                    break;
                }
            };
            let Some(raw) = item.value else {
                readable.entries.push(Entry { path: item.path, value: None, time: item.time });
                continue;
            };
            let mut scratch = vec![0; raw.scratch_len()];
            let of_type = self.value_type(item.path).and_then(|it| raw.resolve(it, &mut scratch).ok());
            let of_type = of_type.map(|value| value.to_owned());
            let value = match of_type {
                Some(value) => Ok(value),
                None => raw.resolve(raw.guess(), &mut scratch).map(|value| value.to_owned()),
            };
            match value {
                Ok(value) => {
                    readable.entries.push(Entry { path: item.path, value: Some(value), time: item.time });
                }
                Err(error) => readable.problem = Some(format!("{}: {error}", item.path)),
            }
        }
        readable
    }

    /// Reads a payload. Values of resources that no model describes are taken for what they look like.
    pub fn decode(
        &self,
        format: ContentFormat,
        base: Path,
        payload: &[u8],
    ) -> Result<Vec<Entry>, FormatError> {
        let mut entries = Vec::new();
        for item in format::decode(format, base, payload)? {
            let item = item?;
            let value = match item.value {
                None => None,
                Some(raw) => {
                    let mut scratch = vec![0; raw.scratch_len()];
                    let value_type = self.value_type(item.path).unwrap_or_else(|| raw.guess());
                    Some(raw.resolve(value_type, &mut scratch)?.to_owned())
                }
            };
            entries.push(Entry { path: item.path, value, time: item.time });
        }
        Ok(entries)
    }
}

/// A content format by its name, in any case.
///
/// # Errors
/// Which names there are.
pub fn parse_format(text: &str) -> Result<ContentFormat, String> {
    Ok(match text.to_ascii_uppercase().as_str() {
        "TEXT" => ContentFormat::TEXT,
        "OPAQUE" => ContentFormat::OCTET_STREAM,
        "TLV" => ContentFormat::TLV,
        "JSON" => ContentFormat::LWM2M_JSON,
        "CBOR" => ContentFormat::CBOR,
        "SENML_JSON" => ContentFormat::SENML_JSON,
        "SENML_CBOR" => ContentFormat::SENML_CBOR,
        "LWM2M_CBOR" => ContentFormat::LWM2M_CBOR,
        "LINK" => ContentFormat::LINK,
        _ => {
            return Err(format!(
                "{text} is no content format; one of TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR, LWM2M_CBOR, LINK"
            ));
        }
    })
}

/// Writes the paths of a composite operation.
pub fn encode_paths(format: ContentFormat, paths: &[Path]) -> Result<Vec<u8>, FormatError> {
    let mut buffer = vec![0; 64 + paths.len() * 32];
    let length = format::encode_paths(format, paths.iter().copied(), &mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Writes values as a payload.
pub fn encode(
    format: ContentFormat,
    base: Path,
    values: &[(Path, Option<OwnedValue>)],
) -> Result<Vec<u8>, FormatError> {
    let mut size = 256 + values.len() * 64;
    loop {
        let mut buffer = vec![0; size];
        match encode_into(format, base, values, &mut buffer) {
            Err(FormatError::BufferTooSmall) if size < MAX_PAYLOAD => size *= 4,
            Err(error) => return Err(error),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}

fn encode_into(
    format: ContentFormat,
    base: Path,
    values: &[(Path, Option<OwnedValue>)],
    buffer: &mut [u8],
) -> Result<usize, FormatError> {
    let mut encoder = Encoder::new(format, base, buffer)?;
    for (path, value) in values {
        match value {
            Some(value) => encoder.push(*path, &value.as_value(), None)?,
            None => encoder.push_empty(*path)?,
        }
    }
    encoder.finish()
}
