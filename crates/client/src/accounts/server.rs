//! What a server wants of the device: the Server object (1) (LwM2M Core 1.1, appendix E.2).

use buoy_coap::number::Code;
use buoy_lwm2m::operation::{Binding, LwM2mVersion};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use super::{flag, seconds};
use crate::features::BOOTSTRAP;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::record::{Record, RecordReader};
use crate::shape::{Array, Shape};

/// The most bytes of one server in the record of object 1: its place, id, flags, binding, ten numbers and instance. A client has room
/// for as many as it has servers, so that whatever a server writes to its account can be stored.
pub(crate) const RECORD_OF_SERVER_MAX: usize = 1 + 3 + 1 + 17 + 10 * 5 + 3;

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

#[derive(Clone, Copy)]
pub(crate) struct ServerObject<S: Shape> {
    pub(crate) instances: Array<Option<Server>, S::Servers>,
    /// One for each place of `instances`.
    pub(crate) wishes: Array<Wish, S::Servers>,
    /// With which the device registers.
    pub(crate) version: LwM2mVersion,
}

impl<S: Shape> ServerObject<S> {
    /// Takes what [`write_servers`] wrote; `None`, and nothing is changed, if it cannot be read whole.
    pub(crate) fn read_record(&mut self, record: &[u8]) -> Option<()> {
        let mut instances = Array::repeat(None);
        read_servers(record, &mut instances)?;
        self.instances = instances;
        Some(())
    }

    pub(super) fn free_instance(&self) -> Option<u16> {
        let mut ids = 0..u16::MAX;
        ids.find(|id| self.instances.iter().flatten().all(|known| known.instance != *id))
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

/// Writes accounts with their places.
pub(crate) fn write_servers(servers: &[Option<Server>], writer: &mut Record<'_>) {
    for (index, server) in servers.iter().enumerate() {
        let Some(server) = server else { continue };
        writer.byte(index as u8);
        server.save(index as u16, writer);
    }
}

/// Puts what [`write_servers`] wrote into its places; `None` if it cannot be read whole.
pub(crate) fn read_servers(record: &[u8], servers: &mut [Option<Server>]) -> Option<()> {
    let mut reader = RecordReader(record);
    while let Some(index) = reader.byte() {
        *servers.get_mut(usize::from(index))? = Some(Server::load(u16::from(index), &mut reader)?);
    }
    Some(())
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

impl<S: Shape> Object for ServerObject<S> {
    fn definition(&self) -> &'static ObjectDefinition {
        &SERVER
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        let ids = self.instances.iter().flatten().map(|server| server.instance);
        ids.filter(|id| previous.is_none_or(|previous| *id > previous)).min()
    }

    fn has_resource(&self, at: At) -> bool {
        match at.resource {
            9 => BOOTSTRAP,
            13 => self.get(at.instance).is_ok_and(|server| server.priority.is_some()),
            _ => true,
        }
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
            7 => sink.value(server.binding.written(&mut [0; 7])),
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
        let mut changed = *self.get(at.instance)?;
        changed.set(at.resource, value, self.version)
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
        server.set(at.resource, value, version)?;
        context.changed(Path::resource(SERVER.id, at.instance, at.resource));
        context.persist(SERVER.id);
        Ok(())
    }

    fn execute(&mut self, _: &mut Context<'_>, at: At, arguments: &str) -> Result<(), Refusal> {
        let server = self.get(at.instance)?;
        let wish = match at.resource {
            4 => Wish::Disable(disable_argument(arguments)?.unwrap_or(server.disable_timeout)),
            8 => Wish::Update,
            9 if BOOTSTRAP => Wish::Bootstrap,
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
        write_servers(&self.instances, &mut writer);
        writer.fitting()
    }
}

impl Server {
    /// Sets one resource, as a bootstrap server may.
    pub(crate) fn configure(
        &mut self,
        resource: u16,
        value: &Value<'_>,
        version: LwM2mVersion,
    ) -> Result<(), Refusal> {
        match resource {
            0 => {
                let id = seconds(value)?;
                self.short_server_id = u16::try_from(id).map_err(|_| Refusal::BAD_VALUE)?;
            }
            13 => self.priority = Some(seconds(value)?),
            15 => self.failure_blocks = flag(value)?,
            16 => self.bootstrap_on_failure = flag(value)?,
            _ => return self.set(resource, value, version),
        }
        Ok(())
    }

    /// Sets one resource, as a server may; with a refusal nothing.
    fn set(&mut self, resource: u16, value: &Value<'_>, version: LwM2mVersion) -> Result<(), Refusal> {
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
                    _ => return Err(refusal!(Code::BAD_REQUEST, "the notification mode is 0 or 1")),
                }
            }
            _ => return Err(Refusal::METHOD_NOT_ALLOWED),
        }
        Ok(())
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
        writer.uint(u64::from(self.short_server_id));
        writer.uint(flags);
        writer.bytes(self.binding.written(&mut [0; 7]).as_bytes());
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

/// The types of what a bootstrap server writes to object 1.
pub(crate) fn server_value_type(resource: u16) -> Option<ValueType> {
    let definition = SERVER.resource(resource)?;
    (definition.operations != crate::object::Operations::Execute).then_some(definition.value_type)
}

/// A lifetime of 0 is infinite since version 1.2 of object 1. Before, servers refuse it, and the device would be lost to them.
fn lifetime(value: &Value<'_>, version: LwM2mVersion) -> Result<u32, Refusal> {
    match seconds(value)? {
        0 if version < LwM2mVersion::V1_2 => {
            Err(refusal!(Code::BAD_REQUEST, "a lifetime of 0 (infinite) is known since LwM2M 1.2"))
        }
        seconds => Ok(seconds),
    }
}

fn binding(value: &Value<'_>) -> Result<Binding, Refusal> {
    let text = if let Value::String(text) = value { *text } else { "" };
    let binding = text
        .parse()
        .map_err(|_| refusal!(Code::BAD_REQUEST, "a binding is made of letters such as U and UQ"))?;
    if Binding::contains(binding, buoy_lwm2m::operation::Transport::Udp) {
        Ok(binding)
    } else {
        Err(refusal!(Code::BAD_REQUEST, "this device only has UDP"))
    }
}

/// The argument of Disable since 1.2: `0='3600'`.
fn disable_argument(arguments: &str) -> Result<Option<u32>, Refusal> {
    const WRONG: Refusal =
        refusal!(Code::BAD_REQUEST, "the argument of Disable is 0 with seconds, as in 0='60'");
    let list = buoy_lwm2m::operation::Arguments::parse(arguments).map_err(|_| WRONG)?;
    let Some(argument) = list.iter().next() else { return Ok(None) };
    let seconds = argument.value.filter(|_| argument.digit == 0).and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or(WRONG)
}
