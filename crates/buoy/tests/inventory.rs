//! What is known of devices, whether they are registered or not: through `buoy serve`, `/api/v1` and `buoy ctl`.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use buoy_api::{DeviceCount, DeviceState, Page};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use common::{Server, Workshop, wait_until};

#[test]
fn a_device_is_asked_what_it_is_when_it_registers_and_after_an_update() {
    let workshop = Workshop::new();
    let (factory, next) = (workshop.release("1.0.0", "good"), workshop.release("1.1.0", "good"));
    let data = workshop.path("data");
    let mut server = Server::start_with(&data, &["--survey", "on"]);
    let device = workshop.device(&server, "buoy-1", &factory, &[]);
    let firmware = || server.client().device("buoy-1").ok().and_then(|device| device.firmware);
    wait_until("the device's firmware version", || firmware().as_deref() == Some("1.0.0"));

    server.says(&["firmware", "upload", next.to_str().unwrap()]);
    server.says(&["update", "buoy-1", "1.1.0.bin"]);
    wait_until("the new version", || firmware().as_deref() == Some("1.1.0"));
    let known = server.client().device("buoy-1").unwrap();
    assert!(known.manufacturer.is_some() && known.model.is_some() && known.serial.is_some(), "{known:?}");
    assert!(server.says(&["devices", "--firmware", "1.1.0"]).contains("buoy-1"));
    assert!(!server.says(&["devices", "--firmware", "1.0.0"]).contains("buoy-1"));
    assert!(server.says(&["device", "buoy-1"]).contains("serial number"));

    // What it said is known after a restart too, without being asked again.
    drop(device);
    server.stop();
    let server = Server::start(&data);
    let after = server.client().device("buoy-1").unwrap();
    assert_eq!((after.firmware, after.serial), (known.firmware, known.serial));
}

#[test]
fn a_device_that_has_left_is_known_until_somebody_forgets_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ask = |request: &[u8]| {
        socket.send_to(request, &server.coap).unwrap();
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    let answer = ask(&common::register_request("buoy-1", 1, b"t"));
    let refused = server.refuses(&["forget", "buoy-1"]);
    assert!(refused.contains("is registered"), "{refused}");
    let answer = Message::parse(&answer).unwrap();
    let mut buffer = [0; 256];
    let header = Header { kind: Kind::Confirmable, code: Code::DELETE, message_id: 2, token: b"u" };
    let mut writer = MessageWriter::new(&mut buffer, header);
    for segment in answer.values(OptionNumber::LOCATION_PATH) {
        writer.option(OptionNumber::URI_PATH, segment);
    }
    let length = writer.finish().unwrap();
    let answer = ask(&buffer[..length]);
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::DELETED);
    let is_offline = |server: &Server| {
        server.client().device("buoy-1").is_ok_and(|device| device.state == DeviceState::Offline)
    };
    wait_until("the device to leave", || is_offline(&server));
    let counts = server.client().get::<Page<DeviceCount>>("/api/v1/device-counts?by=state").unwrap().items;
    assert_eq!(counts, [DeviceCount { value: Some("offline".into()), count: 1 }]);
    assert!(server.says(&["devices", "--count-by", "state"]).contains("offline"));
    assert!(server.says(&["devices"]).contains("buoy-1"));
    assert!(!server.says(&["devices", "--state", "online", "--state", "asleep"]).contains("buoy-1"));

    server.stop();
    let server = Server::start(folder.path());
    assert!(is_offline(&server));
    server.says(&["forget", "buoy-1"]);
    assert!(server.fails(4, &["device", "buoy-1"]).contains("no device named buoy-1 is known"));
    assert!(server.says(&["audit"]).contains("device.forget"));
}
