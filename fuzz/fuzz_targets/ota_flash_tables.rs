//! The partition table and otadata, as they lie in flash.
#![no_main]

use buoy_ota::otadata::{Entry, OtaData};
use buoy_ota::partition::PartitionTable;
use buoy_ota::slots::Layout;
use libfuzzer_sys::fuzz_target;

const FLASH: u32 = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = PartitionTable::parse(bytes, FLASH) {
        let again = PartitionTable::parse(&table.to_bytes(), FLASH).expect("we read what we write");
        assert!(again.iter().eq(table.iter()));
        if let Ok(layout) = Layout::from_table(&table) {
            assert!(layout.ota_slots().all(|slot| layout.slot(slot).is_some()));
        }
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let otadata = OtaData::parse(first, second);
    let _ = (otadata.selected(), otadata.highest(), otadata.spare());
    if let Some(entry) = Entry::parse(bytes) {
        assert_eq!(Entry::parse(&entry.to_bytes()), Some(entry));
    }
});
