//! What a device was told has happened has happened, even if the server is killed at that instant.

mod common;

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::Duration;

use buoy_api::OperationState;
use buoy_coap::number::Code;
use buoy_coap::wire::Message;
use common::{Server, buoy, register_request, store_flags, wait_until};

const DEVICES: usize = 10_000;
/// Registrations that are under way at once.
const WINDOW: usize = 64;

fn register(number: usize) -> Vec<u8> {
    register_request(&name(number), number as u16, &(number as u32).to_be_bytes())
}

fn name(number: usize) -> String {
    format!("device-{number:05}")
}

/// Registers devices from `first` on until so many were acknowledged, and then kills the server. The acknowledged ones.
fn register_and_kill(mut server: Server, first: usize, acknowledgements: usize) -> Vec<usize> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut next = first;
    let mut send = |socket: &UdpSocket| {
        if next < DEVICES {
            socket.send(&register(next)).unwrap();
            next += 1;
        }
    };
    (0..WINDOW).for_each(|_| send(&socket));
    let (mut acknowledged, mut buffer) = (Vec::new(), [0; 256]);
    while acknowledged.len() < acknowledgements {
        let length = socket.recv(&mut buffer).unwrap();
        let answer = Message::parse(&buffer[..length]).unwrap();
        assert_eq!(answer.code(), Code::CREATED);
        acknowledged.push(u32::from_be_bytes(answer.token().try_into().unwrap()) as usize);
        send(&socket);
    }
    server.kill();
    // What the server had sent before it died counts too.
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while let Ok(length) = socket.recv(&mut buffer) {
        let answer = Message::parse(&buffer[..length]).unwrap();
        acknowledged.push(u32::from_be_bytes(answer.token().try_into().unwrap()) as usize);
    }
    acknowledged
}

#[test]
fn an_execute_that_was_under_way_when_the_server_died_has_an_end_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 256];
    socket.send(&register(1)).unwrap();
    socket.recv(&mut buffer).unwrap();
    let request = buoy_api::Request::Execute { path: "/3/0/4".into(), arguments: None };
    let operation = buoy_api::StartOperation { endpoint: name(1), request, deadline: None, wait: Some(0) };
    let id = server.client().start_operation(&operation).unwrap().id;
    // The device takes it, and does not answer.
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(Message::parse(&buffer[..length]).unwrap().code(), Code::POST);
    wait_until("it is sent", || server.client().operation(id).unwrap().state == OperationState::Sent);
    server.kill();
    for life in 0..2 {
        let mut server = Server::start(folder.path());
        wait_until("it has an end", || server.client().operation(id).unwrap().ended);
        assert_eq!(server.client().operation(id).unwrap().state, OperationState::Failed, "life {life}");
        server.kill();
    }
}

#[test]
fn every_device_that_got_its_2_01_is_there_after_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = HashSet::new();
    for (round, acknowledgements) in [100, 3000, 500, 2500, 3000].into_iter().enumerate() {
        let server = Server::start(folder.path());
        let there = server.devices();
        let missing: Vec<_> =
            told.iter().map(|number| name(*number)).filter(|name| !there.contains(name)).collect();
        assert!(
            missing.is_empty(),
            "after kill {round}: {} of {} are missing: {missing:?}",
            missing.len(),
            told.len()
        );
        let first = told.iter().max().map_or(0, |last| last + 1);
        let acknowledgements = acknowledgements.min(DEVICES - first);
        told.extend(register_and_kill(server, first, acknowledgements));
    }
    let mut server = Server::start(folder.path());
    let there = server.devices();
    let copy = folder.path().join("copy");
    let mut backup = buoy();
    backup.args(["backup", "--data"]).args([folder.path(), &copy]).args(store_flags(folder.path()));
    let backup = backup.status().unwrap();
    server.kill();
    assert!(backup.success());
    let mut restored = Server::start(&copy);
    assert_eq!(restored.devices(), there, "a backup holds what the server held");
    restored.kill();
    assert!(told.len() > 9000 && told.iter().all(|number| there.contains(&name(*number))));
}
