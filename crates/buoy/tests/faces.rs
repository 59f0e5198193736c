//! What people and scripts are shown of what devices say, however hostile or odd it is.

mod common;
#[path = "common/foreign.rs"]
mod foreign;

use std::time::{Duration, Instant};

use buoy_api::{Event, TimedEvent};
use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::text::is_harmless;
use common::{Server, Workshop, wait_until};
use foreign::{Answer, Asked, Foreign};
use serde_json::{Value, json};

/// A clear screen, a forged log line, a title of the window, a name that reads backwards.
const HOSTILE: &str =
    "a\u{1b}[2J\r\n2026-01-01T00:00:00Z ERROR forged\u{7f}\u{9b}31m\u{1b}]0;t\u{7}\u{202e}gpj\u{200b}";

fn hostile(asked: &Asked) -> Option<Answer> {
    let is_discover = asked.accept == Some(ContentFormat::LINK);
    Some(match (asked.code, asked.path.as_str()) {
        (Code::GET, _) if is_discover => {
            let links =
                format!("</3/0>;pmin={HOSTILE};x=\"{HOSTILE}\",</3/0/{HOSTILE}>,</3/0/1>;y=\"\u{1b}[1m\"");
            Answer::content(ContentFormat::LINK, links.as_bytes())
        }
        (Code::GET, "/3/0/0" | "/3303/0/5700") => Answer::content(ContentFormat::TEXT, HOSTILE.as_bytes()),
        (Code::GET | Code::FETCH, "/3/0" | "/") => {
            let text = serde_json::to_string(HOSTILE).unwrap();
            let payload = format!(r#"[{{"n":"/3/0/0","vs":{text}}},{{"n":"/3/0/1","vs":{text}}}]"#);
            Answer::content(ContentFormat::SENML_JSON, payload.as_bytes())
        }
        (Code::POST, "/3303") => {
            Answer { location: vec!["3303".into(), HOSTILE.into()], ..Answer::code(Code::CREATED) }
        }
        _ => Answer::error(Code::FORBIDDEN, HOSTILE),
    })
}

/// All that a command wrote is harmless; and it was told something of the device.
fn check(server: &Server, arguments: &[&str]) {
    let output = server.ctl(arguments);
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.lines().all(is_harmless), "{arguments:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR")), "{text:?}");
    }
    assert!(!(output.stdout.is_empty() && output.stderr.is_empty()), "{arguments:?}");
}

#[test]
fn nothing_that_a_device_says_acts_on_a_terminal_or_forges_a_log_line() {
    let workshop = Workshop::new();
    let (data, log) = (workshop.path("data"), workshop.path("log"));
    let server = Server::start_logged(&data, &log, &[]);
    let device = Foreign::start(&server, "foe", hostile);
    device.post(2, "rd", &["ep=foe", &format!("lt={HOSTILE}"), "lwm2m=1.1"], 40, b"</3/0>");
    device.post(3, "rd", &[&format!("ep={HOSTILE}"), "lwm2m=1.1"], 40, b"</3/0>");
    device.post(4, "rd", &["ep=foe", "lwm2m=1.1", "b=\u{1b}[2J"], 40, HOSTILE.as_bytes());
    for verb in [
        &["read", "foe", "/3/0/0"][..],
        &["read", "foe", "/3/0"],
        &["read", "foe", "/3/0/0", "/3/0/1"],
        &["read", "foe", "/9"],
        &["write", "foe", "/3/0/15=x"],
        &["write", "foe", "/3/0/15=x", "/3/0/14=y"],
        &["execute", "foe", "/3/0/4"],
        &["create", "foe", "/3303", "5700=1"],
        &["delete", "foe", "/3303/0"],
        &["discover", "foe", "/3/0"],
        &["attributes", "foe", "/3/0/9", "pmin=1"],
        &["observe", "foe", "/9/0"],
        &["unobserve", "foe", "/3303/0/5700"],
        &["bootstrap", "trigger", "foe"],
        &["device", "foe"],
        &["devices"],
        &["operations"],
        &["operation", "1"],
        &["operation", "4"],
        &["audit"],
        &["read", HOSTILE, "/3"],
        &["write", "foe", HOSTILE],
        &["events", "--types", HOSTILE],
        &["credentials", "list", "--endpoint", HOSTILE],
        &["bootstrap", "show", HOSTILE],
        &["update", "foe", HOSTILE],
    ] {
        check(&server, verb);
        let json: Vec<_> = [&["--json"], verb].concat();
        check(&server, &json);
    }
    let read = server.ctl(&["--json", "read", "foe", "/3/0/0"]);
    let exact: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(exact["values"][0]["value"], json!(HOSTILE), "JSON is exact");

    device.post(5, "dp", &[], 110, br#"[{"n":"/3/0/0","vs":"\u001b[2J\nforged"}]"#);
    wait_until("the value", || server.ctl(&["series", "foe", "/3/0/0"]).status.success());
    check(&server, &["series", "foe", "/3/0/0"]);
    let mut follower = common::buoy();
    let follower =
        follower.args(["ctl", "--server", &server.http, "events", "--types", "send", "--count", "1"]);
    let follower = follower.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let follower = std::thread::spawn(move || follower.wait_with_output().unwrap());
    let mut message_id = 10;
    while !follower.is_finished() {
        message_id += 1;
        device.post(message_id, "dp", &[], 110, br#"[{"n":"/3/0/0","vs":"\u001b[2J\nforged"}]"#);
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = String::from_utf8(follower.join().unwrap().stdout).unwrap();
    assert!(told.lines().all(is_harmless) && told.contains("forged"), "{told:?}");

    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().all(is_harmless), "{text:?}");
    assert!(
        text.contains("refused")
            && !text.lines().any(|line| line.contains("Z ERROR forged") && line.starts_with("2026-01-01")),
        "{text:?}"
    );
}

#[test]
fn nothing_that_an_image_says_acts_on_a_terminal() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let image = workshop.path("image.bin");
    let project = "p\u{1b}[31m\u{202e}";
    let built = common::buoy()
        .args(["fw", "build", "--project", project, "--release", "1\n\u{9b}2"])
        .arg(&image)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    for extra in [&[][..], &["--json"]] {
        let output = common::buoy().args(["fw", "inspect"]).args(extra).arg(&image).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(is_harmless) && text.contains("ESP32"), "{text:?}");
    }
    check(&server, &["firmware", "upload", image.to_str().unwrap(), "--name", HOSTILE]);
    assert_eq!(server.client().firmware().unwrap().items, [], "no image has such a name");
    check(&server, &["firmware", "upload", image.to_str().unwrap()]);
    check(&server, &["firmware", "list"]);
    check(&server, &["firmware", "show", "image.bin"]);
    check(&server, &["firmware", "show", HOSTILE]);
}

/// Events of a device from now on, until `wanted` has seen all that it waits for; `act` is done again and again until then.
fn follow_until(
    server: &Server,
    endpoint: &str,
    mut wanted: impl FnMut(&TimedEvent) -> bool + Send + 'static,
    mut act: impl FnMut(),
) -> Vec<TimedEvent> {
    let (client, endpoint) = (server.client(), endpoint.to_owned());
    let follower = std::thread::spawn(move || {
        let mut told = Vec::new();
        let followed = client.events(Some(&endpoint), None, |event| {
            let goes_on = !wanted(&event);
            told.push(event);
            goes_on
        });
        followed.map(|()| told)
    });
    while !follower.is_finished() {
        act();
        std::thread::sleep(Duration::from_millis(50));
    }
    follower.join().unwrap().unwrap()
}

#[test]
fn a_report_that_cannot_be_read_is_told_and_logged_and_its_good_values_are_told() {
    let workshop = Workshop::new();
    let (data, log) = (workshop.path("data"), workshop.path("log"));
    let server = Server::start_logged(&data, &log, &[]);
    let device = Foreign::start(&server, "odd", |asked| {
        let first = br#"[{"n":"/3303/0/5700","v":1}]"#;
        (asked.path == "/3303/0").then(|| Answer::content(ContentFormat::SENML_JSON, first))
    });
    server.client().start_operation(&observe("odd", "/3303/0")).unwrap();
    let mut number = 1_u16;
    let (mut problems, mut is_good_told) = (Vec::new(), false);
    let told = follow_until(
        &server,
        "odd",
        move |told| {
            if let Event::ReportProblem { detail, .. } = &told.event {
                problems.push(detail.clone());
            }
            is_good_told |= is_good(told);
            is_good_told
                && problems.iter().any(|it| it.contains("format 110"))
                && problems.iter().any(|it| it.contains("4242"))
        },
        || {
            for (format, payload) in [
                (ContentFormat::SENML_JSON, &br#"[{"n":"/3303/0/5700","v":21.5},{"n":"nowhere","v":1}]"#[..]),
                (ContentFormat(4242), b"?"),
            ] {
                number += 1;
                device.notify("/3303/0", number, number.into(), format, payload);
            }
        },
    );
    assert!(told.iter().any(is_good), "{told:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("content format 110 can't be read") && text.contains("4242"), "{text}");
}

fn is_good(told: &TimedEvent) -> bool {
    match &told.event {
        Event::Notification { values, .. } => values.iter().any(|value| value.value == json!(21.5)),
        _ => false,
    }
}

fn observe(endpoint: &str, path: &str) -> buoy_api::StartOperation {
    buoy_api::StartOperation {
        endpoint: endpoint.to_owned(),
        request: buoy_api::Request::Observe { path: path.to_owned(), format: None },
        deadline: None,
        wait: None,
    }
}

#[test]
fn the_latest_of_several_values_is_shown_and_the_others_are_history() {
    const SEVERAL: &[u8] = br#"[{"bn":"/3303/0/5700","t":-60,"v":20.5},{"v":21.5},{"t":-120,"v":19.5}]"#;
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let device = Foreign::start(&server, "logger", |asked| {
        (asked.path == "/3303/0/5700").then(|| Answer::content(ContentFormat::SENML_JSON, SEVERAL))
    });
    assert_eq!(server.says(&["read", "logger", "/3303/0/5700"]), "21.5\n");
    let answer = server.client().start_operation(&observe("logger", "/3303/0/5700")).unwrap();
    let numbers = |all: &[buoy_api::PathValue]| all.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
    assert_eq!(numbers(&answer.values.unwrap()), [json!(21.5)]);
    assert_eq!(numbers(&answer.history), [json!(19.5), json!(20.5)]);
    assert!(answer.history.iter().all(|value| value.at.is_some()));
    let leshan: Value = server.client().get("/api/clients/logger/3303/0/5700").unwrap();
    assert_eq!(leshan["content"]["value"], json!("21.5"));

    let mut number = 1_u16;
    let told = follow_until(
        &server,
        "logger",
        |told| matches!(told.event, Event::Notification { .. }),
        || {
            number += 1;
            device.notify("/3303/0/5700", number, number.into(), ContentFormat::SENML_JSON, SEVERAL);
        },
    );
    let Some(Event::Notification { values, history, .. }) = told.last().map(|told| &told.event) else {
        panic!()
    };
    assert_eq!((numbers(values), numbers(history)), (vec![json!(21.5)], vec![json!(19.5), json!(20.5)]));
    let series = server.says(&["series", "logger", "/3303/0/5700"]);
    assert!(series.contains("19.5") && series.contains("20.5") && series.contains("21.5"), "{series}");
}

#[test]
fn infinities_are_text_in_a_series_and_in_its_summaries() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let device = Foreign::start(&server, "odd", |_| None);
    let items = |query: &str| -> Vec<Value> {
        let page: Value =
            server.client().get(&format!("/api/v1/devices/odd/series/3/0/26241{query}")).unwrap();
        page["items"].as_array().unwrap().clone()
    };
    // A double in CBOR: SenML JSON has no infinities (label 0 is the name, 2 the value).
    let name = "/3/0/26241";
    let mut message_id = 1;
    for value in [f64::INFINITY, f64::NEG_INFINITY, 1.5] {
        let mut payload = vec![0x81, 0xa2, 0x00, 0x60 + name.len() as u8];
        payload.extend(name.as_bytes());
        payload.extend([0x02, 0xfb]);
        payload.extend(value.to_be_bytes());
        message_id += 1;
        device.post(message_id, "dp", &[], 112, &payload);
        wait_until("the value", || items("").len() >= usize::from(message_id) - 1);
    }
    let values: Vec<_> = items("").iter().map(|item| item["value"].clone()).collect();
    assert_eq!(values, [json!("inf"), json!("-inf"), json!(1.5)]);
    let summary = items("?step=86400000");
    let count: u64 = summary.iter().map(|item| item["count"].as_u64().unwrap()).sum();
    assert!(
        count >= 1 && summary.iter().all(|item| !item["value"].is_null() && !item["min"].is_null()),
        "{summary:?}"
    );
    server.says(&["series", "odd", "/3/0/26241", "--step", "86400"]);
}

#[test]
fn a_command_ends_when_its_operation_does() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let _device = Foreign::start(&server, "dead", |_| None);
    let started = Instant::now();
    let patience = ["--count", "1", "--wait", "1", "--deadline", "3"];
    let said = server.fails(3, &[&["observe", "dead", "/3303/0/5700"][..], &patience].concat());
    assert!(said.contains("expired") || said.contains("failed"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(60));
    let read = server.ctl(&["read", "dead", "/3/0/0", "--wait", "1"]);
    assert_eq!((read.status.code(), read.stdout.len()), (Some(3), 0), "{read:?}");
    assert!(String::from_utf8_lossy(&read.stderr).contains("buoy ctl operation"));
}

#[test]
fn a_server_of_another_kind_is_named_and_not_printed() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let page = "<html>\u{1b}[2J</html>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
            let _ = write!(stream, "{head} {}\r\n\r\n{page}", page.len());
        }
    });
    let output = common::buoy().args(["ctl", "--server", &address.to_string(), "devices"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(said.contains("no answer of a Buoy server") && !said.contains("html"), "{said}");
}

/// Status, headers and body of a request.
fn http(method: &str, url: &str, kind: Option<&str>, body: &[u8]) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
    let headers = response.headers().clone();
    let bytes = response.body_mut().read_to_vec().unwrap();
    (response.status().as_u16(), headers, bytes)
}

#[test]
fn an_error_of_the_interface_names_the_field_and_what_is_expected() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let url = |path: &str| format!("{}{path}", server.http);
    let json = Some("application/json");
    for (method, path, kind, body, status, words) in [
        ("POST", "/api/v1/operations", json, "[]", 400, "the body: an object is expected"),
        ("POST", "/api/v1/operations", json, "{}", 400, "\"endpoint\" is missing"),
        ("POST", "/api/v1/operations", json, "{", 400, "the body is no JSON (line 1, column 1)"),
        ("POST", "/api/v1/operations", Some("text/plain"), "{}", 415, "application/json"),
        ("POST", "/api/v1/operations", None, "{}", 415, "application/json"),
        (
            "POST",
            "/api/v1/updates",
            json,
            r#"{"endpoint":"e","firmware":7}"#,
            400,
            "\"firmware\": a string is expected",
        ),
        (
            "POST",
            "/api/v1/firmware",
            Some("application/x-www-form-urlencoded"),
            "x",
            415,
            "application/octet-stream",
        ),
        ("POST", "/api/v1/credentials/import", Some("text/plain"), "endpoint", 415, "text/csv"),
        ("GET", "/api/v1/devices?limit=many", None, "", 400, "\"limit\": a whole number"),
        (
            "GET",
            "/api/v1/devices?state=online,lost",
            None,
            "",
            400,
            "state=lost: a device is online, asleep, overdue, offline, revoked, never_seen or retired",
        ),
        ("GET", "/api/v1/device-counts?by=weight", None, "", 400, "counted by state, manufacturer"),
        ("DELETE", "/api/v1/devices/nosuch", None, "", 404, "no device named nosuch is known"),
        ("GET", "/api/v1/events?types=foo", None, "", 400, "there is no type"),
        ("POST", "/api/v1/bootstrap/claims/nosuch/accept", None, "", 409, "no bootstrap configuration fits"),
    ] {
        let (code, headers, body) = http(method, &url(path), kind, body.as_bytes());
        let text = String::from_utf8(body).unwrap();
        assert_eq!(code, status, "{method} {path}: {text}");
        assert!(text.replace("\\\"", "\"").contains(words), "{method} {path}: {text}");
        assert!(headers["content-type"].to_str().unwrap().contains("problem+json"));
        assert!(!text.contains("struct") && !text.contains("deserialize"), "{text}");
    }
    let (code, headers, page) = http("GET", &url("/"), None, b"");
    assert_eq!((code, headers["content-type"].to_str().unwrap()), (200, "text/html; charset=utf-8"));
    assert!(String::from_utf8(page).unwrap().contains("buoy ctl"));
}

#[test]
fn a_file_tells_its_length_and_its_signature_has_two_names() {
    let workshop = Workshop::new();
    let image = workshop.release("1.1.0", "good");
    let server = Server::start_with(&workshop.path("data"), &["--files", "127.0.0.1:0"]);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let file = server.client().firmware().unwrap().items.remove(0);
    let url = file.http_uri.unwrap();
    let length =
        |headers: &ureq::http::HeaderMap| headers["content-length"].to_str().unwrap().parse::<u64>().unwrap();
    for name in [url.clone(), format!("{url}/1")] {
        let (code, headers, body) = http("GET", &name, None, b"");
        assert_eq!((code, length(&headers), body.len() as u64), (200, file.size, file.size), "{name}");
        let (code, headers, body) = http("HEAD", &name, None, b"");
        assert_eq!((code, length(&headers), body.len()), (200, file.size, 0), "{name}");
        let signature = http("GET", &format!("{name}.sig"), None, b"");
        assert_eq!((signature.0, signature.2.len()), (200, 512), "{name}");
        assert_eq!(http("GET", &format!("{name}.signature"), None, b"").2, signature.2, "{name}");
        assert_eq!(http("HEAD", &format!("{name}.signature"), None, b"").0, 200, "{name}");
    }
    assert_eq!(http("HEAD", &format!("{url}0"), None, b"").0, 404);
}

#[test]
fn a_signature_is_checked_when_it_comes_and_a_bad_one_replaces_nothing() {
    let (workshop, stranger) = (Workshop::new(), Workshop::new());
    let image = workshop.release("1.1.0", "good");
    let key = workshop.path("release.pub.pem");
    let server = Server::start_with(&workshop.path("data"), &["--release-key", key.to_str().unwrap()]);
    let upload = |signature: &std::path::Path| {
        server.ctl(&[
            "firmware",
            "upload",
            image.to_str().unwrap(),
            "--signature",
            signature.to_str().unwrap(),
        ])
    };
    let signed = || server.client().firmware().unwrap().items.first().is_some_and(|image| image.signed);
    let foreign = stranger.path("foreign.sig");
    let made = common::buoy()
        .args(["fw", "sign", "--key"])
        .arg(stranger.path("release.key.pem"))
        .arg("--output")
        .arg(&foreign)
        .arg(&image)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let refused = upload(&foreign);
    assert_eq!((refused.status.code(), signed()), (Some(1), false), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no release key of this server verifies"));
    let good = workshop.path("1.1.0.bin.sig");
    assert!(upload(&good).status.success() && signed());
    for bad in [&foreign, &workshop.path("release.pub.pem")] {
        let refused = upload(bad);
        assert!(!refused.status.success() && signed(), "{refused:?}");
    }
    let digest = server.client().firmware().unwrap().items.remove(0).digest;
    let signature = format!("{}/api/v1/firmware/{digest}/signature", server.http);
    let put = http("PUT", &signature, Some("application/octet-stream"), b"no signature at all");
    assert_eq!((put.0, signed()), (400, true));
    assert!(
        server
            .says(&["firmware", "upload", image.to_str().unwrap(), "--name", "other"])
            .contains("1.1.0.bin")
    );
    let names: Vec<_> =
        server.client().firmware().unwrap().items.into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["1.1.0.bin"], "the same bytes keep their name");
    for name in ["", " x", "a/b", "../x", "..", "a\\b"] {
        let refused = http(
            "POST",
            &format!("{}/api/v1/firmware?name={}", server.http, buoy_api::client::encode(name)),
            Some("application/octet-stream"),
            name.as_bytes().repeat(3).as_slice(),
        );
        assert_eq!(refused.0, 400, "{name:?}");
    }
}

#[test]
fn two_images_of_one_name_are_listed_when_that_is_not_enough() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    for version in ["1.1.0", "1.2.0"] {
        let image = workshop.release(version, "good");
        server.says(&["firmware", "upload", image.to_str().unwrap(), "--name", "release"]);
    }
    let said = server.fails(1, &["firmware", "show", "release"]);
    assert!(
        said.contains("1.1.0") && said.contains("1.2.0") && said.contains("more of the digest"),
        "{said}"
    );
}

#[test]
fn a_discover_brings_links_whatever_the_device_calls_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    const LINKS: &[u8] = b"</3/0>;pmin=10,</3/0/9>";
    let formats = [Some(ContentFormat::LINK), Some(ContentFormat::TEXT), None];
    let devices = formats.map(|format| {
        let name = format!("dev-{}", format.map_or("none".to_owned(), |format| format.0.to_string()));
        let answer = Answer { format, ..Answer::content(ContentFormat::LINK, LINKS) };
        (Foreign::start(&server, &name, move |_| Some(answer.clone())), name)
    });
    for (_device, name) in &devices {
        let said = server.says(&["discover", name, "/3/0"]);
        assert!(said.contains("/3/0/9") && said.contains("pmin=10"), "{name}: {said}");
        let url = format!("{}/api/clients/{name}/3/0/discover", server.http);
        let (code, _, body) = http("GET", &url, None, b"");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((code, &body["objectLinks"][1]["url"]), (200, &json!("/3/0/9")), "{name}: {body}");
    }
}

#[test]
fn each_command_of_a_person_leaves_its_row_in_the_audit_log() {
    let workshop = Workshop::new();
    let image = workshop.release("1.1.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = Foreign::start(&server, "dev", |asked| match asked.code {
        Code::GET => Some(Answer::content(ContentFormat::TEXT, b"1")),
        _ => Some(Answer::code(Code::CHANGED)),
    });
    let image = image.to_str().unwrap();
    let digest = std::fs::read(image).map(|bytes| buoy_services::firmware::digest_of(&bytes)).unwrap();
    for (command, action, target) in [
        (&["write", "dev", "/3/0/15=x"][..], "operation.start", "dev"),
        (&["execute", "dev", "/3/0/4"], "operation.start", "dev"),
        (&["observe", "dev", "/3/0/9", "--count", "1"], "operation.start", "dev"),
        (&["credentials", "add", "other"], "credential.add", "other"),
        (&["credentials", "rotate", "other"], "credential.rotate", "other"),
        (&["credentials", "add", "second"], "credential.add", "second"),
        (&["credentials", "revoke", "second"], "credential.revoke", "second"),
        (&["credentials", "remove", "second"], "credential.remove", "second"),
        (&["firmware", "upload", image], "firmware.add", &digest),
        (&["firmware", "delete", "1.1.0.bin"], "firmware.remove", &digest),
        (&["bootstrap", "add", "buoy-*", "--without-security"], "bootstrap_config.put", "buoy-*"),
        (&["bootstrap", "accept", "buoy-7"], "bootstrap_claim.accept", "buoy-7"),
        (&["bootstrap", "refuse", "buoy-7"], "bootstrap_claim.forget", "buoy-7"),
        (&["bootstrap", "remove", "buoy-*"], "bootstrap_config.remove", "buoy-*"),
    ] {
        let before = audit(&server, action).len();
        if command[0] == "observe" {
            // It would wait for a notification.
            server.client().start_operation(&observe("dev", "/3/0/9")).unwrap();
        } else {
            server.says(command);
        }
        let rows = audit(&server, action);
        assert_eq!(rows.len(), before + 1, "{command:?}: {rows:?}");
        assert_eq!(
            (&rows[0]["target"], &rows[0]["principal"]),
            (&json!(target), &json!("local")),
            "{command:?}"
        );
        assert_eq!(rows[0]["origin"], json!("127.0.0.1"), "{command:?}");
        assert!(rows[0]["at"].as_u64().is_some_and(|at| at > 0));
    }
    // The signature beside the image that was uploaded.
    assert_eq!(audit(&server, "firmware.sign").len(), 1);
    // Scripts in Leshan's dialect are no less.
    let before = audit(&server, "operation.start").len();
    for (method, path) in [("POST", "3/0/4"), ("DELETE", "3303/1"), ("POST", "3/0/9/observe")] {
        http(method, &format!("{}/api/clients/dev/{path}", server.http), None, b"");
    }
    let rows = audit(&server, "operation.start");
    assert_eq!(rows.len(), before + 3, "{rows:?}");
    assert!(rows[1]["detail"].as_str().unwrap().contains("DELETE /3303/1"), "{rows:?}");
    http("GET", &format!("{}/api/clients/dev/3/0/9", server.http), None, b"");
    assert_eq!(audit(&server, "operation.start").len(), before + 3, "a read changes nothing");
}

fn audit(server: &Server, action: &str) -> Vec<Value> {
    let page: Value = server.client().get(&format!("/api/v1/audit?limit=100&action={action}")).unwrap();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn a_server_says_what_devices_will_be_told_and_refuses_a_host_that_none_can_reach() {
    let workshop = Workshop::new();
    let (data, log) = (workshop.path("data"), workshop.path("log"));
    let server =
        Server::start_logged(&data, &log, &["--bootstrap", "0.0.0.0:0", "--public-host", "192.0.2.9"]);
    assert!(
        server.uri("Bootstrap").contains("(devices are told coap://192.0.2.9:"),
        "{}",
        server.uri("Bootstrap")
    );
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("only this machine reaches it"), "{text}");
    drop(server);
    for host in ["0.0.0.0", "http://x", "x:5684", "a b", ""] {
        let output = common::buoy()
            .args(["serve", "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0", "--coaps", "off"])
            .args(["--public-host", host, "--data"])
            .arg(workshop.path("refused"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("--public-host"), "{host:?}: {said}");
    }
}

/// A plain file server, as `python3 -m http.server` is one; what it is asked for is kept.
fn file_server(files: &[(&str, Vec<u8>)]) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Write};
    let files: std::collections::HashMap<String, Vec<u8>> =
        files.iter().map(|(name, bytes)| (format!("/{name}"), bytes.clone())).collect();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            seen.lock().unwrap().push(path.to_owned());
            let file = files.get(path);
            let status = if file.is_some() { "200 OK" } else { "404 Not Found" };
            let body = file.cloned().unwrap_or_else(|| b"no such file".to_vec());
            let head =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes());
            if method == "GET" {
                let _ = stream.write_all(&body);
            }
        }
    });
    (base, asked)
}

#[test]
fn a_device_finds_a_signature_under_the_names_that_people_give_it() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let image = workshop.release("1.1.0", "good");
    let read = |path: &std::path::Path| std::fs::read(path).unwrap();
    let (image, signature) = (read(&image), read(&workshop.path("1.1.0.bin.sig")));
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let state = |path: &str| server.says(&["read", "buoy-1", path]).trim().to_owned();

    let (base, asked) = file_server(&[("firmware.bin", image.clone())]);
    server.says(&["write", "buoy-1", &format!("/5/0/1={base}/firmware.bin")]);
    wait_until("the failure", || state("/5/0/5") == "Integrity check failed (5)");
    let mut asked = asked.lock().unwrap().clone();
    asked.dedup();
    let names = ["/firmware.bin", "/firmware.bin.sig", "/firmware.signature", "/firmware.sig"];
    assert_eq!(asked, names);

    let (base, _) = file_server(&[("firmware.bin", image), ("firmware.signature", signature)]);
    server.says(&["write", "buoy-1", &format!("/5/0/1={base}/firmware.bin")]);
    wait_until("the package", || state("/5/0/3") == "Downloaded (2)");
}
