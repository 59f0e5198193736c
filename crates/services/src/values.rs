//! Decodes payloads into typed values with the object model, and encodes values.

use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::{self, Encoder, FormatError};
use buoy_lwm2m::model::Registry;
use buoy_lwm2m::operation::ObjectVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{OwnedValue, ValueType};
use buoy_server::{ObjectList, Report};

/// The largest payload of one Write to a device, except firmware.
const MAX_PAYLOAD: usize = 1 << 20;

/// A value of a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its path.
    pub path: Path,
    /// `None` if the payload contains only the path.
    pub value: Option<OwnedValue>,
    /// Seconds since the epoch, or, if small, relative to now.
    pub time: Option<format::Timestamp>,
}

/// A value and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedEntry {
    /// The value.
    pub entry: Entry,
    /// Its time in milliseconds since the epoch: the device's timestamp if it is plausible, else the time of arrival.
    pub at: u64,
    /// Whether the payload has no later value of this path (RFC 8428 section 4.5.3). The others are history.
    pub is_present: bool,
}

/// The decoded part of a report.
#[derive(Clone, Debug, Default)]
pub struct ReadReport {
    /// The values, in the report's order.
    pub values: Vec<TimedEntry>,
    /// A value of a wrong type, if there is one. The engine reports a damaged payload by `Event::Unreadable`.
    pub problem: Option<String>,
}

/// Adds the times of values that arrived at `received_at`, in milliseconds since the epoch.
pub fn timed(entries: Vec<Entry>, received_at: u64) -> Vec<TimedEntry> {
    let moments = format::moments(entries.iter().map(|entry| (entry.path, entry.time)), received_at);
    let timed = |(entry, moment): (_, format::Moment)| TimedEntry {
        entry,
        at: moment.at,
        is_present: moment.is_present,
    };
    entries.into_iter().zip(moments).map(timed).collect()
}

/// The present values.
pub fn present(entries: Vec<TimedEntry>) -> Vec<Entry> {
    entries.into_iter().filter(|timed| timed.is_present).map(|timed| timed.entry).collect()
}

/// The object models of one device, selected by the versions of its objects.
#[derive(Clone, Copy, Debug)]
pub struct DeviceModels<'a> {
    registry: &'a Registry,
    objects: Option<&'a ObjectList>,
}

impl<'a> DeviceModels<'a> {
    /// The models for a device's object list.
    pub fn of(registry: &'a Registry, objects: &'a ObjectList) -> Self {
        Self { registry, objects: Some(objects) }
    }

    /// The models for a device whose object list is unknown.
    pub fn of_any(registry: &'a Registry) -> Self {
        Self { registry, objects: None }
    }

    /// The version of an object in the device's list.
    pub fn version(&self, object: u16) -> Option<ObjectVersion> {
        self.objects?.version(object)
    }

    /// The device's root path.
    pub fn root(&self) -> &'a str {
        self.objects.map_or("/", ObjectList::root)
    }

    /// The default format of payloads to the device: TLV, which every version of LwM2M has, unless the device lists only
    /// others.
    pub fn preferred_format(&self) -> ContentFormat {
        let formats = self.objects.map_or(&[][..], ObjectList::content_formats);
        let others = [ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON, ContentFormat::LWM2M_CBOR];
        match others.into_iter().find(|format| formats.contains(format)) {
            Some(other) if !formats.contains(&ContentFormat::TLV) => other,
            _ => ContentFormat::TLV,
        }
    }

    /// The type of a resource, if it has a model.
    pub fn value_type(&self, path: Path) -> Option<ValueType> {
        self.resource(path)?.value_type
    }

    /// The model of a resource.
    pub fn resource(&self, path: Path) -> Option<&'a buoy_lwm2m::model::ResourceModel> {
        self.registry.resource(path, self.version(path.object_id()?))
    }

    /// Decodes a report as far as possible. If a value doesn't have its resource's type, its type is guessed; a value that can't be decoded at
    /// all is left out and reported as the problem.
    pub fn read_report(&self, report: &Report) -> ReadReport {
        let mut read = ReadReport::default();
        for (item, moment) in report.items() {
            match self.resolve(&item) {
                Ok(value) => read.values.push(TimedEntry {
                    entry: Entry { path: item.path, value, time: item.time },
                    at: moment.at,
                    is_present: moment.is_present,
                }),
                Err(error) => read.problem = Some(format!("{}: {error}", item.path)),
            }
        }
        read
    }

    /// The value of an item: of its resource's type, or else of a guessed type.
    fn resolve(&self, item: &format::Item<'_>) -> Result<Option<OwnedValue>, FormatError> {
        let Some(raw) = item.value else { return Ok(None) };
        let mut scratch = vec![0; raw.scratch_len()];
        let of_type = self.value_type(item.path).and_then(|it| raw.resolve(it, &mut scratch).ok());
        if let Some(value) = of_type {
            return Ok(Some(value.to_owned()));
        }
        raw.resolve(raw.guess(), &mut scratch).map(|value| Some(value.to_owned()))
    }

    /// Decodes a payload. The types of values whose resource has no model are guessed.
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
/// [`UnknownFormat`]
pub fn parse_format(text: &str) -> Result<ContentFormat, UnknownFormat> {
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
        _ => return Err(UnknownFormat(text.to_owned())),
    })
}

/// The name of an unknown content format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl std::fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: &str = "TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR, LWM2M_CBOR, LINK";
        write!(f, "{} is no content format; one of {NAMES}", self.0)
    }
}

impl std::error::Error for UnknownFormat {}

/// Encodes the paths of a composite operation.
pub fn encode_paths(format: ContentFormat, paths: &[Path]) -> Result<Vec<u8>, FormatError> {
    let mut buffer = vec![0; 64 + paths.len() * 32];
    let length = format::encode_paths(format, paths.iter().copied(), &mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Encodes values as a payload.
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
