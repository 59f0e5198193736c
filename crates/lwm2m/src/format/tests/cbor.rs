//! CBOR (RFC 8949).

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
