//! Sign-in by OpenID Connect, with a provider that the tests start: npm's `oidc-provider` (`interop/oidc`). A browser is played by HTTP requests.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use buoy_api::client::Client;
use buoy_api::{Secret, Setup};
use common::{Server, wait_until};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const CALLBACK: &str = "/api/v1/sign-in/callback";

fn folder_of_provider() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/oidc")
}

/// Whether the provider can be started, or why the test is skipped.
fn is_installed() -> bool {
    let is_there = folder_of_provider().join("node_modules/oidc-provider").exists()
        && Command::new("node").arg("--version").output().is_ok();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "there is no oidc-provider; npm ci --prefix interop/oidc");
        println!("skipped: npm ci --prefix interop/oidc");
    }
    is_there
}

/// The provider as a process.
struct Provider {
    child: Child,
    input: ChildStdin,
    said: Receiver<String>,
}

impl Provider {
    fn start(port: u16, server: &Server, extra: &[&str]) -> Self {
        let redirect = format!("{}{CALLBACK}", server.http);
        let mut child = Command::new("node")
            .arg(folder_of_provider().join("provider.mjs"))
            .args(["--port", &port.to_string(), "--redirect", &redirect])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, said) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut provider = Self { input: child.stdin.take().unwrap(), child, said };
        provider.wait_for("ready");
        provider.set(&json!({"groups": {"carol": ["staff"]}}));
        provider
    }

    fn wait_for(&self, word: &str) {
        while self.said.recv_timeout(Duration::from_secs(60)).unwrap() != word {}
    }

    /// The groups of people, or how it lies from now on.
    fn set(&mut self, how: &Value) {
        writeln!(self.input, "{how}").unwrap();
        self.wait_for("set");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that knows the provider at this port, with its first account.
fn start(folder: &Path, port: u16, extra: &[&str]) -> (Server, Client) {
    let secret = folder.join("client-secret");
    std::fs::write(&secret, "a secret: with +signs& 100%\n").unwrap();
    let issuer = format!("http://127.0.0.1:{port}");
    let mut flags = vec!["--oidc-issuer", &issuer, "--oidc-client-id", "buoy", "--oidc-name", "Example ID"];
    flags.extend(["--oidc-client-secret-file", secret.to_str().unwrap()]);
    flags.extend(["--oidc-role", "north-ops=operator@north", "--oidc-role", "staff=viewer"]);
    flags.extend(extra);
    let server = Server::start_with(&folder.join("data"), &flags);
    let token = Secret::new(server.setup_token.clone().unwrap());
    let setup = Setup { token, name: "alice".into(), password: Secret::new(PASSWORD.to_owned()) };
    let admin = server.client().set_up(&setup).unwrap();
    (server, admin)
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

/// A browser: keeps cookies, and follows links when told to. Both ends are at one address, which cookies are kept by.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn ask(&mut self, method: &str, uri: &str, form: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        request = request.header("Cookie", cookies.join("; "));
        if uri.contains(CALLBACK) {
            // The provider is another site.
            request = request.header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate");
        }
        if !form.is_empty() {
            request = request.header("Content-Type", "application/x-www-form-urlencoded");
        }
        let agent =
            ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
        let mut answer = agent.run(request.body(form.to_owned()).unwrap()).unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(|uri| uri.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        Answer { status, location, body: answer.body_mut().read_to_string().unwrap_or_default() }
    }

    fn get(&mut self, uri: &str) -> Answer {
        self.ask("GET", uri, "")
    }

    /// Begins a sign-in; returns the address at the provider.
    fn begin(&mut self, server: &Server) -> String {
        let answer = self.get(&format!("{}/api/v1/sign-in/provider", server.http));
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.location.unwrap()
    }

    /// Signs in at the provider; returns the address with which it sends the browser back.
    fn sign_in_at(&mut self, uri: &str, login: &str) -> String {
        let base = uri.split('/').take(3).collect::<Vec<_>>().join("/");
        let mut uri = uri.to_owned();
        for _ in 0..20 {
            if uri.contains(CALLBACK) {
                return uri;
            }
            let mut answer = self.get(&uri);
            if answer.status == 200 {
                let prompt = if answer.body.contains("value=\"login\"") { "login" } else { "consent" };
                answer = self.ask("POST", &uri, &format!("prompt={prompt}&login={login}&password=x"));
            }
            let next = answer.location.unwrap_or_else(|| panic!("{uri}: {} {}", answer.status, answer.body));
            uri = if next.starts_with('/') { format!("{base}{next}") } else { next };
        }
        panic!("the provider does not send the browser back");
    }

    fn sign_in(&mut self, server: &Server, login: &str) -> Answer {
        let uri = self.begin(server);
        let back = self.sign_in_at(&uri, login);
        self.get(&back)
    }

    fn me(&mut self, server: &Server) -> Value {
        let answer = self.get(&format!("{}/api/v1/me", server.http));
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// Nobody is signed in, and the answer says why.
fn refused(browser: &Browser, answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(reason), "{}", answer.body);
    assert!(!browser.cookies.contains_key("__Host-buoy"), "{reason}");
}

#[test]
fn a_person_signs_in_by_the_provider_with_the_roles_of_her_groups() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let (server, admin) = start(folder.path(), port, &[]);
    let state = Browser::default().get(&format!("{}/api/v1/setup", server.http));
    assert!(state.body.contains("Example ID"), "{}", state.body);
    let mut early = Browser::default();
    let answer = early.get(&format!("{}/api/v1/sign-in/provider", server.http));
    refused(&early, &answer, 503, "can't be reached");
    let mut provider = Provider::start(port, &server, &[]);
    // It is not asked again at once.
    let uri = format!("{}/api/v1/sign-in/provider", server.http);
    wait_until("the provider is asked again", || Browser::default().get(&uri).status == 303);
    let mut groups = json!({"carol": ["north-ops", "staff"], "dave": ["visitors"], "alice": ["staff"]});
    provider.set(&json!({ "groups": groups }));

    let mut carol = Browser::default();
    let answer = carol.sign_in(&server, "carol");
    assert_eq!((answer.status, answer.location.as_deref()), (303, Some("/")), "{}", answer.body);
    assert!(!carol.cookies.contains_key("__Host-buoy-sign-in"));
    let me = carol.me(&server);
    assert_eq!((&me["name"], &me["by"]), (&json!("carol"), &json!("session")));
    assert_eq!(me["grants"], json!([{"role": "operator", "group": "north"}, {"role": "viewer"}]));
    let sign_out = me["provider_sign_out"].as_str().unwrap();
    assert!(
        sign_out.starts_with(&format!("http://127.0.0.1:{port}/session/end?client_id=buoy")),
        "{sign_out}"
    );
    // By the provider it ends the same day.
    let left = me["expires_at"].as_u64().unwrap().saturating_sub(me_now());
    assert!(left <= 12 * 3600 * 1000, "{left}");
    let account: Value = admin.get("/api/v1/accounts/carol").unwrap();
    assert_eq!(account["external"], true);
    let audit: Value = admin.get("/api/v1/audit?limit=10").unwrap();
    assert!(audit.to_string().contains("account.external"), "{audit}");

    // Her groups are others now; whoever has none with a role is refused.
    groups["carol"] = json!(["staff"]);
    provider.set(&json!({ "groups": groups }));
    let mut again = Browser::default();
    assert_eq!(again.sign_in(&server, "carol").status, 303);
    assert_eq!(carol.me(&server)["grants"], json!([{"role": "viewer"}]));
    let mut dave = Browser::default();
    let answer = dave.sign_in(&server, "dave");
    refused(&dave, &answer, 403, "none of the groups (visitors) has a role");
    let mut nobody = Browser::default();
    let answer = nobody.sign_in(&server, "erin");
    refused(&nobody, &answer, 403, "tells no groups");
    // An account that was made here is not taken over.
    let mut mallory = Browser::default();
    let answer = mallory.sign_in(&server, "alice");
    refused(&mallory, &answer, 409, "does not sign in");

    // Sign-out ends the session here; a disabled account stays out.
    let csrf = carol.me(&server)["csrf"].as_str().unwrap().to_owned();
    let cookie = format!("__Host-buoy={}", carol.cookies["__Host-buoy"]);
    let out = ureq::post(&format!("{}/api/v1/sign-out", server.http))
        .header("Cookie", &cookie)
        .header("X-CSRF-Token", &csrf)
        .send_empty();
    assert_eq!(out.unwrap().status().as_u16(), 204);
    assert_eq!(carol.get(&format!("{}/api/v1/me", server.http)).status, 401);
    let disable = json!({"disabled": true});
    admin.send_json::<Value>(ureq::http::Method::PUT, "/api/v1/accounts/carol", &disable).unwrap();
    let mut carol = Browser::default();
    let answer = carol.sign_in(&server, "carol");
    refused(&carol, &answer, 401, "disabled");
    drop(provider);
}

fn me_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn an_answer_that_is_not_of_this_sign_in_or_a_token_that_is_wrong_signs_nobody_in() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let (server, _) = start(folder.path(), port, &[]);
    let mut provider = Provider::start(port, &server, &["--claims-in-token"]);

    let mut browser = Browser::default();
    let uri = browser.begin(&server);
    let back = browser.sign_in_at(&uri, "carol");
    // The state is another; the browser has not begun this sign-in; the code is none.
    let (front, rest) = back.split_once("state=").unwrap();
    let (_, tail) = rest.split_once('&').unwrap_or((rest, ""));
    let answer = browser.get(&format!("{front}state=0123&{tail}"));
    refused(&browser, &answer, 400, "the state is not that");
    let answer = Browser::default().get(&back);
    refused(&Browser::default(), &answer, 400, "has not begun");
    let answer = browser.get(&back.replacen("code=", "code=x", 1));
    refused(&browser, &answer, 403, "invalid_grant");
    let answer = browser.get(&back.replacen("iss=http", "iss=https", 1));
    refused(&browser, &answer, 502, "another issuer");

    // The nonce is another: a token that was made for another sign-in.
    let mut browser = Browser::default();
    let uri = browser.begin(&server);
    let (front, rest) = uri.split_once("nonce=").unwrap();
    let uri = format!("{front}nonce=0{}", &rest[1..]);
    let uri = if uri.contains(&format!("nonce={}", &rest[..64])) {
        uri.replacen("nonce=0", "nonce=1", 1)
    } else {
        uri
    };
    let back = browser.sign_in_at(&uri, "carol");
    let answer = browser.get(&back);
    refused(&browser, &answer, 502, "another nonce");

    let past = me_now() / 1000 - 3600;
    for (lie, reason) in [
        (json!({"claims": {"aud": "other"}}), "another audience"),
        (json!({"claims": {"aud": ["buoy", "other"], "azp": "other"}}), "another audience"),
        (json!({"claims": {"exp": past}}), "has expired"),
        (json!({"claims": {"iss": "http://127.0.0.1:1"}}), "another issuer"),
        (json!({"sign": "none"}), "algorithm"),
        (json!({"sign": "other"}), "not signed by the key"),
    ] {
        provider.set(&lie);
        let mut browser = Browser::default();
        let answer = browser.sign_in(&server, "carol");
        refused(&browser, &answer, 502, reason);
    }
    provider.set(&json!({}));
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(&server, "carol").status, 303);
    assert_eq!(browser.me(&server)["name"], "carol");

    // Who says no at the provider.
    let mut browser = Browser::default();
    let uri = browser.begin(&server);
    let state = uri.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let answer = browser.get(&format!("{}{CALLBACK}?error=access_denied&state={state}", server.http));
    refused(&browser, &answer, 403, "access_denied");

    // The keys are others after a restart of the provider; without it, the reason is said.
    drop(provider);
    let mut browser = Browser::default();
    let uri = browser.begin(&server);
    let provider = Provider::start(port, &server, &[]);
    let back = browser.sign_in_at(&uri, "carol");
    drop(provider);
    let answer = browser.get(&back);
    refused(&browser, &answer, 503, "can't be reached");
    let _provider = Provider::start(port, &server, &[]);
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(&server, "carol").status, 303);
}

#[test]
fn without_a_provider_or_a_first_account_the_browser_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let answer = Browser::default().get(&format!("{}/api/v1/sign-in/provider", server.http));
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("--oidc-issuer"), "{}", answer.body);
    let folder = tempfile::tempdir().unwrap();
    let flags =
        ["--oidc-issuer", "https://id.example.org", "--oidc-client-id", "buoy", "--oidc-role", "*=admin"];
    let server = Server::start_with(folder.path(), &flags);
    let answer = Browser::default().get(&format!("{}/api/v1/sign-in/provider", server.http));
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("one-time token"), "{}", answer.body);
}
