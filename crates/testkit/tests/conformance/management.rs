//! int-201 to int-261: device management, but for the composites.

use buoy_client::firmware::{FirmwareUpdate, Protocol};
use buoy_client::{ClientConfig, Event, RebootReason};
use buoy_coap::number::Code;
use buoy_lwm2m::operation::{Content, Downlink, LwM2mVersion, WriteMode};
use buoy_lwm2m::value::{Value, ValueType};
use buoy_testkit::{Exchange, Shelf, World};

use crate::{
    CBOR, JSON, SENML_CBOR, SENML_JSON, TEXT, TLV, both, config, encoded, paths_in, value_in, with_container,
};

/// What every device tells of itself (3/0).
const DEVICE_RESOURCES: [&str; 8] =
    ["/3/0/0", "/3/0/1", "/3/0/2", "/3/0/3", "/3/0/11/0", "/3/0/14", "/3/0/15", "/3/0/16"];

/// What a server sets of its own account in the tests of the formats.
const SETTINGS: [(&str, Value<'_>); 4] = [
    ("/1/0/1", Value::Integer(600)),
    ("/1/0/2", Value::Integer(10)),
    ("/1/0/3", Value::Integer(60)),
    ("/1/0/5", Value::Integer(1000)),
];

#[test]
fn int_201_the_device_s_basic_information_is_queried_in_plain_text() {
    let mut world = World::registered();
    for (path, expected) in [("/3/0/0", "Buoy"), ("/3/0/1", "Mark 1"), ("/3/0/2", "0001")] {
        let read = world.read(path, TEXT);
        assert_eq!(read.lines(), both(&format!("GET {path} Accept=0"), "2.05 Content-Format=0"));
        assert_eq!((read.text().as_str(), read.reply().format), (expected, Some(TEXT)));
    }
}

#[test]
fn why_the_device_started_is_a_resource_if_it_knows() {
    let mut world = World::registered();
    assert_eq!(world.read("/3/0/26241", TEXT).code(), Code::NOT_FOUND);
    world.device().objects.device.reset_reason = buoy_client::text::Text::clipped("watchdog");
    assert_eq!(world.read("/3/0/26241", TEXT).text(), "watchdog");
}

#[test]
fn int_203_the_device_s_basic_information_is_queried_in_tlv() {
    let mut world = World::registered();
    let read = world.read("/3/0", TLV);
    assert_eq!(read.lines(), both("GET /3/0 Accept=11542", "2.05 Content-Format=11542"));
    assert_eq!(paths_in(TLV, "/3/0", read.payload()), DEVICE_RESOURCES);
    let model = value_in(TLV, "/3/0", read.payload(), "/3/0/1", ValueType::String);
    assert_eq!(model, r#"String("Mark 1")"#);
}

#[test]
fn int_204_the_device_s_basic_information_is_queried_in_json() {
    let mut world = World::registered();
    let read = world.read("/3/0", JSON);
    assert_eq!(read.lines(), both("GET /3/0 Accept=11543", "2.05 Content-Format=11543"));
    assert_eq!(paths_in(JSON, "/3/0", read.payload()), DEVICE_RESOURCES);
    assert!(read.text().starts_with(r#"{"bn":"/3/0/","e":[{"n":"0","sv":"Buoy"}"#), "{}", read.text());
}

#[test]
fn int_205_settings_are_written_in_plain_text() {
    let mut world = World::registered();
    for (path, text) in [("/1/0/1", "600"), ("/1/0/2", "10"), ("/1/0/3", "60"), ("/1/0/5", "1000")] {
        let write = world.write_text(path, text);
        assert_eq!(write.lines(), both(&format!("PUT {path} Content-Format=0"), "2.04"));
        assert_eq!(write.request.text(), text);
        assert_eq!(world.read(path, TEXT).text(), text);
    }
}

#[test]
fn int_211_a_resource_is_queried_in_cbor() {
    let mut world = World::registered();
    let read = world.read("/3/0/0", CBOR);
    assert_eq!(read.lines(), both("GET /3/0/0 Accept=60", "2.05 Content-Format=60"));
    assert_eq!(read.payload(), b"\x64Buoy");
    assert_eq!(world.read("/1/0/1", CBOR).payload(), [0x19, 0x01, 0x2c]);
}

#[test]
fn int_212_a_resource_is_set_in_cbor() {
    let mut world = World::registered();
    let write = world.write("/1/0/2", WriteMode::Replace, CBOR, &[0x18, 42]);
    assert_eq!(write.lines(), both("PUT /1/0/2 Content-Format=60", "2.04"));
    assert_eq!(world.read("/1/0/2", TEXT).text(), "42");
}

/// Sets several values of an instance at once, in one format, and reads them back.
fn set_in(format: buoy_coap::number::ContentFormat) {
    let mut world = World::registered();
    let payload = encoded(format, "/1/0", &SETTINGS);
    let write = world.write("/1/0", WriteMode::PartialUpdate, format, &payload);
    assert_eq!(write.lines(), both(&format!("POST /1/0 Content-Format={}", format.0), "2.04"));
    for (path, value) in SETTINGS {
        assert_eq!(format!("Integer({})", world.read(path, TEXT).text()), format!("{value:?}"));
    }
    assert_eq!(world.read("/1/0/7", TEXT).text(), "U", "what was not named is as it was");
}

#[test]
fn int_215_settings_are_written_in_tlv() {
    set_in(TLV);
}

#[test]
fn int_220_settings_are_written_in_json() {
    set_in(JSON);
}

#[test]
fn int_221_every_operation_on_the_security_object_is_refused() {
    let mut world = World::registered();
    let refused =
        |exchange: Exchange| assert_eq!(exchange.code(), Code::UNAUTHORIZED, "{}", exchange.request.line());
    for path in ["/0", "/0/0", "/0/0/0"] {
        refused(world.read(path, TLV));
        refused(world.perform(&Downlink::Discover { path: path.parse().unwrap(), depth: None }));
        refused(world.write_attributes(path, &["pmin=1"]));
        refused(world.observe(path, TLV));
    }
    refused(world.write_text("/0/0/0", "coap://example.org"));
    refused(world.execute("/0/0/0"));
    let content = Content { format: TLV, payload: &[] };
    refused(world.perform(&Downlink::Create { path: "/0".parse().unwrap(), content }));
    refused(world.perform(&Downlink::Delete { path: "/0/0".parse().unwrap() }));
    assert!(world.server.shard.observations("buoy-1").is_empty());
}

#[test]
fn int_222_an_object_is_read() {
    let mut world = World::registered();
    let read = world.read("/3303", SENML_CBOR);
    assert_eq!(read.lines(), both("GET /3303 Accept=112", "2.05 Content-Format=112"));
    let paths = paths_in(SENML_CBOR, "/3303", read.payload());
    assert_eq!(paths.len(), 14);
    assert!(paths.contains(&"/3303/0/5700".into()) && paths.contains(&"/3303/1/5700".into()));
}

#[test]
fn int_223_an_object_instance_is_read() {
    let mut world = World::registered();
    let read = world.read("/3303/1", TLV);
    assert_eq!(read.lines(), both("GET /3303/1 Accept=11542", "2.05 Content-Format=11542"));
    assert_eq!(paths_in(TLV, "/3303/1", read.payload()).len(), 7);
    assert_eq!(world.read("/3303/2", TLV).code(), Code::NOT_FOUND);
}

#[test]
fn int_224_a_resource_is_read() {
    let mut world = World::registered();
    let read = world.read("/3303/0/5700", SENML_JSON);
    assert_eq!(read.lines(), both("GET /3303/0/5700 Accept=110", "2.05 Content-Format=110"));
    assert_eq!(read.text(), r#"[{"bn":"/3303/0/5700","v":20}]"#);
    assert_eq!(world.read("/3303/0/5999", SENML_JSON).code(), Code::NOT_FOUND);
}

#[test]
fn int_225_a_resource_instance_is_read() {
    let mut world = with_container();
    let read = world.read("/19/0/0/1", SENML_JSON);
    assert_eq!(read.lines(), both("GET /19/0/0/1 Accept=110", "2.05 Content-Format=110"));
    assert_eq!(read.text(), r#"[{"bn":"/19/0/0/1","vd":"dHdv"}]"#);
    assert_eq!(world.read("/19/0/0/7", SENML_JSON).code(), Code::NOT_FOUND);
}

#[test]
fn int_226_a_partial_update_leaves_the_other_resources_alone() {
    let mut world = with_container();
    let payload = encoded(TLV, "/19/0", &[("/19/0/3", Value::String("changed"))]);
    let write = world.write("/19/0", WriteMode::PartialUpdate, TLV, &payload);
    assert_eq!(write.lines(), both("POST /19/0 Content-Format=11542", "2.04"));
    assert_eq!(world.read("/19/0/3", TEXT).text(), "changed");
    assert_eq!(paths_in(TLV, "/19/0", world.read("/19/0", TLV).payload()).len(), 3);
}

#[test]
fn int_227_a_multiple_resource_is_replaced_with_all_its_instances() {
    let mut world = with_container();
    let payload = encoded(TLV, "/19/0/0", &[("/19/0/0/5", Value::Opaque(b"five"))]);
    let write = world.write("/19/0/0", WriteMode::Replace, TLV, &payload);
    assert_eq!(write.lines(), both("PUT /19/0/0 Content-Format=11542", "2.04"));
    assert_eq!(paths_in(TLV, "/19/0/0", world.read("/19/0/0", TLV).payload()), ["/19/0/0/5"]);
    let zone = world.write_text("/3/0/15", "Europe/Berlin");
    assert_eq!(zone.lines(), both("PUT /3/0/15 Content-Format=0", "2.04"));
    assert_eq!(world.read("/3/0/15", TEXT).text(), "Europe/Berlin");
}

#[test]
fn int_228_a_resource_instance_is_written() {
    let mut world = with_container();
    let write =
        world.write("/19/0/0/1", WriteMode::Replace, buoy_coap::number::ContentFormat::OCTET_STREAM, b"TWO");
    assert_eq!(write.lines(), both("PUT /19/0/0/1 Content-Format=42", "2.04"));
    let container = world.device().objects.container.as_ref().unwrap();
    assert_eq!(container.instances[&0].0[&0], b"one");
    assert_eq!(container.instances[&0].0[&1], b"TWO");
}

#[test]
fn int_231_the_device_s_basic_information_is_queried_in_senml_json() {
    let mut world = World::registered();
    let read = world.read("/3/0", SENML_JSON);
    assert_eq!(read.lines(), both("GET /3/0 Accept=110", "2.05 Content-Format=110"));
    assert_eq!(paths_in(SENML_JSON, "/3/0", read.payload()), DEVICE_RESOURCES);
    assert!(read.text().starts_with(r#"[{"bn":"/3/0/","n":"0","vs":"Buoy"},"#), "{}", read.text());
}

#[test]
fn int_232_the_device_s_basic_information_is_queried_in_senml_cbor() {
    let mut world = World::registered();
    let read = world.read("/3/0", SENML_CBOR);
    assert_eq!(read.lines(), both("GET /3/0 Accept=112", "2.05 Content-Format=112"));
    assert_eq!(paths_in(SENML_CBOR, "/3/0", read.payload()), DEVICE_RESOURCES);
    let serial = value_in(SENML_CBOR, "/3/0", read.payload(), "/3/0/2", ValueType::String);
    assert_eq!(serial, r#"String("0001")"#);
}

#[test]
fn int_233_settings_are_written_in_senml_cbor() {
    set_in(SENML_CBOR);
}

#[test]
fn int_234_settings_are_written_in_senml_json() {
    set_in(SENML_JSON);
}

#[test]
fn int_237_a_read_without_accept_is_answered_in_a_format_of_the_device_s_version() {
    for (version, format) in
        [(LwM2mVersion::V1_0, TLV), (LwM2mVersion::V1_1, SENML_CBOR), (LwM2mVersion::V1_2, SENML_CBOR)]
    {
        let mut world = World::registered_with(ClientConfig { version, ..config() });
        let read = world.perform(&Downlink::Read { path: "/3303".parse().unwrap(), accept: None });
        assert_eq!(read.lines(), both("GET /3303", &format!("2.05 Content-Format={}", format.0)));
        assert_eq!(paths_in(format, "/3303", read.payload()).len(), 14);
    }
}

#[test]
fn int_241_a_reboot_is_acknowledged_and_then_the_device_registers_anew() {
    let mut world = World::registered();
    let old = world.device().client.location(buoy_testkit::ONLY_SERVER).unwrap().to_string();
    let reboot = world.execute("/3/0/4");
    assert_eq!(reboot.lines(), both("POST /3/0/4", "2.04"));
    assert!(world.device().saw(Event::Reboot(RebootReason::Requested)));
    world.wait(5);
    assert!(world.is_registered());
    let device = world.device();
    assert_eq!(device.reboots, 1);
    assert_ne!(device.client.location(buoy_testkit::ONLY_SERVER).unwrap().to_string(), old);
}

#[test]
fn int_256_a_write_that_can_t_be_done_fails_and_says_why() {
    let mut world = World::registered();
    for (path, text, code) in [
        ("/3/0/0", "x", Code::METHOD_NOT_ALLOWED),
        ("/3/0/4", "x", Code::METHOD_NOT_ALLOWED),
        ("/3/0/99", "x", Code::NOT_FOUND),
        ("/9999/0/0", "x", Code::NOT_FOUND),
        ("/3/0/14", "noon", Code::BAD_REQUEST),
        ("/3311/0/5851", "101", Code::BAD_REQUEST),
    ] {
        let write = world.write_text(path, text);
        assert_eq!(write.lines(), both(&format!("PUT {path} Content-Format=0"), &code.to_string()));
        assert!(!write.text().is_empty(), "{path}: the device says why");
    }
    let unknown = world.write("/3/0/14", WriteMode::Replace, buoy_coap::number::ContentFormat(9999), b"x");
    assert_eq!(unknown.code(), Code::UNSUPPORTED_CONTENT_FORMAT);
}

#[test]
fn why_an_update_failed_is_a_resource_while_there_is_something_to_say() {
    const REASON: &str = "/5/0/26241";
    let mut world = World::new(1);
    let shelf = Shelf { rolled_back: Some("the new image failed its self-test"), ..Shelf::default() };
    world.device().objects.firmware = Some(FirmwareUpdate::new(shelf, &[Protocol::Coap]));
    world.start();
    assert_eq!(world.read("/5/0/5", TEXT).text(), "8");
    assert_eq!(world.read(REASON, TEXT).text(), "the new image failed its self-test");
    let found = world.perform(&Downlink::Discover { path: "/5/0".parse().unwrap(), depth: None });
    assert!(found.text().ends_with(",</5/0/26241>"), "{}", found.text());
    // The next order takes it away, and the next failure has words of its own.
    assert_eq!(world.write_text("/5/0/1", "coap://192.0.2.1/fw/no-such-file").code(), Code::CHANGED);
    assert_eq!(world.read(REASON, TEXT).code(), Code::NOT_FOUND);
    world.wait(30);
    assert_eq!(world.read("/5/0/5", TEXT).text(), "7");
    assert_eq!(world.read(REASON, TEXT).text(), "there is no such package, or the URI makes no sense");
    // What only the shell knows, as the cause of the chip's reset, it says itself.
    let now = world.now;
    let device = world.device();
    let firmware = device.objects.firmware.as_mut().unwrap();
    firmware.explain_failure(&mut device.client.context(now), "the watchdog reset the new image");
    assert_eq!(world.read(REASON, TEXT).text(), "the watchdog reset the new image");
}

#[test]
fn int_260_discover_lists_what_is_there_with_attributes() {
    let mut world = with_container();
    let attributes = world.write_attributes("/3303/0/5700", &["pmin=10", "pmax=60", "gt=30.5"]);
    assert_eq!(attributes.lines(), both("PUT /3303/0/5700?pmin=10&pmax=60&gt=30.5", "2.04"));
    let mut discover = |path: &str, depth| {
        let found = world.perform(&Downlink::Discover { path: path.parse().unwrap(), depth });
        let query = depth.map_or(String::new(), |depth: u8| format!("?depth={depth}"));
        assert_eq!(found.lines(), both(&format!("GET {path}{query} Accept=40"), "2.05 Content-Format=40"));
        found.text()
    };
    assert_eq!(discover("/3303/0/5700", None), "</3303/0/5700>;pmin=10;pmax=60;gt=30.5");
    let instance = discover("/3303/0", None);
    assert!(instance.starts_with("</3303/0>,</3303/0/5601>,"), "{instance}");
    assert!(instance.contains("</3303/0/5700>;pmin=10;pmax=60;gt=30.5,"), "{instance}");
    let object = discover("/3303", None);
    assert!(
        object.starts_with("</3303>;ver=1.1,</3303/0>,") && object.contains(",</3303/1/5605>,"),
        "{object}"
    );
    assert_eq!(discover("/19/0/0", None), "</19/0/0>;dim=2,</19/0/0/0>,</19/0/0/1>");
    assert_eq!(discover("/3303", Some(1)), "</3303>;ver=1.1,</3303/0>,</3303/1>");
}

#[test]
fn int_261_attributes_are_written_on_a_multiple_resource_and_its_instances() {
    let mut world = with_container();
    let write = world.write_attributes("/19/0/0", &["pmin=5"]);
    assert_eq!(write.lines(), both("PUT /19/0/0?pmin=5", "2.04"));
    let write = world.write_attributes("/19/0/0/1", &["pmax=50"]);
    assert_eq!(write.lines(), both("PUT /19/0/0/1?pmax=50", "2.04"));
    let found = world.perform(&Downlink::Discover { path: "/19/0/0".parse().unwrap(), depth: None });
    assert_eq!(found.text(), "</19/0/0>;dim=2;pmin=5,</19/0/0/0>,</19/0/0/1>;pmax=50");
    world.write_attributes("/19/0/0", &["pmin"]);
    let found = world.perform(&Downlink::Discover { path: "/19/0/0".parse().unwrap(), depth: None });
    assert_eq!(found.text(), "</19/0/0>;dim=2,</19/0/0/0>,</19/0/0/1>;pmax=50");
}

#[test]
fn an_instance_is_created_and_deleted_and_the_server_learns_of_both() {
    let mut world = with_container();
    let payload = encoded(SENML_JSON, "/19", &[("/19/4/3", Value::String("new"))]);
    let content = Content { format: SENML_JSON, payload: &payload };
    let create = world.perform(&Downlink::Create { path: "/19".parse().unwrap(), content });
    let answer = "2.01 Location-Path=19 Location-Path=4";
    assert_eq!(create.lines(), both("POST /19 Content-Format=110", answer));
    assert_eq!(create.reply().location, "19/4");
    world.wait(1);
    let objects =
        |world: &World| world.server.shard.registration("buoy-1").unwrap().objects.text().to_owned();
    assert!(objects(&world).contains("</19/4>"), "{}", objects(&world));
    let delete = world.perform(&Downlink::Delete { path: "/19/4".parse().unwrap() });
    assert_eq!(delete.lines(), both("DELETE /19/4", "2.02"));
    world.wait(1);
    assert!(!objects(&world).contains("</19/4>"));
}
