//! Alerts to brokers of messages: Debian's Mosquitto (MQTT 5) and nats-server.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/trusted.rs"]
mod trusted;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use buoy_api::AlertMessage;
use common::{Server, wait_until};
use serde_json::{Value, json};
use trusted::{certificate, start};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that is there, or why the test is skipped. Debian has servers in folders that are not in everybody's path.
fn program(name: &str, package: &str) -> Option<String> {
    let places = [name.to_owned(), format!("/usr/sbin/{name}"), format!("/usr/bin/{name}")];
    let is_there = |place: &String| Command::new(place).arg("-h").output().is_ok();
    let found = places.into_iter().find(is_there);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no {name}; apt-get install {package}");
        println!("skipped: apt-get install {package}");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16) {
    wait_until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Lets an alert fire, and returns what a subscriber of each receiver gets.
fn fire(server: &Server) {
    let devices = json!({"devices": [{"endpoint": "d-1"}]});
    server.client().send_json::<Value>(ureq::http::Method::POST, "/api/v1/devices", &devices).unwrap();
    server.says(&["alert", "rule", "add", "heat", "--filter", "tag = hot"]);
    server.says(&["note", "d-1", "--tag", "hot"]);
}

fn check(message: &str) {
    let message: AlertMessage = serde_json::from_str(message).unwrap();
    assert_eq!((message.rule.as_str(), message.firing), ("heat", 1));
    assert_eq!(message.alerts[0].endpoint.as_deref(), Some("d-1"));
}

#[test]
fn alerts_are_published_to_a_topic_of_mqtt_5() {
    let Some(mosquitto) = program("mosquitto", "mosquitto mosquitto-clients") else { return };
    let Some(subscriber) = program("mosquitto_sub", "mosquitto mosquitto-clients") else { return };
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("password"), "correct horse\n").unwrap();
    let hashed =
        Command::new("mosquitto_passwd").args(["-b", "-c", &at("users"), "ops", "correct horse"]).output();
    assert!(hashed.unwrap().status.success());
    let (plain, secure) = (free_port(), free_port());
    let config = format!(
        "listener {plain} 127.0.0.1\nlistener {secure} 127.0.0.1\ncertfile {}\nkeyfile {}\nuser root\npassword_file {}\nallow_anonymous false\n",
        at("cert.pem"),
        at("key.pem"),
        at("users")
    );
    std::fs::write(at("mosquitto.conf"), config).unwrap();
    let _broker = Process(
        Command::new(mosquitto)
            .args(["-c", &at("mosquitto.conf")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_for_port(plain);
    wait_for_port(secure);
    let mut listening = Process(
        Command::new(subscriber)
            .args([
                "-V",
                "5",
                "-h",
                "127.0.0.1",
                "-p",
                &plain.to_string(),
                "-u",
                "ops",
                "-P",
                "correct horse",
            ])
            .args(["-t", "fleet/#", "-t", "$SYS/broker/uptime", "-F", "%t %C %p"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let lines = lines(&mut listening);
    // The broker tells its uptime at once: the subscription is there.
    assert!(lines.recv_timeout(Duration::from_secs(60)).unwrap().starts_with("$SYS/"));
    let server = start(folder.path());
    for (name, url) in
        [("plain", format!("mqtt://127.0.0.1:{plain}")), ("tls", format!("mqtts://localhost:{secure}"))]
    {
        let target = ["--mqtt", &url, "--topic", &format!("fleet/alerts/{name}")];
        let user = ["--user", "ops", "--password-file", &at("password"), "--group-wait", "0s"];
        let shown = server.says(&[&["alert", "receiver", "add", name][..], &target, &user].concat());
        assert!(shown.contains(&format!("fleet/alerts/{name} at ")), "{shown}");
    }
    fire(&server);
    let mut topics = Vec::new();
    while topics.len() < 2 {
        let line = lines.recv_timeout(Duration::from_secs(60)).unwrap();
        let parts: Vec<&str> = line.splitn(3, ' ').collect();
        if let [topic, kind, body] = parts[..]
            && topic.starts_with("fleet/")
        {
            assert_eq!(kind, "application/json");
            check(body);
            topics.push(topic.to_owned());
        }
    }
    topics.sort();
    assert_eq!(topics, ["fleet/alerts/plain", "fleet/alerts/tls"]);

    // A wrong password, and what is no broker of MQTT 5.
    std::fs::write(at("password"), "wrong").unwrap();
    let add = |url: &str| {
        let target = ["alert", "receiver", "add", "bad", "--mqtt", url, "--topic", "x"];
        server.says(&[&target[..], &["--user", "ops", "--password-file", &at("password")]].concat());
        server.refuses(&["alert", "receiver", "test", "bad"])
    };
    assert!(add(&format!("mqtt://127.0.0.1:{plain}")).contains("the broker refuses the connection"));
    let http = server.http.replace("http://", "mqtt://");
    let said = add(&http);
    assert!(said.contains("MQTT") || said.contains("closed"), "{said}");
    let wildcard = ["alert", "receiver", "add", "bad", "--mqtt", &http, "--topic", "fleet/#"];
    assert!(server.refuses(&wildcard).contains("no wildcard"));
}

#[test]
fn alerts_are_published_to_a_subject_of_nats() {
    let Some(nats) = program("nats-server", "nats-server") else { return };
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("password"), "correct-horse\n").unwrap();
    let run = |port: u16, more: &[&str]| {
        let child = Command::new(&nats)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "--user", "ops", "--pass", "correct-horse"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Process(child.unwrap());
        wait_for_port(port);
        server
    };
    let (plain, secure) = (free_port(), free_port());
    let _plain = run(plain, &[]);
    let _secure = run(secure, &["--tls", "--tlscert", &at("cert.pem"), "--tlskey", &at("key.pem")]);
    // A subscriber in the protocol's own lines.
    let mut subscriber = TcpStream::connect(("127.0.0.1", plain)).unwrap();
    subscriber
        .write_all(b"CONNECT {\"verbose\":false,\"user\":\"ops\",\"pass\":\"correct-horse\"}\r\nSUB fleet.> 1\r\nPING\r\n")
        .unwrap();
    let mut received = BufReader::new(subscriber.try_clone().unwrap()).lines().map_while(Result::ok);
    assert!(received.any(|line| line == "PONG"));
    let server = start(folder.path());
    let add = |name: &str, url: &str, topic: &str| {
        let target =
            ["alert", "receiver", "add", name, "--nats", url, "--topic", topic, "--group-wait", "0s"];
        server.says(&[&target[..], &["--user", "ops", "--password-file", &at("password")]].concat());
    };
    add("plain", &format!("nats://127.0.0.1:{plain}"), "fleet.alerts");
    add("tls", &format!("tls://localhost:{secure}"), "fleet.alerts");
    server.says(&["alert", "receiver", "test", "tls"]);
    fire(&server);
    assert!(received.any(|line| line.starts_with("MSG fleet.alerts 1 ")));
    check(&received.next().unwrap());

    // A wrong password, a server that has no TLS, and one that is no NATS server.
    std::fs::write(at("password"), "wrong").unwrap();
    add("bad", &format!("nats://127.0.0.1:{plain}"), "x");
    let said = server.refuses(&["alert", "receiver", "test", "bad"]);
    assert!(said.to_lowercase().contains("authorization violation"), "{said}");
    add("bad", &format!("tls://localhost:{plain}"), "x");
    assert!(server.refuses(&["alert", "receiver", "test", "bad"]).contains("TLS"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    add("bad", &format!("nats://{}", other.local_addr().unwrap()), "x");
    std::thread::spawn(move || other.accept().unwrap().0.write_all(b"220 mail.example.org ESMTP\r\n"));
    assert!(server.refuses(&["alert", "receiver", "test", "bad"]).contains("it is no NATS server"));
}

fn lines(process: &mut Process) -> Receiver<String> {
    let (told, lines) = channel();
    let read = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    std::thread::spawn(move || read.into_iter().all(|line| told.send(line).is_ok()));
    lines
}
