//! The behaviours that OMA's Enabler Test Specification numbers, between our server and our device: what is on the wire, and
//! what comes of it on either side.

mod bootstrap;
mod composite;
mod management;
mod registration;
mod reporting;

use buoy_client::ClientConfig;
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::{Encoder, decode};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};
use buoy_testkit::{Container, DEVICE, World};

const TEXT: ContentFormat = ContentFormat::TEXT;
const TLV: ContentFormat = ContentFormat::TLV;
const JSON: ContentFormat = ContentFormat::LWM2M_JSON;
const CBOR: ContentFormat = ContentFormat::CBOR;
const SENML_JSON: ContentFormat = ContentFormat::SENML_JSON;
const SENML_CBOR: ContentFormat = ContentFormat::SENML_CBOR;

/// The paths of a payload's values.
fn paths_in(format: ContentFormat, base: &str, payload: &[u8]) -> Vec<String> {
    let items = decode(format, base.parse().unwrap(), payload).unwrap();
    items.map(|item| item.unwrap().path.to_string()).collect()
}

/// One value of a payload, as `String("Buoy")`.
fn value_in(format: ContentFormat, base: &str, payload: &[u8], path: &str, of: ValueType) -> String {
    let wanted: Path = path.parse().unwrap();
    let mut items = decode(format, base.parse().unwrap(), payload).unwrap().map(Result::unwrap);
    let item =
        items.find(|item| item.path == wanted).unwrap_or_else(|| panic!("{path} is not in the payload"));
    format!("{:?}", item.value.unwrap().resolve(of, &mut [0; 64]).unwrap())
}

fn encoded(format: ContentFormat, base: &str, values: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut encoder = Encoder::new(format, base.parse().unwrap(), &mut buffer).unwrap();
    for (path, value) in values {
        encoder.push(path.parse().unwrap(), value, None).unwrap();
    }
    let length = encoder.finish().unwrap();
    buffer.truncate(length);
    buffer
}

fn config() -> ClientConfig {
    ClientConfig::new(DEVICE).unwrap()
}

/// A device with an object whose instances servers make and remove.
fn with_container() -> World {
    let mut world = World::new(7);
    let mut container = Container::default();
    container.instances.insert(0, ([(0, b"one".to_vec()), (1, b"two".to_vec())].into(), "first".into()));
    world.device().objects.container = Some(container);
    world.start();
    world
}

fn both(request: &str, answer: &str) -> (String, String) {
    (request.to_owned(), answer.to_owned())
}
