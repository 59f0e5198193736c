//! The data model of the device as one tree: the engine's own objects and those that the shell passes in.
//!
//! Everything that walks over objects, instances and resources is here, with the checks against their definitions. What a
//! request means is for the modules that use it.

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::format::{Encoder, FormatError, Item, decode, is_supported};
use buoy_lwm2m::link::{LinkError, LinkWriter, ROOT_RESOURCE_TYPE};
use buoy_lwm2m::operation::{Content, LwM2mVersion, ObjectVersion, WriteMode};
use buoy_lwm2m::path::{Level, Path};
use buoy_lwm2m::value::Value;

use crate::access::{AccessObject, Rights};
use crate::accounts::Accounts;
use crate::features::ACCESS_CONTROL;
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition, Sink, refusal,
};
use crate::shape::Shape;

pub(crate) const SECURITY: u16 = 0;

/// All objects.
pub(crate) struct Tree<'a, 'o, S: Shape> {
    pub(crate) accounts: &'a mut Accounts<S>,
    pub(crate) access: &'a mut AccessObject,
    pub(crate) objects: &'a mut [&'o mut dyn Object],
}

/// On whose behalf the tree is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Requester {
    /// A device with one server account doesn't look into object 2.
    OnlyServer,
    /// The short id of one of several servers.
    OneOfSeveral(u16),
}

/// What happens to a part that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The whole request is refused.
    Refuse,
    /// The others are read (Core 1.1, section 6.3.9).
    PassOver,
}

/// Takes a path and its value; none stands for something empty.
pub(crate) type Visit<'v> = dyn FnMut(Path, Option<&Value<'_>>) + 'v;

impl<S: Shape> Tree<'_, '_, S> {
    pub(crate) fn get(&self, object: u16) -> Option<&dyn Object> {
        match object {
            0 => Some(&self.accounts.security),
            1 => Some(&self.accounts.servers),
            2 if ACCESS_CONTROL => Some(self.access),
            _ => {
                let mut objects = self.objects.iter();
                let found = objects.find(|known| known.definition().id == object)?;
                Some(&**found)
            }
        }
    }

    pub(crate) fn get_mut(&mut self, object: u16) -> Option<&mut dyn Object> {
        match object {
            0 => Some(&mut self.accounts.security),
            1 => Some(&mut self.accounts.servers),
            2 if ACCESS_CONTROL => Some(self.access),
            _ => {
                for known in self.objects.iter_mut() {
                    if known.definition().id == object {
                        return Some(&mut **known);
                    }
                }
                None
            }
        }
    }

    /// The first object, or the one behind `previous`.
    pub(crate) fn object_after(&self, previous: Option<u16>) -> Option<u16> {
        let own: &[u16] = if ACCESS_CONTROL { &[0, 1, 2] } else { &[0, 1] };
        let ids = own.iter().copied().chain(self.objects.iter().map(|object| object.definition().id));
        ids.filter(|id| previous.is_none_or(|previous| *id > previous)).min()
    }

    pub(crate) fn has_instance(&self, object: u16, instance: u16) -> bool {
        let previous = instance.checked_sub(1);
        self.get(object).is_some_and(|object| object.instance_after(previous) == Some(instance))
    }

    /// What `who` may do to an instance; without one, to the object as a whole.
    pub(crate) fn rights(&self, who: Requester, object: u16, instance: Option<u16>) -> Rights {
        match who {
            Requester::OnlyServer => Rights::ALL,
            Requester::OneOfSeveral(_) if !ACCESS_CONTROL => Rights::ALL,
            Requester::OneOfSeveral(server) => self.access.rights(server, object, instance),
        }
    }

    /// The definition of the resource that a path names, if the path exists.
    pub(crate) fn resource(&self, path: Path) -> Result<&'static ResourceDefinition, Refusal> {
        let (Some(object), Some(at)) = (path.object_id(), at(path)) else {
            return Err(Refusal::METHOD_NOT_ALLOWED);
        };
        self.check_instance(object, at.instance)?;
        let object = self.get(object).ok_or(Refusal::NOT_FOUND)?;
        let resource = object.definition().resource(at.resource).ok_or(Refusal::NOT_FOUND)?;
        if object.has_resource(at) { Ok(resource) } else { Err(Refusal::NOT_FOUND) }
    }

    /// Whether the object and the instance are there, and not the Security object's.
    pub(crate) fn check_instance(&self, object: u16, instance: u16) -> Result<(), Refusal> {
        self.check_object(object)?;
        if self.has_instance(object, instance) {
            Ok(())
        } else {
            Err(refusal!(Code::NOT_FOUND, "the object has no such instance"))
        }
    }

    pub(crate) fn check_object(&self, object: u16) -> Result<(), Refusal> {
        if object == SECURITY {
            return Err(refusal!(Code::UNAUTHORIZED, "server accounts are for the bootstrap server alone"));
        }
        match self.get(object) {
            Some(_) => Ok(()),
            None => Err(refusal!(Code::NOT_FOUND, "this device has no such object")),
        }
    }

    /// Visits every readable value at or below a path, in document order.
    pub(crate) fn visit(
        &self,
        clock: &Clock,
        who: Requester,
        path: Path,
        missing: Missing,
        each: &mut Visit<'_>,
    ) -> Result<(), Refusal> {
        let found = match path.ids() {
            [] => {
                self.visit_all(clock, who, each);
                Ok(())
            }
            [object] => self.visit_object(clock, who, *object, each),
            [object, instance] => self
                .check_right(who, *object, *instance, Rights::READ)
                .and_then(|()| self.visit_instance(clock, *object, *instance, each)),
            [object, instance, ..] => self
                .check_right(who, *object, *instance, Rights::READ)
                .and_then(|()| self.visit_resource(clock, path, each)),
        };
        if missing == Missing::PassOver { Ok(()) } else { found }
    }

    pub(crate) fn check_right(
        &self,
        who: Requester,
        object: u16,
        instance: u16,
        right: Rights,
    ) -> Result<(), Refusal> {
        self.check_instance(object, instance)?;
        if self.rights(who, object, Some(instance)).contain(right) {
            Ok(())
        } else {
            Err(Refusal::UNAUTHORIZED)
        }
    }

    fn visit_all(&self, clock: &Clock, who: Requester, each: &mut Visit<'_>) {
        let mut object = self.object_after(Some(SECURITY));
        while let Some(id) = object {
            let _passed_over = self.visit_object(clock, who, id, each);
            object = self.object_after(Some(id));
        }
    }

    fn visit_object(
        &self,
        clock: &Clock,
        who: Requester,
        object: u16,
        each: &mut Visit<'_>,
    ) -> Result<(), Refusal> {
        self.check_object(object)?;
        let found = self.get(object).ok_or(Refusal::NOT_FOUND)?;
        let (mut any, mut allowed) = (false, false);
        let mut instance = found.instance_after(None);
        while let Some(id) = instance {
            any = true;
            if self.rights(who, object, Some(id)).contain(Rights::READ) {
                allowed = true;
                self.visit_instance(clock, object, id, each)?;
            }
            instance = found.instance_after(Some(id));
        }
        if any && !allowed { Err(Refusal::UNAUTHORIZED) } else { Ok(()) }
    }

    fn visit_instance(
        &self,
        clock: &Clock,
        object: u16,
        instance: u16,
        each: &mut Visit<'_>,
    ) -> Result<(), Refusal> {
        let found = self.get(object).ok_or(Refusal::NOT_FOUND)?;
        let mut any = false;
        for resource in found.definition().resources.iter().filter(|resource| resource.is_readable()) {
            let at = At { instance, resource: resource.id };
            if found.has_resource(at) {
                let path = Path::resource(object, instance, resource.id);
                any |= visit_values(found, clock, path, at, resource, each).is_ok();
            }
        }
        if !any {
            each(Path::instance(object, instance), None);
        }
        Ok(())
    }

    fn visit_resource(&self, clock: &Clock, path: Path, each: &mut Visit<'_>) -> Result<(), Refusal> {
        let resource = self.resource(path)?;
        if !resource.is_readable() {
            return Err(refusal!(Code::METHOD_NOT_ALLOWED, "the resource can't be read"));
        }
        let object = path.object_id().and_then(|id| self.get(id)).ok_or(Refusal::NOT_FOUND)?;
        let at = at(path).ok_or(Refusal::NOT_FOUND)?;
        let Some(wanted) = path.resource_instance_id() else {
            return visit_values(object, clock, path, at, resource, each);
        };
        let mut found = false;
        let mut only_wanted = |at: Path, value: Option<&Value<'_>>| {
            if at.resource_instance_id() == Some(wanted) {
                found = true;
                each(at, value);
            }
        };
        visit_values(object, clock, path.truncated(3), at, resource, &mut only_wanted)?;
        if found { Ok(()) } else { Err(Refusal::NOT_FOUND) }
    }

    /// Encodes what is at `paths`.
    pub(crate) fn encode(
        &self,
        clock: &Clock,
        who: Requester,
        paths: &[Path],
        reading: Reading,
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let mut encoder = Encoder::new(reading.format, reading.base, buffer).map_err(unreadable)?;
        for path in paths {
            self.visit(clock, who, *path, reading.missing, &mut |path, value| {
                let _kept_by_the_encoder = match value {
                    Some(value) => encoder.push(path, value, None),
                    // Only TLV has something for what is empty; a SenML record has a value (RFC 8428, section 4.2).
                    None if reading.format == ContentFormat::TLV => encoder.push_empty(path),
                    None => Ok(()),
                };
            })?;
        }
        encoder.finish().map_err(unreadable)
    }

    /// The list of objects for Register and Update.
    pub(crate) fn write_links(&self, version: LwM2mVersion, buffer: &mut [u8]) -> Result<usize, LinkError> {
        let mut links = LinkWriter::new(buffer);
        let root = links.link("/")?.quoted("rt", ROOT_RESOURCE_TYPE)?;
        match version {
            LwM2mVersion::V1_0 => root.number("ct", ContentFormat::TLV.0)?,
            _ => root.quoted("ct", FORMATS)?,
        };
        let mut object = self.object_after(Some(SECURITY));
        while let Some(id) = object {
            self.write_object_link(id, &mut links)?;
            object = self.object_after(Some(id));
        }
        Ok(links.finish())
    }

    /// The version that the device says of an object: those of the enabler itself follow the version of LwM2M that it registers
    /// with, since a server of that version knows no later ones.
    pub(crate) fn said_version(&self, object: &dyn Object) -> ObjectVersion {
        let ObjectDefinition { id, version, .. } = *object.definition();
        if !is_of_enabler(id) {
            return version;
        }
        version.min(match self.accounts.servers.version {
            LwM2mVersion::V1_0 => ObjectVersion::V1_0,
            LwM2mVersion::V1_1 => ObjectVersion::new(1, 1),
            LwM2mVersion::V1_2 => ObjectVersion::new(1, 2),
        })
    }

    pub(crate) fn write_object_link(&self, object: u16, links: &mut LinkWriter<'_>) -> Result<(), LinkError> {
        let Some(found) = self.get(object) else { return Ok(()) };
        let version = self.said_version(found);
        let mut instance = found.instance_after(None);
        if object == 2 && instance.is_none() {
            return Ok(());
        }
        if version != ObjectVersion::V1_0 || instance.is_none() {
            links.path(Path::object(object))?;
        }
        if version != ObjectVersion::V1_0 {
            links.version(version)?;
        }
        while let Some(id) = instance {
            links.path(Path::instance(object, id))?;
            instance = found.instance_after(Some(id));
        }
        Ok(())
    }

    /// Whether an item may be written, without writing it.
    pub(crate) fn check_item(
        &self,
        who: Requester,
        item: &Item<'_>,
        fresh: Option<u16>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let Some(object) = item.path.object_id() else { return Err(OUTSIDE) };
        let Some(at) = at(item.path) else {
            return if item.value.is_none() { Ok(()) } else { Err(OUTSIDE) };
        };
        // An instance that is about to be made can't be asked what it has.
        let resource = if fresh == Some(at.instance) {
            let found = self.get(object).ok_or(Refusal::NOT_FOUND)?;
            found.definition().resource(at.resource).ok_or(Refusal::NOT_FOUND)?
        } else {
            self.check_right(who, object, at.instance, Rights::WRITE)?;
            self.resource(item.path)?
        };
        if !resource.is_writable() && fresh.is_none() {
            return Err(refusal!(Code::METHOD_NOT_ALLOWED, "the resource can't be written"));
        }
        let Some(raw) = item.value else { return Ok(()) };
        let resource_instance = item.path.resource_instance_id();
        if resource.is_multiple() != resource_instance.is_some() {
            return Err(refusal!(
                Code::BAD_REQUEST,
                "the resource's values and the payload's don't go together"
            ));
        }
        let value = raw.resolve(resource.value_type, scratch).map_err(unwritable)?;
        if fresh.is_some() || resource.streamed {
            return Ok(());
        }
        self.get(object).ok_or(Refusal::NOT_FOUND)?.check(at, resource_instance, &value)
    }

    /// Writes an item that [`Tree::check_item`] has passed.
    pub(crate) fn write_item(
        &mut self,
        context: &mut Context<'_>,
        item: &Item<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let (Some(object), Some(at), Some(raw)) = (item.path.object_id(), at(item.path), item.value) else {
            return Ok(());
        };
        let object = self.get_mut(object).ok_or(Refusal::NOT_FOUND)?;
        let resource = object.definition().resource(at.resource).ok_or(Refusal::NOT_FOUND)?;
        let value = raw.resolve(resource.value_type, scratch).map_err(unwritable)?;
        match value {
            Value::Opaque(bytes) if resource.streamed => {
                let piece =
                    crate::object::Piece { offset: 0, bytes, total: Some(bytes.len()), is_last: true };
                object.write_piece(context, at, piece)
            }
            _ => object.write(context, at, item.path.resource_instance_id(), &value),
        }
    }

    /// Carries out a Write of any level.
    pub(crate) fn write(
        &mut self,
        context: &mut Context<'_>,
        who: Requester,
        target: Path,
        mode: WriteMode,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        if let [object, instance, ..] = target.ids() {
            self.check_right(who, *object, *instance, Rights::WRITE)?;
        }
        if target.level() >= Level::Resource && !self.resource(target)?.is_writable() {
            return Err(refusal!(Code::METHOD_NOT_ALLOWED, "the resource can't be written"));
        }
        self.check_items(who, target, content, scratch)?;
        if mode == WriteMode::Replace {
            self.clear_before(context, target, content)?;
        }
        self.write_items(context, target, content, scratch)
    }

    /// Checks every item before the first one is written.
    pub(crate) fn check_items(
        &self,
        who: Requester,
        base: Path,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        each_item(base, content, &mut |item| self.check_item(who, item, None, scratch))
    }

    pub(crate) fn write_items(
        &mut self,
        context: &mut Context<'_>,
        base: Path,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        each_item(base, content, &mut |item| self.write_item(context, item, scratch))
    }

    /// A replacing Write of an instance clears what it doesn't name, and the multiple resources that it names.
    fn clear_before(
        &mut self,
        context: &mut Context<'_>,
        target: Path,
        content: Content<'_>,
    ) -> Result<(), Refusal> {
        let (Some(object), Some(instance)) = (target.object_id(), target.instance_id()) else {
            return Ok(());
        };
        if target.level() == Level::ResourceInstance {
            return Ok(());
        }
        let object = self.get_mut(object).ok_or(Refusal::NOT_FOUND)?;
        let only = target.resource_id();
        for resource in object.definition().resources.iter().filter(|resource| resource.is_writable()) {
            let is_target = only.is_none_or(|id| id == resource.id);
            let at = At { instance, resource: resource.id };
            if !is_target || !object.has_resource(at) {
                continue;
            }
            let mut named = false;
            each_item(target, content, &mut |item| {
                named |= item.path.resource_id() == Some(resource.id);
                Ok(())
            })?;
            if resource.is_multiple() || !named {
                object.clear(context, at);
            }
        }
        Ok(())
    }

    /// Makes an instance and fills it; gives its id.
    pub(crate) fn create(
        &mut self,
        context: &mut Context<'_>,
        who: Requester,
        object: u16,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<u16, Refusal> {
        self.check_object(object)?;
        if !self.rights(who, object, None).contain(Rights::CREATE) {
            return Err(Refusal::UNAUTHORIZED);
        }
        let asked = asked_instance(object, content)?;
        let instance = match asked {
            Asked::Instance(id) if self.has_instance(object, id) => {
                return Err(refusal!(Code::BAD_REQUEST, "there is such an instance already"));
            }
            Asked::Instance(id) => id,
            Asked::Any => self.free_instance(object)?,
        };
        let base = match asked {
            Asked::Any => Path::from_ids(&[object, instance]).map_err(|_| Refusal::NO_ROOM)?,
            Asked::Instance(_) => Path::object(object),
        };
        each_item(base, content, &mut |item| {
            if item.path.instance_id().is_some_and(|id| id != instance) {
                return Err(refusal!(Code::BAD_REQUEST, "only one instance can be made at a time"));
            }
            self.check_item(who, item, Some(instance), scratch)
        })?;
        self.get_mut(object).ok_or(Refusal::NOT_FOUND)?.create(context, instance)?;
        if let Err(refusal) = self.write_items(context, base, content, scratch) {
            let _gone = self.get_mut(object).map(|object| object.delete(context, instance));
            return Err(refusal);
        }
        if let Requester::OneOfSeveral(server) = who {
            self.access.add(crate::access::AccessControl::new(object, instance, server));
            context.persist(2);
        }
        context.instances_changed(object);
        Ok(instance)
    }

    fn free_instance(&self, object: u16) -> Result<u16, Refusal> {
        let found = self.get(object).ok_or(Refusal::NOT_FOUND)?;
        let mut free = 0u16;
        let mut instance = found.instance_after(None);
        while instance == Some(free) {
            free = free.saturating_add(1);
            instance = found.instance_after(instance);
        }
        Ok(free)
    }

    pub(crate) fn delete(
        &mut self,
        context: &mut Context<'_>,
        who: Requester,
        target: Path,
    ) -> Result<(), Refusal> {
        let (Some(object), Some(instance)) = (target.object_id(), target.instance_id()) else {
            return Err(Refusal::METHOD_NOT_ALLOWED);
        };
        if let (Some(index), Some(at)) = (target.resource_instance_id(), at(target)) {
            self.check_right(who, object, instance, Rights::WRITE)?;
            let resource = self.resource(target)?;
            if !resource.is_writable() || !resource.is_multiple() {
                return Err(Refusal::METHOD_NOT_ALLOWED);
            }
            self.get_mut(object).ok_or(Refusal::NOT_FOUND)?.remove(context, at, index)?;
            context.changed(target.truncated(3));
            return Ok(());
        }
        self.check_right(who, object, instance, Rights::DELETE)?;
        self.get_mut(object).ok_or(Refusal::NOT_FOUND)?.delete(context, instance)?;
        if self.access.remove_target(object, instance) {
            context.persist(2);
        }
        context.instances_changed(object);
        Ok(())
    }
}

/// How something is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) format: ContentFormat,
    pub(crate) base: Path,
    pub(crate) missing: Missing,
}

/// The formats that a device speaks of when it registers.
const FORMATS: &str = match (is_supported(ContentFormat::SENML_JSON), is_supported(ContentFormat::TLV)) {
    (true, true) => "60 110 112 11542",
    (true, false) => "60 110 112",
    (false, true) => "60 112 11542",
    (false, false) => "60 112",
};

/// Whether Core defines the object itself (Core 1.2, appendix E, and OSCORE and COSE).
const fn is_of_enabler(object: u16) -> bool {
    matches!(object, 0..=7 | 21 | 23)
}

enum Asked {
    Any,
    Instance(u16),
}

const OUTSIDE: Refusal = refusal!(Code::BAD_REQUEST, "the payload names something that is no resource");

fn asked_instance(object: u16, content: Content<'_>) -> Result<Asked, Refusal> {
    if content.payload.is_empty() {
        return Ok(Asked::Any);
    }
    #[cfg(feature = "tlv")]
    if content.format == ContentFormat::TLV {
        let asked = buoy_lwm2m::format::created_instance(content.payload).map_err(unwritable)?;
        return Ok(asked.map_or(Asked::Any, Asked::Instance));
    }
    let mut items = decode(content.format, Path::object(object), content.payload).map_err(unwritable)?;
    match items.next() {
        None => Ok(Asked::Any),
        Some(item) => {
            let instance = item.map_err(unwritable)?.path.instance_id();
            instance.map(Asked::Instance).ok_or(OUTSIDE)
        }
    }
}

/// Goes through what a payload says of the paths at and below `base`.
pub(crate) fn each_item(
    base: Path,
    content: Content<'_>,
    each: &mut dyn FnMut(&Item<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for item in decode(content.format, base, content.payload).map_err(unwritable)? {
        each(&item.map_err(unwritable)?)?;
    }
    Ok(())
}

/// The resource that a path of that level or below names.
pub(crate) fn at(path: Path) -> Option<At> {
    Some(At { instance: path.instance_id()?, resource: path.resource_id()? })
}

fn visit_values(
    object: &dyn Object,
    clock: &Clock,
    path: Path,
    at: At,
    resource: &ResourceDefinition,
    each: &mut Visit<'_>,
) -> Result<(), Refusal> {
    let mut any = false;
    let mut put = |index: Option<u16>, value: &Value<'_>| {
        any = true;
        each(index.and_then(|index| path.child(index)).unwrap_or(path), Some(value));
    };
    object.read(clock, at, &mut Sink::new(&mut put))?;
    if !any && resource.is_multiple() {
        each(path, None);
    }
    Ok(())
}

/// What a payload that can't be written is answered with.
pub(crate) fn unwritable(error: FormatError) -> Refusal {
    match error {
        FormatError::UnsupportedFormat(_) => {
            refusal!(Code::UNSUPPORTED_CONTENT_FORMAT, "this device doesn't read that content format")
        }
        FormatError::UnsupportedPath { .. } => {
            refusal!(Code::UNSUPPORTED_CONTENT_FORMAT, "that content format can't be used at this level")
        }
        FormatError::BufferTooSmall => {
            refusal!(Code::REQUEST_ENTITY_TOO_LARGE, "a value is too long for this device")
        }
        FormatError::PeerSentWrongType { .. } => {
            refusal!(Code::BAD_REQUEST, "a value is of another type than its resource")
        }
        FormatError::PeerSentOutOfRange { .. } => refusal!(Code::BAD_REQUEST, "a number is out of range"),
        FormatError::PeerSentMalformedValue { .. } => {
            refusal!(Code::BAD_REQUEST, "a value is not written as its type asks")
        }
        FormatError::PeerSentPathOutsideBase => {
            refusal!(Code::BAD_REQUEST, "the payload names something outside of the request's path")
        }
        _ => refusal!(Code::BAD_REQUEST, "the payload is malformed"),
    }
}

/// What a read that can't be written down is answered with.
pub(crate) fn unreadable(error: FormatError) -> Refusal {
    match error {
        FormatError::BufferTooSmall => refusal!(
            Code::INTERNAL_SERVER_ERROR,
            "the answer is larger than this device's memory; read less at once"
        ),
        FormatError::UnsupportedFormat(_) => {
            refusal!(Code::NOT_ACCEPTABLE, "this device doesn't write that content format")
        }
        _ => refusal!(Code::NOT_ACCEPTABLE, "that content format can't hold what was asked for"),
    }
}
