//! Credentials as a person and a program manage them, and the keys behind them.

mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use buoy_api::client::{Client, ClientError};
use buoy_api::{Credential, CredentialState, NewCredential};
use buoy_coap::number::Code;
use buoy_coap::wire::Message;
use common::{Server, buoy, register_request, wait_until};
use serde_json::{Value, json};

const KEY: &str = "6b65796f6662756f7965696e7a776569";

fn ctl(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut command = buoy();
    command.args(["ctl", "--server", &server.http, "credentials"]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn says(server: &Server, arguments: &[&str]) -> String {
    server.says(&[&["credentials"], arguments].concat())
}

fn refuses(server: &Server, arguments: &[&str]) -> String {
    server.refuses(&[&["credentials"], arguments].concat())
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> (u16, String) {
    match answer {
        Err(ClientError::Refused { status, detail, .. }) => (status, detail),
        other => panic!("{other:?}"),
    }
}

fn post<T: serde::de::DeserializeOwned>(client: &Client, path: &str, body: Value) -> Result<T, ClientError> {
    let body = body.to_string();
    client.call("POST".parse().unwrap(), path, "application/json", body.as_bytes())
}

#[test]
fn a_registration_without_proof_ends_when_its_name_gets_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&server.coap).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ask = |number: u16, name: &str| {
        let mut buffer = [0; 256];
        socket.send(&register_request(name, number, &[1])).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        Message::parse(&buffer[..length]).unwrap().code()
    };
    assert_eq!([ask(1, "buoy-1"), ask(2, "buoy-2")], [Code::CREATED; 2]);
    says(&server, &["add", "buoy-1", "--key", KEY]);
    says(&server, &["revoke", "buoy-2"]);
    wait_until("both are out", || server.devices().is_empty());
    assert_eq!([ask(3, "buoy-1"), ask(4, "buoy-2")], [Code::FORBIDDEN; 2]);
}

#[test]
fn credentials_are_managed_by_verbs_and_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());

    let made = says(&server, &["add", "buoy-1"]);
    let key = made.lines().find_map(|line| line.strip_prefix("key")).unwrap().trim().to_owned();
    assert_eq!(key.len(), 32, "{made}");
    let output =
        ctl(&server, &["add", "buoy-2", "--identity", "two", "--key-file", "-"], &format!("{KEY}\n"));
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let output = server.ctl(&["credentials", "add", "buoy-3", "--key", KEY]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("prefer --key-file"));
    says(&server, &["add", "buoy-3", "--kind", "x509"]);
    let listed = says(&server, &["list"]) + &says(&server, &["--json", "list"]);
    for known in ["buoy-1", "two", "its name", "active"] {
        assert!(listed.contains(known), "{known} in {listed}");
    }
    assert!(!listed.contains(&key) && !listed.contains(KEY), "a secret came back");

    assert!(refuses(&server, &["add", "buoy-1"]).contains("rotate it, or remove it first"));
    assert!(refuses(&server, &["add", "buoy-4", "--identity", "two"]).contains("belongs to credential"));
    let misused = |flags: &[&str]| server.fails(2, &[&["credentials", "add", "buoy-4"], flags].concat());
    assert!(misused(&["--public-key", "x"]).contains("say which by --kind"));
    assert!(misused(&["--kind", "rpk"]).contains("--public-key FILE"));
    assert!(refuses(&server, &["add", "buoy-4", "--key", "xyz"]).contains("hexadecimal digits"));
    assert!(refuses(&server, &["rotate", "buoy-3"]).contains("say which by --kind"));
    assert!(refuses(&server, &["remove", "buoy-9"]).contains("no credentials"));

    let next = says(&server, &["rotate", "buoy-1"]);
    assert!(next.contains("state          next") && next.contains("buoy-1."), "{next}");
    assert!(says(&server, &["revoke", "buoy-2"]).contains("revoked 2"));
    assert!(
        says(&server, &["revoke", "buoy-7"]).contains("revoked"),
        "what has a certificate alone is refused too"
    );
    says(&server, &["remove", "buoy-3"]);

    server.kill();
    let server = Server::start(folder.path());
    let all = server.client().credentials(None).unwrap();
    let states: Vec<_> = all.iter().map(|one| (one.endpoint.as_str(), one.state)).collect();
    use CredentialState::{Active, Next, Revoked};
    assert_eq!(states, [("buoy-7", Revoked), ("buoy-1", Next), ("buoy-2", Revoked), ("buoy-1", Active)]);
}

#[test]
fn a_program_adds_credentials_once_and_is_told_in_words_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.client();
    let request = json!({"endpoint": "buoy-1", "proof": {"psk": {"identity": "one"}}});

    let first: NewCredential = client.send_json_once("a", "/api/v1/credentials", &request).unwrap();
    let again: NewCredential = client.send_json_once("a", "/api/v1/credentials", &request).unwrap();
    assert_eq!((first.credential.id, again.key.is_none()), (again.credential.id, true));
    assert!(first.key.is_some());
    let other = json!({"endpoint": "buoy-2", "proof": {"psk": {"identity": "two", "key": KEY}}});
    let (status, _) = refusal(client.send_json_once::<NewCredential>("a", "/api/v1/credentials", &other));
    assert_eq!(status, 422);
    let second: NewCredential = post(&client, "/api/v1/credentials", other.clone()).unwrap();
    let same: NewCredential = post(&client, "/api/v1/credentials", other).unwrap();
    assert_eq!(same.credential, second.credential);
    assert!(second.key.is_none() && !format!("{second:?}").contains(KEY));
    let id = second.credential.id;
    let one: Value = client.get(&format!("/api/v1/credentials/{id}")).unwrap();
    assert_eq!(
        one,
        json!({"id": id, "endpoint": "buoy-2", "purpose": "lwm2m", "kind": "psk", "identity": "two", "state": "active",
            "created_at": one["created_at"]})
    );

    for (request, words) in [
        (json!({"endpoint": "", "proof": {"x509": {}}}), "endpoint name"),
        (json!({"endpoint": "a", "proof": {"psk": {"key": "0"}}}), "hexadecimal digits"),
        (json!({"endpoint": "a", "proof": {"psk": {"key": ""}}}), "1 to 256 bytes"),
        (json!({"endpoint": "a", "proof": {"psk": {"keyy": KEY}}}), "keyy"),
        (json!({"endpoint": "a", "proof": {"rpk": {"public_key": "00"}}}), "SubjectPublicKeyInfo"),
        (json!({"endpoint": "a", "proof": {"x509": {"fingerprint": "00"}}}), "SHA-256"),
        (json!({"endpoint": "a", "purpose": "else", "proof": {"x509": {}}}), "else"),
    ] {
        let (status, detail) =
            refusal(post::<NewCredential>(&client, "/api/v1/credentials", request.clone()));
        assert_eq!(status, 400, "{request}");
        assert!(detail.contains(words), "{request}: {detail}");
    }
    let off_the_curve = format!("3059301306072a8648ce3d020106082a8648ce3d03010703420004{}", "01".repeat(64));
    let request = json!({"endpoint": "a", "proof": {"rpk": {"public_key": off_the_curve}}});
    assert!(refusal(post::<NewCredential>(&client, "/api/v1/credentials", request)).1.contains("no point"));
    let taken = json!({"endpoint": "buoy-3", "proof": {"psk": {"identity": "two", "key": KEY}}});
    let (status, detail) = refusal(post::<NewCredential>(&client, "/api/v1/credentials", taken));
    assert!(status == 409 && detail.contains("buoy-2"), "{status} {detail}");

    let bootstrap = json!({"endpoint": "buoy-1", "purpose": "bootstrap", "proof": {"x509": {}}});
    post::<NewCredential>(&client, "/api/v1/credentials", bootstrap).unwrap();
    let listed = |query: &str| client.get::<Value>(&format!("/api/v1/credentials?{query}")).unwrap();
    assert_eq!(listed("endpoint=buoy-1")["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed("endpoint=buoy-1&purpose=bootstrap")["items"].as_array().unwrap().len(), 1);
    let page = listed("limit=2");
    let rest = listed(&format!("limit=2&after={}", page["next"].as_str().unwrap()));
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);

    let path = format!("/api/v1/credentials/{id}");
    let wrong = json!({"x509": {}});
    assert_eq!(refusal(post::<NewCredential>(&client, &format!("{path}/rotate"), wrong)).0, 400);
    let next: NewCredential = post(&client, &format!("{path}/rotate"), json!({"psk": {}})).unwrap();
    assert!(next.key.is_some() && next.credential.state == CredentialState::Next);
    let revoked: Credential = client.revoke_credential(id).unwrap();
    assert_eq!(revoked.state, CredentialState::Revoked);
    assert_eq!(refusal(post::<NewCredential>(&client, &format!("{path}/rotate"), json!({"psk": {}}))).0, 409);
    client.remove_credential(id).unwrap();
    assert_eq!(refusal(client.remove_credential(id)).0, 404);
    assert_eq!(refusal(client.get::<Credential>(&path)).0, 404);
}

#[test]
fn a_hundred_thousand_credentials_are_imported_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut file = String::from("endpoint,kind,identity,key\n");
    for number in 0..100_000 {
        file.push_str(&format!("buoy-{number},psk,,{number:032x}\n"));
    }
    let bad = format!("{file}buoy-7,psk,seven,{KEY}\n");
    let output = ctl(&server, &["import", "-"], &bad);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("line 100002: a pre-shared key of buoy-7"), "{said}");
    assert!(
        server.client().get::<Value>("/api/v1/credentials?limit=1").unwrap()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let path = folder.path().join("fleet.csv");
    std::fs::write(&path, &file).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(says(&server, &["import", path]), "added 100000, there already 0\n");
    assert_eq!(says(&server, &["import", path]), "added 0, there already 100000\n");
    let wrong = "endpoint,kind,identity,key\nbuoy-a,psk,,zz\nbuoy-b,psk,buoy-3,00\n";
    let said = String::from_utf8_lossy(&ctl(&server, &["import", "-"], wrong).stderr).into_owned();
    assert!(said.contains("line 2: the key of a psk"), "{said}");
    let said = ctl(&server, &["import", "-"], "endpoint,kind,identity,key\nbuoy-b,psk,buoy-3,00\n");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("line 2: this PSK identity belongs to credential"), "{said}");
}

#[test]
fn leshans_security_calls_work_and_give_no_key_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.client();
    let put = |body: Value| {
        let body = body.to_string();
        client.call::<Value>(
            "PUT".parse().unwrap(),
            "/api/security/clients",
            "application/json",
            body.as_bytes(),
        )
    };
    let delete = |endpoint: &str| {
        let path = format!("/api/security/clients/{endpoint}");
        client.call::<Value>("DELETE".parse().unwrap(), &path, "", &[]).unwrap()
    };
    let spki: Value = client.get("/api/security/server").unwrap();
    let (x, y) = (spki["pubkey"]["x"].as_str().unwrap(), spki["pubkey"]["y"].as_str().unwrap());
    let spki = format!("3059301306072a8648ce3d020106082a8648ce3d03010703420004{x}{y}");
    let psk =
        json!({"endpoint": "dev1", "tls": {"mode": "psk", "details": {"identity": "dev1", "key": KEY}}});
    let rpk = json!({"endpoint": "dev2", "tls": {"mode": "rpk", "details": {"key": spki}}});
    let x509 = json!({"endpoint": "dev3", "tls": {"mode": "x509"}});
    for body in [&psk, &psk, &rpk, &x509] {
        assert_eq!(put(body.clone()).unwrap(), Value::Null);
    }

    let shown = json!({"endpoint": "dev1", "tls": {"mode": "psk", "details": {"identity": "dev1"}}});
    assert_eq!(client.get::<Value>("/api/security/clients").unwrap(), json!([shown, rpk, x509]));
    assert_eq!(client.get::<Value>("/api/security/clients/dev1").unwrap(), shown);
    // Another kind takes the place.
    put(json!({"endpoint": "dev1", "tls": {"mode": "x509"}})).unwrap();
    assert_eq!(client.get::<Value>("/api/security/clients/dev1").unwrap()["tls"], json!({"mode": "x509"}));
    assert_eq!(delete("dev1"), Value::Null);
    assert_eq!(delete("dev1"), json!({"message": "not_found"}));

    for (body, words) in [
        (
            json!({"endpoint": "dev4", "tls": {"mode": "psk", "details": {"identity": "a", "key": "xx"}}}),
            "hexadecimal",
        ),
        (
            json!({"endpoint": "dev4", "tls": {"mode": "rpk", "details": {"key": spki}}}),
            "belongs to credential",
        ),
        (json!({"endpoint": "dev4"}), "tls"),
        (json!({"endpoint": "dev4", "oscore": {"sid": "00"}}), "OSCORE"),
        (json!({"endpoint": "dev4", "tls": {"mode": "else"}}), "no security information"),
    ] {
        let (status, said) = refusal(put(body.clone()));
        assert!(status == 400 && said.contains(words), "{body}: {status} {said}");
    }
}

#[test]
fn the_key_file_is_the_owners_alone_and_is_rotated_while_the_server_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    // The folder is there, and open to everybody.
    std::fs::create_dir(&data).unwrap();
    succeed(Command::new("chmod").arg("755").arg(&data));
    let mut server = Server::start(&data);
    let output = ctl(&server, &["add", "buoy-1", "--key-file", "-"], KEY);
    assert!(output.status.success());
    let rotate = || {
        let mut command = buoy();
        command.args(["keyfile", "rotate", "--data"]).arg(&data);
        command
    };
    assert!(fail(&mut rotate()).contains("another `buoy serve` runs"));
    succeed(buoy().arg("backup").arg("--data").arg(&data).arg(&copy));
    server.kill();
    let key = data.join("key");
    let before = std::fs::read(&key).unwrap();
    assert!(succeed(&mut rotate()).contains("sealed by it: 1"));
    assert_ne!(std::fs::read(&key).unwrap(), before);
    // The same credential again is known as the same only if its secret was opened.
    for folder in [&data, &copy] {
        let server = Server::start(folder);
        let request = json!({"endpoint": "buoy-1", "proof": {"psk": {"key": KEY}}});
        let same: NewCredential = post(&server.client(), "/api/v1/credentials", request).unwrap();
        assert_eq!(same.credential.id, 1);
    }

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for folder in [&data, &copy] {
            for name in ["key", "server.key"] {
                let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name} in {}", folder.display());
            }
        }
        for (name, expected) in [("buoy.db", 0o600), ("firmware", 0o700)] {
            let mode = std::fs::metadata(data.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected, "{name}");
        }
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fail(&mut serve(&data)).contains("chmod 600"));
    }
    std::fs::remove_file(&key).unwrap();
    assert!(fail(&mut serve(&data)).contains("bring the file back"));
    std::fs::write(&key, "nonsense").unwrap();
    succeed(Command::new("chmod").arg("600").arg(&key));
    assert!(fail(&mut serve(&data)).contains("is no key file"));
}

/// A server that cannot start.
fn serve(data: &Path) -> Command {
    let mut command = buoy();
    command.args(["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]).arg(data);
    command
}

#[test]
fn an_authority_is_made_and_openssl_believes_what_it_issues() {
    let folder = tempfile::tempdir().unwrap();
    let ca = || {
        let mut command = buoy();
        command.arg("ca").current_dir(folder.path());
        command
    };
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(folder.path());
        command
    };
    assert!(
        fail(ca().args(["issue", "device", "buoy-1", "--dir", "fleet"])).contains("`buoy ca init` makes one")
    );
    succeed(ca().args(["init", "--dir", "fleet", "--name", "Our buoys"]));
    assert!(fail(ca().args(["init", "--dir", "fleet"])).contains("not overwritten"));
    succeed(ca().args(["issue", "device", "urn:dev:os:32473-1", "--dir", "fleet"]));
    assert!(
        fail(ca().args(["issue", "device", "urn:dev:os:32473-1", "--dir", "fleet"]))
            .contains("not overwritten")
    );
    succeed(ca().args([
        "issue",
        "server",
        "buoy.example",
        "--dir",
        "fleet",
        "--dns",
        "buoy.example",
        "--dns",
        "192.0.2.7",
    ]));
    succeed(&mut openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "own.key"]));
    succeed(&mut openssl(&["req", "-new", "-key", "own.key", "-subj", "/CN=whatever", "-out", "own.csr"]));
    succeed(ca().args([
        "issue", "device", "buoy-2", "--dir", "fleet", "--csr", "own.csr", "--days", "7", "--out", "own",
    ]));
    assert!(!folder.path().join("own.key.pem").exists(), "its owner has the key");
    let wrong = std::fs::read_to_string(folder.path().join("own.csr")).unwrap().replacen("MI", "MJ", 1);
    std::fs::write(folder.path().join("wrong.csr"), wrong).unwrap();
    assert!(
        fail(ca().args(["issue", "device", "buoy-3", "--dir", "fleet", "--csr", "wrong.csr"]))
            .contains("wrong.csr")
    );

    let verify = |purpose: &str, certificate: &str| {
        let mut command =
            openssl(&["verify", "-x509_strict", "-CAfile", "fleet/ca.cert.pem", "-purpose", purpose]);
        if purpose == "sslserver" {
            command.args(["-verify_hostname", "buoy.example"]);
        }
        command.arg(certificate);
        command
    };
    succeed(&mut verify("sslclient", "fleet/urn:dev:os:32473-1.cert.pem"));
    succeed(&mut verify("sslclient", "own.cert.pem"));
    succeed(&mut verify("sslserver", "fleet/buoy.example.cert.pem"));
    let output = verify("sslserver", "own.cert.pem").output().unwrap();
    assert!(!output.status.success(), "a device is no server");
    let text = succeed(&mut openssl(&[
        "x509",
        "-in",
        "fleet/urn:dev:os:32473-1.cert.pem",
        "-noout",
        "-subject",
        "-checkend",
        "7689600",
    ]));
    assert!(text.contains("urn:dev:os:32473-1"), "{text}");
    let key = succeed(&mut openssl(&["pkey", "-in", "fleet/buoy.example.key.pem", "-pubout"]));
    let certified =
        succeed(&mut openssl(&["x509", "-in", "fleet/buoy.example.cert.pem", "-noout", "-pubkey"]));
    assert_eq!(key, certified);

    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (file("fleet/buoy.example.key.pem"), file("fleet/buoy.example.cert.pem"));
    let data = folder.path().join("data");
    let arguments =
        ["--server-key", &key, "--server-cert", &certificate, "--client-ca", &file("fleet/ca.cert.pem")];
    let server = Server::start_with(&data, &arguments);
    let shown: Value = server.client().get("/api/security/server").unwrap();
    let der: String = succeed(&mut openssl(&["x509", "-in", "fleet/buoy.example.cert.pem"]));
    let der: String = der.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(shown["certificate"]["b64Der"], json!(der));
    // By files that `openssl` writes a device's key and its one certificate are named.
    std::fs::write(
        folder.path().join("own.pub"),
        succeed(&mut openssl(&["ec", "-in", "own.key", "-pubout"])),
    )
    .unwrap();
    says(&server, &["add", "buoy-2", "--kind", "rpk", "--public-key", &file("own.pub")]);
    says(&server, &["add", "buoy-2", "--kind", "x509", "--certificate", &file("own.cert.pem")]);
    let digest = succeed(&mut openssl(&["x509", "-in", "own.cert.pem", "-noout", "-fingerprint", "-sha256"]));
    let digest = digest.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert!(
        server
            .client()
            .credentials(Some("buoy-2"))
            .unwrap()
            .iter()
            .any(|one| one.fingerprint.as_deref() == Some(&*digest))
    );
    drop(server);
    let mixed = serve(&data)
        .args(["--server-key", &file("own.key"), "--server-cert", &certificate])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&mixed.stderr).contains("own.key"), "{mixed:?}");
}
