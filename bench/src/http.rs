//! Load on the REST interface: kept connections, one request on each at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::devices::endpoint;
use crate::measured::Measured;

const CONNECTIONS: usize = 32;

/// Reads a resource of each device in turn, so many times in all.
pub(crate) fn reads(server: SocketAddr, devices: u32, count: u32) -> Result<Measured> {
    let next = AtomicU32::new(0);
    let started = Instant::now();
    let parts = std::thread::scope(|scope| -> Result<Vec<Measured>> {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> Result<Measured> {
                    let mut connection = Connection::open(server)?;
                    let mut measured = Measured::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok(measured);
                        }
                        let began = Instant::now();
                        let name = endpoint((number % devices) as usize);
                        let body = connection.call("GET", &format!("/api/clients/{name}/3303/0/5700"))?;
                        ensure!(body.contains("21.5"), "the answer has no value: {body}");
                        measured.record(began.elapsed());
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread failed"))).collect()
    })?;
    let mut all = Measured::new();
    for part in parts {
        all.times.add(part.times).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    all.elapsed = started.elapsed();
    Ok(all)
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
    let page = Connection::open(server)?.call("GET", "/metrics")?;
    let counts = page.lines().filter_map(|line| line.strip_prefix("buoy_registered_devices{"));
    counts.map(|line| Ok(line.rsplit(' ').next().context("no number")?.parse::<u64>()?)).sum()
}

/// Uploads bytes; the answer.
pub(crate) fn upload(server: SocketAddr, path: &str, body: &[u8]) -> Result<String> {
    Connection::open(server)?.send("POST", path, body)
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn call(&mut self, method: &str, path: &str) -> Result<String> {
        self.send(method, path, &[])
    }

    fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<String> {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n", body.len());
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
