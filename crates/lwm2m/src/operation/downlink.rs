//! What a server asks of a device: the interfaces Device Management and Information Reporting (Core 1.2, sections 6.3, 6.4).

use super::options::{Options, Received, utf8};
use super::{BadRequest, Content, Operation};
use crate::attributes::{AttributeUpdate, Attributes};
use crate::path::{Level, Path};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};

/// A request from a server to a device.
///
/// ```
/// use buoy_coap::number::{Code, OptionNumber};
/// use buoy_lwm2m::operation::Downlink;
/// use buoy_lwm2m::path::Path;
///
/// let options = [(OptionNumber::URI_PATH, &b"3"[..]), (OptionNumber::URI_PATH, b"0"), (OptionNumber::URI_PATH, b"4")];
/// let request = Downlink::parse(Code::POST, options, b"")?;
/// assert_eq!(request, Downlink::Execute { path: Path::resource(3, 0, 4), arguments: "" });
/// # Ok::<(), buoy_lwm2m::operation::BadRequest>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Downlink<'a> {
    /// Which objects, instances, resources and attributes are there.
    Discover {
        /// An object, instance or resource.
        path: Path,
        /// How many levels below the path to list (since 1.2).
        depth: Option<u8>,
    },
    /// What values are there.
    Read {
        /// An object, instance, resource or resource instance.
        path: Path,
        /// In which format.
        accept: Option<ContentFormat>,
    },
    /// What values are at several paths (since 1.1).
    ReadComposite {
        /// The paths; see [`decode_paths`](crate::format::decode_paths).
        paths: Content<'a>,
        /// In which format.
        accept: Option<ContentFormat>,
    },
    /// New values.
    Write {
        /// An instance, resource or resource instance.
        path: Path,
        /// What happens to values that the payload doesn't name.
        mode: WriteMode,
        /// The values.
        content: Content<'a>,
    },
    /// New values at several paths (since 1.1).
    WriteComposite {
        /// The values.
        content: Content<'a>,
    },
    /// When to notify.
    WriteAttributes {
        /// An object, instance, resource or resource instance.
        path: Path,
        /// What to set and unset.
        update: AttributeUpdate,
    },
    /// Something to do.
    Execute {
        /// A resource.
        path: Path,
        /// The arguments as sent; [`Arguments::parse`](super::Arguments::parse) reads the form of the specification.
        arguments: &'a str,
    },
    /// A new object instance.
    Create {
        /// An object.
        path: Path,
        /// The instance; see [`created_instance`](crate::format::created_instance).
        content: Content<'a>,
    },
    /// One object instance less, or one resource instance (since 1.2).
    Delete {
        /// An object instance or resource instance.
        path: Path,
    },
    /// A read, and notifications from then on.
    Observe {
        /// An object, instance, resource or resource instance.
        path: Path,
        /// In which format.
        accept: Option<ContentFormat>,
        /// When to notify, for this observation alone (since 1.2).
        attributes: Attributes,
    },
    /// No more notifications: a read with the Observe option 1.
    CancelObserve {
        /// As in the observation.
        path: Path,
        /// In which format.
        accept: Option<ContentFormat>,
    },
    /// A read of several paths, and notifications from then on (since 1.1).
    ObserveComposite {
        /// The paths.
        paths: Content<'a>,
        /// In which format.
        accept: Option<ContentFormat>,
        /// When to notify, for this observation alone (since 1.2).
        attributes: Attributes,
    },
    /// No more notifications of several paths (since 1.1).
    CancelObserveComposite {
        /// As in the observation.
        paths: Content<'a>,
        /// In which format.
        accept: Option<ContentFormat>,
    },
}

/// What a Write does to values that its payload doesn't name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// Removes them (PUT).
    Replace,
    /// Keeps them (POST).
    PartialUpdate,
}

/// The values of the Observe option in a request (RFC 7641).
const OBSERVE: u32 = 0;
const CANCEL: u32 = 1;

impl<'a> Downlink<'a> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Discover { .. } => Operation::Discover,
            Self::Read { .. } => Operation::Read,
            Self::ReadComposite { .. } => Operation::ReadComposite,
            Self::Write { .. } => Operation::Write,
            Self::WriteComposite { .. } => Operation::WriteComposite,
            Self::WriteAttributes { .. } => Operation::WriteAttributes,
            Self::Execute { .. } => Operation::Execute,
            Self::Create { .. } => Operation::Create,
            Self::Delete { .. } => Operation::Delete,
            Self::Observe { .. } | Self::CancelObserve { .. } => Operation::Observe,
            Self::ObserveComposite { .. } | Self::CancelObserveComposite { .. } => {
                Operation::ObserveComposite
            }
        }
    }

    /// The path that the request names; [`Path::ROOT`] for composite operations.
    #[must_use]
    pub const fn path(&self) -> Path {
        match self {
            Self::Discover { path, .. }
            | Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::WriteAttributes { path, .. }
            | Self::Execute { path, .. }
            | Self::Create { path, .. }
            | Self::Delete { path }
            | Self::Observe { path, .. }
            | Self::CancelObserve { path, .. } => *path,
            Self::ReadComposite { .. }
            | Self::WriteComposite { .. }
            | Self::ObserveComposite { .. }
            | Self::CancelObserveComposite { .. } => Path::ROOT,
        }
    }

    /// The method.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Discover { .. } | Self::Read { .. } | Self::Observe { .. } | Self::CancelObserve { .. } => {
                Code::GET
            }
            Self::ReadComposite { .. }
            | Self::ObserveComposite { .. }
            | Self::CancelObserveComposite { .. } => Code::FETCH,
            Self::Write { mode: WriteMode::Replace, .. } | Self::WriteAttributes { .. } => Code::PUT,
            Self::Write { mode: WriteMode::PartialUpdate, .. }
            | Self::Execute { .. }
            | Self::Create { .. } => Code::POST,
            Self::WriteComposite { .. } => Code::IPATCH,
            Self::Delete { .. } => Code::DELETE,
        }
    }

    /// Hands out the options, in ascending order of their numbers.
    pub fn each_option(&self, each: &mut dyn FnMut(OptionNumber, &[u8])) {
        self.each_option_under("/", each);
    }

    /// Hands out the options, for a device that has put its objects under another root than `/`.
    pub fn each_option_under(&self, root: &str, each: &mut dyn FnMut(OptionNumber, &[u8])) {
        let options = &mut Options::new(each);
        options.uint(OptionNumber::OBSERVE, self.observe());
        options.segments(root);
        options.path(OptionNumber::URI_PATH, self.path());
        options.format(OptionNumber::CONTENT_FORMAT, self.content_format());
        match self {
            Self::Discover { depth, .. } => options.query_whole("depth", depth.map(u32::from)),
            Self::WriteAttributes { update, .. } => options.attributes(update),
            Self::Observe { attributes, .. } | Self::ObserveComposite { attributes, .. } => {
                options.attributes(&AttributeUpdate::setting(attributes));
            }
            _ => {}
        }
        options.format(OptionNumber::ACCEPT, self.accept());
    }

    const fn observe(&self) -> Option<u32> {
        match self {
            Self::Observe { .. } | Self::ObserveComposite { .. } => Some(OBSERVE),
            Self::CancelObserve { .. } | Self::CancelObserveComposite { .. } => Some(CANCEL),
            _ => None,
        }
    }

    const fn content_format(&self) -> Option<ContentFormat> {
        match self {
            Self::ReadComposite { paths, .. }
            | Self::ObserveComposite { paths, .. }
            | Self::CancelObserveComposite { paths, .. } => Some(paths.format),
            Self::Write { content, .. } | Self::WriteComposite { content } | Self::Create { content, .. } => {
                Some(content.format)
            }
            Self::Execute { arguments, .. } if !arguments.is_empty() => Some(ContentFormat::TEXT),
            _ => None,
        }
    }

    const fn accept(&self) -> Option<ContentFormat> {
        match self {
            Self::Discover { .. } => Some(ContentFormat::LINK),
            Self::Read { accept, .. }
            | Self::ReadComposite { accept, .. }
            | Self::Observe { accept, .. }
            | Self::CancelObserve { accept, .. }
            | Self::ObserveComposite { accept, .. }
            | Self::CancelObserveComposite { accept, .. } => *accept,
            _ => None,
        }
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        match self {
            Self::ReadComposite { paths, .. }
            | Self::ObserveComposite { paths, .. }
            | Self::CancelObserveComposite { paths, .. } => paths.payload,
            Self::Write { content, .. } | Self::WriteComposite { content } | Self::Create { content, .. } => {
                content.payload
            }
            Self::Execute { arguments, .. } => arguments.as_bytes(),
            _ => &[],
        }
    }

    /// Reads a request, on the device.
    ///
    /// # Errors
    /// [`BadRequest`], which knows the code to answer with. The root can't be read, written or deleted: that is for
    /// [`BootstrapDownlink`](super::BootstrapDownlink).
    pub fn parse(
        code: Code,
        options: impl IntoIterator<Item = (OptionNumber, &'a [u8])>,
        payload: &'a [u8],
    ) -> Result<Self, BadRequest> {
        let mut received = Received::default();
        received.collect(options)?;
        let path = received.path()?;
        let is_composite = matches!(code, Code::FETCH | Code::IPATCH);
        if is_composite != (path == Path::ROOT) {
            return Err(BadRequest::MethodNotAllowed);
        }
        match code {
            Code::GET => parse_get(path, &received),
            Code::FETCH => parse_fetch(&received, payload),
            Code::IPATCH => Ok(Self::WriteComposite { content: received.content(payload)? }),
            Code::PUT => parse_put(path, &received, payload),
            Code::POST => parse_post(path, &received, payload),
            Code::DELETE if matches!(path.level(), Level::ObjectInstance | Level::ResourceInstance) => {
                Ok(Self::Delete { path })
            }
            _ => Err(BadRequest::MethodNotAllowed),
        }
    }
}

fn parse_get<'a>(path: Path, received: &Received<'a>) -> Result<Downlink<'a>, BadRequest> {
    let accept = received.accept;
    match received.observe {
        Some(OBSERVE) => {
            Ok(Downlink::Observe { path, accept, attributes: Attributes::parse(received.queries.iter())? })
        }
        Some(CANCEL) => Ok(Downlink::CancelObserve { path, accept }),
        _ if accept == Some(ContentFormat::LINK) => parse_discover(path, received),
        _ => Ok(Downlink::Read { path, accept }),
    }
}

fn parse_discover<'a>(path: Path, received: &Received<'a>) -> Result<Downlink<'a>, BadRequest> {
    if path.level() == Level::ResourceInstance {
        return Err(BadRequest::MethodNotAllowed);
    }
    let depth = received.queries.iter().find_map(|query| query.strip_prefix("depth="));
    let depth = depth.map(|depth| depth.parse().map_err(|_| BadRequest::PeerSentBadParameter("depth")));
    Ok(Downlink::Discover { path, depth: depth.transpose()? })
}

fn parse_fetch<'a>(received: &Received<'a>, payload: &'a [u8]) -> Result<Downlink<'a>, BadRequest> {
    let paths = received.content(payload)?;
    let accept = received.accept;
    match received.observe {
        Some(OBSERVE) => {
            let attributes = Attributes::parse(received.queries.iter())?;
            Ok(Downlink::ObserveComposite { paths, accept, attributes })
        }
        Some(CANCEL) => Ok(Downlink::CancelObserveComposite { paths, accept }),
        _ => Ok(Downlink::ReadComposite { paths, accept }),
    }
}

/// A PUT without payload is Write-Attributes, unless it says how its empty payload is written: an empty text.
fn parse_put<'a>(path: Path, received: &Received<'a>, payload: &'a [u8]) -> Result<Downlink<'a>, BadRequest> {
    if payload.is_empty() && received.content_format.is_none() {
        let update = AttributeUpdate::parse(received.queries.iter())?;
        update.check_level(path.level(), None)?;
        return Ok(Downlink::WriteAttributes { path, update });
    }
    if path.level() < Level::ObjectInstance {
        return Err(BadRequest::MethodNotAllowed);
    }
    Ok(Downlink::Write { path, mode: WriteMode::Replace, content: received.content(payload)? })
}

/// A POST means Create, Write or Execute by its level; at a resource the format decides, because the partial update of a
/// multiple resource can't be plain text.
fn parse_post<'a>(
    path: Path,
    received: &Received<'a>,
    payload: &'a [u8],
) -> Result<Downlink<'a>, BadRequest> {
    let is_text = matches!(received.content_format, None | Some(ContentFormat::TEXT));
    match path.level() {
        Level::Object if payload.is_empty() => {
            let format = received.content_format.unwrap_or(ContentFormat::TLV);
            Ok(Downlink::Create { path, content: Content { format, payload } })
        }
        Level::Object => Ok(Downlink::Create { path, content: received.content(payload)? }),
        Level::Resource if is_text => Ok(Downlink::Execute { path, arguments: utf8(payload)? }),
        Level::ObjectInstance | Level::Resource => {
            Ok(Downlink::Write { path, mode: WriteMode::PartialUpdate, content: received.content(payload)? })
        }
        Level::Root | Level::ResourceInstance => Err(BadRequest::MethodNotAllowed),
    }
}
