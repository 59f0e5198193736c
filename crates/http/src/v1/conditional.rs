//! Entity tags (RFC 9110 section 8.8): a client that has the current answer gets a short 304.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use buoy_services::hex;

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
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..TAG_LENGTH]));
    if known.is_some_and(|known| matches(&known, &tag)) {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    parts.headers.extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
    Response::from_parts(parts, Body::from(bytes))
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
    fn a_tag_is_found_in_a_list_be_it_weak_or_not() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches(&HeaderValue::from_static(known), "\"a\""), "{known}");
        }
        assert!(!matches(&HeaderValue::from_static("\"b\""), "\"a\""));
    }
}
