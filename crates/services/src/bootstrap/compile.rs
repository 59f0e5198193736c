//! Translates an operator's configuration into the configuration for a device.

use buoy_api as api;
use buoy_server::{
    AclConfig, BootstrapConfig, ConfigProblem, ConfigValue, ResourceWrite, SecurityConfig, SecurityMode,
    ServerConfig,
};
use zeroize::Zeroizing;

use super::pattern::MAX_LENGTH;
use crate::hex;

/// This server's data, for configurations that name no other server.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its URI for CoAP over DTLS, if it has one.
    pub coaps: Option<String>,
    /// Its URI for plain CoAP, if it has one.
    pub coap: Option<String>,
    /// The server's SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// Its certificate (DER).
    pub certificate: Vec<u8>,
}

/// Why a configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFault {
    /// The pattern of names is invalid.
    Pattern,
    /// This server has no port for such devices; this option opens one.
    NoPort(&'static str),
    /// It asks for a new key for a bootstrap server, which is not supported.
    NotMinted,
    /// A field does not consist of hexadecimal digits.
    Digits(&'static str),
    /// The objects are invalid.
    Objects(ConfigProblem),
}

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pattern => write!(f, "a pattern has 1 to {MAX_LENGTH} bytes, without control characters"),
            Self::NoPort(flag) => {
                write!(f, "this server has no port for such devices; start it with {flag}, or say a `uri`")
            }
            Self::NotMinted => {
                f.write_str("a key is minted for LwM2M servers, and not for a bootstrap server")
            }
            Self::Digits(what) => write!(f, "`{what}` has to be hexadecimal digits, two for each byte"),
            Self::Objects(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for ConfigFault {}

/// A key that was made for a device.
pub(super) struct Minted {
    pub(super) identity: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// Whether a key has to be made for each device.
pub(super) fn mints(config: &api::BootstrapConfig) -> bool {
    config.servers.iter().any(|server| server.credentials == api::BootstrapCredentials::MintPsk)
}

/// Checks a configuration.
pub(super) fn check(config: &api::BootstrapConfig, own: &Own) -> Result<(), ConfigFault> {
    let minted = Minted { identity: b"x".to_vec(), key: Zeroizing::new(vec![1]) };
    compile("x", config, Some(&minted), own).map(drop)
}

/// The configuration of one device.
pub(super) fn compile(
    name: &str,
    config: &api::BootstrapConfig,
    minted: Option<&Minted>,
    own: &Own,
) -> Result<BootstrapConfig, ConfigFault> {
    let fill = |text: &str| text.replace("{endpoint}", name);
    let mut compiled = BootstrapConfig {
        delete: config.delete.clone(),
        auto_security_ids: true,
        ..BootstrapConfig::default()
    };
    let mut next_id = 0;
    if let Some(account) = &config.bootstrap_server {
        let security = SecurityConfig {
            bootstrap: true,
            hold_off: account.hold_off,
            account_timeout: account.account_timeout,
            ..secured(fill(&account.uri), &account.credentials, None, own, &fill)?
        };
        compiled.security.insert(next_id, security);
        next_id += 1;
    }
    for (id, server) in (0..).zip(&config.servers) {
        let uri = server.uri.as_deref().map_or_else(|| own.uri(&server.credentials), |uri| Ok(fill(uri)))?;
        let security = SecurityConfig {
            short_server_id: Some(server.short_server_id),
            ..secured(uri, &server.credentials, minted, own, &fill)?
        };
        compiled.security.insert(next_id, security);
        compiled.servers.insert(id, server_config(server));
        next_id += 1;
    }
    for (id, acl) in (0..).zip(&config.acls) {
        let api::BootstrapAcl { object, instance, ref rights, owner } = *acl;
        compiled.acls.insert(id, AclConfig { object, instance, rights: rights.clone(), owner });
    }
    for write in &config.writes {
        compiled.writes.push(ResourceWrite { path: write.path.clone(), value: value(&write.value, &fill)? });
    }
    compiled.check().map_err(ConfigFault::Objects)?;
    Ok(compiled)
}

impl Own {
    fn uri(&self, credentials: &api::BootstrapCredentials) -> Result<String, ConfigFault> {
        let (uri, flag) = match credentials {
            api::BootstrapCredentials::None => (&self.coap, "--coap"),
            _ => (&self.coaps, "--coaps"),
        };
        uri.clone().ok_or(ConfigFault::NoPort(flag))
    }
}

/// An account with these credentials.
fn secured(
    uri: String,
    credentials: &api::BootstrapCredentials,
    minted: Option<&Minted>,
    own: &Own,
    fill: &impl Fn(&str) -> String,
) -> Result<SecurityConfig, ConfigFault> {
    use api::BootstrapCredentials as Credentials;
    let (mode, identity, server_key, secret_key) = match credentials {
        Credentials::MintPsk => {
            let minted = minted.ok_or(ConfigFault::NotMinted)?;
            (SecurityMode::Psk, minted.identity.clone(), Vec::new(), minted.key.to_vec())
        }
        Credentials::Psk { identity, key } => {
            (SecurityMode::Psk, fill(identity).into_bytes(), Vec::new(), hex("key", key.reveal())?)
        }
        Credentials::Rpk { public_key, private_key, server_public_key } => (
            SecurityMode::Rpk,
            hex("public_key", public_key)?,
            server_public_key
                .as_ref()
                .map_or_else(|| Ok(own.public_key.clone()), |key| hex("server_public_key", key))?,
            hex("private_key", private_key.reveal())?,
        ),
        Credentials::X509 { certificate, private_key, server_certificate } => (
            SecurityMode::X509,
            hex("certificate", certificate)?,
            server_certificate
                .as_ref()
                .map_or_else(|| Ok(own.certificate.clone()), |it| hex("server_certificate", it))?,
            hex("private_key", private_key.reveal())?,
        ),
        Credentials::None => (SecurityMode::None, Vec::new(), Vec::new(), Vec::new()),
    };
    Ok(SecurityConfig {
        uri,
        bootstrap: false,
        mode,
        identity,
        server_key,
        secret_key,
        short_server_id: None,
        hold_off: None,
        account_timeout: None,
    })
}

fn server_config(server: &api::BootstrapServer) -> ServerConfig {
    ServerConfig {
        short_server_id: server.short_server_id,
        lifetime: server.lifetime,
        default_pmin: server.default_pmin,
        default_pmax: server.default_pmax,
        disable_timeout: server.disable_timeout,
        store_notifications: server.store_notifications,
        binding: server.binding.clone(),
        bootstrap_on_failure: server.bootstrap_on_failure,
    }
}

fn value(value: &api::BootstrapValue, fill: &impl Fn(&str) -> String) -> Result<ConfigValue, ConfigFault> {
    Ok(match value {
        api::BootstrapValue::String(text) => ConfigValue::String(fill(text)),
        api::BootstrapValue::Integer(number) => ConfigValue::Integer(*number),
        api::BootstrapValue::Float(number) => ConfigValue::Float(*number),
        api::BootstrapValue::Boolean(flag) => ConfigValue::Boolean(*flag),
        api::BootstrapValue::Opaque(digits) => ConfigValue::Opaque(hex("opaque", digits)?),
        api::BootstrapValue::Time(seconds) => ConfigValue::Time(*seconds),
    })
}

fn hex(what: &'static str, digits: &str) -> Result<Vec<u8>, ConfigFault> {
    match hex::decode(digits.trim()) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(ConfigFault::Digits(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        Own {
            coaps: Some("coaps://192.0.2.1:5684".to_owned()),
            coap: None,
            public_key: vec![4; 91],
            certificate: vec![5; 300],
        }
    }

    fn config(json: serde_json::Value) -> api::BootstrapConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_least_that_can_be_said_makes_a_key_and_names_this_server() {
        let config = config(serde_json::json!({"pattern": "*", "servers": [{}]}));
        assert!(mints(&config));
        let minted = Minted { identity: b"buoy-1".to_vec(), key: Zeroizing::new(vec![9; 16]) };
        let compiled = compile("buoy-1", &config, Some(&minted), &own()).unwrap();
        assert_eq!(compiled.security[&0].uri, "coaps://192.0.2.1:5684");
        assert_eq!(compiled.security[&0].identity, b"buoy-1");
        assert_eq!(compiled.security[&0].secret_key, [9; 16]);
        assert_eq!(compiled.servers[&0].short_server_id, 1);
        assert_eq!(compiled.delete, ["/0", "/1", "/2"]);
    }

    #[test]
    fn the_name_of_the_device_is_filled_in() {
        let config = config(serde_json::json!({
            "pattern": "*",
            "servers": [{"uri": "coaps://h/{endpoint}", "credentials": {"psk": {"identity": "id-{endpoint}", "key": "00ff"}}}],
            "writes": [{"path": "/3/0/15", "value": {"string": "{endpoint}"}}],
        }));
        let compiled = compile("buoy-1", &config, None, &own()).unwrap();
        assert_eq!(compiled.security[&0].uri, "coaps://h/buoy-1");
        assert_eq!(compiled.security[&0].identity, b"id-buoy-1");
        assert_eq!(compiled.writes[0].value, ConfigValue::String("buoy-1".to_owned()));
    }

    #[test]
    fn what_a_device_would_refuse_is_refused_with_a_reason() {
        let refusal = |json| check(&config(json), &own()).unwrap_err().to_string();
        let nothing = refusal(serde_json::json!({"pattern": "*", "servers": []}));
        assert!(nothing.contains("no server"), "{nothing}");
        let plain = refusal(serde_json::json!({"pattern": "*", "servers": [{"credentials": "none"}]}));
        assert!(plain.contains("--coap"), "{plain}");
        let key = serde_json::json!({"psk": {"identity": "x", "key": "zz"}});
        let key = refusal(serde_json::json!({"pattern": "*", "servers": [{"credentials": key}]}));
        assert!(key.contains("`key`"), "{key}");
        let account = serde_json::json!({"uri": "coaps://h", "credentials": "mint_psk"});
        let account =
            refusal(serde_json::json!({"pattern": "*", "servers": [{}], "bootstrap_server": account}));
        assert!(account.contains("not for a bootstrap server"), "{account}");
    }
}
