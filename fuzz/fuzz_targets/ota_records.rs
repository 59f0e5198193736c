//! Journal and ledger: single records, and flash regions full of whatever was left there.
#![no_main]

use buoy_ota::flash::Region;
use buoy_ota::journal::{Journal, Progress, Start};
use buoy_ota::ledger::{Fact, Ledger};
use buoy_ota::simflash::SimFlash;
use libfuzzer_sys::fuzz_target;

const LEN: usize = 0x2000;

fuzz_target!(|bytes: &[u8]| {
    for record in bytes.chunks_exact(32) {
        let record: &[u8; 32] = record.try_into().expect("chunks of 32 bytes");
        if let Some(fact) = Fact::parse(record) {
            assert_eq!(Fact::parse(&fact.to_bytes()), Some(fact));
        }
        let _ = (Start::parse(record), Progress::parse(record));
    }
    let mut content = vec![0xFF; LEN];
    let length = bytes.len().min(LEN);
    content[..length].copy_from_slice(&bytes[..length]);
    let mut flash = SimFlash::from_bytes(content);
    let region = Region::new(0, LEN as u32).expect("two sectors");
    if let Ok(mut ledger) = Ledger::load(&mut flash, region) {
        let floor = ledger.floor();
        if let Some(fact) = bytes.chunks_exact(32).find_map(|record| Fact::parse(record.try_into().ok()?)) {
            let _ = ledger.append(&mut flash, fact);
        }
        let again = Ledger::load(&mut flash, region).expect("the flash works");
        assert!(again.floor() >= floor, "the security counter never goes back");
    }
    let _ = Journal::open(&mut flash, region);
});
