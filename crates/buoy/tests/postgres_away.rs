//! A database that goes away under a running server, and comes back: nothing is acknowledged that is not saved, nobody hangs, nothing is
//! lost and nothing is done twice.
#![cfg(unix)]

mod common;

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use buoy_api::Operation;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_store::postgres::test_server::{Network, TestServer};
use common::{Server, Workshop, ready, register_request, serve_on, wait_until, words};
use serde_json::{Value, json};

/// No request may take longer, whatever the database does.
const LONGEST: Duration = Duration::from_secs(13);

/// A server and its database.
struct World {
    postgres: TestServer,
    workshop: Workshop,
    server: Server,
}

impl World {
    fn start() -> Option<Self> {
        let postgres = TestServer::start_or_skip(Network::None)?;
        let workshop = Workshop::new();
        let mut command = serve_on(&workshop.path("data"), &postgres.database("fleet"));
        let server = Server::spawn_logged(&mut command, &workshop.path("log"));
        Some(Self { postgres, workshop, server })
    }

    fn log_path(&self) -> PathBuf {
        self.workshop.path("log")
    }

    /// Lines of the log with these words.
    fn logged(&self, words: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.log_path()).unwrap();
        log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }

    /// The status and the text of an answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        self.ask_with_key(method, path, None, body).unwrap()
    }

    fn ask_with_key(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<(u16, String)> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.server.http));
        let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
        let request = request.header("Content-Type", "application/json");
        let began = Instant::now();
        let answer = match method {
            "GET" | "DELETE" => agent.run(request.body(()).unwrap()),
            _ => agent.run(request.body(body.to_string()).unwrap()),
        };
        assert!(began.elapsed() < LONGEST, "{method} {path} took {:?}", began.elapsed());
        let mut answer = answer.ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    /// Each of these needs the database.
    fn check_all_are_refused(&self, reason: &str) {
        std::thread::scope(|scope| {
            for (method, path, body) in CHANGES.iter().chain(QUESTIONS) {
                scope.spawn(move || {
                    let body: Value = serde_json::from_str(body).unwrap();
                    let (status, said) = self.ask(method, path, &body);
                    assert_eq!(status, 503, "{method} {path}: {said}");
                    assert!(said.contains(reason), "{method} {path}: {said}");
                });
            }
        });
    }

    /// And works at the first attempt.
    fn check_questions_are_answered(&self) {
        for (method, path, _) in QUESTIONS {
            let (status, said) = self.ask(method, path, &Value::Null);
            assert_eq!(status, 200, "{method} {path}: {said}");
        }
    }
}

const QUESTIONS: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/audit", "null"),
    ("GET", "/api/v1/operations", "null"),
    ("GET", "/api/v1/updates", "null"),
    ("GET", "/api/v1/credentials", "null"),
    ("GET", "/api/v1/devices/raw/series", "null"),
];

const CHANGES: &[(&str, &str, &str)] = &[
    ("POST", "/api/v1/operations", r#"{"endpoint": "raw", "request": {"read": {"path": "/3/0/0"}}}"#),
    (
        "POST",
        "/api/v1/credentials",
        r#"{"endpoint": "buoy-9", "purpose": "lwm2m", "proof": {"psk": {"key": "000102030405060708090a0b0c0d0e0f"}}}"#,
    ),
    (
        "PUT",
        "/api/v1/bootstrap/configs",
        r#"{"pattern": "buoy-9", "servers": [{"uri": "coaps://127.0.0.1:5684", "lifetime": 300, "binding": "U", "credentials": "mint_psk"}]}"#,
    ),
];

/// A device that does not answer.
struct Raw(UdpSocket);

impl Raw {
    fn new(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&server.coap).unwrap();
        Self(socket)
    }

    fn register(&self, name: &str, message_id: u16) {
        self.0.send(&register_request(name, message_id, &message_id.to_be_bytes())).unwrap();
    }

    /// An Update with another lifetime, which has to be saved.
    fn update(&self, location: &[u8], message_id: u16) {
        let mut buffer = [0; 64];
        let token = message_id.to_be_bytes();
        let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id, token: &token };
        let mut writer = MessageWriter::new(&mut buffer, header);
        writer.option(OptionNumber::URI_PATH, b"rd").option(OptionNumber::URI_PATH, location);
        let length = writer.option(OptionNumber::URI_QUERY, b"lt=4000").finish().unwrap();
        self.0.send(&buffer[..length]).unwrap();
    }

    /// The message ids of what is acknowledged within this time.
    fn acknowledged(&self, patience: Duration) -> Vec<u16> {
        self.answers(patience).into_iter().map(|(message_id, _)| message_id).collect()
    }

    /// The same, with the location that a registration got.
    fn answers(&self, patience: Duration) -> Vec<(u16, Vec<u8>)> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let (mut answers, mut buffer) = (Vec::new(), [0; 1500]);
        while let Ok(length) = self.0.recv(&mut buffer) {
            let message = Message::parse(&buffer[..length]).unwrap();
            if [Code::CREATED, Code::CHANGED].contains(&message.code()) {
                let path = message.options().filter(|(number, _)| *number == OptionNumber::LOCATION_PATH);
                answers.push((
                    message.message_id(),
                    path.last().map_or(Vec::new(), |(_, value)| value.to_vec()),
                ));
            }
        }
        answers.sort_unstable();
        answers.dedup();
        answers
    }
}

#[test]
fn a_database_that_stops_holds_up_what_must_be_saved_until_it_is_back() {
    let Some(world) = World::start() else { return };
    let factory = world.workshop.release("1.0.0", "good");
    let _device = world.workshop.device(&world.server, "buoy-1", &factory, &[]);
    let raw = Raw::new(&world.server);
    raw.register("raw", 1);
    let location = raw.answers(Duration::from_secs(1)).pop().unwrap().1;
    world.check_questions_are_answered();

    for round in 1..=2 {
        world.postgres.stop();
        // Nobody has to ask for something first.
        wait_until("not ready", || {
            ready(&world.server).is_err_and(|said| said.contains("cannot be reached"))
        });
        world.check_all_are_refused("cannot be reached");
        let (status, said) = world.ask("GET", "/api/v1/devices", &Value::Null);
        assert!(status == 200 && said.contains("buoy-1"), "what is in memory is answered: {said}");
        let late = format!("late-{round}");
        raw.register(&late, round + 10);
        raw.update(&location, round + 20);
        assert_eq!(raw.acknowledged(Duration::from_secs(2)), [0; 0], "what is not saved is not acknowledged");
        assert_eq!(world.logged("the store cannot be written").len(), usize::from(round));

        world.postgres.start_again();
        wait_until("ready again", || ready(&world.server).is_ok());
        world.check_questions_are_answered();
        assert_eq!(raw.acknowledged(Duration::from_secs(2)), [round + 10, round + 20]);
        assert!(world.server.devices().contains(&late));
        assert!(world.server.says(&["read", "buoy-1", "/3/0/3"]).contains("1.0.0"));
        let back = world.logged("the store can be written again, after");
        assert_eq!(back.len(), usize::from(round), "{back:?}");
    }
    assert_eq!(world.logged("ERROR").len(), 2, "{:?}", world.logged(""));
    let credentials = world.ask("GET", "/api/v1/credentials", &Value::Null).1;
    assert!(!credentials.contains("buoy-9"), "what was refused is not made afterwards: {credentials}");
}

/// Sessions are ended all the time, and in the middle the database crashes.
#[test]
fn what_is_asked_with_a_key_is_done_once_however_often_connections_end() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 30;
    let Some(world) = World::start() else { return };
    let raw = Raw::new(&world.server);
    raw.register("raw", 1);
    assert_eq!(raw.acknowledged(Duration::from_secs(1)), [1]);
    let is_over = AtomicBool::new(false);
    let (mut operations, mut credentials) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let world = &world;
                scope.spawn(move || {
                    let made = (0..REQUESTS).map(|number| done_once(world, client, number));
                    made.collect::<Vec<_>>()
                })
            })
            .collect();
        scope.spawn(|| {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = 'buoy' AND pid <> pg_backend_pid()";
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                world.postgres.run("fleet", end);
                if round == 15 {
                    world.postgres.stop();
                    std::thread::sleep(Duration::from_millis(1500));
                    world.postgres.start_again();
                }
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        let made: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        for (operation, credential) in made.into_iter().flat_map(Result::unwrap) {
            operations.push(operation);
            credentials.push(credential);
        }
    });
    wait_until("ready", || ready(&world.server).is_ok());
    let all = world.server.client().all::<Operation>("/api/v1/operations?limit=1000").unwrap();
    let mut made: Vec<u64> = all.iter().map(|operation| operation.id).collect();
    for ids in [&mut made, &mut operations, &mut credentials] {
        ids.sort_unstable();
    }
    assert_eq!(made, operations);
    let listed = world.server.client().credentials(None).unwrap();
    let mut listed: Vec<u64> = listed.iter().map(|credential| credential.id).collect();
    listed.sort_unstable();
    assert_eq!(listed, credentials);
    for action in ["operation.start", "credential.add"] {
        let entries =
            world.server.client().all::<Value>(&format!("/api/v1/audit?action={action}&limit=1000"));
        assert_eq!(entries.unwrap().len(), CLIENTS * REQUESTS, "{action}");
    }
}

/// Sends two requests, each until it is done. The ids of what they made.
fn done_once(world: &World, client: usize, number: usize) -> (u64, u64) {
    let key = format!("{client}-{number}");
    let values = json!([{"path": "/3/0/15", "value": key}]);
    let request = json!({"write": {"path": "/3/0/15", "values": values}});
    let operation = json!({"endpoint": "raw", "request": request, "wait": 0, "deadline": 86_400});
    let credential = json!({"endpoint": format!("buoy-{key}"), "purpose": "lwm2m", "proof": {"psk": {}}});
    let [operation, credential] = [("/api/v1/operations", operation), ("/api/v1/credentials", credential)]
        .map(|(path, body)| {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                assert!(Instant::now() < deadline, "{path} is never done");
                match world.ask_with_key("POST", path, Some(&key), &body) {
                    Some((200..=202, said)) => {
                        let made: Value = serde_json::from_str(&said).unwrap();
                        return made["id"].as_u64().unwrap();
                    }
                    // Away, or the one before is still under way.
                    Some((503 | 409, _)) | None => std::thread::sleep(Duration::from_millis(20)),
                    Some((status, said)) => panic!("{path}: {status} {said}"),
                }
            }
        });
    (operation, credential)
}

#[test]
fn a_database_that_is_silent_keeps_nobody_waiting_for_long() {
    let Some(world) = World::start() else { return };
    let raw = Raw::new(&world.server);
    raw.register("raw", 1);
    assert_eq!(raw.acknowledged(Duration::from_secs(1)), [1]);
    world.postgres.halt();
    raw.register("late", 2);
    wait_until("not ready", || ready(&world.server).is_err_and(|said| said.contains("has not answered for")));
    world.check_all_are_refused("has not answered for");
    assert_eq!(raw.acknowledged(Duration::from_millis(200)), [0; 0]);
    world.postgres.go_on();
    wait_until("ready again", || ready(&world.server).is_ok());
    assert_eq!(raw.acknowledged(Duration::from_secs(2)), [2]);
    world.check_questions_are_answered();
}

#[test]
fn a_database_that_became_a_standby_is_read_and_written_again_when_it_is_promoted() {
    let Some(world) = World::start() else { return };
    let raw = Raw::new(&world.server);
    raw.register("raw", 1);
    assert_eq!(raw.acknowledged(Duration::from_secs(1)), [1]);
    world.postgres.make_standby();
    wait_until("not ready", || ready(&world.server).is_err_and(|said| said.contains("is a standby")));
    world.check_questions_are_answered();
    let said = world.server.refuses(&["credentials", "add", "buoy-1"]);
    assert!(said.contains("is a standby") && said.contains("promote"), "{said}");
    world.postgres.run("fleet", "SELECT pg_promote()");
    wait_until("ready again", || ready(&world.server).is_ok());
    world.server.says(&["credentials", "add", "buoy-1"]);
}

/// The server says itself what it writes.
#[test]
fn a_database_whose_sessions_are_read_only_by_default_is_written_all_the_same() {
    let Some(world) = World::start() else { return };
    world.postgres.run("fleet", "ALTER DATABASE fleet SET default_transaction_read_only = on");
    world.postgres.stop();
    world.postgres.start_again();
    wait_until("ready again", || ready(&world.server).is_ok());
    world.server.says(&["credentials", "add", "buoy-1"]);
}

#[test]
fn a_database_that_is_away_at_the_start_is_waited_for() {
    let Some(postgres) = TestServer::start_or_skip(Network::None) else { return };
    let (url, folder) = (postgres.database("fleet"), tempfile::tempdir().unwrap());
    let serve = |extra: &[&str], url: &str| {
        let mut command = serve_on(&folder.path().join("data"), url);
        command.args(extra);
        command
    };
    postgres.stop();
    let output = serve(&["--store-patience", "0"], &url).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("cannot be reached"), "{}", words(&output));

    let log = folder.path().join("log");
    std::thread::scope(|scope| {
        let started = scope.spawn(|| Server::spawn_logged(&mut serve(&[], &url), &log));
        wait_until("it waits", || {
            std::fs::read_to_string(&log).is_ok_and(|said| said.contains("trying again for 60 s"))
        });
        postgres.start_again();
        started.join().unwrap().says(&["credentials", "add", "buoy-1"]);
    });

    // What does not pass by itself is told at once.
    let began = Instant::now();
    let output = serve(&[], &url.replace("fleet", "nowhere")).output().unwrap();
    let said = words(&output);
    assert!(said.contains("\"nowhere\" does not exist") && said.contains("cannot be used"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
