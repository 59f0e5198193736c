//! A server whose state is in PostgreSQL, as its operator meets it.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;

use buoy_store::postgres::Postgres;
use buoy_store::postgres::test_server::TestServer;
use buoy_store::{AuditFilter, Page, Reader as _};
use common::{Server, buoy, serve_on, words};

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    words(&output)
}

#[test]
fn the_state_of_a_server_moves_to_postgresql_and_back_with_its_secrets() {
    let (Some(postgres), folder) = (TestServer::shared(), tempfile::tempdir().unwrap()) else { return };
    let data = folder.path().join("data");
    let folder_text = data.to_str().unwrap();
    let mut server = Server::spawn(&mut serve_on(&data, folder_text));
    server.says(&["credentials", "add", "buoy-1"]);
    server.kill();

    let url = postgres.database("moved").replacen("?user=buoy&", "?user=buoy&password=secret&", 1);
    let said = succeed(buoy().args(["move-store", folder_text, &url]));
    assert!(said.contains("credential") && !said.contains("secret"), "{said}");
    let mut server = Server::spawn(&mut serve_on(&data, &url));
    assert_eq!(server.uri("Store"), format!("postgres://buoy@{}:5432/moved", postgres.folder().display()));
    assert!(server.says(&["credentials", "list"]).contains("buoy-1"));
    server.says(&["credentials", "add", "buoy-2"]);
    let copy = folder.path().join("copy");
    succeed(buoy().args(["backup", "--data", folder_text, "--store", &url]).arg(&copy));
    server.kill();

    succeed(buoy().args(["keyfile", "rotate", "--data", folder_text, "--store", &url]));
    succeed(buoy().args(["migrate", "--store", &url]));
    let back = folder.path().join("back");
    succeed(buoy().args(["move-store", &url]).arg(&back));
    std::fs::copy(data.join("key"), back.join("key")).unwrap();
    for folder in [&copy, &back] {
        let server = Server::spawn(&mut serve_on(folder, folder.to_str().unwrap()));
        let list = server.says(&["credentials", "list"]);
        assert!(list.contains("buoy-1") && list.contains("buoy-2"), "{}: {list}", folder.display());
    }
    let full = buoy().args(["move-store", back.to_str().unwrap(), copy.to_str().unwrap()]).output().unwrap();
    assert!(!full.status.success() && words(&full).contains("target already"), "{}", words(&full));
}

/// What a program says when it fails.
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    words(&output)
}

#[test]
fn what_a_move_left_behind_is_used_only_when_that_is_meant() {
    let (Some(postgres), folder) = (TestServer::shared(), tempfile::tempdir().unwrap()) else { return };
    let [first, last] = ["first", "last"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let url = postgres.database("left_behind");
    Server::spawn(&mut serve_on(Path::new(&first), &first)).says(&["credentials", "add", "before"]);
    let said = succeed(buoy().args(["move-store", &first, &url]));
    assert!(said.contains("first/buoy.db is as it was, and no server starts on it any more"), "{said}");
    Server::spawn(&mut serve_on(Path::new(&first), &url)).says(&["credentials", "add", "after"]);
    succeed(buoy().args(["move-store", &url, &last]));

    // A server, a backup at night, a second move, and who only wants to help.
    let copy = folder.path().join("copy");
    for (left, target) in [(&first, "left_behind at 20"), (&url, "last/buoy.db at 20")] {
        let data = Path::new(&first);
        let mut backup = buoy();
        backup.args(["backup", "--data", &first, "--store", left]).arg(&copy);
        let mut rotate = buoy();
        rotate.args(["keyfile", "rotate", "--data", &first, "--store", left]);
        for mut command in [serve_on(data, left), backup, rotate] {
            let said = refusal(&mut command);
            assert!(said.contains("was moved to") && said.contains(target), "{said}");
            assert!(said.contains("move-store --undo"), "{said}");
        }
        assert!(refusal(buoy().args(["move-store", left]).arg(&copy)).contains("was moved to"));
        assert!(refusal(buoy().args(["migrate", "--store", left])).contains("was moved to"));
    }
    assert!(refusal(buoy().args(["move-store", "--undo", &last])).contains("was not moved"));

    for left in [&first, &url] {
        assert!(succeed(buoy().args(["move-store", "--undo", left])).contains("can be used again"));
    }
    let server = Server::spawn(&mut serve_on(Path::new(&first), &first));
    let list = server.says(&["credentials", "list"]);
    assert!(list.contains("before") && !list.contains("after"), "{list}");
    drop(server);
    Server::spawn(&mut serve_on(Path::new(&first), &url));
}

#[test]
fn a_database_has_one_server() {
    let (Some(postgres), folder) = (TestServer::shared(), tempfile::tempdir().unwrap()) else { return };
    let url = postgres.database("one_server");
    let mut first = Server::spawn(&mut serve_on(&folder.path().join("first"), &url));
    let second = serve_on(&folder.path().join("second"), &url).output().unwrap();
    assert!(!second.status.success(), "{}", words(&second));
    assert!(words(&second).contains("another `buoy serve` runs on the database"), "{}", words(&second));
    let moved = buoy().args(["move-store", &url]).arg(folder.path().join("target")).output().unwrap();
    assert!(words(&moved).contains("another `buoy serve` runs on the database"), "{}", words(&moved));
    first.kill();
    Server::spawn(&mut serve_on(&folder.path().join("second"), &url));
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve_on(folder.path(), "postgres://buoy:secret@127.0.0.1:1/fleet");
    let output = command.args(["--store-patience", "0"]).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("postgres://buoy@127.0.0.1:1/fleet") && said.contains("cannot be reached"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn the_demo_plays_on_an_empty_database_and_on_no_other() {
    let Some(postgres) = TestServer::shared() else { return };
    let url = postgres.database("demo");
    let demo = || {
        let mut command = buoy();
        command.args(["demo", "--once", "--store", &url]);
        command
    };
    let said = succeed(&mut demo());
    let place = format!("postgres://buoy@{}:5432/demo", postgres.folder().display());
    assert!(said.contains(&format!("What the demo made stays in {place}")), "{said}");
    let names = || {
        let mut names = Vec::new();
        let reader = Postgres::open_to_read(&url).unwrap();
        reader.devices(&mut |row| names.push(row.endpoint)).unwrap();
        let audit = reader.audit(&AuditFilter::default(), Page { before: u64::MAX, limit: 1000 }).unwrap();
        (names, audit.len())
    };
    let left = names();
    assert_eq!(left.0, ["buoy-1", "buoy-2"]);
    let said = refusal(&mut demo());
    assert!(said.contains("plays on an empty database") && said.contains("is not empty"), "{said}");
    assert_eq!(names(), left);
}
