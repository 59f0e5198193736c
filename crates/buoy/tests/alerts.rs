//! Alerts and who is told of them: through `buoy serve`, `/api/v1` and `buoy ctl`, with receivers that fail in every way.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/receiver.rs"]
mod receiver;

use std::net::UdpSocket;
use std::path::Path;

use buoy_api::{Alert, AlertDelivery, AlertState, Page};
use common::{Server, Swarm, Workshop, buoy, register_request, wait_until};
use receiver::{Manner, Receiver, signature};
use serde_json::{Value, json};

/// Receivers of tests are on this machine.
const ALLOWED: [&str; 2] = ["--allow-receivers-in", "127.0.0.1"];

fn start(data: &Path) -> Server {
    Server::start_with(data, &ALLOWED)
}

/// Devices that are expected.
fn expect(server: &Server, names: &[&str]) {
    let devices: Vec<Value> = names.iter().map(|name| json!({"endpoint": name})).collect();
    let devices = json!({ "devices": devices });
    server.client().send_json::<Value>(ureq::http::Method::POST, "/api/v1/devices", &devices).unwrap();
}

fn add_webhook(server: &Server, name: &str, url: &str, more: &[&str]) -> String {
    let base = ["alert", "receiver", "add", name, "--webhook", url, "--group-wait", "1s"];
    server.says(&[&base[..], more].concat()).trim().to_owned()
}

fn add_rule(server: &Server, name: &str, more: &[&str]) {
    server.says(&[&["alert", "rule", "add", name][..], more].concat());
}

fn alerts(server: &Server, query: &str) -> Vec<Alert> {
    server.client().get::<Page<Alert>>(&format!("/api/v1/alerts?{query}")).unwrap().items
}

fn deliveries(server: &Server, query: &str) -> Vec<AlertDelivery> {
    server.client().get::<Page<AlertDelivery>>(&format!("/api/v1/alert-deliveries?{query}")).unwrap().items
}

#[test]
fn an_alert_reaches_a_receiver_signed_and_so_does_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let hook = Receiver::start(Manner::Answers(200));
    let secret = add_webhook(&server, "ops", &hook.url(), &[]);
    assert_eq!(secret.len(), 64, "{secret}");
    let shown = server.says(&["alert", "receiver", "list"]);
    assert!(shown.contains(&format!("http://127.0.0.1:{}/…", hook.port())), "{shown}");
    assert!(!shown.contains("of=buoy") && !shown.contains(&secret), "{shown}");

    server.says(&["alert", "receiver", "test", "ops"]);
    let test = hook.requests().remove(0);
    assert_eq!(test.line, "POST /alerts?of=buoy HTTP/1.1");
    assert_eq!(hook.messages()[0].kind, "test");

    expect(&server, &["d-1", "d-2"]);
    let rule = ["--filter", "tag = hot", "--severity", "critical", "--description", "It burns."];
    add_rule(&server, "heat", &rule);
    let (seen, see) = std::sync::mpsc::channel();
    let client = server.client();
    std::thread::spawn(move || {
        client.follow("/api/v1/events?types=alert", |name, data| seen.send(format!("{name} {data}")).is_ok())
    });
    server.says(&["note", "d-1", "--tag", "hot"]);
    wait_until("the receiver is told", || hook.messages().len() == 2);
    let fired = hook.messages().remove(1);
    assert_eq!((fired.rule.as_str(), fired.firing, fired.description.as_str()), ("heat", 1, "It burns."));
    assert_eq!(fired.alerts[0].endpoint.as_deref(), Some("d-1"));
    let request = hook.requests().remove(1);
    let (time, tag) = request.headers["buoy-signature"].split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    assert_eq!(tag, signature(&secret, time, &request.body));
    assert_eq!(request.headers["buoy-delivery"], fired.id.to_string());

    let listed = server.says(&["alert", "list"]);
    assert!(listed.contains("critical") && listed.contains("d-1") && listed.contains("firing"), "{listed}");
    server.says(&["alert", "ack", "heat", "d-1", "--comment", "on my way"]);
    assert_eq!(alerts(&server, "state=firing")[0].acknowledged.as_ref().unwrap().comment, "on my way");
    assert!(server.refuses(&["alert", "ack", "heat", "d-2"]).contains("no such alert fires"));
    let metrics = server.client().text("/metrics").unwrap();
    assert!(metrics.contains("buoy_alerts_firing{rule=\"heat\",severity=\"critical\"} 1"), "{metrics}");

    server.says(&["note", "d-1", "--untag", "hot"]);
    wait_until("the end is told", || hook.messages().len() == 3);
    assert_eq!((hook.messages()[2].resolved, hook.messages()[2].firing), (1, 0));
    let over = alerts(&server, "state=resolved");
    assert_eq!((over[0].state, over[0].endpoint.as_deref()), (AlertState::Resolved, Some("d-1")));
    wait_until("the events", || {
        let told: Vec<String> = see.try_iter().collect();
        told.iter().any(|event| event.starts_with("alert ") && event.contains("resolved"))
    });
    let audit = server.says(&["audit"]);
    for action in ["alert_rule.put", "alert_receiver.put", "alert_receiver.test", "alert.acknowledge"] {
        assert!(audit.contains(action), "{audit}");
    }
}

/// The rules of devices: many at once, a reboot loop, and a failed update.
#[test]
fn many_devices_are_one_message_and_reboot_loops_and_failed_updates_are_found() {
    const DEVICES: usize = 60;
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = start(&workshop.path("data"));
    let hook = Receiver::start(Manner::Answers(204));
    server.says(&["alert", "receiver", "add", "ops", "--webhook", &hook.url(), "--group-wait", "3s"]);
    // They are not new when the rule is made: what is so already is found, too.
    let _swarm = swarm(&server, DEVICES);
    add_rule(&server, "there", &["--filter", "name ~ \"swarm-*\" and state = online"]);
    wait_until("they are told", || {
        hook.messages().iter().map(|message| message.firing).sum::<u64>() == DEVICES as u64
    });
    assert!(hook.messages().len() <= 2, "{:?}", hook.messages());
    server.says(&["alert", "rule", "remove", "there"]);
    wait_until("their end is told", || {
        hook.messages().iter().map(|message| message.resolved).sum::<u64>() == DEVICES as u64
    });

    add_rule(&server, "loop", &["--reboot-loop", "3/10m"]);
    add_rule(&server, "update", &["--update-failed", "--severity", "critical"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut number = 0;
    wait_until("the loop is found", || {
        number += 1;
        socket.send_to(&register_request("shaky", number, b"t"), &server.coap).unwrap();
        !alerts(&server, "rule=loop&state=firing").is_empty()
    });
    let looping = alerts(&server, "rule=loop");
    assert_eq!(looping[0].endpoint.as_deref(), Some("shaky"));
    assert!(looping[0].detail.contains("registrations within 600 s"), "{looping:?}");

    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let victim = server.devices().into_iter().find(|name| name.starts_with("swarm-")).unwrap();
    assert!(!server.ctl(&["update", &victim, "2.0.0.bin"]).status.success());
    wait_until("the failure is told", || hook.messages().iter().any(|message| message.rule == "update"));
    let failed = alerts(&server, "rule=update");
    assert_eq!(failed[0].endpoint.as_deref(), Some(&*victim));
    assert!(failed[0].detail.contains("update 1: rolled back"), "{failed:?}");
}

fn swarm(server: &Server, devices: usize) -> Swarm {
    let swarm = Swarm::start(
        server,
        devices,
        &["--updates", "--lifetime", "600", "--seconds", "900", "--crash", "100%", "--on", "2.0.0"],
    );
    wait_until("all are registered", || server.devices().len() >= devices);
    swarm
}

#[test]
fn nothing_is_lost_if_the_server_is_killed_between_an_alert_and_its_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let hook = Receiver::start(Manner::Answers(500));
    add_webhook(&server, "ops", &hook.url(), &[]);
    expect(&server, &["d-1", "d-2", "d-3"]);
    add_rule(&server, "heat", &["--filter", "tag = hot"]);
    server.says(&["note", "d-1", "--tag", "hot"]);
    // It is killed after an attempt that failed,
    wait_until("an attempt", || !hook.requests().is_empty());
    server.kill();
    let before = hook.messages().remove(0);
    server = start(folder.path());
    // and as soon as an alert fires: nothing was sent yet.
    server.says(&["note", "d-2", "--tag", "hot"]);
    wait_until("it fires", || {
        alerts(&server, "state=firing").iter().any(|alert| alert.endpoint.as_deref() == Some("d-2"))
    });
    wait_until("its message is saved", || deliveries(&server, "state=waiting").len() == 2);
    server.kill();
    hook.behaves(Manner::Answers(200));
    server = start(folder.path());
    wait_until("all is delivered", || deliveries(&server, "state=delivered").len() == 2);
    let told: Vec<_> = hook.messages();
    assert_eq!(told.iter().rfind(|message| message.id == before.id), Some(&before));
    assert!(told.iter().any(|message| message.alerts[0].endpoint.as_deref() == Some("d-2")));
    // What fired before is not told again.
    let count = told.len();
    server.says(&["note", "d-3", "--tag", "hot"]);
    wait_until("the next one", || hook.messages().len() == count + 1);
    assert_eq!(hook.messages()[count].alerts[0].endpoint.as_deref(), Some("d-3"));
    assert_eq!(alerts(&server, "state=firing").len(), 3);
}

#[test]
fn a_receiver_that_hangs_lies_or_redirects_delays_nobody_and_its_messages_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let inner = Receiver::start(Manner::Answers(200));
    let hooks = [
        ("hangs", Receiver::start(Manner::Hangs)),
        ("lies", Receiver::start(Manner::Lies)),
        ("redirects", Receiver::start(Manner::Redirects(inner.url()))),
        ("never-ends", Receiver::start(Manner::NeverEnds)),
        ("good", Receiver::start(Manner::Answers(200))),
    ];
    for (name, hook) in &hooks {
        add_webhook(&server, name, &hook.url(), &[]);
    }
    let [(_, hanging), (_, lying), (_, redirecting), _, (_, good)] = &hooks;
    expect(&server, &["d-1"]);
    add_rule(&server, "heat", &["--filter", "tag = hot"]);
    server.says(&["note", "d-1", "--tag", "hot"]);
    wait_until("the good one is told", || good.messages().len() == 1);
    wait_until("the others are tried", || !hanging.requests().is_empty() && !lying.requests().is_empty());
    // The one that hangs has its message still, and the good one gets the next.
    server.says(&["note", "d-1", "--untag", "hot"]);
    wait_until("the good one is told again", || good.messages().len() == 2);
    assert!(deliveries(&server, "receiver=hangs&state=delivered").is_empty());
    wait_until("both redirects are given up", || {
        deliveries(&server, "receiver=redirects&state=dead").len() == 2
    });
    let dead = deliveries(&server, "receiver=redirects&state=dead");
    assert!(dead[0].error.contains("redirects are not followed"), "{dead:?}");
    assert!(inner.requests().is_empty(), "a redirect was followed");
    wait_until("the liar is found out", || {
        let waiting = deliveries(&server, "receiver=lies&state=waiting");
        waiting.iter().any(|delivery| delivery.error.contains("HTTP"))
    });
    // An answer without an end is read as far as is needed.
    wait_until("the endless answer counts", || {
        !deliveries(&server, "receiver=never-ends&state=delivered").is_empty()
    });
    assert!(server.refuses(&["alert", "receiver", "test", "redirects"]).contains("not followed"));

    redirecting.behaves(Manner::Answers(200));
    let before = redirecting.requests().len();
    server.says(&["alert", "replay", "--receiver", "redirects"]);
    wait_until("what was given up is sent", || redirecting.requests().len() == before + dead.len());
    wait_until("and accepted", || deliveries(&server, "receiver=redirects&state=dead").is_empty());
    assert!(server.refuses(&["alert", "replay", "9999"]).contains("no message 9999 was given up"));
    let listed = server.says(&["alert", "deliveries", "--receiver", "redirects"]);
    assert!(listed.contains("delivered"), "{listed}");
}

#[test]
fn addresses_of_this_machine_and_its_network_are_refused_unless_they_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let hook = Receiver::start(Manner::Answers(200));
    let by_name = format!("http://localhost:{}/", hook.port());
    let mapped = format!("http://[::ffff:127.0.0.1]:{}/", hook.port());
    let metadata = "http://169.254.169.254/latest/meta-data".to_owned();
    for url in [hook.url(), by_name, mapped, metadata] {
        add_webhook(&server, "inner", &url, &[]);
        let refused = server.refuses(&["alert", "receiver", "test", "inner"]);
        assert!(refused.contains("--allow-receivers-in"), "{url}: {refused}");
    }
    assert!(hook.requests().is_empty());
    let mail = ["--email", "a@example.org", "--smtp", "smtp://127.0.0.1:2525", "--from", "b@example.org"];
    server.says(&[&["alert", "receiver", "add", "mail"][..], &mail].concat());
    assert!(server.refuses(&["alert", "receiver", "test", "mail"]).contains("--allow-receivers-in"));
}

#[test]
fn silences_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let hook = Receiver::start(Manner::Answers(200));
    add_webhook(&server, "ops", &hook.url(), &[]);
    let defaults = server.says(&["alert", "rule", "add", "--defaults"]);
    for rule in ["offline", "update-failed", "reboot-loop", "battery-low", "certificate-ends", "disk-full"] {
        assert!(defaults.contains(rule), "{defaults}");
    }
    assert_eq!(server.says(&["alert", "rule", "add", "--defaults"]).lines().count(), 1);
    expect(&server, &["north-1", "south-1"]);
    add_rule(&server, "heat", &["--filter", "tag = hot", "--to", "ops"]);
    let silence = ["--rule", "heat", "--filter", "name ~ \"north-*\"", "--for", "1h", "--comment", "works"];
    server.says(&[&["alert", "silence", "add"][..], &silence].concat());
    for name in ["north-1", "south-1"] {
        server.says(&["note", name, "--tag", "hot"]);
    }
    wait_until("both fire", || alerts(&server, "rule=heat&state=firing").len() == 2);
    wait_until("one is told", || hook.messages().len() == 1);
    assert_eq!(hook.messages()[0].alerts[0].endpoint.as_deref(), Some("south-1"));
    let listed = server.says(&["alert", "list", "--rule", "heat"]);
    assert!(listed.contains("firing, silenced"), "{listed}");
    server.says(&["alert", "silence", "remove", "1"]);
    wait_until("the other is told", || hook.messages().len() == 2);
    assert_eq!(hook.messages()[1].alerts[0].endpoint.as_deref(), Some("north-1"));

    let wrong = |arguments: &[&str]| server.refuses(&[&["alert"][..], arguments].concat());
    assert!(wrong(&["rule", "add", "x", "--filter", "modell = 1"]).contains("at character 1"));
    assert!(wrong(&["rule", "add", "x", "--filter", "group = none"]).contains("there is no group none"));
    assert!(wrong(&["rule", "add", "a b", "--filter", "tag = x"]).contains("a name has 1 to 64 bytes"));
    assert!(wrong(&["rule", "add", "x", "--store", "--to", "nobody"]).contains("no receiver nobody"));
    assert!(wrong(&["receiver", "remove", "ops"]).contains("the rule heat names the receiver ops"));
    assert!(wrong(&["receiver", "add", "x", "--webhook", "ftp://example.org"]).contains("neither https://"));
    assert!(wrong(&["silence", "add", "--for", "1h", "--comment", " "]).contains("says why"));
    assert!(wrong(&["silence", "remove", "7"]).contains("there is no silence 7"));
    assert!(server.fails(2, &["alert", "rule", "add", "x"]).contains("say what the rule looks for"));
    assert!(
        server.fails(2, &["alert", "rule", "add", "x", "--store", "--for", "5y"]).contains("no duration")
    );
}

/// A key file that is changed seals the secrets of receivers anew.
#[test]
fn secrets_of_receivers_are_sealed_and_outlast_a_new_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let hook = Receiver::start(Manner::Answers(200));
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, "a-secret-of-the-operator\n").unwrap();
    add_webhook(&server, "ops", &hook.url(), &["--secret-file", secret_file.to_str().unwrap()]);
    server.stop();
    if !common::is_on_postgres() {
        for name in ["buoy.db", "buoy.db-wal"] {
            let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
            let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            assert!(!has(b"a-secret-of-the-operator") && !has(b"of=buoy"), "{name}");
        }
    }
    let rotated = buoy()
        .args(["keyfile", "rotate", "--data"])
        .arg(folder.path())
        .args(common::store_flags(folder.path()))
        .output()
        .unwrap();
    assert!(rotated.status.success(), "{}", common::words(&rotated));
    server = start(folder.path());
    // Without a secret, the receiver keeps the one that it has at this URL.
    let shown = add_webhook(&server, "ops", &hook.url(), &[]);
    assert!(shown.starts_with("RECEIVER"), "{shown}");
    server.says(&["alert", "receiver", "test", "ops"]);
    let request = hook.requests().remove(0);
    let (time, tag) = request.headers["buoy-signature"].split_once(",v1=").unwrap();
    let expected = signature("a-secret-of-the-operator", time.strip_prefix("t=").unwrap(), &request.body);
    assert_eq!(tag, expected);
}

/// What can't be saved is told all the same: nobody else would say it.
#[test]
fn a_store_that_can_not_be_written_is_told_while_it_is_so() {
    if !std::process::Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|it| it.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "unshare does not work here; run as root or allow user namespaces"
        );
        println!("skipped: run as root or allow user namespaces");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_on_small_disk(&data, 4);
    let hook = Receiver::start(Manner::Answers(503));
    add_webhook(&server, "ops", &hook.url(), &[]);
    add_rule(&server, "store", &["--store", "--for", "1s", "--severity", "critical"]);
    add_rule(&server, "disk", &["--disk", "50", "--for", "1s"]);
    let filler = server.disk(&data).join("filler");
    // As much as fits.
    let _ = std::fs::write(&filler, vec![0; 8 << 20]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut number = 0;
    wait_until("the receiver is asked", || {
        number += 1;
        let name = format!("d-{number}");
        socket.send_to(&register_request(&name, number, b"t"), &server.coap).unwrap();
        !hook.requests().is_empty()
    });
    // The receiver is there again before the store is.
    hook.behaves(Manner::Answers(200));
    wait_until("the receiver accepts", || hook.requests().len() >= 2);
    let told = hook.messages().pop().unwrap();
    assert_eq!((told.rule.as_str(), told.firing), ("store", 1));
    assert_eq!(told.alerts[0].part.as_deref(), Some("store"));
    assert!(told.alerts[0].detail.contains("full"), "{told:?}");
    let listed = server.says(&["alert", "list"]);
    assert!(listed.contains("critical") && listed.contains("store"), "{listed}");

    std::fs::remove_file(&filler).unwrap();
    wait_until("the end is told", || {
        hook.messages().iter().any(|message| message.rule == "store" && message.resolved == 1)
    });
    let over = alerts(&server, "state=resolved&rule=store");
    assert!(over[0].detail.contains("could not be written for"), "{over:?}");
}
