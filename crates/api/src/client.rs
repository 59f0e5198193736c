//! A blocking client for both interfaces of a Buoy server.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::{Body, SendBody};

use crate::{
    AddCredential, Credential, CredentialProof, Device, Event, Firmware, Imported, NewCredential, Operation,
    Page, Problem, StartOperation, StartUpdate, Update,
};

/// Beyond what the server itself waits for a device.
const TIMEOUT: Duration = Duration::from_secs(630);
/// The largest answer that is read.
const MAX_ANSWER: u64 = 256 << 20;

/// A stream of events that breaks is tried again so often, and after so long.
const RECONNECTS: u32 = 5;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// One server-sent event.
struct Message<'a> {
    name: &'a str,
    id: Option<String>,
    data: &'a str,
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
}

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The server cannot be reached.
    Unreachable {
        /// The server.
        base: String,
        /// What the network said.
        cause: Box<ureq::Error>,
    },
    /// The server refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// The server's answer is not what this client knows.
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

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// A client of the server at `base`, as in "http://127.0.0.1:8080".
    #[must_use]
    pub fn new(base: &str) -> Self {
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        let base = base.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        Self { agent: config.into(), base }
    }

    /// The registered devices, page by page.
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

    /// Asks a device for something, and waits a while for its answer.
    pub fn start_operation(&self, operation: &StartOperation) -> Result<Operation> {
        self.send_json(Method::POST, "/api/v1/operations", operation)
    }

    /// One operation, with what the device answered.
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

    /// Puts a detached signature beside an image.
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

    /// Adds the credential that comes after this one.
    pub fn rotate_credential(&self, id: u64, next: &CredentialProof) -> Result<NewCredential> {
        self.send_json(Method::POST, &format!("/api/v1/credentials/{id}/rotate"), next)
    }

    /// Believes a credential no more.
    pub fn revoke_credential(&self, id: u64) -> Result<Credential> {
        self.call(Method::POST, &format!("/api/v1/credentials/{id}/revoke"), "", &[])
    }

    /// Forgets a credential.
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

    /// Follows what happens, of one device or all, and of some types or all. `each` ends the stream by `false`. A stream that breaks
    /// is taken up again where it was.
    pub fn events(
        &self,
        endpoint: Option<&str>,
        types: Option<&str>,
        mut each: impl FnMut(Event) -> bool,
    ) -> Result<()> {
        let mut query = String::from("/api/v1/events?");
        for (name, value) in [("endpoint", endpoint), ("types", types)] {
            if let Some(value) = value {
                query += &format!("{name}={}&", encode(value));
            }
        }
        let mut last: Option<String> = None;
        let mut failures = 0;
        loop {
            let followed = self.follow_after(&query, last.clone(), |message| {
                failures = 0;
                last = message.id.or(last.take());
                // What a newer server tells is passed over.
                serde_json::from_str(message.data).map_or(true, &mut each)
            });
            match followed {
                Ok(Ended::ByReader) => return Ok(()),
                Err(error @ ClientError::Refused { .. }) => return Err(error),
                Err(error) if failures == RECONNECTS => return Err(error),
                Ok(Ended::ByServer) | Err(_) => {
                    failures += 1;
                    std::thread::sleep(RECONNECT_AFTER);
                }
            }
        }
    }

    /// Any call whose answer is JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, "", &[])
    }

    /// A POST that is done once however often it is sent with this key.
    pub fn send_json_once<T: DeserializeOwned>(
        &self,
        key: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Unreadable(error.to_string()))?;
        let key = Some(("Idempotency-Key", key.to_owned()));
        read(self.run_with(Method::POST, path, "application/json", &body, "application/json", key)?)
    }

    /// Any call with a JSON body.
    pub fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Unreadable(error.to_string()))?;
        self.call(method, path, "application/json", &body)
    }

    /// Any call.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<T> {
        read(self.run_with(method, path, kind, body, "application/json", None)?)
    }

    /// Follows a stream of server-sent events: `each` gets name and data, and ends the stream by `false`.
    pub fn follow(&self, path: &str, mut each: impl FnMut(&str, &str) -> bool) -> Result<()> {
        self.follow_after(path, None, |message| each(message.name, message.data)).map(drop)
    }

    fn follow_after(
        &self,
        path: &str,
        last: Option<String>,
        mut each: impl FnMut(Message<'_>) -> bool,
    ) -> Result<Ended> {
        let last = last.map(|id| ("Last-Event-ID", id));
        let response = self.run_with(Method::GET, path, "", &[], "text/event-stream", last)?;
        let reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        let (mut name, mut id, mut data) = (String::new(), None, String::new());
        for line in reader.lines() {
            let line = line.map_err(|error| ClientError::Unreadable(error.to_string()))?;
            match line.split_once(':').map(|(field, value)| (field, value.trim())) {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data.push_str(value),
                // An empty line ends the event.
                None if line.is_empty() && !data.is_empty() => {
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

    fn run_with(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &[u8],
        accept: &str,
        header: Option<(&str, String)>,
    ) -> Result<Response<Body>> {
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.base)).header("Accept", accept);
        if !kind.is_empty() {
            request = request.header("Content-Type", kind);
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let unreadable = |error: ureq::http::Error| ClientError::Unreadable(error.to_string());
        let mut reader = body;
        let sent = if body.is_empty() {
            self.agent.run(request.body(()).map_err(unreadable)?)
        } else {
            request = request.header("Content-Length", body.len());
            self.agent.run(request.body(SendBody::from_reader(&mut reader)).map_err(unreadable)?)
        };
        let response = sent
            .map_err(|cause| ClientError::Unreachable { base: self.base.clone(), cause: Box::new(cause) })?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response)) }
    }
}

fn read<T: DeserializeOwned>(mut response: Response<Body>) -> Result<T> {
    let text = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()
        .map_err(|error| ClientError::Unreadable(error.to_string()))?;
    let text = if text.is_empty() { "null" } else { &text };
    serde_json::from_str(text).map_err(|error| ClientError::Unreadable(error.to_string()))
}

fn refused(mut response: Response<Body>) -> ClientError {
    let status = response.status().as_u16();
    let mut text = String::new();
    let mut reader = response.body_mut().as_reader().take(64 << 10);
    let detail = match reader.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str::<Problem>(&text).map_or(text, |problem| problem.detail),
        Err(error) => error.to_string(),
    };
    let detail = if detail.is_empty() { format!("the server answered {status}") } else { detail };
    ClientError::Refused { status, detail }
}

fn cursor(after: Option<&str>) -> String {
    after.map(|after| format!("&after={}", encode(after))).unwrap_or_default()
}

/// Percent-encodes what must not stand in a path segment or a query value.
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
