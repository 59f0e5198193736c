//! The program as its user meets it.

mod common;

#[cfg(unix)]
use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::net::TcpStream;
use std::process::Command;
#[cfg(unix)]
use std::process::Stdio;

use common::{buoy, is_on_postgres, store_flags};

#[test]
fn the_demo_holds_every_step_from_registration_to_a_power_cut_in_a_download() {
    let folder = tempfile::tempdir().unwrap();
    let output = buoy().args(["demo", "--once"]).args(store_flags(folder.path())).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.contains("What the demo made stays in postgres://"), is_on_postgres(), "{told}");
    assert!(!told.contains('\u{1b}'), "no colour without a terminal: {told}");
    for shown in [
        "$ buoy ctl update buoy-1 release-1.1.0.bin",
        "factory [1.0.0]  ota_0 [▶ 1.1.0]",
        "ota_1 [✗ 1.2.0]",
        "ota_1 [▶ 1.4.0]",
    ] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
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

/// The demo shows commands that can be typed; that each is one is checked when it is shown (`Screen::command`). It is interrupted in
/// steps of all kinds: what fails in a step because its server is gone is not told as a failure of that step.
#[cfg(unix)]
#[test]
fn the_demo_shows_commands_and_leaves_nothing_behind_whenever_it_is_interrupted() {
    for (moment, fleet) in [
        ("The server runs", "10"),
        ("A fleet of 10 devices", "10"),
        ("$ buoy ctl credentials add buoy-1", "0"),
        ("$ buoy ctl devices", "0"),
        ("$ buoy ctl observe buoy-1", "0"),
        ("$ buoy ctl firmware upload", "0"),
        ("$ buoy ctl update buoy-1", "0"),
    ] {
        let temporary = tempfile::tempdir().unwrap();
        let mut demo = buoy()
            .args(["demo", "--once", "--fleet", fleet])
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut next = |start: &str| {
            let line = lines.find(|line| line.trim_start().starts_with(start));
            line.unwrap_or_else(|| panic!("the demo ended before {start}"))
        };
        let server = next("The server runs").rsplit_once("http://").unwrap().1.to_owned();
        if moment != "The server runs" {
            next(moment);
        }
        let is_there = || std::fs::read_dir(temporary.path()).unwrap().count();
        assert_eq!((is_there(), TcpStream::connect(&server).is_ok()), (1, true), "{moment}");

        let interrupted = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        let rest: Vec<String> = lines.collect();
        let output = demo.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{moment}: {complaint}\n{rest:?}");
        assert!(
            complaint.contains("the demo was ended") && !complaint.contains("did not hold"),
            "{complaint}"
        );
        assert!(!rest.iter().any(|line| line.contains("told last")), "{moment}: {rest:?}");
        assert_eq!((is_there(), TcpStream::connect(&server).is_ok()), (0, false), "{moment}");
    }
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
