//! Device management, driven by hand (int-201 to int-281).

mod world;

use buoy_client::access::{AccessControl, Rights};
use buoy_client::{ClientConfig, Event, RebootReason, Server};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_lwm2m::format::{Encoder, decode};
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};
use world::{FIRST, SECOND, Sent, World};

const TEXT: ContentFormat = ContentFormat::TEXT;
const TLV: ContentFormat = ContentFormat::TLV;
const SENML_JSON: ContentFormat = ContentFormat::SENML_JSON;
const SENML_CBOR: ContentFormat = ContentFormat::SENML_CBOR;

fn paths_in(answer: &Sent, base: &str) -> Vec<String> {
    let items = decode(answer.format().unwrap(), base.parse().unwrap(), answer.payload()).unwrap();
    items.map(|item| item.unwrap().path.to_string()).collect()
}

fn encoded(format: ContentFormat, base: Path, values: &[(Path, Value<'_>)]) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let mut encoder = Encoder::new(format, base, &mut buffer).unwrap();
    for (path, value) in values {
        encoder.push(*path, value, None).unwrap();
    }
    let length = encoder.finish().unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn int_201_resources_are_read_in_plain_text() {
    let mut world = World::registered();
    assert_eq!(world.read_text("/3/0/0"), "Buoy");
    assert_eq!(world.read_text("/3303/0/5700"), "20");
    assert_eq!(world.read_text("/3311/0/5850"), "0");
}

#[test]
fn int_203_instances_are_read_in_tlv() {
    let mut world = World::registered();
    let answer = world.read("/3303/0", TLV);
    assert_eq!((answer.code(), answer.format()), (Code::CONTENT, Some(TLV)));
    assert_eq!(
        paths_in(&answer, "/3303/0"),
        [
            "/3303/0/5601",
            "/3303/0/5602",
            "/3303/0/5603",
            "/3303/0/5604",
            "/3303/0/5700",
            "/3303/0/5701",
            "/3303/0/5750"
        ]
    );
}

#[test]
fn int_204_instances_are_read_in_the_json_of_1_0() {
    let mut world = World::registered();
    let answer = world.read("/3303/0/5700", ContentFormat::LWM2M_JSON);
    assert_eq!(answer.text(), r#"{"bn":"/3303/0/5700","e":[{"v":20}]}"#);
}

#[test]
fn int_205_a_resource_is_set_in_plain_text() {
    let mut world = World::registered();
    assert_eq!(world.write_text("/3311/0/5851", "40"), Code::CHANGED);
    assert_eq!(world.write_text("/3311/0/5850", "1"), Code::CHANGED);
    assert_eq!(world.device.objects.light.level(0), Some(40));
}

#[test]
fn int_211_and_212_a_resource_is_read_and_set_in_cbor() {
    let mut world = World::registered();
    let answer = world.read("/3303/0/5700", ContentFormat::CBOR);
    assert_eq!(answer.payload()[0] >> 5, 7, "a floating-point number");
    assert_eq!(
        world.write(Code::PUT, "/3311/0/5851", ContentFormat::CBOR, &[0x18, 40]).code(),
        Code::CHANGED
    );
    assert_eq!(world.read_text("/3311/0/5851"), "40");
}

#[test]
fn int_215_220_233_and_234_values_are_set_in_every_format() {
    let dimmer = Path::resource(3311, 0, 5851);
    let lamp = Path::instance(3311, 0);
    for (level, format) in [
        (10, TLV),
        (20, ContentFormat::LWM2M_JSON),
        (30, SENML_CBOR),
        (40, SENML_JSON),
        (50, ContentFormat::LWM2M_CBOR),
    ] {
        let mut world = World::registered();
        let values = [(Path::resource(3311, 0, 5850), Value::Boolean(true)), (dimmer, Value::Integer(level))];
        let payload = encoded(format, lamp, &values);
        let answer = world.write(Code::POST, "/3311/0", format, &payload);
        assert_eq!(answer.code(), Code::CHANGED, "{format:?}: {}", answer.text());
        assert_eq!(world.device.objects.light.level(0), Some(level as u8), "{format:?}");
    }
}

#[test]
fn int_221_no_server_gets_at_the_security_object() {
    let mut world = World::registered();
    for path in ["/0", "/0/0", "/0/0/0"] {
        assert_eq!(world.read(path, TLV).code(), Code::UNAUTHORIZED, "read {path}");
        assert_eq!(world.read(path, ContentFormat::LINK).code(), Code::UNAUTHORIZED, "discover {path}");
        assert_eq!(world.write_attributes(path, &["pmin=1"]), Code::UNAUTHORIZED, "attributes {path}");
    }
    assert_eq!(world.write_text("/0/0/0", "coap://evil"), Code::UNAUTHORIZED);
    assert_eq!(world.execute("/0/0/3"), Code::UNAUTHORIZED);
    assert_eq!(world.write(Code::POST, "/0", TLV, &[]).code(), Code::UNAUTHORIZED);
    assert_eq!(world.ask(Code::DELETE, "/0/0", &[], b"").code(), Code::UNAUTHORIZED);
    assert_eq!(world.observe("/0/0", b"o", TLV).code(), Code::UNAUTHORIZED);
}

#[test]
fn int_222_223_224_and_225_reads_on_every_level() {
    let mut world = World::registered();
    let object = world.read("/3303", SENML_JSON);
    assert!(paths_in(&object, "/3303").contains(&"/3303/1/5700".into()));
    assert_eq!(paths_in(&world.read("/3303/1", SENML_CBOR), "/3303/1").len(), 7);
    assert_eq!(world.read_text("/3/0/1"), "Mark 1");
    let errors = world.read("/3/0/11", TLV);
    assert_eq!(paths_in(&errors, "/3/0/11"), ["/3/0/11/0"]);
    assert_eq!(world.read_text("/3/0/11/0"), "0");
    assert_eq!(world.read("/3/0/11/5", TEXT).code(), Code::NOT_FOUND);
}

#[test]
fn int_226_a_partial_update_leaves_the_rest_as_it_is() {
    let mut world = World::registered();
    world.write_text("/3/0/15", "Europe/Berlin");
    let payload = encoded(TLV, Path::instance(3, 0), &[(Path::resource(3, 0, 14), Value::String("+02:00"))]);
    assert_eq!(world.write(Code::POST, "/3/0", TLV, &payload).code(), Code::CHANGED);
    assert_eq!(
        (world.read_text("/3/0/14"), world.read_text("/3/0/15")),
        ("+02:00".into(), "Europe/Berlin".into())
    );
}

#[test]
fn int_227_a_resource_is_replaced() {
    let mut world = World::registered();
    let payload =
        encoded(SENML_CBOR, Path::resource(3, 0, 14), &[(Path::resource(3, 0, 14), Value::String("-05:00"))]);
    assert_eq!(world.write(Code::PUT, "/3/0/14", SENML_CBOR, &payload).code(), Code::CHANGED);
    assert_eq!(world.device.objects.device.zone().0, "-05:00");
}

#[test]
fn int_228_a_resource_instance_is_written() {
    let mut world = two_servers();
    world.device.client.set_access(AccessControl::new(3303, 0, 101)).unwrap();
    assert_eq!(world.write_text("/2/0/2/102", "1"), Code::CHANGED);
    assert_eq!(world.read_text("/2/0/2/102"), "1");
    assert_eq!(world.ask_from(SECOND, Code::GET, "/3303/0/5700", &[], b"").code(), Code::CONTENT);
}

fn composite(world: &mut World, paths: &[&str]) -> Sent {
    let records: Vec<_> = paths.iter().map(|path| format!(r#"{{"n":"{path}"}}"#)).collect();
    let payload = format!("[{}]", records.join(","));
    let format = SENML_JSON.0.to_be_bytes();
    world.ask(Code::FETCH, "", &[(OptionNumber::CONTENT_FORMAT, &format[1..])], payload.as_bytes())
}

#[test]
fn int_229_and_280_a_composite_reads_several_paths() {
    let mut world = World::registered();
    let answer = composite(&mut world, &["/3303/0/5700", "/3/0/0"]);
    assert_eq!(answer.text(), r#"[{"n":"/3/0/0","vs":"Buoy"},{"n":"/3303/0/5700","v":20}]"#);
}

#[test]
fn int_230_and_257_a_composite_writes_all_or_nothing() {
    let mut world = World::registered();
    let write = |world: &mut World, payload: &str| {
        let format = [110];
        world.ask(Code::IPATCH, "", &[(OptionNumber::CONTENT_FORMAT, &format)], payload.as_bytes()).code()
    };
    let good = r#"[{"n":"/3311/0/5850","vb":true},{"n":"/3/0/14","vs":"+01:00"}]"#;
    assert_eq!(write(&mut world, good), Code::CHANGED);
    assert_eq!(
        (world.device.objects.light.level(0), world.device.objects.device.zone().0),
        (Some(100), "+01:00")
    );
    let bad = r#"[{"n":"/3311/0/5850","vb":false},{"n":"/3311/0/5851","v":101}]"#;
    assert_eq!(write(&mut world, bad), Code::BAD_REQUEST);
    let read_only = r#"[{"n":"/3311/0/5850","vb":false},{"n":"/3/0/0","vs":"x"}]"#;
    assert_eq!(write(&mut world, read_only), Code::METHOD_NOT_ALLOWED);
    let unknown = r#"[{"n":"/3311/0/5850","vb":false},{"n":"/9999/0/0","vs":"x"}]"#;
    assert_eq!(write(&mut world, unknown), Code::NOT_FOUND);
    assert_eq!(world.device.objects.light.level(0), Some(100), "nothing was written");
}

#[test]
fn int_231_and_232_values_are_read_in_senml() {
    let mut world = World::registered();
    assert_eq!(world.read("/3303/0/5700", SENML_JSON).text(), r#"[{"bn":"/3303/0/5700","v":20}]"#);
    let answer = world.read("/3303/0/5700", SENML_CBOR);
    let item =
        decode(SENML_CBOR, Path::resource(3303, 0, 5700), answer.payload()).unwrap().next().unwrap().unwrap();
    assert_eq!(item.value.unwrap().resolve(ValueType::Float, &mut []).unwrap(), Value::Float(20.0));
}

#[test]
fn int_235_a_composite_on_the_root_reads_everything_but_security() {
    let mut world = World::registered();
    let answer = composite(&mut world, &["/"]);
    assert_eq!(answer.code(), Code::CONTENT);
    let mut text = answer.text();
    for number in 1u8.. {
        let Some(block) = answer.uint(OptionNumber::BLOCK2) else { break };
        let option = [number << 4 | (block & 7) as u8];
        let options = [(OptionNumber::CONTENT_FORMAT, &[110][..]), (OptionNumber::BLOCK2, &option)];
        let next = world.ask(Code::FETCH, "", &options, br#"[{"n":"/"}]"#);
        text += &next.text();
        if next.uint(OptionNumber::BLOCK2).unwrap() & 8 == 0 {
            break;
        }
    }
    for path in ["/1/0/1", "/3/0/0", "/3303/1/5700", "/3311/0/5850"] {
        assert!(text.contains(&format!("{{\"n\":\"{path}\"")), "{path} in {text}");
    }
    assert!(!text.contains("\"/0/"), "{text}");
}

#[test]
fn int_236_and_281_what_is_missing_from_a_composite_is_passed_over() {
    let mut world = World::registered();
    let answer = composite(&mut world, &["/3/0/0", "/9999/0/1", "/3/0/99", "/0/0/0"]);
    assert_eq!((answer.code(), answer.text().as_str()), (Code::CONTENT, r#"[{"n":"/3/0/0","vs":"Buoy"}]"#));
}

#[test]
fn int_237_without_accept_the_device_chooses_a_format_of_its_version() {
    let mut world = World::registered();
    let answer = world.ask(Code::GET, "/3303", &[], b"");
    assert_eq!((answer.code(), answer.format()), (Code::CONTENT, Some(SENML_CBOR)));
    let config = ClientConfig { version: LwM2mVersion::V1_0, ..ClientConfig::new("buoy-1").unwrap() };
    let mut old = World::with(config, &[Server::new(101, 300)]);
    old.start();
    old.accept_registration(FIRST, "1");
    assert_eq!(old.ask(Code::GET, "/3303", &[], b"").format(), Some(TLV));
}

#[test]
fn int_241_reboot_is_answered_before_it_happens() {
    let mut world = World::registered();
    assert_eq!(world.execute("/3/0/4"), Code::CHANGED);
    assert!(world.saw(Event::Reboot(RebootReason::Requested)));
    assert_eq!(world.execute("/3/0/5"), Code::CHANGED);
    assert!(world.saw(Event::FactoryReset));
}

#[test]
fn int_256_writes_that_cannot_be_are_refused_with_the_right_code() {
    let mut world = World::registered();
    let cases: [(&str, ContentFormat, &[u8], Code); 9] = [
        ("/3/0/0", TEXT, b"x", Code::METHOD_NOT_ALLOWED),
        ("/3/0/4", TEXT, b"x", Code::METHOD_NOT_ALLOWED),
        ("/3/0/99", TEXT, b"x", Code::NOT_FOUND),
        ("/3/7/14", TEXT, b"x", Code::NOT_FOUND),
        ("/9999/0/0", TEXT, b"x", Code::NOT_FOUND),
        ("/3/0/14", TEXT, b"noon", Code::BAD_REQUEST),
        ("/3311/0/5850", TEXT, b"maybe", Code::BAD_REQUEST),
        ("/3311/0/5851", ContentFormat(9999), b"1", Code::UNSUPPORTED_CONTENT_FORMAT),
        ("/3311/0/5851", TLV, &[0xff], Code::BAD_REQUEST),
    ];
    for (path, format, payload, code) in cases {
        let answer = world.write(Code::PUT, path, format, payload);
        assert_eq!(answer.code(), code, "{path}: {}", answer.text());
        assert!(!answer.payload().is_empty(), "{path}: the device says why");
    }
    assert_eq!(world.read("/3303/0", TEXT).code(), Code::NOT_ACCEPTABLE);
    assert_eq!(world.read("/3303/0", ContentFormat(9999)).code(), Code::NOT_ACCEPTABLE);
    assert_eq!(world.read("/3/0/4", TEXT).code(), Code::METHOD_NOT_ALLOWED);
    assert_eq!(world.execute("/3/0/0"), Code::METHOD_NOT_ALLOWED);
}

#[test]
fn int_260_discover_lists_resources_and_attributes() {
    let mut world = World::registered();
    assert_eq!(world.write_attributes("/3303/0", &["pmin=10", "pmax=60"]), Code::CHANGED);
    assert_eq!(world.write_attributes("/3303/0/5700", &["gt=25.5"]), Code::CHANGED);
    let instance = world.read("/3303/0", ContentFormat::LINK).text();
    assert!(instance.starts_with("</3303/0>;pmin=10;pmax=60,</3303/0/5601>,"), "{instance}");
    assert!(instance.contains("</3303/0/5700>;gt=25.5,"), "{instance}");
    let resource = world.read("/3303/0/5700", ContentFormat::LINK).text();
    assert_eq!(resource, "</3303/0/5700>;pmin=10;pmax=60;gt=25.5");
    let errors = world.read("/3/0/11", ContentFormat::LINK).text();
    assert!(errors.starts_with("</3/0/11>;dim=1"), "{errors}");
    let object = world.read("/3303", ContentFormat::LINK).text();
    assert!(
        object.starts_with("</3303>;ver=1.1,</3303/0>;pmin=10") && object.contains("</3303/1/5605>"),
        "{object}"
    );
    let depth = [(OptionNumber::URI_QUERY, &b"depth=1"[..]), (OptionNumber::ACCEPT, &[40])];
    assert_eq!(
        world.ask(Code::GET, "/3303", &depth, b"").text(),
        "</3303>;ver=1.1,</3303/0>;pmin=10;pmax=60,</3303/1>"
    );
}

#[test]
fn int_261_attributes_of_multiple_resources_and_what_is_wrong_with_others() {
    let mut world = World::registered();
    assert_eq!(world.write_attributes("/3/0/11", &["pmin=5"]), Code::CHANGED);
    assert_eq!(world.write_attributes("/3/0/11/0", &["pmax=50"]), Code::CHANGED);
    assert!(world.read("/3/0/11", ContentFormat::LINK).text().contains("</3/0/11/0>;pmax=50"));
    for wrong in [
        &["pmin=x"][..],
        &["size=1"],
        &["lt=30", "gt=20"],
        &["lt=10", "gt=20", "st=5"],
        &["pmin=1", "pmin=2"],
    ] {
        assert_eq!(world.write_attributes("/3303/0/5700", wrong), Code::BAD_REQUEST, "{wrong:?}");
    }
    assert_eq!(world.write_attributes("/3/0/0", &["gt=1"]), Code::BAD_REQUEST);
    assert_eq!(world.write_attributes("/3303/0", &["gt=1"]), Code::BAD_REQUEST);
    assert_eq!(world.write_attributes("/3303/9", &["pmin=1"]), Code::NOT_FOUND);
    world.write_attributes("/3/0/11", &["pmin"]);
    assert!(!world.read("/3/0/11", ContentFormat::LINK).text().contains("pmin"));
}

fn two_servers() -> World {
    let servers = [Server::new(101, 300), Server::new(102, 300)];
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &servers);
    world.start();
    world.accept_registration(FIRST, "1");
    world.accept_registration(SECOND, "2");
    world
}

#[test]
fn access_control_binds_the_servers_of_a_device_that_has_several() {
    let mut world = two_servers();
    world.device.client.set_access(AccessControl::new(3303, 0, 101).grant(102, Rights::READ)).unwrap();
    world.device.client.set_access(AccessControl::new(3311, 0, 101)).unwrap();
    assert_eq!(world.ask_from(SECOND, Code::GET, "/3303/0/5700", &[], b"").code(), Code::CONTENT);
    assert_eq!(world.ask_from(SECOND, Code::POST, "/3303/0/5605", &[], b"").code(), Code::UNAUTHORIZED);
    assert_eq!(world.ask_from(SECOND, Code::GET, "/3311/0", &[], b"").code(), Code::UNAUTHORIZED);
    assert_eq!(world.ask_from(FIRST, Code::GET, "/3311/0", &[], b"").code(), Code::CONTENT);
    let acl = [(OptionNumber::CONTENT_FORMAT, &b""[..])];
    assert_eq!(world.ask_from(SECOND, Code::PUT, "/2/0/3", &acl, b"102").code(), Code::UNAUTHORIZED);
}

#[test]
fn the_clock_and_the_minimum_and_maximum_behave() {
    let mut world = World::registered();
    assert_eq!(world.read("/3/0/13", TEXT).code(), Code::NOT_FOUND, "no clock yet");
    assert_eq!(world.write_text("/3/0/13", "1700000000"), Code::CHANGED);
    assert!(world.saw(Event::ClockSet(1_700_000_000)));
    world.wait(10);
    assert_eq!(world.read_text("/3/0/13"), "1700000010");
    world.set_temperature(30.0);
    world.set_temperature(10.0);
    assert_eq!(
        (world.read_text("/3303/0/5601"), world.read_text("/3303/0/5602")),
        ("10".into(), "30".into())
    );
    assert_eq!(world.execute("/3303/0/5605"), Code::CHANGED);
    assert_eq!(
        (world.read_text("/3303/0/5601"), world.read_text("/3303/0/5602")),
        ("10".into(), "10".into())
    );
}

#[test]
fn a_write_in_blocks_is_collected_and_carried_out_once() {
    let mut world = World::registered();
    let text = format!(r#"[{{"bn":"/3/0/","n":"15","vs":"{}"}}]"#, "Zone/Name".repeat(3));
    let blocks: Vec<_> = text.as_bytes().chunks(32).collect();
    for (number, block) in blocks.iter().enumerate() {
        let more = number + 1 < blocks.len();
        let option = [(number as u8) << 4 | u8::from(more) << 3 | 1];
        let options = [(OptionNumber::CONTENT_FORMAT, &[110][..]), (OptionNumber::BLOCK1, &option)];
        let answer = world.ask(Code::POST, "/3/0", &options, block);
        assert_eq!(answer.code(), if more { Code::CONTINUE } else { Code::CHANGED }, "{}", answer.text());
        assert_eq!(answer.uint(OptionNumber::BLOCK1), Some(u32::from(option[0])));
    }
    assert_eq!(world.device.objects.device.zone().1, "Zone/Name".repeat(3));
    let stray = [(OptionNumber::CONTENT_FORMAT, &[110][..]), (OptionNumber::BLOCK1, &[0x59])];
    assert_eq!(world.ask(Code::POST, "/3/0", &stray, &[0; 32]).code(), Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn a_server_that_the_device_is_not_registered_at_is_not_heeded() {
    let mut world = World::new();
    world.start();
    let reboot = [0x40, 2, 0, 9, 0xb1, b'3', 0x01, b'0', 0x01, b'4'];
    assert!(world.deliver(FIRST, &reboot).is_none());
    assert!(!world.saw(Event::Reboot(RebootReason::Requested)));
    world.accept_registration(FIRST, "1");
    assert_eq!(
        world.deliver(FIRST, &reboot).unwrap().code(),
        Code::CHANGED,
        "it is repeated, and then heeded"
    );
}

#[test]
fn what_servers_wrote_survives_a_reboot() {
    let mut world = World::registered();
    world.write_text("/1/0/1", "1234");
    world.write_text("/3/0/14", "+02:00");
    let mut after = World::with(ClientConfig::new("buoy-1").unwrap(), &[]);
    let (client, storage) = (&mut after.device.client, &mut world.device.storage);
    after.device.objects.with(|objects| client.restore(objects, storage).unwrap());
    after.start();
    assert!(after.request().queries().contains("lt=1234"));
    after.accept_registration(FIRST, "1");
    assert_eq!(after.read_text("/3/0/14"), "+02:00");
}
