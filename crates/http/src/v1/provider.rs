//! Sign-in by an identity provider. Both paths are for browsers, which follow them as links: they answer with redirects, and errors as a page.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use buoy_api::Secret;
use buoy_services::app::App;
use buoy_services::provider::{Callback, Fault, Provider, ProviderError};

use super::{Problem, check_store};
use crate::arrival::{Origin, cookie_named};

/// Keeps a sign-in that was begun. It comes back from the page of the provider, which is another site: so it is `Lax`, unlike that of a sign-in.
const COOKIE: &str = "__Host-buoy-sign-in";
/// How long the browser keeps it, in seconds.
const KEPT: u64 = 600;
/// The longest query of an answer, in bytes.
const LONGEST: usize = 16 * 1024;

/// Sends the browser to the provider.
pub(super) async fn begin(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let begun = match provider(&app) {
        Ok(provider) => provider.begin(host(&headers)).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => {
            let cookie = format!(
                "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={KEPT}",
                begun.cookie.reveal()
            );
            redirect(&begun.location, &[cookie])
        }
        Err(error) => refused(&headers, error),
    }
}

/// Takes the browser back, and signs in who it is.
pub(super) async fn callback(
    State(app): State<Arc<App>>,
    Origin(origin): Origin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(problem) = check_store(&app) {
        return problem.into_response();
    }
    let finished = match (provider(&app), read(query.as_deref().unwrap_or_default())) {
        (Ok(provider), Some(callback)) => {
            provider.finish(origin, host(&headers), cookie_named(&headers, COOKIE), callback).await
        }
        (Ok(_), None) => Err(ProviderError::NotBegun("the answer of the identity provider can't be read")),
        (Err(error), _) => Err(error),
    };
    match finished {
        Ok(session) => {
            let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
            redirect("/", &[super::sign_in::set_cookie(&session), gone])
        }
        Err(error) => refused(&headers, error),
    }
}

fn provider(app: &App) -> Result<&Provider, ProviderError> {
    app.provider().ok_or(ProviderError::NotSetUp)
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The parameters of the answer (RFC 6749, section 4.1.2). One that comes twice makes it invalid.
fn read(query: &str) -> Option<Callback> {
    if query.len() > LONGEST {
        return None;
    }
    let mut callback = Callback::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unescape(value)?;
        let before = match name {
            "code" => callback.code.replace(Secret::new(value)).map(drop),
            "state" => callback.state.replace(value).map(drop),
            "error" => callback.error.replace(value).map(drop),
            "error_description" => callback.error_description.replace(value).map(drop),
            "iss" => callback.issuer.replace(value).map(drop),
            _ => None,
        };
        if before.is_some() {
            return None;
        }
    }
    Some(callback)
}

/// A value of a form, as text.
fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn redirect(location: &str, cookies: &[String]) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return Problem::new(StatusCode::BAD_GATEWAY, "Wrong provider", "its address is no URL")
            .into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let fields = response.headers_mut();
    fields.insert(header::LOCATION, location);
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            fields.append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Says why nobody is signed in: to a person as a page, to a program as a problem.
fn refused(headers: &HeaderMap, error: ProviderError) -> Response {
    let detail = error.to_string();
    tracing::info!("a sign-in by the identity provider was refused: {detail}");
    let (status, title) = kind(&error);
    let problem = match error {
        ProviderError::Access(error) => Problem::from(error),
        _ => Problem::new(status, title, detail.clone()),
    };
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = problem.into_response();
    if accepted.contains("text/html") {
        response = (response.status(), Html(page(&detail))).into_response();
    }
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn kind(error: &ProviderError) -> (StatusCode, &'static str) {
    match error {
        ProviderError::NotSetUp => (StatusCode::NOT_FOUND, "No provider"),
        ProviderError::NoAccount => (StatusCode::FORBIDDEN, "No account yet"),
        ProviderError::Interface | ProviderError::NotBegun(_) => (StatusCode::BAD_REQUEST, "Not begun here"),
        ProviderError::Provider(Fault::Away(_)) => (StatusCode::SERVICE_UNAVAILABLE, "Provider away"),
        ProviderError::Provider(Fault::Wrong(_)) => (StatusCode::BAD_GATEWAY, "Wrong provider"),
        _ => (StatusCode::FORBIDDEN, "Not signed in"),
    }
}

fn page(detail: &str) -> String {
    let escaped =
        detail.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
        <title>Not signed in - Buoy</title><h1>Not signed in</h1><p>{escaped}</p><p><a href=\"/\">Back to the sign-in</a></p></html>"
    )
}

#[cfg(test)]
mod tests {
    use buoy_services::provider::CALLBACK;

    use super::*;

    #[test]
    fn an_answer_is_read_and_one_with_a_parameter_twice_is_none() {
        let read_code = |query: &str| Some(read(query)?.code?.reveal().to_owned());
        assert_eq!(read_code("code=a%2Bb&state=x").as_deref(), Some("a+b"));
        assert_eq!(read("iss=https%3A%2F%2Fid.example&x=1").unwrap().issuer.unwrap(), "https://id.example");
        assert!(read("error=access_denied&error_description=No+way").unwrap().code.is_none());
        for wrong in ["code=a&code=b", "code=%", "code=%g0", "state=%ff", &"x".repeat(LONGEST + 1)] {
            assert!(read(wrong).is_none(), "{wrong:.20}");
        }
        assert!(!page("<script>").contains("<script>"));
        assert!(crate::arrival::OPEN.contains(&CALLBACK));
    }
}
