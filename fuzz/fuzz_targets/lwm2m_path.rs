//! Paths from text and from segments; what is accepted has one spelling.
#![no_main]

use buoy_lwm2m::path::Path;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Path::from_segments(bytes.split(|byte| *byte == b'/'));
    let ids: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    if let Ok(path) = Path::from_ids(&ids) {
        assert_eq!(path.ids(), ids);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<Path>() {
        assert_eq!(path.to_string().parse(), Ok(path));
        let _ = path.parse_relative(text);
        let _ = (path.parent(), path.child(7), path.truncated(2));
    }
});
