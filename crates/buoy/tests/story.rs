//! The program as its user meets it.

mod common;

use std::process::Command;

use common::{buoy, store_flags};

#[test]
fn the_demo_holds_every_step_from_registration_to_a_power_cut_in_a_download() {
    let folder = tempfile::tempdir().unwrap();
    let output = buoy().args(["demo", "--once"]).args(store_flags(folder.path())).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    for step in [
        "two devices are claimed",
        "they are bootstrapped",
        "they register over DTLS",
        "reads",
        "a live observation",
        "the light goes on and off",
        "an operation waits for the sleeping device",
        "signed 1.1.0 rolls out",
        "1.2.0 crashes and is rolled back",
        "a tampered image is refused",
        "power is cut in a download",
    ] {
        assert!(told.contains(step), "{step}: {told}");
    }
}

#[test]
fn a_server_that_would_be_reached_from_outside_refuses_to_start() {
    let output = buoy().args(["serve", "--http", "0.0.0.0:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("--http 0.0.0.0:0") && said.contains("loopback"), "{said}");
}

#[test]
fn a_configuration_file_that_is_wrong_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buoy.toml");
    std::fs::write(&file, "shards = \"many\"\n").unwrap();
    let output = buoy().args(["serve", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("buoy.toml") && said.contains("line 1"), "{said}");
}

#[test]
fn an_image_signed_by_openssl_alone_verifies_and_one_flipped_bit_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let status =
            Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap().status;
        assert!(status.success(), "openssl {arguments:?}");
    };
    let fw = |arguments: &[&str]| {
        buoy().arg("fw").args(arguments).current_dir(folder.path()).output().unwrap().status.code()
    };
    assert_eq!(fw(&["build", "--release", "1.1.0", "firmware.bin"]), Some(0));
    let request =
        "req -x509 -newkey rsa:4096 -keyout key.pem -out cert.pem -nodes -subj /CN=release -days 30";
    openssl(&request.split(' ').collect::<Vec<_>>());
    openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "firmware.signature", "firmware.bin"]);
    let verify = ["verify", "--key", "cert.pem", "--signature", "firmware.signature", "firmware.bin"];
    assert_eq!(fw(&verify), Some(0));
    let path = folder.path().join("firmware.bin");
    let mut image = std::fs::read(&path).unwrap();
    image[1000] ^= 1;
    std::fs::write(&path, image).unwrap();
    assert_eq!(fw(&verify), Some(1));
}
