//! What goes wrong around the server: it says what, why and what to do, and loses nothing.

mod common;

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use common::{Server, buoy, is_on_postgres, ready, register_request, wait_until};

/// What `buoy serve` says when it refuses to start.
fn refusal(arguments: &[&str], data: &Path) -> String {
    let output = buoy()
        .args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("first"));
    for (flag, address) in [("--coap", &server.coap), ("--http", &server.http)] {
        let address = address.trim_start_matches("http://");
        let output = buoy()
            .args(["serve", "--coaps", "off", flag, address, "--data"])
            .arg(folder.path().join("second"))
            .args(if flag == "--coap" { ["--http", "127.0.0.1:0"] } else { ["--coap", "127.0.0.1:0"] })
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(address) && said.contains("choose another port"), "{said}");
    }
}

#[test]
fn a_data_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::start(folder.path());
    let said = refusal(&[], folder.path());
    assert!(said.contains("another `buoy serve` runs on the data folder"), "{said}");
    first.kill();
    Server::start(folder.path());
}

#[test]
fn a_data_folder_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let said = refusal(&[], &file);
    assert!(said.contains("file"), "{said}");
}

#[test]
fn a_database_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("buoy.db"), vec![b'x'; 8192]).unwrap();
    let said = refusal(&[], folder.path());
    assert!(said.contains("damaged") && said.contains("backup"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_database_that_was_removed_takes_nothing_more() {
    if is_on_postgres() {
        // There is no file.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // Its inventory has read the database then.
    server.says(&["devices"]);
    std::fs::remove_file(folder.path().join("buoy.db")).unwrap();
    let said = server.refuses(&["credentials", "add", "buoy-1"]);
    assert!(said.contains("has been removed") && said.contains("backup"), "{said}");
    assert!(ready(&server).is_err_and(|said| said.contains("has been removed")));
}

#[test]
fn settings_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = refusal(&["--shards", "0"], folder.path());
    assert!(said.contains("--shards is 0"), "{said}");
    let config = folder.path().join("buoy.toml");
    for (text, reason) in [
        ("http = \"127.0.0.1:0\"\nshard = 2\n", "buoy.toml is wrong in line 2: unknown field `shard`"),
        ("shards = 1\n\nx\n", "buoy.toml is wrong in line 3: "),
    ] {
        std::fs::write(&config, text).unwrap();
        let said = refusal(&["--config", config.to_str().unwrap()], folder.path());
        assert!(said.contains(reason) && !said.contains("\\u{"), "{said}");
    }
}

/// A full disk: nothing is acknowledged that is not saved, `/readyz` says why, and all goes on once there is room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_acknowledgements_and_not_the_server() {
    if !std::process::Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|it| it.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "unshare does not work here; run as root or allow user namespaces"
        );
        eprintln!("skipped: unshare does not work here; run as root or allow user namespaces");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_on_small_disk(&data, 4);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let ask = |number: u16| socket.send(&register_request(&format!("buoy-{number}"), number, &[1])).unwrap();
    let mut buffer = [0; 256];
    ask(0);
    socket.recv(&mut buffer).unwrap();

    let filler = server.disk(&data).join("filler");
    // As much as fits.
    let _ = std::fs::write(&filler, vec![0; 8 << 20]);
    let mut last = 0;
    wait_until("not ready", || {
        last += 1;
        ask(last);
        ready(&server).is_err_and(|said| said.contains("full"))
    });
    let said = server.refuses(&["read", "buoy-0", "/3/0/0"]);
    assert!(said.contains("full"), "what would wait for the store is refused at once: {said}");
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while socket.recv(&mut buffer).is_ok() {}
    assert!(!server.devices().contains(&format!("buoy-{}", last + 1)));

    std::fs::remove_file(&filler).unwrap();
    wait_until("ready again", || ready(&server).is_ok());
    // The device's repetition, or the answer that waited.
    ask(last);
    wait_until("the device", || server.devices().contains(&format!("buoy-{last}")));
}
