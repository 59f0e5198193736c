//! What a person does with `buoy ctl`, and a program with `/api/v1`.

mod common;

use buoy_api::client::ClientError;
use buoy_api::{Event, Operation, Request, StartOperation};
use common::{Server, Workshop, wait_until};
use serde_json::{Value, json};

#[test]
fn a_device_is_managed_by_verbs() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);

    assert!(server.says(&["devices"]).contains("buoy-1"));
    assert!(server.says(&["device", "buoy-1"]).contains("/3303/0"));
    let objects = server.says(&["objects", "buoy-1", "3303"]);
    assert!(objects.contains("Temperature") && objects.contains("/3303/0"), "{objects}");
    assert!(objects.contains("Sensor Value") && !objects.contains("Light Control"), "{objects}");
    assert_eq!(server.says(&["read", "buoy-1", "/3/0/3"]), "1.0.0\n");
    let all = server.says(&["read", "buoy-1", "/3/0/0", "/3/0/3"]);
    assert!(all.contains("/3/0/0") && all.contains("1.0.0"), "{all}");
    server.says(&["write", "buoy-1", "/3311/0/5850=true"]);
    assert_eq!(server.says(&["read", "buoy-1", "/3311/0/5850"]), "true\n");
    server.says(&["write", "buoy-1", "/3/0/14=+02:00", "/3/0/15=Europe/Berlin"]);
    assert_eq!(server.says(&["read", "buoy-1", "/3/0/15"]), "Europe/Berlin\n");
    assert!(server.says(&["execute", "buoy-1", "/3/0/12"]).contains("2.04"));
    server.says(&["attributes", "buoy-1", "/3303/0/5700", "pmin=1", "pmax=60"]);
    assert!(server.says(&["discover", "buoy-1", "/3303/0"]).contains("pmax=60"));
    let watched = server.says(&["observe", "buoy-1", "/3303/0/5700", "--count", "2", "--keep"]);
    assert_eq!(watched.lines().count(), 3, "the first value and two notifications: {watched}");
    assert!(server.says(&["device", "buoy-1"]).contains("observed       /3303/0/5700"));
    server.says(&["unobserve", "buoy-1", "/3303/0/5700"]);
    server.says(&["observe", "buoy-1", "/3303/0/5700", "--count", "1"]);
    assert!(
        server.says(&["device", "buoy-1"]).contains("observed       nothing"),
        "who stops watching ends it"
    );
    assert!(server.says(&["series", "buoy-1", "/3303/0/5700"]).lines().count() >= 3);
    assert!(server.says(&["operations", "--endpoint", "buoy-1"]).contains("GET /3/0/3"));
    let operation: Value =
        serde_json::from_str(&server.says(&["--json", "read", "buoy-1", "/3/0/3"])).unwrap();
    assert_eq!(operation["values"], json!([{"path": "/3/0/3", "value": "1.0.0", "type": "string"}]));
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);

    for (arguments, words) in [
        (&["read", "buoy-1", "/9/9"][..], "4.04"),
        (&["read", "buoy-1", "/3/x"], "/3/x"),
        (&["read", "buoy-1", "/3/0", "--format", "XML"], "XML is no content format"),
        (&["write", "buoy-1", "/3/0/0=x"], "4.05"),
        (&["write", "buoy-1", "/3311/0/5850=maybe"], "Boolean"),
        (&["execute", "buoy-1", "/3"], "Execute runs a resource"),
        (&["attributes", "buoy-1", "/3303/0/5700", "pmox=3"], "pmox"),
        (&["unobserve", "buoy-1", "/3303/0/5700"], "not observed"),
        (&["update", "buoy-1", "beef"], "there is no firmware beef"),
        (&["operation", "4711"], "there is no operation 4711"),
        (&["cancel-update", "4711"], "4711"),
        (&["events", "--types", "foo"], "there is no type \"foo\""),
    ] {
        let said = server.refuses(arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    for (code, arguments, words) in [
        (4, &["read", "nobody", "/3"][..], "no device named nobody"),
        (4, &["device", "nobody"], "no device named nobody"),
        (4, &["operations", "--endpoint", "nobody"], "no device named nobody"),
        (4, &["updates", "--endpoint", "nobody"], "no device named nobody"),
        (4, &["series", "nobody"], "no device named nobody"),
        (2, &["write", "buoy-1", "/3311/0/5850"], "PATH=VALUE"),
        (2, &["observe", "buoy-1", "/3/0/9", "--count", "0"], "--count"),
        (2, &["series", "buoy-1", "/3/0/9", "--step", "0"], "--step"),
        (2, &["operations", "--limit", "0"], "--limit"),
    ] {
        assert!(server.fails(code, arguments).contains(words), "{arguments:?}");
    }
    let output = common::buoy().args(["ctl", "--server", "http://127.0.0.1:1", "devices"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("http://127.0.0.1:1 cannot be reached") && said.contains("buoy serve"), "{said}");
}

#[test]
fn an_operation_for_a_sleeping_device_outlives_a_kill_of_the_server_and_can_be_cancelled() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let data = workshop.path("data");
    let mut server = Server::start_with(&data, &["--awake-time", "1"]);
    let coap = server.coap.clone();
    let _device =
        workshop.device(&server, "buoy-1", &factory, &["--queue", "--awake", "1", "--lifetime", "12"]);
    wait_until("sleep", || {
        server.client().device("buoy-1").is_ok_and(|device| device.state == buoy_api::DeviceState::Asleep)
    });
    let queued = server.ctl(&["read", "buoy-1", "/3/0/0", "--wait", "0"]);
    assert_eq!((queued.status.code(), queued.stdout.as_slice()), (Some(3), &b""[..]), "a value or nothing");
    assert!(String::from_utf8_lossy(&queued.stderr).contains("is queued until"));
    let second = server.ctl(&["--json", "read", "buoy-1", "/3/0/1", "--wait", "0"]);
    assert_eq!(second.status.code(), Some(3));
    let second: Value = serde_json::from_slice(&second.stdout).unwrap();
    let id = second["id"].to_string();

    server.kill();
    let server = Server::start_at(&coap, &data, &["--awake-time", "1"]);
    assert!(server.says(&["operations", "--open"]).contains("queued"));
    server.says(&["cancel", &id]);
    assert!(server.refuses(&["cancel", &id]).contains("ended already"));

    wait_until("the answer", || server.says(&["operations"]).contains("succeeded"));
    assert!(server.says(&["operation", &id]).contains("cancelled"));
}

#[test]
fn an_update_is_followed_to_its_end_be_it_good_or_bad() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let (good, bad) = (workshop.release("1.1.0", "good"), workshop.release("1.2.0", "fail-self-test"));
    let server = Server::start_with(&workshop.path("data"), &["--files", "127.0.0.1:0"]);
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    for image in [&good, &bad] {
        server.says(&["firmware", "upload", image.to_str().unwrap()]);
    }

    let told = server.says(&["update", "buoy-1", "1.1.0.bin", "--delivery", "pull-http"]);
    assert!(told.contains("downloading") && told.ends_with("buoy-1: updated\n"), "{told}");
    let refused = server.refuses(&["update", "buoy-1", "1.2.0.bin"]);
    assert!(refused.contains("buoy-1 was not updated: rolled back"), "{refused}");
    assert!(refused.contains("the new image failed its self-test"), "{refused}");
    assert_eq!(server.says(&["read", "buoy-1", "/3/0/3"]), "1.1.0\n");
    assert_eq!(server.says(&["read", "buoy-1", "/5/0/26241"]), "the new image failed its self-test\n");
    assert_eq!(server.says(&["read", "buoy-1", "/3/0/26241"]), "reboot\n");
    assert!(server.says(&["updates"]).contains("rolled_back"));
}

#[test]
fn a_stream_of_events_goes_on_where_it_was() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let read = StartOperation {
        endpoint: "buoy-1".into(),
        request: Request::Read { path: "/3/0/0".into(), format: None },
        deadline: None,
        wait: None,
    };
    let client = server.client();
    let follower = std::thread::spawn(move || {
        let mut told = Vec::new();
        let followed = client.events(Some("buoy-1"), Some("operation"), |event| {
            told.push(event);
            told.len() < 2
        });
        followed.map(|()| told)
    });
    // Until the stream has begun, which may be in the midst of an operation, and has told two events.
    let (started, mut made) = (buoy_now(), Vec::new());
    while !follower.is_finished() {
        made.push(server.client().start_operation(&read).unwrap().id);
    }
    for told in follower.join().unwrap().unwrap() {
        assert!(matches!(told.event, Event::Operation { id, .. } if made.contains(&id)), "{told:?}");
        // The server counts steadily from the date at its start, and this clock may have been slewed since.
        assert!((started - 1_000..=buoy_now() + 1_000).contains(&told.at), "{told:?}, not since {started}");
    }
    let start = curl(&server, "/api/v1/events", &[]);
    assert!(start.contains("\nid: "), "a reader knows from the start where it is: {start}");
    let again = curl(&server, "/api/v1/events", &[("Last-Event-ID", "0-7")]);
    assert!(again.contains("event: missed"), "{again}");
    let wrong = curl(&server, "/api/v1/events", &[("Last-Event-ID", "yesterday")]);
    assert!(wrong.contains("\"status\":400"), "{wrong}");
}

fn buoy_now() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since_epoch.as_millis() as u64
}

/// What a stream says in its first moment.
fn curl(server: &Server, path: &str, headers: &[(&str, &str)]) -> String {
    use std::io::{Read, Write};
    let address = server.http.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_request_with_an_idempotency_key_is_done_once() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let coap = server.coap.clone();
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    let execute = |path: &str| json!({"endpoint": "buoy-1", "request": {"execute": {"path": path}}});
    let post = |server: &Server, body: &Value| -> Result<Operation, ClientError> {
        let agent = server.client();
        agent.send_json_once("key-1", "/api/v1/operations", body)
    };
    let first = post(&server, &execute("/3/0/12")).unwrap();
    assert_eq!(post(&server, &execute("/3/0/12")).unwrap().id, first.id);
    server.kill();
    let server = Server::start_at(&coap, &data, &[]);
    assert_eq!(post(&server, &execute("/3/0/12")).unwrap().id, first.id, "a restart forgets no key");
    let other = post(&server, &execute("/3/0/4")).unwrap_err();
    assert!(matches!(other, ClientError::Refused { status: 422, .. }), "{other}");
}

#[test]
fn who_has_the_newest_answer_is_told_so() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let first = curl(&server, "/api/v1/devices", &[]);
    let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    let again = curl(&server, "/api/v1/devices", &[("If-None-Match", &tag)]);
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    let other = curl(&server, "/api/v1/devices", &[("If-None-Match", "\"x\"")]);
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
}
