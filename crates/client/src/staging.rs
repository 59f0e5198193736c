//! What a bootstrap server has written so far (LwM2M Core 1.1, section 6.1.7): it changes nothing until Bootstrap-Finish.
//!
//! Server accounts and access rights are written to a copy. Requests about other objects are kept as they came, and carried out
//! at the end. So a bootstrap that breaks off leaves the device as it was.

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::format::Item;
use buoy_lwm2m::operation::{Content, LwM2mVersion};
use buoy_lwm2m::path::{Level, Path};

use crate::access::{AccessControl, AccessObject};
use crate::accounts::{
    Accounts, Security, SecurityMode, Server, read_servers, security_value_type, server_value_type,
    write_servers,
};
use crate::object::{Context, Refusal, refusal};
use crate::record::{Record, RecordReader};
use crate::shape::{Array, Shape};
use crate::tree::{Tree, at, each_item, unwritable};

/// The objects that are written to a copy.
pub(crate) const ACCOUNTS: core::ops::RangeInclusive<u16> = 0..=2;
/// The Device object, which a Bootstrap-Delete passes over.
pub(crate) const DEVICE: u16 = 3;
/// The cipher suites of an account: the resource of object 0 that may have several values.
const SUITES: u16 = 16;
/// Instances that one request may write.
const TOUCHED: usize = 24;

/// A copy of the server accounts and access rights. While they are written they need not go together.
pub(crate) struct StagedAccounts<S: Shape> {
    /// One place more than there are servers: for the bootstrap server.
    first: Option<StagedSecurity<S>>,
    others: Array<Option<StagedSecurity<S>>, S::Servers>,
    pub(crate) servers: Array<Option<Server>, S::Servers>,
    pub(crate) access: AccessObject,
    version: LwM2mVersion,
}

/// An instance of object 0.
#[derive(Clone, Copy, Default)]
pub(crate) struct StagedSecurity<S: Shape> {
    pub(crate) is_bootstrap: bool,
    pub(crate) security: Security<S>,
}

/// Which instances a request has begun anew.
struct Touched {
    instances: [Option<(u16, u16)>; TOUCHED],
}

impl<S: Shape> StagedAccounts<S> {
    pub(crate) fn of(accounts: &Accounts<S>, access: &AccessObject) -> Self {
        let staged = |is_bootstrap| move |security: Security<S>| StagedSecurity { is_bootstrap, security };
        Self {
            first: accounts.security.bootstrap().copied().map(staged(true)),
            others: Array::from_fn(|index| accounts.security.instances.get(index)?.map(staged(false))),
            servers: accounts.servers.instances,
            access: *access,
            version: accounts.servers.version,
        }
    }

    /// Writes what a client keeps from request to request. What has been asked of other objects comes behind.
    pub(crate) fn save(&self, writer: &mut Record<'_>) {
        writer.nested(|writer| {
            for (index, place) in [&self.first].into_iter().chain(self.others.iter()).enumerate() {
                let Some(staged) = place else { continue };
                writer.byte(index as u8);
                writer.byte(staged.is_bootstrap.into());
                staged.security.save(index as u16, writer);
            }
        });
        writer.nested(|writer| write_servers(&self.servers, writer));
        writer.nested(|writer| self.access.write_record(writer));
    }

    /// No accounts.
    pub(crate) fn empty(version: LwM2mVersion) -> Self {
        Self {
            first: None,
            others: Array::repeat(None),
            servers: Array::repeat(None),
            access: AccessObject::new(),
            version,
        }
    }

    /// Fills empty accounts with what [`StagedAccounts::save`] wrote, and leaves what is behind in the reader.
    pub(crate) fn load(&mut self, reader: &mut RecordReader<'_>) -> Option<()> {
        let mut accounts = RecordReader(reader.nested()?);
        while let Some(index) = accounts.byte() {
            let is_bootstrap = accounts.byte()? != 0;
            let place = self.places().nth(index.into())?;
            let staged = place.insert(StagedSecurity { is_bootstrap, ..StagedSecurity::default() });
            staged.security = Security::load(index.into(), &mut accounts)?;
        }
        read_servers(reader.nested()?, &mut self.servers)?;
        self.access.read_record(reader.nested()?)
    }

    /// The instances of object 0, in no order.
    pub(crate) fn security(&self) -> impl Iterator<Item = &StagedSecurity<S>> {
        [&self.first].into_iter().chain(self.others.iter()).flatten()
    }

    fn places(&mut self) -> impl Iterator<Item = &mut Option<StagedSecurity<S>>> {
        [&mut self.first].into_iter().chain(self.others.iter_mut())
    }

    /// Writes what a payload says of objects 0 to 2; after a refusal the copy is none any more.
    ///
    /// An instance that the request or its payload names as a whole is made anew; a resource is written to what is there.
    pub(crate) fn write(
        &mut self,
        base: Path,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let mut touched = Touched { instances: [None; TOUCHED] };
        if let [0, instance, SUITES] = base.ids() {
            self.security_mut(*instance)?.security.tls.suites = Default::default();
        }
        if let ([object, instance], true) = (base.ids(), base.level() == Level::ObjectInstance) {
            self.begin(*object, *instance, &mut touched)?;
        }
        each_item(base, content, &mut |item| {
            let Some(object) = item.path.object_id().filter(|id| ACCOUNTS.contains(id)) else {
                return Ok(());
            };
            let instance = item.path.instance_id().ok_or(NO_INSTANCE)?;
            if base.level() < Level::Resource {
                self.begin(object, instance, &mut touched)?;
            }
            self.put(item, scratch)
        })
    }

    fn begin(&mut self, object: u16, instance: u16, touched: &mut Touched) -> Result<(), Refusal> {
        if !touched.is_new(object, instance)? {
            return Ok(());
        }
        self.remove(object, Some(instance), Keep::Nothing);
        match object {
            0 => self.security_mut(instance).map(|_| ()),
            1 => self.server_mut(instance).map(|_| ()),
            _ => self.access.make(instance).map(|_| ()),
        }
    }

    fn security_mut(&mut self, instance: u16) -> Result<&mut StagedSecurity<S>, Refusal> {
        let known =
            |place: &Option<StagedSecurity<S>>| place.is_some_and(|it| it.security.instance == instance);
        let index = self.places().position(|place| known(place));
        let index =
            index.or_else(|| self.places().position(|place| place.is_none())).ok_or(Refusal::NO_ROOM)?;
        let place = self.places().nth(index).ok_or(Refusal::NO_ROOM)?;
        let fresh = Security { instance, ..Security::default() };
        Ok(place.get_or_insert(StagedSecurity { is_bootstrap: false, security: fresh }))
    }

    fn server_mut(&mut self, instance: u16) -> Result<&mut Server, Refusal> {
        let known = |place: &Option<Server>| place.is_some_and(|it| it.instance == instance);
        let index = self.servers.iter().position(known);
        let index =
            index.or_else(|| self.servers.iter().position(Option::is_none)).ok_or(Refusal::NO_ROOM)?;
        let place = self.servers.get_mut(index).ok_or(Refusal::NO_ROOM)?;
        Ok(place.get_or_insert(Server { instance, ..Server::new(0, 86_400) }))
    }

    /// Optional resources that this device doesn't have are passed over (Core 1.1, section 6.1.7.6).
    fn put(&mut self, item: &Item<'_>, scratch: &mut [u8]) -> Result<(), Refusal> {
        let (Some(object), Some(at), Some(raw)) = (item.path.object_id(), at(item.path), item.value) else {
            return Ok(());
        };
        let value_type = match object {
            0 => security_value_type(at.resource),
            1 => server_value_type(at.resource),
            _ => (at.resource <= 3).then_some(buoy_lwm2m::value::ValueType::Integer),
        };
        let Some(value_type) = value_type else { return Ok(()) };
        let value = raw.resolve(value_type, scratch).map_err(unwritable)?;
        let index = item.path.resource_instance_id();
        let has_several = object == 2 || (object, at.resource) == (0, SUITES);
        if !has_several && index.is_some() {
            return Err(refusal!(Code::BAD_REQUEST, "a resource with one value was given several"));
        }
        match object {
            0 if at.resource == 1 => {
                self.security_mut(at.instance)?.is_bootstrap = crate::accounts::flag(&value)?;
            }
            0 => {
                self.security_mut(at.instance)?.security.set(at.resource, &value)?;
            }
            1 => {
                let version = self.version;
                self.server_mut(at.instance)?.configure(at.resource, &value, version)?;
            }
            _ => self.access.configure(at, index, &value)?,
        }
        Ok(())
    }

    /// Removes one instance of an object, or all.
    fn remove(&mut self, object: u16, instance: Option<u16>, keep: Keep) {
        let named = |id: u16| instance.is_none_or(|wanted| wanted == id);
        match object {
            0 => self.places().for_each(|place| {
                place.take_if(|it| {
                    named(it.security.instance) && !(it.is_bootstrap && keep == Keep::Bootstrap)
                });
            }),
            1 => self.servers.iter_mut().for_each(|place| {
                place.take_if(|it| named(it.instance));
            }),
            _ => self.access.remove(instance),
        }
    }

    /// Bootstrap-Delete, as far as it concerns objects 0 to 2. The bootstrap server's own account stays.
    pub(crate) fn delete(&mut self, path: Path) -> Result<(), Refusal> {
        match path.ids() {
            [] => ACCOUNTS.for_each(|object| self.remove(object, None, Keep::Bootstrap)),
            [0, instance] if self.is_of_bootstrap(*instance) => {
                return Err(refusal!(Code::BAD_REQUEST, "the account of the bootstrap server stays"));
            }
            [object, rest @ ..] => self.remove(*object, rest.first().copied(), Keep::Bootstrap),
        }
        Ok(())
    }

    fn is_of_bootstrap(&self, instance: u16) -> bool {
        self.security().any(|it| it.is_bootstrap && it.security.instance == instance)
    }

    /// Whether the accounts go together: each server has one account of either kind and can be reached by it.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.servers.iter().all(Option::is_none) {
            return Err(refusal!(Code::NOT_ACCEPTABLE, "there is no server in this configuration"));
        }
        if self.security().filter(|it| it.is_bootstrap).count() > 1 {
            return Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "there are two bootstrap servers in this configuration"
            ));
        }
        self.security().try_for_each(check_security)?;
        self.servers.iter().flatten().try_for_each(|server| self.check_server(server))?;
        let mut accounts = self.security().filter(|it| !it.is_bootstrap);
        let has_server = |it: &StagedSecurity<S>| self.has_server(it.security.short_server_id);
        if !accounts.all(has_server) {
            return Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "an instance of object 0 has no server in object 1 with its short server id"
            ));
        }
        self.access.iter().try_for_each(|access| self.check_access(access))
    }

    fn has_server(&self, id: u16) -> bool {
        self.servers.iter().flatten().any(|server| server.short_server_id == id)
    }

    fn check_server(&self, server: &Server) -> Result<(), Refusal> {
        let id = server.short_server_id;
        if !(1..u16::MAX).contains(&id) {
            return Err(refusal!(Code::NOT_ACCEPTABLE, "a short server id is not in 1 to 65534"));
        }
        if self.servers.iter().flatten().filter(|other| other.short_server_id == id).count() > 1 {
            return Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "two instances of object 1 have the same short server id"
            ));
        }
        let accounts = self.security().filter(|it| !it.is_bootstrap && it.security.short_server_id == id);
        match accounts.count() {
            0 => Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "an instance of object 1 has no account in object 0 with its short server id"
            )),
            1 => Ok(()),
            _ => {
                Err(refusal!(Code::NOT_ACCEPTABLE, "two instances of object 0 have the same short server id"))
            }
        }
    }

    fn check_access(&self, access: &AccessControl) -> Result<(), Refusal> {
        if matches!(access.object, 0 | 2) {
            return Err(refusal!(Code::NOT_ACCEPTABLE, "there are no access rights to objects 0 and 2"));
        }
        let owner = access.owner;
        if owner != u16::MAX && !self.has_server(owner) {
            return Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "an instance of object 2 belongs to a server that isn't there"
            ));
        }
        if access.servers().all(|id| id == 0 || self.has_server(id)) {
            Ok(())
        } else {
            Err(refusal!(
                Code::NOT_ACCEPTABLE,
                "an instance of object 2 gives rights to a server that isn't there"
            ))
        }
    }

    /// Fills empty accounts with the configuration that [`StagedAccounts::check`] has passed, each server in the place that it had before.
    pub(crate) fn settle(&self, before: &Accounts<S>, accounts: &mut Accounts<S>, access: &mut AccessObject) {
        let bootstrap = self.security().find(|it| it.is_bootstrap);
        accounts.security.set_bootstrap(bootstrap.map(|it| Security { short_server_id: 0, ..it.security }));
        // Those that have a place take it before the others look for one.
        for has_place in [true, false] {
            for server in self.servers.iter().flatten() {
                let id = server.short_server_id;
                let same =
                    |known: &Option<Server>| known.as_ref().is_some_and(|known| known.short_server_id == id);
                let place = before.servers.instances.iter().position(same);
                let free = accounts.servers.instances.iter().position(Option::is_none);
                let Some(index) = place.or(free).filter(|_| place.is_some() == has_place) else { continue };
                let of_server =
                    |it: &&StagedSecurity<S>| !it.is_bootstrap && it.security.short_server_id == id;
                if let Some(place) = accounts.security.instances.get_mut(index) {
                    *place = self.security().find(of_server).map(|it| it.security);
                }
                if let Some(place) = accounts.servers.instances.get_mut(index) {
                    *place = Some(*server);
                }
            }
        }
        *access = self.access;
        self.add_owners(access);
    }

    /// With several servers each one's account is its own, unless the bootstrap server has said whose it is.
    fn add_owners(&self, access: &mut AccessObject) {
        if self.servers.iter().flatten().count() > 1 {
            for server in self.servers.iter().flatten() {
                let is_said = access.iter().any(|it| it.object == 1 && it.instance == server.instance);
                if !is_said {
                    let _room = access.add(AccessControl::new(1, server.instance, server.short_server_id));
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Bootstrap,
}

impl Touched {
    /// Whether a request names an instance for the first time.
    fn is_new(&mut self, object: u16, instance: u16) -> Result<bool, Refusal> {
        let entry = Some((object, instance));
        if self.instances.contains(&entry) {
            return Ok(false);
        }
        let mut places = self.instances.iter_mut();
        *places.find(|place| place.is_none()).ok_or(Refusal::NO_ROOM)? = entry;
        Ok(true)
    }
}

const NO_INSTANCE: Refusal =
    refusal!(Code::BAD_REQUEST, "the payload names something that is in no instance");

fn check_security<S: Shape>(staged: &StagedSecurity<S>) -> Result<(), Refusal> {
    let security = &staged.security;
    let is_secured = match scheme(security.uri.as_str()) {
        Some(Scheme::Coap) => false,
        Some(Scheme::Coaps) => true,
        None => return Err(refusal!(Code::NOT_ACCEPTABLE, "a server's URI is not as in coaps://host:port")),
    };
    let has_own = !security.identity.is_empty() && !security.secret_key.is_empty();
    let has_keys = match security.mode {
        SecurityMode::PreSharedKey => has_own,
        SecurityMode::RawPublicKey | SecurityMode::Certificate => has_own && !security.server_key.is_empty(),
        SecurityMode::NoSecurity => true,
        SecurityMode::CertificateEnrolment => {
            return Err(refusal!(Code::NOT_ACCEPTABLE, "this device can't enrol for a certificate"));
        }
    };
    match (is_secured, security.mode) {
        (true, SecurityMode::NoSecurity) => {
            Err(refusal!(Code::NOT_ACCEPTABLE, "a coaps URI needs keys, and its mode is 3"))
        }
        (false, mode) if mode != SecurityMode::NoSecurity => {
            Err(refusal!(Code::NOT_ACCEPTABLE, "a coap URI has no use for keys; its mode is 3"))
        }
        _ if !has_keys => {
            Err(refusal!(Code::NOT_ACCEPTABLE, "a key or identity is missing for the security mode"))
        }
        _ => Ok(()),
    }
}

enum Scheme {
    Coap,
    Coaps,
}

/// The scheme of a URI that names a host and perhaps a port, and nothing else.
fn scheme(uri: &str) -> Option<Scheme> {
    let (scheme, rest) = uri.split_once(':')?;
    // The same in any case (RFC 3986 section 3.1).
    let known = [("coap", Scheme::Coap), ("coaps", Scheme::Coaps)];
    let (_, scheme) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    let rest = rest.strip_prefix("//")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']')?;
            if !is_ipv6(host) {
                return None;
            }
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at_checked(end)?;
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            let is_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            if host.is_empty() || !is_name || (is_numeric && !is_ipv4(host)) {
                return None;
            }
            (host, port)
        }
    };
    let is_port = |digits: &str| decimal(digits, 5).is_some_and(|port| (1..=65_535).contains(&port));
    let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (!host.is_empty() && has_port).then_some(scheme)
}

fn decimal(digits: &str, most: usize) -> Option<u32> {
    let is_sane = (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_sane.then(|| {
        digits.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(10).wrapping_add(u32::from(byte & 15)))
    })
}

/// Four numbers, none with zeros in front.
fn is_ipv4(text: &str) -> bool {
    let is_byte = |part: &str| {
        decimal(part, 3).is_some_and(|number| number < 256) && (part.len() == 1 || !part.starts_with('0'))
    };
    text.split('.').count() == 4 && text.split('.').all(is_byte)
}

/// Eight groups of hexadecimal digits, of which one gap may stand for several and an IPv4 address for the last two.
fn is_ipv6(text: &str) -> bool {
    let (mut groups, mut gaps) = (0_usize, 0_usize);
    let inner = match (text.strip_prefix("::"), text.strip_suffix("::")) {
        _ if text == "::" => return true,
        (Some(inner), None) | (None, Some(inner)) => {
            gaps = 1;
            inner
        }
        _ => text,
    };
    let mut parts = inner.split(':').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if part.is_empty() && !is_last && groups > 0 {
            gaps = gaps.saturating_add(1);
        } else if part.contains('.') && is_last && is_ipv4(part) {
            groups = groups.saturating_add(2);
        } else if (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            groups = groups.saturating_add(1);
        } else {
            return false;
        }
    }
    match gaps {
        0 => groups == 8,
        1 => groups < 8,
        _ => false,
    }
}

/// A request about objects other than 0 to 2. They are kept in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEntry<'a> {
    Write { base: Path, content: Content<'a> },
    Delete { path: Path },
}

/// What is too much of a configuration is answered with.
pub(crate) const FULL: Refusal =
    refusal!(Code::REQUEST_ENTITY_TOO_LARGE, "the configuration is larger than this device's memory for it");

impl LogEntry<'_> {
    pub(crate) fn save(&self, writer: &mut Record<'_>) {
        let (path, content) = match self {
            Self::Write { base, content } => (base, Some(content)),
            Self::Delete { path } => (path, None),
        };
        writer.byte(u8::from(content.is_some()) << 7 | path.len() as u8);
        path.ids().iter().for_each(|id| writer.uint((*id).into()));
        if let Some(content) = content {
            writer.uint(content.format.0.into());
            writer.bytes(content.payload);
        }
    }
}

/// The entries of a log; a malformed one ends them.
pub(crate) fn entries(log: &[u8]) -> impl Iterator<Item = LogEntry<'_>> {
    let mut reader = RecordReader(log);
    core::iter::from_fn(move || take_entry(&mut reader))
}

fn take_entry<'a>(reader: &mut RecordReader<'a>) -> Option<LogEntry<'a>> {
    let kind = reader.byte()?;
    let mut path = Path::ROOT;
    for _ in 0..kind & 0x7f {
        path = path.child(u16::try_from(reader.uint()?).ok()?)?;
    }
    if kind & 0x80 == 0 {
        return Some(LogEntry::Delete { path });
    }
    let format = ContentFormat(u16::try_from(reader.uint()?).ok()?);
    Some(LogEntry::Write { base: path, content: Content { format, payload: reader.bytes()? } })
}

impl<S: Shape> Tree<'_, '_, S> {
    /// Whether a payload about objects other than 0 to 2 can be written. A Bootstrap-Pack may speak of objects that this
    /// device doesn't have.
    pub(crate) fn check_others(
        &self,
        base: Path,
        content: Content<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        if let Some(object) = base.object_id().filter(|id| !ACCOUNTS.contains(id)) {
            self.check_object(object)?;
        }
        each_item(base, content, &mut |item| self.check_other(item, scratch))
    }

    fn check_other(&self, item: &Item<'_>, scratch: &mut [u8]) -> Result<(), Refusal> {
        let (Some(object), Some(at), Some(raw)) = (item.path.object_id(), at(item.path), item.value) else {
            return Ok(());
        };
        if ACCOUNTS.contains(&object) {
            return Ok(());
        }
        let Some(found) = self.get(object) else { return Ok(()) };
        let Some(resource) = found.definition().resource(at.resource) else { return Ok(()) };
        let index = item.path.resource_instance_id();
        if resource.is_multiple() != index.is_some() {
            return Err(refusal!(
                Code::BAD_REQUEST,
                "the resource's values and the payload's don't go together"
            ));
        }
        let value = raw.resolve(resource.value_type, scratch).map_err(unwritable)?;
        if resource.streamed || !self.has_instance(object, at.instance) {
            return Ok(());
        }
        if !resource.is_writable() {
            return Err(refusal!(Code::METHOD_NOT_ALLOWED, "the resource can't be written"));
        }
        found.check(at, index, &value)
    }

    /// Carries out what was kept. What is done twice is as if it was done once.
    pub(crate) fn replay(
        &mut self,
        context: &mut Context<'_>,
        log: &[u8],
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        for entry in entries(log) {
            match entry {
                LogEntry::Delete { path } => self.replay_delete(context, path),
                LogEntry::Write { base, content } => {
                    each_item(base, content, &mut |item| self.replay_item(context, item, scratch))?;
                }
            }
        }
        Ok(())
    }

    fn replay_item(
        &mut self,
        context: &mut Context<'_>,
        item: &Item<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Refusal> {
        let (Some(object), Some(instance)) = (item.path.object_id(), item.path.instance_id()) else {
            return Ok(());
        };
        if ACCOUNTS.contains(&object) {
            return Ok(());
        }
        if !self.has_instance(object, instance) {
            let Some(found) = self.get_mut(object) else { return Ok(()) };
            found.create(context, instance)?;
            context.instances_changed(object);
        }
        let resource = item.path.resource_id().and_then(|id| self.get(object)?.definition().resource(id));
        if resource.is_some() { self.write_item(context, item, scratch) } else { Ok(()) }
    }

    /// Instances that can't go, such as a sensor's, stay.
    fn replay_delete(&mut self, context: &mut Context<'_>, path: Path) {
        let mut next = self.object_after(None);
        while let Some(object) = next {
            next = self.object_after(Some(object));
            let is_named = path.object_id().is_none_or(|id| id == object);
            if !is_named || ACCOUNTS.contains(&object) || object == DEVICE {
                continue;
            }
            self.delete_instances(context, object, path.instance_id());
        }
    }

    fn delete_instances(&mut self, context: &mut Context<'_>, object: u16, only: Option<u16>) {
        let Some(found) = self.get_mut(object) else { return };
        let mut instance = found.instance_after(None);
        while let Some(id) = instance {
            instance = found.instance_after(Some(id));
            if only.is_none_or(|only| only == id) && found.delete(context, id).is_ok() {
                context.instances_changed(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Sensor;

    #[test]
    fn a_uri_names_a_scheme_a_host_and_perhaps_a_port() {
        for uri in [
            "coap://192.0.2.1",
            "coaps://lwm2m.example.org:5684",
            "coaps://[2001:db8::1]:5684/",
            "coap://h/",
            "CoAP://h",
            "COAPS://h",
        ] {
            assert!(scheme(uri).is_some(), "{uri}");
        }
        for uri in [
            "",
            "coap",
            "coap://",
            "coap://:5683",
            "http://example.org",
            "coap://h:0",
            "coap://h:65536",
            "coap://h:x",
            "coap://[::1",
            "coap://[h]",
            "coap://a b",
            "coap://h/path",
            "coap://999.1.1.1",
            "coap://h:",
            "coaps://h:+1",
        ] {
            assert!(scheme(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn addresses_of_both_kinds_are_known_as_the_standard_library_knows_them() {
        use core::net::{Ipv4Addr, Ipv6Addr};
        for text in [
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1::3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "1::2::3",
            ":::",
            "",
            ":",
            "1:",
            ":1",
            "12345::",
            "g::",
            "::ffff:192.0.2.1",
            "::192.0.2.256",
            "1:2:3:4:5:6:192.0.2.1",
            "2001:db8::1",
            "::1::",
            "192.0.2.1",
            "192.0.2",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.",
            "0.0.0.0",
            "1:2:3:4:5:6:7:8:9",
            "::1.2.3.4:1",
        ] {
            assert_eq!(is_ipv6(text), text.parse::<Ipv6Addr>().is_ok(), "{text}");
            assert_eq!(is_ipv4(text), text.parse::<Ipv4Addr>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_log_gives_back_what_it_was_given() {
        let content = Content { format: ContentFormat::TLV, payload: &[1, 2, 3] };
        let written = [
            LogEntry::Delete { path: Path::ROOT },
            LogEntry::Write { base: Path::resource(3, 0, 14), content },
            LogEntry::Delete { path: Path::instance(19, 65000) },
        ];
        let mut buffer = [0; 32];
        let mut writer = Record::new(&mut buffer);
        written.iter().for_each(|entry| entry.save(&mut writer));
        let length = writer.fitting().unwrap();
        assert!(entries(&buffer[..length]).eq(written));
    }

    #[test]
    fn staged_accounts_are_what_they_were_after_they_were_kept() {
        let mut accounts = Accounts::<Sensor>::new(LwM2mVersion::V1_1);
        let security = Security::psk("coaps://h", b"identity", b"key").unwrap();
        accounts.add(security, Server::new(7, 60)).unwrap();
        accounts.set_bootstrap(Security::none("coap://b").unwrap());
        let mut access = AccessObject::new();
        access.add(AccessControl::new(3, 0, 7));
        let staged = StagedAccounts::of(&accounts, &access);
        let mut buffer = [0; 256];
        let mut writer = Record::new(&mut buffer);
        staged.save(&mut writer);
        let length = writer.fitting().unwrap();
        let mut read = StagedAccounts::<Sensor>::empty(LwM2mVersion::V1_1);
        read.load(&mut RecordReader(&buffer[..length])).unwrap();
        let mut again = [0; 256];
        let mut writer = Record::new(&mut again);
        read.save(&mut writer);
        assert_eq!(writer.fitting(), Some(length));
        assert_eq!(buffer, again);
        assert!(read.check().is_ok());
    }
}
