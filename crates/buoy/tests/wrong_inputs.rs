//! What is wrong with a command line is told: what it is, why, and what to do next.

mod common;

use common::buoy;

/// A folder with a release key, a signed image, and files that are none of what is asked for.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = buoy().args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["fw", "keygen", "--kind", "p256", "release"]);
    run(&["fw", "keygen", "--kind", "p256", "other"]);
    run(&["fw", "build", "--release", "1.0.0", "image.bin"]);
    run(&["fw", "sign", "--key", "release.key.pem", "image.bin"]);
    std::fs::write(folder.path().join("text"), "no key\n").unwrap();
    std::fs::write(folder.path().join("bytes"), [0xff; 1000]).unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::write(folder.path().join("serve.toml"), "shards = 1\nshard = 2\n").unwrap();
    folder
}

/// What a device needs besides.
const DEVICE: &str = "device --endpoint a --flash flash --trust release.pub.pem --factory image.bin";

#[test]
fn a_wrong_input_is_told_with_its_reason_and_what_to_do() {
    let folder = folder();
    let cases: &[(&str, &[&str])] = &[
        ("device --endpoint a --flash flash --trust release.pub.pem", &["flash is not there", "--factory"]),
        (
            "device --endpoint a --flash flash --trust text --factory image.bin",
            &["--trust text", "fw keygen"],
        ),
        ("device --endpoint a --flash flash --trust bytes --factory image.bin", &["bytes is no text file"]),
        (
            "device --endpoint a --flash flash --trust release.pub.pem --factory none",
            &["none cannot be read"],
        ),
        (
            "device --endpoint a --flash flash --trust release.pub.pem --factory text",
            &["text.sig", "fw sign"],
        ),
        (
            "device --endpoint a --flash flash --trust other.pub.pem --factory image.bin",
            &["no flash was made", "--trust"],
        ),
        (
            "device --endpoint a --flash no/flash --trust release.pub.pem --factory image.bin",
            &["folder is not there"],
        ),
        (
            "device --endpoint a --flash bytes --trust release.pub.pem --factory image.bin",
            &["has 1000 bytes", "--flash"],
        ),
        ("{device} --server http://x", &["http://x is no coap:// or coaps:// URI"]),
        ("{device} --server coaps://127.0.0.1", &["--psk-key-file", "--key"]),
        ("{device} --server coaps://127.0.0.1 --psk-key zz", &["--psk-key", "hexadecimal"]),
        ("{device} --server coaps://127.0.0.1 --psk-key-file bytes", &["bytes is no text file"]),
        (
            "{device} --server coaps://127.0.0.1 --key release.key.pem --server-public-key text",
            &["neither a public key"],
        ),
        ("{device} --psk-identity x", &["--psk-identity", "--psk-key-file"]),
        ("swarm --devices 0", &["1 to 1000000", "--devices"]),
        ("swarm --server coap://localhost:5683", &["as in coap://127.0.0.1:5683"]),
        ("swarm --server coap://192.0.2.1:5683", &["not on this machine", "127.0.0.0/8"]),
        ("swarm credentials --psk-secret 00 --devices 0", &["nothing to print"]),
        ("fw sign --key release.key.pem empty", &["nothing to sign"]),
        ("fw sign --key text image.bin", &["-----BEGIN"]),
        ("fw sign --secure-boot-v2 --key release.key.pem image.bin", &["RSA key of 3072 bits", "openssl"]),
        ("fw sign --secure-boot-v2 --key release.key.pem text", &["no image for the ESP32"]),
        ("fw flash --factory image.bin --size 0x400000 --skip 0x9000 out", &["--skip", "0x8000"]),
        ("demo --board qemu --board-files none", &["none"]),
        ("keyfile rotate --data none", &["no data folder none", "--data"]),
        ("serve --config serve.toml", &["serve.toml", "line 2", "shard"]),
        ("serve --store nowhere", &["--store", "postgres://"]),
        ("serve --coaps off", &["no port for devices", "--coaps"]),
    ];
    for (line, fragments) in cases {
        if cfg!(not(target_os = "linux")) && line.starts_with("swarm") {
            continue;
        }
        let line = line.replace("{device}", DEVICE);
        let output = buoy().args(line.split(' ')).current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {told}");
        assert_eq!(told.trim_end().lines().count(), 1, "{line}: {told}");
        for fragment in *fragments {
            assert!(told.contains(fragment), "{line}: {fragment:?} is not in {told}");
        }
        assert!(!folder.path().join("flash").exists(), "{line}: nothing is left");
    }
}
