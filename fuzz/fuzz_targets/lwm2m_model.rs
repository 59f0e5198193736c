//! Object definitions, from text and from OMA's XML.
#![no_main]

use buoy_lwm2m::model::{Registry, xml};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(objects) = xml::parse(bytes) {
        let mut registry = Registry::new();
        objects.into_iter().for_each(|object| drop(registry.insert(object)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut registry = Registry::new();
        if let Ok(count) = registry.load_text(text) {
            assert!(registry.iter().count() <= count);
        }
    }
});
