//! Espressif's own tool verifies our block of Secure Boot v2.

use std::path::Path;
use std::process::{Command, Output};

use buoy_ota::host::{ImageBuilder, SecureBootError, sign_secure_boot_v2};

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn espsecure_verifies_what_is_signed_for_secure_boot_v2_and_nothing_else() {
    let has_it = Command::new("python3").args(["-c", "import espsecure"]).output();
    if !has_it.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs `pip install esptool`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(run("openssl", &["genrsa", "-out", "key.pem", "3072"], folder).status.success());
    let key = std::fs::read_to_string(folder.join("key.pem")).unwrap();
    let verify =
        ["-m", "espsecure", "verify-signature", "--version", "2", "--keyfile", "key.pem", "signed.bin"];
    for len in [1000, 5000] {
        let image = ImageBuilder::new("demo", "1.2.3").payload_len(len).build();
        let signed = sign_secure_boot_v2(&image, &key).unwrap();
        assert_eq!(signed.len() % 4096, 0);
        std::fs::write(folder.join("signed.bin"), &signed).unwrap();
        let output = run("python3", &verify, folder);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

        let mut damaged = signed;
        damaged[300] ^= 1;
        std::fs::write(folder.join("signed.bin"), &damaged).unwrap();
        assert!(!run("python3", &verify, folder).status.success(), "another image has this signature");
    }
}

#[test]
fn a_key_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run("openssl", &["genrsa", "-out", "key.pem", "2048"], folder.path()).status.success());
    let key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    let image = ImageBuilder::new("demo", "1.2.3").build();
    assert_eq!(sign_secure_boot_v2(&image, &key), Err(SecureBootError::NotRsa3072));
}
