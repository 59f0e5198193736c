//! The formats by the examples of their specifications, against each other, and against hostile payloads.

mod cbor;
mod composite;
mod lwm2m_cbor;
mod lwm2m_json;
mod plain;
mod senml_cbor;
mod senml_json;
mod tlv;

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
