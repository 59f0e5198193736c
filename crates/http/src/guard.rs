//! Protects the interface from pages of other sites. While there is no log-in, every user of this machine may use the interface, and a page
//! can make a browser of this machine send requests. So a request must name this machine, and must not come from another site's page.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tower::Service;

use super::error::Problem;
use super::slash;

/// A service that only this machine may use. It is in front of the router: as a layer of each route it would cost two boxes for a request.
#[derive(Clone, Debug)]
pub struct Guarded<S>(pub(super) S);

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        slash::remove_last(request.uri_mut());
        match check(request.headers()) {
            Ok(()) => Either::Right(self.0.call(request)),
            Err(reason) => {
                let problem = Problem::new(StatusCode::FORBIDDEN, "Not from here", reason);
                Either::Left(std::future::ready(Ok(problem.into_response())))
            }
        }
    }
}

fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text("host").is_some_and(|host| !is_this_machine(host)) {
        return Err(
            "the Host header has to be localhost or a loopback address: the interface is for this machine alone",
        );
    }
    // A page on another port of this machine is another site, too. Browsers send the origin with each POST, PUT and DELETE of a page.
    let is_own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| text("host").is_some_and(|own| own.eq_ignore_ascii_case(host)))
    };
    let is_of_own_page = text("origin").is_none_or(is_own);
    let is_asked_by_own_page =
        text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    if !is_of_own_page || !is_asked_by_own_page {
        return Err(
            "the request comes from the page of another site (a page on another port is one), which must not use the interface",
        );
    }
    Ok(())
}

/// Whether a host, with or without a port, is a name of this machine.
fn is_this_machine(authority: &str) -> bool {
    let Ok(uri) = Uri::builder().scheme("http").authority(authority).path_and_query("/").build() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn is_let_in(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        check(&headers.collect()).is_ok()
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
}
