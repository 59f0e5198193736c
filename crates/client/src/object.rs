//! How objects plug in: what they are, and what the engine asks of them.
//!
//! An [`Object`] answers for all instances of one object id. Its [`ObjectDefinition`] says which resources there are,
//! of which type, and what may be done to them; the engine checks every request against it, so that an object only sees
//! what makes sense. What an object wants of its surroundings goes through a [`Context`].

use buoy_coap::number::Code;
use buoy_coap::time::Instant;
use buoy_lwm2m::operation::ObjectVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::effects::{Effects, Event};

/// An object of the device: all its instances.
///
/// Only [`Object::definition`] and [`Object::read`] have to be there. Resource and instance ids are those of the
/// definition and of [`Object::instance_after`]; the engine asks for no others.
pub trait Object {
    /// What the object is; its resources in ascending order.
    fn definition(&self) -> &'static ObjectDefinition;

    /// The first instance, or the one behind `previous`, in ascending order. Unless said otherwise there is only 0.
    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        previous.is_none().then_some(0)
    }

    /// Whether an instance has a resource of the definition.
    fn has_resource(&self, at: At) -> bool {
        let _ = at;
        true
    }

    /// Puts a resource's value, or the values of its instances in ascending order, into `sink`.
    ///
    /// # Errors
    /// [`Refusal::NOT_FOUND`] if the resource has no value now.
    fn read(&self, clock: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal>;

    /// Whether [`Object::write`] would take a value: a request of several values is carried out only if all pass.
    ///
    /// # Errors
    /// What `write` would say.
    fn check(&self, at: At, resource_instance: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        let _ = (at, resource_instance, value);
        Ok(())
    }

    /// Takes a value of the resource's type.
    ///
    /// # Errors
    /// [`Refusal`]
    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        resource_instance: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let _ = (context, at, resource_instance, value);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// Takes a piece of a value that is too large to be in memory whole; only for [`ResourceDefinition::streamed`].
    /// A piece at offset 0 begins the value anew.
    ///
    /// # Errors
    /// [`Refusal`], which ends the transfer.
    fn write_piece(&mut self, context: &mut Context<'_>, at: At, piece: Piece<'_>) -> Result<(), Refusal> {
        let _ = (context, at, piece);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// Removes what a replacing Write is about to replace, or doesn't name: the instances of a multiple resource, the
    /// value of an optional one.
    fn clear(&mut self, context: &mut Context<'_>, at: At) {
        let _ = (context, at);
    }

    /// Removes one instance of a multiple resource.
    ///
    /// # Errors
    /// [`Refusal`]
    fn remove(&mut self, context: &mut Context<'_>, at: At, resource_instance: u16) -> Result<(), Refusal> {
        let _ = (context, at, resource_instance);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// Does what an executable resource stands for.
    ///
    /// # Errors
    /// [`Refusal`]
    fn execute(&mut self, context: &mut Context<'_>, at: At, arguments: &str) -> Result<(), Refusal> {
        let _ = (context, at, arguments);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// Makes an instance; its values follow by [`Object::write`].
    ///
    /// # Errors
    /// [`Refusal`]
    fn create(&mut self, context: &mut Context<'_>, instance: u16) -> Result<(), Refusal> {
        let _ = (context, instance);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// Removes an instance.
    ///
    /// # Errors
    /// [`Refusal`]
    fn delete(&mut self, context: &mut Context<'_>, instance: u16) -> Result<(), Refusal> {
        let _ = (context, instance);
        Err(Refusal::METHOD_NOT_ALLOWED)
    }

    /// When [`Object::handle_timeout`] is to be called.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due by `context.now()`.
    fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Writes what must survive a reboot into `record` and says how many bytes it is: 0 if there is nothing, `None` if it does not fit.
    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let _ = record;
        Some(0)
    }

    /// Takes what [`Object::save`] wrote before the reboot; what can't be understood is passed over.
    fn load(&mut self, record: &[u8]) {
        let _ = record;
    }
}

/// A resource of an instance of the object that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The object instance.
    pub instance: u16,
    /// The resource.
    pub resource: u16,
}

/// A piece of a value that comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where in the value it belongs.
    pub offset: usize,
    /// What it holds.
    pub bytes: &'a [u8],
    /// The length of the whole value, if the sender said it.
    pub total: Option<usize>,
    /// Whether the value ends here.
    pub is_last: bool,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectDefinition {
    /// The id.
    pub id: u16,
    /// The version of the definition that the object follows.
    pub version: ObjectVersion,
    /// The resources that are there, in ascending order of their ids.
    pub resources: &'static [ResourceDefinition],
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceDefinition {
    /// The id.
    pub id: u16,
    /// The type of its values; [`ValueType::String`] for executable ones, where it means nothing.
    pub value_type: ValueType,
    /// What may be done to it.
    pub operations: Operations,
    /// How many values it has.
    pub arity: Arity,
    /// Whether its value goes to [`Object::write_piece`] as it comes in.
    pub streamed: bool,
}

/// What may be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operations {
    /// R
    Read,
    /// W
    Write,
    /// RW
    ReadWrite,
    /// E
    Execute,
}

/// How many values a resource has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// One.
    Single,
    /// One for each of its resource instances.
    Multiple,
}

impl ObjectDefinition {
    /// An object of version 1.0.
    #[must_use]
    pub const fn new(id: u16, resources: &'static [ResourceDefinition]) -> Self {
        Self { id, version: ObjectVersion::V1_0, resources }
    }

    /// The same object in another version.
    #[must_use]
    pub const fn version(mut self, major: u16, minor: u16) -> Self {
        self.version = ObjectVersion::new(major, minor);
        self
    }

    /// The definition of a resource.
    #[must_use]
    pub fn resource(&self, id: u16) -> Option<&'static ResourceDefinition> {
        self.resources.iter().find(|resource| resource.id == id)
    }
}

impl ResourceDefinition {
    /// R
    #[must_use]
    pub const fn read(id: u16, value_type: ValueType) -> Self {
        Self::new(id, value_type, Operations::Read)
    }

    /// W
    #[must_use]
    pub const fn write(id: u16, value_type: ValueType) -> Self {
        Self::new(id, value_type, Operations::Write)
    }

    /// RW
    #[must_use]
    pub const fn read_write(id: u16, value_type: ValueType) -> Self {
        Self::new(id, value_type, Operations::ReadWrite)
    }

    /// E
    #[must_use]
    pub const fn execute(id: u16) -> Self {
        Self::new(id, ValueType::String, Operations::Execute)
    }

    const fn new(id: u16, value_type: ValueType, operations: Operations) -> Self {
        Self { id, value_type, operations, arity: Arity::Single, streamed: false }
    }

    /// The same with resource instances.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.arity = Arity::Multiple;
        self
    }

    /// The same with a value that comes in pieces.
    #[must_use]
    pub const fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }

    /// Whether it can be read.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        matches!(self.operations, Operations::Read | Operations::ReadWrite)
    }

    /// Whether it can be written.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        matches!(self.operations, Operations::Write | Operations::ReadWrite)
    }

    /// Whether it has resource instances.
    #[must_use]
    pub const fn is_multiple(&self) -> bool {
        matches!(self.arity, Arity::Multiple)
    }
}

/// Why something isn't done. It is a reference to a constant, so that a result with it is a word and fits a register; [`refusal!`] makes
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(&'static Reason);

/// A code for the server, and a few words for its operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Reason {
    /// The response code.
    pub code: Code,
    /// What to tell.
    pub words: &'static str,
}

/// A [`Refusal`] with a code and words that are known when the program is made.
///
/// ```
/// use buoy_client::object::{Refusal, refusal};
/// use buoy_coap::number::Code;
///
/// const TOO_HOT: Refusal = refusal!(Code::BAD_REQUEST, "the boiler takes up to 90 degrees");
/// assert_eq!(TOO_HOT.code(), Code::BAD_REQUEST);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __refusal {
    ($code:expr, $words:expr) => {
        $crate::object::Refusal::new(&$crate::object::Reason { code: $code, words: $crate::__words!($words) })
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(feature = "words")]
macro_rules! __words {
    ($words:expr) => {
        $words
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "words"))]
macro_rules! __words {
    ($words:expr) => {
        ""
    };
}

pub use __refusal as refusal;

impl Refusal {
    /// 4.04
    pub const NOT_FOUND: Self = refusal!(Code::NOT_FOUND, "there is no such thing on this device");
    /// 4.05
    pub const METHOD_NOT_ALLOWED: Self =
        refusal!(Code::METHOD_NOT_ALLOWED, "this can't be done with that part of the device");
    /// 4.01
    pub const UNAUTHORIZED: Self = refusal!(Code::UNAUTHORIZED, "this server has no right to do that");
    /// 4.00
    pub const BAD_VALUE: Self = refusal!(Code::BAD_REQUEST, "the value is not one that can be set");
    /// 5.03
    pub const NO_ROOM: Self = refusal!(Code::SERVICE_UNAVAILABLE, "the device has no memory left for that");

    /// A refusal for this reason.
    #[must_use]
    pub const fn new(reason: &'static Reason) -> Self {
        Self(reason)
    }

    /// The response code.
    #[must_use]
    pub const fn code(self) -> Code {
        self.0.code
    }

    /// What to tell.
    #[must_use]
    pub const fn words(self) -> &'static str {
        self.0.words
    }
}

/// Takes the values of a resource.
pub struct Sink<'a> {
    put: &'a mut dyn FnMut(Option<u16>, &Value<'_>),
}

impl<'a> Sink<'a> {
    /// A sink that hands every value on, with the id of its resource instance.
    pub fn new(put: &'a mut dyn FnMut(Option<u16>, &Value<'_>)) -> Self {
        Self { put }
    }

    /// The value of a single resource.
    ///
    /// # Errors
    /// None: the result lets the call end a match arm.
    pub fn value<'v>(&mut self, value: impl Into<Value<'v>>) -> Result<(), Refusal> {
        (self.put)(None, &value.into());
        Ok(())
    }

    /// The value of a single resource, if it has one.
    ///
    /// # Errors
    /// [`Refusal::NOT_FOUND`] if it has none.
    pub fn optional<'v>(&mut self, value: Option<impl Into<Value<'v>>>) -> Result<(), Refusal> {
        self.value(value.ok_or(Refusal::NOT_FOUND)?)
    }

    /// The value of one resource instance; they come in ascending order.
    ///
    /// # Errors
    /// None: the result lets the call end a match arm.
    pub fn item<'v>(&mut self, resource_instance: u16, value: impl Into<Value<'v>>) -> Result<(), Refusal> {
        (self.put)(Some(resource_instance), &value.into());
        Ok(())
    }
}

/// The time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The shell's time.
    pub now: Instant,
    /// Seconds since 1970-01-01T00:00:00Z, if the device knows them.
    pub unix: Option<i64>,
}

/// What surrounds an object while it works: the time, and a place for what it wants done.
pub struct Context<'a> {
    clock: Clock,
    effects: &'a mut Effects,
}

impl<'a> Context<'a> {
    pub(crate) fn new(clock: Clock, effects: &'a mut Effects) -> Self {
        Self { clock, effects }
    }

    /// The shell's time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.clock.now
    }

    /// The time in both forms.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sets the device's clock.
    pub fn set_unix_time(&mut self, unix: i64) {
        self.clock.unix = Some(unix);
        self.effects.set_clock(self.clock.now, unix);
    }

    /// Says that values at or below `path` have changed, so that observers are told.
    pub fn changed(&mut self, path: Path) {
        self.effects.changed(path);
    }

    /// Says that an instance came or went, so that the servers are told.
    pub fn instances_changed(&mut self, object: u16) {
        self.effects.instances_changed(object);
    }

    /// Asks for [`Object::save`] of an object before the answer to this request leaves.
    pub fn persist(&mut self, object: u16) {
        self.effects.persist(object);
    }

    /// Tells the shell something.
    pub fn emit(&mut self, event: Event) {
        self.effects.emit(event);
    }
}
