//! Fetching a package by HTTP, in a thread: what was fetched before is not fetched again if the server still has the same file
//! (Range with If-Range, RFC 9110 section 14).
//!
//! An order names one server, and no other is asked: redirects to another host are not followed.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buoy_client::firmware::DownloadError;
use sha2::{Digest, Sha256};
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body};

const CHUNK: usize = 4096;
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;
/// What the engine keeps of the name of a version.
const TAG: usize = 32;

/// What the thread tells.
pub(super) enum Step {
    /// The server has the file. The answer says from which byte on it is wanted.
    Begin {
        etag: Vec<u8>,
        length: Option<u32>,
        from: Sender<Option<u32>>,
    },
    /// Bytes. The answer says whether more are wanted.
    Chunk {
        at: u32,
        bytes: Vec<u8>,
        more: Sender<bool>,
    },
    Done,
    /// What the device does about it, and the cause.
    Failed(DownloadError, String),
}

/// Why an attempt ended without the file.
enum Failure {
    /// Another attempt makes sense.
    Passing(String),
    /// None does.
    Final(DownloadError, String),
    /// Nothing is wanted any more.
    Stopped,
}

/// Starts to fetch. `tell` hands the steps on, and says whether anybody wants to know more.
pub(super) fn start(uri: String, tell: impl Fn(Step) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        if let Some(step) = fetch_with_patience(&uri, &tell) {
            // The device may be gone.
            let _ = tell(step);
        }
    });
}

fn fetch_with_patience(uri: &str, tell: &dyn Fn(Step) -> bool) -> Option<Step> {
    let mut cause = String::new();
    for attempt in 0..ATTEMPTS {
        std::thread::sleep(PAUSE * attempt.min(1));
        match (Fetch { uri, tell }).run() {
            Ok(()) => return Some(Step::Done),
            Err(Failure::Stopped) => return None,
            Err(Failure::Final(error, why)) => return Some(Step::Failed(error, why)),
            Err(Failure::Passing(why)) => cause = why,
        }
    }
    Some(Step::Failed(DownloadError::ConnectionLost, cause))
}

struct Fetch<'a> {
    uri: &'a str,
    tell: &'a dyn Fn(Step) -> bool,
}

impl Fetch<'_> {
    /// One attempt.
    fn run(&self) -> Result<(), Failure> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        let (uri, head) = self.head(&agent)?;
        let etag = strong_etag(head.headers());
        let length = number_of(head.headers(), "content-length");
        let from = self.ask(|from| Step::Begin { etag: version(etag.as_deref()), length, from })?;
        let from = from.ok_or(Failure::Stopped)?;
        if from > 0 && Some(from) == length {
            return Ok(());
        }
        let mut request = agent.get(&uri);
        if let Some(etag) = etag.filter(|_| from > 0) {
            request = request.header("Range", format!("bytes={from}-")).header("If-Range", etag);
        }
        let response = request.call().map_err(|error| Failure::Passing(error.to_string()))?;
        let at = first_byte(&response, from)?;
        self.pass_on(response, at)
    }

    /// What the server says of the file, and where it lies.
    fn head(&self, agent: &Agent) -> Result<(String, Response<Body>), Failure> {
        let mut uri = self.uri.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let head = agent.head(&uri).call().map_err(|error| Failure::Passing(error.to_string()))?;
            if !head.status().is_redirection() {
                check_status(head.status())?;
                return Ok((uri, head));
            }
            let location = head.headers().get("location").and_then(|value| value.to_str().ok());
            uri = redirected(&uri, location.unwrap_or_default())
                .map_err(|why| Failure::Final(DownloadError::InvalidUri, why.to_string()))?;
        }
        Err(Failure::Final(DownloadError::InvalidUri, "the server redirects without end".to_owned()))
    }

    fn pass_on(&self, response: Response<Body>, mut at: u32) -> Result<(), Failure> {
        let mut reader = response.into_body().into_reader();
        loop {
            let mut bytes = vec![0; CHUNK];
            let count = reader.read(&mut bytes).map_err(|error| Failure::Passing(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            bytes.truncate(count);
            if !self.ask(|more| Step::Chunk { at, bytes, more })? {
                return Err(Failure::Stopped);
            }
            at += count as u32;
        }
    }

    /// Tells a step, and waits for the answer.
    fn ask<T>(&self, step: impl FnOnce(Sender<T>) -> Step) -> Result<T, Failure> {
        let (sender, answer): (_, Receiver<T>) = channel();
        if !(self.tell)(step(sender)) {
            return Err(Failure::Stopped);
        }
        answer.recv().map_err(|_| Failure::Stopped)
    }
}

/// Nothing but a success has the file in it.
fn check_status(status: StatusCode) -> Result<(), Failure> {
    let why = format!("the server answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        status if status.is_client_error() => Err(Failure::Final(DownloadError::InvalidUri, why)),
        _ => Err(Failure::Passing(why)),
    }
}

/// At which byte of the file a body starts.
fn first_byte(response: &Response<Body>, from: u32) -> Result<u32, Failure> {
    match response.status() {
        // A server that sends the whole file all the same starts at its first byte.
        StatusCode::OK => Ok(0),
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
            let range = range.unwrap_or_default();
            let first = range.strip_prefix("bytes ").and_then(|rest| rest.split('-').next());
            match first.and_then(|first| first.parse::<u32>().ok()) {
                Some(first) if first == from => Ok(from),
                _ => Err(Failure::Passing(format!(
                    "the server sent the range {range:?}, not from byte {from} on"
                ))),
            }
        }
        status => {
            check_status(status)?;
            Err(Failure::Final(
                DownloadError::InvalidUri,
                format!("the server answered {status}, which is no file"),
            ))
        }
    }
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RedirectError {
    /// What redirects is no URI.
    From(String),
    /// It leads to what is no URI.
    To(String),
    /// It leads to another host.
    OtherHost(String),
}

impl std::fmt::Display for RedirectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From(from) => write!(f, "{from} is no URI"),
            Self::To(to) => write!(f, "the server redirects to {to:?}, which is no URI"),
            Self::OtherHost(to) => {
                write!(f, "the server redirects to another host, {to:?}, which is not followed")
            }
        }
    }
}

/// Where a redirect leads, if that is the same host over the same scheme.
fn redirected(from: &str, to: &str) -> Result<String, RedirectError> {
    let origin: Uri = from.parse().map_err(|_| RedirectError::From(from.to_owned()))?;
    let target = if to.starts_with('/') && !to.starts_with("//") {
        format!(
            "{}://{}{to}",
            origin.scheme_str().unwrap_or("http"),
            origin.authority().map_or("", |it| it.as_str())
        )
    } else {
        to.to_owned()
    };
    let parsed: Uri = target.parse().map_err(|_| RedirectError::To(to.to_owned()))?;
    if parsed.authority() == origin.authority() && parsed.scheme() == origin.scheme() {
        Ok(target)
    } else {
        Err(RedirectError::OtherHost(to.to_owned()))
    }
}

/// An entity tag that names these very bytes: a weak one names none (RFC 9110 section 13.1.5).
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get("etag")?.to_str().ok()?;
    (etag.starts_with('"') && etag.len() >= 2).then(|| etag.to_owned())
}

/// Names the version of the file, for the engine, which keeps 32 bytes: so a hash, whatever the tag's length. Without a tag nothing says
/// that the file is still the same, and each fetch is of a version of its own.
fn version(etag: Option<&str>) -> Vec<u8> {
    let digest = match etag {
        Some(etag) => Sha256::digest(etag.as_bytes()),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Sha256::digest(now.as_nanos().to_be_bytes())
        }
    };
    digest[..TAG].to_vec()
}

fn number_of(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, range: &str) -> Response<Body> {
        let body = Body::builder().data(Vec::new());
        Response::builder().status(status).header("content-range", range).body(body).unwrap()
    }

    #[test]
    fn a_part_is_taken_where_the_server_says_that_it_lies() {
        assert!(matches!(first_byte(&response(200, ""), 100), Ok(0)));
        assert!(matches!(first_byte(&response(206, "bytes 100-199/200"), 100), Ok(100)));
        for range in ["", "bytes 0-199/200", "bytes 101-199/200", "lines 100-199/200", "bytes */200"] {
            assert!(matches!(first_byte(&response(206, range), 100), Err(Failure::Passing(_))), "{range}");
        }
        for status in [201, 204, 400, 404, 416] {
            let failed = first_byte(&response(status, ""), 0);
            assert!(matches!(failed, Err(Failure::Final(DownloadError::InvalidUri, _))), "{status}");
        }
        assert!(matches!(first_byte(&response(503, ""), 0), Err(Failure::Passing(_))));
    }

    #[test]
    fn a_redirect_is_followed_on_the_same_host_alone() {
        let from = "http://files.example.org:8081/fw/1";
        assert_eq!(redirected(from, "/fw/2").unwrap(), "http://files.example.org:8081/fw/2");
        assert!(redirected(from, "http://files.example.org:8081/x").is_ok());
        for other in [
            "http://evil.example/x",
            "//evil.example/x",
            "https://files.example.org:8081/x",
            "http://files.example.org/x",
            "x",
            "",
        ] {
            assert!(redirected(from, other).is_err(), "{other}");
        }
    }

    #[test]
    fn versions_are_told_apart_whatever_the_length_of_their_tags() {
        let long = |end: &str| format!("\"{}{end}\"", "x".repeat(60));
        assert_ne!(version(Some(&long("a"))), version(Some(&long("b"))));
        assert_eq!(version(Some(&long("a"))), version(Some(&long("a"))));
        assert_eq!(version(None).len(), TAG);
        let headers =
            |etag: &'static str| HeaderMap::from_iter([("etag".parse().unwrap(), etag.parse().unwrap())]);
        assert_eq!(strong_etag(&headers("\"a\"")).as_deref(), Some("\"a\""));
        assert_eq!(strong_etag(&headers("W/\"a\"")), None);
    }
}
