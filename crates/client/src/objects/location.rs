//! Location (object 6): where the device is.

use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink,
};

/// The Location object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Location {
    fix: Fix,
    at: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fix {
    latitude: f64,
    longitude: f64,
    altitude: Option<f64>,
    radius: Option<f64>,
    speed: Option<f64>,
}

static LOCATION: ObjectDefinition = ObjectDefinition::new(
    6,
    &[
        Resource::read(0, ValueType::Float),
        Resource::read(1, ValueType::Float),
        Resource::read(2, ValueType::Float),
        Resource::read(3, ValueType::Float),
        Resource::read(5, ValueType::Time),
        Resource::read(6, ValueType::Float),
    ],
);

impl Location {
    /// A device at these degrees of latitude and longitude.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Self {
        Self { fix: Fix { latitude, longitude, ..Fix::default() }, at: None }
    }

    /// The same with an altitude, a radius of uncertainty (both in metres) and a speed (in metres a second).
    #[must_use]
    pub fn with(mut self, altitude: Option<f64>, radius: Option<f64>, speed: Option<f64>) -> Self {
        self.fix = Fix { altitude, radius, speed, ..self.fix };
        self
    }

    /// Takes a new position, in degrees.
    pub fn set(&mut self, context: &mut Context<'_>, latitude: f64, longitude: f64) {
        self.fix = Fix { latitude, longitude, ..self.fix };
        self.at = context.clock().unix;
        context.changed(Path::instance(LOCATION.id, 0));
    }
}

impl Object for Location {
    fn definition(&self) -> &'static ObjectDefinition {
        &LOCATION
    }

    fn has_resource(&self, at: At) -> bool {
        match at.resource {
            2 => self.fix.altitude.is_some(),
            3 => self.fix.radius.is_some(),
            6 => self.fix.speed.is_some(),
            _ => true,
        }
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            0 => sink.value(self.fix.latitude),
            1 => sink.value(self.fix.longitude),
            2 => sink.optional(self.fix.altitude),
            3 => sink.optional(self.fix.radius),
            5 => sink.value(Value::Time(self.at.unwrap_or(0))),
            6 => sink.optional(self.fix.speed),
            _ => Err(Refusal::NOT_FOUND),
        }
    }
}
