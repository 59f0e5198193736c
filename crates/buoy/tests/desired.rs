//! Desired state over a swarm: through `buoy serve`, `/api/v1` and `buoy ctl`.
#![cfg(target_os = "linux")]

mod common;

use buoy_api::{DesiredCounts, DesiredState, DeviceSetting, Page};
use common::{Server, Swarm, Workshop, wait_until};

fn swarm(server: &Server, devices: usize) -> Swarm {
    Swarm::start(server, devices, &["--lifetime", "600", "--seconds", "600"])
}

fn counts(server: &Server, name: &str) -> DesiredCounts {
    server.client().get::<DesiredState>(&format!("/api/v1/desired-states/{name}")).unwrap().counts
}

fn settings(server: &Server, device: &str) -> Vec<DeviceSetting> {
    let path = format!("/api/v1/devices/{device}/desired-state");
    server.client().get::<Page<DeviceSetting>>(&path).unwrap().items
}

/// The lifetime that a device has.
fn lifetime_of(server: &Server, device: &str) -> String {
    String::from_utf8(server.ctl(&["read", device, "/1/0/1"]).stdout).unwrap()
}

fn operations(server: &Server) -> u64 {
    let newest = server.client().operations(None, None, 1).unwrap();
    newest.items.first().map_or(0, |operation| operation.id)
}

#[test]
fn devices_are_kept_as_they_are_wanted() {
    const DEVICES: u64 = 60;
    let workshop = Workshop::new();
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let first = swarm(&server, DEVICES as usize);
    let all = ["desired", "set", "all", "--filter", "all", "/1/0/1=700"];
    server.says(&[&all[..], &["--observe", "/3303/0/5700,pmin=5"]].concat());
    wait_until("all are in sync", || counts(&server, "all").in_sync == DEVICES);
    assert_eq!(lifetime_of(&server, "swarm-000007"), "700 s\n");
    let device = server.says(&["device", "swarm-000007"]);
    assert!(device.contains("/3303/0/5700"), "{device}");

    // Right after a change no device is said to be in sync that has the old value.
    for seconds in [701, 702, 703, 700] {
        server.says(&[
            "desired",
            "set",
            "all",
            "--filter",
            "all",
            &format!("/1/0/1={seconds}"),
            "--observe",
            "/3303/0/5700,pmin=5",
        ]);
        wait_until("all are in sync again", || counts(&server, "all").in_sync == DEVICES);
        assert_eq!(lifetime_of(&server, "swarm-000007"), format!("{seconds} s\n"));
    }

    // What is nearer to a device counts, and says what it overrides.
    server.says(&[
        "desired",
        "set",
        "near",
        "--filter",
        "name = swarm-000003",
        "--priority",
        "10",
        "/1/0/1=650",
    ]);
    wait_until("the device has it", || lifetime_of(&server, "swarm-000003") == "650 s\n");
    wait_until("it is in sync", || counts(&server, "near").in_sync == 1);
    let shown = server.says(&["desired", "device", "swarm-000003"]);
    let lifetime = shown.lines().find(|line| line.contains("/1/0/1")).unwrap().to_owned();
    assert!(lifetime.contains("650") && lifetime.contains("near") && lifetime.contains("all"), "{shown}");

    // What a device refuses is given up, with its reason, until a person says so.
    server.says(&["desired", "set", "wrong", "--filter", "name = swarm-000004", "/3/0/0=x"]);
    wait_until("it is given up", || counts(&server, "wrong").given_up == 1);
    let given_up = settings(&server, "swarm-000004");
    let reason = &given_up.iter().find(|it| it.wanted.path == "/3/0/0").unwrap().reason;
    assert!(reason.contains("4.05"), "{reason}");
    let stuck = server.says(&["desired", "devices", "wrong", "--progress", "given_up"]);
    let line = stuck.lines().nth(1).unwrap();
    assert!(line.contains("swarm-000004") && line.contains("/3/0/0") && line.contains("4.05"), "{stuck}");
    assert_eq!(server.says(&["desired", "devices", "wrong", "--progress", "in_sync"]).lines().count(), 1);
    assert_eq!(server.says(&["desired", "devices", "all"]).lines().count(), 1 + DEVICES as usize);
    assert!(server.says(&["desired", "list"]).contains("wrong"));
    server.says(&["desired", "retry", "swarm-000004"]);
    wait_until("it is given up again", || counts(&server, "wrong").given_up == 1);
    server.says(&["desired", "remove", "wrong"]);

    // After a restart nothing is asked again that is known.
    wait_until("all are in sync", || counts(&server, "all").in_sync == DEVICES);
    let before = operations(&server);
    let coap = server.coap.clone();
    server.kill();
    server = Server::start_at(&coap, &data, &[]);
    wait_until("all are found", || counts(&server, "all").in_sync == DEVICES);
    assert_eq!(operations(&server), before);

    // Devices that come back as they left the factory are made as they are wanted.
    drop(first);
    let _second = swarm(&server, DEVICES as usize);
    wait_until("the last is right", || lifetime_of(&server, "swarm-000059") == "700 s\n");
    wait_until("all are in sync again", || counts(&server, "all").in_sync == DEVICES);
    let audit = server.says(&["audit", "--action", "desired_state"]);
    assert!(audit.contains("desired_state.put") && audit.contains("desired_state.retry"), "{audit}");
    assert!(server.says(&["audit", "--principal", "desired state"]).contains("operation.start"));
    server.says(&["desired", "remove", "all"]);
    assert!(server.refuses(&["desired", "show", "all"]).contains("there is no desired state all"));
}

#[test]
fn what_makes_no_sense_for_any_device_is_refused() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let refused = |more: &[&str]| server.refuses(&[&["desired", "set", "x"], more].concat());
    assert!(refused(&["--filter", "modell = x", "/1/0/1=1"]).contains("at character 1"));
    assert!(refused(&["--filter", "all", "/1/0=1"]).contains("/1/0: a value is wanted of a resource"));
    assert!(refused(&["--filter", "all", "/1/0/1=soon"]).contains("/1/0/1"));
    assert!(refused(&["--filter", "all", "/1/0/1=1", "/1/0/1=2"]).contains("there twice"));
    assert!(refused(&["--filter", "all", "--observe", "/3303/0/5700,pmn=1"]).contains("pmn"));
    let wrong_use = server.ctl(&["desired", "set", "x", "--filter", "all", "--observe", "/3303/0/5700,pmin"]);
    assert_eq!(wrong_use.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong_use.stderr).contains("NAME=VALUE"));
    assert!(server.says(&["desired", "list"]).lines().count() == 1);
    assert!(server.refuses(&["desired", "retry", "nobody"]).contains("nobody"));
}
