//! The REST interface of Leshan's demo server, so that the scripts that people have go on working: `/api/clients`, `/api/event`,
//! `/api/objectspecs`, `/api/security`, `/api/server`, `/api/bootstrap`.
//!
//! A slash at the end of a path is passed over before it gets here (`slash`). Leshan's bootstrap server has the same interface on a port of
//! its own, with its own credentials: [`bootstrap_routes`].
//!
//! Where Leshan is poor this is better rather than the same: a value of the wrong type is 400 and not 500, an unknown format or
//! time-out is 400 and not ignored.

mod bootstrap;
mod events;
mod security;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use buoy_api::{CredentialPurpose, DeviceState};
use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
use buoy_lwm2m::format::FormatError;
use buoy_lwm2m::link::Links;
use buoy_lwm2m::operation::{self, Downlink, WriteMode};
use buoy_lwm2m::path::{Level, Path};
use buoy_lwm2m::text::harmless;
use buoy_server::{Failure, Intent, Outcome, RegistrationView};
use futures_util::stream;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::nodes::{self, Composite, Node};
use crate::v1::Author;
use buoy_services::app::{App, Performed};
use buoy_services::devices;
use buoy_services::inventory::DeviceFilter;
use buoy_services::path_values::{Values, read_value};
use buoy_services::principal::Principal;
use buoy_services::values::{self, DeviceModels};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_TIMEOUT: u64 = 600;
const MAX_PATHS: usize = 256;
/// Clients that are read and written at once.
const CLIENTS_AT_ONCE: usize = 200;
/// Since which version of LwM2M an object is meant for; definitions that don't say it mean this one.
const LWM2M_OF_MODELS: &str = "1.0";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/clients", get(clients))
        .route("/api/clients/{endpoint}", get(client))
        .route("/api/clients/{endpoint}/{*path}", get(read).put(write).post(execute).delete(delete))
        .route("/api/objectspecs/{endpoint}", get(object_specs))
        .route("/api/server/endpoint", get(server_endpoint))
        .merge(common_routes(CredentialPurpose::Lwm2m))
        .merge(bootstrap::routes())
}

/// What Leshan's bootstrap server has on its port.
pub(super) fn bootstrap_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/server/endpoint", get(bootstrap_endpoint))
        .merge(common_routes(CredentialPurpose::Bootstrap))
        .merge(bootstrap::routes())
}

/// What both servers have, each with its own credentials.
fn common_routes(purpose: CredentialPurpose) -> Router<Arc<App>> {
    Router::new()
        .route("/api/event", get(event))
        .route("/api/server/security", get(security::server))
        .merge(security::routes(purpose))
}

/// A refusal in Leshan's manner: a status and a line of text.
struct Plain(StatusCode, String);

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        // It may quote a device, and is read on a terminal.
        let text = harmless(&self.1).to_string();
        (self.0, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}

fn bad_request(reason: impl std::fmt::Display) -> Plain {
    Plain(StatusCode::BAD_REQUEST, format!("Invalid request: {reason}"))
}

type Answer = Result<Response, Plain>;
type Parameters = HashMap<String, String>;

/// What a path below a client asks for.
enum Target {
    Node(Path),
    Discover(Path),
    Attributes(Path),
    Observe(Path),
    Composite,
    ObserveComposite,
}

impl Target {
    fn parse(text: &str) -> Result<Self, Plain> {
        let path = |text: &str| format!("/{text}").parse::<Path>().map_err(bad_request);
        Ok(match text.trim_end_matches('/').rsplit_once('/') {
            None if text == "composite" => Self::Composite,
            Some(("composite", "observe")) => Self::ObserveComposite,
            Some((node, "discover")) => Self::Discover(path(node)?),
            Some((node, "attributes")) => Self::Attributes(path(node)?),
            Some((node, "observe")) => Self::Observe(path(node)?),
            _ => Self::Node(path(text.trim_end_matches('/'))?),
        })
    }
}

/// A request on a device: who, what, and how long to wait.
struct Call {
    app: Arc<App>,
    principal: Principal,
    endpoint: String,
    parameters: Parameters,
    timeout: Duration,
}

impl Call {
    fn open(
        app: Arc<App>,
        principal: Principal,
        endpoint: &str,
        parameters: Parameters,
    ) -> Result<Self, Plain> {
        let timeout = match parameters.get("timeout") {
            None => DEFAULT_TIMEOUT,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=LONGEST_TIMEOUT) => Duration::from_secs(seconds),
                _ => return Err(bad_request(format!("timeout must be 1 to {LONGEST_TIMEOUT} seconds"))),
            },
        };
        Ok(Self { app, principal, endpoint: endpoint.to_owned(), parameters, timeout })
    }

    /// The device, for requests whose payload depends on it.
    async fn registration(&self) -> Result<RegistrationView, Plain> {
        registered(&self.app, &self.endpoint).await
    }

    fn models<'a>(&'a self, registration: &'a RegistrationView) -> DeviceModels<'a> {
        DeviceModels::of(self.app.models(), &registration.objects)
    }

    fn format(&self, name: &str) -> Result<Option<ContentFormat>, Plain> {
        self.parameters.get(name).map(|text| values::parse_format(text).map_err(bad_request)).transpose()
    }

    fn composite_paths(&self) -> Result<Vec<Path>, Plain> {
        let text = self.parameters.get("paths").ok_or_else(|| bad_request("the query paths is missing"))?;
        let named = text.split(',').map(str::trim).filter(|path| !path.is_empty());
        let paths: Result<Vec<Path>, Plain> = named.map(composite_path).collect();
        match paths? {
            paths if paths.is_empty() => Err(bad_request("the query paths names no path")),
            paths if paths.len() > MAX_PATHS => Err(bad_request(format!("more than {MAX_PATHS} paths"))),
            paths => Ok(paths),
        }
    }

    /// Carries a request out and answers with what `content` makes of the device's answer.
    ///
    /// What the request borrows is not held while the device is waited for.
    fn answer<'a, F>(
        &'a self,
        path: Path,
        request: &Downlink<'_>,
        intent: Intent,
        content: F,
    ) -> impl Future<Output = Answer> + use<'a, F>
    where
        F: FnOnce(&Reply<'_>) -> Answered,
    {
        let request = buoy_server::Downlink::of(request, "/");
        async move {
            if let Err(trouble) = self.app.check_store() {
                return Err(Plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("The store cannot be written: {trouble}"),
                ));
            }
            let performed =
                self.app.perform(&self.principal, &self.endpoint, request, intent, self.timeout).await;
            let Some((registration, performed)) = performed else { return Err(unknown(&self.endpoint)) };
            match performed {
                Performed::Delayed(id) => Ok(Json(json!({
                    "ep": self.endpoint, "path": path.to_string(), "requestId": request_id(id.0), "delayed": true,
                }))
                .into_response()),
                Performed::Ended(Err(failure)) => Err(failed(failure)),
                Performed::Ended(Ok(outcome)) => match content(&Reply {
                    models: self.models(&registration),
                    outcome: &outcome,
                    received_at: self.app.now(),
                }) {
                    Ok(content) => Ok(Json(DeviceResponse::new(&outcome, content)).into_response()),
                    Err(reason) => Err(Plain(
                        StatusCode::BAD_GATEWAY,
                        format!("The device's answer cannot be read: {reason}"),
                    )),
                },
            }
        }
    }
}

/// A path of a composite operation; its first slash may be left out.
fn composite_path(text: &str) -> Result<Path, Plain> {
    let path = if text.starts_with('/') { text.parse() } else { format!("/{text}").parse() };
    path.map_err(|error| bad_request(format!("{text}: {error}")))
}

/// What a device answered.
struct Reply<'a> {
    models: DeviceModels<'a>,
    outcome: &'a Outcome,
    /// In milliseconds since the epoch.
    received_at: u64,
}

impl Reply<'_> {
    /// The values that hold now: Leshan's nodes have no place for others. `None` if the device refused.
    fn present(
        &self,
        otherwise: ContentFormat,
        base: Path,
    ) -> Result<Option<Vec<values::Entry>>, FormatError> {
        if !self.outcome.code.is_success() {
            return Ok(None);
        }
        let format = self.outcome.format.unwrap_or(otherwise);
        let entries = self.models.decode(format, base, &self.outcome.payload);
        Ok(Some(values::present(values::timed(entries?, self.received_at))))
    }
}

/// What the answer to a request that was carried out has besides its status, or why it cannot be read.
type Answered = Result<Option<Content>, FormatError>;

/// The answer's content as a node.
fn read_node(path: Path, reply: &Reply<'_>) -> Answered {
    let entries = reply.present(ContentFormat::TEXT, path)?;
    Ok(entries.and_then(|entries| nodes::node(path, &entries)).map(Content::Node))
}

fn read_composite(paths: &[Path], reply: &Reply<'_>) -> Answered {
    let entries = reply.present(ContentFormat::SENML_CBOR, Path::ROOT)?;
    Ok(entries.map(|entries| Content::Composite(nodes::composite(paths, &entries))))
}

/// For requests whose answer is their status.
fn nothing(_: &Reply<'_>) -> Answered {
    Ok(None)
}

/// What a device answered, as a response of Leshan.
#[derive(Debug, Serialize)]
pub(super) struct DeviceResponse {
    #[serde(serialize_with = "status")]
    status: Code,
    valid: bool,
    success: bool,
    failure: bool,
    #[serde(rename = "errormessage", skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(flatten)]
    content: Option<Content>,
}

/// What it has besides its status.
#[derive(Debug, Serialize)]
pub(super) enum Content {
    #[serde(rename = "content")]
    Node(Node),
    #[serde(rename = "content")]
    Composite(Composite),
    #[serde(rename = "objectLinks")]
    Links(Value),
    #[serde(rename = "location")]
    Location(String),
}

impl DeviceResponse {
    pub(super) fn new(outcome: &Outcome, content: Option<Content>) -> Self {
        let success = outcome.code.is_success();
        let is_explained = !success && !outcome.payload.is_empty();
        Self {
            status: outcome.code,
            valid: known_name(outcome.code).is_some(),
            success,
            failure: !success,
            error_message: is_explained.then(|| String::from_utf8_lossy(&outcome.payload).into_owned()),
            content,
        }
    }
}

/// As in `METHOD_NOT_ALLOWED(405)`.
fn status<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    let name = known_name(*code).unwrap_or("UNKNOWN");
    serializer.collect_str(&format_args!("{name}({}{:02})", code.class(), code.detail()))
}

/// Leshan's name of a code, if it is one of LwM2M.
fn known_name(code: Code) -> Option<&'static str> {
    Some(match (code.class(), code.detail()) {
        (2, 1) => "CREATED",
        (2, 2) => "DELETED",
        (2, 4) => "CHANGED",
        (2, 5) => "CONTENT",
        (4, 0) => "BAD_REQUEST",
        (4, 1) => "UNAUTHORIZED",
        (4, 3) => "FORBIDDEN",
        (4, 4) => "NOT_FOUND",
        (4, 5) => "METHOD_NOT_ALLOWED",
        (4, 6) => "NOT_ACCEPTABLE",
        (4, 8) => "REQUEST_ENTITY_INCOMPLETE",
        (4, 12) => "PRECONDITION_FAILED",
        (4, 13) => "REQUEST_ENTITY_TOO_LARGE",
        (4, 15) => "UNSUPPORTED_CONTENT_FORMAT",
        (5, 0) => "INTERNAL_SERVER_ERROR",
        _ => return None,
    })
}

/// The name of an operation, in the form of a UUID as Leshan's scripts expect it.
pub(super) fn request_id(id: u64) -> String {
    format!("{:08x}-{:04x}-8000-8000-{:012x}", id >> 32, (id >> 16) & 0xffff, id & 0xffff_ffff_ffff)
}

fn failed(failure: Failure) -> Plain {
    match failure {
        Failure::TimedOut | Failure::Expired => Plain(StatusCode::GATEWAY_TIMEOUT, "Request timeout".into()),
        Failure::TooManyOperations => Plain(StatusCode::SERVICE_UNAVAILABLE, failure.to_string()),
        Failure::NotRegistered | Failure::NoSuchObservation | Failure::RequestTooLarge => {
            bad_request(failure)
        }
        _ => Plain(StatusCode::BAD_GATEWAY, failure.to_string()),
    }
}

async fn registered(app: &App, endpoint: &str) -> Result<RegistrationView, Plain> {
    app.registration(endpoint).await.ok_or_else(|| unknown(endpoint))
}

fn unknown(endpoint: &str) -> Plain {
    Plain(StatusCode::BAD_REQUEST, format!("No registered client with id '{endpoint}'"))
}

/// All clients, written as they are read: of a large fleet only a page is ever in memory.
async fn clients(State(app): State<Arc<App>>) -> Response {
    let pages = stream::unfold((app, Some((None, false))), |(app, place)| async move {
        let (after, mut has_begun) = place?;
        let mut text = String::from(if after.is_none() { "[" } else { "" });
        let registered = DeviceFilter {
            states: vec![DeviceState::Online, DeviceState::Asleep],
            ..DeviceFilter::default()
        };
        let (devices, has_more) = devices::list(&app, registered, after, CLIENTS_AT_ONCE).await;
        for registration in devices.iter().filter_map(|device| device.registration.as_ref()) {
            text += if has_begun { "," } else { "" };
            text += &registration_json(registration).to_string();
            has_begun = true;
        }
        let last = devices.last().filter(|_| has_more);
        let next = last.map(|last| (Some(last.record.endpoint.to_string()), has_begun));
        if next.is_none() {
            text.push(']');
        }
        Some((Ok::<_, std::convert::Infallible>(text), (app, next)))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pages)).into_response()
}

async fn client(State(app): State<Arc<App>>, UrlPath(endpoint): UrlPath<String>) -> Answer {
    Ok(Json(registration_json(&registered(&app, &endpoint).await?)).into_response())
}

/// A registration in Leshan's shape.
pub(super) fn registration_json(registration: &RegistrationView) -> Value {
    let mut instances: HashMap<String, Vec<u16>> = HashMap::new();
    for path in registration.objects.paths() {
        let Some(object) = path.object_id() else { continue };
        let known = instances.entry(object.to_string()).or_default();
        known.extend(path.instance_id());
    }
    let extra: Map<_, _> =
        registration.attributes.others.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let (major, minor) = registration.version;
    let mut body = json!({
        "endpoint": &*registration.endpoint,
        "registrationId": registration.id(),
        "registrationDate": registration.registered_at,
        "lastUpdate": registration.last_contact,
        "address": registration.address.to_string(),
        "lwM2mVersion": format!("{major}.{minor}"),
        "lifetime": registration.lifetime,
        "bindingMode": binding(registration),
        "rootPath": registration.objects.root(),
        "objectLinks": links_json(registration.objects.text()),
        "secure": registration.session.is_some(),
        "additionalRegistrationAttributes": extra,
        "queuemode": registration.queue_mode,
        "availableInstances": instances,
    });
    if let Some(sms) = &registration.attributes.sms {
        body["smsNumber"] = json!(sms);
    }
    if registration.queue_mode {
        body["sleeping"] = json!(registration.asleep);
    }
    body
}

fn binding(registration: &RegistrationView) -> String {
    let binding = &registration.attributes.binding;
    let needs_flag = registration.queue_mode && !binding.contains('Q');
    if needs_flag { format!("{binding}Q") } else { binding.to_string() }
}

/// Links as Leshan shows them: attribute values as they were written, quotes and all.
pub(super) fn links_json(text: &str) -> Value {
    let links = Links::of_text(text).filter_map(Result::ok).map(|link| {
        let attributes: Map<_, _> = link
            .attributes()
            .map(|attribute| {
                let value = attribute.raw().unwrap_or_default();
                let value = if attribute.is_quoted() { format!("\"{value}\"") } else { value.to_owned() };
                (attribute.name.to_owned(), json!(value))
            })
            .collect();
        json!({"url": link.target, "attributes": attributes})
    });
    links.collect()
}

async fn read(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Answer {
    let call = Call::open(app, principal, &endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) => {
            let accept = call.format("format")?;
            if accept == Some(ContentFormat::LINK) {
                return Err(bad_request("values are not read as links; ask at …/discover for those"));
            }
            let request = Downlink::Read { path, accept };
            call.answer(path, &request, Intent::Once, |reply| read_node(path, reply)).await
        }
        Target::Discover(path) => {
            let request = Downlink::Discover { path, depth: None };
            let links = |Reply { outcome, .. }: &Reply<'_>| {
                let text = String::from_utf8_lossy(&outcome.payload);
                Ok(outcome.code.is_success().then(|| Content::Links(links_json(&text))))
            };
            call.answer(path, &request, Intent::Once, links).await
        }
        Target::Composite => {
            let paths = call.composite_paths()?;
            let payload = composite_payload(&call, &paths)?;
            let content = operation::Content { format: payload.0, payload: &payload.1 };
            let accept = call.format("nodeformat")?.or(Some(payload.0));
            let request = Downlink::ReadComposite { paths: content, accept };
            call.answer(Path::ROOT, &request, Intent::Once, |reply| read_composite(&paths, reply)).await
        }
        _ => Err(method_not_allowed()),
    }
}

fn method_not_allowed() -> Plain {
    Plain(StatusCode::METHOD_NOT_ALLOWED, "This method does nothing here".into())
}

fn composite_payload(call: &Call, paths: &[Path]) -> Result<(ContentFormat, Vec<u8>), Plain> {
    let format = call.format("pathformat")?.unwrap_or(ContentFormat::SENML_CBOR);
    Ok((format, values::encode_paths(format, paths).map_err(bad_request)?))
}

async fn write(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let target = Target::parse(&path)?;
    if let Target::Attributes(path) = target {
        return write_attributes(app, principal, &endpoint, path, parameters).await;
    }
    let call = Call::open(app, principal, &endpoint, parameters)?;
    match target {
        Target::Node(path) => {
            let mode = match call.parameters.get("replace").map(String::as_str) {
                None | Some("true") => WriteMode::Replace,
                Some("false") => WriteMode::PartialUpdate,
                Some(_) => return Err(bad_request("replace must be true or false")),
            };
            let registration = call.registration().await?;
            let models = call.models(&registration);
            let values = written_values(&models, path, &headers, &body)?;
            let format = call.format("format")?.unwrap_or_else(|| models.preferred_format());
            let payload = values::encode(format, path, &values).map_err(bad_request)?;
            let request =
                Downlink::Write { path, mode, content: operation::Content { format, payload: &payload } };
            call.answer(path, &request, Intent::Once, nothing).await
        }
        Target::Composite => {
            let registration = call.registration().await?;
            let values = composite_values(&call.models(&registration), &body)?;
            let format = call.format("nodeformat")?.unwrap_or(ContentFormat::SENML_CBOR);
            let payload = values::encode(format, Path::ROOT, &values).map_err(bad_request)?;
            let request =
                Downlink::WriteComposite { content: operation::Content { format, payload: &payload } };
            call.answer(Path::ROOT, &request, Intent::Once, nothing).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// The values in a request's body: a node, or plain text for one text resource.
fn written_values(
    models: &DeviceModels<'_>,
    path: Path,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Values, Plain> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if content_type.starts_with("text/plain") {
        let text = std::str::from_utf8(body).map_err(|_| bad_request("the body is not UTF-8 text"))?;
        let value = read_value(path, &json!(text), None, models).map_err(bad_request)?;
        return Ok(vec![(path, Some(value))]);
    }
    nodes::parse(path, &parse_json(body)?, models).map_err(bad_request)
}

fn composite_values(models: &DeviceModels<'_>, body: &[u8]) -> Result<Values, Plain> {
    let body = parse_json(body)?;
    let nodes = body.as_object().ok_or_else(|| bad_request("the body must be an object of path to node"))?;
    let mut values = Values::new();
    for (path, node) in nodes {
        let path = composite_path(path)?;
        values.extend(nodes::parse(path, node, models).map_err(bad_request)?);
    }
    values.sort_by_key(|(path, _)| *path);
    Ok(values)
}

fn parse_json(body: &[u8]) -> Result<Value, Plain> {
    serde_json::from_slice(body).map_err(|error| bad_request(format!("the body is no JSON: {error}")))
}

async fn write_attributes(
    app: Arc<App>,
    principal: Principal,
    endpoint: &str,
    path: Path,
    mut parameters: Parameters,
) -> Answer {
    let timeout = parameters.remove("timeout").map(|timeout| ("timeout".to_owned(), timeout));
    let queries: Vec<String> = parameters
        .into_iter()
        .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") })
        .collect();
    let update = AttributeUpdate::parse(queries.iter().map(String::as_str)).map_err(bad_request)?;
    if update.is_empty() {
        return Err(bad_request(
            "no attribute is named; pmin, pmax, gt, lt, st, epmin, epmax, con, edge or hqmax",
        ));
    }
    let call = Call::open(app, principal, endpoint, timeout.into_iter().collect())?;
    let request = Downlink::WriteAttributes { path, update };
    call.answer(path, &request, Intent::Once, nothing).await
}

async fn execute(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
    body: Bytes,
) -> Answer {
    let call = Call::open(app, principal, &endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) if path.level() == Level::Object => create(&call, path, &body).await,
        Target::Node(path) if path.level() == Level::Resource => {
            let arguments =
                std::str::from_utf8(&body).map_err(|_| bad_request("the arguments are not UTF-8 text"))?;
            let request = Downlink::Execute { path, arguments };
            call.answer(path, &request, Intent::Once, nothing).await
        }
        Target::Node(_) => Err(bad_request("POST creates at an object and executes at a resource")),
        Target::Observe(path) => {
            let accept = call.format("format")?;
            let request = Downlink::Observe { path, accept, attributes: Attributes::default() };
            let intent = Intent::Observe { paths: Arc::from([path]), composite: false };
            call.answer(path, &request, intent, |reply| read_node(path, reply)).await
        }
        Target::ObserveComposite => {
            let paths = call.composite_paths()?;
            let payload = composite_payload(&call, &paths)?;
            let content = operation::Content { format: payload.0, payload: &payload.1 };
            let accept = call.format("nodeformat")?.or(Some(payload.0));
            let request =
                Downlink::ObserveComposite { paths: content, accept, attributes: Attributes::default() };
            let intent = Intent::Observe { paths: paths.as_slice().into(), composite: true };
            call.answer(Path::ROOT, &request, intent, |reply| read_composite(&paths, reply)).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// Create: with an instance id in the node, or without, and then the device chooses.
async fn create(call: &Call, path: Path, body: &[u8]) -> Answer {
    let mut node = parse_json(body)?;
    let members = node.as_object_mut();
    let members =
        members.ok_or_else(|| bad_request("the body must be an object instance as a JSON object"))?;
    let has_id = members.get("id").is_some_and(|id| !id.is_null());
    if !has_id {
        members.insert("id".to_owned(), json!(0));
    }
    let registration = call.registration().await?;
    let models = call.models(&registration);
    let values = nodes::parse(path, &node, &models).map_err(bad_request)?;
    let asked = call.format("format")?;
    let format = asked.unwrap_or_else(|| models.preferred_format());
    if !has_id && format != ContentFormat::TLV {
        let why = match asked {
            Some(_) => "name one, or leave out format",
            None => "this device reads no TLV, so name one",
        };
        return Err(bad_request(format!("only in TLV can an instance be without \"id\"; {why}")));
    }
    // Without an id the payload speaks of the resources alone.
    let base = if has_id { path } else { path.child(0).unwrap_or(path) };
    let payload = values::encode(format, base, &values).map_err(bad_request)?;
    let request = Downlink::Create { path, content: operation::Content { format, payload: &payload } };
    let location = |Reply { outcome, .. }: &Reply<'_>| {
        let is_told = outcome.code.is_success() && !outcome.location.is_empty();
        Ok(is_told.then(|| Content::Location(outcome.location.clone())))
    };
    call.answer(path, &request, Intent::Once, location).await
}

async fn delete(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Answer {
    let call = Call::open(app, principal, &endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) => {
            let request = Downlink::Delete { path };
            call.answer(path, &request, Intent::Once, nothing).await
        }
        Target::Observe(path) => cancel(&call, &[path], false).await,
        Target::ObserveComposite => {
            let paths = call.composite_paths()?;
            cancel(&call, &paths, true).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// Ends an observation: by forgetting it, or, with `active`, by telling the device.
async fn cancel(call: &Call, paths: &[Path], composite: bool) -> Answer {
    let endpoint = &call.endpoint;
    call.registration().await?;
    let all = call.app.observations(endpoint).await;
    let known = all.into_iter().find(|known| known.composite == composite && *known.paths == *paths);
    let active = call.parameters.get("active").is_some_and(|value| value != "false");
    let Some(observation) = known else {
        // There is nothing to forget; but the device can't be told of what the server doesn't know.
        return match active {
            false => Ok(StatusCode::OK.into_response()),
            true => Err(Plain(StatusCode::NOT_FOUND, "There is no such observation".into())),
        };
    };
    if !active {
        call.app.forget_observation(endpoint, observation.id).await;
        return Ok(StatusCode::OK.into_response());
    }
    let intent = Intent::Cancel(observation.id);
    match (composite, paths) {
        (false, [path]) => {
            let request = Downlink::CancelObserve { path: *path, accept: None };
            call.answer(*path, &request, intent, |reply| read_node(*path, reply)).await
        }
        _ => {
            let payload = composite_payload(call, paths)?;
            let content = operation::Content { format: payload.0, payload: &payload.1 };
            let request = Downlink::CancelObserveComposite { paths: content, accept: Some(payload.0) };
            call.answer(Path::ROOT, &request, intent, |reply| read_composite(paths, reply)).await
        }
    }
}

async fn event(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Answer {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !accepts.contains("text/event-stream") {
        let reason = "This is an event stream: ask with the header Accept: text/event-stream";
        return Err(Plain(StatusCode::METHOD_NOT_ALLOWED, reason.into()));
    }
    Ok(events::leshan_stream(app, parameters.get("ep").cloned()).into_response())
}

/// The object models that a device's versions select.
async fn object_specs(State(app): State<Arc<App>>, UrlPath(endpoint): UrlPath<String>) -> Answer {
    let registration = registered(&app, &endpoint).await?;
    let models = DeviceModels::of(app.models(), &registration.objects);
    let mut objects: Vec<u16> = registration.objects.paths().filter_map(|path| path.object_id()).collect();
    objects.sort_unstable();
    objects.dedup();
    let models = objects.into_iter().filter_map(|id| app.models().select(id, models.version(id)));
    Ok(Json(models.map(model_json).collect::<Value>()).into_response())
}

/// The name under which OMA registers an object: its version stands in it if it is not 1.0.
fn urn(model: &buoy_lwm2m::model::ObjectModel) -> String {
    let registry = match model.id {
        0..=1023 => "oma",
        1024..=10_240 => "ext",
        _ => "x",
    };
    let version = model.version.to_string();
    let suffix = if version == "1.0" { String::new() } else { format!(":{version}") };
    format!("urn:oma:lwm2m:{registry}:{}{suffix}", model.id)
}

fn model_json(model: &buoy_lwm2m::model::ObjectModel) -> Value {
    let resources: Vec<Value> = model
        .resources
        .values()
        .map(|resource| {
            json!({
                "id": resource.id,
                "name": resource.name,
                "operations": resource.operations.as_str(),
                "instancetype": if resource.multiple { "multiple" } else { "single" },
                "mandatory": resource.mandatory,
                "type": resource.value_type.map_or("none", |kind| kind.name()),
                "range": resource.range,
                "units": resource.units,
            })
        })
        .collect();
    json!({
        "name": model.name,
        "id": model.id,
        "instancetype": if model.multiple { "multiple" } else { "single" },
        "mandatory": model.mandatory,
        "version": model.version.to_string(),
        "lwm2mversion": LWM2M_OF_MODELS,
        "urn": urn(model),
        "description": model.description,
        "description2": "",
        "resourcedefs": resources,
    })
}

async fn server_endpoint(State(app): State<Arc<App>>) -> Json<Value> {
    endpoints(app.addresses().coap_uri(), app.addresses().coaps_uri())
}

async fn bootstrap_endpoint(State(app): State<Arc<App>>) -> Json<Value> {
    endpoints(app.addresses().bootstrap_uri(), app.addresses().bootstraps_uri())
}

fn endpoints(plain: Option<String>, secure: Option<String>) -> Json<Value> {
    let mut endpoints = Vec::new();
    if let Some(uri) = plain {
        endpoints.push(json!({
            "uri": uri, "protocol": "coap", "description": "CoAP over UDP, without security"
        }));
    }
    if let Some(uri) = secure {
        endpoints.push(json!({ "uri": uri, "protocol": "coaps", "description": "CoAP over DTLS" }));
    }
    Json(Value::Array(endpoints))
}
