//! Objects of a device in tests.

use std::collections::BTreeMap;

use buoy_client::firmware::{FirmwareTarget, FirmwareUpdate, Outcome, Package, UpdateResult};
use buoy_client::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink,
};
use buoy_client::objects::{Device, LightControl, Temperature};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

/// What a device has besides its server accounts.
pub struct Objects {
    /// 3
    pub device: Device,
    /// 3303
    pub temperature: Temperature<2>,
    /// 3311
    pub light: LightControl<1>,
    /// 5, which fetches by CoAP.
    pub firmware: Option<FirmwareUpdate<Shelf>>,
    /// 19
    pub container: Option<Container>,
    /// 32769
    pub counter: Option<Counter>,
}

impl Default for Objects {
    /// A Device, two temperatures and a light.
    fn default() -> Self {
        Self {
            device: Device::new("Buoy", "Mark 1", "0001", "1.0.0"),
            temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
            light: LightControl::new(),
            firmware: None,
            container: None,
            counter: None,
        }
    }
}

impl Objects {
    /// Does something with the list of objects that the engine asks for.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut [&mut dyn Object]) -> T) -> T {
        let mut list: Vec<&mut dyn Object> = vec![&mut self.device, &mut self.temperature, &mut self.light];
        list.extend(self.firmware.as_mut().map(|object| object as &mut dyn Object));
        list.extend(self.container.as_mut().map(|object| object as &mut dyn Object));
        list.extend(self.counter.as_mut().map(|object| object as &mut dyn Object));
        act(&mut list)
    }
}

/// BinaryAppDataContainer (object 19): instances that servers make and remove, with large values.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// The data (resource 0) and the description (resource 3) by instance.
    pub instances: BTreeMap<u16, (BTreeMap<u16, Vec<u8>>, String)>,
    /// How often a server has written.
    pub writes: u32,
}

static CONTAINER: ObjectDefinition = ObjectDefinition::new(
    19,
    &[Resource::read_write(0, ValueType::Opaque).multiple(), Resource::read_write(3, ValueType::String)],
);

impl Object for Container {
    fn definition(&self) -> &'static ObjectDefinition {
        &CONTAINER
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        self.instances.keys().copied().find(|id| previous.is_none_or(|previous| *id > previous))
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let (data, description) = self.instances.get(&at.instance).ok_or(Refusal::NOT_FOUND)?;
        match at.resource {
            0 => data.iter().try_for_each(|(id, bytes)| sink.item(*id, Value::Opaque(bytes))),
            _ => sink.value(Value::String(description)),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        resource_instance: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let (data, description) = self.instances.get_mut(&at.instance).ok_or(Refusal::NOT_FOUND)?;
        match (value, resource_instance) {
            (Value::Opaque(bytes), Some(id)) => drop(data.insert(id, bytes.to_vec())),
            (Value::String(text), None) => *description = (*text).to_owned(),
            _ => return Err(Refusal::BAD_VALUE),
        }
        self.writes += 1;
        context.changed(Path::resource(CONTAINER.id, at.instance, at.resource));
        Ok(())
    }

    fn clear(&mut self, _: &mut Context<'_>, at: At) {
        if let Some((data, description)) = self.instances.get_mut(&at.instance) {
            match at.resource {
                0 => data.clear(),
                _ => description.clear(),
            }
        }
    }

    fn create(&mut self, _: &mut Context<'_>, instance: u16) -> Result<(), Refusal> {
        self.instances.insert(instance, Default::default());
        Ok(())
    }

    fn delete(&mut self, _: &mut Context<'_>, instance: u16) -> Result<(), Refusal> {
        self.instances.remove(&instance).map(|_| ()).ok_or(Refusal::NOT_FOUND)
    }
}

/// An object of a vendor's that counts how often resource 0 was executed; resource 1 tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// How often.
    pub executed: u32,
}

static COUNTER: ObjectDefinition =
    ObjectDefinition::new(32769, &[Resource::execute(0), Resource::read(1, ValueType::Integer)]);

impl Object for Counter {
    fn definition(&self) -> &'static ObjectDefinition {
        &COUNTER
    }

    fn read(&self, _: &Clock, _: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        sink.value(i64::from(self.executed))
    }

    fn execute(&mut self, context: &mut Context<'_>, at: At, _: &str) -> Result<(), Refusal> {
        self.executed += 1;
        context.changed(Path::resource(COUNTER.id, at.instance, 1));
        Ok(())
    }
}

/// Where packages are put that nobody installs.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// What has come of the package.
    pub package: Vec<u8>,
    /// Whether it is whole.
    pub is_whole: bool,
    /// Why the update before was rolled back, if it was.
    pub rolled_back: Option<&'static str>,
}

impl FirmwareTarget for Shelf {
    fn begin(&mut self, _: &Package<'_>) -> Result<(), UpdateResult> {
        *self = Self::default();
        Ok(())
    }

    fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UpdateResult> {
        if offset as usize != self.package.len() {
            return Err(UpdateResult::IntegrityCheckFailed);
        }
        self.package.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), UpdateResult> {
        self.is_whole = true;
        Ok(())
    }

    fn activate(&mut self) -> Result<(), UpdateResult> {
        if self.is_whole { Ok(()) } else { Err(UpdateResult::UpdateFailed) }
    }

    fn abort(&mut self) {
        *self = Self::default();
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.rolled_back.map(|_| Outcome::Failed(UpdateResult::UpdateFailed))
    }

    fn failure_reason(&mut self) -> Option<&'static str> {
        self.rolled_back
    }
}
