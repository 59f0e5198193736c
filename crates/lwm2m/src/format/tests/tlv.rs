//! TLV (Core, section 7.4.3).

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
    assert!(matches!(outside, Err(FormatError::PeerSentPathOutsideBase)));
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
