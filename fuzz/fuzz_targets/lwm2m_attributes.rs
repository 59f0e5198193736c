//! Notification attributes from queries.
#![no_main]

use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let queries = || text.split('&');
    if let Ok(attributes) = Attributes::parse(queries()) {
        let _ = (attributes.check_consistency(), attributes.effective_pmax());
        assert_eq!(attributes.inherit(attributes), attributes);
    }
    if let Ok(update) = AttributeUpdate::parse(queries()) {
        let mut once = Attributes::default();
        update.apply(&mut once);
        let mut twice = once;
        update.apply(&mut twice);
        assert_eq!(once, twice);
        let _ = once.check_consistency();
    }
});
