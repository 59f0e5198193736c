//! What the provider answers, as far as it is used.

use buoy_api::Secret;
use hyper::StatusCode;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde_json::Value;

use super::fetch::check_endpoint;
use super::{Fault, ProviderError, harmless, wrong};

/// The most signing keys of a provider.
const MOST_KEYS: usize = 64;
/// The most groups of a person, and bytes of one.
const MOST_GROUPS: usize = 1000;
const LONGEST: usize = 512;

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    #[serde(default)]
    pub(super) userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(super) end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    pub(super) fn parse(body: &[u8], issuer: &str) -> Result<Self, Fault> {
        let metadata: Self = serde_json::from_slice(body)
            .map_err(|error| wrong(format!("its configuration is no metadata of OpenID Connect: {error}")))?;
        // Section 4.3: they are identical, or it is another's document.
        if metadata.issuer != issuer {
            return Err(wrong(format!(
                "its issuer is {}, and not {issuer}; give --oidc-issuer as the provider writes it",
                harmless(&metadata.issuer)
            )));
        }
        for (name, uri) in [
            ("authorization_endpoint", Some(&metadata.authorization_endpoint)),
            ("token_endpoint", Some(&metadata.token_endpoint)),
            ("jwks_uri", Some(&metadata.jwks_uri)),
            ("userinfo_endpoint", metadata.userinfo_endpoint.as_ref()),
            ("end_session_endpoint", metadata.end_session_endpoint.as_ref()),
        ] {
            uri.map(|uri| check_endpoint(name, uri)).transpose()?;
        }
        Ok(metadata)
    }

    /// Whether the client proves itself by HTTP Basic, which is the rule if nothing else is said.
    pub(super) fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }
}

/// What a code is exchanged for.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) id_token: Secret,
    #[serde(default)]
    pub(super) access_token: Option<Secret>,
}

/// The answer of the token endpoint.
pub(super) fn token(status: StatusCode, body: &[u8]) -> Result<TokenAnswer, ProviderError> {
    if status == StatusCode::OK {
        return serde_json::from_slice(body).map_err(|_| wrong("it gives no ID token for the code").into());
    }
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = ["error", "error_description"].into_iter().filter_map(|name| told.get(name)?.as_str());
    let words = words.map(harmless).collect::<Vec<_>>().join(": ");
    Err(ProviderError::Refused(if words.is_empty() { status.to_string() } else { words }))
}

/// Its signing keys. Those of a kind that is not known are passed over.
pub(super) fn keys(body: &[u8]) -> Result<JwkSet, Fault> {
    let told: Value = serde_json::from_slice(body).map_err(|_| wrong("its keys are no JSON"))?;
    let keys = told.get("keys").and_then(Value::as_array).ok_or_else(|| wrong("its keys are no JWK set"))?;
    let keys = keys.iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
    Ok(JwkSet { keys: keys.collect() })
}

/// The answer of the UserInfo endpoint, which has to be of the same person (section 5.3.2).
pub(super) fn userinfo(body: &[u8], subject: &str) -> Result<Value, Fault> {
    let told: Value = serde_json::from_slice(body).map_err(|_| wrong("its UserInfo is no JSON"))?;
    match told.get("sub").and_then(Value::as_str) {
        Some(sub) if sub == subject => Ok(told),
        _ => Err(wrong("its UserInfo is of another person than its ID token")),
    }
}

/// A claim by its name, or by a path with dots, as in `realm_access.roles`.
fn at<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| name.split('.').try_fold(claims, |value, part| value.get(part)))
}

pub(super) fn text_at(claims: &Value, name: &str) -> Option<String> {
    at(claims, name)?.as_str().filter(|text| !text.is_empty() && text.len() <= LONGEST).map(str::to_owned)
}

/// A list of texts, or one.
pub(super) fn texts_at(claims: &Value, name: &str) -> Option<Vec<String>> {
    match at(claims, name)? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(list) => {
            let texts = list.iter().filter_map(Value::as_str).filter(|text| text.len() <= LONGEST);
            Some(texts.take(MOST_GROUPS).map(str::to_owned).collect())
        }
        _ => None,
    }
}
