//! `buoy device` behind DTLS: its keys, its sessions, its bootstrap.

mod common;
mod door;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use buoy_coap::number::Code;
use buoy_dtls::Peer;
use buoy_dtls::config::{OwnKey, ServerConfig};
use buoy_dtls::crypto::RustCrypto;
use buoy_dtls::x509::Anchor;
use common::{Server, Workshop, buoy, wait_until};
use door::{Ask, Door};
use p256::SecretKey;
use p256::pkcs8::DecodePrivateKey;

const KEY: &[u8] = &[7; 16];
const KEY_HEX: &str = "07070707070707070707070707070707";

/// A device and what it says.
struct Device {
    child: Child,
    lines: Receiver<String>,
}

impl Device {
    fn start(workshop: &Workshop, image: &Path, arguments: &[&str]) -> Self {
        let flash = workshop.path("buoy-1.flash");
        let name = ["--endpoint", "buoy-1", "--flash", flash.to_str().unwrap()];
        Self::named(workshop, image, &[&name[..], arguments].concat())
    }

    fn named(workshop: &Workshop, image: &Path, arguments: &[&str]) -> Self {
        let mut child = buoy()
            .args(["device", "--trust"])
            .arg(workshop.path("release.pub.pem"))
            .arg("--factory")
            .arg(image)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { child, lines }
    }

    /// The next line that begins so, after the lines before it.
    fn says(&self, start: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("no {start:?}: {error}; {before:?}"),
            }
        }
    }

    /// SIGKILL: nothing is saved any more.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // The image ends when it sees that its boot loader has.
        let deadline = Duration::from_secs(10);
        while self.lines.recv_timeout(deadline).is_ok() {}
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device with a shared key, and its server.
struct World {
    workshop: Workshop,
    image: std::path::PathBuf,
    door: Door,
}

impl World {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        let workshop = Workshop::new();
        let image = workshop.release("1.0.0", "good");
        let door = Door::open(config);
        door.share_key("buoy-1", KEY);
        Self { workshop, image, door }
    }

    fn start(&self, arguments: &[&str]) -> Device {
        Device::start(&self.workshop, &self.image, arguments)
    }

    fn start_with_key(&self) -> Device {
        self.start(&["--server", &self.door.uri(), "--psk-key", KEY_HEX])
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.workshop.path("."))
            .output()
            .expect("these tests need the `openssl` command: apt-get install openssl");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> String {
        self.workshop.path(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn int_401_a_device_registers_with_a_shared_key() {
    let world = World::new();
    let device = world.start_with_key();
    assert_eq!(device.says("HANDSHAKE"), "HANDSHAKE full");
    device.says("REGISTERED");
    assert_eq!(world.door.seen().handshakes, [Peer::Psk(b"buoy-1".as_slice().into())]);
}

#[test]
fn a_wrong_key_is_told_in_words() {
    let world = World::new();
    std::fs::write(world.file("key"), "0808\n").unwrap();
    let device = world.start(&["--server", &world.door.uri(), "--psk-key-file", &world.file("key")]);
    let said = device.says("HANDSHAKE_FAILED");
    assert!(said.contains("decrypt_error") && said.contains("keys of both ends may differ"), "{said}");
    device.says("REGISTER_FAILED ServerSilent");
    wait_until("the server's reason", || !world.door.seen().failures.is_empty());
    assert_eq!(world.door.seen().failures, ["bad PSK for identity buoy-1"]);
    assert_eq!(world.door.count("rd"), 0);
}

#[test]
fn keys_that_cannot_be_are_refused_before_anything_is_sent() {
    let world = World::new();
    let uri = world.door.uri();
    for (arguments, expected) in [
        (vec!["--server", &uri], "add --psk-key-file"),
        (vec!["--server", &uri, "--psk-key", "xyz"], "hexadecimal"),
        (vec!["--server", "coap://127.0.0.1", "--psk-key", "00"], "coaps://"),
        (vec!["--server", "http://127.0.0.1"], "no coap:// or coaps:// URI"),
    ] {
        let output = buoy()
            .args(["device", "--endpoint", "buoy-1", "--flash", &world.file("none.flash"), "--trust"])
            .arg(world.workshop.path("release.pub.pem"))
            .args(&arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{arguments:?}: {said}");
    }
}

/// The private key in a file that OpenSSL made.
fn private(path: &str) -> [u8; 32] {
    SecretKey::from_pkcs8_pem(&std::fs::read_to_string(path).unwrap()).unwrap().to_bytes().into()
}

#[test]
fn int_402_a_device_registers_with_raw_public_keys() {
    let mut config = ServerConfig::default();
    config.own_key = OwnKey::raw_public_key::<RustCrypto>(&[9; 32]);
    let spki = config.own_key.as_ref().unwrap().public().to_spki();
    let world = World::with(config);
    std::fs::write(world.file("server.der"), spki).unwrap();
    world.openssl("pkey -pubin -inform DER -in server.der -out server.pem");
    world.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.pem");
    let device = world.start(&[
        "--server",
        &world.door.uri(),
        "--key",
        &world.file("device.pem"),
        "--server-public-key",
        &world.file("server.pem"),
    ]);
    device.says("REGISTERED");
    let own = OwnKey::raw_public_key::<RustCrypto>(&private(&world.file("device.pem"))).unwrap();
    assert_eq!(world.door.seen().handshakes, [Peer::RawPublicKey(Box::new(*own.public()))]);
}

/// Keys and certificates for `who`, signed by the authority in `ca.pem`.
fn certificate(world: &World, who: &str, purpose: &str) {
    world.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {who}.pem"));
    world.openssl(&format!("req -new -key {who}.pem -subj /CN={who} -out {who}.csr"));
    let extensions = format!("extendedKeyUsage={purpose}\nsubjectAltName=IP:127.0.0.1\n");
    std::fs::write(world.file(&format!("{who}.ext")), extensions).unwrap();
    world.openssl(&format!(
        "x509 -req -in {who}.csr -CA ca.crt -CAkey ca.pem -CAcreateserial -days 2 -extfile {who}.ext -out {who}.crt"
    ));
    world.openssl(&format!("x509 -in {who}.crt -outform DER -out {who}.der"));
}

fn authority(world: &World) {
    world.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.pem");
    world.openssl("req -x509 -key ca.pem -subj /CN=ca -days 2 -out ca.crt");
    world.openssl("x509 -in ca.crt -outform DER -out ca.der");
}

/// A server with the certificate `server`, for devices of the authority.
fn certified(world: &World) -> ServerConfig {
    let mut config = ServerConfig::default();
    let chain = std::fs::read(world.file("server.der")).unwrap();
    let key = private(&world.file("server.pem"));
    config.own_key = Some(OwnKey::certificate::<RustCrypto>(&key, &[&chain]).unwrap());
    config.client_anchors = [Anchor::new(&std::fs::read(world.file("ca.der")).unwrap()).unwrap()].into();
    config
}

#[test]
fn int_403_a_device_registers_with_certificates_and_trusts_only_the_servers_that_it_should() {
    let mut world = World::new();
    authority(&world);
    certificate(&world, "buoy-1", "clientAuth");
    certificate(&world, "server", "serverAuth");
    world.door = Door::open(certified(&world));
    let (key, own) = (world.file("buoy-1.pem"), world.file("buoy-1.crt"));
    let start = |more: &[&str]| {
        let uri = world.door.uri();
        let base = ["--server", uri.as_str(), "--key", &key, "--certificate", &own];
        world.start(&[&base[..], more].concat())
    };
    let device = start(&["--server-ca", &world.file("ca.crt")]);
    device.says("REGISTERED");
    assert!(matches!(&world.door.seen().handshakes[..],
        [Peer::Certificate(facts)] if facts.common_name() == Some("buoy-1")));
    device.kill();

    let device = start(&["--server-certificate", &world.file("server.crt")]);
    device.says("REGISTERED");
    device.kill();

    // Certificate usages 0 and 1: the trust store too must lead to the server.
    let (authority, server) = (world.file("ca.crt"), world.file("server.crt"));
    for pinned in [["--server-ca", &*authority], ["--server-certificate", &*server]] {
        let device = start(&[&["--trust-store", &*authority], &pinned[..]].concat());
        device.says("REGISTERED");
        device.kill();
        let device = start(&[&["--trust-store", &*own], &pinned[..]].concat());
        let said = device.says("HANDSHAKE_FAILED");
        assert!(said.contains("no trust anchor vouches for it"), "{said}");
        device.kill();
    }

    let device = start(&["--server-certificate", &own]);
    let said = device.says("HANDSHAKE_FAILED");
    assert!(said.contains("not the one that was expected"), "{said}");
    device.kill();

    let device = start(&["--server-ca", &world.file("ca.crt"), "--server-name", "other.example"]);
    let said = device.says("HANDSHAKE_FAILED");
    assert!(said.contains("for another name"), "{said}");
}

#[test]
fn a_killed_device_goes_on_without_a_handshake_and_without_a_record_number_twice() {
    let world = World::new();
    let device = world.start_with_key();
    device.says("REGISTERED");
    device.kill();
    for round in 2..=3 {
        let device = world.start_with_key();
        device.says("SESSION restored");
        device.says("REGISTERED");
        assert_eq!(world.door.count("rd"), round);
        device.kill();
    }
    let device = world.start_with_key();
    device.says("REGISTERED");
    // A reboot in an orderly way.
    world.door.ask(Ask::new(Code::POST, "/3/0/4"));
    device.says("REBOOT");
    device.says("SESSION restored");
    device.says("REGISTERED");
    let seen = world.door.seen();
    assert_eq!(seen.handshakes.len(), 1);
    assert_eq!(seen.repeated_numbers, [0; 0]);
    assert!(seen.records >= 5, "{seen:?}");
}

#[test]
fn two_devices_on_one_flash_do_not_share_a_session() {
    let world = World::new();
    let device = world.start_with_key();
    device.says("REGISTERED");
    let mut twin = world.start_with_key();
    assert_eq!(twin.child.wait().unwrap().code(), Some(1), "a flash has one device");
    device.kill();
    let device = world.start_with_key();
    device.says("REGISTERED");
    assert_eq!(world.door.seen().repeated_numbers, [0; 0]);
    assert_eq!((world.door.count("rd"), world.door.seen().handshakes.len()), (2, 1));
}

#[test]
fn a_server_that_lost_the_session_gets_a_new_one() {
    let world = World::new();
    let device = world.start_with_key();
    device.says("REGISTERED");
    device.kill();
    world.door.forget_sessions();
    let device = world.start_with_key();
    device.says("SESSION restored");
    device.says("HANDSHAKE full");
    device.says("REGISTERED");
    assert_eq!(world.door.seen().handshakes.len(), 2);
}

/// A folder in the place of the session's file: no file can be put there.
#[test]
fn a_session_that_cannot_be_saved_sends_nothing_and_says_why() {
    let world = World::new();
    let device = world.start_with_key();
    device.says("REGISTERED");
    let session = world.workshop.path("buoy-1.flash.state").join("session-0");
    std::fs::remove_file(&session).unwrap();
    std::fs::create_dir(&session).unwrap();
    world.door.ask(Ask::new(Code::POST, "/1/0/8"));
    let said = device.says("HANDSHAKE_FAILED");
    assert!(said.contains("the session cannot be saved"), "{said}");
    device.kill();
    assert_eq!(world.door.seen().answers, []);
    std::fs::remove_dir(&session).unwrap();
    world.start_with_key().says("REGISTERED");
    assert_eq!(world.door.seen().repeated_numbers, [0; 0]);
}

#[test]
fn another_key_takes_up_no_session_of_the_one_before() {
    let world = World::new();
    let device = world.start_with_key();
    device.says("REGISTERED");
    device.kill();
    world.door.share_key("buoy-1", &[8; 16]);
    let key = KEY_HEX.replace('7', "8");
    let device = world.start(&["--server", &world.door.uri(), "--psk-key", &key]);
    device.says("HANDSHAKE full");
    device.says("REGISTERED");
}

#[test]
fn firmware_comes_through_the_session_that_the_device_has() {
    let world = World::new();
    let next = world.workshop.release("1.1.0", "good");
    world.door.serve("fw/1.1.0.bin", &std::fs::read(&next).unwrap());
    world.door.serve("fw/1.1.0.bin.sig", &std::fs::read(next.with_extension("bin.sig")).unwrap());
    let device = world.start_with_key();
    device.says("REGISTERED");
    let uri = format!(r#"[{{"n":"/5/0/1","vs":"{}/fw/1.1.0.bin"}}]"#, world.door.uri());
    world.door.ask(Ask::write("/5/0/1", &uri));
    device.says("DOWNLOAD coaps://");
    wait_until("the signature is fetched", || world.door.count("fw/1.1.0.bin.sig") > 0);
    // As soon as it is verified; before that it is refused.
    wait_until("the update", || {
        world.door.ask(Ask::new(Code::POST, "/5/0/2"));
        std::thread::sleep(Duration::from_millis(200));
        device.lines.try_iter().any(|line| line.starts_with("BOOT 1.1.0"))
    });
    device.says("CONFIRMED");
    assert_eq!(world.door.seen().handshakes.len(), 1);
    assert_eq!(world.door.seen().repeated_numbers, [0; 0]);
}

/// What a bootstrap server writes: an account with another key, at which the device tries to register once.
fn configuration(uri: &str, identity: &str) -> Vec<Ask> {
    let account = format!(
        r#"[{{"bn":"/0/1/","n":"0","vs":"{uri}"}},{{"n":"1","vb":false}},{{"n":"2","v":0}},{{"n":"3","vd":"{identity}"}},
        {{"n":"5","vd":"CAgICAgICAgICAgICAgICA"}},{{"n":"10","v":102}}]"#
    );
    let server = r#"[{"bn":"/1/1/","n":"0","v":102},{"n":"1","v":300},{"n":"7","vs":"U"},{"n":"16","vb":true},
        {"n":"17","v":1},{"n":"18","v":1},{"n":"20","v":1}]"#;
    vec![
        Ask::new(Code::DELETE, "/"),
        Ask::write("/0/1", &account),
        Ask::write("/1/1", server),
        Ask::new(Code::POST, "/bs"),
    ]
}

/// `minted` and `stranger` in base64url.
const MINTED: &str = "bWludGVk";
const STRANGER: &str = "c3RyYW5nZXI";

#[test]
fn int_1_a_device_bootstraps_with_its_factory_key_and_registers_with_the_one_that_it_was_given() {
    let world = World::new();
    world.door.share_key("minted", &[8; 16]);
    world.door.script(&configuration(&world.door.uri(), MINTED));
    let arguments = ["--bootstrap", &world.door.uri(), "--psk-key", KEY_HEX];
    let device = world.start(&arguments);
    device.says("HANDSHAKE full");
    device.says("BOOTSTRAP_STARTED");
    device.says("BOOTSTRAPPED");
    device.says("HANDSHAKE full");
    device.says("REGISTERED");
    device.kill();
    let who = |name: &[u8]| Peer::Psk(name.into());
    assert_eq!(world.door.seen().handshakes, [who(b"buoy-1"), who(b"minted")]);

    // What it was given outlives a power cut.
    let device = world.start(&arguments);
    device.says("SESSION restored");
    device.says("REGISTERED");
    assert_eq!((world.door.count("bs"), world.door.count("rd")), (1, 2));

    // Until its server asks for another bootstrap (1/x/9).
    world.door.ask(Ask::new(Code::POST, "/1/1/9"));
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    assert_eq!(world.door.count("bs"), 2);
}

/// A bootstrap that writes an account of this mode with these keys: own, server's, secret.
fn asymmetric(uri: &str, mode: u8, settings: &str, keys: [&[u8]; 3]) -> Vec<Ask> {
    let account = format!(
        r#"[{{"bn":"/0/1/","n":"0","vs":"{uri}"}},{{"n":"1","vb":false}},{{"n":"2","v":{mode}}},{{"n":"10","v":102}}{settings}]"#
    );
    let mut asks = configuration(uri, MINTED);
    let [own, server, secret] = keys;
    let keys = [Ask::put("/0/1/3", own), Ask::put("/0/1/4", server), Ask::put("/0/1/5", secret)];
    asks.splice(1..2, [Ask::write("/0/1", &account)].into_iter().chain(keys));
    asks
}

#[test]
fn what_a_bootstrap_server_writes_of_raw_public_keys_is_used_as_flags_are() {
    let mut config = ServerConfig::default();
    config.own_key = OwnKey::raw_public_key::<RustCrypto>(&[9; 32]);
    let server = config.own_key.as_ref().unwrap().public().to_spki();
    let own = OwnKey::raw_public_key::<RustCrypto>(&[5; 32]).unwrap();
    let world = World::with(config);
    let keys = [&own.public().to_spki()[..], &server, &[5; 32]];
    world.door.script(&asymmetric(&world.door.uri(), 1, "", keys));
    let device = world.start(&["--bootstrap", &world.door.uri(), "--psk-key", KEY_HEX]);
    device.says("BOOTSTRAPPED");
    device.says("HANDSHAKE full");
    device.says("REGISTERED");
    let seen = world.door.seen().handshakes;
    assert_eq!(seen, [Peer::Psk(b"buoy-1".as_slice().into()), Peer::RawPublicKey(Box::new(*own.public()))]);
}

#[test]
fn int_2_a_device_bootstraps_with_its_factory_certificate_and_registers_with_the_one_that_it_was_given() {
    let mut world = World::new();
    authority(&world);
    certificate(&world, "factory", "clientAuth");
    certificate(&world, "buoy-1", "clientAuth");
    certificate(&world, "server", "serverAuth");
    world.door = Door::open(certified(&world));
    let read = |name: &str| std::fs::read(world.file(name)).unwrap();
    world.openssl("pkcs8 -topk8 -nocrypt -in buoy-1.pem -outform DER -out buoy-1.p8");
    let keys = [&read("buoy-1.der")[..], &read("ca.der"), &read("buoy-1.p8")];
    // The authority's certificate, asked for the name that the server's certificate has, by CCM alone.
    let settings = r#",{"n":"15","v":2},{"n":"14","vs":"127.0.0.1"},{"n":"16/0","v":49326}"#;
    world.door.script(&asymmetric(&world.door.uri(), 2, settings, keys));
    let (uri, own, key) = (world.door.uri(), world.file("factory.crt"), world.file("factory.pem"));
    let authority = world.file("ca.crt");
    let arguments = ["--bootstrap", &uri, "--certificate", &own, "--key", &key, "--server-ca", &authority];
    let device = world.start(&arguments);
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    device.kill();
    let device = world.start(&arguments);
    device.says("SESSION restored");
    device.says("REGISTERED");
    let seen = world.door.seen();
    let name = |peer: &Peer| match peer {
        Peer::Certificate(facts) => facts.common_name().map(str::to_owned),
        _ => None,
    };
    let names: Vec<_> = seen.handshakes.iter().filter_map(name).collect();
    assert_eq!(names, ["factory", "buoy-1"]);
    assert_eq!(
        seen.answers,
        [
            Code::DELETED,
            Code::CHANGED,
            Code::CHANGED,
            Code::CHANGED,
            Code::CHANGED,
            Code::CHANGED,
            Code::CHANGED
        ]
    );
}

#[test]
fn a_device_that_is_refused_by_its_server_asks_for_another_configuration() {
    let world = World::new();
    world.door.share_key("minted", &[8; 16]);
    world.door.script(&configuration(&world.door.uri(), STRANGER));
    let device = world.start(&["--bootstrap", &world.door.uri(), "--psk-key", KEY_HEX]);
    device.says("BOOTSTRAPPED");
    world.door.script(&configuration(&world.door.uri(), MINTED));
    device.says("HANDSHAKE_FAILED");
    device.says("REGISTER_FAILED");
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    assert_eq!(world.door.count("bs"), 2);
}

#[test]
fn power_that_goes_in_the_middle_of_a_bootstrap_leaves_the_device_as_it_was() {
    let world = World::new();
    world.door.share_key("minted", &[8; 16]);
    let whole = configuration(&world.door.uri(), MINTED);
    world.door.script(&whole[..3]);
    let arguments = ["--bootstrap", &world.door.uri(), "--psk-key", KEY_HEX];
    let device = world.start(&arguments);
    device.says("BOOTSTRAP_STARTED");
    wait_until("the writes", || world.door.seen().answers.len() == 3);
    device.kill();
    world.door.script(&whole);
    let device = world.start(&arguments);
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    assert_eq!(world.door.count("bs"), 2);
    assert_eq!(world.door.seen().repeated_numbers, [0; 0]);
}

/// The whole of it at Buoy's own server: one handshake with the bootstrap server's key, for bootstrap, update, and both ends' restarts.
#[test]
fn a_device_is_configured_updated_and_restarted_at_buoy_with_one_handshake() {
    let workshop = Workshop::new();
    let (first, next) = (workshop.release("1.0.0", "good"), workshop.release("1.1.0", "good"));
    let data = workshop.path("data");
    let serve = |coaps: &str, http: &str, more: &[&str]| {
        let mut command = buoy();
        command.args(["serve", "--coaps", coaps, "--http", http, "--data"]).arg(&data).args(more);
        Server::spawn(&mut command)
    };
    let mut server = serve("127.0.0.1:0", "127.0.0.1:0", &["--bootstrap", "127.0.0.1:0"]);
    server.says(&["bootstrap", "add", "buoy-1", "--lifetime", "300"]);
    let device = Device::start(&workshop, &first, &["--bootstrap", server.uri("Bootstrap")]);
    assert_eq!(device.says("HANDSHAKE"), "HANDSHAKE full");
    device.says("REGISTERED");
    server.says(&["firmware", "upload", next.to_str().unwrap()]);
    server.says(&["update", "buoy-1", "1.1.0.bin"]);
    let mut said = vec![device.says("DOWNLOAD coaps://")];
    let (coaps, http) = (server.uri("CoAPS").to_owned(), server.http.clone());
    server.kill();
    let server = serve(coaps.trim_start_matches("coaps://"), http.trim_start_matches("http://"), &[]);
    wait_until("the light", || server.ctl(&["write", "buoy-1", "/3311/0/5850=true"]).status.success());
    said.push(device.says("LIGHT on"));
    device.kill();
    let device = Device::start(&workshop, &first, &["--bootstrap", "coap://127.0.0.1:1"]);
    device.says("BOOT 1.1.0");
    device.says("SESSION restored");
    device.says("REGISTERED");
    said.extend(device.lines.try_iter());
    assert!(said.iter().all(|line| !line.starts_with("HANDSHAKE")), "{said:?}");
}

/// The identity in a device's factory, in each of the three modes, gets it a key of its own from Buoy's bootstrap server.
#[test]
fn a_device_bootstraps_at_buoy_with_a_shared_key_a_raw_public_key_and_a_certificate() {
    let world = World::new();
    let run = |arguments: &[&str]| {
        let output = buoy().args(arguments).current_dir(world.workshop.path(".")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["ca", "init", "--dir", "fleet"]);
    run(&["ca", "issue", "device", "x509", "--dir", "fleet", "--out", "x509"]);
    world.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rpk.pem");
    world.openssl("pkey -in rpk.pem -pubout -out rpk.pub");
    let data = world.workshop.path("data");
    let mut command = buoy();
    command.args(["serve", "--coaps", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.arg("--client-ca").arg(world.workshop.path("fleet/ca.cert.pem")).arg("--data").arg(&data);
    let server = Server::spawn(&mut command);
    let own = data.join("server.crt").to_str().unwrap().to_owned();
    server.says(&["bootstrap", "add", "*", "--lifetime", "300"]);
    let credential = ["credentials", "add", "--purpose", "bootstrap"];
    server.says(&[&credential[..], &["psk", "--key", KEY_HEX]].concat());
    server
        .says(&[&credential[..], &["rpk", "--kind", "rpk", "--public-key", &world.file("rpk.pub")]].concat());
    let (rpk, key, chain) = (world.file("rpk.pem"), world.file("x509.key.pem"), world.file("x509.cert.pem"));
    for (name, keys) in [
        // In one pack, and by requests.
        ("psk", vec!["--psk-key", KEY_HEX, "--lwm2m", "1.2"]),
        ("rpk", vec!["--key", &rpk, "--server-public-key", &own]),
        ("x509", vec!["--key", &key, "--certificate", &chain, "--server-certificate", &own]),
    ] {
        let flash = world.file(&format!("{name}.flash"));
        let at = ["--endpoint", name, "--flash", &flash, "--bootstrap", server.uri("BootstrapS")];
        let device = Device::named(&world.workshop, &world.image, &[&at[..], &keys].concat());
        device.says("BOOTSTRAPPED");
        device.says("HANDSHAKE full");
        device.says("REGISTERED");
        assert_eq!(server.says(&["read", name, "/3/0/3"]).trim(), "1.0.0");
    }
}
