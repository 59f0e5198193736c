//! Server accounts: the Security object (0) and the Server object (1) (LwM2M Core 1.1, appendices E.1 and E.2).
//!
//! A server account is an instance of each with the same short server id. The engine keeps both, because it acts on them.
//! Servers can see and change object 1; object 0 is for the bootstrap interface alone.

use core::fmt::Write as _;

use buoy_lwm2m::operation::Binding;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::effects::ServerSlot;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink,
};
use crate::text::{Bytes, Text, TooLong};

/// The most bytes of a server's URI.
pub const URI_MAX: usize = 128;
/// The most bytes of an identity, a public key or a secret key.
pub const KEY_MAX: usize = 96;

/// How to reach a server, and what proves who is who: an instance of object 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// The URI, as in `coap://192.0.2.1:5683`.
    pub uri: Text<URI_MAX>,
    /// Which kind of credentials.
    pub mode: SecurityMode,
    /// The identity (PSK), or the device's public key or certificate.
    pub identity: Bytes<KEY_MAX>,
    /// The server's public key or certificate.
    pub server_key: Bytes<KEY_MAX>,
    /// The secret key.
    pub secret_key: Bytes<KEY_MAX>,
    /// The short id of the server; 0 for a bootstrap server.
    pub short_server_id: u16,
}

/// Which kind of credentials an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityMode {
    /// A shared key.
    PreSharedKey = 0,
    /// Raw public keys.
    RawPublicKey = 1,
    /// Certificates.
    Certificate = 2,
    /// None.
    #[default]
    NoSecurity = 3,
    /// Certificates that the device enrols for.
    CertificateEnrolment = 4,
}

/// What a server wants of the device: an instance of object 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Object instance id.
    pub instance: u16,
    /// The short id of the server, 1 to 65534.
    pub short_server_id: u16,
    /// Lifetime of a registration in seconds; 0 never ends.
    pub lifetime: u32,
    /// `pmin` where none is set, in seconds.
    pub default_pmin: u32,
    /// `pmax` where none is set, in seconds; 0 is none.
    pub default_pmax: u32,
    /// How long the device stays away after Disable, in seconds.
    pub disable_timeout: u32,
    /// Whether notifications are kept while the device is offline.
    pub store_notifications: bool,
    /// The transports to use.
    pub binding: Binding,
    /// Its place in the order of registration; servers without one don't wait for others.
    pub priority: Option<u32>,
    /// Seconds to wait before the first registration.
    pub initial_delay: u32,
    /// Whether servers behind this one in the order wait until it has taken the registration.
    pub failure_blocks: bool,
    /// Whether the device asks to be bootstrapped when this server can't be reached.
    pub bootstrap_on_failure: bool,
    /// Attempts to register in a sequence.
    pub retry_count: u32,
    /// Seconds before the second attempt of a sequence; doubled from attempt to attempt.
    pub retry_timer: u32,
    /// Seconds between sequences.
    pub sequence_delay: u32,
    /// Sequences of attempts.
    pub sequence_retry_count: u32,
    /// Whether Send is forbidden.
    pub mute_send: bool,
    /// Whether notifications are confirmable where `con` isn't set (since 1.2).
    pub confirmable_notifications: bool,
}

/// What a server asked for by Execute, until the engine gets to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    #[default]
    Nothing,
    Update,
    /// For so many seconds.
    Disable(u32),
    Bootstrap,
}

impl Server {
    /// An account with the defaults of the specification.
    #[must_use]
    pub const fn new(short_server_id: u16, lifetime: u32) -> Self {
        Self {
            instance: 0,
            short_server_id,
            lifetime,
            default_pmin: 0,
            default_pmax: 0,
            disable_timeout: 86_400,
            store_notifications: true,
            binding: Binding::UDP,
            priority: None,
            initial_delay: 0,
            failure_blocks: true,
            bootstrap_on_failure: true,
            retry_count: 5,
            retry_timer: 60,
            sequence_delay: 86_400,
            sequence_retry_count: 1,
            mute_send: false,
            confirmable_notifications: false,
        }
    }
}

/// The accounts of a device: at most `N` servers, and one bootstrap server.
#[derive(Debug)]
pub(crate) struct Accounts<const N: usize> {
    pub(crate) security: SecurityObject<N>,
    pub(crate) servers: ServerObject<N>,
}

#[derive(Debug)]
pub(crate) struct SecurityObject<const N: usize> {
    pub(crate) bootstrap: Option<Security>,
    pub(crate) instances: [Option<Security>; N],
}

#[derive(Debug)]
pub(crate) struct ServerObject<const N: usize> {
    pub(crate) instances: [Option<Server>; N],
    /// One for each place of `instances`.
    pub(crate) wishes: [Wish; N],
}

impl<const N: usize> Accounts<N> {
    pub(crate) const fn new() -> Self {
        Self {
            security: SecurityObject { bootstrap: None, instances: [None; N] },
            servers: ServerObject { instances: [None; N], wishes: [Wish::Nothing; N] },
        }
    }

    /// Adds an account or replaces that of the same short server id.
    pub(crate) fn add(&mut self, security: Security, server: Server) -> Option<ServerSlot> {
        let id = server.short_server_id;
        let places = self.servers.instances.iter();
        let same = places.clone().position(|place| place.is_some_and(|known| known.short_server_id == id));
        let index = same.or_else(|| self.servers.instances.iter().position(Option::is_none))?;
        let slot = u8::try_from(index).ok()?;
        *self.servers.instances.get_mut(index)? = Some(Server { instance: u16::from(slot), ..server });
        *self.security.instances.get_mut(index)? = Some(Security { short_server_id: id, ..security });
        Some(ServerSlot(slot))
    }

    pub(crate) fn server(&self, slot: ServerSlot) -> Option<&Server> {
        self.servers.instances.get(usize::from(slot.0))?.as_ref()
    }

    pub(crate) fn take_wish(&mut self, slot: ServerSlot) -> Wish {
        self.servers.wishes.get_mut(usize::from(slot.0)).map(core::mem::take).unwrap_or_default()
    }

    pub(crate) fn security(&self, slot: ServerSlot) -> Option<&Security> {
        self.security.instances.get(usize::from(slot.0))?.as_ref()
    }

    /// How many servers there are besides the bootstrap server.
    pub(crate) fn count(&self) -> usize {
        self.servers.instances.iter().flatten().count()
    }
}

impl<const N: usize> ServerObject<N> {
    fn get(&self, instance: u16) -> Result<&Server, Refusal> {
        let mut servers = self.instances.iter().flatten();
        servers.find(|server| server.instance == instance).ok_or(Refusal::NOT_FOUND)
    }

    fn get_mut(&mut self, instance: u16) -> Result<&mut Server, Refusal> {
        let mut servers = self.instances.iter_mut().flatten();
        servers.find(|server| server.instance == instance).ok_or(Refusal::NOT_FOUND)
    }
}

/// Object 0. Nothing of it can be seen through this trait: servers have no business there, and the engine reads it directly.
static SECURITY: ObjectDefinition = ObjectDefinition::new(0, &[]).version(1, 1);

impl<const N: usize> Object for SecurityObject<N> {
    fn definition(&self) -> &'static ObjectDefinition {
        &SECURITY
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        let from = previous.map_or(0, |id| usize::from(id).saturating_add(1));
        let mut taken = self.instances.iter().enumerate().skip(from).filter(|(_, place)| place.is_some());
        taken.next().and_then(|(index, _)| u16::try_from(index).ok())
    }

    fn read(&self, _: &Clock, _: At, _: &mut Sink<'_>) -> Result<(), Refusal> {
        Err(Refusal::UNAUTHORIZED)
    }

    fn save(&self, record: &mut [u8]) -> usize {
        let mut writer = Record::new(record);
        for (index, security) in self.instances.iter().enumerate() {
            let Some(security) = security else { continue };
            writer.byte(index as u8);
            security.save(&mut writer);
        }
        if let Some(security) = &self.bootstrap {
            writer.byte(u8::MAX);
            security.save(&mut writer);
        }
        writer.finish()
    }

    fn load(&mut self, record: &[u8]) {
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            let Some(security) = Security::load(&mut reader) else { return };
            if index == u8::MAX {
                self.bootstrap = Some(security);
            } else if let Some(place) = self.instances.get_mut(usize::from(index)) {
                *place = Some(security);
            }
        }
    }
}

impl Security {
    /// The account of a server without credentials.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`] bytes.
    pub fn none(uri: &str) -> Result<Self, TooLong> {
        Ok(Self { uri: Text::new(uri)?, ..Self::default() })
    }

    /// The account of a server with a shared key.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`], or an identity or key of more than [`KEY_MAX`] bytes.
    pub fn psk(uri: &str, identity: &[u8], key: &[u8]) -> Result<Self, TooLong> {
        Ok(Self {
            uri: Text::new(uri)?,
            mode: SecurityMode::PreSharedKey,
            identity: Bytes::new(identity)?,
            secret_key: Bytes::new(key)?,
            ..Self::default()
        })
    }

    fn save(&self, writer: &mut Record<'_>) {
        writer.uint(u64::from(self.short_server_id));
        writer.byte(self.mode as u8);
        writer.bytes(self.uri.as_str().as_bytes());
        writer.bytes(self.identity.as_slice());
        writer.bytes(self.server_key.as_slice());
        writer.bytes(self.secret_key.as_slice());
    }

    fn load(reader: &mut RecordReader<'_>) -> Option<Self> {
        let short_server_id = u16::try_from(reader.uint()?).ok()?;
        let mode = match reader.byte()? {
            0 => SecurityMode::PreSharedKey,
            1 => SecurityMode::RawPublicKey,
            2 => SecurityMode::Certificate,
            3 => SecurityMode::NoSecurity,
            _ => SecurityMode::CertificateEnrolment,
        };
        Some(Self {
            short_server_id,
            mode,
            uri: Text::new(core::str::from_utf8(reader.bytes()?).ok()?).ok()?,
            identity: Bytes::new(reader.bytes()?).ok()?,
            server_key: Bytes::new(reader.bytes()?).ok()?,
            secret_key: Bytes::new(reader.bytes()?).ok()?,
        })
    }
}

static SERVER: ObjectDefinition = ObjectDefinition::new(
    1,
    &[
        Resource::read(0, ValueType::Integer),
        Resource::read_write(1, ValueType::Integer),
        Resource::read_write(2, ValueType::Integer),
        Resource::read_write(3, ValueType::Integer),
        Resource::execute(4),
        Resource::read_write(5, ValueType::Integer),
        Resource::read_write(6, ValueType::Boolean),
        Resource::read_write(7, ValueType::String),
        Resource::execute(8),
        Resource::execute(9),
        Resource::read(13, ValueType::UnsignedInteger),
        Resource::read_write(14, ValueType::UnsignedInteger),
        Resource::read(15, ValueType::Boolean),
        Resource::read(16, ValueType::Boolean),
        Resource::read_write(17, ValueType::UnsignedInteger),
        Resource::read_write(18, ValueType::UnsignedInteger),
        Resource::read_write(19, ValueType::UnsignedInteger),
        Resource::read_write(20, ValueType::UnsignedInteger),
        Resource::read_write(23, ValueType::Boolean),
        Resource::read_write(26, ValueType::Integer),
    ],
)
.version(1, 2);

impl<const N: usize> Object for ServerObject<N> {
    fn definition(&self) -> &'static ObjectDefinition {
        &SERVER
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        let ids = self.instances.iter().flatten().map(|server| server.instance);
        ids.filter(|id| previous.is_none_or(|previous| *id > previous)).min()
    }

    fn has_resource(&self, at: At) -> bool {
        at.resource != 13 || self.get(at.instance).is_ok_and(|server| server.priority.is_some())
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let server = self.get(at.instance)?;
        let seconds = |value: u32| Value::Integer(i64::from(value));
        let unsigned = |value: u32| Value::UnsignedInteger(u64::from(value));
        match at.resource {
            0 => sink.value(i64::from(server.short_server_id)),
            1 => sink.value(seconds(server.lifetime)),
            2 => sink.value(seconds(server.default_pmin)),
            3 => sink.value(seconds(server.default_pmax)),
            5 => sink.value(seconds(server.disable_timeout)),
            6 => sink.value(server.store_notifications),
            7 => {
                let mut binding = Text::<16>::EMPTY;
                let _fits = write!(binding, "{}", server.binding);
                sink.value(binding.as_str())
            }
            13 => sink.optional(server.priority.map(unsigned)),
            14 => sink.value(unsigned(server.initial_delay)),
            15 => sink.value(server.failure_blocks),
            16 => sink.value(server.bootstrap_on_failure),
            17 => sink.value(unsigned(server.retry_count)),
            18 => sink.value(unsigned(server.retry_timer)),
            19 => sink.value(unsigned(server.sequence_delay)),
            20 => sink.value(unsigned(server.sequence_retry_count)),
            23 => sink.value(server.mute_send),
            26 => sink.value(i64::from(server.confirmable_notifications)),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, at: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        self.get(at.instance)?.with(at.resource, value).map(|_| ())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let server = self.get_mut(at.instance)?;
        *server = server.with(at.resource, value)?;
        context.changed(Path::resource(SERVER.id, at.instance, at.resource));
        context.persist(SERVER.id);
        Ok(())
    }

    fn execute(&mut self, _: &mut Context<'_>, at: At, arguments: &str) -> Result<(), Refusal> {
        let server = self.get(at.instance)?;
        let wish = match at.resource {
            4 => Wish::Disable(disable_argument(arguments)?.unwrap_or(server.disable_timeout)),
            8 => Wish::Update,
            9 => Wish::Bootstrap,
            _ => return Err(Refusal::METHOD_NOT_ALLOWED),
        };
        let place = self
            .instances
            .iter()
            .position(|place| place.as_ref().is_some_and(|server| server.instance == at.instance));
        if let Some(place) = place.and_then(|index| self.wishes.get_mut(index)) {
            *place = wish;
        }
        Ok(())
    }

    fn save(&self, record: &mut [u8]) -> usize {
        let mut writer = Record::new(record);
        for (index, server) in self.instances.iter().enumerate() {
            let Some(server) = server else { continue };
            writer.byte(index as u8);
            server.save(&mut writer);
        }
        writer.finish()
    }

    fn load(&mut self, record: &[u8]) {
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            let Some(server) = Server::load(&mut reader) else { return };
            if let Some(place) = self.instances.get_mut(usize::from(index)) {
                *place = Some(Server { instance: u16::from(index), ..server });
            }
        }
    }
}

impl Server {
    /// The same account with another value of one resource.
    fn with(mut self, resource: u16, value: &Value<'_>) -> Result<Self, Refusal> {
        match resource {
            1 => self.lifetime = seconds(value)?,
            2 => self.default_pmin = seconds(value)?,
            3 => self.default_pmax = seconds(value)?,
            5 => self.disable_timeout = seconds(value)?,
            6 => self.store_notifications = flag(value)?,
            7 => self.binding = binding(value)?,
            14 => self.initial_delay = seconds(value)?,
            17 => self.retry_count = seconds(value)?,
            18 => self.retry_timer = seconds(value)?,
            19 => self.sequence_delay = seconds(value)?,
            20 => self.sequence_retry_count = seconds(value)?,
            23 => self.mute_send = flag(value)?,
            26 => {
                self.confirmable_notifications = match seconds(value)? {
                    0 => false,
                    1 => true,
                    _ => return Err(Refusal::bad_value("the notification mode is 0 or 1")),
                }
            }
            _ => return Err(Refusal::METHOD_NOT_ALLOWED),
        }
        Ok(self)
    }

    fn save(&self, writer: &mut Record<'_>) {
        let flags = u64::from(self.store_notifications)
            | u64::from(self.failure_blocks) << 1
            | u64::from(self.bootstrap_on_failure) << 2
            | u64::from(self.mute_send) << 3
            | u64::from(self.confirmable_notifications) << 4
            | u64::from(self.priority.is_some()) << 5;
        let mut binding = Text::<16>::EMPTY;
        let _fits = write!(binding, "{}", self.binding);
        writer.uint(u64::from(self.short_server_id));
        writer.uint(flags);
        writer.bytes(binding.as_str().as_bytes());
        let numbers = [
            self.lifetime,
            self.default_pmin,
            self.default_pmax,
            self.disable_timeout,
            self.priority.unwrap_or(0),
            self.initial_delay,
            self.retry_count,
            self.retry_timer,
            self.sequence_delay,
            self.sequence_retry_count,
        ];
        numbers.iter().for_each(|number| writer.uint(u64::from(*number)));
    }

    fn load(reader: &mut RecordReader<'_>) -> Option<Self> {
        let mut server = Self::new(u16::try_from(reader.uint()?).ok()?, 0);
        let flags = reader.uint()?;
        server.binding = core::str::from_utf8(reader.bytes()?).ok()?.parse().ok()?;
        server.store_notifications = flags & 1 != 0;
        server.failure_blocks = flags & 2 != 0;
        server.bootstrap_on_failure = flags & 4 != 0;
        server.mute_send = flags & 8 != 0;
        server.confirmable_notifications = flags & 16 != 0;
        let mut number = || u32::try_from(reader.uint()?).ok();
        server.lifetime = number()?;
        server.default_pmin = number()?;
        server.default_pmax = number()?;
        server.disable_timeout = number()?;
        let priority = number()?;
        server.priority = (flags & 32 != 0).then_some(priority);
        server.initial_delay = number()?;
        server.retry_count = number()?;
        server.retry_timer = number()?;
        server.sequence_delay = number()?;
        server.sequence_retry_count = number()?;
        Some(server)
    }
}

fn seconds(value: &Value<'_>) -> Result<u32, Refusal> {
    let number = match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::UnsignedInteger(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or(Refusal::bad_value("the number is negative or too large"))
}

pub(crate) fn flag(value: &Value<'_>) -> Result<bool, Refusal> {
    match value {
        Value::Boolean(flag) => Ok(*flag),
        _ => Err(Refusal::BAD_VALUE),
    }
}

fn binding(value: &Value<'_>) -> Result<Binding, Refusal> {
    let text = if let Value::String(text) = value { *text } else { "" };
    let binding =
        text.parse().map_err(|_| Refusal::bad_value("a binding is made of letters such as U and UQ"))?;
    if Binding::contains(binding, buoy_lwm2m::operation::Transport::Udp) {
        Ok(binding)
    } else {
        Err(Refusal::bad_value("this device only has UDP"))
    }
}

/// The argument of Disable since 1.2: `0='3600'`.
fn disable_argument(arguments: &str) -> Result<Option<u32>, Refusal> {
    const WRONG: Refusal = Refusal::bad_value("the argument of Disable is 0 with seconds, as in 0='60'");
    let list = buoy_lwm2m::operation::Arguments::parse(arguments).map_err(|_| WRONG)?;
    let Some(argument) = list.iter().next() else { return Ok(None) };
    let seconds = argument.value.filter(|_| argument.digit == 0).and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or(WRONG)
}

/// Writes a stored record: bytes, numbers of variable length, and bytes with their length in front.
pub(crate) struct Record<'a> {
    buffer: &'a mut [u8],
    length: usize,
    overflow: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0, overflow: false }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        match self.buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length = self.length.saturating_add(1);
            }
            None => self.overflow = true,
        }
    }

    pub(crate) fn uint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// How many bytes there are; none if they didn't fit.
    pub(crate) fn finish(self) -> usize {
        if self.overflow { 0 } else { self.length }
    }
}

/// Reads a stored record.
pub(crate) struct RecordReader<'a>(pub(crate) &'a [u8]);

impl<'a> RecordReader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}
