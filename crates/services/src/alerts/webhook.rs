//! Posts a message to a URL: signed, within a time, to an address that is checked, and without following a redirect.

use std::time::Duration;

use buoy_api::Secret;
use buoy_fleet::alerts::deliveries::Attempt;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};

use super::address::{self, Network, NoConnection};
use super::tls::Authorities;
use crate::hex;

/// How long a receiver may take, from the first packet to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most bytes of an answer that are read.
const MOST_ANSWER: usize = 4096;

/// A message for a URL.
pub(super) struct Post<'a> {
    pub(super) uri: &'a Uri,
    pub(super) body: Vec<u8>,
    /// With which it is signed.
    pub(super) secret: Option<&'a Secret>,
    /// Names the message.
    pub(super) id: u64,
    /// Now; milliseconds since the epoch.
    pub(super) now: u64,
}

/// Posts a message.
pub(super) async fn post(post: Post<'_>, authorities: &Authorities, allowed: &[Network]) -> Attempt {
    match tokio::time::timeout(PATIENCE, send(post, authorities, allowed)).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(Fault::Address(error @ NoConnection::Forbidden(_)))) => Attempt::Refused(error.to_string()),
        Ok(Err(Fault::Address(error))) => failed(error.to_string()),
        Ok(Err(Fault::Other(error))) => failed(error),
        Err(_) => failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn failed(error: String) -> Attempt {
    Attempt::Failed { error, retry_after: None }
}

enum Fault {
    Address(NoConnection),
    Other(String),
}

async fn send(post: Post<'_>, authorities: &Authorities, allowed: &[Network]) -> Result<Attempt, Fault> {
    let host = post.uri.host().unwrap_or_default();
    let is_secure = post.uri.scheme_str() == Some("https");
    let port = post.uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = address::connect(host, port, allowed).await.map_err(Fault::Address)?;
    if !is_secure {
        return exchange(stream, post).await;
    }
    let stream = authorities.secure(host, stream).await.map_err(Fault::Other)?;
    exchange(stream, post).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    post: Post<'_>,
) -> Result<Attempt, Fault> {
    let other = |error: hyper::Error| Fault::Other(format!("HTTP: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
    let request = request(post).map_err(|error| Fault::Other(format!("HTTP: {error}")))?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(other)?;
        let (parts, body) = answer.into_parts();
        let text = Limited::new(body, MOST_ANSWER).collect().await.map(|body| body.to_bytes());
        Ok(judge(parts.status, parts.headers.get(RETRY_AFTER), &text.unwrap_or_default()))
    };
    tokio::pin!(asked, connection);
    // The connection is driven here, so it ends with this, whatever the receiver does.
    let mut has_ended = false;
    loop {
        tokio::select! {
            biased;
            attempt = &mut asked => return attempt,
            // What came before its end is read still.
            _ = &mut connection, if !has_ended => has_ended = true,
        }
    }
}

fn request(post: Post<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let Post { uri, body, secret, id, now } = post;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(USER_AGENT, concat!("buoy/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header("buoy-delivery", id);
    if let Some(secret) = secret {
        request = request.header("buoy-signature", signature(secret, now / 1000, &body));
    }
    request.body(Full::new(body.into()))
}

/// `t=SECONDS,v1=HEX`: the HMAC-SHA256 of the seconds in decimal digits, a full stop, and the body. The time lets a receiver refuse what somebody
/// has recorded and sends again.
fn signature(secret: &Secret, seconds: u64, body: &[u8]) -> String {
    // A key may have any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(&mac.finalize().into_bytes()))
}

/// What an answer means. What a receiver would refuse again is not sent again, so that it does not hold up what comes after it.
fn judge(status: StatusCode, retry_after: Option<&hyper::header::HeaderValue>, body: &[u8]) -> Attempt {
    if status.is_success() {
        return Attempt::Accepted;
    }
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    let text = text.trim();
    let error = match text {
        "" => format!("it answered {status}"),
        text => format!("it answered {status}: {}", buoy_lwm2m::text::harmless(text)),
    };
    if status.is_redirection() {
        return Attempt::Refused(format!(
            "{error}; redirects are not followed, so give the URL that they lead to"
        ));
    }
    let is_final = [400, 404, 405, 406, 410, 411, 413, 414, 415, 422].contains(&status.as_u16());
    if is_final {
        return Attempt::Refused(error);
    }
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Attempt::Failed { error, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_be_checked_with_what_the_guide_says() {
        // printf '1700000000.{"id":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let secret = Secret::new("0123456789abcdef".into());
        let made = signature(&secret, 1_700_000_000, b"{\"id\":1}");
        let (time, tag) = made.split_once(",v1=").unwrap();
        assert_eq!((time, tag.len()), ("t=1700000000", 64));
        assert_ne!(made, signature(&secret, 1_700_000_001, b"{\"id\":1}"));
    }

    #[test]
    fn an_answer_says_whether_it_is_of_use_to_try_again() {
        let of = |status: u16| judge(StatusCode::from_u16(status).unwrap(), None, b"no\x1b[2J");
        assert_eq!(of(204), Attempt::Accepted);
        for later in [401, 403, 408, 429, 500, 502, 503] {
            assert!(matches!(of(later), Attempt::Failed { .. }), "{later}");
        }
        for never in [301, 302, 307, 400, 404, 410, 413] {
            let Attempt::Refused(why) = of(never) else { panic!("{never}") };
            assert!(!why.contains('\u{1b}'), "{why}");
        }
        let retry = hyper::header::HeaderValue::from_static("120");
        let told = judge(StatusCode::SERVICE_UNAVAILABLE, Some(&retry), b"");
        assert_eq!(
            told,
            Attempt::Failed { error: "it answered 503 Service Unavailable".into(), retry_after: Some(120) }
        );
    }
}
