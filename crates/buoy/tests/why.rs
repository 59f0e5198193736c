//! Why a device is as it is: each cause is really made to happen, and asked for at `/api/v1` and by `buoy ctl why`.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/foreign.rs"]
mod foreign;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buoy_api::{Delivery, Finding, Request, Severity, StartOperation, StartUpdate, Why};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::Message;
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, ServerTrust};
use buoy_dtls::crypto::RustCrypto;
use buoy_dtls::x509::{CertificateUsage, Pinned, ServerCertificateTrust};
use buoy_services::certificates::{self, Issuer, Subject, Use};
use buoy_services::why::causes::CAUSES;
use common::{Server, Workshop, buoy, wait_until};
use fleet::{Fleet, post};
use foreign::{Answer, Asked, Foreign};
use x509_cert::der::Encode;

const AT_THE_DOOR: &[&str] = &[
    "wrong_psk",
    "unknown_identity",
    "certificate_expired",
    "certificate_unknown_authority",
    "certificate_wrong_purpose",
    "certificate_wrong_name",
    "name_of_another",
    "needs_dtls",
    "credentials_revoked",
    "key_never_used",
    "claim_waits",
    "never_seen",
];
const IN_CONTACT: &[&str] = &[
    "silent",
    "nat_forgets",
    "lifetime_too_short",
    "reboots",
    "registers_again",
    "clock_wrong",
    "battery_low",
    "old_protocol",
    "operations_wait",
    "access_refused",
    "reports_not_kept",
    "approval_waits",
];
const OF_FIRMWARE: &[&str] = &[
    "no_firmware_object",
    "no_room",
    "package_unreachable",
    "download_stalled",
    "signature_not_trusted",
    "wrong_chip",
    "rolled_back_self_test",
    "rolled_back_watchdog",
    "rolled_back_crash",
    "rolled_back",
];
const OF_THE_SERVER: &[&str] = &["server_restarted", "server_clock"];

const KEY: [u8; 16] = [7; 16];
const KEY_HEX: &str = "07070707070707070707070707070707";
const LINKS: u8 = 40;
const OBJECTS: &[u8] = b"</1/0>,</3/0>,</3303/0>";

#[test]
fn each_cause_is_reproduced_here_and_is_in_the_guide() {
    let all = [AT_THE_DOOR, IN_CONTACT, OF_FIRMWARE, OF_THE_SERVER].concat();
    let reproduced: BTreeSet<&str> = all.iter().copied().collect();
    let known: BTreeSet<&str> = CAUSES.iter().map(|cause| cause.id).collect();
    assert_eq!(reproduced.len(), all.len(), "a cause is listed twice");
    assert_eq!(reproduced, known, "each cause is reproduced in one of the tests of this file");
    assert!(known.len() >= 25);
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/src/trouble-shooting.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for cause in CAUSES {
        let row = format!("| `{}` | {} |", cause.id, cause.title);
        assert!(guide.contains(&row), "trouble-shooting.md lacks the row {row}");
    }
}

/// The causes that a test has found.
#[derive(Default)]
struct Found(BTreeSet<&'static str>);

impl Found {
    /// Waits until a device is explained by a cause.
    fn find(&mut self, server: &Server, device: &str, cause: &'static str) -> Finding {
        let mut finding = None;
        wait_until(&format!("{device}: {cause} in {:?}", why(server, device)), || {
            finding =
                why(server, device).and_then(|why| why.findings.into_iter().find(|it| it.cause == cause));
            finding.is_some()
        });
        let finding = finding.unwrap();
        assert!(finding.sentence.ends_with('.') && finding.next_step.len() > 20, "{finding:?}");
        assert!(!finding.evidence.is_empty() || cause == "never_seen", "{finding:?}");
        for evidence in &finding.evidence {
            if let Some(link) = evidence.link.as_deref().filter(|link| !link.contains("/audit")) {
                let found = server.client().get::<serde_json::Value>(link);
                assert!(found.is_ok(), "{link} of {cause}: {found:?}");
            }
        }
        self.0.insert(cause);
        finding
    }

    fn are(self, wanted: &[&str]) {
        assert_eq!(self.0, wanted.iter().copied().collect());
    }
}

fn why(server: &Server, device: &str) -> Option<Why> {
    server.client().get(&format!("/api/v1/devices/{device}/why")).ok()
}

fn register(message_id: u16, endpoint: &str) -> Vec<u8> {
    post(message_id, &["rd"], &[&format!("ep={endpoint}"), "lt=86400", "lwm2m=1.1"], LINKS, OBJECTS)
}

/// An authority, and what it issues.
struct Authority(Issuer);

impl Authority {
    fn new(name: &str) -> Self {
        let key = certificates::new_key().unwrap();
        let subject = Subject { name, usage: Use::Authority, alternatives: &[], days: 3650 };
        Self(Issuer { certificate: certificates::self_signed(&subject, &key).unwrap(), key })
    }

    /// A device that shows a certificate of this authority, and believes the server.
    fn device(&self, server: &Path, name: &str, usage: Use, days: u32) -> ClientConfig {
        let key = certificates::new_key().unwrap();
        let subject = Subject { name, usage, alternatives: &[], days };
        let half = certificates::public_half(&key).unwrap();
        let der = certificates::issue(&self.0, &subject, half).unwrap().to_der().unwrap();
        let own = OwnKey::certificate::<RustCrypto>(&key.to_bytes().into(), &[&der]).unwrap();
        let pinned = certificates::read_certificates(server).unwrap()[0].to_der().unwrap();
        let pinned = Pinned::Certificate(pinned.into());
        let trust = ServerCertificateTrust::new(CertificateUsage::DomainIssued, pinned);
        let server = ServerTrust::Certificate(Box::new(trust));
        ClientConfig::new(ClientCredentials::Certificate { own, server })
    }
}

#[test]
fn devices_that_do_not_come_in_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (fleet_ca, stranger) = (Authority::new("fleet"), Authority::new("stranger"));
    let pem = certificates::certificate_pem(&fleet_ca.0.certificate).unwrap();
    std::fs::write(file("ca.pem"), pem).unwrap();
    let data = file("data");
    let mut command = buoy();
    command.args(["serve", "--shards", "2", "--coaps", "127.0.0.1:0", "--coap", "127.0.0.1:0"]);
    command.args(["--bootstrap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--client-ca"]).arg(file("ca.pem"));
    let server = Server::spawn(command.arg("--data").arg(&data));
    let add = |endpoint: &str| server.says(&["credentials", "add", endpoint, "--key", KEY_HEX]);
    let mut fleet = Fleet::new(server.uri("CoAPS").trim_start_matches("coaps://"));
    let mut found = Found::default();

    for endpoint in ["psk-1", "psk-3", "psk-4", "psk-5", "psk-6"] {
        add(endpoint);
    }
    server.says(&["credentials", "add", "psk-2", "--identity", "id-2", "--key", KEY_HEX]);
    found.find(&server, "psk-5", "never_seen");

    fleet.connect(Fleet::psk("psk-1", &[8; 16])).unwrap_err();
    let finding = found.find(&server, "psk-1", "wrong_psk");
    assert_eq!(finding.severity, Severity::Problem);
    assert!(finding.sentence.contains("\"psk-1\""), "{finding:?}");
    let said = server.says(&["why", "psk-1"]);
    assert!(said.contains("wrong_psk") && said.contains("Next: Compare the bytes"), "{said}");

    // It shows its name in place of its identity.
    fleet.connect(Fleet::psk("psk-2", &KEY)).unwrap_err();
    let finding = found.find(&server, "psk-2", "unknown_identity");
    assert!(finding.evidence[0].detail.contains("127.0.0.1"), "{finding:?}");

    // A device that comes in is not to blame for what was before.
    let one = fleet.connect(Fleet::psk("psk-1", &KEY)).unwrap();
    assert_eq!(fleet.ask(one, &register(1, "psk-1")).unwrap().0, Code::CREATED);
    wait_until("psk-1 is well", || why(&server, "psk-1").unwrap().findings.is_empty());
    let well = why(&server, "psk-1").unwrap();
    assert!(well.summary.contains("Nothing is wrong") && well.looked_at.len() > 4, "{well:?}");

    let server_certificate = data.join("server.crt");
    for (authority, name, usage, days, cause) in [
        (&fleet_ca, "x-expired", Use::Device, 0, "certificate_expired"),
        (&stranger, "x-stranger", Use::Device, 90, "certificate_unknown_authority"),
        (&fleet_ca, "x-server", Use::Server, 90, "certificate_wrong_purpose"),
        // Its name has a credential of another kind.
        (&fleet_ca, "psk-3", Use::Device, 90, "certificate_wrong_name"),
    ] {
        let config = authority.device(&server_certificate, name, usage, days);
        // One for no days is valid to the end of this second.
        wait_until(name, || fleet.connect(config.clone()).is_err());
        let finding = found.find(&server, name, cause);
        assert!(finding.sentence.contains(name), "{finding:?}");
    }

    assert_eq!(fleet.ask(one, &register(2, "psk-4")).unwrap().0, Code::BAD_REQUEST);
    let by_credentials = found.find(&server, "psk-1", "name_of_another");
    let by_name = found.find(&server, "psk-4", "name_of_another");
    assert_eq!(by_credentials.sentence, by_name.sentence);

    let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
    plain.send_to(&register(3, "psk-4"), &server.coap).unwrap();
    found.find(&server, "psk-4", "needs_dtls");

    let six = fleet.connect(Fleet::psk("psk-6", &KEY)).unwrap();
    assert_eq!(fleet.ask(six, &register(4, "psk-6")).unwrap().0, Code::CREATED);
    server.says(&["credentials", "rotate", "psk-6"]);
    assert_eq!(fleet.ask(six, &register(5, "psk-6")).unwrap().0, Code::CREATED);
    found.find(&server, "psk-6", "key_never_used");

    let three = fleet.connect(Fleet::psk("psk-3", &KEY)).unwrap();
    assert_eq!(fleet.ask(three, &register(6, "psk-3")).unwrap().0, Code::CREATED);
    server.says(&["credentials", "revoke", "psk-3"]);
    wait_until("psk-3 is revoked", || {
        server.client().device("psk-3").unwrap().state == buoy_api::DeviceState::Revoked
    });
    fleet.connect(Fleet::psk("psk-3", &KEY)).unwrap_err();
    wait_until("the attempt is seen", || {
        found.find(&server, "psk-3", "credentials_revoked").severity == Severity::Problem
    });
    assert!(why(&server, "psk-3").unwrap().findings.iter().all(|it| it.cause != "unknown_identity"));
    assert!(server.says(&["devices", "--state", "revoked"]).contains("psk-3"));
    assert!(server.says(&["devices", "state = revoked"]).contains("psk-3"));

    let bootstrap = server.uri("Bootstrap").trim_start_matches("coap://").to_owned();
    plain.send_to(&post(7, &["bs"], &["ep=claim-1"], 0, b""), &bootstrap).unwrap();
    let finding = found.find(&server, "claim-1", "claim_waits");
    assert!(finding.next_step.contains("buoy ctl bootstrap accept claim-1"), "{finding:?}");

    assert!(server.fails(4, &["why", "nobody"]).contains("nobody has tried"));
    found.are(AT_THE_DOOR);
}

/// A plain device that does what the test says.
struct Plain {
    socket: UdpSocket,
    server: String,
    next_id: u16,
}

impl Plain {
    fn new(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, server: server.coap.clone(), next_id: 1 }
    }

    /// Sends a POST, and returns the path of its answer's location.
    fn post(&mut self, path: &[&str], queries: &[&str], payload: &[u8]) -> Vec<String> {
        self.next_id += 1;
        self.socket.send_to(&post(self.next_id, path, queries, LINKS, payload), &self.server).unwrap();
        let mut buffer = [0; 512];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap();
            let answer = Message::parse(&buffer[..length]).unwrap();
            if answer.code().is_response() && answer.message_id() == self.next_id {
                assert!(answer.code().is_success(), "{}", answer.code());
                let location = answer.values(OptionNumber::LOCATION_PATH);
                return location.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
            }
        }
    }

    fn register(&mut self, endpoint: &str, queries: &[&str], objects: &[u8]) -> Vec<String> {
        let endpoint = format!("ep={endpoint}");
        self.post(&["rd"], &[&[&*endpoint], queries].concat(), objects)
    }

    fn update(&mut self, location: &[String]) {
        let path: Vec<&str> = location.iter().map(String::as_str).collect();
        self.post(&path, &[], b"");
    }

    /// The same device at another address.
    fn moves(&mut self) {
        let timeout = self.socket.read_timeout().unwrap();
        self.socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.socket.set_read_timeout(timeout).unwrap();
    }
}

/// A device that tells one text, and refuses to be written to.
fn telling(server: &Server, name: &str, path: &'static str, text: &'static str) -> Foreign {
    Foreign::start(server, name, move |asked: &Asked| {
        Some(match asked.code {
            Code::GET if asked.path == path => Answer::content(ContentFormat::TEXT, text.as_bytes()),
            Code::PUT | Code::POST => Answer::error(Code::UNAUTHORIZED, "not this server"),
            _ => Answer::code(Code::NOT_FOUND),
        })
    })
}

#[test]
fn devices_that_are_in_contact_are_explained() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start_with(&workshop.path("data"), &["--awake-time", "1"]);
    let mut found = Found::default();
    let holds = ["lt=86400", "lwm2m=1.1"];

    // What takes time begins first.
    let mut sleeper = Plain::new(&server);
    sleeper.register("sleeper", &["lt=86400", "lwm2m=1.1", "Q"], OBJECTS);
    let mut brief = Plain::new(&server);
    let is_gone = || server.client().device("brief").is_ok_and(|it| it.registration.is_none());
    for _ in 0..2 {
        brief.register("brief", &["lt=1", "lwm2m=1.1"], OBJECTS);
        wait_until("the registration ends", is_gone);
    }
    let finding = found.find(&server, "brief", "lifetime_too_short");
    assert!(finding.sentence.contains("its lifetime of 1 s"), "{finding:?}");
    found.find(&server, "brief", "silent");

    let mut roaming = Plain::new(&server);
    let location = roaming.register("roaming", &holds, OBJECTS);
    for _ in 0..3 {
        roaming.moves();
        roaming.update(&location);
    }
    found.find(&server, "roaming", "nat_forgets");

    let mut again = Plain::new(&server);
    for _ in 0..6 {
        again.register("again", &holds, OBJECTS);
    }
    let finding = found.find(&server, "again", "registers_again");
    assert!(finding.sentence.contains("5 times"), "{finding:?}");

    let reset = telling(&server, "reset", "/3/0/26241", "watchdog");
    reset.post(2, "rd", &["ep=reset", "lt=86400", "lwm2m=1.1"], 40, b"</1/0>,</3/0>");
    server.says(&["read", "reset", "/3/0/26241"]);
    let finding = found.find(&server, "reset", "reboots");
    assert!(finding.sentence.contains("\"watchdog\""), "{finding:?}");

    let _clock = telling(&server, "clock", "/3/0/13", "5000");
    server.says(&["read", "clock", "/3/0/13"]);
    found.find(&server, "clock", "clock_wrong");
    let _battery = telling(&server, "battery", "/3/0/9", "7");
    server.says(&["read", "battery", "/3/0/9"]);
    found.find(&server, "battery", "battery_low");
    server.refuses(&["write", "battery", "/1/0/1=60"]);
    let finding = found.find(&server, "battery", "access_refused");
    assert!(finding.sentence.contains("not this server"), "{finding:?}");

    Plain::new(&server).register("old", &["lt=86400", "lwm2m=1.0"], OBJECTS);
    assert_eq!(found.find(&server, "old", "old_protocol").severity, Severity::Information);

    wait_until("the sleeper sleeps", || {
        server.client().device("sleeper").unwrap().state == buoy_api::DeviceState::Asleep
    });
    let read = Request::Read { path: "/3/0/0".into(), format: None };
    let start = StartOperation { endpoint: "sleeper".into(), request: read, deadline: None, wait: Some(0) };
    server.client().start_operation(&start).unwrap();
    let finding = found.find(&server, "sleeper", "operations_wait");
    assert!(finding.sentence.contains("has not woken"), "{finding:?}");

    report_too_much(&server);
    let finding = found.find(&server, "talker", "reports_not_kept");
    assert!(finding.sentence.contains("too many values"), "{finding:?}");

    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let plan = ["--firmware", "2.0.0.bin", "--filter", "name = old", "--needs-approval", "--start"];
    server.says(&[&["campaign", "add", "two persons"], &plan[..]].concat());
    let finding = found.find(&server, "old", "approval_waits");
    assert!(finding.next_step.contains("buoy ctl campaign approve 1"), "{finding:?}");
    found.are(IN_CONTACT);
}

/// A device that notifies of more values within seconds than are kept.
fn report_too_much(server: &Server) {
    let talker = Foreign::start(server, "talker", |asked: &Asked| {
        Some(match asked.path.as_str() {
            "/3303/0/5700" => Answer::content(ContentFormat::TEXT, b"20"),
            _ => Answer::code(Code::NOT_FOUND),
        })
    });
    let request = Request::Observe { path: "/3303/0/5700".into(), format: None };
    let observe = StartOperation { endpoint: "talker".into(), request, deadline: None, wait: Some(20) };
    assert!(server.client().start_operation(&observe).unwrap().ended);
    // [{-2: "/3303/0/5700", 2: 1, 6: 0}, {2: 1, 6: -1}, …], times before now in seconds.
    let records = 150u8;
    let mut payload = vec![0x98, records, 0xa3, 0x21, 0x6c];
    payload.extend(b"/3303/0/5700\x02\x01\x06\x00");
    (1..records).for_each(|ago| payload.extend([0xa2, 0x02, 0x01, 0x06, 0x38, ago]));
    for number in 0..150 {
        talker.notify(
            "/3303/0/5700",
            1000 + number,
            10 + u32::from(number),
            ContentFormat::SENML_CBOR,
            &payload,
        );
        // The socket of the server holds some of them.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A process of the program, ended with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(workshop: &Workshop, arguments: &[&str]) {
    let output = buoy().args(arguments).current_dir(workshop.path(".")).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn updates_that_do_not_end_well_are_explained() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let build = |version: &str, more: &[&str], key: &str| {
        let name = format!("{version}.bin");
        run(&workshop, &[&["fw", "build", "--release", version], more, &[&name]].concat());
        run(&workshop, &["fw", "sign", "--key", key, &name]);
    };
    build("2.0.0", &[], "release.key.pem");
    build("2.0.1", &["--size", "4000000"], "release.key.pem");
    run(&workshop, &["fw", "keygen", "--kind", "p256", "other"]);
    build("2.0.2", &[], "other.key.pem");
    build("2.0.3", &["--chip", "0"], "release.key.pem");
    build("2.0.4", &["--behaviour", "fail-self-test"], "release.key.pem");
    build("2.0.5", &["--behaviour", "hang"], "release.key.pem");
    build("2.0.6", &["--behaviour", "crash"], "release.key.pem");
    // Devices are told a path at which nothing is.
    let files = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{files}/nowhere");
    let more = ["--files", &files, "--public-url", &url, "--survey", "on"];
    let server = Server::start_with(&workshop.path("data"), &more);
    let mut found = Found::default();
    let mut firmware = std::collections::HashMap::new();
    for version in ["2.0.0", "2.0.1", "2.0.2", "2.0.3", "2.0.4", "2.0.5", "2.0.6"] {
        let path = workshop.path(&format!("{version}.bin"));
        server.says(&["firmware", "upload", path.to_str().unwrap()]);
        let all = server.client().all::<buoy_api::Firmware>("/api/v1/firmware?limit=100").unwrap();
        let uploaded = all.into_iter().find(|it| it.version == version).unwrap();
        firmware.insert(version, uploaded.digest);
    }
    let start = |endpoint: &str, version: &str, delivery, download_timeout| {
        let update = StartUpdate {
            endpoint: endpoint.into(),
            firmware: firmware[version].clone(),
            delivery,
            version: None,
            install_timeout: None,
            download_timeout,
        };
        server.client().start_update(&update).unwrap();
    };

    let cases = [
        ("f-room", "2.0.1", Delivery::PullCoap, "no_room"),
        ("f-uri", "2.0.0", Delivery::PullHttp, "package_unreachable"),
        ("f-key", "2.0.2", Delivery::PullCoap, "signature_not_trusted"),
        ("f-chip", "2.0.3", Delivery::PullCoap, "wrong_chip"),
        ("f-test", "2.0.4", Delivery::PullCoap, "rolled_back_self_test"),
        ("f-hang", "2.0.5", Delivery::PullCoap, "rolled_back_watchdog"),
        ("f-crash", "2.0.6", Delivery::PullCoap, "rolled_back_crash"),
    ];
    let mut devices = Vec::new();
    for (name, version, delivery, _) in cases {
        devices.push(workshop.device(&server, name, &factory, &[]));
        start(name, version, delivery, None);
    }

    Plain::new(&server).register("f-none", &["lt=86400", "lwm2m=1.1"], OBJECTS);
    // It says that it downloads, and never does.
    let ordered = Arc::new(AtomicBool::new(false));
    let _stalls = Foreign::start(&server, "f-stalls", move |asked: &Asked| {
        let text = |text: &str| Answer::content(ContentFormat::TEXT, text.as_bytes());
        Some(match (asked.code, asked.path.as_str()) {
            (Code::GET, "/3/0/3") => text("1.0.0"),
            (Code::GET, "/5/0/3") => text(if ordered.load(Ordering::Relaxed) { "1" } else { "0" }),
            (Code::GET, "/5/0/5") => text("0"),
            (Code::PUT, "/5/0/1") => {
                ordered.store(true, Ordering::Relaxed);
                Answer::code(Code::CHANGED)
            }
            _ => Answer::code(Code::NOT_FOUND),
        })
    });
    start("f-stalls", "2.0.0", Delivery::PullCoap, Some(2));

    // A device of a swarm keeps no reason of its last start.
    let swarm = buoy()
        .args(["swarm", "--server", &format!("coap://{}", server.coap), "--updates", "--devices", "1"])
        .args(["--prefix", "swarm", "--crash", "100", "--on", "2.0.0", "--seconds", "300"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _swarm = Process(swarm.unwrap());
    wait_until("the swarm", || server.client().device("swarm-000000").is_ok());
    start("swarm-000000", "2.0.0", Delivery::Push, None);

    start_refused(&server, &firmware["2.0.0"]);
    found.find(&server, "f-none", "no_firmware_object");
    for (name, _, _, cause) in cases {
        let finding = found.find(&server, name, cause);
        assert_eq!(finding.severity, Severity::Problem);
        assert!(finding.evidence.iter().any(|it| it.kind == buoy_api::EvidenceKind::Update), "{finding:?}");
    }
    found.find(&server, "f-stalls", "download_stalled");
    found.find(&server, "swarm-000000", "rolled_back");
    found.are(OF_FIRMWARE);
}

/// Starts an update of the device without object 5, which answers nothing.
fn start_refused(server: &Server, firmware: &str) {
    let update = StartUpdate {
        endpoint: "f-none".into(),
        firmware: firmware.into(),
        delivery: Delivery::Push,
        version: None,
        install_timeout: None,
        download_timeout: None,
    };
    server.client().start_update(&update).unwrap();
}

/// Lets a program see the calendar shifted by the seconds in `SHIFT`.
const SHIFTED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, at);
    const char *shift = getenv("SHIFT");
    if (result == 0 && clock == CLOCK_REALTIME && shift) at->tv_sec += atol(shift);
    return result;
}
"#;

#[test]
fn what_the_server_has_to_do_with_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("clock.c"), SHIFTED_CLOCK).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(file("clock.so"))
        .arg(file("clock.c"))
        .arg("-ldl")
        .status();
    assert!(made.expect("a C compiler is installed, as for the build").success());
    let start = |shift: &str| {
        let mut command = buoy();
        command.args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]);
        command.arg(file("data")).args(common::store_flags(&file("data")));
        Server::spawn(command.env("LD_PRELOAD", file("clock.so")).env("SHIFT", shift))
    };
    let mut found = Found::default();
    let mut server = start("0");
    Plain::new(&server).register("buoy-1", &["lt=86400", "lwm2m=1.1"], OBJECTS);
    server.stop();

    // A second later at least: contacts are known to the second.
    let mut server = start("5");
    found.find(&server, "buoy-1", "server_restarted");
    assert!(server.says(&["why", "buoy-1"]).contains("server_restarted"));
    server.stop();

    let mut server = start("86400");
    Plain::new(&server).register("buoy-2", &["lt=86400", "lwm2m=1.1"], OBJECTS);
    server.says(&["note", "buoy-2", "--tag", "of-tomorrow"]);
    server.stop();
    let server = start("0");
    let finding = found.find(&server, "buoy-1", "server_clock");
    assert!(finding.sentence.contains("in the future"), "{finding:?}");
    found.are(OF_THE_SERVER);
}
