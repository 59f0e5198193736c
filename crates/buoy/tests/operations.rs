//! What an operation costs, and what is so when its caller is told.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use buoy_api::{Operation, OperationState, Request, StartOperation, Update};
use common::{Server, Workshop, register_request, wait_until};
use serde_json::{Value, json};

fn read(wait: Option<u64>) -> StartOperation {
    let request = Request::Read { path: "/3/0/0".into(), format: None };
    StartOperation { endpoint: "buoy-1".into(), request, deadline: None, wait }
}

/// Transactions of the store since the server started.
fn commits(server: &Server) -> u64 {
    let page =
        ureq::get(format!("{}/metrics", server.http)).call().unwrap().body_mut().read_to_string().unwrap();
    let line = page.lines().find(|line| line.starts_with("buoy_store_commits_total ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_read_of_a_device_that_is_awake_costs_one_commit() {
    const READS: u64 = 100;
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    server.client().start_operation(&read(None)).unwrap();
    let before = commits(&server);
    for _ in 0..READS {
        let operation = server.client().start_operation(&read(None)).unwrap();
        assert_eq!(operation.state, OperationState::Succeeded);
        let kept: Operation = server.client().get(&format!("/api/v1/operations/{}", operation.id)).unwrap();
        assert_eq!((kept.state, kept.values), (operation.state, operation.values));
    }
    let cost = commits(&server) - before;
    // The times of last contact are saved beside, once in a second.
    assert!((READS..READS + 30).contains(&cost), "{cost} commits for {READS} reads");
}

#[test]
fn an_operation_that_was_taken_is_found_however_little_its_caller_waits() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _device = workshop.device(&server, "buoy-1", &factory, &[]);
    for _ in 0..50 {
        let operation = server.client().start_operation(&read(Some(0))).unwrap();
        let kept: Operation = server.client().get(&format!("/api/v1/operations/{}", operation.id)).unwrap();
        assert_eq!(kept.id, operation.id);
    }
}

/// Registers a device that never answers anything.
fn register_a_silent_device(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send(&register_request("silent", 1, b"t")).unwrap();
    socket.recv(&mut [0; 256]).unwrap();
    wait_until("the device", || server.client().device("silent").is_ok());
    socket
}

/// Sends a request with an idempotency key. The status and the body, if an answer came.
fn post(base: &str, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent.post(format!("{base}{path}")).header("Idempotency-Key", key);
    let mut answer = request.send_json(body).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), serde_json::from_str(&text).ok()?))
}

/// Sends the same request before and after a kill at some instants. The ids that it made.
fn ids_over_kills(path: &'static str, body: impl Fn(u32) -> Value) -> (Server, tempfile::TempDir, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let _device = register_a_silent_device(&server);
    let mut ids = Vec::new();
    for round in 0..8 {
        let (base, key, sent) = (server.http.clone(), format!("round {round}"), body(round));
        let first = std::thread::spawn(move || post(&base, path, &key, &sent));
        std::thread::sleep(Duration::from_millis(u64::from(round) * 3));
        server.kill();
        let before = first.join().unwrap();
        server = Server::start(folder.path());
        let (status, made) = post(&server.http, path, &format!("round {round}"), &body(round)).unwrap();
        assert!(status == 200 || status == 202, "round {round}: {status} {made}");
        let id = made["id"].as_u64().unwrap();
        if let Some((_, before)) = before {
            assert_eq!(before["id"].as_u64(), Some(id), "round {round}: what was told before the kill is so");
        }
        ids.push(id);
    }
    (server, folder, ids)
}

#[test]
fn a_request_with_an_idempotency_key_is_done_once_whenever_the_server_dies() {
    let (server, _folder, ids) = ids_over_kills("/api/v1/operations", |round| {
        let values = json!([{"path": "/3/0/15", "value": format!("Etc/{round}")}]);
        let request = json!({"write": {"path": "/3/0/15", "values": values}});
        json!({"endpoint": "silent", "request": request, "wait": 0, "deadline": 86_400})
    });
    let all = server.client().all::<Operation>("/api/v1/operations?limit=1000").unwrap();
    let mut made: Vec<u64> = all.iter().map(|operation| operation.id).collect();
    made.sort_unstable();
    assert_eq!(made, ids);
    // Its audit entry was committed with it.
    let audit: Value = server.client().get("/api/v1/audit?action=operation.start").unwrap();
    assert_eq!(audit["items"].as_array().unwrap().len(), ids.len(), "{audit}");
}

#[test]
fn an_update_with_an_idempotency_key_is_started_once_whenever_the_server_dies() {
    let workshop = Workshop::new();
    let image = workshop.release("1.1.0", "good");
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let _device = register_a_silent_device(&server);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let digest = server.client().firmware().unwrap().items[0].digest.clone();
    let body = json!({"endpoint": "silent", "firmware": digest, "delivery": "push"});
    for round in 0..6 {
        let (base, key, sent) = (server.http.clone(), format!("round {round}"), body.clone());
        let first = std::thread::spawn(move || post(&base, "/api/v1/updates", &key, &sent));
        std::thread::sleep(Duration::from_millis(round * 4));
        server.kill();
        first.join().unwrap();
        server = Server::start(folder.path());
        let (status, made) = post(&server.http, "/api/v1/updates", &format!("round {round}"), &body).unwrap();
        assert!(status == 200 || status == 202, "round {round}: {status} {made}");
        let id = made["id"].as_u64().unwrap();
        server.says(&["cancel-update", &id.to_string()]);
    }
    let all = server.client().all::<Update>("/api/v1/updates?limit=1000").unwrap();
    assert_eq!(all.len(), 6);
}
