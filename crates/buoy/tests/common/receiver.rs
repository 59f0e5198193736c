//! A receiver of webhooks that does what a test wants, also what no honest receiver does.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buoy_api::AlertMessage;
use sha2::{Digest, Sha256};

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers with this status.
    Answers(u16),
    /// Sends the client to another URL.
    Redirects(String),
    /// Says nothing.
    Hangs,
    /// Says something that is no HTTP.
    Lies,
    /// Says that it accepts, and never ends its answer.
    NeverEnds,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Receiver {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    manner: Manner,
    requests: Vec<Request>,
}

impl Receiver {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared { manner, requests: Vec::new() }));
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = for_thread.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/alerts?of=buoy", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// The messages in them.
    pub(crate) fn messages(&self) -> Vec<AlertMessage> {
        let read = |request: Request| serde_json::from_slice(&request.body).unwrap();
        self.requests().into_iter().map(read).collect()
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let Some(request) = read(&stream) else { return };
    let manner = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(request);
        shared.manner.clone()
    };
    // The client may have gone.
    let _ = match manner {
        Manner::Answers(status) => {
            write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        }
        Manner::Redirects(to) => {
            write!(stream, "HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
        }
        Manner::Lies => write!(stream, "220 mail.example.org ESMTP\r\n"),
        Manner::Hangs => {
            std::thread::sleep(Duration::from_secs(120));
            Ok(())
        }
        Manner::NeverEnds => {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while stream.write_all(b"400\r\n").and_then(|()| stream.write_all(&[b'x'; 0x400])).is_ok() {
                if stream.write_all(b"\r\n").is_err() {
                    break;
                }
            }
            Ok(())
        }
    };
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), headers, body })
}

/// The signature of a request, made as the guide says (RFC 2104).
pub(crate) fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    let mut key = [0; 64];
    let secret = secret.as_bytes();
    if secret.len() > key.len() {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let hash = |pad: u8, parts: &[&[u8]]| {
        let mut hasher = Sha256::new();
        hasher.update(key.map(|byte| byte ^ pad));
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    };
    let inner = hash(0x36, &[time.as_bytes(), b".", body]);
    hash(0x5c, &[&inner]).iter().map(|byte| format!("{byte:02x}")).collect()
}
