//! `/api/clients/{endpoint}/{path}`: operations on a device. Each is translated to one of `/api/v1`, and its answer to Leshan's shape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use buoy_api::{OperationFailure, PathValue, Request, WriteMode};
use buoy_lwm2m::format::FormatError;
use buoy_lwm2m::path::{Level, Path};
use buoy_services::app::App;
use buoy_services::devices::{self, DeviceError};
use buoy_services::operations::{
    self, Answer as DeviceAnswer, Kept, OperationError, StartOperation, Started,
};
use buoy_services::principal::Principal;
use buoy_services::request::RequestError;
use serde::Serialize;
use serde_json::{Value, json};

use super::clients::links_json;
use super::{Answer, Parameters, Plain, bad_request, forbidden, no_client, unknown};
use crate::nodes::{self, Composite, Node};
use crate::v1::Author;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_TIMEOUT: u64 = 600;

pub(super) fn routes() -> Router<Arc<App>> {
    let methods = get(read).put(write).post(execute).delete(delete);
    Router::new().route("/api/clients/{endpoint}/{*path}", methods)
}

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
        endpoint: String,
        parameters: Parameters,
    ) -> Result<Self, Plain> {
        let timeout = match parameters.get("timeout") {
            None => DEFAULT_TIMEOUT,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=LONGEST_TIMEOUT) => Duration::from_secs(seconds),
                _ => return Err(bad_request(format!("timeout must be 1 to {LONGEST_TIMEOUT} seconds"))),
            },
        };
        Ok(Self { app, principal, endpoint, parameters, timeout })
    }

    /// The name of a content format, if the query has one.
    fn format(&self, name: &str) -> Option<String> {
        self.parameters.get(name).cloned()
    }

    /// Paths are sent in SenML CBOR unless the query says otherwise, whatever the format of the answer.
    fn path_format(&self) -> Option<String> {
        self.format("pathformat").or_else(|| Some("SENML_CBOR".to_owned()))
    }

    fn composite_paths(&self) -> Result<Vec<Path>, Plain> {
        let text = self.parameters.get("paths").ok_or_else(|| bad_request("the query paths is missing"))?;
        let named = text.split(',').map(str::trim).filter(|path| !path.is_empty());
        let paths: Vec<Path> = named.map(composite_path).collect::<Result<_, _>>()?;
        match paths.is_empty() {
            true => Err(bad_request("the query paths names no path")),
            false => Ok(paths),
        }
    }

    /// Carries an operation out, and answers with what `content` makes of the device's answer.
    async fn answer(
        self,
        path: Path,
        request: Request,
        content: impl FnOnce(&DeviceAnswer<'_>) -> Result<Option<Content>, FormatError>,
    ) -> Answer {
        let Self { app, principal, endpoint, timeout, .. } = self;
        let command = StartOperation {
            endpoint: endpoint.clone(),
            request,
            deadline: None,
            wait: timeout,
            kept: Kept::ForQueueMode,
            key: None,
        };
        let started = operations::start(&app, &principal, command).await;
        match started.map_err(|error| refused(&endpoint, error))? {
            Started::GoesOn(id) => Ok(Json(json!({
                "ep": endpoint, "path": path.to_string(), "requestId": request_id(id), "delayed": true,
            }))
            .into_response()),
            Started::Ended(ended) => {
                let answer = ended.answer(&app).map_err(|(failure, words)| failed(failure, words))?;
                let content = content(&answer).map_err(|error| {
                    Plain(StatusCode::BAD_GATEWAY, format!("The device's answer cannot be read: {error}"))
                })?;
                Ok(Json(DeviceResponse::new(&answer, content)).into_response())
            }
        }
    }
}

/// A path of a composite operation; its first slash may be left out.
fn composite_path(text: &str) -> Result<Path, Plain> {
    let path = if text.starts_with('/') { text.parse() } else { format!("/{text}").parse() };
    path.map_err(|error| bad_request(format!("{text}: {error}")))
}

fn texts(paths: &[Path]) -> Vec<String> {
    paths.iter().map(Path::to_string).collect()
}

/// Why a request is not carried out.
fn refused(endpoint: &str, error: OperationError) -> Plain {
    match error {
        OperationError::Forbidden(error) => forbidden(error),
        OperationError::NoSuchDevice(_) => unknown(endpoint),
        OperationError::Request(RequestError::NotObserved) => {
            Plain(StatusCode::NOT_FOUND, "There is no such observation".into())
        }
        OperationError::Request(RequestError::LinksAreNoValues) => {
            bad_request("values are not read as links; ask at …/discover for those")
        }
        OperationError::NotSaved(trouble) => not_saved(trouble),
        error => bad_request(error),
    }
}

fn not_saved(trouble: impl std::fmt::Display) -> Plain {
    Plain(StatusCode::SERVICE_UNAVAILABLE, format!("The store cannot be written: {trouble}"))
}

/// Why a request that was carried out has no answer.
fn failed(failure: OperationFailure, words: String) -> Plain {
    match failure {
        OperationFailure::TimedOut | OperationFailure::Expired => {
            Plain(StatusCode::GATEWAY_TIMEOUT, "Request timeout".into())
        }
        OperationFailure::TooManyOperations => Plain(StatusCode::SERVICE_UNAVAILABLE, words),
        OperationFailure::NotRegistered
        | OperationFailure::NoSuchObservation
        | OperationFailure::RequestTooLarge => bad_request(words),
        _ => Plain(StatusCode::BAD_GATEWAY, words),
    }
}

/// The values of an answer as a node.
fn read_node(path: Path, answer: &DeviceAnswer<'_>) -> Result<Option<Content>, FormatError> {
    let entries = answer.values(path)?;
    Ok(entries.and_then(|entries| nodes::node(path, &entries)).map(Content::Node))
}

fn read_composite(paths: &[Path], answer: &DeviceAnswer<'_>) -> Result<Option<Content>, FormatError> {
    let entries = answer.values(Path::ROOT)?;
    Ok(entries.map(|entries| Content::Composite(nodes::composite(paths, &entries))))
}

fn read_links(answer: &DeviceAnswer<'_>) -> Result<Option<Content>, FormatError> {
    Ok(answer.links().map(|text| Content::Links(links_json(&text))))
}

/// For operations whose answer is their status.
fn nothing(_: &DeviceAnswer<'_>) -> Result<Option<Content>, FormatError> {
    Ok(None)
}

/// The content of an answer to a request of which only the path is known.
pub(super) fn late_content(path: &str, answer: &DeviceAnswer<'_>) -> Option<Content> {
    if let Ok(Some(links)) = read_links(answer) {
        return Some(links);
    }
    read_node(path.parse().ok()?, answer).ok()?
}

/// What a device answered, as a response of Leshan.
#[derive(Debug, Serialize)]
pub(super) struct DeviceResponse {
    status: String,
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
    pub(super) fn new(answer: &DeviceAnswer<'_>, content: Option<Content>) -> Self {
        let (class, detail) = answer.code();
        let name = known_name(class, detail);
        Self {
            status: format!("{}({class}{detail:02})", name.unwrap_or("UNKNOWN")),
            valid: name.is_some(),
            success: answer.is_success(),
            failure: !answer.is_success(),
            error_message: answer.diagnostic().map(Into::into),
            content,
        }
    }
}

/// Leshan's name of a code, if it is one of LwM2M.
const fn known_name(class: u8, detail: u8) -> Option<&'static str> {
    Some(match (class, detail) {
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

fn method_not_allowed() -> Plain {
    Plain(StatusCode::METHOD_NOT_ALLOWED, "This method does nothing here".into())
}

async fn read(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Answer {
    let call = Call::open(app, principal, endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) => {
            let request = Request::Read { path: path.to_string(), format: call.format("format") };
            call.answer(path, request, |answer| read_node(path, answer)).await
        }
        Target::Discover(path) => {
            call.answer(path, Request::Discover { path: path.to_string() }, read_links).await
        }
        Target::Composite => {
            let paths = call.composite_paths()?;
            let request = Request::ReadComposite {
                paths: texts(&paths),
                path_format: call.path_format(),
                format: call.format("nodeformat"),
            };
            call.answer(Path::ROOT, request, |answer| read_composite(&paths, answer)).await
        }
        _ => Err(method_not_allowed()),
    }
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
        return write_attributes(app, principal, endpoint, path, parameters).await;
    }
    let call = Call::open(app, principal, endpoint, parameters)?;
    match target {
        Target::Node(path) => {
            let mode = match call.parameters.get("replace").map(String::as_str) {
                None | Some("true") => WriteMode::Replace,
                Some("false") => WriteMode::Update,
                Some(_) => return Err(bad_request("replace must be true or false")),
            };
            let values = written_values(path, &headers, &body)?;
            let format = call.format("format");
            call.answer(path, Request::Write { path: path.to_string(), values, mode, format }, nothing).await
        }
        Target::Composite => {
            let values = composite_values(&body)?;
            let request = Request::WriteComposite { values, format: call.format("nodeformat") };
            call.answer(Path::ROOT, request, nothing).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// The values in a request's body: a node, or plain text for one text resource.
fn written_values(path: Path, headers: &HeaderMap, body: &[u8]) -> Result<Vec<PathValue>, Plain> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if content_type.starts_with("text/plain") {
        let text = std::str::from_utf8(body).map_err(|_| bad_request("the body is not UTF-8 text"))?;
        return Ok(vec![PathValue { path: path.to_string(), value: json!(text), kind: None, at: None }]);
    }
    nodes::parse(path, &parse_json(body)?).map_err(bad_request)
}

fn composite_values(body: &[u8]) -> Result<Vec<PathValue>, Plain> {
    let body = parse_json(body)?;
    let nodes = body.as_object().ok_or_else(|| bad_request("the body must be an object of path to node"))?;
    let mut values = Vec::new();
    for (path, node) in nodes {
        values.extend(nodes::parse(composite_path(path)?, node).map_err(bad_request)?);
    }
    Ok(values)
}

fn parse_json(body: &[u8]) -> Result<Value, Plain> {
    serde_json::from_slice(body).map_err(|error| bad_request(format!("the body is no JSON: {error}")))
}

async fn write_attributes(
    app: Arc<App>,
    principal: Principal,
    endpoint: String,
    path: Path,
    mut parameters: Parameters,
) -> Answer {
    let timeout = parameters.remove("timeout").map(|timeout| ("timeout".to_owned(), timeout));
    let given = |value: String| Some(value).filter(|value| !value.is_empty());
    let attributes: BTreeMap<_, _> =
        parameters.into_iter().map(|(name, value)| (name, given(value))).collect();
    let call = Call::open(app, principal, endpoint, timeout.into_iter().collect())?;
    call.answer(path, Request::WriteAttributes { path: path.to_string(), attributes }, nothing).await
}

async fn execute(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
    body: Bytes,
) -> Answer {
    let call = Call::open(app, principal, endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) if path.level() == Level::Object => create(call, path, &body).await,
        Target::Node(path) if path.level() == Level::Resource => {
            let arguments =
                std::str::from_utf8(&body).map_err(|_| bad_request("the arguments are not UTF-8 text"))?;
            let request = Request::Execute { path: path.to_string(), arguments: Some(arguments.to_owned()) };
            call.answer(path, request, nothing).await
        }
        Target::Node(_) => Err(bad_request("POST creates at an object and executes at a resource")),
        Target::Observe(path) => {
            let request = Request::Observe { path: path.to_string(), format: call.format("format") };
            call.answer(path, request, |answer| read_node(path, answer)).await
        }
        Target::ObserveComposite => {
            let paths = call.composite_paths()?;
            let request = Request::ObserveComposite {
                paths: texts(&paths),
                path_format: call.path_format(),
                format: call.format("nodeformat"),
            };
            call.answer(Path::ROOT, request, |answer| read_composite(&paths, answer)).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// Create: with an instance id in the node, or without, and then the device chooses.
async fn create(call: Call, path: Path, body: &[u8]) -> Answer {
    let (instance, values) = nodes::parse_new_instance(path, parse_json(body)?).map_err(bad_request)?;
    let request = Request::Create { path: path.to_string(), instance, values, format: call.format("format") };
    let location =
        |answer: &DeviceAnswer<'_>| Ok(answer.location().map(|it| Content::Location(it.to_owned())));
    call.answer(path, request, location).await
}

async fn delete(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath((endpoint, path)): UrlPath<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Answer {
    let call = Call::open(app, principal, endpoint, parameters)?;
    match Target::parse(&path)? {
        Target::Node(path) => call.answer(path, Request::Delete { path: path.to_string() }, nothing).await,
        Target::Observe(path) => cancel(call, vec![path], false).await,
        Target::ObserveComposite => {
            let paths = call.composite_paths()?;
            cancel(call, paths, true).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// Ends an observation: by forgetting it, or, with `active`, by telling the device.
async fn cancel(call: Call, paths: Vec<Path>, composite: bool) -> Answer {
    let active = call.parameters.get("active").is_some_and(|value| value != "false");
    if !active {
        // If there is none, there is nothing to forget.
        let Call { app, principal, endpoint, .. } = call;
        let forgotten = devices::forget_observation(&app, &principal, &endpoint, &paths, composite).await;
        return match forgotten {
            Ok(_) => Ok(StatusCode::OK.into_response()),
            Err(DeviceError::NotSaved(trouble)) => Err(not_saved(trouble)),
            Err(error) => Err(no_client(&endpoint, error)),
        };
    }
    match (composite, &*paths) {
        (false, [path]) => {
            let path = *path;
            let request = Request::CancelObserve { path: path.to_string() };
            call.answer(path, request, |answer| read_node(path, answer)).await
        }
        _ => {
            let path_format = call.path_format();
            let request = Request::CancelObserveComposite { paths: texts(&paths), path_format };
            call.answer(Path::ROOT, request, |answer| read_composite(&paths, answer)).await
        }
    }
}
