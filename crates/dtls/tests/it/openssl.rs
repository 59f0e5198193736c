//! Against the `openssl` command, in both directions: real sockets on the loopback interface, ports that the system gives.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use buoy_dtls::config::{
    ClientAuthentication, ClientConfig, ClientCredentials, Resume, ServerConfig, ServerTrust,
};
use buoy_dtls::crypto::RustCrypto;
use buoy_dtls::endpoint::{self, CidFormat, Endpoint, Limits};
use buoy_dtls::resumption::{Resumption, TicketKeys};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::time::Instant;
use buoy_dtls::x509::{
    Anchor, CertificateError, CertificateUsage, Pinned, ServerCertificateTrust, check_client,
};
use buoy_dtls::{Client, Connected, Connection, Context, Datagram, Event, ServerEnvironment};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::certificates::{Identity, Plan};
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
        Self::resume(server, config, None)
    }

    fn resume(server: SocketAddr, config: ClientConfig, resumption: Option<Resumption>) -> Self {
        let mut shell = Shell::new();
        let mut context = Context::new(shell.now(), &mut shell.rng);
        let connection = Connection::client(&config, &mut context, resumption);
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
    tickets: Option<TicketKeys>,
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
        Self { shell, endpoint, config, authority, tickets: None, events: Vec::new(), received: Vec::new() }
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
            let tickets = self.tickets.as_ref();
            let environment = ServerEnvironment { config: &self.config, authority: &self.authority, tickets };
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
fn openssl_whose_hello_comes_in_fragments_talks_to_our_server() {
    // More than 500 bytes of names, on a path of 256.
    let names: Vec<String> = (0..60).map(|number| format!("proto{number:03}")).collect();
    let names = names.join(",");
    let key = ["-psk", KEY, "-psk_identity", "buoy-1", "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];
    server_talks(ServerConfig::default(), &[&key[..], &["-mtu", "256", "-alpn", &names]].concat());
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

/// Files that `openssl` reads.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The private key as `ECPrivateKey` (RFC 5915) in DER.
    fn key(&self, name: &str, identity: &Identity) -> String {
        let mut der = vec![0x30, 0x77, 2, 1, 1, 4, 32];
        der.extend(identity.private);
        der.extend([0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 0xa1, 68, 3, 66, 0]);
        der.extend(identity.public.point());
        self.write(name, &der)
    }

    fn certificate(&self, name: &str, identity: &Identity) -> String {
        self.write(name, &identity.der)
    }

    /// Certificate authorities are wanted in PEM.
    fn pem(&self, name: &str, identity: &Identity) -> String {
        let der = self.certificate("to-pem.der", identity);
        let path = self.folder.path().join(name).to_str().unwrap().to_owned();
        let made = Command::new("openssl")
            .args(["x509", "-inform", "DER", "-in", &der, "-out", &path])
            .status()
            .expect("these tests need the `openssl` command: apt-get install openssl");
        assert!(made.success());
        path
    }
}

/// Runs `openssl` in a folder.
fn run(folder: &std::path::Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("these tests need the `openssl` command: apt-get install openssl");
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn certificates_that_openssl_made_are_read_and_believed() {
    let files = Files::new();
    let folder = files.folder.path();
    files.write(
        "ca.ext",
        b"basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign",
    );
    files.write(
        "device.ext",
        b"extendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=DNS:buoy.example,URI:urn:dev:1,IP:192.0.2.1",
    );
    for name in ["root", "ca", "device"] {
        run(folder, &format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"));
        run(folder, &format!("req -new -key {name}.key -subj /O=Buoy/CN={name} -out {name}.csr"));
    }
    run(folder, "req -x509 -new -key root.key -sha256 -subj /O=Buoy/CN=root -days 3650 -out root.pem");
    let sign = "-sha256 -days 365 -CAcreateserial -outform DER";
    run(
        folder,
        &format!("x509 -req -in ca.csr -CA root.pem -CAkey root.key -extfile ca.ext {sign} -out ca.der"),
    );
    run(folder, "x509 -inform DER -in ca.der -out ca.pem");
    run(
        folder,
        &format!(
            "x509 -req -in device.csr -CA ca.pem -CAkey ca.key -extfile device.ext {sign} -out device.der"
        ),
    );
    run(folder, "x509 -in root.pem -outform DER -out root.der");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (root, ca, device) = (read("root.der"), read("ca.der"), read("device.der"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let anchors = [Anchor::new(&root).unwrap()];
    let chain: [&[u8]; 2] = [&device, &ca];
    let facts = check_client::<RustCrypto>(&chain, &anchors, Some(now + 60)).unwrap();
    assert_eq!(facts.common_name(), Some("device"));
    assert_eq!(facts.uris().collect::<Vec<_>>(), ["urn:dev:1"]);
    let expired = check_client::<RustCrypto>(&chain, &anchors, Some(now + 400 * 86_400));
    assert!(matches!(expired, Err(CertificateError::Expired(_))));
    let mut trust =
        ServerCertificateTrust::new(CertificateUsage::TrustAnchorAssertion, Pinned::Certificate(root.into()));
    for (name, is_right) in
        [("buoy.example", true), ("192.0.2.1", true), ("192.0.2.2", false), ("device", false)]
    {
        trust.name = Some(name.into());
        assert_eq!(trust.check::<RustCrypto>(&chain, Some(now + 60)).is_ok(), is_right, "{name}");
    }
}

const ECDSA_SUITES: [(CipherSuite, &str); 2] = [
    (CipherSuite::EcdheEcdsaAes128Ccm8, "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"),
    (CipherSuite::EcdheEcdsaAes128Gcm, "ECDHE-ECDSA-AES128-GCM-SHA256"),
];

fn trust(root: &Identity) -> ServerTrust {
    let pinned = Pinned::Certificate(root.der.as_slice().into());
    let mut trust = ServerCertificateTrust::new(CertificateUsage::TrustAnchorAssertion, pinned);
    trust.name = Some("buoy.example".into());
    ServerTrust::Certificate(Box::new(trust))
}

#[test]
fn our_client_talks_to_openssl_with_certificates() {
    let files = Files::new();
    let root = Identity::root(10, &Plan::authority("root"));
    let server = root.issue(11, &Plan::server(&["buoy.example"]));
    let device = root.issue(12, &Plan::device("buoy-7"));
    let (key, certificate) = (files.key("key", &server), files.certificate("cert", &server));
    let anchors = files.pem("root.pem", &root);
    for (suite, name) in ECDSA_SUITES {
        for curve in ["X25519:P-256", "P-256"] {
            let credentials =
                ClientCredentials::Certificate { own: device.own_key(&[]), server: trust(&root) };
            let arguments = [
                "-key",
                &key,
                "-keyform",
                "DER",
                "-cert",
                &certificate,
                "-certform",
                "DER",
                "-CAfile",
                &anchors,
                "-Verify",
                "3",
                "-verify_return_error",
                "-curves",
                curve,
                "-cipher",
                name,
            ];
            let connected = client_talks(ClientConfig::new(credentials), &arguments);
            assert_eq!(connected.suite, suite);
        }
    }
}

#[test]
fn openssl_talks_to_our_server_with_certificates() {
    let files = Files::new();
    let root = Identity::root(10, &Plan::authority("root"));
    let server = root.issue(11, &Plan::server(&["buoy.example"]));
    let device = root.issue(12, &Plan::device("buoy-7"));
    let (key, certificate) = (files.key("key", &device), files.certificate("cert", &device));
    let anchors = files.pem("root.pem", &root);
    for (suite, name) in ECDSA_SUITES {
        for curve in ["X25519:P-256", "P-256"] {
            let mut config = ServerConfig::default();
            config.own_key = Some(server.own_key(&[]));
            config.client_anchors = [root.anchor()].into();
            let arguments = [
                "-key",
                &key,
                "-keyform",
                "DER",
                "-cert",
                &certificate,
                "-certform",
                "DER",
                "-CAfile",
                &anchors,
                "-verify",
                "3",
                "-verify_return_error",
                "-verify_hostname",
                "buoy.example",
                "-curves",
                curve,
                "-maxfraglen",
                "512",
                "-cipher",
                name,
            ];
            let server = server_talks(config, &arguments);
            let connected = server.events.iter().find_map(|event| match event {
                endpoint::Event::Connected { connected, .. } => Some(connected),
                _ => None,
            });
            let connected = connected.unwrap();
            assert_eq!(connected.suite, suite);
            assert!(format!("{:?}", connected.peer).contains("buoy-7"));
        }
    }
}

#[test]
fn openssl_without_a_certificate_is_let_in_only_if_it_need_not_prove_itself() {
    let root = Identity::root(10, &Plan::authority("root"));
    let server = root.issue(11, &Plan::server(&["buoy.example"]));
    let mut config = ServerConfig::default();
    config.own_key = Some(server.own_key(&[]));
    config.client_anchors = [root.anchor()].into();
    let arguments = ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"];

    let mut open = config.clone();
    open.client_authentication = ClientAuthentication::None;
    server_talks(open, &arguments);

    let mut server = OurServer::start(config);
    let address = server.address();
    let mut all = vec!["s_client", "-dtls1_2", "-connect", &address];
    all.extend(arguments);
    let _openssl = OpenSsl::start(&all);
    server.run_until(|server| format!("{:?}", server.events).contains("PeerSentNoCredentials"));
}

#[test]
fn openssl_resumes_a_session_of_our_server_by_its_ticket() {
    let files = Files::new();
    let session = files.folder.path().join("session").to_str().unwrap().to_owned();
    let mut server = OurServer::start(ServerConfig::default());
    server.tickets = Some(TicketKeys::new(&mut server.shell.rng, 86_400));
    let address = server.address();
    let common = ["s_client", "-dtls1_2", "-connect", &address, "-psk", KEY, "-psk_identity", "buoy-1"];
    let cipher = ["-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];

    let mut first = OpenSsl::start(&[&common[..], &cipher, &["-sess_out", &session]].concat());
    server.run_until(|server| server.session().is_some());
    first.wait_for("TLS session ticket");
    drop(first);
    server.events.clear();

    let mut second = OpenSsl::start(&[&common[..], &cipher, &["-sess_in", &session]].concat());
    server.run_until(|server| server.session().is_some());
    let resumed = server.events.iter().any(|event| match event {
        endpoint::Event::Connected { connected, .. } => connected.resumed,
        _ => false,
    });
    assert!(resumed);
    second.say("from the client");
    server.run_until(|server| server.received == b"from the client\n");
}

#[test]
fn our_client_resumes_a_session_of_openssl_by_id_and_by_ticket() {
    for extra in [&["-no_ticket"][..], &[]] {
        let port = free_port();
        let accept = format!("127.0.0.1:{port}");
        let arguments = [
            "s_server",
            "-dtls1_2",
            "-accept",
            &accept,
            "-nocert",
            "-psk",
            KEY,
            "-psk_identity",
            "buoy-1",
            "-cipher",
            "PSK-AES128-CCM8:@SECLEVEL=0",
        ];
        let mut openssl = OpenSsl::start(&[&arguments[..], extra].concat());
        openssl.wait_for("ACCEPT");
        let mut config = psk_config("buoy-1", b"secret-1");
        config.resume = Resume::Keep;
        let mut client = OurClient::start(accept.parse().unwrap(), config.clone());
        client.run_until(|client| client.connected.is_some());
        let resumption = client.connected.as_mut().unwrap().resumption.take();
        assert!(resumption.is_some());
        client.connection.close();
        client.step();
        let mut client = OurClient::resume(accept.parse().unwrap(), config, resumption);
        client.run_until(|client| client.connected.is_some());
        assert!(client.connected.as_ref().unwrap().resumed);
        // Our Finished is the last of a resumed handshake.
        client.step();
        client.say(b"from the client\n");
        openssl.wait_for("from the client");
    }
}

#[test]
#[cfg(feature = "aws-lc")]
fn a_server_believes_authorities_on_secp384r1_and_with_sha_384_and_a_small_device_says_that_it_cannot() {
    use buoy_dtls::crypto::AwsLc;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, "ecparam -name secp384r1 -genkey -noout -out root.key");
    run(folder, "ecparam -name prime256v1 -genkey -noout -out device.key");
    run(folder, "req -new -key device.key -subj /CN=device -out device.csr");
    std::fs::write(folder.join("device.ext"), b"extendedKeyUsage=clientAuth").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for hash in ["sha256", "sha384"] {
        run(folder, &format!("req -x509 -new -key root.key -{hash} -subj /CN=root -days 3650 -out root.pem"));
        run(folder, "x509 -in root.pem -outform DER -out root.der");
        let sign = format!("-{hash} -days 365 -CAcreateserial -outform DER -extfile device.ext");
        run(folder, &format!("x509 -req -in device.csr -CA root.pem -CAkey root.key {sign} -out device.der"));
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let (device, anchors) = (read("device.der"), [Anchor::new(&read("root.der")).unwrap()]);
        let facts = check_client::<AwsLc>(&[&device], &anchors, Some(now + 60)).unwrap();
        assert_eq!(facts.common_name(), Some("device"));
        assert!(facts.has_fingerprint(facts.fingerprint()) && facts.is_by_one_of(&anchors));
        let mut forged = device.clone();
        *forged.last_mut().unwrap() ^= 1;
        let checked = check_client::<AwsLc>(&[&forged], &anchors, Some(now + 60));
        assert_eq!(checked, Err(CertificateError::BadSignature));
        let small = check_client::<RustCrypto>(&[&device], &anchors, Some(now + 60));
        assert_eq!(small, Err(CertificateError::UnsupportedSignature));
    }
}
