//! TLS to the database, as `sslmode` and `sslrootcert` of the URL ask for it.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use buoy_store::postgres::test_server::{Network, TestServer};
use common::{Server, serve_on, words};

const PASSWORD: &str = "a-secret-that-nobody-sees";

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", words(&output));
}

/// Makes an authority, `NAME.pem`.
fn authority(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"));
}

/// The certificate that it gives to a server of this name, and its key.
fn certify(folder: &Path, authority: &str, name: &str) -> (String, String) {
    fs::write(folder.join("extensions"), format!("subjectAltName=DNS:{name}\n")).unwrap();
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    openssl(
        folder,
        &format!(
            "x509 -req -in server.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -sha384 \
             -extfile extensions -out server.pem"
        ),
    );
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    (read("server.pem"), read("server.key"))
}

/// A database behind this certificate; its URL is at this host, with parameters.
struct Database {
    server: TestServer,
    folder: tempfile::TempDir,
}

impl Database {
    fn start(network: Network<'_>) -> Option<Self> {
        let server = TestServer::start_or_skip(network)?;
        let _ = server.database("fleet");
        Some(Self { server, folder: tempfile::tempdir().unwrap() })
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        format!("postgres://buoy:{PASSWORD}@{host}:{}/fleet?{parameters}", self.server.port())
    }

    fn serve(&self, host: &str, parameters: &str) -> Command {
        serve_on(&self.folder.path().join("data"), &self.url(host, parameters))
    }

    /// A server runs on it; what it logged.
    fn serves(&self, host: &str, parameters: &str) -> String {
        self.serves_by(&mut self.serve(host, parameters))
    }

    fn serves_by(&self, command: &mut Command) -> String {
        let log = self.folder.path().join("log");
        let _ = fs::remove_file(&log);
        let mut server = Server::spawn_logged(command, &log);
        assert!(!server.uri("Store").contains(PASSWORD));
        server.says(&["credentials", "list"]);
        server.stop();
        let logged = fs::read_to_string(log).unwrap();
        assert!(!logged.contains(PASSWORD), "{logged}");
        logged
    }

    /// Why none does.
    fn refuses(&self, host: &str, parameters: &str) -> String {
        let output = self.serve(host, parameters).output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{parameters}: {said}");
        assert!(!said.contains(PASSWORD) && said.contains("cannot be used"), "{parameters}: {said}");
        said
    }
}

#[test]
fn the_certificate_of_a_database_is_checked_as_the_url_says() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path();
    authority(keys, "own");
    authority(keys, "foreign");
    let (certificate, key) = certify(keys, "own", "localhost");
    let network = Network::Tls { password: PASSWORD, certificate: &certificate, key: &key };
    let Some(database) = Database::start(network) else { return };
    let (own, foreign) = (keys.join("own.pem"), keys.join("foreign.pem"));
    let (own, foreign) = (own.display(), foreign.display());

    // The log-in is bound to the certificate.
    database.serves("localhost", &format!("sslmode=verify-full&sslrootcert={own}&channel_binding=require"));
    let said = database.refuses("localhost", &format!("sslmode=verify-full&sslrootcert={foreign}"));
    assert!(
        said.contains("nobody who is trusted has signed it") && said.contains("sslrootcert=FILE"),
        "{said}"
    );
    let said = database.refuses("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={own}"));
    assert!(said.contains("not valid for name \"127.0.0.1\"") && said.contains("subjectAltName"), "{said}");

    database.serves("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={own}"));
    // As with libpq, a file says that it is to be looked at.
    for mode in ["verify-ca", "require", "prefer"] {
        database.refuses("127.0.0.1", &format!("sslmode={mode}&sslrootcert={foreign}"));
    }
    let logged = database.serves("127.1", "sslmode=require");
    assert!(!logged.contains("not encrypted"), "{logged}");
    database.serves("127.1", "channel_binding=require");

    for parameters in ["sslmode=verify-full", "sslrootcert=system"] {
        database
            .serves_by(database.serve("localhost", parameters).env("SSL_CERT_FILE", keys.join("own.pem")));
        database.refuses("localhost", parameters);
    }
    let said = database.refuses("localhost", "sslmode=require&password=wrong");
    assert!(said.contains("password authentication failed") && said.contains("pg_hba.conf"), "{said}");
}

/// As PostgreSQL's manual makes it.
#[test]
fn a_certificate_that_signed_itself_is_good_if_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = "req -new -x509 -days 2 -nodes -newkey rsa:2048 -keyout own.key -out own.pem -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost";
    openssl(folder.path(), made);
    authority(folder.path(), "foreign");
    let [certificate, key] = ["own.pem", "own.key"].map(|name| folder.path().join(name));
    let (certificate_text, key) =
        (fs::read_to_string(&certificate).unwrap(), fs::read_to_string(key).unwrap());
    let network = Network::Tls { password: PASSWORD, certificate: &certificate_text, key: &key };
    let Some(database) = Database::start(network) else { return };
    database.serves("localhost", &format!("sslmode=verify-full&sslrootcert={}", certificate.display()));
    let foreign = folder.path().join("foreign.pem");
    database.refuses("localhost", &format!("sslmode=verify-full&sslrootcert={}", foreign.display()));
}

#[test]
fn a_database_without_tls_is_refused_where_the_url_asks_for_it_and_cautioned_about_where_not() {
    let Some(database) = Database::start(Network::Plain { password: PASSWORD }) else { return };
    for mode in ["require", "verify-full"] {
        let said = database.refuses("localhost", &format!("sslmode={mode}"));
        assert!(said.contains("does not speak TLS") && said.contains("ssl = on"), "{said}");
    }
    assert!(!database.serves("localhost", "sslmode=prefer").contains("not encrypted"));
    for mode in ["sslmode=disable", ""] {
        // An address of this machine that is not known as one of it.
        let logged = database.serves("127.1", mode);
        assert_eq!(logged.matches("is not encrypted").count(), 1, "{logged}");
    }
}
