//! Link lists, as Register and Discover carry them.
#![no_main]

use buoy_lwm2m::link::{Links, ObjectLinks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let Ok(links) = Links::new(payload) else { return };
    for link in links.map_while(Result::ok) {
        let _ = (link.version(), link.dimension(), link.short_server_id(), link.server_uri());
        let _ = (link.path("/"), link.path("/lwm2m"), link.notification_attributes());
        for attribute in link.attributes() {
            let _ = attribute.raw();
            assert!(attribute.chars().count() <= payload.len());
        }
    }
    if let Ok(objects) = ObjectLinks::parse(payload) {
        let _ = (objects.root(), objects.content_formats().count());
        assert!(objects.iter().all(|entry| entry.path.len() <= 2));
    }
});
