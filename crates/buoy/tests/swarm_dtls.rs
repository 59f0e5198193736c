//! `buoy swarm` behind DTLS: each device has a key of its own, and the report tells of the handshakes.
#![cfg(target_os = "linux")]

mod common;
mod door;

use buoy_dtls::Peer;
use buoy_dtls::config::{OwnKey, Resume, ServerConfig};
use buoy_dtls::crypto::RustCrypto;
use common::buoy;
use door::Door;

const DEVICES: &str = "40";
const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

fn credentials(mode: &str) -> Vec<[String; 4]> {
    let arguments = ["swarm", "credentials", "--devices", DEVICES, "--psk-secret", SECRET, "--mode", mode];
    let output = buoy().args(arguments).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("endpoint,kind,identity,key"));
    let columns = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    lines.map(columns).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The report of a swarm, and whether it met no failure.
fn swarm(door: &Door, more: &[&str]) -> (serde_json::Value, bool) {
    let output = buoy()
        .args(["swarm", "--server", &door.uri(), "--devices", DEVICES, "--seconds", "1", "--json"])
        .args(["--psk-secret", SECRET])
        .args(more)
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&report);
    (
        report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))),
        output.status.success(),
    )
}

#[test]
fn a_swarm_registers_with_keys_from_one_secret() {
    let door = Door::open(ServerConfig::default());
    for [_, kind, identity, key] in credentials("psk") {
        assert_eq!(kind, "psk");
        door.share_key(&identity, &bytes(&key));
    }
    let (report, is_well) = swarm(&door, &[]);
    assert!(is_well, "{report}");
    assert_eq!((&report["registered"], &report["handshakes"]["answered"]), (&40.into(), &40.into()));
    assert_eq!(door.seen().handshakes.len(), 40);
    assert_eq!(door.seen().repeated_numbers, [0; 0]);
}

#[test]
fn a_swarm_resumes_its_sessions() {
    let mut config = ServerConfig::default();
    config.resume = Resume::Keep;
    let door = Door::open(config);
    credentials("psk").iter().for_each(|[_, _, identity, key]| door.share_key(identity, &bytes(key)));
    let (report, is_well) = swarm(&door, &["--resume"]);
    assert!(is_well, "{report}");
    let handshakes = &report["handshakes"];
    assert_eq!((&handshakes["answered"], &handshakes["resumed"]), (&80.into(), &40.into()));
}

#[test]
fn a_swarm_that_the_server_does_not_know_says_so() {
    let door = Door::open(ServerConfig::default());
    let (report, is_well) = swarm(&door, &[]);
    assert!(!is_well);
    assert_eq!((&report["registered"], &report["handshakes"]["failed"]), (&0.into(), &40.into()));
}

#[test]
fn a_swarm_registers_with_raw_public_keys() {
    let mut config = ServerConfig::default();
    config.own_key = OwnKey::raw_public_key::<RustCrypto>(&[9; 32]);
    let folder = tempfile::tempdir().unwrap();
    let (der, pem) = (folder.path().join("server.der"), folder.path().join("server.pem"));
    std::fs::write(&der, config.own_key.as_ref().unwrap().public().to_spki()).unwrap();
    let converted = std::process::Command::new("openssl")
        .args(["pkey", "-pubin", "-inform", "DER", "-in"])
        .args([der.as_os_str(), "-out".as_ref(), pem.as_os_str()])
        .output();
    assert!(converted.expect("these tests need the `openssl` command").status.success());
    let door = Door::open(config);
    let (report, is_well) = swarm(&door, &["--mode", "rpk", "--server-public-key", pem.to_str().unwrap()]);
    assert!(is_well, "{report}");
    let known: Vec<Vec<u8>> = credentials("rpk").iter().map(|[.., key]| bytes(key)).collect();
    let seen = door.seen().handshakes;
    assert_eq!(seen.len(), 40);
    assert!(
        seen.iter()
            .all(|peer| matches!(peer, Peer::RawPublicKey(key) if known.contains(&key.to_spki().to_vec())))
    );
}

#[test]
fn a_swarm_registers_with_certificates_of_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, data) = (folder.path().join("ca"), folder.path().join("data"));
    assert!(buoy().args(["ca", "init", "--dir"]).arg(&ca).output().unwrap().status.success());
    let mut command = buoy();
    command.args(["serve", "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]).arg(&data);
    let server = common::Server::spawn(command.arg("--client-ca").arg(ca.join("ca.cert.pem")));
    let output = buoy()
        .args(["swarm", "--server", server.uri("CoAPS"), "--devices", DEVICES, "--seconds", "1", "--json"])
        .args(["--psk-secret", SECRET, "--mode", "x509", "--keep", "--ca"])
        .arg(&ca)
        .arg("--server-certificate")
        .arg(data.join("server.crt"))
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["registered"], 40, "{report}");
    assert_eq!(server.devices().len(), 40);
}
