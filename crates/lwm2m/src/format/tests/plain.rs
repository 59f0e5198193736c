//! Text, opaque, link-format.

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
    assert_eq!(single(ContentFormat::TEXT, &[0xff], ValueType::String), Err(FormatError::PeerSentNotUtf8));
}

#[test]
fn one_value_needs_a_resource() {
    for format in [ContentFormat::TEXT, ContentFormat::OCTET_STREAM, ContentFormat::CBOR] {
        let refused = FormatError::UnsupportedPath { level: DEVICE.level(), format };
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
    assert_eq!(encoded(ContentFormat::OCTET_STREAM, "/5/0/0", &[("/5/0/0", Value::Opaque(&[1, 2]))]), [1, 2]);
    let mut buffer = [0; 8];
    let mut encoder = Encoder::new(ContentFormat::OCTET_STREAM, path("/3/0/9"), &mut buffer).unwrap();
    assert!(encoder.push(path("/3/0/9"), &Value::Integer(1), None).is_err());
    assert!(single(ContentFormat::OCTET_STREAM, &[1], ValueType::Integer).is_err());
}
