//! Jobs over a swarm: through `buoy serve`, `/api/v1` and `buoy ctl`.
#![cfg(target_os = "linux")]

mod common;

use buoy_api::{Job, JobState};
use common::{Server, Swarm, Workshop, wait_until};
use serde_json::{Value, json};
use ureq::http::Method;

fn swarm(server: &Server, devices: usize) -> Swarm {
    let swarm = Swarm::start(server, devices, &["--lifetime", "600", "--seconds", "600"]);
    wait_until("all are registered", || {
        let counts = server.client().get::<Value>("/api/v1/device-counts?by=state").unwrap();
        counts["items"][0]["count"].as_u64() == Some(devices as u64)
    });
    swarm
}

fn job(server: &Server, id: u64) -> Job {
    server.client().get(&format!("/api/v1/jobs/{id}")).unwrap()
}

#[test]
fn one_command_reaches_many_devices_and_says_what_became_of_it_on_each() {
    const DEVICES: usize = 300;
    let workshop = Workshop::new();
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let swarm = swarm(&server, DEVICES);
    let preview = server.says(&["job", "read", "all", "/3/0/3", "--dry-run"]);
    assert!(preview.contains("Read /3/0/3") && preview.contains("300"), "{preview}");
    assert_eq!(server.says(&["job", "list"]).lines().count(), 1);

    let done = server.says(&["job", "read", "all", "/3/0/3", "--wait", "--concurrent", "50"]);
    assert!(done.contains("300 of 300 devices did it"), "{done}");
    let devices = server.says(&["job", "devices", "1", "--stage", "succeeded"]);
    assert_eq!(devices.lines().count(), DEVICES + 1, "{devices}");
    // What they answered is kept with their operations.
    let operation = devices.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap();
    let answer = server.says(&["operation", operation]);
    assert!(answer.contains("/3/0/3") && answer.contains("1.0.0"), "{answer}");

    // What no device has, each refuses.
    let failed = server.refuses(&["job", "write", "name ~ \"swarm-00000*\"", "/3/0/0=x", "--wait"]);
    assert!(failed.contains("buoy ctl job show 2"), "{failed}");
    let shown = server.says(&["job", "show", "2"]);
    assert!(shown.contains("10 failed") && shown.contains("4.0"), "{shown}");
    let retried = server.says(&["job", "retry", "2"]);
    assert!(retried.contains("job 2 is running"), "{retried}");
    wait_until("it has ended again", || job(&server, 2).state == JobState::Done);

    // A restart in the middle loses nothing, and gives no device the command twice by itself.
    let made: Job = server
        .client()
        .send_json(
            Method::POST,
            "/api/v1/jobs",
            &json!({"request": {"read": {"path": "/3/0/0"}}, "concurrent": 5, "per_minute": 60}),
        )
        .unwrap();
    wait_until("some have it", || job(&server, made.id).counts.succeeded >= 20);
    let coap = server.coap.clone();
    server.kill();
    let server = Server::start_at(&coap, &data, &[]);
    wait_until("it goes on", || job(&server, made.id).counts.succeeded >= 70);
    let cancelled = server.says(&["job", "cancel", &made.id.to_string()]);
    assert!(cancelled.contains("were left out"), "{cancelled}");
    wait_until("it has ended", || job(&server, made.id).state == JobState::Cancelled);
    let counts = job(&server, made.id).counts;
    assert_eq!(counts.all(), DEVICES as u64);
    assert!(counts.succeeded >= 70 && counts.cancelled > 0, "{counts:?}");
    assert!(server.refuses(&["job", "cancel", &made.id.to_string()]).contains("the job is cancelled"));

    // Devices that are away are waited for.
    drop(swarm);
    server.says(&["job", "remove", &made.id.to_string()]);
    assert!(server.refuses(&["job", "show", &made.id.to_string()]).contains("there is no job 3"));
    let by_job = server.says(&["audit", "--action", "job"]);
    for action in ["job.start", "job.retry", "job.cancel", "job.remove"] {
        assert!(by_job.contains(action), "{action}: {by_job}");
    }
}

#[test]
fn what_can_not_be_undone_needs_the_number_of_devices_and_what_makes_no_sense_is_refused() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let _swarm = swarm(&server, 12);
    let refused = server.refuses(&["job", "factory-reset", "all"]);
    assert!(refused.contains("can't be undone, and 12 devices"), "{refused}");
    let refused = server.refuses(&["job", "delete", "all", "/3303/0", "--devices", "11"]);
    assert!(refused.contains("\"devices\" is 11, but 12 devices match"), "{refused}");
    assert!(server.refuses(&["job", "read", "modell = x", "/3/0/0"]).contains("at character 1"));
    assert!(server.refuses(&["job", "read", "group = nowhere", "/3/0/0"]).contains("no group nowhere"));
    assert!(server.refuses(&["job", "read", "name = nobody", "/3/0/0"]).contains("no device"));
    assert!(server.refuses(&["job", "read", "all", "/70000/0"]).contains("/70000/0"));
    assert!(server.refuses(&["job", "read", "all", "/3", "--concurrent", "0"]).contains("concurrent"));
    assert!(server.refuses(&["job", "attributes", "all", "/3/0/9", "pmn=1"]).contains("pmn"));
    assert_eq!(server.says(&["job", "list"]).lines().count(), 1);

    // The same request twice is one job.
    let body = serde_json::to_vec(&json!({"request": {"read": {"path": "/3/0/0"}}})).unwrap();
    let send = || -> Job {
        let headers = [("Idempotency-Key", "k-1")];
        let request = ureq::post(&format!("{}/api/v1/jobs", server.http));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut answer = request.header("Content-Type", "application/json").send(&body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    assert_eq!(send().id, send().id);
    let reset = server.says(&["job", "reboot", "name = swarm-000003", "--devices", "1"]);
    assert!(reset.contains("job 2 is running"), "{reset}");
}
