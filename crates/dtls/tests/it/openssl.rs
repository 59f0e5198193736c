//! Against the `openssl` command, in both directions: real sockets on the loopback interface, ports that the system gives.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use buoy_dtls::config::{ClientConfig, ServerConfig};
use buoy_dtls::endpoint::{self, CidFormat, Endpoint, Limits};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connected, Connection, Context, Datagram, Event, ServerEnvironment};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::world::{People, TODAY, psk_config};

const PATIENCE: Duration = Duration::from_secs(20);
/// `secret-1`
const KEY: &str = "7365637265742d31";

/// A running `openssl`.
pub struct OpenSsl {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl OpenSsl {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need the `openssl` command: apt-get install openssl");
        let (sender, lines) = channel();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let errors = sender.clone();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).all(|line| errors.send(line).is_ok())
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, seen: Vec::new() }
    }

    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Whether a line with this text was printed by now.
    pub fn has_said(&mut self, text: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(|line| line.contains(text))
    }

    pub fn wait_for(&mut self, text: &str) {
        let end = Clock::now() + PATIENCE;
        while !self.has_said(text) {
            assert!(Clock::now() < end, "openssl didn't say {text:?}:\n{}", self.seen.join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            eprintln!("openssl said:\n{}", self.seen.join("\n"));
        }
    }
}

/// Our side on a socket.
struct Shell {
    socket: UdpSocket,
    started: Clock,
    rng: ChaCha8Rng,
}

impl Shell {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        Self { socket, started: Clock::now(), rng: ChaCha8Rng::seed_from_u64(7) }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis() as u64)
    }

    fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        Some((from, buffer[..length].to_vec()))
    }
}

struct OurClient {
    shell: Shell,
    server: SocketAddr,
    config: ClientConfig,
    connection: Connection<Client>,
    connected: Option<Box<Connected>>,
    ended: Option<Event>,
    received: Vec<u8>,
}

impl OurClient {
    fn start(server: SocketAddr, config: ClientConfig) -> Self {
        let mut shell = Shell::new();
        let mut context = Context::new(shell.now(), &mut shell.rng);
        let connection = Connection::client(&config, &mut context, None);
        let (connected, ended, received) = (None, None, Vec::new());
        Self { shell, server, config, connection, connected, ended, received }
    }

    fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let end = Clock::now() + PATIENCE;
        while !done(self) {
            assert!(Clock::now() < end, "{:?}, ended: {:?}", self.connection, self.ended);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.shell.now();
        if self.connection.next_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut out = [0; 2048];
        while let Some(length) = self.connection.poll_transmit(&mut out) {
            let _ = self.shell.socket.send_to(&out[..length], self.server);
        }
        if let Some((_, mut bytes)) = self.shell.receive() {
            let mut context = Context { now, unix_time: Some(TODAY), rng: &mut self.shell.rng };
            let mut datagram = Datagram::new(&mut bytes);
            while let Some(data) = self.connection.handle_datagram(&self.config, &mut context, &mut datagram)
            {
                self.received.extend_from_slice(data);
            }
        }
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Connected(connected) => self.connected = Some(connected),
                ended => self.ended = Some(ended),
            }
        }
    }

    fn say(&mut self, data: &[u8]) {
        let mut out = [0; 2048];
        let length = self.connection.seal(data, &mut out).unwrap();
        self.shell.socket.send_to(&out[..length], self.server).unwrap();
    }
}

struct OurServer {
    shell: Shell,
    endpoint: Endpoint<SocketAddr>,
    config: ServerConfig,
    authority: People,
    events: Vec<endpoint::Event<SocketAddr>>,
    received: Vec<u8>,
}

impl OurServer {
    fn start(config: ServerConfig) -> Self {
        let mut shell = Shell::new();
        let cids = CidFormat::new(&[1], 7).unwrap();
        let endpoint = Endpoint::new(Limits::default(), cids, &mut shell.rng);
        let mut authority = People::default();
        authority.keys.insert(b"buoy-1".to_vec(), b"secret-1".to_vec());
        Self { shell, endpoint, config, authority, events: Vec::new(), received: Vec::new() }
    }

    fn address(&self) -> String {
        self.shell.socket.local_addr().unwrap().to_string()
    }

    fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let end = Clock::now() + PATIENCE;
        while !done(self) {
            assert!(Clock::now() < end, "{:?}", self.events);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.shell.now();
        if self.endpoint.next_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        if let Some((from, mut bytes)) = self.shell.receive() {
            let environment =
                ServerEnvironment { config: &self.config, authority: &self.authority, tickets: None };
            let mut context = Context { now, unix_time: Some(TODAY), rng: &mut self.shell.rng };
            let mut datagram = Datagram::new(&mut bytes);
            while let Some(data) = self.endpoint.receive(environment, &mut context, from, &mut datagram) {
                self.received.extend_from_slice(data.data);
            }
        }
        let mut out = [0; 2048];
        while let Some((to, length)) = self.endpoint.poll_transmit(&mut out) {
            let _ = self.shell.socket.send_to(&out[..length], to);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
    }

    fn session(&self) -> Option<endpoint::Handle> {
        self.events.iter().find_map(|event| match event {
            endpoint::Event::Connected { handle, .. } => Some(*handle),
            _ => None,
        })
    }

    fn say(&mut self, data: &[u8]) {
        let handle = self.session().unwrap();
        let mut out = [0; 2048];
        let (to, length) = self.endpoint.seal(handle, data, &mut out).unwrap();
        self.shell.socket.send_to(&out[..length], to).unwrap();
    }
}

fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Our client at `openssl s_server`: both say something.
fn client_talks(config: ClientConfig, arguments: &[&str]) -> Box<Connected> {
    let port = free_port();
    let accept = format!("127.0.0.1:{port}");
    let mut all = vec!["s_server", "-dtls1_2", "-accept", &accept];
    all.extend_from_slice(arguments);
    let mut openssl = OpenSsl::start(&all);
    openssl.wait_for("ACCEPT");
    let mut client = OurClient::start(accept.parse().unwrap(), config);
    client.run_until(|client| client.connected.is_some());
    client.say(b"from the client\n");
    let end = Clock::now() + PATIENCE;
    while !openssl.has_said("from the client") && Clock::now() < end {
        client.step();
    }
    openssl.wait_for("from the client");
    openssl.say("from the server");
    client.run_until(|client| client.received == b"from the server\n");
    client.connected.unwrap()
}

/// `openssl s_client` at our server: both say something.
fn server_talks(config: ServerConfig, arguments: &[&str]) -> OurServer {
    let mut server = OurServer::start(config);
    let address = server.address();
    let mut all = vec!["s_client", "-dtls1_2", "-connect", &address];
    all.extend_from_slice(arguments);
    let mut openssl = OpenSsl::start(&all);
    server.run_until(|server| server.session().is_some());
    openssl.say("from the client");
    server.run_until(|server| server.received == b"from the client\n");
    server.say(b"from the server\n");
    openssl.wait_for("from the server");
    server
}

const PSK_SUITES: [(CipherSuite, &str); 2] = [
    (CipherSuite::PskAes128Ccm8, "PSK-AES128-CCM8:@SECLEVEL=0"),
    (CipherSuite::PskAes128Gcm, "PSK-AES128-GCM-SHA256"),
];

#[test]
fn our_client_talks_to_openssl_with_a_pre_shared_key() {
    for (suite, name) in PSK_SUITES {
        let arguments = ["-nocert", "-psk", KEY, "-psk_identity", "buoy-1", "-cipher", name];
        let connected = client_talks(psk_config("buoy-1", b"secret-1"), &arguments);
        assert_eq!(connected.suite, suite);
    }
}

#[test]
fn openssl_talks_to_our_server_with_a_pre_shared_key() {
    for (suite, name) in PSK_SUITES {
        let arguments = ["-psk", KEY, "-psk_identity", "buoy-1", "-cipher", name];
        let server = server_talks(ServerConfig::default(), &arguments);
        let is_right = server.events.iter().any(|event| match event {
            endpoint::Event::Connected { connected, .. } => connected.suite == suite,
            _ => false,
        });
        assert!(is_right, "{:?}", server.events);
    }
}

#[test]
fn openssl_with_a_wrong_key_is_told_no_more_than_the_standard_allows() {
    let mut server = OurServer::start(ServerConfig::default());
    let address = server.address();
    let mut openssl = OpenSsl::start(&[
        "s_client",
        "-dtls1_2",
        "-connect",
        &address,
        "-psk",
        "00112233",
        "-psk_identity",
        "buoy-1",
        "-cipher",
        "PSK-AES128-CCM8:@SECLEVEL=0",
    ]);
    server.run_until(|server| {
        server.events.iter().any(|event| {
            let text = format!("{event:?}");
            text.contains("BadPsk")
        })
    });
    openssl.wait_for("alert decrypt error");
}
