//! Server accounts: the Security object (0) and the Server object (1) (LwM2M Core 1.1, appendices E.1 and E.2).
//!
//! A server account is an instance of each with the same short server id. The engine keeps both, because it acts on them.
//! Servers can see and change object 1; object 0 is for the bootstrap interface alone.

mod security;
mod server;

use buoy_coap::number::Code;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::value::Value;

use crate::effects::ServerSlot;
use crate::object::{Object as _, Refusal, refusal};
use crate::shape::{Array, Body, Shape};

pub use security::{SERVER_NAME_MAX, SUITES_MAX, Security, SecurityMode, TlsSettings, URI_MAX};
pub use server::Server;

pub(crate) use security::{SecurityObject, security_value_type};
pub(crate) use server::{
    RECORD_OF_SERVER_MAX, ServerObject, Wish, read_servers, server_value_type, write_servers,
};

/// The accounts of a device: servers, and one bootstrap server.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<S: Shape> {
    pub(crate) security: SecurityObject<S>,
    pub(crate) servers: ServerObject<S>,
}

impl<S: Shape> Accounts<S> {
    #[inline(always)]
    pub(crate) fn new(version: LwM2mVersion) -> Self {
        Self {
            security: SecurityObject::empty(),
            servers: ServerObject {
                instances: Array::repeat(None),
                wishes: Array::repeat(Wish::Nothing),
                version,
            },
        }
    }

    /// Adds an account or replaces that of the same short server id.
    pub(crate) fn add(&mut self, security: Security<S>, server: Server) -> Option<ServerSlot> {
        let id = server.short_server_id;
        let places = self.servers.instances.iter();
        let same = places.clone().position(|place| place.is_some_and(|known| known.short_server_id == id));
        let index = same.or_else(|| self.servers.instances.iter().position(Option::is_none))?;
        let slot = u8::try_from(index).ok()?;
        let instance = self.servers.instances.get(index)?.as_ref().map(|known| known.instance);
        let instance = instance.or_else(|| self.servers.free_instance())?;
        let secured = self.security.instances.get(index)?.as_ref().map(|known| known.instance);
        let secured = secured.or_else(|| self.security.free_instance())?;
        *self.servers.instances.get_mut(index)? = Some(Server { instance, ..server });
        *self.security.instances.get_mut(index)? =
            Some(Security { short_server_id: id, instance: secured, ..security });
        Some(ServerSlot(slot))
    }

    /// Takes stored records in place of the accounts of the factory: both or, with the object whose record is at fault, neither. An
    /// empty record of object 0 is at fault too, since a device without any account is saved by nobody. An account of object 1 without
    /// one of object 0 leads nowhere.
    pub(crate) fn read_records(&mut self, security: &[u8], servers: &[u8]) -> Result<(), u16> {
        let mut read = Self::new(self.servers.version);
        read.security.read_record(security).ok_or(0u16)?;
        read.servers.read_record(servers).ok_or(1u16)?;
        let pairs = read.security.instances.iter().zip(read.servers.instances.iter());
        let is_whole = pairs.clone().all(|(security, server)| security.is_some() == server.is_some());
        if !is_whole {
            return Err(1);
        }
        (self.security, self.servers.instances) = (read.security, read.servers.instances);
        Ok(())
    }

    /// Puts back what was at a place before an [`Accounts::add`].
    pub(crate) fn put_back(&mut self, slot: ServerSlot, before: Option<(Security<S>, Server)>) {
        let index = usize::from(slot.0);
        if let Some(place) = self.security.instances.get_mut(index) {
            *place = before.map(|(security, _)| security);
        }
        if let Some(place) = self.servers.instances.get_mut(index) {
            *place = before.map(|(_, server)| server);
        }
    }

    /// The account of a short server id.
    pub(crate) fn with_id(&self, id: u16) -> Option<(Security<S>, Server)> {
        let mut pairs = self.security.instances.iter().zip(self.servers.instances.iter());
        pairs.find_map(|(security, server)| {
            let server = (*server).filter(|server| server.short_server_id == id)?;
            Some(((*security)?, server))
        })
    }

    /// Whether the record of object 0 can be stored; that of object 1 always can, see [`RECORD_OF_SERVER_MAX`].
    pub(crate) fn fit(&self) -> bool {
        let mut record = Body::<S>::ZEROES;
        self.security.save(&mut record).is_some()
    }

    /// Sets the account of the bootstrap server, in place of the one before.
    #[cfg(feature = "bootstrap")]
    pub(crate) fn set_bootstrap(&mut self, security: Security<S>) {
        let known = self.security.bootstrap().map(|known| known.instance);
        let instance = known.or_else(|| self.security.free_instance()).unwrap_or(u16::MAX.saturating_sub(1));
        self.security.set_bootstrap(Some(Security { short_server_id: 0, instance, ..security }));
    }

    pub(crate) fn server(&self, slot: ServerSlot) -> Option<&Server> {
        self.servers.instances.get(usize::from(slot.0))?.as_ref()
    }

    pub(crate) fn take_wish(&mut self, slot: ServerSlot) -> Wish {
        self.servers.wishes.get_mut(usize::from(slot.0)).map(core::mem::take).unwrap_or_default()
    }

    pub(crate) fn security(&self, slot: ServerSlot) -> Option<&Security<S>> {
        self.security.instances.get(usize::from(slot.0))?.as_ref()
    }

    /// How many servers there are besides the bootstrap server.
    pub(crate) fn count(&self) -> usize {
        self.servers.instances.iter().flatten().count()
    }
}

fn seconds(value: &Value<'_>) -> Result<u32, Refusal> {
    let number = match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::UnsignedInteger(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or(refusal!(Code::BAD_REQUEST, "the number is negative or too large"))
}

pub(crate) fn flag(value: &Value<'_>) -> Result<bool, Refusal> {
    match value {
        Value::Boolean(flag) => Ok(*flag),
        _ => Err(Refusal::BAD_VALUE),
    }
}
