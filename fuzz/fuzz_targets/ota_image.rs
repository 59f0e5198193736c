//! App images, in pieces of any size: the verdict doesn't depend on how the bytes came.
#![no_main]

use arbitrary::Arbitrary;
use buoy_ota::host::ImageBuilder;
use buoy_ota::image::{AppDescriptor, ImageError, ImageInfo, Scanner};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// A sound image to start from, with this payload; or nothing.
    sound: Option<u8>,
    /// Bytes of it to change.
    changes: Vec<(u16, u8)>,
    tail: Vec<u8>,
    piece: u8,
}

fuzz_target!(|input: Input| {
    let mut bytes = input.sound.map_or(Vec::new(), |len| {
        ImageBuilder::new("fuzz", "1.0.0").payload_len(usize::from(len) * 4).build()
    });
    for (at, byte) in &input.changes {
        if let Some(place) = bytes.get_mut(usize::from(*at)) {
            *place = *byte;
        }
    }
    bytes.extend_from_slice(&input.tail);

    let whole = scan(&bytes, bytes.len().max(1));
    let in_pieces = scan(&bytes, usize::from(input.piece).max(1));
    assert_eq!(whole.is_ok(), in_pieces.is_ok());
    if let Ok(info) = whole {
        assert_eq!(info.file_len as usize, bytes.len());
    }
    let _ = AppDescriptor::parse(&bytes);
});

fn scan(bytes: &[u8], piece: usize) -> Result<ImageInfo, ImageError> {
    let mut scanner = Scanner::new();
    for piece in bytes.chunks(piece) {
        scanner.push(piece)?;
        let _ = scanner.early();
    }
    scanner.finish()
}
