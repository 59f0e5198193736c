//! The formats by the examples of their specifications, against each other, and against hostile payloads.

use super::*;
use crate::value::{ObjectLink, Value, ValueType};
use proptest::prelude::*;

const ALL: [ContentFormat; 10] = [
    ContentFormat::TEXT,
    ContentFormat::OCTET_STREAM,
    ContentFormat::CBOR,
    ContentFormat::TLV,
    ContentFormat::LWM2M_JSON,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::SENML_ETCH_JSON,
    ContentFormat::SENML_ETCH_CBOR,
    ContentFormat::LWM2M_CBOR,
];

const STRUCTURED: [ContentFormat; 5] = [
    ContentFormat::TLV,
    ContentFormat::LWM2M_JSON,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::LWM2M_CBOR,
];

const DEVICE: Path = Path::instance(3, 0);

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn items(
    format: ContentFormat,
    base: &str,
    payload: &[u8],
) -> Result<Vec<(String, Option<String>)>, FormatError> {
    decode(format, path(base), payload)?
        .map(|item| {
            let item = item?;
            let value = item.value.map(|value| {
                let mut scratch = [0; 256];
                format!("{:?}", value.resolve_guessing(&mut scratch).unwrap())
            });
            Ok((item.path.to_string(), value))
        })
        .collect()
}

fn paths_of(format: ContentFormat, base: &str, payload: &[u8]) -> Result<Vec<String>, FormatError> {
    Ok(items(format, base, payload)?.into_iter().map(|(path, _)| path).collect())
}

/// Reads a payload of one item as a value of that type.
fn single(format: ContentFormat, payload: &[u8], value_type: ValueType) -> Result<String, FormatError> {
    let item = decode(format, path("/3/0/9"), payload)?.next().unwrap()?;
    let mut scratch = [0; 256];
    Ok(format!("{:?}", item.value.unwrap().resolve(value_type, &mut scratch)?))
}

fn encoded(format: ContentFormat, base: &str, items: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut encoder = Encoder::new(format, path(base), &mut buffer).unwrap();
    for (at, value) in items {
        encoder.push(path(at), value, None).unwrap();
    }
    let length = encoder.finish().unwrap();
    buffer[..length].to_vec()
}

fn encoded_text(format: ContentFormat, base: &str, items: &[(&str, Value<'_>)]) -> String {
    String::from_utf8(encoded(format, base, items)).unwrap()
}

mod plain {
    use super::*;

    #[test]
    fn every_type_has_its_text() {
        for (value, text) in [
            (Value::String("é \"x\""), "é \"x\""),
            (Value::Integer(-5), "-5"),
            (Value::UnsignedInteger(u64::MAX), "18446744073709551615"),
            (Value::Float(0.25), "0.25"),
            (Value::Boolean(true), "1"),
            (Value::Boolean(false), "0"),
            (Value::Opaque(&[0xfb, 0xff, 0]), "+/8A"),
            (Value::Time(1_367_491_215), "1367491215"),
            (Value::ObjectLink(ObjectLink { object: 10245, instance: 1 }), "10245:1"),
            (Value::CoreLink("</3>"), "</3>"),
        ] {
            assert_eq!(encoded_text(ContentFormat::TEXT, "/3/0/9", &[("/3/0/9", value)]), text);
            let read = single(ContentFormat::TEXT, text.as_bytes(), value.value_type());
            assert_eq!(read.unwrap(), format!("{value:?}"));
        }
    }

    #[test]
    fn what_is_not_of_the_resources_type_is_refused() {
        for (text, value_type) in [
            ("true", ValueType::Boolean),
            ("2", ValueType::Boolean),
            ("1.0", ValueType::Integer),
            ("-1", ValueType::UnsignedInteger),
            ("9223372036854775808", ValueType::Integer),
            ("NaN", ValueType::Float),
            ("inf", ValueType::Float),
            ("*", ValueType::Opaque),
            ("3", ValueType::ObjectLink),
            ("now", ValueType::Time),
        ] {
            assert!(single(ContentFormat::TEXT, text.as_bytes(), value_type).is_err(), "{text}");
        }
        assert_eq!(
            single(ContentFormat::TEXT, &[0xff], ValueType::String),
            Err(FormatError::PeerSentNotUtf8)
        );
    }

    #[test]
    fn one_value_needs_a_resource() {
        for format in [ContentFormat::TEXT, ContentFormat::OCTET_STREAM, ContentFormat::CBOR] {
            let refused = FormatError::UnsupportedPath { path: DEVICE, format };
            assert_eq!(decode(format, DEVICE, b"1").err(), Some(refused));
            assert_eq!(Encoder::new(format, DEVICE, &mut []).err(), Some(refused));
            assert_eq!(
                Encoder::new(format, path("/3/0/9"), &mut []).unwrap().finish(),
                Err(FormatError::NotOneValue)
            );
        }
        let mut buffer = [0; 8];
        let mut encoder = Encoder::new(ContentFormat::TEXT, path("/3/0/9"), &mut buffer).unwrap();
        encoder.push(path("/3/0/9"), &Value::Integer(1), None).unwrap();
        assert_eq!(encoder.push(path("/3/0/9"), &Value::Integer(1), None), Err(FormatError::NotOneValue));
    }

    #[test]
    fn opaque_holds_bytes_and_nothing_else() {
        assert_eq!(
            encoded(ContentFormat::OCTET_STREAM, "/5/0/0", &[("/5/0/0", Value::Opaque(&[1, 2]))]),
            [1, 2]
        );
        let mut buffer = [0; 8];
        let mut encoder = Encoder::new(ContentFormat::OCTET_STREAM, path("/3/0/9"), &mut buffer).unwrap();
        assert!(encoder.push(path("/3/0/9"), &Value::Integer(1), None).is_err());
        assert!(single(ContentFormat::OCTET_STREAM, &[1], ValueType::Integer).is_err());
    }
}

mod tlv {
    use super::*;

    /// The response to a read of /3/0 in the specification (Core 1.1, section 7.4.3.1), shortened by nothing.
    const EXAMPLE: [u8; 121] = [
        0xc8, 0x00, 0x14, 0x4f, 0x70, 0x65, 0x6e, 0x20, 0x4d, 0x6f, 0x62, 0x69, 0x6c, 0x65, 0x20, 0x41, 0x6c,
        0x6c, 0x69, 0x61, 0x6e, 0x63, 0x65, 0xc8, 0x01, 0x16, 0x4c, 0x69, 0x67, 0x68, 0x74, 0x77, 0x65, 0x69,
        0x67, 0x68, 0x74, 0x20, 0x4d, 0x32, 0x4d, 0x20, 0x43, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0xc8, 0x02, 0x09,
        0x33, 0x34, 0x35, 0x30, 0x30, 0x30, 0x31, 0x32, 0x33, 0xc3, 0x03, 0x31, 0x2e, 0x30, 0x86, 0x06, 0x41,
        0x00, 0x01, 0x41, 0x01, 0x05, 0x88, 0x07, 0x08, 0x42, 0x00, 0x0e, 0xd8, 0x42, 0x01, 0x13, 0x88, 0x87,
        0x08, 0x41, 0x00, 0x7d, 0x42, 0x01, 0x03, 0x84, 0xc1, 0x09, 0x64, 0xc1, 0x0a, 0x0f, 0x83, 0x0b, 0x41,
        0x00, 0x00, 0xc4, 0x0d, 0x51, 0x82, 0x42, 0x8f, 0xc6, 0x0e, 0x2b, 0x30, 0x32, 0x3a, 0x30, 0x30, 0xc1,
        0x10, 0x55,
    ];

    fn example_values() -> [(&'static str, Value<'static>); 15] {
        [
            ("/3/0/0", Value::String("Open Mobile Alliance")),
            ("/3/0/1", Value::String("Lightweight M2M Client")),
            ("/3/0/2", Value::String("345000123")),
            ("/3/0/3", Value::String("1.0")),
            ("/3/0/6/0", Value::Integer(1)),
            ("/3/0/6/1", Value::Integer(5)),
            ("/3/0/7/0", Value::Integer(3800)),
            ("/3/0/7/1", Value::Integer(5000)),
            ("/3/0/8/0", Value::Integer(125)),
            ("/3/0/8/1", Value::Integer(900)),
            ("/3/0/9", Value::Integer(100)),
            ("/3/0/10", Value::Integer(15)),
            ("/3/0/11/0", Value::Integer(0)),
            ("/3/0/13", Value::Time(1_367_491_215)),
            ("/3/0/14", Value::String("+02:00")),
        ]
    }

    #[test]
    fn a_resource_without_an_element_is_no_value_and_an_instance_without_any_is_empty() {
        assert_eq!(items(ContentFormat::TLV, "/3/0/9", &[]), Err(FormatError::PeerSentTruncated));
        assert_eq!(items(ContentFormat::TLV, "/3/0/11/0", &[]), Err(FormatError::PeerSentTruncated));
        assert_eq!(items(ContentFormat::TLV, "/3/0", &[]), Ok(vec![]));
        // A multiple resource that has no instances.
        assert_eq!(items(ContentFormat::TLV, "/3/0/11", &[0x80, 0x0b]), Ok(vec![("/3/0/11".into(), None)]));
    }

    #[test]
    fn int_203_the_example_of_the_specification_is_written_and_read() {
        let mut values = example_values().to_vec();
        values.push(("/3/0/16", Value::String("U")));
        assert_eq!(encoded(ContentFormat::TLV, "/3/0", &values), EXAMPLE);
        let read = decode(ContentFormat::TLV, DEVICE, &EXAMPLE).unwrap();
        for (item, (at, value)) in read.zip(values) {
            let item = item.unwrap();
            assert_eq!(item.path, path(at));
            assert_eq!(item.value.unwrap().resolve(value.value_type(), &mut []).unwrap(), value);
        }
    }

    #[test]
    fn each_level_of_a_read_has_its_shape() {
        let one = Value::Integer(1);
        // An object: its instances.
        assert_eq!(
            encoded(ContentFormat::TLV, "/3", &[("/3/0/9", one), ("/3/1/9", one)]),
            [0x03, 0, 0xc1, 9, 1, 0x03, 1, 0xc1, 9, 1]
        );
        // A resource: itself. A multiple one: itself with its instances. A resource instance: itself.
        assert_eq!(encoded(ContentFormat::TLV, "/3/0/9", &[("/3/0/9", one)]), [0xc1, 9, 1]);
        assert_eq!(encoded(ContentFormat::TLV, "/3/0/7", &[("/3/0/7/2", one)]), [0x83, 7, 0x41, 2, 1]);
        assert_eq!(encoded(ContentFormat::TLV, "/3/0/7/2", &[("/3/0/7/2", one)]), [0x41, 2, 1]);
    }

    #[test]
    fn what_is_empty_can_be_said() {
        let mut buffer = [0; 16];
        let mut encoder = Encoder::new(ContentFormat::TLV, path("/3"), &mut buffer).unwrap();
        encoder.push_empty(path("/3/0")).unwrap();
        encoder.push_empty(path("/3/1/7")).unwrap();
        let length = encoder.finish().unwrap();
        assert_eq!(buffer[..length], [0x00, 0, 0x02, 1, 0x80, 7]);
        assert_eq!(
            items(ContentFormat::TLV, "/3", &buffer[..length]).unwrap(),
            [("/3/0".into(), None), ("/3/1/7".into(), None)]
        );
        assert_eq!(items(ContentFormat::TLV, "/3/0", &[]).unwrap(), []);
    }

    #[test]
    fn lengths_and_ids_take_the_bytes_that_they_need() {
        for length in [0, 7, 8, 255, 256, 65_535, 65_536] {
            let bytes = vec![7; length];
            let mut buffer = vec![0; 70_000];
            let at = Path::resource(5, 0, 300);
            let mut encoder = Encoder::new(ContentFormat::TLV, Path::instance(5, 0), &mut buffer).unwrap();
            encoder.push(at, &Value::Opaque(&bytes), None).unwrap();
            let total = encoder.finish().unwrap();
            let item =
                decode(ContentFormat::TLV, Path::instance(5, 0), &buffer[..total]).unwrap().next().unwrap();
            assert_eq!(item.unwrap(), Item { path: at, value: Some(RawValue::Tlv(&bytes)), time: None });
        }
    }

    #[test]
    fn the_request_may_be_repeated_around_the_answer() {
        assert_eq!(paths_of(ContentFormat::TLV, "/3/0", &[0x03, 0, 0xc1, 9, 1]).unwrap(), ["/3/0/9"]);
        assert_eq!(paths_of(ContentFormat::TLV, "/3/0/7", &[0x41, 2, 1]).unwrap(), ["/3/0/7/2"]);
        assert_eq!(paths_of(ContentFormat::TLV, "/3/0/7/2", &[0x83, 7, 0x41, 2, 1]).unwrap(), ["/3/0/7/2"]);
    }

    #[test]
    fn what_stands_in_the_wrong_place_is_refused() {
        for (base, payload) in [
            ("/3", &[0xc1, 9, 1][..]),          // a resource in an object
            ("/3/0", &[0x41, 9, 1]),            // a resource instance in an object instance
            ("/3/0", &[0x00, 1]),               // another object instance
            ("/3/0/9", &[0xc1, 8, 1]),          // another resource
            ("/3/0/9", &[0x03, 0, 0xc1, 9, 1]), // an object instance around a resource
            ("/3/0/7", &[0x83, 7, 0xc1, 0, 1]), // a resource in a resource
            ("/3", &[0x03, 0, 0x01, 0, 0xff]),  // an object instance in an object instance
        ] {
            assert_eq!(
                items(ContentFormat::TLV, base, payload),
                Err(FormatError::PeerSentMisplacedTlv),
                "{payload:x?}"
            );
        }
        let outside = items(ContentFormat::TLV, "/3/0/7/2", &[0x83, 7, 0x41, 3, 1]);
        assert!(matches!(outside, Err(FormatError::PeerSentPathOutsideBase { .. })));
        assert_eq!(items(ContentFormat::TLV, "/3/0", &[0xe0, 0xff, 0xff]), Err(FormatError::PeerSentBadId));
    }

    #[test]
    fn every_cut_of_a_payload_is_refused_or_shorter() {
        for cut in 0..EXAMPLE.len() {
            let read = items(ContentFormat::TLV, "/3/0", &EXAMPLE[..cut]);
            assert!(read.is_err() || read.unwrap().len() < 16);
        }
    }

    #[test]
    fn numbers_have_one_two_four_or_eight_bytes() {
        let value = |bytes: &[u8], value_type| {
            let value = RawValue::Tlv(bytes).resolve(value_type, &mut []);
            value.map(|value| format!("{value:?}"))
        };
        assert_eq!(value(&[0xff], ValueType::Integer).unwrap(), "Integer(-1)");
        assert_eq!(value(&[0xff], ValueType::UnsignedInteger).unwrap(), "UnsignedInteger(255)");
        assert_eq!(
            value(&[0x80, 0, 0, 0, 0, 0, 0, 0], ValueType::Integer).unwrap(),
            format!("Integer({})", i64::MIN)
        );
        assert_eq!(value(&[0x3f, 0xc0, 0, 0], ValueType::Float).unwrap(), "Float(1.5)");
        for bytes in [&[][..], &[1, 2, 3], &[0; 5], &[0; 9]] {
            assert!(value(bytes, ValueType::Integer).is_err());
            assert!(value(bytes, ValueType::UnsignedInteger).is_err());
            assert!(value(bytes, ValueType::Float).is_err());
            assert!(value(bytes, ValueType::Time).is_err());
            assert!(value(bytes, ValueType::Boolean).is_err());
            assert!(value(bytes, ValueType::ObjectLink).is_err());
        }
        assert!(value(&[2], ValueType::Boolean).is_err());
    }

    #[test]
    fn items_come_in_order_and_once() {
        let one = Value::Integer(1);
        for format in [ContentFormat::TLV, ContentFormat::LWM2M_CBOR] {
            for (first, second) in [("/3/0/9", "/3/0/1"), ("/3/0/9", "/3/0/9"), ("/3/0/7", "/3/0/7/0")] {
                let mut buffer = [0; 64];
                let mut encoder = Encoder::new(format, DEVICE, &mut buffer).unwrap();
                encoder.push(path(first), &one, None).unwrap();
                assert_eq!(encoder.push(path(second), &one, None), Err(FormatError::OutOfOrder));
                assert_eq!(encoder.finish(), Err(FormatError::OutOfOrder));
            }
        }
    }

    #[test]
    fn a_create_may_leave_the_instance_to_the_device() {
        assert_eq!(created_instance(&[0x23, 0x01, 0x00, 0xc1, 0, 1]), Ok(Some(256)));
        assert_eq!(created_instance(&[0x08, 7, 0]), Ok(Some(7)));
        assert_eq!(created_instance(&[0xc1, 0, 1]), Ok(None));
        assert_eq!(created_instance(&[]), Ok(None));
        assert_eq!(created_instance(&[0x41, 0, 1]), Err(FormatError::PeerSentMisplacedTlv));
        assert_eq!(created_instance(&[0x08]), Err(FormatError::PeerSentTruncated));
    }
}

mod lwm2m_json {
    use super::*;

    const FORMAT: ContentFormat = ContentFormat::LWM2M_JSON;

    #[test]
    fn int_204_the_example_of_the_specification_is_read() {
        let payload =
            br#"{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"9","v":100},
            {"n":"13","v":1367491215},{"n":"16","sv":"U"}]}"#;
        assert_eq!(
            paths_of(FORMAT, "/3/0", payload).unwrap(),
            ["/3/0/0", "/3/0/6/0", "/3/0/9", "/3/0/13", "/3/0/16"]
        );
    }

    #[test]
    fn the_base_name_may_come_last_or_not_at_all() {
        let last = br#"{"e":[{"n":"9","v":1}],"bt":0,"bn":"/3/0/"}"#;
        assert_eq!(paths_of(FORMAT, "/3/0", last).unwrap(), ["/3/0/9"]);
        assert_eq!(paths_of(FORMAT, "/3/0", br#"{"e":[{"n":"9","v":1}]}"#).unwrap(), ["/3/0/9"]);
        assert_eq!(paths_of(FORMAT, "/3/0/9", br#"{"e":[{"v":1}]}"#).unwrap(), ["/3/0/9"]);
        assert_eq!(paths_of(FORMAT, "/3", br#"{"e":[{"n":"/3/0/9","v":1}]}"#).unwrap(), ["/3/0/9"]);
    }

    #[test]
    fn every_type_has_its_member() {
        let text = encoded_text(
            FORMAT,
            "/9/0",
            &[
                ("/9/0/1", Value::String("a\"\\\n")),
                ("/9/0/2", Value::Integer(-1)),
                ("/9/0/3", Value::Boolean(true)),
                ("/9/0/4", Value::Opaque(&[1, 2])),
                ("/9/0/5", Value::ObjectLink(ObjectLink { object: 3, instance: 0 })),
                ("/9/0/6/1", Value::Float(0.5)),
            ],
        );
        let expected = concat!(
            r#"{"bn":"/9/0/","e":[{"n":"1","sv":"a\"\\\n"},{"n":"2","v":-1},{"n":"3","bv":true},"#,
            r#"{"n":"4","sv":"AQI="},{"n":"5","ov":"3:0"},{"n":"6/1","v":0.5}]}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for payload in [
            "",
            "[]",
            "{}",
            r#"{"e":{}}"#,
            r#"{"e":[1]}"#,
            r#"{"bn":1,"e":[]}"#,
            r#"{"e":[]}x"#,
            r#"{"bn":"/3/0/","e":[{"n":"x","v":1}]}"#,
            r#"{"bn":"/3/0/","e":[{"n":"9","v":1,"sv":"2"}]}"#,
            r#"{"bn":"/4/","e":[{"n":"0","v":1}]}"#,
            r#"{"e":[],"e":[]}"#,
            r#"{"e":[{"n":"9","v":{}}]}"#,
        ] {
            assert!(items(FORMAT, "/3/0", payload.as_bytes()).is_err(), "{payload}");
        }
    }
}

mod senml_json {
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
            encoded_text(
                FORMAT,
                "/3/0/7",
                &[("/3/0/7/0", Value::Integer(1)), ("/3/0/7/1", Value::Integer(2))]
            ),
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
        assert_eq!(
            times.iter().map(|time| time.is_relative()).collect::<Vec<_>>(),
            [false, false, true, true]
        );
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
        assert!(matches!(outside, Err(FormatError::PeerSentPathOutsideBase { .. })));
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
}

mod senml_cbor {
    use super::*;

    const FORMAT: ContentFormat = ContentFormat::SENML_CBOR;

    #[test]
    fn int_232_the_fields_have_the_labels_of_rfc_8428() {
        let payload = encoded(
            FORMAT,
            "/3/0",
            &[
                ("/3/0/0", Value::String("A")),
                ("/3/0/9", Value::Integer(-100)),
                ("/3/0/10", Value::Boolean(true)),
                ("/3/0/11", Value::Opaque(&[1, 2])),
                ("/3/0/22", Value::ObjectLink(ObjectLink { object: 3, instance: 0 })),
                ("/3/0/23", Value::Float(1.5)),
            ],
        );
        let mut expected = vec![0x86];
        expected.extend(b"\xa3\x21\x65/3/0/\x00\x610\x03\x61A");
        expected.extend(b"\xa2\x00\x619\x02\x38\x63");
        expected.extend(b"\xa2\x00\x6210\x04\xf5");
        expected.extend(b"\xa2\x00\x6211\x08\x42\x01\x02");
        expected.extend(b"\xa2\x00\x6222\x63vlo\x633:0");
        expected.extend(b"\xa2\x00\x6223\x02\xfa\x3f\xc0\x00\x00");
        assert_eq!(payload, expected);
    }

    #[test]
    fn arrays_and_maps_may_be_of_indefinite_length() {
        let payload = b"\x9f\xbf\x21\x66/3/0/9\x02\x18\x64\xff\xff";
        assert_eq!(
            items(FORMAT, "/3/0/9", payload).unwrap(),
            [("/3/0/9".into(), Some("Integer(100)".into()))]
        );
    }

    #[test]
    fn strings_in_chunks_are_refused() {
        let payload = b"\x81\xa2\x21\x66/3/0/0\x03\x7f\x61a\xff";
        assert_eq!(items(FORMAT, "/3/0/0", payload), Err(FormatError::PeerSentIndefiniteString));
    }

    #[test]
    fn numbers_may_be_decimal_fractions_and_half_floats() {
        let fraction = b"\x81\xa2\x21\x66/3/0/9\x02\xc4\x82\x21\x19\x6a\xb3";
        assert_eq!(
            items(FORMAT, "/3/0/9", fraction).unwrap(),
            [("/3/0/9".into(), Some("Float(273.15)".into()))]
        );
        let half = b"\x81\xa2\x21\x66/3/0/9\x02\xf9\x3e\x00";
        assert_eq!(items(FORMAT, "/3/0/9", half).unwrap(), [("/3/0/9".into(), Some("Float(1.5)".into()))]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for payload in [
            &b""[..],
            b"\xa0",
            b"\x81",
            b"\x81\x01",
            b"\x81\xa1\x00\x01",
            b"\x80\x00",
            b"\x81\xa2\x00\x62/3\x00\x62/3",
            b"\x81\xa2\x00\x62/3\x65later_",
            b"\x81\xa2\x00\x62/3\x64new_\x01",
            b"\x81\xa1\x00\x61x",
            b"\xff",
            b"\x81\xa2\x00\x62/3\x02\x80",
            b"\x81\xa1\xf6\x00",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x81\xa2\x00\x62/3\x20\x0b",
        ] {
            assert!(items(FORMAT, "/", payload).is_err(), "{payload:x?}");
        }
    }
}

mod cbor {
    use super::*;

    const FORMAT: ContentFormat = ContentFormat::CBOR;

    #[test]
    fn int_211_every_type_has_its_element() {
        for (value, bytes) in [
            (Value::String("A"), &b"\x61A"[..]),
            (Value::Integer(-1), b"\x20"),
            (Value::Integer(i64::MIN), b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"),
            (Value::UnsignedInteger(500), b"\x19\x01\xf4"),
            (Value::Float(0.1), b"\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a"),
            (Value::Boolean(false), b"\xf4"),
            (Value::Opaque(&[9]), b"\x41\x09"),
            (Value::Time(1_363_896_240), b"\xc1\x1a\x51\x4b\x67\xb0"),
            (Value::ObjectLink(ObjectLink { object: 3, instance: 0 }), b"\x633:0"),
            (Value::CoreLink("</1>"), b"\x64</1>"),
        ] {
            assert_eq!(encoded(FORMAT, "/3/0/9", &[("/3/0/9", value)]), bytes);
            assert_eq!(single(FORMAT, bytes, value.value_type()).unwrap(), format!("{value:?}"));
        }
    }

    #[test]
    fn times_come_in_three_forms() {
        for bytes in [
            &b"\x1a\x51\x4b\x67\xb0"[..],
            b"\xc0\x742013-03-21T20:04:00Z",
            b"\xc1\x1a\x51\x4b\x67\xb0",
            b"\xc1\xfb\x41\xd4\x52\xd9\xec\x20\x00\x00",
        ] {
            assert_eq!(single(FORMAT, bytes, ValueType::Time).unwrap(), "Time(1363896240)", "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_not_of_the_resources_type_is_refused() {
        for (bytes, value_type) in [
            (&b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff"[..], ValueType::Integer),
            (b"\x20", ValueType::UnsignedInteger),
            (b"\x01", ValueType::Boolean),
            (b"\x01", ValueType::String),
            (b"\x61A", ValueType::Integer),
            (b"\x61A", ValueType::Float),
            (b"\x61A", ValueType::ObjectLink),
            (b"\xfa\x3f\x00\x00\x00", ValueType::Integer),
            (b"\x61A", ValueType::Time),
        ] {
            assert!(single(FORMAT, bytes, value_type).is_err(), "{bytes:x?}");
        }
        assert_eq!(single(FORMAT, b"\xf6", ValueType::Integer), Err(FormatError::PeerSentBadCbor));
    }
}

mod lwm2m_cbor {
    use super::*;

    const FORMAT: ContentFormat = ContentFormat::LWM2M_CBOR;

    #[test]
    fn ids_are_keys_of_nested_maps() {
        let payload = encoded(
            FORMAT,
            "/3/0",
            &[
                ("/3/0/0", Value::String("A")),
                ("/3/0/6/0", Value::Integer(1)),
                ("/3/0/6/1", Value::Integer(5)),
                ("/3/0/9", Value::Integer(95)),
            ],
        );
        assert_eq!(payload, b"\xa1\x03\xa1\x00\xa3\x00\x61A\x06\xa2\x00\x01\x01\x05\x09\x18\x5f");
        assert_eq!(paths_of(FORMAT, "/3/0", &payload).unwrap(), ["/3/0/0", "/3/0/6/0", "/3/0/6/1", "/3/0/9"]);
    }

    #[test]
    fn keys_may_be_arrays_and_maps_of_indefinite_length() {
        let arrays = b"\xbf\x83\x03\x00\x09\x18\x5f\x82\x01\x00\xbf\x01\x18\x3c\xff\xff";
        assert_eq!(paths_of(FORMAT, "/", arrays).unwrap(), ["/3/0/9", "/1/0/1"]);
        assert_eq!(paths_of(FORMAT, "/", b"\xbf\xff").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_empty_map_is_an_empty_instance() {
        let mut buffer = [0; 16];
        let mut encoder = Encoder::new(FORMAT, path("/3"), &mut buffer).unwrap();
        encoder.push_empty(path("/3/0")).unwrap();
        encoder.push(path("/3/1/9"), &Value::Integer(1), None).unwrap();
        let length = encoder.finish().unwrap();
        assert_eq!(buffer[..length], *b"\xa1\x03\xa2\x00\xa0\x01\xa1\x09\x01");
        assert_eq!(paths_of(FORMAT, "/3", &buffer[..length]).unwrap(), ["/3/0", "/3/1/9"]);
        assert_eq!(paths_of(FORMAT, "/3", b"\xa1\x03\xa1\x00\xbf\xff").unwrap(), ["/3/0"]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for payload in [
            &b""[..],
            b"\x80",
            b"\xa1",
            b"\xa1\x03",
            b"\xa1\x20\x00",
            b"\xa1\x61x\x00",
            b"\xa1\x80\x00",
            b"\xa1\x85\x01\x02\x03\x04\x05\x00",
            b"\xa1\x01\xa1\x02\xa1\x03\xa1\x04\xa1\x05\x06",
            b"\xa1\x19\xff\xff\x00",
            b"\xa1\x03\x80",
            b"\xa0\x00",
            b"\xa1\x1a\x00\x01\x00\x00\x00",
        ] {
            assert!(items(FORMAT, "/", payload).is_err(), "{payload:x?}");
        }
        let nested: Vec<u8> = [0xa1, 0x80].repeat(10_000);
        assert!(items(FORMAT, "/", &nested).is_err());
    }
}

mod composite {
    use super::*;

    #[test]
    fn paths_survive_every_format_that_can_name_them() {
        let paths = [path("/3/0/9"), path("/1"), path("/3303/0/5700"), path("/3/0/7/1")];
        for format in [
            ContentFormat::SENML_JSON,
            ContentFormat::SENML_CBOR,
            ContentFormat::SENML_ETCH_JSON,
            ContentFormat::SENML_ETCH_CBOR,
            ContentFormat::LWM2M_CBOR,
        ] {
            let mut buffer = [0; 128];
            let length = encode_paths(format, paths, &mut buffer).unwrap();
            let read: Result<Vec<_>, _> = decode_paths(format, &buffer[..length]).unwrap().collect();
            assert_eq!(read.unwrap(), paths, "{format:?}");
        }
        assert!(encode_paths(ContentFormat::TLV, paths, &mut []).is_err());
        assert!(decode_paths(ContentFormat::LWM2M_JSON, b"").is_err());
    }

    #[test]
    fn int_235_the_root_is_a_path_too() {
        let mut buffer = [0; 32];
        for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR] {
            let length = encode_paths(format, [Path::ROOT], &mut buffer).unwrap();
            let read: Vec<_> = decode_paths(format, &buffer[..length]).unwrap().collect();
            assert_eq!(read, [Ok(Path::ROOT)]);
        }
        assert!(encode_paths(ContentFormat::LWM2M_CBOR, [Path::ROOT], &mut buffer).is_err());
    }

    #[test]
    fn the_paths_of_lwm2m_cbor_have_null_for_values() {
        let mut buffer = [0; 32];
        let length =
            encode_paths(ContentFormat::LWM2M_CBOR, [path("/3/0/9"), path("/1")], &mut buffer).unwrap();
        assert_eq!(buffer[..length], *b"\xa2\x83\x03\x00\x09\xf6\x01\xf6");
    }
}

#[derive(Clone, Debug)]
enum Sample {
    String(String),
    Integer(i64),
    UnsignedInteger(u64),
    Float(f64),
    Boolean(bool),
    Opaque(Vec<u8>),
    Time(i64),
    ObjectLink(u16, u16),
    CoreLink(String),
}

impl Sample {
    fn value(&self) -> Value<'_> {
        match self {
            Self::String(text) => Value::String(text),
            Self::Integer(value) => Value::Integer(*value),
            Self::UnsignedInteger(value) => Value::UnsignedInteger(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Opaque(bytes) => Value::Opaque(bytes),
            Self::Time(value) => Value::Time(*value),
            Self::ObjectLink(object, instance) => {
                Value::ObjectLink(ObjectLink { object: *object, instance: *instance })
            }
            Self::CoreLink(text) => Value::CoreLink(text),
        }
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        any::<String>().prop_map(Sample::String),
        any::<i64>().prop_map(Sample::Integer),
        any::<u64>().prop_map(Sample::UnsignedInteger),
        (proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL)
            .prop_map(Sample::Float),
        any::<bool>().prop_map(Sample::Boolean),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Sample::Opaque),
        (-8_000_000_000_000_000..8_000_000_000_000_000_i64).prop_map(Sample::Time),
        any::<(u16, u16)>().prop_map(|(object, instance)| Sample::ObjectLink(object, instance)),
        "[</>a-z0-9;=]{0,12}".prop_map(Sample::CoreLink),
    ]
}

/// Resources and resource instances below `/3`, in order, none below another.
fn any_items() -> impl Strategy<Value = Vec<(Path, Sample)>> {
    let at = (0..3_u16, prop::sample::select(vec![0_u16, 9, 300, 65_534]), prop::option::of(0..300_u16));
    prop::collection::btree_map(at, any_sample(), 1..8).prop_map(|items| {
        let mut list: Vec<(Path, Sample)> = Vec::new();
        for ((instance, resource, resource_instance), sample) in items {
            let resource = Path::resource(3, instance, resource);
            let at = resource_instance.map_or(resource, |id| resource.child(id).unwrap());
            if !list.iter().any(|(other, _)| at.starts_with(*other) && other.len() < at.len()) {
                list.push((at, sample));
            }
        }
        list.sort_by_key(|(at, _)| *at);
        list
    })
}

fn check_round_trip(
    format: ContentFormat,
    base: Path,
    items: &[(Path, Sample)],
) -> Result<(), TestCaseError> {
    let mut buffer = vec![0; 8192];
    let mut encoder = Encoder::new(format, base, &mut buffer).unwrap();
    for (at, sample) in items {
        encoder.push(*at, &sample.value(), None).unwrap();
    }
    let length = encoder.finish().unwrap();
    let mut read = decode(format, base, &buffer[..length]).unwrap();
    for (at, sample) in items {
        let item = read.next().unwrap().unwrap();
        prop_assert_eq!(item.path, *at);
        let value = item.value.unwrap();
        let mut scratch = vec![0; value.scratch_len()];
        prop_assert_eq!(value.resolve(sample.value().value_type(), &mut scratch).unwrap(), sample.value());
    }
    prop_assert!(read.next().is_none());
    Ok(())
}

/// Reads whatever there is, as every type.
fn exhaust(format: ContentFormat, base: Path, payload: &[u8]) {
    let Ok(items) = decode(format, base, payload) else {
        return;
    };
    for item in items.flatten() {
        let Some(value) = item.value else { continue };
        let mut scratch = [0; 64];
        let _ = value.resolve_guessing(&mut scratch);
        for value_type in [
            ValueType::String,
            ValueType::Integer,
            ValueType::UnsignedInteger,
            ValueType::Float,
            ValueType::Boolean,
            ValueType::Opaque,
            ValueType::Time,
            ValueType::ObjectLink,
            ValueType::CoreLink,
        ] {
            let _ = value.resolve(value_type, &mut scratch);
        }
    }
}

proptest! {
    #[test]
    fn whole_objects_survive_every_structured_format(items in any_items()) {
        for format in STRUCTURED {
            check_round_trip(format, Path::object(3), &items)?;
        }
        for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::LWM2M_CBOR, ContentFormat::LWM2M_JSON] {
            check_round_trip(format, Path::ROOT, &items)?;
        }
    }

    #[test]
    fn single_values_survive_every_format(sample in any_sample()) {
        for format in ALL {
            let fits = format != ContentFormat::OCTET_STREAM || matches!(sample, Sample::Opaque(_));
            for at in ["/3/0/9", "/3/0/7/1"].map(path) {
                if fits {
                    check_round_trip(format, at, &[(at, sample.clone())])?;
                }
            }
        }
    }

    #[test]
    fn no_buffer_is_too_small_to_be_said_so(items in any_items(), size in 0..120_usize) {
        for format in STRUCTURED {
            let mut buffer = vec![0; size];
            let mut encoder = Encoder::new(format, Path::object(3), &mut buffer).unwrap();
            let pushed = items.iter().try_for_each(|(at, sample)| encoder.push(*at, &sample.value(), None));
            let finished = encoder.finish();
            prop_assert!(finished.is_err() || pushed.is_ok());
            prop_assert!(finished.is_ok() || finished == Err(FormatError::BufferTooSmall));
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(payload in prop::collection::vec(any::<u8>(), 0..80), level in 0..=4_usize) {
        for format in ALL {
            exhaust(format, Path::resource_instance(3, 0, 7, 1).truncated(level), &payload);
            let _ = decode_paths(format, &payload).map(Iterator::count);
        }
        let _ = created_instance(&payload);
    }

    #[test]
    fn no_text_makes_a_decoder_panic(payload in r#"(\[|\]|\{|\}|"(bn|n|v|vs|vd|vlo|e|bt|t|sv)"|:|,|"/3/0"|"9"|1e9|\\u00|null|true| )*"#) {
        for format in ALL {
            exhaust(format, Path::ROOT, payload.as_bytes());
            exhaust(format, Path::resource(3, 0, 9), payload.as_bytes());
        }
    }

    #[test]
    fn no_damage_to_a_good_payload_makes_a_decoder_panic(items in any_items(), at in any::<prop::sample::Index>(), byte: u8) {
        for format in STRUCTURED {
            let mut buffer = vec![0; 8192];
            let mut encoder = Encoder::new(format, Path::object(3), &mut buffer).unwrap();
            for (at, sample) in &items {
                encoder.push(*at, &sample.value(), None).unwrap();
            }
            let length = encoder.finish().unwrap();
            let at = at.index(length);
            buffer[at] = byte;
            exhaust(format, Path::object(3), &buffer[..length]);
            exhaust(format, Path::object(3), &buffer[..at]);
        }
    }
}
