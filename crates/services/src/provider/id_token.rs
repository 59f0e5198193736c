//! The ID token (OpenID Connect Core 1.0, sections 2 and 3.1.3.7): a JWT, signed by a key of the provider.

use std::fmt;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::attempt::is_same;

/// Signatures that count. None of them is made with a secret that the client knows, too, and none is missing.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 60;
/// The longest token, in bytes.
const LONGEST: usize = 64 * 1024;
/// The longest subject, in bytes (section 2).
const LONGEST_SUBJECT: usize = 255;

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
    /// Seconds since the epoch.
    pub(super) now: u64,
}

/// What a token that was checked says.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) all: Value,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its key is not known, or its signature is not of that key.
    Key(&'static str),
    /// It is none.
    Form(&'static str),
    /// A claim is wrong.
    Claim(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Key(reason) | Self::Form(reason) | Self::Claim(reason)) = self;
        write!(f, "the ID token {reason}")
    }
}

/// Checks a token.
pub(super) fn check(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Claims, Refusal> {
    if token.len() > LONGEST {
        return Err(Refusal::Form("is too long"));
    }
    let header = decode_header(token).map_err(|_| Refusal::Form("is no JWT with a known algorithm"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Refusal::Form("has an algorithm that does not count here"));
    }
    let key = key_of(keys, header.kid.as_deref(), header.alg)?;
    let mut validation = Validation::new(header.alg);
    // The claims are checked below, by the clock of the server.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = decode::<Value>(token, &key, &validation);
    let all = decoded.map_err(|_| Refusal::Key("is not signed by the key that it names"))?.claims;
    let subject = check_claims(&all, expected)?;
    Ok(Claims { subject, all })
}

/// The key that a token names. Without a name there has to be one key alone that could be it.
fn key_of(keys: &JwkSet, name: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Refusal> {
    let mut fitting = keys.keys.iter().filter_map(|jwk| usable(jwk, name, algorithm));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(key), Some(_)) if name.is_some() => Ok(key),
        (Some(_), Some(_)) => Err(Refusal::Key("names no key, and the provider has several")),
        (None, _) => Err(Refusal::Key("names a key that the provider does not have")),
    }
}

fn usable(jwk: &Jwk, name: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let common = &jwk.common;
    let is_named = name.is_none() || common.key_id.as_deref() == name;
    let is_for_signing = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let is_for_algorithm = common
        .key_algorithm
        .is_none_or(|told| told.to_string().parse::<Algorithm>().is_ok_and(|told| told == algorithm));
    if !(is_named && is_for_signing && is_for_algorithm) {
        return None;
    }
    DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() == algorithm.family())
}

/// Checks the claims, and returns the subject.
fn check_claims(all: &Value, expected: &Expected<'_>) -> Result<String, Refusal> {
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refusal::Claim("is of another issuer"));
    }
    check_audience(all, expected.client)?;
    let seconds = |name: &str| all.get(name).and_then(Value::as_f64).map(|at| at as u64);
    let end = seconds("exp").ok_or(Refusal::Claim("has no time of expiry"))?;
    if end.saturating_add(LEEWAY) <= expected.now {
        return Err(Refusal::Claim("has expired; check the clocks of both machines"));
    }
    let latest = expected.now.saturating_add(LEEWAY);
    let issued = seconds("iat").ok_or(Refusal::Claim("does not say when it was issued"))?;
    if issued > latest || seconds("nbf").is_some_and(|begin| begin > latest) {
        return Err(Refusal::Claim("is of the future; check the clocks of both machines"));
    }
    if !text("nonce").is_some_and(|nonce| is_same(expected.nonce, nonce)) {
        return Err(Refusal::Claim("has another nonce: it was made for another sign-in"));
    }
    match text("sub") {
        Some(subject) if (1..=LONGEST_SUBJECT).contains(&subject.len()) => Ok(subject.to_owned()),
        _ => Err(Refusal::Claim("names nobody")),
    }
}

fn check_audience(all: &Value, client: &str) -> Result<(), Refusal> {
    let another = Refusal::Claim("is for another audience");
    let authorized = all.get("azp").and_then(Value::as_str);
    match all.get("aud") {
        Some(Value::String(one)) if one == client => {}
        Some(Value::Array(several)) if several.iter().any(|one| one == client) => {
            if several.len() > 1 && authorized.is_none() {
                return Err(Refusal::Claim(
                    "is for several audiences, and does not say who may use it (azp)",
                ));
            }
        }
        _ => return Err(another),
    }
    if authorized.is_some_and(|authorized| authorized != client) { Err(another) } else { Ok(()) }
}
