//! The manners of the command line: forms of output, names in place of numbers, suggestions, completions, manual pages, `buoy doctor`,
//! `buoy restore`.

mod common;

use common::{Server, Workshop, buoy, wait_until, words};
use serde_json::{Value, json};

#[test]
fn answers_come_in_the_form_that_is_asked_for() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let id: Value = serde_json::from_str(&server.says(&["-o", "json", "read", "buoy-1", "/3/0/0"])).unwrap();

    assert_eq!(server.says(&["devices", "-o", "name"]), "buoy-1\n");
    assert_eq!(server.says(&["device", "buoy-1", "-o", "name"]), "buoy-1\n");
    assert_eq!(server.says(&["operations", "-o", "name"]), format!("{}\n", id["id"]));
    assert!(server.says(&["devices", "-o", "yaml"]).starts_with("- endpoint: buoy-1\n"));
    assert!(server.says(&["devices", "-o", "csv"]).starts_with("endpoint,state,last_contact,"));
    let line = server.says(&["devices", "-o", "jsonl"]);
    let device: Value = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!(device["endpoint"], "buoy-1");
    assert_eq!(server.says(&["devices", "-o", "json"]), server.says(&["devices", "--json"]));
    assert!(server.says(&["status"]).contains("1 online"));
    let status: Value = serde_json::from_str(&server.says(&["status", "-o", "json"])).unwrap();
    assert_eq!(status["ready"], "ready");
    assert!(server.fails(2, &["write", "buoy-1", "/3311/0/5850=true", "--watch"]).contains("--watch is for"));
    assert!(server.fails(2, &["devices", "-o", "xml"]).contains("json"));
    assert_eq!(
        server.ctl(&["campaign", "add", "x", "--dry-run", "--firmware", "none"]).status.code(),
        Some(1)
    );
    let explained = server.says(&["group", "set", "all", "--filter", "name ~ \"*\"", "--dry-run"]);
    assert!(explained.contains("1 of 1"), "{explained}");
    assert_eq!(server.says(&["group", "list", "-o", "json"]).trim(), "[]", "a dry run makes nothing");
}

#[test]
fn names_stand_for_numbers_and_numbers_are_shown_with_what_they_mean() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);

    assert_eq!(server.says(&["read", "buoy-1", "firmware-update/state"]), "Idle (0)\n");
    assert_eq!(server.says(&["read", "buoy-1", "/5/0/3"]), "Idle (0)\n");
    assert_eq!(server.says(&["read", "buoy-1", "device/battery-level"]), "87 %\n");
    server.says(&["write", "buoy-1", "light-control/on-off=true"]);
    assert_eq!(server.says(&["read", "buoy-1", "/3311/0/5850"]), "true\n");
    let all = server.says(&["read", "buoy-1", "/"]);
    for words in ["/3/0/3", "Firmware Version", "Idle (0)", "/3303/0/5700", "86400 s"] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let all: Value = serde_json::from_str(&server.says(&["read", "buoy-1", "/", "-o", "json"])).unwrap();
    assert!(
        all["values"].as_array().unwrap().contains(&json!({"path": "/5/0/3", "value": 0, "type": "integer"}))
    );
    let slip = server.fails(2, &["read", "buoy-1", "firmware-updat/state"]);
    assert!(slip.contains("did you mean firmware-update?"), "{slip}");
    let slip = server.fails(4, &["read", "bouy-1", "/3/0/3"]);
    assert!(slip.contains("no device named bouy-1 is registered; did you mean buoy-1?"), "{slip}");
    assert!(words(&buoy().args(["ctl", "devcies"]).output().unwrap()).contains("'devices'"));
}

#[test]
fn values_of_several_devices_are_exported() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _devices = ["buoy-1", "buoy-2"].map(|name| workshop.device(&server, name, &factory, &[]));
    for name in ["buoy-1", "buoy-2"] {
        let told = server.says(&["observe", name, "temperature/sensor-value", "--count", "2"]);
        assert!(told.contains("Sensor Value"), "{told}");
    }
    let series = ["series", "buoy-1", "/3303/0/5700", "--with", "buoy-2"];
    let says = |more: &[&str]| server.says(&[&series[..], more].concat());
    wait_until("the values", || says(&["-o", "jsonl"]).lines().count() >= 4);
    let csv = says(&["-o", "csv", "--since", "1h"]);
    assert!(csv.starts_with("endpoint,path,time,value\nbuoy-1,/3303/0/5700,20"), "{csv}");
    assert!(csv.contains("\nbuoy-2,/3303/0/5700,20"), "{csv}");
    assert!(says(&[]).starts_with(" DEVICE"));
    let none = says(&["-o", "csv", "--until", "2001-01-01T00:00:00Z"]);
    assert_eq!(none, "endpoint,path,time,value\n");
    let wrong = server.fails(2, &["series", "buoy-1", "/3303/0/5700", "--since", "yesterday"]);
    assert!(wrong.contains("2026-12-01T08:00:00Z"), "{wrong}");

    let by_filter =
        "/api/v1/series?path=/3303/0/5700&filter=name%20~%20%22*-2%22&format=csv&from=2001-01-01T00:00:00Z";
    let text = server.client().text(by_filter).unwrap();
    assert!(text.contains("buoy-2,") && !text.contains("buoy-1,"), "{text}");
    for (query, reason) in [
        ("path=/3303/0/5700", "by endpoints or by filter"),
        ("path=/3303/0/5700&endpoints=a&filter=b", "not both"),
        ("path=/3303/x&endpoints=a", "/3303/x"),
        ("path=/3303/0/5700&endpoints=a&from=noon", "from=noon"),
        ("path=/3303/0/5700&endpoints=,", "0 names"),
    ] {
        let refused = server.client().text(&format!("/api/v1/series?{query}")).unwrap_err().to_string();
        assert!(refused.contains(reason), "{query}: {refused}");
    }
}

#[test]
fn a_shell_completes_verbs_and_the_names_of_devices() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let completed = |line: &[&str]| {
        let mut command = buoy();
        command.env("BUOY_COMPLETE", "fish").env("BUOY_SERVER", &server.http).arg("--").args(line);
        words(&command.output().unwrap())
    };
    assert!(completed(&["buoy", "ctl", "rea"]).contains("read"));
    assert!(completed(&["buoy", "ctl", "read", "bu"]).contains("buoy-1"));
    assert_eq!(completed(&["buoy", "ctl", "read", "x"]).trim(), "");
    for shell in ["bash", "zsh", "fish"] {
        let script = words(&buoy().args(["completions", shell]).output().unwrap());
        assert!(script.contains("BUOY_COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command_and_help_about_exit_codes() {
    let workshop = Workshop::new();
    let folder = workshop.path("man");
    assert!(buoy().arg("man").arg(&folder).output().unwrap().status.success());
    for page in ["buoy.1", "buoy-serve.1", "buoy-ctl-read.1", "buoy-ctl-campaign-add.1"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let help = words(&buoy().args(["help", "exit-codes"]).output().unwrap());
    assert!(help.contains("3  the device has not answered"), "{help}");
}

#[test]
fn the_doctor_looks_at_a_server_that_runs_and_at_one_that_does_not() {
    let workshop = Workshop::new();
    let data = workshop.path("data");
    let examine = |more: &[&str]| {
        let mut command = buoy();
        command.args(["doctor", "-o", "json", "--data"]).arg(&data).args(more);
        let output = command.output().unwrap();
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("findings");
        (output.status.code(), findings)
    };
    let of = |findings: &[Value], check: &str| {
        let found = findings.iter().find(|it| it["check"] == check);
        found.unwrap_or_else(|| panic!("{check}: {findings:?}")).clone()
    };
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, findings) = examine(&[
        "--coaps",
        "off",
        "--coap",
        &address,
        "--http",
        "127.0.0.1:0",
        "--public-host",
        "no.such.host.invalid",
    ]);
    assert_eq!(code, Some(1));
    let port = of(&findings, "CoAP");
    assert_eq!(port["result"], "failed");
    assert!(port["hint"].as_str().unwrap().contains("another program"), "{port}");
    for check in ["clock", "data folder", "disk", "store", "told devices"] {
        of(&findings, check);
    }

    let server = Server::start(&data);
    let coap = server.coap.trim_start_matches("coap://").to_owned();
    let http = server.http.trim_start_matches("http://").to_owned();
    let (_, findings) = examine(&["--coaps", "off", "--coap", &coap, "--http", &http]);
    assert!(of(&findings, "server")["detail"].as_str().unwrap().contains("it runs"), "{findings:?}");
    for check in ["CoAP", "REST", "store", "certificate"] {
        assert_eq!(of(&findings, check)["result"], "ok", "{findings:?}");
    }
    let (code, findings) = examine(&["--config", "/no/such/file"]);
    assert_eq!((code, findings.len()), (Some(1), 1));
}

#[test]
fn a_backup_is_restored_if_it_is_whole() {
    let workshop = Workshop::new();
    let image = workshop.release("1.0.0", "good");
    let (data, backup, restored) =
        (workshop.path("data"), workshop.path("backup"), workshop.path("restored"));
    let digest = {
        let server = Server::start(&data);
        server.says(&["credentials", "add", "buoy-9"]);
        let digest = server.says(&["firmware", "upload", image.to_str().unwrap(), "-o", "name"]);
        let mut command = buoy();
        command.args(["backup", "--data"]).arg(&data).args(common::store_flags(&data)).arg(&backup);
        assert!(command.output().unwrap().status.success());
        digest.trim().to_owned()
    };
    let restore = |more: &[&str]| {
        buoy().args(["restore", "--data"]).arg(&restored).args(more).arg(&backup).output().unwrap()
    };
    let looked = restore(&["--dry-run"]);
    assert!(looked.status.success() && !restored.exists(), "{}", words(&looked));
    let done = restore(&[]);
    assert!(done.status.success(), "{}", words(&done));
    let again = restore(&[]);
    assert!(!again.status.success() && words(&again).contains("is not empty"), "{}", words(&again));
    let server = Server::start(&restored);
    assert!(server.says(&["credentials", "list"]).contains("buoy-9"));
    assert!(server.says(&["firmware", "list"]).contains(&digest[..12]));
    drop(server);

    std::fs::remove_dir_all(&restored).unwrap();
    std::fs::write(backup.join("firmware").join(&digest), b"x").unwrap();
    let damaged = restore(&[]);
    assert!(!damaged.status.success() && words(&damaged).contains("is damaged"), "{}", words(&damaged));
    assert!(!restored.exists());
}

#[test]
fn a_server_is_signed_in_to_by_its_address_and_saved_as_a_context() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let file = workshop.path("contexts.json");
    let run = |arguments: &[&str], typed: &str| {
        let mut command = buoy();
        command.args(arguments).env("BUOY_CONTEXTS", &file);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let token = server.setup_token.clone().unwrap();
    let setup = ["ctl", "--server", &server.http, "setup", "ada", "--setup-token", &token];
    assert!(run(&setup, "correct horse battery\n").status.success());
    let signed_in = run(&["login", &server.http, "--as", "field"], "ada\ncorrect horse battery\n");
    assert!(signed_in.status.success(), "{}", words(&signed_in));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let listed: Value =
        serde_json::from_slice(&run(&["ctl", "context", "list", "-o", "json"], "").stdout).unwrap();
    let field = listed.as_array().unwrap().iter().find(|it| it["name"] == "field").unwrap();
    assert_eq!((&field["server"], &field["current"]), (&json!(server.http), &json!(true)));
    assert!(field.get("token").is_none(), "{field}");
    assert!(words(&run(&["ctl", "whoami"], "")).contains("ada"));
    assert!(run(&["ctl", "context", "remove", "field"], "").status.success());
    let wrong = run(&["login", &server.http, "ada"], "wrong\n");
    assert_eq!(wrong.status.code(), Some(6), "{}", words(&wrong));
}
