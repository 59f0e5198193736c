//! Leshan's dialect for bootstrap configurations: `/api/bootstrap`.
//!
//! What it says is kept as a configuration of `/api/v1`, of the one device that it names. The numbers of instances are only an order
//! there, as with Leshan's `autoIdForSecurityObject`; and secrets are never told again, which Leshan does.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use buoy_api::{
    BootstrapAccount, BootstrapAcl, BootstrapConfig, BootstrapCredentials, BootstrapServer, Secret,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

use crate::v1::Author;

use super::{Answer, Plain, bad_request, forbidden};
use buoy_services::app::App;
use buoy_services::bootstrap::{BootstrapError, PutError};
use buoy_services::hex;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/bootstrap", get(all))
        .route("/api/bootstrap/{endpoint}", post(put).delete(remove))
}

async fn all(State(app): State<Arc<App>>, Author(principal): Author) -> Answer {
    let configs = app.bootstrap().configs(&principal).map_err(forbidden)?;
    let named = configs.into_iter().map(|config| (config.pattern.clone(), shown(&config)));
    Ok(Json(Value::Object(named.collect())).into_response())
}

async fn put(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
    body: Bytes,
) -> Answer {
    let body = Zeroizing::new(Vec::from(body));
    // Its own words might quote a key.
    let said: Said = serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad_request(format!("line {line}, column {column}: this is no bootstrap configuration"))
    })?;
    let config = said.config(endpoint).map_err(bad_request)?;
    match app.bootstrap().put_config(&principal, config).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(PutError::Forbidden(error)) => Err(forbidden(error)),
        Err(PutError::Refused(reason)) => Err(bad_request(reason)),
        Err(PutError::NotSaved(error)) => Err(Plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
        Err(PutError::Failed(error)) => Err(Plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))),
    }
}

async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    match app.bootstrap().remove_config(&principal, &endpoint).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(BootstrapError::Forbidden(error)) => Err(forbidden(error)),
        Ok(false) => Err(Plain(StatusCode::NOT_FOUND, format!("no configuration of {endpoint}"))),
        Err(error) => Err(Plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// A configuration as Leshan's clients write it. Fields that this doesn't know are passed over, as Leshan does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(default)]
    to_delete: Option<Vec<String>>,
    #[serde(default)]
    servers: BTreeMap<u16, SaidServer>,
    #[serde(default)]
    security: BTreeMap<u16, SaidSecurity>,
    #[serde(default)]
    acls: BTreeMap<u16, SaidAcl>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidServer {
    #[serde(deserialize_with = "number")]
    short_id: u16,
    #[serde(default = "a_day", deserialize_with = "number")]
    lifetime: u32,
    #[serde(default, deserialize_with = "some_number")]
    default_min_period: Option<u32>,
    #[serde(default, deserialize_with = "some_number")]
    default_max_period: Option<u32>,
    #[serde(default, deserialize_with = "some_number")]
    disable_timeout: Option<u32>,
    notif_if_disabled: Option<bool>,
    binding: Option<SaidBinding>,
}

const fn a_day() -> u32 {
    86_400
}

/// Leshan writes a set of letters; older versions wrote them as one text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SaidBinding {
    Letters(Vec<String>),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidSecurity {
    uri: Option<String>,
    #[serde(default)]
    bootstrap_server: bool,
    security_mode: Option<String>,
    #[serde(default)]
    public_key_or_id: Vec<u8>,
    #[serde(default)]
    server_public_key: Vec<u8>,
    #[serde(default)]
    secret_key: Vec<u8>,
    #[serde(default, deserialize_with = "some_number")]
    server_id: Option<u16>,
    #[serde(default, deserialize_with = "some_number")]
    client_old_off_time: Option<u32>,
    #[serde(default, deserialize_with = "some_number")]
    bootstrap_server_account_timeout: Option<u32>,
}

/// A number, which scripts also write as text.
fn number<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<T, D::Error> {
    some_number(deserializer)?.ok_or_else(|| serde::de::Error::custom("a number is missing"))
}

fn some_number<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        other => other.to_string(),
    };
    text.parse().map(Some).map_err(|_| serde::de::Error::custom("a number is out of range"))
}

impl Drop for SaidSecurity {
    fn drop(&mut self) {
        self.secret_key.zeroize();
    }
}

impl std::fmt::Debug for SaidSecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaidSecurity").field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidAcl {
    object_id: u16,
    object_instance_id: u16,
    #[serde(default)]
    acl: BTreeMap<u16, u16>,
    #[serde(alias = "AccessControlOwner")]
    access_control_owner: u16,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ConfigFault {
    /// A server has no security of its number.
    NoSecurity(u16),
    /// The identity of a key is no text.
    Identity,
    /// There is no such security mode.
    SecurityMode(String),
}

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSecurity(id) => write!(f, "server {id} has no security with \"serverId\": {id}"),
            Self::Identity => f.write_str("publicKeyOrId of PSK has to be the bytes of UTF-8 text"),
            Self::SecurityMode(mode) => {
                write!(f, "securityMode {mode:?} is none of PSK, RPK, X509 and NO_SEC")
            }
        }
    }
}

impl std::error::Error for ConfigFault {}

impl Said {
    fn config(self, endpoint: String) -> Result<BootstrapConfig, ConfigFault> {
        let Self { to_delete, servers, mut security, acls } = self;
        let own = security.iter().find(|(_, it)| it.bootstrap_server).map(|(id, _)| *id);
        let own = own.and_then(|id| security.remove(&id));
        let bootstrap_server = match own {
            // Leshan's page lists the bootstrap server's own account without keys: the device has it already.
            Some(account) if account.uri.is_some() => Some(account.account()?),
            _ => None,
        };
        let server = |server: SaidServer| {
            let account = security.values().find(|account| account.server_id == Some(server.short_id));
            let account = account.ok_or(ConfigFault::NoSecurity(server.short_id))?;
            server.server(account)
        };
        let servers = servers.into_values().map(server).collect::<Result<_, ConfigFault>>()?;
        let acl = |acl: SaidAcl| BootstrapAcl {
            object: acl.object_id,
            instance: acl.object_instance_id,
            rights: acl.acl,
            owner: acl.access_control_owner,
        };
        Ok(BootstrapConfig {
            pattern: endpoint,
            delete: to_delete.unwrap_or_default(),
            servers,
            bootstrap_server,
            acls: acls.into_values().map(acl).collect(),
            writes: Vec::new(),
            changed_at: None,
        })
    }
}

impl SaidServer {
    fn server(self, account: &SaidSecurity) -> Result<BootstrapServer, ConfigFault> {
        Ok(BootstrapServer {
            short_server_id: self.short_id,
            uri: account.uri.clone(),
            credentials: account.credentials()?,
            lifetime: self.lifetime,
            binding: match self.binding {
                Some(SaidBinding::Letters(letters)) => letters.concat(),
                Some(SaidBinding::Text(text)) => text,
                None => "U".to_owned(),
            },
            default_pmin: self.default_min_period,
            default_pmax: self.default_max_period,
            disable_timeout: self.disable_timeout,
            store_notifications: self.notif_if_disabled,
            bootstrap_on_failure: None,
        })
    }
}

impl SaidSecurity {
    fn account(&self) -> Result<BootstrapAccount, ConfigFault> {
        Ok(BootstrapAccount {
            credentials: self.credentials()?,
            uri: self.uri.clone().unwrap_or_default(),
            hold_off: self.client_old_off_time,
            account_timeout: self.bootstrap_server_account_timeout,
        })
    }

    fn credentials(&self) -> Result<BootstrapCredentials, ConfigFault> {
        let own = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex::encode(bytes));
        match self.security_mode.as_deref().unwrap_or("NO_SEC") {
            "NO_SEC" => Ok(BootstrapCredentials::None),
            // What Leshan would refuse to send stands here for a key of the device's own.
            "PSK" if self.secret_key.is_empty() => Ok(BootstrapCredentials::MintPsk),
            "PSK" => Ok(BootstrapCredentials::Psk {
                identity: String::from_utf8(self.public_key_or_id.clone())
                    .map_err(|_| ConfigFault::Identity)?,
                key: Secret::new(hex::encode(&self.secret_key)),
            }),
            "RPK" => Ok(BootstrapCredentials::Rpk {
                public_key: hex::encode(&self.public_key_or_id),
                private_key: Secret::new(hex::encode(&self.secret_key)),
                server_public_key: own(&self.server_public_key),
            }),
            "X509" => Ok(BootstrapCredentials::X509 {
                certificate: hex::encode(&self.public_key_or_id),
                private_key: Secret::new(hex::encode(&self.secret_key)),
                server_certificate: own(&self.server_public_key),
            }),
            other => Err(ConfigFault::SecurityMode(other.to_owned())),
        }
    }
}

/// A configuration as Leshan shows it, but for the secrets.
fn shown(config: &BootstrapConfig) -> Value {
    let (mut servers, mut security, mut acls) = (Map::new(), Map::new(), Map::new());
    if let Some(account) = &config.bootstrap_server {
        let mut shown = shown_security(Some(&account.uri), &account.credentials);
        shown["bootstrapServer"] = json!(true);
        shown["clientOldOffTime"] = json!(account.hold_off);
        shown["bootstrapServerAccountTimeout"] = json!(account.account_timeout);
        security.insert("0".to_owned(), shown);
    }
    for (number, server) in config.servers.iter().enumerate() {
        let mut account = shown_security(server.uri.as_deref(), &server.credentials);
        account["bootstrapServer"] = json!(false);
        account["serverId"] = json!(server.short_server_id);
        security.insert(security.len().to_string(), account);
        let letters: Vec<String> = server.binding.chars().map(String::from).collect();
        let shown = json!({
            "shortId": server.short_server_id,
            "lifetime": server.lifetime,
            "defaultMinPeriod": server.default_pmin,
            "defaultMaxPeriod": server.default_pmax,
            "disableTimeout": server.disable_timeout,
            "notifIfDisabled": server.store_notifications.unwrap_or(true),
            "binding": letters,
        });
        servers.insert(number.to_string(), shown);
    }
    for (number, acl) in config.acls.iter().enumerate() {
        let shown = json!({
            "objectId": acl.object,
            "objectInstanceId": acl.instance,
            "acl": acl.rights,
            "AccessControlOwner": acl.owner,
        });
        acls.insert(number.to_string(), shown);
    }
    json!({
        "autoIdForSecurityObject": true,
        "toDelete": config.delete,
        "servers": servers,
        "security": security,
        "acls": acls,
    })
}

fn shown_security(uri: Option<&str>, credentials: &BootstrapCredentials) -> Value {
    let bytes = |digits: &str| hex::decode(digits).unwrap_or_default();
    let (mode, own, server) = match credentials {
        BootstrapCredentials::None => ("NO_SEC", Vec::new(), Vec::new()),
        BootstrapCredentials::MintPsk => ("PSK", Vec::new(), Vec::new()),
        BootstrapCredentials::Psk { identity, .. } => ("PSK", identity.clone().into_bytes(), Vec::new()),
        BootstrapCredentials::Rpk { public_key, server_public_key, .. } => {
            ("RPK", bytes(public_key), bytes(server_public_key.as_deref().unwrap_or_default()))
        }
        BootstrapCredentials::X509 { certificate, server_certificate, .. } => {
            ("X509", bytes(certificate), bytes(server_certificate.as_deref().unwrap_or_default()))
        }
    };
    json!({ "uri": uri, "securityMode": mode, "publicKeyOrId": own, "serverPublicKey": server })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: Value) -> anyhow::Result<BootstrapConfig> {
        Ok(serde_json::from_value::<Said>(json)?.config("buoy-1".to_owned())?)
    }

    #[test]
    fn what_leshan_s_page_sends_is_understood_and_shown_again_without_keys() {
        let config = said(json!({
            "toDelete": ["/0", "/1"],
            "autoIdForSecurityObject": true,
            "servers": {"0": {"shortId": 123, "lifetime": 300, "defaultMinPeriod": 1, "notifIfDisabled": true, "binding": ["U", "Q"]}},
            "security": {
                "0": {"uri": "coaps://192.0.2.1:5684", "bootstrapServer": true, "securityMode": "PSK",
                      "publicKeyOrId": [98], "secretKey": [1, 2], "serverPublicKey": [], "clientOldOffTime": 1},
                "1": {"uri": "coaps://192.0.2.2:5684", "bootstrapServer": false, "securityMode": "PSK",
                      "publicKeyOrId": [97], "secretKey": [3, 255], "serverId": 123},
            },
            "acls": {"0": {"objectId": 3, "objectInstanceId": 0, "acl": {"123": 3}, "AccessControlOwner": 123}},
        }))
        .unwrap();
        assert_eq!(config.servers[0].binding, "UQ");
        assert_eq!(
            config.servers[0].credentials,
            BootstrapCredentials::Psk { identity: "a".to_owned(), key: Secret::new("03ff".to_owned()) }
        );
        assert_eq!(config.bootstrap_server.as_ref().unwrap().hold_off, Some(1));
        let shown = shown(&config);
        assert_eq!(shown["security"]["1"]["publicKeyOrId"], json!([97]));
        assert_eq!(shown["security"]["1"]["secretKey"], Value::Null);
        assert_eq!(shown["servers"]["0"]["binding"], json!(["U", "Q"]));
        assert_eq!(shown["acls"]["0"]["acl"], json!({"123": 3}));
    }

    #[test]
    fn numbers_may_be_text_and_a_binding_may_be_one_text() {
        let config = said(json!({
            "servers": {"0": {"shortId": "1", "lifetime": "300", "defaultMinPeriod": "1", "binding": "UQ"}},
            "security": {"1": {"uri": "coap://192.0.2.1:5683", "securityMode": "NO_SEC", "serverId": "1"}},
        }))
        .unwrap();
        let server = &config.servers[0];
        assert_eq!((server.short_server_id, server.lifetime, server.default_pmin), (1, 300, Some(1)));
        assert_eq!(server.binding, "UQ");
        assert!(said(json!({"servers": {"0": {"shortId": "one"}}})).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let server = json!({"0": {"shortId": 1}});
        let bare = said(json!({"servers": server})).unwrap_err().to_string();
        assert!(bare.contains("serverId"), "{bare}");
        let mode = json!({"0": {"uri": "coaps://h", "securityMode": "EST", "serverId": 1}});
        let mode = said(json!({"servers": server, "security": mode})).unwrap_err().to_string();
        assert!(mode.contains("EST"), "{mode}");
    }
}
