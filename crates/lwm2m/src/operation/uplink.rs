//! What a device asks of a server: registration, data that it sends unasked, and bootstrap (Core 1.2, sections 6.1, 6.2, 6.4).

use super::list::List;
use super::options::{Options, Received};
use super::{BadRequest, Binding, Content, Location, LwM2mVersion, Operation, ShortText};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};

/// A request from a device to a server or bootstrap server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink<'a> {
    /// The device appears.
    Register(Register<'a>),
    /// It is still there, perhaps changed.
    Update(Update<'a>),
    /// It goes.
    Deregister {
        /// The registration.
        location: Location<'a>,
    },
    /// Values that nobody asked for (since 1.1).
    Send {
        /// The values, with whole paths.
        content: Content<'a>,
    },
    /// The device wants to be configured.
    BootstrapRequest {
        /// Its name; it may be left out if DTLS proves it (since 1.1).
        endpoint: Option<ShortText<'a>>,
        /// The format in which it likes its configuration best (since 1.1).
        preferred_format: Option<ContentFormat>,
    },
    /// The device wants its whole configuration in one answer (since 1.2).
    BootstrapPackRequest {
        /// Its name; it may be left out if DTLS proves it.
        endpoint: Option<ShortText<'a>>,
        /// In which format.
        accept: Option<ContentFormat>,
    },
}

/// What a device says of itself when it appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register<'a> {
    /// `ep`; it may be left out if DTLS proves the name (since 1.1).
    pub endpoint: Option<ShortText<'a>>,
    /// `lt`, in seconds; a day if it isn't said.
    pub lifetime: Option<u32>,
    /// `lwm2m`
    pub version: LwM2mVersion,
    /// `b`; UDP if it isn't said.
    pub binding: Option<Binding>,
    /// `Q`: the device sleeps, so requests are kept for it. LwM2M 1.0 says so in its binding.
    pub queue: bool,
    /// `sms`: a telephone number.
    pub sms: Option<ShortText<'a>>,
    /// Whatever else the device says.
    pub extra: ExtraAttributes<'a>,
    /// Its objects; see [`ObjectLinks`](crate::link::ObjectLinks).
    pub objects: &'a [u8],
}

/// What has changed since a device registered; nothing may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The registration.
    pub location: Location<'a>,
    /// `lt`, in seconds.
    pub lifetime: Option<u32>,
    /// `b`
    pub binding: Option<Binding>,
    /// `sms`
    pub sms: Option<ShortText<'a>>,
    /// Whatever else the device says.
    pub extra: ExtraAttributes<'a>,
    /// The whole new list of objects.
    pub objects: Option<&'a [u8]>,
}

/// Queries of a registration that the specification doesn't know, as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraAttributes<'a>(List<&'a str, { ExtraAttributes::MAX }>);

impl<'a> ExtraAttributes<'a> {
    /// So many at most.
    pub const MAX: usize = 8;

    /// The same with one more, as in `"site=north"`; `None` if there are [`ExtraAttributes::MAX`] already, or if it is
    /// longer than the 255 bytes of an option.
    #[must_use]
    pub fn with(mut self, query: &'a str) -> Option<Self> {
        if query.len() > 255 {
            return None;
        }
        self.0.push(query).ok()?;
        Some(self)
    }

    /// Name and value of each; the value is empty if there is none.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.0.iter().map(|query| query.split_once('=').unwrap_or((query, "")))
    }

    fn take(&mut self, query: &'a str) -> Result<(), BadRequest> {
        Ok(self.0.push(query)?)
    }
}

impl<'a> Register<'a> {
    /// A registration over UDP of a device that never sleeps.
    #[must_use]
    pub fn new(endpoint: ShortText<'a>, lifetime: u32, version: LwM2mVersion, objects: &'a [u8]) -> Self {
        Self {
            endpoint: Some(endpoint),
            lifetime: Some(lifetime),
            version,
            binding: None,
            queue: false,
            sms: None,
            extra: ExtraAttributes::default(),
            objects,
        }
    }

    /// Whether requests have to be kept while the device sleeps, however its version says so.
    #[must_use]
    pub fn is_queue_mode(&self) -> bool {
        self.queue || self.binding.is_some_and(Binding::has_queue_flag)
    }

    fn each_option(&self, options: &mut Options<'_>) {
        options.text(OptionNumber::URI_PATH, "rd");
        options.format(OptionNumber::CONTENT_FORMAT, Some(ContentFormat::LINK));
        options.query_text("ep", self.endpoint);
        options.query_whole("lt", self.lifetime);
        options.query_version(self.version);
        options.query_binding(self.binding);
        if self.queue {
            options.query_raw("Q");
        }
        options.query_text("sms", self.sms);
        self.extra.0.iter().for_each(|query| options.query_raw(query));
    }
}

impl<'a> Update<'a> {
    /// An update that only says that the device is there.
    #[must_use]
    pub fn new(location: Location<'a>) -> Self {
        Self {
            location,
            lifetime: None,
            binding: None,
            sms: None,
            extra: ExtraAttributes::default(),
            objects: None,
        }
    }

    fn each_option(&self, options: &mut Options<'_>) {
        options.location(OptionNumber::URI_PATH, &self.location);
        options.format(OptionNumber::CONTENT_FORMAT, self.objects.map(|_| ContentFormat::LINK));
        options.query_whole("lt", self.lifetime);
        options.query_binding(self.binding);
        options.query_text("sms", self.sms);
        self.extra.0.iter().for_each(|query| options.query_raw(query));
    }
}

impl<'a> Uplink<'a> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Register(_) => Operation::Register,
            Self::Update(_) => Operation::Update,
            Self::Deregister { .. } => Operation::Deregister,
            Self::Send { .. } => Operation::Send,
            Self::BootstrapRequest { .. } => Operation::BootstrapRequest,
            Self::BootstrapPackRequest { .. } => Operation::BootstrapPackRequest,
        }
    }

    /// The method.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Register(_) | Self::Update(_) | Self::Send { .. } | Self::BootstrapRequest { .. } => {
                Code::POST
            }
            Self::Deregister { .. } => Code::DELETE,
            Self::BootstrapPackRequest { .. } => Code::GET,
        }
    }

    /// Hands out the options, in ascending order of their numbers.
    pub fn each_option(&self, each: &mut dyn FnMut(OptionNumber, &[u8])) {
        let options = &mut Options::new(each);
        match self {
            Self::Register(register) => register.each_option(options),
            Self::Update(update) => update.each_option(options),
            Self::Deregister { location } => options.location(OptionNumber::URI_PATH, location),
            Self::Send { content } => {
                options.text(OptionNumber::URI_PATH, "dp");
                options.format(OptionNumber::CONTENT_FORMAT, Some(content.format));
            }
            Self::BootstrapRequest { endpoint, preferred_format } => {
                options.text(OptionNumber::URI_PATH, "bs");
                options.query_text("ep", *endpoint);
                options.query_whole("pct", preferred_format.map(|format| format.0.into()));
            }
            Self::BootstrapPackRequest { endpoint, accept } => {
                options.text(OptionNumber::URI_PATH, "bspack");
                options.query_text("ep", *endpoint);
                options.format(OptionNumber::ACCEPT, *accept);
            }
        }
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        match self {
            Self::Register(register) => register.objects,
            Self::Update(Update { objects: Some(objects), .. }) => objects,
            Self::Send { content } => content.payload,
            _ => &[],
        }
    }

    /// Reads a request, on the server.
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
        match received.segments.as_slice() {
            [b"rd", ..] => parse_registration(code, &received, payload),
            [b"dp"] if code == Code::POST => parse_send(&received, payload),
            [b"bs"] if code == Code::POST => parse_bootstrap(&received),
            [b"bspack"] if code == Code::GET => {
                let endpoint = Queries::parse(&received)?.endpoint;
                Ok(Self::BootstrapPackRequest { endpoint, accept: received.accept })
            }
            [b"dp" | b"bs" | b"bspack"] => Err(BadRequest::MethodNotAllowed),
            _ => Err(BadRequest::NotFound),
        }
    }
}

/// The queries of a registration, sorted.
#[derive(Default)]
struct Queries<'a> {
    endpoint: Option<ShortText<'a>>,
    lifetime: Option<u32>,
    version: Option<LwM2mVersion>,
    binding: Option<Binding>,
    queue: Option<()>,
    sms: Option<ShortText<'a>>,
    preferred_format: Option<ContentFormat>,
    extra: ExtraAttributes<'a>,
}

impl<'a> Queries<'a> {
    fn parse(received: &Received<'a>) -> Result<Self, BadRequest> {
        let mut queries = Self::default();
        received.queries.iter().try_for_each(|query| queries.take(query))?;
        Ok(queries)
    }

    fn take(&mut self, query: &'a str) -> Result<(), BadRequest> {
        match query.split_once('=').unwrap_or((query, "")) {
            ("ep", value) => set_once("ep", &mut self.endpoint, ShortText::new(value)),
            ("lt", value) => set_once("lt", &mut self.lifetime, digits(value)),
            ("lwm2m", value) => {
                let version = value.parse().map_err(|_| BadRequest::UnsupportedVersion)?;
                set_once("lwm2m", &mut self.version, Some(version))
            }
            ("b", value) => set_once("b", &mut self.binding, value.parse().ok()),
            ("Q", "") => set_once("Q", &mut self.queue, Some(())),
            ("sms", value) => set_once("sms", &mut self.sms, ShortText::new(value)),
            ("pct", value) => {
                let format = digits(value).and_then(|number| number.try_into().ok()).map(ContentFormat);
                set_once("pct", &mut self.preferred_format, format)
            }
            _ => self.extra.take(query),
        }
    }
}

fn set_once<T>(name: &'static str, field: &mut Option<T>, value: Option<T>) -> Result<(), BadRequest> {
    let value = value.ok_or(BadRequest::PeerSentBadParameter(name))?;
    if field.replace(value).is_some() { Err(BadRequest::PeerSentTwice(name)) } else { Ok(()) }
}

fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_registration<'a>(
    code: Code,
    received: &Received<'a>,
    payload: &'a [u8],
) -> Result<Uplink<'a>, BadRequest> {
    let is_new = received.segments.as_slice().len() == 1;
    match code {
        Code::POST if is_new => parse_register(received, payload),
        Code::POST => parse_update(received, payload),
        Code::DELETE if !is_new => {
            Ok(Uplink::Deregister { location: Location::from_options(received.segments.as_slice())? })
        }
        _ => Err(BadRequest::MethodNotAllowed),
    }
}

fn parse_register<'a>(received: &Received<'a>, payload: &'a [u8]) -> Result<Uplink<'a>, BadRequest> {
    check_links(received)?;
    let queries = Queries::parse(received)?;
    Ok(Uplink::Register(Register {
        endpoint: queries.endpoint,
        lifetime: queries.lifetime,
        version: queries.version.ok_or(BadRequest::PeerSentNoParameter("lwm2m"))?,
        binding: queries.binding,
        queue: queries.queue.is_some(),
        sms: queries.sms,
        extra: queries.extra,
        objects: payload,
    }))
}

fn parse_update<'a>(received: &Received<'a>, payload: &'a [u8]) -> Result<Uplink<'a>, BadRequest> {
    check_links(received)?;
    let queries = Queries::parse(received)?;
    Ok(Uplink::Update(Update {
        location: Location::from_options(received.segments.as_slice())?,
        lifetime: queries.lifetime,
        binding: queries.binding,
        sms: queries.sms,
        extra: queries.extra,
        objects: (!payload.is_empty()).then_some(payload),
    }))
}

/// Old devices leave the format out, and some libraries write their default, which is text; a payload that says another one is refused.
fn check_links(received: &Received<'_>) -> Result<(), BadRequest> {
    match received.content_format {
        None | Some(ContentFormat::LINK | ContentFormat::TEXT) => Ok(()),
        Some(format) => Err(BadRequest::UnsupportedContentFormat(format)),
    }
}

fn parse_send<'a>(received: &Received<'a>, payload: &'a [u8]) -> Result<Uplink<'a>, BadRequest> {
    let content = received.content(payload)?;
    match content.format {
        ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR | ContentFormat::LWM2M_CBOR => {
            Ok(Uplink::Send { content })
        }
        format => Err(BadRequest::UnsupportedContentFormat(format)),
    }
}

fn parse_bootstrap<'a>(received: &Received<'a>) -> Result<Uplink<'a>, BadRequest> {
    let queries = Queries::parse(received)?;
    Ok(Uplink::BootstrapRequest { endpoint: queries.endpoint, preferred_format: queries.preferred_format })
}
