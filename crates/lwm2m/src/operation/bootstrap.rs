//! What a bootstrap server asks of a device (Core 1.2, section 6.1.7).

use super::options::{Options, Received};
use super::{BadRequest, Content, Operation};
use crate::path::{Level, Path};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};

/// A request from a bootstrap server to a device.
///
/// ```
/// use buoy_coap::number::{Code, OptionNumber};
/// use buoy_lwm2m::operation::BootstrapDownlink;
///
/// let finish = BootstrapDownlink::parse(Code::POST, [(OptionNumber::URI_PATH, &b"bs"[..])], b"")?;
/// assert_eq!(finish, BootstrapDownlink::Finish);
/// # Ok::<(), buoy_lwm2m::operation::BadRequest>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapDownlink<'a> {
    /// Which objects and instances are there.
    Discover {
        /// The root or an object.
        path: Path,
    },
    /// What a server account or access control holds (since 1.1).
    Read {
        /// Object 1 or 2, or an instance of it.
        path: Path,
        /// In which format.
        accept: Option<ContentFormat>,
    },
    /// New values, whatever was there before.
    Write {
        /// An object, instance or resource.
        path: Path,
        /// The values.
        content: Content<'a>,
    },
    /// Instances less.
    Delete {
        /// The root, an object or an instance.
        path: Path,
    },
    /// The configuration is whole.
    Finish,
}

impl<'a> BootstrapDownlink<'a> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Discover { .. } => Operation::BootstrapDiscover,
            Self::Read { .. } => Operation::BootstrapRead,
            Self::Write { .. } => Operation::BootstrapWrite,
            Self::Delete { .. } => Operation::BootstrapDelete,
            Self::Finish => Operation::BootstrapFinish,
        }
    }

    /// The method.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Discover { .. } | Self::Read { .. } => Code::GET,
            Self::Write { .. } => Code::PUT,
            Self::Delete { .. } => Code::DELETE,
            Self::Finish => Code::POST,
        }
    }

    /// Hands out the options, in ascending order of their numbers.
    pub fn each_option(&self, each: &mut dyn FnMut(OptionNumber, &[u8])) {
        let options = &mut Options::new(each);
        match self {
            Self::Discover { path } => {
                options.path(OptionNumber::URI_PATH, *path);
                options.format(OptionNumber::ACCEPT, Some(ContentFormat::LINK));
            }
            Self::Read { path, accept } => {
                options.path(OptionNumber::URI_PATH, *path);
                options.format(OptionNumber::ACCEPT, *accept);
            }
            Self::Write { path, content } => {
                options.path(OptionNumber::URI_PATH, *path);
                options.format(OptionNumber::CONTENT_FORMAT, Some(content.format));
            }
            Self::Delete { path } => options.path(OptionNumber::URI_PATH, *path),
            Self::Finish => options.text(OptionNumber::URI_PATH, "bs"),
        }
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        match self {
            Self::Write { content, .. } => content.payload,
            _ => &[],
        }
    }

    /// Reads a request, on the device.
    ///
    /// # Errors
    /// [`BadRequest`], which knows the code to answer with.
    pub fn parse(
        code: Code,
        options: impl IntoIterator<Item = (OptionNumber, &'a [u8])>,
        payload: &'a [u8],
    ) -> Result<Self, BadRequest> {
        let mut received = Received::default();
        received.collect(options)?;
        if received.is_at("bs") {
            return if code == Code::POST { Ok(Self::Finish) } else { Err(BadRequest::MethodNotAllowed) };
        }
        let path = received.path()?;
        let level = path.level();
        match code {
            Code::GET if received.accept == Some(ContentFormat::LINK) && level <= Level::Object => {
                Ok(Self::Discover { path })
            }
            Code::GET if is_readable(path) => Ok(Self::Read { path, accept: received.accept }),
            Code::PUT if (Level::Object..=Level::Resource).contains(&level) => {
                Ok(Self::Write { path, content: received.content(payload)? })
            }
            Code::DELETE if level <= Level::ObjectInstance => Ok(Self::Delete { path }),
            _ => Err(BadRequest::MethodNotAllowed),
        }
    }
}

/// A bootstrap server may read accounts and access control, and no more (Core 1.1, section 6.1.7.3).
fn is_readable(path: Path) -> bool {
    matches!(path.object_id(), Some(1 | 2)) && path.level() <= Level::ObjectInstance
}
