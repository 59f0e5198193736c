//! Requests to the provider: within a time, to an address that is checked, with a bounded answer, and without following a redirect.

use std::time::Duration;

use buoy_api::Secret;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::settings::is_secure;
use super::{Fault, harmless, wrong};
use crate::alerts::Network;
use crate::alerts::address::{self, NoConnection};
use crate::alerts::tls::Authorities;

/// How long an answer is waited for, from the first packet to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const MOST_ANSWER: usize = 256 * 1024;

/// Asks a provider.
pub(super) struct Fetcher {
    /// The host that the operator of the machine has named. It is reached wherever it is; what else the provider names has to be public, or in
    /// a network that the operator allows.
    own_host: String,
    allowed: Vec<Network>,
    everywhere: Vec<Network>,
    authorities: Authorities,
}

/// What is asked.
struct Question {
    method: Method,
    uri: Uri,
    authorization: Option<String>,
    form: String,
}

impl Fetcher {
    pub(super) fn new(own_host: String, allowed: Vec<Network>) -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|text| text.parse().ok()).collect();
        Self { own_host, allowed, everywhere, authorities: Authorities::default() }
    }

    /// Gets a document.
    pub(super) async fn get(&self, uri: &str, access: Option<&Secret>) -> Result<Vec<u8>, Fault> {
        let authorization = access.map(|token| format!("Bearer {}", token.reveal()));
        let (status, body) = self.ask(Method::GET, uri, authorization, String::new()).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(refused(uri, status)) }
    }

    /// Posts a form, with the name and the secret of the client if they are given (RFC 6749, section 2.3.1).
    pub(super) async fn post(
        &self,
        uri: &str,
        form: String,
        client: Option<(&str, &Secret)>,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let authorization = client.map(|(name, secret)| {
            let pair = format!("{}:{}", escape(name), escape(secret.reveal()));
            format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
        });
        let (status, body) = self.ask(Method::POST, uri, authorization, form).await?;
        let is_told = status == StatusCode::OK || status.is_client_error();
        if is_told { Ok((status, body)) } else { Err(refused(uri, status)) }
    }

    async fn ask(
        &self,
        method: Method,
        uri: &str,
        authorization: Option<String>,
        form: String,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let parsed: Uri = uri.parse().map_err(|_| wrong(format!("{} is no URL", harmless(uri))))?;
        let question = Question { method, uri: parsed, authorization, form };
        match tokio::time::timeout(PATIENCE, self.send(question)).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(Fault::Away(format!("{} gives no answer within {} s", harmless(uri), PATIENCE.as_secs())))
            }
        }
    }

    async fn send(&self, question: Question) -> Result<(StatusCode, Vec<u8>), Fault> {
        let host = question.uri.host().unwrap_or_default().to_owned();
        let is_tls = question.uri.scheme_str() == Some("https");
        let port = question.uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let allowed = if host == self.own_host { &self.everywhere } else { &self.allowed };
        let stream = address::connect(&host, port, allowed).await.map_err(|error| match error {
            NoConnection::Forbidden(_) => wrong(format!("it names {}: {error}", harmless(&host))),
            NoConnection::Failed(reason) => Fault::Away(reason),
        })?;
        if !is_tls {
            return exchange(stream, question).await;
        }
        let stream = self.authorities.secure(&host, stream).await.map_err(Fault::Away)?;
        exchange(stream, question).await
    }
}

fn refused(uri: &str, status: StatusCode) -> Fault {
    let uri = harmless(uri);
    if status.is_redirection() {
        return wrong(format!("{uri} redirects ({status}), and redirects are not followed"));
    }
    if status.is_server_error() {
        return Fault::Away(format!("{uri} answers {status}"));
    }
    wrong(format!("{uri} answers {status}"))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    question: Question,
) -> Result<(StatusCode, Vec<u8>), Fault> {
    let away = |error: hyper::Error| Fault::Away(format!("HTTP: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let request = request(question).map_err(|error| wrong(format!("HTTP: {error}")))?;
    let asked = async {
        let (parts, body) = sender.send_request(request).await.map_err(away)?.into_parts();
        let body = Limited::new(body, MOST_ANSWER).collect().await;
        let body = body.map_err(|error| wrong(format!("its answer is not read: {error}")))?;
        Ok((parts.status, body.to_bytes().to_vec()))
    };
    tokio::pin!(asked, connection);
    // The connection is driven here, so it ends with this, whatever the provider does.
    let mut has_ended = false;
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            // What came before its end is read still.
            _ = &mut connection, if !has_ended => has_ended = true,
        }
    }
}

fn request(question: Question) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let Question { method, uri, authorization, form } = question;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(USER_AGENT, concat!("buoy/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json");
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(form.into()))
}

/// Whether the provider may be asked, and browsers be sent, there.
pub(super) fn check_endpoint(name: &str, uri: &str) -> Result<(), Fault> {
    if is_secure(uri) {
        return Ok(());
    }
    Err(wrong(format!("its {name} {} is no URL of HTTPS", harmless(uri))))
}

/// A form, as `application/x-www-form-urlencoded`.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
