//! How a server is reached, and what proves who is who: the Security object (0) (LwM2M Core 1.1, appendix E.1).
//!
//! Servers never see it; a bootstrap server writes it.

use buoy_coap::number::Code;
use buoy_lwm2m::value::{Value, ValueType};

use super::seconds;
use crate::features::{BOOTSTRAP, TLS_SETTINGS};
use crate::object::{At, Clock, Object, ObjectDefinition, Refusal, Sink, refusal};
use crate::record::{Record, RecordReader};
use crate::shape::{Array, Chip, Shape, UpTo};
use crate::text::{Bytes, Text, TooLong};

/// The most bytes of a server's URI.
pub const URI_MAX: usize = 128;
/// The most bytes of a server's name for SNI; none without the feature `tls-settings`.
pub const SERVER_NAME_MAX: usize = if TLS_SETTINGS { 64 } else { 0 };
/// The most cipher suites that an account allows; none without the feature `tls-settings`.
pub const SUITES_MAX: usize = if TLS_SETTINGS { 4 } else { 0 };

/// How to reach a server, and what proves who is who: an instance of object 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Security<S: Shape = Chip> {
    /// The URI, as in `coap://192.0.2.1:5683`.
    pub uri: Text<URI_MAX>,
    /// Which kind of credentials.
    pub mode: SecurityMode,
    /// The identity (PSK), or the device's public key or certificate.
    pub identity: Bytes<S::Key>,
    /// The server's public key or certificate.
    pub server_key: Bytes<S::Key>,
    /// The secret key.
    pub secret_key: Bytes<S::Key>,
    /// The short id of the server; 0 for a bootstrap server.
    pub short_server_id: u16,
    /// Object instance id.
    pub instance: u16,
    /// Seconds to wait before asking the bootstrap server (0/x/11).
    pub hold_off: u32,
    /// Seconds after a bootstrap until the bootstrap server's account goes (0/x/12); 0 is never.
    pub account_timeout: u32,
    /// How the server is to prove itself, beyond its key.
    pub tls: TlsSettings,
}

/// What an account says of the handshake with its server: resources 13 to 16 of object 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// What of the server's certificate is compared (0/x/13): 0 is all of it, 1 its SHA-256.
    pub matching_type: u8,
    /// The name that is asked for, and that the server's certificate must have (0/x/14); empty: the host of the URI.
    pub server_name: Text<SERVER_NAME_MAX>,
    /// What the server's certificate is to the account (0/x/15), 0 to 3: an authority on the way to the device's trust store, a
    /// certificate that leads there, an authority, the server's own.
    pub certificate_usage: u8,
    /// The numbers of the cipher suites to offer (0/x/16); without any the device chooses.
    pub suites: [Option<u16>; SUITES_MAX],
}

impl TlsSettings {
    /// The server has exactly the certificate of the account.
    pub const DEFAULT: Self =
        Self { matching_type: 0, server_name: Text::EMPTY, certificate_usage: 3, suites: [None; SUITES_MAX] };

    /// Allows one more suite; [`TooLong`] if there are as many as there is memory for.
    fn add_suite(&mut self, number: u16) -> Result<(), TooLong> {
        let mut places = self.suites.iter_mut();
        *places.find(|place| place.is_none()).ok_or(TooLong)? = Some(number);
        Ok(())
    }

    fn save(&self, writer: &mut Record<'_>) {
        writer.byte(self.matching_type);
        writer.byte(self.certificate_usage);
        writer.bytes(self.server_name.as_str().as_bytes());
        writer.byte(self.suites.iter().flatten().count() as u8);
        self.suites.iter().flatten().for_each(|number| writer.uint(u64::from(*number)));
    }

    fn load(reader: &mut RecordReader<'_>) -> Option<Self> {
        let mut settings =
            Self { matching_type: reader.byte()?, certificate_usage: reader.byte()?, ..Self::DEFAULT };
        settings.server_name = Text::new(core::str::from_utf8(reader.bytes()?).ok()?).ok()?;
        for _ in 0..reader.byte()? {
            settings.add_suite(u16::try_from(reader.uint()?).ok()?).ok()?;
        }
        Some(settings)
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which kind of credentials an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityMode {
    /// A shared key.
    PreSharedKey = 0,
    /// Raw public keys.
    RawPublicKey = 1,
    /// Certificates.
    Certificate = 2,
    /// None.
    #[default]
    NoSecurity = 3,
    /// Certificates that the device enrols for.
    CertificateEnrolment = 4,
}

impl<S: Shape> Security<S> {
    /// The account of a server without credentials.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`] bytes.
    pub fn none(uri: &str) -> Result<Self, TooLong> {
        Ok(Self { uri: Text::new(uri)?, ..Self::default() })
    }

    /// The account of a server with a shared key.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`], or an identity or key of more than [`Shape::Key`] bytes.
    pub fn psk(uri: &str, identity: &[u8], key: &[u8]) -> Result<Self, TooLong> {
        Ok(Self {
            uri: Text::new(uri)?,
            mode: SecurityMode::PreSharedKey,
            identity: Bytes::new(identity)?,
            secret_key: Bytes::new(key)?,
            ..Self::default()
        })
    }

    /// The account of a server that has a raw public key, in DER `SubjectPublicKeyInfo` like the device's own; the secret key
    /// is in PKCS#8.
    ///
    /// # Errors
    /// [`TooLong`] for a URI of more than [`URI_MAX`], or a key of more than [`Shape::Key`] bytes.
    pub fn raw_public_key(
        uri: &str,
        public: &[u8],
        secret: &[u8],
        server_public: &[u8],
    ) -> Result<Self, TooLong> {
        Ok(Self {
            uri: Text::new(uri)?,
            mode: SecurityMode::RawPublicKey,
            identity: Bytes::new(public)?,
            server_key: Bytes::new(server_public)?,
            secret_key: Bytes::new(secret)?,
            ..Self::default()
        })
    }

    /// The account of a server that has a certificate, which [`TlsSettings`] says how to judge by `server`. The device's own
    /// certificate and those above it are in DER, one after the other.
    ///
    /// # Errors
    /// As [`Security::raw_public_key`].
    pub fn certificate(uri: &str, chain: &[u8], secret: &[u8], server: &[u8]) -> Result<Self, TooLong> {
        Ok(Self { mode: SecurityMode::Certificate, ..Self::raw_public_key(uri, chain, secret, server)? })
    }

    /// An instance with the id of its place needs no mention of it, nor does one without times for a bootstrap or with the usual
    /// handshake.
    pub(crate) fn save(&self, place: u16, writer: &mut Record<'_>) {
        let has_instance = self.instance != place;
        let has_times = self.hold_off != 0 || self.account_timeout != 0;
        writer.uint(u64::from(self.short_server_id));
        let has_tls = TLS_SETTINGS && self.tls != TlsSettings::DEFAULT;
        let flags = u8::from(has_instance) << 7 | u8::from(has_times) << 6 | u8::from(has_tls) << 5;
        writer.byte(self.mode as u8 | flags);
        if has_instance {
            writer.uint(u64::from(self.instance));
        }
        if has_times {
            writer.uint(u64::from(self.hold_off));
            writer.uint(u64::from(self.account_timeout));
        }
        if has_tls {
            self.tls.save(writer);
        }
        writer.bytes(self.uri.as_str().as_bytes());
        writer.bytes(self.identity.as_slice());
        writer.bytes(self.server_key.as_slice());
        writer.bytes(self.secret_key.as_slice());
    }

    pub(crate) fn load(place: u16, reader: &mut RecordReader<'_>) -> Option<Self> {
        let short_server_id = u16::try_from(reader.uint()?).ok()?;
        let flags = reader.byte()?;
        let mode = SecurityMode::of(i64::from(flags & 0x1f)).unwrap_or(SecurityMode::CertificateEnrolment);
        let mut number = |is_there: bool| if is_there { reader.uint() } else { Some(0) };
        let (has_instance, has_times) = (flags & 0x80 != 0, flags & 0x40 != 0);
        let instance = u16::try_from(number(has_instance)?).ok()?;
        let hold_off = u32::try_from(number(has_times)?).ok()?;
        let account_timeout = u32::try_from(number(has_times)?).ok()?;
        let tls = match flags & 0x20 {
            0 => TlsSettings::DEFAULT,
            _ if TLS_SETTINGS => TlsSettings::load(reader)?,
            _ => return None,
        };
        Some(Self {
            tls,
            short_server_id,
            instance: if has_instance { instance } else { place },
            hold_off,
            account_timeout,
            mode,
            uri: Text::new(core::str::from_utf8(reader.bytes()?).ok()?).ok()?,
            identity: Bytes::new(reader.bytes()?).ok()?,
            server_key: Bytes::new(reader.bytes()?).ok()?,
            secret_key: Bytes::new(reader.bytes()?).ok()?,
        })
    }
}

impl SecurityMode {
    const fn of(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::PreSharedKey,
            1 => Self::RawPublicKey,
            2 => Self::Certificate,
            3 => Self::NoSecurity,
            4 => Self::CertificateEnrolment,
            _ => return None,
        })
    }
}

/// The types of what a bootstrap server writes to object 0 and this device makes use of; 0/x/1 is for whoever keeps the
/// instance.
pub(crate) const fn security_value_type(resource: u16) -> Option<ValueType> {
    Some(match resource {
        0 => ValueType::String,
        1 => ValueType::Boolean,
        2 | 10..=12 => ValueType::Integer,
        3..=5 => ValueType::Opaque,
        13 | 15 | 16 if TLS_SETTINGS => ValueType::UnsignedInteger,
        14 if TLS_SETTINGS => ValueType::String,
        17 => ValueType::ObjectLink,
        _ => return None,
    })
}

impl<S: Shape> Security<S> {
    /// Sets one resource; with a refusal nothing.
    pub(crate) fn set(&mut self, resource: u16, value: &Value<'_>) -> Result<(), Refusal> {
        const LONG: Refusal =
            refusal!(Code::BAD_REQUEST, "the URI or key is longer than this device's memory for it");
        const UNMATCHED: Refusal =
            refusal!(Code::BAD_REQUEST, "this device compares certificates whole (0) or by SHA-256 (1)");
        const UNUSABLE: Refusal = refusal!(Code::BAD_REQUEST, "the certificate usage is 0 to 3");
        match (resource, value) {
            (0, Value::String(uri)) => self.uri = Text::new(uri).map_err(|_| LONG)?,
            (2, Value::Integer(mode)) => {
                self.mode = SecurityMode::of(*mode)
                    .ok_or(refusal!(Code::BAD_REQUEST, "the security mode is 0 to 4"))?;
            }
            (3, Value::Opaque(bytes)) => self.identity = Bytes::new(bytes).map_err(|_| LONG)?,
            (4, Value::Opaque(bytes)) => self.server_key = Bytes::new(bytes).map_err(|_| LONG)?,
            (5, Value::Opaque(bytes)) => self.secret_key = Bytes::new(bytes).map_err(|_| LONG)?,
            (10, Value::Integer(id)) => {
                self.short_server_id = u16::try_from(*id).map_err(|_| Refusal::BAD_VALUE)?;
            }
            (11, _) => self.hold_off = seconds(value)?,
            (12, _) => self.account_timeout = seconds(value)?,
            (13, _) => self.tls.matching_type = at_most(value, 1, UNMATCHED)?,
            (14, Value::String(name)) => self.tls.server_name = Text::new(name).map_err(|_| LONG)?,
            (15, _) => self.tls.certificate_usage = at_most(value, 3, UNUSABLE)?,
            (16, _) => {
                let number = u16::try_from(seconds(value)?).map_err(|_| Refusal::BAD_VALUE)?;
                self.tls.add_suite(number).map_err(|_| Refusal::NO_ROOM)?;
            }
            (17, _) => return Err(refusal!(Code::BAD_REQUEST, "this device has no OSCORE")),
            _ => return Err(Refusal::BAD_VALUE),
        }
        Ok(())
    }
}

/// The bootstrap server's account has a place in a device that knows bootstrap.
type BootstrapPlaces = UpTo<{ BOOTSTRAP as usize }>;

#[derive(Clone, Copy)]
pub(crate) struct SecurityObject<S: Shape> {
    bootstrap: Array<Option<Security<S>>, BootstrapPlaces>,
    pub(crate) instances: Array<Option<Security<S>>, S::Servers>,
}

impl<S: Shape> SecurityObject<S> {
    #[inline(always)]
    pub(crate) fn empty() -> Self {
        Self { bootstrap: Array::repeat(None), instances: Array::repeat(None) }
    }

    /// Takes what [`SecurityObject::write`] wrote; `None`, and nothing is changed, if it cannot be read whole or holds no account.
    pub(crate) fn read_record(&mut self, record: &[u8]) -> Option<()> {
        let mut read = Self::empty();
        let mut reader = RecordReader(record);
        while let Some(index) = reader.byte() {
            let security = Security::load(u16::from(index), &mut reader)?;
            match index {
                u8::MAX => read.set_bootstrap(Some(security)),
                _ => *read.instances.get_mut(usize::from(index))? = Some(security),
            }
        }
        *self = read;
        self.ids().next().map(|_| ())
    }

    /// The account of the bootstrap server.
    pub(crate) fn bootstrap(&self) -> Option<&Security<S>> {
        self.bootstrap.first()?.as_ref()
    }

    /// Puts an account in the bootstrap server's place, if there is one.
    pub(crate) fn set_bootstrap(&mut self, account: Option<Security<S>>) {
        if let Some(place) = self.bootstrap.first_mut() {
            *place = account;
        }
    }

    fn ids(&self) -> impl Iterator<Item = u16> {
        self.instances.iter().chain(self.bootstrap.iter()).flatten().map(|security| security.instance)
    }

    pub(super) fn free_instance(&self) -> Option<u16> {
        (0..u16::MAX).find(|id| self.ids().all(|known| known != *id))
    }

    pub(crate) fn write(&self, writer: &mut Record<'_>) {
        for (index, security) in self.instances.iter().enumerate() {
            let Some(security) = security else { continue };
            writer.byte(index as u8);
            security.save(index as u16, writer);
        }
        if let Some(security) = self.bootstrap() {
            writer.byte(u8::MAX);
            security.save(u16::from(u8::MAX), writer);
        }
    }
}

/// Object 0. Nothing of it can be seen through this trait: servers have no business there, and the engine reads it directly.
static SECURITY: ObjectDefinition = ObjectDefinition::new(0, &[]).version(1, 1);

impl<S: Shape> Object for SecurityObject<S> {
    fn definition(&self) -> &'static ObjectDefinition {
        &SECURITY
    }

    fn instance_after(&self, previous: Option<u16>) -> Option<u16> {
        self.ids().filter(|id| previous.is_none_or(|previous| *id > previous)).min()
    }

    fn read(&self, _: &Clock, _: At, _: &mut Sink<'_>) -> Result<(), Refusal> {
        Err(Refusal::UNAUTHORIZED)
    }

    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        self.write(&mut writer);
        writer.fitting()
    }
}

fn at_most(value: &Value<'_>, most: u8, refusal: Refusal) -> Result<u8, Refusal> {
    u8::try_from(seconds(value)?).ok().filter(|number| *number <= most).ok_or(refusal)
}
