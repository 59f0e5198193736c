//! int-229 to int-236, int-257, int-280 and int-281: several paths in one operation.

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_lwm2m::operation::{Content, Downlink};
use buoy_lwm2m::value::{Value, ValueType};
use buoy_testkit::{Exchange, World};

use crate::{SENML_CBOR, SENML_JSON, TEXT, both, encoded, paths_in, value_in};

#[test]
fn int_229_a_composite_reads_resources_instances_and_resource_instances() {
    let mut world = World::registered();
    let read = world.read_composite(&["/3/0/0", "/3/0/11/0", "/1/0"], SENML_CBOR);
    assert_eq!(read.lines(), both("FETCH / Content-Format=112 Accept=112", "2.05 Content-Format=112"));
    let paths = paths_in(SENML_CBOR, "/", read.payload());
    assert!(["/3/0/0", "/3/0/11/0", "/1/0/1", "/1/0/7"].iter().all(|path| paths.contains(&(*path).into())));
    assert!(paths.iter().all(|path| path.starts_with("/1/0/") || path.starts_with("/3/0/")), "{paths:?}");
}

fn write_composite(world: &mut World, format: ContentFormat, values: &[(&str, Value<'_>)]) -> Exchange {
    let payload = encoded(format, "/", values);
    world.perform(&Downlink::WriteComposite { content: Content { format, payload: &payload } })
}

#[test]
fn int_230_a_composite_writes_to_several_objects() {
    for format in [SENML_JSON, SENML_CBOR] {
        let mut world = World::registered();
        let values = [("/3/0/14", Value::String("+02:00")), ("/1/0/2", Value::Integer(9))];
        let write = write_composite(&mut world, format, &values);
        assert_eq!(write.lines(), both(&format!("iPATCH / Content-Format={}", format.0), "2.04"));
        assert_eq!(world.read("/3/0/14", TEXT).text(), "+02:00");
        assert_eq!(world.read("/1/0/2", TEXT).text(), "9");
    }
}

#[test]
fn int_235_a_composite_on_the_root_reads_everything_but_security() {
    let mut world = World::registered();
    let read = world.read_composite(&["/"], SENML_JSON);
    assert!(
        read.request.line().starts_with("FETCH / Content-Format=110 Accept=110"),
        "{}",
        read.request.line()
    );
    assert_eq!(read.code(), Code::CONTENT);
    let paths = paths_in(SENML_JSON, "/", read.payload());
    for path in ["/1/0/1", "/3/0/0", "/3303/1/5700", "/3311/0/5850"] {
        assert!(paths.contains(&path.into()), "{path} in {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.starts_with("/0/")));
}

#[test]
fn int_236_a_composite_of_what_is_there_in_part_brings_that_part() {
    let mut world = World::registered();
    let read = world.read_composite(&["/3/0/0", "/3/0/99", "/9999/0", "/3303/7"], SENML_JSON);
    assert_eq!(read.lines(), both("FETCH / Content-Format=110 Accept=110", "2.05 Content-Format=110"));
    assert_eq!(read.text(), r#"[{"n":"/3/0/0","vs":"Buoy"}]"#);
}

#[test]
fn int_257_a_composite_with_one_bad_value_writes_nothing() {
    let mut world = World::registered();
    for (path, value, code) in [
        ("/3311/0/5851", Value::Integer(101), Code::BAD_REQUEST),
        ("/3/0/0", Value::String("x"), Code::METHOD_NOT_ALLOWED),
        ("/9999/0/0", Value::Integer(1), Code::NOT_FOUND),
        ("/0/0/0", Value::String("coap://example.org"), Code::UNAUTHORIZED),
    ] {
        let values = [("/3311/0/5850", Value::Boolean(true)), (path, value)];
        let write = write_composite(&mut world, SENML_CBOR, &values);
        assert_eq!(write.lines(), both("iPATCH / Content-Format=112", &code.to_string()));
        assert_eq!(world.read("/3311/0/5850", TEXT).text(), "0", "{path}");
    }
}

#[test]
fn int_280_a_composite_is_answered_whole_in_the_format_that_was_asked_for() {
    let mut world = World::registered();
    for format in [SENML_JSON, SENML_CBOR, ContentFormat::LWM2M_CBOR] {
        let read = world.read_composite(&["/3303/0/5700", "/3/0/1"], format);
        let ask = format!("FETCH / Content-Format={0} Accept={0}", format.0);
        assert_eq!(read.lines(), both(&ask, &format!("2.05 Content-Format={}", format.0)));
        let value = value_in(format, "/", read.payload(), "/3303/0/5700", ValueType::Float);
        assert_eq!(value, "Float(20.0)");
        assert_eq!(paths_in(format, "/", read.payload()).len(), 2);
    }
}

#[test]
fn int_281_a_composite_passes_over_what_may_not_be_read() {
    let mut world = World::registered();
    let read = world.read_composite(&["/0/0/0", "/3/0/4", "/3303/0/5700"], SENML_JSON);
    assert_eq!(read.code(), Code::CONTENT);
    assert_eq!(read.text(), r#"[{"n":"/3303/0/5700","v":20}]"#);
    let nothing = world.read_composite(&["/9999"], SENML_JSON);
    assert_eq!((nothing.code(), nothing.text().as_str()), (Code::CONTENT, "[]"));
    assert_eq!(nothing.request.uint(OptionNumber::ACCEPT), Some(110));
}
