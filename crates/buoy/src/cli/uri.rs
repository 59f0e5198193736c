//! URIs of servers, as people write them.

/// What follows the scheme of a URI, if it is this one, in any case (RFC 3986 section 3.1).
pub(crate) fn behind_scheme<'a>(uri: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = uri.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}
