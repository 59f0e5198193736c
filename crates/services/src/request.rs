//! Translates an operation of `/api/v1` into a request to a device.

use std::sync::Arc;

use buoy_api::{PathValue, Request, WriteMode};
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::attributes::{AttributeError, AttributeUpdate, Attributes};
use buoy_lwm2m::format::FormatError;
use buoy_lwm2m::operation::{self, Content, Downlink as Typed};
use buoy_lwm2m::path::{Level, Path, PathError};
use buoy_server::{Downlink, Intent, ObservationView};

use crate::path_values::{self as values, ValueFault};
use crate::values::{DeviceModels, UnknownFormat, encode, encode_paths, parse_format};

const MAX_PATHS: usize = 256;
const ATTRIBUTES: &str = "pmin, pmax, gt, lt, st, epmin, epmax, con, edge and hqmax";

/// The properties of a device that its requests depend on.
#[derive(Debug)]
pub struct Target<'a> {
    /// The object models for its values.
    pub models: DeviceModels<'a>,
    /// What it is observed for; only needed to end an observation.
    pub observations: Vec<ObservationView>,
}

/// An error in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// A path is invalid.
    Path {
        /// The text.
        text: String,
        /// Why it is invalid.
        error: PathError,
    },
    /// The operation doesn't support paths of this level.
    Level {
        /// The path.
        text: String,
        /// The levels that it supports.
        wanted: &'static str,
    },
    /// There is no such content format.
    Format(UnknownFormat),
    /// Attributes are invalid.
    Attributes {
        /// Their names.
        names: Vec<String>,
        /// Why.
        error: AttributeError,
    },
    /// No attribute is named.
    NoAttributes,
    /// The number of paths is not allowed.
    PathCount(usize),
    /// There is no observation of the path.
    NotObserved,
    /// The id of an instance is invalid.
    InstanceId,
    /// A new instance has no id, and the format can't say that.
    NewInstanceWithoutId {
        /// Whether the caller named the format.
        is_named: bool,
    },
    /// Links are asked for where values are meant.
    LinksAreNoValues,
    /// A value is invalid.
    Value(ValueFault),
    /// The values can't be encoded in the format.
    Encoding(FormatError),
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path { text, error } => write!(f, "{text}: {error}"),
            Self::Level { text, wanted } => write!(f, "{text}: {wanted}"),
            Self::Format(error) => error.fmt(f),
            Self::Attributes { names, error } => {
                write!(f, "{}: {error}; attributes are {ATTRIBUTES}", names.join(", "))
            }
            Self::NoAttributes => write!(f, "\"attributes\" names none of {ATTRIBUTES}"),
            Self::PathCount(count) => {
                write!(f, "\"paths\" has {count} entries, and must have 1 to {MAX_PATHS}")
            }
            Self::NotObserved => f.write_str("the device is not observed there"),
            Self::InstanceId => f.write_str("an instance id is 0 to 65534"),
            Self::NewInstanceWithoutId { is_named } => {
                let advice = match is_named {
                    true => "name an instance, or leave the format out",
                    false => "this device reads no TLV, so name an instance",
                };
                write!(f, "only in TLV can a new instance be without an id; {advice}")
            }
            Self::LinksAreNoValues => f.write_str("LINK is no format of values; links are for Discover"),
            Self::Value(fault) => fault.fmt(f),
            Self::Encoding(error) => error.fmt(f),
        }
    }
}

impl From<ValueFault> for RequestError {
    fn from(fault: ValueFault) -> Self {
        Self::Value(fault)
    }
}

impl From<FormatError> for RequestError {
    fn from(error: FormatError) -> Self {
        Self::Encoding(error)
    }
}

impl From<UnknownFormat> for RequestError {
    fn from(error: UnknownFormat) -> Self {
        Self::Format(error)
    }
}

impl std::error::Error for RequestError {}

impl Target<'_> {
    /// The request to the device, and the effect of its answer.
    ///
    /// # Errors
    /// If the request is invalid.
    pub fn request(&self, request: &Request) -> Result<(Downlink, Intent), RequestError> {
        match request {
            Request::Read { path, format } => {
                self.once(&Typed::Read { path: parse(path)?, accept: value_format(format)? })
            }
            Request::Discover { path } => self.once(&Typed::Discover { path: parse(path)?, depth: None }),
            Request::Write { path, values, mode, format } => self.write(path, values, *mode, format),
            Request::WriteAttributes { path, attributes } => {
                let queries: Vec<String> = attributes
                    .iter()
                    .map(|(name, value)| match value {
                        Some(value) => format!("{name}={value}"),
                        None => name.clone(),
                    })
                    .collect();
                let update = AttributeUpdate::parse(queries.iter().map(String::as_str));
                let names = || attributes.keys().cloned().collect();
                let update = update.map_err(|error| RequestError::Attributes { names: names(), error })?;
                if update.is_empty() {
                    return Err(RequestError::NoAttributes);
                }
                self.once(&Typed::WriteAttributes { path: parse(path)?, update })
            }
            Request::Execute { path, arguments } => {
                let path = parse_at(path, &[Level::Resource], "Execute runs a resource, as in /3/0/4")?;
                self.once(&Typed::Execute { path, arguments: arguments.as_deref().unwrap_or_default() })
            }
            Request::Create { path, instance, values, format } => {
                self.create(path, *instance, values, format)
            }
            Request::Delete { path } => self.once(&Typed::Delete { path: parse(path)? }),
            Request::Observe { path, format } => {
                let path = parse(path)?;
                let typed =
                    Typed::Observe { path, accept: value_format(format)?, attributes: Attributes::default() };
                let intent = Intent::Observe { paths: Arc::from([path]), composite: false };
                Ok((self.send(&typed), intent))
            }
            Request::CancelObserve { path } => {
                let path = parse(path)?;
                let intent = self.observed(&[path], false)?;
                Ok((self.send(&Typed::CancelObserve { path, accept: None }), intent))
            }
            Request::ReadComposite { paths, path_format, format } => {
                let Composite { paths: _, format, payload, accept } = composite(paths, path_format, format)?;
                let paths = Content { format, payload: &payload };
                self.once(&Typed::ReadComposite { paths, accept: Some(accept) })
            }
            Request::WriteComposite { values, format } => {
                let format = value_format(format)?.unwrap_or(ContentFormat::SENML_CBOR);
                let values = values::parse(Path::ROOT, values, &self.models)?;
                let payload = encode(format, Path::ROOT, &values)?;
                self.once(&Typed::WriteComposite { content: Content { format, payload: &payload } })
            }
            Request::ObserveComposite { paths, path_format, format } => {
                let Composite { paths, format, payload, accept } = composite(paths, path_format, format)?;
                let content = Content { format, payload: &payload };
                let attributes = Attributes::default();
                let typed = Typed::ObserveComposite { paths: content, accept: Some(accept), attributes };
                Ok((self.send(&typed), Intent::Observe { paths: paths.into(), composite: true }))
            }
            Request::CancelObserveComposite { paths, path_format } => {
                let Composite { paths, format, payload, accept } = composite(paths, path_format, &None)?;
                let intent = self.observed(&paths, true)?;
                let content = Content { format, payload: &payload };
                let typed = Typed::CancelObserveComposite { paths: content, accept: Some(accept) };
                Ok((self.send(&typed), intent))
            }
        }
    }

    fn write(
        &self,
        path: &str,
        values: &[PathValue],
        mode: WriteMode,
        format: &Option<String>,
    ) -> Result<(Downlink, Intent), RequestError> {
        let path = parse(path)?;
        let values = match values {
            [] if matches!(path.level(), Level::ObjectInstance | Level::Resource) => vec![(path, None)],
            values => values::parse(path, values, &self.models)?,
        };
        let format = value_format(format)?.unwrap_or_else(|| self.models.preferred_format());
        let payload = encode(format, path, &values)?;
        // Only an instance can be updated partially; a single resource is always replaced by its new value.
        let mode = match mode {
            WriteMode::Update if path.level() == Level::ObjectInstance => operation::WriteMode::PartialUpdate,
            _ => operation::WriteMode::Replace,
        };
        self.once(&Typed::Write { path, mode, content: Content { format, payload: &payload } })
    }

    fn create(
        &self,
        path: &str,
        instance: Option<u16>,
        values: &[PathValue],
        format: &Option<String>,
    ) -> Result<(Downlink, Intent), RequestError> {
        let object = parse_at(path, &[Level::Object], "Create makes an instance of an object, as in /3303")?;
        let new = object.child(instance.unwrap_or(0)).ok_or(RequestError::InstanceId)?;
        let values = match values {
            [] => vec![(new, None)],
            values => {
                let inside = |value: &PathValue| {
                    let path = format!("{new}/{}", value.path.trim_start_matches('/'));
                    PathValue { path, ..value.clone() }
                };
                values::parse(new, &values.iter().map(inside).collect::<Vec<_>>(), &self.models)?
            }
        };
        let named = value_format(format)?;
        let format = named.unwrap_or_else(|| self.models.preferred_format());
        if instance.is_none() && format != ContentFormat::TLV {
            return Err(RequestError::NewInstanceWithoutId { is_named: named.is_some() });
        }
        // Without an id the payload contains only the resources.
        let base = if instance.is_some() { object } else { new };
        let payload = encode(format, base, &values)?;
        self.once(&Typed::Create { path: object, content: Content { format, payload: &payload } })
    }

    fn observed(&self, paths: &[Path], composite: bool) -> Result<Intent, RequestError> {
        let known = self.observations.iter();
        let known = known.filter(|known| known.composite == composite && *known.paths == *paths);
        let observation = known.map(|known| known.id).next();
        observation.map(Intent::Cancel).ok_or(RequestError::NotObserved)
    }

    fn once(&self, typed: &Typed<'_>) -> Result<(Downlink, Intent), RequestError> {
        Ok((self.send(typed), Intent::Once))
    }

    fn send(&self, typed: &Typed<'_>) -> Downlink {
        Downlink::of(typed, self.models.root())
    }
}

/// Several paths, and how they are sent.
struct Composite {
    paths: Vec<Path>,
    format: ContentFormat,
    payload: Vec<u8>,
    /// The format of the answer.
    accept: ContentFormat,
}

fn composite(
    paths: &[String],
    path_format: &Option<String>,
    format: &Option<String>,
) -> Result<Composite, RequestError> {
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(RequestError::PathCount(paths.len()));
    }
    let paths: Vec<Path> = paths.iter().map(|path| parse(path)).collect::<Result<_, _>>()?;
    let (sent, accept) = (value_format(path_format)?, value_format(format)?);
    let format = sent.or(accept).unwrap_or(ContentFormat::SENML_CBOR);
    let payload = encode_paths(format, &paths)?;
    Ok(Composite { paths, format, payload, accept: accept.unwrap_or(format) })
}

fn parse(text: &str) -> Result<Path, RequestError> {
    text.parse().map_err(|error| RequestError::Path { text: text.to_owned(), error })
}

fn parse_at(text: &str, levels: &[Level], wanted: &'static str) -> Result<Path, RequestError> {
    let path = parse(text)?;
    if levels.contains(&path.level()) {
        Ok(path)
    } else {
        Err(RequestError::Level { text: text.to_owned(), wanted })
    }
}

/// The format of values that is named, if one is.
fn value_format(format: &Option<String>) -> Result<Option<ContentFormat>, RequestError> {
    match format.as_deref().map(parse_format).transpose()? {
        Some(ContentFormat::LINK) => Err(RequestError::LinksAreNoValues),
        format => Ok(format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buoy_coap::number::{Code, OptionNumber};
    use buoy_lwm2m::model::Registry;
    use serde_json::json;

    fn value(path: &str, value: serde_json::Value) -> PathValue {
        PathValue { path: path.into(), value, kind: None, at: None }
    }

    fn made(request: &Request) -> Result<Downlink, RequestError> {
        let registry = Registry::standard();
        let target = Target { models: DeviceModels::of_any(&registry), observations: Vec::new() };
        Ok(target.request(request)?.0)
    }

    fn option(request: &Downlink, number: OptionNumber) -> Option<u32> {
        let found = request.options.iter().find(|(other, _)| *other == number)?;
        buoy_coap::wire::parse_uint(&found.1)
    }

    #[test]
    fn what_is_empty_is_written_as_that() {
        let write = |path: &str, values: Vec<PathValue>| {
            let (path, mode) = (path.into(), WriteMode::Replace);
            made(&Request::Write { path, values, mode, format: None })
                .map(|made| made.payload.bytes().to_vec())
        };
        // A multiple resource without instances (TLV, Core 1.1 section 7.4.3).
        assert_eq!(write("/3/0/7", vec![]), Ok(vec![0x80, 7]));
        assert_eq!(write("/3/0/7", vec![value("/3/0/7", json!(null))]), Ok(vec![0x80, 7]));
        assert_eq!(write("/3303/1", vec![]), Ok(vec![]));
        assert_eq!(write("/3303", vec![value("/3303/1", json!(null))]), Ok(vec![0x00, 1]));
        assert!(write("/3303/1", vec![value("/3303/1", json!(5))]).is_err());
        assert!(write("/3/0/7/1", vec![value("/3/0/7/1", json!(null))]).is_err());
        assert!(write("/3303", vec![]).is_err());
    }

    #[test]
    fn a_new_instance_without_an_id_is_said_in_tlv_alone() {
        let create = |instance, values: Vec<PathValue>, format: Option<&str>| {
            let format = format.map(str::to_owned);
            made(&Request::Create { path: "/3303".into(), instance, values, format })
        };
        let unit = || vec![value("5701", json!("C"))];
        assert_eq!(create(None, unit(), None).unwrap().payload.bytes(), [0xe1, 0x16, 0x45, b'C']);
        assert_eq!(create(None, vec![], None).unwrap().payload.bytes(), [0u8; 0]);
        assert_eq!(create(Some(4), vec![], None).unwrap().payload.bytes(), [0x00, 4]);
        assert!(create(Some(4), unit(), Some("SENML_JSON")).is_ok());
        let refused = RequestError::NewInstanceWithoutId { is_named: true };
        assert_eq!(create(None, unit(), Some("SENML_JSON")).unwrap_err(), refused);
    }

    #[test]
    fn paths_are_sent_in_one_format_and_values_answered_in_another() {
        let formats = |path_format: Option<&str>, format: Option<&str>| {
            let (path_format, format) = (path_format.map(str::to_owned), format.map(str::to_owned));
            let request =
                made(&Request::ReadComposite { paths: vec!["/3/0/0".into()], path_format, format }).unwrap();
            assert_eq!(request.code, Code::FETCH);
            let number = |option| u16::try_from(option).map(ContentFormat);
            let sent = option(&request, OptionNumber::CONTENT_FORMAT).map(number);
            let accept = option(&request, OptionNumber::ACCEPT).map(number);
            (sent.unwrap().unwrap(), accept.unwrap().unwrap())
        };
        let (json, cbor) = (ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR);
        assert_eq!(formats(None, None), (cbor, cbor));
        assert_eq!(formats(Some("SENML_JSON"), None), (json, json));
        assert_eq!(formats(None, Some("SENML_JSON")), (json, json));
        assert_eq!(formats(Some("SENML_JSON"), Some("SENML_CBOR")), (json, cbor));
    }

    #[test]
    fn links_are_no_format_of_values() {
        let read = Request::Read { path: "/3".into(), format: Some("LINK".into()) };
        assert_eq!(made(&read).unwrap_err(), RequestError::LinksAreNoValues);
    }
}
