//! Block-wise transfer against a peer that answers anything: what arrives is in order and within its bounds.
#![no_main]

use arbitrary::Arbitrary;
use buoy_coap::block::{Assembled, Assembly, Block, BlockSize, Download, Upload, UploadStep, slice};
use buoy_coap::wire::Message;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    total: u16,
    limit: u16,
    ours: u16,
    theirs: u16,
    /// Block option, payload length, Size1.
    blocks: Vec<(u32, u16, Option<u32>)>,
    /// Answers of the peer, as they come from the network.
    answers: Vec<Vec<u8>>,
    resume_at: u32,
    etag: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let (ours, theirs) = (BlockSize::at_most(input.ours.into()), BlockSize::at_most(input.theirs.into()));
    let total = usize::from(input.total);

    let limit = usize::from(input.limit);
    let mut assembly = Assembly::new(limit, ours);
    let mut held = 0;
    for (option, length, announced) in &input.blocks {
        let Some(block) = Block::from_uint(*option) else { continue };
        if let Ok((cut, range)) = slice(Some(block), ours, total) {
            assert!(range.end <= total && cut.size().bytes() <= ours.bytes());
        }
        let starts_anew = block.offset() == 0;
        match assembly.accept(block, usize::from(*length), *announced) {
            Ok(Assembled::More(_) | Assembled::Complete(_)) => {
                held = if starts_anew { usize::from(*length) } else { held + usize::from(*length) };
                assert!(held <= limit);
                assert_eq!(held, assembly.received());
            }
            Ok(Assembled::Repeated(_)) | Err(_) => {}
        }
    }

    let messages = input.answers.iter().filter_map(|answer| Message::parse(answer).ok());
    let mut upload = Upload::new(total, theirs);
    let mut download = Download::resume(input.resume_at as usize % (1 << 24), ours, &input.etag);
    for message in messages {
        if let Some((block, range)) = upload.block() {
            assert!(range.start <= total && range.end <= total);
            assert!(range.len() <= block.size().bytes());
            if upload.answered(&message) == Ok(UploadStep::Done) {
                assert_eq!(range.end, total, "done with the last block and no other");
            }
        }
        if let Ok(piece) = download.received_block(&message) {
            assert!(piece.bytes.len() <= message.payload().len());
        }
        let _ = download.block();
    }
});
