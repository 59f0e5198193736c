//! Who sends a request: by a token, by the cookie of a sign-in, or trusted without either because it came from this machine.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Encoding};
use buoy_services::accounts::{Accounts, Arrival};
use buoy_services::principal::Principal;
use buoy_services::provider::CALLBACK;

use crate::error::Problem;

/// The cookie of a sign-in. Browsers take a name with this beginning only over HTTPS or from this machine, and send it to this host alone.
pub(crate) const COOKIE: &str = "__Host-buoy";
/// What a request by cookie has to repeat if it changes something.
pub(crate) const CSRF: &str = "x-csrf-token";
/// Leshan's dialect is below this, and `/api/v1`.
const API: &str = "/api/";
const V1: &str = "/api/v1/";
/// Paths of `/api/v1` that need no sign-in: they make one, or are the same for everybody.
pub(crate) const OPEN: [&str; 6] = [
    "/api/v1/openapi.json",
    "/api/v1/setup",
    "/api/v1/sign-in",
    "/api/v1/sign-in/link",
    "/api/v1/sign-in/provider",
    "/api/v1/sign-in/callback",
];

/// Who is let in without a sign-in, and from where requests come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// Whether a proxy stands in front: then the address and the scheme of a request are those that it says.
    pub proxy: Proxy,
    /// Whether Leshan's dialect may be used from this machine without a sign-in even if there are accounts.
    pub leshan: Leshan,
}

/// A proxy in front of the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// None: what a request says of its origin is not believed.
    #[default]
    None,
    /// One that is the only one to reach the interface, and sets `X-Forwarded-For` and `X-Forwarded-Proto`.
    InFront,
}

/// Leshan's dialect from this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leshan {
    /// Needs a sign-in as soon as there are accounts.
    #[default]
    SignedIn,
    /// Needs none.
    Open,
}

/// Why a request is not served.
#[derive(Debug)]
#[expect(clippy::enum_variant_names, reason = "each says what the request is not")]
pub(crate) enum Refusal {
    /// It has no credential, or one that does not count.
    NotSignedIn(&'static str),
    /// It comes from the page of another site, or through a name that was made to point here.
    NotFromHere(&'static str),
    /// The proxy forwards what came without TLS.
    NotSecure,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NotSignedIn(reason) => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "Not signed in", reason);
                // No challenge for Basic: a browser would ask for a password that is none of it.
                ([(header::WWW_AUTHENTICATE, "Bearer realm=\"buoy\"")], problem).into_response()
            }
            Self::NotFromHere(reason) => {
                Problem::new(StatusCode::FORBIDDEN, "Not from here", reason).into_response()
            }
            Self::NotSecure => {
                let detail = "the proxy says that this request came without TLS (X-Forwarded-Proto); a sign-in must not be sent so. Have the proxy speak HTTPS";
                Problem::new(StatusCode::FORBIDDEN, "Not secure", detail).into_response()
            }
        }
    }
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin(pub(crate) Option<IpAddr>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

impl Trust {
    /// Finds out who sends a request, and notes it for its handler.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(crate) fn admit(
        &self,
        accounts: &Accounts,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<(), Refusal> {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let origin = self.origin(peer, headers)?;
        extensions.insert(Origin(origin));
        let path = uri.path();
        if !is_visit(method, path, headers) {
            check_site(headers)?;
        }
        match self.arrival(accounts, headers, origin)? {
            Some(arrival) => {
                if let Some(csrf) = &arrival.csrf
                    && !method.is_safe()
                    && !OPEN.contains(&path)
                    && headers.get(CSRF).is_none_or(|given| given.as_bytes() != csrf.as_bytes())
                {
                    return Err(Refusal::NotFromHere(
                        "a request with a cookie that changes something needs the header X-CSRF-Token; its value is in the answer of the sign-in and of /api/v1/me",
                    ));
                }
                extensions.insert(arrival.principal.clone());
                extensions.insert(arrival);
                return Ok(());
            }
            None if !needs_sign_in(path) => {}
            None => {
                let is_leshan = path.starts_with(API) && !path.starts_with(V1);
                let is_trusted =
                    self.is_local(peer) && (accounts.is_empty() || is_leshan && self.leshan == Leshan::Open);
                if !is_trusted {
                    return Err(Refusal::NotSignedIn(match accounts.is_empty() {
                        true => {
                            "the server has no account yet; make the first one with the one-time token that it printed at its start (POST /api/v1/setup, or the page)"
                        }
                        false => {
                            "this needs a sign-in: send an API token as `Authorization: Bearer …`, or sign in at /api/v1/sign-in"
                        }
                    }));
                }
                check_host(headers)?;
                extensions.insert(Principal::local(origin));
            }
        }
        Ok(())
    }

    /// Whether the other end is a program of this machine, and no proxy for others.
    fn is_local(&self, peer: Option<IpAddr>) -> bool {
        self.proxy == Proxy::None && peer.is_none_or(|peer| peer.to_canonical().is_loopback())
    }

    fn origin(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<Option<IpAddr>, Refusal> {
        if self.proxy == Proxy::None {
            return Ok(peer);
        }
        let text =
            |name: &str| headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        if text("x-forwarded-proto").is_some_and(|proto| !proto.trim().eq_ignore_ascii_case("https")) {
            return Err(Refusal::NotSecure);
        }
        // A proxy appends the address that it saw: what stands before it is what the other end said of itself.
        let last = text("x-forwarded-for").and_then(|list| list.rsplit(',').next()).map(str::trim);
        Ok(last.and_then(|address| address.parse().ok()).or(peer))
    }

    fn arrival(
        &self,
        accounts: &Accounts,
        headers: &HeaderMap,
        origin: Option<IpAddr>,
    ) -> Result<Option<Arrival>, Refusal> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let secret = presented(value.to_str().unwrap_or_default());
            let secret = secret.ok_or(Refusal::NotSignedIn(
                "the header Authorization has to be `Bearer TOKEN`, or Basic with a token in place of the password",
            ))?;
            let arrival = accounts.by_token(&secret, origin);
            return arrival.map(Some).ok_or(Refusal::NotSignedIn(
                "the token does not count: it is unknown, has expired, or its account is disabled; make a new one with `buoy ctl token add`, or `buoy ctl login`",
            ));
        }
        // A cookie that no longer counts is as good as none: a page then shows its sign-in.
        Ok(cookie(headers).and_then(|secret| accounts.by_cookie(secret, origin)))
    }
}

/// Whether a path is served to those alone who signed in.
fn needs_sign_in(path: &str) -> bool {
    (path.starts_with(API) || path == "/metrics") && !OPEN.contains(&path)
}

/// The token in a header. A password is none: hashing one for each request would cost a processor, and pass the second factor by.
fn presented(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(Base64::decode_vec(rest).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// The value of the cookie of a sign-in.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE)
}

/// The value of a cookie.
pub(crate) fn cookie_named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lists = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Whether a browser follows a link to the page itself, which is the same for everybody: links to it may stand anywhere. The identity provider
/// sends browsers back by such a link, which counts with the cookie of a sign-in that was begun here.
fn is_visit(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    navigates && method.is_safe() && (!path.starts_with(API) || path == CALLBACK)
}

/// Refuses what the page of another site had a browser send.
fn check_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // A page on another port of this machine is another site, too. Browsers send the origin with each POST, PUT and DELETE of a page.
    let is_own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| text("host").is_some_and(|own| own.eq_ignore_ascii_case(host)))
    };
    let is_of_own_page = text("origin").is_none_or(is_own);
    let is_asked_by_own_page =
        text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    if is_of_own_page && is_asked_by_own_page {
        return Ok(());
    }
    Err(Refusal::NotFromHere(
        "the request comes from the page of another site (a page on another port is one), which must not use the interface",
    ))
}

/// Refuses a request without a sign-in that names another machine: its name may have been made to point here.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    if host.is_none_or(is_this_machine) {
        return Ok(());
    }
    Err(Refusal::NotFromHere(
        "the Host header has to be localhost or a loopback address: without a sign-in the interface is for this machine alone",
    ))
}

/// Whether a host, with or without a port, is a name of this machine.
fn is_this_machine(authority: &str) -> bool {
    let Ok(uri) = Uri::builder().scheme("http").authority(authority).path_and_query("/").build() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers = headers.iter();
        headers
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_link_on_another_site_opens_the_page_and_nothing_else() {
        let visit = map(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]);
        assert!(is_visit(&Method::GET, "/devices/buoy-1", &visit));
        assert!(!is_visit(&Method::GET, "/api/v1/devices", &visit));
        assert!(is_visit(&Method::GET, CALLBACK, &visit) && !is_visit(&Method::POST, CALLBACK, &visit));
        assert!(!is_visit(&Method::POST, "/devices/buoy-1", &visit), "a form of another site");
        let image = map(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]);
        assert!(!is_visit(&Method::GET, "/devices/buoy-1", &image));
    }

    fn is_let_in(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = map(headers);
        check_site(&headers).is_ok() && check_host(&headers).is_ok()
    }

    #[test]
    fn this_machine_s_names_are_let_in() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.8.0.1"] {
            assert!(is_let_in(&[("host", host)]), "{host}");
        }
        assert!(is_let_in(&[
            ("host", "localhost:1"),
            ("origin", "http://localhost:1"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(is_let_in(&[]));
    }

    #[test]
    fn other_sites_and_names_that_were_made_to_point_here_are_not() {
        for host in ["evil.com", "localhost.evil.com", "127.0.0.1.evil.com:8080", "192.0.2.1", ""] {
            assert!(!is_let_in(&[("host", host)]), "{host}");
        }
        assert!(!is_let_in(&[("host", "127.0.0.1:1"), ("origin", "http://evil.com")]));
        assert!(!is_let_in(&[("host", "127.0.0.1:1"), ("origin", "null")]));
        assert!(!is_let_in(&[("host", "127.0.0.1:1"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_page_on_another_port_of_this_machine_is_another_site() {
        let host = ("host", "localhost:8080");
        assert!(is_let_in(&[host, ("origin", "http://LOCALHOST:8080")]));
        for origin in
            ["http://localhost:3000", "http://localhost", "http://127.0.0.1:8080", "localhost:8080", ""]
        {
            assert!(!is_let_in(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!is_let_in(&[("origin", "http://localhost:8080")]), "without a host nothing is its own page");
        assert!(!is_let_in(&[host, ("sec-fetch-site", "same-site")]));
        assert!(is_let_in(&[host, ("sec-fetch-site", "none")]));
    }

    #[test]
    fn a_token_comes_as_bearer_or_in_place_of_the_password_of_basic() {
        assert_eq!(presented("Bearer buoy_1").as_deref(), Some("buoy_1"));
        assert_eq!(presented("bearer  buoy_1").as_deref(), Some("buoy_1"));
        // "alice:buoy_1"
        assert_eq!(presented("Basic YWxpY2U6YnVveV8x").as_deref(), Some("buoy_1"));
        for other in ["", "Bearer", "Basic", "Basic YWxpY2U=", "Basic !", "Digest x", "buoy_1"] {
            assert_eq!(presented(other), None, "{other}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(cookie(&map(&[("cookie", "a=b; __Host-buoy=x; c=d")])), Some("x"));
        assert_eq!(cookie(&map(&[("cookie", "__Host-buoy2=x; buoy=y")])), None);
    }

    #[test]
    fn behind_a_proxy_the_last_address_that_it_says_counts_and_no_request_is_trusted() {
        let trust = Trust { proxy: Proxy::InFront, leshan: Leshan::Open };
        let peer = Some("127.0.0.1".parse().unwrap());
        let origin = |headers: &[(&'static str, &'static str)]| trust.origin(peer, &map(headers));
        let said = [("x-forwarded-for", "127.0.0.1, 192.0.2.7"), ("x-forwarded-proto", "https")];
        assert_eq!(origin(&said).unwrap(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(origin(&[]).unwrap(), peer);
        assert!(origin(&[("x-forwarded-proto", "http")]).is_err());
        assert!(!trust.is_local(peer));
        let direct = Trust::default();
        assert_eq!(direct.origin(peer, &map(&said)).unwrap(), peer);
        assert!(direct.is_local(peer) && !direct.is_local(Some("192.0.2.7".parse().unwrap())));
        assert!(direct.is_local(Some("::ffff:127.0.0.1".parse().unwrap())));
    }
}
