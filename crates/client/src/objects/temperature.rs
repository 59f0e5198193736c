//! Temperature (object 3303): sensors that keep their lowest and highest value.

use buoy_coap::number::Code;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::text::Text;

/// `N` temperature sensors, numbered from 0.
#[derive(Clone, Debug)]
pub struct Temperature<const N: usize = 1> {
    sensors: [Sensor; N],
    range: Option<(f64, f64)>,
    application: [Text<32>; N],
}

#[derive(Clone, Copy, Debug)]
struct Sensor {
    value: f64,
    lowest: f64,
    highest: f64,
}

static TEMPERATURE: ObjectDefinition = ObjectDefinition::new(
    3303,
    &[
        Resource::read(5601, ValueType::Float),
        Resource::read(5602, ValueType::Float),
        Resource::read(5603, ValueType::Float),
        Resource::read(5604, ValueType::Float),
        Resource::execute(5605),
        Resource::read(5700, ValueType::Float),
        Resource::read(5701, ValueType::String),
        Resource::read_write(5750, ValueType::String),
    ],
)
// Since then there is an application type.
.version(1, 1);

impl<const N: usize> Temperature<N> {
    /// Sensors that measure `celsius` now, and can measure what lies in `range`.
    #[must_use]
    pub const fn new(celsius: f64, range: Option<(f64, f64)>) -> Self {
        let sensor = Sensor { value: celsius, lowest: celsius, highest: celsius };
        Self { sensors: [sensor; N], range, application: [Text::EMPTY; N] }
    }

    /// Takes a measurement, in degrees Celsius.
    pub fn set(&mut self, context: &mut Context<'_>, instance: u16, celsius: f64) {
        let Some(sensor) = self.sensors.get_mut(usize::from(instance)) else { return };
        sensor.value = celsius;
        context.changed(Path::resource(TEMPERATURE.id, instance, 5700));
        if celsius < sensor.lowest {
            sensor.lowest = celsius;
            context.changed(Path::resource(TEMPERATURE.id, instance, 5601));
        }
        if celsius > sensor.highest {
            sensor.highest = celsius;
            context.changed(Path::resource(TEMPERATURE.id, instance, 5602));
        }
    }

    /// The last measurement.
    #[must_use]
    pub fn value(&self, instance: u16) -> Option<f64> {
        Some(self.sensors.get(usize::from(instance))?.value)
    }
}

impl<const N: usize> Object for Temperature<N> {
    fn definition(&self) -> &'static ObjectDefinition {
        &TEMPERATURE
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        next_of(N, previous)
    }

    fn has_resource(&self, at: At) -> bool {
        !matches!(at.resource, 5603 | 5604) || self.range.is_some()
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let index = usize::from(at.instance);
        let sensor = self.sensors.get(index).ok_or(Refusal::NOT_FOUND)?;
        match at.resource {
            5601 => sink.value(sensor.lowest),
            5602 => sink.value(sensor.highest),
            5603 => sink.optional(self.range.map(|(lowest, _)| lowest)),
            5604 => sink.optional(self.range.map(|(_, highest)| highest)),
            5700 => sink.value(sensor.value),
            5701 => sink.value("Cel"),
            5750 => sink.optional(self.application.get(index).map(Text::as_str)),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, _: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        application_type(value).map(|_| ())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let place = self.application.get_mut(usize::from(at.instance)).ok_or(Refusal::NOT_FOUND)?;
        *place = application_type(value)?;
        context.changed(Path::resource(TEMPERATURE.id, at.instance, at.resource));
        Ok(())
    }

    fn execute(&mut self, context: &mut Context<'_>, at: At, _: &str) -> Result<(), Refusal> {
        let sensor = self.sensors.get_mut(usize::from(at.instance)).ok_or(Refusal::NOT_FOUND)?;
        sensor.lowest = sensor.value;
        sensor.highest = sensor.value;
        context.changed(Path::resource(TEMPERATURE.id, at.instance, 5601));
        context.changed(Path::resource(TEMPERATURE.id, at.instance, 5602));
        Ok(())
    }
}

/// The first of `count` instances, or the one behind `previous`.
pub(super) fn next_of(count: usize, previous: Option<u16>) -> Option<u16> {
    let next = previous.map_or(Some(0), |previous| previous.checked_add(1))?;
    (usize::from(next) < count).then_some(next)
}

pub(super) fn application_type(value: &Value<'_>) -> Result<Text<32>, Refusal> {
    match value {
        Value::String(text) => Text::new(text)
            .map_err(|_| refusal!(Code::BAD_REQUEST, "an application type has at most 32 bytes")),
        _ => Err(Refusal::BAD_VALUE),
    }
}
