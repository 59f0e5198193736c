//! Payloads of composite operations.

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
    let length = encode_paths(ContentFormat::LWM2M_CBOR, [path("/3/0/9"), path("/1")], &mut buffer).unwrap();
    assert_eq!(buffer[..length], *b"\xa2\x83\x03\x00\x09\xf6\x01\xf6");
}
