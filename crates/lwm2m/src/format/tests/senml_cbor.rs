//! SenML CBOR (RFC 8428).

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
    assert_eq!(items(FORMAT, "/3/0/9", payload).unwrap(), [("/3/0/9".into(), Some("Integer(100)".into()))]);
}

#[test]
fn strings_in_chunks_are_refused() {
    let payload = b"\x81\xa2\x21\x66/3/0/0\x03\x7f\x61a\xff";
    assert_eq!(items(FORMAT, "/3/0/0", payload), Err(FormatError::PeerSentIndefiniteString));
}

#[test]
fn numbers_may_be_decimal_fractions_and_half_floats() {
    let fraction = b"\x81\xa2\x21\x66/3/0/9\x02\xc4\x82\x21\x19\x6a\xb3";
    assert_eq!(items(FORMAT, "/3/0/9", fraction).unwrap(), [("/3/0/9".into(), Some("Float(273.15)".into()))]);
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
