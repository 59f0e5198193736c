//! Fetching a package by HTTP: what was fetched before is not fetched again if the server still has the same file (Range with If-Range,
//! RFC 9110 section 14). Redirects are not followed: an order names one server.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use buoy_client::Context;
use buoy_client::firmware::{DownloadError, Fetch, FirmwareTarget, FirmwareUpdate};
use rand_core::Rng;
use sha2::{Digest, Sha256};
use smoltcp::iface::SocketHandle;
use smoltcp::wire::IpEndpoint;

use crate::network::{Host, Name, Network};

const ATTEMPTS: u8 = 5;
const PAUSE: u64 = 2000;
/// A server that says nothing for so many milliseconds is given up.
const PATIENCE: u64 = 20_000;
/// The longest head of a response.
const HEAD: usize = 4096;
const HEADERS: usize = 32;

/// A file on its way.
pub(crate) struct HttpFetch {
    uri: String,
    name: Name,
    socket: Option<SocketHandle>,
    asking: Asking,
    stage: Stage,
    /// The file's tag, as the server wrote it; only a strong one.
    etag: Option<String>,
    received: Vec<u8>,
    attempts: u8,
    /// When something last happened, in milliseconds, or when to try again.
    since: u64,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// What the server says of the file.
    Head,
    /// The file from that byte on.
    File(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A pause, before an attempt.
    Idle,
    /// The request is to be sent.
    Connecting,
    /// The response is to come.
    Waiting,
    /// The file comes: the next byte belongs there, and so many are left.
    Body {
        at: u32,
        left: u32,
    },
    Done,
}

/// Why an attempt ended without the file.
enum Failure {
    /// Another attempt makes sense.
    Passing,
    /// None does.
    Final(DownloadError),
    /// Nothing is wanted any more.
    Stopped,
}

impl HttpFetch {
    pub(crate) fn new(uri: &str) -> Self {
        Self {
            uri: uri.into(),
            name: Name::Later,
            socket: None,
            asking: Asking::Head,
            stage: Stage::Idle,
            etag: None,
            received: Vec::new(),
            attempts: 0,
            since: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Gives the connection up.
    pub(crate) fn stop(&mut self, network: &mut Network) {
        if let Some(socket) = self.socket.take() {
            network.close(socket);
        }
        self.stage = Stage::Done;
    }

    /// Does what can be done now.
    pub(crate) fn step<T: FirmwareTarget>(
        &mut self,
        milliseconds: u64,
        network: &mut Network,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        rng: &mut impl Rng,
    ) {
        let outcome = self.advance(milliseconds, network, firmware, context, rng);
        let Err(failure) = outcome else { return };
        if let Some(socket) = self.socket.take() {
            network.close(socket);
        }
        match failure {
            Failure::Stopped => self.stage = Stage::Done,
            Failure::Final(error) => {
                self.stage = Stage::Done;
                firmware.download_failed(context, error);
            }
            Failure::Passing if self.attempts >= ATTEMPTS => {
                self.stage = Stage::Done;
                firmware.download_failed(context, DownloadError::ConnectionLost);
            }
            Failure::Passing => {
                (self.stage, self.asking, self.since) = (Stage::Idle, Asking::Head, milliseconds + PAUSE);
            }
        }
    }

    fn advance<T: FirmwareTarget>(
        &mut self,
        milliseconds: u64,
        network: &mut Network,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        rng: &mut impl Rng,
    ) -> Result<(), Failure> {
        match self.stage {
            Stage::Done => return Ok(()),
            Stage::Idle => return self.connect(milliseconds, network),
            _ => {}
        }
        let Some(handle) = self.socket else { return Err(Failure::Passing) };
        let socket = network.tcp(handle);
        if self.stage == Stage::Connecting && socket.may_send() {
            let request = self.request()?;
            socket.send_slice(request.as_bytes()).map_err(|_| Failure::Passing)?;
            (self.stage, self.since) = (Stage::Waiting, milliseconds);
            self.received.clear();
        }
        let mut buffer = [0; 1024];
        let count = if socket.can_recv() { socket.recv_slice(&mut buffer).unwrap_or_default() } else { 0 };
        let is_over = !socket.may_recv() && self.stage != Stage::Connecting || !socket.is_open();
        if count > 0 {
            self.since = milliseconds;
        } else if is_over || milliseconds > self.since + PATIENCE {
            return Err(Failure::Passing);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        match self.stage {
            Stage::Waiting => {
                self.received.extend_from_slice(bytes);
                if let Some(body) = self.take_head(firmware, context, rng)? {
                    if self.stage == Stage::Connecting || self.stage == Stage::Idle {
                        network.close(handle);
                        self.socket = None;
                        self.stage = Stage::Idle;
                        self.attempts = self.attempts.saturating_sub(1);
                        self.since = milliseconds;
                        return Ok(());
                    }
                    let rest: Vec<u8> = self.received.drain(body..).collect();
                    return self.take_body(&rest, network, firmware, context);
                }
                Ok(())
            }
            Stage::Body { .. } => self.take_body(bytes, network, firmware, context),
            _ => Ok(()),
        }
    }

    fn connect(&mut self, milliseconds: u64, network: &mut Network) -> Result<(), Failure> {
        if milliseconds < self.since || network.address().is_none() {
            return Ok(());
        }
        let host = Host::of_uri(&self.uri).ok_or(Failure::Final(DownloadError::InvalidUri))?;
        if let Name::Later = self.name {
            self.name = network.look_up(host.name);
        }
        let Some(address) = network.resolve(&mut self.name) else {
            if let Name::Later = self.name {
                self.attempts += 1;
                return Err(Failure::Passing);
            }
            return Ok(());
        };
        self.attempts += 1;
        self.since = milliseconds;
        self.socket = network.open_tcp(IpEndpoint::new(address, host.port));
        self.stage = Stage::Connecting;
        Ok(())
    }

    fn request(&self) -> Result<String, Failure> {
        let invalid = Failure::Final(DownloadError::InvalidUri);
        let Some((_, rest)) = self.uri.split_once("://") else { return Err(invalid) };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let method = if self.asking == Asking::Head { "HEAD" } else { "GET" };
        if !self.uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid);
        }
        let mut request = String::new();
        // A string has room for whatever comes.
        let _ =
            write!(request, "{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
        if let (Asking::File(from @ 1..), Some(etag)) = (self.asking, &self.etag) {
            let _ = write!(request, "Range: bytes={from}-\r\nIf-Range: {etag}\r\n");
        }
        request.push_str("\r\n");
        Ok(request)
    }

    /// Reads the head of the response, and says where the body begins; `None` if it is not whole yet.
    fn take_head<T: FirmwareTarget>(
        &mut self,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        rng: &mut impl Rng,
    ) -> Result<Option<usize>, Failure> {
        let received = core::mem::take(&mut self.received);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&received);
        let outcome = match parsed {
            Err(_) => Err(Failure::Passing),
            Ok(httparse::Status::Partial) if received.len() > HEAD => Err(Failure::Passing),
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(body)) => {
                self.take_response(&response, firmware, context, rng).map(|()| Some(body))
            }
        };
        self.received = received;
        outcome
    }

    fn take_response<T: FirmwareTarget>(
        &mut self,
        response: &httparse::Response<'_, '_>,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
        rng: &mut impl Rng,
    ) -> Result<(), Failure> {
        let header = |name: &str| {
            let mut headers = response.headers.iter();
            let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
            core::str::from_utf8(found.value).ok().map(str::trim)
        };
        let length: Option<u32> = header("content-length").and_then(|value| value.parse().ok());
        match (self.asking, response.code.unwrap_or_default()) {
            (_, 300..=499) => Err(Failure::Final(DownloadError::InvalidUri)),
            (Asking::Head, 200) => {
                let strong = header("etag").filter(|tag| tag.starts_with('"') && tag.len() >= 2);
                self.etag = strong.map(Into::into);
                match firmware.download_begin(context, &version(strong, rng), length) {
                    Fetch::Stop => Err(Failure::Stopped),
                    Fetch::From(from) if from > 0 && Some(from) == length => {
                        firmware.download_done(context);
                        Err(Failure::Stopped)
                    }
                    Fetch::From(from) => {
                        (self.asking, self.stage) = (Asking::File(from), Stage::Idle);
                        Ok(())
                    }
                }
            }
            (Asking::File(from), status @ (200 | 206)) => {
                let part = header("content-range").and_then(|range| range.strip_prefix("bytes "));
                let first = part.and_then(|part| part.split('-').next()).and_then(|first| first.parse().ok());
                let at = if status == 200 {
                    0
                } else {
                    first.filter(|first| *first == from).ok_or(Failure::Passing)?
                };
                // Without a length nobody knows whether the file is whole.
                let left = length.ok_or(Failure::Passing)?;
                self.stage = Stage::Body { at, left };
                Ok(())
            }
            _ => Err(Failure::Passing),
        }
    }

    fn take_body<T: FirmwareTarget>(
        &mut self,
        bytes: &[u8],
        network: &mut Network,
        firmware: &mut FirmwareUpdate<T>,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let Stage::Body { at, left } = self.stage else { return Ok(()) };
        let bytes = bytes.get(..bytes.len().min(left as usize)).unwrap_or_default();
        if !bytes.is_empty() && !firmware.download_chunk(context, at, bytes) {
            return Err(Failure::Stopped);
        }
        let count = bytes.len() as u32;
        self.stage = Stage::Body { at: at.saturating_add(count), left: left - count };
        if left == count {
            self.stop(network);
            firmware.download_done(context);
        }
        Ok(())
    }
}

/// Names the version of the file, for the engine, which keeps 32 bytes: so a hash, whatever the tag's length. Without a tag nothing says
/// that the file is still the same, and each fetch is of a version of its own.
fn version(etag: Option<&str>, rng: &mut impl Rng) -> [u8; 32] {
    match etag {
        Some(etag) => Sha256::digest(etag.as_bytes()).into(),
        None => {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        }
    }
}
