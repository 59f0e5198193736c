//! Load on the REST interface: kept connections, one request on each at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::devices::endpoint;
use crate::measured::Measured;

/// Reads a resource of each device in turn, so many times in all, so many at once. One thread has all connections, so that the load costs little.
pub(crate) fn reads(server: SocketAddr, window: usize, devices: u32, count: u32) -> Result<Measured> {
    let mut poll = Poll::new()?;
    let mut reader = Reader { devices, next: 0, count, measured: Measured::new() };
    let mut connections = Vec::new();
    let started = Instant::now();
    for token in 0..window {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
        let mut connection = Asking { stream, began: started, answer: Vec::new() };
        reader.ask(&mut connection)?;
        connections.push(connection);
    }
    let mut events = Events::with_capacity(window);
    while reader.measured.times.len() < u64::from(count) {
        poll.poll(&mut events, Some(Duration::from_secs(30)))?;
        ensure!(!events.is_empty(), "no answer for 30 s");
        for event in &events {
            reader.take(&mut connections[event.token().0])?;
        }
    }
    reader.measured.elapsed = started.elapsed();
    Ok(reader.measured)
}

/// A connection on which a request is under way.
struct Asking {
    stream: mio::net::TcpStream,
    began: Instant,
    answer: Vec<u8>,
}

struct Reader {
    devices: u32,
    next: u32,
    count: u32,
    measured: Measured,
}

impl Reader {
    fn ask(&mut self, connection: &mut Asking) -> Result<()> {
        if self.next == self.count {
            return Ok(());
        }
        let name = endpoint((self.next % self.devices) as usize);
        self.next += 1;
        connection.began = Instant::now();
        let request = format!("GET /api/clients/{name}/3303/0/5700 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        // So small a request always fits into the socket's buffer.
        Ok(connection.stream.write_all(request.as_bytes())?)
    }

    fn take(&mut self, connection: &mut Asking) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match connection.stream.read(&mut buffer) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(length) => {
                    connection.answer.extend_from_slice(&buffer[..length]);
                    // A short read has taken all that was there.
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let text = String::from_utf8_lossy(&connection.answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(()) };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() < length.context("an answer without a length")? {
            return Ok(());
        }
        ensure!(head.starts_with("HTTP/1.1 200") && body.contains("21.5"), "the answer is no value: {text}");
        self.measured.record(connection.began.elapsed());
        connection.answer.clear();
        self.ask(connection)
    }
}

/// How many notifications the server has taken.
pub(crate) fn notifications(server: SocketAddr) -> Result<u64> {
    sum(server, "buoy_notifications_total{")
}

/// Has a resource of every device observed.
pub(crate) fn observe_all(server: SocketAddr, devices: u32) -> Result<()> {
    let mut connection = Connection::open(server)?;
    for number in 0..devices {
        let path = format!("/api/clients/{}/3303/0/5700/observe", endpoint(number as usize));
        connection.call("POST", &path)?;
    }
    Ok(())
}

/// Waits until devices can register.
pub(crate) fn wait_until_ready(server: SocketAddr, longest: Duration) -> Result<()> {
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        if Connection::open(server).and_then(|mut connection| connection.call("GET", "/readyz")).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the server is not ready after {} s", longest.as_secs())
}

/// How many devices the server says are registered.
pub(crate) fn registered_devices(server: SocketAddr) -> Result<u64> {
    sum(server, "buoy_registered_devices{")
}

/// The sum over all shards of what the server counts.
fn sum(server: SocketAddr, metric: &str) -> Result<u64> {
    let page = Connection::open(server)?.call("GET", "/metrics")?;
    let counts = page.lines().filter_map(|line| line.strip_prefix(metric));
    counts.map(|line| Ok(line.rsplit(' ').next().context("no number")?.parse::<u64>()?)).sum()
}

/// A counter that is there once.
pub(crate) fn metric(server: SocketAddr, name: &str) -> Result<u64> {
    sum(server, &format!("{name} "))
}

/// Uploads bytes; the answer.
pub(crate) fn upload(server: SocketAddr, path: &str, body: &[u8]) -> Result<String> {
    Connection::open(server)?.send("POST", path, "application/octet-stream", body)
}

/// A kept connection, one request at a time.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn call(&mut self, method: &str, path: &str) -> Result<String> {
        self.send(method, path, "application/json", &[])
    }

    pub(crate) fn post(&mut self, path: &str, body: &serde_json::Value) -> Result<String> {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn put(&mut self, path: &str, body: &serde_json::Value) -> Result<String> {
        self.send("PUT", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<String> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut line, mut status, mut length, mut chunked) = (String::new(), 0, 0, false);
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the server closed the connection");
            let text = line.trim_end().to_ascii_lowercase();
            if text.is_empty() {
                break;
            } else if let Some(rest) = text.strip_prefix("http/1.1 ") {
                status = rest.get(..3).unwrap_or("0").parse()?;
            } else if let Some(value) = text.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            } else if text == "transfer-encoding: chunked" {
                chunked = true;
            }
        }
        ensure!(!chunked, "chunked answers are not expected here");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        ensure!((200..300).contains(&status), "{method} {path} was answered {status}: {body}");
        Ok(body)
    }
}
