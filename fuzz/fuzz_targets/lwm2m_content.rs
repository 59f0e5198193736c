//! Payloads of every content format, with every value resolved as every type; what decodes can be encoded again.
#![no_main]

use arbitrary::Arbitrary;
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::{Encoder, created_instance, decode, decode_paths, encode_paths};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::ValueType;
use libfuzzer_sys::fuzz_target;

const FORMATS: [ContentFormat; 10] = [
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
const TYPES: [ValueType; 9] = [
    ValueType::String,
    ValueType::Integer,
    ValueType::UnsignedInteger,
    ValueType::Float,
    ValueType::Boolean,
    ValueType::Opaque,
    ValueType::Time,
    ValueType::ObjectLink,
    ValueType::CoreLink,
];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    format: u8,
    base: u8,
    payload: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let format = FORMATS[usize::from(input.format) % FORMATS.len()];
    let bases = [Path::ROOT, Path::object(3), Path::instance(3, 0), Path::resource(3, 0, 9)];
    let base = bases[usize::from(input.base) % bases.len()];
    let _ = created_instance(input.payload);
    paths(format, input.payload);

    let Ok(items) = decode(format, base, input.payload) else { return };
    // Escapes shrink and Base64 too: no value is longer than what it came from, and so one buffer is enough.
    let mut scratch = vec![0; input.payload.len() + 16];
    let mut count = 0;
    let mut written = vec![0; 4 * input.payload.len() + 256];
    let mut encoder =
        Encoder::new(ContentFormat::SENML_CBOR, base, &mut written).expect("SenML speaks of any path");
    for item in items.map_while(Result::ok) {
        count += 1;
        assert!(item.path.starts_with(base));
        let Some(value) = item.value else { continue };
        assert!(value.scratch_len() <= scratch.len());
        for value_type in TYPES {
            let _ = value.resolve(value_type, &mut scratch);
        }
        if let Ok(value) = value.resolve_guessing(&mut scratch) {
            let _ = encoder.push(item.path, &value, item.time.map(|time| time.raw()));
        }
    }
    assert!(count <= input.payload.len() + 1, "every item takes a byte");
    if let Ok(length) = encoder.finish() {
        let again =
            decode(ContentFormat::SENML_CBOR, base, &written[..length]).expect("we read what we write");
        again.for_each(|item| drop(item.expect("we read what we write")));
    }
});

fn paths(format: ContentFormat, payload: &[u8]) {
    let Ok(paths) = decode_paths(format, payload) else { return };
    let Ok(paths) = paths.take(64).collect::<Result<Vec<Path>, _>>() else { return };
    let mut buffer = vec![0; 4096];
    if let Ok(length) = encode_paths(format, paths.iter().copied(), &mut buffer) {
        let again: Result<Vec<Path>, _> =
            decode_paths(format, &buffer[..length]).expect("we read what we write").collect();
        let mut again = again.expect("we read what we write");
        let mut paths = paths;
        paths.sort();
        again.sort();
        paths.dedup();
        again.dedup();
        assert_eq!(again, paths);
    }
}
