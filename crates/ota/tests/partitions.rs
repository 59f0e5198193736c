//! The partition table that ESP-IDF's tools read is the one that `buoy fw flash` writes.

use buoy_ota::partition::{PartitionTable, Role};

#[test]
fn the_csv_of_the_esp32c3_is_the_standard_table() {
    let csv = include_str!("../../../embedded/boards/esp32c3/partitions.csv");
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    let rows: Vec<_> = csv
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let role = match (fields[1], fields[2]) {
                ("data", "nvs") => Role::Nvs,
                ("data", "ota") => Role::OtaData,
                ("data", "spiffs") => Role::Other(0x01, 0x82),
                ("0x40", "0x4F") => Role::BuoyState,
                ("app", "factory") => Role::Factory,
                ("app", "ota_0") => Role::Ota(0),
                ("app", "ota_1") => Role::Ota(1),
                other => panic!("{other:?}"),
            };
            (role, number(fields[3]), number(fields[4]), fields[0].to_owned())
        })
        .collect();
    let table = PartitionTable::standard_4mb();
    let standard: Vec<_> = table
        .iter()
        .map(|it| (it.role, it.region.offset(), it.region.len(), it.label.as_str().to_owned()))
        .collect();
    assert_eq!(rows, standard);
}
