//! `cargo xtask bench abuse`: what devices feel while another one does its worst.
//!
//! Some thousand devices renew their registrations at a steady rate. Beside them one peer after the other keeps the rules of the protocol in
//! form and breaks them in spirit, each at a bounded rate for a bounded time. What counts is the 99th percentile of the Updates, and what the
//! server has in memory.

use std::fmt::Write;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};

use crate::devices::Devices;
use crate::peer::Buoy;
use crate::{WINDOW, http, table};

/// Those that are harmed, or not.
const DEVICES: u32 = 5_000;
/// Their Updates a second: a third of a core at most.
const RATE: f64 = 4_000.0;
/// Datagrams that the one peer sends in a second.
const ABUSES_A_SECOND: u32 = 1_000;

/// One way to do harm: writes the next datagram.
type Next = Box<dyn FnMut(u32, &mut [u8]) -> usize + Send>;

/// A way to do harm, by its name.
struct Way {
    name: &'static str,
    /// Whether the peer registers before.
    registers: bool,
    /// Whether it is observed before, so that it may notify.
    is_observed: bool,
    /// What it sends; none if it asks by HTTP.
    next: Option<Next>,
    /// What it asks by HTTP.
    path: Option<&'static str>,
    /// Whether somebody follows the events meanwhile.
    is_followed: bool,
}

impl Way {
    fn sends(
        name: &'static str,
        registers: bool,
        next: impl FnMut(u32, &mut [u8]) -> usize + Send + 'static,
    ) -> Self {
        Self {
            name,
            registers,
            is_observed: false,
            next: Some(Box::new(next)),
            path: None,
            is_followed: false,
        }
    }

    fn asks(name: &'static str, path: &'static str) -> Self {
        Self { name, registers: false, is_observed: false, next: None, path: Some(path), is_followed: false }
    }
}

/// Measures, and writes the table into the page.
pub(crate) fn run(program: &Path, page: &Path) -> Result<()> {
    let mut text = table::machine();
    let _ = writeln!(
        text,
        "\n| what one peer does, {ABUSES_A_SECOND} times a second, or by HTTP as often as it is answered | Updates of the others: p50 ms | p99 ms | p99 to that alone | memory grew, MB |\n|---|---:|---:|---:|---:|"
    );
    for way in ways() {
        let folder = tempfile::tempdir_in("target")?;
        let server = Buoy::start(program, folder.path())?;
        let mut devices = Devices::new(server.coap, DEVICES)?;
        devices.register(WINDOW)?;
        devices.update(WINDOW, 2)?;
        let alone = devices.update_at(RATE)?;
        let before = server.resident_bytes()?;
        let name = way.name;
        let abuse = Abuse::start(way, server.coap, server.http)?;
        let harmed = devices.update_at(RATE)?;
        let sent = abuse.stop()?;
        let grew = server.resident_bytes()?.saturating_sub(before) as f64 / f64::from(1 << 20);
        let ratio = harmed.percentile(99.0) / alone.percentile(99.0);
        let row = format!(
            "| {name} ({sent} times) | {:.2} | {:.2} | {ratio:.2} | {grew:.1} |",
            harmed.percentile(50.0),
            harmed.percentile(99.0)
        );
        println!("{row}");
        let _ = writeln!(text, "{row}");
    }
    table::put(page, "cargo xtask bench abuse", &text)
}

fn ways() -> Vec<Way> {
    let send_of_new_paths = Way::sends("Send of a path that was never there", true, |number, buffer| {
        let payload = format!("[{{\"n\":\"/3303/0/{}/{}\",\"v\":1}}]", number % 60_000, number / 60_000);
        let mut writer = begin(buffer, Kind::NonConfirmable, Code::POST, number);
        writer.option(OptionNumber::URI_PATH, b"dp").content_format(ContentFormat::SENML_JSON);
        writer.payload(payload.as_bytes()).finish().unwrap_or(0)
    });
    let registers_of_others = Way::sends("Register under a new name, for a week", false, |number, buffer| {
        register(buffer, number, &format!("stranger-{number}"), "lt=604800", b"</1/0>,</3/0>")
    });
    let registers_again = Way::sends("Register of the same sleeping device", false, |number, buffer| {
        register(buffer, number, "sleeper", "lt=86400&b=UQ", b"</1/0>,</3/0>")
    });
    let first_blocks = Way::sends("the first block of a Register, and no second", false, |number, buffer| {
        let mut writer = begin(buffer, Kind::Confirmable, Code::POST, number);
        writer.option(OptionNumber::URI_PATH, b"rd").content_format(ContentFormat::LINK);
        for query in [format!("ep=blocks-{number}").as_str(), "lt=86400", "lwm2m=1.1"] {
            writer.option(OptionNumber::URI_QUERY, query.as_bytes());
        }
        // Block 0 of 1024 bytes, more to come.
        writer.uint(OptionNumber::BLOCK1, 0x0e);
        writer.payload(&[b'x'; 1024]).finish().unwrap_or(0)
    });
    let long_lists = Way::sends(
        "Register with a long list, new each time, while events are followed",
        false,
        |number, buffer| {
            let list: Vec<String> =
                (0..120).map(|place| format!("</{}/{place}>", 3000 + (number + place) % 3000)).collect();
            register(buffer, number, "lists", "lt=86400", list.join(",").as_bytes())
        },
    );
    let halves = Way::sends("a notification whose rest is to be fetched", true, |number, buffer| {
        let mut writer = begin(buffer, Kind::NonConfirmable, Code::CONTENT, number);
        writer.uint(OptionNumber::OBSERVE, number).content_format(ContentFormat::TEXT);
        writer.uint(OptionNumber::BLOCK2, 0x0e);
        writer.payload(&[b'1'; 1024]).finish().unwrap_or(0)
    });
    let nonsense = Way::sends("datagrams that mean nothing", false, |number, buffer| {
        let length = buffer.len().min(64);
        for (place, byte) in buffer[..length].iter_mut().enumerate() {
            *byte = (number as usize).wrapping_mul(31).wrapping_add(place * 17) as u8;
        }
        length
    });
    vec![
        send_of_new_paths,
        Way { is_observed: true, ..halves },
        registers_of_others,
        registers_again,
        first_blocks,
        Way { is_followed: true, ..long_lists },
        nonsense,
        Way::asks("the longest page of the device list", "/api/v1/devices?limit=1000"),
        Way::asks("counts by object", "/api/v1/device-counts?by=object"),
    ]
}

fn begin(buffer: &mut [u8], kind: Kind, code: Code, number: u32) -> MessageWriter<'_> {
    // The token lives as long as the writer.
    static TOKEN: [u8; 2] = *b"ab";
    MessageWriter::new(buffer, Header { kind, code, message_id: number as u16, token: &TOKEN })
}

fn register(buffer: &mut [u8], number: u32, name: &str, queries: &str, objects: &[u8]) -> usize {
    let mut writer = begin(buffer, Kind::Confirmable, Code::POST, number);
    writer.option(OptionNumber::URI_PATH, b"rd").content_format(ContentFormat::LINK);
    writer.option(OptionNumber::URI_QUERY, format!("ep={name}").as_bytes());
    for query in queries.split('&').chain(["lwm2m=1.1"]) {
        writer.option(OptionNumber::URI_QUERY, query.as_bytes());
    }
    writer.payload(objects).finish().unwrap_or(0)
}

/// The one peer, until it is stopped.
struct Abuse {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Result<u64>>>,
}

impl Abuse {
    fn start(way: Way, coap: SocketAddrV4, interface: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(coap)?;
        if way.registers {
            let mut buffer = [0; 512];
            let length = register(&mut buffer, 1, "abuser", "lt=86400", b"</1/0>,</3/0>,</3303/0>");
            socket.send(&buffer[..length])?;
            socket.set_read_timeout(Some(Duration::from_secs(10)))?;
            socket.recv(&mut buffer).context("the peer is not registered")?;
        }
        let token = if way.is_observed { Some(observed(&socket, interface)?) } else { None };
        socket.set_nonblocking(true)?;
        if way.is_followed {
            let stopped = stop.clone();
            threads.push(std::thread::spawn(move || follow(interface, &stopped)));
        }
        let stopped = stop.clone();
        threads.push(std::thread::spawn(move || match (way.next, way.path) {
            (Some(next), _) => send(&socket, token.as_deref(), next, &stopped),
            (None, Some(path)) => ask(interface, path, &stopped),
            (None, None) => Ok(0),
        }));
        Ok(Self { stop, threads })
    }

    /// How often it was done.
    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = 0;
        for thread in self.threads {
            all += thread.join().map_err(|_| anyhow!("the thread of the peer panicked"))??;
        }
        Ok(all)
    }
}

/// Has a resource of the peer observed, and gives the token.
fn observed(socket: &UdpSocket, interface: SocketAddr) -> Result<Vec<u8>> {
    let asking = std::thread::spawn(move || {
        http::Connection::open(interface)?.call("POST", "/api/clients/abuser/3303/0/5700/observe")
    });
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).context("the peer is not observed")?;
    let request = Message::parse(&buffer[..length]).map_err(|error| anyhow!("{error:?}"))?;
    let mut answer = [0; 64];
    let token = request.token().to_vec();
    let header = Header {
        kind: Kind::Acknowledgement,
        code: Code::CONTENT,
        message_id: request.message_id(),
        token: &token,
    };
    let mut writer = MessageWriter::new(&mut answer, header);
    writer.uint(OptionNumber::OBSERVE, 1).content_format(ContentFormat::TEXT);
    let length = writer.payload(b"21.5").finish().map_err(|error| anyhow!("{error:?}"))?;
    socket.send(&answer[..length])?;
    asking.join().map_err(|_| anyhow!("the thread that observes panicked"))??;
    Ok(token)
}

fn send(socket: &UdpSocket, token: Option<&[u8]>, mut next: Next, stopped: &AtomicBool) -> Result<u64> {
    let (mut buffer, mut sink) = ([0; 2048], [0; 2048]);
    let started = Instant::now();
    let mut sent = 0u64;
    while !stopped.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * f64::from(ABUSES_A_SECOND)) as u64;
        while sent < due {
            sent += 1;
            let mut length = next(sent as u32, &mut buffer);
            if let Some(token) = token {
                length = with_token(&mut buffer, length, token);
            }
            // What the network does not take is lost.
            let _ = socket.send(&buffer[..length]);
        }
        // Nobody reads the answers.
        while socket.recv(&mut sink).is_ok() {}
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(sent)
}

/// Puts a token in place of the two bytes that a message was written with.
fn with_token(buffer: &mut [u8], length: usize, token: &[u8]) -> usize {
    let rest = buffer[6..length].to_vec();
    buffer[0] = (buffer[0] & 0xf0) | token.len() as u8;
    buffer[4..4 + token.len()].copy_from_slice(token);
    let start = 4 + token.len();
    buffer[start..start + rest.len()].copy_from_slice(&rest);
    start + rest.len()
}

fn ask(interface: SocketAddr, path: &str, stopped: &AtomicBool) -> Result<u64> {
    let mut connection = http::Connection::open(interface)?;
    let mut asked = 0;
    while !stopped.load(Ordering::Relaxed) {
        connection.call("GET", path)?;
        asked += 1;
    }
    Ok(asked)
}

/// Reads the stream of events as a slow reader does.
fn follow(interface: SocketAddr, stopped: &AtomicBool) -> Result<u64> {
    use std::io::{Read, Write as _};
    let mut stream = std::net::TcpStream::connect(interface)?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut buffer = [0; 1024];
    while !stopped.load(Ordering::Relaxed) {
        let _ = stream.read(&mut buffer);
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(0)
}
