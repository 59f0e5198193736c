//! The configuration that a bootstrap writes to a device.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv6Addr;

use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::{Encoder, FormatError};
use buoy_lwm2m::operation::Binding;
use buoy_lwm2m::path::{Level, Path};
use buoy_lwm2m::value::Value;
use serde::{Deserialize, Serialize};

use super::session::Accounts;

/// The most bytes of one request's payload.
const LARGEST_PAYLOAD: usize = 16 * 1024;

/// The configuration of a device: what is deleted and what is written.
///
/// Instances are keyed by their id. Paths have the form `/0` or `/19/1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapConfig {
    /// Paths to delete first: the root, objects or instances.
    pub delete: Vec<String>,
    /// Whether to send Bootstrap-Discover before anything is changed.
    pub discover: bool,
    /// Paths of objects 1 and 2 to read before anything is changed (since LwM2M 1.1).
    pub read: Vec<String>,
    /// Whether the ids in `security` give only the order of the accounts. The server then asks the device which instance is its account of this
    /// bootstrap server, and does not overwrite that instance.
    pub auto_security_ids: bool,
    /// Instances of object 0.
    pub security: BTreeMap<u16, SecurityConfig>,
    /// Instances of object 1.
    pub servers: BTreeMap<u16, ServerConfig>,
    /// Instances of object 2.
    pub acls: BTreeMap<u16, AclConfig>,
    /// Resources of other objects.
    pub writes: Vec<ResourceWrite>,
}

/// How to reach a server: an instance of object 0.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityConfig {
    /// As in `coaps://lwm2m.example.org:5684`.
    pub uri: String,
    /// Whether it is a bootstrap server.
    #[serde(default)]
    pub bootstrap: bool,
    /// Which kind of credentials.
    pub mode: SecurityMode,
    /// The identity (PSK), or the device's public key or certificate.
    #[serde(default)]
    pub identity: Vec<u8>,
    /// The server's public key or certificate.
    #[serde(default)]
    pub server_key: Vec<u8>,
    /// The secret key.
    #[serde(default)]
    pub secret_key: Vec<u8>,
    /// The short id of the server; none for a bootstrap server.
    #[serde(default)]
    pub short_server_id: Option<u16>,
    /// Seconds that the device waits before it asks this bootstrap server.
    #[serde(default)]
    pub hold_off: Option<u32>,
    /// Seconds after which the device forgets this bootstrap server.
    #[serde(default)]
    pub account_timeout: Option<u32>,
}

/// Which kind of credentials an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecurityMode {
    /// A shared key.
    Psk,
    /// Raw public keys.
    Rpk,
    /// Certificates.
    X509,
    /// None.
    None,
}

/// The settings of a server on the device: an instance of object 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The short id, 1 to 65534.
    pub short_server_id: u16,
    /// Lifetime of a registration in seconds; 0 is for ever (Server object 1.2, resource 1).
    pub lifetime: u32,
    /// The default `pmin`, in seconds.
    #[serde(default)]
    pub default_pmin: Option<u32>,
    /// The default `pmax`, in seconds.
    #[serde(default)]
    pub default_pmax: Option<u32>,
    /// How long the server stays disabled after Disable, in seconds.
    #[serde(default)]
    pub disable_timeout: Option<u32>,
    /// Whether the device stores notifications while it is offline.
    #[serde(default)]
    pub store_notifications: Option<bool>,
    /// The transports, as in `U` or `UQ`.
    #[serde(default = "udp")]
    pub binding: String,
    /// Whether the device requests a bootstrap when it can't reach this server (since 1.1).
    #[serde(default)]
    pub bootstrap_on_failure: Option<bool>,
}

fn udp() -> String {
    "U".to_owned()
}

/// The access rights to an object instance: an instance of object 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclConfig {
    /// The object.
    pub object: u16,
    /// Its instance; 65535 for the right to create one.
    pub instance: u16,
    /// The rights by short server id: the sum of 1 read, 2 write, 4 execute, 8 delete, 16 create. 0 stands for all others.
    #[serde(default)]
    pub rights: BTreeMap<u16, u16>,
    /// The short id of the server that may change this; 65535 for none.
    pub owner: u16,
}

/// A resource of an object other than 0, 1 and 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceWrite {
    /// A resource or a resource instance, as in `/3/0/14`.
    pub path: String,
    /// The value.
    pub value: ConfigValue,
}

/// The value of a resource, with its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigValue {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes.
    Opaque(Vec<u8>),
    /// Seconds since 1970.
    Time(i64),
}

/// Why a configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It has no server, so the device could not register anywhere.
    NoServer,
    /// A path is not of the required kind.
    BadPath(String),
    /// An instance of object 1 has no account in object 0.
    ServerWithoutSecurity(u16),
    /// An instance of object 0 has no server in object 1.
    SecurityWithoutServer(u16),
    /// Two instances of one object have this short server id.
    DuplicateShortId(u16),
    /// A short server id that is not in 1 to 65534.
    BadShortId(u16),
    /// The URI of this instance of object 0 is not as in `coaps://host:port`, or its scheme doesn't go with the mode.
    BadUri(u16),
    /// This instance of object 0 lacks an identity or a key for its mode.
    MissingKey(u16),
    /// More than one bootstrap server.
    TwoBootstrapServers,
    /// The binding of this instance of object 1 is invalid.
    BadBinding(u16),
    /// This instance of object 2 names servers that don't exist, the objects 0 or 2, or undefined rights.
    BadAcl(u16),
    /// A value can't be encoded in the format that the device requests, or is too large.
    Unwritable {
        /// Where.
        path: String,
        /// Why.
        reason: String,
    },
}

impl BootstrapConfig {
    /// Checks whether a device can accept it. What a device would refuse at Bootstrap-Finish is refused here, before it is sent.
    ///
    /// # Errors
    /// [`ConfigProblem`]
    pub fn check(&self) -> Result<(), ConfigProblem> {
        self.paths(&self.delete, Level::Root..=Level::ObjectInstance)?;
        let readable = self.paths(&self.read, Level::Object..=Level::ObjectInstance)?;
        if let Some(path) = readable.iter().find(|path| !matches!(path.object_id(), Some(1 | 2))) {
            return Err(ConfigProblem::BadPath(path.to_string()));
        }
        for write in &self.writes {
            write.path()?;
        }
        if self.servers.is_empty() {
            return Err(ConfigProblem::NoServer);
        }
        if self.security.values().filter(|security| security.bootstrap).count() > 1 {
            return Err(ConfigProblem::TwoBootstrapServers);
        }
        self.check_accounts()?;
        self.acls.iter().try_for_each(|(id, acl)| self.check_acl(*id, acl))
    }

    fn check_accounts(&self) -> Result<(), ConfigProblem> {
        let mut servers = BTreeSet::new();
        for (id, server) in &self.servers {
            let short_id = server.short_server_id;
            if !(1..u16::MAX).contains(&short_id) {
                return Err(ConfigProblem::BadShortId(short_id));
            }
            if !servers.insert(short_id) {
                return Err(ConfigProblem::DuplicateShortId(short_id));
            }
            server.binding.parse::<Binding>().map_err(|_| ConfigProblem::BadBinding(*id))?;
        }
        let mut secured = BTreeSet::new();
        for (id, security) in &self.security {
            security.check(*id)?;
            let Some(short_id) = security.short_server_id.filter(|_| !security.bootstrap) else {
                if security.bootstrap {
                    continue;
                }
                return Err(ConfigProblem::SecurityWithoutServer(*id));
            };
            if !servers.contains(&short_id) {
                return Err(ConfigProblem::SecurityWithoutServer(*id));
            }
            if !secured.insert(short_id) {
                return Err(ConfigProblem::DuplicateShortId(short_id));
            }
        }
        let bare = self.servers.iter().find(|(_, server)| !secured.contains(&server.short_server_id));
        bare.map_or(Ok(()), |(id, _)| Err(ConfigProblem::ServerWithoutSecurity(*id)))
    }

    fn check_acl(&self, id: u16, acl: &AclConfig) -> Result<(), ConfigProblem> {
        let is_server =
            |short_id: u16| self.servers.values().any(|server| server.short_server_id == short_id);
        let has_owner = acl.owner == u16::MAX || is_server(acl.owner);
        let has_targets = !matches!(acl.object, 0 | 2);
        let has_rights =
            acl.rights.iter().all(|(server, rights)| *rights < 32 && (*server == 0 || is_server(*server)));
        if has_owner && has_targets && has_rights { Ok(()) } else { Err(ConfigProblem::BadAcl(id)) }
    }

    fn paths(
        &self,
        paths: &[String],
        levels: std::ops::RangeInclusive<Level>,
    ) -> Result<Vec<Path>, ConfigProblem> {
        let parse = |text: &String| {
            let path = if text == "/" { Some(Path::ROOT) } else { text.parse().ok() };
            let path = path.filter(|path: &Path| levels.contains(&path.level()));
            path.ok_or_else(|| ConfigProblem::BadPath(text.clone()))
        };
        paths.iter().map(parse).collect()
    }

    pub(crate) fn to_delete(&self) -> Result<Vec<Path>, ConfigProblem> {
        self.paths(&self.delete, Level::Root..=Level::ObjectInstance)
    }

    pub(crate) fn to_read(&self) -> Result<Vec<Path>, ConfigProblem> {
        self.paths(&self.read, Level::Object..=Level::ObjectInstance)
    }

    /// The Bootstrap-Writes: a payload for each instance, and one for each resource of another object.
    pub(crate) fn payloads(&self, format: ContentFormat) -> Result<Vec<(Path, Vec<u8>)>, ConfigProblem> {
        let mut payloads = Vec::new();
        for (id, security) in &self.security {
            payloads.push(encode(format, Path::instance(0, *id), &security.values(*id))?);
        }
        for (id, server) in &self.servers {
            payloads.push(encode(format, Path::instance(1, *id), &server.values(*id))?);
        }
        for (id, acl) in &self.acls {
            payloads.push(encode(format, Path::instance(2, *id), &acl.values(*id))?);
        }
        for write in &self.writes {
            let path = write.path()?;
            payloads.push(encode(format, path, &[(path, write.value.as_value())])?);
        }
        Ok(payloads)
    }

    /// The whole configuration in one payload.
    pub(crate) fn pack(&self, format: ContentFormat) -> Result<Vec<u8>, ConfigProblem> {
        let mut values = Vec::new();
        self.security.iter().for_each(|(id, security)| values.extend(security.values(*id)));
        self.servers.iter().for_each(|(id, server)| values.extend(server.values(*id)));
        self.acls.iter().for_each(|(id, acl)| values.extend(acl.values(*id)));
        for write in &self.writes {
            values.push((write.path()?, write.value.as_value()));
        }
        values.sort_by_key(|(path, _)| *path);
        encode(format, Path::ROOT, &values).map(|(_, payload)| payload)
    }

    /// Whether it deletes all accounts except that of the bootstrap server.
    pub(super) fn deletes_security(&self) -> bool {
        self.delete.iter().any(|path| path == "/" || path == "/0")
    }

    /// The same configuration with the bootstrap server's account at the instance where the device has it. The other accounts get ids that
    /// differ from this one and from all that may be the bootstrap server's account.
    pub(super) fn with_security_beside(&self, accounts: &Accounts) -> Self {
        let mut free = (0..u16::MAX).filter(|id| !accounts.may_be(*id));
        let place = |security: &SecurityConfig| match accounts.own().filter(|_| security.bootstrap) {
            Some(own) => Some(own),
            None => free.next(),
        };
        let placed = self.security.values().map(place).collect::<Vec<_>>();
        let security = placed.into_iter().flatten().zip(self.security.values().cloned()).collect();
        Self { security, ..self.clone() }
    }
}

/// Whether this is a host, perhaps with a port and a path behind it (RFC 3986 section 3.2).
fn is_authority(text: &str) -> bool {
    let authority = text.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => (address, rest.strip_prefix(':')),
            _ => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_name = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte))
    };
    is_name(host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl SecurityConfig {
    fn check(&self, id: u16) -> Result<(), ConfigProblem> {
        // A scheme is the same in any case (RFC 3986 section 3.1).
        let (scheme, authority) = self.uri.split_once("://").ok_or(ConfigProblem::BadUri(id))?;
        let is_secured = match scheme.to_ascii_lowercase().as_str() {
            "coap" if is_authority(authority) => false,
            "coaps" if is_authority(authority) => true,
            _ => return Err(ConfigProblem::BadUri(id)),
        };
        if is_secured != (self.mode != SecurityMode::None) {
            return Err(ConfigProblem::BadUri(id));
        }
        let has_own = !self.identity.is_empty() && !self.secret_key.is_empty();
        let has_keys = match self.mode {
            SecurityMode::Psk => has_own,
            SecurityMode::Rpk | SecurityMode::X509 => has_own && !self.server_key.is_empty(),
            SecurityMode::None => true,
        };
        if has_keys { Ok(()) } else { Err(ConfigProblem::MissingKey(id)) }
    }

    fn values(&self, instance: u16) -> Vec<(Path, Value<'_>)> {
        let mode = match self.mode {
            SecurityMode::Psk => 0,
            SecurityMode::Rpk => 1,
            SecurityMode::X509 => 2,
            SecurityMode::None => 3,
        };
        let whole = |number: u32| Value::Integer(i64::from(number));
        let values = [
            (0, Some(Value::String(&self.uri))),
            (1, Some(Value::Boolean(self.bootstrap))),
            (2, Some(Value::Integer(mode))),
            (3, Some(Value::Opaque(&self.identity))),
            (4, Some(Value::Opaque(&self.server_key))),
            (5, Some(Value::Opaque(&self.secret_key))),
            (10, self.short_server_id.filter(|_| !self.bootstrap).map(|id| whole(u32::from(id)))),
            (11, self.hold_off.map(whole)),
            (12, self.account_timeout.map(whole)),
        ];
        at(Path::instance(0, instance), values)
    }
}

impl ServerConfig {
    fn values(&self, instance: u16) -> Vec<(Path, Value<'_>)> {
        let whole = |number: u32| Value::Integer(i64::from(number));
        let values = [
            (0, Some(whole(u32::from(self.short_server_id)))),
            (1, Some(whole(self.lifetime))),
            (2, self.default_pmin.map(whole)),
            (3, self.default_pmax.map(whole)),
            (5, self.disable_timeout.map(whole)),
            (6, Some(Value::Boolean(self.store_notifications.unwrap_or(true)))),
            (7, Some(Value::String(&self.binding))),
            (16, self.bootstrap_on_failure.map(Value::Boolean)),
        ];
        at(Path::instance(1, instance), values)
    }
}

impl AclConfig {
    fn values(&self, instance: u16) -> Vec<(Path, Value<'_>)> {
        let number = |number: u16| Value::Integer(i64::from(number));
        let mut values = vec![
            (Path::resource(2, instance, 0), number(self.object)),
            (Path::resource(2, instance, 1), number(self.instance)),
        ];
        let rights = self.rights.iter();
        values.extend(
            rights.map(|(id, rights)| (Path::resource_instance(2, instance, 2, *id), number(*rights))),
        );
        values.push((Path::resource(2, instance, 3), number(self.owner)));
        values
    }
}

impl ResourceWrite {
    fn path(&self) -> Result<Path, ConfigProblem> {
        let path = self.path.parse::<Path>().ok();
        let path =
            path.filter(|path| path.level() >= Level::Resource && path.object_id().is_some_and(|id| id > 2));
        path.ok_or_else(|| ConfigProblem::BadPath(self.path.clone()))
    }
}

impl ConfigValue {
    fn as_value(&self) -> Value<'_> {
        match self {
            Self::String(text) => Value::String(text),
            Self::Integer(number) => Value::Integer(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Boolean(flag) => Value::Boolean(*flag),
            Self::Opaque(bytes) => Value::Opaque(bytes),
            Self::Time(seconds) => Value::Time(*seconds),
        }
    }
}

fn at<'a, const N: usize>(base: Path, values: [(u16, Option<Value<'a>>); N]) -> Vec<(Path, Value<'a>)> {
    values.into_iter().filter_map(|(id, value)| Some((base.child(id)?, value?))).collect()
}

fn encode(
    format: ContentFormat,
    base: Path,
    values: &[(Path, Value<'_>)],
) -> Result<(Path, Vec<u8>), ConfigProblem> {
    let unwritable =
        |error: FormatError| ConfigProblem::Unwritable { path: base.to_string(), reason: error.to_string() };
    let mut buffer = vec![0; LARGEST_PAYLOAD];
    let mut encoder = Encoder::new(format, base, &mut buffer).map_err(unwritable)?;
    for (path, value) in values {
        encoder.push(*path, value, None).map_err(unwritable)?;
    }
    let length = encoder.finish().map_err(unwritable)?;
    buffer.truncate(length);
    Ok((base, buffer))
}

impl fmt::Debug for SecurityConfig {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityConfig")
            .field("uri", &self.uri)
            .field("bootstrap", &self.bootstrap)
            .field("mode", &self.mode)
            .field("short_server_id", &self.short_server_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer => f.write_str("the configuration has no server: add an instance to `servers`"),
            Self::BadPath(path) => write!(f, "{path:?} is no path that can stand there"),
            Self::ServerWithoutSecurity(id) => {
                write!(f, "server {id} has no account in `security` with its short server id")
            }
            Self::SecurityWithoutServer(id) => {
                write!(f, "security {id} has no server in `servers` with its short server id")
            }
            Self::DuplicateShortId(id) => write!(f, "the short server id {id} is there twice"),
            Self::BadShortId(id) => write!(f, "the short server id {id} is not in 1 to 65534"),
            Self::BadUri(id) => write!(
                f,
                "the URI of security {id} has to be as in coaps://host:port, or coap://host:port with mode none"
            ),
            Self::MissingKey(id) => write!(f, "security {id} lacks an identity or key for its mode"),
            Self::TwoBootstrapServers => f.write_str("there can be one bootstrap server in `security`"),
            Self::BadBinding(id) => write!(f, "the binding of server {id} has to be as in U or UQ"),
            Self::BadAcl(id) => write!(
                f,
                "acl {id} names a server that isn't in `servers`, object 0 or 2, or rights above 31"
            ),
            Self::Unwritable { path, reason } => write!(f, "{path} can't be written: {reason}"),
        }
    }
}

impl std::error::Error for ConfigProblem {}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BootstrapConfig {
        let security = SecurityConfig {
            uri: "coaps://192.0.2.1".to_owned(),
            bootstrap: false,
            mode: SecurityMode::Psk,
            identity: b"buoy-1".to_vec(),
            server_key: Vec::new(),
            secret_key: vec![7; 16],
            short_server_id: Some(101),
            hold_off: None,
            account_timeout: None,
        };
        let server = ServerConfig {
            short_server_id: 101,
            lifetime: 300,
            default_pmin: None,
            default_pmax: None,
            disable_timeout: None,
            store_notifications: None,
            binding: udp(),
            bootstrap_on_failure: None,
        };
        BootstrapConfig {
            security: [(1, security)].into(),
            servers: [(0, server)].into(),
            ..BootstrapConfig::default()
        }
    }

    fn problem(change: impl Fn(&mut BootstrapConfig)) -> ConfigProblem {
        let mut config = config();
        change(&mut config);
        config.check().unwrap_err()
    }

    #[test]
    fn int_9_a_configuration_that_makes_no_sense_is_refused_before_it_is_sent() {
        fn security(config: &mut BootstrapConfig) -> &mut SecurityConfig {
            config.security.get_mut(&1).unwrap()
        }
        fn server(config: &mut BootstrapConfig) -> &mut ServerConfig {
            config.servers.get_mut(&0).unwrap()
        }
        assert_eq!(config().check(), Ok(()));
        let mut endless = config();
        server(&mut endless).lifetime = 0;
        assert_eq!(endless.check(), Ok(()), "a lifetime without an end");
        for uri in ["coaps://[2001:db8::1]:5684", "coaps://lwm2m.example.org", "CoAPS://h", "coaps://h:1/"] {
            let mut config = config();
            security(&mut config).uri = uri.into();
            assert_eq!(config.check(), Ok(()), "{uri}");
        }
        let twin = config().security[&1].clone();
        let stray = SecurityConfig { short_server_id: Some(5), ..twin.clone() };
        let acl = AclConfig { object: 3, instance: 0, rights: [(9, 1)].into(), owner: 101 };
        let problems = [
            (problem(|it| it.servers.clear()), ConfigProblem::NoServer),
            (problem(|it| it.security.clear()), ConfigProblem::ServerWithoutSecurity(0)),
            (problem(|it| it.security.extend([(2, twin.clone())])), ConfigProblem::DuplicateShortId(101)),
            (problem(|it| it.security.extend([(2, stray.clone())])), ConfigProblem::SecurityWithoutServer(2)),
            (problem(|it| security(it).uri.clear()), ConfigProblem::BadUri(1)),
            (problem(|it| security(it).uri = "coaps://h:99999".into()), ConfigProblem::BadUri(1)),
            (problem(|it| security(it).uri = "coaps://[::1".into()), ConfigProblem::BadUri(1)),
            (problem(|it| security(it).uri = "coaps://a b:1".into()), ConfigProblem::BadUri(1)),
            (problem(|it| security(it).mode = SecurityMode::None), ConfigProblem::BadUri(1)),
            (problem(|it| security(it).identity.clear()), ConfigProblem::MissingKey(1)),
            (problem(|it| security(it).mode = SecurityMode::Rpk), ConfigProblem::MissingKey(1)),
            (problem(|it| server(it).short_server_id = 0), ConfigProblem::BadShortId(0)),
            (problem(|it| server(it).binding = "X".into()), ConfigProblem::BadBinding(0)),
            (problem(|it| it.delete = vec!["/3/0/1".into()]), ConfigProblem::BadPath("/3/0/1".into())),
            (problem(|it| it.acls.extend([(0, acl.clone())])), ConfigProblem::BadAcl(0)),
        ];
        for (found, expected) in problems {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_words_of_a_configuration_keep_its_keys() {
        let text = format!("{:?}", config());
        assert!(text.contains("coaps://192.0.2.1") && !text.contains("7, 7"), "{text}");
    }

    #[test]
    fn accounts_are_placed_beside_the_bootstrap_server_s_own() {
        for (accounts, expected) in [(vec![0], 1), (vec![1], 0), (vec![0, 1, 3], 2), (vec![], 0)] {
            let placed = config().with_security_beside(&Accounts::of(accounts));
            assert_eq!(placed.security.keys().collect::<Vec<_>>(), [&expected]);
        }
    }
}
