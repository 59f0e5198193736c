//! Espressif's own tool finds our synthetic images sound.

use std::process::Command;

use buoy_ota::host::ImageBuilder;
use buoy_ota::image::ChipId;

#[test]
fn esptool_calls_checksum_and_hash_of_a_built_image_valid() {
    let has_esptool = Command::new("python3").args(["-c", "import esptool"]).output();
    if !has_esptool.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs `pip install esptool`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.bin");
    for (chip, name) in [(ChipId::ESP32_C3, "esp32c3"), (ChipId::ESP32, "esp32")] {
        for len in [0, 1, 1000, 1004, 1008, 1012] {
            let image = ImageBuilder::new("demo", "1.2.3").chip(chip).counter(7).payload_len(len).build();
            std::fs::write(&path, image).unwrap();

            let output = Command::new("python3")
                .args(["-m", "esptool", "--chip", name, "image_info"])
                .arg(&path)
                .output();

            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("Checksum: ") && said.contains("(valid)"), "payload of {len}: {said}");
            assert!(
                said.contains("Validation hash: ") && !said.contains("invalid"),
                "payload of {len}: {said}"
            );
            assert!(said.contains("demo") && said.contains("1.2.3"), "payload of {len}: {said}");
        }
    }
}
