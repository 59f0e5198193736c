//! What operators note of devices, groups, and the filter language: through `buoy serve`, `/api/v1` and `buoy ctl`.

mod common;

use buoy_api::{ChangeDevice, Device, DeviceState, FilterMatch, Page};
use common::{Server, Workshop, wait_until};

fn names(server: &Server, filter: &str) -> Vec<String> {
    let path = format!("/api/v1/devices?filter={}", buoy_api::client::encode(filter));
    let page = server.client().get::<Page<Device>>(&path).unwrap();
    page.items.into_iter().map(|device| device.endpoint).collect()
}

/// What a command tells on standard error.
fn tells(server: &Server, arguments: &[&str]) -> String {
    String::from_utf8(server.ctl(arguments).stderr).unwrap()
}

#[test]
fn expected_devices_are_imported_found_by_filters_and_seen_when_they_register() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let data = workshop.path("data");
    let mut server = Server::start_with(&data, &["--survey", "on"]);
    server.says(&["group", "set", "north", "--description", "The northern field"]);
    let file = workshop.path("devices.csv");
    let rows = "endpoint,tags,groups,notes,field.site,ignored\n\
        b-1,red spare,north,\"first, of all\",Kiel,x\n\
        b-2,red,,,Husum,\n\
        c-1,blue,north,,,\n";
    std::fs::write(&file, rows).unwrap();
    let imported = tells(&server, &["import", file.to_str().unwrap()]);
    assert!(imported.contains("3 devices are new"), "{imported}");
    assert!(tells(&server, &["import", file.to_str().unwrap()]).contains("3 were so already"));

    let device = server.client().device("b-1").unwrap();
    assert_eq!((device.state, device.last_contact), (DeviceState::NeverSeen, 0));
    assert_eq!(device.notes, "first, of all");
    assert_eq!(names(&server, "tag = red and not seen for 2d"), ["b-1", "b-2"]);
    assert_eq!(names(&server, "state = never_seen and field.site = Kiel"), ["b-1"]);
    assert_eq!(names(&server, "group = north"), ["b-1", "c-1"]);
    assert!(server.says(&["devices", "group = north and tag != red"]).contains("c-1"));

    // A group by a filter, and one within another.
    server.says(&["group", "set", "red", "--filter", "tag = red", "--parent", "north"]);
    assert_eq!(names(&server, "group = north"), ["b-1", "b-2", "c-1"]);
    let refused = server.refuses(&["group", "set", "red", "--filter", "group = north", "--parent", "north"]);
    assert!(refused.contains("refers to the group itself"), "{refused}");
    assert!(server.refuses(&["group", "remove", "north"]).contains("refers to the group north"));
    let explained = server.says(&["filter", "explain", "group = red"]);
    assert!(explained.contains("2 of 3 devices"), "{explained}");
    let wrong = server.refuses(&["devices", "modell = x"]);
    assert!(wrong.contains("at character 1") && wrong.contains("did you mean \"model\""), "{wrong}");

    // One of them registers: what was noted of it stays.
    let running = workshop.device(&server, "b-1", &factory, &[]);
    wait_until("the device", || names(&server, "state = online and firmware < 1.1.0") == ["b-1"]);
    let change = ChangeDevice {
        remove_tags: vec!["spare".into()],
        remove_groups: vec!["north".into()],
        fields: [("site".to_owned(), None), ("depth".to_owned(), Some("12.5".to_owned()))].into(),
        ..ChangeDevice::default()
    };
    let changed: Device =
        server.client().send_json(ureq::http::Method::PATCH, "/api/v1/devices/b-1", &change).unwrap();
    assert_eq!((changed.tags, changed.groups), (vec!["red".to_owned()], vec![]));
    assert_eq!(names(&server, "field.depth > 12 and field.site is not set"), ["b-1"]);
    server.says(&["observe", "b-1", "/3303/0/5700", "--count", "1"]);
    wait_until("a value", || names(&server, "value(/3303/0/5700) > -100") == ["b-1"]);
    assert!(server.says(&["values", "b-1"]).contains("Sensor Value"));

    // All of it is there after a restart.
    drop(running);
    server.stop();
    let server = Server::start(&data);
    wait_until("its value", || names(&server, "group = north and value(/3303/0/5700) > -100") == ["b-1"]);
    let exported = server.says(&["export", "tag = red"]);
    assert!(exported.starts_with("endpoint,state,manufacturer,"), "{exported}");
    assert!(exported.contains("b-2,never_seen"), "{exported}");
    let found: FilterMatch = server.client().get("/api/v1/device-matches?filter=tag%20%3D%20blue").unwrap();
    assert_eq!((found.matches, found.of, found.examples), (1, 3, vec!["c-1".to_owned()]));
    let audit = server.says(&["audit"]);
    for action in ["device.import", "device.note", "group.put"] {
        assert!(audit.contains(action), "{audit}");
    }

    // What was only expected is gone when it is forgotten.
    server.says(&["forget", "c-1"]);
    server.says(&["group", "remove", "red"]);
    server.says(&["group", "remove", "north"]);
    assert_eq!(names(&server, "state = never_seen"), ["b-2"]);
    let refused = server.refuses(&["devices", "group = north"]);
    assert!(refused.contains("there is no group north"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_record_is_named_and_nothing_is_noted() {
    let workshop = Workshop::new();
    let server = Server::start(&workshop.path("data"));
    let import = |rows: &str| {
        let file = workshop.path("devices.csv");
        std::fs::write(&file, rows).unwrap();
        server.refuses(&["import", file.to_str().unwrap()])
    };
    assert!(import("name\nb-1\n").contains("line 1: it names the columns, and has no endpoint"));
    assert!(import("endpoint\nb-1\n\"\"\n").contains("line 3: an endpoint name has"));
    assert!(import("endpoint,tags\nb-1\n").contains("as many columns"));
    assert!(import("endpoint,groups\nb-1,nowhere\n").contains("there is no group nowhere"));
    assert!(import("endpoint,field.a b\nb-1,x\n").contains("b-1: the name of the field"));
    assert!(import("endpoint,tags\nb-1,\u{202e}x\n").contains("the tag"));
    let long = "x".repeat(9000);
    assert!(import(&format!("endpoint,notes\nb-1,{long}\n")).contains("more than 8192 bytes"));
    assert!(names(&server, "").is_empty());
    assert!(server.fails(4, &["note", "nobody", "--tag", "x"]).contains("no device named nobody"));
    assert!(server.refuses(&["group", "set", "a/b"]).contains("slashes"));
    assert!(server.refuses(&["group", "set", "a", "--filter", "state = odd"]).contains("never \"odd\""));
    assert!(server.refuses(&["filter", "save", "x", "(name = a"]).contains("at character 10"));
}

#[test]
fn a_device_goes_out_of_service_comes_back_and_gives_its_record_to_another_board() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    server.says(&["group", "set", "north"]);
    let running = workshop.device(&server, "b-1", &factory, &[]);
    wait_until("the device", || names(&server, "state = online") == ["b-1"]);
    server.says(&[
        "note",
        "b-1",
        "--tag",
        "red",
        "--group",
        "north",
        "--field",
        "site=Kiel",
        "--notes",
        "At the pier",
    ]);
    server.says(&["observe", "b-1", "/3303/0/5700", "--count", "1"]);
    wait_until("a value", || names(&server, "value(/3303/0/5700) > -100") == ["b-1"]);

    // Out of service: its registration ends, it can't register, and nothing counts it that does not ask for it.
    let told = tells(&server, &["retire", "b-1"]);
    assert!(told.contains("out of service"), "{told}");
    wait_until("it is out", || names(&server, "state = retired") == ["b-1"]);
    for filter in ["tag = red", "group = north", "value(/3303/0/5700) > -100"] {
        assert_eq!(names(&server, filter), [""; 0], "{filter}");
    }
    let counted = server.client().get::<serde_json::Value>("/api/v1/device-counts?by=state").unwrap();
    assert_eq!(counted["items"], serde_json::json!([]));
    assert!(server.refuses(&["job", "reboot", "all"]).contains("no device"));
    assert!(server.refuses(&["retire", "b-1"]).contains("bring-back b-1"));
    drop(running);
    server.kill();
    let server = Server::start(&data);
    assert_eq!(names(&server, "state = retired"), ["b-1"]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let register = |number: u16| {
        let mut buffer = [0; 256];
        socket.send(&common::register_request("b-1", number, &[1])).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        buoy_coap::wire::Message::parse(&buffer[..length]).unwrap().code()
    };
    assert_eq!(register(1), buoy_coap::number::Code::FORBIDDEN);
    server.says(&["bring-back", "b-1"]);
    assert_eq!(names(&server, "tag = red"), ["b-1"]);
    assert_eq!(register(2), buoy_coap::number::Code::CREATED);
    assert!(server.refuses(&["bring-back", "b-1"]).contains("in service"));

    // Its board is replaced.
    server.says(&["credentials", "add", "b-1"]);
    let file = workshop.path("devices.csv");
    std::fs::write(&file, "endpoint,tags,notes,field.site\nb-2,new,Of the second series,Husum\n").unwrap();
    server.says(&["import", file.to_str().unwrap()]);
    let asks = tells(&server, &["merge", "b-1", "b-2"]);
    assert!(asks.contains("--confirm b-1"), "{asks}");
    assert!(server.refuses(&["merge", "b-1", "b-2", "--confirm", "b-2"]).contains("can't be undone"));
    assert!(server.refuses(&["merge", "b-1", "b-1", "--confirm", "b-1"]).contains("own place"));
    assert!(server.fails(4, &["merge", "b-1", "b-9", "--confirm", "b-1"]).contains("no device named b-9"));
    server.says(&["merge", "b-1", "b-2", "--confirm", "b-1"]);
    let device = server.client().device("b-2").unwrap();
    assert_eq!((device.tags, device.groups), (vec!["new".into(), "red".into()], vec!["north".to_owned()]));
    assert_eq!((device.fields["site"].as_str(), &device.replaces[..]), ("Husum", &["b-1".to_owned()][..]));
    assert!(device.notes.contains("Of the second series") && device.notes.contains("At the pier"));
    let history = server.says(&["series", "b-2", "/3303/0/5700", "--json"]);
    assert!(history.contains("\"value\""), "{history}");
    let old = server.client().device("b-1").unwrap();
    assert_eq!((old.replaced_by.as_deref(), old.tags.len()), (Some("b-2"), 0));
    wait_until("it is out", || names(&server, "state = retired") == ["b-1"]);
    let credentials = server.client().credentials(Some("b-1")).unwrap();
    assert!(credentials.iter().all(|one| one.state == buoy_api::CredentialState::Revoked), "{credentials:?}");
    assert!(server.refuses(&["bring-back", "b-1"]).contains("took the place"));
    assert!(server.refuses(&["merge", "b-1", "b-2", "--confirm", "b-1"]).contains("took the place"));
    let audit = server.says(&["audit"]);
    for action in ["device.retire", "device.bring_back", "device.merge", "credential.revoke"] {
        assert!(audit.contains(action), "{action} in {audit}");
    }
}

#[test]
fn a_value_that_was_read_is_the_last_value_in_filters_and_after_a_restart() {
    let workshop = Workshop::new();
    let factory = workshop.release("1.0.0", "good");
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let running = workshop.device(&server, "b-1", &factory, &[]);
    wait_until("the device", || names(&server, "state = online") == ["b-1"]);
    assert_eq!(names(&server, "value(/3303/0/5700) is set"), [""; 0]);
    server.says(&["read", "b-1", "/3303"]);
    wait_until("its value", || names(&server, "value(/3303/0/5700) > -100") == ["b-1"]);
    let values = server.says(&["values", "b-1"]);
    assert!(values.contains("/3303/0/5700"), "{values}");
    server.says(&["write", "b-1", "/1/0/1=300"]);
    server.says(&["read", "b-1", "/1/0/1"]);
    wait_until("the lifetime", || names(&server, "value(/1/0/1) = 300") == ["b-1"]);
    drop(running);
    server.stop();
    let server = Server::start(&data);
    wait_until("its values", || {
        names(&server, "value(/3303/0/5700) > -100 and value(/1/0/1) = 300") == ["b-1"]
    });
    let series = server.says(&["series", "b-1", "/1/0/1", "--json"]);
    assert!(!series.contains("\"value\""), "a read is no series: {series}");

    // If they are kept, what is read has a series.
    let data = workshop.path("kept");
    let server = Server::start_with(&data, &["--keep-reads", "on"]);
    let _running = workshop.device(&server, "b-2", &factory, &[]);
    wait_until("the device", || names(&server, "state = online") == ["b-2"]);
    server.says(&["read", "b-2", "/1/0/1"]);
    server.says(&["read", "b-2", "/1/0/1"]);
    wait_until("two values", || {
        server.says(&["series", "b-2", "/1/0/1", "--json"]).matches("\"value\"").count() == 2
    });
}
