//! The bootstrap server as an operator uses it: claims, templates, keys that are made for devices, and those who must wait.

mod common;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use buoy_api::{BootstrapClaim, Credential, Page};
use common::{Server, Workshop, buoy, wait_until};
use serde_json::{Value, json};

const FACTORY_KEY: &str = "0f0e0d0c0b0a09080706050403020100";

struct World {
    workshop: Workshop,
    image: PathBuf,
    server: Server,
}

impl World {
    fn new() -> Self {
        let workshop = Workshop::new();
        let image = workshop.release("1.0.0", "good");
        let mut command = buoy();
        command.args(["serve", "--shards", "1", "--http", "127.0.0.1:0", "--coaps", "127.0.0.1:0"]);
        command.args(["--coap", "127.0.0.1:0", "--bootstrap", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0"]);
        command.arg("--data").arg(workshop.path("data"));
        let server = Server::spawn(&mut command);
        Self { workshop, image, server }
    }

    fn device(&self, endpoint: &str, port: &str, arguments: &[&str]) -> Device {
        let mut child = buoy()
            .args(["device", "--endpoint", endpoint, "--flash"])
            .arg(self.workshop.path(&format!("{endpoint}.flash")))
            .arg("--trust")
            .arg(self.workshop.path("release.pub.pem"))
            .arg("--factory")
            .arg(&self.image)
            .args(["--bootstrap", self.server.uri(port)])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Device { child, lines }
    }

    fn credentials(&self, purpose: &str) -> Vec<Credential> {
        self.server.client().all(&format!("/api/v1/credentials?purpose={purpose}&limit=100")).unwrap()
    }

    fn claims(&self) -> Vec<BootstrapClaim> {
        self.server.client().get::<Page<BootstrapClaim>>("/api/v1/bootstrap/claims").unwrap().items
    }

    fn is_registered(&self, endpoint: &str) -> bool {
        self.server.client().device(endpoint).is_ok()
    }
}

struct Device {
    child: Child,
    lines: Receiver<String>,
}

impl Device {
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
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_claimed_device_gets_a_key_of_its_own_and_a_new_one_without_a_visit() {
    let world = World::new();
    world.server.says(&["credentials", "add", "buoy-1", "--purpose", "bootstrap", "--key", FACTORY_KEY]);
    world.server.says(&["bootstrap", "add", "buoy-*", "--lifetime", "60"]);
    let device = world.device("buoy-1", "BootstrapS", &["--psk-key", FACTORY_KEY]);
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    wait_until("buoy-1", || world.is_registered("buoy-1"));
    assert!(world.server.client().device("buoy-1").unwrap().registration.unwrap().secure);
    let first = world.credentials("lwm2m");
    assert_eq!(first.len(), 1, "{first:?}");

    world.server.says(&["bootstrap", "trigger", "buoy-1"]);
    device.says("BOOTSTRAPPED");
    device.says("REGISTERED");
    wait_until("the old key is forgotten", || {
        let now = world.credentials("lwm2m");
        now.len() == 1 && now[0].id != first[0].id
    });
    assert!(world.server.says(&["read", "buoy-1", "/3/0/0"]).contains("Buoy"));
}

#[test]
fn keys_are_made_once_for_packs_and_over_plain_coap_too_and_for_no_address_that_is_only_claimed() {
    let world = World::new();
    world.server.says(&["credentials", "add", "packed", "--purpose", "bootstrap", "--key", FACTORY_KEY]);
    for name in ["packed", "plain", "plain-packed", "forged"] {
        world.server.says(&["bootstrap", "add", name, "--lifetime", "60"]);
    }
    let pack = ["--lwm2m", "1.2"];
    let devices = [
        ("packed", "BootstrapS", vec!["--psk-key", FACTORY_KEY, pack[0], pack[1]]),
        ("plain", "Bootstrap", vec![]),
        ("plain-packed", "Bootstrap", pack.to_vec()),
    ];
    for (name, port, arguments) in devices {
        let device = world.device(name, port, &arguments);
        device.says("BOOTSTRAPPED");
        device.says("REGISTERED");
        let keys = world.credentials("lwm2m").into_iter().filter(|key| key.endpoint == name).count();
        assert_eq!(keys, 1, "{name}");
    }
    // One who writes another's address into his datagrams answers no ping.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(world.server.uri("Bootstrap").trim_start_matches("coap://")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send(b"\x40\x02\x12\x34\xb2bs\x49ep=forged").unwrap();
    let mut buffer = [0; 200];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 4, "the answer 2.04");
    assert_eq!((socket.recv(&mut buffer).unwrap(), &buffer[..2]), (4, &[0x40, 0][..]), "a ping");
    let forged = world.credentials("lwm2m").into_iter().find(|key| key.endpoint == "forged");
    assert!(forged.is_none(), "{forged:?}");
}

#[test]
fn a_device_that_proves_nothing_waits_for_a_yes() {
    let world = World::new();
    world.server.says(&["bootstrap", "add", "buoy-*", "--without-security", "--lifetime", "60"]);
    let refused = world.device("buoy-9", "Bootstrap", &[]);
    refused.says("BOOTSTRAP_FAILED");
    let claims = world.claims();
    assert_eq!((claims.len(), &*claims[0].endpoint, claims[0].accepted_at), (1, "buoy-9", None));
    let pending = world.server.says(&["bootstrap", "pending"]);
    assert!(pending.contains("buoy-9") && pending.contains("waits"), "{pending}");
    drop(refused);

    world.server.says(&["bootstrap", "accept", "buoy-9"]);
    let device = world.device("buoy-9", "Bootstrap", &[]);
    device.says("BOOTSTRAPPED");
    wait_until("buoy-9", || world.is_registered("buoy-9"));
    wait_until("the yes is used up", || world.claims().is_empty());
}

#[test]
fn who_has_a_factory_key_is_not_configured_without_it() {
    let world = World::new();
    world.server.says(&["credentials", "add", "buoy-1", "--purpose", "bootstrap", "--key", FACTORY_KEY]);
    world.server.says(&["bootstrap", "add", "buoy-1"]);
    let plain = world.device("buoy-1", "Bootstrap", &[]);
    plain.says("BOOTSTRAP_FAILED");
    drop(plain);
    let other = world.device("buoy-2", "BootstrapS", &["--psk-identity", "buoy-1", "--psk-key", FACTORY_KEY]);
    other.says("BOOTSTRAP_FAILED");
    assert!(world.credentials("lwm2m").is_empty(), "no key was made for anybody");
}

#[test]
fn a_configuration_is_managed_by_verbs_by_file_and_in_leshans_dialect() {
    let world = World::new();
    let server = &world.server;
    let file = world.workshop.path("config.json");
    let psk = json!({"psk": {"identity": "{endpoint}", "key": "00112233"}});
    let config = json!({
        "pattern": "buoy-1",
        "servers": [{"short_server_id": 5, "uri": "coaps://192.0.2.1:5684", "credentials": psk, "lifetime": 60}],
        "acls": [{"object": 3, "instance": 0, "owner": 5, "rights": {"5": 3}}],
        "writes": [{"path": "/3/0/15", "value": {"string": "Europe/Lisbon"}}],
    });
    std::fs::write(&file, config.to_string()).unwrap();
    server.says(&["bootstrap", "put", file.to_str().unwrap()]);
    let shown: Value = serde_json::from_str(&server.says(&["bootstrap", "show", "buoy-1"])).unwrap();
    assert_eq!(
        shown["servers"][0]["credentials"]["psk"],
        json!({"identity": "{endpoint}"}),
        "no key comes back"
    );
    assert_eq!(shown["writes"], config["writes"]);

    std::fs::write(&file, config.to_string().replace("\"owner\":5", "\"owner\":6")).unwrap();
    let refused = server.refuses(&["bootstrap", "put", file.to_str().unwrap()]);
    assert!(refused.contains("acl 0"), "{refused}");
    let refused = server.refuses(&["bootstrap", "show", "buoy-2"]);
    assert!(refused.contains("buoy-2"), "{refused}");

    let leshan = json!({
        "toDelete": ["/0", "/1"],
        "servers": {"0": {"shortId": 7, "lifetime": 60, "binding": ["U"]}},
        "security": {"1": {"uri": server.uri("CoAP"), "securityMode": "NO_SEC", "serverId": 7}},
    });
    let client = server.client();
    let () = client.send_json("POST".parse().unwrap(), "/api/bootstrap/buoy-7", &leshan).unwrap();
    let all: Value = client.get("/api/bootstrap").unwrap();
    assert_eq!(all["buoy-7"]["servers"]["0"]["shortId"], 7);
    assert!(!all.to_string().contains("00112233"));
    let device = world.device("buoy-7", "Bootstrap", &[]);
    device.says("BOOTSTRAPPED");
    wait_until("buoy-7", || world.is_registered("buoy-7"));
    let () = client.call("DELETE".parse().unwrap(), "/api/bootstrap/buoy-7", "", &[]).unwrap();
    assert_eq!(client.get::<Value>("/api/bootstrap").unwrap().as_object().unwrap().len(), 1);
}

#[test]
fn a_job_gives_devices_new_keys_and_another_wipes_them_and_both_wait_for_more_than_an_answer() {
    let world = World::new();
    world.server.says(&["credentials", "add", "buoy-1", "--purpose", "bootstrap", "--key", FACTORY_KEY]);
    world.server.says(&["bootstrap", "add", "buoy-*", "--lifetime", "60"]);
    let device = world.device("buoy-1", "BootstrapS", &["--psk-key", FACTORY_KEY]);
    device.says("REGISTERED");
    wait_until("buoy-1", || world.is_registered("buoy-1"));
    let first = world.credentials("lwm2m");

    let refused = world.server.refuses(&["job", "rotate-key", "all"]);
    assert!(refused.contains("1 devices would get it: repeat the number"), "{refused}");
    world.server.says(&["job", "rotate-key", "all", "--devices", "1"]);
    let detail = |job: u32| world.server.says(&["job", "devices", &job.to_string()]);
    wait_until("the new key is used", || detail(1).contains("it uses its new key"));
    let now = world.credentials("lwm2m");
    assert!(now.len() == 1 && now[0].id != first[0].id, "{now:?}");
    assert!(world.server.says(&["job", "show", "1"]).contains("1 of 1 devices did it"));
    device.says("REGISTERED");

    // The wipe takes its accounts: it comes back by its factory key.
    wait_until("it listens", || world.server.ctl(&["read", "buoy-1", "/3/0/0"]).status.success());
    assert!(world.server.refuses(&["job", "wipe", "all", "--devices", "2"]).contains("nothing was done"));
    world.server.says(&["job", "wipe", "all", "--devices", "1"]);
    wait_until("it is back", || detail(2).contains("registered anew"));

    // Out of service its key does not count, and it counts again when it is brought back.
    wait_until("it listens", || world.server.ctl(&["read", "buoy-1", "/3/0/0"]).status.success());
    world.server.says(&["retire", "buoy-1"]);
    wait_until("it is out", || {
        let device = world.server.client().device("buoy-1").unwrap();
        device.registration.is_none() && device.state == buoy_api::DeviceState::Retired
    });
    let refused = world.server.refuses(&["job", "wipe", "all"]);
    assert!(refused.contains("no device that you may command"), "{refused}");
    world.server.says(&["bring-back", "buoy-1"]);
    wait_until("it is back", || {
        world.server.client().device("buoy-1").unwrap().registration.is_some_and(|it| it.secure)
    });
}
