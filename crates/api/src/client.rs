//! A blocking client for both interfaces of a Buoy server.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::{AsSendBody, Body, SendBody};

use crate::{
    AddCredential, AddToken, Credential, CredentialProof, Device, Firmware, Imported, Me, NewCredential,
    NewToken, Operation, Page, Problem, Secret, Setup, SignIn, StartOperation, StartUpdate, TimedEvent,
    Update,
};

/// The time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The time limit for an answer, in addition to the time that the server waits for a device.
const ANSWER: Duration = Duration::from_secs(30);
/// The seconds that the server waits for a device by default.
const DEFAULT_WAIT: u64 = 5;
/// A stream is resumed after this time: this is the only way to detect a server that hangs without closing it.
const STREAM: Duration = Duration::from_secs(60);
/// The longest time that a server waits for a device.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The message for an answer that is not from Buoy.
const NO_BUOY: &str = "this is no answer of a Buoy server; is --server right?";
/// A stream that lasted this long before it broke doesn't count as a failed attempt.
const HEALTHY: Duration = Duration::from_secs(30);
/// The largest answer that is accepted.
const MAX_ANSWER: u64 = 256 << 20;

/// The number of attempts to resume a broken stream of events, and the pause before each.
const RECONNECTS: u32 = 5;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// A server-sent event. Without data it has only the position of the stream.
struct Message<'a> {
    name: &'a str,
    id: Option<String>,
    data: &'a str,
}

/// One call.
struct Call<'a> {
    method: Method,
    path: &'a str,
    kind: &'a str,
    body: &'a [u8],
    header: Option<(&'a str, String)>,
    /// The time limit for its answer.
    patience: Duration,
}

/// Why a stream of events ended.
enum Ended {
    ByReader,
    ByServer,
}

/// A server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    proof: Proof,
}

/// By what a client signs in.
#[derive(Clone, Debug)]
enum Proof {
    /// By nothing: a server without accounts trusts the programs of its machine.
    None,
    /// An API token.
    Token(Secret),
    /// The cookie of a sign-in, and what has to be repeated with it.
    Session { cookie: Secret, csrf: Secret },
}

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The server cannot be reached.
    Unreachable {
        /// The server.
        base: String,
        /// The error of the network.
        cause: Box<ureq::Error>,
    },
    /// The server refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The kind of refusal, as in [`Problem::title`]; empty if it named none.
        title: String,
        /// The detail in its answer.
        detail: String,
    },
    /// The server's answer can't be parsed.
    Unreadable(String),
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { base, cause } => {
                write!(
                    f,
                    "the server at {base} cannot be reached: {cause}; is `buoy serve` running, and is --server right?"
                )
            }
            Self::Refused { detail, .. } => f.write_str(detail),
            Self::Unreadable(what) => write!(f, "the server's answer cannot be read: {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// Whether the request needs a sign-in, or a token that counts.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Whether name and password were right, and a code is needed.
    #[must_use]
    pub fn needs_second_factor(&self) -> bool {
        matches!(self, Self::Refused { title, .. } if title == Problem::SECOND_FACTOR_NEEDED)
    }

    /// Whether the server has no device of this name.
    #[must_use]
    pub fn is_unknown_device(&self) -> bool {
        matches!(self, Self::Refused { title, .. } if title == Problem::NO_SUCH_DEVICE)
    }
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// A client of the server at `base`, for example "http://127.0.0.1:8080".
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self::trusting(base, &[])
    }

    /// A client that over HTTPS trusts these certificates (DER): authorities, or the server's own.
    #[must_use]
    pub fn trusting(base: &str, certificates: &[Vec<u8>]) -> Self {
        let certificates: Vec<_> =
            certificates.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect();
        let tls = ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .root_certs(ureq::tls::RootCerts::new_with_certs(&certificates))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .tls_config(tls)
            .build();
        let base = base.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        Self { agent: config.into(), base, proof: Proof::None }
    }

    /// The same with an API token.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { proof: Proof::Token(token), ..self }
    }

    /// The address of the server.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Signs in by name and password. The client that it returns acts for the account until the sign-in ends.
    pub fn sign_in(&self, request: &SignIn) -> Result<Self> {
        self.session("/api/v1/sign-in", &to_json(request)?)
    }

    /// Makes the first account by the one-time token that the server printed, and signs in.
    pub fn set_up(&self, request: &Setup) -> Result<Self> {
        self.session("/api/v1/setup", &to_json(request)?)
    }

    /// Ends the sign-in of this client.
    pub fn sign_out(&self) -> Result<Value> {
        self.call(Method::POST, "/api/v1/sign-out", "", &[])
    }

    /// Who this client acts for.
    pub fn me(&self) -> Result<Me> {
        self.get("/api/v1/me")
    }

    /// Makes a token of the account that has signed in.
    pub fn add_token(&self, request: &AddToken) -> Result<NewToken> {
        self.send_json(Method::POST, "/api/v1/tokens", request)
    }

    fn session(&self, path: &str, body: &[u8]) -> Result<Self> {
        let response = self.run(Call::json(Method::POST, path, body))?;
        let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie =
            cookie.and_then(|value| value.split(';').next()).map(|pair| Secret::new(pair.to_owned()));
        let me: Me = read(response)?;
        let (Some(cookie), Some(csrf)) = (cookie, me.csrf) else {
            return Err(ClientError::Unreadable(NO_BUOY.to_owned()));
        };
        Ok(Self { proof: Proof::Session { cookie, csrf }, ..self.clone() })
    }

    /// The devices that are registered or were, page by page.
    ///
    /// # Errors
    /// [`ClientError`], here and below.
    pub fn devices(&self, after: Option<&str>) -> Result<Page<Device>> {
        self.get(&format!("/api/v1/devices?limit=500{}", cursor(after)))
    }

    /// One device.
    pub fn device(&self, endpoint: &str) -> Result<Device> {
        self.get(&format!("/api/v1/devices/{}", encode(endpoint)))
    }

    /// Removes a device that is not registered.
    pub fn forget_device(&self, endpoint: &str) -> Result<Value> {
        self.call(Method::DELETE, &format!("/api/v1/devices/{}", encode(endpoint)), "", &[])
    }

    /// Starts an operation on a device, and waits a while for its answer.
    pub fn start_operation(&self, operation: &StartOperation) -> Result<Operation> {
        let wait = Duration::from_secs(operation.wait.unwrap_or(DEFAULT_WAIT));
        let body = to_json(operation)?;
        let call = Call::json(Method::POST, "/api/v1/operations", &body);
        read(self.run(Call { patience: ANSWER.saturating_add(wait), ..call })?)
    }

    /// One operation, with the device's answer.
    pub fn operation(&self, id: u64) -> Result<Operation> {
        self.get(&format!("/api/v1/operations/{id}"))
    }

    /// The operations, the newest first: of one device or all, ended, not ended, or both.
    pub fn operations(
        &self,
        endpoint: Option<&str>,
        ended: Option<bool>,
        limit: usize,
    ) -> Result<Page<Operation>> {
        let device = endpoint.map(|endpoint| format!("&endpoint={}", encode(endpoint))).unwrap_or_default();
        let ended = ended.map(|ended| format!("&ended={ended}")).unwrap_or_default();
        self.get(&format!("/api/v1/operations?limit={limit}{device}{ended}"))
    }

    /// Cancels an operation.
    pub fn cancel_operation(&self, id: u64) -> Result<Operation> {
        self.call(Method::DELETE, &format!("/api/v1/operations/{id}"), "", &[])
    }

    /// The firmware library.
    pub fn firmware(&self) -> Result<Page<Firmware>> {
        self.get("/api/v1/firmware")
    }

    /// Uploads an image.
    pub fn upload_firmware(&self, name: Option<&str>, image: &[u8]) -> Result<Firmware> {
        let name = name.map(|name| format!("?name={}", encode(name))).unwrap_or_default();
        self.call(Method::POST, &format!("/api/v1/firmware{name}"), "application/octet-stream", image)
    }

    /// Adds a detached signature to an image.
    pub fn upload_signature(&self, digest: &str, signature: &[u8]) -> Result<Firmware> {
        let path = format!("/api/v1/firmware/{digest}/signature");
        self.call(Method::PUT, &path, "application/octet-stream", signature)
    }

    /// Deletes an image.
    pub fn delete_firmware(&self, digest: &str) -> Result<Value> {
        self.call(Method::DELETE, &format!("/api/v1/firmware/{digest}"), "", &[])
    }

    /// Starts a firmware update.
    pub fn start_update(&self, update: &StartUpdate) -> Result<Update> {
        self.send_json(Method::POST, "/api/v1/updates", update)
    }

    /// One update.
    pub fn update(&self, id: u64) -> Result<Update> {
        self.get(&format!("/api/v1/updates/{id}"))
    }

    /// Updates, the newest first.
    pub fn updates(&self, endpoint: Option<&str>) -> Result<Page<Update>> {
        let device = endpoint.map(|endpoint| format!("&endpoint={}", encode(endpoint))).unwrap_or_default();
        self.get(&format!("/api/v1/updates?limit=100{device}"))
    }

    /// Cancels an update.
    pub fn cancel_update(&self, id: u64) -> Result<Update> {
        self.call(Method::DELETE, &format!("/api/v1/updates/{id}"), "", &[])
    }

    /// Adds a credential.
    pub fn add_credential(&self, credential: &AddCredential) -> Result<NewCredential> {
        self.send_json(Method::POST, "/api/v1/credentials", credential)
    }

    /// Adds the credentials of a CSV file, all or none.
    pub fn import_credentials(&self, csv: &[u8]) -> Result<Imported> {
        self.call(Method::POST, "/api/v1/credentials/import", "text/csv", csv)
    }

    /// Credentials, of one device or all, the newest first.
    pub fn credentials(&self, endpoint: Option<&str>) -> Result<Vec<Credential>> {
        let device = endpoint.map(|endpoint| format!("&endpoint={}", encode(endpoint))).unwrap_or_default();
        self.all(&format!("/api/v1/credentials?limit=1000{device}"))
    }

    /// Adds the next credential after this one.
    pub fn rotate_credential(&self, id: u64, next: &CredentialProof) -> Result<NewCredential> {
        self.send_json(Method::POST, &format!("/api/v1/credentials/{id}/rotate"), next)
    }

    /// Revokes a credential.
    pub fn revoke_credential(&self, id: u64) -> Result<Credential> {
        self.call(Method::POST, &format!("/api/v1/credentials/{id}/revoke"), "", &[])
    }

    /// Removes a credential.
    pub fn remove_credential(&self, id: u64) -> Result<Value> {
        self.call(Method::DELETE, &format!("/api/v1/credentials/{id}"), "", &[])
    }

    /// All entries of a list, page by page. `path` has a query.
    pub fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page: Page<T> = self.get(&format!("{path}{}", cursor(after.as_deref())))?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Follows the events of one device or all, and of some types or all. `each` returns `false` to end the stream. A broken stream is
    /// resumed where it was.
    pub fn events(
        &self,
        endpoint: Option<&str>,
        types: Option<&str>,
        each: impl FnMut(TimedEvent) -> bool,
    ) -> Result<()> {
        let mut query = String::from("/api/v1/events?");
        for (name, value) in [("endpoint", endpoint), ("types", types)] {
            if let Some(value) = value {
                query += &format!("{name}={}&", encode(value));
            }
        }
        self.events_of(&query, each)
    }

    /// The same with a query of the caller's.
    pub fn events_of(&self, query: &str, mut each: impl FnMut(TimedEvent) -> bool) -> Result<()> {
        let mut last: Option<String> = None;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let followed = self.follow_after(query, last.clone(), |message| {
                last = message.id.or(last.take());
                // Unknown events of a newer server are ignored.
                serde_json::from_str(message.data).map_or(true, &mut each)
            });
            if started.elapsed() >= HEALTHY {
                failures = 0;
            }
            match followed {
                Ok(Ended::ByReader) => return Ok(()),
                Err(error @ ClientError::Refused { .. }) => return Err(error),
                Err(error) if failures == RECONNECTS => return Err(error),
                Ok(Ended::ByServer) | Err(_) if started.elapsed() < HEALTHY => {
                    failures += 1;
                    std::thread::sleep(RECONNECT_AFTER);
                }
                Ok(Ended::ByServer) | Err(_) => {}
            }
        }
    }

    /// Any call whose answer is JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, "", &[])
    }

    /// A text for people, as it is.
    pub fn text(&self, path: &str) -> Result<String> {
        let mut response = self.run(Call::json(Method::GET, path, &[]))?;
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
        text.map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// The lines of a text, as they come; `each` returns `false` to end it.
    pub fn lines(&self, path: &str, mut each: impl FnMut(&str) -> bool) -> Result<()> {
        let response = self.request(&Call::json(Method::GET, path, &[]), "*/*", None)?;
        let reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        for line in reader.lines() {
            let line = line.map_err(|error| ClientError::Unreadable(error.to_string()))?;
            if !each(&line) {
                break;
            }
        }
        Ok(())
    }

    /// A POST that is executed once, however often it is sent with this key.
    pub fn send_json_once<T: DeserializeOwned>(
        &self,
        key: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = to_json(body)?;
        let header = Some(("Idempotency-Key", key.to_owned()));
        // The result may be an operation, for which the server waits.
        let patience = ANSWER.saturating_add(LONGEST_WAIT);
        read(self.run(Call { header, patience, ..Call::json(Method::POST, path, &body) })?)
    }

    /// Any call with a JSON body.
    pub fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(method, path, "application/json", &to_json(body)?)
    }

    /// The same for a thing that is expected to have this revision still, if there is one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with 412 if it has another.
    pub fn send_json_if<T: DeserializeOwned>(
        &self,
        revision: Option<&str>,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let header = revision.map(|revision| ("If-Match", format!("\"{revision}\"")));
        let body = to_json(body)?;
        read(self.run(Call { header, ..Call::json(method, path, &body) })?)
    }

    /// Any call.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<T> {
        read(self.run(Call { kind, ..Call::json(method, path, body) })?)
    }

    /// Follows a stream of server-sent events: `each` gets name and data, and returns `false` to end the stream.
    pub fn follow(&self, path: &str, mut each: impl FnMut(&str, &str) -> bool) -> Result<()> {
        let told = |message: Message<'_>| message.data.is_empty() || each(message.name, message.data);
        self.follow_after(path, None, told).map(drop)
    }

    fn follow_after(
        &self,
        path: &str,
        last: Option<String>,
        mut each: impl FnMut(Message<'_>) -> bool,
    ) -> Result<Ended> {
        let header = last.map(|id| ("Last-Event-ID", id));
        let call = Call { header, kind: "", ..Call::json(Method::GET, path, &[]) };
        let response = self.request(&call, "text/event-stream", Some(STREAM))?;
        let reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        let (mut name, mut id, mut data) = (String::new(), None, String::new());
        for line in reader.lines() {
            let line = line.map_err(|error| ClientError::Unreadable(error.to_string()))?;
            match line.split_once(':').map(|(field, value)| (field, value.trim())) {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data.push_str(value),
                // An empty line ends the event; an event with only an id has the position of the stream.
                None if line.is_empty() && !(data.is_empty() && id.is_none()) => {
                    if !each(Message { name: &name, id: id.take(), data: &data }) {
                        return Ok(Ended::ByReader);
                    }
                    data.clear();
                }
                _ => {}
            }
        }
        Ok(Ended::ByServer)
    }

    fn run(&self, call: Call<'_>) -> Result<Response<Body>> {
        self.request(&call, "application/json", None)
    }

    /// `lasting` is the time limit for the body.
    fn request(&self, call: &Call<'_>, accept: &str, lasting: Option<Duration>) -> Result<Response<Body>> {
        let Call { method, path, kind, body, header, patience } = call;
        let uri = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method.clone()).uri(uri).header("Accept", accept);
        if !kind.is_empty() {
            request = request.header("Content-Type", *kind);
        }
        if let Some((name, value)) = header {
            request = request.header(*name, value);
        }
        request = match &self.proof {
            Proof::None => request,
            Proof::Token(token) => request.header("Authorization", format!("Bearer {}", token.reveal())),
            Proof::Session { cookie, csrf } => {
                request.header("Cookie", cookie.reveal()).header("X-CSRF-Token", csrf.reveal())
            }
        };
        let unreadable = |error: ureq::http::Error| ClientError::Unreadable(error.to_string());
        let mut reader = *body;
        let sent = if body.is_empty() {
            self.send(request.body(()).map_err(unreadable)?, *patience, lasting)
        } else {
            request = request.header("Content-Length", body.len());
            let body = SendBody::from_reader(&mut reader);
            self.send(request.body(body).map_err(unreadable)?, *patience, lasting)
        };
        let response = sent
            .map_err(|cause| ClientError::Unreachable { base: self.base.clone(), cause: Box::new(cause) })?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response)) }
    }

    fn send<B: AsSendBody>(
        &self,
        request: Request<B>,
        patience: Duration,
        lasting: Option<Duration>,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_recv_response(Some(patience));
        self.agent.run(request.timeout_recv_body(lasting).build())
    }
}

impl<'a> Call<'a> {
    fn json(method: Method, path: &'a str, body: &'a [u8]) -> Self {
        Self { method, path, kind: "application/json", body, header: None, patience: ANSWER }
    }
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| ClientError::Unreadable(error.to_string()))
}

fn read<T: DeserializeOwned>(mut response: Response<Body>) -> Result<T> {
    let is_json = has_kind(&response, "json");
    let text = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()
        .map_err(|error| ClientError::Unreadable(error.to_string()))?;
    if !text.is_empty() && !is_json {
        return Err(ClientError::Unreadable(NO_BUOY.to_owned()));
    }
    let text = if text.is_empty() { "null" } else { &text };
    serde_json::from_str(text).map_err(|error| ClientError::Unreadable(error.to_string()))
}

fn has_kind(response: &Response<Body>, wanted: &str) -> bool {
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.contains(wanted))
}

fn refused(mut response: Response<Body>) -> ClientError {
    let status = response.status().as_u16();
    if has_kind(&response, "html") {
        let detail = format!("it answered {status}: {NO_BUOY}");
        return ClientError::Refused { status, title: String::new(), detail };
    }
    let mut text = String::new();
    let mut reader = response.body_mut().as_reader().take(64 << 10);
    let is_read = reader.read_to_string(&mut text).is_ok();
    let problem = serde_json::from_str(&text).ok().filter(|_| is_read);
    // Leshan's dialect answers with a line of text.
    let Problem { title, detail, .. } =
        problem.unwrap_or_else(|| Problem { title: String::new(), status, detail: text, position: None });
    let detail = if detail.is_empty() { format!("the server answered {status}") } else { detail };
    ClientError::Refused { status, title, detail }
}

fn cursor(after: Option<&str>) -> String {
    after.map(|after| format!("&after={}", encode(after))).unwrap_or_default()
}

/// Percent-encodes a path segment or a query value.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
