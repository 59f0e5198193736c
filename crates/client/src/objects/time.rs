//! Time (object 3333): the device's clock, for applications.

use buoy_coap::number::Code;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType, seconds_of};

use super::temperature::application_type;
use crate::effects::Event;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::text::Text;

/// The Time object; it shows and sets the same clock as 3/0/13.
#[derive(Clone, Debug, Default)]
pub struct Time {
    application: Text<32>,
}

static TIME: ObjectDefinition = ObjectDefinition::new(
    3333,
    &[
        Resource::read_write(5506, ValueType::Time),
        Resource::read(5507, ValueType::Float),
        Resource::read_write(5750, ValueType::String),
    ],
);

impl Time {
    /// The clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Object for Time {
    fn definition(&self) -> &'static ObjectDefinition {
        &TIME
    }

    fn read(&self, clock: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            5506 => sink.optional(clock.unix.map(Value::Time)),
            5507 => sink.value(seconds_of(clock.now.as_millis() % 1000)),
            _ => sink.value(self.application.as_str()),
        }
    }

    fn check(&self, at: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        match (at.resource, value) {
            (5506, Value::Time(seconds)) if *seconds >= 0 => Ok(()),
            (5506, _) => Err(refusal!(Code::BAD_REQUEST, "the clock counts the seconds since 1970")),
            (_, value) => application_type(value).map(|_| ()),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        self.check(at, None, value)?;
        match value {
            Value::Time(seconds) => {
                context.set_unix_time(*seconds);
                context.emit(Event::ClockSet(*seconds));
                context.changed(Path::resource(3, 0, 13));
            }
            value => self.application = application_type(value)?,
        }
        context.changed(Path::resource(TIME.id, at.instance, at.resource));
        Ok(())
    }
}
