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
    /// Its observations.
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
                self.once(&Typed::Read { path: parse(path)?, accept: accept(format)? })
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
                    Typed::Observe { path, accept: accept(format)?, attributes: Attributes::default() };
                let intent = Intent::Observe { paths: Arc::from([path]), composite: false };
                Ok((self.send(&typed), intent))
            }
            Request::CancelObserve { path } => {
                let path = parse(path)?;
                let intent = self.observed(&[path], false)?;
                Ok((self.send(&Typed::CancelObserve { path, accept: None }), intent))
            }
            Request::ReadComposite { paths, format } => {
                let (format, payload, _) = composite(paths, format)?;
                let paths = Content { format, payload: &payload };
                self.once(&Typed::ReadComposite { paths, accept: Some(format) })
            }
            Request::WriteComposite { values, format } => {
                let format = accept(format)?.unwrap_or(ContentFormat::SENML_CBOR);
                let values = values::parse(Path::ROOT, values, &self.models)?;
                let payload = encode(format, Path::ROOT, &values)?;
                self.once(&Typed::WriteComposite { content: Content { format, payload: &payload } })
            }
            Request::ObserveComposite { paths, format } => {
                let (format, payload, paths) = composite(paths, format)?;
                let content = Content { format, payload: &payload };
                let attributes = Attributes::default();
                let typed = Typed::ObserveComposite { paths: content, accept: Some(format), attributes };
                Ok((self.send(&typed), Intent::Observe { paths: paths.into(), composite: true }))
            }
            Request::CancelObserveComposite { paths } => {
                let (format, payload, paths) = composite(paths, &None)?;
                let intent = self.observed(&paths, true)?;
                let content = Content { format, payload: &payload };
                let typed = Typed::CancelObserveComposite { paths: content, accept: Some(format) };
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
        let values = values::parse(path, values, &self.models)?;
        let format = accept(format)?.unwrap_or_else(|| self.models.preferred_format());
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
        let values: Vec<PathValue> = values
            .iter()
            .map(|value| PathValue {
                path: format!("{new}/{}", value.path.trim_start_matches('/')),
                ..value.clone()
            })
            .collect();
        let values = values::parse(new, &values, &self.models)?;
        let format = accept(format)?.unwrap_or_else(|| self.models.preferred_format());
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

fn composite(
    paths: &[String],
    format: &Option<String>,
) -> Result<(ContentFormat, Vec<u8>, Vec<Path>), RequestError> {
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(RequestError::PathCount(paths.len()));
    }
    let paths: Vec<Path> = paths.iter().map(|path| parse(path)).collect::<Result<_, _>>()?;
    let format = accept(format)?.unwrap_or(ContentFormat::SENML_CBOR);
    let payload = encode_paths(format, &paths)?;
    Ok((format, payload, paths))
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

fn accept(format: &Option<String>) -> Result<Option<ContentFormat>, RequestError> {
    Ok(format.as_deref().map(parse_format).transpose()?)
}
