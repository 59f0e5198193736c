//! Fetching a package by HTTP, in a thread: what was fetched before is not fetched again if the server still has the same file
//! (Range with If-Range, RFC 9110 section 14).

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use buoy_client::firmware::DownloadError;

use super::app::Input;

const CHUNK: usize = 4096;
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(30);

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
    Failed(DownloadError),
}

/// Starts to fetch.
pub(super) fn start(uri: String, inputs: Sender<Input>) {
    std::thread::spawn(move || {
        let outcome = (0..ATTEMPTS).find_map(|attempt| {
            std::thread::sleep(PAUSE * attempt.min(1));
            fetch(&uri, &inputs)
        });
        let step = outcome.unwrap_or(Step::Failed(DownloadError::ConnectionLost));
        // The device may be gone.
        let _ = inputs.send(Input::Http(step));
    });
}

/// One attempt; `None` if another makes sense.
fn fetch(uri: &str, inputs: &Sender<Input>) -> Option<Step> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let head = agent.head(uri).call().ok()?;
    if head.status().is_client_error() {
        return Some(Step::Failed(DownloadError::InvalidUri));
    }
    let header = |name| head.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = header("etag").unwrap_or("").to_owned();
    let length = header("content-length").and_then(|length| length.parse().ok());
    let (from, answer) = channel();
    inputs.send(Input::Http(Step::Begin { etag: etag.clone().into(), length, from })).ok()?;
    let from = answer.recv().ok().flatten()?;

    let mut request = agent.get(uri);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-")).header("If-Range", etag);
    }
    let response = request.call().ok()?;
    // A server that sends the whole file all the same starts at its first byte.
    let mut at = if response.status().as_u16() == 206 { from } else { 0 };
    let mut reader = response.into_body().into_reader();
    loop {
        let mut bytes = vec![0; CHUNK];
        let count = reader.read(&mut bytes).ok()?;
        if count == 0 {
            return Some(Step::Done);
        }
        bytes.truncate(count);
        let (more, answer): (_, Receiver<bool>) = channel();
        inputs.send(Input::Http(Step::Chunk { at, bytes, more })).ok()?;
        if !answer.recv().ok()? {
            return None;
        }
        at += count as u32;
    }
}
