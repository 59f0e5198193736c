//! A small server behind DTLS, as a thread: it takes registrations, plays a bootstrap script, and counts handshakes and record numbers.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_dtls::config::{Authority, PskKey, ServerConfig};
use buoy_dtls::endpoint::{CidFormat, EndReason, Endpoint, Event, Handle, Limits};
use buoy_dtls::time::Instant;
use buoy_dtls::{Context, Datagram, Peer, ServerEnvironment};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// What the server has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Who came in, in their order.
    pub(crate) handshakes: Vec<Peer>,
    /// Why handshakes failed.
    pub(crate) failures: Vec<String>,
    /// Each request: path and query.
    pub(crate) requests: Vec<(String, String)>,
    /// The codes of the answers to what was asked.
    pub(crate) answers: Vec<Code>,
    /// Sequence numbers that were used twice under one connection ID.
    pub(crate) repeated_numbers: Vec<u64>,
    pub(crate) records: usize,
}

/// A request to a device.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) format: ContentFormat,
    pub(crate) payload: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(code: Code, path: &str) -> Self {
        Self { code, path: path.to_owned(), format: ContentFormat::SENML_JSON, payload: Vec::new() }
    }

    /// A Write in SenML JSON.
    pub(crate) fn write(path: &str, json: &str) -> Self {
        Self { payload: json.as_bytes().to_vec(), ..Self::new(Code::PUT, path) }
    }

    /// A Write of bytes.
    pub(crate) fn put(path: &str, bytes: &[u8]) -> Self {
        Self { payload: bytes.to_vec(), format: ContentFormat::OCTET_STREAM, ..Self::new(Code::PUT, path) }
    }
}

enum Order {
    Psk(String, Vec<u8>),
    Script(Vec<Ask>),
    Ask(Ask),
    File(String, Vec<u8>),
    ForgetSessions,
    Silence(bool),
    Stop,
}

/// The server; it ends with this.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    orders: Sender<Order>,
}

impl Door {
    pub(crate) fn open(config: ServerConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let address = socket.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (orders, received) = channel();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || Server::new(socket, config, shared).run(&received));
        Self { address, seen, orders }
    }

    pub(crate) fn uri(&self) -> String {
        format!("coaps://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen().requests.iter().filter(|(asked, _)| asked == path).count()
    }

    pub(crate) fn share_key(&self, identity: &str, key: &[u8]) {
        self.orders.send(Order::Psk(identity.to_owned(), key.to_vec())).unwrap();
    }

    /// What a device that asks for a bootstrap is sent, one after the other.
    pub(crate) fn script(&self, asks: &[Ask]) {
        self.orders.send(Order::Script(asks.to_vec())).unwrap();
    }

    /// Asks the device that was heard last.
    pub(crate) fn ask(&self, ask: Ask) {
        self.orders.send(Order::Ask(ask)).unwrap();
    }

    /// Has a file for devices to fetch.
    pub(crate) fn serve(&self, path: &str, bytes: &[u8]) {
        self.orders.send(Order::File(path.to_owned(), bytes.to_vec())).unwrap();
    }

    /// As after a restart that lost the sessions.
    pub(crate) fn forget_sessions(&self) {
        self.orders.send(Order::ForgetSessions).unwrap();
    }

    /// As while the server is away.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.orders.send(Order::Silence(silent)).unwrap();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.orders.send(Order::Stop);
    }
}

#[derive(Default)]
struct Keys(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Authority for Keys {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        self.0.lock().unwrap().get(identity).and_then(|key| PskKey::new(key))
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

struct Server {
    socket: UdpSocket,
    config: ServerConfig,
    keys: Keys,
    endpoint: Endpoint<SocketAddr>,
    rng: ChaCha12Rng,
    seen: Arc<Mutex<Seen>>,
    numbers: HashSet<(Vec<u8>, u64)>,
    files: HashMap<String, Vec<u8>>,
    script: Vec<Ask>,
    queue: VecDeque<Ask>,
    is_waiting: bool,
    is_silent: bool,
    last: Option<Handle>,
    next_id: u16,
}

impl Server {
    fn new(socket: UdpSocket, config: ServerConfig, seen: Arc<Mutex<Seen>>) -> Self {
        let mut rng = ChaCha12Rng::from_seed([7; 32]);
        let endpoint = fresh_endpoint(&mut rng);
        Self {
            socket,
            config,
            keys: Keys::default(),
            endpoint,
            rng,
            seen,
            numbers: HashSet::new(),
            files: HashMap::new(),
            script: Vec::new(),
            queue: VecDeque::new(),
            is_waiting: false,
            is_silent: false,
            last: None,
            next_id: 1,
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        let mut buffer = [0; 2048];
        while self.obey(orders) {
            let received = self.socket.recv_from(&mut buffer);
            // An order that was given before a device sent this counts for it.
            if !self.obey(orders) {
                return;
            }
            if let Ok((length, from)) = received
                && !self.is_silent
            {
                self.note_number(&buffer[..length]);
                for (handle, message) in self.open(from, &mut buffer[..length]) {
                    self.flush();
                    self.take(handle, &message);
                }
            }
            self.endpoint.handle_timeout(now());
            self.flush();
            self.ask_next();
        }
    }

    /// Returns whether it is to go on.
    fn obey(&mut self, orders: &Receiver<Order>) -> bool {
        while let Ok(order) = orders.try_recv() {
            match order {
                Order::Psk(identity, key) => {
                    self.keys.0.lock().unwrap().insert(identity.into_bytes(), key);
                }
                Order::Script(script) => self.script = script,
                Order::Ask(ask) => self.queue.push_back(ask),
                Order::File(path, bytes) => drop(self.files.insert(path, bytes)),
                Order::ForgetSessions => self.endpoint = fresh_endpoint(&mut self.rng),
                Order::Silence(silent) => self.is_silent = silent,
                Order::Stop => return false,
            }
        }
        true
    }

    fn open(&mut self, from: SocketAddr, datagram: &mut [u8]) -> Vec<(Handle, Vec<u8>)> {
        let environment = ServerEnvironment { config: &self.config, authority: &self.keys, tickets: None };
        let mut context = Context::new(now(), &mut self.rng);
        context.unix_time = Some(now().as_millis() / 1000);
        let mut datagram = Datagram::new(datagram);
        let mut messages = Vec::new();
        while let Some(received) = self.endpoint.receive(environment, &mut context, from, &mut datagram) {
            messages.push((received.handle, received.data.to_vec()));
        }
        messages
    }

    /// Notes the number of a record with a connection ID (RFC 9146 section 4).
    fn note_number(&mut self, datagram: &[u8]) {
        if datagram.first() != Some(&25) || datagram.len() < 19 {
            return;
        }
        let number = datagram[5..11].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut seen = self.seen.lock().unwrap();
        seen.records += 1;
        if !self.numbers.insert((datagram[11..19].to_vec(), number)) {
            seen.repeated_numbers.push(number);
        }
    }

    fn flush(&mut self) {
        let mut out = [0; 2048];
        while let Some((to, length)) = self.endpoint.poll_transmit(&mut out) {
            self.socket.send_to(&out[..length], to).unwrap();
        }
        while let Some(event) = self.endpoint.poll_event() {
            let mut seen = self.seen.lock().unwrap();
            match event {
                Event::Connected { connected, .. } => seen.handshakes.push(connected.peer),
                Event::Ended { reason: EndReason::Failed(failure), .. } => {
                    seen.failures.push(failure.to_string());
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, handle: Handle, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        self.last = Some(handle);
        if !message.code().is_request() {
            if message.kind() == Kind::Acknowledgement {
                self.seen.lock().unwrap().answers.push(message.code());
                self.is_waiting = false;
            }
            return;
        }
        let text = |number, with: &str| {
            let parts = message.values(number).map(|part| String::from_utf8_lossy(part).into_owned());
            parts.collect::<Vec<_>>().join(with)
        };
        let path = text(OptionNumber::URI_PATH, "/");
        let query = text(OptionNumber::URI_QUERY, "&");
        let code = match (message.code(), path.as_str()) {
            (Code::POST, "rd") => Code::CREATED,
            (Code::GET, path) if self.files.contains_key(path) => Code::CONTENT,
            (Code::GET, _) => Code::NOT_FOUND,
            (Code::DELETE, _) => Code::DELETED,
            _ => Code::CHANGED,
        };
        self.seen.lock().unwrap().requests.push((path.clone(), query));
        let mut answer = [0; 1400];
        let (message_id, token) = (message.message_id(), message.token());
        let header = Header { kind: Kind::Acknowledgement, code, message_id, token };
        let mut writer = MessageWriter::new(&mut answer, header);
        if code == Code::CREATED {
            writer.option(OptionNumber::LOCATION_PATH, b"rd").option(OptionNumber::LOCATION_PATH, b"1");
        }
        if code == Code::CONTENT {
            write_block(&mut writer, &message, &self.files[&path]);
        }
        let length = writer.finish().unwrap();
        self.send(handle, &answer[..length]);
        if path == "bs" {
            self.queue = self.script.clone().into();
            self.is_waiting = false;
        }
    }

    fn ask_next(&mut self) {
        let (false, Some(handle)) = (self.is_waiting, self.last) else { return };
        let Some(ask) = self.queue.pop_front() else { return };
        self.is_waiting = true;
        self.next_id += 1;
        let mut request = [0; 2048];
        let token = self.next_id.to_be_bytes();
        let header =
            Header { kind: Kind::Confirmable, code: ask.code, message_id: self.next_id, token: &token };
        let mut writer = MessageWriter::new(&mut request, header);
        for segment in ask.path.split('/').filter(|segment| !segment.is_empty()) {
            writer.option(OptionNumber::URI_PATH, segment.as_bytes());
        }
        if !ask.payload.is_empty() {
            writer.content_format(ask.format);
        }
        let length = writer.payload(&ask.payload).finish().unwrap();
        self.send(handle, &request[..length]);
    }

    fn send(&mut self, handle: Handle, message: &[u8]) {
        let mut out = [0; 2048];
        // A session may have ended meanwhile.
        if let Ok((to, length)) = self.endpoint.seal(handle, message, &mut out) {
            self.socket.send_to(&out[..length], to).unwrap();
        }
    }
}

/// One block of a file (RFC 7959 section 2.2).
fn write_block(writer: &mut MessageWriter<'_>, request: &Message<'_>, file: &[u8]) {
    let asked = request.uint(OptionNumber::BLOCK2).unwrap_or(6);
    let size = 16 << (asked & 7);
    let start = (asked >> 4) as usize * size;
    let end = file.len().min(start + size);
    let more = u32::from(end < file.len()) << 3;
    writer.option(OptionNumber::ETAG, b"1").uint(OptionNumber::BLOCK2, (asked & !8) | more);
    writer.payload(&file[start..end]);
}

fn fresh_endpoint(rng: &mut ChaCha12Rng) -> Endpoint<SocketAddr> {
    Endpoint::new(Limits::default(), CidFormat::new(&[0], 7).unwrap(), rng)
}

fn now() -> Instant {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Instant::from_millis(since_epoch.as_millis() as u64)
}
