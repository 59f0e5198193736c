//! Who is let in, by which door, and what is left of it in the audit log.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use buoy_api::client::Client;
use buoy_api::{AddAccount, AddToken, Grant, Secret, Setup, SignIn};
use common::{Server, buoy, is_on_postgres, store_flags, wait_until};
use serde_json::{Value, json};
use ureq::http::Method;

const PASSWORD: &str = "correct horse battery";

fn secret() -> Secret {
    Secret::new(PASSWORD.to_owned())
}

/// Makes the first account and signs in to it.
fn set_up(server: &Server) -> Client {
    let token = Secret::new(server.setup_token.clone().unwrap());
    let setup = Setup { token, name: "alice".into(), password: secret() };
    server.client().set_up(&setup).unwrap()
}

fn token_of(admin: &Client, grant: &str) -> String {
    let grants = Some(vec![grant.parse::<Grant>().unwrap()]);
    let request = AddToken { name: format!("a {grant}"), grants, expires_in: None };
    admin.add_token(&request).unwrap().secret.reveal().to_owned()
}

/// The status of a request, and its body.
fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = ureq::http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut answer = agent.run(request.body(()).unwrap()).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
}

/// Runs the program with lines on its standard input.
fn type_into(arguments: &[&str], contexts: &Path, lines: &str) -> Output {
    let mut child = buoy()
        .args(arguments)
        .env("BUOY_CONTEXTS", contexts)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that asks for nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    common::words(output)
}

#[test]
fn this_machine_is_trusted_until_the_first_account_exists() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    assert!(server.says(&["whoami"]).contains("trusts this machine"));
    let (_, state) = ask("GET", &format!("{}/api/v1/setup", server.http), &[]);
    assert_eq!(serde_json::from_str::<Value>(&state).unwrap(), json!({"needed": true}));
    set_up(&server);
    assert_eq!(ask("GET", &format!("{}/api/v1/devices", server.http), &[]).0, 401);
    assert_eq!(ask("GET", &format!("{}/api/clients", server.http), &[]).0, 401);
    assert!(
        server.fails(6, &["devices"]).contains("buoy ctl login") || !server.fails(6, &["devices"]).is_empty()
    );
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.setup_token, None);
    assert_eq!(ask("GET", &format!("{}/api/v1/devices", server.http), &[]).0, 401);
    let sign_in = SignIn { name: "alice".into(), password: secret(), code: None };
    assert!(server.client().sign_in(&sign_in).unwrap().devices(None).is_ok());
}

#[test]
fn a_person_sets_up_signs_in_and_works_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let contexts = folder.path().join("contexts.json");
    let typed = format!("{PASSWORD}\n");
    let token = server.setup_token.clone().unwrap();
    let run = |arguments: &[&str], lines: &str| type_into(&[&["ctl"], arguments].concat(), &contexts, lines);
    let at = ["--server", &server.http];
    let done = run(&[&at[..], &["setup", "alice", "--setup-token", &token]].concat(), &typed);
    assert!(done.status.success(), "{}", said(&done));
    // From now on the saved server and token count.
    assert!(said(&run(&["whoami"], "")).contains("everything (admin)"));
    let added = run(&["account", "add", "bob", "--grant", "viewer", "--grant", "operator@north"], &typed);
    assert!(said(&added).contains("viewer, operator@north"), "{}", said(&added));
    let made = run(&["token", "add", "ci", "--grant", "viewer", "--days", "1"], &typed);
    let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(secret.starts_with("buoy_"), "{secret}");
    let by_token = buoy().args(["ctl", "--server", &server.http, "--token", &secret, "whoami"]).output();
    assert!(said(&by_token.unwrap()).contains("alice/ci"));
    let listed = said(&run(&["token", "list"], ""));
    assert!(listed.contains("ci") && listed.contains("buoy ctl as default"), "{listed}");

    // Bob in a context of his own.
    let login = run(&[&at[..], &["login", "bob", "--as", "bobs"]].concat(), &typed);
    assert!(login.status.success(), "{}", said(&login));
    let refused = run(&["account", "list"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("needs the role admin"), "{}", said(&refused));
    assert!(run(&["context", "use", "default"], "").status.success());
    assert!(run(&["account", "change", "bob", "--disable"], "").status.success());
    assert_eq!(run(&["--context", "bobs", "whoami"], "").status.code(), Some(6));
    let wrong = run(&["account", "password"], "not the password\n");
    assert_eq!(wrong.status.code(), Some(6), "{}", said(&wrong));
    let last = run(&["account", "remove", "alice"], "");
    assert!(said(&last).contains("last account"), "{}", said(&last));
    assert!(run(&["logout"], "").status.success());
    assert_eq!(run(&["--server", &server.http, "devices"], "").status.code(), Some(6));
}

#[test]
fn a_second_factor_is_set_up_and_asked_for_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let contexts = folder.path().join("contexts.json");
    let run = |arguments: &[&str], lines: &str| {
        type_into(&[&["ctl", "--server", &server.http], arguments].concat(), &contexts, lines)
    };
    let token = server.setup_token.clone().unwrap();
    run(&["setup", "alice", "--setup-token", &token], &format!("{PASSWORD}\n"));
    let wrong = run(&["account", "second-factor"], &format!("{PASSWORD}\n12345\n"));
    assert!(said(&wrong).contains("not the code"), "{}", said(&wrong));
    assert!(said(&wrong).contains("otpauth://totp/Buoy:alice?secret="), "{}", said(&wrong));
    assert!(said(&run(&["account", "list"], "")).contains(" no "));
}

#[test]
fn a_cookie_alone_changes_nothing_and_a_page_of_another_site_reaches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    set_up(&server);
    let body = json!({"name": "alice", "password": PASSWORD}).to_string();
    let mut answer = ureq::post(&format!("{}/api/v1/sign-in", server.http))
        .header("Content-Type", "application/json")
        .send(&body)
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let me: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let csrf = me["csrf"].as_str().unwrap();
    let uri = format!("{}/api/v1/devices/buoy-1", server.http);
    let cookie = ("Cookie", cookie.as_str());
    assert_eq!(ask("GET", &uri, &[cookie]).0, 404);
    assert_eq!(ask("DELETE", &uri, &[cookie]).0, 403);
    assert_eq!(ask("DELETE", &uri, &[cookie, ("X-CSRF-Token", "0")]).0, 403);
    assert_eq!(ask("DELETE", &uri, &[cookie, ("X-CSRF-Token", csrf)]).0, 404);
    for site in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        assert_eq!(ask("DELETE", &uri, &[cookie, ("X-CSRF-Token", csrf), site]).0, 403, "{site:?}");
        assert_eq!(ask("GET", &uri, &[cookie, site]).0, 403, "{site:?}");
    }
    // The host may be any, since the credential counts for it.
    assert_eq!(ask("GET", &uri, &[cookie, ("Host", "buoy.example")]).0, 404);
    let out = format!("{}/api/v1/sign-out", server.http);
    assert_eq!(ask("POST", &out, &[cookie, ("X-CSRF-Token", csrf)]).0, 204);
    assert_eq!(ask("GET", &uri, &[cookie]).0, 401);
}

#[test]
fn leshans_scripts_bring_a_token_as_bearer_or_basic_or_are_let_in_on_loopback_by_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let admin = set_up(&server);
    let token = token_of(&admin, "viewer");
    let clients = |server: &Server| format!("{}/api/clients", server.http);
    let bearer = format!("Bearer {token}");
    assert_eq!(ask("GET", &clients(&server), &[("Authorization", &bearer)]), (200, "[]".into()));
    use base64ct::{Base64, Encoding};
    let basic = format!("Basic {}", Base64::encode_string(format!("alice:{token}").as_bytes()));
    assert_eq!(ask("GET", &clients(&server), &[("Authorization", &basic)]).0, 200);
    let password = format!("Basic {}", Base64::encode_string(format!("alice:{PASSWORD}").as_bytes()));
    assert_eq!(ask("GET", &clients(&server), &[("Authorization", &password)]).0, 401);
    assert_eq!(ask("GET", &clients(&server), &[]).0, 401);
    let body = ("Content-Type", "application/json");
    let put = ask(
        "DELETE",
        &format!("{}/api/security/clients/x", server.http),
        &[("Authorization", &bearer), body],
    );
    assert_eq!(put.0, 403);
    server.stop();
    let server = Server::start_with(folder.path(), &["--leshan-on-loopback"]);
    assert_eq!(ask("GET", &clients(&server), &[]).0, 200);
    assert_eq!(ask("GET", &clients(&server), &[("Host", "evil.example")]).0, 403);
    assert_eq!(ask("GET", &clients(&server), &[("Authorization", "Bearer buoy_0")]).0, 401);
    assert_eq!(ask("GET", &format!("{}/api/v1/devices", server.http), &[]).0, 401);
}

#[test]
fn behind_a_proxy_nobody_is_trusted_and_the_address_is_the_one_that_the_proxy_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--behind-proxy"]);
    let devices = format!("{}/api/v1/devices", server.http);
    assert_eq!(ask("GET", &devices, &[]).0, 401, "a request of the proxy is one of anybody");
    let admin = set_up(&server);
    let bearer = format!("Bearer {}", token_of(&admin, "admin"));
    let forwarded = ("X-Forwarded-For", "10.0.0.1, 192.0.2.7");
    let authorized = ("Authorization", bearer.as_str());
    assert_eq!(ask("GET", &devices, &[authorized, forwarded, ("X-Forwarded-Proto", "http")]).0, 403);
    assert_eq!(ask("GET", &devices, &[authorized, forwarded, ("X-Forwarded-Proto", "https")]).0, 200);
    let request = format!("{}/api/v1/bootstrap/configs", server.http);
    let config = json!({"pattern": "x-*", "servers": [{"uri": "coaps://127.0.0.1:5684"}]}).to_string();
    ureq::put(&request)
        .header("Authorization", &bearer)
        .header("Content-Type", "application/json")
        .header("X-Forwarded-For", "10.0.0.1, 192.0.2.7")
        .send(&config)
        .unwrap();
    let audit: Value = admin.get("/api/v1/audit?limit=1").unwrap();
    assert_eq!(audit["items"][0]["origin"], "192.0.2.7");
}

#[test]
fn beyond_loopback_the_interface_speaks_https_with_a_certificate_whose_fingerprint_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = buoy();
    command.args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "0.0.0.0:0", "--data"]);
    let server = Server::spawn(command.arg(&data).args(store_flags(&data)));
    let port = server.http.rsplit(':').next().unwrap();
    let certificate = data.join("https.crt");
    assert!(server.http.starts_with("https://"), "{}", server.http);
    assert!(server.uri("HTTPS").contains("SHA-256"), "{}", server.uri("HTTPS"));
    let contexts = folder.path().join("contexts.json");
    let uri = format!("https://localhost:{port}");
    let ca = certificate.to_str().unwrap();
    let token = server.setup_token.clone().unwrap();
    let untrusted = type_into(&["ctl", "--server", &uri, "whoami"], &contexts, "");
    assert_eq!(untrusted.status.code(), Some(5), "{}", said(&untrusted));
    let arguments = ["ctl", "--server", &uri, "--ca", ca, "setup", "alice", "--setup-token", &token];
    let done = type_into(&arguments, &contexts, &format!("{PASSWORD}\n"));
    assert!(done.status.success(), "{}", said(&done));
    let done = type_into(&["ctl", "whoami"], &contexts, "");
    assert!(said(&done).contains("everything (admin)"), "{}", said(&done));
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let issue = |name: &str| {
        for arguments in
            [&["ca", "init", "--dir", name][..], &["ca", "issue", "--dir", name, "server", "localhost"]]
        {
            let output = buoy().args(arguments).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
        folder.path().join(name)
    };
    let (one, other) = (issue("one"), issue("other"));
    let (certificate, key) = (folder.path().join("shown.crt"), folder.path().join("shown.key"));
    let show = |from: &Path| {
        std::fs::copy(from.join("localhost.cert.pem"), &certificate).unwrap();
        std::fs::copy(from.join("localhost.key.pem"), &key).unwrap();
    };
    show(&one);
    let data = folder.path().join("data");
    let files = ["--http-cert", certificate.to_str().unwrap(), "--http-key", key.to_str().unwrap()];
    let server = Server::start_with(&data, &files);
    let uri = server.http.replace("127.0.0.1", "localhost");
    let reaches = |by: &Path| {
        let ca = by.join("ca.cert.pem");
        let output =
            buoy().args(["ctl", "--server", &uri, "--ca", ca.to_str().unwrap(), "whoami"]).output().unwrap();
        output.status.success()
    };
    assert!(reaches(&one) && !reaches(&other));
    show(&other);
    wait_until("the new certificate is shown", || reaches(&other));
    assert!(!reaches(&one));
}

#[test]
fn who_is_locked_out_gets_a_new_password_on_the_servers_machine_while_the_server_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    set_up(&server);
    let contexts = folder.path().join("contexts.json");
    let place = store_flags(&data);
    let admin = |arguments: &[&str], lines: &str| {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let all = [&["admin", "--data", data.to_str().unwrap()], &place[..], arguments].concat();
        type_into(&all, &contexts, lines)
    };
    let refused = admin(&["reset-password", "alice"], "a new horse battery\n");
    assert!(!refused.status.success());
    assert!(said(&refused).contains("stop it"), "{}", said(&refused));
    server.stop();
    let done = admin(&["reset-password", "alice"], "a new horse battery\n");
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&admin(&["list"], "")).contains("alice: admin"));
    let done = admin(&["create", "carol"], "another horse battery\n");
    assert!(done.status.success(), "{}", said(&done));
    let server = Server::start(&data);
    let sign_in = |name: &str, password: &str| SignIn {
        name: name.into(),
        password: Secret::new(password.into()),
        code: None,
    };
    assert!(server.client().sign_in(&sign_in("alice", PASSWORD)).is_err());
    let alice = server.client().sign_in(&sign_in("alice", "a new horse battery")).unwrap();
    server.client().sign_in(&sign_in("carol", "another horse battery")).unwrap();
    let audit: Value = alice.get("/api/v1/audit?principal=console").unwrap();
    assert_eq!(audit["items"][0]["action"], "account.add");
}

#[test]
fn a_stream_of_events_ends_with_the_sign_in_it_came_by() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let admin = set_up(&server);
    let grants = vec!["viewer".parse::<Grant>().unwrap()];
    let request = AddAccount { name: "bob".into(), password: secret(), grants };
    admin.send_json::<Value>(Method::POST, "/api/v1/accounts", &request).unwrap();
    let sign_in = SignIn { name: "bob".into(), password: secret(), code: None };
    let bob = server.client().sign_in(&sign_in).unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    let (seen, see) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let followed = bob.follow("/api/v1/events", |name, _| seen.send(name.to_owned()).is_ok());
        ended.send(followed.is_ok()).unwrap();
    });
    let register = |name: &str, id: u16| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&common::register_request(name, id, b"t"), &server.coap).unwrap();
    };
    let patience = std::time::Duration::from_secs(30);
    let mut number = 0;
    wait_until("an event", || {
        number += 1;
        register(&format!("b-{number}"), number);
        see.recv_timeout(std::time::Duration::from_millis(200)).is_ok()
    });
    admin.send_json::<Value>(Method::PUT, "/api/v1/accounts/bob", &json!({"disabled": true})).unwrap();
    while see.try_recv().is_ok() {}
    register("late", 1000);
    assert!(end.recv_timeout(patience).unwrap());
    assert!(see.try_iter().next().is_none(), "nothing is told after the end");
}

#[test]
fn the_check_of_the_audit_log_finds_what_was_changed_removed_and_inserted() {
    if is_on_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    let admin = set_up(&server);
    for number in 0..5 {
        token_of(&admin, ["viewer", "operator", "admin"][number % 3]);
    }
    let chain: Value = admin.get("/api/v1/audit/chain").unwrap();
    assert_eq!(chain["intact"], true, "{chain}");
    let audit = |arguments: &[&str]| {
        buoy().args(["audit", "--data", data.to_str().unwrap()]).args(arguments).output().unwrap()
    };
    // While the server runs.
    let verified = audit(&["verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    let noted = said(&verified).lines().last().unwrap().split(' ').nth(1).unwrap().to_owned();
    assert_eq!(chain["head"], noted.as_str());
    token_of(&admin, "viewer");
    assert!(audit(&["verify", "--expect", &noted]).status.success());
    let other = audit(&["verify", "--expect", &"0".repeat(64)]);
    assert!(!other.status.success() && said(&other).contains("no entry has the hash"));
    let exported = String::from_utf8(audit(&["export"]).stdout).unwrap();
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8, "{exported}");
    assert!(lines.iter().all(|line| line["hash"].as_str().unwrap().len() == 64));
    server.stop();

    let log = rusqlite::Connection::open(data.join("buoy.db")).unwrap();
    log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(log);
    let whole = std::fs::read(data.join("buoy.db")).unwrap();
    for (sql, words) in [
        ("UPDATE audit SET detail = 'nothing' WHERE id = 4", "entry 4 does not follow entry 3"),
        ("UPDATE audit SET principal = 'mallory' WHERE id = 1", "entry 1 is not the first"),
        ("UPDATE audit SET at = at + 1 WHERE id = 8", "entry 8 does not follow entry 7"),
        ("DELETE FROM audit WHERE id = 4", "entry 5 does not follow entry 3"),
        ("DELETE FROM audit WHERE id < 3", "entry 3 is not the first"),
        ("DELETE FROM audit WHERE id > 6", "up to entry 8, were removed"),
        (
            "INSERT INTO audit SELECT 9, at, principal, origin, action, target, detail, result, NULL FROM audit WHERE id = 8",
            "entry 9 was not written by the server",
        ),
        (
            "UPDATE audit SET id = 99 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5; UPDATE audit SET id = 5 WHERE id = 99",
            "entry 4 does not follow entry 3",
        ),
    ] {
        std::fs::write(data.join("buoy.db"), &whole).unwrap();
        for log in ["buoy.db-wal", "buoy.db-shm"] {
            let _ = std::fs::remove_file(data.join(log));
        }
        rusqlite::Connection::open(data.join("buoy.db")).unwrap().execute_batch(sql).unwrap();
        let found = audit(&["verify"]);
        assert!(!found.status.success(), "{sql}");
        assert!(said(&found).contains(words), "{sql}: {}", said(&found));
    }
}
