//! Access Control (object 2; LwM2M Core 1.1, sections 7.3.1 and E.3): which server may do what to which instance.
//!
//! A device with one server account lets that server do everything. With several, an instance is open to all as long as no
//! instance of object 2 speaks of it; what a server creates gets one that names it as owner.

use buoy_coap::number::Code;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::features::ACCESS_CONTROL;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::record::{Record, RecordReader};

/// Instances of object 2; none without the feature `access-control`.
pub const ACCESS_MAX: usize = if ACCESS_CONTROL { 8 } else { 0 };
/// Entries of one access control list.
const ENTRIES: usize = 4;
/// The most bytes of the record of object 2: place, three ids, a count, and each entry's server and rights.
pub(crate) const RECORD_OF_ACCESS_MAX: usize = ACCESS_MAX * (1 + 3 * 3 + 1 + ENTRIES * (3 + 1));
/// The owner's or target's "none", and the target instance by which Create is ruled.
const NONE: u16 = u16::MAX;

/// What may be done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(pub u16);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read, Observe, Write-Attributes, Discover.
    pub const READ: Self = Self(1);
    /// Write.
    pub const WRITE: Self = Self(2);
    /// Execute.
    pub const EXECUTE: Self = Self(4);
    /// Delete.
    pub const DELETE: Self = Self(8);
    /// Create; means something for an object only.
    pub const CREATE: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Whether all of `wanted` are there.
    #[must_use]
    pub const fn contain(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// Who may do what to one object instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessControl {
    /// The object.
    pub object: u16,
    /// Its instance; 65535 for the right to create one.
    pub instance: u16,
    /// The short id of the server that may change this; 65535 for none.
    pub owner: u16,
    list: [Option<(u16, Rights)>; ENTRIES],
}

impl AccessControl {
    /// Rights to `object`/`instance` that only `owner` has.
    #[must_use]
    pub const fn new(object: u16, instance: u16, owner: u16) -> Self {
        Self { object, instance, owner, list: [None; ENTRIES] }
    }

    /// The same with the rights of one more server; server 0 stands for all that aren't listed.
    #[must_use]
    pub fn grant(mut self, server: u16, rights: Rights) -> Self {
        let _fits = self.set(server, rights);
        self
    }

    fn set(&mut self, server: u16, rights: Rights) -> bool {
        let known = self.list.iter().position(|entry| entry.is_some_and(|(id, _)| id == server));
        let place = known.or_else(|| self.list.iter().position(Option::is_none));
        let Some(place) = place.and_then(|index| self.list.get_mut(index)) else { return false };
        *place = Some((server, rights));
        true
    }

    /// The servers that have rights of their own.
    pub(crate) fn servers(&self) -> impl Iterator<Item = u16> {
        self.list.iter().flatten().map(|(server, _)| *server)
    }

    fn of(&self, server: u16) -> Option<Rights> {
        self.list.iter().flatten().find(|(id, _)| *id == server).map(|(_, rights)| *rights)
    }

    fn rights(&self, server: u16) -> Rights {
        match self.of(server) {
            Some(rights) => rights,
            None if self.owner == server => Rights::ALL,
            None => self.of(0).unwrap_or(Rights::NONE),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessObject {
    instances: [Option<AccessControl>; ACCESS_MAX],
}

impl AccessObject {
    pub(crate) const fn new() -> Self {
        Self { instances: [None; ACCESS_MAX] }
    }

    /// Adds rights, replacing those to the same instance.
    pub(crate) fn add(&mut self, access: AccessControl) -> bool {
        let same = |known: &AccessControl| known.object == access.object && known.instance == access.instance;
        let index = self.instances.iter().position(|place| place.as_ref().is_some_and(same));
        let index = index.or_else(|| self.instances.iter().position(Option::is_none));
        let Some(place) = index.and_then(|index| self.instances.get_mut(index)) else { return false };
        *place = Some(access);
        true
    }

    /// Forgets the rights to an instance that is gone.
    pub(crate) fn remove_target(&mut self, object: u16, instance: u16) -> bool {
        let mut removed = false;
        for place in &mut self.instances {
            if place.is_some_and(|known| known.object == object && known.instance == instance) {
                *place = None;
                removed = true;
            }
        }
        removed
    }

    /// What `server` may do to an instance, or to an object as a whole (Create).
    pub(crate) fn rights(&self, server: u16, object: u16, instance: Option<u16>) -> Rights {
        if object == DEFINITION.id {
            return self.rights_to_rights(server, instance);
        }
        let wanted = instance.unwrap_or(NONE);
        let mut instances = self.instances.iter().flatten();
        let found = instances.find(|known| known.object == object && known.instance == wanted);
        found.map_or(Rights::ALL, |found| found.rights(server))
    }

    /// Everybody may see who may do what; only the owner may change it.
    fn rights_to_rights(&self, server: u16, instance: Option<u16>) -> Rights {
        let is_owner = instance.and_then(|id| self.get(id).ok()).is_some_and(|known| known.owner == server);
        if is_owner { Rights(Rights::READ.0 | Rights::WRITE.0) } else { Rights::READ }
    }

    /// Takes what a bootstrap server writes to an instance, which is made if it isn't there.
    pub(crate) fn configure(
        &mut self,
        at: At,
        resource_instance: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let access = self.make(at.instance)?;
        let number = id(value)?;
        match (at.resource, resource_instance) {
            (0, None) => access.object = number,
            (1, None) => access.instance = number,
            (2, Some(server)) if number <= Rights::ALL.0 => {
                return if access.set(server, Rights(number)) { Ok(()) } else { Err(Refusal::NO_ROOM) };
            }
            (3, None) => access.owner = number,
            _ => return Err(Refusal::BAD_VALUE),
        }
        Ok(())
    }

    /// The instance of that id, made if it isn't there.
    pub(crate) fn make(&mut self, instance: u16) -> Result<&mut AccessControl, Refusal> {
        const NO_SUCH: Refusal =
            refusal!(Code::SERVICE_UNAVAILABLE, "this device has instances 0 to 7 of object 2");
        if !ACCESS_CONTROL {
            return Err(Refusal::NOT_FOUND);
        }
        let place = self.instances.get_mut(usize::from(instance)).ok_or(NO_SUCH)?;
        Ok(place.get_or_insert(AccessControl::new(NONE, NONE, NONE)))
    }

    /// Removes an instance, or all.
    pub(crate) fn remove(&mut self, instance: Option<u16>) {
        for (index, place) in self.instances.iter_mut().enumerate() {
            if instance.is_none_or(|id| usize::from(id) == index) {
                *place = None;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &AccessControl> {
        self.instances.iter().flatten()
    }

    pub(crate) fn write_record(&self, writer: &mut Record<'_>) {
        for (index, access) in self.instances.iter().enumerate() {
            let Some(access) = access else { continue };
            writer.byte(index as u8);
            for number in [access.object, access.instance, access.owner] {
                writer.uint(u64::from(number));
            }
            writer.uint(access.list.iter().flatten().count() as u64);
            for (server, rights) in access.list.iter().flatten() {
                writer.uint(u64::from(*server));
                writer.uint(u64::from(rights.0));
            }
        }
    }

    /// Takes what [`AccessObject::write_record`] wrote; `None`, and nothing is changed, if it cannot be read whole: an instance that is
    /// lost would be open to every server.
    pub(crate) fn read_record(&mut self, record: &[u8]) -> Option<()> {
        let mut read = Self::new();
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            *read.instances.get_mut(usize::from(index))? = Some(load_one(&mut reader)?);
        }
        *self = read;
        Some(())
    }

    fn get(&self, instance: u16) -> Result<&AccessControl, Refusal> {
        self.instances.get(usize::from(instance)).and_then(Option::as_ref).ok_or(Refusal::NOT_FOUND)
    }
}

static DEFINITION: ObjectDefinition = ObjectDefinition::new(
    2,
    &[
        Resource::read(0, ValueType::Integer),
        Resource::read(1, ValueType::Integer),
        Resource::read_write(2, ValueType::Integer).multiple(),
        Resource::read_write(3, ValueType::Integer),
    ],
);

impl Object for AccessObject {
    fn definition(&self) -> &'static ObjectDefinition {
        &DEFINITION
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        let from = previous.map_or(0, |id| usize::from(id).saturating_add(1));
        let mut taken = self.instances.iter().enumerate().skip(from).filter(|(_, place)| place.is_some());
        taken.next().and_then(|(index, _)| u16::try_from(index).ok())
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        let access = self.get(at.instance)?;
        match at.resource {
            0 => sink.value(i64::from(access.object)),
            1 => sink.value(i64::from(access.instance)),
            2 => {
                let mut last = None;
                let next = |last: Option<u16>| {
                    let entries = access.list.iter().flatten();
                    entries.filter(|(id, _)| last.is_none_or(|last| *id > last)).min_by_key(|(id, _)| *id)
                };
                while let Some((id, rights)) = next(last) {
                    sink.item(*id, i64::from(rights.0))?;
                    last = Some(*id);
                }
                Ok(())
            }
            3 => sink.value(i64::from(access.owner)),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, _: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        id(value).map(|_| ())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        resource_instance: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        let place = self.instances.get_mut(usize::from(at.instance)).and_then(Option::as_mut);
        let access = place.ok_or(Refusal::NOT_FOUND)?;
        let number = id(value)?;
        match (at.resource, resource_instance) {
            (2, Some(server)) if number <= Rights::ALL.0 => {
                if !access.set(server, Rights(number)) {
                    return Err(Refusal::NO_ROOM);
                }
            }
            (3, None) => access.owner = number,
            _ => return Err(Refusal::BAD_VALUE),
        }
        context.changed(Path::resource(DEFINITION.id, at.instance, at.resource));
        context.persist(DEFINITION.id);
        Ok(())
    }

    fn clear(&mut self, _: &mut Context<'_>, at: At) {
        let place = self.instances.get_mut(usize::from(at.instance)).and_then(Option::as_mut);
        if let (2, Some(access)) = (at.resource, place) {
            access.list = [None; ENTRIES];
        }
    }

    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        self.write_record(&mut writer);
        writer.fitting()
    }
}

fn load_one(reader: &mut RecordReader<'_>) -> Option<AccessControl> {
    let mut number = || u16::try_from(reader.uint()?).ok();
    let mut access = AccessControl::new(number()?, number()?, number()?);
    for _ in 0..number()? {
        access.set(number()?, Rights(number()?));
    }
    Some(access)
}

fn id(value: &Value<'_>) -> Result<u16, Refusal> {
    match value {
        Value::Integer(number) => u16::try_from(*number).map_err(|_| Refusal::BAD_VALUE),
        _ => Err(Refusal::BAD_VALUE),
    }
}
