//! Server accounts: the Security object (0) and the Server object (1) (LwM2M Core 1.1, appendices E.1 and E.2).
//!
//! A server account is an instance of each with the same short server id. The engine keeps both, because it acts on them.
//! Servers can see and change object 1; object 0 is for the bootstrap interface alone.

use core::fmt::Write as _;

use buoy_lwm2m::operation::{Binding, LwM2mVersion};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::effects::ServerSlot;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink,
};
use crate::text::{Bytes, Text, TooLong};

/// The most bytes of a server's URI.
pub const URI_MAX: usize = 128;
/// The most bytes of a server's name for SNI.
pub const SERVER_NAME_MAX: usize = 64;
/// The most cipher suites that an account allows.
pub const SUITES_MAX: usize = 4;
/// The most bytes of an identity, a public key or a secret key on a chip: pre-shared and raw public keys.
pub const KEY_MAX: usize = 96;

/// The most bytes of one server in the record of object 1: its place, id, flags, binding, ten numbers and instance. A client has room
/// for as many as it has servers, so that whatever a server writes to its account can be stored.
pub(crate) const RECORD_OF_SERVER_MAX: usize = 1 + 3 + 1 + 17 + 10 * 5 + 3;

/// How to reach a server, and what proves who is who: an instance of object 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Security<const KEY: usize = KEY_MAX> {
    /// The URI, as in `coap://192.0.2.1:5683`.
    pub uri: Text<URI_MAX>,
    /// Which kind of credentials.
    pub mode: SecurityMode,
    /// The identity (PSK), or the device's public key or certificate.
    pub identity: Bytes<KEY>,
    /// The server's public key or certificate.
    pub server_key: Bytes<KEY>,
    /// The secret key.
    pub secret_key: Bytes<KEY>,
    /// The short id of the server; 0 for a bootstrap server.
    pub short_server_id: u16,
    /// Object instance id.
    pub instance: u16,
    /// Seconds to wait before asking the bootstrap server (0/x/11).
    pub hold_off: u32,
    /// Seconds after a bootstrap until the bootstrap server's account goes (0/x/12); 0 is never.
    pub account_timeout: u32,
    /// How the server is to prove itself, beyond its key.
    pub tls: TlsSettings,
}

/// What an account says of the handshake with its server: resources 13 to 16 of object 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// What of the server's certificate is compared (0/x/13): 0 is all of it, 1 its SHA-256.
    pub matching_type: u8,
    /// The name that is asked for, and that the server's certificate must have (0/x/14); empty: the host of the URI.
    pub server_name: Text<SERVER_NAME_MAX>,
    /// What the server's certificate is to the account (0/x/15), 0 to 3: an authority on the way to the device's trust store, a
    /// certificate that leads there, an authority, the server's own.
    pub certificate_usage: u8,
    /// The numbers of the cipher suites to offer (0/x/16); without any the device chooses.
    pub suites: [Option<u16>; SUITES_MAX],
}

impl TlsSettings {
    /// The server has exactly the certificate of the account.
    pub const DEFAULT: Self =
        Self { matching_type: 0, server_name: Text::EMPTY, certificate_usage: 3, suites: [None; SUITES_MAX] };

    /// Allows one more suite; [`TooLong`] if there are as many as there is memory for.
    fn add_suite(&mut self, number: u16) -> Result<(), TooLong> {
        let mut places = self.suites.iter_mut();
        *places.find(|place| place.is_none()).ok_or(TooLong)? = Some(number);
        Ok(())
    }

    fn save(&self, writer: &mut Record<'_>) {
        writer.byte(self.matching_type);
        writer.byte(self.certificate_usage);
        writer.bytes(self.server_name.as_str().as_bytes());
        writer.byte(self.suites.iter().flatten().count() as u8);
        self.suites.iter().flatten().for_each(|number| writer.uint(u64::from(*number)));
    }

    fn load(reader: &mut RecordReader<'_>) -> Option<Self> {
        let mut settings =
            Self { matching_type: reader.byte()?, certificate_usage: reader.byte()?, ..Self::DEFAULT };
        settings.server_name = Text::new(core::str::from_utf8(reader.bytes()?).ok()?).ok()?;
        for _ in 0..reader.byte()? {
            settings.add_suite(u16::try_from(reader.uint()?).ok()?).ok()?;
        }
        Some(settings)
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
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
pub(crate) struct Accounts<const N: usize, const KEY: usize> {
    pub(crate) security: SecurityObject<N, KEY>,
    pub(crate) servers: ServerObject<N>,
}

#[derive(Debug)]
pub(crate) struct SecurityObject<const N: usize, const KEY: usize> {
    pub(crate) bootstrap: Option<Security<KEY>>,
    pub(crate) instances: [Option<Security<KEY>>; N],
}

#[derive(Debug)]
pub(crate) struct ServerObject<const N: usize> {
    pub(crate) instances: [Option<Server>; N],
    /// One for each place of `instances`.
    pub(crate) wishes: [Wish; N],
    /// With which the device registers.
    pub(crate) version: LwM2mVersion,
}

impl<const N: usize, const KEY: usize> Accounts<N, KEY> {
    pub(crate) const fn new(version: LwM2mVersion) -> Self {
        Self {
            security: SecurityObject { bootstrap: None, instances: [None; N] },
            servers: ServerObject { instances: [None; N], wishes: [Wish::Nothing; N], version },
        }
    }

    /// Adds an account or replaces that of the same short server id.
    pub(crate) fn add(&mut self, security: Security<KEY>, server: Server) -> Option<ServerSlot> {
        let id = server.short_server_id;
        let places = self.servers.instances.iter();
        let same = places.clone().position(|place| place.is_some_and(|known| known.short_server_id == id));
        let index = same.or_else(|| self.servers.instances.iter().position(Option::is_none))?;
        let slot = u8::try_from(index).ok()?;
        let instance = self.servers.instances.get(index)?.as_ref().map(|known| known.instance);
        let instance = instance.or_else(|| self.servers.free_instance())?;
        let secured = self.security.instances.get(index)?.as_ref().map(|known| known.instance);
        let secured = secured.or_else(|| self.security.free_instance())?;
        *self.servers.instances.get_mut(index)? = Some(Server { instance, ..server });
        *self.security.instances.get_mut(index)? =
            Some(Security { short_server_id: id, instance: secured, ..security });
        Some(ServerSlot(slot))
    }

    /// Takes stored records in place of the accounts of the factory: both or, with the object whose record is at fault, neither. An
    /// empty record of object 0 is at fault too, since a device without any account is saved by nobody. An account of object 1 without
    /// one of object 0 leads nowhere.
    pub(crate) fn read_records(&mut self, security: &[u8], servers: &[u8]) -> Result<(), u16> {
        let mut read = Self::new(self.servers.version);
        read.security.read_record(security).ok_or(0u16)?;
        read.servers.read_record(servers).ok_or(1u16)?;
        let pairs = read.security.instances.iter().zip(&read.servers.instances);
        let is_whole = pairs.clone().all(|(security, server)| security.is_some() == server.is_some());
        if !is_whole {
            return Err(1);
        }
        (self.security, self.servers.instances) = (read.security, read.servers.instances);
        Ok(())
    }

    /// Puts back what was at a place before an [`Accounts::add`].
    pub(crate) fn put_back(&mut self, slot: ServerSlot, before: Option<(Security<KEY>, Server)>) {
        let index = usize::from(slot.0);
        if let Some(place) = self.security.instances.get_mut(index) {
            *place = before.map(|(security, _)| security);
        }
        if let Some(place) = self.servers.instances.get_mut(index) {
            *place = before.map(|(_, server)| server);
        }
    }

    /// The account of a short server id.
    pub(crate) fn with_id(&self, id: u16) -> Option<(Security<KEY>, Server)> {
        let mut pairs = self.security.instances.iter().zip(&self.servers.instances);
        pairs.find_map(|(security, server)| {
            let server = (*server).filter(|server| server.short_server_id == id)?;
            Some(((*security)?, server))
        })
    }

    /// Whether the record of object 0 can be stored; that of object 1 always can, see [`RECORD_OF_SERVER_MAX`].
    pub(crate) fn fit(&self, scratch: &mut [u8]) -> bool {
        self.security.save(scratch).is_some()
    }

    /// Sets the account of the bootstrap server, in place of the one before.
    pub(crate) fn set_bootstrap(&mut self, security: Security<KEY>) {
        let known = self.security.bootstrap.take().map(|known| known.instance);
        let instance = known.or_else(|| self.security.free_instance()).unwrap_or(u16::MAX.saturating_sub(1));
        self.security.bootstrap = Some(Security { short_server_id: 0, instance, ..security });
    }

    pub(crate) fn server(&self, slot: ServerSlot) -> Option<&Server> {
        self.servers.instances.get(usize::from(slot.0))?.as_ref()
    }

    pub(crate) fn take_wish(&mut self, slot: ServerSlot) -> Wish {
        self.servers.wishes.get_mut(usize::from(slot.0)).map(core::mem::take).unwrap_or_default()
    }

    pub(crate) fn security(&self, slot: ServerSlot) -> Option<&Security<KEY>> {
        self.security.instances.get(usize::from(slot.0))?.as_ref()
    }

    /// How many servers there are besides the bootstrap server.
    pub(crate) fn count(&self) -> usize {
        self.servers.instances.iter().flatten().count()
    }
}

impl<const N: usize, const KEY: usize> SecurityObject<N, KEY> {
    /// Takes what [`SecurityObject::write`] wrote; `None`, and nothing is changed, if it cannot be read whole or holds no account.
    pub(crate) fn read_record(&mut self, record: &[u8]) -> Option<()> {
        let (mut bootstrap, mut instances) = (None, [None; N]);
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            let security = Security::load(u16::from(index), &mut reader)?;
            match index {
                u8::MAX => bootstrap = Some(security),
                _ => *instances.get_mut(usize::from(index))? = Some(security),
            }
        }
        let has_account = bootstrap.is_some() || instances.iter().any(Option::is_some);
        *self = Self { bootstrap, instances };
        has_account.then_some(())
    }

    fn ids(&self) -> impl Iterator<Item = u16> {
        self.instances.iter().chain([&self.bootstrap]).flatten().map(|security| security.instance)
    }

    fn free_instance(&self) -> Option<u16> {
        (0..u16::MAX).find(|id| self.ids().all(|known| known != *id))
    }

    pub(crate) fn write(&self, writer: &mut Record<'_>) {
        for (index, security) in self.instances.iter().enumerate() {
            let Some(security) = security else { continue };
            writer.byte(index as u8);
            security.save(index as u16, writer);
        }
        if let Some(security) = &self.bootstrap {
            writer.byte(u8::MAX);
            security.save(u16::from(u8::MAX), writer);
        }
    }
}

impl<const N: usize> ServerObject<N> {
    /// Takes what [`ServerObject::write`] wrote; `None`, and nothing is changed, if it cannot be read whole.
    pub(crate) fn read_record(&mut self, record: &[u8]) -> Option<()> {
        let mut instances = [None; N];
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            let place = instances.get_mut(usize::from(index))?;
            *place = Some(Server::load(u16::from(index), &mut reader)?);
        }
        self.instances = instances;
        Some(())
    }

    fn free_instance(&self) -> Option<u16> {
        let mut ids = 0..u16::MAX;
        ids.find(|id| self.instances.iter().flatten().all(|known| known.instance != *id))
    }

    pub(crate) fn write(&self, writer: &mut Record<'_>) {
        for (index, server) in self.instances.iter().enumerate() {
            let Some(server) = server else { continue };
            writer.byte(index as u8);
            server.save(index as u16, writer);
        }
    }

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

impl<const N: usize, const KEY: usize> Object for SecurityObject<N, KEY> {
    fn definition(&self) -> &'static ObjectDefinition {
        &SECURITY
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        self.ids().filter(|id| previous.is_none_or(|previous| *id > previous)).min()
    }

    fn read(&self, _: &Clock, _: At, _: &mut Sink<'_>) -> Result<(), Refusal> {
        Err(Refusal::UNAUTHORIZED)
    }

    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        self.write(&mut writer);
        writer.fitting()
    }
}

impl<const KEY: usize> Security<KEY> {
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

    /// The account of a server that has a raw public key, in DER `SubjectPublicKeyInfo` like the device's own; the secret key
    /// is in PKCS#8.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`], or a key of more than `KEY` bytes.
    pub fn raw_public_key(
        uri: &str,
        public: &[u8],
        secret: &[u8],
        server_public: &[u8],
    ) -> Result<Self, TooLong> {
        Ok(Self {
            uri: Text::new(uri)?,
            mode: SecurityMode::RawPublicKey,
            identity: Bytes::new(public)?,
            server_key: Bytes::new(server_public)?,
            secret_key: Bytes::new(secret)?,
            ..Self::default()
        })
    }

    /// The account of a server that has a certificate, which [`TlsSettings`] says how to judge by `server`. The device's own
    /// certificate and those above it are in DER, one after the other.
    ///
    /// # Errors
    /// As [`Security::raw_public_key`].
    pub fn certificate(uri: &str, chain: &[u8], secret: &[u8], server: &[u8]) -> Result<Self, TooLong> {
        Ok(Self { mode: SecurityMode::Certificate, ..Self::raw_public_key(uri, chain, secret, server)? })
    }

    /// An instance with the id of its place needs no mention of it, nor does one without times for a bootstrap or with the usual
    /// handshake.
    fn save(&self, place: u16, writer: &mut Record<'_>) {
        let has_instance = self.instance != place;
        let has_times = self.hold_off != 0 || self.account_timeout != 0;
        writer.uint(u64::from(self.short_server_id));
        let has_tls = self.tls != TlsSettings::DEFAULT;
        let flags = u8::from(has_instance) << 7 | u8::from(has_times) << 6 | u8::from(has_tls) << 5;
        writer.byte(self.mode as u8 | flags);
        if has_instance {
            writer.uint(u64::from(self.instance));
        }
        if has_times {
            writer.uint(u64::from(self.hold_off));
            writer.uint(u64::from(self.account_timeout));
        }
        if has_tls {
            self.tls.save(writer);
        }
        writer.bytes(self.uri.as_str().as_bytes());
        writer.bytes(self.identity.as_slice());
        writer.bytes(self.server_key.as_slice());
        writer.bytes(self.secret_key.as_slice());
    }

    fn load(place: u16, reader: &mut RecordReader<'_>) -> Option<Self> {
        let short_server_id = u16::try_from(reader.uint()?).ok()?;
        let flags = reader.byte()?;
        let mode = SecurityMode::of(i64::from(flags & 0x1f)).unwrap_or(SecurityMode::CertificateEnrolment);
        let mut number = |is_there: bool| if is_there { reader.uint() } else { Some(0) };
        let (has_instance, has_times) = (flags & 0x80 != 0, flags & 0x40 != 0);
        let instance = u16::try_from(number(has_instance)?).ok()?;
        let hold_off = u32::try_from(number(has_times)?).ok()?;
        let account_timeout = u32::try_from(number(has_times)?).ok()?;
        let tls = if flags & 0x20 != 0 { TlsSettings::load(reader)? } else { TlsSettings::DEFAULT };
        Some(Self {
            tls,
            short_server_id,
            instance: if has_instance { instance } else { place },
            hold_off,
            account_timeout,
            mode,
            uri: Text::new(core::str::from_utf8(reader.bytes()?).ok()?).ok()?,
            identity: Bytes::new(reader.bytes()?).ok()?,
            server_key: Bytes::new(reader.bytes()?).ok()?,
            secret_key: Bytes::new(reader.bytes()?).ok()?,
        })
    }
}

impl SecurityMode {
    const fn of(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::PreSharedKey,
            1 => Self::RawPublicKey,
            2 => Self::Certificate,
            3 => Self::NoSecurity,
            4 => Self::CertificateEnrolment,
            _ => return None,
        })
    }
}

/// The types of what a bootstrap server writes to object 0 and this device makes use of; 0/x/1 is for whoever keeps the
/// instance.
pub(crate) const fn security_value_type(resource: u16) -> Option<ValueType> {
    Some(match resource {
        0 => ValueType::String,
        1 => ValueType::Boolean,
        2 | 10..=12 => ValueType::Integer,
        3..=5 => ValueType::Opaque,
        13 | 15 | 16 => ValueType::UnsignedInteger,
        14 => ValueType::String,
        17 => ValueType::ObjectLink,
        _ => return None,
    })
}

impl<const KEY: usize> Security<KEY> {
    /// The same account with another value of one resource.
    pub(crate) fn with(mut self, resource: u16, value: &Value<'_>) -> Result<Self, Refusal> {
        const LONG: Refusal = Refusal::bad_value("the URI or key is longer than this device's memory for it");
        const UNMATCHED: Refusal =
            Refusal::bad_value("this device compares certificates whole (0) or by SHA-256 (1)");
        const UNUSABLE: Refusal = Refusal::bad_value("the certificate usage is 0 to 3");
        match (resource, value) {
            (0, Value::String(uri)) => self.uri = Text::new(uri).map_err(|_| LONG)?,
            (2, Value::Integer(mode)) => {
                self.mode =
                    SecurityMode::of(*mode).ok_or(Refusal::bad_value("the security mode is 0 to 4"))?;
            }
            (3, Value::Opaque(bytes)) => self.identity = Bytes::new(bytes).map_err(|_| LONG)?,
            (4, Value::Opaque(bytes)) => self.server_key = Bytes::new(bytes).map_err(|_| LONG)?,
            (5, Value::Opaque(bytes)) => self.secret_key = Bytes::new(bytes).map_err(|_| LONG)?,
            (10, Value::Integer(id)) => {
                self.short_server_id = u16::try_from(*id).map_err(|_| Refusal::BAD_VALUE)?;
            }
            (11, _) => self.hold_off = seconds(value)?,
            (12, _) => self.account_timeout = seconds(value)?,
            (13, _) => self.tls.matching_type = at_most(value, 1, UNMATCHED)?,
            (14, Value::String(name)) => self.tls.server_name = Text::new(name).map_err(|_| LONG)?,
            (15, _) => self.tls.certificate_usage = at_most(value, 3, UNUSABLE)?,
            (16, _) => {
                let number = u16::try_from(seconds(value)?).map_err(|_| Refusal::BAD_VALUE)?;
                self.tls.add_suite(number).map_err(|_| Refusal::NO_ROOM)?;
            }
            (17, _) => return Err(Refusal::bad_value("this device has no OSCORE")),
            _ => return Err(Refusal::BAD_VALUE),
        }
        Ok(self)
    }
}

/// The types of what a bootstrap server writes to object 1.
pub(crate) fn server_value_type(resource: u16) -> Option<ValueType> {
    let definition = SERVER.resource(resource)?;
    (definition.operations != crate::object::Operations::Execute).then_some(definition.value_type)
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
        self.get(at.instance)?.with(at.resource, value, self.version).map(|_| ())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let version = self.version;
        let server = self.get_mut(at.instance)?;
        *server = server.with(at.resource, value, version)?;
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

    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        self.write(&mut writer);
        writer.fitting()
    }
}

impl Server {
    /// The same account with another value of one resource, as a bootstrap server may set it.
    pub(crate) fn configured(
        mut self,
        resource: u16,
        value: &Value<'_>,
        version: LwM2mVersion,
    ) -> Result<Self, Refusal> {
        match resource {
            0 => {
                let id = seconds(value)?;
                self.short_server_id = u16::try_from(id).map_err(|_| Refusal::BAD_VALUE)?;
            }
            13 => self.priority = Some(seconds(value)?),
            15 => self.failure_blocks = flag(value)?,
            16 => self.bootstrap_on_failure = flag(value)?,
            _ => return self.with(resource, value, version),
        }
        Ok(self)
    }

    /// The same account with another value of one resource, as a server may set it.
    fn with(mut self, resource: u16, value: &Value<'_>, version: LwM2mVersion) -> Result<Self, Refusal> {
        match resource {
            1 => self.lifetime = lifetime(value, version)?,
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

    fn save(&self, place: u16, writer: &mut Record<'_>) {
        let has_instance = self.instance != place;
        let flags = u64::from(self.store_notifications)
            | u64::from(self.failure_blocks) << 1
            | u64::from(self.bootstrap_on_failure) << 2
            | u64::from(self.mute_send) << 3
            | u64::from(self.confirmable_notifications) << 4
            | u64::from(self.priority.is_some()) << 5
            | u64::from(has_instance) << 6;
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
        if has_instance {
            writer.uint(u64::from(self.instance));
        }
    }

    fn load(place: u16, reader: &mut RecordReader<'_>) -> Option<Self> {
        let mut server = Self::new(u16::try_from(reader.uint()?).ok()?, 0);
        server.instance = place;
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
        if flags & 64 != 0 {
            server.instance = u16::try_from(number()?).ok()?;
        }
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

/// A lifetime of 0 is infinite since version 1.2 of object 1. Before, servers refuse it, and the device would be lost to them.
fn lifetime(value: &Value<'_>, version: LwM2mVersion) -> Result<u32, Refusal> {
    match seconds(value)? {
        0 if version < LwM2mVersion::V1_2 => {
            Err(Refusal::bad_value("a lifetime of 0 (infinite) is known since LwM2M 1.2"))
        }
        seconds => Ok(seconds),
    }
}

fn at_most(value: &Value<'_>, most: u8, refusal: Refusal) -> Result<u8, Refusal> {
    u8::try_from(seconds(value)?).ok().filter(|number| *number <= most).ok_or(refusal)
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

    /// Writes a record within the record, with its length in front.
    pub(crate) fn nested(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.length;
        self.byte(0);
        self.byte(0);
        let start = self.length;
        write(self);
        let length = self.length.saturating_sub(start);
        match (u16::try_from(length), self.buffer.get_mut(at..start)) {
            (Ok(length), Some(room)) if room.len() == 2 => room.copy_from_slice(&length.to_be_bytes()),
            _ => self.overflow = true,
        }
    }

    /// How many bytes there are, if they fit.
    pub(crate) fn fitting(self) -> Option<usize> {
        (!self.overflow).then_some(self.length)
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

    /// A record that [`Record::nested`] wrote.
    pub(crate) fn nested(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
        let (bytes, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}
