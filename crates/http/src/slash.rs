//! Slashes at the end of a path are ignored: scripts use `/api/security/clients/`, which Leshan's server accepts.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Removes the slashes at the end of the path of a URI.
pub(crate) fn remove_last(uri: &mut Uri) {
    let path = uri.path().trim_end_matches('/');
    if path.is_empty() || path.len() == uri.path().len() {
        return;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(shorter) = PathAndQuery::try_from(format!("{path}{query}")) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(shorter);
    if let Ok(shorter) = Uri::from_parts(parts) {
        *uri = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_of_a_path_are_passed_over() {
        for (given, expected) in [
            ("/api/security/clients/", "/api/security/clients"),
            ("/api/clients/EP/?timeout=5", "/api/clients/EP?timeout=5"),
            ("/api/clients/EP%2F//", "/api/clients/EP%2F"),
            ("http://localhost:8080/api/event/?ep=a/", "http://localhost:8080/api/event?ep=a/"),
            ("/api/clients", "/api/clients"),
            ("/", "/"),
            ("//", "//"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            remove_last(&mut uri);
            assert_eq!(uri.to_string(), expected);
        }
    }
}
