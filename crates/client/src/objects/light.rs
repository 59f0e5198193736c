//! Light Control (object 3311): lamps that are switched and dimmed, and count the time that they are on.

use buoy_coap::number::Code;
use buoy_coap::time::Instant;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use super::temperature::{application_type, next_of};
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::record::{Record, RecordReader};
use crate::text::Text;

/// `N` lamps, numbered from 0. The shell looks at [`LightControl::level`] after each call into the client.
#[derive(Clone, Debug)]
pub struct LightControl<const N: usize = 1> {
    lamps: [Lamp; N],
}

#[derive(Clone, Copy, Debug)]
struct Lamp {
    /// Since when it is on.
    on_since: Option<Instant>,
    /// How long it was on before that.
    /// Milliseconds, without those since it is on.
    on_time: u64,
    dimmer: u8,
    application: Text<32>,
}

static LIGHT: ObjectDefinition = ObjectDefinition::new(
    3311,
    &[
        Resource::read_write(5750, ValueType::String),
        Resource::read_write(5850, ValueType::Boolean),
        Resource::read_write(5851, ValueType::Integer),
        Resource::read_write(5852, ValueType::Integer),
    ],
);

impl<const N: usize> Default for LightControl<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> LightControl<N> {
    /// Lamps that are off, with the dimmer wide open.
    #[must_use]
    pub const fn new() -> Self {
        let lamp = Lamp { on_since: None, on_time: 0, dimmer: 100, application: Text::EMPTY };
        Self { lamps: [lamp; N] }
    }

    /// How bright a lamp is, in per cent; 0 if it is off.
    #[must_use]
    pub fn level(&self, instance: u16) -> Option<u8> {
        let lamp = self.lamps.get(usize::from(instance))?;
        Some(if lamp.on_since.is_some() { lamp.dimmer } else { 0 })
    }

    /// Switches a lamp, as its own button does.
    pub fn switch(&mut self, context: &mut Context<'_>, instance: u16, on: bool) {
        let now = context.now();
        if let Some(lamp) = self.lamps.get_mut(usize::from(instance)) {
            lamp.switch(now, on);
            context.changed(Path::resource(LIGHT.id, instance, 5850));
            context.persist(LIGHT.id);
        }
    }
}

impl Lamp {
    fn switch(&mut self, now: Instant, on: bool) {
        match (self.on_since, on) {
            (Some(since), false) => {
                self.on_time = self.on_time.saturating_add(now.millis_since(since));
                self.on_since = None;
            }
            (None, true) => self.on_since = Some(now),
            _ => {}
        }
    }

    fn on_time(&self, now: Instant) -> u64 {
        let current = self.on_since.map_or(0, |since| now.millis_since(since));
        self.on_time.saturating_add(current)
    }
}

impl<const N: usize> Object for LightControl<N> {
    fn definition(&self) -> &'static ObjectDefinition {
        &LIGHT
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        next_of(N, previous)
    }

    fn read(&self, clock: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let lamp = self.lamps.get(usize::from(at.instance)).ok_or(Refusal::NOT_FOUND)?;
        match at.resource {
            5750 => sink.value(lamp.application.as_str()),
            5850 => sink.value(lamp.on_since.is_some()),
            5851 => sink.value(i64::from(lamp.dimmer)),
            5852 => sink.value((lamp.on_time(clock.now) / 1000) as i64),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, at: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        match (at.resource, value) {
            (5851, Value::Integer(0..=100)) => Ok(()),
            (5851, _) => Err(refusal!(Code::BAD_REQUEST, "a dimmer goes from 0 to 100")),
            (5852, Value::Integer(0)) => Ok(()),
            (5852, _) => {
                Err(refusal!(Code::BAD_REQUEST, "the time that a light was on can only be set to 0"))
            }
            (5750, value) => application_type(value).map(|_| ()),
            _ => Ok(()),
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
        let now = context.now();
        let lamp = self.lamps.get_mut(usize::from(at.instance)).ok_or(Refusal::NOT_FOUND)?;
        match (at.resource, value) {
            (5750, value) => lamp.application = application_type(value)?,
            (5850, Value::Boolean(on)) => lamp.switch(now, *on),
            (5851, Value::Integer(level)) => lamp.dimmer = u8::try_from(*level).unwrap_or(100),
            (5852, _) => {
                lamp.on_time = 0;
                lamp.on_since = lamp.on_since.map(|_| now);
            }
            _ => return Err(Refusal::BAD_VALUE),
        }
        context.changed(Path::resource(LIGHT.id, at.instance, at.resource));
        context.persist(LIGHT.id);
        Ok(())
    }

    /// Keeps the dimmers and the application types; whether a lamp is on is not for a reboot to decide, so it is off.
    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        for lamp in &self.lamps {
            writer.byte(lamp.dimmer);
            writer.bytes(lamp.application.as_str().as_bytes());
        }
        writer.fitting()
    }

    fn load(&mut self, record: &[u8]) {
        let mut reader = RecordReader(record);
        for lamp in &mut self.lamps {
            let (Some(dimmer), Some(application)) = (reader.byte(), reader.bytes()) else { return };
            lamp.dimmer = dimmer.min(100);
            lamp.application = Text::clipped(core::str::from_utf8(application).unwrap_or_default());
        }
    }
}
