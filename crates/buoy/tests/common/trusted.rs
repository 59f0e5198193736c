//! Receivers of alerts by TLS: a certificate for them, and a server that trusts it.

use std::path::Path;
use std::process::Command;

use super::common::{Server, buoy, store_flags, words};

/// A certificate for localhost that stands for itself.
pub(crate) fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", words(&made));
}

/// A server that trusts that certificate, and may connect to this machine.
pub(crate) fn start(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut command = buoy();
    command.args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]);
    command.arg(&data).args(store_flags(&data)).args(["--allow-receivers-in", "127.0.0.1,::1"]);
    // Its authorities, in place of the system's.
    command.env("SSL_CERT_FILE", folder.join("cert.pem")).env_remove("SSL_CERT_DIR");
    Server::spawn(&mut command)
}
