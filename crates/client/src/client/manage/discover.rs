//! Discover (LwM2M Core 1.1, section 6.3.2): what there is below a path, and the attributes that a server has set there.

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::link::{LinkError, LinkWriter};
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

use super::answer::Answer;
use super::observe::{effective, set_at};
use crate::client::{AttributeEntry, Client, Owner, tree};
use crate::effects::ServerSlot;
use crate::object::{At, Object, Refusal, refusal};
use crate::shape::Shape;
use crate::tree::{Missing, Requester, Tree};

impl<R: Rng, S: Shape> Client<R, S> {
    pub(super) fn discover(
        &mut self,
        server: ServerSlot,
        path: Path,
        depth: Option<u8>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let attributes = &*self.attributes;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        match path.ids() {
            [object] => tree.check_object(*object)?,
            [object, instance] => tree.check_instance(*object, *instance)?,
            _ => tree.resource(path).map(|_| ())?,
        }
        let mut listing = Listing { tree: &tree, attributes, server, links: LinkWriter::new(body) };
        let usual = if path.level() == Level::Object { 2 } else { 1 };
        listing.list(path, depth.unwrap_or(usual)).map_err(|_: LinkError| {
            refusal!(Code::INTERNAL_SERVER_ERROR, "the list is larger than this device's memory")
        })?;
        let length = listing.links.finish();
        Ok(Answer::content(ContentFormat::LINK, length))
    }
}

/// Writes the links of a Discover.
struct Listing<'l, 'a, 'o, 'b, S: Shape> {
    tree: &'l Tree<'a, 'o, S>,
    attributes: &'l [Option<AttributeEntry>],
    server: ServerSlot,
    links: LinkWriter<'b>,
}

impl<'l, S: Shape> Listing<'l, '_, '_, '_, S> {
    /// The path itself with what it inherits, and so many levels below it with what is set there.
    fn list(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        let inherited = if path.level() >= Level::Resource {
            effective(self.attributes, self.server, path)
        } else {
            self.set_at(path)
        };
        self.link(path, &inherited)?;
        self.children(path, depth)
    }

    /// So many levels below the path. Each level has a function of its own, so that the need of the stack can be told.
    fn children(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        match path.level() {
            Level::Object => self.instances(path, depth),
            Level::ObjectInstance => self.resources(path, depth),
            Level::Resource => self.resource_instances(path, depth),
            _ => Ok(()),
        }
    }

    fn instances(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        let (Some(depth), Some(object)) = (depth.checked_sub(1), self.object(path)) else { return Ok(()) };
        let mut instance = object.instance_after(None);
        while let Some(id) = instance {
            if let Some(child) = path.child(id) {
                self.link(child, &self.set_at(child))?;
                self.resources(child, depth)?;
            }
            instance = object.instance_after(Some(id));
        }
        Ok(())
    }

    fn resources(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        let (Some(depth), Some(object)) = (depth.checked_sub(1), self.object(path)) else { return Ok(()) };
        let [_, instance] = path.ids() else { return Ok(()) };
        let here = |id| object.has_resource(At { instance: *instance, resource: id });
        for resource in object.definition().resources.iter().filter(|resource| here(resource.id)) {
            if let Some(child) = path.child(resource.id) {
                self.link(child, &self.set_at(child))?;
                self.resource_instances(child, depth)?;
            }
        }
        Ok(())
    }

    fn resource_instances(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        if depth == 0 {
            return Ok(());
        }
        let tree = self.tree;
        let mut outcome = Ok(());
        let clock = Default::default();
        let mut each = |below: Path, _: Option<&buoy_lwm2m::value::Value<'_>>| {
            if below.level() == Level::ResourceInstance && outcome.is_ok() {
                outcome = self.link(below, &self.set_at(below));
            }
        };
        let _unread = tree.visit(&clock, Requester::OnlyServer, path, Missing::PassOver, &mut each);
        outcome
    }

    fn object(&self, path: Path) -> Option<&'l dyn Object> {
        path.object_id().and_then(|id| self.tree.get(id))
    }

    fn set_at(&self, path: Path) -> Attributes {
        set_at(self.attributes, Owner::Server(self.server), path)
    }

    fn link(&mut self, path: Path, attributes: &Attributes) -> Result<(), LinkError> {
        let dimension = self.dimension(path);
        let version = match path.ids() {
            [object] => self.tree.get(*object).map(|object| self.tree.said_version(object)),
            _ => None,
        };
        self.links.path(path)?;
        if let Some(version) =
            version.filter(|version| *version != buoy_lwm2m::operation::ObjectVersion::V1_0)
        {
            self.links.version(version)?;
        }
        if let Some(dimension) = dimension {
            self.links.number("dim", dimension)?;
        }
        self.links.notification_attributes(attributes)?;
        Ok(())
    }

    /// How many instances a multiple resource has.
    fn dimension(&self, path: Path) -> Option<u16> {
        let resource = self.tree.resource(path).ok().filter(|_| path.level() == Level::Resource)?;
        if !resource.is_multiple() {
            return None;
        }
        let mut count = 0u16;
        let mut each = |below: Path, _: Option<&buoy_lwm2m::value::Value<'_>>| {
            count = count.saturating_add(u16::from(below.level() == Level::ResourceInstance));
        };
        let clock = Default::default();
        let _unread = self.tree.visit(&clock, Requester::OnlyServer, path, Missing::PassOver, &mut each);
        Some(count)
    }
}
