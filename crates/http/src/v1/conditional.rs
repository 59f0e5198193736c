//! Entity tags (RFC 9110 section 8.8): a client that has the current answer gets a short 304, and an edit of what has changed meanwhile gets a 412.
//!
//! What operators edit has a revision, and its tag has two parts: the revision, and a hash of the answer. `If-None-Match` compares the whole tag, `If-Match`
//! the revision alone: a count of devices that has changed is no reason to refuse an edit.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use buoy_services::hex;
use buoy_services::revision::Expected;
use serde::Serialize;

use super::Problem;

/// The largest answer; lists are paged.
const MAX_ANSWER: usize = 64 << 20;
/// Bytes of the hash in an entity tag.
const TAG_LENGTH: usize = 12;

/// Adds an entity tag to each successful answer to a GET, and answers 304 if the client has it already.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let is_get = *request.method() == Method::GET;
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_ANSWER).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let revision = parts.headers.remove(header::ETAG);
    let revision = revision.as_ref().and_then(|tag| tag.to_str().ok()).map(|tag| tag.trim_matches('"'));
    let revision = revision.map_or_else(String::new, |revision| format!("{revision}-"));
    let tag = format!("\"{revision}{}\"", hex::encode(&Sha256::digest(&bytes)[..TAG_LENGTH]));
    if known.is_some_and(|known| matches(&known, &tag)) {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    parts.headers.extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
    Response::from_parts(parts, Body::from(bytes))
}

/// An answer with its revision as the entity tag.
pub(super) fn tagged(status: StatusCode, revision: &str, body: impl Serialize) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{revision}\""));
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
    response
}

/// Which revision an edit is for: `If-Match`, or `If-None-Match: *` for what is to be new.
pub(super) struct Condition(pub(super) Expected);

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(expected(&parts.headers)))
    }
}

fn expected(headers: &HeaderMap) -> Expected {
    let Some(known) = headers.get(header::IF_MATCH) else {
        let is_new = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
        return if is_new { Expected::Absent } else { Expected::Any };
    };
    let known = known.to_str().unwrap_or_default();
    if known.trim() == "*" {
        return Expected::Existing;
    }
    // A weak tag is equal to nothing here (RFC 9110 section 13.1.1).
    let strong = known.split(',').filter_map(|one| one.trim().strip_prefix('"')?.strip_suffix('"'));
    let revisions = strong.map(|tag| tag.split('-').next().unwrap_or(tag).to_owned());
    Expected::OneOf(revisions.collect())
}

/// Whether a list of entity tags contains one.
pub(crate) fn matches(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_for_the_revision_of_the_tag_and_not_for_the_answer() {
        let of = |name: header::HeaderName, value: &'static str| {
            expected(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
        };
        let one = |text: &str| Expected::OneOf(vec![text.to_owned()]);
        assert_eq!(expected(&HeaderMap::new()), Expected::Any);
        assert_eq!(of(header::IF_MATCH, "\"aa-bb\""), one("aa"));
        assert_eq!(of(header::IF_MATCH, "\"aa\""), one("aa"));
        assert_eq!(of(header::IF_MATCH, "*"), Expected::Existing);
        assert_eq!(of(header::IF_NONE_MATCH, "*"), Expected::Absent);
        for nothing in ["W/\"aa\"", "aa", "", "\"aa"] {
            assert_eq!(of(header::IF_MATCH, nothing), Expected::OneOf(vec![]), "{nothing}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list_be_it_weak_or_not() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches(&HeaderValue::from_static(known), "\"a\""), "{known}");
        }
        assert!(!matches(&HeaderValue::from_static("\"b\""), "\"a\""));
    }
}
