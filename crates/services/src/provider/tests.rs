use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

use super::attempt::{Attempt, Keys};
use super::id_token::{Expected, Refusal, check};
use super::settings::is_secure;
use super::*;

const NOW: u64 = 1_700_000_000;

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn jwk(name: &str, key: &SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let part = |range: std::ops::Range<usize>| BASE64URL_NOPAD.encode(&point.as_bytes()[range]);
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": name, "x": part(1..33), "y": part(33..65)})
}

fn keys(list: &[Value]) -> JwkSet {
    answers::keys(json!({ "keys": list }).to_string().as_bytes()).unwrap()
}

fn token(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let signature: p256::ecdsa::Signature = key.sign(message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature.to_bytes()))
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "buoy", "sub": "1", "nonce": "n", "iat": NOW, "exp": NOW + 300,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all[name] = value;
    all
}

fn checked(header: &Value, claims: &Value, now: u64) -> Result<String, Refusal> {
    let expected = Expected { issuer: "https://id.example", client: "buoy", nonce: "n", now };
    let known = keys(&[jwk("a", &key(1)), jwk("b", &key(2))]);
    check(&token(header, claims, &key(1)), &known, &expected).map(|claims| claims.subject)
}

#[test]
fn a_token_with_the_right_claims_and_signature_names_its_subject() {
    let header = json!({"alg": "ES256", "kid": "a"});
    assert_eq!(checked(&header, &claims(), NOW), Ok("1".into()));
    let both = json!({"iss": "https://id.example", "aud": ["buoy", "x"], "azp": "buoy", "sub": "1", "nonce": "n",
        "iat": NOW, "exp": NOW + 1});
    assert_eq!(checked(&header, &both, NOW), Ok("1".into()));
}

#[test]
fn a_token_with_a_wrong_claim_is_refused() {
    let header = json!({"alg": "ES256", "kid": "a"});
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("iss", json!(["https://id.example"])),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!(["buoy", "other"])),
        ("azp", json!("other")),
        ("exp", json!(NOW - 61)),
        ("exp", json!("soon")),
        ("iat", json!(NOW + 3600)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 3600)),
        ("nonce", json!("other")),
        ("nonce", Value::Null),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
    ] {
        let refused = checked(&header, &with(name, value.clone()), NOW);
        assert!(matches!(refused, Err(Refusal::Claim(_))), "{name} {value}: {refused:?}");
    }
    assert!(checked(&header, &claims(), NOW + 359).is_ok());
    assert!(checked(&header, &claims(), NOW + 361).is_err());
}

#[test]
fn a_token_without_a_signature_or_with_a_foreign_one_is_refused() {
    let known = keys(&[jwk("a", &key(1)), json!({"kty": "oct", "kid": "h", "k": "c2VjcmV0"})]);
    let expected = Expected { issuer: "https://id.example", client: "buoy", nonce: "n", now: NOW };
    let of = |header: Value, by: u8| check(&token(&header, &claims(), &key(by)), &known, &expected).map(drop);
    assert!(matches!(of(json!({"alg": "ES256", "kid": "a"}), 2), Err(Refusal::Key(_))));
    assert!(matches!(of(json!({"alg": "ES256", "kid": "x"}), 1), Err(Refusal::Key(_))));
    assert!(matches!(of(json!({"alg": "HS256", "kid": "h"}), 1), Err(Refusal::Form(_))));
    assert!(matches!(of(json!({"alg": "none"}), 1), Err(Refusal::Form(_))));
    assert!(matches!(of(json!({"alg": "RS256", "kid": "a"}), 1), Err(Refusal::Key(_))));
    for text in ["", ".", "..", "a.b.c", "a.b", "\u{0}", &"x".repeat(100_000)] {
        assert!(matches!(check(text, &known, &expected), Err(Refusal::Form(_))), "{text:.20}");
    }
}

#[test]
fn a_sign_in_ends_in_the_browser_and_the_run_that_began_it_and_within_ten_minutes() {
    let run = Keys::random().unwrap();
    let begun = Attempt::begin(&run, NOW).unwrap();
    let cookie = begun.cookie.reveal();
    let same = Attempt::resume(&run, cookie, NOW + 599_999).unwrap();
    assert_eq!((&same.state, &same.nonce), (&begun.state, &begun.nonce));
    assert_ne!(same.state, Attempt::begin(&run, NOW).unwrap().state);
    assert!(Attempt::resume(&run, cookie, NOW + 600_000).is_err());
    assert!(Attempt::resume(&Keys::random().unwrap(), cookie, NOW).is_err());
    let later = cookie.replacen('.', ".f", 1);
    for forged in ["", "..", "x", &later] {
        assert!(Attempt::resume(&run, forged, NOW).is_err(), "{forged}");
    }
}

#[test]
fn metadata_of_another_issuer_or_without_https_is_refused() {
    let told = |issuer: &str, endpoint: &str| {
        let body = json!({"issuer": issuer, "authorization_endpoint": "https://id.example/a",
            "token_endpoint": endpoint, "jwks_uri": "https://id.example/k"});
        Metadata::parse(body.to_string().as_bytes(), "https://id.example").map(drop)
    };
    assert!(told("https://id.example", "https://id.example/t").is_ok());
    assert!(told("https://id.example/", "https://id.example/t").is_err());
    assert!(told("https://id.example", "http://id.example/t").is_err());
    assert!(Metadata::parse(b"<html>", "https://id.example").is_err());
    for fine in ["https://id.example:8443/a", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]:2"] {
        assert!(is_secure(fine), "{fine}");
    }
    for wrong in ["http://id.example", "https://user@id.example", "ftp://localhost", "id.example", "", "/a"] {
        assert!(!is_secure(wrong), "{wrong}");
    }
}

#[test]
fn groups_become_roles_by_the_rules() {
    let rules: Vec<RoleRule> =
        ["cn=ops,dc=x=operator@north", "staff=viewer", "*=viewer"].map(|rule| rule.parse().unwrap()).to_vec();
    let grants = |groups: &[&str]| {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        grants_of(&rules, &groups).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(grants(&["cn=ops,dc=x", "staff"]), ["operator@north", "viewer"]);
    assert_eq!(grants(&[]), ["viewer"]);
    assert!(grants_of(&rules[..2], &["x".to_owned()]).is_empty());
    for wrong in ["", "staff", "=viewer", "staff=", "staff=king"] {
        assert_eq!(wrong.parse::<RoleRule>(), Err(NoRule), "{wrong}");
    }
    let claims = json!({"realm_access": {"roles": ["a", 1, "b"]}, "one": "x"});
    assert_eq!(answers::texts_at(&claims, "realm_access.roles"), Some(vec!["a".into(), "b".into()]));
    assert_eq!(answers::texts_at(&claims, "one"), Some(vec!["x".into()]));
    assert_eq!(answers::texts_at(&claims, "none"), None);
}
