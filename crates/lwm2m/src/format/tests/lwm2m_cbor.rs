//! LwM2M CBOR of 1.2.

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
