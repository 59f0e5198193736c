//! SenML JSON (RFC 8428).

use super::*;

const FORMAT: ContentFormat = ContentFormat::SENML_JSON;

#[test]
fn int_231_the_example_of_the_specification_is_read() {
    let payload = br#"[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"1","vs":"Lightweight M2M Client"},
            {"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"9","v":100},{"n":"11/0","v":0},{"n":"13","v":1367491215}]"#;
    assert_eq!(
        paths_of(FORMAT, "/3/0", payload).unwrap(),
        ["/3/0/0", "/3/0/1", "/3/0/6/0", "/3/0/6/1", "/3/0/9", "/3/0/11/0", "/3/0/13"]
    );
}

#[test]
fn every_type_has_its_field() {
    let text = encoded_text(
        FORMAT,
        "/9/0",
        &[
            ("/9/0/1", Value::String("é\u{1}")),
            ("/9/0/2", Value::UnsignedInteger(u64::MAX)),
            ("/9/0/3", Value::Boolean(false)),
            ("/9/0/4", Value::Opaque(&[0xfb, 0xff])),
            ("/9/0/5", Value::ObjectLink(ObjectLink::NULL)),
            ("/9/0/6", Value::Float(1e300)),
            ("/9/0/7", Value::CoreLink("</1>")),
        ],
    );
    let expected = concat!(
        r#"[{"bn":"/9/0/","n":"1","vs":"é\u0001"},{"n":"2","v":18446744073709551615},{"n":"3","vb":false},"#,
        r#"{"n":"4","vd":"-_8"},{"n":"5","vlo":"65535:65535"},{"n":"6","v":1e300},{"n":"7","vs":"</1>"}]"#
    );
    assert_eq!(text, expected);
}

#[test]
fn a_single_resource_is_its_own_base_name() {
    assert_eq!(
        encoded_text(FORMAT, "/3/0/9", &[("/3/0/9", Value::Integer(1))]),
        r#"[{"bn":"/3/0/9","v":1}]"#
    );
    assert_eq!(
        encoded_text(FORMAT, "/3/0/7", &[("/3/0/7/0", Value::Integer(1)), ("/3/0/7/1", Value::Integer(2))]),
        r#"[{"bn":"/3/0/7/","n":"0","v":1},{"n":"1","v":2}]"#
    );
    assert_eq!(
        encoded_text(FORMAT, "/", &[("/1/0/1", Value::Integer(1)), ("/3/0/9", Value::Integer(2))]),
        r#"[{"n":"/1/0/1","v":1},{"n":"/3/0/9","v":2}]"#
    );
}

#[test]
fn values_that_were_stored_have_times() {
    let at = path("/3303/0/5700");
    for format in [FORMAT, ContentFormat::SENML_CBOR] {
        let mut buffer = [0; 128];
        let mut encoder = Encoder::new(format, Path::ROOT, &mut buffer).unwrap();
        encoder.push(at, &Value::Float(21.5), Some(1_700_000_000.0)).unwrap();
        encoder.push(at, &Value::Float(22.0), Some(1_700_000_060.5)).unwrap();
        let length = encoder.finish().unwrap();
        let read: Vec<_> =
            decode(format, Path::ROOT, &buffer[..length]).unwrap().map(Result::unwrap).collect();
        assert!(read.iter().all(|item| item.path == at));
        let times: Vec<_> = read.iter().map(|item| item.time.unwrap().resolve(0.0)).collect();
        assert_eq!(times, [1_700_000_000.0, 1_700_000_060.5]);
    }
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(ContentFormat::TLV, DEVICE, &mut buffer).unwrap();
    let refused = encoder.push(path("/3/0/9"), &Value::Integer(1), Some(1.0));
    assert_eq!(refused, Err(FormatError::UnsupportedTime));
}

#[test]
fn base_times_add_up_and_small_times_count_from_now() {
    let payload =
        br#"[{"bn":"/3/0/9","bt":1276020000,"t":5,"v":1},{"v":2},{"bt":-10,"t":3,"v":3},{"bt":0,"v":4}]"#;
    let items = decode(FORMAT, path("/3/0/9"), payload).unwrap();
    let times: Vec<_> = items.map(|item| item.unwrap().time.unwrap()).collect();
    assert_eq!(
        times.iter().map(|time| time.raw()).collect::<Vec<_>>(),
        [1276020005.0, 1276020000.0, -7.0, 0.0]
    );
    assert_eq!(times.iter().map(|time| time.is_relative()).collect::<Vec<_>>(), [false, false, true, true]);
    assert_eq!(times[2].resolve(1000.0), 993.0);
    let untimed = decode(FORMAT, path("/3/0/9"), br#"[{"n":"/3/0/9","v":1}]"#).unwrap().next().unwrap();
    assert_eq!(untimed.unwrap().time, None);
}

#[test]
fn names_may_be_in_pieces_and_in_escapes() {
    let payload = br#"[{"n":"\/0","bn":"\/3","v":1},{"n":"/\u0030/9","v":2}]"#;
    assert_eq!(paths_of(FORMAT, "/3", payload).unwrap(), ["/3/0", "/3/0/9"]);
}

#[test]
fn base_values_are_added() {
    assert_eq!(
        items(FORMAT, "/3/0/9", br#"[{"bn":"/3/0/9","bv":10,"v":5}]"#).unwrap(),
        [("/3/0/9".into(), Some("Float(15.0)".into()))]
    );
}

#[test]
fn a_record_without_a_value_is_a_path() {
    let payload = br#"[{"n":"/3/0"},{"n":"/1/0/1"}]"#;
    assert_eq!(items(FORMAT, "/", payload).unwrap(), [("/3/0".into(), None), ("/1/0/1".into(), None)]);
}

#[test]
fn a_value_of_null_removes_in_a_patch_and_is_none_elsewhere() {
    let json = br#"[{"n":"/3/0/9","v":null}]"#;
    let cbor = [0x81, 0xa2, 0, 0x66, b'/', b'3', b'/', b'0', b'/', b'9', 2, 0xf6];
    let removed = || Ok(vec![("/3/0/9".to_owned(), None)]);
    assert_eq!(items(ContentFormat::SENML_ETCH_JSON, "/", json), removed());
    assert_eq!(items(ContentFormat::SENML_ETCH_CBOR, "/", &cbor), removed());
    for field in ["v", "vs", "vb"] {
        let json = format!(r#"[{{"n":"/3/0/9","{field}":null}}]"#);
        assert_eq!(items(FORMAT, "/", json.as_bytes()), Err(FormatError::PeerSentNull), "{field}");
    }
    assert_eq!(items(ContentFormat::SENML_CBOR, "/", &cbor), Err(FormatError::PeerSentNull));
    let old = br#"{"bn":"/3/0/","e":[{"n":"9","v":null}]}"#;
    assert_eq!(items(ContentFormat::LWM2M_JSON, "/3/0", old), Err(FormatError::PeerSentNull));
    // Where only paths are named, it says nothing.
    let paths: Vec<Path> = decode_paths(FORMAT, json).unwrap().map(Result::unwrap).collect();
    assert_eq!(paths, [Path::resource(3, 0, 9)]);
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let unknown = Err(FormatError::PeerSentUnknownExtension);
    assert_eq!(items(FORMAT, "/", br#"[{"n":"/3/0/9","new_":1,"v":1}]"#), unknown);
    assert_eq!(items(FORMAT, "/", br#"[{"n":"/3/0/9","bver":11,"v":1}]"#), unknown);
    assert_eq!(
        paths_of(FORMAT, "/", br#"[{"n":"/3/0/9","bver":10,"u":"Cel","new":[{}],"v":1}]"#).unwrap(),
        ["/3/0/9"]
    );
}

#[test]
fn what_is_malformed_is_refused() {
    for payload in [
        "",
        "{}",
        "[",
        "[1]",
        "[{}]",
        "[{},]",
        r#"[{"n":"3/0/9","v":1}]"#,
        r#"[{"n":"/3/0/9","v":1}"#,
        r#"[{"n":"/3/0/9","v":1,"vs":"x"}]"#,
        r#"[{"n":"/3/0/9","v":1}]]"#,
        r#"[{"n":"/3/0/9","n":"/1"}]"#,
        r#"[{"n":"/3/0/70000"}]"#,
        r#"[{"n":"/1/2/3/4/5"}]"#,
        r#"[{"n":9}]"#,
        r#"[{"n":"/3","v":[1]}]"#,
        r#"[{"n":"/3/0/9","t":"1"}]"#,
        r#"[{"n":"/3/0/9","t":1e999}]"#,
    ] {
        assert!(items(FORMAT, "/", payload.as_bytes()).is_err(), "{payload}");
    }
    let outside = items(FORMAT, "/3/0", br#"[{"n":"/1/0/1","v":1}]"#);
    assert!(matches!(outside, Err(FormatError::PeerSentPathOutsideBase)));
}

#[test]
fn nothing_follows_an_error() {
    let mut items = decode(FORMAT, Path::ROOT, br#"[{"n":"x"},{"n":"/3/0/9","v":1}]"#).unwrap();
    assert!(items.next().unwrap().is_err());
    assert!(items.next().is_none());
}

#[test]
fn infinities_have_no_json() {
    for format in [FORMAT, ContentFormat::LWM2M_JSON, ContentFormat::TEXT] {
        let mut buffer = [0; 64];
        let mut encoder = Encoder::new(format, path("/3/0/9"), &mut buffer).unwrap();
        let refused = encoder.push(path("/3/0/9"), &Value::Float(f64::INFINITY), None);
        assert_eq!(refused, Err(FormatError::NotFinite));
    }
}
