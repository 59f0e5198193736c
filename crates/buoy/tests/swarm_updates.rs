//! `buoy swarm --updates`: many devices take a package at once, and each reports what it runs after its reboot.
#![cfg(target_os = "linux")]

mod common;

use std::collections::HashMap;

use buoy_api::{Delivery, StartUpdate};
use common::{Server, Swarm, Workshop, wait_until};

const DEVICES: usize = 24;

fn swarm(server: &Server) -> Swarm {
    Swarm::start(server, DEVICES, &["--updates", "--seconds", "300"])
}

#[test]
fn devices_of_a_swarm_take_updates_by_push_and_by_pull_and_survive_a_kill_of_the_server() {
    let workshop = Workshop::new();
    let image = std::fs::read(workshop.release("2.0.0", "good")).unwrap();
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let _swarm = swarm(&server);
    wait_until("all are registered", || server.devices().len() == DEVICES);
    let firmware = server.client().upload_firmware(Some("2.0.0"), &image).unwrap();
    let start = |server: &Server, endpoint: &str, delivery| {
        server.client().start_update(&StartUpdate {
            endpoint: endpoint.to_owned(),
            firmware: firmware.digest.clone(),
            delivery,
            version: None,
            install_timeout: None,
            download_timeout: None,
        })
    };
    let mut updates = HashMap::new();
    for (number, endpoint) in server.devices().into_iter().enumerate() {
        let delivery = if number % 2 == 0 { Delivery::Push } else { Delivery::PullCoap };
        let update = start(&server, &endpoint, delivery).unwrap();
        updates.insert(endpoint, update.id);
    }
    // In the middle of it.
    let coap = server.coap.clone();
    server.kill();
    server = Server::start_at(&coap, &data, &[]);
    for (endpoint, id) in &updates {
        wait_until("the update ends", || server.client().update(*id).unwrap().ended);
        let update = server.client().update(*id).unwrap();
        assert_eq!(update.state, "updated", "{endpoint}: {}", update.detail);
        assert_eq!(update.old_version.as_deref(), Some("1.0.0"));
        assert_eq!(server.says(&["read", endpoint, "/3/0/3"]), "2.0.0\n");
    }
    // What runs the version already is left alone.
    let (endpoint, _) = updates.iter().next().unwrap();
    let again = start(&server, endpoint, Delivery::Push).unwrap();
    wait_until("it ends", || server.client().update(again.id).unwrap().ended);
    assert_eq!(server.client().update(again.id).unwrap().state, "already_running");
}

#[test]
fn a_slow_link_makes_an_update_long_and_a_device_that_fell_silent_does_not_answer() {
    let workshop = Workshop::new();
    let image = std::fs::read(workshop.release("2.0.0", "good")).unwrap();
    let server = Server::start(&workshop.path("data"));
    let flags = ["--updates", "--seconds", "300", "--slow", "200kbit", "--offline", "50%"];
    let _swarm = Swarm::start(&server, DEVICES, &flags);
    wait_until("all are registered", || server.devices().len() == DEVICES);
    let firmware = server.client().upload_firmware(Some("2.0.0"), &image).unwrap();
    let answers: Vec<String> = {
        let mut devices: Vec<String> = server.devices().into_iter().collect();
        devices.sort();
        let answers = |name: &String| server.ctl(&["read", name, "/3/0/3", "--wait", "3"]).status.success();
        devices.into_iter().take(8).filter(answers).collect()
    };
    assert!((1..8).contains(&answers.len()), "some of eight devices are silent: {answers:?}");
    let began = std::time::Instant::now();
    let update = server.client().start_update(&StartUpdate {
        endpoint: answers[0].clone(),
        firmware: firmware.digest,
        delivery: Delivery::PullCoap,
        version: None,
        install_timeout: None,
        download_timeout: None,
    });
    let id = update.unwrap().id;
    wait_until("the update ends", || server.client().update(id).unwrap().ended);
    assert_eq!(server.client().update(id).unwrap().state, "updated");
    let least = std::time::Duration::from_millis(image.len() as u64 * 8 / 200);
    assert!(began.elapsed() >= least, "{:?} for {} bytes", began.elapsed(), image.len());
}
