//! What an operator sees of a server that runs: what happened, the messages of a device, metrics.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use common::{Server, Workshop, buoy, wait_until, words};
use serde_json::Value;

#[test]
fn events_that_were_missed_are_read_afterwards_if_they_are_kept() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start_with(&workshop.path("data"), &["--keep-events", "3600"]);
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    server.says(&["read", "buoy-1", "/3/0/0"]);
    // Nobody followed them.
    let logs = server.says(&["logs", "--types", "registered,operation"]);
    assert!(logs.contains("buoy-1 registered from") && logs.contains("succeeded"), "{logs}");
    let of_device = server.says(&["logs", "buoy-1", "--types", "registered", "-o", "jsonl"]);
    let event: Value = serde_json::from_str(of_device.lines().last().unwrap()).unwrap();
    assert_eq!((&event["type"], &event["endpoint"]), (&"registered".into(), &"buoy-1".into()));
    let of_other = server.says(&["logs", "buoy-2", "--types", "registered"]);
    assert!(!of_other.contains("registered"), "{of_other}");
    let early = server.says(&["logs", "--since", "2001-01-01T00:00:00Z", "--types", "missed,registered"]);
    assert!(early.lines().next().unwrap().contains("events were missed"), "{early}");
    let refused = server.client().text("/api/v1/events?since=noon").unwrap_err().to_string();
    assert!(refused.contains("since=noon"), "{refused}");
}

#[test]
fn without_a_time_to_keep_them_for_the_log_says_that_events_are_missing() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    assert!(server.says(&["logs"]).contains("events were missed"));
}

#[test]
fn the_messages_of_a_device_are_shown_and_written_for_other_programs() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let file = workshop.path("buoy-1.pcap");
    let mut trace = buoy()
        .args(["ctl", "--server", &server.http, "trace", "buoy-1", "--count", "2", "--pcap"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(trace.stdout.take().unwrap());
    // The trace begins some time after the program does.
    let mut first = String::new();
    let reading = std::thread::spawn(move || {
        told.read_line(&mut first).unwrap();
        let mut rest = String::new();
        told.read_to_string(&mut rest).unwrap();
        first + &rest
    });
    wait_until("two messages", || {
        server.says(&["read", "buoy-1", "/3/0/3"]);
        reading.is_finished()
    });
    let told = reading.join().unwrap();
    assert!(trace.wait().unwrap().success());
    assert!(told.contains("→ CON GET /3/0/3") && told.contains("2.05 Content"), "{told}");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    assert!(bytes.len() > 100, "{} bytes", bytes.len());
    match std::process::Command::new("tshark").args(["-r"]).arg(&file).output() {
        Ok(read) => assert!(words(&read).contains("CoAP"), "{}", words(&read)),
        Err(_) => println!("skipped: tshark reads the file; apt-get install tshark"),
    }
    assert!(server.fails(4, &["trace", "buoy-2"]).contains("did you mean buoy-1?"));
}

#[test]
fn the_metrics_have_names_units_and_labels_by_the_conventions() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let next = workshop.release("1.1.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    server.says(&["firmware", "upload", next.to_str().unwrap()]);
    server.says(&["update", "buoy-1", "1.1.0.bin"]);
    server.says(&["campaign", "add", "a \"b\"", "--firmware", "1.1.0.bin"]);

    let page = server.client().text("/metrics").unwrap();
    for line in [
        "buoy_firmware_updates_ended_total{outcome=\"updated\"} 1",
        "buoy_firmware_updates_ended_total{outcome=\"rolled_back\"} 0",
        "buoy_dtls_handshake_failures_total{reason=\"wrong_key\"} 0",
        "buoy_campaign_devices{campaign=\"1\",name=\"a \\\"b\\\"\",stage=\"waiting\"} 0",
        "buoy_operations_open{shard=\"0\"} 0",
        "buoy_event_readers 0",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}: {page}");
    }
    let mut typed = std::collections::BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is there twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let kind = typed.get(name).unwrap_or_else(|| panic!("{name} has no type before it"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        }
    }
    let dashboard = include_str!("../../../docs/grafana/buoy.json");
    for name in dashboard.split("buoy_").skip(1) {
        let end = name.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap();
        let name = format!("buoy_{}", &name[..end]);
        assert!(typed.contains_key(&name), "the dashboard shows {name}, which the server does not have");
    }
    let refused = words(&buoy().args(["top", "--server", &server.http]).output().unwrap());
    assert!(refused.contains("needs a terminal"), "{refused}");
}
