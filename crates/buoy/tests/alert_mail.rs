//! Mail to people: handed in to a real mail server (aiosmtpd), by TLS, STARTTLS, and without.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/trusted.rs"]
mod trusted;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use buoy_api::{AlertDelivery, Page};
use common::wait_until;
use serde_json::{Value, json};
use trusted::{certificate, start};

struct MailServer {
    child: Child,
    port: String,
    mails: Receiver<String>,
}

impl MailServer {
    fn start(mode: &str, folder: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/mail.py");
        let mut child = Command::new("python3")
            .args([script, mode])
            .args([folder.join("cert.pem"), folder.join("key.pem")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, mails) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.into_iter().all(|line| told.send(line).is_ok()));
        let first = mails.recv_timeout(Duration::from_secs(60)).unwrap();
        Self { child, port: first.strip_prefix("PORT ").unwrap().to_owned(), mails }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.mails.recv_timeout(Duration::from_secs(60)).unwrap()).unwrap()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_aiosmtpd() -> bool {
    let asked = Command::new("python3").args(["-c", "import aiosmtpd"]).output();
    asked.is_ok_and(|output| output.status.success())
}

#[test]
fn mail_reaches_people_by_tls_and_starttls_after_a_refusal_for_now() {
    if !has_aiosmtpd() {
        assert!(std::env::var_os("CI").is_none(), "python3 has no aiosmtpd; pip install aiosmtpd");
        println!("skipped: pip install aiosmtpd");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    let server = start(folder.path());
    let devices = json!({"devices": [{"endpoint": "d-1"}]});
    server.client().send_json::<Value>(ureq::http::Method::POST, "/api/v1/devices", &devices).unwrap();
    let servers = [("starttls", "smtp"), ("tls", "smtps"), ("plain", "smtp+plain")]
        .map(|(mode, scheme)| (scheme, MailServer::start(mode, folder.path())));
    for (scheme, mail) in &servers {
        let smtp = format!("{scheme}://localhost:{}", mail.port);
        let to =
            ["--email", "Ops <ops@example.org>", "--email", "b@example.org", "--from", "buoy@example.org"];
        let user = ["--smtp", &smtp, "--user", "ops", "--password-file", password.to_str().unwrap()];
        let base = ["alert", "receiver", "add", scheme, "--group-wait", "1s"];
        let shown = server.says(&[&base[..], &to, &user].concat());
        assert!(shown.contains("by localhost") && !shown.contains("horse"), "{shown}");
    }
    let rule = ["--filter", "tag = hot", "--description", "It burns.\nAct."];
    server.says(&[&["alert", "rule", "add", "heat"][..], &rule].concat());
    server.says(&["note", "d-1", "--tag", "hot"]);
    let mut ids = Vec::new();
    for (scheme, mail) in &servers {
        let told = mail.next();
        assert_eq!(told["subject"], "[buoy] warning: heat 1 firing (d-1)", "{scheme}");
        assert_eq!(told["to"], json!(["ops@example.org", "b@example.org"]));
        assert_eq!(
            (&told["from"], &told["tls"]),
            (&json!("buoy@example.org"), &json!(*scheme != "smtp+plain"))
        );
        let text = told["text"].as_str().unwrap().replace("\r\n", "\n");
        assert!(text.starts_with("It burns.\nAct.\n\nfiring d-1, since 2"), "{text}");
        ids.push(told["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    wait_until("all are delivered", || {
        let path = "/api/v1/alert-deliveries?state=delivered";
        let delivered: Page<AlertDelivery> = server.client().get(path).unwrap();
        // The first attempt was refused for now.
        delivered.items.len() == 3 && delivered.items.iter().all(|delivery| delivery.attempts == 2)
    });

    // A person who is not there, a wrong password, and a server without TLS.
    let smtp = format!("smtp://localhost:{}", servers[0].1.port);
    let add = |name: &str, to: &str, smtp: &str| {
        let base = ["alert", "receiver", "add", name, "--email", to, "--from", "buoy@example.org"];
        let user = ["--smtp", smtp, "--user", "ops", "--password-file", password.to_str().unwrap()];
        server.says(&[&base[..], &user].concat());
    };
    add("nobody", "nobody@example.org", &smtp);
    assert!(server.refuses(&["alert", "receiver", "test", "nobody"]).contains("no such person"));
    add("bare", "ops@example.org", &format!("smtp://localhost:{}", servers[2].1.port));
    assert!(server.refuses(&["alert", "receiver", "test", "bare"]).contains("STARTTLS"));
    std::fs::write(&password, "wrong").unwrap();
    add("stranger", "ops@example.org", &smtp);
    assert!(server.refuses(&["alert", "receiver", "test", "stranger"]).contains("535"));
}
